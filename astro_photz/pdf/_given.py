# Licensed under a 3-clause BSD style license - see LICENSE
"""
Arguments of the methods of a RedshiftPDF, checked.
"""

import numpy as np

from astro_photz.utils._arrays import filled
from astro_photz.utils._checks import check_count
from astro_photz.utils._settings import one_number
from astro_photz.utils._suggestions import shortened

__all__ = ["check_half_width", "check_level", "levels", "random_levels", "redshifts"]

_MOST_DRAWS = 2**31 - 1


def redshifts(z, n):
    """
    Redshifts (n,) of n galaxies, out of as many or one.

    Raise a TypeError if they are no real numbers, a ValueError for another shape.
    """
    z = filled(z, name="z")
    if z.shape not in ((), (1,), (n,)):
        raise ValueError(f"z must be one redshift, or have the shape ({n},); got {z.shape}")
    return np.broadcast_to(z, n)


def levels(q):
    """Probabilities (Q,) between 0 and 1; TypeError or ValueError if they are none."""
    q = np.atleast_1d(filled(q, name="q"))
    if q.ndim > 1 or not q.size or not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"q must lie between 0 and 1, in one list; got {shortened(q.tolist())}")
    return q


def check_level(level):
    """Refuse what is no probability of an interval, by a TypeError or ValueError."""
    if not 0 < one_number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, as a probability does; got {level}")


def check_half_width(half_width):
    """Refuse what is no width around a mode, by a TypeError or ValueError."""
    if not 0 <= one_number("half_width", half_width) < np.inf:
        raise ValueError(f"half_width must be 0 or more, and finite; got {half_width}")


def random_levels(n_galaxies, n, rng):
    """Random numbers (n_galaxies, n) from 0 to 1; TypeError or ValueError if ``n`` or ``rng`` is none."""
    n = check_count("n", n, least=0, most=_MOST_DRAWS)
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(
            f"rng must be a numpy.random.Generator, a seed (a whole number, 0 or more) or None; got {shortened(rng)}"
        ) from None
    return generator.random((n_galaxies, n))
