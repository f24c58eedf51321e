# Licensed under a 3-clause BSD style license - see LICENSE
"""A file of cutouts as a table: what Cutouts.read gives, without the images."""

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning
from broken_hdf5 import ABSENT, REFUSED, N, sound

from astro_photz import Cutouts, PhotozFlag, demo_path, predict
from astro_photz.cutouts.hdf5 import catalogue, layout
from astro_photz.cutouts.hdf5.catalogue import read_catalogue
from astro_photz.positions import read_positions
from astro_photz.testing import gaussian_cutouts


def written(path, n=5, **columns):
    """A file of n galaxies, and their cutouts."""
    cutouts = gaussian_cutouts(n)
    cutouts.write(path, **columns)
    return cutouts


def test_it_has_the_galaxies_of_the_cutouts():
    table, cutouts = read_catalogue(demo_path()), Cutouts.read(demo_path())
    assert list(table["ObjID"]) == list(cutouts.ids)
    np.testing.assert_array_equal(table["flags"], cutouts.flags)
    np.testing.assert_allclose(table["ebv"], cutouts.ebv)
    np.testing.assert_allclose(table["psf_fwhm"], cutouts.psf_fwhm)
    assert table.meta == {"simulated": True, "stamp_size": 64}
    assert "images" not in table.colnames
    positions = read_positions(table)
    assert positions.coord.separation(cutouts.coord).max() < 1e-6 * u.arcsec
    np.testing.assert_array_equal(positions.ids, cutouts.ids)


def test_every_data_set_of_the_layout_has_a_name_and_a_description():
    assert set(catalogue._COLUMNS) == set(layout._ROWS)
    for name, unit, description in catalogue._COLUMNS.values():
        assert name
        assert description
        assert unit is None or u.Unit(unit) == unit


def test_its_redshifts_are_those_of_the_images():
    direct = predict(Cutouts.read(demo_path()), progress=False)
    named = predict(read_catalogue(demo_path()), source=demo_path(), progress=False)
    np.testing.assert_array_equal(named["z_phot"], direct["z_phot"])


def test_columns_of_the_user_come_with_their_units(tmp_path):
    path = tmp_path / "stamps.h5"
    written(
        path, mass=np.arange(5.0), name=np.array(["a", "é", "c", "d", "e"]), pair=np.zeros((5, 2)), early=np.ones(5) > 0
    )
    with h5py.File(path, "r+") as file:
        file["mass"].attrs["unit"] = "solMass"
        file["pair"].attrs["unit"] = "furlong per fortnight"
        file["note"] = "of one value"
        file["more/mass"] = np.zeros(5)
        file["other_images"] = np.zeros((5, 3, 3))
    table = read_catalogue(path)
    assert table["mass"].unit == u.solMass
    assert table["pair"].unit is None
    assert list(table["name"]) == ["a", "é", "c", "d", "e"]
    assert table["early"].all()
    assert not {"note", "more", "other_images"} & set(table.colnames)


@pytest.mark.parametrize("name", ["e_bv", "ra", "ObjID", "flags", "psf_fwhm"])
def test_what_a_file_lacks_is_no_column(tmp_path, name):
    table = read_catalogue(sound(tmp_path / "stamps.h5", leave_out=(name,)))
    assert len(table) == N
    assert {"e_bv": "ebv"}.get(name, name) not in table.colnames


@pytest.mark.parametrize("what", [what for what in REFUSED if not what.startswith("e_bv")])
def test_a_file_that_is_wrong_is_refused_as_by_cutouts(tmp_path, what):
    path = tmp_path / "stamps.h5"
    REFUSED[what](path)
    with pytest.raises((ValueError, OSError)) as told:
        read_catalogue(path)
    with pytest.raises(type(told.value)) as same:
        Cutouts.read(path)
    assert str(told.value) == str(same.value)


@pytest.mark.parametrize("what", [what for what in ABSENT if not what.startswith("damaged")])
def test_images_that_were_never_written_are_flagged(tmp_path, what):
    make, rows = ABSENT[what]
    make(tmp_path / "stamps.h5")
    flags = read_catalogue(tmp_path / "stamps.h5")["flags"]
    assert list(np.flatnonzero(flags & PhotozFlag.NO_IMAGE)) == list(rows)


def test_an_empty_image_and_an_unknown_flag(tmp_path):
    path = sound(tmp_path / "stamps.h5", leave_out=("images", "flags"))
    with h5py.File(path, "r+") as file:
        images = file.create_dataset("images", (N, 5, 64, 64), dtype="f4", chunks=(1, 5, 64, 64))
        images[1:] = 1.0
        file.create_dataset("flags", (N,), dtype="i4", chunks=(2,))[2:] = PhotozFlag.PARTIAL
    assert list(read_catalogue(path)["flags"]) == [PhotozFlag.NO_IMAGE, 0, PhotozFlag.PARTIAL, PhotozFlag.PARTIAL]


def test_a_column_that_cannot_be_read_is_left_out_with_a_warning(tmp_path):
    path = sound(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["mine"] = h5py.ExternalLink("other.h5", "secret")
        file["refs"] = np.array([file["ra"].ref] * N, dtype=h5py.ref_dtype)
    with pytest.warns(AstropyUserWarning, match="is left out") as told:
        table = read_catalogue(path)
    assert {str(one.message).split("'")[1] for one in told} == {"mine", "refs"}
    assert not {"mine", "refs"} & set(table.colnames)


def test_no_file_and_no_cutouts(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_catalogue(tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(ValueError, match="lacks the data set images"):
        read_catalogue(tmp_path / "other.h5")
