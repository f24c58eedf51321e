# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs come out of tables, columns and frames as they went in, or an error says why not and what to do."""

import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table, vstack

from astro_photz import RedshiftPDF
from astro_photz.pdf.grids import compact_edges, expand_edges

EVEN = np.linspace(0, 0.4, 181)
UNEVEN = np.array([0, 0.01, 0.05, 0.06, 0.2, 0.25])


def random_pdfs(n, edges, *, seed=0, without=()):
    p = np.random.default_rng(seed).dirichlet(np.full(len(edges) - 1, 0.3), n)
    p[list(without)] = np.nan
    return RedshiftPDF(p, edges)


def assert_near(pdf, other):
    """Equal but for float32."""
    np.testing.assert_allclose(pdf.p, other.p, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pdf.edges, other.edges, rtol=0, atol=1e-9)


# Grids


@pytest.mark.parametrize("edges", [EVEN, EVEN.round(12), np.linspace(0.013, 7.1, 1001), [0.0, 1 / 3, 2 / 3, 1.0]])
def test_an_even_grid_is_three_numbers(edges):
    short = compact_edges(edges)
    assert set(short) == {"start", "stop", "num"}
    np.testing.assert_allclose(expand_edges(short), edges, rtol=0, atol=1e-9)
    assert compact_edges(short) == short


@pytest.mark.parametrize("edges", [UNEVEN, np.linspace(0, 0.4, 181) ** 2, [0.0, 0.1], EVEN + 1e-5 * np.sin(EVEN * 50)])
def test_an_uneven_grid_is_all_its_edges(edges):
    assert compact_edges(edges) == list(edges)


@pytest.mark.parametrize("edges", [{"start": 0, "stop": 0.4}, {"start": 0, "stop": 1, "num": 1}, {}, {"bins": 3}])
def test_dicts_that_are_no_grid(edges):
    with pytest.raises(ValueError, match="edges must be an array, or a dict of start, stop and num"):
        RedshiftPDF([[1.0]], edges)


# From a table


