# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs and their calibration: areas are probabilities, and the PIT is that of the PDFs."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from made_up_galaxies import EDGES, galaxies, gaussian_pdfs, validation
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredText
from matplotlib.patches import StepPatch

from astro_photz import RedshiftPDF, metrics
from astro_photz.plots import plot_pdf, plot_pit


def area(patch):
    values, edges, _ = patch.get_data()
    return (values * np.diff(edges)).sum()


def steps(ax):
    return [patch for patch in ax.patches if isinstance(patch, StepPatch)]


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def corner(ax):
    (note,) = [artist for artist in ax.artists if isinstance(artist, AnchoredText)]
    return note.txt.get_text().splitlines()


# PDFs


def test_shaded_areas_are_the_central_probabilities():
    pdf = gaussian_pdfs([0.1], 0.01)
    ax = plot_pdf(pdf, redshift=0.123)
    whole, wide, narrow = steps(ax)
    assert [area(patch) for patch in (whole, wide, narrow)] == pytest.approx([1, 0.95, 0.68])
    assert narrow.get_data().edges[[0, -1]] == pytest.approx(pdf.quantile([0.16, 0.84])[0])
    assert words(ax) == [r"$z_\mathrm{phot}$ = 0.100 ± 0.010", "central 95 %", "central 68 %", "true $z$ = 0.123"]
    truth = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    assert truth.get_xdata()[0] == 0.123
    low, high = ax.get_xlim()
    assert 0.02 < low < 0.07 < 0.123 < high < 0.2
    assert ax.get_ylabel() == "probability density $p(z)$"


def test_several_galaxies_have_their_names_estimates_and_flags():
    table, pdf = galaxies(6, flags=[0, 64 + 256, 0, 1 << 25, 0, 0])
    table["z_phot_pdf"] = pdf.p
    table.meta["z_phot"] = {"z_edges": EDGES.tolist()}
    ax = plot_pdf(table, [1, 3, 5])
    first, second, third, truth = words(ax)
    assert first == f"1001: {table['z_phot'][1]:.3f} ± {table['z_phot_err'][1]:.3f}" + ("\nLOW_SNR\nCROWDED")
    assert second.splitlines()[-1] == "BIT_25"
    assert third.startswith("1005: ")
    assert truth == "true $z$"
    assert [area(patch) for patch in steps(ax)] == pytest.approx([1, 0.68] * 3)
    named = plot_pdf(table, [1, 3], labels=["one", "other"])
    assert [line.split(":")[0] for line in words(named)[:2]] == ["one", "other"]


@pytest.mark.parametrize("rows", [2, [2], slice(2, 3), np.arange(5) == 2, range(2, 3)])
def test_rows_are_chosen_as_those_of_an_array(rows):
    z = [0.1, 0.12, 0.14, 0.16, 0.18]
    ax = plot_pdf(gaussian_pdfs(z, 0.01), rows)
    assert words(ax)[0] == r"$z_\mathrm{phot}$ = 0.140 ± 0.010"


def test_pdfs_may_be_missing_but_not_all():
    p = gaussian_pdfs([0.1, 0.2], 0.01).p.copy()
    p[1] = np.nan
    pdf = RedshiftPDF(p, EDGES)
    assert words(plot_pdf(pdf))[1] == "row 1: no estimate"
    with pytest.raises(ValueError, match="no estimate to draw: the PDF of the galaxy is missing"):
        plot_pdf(pdf, 1)


def test_the_reason_for_a_missing_pdf_is_told():
    table, pdf = galaxies(2, masked=[0], flags=[4, 0])
    p = pdf.p.copy()
    p[0] = np.nan
    table["z_phot_pdf"] = p
    table.meta["z_phot"] = {"z_edges": EDGES.tolist()}
    with pytest.raises(ValueError, match="missing, with the flags NO_IMAGE"):
        plot_pdf(table, 0)


def test_a_true_redshift_off_the_grid_is_in_the_picture():
    ax = plot_pdf(gaussian_pdfs([0.38], 0.01), redshift=[0.9])
    assert ax.get_xlim()[1] > 0.9


def test_the_method_of_the_pdfs_draws_the_same():
    pdf = gaussian_pdfs([0.1], 0.01)
    assert words(pdf.plot()) == words(plot_pdf(pdf))


