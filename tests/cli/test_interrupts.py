# Licensed under a 3-clause BSD style license - see LICENSE
"""Ctrl-C and SIGTERM, sent to real processes: exit code, one line, nothing left behind, and how to go on."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import numpy as np
import pytest

from astro_photz.cli import main
from astro_photz.testing.factories import gaussian_cutouts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
needs_simulation = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("kcorrect")), reason="needs torch and kcorrect, of the extra [simulate]"
)
needs_training = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "lightning", "onnxscript"))), reason="needs the extra [train]"
)

CODES = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
both = pytest.mark.parametrize("signum", CODES, ids=lambda signum: signum.name)

PROGRAM = """
import os, signal, sys, time
from astro_photz import cli
def nap(seconds):  # a signal on the threshold of a long sleep is heeded after it
    for _ in range(10 * seconds):
        time.sleep(0.1)
{before}
sys.exit(cli.entry())
"""


@contextlib.contextmanager
def started(*arguments, before="", cwd=None):
    """A command in a process group of its own, as a shell begins it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )
    process.began, process.took = time.monotonic(), 0.0
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, signum, *, within=30.0):
    """
    The line that a process says when it ends after a signal.

    It ends within some seconds, and on a busy machine in those that it took to begin, a few times over.
    """
    began = time.monotonic()
    said = process.communicate(timeout=60 + 3 * process.took)[1]
    assert time.monotonic() - began < within + 3 * process.took
    code, name = CODES[signum]
    assert process.returncode == code, said
    assert said.count("\n") == 1, said
    assert said.startswith(f"astro-photz: {name}"), said
    return said


def wait_for(condition, process, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.took = time.monotonic() - process.began


def gone(process, seconds=20):
    """Whether nothing of a process's group is left."""
    end = time.monotonic() + seconds + process.took
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


# Any command

WAITS = """
def wait(arguments):
    print("at work", flush=True)
    nap(60)
cli._run = wait
"""


def at_work(process):
    assert process.stdout.readline() == "at work\n"
    process.took = time.monotonic() - process.began


@both
@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("demo", "give the same command again"),
        ("predict a.csv b.csv", "give the same command again, which takes what was downloaded from the cache"),
        ("fetch a.csv b.h5", "give the same command again, which takes what was downloaded from the cache"),
        ("predict a.csv b.csv --source frames", "give the same command again\n"),
        ("fetch a.csv begun.h5", "give the same command again, which resumes begun.h5"),
        ("simulate galaxies begun.h5 --n 9 --seed 1", "give the same command again, which resumes begun.h5"),
        ("simulate galaxies new.h5 --n 9 --seed 1", "give the same command again\n"),
        ("simulate points new.h5 --seed 1", "give the same command again\n"),
        ("simulate frames field --seed 1", "again with --overwrite, which replaces what is in field"),
        ("simulate frames new --seed 1", "give the same command again\n"),
        ("simulate patches frames a.h5", "nothing was written"),
        ("pretrain a.h5 new", "begins anew: there is no checkpoint yet"),
        ("pretrain a.h5 begun", "give the same command again, which resumes from the last checkpoint in begun"),
        ("finetune a.h5 begun --overwrite", "again but without --overwrite, which resumes from the last checkpoint"),
        ("adapt a.h5 begun", "give the same command again\n"),
        ("export begun model", "give the same command again\n"),
        ("export begun field", "give the same command again with --overwrite\n"),
        ("evaluate model a.h5", "give the same command again"),
        ("card model a.json --output a.rst", "give the same command again"),
        ("models import hayat2021", "no model was made; give the same command again"),
        ("models", "\n"),
    ],
)
def test_every_command_says_how_to_resume(tmp_path, command, hint, signum):
    (tmp_path / "begun.h5.part").touch()
    (tmp_path / "field").mkdir()
    (tmp_path / "field" / "frame-u.fits.bz2").touch()
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    (tmp_path / "begun" / "checkpoints" / "last.ckpt").touch()
    with started(*command.split(), before=WAITS, cwd=tmp_path) as process:
        at_work(process)
        process.send_signal(signum)
        assert hint in ended(process, signum)


