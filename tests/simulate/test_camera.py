# Licensed under a 3-clause BSD style license - see LICENSE
"""Camera, sky and neighbours of simulated images, against SDSS's own description and its frames."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import gaussian_fwhm_to_sigma
from scipy.optimize import brentq

torch = pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import simulate
from astro_photz.cutouts.frames import open_decompressed
from astro_photz.sdss import BANDS, PIXEL_SCALE, R_UGRIZ, FieldID, dark_variance, frame_name, gain
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.camera.noise import FILTER_MARGIN, add_noise
from astro_photz.simulate.scene.neighbours import draw_neighbours
from shared_data import SHARED, needs_shared

FIELDS = (FieldID(1043, 301, 5, 25), FieldID(3184, 301, 2, 169), FieldID(7264, 301, 3, 111), FieldID(1992, 301, 1, 87))


def make_conditions(n, *, seed=0, **changes):
    """Drawn conditions, the same in all n images where ``changes`` says so."""
    conditions = draw_conditions(n, np.random.default_rng(seed))
    changed = {name: np.full_like(getattr(conditions, name), value) for name, value in changes.items()}
    return replace(conditions, **changed)


def empty_sky(conditions, *, seed=1):
    n = len(conditions.gain)
    ideal = torch.zeros((n, 5, 64 + 2 * FILTER_MARGIN, 64 + 2 * FILTER_MARGIN))
    return add_noise(ideal, conditions, np.random.default_rng(seed)).numpy()


def expected_rms(conditions):
    """Of a pixel that was not resampled: photons, electronics, and rounding to whole DN."""
    variance = conditions.sky / conditions.gain + conditions.dark_variance + 1 / 12
    return conditions.calibration * np.sqrt(variance)


def subtracted(sky):
    return sky - np.median(sky, axis=(2, 3), keepdims=True)


def test_noise_is_what_gain_and_dark_variance_make():
    conditions = make_conditions(64, phase=0.0)
    chi2 = (subtracted(empty_sky(conditions)) ** 2).mean(axis=(2, 3)) / expected_rms(conditions) ** 2
    assert np.median(chi2, axis=0) == pytest.approx(np.ones(5), abs=0.02)
    assert chi2.std() < 0.05


def test_noise_of_weak_light_is_skewed_as_photons_are():
    """A Poisson variable of mean N has a skewness of N^(-1/2); the electronics' noise has none."""
    conditions = make_conditions(
        64, phase=0.0, background_slope=0.0, sky=30.0, gain=1.5, dark_variance=0.0, skewness=0.0
    )
    sky = empty_sky(conditions)
    standard = (sky - sky.mean(axis=(2, 3), keepdims=True)) / expected_rms(conditions)[..., None, None]
    assert (standard**3).mean() == pytest.approx(45**-0.5, abs=0.02)


def conditions_of_frames(folder, field_id):
    """Calibration, sky, gain and dark variance of a field, and the noise of its pixels (5,)."""
    own = {name: np.empty(5) for name in ("calibration", "sky")}
    rms = np.empty(5)
    for k, band in enumerate(BANDS):
        with open_decompressed(folder / frame_name(band, field_id)) as file, fits.open(file) as hdus:
            own["calibration"][k] = np.median(hdus[1].data)
            own["sky"][k] = np.median(hdus[2].data["ALLSKY"])
            rms[k] = pixel_noise(hdus[0].data[::5])
    own |= {"gain": gain(field_id.camcol, field_id.run), "dark_variance": dark_variance(field_id.camcol, field_id.run)}
    return own, rms


def pixel_noise(image):
    """From second differences along rows, which know nothing of smooth light, without those beyond 3 sigma."""
    difference = np.diff(image, n=2, axis=-1).ravel() / np.sqrt(6)
    rms = robust_rms(difference)
    for _ in range(5):
        rms = difference[np.abs(difference) < 3 * rms].std() / 0.9866  # what a normal distribution keeps
    return rms


def test_noise_is_that_of_simulated_frames_under_their_conditions(field):
    """These have no noise that rows and neighbours have in common, and no amplifiers that differ."""
    own, rms = conditions_of_frames(field[0], FieldID(9000, 301, 3, 11))
    ideal = make_conditions(16, phase=0.0, row_noise=0.0, read_correlation=0.0, column_correlation=0.0, **own)
    stamps = empty_sky(replace(ideal, skewness=ideal.skewness * 0, kurtosis=ideal.kurtosis * 0))
    ratio = [pixel_noise(stamps[:, k]) / rms[k] for k in range(5)]
    assert ratio == pytest.approx(np.ones(5), abs=0.02)


