# Licensed under a 3-clause BSD style license - see LICENSE
"""
The message about a name that no flag has.
"""

from difflib import get_close_matches


def no_flag(word, known):
    """Say that no flag has a name, and which one may be meant."""
    close = get_close_matches(str(word).upper(), known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"no flag {word!r}: {meant}Known are {', '.join(known)}"
