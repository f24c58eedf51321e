# Licensed under a 3-clause BSD style license - see LICENSE
"""
Size of a download before it begins, for a user who may not want it.
"""

import warnings
from dataclasses import dataclass

from astropy.utils.exceptions import AstropyUserWarning

from astro_photz import sdss
from astro_photz.config import conf

__all__ = ["DownloadEstimate", "warn_of"]

_FRAME = 3e-3  # GB of a compressed frame: 2 to 4 MB


@dataclass(frozen=True)
class DownloadEstimate:
    """
    Frames that a call needs and that are not in the cache.

    Parameters
    ----------
    fields, frames : int

    Examples
    --------
    >>> from astro_photz.cutouts.sources._estimate import DownloadEstimate
    >>> print(DownloadEstimate(fields=2000, frames=10_000))
    about 30 GB: 10000 frames of 2000 fields
    """

    fields: int
    frames: int

    @classmethod
    def of(cls, fields, kept):
        """
        Estimate the download of fields.

        Parameters
        ----------
        fields : collection of `~astro_photz.sdss.FieldID`
        kept : callable
            Tells of a field and a band whether the frame is in the cache. It is asked only where the download is larger
            than ``conf.confirm_download_gb``: to look for a frame takes time.

        Returns
        -------
        `DownloadEstimate`
        """
        most = cls(len(fields), len(sdss.BANDS) * len(fields))
        if not most.is_large:
            return most
        missing = [sum(not kept(field_id, band) for band in sdss.BANDS) for field_id in fields]
        return cls(sum(map(bool, missing)), sum(missing))

    @property
    def gigabytes(self):
        """Size (GB), float."""
        return _FRAME * self.frames

    @property
    def is_large(self):
        """True for a size above ``conf.confirm_download_gb``, bool."""
        return self.gigabytes > conf.confirm_download_gb

    def __add__(self, other):
        return DownloadEstimate(self.fields + other.fields, self.frames + other.frames)

    def __str__(self):
        return f"about {self.gigabytes:.3g} GB: {self.frames} frames of {self.fields} fields"


def warn_of(estimate):
    """
    Warn of a large download, which goes on.

    Parameters
    ----------
    estimate : `DownloadEstimate`
    """
    warnings.warn(
        f"the archive is asked for {estimate}; they stay in the cache of astropy. "
        f"(It is said above conf.confirm_download_gb, {conf.confirm_download_gb:g} GB.)",
        AstropyUserWarning,
        stacklevel=4,
    )
