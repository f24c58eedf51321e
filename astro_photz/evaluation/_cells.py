# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cells of the tables on the page about a model: numbers with their errors, and escaped text.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from astro_photz.metrics import METRICS

from .published import comparison

__all__ = ["LabelEfficiency", "MethodTable", "escaped", "evaluation_rows", "images", "model_facts", "with_error"]

_SYMBOLS = {
    "bias": "bias, mean Δz",
    "sigma_mad": "σ_MAD",
    "sigma68": "σ68, half of the range from 16 to 84 %",
    "eta": r"η, share of \|Δz\| > 0.05",
    "crps": "CRPS",
    "log_score": "mean ln p at the true redshift",
    "cde_loss": "CDE loss",
    "coverage68": "true redshifts in the central 68 %",
    "coverage95": "true redshifts in the central 95 %",
    "pit_ks": "KS distance of the PIT from uniform",
    "pit_ad": "Anderson–Darling distance of the PIT from uniform",
}
_BINS = {
    "r_mag": "*r* (mag)",
    "z_phot": "estimated redshift",
    "redshift": "true redshift",
    "ebv": "E(B−V) (mag)",
    "seeing": "seeing (arcsec)",
    "early": "type",
}
_TYPES = {0: "late", 1: "early"}
_IN_BINS = ("bias", "sigma_mad", "eta", "crps", "coverage68", "coverage95", "pit_ks")
_BY_LABELS = ("sigma_mad", "eta", "crps")
_RANGES = {
    "r_mag": "*r* from {:.1f} to {:.1f}",
    "ebv": "E(B−V) from {:.2f} to {:.2f} mag",
    "redshift": "z from {:.2f} to {:.2f}",
}


# The model


def model_facts(model):
    """
    Collect the facts of a model that the page gives.

    Return values of the template by name.
    """
    card, data = model.card, model.card.training_data
    counted = f": {data['n']:,} images, sha256 {data['sha256'][:16]}" if "sha256" in data else ""  # not the published
    splits = {name: one for name, one in data.get("splits", {}).items() if isinstance(one, dict)}
    return {
        "model": model,
        "card": card,
        "model_rows": [
            ("version", f"{escaped(model.version)}, sha256 ``{model.sha256[:16]}``"),
            ("input", f"{card.image_size} × {card.image_size} pixels in *ugriz*, and E(B−V)"),
            ("output", _output(card)),
            ("network", _network(card)),
            ("size", f"{_megabytes(model, '*.onnx')}, with the weights to train from {_megabytes(model, '*')}"),
        ],
        "ranges": [_RANGES[name].format(*card.training_range[name]) for name in _RANGES if name in card.training_range],
        "trained_on": data["description"].rstrip(".") + counted,
        "split_rows": [_split_row(name, one) for name, one in splits.items()],
        "own_data": {name: one["sha256"] for name, one in splits.items()},
    }


def _output(card):
    edges = card.z_edges
    return f"{len(edges) - 1} probabilities on {edges[0]:g} ≤ z < {edges[-1]:g}; {card.embedding_dim} numbers"


def _network(card):
    settings = {name: value for name, value in card.encoder.items() if name != "kind"}
    kind = f"``{card.encoder.get('kind', 'not told')}``"
    return kind + (f", {escaped(settings)[1:-1]}".replace("'", "") if settings else "")


def _megabytes(model, files):
    return f"{sum(file.stat().st_size for file in model.path.glob(files)) / 1e6:.1f} MB"


def _split_row(name, split):
    behind = f"{split['n_independent']:,}" if "n_independent" in split else ""
    return name, f"{split['n']:,}", behind, str(split["seed"]), f"``{split['sha256'][:16]}``"


# The evaluation


def evaluation_rows(evaluation):
    """
    Collect the numbers of an evaluation that the page gives.

    Return values of the template by name.
    """
    overall, errors = evaluation.overall, evaluation.errors
    return {
        "evaluation": evaluation,
        "n_independent": evaluation.data.get("n_independent", overall["n"]),
        "metric_rows": [  # an evaluation of an earlier version has fewer
            (_SYMBOLS[name], with_error(overall[name], errors[name])) for name in METRICS if name in overall
        ],
        "comparison_rows": [_compared(row) for row in comparison(evaluation)],
        "bin_rows": [_bin_row(name, one) for name, bins in evaluation.bins.items() for one in bins],
    }


def _compared(row):
    numbers = {name: np.nan if np.ma.is_masked(value) else value for name, value in dict(row).items()}
    values = [with_error(numbers[name], numbers[f"{name}_err"]) for name in ("bias", "sigma_mad", "eta")]
    return escaped(row["method"]), row["images"], *values


def _bin_row(name, one):
    label = _TYPES[one["low"]] if name == "early" else f"{one['low']:g} to {one['high']:g}"
    values = [with_error(one[metric], one["errors"][metric]) for metric in _IN_BINS]
    return f"{_BINS[name]} {label}", f"{one['n']:,}", *values


