# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors of validations, and of the command.
"""

import contextlib
import io
from functools import cache

import numpy as np
from hypothesis import strategies as st

from astro_photz import validate
from astro_photz.cli import main
from astro_photz.validation import Validation

from .edits import byte_edits, edited_bytes, edited_text, hostile, mostly, text_edits
from .galaxies import columns, made_table, names
from .judging import Fault, Target

__all__ = ["TARGETS"]

_NUMBERS = mostly(st.floats(0.01, 0.4), times=8)
_GIVEN = mostly(
    st.sampled_from(["z_spec", "zp", "ze"]), st.one_of(st.lists(_NUMBERS, min_size=3, max_size=3), names, hostile)
)


def _validate(given, folder):
    table = made_table(given["columns"])
    n = len(table) if table.colnames else 3
    for name in ("z_spec", "zp", "ze"):
        if name not in table.colnames and len(given[name]) >= n:
            table[name] = given[name][:n]
    validation = validate(table, given["redshift"], resamples=3, at_least=1, **given["options"])
    if len(validation.galaxies) != len(table):
        raise Fault(f"{len(validation.galaxies)} galaxies of {len(table)} rows")
    used = np.asarray(validation.galaxies["used"])
    for name in ("redshift", "z_phot", "deviation"):
        values = np.ma.asarray(validation.galaxies[name])[used]
        if np.ma.getmaskarray(values).any() or not np.isfinite(np.ma.getdata(values)).all():
            raise Fault(f"{name} of a galaxy that is used is not known")
    str((validation.verdict, validation.table, validation.outliers))


@cache
def _file():
    from tempfile import TemporaryDirectory

    from astropy.table import Table

    table = Table({"z_spec": [0.05, 0.1, 0.2], "zp": [0.06, 0.1, 0.3], "e": [0.01, 0.02, 0.02]})
    with TemporaryDirectory() as folder:
        validate(table, z_phot="zp", z_err="e", resamples=3).write(f"{folder}/v.h5")
        with open(f"{folder}/v.h5", "rb") as file:
            return file.read()


def _read(given, folder):
    import h5py

    path = folder / "v.h5"
    path.write_bytes(_file())
    with h5py.File(path, "r+") as file:
        numbers = file["numbers"][()].decode()
        del file["numbers"]
        file["numbers"] = edited_text(numbers, given["letters"]).encode("utf-8", "replace").replace(b"\0", b"")
        for name, value in given["attributes"].items():
            with contextlib.suppress(Exception):  # what HDF5 does not hold
                file.attrs[name] = value
        if given["without"] in file:
            del file[given["without"]]
    if given["edits"]:
        path.write_bytes(edited_bytes(path.read_bytes(), given["edits"]))
    Validation.read(path)


_WORDS = mostly(
    st.sampled_from(["--z-phot", "zp", "--z-err", "e", "--redshift", "z_spec", "--ra", "ra", "--resamples", "3"]),
    st.sampled_from(
        ["--ra-unit", "m", "--pdf", "--table", "no/t.csv", "--output", "x.h5", "--groups", "--prefix", "-", ""]
    )
    | hostile.map(str),
)


def _command(given, folder):
    """The command says what is wrong in a line, and leaves with a documented code."""
    path = folder / "table.csv"
    text = "z_spec,zp,e,ra,dec\n0.05,0.06,0.01,1,2\n0.1,0.1,0.02,2,3\n0.2,0.3,0.02,3,4\n"
    path.write_text(edited_text(text, given["letters"]), encoding="utf-8", errors="surrogatepass")
    words = [word.replace("\0", "") for word in given["words"] if word != "-"]  # standard input is not ours
    said, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed), contextlib.chdir(folder):
        try:
            code = main(["validate", str(path), "--quiet", *words])
        except SystemExit as leaving:
            code = leaving.code
    lines = [line for line in said.getvalue().splitlines() if "error:" in line]
    if code not in (0, 1, 2):
        raise Fault(f"the exit code is {code}")
    if code and len(lines) != 1:
        raise Fault(f"it says {len(lines)} errors: {said.getvalue()!r}")
    if "Traceback" in said.getvalue() or "--traceback" in "".join(lines):
        raise Fault(f"an error of no documented class: {lines}")


_ROWS = st.lists(_NUMBERS, min_size=5, max_size=5)

TARGETS = (
    Target(
        "validate",
        st.fixed_dictionaries(
            {
                "columns": columns(most=4),
                **dict.fromkeys(("z_spec", "zp", "ze"), _ROWS),
                "redshift": mostly(st.just("z_spec"), _GIVEN, times=2),
                "options": st.fixed_dictionaries(
                    {"z_phot": mostly(st.just("zp"), _GIVEN, times=2)},
                    optional={
                        "z_err": mostly(st.just("ze"), _GIVEN, times=2),
                        "groups": mostly(st.none(), _GIVEN),
                        "prefix": mostly(st.just("z_phot"), names),
                    },
                ),
            }
        ),
        _validate, (TypeError, KeyError, ValueError, OSError), 0.3,
    ),
    Target(
        "validation.file",
        st.fixed_dictionaries(
            {
                "letters": mostly(st.just([]), text_edits(2), times=1),
                "attributes": st.dictionaries(st.sampled_from(["kind", "form"]), hostile, max_size=1),
                "without": mostly(st.just(""), st.sampled_from(["numbers", "galaxies", "pdf"])),
                "edits": mostly(st.just([]), byte_edits(2), times=2),
            }
        ),
        _read, (OSError, ValueError), 0.3,
    ),
    Target(
        "command",
        st.fixed_dictionaries({"words": st.lists(_WORDS, max_size=6), "letters": mostly(st.just([]), text_edits(2))}),
        _command, (), 0.3,
    ),
)  # fmt: skip