@needs_shared
def test_noise_is_that_of_real_frames_under_their_conditions():
    """In the median of four fields to 5 %; single ones have more, as run 3184 has in i, by 11 %."""
    ratio = []
    for field_id in FIELDS:
        own, real = conditions_of_frames(SHARED / "sdss_frames", field_id)
        simulated = empty_sky(make_conditions(16, phase=0.0, **own))
        ratio.append([pixel_noise(simulated[:, k]) / real[k] for k in range(5)])
    assert np.median(ratio, axis=0) == pytest.approx(np.ones(5), abs=0.05)
    assert np.ravel(ratio) == pytest.approx(np.ones(20), abs=0.12)


def robust_rms(values):
    """From the middle 68 % of values."""
    low, high = np.percentile(values, [15.87, 84.13])
    return (high - low) / 2


def test_pixels_of_r_are_whole_numbers_as_frames_store_them():
    """Ten binary digits; to these, every pixel is a whole number of DN less the sky and what was left of it."""
    conditions = make_conditions(4, background=0.0, background_slope=0.0, sky_slope=0.0)
    native = empty_sky(conditions)[:, 2]
    mantissa = np.frexp(native)[0] * 2**10
    np.testing.assert_array_equal(mantissa, np.rint(mantissa))
    counts = native / conditions.calibration[:, 2, None, None] + conditions.sky[:, 2, None, None]
    np.testing.assert_allclose(counts, np.rint(counts), atol=0.05)


def test_background_is_a_few_per_cent_of_the_noise_and_alike_in_all_bands():
    conditions = draw_conditions(4000, np.random.default_rng(0))
    relative = conditions.background / expected_rms(conditions)
    assert relative.std() == pytest.approx(0.045, abs=0.004)
    between = np.corrcoef(relative.T)[np.triu_indices(5, 1)]
    assert between == pytest.approx(np.full(10, 0.5), abs=0.05)
    none = draw_conditions(100, np.random.default_rng(0), background_scatter=0.0)
    assert (none.background / expected_rms(none)).std() < 1e-3


def test_background_grows_along_rows_and_columns():
    slope = np.zeros((4, 5, 2))
    slope[..., 1] = 0.01
    conditions = make_conditions(4, background_slope=slope)
    rows = empty_sky(conditions).mean(axis=3)
    growth = np.polyfit(np.arange(64), rows.mean(axis=(0, 1)), 1)[0]
    assert growth == pytest.approx(0.01, rel=0.02)


def test_conditions_have_the_scatter_asked_for():
    conditions = draw_conditions(4000, np.random.default_rng(0), seeing=1.5, zero_point_scatter=0.03)
    assert np.median(conditions.psf_fwhm[:, 2]) == pytest.approx(1.5, rel=0.02)
    assert (2.5 * np.log10(conditions.zero_point)).std() == pytest.approx(0.03, rel=0.05)
    plain = draw_conditions(10, np.random.default_rng(0), zero_point_scatter=0, registration_scatter=0)
    assert (plain.zero_point == 1).all()
    assert (plain.shift == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeing": 5.0}, r"seeing must lie between 0\.75 and 2\.1 arcsec, got 5\.0"),
        ({"zero_point_scatter": -1}, r"zero_point_scatter must lie between 0 and 0\.5 mag, got -1"),
        ({"background_scatter": 3.0}, r"background_scatter must lie between 0 and 1 of the rms of the sky, got 3\.0"),
        ({"registration_scatter": np.nan}, r"registration_scatter must lie between 0 and 1 pixels, got nan"),
    ],
)
def test_impossible_conditions_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        draw_conditions(3, np.random.default_rng(0), **settings)


def full_width(sigma, wing_width, wing_height):
    """Full width at half maximum (arcsec) of a double Gaussian with a core of ``sigma`` pixels."""

    def profile(radius):
        wings = wing_height * np.exp(-0.5 * (radius / wing_width) ** 2)
        return (np.exp(-0.5 * radius**2) + wings) / (1 + wing_height) - 0.5

    return 2 * PIXEL_SCALE * sigma * brentq(profile, 0.1, 10)


@needs_shared
def test_point_spread_functions_of_psfield_files_lie_within_the_range_drawn():
    conditions = draw_conditions(4000, np.random.default_rng(0))
    drawn = [
        [full_width(fwhm * gaussian_fwhm_to_sigma / PIXEL_SCALE, *wings) for fwhm, wings in zip(*band, strict=True)]
        for band in zip(conditions.psf_fwhm[:1000].T, conditions.psf_wings[:1000].swapaxes(0, 1), strict=True)
    ]
    low, high = np.percentile(drawn, [0, 100], axis=1)
    files = sorted((SHARED / "psf").iterdir())
    assert len(files) == 3
    for path in files:
        with fits.open(path) as hdus:
            row = hdus[6].data[0]
        core, wings, height = (np.array(row[f"psf_{name}_2G"]) for name in ("sigma1", "sigma2", "b"))
        width = np.array([full_width(one, two / one, b) for one, two, b in zip(core, wings, height, strict=True)])
        assert ((width > low) & (width < high)).all(), path.name


