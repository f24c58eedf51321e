# Licensed under a 3-clause BSD style license - see LICENSE
"""
Names of columns that appear twice.
"""

import warnings

__all__ = ["unique_names"]


def unique_names(names):
    """
    Give every column a name of its own: a second ``ra`` becomes ``ra_2``, and a warning says so.

    >>> import warnings
    >>> from astro_photz.tables._names import unique_names
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     unique_names(["ra", "dec", "ra"])
    ['ra', 'dec', 'ra_2']
    """
    taken, unique, renamed = set(names), [], []
    for name in names:
        new = name
        if name in unique:
            number = 2
            while f"{name}_{number}" in taken:
                number += 1
            new = f"{name}_{number}"
            taken.add(new)
            renamed.append(f"{name!r} now {new!r}")
        unique.append(new)
    if renamed:
        names = ", ".join(renamed)
        warnings.warn(f"a column name appears more than once; the later ones have new names: {names}", stacklevel=2)
    return unique
