# Licensed under a 3-clause BSD style license - see LICENSE
"""Simulated stars and quasars: their light, their colours, and the camera that they are seen by."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz.dust import redden
from astro_photz.photometry import aperture_flux
from astro_photz.quality.measurements import measure
from astro_photz.quality.point_sources import is_point_source
from astro_photz.simulate.points import KINDS, point_sources
from astro_photz.simulate.population.points import draw_quasars, draw_stars, locus_colours

ALONE = {"neighbours": {"density": 0.0}}
N = 96


def made(kind, *, n=N, seed=1, **options):
    return point_sources(n, seed=seed, kind=kind, config=ALONE, **options)


def r_of(truth):
    return 22.5 - 2.5 * np.log10(truth["flux"][:, 2].to_value("nmgy"))


@pytest.mark.parametrize("kind", KINDS)
def test_light_is_conserved_and_points_are_as_wide_as_the_seeing(kind):
    cutouts, truth = made(kind, r_mag=(15.5, 17.5))
    wanted = redden(truth["flux"].to_value("nmgy"), ebv=cutouts.ebv)
    measured = aperture_flux(cutouts.flux)[:, 2] / wanted[:, 2]
    assert np.median(measured) == pytest.approx(1, abs=0.04)  # some light lies beyond 8 pixels
    assert np.std(measured) < 0.06
    assert is_point_source(measure(cutouts), cutouts.psf_fwhm).mean() > 0.95
    assert set(truth["kind"]) == {kind}


def test_magnitudes_are_spread_evenly_over_their_range():
    _, truth = made("star", n=256, r_mag=(16.0, 18.0))
    counts, _ = np.histogram(r_of(truth), np.linspace(16, 18, 5))
    assert counts.sum() == 256
    assert counts.min() > 40


def test_a_seed_gives_the_same_points_and_more_of_them_begin_with_these():
    (few, few_truth), (more, more_truth) = made("star", n=3), made("star", n=5)
    np.testing.assert_array_equal(few.flux, more.flux[:3])
    np.testing.assert_array_equal(few_truth["flux"], more_truth["flux"][:3])
    assert not np.array_equal(few.flux, made("star", n=3, seed=2)[0].flux)


def test_quasars_have_redshifts_and_stars_have_none():
    assert (made("quasar", n=20)[1]["redshift"] > 0).all()
    assert np.isnan(made("star", n=20)[1]["redshift"]).all()


def test_pairs_of_stars_lie_about_the_middle():
    cutouts, truth = made("double", r_mag=(15.5, 16.0))
    separation = truth["separation"].to_value("arcsec")
    assert 0 < separation.min() < separation.max() <= 0.6
    offset = measure(cutouts).centroid[:, 2, 0] - (cutouts.target_xy - (cutouts.size - 1) / 2)
    assert np.abs(offset).max() < 0.3


def test_splits_share_no_quasar():
    colours = {
        split: {tuple(row) for row in draw_quasars(3000, np.random.default_rng(0), split=split)[0]}
        for split in ("train", "validation", "test")
    }
    assert not colours["train"] & colours["validation"]
    assert not colours["train"] & colours["test"]


def test_most_stars_lie_on_the_locus_and_fainter_ones_are_redder():
    rng = np.random.default_rng(0)
    bright, faint = (draw_stars(np.full(2000, r), rng) for r in (16.0, 19.5))
    for colours in (bright, faint):
        g_i = colours[:, 1] + colours[:, 2]
        assert (np.abs(colours[:, 2] - locus_colours(g_i)[:, 2]) < 0.1).mean() > 0.85
    assert np.median(faint[:, 1]) > np.median(bright[:, 1]) + 0.2


def test_the_locus_is_consistent():
    g_i = np.linspace(0.3, 3.5, 50)
    colours = locus_colours(g_i)
    np.testing.assert_allclose(colours[:, 1] + colours[:, 2], g_i, atol=0.03)
    assert (np.diff(colours[:, 2]) > 0).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "planet"}, ValueError, "kind must be one of star, quasar"),
        ({"r_mag": (19.0, 16.0)}, ValueError, "the brightest and the faintest"),
        ({"r_mag": 18.0}, TypeError, "two magnitudes"),
        ({"r_mag": (10.0, 16.0)}, ValueError, "r_mag must"),
        ({"split": "half"}, ValueError, "split must be one of"),
        ({"size": 32}, ValueError, "size must lie between"),
    ],
)
def test_what_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        point_sources(2, seed=0, **options)
