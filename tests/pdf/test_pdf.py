# Licensed under a 3-clause BSD style license - see LICENSE
"""The numbers drawn from a PDF are those of its piecewise constant density, as integrated on a fine grid."""

import numpy as np
import pytest
from scipy import stats

from astro_photz import RedshiftPDF

EVEN = np.linspace(0, 0.4, 181)


def uneven_edges(k, *, seed=0):
    return 0.4 * np.cumsum([0, *np.random.default_rng(seed).dirichlet(np.full(k, 2.0))])


def random_pdfs(n, edges, *, concentration=0.3, seed=0):
    """From nearly a single bin (small concentration) to nearly flat (large)."""
    p = np.random.default_rng(seed).dirichlet(np.full(len(edges) - 1, concentration), n)
    return RedshiftPDF(p, edges)


def peaked_pdfs(z, sigma, edges):
    """Normal distributions, in bins."""
    cdf = stats.norm.cdf(edges, np.asarray(z)[:, None], np.asarray(sigma)[:, None])
    p = np.diff(cdf, axis=1)
    return RedshiftPDF(p / p.sum(axis=1, keepdims=True), edges)


CASES = {
    "spiky": random_pdfs(20, EVEN, concentration=0.02),
    "rough": random_pdfs(20, EVEN),
    "flat": random_pdfs(20, EVEN, concentration=50.0),
    "uneven bins": random_pdfs(20, uneven_edges(60)),
    "few bins": random_pdfs(20, uneven_edges(3, seed=1), concentration=1.0),
    "one bin": RedshiftPDF([[1.0]], [0.1, 0.3]),
    "a bin of many": RedshiftPDF(np.eye(len(EVEN) - 1)[[0, 17, 179]], EVEN),
    "two peaks": RedshiftPDF(np.eye(len(EVEN) - 1)[[10]] / 2 + np.eye(len(EVEN) - 1)[[90]] / 2, EVEN),
}


@pytest.fixture(params=CASES)
def pdf(request):
    return CASES[request.param]


def fine_grid(pdf, n=400):
    """Midpoints, their spacing and the density there (N, M): n points in each bin, so that no bin is cut."""
    z = (pdf.edges[:-1, None] + pdf.widths[:, None] * (np.arange(n) + 0.5) / n).ravel()
    return z, np.repeat(pdf.widths / n, n), np.repeat(pdf.p / pdf.widths, n, axis=1)


# Against brute force


def test_a_masked_row_is_a_galaxy_without_an_estimate():
    pdf = RedshiftPDF(np.ma.array([[0.0, 0.0], [0.4, 0.6]], mask=[[True, True], [False, False]]), [0.0, 0.1, 0.2])
    assert np.isnan(pdf.mean()[0])
    assert pdf.mean()[1] == pytest.approx(0.11)


def test_probabilities_sum_to_one(pdf):
    np.testing.assert_allclose(pdf.p.sum(axis=1), 1, rtol=1e-12)


def test_mean_and_standard_deviation(pdf):
    z, dz, density = fine_grid(pdf)
    mean = density @ (z * dz)
    variance = np.sum(density * dz * (z - mean[:, None]) ** 2, axis=1)
    np.testing.assert_allclose(pdf.mean(), mean, rtol=1e-9)
    np.testing.assert_allclose(pdf.std(), np.sqrt(variance), rtol=1e-4)


def test_mode_is_the_centre_of_the_densest_bin(pdf):
    z, _, density = fine_grid(pdf, 1)
    np.testing.assert_allclose(pdf.mode(), z[np.argmax(density, axis=1)])


def test_mode_is_of_density_not_of_probability():
    pdf = RedshiftPDF([[0.4, 0.6]], [0.0, 0.1, 0.4])
    assert pdf.mode() == pytest.approx(0.05)


