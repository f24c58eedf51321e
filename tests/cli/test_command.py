# Licensed under a 3-clause BSD style license - see LICENSE
"""The command as a command: exit codes, words, terminals and pipes. What it computes is tested in `test_cli`."""

import logging
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from astropy import units as u
from astropy.table import QTable, Table

from astro_photz.cli import _command_line, main
from astro_photz.cli._common import add_command
from astro_photz.cli._parser import CommandParser
from astro_photz.cli._terminal import print_table, wrapped
from astro_photz.cli._wording import in_options

COMMANDS = (
    *("", "demo", "predict", "merge", "fetch", "validate", "report", "regions"),
    *("embed", "index", "search", "outliers", "suggest"),
    *("simulate", "simulate galaxies", "simulate points", "simulate frames", "simulate patches"),
    *("pretrain", "finetune", "adapt", "export", "evaluate", "card", "models", "models list", "models import"),
)


def parser_of(command):
    """The parser of a command."""
    parser = _command_line()
    for name in command.split():
        parser = next(action for action in parser._actions if action.choices and name in action.choices).choices[name]
    return parser


def usage_error(capsys, *arguments):
    """What is said of wrong usage."""
    with pytest.raises(SystemExit) as leaving:
        main(list(arguments))
    assert leaving.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("astro-photz: error: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture
def models(monkeypatch):
    """Lets ``astro-photz models`` do what a test wants, and gives the exit code."""

    def run(does, *options):
        monkeypatch.setattr("astro_photz.cli._models._list", does)
        return main(["models", *options])

    return run


def raising(error):
    def run(arguments):
        raise error

    return run


# Exit codes


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_command_tells_its_exit_code(models, returned, code):
    assert models(lambda arguments: returned) == code


class OddError(Exception):
    """Such as a library may raise."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too few galaxies\nof a kind"), "too few galaxies"),
        (KeyError("no such set"), "no such set"),
        (FileNotFoundError(2, "No such file or directory", "a.h5"), "a.h5: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("\nodd"), "RuntimeError: odd (--traceback shows where)"),
        (OddError(), "OddError, without further words (--traceback shows where)"),
        (ValueError(), "ValueError, without further words (--traceback shows where)"),
    ],
)
def test_any_error_is_one_line(models, capsys, error, said):
    assert models(raising(error)) == 1
    assert capsys.readouterr().err == f"astro-photz: error: {said}\n"


def test_an_error_of_the_net_is_one_line(models, capsys):
    requests = pytest.importorskip("requests")
    assert models(raising(requests.ConnectionError("nobody answers"))) == 1
    assert capsys.readouterr().err == "astro-photz: error: nobody answers\n"


@pytest.mark.parametrize("place", ["before", "behind", "environment"])
def test_a_traceback_is_to_be_had(models, monkeypatch, place):
    monkeypatch.setattr("astro_photz.cli._models._list", raising(RuntimeError("odd")))
    if place == "environment":
        monkeypatch.setenv("ASTRO_PHOTZ_TRACEBACK", "1")
    option = {"before": ["--traceback", "models"], "behind": ["models", "--traceback"], "environment": ["models"]}
    with pytest.raises(RuntimeError, match="odd"):
        main(option[place])


def test_exit_codes_are_in_the_help():
    told = " ".join(_command_line().format_help().split())
    assert (
        "exit codes: 0 success; 1 an error; 2 wrong usage; 3 no galaxy has a redshift (predict) or an image (fetch); "
        "130 Ctrl-C; 143 SIGTERM"
    ) in told


@pytest.mark.parametrize("arguments", [["models"], ["--help"], ["predict", "--help"]])
def test_a_closed_pipe_is_no_error(arguments):
    """As in ``astro-photz models | head -1``, which may have its line before the command has written all."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "astro_photz", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in ((141,) if arguments == ["models"] else (0, 141))  # argparse itself passes over it


@pytest.mark.parametrize("module", ["astro_photz", "astro_photz.cli"])
def test_the_package_is_the_command(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("astro-photz ")


# Words


@pytest.mark.parametrize(
    ("command", "message", "said"),
    [
        ("predict", "say which by coord= (a SkyCoord column)", "say which by --coord (a SkyCoord column)"),
        ("predict", "by ra= and dec=; got ra=None, dec='DE'", "by --ra and --dec; got --ra None, --dec DE"),
        ("predict", "a column ebv (or ebv='its name'),", "a column ebv (or --ebv its name),"),
        ("predict", "data_release=17 is meant", "--data-release 17 is meant"),
        ("fetch", "exists, set overwrite=True", "exists, set --overwrite"),
        ("fetch", "set overwrite=True (--overwrite) to start", "set --overwrite to start"),
        ("fetch", "size must lie between 64 and 90", "--size must lie between 64 and 90"),
        ("predict", "prefix must be a text", "--prefix must be a text"),
        ("simulate galaxies", "n must be at least 1", "--n must be at least 1"),
        ("simulate points", "n_faint must be 0 where", "--n-faint must be 0 where"),
        ("export", "point_sources must be a file", "--point-sources must be a file"),
        ("simulate frames", "n_fields must be at least 1", "--n must be at least 1"),
        ("simulate frames", "run must be at most 999999", "--run must be at most 999999"),
        ("finetune", "n_labels must be above 0", "--n-labels must be above 0"),
        # what stays
        ("predict", "size must be 64", "size must be 64"),  # no option of this command
        ("predict", "ra must lie between 0 and 360", "ra must lie between 0 and 360"),  # the column
        ("predict", "columns 'ra'/'dec' and 'ra=1' differ", "columns 'ra'/'dec' and 'ra=1' differ"),
        ("predict", "no file /data/ra=12/source=x.h5", "no file /data/ra=12/source=x.h5"),
        ("predict", "the source must yield every row", "the source must yield every row"),
        ("predict", "it was the galaxy's ra= that", "it was the galaxy's --ra that"),
        ("pretrain", "(--set pretrain.workers=2 is none)", "(--set pretrain.workers=2 is none)"),
        ("pretrain", "batch_size must be shared", "batch_size must be shared"),
    ],
)
def test_messages_name_options(command, message, said):
    assert in_options(message, parser_of(command)) == said


def test_an_error_of_python_names_the_option(tmp_path, models, capsys):
    """From end to end, where Python says ``overwrite=True``."""
    pytest.importorskip("torch")
    pytest.importorskip("kcorrect")
    (tmp_path / "truth.ecsv").touch()
    assert main(["simulate", "frames", str(tmp_path), "--seed", "1"]) == 1
    assert "exists: choose another folder, or set --overwrite\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predct"], "no command 'predct': did you mean 'predict'? Known are demo, predict, "),
        (["simulate", "galaxis"], "no command 'galaxis': did you mean 'galaxies'?"),
        (["predict", "a", "b", "--sorce", "x"], "no option --sorce: did you mean --source? (help: astro-photz predict"),
        (["predict", "a", "b", "--sorce=x"], "no option --sorce: did you mean --source?"),
        (["simulate", "frames", "f", "--seed", "1", "--camcal", "3"], "no option --camcal: did you mean --camcol?"),
        (["predict", "a", "b", "--zzzzzz"], "no option --zzzzzz (help"),
        (["fetch", "a", "b", "--whole"], "no option --whole: its name is --drop-incomplete now (help: astro-photz"),
        (["predict", "a", "b", "c"], "more arguments than the command takes: c"),
        (["fetch", "a", "b", "--dtype", "float15"], "argument --dtype: not 'float15': did you mean 'float16'? Known"),
        (["fetch", "a", "b", "--dtype", "x"], "argument --dtype: not 'x': known are float32, float16"),
        (["predict"], "the following arguments are required: IN, OUT"),
    ],
)
def test_wrong_usage_is_told_with_what_was_meant(capsys, arguments, said):
    assert said in usage_error(capsys, *arguments)


