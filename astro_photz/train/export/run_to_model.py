# Licensed under a 3-clause BSD style license - see LICENSE
"""
From the folder of a training to the folder of a model: calibrated, with a card that says where it comes from.
"""

import math
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts, read_rows
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.quality import aperture_flux, r_magnitude
from astro_photz.sdss import BANDS
from astro_photz.train._torch import torch
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.encoder import Bottleneck, make_encoder
from astro_photz.train.networks.weights import read_head, read_weights
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.calibration import calibrate
from astro_photz.train.tasks.probe import embed

from .onnx import export_model
from .quantize import quantize_model

__all__ = ["export_run", "training_range"]

_SIMULATED = "Trained on simulated images only: its figures hold for those, not for the real sky."
_BEGAN = (
    "It began with the weights of {name}, which was trained, at first or later, on simulated images: the limits that "
    "the card of {name} tells may be its own."
)
_BLOCK = 256  # stamps in memory
_GRID = "Redshifts of 0.4 and more cannot be expressed."


def export_run(
    folder, path, *, name=None, data=None, validation=None, card=None, int8=False, weights=True, overwrite=False
):
    """
    Write the model of a finished training.

    A fine-tuning, or an adaptation, is calibrated on its validation set, or on the galaxies that it held out; a
    pretraining gives an encoder alone, for embeddings.

    Parameters
    ----------
    folder : str or path-like
        Of a run.
    path : str or path-like
        Folder of the model to make.
    name : str, optional
        Of the model; that of its folder by default.
    data, validation : str or path-like, optional
        Where the files are that it was trained and validated on, if they have moved.
    card : dict, optional
        What the card shall tell otherwise than the run does, or besides.
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
    ValueError
        If a file is not the one that the run used, or ``int8`` is set for an encoder alone, of which no redshifts tell
        what that costs.
    FileExistsError
        If there is such a folder and ``overwrite`` is not set.
    """
    run, path = RunFolder(folder), Path(path)
    beside = path.with_name(path.name + "-int8")
    if run.metrics is None:
        raise FileNotFoundError(f"{folder} holds no finished training: no file metrics.json")
    for made in (path, beside) if int8 else (path,):
        if made.exists() and not overwrite:
            raise FileExistsError(f"{made} exists: choose another path, or set overwrite=True")
    if int8 and run.record["what"]["kind"] == "pretrain":
        raise ValueError(
            f"int8 must not be set: {folder} is a pretraining, and no redshifts tell what integers cost it"
        )
    files = _files(run, {"data": data, "validation": validation})
    settings, encoder, head, report = _trained(run, files)
    card = _card(run, files["data"], name or path.name, report) | (card or {})
    export_model(encoder, head, path, card=card, settings=settings, weights=weights, overwrite=overwrite)
    if int8:
        with _validation_file(run.record["what"], files) as labelled:
            sets = {"stamps": files["data"], "validation": labelled}
            report = report | {"int8": quantize_model(path, beside, overwrite=overwrite, **sets)}
    return report


def _files(run, moved):
    """Where the data of a run are, made sure of by their hash."""
    files = {}
    for name, content in ((name, run.record["what"][name]) for name in moved):
        if content is None:
            files[name] = None
            continue
        path = Path(moved[name] or run.record["files"][name])
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}, which the run used: say where it is, by {name}")
        if data_hash(path) != content["sha256"]:
            raise ValueError(f"{path} is not the file that the run used: its sha256 is another")
        files[name] = path
    return files


def _trained(run, files):
    """Encoder and its settings, calibrated head, and what the calibration reports; no head after a pretraining."""
    settings, state = read_weights(run.path)
    encoder = make_encoder(**settings)
    encoder.load_state_dict(state)
    encoder.eval()
    if run.record["what"]["kind"] == "pretrain":
        if isinstance(encoder, Bottleneck):  # its features tell more of a galaxy than what redshifts are to be read off
            settings, encoder = settings | {"bottleneck": 0}, encoder.encoder
        return settings, encoder, None, {"method": "none"}
    stamps = _validation_stamps(run.record["what"], files)
    embedding = embed(encoder, stamps, np.arange(len(stamps)))
    head, report = calibrate(read_head(run.path), embedding, torch.from_numpy(stamps.redshift), groups=stamps.groups)
    return settings, encoder, head, report


