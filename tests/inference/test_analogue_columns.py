# Licensed under a 3-clause BSD style license - see LICENSE
"""Analogues in a table: the same rows in the same order, each with its neighbours or masked."""

import shutil
from dataclasses import replace
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
from astropy.table import Table

import astro_photz
from astro_photz.flags import PhotozFlag
from astro_photz.inference.analogue_columns import ANALOGUE_COLUMNS
from astro_photz.models import ModelCard, ModelError, PhotozModel
from astro_photz.models.card import ANALOGUES
from astro_photz.reference.analogues import Analogues
from astro_photz.tables import read_table
from astro_photz.tables.writing import check_writable, write_table
from astro_photz.testing.factories import gaussian_cutouts

ADDED = [f"z_phot{end}" for end in ANALOGUE_COLUMNS]
FORMATS = ["ecsv", "fits", "h5", *(["parquet"] if find_spec("pyarrow") else []), "vot"]
N = 60


def model_with(path, ids, **changes):
    """The bundled model, with some stamps for analogues."""
    model = astro_photz.load_model()
    shutil.copytree(model.path, path)
    embedding = model.embed(gaussian_cutouts(N))
    pdf = model.pdf(embedding)
    analogues = Analogues.fit(embedding, pdf.mean(), ids).calibrated(embedding, pdf.mean(), pdf)
    replace(analogues, **changes).install(path)
    return PhotozModel(path)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return model_with(tmp_path_factory.mktemp("models") / "numbered", np.arange(N) + 1000)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    return model_with(tmp_path_factory.mktemp("models") / "named", np.array([f"UGC {i}" for i in range(N)]))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The bundled model without analogues."""
    path = tmp_path_factory.mktemp("models") / "bare"
    shutil.copytree(astro_photz.load_model().path, path)
    (path / ANALOGUES).unlink(missing_ok=True)
    ModelCard.read(path).write(path)
    return PhotozModel(path)


def test_each_row_has_its_own_analogues(numbered):
    cutouts = gaussian_cutouts(N)
    table = astro_photz.predict(cutouts, model=numbered, analogues=4)
    assert table.colnames[-5:] == ADDED
    np.testing.assert_array_equal(table["z_phot_analogue_id"][:, 0], np.arange(N) + 1000)
    np.testing.assert_allclose(table["z_phot_analogue_z"][:, 0], table["z_phot"], rtol=1e-5)
    assert table["z_phot_analogue_distance"].shape == (N, 4)
    assert (table["z_phot_knn_err"] > 0).all()
    order = np.random.default_rng(0).permutation(N)
    mixed = astro_photz.predict(cutouts[order], model=numbered, analogues=4)
    for name in ADDED:
        assert table[name].description
        np.testing.assert_allclose(mixed[name], table[name][order], atol=1e-3)


def test_without_analogues_the_table_is_what_it_was(numbered):
    cutouts = gaussian_cutouts(5)
    plain, more = (
        astro_photz.predict(cutouts, model=numbered),
        astro_photz.predict(cutouts, model=numbered, analogues=1),
    )
    assert not set(ADDED) & set(plain.colnames)
    assert more.colnames == plain.colnames + ADDED
    for name in plain.colnames[3:-1]:
        np.testing.assert_array_equal(plain[name], more[name])
    np.testing.assert_array_equal(plain["z_phot_flags"], more["z_phot_flags"] & ~PhotozFlag.ANALOGUES_DISAGREE)


def test_analogues_of_other_redshifts_are_a_doubt(tmp_path):
    model = model_with(tmp_path / "model", np.arange(N), redshift=np.linspace(0.38, 0.39, N), limit=3.0)
    flags = astro_photz.predict(gaussian_cutouts(5, seed=3), model=model, analogues=1)["z_phot_flags"]
    assert (flags & PhotozFlag.ANALOGUES_DISAGREE).astype(bool).all()


@pytest.mark.parametrize("which", ["numbered", "named"])
def test_rows_without_an_estimate_are_masked(which, request):
    cutouts = gaussian_cutouts(4)
    cutouts.flux[1] = np.nan
    table = astro_photz.predict(cutouts, model=request.getfixturevalue(which), analogues=2)
    for name in ADDED:
        assert table[name].mask.reshape(4, -1).all(axis=1).tolist() == [False, True, False, False]
        assert table[name].mask.reshape(4, -1).any(axis=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize("which", ["numbered", "named"])
def test_no_rows(which, request):
    some, none = (
        astro_photz.predict(gaussian_cutouts(2)[:n], model=request.getfixturevalue(which), analogues=3) for n in (2, 0)
    )
    assert none.colnames == some.colnames
    for name in ADDED:
        assert none[name].shape == (0, *some[name].shape[1:])
        assert none[name].dtype == some[name].dtype


def test_an_earlier_run_is_replaced_whole(numbered):
    table = Table(astro_photz.predict(gaussian_cutouts(3), model=numbered, analogues=3))
    source = astro_photz.predict(gaussian_cutouts(3))
    table["ra"], table["dec"] = source["coord"].ra, source["coord"].dec
    table.remove_column("coord")

    class Memory:
        name = "memory"

        def batches(self, positions, *, size=64):
            yield astro_photz.cutouts.Batch(np.arange(3), gaussian_cutouts(3).crop(size))

    again = astro_photz.predict(table, source=Memory(), replace=True)
    assert not set(ADDED) & set(again.colnames)


@pytest.mark.parametrize("number", [-1, True, 2.5, "5", None])
def test_numbers_that_are_none(number, numbered):
    with pytest.raises(ValueError, match="analogues must be a number of galaxies"):
        astro_photz.predict(gaussian_cutouts(1), model=numbered, analogues=number)


def test_more_than_the_model_brings(numbered):
    with pytest.raises(ValueError, match=f"at most {N}, the galaxies that the model brings; got 1000"):
        astro_photz.predict(gaussian_cutouts(1), model=numbered, analogues=1000)


def test_a_model_without_analogues_says_so_before_the_work(bare):
    with pytest.raises(ModelError, match=r"brings no analogues.*tools\.make_analogues"):
        astro_photz.predict(gaussian_cutouts(1), model=bare, analogues=5)
    assert len(astro_photz.predict(gaussian_cutouts(1), model=bare)) == 1


@pytest.mark.parametrize(("ending", "which"), [*product(FORMATS, ["numbered", "named"])][:-1])
def test_files_keep_them(ending, which, request, tmp_path):
    model = request.getfixturevalue(which)
    cutouts = gaussian_cutouts(4)
    cutouts.flux[1] = np.nan
    table = Table(astro_photz.predict(cutouts, model=model, analogues=3))
    path = tmp_path / f"z.{ending}"
    kept = ["id", *(name for name in table.colnames if name.startswith("z_phot"))]
    ids = Analogues.of_model(model).ids[:3]
    assert check_writable(table["id", "ebv"], path, analogues=ids) == ""
    write_table(table[kept], path)
    back = read_table(path)
    for name in ADDED:
        rows = [0, 2, 3]
        values = np.asarray(back[name][rows])
        values = values.astype(str) if values.dtype.kind == "S" else values
        np.testing.assert_array_equal(values, np.asarray(table[name][rows]))
    assert np.isnan(np.ma.filled(back["z_phot_knn"][1], np.nan))


def test_a_votable_holds_no_arrays_of_names(named, tmp_path):
    """Which is told before the work."""
    with pytest.raises(ValueError, match=r"z_phot_analogue_id.*\.ecsv, which holds any, or do without the analogues"):
        check_writable(Table({"ra": [1.0]}), tmp_path / "z.vot", analogues=Analogues.of_model(named).ids[:2])


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_formats_of_single_values_refuse_before_the_work(ending, tmp_path):
    table = Table({"ra": np.arange(3.0), "dec": np.arange(3.0)})
    with pytest.raises(ValueError, match=r"z_phot_analogue_id.*several values a row.*do without the analogues"):
        check_writable(table, tmp_path / f"z.{ending}", analogues=[1, 2])
    check_writable(table, tmp_path / f"z.{ending}")


def test_a_frame_has_an_array_in_each_row(numbered):
    pd = pytest.importorskip("pandas")
    cutouts = gaussian_cutouts(N)[:3]
    cutouts.flux[1] = np.nan

    class Memory:
        name = "memory"

        def batches(self, positions, *, size=64):
            yield astro_photz.cutouts.Batch(np.arange(3), cutouts.crop(size))

    frame = pd.DataFrame({"ra": cutouts.coord.ra.deg, "dec": cutouts.coord.dec.deg})
    result = astro_photz.predict(frame, source=Memory(), model=numbered, analogues=2)
    assert result["z_phot_analogue_id"][0][0] == 1000
    assert result["z_phot_analogue_z"][1] is None
    assert np.isnan(result["z_phot_knn"][1])
