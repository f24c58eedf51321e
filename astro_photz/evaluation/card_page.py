# Licensed under a 3-clause BSD style license - see LICENSE
"""
The page that says what a model is, how good it is and where it ends: made from stored results, not written.

`write_model_card` takes a model and result files, JSON each, and writes a page of reStructuredText with its figures.
The same files give the same page, to the byte. Each result says by ``kind`` what it is:

``"evaluation"``
    What `~astro_photz.evaluation.evaluate_model` gives, and ``astro-photz evaluate --output`` stores. There must be
    one.

``"label_efficiency"``
    How good models are that were trained with fewer labels. ``simulated``, bool; ``text``, perhaps, a paragraph;
    ``curves``, for each way of training a list of points with ``n_labels``, ``sigma_mad``, ``sigma_mad_err`` and what
    else there is of ``n_seeds``, ``n_independent``, from how many real galaxies those with labels were drawn, ``eta``
    and ``crps``; ``equivalent``, perhaps, a list of ``way``, ``n_labels``, ``factor`` and ``factor_err``: how many
    times as many labels the last way of training needs to be as good as this one; ``at_least`` or ``at_most``, true
    where that is a bound; ``paired``, perhaps, a list of ``way``, ``n_labels``, ``difference`` and
    ``difference_err``: by how much σ_MAD is larger than that of the last way with as many labels, on the same galaxies;
    ``gap``, perhaps, a list of ``way``, ``n_labels``, ``most``, ``share`` and ``share_err``: how much it gains of what
    the last way gains when it has the most labels.

``"table"``
    Models or methods beside each other: ablations, or gradient boosting on catalogues. ``simulated``, bool; ``title``;
    ``text``, perhaps, a paragraph; ``rows``, each with ``method`` and any of ``n`` and the names of
    `astro_photz.metrics.METRICS`, with their errors under the name and ``_err``; ``columns``, perhaps, what other
    numbers the rows have: by the name of each, the heading of its column.

The latter two may hold ``command``, the one that makes them; ``model``, the ``name``, ``version`` and ``sha256`` of the
model that they judge, which must be the card's; and ``data``, the hashes of the sets that models were trained and
judged on, by name, for which the page tells whether they are the model's own.
"""

import json
import math
import re
from pathlib import Path

import numpy as np

from astro_photz.metrics import METRICS
from astro_photz.models import PhotozModel, load_model
from astro_photz.plots.images import plot_bins, plot_calibration, plot_label_efficiency
from astro_photz.utils._files import aside

from .scores import MAIN_SAMPLE, comparison

__all__ = ["write_model_card"]

