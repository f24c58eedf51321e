# Licensed under a 3-clause BSD style license - see LICENSE
"""Maps: east is to the left, and each galaxy is where astropy's coordinates have it."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

pytest.importorskip("matplotlib")

from made_up_galaxies import galaxies, validation
from matplotlib import pyplot

from astro_photz.plots import plot_sky


def places(ax, place=0):
    """Pixels of one set of points."""
    ax.figure.draw_without_rendering()
    points = ax.collections[place]
    return points.get_offset_transform().transform(points.get_offsets())


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def wide_table(n=200, seed=1):
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return Table({"ra": ra, "dec": dec, "z_phot": rng.uniform(0, 0.3, n)})


def test_a_small_field_is_a_plane_with_north_up_and_east_left():
    table, _ = galaxies(4)
    table["ra"], table["dec"] = [150.0, 150.1, 150.0, 150.1], [2.0, 2.0, 2.1, 2.1]
    ax = plot_sky(table)
    assert ax.wcs.wcs.ctype[0] == "RA---TAN"
    (x0, y0), (x1, y1), (x2, y2), _ = places(ax)
    assert x1 < x0 - 50
    assert y2 > y0 + 50
    # 0.1 degrees are as long in both directions, and meridians are nearly upright.
    assert x0 - x1 == pytest.approx(y2 - y0, rel=0.01)
    assert [y1 - y0, x2 - x0] == pytest.approx([0, 0], abs=0.5)
    assert ax.figure.axes[1].get_ylabel() == r"photometric redshift $z_\mathrm{phot}$"


@pytest.mark.parametrize("dec", [0.0, 60.0, 89.9])
def test_distances_in_a_plane_are_those_on_the_sky(dec):
    middle = SkyCoord(10 * u.deg, dec * u.deg)
    around = middle.directional_offset_by(np.arange(0, 360, 45) * u.deg, 0.5 * u.deg)
    ax = plot_sky(around)
    pixels = places(ax)
    np.testing.assert_allclose(np.hypot(*(pixels - pixels.mean(axis=0)).T).std(), 0, atol=0.5)
    assert ax.get_legend() is None


def test_galaxies_across_zero_hours_lie_together():
    table = Table({"ra": [359.9, 0.1], "dec": [0.0, 0.0]})
    _, plain = pyplot.subplots()
    for ax in (plot_sky(table), plot_sky(table, ax=plain)):
        (x0, _), (x1, _) = places(ax)
        assert x1 < x0
        assert np.diff(ax.get_xlim()) > -1  # degrees, east to the left


def test_the_whole_sky_is_that_of_mollweide_with_east_to_the_left():
    table = wide_table()
    ax = plot_sky(table)
    assert ax.name == "mollweide"
    x, y = ax.collections[-1].get_offsets().T
    np.testing.assert_allclose(y, np.radians(table["dec"]))
    labelled = dict(zip(ax.get_xticks(), (text.get_text() for text in ax.get_xticklabels()), strict=True))
    centre = float(labelled[0].rstrip("°"))
    east = ((table["ra"] - centre + 180) % 360) - 180
    np.testing.assert_allclose(x, -np.radians(east), atol=1e-12)
    for place, text in labelled.items():
        assert float(text.rstrip("°")) == pytest.approx((centre - np.degrees(place)) % 360)


def test_flagged_galaxies_have_a_ring_and_unknown_values_a_cross():
    table, _ = galaxies(30, masked=[0, 1], flags=np.where(np.arange(30) < 5, 64, 0))
    ax = plot_sky(table)
    assert labels(ax) == ["unknown (2)", "flagged (5)"]
    assert [len(points.get_offsets()) for points in ax.collections] == [2, 28, 5]
    table["z_phot"].mask = True
    assert len(plot_sky(table).collections) == 2  # no colours


def test_any_column_gives_the_colours():
    table, _ = galaxies(10)
    table["size"] = np.arange(10) * u.arcsec
    ax = plot_sky(table, "size")
    assert ax.collections[0].get_array().tolist() == list(range(10))
    assert ax.figure.axes[1].get_ylabel() == "size (arcsec)"
    assert plot_sky(table, np.arange(10), label="order").figure.axes[1].get_ylabel() == "order"


def test_tables_with_coordinates_of_any_kind_are_drawn():
    table = QTable({"place": SkyCoord([10, 11] * u.deg, [1, 2] * u.deg, frame="galactic"), "z_phot": [0.1, 0.2]})
    ax = plot_sky(table)
    icrs = table["place"].icrs
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.transpose([icrs.ra.deg, icrs.dec.deg]))
    assert len(plot_sky(validation(), "r_mag").collections) == 2


def test_a_crowd_is_averaged_in_cells_of_equal_area():
    table = wide_table(60_000)
    table["side"] = np.where(table["dec"] > 0, 3.0, 1.0)
    (cells,) = [one for one in plot_sky(table, "side").collections if hasattr(one, "get_coordinates")]
    means, dec = cells.get_array(), cells.get_coordinates()[:, 0, 1]
    assert np.ma.median(means[dec[1:] < 0]) == 1
    assert np.ma.median(means[dec[:-1] > 0]) == 3
    (counts,) = [one for one in plot_sky(table["ra", "dec"]).collections if hasattr(one, "get_coordinates")]
    numbers = counts.get_array().filled(0)
    assert numbers.sum() == 60_000
    assert numbers[:10].mean() == pytest.approx(numbers[40:50].mean(), rel=0.1)  # near the pole and at the equator


def test_what_has_no_place_is_an_error():
    table, _ = galaxies(3)
    with pytest.raises(ValueError, match="no coordinates"):
        plot_sky(table["z_phot", "z_spec"])
    nowhere = Table({"ra": MaskedColumn([1.0], mask=[True]), "dec": [0.0]})
    with pytest.raises(ValueError, match="none of 1 rows has one"):
        plot_sky(nowhere)
    with pytest.raises(KeyError, match="column='mass'"):
        plot_sky(table, "mass")
    table["name"] = ["a", "b", "c"]
    with pytest.raises(ValueError, match="'name' must hold a number for each galaxy"):
        plot_sky(table, "name")
    with pytest.raises(ValueError, match=r"column must have the shape \(3,\)"):
        plot_sky(table, [1.0])
