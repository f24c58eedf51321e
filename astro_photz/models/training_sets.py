# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies of one file that a model was made with, and the galaxies that a sample has in common with such files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import ArrayLike

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.utils._types import PathLike

from ._galaxy_keys import NONE, Galaxies
from ._sketch import Sketch
from .card import ModelError

__all__ = ["ROLES", "Overlap", "TrainingSet", "overlap_with"]

ROLES = {
    "trained": "trained on {}",
    "calibrated": "calibrated on {}",
    "pretrained": "pretrained on {}, without their redshifts",
}
"""Roles of the files that a model is made with, the gravest first, and words for them."""

_NOT_SEEN = 3.0  # expected matches: in one of twenty cases, none is found


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """
    Galaxies of a file that a model was trained or calibrated on.

    Parameters
    ----------
    role : {'trained', 'calibrated', 'pretrained'}
        ``calibrated`` is also that of galaxies by which the epoch was chosen.
    n : int, optional
        Number of galaxies, as far as it is known.
    sha256 : str, optional
        Hash of the file.
    model : str, optional
        Name of the model or run that learnt from them, if it is another one, with which this one began.
    simulated : bool, optional
        Whether they are simulated.
    positions, numbers : Sketch, optional
        Keys of their positions and numbers.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.models import TrainingSet
    >>> seen = SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg")
    >>> one = TrainingSet.of_galaxies("trained", seen)
    >>> one.role, one.n
    ('trained', 2)
    """

    role: str
    n: int = 0
    sha256: str = ""
    model: str = ""
    simulated: bool = False
    positions: Sketch | None = None
    numbers: Sketch | None = None

    def __post_init__(self):
        if not isinstance(self.role, str) or self.role not in ROLES:
            raise ModelError(f"the role of a training set must be one of {', '.join(ROLES)}, got {self.role!r}")
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 0:
            raise ModelError(f"n of a training set must be a number of galaxies, got {self.n!r}")
        for name, kind in {"sha256": str, "model": str, "simulated": bool}.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ModelError(f"{name} of a training set must be of type {kind.__name__}, got {value!r}")

    @classmethod
    def of_file(cls, role: str, path: PathLike, rows: np.ndarray | None = None) -> Self:
        """
        Read the galaxies of an HDF5 file of stamps, or some of its rows.

        Parameters
        ----------
        role : {'trained', 'calibrated', 'pretrained'}
        path : str or path-like
        rows : `~numpy.ndarray` of int, optional

        Returns
        -------
        `TrainingSet`
        """
        with open_cutouts(path) as file:
            galaxies = Galaxies.of_file(file, rows)
            n = len(file["images"]) if rows is None else len(rows)
        return cls._of(galaxies, role=role, n=n, sha256=data_hash(path), simulated=galaxies.simulated)

    @classmethod
    def of_galaxies(
        cls, role: str, coord: SkyCoord | None = None, ids: ArrayLike | None = None, *, sha256: str = ""
    ) -> Self:
        """
        Take galaxies by their positions and identifiers, for models that are trained elsewhere.

        Parameters
        ----------
        role : {'trained', 'calibrated', 'pretrained'}
        coord : `~astropy.coordinates.SkyCoord` (N,), optional
        ids : array_like (N,), optional
            See `Lineage.common`.
        sha256 : str, optional
            Hash of their file.

        Returns
        -------
        `TrainingSet`
        """
        galaxies = Galaxies.of(coord, ids)
        return cls._of(galaxies, role=role, n=len(galaxies), sha256=sha256)

    @classmethod
    def _of(cls, galaxies, **facts):
        keys = {"positions": galaxies.position_keys(), "numbers": galaxies.numbers}
        return cls(**facts, **{name: None if one is None else Sketch.of(one) for name, one in keys.items()})

    @property
    def recognisable(self) -> bool:
        """True if the keys of its galaxies are known, bool."""
        return self.positions is not None or self.numbers is not None

    def holds(self, other: "TrainingSet") -> bool:
        """Tell whether another set has the same galaxies of the same file, as far as the keys say."""
        if not self.sha256 or self.sha256 != other.sha256:
            return False
        pairs = (self.positions, other.positions), (self.numbers, other.numbers)
        return self.n >= other.n and all(b is None or (a is not None and a.same(b)) for a, b in pairs)

    def sketches_for(self, positions: np.ndarray | None, numbers: np.ndarray | None) -> list[tuple]:
        """Pair the sketches with the keys (N, C) of galaxies that are to be looked for in them."""
        if positions is not None and numbers is not None and not self._any_exact:
            # two samples would count a galaxy twice: numbers serve where the position is unknown
            numbers = np.where((positions == NONE).all(axis=1)[:, None], numbers, NONE)
        pairs = (self.positions, positions), (self.numbers, numbers)
        return [(sketch, keys) for sketch, keys in pairs if sketch is not None and keys is not None]

    @property
    def _any_exact(self):
        """True unless there are samples of both kinds of keys."""
        return any(sketch is None or sketch.exact for sketch in (self.positions, self.numbers))


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """
    Galaxies that a sample has in common with those of a model.

    Parameters
    ----------
    n : float
        Their number; a whole one if it is exact, and else an estimate.
    error : float
        Its standard error; 0 if it is exact.
    exact : bool
        Whether all galaxies of the model were looked at, and not a sample of them.
    by_role : dict of float
        Numbers of them in each role that has any; a galaxy may have several.
    simulated : bool
        Whether the model knows them from simulated galaxies only, which were drawn from the same real ones.
    rows : `~numpy.ndarray` (N,) of bool
        Mask of the galaxies that were found; all that are in common if ``exact``.
    at_most : float
        Upper limit of their number (95 %).

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.models import Lineage, TrainingSet
    >>> seen = SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg")
    >>> lineage = Lineage(sets=[TrainingSet.of_galaxies("trained", seen)])
    >>> overlap = lineage.common(SkyCoord([150.1, 10.0], [2.2, 5.0], unit="deg"))
    >>> overlap.n, overlap.exact
    (1, True)
    >>> overlap.told()
    'was trained on 1 of the 2 galaxies'
    """

    n: float
    error: float
    exact: bool
    by_role: dict[str, float]
    simulated: bool
    rows: np.ndarray
    at_most: float

    def told(self, simulated: bool = False) -> str:
        """
        Say how many of the galaxies a model has seen, and in which roles.

        Parameters
        ----------
        simulated : bool, optional
            Whether the galaxies are simulated themselves.

        Returns
        -------
        str
            A predicate, such as "was trained on 20 of the 90 galaxies and calibrated on 5".
        """
        of_all = f" of the {len(self.rows):,} galaxies"
        numbers = [self._number(count) + of_all * (place == 0) for place, count in enumerate(self.by_role.values())]
        parts = [ROLES[role].format(number) for role, number in zip(self.by_role, numbers, strict=True)]
        same = "which were drawn from the same real ones" if simulated else "as simulated ones drawn from them"
        return f"was {' and '.join(parts)}{f' ({same})' if self.simulated else ''}"

    def _number(self, count):
        if self.exact:
            return f"{count:,}"
        if round(self.error) == 0:  # the sample of another set has none of them, which is no proof
            return f"at least {round(count):,}"
        digits = 1 - int(np.floor(np.log10(max(self.error, 1))))
        return f"about {int(round(count, min(0, digits))):,} (± {int(round(self.error, min(0, digits))):,})"


