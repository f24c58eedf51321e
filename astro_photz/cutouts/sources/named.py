# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sources by the names that users give: a word, a path, or the source itself.
"""

import os

from astro_photz.cutouts.container import Cutouts
from astro_photz.utils._files import expanded

__all__ = ["source_or_archive"]


def source_or_archive(source=None, *, data_release=None, dust_map=None):
    """
    Make the source that a user names.

    Parameters
    ----------
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        A source; the path of a folder of frames or of an HDF5 file of cutouts; or ``"sdss"``, the default, for the
        archive of SDSS.
    data_release : int, optional
        Data release of the archive, 17 by default, or of the frames.
    dust_map : str, path-like or callable, optional
        For a folder of frames: see `~astro_photz.FrameDirectory`.

    Returns
    -------
    `~astro_photz.cutouts.CutoutSource`

    Raises
    ------
    FileNotFoundError
        If there is no folder or file of that name.
    TypeError
        If ``source`` is of another kind.
    ValueError
        If another parameter is not for that kind of source.
    """
    if source is None or source == "sdss":
        from .archive import SDSSArchive

        _refuse("dust_map", dust_map, "a folder of frames", "sdss")
        return SDSSArchive() if data_release is None else SDSSArchive(data_release=data_release)
    if isinstance(source, str | os.PathLike):
        return _source_at(expanded(source), data_release, dust_map)
    if isinstance(source, type):
        raise TypeError(f"source={source.__name__} is the class: give an object of it, {source.__name__}(...)")
    if isinstance(source, Cutouts):
        raise TypeError("source must be where images come from; these Cutouts are images: predict(cutouts) takes them")
    if not callable(getattr(source, "batches", None)):
        raise TypeError(
            "source must be an SDSSArchive, a FrameDirectory, a CutoutFile, or the path of a folder of frames or an "
            f"HDF5 file; got {type(source).__name__}"
        )
    return source


def _source_at(path, data_release, dust_map):
    from .directory import FrameDirectory
    from .hdf5_file import CutoutFile

    if path.is_dir():
        return FrameDirectory(path, dust_map=dust_map, data_release=-1 if data_release is None else data_release)
    if path.is_file():
        _refuse("dust_map", dust_map, "a folder of frames", path)
        _refuse("data_release", data_release, "the archive or a folder of frames", path)
        return CutoutFile(path)
    raise FileNotFoundError(f"source={str(path)!r}: neither 'sdss', nor a folder of frames, nor an HDF5 file")


def _refuse(name, value, what, source):
    if value is not None:
        raise ValueError(f"{name}={str(value)!r} is for {what}, not for source={str(source)!r}")