def test_warnings_are_lines_and_each_is_told_once(models, capsys):
    def warn(arguments):
        with warnings.catch_warnings(action="always"):
            for number in range(4):
                warnings.warn(f"frame {number // 2} is missing\nat all", UserWarning, stacklevel=1)

    assert models(warn) == 0
    expected = [f"astro-photz: warning: frame {number} is missing" for number in (0, 1)]
    assert capsys.readouterr().err.splitlines() == expected


def test_warnings_are_lines_whatever_is_imported_meanwhile(tmp_path):
    """The archive's source imports astroquery, which has a way of its own to show them."""
    code = """
import sys, warnings
from astro_photz.cli import _models, main
def run(arguments):
    assert "astropy" not in before and "astroquery" not in before
    import astroquery.sdss
    from astropy.utils.exceptions import AstropyUserWarning
    warnings.warn("in 3 rows: give extinction_release=12", AstropyUserWarning)
_models._list = run
before = set(sys.modules)
sys.exit(main(["models"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "astro-photz: warning: in 3 rows: give extinction_release=12\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_notices_of_the_log_are_lines(monkeypatch, tmp_path, capsys, quiet):
    def run(arguments):
        logging.getLogger("astro_photz.cutouts").warning("the server asks to wait %d s", 20)
        logging.getLogger("astro_photz").info("a detail")

    monkeypatch.setattr("astro_photz.cli._models._import", run)
    before = list(logging.getLogger("astro_photz").handlers)
    assert main(["models", "import", "hayat2021", *(["--quiet"] if quiet else [])]) == 0
    assert capsys.readouterr().err == ("" if quiet else "astro-photz: the server asks to wait 20 s\n")
    assert logging.getLogger("astro_photz").handlers == before


@pytest.mark.parametrize(
    "command",
    [
        *("predict", "fetch", "simulate galaxies", "simulate points", "simulate frames", "simulate patches"),
        *("pretrain", "finetune", "evaluate", "models import"),
    ],
)
def test_what_draws_a_bar_can_be_quiet(command):
    assert "--quiet" in parser_of(command).format_help()


# Terminals


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal(monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = parser_of(command).format_help().splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith(f"usage: astro-photz {command}".rstrip())


def on_terminal(columns, *arguments, program=("-m", "astro_photz")):
    """What a command shows on a terminal so wide, its lines."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    import struct

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, *program, *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the other end is closed
            pass
        process.wait(timeout=60)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [44, 90])