@pytest.mark.parametrize("q", [0.001, 0.025, 0.16, 0.5, 0.84, 0.975, 0.999])
def test_quantiles(pdf, q):
    z, dz, density = fine_grid(pdf)
    cumulative = np.cumsum(density * dz, axis=1)
    expected = z[np.argmax(cumulative >= q - 1e-12, axis=1)]
    np.testing.assert_allclose(pdf.quantile([q])[:, 0], expected, atol=2 * dz.max())


def test_quantile_and_cdf_are_inverse(pdf):
    for q in np.linspace(0.01, 0.99, 25):
        np.testing.assert_allclose(pdf.cdf(pdf.quantile([q])[:, 0]), q, atol=1e-12)


def test_quantiles_increase(pdf):
    assert np.all(np.diff(pdf.quantile(np.linspace(0, 1, 101)), axis=1) >= 0)


def test_all_of_the_probability_lies_below_the_last_quantile(pdf):
    """Bins without probability above the last one with some do not count, whatever rounding does."""
    last = [pdf.edges[1 + np.flatnonzero(p)[-1]] for p in pdf.p]
    assert np.all(pdf.quantile([1])[:, 0] <= np.array(last) + 1e-12)
    np.testing.assert_allclose(pdf.cdf(pdf.edges[-1]), 1, rtol=1e-12)
    np.testing.assert_allclose(pdf.cdf(pdf.edges[0]), 0, atol=1e-12)


def test_last_quantile_with_empty_bins_above():
    rng = np.random.default_rng(3)
    p = np.zeros((200, 180))
    p[:, 20:60] = rng.dirichlet(np.ones(40), 200)
    assert np.all(RedshiftPDF(p, EVEN).quantile([1])[:, 0] <= EVEN[60] + 1e-12)


def test_median(pdf):
    np.testing.assert_array_equal(pdf.median(), pdf.quantile([0.5])[:, 0])


@pytest.mark.parametrize("half_width", [0.003, 0.03, 0.2])
def test_odds(pdf, half_width):
    z, dz, density = fine_grid(pdf)
    near = np.abs(z - pdf.mode()[:, None]) < half_width * (1 + pdf.mode()[:, None])
    expected = np.sum(density * dz * near, axis=1)
    np.testing.assert_allclose(pdf.odds(half_width=half_width), expected, atol=5e-3)


def test_odds_of_certainty_and_of_reach():
    pdf = RedshiftPDF([[0.0, 1.0, 0.0]], [0.0, 0.1, 0.102, 0.4])
    assert pdf.odds() == pytest.approx(1)
    assert pdf.odds(half_width=0.0005) == pytest.approx(2 * 0.0005 * 1.101 / 0.002)


@pytest.mark.parametrize("z", [-0.1, 0.0, 0.0611, 0.1, 0.2345, 0.4, 0.7])
def test_pit_and_crps(pdf, z):
    grid, dz, density = fine_grid(pdf)
    below = np.clip((z - (grid - dz / 2)) / dz, 0, 1)  # share of each step on the near side of z
    pit = density @ (below * dz)
    truth = np.full(len(pdf), z)
    np.testing.assert_allclose(pdf.pit(truth), pit, atol=1e-9)

    middle = np.cumsum(density * dz, axis=1) - density * dz / 2
    crps = np.sum(dz * (below * middle**2 + (1 - below) * (middle - 1) ** 2), axis=1)
    beyond = max(0, z - pdf.edges[-1], pdf.edges[0] - z)  # there the CDF is 0 or 1, and the step the other
    np.testing.assert_allclose(pdf.crps(truth), crps + beyond, atol=1e-4)


def test_crps_by_its_other_definition():
    """Gneiting & Raftery (2007), equation 21: E|Z - z| - E|Z - Z'| / 2."""
    pdf = random_pdfs(3, uneven_edges(7), concentration=1.0)
    for p, crps, z in zip(pdf.p, pdf.crps([0.05, 0.2, 0.39]), [0.05, 0.2, 0.39], strict=True):
        many = RedshiftPDF(np.broadcast_to(p, (50_000, 7)), pdf.edges)
        one, other = draw(many, seed=1), draw(many, seed=2)
        assert crps == pytest.approx(np.abs(one - z).mean() - np.abs(one - other).mean() / 2, abs=2e-3)


