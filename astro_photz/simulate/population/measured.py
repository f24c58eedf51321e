# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real galaxies as four catalogues list them, with their spectroscopic redshifts: simulated galaxies may have their light.

Colours of template fits, with the same scatter for all types, follow the redshift more loosely than real ones do, above
all on the red sequence. So the colours of these galaxies are those that were measured, less the catalogues' noise: each
draw takes what the galaxy may truly be, beside what was measured (`astro_photz.simulate.population.density`). Where
E(B-V) is not known, its scatter is noise as well.

To r = 17.77 galaxies are drawn as they are, so often that types and redshifts occur as in the Main Galaxy Sample: each
has a weight. In fainter samples they are seen from further away, and only the change of their light is that of the
template fit.

The catalogues list model magnitudes, the light in an image is the total light: one is moved to the other by the mean
difference (`astro_photz.simulate.population.total_light`). The table that comes with the package is made by
``tools/make_measured_galaxies.py``.
"""

from functools import cache, cached_property
from importlib.resources import as_file, files

import numpy as np

from astro_photz.sdss import R_UGRIZ, ZERO_POINT

from .density import GaussianMixture
from .progenitors import SPLIT_SEED, SPLITS, load_progenitors
from .sample import MAIN_SAMPLE
from .total_light import total_from_model

__all__ = ["MEASURED_TO", "ORIGINS", "MeasuredGalaxies", "load_measured", "magnitudes_of", "values_of"]

ORIGINS = ("main sample", "kcorrect", "SkyServer", "DR14")
"""Names of the catalogues; a galaxy's ``origin`` is its place here."""

MEASURED_TO = 17.77
"""Model magnitude *r* to which galaxies are drawn as they are: the main sample's limit."""

_ZERO_POINT_ERROR = 0.01  # mag in each band (Padmanabhan et al. 2008, ApJ 674, 1217): simulated images have their own
_REDSHIFT_ERROR = 1e-4
# Scatter of E(B-V) about what the magnitudes are freed of (mag), by origin: within the field, of a map, of the sky.
_EBV_ERROR = np.array([0.003, 0.002, 0.030, 0.007])

# From redshift and magnitudes to redshift, r and colours.
_TO_VALUES = np.zeros((6, 6))
_TO_VALUES[0, 0] = _TO_VALUES[1, 3] = 1
for _colour in range(4):
    _TO_VALUES[2 + _colour, 1 + _colour : 3 + _colour] = 1, -1


def values_of(magnitude, redshift):
    """
    Arrange galaxies as the density has them.

    Parameters
    ----------
    magnitude : `~numpy.ndarray` (N, 5)
        In *ugriz*.
    redshift : `~numpy.ndarray` (N,)

    Returns
    -------
    `~numpy.ndarray` (N, 6)
        Redshift, r, u - g, g - r, r - i, i - z.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.measured import magnitudes_of, values_of
    >>> values_of(np.array([[19.0, 17.5, 17.0, 16.5, 16.25]]), np.array([0.1]))
    array([[ 0.1 , 17.  ,  1.5 ,  0.5 ,  0.5 ,  0.25]])
    >>> magnitudes_of(_)
    array([[19.  , 17.5 , 17.  , 16.5 , 16.25]])
    """
    return np.column_stack([redshift, magnitude]) @ _TO_VALUES.T


def magnitudes_of(values):
    """
    Take the magnitudes out of what `values_of` makes.

    Parameters
    ----------
    values : `~numpy.ndarray` (N, 6)

    Returns
    -------
    `~numpy.ndarray` (N, 5)
    """
    return np.linalg.solve(_TO_VALUES, values.T).T[:, 1:]


