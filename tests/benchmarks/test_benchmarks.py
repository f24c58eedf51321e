# Licensed under a 3-clause BSD style license - see LICENSE
"""What the benchmarks work out of their measurements, and the command that makes the bundled model."""

import importlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_photz import load_model, metrics
from astro_photz.cutouts.hdf5.layout import open_cutouts

pytest.importorskip("lightning")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    """Import a module of the source tree; the package stays the one that is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module


def power_law(labels, n_labels, *, seeds=3, error=1e-4, n_test=2000):
    """Of training from scratch: it falls with the square root of the number of labels."""
    rng = np.random.default_rng(n_labels)
    scatter = (0.01 + 0.4 / np.sqrt(n_labels)) * (1 + error * np.array([-1, 0, 1])[:seeds])
    galaxies = np.random.default_rng(0).standard_normal(n_test)
    galaxies /= metrics.sigma_mad(galaxies)
    rows = list(metrics.resampled(n_test, resamples=100))
    return labels.scatter_of([one * galaxies for one in scatter], rows, rng)


def test_the_equivalent_factor_is_read_off_the_curve_from_scratch(load):
    labels = load("benchmarks.training._curves")
    scratch = {n: power_law(labels, n) for n in (500, 1000, 2000, 4000, 8000, 16_000)}
    found = labels.equivalent_factor(1000, power_law(labels, 3000), scratch)  # as good as with three times as many
    assert found["factor"] == pytest.approx(3, rel=0.03)
    assert 0 < found["factor_err"] < 0.1
    assert not any(found[bound] for bound in ("at_least", "at_most"))
    noisy = labels.equivalent_factor(1000, power_law(labels, 3000, error=1e-2), scratch)
    assert noisy["factor_err"] > 5 * found["factor_err"]

    # The error is the same where the curve goes on and where the draws come to its end.
    further = scratch | {32_000: power_law(labels, 32_000), 64_000: power_law(labels, 64_000)}
    last = power_law(labels, 15_900, error=1e-2)
    errors = [labels.equivalent_factor(4000, last, curve)["factor_err"] for curve in (scratch, further)]
    assert errors[0] == pytest.approx(errors[1], rel=0.3)

    better = labels.equivalent_factor(1000, power_law(labels, 64_000), scratch)
    assert better["at_least"]
    assert better["factor"] == pytest.approx(16)
    worse = labels.equivalent_factor(1000, power_law(labels, 100), scratch)
    assert worse["at_most"]
    assert worse["factor"] == pytest.approx(0.5)
    assert np.isnan(labels.equivalent_factor(1000, power_law(labels, 3000, seeds=1), scratch)["factor_err"])


def test_the_share_of_the_gap_is_all_of_it_where_nothing_is_left_to_gain(load):
    labels = load("benchmarks.training._curves")
    few, most = power_law(labels, 1000), power_law(labels, 64_000)
    assert labels.share_of_gap(most, few, most) == {"share": pytest.approx(1), "share_err": pytest.approx(0)}
    assert labels.share_of_gap(few, few, most) == {"share": pytest.approx(0), "share_err": pytest.approx(0)}
    middle = labels.Scatter((few.mean + most.mean) / 2, (few.drawn + most.drawn) / 2 + 0.001 * np.tile([-1, 1], 50))
    half = labels.share_of_gap(middle, few, most)
    assert half["share"] == pytest.approx(0.5)
    assert half["share_err"] == pytest.approx(0.001 / (few.mean - most.mean), rel=0.2)


def test_a_difference_is_paired_but_for_what_the_seeds_make_of_it(load):
    """Two trainings that are judged by the same galaxies differ by less than either may be wrong."""
    labels = load("benchmarks.training._curves")
    rng = np.random.default_rng(1)
    rows = list(metrics.resampled(4000, resamples=100))
    galaxies = 0.02 * rng.standard_normal(4000)

    def trained(factor, spread):
        deviations = [factor * galaxies + spread * rng.standard_normal(4000) for _ in range(3)]
        return labels.scatter_of(deviations, rows, rng)

    one, other = trained(1.1, 0.001), trained(1.0, 0.001)
    found = labels.difference_of(one, other)
    assert found["difference"] == pytest.approx(0.1 * 0.02, rel=0.15)
    assert found["difference_err"] < np.std(one.drawn) / 2
    assert labels.difference_of(trained(1.0, 0), trained(1.0, 0)) == {"difference": 0.0, "difference_err": 0.0}


TINY = """
name = "tiny"
version = "1"
recipe = "smoke"
changes = [
    "encoder.width = 4", "pretrain.epochs = 1", "pretrain.batch_size = 16", "pretrain.queue_length = 16",
    "finetune.epochs = 1",
]
seed = 0
limits = ["Good for nothing."]

