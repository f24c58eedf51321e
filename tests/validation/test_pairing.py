# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs of a file paired with the galaxies of a table, and galaxies that have one identifier."""

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import RedshiftPDF
from astro_photz.pdf.columns import read_pdfs
from astro_photz.validation import validate
from astro_photz.validation.pairing import id_texts

N = 60
IDS = np.arange(N) + 1237648720693755918
MIXED = np.random.default_rng(1).permutation(N)


def make_table(**columns):
    """Galaxies in a mixed order, whose PDFs are a bin at their redshifts in the order of `IDS`."""
    return Table(columns | {"z_spec": (np.arange(N) + 0.5) / 100})[MIXED]


def right(validation):
    return np.abs(np.asarray(validation.galaxies["deviation"].filled(1.0))) < 1e-3


@pytest.fixture
def write(tmp_path):
    """Write the PDFs in the order of `IDS` to a file of qp."""
    pytest.importorskip("qp")
    from astro_photz.adapters.qp import write_qp

    def written(ids):
        write_qp(tmp_path / "pdfs.hdf5", RedshiftPDF(np.eye(N), np.arange(N + 1) / 100), ids=ids)
        return tmp_path / "pdfs.hdf5"

    return written


@pytest.mark.parametrize("name", ["objid", "specObjID", "source_id", "name"])
@pytest.mark.parametrize("kinds", [(int, int), (str, int), (int, str), (np.uint64, int)])
def test_pdfs_go_to_the_galaxies_of_their_identifiers(name, kinds, write):
    mine, theirs = kinds
    validation = validate(make_table(**{name: IDS.astype(mine)}), pdf=write(IDS.astype(theirs)))
    assert right(validation).all()
    assert validation.sample["paired_by"] == name


def test_the_column_that_holds_the_identifiers_is_taken(write):
    validation = validate(make_table(id=np.arange(N), objid=IDS), pdf=write(IDS))
    assert validation.sample["paired_by"] == "objid"
    assert right(validation).all()


def test_numbers_of_rows_may_be_floats(write):
    assert right(validate(make_table(id=np.arange(N) + 1.0), pdf=write(np.arange(N) + 1))).all()


def test_galaxies_that_the_file_lacks_have_no_estimate(write):
    validation = validate(make_table(objid=np.where(np.arange(N) < 20, 5, IDS)), pdf=write(IDS))
    assert validation.sample["not_used"] == {"no estimate": 20}
    assert right(validation).sum() == N - 20


def test_a_file_without_identifiers_is_taken_row_by_row(write):
    validation = validate(make_table(objid=IDS), pdf=write(None))
    assert validation.sample["paired_by"] == "row by row"
    assert any("The file of PDFs has no identifiers" in sentence for sentence in validation.verdict)


@pytest.mark.parametrize(
    ("column", "ids", "message"),
    [
        ({"objid": IDS + 10**6}, IDS, r"no identifier of pdfs.hdf5 is in the table's columns 'objid'.*read_qp"),
        ({"label": IDS}, IDS, "pdfs.hdf5 has identifiers, and the table has no column of such.*read_qp"),
        ({"objid": IDS.astype(float)}, IDS, "'objid' holds floating-point numbers, which have lost digits"),
        ({"objid": IDS}, IDS.astype(float), "the identifiers in pdfs.hdf5 are floating-point numbers"),
        ({"objid": IDS}, np.where(IDS % 2, IDS, IDS[0]), "identifiers occur more than once in pdfs.hdf5"),
    ],
)
def test_pdfs_that_cannot_be_paired_are_refused(column, ids, message, write):
    with pytest.raises(ValueError, match=message):
        validate(make_table(**column), pdf=write(ids))


def test_identifiers_are_texts_without_the_unknown():
    assert id_texts([1237648720693755918, -1, 0]).tolist() == ["1237648720693755918", "", ""]
    assert id_texts([3, -1, 0]).tolist() == ["3", "", "0"]
    assert id_texts(["a ", "", "null"]).tolist() == ["a", "", ""]
    assert id_texts([0.5]) is None


@pytest.mark.parametrize("name", ["objid", "id", "specObjID", "source_id", "object_id"])
@pytest.mark.parametrize("kind", [int, str])
def test_galaxies_of_one_identifier_are_one_without_positions(name, kind):
    table = make_table(**{name: np.where(np.arange(N) < 10, IDS[0], IDS).astype(kind)})
    table["photo"] = table["z_spec"] + 0.01
    assert validate(table, z_phot="photo").sample["n_independent"] == N - 9


def test_unknown_identifiers_make_no_group():
    for unknown in (0, -1, -9999):
        table = make_table(specobjid=np.where(np.arange(N) < 10, unknown, IDS), name=["survey"] * N)
        table["photo"] = table["z_spec"] + 0.01
        assert validate(table, z_phot="photo").sample["n_independent"] == N


def test_edges_that_a_file_has_lost_have_a_remedy():
    with pytest.raises(ValueError, match=r"write_table.*serialize_meta=True"):
        read_pdfs(Table({"z_phot_pdf": np.eye(3)}), "z_phot")