# Other results


@dataclass(frozen=True)
class LabelEfficiency:
    """
    Models that were trained with fewer labels.

    ``name`` is the figure's; ``result`` is of the kind "label_efficiency".
    """

    name: str
    result: dict

    @property
    def header(self):
        """Header of the table of all points, list of str."""
        return ["labels", *self._behind, "way of training", "seeds", *(_SYMBOLS[metric] for metric in self._metrics)]

    @property
    def rows(self):
        """Rows of that table, in the order of the numbers of labels, list of list of str."""
        points = sorted(self._points, key=lambda one: one[1]["n_labels"])
        return [self._row(way, point) for way, point in points]

    @property
    def last(self):
        """Way of training that the others are compared with, str."""
        return list(self.result["curves"])[-1]

    @property
    def equivalent(self):
        """Header and rows: how many times as many labels are needed; None if that is not known."""
        return self._by_labels("equivalent", _factor)

    @property
    def gap(self):
        """Header and rows: shares of the gain by the most labels; None if that is not known."""
        return self._by_labels("gap", lambda one: with_error(one["share"], one["share_err"], 2))

    @property
    def paired(self):
        """Header and rows: differences on the same galaxies; None if they are not known."""
        return self._by_labels("paired", lambda one: with_error(one["difference"], one["difference_err"]))

    @property
    def _points(self):
        return [(way, point) for way, points in self.result["curves"].items() for point in points]

    @property
    def _metrics(self):
        return [metric for metric in _BY_LABELS if any(metric in point for _, point in self._points)]

    @property
    def _behind(self):
        return ["of real galaxies"] if any("n_independent" in point for _, point in self._points) else []

    def _row(self, way, point):
        values = [with_error(point.get(metric, np.nan), point.get(f"{metric}_err", np.nan)) for metric in self._metrics]
        numbers = [f"{point['n_independent']:,}" if "n_independent" in point else "" for _ in self._behind]
        return [f"{point['n_labels']:,}", *numbers, escaped(way), str(point.get("n_seeds", "")), *values]

    def _by_labels(self, name, cell):
        """Header and rows of a table with a row for each number of labels and a column for each way of training."""
        numbers = self.result.get(name)
        if not numbers:
            return None
        cells = {(one["n_labels"], one["way"]): cell(one) for one in numbers}
        labels, ways = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
        rows = [[f"{n_labels:,}", *(cells.get((n_labels, way), "") for way in ways)] for n_labels in sorted(labels)]
        return ["labels", *map(escaped, ways)], rows


def _factor(one):
    bound = "at least " if one.get("at_least") else "at most " if one.get("at_most") else ""
    return bound + with_error(one["factor"], np.nan if bound else one["factor_err"], 2)


@dataclass(frozen=True)
class MethodTable:
    """
    Models or methods beside each other.

    ``result`` is of the kind "table".
    """

    result: dict

    @property
    def header(self):
        """Header of the table, list of str."""
        return ["method", *(["galaxies"] if self._counted else []), *(self._symbols[name] for name in self._names)]

    @property
    def rows(self):
        """Rows of the table, list of list of str."""
        return [self._row(row) for row in self.result["rows"]]

    @property
    def _symbols(self):
        return _SYMBOLS | {name: escaped(heading) for name, heading in self.result.get("columns", {}).items()}

    @property
    def _names(self):
        return [name for name in self._symbols if any(name in row for row in self.result["rows"])]

    @property
    def _counted(self):
        return any("n" in row for row in self.result["rows"])

    def _row(self, row):
        values = [_value(row.get(name, np.nan), row.get(f"{name}_err", np.nan)) for name in self._names]
        counted = [f"{row['n']:,}" if "n" in row else ""] if self._counted else []
        return [escaped(row["method"]), *counted, *values]


def _value(value, error):
    return escaped(value) if isinstance(value, str) else with_error(value, error, 1 if abs(value) >= 10 else 5)


# Text


def with_error(value, error, digits=5):
    """
    Write a number and its error to two digits of the error.

    Return an empty text if the value is NaN, not known; ``digits`` are those after the point if the error is NaN.

    Examples
    --------
    >>> from astro_photz.evaluation._cells import with_error
    >>> with_error(-0.01234, 0.00056)
    '−0.01234 ± 0.00056'
    """
    if np.isnan(value):
        return ""
    if error > 0:
        digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f}".replace("-", "−") + ("" if np.isnan(error) else f" ± {error:.{digits}f}")


def escaped(text):
    """Escape the signs that mean something in reStructuredText."""
    return re.sub(r"([\\*`|_])", r"\\\1", str(text))


def images(result):
    """Name the kind of images that a result is of."""
    return "simulated images" if result["simulated"] else "real images"
