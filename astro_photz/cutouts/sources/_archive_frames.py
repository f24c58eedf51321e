# Licensed under a 3-clause BSD style license - see LICENSE
"""
Frames of the archive during one call.
"""

import threading

from astroquery.sdss import conf as sdss_conf

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError

from ._failures import Unreachable, root_of
from ._frame_cache import FrameCache, kept_file
from ._skyserver import download_frame

__all__ = ["Frames", "no_network"]

_REMEDY = "check the network, or take the images from a folder of frames or a file of cutouts, by source="


class Frames:
    """Frames of the archive."""

    def __init__(self, archive, link, tasks, size, *, alone):
        self._archive = archive
        self._link = link
        self._size = size
        self._fields = {field_id for task in tasks for field_id in task.fields}
        self._alone = alone  # the catalogue gave nothing
        self._lock = threading.Lock()
        self._cache = FrameCache(sdss_conf.sas_baseurl, int(conf.cache_gb * 1e9)) if archive.cache else None

    def load(self, field_id, band, coord):
        archive = self._archive
        options = {"link": self._link, "size": self._size, "timeout": archive.timeout, "cache": self._cache}
        try:
            frame = download_frame(archive.frame_url(field_id, band), coord=coord, **options)
        except FrameError as error:
            if isinstance(error.__cause__, Unreachable) and self._nothing_to_be_had():
                raise no_network(error.__cause__) from root_of(error)
            raise
        self._alone = False
        return frame

    def _nothing_to_be_had(self):
        """Check whether neither the catalogue nor a frame came, and no frame is in the cache."""
        with self._lock:
            urls = (self._archive.frame_url(field_id, band) for field_id in self._fields for band in sdss.BANDS)
            self._alone = self._alone and not (self._archive.cache and any(map(kept_file, urls)))
            self._fields = set()  # one look is enough
            return self._alone


def no_network(error):
    """Make the error of a call that gets nothing, of the one that tells why."""
    return ConnectionError(f"no network: {error}; {_REMEDY}")
