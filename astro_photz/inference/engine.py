# Licensed under a 3-clause BSD style license - see LICENSE
"""
The one way from batches of images to flags, embeddings and redshift PDFs.
"""

from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from astro_photz.cutouts import Batch, Cutouts
from astro_photz.cutouts.collect import completed
from astro_photz.flags import MISSING, PhotozFlag
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.pdf import RedshiftPDF
from astro_photz.quality import flag_images
from astro_photz.quality.images import seeing_range
from astro_photz.quality.measurements import measure
from astro_photz.quality.pdfs import flag_pdfs, leans_on_end
from astro_photz.reference.features import is_cut_off, is_distant, is_point
from astro_photz.reference.strangers import Reference
from astro_photz.utils._products import ROWS
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._threads import in_threads, number_of_threads

__all__ = ["BATCH", "EstimatedBatch", "batches_of", "estimate_batches"]

_PIECE = 4 * ROWS  # galaxies that a thread works on at once
_STRANGE = 0.02  # share of the galaxies of the reference that lie farther out

BATCH = 256
"""Galaxies in memory at once, where the source does not decide."""


@dataclass(frozen=True)
class EstimatedBatch:
    """
    Estimates of a batch of B galaxies; M galaxies have one.

    Parameters
    ----------
    rows : `~numpy.ndarray` (B,) of int
        Rows of the galaxies in their table or file.
    flags : `~numpy.ndarray` (B,) of int32
        Bits of `~astro_photz.PhotozFlag`.
    cutouts : `~astro_photz.Cutouts` (M,)
        Images of the galaxies that have an estimate.
    embedding : `~numpy.ndarray` (M, D) of float32
    pdf : `~astro_photz.RedshiftPDF` (M,) or None
        None if redshifts were not asked for.
    ood : `~numpy.ndarray` (M,) of float32 or None
        Share of the galaxies of the model's reference that lie farther out. None if redshifts were not asked for, or
        the model has no reference.
    """

    rows: np.ndarray
    flags: np.ndarray
    cutouts: Cutouts
    embedding: np.ndarray
    pdf: RedshiftPDF | None
    ood: np.ndarray | None = None

    @property
    def has_estimate(self):
        """Mask of the galaxies that have an estimate, `~numpy.ndarray` (B,) of bool."""
        return _usable(self.flags)

    @property
    def estimated(self):
        """Rows of the galaxies that have an estimate, `~numpy.ndarray` (M,) of int."""
        return self.rows[self.has_estimate]


def estimate_batches(batches, model, *, redshifts=True, then=None):
    """
    Flag, embed and estimate galaxies, batch by batch, in as many threads as the model takes.

    Parameters
    ----------
    batches : generator of `~astro_photz.cutouts.Batch`
        In any order. It is closed at the end, and after an error or an interrupt.
    model : `~astro_photz.models.PhotozModel`
    redshifts : bool, optional
        Whether PDFs are wanted, and not embeddings alone.
    then : callable, optional
        Called with each `EstimatedBatch`, in the thread that made it.

    Yields
    ------
    `EstimatedBatch`
        Or what ``then`` makes of it. They come in order, in parts of the batches.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz.inference.engine import batches_of, estimate_batches
    >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    >>> parts = list(estimate_batches(batches_of(cutouts), astro_photz.load_model()))
    >>> sum(len(part.rows) for part in parts), parts[0].pdf
    (24, <RedshiftPDF of ... galaxies, 180 bins on 0 to 0.4>)
    """
    reference = Reference.of_model(model) if redshifts else None
    estimate = partial(_estimated, model=model, reference=reference, redshifts=redshifts)

    def work(piece):
        part = estimate(piece)
        return part if then is None else then(part)

    with closing(batches), closing(in_threads(work, _pieces(batches))) as results:
        yield from results


def _pieces(batches):
    """Divide batches so that all threads have work, and pixels stay in the processors' caches."""
    for batch in batches:
        n = len(batch.rows)
        fair = -(-n // (number_of_threads() * ROWS)) * ROWS
        size = max(1, min(_PIECE, fair))
        if size >= n:
            yield batch
            continue
        for start in range(0, n, size):
            yield Batch(batch.rows[start : start + size], batch.cutouts[start : start + size])


def _estimated(batch, *, model, reference, redshifts):
    """Flag, embed and estimate the galaxies of a batch."""
    known = model.card.training_range
    measured = measure(batch.cutouts)
    flags = flag_images(batch.cutouts, training_range=known, measurements=measured)
    usable = _usable(flags)
    cutouts = batch.cutouts if usable.all() else batch.cutouts[usable]
    if not redshifts:
        return EstimatedBatch(batch.rows, flags, cutouts, model.embed(cutouts), None)
    encoding = model.encoding(cutouts)
    pdf = model.pdf(encoding.embedding)
    ood, doubts = _doubts(cutouts, measured[usable], encoding.features, pdf, reference=reference, known=known)
    flags[usable] |= doubts
    return EstimatedBatch(batch.rows, flags, cutouts, encoding.embedding, pdf, ood)


def _doubts(cutouts, measured, features, pdf, *, reference, known):
    """Share of the reference's galaxies that lie farther out, if there is a reference, and flags of estimates."""
    told = {} if reference is None else reference.regressions
    seen = {"features": features, "cut_off": is_cut_off(cutouts, measured)}
    flags = flag_pdfs(pdf)
    beyond = is_distant(told.get("distant"), by_pdf=leans_on_end(pdf, known), **seen)
    flags[beyond] |= PhotozFlag.BEYOND_GRID
    points = is_point(cutouts, measured, told.get("point_sources"), seeing=seeing_range(known), **seen)
    flags[points] |= PhotozFlag.POINT_SOURCE
    ood = None if reference is None else reference.ood(features, measured.vector)
    if ood is not None:
        flags[ood < _STRANGE] |= PhotozFlag.OUTLIER
    return ood, flags


def batches_of(cutouts, *, progress=None):
    """
    Yield cutouts that are in memory in batches, under a progress bar.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    progress : bool, optional
        As in `~astro_photz.predict`.

    Yields
    ------
    `~astro_photz.cutouts.Batch`
        With stamps of the size that models take.
    """
    with progress_bar(len(cutouts), progress) as advance:
        for start in range(0, len(cutouts), BATCH):
            rows = np.arange(start, min(start + BATCH, len(cutouts)))
            yield completed(Batch(rows, cutouts[start : start + BATCH].crop(IMAGE_SIZE)), cutouts.coord)
            advance(len(rows))


def _usable(flags):
    return (flags & MISSING) == 0
