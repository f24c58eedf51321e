# Licensed under a 3-clause BSD style license - see LICENSE
"""
The page about a model: description, quality and limits, made from stored results.

`write_model_card` takes a model and result files, JSON each, and writes a page of reStructuredText with its figures.
The same files give the same page, to the byte. Its text is in ``templates/``, the cells of its tables are made in
``_cells``. ``kind`` tells the kind of a result:

``"evaluation"``
    An `~astro_photz.evaluation.Evaluation`, as ``astro-photz evaluate --output`` stores it. There must be one.

``"label_efficiency"``
    Quality of models that were trained with fewer labels. ``simulated``, bool; ``text``, perhaps, a paragraph;
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
    numbers or words the rows have: by the name of each, the heading of its column.

The latter two may hold ``command``, the one that makes them; ``model``, the ``name``, ``version`` and ``sha256`` of the
model that they judge, which must be the card's; and ``data``, the hashes of the sets that models were trained and
judged on, by name: the page says so if they are not the model's own.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.models import PhotozModel, load_model
from astro_photz.models.card import CARD
from astro_photz.plots import plot_all_bins, plot_calibration, plot_label_efficiency
from astro_photz.utils._files import aside
from astro_photz.utils._types import PathLike

from ._cells import LabelEfficiency, MethodTable, escaped, evaluation_rows, images, model_facts
from .published import MAIN_SAMPLE
from .record import Evaluation

__all__ = ["write_model_card"]

__doctest_requires__ = {"write_model_card": ["matplotlib"]}

_KINDS = ("evaluation", "label_efficiency", "table")


class _Result(NamedTuple):
    """A result, and the file that it comes from."""

    content: dict
    path: Path | None

    @property
    def kind(self):
        return self.content["kind"]


def write_model_card(
    path: PathLike,
    model: PathLike | PhotozModel,
    results: Iterable[Evaluation | dict | PathLike],
    *,
    command: str | None = None,
) -> list[Path]:
    """
    Write the card of a model as a page of the documentation.

    Parameters
    ----------
    path : str or path-like
        The page, ``.rst``. Figures go into a folder of its name, beside it.
    model : str, path-like or `~astro_photz.models.PhotozModel`
    results : sequence of `~astro_photz.evaluation.Evaluation`, dict, str or path-like
        Results, or their JSON files: see above.
    command : str, optional
        The command that makes the page, for its last line.

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

    Warns
    -----
    AstropyUserWarning
        If matplotlib is not installed: then the page has no figures.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> from astro_photz import testing
    >>> from astro_photz.evaluation import evaluate_model, write_model_card
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> testing.gaussian_cutouts(60).write(folder / "stamps.h5", specz_redshift=np.linspace(0.02, 0.2, 60))  # made up
    >>> evaluation = evaluate_model("sim-small-v1", folder / "stamps.h5", at_least=20)
    >>> written = write_model_card(folder / "card.rst", "sim-small-v1", [evaluation])
    >>> [path.name for path in written]
    ['card.rst', 'calibration.png', 'bins.png']
    """
    path = Path(path)
    model = load_model(model)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    figures_in = path.parent / path.stem
    if (figures_in / CARD).exists():
        raise ValueError(f"{path}: its figures would go into {figures_in}, which holds a model: choose another name")
    judged = [_result(one) for one in results]
    stored, evaluation = _evaluation(judged)
    for result in judged:
        _require_of(model, result)
    labels = [one.content for one in judged if one.kind == "label_efficiency"]
    labels = [LabelEfficiency(f"label_efficiency{number or ''}", one) for number, one in enumerate(labels)]
    figures = _figures(path, evaluation, labels)
    text = _template("model_card.rst.j2").render(
        model_facts(model),
        **evaluation_rows(evaluation),
        main_sample=MAIN_SAMPLE,
        figures=figures,
        folder=path.stem,
        label_efficiency=labels,
        tables=[MethodTable(one.content) for one in judged if one.kind == "table"],
        commands=_commands(model, evaluation, stored, judged) + [command] * bool(command),
    )
    written = {figures_in / f"{name}.png": figure for name, figure in figures.items()}
    for file, figure in written.items():
        figures_in.mkdir(exist_ok=True)
        with aside(file) as part:
            figure.savefig(part, dpi=100)
    with aside(path) as part:
        part.write_text(text, encoding="utf-8")
    return [path, *written]


def _result(one):
    if isinstance(one, Evaluation):
        return _Result(one.entries(), None)
    if isinstance(one, dict):
        return _checked(one, None)
    try:
        return _checked(json.loads(Path(one).read_text(encoding="utf-8")), one)
    except json.JSONDecodeError as error:
        raise ValueError(f"{one} is not JSON: {error}") from error


def _checked(content, path):
    if not isinstance(content, dict) or content.get("kind") not in _KINDS:
        raise ValueError(
            f"{path or 'a result'} must say its kind, evaluation, label_efficiency or table: see the chapter on models"
        )
    return _Result(content, path)


def _evaluation(results):
    """Find the one evaluation, and the name of its file."""
    found = [one for one in results if one.kind == "evaluation"]
    if len(found) != 1:
        raise ValueError(f"there must be one evaluation among the results (astro-photz evaluate), got {len(found)}")
    return found[0].path or "evaluation.json", Evaluation.of(found[0].content)


def _require_of(model, result):
    judged = result.content.get("model")
    if judged and judged["sha256"] != model.sha256:
        what = f"the {result.kind}" + (f" {result.path}" if result.path else "")
        other = f"{judged['name']} {judged['version']}"
        raise ValueError(f"{what} is one of another model, {other}, or of other files of it: evaluate again")


def _figures(path, evaluation, labels):
    """Draw the figures, by name; none without matplotlib."""
    try:
        figures = {"calibration": plot_calibration(evaluation)}
        if any(evaluation.bins.values()):
            figures["bins"] = plot_all_bins(evaluation)
        return figures | {one.name: plot_label_efficiency(one.result) for one in labels}
    except ImportError as error:
        warnings.warn(f"{path} has no figures: {error}", AstropyUserWarning, stacklevel=3)
        return {}


def _commands(model, evaluation, stored, results):
    """List the commands that make the results."""
    evaluated = f"astro-photz evaluate {model.name} {evaluation.data['file']} --output {stored}"
    return [evaluated, *(one.content["command"] for one in results if one.content.get("command"))]


def _template(name):
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("astro_photz.evaluation"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {"escaped": escaped, "images": images}
    return templates.get_template(name)
