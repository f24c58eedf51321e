# Licensed under a 3-clause BSD style license - see LICENSE
"""
The bits of ``z_phot_flags``: what each means, what to do about it, and which to leave out.
"""

from __future__ import annotations

from enum import EnumMeta, IntFlag

from ._unknown import no_flag

__all__ = ["BAD", "FLAG_ADVICE", "FLAG_MEANINGS", "MISSING", "PhotozFlag"]


class _AnyCase(EnumMeta):
    def __getitem__(cls, name):
        try:
            return super().__getitem__(str(name).strip().upper())
        except KeyError:
            raise KeyError(no_flag(name, cls.__members__)) from None


class PhotozFlag(IntFlag, metaclass=_AnyCase):
    """
    The bits of ``z_phot_flags`` by name.

    Members are integers, which combine with each other and with columns of flags by ``|``, ``&`` and ``~``. The class
    also serves as ``flag_name_map`` of the tools of `astropy.nddata.bitmask`.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import PhotozFlag
    >>> PhotozFlag(384)
    <PhotozFlag.OFF_CENTRE|CROWDED: 384>
    >>> np.array([0, 384]) & PhotozFlag.CROWDED
    array([  0, 256])
    >>> from astropy.nddata.bitmask import bitfield_to_boolean_mask
    >>> flags = np.array([0, 64, 256], dtype=np.int32)
    >>> bitfield_to_boolean_mask(flags, ignore_flags="LOW_SNR", flag_name_map=PhotozFlag)
    array([False, False,  True])
    """

    NO_POSITION = 1 << 0
    NO_MATCH = 1 << 1
    NO_IMAGE = 1 << 2
    NO_BAND = 1 << 3
    NO_EBV = 1 << 4
    PARTIAL = 1 << 5
    LOW_SNR = 1 << 6
    OFF_CENTRE = 1 << 7
    CROWDED = 1 << 8
    EXTRAPOLATED = 1 << 9
    GRID_EDGE = 1 << 10
    APPROXIMATE_EBV = 1 << 11
    OUTLIER = 1 << 12
    POINT_SOURCE = 1 << 13
    MISALIGNED = 1 << 14
    BEYOND_GRID = 1 << 15
    WRONG_SCALE = 1 << 16
    SATURATED = 1 << 17
    TRAIL = 1 << 18
    BAD_SEEING = 1 << 19
    EBV_MISMATCH = 1 << 20
    BIMODAL = 1 << 21
    ANALOGUES_DISAGREE = 1 << 22
    DEFECT = 1 << 23

    def __invert__(self) -> int:  # type: ignore[override]
        """All other bits: also those of a later version, which ``enum.IntFlag`` would clear."""
        return ~int(self)


FLAG_MEANINGS = {
    "NO_POSITION": "the position is missing, cannot be read, or lies beyond a pole",
    "NO_MATCH": "no SDSS object, frame or stamp covers the position",
    "NO_IMAGE": "the image could not be had: a frame is missing or broken, or the server failed; ask again later",
    "NO_BAND": "a band has no data at the galaxy, or the pixels of another band",
    "NO_EBV": "the Galactic reddening is unknown, and without a position no map tells it",
    "PARTIAL": "a part of the stamp has no data",
    "LOW_SNR": "the galaxy is fainter than 10 times its noise in r",
    "OFF_CENTRE": "the light peaks more than 3 pixels from the position: check the position",
    "CROWDED": "another source is so bright and near that its light counts: about as bright within 8 pixels",
    "EXTRAPOLATED": "the magnitude or the reddening lies outside that of 99 % of what the model was trained on",
    "GRID_EDGE": "the PDF peaks in the last bin: the redshift may lie beyond the grid",
    "APPROXIMATE_EBV": "the reddening is that of a map with pixels of a degree: nothing better was known",
    "OUTLIER": "fewer than 2 % of the galaxies that the model knows are as unlike the rest of them: look at the image",
    "POINT_SOURCE": "the light looks as narrow as that of a point: most likely a star or a quasar",
    "MISALIGNED": "the bands do not show the galaxy at one place: check how the stamps were cut out",
    "BEYOND_GRID": "the image, or the PDF, says that the redshift may lie beyond the training range",
    "WRONG_SCALE": "noise or sky are not those of nanomaggies in pixels of 0.396 arcsec: check units and pixel scale",
    "SATURATED": "the brightest pixels are cut off at one level, or as bright as the detector can see",
    "TRAIL": "a line of light crosses the stamp in one or two bands, such as a satellite's",
    "BAD_SEEING": "the point-spread function is wider or narrower than those that the model was trained on",
    "EBV_MISMATCH": "the reddening given is far from that of the map: check its unit and scale",
    "BIMODAL": "the PDF has two peaks of weight, far apart: use the PDF, not one number",
    "ANALOGUES_DISAGREE": "galaxies that look alike have other redshifts, farther off than for 99 % of good galaxies",
    "DEFECT": "a pixel stands out from its neighbours more than light can: a cosmic ray, a hot pixel or column",
}
"""Meaning of each flag; the first five come with a masked estimate."""

