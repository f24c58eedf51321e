# Licensed under a 3-clause BSD style license - see LICENSE
"""
An encoder's weights on disk, with those of its redshift head if it has one, and how another training begins with them.

They are kept in the form of Lightning's checkpoints: ``state_dict``, the weights, and ``hyper_parameters``, where
``encoder`` holds the keywords of `~astro_photz.train.make_encoder`. So the checkpoints of a pretraining or of a
fine-tuning are read as well. Nothing that a file holds is executed.
"""

import json
import os
import pickle
from pathlib import Path

from astro_photz.models import load_model
from astro_photz.models.model import ModelError, read_card
from astro_photz.train._torch import torch
from astro_photz.train.tasks.calibration import CalibratedHead
from astro_photz.train.tasks.redshift import Z_EDGES
from astro_photz.utils._files import aside

from .encoder import encoder_settings

__all__ = [
    "WEIGHTS",
    "check_checkpoint",
    "load_weights",
    "origin",
    "read_head",
    "read_weights",
    "weights_file",
    "write_weights",
    "write_whole",
]

WEIGHTS = "encoder.pt"
"""Name of the file in the folder of a run, or of a model."""

_PREFIXES = ("query.encoder.", "encoder.")  # of a pretraining, and of everything else
_HEAD = "head."


def write_whole(path, content):
    """
    Write a checkpoint aside, and rename it when it is on the disk.

    Parameters
    ----------
    path : path-like
    content : dict

    Raises
    ------
    OSError
        If it cannot be written: what was there before is left.
    """
    try:
        with aside(path) as part, open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch says RuntimeError of a disk that is full
        raise OSError(f"{path} could not be written ({str(error).splitlines()[0]}): make room") from error


def write_weights(path, encoder, settings, *, head=None):
    """
    Write an encoder, and its head.

    Parameters
    ----------
    path : path-like
        File to write; it takes its name when it is whole.
    encoder : `torch.nn.Module`
    settings : dict
        Keywords of `~astro_photz.train.make_encoder` that it was made with.
    head : `torch.nn.Linear` or `~astro_photz.train.tasks.calibration.CalibratedHead`, optional
    """
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    if head is not None:
        state |= {f"{_HEAD}{name}": value for name, value in head.state_dict().items()}
    write_whole(path, {"state_dict": state, "hyper_parameters": {"encoder": dict(settings)}})


def read_weights(source):
    """
    Read an encoder.

    Parameters
    ----------
    source : str or path-like
        File of `write_weights`, checkpoint of a training, folder of a run or of a model, or name of a model;
        ``"bundled"`` is the one that comes with the package.

    Returns
    -------
    settings : dict
        Keywords of `~astro_photz.train.make_encoder`.
    state_dict : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no encoder.
    """
    path = weights_file(source)
    content = _read(path)
    try:
        settings, state = content["hyper_parameters"]["encoder"], content["state_dict"]
        prefix = next(prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in state))
    except (TypeError, KeyError, StopIteration) as error:
        raise ValueError(
            f"{path} holds no encoder of this package; published checkpoints are read by: astro-photz models import"
        ) from error
    return settings, _part(state, prefix)


def read_head(source):
    """
    Read a redshift head.

    Parameters
    ----------
    source : str or path-like
        As in `read_weights`.

    Returns
    -------
    `torch.nn.Linear`, `~astro_photz.train.tasks.calibration.CalibratedHead` or None
        None if there is an encoder only, as after a pretraining.

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_weights`; ValueError too if it is a head for other bins of redshift.
    """
    path = weights_file(source)
    state = _part(_read(path).get("state_dict", {}), _HEAD)
    if not state:
        return None
    levels = state.pop("levels", None)
    linear = state if levels is None else _part(state, _HEAD)
    bins, width = linear["weight"].shape
    if bins != len(Z_EDGES) - 1:
        raise ValueError(f"{path} holds a head for {bins} bins of redshift, not {len(Z_EDGES) - 1}")
    head = torch.nn.Linear(width, bins)
    head.load_state_dict(linear)
    return head if levels is None else CalibratedHead(head, levels)


