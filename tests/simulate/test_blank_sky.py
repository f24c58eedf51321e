# Licensed under a 3-clause BSD style license - see LICENSE
"""Galaxies on observed sky: patches cut out of frames, light added to them, and files of such galaxies, resumed."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import Cutouts, FrameDirectory, simulate
from astro_photz.cli import main
from astro_photz.cutouts.frames import FrameError, read_frame
from astro_photz.sdss import FieldID, frame_name, gain
from astro_photz.simulate.camera.blank_sky import draw_patches
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.camera.noise import FILTER_MARGIN, add_light
from astro_photz.simulate.simulation import Simulation

FIELD = FieldID(9000, 301, 3, 11)


@pytest.fixture(scope="module")
def frames(field):
    """A folder with one simulated field."""
    return field[0]


@pytest.fixture(scope="module")
def patches(frames, tmp_path_factory):
    """A file of its empty patches, by the command."""
    path = tmp_path_factory.mktemp("patches") / "patches.h5"
    assert main(["simulate", "patches", str(frames), str(path), "--quiet"]) == 0
    return path


def on(patches):
    return {"background": {"patches": str(patches)}}


def test_patches_are_pixels_of_the_frame_without_sources(frames, patches):
    cutouts = Cutouts.read(patches)
    image = read_frame(frames / frame_name("r", FIELD)).image
    wcs = read_frame(frames / frame_name("r", FIELD)).wcs
    assert 50 < len(cutouts) < 21 * 30
    x, y = wcs.all_world2pix(cutouts.coord.ra.deg, cutouts.coord.dec.deg, 0)
    for stamp, xy, place in zip(cutouts.flux[:, 2], cutouts.target_xy, np.stack([x, y], axis=1), strict=True):
        left, low = np.rint(place - xy).astype(int)
        np.testing.assert_array_equal(stamp, image[low : low + 64, left : left + 64])
    # a star of a tenth of a nanomaggy a pixel at its peak would be detected
    assert np.abs(np.median(cutouts.flux[:, 2], axis=(1, 2))).max() < 0.02
    rms = cutouts.flux[:, 2].std(axis=(1, 2))
    assert rms.max() < 1.3 * np.median(rms)
    with h5py.File(patches) as file:
        np.testing.assert_array_equal(file["gain"], np.tile(gain(3, 9000), (len(cutouts), 1)))


def test_drawn_patches_are_turned_over(patches):
    flux, camera = draw_patches(400, np.random.default_rng(0), size=64, patches=patches)
    stored = Cutouts.read(patches).flux
    forms = {form.tobytes() for one in stored[:, 2] for form in (one, one[::-1], one[:, ::-1], one[::-1, ::-1])}
    assert {one.tobytes() for one in flux[:, 2]} <= forms
    assert camera["calibration"].shape == camera["gain"].shape == (400, 5)


def test_light_is_added_with_the_noise_of_its_photons_in_whole_counts():
    n, counts = 64, 7.3
    conditions = draw_conditions(n, np.random.default_rng(0), zero_point_scatter=0.0)
    conditions = replace(conditions, phase=np.zeros((n, 5, 2)))
    scale = conditions.calibration[..., None, None]
    images = torch.as_tensor(counts * scale * np.ones((64 + 2 * FILTER_MARGIN,) * 2), dtype=torch.float32)
    added = add_light(torch.zeros(n, 5, 64, 64), images, conditions, np.random.default_rng(1)).numpy() / scale
    np.testing.assert_allclose(added.mean(axis=(0, 2, 3)), counts, rtol=0.003)
    # chance between 7 and 8 adds the variance of its own, at most a quarter, to what any rounding has
    excess = added.var(axis=(2, 3)) - counts / conditions.gain
    assert (np.median(excess, axis=0) > 0).all()
    assert (np.median(excess, axis=0) < 0.26).all()
    assert np.abs(added - np.rint(added)).max() < 0.02


def test_galaxies_on_patches_are_those_on_simulated_sky(patches):
    simulated, truth = simulate.galaxies(64, seed=2)
    cutouts, same = simulate.galaxies(64, seed=2, config=on(patches))
    np.testing.assert_array_equal(truth["flux"], same["flux"])
    assert (same["neighbours"] <= truth["neighbours"]).all()
    assert same["neighbours"].sum() < truth["neighbours"].sum()  # the faint ones are in the patches
    middle = np.s_[:, 2, 22:42, 22:42]
    light, expected = (one.flux[middle].sum(axis=(1, 2)) for one in (cutouts, simulated))
    assert np.median(light / expected) == pytest.approx(1, abs=0.01)


def test_galaxies_on_patches_depend_on_the_seed_alone(patches):
    few, _ = simulate.galaxies(3, seed=2, config=on(patches))
    more, _ = simulate.galaxies(300, seed=2, config=on(patches))
    np.testing.assert_array_equal(few.flux, more.flux[:3])


def test_an_unfinished_file_on_other_patches_is_not_resumed(patches, tmp_path, monkeypatch):
    own, path = tmp_path / "own.h5", tmp_path / "sky.h5"
    own.write_bytes(patches.read_bytes())
    simulate.write(tmp_path / "whole.h5", 300, seed=3, config=on(own))
    block = Simulation.block
    with monkeypatch.context() as context:
        context.setattr(Simulation, "block", lambda self, number, n: 1 / 0 if number else block(self, number, n))
        with pytest.raises(ZeroDivisionError):
            simulate.write(path, 300, seed=3, config=on(own))
    with h5py.File(own, "a") as file:
        file["images"][0] = 1.0
    with pytest.raises(FileExistsError, match=r"begun with other settings \(other patches_sha256"):
        simulate.write(path, 300, seed=3, config=on(own))
    own.write_bytes(patches.read_bytes())
    simulate.write(path, 300, seed=3, config=on(own))
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_bad_patches_are_told(frames, patches, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none.h5"):
        Simulation(seed=1, settings=simulate.Settings(background={"patches": tmp_path / "none.h5"}))
    with pytest.raises(ValueError, match=r"have 64 pixels, less than the 107 wanted; cut larger ones"):
        simulate.galaxies(1, seed=1, size=107, config=on(patches))
    with pytest.raises(TypeError, match=r"patches in \[background\] must be a text, got 3"):
        simulate.Settings(background={"patches": 3})
    with pytest.raises(ValueError, match=r"patches in \[background\] are for galaxies in stamps"):
        simulate.write_frames(tmp_path / "field", seed=1, config=on(patches))
    with pytest.raises(FileExistsError, match=r"patches.h5 exists"):
        simulate.cut_patches(frames, patches)
    other = tmp_path / "other.h5"
    simulate.write(other, 1, seed=1)
    with pytest.raises(ValueError, match=r"other.h5 lacks the data set calibration, gain"):
        simulate.galaxies(1, seed=1, config=on(other))


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")  # which is said first
def test_a_missing_band_is_told_and_leaves_no_file(frames, tmp_path):
    folder, path = tmp_path / "frames", tmp_path / "patches.h5"
    folder.mkdir()
    for file in frames.glob("frame-*"):
        if "-u-" not in file.name:
            (folder / file.name).symlink_to(file)
    with pytest.raises(FrameError, match=r"a frame of .* is missing or broken"):
        simulate.cut_patches(folder, path)
    assert list(tmp_path.iterdir()) == [folder]
    assert len(FrameDirectory(folder).field_ids) == 1
