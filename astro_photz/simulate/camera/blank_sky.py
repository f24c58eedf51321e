# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real sky to put simulated galaxies on: stamps of frames in which nothing is detected.

A patch has whatever the survey's sky has: noise with all its correlations, what sky subtraction left, galaxies too
faint to be detected. `cut_patches` cuts them once, `draw_patches` draws from them.
"""

from pathlib import Path

import numpy as np
from astropy.nddata import block_reduce
from astropy.stats import mad_std
from astropy.table import Table
from scipy.ndimage import binary_dilation, gaussian_filter

from astro_photz.cutouts import fetch
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.frames import FrameError, read_frame, read_header
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE, open_cutouts
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.cutouts.sources.directory import FrameDirectory
from astro_photz.sdss import BANDS, gain
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike

__all__ = ["check_patches", "cut_patches", "draw_patches"]

# Of the r image, smoothed to about the blur.
_DETECTION = 5.0  # sigma
_SMOOTHING = 1.5  # pixels
_WINGS = 3  # pixels around what is detected
# Rows of a frame that the next ones in the scan have too, half at each end; and more than other bands are off r.
_EDGE = 64
_NEEDS = ("images", "e_bv", "calibration", "gain")


def cut_patches(
    frames: PathLike, path: PathLike, *, size: int = MINIMUM_SIZE, overwrite: bool = False, progress: bool | None = None
) -> int:
    """
    Cut all stamps of SDSS frames in which nothing is detected in *r*, and write them to an HDF5 file.

    Parameters
    ----------
    frames : str or path-like
        Folder of frames, those of all five bands of each field: see `~astro_photz.FrameDirectory`.
    path : str or path-like
        File to write. Its layout is that of other cutouts, with pixels as the frames have them (float32), and with data
        sets ``calibration`` (nanomaggies a DN) and ``gain`` (electrons a DN), each (N, 5).
    size : int, optional
        Side of a stamp (pixels).
    overwrite : bool, optional
        Replace a file that is there.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 patches.

    Returns
    -------
    int
        Number of patches.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    FileNotFoundError
        If there is no such folder, or no *r* frame in it.
    OSError
        If a frame is missing or broken.
    ValueError
        If every stamp has a detection.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import simulate, testing
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> frames = testing.write_scene(folder)  # small fields with few galaxies
    >>> simulate.cut_patches(frames, folder / "patches.h5")
    5
    """
    source = FrameDirectory(frames)
    places = {field_id: _empty_places(source, field_id, size) for field_id in source.field_ids}
    n = sum(map(len, places.values()))
    if not n:
        raise ValueError(f"frames: no stamp of {size} pixels in {frames} is without detections; take a smaller size")
    with (
        CutoutWriter(path, n, size=size, dtype="float32", overwrite=overwrite) as writer,
        progress_bar(n, progress, unit="patches") as advance,
    ):
        for field_id, table in places.items():
            if not len(table):
                continue
            cutouts = fetch(table, source=source, size=size, progress=False)
            if not np.isfinite(cutouts.flux).all():
                raise FrameError(f"{frames}: a frame of {field_id} is missing or broken; complete it, or take it away")
            writer.append(cutouts, **_camera(source, field_id, len(table)))
            advance(len(table))
    return n


def _empty_places(source, field_id, size):
    """Find centres of stamps, side by side, with nothing detected; no dust, since nothing in them is dereddened."""
    frame = read_frame(source.frame_path(field_id, "r"))
    inner = _detected(frame.image)[_EDGE:-_EDGE, _EDGE:-_EDGE]
    rows, columns = np.nonzero(~block_reduce(inner, size, func=np.any).astype(bool))
    y, x = (_EDGE + (number + 0.5) * size - 0.5 for number in (rows, columns))
    ra, dec = frame.wcs.all_pix2world(x, y, 0)
    field = {name: np.full(len(x), value) for name, value in field_id._asdict().items()}  # of no run that overlaps it
    return Table({"ra": ra, "dec": dec, "ebv": np.zeros(len(x)), **field})


def _detected(image):
    """Mask of the pixels that belong to an object, or lie in its wings."""
    from photutils.segmentation import detect_sources  # slow to import

    smooth = gaussian_filter(image, _SMOOTHING)
    found = detect_sources(smooth - np.median(smooth), _DETECTION * mad_std(smooth), 1)
    return np.zeros(image.shape, dtype=bool) if found is None else binary_dilation(found.data > 0, iterations=_WINGS)


def _camera(source, field_id, n):
    calibration = [read_header(source.frame_path(field_id, band))["NMGY"] for band in BANDS]
    gains = gain(field_id.camcol, field_id.run)
    return {name: np.tile(values, (n, 1)) for name, values in (("calibration", calibration), ("gain", gains))}


def check_patches(path, *, size):
    """
    Check that a file has patches, and that they are large enough.

    Parameters
    ----------
    path : str or path-like
    size : int
        Side of the stamps wanted (pixels).

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If it is no file of patches, or they are too small.
    """
    with open_cutouts(path, needs=_NEEDS) as file:
        n, _, own_size, _ = file["images"].shape
    if not n:
        raise ValueError(f"patches: {path} is empty; cut some with astro-photz simulate patches")
    if own_size < size:
        raise ValueError(
            f"patches: those in {path} have {own_size} pixels, less than the {size} wanted; cut larger ones with "
            f"astro-photz simulate patches --size {size}"
        )


def draw_patches(n, rng, *, size, patches=""):
    """
    Draw patches of real sky, each flipped or not in *x* and in *y*, so that rows stay rows.

    Parameters
    ----------
    n : int
    rng : `~numpy.random.Generator`
    size : int
        Side of the stamps (pixels), which are the middle of the patches.
    patches : str or path-like
        File of `cut_patches`.

    Returns
    -------
    flux : `~numpy.ndarray` (n, 5, size, size)
        In nanomaggies.
    camera : dict of `~numpy.ndarray` (n, 5)
        ``calibration`` (nanomaggies a DN) and ``gain`` (electrons a DN).
    """
    with open_cutouts(Path(patches), needs=_NEEDS) as file:
        rows = rng.integers(len(file["images"]), size=n)
        flux = read_rows(file, rows).crop(size).flux
        camera = {name: file[name][()][rows] for name in ("calibration", "gain")}
    flipped = rng.random((2, n)) < 0.5
    flux[flipped[0]] = flux[flipped[0], :, :, ::-1]
    flux[flipped[1]] = flux[flipped[1], :, ::-1]
    return flux, camera
