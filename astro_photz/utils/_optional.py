# Licensed under a 3-clause BSD style license - see LICENSE
"""
Optional packages, which an extra installs.
"""

from importlib import import_module

__all__ = ["optional"]


def optional(module, *, extra, doing):
    """
    Import a module of an optional package, or name the extra that installs it.

    ``doing`` is the work that needs it: the subject of the message of the ImportError, in the singular.

    Examples
    --------
    >>> from astro_photz.utils._optional import optional
    >>> json = optional("json", extra="train", doing="training")
    >>> optional("no_such_package", extra="train", doing="training")
    Traceback (most recent call last):
    ...
    ImportError: training needs no_such_package: pip install "astro-photz[train]"
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f'{doing} needs {package}: pip install "astro-photz[{extra}]"') from error