@both
def test_twice_in_a_row_is_once(signum):
    """Such as ``timeout`` does it, to the process and to its group; and what is tidied up meanwhile is tidied up."""
    tidied = """
def work(arguments):
    try:
        print("at work", flush=True)
        nap(60)
    finally:
        time.sleep(0.4)
        print("tidied", flush=True)
cli._run = work
"""
    with started("models", before=tidied) as process:
        at_work(process)
        for _ in range(3):
            os.killpg(process.pid, signum)
            time.sleep(0.1)
        assert process.stdout.readline() == "tidied\n"
        ended(process, signum)


def test_a_signal_later_on_ends_what_did_not_heed_the_first():
    stubborn = """
def work(arguments):
    try:
        print("at work", flush=True)
        nap(60)
    except BaseException:
        nap(60)
cli._run = work
"""
    with started("models", before=stubborn) as process:
        at_work(process)
        process.send_signal(signal.SIGINT)
        time.sleep(1.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        ended(process, signal.SIGINT)  # the first that came


LOST = {
    "destructor": "class Odd:\n    def __del__(self):\n        {send}\nOdd()",
    "other error": "try:\n    {send}\n    nap(5)\nexcept KeyboardInterrupt:\n    raise ImportError('no module')",
    "exit": "try:\n    {send}\n    nap(5)\nexcept KeyboardInterrupt:\n    sys.exit(1)",
}


@both
@pytest.mark.parametrize("how", LOST)
def test_it_does_not_matter_what_a_library_makes_of_an_interrupt(how, signum):
    body = LOST[how].format(send=f"os.kill(os.getpid(), {int(signum)})") + "\nnap(60)"
    before = "def work(arguments):\n    " + body.replace("\n", "\n    ") + "\ncli._run = work"
    with started("models", before=before) as process:
        ended(process, signum)


@both
def test_threads_are_not_waited_for(signum):
    """Such as are in the midst of a download."""
    threads = """
import threading
def work(arguments):
    threading.Thread(target=time.sleep, args=[60]).start()
    print("at work", flush=True)
    nap(60)
cli._run = work
"""
    with started("models", before=threads) as process:
        at_work(process)
        process.send_signal(signum)
        ended(process, signum)


def test_a_folder_that_a_thread_downloads_into_is_removed(tmp_path):
    download = f"""
import tempfile, threading
tempfile.tempdir = {str(tmp_path)!r}
def download():
    with tempfile.TemporaryDirectory():
        print("at work", flush=True)
        nap(60)
def work(arguments):
    threading.Thread(target=download).start()
    nap(60)
cli._run = work
"""
    with started("models", before=download) as process:
        at_work(process)
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        ended(process, signal.SIGINT)
    assert not list(tmp_path.iterdir())


def test_nohup_is_heeded():
    """A signal that the shell has the command ignore stays ignored."""
    ignoring = WAITS.replace("nap(60)", "nap(1)\n    print('done', flush=True)")
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + ignoring
    with started("models", before=ignoring) as process:
        at_work(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "done\n"
        process.communicate(timeout=30)
        assert process.returncode == 0


MODULES = ["astropy.table", "numpy", "numpy.linalg._umath_linalg", "h5py._conv", "onnxruntime"]


@both
@pytest.mark.parametrize("module", MODULES)
def test_in_the_midst_of_imports(tmp_path, module, signum):
    cutouts = gaussian_cutouts(2)
    cutouts.write(tmp_path / "stamps.h5")
    cutouts.coord.to_table().write(tmp_path / "hosts.ecsv")
    sends = f"""
def heed(event, arguments):
    if event == "import" and arguments[0] == {module!r} and not sent:
        sent.append(1)
        os.kill(os.getpid(), {int(signum)})
sent = []
sys.addaudithook(heed)
"""
    command = ("predict", "hosts.ecsv", "z.ecsv", "--source", "stamps.h5")
    with started(*command, before=sends, cwd=tmp_path) as process:
        ended(process, signum)
    assert not (tmp_path / "z.ecsv").exists()


# While the result is written

WRITES = """
from astro_photz.tables import writing
form = writing._write_form
def heed(table, path, kind):
    form(table, path, kind)
    if path.name.endswith(".z.ecsv"):
        print("at work", flush=True)
        nap(60)
writing._write_form = heed
"""


@both
@pytest.mark.parametrize("again", [0, 1, 2])
def test_in_the_midst_of_writing(tmp_path, signum, again):
    """Also where the signal comes again, at once or later: neither a half file nor a part of one is left."""
    gaussian_cutouts(2).write(tmp_path / "stamps.h5")
    (tmp_path / "z.ecsv").write_text("old")
    command = ("predict", "stamps.h5", "z.ecsv", "--overwrite")
    with started(*command, before=WRITES, cwd=tmp_path) as process:
        at_work(process)
        process.send_signal(signum)
        for _ in range(again):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signum)
            time.sleep(0.1)
        said = process.communicate(timeout=60 + 3 * process.took)[1]
        late = again and process.returncode == -signum  # it came when Python was ending already
        assert late or process.returncode == CODES[signum][0]
        assert late or said.splitlines()[-1].startswith(f"astro-photz: {CODES[signum][1]}")
    assert (tmp_path / "z.ecsv").read_text() == "old"
    left = ["z.ecsv.part", "z.ecsv.part.journal"]  # with which the command can be given again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stamps.h5", "z.ecsv", *left]


# Within Python


def test_handlers_are_what_they_were(capsys):
    before = {signum: signal.getsignal(signum) for signum in CODES}
    hook = sys.unraisablehook
    assert main(["models"]) == 0
    assert {signum: signal.getsignal(signum) for signum in CODES} == before
    assert sys.unraisablehook is hook
    capsys.readouterr()


@both
def test_main_returns_the_code(monkeypatch, capsys, signum):
    def work(arguments):
        signal.raise_signal(signum)
        time.sleep(5)

    monkeypatch.setattr("astro_photz.cli._models._list", work)
    code, name = CODES[signum]
    assert main(["models"]) == code
    assert capsys.readouterr().err == f"astro-photz: {name}\n"


def test_a_command_may_run_in_a_thread(capsys):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["models"])))
    thread.start()
    thread.join()
    assert codes == [0]
    capsys.readouterr()