def test_help_and_tables_fit_a_real_terminal(columns):
    for arguments in (["predict", "--help"], ["models"]):
        lines = on_terminal(columns, *arguments)
        assert len(lines) > 5
        assert max(map(len, lines)) <= columns


def test_an_error_is_wrapped_on_a_terminal_alone(capsys):
    command = ["predict", "absent.csv", "absent/z.ecsv", "--source", "nowhere"]
    assert main(command) == 1
    whole = capsys.readouterr().err.rstrip("\n")
    assert "\n" not in whole
    lines = on_terminal(40, *command)
    assert len(lines) > 1
    assert max(map(len, lines)) <= 40
    assert " ".join(line.strip() for line in lines) == whole


@pytest.mark.parametrize("ends", ["error", "interrupt"])
def test_a_bar_is_not_drawn_below_the_last_line(ends):
    """One that a library leaves open, as Lightning does."""
    error = {"error": "ValueError('too few')", "interrupt": "KeyboardInterrupt()"}[ends]
    before = f"""
def work(arguments):
    import tqdm
    arguments.bar = tqdm.tqdm(total=9)
    arguments.bar.update(3)
    raise {error}
cli._run = work
"""
    last = {"error": "astro-photz: error: too few", "interrupt": "astro-photz: interrupted"}[ends]
    program = ["-c", f"import sys\nfrom astro_photz import cli\n{before}\nsys.exit(cli.entry())"]
    assert on_terminal(70, "models", program=program)[-1] == last


def test_words_stay_whole_where_lines_are_wrapped():
    path = "/a/rather-long/path/to/the-images.h5"
    assert path in wrapped(f"  no file {path} is there", 20).split()
    assert wrapped("  12 NO_IMAGE: no image", None) == "  12 NO_IMAGE: no image"
    assert wrapped("  12 NO_IMAGE: no image", 16) == "  12 NO_IMAGE:\n    no image"


