# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galactic dust: the reddening E(B-V) of each galaxy, and the light that the dust absorbs.

E(B-V) is always on the scale of the map of Schlegel, Finkbeiner & Davis (1998, SFD98). It comes from a column of the
table, from the extinctions of the SDSS catalogue (`ebv_from_extinction`), or from a map (`ebv_from_map`). Otherwise
`approximate_ebv` gives a rough value everywhere.

Estimates are not dereddened here but inside the encoder, by ``train/networks/dereddening.py``, which the exported graph
holds: `deredden` is its reference, and for photometry of your own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from .sdss import EXTINCTION_COEFFICIENTS
from .utils._arrays import POSITIVE_SENTINELS, SENTINELS, numbers
from .utils._checks import check_release
from .utils._healpix import interpolated
from .utils._optional import optional
from .utils._sky import direction_of

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = [
    "approximate_ebv",
    "deredden",
    "ebv_from_extinction",
    "ebv_from_map",
    "extinction_from_ebv",
    "far_from_map",
    "redden",
]

# Relative deviation of a catalogue's extinction from E(B-V) times its coefficient that is allowed besides rounding. The
# two sets of coefficients lie 3.5 % from their common ratio.
_TOLERANCE = 0.01
_DECIMALS = range(6)  # digits to which extinctions may be rounded
_GOOD_ENOUGH = 0.01  # mag that the choice of a release may change: no worse than the coarse map
_WORTH_SAYING = 0.002
_UNKNOWN = SENTINELS + POSITIVE_SENTINELS
# Difference from the map at low resolution that is still believed: mag, and a share of the map's E(B-V), which is what
# SFD98 varies by within a degree. tools/measure_dust_check.py: 1 or 2 in 1,000 real galaxies differ by more; of those
# behind an E(B-V) above 0.02, nearly all would if A_V, A_r or zero stood for it.
_MAP_ERROR = 0.01
_MAP_STRUCTURE = 0.4


def ebv_from_extinction(extinction: ArrayLike, *, data_release: int | None = None, strict: bool = True) -> np.ndarray:
    """
    Compute the reddening from the extinctions of the SDSS catalogue.

    The catalogues up to DR12 and those from DR13 on used different coefficients, and the wrong ones make E(B-V) wrong
    by 17 %. The five values of a galaxy show which ones were used: within their digits, they are multiples of one set.
    Other rows do not matter.

    Parameters
    ----------
    extinction : array_like (N, 5)
        A_u, A_g, A_r, A_i, A_z (mag). NaN where unknown.
    data_release : int, optional
        Data release of the extinctions, if they have too few digits to show it.
    strict : bool, optional
        Raise an error if there are several galaxies, and the extinctions of none belong to a release.

    Returns
    -------
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag), SFD98 scale; NaN where an extinction is unknown, negative or not finite, where the five belong to
        no release, and where they fit both sets of coefficients with a difference of more than 0.01 mag. If both sets
        fit within that, the mean of the two values.

    Raises
    ------
    ValueError
        If the shape is not (N, 5), or, unless ``strict`` is False, the extinctions of no galaxy belong to a release.

    Warns
    -----
    AstropyUserWarning
        If the extinctions of some galaxies belong to no release, or fit both sets of coefficients.

    Examples
    --------
    >>> from astro_photz.dust import ebv_from_extinction
    >>> ebv_from_extinction([[0.5155, 0.3793, 0.2751, 0.2086, 0.1479]]).round(4)  # DR12
    array([0.1], dtype=float32)
    >>> ebv_from_extinction([[0.4239, 0.3303, 0.2285, 0.1698, 0.1263]]).round(4)  # DR17
    array([0.1], dtype=float32)
    """
    extinction = numbers(extinction, unit=u.mag, sentinels=_UNKNOWN)
    if extinction.ndim != 2 or extinction.shape[1] != 5:
        raise ValueError(f"extinction must have the shape (N, 5): A_ugriz of each galaxy; got {extinction.shape}")
    ebv = np.full(len(extinction), np.nan, dtype=np.float32)
    known = (extinction >= 0).all(axis=1)
    ebv[(extinction == 0).all(axis=1)] = 0
    dusty = np.flatnonzero(known & ~(extinction == 0).all(axis=1))
    if data_release is not None:
        ebv[dusty] = np.mean(extinction[dusty] / _coefficients(data_release), axis=1)
    elif len(dusty):
        ebv[dusty] = _ebv_of_a_release(extinction[dusty], dusty, strict)
    return ebv


def _coefficients(data_release):
    check_release("data_release", data_release)
    return EXTINCTION_COEFFICIENTS["DR12" if data_release <= 12 else "DR13"]