# Work that takes long

GALAXIES = ("--n", 24 * 256, "--seed", 1, "--workers", 2)


def blocks_done(journal):
    return len(journal.read_text().splitlines()) - 1 if journal.exists() else 0


@needs_simulation
@pytest.mark.parametrize(("signum", "to"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)])
def test_simulated_galaxies_with_workers(tmp_path, signum, to):
    """Workers end too, without a word, be the signal for them as on a terminal or not; what is done stays."""
    journal = tmp_path / "sky.h5.part.journal"
    few = "import astro_photz.simulate.write_stamps as o; o.WORTH_A_WORKER = 1"
    with started("simulate", "galaxies", "sky.h5", *GALAXIES, before=few, cwd=tmp_path) as process:
        wait_for(lambda: blocks_done(journal) >= 1, process)
        to(process.pid, signum)
        assert "resumes sky.h5" in ended(process, signum)
        assert gone(process)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sky.h5.part", "sky.h5.part.journal"]


@needs_simulation
def test_workers_that_are_still_beginning(tmp_path):
    """Ctrl-C goes to all processes of a terminal, and finds the workers in the midst of their imports."""
    with started("simulate", "galaxies", tmp_path / "sky.h5", *GALAXIES) as process:
        wait_for((tmp_path / "sky.h5.part.journal").exists, process)
        time.sleep(0.7)
        os.killpg(process.pid, signal.SIGINT)
        ended(process, signal.SIGINT)
        assert gone(process)


@needs_simulation
@both
def test_a_worker_whose_task_is_not_sent_yet(tmp_path, signum):
    """The signal comes between the start of a worker's process and what its parent sends it, as on a busy machine."""
    sends = f"""
from multiprocessing import util
spawn = util.spawnv_passfds
def heed(path, command, descriptors):
    worker = spawn(path, command, descriptors)
    if "spawn_main" in str(command):
        os.kill(os.getpid(), {int(signum)})
    return worker
util.spawnv_passfds = heed
import astro_photz.simulate.write_stamps as o; o.WORTH_A_WORKER = 1
"""
    with started("simulate", "galaxies", "sky.h5", *GALAXIES, before=sends, cwd=tmp_path) as process:
        assert "resumes sky.h5" in ended(process, signum)
        assert gone(process)


