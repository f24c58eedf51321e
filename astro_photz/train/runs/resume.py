# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make sure that a training can resume from a checkpoint, before it begins.
"""

from pathlib import Path

from astro_photz.train.networks.encoder import encoder_settings, settings_text
from astro_photz.train.networks.weights import read_checkpoint

__all__ = ["check_checkpoint"]

_OF_A_TRAINING = {"state_dict", "hyper_parameters", "optimizer_states", "loops"}


def check_checkpoint(path, model, *, steps=None):
    """
    Make sure that a training can resume from a checkpoint.

    Parameters
    ----------
    path : str or path-like
    model : `torch.nn.Module`
        The model that is trained.
    steps : int, optional
        Number of steps of the whole training, if its schedule depends on it: the checkpoint's schedule is resumed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a complete checkpoint of a training, or that of another model, or of a training of another length
        or with another optimizer, which the checkpoint would bring along.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"resume: no checkpoint {path}")
    content = read_checkpoint(path)
    if not isinstance(content, dict) or not set(content) >= _OF_A_TRAINING:
        raise ValueError(f"resume: {path} holds no checkpoint of a training to resume; init takes weights alone")
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
            f"resume: {path} is of another architecture: {settings_text(stored)} there, and "
            f"{settings_text(model.hparams.encoder)} here"
        )
    ours, theirs = (_optimization(hparams) for hparams in (model.hparams, content["hyper_parameters"]))
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"resume: {path} would resume with {name} = {theirs.get(name)!r}, not with {ours.get(name)!r}: give "
                "the same, or begin with its weights (init)"
            )
    if steps and content.get("total_steps", steps) != steps:
        raise ValueError(
            f"resume: {path} is of a training of {content['total_steps']} steps, whose schedule it would resume; "
            f"this one has {steps}: give both schedule = 'constant', or begin with its weights (init)"
        )


def _optimization(hparams):
    """Settings that a checkpoint brings along, whatever the recipe says."""
    return hparams["optimizer"] | {"layer_decay": hparams.get("layer_decay")}


def _shapes(state):
    return {name: tuple(value.shape) for name, value in state.items()}
