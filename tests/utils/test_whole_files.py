# Licensed under a 3-clause BSD style license - see LICENSE
"""Files of ours land whole: on the disk before they have their names, for one process at a time, with room or told."""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astro_photz.utils import _files as files_module
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import aside, check_room, folder_aside, save, write_json
from astro_photz.utils._journal import Journal
from astro_photz.utils._parts import OLD, new_part, sweep

posix = pytest.mark.skipif(os.name != "posix", reason="needs modes, links and locks of POSIX")
MODEL = {"sign": "card.json", "kind": "a model's folder"}


def write(path, text="new", **options):
    with aside(path, **options) as part:
        part.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def part_of_a_dead_process(path, kind=""):
    """A part whose owner has ended: a process that was, on this machine."""
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from astro_photz.utils._parts import new_part\n"
            "print(new_part(pathlib.Path(sys.argv[1])))",
            f"{path}{kind}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(made.stdout.strip())


# Modes and links


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_of_a_file_that_is_replaced_stays(tmp_path, mode):
    path = tmp_path / "z.csv"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "z.csv")
        with folder_aside(tmp_path / "model", **MODEL):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "z.csv").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o777 & ~umask


@posix
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_what_is_behind_it_is_written(tmp_path, there, overwrite):
    (tmp_path / "disk").mkdir()
    target, link, second = tmp_path / "disk" / "z.csv", tmp_path / "z.csv", tmp_path / "to_link.csv"
    link.symlink_to(Path("disk") / "z.csv")
    second.symlink_to("z.csv")
    if there:
        target.write_text("old")
    if there and not overwrite:
        with pytest.raises(FileExistsError, match=r"z-2\.csv"):
            write(second, overwrite=False)
        assert (target.read_text(), (tmp_path / "disk" / "z-2.csv").read_text()) == ("old", "new")
    else:
        write(second, overwrite=overwrite)
        assert target.read_text() == "new"
    assert link.is_symlink()
    assert second.is_symlink()
    assert not [name for folder in (tmp_path, tmp_path / "disk") for name in names(folder) if name.startswith(".part")]


@posix
def test_a_folder_behind_a_link_is_replaced_and_keeps_its_mode(tmp_path):
    real, link = tmp_path / "real", tmp_path / "model"
    real.mkdir(mode=0o750)
    (real / "card.json").write_text("old")
    link.symlink_to("real")
    with folder_aside(link, **MODEL) as part:
        (part / "card.json").write_text("new")
    assert link.is_symlink()
    assert (real / "card.json").read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o750
    assert names(tmp_path) == ["model", "real"]


@posix
def test_a_device_or_a_pipe_is_written_into_and_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    write(null)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert names(tmp_path) == ["null", "pipe"]


def test_a_file_that_others_delete_meanwhile_is_no_device(tmp_path, monkeypatch):
    """Another process deletes it between any two looks at it; into a device, nothing is written whole."""
    path, look = tmp_path / "z.csv", os.stat
    path.write_text("old")

    def stat_and_gone(place, **options):
        found = look(place, **options)
        if str(place) == str(path):
            path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "stat", stat_and_gone)
    with claimed(path):
        assert len(names(tmp_path)) == 1
        with aside(path) as part:
            assert part.parent == path.parent
            part.write_text("new")
    assert path.read_text() == "new"


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("é" * 105 + "z" * 30 + ".fits.gz")
    with aside(path) as part:
        assert part.suffixes[-2:] == [".fits", ".gz"]
        part.write_text("new")
    assert path.read_text() == "new"


# What appears meanwhile


def overtaken(context, path, text):
    """Write a file, or one in a folder, while another process makes the same one."""
    with context as part:
        (part / path.name if part.is_dir() else part).write_text(text)
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")


