# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshifts of the real galaxies in ``../shared``, cut from real frames, beside photometric redshifts from their colours.

No spectroscopic redshift of them is known. The redshifts from colours are good to about 0.015, and mean something for
the bright galaxies only (r < 18.3); of those, the clean ones have no neighbour or star on top. So few galaxies tell
whether a model works on real images at all, not how well: nothing is to be fitted to them.
"""

import argparse

import numpy as np
from _timing import print_table
from astropy.table import Table
from scipy.stats import spearmanr

import astro_photz
from astro_photz.flags import FLAG_MEANINGS, PhotozFlag
from helpers import SHARED

BRIGHT = 18.3


def deviations(estimate, reference):
    """Deviations in units of (1 + z)."""
    return (estimate - reference) / (1 + reference)


def summarise(name, table):
    """A row of the table of results."""
    z, reference = np.ma.filled(table["z_phot"], np.nan), np.asarray(table["z_photometric"])
    known = np.isfinite(z)
    z, reference = z[known], reference[known]
    deviation = deviations(z, reference)
    # What the best single number for all would reach.
    constant = deviations(np.average(reference, weights=(1 + reference) ** -2), reference)
    numbers = (
        spearmanr(z, reference).statistic,
        np.sqrt(np.mean(deviation**2)),
        np.median(deviation),
        np.sqrt(np.mean(constant**2)),
    )
    return name, str(len(table)), str(known.sum()), *(f"{number:.4f}" for number in numbers)


def draw(cutouts, table, path):
    """Draw galaxies, with the redshift from their colours under ours."""
    from astro_photz.plots import plot_galaxies

    model = table.meta["z_phot"]["model"]
    figure = plot_galaxies(cutouts, table, title=f"Real galaxies: redshifts by {model}, and from colours")
    for axis, row in zip(figure.axes, table, strict=False):
        note = "" if row["clean"] else " (not clean)"
        axis.set_title(f"{axis.get_title()}\ncolours {row['z_photometric']:.3f}{note}", fontsize=8)
    figure.savefig(path, dpi=110)


def main():
    """Print the tables, and draw the picture if it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", help="name or folder of a model (default: that of astro_photz.conf)")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the bright galaxies (not to be committed)")
    args = parser.parse_args()
    if not SHARED.is_dir():
        parser.exit(1, f"there are no real galaxies here: {SHARED} is missing\n")

    galaxies = Table.read(SHARED / "real_galaxies.ecsv")
    source = astro_photz.FrameDirectory(SHARED / "sdss_frames", data_release=17)
    table = astro_photz.predict(galaxies, source=source, model=args.model)
    bright = np.asarray(table["r_aper"]) < BRIGHT
    clean = bright & np.ma.filled(table["clean"], False)

    record = table.meta["z_phot"]
    print(f"{record['model']} {record['model_version']}, trained on {record['trained_on']}; {record['source']}")
    print(f"{len(galaxies)} galaxies, {len(galaxies) - len(table)} lost, {np.sum(~table['z_phot'].mask)} estimated.\n")
    rows = [summarise(name, table[which]) for name, which in (("clean", clean), (f"r < {BRIGHT}", bright))]
    print_table(("", "galaxies", "estimated", "Spearman", "rms Δz", "median Δz", "rms of a constant"), rows)
    counts = [(name, str(np.sum(table["z_phot_flags"] & getattr(PhotozFlag, name) > 0))) for name in FLAG_MEANINGS]
    print_table(("flag", "galaxies"), [row for row in counts if row[1] != "0"])
    columns = ("field", "r_aper", "z_photometric", "z_phot", "z_phot_err", "z_phot_flags", "clean")
    shown = table[bright][columns]
    shown.sort("z_photometric")
    for name in columns[3:5]:
        shown[name].format = ".4f"
    shown.pprint(max_lines=-1, max_width=-1)

    if args.plot:
        cutouts = astro_photz.fetch(galaxies[bright], source=source)
        draw(cutouts, table[bright], args.plot)
        print(f"\nwrote {args.plot}")


if __name__ == "__main__":
    main()
