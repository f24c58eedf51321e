# Licensed under a 3-clause BSD style license - see LICENSE
"""Table.read of a file of cutouts, beside astropy's own reader of HDF5."""

import shutil
import subprocess
import sys
from io import BytesIO

import h5py
import numpy as np
import pytest
from astropy.io.registry import IORegistryError
from astropy.table import QTable, Table
from broken_hdf5 import REFUSED, sound

import astro_photz
from astro_photz.adapters.unified_io import FORMAT, is_stamps, register
from astro_photz.cutouts.hdf5.catalogue import read_catalogue


@pytest.fixture
def stamps(tmp_path):
    """A file of cutouts of the demonstration, with an ending that says nothing."""
    return shutil.copy(astro_photz.demo_path(), tmp_path / "galaxies.data")


def test_the_import_of_the_package_alone_registers_nothing():
    code = "import sys, astro_photz; assert 'astropy.table' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_may_be_a_path_or_open(stamps):
    wanted = read_catalogue(stamps)
    for given in (stamps, str(stamps)):
        assert Table.read(given).colnames == wanted.colnames
    with open(stamps, "rb") as file:
        np.testing.assert_array_equal(Table.read(file)["ObjID"], wanted["ObjID"])
        assert file.tell() == 0
    assert len(Table.read(stamps, format=FORMAT)) == len(wanted)
    with h5py.File(stamps) as file:
        assert len(Table.read(file, format=FORMAT)) == len(wanted)


def test_quantities_have_their_units(stamps):
    table = QTable.read(stamps, format=FORMAT)
    assert isinstance(table, QTable)
    assert table["psf_fwhm"].unit == "arcsec"
    with pytest.raises(IORegistryError, match=f"options are: {FORMAT}, hdf5"):
        QTable.read(stamps)


def test_a_table_of_astropy_stays_one(tmp_path, stamps):
    path = tmp_path / "table.h5"
    Table({"a": [1, 2]}).write(path, path="t", serialize_meta=True)
    assert Table.read(path).colnames == ["a"]
    with h5py.File(stamps, "r+") as file:  # cutouts, and a table beside them
        file["rows"] = np.zeros(2, dtype=[("b", "i4")])
    assert Table.read(stamps).colnames == ["b"]
    assert Table.read(stamps, format=FORMAT)["ebv"].unit == "mag"


def test_options_ask_for_another_reader(stamps):
    with pytest.raises(OSError, match="Path nothing does not exist"):
        Table.read(stamps, path="nothing")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_other_files_are_none_of_ours(tmp_path, content):
    path = tmp_path / "some.h5"
    path.write_bytes(content)
    with open(path, "rb") as file:
        assert not is_stamps("read", str(path), file, file)
        assert file.tell() == 0
    assert not is_stamps("write", "stamps.h5", None)
    assert not is_stamps("read", None, None, ["a b", "1 2"])


def test_registering_again_changes_nothing(stamps):
    register()
    register()
    assert len(Table.read(stamps)) == 24
    assert "astro_photz.stamps" in Table.read.__doc__
    assert "votable" in Table.read.__doc__


@pytest.mark.parametrize("what", ["images a link to another file", "ra virtual", "one row for all", "channels last"])
def test_a_file_that_is_wrong_is_told_in_words(tmp_path, what):
    path = tmp_path / "stamps.h5"
    REFUSED[what](path)
    with pytest.raises(ValueError, match=r"stamps\.h5"):
        Table.read(path)


def test_what_is_no_file_of_cutouts_is_told(tmp_path):
    path = sound(tmp_path / "stamps.h5", leave_out=("images",))
    with pytest.raises(ValueError, match="lacks the data set images"):
        Table.read(path, format=FORMAT)
    with pytest.raises(TypeError, match="must be a path, or a file on disk"):
        Table.read(BytesIO(path.read_bytes()), format=FORMAT)
