# Licensed under a 3-clause BSD style license - see LICENSE
"""The table of doubts: its faults are those that they are called, and its rows count what they say."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from astro_photz import Cutouts, PhotozFlag, dust, flags, load_model
from astro_photz.photometry import aperture_flux, sky_rms
from astro_photz.sdss import BANDS

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

ROOT = Path(__file__).parents[2]
N = 6


@pytest.fixture(scope="module")
def load():
    """Import a module of the source tree; the package stays the one that is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(ROOT)])
        yield importlib.import_module


@pytest.fixture(scope="module")
def faults(load):
    return load("benchmarks.model._faults")


@pytest.fixture(scope="module")
def scene(faults):
    return faults.simulated_scene(load_model(), N, seed=7)


@pytest.fixture(scope="module")
def light(scene):
    """The galaxies alone, in their stamps: (N, 5, 64, 64)."""
    return (scene.flux - scene.sky)[:, :, 21:85, 21:85]


def centre(images):
    """Column and row of the light's middle, from that of the stamp."""
    images = np.clip(np.nan_to_num(images), 0, None) ** 2  # the peak counts, not the noise of rounding
    y, x = np.mgrid[: images.shape[-2], : images.shape[-1]] - (images.shape[-1] - 1) / 2
    return np.stack([(images * axis).sum(axis=(-2, -1)) / images.sum(axis=(-2, -1)) for axis in (x, y)])


def test_the_sky_of_a_scene_is_the_sky_under_its_galaxies(scene, light):
    """All that the rounding of counts leaves of the difference is less than the noise."""
    corner = (scene.flux - scene.sky)[:, :, :12, :12]
    assert (corner.std(axis=(2, 3)) < 0.35 * sky_rms(scene.sky)).all()
    r = BANDS.index("r")
    within = aperture_flux(light[:, r])
    assert (within > 10 * sky_rms(scene.sky)[:, r]).all()
    assert np.abs(centre(light[:, r])).max() < 2


def test_every_fault_makes_stamps_that_a_user_could_have(faults, scene):
    for name in faults.FAULTS:
        cutouts = faults.spoilt(name, scene)
        assert cutouts.flux.shape == (N, 5, 64, 64), name
        assert np.isnan(cutouts.psf_fwhm).all(), name
        assert cutouts.simulated, name
        again = faults.spoilt(name, scene)
        np.testing.assert_array_equal(cutouts.flux, again.flux, err_msg=name)
    assert np.isfinite(faults.as_they_are(scene, with_psf=True).psf_fwhm).all()


