# Licensed under a 3-clause BSD style license - see LICENSE
"""
Views of a galaxy: a chain of augmentations, as a recipe sets them.

Augmentations are random changes of stamps that leave the redshift alone, each a module that works on a batch. They take
dereddened fluxes (`~astro_photz.train.networks.dereddening.deredden`) with NaN where there is no image, on any device,
and do nothing unless they are training. Random numbers come from torch's global generator, for each stamp its own::

    augment = make_augmentation({"rotate": {}, "crop": {"jitter": 5}, "redden": {"ebv_max": 0.3}})
    view = augment(deredden(flux, ebv))
"""

import inspect

from torch import nn

from astro_photz.utils._settings import check_known

from .geometry import JitterCrop, RotateFlip, SizeScaling
from .light import Blur, MissingPixels, Noise, Normalisation, Reddening, noise_rms

__all__ = ["STEPS", "augmentation_settings", "make_augmentation"]

STEPS = {
    "scale": SizeScaling,
    "rotate": RotateFlip,
    "crop": JitterCrop,
    "redden": Reddening,
    "blur": Blur,
    "normalise": Normalisation,
    "noise": Noise,
    "missing": MissingPixels,
}
"""Augmentations by the name that a recipe has for them, in the order in which they are applied."""
_OF_THE_CROP = {"rotate": ("size", "jitter")}  # which turns no more pixels than the crop keeps


def augmentation_settings(settings):
    """
    Fill in the options of a chain of augmentations that are left out.

    Parameters
    ----------
    settings : dict of dict
        Of `make_augmentation`.

    Returns
    -------
    dict of dict
        All options, in the order of the chain. Size and jitter of ``rotate`` are those of the crop.

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
    check_known(settings, STEPS, kind="augmentation")
    for step, options in settings.items():
        if not isinstance(options, dict):
            raise ValueError(f"the augmentation {step!r} must be a table of options, got {options!r}")
        check_known(options, _defaults(step), kind=f"option of the augmentation {step!r}")
    chosen = {"crop": {}} | settings
    full = {step: _defaults(step) | chosen[step] for step in STEPS if step in chosen}
    return {
        step: {name: value for name, value in options.items() if value is not None} for step, options in full.items()
    }


def _defaults(step):
    """Options that a recipe may give to a step, with their defaults."""
    options = inspect.signature(STEPS[step]).parameters
    return {name: option.default for name, option in options.items() if name not in _OF_THE_CROP.get(step, ())}


def make_augmentation(settings):
    """
    Chain augmentations.

    They are in the order of nature: place and shape of the galaxy first, on the whole stamp, then dust, seeing,
    brightness, noise, and missing pixels last. Noise is in units of the stamp's own.

    Parameters
    ----------
    settings : dict of dict
        Options of each step by its name: ``scale``, ``rotate``, ``crop``, ``redden``, ``blur``, ``normalise``,
        ``noise``, ``missing``. Steps that are not named are left out, but the crop never is. They are
        `~astro_photz.train.augment.geometry.SizeScaling`, `~astro_photz.train.augment.geometry.RotateFlip`,
        `~astro_photz.train.augment.geometry.JitterCrop`, `~astro_photz.train.augment.light.Reddening`,
        `~astro_photz.train.augment.light.Blur`, `~astro_photz.train.augment.light.Normalisation`,
        `~astro_photz.train.augment.light.Noise` and `~astro_photz.train.augment.light.MissingPixels`.

    Returns
    -------
    `torch.nn.Sequential`
        Modules in that order; only the crop does anything when the chain is not training.

    Raises
    ------
    ValueError
        If there is no such step or option, or an option has a wrong value.

    Examples
    --------
    >>> from astro_photz.train.augment import make_augmentation
    >>> [type(step).__name__ for step in make_augmentation({"noise": {"low": 1, "high": 2}, "rotate": {}})]
    ['RotateFlip', 'JitterCrop', 'Noise']
    >>> make_augmentation({"nose": {}})
    Traceback (most recent call last):
        ...
    ValueError: unknown augmentation 'nose': did you mean 'noise'? Known are scale, rotate, crop, ...
    """
    chosen = augmentation_settings(settings)
    steps = {name: STEPS[name](**options) for name, options in chosen.items()}
    if "rotate" in steps:  # turn no more pixels than are cut out
        steps["rotate"].size, steps["rotate"].jitter = steps["crop"].size, steps["crop"].jitter
    return _Chain(*steps.values())


class _Chain(nn.Sequential):
    """A sequence of augmentations; the unit of the noise is measured first."""

    def forward(self, flux):
        noisy = self.training and any(isinstance(step, Noise) for step in self)
        rms = noise_rms(flux) if noisy else None
        for step in self:
            flux = step(flux, rms) if isinstance(step, Noise) else step(flux)
        return flux
