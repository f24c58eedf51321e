# Licensed under a 3-clause BSD style license - see LICENSE
"""Redshifts in a file: those of `predict`, whatever stops the work on the way, and no galaxy is estimated twice."""

from contextlib import nullcontext

import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning

import astro_photz
from astro_photz.cutouts import Batch
from astro_photz.flags import PhotozFlag
from astro_photz.inference.prediction_files import predict_to_file
from astro_photz.tables import merge_tables, read_table
from astro_photz.testing.factories import gaussian_cutouts

N = 150
FORMATS = ["fits", "h5", "csv", "ecsv", "parquet", "fits.gz"]


class Stamps:
    """A source of stamps in memory, in batches of 20, that notes what it was asked for; it may stop, or lack some."""

    name = "stamps"

    def __init__(self, stop_after=None, lacking=()):
        self.cutouts, self.asked = gaussian_cutouts(N, seed=3), []
        self.stop_after, self.lacking = stop_after, set(lacking)

    def batches(self, positions, *, size=64):
        places = np.round(positions.coord.ra.deg * 100).astype(int)
        order = np.argsort(places % 7, kind="stable")  # in any order
        for start in range(0, len(places), 20):
            if self.stop_after is not None and start >= self.stop_after:
                raise KeyboardInterrupt
            rows = order[start : start + 20]
            self.asked += places[rows].tolist()
            cutouts = self.cutouts[places[rows]].crop(size)
            gone = np.isin(places[rows], list(self.lacking))
            cutouts.flux[gone] = np.nan
            cutouts.flags[gone] |= PhotozFlag.NO_IMAGE
            yield Batch(rows, cutouts)


def galaxies():
    """A table whose positions are the numbers of the stamps."""
    table = Table({"name": [f"NGC {i}" for i in range(N)], "ra": np.arange(N) / 100, "dec": np.full(N, 0.5)})
    table["ebv"] = np.full(N, 0.03, dtype=np.float32)
    return table


def assert_same(one, other):
    assert one.colnames == other.colnames
    for name in one.colnames:
        values = [np.ma.asarray(getattr(table[name], "value", table[name])) for table in (one, other)]
        np.testing.assert_array_equal(*(np.ma.getmaskarray(value) for value in values), err_msg=name)
        values = [value.compressed() for value in values]
        values = [value.astype(str) if value.dtype.kind == "S" else value for value in values]  # a FITS table has bytes
        np.testing.assert_array_equal(*values, err_msg=name)


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "hosts.fits"
    galaxies().write(path)
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_the_file_holds_what_predict_gives(tmp_path, given, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    path, source = tmp_path / f"z.{form}", Stamps(lacking=[5, 77])
    options = {"pdf": form in ("fits", "h5", "ecsv"), "source": source}
    with pytest.warns(AstropyUserWarning, match="CSV does not keep") if form == "csv" else nullcontext():
        flags = predict_to_file(given, path, **options)
    expected = astro_photz.predict(given, **options)
    np.testing.assert_array_equal(flags, expected["z_phot_flags"])
    found = read_table(path)
    if form == "csv":
        np.testing.assert_allclose(found["z_phot"].filled(-1), expected["z_phot"].filled(-1), rtol=1e-6)
    else:
        assert_same(found, expected)
        assert dict(found.meta["z_phot"])["model_sha256"] == expected.meta["z_phot"]["model_sha256"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["hosts.fits", path.name])


@pytest.mark.parametrize("kind", ["table", "cutouts", "path of cutouts", "positions"])
def test_any_galaxies_go_into_a_file(tmp_path, kind):
    stamps = gaussian_cutouts(30)
    stamps.write(tmp_path / "stamps.h5")
    data = {
        "table": galaxies()[:30],
        "cutouts": stamps,
        "path of cutouts": tmp_path / "stamps.h5",
        "positions": QTable(galaxies()[:30]),
    }[kind]
    source = Stamps() if kind in ("table", "positions") else None
    predict_to_file(data, tmp_path / "z.ecsv", source=source)
    expected = astro_photz.predict(data, source=source)
    found = read_table(tmp_path / "z.ecsv")
    columns = [name for name in found.colnames if name.startswith("z_phot")]
    assert_same(Table(found)[columns], Table(expected)[columns])


@pytest.mark.parametrize("stop_after", [20, 60, 140])
def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path, given, stop_after):
    path = tmp_path / "z.fits"
    stopped = Stamps(stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        predict_to_file(given, path, source=stopped)
    assert not path.exists()
    resumed = Stamps()
    predict_to_file(given, path, source=resumed)
    again = set(resumed.asked) & set(stopped.asked)
    assert len(again) <= 3 * 20  # of batches that threads had in hand
    assert len(resumed.asked) == len(set(resumed.asked)) <= N - max(0, stop_after - 60)
    assert_same(read_table(path), astro_photz.predict(given, source=Stamps()))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hosts.fits", "z.fits"]


def test_an_unfinished_run_is_resumed_with_the_same_alone(tmp_path, given):
    path = tmp_path / "z.fits"
    with pytest.raises(KeyboardInterrupt):
        predict_to_file(given, path, source=Stamps(stop_after=100))
    for other, told in (
        ({"pdf": True}, "pdf False, not True"),
        ({"analogues": 2}, "analogues 0, not 2"),
        ({"ra": "dec", "dec": "ra"}, "galaxies"),
    ):
        with pytest.raises(FileExistsError, match=told):
            predict_to_file(given, path, source=Stamps(), **other)
    predict_to_file(given, path, source=Stamps(), pdf=True, overwrite=True)
    assert "z_phot_pdf" in read_table(path).colnames


def test_nothing_is_left_of_a_run_that_did_nothing(tmp_path, given):
    with pytest.raises(KeyboardInterrupt):
        predict_to_file(given, tmp_path / "z.fits", source=Stamps(stop_after=0))
    assert [file.name for file in tmp_path.iterdir()] == ["hosts.fits"]


@pytest.mark.parametrize("flags", ["numbers", "names"])
def test_only_what_failed_is_tried_again(tmp_path, given, flags):
    path, lacking = tmp_path / "z.ecsv", [3, 50, 149]
    predict_to_file(given, path, source=Stamps(lacking=lacking), flags=flags, pdf=True)
    assert read_table(path)["z_phot"].mask.sum() == 3
    mended = Stamps()
    predict_to_file(given, path, source=mended, flags=flags, pdf=True, retry_failed=True)
    assert sorted(mended.asked) == lacking
    expected, found = astro_photz.predict(given, source=Stamps(), pdf=True), read_table(path)
    found["z_phot_flags"] = astro_photz.flags.parse(np.ma.filled(found["z_phot_flags"], "" if flags == "names" else 0))
    assert_same(found, expected)


def test_what_cannot_be_tried_again_is_told(tmp_path, given):
    path, options = tmp_path / "z.ecsv", {"source": Stamps(), "retry_failed": True}
    with pytest.raises(FileNotFoundError):
        predict_to_file(given, path, **options)
    predict_to_file(given, path, source=Stamps())
    with pytest.raises(ValueError, match="no column z_phot_pdf"):
        predict_to_file(given, path, pdf=True, **options)
    with pytest.raises(ValueError, match="of the same galaxies"):
        predict_to_file(galaxies()[::-1], path, **options)
    with pytest.raises(ValueError, match="of the same galaxies"):
        predict_to_file(galaxies()[1:], path, **options)
    table = read_table(path)
    table.meta["z_phot"]["model_sha256"] = "0" * 64
    table.write(path, overwrite=True)
    with pytest.raises(ValueError, match="that this model has made"):
        predict_to_file(given, path, **options)
    assert len(read_table(path)) == N


@pytest.mark.parametrize(("of", "form"), [(1, "fits"), (3, "fits"), (10, "ecsv"), (200, "h5")])
def test_shards_together_are_the_whole(tmp_path, given, of, form):
    parts = [tmp_path / f"z-{number}.{form}" for number in range(1, of + 1)]
    asked = Stamps()
    for number, part in enumerate(parts[:12], 1):
        predict_to_file(given, part, source=asked, shard=(number, of))
    assert len(asked.asked) == len(set(asked.asked)) == (N if of <= 12 else len(asked.asked))
    n = merge_tables([part for part in parts if part.exists()], tmp_path / f"all.{form}")
    assert n == len(asked.asked)
    expected = astro_photz.predict(given, source=Stamps())[:n]
    assert_same(read_table(tmp_path / f"all.{form}"), expected)


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1.5, 3), (1, 2, 3), "1/3", (True, 2)])
def test_a_shard_that_is_none_is_told(tmp_path, given, shard):
    with pytest.raises(ValueError, match="shard must be the number of a part"):
        predict_to_file(given, tmp_path / "z.fits", source=Stamps(), shard=shard)


