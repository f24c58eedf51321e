# Licensed under a 3-clause BSD style license - see LICENSE
"""
What is alike between a galaxy and those that a search finds, for several ways to compare galaxies.

Simulated galaxies of the test split, which no training has seen, search among each other. Of the ten nearest, the table
tells how often the type agrees, and how redshift, g - r, size and inclination scatter about those of the query. A
changed copy of a galaxy, and the same galaxy observed anew (other noise, seeing, place and neighbours), shall find it
first among all. The second table tells how well the ten nearest have a feature that the query has: nDCG@10. Errors are
by bootstrap over the queries.
"""

import argparse

import numpy as np

from astro_photz import Cutouts
from astro_photz.dust import redden
from astro_photz.evaluation._cells import with_error
from astro_photz.photometry import sky_rms
from astro_photz.similarity.models import search_model
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table
from benchmarks.model._report import measured as with_its_error

from ._figures import neighbours, rank_of_own
from ._methods import methods
from ._traits import features_of
from ._twice import observed_twice

TEXT = (
    "Share of the ten nearest that have the query's type; scatter of their redshift, colour, size and inclination "
    "(degrees) about the query's; share of galaxies, observed anew or changed, that find themselves first, or among a "
    "hundred; and nDCG@10 of features."
)
SEED = 2903
K = 10
EXTRA_EBV = 0.2
MORE_NOISE = 1.4


def copies(cutouts, seed=0):
    """Yield names and changed copies of cutouts."""
    flux, ebv = cutouts.flux, cutouts.ebv
    yield "turned", Cutouts(np.ascontiguousarray(np.rot90(flux, axes=(2, 3))), ebv=ebv)
    yield "mirrored", Cutouts(np.ascontiguousarray(flux[..., ::-1]), ebv=ebv)
    more = np.full(len(cutouts), EXTRA_EBV, dtype=np.float32)
    yield "reddened", Cutouts(redden(flux, ebv=more), ebv=ebv + more)
    noise = np.random.default_rng(seed).standard_normal(flux.shape, dtype=np.float32)
    added = np.sqrt(MORE_NOISE**2 - 1) * sky_rms(flux)[..., None, None]
    yield "noisier", Cutouts(flux + noise * added.astype(np.float32), ebv=ebv)


def simulated(n, again):
    """Observations of n galaxies, second ones of the first few, truth and labels."""
    blocks = list(observed_twice(n, seed=SEED, split="test", again=again))
    truth = {name: np.concatenate([np.asarray(one.truth[name]) for one in blocks]) for name in blocks[0].truth.colnames}
    labels = [features_of(one.shape, one.truth) for one in blocks]
    labels = {name: tuple(np.concatenate([one[name][i] for one in labels]) for i in (0, 1)) for name in labels[0]}
    first, second = _joined([one.first for one in blocks]), _joined([one.second for one in blocks])[:again]
    return first, second, truth, labels


def _joined(parts):
    return Cutouts(np.concatenate([one.flux for one in parts]), ebv=np.concatenate([one.ebv for one in parts]))


def scatter(difference):
    """Scatter of differences (M, K) from the queries: 1.48 times the median absolute one."""
    return 1.4826 * np.nanmedian(np.abs(difference))


def gains(label, found):
    """
    Normalised discounted cumulative gain of each query (M,), from the labels (N,) of what it found (M, K).

    Järvelin & Kekäläinen 2002, ACM TOIS 20, 422.
    """
    weight = 1 / np.log2(np.arange(2, K + 2))
    return (label[found] * weight).sum(axis=1) / weight.sum()


def measured(method, first, second, changed, truth, labels):
    """Values of each query by the name of a figure, with the statistic that makes the figure of them; and gains."""
    n = len(second)
    vectors, rows = method(first), np.arange(n)
    found = neighbours(vectors, K, rows=rows)
    magnitude = -2.5 * np.log10(truth["flux"])
    told = {
        "Δz/(1+z)": np.log1p(truth["redshift"]),
        "g-r": magnitude[:, 1] - magnitude[:, 2],
        "ln R50": np.log(truth["half_light_radius"]),
        "inclination": truth["inclination"],
    }
    figures = {"type": (np.mean, (truth["early"][found] == truth["early"][rows][:, None]).mean(axis=1))}
    figures |= {name: (scatter, values[found] - values[rows][:, None]) for name, values in told.items()}
    rank = rank_of_own(vectors, method(second), rows)
    figures |= {"anew, first": (np.mean, rank == 0), "anew, hundred": (np.mean, rank < 100)}
    for name, cutouts in changed.items():
        figures[name] = np.mean, rank_of_own(vectors, method(cutouts), rows) == 0
    for name, (label, eligible) in labels.items():
        among = np.flatnonzero(eligible)
        some = np.flatnonzero(label[among])[:n]
        figures[f"nDCG: {name}"] = np.mean, gains(label[among], neighbours(vectors[among], K, rows=some))
    return figures


def row_of(name, figures):
    """Row of a table: each figure with its error."""
    row = {"method": name}
    for figure, (statistic, values) in figures.items():
        row |= with_its_error(figure, statistic, values)
    return row


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--n", type=int, default=20_000, help="galaxies to search among (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=2_000, help="galaxies that search (default: %(default)s)")
    parser.add_argument("--model", help="name or folder of a pretrained model (default: the bundled one)")
    parser.add_argument("--output", metavar="FILE.json", help="file for the figures")
    args = parser.parse_args()
    print(f"{args.n} simulated galaxies of the test split; {args.queries} search among them\n")
    first, second, truth, labels = simulated(args.n, args.queries)
    queries = first[: args.queries]
    changed = dict(copies(queries))
    model = search_model(args.model)
    rows = [
        row_of(name, measured(method, first, second, changed, truth, labels))
        for name, method in methods(args.model, first).items()
    ]
    shown(rows)
    shares = ", ".join(f"{name} {label[among].mean():.3f}" for name, (label, among) in labels.items())
    print(f"share of galaxies with a feature: {shares}")
    if args.output:
        title = f"Neighbours among {args.n:,} simulated galaxies"
        columns = {name: name for name in figures_of(rows)}
        result = {"kind": "table", "simulated": True, "title": title, "text": TEXT, "columns": columns, "rows": rows}
        write_result(args.output, result, model=model)


def figures_of(rows):
    """Names of the figures of rows."""
    return [name for name in rows[0] if name != "method" and not name.endswith("_err")]


def shown(rows):
    """Print the rows in two tables."""
    names = figures_of(rows)
    for gain in (False, True):
        some = [name for name in names if name.startswith("nDCG") == gain]
        print_table(("", *some), [(row["method"], *(_shown(row, name) for name in some)) for row in rows])


def _shown(row, name):
    return with_error(row[name], row.get(f"{name}_err", np.nan), 3)


if __name__ == "__main__":
    main()
