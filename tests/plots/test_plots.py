# Licensed under a 3-clause BSD style license - see LICENSE
"""Pictures show the numbers that they are made of, whatever matplotlib draws them."""

import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

pytest.importorskip("matplotlib")

from made_up_galaxies import bin_of, galaxies, validation

from astro_photz import metrics, plots
from astro_photz.evaluation import Evaluation
from astro_photz.testing.factories import gaussian_cutouts

EVALUATION = Evaluation(
    model={"name": "mine"},
    data={"simulated": True},
    overall={"sigma_mad": 0.015},
    errors={},
    pit=[30, 10, 20],
    coverage={"0.5": 0.45, "0.9": 0.95},
    bins={
        "r_mag": [bin_of(16, 17, 0.01), bin_of(17, 19, 0.02)],
        "seeing": [],
        "early": [bin_of(0, 1, 0.03), bin_of(1, 2, 0.04)],
    },
)


# Images


def test_colours_are_those_of_the_bands_and_missing_pixels_are_dark():
    flux = np.full((5, 8, 8), 0.01)
    flux[3, :4] = 5.0  # i
    flux[1, 4:] = 5.0  # g
    flux[:, 0, 0] = np.nan
    image = plots.colour_image(flux)
    assert (image.shape, image.dtype) == ((8, 8, 3), np.uint8)
    red, _, blue = image[2, 2].astype(int)
    assert red > blue + 50
    red, _, blue = image[6, 6].astype(int)
    assert blue > red + 50
    assert image[0, 0].tolist() == [0, 0, 0]
    assert not plots.colour_image(np.zeros((5, 4, 4))).any()


def test_galaxies_have_their_redshifts_beside_them():
    cutouts = gaussian_cutouts(7)
    z = MaskedColumn(np.linspace(0.1, 0.16, 7), mask=np.arange(7) == 2)
    table = Table({"zp": z, "zp_err": np.full(7, 0.0123)})
    truth = np.linspace(0.2, 0.26, 7)
    figure = plots.plot_galaxies(cutouts, table, prefix="zp", true_redshift=truth, title="Seven")
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles[0] == "z = 0.100 ± 0.012\ntrue 0.200"
    assert titles[2] == "no estimate\ntrue 0.220"
    assert len(titles) == 7
    assert figure.get_suptitle() == "Seven"
    for axes, flux in zip(figure.axes, cutouts.flux, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), plots.colour_image(flux))
    assert not any(axes.axison for axes in figure.axes)
    plain = plots.plot_galaxies(cutouts[:1], table[:1], prefix="zp")
    assert plain.axes[0].get_title() == "z = 0.100 ± 0.012"


# An evaluation


def test_the_pit_is_drawn_as_shares_and_the_coverage_at_its_levels():
    left, right = plots.plot_calibration(EVALUATION).axes
    (steps,) = [patch for patch in left.patches if hasattr(patch, "get_data")]
    np.testing.assert_allclose(steps.get_data().values, [1.5, 0.5, 1.0])
    np.testing.assert_allclose(steps.get_data().edges, [0, 1 / 3, 2 / 3, 1])
    line = right.lines[-1]
    assert line.get_xdata().tolist() == [0.5, 0.9]
    assert line.get_ydata().tolist() == [0.45, 0.95]


def test_bins_have_their_values_and_errors_in_a_panel_for_each_quantity():
    figure = plots.plot_all_bins(EVALUATION)
    panels = np.reshape(figure.axes, (3, 2))  # a row for each metric; the empty quantity has none
    assert [axes.get_xlabel() for axes in panels[-1]] == ["dereddened $r$ (mag)", "type"]
    for row, metric, level in zip(panels, ("bias", "sigma_mad", "coverage68"), (0, 0.015, 0.68), strict=True):
        for axes, name in zip(row, ("r_mag", "early"), strict=True):
            bins = EVALUATION.bins[name]
            points, _, (across, along) = axes.containers[0]
            middles = [((one["low"] + one["high"]) / 2, one[metric]) for one in bins]
            np.testing.assert_allclose(points.get_xydata().astype(float), middles)
            for one, wide, tall in zip(bins, across.get_segments(), along.get_segments(), strict=True):
                np.testing.assert_allclose(wide[:, 0], [one["low"], one["high"]])
                np.testing.assert_allclose(np.diff(tall[:, 1]), 2 * one["errors"][metric])
            assert axes.lines[-1].get_ydata()[0] == level
    assert [text.get_text() for text in panels[-1, 1].get_xticklabels()] == ["late", "early"]


def test_one_quantity_is_drawn_with_the_numbers_of_galaxies():
    ax = plots.plot_bins(EVALUATION, "r_mag", "coverage68")
    (points, _, _) = ax.containers[0]
    np.testing.assert_allclose(points.get_xydata().astype(float), [[16.5, 0.7], [18, 0.7]])
    assert ax.lines[-1].get_ydata()[0] == 0.68
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("dereddened $r$ (mag)", "in 68 % interval")
    assert [text.get_text() for text in ax.texts] == ["100", "100"]
    flags = plots.plot_bins(validation(), "by_flag")
    assert [text.get_text() for text in flags.get_xticklabels()] == ["LOW_SNR"]
    assert flags.lines[-1].get_ydata()[0] == 0.0123  # that of all galaxies