class MeasuredGalaxies:
    """
    Real galaxies with measured light.

    Use `load_measured`: it reads them once.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
        As ``tools/make_measured_galaxies.py`` makes it.
    density : `~astro_photz.simulate.population.density.GaussianMixture`
        Of true redshifts, *r* and colours.

    Attributes
    ----------
    values : `~numpy.ndarray` (N, 6)
        Redshift, r, u - g, g - r, r - i, i - z: model magnitudes as measured, free of our Galaxy's extinction.
    error : `~numpy.ndarray` (N, 5)
        Errors of the magnitudes in *ugriz* (mag).
    origin : `~numpy.ndarray` (N,) of int
        Index into `ORIGINS`.
    split : `~numpy.ndarray` (N,) of str
    weight : `~numpy.ndarray` (N,)
        Frequency in the Main Galaxy Sample relative to that in the table; 0 for those beyond its limit.
    ra, dec, ebv : `~numpy.ndarray` (N,)
        Position (deg) and E(B-V) (mag, SFD98 scale); of another galaxy of the split where they are not known.
    rest_colour, absolute_magnitude : `~numpy.ndarray` (N,)
        g - r and *r* in the bands shifted to z = 0.1, h = 0.7, by the template fit (mag).
    """

    def __init__(self, table, density):
        columns = {name: np.asarray(table[name], dtype=float) for name in table.colnames}
        magnitude = np.stack([columns[band] for band in "ugriz"], axis=1)
        self.values = values_of(magnitude, columns["redshift"])
        self.error = np.stack([columns[f"error_{band}"] for band in "ugriz"], axis=1)
        self.origin = columns["origin"].astype(int)
        self.split = np.array(list(SPLITS))[columns["split"].astype(int)]
        self.weight = columns["weight"]
        seen = _lines_of_sight(columns["ebv"] >= 0, self.split)
        self.ra, self.dec, self.ebv = (columns[name][seen] for name in ("ra", "dec", "ebv"))
        self.rest_colour, self.absolute_magnitude = columns["rest_colour"], columns["absolute_magnitude"]
        self._share = np.stack([columns[f"template_{number}"] for number in range(5)], axis=1)
        self._density = density

    @property
    def redshift(self):
        """Spectroscopic redshifts (N,)."""
        return self.values[:, 0]

    complete_to = MAIN_SAMPLE.faintest  # total magnitudes are brighter by a few hundredths
    spread_of_shifts = 0.0

    @property
    def complete(self):
        """Mask (N,) of the galaxies that are drawn."""
        return self.weight > 0

    @property
    def r(self):
        """Model magnitudes *r* (N,)."""
        return self.values[:, 1]

    @property
    def calibration(self):
        """Covariance (6, 6) of errors that all values have: of the calibration and of the redshift."""
        errors = np.append(_REDSHIFT_ERROR, np.full(5, _ZERO_POINT_ERROR))
        return _TO_VALUES @ np.diag(errors**2) @ _TO_VALUES.T

    def noise(self, rows):
        """
        Covariance of the errors of values: of the photons, the calibration, and of what E(B-V) was taken for.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int

        Returns
        -------
        `~numpy.ndarray` (M, 6, 6)
        """
        covariance = np.zeros((len(rows), 6, 6))
        bands = np.arange(1, 6)
        covariance[:, bands, bands] = self.error[rows] ** 2
        dust = _EBV_ERROR[self.origin[rows]]
        covariance[:, 1:, 1:] += (dust**2)[:, None, None] * np.outer(R_UGRIZ, R_UGRIZ)
        return _TO_VALUES @ covariance @ _TO_VALUES.T + self.calibration

    def draw_true(self, rows, rng):
        """
        Draw what galaxies may truly be, without the catalogue's noise.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        rng : `~numpy.random.Generator`

        Returns
        -------
        `~numpy.ndarray` (M, 6)
            As ``values``; the redshift is the measured one.
        """
        true = self._density.draw_true(self.values[rows], self.noise(rows), rng)
        true[:, 0] = self.redshift[rows]
        return true

    def draw_light(self, rows, redshift, rng):
        """
        Draw total fluxes of galaxies that are seen at a redshift.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        redshift : `~numpy.ndarray` (M,)
        rng : `~numpy.random.Generator`

        Returns
        -------
        `~numpy.ndarray` (M, 5)
            In nanomaggies, free of extinction.
        """
        true = self.draw_true(rows, rng)
        total = total_from_model(magnitudes_of(true), true[:, 0])
        return 10 ** (0.4 * (ZERO_POINT - total)) * self._change_of_light(rows, redshift)

    def magnitude_at(self, rows, redshift):
        """
        Estimate magnitudes *r* of galaxies that are seen at a redshift.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        redshift : `~numpy.ndarray` (M,)

        Returns
        -------
        `~numpy.ndarray` (M,)
        """
        return self.r[rows] - 2.5 * np.log10(self._change_of_light(rows, redshift)[:, 2])

    def _change_of_light(self, rows, redshift):
        """Factors (M, 5) by which light changes with the distance."""
        factors = np.ones((len(rows), 5))
        moved = np.flatnonzero(redshift != self.redshift[rows])
        if len(moved):
            own = rows[moved]
            factors[moved] = load_progenitors().change_of_light(
                self._coefficients[own],
                self.redshift[own],
                redshift[moved],
                rest_colour=self.rest_colour[own],
                magnitude=self.absolute_magnitude[own],
            )
        return factors

    @cached_property
    def _coefficients(self):
        """Coefficients (N, 5) of the template fits: the table has the templates' shares of the light."""
        return self._share / template_light()


def _lines_of_sight(known, split):
    """Rows (N,) whose position and E(B-V) galaxies have: their own if ``known``, or one of the same split."""
    rows = np.arange(len(known))
    rng = np.random.default_rng(SPLIT_SEED)
    for name in np.unique(split):
        own = split == name
        rows[own & ~known] = rng.choice(rows[own & known], (own & ~known).sum())
    return rows


def template_light():
    """Light (5,) of each template in *r* at z = 0.1."""
    return load_progenitors().reconstruct(np.eye(5), np.full(5, 0.1))[:, 2]


@cache
def load_measured():
    """
    Read the measured galaxies that come with the package, once.

    Returns
    -------
    `MeasuredGalaxies`
    """
    from astropy.table import Table

    with as_file(files("astro_photz") / "data" / "simulation" / "measured_galaxies.fits.gz") as path:
        galaxies, density = (Table.read(path, hdu=name) for name in ("GALAXIES", "DENSITY"))
    columns = (np.asarray(density[name], dtype=float) for name in ("weight", "mean", "covariance"))
    return MeasuredGalaxies(galaxies, GaussianMixture(*columns))
