# Licensed under a 3-clause BSD style license - see LICENSE
"""
The check of E(B-V) by the map at low resolution: real galaxies that it flags, and mistakes that it finds.

    python -m tools.measure_dust_check

reads the 10,000 real galaxies of the package kcorrect (its test data), with the extinctions of SDSS, and prints, in
bins of E(B-V), the share of galaxies that `astro_photz.dust.far_from_map` calls far with the right E(B-V), and with
something else in its place.
"""

from importlib.resources import files
from itertools import pairwise

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_photz.dust import approximate_ebv, ebv_from_extinction, far_from_map
from astro_photz.sdss import R_UGRIZ

BINS = (0.0, 0.02, 0.05, 0.1, 0.5)
MISTAKES = {
    "E(B-V) itself": 1.0,
    "times 0.86": 0.86,
    "A_V": 3.1,
    "A_g": R_UGRIZ[1],
    "A_r": R_UGRIZ[2],
    "A_i": R_UGRIZ[3],
    "A_z": R_UGRIZ[4],
    "zero": 0.0,
}
"""What stands in the place of E(B-V), in units of it."""


def real_galaxies():
    """Positions (N,) and E(B-V) (N,) of kcorrect's galaxies."""
    table = Table.read(files("kcorrect") / "data" / "test" / "gst_tests_small.fits")
    return SkyCoord(table["RA"], table["DEC"], unit="deg"), ebv_from_extinction(table["EXTINCTION"])


def main():
    """Print the shares."""
    coord, ebv = real_galaxies()
    difference = ebv - approximate_ebv(coord)
    print(f"{len(ebv)} galaxies; E(B-V) less that of the map: {difference.std():.4f} mag rms\n")
    bins = [(0.0, np.inf), *pairwise(BINS)]
    print(f"{'far (%), of E(B-V)':20s}", *(f"{'all' if high > 1 else f'{low}-{high}':>10s}" for low, high in bins))
    for name, factor in MISTAKES.items():
        far = far_from_map(factor * ebv, coord)
        shares = [100 * far[(ebv >= low) & (ebv < high)].mean() for low, high in bins]
        print(f"{name:20s}", *(f"{share:10.2f}" for share in shares))


if __name__ == "__main__":
    main()
