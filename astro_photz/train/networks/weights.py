# Licensed under a 3-clause BSD style license - see LICENSE
"""
The weights of an encoder on disk, with those of its redshift head if it has one.

They are tensors of safetensors, and the keywords of `~astro_photz.train.make_encoder` are in the metadata as JSON. The
checkpoints of a pretraining or of a fine-tuning, and the files of earlier versions, are read as well: torch reads
these as tensors and numbers only. Nothing that a file holds is executed. Weights in the folder of a model are those
whose hash its card tells.
"""

import io
import json
import os
import pickle
import struct
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load, save

from astro_photz.models import ModelCard, ModelError, load_model
from astro_photz.models.card import CARD
from astro_photz.utils._files import aside

from .encoder import encoder_settings, settings_text
from .heads import Z_EDGES, CalibratedHead

__all__ = [
    "WEIGHTS",
    "load_weights",
    "read_checkpoint",
    "read_head",
    "read_weights",
    "weights_file",
    "write_weights",
    "write_whole",
]

WEIGHTS = "encoder.safetensors"
"""Name of the file in the folder of a run, or of a model."""

_WEIGHTS_BEFORE = "encoder.pt"  # of earlier versions
_PREFIXES = ("query.encoder.", "encoder.")  # of a pretraining, and of everything else
_HEAD = "head."


def write_whole(path, write):
    """
    Write a file aside, and rename it when it is on the disk.

    Parameters
    ----------
    path : path-like
    write : callable
        Called with the open binary file.

    Raises
    ------
    OSError
        If the file cannot be written: an earlier one of that name stays.
    """
    try:
        with aside(path) as part, open(part, "wb") as file:
            write(file)
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
        File to write; it takes its name when it is complete.
    encoder : `torch.nn.Module`
    settings : dict
        Keywords of `~astro_photz.train.make_encoder` that the encoder was made with.
    head : `torch.nn.Linear` or `~astro_photz.train.networks.heads.CalibratedHead`, optional
    """
    parts = torch.nn.ModuleDict({"encoder": encoder} | ({"head": head} if head is not None else {}))
    tensors = {name: value.contiguous() for name, value in parts.state_dict().items()}
    content = save(tensors, metadata={"encoder": json.dumps(dict(settings))})
    write_whole(path, lambda file: file.write(content))


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
    content = read_checkpoint(path)
    try:
        settings, state = dict(content["hyper_parameters"]["encoder"]), content["state_dict"]
        prefix = next(prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in state))
    except (AttributeError, TypeError, KeyError, StopIteration, ValueError) as error:
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
    `torch.nn.Linear`, `~astro_photz.train.networks.heads.CalibratedHead` or None
        None if there is an encoder only, as after a pretraining.

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_weights`; ValueError too if it is a head for other bins of redshift.
    """
    path = weights_file(source)
    content = read_checkpoint(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no weights of this package")
    state = _part(content.get("state_dict", {}), _HEAD)
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


def read_checkpoint(path):
    """
    Read a file of weights, or a checkpoint of a training.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict
        In the form of Lightning's checkpoints: ``state_dict`` has the weights, and ``hyper_parameters`` has the
        settings of the encoder under ``encoder``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read without running code that it may hold; or, as a
        `~astro_photz.models.ModelError`, if it is in the folder of a model and not the one that its card describes.
    """
    path = Path(path)
    # what is read has the hash of the card, even if the file is replaced in the meantime
    of_model = (path.parent / CARD).is_file()
    content = ModelCard.read(path.parent).content(path.parent, path.name) if of_model else None
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path.read_bytes() if content is None else content)
        file = path if content is None else io.BytesIO(content)
        return torch.load(file, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, OSError, ValueError),
        *(safetensors.SafetensorError, struct.error),
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as weights, without running code that it may hold: {reason}"
        ) from error


def _read_safetensors(content):
    state = load(content)
    # eight bytes tell the length of the header, which is JSON: https://huggingface.co/docs/safetensors
    (length,) = struct.unpack_from("<Q", content)
    settings = json.loads(content[8 : 8 + length]).get("__metadata__", {}).get("encoder")
    return {"state_dict": state} | ({"hyper_parameters": {"encoder": json.loads(settings)}} if settings else {})


def _part(state, prefix):
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def weights_file(source):
    """
    Find the file of weights.

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
        before = path / _WEIGHTS_BEFORE
        path = path / WEIGHTS
        path = before if before.is_file() and not path.is_file() else path
    if not path.is_file():
        unfinished = (path.parent / "recipe.toml").is_file() and path.name == WEIGHTS
        hint = "; the training there is not finished: give its command again" if unfinished else ""
        raise FileNotFoundError(f"there are no weights to begin with in {path.parent}: no file {path.name}{hint}")
    return path


def load_weights(encoder, path, *, settings):
    """
    Load the weights of another training into an encoder.

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
            f"{path} holds an encoder of another architecture: {settings_text(stored)}, while the recipe's is "
            f"{settings_text(settings)}"
        )
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:  # torch lists names and shapes, one a line
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path} holds other weights than its settings say: {reason}") from error
