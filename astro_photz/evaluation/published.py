# Licensed under a 3-clause BSD style license - see LICENSE
"""
Published figures of other methods, and a model beside them.
"""

from astropy.table import Table

from .record import Evaluation

__all__ = ["DEPTHS", "MAIN_SAMPLE", "PUBLISHED", "comparison"]

PUBLISHED = {
    "catalogue colours, local regression (Beck et al. 2016)": {"sigma_mad": 0.0135, "eta": 0.013},
    "network on images, supervised (Pasquet et al. 2019)": {"sigma_mad": 0.0091, "eta": 0.0031},
}
"""
Figures for the SDSS Main Galaxy Sample, of real images and spectroscopic redshifts (arXiv 1806.06607, table 1). The
reference method (Hayat et al. 2021) is reported to be better than the latter; its own numbers are not at hand.
"""

MAIN_SAMPLE = 17.8
"""Depth of the published figures in dereddened *r* (mag)."""

DEPTHS = 0.0, MAIN_SAMPLE, 19.4
"""Edges of the ranges in dereddened *r* (mag) that are judged apart: the published depth, and beyond it."""


def comparison(evaluation: Evaluation) -> Table:
    """
    Put a model's figures beside published ones.

    Parameters
    ----------
    evaluation : `~astro_photz.evaluation.Evaluation`

    Returns
    -------
    `~astropy.table.Table`
        A row of all galaxies, one of those to the depth of the published figures, one of fainter ones, and the
        published ones: ``method``, ``images`` ("simulated images" or "real images": figures of one do not compare with
        figures of the other), ``n``, ``bias``, ``sigma_mad``, ``eta``, and the errors of ours; masked where nothing is
        known.

    Examples
    --------
    >>> from astro_photz.evaluation import Evaluation, comparison
    >>> numbers = {"n": 1000, "bias": 0.0001, "sigma_mad": 0.0125, "eta": 0.011}
    >>> evaluation = Evaluation(model={"name": "mine"}, data={"simulated": True}, overall=numbers, errors=numbers)
    >>> comparison(evaluation)["images", "sigma_mad"].pprint()
         images      sigma_mad
    ---------------- ---------
    simulated images   0.01250
         real images   0.01350
         real images   0.00910
    """
    name, images = evaluation.model["name"], evaluation.images
    ours = [_row(f"{name} (this evaluation)", images, evaluation.overall, evaluation.errors)]
    for one in evaluation.main_sample:
        limit = one.get("limit", "r")
        depth = f"{limit} {one['low']:g} to {one['high']:g}" if one.get("low") else f"{limit} < {one['high']:g}"
        ours.append(_row(f"{name} (this evaluation, {depth})", images, one, one["errors"]))
    published = [{"method": method, "images": "real images", **figures} for method, figures in PUBLISHED.items()]
    table = Table([*ours, *published], names=list(ours[0]))  # missing values of a row are masked
    for name in table.colnames[3:]:
        table[name].info.format = ".5f"
    return table


def _row(method, images, values, errors):
    row = {"method": method, "images": images, "n": values["n"]}
    for name in ("bias", "sigma_mad", "eta"):
        row |= {name: values[name], f"{name}_err": errors[name]}
    return row
