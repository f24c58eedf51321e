# Licensed under a 3-clause BSD style license - see LICENSE
"""
Settings of the simulated sky, and their checks.

There are five sections, one for each step of the simulation: ``[sample]`` sets the galaxies that are drawn
(`~astro_photz.simulate.population.sample.Sample`), ``[shapes]`` the families of their shapes
(`~astro_photz.simulate.population.families.draw_shapes`), ``[sky]`` the conditions under which they are seen
(`~astro_photz.simulate.camera.conditions.draw_conditions`), ``[neighbours]`` the other objects in their stamps
(`~astro_photz.simulate.scene.neighbours.draw_neighbours`), ``[background]`` the real sky that they are put on, if any
(`~astro_photz.simulate.camera.blank_sky.draw_patches`). The step itself names its settings and their defaults: its
keywords with a number, a range or a text as the default can be set here, and nothing else.
"""

import math
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from astro_photz.utils._settings import check_known, keyword_defaults, typed
from astro_photz.utils._types import PathLike

from .camera.blank_sky import draw_patches
from .camera.conditions import draw_conditions
from .population.families import draw_shapes
from .population.sample import Sample
from .scene.neighbours import draw_neighbours

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """
    Settings of a simulation.

    Parameters
    ----------
    sample : Sample or dict, optional
        Which galaxies are drawn. :doc:`/training/simulate_settings` lists the keywords of all five.
    sky : dict, optional
        The conditions under which they are seen, as keywords; those left out have its defaults.
    neighbours : dict, optional
        The other objects in their stamps, as keywords.
    background : dict, optional
        ``patches``, a file of real sky that stands for simulated noise; by default none.
    shapes : dict, optional
        ``sersic``, the share of the galaxies that are of the second family of shapes; by default none.

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
    shapes: dict = field(default_factory=dict)

    def __post_init__(self):
        for section, step in _STEPS.items():
            given = getattr(self, section)
            if isinstance(given, Sample):
                continue
            defaults = keyword_defaults(step)
            values = defaults | _checked(section, given, defaults)
            object.__setattr__(self, section, Sample(**values) if step is Sample else values)

    @classmethod
    def of(cls, config: "Settings | dict | PathLike | None") -> "Settings":
        """
        Make settings of any form that a user gives them in.

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
        if isinstance(config, Settings):
            return config
        if not isinstance(config, dict):
            return cls.read(config)
        check_known(config, _STEPS, kind="section")
        return cls(**config)

    @classmethod
    def read(cls, path: PathLike) -> "Settings":
        """
        Read settings from a TOML file.

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
            If it is not TOML, or a setting is wrong; the message begins with the path.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no file {path} with settings")
        try:
            return cls.of(tomllib.loads(Path(path).read_text(encoding="utf-8-sig")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
        except (ValueError, TypeError) as error:
            raise type(error)(f"{path}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """
        List all settings by section, including those that have their defaults.

        Returns
        -------
        dict of dict
        """
        sections = (section for section in _STEPS if section != "sample")
        return {"sample": asdict(self.sample)} | {section: dict(getattr(self, section)) for section in sections}


_STEPS = {
    "sample": Sample,
    "sky": draw_conditions,
    "neighbours": draw_neighbours,
    "background": draw_patches,
    "shapes": draw_shapes,
}


def _checked(section, given, defaults):
    given = typed(f"[{section}]", given, dict)
    check_known(given, defaults, where=f"in [{section}]")
    return {name: _like(f"{name} in [{section}]", value, defaults[name]) for name, value in given.items()}


def _like(name, value, default):
    """A value of the type that the default has; numbers are finite and not negative."""
    n = len(default) if isinstance(default, tuple) else 0
    value = typed(name, value, tuple[(float,) * n] if n else type(default), like=default)
    for number in value if n else (value,):
        if isinstance(number, float) and not (math.isfinite(number) and number >= 0):
            raise ValueError(f"{name} must be a finite number and not below 0, got {number}")
    return value
