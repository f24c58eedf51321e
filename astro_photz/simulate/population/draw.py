# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies of the simulated sky, with the colours, magnitudes and redshifts of real ones.

A simulated galaxy is a real one, its progenitor (`astro_photz.simulate.population.progenitors`), seen from further
away: the template fit moves its colours with the redshift, its luminosity stays. That keeps the joint distribution of
colours, luminosity and redshift real, gives any number of different galaxies, and reaches fainter magnitudes than the
spectroscopic survey without inventing any.

In flat, static space, the galaxies of a complete flux-limited sample, all moved by the same distance modulus, are a
complete sample again, to a limit fainter by as much. In ours, volume grows more slowly with the distance modulus, so
each is kept with a probability: by how much less the comoving volume grew between the two redshifts (compare 1 / V_max,
Schmidt 1968, ApJ 151, 393). Red galaxies were fewer then, blue ones as many as now: they are kept by that, too, as the
characteristic densities of the two luminosity functions change by 10^(-0.41 z) and 10^(-0.01 z) (Lopez-Sanjuan et al.
2017, A&A 599, A62; compare Loveday et al. 2012, MNRAS 420, 1239). Evolution of the galaxies themselves is left out.

The progenitors were detected by GALEX and 2MASS as well, and 2MASS misses blue galaxies beyond r = 17: at r = 17.5
hardly one in ten is there. So only progenitors to r = 17.1, to where they count as complete, are drawn, and a sample to
r = 17.8, the main sample's limit, has them moved by 0.7 to 1.1 mag (from z = 0.1 to between 0.13 and 0.16). A deeper
sample is a superposition of samples of all depths from the main sample's to its own, so that bright galaxies stay in it
in useful number. Among bright galaxies too, the progenitors' mix of types differs from the main sample's; weights by
colour, from a table that comes with the package, even that out.

Galaxies with measured colours (`astro_photz.simulate.population.measured`) are drawn by the same rules. They are a
main sample as they are, by their weights: none is moved to r = 17.8, and deeper samples have them moved from there.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from scipy.special import expit

from astro_photz.photometry import r_magnitude
from astro_photz.utils._settings import check_one_of

from ._cosmology import distance_modulus, redshift_at, volume_per_modulus
from .measured import load_measured
from .progenitors import SPLITS, load_progenitors
from .sample import FURTHEST, MAIN_SAMPLE

__all__ = [
    "Population",
    "catalogue_population",
    "draw_population",
    "number_thinning",
    "red_share",
]

_NUMBER_SLOPE = {"blue": -0.01, "red": -0.41}  # d log(number in a comoving volume) / dz
_DUSTIEST = 0.5  # E(B-V), mag
_FEWEST = 20  # that a sample flat in redshift spreads over any redshift
_TRIES = 1000
_FEW_TRIES = 100  # after these there is one at least, or there is none
_MARGIN = 0.1  # mag: ample for the scatter of the light that is drawn
_GALAXIES = {"fitted": load_progenitors, "measured": load_measured}


@dataclass(frozen=True)
class Population:
    """
    Galaxies as they are before our dust, noise and blur.

    Attributes
    ----------
    progenitor : `~numpy.ndarray` (N,)
        Row of the real galaxy in kcorrect's table, or in that of the measured galaxies; -1 for one of a catalogue.
    ra, dec : `~numpy.ndarray` (N,)
        Position (deg): the progenitor's or, where that is not known, that of another one; NaN for one of a catalogue.
    ebv : `~numpy.ndarray` (N,)
        E(B-V) of our Galaxy towards that position (mag, SFD98 scale).
    redshift : `~numpy.ndarray` (N,)
    flux : `~numpy.ndarray` (N, 5)
        Total flux in *ugriz* (nanomaggies), free of our Galaxy's extinction.
    absolute_magnitude : `~numpy.ndarray` (N,)
        In the *r* band shifted to z = 0.1, h = 0.7.
    rest_colour : `~numpy.ndarray` (N,)
        g - r in the bands shifted to z = 0.1 (mag).
    """

    progenitor: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    ebv: np.ndarray
    redshift: np.ndarray
    flux: np.ndarray
    absolute_magnitude: np.ndarray
    rest_colour: np.ndarray

    def __len__(self):
        return len(self.redshift)

    def __getitem__(self, rows):
        return Population(*(getattr(self, field.name)[rows] for field in fields(self)))

    def at_magnitude(self, r_mag):
        """
        Give galaxies another brightness, with the same colours at the same redshifts.

        Parameters
        ----------
        r_mag : array_like (N,) or float
            Total magnitude in *r*, free of our Galaxy's extinction.

        Returns
        -------
        `Population` (N,)
        """
        factor = 10 ** (0.4 * (r_magnitude(self.flux[:, 2]) - np.asarray(r_mag)))
        luminosity = self.absolute_magnitude - 2.5 * np.log10(factor)
        return replace(self, flux=self.flux * factor[:, None], absolute_magnitude=luminosity)