def test_files_of_different_runs_are_not_merged(tmp_path):
    predict_to_file(galaxies()[:5], tmp_path / "1.ecsv", source=Stamps())
    predict_to_file(galaxies()[:5], tmp_path / "2.ecsv", source=Stamps(), pdf=True)
    with pytest.raises(ValueError, match="give files of one run"):
        merge_tables([tmp_path / "1.ecsv", tmp_path / "2.ecsv"], tmp_path / "all.ecsv")
    table = read_table(tmp_path / "1.ecsv")
    table.meta["z_phot"]["model_version"] = "0"
    table.write(tmp_path / "3.ecsv")
    with pytest.raises(ValueError, match="of another model"):
        merge_tables([tmp_path / "1.ecsv", tmp_path / "3.ecsv"], tmp_path / "all.ecsv")
    assert not (tmp_path / "all.ecsv").exists()


def test_a_table_may_replace_itself(tmp_path, given):
    path = tmp_path / "z.fits"
    predict_to_file(given, path, source=Stamps())
    before = read_table(path)
    predict_to_file(path, path, source=Stamps(), replace=True, overwrite=True)
    assert_same(read_table(path), before)


def test_no_galaxies_make_an_empty_file(tmp_path):
    for form in ("fits", "ecsv"):
        path = tmp_path / f"z.{form}"
        assert len(predict_to_file(galaxies()[:0], path, source=Stamps())) == 0
        assert read_table(path).colnames[-1] == "z_phot_flags"


def test_bad_arguments_are_told(tmp_path, given):
    with pytest.raises(ValueError, match="flags must be"):
        predict_to_file(given, tmp_path / "z.fits", source=Stamps(), flags="words")
    (tmp_path / "z.fits").write_text("mine")
    with pytest.raises(FileExistsError, match="set overwrite=True"):
        predict_to_file(given, tmp_path / "z.fits", source=Stamps())
    assert (tmp_path / "z.fits").read_text() == "mine"
    table = galaxies()
    table["z_phot"] = 1.0
    with pytest.raises(ValueError, match="column 'z_phot' already"):
        predict_to_file(table, tmp_path / "y.fits", source=Stamps())


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 17, 63, 64, 65])
def test_a_galaxy_gets_the_same_numbers_in_any_company(n):
    """To the last bit: otherwise a run that was resumed would differ from one that was not."""
    cutouts = gaussian_cutouts(80, seed=1)
    whole = astro_photz.predict(cutouts, pdf=True)
    some = np.random.default_rng(n).permutation(80)[:n]
    assert_same(Table(astro_photz.predict(cutouts[some], pdf=True)), Table(whole)[some])
