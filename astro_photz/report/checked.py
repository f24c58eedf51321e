# Licensed under a 3-clause BSD style license - see LICENSE
"""
The part of a page on redshifts that are known: figures of merit, their bins and graphs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from astro_photz.plots import plot_bins, plot_pit, plot_redshifts

from ._text import counted, number, percent
from .pictures import svg

if TYPE_CHECKING:
    from astro_photz.validation import Validation

__all__ = ["bin_tables", "checked_graphs", "metric_rows", "sample_facts"]

# Name, meaning, and the value of an estimate that could not be better.
_METRICS = {
    "bias": ("bias", "mean Δz"),
    "sigma_mad": ("σ_MAD", "1.4826 times the median absolute deviation of Δz"),
    "sigma68": ("σ68", "half of the range of the central 68 % of Δz"),
    "eta": ("η", "share of |Δz| > 0.05"),
    "crps": ("CRPS", "continuous ranked probability score of the PDF, in redshift: smaller is better"),
    "log_score": ("log score", "mean logarithm of the PDF at the true redshift: larger is better"),
    "cde_loss": ("CDE loss", "conditional density estimation loss: smaller is better"),
    "coverage68": ("in 68 %", "share of the true redshifts in the central 68 % of their PDF"),
    "coverage95": ("in 95 %", "share of the true redshifts in the central 95 % of their PDF"),
    "pit_ks": ("KS of the PIT", "Kolmogorov–Smirnov distance of the PIT from uniform"),
    "pit_ad": ("AD of the PIT", "Anderson–Darling statistic of the PIT against uniform"),
}
_BINS = {
    "r_mag": "r (mag)",
    "z_phot": "estimated redshift",
    "redshift": "true redshift",
    "ebv": "E(B−V) (mag)",
    "seeing": "seeing (arcsec)",
}
_RINGED = 300  # galaxies: more flagged ones would hide the others
_IN_BINS = ("bias", "sigma_mad", "eta", "coverage68")


def sample_facts(validation: Validation) -> list[tuple[str, str]]:
    """
    Describe the galaxies that a validation has used.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    list of (str, str)
        Name and value of each fact.
    """
    sample = validation.sample
    facts = [("known redshifts", str(sample["redshift"]))] if sample.get("redshift") else []
    facts += [("judged by", str(sample["kind"]))] if sample.get("kind") else []
    facts += [
        ("galaxies used", f"{sample['n_used']:,} of {sample['n_rows']:,}"),
        ("with a known redshift", f"{sample['n_redshift']:,}"),
        ("with an estimate", f"{sample['n_estimate']:,}"),
    ]
    facts += [(f"left out: {reason}", f"{n:,}") for reason, n in sample.get("not_used", {}).items() if n]
    independent = sample.get("n_independent", sample["n_used"])
    if independent != sample["n_used"]:
        facts.append(("independent among them", f"{independent:,}; errors are over these"))
    if sample.get("n_beyond_grid"):
        low, high = sample["grid"]
        facts.append(("beyond the PDFs", f"{counted(sample['n_beyond_grid'], 'redshift')} not in {low:g} to {high:g}"))
    if sample.get("n_trained_on") is not None:
        facts.append(("trained on by the model", f"{sample['n_trained_on']:,}"))
    if sample.get("simulated") is not None:
        facts.append(("images", "simulated" if sample["simulated"] else "real"))
    return facts


def metric_rows(validation: Validation) -> list[tuple[str, str, str, str]]:
    """
    Write the figures of merit of all galaxies, and of those without a flag.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    list of (str, str, str, str)
        Name, meaning and the two values of each; the last is empty where there are no flags.
    """
    chance = {name: getattr(validation, f"{name}_by_chance", None) for name in ("pit_ks", "pit_ad")}
    rows = []
    for name in _known(validation.overall):
        symbol, meaning = _METRICS.get(name, (name, ""))
        if chance.get(name) is not None:
            meaning += f"; above {number(chance[name], digits=3)} in one of twenty samples by chance"
        both = (validation.overall, validation.errors), (validation.unflagged, validation.unflagged_errors)
        first, second = (number(of[name], errors.get(name)) if name in of else "" for of, errors in both)
        rows.append((symbol, meaning, first, second))
    return rows


def _known(numbers: dict) -> Iterable[str]:
    names = [name for name in _METRICS if name in numbers]
    return names + [name for name in numbers if name not in _METRICS and name != "n"]


def bin_tables(validation: Validation) -> list[dict]:
    """
    Write the figures of merit in bins, and by flag.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    list of dict
        ``title``, ``head`` and ``rows`` of each table.
    """
    bins = {name: ones for name, ones in validation.bins.items() if name != "by_flag" and ones}
    tables = [
        _bin_table(_BINS.get(name, name), [(f"{one['low']:.3g} to {one['high']:.3g}", one) for one in ones])
        for name, ones in bins.items()
    ]
    flags = validation.bins.get("by_flag")
    return tables + ([_bin_table("flag", list(flags.items()))] if flags else [])


def _bin_table(title, ones):
    metrics = [name for name in _IN_BINS if any(name in one for _, one in ones)]
    head = [title, "galaxies", *(_METRICS[name][0] for name in metrics)]
    rows = [
        [label, f"{one['n']:,}", *(number(one.get(name), one.get("errors", {}).get(name)) for name in metrics)]
        for label, one in ones
    ]
    return {"title": title, "head": head, "rows": rows}


def checked_graphs(validation: Validation) -> list[dict]:
    """
    Draw the estimates against the known redshifts, the PIT, and the figures of merit in bins.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    list of dict
        ``svg`` and ``caption`` of each graph.
    """
    graphs = [_against_known(validation)]
    if validation.pit and sum(validation.pit):
        inside = [f"{percent(share)} in the central {percent(float(level))}" for level, share in _levels(validation)]
        graphs.append(
            {
                "svg": svg("pit", "histogram of the PIT", lambda axes: plot_pit(validation, ax=axes), size=(4.6, 4.8)),
                "caption": "Distribution of the PIT, the cumulative probability at the known redshift: even if the "
                "PDFs are right." + (f" True redshifts: {', '.join(inside)}." if inside else ""),
            }
        )
    return graphs + [
        _bin_graph(validation, name, metric)
        for name in _BINS
        for metric in ("bias", "sigma_mad")
        if any(metric in one for one in validation.bins.get(name) or ())
    ]


def _against_known(validation):
    n, n_clean = validation.sample["n_used"], int(validation.unflagged.get("n", 0))
    flagged = n - n_clean <= _RINGED or not n_clean
    of = counted(n if flagged else n_clean, "galaxy", "galaxies") + ("" if flagged else " without a flag")

    def draw(axes):
        plot_redshifts(validation, flagged=flagged, ax=axes)

    return {
        "svg": svg("redshifts", "estimated against known redshift", draw, size=(4.6, 4.8)),
        "caption": f"Estimates of {of} against their known redshifts, and Δz. Lines: equality, and |Δz| = 0.05, beyond "
        "which a galaxy is an outlier.",
    }


def _levels(validation):
    wanted = (0.5, 0.68, 0.9, 0.95)
    return [(level, share) for level, share in validation.coverage.items() if round(float(level), 3) in wanted]


def _bin_graph(validation, name, metric):
    def draw(axes):
        plot_bins(validation, name, metric, ax=axes)

    told = f"{_METRICS[metric][0]} in bins of {_BINS[name]}"
    caption = f"In bins of {_BINS[name]}: {_METRICS[metric][0]}, and numbers of galaxies."
    return {"svg": svg(f"bins-{name}-{metric}", told, draw, size=(4.6, 2.6)), "caption": caption}
