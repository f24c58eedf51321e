# Licensed under a 3-clause BSD style license - see LICENSE
"""A RedshiftPDF is a sequence of galaxies: parts of it have the numbers of the whole, to the bit."""

import copy
import pickle
import re
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import MaskedColumn
from scipy import stats

from astro_photz import RedshiftPDF

EVEN = np.linspace(0, 0.4, 41)
UNEVEN = np.array([0, 0.01, 0.05, 0.06, 0.2, 0.25])


def random_pdfs(n, edges=EVEN, *, seed=0, without=()):
    p = np.random.default_rng(seed).dirichlet(np.full(len(edges) - 1, 0.3), n)
    p[list(without)] = np.nan
    return RedshiftPDF(p, edges)


WHOLE = random_pdfs(6, without=[2])
CONDITION = np.array([True, False, True, False, False, True])


# Parts


@pytest.mark.parametrize(
    ("rows", "same_as"),
    [
        (0, [0]),
        (np.int64(3), [3]),
        (-1, [5]),
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [5, 3, 1]),
        ([4, 4, 0], [4, 4, 0]),
        (np.array([[5], [1]]).ravel(), [5, 1]),
        (MaskedColumn([1, 5]), [1, 5]),
        (CONDITION, [0, 2, 5]),
        (list(CONDITION), [0, 2, 5]),
        (MaskedColumn(CONDITION, mask=[True, True, False, False, False, False]), [2, 5]),
        ([], []),
        (np.zeros(6, dtype=bool), []),
    ],
)
def test_rows_that_are_chosen_keep_their_numbers(rows, same_as):
    part = WHOLE[rows]
    assert isinstance(part, RedshiftPDF)
    np.testing.assert_array_equal(part.p, WHOLE.p[same_as])
    np.testing.assert_array_equal(part.median(), WHOLE.median()[same_as])
    np.testing.assert_array_equal(part.cdf(0.1), WHOLE.cdf(0.1)[same_as])
    np.testing.assert_array_equal(part.edges, WHOLE.edges)


@pytest.mark.parametrize("rows", [6, -7, "z_phot", 1.5, [True], (0, 1), None])
def test_rows_that_are_not_there(rows):
    with pytest.raises(IndexError):
        WHOLE[rows]


def test_iteration_and_concatenation_are_inverse():
    assert [len(one) for one in WHOLE] == [1] * 6
    assert RedshiftPDF.concatenate(WHOLE) == WHOLE
    assert RedshiftPDF.concatenate([WHOLE[:2], WHOLE[2:2], WHOLE[2:]]) == WHOLE


def test_rounded_edges_are_the_same_grid():
    """Cards round their edges to 12 digits, and the meta of a table computes them."""
    joined = RedshiftPDF.concatenate([WHOLE, RedshiftPDF(WHOLE.p, WHOLE.edges.round(12))])
    assert len(joined) == 12


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (UNEVEN, "the first has 40 bins on 0 to 0.4, that with index 1 has 5 bins on 0 to 0.25"),
        (EVEN + 0.001, "40 bins on 0.001 to 0.401"),
        (np.append(EVEN[:-2], [0.385, 0.4]), "that with index 1 has 40 bins on 0 to 0.4 with other edges"),
    ],
)
def test_other_grids_are_not_joined(edges, message):
    with pytest.raises(ValueError, match=message):
        RedshiftPDF.concatenate([WHOLE, random_pdfs(2, edges)])


def test_nothing_has_no_grid():
    with pytest.raises(ValueError, match="at least one RedshiftPDF"):
        RedshiftPDF.concatenate([])


# Equality and copies


def test_equal_if_all_numbers_are():
    assert RedshiftPDF(WHOLE.p, WHOLE.edges) is not WHOLE
    assert random_pdfs(6, without=[2]) == WHOLE
    for other in (
        random_pdfs(6),
        random_pdfs(6, without=[1]),
        WHOLE[:5],
        RedshiftPDF(WHOLE.p, WHOLE.edges + 0.1),
        WHOLE.p,
        None,
    ):
        assert other != WHOLE


