# Licensed under a 3-clause BSD style license - see LICENSE
"""Figures of merit against other implementations, and their errors against simulation."""

import numpy as np
import pytest
from scipy import stats

from astro_photz import RedshiftPDF, metrics

EDGES = np.linspace(0, 0.4, 181)


def gaussian_pdfs(n=200, *, width=0.02, seed=0):
    """PDFs of one width, and the redshifts that they are calibrated for."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.15, 0.25, n)
    p = np.diff(stats.norm.cdf(EDGES, centre[:, None], width), axis=1)
    return RedshiftPDF(p / p.sum(axis=1, keepdims=True), EDGES), rng.normal(centre, width)


def normal_scores(n, rng):
    off = rng.normal(0, 0.02, n)
    return metrics.Scores(off, np.abs(off), rng.random(n), rng.normal(size=n), rng.normal(size=n))


# Definitions


@pytest.mark.parametrize("name", ["bias", "sigma_mad", "sigma68", "eta"])
@pytest.mark.parametrize("off", [[np.inf, 0, 1], [-np.inf, -np.inf], [np.inf, -np.inf, 0], [1e300, 0.0]])
def test_infinite_deviations_are_refused(name, off):
    with pytest.raises(ValueError, match=r"deviation must be numbers of a size up to 1e\+100; got .*, in row 0"):
        getattr(metrics, name)(off)


def test_sigma68_is_half_of_the_range_between_quantiles():
    off = np.random.default_rng(0).normal(0.01, 0.02, 1001)
    assert metrics.sigma68(off) == pytest.approx(np.diff(np.percentile(off, [16, 84]))[0] / 2, rel=1e-12)
    grid = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000, scale=0.02)
    assert metrics.sigma68(grid) == pytest.approx(0.02 * stats.norm.ppf(0.84), rel=1e-4)


def test_the_anderson_darling_distance_is_that_of_scipy():
    pit = np.random.default_rng(0).beta(1.3, 0.9, 300)
    wanted = stats.goodness_of_fit(
        stats.uniform, pit, known_params={"loc": 0, "scale": 1}, statistic="ad", n_mc_samples=2
    ).statistic
    assert metrics.pit_ad(pit) == pytest.approx(wanted, rel=1e-10)


def test_an_excluded_redshift_leaves_the_anderson_darling_distance_finite():
    pit = np.random.default_rng(0).random(500)
    assert metrics.pit_ad([*pit, 0.0, 1.0]) < metrics.pit_ad(pit) + 1
    assert metrics.pit_ad(np.repeat([0.0, 1.0], 250)) > 100


def test_chance_makes_the_anderson_darling_distance_as_large_as_its_distribution_says():
    rng = np.random.default_rng(0)
    drawn = [metrics.pit_ad(rng.random(40)) for _ in range(4000)]
    for level in (0.5, 0.9, 0.95):
        assert metrics.pit_ad_by_chance(rng.random(40), level=level) == pytest.approx(
            np.quantile(drawn, level), rel=0.05
        )
    assert metrics.pit_ad_by_chance([0.5]) == pytest.approx(2.492, abs=1e-3)  # tables of Stephens (1974)
    alone = metrics.pit_ad_by_chance(rng.random(500), groups=np.arange(500))
    assert alone == pytest.approx(2.49, rel=0.15)
    four_views = np.repeat(rng.random(500), 4)
    assert metrics.pit_ad_by_chance(four_views, groups=np.arange(2000) // 4) == pytest.approx(4 * 2.49, rel=0.15)


@pytest.mark.filterwarnings("ignore:The number of unique classes")  # of 180 bins, which scikit-learn 1.7 wonders at
def test_the_log_score_is_the_loss_of_scikit_learn():
    log_loss = pytest.importorskip("sklearn.metrics").log_loss
    pdf, redshift = gaussian_pdfs()
    k = np.digitize(redshift, EDGES) - 1
    wanted = -log_loss(k, pdf.p, labels=np.arange(180)) - np.log(EDGES[1])  # a density is a probability over a width
    assert metrics.summary(metrics.score(pdf, redshift))["log_score"] == pytest.approx(wanted, abs=1e-6)


def test_a_redshift_that_is_excluded_costs_a_finite_log_score():
    pdf = RedshiftPDF([[1.0, 0.0], [1.0, 0.0]], [0.0, 0.1, 0.2])
    np.testing.assert_allclose(metrics.score(pdf, [0.15, 0.5]).log_score, np.log(metrics.LOWEST_DENSITY))


def test_the_cde_loss_is_its_integral():
    pdf, redshift = gaussian_pdfs(20)
    z = np.linspace(0, 0.4, 180 * 50 + 1)[:-1] + 0.4 / 180 / 100
    density = np.array([pdf.density(one) for one in z])
    at_z = np.array([np.interp(one, z, column) for one, column in zip(redshift, density.T, strict=True)])
    wanted = (density**2).sum(axis=0) * (z[1] - z[0]) - 2 * at_z
    scores = metrics.score(pdf, redshift)
    np.testing.assert_allclose(scores.cde_loss, wanted, rtol=0.02, atol=0.05)
    exact = (pdf.p**2).sum(axis=1) / (0.4 / 180) - 2 * pdf.density(redshift)
    np.testing.assert_allclose(scores.cde_loss, exact, rtol=1e-12)


def test_scores_are_those_of_qp():
    qp = pytest.importorskip("qp")
    pdf, redshift = gaussian_pdfs(30)
    ensemble = qp.Ensemble(qp.hist, data={"bins": pdf.edges, "pdfs": pdf.p})
    scores = metrics.score(pdf, redshift)
    np.testing.assert_allclose(scores.pit, ensemble.cdf(redshift[:, None])[:, 0], atol=1e-6)
    density = ensemble.pdf(redshift[:, None])[:, 0]
    np.testing.assert_allclose(scores.log_score, np.log(density), atol=1e-6)
    square = (ensemble.pdf(pdf.grid) ** 2 * pdf.widths).sum(axis=1)
    np.testing.assert_allclose(scores.cde_loss, square - 2 * density, atol=1e-6)


def test_metrics_are_those_of_qp():
    qp = pytest.importorskip("qp")
    from qp.metrics.concrete_metric_classes import CDELossMetric
    from qp.metrics.pit import PIT

    pdf, redshift = gaussian_pdfs(100)
    ensemble = qp.Ensemble(qp.hist, data={"bins": pdf.edges, "pdfs": pdf.p})
    summary = metrics.summary(metrics.score(pdf, redshift))
    pit = PIT(ensemble, redshift, eval_grid=np.linspace(0, 1, 90))
    assert summary["pit_ks"] == pytest.approx(pit.evaluate_PIT_KS().statistic, abs=1e-6)
    # qp takes the density at the grid point next to the redshift, and trapezia; ours is the limit of a fine grid
    off = [
        abs(CDELossMetric(np.linspace(0, 0.4, n)).evaluate(ensemble, redshift) - summary["cde_loss"])
        for n in (61, 9001)
    ]
    assert off[1] < 0.05 < off[0]


def test_gaussians_are_scored_as_pdfs_in_fine_bins_are():
    rng = np.random.default_rng(0)
    z, err = rng.uniform(0.1, 0.3, 30), rng.uniform(0.01, 0.03, 30)
    redshift = rng.normal(z, err)
    edges = np.linspace(-0.2, 0.6, 20_001)
    fine = metrics.score(RedshiftPDF(np.diff(stats.norm.cdf(edges, z[:, None], err[:, None]), axis=1), edges), redshift)
    closed = metrics.score_gaussian(z, err, redshift)
    for name in ("deviation", "crps", "pit"):
        np.testing.assert_allclose(getattr(closed, name), getattr(fine, name), atol=1e-4, err_msg=name)
    square = 1 / (2 * np.sqrt(np.pi) * err)  # of the normal distribution
    np.testing.assert_allclose(closed.cde_loss, square - 2 * stats.norm.pdf(redshift, z, err), rtol=1e-9)
    np.testing.assert_allclose(closed.cde_loss, fine.cde_loss, atol=0.1)
    np.testing.assert_allclose(closed.log_score, stats.norm.logpdf(redshift, z, err), atol=1e-9)
    with pytest.raises(ValueError, match="error must be above 0 in every row; 1 are not"):
        metrics.score_gaussian([0.1, 0.2], [0.01, 0.0], [0.1, 0.2])


def test_many_pdfs_are_scored_as_few_are():
    pdf, redshift = gaussian_pdfs(9000)  # more than a block
    scores, last = metrics.score(pdf, redshift), metrics.score(pdf[8990:], redshift[8990:])
    for values, few in zip(scores, last, strict=True):
        assert (values is None) == (few is None)
        if few is not None:
            np.testing.assert_allclose(values[8990:], few)


# What is not known


def test_without_pdfs_there_are_the_numbers_of_points():
    off = np.random.default_rng(0).normal(0, 0.02, 100)
    points = metrics.summary(metrics.Scores(off))
    assert set(points) == {"bias", "sigma_mad", "sigma68", "eta", "n"}
    assert set(metrics.bootstrap(metrics.Scores(off))) == set(points) - {"n"}
    inside = metrics.Scores(off, within68=(np.abs(off) < 0.02).astype(float))
    assert metrics.summary(inside)["coverage68"] == pytest.approx(np.mean(np.abs(off) < 0.02), abs=1e-6)
    assert metrics.bootstrap(inside)["coverage68"] > 0
    assert "coverage95" not in metrics.summary(inside)


# Errors


@pytest.mark.parametrize("groups", [None, np.random.default_rng(3).integers(60, size=301)])
def test_drawn_samples_have_the_numbers_of_samples_written_out(groups):
    scores = normal_scores(301, np.random.default_rng(1))
    scores.pit[:3] = 0.0, 1.0, scores.pit[4]
    rows = metrics.resampled(301, groups=groups, resamples=40)
    drawn = np.array([[metric(scores.of(one)) for metric in metrics.METRICS.values()] for one in rows])
    errors = metrics.bootstrap(scores, groups=groups, resamples=40)
    np.testing.assert_allclose([*errors.values()], drawn.std(axis=0), atol=1e-6)
    chance = metrics.pit_ks_by_chance(scores.pit, groups=np.arange(301), resamples=40)
    plain = [
        stats.ks_2samp(scores.pit[one], scores.pit, method="asymp").statistic
        for one in metrics.resampled(301, groups=np.arange(301), resamples=40)
    ]
    assert chance == pytest.approx(np.quantile(plain, 0.95), rel=1e-9)


def test_a_metric_without_a_fast_form_has_an_error_too(monkeypatch):
    scores = normal_scores(200, np.random.default_rng(0))
    fast = metrics.bootstrap(scores, resamples=20)
    plain = {name: metrics.Metric(one.score, one.value) for name, one in metrics.METRICS.items()}
    for name, metric in plain.items():
        monkeypatch.setitem(metrics.METRICS, name, metric)
    assert metrics.bootstrap(scores, resamples=20) == pytest.approx(fast, abs=2e-6)


@pytest.mark.parametrize("members", [1, 3])
def test_errors_hold_the_truth_in_68_percent_of_samples(members):
    truth = {"bias": 0.0, "sigma68": 0.02 * stats.norm.ppf(0.84), "eta": 2 * stats.norm.sf(2.5), "coverage68": 0.68}
    rng, n, trials = np.random.default_rng(0), 250, 300
    groups = None if members == 1 else np.repeat(np.arange(n), members)
    inside = dict.fromkeys(truth, 0)
    for trial in range(trials):
        scores = normal_scores(n, rng).of(np.repeat(np.arange(n), members))
        found = metrics.summary(scores)
        errors = metrics.bootstrap(scores, groups=groups, resamples=60, seed=trial)
        for name in truth:
            inside[name] += abs(found[name] - truth[name]) <= errors[name]
    # of 300 trials, 68.3 % with a standard deviation of 2.7 %; a share of few galaxies comes in steps
    assert {name: number / trials for name, number in inside.items()} == pytest.approx(
        dict.fromkeys(truth, 0.683), abs=0.07
    )
