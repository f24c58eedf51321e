# Licensed under a 3-clause BSD style license - see LICENSE
"""Images of the galaxies of an answer are found by id, by position, or by row, and never those of another galaxy."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from astro_photz import CutoutFile, Cutouts
from astro_photz.similarity.stamps import Places, at_hand, stamps_of, stamps_of_queries
from astro_photz.testing.factories import gaussian_cutouts


def cutouts_of(n=6, ids=None, coord=True):
    made = gaussian_cutouts(n)
    return Cutouts(made.flux, ebv=made.ebv, coord=made.coord if coord else None, ids=ids)


@pytest.mark.parametrize("ids", [None, np.arange(100, 106), np.array(list("abcdef"))])
@pytest.mark.parametrize("coord", [True, False])
def test_images_at_hand_are_found(tmp_path, ids, coord):
    cutouts = cutouts_of(ids=ids, coord=coord)
    names = np.arange(6) if ids is None else ids
    wanted = [4, 0, 4]
    galaxies = Places(names[wanted], cutouts.coord[wanted] if coord else None)
    np.testing.assert_array_equal(stamps_of(cutouts, galaxies), cutouts.flux[wanted])
    if coord and (ids is None or ids.dtype.kind == "i"):
        cutouts.write(tmp_path / "stamps.h5")
        for source in (tmp_path / "stamps.h5", CutoutFile(tmp_path / "stamps.h5")):
            assert at_hand(source)
            np.testing.assert_array_equal(stamps_of(source, galaxies), cutouts.flux[wanted])


def test_an_id_elsewhere_on_the_sky_is_another_galaxy():
    cutouts = cutouts_of(ids=np.arange(6))
    elsewhere = SkyCoord([10.0], [-10.0], unit="deg")
    assert np.isnan(stamps_of(cutouts, Places(np.array([3]), elsewhere))).all()
    here = cutouts.coord[[5]]
    np.testing.assert_array_equal(stamps_of(cutouts, Places(np.array([3]), here))[0], cutouts.flux[5])


def test_images_that_are_not_there_are_missing():
    cutouts = cutouts_of(ids=np.arange(6))
    assert np.isnan(stamps_of(cutouts, Places(np.array([77, 3]), None))[0]).all()
    assert np.isnan(stamps_of(cutouts[:0], Places(np.array([3]), None))).all()
    assert stamps_of(cutouts, Places(np.zeros(0, dtype=int), None)).shape[0] == 0


def test_galaxies_without_a_position_cannot_be_fetched():
    with pytest.raises(ValueError, match="no position is known"):
        stamps_of(None, Places(np.array([1]), None))


def test_queries_are_found_by_their_labels():
    cutouts = cutouts_of(ids=np.array([5, 6, 7, 8, 9, 10]))
    found = stamps_of_queries(cutouts, ["9", 5, 3])
    np.testing.assert_array_equal(found[:2], cutouts.flux[[4, 0]])
    assert np.isnan(found[2]).all()


def test_names_of_two_kinds_are_joined_as_texts():
    one, other = Places(np.array([1, 2]), None), Places(np.array(["a"]), SkyCoord([1.0], [2.0], unit="deg"))
    both = one.joined(other)
    assert both.ids.tolist() == ["1", "2", "a"]
    assert np.isnan(both.coord.ra.deg[:2]).all()
    assert both.coord.dec.deg[2] == 2
