# Licensed under a 3-clause BSD style license - see LICENSE
"""A gallery shows each galaxy as its colour image, with what is known of it in words."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from made_up_galaxies import galaxies, validation
from matplotlib.figure import Figure

from astro_photz import CutoutFile, Cutouts
from astro_photz.plots import colour_image, plot_gallery
from astro_photz.testing import gaussian_cutouts


def inside(ax):
    return [text.get_text() for text in ax.texts]


def test_each_galaxy_has_its_image_and_its_words():
    table, _ = galaxies(5, masked=[2], flags=[0, 64 + 256, 4, 0, 1 << 28])
    cutouts = gaussian_cutouts(5)
    panels = plot_gallery(table, cutouts)
    for panel, flux in zip(panels, cutouts.flux, strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), colour_image(flux))
        assert not panel.axison
    assert (
        panels[0].get_title()
        == f"z = {table['z_phot'][0]:.3f} ± {table['z_phot_err'][0]:.3f}\ntrue {table['z_spec'][0]:.3f}"
    )
    assert panels[2].get_title() == f"no estimate\ntrue {table['z_spec'][2]:.3f}"
    assert [inside(panel) for panel in panels] == [
        ["1000"],
        ["LOW_SNR\nCROWDED", "1001"],
        ["NO_IMAGE", "1002"],
        ["1003"],
        ["BIT_28", "1004"],
    ]


def test_some_rows_and_no_truth():
    table, _ = galaxies(9)
    table.remove_columns(["z_spec", "objID"])
    panels = plot_gallery(table, gaussian_cutouts(9), rows=table["z_phot"] > np.ma.median(table["z_phot"]))
    assert len(panels) == 4
    assert all("true" not in panel.get_title() for panel in panels)
    assert inside(plot_gallery(table, gaussian_cutouts(9), rows=7)[0]) == ["row 7"]


def test_a_validation_has_the_stamps_of_its_worst():
    cutouts = gaussian_cutouts(3)
    cutouts.ids = np.array([31, 2, 11])
    result = validation(stamps=cutouts)
    panels = plot_gallery(result)
    assert [inside(panel)[-1] for panel in panels] == ["1031", "1002", "1011"]
    assert inside(panels[0])[0] == "LOW_SNR"
    assert panels[0].get_title().endswith(f"true {result.galaxies['redshift'][31]:.3f}")
    with pytest.raises(ValueError, match="this validation has no stamps"):
        plot_gallery(validation())


def test_panels_take_the_place_of_a_subplot_or_are_given():
    table, _ = galaxies(4)
    cutouts = gaussian_cutouts(4)
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    assert len(plot_gallery(table, cutouts, columns=2, ax=left)) == 4
    figure.draw_without_rendering()
    assert len(figure.axes) == 5
    assert max(panel.get_position().x1 for panel in figure.axes if panel is not right) < right.get_position().x0
    given = Figure().subplots(2, 2)
    assert list(plot_gallery(table, cutouts, ax=given)) == list(given.ravel())


def test_what_cannot_be_shown_is_an_error():
    table, _ = galaxies(4)
    cutouts = gaussian_cutouts(4)
    with pytest.raises(ValueError, match="a table has no stamps"):
        plot_gallery(table)
    with pytest.raises(ValueError, match="must be those of the 4 rows"):
        plot_gallery(table, cutouts[:3])
    with pytest.raises(ValueError, match="axes for each of 4 galaxies; got 2"):
        plot_gallery(table, cutouts, ax=Figure().subplots(2))
    with pytest.raises(ValueError, match="ax must be a subplot"):
        plot_gallery(table, cutouts, ax=Figure().add_axes((0, 0, 1, 1)))
    many, _ = galaxies(61)
    with pytest.raises(ValueError, match=r"61 stamps are too many .* rows=range\(60\)"):
        plot_gallery(many, gaussian_cutouts(61, noise=False))


def test_cutouts_of_a_file_and_not_of_a_source(tmp_path):
    table, _ = galaxies(3)
    cutouts = gaussian_cutouts(3)
    cutouts.write(tmp_path / "stamps.h5")
    panels = plot_gallery(table, tmp_path / "stamps.h5")
    flux = Cutouts.read(tmp_path / "stamps.h5").flux[2]
    np.testing.assert_array_equal(panels[2].images[0].get_array(), colour_image(flux))
    with pytest.raises(TypeError, match=r"cutouts must be Cutouts or the path .*got CutoutFile; astro_photz\.fetch"):
        plot_gallery(table, CutoutFile(tmp_path / "stamps.h5"))
