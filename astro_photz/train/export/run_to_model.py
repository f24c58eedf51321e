# Licensed under a 3-clause BSD style license - see LICENSE
"""
From the folder of a run to the folder of a model: calibrated, with a card that tells its origin.
"""

import math
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.models import ModelCard
from astro_photz.models.writing import new_model
from astro_photz.photometry import aperture_flux, r_magnitude
from astro_photz.sdss import BANDS
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.embedding import embed
from astro_photz.train.networks.encoder import Bottleneck, make_encoder
from astro_photz.train.networks.weights import read_head, read_weights
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.runs.lineage import run_lineage
from astro_photz.train.tasks.calibration import calibrate
from astro_photz.utils._checks import check_count, check_not_there
from astro_photz.utils._types import PathLike

from .onnx import write_model
from .quantize import quantize_model
from .reference import add_analogues, add_reference, check_point_sources

__all__ = ["export_run", "training_range"]

_SIMULATED = "Trained on simulated images only: its figures hold for those, not for the real sky."
_BEGAN = (
    "It began with the weights of {name}, which was trained, at first or later, on simulated images: the limits that "
    "the card of {name} tells may be its own."
)
_BLOCK = 256  # stamps in memory
_GRID = "Redshifts of 0.4 and more cannot be expressed."


def export_run(
    folder: PathLike,
    path: PathLike,
    *,
    name: str | None = None,
    data: PathLike | None = None,
    validation: PathLike | None = None,
    point_sources: PathLike | None = None,
    analogues: int = 20_000,
    card: dict[str, Any] | None = None,
    int8: bool = False,
    weights: bool = True,
    overwrite: bool = False,
) -> dict[str, Any]:
    """
    Write the model of a finished run.

    A fine-tuning, or an adaptation, is calibrated on its validation set, or on the galaxies that it held out, by which
    strangers are told too; a pretraining gives an encoder alone, for embeddings.

    Parameters
    ----------
    folder : str or path-like
        Of a run.
    path : str or path-like
        Folder of the model to make.
    name : str, optional
        Of the model; that of its folder by default.
    data, validation : str or path-like, optional
        The files that the run was trained and validated on, if they have moved.
    point_sources : str or path-like, optional
        HDF5 file of stars and quasars, which the model shall tell from galaxies, as
        `~astro_photz.simulate.write_points` makes it; a data set ``point`` is 0 for stamps in it that are galaxies,
        fainter than those of the training, or beyond their redshifts, where a data set ``kind`` is ``distant``. Without
        a file, a model tells both as the one does that it was adapted from; or points by the width of the point-spread
        function, and distant galaxies by their PDFs, alone.
    analogues : int, optional
        How many of the galaxies that the run has learnt from the model brings, at most, to compare others with. Their
        identifiers and redshifts can be read from it: 0 for none, if these are not to be published.
    card : dict, optional
        Entries of the card that replace those of the run, or are added.
    weights : bool, optional
        Whether to add the weights, for training that begins with the model: they take as much room again.
    int8 : bool, optional
        Whether to write the model in 8-bit integers too, beside it, with ``-int8`` at the end of the name.
    overwrite : bool, optional
        Replace folders that are there.

    Returns
    -------
    dict
        The report of the calibration, and of the quantisation under ``int8``.

    Raises
    ------
    FileNotFoundError
        If the training is not finished, or a file is not where it was.
    ValueError, TypeError
        If a file is not the one that the run used, ``point_sources`` has too few points, ``analogues`` is no such
        number, or ``int8`` or ``point_sources`` is given for an encoder alone, without redshifts.
    FileExistsError
        If there is such a folder and ``overwrite`` is not set.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> testing.gaussian_cutouts(160, size=68).write(folder / "stamps.h5")
    >>> changes = ["encoder.width = 4", "pretrain.epochs = 1", "pretrain.batch_size = 16", "pretrain.queue_length = 16"]
    >>> recipe = train.Recipe.read("smoke", changes=changes)
    >>> machine = train.Machine(accelerator="cpu", devices=1, progress=False)
    >>> metrics = train.pretrain(recipe, folder / "stamps.h5", folder / "run", machine=machine)
    >>> report = train.export_run(folder / "run", folder / "mine")
    >>> sorted(path.name for path in (folder / "mine").iterdir())
    ['card.json', 'encoder.onnx', 'encoder.safetensors', 'lineage.json']
    """
    run, path = RunFolder(folder), Path(path)
    beside = path.with_name(path.name + "-int8")
    if run.metrics is None:
        why = "no file metrics.json" if Path(folder).is_dir() else "there is no such folder"
        raise FileNotFoundError(f"{folder} holds no finished training: {why}")
    for made in (path, beside) if int8 else (path,):
        check_not_there(made, overwrite=overwrite)
    record = run.record
    _check_additions(record, folder, int8=int8, point_sources=point_sources, analogues=analogues)
    stamps = _checked_file("data", data or record.files["data"], record.data)
    judged_by = validation or record.files["validation"]
    judged_by = record.validation and _checked_file("validation", judged_by, record.validation)
    settings, encoder, head, report = _trained(run, record, stamps, judged_by)
    made = _card(run, record, stamps, name or path.name).updated(calibration=report, **(card or {}))
    lineage = run.lineage or run_lineage(record, data=stamps, validation=judged_by)
    parts = {"card": made, "lineage": lineage, "settings": settings, "weights": weights}
    with new_model(path, overwrite=overwrite) as part:
        write_model(encoder, head, part, **parts)
        if head is not None:
            learnt = Stamps(stamps, n=record.n_labels, held_out=record.held_out, seed=record.seed)
            others = _validation_stamps(record, stamps, judged_by)
            add_reference(part, run, learnt=learnt, others=others, point_sources=point_sources)
            if analogues:
                add_analogues(part, learnt=learnt, others=others, n=analogues)
    if int8:
        with _validation_file(record, stamps, judged_by) as labelled:
            sets = {"stamps": stamps, "validation": labelled}
            report = report | {"int8": quantize_model(path, beside, overwrite=overwrite, **sets)}
    return report