@contextmanager
def _validation_file(what, files):
    """That of the run, or one of the galaxies that it held out, for as long as it is needed."""
    if files["validation"]:
        yield files["validation"]
        return
    held_out = _validation_stamps(what, files)
    with tempfile.TemporaryDirectory() as folder:
        path, order = Path(folder) / "held_out.h5", np.argsort(held_out.rows)
        settings = {"size": held_out.shape[-1], "dtype": "float32"}
        with open_cutouts(files["data"]) as file, CutoutWriter(path, len(order), **settings) as writer:
            for part in np.array_split(order, math.ceil(len(order) / _BLOCK)):
                writer.append(read_rows(file, held_out.rows[part]), specz_redshift=held_out.redshift[part])
        yield path


def _validation_stamps(what, files):
    if files["validation"]:
        return Stamps(files["validation"])
    return Stamps(files["data"], held_out=what["held_out"], learn=False, seed=what["seed"])


def _card(run, data, name, report):
    what, labelled = run.record["what"], run.record["what"]["kind"] != "pretrain"
    simulated, origin = what["data"]["simulated"], what.get("origin") or {}
    n = what.get("n_labels") or what.get("n_images") or what["data"]["n"] - what.get("held_out", 0)
    labels = "with redshifts" if labelled else "without redshifts"
    begun = run.record["files"].get("init")
    start = f", from the weights of {origin.get('name') or Path(begun).name}" if what.get("init") else ""
    limits = [_GRID, *([_SIMULATED] if simulated else [])]
    if origin.get("simulated") and not simulated:
        limits.append(_BEGAN.format(**origin))
    return ({"origin": origin} if origin else {}) | {
        "name": name,
        "version": "1",
        "simulated": simulated,
        "training_data": {
            "description": f"{n} {'simulated' if simulated else 'observed'} stamps {labels}{start}",
            "n": n,
            "sha256": what["data"]["sha256"],
            "seed": what["seed"],
        },
        "training_range": _wider(training_range(data, labelled=labelled), origin.get("training_range") or {}),
        "metrics": _metrics(run),
        "calibration": report,
        "limits": limits,
        "recipe": run.recipe.as_dict() if run.recipe else {"shift": run.metrics["shift"]},
        "versions": run.record["versions"],
    }


def _wider(ranges, others):
    """Ranges that hold those of another training too, which this one began with."""
    pairs = {name: (one, others.get(name, one)) for name, one in ranges.items()}
    return {name: [min(a[0], b[0]), max(a[1], b[1])] for name, (a, b) in pairs.items()}


def _metrics(run):
    """Those of the epoch that was kept, or of what was adapted, before it was calibrated."""
    metrics = run.metrics
    if "after" in metrics:
        return {"galaxies held out for calibration": metrics["after"]}
    if "val_loss" not in metrics:
        return {}
    what, last = run.record["what"], run.recipe.finetune.keep == "last"
    place = -1 if last else int(np.argmin([loss for _, loss in metrics["val_loss"]]))
    kept = {name: round(metrics[f"val_{name}"][place][1], 6) for name in ("sigma_mad", "bias")}
    n = what["validation"]["n"] if what["validation"] else what["held_out"]
    judged_by = "after the last epoch" if last else "by which the epoch was chosen"
    return {f"validation galaxies, {judged_by}": kept | {"n": n}}


def training_range(path, *, labelled=True, n=4096):
    """
    Between which values nearly all galaxies of a training set lie.

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
        Lowest and highest ``r_mag`` (that of `~astro_photz.quality.flag_images`), ``ebv`` and ``redshift``.
    """
    stamps = Stamps(path, labelled=labelled)
    rows = np.sort(np.random.default_rng(0).permutation(len(stamps))[:n])  # files may be sorted
    cutouts = Cutouts.read(path, rows=rows)
    r_mag = r_magnitude(aperture_flux(cutouts.flux[:, BANDS.index("r")]), cutouts.ebv)
    values = {"r_mag": r_mag, "ebv": stamps.ebv[rows]} | ({"redshift": stamps.redshift} if labelled else {})
    return {name: [round(float(q), 3) for q in np.nanpercentile(value, [0.5, 99.5])] for name, value in values.items()}
