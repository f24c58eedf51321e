# Licensed under a 3-clause BSD style license - see LICENSE
"""
The folder of a new model, which is complete or not there.
"""

from contextlib import contextmanager

from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import folder_aside

from .card import CARD

__all__ = ["new_model"]


@contextmanager
def new_model(path, *, overwrite):
    """
    Yield a folder for the files of a model, which takes its name when it is complete.

    Parameters
    ----------
    path : `~pathlib.Path`
    overwrite : bool
        Replace a model, or an empty folder, of that name.

    Yields
    ------
    `~pathlib.Path`
        An empty folder; after an error, nothing is left of it.

    Raises
    ------
    FileExistsError
        If the folder is there and ``overwrite`` is not set, or if it holds something else than a model.
    BlockingIOError
        If another process is writing it.
    """
    check_not_there(path, overwrite=overwrite)
    with claimed(path), folder_aside(path, sign=CARD, kind="a model's folder", overwrite=overwrite) as part:
        yield part
