# Licensed under a 3-clause BSD style license - see LICENSE
"""What a model is worth: the field's numbers, and a model judged by a file as it is used."""

import json

import h5py
import numpy as np
import pytest
from astropy.table import MaskedColumn

from astro_photz import RedshiftPDF, load_model, metrics, predict
from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.evaluation import Evaluation, comparison, evaluate, evaluate_model
from astro_photz.evaluation.scores import BINS
from astro_photz.testing.factories import gaussian_cutouts

EDGES = np.linspace(0, 0.4, 181)


def gaussian_pdfs(n=4000, *, claimed=0.02, actual=0.02, shift=0.0, seed=0):
    """PDFs of one width, and redshifts that scatter about them with another."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.15, 0.25, n)
    p = np.exp(-0.5 * (((EDGES[1:] + EDGES[:-1]) / 2 - centre[:, None]) / claimed) ** 2)
    return RedshiftPDF(p / p.sum(axis=1, keepdims=True), EDGES), rng.normal(centre + shift, actual)


def write_labelled(path, n=300, *, simulated=True, redshift=None):
    cutouts = gaussian_cutouts(n)
    redshift = np.linspace(0.02, 0.35, n) if redshift is None else redshift
    with CutoutWriter(path, n, attributes={"simulated": simulated}) as writer:
        writer.append(cutouts, specz_redshift=redshift)
    return path


# Numbers


def test_scores_of_perfect_and_of_useless_pdfs():
    rng = np.random.default_rng(0)
    redshift = rng.uniform(0, 0.4, size=2000)
    bins = (redshift / 0.4 * 180).astype(int)
    perfect = evaluate(RedshiftPDF(np.eye(180)[bins], EDGES), redshift)
    assert perfect["sigma_mad"] < 0.002
    assert perfect["eta"] == 0
    useless = evaluate(RedshiftPDF(np.full((2000, 180), 1 / 180), EDGES), redshift)
    assert useless["coverage68"] == pytest.approx(0.68, abs=0.03)
    assert useless["pit_ks"] < 0.04
    assert useless["crps"] > 20 * perfect["crps"]


def test_pdfs_of_the_right_width_are_calibrated():
    summary = metrics.summary(metrics.score(*gaussian_pdfs()))
    assert summary["coverage68"] == pytest.approx(0.68, abs=0.03)
    assert summary["coverage95"] == pytest.approx(0.95, abs=0.015)
    assert summary["pit_ks"] < 1.36 / np.sqrt(4000)
    assert abs(summary["bias"]) < 0.001
    assert summary["sigma_mad"] == pytest.approx(0.02 / 1.2, rel=0.05)


@pytest.mark.parametrize(("claimed", "sign"), [(0.01, -1), (0.04, 1)])
def test_narrow_pdfs_cover_too_little_and_wide_ones_too_much(claimed, sign):
    summary = metrics.summary(metrics.score(*gaussian_pdfs(claimed=claimed)))
    assert sign * (summary["coverage68"] - 0.68) > 0.1
    assert summary["pit_ks"] > 0.08


def test_a_shift_is_bias_and_no_scatter():
    straight, shifted = (metrics.summary(metrics.score(*gaussian_pdfs(shift=shift))) for shift in (0, 0.01))
    assert shifted["bias"] - straight["bias"] == pytest.approx(-0.01 / 1.2, rel=0.05)
    assert shifted["sigma_mad"] == pytest.approx(straight["sigma_mad"], rel=0.02)


def test_ks_distance_is_that_of_scipy():
    from scipy.stats import kstest

    pit = np.random.default_rng(0).beta(2, 3, 500)
    assert metrics.pit_ks(pit) == pytest.approx(kstest(pit, "uniform").statistic)


def test_a_few_outliers_move_eta_only():
    deviation = np.random.default_rng(0).normal(0, 0.01, 1000)
    spoilt = deviation.copy()
    spoilt[:20] = 0.3
    assert metrics.eta(spoilt) == pytest.approx(0.02)
    assert metrics.eta(deviation) == 0
    assert metrics.sigma_mad(spoilt) == pytest.approx(metrics.sigma_mad(deviation), rel=0.05)


def test_a_masked_redshift_is_not_taken_for_a_number():
    z_phot = MaskedColumn([0.11, 0.22, 9.0], mask=[False, False, True])
    np.testing.assert_allclose(metrics.deviation(z_phot, [0.1, 0.2, 0.3]), [0.01 / 1.1, 0.02 / 1.2, np.nan])
    np.testing.assert_allclose(metrics.deviation([0.11], MaskedColumn([0.1], mask=[True])), [np.nan])
    scores = metrics.score(gaussian_pdfs(3)[0], MaskedColumn([0.1, 0.2, -9999.0], mask=[False, False, True]))
    assert scores.unknown.tolist() == [False, False, True]
    assert np.isnan(scores[:5]).tolist() == [[False, False, True]] * 5
    with pytest.raises(ValueError, match=r"of 1 galaxies they are NaN: leave those out by Scores.of"):
        metrics.summary(scores)
    assert metrics.summary(scores.of([0, 1]))["n"] == 2
    for metric in metrics.METRICS.values():
        assert np.isnan(metric(scores))
    masked = np.ma.array([0.0, 0.01, 0.02, 5.0], mask=[False, False, False, True])
    for metric in (metrics.bias, metrics.sigma_mad, metrics.eta):
        assert np.isnan(metric(masked))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_sums_up_galaxies_in_any_order(name):
    scores = metrics.score(*gaussian_pdfs(200))
    value = metrics.METRICS[name](scores)
    assert np.isfinite(value)
    assert metrics.METRICS[name](scores.of(np.random.default_rng(3).permutation(200))) == pytest.approx(value)
    assert metrics.bootstrap(scores)[name] > 0
    (middle,) = metrics.binned(scores, np.full(200, 0.5), [0, 1], at_least=100)
    assert middle[name] == pytest.approx(value, abs=1e-6)


def test_an_interval_does_not_hold_its_ends():
    assert metrics.coverage([0.25, 0.5, 0.75], level=0.5) == pytest.approx(1 / 3)


def test_two_hundred_samples_unless_others_are_asked_for():
    assert len(list(metrics.resampled(5))) == 200
    assert len(list(metrics.resampled(5, resamples=7))) == 7


def test_bootstrap_errors_are_those_of_statistics():
    scores = metrics.score(*gaussian_pdfs(2000))
    errors = metrics.bootstrap(scores, resamples=400)
    assert errors["bias"] == pytest.approx(scores.deviation.std() / np.sqrt(2000), rel=0.15)
    share = np.mean(np.abs(scores.pit - 0.5) < 0.34)
    assert errors["coverage68"] == pytest.approx(np.sqrt(share * (1 - share) / 2000), rel=0.15)
    assert metrics.bootstrap(scores, resamples=20) == metrics.bootstrap(scores, resamples=20)


def test_views_of_one_galaxy_tell_no_more_than_one_does():
    scores = metrics.score(*gaussian_pdfs(500))
    views = scores.of(np.repeat(np.arange(500), 8))
    groups = np.repeat(np.random.default_rng(0).permutation(500), 8)
    errors = {name: metrics.bootstrap(views, groups=given) for name, given in {"all": None, "groups": groups}.items()}
    wanted = metrics.bootstrap(scores)
    for name in ("bias", "sigma_mad", "crps", "coverage68"):
        assert errors["groups"][name] == pytest.approx(wanted[name], rel=0.2)
        assert errors["all"][name] < 0.5 * wanted[name]
    assert metrics.binned(views, views.pit, [0, 2], groups=groups)[0]["errors"] == errors["groups"]


def test_groups_are_drawn_whole():
    groups = np.array([7, -1, 7, 3, 3, 3])
    for rows in metrics.resampled(6, groups=groups, resamples=50):
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[2]
        assert counts[3] == counts[4] == counts[5]
        assert counts[[0, 1, 3]].sum() == 3


def test_chance_makes_the_pit_as_uneven_as_kolmogorov_says():
    pit = np.random.default_rng(0).random(2000)
    kolmogorov = pytest.approx(1.36 / np.sqrt(2000), rel=0.15)
    assert metrics.pit_ks_by_chance(pit) == kolmogorov
    assert metrics.pit_ks_by_chance(pit, groups=np.arange(2000)) == kolmogorov
    pairs = np.arange(2000) // 2
    assert metrics.pit_ks_by_chance(pit, groups=pairs) == metrics.pit_ks_by_chance(pit, groups=pairs)


def test_bins_hold_what_lies_between_their_edges():
    scores = metrics.score(*gaussian_pdfs(100))
    values = np.repeat([0.5, 1.5, 2.0, np.nan], [40, 30, 5, 25])
    bins = metrics.binned(scores, values, [0, 1, 2, 3], resamples=10)
    assert [(one["low"], one["high"], one["n"]) for one in bins] == [(0, 1, 40), (1, 2, 30)]  # 5 galaxies say nothing
    assert bins[1]["bias"] == metrics.summary(scores.of(values == 1.5))["bias"]
    assert set(bins[0]["errors"]) == set(metrics.METRICS)


def test_numbers_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no galaxy to judge by"):
        metrics.summary(metrics.Scores(*np.zeros((3, 0))))
    with pytest.raises(ValueError, match=r"redshift must have the shape \(4,\).*got \(3,\)"):
        metrics.score(gaussian_pdfs(4)[0], [0.1, 0.2, 0.3])


# A model and a file


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    path = write_labelled(tmp_path_factory.mktemp("evaluate") / "stamps.h5")
    return path, evaluate_model(load_model(), path, resamples=20, at_least=20)


def test_a_model_is_judged_as_it_is_used(evaluated):
    path, evaluation = evaluated
    cutouts = Cutouts.read(path)
    z_phot, redshift = np.asarray(predict(cutouts)["z_phot"]), np.linspace(0.02, 0.35, 300)
    deviation = (z_phot - redshift) / (1 + redshift)
    assert evaluation.overall["n"] == 300
    assert evaluation.overall["bias"] == pytest.approx(deviation.mean(), abs=2e-6)
    assert evaluation.overall["eta"] == pytest.approx(np.mean(np.abs(deviation) > 0.05), abs=1e-6)
    numbers = [n for n in np.histogram(z_phot, BINS["z_phot"])[0] if n >= 20]
    assert [one["n"] for one in evaluation.bins["z_phot"]] == numbers


def test_bins_share_the_galaxies_out(evaluated):
    _, evaluation = evaluated
    assert set(evaluation.bins) == set(BINS) - {"early"}
    assert evaluation.bins["seeing"] == []  # it is not known
    # r from 16 to 17.8 less the dust in front of it, and what lies beyond 8 pixels
    assert {one["low"] for one in evaluation.bins["r_mag"]} <= {15.0, 16.0, 16.5, 17.0, 17.5, 18.0}
    assert sum(one["n"] for one in evaluation.bins["redshift"]) == 300
    assert [one["n"] for one in evaluation.bins["ebv"]] == [300]


def test_seeing_and_types_are_looked_at_where_the_file_tells_them(tmp_path):
    cutouts = gaussian_cutouts(60)
    cutouts.psf_fwhm = np.full((60, 5), 9.0)
    cutouts.psf_fwhm[:, 2] = np.repeat([1.05, 1.35], 30)
    path = tmp_path / "stamps.h5"
    cutouts.write(path, specz_redshift=np.linspace(0.05, 0.3, 60), early=np.arange(60) < 20)
    bins = evaluate_model(load_model(), path, resamples=2, at_least=20).bins
    assert [(one["low"], one["high"], one["n"]) for one in bins["seeing"]] == [(1.0, 1.1, 30), (1.3, 1.4, 30)]
    assert [(one["low"], one["n"]) for one in bins["early"]] == [(0, 40), (1, 20)]
    assert not evaluate_model(load_model(), path, resamples=2).bins["seeing"]  # too few to tell


def test_simulated_galaxies_of_one_real_one_count_as_one(tmp_path):
    redshift = np.linspace(0.05, 0.3, 60)
    seeds = {"alone": np.full(60, -1), "together": np.arange(60) // 10}
    for name, seed_index in seeds.items():
        gaussian_cutouts(60).write(tmp_path / f"{name}.h5", specz_redshift=redshift, seed_index=seed_index)
    alone, together = (evaluate_model(load_model(), tmp_path / f"{name}.h5", resamples=50) for name in seeds)
    assert [one.data["n_independent"] for one in (alone, together)] == [60, 6]
    assert together.errors["bias"] > 2 * alone.errors["bias"]  # neighbours in redshift are alike
    assert together.pit_ks_by_chance > alone.pit_ks_by_chance
    assert together.overall == alone.overall


def test_the_pit_and_the_coverage_are_those_of_the_galaxies(evaluated):
    _, evaluation = evaluated
    assert sum(evaluation.pit) == 300
    assert evaluation.coverage["0.68"] == evaluation.overall["coverage68"]
    shares = list(evaluation.coverage.values())
    assert shares == sorted(shares)


def test_an_evaluation_is_json_and_names_what_it_is_of(evaluated):
    path, evaluation = evaluated
    assert Evaluation.of(json.loads(json.dumps(evaluation.entries(), allow_nan=False))) == evaluation
    assert evaluation.model["sha256"] == load_model().sha256
    assert evaluation.data["file"] == path.name  # its hash tells which it is
    assert len(evaluation.data["sha256"]) == 64


def test_a_table_beside_published_figures_says_of_what_images(evaluated, tmp_path):
    (main,) = evaluated[1].main_sample
    table = comparison(evaluated[1])
    assert list(table["images"]) == ["simulated images"] * 2 + ["real images"] * 2
    assert list(table["sigma_mad"][2:]) == [0.0135, 0.0091]
    assert list(table["eta"][2:]) == [0.013, 0.0031]
    assert list(table["sigma_mad"][:2]) == [evaluated[1].overall["sigma_mad"], main["sigma_mad"]]
    assert table["sigma_mad_err"].mask.tolist() == [False, False, True, True]
    real = evaluate_model(load_model(), write_labelled(tmp_path / "real.h5", 30, simulated=False), resamples=2)
    assert comparison(real)["images"][0] == "real images"


def test_published_figures_are_of_no_fainter_galaxies(tmp_path):
    cutouts = gaussian_cutouts(60)
    cutouts.flux[:20] *= 0.01
    cutouts.flux[20:] *= 2
    cutouts.write(tmp_path / "stamps.h5", specz_redshift=np.linspace(0.05, 0.3, 60))
    (main,) = evaluate_model(load_model(), tmp_path / "stamps.h5", resamples=2, at_least=20).main_sample
    assert (main["n"], main["high"], main["limit"]) == (40, 17.8, "r within 8 pixels")
    total = np.full((60, 5), 100.0)
    total[:25, 2] = 50.0  # 18.25, and 17.5
    cutouts.write(tmp_path / "total.h5", specz_redshift=np.linspace(0.05, 0.3, 60), catalog_flux=total)
    evaluation = evaluate_model(load_model(), tmp_path / "total.h5", resamples=2, at_least=20)
    main, fainter = evaluation.main_sample
    assert (main["n"], main["limit"]) == (35, "total r")
    assert (fainter["n"], fainter["low"], fainter["high"]) == (25, 17.8, 19.4)
    depths = [method.partition("evaluation, ")[2] for method in comparison(evaluation)["method"][1:3]]
    assert depths == ["total r < 17.8)", "total r 17.8 to 19.4)"]
    assert not evaluate_model(load_model(), tmp_path / "stamps.h5", resamples=2, at_least=41).main_sample


def test_galaxies_without_an_estimate_are_counted(tmp_path):
    cutouts = gaussian_cutouts(30)
    cutouts.flux[3] = np.nan
    cutouts.write(tmp_path / "stamps.h5", specz_redshift=np.full(30, 0.1))
    evaluation = evaluate_model(load_model(), tmp_path / "stamps.h5", resamples=2)
    assert evaluation.overall["n"] == 29
    assert evaluation.data["n_missing"] == 1


def test_redshifts_beyond_the_grid_are_judged_and_counted(tmp_path):
    redshift = np.full(30, 0.1)
    redshift[:4] = 0.55
    evaluation = evaluate_model(load_model(), write_labelled(tmp_path / "far.h5", 30, redshift=redshift), resamples=2)
    assert evaluation.data["beyond_grid"] == 4
    assert evaluation.overall["n"] == 30


def test_files_that_cannot_judge_are_refused(tmp_path):
    gaussian_cutouts(3).write(tmp_path / "unlabelled.h5")
    with pytest.raises(ValueError, match="lacks the data set specz_redshift"):
        evaluate_model(load_model(), tmp_path / "unlabelled.h5")
    path = write_labelled(tmp_path / "nan.h5", 4, redshift=[0.1, 0.2, np.nan, 0.1])
    with pytest.raises(ValueError, match="a number of 0 or more in every row; 1 are not, the first, nan, in row 2"):
        evaluate_model(load_model(), path)
    path = write_labelled(tmp_path / "unknown.h5", 4, redshift=[0.1, 0.2, 0.1, -9999])
    with pytest.raises(ValueError, match="1 are not, the first, nan, in row 3: leave them out of the file"):
        evaluate_model(load_model(), path)
    with h5py.File(write_labelled(tmp_path / "short.h5", 4), "a") as file:
        del file["specz_redshift"]
        file["specz_redshift"] = [0.1, 0.2, 0.1]
    with pytest.raises(ValueError, match=r"specz_redshift must have the shape \(4,\).*got \(3,\)"):
        evaluate_model(load_model(), tmp_path / "short.h5")
    with pytest.raises(FileNotFoundError, match="no file"):
        evaluate_model(load_model(), tmp_path / "absent.h5")
