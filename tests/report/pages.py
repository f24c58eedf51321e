# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables to report on, and pages as their parts."""

from html.parser import HTMLParser

import numpy as np
from astropy.table import MaskedColumn, Table

from astro_photz import PhotozFlag
from astro_photz.pdf.columns import pdf_column

__all__ = ["Page", "estimated_table"]

_EDGES = np.linspace(0, 0.5, 101)


def estimated_table(n=12, *, seed=1, pdf=False, missing=0, record=None, spread=1.0):
    """
    A table as predict makes it, of n galaxies with Gaussian errors.

    The last ones, as many as are ``missing``, have no image; ``spread`` is the ratio of true to told errors.
    """
    draw = np.random.default_rng(seed)
    z = draw.uniform(0.05, 0.3, n)
    error = draw.uniform(0.008, 0.02, n)
    estimate = z + spread * error * draw.standard_normal(n)
    flags = np.where(draw.random(n) < 0.3, int(PhotozFlag.CROWDED), 0).astype(np.int32)
    mask = np.arange(n) >= n - missing
    flags[mask] = PhotozFlag.NO_IMAGE
    table = Table(
        {
            "objid": [f"galaxy {row}" for row in range(n)],
            "ra": draw.uniform(150, 152, n),
            "dec": draw.uniform(2, 4, n),
            "r_mag": draw.uniform(15, 18, n),
            "z_spec": z,
        }
    )
    columns = {"": estimate, "_err": error, "_lo68": estimate - error, "_hi68": estimate + error}
    for end, values in columns.items():
        table[f"z_phot{end}"] = MaskedColumn(values, mask=mask)
    table["z_phot_flags"] = flags
    if pdf:
        centres = (_EDGES[1:] + _EDGES[:-1]) / 2
        p = np.exp(-0.5 * ((centres - estimate[:, np.newaxis]) / error[:, np.newaxis]) ** 2) + 1e-12
        p[mask] = np.nan
        table["z_phot_pdf"] = pdf_column(p / p.sum(axis=1, keepdims=True), _EDGES)
    table.meta["z_phot"] = {"model": "mine", "model_version": "3", "source": "SDSS DR17", "data_release": 17} | (
        record or {}
    )
    return table


class Page(HTMLParser):
    """The elements and the words of a page."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.elements, self.words, self._open = [], [], []
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self):
        """Words that a reader sees, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        """Attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]