def test_too_many_or_no_pdfs_are_an_error():
    table, pdf = galaxies(9)
    with pytest.raises(ValueError, match=r"9 PDFs are too many .* at most 8"):
        plot_pdf(pdf)
    with pytest.raises(ValueError, match="there is no PDF to draw: no row is chosen of 9"):
        plot_pdf(pdf, [])
    with pytest.raises(IndexError):
        plot_pdf(pdf, 9)
    with pytest.raises(ValueError, match="labels must be 2"):
        plot_pdf(pdf, [0, 1], labels=["one"])
    with pytest.raises(KeyError, match="z_phot_pdf"):
        plot_pdf(table, 0)
    with pytest.raises(ValueError, match="this validation has no PDFs"):
        plot_pdf(validation(pdf=None), 0)


def test_a_validation_has_pdfs_and_redshifts():
    result = validation()
    ax = plot_pdf(result, [0, 1])
    assert words(ax)[1].splitlines() == [f"1001: {words(ax)[1].split()[1]} ± {words(ax)[1].split()[3]}", "LOW_SNR"]
    assert words(ax)[-1] == "true $z$"


def test_a_frame_keeps_the_grid_of_its_pdfs():
    pandas = pytest.importorskip("pandas")
    table, pdf = galaxies(3)
    frame = pandas.DataFrame({"objID": table["objID"], "z_phot": pdf.mean(), "z_phot_err": pdf.std()})
    frame["z_phot_pdf"] = list(pdf.p)
    frame.attrs["z_phot"] = {"z_edges": EDGES.tolist()}
    assert words(plot_pdf(frame, [0, 2])) == words(plot_pdf(pdf, [0, 2], labels=["1000", "1002"]))


# PIT


def test_the_pit_is_that_of_the_pdfs():
    table, pdf = galaxies(400)
    ax = plot_pit(pdf, table["z_spec"])
    pit = pdf.pit(table["z_spec"])
    (histogram,) = steps(ax)
    expected = np.histogram(pit, bins=20, range=(0, 1))[0] / 20
    np.testing.assert_allclose(histogram.get_data().values, expected)
    assert corner(ax) == [
        "400 galaxies",
        f"KS distance {metrics.pit_ks(pit):.3f}",
        f"by chance < {metrics.pit_ks_by_chance(pit):.3f}",
    ]
    np.testing.assert_allclose(steps(plot_pit(pit))[0].get_data().values, expected)


def band(ax):
    extents = [patch.get_extents() for patch in ax.patches if not isinstance(patch, StepPatch)]
    (box,) = extents
    low, high = ax.transData.inverted().transform([[box.x0, box.y0], [box.x1, box.y1]])[:, 1]
    return high - low


def test_the_band_is_wider_where_galaxies_are_not_independent():
    alone = plot_pit(validation())
    together = plot_pit(validation(pit_ks_by_chance=3 * 1.3581 / np.sqrt(40)))
    expected = 40 / 20
    assert band(alone) == pytest.approx(4 / np.sqrt(expected))
    assert band(together) == pytest.approx(3 * band(alone))


def test_the_coverage_lies_beside_the_pit():
    table, pdf = galaxies(200)
    ax = plot_pit(pdf, table["z_spec"], coverage=True)
    _, beside = ax.figure.axes
    pit = pdf.pit(table["z_spec"])
    levels, shares = beside.lines[-1].get_data()
    np.testing.assert_allclose(shares, [metrics.coverage(pit, level=level) for level in levels])
    left, right = Figure().subplots(1, 2)
    plot_pit(validation(), ax=left, coverage=right)
    assert right.lines[-1].get_xydata().tolist() == [[0.5, 0.45], [0.9, 0.95]]
    placed = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    plot_pit(pit, ax=placed, coverage=True)
    assert placed.get_position().x1 < placed.figure.axes[1].get_position().x0
    assert len(pyplot.get_fignums()) == 1


def test_a_pit_that_is_none_is_an_error():
    table, pdf = galaxies(5)
    with pytest.raises(ValueError, match=r"from 0 to 1; got -0.1 to 1.2"):
        plot_pit([-0.1, 1.2])
    with pytest.raises(ValueError, match="no value is a number"):
        plot_pit([np.nan])
    with pytest.raises(ValueError, match="no galaxy has both an estimate and a true redshift"):
        plot_pit(pdf)
    with pytest.raises(KeyError, match="z_phot_pdf"):
        plot_pit(table)
    with pytest.raises(ValueError, match="the estimates came without PDFs"):
        plot_pit(validation(pit=[], pdf=None))
    with pytest.raises(ValueError, match="has its own true redshifts"):
        plot_pit(validation(), [0.1])
