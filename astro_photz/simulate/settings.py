# Licensed under a 3-clause BSD style license - see LICENSE
"""
What a user may set about the simulated sky, and the check that it can be meant.

Settings come in four sections, each of which belongs to one step of the simulation: ``[sample]`` says which galaxies
are drawn (`~astro_photz.simulate.population.sample.Sample`), ``[sky]`` under what conditions they are seen
(`~astro_photz.simulate.camera.conditions.draw_conditions`), ``[neighbours]`` what else shines into their stamps
(`~astro_photz.simulate.scene.neighbours.draw_neighbours`), ``[background]`` on what real sky they are put, if on any
(`~astro_photz.simulate.camera.blank_sky.draw_patches`). The step itself names its settings and their defaults: what it
takes by keyword, with a number, a range or a text as the default, can be set here, and nothing else.
"""

import inspect
import math
import os
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from astro_photz.utils._suggestions import advice

from .camera.blank_sky import draw_patches
from .camera.conditions import draw_conditions
from .population.sample import Sample
from .scene.neighbours import draw_neighbours

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """
    Settings of a simulation.

    Parameters
    ----------
    sample : `~astro_photz.simulate.population.sample.Sample` or dict, optional
        Which galaxies are drawn.
    sky : dict, optional
        Keywords of `~astro_photz.simulate.camera.conditions.draw_conditions`; those left out have its defaults.
    neighbours : dict, optional
        Keywords of `~astro_photz.simulate.scene.neighbours.draw_neighbours`.
    background : dict, optional
        Keywords of `~astro_photz.simulate.camera.blank_sky.draw_patches`: ``patches``, a file of real sky that stands
        for simulated noise; by default none.

    Raises
    ------
    ValueError
        If there is no such setting, or a value is out of its range.
    TypeError
        If a value is of the wrong type.

    Examples
    --------
    >>> from astro_photz.simulate import Settings
    >>> settings = Settings(sample={"faintest": 19.5})
    >>> settings.sample.faintest
    19.5
    >>> Settings(sample={"fainest": 19.5})
    Traceback (most recent call last):
        ...
    ValueError: unknown setting 'fainest' in [sample]: did you mean 'faintest'? Known are faintest, brightest, ...
    """

    sample: Sample = field(default_factory=Sample)
    sky: dict = field(default_factory=dict)
    neighbours: dict = field(default_factory=dict)
    background: dict = field(default_factory=dict)

    def __post_init__(self):
        for section, step in _STEPS.items():
            given = getattr(self, section)
            if isinstance(given, Sample):
                continue
            values = _defaults(step) | _checked(section, given, _defaults(step))
            object.__setattr__(self, section, Sample(**values) if step is Sample else values)

    @classmethod
    def of(cls, config):
        """
        Settings from whatever a user gives.

        Parameters
        ----------
        config : `Settings`, dict, str, path-like or None
            Sections by name, each a dict; or the path of a TOML file with such sections; None for the defaults.

        Returns
        -------
        `Settings`
        """
        if config is None:
            return cls()
        if isinstance(config, cls):
            return config
        if not isinstance(config, dict):
            return cls.read(config)
        for section in config:
            if section not in _STEPS:
                raise ValueError(f"unknown section {section!r}: {advice(section, _STEPS)}")
        return cls(**config)

    @classmethod
    def read(cls, path):
        """
        Settings from a TOML file.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        `Settings`

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError, TypeError
            If it is not TOML, or says what cannot be; the message begins with the path.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no file {path} with settings")
        try:
            return cls.of(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
        except (ValueError, TypeError) as error:
            raise type(error)(f"{path}: {error}") from error

    def as_dict(self):
        """
        All settings, those that have their defaults too, by section.

        Returns
        -------
        dict of dict
        """
        sections = (section for section in _STEPS if section != "sample")
        return {"sample": asdict(self.sample)} | {section: dict(getattr(self, section)) for section in sections}


_STEPS = {"sample": Sample, "sky": draw_conditions, "neighbours": draw_neighbours, "background": draw_patches}


def _defaults(step):
    """What can be set of a step, with the defaults: keywords whose default is a number, a range or a text."""
    parameters = inspect.signature(step).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if _is_setting(parameter.default)}


def _is_setting(default):
    values = default if isinstance(default, tuple) else (default,)
    return all(isinstance(value, bool | int | float | str) for value in values)


def _checked(section, given, defaults):
    if not isinstance(given, dict):
        raise TypeError(f"[{section}] must be a table of settings, got {given!r}")
    for name in given:
        if name not in defaults:
            raise ValueError(f"unknown setting {name!r} in [{section}]: {advice(name, defaults)}")
    return {name: _like(f"{name} in [{section}]", value, defaults[name]) for name, value in given.items()}


def _like(name, value, default):
    """A value of the type that the default has."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be true or false, got {value!r}")
        return value
    if isinstance(default, str):
        if not isinstance(value, str | os.PathLike):
            raise TypeError(f"{name} must be a text, got {value!r}")
        return os.fspath(value)
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise TypeError(f"{name} must be {len(default)} numbers, like {list(default)}, got {value!r}")
        return tuple(_like(name, *pair) for pair in zip(value, default, strict=True))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, like {default}, got {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number and not below 0, got {value}")
    return float(value)
