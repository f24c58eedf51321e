# Licensed under a 3-clause BSD style license - see LICENSE
"""
Time and memory of ``astro_photz.validate`` on one thread, and how often its errors hold the truth.

The table has photometric redshifts with PDFs already; its galaxies have magnitudes, E(B-V), seeing and flags, so that
all bins are filled. The baseline is the bootstrap as one would write it first: each sample written out, and its metrics
computed from scratch. The second part draws samples of galaxies whose errors and PDFs are known, and counts in how many
the truth lies within one bootstrap error: 68 % of them, if the errors are right.
"""

import argparse
from functools import partial

import numpy as np
from astropy.table import Table

from astro_photz import metrics
from astro_photz.pdf.columns import pdf_column
from benchmarks.common.timing import measure, peak_memory, print_table, use_one_thread

EDGES = np.linspace(0, 0.4, 181)
WIDTH = 0.015  # of the PDFs
SCATTER = 0.02  # of the deviations in the simulation of errors
TRUTH = {"bias": 0.0, "sigma_mad": SCATTER, "sigma68": 0.994458 * SCATTER, "coverage68": 0.68}  # of normal deviations


def make_table(n, seed=0):
    """Galaxies with redshifts, and PDFs that are calibrated: Gaussians about a scattered centre."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.06, 0.3, n)
    centre = rng.normal(truth, WIDTH)
    p = np.empty((n, EDGES.size - 1), dtype=np.float32)
    for start in range(0, n, 10_000):
        off = ((EDGES[1:] + EDGES[:-1]) / 2 - centre[start : start + 10_000, np.newaxis]) / WIDTH
        block = np.exp(-0.5 * off**2)
        p[start : start + 10_000] = block / block.sum(axis=1, keepdims=True)
    table = Table({"objid": np.arange(n), "ra": rng.uniform(120, 240, n), "dec": rng.uniform(0, 60, n)})
    table["z_spec"], table["z_phot"] = truth, centre.astype(np.float32)
    table["z_phot_err"] = np.full(n, WIDTH, dtype=np.float32)
    table["z_phot_flags"] = np.where(rng.random(n) < 0.2, 1 << rng.integers(5, 9, n), 0).astype(np.int32)
    table["z_phot_pdf"] = pdf_column(p, EDGES)
    table["r_mag"], table["ebv"] = rng.uniform(14, 18, n), rng.uniform(0, 0.2, n)
    table["seeing"] = rng.uniform(0.9, 1.6, n)
    return table


def written_out(scores, resamples):
    """The bootstrap of a sample, each drawn sample written out."""
    rows = metrics.resampled(len(scores.deviation), resamples=resamples)
    return np.array([[metric(scores.of(one)) for metric in metrics.METRICS.values()] for one in rows]).std(axis=0)


def cost(n, resamples):
    """Print what a validation takes, and its bootstrap beside the baseline."""
    from astro_photz.validation import validate

    table = make_table(n)
    before = peak_memory()
    done = measure(lambda: validate(table, resamples=resamples))
    print(f"validate: {n} galaxies, {EDGES.size - 1} bins of redshift, {resamples} samples of the bootstrap.")
    rows = [("validate", f"{done.wall:.1f}", f"{done.cpu:.1f}", f"{peak_memory():.0f}", f"{before:.0f}")]
    print_table(("", "s", "CPU s", "peak MB", "of these before"), rows)

    rng = np.random.default_rng(1)
    off = rng.normal(0, SCATTER, n)
    scores = metrics.Scores(off, np.abs(off), rng.random(n), rng.normal(size=n), rng.normal(size=n))
    few = max(2, resamples // 20)
    plain, ours = (measure(partial(function, scores, resamples=few)) for function in (written_out, metrics.bootstrap))
    rows = [
        (name, f"{one.cpu * resamples / few:.1f}", f"{plain.cpu / one.cpu:.1f}")
        for name, one in (("samples written out", plain), ("metrics.bootstrap", ours))
    ]
    print_table((f"bootstrap of {n} galaxies", f"CPU s for {resamples}", "times as fast"), rows)


def coverage(n, trials, resamples, *, members):
    """Shares of samples in which the truth lies within one error, by metric."""
    rng = np.random.default_rng(0)
    inside = dict.fromkeys(TRUTH, 0)
    groups = None if members == 1 else np.repeat(np.arange(n), members)
    for trial in range(trials):
        normal = np.repeat(rng.normal(size=n), members)
        pit = np.repeat(rng.random(n), members)
        scores = metrics.Scores(SCATTER * normal, np.abs(normal), pit)
        found = metrics.summary(scores)
        errors = metrics.bootstrap(scores, groups=groups, resamples=resamples, seed=trial)
        for name, truth in TRUTH.items():
            inside[name] += abs(found[name] - truth) <= errors[name]
    return {name: number / trials for name, number in inside.items()}


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--galaxies", type=int, default=100_000, help="rows of the table (default: %(default)s)")
    parser.add_argument("--resamples", type=int, default=200, help="samples of the bootstrap (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=1000, help="samples whose errors are judged; 0 for none")
    parser.add_argument("--sample", type=int, default=300, help="galaxies in each of these (default: %(default)s)")
    args = parser.parse_args()
    use_one_thread()

    if args.galaxies:
        cost(args.galaxies, args.resamples)
    if args.trials:
        rows = []
        for members in (1, 4):
            share = coverage(args.sample, args.trials, args.resamples, members=members)
            name = "independent" if members == 1 else f"each {members} times, as groups"
            rows.append((name, *(f"{100 * value:.1f}" for value in share.values())))
        print(f"Truth within one error, % of {args.trials} samples of {args.sample} galaxies (68.3 expected):\n")
        print_table(("", *TRUTH), rows)


if __name__ == "__main__":
    main()