@pytest.fixture
def terminal(monkeypatch):
    """Lets stdout be a terminal of so many columns."""

    def wide(columns):
        monkeypatch.setattr("astro_photz.cli._terminal.terminal_width", lambda stream: columns)

    return wide


def test_a_table_comes_in_groups_of_columns(terminal, capsys):
    table = Table({"name": ["a", "b"], **{f"column {number}": [number, 1.5 * number] for number in range(6)}})
    terminal(None)
    print_table(table)
    assert capsys.readouterr().out.splitlines() == table.pformat(max_lines=-1, max_width=-1)
    terminal(30)
    print_table(table)
    groups = capsys.readouterr().out.rstrip("\n").split("\n\n")
    assert [group.splitlines()[0].split() for group in groups] == [
        f"name column {first} column {first + 1}".split() for first in (0, 2, 4)
    ]
    for group in groups:
        assert max(map(len, group.splitlines())) <= 30
        assert group.splitlines()[3].split()[0] == "b"
    assert "7.5" in groups[2].splitlines()[3]


def test_a_cell_wider_than_the_terminal_is_wrapped(terminal, capsys):
    text = "drawn from the colours of real galaxies"
    terminal(24)
    print_table(QTable({"name": ["mine", "other"], "text": [text, "short"], "width": [1.0, 2.0] * u.m}))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 24
    first, second = (group.splitlines() for group in out.rstrip("\n").split("\n\n"))
    assert first[0].split() == ["name", "text"]
    assert "m" in second[1].split()
    assert " ".join([first[2].removeprefix(" mine"), *first[3:-1]]).split() == text.split()
    assert first[-1].split() == ["other", "short"]


@pytest.mark.parametrize("columns", [40, 100])
def test_examples_can_be_pasted(monkeypatch, columns):
    """Whatever the width, bash reads the same command, and takes what is said of it for a comment."""
    bash = shutil.which("bash") or pytest.skip("needs bash")
    monkeypatch.setenv("COLUMNS", str(columns))
    command = "astro-photz simulate galaxies deep.h5 --n 100000 --seed 2 --config deep.toml"
    examples = [("astro-photz models", "those at hand, with all that is known of them"), (command, "")]
    text = CommandParser(prog="x", examples=examples).format_help().partition("examples:\n")[2]
    assert ("\\\n" in text) == (columns == 40)
    script = f"astro-photz() {{ echo astro-photz $*; }}\n{text}"
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["astro-photz models", command]


def test_a_command_is_added_with_examples():
    parser = CommandParser(prog="x")
    made = add_command(parser.add_subparsers(), "go", print, "go on", [("x go", "there")])
    assert "  # there\n  x go\n" in made.format_help()
    assert parser.parse_args(["go"]).run is print


# Completion


def completed(words):
    """What bash offers for the last of some words."""
    script = subprocess.run(
        [sys.executable, "-m", "astro_photz", "--print-completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    ask = f"""
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
eval "$(complete -p astro-photz | sed 's/.* -F \\([^ ]*\\).*/\\1/')" astro-photz "${{COMP_WORDS[COMP_CWORD]}}" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    bash = shutil.which("bash") or pytest.skip("needs bash")
    done = subprocess.run([bash, "-c", script + ask], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_tab_key_knows_commands_and_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.csv").touch()
    assert {"predict", "pretrain"} == {*completed(["astro-photz", "pre"])}
    assert completed(["astro-photz", "simulate", "gal"]) == ["galaxies"]
    assert completed(["astro-photz", "fetch", "--cat"]) == ["--catalog-flux", "--catalog-radius"]
    assert completed(["astro-photz", "predict", "hos"]) == ["hosts.csv"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_is_printed_for_each_shell(capsys, shell):
    with pytest.raises(SystemExit) as leaving:
        main(["--print-completion", shell])
    assert leaving.value.code == 0
    script = capsys.readouterr().out
    assert "galaxies" in script
    if shell == "bash" and shutil.which("bash"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
