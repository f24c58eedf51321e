# Licensed under a 3-clause BSD style license - see LICENSE
"""Simulated galaxies start to end: settings, stamps in memory, and the file, whoever writes it and however often."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import Cutouts, simulate
from astro_photz.cutouts.hdf5.blocks import BlockWriter
from astro_photz.sdss import R_UGRIZ
from astro_photz.simulate import Settings
from astro_photz.simulate._workers import each
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.simulation import BLOCK, Simulation
from astro_photz.testing.factories import gaussian_cutouts

# Settings


def test_settings_are_read_from_any_form(tmp_path):
    path = tmp_path / "sky.toml"
    path.write_text("[sample]\nfaintest = 19\nredshift = [0.1, 0.2]\n")
    settings = Settings.of(path)
    assert settings.sample.faintest == 19.0
    assert settings.sample.redshift == (0.1, 0.2)
    assert settings == Settings.of({"sample": {"faintest": 19, "redshift": (0.1, 0.2)}})
    assert settings == Settings.of(settings)
    assert settings != Settings.of(None)
    path.write_text(path.read_text(), encoding="utf-8-sig", newline="\r\n")  # as on Windows
    assert settings == Settings.of(path)
    assert Settings.of(settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"samples": {}}, ValueError, r"unknown section 'samples': did you mean 'sample'\? Known are sample, sky"),
        (
            {"sample": {"fainest": 19}},
            ValueError,
            r"unknown setting 'fainest' in \[sample\]: did you mean 'faintest'\? Known are faintest, brightest",
        ),
        ({"sample": 3}, TypeError, r"\[sample\] must be a table of settings, got 3"),
        (
            {"sample": {"faintest": "deep"}},
            TypeError,
            r"faintest in \[sample\] must be a number, like 17.8, got 'deep'",
        ),
        ({"sample": {"flat_redshift": 1}}, TypeError, r"flat_redshift in \[sample\] must be true or false, got 1"),
        ({"sample": {"redshift": [0.1]}}, TypeError, r"redshift in \[sample\] must be 2 numbers, like \[0.0, 0.4\]"),
        ({"sample": {"faintest": float("nan")}}, ValueError, r"faintest in \[sample\] must be a finite number"),
        ({"sample": {"faintest": 12, "brightest": 15}}, ValueError, r"brightest must be a smaller magnitude"),
        ({"sky": {"seeing": 9}}, ValueError, r"seeing must lie between 0.75 and 2.1 arcsec, got 9"),
        (
            {"sky": {"registration_scatter": -0.1}},
            ValueError,
            r"registration_scatter in \[sky\] must be .* not below 0",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(config, error, message):
    with pytest.raises(error, match=message):
        simulate.galaxies(1, seed=0, config=config)


@pytest.mark.parametrize(
    ("text", "message"), [("[sample", r"sky.toml is not TOML: "), ("[x]", r"sky.toml: unknown sec")]
)
def test_a_bad_file_of_settings_is_named(tmp_path, text, message):
    path = tmp_path / "sky.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Settings.read(path)
    path.write_text("[sample]", encoding="utf-16")
    with pytest.raises(ValueError, match=r"sky.toml is not TOML: 'utf-8' codec"):
        Settings.read(path)
    with pytest.raises(FileNotFoundError, match=r"no file absent.toml with settings"):
        Settings.read("absent.toml")


def test_every_setting_acts():
    """A setting that changes nothing would be a lie."""
    defaults = Settings().as_dict()
    base, _ = simulate.galaxies(8, seed=2)
    changed = {"brightest": 16.0, "faintest": 16.5, "redshift": (0.1, 0.15), "flat_redshift": True, "dusty": 1.0}
    changed |= {"sersic": 1.0, "colours": "measured"}
    for section, values in defaults.items():
        for name, value in values.items():
            if name == "patches":
                continue  # a file: test_patches
            other = changed[name] if name in changed else 1.5 * value
            cutouts, _ = simulate.galaxies(8, seed=2, config={section: {name: other}})
            assert not np.array_equal(cutouts.flux, base.flux), name


# In memory


def test_the_same_seed_gives_the_same_galaxies_whatever_their_number():
    few, few_truth = simulate.galaxies(5, seed=3)
    many, many_truth = simulate.galaxies(300, seed=3)
    np.testing.assert_array_equal(few.flux, many.flux[:5])
    np.testing.assert_array_equal(few_truth["redshift"], many_truth["redshift"][:5])
    other, _ = simulate.galaxies(5, seed=4)
    assert not np.array_equal(few.flux, other.flux)


def test_stamps_show_the_light_that_the_truth_tells():
    cutouts, truth = simulate.galaxies(1024, seed=1)
    rows, columns = np.mgrid[:64, :64]
    x, y = cutouts.target_xy.T[:, :, None, None]
    aperture = np.hypot(columns - x, rows - y) < 16
    measured = (cutouts.flux * aperture[:, None]).sum(axis=(2, 3))
    observed = truth["flux"].value * 10 ** (-0.4 * R_UGRIZ * cutouts.ebv[:, None])
    bright = (truth["flux"].value[:, 2] > 80) & (truth["half_light_radius"].value < 2.5)
    # an aperture of 6.3 arcsec loses some of the wings and gains some of the neighbours
    assert np.median(measured[bright] / observed[bright], axis=0) == pytest.approx(np.full(5, 0.94), abs=0.05)


def test_dust_dims_the_blue_most():
    cutouts, truth = simulate.galaxies(1024, seed=1)
    dusty = cutouts.ebv > np.percentile(cutouts.ebv, 80)
    core = cutouts.flux[:, :, 26:38, 26:38].sum(axis=(2, 3)) / truth["flux"].value
    dimming = np.median(core[dusty], axis=0) / np.median(core[~dusty], axis=0)
    assert dimming[0] < dimming[2] < dimming[4]


def test_the_truth_counts_the_neighbours():
    """Stamps with more light of neighbours have more light outside the target."""
    cutouts, truth = simulate.galaxies(1024, seed=6)  # with a quarter of them, chance makes 0.06 of a correlation
    assert truth["neighbours"].min() >= 0
    assert ((truth["neighbours"] == 0) == (truth["neighbour_flux"].value.sum(axis=1) == 0)).all()
    rows, columns = np.mgrid[:64, :64] - 31.5
    outside = (cutouts.flux[:, 2] * (np.hypot(rows, columns) > 24)).sum(axis=(1, 2))
    light = truth["neighbour_flux"].value[:, 2]
    rank = np.argsort(np.argsort([outside, light], axis=1), axis=1)
    assert np.corrcoef(rank)[0, 1] > 0.3


def observe(population, *, seed=1, **options):
    return Simulation(seed=0).observe(population, np.random.default_rng(seed), **options)


def test_of_the_same_galaxies_only_what_was_changed_differs():
    """Dust dims what shines, by the law of extinction; sky and noise stay as they were."""
    clear = replace(draw_population(64, np.random.default_rng(0)), ebv=np.zeros(64))
    (before, truth), (after, _) = observe(clear), observe(replace(clear, ebv=np.full(64, 0.3)))
    np.testing.assert_array_equal(before.target_xy, after.target_xy)
    np.testing.assert_array_equal(before.psf_fwhm, after.psf_fwhm)
    core = np.s_[:, :, 30:34, 30:34]
    bright = truth["flux"].value[:, 2] > 100
    dimming = (after.flux[core].sum(axis=(2, 3)) / before.flux[core].sum(axis=(2, 3)))[bright]
    assert np.median(dimming, axis=0) == pytest.approx(10 ** (-0.4 * R_UGRIZ * 0.3), rel=0.02)
    corner = np.s_[:, 3, :8, :8]
    # of the noise, the variance of a few photons less, and that in some corners something shines
    assert np.median(np.abs(after.flux[corner] - before.flux[corner])) < 0.1 * np.std(before.flux[corner])


def test_galaxies_may_be_given_their_shapes():
    population = draw_population(16, np.random.default_rng(0), split="test")
    shape = draw_morphology(population, np.random.default_rng(1))
    _, truth = observe(population, shape=shape)
    np.testing.assert_array_equal(truth["half_light_radius"].value, shape.radius)
    with pytest.raises(ValueError, match="shape must have one for each of the 16 galaxies, got 15"):
        observe(population, shape=shape[:15])


def test_discs_are_inclined_at_random():
    _, truth = simulate.galaxies(256, seed=1)
    inclination = truth["inclination"].to_value("deg")
    assert np.isnan(inclination[truth["early"]]).all()
    inclination = inclination[~truth["early"]]
    assert inclination.min() >= 0
    assert inclination.max() <= 90
    # discs at random have cos i uniform: half of them are inclined by more than 60 degrees
    assert np.mean(inclination > 60) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, r"n must be at least 1, got 0"),
        ({"n": 2.5}, TypeError, r"n must be a whole number, got 2.5"),
        ({"seed": -1}, ValueError, r"seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, r"seed must be a whole number, got None"),
        ({"size": 32}, ValueError, r"size must lie between 64 and 107 pixels, got 32"),
        ({"split": "all"}, ValueError, r"split must be one of train, validation, test, got 'all'"),
        ({"device": "abacus"}, ValueError, r"device must be one that torch has here, like 'cpu', got 'abacus'"),
        ({"config": "absent.toml"}, FileNotFoundError, r"no file absent.toml with settings"),
    ],
)
def test_impossible_wishes_are_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        simulate.galaxies(**{"n": 1, "seed": 0} | options)
    with pytest.raises(error, match=message):
        simulate.write(tmp_path / "sky.h5", **{"n": 1, "seed": 0} | options)
    assert not list(tmp_path.iterdir())


# The file

N = 3 * BLOCK + 20
KILLED = """
import os, signal, sys
from astro_photz.simulate import write_stamps
from astro_photz.utils._journal import Journal