def test_neighbours_have_the_density_of_the_sky():
    """Galaxies to r = 20 as the Main Galaxy Sample and the counts' slope have it; as many more as are asked for."""
    n, ebv = 4000, np.full(4000, 0.03)
    neighbours = draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train")
    area = n * ((64 + 20) * PIXEL_SCALE / 3600) ** 2  # square degrees, the surroundings included
    magnitude = 22.5 - 2.5 * np.log10(neighbours.flux[:, 2])
    extended = neighbours.radius > 0
    galaxies = np.sum(extended & (magnitude < 20.0)) / area
    assert galaxies == pytest.approx(120 * 10 ** (0.475 * 2), rel=0.1)
    denser = draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train", density=2.0)
    assert len(denser) == pytest.approx(2 * len(neighbours), rel=0.05)
    assert len(draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train", density=0.0)) == 0
    with pytest.raises(ValueError, match=r"density must lie between 0 and 10, got -1"):
        draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train", density=-1)


def test_faint_galaxies_go_on_with_the_counts():
    """To r = 22 as two real catalogues have them (8,300 and 8,500 a square degree), and on to r = 24.5."""
    n = 2000
    neighbours = draw_neighbours(np.full(n, 0.0), np.random.default_rng(0), size=64, split="train")
    area = n * ((64 + 20) * PIXEL_SCALE / 3600) ** 2
    magnitude = 22.5 - 2.5 * np.log10(neighbours.flux[neighbours.radius > 0, 2])
    counts = [np.sum(magnitude < limit) / area for limit in (22.0, 23.7, 24.4)]
    assert counts[0] == pytest.approx(8_400, rel=0.1)
    assert np.log10(counts[2] / counts[1]) / 0.7 == pytest.approx(0.35, abs=0.04)


def test_galaxies_cluster_and_stars_do_not():
    """The variance of their number exceeds Poisson's by a fifth of the mean squared."""
    n = 60_000  # with a third of it, chance makes 0.02 of the stars' number
    neighbours = draw_neighbours(np.full(n, 0.0), np.random.default_rng(0), size=64, split="train")
    for members, excess in ((neighbours.radius > 0, 0.2), (neighbours.radius == 0, 0.0)):
        number = np.bincount(neighbours.scene[members], minlength=n)
        assert (number.var() - number.mean()) / number.mean() ** 2 == pytest.approx(excess, abs=0.03)


def test_the_sky_that_was_subtracted_is_known():
    """Its slopes, along columns and along rows, leave no light behind, though whole counts are whole no longer."""
    for axis in (0, 1):
        slope = np.zeros((4, 5, 2))
        slope[..., axis] = 0.05
        flat, sloped = (
            make_conditions(4, background=0.0, background_slope=0.0, sky_slope=value, phase=0.0)
            for value in (0.0, slope)
        )
        one, other = (empty_sky(conditions) for conditions in (flat, sloped))
        noise = expected_rms(flat)[..., None] / 8
        assert np.abs((other - one).mean(axis=3 - axis) / noise).max() < 6
        counts = [sky[:, 2] / flat.calibration[:, 2, None, None] + flat.sky[:, 2, None, None] for sky in (one, other)]
        apart = [np.median(np.abs(values - np.rint(values))) for values in counts]
        assert apart[0] < 0.05 < 0.2 < apart[1]


def test_aperture_photometry_returns_the_colours():
    """In the median of galaxies brighter than r = 17.5, to 0.01 mag."""
    cutouts, truth = simulate.galaxies(2560, seed=1)
    rows, columns = np.mgrid[:64, :64]
    distance = np.hypot(columns - cutouts.target_xy[:, 0, None, None], rows - cutouts.target_xy[:, 1, None, None])
    sky = np.nanmedian(np.where((distance > 26)[:, None], cutouts.flux, np.nan), axis=(2, 3))
    aperture = distance < 16
    measured = np.einsum("nbyx,nyx->nb", cutouts.flux - sky[..., None, None], aperture)
    measured *= 10 ** (0.4 * R_UGRIZ * cutouts.ebv[:, None])
    true = truth["flux"].value
    bright = (true[:, 2] > 100) & (measured > 0).all(axis=1)
    colours = [-2.5 * np.log10(flux[:, :-1] / flux[:, 1:]) for flux in (measured[bright], true[bright])]
    assert np.median(colours[0] - colours[1], axis=0) == pytest.approx(np.zeros(4), abs=0.01)


def test_extinction_is_that_of_real_sightlines():
    cutouts, _ = simulate.galaxies(512, seed=1)
    assert 0.01 < np.median(cutouts.ebv) < 0.06
    assert cutouts.ebv.min() > 0
    assert cutouts.ebv.max() < 0.6
