# Licensed under a 3-clause BSD style license - see LICENSE
"""
Probabilities in bins of redshift, of the PDFs of any ensemble of qp.

A probability is the difference of the cumulative distribution between the edges of its bin. That of qp is used, but for
two parameterizations where it is not accurate (qp 1.1): interpolated densities are integrated here, exactly, and
quantiles are joined by a curve that never falls.
"""

import numpy as np

__all__ = ["MOST_OUTSIDE", "probabilities"]

MOST_OUTSIDE = 1e-3
"""Largest share of a PDF that may lie outside the bins; what lies inside is then divided by its sum."""

_ROWS = 1000  # qp holds several arrays of rows times edges while it evaluates
_MOST_BINS = 1000
_FINER = 16  # points at which the curve between two quantiles is sampled
_LOWEST, _HIGHEST = -1.0, 30.0  # beyond, values are no redshifts but stand for unknown ones
_TAIL = 1e-4  # probability beyond either end of bins that are chosen here


def probabilities(ensemble, edges=None):
    """
    Compute the probability in each bin.

    Parameters
    ----------
    ensemble : `qp.Ensemble <qp.core.ensemble.Ensemble>`
        N PDFs.
    edges : array_like (K + 1,), optional
        Edges of the bins in redshift; by default those of the ensemble, or even ones.

    Returns
    -------
    p : `~numpy.ndarray` (N, K)
        NaN for rows that are not finite.
    edges : `~numpy.ndarray` (K + 1,)

    Raises
    ------
    ValueError
        If more than `MOST_OUTSIDE` of a PDF lies outside the bins, a cumulative distribution falls, the edges do not
        increase, or no bins can be found.
    """
    if edges is None and _name(ensemble) == "hist":
        edges = np.ravel(ensemble.metadata["bins"])
        density = np.reshape(ensemble.objdata["pdfs"], (ensemble.npdf, len(edges) - 1))
        return density * np.diff(edges), edges
    edges = _own_edges(ensemble) if edges is None else np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError("edges must be two or more redshifts that increase")
    p = np.empty((ensemble.npdf, len(edges) - 1))
    for rows, part in _parts(ensemble):
        p[rows] = np.diff(_rising(_cdf(part, edges), rows.start), axis=1)
    _check_inside(p, edges)
    return p, edges


def _name(ensemble):
    """Name of the parameterization."""
    return ensemble.metadata["pdf_name"][0].decode()


def _parts(ensemble):
    """Cut an ensemble into pieces of limited memory."""
    if 0 < ensemble.npdf <= _ROWS:  # a single row cannot be cut out of itself
        yield slice(0, ensemble.npdf), ensemble
        return
    for start in range(0, ensemble.npdf, _ROWS):
        rows = slice(start, start + _ROWS)
        yield rows, ensemble[rows]


# Cumulative distributions


def _cdf(ensemble, edges):
    """Cumulative distributions (N, K + 1) at the edges."""
    name = _name(ensemble)
    if name == "interp":
        points = np.reshape(ensemble.metadata["xvals"], (1, -1))
        return _of_points(points, _rows(ensemble, "yvals"), edges)
    if name == "interp_irregular":
        return _of_points(_rows(ensemble, "xvals"), _rows(ensemble, "yvals"), edges)
    if name == "quant":
        return _of_quantiles(_rows(ensemble, "locs"), np.ravel(ensemble.metadata["quants"]), edges)
    return np.reshape(ensemble.cdf(edges), (ensemble.npdf, len(edges)))


def _rows(ensemble, name):
    """Data of each row, (N, P): qp drops the first axis of a single row."""
    return np.reshape(ensemble.objdata[name], (ensemble.npdf, -1))