write_stamps.WORTH_A_WORKER = 1
add = Journal.add

def add_and_die(self, block):
    add(self, block)
    os.kill(os.getpid(), signal.SIGKILL)

Journal.add = add_and_die
if __name__ == "__main__":
    write_stamps.write(sys.argv[1], int(sys.argv[2]), seed=3, split="validation", workers=2)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file written in one go."""
    path = tmp_path_factory.mktemp("whole") / "sky.h5"
    simulate.write(path, N, seed=3, split="validation")
    return path


def test_a_file_holds_what_memory_would(whole):
    cutouts, truth = simulate.galaxies(N, seed=3, split="validation")
    read = Cutouts.read(whole)
    np.testing.assert_array_equal(read.flux, cutouts.flux.astype(np.float16))
    np.testing.assert_allclose(read.ebv, cutouts.ebv, rtol=1e-5)
    np.testing.assert_array_equal(read.ids, np.arange(N))
    with h5py.File(whole) as file:
        assert file["images"].chunks == (1, 5, 64, 64)
        np.testing.assert_allclose(file["specz_redshift"][()], truth["redshift"], rtol=1e-6)
        np.testing.assert_allclose(file["true_flux"][()], truth["flux"].value, rtol=1e-6)
        for name in ("early", "bulge_fraction", "half_light_radius", "inclination", "neighbours", "seed_index"):
            np.testing.assert_allclose(file[name][()], np.asarray(truth[name]), rtol=1e-5)
        assert file.attrs["simulated"]
        assert file.attrs["split"] == "validation"
        assert '"faintest": 17.8' in file.attrs["settings"]


def test_a_file_killed_and_begun_again_is_the_same_to_the_byte(whole, tmp_path):
    """Killed with two workers at work, resumed by one."""
    path, script = tmp_path / "sky.h5", tmp_path / "script.py"
    script.write_text(KILLED)
    killed = subprocess.run([sys.executable, script, path, str(N)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    made = []
    block = Simulation.block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulation, "block", lambda self, number, n: made.append(number) or block(self, number, n))
        simulate.write(path, N, seed=3, split="validation")
    assert made == [2, 3]  # what was finished is not made again
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == [script, path]


def interrupted(monkeypatch, path, *, after=1, **options):
    """Begin a file, and end after some blocks."""
    block = Simulation.block

    def breaking(self, number, n):
        if number > after:
            raise KeyboardInterrupt
        return block(self, number, n)

    with monkeypatch.context() as patch:
        patch.setattr(Simulation, "block", breaking)
        with pytest.raises(KeyboardInterrupt):
            simulate.write(path, N, **{"seed": 3, "split": "validation"} | options)
    assert not path.exists()


def test_a_journal_cut_short_costs_a_block_only(whole, tmp_path, monkeypatch):
    path, journal = tmp_path / "sky.h5", tmp_path / "sky.h5.part.journal"
    interrupted(monkeypatch, path)
    journal.write_bytes(journal.read_bytes()[:-1])
    simulate.write(path, N, seed=3, split="validation")
    assert path.read_bytes() == whole.read_bytes()


def test_an_unfinished_file_of_other_settings_is_not_resumed(whole, tmp_path, monkeypatch):
    path = tmp_path / "sky.h5"
    interrupted(monkeypatch, path, seed=4)
    with pytest.raises(
        FileExistsError, match=r"sky.h5.part was begun with other settings \(seed 4, not 3\): give the sa"
    ):
        simulate.write(path, N, seed=3, split="validation")
    simulate.write(path, N, seed=3, split="validation", overwrite=True)
    assert path.read_bytes() == whole.read_bytes()


def test_a_journal_that_cannot_be_written_costs_nothing(whole, tmp_path, monkeypatch):
    """A disk that is still full when the work is resumed."""
    path, journal = tmp_path / "sky.h5", tmp_path / "sky.h5.part.journal"
    interrupted(monkeypatch, path)
    before = journal.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", _no_space)
        with pytest.raises(OSError, match="No space left"):
            simulate.write(path, N, seed=3, split="validation")
    assert journal.read_bytes() == before
    simulate.write(path, N, seed=3, split="validation")
    assert path.read_bytes() == whole.read_bytes()


def _no_space(path, text):
    path.touch()
    raise OSError(28, "No space left on device")


def test_a_file_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "sky.h5"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"sky.h5 exists"):
        simulate.write(path, 1, seed=0)
    assert path.read_text() == "mine"
    simulate.write(path, 1, seed=0, overwrite=True)
    assert len(Cutouts.read(path)) == 1


def test_a_path_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent"):
        simulate.write(tmp_path / "absent" / "sky.h5", 1, seed=0)
    with pytest.raises(IsADirectoryError, match=r"is a folder: give the name of a file"):
        simulate.write(tmp_path, 1, seed=0, overwrite=True)
    with pytest.raises(ValueError, match=r"workers must be at least 1, got 0"):
        simulate.write(tmp_path / "sky.h5", 1, seed=0, workers=0)


def limit_files(nbytes):
    """No file may become longer, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    return before


