# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshifts of the real galaxies in ``../shared``, cut from real frames, beside spectroscopic and photometric ones.

Of a dozen, a spectroscopic redshift of SDSS is known, and that it is theirs is certain (grade A) or very likely (B). Of
the others there are redshifts from their colours, good to about 0.015, which mean something for the bright galaxies
only (r < 18.3); of those, the clean ones have no neighbour or star on top. So few galaxies tell whether a model works
on real images at all, not how well: nothing is to be fitted to them. ``--output`` writes the figures for the model card
(``astro-photz card``).
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.stats import spearmanr

import astro_photz
from astro_photz import metrics
from astro_photz.flags import BAD, FLAG_MEANINGS, PhotozFlag, with_names
from benchmarks.common.data import SHARED, require
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

BRIGHT = 18.3
SPECTROSCOPIC = 18.7  # r of the galaxies with spectroscopic redshifts: to there the sample is that of the training
COLOURS_ERROR = 0.015  # of the redshifts from colours, in units of 1 + z
COLUMNS = {
    "spearman": "rank correlation (Spearman)",
    "rms": "rms of Δz",
    "median": "median of Δz",
    "rms_expected": "rms by the errors",
    "rms_constant": "rms of one redshift for all",
    "rms_pull": "rms of Δz over its error",
}
TEXT = (
    "Galaxies cut from real frames. The first rows have spectroscopic redshifts of SDSS, whose match with the galaxy "
    "is certain or very likely. Beside the estimates of the others stand redshifts from the catalogue's colours, good "
    "to about 0.015, which is part of the rms and of the error that are to be expected. Their redshifts had no part in "
    "the training, nor in any choice; but the simulation's background, noise and blur, and how the colours of its "
    "galaxies change outwards, were set by four of these six fields. So few tell whether the model works on real "
    "images at all, not how well. The frames, of the fields 1043-5-25, 1992-1-87, 3184-2-169, 7264-3-111, 2820-3-122 "
    "and 5112-4-345 of SDSS, and the lists of the galaxies do not come with the source tree, without which these "
    "figures cannot be made again."
)


def summarise(name, table, reference, uncertainty):
    """A row of the table of results, as the model card takes it; ``reference`` names the column of redshifts."""
    table = table[~np.ma.getmaskarray(table["z_phot"])]
    z, error, reference = (np.asarray(table[column]) for column in ("z_phot", "z_phot_err", reference))
    deviation = metrics.deviation(z, reference)
    # What the best single number for all would reach.
    constant = metrics.deviation(np.average(reference, weights=(1 + reference) ** -2), reference)
    expected = np.hypot(error / (1 + reference), uncertainty)
    return {
        "method": name,
        "n": len(table),
        "spearman": float(spearmanr(z, reference).statistic),
        "rms": rms(deviation),
        "median": float(np.median(deviation)),
        "rms_expected": rms(expected),
        "rms_constant": rms(constant),
        "rms_pull": rms(deviation / expected),
    }


def rms(values):
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


def show(table, columns):
    """Print a line for each galaxy, in the order of the last column."""
    shown = with_names(table)[(*columns, "z_phot", "z_phot_err", "z_phot_flags")]
    shown.sort(columns[-1])
    for name in ("z_phot", "z_phot_err"):
        shown[name].format = ".4f"
    print()
    shown.pprint(max_lines=-1, max_width=-1)


def draw(cutouts, table, path):
    """Draw galaxies, with the redshift from their colours under ours."""
    from astro_photz.plots.images import plot_galaxies

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
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write the result for the model card")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the bright galaxies (not to be committed)")
    args = parser.parse_args()
    require()

    galaxies = Table.read(SHARED / "real_galaxies.ecsv")
    known = Table.read(SHARED / "real_spectroscopic.ecsv")
    source = astro_photz.FrameDirectory(SHARED / "sdss_frames", data_release=17)
    table = astro_photz.predict(galaxies, source=source, model=args.model)
    known = astro_photz.predict(known[np.isin(known["grade"], ["A", "B"])], source=source, model=args.model)
    near = np.asarray(known["r_auto"]) < SPECTROSCOPIC
    bright = np.asarray(table["r_aper"]) < BRIGHT
    clean = bright & np.ma.filled(table["clean"], False)

    record = table.meta["z_phot"]
    print(f"{record['model']} {record['model_version']}, trained on {record['trained_on']}; {record['source']}")
    print(f"{len(galaxies)} galaxies, {len(galaxies) - len(table)} lost, {np.sum(~table['z_phot'].mask)} estimated.\n")
    good = near & ((known["z_phot_flags"] & BAD) == 0)
    rows = [
        summarise(f"spectroscopic: r < {SPECTROSCOPIC}", known[near], "z_spec", 0.0),
        summarise(f"spectroscopic: r < {SPECTROSCOPIC}, no BAD flag", known[good], "z_spec", 0.0),
        summarise(f"colours: r < {BRIGHT}, nothing on top", table[clean], "z_photometric", COLOURS_ERROR),
        summarise(f"colours: r < {BRIGHT}", table[bright], "z_photometric", COLOURS_ERROR),
    ]
    told = [(row["method"], str(row["n"]), *(f"{row[name]:.4f}" for name in COLUMNS)) for row in rows]
    print_table(("", "estimated", *COLUMNS.values()), told)
    counts = [(name, str(np.sum(table["z_phot_flags"] & getattr(PhotozFlag, name) > 0))) for name in FLAG_MEANINGS]
    print_table(("flag", "galaxies"), [row for row in counts if row[1] != "0"])
    show(known, ("field", "grade", "r_auto", "z_spec"))
    show(table[bright], ("field", "clean", "r_aper", "z_photometric"))

    if args.output:
        result = {"kind": "table", "simulated": False, "title": "Real galaxies", "text": TEXT, "columns": COLUMNS}
        write_result(args.output, result | {"rows": rows}, model=astro_photz.load_model(args.model))
    if args.plot:
        cutouts = astro_photz.fetch(galaxies[bright], source=source)
        draw(cutouts, table[bright], args.plot)
        print(f"\nwrote {args.plot}")


if __name__ == "__main__":
    main()
