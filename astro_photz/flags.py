# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags: named bits for missing or doubtful estimates, to be read with `astropy.nddata.bitmask`.
"""

from astropy.nddata.bitmask import extend_bit_flag_map

__all__ = ["FLAG_MEANINGS", "MISSING", "PhotozFlag"]

FLAG_MEANINGS = {
    "NO_POSITION": "the position is masked, not finite, or beyond a pole",
    "NO_MATCH": "no SDSS object, frame or stamp covers the position",
    "NO_IMAGE": "the image could not be had: a frame is missing or broken, or the server failed",
    "NO_BAND": "a band has no data at the galaxy",
    "NO_EBV": "the Galactic reddening is unknown, and without a position no map tells it",
    "PARTIAL": "a part of the stamp has no data",
    "LOW_SNR": "the galaxy is fainter than 10 times its noise in r",
    "OFF_CENTRE": "the light peaks more than 3 pixels from the position",
    "CROWDED": "another source, at least half as bright at its peak, lies within 20 pixels",
    "EXTRAPOLATED": "the magnitude or the reddening lies outside that of 99 % of what the model was trained on",
    "GRID_EDGE": "the PDF peaks in the last bin: the redshift may lie beyond the grid",
    "APPROXIMATE_EBV": "the reddening is that of a map with pixels of a degree: nothing better was known",
}
"""Meaning of each flag; the first five come with a masked estimate."""

PhotozFlag = extend_bit_flag_map("PhotozFlag", **{name: 1 << bit for bit, name in enumerate(FLAG_MEANINGS)})
"""The bits by name, e.g. ``PhotozFlag.NO_MATCH``: a map for `astropy.nddata.bitmask`."""

MISSING = int(
    PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH | PhotozFlag.NO_IMAGE | PhotozFlag.NO_BAND | PhotozFlag.NO_EBV
)
"""The bits that come with a masked estimate."""
