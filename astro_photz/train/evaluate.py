# Licensed under a 3-clause BSD style license - see LICENSE
"""
How good redshift PDFs are, in the field's usual numbers.
"""

import numpy as np

__all__ = ["evaluate"]

_OUTLIER = 0.05
_SCATTER = 1.4826


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
        With dz = (z_phot - z) / (1 + z) and z_phot the mean of the PDF: ``bias``, the mean of dz; ``sigma_mad``, 1.4826
        times its median absolute deviation from its median; ``eta``, the share beyond 0.05; ``crps``, the mean
        continuous ranked probability score; ``coverage68`` and ``coverage95``, the share of true redshifts within the
        central intervals; ``pit_ks``, the largest distance of the PIT's distribution from the uniform one. And ``n``.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.train.evaluate import evaluate
    >>> pdf = RedshiftPDF(np.tile([0.25, 0.5, 0.25], (3, 1)), [0.0, 0.1, 0.2, 0.3])
    >>> evaluate(pdf, [0.15, 0.15, 0.15])["bias"]
    0.0
    """
    redshift = np.asarray(redshift, dtype=float)
    deviation = (pdf.mean() - redshift) / (1 + redshift)
    pit = np.asarray(pdf.pit(redshift))
    uniform = np.arange(1, len(pit) + 1) / len(pit)
    metrics = {
        "bias": deviation.mean(),
        "sigma_mad": _SCATTER * np.median(np.abs(deviation - np.median(deviation))),
        "eta": np.mean(np.abs(deviation) > _OUTLIER),
        "crps": np.mean(pdf.crps(redshift)),
        "coverage68": np.mean(np.abs(pit - 0.5) < 0.34),
        "coverage95": np.mean(np.abs(pit - 0.5) < 0.475),
        "pit_ks": np.max(np.abs(np.sort(pit) - uniform)),
    }
    return {name: round(float(value), 6) + 0.0 for name, value in metrics.items()} | {"n": len(redshift)}