def test_crps_of_a_sharp_pdf_is_the_absolute_error():
    edges = np.array([0, 0.1, 0.1 + 1e-7, 0.4])
    pdf = RedshiftPDF(np.tile([0.0, 1.0, 0.0], (3, 1)), edges)
    np.testing.assert_allclose(pdf.crps([0.03, 0.1, 0.25]), [0.07, 0, 0.15], atol=1e-6)


# What the numbers mean


def draw(pdf, *, seed=5):
    """A true redshift for each galaxy, drawn from its own PDF."""
    rng = np.random.default_rng(seed)
    k = (np.cumsum(pdf.p, axis=1) < rng.uniform(size=(len(pdf), 1))).sum(axis=1)
    return pdf.edges[k] + rng.uniform(size=len(pdf)) * pdf.widths[k]


def test_calibrated_pdfs_have_a_uniform_pit():
    rng = np.random.default_rng(6)
    pdf = peaked_pdfs(rng.uniform(0.05, 0.3, 2000), rng.uniform(0.005, 0.03, 2000), EVEN)
    assert stats.kstest(pdf.pit(draw(pdf)), "uniform").pvalue > 0.01


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_pdfs_too_narrow_or_too_wide_have_not(factor):
    rng = np.random.default_rng(6)
    centre, sigma = rng.uniform(0.1, 0.3, 2000), rng.uniform(0.01, 0.03, 2000)
    z = centre + sigma * rng.normal(size=2000)
    assert stats.kstest(peaked_pdfs(centre, sigma, EVEN).pit(z), "uniform").pvalue > 0.01
    assert stats.kstest(peaked_pdfs(centre, factor * sigma, EVEN).pit(z), "uniform").pvalue < 1e-4


def test_intervals_cover_what_they_claim():
    rng = np.random.default_rng(7)
    pdf = peaked_pdfs(rng.uniform(0.1, 0.3, 4000), rng.uniform(0.005, 0.03, 4000), EVEN)
    z = draw(pdf)
    for low, high, share in ((0.16, 0.84, 0.68), (0.025, 0.975, 0.95)):
        inside = (pdf.quantile([low])[:, 0] < z) & (z < pdf.quantile([high])[:, 0])
        assert inside.mean() == pytest.approx(share, abs=0.02)


def test_crps_is_least_for_the_true_distribution():
    rng = np.random.default_rng(8)
    centre, sigma = rng.uniform(0.1, 0.3, 2000), np.full(2000, 0.02)
    z = centre + sigma * rng.normal(size=2000)
    truth = peaked_pdfs(centre, sigma, EVEN).crps(z).mean()
    for worse in (
        peaked_pdfs(centre + 0.01, sigma, EVEN),
        peaked_pdfs(centre, 0.5 * sigma, EVEN),
        peaked_pdfs(centre, 2 * sigma, EVEN),
    ):
        assert worse.crps(z).mean() > 1.02 * truth


def test_moments_of_a_normal_distribution():
    pdf = peaked_pdfs([0.15, 0.2], [0.01, 0.03], EVEN)
    np.testing.assert_allclose(pdf.mean(), [0.15, 0.2], atol=1e-6)
    np.testing.assert_allclose(pdf.median(), [0.15, 0.2], atol=1e-4)
    np.testing.assert_allclose(pdf.std(), [0.01, 0.03], rtol=0.01)
    np.testing.assert_allclose(
        pdf.quantile([0.16, 0.84]) - [[0.15], [0.2]], 0.9945 * np.outer([1, 3], [-0.01, 0.01]), atol=2e-4
    )


def test_point_estimate_is_at_the_centre_of_bins():
    """The left edge instead would shift every redshift by 0.0011, more than the bias of a good method."""
    assert RedshiftPDF(np.eye(180)[[45]], EVEN).mean() == pytest.approx(45.5 * 0.4 / 180)


# Galaxies without an estimate, and none at all