@pytest.mark.parametrize("edges", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_a_column_holds_all(edges, kind):
    pdf = random_pdfs(5, edges, without=[3])
    table = kind({"id": np.arange(5), "zb_pdf": pdf.to_column()})
    assert table["zb_pdf"].dtype == np.float32
    assert table["zb_pdf"].mask.all(axis=1).tolist() == [False, False, False, True, False]
    assert f"each of {len(edges) - 1}" in table["zb_pdf"].description
    for back in (
        RedshiftPDF.from_table(table, prefix="zb"),
        RedshiftPDF.from_table(table["zb_pdf"]),
        RedshiftPDF.from_table(pdf.to_column()),
        RedshiftPDF.from_table(table[::-1]["zb_pdf"])[::-1],
    ):
        assert_near(back, pdf)
    assert_near(RedshiftPDF.from_table(vstack([table[:2], table[2:]]), "zb"), pdf)


def test_a_row_is_a_galaxy():
    pdf = random_pdfs(5, EVEN)
    table = Table({"z_phot_pdf": pdf.to_column()}, meta={"z_phot": {"z_edges": compact_edges(EVEN)}})
    assert_near(RedshiftPDF.from_table(table[3]), pdf[3])


@pytest.mark.parametrize("grid", [EVEN.tolist(), compact_edges(EVEN), EVEN], ids=["older list", "compact", "array"])
@pytest.mark.parametrize("column", [Column, MaskedColumn])
def test_the_record_of_a_run_tells_the_grid(grid, column):
    """Older tables hold a list of all edges in their meta, and nothing in their column."""
    pdf = random_pdfs(4, EVEN)
    table = Table({"z_phot_pdf": column(pdf.p.astype("f4"))}, meta={"z_phot": {"model": "mine", "z_edges": grid}})
    assert_near(RedshiftPDF.from_table(vstack([table[:1], table[1:]])), pdf)
    assert_near(RedshiftPDF.from_table(table), pdf)
    assert_near(RedshiftPDF.from_table(table["z_phot_pdf"]), pdf)
    assert_near(RedshiftPDF(table["z_phot_pdf"], table.meta["z_phot"]["z_edges"]), pdf)


def test_two_runs_have_two_grids():
    one, other = random_pdfs(4, EVEN), random_pdfs(4, UNEVEN, without=[0])
    meta = {"z_phot": {"z_edges": compact_edges(EVEN)}, "z_phot_b": {"z_edges": compact_edges(UNEVEN)}}
    table = Table({"z_phot_pdf": one.p, "z_phot_b_pdf": np.ma.masked_invalid(other.p)}, meta=meta)
    assert_near(RedshiftPDF.from_table(table), one)
    assert_near(RedshiftPDF.from_table(table, "z_phot_b"), other)
    assert_near(RedshiftPDF.from_table(table["z_phot_b_pdf"]), other)


def test_edges_that_are_given_count():
    pdf = random_pdfs(4, UNEVEN)
    table = Table({"pz": pdf.p})
    assert_near(RedshiftPDF.from_table(table["pz"], edges=UNEVEN), pdf)
    assert_near(RedshiftPDF.from_table(pdf.to_column(), edges=UNEVEN + 1), RedshiftPDF(pdf.p, UNEVEN + 1))


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    pdf = random_pdfs(4, EVEN, without=[1])
    frame = pandas.DataFrame({"z_phot_pdf": [None if np.isnan(row).any() else row for row in pdf.p]})
    frame.attrs["z_phot"] = {"z_edges": compact_edges(EVEN)}
    assert_near(RedshiftPDF.from_table(frame), pdf)
    assert_near(RedshiftPDF.from_table(frame["z_phot_pdf"], edges=EVEN), pdf)
    assert len(RedshiftPDF.from_table(frame[:0])) == 0
    assert np.isnan(RedshiftPDF.from_table(frame[1:2]).p).all()


# Errors


def table_without(*names):
    pdf = random_pdfs(3, EVEN)
    return Table({name: pdf.to_column() if name.endswith("_pdf") else np.zeros(3) for name in names})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["zb_pdf"], "no column 'z_phot_pdf' in the table; it has PDFs of another prefix: give prefix='zb'"),
        (["zb_pdf", "zc_pdf"], "give prefix='zb' or 'zc'"),
        (["z_phot", "z_phot_err"], "without PDFs: estimate them with pdf=True"),
        (["ra"], r"predict\(..., pdf=True\) adds it; for the column of another code give table\[name\]"),
    ],
)
def test_no_such_column(names, message):
    with pytest.raises(KeyError, match=message):
        RedshiftPDF.from_table(table_without(*names))


def objects(*rows):
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


P = random_pdfs(3, UNEVEN).p


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column(P, name="pz"), "nothing in the table tells the edges of the bins of 'pz': give edges=.*read_table"),
        (Column(2 * P, name="pz", meta={"z_edges": UNEVEN.tolist()}), "column 'pz': .*row 0 sums to 2 .*Divide"),
        (Column(P, name="pz", meta={"z_edges": [0.0, 0.1]}), "column 'pz': p must have the shape .*an edge more"),
        (Column(P[:, 0], name="pz", meta={"z_edges": UNEVEN.tolist()}), "'pz' has a single number in each row"),
        (Column(P, name="pz", meta={"z_edges": {"start": 0}}), "a dict of start, stop and num"),
        (
            Column(objects(None, [0.5, 0.5], [1.0]), name="pz", meta={"z_edges": [0.0, 1.0]}),
            "'pz' has rows of 1, 2 numbers",
        ),
    ],
)
def test_columns_that_hold_no_pdfs(column, message):
    with pytest.raises(ValueError, match=message):
        RedshiftPDF.from_table(column)


def test_a_path_is_no_table(tmp_path):
    with pytest.raises(TypeError, match=r"read the file: astro_photz.tables.read_table\("):
        RedshiftPDF.from_table(str(tmp_path / "a.fits"))
