# Licensed under a 3-clause BSD style license - see LICENSE
"""
What to say of a name that is not known.
"""

from difflib import get_close_matches

__all__ = ["advice"]


def advice(name, known):
    """
    Tell the nearest known name, and all of them.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz._advice import advice
    >>> advice("sed", ["seed", "size"])
    "did you mean 'seed'? Known are seed, size"
    """
    known = list(known)
    close = get_close_matches(str(name), known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}Known are {', '.join(known)}" if known else "there is nothing to set here"