def _of_points(points, densities, edges):
    """Integrate densities (N, P) that are straight lines between points (N or 1, P), and divide by the whole."""
    whole = np.cumsum((densities[:, 1:] + densities[:, :-1]) / 2 * np.diff(points), axis=1)
    whole = np.pad(whole, ((0, 0), (1, 0)))
    inside = np.clip(edges, points[:, :1], points[:, -1:])
    k = np.stack([np.searchsorted(*row, side="right") for row in zip(points, inside, strict=True)]) - 1
    k = np.clip(k, 0, points.shape[1] - 2)
    left, right = (np.take_along_axis(points, at, axis=1) for at in (k, k + 1))
    k = np.broadcast_to(k, (len(densities), len(edges)))
    start, end = (np.take_along_axis(densities, at, axis=1) for at in (k, k + 1))
    slope, beyond = (end - start) / (right - left), inside - left
    return (np.take_along_axis(whole, k, axis=1) + beyond * (start + slope * beyond / 2)) / whole[:, -1:]


def _of_quantiles(redshifts, levels, edges):
    """Join quantiles (N, Q) by monotonic cubic curves (Fritsch & Butland 1984); beyond them, there is nothing."""
    from scipy.interpolate import PchipInterpolator

    known = np.isfinite(redshifts).all(axis=1)
    if (np.diff(redshifts[known]) < 0).any():
        raise ValueError("quantiles must increase with their levels")
    fine = np.interp(np.arange(_FINER * (len(levels) - 1) + 1) / _FINER, np.arange(len(levels)), levels)
    curves = PchipInterpolator(levels, np.where(known[:, np.newaxis], redshifts, 0), axis=1)(fine)
    cdf = np.stack([np.interp(edges, curve, fine, left=0, right=1) for curve in curves])
    return np.where(known[:, np.newaxis], cdf, np.nan)


def _rising(cdf, first_row):
    """Make cumulative distributions that fall, by no more than the wiggles of an interpolation, rise or stay."""
    rising = np.maximum.accumulate(cdf, axis=1)
    fall = np.nan_to_num(rising - cdf).max(axis=1, initial=0)
    if (fall > MOST_OUTSIDE).any():
        row = int(np.argmax(fall))
        raise ValueError(
            f"row {first_row + row} is no PDF: negative densities lower its cumulative distribution by {fall[row]:.2g}"
        )
    return rising


# Bins


def _check_inside(p, edges):
    """Refuse PDFs that reach beyond the bins."""
    outside = np.abs(np.nan_to_num(1 - p.sum(axis=1)))
    if (outside > MOST_OUTSIDE).any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{(outside > MOST_OUTSIDE).sum()} of {len(p)} PDFs have more than {MOST_OUTSIDE:.1%} of their probability "
            f"outside the bins, from {edges[0]:g} to {edges[-1]:g}; row {row} has {outside[row]:.1%}: give edges that "
            "reach farther"
        )
    p[np.isnan(p).any(axis=1)] = np.nan


def _own_edges(ensemble):
    """Choose edges for an ensemble: its points, or even ones."""
    if "xvals" in ensemble.metadata:
        return np.ravel(ensemble.metadata["xvals"]).astype(np.float64)
    levels = np.array([_TAIL, 0.16, 0.84, 1 - _TAIL])
    try:
        quantiles = np.concatenate([np.reshape(part.ppf(levels), (part.npdf, 4)) for _, part in _parts(ensemble)])
    except Exception:  # qp has none for some parameterizations, and raises what it meets
        quantiles = np.empty((0, 4))
    quantiles = quantiles[np.isfinite(quantiles).all(axis=1)]
    if not len(quantiles) or quantiles[:, 0].min() >= quantiles[:, 3].max():
        raise ValueError(f"no bins can be found for this ensemble of {_name(ensemble)}: give edges")
    low, high = np.floor(100 * quantiles[:, 0].min()) / 100, np.ceil(100 * quantiles[:, 3].max()) / 100
    if low < _LOWEST or high > _HIGHEST:
        raise ValueError(
            f"no bins can be found: the PDFs reach from {low:g} to {high:g}. Leave out the rows without a redshift, or "
            "give edges"
        )
    width = max((quantiles[:, 2] - quantiles[:, 1]).min() / 4, (high - low) / _MOST_BINS)
    return np.linspace(low, high, max(int(np.ceil((high - low) / width)), 100) + 1)
