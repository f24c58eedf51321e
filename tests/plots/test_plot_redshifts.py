# Licensed under a 3-clause BSD style license - see LICENSE
"""Redshift against redshift: every galaxy is drawn once, where it belongs, and the numbers are those of metrics."""

import numpy as np
import pytest
from astropy.table import Table

pytest.importorskip("matplotlib")

from made_up_galaxies import galaxies, validation
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredText
from matplotlib.path import Path

from astro_photz import metrics
from astro_photz.plots import plot_redshifts


def points(ax):
    """Points of each set of markers."""
    return [container.lines[0].get_xydata() for container in ax.containers]


def corner(ax):
    (note,) = [artist for artist in ax.artists if isinstance(artist, AnchoredText)]
    return note.txt.get_text().splitlines()


def panels(ax):
    return ax.figure.axes[:2]


def test_galaxies_are_points_with_their_intervals_and_deviations_below():
    table, _ = galaxies(30)
    above, below = panels(plot_redshifts(table))
    np.testing.assert_allclose(points(above)[0], np.transpose([table["z_spec"], table["z_phot"]]))
    deviation = metrics.deviation(table["z_phot"], table["z_spec"])
    np.testing.assert_allclose(points(below)[0][:, 1], deviation)
    for panel, scale in ((above, 1), (below, 1 / (1 + table["z_spec"]))):
        (bars,) = panel.containers[0].lines[2]
        lengths = [np.ptp(bar[:, 1]) for bar in bars.get_segments()]
        np.testing.assert_allclose(lengths, (table["z_phot_hi68"] - table["z_phot_lo68"]) * scale)
    assert above.get_xlim() == above.get_ylim() == below.get_xlim()
    assert below.get_xlabel() == "true redshift $z$"
    assert above.get_ylabel() == r"photometric redshift $z_\mathrm{phot}$"


