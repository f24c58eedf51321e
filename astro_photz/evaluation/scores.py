# Licensed under a 3-clause BSD style license - see LICENSE
"""
Compare a model's redshifts with the spectroscopic ones of a data set, and with published figures.

It is judged as it is used: the exported graphs, run by onnxruntime on stamps from an HDF5 file, so that a number here
is what a user of `astro_photz.predict` gets. The file is read batch by batch, and only the scores of each galaxy stay.
"""

from pathlib import Path

import numpy as np
from astropy.table import Table

from astro_photz import metrics
from astro_photz.cutouts.hdf5.dataset import data_hash, read_groups
from astro_photz.cutouts.hdf5.layout import is_simulated, open_cutouts, read_column, read_rows
from astro_photz.flags import MISSING
from astro_photz.models import PhotozModel, load_model
from astro_photz.quality import aperture_flux, flag_images, r_magnitude
from astro_photz.sdss import BANDS
from astro_photz.utils._progress import progress_bar

__all__ = ["BINS", "LEVELS", "MAIN_SAMPLE", "PUBLISHED", "comparison", "evaluate", "evaluate_model"]

BINS = {
    "r_mag": (12.0, 15.0, 16.0, 16.5, 17.0, 17.5, 18.0, 18.5, 19.0, 20.0, 22.0),
    "z_phot": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    "redshift": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    "ebv": (0.0, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5),
    "seeing": (0.7, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 2.2),
    "early": (0, 1, 2),
}
"""
Edges of the bins in which a model is judged: dereddened *r* within 8 pixels (mag), estimated and true redshift, E(B-V)
(mag), seeing (FWHM in *r*, arcsec), and type, 0 for late and 1 for early. The latter two only where the file has them.
"""

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95, 0.99)
"""Probabilities in central intervals, of which is told how many true redshifts they hold."""

_PIT_BINS = 20

PUBLISHED = {
    "catalogue colours, local regression (Beck et al. 2016)": {"sigma_mad": 0.0135, "eta": 0.013},
    "network on images, supervised (Pasquet et al. 2019)": {"sigma_mad": 0.0091, "eta": 0.0031},
}
"""
Figures for the SDSS Main Galaxy Sample, of real images and spectroscopic redshifts (arXiv 1806.06607, table 1). The
reference method (Hayat et al. 2021) is told to be better than the latter; its own numbers are not at hand.
"""

MAIN_SAMPLE = 17.8
"""Depth of the published figures in dereddened *r* (mag)."""

_BATCH = 256
_R = BANDS.index("r")


def evaluate(pdf, redshift):
    """
    Compare PDFs with the true redshifts.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    redshift : array_like (N,)

    Returns
    -------
    dict of float
        See `astro_photz.metrics.summary`.
    """
    return metrics.summary(metrics.score(pdf, redshift))


def evaluate_model(model, path, *, at_least=100, resamples=200, seed=0, progress=None):
    """
    Judge a model by a data set.

    Parameters
    ----------
    model : str, path-like or `~astro_photz.models.PhotozModel`
        A model, its name or its folder.
    path : str or path-like
        HDF5 file with ``images``, ``e_bv`` and ``specz_redshift``, and perhaps ``psf_fwhm`` and ``early``. With
        ``seed_index``, galaxies that were drawn from the same real one are taken for one in the errors.
    at_least : int, optional
        Bins with fewer galaxies are left out.
    resamples, seed : int, optional
        Of `astro_photz.metrics.resampled`.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.

    Returns
    -------
    dict
        ``kind``, "evaluation"; ``overall``, the metrics of all galaxies; ``errors``, their bootstrap errors;
        ``main_sample``, a list of both of those brighter than ``MAIN_SAMPLE``, empty if there are too few: in total *r*
        where the file has ``catalog_flux``, else within 8 pixels, which ``limit`` tells; ``bins``,
        both in bins of each of ``BINS``; ``pit``, the histogram of the PIT in equal bins from 0 to 1; ``coverage``, the
        share of true redshifts in the central interval of each of ``LEVELS``; ``model`` and ``data``, what was judged
        and by what, with ``simulated`` where the file says that its images are, ``n_missing``, how many galaxies have
        no estimate, and ``n_independent``, from how many real ones they were drawn; ``pit_ks_by_chance``, which the KS
        distance of the PIT exceeds in one of twenty such samples of calibrated PDFs. It is JSON as it is.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If the file has no redshifts, one that is negative or no number, or no galaxy that can be estimated; or if the
        model has no redshift head.
    """
    model = model if isinstance(model, PhotozModel) else load_model(model)
    edges = model.edges  # raises for a model that gives no redshifts
    with open_cutouts(path, needs=("images", "e_bv", "specz_redshift")) as file:
        redshift = _labels(path, file)
        if not len(redshift):
            raise ValueError(f"{path}: there is no stamp in it")
        parts = [_judge(model, file, rows, redshift) for rows in _batches(len(redshift), progress)]
        names = list(parts[0][1])
        simulated = is_simulated(file)
        groups = read_groups(file)
    scores = metrics.Scores(*(np.concatenate(column) for column in zip(*(part for part, _ in parts), strict=True)))
    values = {name: np.concatenate([part[name] for _, part in parts]) for name in names}
    groups = groups if groups is None else groups[values["row"]]
    options = {"groups": groups, "resamples": resamples, "seed": seed}
    return {
        "kind": "evaluation",
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "data": {
            "file": Path(path).name,
            "sha256": data_hash(path),
            "simulated": simulated,
            "n_missing": len(redshift) - len(scores.deviation),
            "n_independent": len(scores.deviation if groups is None else np.unique(groups)),
            "beyond_grid": int((values["redshift"] >= edges[-1]).sum()),
        },
        "overall": metrics.summary(scores),
        "errors": metrics.bootstrap(scores, **options),
        "main_sample": _main_sample(scores, values, at_least=at_least, **options),
        "pit_ks_by_chance": round(metrics.pit_ks_by_chance(scores.pit, **options), 6),
        "pit": np.histogram(scores.pit, bins=_PIT_BINS, range=(0, 1))[0].tolist(),
        "coverage": {str(level): round(metrics.coverage(scores.pit, level=level), 6) for level in LEVELS},
        "bins": {
            name: metrics.binned(scores, values[name], limits, at_least=at_least, **options)
            for name, limits in BINS.items()
            if name in values
        },
    }


