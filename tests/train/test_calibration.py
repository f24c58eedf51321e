# Licensed under a 3-clause BSD style license - see LICENSE
"""Calibration: PDFs that are wrong in known ways come out right, and those that are right are left alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)

from astro_photz import RedshiftPDF, metrics
from astro_photz.train.networks.heads import Z_EDGES, CalibratedHead
from astro_photz.train.tasks.calibration import calibrate, fit_recalibration, fit_temperature, fold_temperature

WIDTH = 0.015


def make_head(*, confidence=1.0):
    """A head that makes Gaussian PDFs of embeddings (centre, 1), ``confidence`` times too sure of themselves."""
    centres = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
    head = torch.nn.Linear(2, 180)
    with torch.no_grad():  # -(c - mu)^2 / 2 w^2, but for what all bins share
        head.weight[:, 0] = confidence * centres / WIDTH**2
        head.weight[:, 1] = 0
        head.bias[:] = -confidence * centres**2 / (2 * WIDTH**2)
    return head


def make_galaxies(n=6000, *, seed=0, skew=1.0):
    """Embeddings, and redshifts drawn from their PDFs; where ``skew`` is not 1, from one side of them too often."""
    generator = torch.Generator().manual_seed(seed)
    centre = 0.1 + 0.2 * torch.rand(n, generator=generator)
    quantile = torch.rand(n, generator=generator) ** skew
    embedding = torch.stack([centre, torch.ones(n)], dim=1)
    return embedding, centre + WIDTH * torch.special.ndtri(quantile.clamp(1e-4, 1 - 1e-4))


@torch.no_grad()
def judge(head, *, skew=1.0):
    """Metrics on galaxies that no calibration has seen."""
    embedding, redshift = make_galaxies(20_000, seed=9, skew=skew)
    pdf = RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES)
    return metrics.summary(metrics.score(pdf, redshift.numpy()))


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_calibration_finds_how_sure_the_scores_are_of_themselves(temperature):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(4000, 180, generator=generator)
    drawn = torch.multinomial(scores.softmax(dim=1), 1, generator=generator)[:, 0]
    redshift = (drawn + 0.5) * 0.4 / 180
    assert fit_temperature(temperature * scores, redshift) == pytest.approx(temperature, rel=0.03)


def test_a_folded_temperature_is_in_the_head():
    head = torch.nn.Linear(4, 180)
    x = torch.randn(3, 4)
    before = head(x)
    fold_temperature(head, 1.7)
    torch.testing.assert_close(head(x), before / 1.7)


@pytest.mark.parametrize("confidence", [0.5, 2.0])
def test_a_wrong_width_is_set_right_by_the_temperature_alone(confidence):
    head = make_head(confidence=confidence)
    calibrated, report = calibrate(head, *make_galaxies())
    assert report["temperature"] == pytest.approx(confidence, rel=0.05)
    assert report["recalibrated"] is False
    assert isinstance(calibrated, torch.nn.Linear)
    assert judge(calibrated)["pit_ks"] < 0.02 < judge(head)["pit_ks"]
    assert judge(calibrated)["coverage68"] == pytest.approx(0.68, abs=0.02)


# Recalibration


@pytest.mark.parametrize("skew", [0.8, 1.3])
def test_a_wrong_place_is_set_right_by_the_recalibration(skew):
    head = make_head()
    calibrated, report = calibrate(head, *make_galaxies(skew=skew))
    assert report["recalibrated"] is True
    assert "recalibration" in report["method"]
    before, after = judge(head, skew=skew), judge(calibrated, skew=skew)
    assert after["pit_ks"] < 0.02 < 0.05 < before["pit_ks"]
    assert abs(after["bias"]) < 0.2 * abs(before["bias"])
    assert after["crps"] < before["crps"]
    assert report["pit_ks"]["before"] == pytest.approx(before["pit_ks"], abs=0.02)
    assert report["pit_ks"]["recalibration"] < 0.02


def test_what_is_calibrated_is_left_alone():
    recalibrated = [calibrate(make_head(), *make_galaxies(2000, seed=seed))[1]["recalibrated"] for seed in range(10)]
    assert sum(recalibrated) <= 2  # one in twenty is by chance


@pytest.mark.parametrize("skew", [0.97, 0.98, 1.03])
def test_a_card_never_calls_wrong_what_was_found_right(skew):
    """PDFs that are wrong by a little: what is needed is what exceeds the distance by chance that a card tells."""
    head, (embedding, redshift) = make_head(), make_galaxies(skew=skew)
    with torch.no_grad():
        pit = RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES).pit(redshift.numpy())
    _, report = calibrate(head, embedding, redshift)
    assert report["temperature"] == 1
    assert report["pit_ks"]["before"] == pytest.approx(metrics.pit_ks(pit), abs=1e-5)
    assert report["pit_ks"]["by_chance"] == pytest.approx(metrics.pit_ks_by_chance(pit), rel=0.05)
    assert report["recalibrated"] is bool(metrics.pit_ks(pit) > metrics.pit_ks_by_chance(pit))


def test_both_tails_of_a_recalibrated_pdf_have_all_their_digits():
    """A map that changes nothing: what is improbable stays as improbable as it was, above the peak as below."""
    head, embedding = make_head(), torch.tensor([[0.2, 1.0]])
    same = CalibratedHead(head, np.linspace(0, 1, 257))
    with torch.no_grad():
        expected, found = head(embedding).log_softmax(dim=1), same(embedding).log_softmax(dim=1)
    torch.testing.assert_close(found.clamp(min=-40), expected.clamp(min=-40), rtol=0, atol=0.05)


def test_each_half_is_judged_by_what_the_other_half_taught():
    """Halves that are wrong in opposite ways: no map that one teaches helps the other, whatever it does for its own."""
    embedding, redshift = make_galaxies(2000)
    second = np.random.default_rng(3).permutation(2000) % 2 == 1  # as the seed draws them
    shift = torch.where(torch.from_numpy(second), 0.6 * WIDTH, -0.6 * WIDTH)
    _, report = calibrate(make_head(), embedding, redshift + shift, seed=3)
    assert report["pit_ks"]["recalibration"] > report["pit_ks"]["before"] + 0.05
    assert report["recalibrated"] is False
    _, other = calibrate(make_head(), embedding, redshift + shift, seed=4)  # halves that are alike
    assert other["pit_ks"]["recalibration"] < report["pit_ks"]["recalibration"] - 0.1


def test_views_of_one_galaxy_are_in_one_half():
    """Otherwise what half of the views teach would be judged by the others, and any map would be found to help."""
    views = [one.repeat_interleave(50, dim=0) for one in make_galaxies(120, seed=2)]
    groups = np.repeat(np.arange(120), 50)
    apart, together = (calibrate(make_head(), *views, groups=given)[1]["pit_ks"] for given in (None, groups))
    assert apart["recalibration"] < 0.7 * apart["before"]
    assert together["recalibration"] > 0.9 * together["before"]


def test_what_a_few_galaxies_have_in_common_is_not_corrected():
    """Fifty views each of eighty galaxies: nothing is wrong with their PDFs, but for what eighty are off by chance."""
    taken = {"views": 0, "galaxies": 0}
    for seed in range(5):
        views = [one.repeat_interleave(50, dim=0) for one in make_galaxies(80, seed=seed)]
        groups = np.repeat(np.random.default_rng(seed).permutation(80), 50)
        for name, given in {"views": None, "galaxies": groups}.items():
            _, report = calibrate(make_head(), *views, groups=given)
            taken[name] += report["method"] != "none needed"
    assert (report["n"], report["n_independent"]) == (4000, 80)
    assert taken["views"] >= 4
    assert taken["galaxies"] <= 1


def test_one_outlier_of_a_small_sample_does_not_widen_all_pdfs():
    """However unlikely it is, it may be a wrong label; where outliers are many, PDFs are too narrow indeed."""
    embedding, redshift = make_galaxies(100)
    temperature = {}
    for n in (1, 20):
        displaced = redshift.clone()
        displaced[:n] += 6 * WIDTH
        temperature[n] = calibrate(make_head(), embedding, displaced)[1]["temperature"]
    assert temperature[1] == 1
    assert temperature[20] > 2


def test_a_wrong_width_of_many_galaxies_is_set_right_whatever_their_groups():
    groups = np.arange(6000) // 4
    _, report = calibrate(make_head(confidence=2.0), *make_galaxies(), groups=groups)
    assert report["temperature"] == pytest.approx(2.0, rel=0.05)


def test_the_given_head_stays_as_it_is():
    head = make_head(confidence=2.0)
    before = head.weight.detach().clone()
    calibrate(head, *make_galaxies(1000, skew=0.7))
    torch.testing.assert_close(head.weight.detach(), before, rtol=0, atol=0)


def test_calibrated_pdfs_sum_to_one_and_keep_their_order():
    levels = fit_recalibration(np.random.default_rng(0).beta(0.5, 0.8, 3000))
    head = CalibratedHead(make_head(), levels)
    embedding, _ = make_galaxies(100)
    with torch.no_grad():
        pdf = head(embedding).softmax(dim=1)
    torch.testing.assert_close(pdf.sum(dim=1), torch.ones(100))
    assert torch.isfinite(head(embedding)).all()
    mapped = RedshiftPDF(pdf.numpy(), Z_EDGES)
    plain = RedshiftPDF(make_head()(embedding).softmax(dim=1).detach().numpy(), Z_EDGES)
    for z in (0.15, 0.2, 0.25):  # the map, and nothing else: G(F(z)) at an edge of the bins
        z = Z_EDGES[np.searchsorted(Z_EDGES, z)]
        wanted = np.interp(plain.cdf(z), np.linspace(0, 1, len(levels)), levels)
        np.testing.assert_allclose(mapped.cdf(z), wanted, atol=2e-5)


def test_an_even_map_changes_nothing():
    head, (embedding, _) = make_head(), make_galaxies(50)
    with torch.no_grad():
        mapped = CalibratedHead(head, np.linspace(0, 1, 257))(embedding).softmax(dim=1)
        torch.testing.assert_close(mapped, head(embedding).softmax(dim=1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("pit", [np.zeros(1000), np.ones(1000), np.full(1000, 0.5), np.array([0.2])])
def test_no_map_takes_all_of_the_probability_of_a_bin(pit):
    levels = fit_recalibration(pit)
    assert levels[0] == 0
    assert levels[-1] == 1
    assert (np.diff(levels) > 0).all()


@pytest.mark.parametrize("levels", [[0.0, 0.7, 0.5, 1.0], [0.1, 1.0], [0.0, 0.9], [[0.0, 1.0]]])
def test_maps_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match="levels must increase from 0 to 1"):
        CalibratedHead(make_head(), levels)


def test_too_few_galaxies_are_refused():
    with pytest.raises(ValueError, match="100 galaxies at least, got 50"):
        calibrate(make_head(), *make_galaxies(50))
    with pytest.raises(ValueError, match="all groups are the same"):
        calibrate(make_head(), *make_galaxies(200), groups=np.full(200, 7))