def test_row_of_nan_gives_nan_and_touches_no_other():
    p = random_pdfs(3, EVEN).p
    whole = RedshiftPDF(p, EVEN)
    p = p.copy()
    p[1] = np.nan
    pdf = RedshiftPDF(p, EVEN)
    z = np.full(3, 0.1)
    for get in (
        lambda pdf: pdf.mean(),
        lambda pdf: pdf.std(),
        lambda pdf: pdf.mode(),
        lambda pdf: pdf.median(),
        lambda pdf: pdf.quantile([0.0])[:, 0],
        lambda pdf: pdf.quantile([1.0])[:, 0],
        lambda pdf: pdf.odds(),
        lambda pdf: pdf.pit(z),
        lambda pdf: pdf.crps(z),
    ):
        assert np.isnan(get(pdf)[1])
        np.testing.assert_array_equal(get(pdf)[[0, 2]], get(whole)[[0, 2]])


def test_unknown_true_redshift_gives_nan():
    pdf = random_pdfs(2, EVEN)
    z = [np.nan, 0.1]
    np.testing.assert_array_equal(np.isnan(pdf.pit(z)), [True, False])
    np.testing.assert_array_equal(np.isnan(pdf.crps(z)), [True, False])


def test_no_galaxies():
    pdf = RedshiftPDF(np.zeros((0, 180)), EVEN)
    assert len(pdf) == 0
    for value in (pdf.mean(), pdf.std(), pdf.mode(), pdf.median(), pdf.odds(), pdf.pit([]), pdf.crps([])):
        assert value.shape == (0,)
    assert pdf.quantile([0.1, 0.9]).shape == (0, 2)


def test_one_galaxy_may_come_without_its_axis():
    assert len(RedshiftPDF([0.2, 0.8], [0, 0.1, 0.4])) == 1


def test_float32_probabilities_are_normalised():
    p = random_pdfs(50, EVEN).p.astype(np.float32)
    pdf = RedshiftPDF(p, EVEN)
    assert pdf.p.dtype == np.float64
    np.testing.assert_allclose(pdf.p.sum(axis=1), 1, rtol=1e-12)


def test_input_is_not_modified():
    p = np.array([[0.1004, 0.9]])
    RedshiftPDF(p, [0, 0.1, 0.4])
    np.testing.assert_array_equal(p, [[0.1004, 0.9]])


def test_repr():
    assert repr(random_pdfs(3, EVEN)) == "<RedshiftPDF of 3 galaxies, 180 bins on 0 to 0.4>"


# Errors


@pytest.mark.parametrize(("p", "edges"), [(np.ones((2, 3)) / 3, 3), (np.ones((2, 3)) / 3, 5), (np.ones((2, 3, 1)), 2)])
def test_shapes_that_do_not_match(p, edges):
    with pytest.raises(ValueError, match=r"p must have the shape \(N, K\) and edges \(K \+ 1,\).*got"):
        RedshiftPDF(p, np.linspace(0, 1, edges))


@pytest.mark.parametrize(
    "edges", [[0.0, 0.2, 0.2, 0.4], [0.0, 0.3, 0.2, 0.4], [0.4, 0.3, 0.2, 0.1], [0.0, np.nan, 0.2, 0.4]]
)
def test_edges_that_do_not_increase(edges):
    with pytest.raises(ValueError, match="edges must increase"):
        RedshiftPDF(np.ones((1, 3)) / 3, edges)


@pytest.mark.parametrize(
    "row", [[0.5, 0.6, 0.0], [0.1, 0.1, 0.1], [1.5, -0.5, 0.0], [np.inf, 0.0, 0.0], [0.0, 0.0, 0.0]]
)
def test_row_that_is_no_probability(row):
    with pytest.raises(ValueError, match=r"row 1 sums to .* minimum .*Divide"):
        RedshiftPDF([[0.2, 0.3, 0.5], row], [0, 0.1, 0.2, 0.4])


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, 2.0]])
def test_quantile_of_no_probability(q):
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        random_pdfs(1, EVEN).quantile(q)