@pytest.mark.parametrize("name", ["z.csv", "z.fits.gz", "z", ".hidden.csv"])
def test_what_appears_meanwhile_is_not_replaced_and_the_result_is_kept(tmp_path, name):
    path = tmp_path / name
    for number in (2, 3):
        with pytest.raises(FileExistsError, match=rf"{re.escape(name)} appeared meanwhile .* result is in ") as error:
            overtaken(aside(path, overwrite=False), path, f"ours {number}")
        kept = Path(str(error.value).rpartition(" ")[2])
        assert (path.read_text(), kept.read_text()) == ("theirs", f"ours {number}")
        assert kept.suffixes == path.suffixes
    assert len(names(tmp_path)) == 3


def test_it_is_not_replaced_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refused(*names):
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refused)
    write(tmp_path / "free.csv", overwrite=False)
    assert (tmp_path / "free.csv").read_text() == "new"
    with pytest.raises(FileExistsError, match=r"free-2\.csv"):
        write(tmp_path / "free.csv", "ours", overwrite=False)
    assert (tmp_path / "free-2.csv").read_text() == "ours"


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(FileExistsError, match="model-2"):
        overtaken(folder_aside(path, overwrite=False, **MODEL), path / "card.json", "ours")
    assert (path / "card.json").read_text() == "theirs"
    assert (tmp_path / "model-2" / "card.json").read_text() == "ours"
    assert names(tmp_path) == ["model", "model-2"]


# Parts of dead processes


def test_parts_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path):
    path = tmp_path / "z.csv"
    dead, folder, other = (part_of_a_dead_process(path, kind) for kind in ("", ".part", ".other.csv"))
    own = new_part(path)
    stranger = own.with_name(re.sub(r"part\.[0-9a-f]{8}", "part.0123abcd", own.name))  # of another machine
    before_0_1 = tmp_path / ".part.0123abcd.z.csv"
    thesis = tmp_path / ".part.of.my.thesis"
    for one in (dead, other, own, stranger, before_0_1, thesis):
        one.write_text("half")
    folder.mkdir()
    (folder / "card.json").write_text("half")
    write(tmp_path / "other.txt")
    assert names(tmp_path) == sorted(one.name for one in (own, stranger, before_0_1, thesis, tmp_path / "other.txt"))
    for one in (stranger, before_0_1, thesis):
        os.utime(one, (0, time.time() - 90_000))  # nobody has written to it for a day
    write(tmp_path / "other.txt")
    assert names(tmp_path) == sorted([own.name, thesis.name, "other.txt"])


def test_a_folder_comes_back_whose_replacement_was_killed(tmp_path):
    old = part_of_a_dead_process(tmp_path / "model", OLD)
    old.mkdir()
    (old / "card.json").write_text("old")
    sweep(tmp_path)
    assert (tmp_path / "model" / "card.json").read_text() == "old"
    assert names(tmp_path) == ["model"]


# One process at a time

HOLDS = """
import pathlib, sys, time
from astro_photz.utils._claims import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    time.sleep(60)
"""


