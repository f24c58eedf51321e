# Licensed under a 3-clause BSD style license - see LICENSE
"""
The units that photometry has as an input and as a task: median, and half of the range that holds 68 %, of galaxies.

    python -m tools.measure_photometry_units [stamps.h5]

prints what `astro_photz.train.tensors` standardises *r*, *u-g*, *g-r*, *r-i* and *i-z* by, in each of its apertures
(asinh magnitudes) and as a catalogue lists them (magnitudes, and the logarithm of the radius in arcsec). Without a file
of stamps, 4,096 galaxies are simulated, to r = 19 or ``--faintest``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from astro_photz import simulate
from astro_photz.train import Stamps
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.networks.photometry import APERTURES, AperturePhotometry, colours
from astro_photz.train.networks.scaling import SOFTENING
from astro_photz.train.tensors import central

SIZE = 64
GALAXIES = 4096


def aperture_colours(stamps):
    """In each aperture in turn (N, 15); NaN where a pixel is missing."""
    flux = central(deredden(stamps["flux"].float(), stamps["ebv"]), SIZE)
    return colours(AperturePhotometry(SIZE)(flux / torch.tensor(SOFTENING)[:, None, None])).numpy()


def catalog_colours(stamps):
    """Colours of the catalogue, and the logarithm of the radius (N, 6); NaN where a flux is not positive."""
    flux = deredden(stamps["catalog_flux"][:, :, None, None], stamps["ebv"])[:, :, 0, 0].numpy()
    magnitude = 22.5 - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    size = np.log(stamps["catalog_radius"].numpy())
    return np.column_stack([magnitude[:, 2], -np.diff(magnitude, axis=1), size])


def print_units(name, values):
    """Median and half of the range that holds 68 %, of each column."""
    low, middle, high = np.nanpercentile(values, [16, 50, 84], axis=0)
    for what, numbers in (("median", middle), ("scatter", (high - low) / 2)):
        print(f"{name:24s} {what:8s}", *(f"{number:7.3f}" for number in numbers))


def main():
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="HDF5 file of simulated stamps (default: simulate some)")
    parser.add_argument("--faintest", type=float, default=19.0, help="limit in r of those (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.data or Path(folder) / "stamps.h5"
        if not arguments.data:
            sample = {"faintest": arguments.faintest}
            simulate.write(path, GALAXIES, seed=0, size=SIZE, config={"sample": sample}, progress=False)
        stamps = Stamps(path, labelled=False, photometry=True).__getitems__(np.arange(GALAXIES))
    parts = np.split(aperture_colours(stamps), len(APERTURES), axis=1)
    for width, part in zip(APERTURES, parts, strict=True):
        print_units(f"aperture of {width:g} pixels", part)
    print_units("catalogue", catalog_colours(stamps))


if __name__ == "__main__":
    main()