def overlap_with(sets: Iterable[TrainingSet], galaxies: Galaxies) -> Overlap:
    """
    Find the galaxies that a sample has in common with training sets.

    A galaxy that is found in a sample of keys counts for as many as the sample stands for (Horvitz & Thompson 1952,
    JASA 47, 663): for one, where the sketch holds all keys.

    Parameters
    ----------
    sets : iterable of `TrainingSet`
    galaxies : Galaxies (N,)

    Returns
    -------
    `Overlap`
    """
    # positions of simulated galaxies are those of their progenitors, or no more than lines of sight
    positions = None if galaxies.simulated else galaxies.keys_around()
    looked = [
        (one, sketch.share, sketch.match(keys))
        for one in sets
        for sketch, keys in one.sketches_for(positions, galaxies.numbers)
    ]
    n_rows = len(galaxies)
    n, error, rows = _counted(looked, n_rows)
    roles = {one.role: [other for other in looked if other[0].role == one.role] for one, *_ in looked}
    counts = {role: _counted(own, n_rows)[0] for role, own in roles.items()}
    least = min((share for _, share, _ in looked), default=1.0)
    limit = n + 1.645 * error if n or least == 1 else _NOT_SEEN / least
    return Overlap(
        n=n,
        error=error,
        exact=least == 1,
        by_role={role: counts[role] for role in ROLES if counts.get(role)},
        simulated=n > 0 and all(one.simulated for one, _, found in looked if (found != NONE).any()),
        rows=rows,
        at_most=min(limit, n_rows),
    )


def _counted(looked, n_rows):
    """Number of galaxies that were found, its error, and a mask (N,) of them."""
    weight, key = np.full(n_rows, np.inf), np.full(n_rows, NONE)
    for _, share, found in looked:
        better = (found != NONE) & (1 / share < weight)
        weight[better], key[better] = 1 / share, found[better]
    rows = np.isfinite(weight)
    # galaxies with one key are in a sample together, or not
    _, place = np.unique(key[rows], return_inverse=True)
    totals = np.bincount(place, weights=weight[rows])
    variance = np.bincount(place, weights=1 - 1 / weight[rows]) / np.maximum(np.bincount(place), 1) * totals**2
    n = min(float(weight[rows].sum()), float(n_rows))
    return (int(n) if n.is_integer() else n), float(np.sqrt(variance.sum())), rows