def test_the_corner_tells_the_metrics_and_the_lines_where_outliers_begin():
    table, _ = galaxies(100)
    ax = plot_redshifts(table, beyond=0.02)
    deviation = metrics.deviation(table["z_phot"], table["z_spec"])
    n, bias, sigma_mad, eta = corner(ax)
    assert n == "100 galaxies"
    assert bias.replace("−", "-") == f"bias = {metrics.bias(deviation):.4f}"
    assert sigma_mad.endswith(f"= {metrics.sigma_mad(deviation):.4f}")
    assert eta.endswith(f"= {100 * metrics.eta(deviation, beyond=0.02):.1f} %")
    x = np.array(ax.get_xlim())
    lines = [line for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose([line.get_ydata() for line in lines], [x - 0.02 * (1 + x), x + 0.02 * (1 + x)])


def test_many_galaxies_are_counted_and_none_is_lost():
    table, _ = galaxies(3000)
    ax = plot_redshifts(table)
    (mesh,) = ax.collections
    assert mesh.get_array().sum() == 3000
    assert not ax.containers
    _, below, colours = ax.figure.axes
    assert colours.get_ylabel() == "galaxies"
    assert below.collections[0].get_array().sum() <= 3000


def test_flagged_galaxies_are_drawn_apart_or_left_out():
    table, _ = galaxies(50, flags=np.where(np.arange(50) < 8, 64, 0))
    ax = plot_redshifts(table)
    assert [len(one) for one in points(ax)] == [42, 8]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["flagged (8)"]
    without = plot_redshifts(table, flagged=False)
    assert corner(without)[0] == "42 galaxies"
    assert [len(one) for one in points(without)] == [42]
    table["z_phot_flags"] = 64
    with pytest.raises(ValueError, match="all 50 galaxies are flagged"):
        plot_redshifts(table, flagged=False)


def test_many_flagged_galaxies_are_lines_that_hold_most_of_them():
    table, _ = galaxies(4000, flags=np.full(4000, 64))
    ax = plot_redshifts(table)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["flagged (4,000): 68 %, 95 %"]
    (lines,) = ax.collections
    at = np.transpose([table["z_spec"], table["z_phot"]])
    held = [[Path(part).contains_points(at) for part in path.to_polygons()] for path in lines.get_paths()]
    held = [np.mean(np.sum(parts, axis=0) % 2) for parts in held]  # a hole lies in its outline too
    assert held == pytest.approx([0.95, 0.68], abs=0.04)


def test_flags_may_be_of_a_later_version():
    table, _ = galaxies(5, flags=[1 << 28, 0, 0, 0, 0])
    assert [len(one) for one in points(plot_redshifts(table))] == [4, 1]


def test_galaxies_without_an_estimate_or_redshift_are_left_out():
    table, _ = galaxies(20, masked=[3, 4])
    table["z_spec"][[0, 1]] = [-9999, np.nan]
    assert corner(plot_redshifts(table))[0] == "16 galaxies"


def test_a_few_beyond_all_others_do_not_squeeze_the_rest():
    table, _ = galaxies(1000)
    table["z_phot"][:2] = 8.0
    ax = plot_redshifts(table)
    assert ax.get_ylim()[1] < 0.6
    assert corner(ax)[-1] == "2 beyond the axes"
    wide = plot_redshifts(table, limits=(0, 9))
    assert wide.get_xlim() == wide.get_ylim() == (0, 9)
    assert len(corner(wide)) == 4


def test_tables_frames_files_pdfs_and_arrays_give_one_picture(tmp_path):
    pandas = pytest.importorskip("pandas")
    table, pdf = galaxies(12)
    table.write(tmp_path / "galaxies.ecsv")
    expected = points(plot_redshifts(table))[0]
    frame = pandas.DataFrame({name: table[name].data.data for name in ("z_spec", "z_phot")})
    for data, redshift in (
        (frame, None),
        (tmp_path / "galaxies.ecsv", "z_spec"),
        (pdf, table["z_spec"]),
        (np.asarray(table["z_phot"]), list(table["z_spec"])),
    ):
        np.testing.assert_allclose(points(plot_redshifts(data, redshift))[0], expected)


def test_a_table_of_another_code_has_its_own_names():
    table = Table({"photoz": [0.1, 0.2], "photoz_err": [0.01, 0.0], "known": [0.11, 0.2]})
    (bars,) = plot_redshifts(table, "known", prefix="photoz").containers[0].lines[2]
    assert [np.ptp(bar[:, 1]) for bar in bars.get_segments()] == pytest.approx([0.02, 0])  # no error: no interval


def test_a_validation_has_its_own_redshifts_and_errors():
    result = validation(40, unused=[0, 5])
    ax = plot_redshifts(result)
    assert corner(ax) == [
        "38 galaxies",
        "bias = 0.0012 ± 0.0003",
        r"$\sigma_\mathrm{MAD}$ = 0.0123 ± 0.0004",
        corner(ax)[3],
    ]
    assert corner(ax)[3].endswith("± 0.5 %")
    assert sum(map(len, points(ax))) == 38
    assert corner(plot_redshifts(result, flagged=False))[1] == "bias = 0.0007 ± 0.0001"
    with pytest.raises(ValueError, match="a validation has its own"):
        plot_redshifts(result, "z_spec")


def test_axes_of_a_figure_of_ones_own_are_used():
    table, _ = galaxies(5)
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    assert plot_redshifts(table, ax=left) is left
    assert len(figure.axes) == 3
    above, below = Figure().subplots(2, sharex=True)
    plot_redshifts(table, ax=above, residuals=below)
    assert below.get_ylabel() == r"$(z_\mathrm{phot}-z)/(1+z)$"
    assert len(above.figure.axes) == 2
    alone = plot_redshifts(table, ax=right, residuals=False)
    assert alone.get_xlabel() == "true redshift $z$"
    assert not pyplot.get_fignums()
    placed = Figure().add_axes((0.1, 0.1, 0.8, 0.8))  # no subplot
    plot_redshifts(table, ax=placed)
    above, below = placed.figure.axes
    assert below.get_position().y1 < above.get_position().y0
    assert plot_redshifts(table).figure.number in pyplot.get_fignums()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda table: table[:0], ValueError, "no galaxy to draw: data has no rows"),
        (lambda table: table["z_phot", "ra"], ValueError, "no galaxy has both .* 0 a redshift"),
        (lambda table: table["z_spec", "ra"], KeyError, "prefix='z_phot': the table has no such column"),
    ],
)
def test_nothing_to_draw_is_an_error(change, error, message):
    with pytest.raises(error, match=message):
        plot_redshifts(change(galaxies(4)[0]))


def test_wrong_redshifts_are_an_error():
    table, pdf = galaxies(4, masked=range(4))
    with pytest.raises(ValueError, match="of 4 rows, 0 have an estimate and 4 a redshift"):
        plot_redshifts(table)
    with pytest.raises(KeyError, match=r"redshift='z_spek': .* did you mean 'z_spec'"):
        plot_redshifts(table, "z_spek")
    with pytest.raises(ValueError, match=r"redshift must have the shape \(4,\)"):
        plot_redshifts(pdf, [0.1, 0.2])
    with pytest.raises(ValueError, match="names a column, but data is no table"):
        plot_redshifts(pdf, "z_spec")
    with pytest.raises(ValueError, match="limits must be two redshifts"):
        plot_redshifts(pdf, np.full(4, 0.1), limits=(1, 0))
    with pytest.raises(TypeError, match="data must be"):
        plot_redshifts(7)