def origin(source):
    """
    Where weights come from, as far as what lies beside them tells.

    Parameters
    ----------
    source : str or path-like
        As in `read_weights`.

    Returns
    -------
    dict or None
        Of a model or a run: its ``name``, and whether it, or what it began with, was trained on ``simulated`` images;
        of a model also its ``training_range``. None for a file that lies alone.
    """
    folder = weights_file(source).resolve().parent
    if (folder / "card.json").is_file():
        card = read_card(folder)
        facts = {"name": card["name"], "training_range": card.get("training_range")}
        return facts | {"simulated": _on_simulated(card.get("simulated"), card)}
    for run in (folder, folder.parent):  # of a checkpoint
        if (run / "run.json").is_file():
            what = json.loads((run / "run.json").read_text(encoding="utf-8"))["what"]
            return {"name": run.name, "simulated": _on_simulated(what["data"]["simulated"], what)}
    return None


def _on_simulated(simulated, facts):
    return bool(simulated or (facts.get("origin") or {}).get("simulated"))


def _read(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as weights, without running code that it may hold: {reason}"
        ) from error


def _part(state, prefix):
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def weights_file(source):
    """
    Where weights are.

    Parameters
    ----------
    source : str or path-like
        As in `read_weights`.

    Returns
    -------
    `~pathlib.Path`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    path = Path(source)
    if not path.exists():
        try:
            path = load_model(str(source)).path
        except ModelError:  # there is one, but it is damaged
            raise
        except ValueError as error:
            raise FileNotFoundError(
                f"no weights {str(source)!r}: neither a checkpoint, nor the folder of a run, nor the name of a model"
            ) from error
    if path.is_dir():
        path = path / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"there are no weights to begin with in {path.parent}: no file {path.name}")
    return path


_OF_A_TRAINING = {"state_dict", "hyper_parameters", "optimizer_states", "loops"}


def check_checkpoint(path, model, *, steps=None):
    """
    Make sure that a training can go on from a checkpoint.

    Parameters
    ----------
    path : str or path-like
    model : `torch.nn.Module`
        What is trained.
    steps : int, optional
        Of the whole training, if its schedule depends on them: it is the checkpoint's that goes on.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no whole checkpoint of a training, or that of another model, or of a training of another length or
        with another optimizer, which the checkpoint would bring along.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"resume: no checkpoint {path}")
    content = _read(path)
    if not isinstance(content, dict) or not set(content) >= _OF_A_TRAINING:
        raise ValueError(f"resume: {path} holds no checkpoint of a training to go on with; init takes weights alone")
    own, stored = (_shapes(state) for state in (model.state_dict(), content["state_dict"]))
    for name in sorted(own.keys() | stored.keys()):
        if own.get(name) != stored.get(name):
            raise ValueError(
                f"resume: {path} is of another training or architecture: {name} has the shape {stored.get(name)} "
                f"there, and {own.get(name)} here"
            )
    stored = encoder_settings(**content["hyper_parameters"]["encoder"])
    if stored != encoder_settings(**model.hparams.encoder):  # strides are in no shape, nor is the scale of the pixels
        raise ValueError(
            f"resume: {path} is of another architecture: {_told(stored)} there, and {_told(model.hparams.encoder)} here"
        )
    ours, theirs = (_optimization(hparams) for hparams in (model.hparams, content["hyper_parameters"]))
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"resume: {path} would go on with {name} = {theirs.get(name)!r}, not with {ours.get(name)!r}: give the "
                "same, or begin with its weights (init)"
            )
    if steps and content.get("total_steps", steps) != steps:
        raise ValueError(
            f"resume: {path} is of a training of {content['total_steps']} steps, whose schedule it would go on with; "
            f"this one has {steps}: give both schedule = 'constant', or begin with its weights (init)"
        )


def _optimization(hparams):
    """What a checkpoint brings along, whatever the recipe says."""
    return hparams["optimizer"] | {"layer_decay": hparams.get("layer_decay")}


def _shapes(state):
    return {name: tuple(value.shape) for name, value in state.items()}


def load_weights(encoder, path, *, settings):
    """
    Let an encoder begin where another training ended.

    Parameters
    ----------
    encoder : `torch.nn.Module`
    path : str or path-like
        See `read_weights`.
    settings : dict
        Keywords that the encoder was made with.

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_weights`; ValueError too if the weights are those of another architecture.
    """
    stored, state = read_weights(path)
    if encoder_settings(**stored) != encoder_settings(**settings):
        raise ValueError(
            f"{path} holds an encoder of another architecture: {_told(stored)}, while the recipe's is {_told(settings)}"
        )
    encoder.load_state_dict(state)


def _told(settings):
    return ", ".join(f"{name} = {value!r}" for name, value in settings.items())
