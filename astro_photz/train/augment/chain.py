# Licensed under a 3-clause BSD style license - see LICENSE
"""
Views of a galaxy: augmentations (`astro_photz.train.augment.steps`) one after another, as a recipe tells.
"""

import inspect

from astro_photz.train._torch import torch
from astro_photz.utils._suggestions import advice

from .steps import Blur, JitterCrop, MissingPixels, Noise, Reddening, RotateFlip, SizeScaling, noise_rms

nn = torch.nn

__all__ = ["augmentation_settings", "make_augmentation"]

_STEPS = {
    "scale": SizeScaling,
    "rotate": RotateFlip,
    "crop": JitterCrop,
    "redden": Reddening,
    "blur": Blur,
    "noise": Noise,
    "missing": MissingPixels,
}
_OF_THE_CROP = {"rotate": ("size", "jitter")}  # who turns no more than what is cut out


def augmentation_settings(settings):
    """
    All options of a chain of augmentations, those that are left out too.

    Parameters
    ----------
    settings : dict of dict
        Of `make_augmentation`.

    Returns
    -------
    dict of dict
        The same and, where there were none, the defaults; in the order of the chain. Of ``rotate``, size and jitter are
        left to the crop.

    Raises
    ------
    ValueError
        If there is no such step or option.

    Examples
    --------
    >>> from astro_photz.train.augment.chain import augmentation_settings
    >>> augmentation_settings({"redden": {}, "crop": {"jitter": 2}})
    {'crop': {'size': 64, 'jitter': 2}, 'redden': {'ebv_max': 0.5}}
    """
    for step, options in settings.items():
        _check_known("augmentation", step, _STEPS)
        if not isinstance(options, dict):
            raise ValueError(f"the augmentation {step!r} must be a table of options, got {options!r}")
        for name in options:
            _check_known(f"option of the augmentation {step!r}", name, _defaults(step))
    chosen = {"crop": {}} | settings
    full = {step: _defaults(step) | chosen[step] for step in _STEPS if step in chosen}
    return {
        step: {name: value for name, value in options.items() if value is not None} for step, options in full.items()
    }


def _defaults(step):
    """Options that a recipe may give to a step; None where another step decides."""
    options = inspect.signature(_STEPS[step]).parameters
    return {name: option.default for name, option in options.items() if name not in _OF_THE_CROP.get(step, ())}


def make_augmentation(settings):
    """
    Chain augmentations as a recipe tells.

    In the order of nature: what concerns the galaxy's place and shape comes first, on the whole stamp, then dust,
    seeing, noise, and last what is missing. Noise is in units of the stamp's own.

    Parameters
    ----------
    settings : dict of dict
        Options by the name of the step, which is left out if the name is: ``scale``, ``rotate``, ``crop`` (never left
        out), ``redden``, ``blur``, ``noise``, ``missing``. They are those of
        `~astro_photz.train.augment.steps.SizeScaling`, `~astro_photz.train.augment.steps.RotateFlip`,
        `~astro_photz.train.augment.steps.JitterCrop`, `~astro_photz.train.augment.steps.Reddening`,
        `~astro_photz.train.augment.steps.Blur`, `~astro_photz.train.augment.steps.Noise` and
        `~astro_photz.train.augment.steps.MissingPixels`.

    Returns
    -------
    `torch.nn.Sequential`
        Modules in that order; only the crop does anything when the chain is not training.

    Raises
    ------
    ValueError
        If there is no such step or option, or an option's value cannot be.

    Examples
    --------
    >>> from astro_photz.train.augment.chain import make_augmentation
    >>> [type(step).__name__ for step in make_augmentation({"noise": {"low": 1, "high": 2}, "rotate": {}})]
    ['RotateFlip', 'JitterCrop', 'Noise']
    >>> make_augmentation({"nose": {}})
    Traceback (most recent call last):
        ...
    ValueError: unknown augmentation 'nose': did you mean 'noise'? Known are scale, rotate, crop, ...
    """
    chosen = augmentation_settings(settings)
    steps = {name: _STEPS[name](**options) for name, options in chosen.items()}
    if "rotate" in steps:  # turn no more pixels than are cut out
        steps["rotate"].size, steps["rotate"].jitter = steps["crop"].size, steps["crop"].jitter
    return _Chain(*steps.values())


class _Chain(nn.Sequential):
    """Augmentations one after another; the unit of the noise is taken first."""

    def forward(self, flux):
        noisy = self.training and any(isinstance(step, Noise) for step in self)
        rms = noise_rms(flux) if noisy else None
        for step in self:
            flux = step(flux, rms) if isinstance(step, Noise) else step(flux)
        return flux


def _check_known(what, name, known):
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}: {advice(name, known)}")
