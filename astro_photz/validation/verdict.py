# Licensed under a 3-clause BSD style license - see LICENSE
"""
The verdict of a validation in plain sentences, with what it cannot tell.
"""

import math

from astro_photz.metrics import OUTLIER

from .numbers import FEWEST
from .pairing import BY_ROW

__all__ = ["ENOUGH", "verdict_of", "with_error"]

ENOUGH = 30
"""Independent galaxies from which the calibration of PDFs is judged."""

_SIGNIFICANT = 2.0  # errors by which a number differs from another
_LEVEL = 0.95


def verdict_of(validation):
    """
    Put the numbers of a validation into sentences.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    list of str
    """
    parts = (_sample, _size, _bias, _scatter, _outliers, _coverage, _pit, _beyond, _flags)
    return [sentence for part in parts for sentence in part(validation)]


def with_error(value, error):
    """
    Write a number and its error to two digits of the error.

    Parameters
    ----------
    value, error : float
        The error may be NaN.

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz.validation.verdict import with_error
    >>> with_error(-0.01234, 0.00056), with_error(0.5, float("nan"))
    ('-0.01234 +/- 0.00056', '0.50000')
    """
    if not error > 0:  # NaN too
        return f"{value:.5f}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} +/- {error:.{digits}f}"


def _sample(validation):
    sample = validation.sample
    left = ", ".join(f"{number} have {reason}" for reason, number in sample["not_used"].items())
    rows = f"{sample['n_used']} of {sample['n_rows']} rows have a redshift and an estimate"
    yield f"{rows}{': ' + left if left else ''}."
    if sample.get("n_trained_on"):
        yield f"The model was trained on {_galaxies(sample['n_trained_on'])} of these: all figures are too good."
    if sample.get("model_at_hand") is False:
        yield (
            f"It cannot be told whether the model {sample['model'].get('name')!r} was trained on these: it is not at "
            "hand. Give it by model=."
        )
    if sample.get("paired_by") == BY_ROW:
        yield "The file of PDFs has no identifiers: its rows are taken to be those of the table, in the same order."
    if sample.get("simulated"):
        yield "The images are simulated: real ones may be harder."
    if sample["kind"] == "Gaussian PDFs":
        yield "The PDFs are Gaussians of the estimate and its error, which are not cut off at a redshift of 0."
    if sample["kind"] in ("intervals", "point estimates"):
        yield "There are no PDFs: nothing is known of the PIT, the CRPS and the log score."


def _size(validation):
    sample = validation.sample
    n, used = sample["n_independent"], sample["n_used"]
    if n < used:
        yield f"The {used} galaxies are {n} independent ones: the others belong to one of these."
    if not sample["enough"]:
        yield (
            f"{_galaxies(n)} {'is' if n == 1 else 'are'} too few to tell whether PDFs are calibrated, or how rare "
            f"outliers are: that takes {ENOUGH} or more."
        )


def _bias(validation):
    value, error = validation.overall["bias"], validation.errors["bias"]
    if validation.sample["n_independent"] < FEWEST:
        yield f"The bias is {value:.4f}; its error is not known with fewer than {FEWEST} galaxies."
        return
    told = with_error(value, error)
    if abs(value) <= _SIGNIFICANT * error:
        yield f"The bias of {told} is compatible with 0."
    elif error > 0:
        yield f"The bias of {told} differs from 0 by {abs(value) / error:.1f} errors."
    else:
        yield f"The bias is {told}."


def _scatter(validation):
    overall, errors = validation.overall, validation.errors
    if validation.sample["n_independent"] < 2:
        return  # of one galaxy it is 0
    told = (f"{name} is {with_error(overall[name], errors[name])}" for name in ("sigma_mad", "sigma68"))
    yield f"The scatter {' and '.join(told)}, in units of 1 + z."


def _outliers(validation):
    n, share = validation.sample["n_independent"], validation.overall["eta"]
    number = round(share * validation.overall["n"])
    told = (
        f"{number} of {_galaxies(validation.overall['n'])} {'is an outlier' if number == 1 else 'are outliers'}, off "
        f"by more than {OUTLIER}"
    )
    if n < FEWEST:
        yield f"{told}."
        return
    low, high = _bounds(share * n, n)
    yield f"{told}: {100 * share:.1f} %, between {100 * low:.1f} and {100 * high:.1f} % with 95 % confidence."


def _bounds(successes, n):
    """Bounds of a share of 95 % confidence, by Clopper & Pearson (1934)."""
    from scipy.stats import beta

    tail = (1 - _LEVEL) / 2
    low = beta.ppf(tail, successes, n - successes + 1) if successes > 0 else 0.0
    high = beta.ppf(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return float(low), float(high)


def _coverage(validation):
    if "coverage68" not in validation.overall or not validation.sample["enough"]:
        return
    for level in (68, 95):
        share, error = (part.get(f"coverage{level}", math.nan) for part in (validation.overall, validation.errors))
        if math.isnan(share):
            continue
        expected = level / 100
        # by chance, for PDFs that are calibrated; the error of the share itself vanishes where all are inside
        chance = max(error, math.sqrt(expected * (1 - expected) / validation.sample["n_independent"]))
        told = f"The central {level} % intervals hold {100 * share:.1f} +/- {100 * error:.1f} % of the redshifts"
        if abs(share - expected) <= _SIGNIFICANT * chance:
            yield f"{told}, as they should."
        else:
            yield f"{told}: they are too {'narrow' if share < expected else 'wide'}."


def _pit(validation):
    if "pit_ks" not in validation.overall or not validation.sample["enough"]:
        return
    names = {"pit_ks": "Kolmogorov-Smirnov", "pit_ad": "Anderson-Darling"}
    # by chance to two digits, which is what the bootstrap knows of them
    by_chance = {name: float(f"{getattr(validation, f'{name}_by_chance'):.2g}") for name in names}
    found = {name: (validation.overall[name], by_chance[name]) for name in names}
    told = [
        f"{names[name]} distance {value:.3g}, of calibrated PDFs below {chance:g} in 95 % of samples"
        for name, (value, chance) in found.items()
    ]
    uneven = [name for name, (value, chance) in found.items() if value > chance]
    meaning = "the PDFs are not calibrated" if uneven else "chance can make it so uneven, the PDFs may be calibrated"
    yield f"PIT: {'; '.join(told)}: {meaning}."


def _beyond(validation):
    sample = validation.sample
    if sample.get("n_beyond_grid"):
        low, high = sample["grid"]
        yield (
            f"{sample['n_beyond_grid']} true redshifts lie beyond the grid of the PDFs, {low:g} to {high:g}, which "
            "gives them no probability."
        )


def _flags(validation):
    flagged = validation.sample.get("n_flagged")
    if not flagged:
        return
    if not validation.unflagged:
        yield "Every galaxy has a flag: none is beyond doubt."
        return
    values, errors = validation.unflagged, validation.unflagged_errors
    names = ("sigma_mad", "eta") if values["eta"] > 0 else ("sigma_mad",)
    told = ", ".join(f"{name} {with_error(values[name], errors[name])}" for name in names)
    told += f", of {values['n']}" if values["eta"] > 0 else f", and no outlier among {values['n']}"
    yield f"Without the {_galaxies(flagged)} with a flag: {told}."


def _galaxies(n):
    return f"{n} galaxy" if n == 1 else f"{n} galaxies"