def test_faults_of_numbers_can_be_undone(faults, scene):
    good = faults.as_they_are(scene).flux
    swapped = faults.spoilt("u and z swapped", scene).flux
    np.testing.assert_array_equal(swapped[:, [4, 1, 2, 3, 0]], good)
    np.testing.assert_allclose(faults.spoilt("microjansky", scene).flux / 3.631, good, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.sinh(faults.spoilt("asinh of the flux over 0.1", scene).flux) * 0.1, good, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(faults.spoilt("each band over its maximum", scene).flux.max(axis=(2, 3)), 1)
    free = np.moveaxis(faults.spoilt("dereddened twice, E(B-V) = 0.5", scene).flux, 1, -1)
    back = np.moveaxis(dust.redden(free, ebv=scene.ebv[:, None, None]), -1, 1)
    np.testing.assert_allclose(back, good, rtol=1e-4, atol=1e-5)


def test_faults_of_places_move_the_light_as_far_as_they_say(faults, scene, light):
    before = centre(light[:, 2])
    alone = faults.Scene(scene.flux - scene.sky, 0 * scene.sky, scene.ebv, scene.psf_fwhm, scene.redshift)
    moved = centre(faults.spoilt("10 pixels off the centre", alone).flux[:, 2]) - before
    np.testing.assert_allclose(np.hypot(*moved), 10, atol=1.0)  # in whole pixels
    shifted = faults.spoilt("r shifted by 3 pixels", alone).flux
    np.testing.assert_allclose(np.hypot(*(centre(shifted[:, 2]) - before)), 3, atol=0.3)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(shifted[:, others], faults.as_they_are(alone).flux[:, others])


def test_faults_of_pixels_keep_the_flux_of_a_galaxy(faults, scene, light):
    alone = faults.Scene(scene.flux - scene.sky, 0 * scene.sky, scene.ebv, scene.psf_fwhm, scene.redshift)
    before = aperture_flux(light[:, 2], radius=7)
    np.testing.assert_allclose(
        aperture_flux(faults.spoilt("zoomed by 2, cubic", alone).flux[:, 2], radius=14), before, rtol=0.03
    )
    coarse = faults.spoilt("pixels of 0.66 arcsec", alone).flux[:, 2]
    np.testing.assert_allclose(aperture_flux(coarse, radius=7 * 0.396 / 0.66), before, rtol=0.12)  # and smoothed
    twice = faults.spoilt("equal neighbour at 8 pixels", alone).flux[:, 2]
    np.testing.assert_allclose(aperture_flux(twice, radius=24), 2 * aperture_flux(light[:, 2], radius=24), rtol=0.12)


def test_a_trail_crosses_one_band_and_an_empty_stamp_holds_no_galaxy(faults, scene):
    good = faults.as_they_are(scene).flux
    added = faults.spoilt("satellite trail in one band, 10 sigma", scene).flux - good
    height = added.max(axis=(2, 3)) / sky_rms(good)
    assert ((height > 8).sum(axis=1) == 1).all()
    assert (height.max(axis=1) <= 10.01).all()
    cutouts = faults.spoilt("empty sky", scene)
    assert (flags.PhotozFlag.LOW_SNR & _flags_of(cutouts) > 0).mean() > 0.5


def _flags_of(cutouts):
    from astro_photz.quality import flag_images

    return flag_images(cutouts)


def made_up(judging, n, *, bad=0, z=0.1):
    """Estimates whose first ones have a flag of the recommended mask."""
    bits = np.where(np.arange(n) < bad, int(PhotozFlag.OFF_CENTRE), 0)
    return judging.Judged(bits, np.linspace(0, 1, n), np.full(n, z), np.full(n, 0.01), np.zeros(n))


def test_rows_count_flags_and_say_what_is_wanted(load):
    judging = load("benchmarks.model._doubt_judging")
    judged = made_up(judging, 200, bad=20)
    judged.flags[:] |= int(PhotozFlag.APPROXIMATE_EBV)
    judged.flags[:2] |= int(PhotozFlag.OUTLIER)
    wanted = judging.Wanted("flagged", "≥", 10), judging.Wanted("outlier", "≤", 0.5)
    row = judging.row_of("these", judged, *wanted)
    assert [row[name] for name in ("n", "flagged", "new", "bad")] == [200, 10.0, 1.0, 10.0]
    assert row["wanted"] == "flagged ≥ 10, OUTLIER ≤ 0.5"
    assert row["holds"] == "no: OUTLIER 1"
    assert row["by"].startswith("APPROXIMATE_EBV 100, OFF_CENTRE 10")
    assert judging.row_of("none", made_up(judging, 50))["flagged_err"] > 0
    assert "holds" not in judging.row_of("none", made_up(judging, 50))


def test_a_contaminated_sample_is_as_good_as_its_clean_part_where_all_faults_are_flagged(load):
    judging, gains = load("benchmarks.model._doubt_judging"), load("benchmarks.model._doubt_gains")
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.3, 850)
    clean = made_up(judging, 850, z=truth + 0.01 * rng.standard_normal(850))
    faulty = made_up(judging, 300, bad=300, z=0.4)
    stars = made_up(judging, 300, bad=300, z=0.2)
    rows = {row["method"]: row for row in gains.contaminated(clean, truth, [(faulty, np.full(300, 0.1))], stars, rng)}
    mixed = "clean galaxies with 5 % of faults and 10 % of stars"
    names = "clean galaxies", mixed, "the same without a BAD flag"
    assert [rows[f"η of {name}"]["n"] for name in names] == [850, 1000, 850]
    assert [rows[f"η of {name}"]["value"] for name in names] == [0, pytest.approx(0.15), 0]
    assert [row["holds"] for row in rows.values() if "holds" in row] == ["yes", "yes"]