def test_a_table_is_binned_by_any_of_its_columns():
    table, _ = galaxies(300, masked=[7])
    table["r_mag"][3] = np.nan
    ax = plots.plot_bins(table, "r_mag", "sigma_mad", edges=[15, 17, 19, 30])
    deviation = metrics.deviation(table["z_phot"], table["z_spec"])
    inside = deviation[(table["r_mag"] >= 15) & (table["r_mag"] < 17) & ~np.isnan(deviation)]
    points, _, (_, along) = ax.containers[0]
    assert points.get_xydata().astype(float)[0] == pytest.approx([16, metrics.sigma_mad(inside)])
    assert ax.texts[0].get_text() == str(len(inside))
    error = np.ptp(along.get_segments()[0][:, 1]) / 2
    assert error == pytest.approx(1.2 * metrics.sigma_mad(inside) / np.sqrt(len(inside)), rel=0.4)
    by_default = plots.plot_bins(table, "r_mag", "coverage68")
    assert sum(int(text.get_text()) for text in by_default.texts) == 298
    assert 0.5 < np.mean(by_default.containers[0][0].get_ydata()) < 0.85


def test_errors_of_large_bins_are_those_of_all_their_galaxies():
    rng = np.random.default_rng(0)
    n = 40_000
    table = Table({"z_spec": np.full(n, 0.1), "z_phot": 0.1 + 0.022 * rng.normal(size=n), "r": rng.uniform(16, 17, n)})
    ax = plots.plot_bins(table, "r", "bias", edges=[16, 17])
    (along,) = ax.containers[0][2][1].get_segments()
    assert np.ptp(along[:, 1]) / 2 == pytest.approx(0.02 / np.sqrt(n), rel=0.2)


def test_units_of_a_column_are_on_its_axis():
    table, _ = galaxies(60)
    table["sep"] = np.linspace(0, 3, 60) * u.arcsec
    assert plots.plot_bins(table, "sep", "bias").get_xlabel() == "sep (arcsec)"


def test_bins_that_are_not_there_are_an_error():
    table, pdf = galaxies(60)
    with pytest.raises(KeyError, match="quantity='mass': there are no such bins; there are r_mag, early"):
        plots.plot_bins(EVALUATION, "mass")
    with pytest.raises(ValueError, match="no bin of 'seeing' holds enough galaxies"):
        plots.plot_bins(EVALUATION, "seeing")
    with pytest.raises(KeyError, match="metric='crps' is not known in bins of 'r_mag': known are bias, sigma_mad"):
        plots.plot_bins(EVALUATION, "r_mag", "crps")
    with pytest.raises(KeyError, match="metric='crps' of a table is not known"):
        plots.plot_bins(table, "r_mag", "crps")
    with pytest.raises(KeyError, match="did you mean 'r_mag'"):
        plots.plot_bins(table, "rmag")
    with pytest.raises(ValueError, match="no bin holds 10 galaxies"):
        plots.plot_bins(table, "r_mag", edges=[0, 1])
    with pytest.raises(ValueError, match="edges must be two or more increasing"):
        plots.plot_bins(table, "r_mag", edges=[17, 16])
    with pytest.raises(TypeError, match="data must be an astropy Table"):
        plots.plot_bins(pdf, "r_mag")
    with pytest.raises(ValueError, match="there are no bins to draw"):
        plots.plot_all_bins(validation(bins={}))


def test_scatter_falls_over_the_number_of_labels():
    points = [{"n_labels": n, "sigma_mad": 1 / n, "sigma_mad_err": 0.1 / n} for n in (10, 100)]
    figure = plots.plot_label_efficiency({"curves": {"one": points, "other": points[:1]}})
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "other"]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[10, 100], [10]]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.1, 0.01])
    band = axes.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [0.009, 0.11])


# A training


def test_losses_are_above_and_scatters_below():
    long = [(step, 1 / (1 + step)) for step in range(200)]
    curves = {"val_loss": [(0, 3.0), (10, 2.0)], "train_loss": long, "val_sigma_mad": [(10, 0.02)], "rate": long}
    above, below = plots.plot_learning_curve(curves).axes
    assert {line.get_label(): len(line.get_xdata()) for line in above.lines} == {"train_loss": 200, "val_loss": 2}
    assert above.lines[-1].get_ydata().tolist() == [3.0, 2.0]
    assert [line.get_label() for line in below.lines] == ["val_sigma_mad"]
    assert [line.get_marker() for line in above.lines] == ["", "."]  # points would merge
    assert below.get_xlabel() == "step"


def test_a_training_without_numbers_is_an_empty_picture():
    assert not any(axes.lines or axes.get_legend() for axes in plots.plot_learning_curve({}).axes)


def test_pictures_name_what_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    table, _ = galaxies(3)
    for draw in (lambda: plots.plot_calibration(EVALUATION), lambda: plots.plot_redshifts(table)):
        with pytest.raises(ImportError, match=r'a picture needs matplotlib: pip install "astro-photz\[plot\]"'):
            draw()
