# Licensed under a 3-clause BSD style license - see LICENSE
"""The command ``astro-photz validate``."""

import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table

from astro_photz.cli import main
from astro_photz.demo import demo_path
from astro_photz.validation import Validation

PLAIN = """
import sys
from importlib.abc import MetaPathFinder


class Plain(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "lightning", "matplotlib.figure", "qp"):
            raise ImportError(name)


sys.meta_path.insert(0, Plain())
from astro_photz.cli import main
from astro_photz.demo import demo_path

assert main(["validate", str(demo_path()), "--output", "v.h5"]) == 0
"""


@pytest.fixture
def theirs(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.uniform(0.1, 0.5, 200)
    table = Table({"objid": np.arange(200), "zspec": z, "zph": rng.normal(z, 0.02), "e": np.full(200, 0.02)})
    table["zspec"][:5] = -9999
    table["zph"][9] = 0.9
    table.write(tmp_path / "theirs.csv")
    return tmp_path / "theirs.csv"


def test_another_code_gets_a_verdict(theirs, capsys):
    assert main(["validate", str(theirs), "--redshift", "zspec", "--z-phot", "zph", "--z-err", "e"]) == 0
    out = capsys.readouterr().out
    assert "195 of 200 rows have a redshift and an estimate: 5 have no redshift." in out
    assert " +/- " in out
    assert "coverage68" in out
    assert out.index("Outliers") < out.index(" 9 ", out.index("Outliers"))


@pytest.mark.filterwarnings("always:the table has no column")
def test_a_column_of_another_code_is_told_before_images_are_fetched(theirs, capsys):
    table = Table.read(theirs)
    table["ra"], table["dec"] = 150.0, 2.0
    table.write(theirs, overwrite=True)
    assert main(["validate", str(theirs), "--redshift", "zspec", "--source", str(demo_path())]) == 1
    said = capsys.readouterr().err
    assert "estimated from images; to judge those of the column 'zph' instead, give --z-phot zph" in said
    assert "no row has both" in said


def test_a_column_of_pdfs_without_bins_is_told_what_to_do(theirs, tmp_path, capsys):
    table = Table.read(theirs)
    table["pz"] = np.full((len(table), 4), 0.25)
    table.write(tmp_path / "pz.fits")
    assert main(["validate", str(tmp_path / "pz.fits"), "--redshift", "zspec", "--pdf", "pz"]) == 1
    assert "--pdf pz: the file does not tell the redshifts" in capsys.readouterr().err


def test_results_are_kept(theirs, tmp_path, capsys):
    output, table = tmp_path / "v.h5", tmp_path / "v.ecsv"
    command = ["validate", str(theirs), "--redshift", "zspec", "--z-phot", "zph"]
    command += ["--output", str(output), "--table", str(table)]
    assert main(command) == 0
    read = Validation.read(output)
    assert read.sample["file"] == "theirs.csv"
    assert len(Table.read(table)) == len(read.table)
    assert f"wrote {output}" in capsys.readouterr().err
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_file_of_images_is_estimated_first(capsys):
    assert main(["validate", str(demo_path()), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "The images are simulated" in out
    assert "too few to tell" in out


def test_the_plain_install_judges(tmp_path):
    done = subprocess.run([sys.executable, "-c", PLAIN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Validation.read(tmp_path / "v.h5").overall["n"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--redshift z_spec: the table has no such column; did you mean 'zspec'"),
        (("--redshift", "zspec", "--z-phot", "zp"), "--z-phot zp: the table has no such column; did you mean 'zph'"),
        (("--redshift", "zspec"), "none can be estimated"),
        (("--redshift", "zspec", "--z-phot", "zph", "--resamples", "0"), "--resamples must be at least 1"),
    ],
)
def test_wrong_use_is_one_line(theirs, capsys, options, message):
    assert main(["validate", str(theirs), *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith("astro-photz: error: ")
    assert message in err
    assert err.count("\n") == 1