def test_deblending_tells_two_sources_apart(load):
    deblending = load("benchmarks.model.deblending")
    y, x = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)

    def share(*sources):
        light = sum(f * np.exp(-((x - cx) ** 2 + (y - 31.5) ** 2) / 2 / 1.3**2) for f, cx in sources)
        flux = np.float32(light + 0.02 * rng.standard_normal((3, 5, 64, 64)))
        return deblending.neighbours_share(Cutouts(flux, ebv=0.02, simulated=True))

    assert share((2, 31.5)) == pytest.approx(0)
    assert share((2, 31.5), (2, 38.5)) == pytest.approx(0.5, abs=0.1)
    assert share((2, 31.5), (0.5, 24.5)) == pytest.approx(0.2, abs=0.06)
    assert share((2, 31.5), (2, 50)) == pytest.approx(0, abs=0.02)


def test_the_most_doubtful_are_dropped_first(load):
    judging, gains = load("benchmarks.model._doubt_judging"), load("benchmarks.model._doubt_gains")
    truth = np.full(400, 0.1)
    judged = made_up(judging, 400, z=np.where(np.arange(400) % 40 == 0, 0.3, 0.1))
    judged.doubt[:] = judged.z
    rows = gains.dropping(judged, truth)
    assert (rows[0]["n"], rows[0]["value"]) == (380, 0)
    assert [row["holds"] for row in rows if "holds" in row] == ["yes"]
    assert gains.ood_of_clean(judged, np.arange(400))[0]["value"] < 0.01  # evenly from 0 to 1


def test_the_command_runs_and_its_result_goes_into_a_card(load, monkeypatch, tmp_path, capsys):
    doubt = load("benchmarks.model.doubt")
    some = ("u and z swapped", "a band of 0", "dereddened twice, E(B-V) = 0.2")
    monkeypatch.setattr(doubt, "FAULTS", {name: doubt.FAULTS[name] for name in some})
    monkeypatch.setattr(doubt, "points", lambda model, n, seed: [("stars", some_galaxies(doubt, model, n))])
    monkeypatch.setattr(
        doubt, "beyond_the_grid", lambda model, n, seed: [("far", [some_galaxies(doubt, model, n)], True)]
    )
    monkeypatch.setattr(doubt, "GALAXIES", tmp_path / "none")
    monkeypatch.setattr(doubt, "use_one_thread", lambda: None)
    monkeypatch.setattr(doubt, "write_result", lambda path, result, model: path.write_text(json.dumps(result)))
    monkeypatch.setattr(sys, "argv", ["doubt", "--n", "5", "--clean", "30", "--output", str(tmp_path / "doubt.json")])
    doubt.main()
    told = capsys.readouterr().out
    assert "u and z swapped" in told
    result = json.loads((tmp_path / "doubt.json").read_text())
    rows = {row["method"]: row for row in result["rows"]}
    assert rows["a band of 0"]["flagged"] == 100
    assert rows["a band of 0"]["holds"] == "yes"
    assert "wanted" not in rows["dereddened twice, E(B-V) = 0.2"]
    assert rows["flags and score, over the encoder's time"]["value"] > 0

    from astro_photz.evaluation._cells import MethodTable

    table = MethodTable(result)
    assert table.header[-1] == "holds"
    cells = next(row for row in table.rows if row[0] == "a band of 0")
    assert cells[-2:] == ["flagged ≥ 98", "yes"]
    assert cells[table.header.index("flagged (%)")].startswith("100")


def some_galaxies(doubt, model, n):
    cutouts, _ = doubt.clean_galaxies(model, n, 3)
    assert isinstance(cutouts, Cutouts)
    return cutouts
