# Licensed under a 3-clause BSD style license - see LICENSE
"""
Colours of points: of stars as a field has them, and of quasars.

Stars with spectra were chosen for their colours, and those of a field are others: more of them red. So g - i is that of
a real field's star of about the magnitude wanted, and the other colours follow from the stellar locus (Covey et al.
2007, AJ 134, 2398), with a scatter. A small share are odd stars, off the locus: their colours are measured ones, as
those of quasars are. ``tools/make_point_sources.py`` makes the table of them.
"""

from functools import cache
from importlib.resources import as_file, files

import numpy as np

from .progenitors import SPLITS

__all__ = ["draw_quasars", "draw_stars", "locus_colours"]

# Of the locus: coefficients of powers 0 to 5 of g - i, and the range that they were fitted in.
_LOCUS = np.array(
    [
        [1.0636113, -1.6267818, 4.9389572, -3.2809081, 0.8725109, -0.0828035],
        [0.4290263, -0.8852323, 2.0740616, -1.1091553, 0.2397461, -0.0183195],
        [-0.4113500, 1.8229991, -1.9989772, 1.0662075, -0.2284455, 0.0172212],
        [-0.2270331, 0.7794558, -0.7350749, 0.3727802, -0.0735412, 0.0049808],
    ]
)
_LOCUS_RANGE = 0.3, 3.8
_WIDTH = np.array([0.12, 0.04, 0.03, 0.03])  # mag: scatter about the locus, and of measurements
_ALIKE = 0.7, 0.08  # in r and g - i (mag): how far stars stand for others
_ODD = 0.1  # share of the stars
_COLOURS = "u_g", "g_r", "r_i", "i_z"
_SPLIT_SEED = 0


def locus_colours(g_i):
    """
    Look up colours of stars on the stellar locus.

    Parameters
    ----------
    g_i : `~numpy.ndarray` (N,)
        g - i (mag), limited to the locus's range.

    Returns
    -------
    `~numpy.ndarray` (N, 4)
        u - g, g - r, r - i and i - z (mag).

    References
    ----------
    Covey et al. 2007, AJ 134, 2398: their polynomials in g - i.

    Examples
    --------
    A star like the Sun, and a red dwarf:

    >>> import numpy as np
    >>> from astro_photz.simulate.population.points import locus_colours
    >>> locus_colours(np.array([0.6, 2.5])).round(2)
    array([[1.26, 0.43, 0.16, 0.05],
           [2.6 , 1.42, 1.07, 0.57]])
    """
    return np.vander(np.clip(g_i, *_LOCUS_RANGE), 6, increasing=True) @ _LOCUS.T


def draw_stars(r_mag, rng, *, split="train"):
    """
    Draw colours of stars.

    Parameters
    ----------
    r_mag : `~numpy.ndarray` (N,)
        Magnitude in *r* of each: fainter stars are redder.
    rng : `~numpy.random.Generator`
    split : {'train', 'validation', 'test'}, optional
        Which odd stars are drawn from; the stars of the fields, which give a distribution only, are one set.

    Returns
    -------
    `~numpy.ndarray` (N, 4)
        u - g, g - r, r - i and i - z (mag), free of extinction.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.points import draw_stars
    >>> bright, faint = (draw_stars(np.full(1000, r), np.random.default_rng(0)) for r in (16.0, 19.5))
    >>> bool(np.median(bright[:, 1]) < np.median(faint[:, 1]))
    True
    """
    field, odd = _table("FIELD_STARS"), _of_split(_table("ODD_STARS"), split)
    near, blurred = _ALIKE
    weight = np.exp(-0.5 * ((r_mag[:, None] - field["r"]) / near) ** 2)
    cumulative = np.cumsum(weight, axis=1)
    row = (cumulative < rng.uniform(0, cumulative[:, -1])[:, None]).sum(axis=1)
    g_i = field["g_i"][row] + blurred * rng.standard_normal(len(r_mag))
    colours = locus_colours(g_i) + _WIDTH * rng.standard_normal((len(r_mag), 4))
    is_odd = rng.random(len(r_mag)) < _ODD
    other = rng.integers(len(odd["u_g"]), size=len(r_mag))
    return np.where(is_odd[:, None], _colours(odd)[other], colours)


def draw_quasars(n, rng, *, split="train"):
    """
    Draw colours and redshifts of quasars.

    Parameters
    ----------
    n : int
    rng : `~numpy.random.Generator`
    split : {'train', 'validation', 'test'}, optional
        Which of the real quasars are drawn from.

    Returns
    -------
    colours : `~numpy.ndarray` (n, 4)
        u - g, g - r, r - i and i - z (mag).
    redshift : `~numpy.ndarray` (n,)

    Examples
    --------
    Most have more light in u than stars:

    >>> import numpy as np
    >>> from astro_photz.simulate.population.points import draw_quasars
    >>> colours, redshift = draw_quasars(1000, np.random.default_rng(0))
    >>> bool(np.median(colours[:, 0]) < 0.5)
    True
    """
    quasars = _of_split(_table("QUASARS"), split)
    row = rng.integers(len(quasars["redshift"]), size=n)
    return _colours(quasars)[row], quasars["redshift"][row]


def _colours(table):
    return np.stack([table[name] for name in _COLOURS], axis=1)


def _of_split(table, split):
    """Rows of a split, in shares as the galaxies are split."""
    n = len(table["u_g"])
    bounds = np.round(np.cumsum([0, *SPLITS.values()]) * n).astype(int)
    number = list(SPLITS).index(split)
    rows = np.random.default_rng(_SPLIT_SEED).permutation(n)[bounds[number] : bounds[number + 1]]
    return {name: values[rows] for name, values in table.items()}


@cache
def _table(name):
    from astropy.table import Table

    with as_file(files("astro_photz") / "data" / "simulation" / "point_sources.fits.gz") as path:
        table = Table.read(path, hdu=name)
    return {column: np.asarray(table[column], dtype=float) / 1000 for column in table.colnames}
