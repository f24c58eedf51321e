# Licensed under a 3-clause BSD style license - see LICENSE
"""
Words for messages: the nearest valid name, the first line of an error, and values in a few letters.
"""

import reprlib
from difflib import get_close_matches

__all__ = ["advice", "first_line", "nearest", "shortened"]

_LONGEST = 100  # letters of a value in a message


def nearest(name, known):
    """
    Find the known name that is most similar to a wrong one.

    Leading dashes are not compared; return None if none is similar.

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
    Suggest the nearest known name, and list all of them.

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
    Extract the first line of an error's message that is not empty.

    Return the name of the error's type if there is no such line.

    Examples
    --------
    >>> from astro_photz.utils._suggestions import first_line
    >>> first_line("\\n  no room \\n(errno 28)"), first_line(EOFError())
    ('no room', 'EOFError')
    """
    silent = type(error).__name__ if isinstance(error, BaseException) else ""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), silent)


def shortened(value):
    """
    Show a value in a line of limited length.

    Examples
    --------
    >>> from astro_photz.utils._suggestions import shortened
    >>> shortened(list(range(100)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    try:
        shown = " ".join(reprlib.repr(value).split())
    except Exception:  # of an object that cannot show itself
        shown = ""
    return shown if 0 < len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..." if shown else f"a {type(value).__name__}"
