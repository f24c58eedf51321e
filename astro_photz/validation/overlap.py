# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies that a model was trained on, among those that it is judged by.
"""

from pathlib import Path

from astro_photz.cutouts import CutoutFile, Cutouts
from astro_photz.models import list_models, load_model
from astro_photz.models.lineage import check_unseen, warn_of_overlap

__all__ = ["checked_maker", "maker_of", "tell_overlap"]


def maker_of(record):
    """
    Find the model that made estimates, if it is one of those at hand.

    Parameters
    ----------
    record : dict
        Record of the run: ``model``, its name, and ``model_sha256``.

    Returns
    -------
    `~astro_photz.models.PhotozModel` or None
    """
    name = record.get("model")
    if name not in list_models()["name"]:
        return None
    model = load_model(name)
    return model if model.sha256 == record.get("model_sha256") else None


def checked_maker(model, estimates):
    """
    Take the model that the user names, if it has made the estimates; or find it.

    Parameters
    ----------
    model : str, path-like, `~astro_photz.models.PhotozModel` or None
    estimates : `~astro_photz.validation.estimates.Estimates`

    Returns
    -------
    `~astro_photz.models.PhotozModel` or None
        None if it is not at hand, or the estimates are not of this package.

    Raises
    ------
    ValueError
        If a model is named that has not made the estimates.
    """
    if model is None:
        return maker_of(estimates.record)
    model = load_model(model)
    if model.sha256 != estimates.record.get("model_sha256"):
        maker = estimates.record.get("model")
        told = f"made by the model {maker!r}" if maker else "made by no model that the table tells"
        raise ValueError(
            f"the table has redshifts already, {estimates.name!r}, {told}; model={model.name!r} would not be used: "
            "leave it out, or estimate anew before, by predict(..., replace=True)"
        )
    return model


def tell_overlap(model, given, source, positions):
    """
    Warn if a model was trained on some of the galaxies, and refuse the file that it was trained on.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel` or None
        None if it is not known.
    given : `~astro_photz.validation.prediction.Given` (N,)
    source : `~astro_photz.cutouts.CutoutSource` or None
        Where images come from.
    positions : `~astro_photz.positions.Positions` (N,) or None

    Returns
    -------
    int or None
        Galaxies in common; None if nothing is known.

    Raises
    ------
    ValueError
        If the images are those of the file that the model was trained on.
    """
    if model is None:
        return None
    file = source.path if isinstance(source, CutoutFile) else given.cutouts
    if isinstance(file, Path):
        overlap = check_unseen(model, file, stacklevel=4)
    elif positions is None or (isinstance(file, Cutouts) and file.simulated):
        return None
    else:
        what = given.name or "the table"
        overlap = warn_of_overlap(model, coord=positions.coord, ids=positions.ids, what=what, stacklevel=4)
    return None if overlap is None else int(overlap.n)
