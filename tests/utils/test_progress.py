# Licensed under a 3-clause BSD style license - see LICENSE
"""Long work shows how far it is, on a terminal and in a notebook, and nowhere else."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from importlib.util import find_spec

import pytest

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._progress import progress_bar

needs_simulation = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("kcorrect")), reason="needs torch and kcorrect, of the extra [simulate]"
)
needs_training = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "lightning", "onnxscript"))), reason="needs the extra [train]"
)
N = 300  # more than the rows from which there is a bar


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of stamps with redshifts, the table of their galaxies, and what trains in seconds."""
    folder = tmp_path_factory.mktemp("long")
    cutouts = gaussian_cutouts(N, size=68)
    redshift = [0.02 + 0.36 * row / N for row in range(N)]
    cutouts.write(folder / "stamps.h5", specz_redshift=redshift)
    gaussian_cutouts(N, size=68, seed=1).write(folder / "others.h5", specz_redshift=redshift)
    lines = [f"{row},{one.coord.ra.deg[0]:.6f},{one.coord.dec.deg[0]:.6f}" for row, one in enumerate(cutouts)]
    (folder / "few.toml").write_text("[neighbours]\ndensity = 0.02\n")  # an empty field is drawn in less time
    (folder / "hosts.csv").write_text("\n".join(["objid,ra,dec", *lines]) + "\n")
    return folder


def on_terminal(arguments, folder, *, columns=80, lines=24, limit=300):
    """Run Python on a pseudo-terminal: exit code, and all that came to the screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=slave, stderr=slave, stdin=slave, cwd=folder, env=environment
    )
    os.close(slave)
    screen, end = b"", time.monotonic() + limit
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # EIO, as Linux says of a terminal that nobody holds open
                break
            if not part:
                break
            screen += part
    os.close(master)
    process.kill() if time.monotonic() >= end else None
    return process.wait(timeout=30), screen.decode()


def command(*arguments):
    return ["-m", "astro_photz", *arguments]


TINY = [
    f"--set={change}"
    for change in (
        *("encoder.width=4", "pretrain.epochs=1", "pretrain.batch_size=16", "pretrain.queue_length=16"),
        *("finetune.epochs=1", "finetune.batch_size=16"),
    )
]
TRAINING = ["--recipe", "smoke", *TINY, "--validation", "others.h5", "--accelerator", "cpu", "--devices", "1"]
CALL = "import astro_photz; astro_photz.{}('hosts.csv', source='stamps.h5')"

COMMANDS = {
    "predict": command("predict", "hosts.csv", "z.ecsv", "--source", "stamps.h5", "--overwrite"),
    "fetch": command("fetch", "hosts.csv", "again.h5", "--source", "stamps.h5", "--overwrite"),
    "predict, called": ["-c", CALL.format("predict")],
    "embed, called": ["-c", CALL.format("embed")],
    "fetch, called": ["-c", CALL.format("fetch")],
    "evaluate": command("evaluate", "bundled", "stamps.h5"),
}
SIMULATIONS = {
    "simulate galaxies": command("simulate", "galaxies", "sky.h5", "--n", "128", "--seed", "1", "--overwrite"),
    "simulate frames": command("simulate", "frames", "field", "--seed", "1", "--config", "few.toml", "--overwrite"),
}
TRAININGS = {
    "pretrain": command("pretrain", "stamps.h5", "pretrained", *TRAINING, "--overwrite"),
    "finetune": command("finetune", "stamps.h5", "finetuned", *TRAINING, "--overwrite"),
}
ALL = [
    *(pytest.param(arguments, id=name) for name, arguments in COMMANDS.items()),
    *(pytest.param(arguments, id=name, marks=needs_simulation) for name, arguments in SIMULATIONS.items()),
    *(pytest.param(arguments, id=name, marks=needs_training) for name, arguments in TRAININGS.items()),
]


@pytest.mark.parametrize("arguments", ALL)
def test_a_bar_on_a_terminal(folder, arguments):
    """It ends at 100 %, within the width of the terminal, and is all that there is but for words."""
    code, screen = on_terminal(arguments, folder)
    assert code == 0, screen
    assert "Traceback" not in screen
    shown = [int(percent) for percent in re.findall(r"(\d+)%\|", screen)]
    assert shown
    assert shown[-1] == 100
    drawn = [line for line in re.split(r"[\r\n]", screen) if "%|" in line]
    assert max(len(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)) for line in drawn) <= 80


@pytest.mark.parametrize(
    "arguments", [one for one in ALL if not one.id.startswith(("simulate", "finetune", "fetch", "evaluate"))]
)
def test_nothing_is_drawn_where_there_is_no_terminal(folder, arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for said in (done.stdout, done.stderr):
        assert "%|" not in said
        assert "it/s" not in said
        assert "\r" not in said


@pytest.mark.parametrize("name", ["predict", "fetch"])
def test_nothing_is_drawn_if_it_is_not_wanted(folder, name):
    code, screen = on_terminal([*COMMANDS[name], "--quiet"], folder)
    assert code == 0, screen
    assert "%|" not in screen
    called = f"import astro_photz; astro_photz.{name}('hosts.csv', source='stamps.h5', progress=False)"
    assert "%|" not in on_terminal(["-c", called], folder)[1]


@pytest.mark.parametrize(
    ("total", "progress", "drawn"),
    [(100, None, False), (101, None, True), (1, True, True), (0, True, False), (10**6, False, False)],
)
def test_when_there_is_a_bar(folder, total, progress, drawn):
    code = f"""
