# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables that others wrote: none leads to another file, and none takes more memory than it explains."""

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from broken_tables import REFUSED, SECRET, UNPACKED, sound
from little_memory import growth

from astro_photz.tables import read_table
from astro_photz.tables._unpack import ROOM, unpacked


@pytest.mark.parametrize("ending", ["vot", "fits", "h5", "parquet"])
def test_what_is_changed_below_is_sound_before(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    path.write_bytes(sound(ending))
    assert read_table(path)["ra"].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize(("ending", "what"), REFUSED)
def test_a_table_that_is_wrong_in_one_way_is_refused_in_one_line(tmp_path, monkeypatch, ending, what):
    monkeypatch.setattr("astro_photz.tables._unpack.ROOM", UNPACKED // 2)
    pytest.importorskip("pyarrow") if ending == "parquet" else None
    other = tmp_path / "other"
    other.write_text(SECRET * 20)
    path = tmp_path / f"hosts.{ending}"
    path.write_bytes(REFUSED[ending, what](other.as_uri()))
    with pytest.raises(ValueError, match=path.name) as told:
        read_table(path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500
    assert SECRET not in str(told.value)


def test_no_other_file_is_opened(tmp_path):
    """Not even to see what is there: a pipe in its place would be waited for."""
    other = tmp_path / "other"
    os.mkfifo(other)
    words = ("stream", "entit", "outside", "virtual", "another file")
    for (ending, what), make in REFUSED.items():
        if any(word in what for word in words):
            path = tmp_path / f"hosts.{ending}"
            path.write_bytes(make(other.as_uri()))
            with pytest.raises(ValueError, match=path.name):
                read_table(path)


@pytest.mark.parametrize("arraysize", ["1", "*", "3", "2x3", "2x*", "10*"])
def test_cells_of_usual_sizes_are_read(tmp_path, arraysize):
    cell = {"2x*": "1 2 3 4", "2x3": "1 2 3 4 5 6", "1": "1"}.get(arraysize, "1 2 3")
    path = tmp_path / "hosts.vot"
    path.write_text(
        '<VOTABLE version="1.4"><RESOURCE><TABLE nrows="1"><FIELD name="ra" datatype="double"/>'
        f'<FIELD name="p" datatype="double" arraysize="{arraysize}"/><DATA><TABLEDATA>'
        f"<TR><TD>1.5</TD><TD>{cell}</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    table = read_table(path)
    assert table["ra"].tolist() == [1.5]
    assert np.ravel(table["p"][0]).tolist() == [float(value) for value in cell.split()]


def test_an_old_votable_names_its_grammar(tmp_path):
    """Those of version 1.0 do; nothing is fetched for it."""
    path = tmp_path / "hosts.vot"
    head = b'<!DOCTYPE VOTABLE SYSTEM "http://us-vo.org/xml/VOTable.dtd">\n<VOTABLE'
    path.write_bytes(sound("vot").replace(b"<VOTABLE", head, 1))
    assert len(read_table(path)) == 5


def test_a_fits_table_in_the_middle_of_others(tmp_path):
    path = tmp_path / "hosts.fits"
    table = fits.table_to_hdu(Table({"ra": [1.5], "dec": [2.5]}))
    hdus = [
        fits.PrimaryHDU(np.zeros((100, 100))),
        fits.ImageHDU(np.zeros(10)),
        table,
        fits.CompImageHDU(np.zeros((9, 9))),
    ]
    fits.HDUList(hdus).writeto(path)
    assert read_table(path)["ra"].tolist() == [1.5]
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(4_000_000)))  # zeros behind it are no header
    assert read_table(path)["ra"].tolist() == [1.5]


def test_what_unpacks_to_little_may_unpack_to_a_thousand_times_its_size():
    assert len(unpacked(gzip.compress(bytes(2**22)))) == 2**22
    assert unpacked(gzip.compress(gzip.compress(b"ra"))) == b"ra"
    assert unpacked(gzip.compress(b"ra,") + gzip.compress(b"dec")) == b"ra,dec"
    assert ROOM >= 2**22


def test_memory_is_bounded(tmp_path):
    """In a process of its own, with an address space that is limited."""
    pytest.importorskip("pyarrow")
    for number, ((ending, _), make) in enumerate(REFUSED.items()):
        if ending != "csv":
            (tmp_path / f"{number}.{ending}").write_bytes(make("file:///nothing"))
    imports = "import pyarrow.parquet; from astro_photz.tables import read_table"
    assert growth(tmp_path, "read_table", imports=imports, limit=6 * 2**30) < 600_000