def draw_population(n, rng, *, split="train", sample=MAIN_SAMPLE, weighted=True):
    """
    Draw galaxies from the progenitors of one split, each seen from a distance of its own.

    Parameters
    ----------
    n : int
        How many.
    rng : `~numpy.random.Generator`
    split : {'train', 'validation', 'test'}, optional
    sample : `~astro_photz.simulate.population.sample.Sample`, optional
    weighted : bool, optional
        Whether types of galaxy occur as in the Main Galaxy Sample, or else as among the progenitors.

    Returns
    -------
    `Population`

    Raises
    ------
    ValueError
        If there is no such split, or no galaxy, or hardly any, within the limits of the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.draw import draw_population
    >>> from astro_photz.simulate.population.sample import Sample
    >>> deep = draw_population(100, np.random.default_rng(0), sample=Sample(brightest=18, faintest=20))
    >>> float(deep.redshift.max()) < 0.4
    True
    """
    check_one_of("split", split, SPLITS)
    galaxies = _GALAXIES[sample.colours]()
    rows, redshift, flux = _draw(n, rng, galaxies, sample, _candidates(split, sample, weighted))
    return Population(
        progenitor=rows,
        ra=galaxies.ra[rows],
        dec=galaxies.dec[rows],
        ebv=_draw_ebv(galaxies.ebv[rows], rng, sample.dusty),
        redshift=redshift,
        flux=flux,
        absolute_magnitude=galaxies.absolute_magnitude[rows],
        rest_colour=galaxies.rest_colour[rows],
    )


def _draw_ebv(ebv, rng, dusty):
    """E(B-V) (N,), drawn anew for a share of the galaxies; without such a share, nothing is drawn."""
    if dusty == 0:
        return ebv
    return np.where(rng.random(len(ebv)) < dusty, rng.uniform(0, _DUSTIEST, len(ebv)), ebv)


def catalogue_population(flux, redshift, *, ebv):
    """
    Take the galaxies of a catalogue as they are, with the luminosities of template fits, instead of drawn ones.

    Parameters
    ----------
    flux : array_like (N, 5)
        Total flux in *ugriz* (nanomaggies), free of our Galaxy's extinction.
    redshift : array_like (N,)
        Between 0 and 1, not included.
    ebv : array_like (N,) or float
        E(B-V) of our Galaxy (mag, SFD98 scale) to see them through.

    Returns
    -------
    `Population` (N,)

    Raises
    ------
    ValueError
        If a parameter does not have its shape, or is out of its range.

    Examples
    --------
    >>> from astro_photz.simulate.population.draw import catalogue_population
    >>> population = catalogue_population([[18.0, 79.0, 158.0, 224.0, 286.0]], [0.1], ebv=0.03)
    >>> population.absolute_magnitude.round(1), population.rest_colour.round(2)
    (array([-21.2]), array([0.76]))
    """
    flux, redshift = np.asarray(flux, dtype=float), np.asarray(redshift, dtype=float)
    ebv = np.broadcast_to(np.asarray(ebv, dtype=float), redshift.shape)
    if redshift.ndim != 1 or flux.shape != (len(redshift), 5):
        raise ValueError(f"flux must have the shape (N, 5) and redshift (N,), got {flux.shape} and {redshift.shape}")
    for name, value, valid, remedy in (
        ("flux", flux, np.isfinite(flux) & (flux > 0), "be finite and positive"),
        ("redshift", redshift, (redshift > 0) & (redshift < FURTHEST), f"lie between 0 and {FURTHEST:g}"),
        ("ebv", ebv, np.isfinite(ebv) & (ebv >= 0), "be finite and not below 0"),
    ):
        if not valid.all():
            raise ValueError(f"{name} must {remedy}, got {value[~valid][0]:g}: leave out such galaxies")
    rest = load_progenitors().rest_flux(flux, redshift)
    unknown = np.full(len(redshift), np.nan)
    return Population(
        progenitor=np.full(len(redshift), -1),
        ra=unknown,
        dec=unknown,
        ebv=ebv,
        redshift=redshift,
        flux=flux,
        absolute_magnitude=r_magnitude(rest[:, 2]),
        rest_colour=-2.5 * np.log10(rest[:, 1] / rest[:, 2]),
    )


