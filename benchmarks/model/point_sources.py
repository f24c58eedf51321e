# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stars, quasars and galaxies that are taken for points of light.

    python -m benchmarks.model.point_sources [--model bundled] [--n 1024] [--seed 71]

Simulated ones of the test split, and those of real frames where they are at hand: by the width of the light, where that
of the point-spread function is known, and by the features of the network, where it is not. For real frames the width is
that of the brighter stars of each field.
"""

import argparse
from itertools import chain

import numpy as np

from astro_photz import load_model
from astro_photz.quality.measurements import measure
from astro_photz.quality.point_sources import is_point_source
from astro_photz.reference.strangers import Reference
from astro_photz.simulate.points import KINDS, point_sources

from ._real_point_sources import FRAMES, real_galaxies, real_point_sources
from ._stamps import drawn, observed, simulation_of

REAL_TO = 18.3, 19.0, 19.5, 20.0  # of r: galaxies of the real frames


def simulated(model, n, seed):
    """Name and cutouts of each kind of simulated stamp."""
    simulation = simulation_of(model, seed=seed)
    population, shape = drawn(simulation, n)
    yield "galaxies", [cutouts for _, cutouts in observed(simulation, population, shape)]
    for kind in KINDS:
        yield f"{kind} (points)", [point_sources(n, seed=seed, kind=kind, split="test", config=simulation.settings)[0]]


def real():
    """Name and cutouts of the stamps of real frames, with the widths of their point-spread functions."""
    cutouts, stars = real_point_sources()
    widths = dict(zip(stars["field"], np.asarray(stars["psf_fwhm"]), strict=True))
    cutouts.psf_fwhm[:] = stars["psf_fwhm"]
    yield "real stars", [cutouts]
    cutouts, galaxies = real_galaxies()
    cutouts.psf_fwhm[:] = [widths[name] for name in galaxies["field"]]
    for limit in REAL_TO:
        yield f"real galaxies to r = {limit:g}", [cutouts[np.asarray(galaxies["r_aper"]) < limit]]


def told(model, points, batches):
    """Masks of what is taken for a point: by the width, and by the features."""
    by_width = np.concatenate([is_point_source(measure(cutouts), cutouts.psf_fwhm) for cutouts in batches])
    if points is None:
        return by_width, np.zeros(len(by_width), dtype=bool)
    return by_width, np.concatenate([points.found(model.encoding(cutouts).features) for cutouts in batches])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--n", type=int, default=1024, help="stamps of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=71)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    reference = Reference.of_model(model)
    points = reference and reference.point_sources
    if points is None:
        print(f"{model.name} has no way of its own to tell points: by the width only")
    print(f"{'':28}{'n':>6}{'by width':>14}{'by features':>14}")
    for name, batches in chain(simulated(model, arguments.n, arguments.seed), real() if FRAMES.exists() else ()):
        masks = told(model, points, batches)
        shares = "".join(f"{np.count_nonzero(mask):>6} {100 * mask.mean():5.1f} %" for mask in masks)
        print(f"{name:28}{len(masks[0]):>6}{shares}", flush=True)


if __name__ == "__main__":
    main()