[simulate]
size = 68

[simulate.settings.sample]
faintest = 17.0

[simulate.train]
n = 160
seed = 1

[simulate.validation]
n = 128
seed = 2

[simulate.test]
n = 128
seed = 3

[points]
n = 130
n_faint = 10
n_distant = 100
seed = 5

[space]
n = 100
n_traits = 100
n_validation = 20
n_components = 8

[demo]
n = 4
pool = 16
seed = 4
"""


def test_a_folder_of_other_settings_is_refused(load, tmp_path):
    """But for the limits, which are known in the end."""
    make = load("tools.make_bundled_model")
    settings = {"version": "1", "processes": 1, "limits": ["One."]}
    make.check_settings(tmp_path, settings)
    make.check_settings(tmp_path, settings | {"limits": ["One.", "Two."]})
    with pytest.raises(SystemExit, match=r"was begun with processes 1, not 2: give the same, or choose another folder"):
        make.check_settings(tmp_path, settings | {"processes": 2})


def test_the_bundled_model_is_made_by_one_command(load, tmp_path, monkeypatch):
    make = load("tools.make_bundled_model")
    (tmp_path / "tiny.toml").write_text(TINY)
    command = [
        "make_bundled_model.py",
        str(tmp_path / "run"),
        "--settings",
        str(tmp_path / "tiny.toml"),
        "--processes",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", command)
    make.main()
    run = tmp_path / "run"
    model, encoder = load_model(run / "tiny"), load_model(run / "tiny-pretrained")
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert (
        evaluation["model"]["sha256"] == json.loads((run / "int8.json").read_text())["model"]["sha256"] == model.sha256
    )
    assert evaluation["overall"]["n"] == 128
    assert model.card.limits[-1] == "Good for nothing."
    assert model.card.training_data["splits"]["test"]["sha256"] == evaluation["data"]["sha256"]
    assert model.card.metrics
    assert (model.card.reference["n_point_sources"], model.card.reference["n_distant"]) == (130, 100)
    assert {"analogues.npz", "reference.npz"} <= model.card.files.keys()
    assert encoder.card.metrics
    assert (run / "tiny-pretrained" / "similarity.npz").is_file()
    assert set(model.card.steps) == {"train", "validation", "test", "pretrained", "finetuned"}
    with open_cutouts(run / "demo.h5") as file:
        assert len(file["images"]) == 4
        assert file.attrs["simulated"]

    written = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    make.main()  # all is there
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == written

    again = tmp_path / "again"
    again.mkdir()
    for split in make.SPLITS:
        shutil.copy(run / f"{split}.h5", again)
    command[1:2] = [str(again), "--init", str(run / "tiny"), "--set", "finetune.optimizer.learning_rate=1e-4"]
    command[-1] = "2"
    make.main()
    card = load_model(again / "tiny").card
    assert card.made_by["init"] == {"name": "tiny", "version": "1", "sha256": model.sha256}
    assert card.training_data["description"].endswith("fine-tuned again from version 1")
    assert card.recipe["finetune"]["optimizer"]["learning_rate"] == 1e-4
    assert not (again / "pretrained").exists()
    assert not (again / "tiny-pretrained").exists()


def test_the_least_noise_is_that_of_a_fit_of_the_right_profile(load):
    """Fits to noisy images scatter by as much, if the noise is white."""
    pytest.importorskip("kcorrect")
    from astro_photz.simulate.camera.conditions import draw_conditions
    from astro_photz.simulate.camera.noise import FILTER_MARGIN, add_noise
    from astro_photz.simulate.population.draw import draw_population
    from astro_photz.simulate.population.morphology import draw_morphology
    from astro_photz.simulate.render.fourier import render
    from astro_photz.simulate.scene.targets import draw_targets
    from astro_photz.simulate.simulation import Simulation

    n, times, size = 6, 400, 64 + 2 * FILTER_MARGIN
    recipe = Simulation(seed=0)
    population = draw_population(n, np.random.default_rng(1))
    shape = draw_morphology(population, np.random.default_rng(2))
    error = load("benchmarks.model._photometry").least_error(recipe, population, shape, np.random.default_rng(3))

    conditions = draw_conditions(n, np.random.default_rng(3), **recipe.settings.sky)
    targets, _ = draw_targets(population, None, np.full((n, 2), (size - 1) / 2), shape=shape)
    light = render(targets, conditions.transfer, size=size, shift=conditions.shift)
    flat = ("background", "background_slope", "row_noise", "read_correlation", "column_correlation", "phase")
    conditions = replace(conditions, **{name: np.zeros_like(getattr(conditions, name)) for name in flat})
    conditions = replace(conditions, zero_point=np.ones((n, 5)))
    repeated = {name: np.tile(value, (times, *[1] * (value.ndim - 1))) for name, value in vars(conditions).items()}
    images = add_noise(light.repeat(times, 1, 1, 1), type(conditions)(**repeated), np.random.default_rng(4))
    images = images.numpy().reshape(times, n, 5, 64, 64)

    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    profile = light[..., inner, inner].numpy() / population.flux[..., None, None]
    weight = profile / images[: times // 2].var(axis=0)
    flux = (weight * images[times // 2 :]).sum(axis=(-2, -1)) / (weight * profile).sum(axis=(-2, -1))
    np.testing.assert_allclose((flux.std(axis=0) / error).mean(axis=0), 1, atol=0.08)


def test_a_catalogue_is_about_as_noisy_as_it_must_be(load):
    pytest.importorskip("kcorrect")
    from astro_photz.simulate.population.draw import draw_population
    from astro_photz.simulate.population.morphology import draw_morphology
    from astro_photz.simulate.population.sample import Sample
    from astro_photz.simulate.simulation import Simulation

    catalogues = load("benchmarks.model._catalogues")
    noise = catalogues.CatalogueNoise(load_model(), seed=0, n=400)
    assert 1 <= noise.factor.min() < noise.factor.max() < 2
    assert noise.range == f"{noise.factor.min():.2f} to {noise.factor.max():.2f}"

    def factor(**limits):
        population = draw_population(8, np.random.default_rng(0), sample=Sample(**limits))
        shape = draw_morphology(population, np.random.default_rng(1))
        galaxies = Simulation(seed=0), population, shape
        least = catalogues.least_error(*galaxies, np.random.default_rng(2))
        return noise(*galaxies, np.random.default_rng(2)) / least

    np.testing.assert_allclose(factor(faintest=14.5), np.tile(noise.factor[0], (8, 1)))
    np.testing.assert_allclose(factor(brightest=18.0, faintest=18.5), np.tile(noise.factor[-1], (8, 1)))
    between, known = factor(brightest=16.25, faintest=17.2), noise.factor[1:4]
    assert ((between >= known.min(axis=0) - 1e-6) & (between <= known.max(axis=0) + 1e-6)).all()

    population = draw_population(256, np.random.default_rng(0))
    galaxies = Simulation(seed=0), population, draw_morphology(population, np.random.default_rng(1))
    relative = noise(*galaxies, np.random.default_rng(2))[:, 2] / population.flux[:, 2]
    expected = np.hypot(2.5 / np.log(10) * relative, galaxies[0].settings.sky["zero_point_scatter"])
    difference = noise.listed(*galaxies)["r"] - (22.5 - 2.5 * np.log10(population.flux[:, 2]))
    assert np.std(difference / expected) == pytest.approx(1, abs=0.15)


def test_boosting_is_held_out_by_galaxies_that_are_not_independent(load):
    """
    Of 20 images each of 150 galaxies, it would learn the 150 by heart, and be shown to be right by the other images.
    """
    pytest.importorskip("sklearn", minversion="1.7")
    boosting = load("benchmarks.model._boosting")
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(150), 20)
    redshift = rng.uniform(0, 0.4, 150)[groups]
    features = {"r": rng.standard_normal(150)[groups]}  # which tells nothing
    by_image = boosting.Boosting(features, redshift).predict(features)
    by_galaxy = boosting.Boosting(features, redshift, groups=groups).predict(features)
    assert np.std(by_image) > 0.9 * np.std(redshift)
    assert np.std(by_galaxy) < 0.6 * np.std(redshift)
