# Licensed under a 3-clause BSD style license - see LICENSE
"""
The coarse dust map that comes with the package beside E(B-V) of the SDSS catalogue (needs ``../shared``).
"""

import argparse

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_photz.dust import approximate_ebv
from benchmarks.common.data import require
from benchmarks.common.timing import print_table


def main():
    """Print a row a field, and the scatter of all galaxies."""
    argparse.ArgumentParser(description=__doc__.splitlines()[1]).parse_args()
    table = Table.read(require() / "real_galaxies.ecsv")
    coarse = approximate_ebv(SkyCoord(table["ra"], table["dec"], unit="deg"))
    known = np.asarray(table["ebv"], dtype=float)
    rows = []
    for field in np.unique(table["field"]):
        here = np.asarray(table["field"] == field)
        one, other = coarse[here].mean(), known[here].mean()
        rows.append((str(field), str(here.sum()), f"{other:.4f}", f"{one:.4f}", f"{one / other:.2f}"))
    print_table(("field", "galaxies", "catalogue", "coarse map", "ratio"), rows)
    print(f"\nrms of the difference, {len(table)} galaxies: {np.sqrt(np.mean((coarse - known) ** 2)):.4f} mag")


if __name__ == "__main__":
    main()