@needs_simulation
def test_a_file_of_which_nothing_is_done_is_removed(tmp_path, monkeypatch):
    """Between the layout of a file and the journal of its blocks."""
    from astro_photz import simulate
    from astro_photz.cutouts.hdf5.blocks import BlockWriter

    def interrupt(*arguments, **columns):
        assert (tmp_path / "sky.h5.part").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(BlockWriter, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate.write(tmp_path / "sky.h5", 2, seed=1)
    assert not list(tmp_path.iterdir())


@needs_simulation
def test_simulated_frames(tmp_path):
    folder = tmp_path / "field"
    quick = "import bz2; bz2.compress = lambda data: nap(1) or data[:1]"
    with started("simulate", "frames", folder, "--seed", 1, before=quick) as process:
        wait_for(lambda: list(folder.glob("frame-*.bz2")), process)
        process.send_signal(signal.SIGINT)
        assert "with --overwrite" in ended(process, signal.SIGINT)
    assert not list(folder.glob(".part*"))
    assert not (folder / "truth.ecsv").exists()


# Trainings

SENDS = """
from astro_photz.train.runs.callbacks import StepSeed
seed = StepSeed.on_train_batch_start
def heed(self, trainer, module, batch, batch_idx):
    if trainer.global_step == {step}:
        os.kill(os.getpid(), {signum})
    seed(self, trainer, module, batch, batch_idx)
StepSeed.on_train_batch_start = heed
"""
TINY = (
    *("encoder.width=4", "pretrain.epochs=2", "pretrain.batch_size=16", "pretrain.queue_length=16"),
    *("finetune.epochs=2", "finetune.batch_size=16"),
)
OPTIONS = ("--recipe", "smoke", *(f"--set={change}" for change in TINY), "--accelerator", "cpu", "--devices", "1")


@pytest.fixture(scope="module")
def stamps(tmp_path_factory):
    """A file to train on."""
    path = tmp_path_factory.mktemp("data") / "train.h5"
    gaussian_cutouts(320, size=68).write(path, specz_redshift=np.linspace(0.02, 0.38, 320))
    return path


def last_checkpoint(folder):
    import torch

    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def whole(stamps):
    """A training that was not interrupted."""
    folder = stamps.parent / "whole"
    assert main(["pretrain", str(stamps), str(folder), *OPTIONS, "--quiet"]) == 0
    return last_checkpoint(folder)


@needs_training
@both
def test_a_training_ends_with_a_checkpoint_of_the_step(tmp_path, stamps, whole, signum):
    """No checkpoint was due, and none is lost: it goes on as if it had not been interrupted."""
    from torch.testing import assert_close

    folder = tmp_path / "run"
    with started("pretrain", stamps, folder, *OPTIONS, before=SENDS.format(step=7, signum=int(signum))) as process:
        assert "resumes from the last checkpoint" in ended(process, signum, within=60)
    assert last_checkpoint(folder)["global_step"] == 8
    assert not list(tmp_path.rglob(".part*"))

    assert main(["pretrain", str(stamps), str(folder), *OPTIONS, "--quiet"]) == 0
    resumed = last_checkpoint(folder)
    assert resumed["global_step"] == whole["global_step"] == 40
    assert_close(resumed["state_dict"], whole["state_dict"], rtol=1e-5, atol=1e-7)


@needs_training
@pytest.mark.parametrize(
    ("command", "step", "signum"), [("pretrain", 0, signal.SIGINT), ("finetune", 12, signal.SIGTERM)]
)
def test_a_training_ends_where_no_checkpoint_can_be_written(tmp_path, stamps, command, step, signum):
    """In the first step, and in the last one of an epoch."""
    sends = SENDS.format(step=step, signum=int(signum))
    with started(command, stamps, tmp_path / "run", *OPTIONS, before=sends) as process:
        said = ended(process, signum, within=60)
    assert "there is no checkpoint yet" in said
    assert not list(tmp_path.rglob(".part*"))
    assert not (tmp_path / "run" / "metrics.json").exists()


@needs_training
def test_an_interrupt_leaves_a_training_in_python_as_one(tmp_path, stamps, monkeypatch):
    """Not as the `SystemExit` of Lightning, which would end a notebook's kernel; and Ctrl-C works again afterwards."""
    from astro_photz.train import Machine, Recipe, pretrain
    from astro_photz.train.runs.callbacks import StepSeed

    def interrupt(*arguments):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)

    monkeypatch.setattr(StepSeed, "on_train_batch_start", interrupt)
    before = {signum: signal.getsignal(signum) for signum in CODES}
    machine = Machine(accelerator="cpu", devices=1, progress=False)
    with pytest.raises(KeyboardInterrupt):
        pretrain(Recipe.read("smoke", changes=TINY), stamps, tmp_path / "run", machine=machine)
    assert {signum: signal.getsignal(signum) for signum in CODES} == before