def _draw(n, rng, galaxies, sample, candidates):
    """Progenitor (n,), redshift (n,) and flux (n, 5); those outside the sample are drawn again."""
    rows, redshift, flux = np.empty(n, dtype=int), np.empty(n), np.empty((n, 5))
    wanted = rng.uniform(*candidates.reach, n) if sample.flat_redshift else None
    missing = np.arange(n)
    for number in range(_TRIES):
        if not len(missing):
            return rows, redshift, flux
        if sample.flat_redshift:
            rows[missing], redshift[missing] = candidates.draw_at(wanted[missing], rng)
        else:
            rows[missing], redshift[missing] = candidates.draw(len(missing), rng)
        flux[missing] = galaxies.draw_light(rows[missing], redshift[missing], rng)
        kept = sample.contains(flux[missing], redshift[missing])
        moved = galaxies.redshift[rows[missing]], redshift[missing]
        thinning = _volume_thinning(*moved) * number_thinning(galaxies.rest_colour[rows[missing]], *moved)
        kept &= rng.uniform(size=len(missing)) < thinning
        missing = missing[~kept]
        if number > _FEW_TRIES and len(missing) == n:
            break
    raise _out_of_reach(sample, f"hardly any after {number + 1} tries")


def _volume_thinning(near, far):
    """Comoving volume per distance modulus at ``far`` over that at ``near``, relative to flat, static space."""
    modulus = distance_modulus(far) - distance_modulus(near)
    return volume_per_modulus(far) / volume_per_modulus(near) * 10 ** (-0.6 * modulus)


def number_thinning(rest_colour, near, far):
    """
    Number of galaxies of a colour in a comoving volume, relative to that at a smaller redshift.

    Parameters
    ----------
    rest_colour : array_like (N,)
        g - r in the bands shifted to z = 0.1 (mag).
    near, far : `~numpy.ndarray` (N,)
        Redshifts.

    Returns
    -------
    `~numpy.ndarray` (N,)
    """
    red = red_share(rest_colour)
    return 10 ** ((red * _NUMBER_SLOPE["red"] + (1 - red) * _NUMBER_SLOPE["blue"]) * (far - near))


def red_share(rest_colour):
    """
    Share of the galaxies of a colour that are on the red sequence, not in the blue cloud.

    Parameters
    ----------
    rest_colour : array_like (N,)
        g - r in the bands shifted to z = 0.1 (mag).

    Returns
    -------
    `~numpy.ndarray` (N,)

    References
    ----------
    Blanton et al. 2003, ApJ 594, 186: the boundary, which is softened by 0.06 mag.

    Examples
    --------
    >>> from astro_photz.simulate.population.draw import red_share
    >>> red_share([0.5, 0.8, 1.0]).round(2)
    array([0.01, 0.5 , 0.97])
    """
    return expit((np.asarray(rest_colour) - 0.8) / 0.06)


def _out_of_reach(sample, found):
    return ValueError(
        f"no galaxies can be drawn for {sample} ({found}): take limits further apart in brightest and faintest or in "
        "redshift"
    )


def _shift(sample, galaxies):
    """Range (float, float) of the distance moduli (mag) by which galaxies are moved into a sample."""
    nearest = max(min(sample.faintest, MAIN_SAMPLE.faintest) - galaxies.complete_to, 0.0)
    return nearest, max(sample.faintest - galaxies.complete_to, 0.0) + galaxies.spread_of_shifts