from astro_photz.utils._progress import progress_bar
with progress_bar({total}, {progress}, unit="stamps") as advance:
    for _ in range(2):
        advance({total} / 2)
"""
    _, screen = on_terminal(["-c", code], folder)
    assert ("%|" in screen) == drawn
    assert ("stamps/s" in screen) == drawn


@needs_training
def test_a_training_on_a_terminal_that_does_not_tell_its_size(folder):
    code, screen = on_terminal(TRAININGS["pretrain"], folder, columns=0, lines=0)
    assert code == 0, screen
    assert "100%|" in screen


@pytest.mark.parametrize(("columns", "lines"), [(0, 0), (80, 0), (0, 24), (40, 24), (60, 2), (200, 50)])
def test_a_bar_fits_the_terminal(folder, columns, lines):
    """Also one that does not tell its width or its height, as those of script and docker."""
    code = "from astro_photz.utils._progress import progress_bar\nwith progress_bar(200) as advance:\n    advance(200)"
    _, screen = on_terminal(["-c", code], folder, columns=columns, lines=lines)
    (bar,) = {line for line in re.split(r"[\r\n]", screen) if "100%|" in line}
    assert len(bar) <= (columns or 80)


def test_a_line_does_not_break_the_bar(folder):
    code = """
from astro_photz.utils._progress import progress_bar, write_line
with progress_bar(200) as advance:
    advance(100)
    write_line("a warning")
    advance(100)
"""
    _, screen = on_terminal(["-c", code], folder)
    assert re.search(r"(^|[\r\n])a warning\r?\n", re.sub(r"\r +\r", "\r", screen))
    assert "100%|" in screen


def test_an_error_ends_the_bar(folder):
    code = """
from astro_photz.utils._progress import progress_bar
with progress_bar(200) as advance:
    advance(50)
    1 / 0
"""
    code, screen = on_terminal(["-c", code], folder)
    assert code == 1
    assert "25%|" in screen
    assert "ZeroDivisionError" in screen


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, object(), io.StringIO(), closed()], ids=["none", "other", "text", "closed"])
def test_without_a_stderr(monkeypatch, stream):
    """As under pythonw, or in what captures it."""
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(1000) as advance:
        advance(1000)


@pytest.mark.parametrize("widgets", [True, False])
def test_a_bar_in_a_notebook(folder, widgets):
    """In a real kernel; without ipywidgets, the bar of a terminal."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    hidden = "" if widgets else "import sys\nsys.modules['ipywidgets'] = None\n"
    call = "import astro_photz\ntable = astro_photz.predict('hosts.csv', source='stamps.h5')"
    cells = [hidden + call, "len(table)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    drawing, counting = (cell["outputs"] for cell in notebook.cells)
    assert counting[0]["data"]["text/plain"] == str(N)
    if widgets:
        (state,) = notebook.metadata["widgets"].values()
        bars = [one["state"] for one in state["state"].values() if one["model_name"] == "FloatProgressModel"]
        assert [(bar["value"], bar["max"], bar["bar_style"]) for bar in bars] == [(N, N, "success")]
        assert all(output["output_type"] == "display_data" for output in drawing)
    else:
        assert f"100%|{'█' * 10}" in "".join(output["text"] for output in drawing)
