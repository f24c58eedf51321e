# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies of made-up redshifts and Gaussian PDFs, as a table, as PDFs and as a validation.
"""

from types import SimpleNamespace

import numpy as np
from astropy.table import MaskedColumn, QTable, Table
from scipy.stats import norm

from astro_photz import RedshiftPDF

EDGES = np.linspace(0, 0.4, 181)


def gaussian_pdfs(z, sigma):
    """PDFs of some means and widths, on the usual grid."""
    p = np.diff(norm.cdf(EDGES, np.asarray(z)[:, None], np.broadcast_to(sigma, np.shape(z))[:, None]), axis=1)
    return RedshiftPDF(p / p.sum(axis=1, keepdims=True), EDGES)


def galaxies(n, *, seed=0, masked=(), flags=None, prefix="z_phot"):
    """Table of n galaxies with positions, magnitudes, true redshifts and estimates; and their PDFs."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.04, 0.3, n)
    sigma = rng.uniform(0.008, 0.02, n)
    pdf = gaussian_pdfs(z + sigma * rng.normal(size=n), sigma)
    low, high = pdf.quantile([0.16, 0.84]).T
    mask = np.isin(np.arange(n), masked)
    table = Table(
        {
            "objID": 1000 + np.arange(n),
            "ra": 150 + rng.uniform(-1, 1, n),
            "dec": 2 + rng.uniform(-1, 1, n),
            "r_mag": 15 + 12 * z + rng.normal(0, 0.3, n),
            "z_spec": z,
            **{
                f"{prefix}{end}": MaskedColumn(values, mask=mask)
                for end, values in (("", pdf.mean()), ("_err", pdf.std()), ("_lo68", low), ("_hi68", high))
            },
            f"{prefix}_flags": np.zeros(n, dtype=np.int32) if flags is None else np.asarray(flags),
        }
    )
    return table, pdf


def bin_of(low, high, sigma_mad, n=100):
    """A bin of a validation or evaluation."""
    return {
        "low": low,
        "high": high,
        "n": n,
        "bias": -sigma_mad / 10,
        "sigma_mad": sigma_mad,
        "coverage68": 0.7,
        "errors": {"bias": 0.001, "sigma_mad": 0.002, "coverage68": 0.003},
    }


def validation(n=40, *, unused=(), **changes):
    """Stand-in for a validation: the attributes that plots use."""
    table, pdf = galaxies(n)
    kept = QTable({"row": np.arange(n), "id": table["objID"], "redshift": table["z_spec"]})
    for name in ("z_phot", "z_phot_err", "z_phot_lo68", "z_phot_hi68", "r_mag"):
        kept[name] = table[name]
    kept["ra"], kept["dec"] = table["ra"].data, table["dec"].data
    kept["flags"] = np.where(np.arange(n) % 10 == 1, 64, 0)
    kept["used"] = ~np.isin(np.arange(n), unused)
    pit = np.histogram(pdf.pit(table["z_spec"]), bins=20, range=(0, 1))[0].tolist()
    parts = {
        "galaxies": kept,
        "pdf": pdf,
        "overall": {"n": n - len(unused), "bias": 0.0012, "sigma_mad": 0.0123, "eta": 0.02, "pit_ks": 0.1},
        "errors": {"bias": 0.0003, "sigma_mad": 0.0004, "eta": 0.005},
        "unflagged": {"n": int((kept["used"] & (kept["flags"] == 0)).sum()), "bias": 0.0007, "sigma_mad": 0.011},
        "unflagged_errors": {"bias": 0.0001, "sigma_mad": 0.0002},
        "bins": {
            "r_mag": [bin_of(16, 17, 0.01), bin_of(17, 19, 0.02)],
            "seeing": [],
            "by_flag": {"LOW_SNR": {"n": 4, "sigma_mad": 0.03, "errors": {"sigma_mad": 0.01}}},
        },
        "pit": pit,
        "pit_ks_by_chance": 1.3581 / np.sqrt(n),
        "coverage": {0.5: 0.45, 0.9: 0.95},
        "stamps": None,
    }
    return SimpleNamespace(**parts | changes)
