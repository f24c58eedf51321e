# Licensed under a 3-clause BSD style license - see LICENSE
"""The list of galaxies without an image: every one of them, with what was in the way, and no other."""

import numpy as np
import pytest

import astro_photz
from astro_photz import predict_to_file, sdss
from astro_photz.config import conf
from astro_photz.cutouts import fetch_to_file
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import MISSING, parse
from astro_photz.tables import read_table
from astro_photz.testing.source_contract import FIELD, catalogue

BROKEN = FIELD._replace(field=FIELD.field + 1)


@pytest.fixture(autouse=True)
def settings(quick):
    with conf.set_temp("attempts", 2):
        yield


def predicted(path, **options):
    return predict_to_file(catalogue(), path / "z.fits", source=SDSSArchive(timeout=5), **options)


def fetched(path, **options):
    return fetch_to_file(catalogue(), path / "stamps.h5", source=SDSSArchive(timeout=5), **options).flags


def told(path):
    """What was wrong, by row."""
    table = read_table(path)
    return dict(zip(table["row"].tolist(), np.ma.filled(table["problem"].astype(str), "").tolist(), strict=True))


DOORS = pytest.mark.parametrize("door", [predicted, fetched])


@DOORS
@pytest.mark.parametrize("ending", ["csv", "fits", "ecsv", "h5", "vot"])
def test_each_galaxy_without_an_image_is_there(server, tmp_path, door, ending):
    flags = door(tmp_path, failures=tmp_path / f"failed.{ending}")
    failed = read_table(tmp_path / f"failed.{ending}")
    rows = np.flatnonzero(flags & MISSING)
    assert len(rows) > 1
    assert failed["row"].tolist() == rows.tolist()
    assert parse(failed["flags"]).tolist() == flags[rows].tolist()
    there = np.isfinite(catalogue()["ra"][rows])
    np.testing.assert_allclose(np.ma.filled(failed["ra"], np.nan)[there], catalogue()["ra"][rows][there])


@DOORS
@pytest.mark.parametrize("fault", [404, 500, "html", "cut off"])
@pytest.mark.filterwarnings("ignore:frame")
def test_a_frame_that_could_not_be_had_is_named(server, tmp_path, door, fault):
    name = sdss.frame_name("g", BROKEN)
    server.fail("frame", fault, path_contains=name)
    flags = door(tmp_path, failures=tmp_path / "failed.csv")
    problems = told(tmp_path / "failed.csv")
    lost = set(np.flatnonzero(flags & astro_photz.PhotozFlag.NO_IMAGE).tolist())
    assert lost
    assert {row for row, problem in problems.items() if name in problem} == lost


@DOORS
@pytest.mark.filterwarnings("ignore:the SDSS catalogue")
def test_a_catalogue_that_gives_no_answer_is_named(server, tmp_path, door):
    server.fail("crossid", 500)
    flags = door(tmp_path, failures=tmp_path / "failed.csv")
    problems = told(tmp_path / "failed.csv")
    lost = np.flatnonzero(flags & astro_photz.PhotozFlag.NO_IMAGE).tolist()
    assert lost
    assert all("catalogue did not answer" in problems[row] and "500" in problems[row] for row in lost)


@DOORS
@pytest.mark.filterwarnings("ignore:frame")
def test_what_is_had_at_the_next_try_is_there_no_more(server, tmp_path, door):
    server.fail("frame", 404, path_contains=sdss.frame_name("r", BROKEN))
    first = door(tmp_path, failures=tmp_path / "failed.csv")
    server.mend()
    again = {"retry_failed": True} if door is predicted else {"overwrite": True}
    second = door(tmp_path, failures=tmp_path / "failed.csv", **again)
    assert (
        set(told(tmp_path / "failed.csv"))
        == set(np.flatnonzero(second & MISSING))
        < set(np.flatnonzero(first & MISSING))
    )


def test_without_a_failure_the_table_is_empty(tmp_path):
    predict_to_file(astro_photz.demo_path(), tmp_path / "z.fits", failures=tmp_path / "failed.ecsv")
    assert len(read_table(tmp_path / "failed.ecsv")) == 0


def test_names_are_there_if_the_table_has_any(tmp_path):
    path, table = tmp_path / "failed.csv", astro_photz.CutoutFile(astro_photz.demo_path()).catalog()["ra", "dec"]
    table["dec"][2] = np.nan
    predict_to_file(table, tmp_path / "z.fits", source=astro_photz.demo_path(), failures=path)
    assert read_table(path).colnames == ["row", "ra", "dec", "flags", "problem"]
    table["name"] = [f"NGC {i}" for i in range(len(table))]
    predict_to_file(table, tmp_path / "z.fits", source=astro_photz.demo_path(), failures=path, overwrite=True)
    assert read_table(path)["id"].tolist() == ["NGC 2"]


@pytest.mark.parametrize("ending", ["csv", "fits", "h5"])
def test_a_table_of_no_galaxies_has_no_failures(tmp_path, ending):
    none, source = catalogue()[:0], astro_photz.CutoutFile(astro_photz.demo_path())
    fetch_to_file(none, tmp_path / "stamps.h5", source=source, failures=tmp_path / f"failed.{ending}")
    predict_to_file(none, tmp_path / "z.fits", source=source, failures=tmp_path / f"failed_z.{ending}")
    for name in ("failed", "failed_z"):
        table = read_table(tmp_path / f"{name}.{ending}")
        assert len(table) == 0
        assert {"row", "flags", "problem"} <= set(table.colnames)


@DOORS
def test_a_table_that_is_there_is_kept(server, tmp_path, door):
    """That is found before the work."""
    (tmp_path / "failed.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"failed\.csv exists"):
        door(tmp_path, failures=tmp_path / "failed.csv")
    assert (tmp_path / "failed.csv").read_text() == "mine"
    assert server.count("frame") == 0


@pytest.mark.parametrize(
    ("name", "message"), [("z.fits", "failures must be another file than the output"), ("failed.xyz", "by that ending")]
)
def test_a_bad_name_is_told(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        predict_to_file(astro_photz.demo_path(), tmp_path / "z.fits", failures=tmp_path / name)
