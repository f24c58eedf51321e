# Licensed under a 3-clause BSD style license - see LICENSE
"""
Models that are at hand, by name: those that come with the package, and those that the user has added.

A model is added by having its folder in `model_directory`, which belongs to the user: ``astro_photz/models`` in
astropy's directory of data (`astropy.config.get_cache_dir`), usually ``~/.cache/astropy`` or ``~/.astropy/cache``. The
environment variable ``XDG_CACHE_HOME`` moves it, if there is a folder ``astropy`` where it says.
"""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from astropy.config import get_cache_dir
from astropy.table import Table

from astro_photz.config import conf
from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike

from .card import CARD, ModelCard
from .model import PhotozModel

__all__ = ["BUNDLED", "list_models", "load_model", "model_directory"]

BUNDLED = "bundled"
"""Name by which the model that comes with the package is found, whatever its own name and the default are."""


def model_directory() -> Path:
    """
    Directory of the models that the user has added, each a folder of its name.

    Returns
    -------
    `~pathlib.Path`
        It need not exist.

    Examples
    --------
    >>> from astro_photz.models import model_directory
    >>> model_directory().name
    'models'
    """
    return Path(get_cache_dir()) / "astro_photz" / "models"


def _known():
    """Find the folders of all models by name. Those of the package come before others of the same name."""
    bundled = Path(str(files("astro_photz"))) / "data" / "models"
    known = {}
    try:
        roots = bundled, model_directory()
    except OSError:  # a home in which nothing can be written
        roots = (bundled,)
    for root in roots:
        for card in sorted(root.glob(f"*/{CARD}")):
            if card.parent.suffix != ".part":  # not finished
                known.setdefault(card.parent.name, card.parent)
    return known


def list_models() -> Table:
    """
    List the models that come with the package, and those in `~astro_photz.models.model_directory`.

    Returns
    -------
    `~astropy.table.Table`
        ``name``, ``version``, ``default`` (whether it is used where none is named), ``redshifts`` (whether it gives
        redshifts, and not embeddings only), ``simulated`` (whether it was trained on simulated images only),
        ``description`` of its training data, and ``path`` of its folder.

    Raises
    ------
    `~astro_photz.models.ModelError`
        If a card cannot be read.

    Examples
    --------
    >>> import astro_photz
    >>> astro_photz.list_models().colnames
    ['name', 'version', 'default', 'redshifts', 'simulated', 'description', 'path']
    """
    rows = []
    for name, path in _known().items():
        card = ModelCard.read(path)
        flags = name == conf.default_model, card.has_head, card.simulated
        rows.append((name, card.version, *flags, card.training_data["description"], str(path)))
    return Table(
        rows=rows or None,
        names=("name", "version", "default", "redshifts", "simulated", "description", "path"),
        dtype=(str, str, bool, bool, bool, str, str),
    )


def load_model(name_or_path: PathLike | PhotozModel | None = None) -> PhotozModel:
    """
    Load a model.

    Parameters
    ----------
    name_or_path : str, path-like or `~astro_photz.models.PhotozModel`, optional
        Name of a model (see `list_models`), a folder with ``encoder.onnx``, ``head.onnx`` and ``card.json``, or a model
        that is returned as it is; ``conf.default_model`` by default. ``"bundled"`` is the model that comes with the
        package.

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
    >>> astro_photz.load_model().card.simulated
    True
    """
    if isinstance(name_or_path, PhotozModel):
        return name_or_path
    name = conf.default_model if name_or_path is None else name_or_path
    known = _known()
    if str(name) == BUNDLED:
        name = type(conf).default_model.defaultvalue
    path = known.get(str(name), expanded(name))
    if not path.is_dir():
        raise ValueError(f"no model {str(name)!r}: it is neither a folder nor one of {', '.join(known)}")
    changed = (path / CARD).stat().st_mtime_ns if (path / CARD).is_file() else 0
    return _load(path.resolve(), changed, tuple(conf.providers))


@lru_cache(maxsize=4)
def _load(path, _changed, providers):
    """Open a model once, until its card changes: also in a worker that maps over partitions."""
    return PhotozModel(path, providers=providers)
