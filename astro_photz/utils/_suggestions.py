# Licensed under a 3-clause BSD style license - see LICENSE
"""
Words for messages: the nearest valid name, and the first line of an error.
"""

from difflib import get_close_matches

__all__ = ["advice", "first_line", "nearest"]


def nearest(name, known):
    """
    Find the known name that was probably meant.

    Parameters
    ----------
    name : str
    known : iterable of str
        Names; dashes before them do not make them alike.

    Returns
    -------
    str or None

    Examples
    --------
    >>> from astro_photz.utils._suggestions import nearest
    >>> nearest("--sorce", ["--source", "--model"])
    '--source'
    >>> nearest("--foo", ["--pdf"]) is None
    True
    """
    bare = {str(one).lstrip("-"): one for one in known}
    close = get_close_matches(str(name).lstrip("-"), bare, n=1)
    return bare[close[0]] if close else None


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
    >>> from astro_photz.utils._suggestions import advice
    >>> advice("sed", ["seed", "size"])
    "did you mean 'seed'? Known are seed, size"
    """
    known = list(known)
    close = nearest(name, known)
    meant = f"did you mean {close!r}? " if close else ""
    return f"{meant}Known are {', '.join(known)}" if known else "there is nothing to set here"


def first_line(error):
    """
    First line of an error that says something.

    Parameters
    ----------
    error : Exception or str

    Returns
    -------
    str
        The name of its type for an error that says nothing.

    Examples
    --------
    >>> from astro_photz.utils._suggestions import first_line
    >>> first_line("\\n  no room \\n(errno 28)"), first_line(EOFError())
    ('no room', 'EOFError')
    """
    silent = type(error).__name__ if isinstance(error, BaseException) else ""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), silent)
