# Licensed under a 3-clause BSD style license - see LICENSE
"""The output of a command: one process at a time, its mode and links stay, and a full disk does not lose the work."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from astropy.table import Table

from astro_photz.cli import main
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._claims import claimed

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs modes, links and locks of POSIX")

PREDICT = ["predict", "stamps.h5", "z.ecsv"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gaussian_cutouts(3).write("stamps.h5")
    return tmp_path


def names(path):
    return sorted(one.name for one in path.iterdir())


HOLDS = """
import sys
from astro_photz.utils._claims import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "command",
    [
        "predict stamps.h5 out.ecsv",
        "fetch hosts.ecsv out.h5 --source stamps.h5",
        "embed stamps.h5 out.h5",
        "validate z.ecsv --output out.h5",
        "report z.ecsv --output out.html",
        "simulate patches frames out.h5",
    ],
)
def test_a_second_command_on_an_output_ends_before_it_works(folder, capsys, command):
    if command.startswith("simulate"):
        pytest.importorskip("torch")
    output = next(word for word in command.split() if word.startswith("out."))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, output], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "claimed\n"
        assert main(command.split()) == 1
        said = capsys.readouterr().err
        other.stdin.close()
    assert f"another process is writing {output}: wait until it has ended, or choose another name" in said
    assert names(folder) == ["stamps.h5"]


def test_an_output_is_claimed_while_the_command_works(folder, monkeypatch, capsys):
    from astro_photz.inference import prediction_files

    estimate = prediction_files.estimate_batches

    def meanwhile(*arguments, **options):
        with subprocess.Popen([sys.executable, "-c", HOLDS, "z.ecsv"], stderr=subprocess.PIPE, text=True) as other:
            assert "BlockingIOError: another process is writing z.ecsv" in other.communicate("")[1]
        return estimate(*arguments, **options)

    monkeypatch.setattr(prediction_files, "estimate_batches", meanwhile)
    assert main([*PREDICT, "--quiet"]) == 0
    with claimed("z.ecsv"):
        pass
    assert names(folder) == ["stamps.h5", "z.ecsv"]


def test_an_output_that_appears_meanwhile_is_not_replaced(folder, monkeypatch, capsys):
    from astro_photz.inference import prediction_files

    estimate = prediction_files.estimate_batches

    def meanwhile(*arguments, **options):
        (folder / "z.ecsv").write_text("mine")
        return estimate(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(prediction_files, "estimate_batches", meanwhile)
        assert main([*PREDICT, "--quiet"]) == 1
    assert names(folder) == ["stamps.h5", "z-2.ecsv", "z.ecsv"]
    assert "z.ecsv appeared meanwhile and was not replaced: the result is in z-2.ecsv" in capsys.readouterr().err
    assert (folder / "z.ecsv").read_text() == "mine"
    assert main([*PREDICT[:2], "whole.ecsv", "--quiet"]) == 0
    assert (folder / "z-2.ecsv").read_bytes() == (folder / "whole.ecsv").read_bytes()
    assert main([*PREDICT, "--quiet", "--overwrite"]) == 0
    assert (folder / "z.ecsv").read_bytes() == (folder / "whole.ecsv").read_bytes()


@pytest.mark.parametrize("ending", ["ecsv", "fits", "csv.gz", "h5", "vot"])
def test_mode_and_link_of_an_output_stay(folder, ending):
    (folder / "disk").mkdir()
    target, link = folder / "disk" / f"real.{ending}", folder / f"z.{ending}"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert main(["predict", "stamps.h5", link.name, "--quiet", "--overwrite"]) == 0
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() != b"old"
    assert names(folder / "disk") == [target.name]


def test_a_device_stays_one(folder):
    (folder / "null.csv").symlink_to("/dev/null")
    assert main(["predict", "stamps.h5", "null.csv", "--quiet"]) == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert names(folder) == ["null.csv", "stamps.h5"]


# A disk of 2 MB

FULL = """
mount -t tmpfs -o size=2M tmpfs disk && cd disk && {before}
"$@"
echo "code $?"
ls -A
"""


def on_a_small_disk(folder, *command, before="true", **environment):
    """Run a command in a folder that holds 2 MB; give its output, which ends in its code and the files there."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    (folder / "disk").mkdir()
    shell = ["unshare", "-rm", "sh", "-c", FULL.format(before=before), "sh"]
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "elsewhere")}
    (folder / "elsewhere").mkdir()
    done = subprocess.run(
        [*shell, sys.executable, "-m", "astro_photz.cli", *command],
        capture_output=True,
        text=True,
        env=os.environ | own | environment,
    )
    if "code " not in done.stdout:
        pytest.skip(f"no disk of 2 MB can be mounted here: {done.stderr.strip()}")
    code, *left = done.stdout.partition("code ")[2].split()
    return int(code), done.stderr, left


def test_a_table_that_finds_no_room_is_kept_elsewhere(folder):
    gaussian_cutouts(60).write("stamps.h5", overwrite=True)
    assert main(["predict", "stamps.h5", "whole.ecsv", "--quiet"]) == 0
    whole = (folder / "whole.ecsv").read_bytes()
    left = int(0.9 * len(whole)) // 4096 * 4096  # what is sure to be needed is there, and the rest is not
    fills = f"head -c {2**21 - left} /dev/zero > full"
    code, said, files = on_a_small_disk(folder, "predict", "../stamps.h5", "z.ecsv", "--quiet", before=fills)
    assert code == 1, said
    kept = folder / "elsewhere" / "z.ecsv"
    assert "no room for z.ecsv (No space left on device): make some, or choose another disk. The result is in" in said
    assert f"The result is in {kept}" in said
    assert kept.read_bytes() == whole
    assert files == ["full", "z.ecsv.part", "z.ecsv.part.journal"]  # with which the command can be given again


@pytest.mark.parametrize("command", ["predict many.fits z.ecsv", "fetch many.fits s.h5"])
def test_room_is_looked_for_before_the_work(folder, command):
    Table({"ra": [180.0] * 20_000, "dec": [2.0] * 20_000, "note": ["a long word" * 20] * 20_000}).write("many.fits")
    name, table, output = command.split()
    code, said, files = on_a_small_disk(folder, name, f"../{table}", output, "--source", "../stamps.h5", "--quiet")
    assert code == 1, said
    assert f"no room for {output}" in said
    assert "make some, or choose another disk" in said
    assert files == []
