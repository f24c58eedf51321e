# Licensed under a 3-clause BSD style license - see LICENSE
"""HDF5 files that others wrote: what no file may make us do, and images that are not there."""

import os
import warnings

import h5py
import numpy as np
import pytest
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from broken_hdf5 import ABSENT, REFUSED, N, change_bytes, half_a_row, sound
from little_memory import growth

from astro_photz import CutoutFile, Cutouts, PhotozFlag
from astro_photz.cutouts.hdf5.layout import holds, open_cutouts, read_column
from astro_photz.positions import read_positions
from astro_photz.utils._hdf5 import attribute, find, first_names, unwritten_rows


def test_what_is_changed_below_is_sound_before(tmp_path):
    cutouts = Cutouts.read(sound(tmp_path / "stamps.h5"))
    assert len(cutouts) == N
    assert not cutouts.flags.any()
    assert np.isfinite(cutouts.flux).all()


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_wrong_in_one_way_is_refused_in_one_line(tmp_path, what):
    path = tmp_path / "stamps.h5"
    REFUSED[what](path)
    for read in (Cutouts.read, CutoutFile):
        with pytest.raises(ValueError, match=r"stamps\.h5") as told:
            read(path)
        assert "\n" not in str(told.value)
        assert len(str(told.value)) < 400
        assert not isinstance(told.value, UnicodeError)
    assert holds(path)


@pytest.mark.parametrize("what", [name for name in REFUSED if name.startswith("ra ")])
def test_the_data_set_is_named(tmp_path, what):
    REFUSED[what](tmp_path / "stamps.h5")
    with pytest.raises(ValueError, match=r"stamps\.h5: ra "):
        Cutouts.read(tmp_path / "stamps.h5")


def test_no_other_file_is_opened(tmp_path):
    """Not even to see what is there: a pipe in its place would be waited for."""
    for what in ("images a link to another file", "images a soft link to another file", "images virtual", "ra virtual"):
        path = tmp_path / "stamps.h5"
        REFUSED[what](path)
        other = tmp_path / "stamps.h5.other"
        other.unlink()
        os.mkfifo(other)
        with pytest.raises(ValueError, match="other file"):
            Cutouts.read(path)
        assert holds(path)
        other.unlink()
        path.unlink()


@pytest.mark.parametrize("what", ABSENT)
def test_images_that_are_not_there_are_flagged(tmp_path, what):
    write, absent = ABSENT[what]
    write(tmp_path / "stamps.h5")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cutouts = Cutouts.read(tmp_path / "stamps.h5")
        table = CutoutFile(tmp_path / "stamps.h5").catalog()
    assert ["cannot be read, and count as missing" in str(one.message) for one in told] == [True] * ("damaged" in what)
    there = np.setdiff1d(np.arange(N), absent)
    assert np.isnan(cutouts.flux[absent]).all()
    assert np.isfinite(cutouts.flux[there]).all()
    assert (cutouts.flags[absent] == PhotozFlag.NO_IMAGE).all()
    assert not cutouts.flags[there].any()
    assert len(table) == N


def test_a_damaged_image_costs_no_other_row(tmp_path):
    write, absent = ABSENT["damaged and packed"]
    path = tmp_path / "stamps.h5"
    write(path)
    source = CutoutFile(path)
    positions = read_positions(source.catalog())
    with pytest.warns(AstropyUserWarning, match=r"stamps\.h5: 2 of its images"):
        (batch,) = source.batches(positions)
    assert np.flatnonzero(batch.cutouts.flags).tolist() == absent


def test_a_band_that_was_never_written_leaves_the_others(tmp_path):
    half_a_row(tmp_path / "stamps.h5")
    flux = Cutouts.read(tmp_path / "stamps.h5").flux
    assert np.isnan(flux[[0, 3], 4]).all()
    assert np.isfinite(flux[[0, 3], :4]).all()


@pytest.mark.parametrize("options", [{}, {"chunks": (1,)}, {"chunks": (3,), "compression": "gzip"}, {"fillvalue": 0}])
def test_columns_that_were_never_written_are_unknown(tmp_path, options):
    """HDF5 reads them as zeros: no reddening, and a place on the sky."""
    path = sound(tmp_path / "stamps.h5", leave_out=("e_bv", "ra", "dec", "ObjID"))
    with h5py.File(path, "r+") as file:
        wide = options | ({"chunks": (*options["chunks"], 5)} if "chunks" in options else {})
        file.create_dataset("e_bv", (N, 5), "f4", **wide)
        for name, kind in {"ra": "f8", "dec": "f8", "ObjID": "i8"}.items():
            file.create_dataset(name, (N,), kind, **options)
    cutouts = Cutouts.read(path)
    assert np.isnan(cutouts.ebv).all()
    assert np.isnan(cutouts.coord.ra.deg).all()
    assert cutouts.ids.tolist() == [-1] * N


