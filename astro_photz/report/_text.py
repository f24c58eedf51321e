# Licensed under a 3-clause BSD style license - see LICENSE
"""
Numbers as a page writes them.
"""

import math
import re

import numpy as np

__all__ = ["counted", "number", "percent", "with_symbols"]

_SYMBOLS = {r"\+/-": "±", r"(?<![\w)])-(?=\d)": "−", r"\bsigma_mad\b": "σ_MAD", r"\bsigma68\b": "σ68", r"\beta\b": "η"}


def number(value, error=np.nan, digits=4):
    """
    Write a number, and its error to two digits of the error.

    Return a dash if the value is not known; ``digits`` are those after the point if the error is not.

    Examples
    --------
    >>> from astro_photz.report._text import number
    >>> number(-0.01234, 0.00056), number(np.nan)
    ('−0.01234 ± 0.00056', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    known = error is not None and np.isfinite(error)
    if known and error > 0:
        digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f}".replace("-", "−") + (f" ± {error:.{digits}f}" if known else "")


def percent(share):
    """
    Write a share in percent.

    Examples
    --------
    >>> from astro_photz.report._text import percent
    >>> percent(0.25), percent(0.0004)
    ('25 %', '0.04 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


def counted(n, noun, plural=None):
    """
    Write a number of things.

    Examples
    --------
    >>> from astro_photz.report._text import counted
    >>> counted(1, "galaxy", "galaxies"), counted(1200, "row")
    ('1 galaxy', '1,200 rows')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def with_symbols(sentence):
    """
    Write the symbols of a sentence that was made for a terminal.

    Examples
    --------
    >>> from astro_photz.report._text import with_symbols
    >>> with_symbols("sigma_mad is -0.0162 +/- 0.0067")
    'σ_MAD is −0.0162 ± 0.0067'
    """
    for plain, symbol in _SYMBOLS.items():
        sentence = re.sub(plain, symbol, sentence)
    return sentence
