# Licensed under a 3-clause BSD style license - see LICENSE
"""
Facts of the Sloan Digital Sky Survey's imaging that every part of the package shares.

The survey took five bands in drift scan, each through its own row of the camera: one *field* is five *frames*, which
lie a few pixels apart on the sky and share a run, a camera column (``camcol``) and a field number.
"""

import numpy as np

__all__ = [
    "BANDS",
    "CAMCOLS",
    "EXTINCTION_COEFFICIENTS",
    "FRAME_SHAPE",
    "PIXEL_SCALE",
    "RERUN",
    "R_UGRIZ",
    "SOFTENING",
    "ZERO_POINT",
    "FieldID",
    "dark_variance",
    "frame_name",
    "frame_path",
    "gain",
]

from typing import NamedTuple

BANDS = ("u", "g", "r", "i", "z")
"""Names of the bands, in the order of every array's band axis."""

CAMCOLS = range(1, 7)
"""Numbers of the camera columns."""

PIXEL_SCALE = 0.396
"""Pixel scale (arcsec)."""

FRAME_SHAPE = (1489, 2048)
"""Rows and columns of a frame."""

RERUN = 301
"""Processing rerun of all imaging since DR8."""

ZERO_POINT = 22.5
"""AB magnitude of one nanomaggy."""

SOFTENING = np.array([1.4, 0.9, 1.2, 1.8, 7.4], dtype=np.float32) * 1e-10
"""Softening parameter b of the asinh magnitudes in *ugriz* (Lupton, Gunn & Szalay 1999; values of SDSS)."""

R_UGRIZ = np.array([4.239, 3.303, 2.285, 1.698, 1.263], dtype=np.float32)
"""Extinction A / E(B-V) in *ugriz*, for E(B-V) on the scale of SFD98 (Schlafly & Finkbeiner 2011, table 6)."""

EXTINCTION_COEFFICIENTS = {
    "DR12": np.array([5.155, 3.793, 2.751, 2.086, 1.479], dtype=np.float32),
    "DR13": R_UGRIZ,
}
"""A_ugriz / E(B-V) that the catalogues used: the first up to DR12, the second from DR13 on."""


class FieldID(NamedTuple):
    """
    The numbers that identify a field: five frames, one in each band.

    Parameters
    ----------
    run, rerun, camcol, field : int
        Imaging run, processing rerun, camera column (1-6) and field along the run.

    Examples
    --------
    >>> from astro_photz.sdss import FieldID, frame_name
    >>> frame_name("r", FieldID(run=1043, rerun=301, camcol=5, field=25))
    'frame-r-001043-5-0025.fits.bz2'
    """

    run: int
    rerun: int
    camcol: int
    field: int


def frame_name(band, field_id):
    """
    Name of a frame's file.

    Parameters
    ----------
    band : {'u', 'g', 'r', 'i', 'z'}
    field_id : `FieldID`

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz.sdss import FieldID, frame_name
    >>> frame_name("r", FieldID(run=1043, rerun=301, camcol=5, field=25))
    'frame-r-001043-5-0025.fits.bz2'
    """
    return f"frame-{band}-{field_id.run:06d}-{field_id.camcol}-{field_id.field:04d}.fits.bz2"


def frame_path(band, field_id, *, data_release=17):
    """
    Path of a frame below the root of the Science Archive Server.

    Parameters
    ----------
    band : {'u', 'g', 'r', 'i', 'z'}
    field_id : `FieldID`
    data_release : int, optional

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz.sdss import FieldID, frame_path
    >>> frame_path("r", FieldID(run=1043, rerun=301, camcol=5, field=25))
    'dr17/eboss/photoObj/frames/301/1043/5/frame-r-001043-5-0025.fits.bz2'
    """
    if data_release <= 12:
        instrument = "boss"
    elif data_release <= 17:
        instrument = "eboss"
    else:
        instrument = "prior-surveys/sdss4-dr17-eboss"
    run, rerun, camcol, _ = field_id
    return f"dr{data_release}/{instrument}/photoObj/frames/{rerun}/{run}/{camcol}/{frame_name(band, field_id)}"


# Electrons per DN and dark variance (DN^2) by camera column, in ugriz: SDSS data model, "frame". Where the electronics
# changed during the survey, the value before the run in _CHANGES stands there.
_GAIN = np.array(
    [
        [1.62, 3.32, 4.71, 5.165, 4.745],
        [1.825, 3.855, 4.6, 6.565, 5.155],
        [1.59, 3.845, 4.72, 4.86, 4.885],
        [1.6, 3.995, 4.76, 4.885, 4.775],
        [1.47, 4.05, 4.725, 4.64, 3.48],
        [2.17, 4.035, 4.895, 4.76, 4.69],
    ]
)
_DARK_VARIANCE = np.array(
    [
        [9.61, 15.6025, 1.8225, 7.84, 0.81],
        [12.6025, 1.44, 1.00, 6.25, 1.0],
        [8.7025, 1.3225, 1.3225, 4.6225, 1.0],
        [12.6025, 1.96, 1.3225, 7.5625, 12.6025],
        [9.3025, 1.1025, 0.81, 7.84, 2.1025],
        [7.0225, 1.8225, 0.9025, 5.0625, 1.21],
    ]
)


def _check_camcol(camcol):
    if camcol not in CAMCOLS:
        raise ValueError(f"camcol must be a whole number from 1 to 6, got {camcol!r}")


def gain(camcol, run):
    """
    Gain of the five CCDs of a camera column.

    Parameters
    ----------
    camcol : int
        Camera column, 1 to 6.
    run : int
        Imaging run: the *u* chip of column 2 changed at run 1100.

    Returns
    -------
    gain : `~numpy.ndarray` (5,)
        Electrons per DN, in *ugriz*.

    Raises
    ------
    ValueError
        If ``camcol`` is not from 1 to 6.

    Examples
    --------
    >>> from astro_photz.sdss import gain
    >>> gain(5, run=1043)
    array([1.47 , 4.05 , 4.725, 4.64 , 3.48 ])
    """
    _check_camcol(camcol)
    values = _GAIN[camcol - 1].copy()
    if camcol == 2 and run < 1100:
        values[0] = 1.595
    return values


def dark_variance(camcol, run):
    """
    Dark variance (read noise and dark current) of the five CCDs of a camera column.

    Parameters
    ----------
    camcol : int
        Camera column, 1 to 6.
    run : int
        Imaging run: some chips changed at run 1500.

    Returns
    -------
    variance : `~numpy.ndarray` (5,)
        In DN squared, in *ugriz*.

    Raises
    ------
    ValueError
        If ``camcol`` is not from 1 to 6.

    Examples
    --------
    >>> from astro_photz.sdss import dark_variance
    >>> dark_variance(5, run=1043)
    array([9.3025, 1.1025, 0.81  , 7.84  , 1.8225])
    """
    _check_camcol(camcol)
    values = _DARK_VARIANCE[camcol - 1].copy()
    if run < 1500:
        before = {2: (3, 5.76), 4: (3, 6.25), 5: (4, 1.8225)}
        if camcol in before:
            band, value = before[camcol]
            values[band] = value
        if camcol == 4:
            values[4] = 9.61
    return values