def _check_additions(record, folder, *, int8, point_sources, analogues):
    """Refuse what the model of a run cannot have, before the work."""
    if record.kind == "pretrain":
        if int8:
            raise ValueError(
                f"int8 must not be set: {folder} is a pretraining, and no redshifts tell what integers cost it"
            )
        if point_sources is not None:
            raise ValueError(f"point_sources must not be given: {folder} is a pretraining, whose model flags nothing")
    if check_count("analogues", analogues, least=0) == 1:
        raise ValueError("analogues must be 0, for none, or 2 or more: one alone has no scatter")
    if point_sources is not None:
        check_point_sources(point_sources)


def _checked_file(name, path, content):
    """The path of a file of the run, whose data are still the same."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}, which the run used: say where it is, by {name}")
    if data_hash(path) != content.sha256:
        raise ValueError(f"{path} is not the file that the run used: its sha256 is another")
    return path


def _trained(run, record, data, validation):
    """Encoder and its settings, calibrated head, and the report of the calibration; no head after a pretraining."""
    settings, state = read_weights(run.path)
    encoder = make_encoder(**settings)
    encoder.load_state_dict(state)
    encoder.eval()
    if record.kind == "pretrain":
        if isinstance(encoder, Bottleneck):  # its features tell more of a galaxy than the few numbers behind them
            settings, encoder = settings | {"bottleneck": 0}, encoder.encoder
        return settings, encoder, None, {"method": "none"}
    stamps = _validation_stamps(record, data, validation)
    embedding = embed(encoder, stamps, np.arange(len(stamps)))
    head, report = calibrate(read_head(run.path), embedding, torch.from_numpy(stamps.redshift), groups=stamps.groups)
    return settings, encoder, head, report


@contextmanager
def _validation_file(record, data, validation):
    """The validation file of the run, or one of the galaxies that it held out, for as long as it is needed."""
    if validation:
        yield validation
        return
    held_out = _validation_stamps(record, data, validation)
    with tempfile.TemporaryDirectory() as folder:
        path, order = Path(folder) / "held_out.h5", np.argsort(held_out.rows)
        settings = {"size": held_out.shape[-1], "dtype": "float32"}
        with open_cutouts(data) as file, CutoutWriter(path, len(order), **settings) as writer:
            for part in np.array_split(order, math.ceil(len(order) / _BLOCK)):
                writer.append(read_rows(file, held_out.rows[part]), specz_redshift=held_out.redshift[part])
        yield path


def _validation_stamps(record, data, validation):
    if validation:
        return Stamps(validation)
    return Stamps(data, held_out=record.held_out, learn=False, seed=record.seed)


def _card(run, record, data, name):
    """The card of the model, without the report of its calibration."""
    labelled, simulated, origin = record.kind != "pretrain", record.data.simulated, record.origin
    begun = f", from the weights of {origin.name if origin else Path(record.files['init']).name}" if record.init else ""
    images = f"{'simulated' if simulated else 'observed'} stamps {'with' if labelled else 'without'} redshifts"
    limits = [_GRID, *([_SIMULATED] if simulated else [])]
    if origin and origin.simulated and not simulated:
        limits.append(_BEGAN.format(name=origin.name))
    known = (origin and origin.training_range) or {}
    return ModelCard(
        name=name,
        version="1",
        simulated=simulated,
        training_data={
            "description": f"{record.n} {images}{begun}",
            "n": record.n,
            "sha256": record.data.sha256,
            "seed": record.seed,
        },
        training_range=_wider(training_range(data, labelled=labelled), known),
        metrics=_metrics(run, record),
        limits=limits,
        origin=asdict(origin) if origin else {},
        recipe=run.recipe.as_dict() if run.recipe else {"shift": run.metrics["shift"]},
        versions=record.versions,
    )


def _wider(ranges, others):
    """Ranges that hold those of another training too."""
    pairs = {name: (one, others.get(name, one)) for name, one in ranges.items()}
    return {name: [min(a[0], b[0]), max(a[1], b[1])] for name, (a, b) in pairs.items()}


def _metrics(run, record):
    """Metrics of the epoch that was kept, or of the adapted model, before the calibration."""
    metrics = run.metrics
    if "after" in metrics:
        return {"galaxies held out for calibration": metrics["after"]}
    if "val_loss" not in metrics:
        return {}
    last = run.recipe.finetune.keep == "last"
    place = -1 if last else int(np.argmin([loss for _, loss in metrics["val_loss"]]))
    kept = {name: round(metrics[f"val_{name}"][place][1], 6) for name in ("sigma_mad", "bias")}
    n = record.validation.n if record.validation else record.held_out
    judged_by = "after the last epoch" if last else "by which the epoch was chosen"
    return {f"validation galaxies, {judged_by}": kept | {"n": n}}


def training_range(path, *, labelled=True, n=4096):
    """
    Find the range of values of nearly all galaxies of a training set.

    Parameters
    ----------
    path : str or path-like
        HDF5 file of stamps.
    labelled : bool, optional
        Whether they have redshifts.
    n : int, optional
        How many of them are looked at.

    Returns
    -------
    dict of list of float
        Lowest and highest ``r_mag`` (that of `~astro_photz.quality.flag_images`), ``ebv`` and ``redshift``, and
        ``seeing`` (full width at half maximum in *r*, arcsec) where the file tells it.
    """
    stamps = Stamps(path, labelled=labelled)
    rows = np.sort(np.random.default_rng(0).permutation(len(stamps))[:n])  # files may be sorted
    cutouts = Cutouts.read(path, rows=rows)
    r = BANDS.index("r")
    values = {"r_mag": r_magnitude(aperture_flux(cutouts.flux[:, r]), cutouts.ebv), "ebv": stamps.ebv[rows]}
    if labelled:
        values["redshift"] = stamps.redshift
    if np.isfinite(cutouts.psf_fwhm[:, r]).any():
        values["seeing"] = cutouts.psf_fwhm[:, r]
    return {name: [round(float(q), 3) for q in np.nanpercentile(value, [0.5, 99.5])] for name, value in values.items()}
