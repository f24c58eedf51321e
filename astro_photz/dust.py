# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galactic dust: the reddening E(B-V) of each galaxy, and the light that the dust took.

E(B-V) is always on the scale of the map of Schlegel, Finkbeiner & Davis (1998, SFD98). It comes from a column of the
table, from the extinctions of the SDSS catalogue (`ebv_from_extinction`), or from a map (`ebv_from_map`).
"""

import numpy as np

from ._arrays import filled
from .sdss import EXTINCTION_COEFFICIENTS, R_UGRIZ

__all__ = ["deredden", "ebv_from_extinction", "ebv_from_map", "extinction_from_ebv", "redden"]

# Two medians of A_g / A_r are 0.067 apart: the nearer set counts, if it is near.
_RATIO_TOLERANCE = 0.02


def _coefficients(extinction):
    """The set of coefficients that a catalogue's extinctions were computed with, by their own ratio A_g / A_r."""
    dusty = (extinction[:, 1] > 0) & (extinction[:, 2] > 0)
    if not dusty.any():  # no dust at all: every set gives zero
        return R_UGRIZ
    ratio = np.median(extinction[dusty, 1] / extinction[dusty, 2])
    for coefficients in EXTINCTION_COEFFICIENTS.values():
        if abs(ratio - coefficients[1] / coefficients[2]) < _RATIO_TOLERANCE:
            return coefficients
    known = ", ".join(f"{c[1] / c[2]:.3f} ({name})" for name, c in EXTINCTION_COEFFICIENTS.items())
    raise ValueError(
        f"extinction has a median A_g / A_r of {ratio:.3f}, which is that of no SDSS data release: {known}. "
        "Give E(B-V) itself instead."
    )


def ebv_from_extinction(extinction):
    """
    Reddening from the extinctions of the SDSS catalogue.

    The catalogues up to DR12 and those from DR13 on used different coefficients. The set is recognised by the median of
    A_g / A_r over all rows (1.379 or 1.446), whatever the release is called: the wrong one makes E(B-V) wrong by 17 %.

    Parameters
    ----------
    extinction : array_like (N, 5)
        A_u, A_g, A_r, A_i, A_z (mag), of one release. NaN where unknown.

    Returns
    -------
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag), SFD98 scale; NaN where an extinction is NaN.

    Raises
    ------
    ValueError
        If the shape is not (N, 5), or the ratio A_g / A_r belongs to no release.

    Examples
    --------
    >>> from astro_photz.dust import ebv_from_extinction
    >>> ebv_from_extinction([[0.5155, 0.3793, 0.2751, 0.2086, 0.1479]]).round(4)  # DR12
    array([0.1], dtype=float32)
    >>> ebv_from_extinction([[0.4239, 0.3303, 0.2285, 0.1698, 0.1263]]).round(4)  # DR17
    array([0.1], dtype=float32)
    """
    extinction = filled(extinction, np.float32)
    if extinction.ndim != 2 or extinction.shape[1] != 5:
        raise ValueError(f"extinction must have the shape (N, 5): A_ugriz of each galaxy; got {extinction.shape}")
    return np.mean(extinction / _coefficients(extinction), axis=1)


def extinction_from_ebv(ebv, *, coefficients="DR13"):
    """
    Extinction in the five bands.

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
    return filled(ebv, np.float32)[..., np.newaxis] * EXTINCTION_COEFFICIENTS[coefficients]


def _transmission(ebv, flux):
    """10^(-0.4 A), shaped to multiply ``flux`` (..., 5, S, S)."""
    transmission = 10 ** (-0.4 * extinction_from_ebv(ebv))
    return transmission.reshape(transmission.shape + (1,) * (flux.ndim - transmission.ndim))


def redden(flux, *, ebv):
    """
    Dim images as the dust of the Galaxy would.

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


def deredden(flux, *, ebv):
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


def ebv_from_map(coord, dust_map):
    """
    Reddening from a map of the sky.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
        Positions in any frame; NaN where unknown.
    dust_map : str, path-like or callable
        The folder that holds the two files ``SFD_dust_4096_[ns]gp.fits`` (read with sfdmap2), or a function that
        takes a SkyCoord and returns E(B-V) on the SFD98 scale, such as a query object of the package dustmaps.

    Returns
    -------
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag), SFD98 scale; NaN where the position is NaN.

    Raises
    ------
    ImportError
        If ``dust_map`` is a folder and sfdmap2 is not installed.
    FileNotFoundError
        If the folder does not hold the map.
    """
    if not callable(dust_map):
        dust_map = _sfd_map(dust_map)
    coord = coord.icrs
    known = np.isfinite(coord.ra.deg) & np.isfinite(coord.dec.deg)
    ebv = np.full(len(coord), np.nan, dtype=np.float32)
    if known.any():
        ebv[known] = dust_map(coord[known])
    return ebv


def _sfd_map(folder):
    try:
        from sfdmap2.sfdmap import SFDMap
    except ImportError as error:
        raise ImportError('dust_map as a folder needs sfdmap2: pip install "astro-photz[dust]"') from error
    # scaling: sfdmap2 multiplies by 0.86 unless told; R_UGRIZ of S&F 2011 already holds that factor.
    return SFDMap(str(folder), scaling=1.0).ebv
