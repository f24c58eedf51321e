# Licensed under a 3-clause BSD style license - see LICENSE
"""A fetch that was ended is resumed: what was done is not asked for again, and the file is as of an undisturbed one."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from astro_photz.cutouts import Batch, fetch_to_file
from astro_photz.testing.factories import gaussian_cutouts

N = 12


class Source:
    """A source of prepared stamps, which yields them out of order and breaks off at a batch."""

    name = "prepared"

    def __init__(self, breaks=None, *, blank=()):
        self.breaks, self.blank = breaks, blank
        self.asked = []

    def batches(self, positions, *, size=64):
        stamps = prepared(size)
        for row in self.blank:
            stamps.flux[row] = np.nan
        self.asked.append(positions.ids.tolist())
        for number, rows in enumerate(np.array_split(np.arange(len(positions))[::-1], max(1, len(positions) // 2))):
            if number == self.breaks:
                raise KeyboardInterrupt
            yield Batch(rows, stamps[positions.ids[rows]])


def prepared(size=64):
    cutouts = gaussian_cutouts(N, size=size)
    cutouts.simulated = True
    return cutouts


def table(n=N):
    cutouts = prepared()[:n]
    return Table({"objid": np.arange(n), "ra": cutouts.coord.ra, "dec": cutouts.coord.dec, "ebv": cutouts.ebv})


@pytest.fixture
def whole(tmp_path):
    """The bytes of a file that was fetched in one go."""
    fetch_to_file(table(), tmp_path / "whole.h5", source=Source(), columns=COLUMNS)
    content = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "whole.h5").unlink()
    return content


COLUMNS = {"specz_redshift": np.linspace(0.1, 0.3, N), "name": np.array([f"host {number}" for number in range(N)])}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def broken_off(path, source, **options):
    with pytest.raises(KeyboardInterrupt):
        fetch_to_file(table(), path, source=source, columns=COLUMNS, **options)


@pytest.mark.parametrize("breaks", [1, 3, 5])
def test_only_what_is_not_done_is_asked_for_again(tmp_path, whole, breaks):
    path = tmp_path / "stamps.h5"
    broken_off(path, Source(breaks))
    assert names(tmp_path) == ["stamps.h5.part", "stamps.h5.part.journal"]
    source = Source()
    fetched = fetch_to_file(table(), path, source=source, columns=COLUMNS)
    assert source.asked == [list(range(N - 2 * breaks))]
    assert fetched.kept.all()
    assert path.read_bytes() == whole
    assert names(tmp_path) == ["stamps.h5"]


def test_what_has_no_image_is_asked_for_again(tmp_path, whole):
    """A server may have failed for a while."""
    path = tmp_path / "stamps.h5"
    broken_off(path, Source(4, blank=[9, 11]))
    source = Source()
    fetch_to_file(table(), path, source=source, columns=COLUMNS)
    assert source.asked == [[0, 1, 2, 3, 9, 11]]
    assert path.read_bytes() == whole


def test_nothing_is_left_of_a_fetch_that_got_nothing(tmp_path):
    broken_off(tmp_path / "stamps.h5", Source(0))
    assert names(tmp_path) == []


@pytest.mark.parametrize("change", ["table", "columns", "size", "dtype", "source"])
def test_a_file_that_was_begun_otherwise_is_not_resumed(tmp_path, whole, change):
    path = tmp_path / "stamps.h5"
    other = {"columns": COLUMNS | {"specz_redshift": COLUMNS["specz_redshift"] + 0.1}} if change == "columns" else {}
    other |= {"dtype": "float16"} if change == "dtype" else {"size": 66} if change == "size" else {}
    source = Source(2)
    source.data_release = 16 if change == "source" else 17
    given = table()
    given["ebv"] += 0.01 if change == "table" else 0.0
    with pytest.raises(KeyboardInterrupt):
        fetch_to_file(given, path, source=source, **{"columns": COLUMNS} | other)
    again = Source()
    again.data_release = 17
    with pytest.raises(FileExistsError, match=r"stamps.h5.part was begun with other settings .*overwrite=True"):
        fetch_to_file(table(), path, source=again, columns=COLUMNS)
    fetch_to_file(table(), path, source=again, columns=COLUMNS, overwrite=True)
    assert path.read_bytes() == whole
    assert names(tmp_path) == ["stamps.h5"]


def test_galaxies_are_left_out_of_a_resumed_file_too(tmp_path):
    path, redshift = tmp_path / "stamps.h5", COLUMNS["specz_redshift"].copy()
    redshift[[1, 10]] = -1
    options = {"columns": {"specz_redshift": redshift}, "drop_incomplete": True}
    expected = fetch_to_file(table(), tmp_path / "whole.h5", source=Source(blank=[4]), **options)
    with pytest.raises(KeyboardInterrupt):
        fetch_to_file(table(), path, source=Source(3, blank=[4]), **options)
    fetched = fetch_to_file(table(), path, source=Source(blank=[4]), **options)
    assert fetched.kept.tolist() == expected.kept.tolist()
    assert np.flatnonzero(~fetched.kept).tolist() == [1, 4, 10]
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert names(tmp_path) == ["stamps.h5", "whole.h5"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, whole):
    path = tmp_path / "stamps.h5"
    source = Source()
    source.batches = lambda positions, size: path.write_text("theirs") and Source().batches(positions)
    with pytest.raises(FileExistsError, match=r"appeared meanwhile .* the result is in .*stamps-2\.h5"):
        fetch_to_file(table(), path, source=source, columns=COLUMNS)
    assert path.read_text() == "theirs"
    assert (tmp_path / "stamps-2.h5").read_bytes() == whole
    assert names(tmp_path) == ["stamps-2.h5", "stamps.h5"]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import test_unfinished as tests
source = tests.Source()
def batches(positions, *, size=64):
    for number, batch in enumerate(tests.Source().batches(positions)):
        if number == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
source.batches = batches
from astro_photz.utils import _journal
_journal._EVERY = 0.0
tests.fetch_to_file(tests.table(), sys.argv[1], source=source, columns=tests.COLUMNS)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
def test_a_kill_loses_nothing(tmp_path, whole):
    path = tmp_path / "stamps.h5"
    command = [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    source = Source()
    fetch_to_file(table(), path, source=source, columns=COLUMNS)
    assert source.asked == [[0, 1, 2, 3]]
    assert path.read_bytes() == whole
    assert names(tmp_path) == ["stamps.h5"]
