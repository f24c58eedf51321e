# Licensed under a 3-clause BSD style license - see LICENSE
"""What ``benchmarks.inference.survey`` compares: a fault that is there is found."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from astro_photz import PhotozFlag

N = 6


@pytest.fixture(scope="module")
def survey():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])
        yield importlib.import_module("benchmarks.inference.survey")


def redshifts(*lost):
    """A table of redshifts, of which some rows have no image."""
    gone = np.isin(np.arange(N), lost)
    flags = np.where(gone, int(PhotozFlag.NO_IMAGE), 0)
    z = MaskedColumn(np.where(gone, np.nan, np.linspace(0.1, 0.2, N)), mask=gone)
    return Table({"id": np.arange(N), "z_phot": z, "z_phot_flags": flags})


@pytest.fixture
def night():
    """Three fields of two galaxies each."""
    return SimpleNamespace(numbers=[7, 8, 9], field_of=np.arange(N) // 2, table=redshifts()[["id"]])


@pytest.fixture
def result(survey, tmp_path):
    """Write the files of a run, and compare them with those of an undisturbed one."""

    def write(name, table, failures):
        folder = tmp_path / name
        folder.mkdir()
        table.write(folder / "z.fits")
        Table({"row": list(failures), "problem": list(failures.values())}, dtype=(int, str)).write(
            folder / "failures.ecsv"
        )
        return SimpleNamespace(folder=folder)

    def compare(night, table, failures, lost):
        whole = write("whole", redshifts(), {})
        return survey.compared(write("bad", table, failures), whole, night, lost)

    return compare


TOLD = {2: "a frame: 404 Not Found", 3: "a frame: 404 Not Found"}


def test_a_night_as_it_should_be(result, night):
    assert result(night, redshifts(2, 3), TOLD, {8: 404}) == []


def test_rows_out_of_order(result, night):
    assert any("order" in one for one in result(night, redshifts(2, 3)[::-1], TOLD, {8: 404}))


def test_a_redshift_that_differs(result, night):
    table = redshifts(2, 3)
    table["z_phot"][5] += 1e-7
    assert "1 rows differ" in result(night, table, TOLD, {8: 404})[0]


def test_a_row_that_is_lost_without_need(result, night):
    wrong = " ".join(result(night, redshifts(2, 3, 4), TOLD, {8: 404}))
    assert "1 rows differ" in wrong
    assert "3 rows are flagged instead of 2" in wrong


def test_a_row_that_has_a_redshift_of_no_image(result, night):
    assert "1 rows are flagged instead of 2" in " ".join(result(night, redshifts(2), TOLD, {8: 404}))


@pytest.mark.parametrize("failures", [{2: TOLD[2]}, TOLD | {3: "something"}, TOLD | {4: TOLD[2]}])
def test_failures_that_are_not_told(result, night, failures):
    assert len(result(night, redshifts(2, 3), failures, {8: 404})) in (1, 2)


def test_frames_that_are_asked_for_again(survey):
    asked = [SimpleNamespace(kind="frame", path=f"/sas/dr17/{name}") for name in "abab"]
    run = survey.Run(Path("."), SimpleNamespace(requests=asked), had=[(2, {"dr17/a"}), (3, {"dr17/a", "dr17/b"})])
    assert run.asked_again() == 2


def test_each_fault_has_a_turn(survey):
    """A fifth of the frames fails once, a few for as long as the time limit is; five fields fail for good."""
    faults = []
    archive = SimpleNamespace(
        frames=[f"dr17/frame-{band}-004207-3-{k:04d}.fits.bz2" for k in range(100) for band in "ugriz"],
        fail=lambda kind, mode, **options: faults.append((kind, mode, options)),
    )
    night = SimpleNamespace(numbers=list(range(100)))
    lost = survey.disturb(archive, night, np.random.default_rng(1))
    once = [mode for kind, mode, options in faults if kind == "frame" and options.get("times") == 1]
    assert len(once) == 100
    assert set(once) == {*survey._QUICK, *survey._SLOW}
    assert len([fault for fault in faults if fault[0] == "frame" and "times" not in fault[2]]) == len(lost) == 5
    assert {kind for kind, _, _ in faults} == {"frame", "schema", "crossid"}
