# Licensed under a 3-clause BSD style license - see LICENSE
"""
The parts of a page that every table has: counts, graphs, the model, and how to make it again.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord, UnitSphericalRepresentation
from astropy.table import Table

from astro_photz import __version__
from astro_photz.flags import BAD
from astro_photz.plots import plot_sky
from astro_photz.plots.distribution import plot_distribution, plot_errors
from astro_photz.validation.overlap import maker_of

from ._text import counted, number
from .pictures import svg

if TYPE_CHECKING:
    from astro_photz.validation import Validation

    from .subject import Subject

__all__ = ["headline", "model_facts", "reproduction", "table_graphs"]

_ON_MAP = 50_000  # galaxies
_RINGED = 1000  # galaxies: the rings of the flagged ones among more would hide the others
_PLANE = 20 * u.deg  # from the middle: a wider map is one of the whole sky
_PACKAGES = ("numpy", "scipy", "astropy", "onnxruntime", "matplotlib", "jinja2")
_RANGES = {
    "r_mag": "r from {:.1f} to {:.1f} mag, within 8 pixels, free of extinction",
    "ebv": "E(B−V) from {:.2f} to {:.2f} mag",
    "redshift": "z from {:.2f} to {:.2f}",
}


def headline(subject: Subject, validation: Validation | None) -> dict:
    """
    Collect what stands at the top of the page.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)
    validation : `~astro_photz.validation.Validation` or None

    Returns
    -------
    dict
        Values of the template by name.
    """
    record, n_estimated = subject.record, int(subject.estimated.sum())
    clean, good = (int((subject.estimated & ((subject.flags & bits) == 0)).sum()) for bits in (-1, BAD))
    model = f"{record['model']} {record.get('model_version', '')}".strip() if "model" in record else "not recorded"
    figures = [
        ("rows", f"{len(subject):,}"),
        ("with a redshift", f"{n_estimated:,}"),
    ]
    if subject.has_flags:
        figures += [("of these without a flag", f"{clean:,}"), ("without one of flags.BAD", f"{good:,}")]
    if n_estimated:
        figures += [("median redshift", _median(subject.z, subject))]
    if np.isfinite(subject.error[subject.estimated]).any():
        figures += [("median error", _median(subject.error, subject))]
    if validation is not None and "sigma_mad" in validation.overall:
        overall, errors = validation.overall, validation.errors
        figures += [
            ("σ_MAD", number(overall["sigma_mad"], errors.get("sigma_mad"))),
            ("outliers, η", number(100 * overall["eta"], 100 * errors.get("eta", np.nan), 1) + " %"),
        ]
    return {
        "file": subject.name,
        "n": len(subject),
        "n_estimated": n_estimated,
        "n_without": len(subject) - n_estimated,
        "model": model,
        "trained_on": record.get("trained_on", ""),
        "source": record.get("source", ""),
        "release": f"DR{record['data_release']}" if record.get("data_release", -1) > 0 else "",
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "figures": figures,
    }


def _median(values, subject):
    return number(float(np.nanmedian(values[subject.estimated])))


def table_graphs(subject: Subject) -> list[dict]:
    """
    Draw the distribution of redshifts, their errors, and the map of the sky.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)

    Returns
    -------
    list of dict
        ``svg`` and ``caption`` of each graph; none if no row has an estimate.
    """
    if not subject.estimated.any():
        return []
    return [_distribution(subject), *_errors(subject), *_sky(subject)]


def _distribution(subject):
    z, summed = subject.z[subject.estimated], subject.summed_pdf()
    caption = f"Redshifts of {counted(len(z), 'galaxy', 'galaxies')}"
    caption += ", and the sum of their PDFs." if summed else "; the table has no PDFs (predict --pdf adds them)."
    graph = svg("distribution", "histogram of redshifts", lambda axes: plot_distribution(z, summed=summed, ax=axes))
    return {"svg": graph, "caption": caption}


def _errors(subject):
    known = subject.estimated & (subject.error > 0)
    error = np.where(known, subject.error / (1 + subject.z), np.nan)
    by_magnitude = subject.r_mag is not None and np.isfinite(subject.r_mag[known]).any()
    if not known.any():
        return []
    x, label = (subject.r_mag, "$r$ (mag)") if by_magnitude else (subject.z, "photometric redshift")
    against = f"r (column {subject.r_mag_column})" if by_magnitude else "redshift: the table has no magnitudes in r"
    flagged = subject.flags != 0

    def draw(axes):
        plot_errors(x, error, flagged=flagged, label=label, ax=axes)

    graph = svg("errors", "errors of redshifts", draw)
    return [{"svg": graph, "caption": f"Errors, widths of the PDFs in units of 1 + z, against {against}."}]


def _sky(subject):
    if subject.coord is None:
        return []
    placed = np.flatnonzero(np.isfinite(subject.coord.ra.deg))
    if not placed.size:
        return []
    caption = f"Positions of {counted(len(placed), 'galaxy', 'galaxies')}, coloured by redshift."
    if len(placed) > _ON_MAP:
        placed = np.sort(np.random.default_rng(0).choice(placed, _ON_MAP, replace=False))
        caption = f"Positions of {_ON_MAP:,} galaxies, drawn at random, coloured by redshift."
    coord, z = subject.coord[placed], np.where(subject.estimated, subject.z, np.nan)[placed]
    shown = Table({"coord": coord, subject.prefix: z})
    if len(placed) <= _RINGED:
        shown[f"{subject.prefix}_flags"] = subject.flags[placed]
    wide = coord.separation(_middle(coord)).max() > _PLANE

    def draw(axes):
        plot_sky(shown, prefix=subject.prefix, label="photometric redshift", ax=axes)

    graph = svg("sky", "map of the sky", draw, projection="mollweide" if wide else None)
    return [{"svg": graph, "caption": caption}]


def _middle(coord):
    """Find the middle of positions: the direction of their mean on the sphere."""
    return SkyCoord(coord.cartesian.mean().represent_as(UnitSphericalRepresentation), frame="icrs")


def model_facts(subject: Subject) -> dict:
    """
    Collect what is known of the model: its training, its range and its limits.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)

    Returns
    -------
    dict
        Values of the template by name; ``card_note`` says why the model's card is not told.
    """
    record = subject.record
    known = {"limits": [], "ranges": [], "training": "", "card_note": ""}
    if "model" not in record:
        return known | {"card_note": "The table does not tell the model: its file keeps no record of it."}
    model = maker_of(record)
    if model is None:
        note = f"The model {record['model']} that made the table is not at hand here, so its limits are not told."
        return known | {"card_note": note}
    card, found = model.card, model.card.training_range
    return known | {
        "limits": card.limits,
        "ranges": [text.format(*found[name]) for name, text in _RANGES.items() if name in found],
        "training": card.training_data["description"],
    }


def reproduction(subject: Subject, validation: Validation | None) -> dict:
    """
    Collect what one needs to make the table and the page again.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)
    validation : `~astro_photz.validation.Validation` or None

    Returns
    -------
    dict
        Values of the template by name.
    """
    record = subject.record
    facts = [("sha256 of the table", subject.sha256)] if subject.sha256 else []
    facts += [("sha256 of the model", record["model_sha256"])] if "model_sha256" in record else []
    facts += [("the table is by", f"astro_photz {record['astro_photz']}")] if "astro_photz" in record else []
    facts.append(("the page is by", f"astro_photz {__version__}, Python {platform.python_version()}"))
    facts.append(("packages", ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))))
    if validation is not None and validation.sample.get("file"):
        facts.append(("validated", str(validation.sample["file"])))
    return {"reproduction": facts, "predict_command": _predict_command(subject)}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _predict_command(subject):
    record = subject.record
    if "model" not in record:
        return ""
    output = quote(subject.name) if subject.path else "OUT.ecsv"
    parts = ["astro-photz predict IN", output, "--model", quote(record["model"])]
    if record.get("data_release", -1) > 0 and str(record.get("source", "")).startswith("SDSS"):
        parts += ["--data-release", str(record["data_release"])]
    parts += ["--prefix", quote(subject.prefix)] if subject.prefix != "z_phot" else []
    parts += ["--pdf"] if f"{subject.prefix}_pdf" in subject.table.colnames else []
    analogues = f"{subject.prefix}_analogue_id"
    parts += ["--analogues", str(subject.table[analogues].shape[1])] if analogues in subject.table.colnames else []
    return " ".join(parts)
