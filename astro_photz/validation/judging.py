# Licensed under a 3-clause BSD style license - see LICENSE
"""
Judge photometric redshifts by true ones.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, QTable
from numpy.typing import ArrayLike

from astro_photz import metrics
from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.fetching import fetch
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.models import PhotozModel, load_model
from astro_photz.pdf import RedshiftPDF
from astro_photz.positions import read_positions
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._checks import check_count
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .estimates import DEFAULT_PREFIX, estimates_in, estimates_of_run, tell_of_other_code
from .groups import group_galaxies
from .numbers import Judge, score_estimates
from .overlap import checked_maker, tell_overlap
from .pairing import id_columns
from .prediction import MOST_STAMPS, is_simulated_sample, predicted, read_given
from .quantities import quantities_in
from .redshifts import read_redshifts
from .result import Validation
from .verdict import ENOUGH

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from astro_photz.cutouts import CutoutSource

__all__ = ["validate"]

# Columns of the galaxies.
_ORDER = (
    *("row", "id", "ra", "dec", "redshift", "z_phot", "z_phot_err", "z_phot_lo68", "z_phot_hi68"),
    *("deviation", "pit", "crps", "log_score", "flags", "r_mag", "ebv", "seeing", "group", "used", "outlier"),
)
_FORMATS = {"ra": ".6f", "dec": ".6f", "r_mag": ".2f", "seeing": ".2f"}


def validate(
    data: TableLike | Cutouts,
    redshift: str | ArrayLike = "z_spec",
    *,
    z_phot: str | ArrayLike | None = None,
    z_err: str | ArrayLike | None = None,
    pdf: str | RedshiftPDF | PathLike | None = None,
    prefix: str = DEFAULT_PREFIX,
    groups: str | ArrayLike | None = None,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    at_least: int = 20,
    resamples: int = 200,
    seed: int = 0,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> Validation:
    """
    Judge photometric redshifts by true ones.

    The photometric redshifts are those of another code, if ``z_phot`` or ``pdf`` is given; those that the table has
    already, under ``prefix``; or else new ones, by a model of this package.

    Parameters
    ----------
    data : table-like or `~astro_photz.Cutouts`
        N galaxies, as in `~astro_photz.predict`. The images of an HDF5 file of cutouts are taken row by row.
    redshift : str or array_like (N,), optional
        True redshifts: the name of a column, or numbers. Masked ones, sentinels such as -9999, and values below -0.01
        are none. For the default, other usual names are tried too, such as ``specz_redshift``.
    z_phot : str or array_like (N,), optional
        Redshifts of another code.
    z_err : str or array_like (N,), optional
        Their errors. Each galaxy is then judged by a Gaussian PDF, which is not cut off at a redshift of 0.
    pdf : str, path-like or `~astro_photz.RedshiftPDF` (N,), optional
        PDFs of another code: a column whose meta holds its grid, or a file of qp, which needs the extra ``qp``
        and is paired with the galaxies by its identifiers, if it has any. The estimates are ``z_phot``, or the means of
        the PDFs.
    prefix : str, optional
        Beginning of the names of the columns of `~astro_photz.predict`.
    groups : str or array_like (N,), optional
        Galaxies with the same value are drawn together in the bootstrap, such as images of one galaxy. Those with the
        same identifier, ``seed_index`` or position (1 arcsec) are in any case.
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Where images come from, as in `~astro_photz.predict`. Where no estimates are to be made, the stamps of the worst
        outliers alone are fetched from it, and none without it.
    model : str, path-like or `~astro_photz.models.PhotozModel`, optional
        As in `~astro_photz.predict`. Where the table has its estimates, it may only be the model that made them, which
        then tells whether it was trained on the galaxies.
    at_least : int, optional
        Bins with fewer galaxies are left out.
    resamples, seed : int, optional
        Of the bootstrap: see `~astro_photz.metrics.resampled`.
    progress : bool, optional
        Whether to draw a progress bar, as in `~astro_photz.predict`.
    coord, ra, dec, ra_unit, ebv, extinction_release : optional
        Where positions are: see `~astro_photz.positions.read_positions`. Estimates that are there need no positions.

    Returns
    -------
    `~astro_photz.validation.Validation`

    Raises
    ------
    TypeError
        If ``data`` or ``pdf`` is of another kind.
    KeyError
        If a named column is not there, nor redshifts of a ``prefix`` other than the default.
    ValueError
        If no row has both a redshift and an estimate, a redshift has a unit, shapes do not match, no PDF sums to 1,
        positions are needed and not found, ``model`` has not made the estimates that are there, or the identifiers of a
        file of PDFs match no column.
    OSError
        If there is no such file, or nothing can be had because the archive cannot be reached.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz import validate
    >>> table = Table({"z_spec": [0.05, 0.10, 0.20], "photo_z": [0.06, 0.10, 0.19], "e": [0.01, 0.02, 0.02]})
    >>> validation = validate(table, z_phot="photo_z", z_err="e")
    >>> validation.overall["bias"], validation.sample["enough"]
    (0.000397, False)
    >>> print(validation.verdict[2])
    3 galaxies are too few to tell whether PDFs are calibrated, or how rare outliers are: that takes 30 or more.
    """
    check_count("resamples", resamples)
    given = read_given(data)
    table, stamps = given.table, None
    truth, problems, name = read_redshifts(table, redshift)
    estimates = estimates_in(
        table, z_phot=z_phot, z_err=z_err, pdf=pdf, prefix=prefix, record=given.records.get(prefix)
    )
    model = load_model(model) if estimates is None else checked_maker(model, estimates)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    named["extinction_release"] = extinction_release
    positions = _positions(table, named, prefix if estimates is None and given.cutouts is None else None)
    if estimates is None:
        tell_of_other_code(table, prefix)
    quantities, columns = quantities_in(table, positions)
    if source is not None or (estimates is None and given.cutouts is None):
        source = source_or_archive(source)
    n_trained_on = tell_overlap(model, given, source, positions)
    if estimates is None:
        found = predicted(
            given, truth, positions=positions, source=source, model=model, prefix=prefix, progress=progress
        )
        estimates = estimates_of_run(found.columns, prefix)
        quantities |= found.quantities
        columns |= {"r_mag": "r within 8 pixels, free of extinction", "seeing": "the images"}
        stamps, simulated = found.stamps, found.simulated
    else:
        simulated = is_simulated_sample(given, source, estimates.record)
    problems = np.where(problems == "", estimates.problems, problems)
    used = _used(problems)
    group = group_galaxies(table, positions, groups)
    scores = score_estimates(estimates, truth, used)
    judge = _judge(scores, group[used], at_least, resamples, seed)
    galaxies = _galaxies(table, positions, truth, estimates, quantities)
    galaxies = _with_scores(galaxies, used, scores, group)
    facts = {"file": given.name, "redshift": name, "simulated": simulated, "columns": columns}
    facts |= {"resamples": resamples, "seed": seed, "n_redshift": int(np.isfinite(truth).sum())}
    facts |= {"n_trained_on": n_trained_on, "model_at_hand": model is not None if estimates.model else None}
    if stamps is None and source is not None:
        stamps = _stamps_of_outliers(galaxies, table, source, named, progress)
    return _summed_up(judge, estimates, galaxies, used, facts | _not_used(problems), stamps)


def _positions(table, named, wanted):
    """Positions in a table; None if it has none, and they are not named, nor wanted for estimates of that name."""
    try:
        with warnings.catch_warnings():
            if wanted is None:
                warnings.simplefilter("ignore")  # of extinctions, which here are for bins only
            return read_positions(table, **named)
    except ValueError as error:
        if wanted is not None and wanted not in table.colnames:
            raise ValueError(
                f"there are no photometric redshifts, neither {wanted!r} nor z_phot= of another code, and none can be "
                f"estimated: {error}"
            ) from None
        if any(named[name] is not None for name in ("coord", "ra", "dec")):
            raise
        return None


def _used(problems):
    used = np.flatnonzero(problems == "")
    if not len(used):
        told = ", ".join(f"{number} have {reason}" for reason, number in _not_used(problems)["not_used"].items())
        raise ValueError(f"no row has both a redshift and an estimate: {told or 'there are no rows'}")
    return used


def _not_used(problems):
    counts = Counter(problems[problems != ""].tolist())
    return {"n_rows": len(problems), "not_used": dict(sorted(counts.items(), key=lambda one: -one[1]))}


def _judge(scores, groups, at_least, resamples, seed):
    alone = len(np.unique(groups)) == len(groups)
    return Judge(scores, None if alone else groups, at_least, resamples, seed)


def _galaxies(table, positions, truth, estimates, quantities):
    """Table of all galaxies, without their scores."""
    n = len(table)
    galaxies = QTable({"row": np.arange(n)})
    ids = _ids(table, positions)
    if ids is not None:
        galaxies["id"] = ids
    if positions is not None:
        galaxies["ra"], galaxies["dec"] = positions.coord.ra.deg * u.deg, positions.coord.dec.deg * u.deg
    interval = np.full((n, 2), np.nan) if estimates.interval68 is None else estimates.interval68
    err = np.full(n, np.nan) if estimates.err is None else estimates.err
    columns = {"redshift": truth, "z_phot": estimates.z, "z_phot_err": err}
    columns |= {"z_phot_lo68": interval[:, 0], "z_phot_hi68": interval[:, 1]}
    for name in ("r_mag", "ebv", "seeing"):
        columns[name] = quantities.get(name, np.full(n, np.nan))
    for name, values in columns.items():
        galaxies[name] = _masked(values)
    flags = estimates.flags
    galaxies["flags"] = MaskedColumn(np.zeros(n, dtype=np.int32) if flags is None else flags, mask=flags is None)
    return galaxies


def _ids(table, positions):
    if positions is not None and positions.ids is not None:
        return positions.ids
    name = next(iter(id_columns(table)), None)
    return None if name is None else identifiers(table[name])


def _with_scores(galaxies, used, scores, group):
    n = len(galaxies)
    for name in ("deviation", "pit", "crps", "log_score"):
        values = np.full(n, np.nan)
        if getattr(scores, name) is not None:
            values[used] = getattr(scores, name)
        galaxies[name] = _masked(values)
    is_used, outlier = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    is_used[used] = True
    outlier[used] = np.abs(scores.deviation) > metrics.OUTLIER
    galaxies["group"], galaxies["used"], galaxies["outlier"] = group, is_used, outlier
    for name in galaxies.colnames:
        if galaxies[name].dtype.kind == "f":
            galaxies[name].info.format = _FORMATS.get(name, ".4f")
    return galaxies[[name for name in _ORDER if name in galaxies.colnames]]


def _masked(values):
    values = np.asarray(values, dtype=float)
    return MaskedColumn(values, mask=np.isnan(values))


def _stamps_of_outliers(galaxies, table, source, named, progress):
    """Fetch the stamps of the worst outliers of a table that has its estimates."""
    rows = np.flatnonzero(galaxies["outlier"])
    rows = rows[np.argsort(-np.abs(galaxies["deviation"][rows]), kind="stable")][:MOST_STAMPS]
    if not len(rows):
        return None
    stamps = fetch(table[rows], source=source, progress=progress, **named)
    stamps.ids = rows
    return stamps


def _summed_up(judge, estimates, galaxies, used, facts, stamps):
    everything = np.ones(len(used), dtype=bool)
    overall, errors = judge.of(everything)
    flags = None if estimates.flags is None else estimates.flags[used]
    unflagged, unflagged_errors = ({}, {}) if flags is None else judge.of(flags == 0)
    quantities = {name: np.ma.filled(galaxies[name][used], np.nan) for name in ("r_mag", "z_phot", "ebv", "seeing")}
    bins = judge.bins(quantities) | ({} if flags is None else {"by_flag": judge.by_flag(flags)})
    n_independent = judge.n_independent(everything)
    sample = facts | {
        "estimate": estimates.name,
        "kind": estimates.kind,
        "model": estimates.model,
        "paired_by": estimates.paired_by,
        "n_estimate": int((estimates.problems == "").sum()),
        "n_used": len(used),
        "n_independent": n_independent,
        "n_flagged": None if flags is None else int((flags != 0).sum()),
        "enough": n_independent >= ENOUGH,
    }
    pit = judge.scores.pit
    return Validation(
        sample=sample | _grid(estimates, galaxies, used),
        overall=overall,
        errors=errors,
        galaxies=galaxies,
        unflagged=unflagged,
        unflagged_errors=unflagged_errors,
        bins=bins,
        pit=[] if pit is None else metrics.pit_histogram(pit),
        coverage=_levels(overall) if pit is None else metrics.coverage_by_level(pit),
        pdf=estimates.pdf,
        stamps=stamps,
        **judge.by_chance(),
    )


def _levels(overall):
    """Coverage at the levels that intervals tell."""
    levels = {"0.68": "coverage68", "0.95": "coverage95"}
    return {level: overall[name] for level, name in levels.items() if name in overall}


def _grid(estimates, galaxies, used):
    if estimates.pdf is None:
        return {}
    low, high = estimates.pdf.edges[[0, -1]]
    truth = np.ma.filled(galaxies["redshift"][used], np.nan)
    return {"grid": [float(low), float(high)], "n_beyond_grid": int(((truth < low) | (truth > high)).sum())}
