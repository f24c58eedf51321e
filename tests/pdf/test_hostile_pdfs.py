# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs that are none: each is refused by a class that the docstring names, in words of its own."""

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import RedshiftPDF

EDGES = [0.0, 0.1, 0.2, 0.3, 0.4]
P = [[0.25, 0.5, 0.25, 0.0], [np.nan] * 4]


@pytest.mark.parametrize(
    "edges",
    [
        [0.0, 0.1, 0.1, 0.3, 0.4],
        [0.4, 0.3, 0.2, 0.1, 0.0],
        [0.0, 0.1, np.nan, 0.3, 0.4],
        [0.0, 0.1, 0.2, 0.3, np.inf],
        [-np.inf, 0.1, 0.2, 0.3, 0.4],
        [0.0, 0.1, 0.2, 0.3, 1e300],
        [0.0, 5e-324, 0.2, 0.3, 0.4],
        np.ma.masked_array(EDGES, mask=[0, 0, 1, 0, 0]),
        [EDGES],
        0.1,
        [],
        [0.1],
        [0.0, 0.2, 0.4],
        {"start": 0.0, "stop": 0.4, "num": 10**12},
        {"start": 0.0, "stop": 0.4, "num": 2.5},
        {"start": 0.0, "stop": 0.4, "num": np.nan},
        {"start": 0.0, "stop": np.inf, "num": 5},
        {"start": 0.4, "stop": 0.0, "num": 5},
        {"start": "a", "stop": 0.4, "num": 5},
        {"start": [0.0, 0.1], "stop": 0.4, "num": 5},
        {"start": 0.0, "stop": 0.4, "num": None},
        {},
    ],
)
def test_edges_that_make_no_grid(edges):
    with pytest.raises(ValueError, match="edges"):
        RedshiftPDF(P, edges)


@pytest.mark.parametrize("edges", ["abc", [0.0, "x"], [[0.0], [0.1, 0.2]], object(), [0j, 1j], None])
def test_edges_that_are_no_numbers(edges):
    with pytest.raises((TypeError, ValueError), match=r"^edges must "):
        RedshiftPDF(P, edges)


@pytest.mark.parametrize(
    "row",
    [
        [0.5, 0.5, 0.5, 0.5],
        [1.5, -0.5, 0.0, 0.0],
        [np.inf, 0.0, 0.0, 0.0],
        [np.inf, -np.inf, 0.5, 0.5],
        [1e308, 1e308, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [1.0, 0.0],
        [2**63, 0, 0, 0],
    ],
)
def test_rows_that_are_no_pdf(row):
    with pytest.raises(ValueError, match=r"^p must "):
        RedshiftPDF([row], EDGES)


@pytest.mark.parametrize("p", ["abc", [["a"] * 4], [[0.5, 0.5], [1.0]], {"a": 1}, [[1j, 0, 0, 0]], object()])
def test_what_is_no_array_of_probabilities(p):
    with pytest.raises(TypeError, match=r"^p must hold real numbers"):
        RedshiftPDF(p, EDGES)


def test_a_row_that_is_known_in_part_is_no_estimate():
    pdf = RedshiftPDF([[0.5, np.nan, 0.5, 0.0], [0.25] * 4], EDGES)
    assert np.isnan(pdf.p[0]).all()
    assert np.isfinite(pdf.mean()).tolist() == [False, True]


def test_a_narrow_pdf_far_out_has_a_width():
    pdf = RedshiftPDF([[0.0, 1.0, 0.0]], [1e5, 1e5 + 1e-6, 1e5 + 2e-6, 1e5 + 3e-6])
    assert pdf.std() == pytest.approx(1e-6 / np.sqrt(12), rel=1e-3)


@pytest.mark.parametrize(
    ("method", "value", "error"),
    [
        ("cdf", "x", TypeError),
        ("density", [0.1, 0.2, 0.3], ValueError),
        ("crps", {}, TypeError),
        ("pit", [[0.1, 0.2]], ValueError),
        ("quantile", "half", TypeError),
        ("quantile", np.nan, ValueError),
        ("quantile", [], ValueError),
        ("quantile", [[0.5]], ValueError),
        ("interval", "0.68", TypeError),
        ("interval", [0.5], TypeError),
        ("interval", np.nan, ValueError),
        ("sample", 1.5, TypeError),
        ("sample", -1, ValueError),
        ("sample", 10**30, ValueError),
        ("__getitem__", 5, IndexError),
        ("__getitem__", "a", IndexError),
        ("__getitem__", [True], IndexError),
        ("__getitem__", 1.5, IndexError),
        ("__getitem__", None, IndexError),
    ],
)
def test_arguments_of_methods(method, value, error):
    name = (
        "RedshiftPDF"
        if method == "__getitem__"
        else {"quantile": "q", "interval": "level", "sample": "n"}.get(method, "z")
    )
    with pytest.raises(error, match=name):
        getattr(RedshiftPDF(P, EDGES), method)(value)


@pytest.mark.parametrize("rng", ["a", -1, 1.5, {}])
def test_seeds(rng):
    with pytest.raises(ValueError, match=r"^rng must be"):
        RedshiftPDF(P, EDGES).sample(1, rng=rng)


@pytest.mark.parametrize("half_width", [-1, np.nan, np.inf])
def test_half_widths(half_width):
    with pytest.raises(ValueError, match=r"^half_width must be"):
        RedshiftPDF(P, EDGES).odds(half_width=half_width)


@pytest.mark.parametrize(
    "grid", ["x", [0.1, "a"], {"start": 0}, [0.4, 0.3, 0.2, 0.1, 0], {"start": 0, "stop": 1, "num": 1e12}]
)
def test_grids_in_the_meta_of_a_table(grid):
    table = Table({"z_phot_pdf": [[0.25] * 4]})
    table.meta["z_phot"] = {"z_edges": grid}
    with pytest.raises(ValueError, match=r"^the bins of 'z_phot_pdf': edges must "):
        RedshiftPDF.from_table(table)


@pytest.mark.parametrize("said", ["99999999999 bins of redshift from 0 to 1", "4 bins of redshift from a to b", ""])
def test_descriptions_that_tell_no_grid(said):
    table = Table({"z_phot_pdf": [[0.25] * 4]})
    table["z_phot_pdf"].description = f"Probability in each of {said}"
    with pytest.raises(ValueError, match="nothing in the table tells the edges"):
        RedshiftPDF.from_table(table)


@pytest.mark.parametrize("row", ["x", 0.5, [0.1, "a"], [[0.25] * 4], {"a": 1}])
def test_rows_of_objects(row):
    column = np.empty(2, dtype=object)
    column[:] = [row, [0.25] * 4]
    with pytest.raises(ValueError, match="'z_phot_pdf'"):
        RedshiftPDF.from_table(Table({"z_phot_pdf": column}), edges=EDGES)