@posix
@pytest.mark.parametrize("name", ["z.csv", "folder", "link.csv"])
def test_a_second_process_is_told_at_once_and_a_dead_one_does_not_block(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    if name == "link.csv":
        path.symlink_to("z.csv")
    before = names(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "claimed\n"
        message = f"another process is writing .*{name}: wait until it has ended"
        with pytest.raises(BlockingIOError, match=message), claimed(path):
            pass
        with claimed(tmp_path / "another"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(names(tmp_path)) == len(before) + 1  # its lock, of no more force
    with claimed(tmp_path / "another"):
        pass
    assert names(tmp_path) == before
    with claimed(path), claimed(path):  # a thread may claim again what it has
        pass
    assert names(tmp_path) == before


def _claim(path, numbers):
    for _ in range(50):
        try:
            with claimed(path):
                text = path.read_text()
                time.sleep(0.001)
                path.write_text(f"{int(text) + 1}")
                numbers.put(1)
        except BlockingIOError:
            numbers.put(0)


@posix
def test_no_two_processes_claim_at_once(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context("spawn")
    numbers = context.SimpleQueue()
    processes = [context.Process(target=_claim, args=(path, numbers)) for _ in range(2)]
    for process in processes:
        process.start()
    claims = sum(numbers.get() for _ in range(100))
    for process in processes:
        process.join()
    assert int(path.read_text()) == claims > 0
    assert names(tmp_path) == ["count"]


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told_by_the_work_itself(tmp_path):
    tmp_path.chmod(0o500)
    with claimed(tmp_path / "z.csv"):
        pass
    tmp_path.chmod(0o700)


# Room


def test_room_is_looked_for(tmp_path):
    check_room(tmp_path / "z.csv", 1000)
    with pytest.raises(OSError, match=r"no room for .*z.csv, of 1e\+09 GB \(.* GB are free\): make some") as error:
        check_room(tmp_path / "z.csv", 10**18)
    assert error.value.errno == errno.ENOSPC


LIMIT = """
import resource, sys, tempfile, pathlib
from astro_photz.utils._files import save
tempfile.tempdir = sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
def write(part):
    if str(part).startswith(sys.argv[2]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    part.write_bytes(bytes(3_000_000))
try:
    save(sys.argv[1], write)
except OSError as error:
    print(error.errno, error.strerror)
"""


@posix
def test_what_finds_no_room_is_kept_elsewhere(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "disk" / "z.csv"
    path.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", LIMIT, str(path), str(tmp_path / "elsewhere")],
        capture_output=True,
        text=True,
        check=True,
    )
    kept = tmp_path / "elsewhere" / "z.csv"
    assert done.stdout.startswith(f"{errno.EFBIG} no room for {path} (File too large): make some")
    assert done.stdout.endswith(f"The result is in {kept}\n")
    assert kept.stat().st_size == 3_000_000
    assert path.read_text() == "old"
    assert names(tmp_path / "disk") == ["z.csv"]


def test_where_no_folder_has_room_the_error_says_so(tmp_path, monkeypatch):
    def full(part):
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files_module.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError, match=r"no room for .*z.csv .*choose another disk$"):
        save(tmp_path / "z.csv", full)
    assert names(tmp_path) == []


# On the disk


def calls_of(trace):
    """File names of fsync and rename calls of a trace, in their order, with the descriptors resolved."""
    calls = []
    for line in trace.read_text().splitlines():
        found = re.search(r"(fsync|fdatasync)\(\d+<([^>]*)>", line)
        if found:
            calls.append(("sync", found[2]))
        found = re.search(r'(?:rename|renameat|renameat2|link|linkat)\(.*?"([^"]*)", .*?"([^"]*)"', line)
        if found:
            calls.append(("rename", found[1], found[2]))
    return calls


WRITES = {
    "file": "from astro_photz.utils._files import aside\nwith aside(path) as part: part.write_text('new')",
    "file, not replacing": "from astro_photz.utils._files import aside\n"
    "with aside(path, overwrite=False) as part: part.write_text('new')",
    "json": "from astro_photz.utils._files import write_json\nwrite_json(path, {})",
    "folder": "from astro_photz.utils._files import folder_aside\n"
    "with folder_aside(path, sign='a', kind='a') as part:\n"
    "    (part / 'a').write_text('a'); (part / 'b').mkdir(); (part / 'b' / 'c').write_text('c')",
    "journal": "from astro_photz.utils._journal import Journal\n"
    "part = path.with_name('out.part')\n"
    "journal = Journal.open(part, {'n': 1}, start=lambda: part.write_text('a') and set(), overwrite=False)\n"
    "part.write_text('b'); journal.add([0]); journal.finish(path, overwrite=True)",
    "cutouts": "from astro_photz.testing.factories import gaussian_cutouts\ngaussian_cutouts(1).write(path)",
    "table": "from astropy.table import Table\nfrom astro_photz.tables import write_table\n"
    "write_table(Table({'a': [1]}), path.with_suffix('.ecsv'))",
}


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("what", WRITES)
def test_data_and_folder_are_on_the_disk_before_a_name_is_given(tmp_path, what):
    folder, trace = tmp_path / "folder", tmp_path / "trace"
    folder.mkdir()
    program = f"import pathlib\npath = pathlib.Path({str(folder / 'out')!r})\n{WRITES[what]}"
    options = ["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat", "-o", str(trace)]
    done = subprocess.run(["strace", *options, sys.executable, "-c", program], capture_output=True, text=True)
    if "PTRACE" in done.stderr or "not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    calls = [call for call in calls_of(trace) if str(folder) in call[1]]
    renames = [place for place, call in enumerate(calls) if call[0] == "rename"]
    assert renames
    for place in renames:
        part = Path(calls[place][1])
        synced = {call[1] for call in calls[:place] if call[0] == "sync"}
        assert {str(part), str(folder)} <= synced
        assert ("sync", str(folder)) in calls[place:]
        if what == "folder":
            assert {str(part / name) for name in ("a", "b", "b/c")} <= synced


def test_a_journal_notes_what_is_on_the_disk(tmp_path, monkeypatch):
    part, order = tmp_path / "sky.part", []
    journal = Journal.open(part, {"n": 3}, start=lambda: part.write_text("") or set(), overwrite=False)
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda one: order.append(journal.path.read_text().count("\n") - 1) or sync(one))
    journal.add([0, 1])
    journal.add([2])  # within the same second: written when it is over, or on closing
    journal.close()
    assert order == [0, 1]  # lines in the journal at each wait for the disk
    assert journal.path.read_text().splitlines()[1:] == ["0-1", "2"]


@pytest.mark.parametrize(
    "damage", [b"\0" * 40, b"12", b"1\n\xff\xfe\n", b"x\n", b"-1\n", b"5-\n", b"6-5\n", b"4-999999999999\n"]
)
def test_a_torn_line_of_a_journal_is_passed_over(tmp_path, damage):
    part = tmp_path / "sky.part"
    journal = Journal.open(part, {"n": 9}, start=lambda: part.write_text("") or {3}, overwrite=False)
    journal.close()
    with open(journal.path, "ab") as file:
        file.write(damage)
    again = Journal.open(part, {"n": 9}, start=None, overwrite=False)
    assert set(range(9)) - set(again.todo(9).tolist()) - {1} == {3}
    again.close()


@pytest.mark.parametrize("begun", [b"", b"\0\0\0\n3\n", b"[1]\n", b'{"n": 9', b"\xff\n"])
def test_a_journal_that_tells_no_task_is_begun_anew(tmp_path, begun):
    part, path = tmp_path / "sky.part", tmp_path / "sky.part.journal"
    part.write_text("half")
    path.write_bytes(begun)
    journal = Journal.open(part, {"n": 9}, start=lambda: part.write_text("") or set(), overwrite=False)
    assert not journal
    journal.close()
    assert json.loads(path.read_text()) == {"n": 9}


def test_what_a_kill_leaves_of_a_finished_file_is_tidied(tmp_path):
    part, path = tmp_path / "sky.part", tmp_path / "sky"
    journal = Journal.open(part, {"n": 9}, start=lambda: part.write_text("") or set(), overwrite=False)
    journal.close()
    Journal.tidy(part, path)
    assert names(tmp_path) == ["sky.part", "sky.part.journal"]
    os.replace(part, path)
    Journal.tidy(part, path)
    assert names(tmp_path) == ["sky"]


def test_json_is_whole(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1]}
    assert names(tmp_path) == ["a.json"]


def test_settings_that_differ_are_told_without_hashes(tmp_path):
    part, task = tmp_path / "z.ecsv.part", {"n": 2, "galaxies": "a" * 64, "images": [1, 2]}
    journal = Journal.open(part, task, start=lambda: part.touch() or (), overwrite=False)
    journal.add([0])
    journal.close()
    other = {"n": 3, "galaxies": "b" * 64, "images": [3, 4]}
    with pytest.raises(FileExistsError, match=r"\(other galaxies, other images, n 2, not 3\)"):
        Journal.open(part, other, start=None, overwrite=False)