def _ebv_of_a_release(extinction, rows, strict):
    """Compute E(B-V) (N,) from extinctions (N, 5) that show their release."""
    slack = _rounding(extinction) + _TOLERANCE * extinction
    ranges = [_range(extinction, slack, coefficients) for coefficients in EXTINCTION_COEFFICIENTS.values()]
    low, high, best = (np.stack(each) for each in zip(*ranges, strict=True))
    fits = low <= high
    both = fits.all(axis=0)
    ebv = np.where(fits[0], best[0], np.where(fits[1], best[1], np.nan))
    half_width = (high.max(axis=0) - low.min(axis=0)) / 2
    ebv[both] = np.where(half_width <= _GOOD_ENOUGH, best.mean(axis=0), np.nan)[both]

    strange = ~fits.any(axis=0)
    if strict and len(extinction) > 1 and strange.all():
        raise ValueError(_of_no_release(extinction[0]) + " Give E(B-V) itself instead, by ebv=.")
    messages = []
    if strange.any():
        first = np.argmax(strange)
        messages.append(f"in {strange.sum()} rows, the first {rows[first]}: {_of_no_release(extinction[first])}")
    unclear = both & (half_width > _WORTH_SAYING)
    if unclear.any():
        messages.append(
            f"in {unclear.sum()} rows, the first {rows[np.argmax(unclear)]}, extinctions have too few digits to tell "
            "whether they are of DR12 or before, or later: give extinction_release=12 or 17. E(B-V) is the mean of the "
            f"two where that is within {_GOOD_ENOUGH} mag, and unknown elsewhere"
        )
    for message in messages:
        warnings.warn(message, AstropyUserWarning, stacklevel=3)
    return ebv


def _range(extinction, slack, coefficients):
    """Least, largest and best E(B-V) (N,) for a set of coefficients; least > largest if it does not fit."""
    c = coefficients.astype(float)
    return ((extinction - slack) / c).max(axis=1), ((extinction + slack) / c).min(axis=1), extinction @ c / (c @ c)


def _rounding(extinction):
    """Half of the last digit (N, 1) to which the values of each row (N, 5) are rounded."""
    rounding = np.zeros((len(extinction), 1))
    for decimals in reversed(_DECIMALS):
        scaled = extinction * 10.0**decimals
        whole = (np.abs(scaled - np.rint(scaled)) <= 1e-6 * scaled).all(axis=1)  # also as float32
        rounding[whole] = 0.5 * 10.0**-decimals
    return rounding


def _of_no_release(extinction):
    known = ", ".join(f"{c[1] / c[2]:.3f} ({name})" for name, c in EXTINCTION_COEFFICIENTS.items())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = extinction[1] / extinction[2]
    return (
        f"extinctions with an A_g / A_r of {ratio:.3f} belong to no SDSS data release, all five bands together: it is "
        f"{known} there."
    )


def extinction_from_ebv(ebv: ArrayLike, *, coefficients: str = "DR13") -> np.ndarray:
    """
    Compute the extinction in the five bands.

    Parameters
    ----------
    ebv : array_like (...)
        E(B-V) (mag), SFD98 scale.
    coefficients : {'DR13', 'DR12'}, optional
        Set of A / E(B-V): ``'DR13'`` of Schlafly & Finkbeiner (2011, table 6), used from that release on, or
        ``'DR12'``, used up to that release.

    Returns
    -------
    extinction : `~numpy.ndarray` (..., 5) float32
        A_ugriz (mag).

    Examples
    --------
    >>> from astro_photz.dust import extinction_from_ebv
    >>> extinction_from_ebv(0.1).round(4)
    array([0.4239, 0.3303, 0.2285, 0.1698, 0.1263], dtype=float32)
    """
    ebv = numbers(ebv, unit=u.mag, sentinels=_UNKNOWN).astype(np.float32)
    return ebv[..., np.newaxis] * EXTINCTION_COEFFICIENTS[coefficients]


def _transmission(ebv, flux):
    """10^(-0.4 A), shaped to multiply ``flux`` (..., 5, S, S)."""
    transmission = 10 ** (-0.4 * extinction_from_ebv(ebv))
    return transmission.reshape(transmission.shape + (1,) * (flux.ndim - transmission.ndim))


def redden(flux: ArrayLike, *, ebv: ArrayLike) -> np.ndarray:
    """
    Dim images as the dust of the Galaxy does.

    Parameters
    ----------
    flux : array_like (N, 5, S, S) or (N, 5)
        Fluxes in *ugriz*, in any linear unit.
    ebv : array_like (N,)
        E(B-V) (mag), SFD98 scale.

    Returns
    -------
    flux : `~numpy.ndarray`
        ``flux * 10**(-0.4 * R * ebv)`` with R of Schlafly & Finkbeiner (2011), of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.dust import redden
    >>> redden(np.ones((1, 5), dtype=np.float32), ebv=[0.1]).round(3)
    array([[0.677, 0.738, 0.81 , 0.855, 0.89 ]], dtype=float32)
    """
    flux = np.asarray(flux)
    return flux * _transmission(ebv, flux)


def deredden(flux: ArrayLike, *, ebv: ArrayLike) -> np.ndarray:
    """
    Undo the dimming by the dust of the Galaxy: the inverse of `redden`.

    Parameters
    ----------
    flux : array_like (N, 5, S, S) or (N, 5)
        Fluxes in *ugriz*, in any linear unit.
    ebv : array_like (N,)
        E(B-V) (mag), SFD98 scale.

    Returns
    -------
    flux : `~numpy.ndarray`
        Of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.dust import deredden
    >>> deredden(np.ones((1, 5), dtype=np.float32), ebv=[0.1]).round(3)
    array([[1.478, 1.356, 1.234, 1.169, 1.123]], dtype=float32)
    """
    flux = np.asarray(flux)
    return flux / _transmission(ebv, flux)


