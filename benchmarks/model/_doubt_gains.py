# Licensed under a 3-clause BSD style license - see LICENSE
"""What doubts are worth, and what they cost: a contaminated sample, the most doubtful of a clean one, `z_phot_ood`."""

import gc
from contextlib import contextmanager
from functools import partial

import numpy as np

from astro_photz import conf, metrics
from astro_photz.inference.engine import batches_of, estimate_batches
from benchmarks.common.timing import alternate, measure

from ._doubt_judging import NEW, Judged, Wanted, value_row
from ._report import bootstrap_error

__all__ = ["contaminated", "cost", "dropping", "ood_of_clean"]

FAULTS, POINTS = 0.05, 0.10  # shares of a contaminated sample
_DROPPED = 0.05  # share of the clean
_THIRD, _NEARLY, _HALF = 1 / 3, 1.02, 0.5
_CHEAP = 0.4  # of the encoder's time


def contaminated(clean, redshift, faults, points, rng):
    """
    Rows about a sample of galaxies, with 5 % of stamps with faults and 10 % of stars in it.

    ``clean`` (N,) are galaxies with the ``redshift`` (N,); ``faults`` pairs of estimates and true redshifts, each kind
    as frequent; of ``points`` (M,) the redshift is 0.
    """
    whole = len(clean) / (1 - FAULTS - POINTS)
    each = [rng.choice(len(judged), round(FAULTS * whole / len(faults))) for judged, _ in faults]
    stars = points[rng.choice(len(points), round(POINTS * whole))]
    parts = [clean, *(judged[rows] for (judged, _), rows in zip(faults, each, strict=True)), stars]
    truths = [redshift, *(truth[rows] for (_, truth), rows in zip(faults, each, strict=True)), np.zeros(len(stars))]
    judged, truth = Judged.join(parts), np.concatenate(truths)
    deviation, good = judged.deviation(truth), judged.good
    samples = {
        "clean galaxies": clean.deviation(redshift),
        f"clean galaxies with {100 * FAULTS:.0f} % of faults and {100 * POINTS:.0f} % of stars": deviation,
        "the same without a BAD flag": deviation[good],
    }
    samples = {name: one[np.isfinite(one)] for name, one in samples.items()}
    rows = [figure for name, one in samples.items() for figure in _figures(name, one)]
    pure, mixed, kept = samples.values()
    return [
        *rows,
        value_row(
            "η without a BAD flag, over that of all", _ratio(metrics.eta, kept, mixed), Wanted("value", "≤", _THIRD)
        ),
        value_row(
            "σ_MAD without a BAD flag, over that of clean galaxies",
            _ratio(metrics.sigma_mad, kept, pure),
            Wanted("value", "≤", _NEARLY),
        ),
    ]


def _figures(name, deviation):
    for told, metric in (("η", metrics.eta), ("σ_MAD", metrics.sigma_mad)):
        error = bootstrap_error(metric, deviation)
        yield value_row(f"{told} of {name}", metric(deviation), n=len(deviation), error=error)


def _ratio(metric, one, other):
    return metric(one) / metric(other) if metric(other) else np.nan


def dropping(clean, redshift):
    """Rows about clean galaxies (N,), all and less the 5 % most doubtful."""
    estimated = np.isfinite(clean.z)
    clean, redshift = clean[estimated], redshift[estimated]
    deviation = clean.deviation(redshift)
    kept = np.argsort(doubt_of(clean), kind="stable")[: round((1 - _DROPPED) * len(clean))]
    name = f"clean galaxies less the {100 * _DROPPED:.0f} % most doubtful"
    ratio, expected = _ratio(metrics.eta, deviation[kept], deviation), clean.doubt[kept].mean() / clean.doubt.mean()
    return [
        *_figures(name, deviation[kept]),
        value_row("η of these, over that of all clean galaxies", ratio, Wanted("value", "≤", _HALF)),
        value_row("the same ratio, as the PDFs expect it", expected),
    ]


def doubt_of(judged):
    """
    Rank estimates (N,) by how doubtful they are.

    It is the PDF's own probability of an outlier, and half as much again for a stranger or a new flag.
    """
    strange = np.nan_to_num(judged.ood, nan=1.0) < 0.02
    return judged.doubt * (1 + 0.5 * (strange | judged.having(NEW)))


def ood_of_clean(clean, groups):
    """
    A row about ``z_phot_ood`` of clean galaxies; none if there is no score.

    ``groups`` (N,) are the real galaxies that they were drawn from. The reference ranks by a sample of about as many of
    another split, which adds as much to the distance that comes about by chance.
    """
    known = np.isfinite(clean.ood)
    if not known.any():
        return []
    ood, groups = clean.ood[known], groups[known]
    by_chance = round(np.sqrt(2) * metrics.pit_ks_by_chance(ood, groups=groups), 3)
    name = "KS distance from uniform of z_phot_ood of clean galaxies"
    return [value_row(name, metrics.pit_ks(ood), Wanted("value", "≤", by_chance), n=len(ood))]


def cost(model, cutouts, *, repeats=5):
    """
    Rows about the cost of flags and score: milliseconds of a galaxy, and over the time of the encoder alone.

    The least of several runs in turn counts, of all on one thread.
    """
    batches = list(batches_of(cutouts, progress=False))

    def everything():
        for _ in estimate_batches((batch for batch in batches), model):
            pass

    def encoder():
        for batch in batches:
            model.embed(batch.cutouts)

    def graphs():
        for batch in batches:
            model.pdf(model.embed(batch.cutouts))

    with _without_collection(), conf.set_temp("inference_threads", 1):
        functions = {one.__name__: partial(measure, one) for one in (everything, graphs, encoder)}
        results = alternate(functions, repeats=repeats)
    least = {name: min(one.cpu for one in costs) for name, costs in results.items()}
    flags = least["everything"] - least["graphs"]
    each = 1000 / len(cutouts)
    return [
        value_row("encoder, ms a galaxy", each * least["encoder"]),
        value_row("flags and score, ms a galaxy", each * flags),
        value_row("flags and score, over the encoder's time", flags / least["encoder"], Wanted("value", "≤", _CHEAP)),
    ]


@contextmanager
def _without_collection():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
