# Licensed under a 3-clause BSD style license - see LICENSE
"""
Settings that users write, in a TOML file or by keyword: checks of their names, types and ranges.
"""

import inspect
import math
import numbers
import os
from dataclasses import MISSING, fields, is_dataclass
from typing import get_args, get_origin, get_type_hints

from ._suggestions import advice, shortened

__all__ = [
    "built",
    "check_at_least",
    "check_between",
    "check_known",
    "check_one_of",
    "keyword_defaults",
    "one_number",
    "typed",
]

_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", dict: "a table of settings"}
_MOST = 10**18  # of whole numbers, which are exact everywhere
_ACCEPTED = {float: int | float, str: str | os.PathLike}


def check_known(names, known, *, kind="setting", where=""):
    """
    Refuse names that are not known, and suggest the nearest one that is.

    Raise a ValueError for the first unknown one; its message gives the ``kind``, and the place ``where`` the user wrote
    it, such as ``in [sample]``.

    Examples
    --------
    >>> from astro_photz.utils._settings import check_known
    >>> check_known(["epoch"], ["epochs", "groups"], where="in [pretrain]")
    Traceback (most recent call last):
        ...
    ValueError: unknown setting 'epoch' in [pretrain]: did you mean 'epochs'? Known are epochs, groups
    """
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}{where and ' '}{where}: {advice(name, known)}")


def check_one_of(name, value, known):
    """Refuse a value that is not one of some names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {shortened(value)}")


def one_number(name, value):
    """
    Return a value that is one real number; raise a TypeError for another.

    Examples
    --------
    >>> from astro_photz.utils._settings import one_number
    >>> one_number("level", 0.68)
    0.68
    >>> one_number("level", "high")
    Traceback (most recent call last):
        ...
    TypeError: level must be a number, got 'high'
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {shortened(value)}")
    return value


def check_at_least(name, value, least):
    """Refuse a number that is too small, or no number."""
    if not one_number(name, value) >= least:
        raise ValueError(f"{name} must be at least {least}, got {shortened(value)}")


def check_between(name, value, low, high, *, unit=""):
    """
    Refuse a number out of its range, or no number.

    The limits are within the range.
    """
    if not low <= one_number(name, value) <= high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g}{unit and ' '}{unit}, got {shortened(value)}")


def keyword_defaults(function):
    """
    Find the settings of a function or class: its parameters that have a number, a text or a list of them for a default.

    Return the defaults by name, in the order of the signature.

    Examples
    --------
    >>> from astro_photz.utils._settings import keyword_defaults
    >>> keyword_defaults(lambda n, rng, *, seeing=1.25, limits=(0.0, 0.4), shape=None: None)
    {'seeing': 1.25, 'limits': (0.0, 0.4)}
    """
    parameters = inspect.signature(function).parameters
    return {name: parameter.default for name, parameter in parameters.items() if _is_setting(parameter.default)}


def _is_setting(default):
    values = default if isinstance(default, tuple) else (default,)
    return all(isinstance(value, bool | int | float | str) for value in values)


def typed(name, value, wanted, *, like=None):
    """
    Convert a value to the type of its setting, if it can be meant.

    ``value`` is as TOML or Python has it: a list for a tuple, a whole number for a number, a path for a text.
    ``wanted`` is bool, int, float, str, dict, or ``tuple[float, ...]`` and ``tuple[float, float]`` of them. Raise a
    TypeError for another type, and a ValueError for a number that is not finite or has more than 18 digits; ``like`` is
    a valid value for its message.

    Examples
    --------
    >>> from astro_photz.utils._settings import typed
    >>> typed("redshift", [0, 0.4], tuple[float, float])
    (0.0, 0.4)
    >>> typed("epochs", 2.5, int)
    Traceback (most recent call last):
        ...
    TypeError: epochs must be a whole number, got 2.5
    """
    hint = "" if like is None else f", like {list(like) if isinstance(like, tuple) else like}"
    if get_origin(wanted) is tuple:
        item, *others = get_args(wanted)
        n = None if others == [...] else 1 + len(others)
        if not isinstance(value, list | tuple) or n not in (None, len(value)):
            wanted = f"{n} numbers" if n else "a list of numbers"
            raise TypeError(f"{name} must be {wanted}{hint}, got {shortened(value)}")
        return tuple(typed(name, one, item) for one in value)
    if not isinstance(value, _ACCEPTED.get(wanted, wanted)) or (isinstance(value, bool) and wanted is not bool):
        wanted, hint = _TYPES[wanted], hint if wanted in (int, float) else ""
        raise TypeError(f"{name} must be {wanted}{hint}, got {shortened(value)}")
    if wanted in (int, float) and not abs(value) < (_MOST if isinstance(value, int) else math.inf):
        raise ValueError(f"{name} must be a finite number{hint}, got {shortened(value)}")
    return os.fspath(value) if wanted is str else wanted(value)


def built(cls, table, *, where=""):
    """
    Build a dataclass from a table of settings, each checked against the type of its field.

    Fields may be dataclasses too; ``where`` names the table, such as ``pretrain.optimizer``. Raise a ValueError or
    TypeError if a name is unknown or missing, or a value cannot be meant; the message says where.
    """
    place = f" in [{where}]" if where else ""
    known, types = {item.name: item for item in fields(cls)}, get_type_hints(cls)
    check_known(table, known, where=place.lstrip())
    for name, item in known.items():
        if name not in table and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"setting {name!r} is missing{place}")
    values = {}
    for name, value in table.items():
        value = typed(name + place * (not is_dataclass(types[name])), value, _plain(types[name]))
        inner = f"{where}.{name}".lstrip(".")
        values[name] = built(types[name], value, where=inner) if is_dataclass(types[name]) else value
    try:
        return cls(**values)
    except TypeError as error:
        raise TypeError(f"{error}{place}") from error
    except ValueError as error:
        raise ValueError(f"{error}{place}") from error


def _plain(wanted):
    return dict if is_dataclass(wanted) else wanted