def test_an_array_of_it_is_that_of_its_probabilities():
    np.testing.assert_array_equal(np.asarray(WHOLE), WHOLE.p)
    assert np.asarray(WHOLE, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda pdf: pickle.loads(pickle.dumps(pdf))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("pdf", [WHOLE, WHOLE[3:3], WHOLE[2]], ids=["whole", "empty", "no estimate"])
def test_copies_are_equal(copied, pdf):
    again = copied(pdf)
    assert again == pdf
    np.testing.assert_array_equal(again.median(), pdf.median())


# Intervals, densities and draws


@pytest.mark.parametrize("level", [0.001, 0.5, 0.68, 0.95, 0.999])
@pytest.mark.parametrize("edges", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_intervals_hold_their_probability_with_as_much_on_either_side(level, edges):
    pdf = random_pdfs(30, edges)
    low, high = pdf.interval(level).T
    np.testing.assert_allclose(pdf.cdf(high) - pdf.cdf(low), level, atol=1e-12)
    np.testing.assert_allclose(pdf.cdf(low), 1 - pdf.cdf(high), atol=1e-12)


@pytest.mark.parametrize("level", [0, 1, 68, -0.5, np.nan])
def test_intervals_of_no_probability(level):
    with pytest.raises(ValueError, match=f"level must lie between 0 and 1.*got {level}"):
        WHOLE.interval(level)


@pytest.mark.parametrize("edges", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_density_is_the_slope_of_the_distribution(edges):
    pdf = random_pdfs(20, edges)
    for z, width in zip(pdf.grid, pdf.widths, strict=True):
        step = width / 4
        slope = (pdf.cdf(z + step) - pdf.cdf(z - step)) / (2 * step)
        np.testing.assert_allclose(pdf.density(z), slope, atol=1e-9)


def test_density_beyond_the_grid_and_at_its_ends():
    pdf = RedshiftPDF([[0.25, 0.75]], [0.1, 0.2, 0.3])
    z = [0.0999, 0.1, 0.2, 0.3, 0.3001, np.nan]
    np.testing.assert_allclose([pdf.density(one)[0] for one in z], [0, 2.5, 7.5, 7.5, 0, np.nan])


def test_each_galaxy_has_a_redshift_of_its_own():
    pdf = RedshiftPDF([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.1, 0.2])
    np.testing.assert_allclose(pdf.density([0.05, 0.05]), [10, 0])


def test_draws_follow_their_pdf():
    pdf = random_pdfs(5, UNEVEN)
    z = pdf.sample(4000, rng=1)
    assert z.shape == (5, 4000)
    for one, drawn in zip(pdf, z, strict=True):
        assert stats.kstest(drawn, lambda at, one=one: RedshiftPDF.concatenate([one] * len(at)).cdf(at)).pvalue > 0.001


def test_draws_lie_where_there_is_probability():
    p = np.zeros((50, 40))
    p[:, [3, 17]] = 0.5
    z = RedshiftPDF(p, EVEN).sample(200, rng=2)
    inside = np.any([(EVEN[k] <= z) & (z <= EVEN[k + 1]) for k in (3, 17)], axis=0)
    assert inside.all()


def test_draws_are_those_of_their_seed():
    np.testing.assert_array_equal(WHOLE.sample(3, rng=5), WHOLE.sample(3, rng=np.random.default_rng(5)))
    assert not np.array_equal(WHOLE.sample(3, rng=5)[0], WHOLE.sample(3, rng=6)[0])
    assert np.isnan(WHOLE.sample(3)[2]).all()
    assert not np.isnan(np.delete(WHOLE.sample(3), 2, axis=0)).any()
    assert WHOLE[:0].sample(3).shape == (0, 3)
    assert WHOLE.sample(0).shape == (6, 0)


# Shown


def test_a_notebook_shows_the_first_galaxies():
    html = random_pdfs(20, without=[1])._repr_html_()
    assert html.count("<svg") == 7
    assert html.count("no estimate") == 1
    assert "RedshiftPDF of 20 galaxies, 40 bins on 0 to 0.4" in html
    assert "and 12 more" in html
    mean, low = random_pdfs(20).mean()[0], random_pdfs(20).interval(0.68)[0, 0]
    assert f"{mean:.4f} &plusmn;" in html
    assert f"{low:.4f} to" in html


def test_the_drawings_stay_within_their_frame():
    for width, height, points in re.findall(
        r'<svg width="(\d+)" height="(\d+)".*?points="(.*?)"', random_pdfs(5, UNEVEN)._repr_html_()
    ):
        x, y = np.array([point.split(",") for point in points.split()], dtype=float).T
        assert (x.min(), x.max()) == (0, float(width))
        assert 0 < y.min() < y.max() < float(height)
        assert (np.diff(x) >= 0).all()


def test_no_galaxies_are_shown_too():
    assert "RedshiftPDF of 0 galaxies" in WHOLE[:0]._repr_html_()


@pytest.mark.skipif(not find_spec("matplotlib"), reason="needs matplotlib")
def test_plot_is_that_of_the_room_of_plots():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert WHOLE[:2].plot(ax=ax) is ax
    assert ax.get_lines() or ax.patches
