# Licensed under a 3-clause BSD style license - see LICENSE
"""
Judge a model by a data set with known redshifts.

It is judged as it is used: the exported graphs, run by onnxruntime on stamps from an HDF5 file, so that a number here
is what a user of `astro_photz.predict` gets. The file is read batch by batch, and only the scores of each galaxy stay.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz import metrics
from astro_photz.cutouts import Batch
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.dataset import data_hash, read_groups
from astro_photz.cutouts.hdf5.layout import is_simulated, open_cutouts, read_column
from astro_photz.inference.engine import BATCH, estimate_batches
from astro_photz.models import PhotozModel, load_model
from astro_photz.models.lineage import check_unseen
from astro_photz.pdf import RedshiftPDF
from astro_photz.photometry import aperture_flux, r_magnitude
from astro_photz.sdss import BANDS
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike

from .published import DEPTHS
from .record import Evaluation

__all__ = ["BINS", "evaluate", "evaluate_model"]

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

_R = BANDS.index("r")


def evaluate(pdf: RedshiftPDF, redshift: ArrayLike) -> dict[str, float]:
    """
    Summarise how PDFs compare with true redshifts.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    redshift : array_like (N,)

    Returns
    -------
    dict of float
        See `astro_photz.metrics.summary`.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.evaluation import evaluate
    >>> pdf = RedshiftPDF(np.full((50, 4), 0.25), [0.0, 0.1, 0.2, 0.3, 0.4])
    >>> metrics = evaluate(pdf, np.linspace(0.01, 0.39, 50))
    >>> round(metrics["coverage68"], 2), round(metrics["sigma_mad"], 3)
    (0.72, 0.119)
    """
    return metrics.summary(metrics.score(pdf, redshift))


def evaluate_model(
    model: PathLike | PhotozModel,
    path: PathLike,
    *,
    at_least: int = 100,
    resamples: int = 200,
    seed: int = 0,
    seen: bool = False,
    progress: bool | None = None,
) -> Evaluation:
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
    seen : bool, optional
        Whether galaxies may be among those that the model was trained or calibrated on: then nothing is said of that.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.

    Returns
    -------
    `~astro_photz.evaluation.Evaluation`

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If the file has no redshifts, one that is negative or no number, or no galaxy that can be estimated; or if the
        model has no redshift head. If it is the very file that the model was trained or calibrated on; galaxies that
        such a file has in common are told in a `~astro_photz.models.TrainedOnWarning`.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> from astro_photz import testing
    >>> from astro_photz.evaluation import evaluate_model
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stamps.h5"
    >>> testing.gaussian_cutouts(60).write(path, specz_redshift=np.linspace(0.02, 0.2, 60))  # made up
    >>> evaluation = evaluate_model("sim-small-v1", path, at_least=20)
    >>> evaluation.overall["n"], sorted(evaluation.bins)
    (60, ['ebv', 'r_mag', 'redshift', 'seeing', 'z_phot'])
    """
    model = load_model(model)
    edges = model.edges  # raises for a model that gives no redshifts
    with open_cutouts(path, needs=("images", "e_bv", "specz_redshift")) as file:
        redshift = _labels(path, file)
        if not len(redshift):
            raise ValueError(f"{path}: there is no stamp in it")
        if not seen:
            check_unseen(model, path, stacklevel=3)
        with closing(estimate_batches(_batches(file, model.card.image_size, progress), model)) as parts:
            scores, values = _judged(parts, file, redshift)
        simulated, groups = is_simulated(file), read_groups(file)
    groups = groups if groups is None else groups[values["row"]]
    options: dict[str, Any] = {"groups": groups, "resamples": resamples, "seed": seed}
    data = {
        "file": Path(path).name,
        "sha256": data_hash(path),
        "simulated": simulated,
        "n_missing": len(redshift) - len(scores.deviation),
        "n_independent": len(scores.deviation if groups is None else np.unique(groups)),
        "beyond_grid": int((values["redshift"] >= edges[-1]).sum()),
    }
    return Evaluation(
        model={"name": model.name, "version": model.version, "sha256": model.sha256},
        data=data,
        overall=metrics.summary(scores),
        errors=metrics.bootstrap(scores, **options),
        main_sample=_main_sample(scores, values, at_least=at_least, **options),
        pit_ks_by_chance=round(metrics.pit_ks_by_chance(scores.pit, **options), 6),
        pit_ad_by_chance=round(metrics.pit_ad_by_chance(scores.pit, **options), 6),
        pit=metrics.pit_histogram(scores.pit),
        coverage=metrics.coverage_by_level(scores.pit),
        bins={
            name: metrics.binned(scores, values[name], limits, at_least=at_least, **options)
            for name, limits in BINS.items()
            if name in values
        },
    )


def _main_sample(scores, values, **options):
    """Metrics of the galaxies to the depth of the published figures, and of fainter ones, with the magnitude's name."""
    limit, r_mag = ("total r", values["total"]) if "total" in values else ("r within 8 pixels", values["r_mag"])
    return [one | {"limit": limit} for one in metrics.binned(scores, r_mag, DEPTHS, **options)]


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


def _batches(file, size, progress):
    n = len(file["images"])
    with progress_bar(n, progress) as advance:
        for start in range(0, n, BATCH):
            rows = np.arange(start, min(start + BATCH, n))
            yield Batch(rows, read_rows(file, rows).crop(size))
            advance(len(rows))


def _judged(parts, file, redshift):
    """Scores of the galaxies that have an estimate, and the quantities that they are binned by."""
    scores, values = [], []
    for part in parts:
        scores.append(metrics.score(part.pdf, redshift[part.estimated]))
        values.append(_quantities(part, file, redshift))
    columns = {name: np.concatenate([one[name] for one in values]) for name in values[0]}
    return metrics.Scores.concatenate(scores), columns


def _quantities(part, file, redshift):
    """Quantities that the galaxies of a batch are binned by, as far as the file has them."""
    rows, cutouts = part.estimated, part.cutouts
    r_mag = r_magnitude(aperture_flux(cutouts.flux[:, _R]), cutouts.ebv)
    values = {"row": rows, "r_mag": r_mag, "z_phot": part.pdf.mean(), "redshift": redshift[rows], "ebv": cutouts.ebv}
    if "catalog_flux" in file:
        values["total"] = r_magnitude(read_column(file, "catalog_flux", rows)[:, _R], cutouts.ebv)
    if "early" in file:
        values["early"] = file["early"][rows]
    if "psf_fwhm" in file:
        values["seeing"] = read_column(file, "psf_fwhm", rows)[:, _R]
    return values
