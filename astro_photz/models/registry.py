# Licensed under a 3-clause BSD style license - see LICENSE
"""
The models that are at hand, by name.
"""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from astropy.table import Table

from ..config import conf
from .model import PhotozModel, read_card

__all__ = ["list_models", "load_model"]


def _bundled():
    """Folders of the models that come with the package, by name."""
    root = Path(str(files("astro_photz"))) / "data" / "models"
    return {card.parent.name: card.parent for card in sorted(root.glob("*/card.json"))}


def list_models():
    """
    List the models that come with the package.

    Returns
    -------
    `~astropy.table.Table`
        ``name``, ``version``, ``default`` (whether it is used where none is named), ``simulated`` (whether it was
        trained on simulated images only) and ``description`` of its training data.

    Examples
    --------
    >>> import astro_photz
    >>> astro_photz.list_models().colnames
    ['name', 'version', 'default', 'simulated', 'description']
    """
    rows = []
    for name, path in _bundled().items():
        card = read_card(path)
        training = card["training_data"]["description"]
        rows.append((name, card["version"], name == conf.default_model, bool(card.get("simulated")), training))
    return Table(
        rows=rows or None,
        names=("name", "version", "default", "simulated", "description"),
        dtype=(str, str, bool, bool, str),
    )


def load_model(name_or_path=None):
    """
    Load a model.

    Parameters
    ----------
    name_or_path : str or path-like, optional
        Name of a bundled model (see `list_models`), or a folder with ``encoder.onnx``, ``head.onnx`` and ``card.json``;
        ``conf.default_model`` by default.

    Returns
    -------
    `~astro_photz.models.PhotozModel`

    Raises
    ------
    ValueError
        If there is neither such a model nor such a folder, or its files are not those of its card.

    Examples
    --------
    >>> import astro_photz
    >>> astro_photz.load_model().card["simulated"]
    True
    """
    name = conf.default_model if name_or_path is None else name_or_path
    bundled = _bundled()
    path = bundled.get(str(name), Path(name))
    if not path.is_dir():
        raise ValueError(f"no model {str(name)!r}: neither a folder, nor one of the bundled {', '.join(bundled)}")
    return _load(path.resolve(), (path / "card.json").stat().st_mtime_ns if (path / "card.json").is_file() else 0)


@lru_cache(maxsize=4)
def _load(path, _changed):
    """A model is opened once, until its card changes: in a worker that maps over partitions too."""
    return PhotozModel(path)
