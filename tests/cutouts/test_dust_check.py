# Licensed under a 3-clause BSD style license - see LICENSE
"""A reddening that cannot be that of its position is flagged, wherever the images come from."""

import numpy as np
import pytest
from astropy.table import Table

import astro_photz
from astro_photz.cutouts import Batch
from astro_photz.cutouts.collect import completed
from astro_photz.dust import approximate_ebv, extinction_from_ebv
from astro_photz.flags import PhotozFlag
from astro_photz.testing.factories import gaussian_cutouts

FAR = int(PhotozFlag.EBV_MISMATCH)


class Memory:
    """A source of stamps that takes the reddening of the table, as all do."""

    name = "memory"

    def __init__(self, cutouts):
        self.cutouts = cutouts

    def batches(self, positions, *, size=64):
        for row in range(len(positions)):
            cutouts = self.cutouts[row : row + 1].crop(size)
            cutouts.ebv = (
                np.full(1, np.nan, dtype=np.float32) if positions.ebv is None else positions.ebv[row : row + 1]
            )
            yield Batch(np.array([row]), cutouts)


def far(flags):
    return ((np.asarray(flags) & FAR) != 0).tolist()


def galaxies():
    """Cutouts with the reddening of the map."""
    cutouts = gaussian_cutouts(4)
    cutouts.ebv = approximate_ebv(cutouts.coord)
    return cutouts


@pytest.mark.parametrize("mistake", [3.1, 0, 1000])
def test_cutouts_in_memory_and_in_a_file(mistake, tmp_path):
    cutouts = galaxies()
    cutouts.ebv[2] *= mistake
    cutouts.write(tmp_path / "stamps.h5")
    for given in (cutouts, tmp_path / "stamps.h5"):
        table = astro_photz.predict(given)
        assert far(table["z_phot_flags"]) == [False, False, True, False]
        assert not table["z_phot"].mask.any()


def test_a_table_brings_it():
    cutouts = galaxies()
    table = Table({"ra": cutouts.coord.ra, "dec": cutouts.coord.dec, "ebv": cutouts.ebv})
    assert far(astro_photz.fetch(table, source=Memory(cutouts)).flags) == [False] * 4
    table["ebv"][1] *= 3.1
    assert far(astro_photz.fetch(table, source=Memory(cutouts)).flags) == [False, True, False, False]
    table.rename_column("ebv", "dust")
    assert far(astro_photz.predict(table, source=Memory(cutouts), ebv="dust")["z_phot_flags"])[1]
    for number, band in enumerate("ugriz"):  # as the catalogue lists them, and of other galaxies
        table[f"extinction_{band}"] = extinction_from_ebv(cutouts.ebv[::-1] * [1, 1, 1, 4])[:, number]
    assert far(astro_photz.predict(table, source=Memory(cutouts))["z_phot_flags"]) == [False, False, False, True]


def test_a_reddening_of_the_map_is_not_far_from_it():
    cutouts = galaxies()
    table = Table({"ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    flags = astro_photz.predict(table, source=Memory(cutouts))["z_phot_flags"]
    assert ((flags & PhotozFlag.APPROXIMATE_EBV) != 0).all()
    assert not any(far(flags))


def test_simulated_galaxies_lie_behind_dust_of_their_own():
    cutouts = galaxies()
    cutouts.ebv[:] = 0.4
    assert all(far(astro_photz.predict(cutouts)["z_phot_flags"]))
    cutouts.simulated = True
    assert not any(far(astro_photz.predict(cutouts)["z_phot_flags"]))


def test_a_reddening_that_is_put_right_loses_the_flag():
    cutouts = galaxies()
    right = cutouts.ebv.copy()
    cutouts.ebv = 3.1 * right
    wrong = completed(Batch(np.arange(4), cutouts), cutouts.coord).cutouts
    assert all(far(wrong.flags))
    wrong.ebv = right
    assert not any(far(completed(Batch(np.arange(4), wrong), cutouts.coord).cutouts.flags))


def test_without_a_position_nothing_is_compared():
    cutouts = galaxies()
    cutouts.ebv *= 3.1
    cutouts.coord = None
    assert not any(far(astro_photz.predict(cutouts)["z_phot_flags"]))
