# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that a model was trained and calibrated on, ``lineage.json``: it tells how many of yours were among them.

Of each file, the lineage keeps the hash and the keys of its galaxies: their positions and, of real ones, their numbers
in the survey; of simulated ones, the numbers of the real galaxies that they were drawn from. As many keys are kept as
fit into 100 kB. Of larger sets, a sample of them tells how many galaxies are in common, with an error. No position
stands in the file; but whoever tries all places of the sky finds those that it knows.
"""

import json
import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.utils._document import Document
from astro_photz.utils._files import aside
from astro_photz.utils._types import PathLike

from ._galaxy_keys import Galaxies
from ._sketch import Sketch
from .card import LINEAGE, ModelCard, ModelError
from .training_sets import ROLES, Overlap, TrainingSet, overlap_with

__all__ = [
    "LARGEST",
    "Lineage",
    "TrainedOnWarning",
    "check_unseen",
    "refuse_training_file",
    "warn_of_overlap",
]

LARGEST = 100_000
"""Largest size of the file, if none is given (bytes)."""

_ROOM = {"positions": 4, "numbers": 1}  # shares of the room in the file: positions are what most tables have
_ALL = tuple(ROLES)
_REMEDY = {
    True: "leave them out (model.lineage.common(coord).rows marks them), or take others",
    False: "take galaxies that it has not seen (its record is a sample of them, which marks some of yours only)",
}


class TrainedOnWarning(AstropyUserWarning):
    """
    Galaxies that a model is judged by are among those that it was trained or calibrated on.

    Examples
    --------
    >>> import warnings
    >>> from astro_photz.models import TrainedOnWarning
    >>> with warnings.catch_warnings(action="error", category=TrainedOnWarning):  # such galaxies now end a script
    ...     try:
    ...         warnings.warn("2 of the 90 galaxies are in common", TrainedOnWarning, stacklevel=1)
    ...     except TrainedOnWarning as warning:
    ...         print(warning)
    2 of the 90 galaxies are in common
    """


@dataclass(frozen=True, kw_only=True)
class Lineage(Document):
    """
    The galaxies that a model was trained and calibrated on.

    Parameters
    ----------
    sets : list of `TrainingSet`
        Those of the models that it began with among them.
    form, others : int, dict, optional
        Version of the form, and entries that have no field.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.models import Lineage, TrainingSet
    >>> seen = SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg")
    >>> lineage = Lineage(sets=[TrainingSet.of_galaxies("trained", seen)])
    >>> lineage.common(SkyCoord([150.1, 10.0], [2.2, 5.0], unit="deg")).rows
    array([ True, False])
    """

    noun: ClassVar[str] = "a lineage"
    error: ClassVar[type] = ModelError

    sets: list

    @classmethod
    def of(cls, entries: dict) -> Self:
        try:
            sets = {"sets": [_training_set(one) for one in entries["sets"]]} if "sets" in entries else {}
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"{cls.noun} is damaged: {error}") from error
        return super().of(entries | sets)

    @classmethod
    def of_card(cls, card: ModelCard) -> Self:
        """
        Collect what the card of a model without a lineage tells: the hashes of its files.

        Parameters
        ----------
        card : `~astro_photz.models.ModelCard`

        Returns
        -------
        `Lineage`
            Without keys of galaxies.
        """
        data, role = card.training_data, "trained" if card.has_head else "pretrained"
        splits = data.get("splits", {})
        calibrated = splits.get("validation", {}) if card.has_head else {}
        files = {role: data | splits.get("train", {}), "calibrated": calibrated}
        known: dict[str, Any] = {"model": card.name, "simulated": card.simulated}
        sets = [
            TrainingSet(role=role, n=file.get("n", 0), sha256=file.get("sha256", ""), **known)
            for role, file in files.items()
            if file
        ]
        if card.origin:
            name, simulated = card.origin.get("name", ""), card.origin.get("simulated", False)
            sets.append(TrainingSet(role="trained", model=name, simulated=simulated))
        return cls(sets=sets)

    @classmethod
    def read(cls, folder: PathLike) -> Self | None:
        """
        Read the lineage of a model, or of a run.

        Parameters
        ----------
        folder : str or path-like

        Returns
        -------
        `Lineage` or None
            None if the folder has none.

        Raises
        ------
        ModelError
            If it is damaged, or of a newer version of the package.
        """
        path = Path(folder) / LINEAGE
        return cls.of_file(path) if path.is_file() else None

    def write(self, folder: PathLike, *, largest: int = LARGEST) -> None:
        """
        Write the lineage, with as many keys as fit.

        Parameters
        ----------
        folder : str or path-like
        largest : int, optional
            Largest size of the file (bytes).
        """
        with aside(Path(folder) / LINEAGE) as part:
            part.write_text(_text(_fitted(self, largest)), encoding="utf-8")

    @property
    def files(self) -> dict[str, str]:
        """Roles of the files, by their hashes; the gravest if one has several, dict of str."""
        order = sorted(self.sets, key=lambda one: list(ROLES).index(one.role), reverse=True)
        return {one.sha256: one.role for one in order if one.sha256}

    @property
    def unknown(self) -> list[TrainingSet]:
        """Sets whose galaxies cannot be recognised, list of `TrainingSet`."""
        return [one for one in self.sets if not one.recognisable]

    def joined(self, other: "Lineage | None", *, model: str) -> Self:
        """
        Add the lineage of a model that this one begins with.

        Parameters
        ----------
        other : `Lineage` or None
        model : str
            Its name.

        Returns
        -------
        `Lineage`
        """
        if other is None:
            return replace(self, sets=[*self.sets, TrainingSet(role="trained", model=model)])
        sets = list(self.sets)
        for one in other.sets:
            again = (mine for mine in sets if mine.holds(one))
            # a file that the weights were learnt from says more than one that served before, without redshifts
            if not any(mine.role == one.role or one.role == "pretrained" for mine in again):
                sets.append(replace(one, model=one.model or model))
        return replace(self, sets=sets)

    def common(
        self, coord: SkyCoord | None = None, ids: ArrayLike | None = None, *, roles: tuple[str, ...] = _ALL
    ) -> Overlap:
        """
        Find the galaxies that a sample has in common with those of the model.

        Positions match within 1 arcsec, never beyond 4.5 arcsec. Identifiers match if they are the same whole number,
        or text of one, of at least ten digits, as those of SDSS; shorter ones may be numbers of rows.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord` (N,), optional
            Positions, in any frame.
        ids : array_like (N,), optional
            Identifiers of SDSS: of images (``objID``) or of spectra (``specObjID``).
        roles : tuple of str, optional
            Roles of the sets to look in.

        Returns
        -------
        `Overlap`

        Raises
        ------
        ValueError
            If there are neither positions nor identifiers, or they have different lengths.
        """
        return self.overlap(Galaxies.of(coord, ids), roles=roles)

    def overlap(self, galaxies: Galaxies, *, roles: tuple[str, ...] = _ALL) -> Overlap:
        """Find the galaxies in common as `common` does, with keys of galaxies."""
        return overlap_with([one for one in self.sets if one.role in roles], galaxies)

    def entries(self) -> dict:
        return super().entries() | {"sets": [_entries(one) for one in self.sets]}


def _entries(one):
    """Entries of a set for a file, without those that say nothing."""
    told = {item.name: getattr(one, item.name) for item in fields(one)}
    told |= {name: told[name] and told[name].entries() for name in _ROOM}
    return {name: value for name, value in told.items() if value not in (None, "", 0)}


def _training_set(entries):
    sketches = {name: Sketch.of_entries(entries[name]) for name in _ROOM if name in entries}
    return TrainingSet(**entries | sketches)


def _text(lineage):
    return json.dumps(lineage.entries(), indent=1) + "\n"


def _fitted(lineage, largest):
    """The lineage with the smallest keys of its larger sketches, so that the file has its size."""
    if len(_text(lineage)) <= largest:
        return lineage
    most = [len(sketch.keys) / _ROOM[name] for one in lineage.sets for name, sketch in _sketches(one).items()]
    low, high = 0, 1 + min(largest // 2, int(max(most, default=0)))  # a key takes two bytes at least
    while high - low > 1:
        each = (low + high) // 2
        low, high = (each, high) if len(_text(_cut(lineage, each))) <= largest else (low, each)
    return _cut(lineage, low)


def _sketches(one):
    return {name: getattr(one, name) for name in _ROOM if getattr(one, name) is not None}


def _cut(lineage, each):
    """The lineage with no more than so many keys in each sketch, times the share of its kind."""
    most = {name: each * share for name, share in _ROOM.items()}
    return replace(
        lineage,
        sets=[
            replace(one, **{name: sketch.cut(most[name]) for name, sketch in _sketches(one).items()})
            for one in lineage.sets
        ],
    )


def refuse_training_file(model: Any, sha256: str, path: PathLike) -> None:
    """
    Refuse a file that a model was trained or calibrated on.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    sha256 : str
        Hash of the file.
    path : str or path-like
        Its name, for the message.

    Raises
    ------
    ValueError
        If it is one that the model's lineage or card names. Files of a pretraining, without redshifts, are not refused.
    """
    role = (model.lineage or Lineage.of_card(model.card)).files.get(sha256)
    if role in ("trained", "calibrated"):
        raise ValueError(
            f"{path} is the very file that the model {model.name} was {role} on: figures measured on it tell nothing "
            "about other galaxies. Give a file of galaxies that it has not seen"
        )


def warn_of_overlap(
    model: Any,
    *,
    coord: SkyCoord | None = None,
    ids: ArrayLike | None = None,
    what: str = "the table",
    stacklevel: int = 2,
) -> Overlap | None:
    """
    Warn if a model that is to be judged by galaxies was trained or calibrated on some of them.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    coord : `~astropy.coordinates.SkyCoord` (N,), optional
    ids : array_like (N,), optional
        See `Lineage.common`. Without positions and identifiers, nothing is said.
    what : str, optional
        Words for what holds the galaxies.
    stacklevel : int, optional
        Of the warning, as in `warnings.warn`.

    Returns
    -------
    `Overlap` or None
        None if the model has no lineage, or nothing is known of the galaxies.
    """
    if model.lineage is None or (coord is None and ids is None):
        return None
    return _told(model, Galaxies.of(coord, ids), what, stacklevel + 1)


def check_unseen(model: Any, path: PathLike, *, stacklevel: int = 2) -> Overlap | None:
    """
    Refuse a file that a model was trained or calibrated on; warn of another one with some of the same galaxies.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    path : str or path-like
        HDF5 file of stamps.
    stacklevel : int, optional
        Of the warning, as in `warnings.warn`.

    Returns
    -------
    `Overlap` or None
        None if the model has no lineage.

    Raises
    ------
    ValueError
        If it is the very file.
    """
    refuse_training_file(model, data_hash(path), path)
    if model.lineage is None:
        return None
    with open_cutouts(path) as file:
        galaxies = Galaxies.of_file(file)
    return _told(model, galaxies, path, stacklevel + 1)


def _told(model, galaxies, what, stacklevel):
    overlap = model.lineage.overlap(galaxies)
    if overlap.n:
        warnings.warn(
            f"{what}: the model {model.name} {overlap.told(galaxies.simulated)}. Figures measured on them are too "
            f"good: {_REMEDY[overlap.exact]}",
            TrainedOnWarning,
            stacklevel=stacklevel,
        )
    return overlap
