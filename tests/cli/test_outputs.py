# Licensed under a 3-clause BSD style license - see LICENSE
"""No command replaces a file that it reads, whatever --overwrite says, but for a table that gets columns."""

import shutil

import pytest
from astropy.table import Table

import astro_photz
from astro_photz.cli import main


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a table, the cutouts of its galaxies, and another name of these."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(astro_photz.demo_path(), "stamps.h5")
    (tmp_path / "other.h5").symlink_to("stamps.h5")
    table = astro_photz.predict(astro_photz.Cutouts.read("stamps.h5"), progress=False)
    table["z_spec"] = table["z_phot"].filled(0.1)
    table.write("z.ecsv")
    return {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "command",
    [
        "validate stamps.h5 --redshift specz_redshift --output stamps.h5",
        "validate stamps.h5 --redshift specz_redshift --output other.h5",
        "validate z.ecsv --output v.h5 --table z.ecsv",
        "validate z.ecsv --source stamps.h5 --output stamps.h5",
        "validate z.ecsv --output same.h5 --table same.h5",
        "report z.ecsv --output z.ecsv",
        "report z.ecsv --source stamps.h5 --output stamps.h5",
        "fetch z.ecsv z.ecsv --source stamps.h5",
        "fetch z.ecsv stamps.h5 --source stamps.h5",
        "embed stamps.h5 stamps.h5",
        "predict z.ecsv stamps.h5 --source stamps.h5 --replace",
    ],
)
def test_what_is_read_is_not_replaced(files, tmp_path, capsys, command):
    assert main([*command.split(), "--overwrite"]) == 1
    assert "is read by this command: choose another name" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--output v.txt", "--output v.txt: the name must end in .h5 or .hdf5"),
        ("--table m.png", "--table m.png: no format has that ending; use .ecsv, .fits"),
    ],
)
def test_an_ending_is_refused_before_the_work(files, capsys, options, message):
    with pytest.raises(SystemExit) as error:
        main(["validate", "z.ecsv", *options.split()])
    assert error.value.code == 2
    said = capsys.readouterr()
    assert message in " ".join(said.err.split())
    assert not said.out


def test_a_table_still_gets_its_columns_in_place(files):
    assert main(["predict", "z.ecsv", "z.ecsv", "--source", "stamps.h5", "--replace", "--overwrite", "--quiet"]) == 0
    assert "z_phot" in Table.read("z.ecsv").colnames


def test_a_file_of_cutouts_is_predicted_as_from_python(files):
    assert main(["predict", "stamps.h5", "new.ecsv", "--quiet"]) == 0
    new, table = Table.read("new.ecsv"), Table.read("z.ecsv")
    assert list(new["z_phot"]) == list(table["z_phot"])