def test_rows_of_a_column_that_were_never_written_are_unknown(tmp_path):
    path = sound(tmp_path / "stamps.h5", leave_out=("ra",))
    with h5py.File(path, "r+") as file:
        file.create_dataset("ra", (N,), "f8", chunks=(1,))[1:3] = [10.0, 20.0]
    with open_cutouts(path) as file:
        assert unwritten_rows(file["ra"]).tolist() == [True, False, False, True]
        np.testing.assert_array_equal(read_column(file, "ra"), [np.nan, 10, 20, np.nan])
        np.testing.assert_array_equal(read_column(file, "ra", slice(2, 4)), [20, np.nan])


def test_links_within_a_file_lead_where_they_say(tmp_path):
    path = sound(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file.move("images", "survey/flux")
        file["survey/here"] = h5py.SoftLink("flux")
        file["images"] = h5py.SoftLink("/survey/here")
        assert find(file, "images") == file["survey/flux"]
        assert find(file, "survey/nothing") is None
    assert len(Cutouts.read(path)) == N


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_short(tmp_path, part):
    path = sound(tmp_path / "stamps.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OSError, match=r"stamps\.h5 is not an HDF5 file"):
        Cutouts.read(path)


def test_a_damaged_column_is_named(tmp_path):
    path = sound(tmp_path / "stamps.h5", leave_out=("dec",))
    with h5py.File(path, "r+") as file:
        file.create_dataset("dec", data=np.linspace(2, 3, N), chunks=(N,), fletcher32=True)
        place = file["dec"].id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"\xa5" * 8)
    with pytest.raises(OSError, match=r"stamps\.h5: dec cannot be read, the file is broken"):
        Cutouts.read(path)


def test_many_rows_in_a_chunk_are_unpacked_once(tmp_path):
    """HDF5 would forget such a chunk after each row, and unpack it again for the next one."""
    path = tmp_path / "stamps.h5"
    flux = np.random.default_rng(0).normal(0, 0.03, (120, 5, 64, 64)).astype("f4")
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=flux, chunks=(120, 5, 32, 32), compression="gzip", compression_opts=1)
        file["e_bv"] = np.zeros((120, 5))
    with open_cutouts(path) as file:
        assert file.id.get_access_plist().get_cache()[2] >= flux.nbytes
        cutouts = Cutouts.read(path)
    np.testing.assert_array_equal(cutouts.flux, flux)
    with open_cutouts(sound(tmp_path / "usual.h5", chunks=(1, 5, 64, 64), compression="gzip")) as file:
        assert file.id.get_access_plist().get_cache()[2] < flux.nbytes


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("nmgy", "nmgy"),
        (np.bytes_(b"nmgy"), "nmgy"),
        (["nmgy", "deg"], "nmgy"),
        (5, 5),
        (2.5, 2.5),
        (np.True_, True),
        (np.zeros(0), None),
        (h5py.Empty("f4"), None),
        (np.bytes_(b"\xff"), "\ufffd"),
    ],
)
def test_attributes_of_all_kinds(tmp_path, value, right):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["unit"] = value
        assert attribute(file, "unit") == right
        assert attribute(file, "nothing") is None


def test_names_in_messages_are_few_and_can_be_shown(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(30):
            file.create_group(f"group {number:02d} é")
        file.id.links.create_soft(b"\xff\xfe", b"/")
        told = first_names(file)
    assert told.isascii()
    assert told.endswith("and 21 more")


def test_damaged_files_raise_what_the_docstring_names(tmp_path):
    """Bytes changed at random, among the descriptions mostly: a value, or one of the documented errors."""
    whole = sound(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "stamps.h5"
    kinds = set()
    for seed in range(60):
        path.write_bytes(change_bytes(whole, seed=seed))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=AstropyUserWarning)
            try:
                kinds.add(len(Cutouts.read(path)))
            except (OSError, ValueError) as error:
                kinds.add(next(kind for kind in (OSError, ValueError) if isinstance(error, kind)))
                named = "stamps.h5" in str(error) and "\n" not in str(error)
                kinds |= set() if named else {str(error)}
    assert {N, OSError} <= kinds <= {N, OSError, ValueError}


def test_memory_is_bounded(tmp_path):
    """In a process of its own, which may take no more than a little above what importing takes."""
    names = [
        name for name in REFUSED if "million" in name or "2**40" in name or "chunk" in name or name == "long names"
    ]
    for number, name in enumerate(names):
        REFUSED[name](tmp_path / f"{number}.h5")
    imports = "from astro_photz import CutoutFile, Cutouts"
    assert growth(tmp_path, "Cutouts.read", "CutoutFile", imports=imports, limit=4 * 2**30) < 50_000


def test_table_of_a_file_with_links_out_is_refused(tmp_path):
    REFUSED["ra a link to another file"](tmp_path / "stamps.h5")
    with pytest.raises(ValueError, match="link to another file"):
        CutoutFile(tmp_path / "stamps.h5").batches(read_positions(Table({"ra": [1.0], "dec": [2.0]})))