FLAG_ADVICE = {
    "NO_POSITION": "mend the position, or leave the row out",
    "NO_MATCH": "check the position; outside the survey there is nothing to do",
    "NO_IMAGE": "run again later, with --replace; a frame that stays broken is told by the warning",
    "NO_BAND": "give all five bands; a missing one cannot be guessed",
    "NO_EBV": "give positions, or a column of E(B-V)",
    "PARTIAL": "keep it, but for the last few per cent of precision; another field may show the whole galaxy",
    "LOW_SNR": "leave it out, or use its PDF, which is wide",
    "OFF_CENTRE": "match the position to the object in the image, and run again",
    "CROWDED": "look at the image; the light is that of two objects",
    "EXTRAPOLATED": "compare with the redshifts of galaxies alike, if you know some",
    "GRID_EDGE": "use a catalogue of deeper surveys: the redshift is a lower limit",
    "APPROXIMATE_EBV": "give E(B-V) of the SFD map, or --dust-map",
    "OUTLIER": "if there are many, check the order of the bands, their unit and their pixels",
    "POINT_SOURCE": "leave it out, or use a code for quasars",
    "MISALIGNED": "align the bands by their WCS, on the pixels of r; or look for a defect or a neighbour in one band",
    "BEYOND_GRID": "leave it out, or take the redshift for a lower limit",
    "WRONG_SCALE": "convert to nanomaggies (22.5 mag is 1), and pixels to 0.396 arcsec; take no stretch or scaling",
    "SATURATED": "leave it out: the light that is missing cannot be known",
    "TRAIL": "take another field that covers the position",
    "BAD_SEEING": "check that psf_fwhm is a full width at half maximum in arcsec; if so, take another field",
    "EBV_MISMATCH": "check that the column is E(B-V) in magnitudes, not the extinction of a band",
    "BIMODAL": "use z_phot_pdf, or the mode, rather than the mean",
    "ANALOGUES_DISAGREE": "look at the analogues, and at both estimates",
    "DEFECT": "mask or interpolate such pixels, or take another field that covers the position",
}
"""What to do about the rows that have a flag."""

MISSING = int(
    PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH | PhotozFlag.NO_IMAGE | PhotozFlag.NO_BAND | PhotozFlag.NO_EBV
)
"""The bits that come with a masked estimate."""

BAD = MISSING | int(
    PhotozFlag.LOW_SNR
    | PhotozFlag.OFF_CENTRE
    | PhotozFlag.CROWDED
    | PhotozFlag.GRID_EDGE
    | PhotozFlag.OUTLIER
    | PhotozFlag.POINT_SOURCE
    | PhotozFlag.MISALIGNED
    | PhotozFlag.BEYOND_GRID
    | PhotozFlag.WRONG_SCALE
    | PhotozFlag.SATURATED
    | PhotozFlag.TRAIL
    | PhotozFlag.BAD_SEEING
    | PhotozFlag.EBV_MISMATCH
    | PhotozFlag.DEFECT
)
"""
The bits of rows to leave out: ``table[(table["z_phot_flags"] & flags.BAD) == 0]``.

Among them are those of missing estimates, and every flag that says that the image is not one of a galaxy as the model
knows them: its errors say nothing there. Not among them are flags of rows whose estimate is worse, or less sure, but
whose PDF takes account of it: ``PARTIAL``, ``EXTRAPOLATED``, ``APPROXIMATE_EBV``, ``BIMODAL`` and
``ANALOGUES_DISAGREE``. Add these for a sample that is cleaner and smaller.
"""
