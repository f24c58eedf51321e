# Licensed under a 3-clause BSD style license - see LICENSE
"""
The model of a search: the default one, and the encoder by which vectors compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_photz.config import conf
from astro_photz.models import list_models, load_model
from astro_photz.utils._types import PathLike

if TYPE_CHECKING:
    from astro_photz.models import PhotozModel

__all__ = ["encoder_of", "search_model"]


def search_model(model: PathLike | PhotozModel | None = None) -> PhotozModel:
    """
    Load a model to embed with.

    Parameters
    ----------
    model : str, path-like or `~astro_photz.models.PhotozModel`, optional
        By default the default model as it was before it learnt redshifts, if that is here: its embedding is better in
        all that one sees in an image.

    Returns
    -------
    `~astro_photz.models.PhotozModel`

    Examples
    --------
    >>> from astro_photz.similarity.models import search_model
    >>> search_model().card.has_head
    False
    """
    if model is not None:
        return load_model(model)
    pretrained = f"{conf.default_model}-pretrained"
    return load_model(pretrained if pretrained in list_models()["name"] else None)


def encoder_of(model: PhotozModel) -> dict[str, str]:
    """
    Tell the name of a model and the hash of its encoder, which alone decides the embedding.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`

    Returns
    -------
    dict of str
        ``name`` and ``encoder``.
    """
    return {"name": model.name, "encoder": model.card.files["encoder.onnx"]}
