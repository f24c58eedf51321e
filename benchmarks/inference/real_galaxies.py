# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshifts of the real galaxies in ``../shared``, cut from real frames, beside photometric redshifts from their colours.

No spectroscopic redshift of them is known. The redshifts from colours are good to about 0.015, and mean something for
the bright galaxies only (r < 18.3); of those, the clean ones have no neighbour or star on top. So few galaxies tell
whether a model works on real images at all, not how well: nothing is to be fitted to them. ``--output`` writes the
figures for the model card (``astro-photz card``).
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.stats import spearmanr

import astro_photz
from astro_photz import metrics
from astro_photz.flags import FLAG_MEANINGS, PhotozFlag
from benchmarks.common.data import SHARED, require
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

BRIGHT = 18.3
COLOURS_ERROR = 0.015  # of the redshifts from colours, in units of 1 + z
COLUMNS = {
    "spearman": "rank correlation (Spearman)",
    "rms": "rms of Δz",
    "median": "median of Δz",
    "rms_expected": "rms by the errors",
    "rms_constant": "rms of one redshift for all",
}
TEXT = (
    "Galaxies cut from real frames; of none is the spectroscopic redshift known. Beside estimates stand redshifts "
    "from the catalogue's colours, good to about 0.015, which is part of the rms that is to be expected. Their "
    "redshifts had no part in the training, nor in any choice; but the simulation's background, noise and blur, and "
    "how the colours of its galaxies change outwards, were set by these same four fields. So few tell whether the "
    "model works on real images at all, not how well. The frames, of the fields 1043-5-25, 1992-1-87, 3184-2-169 "
    "and 7264-3-111 of SDSS, and the list of the galaxies do not come with the source tree, without which these "
    "figures cannot be made again."
)


def summarise(name, table):
    """A row of the table of results, as the model card takes it."""
    table = table[~np.ma.getmaskarray(table["z_phot"])]
    z, error, reference = (np.asarray(table[column]) for column in ("z_phot", "z_phot_err", "z_photometric"))
    deviation = metrics.deviation(z, reference)
    # What the best single number for all would reach.
    constant = metrics.deviation(np.average(reference, weights=(1 + reference) ** -2), reference)
    return {
        "method": name,
        "n": len(table),
        "spearman": float(spearmanr(z, reference).statistic),
        "rms": rms(deviation),
        "median": float(np.median(deviation)),
        "rms_expected": rms(np.hypot(error / (1 + reference), COLOURS_ERROR)),
        "rms_constant": rms(constant),
    }


def rms(values):
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


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
    source = astro_photz.FrameDirectory(SHARED / "sdss_frames", data_release=17)
    table = astro_photz.predict(galaxies, source=source, model=args.model)
    bright = np.asarray(table["r_aper"]) < BRIGHT
    clean = bright & np.ma.filled(table["clean"], False)

    record = table.meta["z_phot"]
    print(f"{record['model']} {record['model_version']}, trained on {record['trained_on']}; {record['source']}")
    print(f"{len(galaxies)} galaxies, {len(galaxies) - len(table)} lost, {np.sum(~table['z_phot'].mask)} estimated.\n")
    rows = [
        summarise(name, table[which])
        for name, which in ((f"r < {BRIGHT}, nothing on top", clean), (f"r < {BRIGHT}", bright))
    ]
    told = [(row["method"], str(row["n"]), *(f"{row[name]:.4f}" for name in COLUMNS)) for row in rows]
    print_table(("", "estimated", *COLUMNS.values()), told)
    counts = [(name, str(np.sum(table["z_phot_flags"] & getattr(PhotozFlag, name) > 0))) for name in FLAG_MEANINGS]
    print_table(("flag", "galaxies"), [row for row in counts if row[1] != "0"])
    columns = ("field", "r_aper", "z_photometric", "z_phot", "z_phot_err", "z_phot_flags", "clean")
    shown = table[bright][columns]
    shown.sort("z_photometric")
    for name in columns[3:5]:
        shown[name].format = ".4f"
    shown.pprint(max_lines=-1, max_width=-1)

    if args.output:
        result = {"kind": "table", "simulated": False, "title": "Real galaxies", "text": TEXT, "columns": COLUMNS}
        write_result(args.output, result | {"rows": rows}, model=astro_photz.load_model(args.model))
    if args.plot:
        cutouts = astro_photz.fetch(galaxies[bright], source=source)
        draw(cutouts, table[bright], args.plot)
        print(f"\nwrote {args.plot}")


if __name__ == "__main__":
    main()