def _main_sample(scores, values, **options):
    """Figures of the galaxies to the depth of the published ones, and by what magnitude that is."""
    limit, r_mag = ("total r", values["total"]) if "total" in values else ("r within 8 pixels", values["r_mag"])
    return [one | {"limit": limit} for one in metrics.binned(scores, r_mag, (0, MAIN_SAMPLE), **options)]


def _labels(path, file):
    redshift = read_column(file, "specz_redshift")
    wrong = ~(np.isfinite(redshift) & (redshift >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}: specz_redshift must be a number of 0 or more in every row; {wrong.sum()} are not, the first, "
            f"{file['specz_redshift'][row]:g}, in row {row}: leave them out of the file"
        )
    return redshift


def _batches(n, progress):
    with progress_bar(n, progress) as advance:
        for start in range(0, n, _BATCH):
            rows = np.arange(start, min(start + _BATCH, n))
            yield rows
            advance(len(rows))


def _judge(model, file, rows, redshift):
    """Scores of the galaxies of a batch that have an estimate, and what they are sorted by."""
    cutouts = read_rows(file, rows).crop(model.card.get("image_size", 64))
    usable = (flag_images(cutouts) & MISSING) == 0
    cutouts, redshift = cutouts[usable], redshift[rows[usable]]
    pdf = model.pdf(model.embed(cutouts))
    r_mag = r_magnitude(aperture_flux(cutouts.flux[:, _R]), cutouts.ebv)
    values = {"row": rows[usable], "r_mag": r_mag, "z_phot": pdf.mean(), "redshift": redshift, "ebv": cutouts.ebv}
    if "catalog_flux" in file:
        values["total"] = r_magnitude(read_column(file, "catalog_flux", rows[usable])[:, _R], cutouts.ebv)
    return metrics.score(pdf, redshift), values | _conditions(file, rows[usable])


def _conditions(file, rows):
    """What a file tells of the seeing and of the types of galaxies."""
    told = {"early": file["early"][rows]} if "early" in file else {}
    if "psf_fwhm" in file:
        told["seeing"] = read_column(file, "psf_fwhm", rows)[:, _R]
    return told


def comparison(evaluation):
    """
    A model's figures beside published ones.

    Parameters
    ----------
    evaluation : dict
        Of `evaluate_model`.

    Returns
    -------
    `~astropy.table.Table`
        A row of all galaxies, one of those to the depth of the published figures, and these: ``method``,
        ``images`` ("simulated images" or "real images": figures of one do not compare with figures of the
        other), ``n``, ``bias``, ``sigma_mad``, ``eta``, and the errors of ours; masked where nothing is known.

    Examples
    --------
    >>> from astro_photz.evaluation.scores import comparison
    >>> numbers = {"n": 1000, "bias": 0.0001, "sigma_mad": 0.0125, "eta": 0.011}
    >>> table = comparison(
    ...     {"model": {"name": "mine"}, "data": {"simulated": True}, "overall": numbers, "errors": numbers}
    ... )
    >>> table["images", "sigma_mad"].pprint()
         images      sigma_mad
    ---------------- ---------
    simulated images   0.01250
         real images   0.01350
         real images   0.00910
    """
    name, images = evaluation["model"]["name"], "simulated images" if evaluation["data"]["simulated"] else "real images"
    ours = [_compared(f"{name} (this evaluation)", images, evaluation["overall"], evaluation["errors"])]
    for one in evaluation.get("main_sample", []):
        which = f"{one.get('limit', 'r')} < {one['high']:g}"
        ours.append(_compared(f"{name} (this evaluation, {which})", images, one, one["errors"]))
    published = [{"method": method, "images": "real images", **figures} for method, figures in PUBLISHED.items()]
    table = Table([*ours, *published], names=list(ours[0]))  # what a row lacks is masked
    for name in table.colnames[3:]:
        table[name].info.format = ".5f"
    return table


def _compared(method, images, values, errors):
    row = {"method": method, "images": images, "n": values["n"]}
    for name in ("bias", "sigma_mad", "eta"):
        row |= {name: values[name], f"{name}_err": errors[name]}
    return row
