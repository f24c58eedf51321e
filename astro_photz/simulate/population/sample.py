# Licensed under a 3-clause BSD style license - see LICENSE
"""
Samples: the limits within which a survey selects galaxies.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from astro_photz.photometry import r_magnitude
from astro_photz.utils._settings import check_one_of

__all__ = ["FURTHEST", "MAIN_SAMPLE", "Sample"]

FURTHEST = 1.0
"""Redshift to which galaxies can be simulated: that of the template fits."""

_MAIN_LIMIT = 17.8
_COLOURS = "fitted", "measured"
_DEEPEST = 22.2  # of SDSS


@dataclass(frozen=True)
class Sample:
    """
    Limits within which a survey selects galaxies.

    Parameters
    ----------
    faintest, brightest : float, optional
        Limits of the total *r* magnitude, free of our Galaxy's extinction. Default: the Main Galaxy Sample's.
    redshift : (float, float), optional
        Limits of the redshift.
    flat_redshift : bool, optional
        Draw redshifts uniformly instead of as they occur: at each, galaxies that the sample has there. There are none
        below and above the redshifts where at least 20 progenitors can be seen within the limits, whatever ``redshift``
        says.
    dusty : float, optional
        Share of the galaxies that lie behind more dust than the survey's fields do, E(B-V) being uniform from 0 to 0.5
        mag: to train on, so that dust is nothing unusual.
    colours : {'fitted', 'measured'}, optional
        Light of the galaxies: template fits to kcorrect's galaxies, all seen from further away, with a scatter
        (`~astro_photz.simulate.population.progenitors`); or what catalogues measured, less their noise
        (`~astro_photz.simulate.population.measured`).

    Raises
    ------
    ValueError
        If a limit is no number, out of its range, or the wrong way round.

    Examples
    --------
    >>> from astro_photz.simulate.population.sample import Sample
    >>> Sample(faintest=20.0, redshift=(0.1, 0.3))
    Sample(faintest=20.0, brightest=13.0, redshift=(0.1, 0.3), flat_redshift=False, dusty=0.0, colours='fitted')
    """

    faintest: float = _MAIN_LIMIT
    brightest: float = 13.0
    redshift: tuple[float, float] = (0.0, 0.4)
    flat_redshift: bool = False
    dusty: float = 0.0
    colours: str = "fitted"

    def __post_init__(self):
        for name in ("faintest", "brightest"):
            _check_number(name, getattr(self, name))
        if self.faintest > _DEEPEST:
            raise ValueError(f"faintest must be at most {_DEEPEST} mag, the depth of SDSS, got {self.faintest}")
        if not self.brightest < self.faintest:
            raise ValueError(
                f"brightest must be a smaller magnitude than faintest, got {self.brightest} and {self.faintest}"
            )
        if not isinstance(self.flat_redshift, bool):
            raise ValueError(f"flat_redshift must be true or false, got {self.flat_redshift!r}")
        _check_number("dusty", self.dusty)
        if not 0 <= self.dusty <= 1:
            raise ValueError(f"dusty must be a share of the galaxies, from 0 to 1, got {self.dusty}")
        check_one_of("colours", self.colours, _COLOURS)
        object.__setattr__(self, "redshift", _check_redshift(self.redshift))

    def contains(self, flux, redshift):
        """
        Mask of the galaxies that belong to the sample.

        Parameters
        ----------
        flux : `~numpy.ndarray` (N, 5)
            In *ugriz* (nanomaggies), free of extinction.
        redshift : `~numpy.ndarray` (N,)

        Returns
        -------
        `~numpy.ndarray` (N,) of bool
        """
        magnitude = r_magnitude(flux[:, 2])
        lowest, highest = self.redshift
        bright_enough = (magnitude <= self.faintest) & (magnitude >= self.brightest)
        return bright_enough & (redshift >= lowest) & (redshift < highest)


def _check_number(name, value):
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(value):
        raise ValueError(f"{name} must be a number, got {value!r}")


def _check_redshift(limits):
    """Limits as a pair of float: a list, as configuration files give it, will do."""
    if not isinstance(limits, (tuple, list)) or len(limits) != 2:
        raise ValueError(f"redshift must be a pair (lowest, highest), got {limits!r}")
    for limit in limits:
        _check_number("redshift", limit)
    lowest, highest = map(float, limits)
    if not 0 <= lowest < highest <= FURTHEST:
        raise ValueError(f"redshift must be a pair (lowest, highest) within 0 to {FURTHEST:g}, got {limits!r}")
    return lowest, highest


MAIN_SAMPLE = Sample()
"""The Main Galaxy Sample's limits, r <= 17.8 (Strauss et al. 2002, AJ 124, 1810) and z < 0.4."""
