# Licensed under a 3-clause BSD style license - see LICENSE
"""Estimates that a table has already: their model, their prefix, their images, and small samples of them."""

import math

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import CutoutFile, demo_path, load_model, predict
from astro_photz.validation import Validation, validate


def make_table(n=40):
    z = np.linspace(0.05, 0.3, n)
    return Table({"z_spec": z, "z_phot": z + 0.01 * np.cos(np.arange(n)), "z_phot_err": np.full(n, 0.01)})


def told(validation):
    return "\n".join(validation.verdict)


@pytest.fixture(scope="module")
def done():
    source = CutoutFile(demo_path())
    return predict(source.catalog(), source=source, pdf=True)


def test_the_model_that_made_them_may_be_named(done):
    judged = validate(done, "redshift", model=load_model())
    assert judged.sample["model_at_hand"]
    assert judged.overall == validate(done, "redshift").overall


@pytest.mark.parametrize(
    ("sha256", "options", "message"),
    [
        ("0" * 64, {}, "the table has redshifts already, 'z_phot', made by the model.*leave it out.*replace=True"),
        (None, {}, "made by no model that the table tells"),
        (None, {"z_phot": "redshift"}, "the table has redshifts already, 'redshift'"),
    ],
)
def test_another_model_is_refused(sha256, options, message, done):
    table = done.copy()
    table.meta["z_phot"] = table.meta["z_phot"] | {"model_sha256": sha256} if sha256 else {}
    table["z_phot_pdf"].info.meta = done["z_phot_pdf"].info.meta
    with pytest.raises(ValueError, match=message):
        validate(table, "redshift", model=load_model(), **options)


def test_a_model_that_is_not_at_hand_is_told(done, monkeypatch):
    table = done.copy()
    table.meta["z_phot"] = table.meta["z_phot"] | {"model": "mine", "model_sha256": "0" * 64}
    judged = validate(table, "redshift")
    assert judged.sample["model_at_hand"] is False
    assert "cannot be told whether the model 'mine' was trained on these: it is not at hand. Give it" in told(judged)
    given = type("Mine", (), {"sha256": "0" * 64, "lineage": None})()
    monkeypatch.setattr("astro_photz.validation.overlap.load_model", lambda _: given)
    seen = type("Overlap", (), {"n": 5})()
    monkeypatch.setattr("astro_photz.validation.overlap.warn_of_overlap", lambda *_, **__: seen)
    judged = validate(table, "redshift", model="mine/")
    assert judged.sample["n_trained_on"] == 5
    assert "cannot be told" not in told(judged)


def test_runs_of_other_prefixes_are_named():
    table = make_table()
    table.rename_columns(["z_phot", "z_phot_err"], ["mine", "mine_err"])
    with pytest.raises(KeyError, match=r"no redshifts of that name; runs are under 'mine'"):
        validate(table, prefix="their")
    assert validate(table, prefix="mine").sample["estimate"] == "mine"


def test_errors_without_intervals_are_gaussian():
    judged = validate(make_table())
    assert judged.sample["kind"] == "Gaussian PDFs"
    wanted = validate(make_table(), z_phot="z_phot", z_err="z_phot_err")
    assert judged.overall == wanted.overall
    table = make_table()
    table["z_phot_err"] = np.nan
    assert validate(table).sample["kind"] == "point estimates"


def test_simulated_images_are_told_where_something_tells(done):
    assert validate(done, "redshift").sample["simulated"] is True  # the record of the run says so
    done = done.copy()
    del done.meta["z_phot"]["simulated"]  # as one of an earlier version does not
    assert validate(done, "redshift").sample["simulated"] is None
    assert validate(done, "redshift", source=CutoutFile(demo_path())).sample["simulated"] is True
    table = done.copy()
    table["seed_index"] = np.arange(len(table))
    assert "The images are simulated" in told(validate(table, "redshift"))
    for told_by, wanted in (({"simulated": True}, True), ({"source": "SDSS DR17", "data_release": 17}, False)):
        table = done.copy()
        table.meta["z_phot"] = table.meta["z_phot"] | told_by
        assert validate(table, "redshift").sample["simulated"] is wanted


@pytest.mark.parametrize("n", [1, 2, 4])
def test_few_galaxies_have_no_errors(n):
    table = make_table(n)
    table["modelMag_r"] = 17.2
    judged = validate(table, at_least=1)
    parts = [judged.errors, *(one["errors"] for bins in judged.bins.values() for one in bins)]
    assert len(parts) > 1
    assert all(math.isnan(error) for part in parts for error in part.values())
    assert judged.table["error"].mask.all()
    assert "+/-" not in told(judged)
    assert "confidence" not in told(judged)


def test_groups_of_few_galaxies_have_no_errors():
    table = make_table()
    table["modelMag_r"], table["view"] = 17.2, np.arange(40) % 4
    judged = validate(table, groups="view")
    assert all(math.isnan(error) for error in judged.bins["r_mag"][0]["errors"].values())


def test_pdfs_with_gaps_have_a_reason_of_their_own():
    table = make_table(5)
    p = np.eye(5)
    p[1, 3], p[2] = np.nan, np.nan
    table["pz"] = p
    table["pz"].info.meta = {"z_edges": np.linspace(0, 0.5, 6).tolist()}
    assert validate(table, pdf="pz").sample["not_used"] == {"a PDF with gaps": 1, "no estimate": 1}


def test_a_validation_is_no_table(tmp_path):
    judged = validate(make_table())
    judged.write(tmp_path / "v.h5")
    with pytest.raises(ValueError, match=r"is a validation.*Validation.read.*report TABLE --validation v.h5"):
        validate(tmp_path / "v.h5")
    assert Validation.read(tmp_path / "v.h5").sample == judged.sample
    with pytest.raises(FileNotFoundError, match=r"no folder .*none: make it first"):
        judged.write(tmp_path / "none" / "v.h5")


@pytest.mark.parametrize(("kind", "message"), [(bool, "it holds True and False"), (complex, "it holds complex ones")])
def test_redshifts_are_real_numbers(kind, message):
    table = make_table()
    table["z_spec"] = table["z_spec"].astype(kind)
    with pytest.raises(ValueError, match=f"column 'z_spec' must hold numbers; {message}"):
        validate(table)


def test_columns_are_listed_within_a_sentence():
    with pytest.raises(KeyError, match="no such column; known are z_spec"):
        validate(make_table(), "q")
