# Licensed under a 3-clause BSD style license - see LICENSE
"""
From images to embeddings, batch by batch.
"""

from contextlib import closing
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord

from astro_photz.cutouts import Batch, Cutouts
from astro_photz.cutouts.collect import collect_batches, completed
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.flags import MISSING
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.positions import Positions, read_positions
from astro_photz.quality import flag_images
from astro_photz.tables.inputs import as_table

from ._given import ids_of_table

__all__ = ["Galaxies", "embed_cutouts", "embed_positions", "galaxies_of"]


@dataclass(frozen=True)
class Galaxies:
    """
    Galaxies that are to be embedded, N of them.

    Parameters
    ----------
    data : `~astro_photz.Cutouts` or `~astro_photz.positions.Positions`
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
    ids : `~numpy.ndarray` (N,) or None
    table : `~astropy.table.Table` (N,) or None
        Their catalogue.
    """

    data: Cutouts | Positions
    coord: SkyCoord | None
    ids: np.ndarray | None
    table: object = None

    def __len__(self):
        return len(self.data)


def galaxies_of(data):
    """Galaxies of cutouts, or of a table in any form that `~astro_photz.predict` takes."""
    if isinstance(data, Cutouts):
        return Galaxies(data, data.coord, data.ids)
    table = as_table(data)
    positions = read_positions(table)
    return Galaxies(positions, positions.coord, ids_of_table(table), table)


def embed_cutouts(cutouts, model):
    """Embed cutouts (N,); NaN for one without an image."""
    parts = []
    for start in range(0, len(cutouts), 256):
        part = cutouts[start : start + 256].crop(IMAGE_SIZE)
        rows = np.arange(start, start + len(part))
        parts.append(_embedded(completed(Batch(rows, part), cutouts.coord).cutouts, model))
    return np.concatenate([np.zeros((0, model.card.embedding_dim), dtype=np.float32), *parts])


def embed_positions(positions, model, source):
    """Get the images of galaxies at positions (N,), and embed them; NaN for one without an image."""
    embedding = np.full((len(positions), model.card.embedding_dim), np.nan, dtype=np.float32)
    batches = collect_batches(positions, source=source_or_archive(source), size=IMAGE_SIZE)
    with closing(batches):
        for batch in batches:
            embedding[batch.rows] = _embedded(batch.cutouts, model)
    return embedding


def _embedded(cutouts, model):
    """Embeddings (N, D), NaN where `~astro_photz.predict` would give no redshift."""
    embedding = model.embed(cutouts)
    embedding[(flag_images(cutouts) & MISSING) != 0] = np.nan
    return embedding