class _Candidates:
    """
    Galaxies of a split that can be moved into a sample, and their weights.

    Parameters
    ----------
    split : str
    sample : `~astro_photz.simulate.population.sample.Sample`
    weighted : bool
    """

    def __init__(self, split, sample, weighted):
        galaxies = _GALAXIES[sample.colours]()
        rows = np.flatnonzero((galaxies.split == split) & galaxies.complete)
        rows = rows[np.argsort(galaxies.redshift[rows])]
        modulus = distance_modulus(galaxies.redshift[rows])
        self._shift = _shift(sample, galaxies)
        near, far = (redshift_at(modulus + shift) if shift else galaxies.redshift[rows] for shift in self._shift)
        bright, faint = (galaxies.magnitude_at(rows, redshift) for redshift in (near, far))
        lowest, highest = sample.redshift
        able = (bright - _MARGIN < sample.faintest) & (faint + _MARGIN > sample.brightest)
        able &= (near < highest) & (far > lowest)
        if not able.any():
            raise _out_of_reach(sample, "no progenitor can be moved there")
        self.rows, self._modulus, self._redshift = rows[able], modulus[able], galaxies.redshift[rows[able]]
        weight = galaxies.weight[self.rows] if weighted else np.ones(len(self.rows))
        self._cumulative = np.concatenate([[0], np.cumsum(weight)])
        if sample.flat_redshift:
            self.reach = self._reach(sample, bright[able], faint[able])

    def draw(self, n, rng):
        """Draw galaxies (n,), and redshifts (n,) that they are moved to."""
        place = self._place(rng.uniform(0, self._cumulative[-1], n))
        shift = rng.uniform(*self._shift, n)
        moved = redshift_at(self._modulus[place] + shift)
        return self.rows[place], np.where(shift > 0, moved, self._redshift[place])

    def draw_at(self, redshift, rng):
        """Draw galaxies (n,) that may be moved to the redshifts (n,), or are there nearly; and where they are then."""
        modulus = distance_modulus(redshift)
        nearest, furthest = self._shift
        first = np.searchsorted(self._modulus, modulus - furthest)
        last = np.searchsorted(self._modulus, modulus - nearest)
        if nearest == 0:  # some stay where they are
            first, last = np.minimum(first, last - _FEWEST // 2).clip(0), (last + _FEWEST // 2).clip(max=len(self.rows))
        place = self._place(rng.uniform(self._cumulative[first], self._cumulative[last]))
        stays = nearest == furthest
        return self.rows[place], np.where(stays | (redshift < self._redshift[place]), self._redshift[place], redshift)

    def _place(self, cumulative):
        return np.minimum(np.searchsorted(self._cumulative, cumulative, side="right") - 1, len(self.rows) - 1)

    def _reach(self, sample, bright, faint):
        """Redshifts between which enough galaxies can be seen within the limits."""
        nearest, furthest = self._shift
        if furthest == nearest:
            if len(self.rows) < 2 * _FEWEST:
                raise _out_of_reach(sample, f"flat in redshift wants {_FEWEST} progenitors at a redshift")
            return self._redshift[_FEWEST - 1], self._redshift[-_FEWEST]
        slope = (faint - bright) / (furthest - nearest)
        first = redshift_at(self._modulus + np.maximum(nearest + (sample.brightest - bright) / slope, nearest))
        last = redshift_at(self._modulus + np.minimum(nearest + (sample.faintest - bright) / slope, furthest))
        grid = np.linspace(*sample.redshift, 2001)
        visible = first < last
        seen = np.searchsorted(np.sort(first[visible]), grid) - np.searchsorted(np.sort(last[visible]), grid)
        within = grid[seen >= _FEWEST]
        if len(within) < 2:
            raise _out_of_reach(sample, f"flat in redshift wants {_FEWEST} progenitors at a redshift")
        return within[0], within[-1]


@lru_cache(maxsize=8)
def _candidates(split, sample, weighted):
    return _Candidates(split, sample, weighted)
