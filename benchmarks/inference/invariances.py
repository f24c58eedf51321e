# Licensed under a 3-clause BSD style license - see LICENSE
"""
Change of redshifts with orientation and with known dust, on which they must not depend.

Measured on the simulated galaxies of the demonstration set, and on the real ones of ``../shared`` where those are at
hand.
"""

import argparse

import numpy as np
from astropy.table import Table

import astro_photz
from astro_photz import Cutouts
from astro_photz.dust import redden
from benchmarks.common.data import SHARED
from benchmarks.common.timing import print_table

EXTRA_EBV = 0.2


def samples():
    """Names and cutouts of what is at hand."""
    yield "demonstration set (simulated)", Cutouts.read(astro_photz.demo_path())
    if SHARED.is_dir():
        source = astro_photz.FrameDirectory(SHARED / "sdss_frames")
        yield "real galaxies", astro_photz.fetch(Table.read(SHARED / "real_galaxies.ecsv"), source=source)


def orientations(flux):
    """The seven other ways in which a stamp may lie on its pixels."""
    for mirrored in (flux, flux[..., ::-1]):
        for turns in range(4):
            if turns or mirrored is not flux:
                yield np.ascontiguousarray(np.rot90(mirrored, turns, axes=(2, 3)))


def measure(cutouts):
    """Worst change with orientation, over the error of the redshift; worst change with dust that is known of."""
    reference = astro_photz.predict(cutouts)
    z, error = (np.ma.filled(reference[name], np.nan) for name in ("z_phot", "z_phot_err"))

    def change(flux, ebv):
        return np.abs(np.ma.filled(astro_photz.predict(Cutouts(flux, ebv=ebv))["z_phot"], np.nan) - z)

    turned = max(np.nanmax(change(flux, cutouts.ebv) / error) for flux in orientations(cutouts.flux))
    dusty = change(redden(cutouts.flux, ebv=np.full(len(cutouts), EXTRA_EBV)), cutouts.ebv + EXTRA_EBV)
    return turned, np.nanmax(dusty)


def main():
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[1]).parse_args()
    rows = [(name, str(len(cutouts)), *(f"{number:.1e}" for number in measure(cutouts))) for name, cutouts in samples()]
    print_table(("", "galaxies", "orientation: worst Δz / error", f"E(B-V) + {EXTRA_EBV}, said: worst Δz"), rows)


if __name__ == "__main__":
    main()