_SYMBOLS = {
    "bias": "bias, mean Δz",
    "sigma_mad": "σ_MAD",
    "eta": r"η, share of \|Δz\| > 0.05",
    "crps": "CRPS",
    "coverage68": "true redshifts in the central 68 %",
    "coverage95": "true redshifts in the central 95 %",
    "pit_ks": "KS distance of the PIT from uniform",
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
"""Metrics that are told of each bin."""
_BY_LABELS = ("sigma_mad", "eta", "crps")
_RANGES = {
    "r_mag": "*r* from {:.1f} to {:.1f}",
    "ebv": "E(B−V) from {:.2f} to {:.2f} mag",
    "redshift": "z from {:.2f} to {:.2f}",
}


def write_model_card(path, model, results, *, command=None):
    """
    Write the card of a model as a page of the documentation.

    Parameters
    ----------
    path : str or path-like
        The page, ``.rst``. Figures go into a folder of its name, beside it.
    model : str, path-like or `~astro_photz.models.PhotozModel`
    results : sequence of dict, str or path-like
        Results, or their JSON files: see above.
    command : str, optional
        The command that made the page, to be told at its end.

    Returns
    -------
    list of `~pathlib.Path`
        Files that were written.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a result is of no known kind, there is not one evaluation, or it is one of another model; or if the folder
        for the figures holds a model.
    ImportError
        If matplotlib is not installed.
    """
    path = Path(path)
    model = model if isinstance(model, PhotozModel) else load_model(model)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    figures_in = path.parent / path.stem
    if (figures_in / "card.json").exists():
        raise ValueError(f"{path}: its figures would go into {figures_in}, which holds a model: choose another name")
    results = [_checked(one, "a result") if isinstance(one, dict) else _read(one) for one in results]
    evaluation = _evaluation(results, model)
    for result in results:
        _require_of(model, result)
    figures = {"calibration": plot_calibration(evaluation), "bins": plot_bins(evaluation)}
    parts = [*_what_it_is(model, evaluation), *_how_good(evaluation, model.card, path.stem)]
    for number, result in enumerate(one for one in results if one["kind"] == "label_efficiency"):
        name = f"label_efficiency{number or ''}"
        figures[name] = plot_label_efficiency(result)
        parts += _label_efficiency(result, f"{path.stem}/{name}.png", model.card)
    for result in results:
        parts += _table_of(result, model.card) if result["kind"] == "table" else []
    parts += [*_limits(model.card), *_how_it_was_made(model, evaluation, results, command)]

    figures_in.mkdir(exist_ok=True)
    written = [path, *(figures_in / f"{name}.png" for name in figures)]
    for file, figure in zip(written[1:], figures.values(), strict=True):
        with aside(file) as part:
            figure.savefig(part, dpi=100)
    with aside(path) as part:
        part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return written


def _read(path):
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    return _checked(result, path) | {"path": str(path)}


def _checked(result, where):
    if not isinstance(result, dict) or result.get("kind") not in ("evaluation", "label_efficiency", "table"):
        raise ValueError(f"{where} must say its kind, evaluation, label_efficiency or table: see the chapter on models")
    return result


def _evaluation(results, model):
    found = [one for one in results if one["kind"] == "evaluation"]
    if len(found) != 1:
        raise ValueError(f"there must be one evaluation among the results (astro-photz evaluate), got {len(found)}")
    return found[0]


def _require_of(model, result):
    judged = result.get("model")
    if judged and judged["sha256"] != model.sha256:
        what = f"the {result['kind']}" + (f" {result['path']}" if "path" in result else "")
        other = f"{judged['name']} {judged['version']}"
        raise ValueError(f"{what} is one of another model, {other}, or of other files of it: evaluate again")


def _what_it_is(model, evaluation):
    card, data = model.card, model.card["training_data"]
    yield ".. Made by a command, which is told at its end: not to be edited."
    yield _heading(f"Model card: {model.name}", "=")
    yield (
        f"``{model.name}`` estimates the redshift of a galaxy, as a PDF, from its SDSS *ugriz* images: "
        f"``astro_photz.predict(table, model={model.name!r})``. It was trained on **{model.trained_on}**, and the "
        f"figures of this page are from **{_images(evaluation['data'])}**, where it does not say otherwise."
    )
    rows = [
        ["version", f"{_escaped(model.version)}, sha256 ``{model.sha256[:16]}``"],
        ["input", f"{card.get('image_size', 64)} × {card.get('image_size', 64)} pixels in *ugriz*, and E(B−V)"],
        ["output", _output(card)],
        ["network", _network(card)],
        ["size", f"{_megabytes(model, '*.onnx')}, with the weights to train from {_megabytes(model, '*')}"],
    ]
    yield _table(["model", ""], rows)
    yield _heading("What it is for", "-")
    yield (
        "Redshifts of galaxies in SDSS images, for samples of many. "
        f"{_range(card)}`~astro_photz.predict` flags other magnitudes and reddening. Where you know some redshifts, "
        "compare: ``astro-photz evaluate``; a few hundred of them adapt it to your sample: :ref:`adapt`."
    )
    yield _heading("What it was trained on", "-")
    counted = f": {data['n']:,} images, sha256 {data['sha256'][:16]}" if "sha256" in data else ""  # not the published
    yield _escaped(f"{data['description'].rstrip('.')}{counted}.")
    splits = _splits(model.card)
    if splits:
        yield _table(["set", "galaxies", "real ones behind them", "seed", "sha256"], map(_split_row, splits.items()))
    yield f"The whole recipe is in ``astro_photz.load_model({model.name!r}).card['recipe']``."


def _output(card):
    edges = card["z_edges"]
    return f"{len(edges) - 1} probabilities on {edges[0]:g} ≤ z < {edges[-1]:g}; {card['embedding_dim']} numbers"


def _splits(card):
    """What the card tells of each data set, by name."""
    return {name: one for name, one in card["training_data"].get("splits", {}).items() if isinstance(one, dict)}


def _split_row(split):
    name, told = split
    behind = f"{told['n_independent']:,}" if "n_independent" in told else ""
    return [name, f"{told['n']:,}", behind, str(told["seed"]), f"``{told['sha256'][:16]}``"]


def _megabytes(model, files):
    return f"{sum(file.stat().st_size for file in model.path.glob(files)) / 1e6:.1f} MB"


def _network(card):
    settings = dict(card.get("encoder", {}))
    kind = settings.pop("kind", "not told")
    return f"``{kind}``" + (f", {_escaped(settings)[1:-1]}".replace("'", "") if settings else "")


def _range(card):
    """Where nearly all of the training set lies."""
    ranges = card.get("training_range", {})
    told = [text.format(*ranges[name]) for name, text in _RANGES.items() if name in ranges]
    return f"Nearly all that it was trained on has {', '.join(told)}; " if told else ""


def _how_good(evaluation, card, folder):
    data, overall, errors = evaluation["data"], evaluation["overall"], evaluation["errors"]
    images = _images(data)
    yield _heading("How good it is", "-")
    yield (
        f"On {overall['n']:,} galaxies of ``{data['file']}`` (sha256 ``{data['sha256'][:16]}``; {images}), with "
        f"Δz = (z_phot − z) / (1 + z) and errors by bootstrap{_of_what(data, overall)}:"
    )
    rows = [[_SYMBOLS[name], _with_error(overall[name], errors[name])] for name in METRICS]
    yield _table([f"metric ({images})", "value"], rows)
    if "pit_ks_by_chance" in evaluation:
        yield (
            "With PDFs that are right, the KS distance would exceed "
            f"{evaluation['pit_ks_by_chance']:.4f} in one of twenty such samples."
        )
    if data["n_missing"] or data["beyond_grid"]:
        yield f"{data['n_missing']} galaxies have no estimate; {data['beyond_grid']} lie beyond the redshift bins."
    yield _heading("Beside other methods", "-")
    yield (
        "Figures on simulated images do not compare with figures on real ones. Those of others are as published, of "
        f"the SDSS Main Galaxy Sample, to a Petrosian *r* of {MAIN_SAMPLE} (`arXiv:1806.06607 "
        "<https://arxiv.org/abs/1806.06607>`__, table 1). Where not told to be total, *r* is that within 8 pixels (3.2 "
        "arcsec), free of extinction, which misses some of the light."
    )
    yield _comparison(evaluation)
    yield _heading("Calibration", "-")
    yield f"Correction folded into the head: {_escaped(card.get('calibration', {}).get('method', 'not told'))}."
    yield _figure(
        f"{folder}/calibration.png",
        f"{images.capitalize()}. Left: distribution of the PIT, even if the PDFs are right. Right: share of the true "
        "redshifts in the central interval of each probability.",
    )
    yield _heading("In bins", "-")
    yield "Seeing is the FWHM in *r*; types are those that the file tells."
    yield _figure(
        f"{folder}/bins.png",
        f"{images.capitalize()}. Bias, scatter and coverage; lines: no bias, the scatter of all galaxies, 68 %. In "
        "bins of true redshift, a bias towards the middle is part of any estimate that is right on average for "
        "galaxies that look alike, and with it a coverage that is not 68 %; in bins of the estimate, neither is.",
    )
    yield _table(
        ["bin", "galaxies", "bias", "σ_MAD", "η", "CRPS", "in 68 %", "in 95 %", "KS of the PIT"],
        [_bin_row(name, one) for name, bins in evaluation["bins"].items() for one in bins],
    )


def _of_what(data, overall):
    """What is drawn anew for the errors, where that is not the galaxies themselves."""
    n = data.get("n_independent", overall["n"])
    return f" over the {n:,} real galaxies that they were drawn from" if n != overall["n"] else ""


def _bin_row(name, one):
    label = _TYPES[one["low"]] if name == "early" else f"{one['low']:g} to {one['high']:g}"
    values = [_with_error(one[metric], one["errors"][metric]) for metric in _IN_BINS]
    return [f"{_BINS[name]} {label}", f"{one['n']:,}", *values]


def _comparison(evaluation):
    rows = []
    for row in comparison(evaluation):
        numbers = {name: np.nan if np.ma.is_masked(value) else value for name, value in dict(row).items()}
        values = [_with_error(numbers[name], numbers[f"{name}_err"]) for name in ("bias", "sigma_mad", "eta")]
        rows.append([_escaped(row["method"]), row["images"], *values])
    return _table(["method", "images", "bias", "σ_MAD", "η"], rows)


def _label_efficiency(result, figure, card):
    yield _heading("Fewer labels", "-")
    yield from _told(result, card)
    yield _figure(
        figure,
        f"{_images(result).capitalize()}. Scatter against the number of labels that a model was trained with; bands: "
        "errors.",
    )
    points = [(way, point) for way, points in result["curves"].items() for point in points]
    metrics = [metric for metric in _BY_LABELS if any(metric in point for _, point in points)]
    behind = ["of real galaxies"] if any("n_independent" in point for _, point in points) else []
    yield _table(
        ["labels", *behind, "way of training", "seeds", *(_SYMBOLS[metric] for metric in metrics)],
        [_point_row(way, point, metrics, behind) for way, point in sorted(points, key=lambda one: one[1]["n_labels"])],
    )
    *_, last = result["curves"]
    if result.get("equivalent"):
        yield f"How many times as many labels «{_escaped(last)}» needs to be as good:"
        yield _by_labels(result["equivalent"], _factor)
    if result.get("gap"):
        most = result["gap"][0]["most"]
        yield f"Share of what «{_escaped(last)}» gains in σ_MAD with {most:,} labels over as many as here:"
        yield _by_labels(result["gap"], lambda one: _with_error(one["share"], one["share_err"], 2))
    if result.get("paired"):
        yield f"σ_MAD less that of «{_escaped(last)}» with as many labels, on the same galaxies:"
        yield _by_labels(result["paired"], lambda one: _with_error(one["difference"], one["difference_err"]))


def _point_row(way, point, metrics, behind):
    values = [_with_error(point.get(metric, np.nan), point.get(f"{metric}_err", np.nan)) for metric in metrics]
    numbers = [f"{point['n_independent']:,}" if "n_independent" in point else "" for _ in behind]
    return [f"{point['n_labels']:,}", *numbers, _escaped(way), str(point.get("n_seeds", "")), *values]


def _by_labels(numbers, told):
    """A table of what is told of each number, with a row for each number of labels and a column for each way."""
    cells = {(one["n_labels"], one["way"]): told(one) for one in numbers}
    labels, ways = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    rows = [[f"{n_labels:,}", *(cells.get((n_labels, way), "") for way in ways)] for n_labels in sorted(labels)]
    return _table(["labels", *map(_escaped, ways)], rows)


def _factor(one):
    bound = "at least " if one.get("at_least") else "at most " if one.get("at_most") else ""
    return bound + _with_error(one["factor"], np.nan if bound else one["factor_err"], 2)


def _told(result, card):
    """What a result is of."""
    told = f"{_escaped(result['text'])} " if result.get("text") else ""
    yield f"{told}({_images(result).capitalize()}.)"
    own = {name: one["sha256"] for name, one in _splits(card).items()}
    data = result.get("data", own)
    if data != own:
        others = ", ".join(f"{name} ``{sha[:16]}``" for name, sha in data.items())
        yield f"The images are others than those that the model was trained and judged on: sha256 {others}."


def _table_of(result, card):
    yield _heading(_escaped(result["title"]), "-")
    yield from _told(result, card)
    symbols = _SYMBOLS | {name: _escaped(heading) for name, heading in result.get("columns", {}).items()}
    names = [name for name in symbols if any(name in row for row in result["rows"])]
    counted = any("n" in row for row in result["rows"])
    rows = []
    for row in result["rows"]:
        pairs = [(row.get(name, np.nan), row.get(f"{name}_err", np.nan)) for name in names]
        values = [_with_error(value, error, 1 if abs(value) >= 10 else 5) for value, error in pairs]
        rows.append([_escaped(row["method"]), *([f"{row['n']:,}" if "n" in row else ""] if counted else []), *values])
    yield _table(["method", *(["galaxies"] if counted else []), *(symbols[name] for name in names)], rows)


def _limits(card):
    yield _heading("Known limits", "-")
    yield "\n".join(f"- {_escaped(limit)}" for limit in card["limits"])


def _how_it_was_made(model, evaluation, results, command):
    yield _heading("How this page was made", "-")
    stored = evaluation.get("path", "evaluation.json")
    evaluated = f"astro-photz evaluate {model.name} {evaluation['data']['file']} --output {stored}"
    commands = [evaluated, *(one["command"] for one in results if one.get("command")), *([command] if command else [])]
    yield "From stored results, by::"
    yield "\n".join(f"    {one}" for one in commands)


def _images(result):
    return "simulated images" if result["simulated"] else "real images"


def _with_error(value, error, digits=5):
    """A number and its error, to two digits of that one; nothing for what is not known."""
    if np.isnan(value):
        return ""
    if error > 0:
        digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f}".replace("-", "−") + ("" if np.isnan(error) else f" ± {error:.{digits}f}")


def _escaped(text):
    return re.sub(r"([\\*`|_])", r"\\\1", str(text))


def _heading(text, line):
    return f"{text}\n{line * len(text)}"


def _figure(path, caption):
    return f".. figure:: {path}\n\n    {caption}"


def _table(header, rows):
    lines = [".. list-table::", "    :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [f"    {'*' if not place else ' '} - {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join(lines)