def test_a_disk_without_room_is_told_before_the_work(tmp_path):
    before = limit_files(1_000_000)
    try:
        with pytest.raises(OSError, match=r"no room for .*sky.h5.part, of 0.0411 GB \(File too large\): make some"):
            simulate.write(tmp_path / "sky.h5", 1000, seed=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_file_on_a_disk_that_fills_up_is_resumed(whole, tmp_path, monkeypatch):
    path = tmp_path / "sky.h5"
    with monkeypatch.context() as patch:
        patch.delattr(os, "posix_fallocate")  # as where the file system cannot set room aside
        write = BlockWriter.write

        def write_and_fill(self, start, cutouts, **columns):
            write(self, start, cutouts, **columns)
            if start == 0:
                limit_files(40_000 * BLOCK)

        patch.setattr(BlockWriter, "write", write_and_fill)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            with pytest.raises(
                OSError,
                match=r"no room to finish .*sky.h5.part: File too large. Make room and give the same command again",
            ):
                simulate.write(path, N, seed=3, split="validation")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not path.exists()
    simulate.write(path, N, seed=3, split="validation")
    assert path.read_bytes() == whole.read_bytes()


def test_a_worker_that_dies_is_told():
    with pytest.raises(ChildProcessError, match=r"a worker died before its work was done: was it killed"):
        list(each(os._exit, [1, 1], workers=2))


def test_blocks_go_to_their_places_in_any_order(tmp_path):
    cutouts, path = gaussian_cutouts(7, size=65), tmp_path / "stamps.h5"
    BlockWriter.create(path, 7, like=cutouts[:0], dtype="float32", attributes={"by": "us"}, specz_redshift=np.zeros(0))
    redshift = np.linspace(0, 0.3, 7)
    with BlockWriter(path) as writer:
        for rows in (slice(4, 7), slice(0, 3), slice(2, 5)):
            writer.write(rows.start, cutouts[rows], specz_redshift=redshift[rows])
        with pytest.raises(ValueError, match=r"from row 5 on does not fit"):
            writer.write(5, cutouts[:3], specz_redshift=redshift[:3])
        with pytest.raises(ValueError, match=r"the file has the columns"):
            writer.write(0, cutouts[:3])
    read = Cutouts.read(path)
    np.testing.assert_array_equal(read.flux, cutouts.flux)
    np.testing.assert_allclose(read.coord.ra.deg, cutouts.coord.ra.deg)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["specz_redshift"][()], redshift)
        assert file.attrs["by"] == "us"
        assert file.attrs["bands"] == "ugriz"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"survey must be numbers, got <U4: CutoutWriter writes texts"):
        BlockWriter.create(path, 7, like=cutouts[:0], survey=np.array([], dtype="U4"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# What a catalogue says of them


@pytest.fixture(scope="module")
def catalogue():
    return simulate.galaxies(1024, seed=11)


def test_a_catalogue_has_the_light_with_its_extinction(catalogue):
    cutouts, truth = catalogue
    observed = truth["flux"].value * 10 ** (-0.4 * R_UGRIZ * cutouts.ebv[:, None])
    error = 2.5 * np.log10(truth["catalog_flux"].value / observed)
    error_of_median = 1.253 * error.std(axis=0) / len(error) ** 0.5
    assert (np.abs(np.median(error, axis=0)) < 4 * error_of_median).all()
    scatter = (np.percentile(error, 84, axis=0) - np.percentile(error, 16, axis=0)) / 2
    assert (scatter > 0.01).all()  # the calibration's
    assert (scatter < [0.1, 0.03, 0.03, 0.03, 0.04]).all()
    assert np.argmax(scatter) == 0  # u


def test_a_catalogue_knows_bright_galaxies_better(catalogue):
    cutouts, truth = catalogue
    extinction = R_UGRIZ[0] * cutouts.ebv
    error = np.abs(2.5 * np.log10(truth["catalog_flux"][:, 0] / truth["flux"][:, 0]).value + extinction)
    faint, bright = np.array_split(error[np.argsort(truth["flux"][:, 0])], 2)
    assert 2 * np.median(bright) < np.median(faint)


def test_a_catalogue_knows_the_radius_to_a_twentieth(catalogue):
    _, truth = catalogue
    error = np.log(truth["catalog_radius"] / truth["half_light_radius"]).value
    assert error.std() == pytest.approx(0.05, rel=0.15)
    assert abs(error.mean()) < 0.005


def test_some_galaxies_lie_behind_more_dust_the_others_stay_as_they_are():
    clear, dusty = (simulate.galaxies(512, seed=12, config={"sample": {"dusty": share}}) for share in (0.0, 0.25))
    np.testing.assert_array_equal(clear[1]["redshift"], dusty[1]["redshift"])
    np.testing.assert_array_equal(clear[1]["flux"], dusty[1]["flux"])
    moved = clear[0].ebv != dusty[0].ebv
    assert 0.17 < moved.mean() < 0.33
    assert 0.2 < dusty[0].ebv[moved].mean() < 0.3
    assert dusty[0].ebv[moved].max() <= 0.5