def ebv_from_map(coord: SkyCoord, dust_map: str | Callable | None) -> np.ndarray:
    """
    Look up the reddening in a map of the sky.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
        Positions in any frame; NaN where unknown.
    dust_map : str, path-like or callable
        The folder that holds the two files ``SFD_dust_4096_[ns]gp.fits`` (read with sfdmap2), or a function that
        takes a SkyCoord and returns E(B-V) on the SFD98 scale, possibly masked or with a unit, such as a query object
        of the package dustmaps.

    Returns
    -------
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag), SFD98 scale; NaN where the position is NaN, and where the value of the map is masked, negative or
        not finite.

    Raises
    ------
    ValueError
        If the function does not give a value for each position, or one in a unit that is no magnitude.
    ImportError
        If ``dust_map`` is a folder and sfdmap2 is not installed.
    FileNotFoundError
        If the folder does not hold the map.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.dust import ebv_from_map
    >>> coord = SkyCoord([150.0, 210.0], [2.0, 54.0], unit="deg")
    >>> ebv_from_map(coord, lambda coord: 0.03 / np.sin(np.abs(coord.galactic.b)))
    array([0.04491698, 0.03453095], dtype=float32)
    """
    if not callable(dust_map):
        dust_map = _sfd_map(dust_map)
    coord = direction_of(coord)
    known = np.isfinite(coord.ra.deg)
    ebv = np.full(len(coord), np.nan, dtype=np.float32)
    if known.any():
        found = numbers(dust_map(coord[known]), unit=u.mag, sentinels=_UNKNOWN)
        if found.shape not in ((), (known.sum(),)):
            raise ValueError(f"dust_map must give an E(B-V) for each of {known.sum()} positions, got {found.shape}")
        ebv[known] = np.where(found >= 0, found, np.nan)
    return ebv


def approximate_ebv(coord: SkyCoord) -> np.ndarray:
    """
    Look up the reddening in the SFD98 map at low resolution that comes with the package.

    Its pixels are a degree wide, while dust has structure of arcminutes. On four fields of SDSS it is within 25 % of
    the catalogue's E(B-V), 0.006 mag rms.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
        Positions in any frame; NaN where unknown.

    Returns
    -------
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag), SFD98 scale; NaN where the position is NaN.

    Notes
    -----
    HEALPix with 64 pixels along the side of a base pixel, as NASA's LAMBDA distributes it; interpolated between the
    four nearest pixels.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.dust import approximate_ebv
    >>> approximate_ebv(SkyCoord([192.86], [27.13], unit="deg")).round(3)  # the north Galactic pole
    array([0.011], dtype=float32)
    """
    return interpolated(_low_resolution_map(), coord).astype(np.float32)


def far_from_map(ebv: ArrayLike, coord: SkyCoord) -> np.ndarray:
    """
    Tell which reddenings cannot be those of their positions.

    That shows extinctions in the place of E(B-V), placeholders, and values of other galaxies. A factor below 1.4 does
    not show, such as that of 0.86 between SFD98 and Schlafly & Finkbeiner (2011).

    Parameters
    ----------
    ebv : array_like (N,)
        E(B-V) (mag), SFD98 scale; NaN where unknown.
    coord : `~astropy.coordinates.SkyCoord` (N,)
        Positions in any frame; NaN where unknown.

    Returns
    -------
    `~numpy.ndarray` (N,) bool
        True where E(B-V) differs by more than 0.01 mag + 40 % from `approximate_ebv`; False where either is unknown.

    Notes
    -----
    The map is that of Schlegel, Finkbeiner & Davis (1998) in pixels of a degree, while dust has structure of
    arcminutes: behind a thick and patchy cloud a right value may be called far.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.dust import far_from_map
    >>> coord = SkyCoord([150.0, 150.0, 150.0], [2.0, 2.0, 2.0], unit="deg")
    >>> far_from_map([0.02, 3.1 * 0.02, 0.0], coord)
    array([False,  True,  True])
    """
    ebv = np.asarray(ebv, dtype=float)
    rough = approximate_ebv(coord)
    return np.abs(ebv - rough) > _MAP_ERROR + _MAP_STRUCTURE * rough  # False for NaN


@cache
def _low_resolution_map():
    from astropy.io import fits

    with as_file(files("astro_photz") / "data" / "dust" / "sfd_healpix_64.fits") as path:
        return fits.getdata(path, 1).field(0).astype(float)


def _sfd_map(folder):
    sfdmap = optional("sfdmap2.sfdmap", extra="dust", doing="dust_map as a folder")
    # By default, sfdmap2 multiplies by 0.86; R_UGRIZ of S&F 2011 already holds that factor.
    return sfdmap.SFDMap(str(folder), scaling=1.0).ebv
