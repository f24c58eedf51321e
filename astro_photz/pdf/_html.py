# Licensed under a 3-clause BSD style license - see LICENSE
"""
PDFs as a table for notebooks, with a small drawing of each.
"""

import numpy as np

__all__ = ["html_of"]

_ROWS = 8
_WIDTH, _HEIGHT = 160, 24  # of a drawing, in pixels


def html_of(pdf):
    """Make HTML of the first few PDFs: mean and standard deviation, interval, and the density as a line."""
    first = pdf[:_ROWS]
    rows = "".join(f"<tr><td>{row}</td>{_cells(one)}</tr>" for row, one in enumerate(first))
    more = f"<p>and {len(pdf) - _ROWS} more</p>" if len(pdf) > _ROWS else ""
    low, high = pdf.edges[[0, -1]]
    head = f"<th></th><th>mean &plusmn; std</th><th>68 % interval</th><th>density from {low:g} to {high:g}</th>"
    title = repr(pdf).strip("<>")
    return f"<div><p>{title}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"


def _cells(one):
    if np.isnan(one.p).any():
        return '<td colspan="3">no estimate</td>'
    (mean,), (std,), ((low, high),) = one.mean(), one.std(), one.interval(0.68)
    return f"<td>{mean:.4f} &plusmn; {std:.4f}</td><td>{low:.4f} to {high:.4f}</td><td>{_drawing(one)}</td>"


def _drawing(one):
    density = one.p[0] / one.widths
    x = np.repeat((one.edges - one.edges[0]) / (one.edges[-1] - one.edges[0]) * _WIDTH, 2)[1:-1]
    y = np.repeat(_HEIGHT - 1 - (_HEIGHT - 2) * density / density.max(), 2)
    points = " ".join(f"{right:.1f},{down:.1f}" for right, down in zip(x, y, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="currentColor"/>'
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{line}</svg>'
