# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs come back from every format in one call, whoever wrote the file and whoever reads it, edges included."""

from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import RedshiftPDF
from astro_photz.pdf.grids import compact_edges
from astro_photz.tables import check_writable, read_table, write_table

EVEN = np.linspace(0, 0.4, 181)
UNEVEN = 0.4 * np.linspace(0, 1, 31) ** 1.5
GRIDS = {"even": EVEN, "rounded": EVEN.round(12), "uneven": UNEVEN}
FORMATS = ["fits", "fits.gz", "ecsv", "h5", "vot", *(["parquet"] if find_spec("pyarrow") else [])]
ASTROPYS = {"h5": {"path": "table", "serialize_meta": True}, "vot": {"format": "votable"}}


def random_pdfs(n, edges, *, seed=0, without=(2,)):
    p = np.random.default_rng(seed).dirichlet(np.full(len(edges) - 1, 0.3), n)
    p[list(without)] = np.nan
    return RedshiftPDF(p, edges)


def table_with(*, record=True, **pdfs):
    """A table like that of `astro_photz.predict`; ``pdfs`` are its runs by their prefixes."""
    table = Table({"ra": np.arange(6.0)})
    for name, pdf in pdfs.items():
        table[name] = pdf.mean().astype("f4")
        table[f"{name}_pdf"] = pdf.to_column()
        if record:
            table.meta[name] = {"model": "mine", "z_edges": compact_edges(pdf.edges)}
    return table


def assert_same(pdf, other):
    np.testing.assert_allclose(pdf.p, other.p, rtol=0, atol=1e-7)
    np.testing.assert_allclose(pdf.edges, other.edges, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("edges", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("prefix", ["z_phot", "zb"])
def test_as_the_command_writes_and_reads(tmp_path, ending, edges, prefix):
    pdf, path = random_pdfs(6, edges), tmp_path / f"a.{ending}"
    table = table_with(**{prefix: pdf})
    assert check_writable(table, path, pdf=True, prefix="another") == ""
    write_table(table, path)
    back = read_table(path)
    assert_same(RedshiftPDF.from_table(back, prefix), pdf)
    assert_same(RedshiftPDF.from_table(back[f"{prefix}_pdf"]), pdf)
    assert back.meta[prefix] == {"model": "mine", "z_edges": compact_edges(edges)}
    write_table(back, tmp_path / f"b.{ending}")  # as a second run does
    assert_same(RedshiftPDF.from_table(read_table(tmp_path / f"b.{ending}"), prefix), pdf)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("grid", ["even", "rounded"])
def test_astropy_reads_what_the_command_writes(tmp_path, ending, grid):
    pdf, path = random_pdfs(6, GRIDS[grid]), tmp_path / f"a.{ending}"
    write_table(table_with(z_phot=pdf), path)
    back = Table.read(path)
    assert_same(RedshiftPDF.from_table(back), pdf)
    assert_same(RedshiftPDF.from_table(back["z_phot_pdf"]), pdf)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("read", [Table.read, read_table])
def test_astropy_writes(tmp_path, ending, read):
    """A table with PDFs of another code has no record of a run, and needs none."""
    pdf, path = random_pdfs(6, EVEN), tmp_path / f"a.{ending}"
    table_with(record=False, z_phot=pdf).write(path, **ASTROPYS.get(ending, {}))
    assert_same(RedshiftPDF.from_table(read(path)), pdf)


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending != "vot"])
def test_uneven_bins_by_astropy_alone(tmp_path, ending):
    pdf, path = random_pdfs(6, UNEVEN), tmp_path / f"a.{ending}"
    table_with(record=False, z_phot=pdf).write(path, **ASTROPYS.get(ending, {}))
    assert_same(RedshiftPDF.from_table(Table.read(path)), pdf)


def test_uneven_bins_that_a_votable_of_astropy_loses(tmp_path):
    table_with(z_phot=random_pdfs(6, UNEVEN)).write(tmp_path / "a.vot", format="votable")
    back = Table.read(tmp_path / "a.vot")
    with pytest.raises(ValueError, match=r"nothing in the table tells the edges.*give edges=.*tables.read_table"):
        RedshiftPDF.from_table(back)
    assert_same(RedshiftPDF.from_table(back, edges=UNEVEN), random_pdfs(6, UNEVEN))


@pytest.mark.parametrize("ending", FORMATS)
def test_two_runs(tmp_path, ending):
    one, other = random_pdfs(6, EVEN), random_pdfs(6, UNEVEN, seed=1, without=[0, 5])
    write_table(table_with(z_phot=one, z_phot_b=other), tmp_path / f"a.{ending}")
    back = read_table(tmp_path / f"a.{ending}")
    assert_same(RedshiftPDF.from_table(back), one)
    assert_same(RedshiftPDF.from_table(back, "z_phot_b"), other)


@pytest.mark.parametrize("ending", FORMATS)
def test_files_of_an_earlier_version(tmp_path, ending):
    """Their meta holds a list of all edges, and their column of PDFs nothing but numbers."""
    pdf, path = random_pdfs(6, EVEN.round(12)), tmp_path / f"a.{ending}"
    table = table_with(z_phot=pdf)
    table["z_phot_pdf"].info.meta = None
    table["z_phot_pdf"].info.description = "Probability in each bin of redshift"
    table.meta["z_phot"]["z_edges"] = pdf.edges.tolist()
    write_table(table, path)
    assert_same(RedshiftPDF.from_table(read_table(path)), pdf)


@pytest.mark.parametrize("rows", [[], [2], [2, 2]])
@pytest.mark.parametrize("ending", FORMATS)
def test_no_galaxies_and_none_with_an_estimate(tmp_path, ending, rows):
    table = table_with(z_phot=random_pdfs(6, EVEN))[rows]
    write_table(table, tmp_path / f"a.{ending}")
    assert_same(RedshiftPDF.from_table(read_table(tmp_path / f"a.{ending}")), random_pdfs(6, EVEN)[rows])
