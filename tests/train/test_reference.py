# Licensed under a 3-clause BSD style license - see LICENSE
"""An exported model knows the galaxies that it was trained on, and tells strangers from them."""

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, small_recipe, write_stamps

from astro_photz import load_model, predict
from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.flags import PhotozFlag
from astro_photz.models.card import REFERENCE
from astro_photz.quality.measurements import measure
from astro_photz.reference.analogues import Analogues
from astro_photz.reference.strangers import Reference
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import adapt, export_run, finetune
from astro_photz.train.export import reference as exported_reference
from astro_photz.train.export import run_to_model

BOTTLENECK = ("encoder.stem = pooled", "encoder.photometry = true", "encoder.bottleneck = 6")


def shares(model, cutouts):
    return Reference.of_model(model).ood(model.encoding(cutouts).features, measure(cutouts).vector)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of a fine-tuning, and the model that was made of it, with 8-bit integers beside it."""
    folder = tmp_path_factory.mktemp("reference")
    recipe = small_recipe("finetune.epochs = 1", *BOTTLENECK)
    finetune(recipe, data / "train.h5", folder / "run", validation=data / "validation.h5", machine=MACHINE)
    export_run(folder / "run", folder / "mine", int8=True)
    return folder


def test_the_card_says_whose_galaxies_they_are(trained):
    model = load_model(trained / "mine")
    told = model.card.reference
    assert told == {
        "of": "galaxies that mine was trained on",
        "n": 160,
        "n_validation": 100,
        "sha256": model.card.files[REFERENCE],
    }
    assert model.gives_features
    assert Reference.of_model(model).features.dim == model.feature_dim


def test_galaxies_are_known_and_strangers_are_not(data, trained):
    model = load_model(trained / "mine")
    others = Cutouts.read(data / "validation.h5")
    assert np.mean(shares(model, others.crop(64)) < 0.02) == pytest.approx(0.02, abs=0.011)
    assert np.mean(shares(model, gaussian_cutouts(200, seed=7)) < 0.02) < 0.1
    swapped = gaussian_cutouts(50, seed=7)
    swapped.flux = swapped.flux[:, ::-1].copy()
    table = predict(swapped, model=model)
    assert (table["z_phot_ood"] < 0.02).all()
    assert ((table["z_phot_flags"] & PhotozFlag.OUTLIER) != 0).all()


def test_integers_know_the_same_galaxies(data, trained):
    model, integers = load_model(trained / "mine"), load_model(trained / "mine-int8")
    assert integers.card.reference == model.card.reference
    others = Cutouts.read(data / "validation.h5").crop(64)
    assert np.corrcoef(shares(model, others), shares(integers, others))[0, 1] > 0.9


def test_a_pretraining_has_no_reference(pretrained, tmp_path):
    export_run(pretrained, tmp_path / "encoder")
    model = load_model(tmp_path / "encoder")
    assert model.card.reference == {}
    assert Reference.of_model(model) is None
    assert Analogues.of_model(model) is None


def test_the_galaxies_of_the_training_are_analogues(data, trained):
    with open_cutouts(data / "train.h5") as file:
        redshift = file["specz_redshift"][()].astype(np.float32)
    learnt = Cutouts.read(data / "train.h5")
    for name in ("mine", "mine-int8"):
        model = load_model(trained / name)
        analogues = Analogues.of_model(model)
        assert len(analogues) == 160
        np.testing.assert_array_equal(analogues.redshift, redshift[analogues.ids])
        assert 0 < analogues.limit < np.inf  # by the validation set
        assert analogues.error_scale != 1
        assert predict(learnt[:5], model=model, analogues=2)["z_phot_analogue_z"].shape == (5, 2)
    own = Analogues.of_model(load_model(trained / "mine"))
    found = own.search(load_model(trained / "mine").embed(learnt), 1)
    np.testing.assert_array_equal(found.redshift[:, 0], redshift)  # the nearest of each is itself


def test_an_adapted_model_keeps_what_it_began_with_and_ranks_by_its_own(tmp_path):
    write_stamps(tmp_path / "few.h5", 240, size=64)
    adapt(tmp_path / "few.h5", tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "mine")
    begun, model = load_model("bundled"), load_model(tmp_path / "mine")
    before, after = Reference.of_model(begun), Reference.of_model(model)
    np.testing.assert_array_equal(after.features.factor, before.features.factor)
    assert list(after.regressions) == list(before.regressions)
    told = model.card.reference
    assert told["of"] == begun.card.reference["of"]
    assert (told["n"], told["n_validation"]) == (begun.card.reference["n"], 100)
    cutouts = gaussian_cutouts(200, seed=8)  # round galaxies, which the bundled model has not seen
    assert np.median(shares(begun, cutouts)) < 0.25
    assert 0.2 < np.median(shares(model, cutouts)) < 0.8
    assert len(Analogues.of_model(model)) == 140  # of one's own galaxies, whatever the model began with
    write_stars(tmp_path / "stars.h5")
    export_run(tmp_path / "run", tmp_path / "told", point_sources=tmp_path / "stars.h5", analogues=0)
    told = load_model(tmp_path / "told").card.reference
    assert (told["of"], told["n"]) == (begun.card.reference["of"], begun.card.reference["n"])
    assert told["n_point_sources"] == 100
    again = Reference.of_model(load_model(tmp_path / "told"))
    np.testing.assert_array_equal(again.features.factor, before.features.factor)
    points = [one.point_sources for one in (before, again)]
    assert points[0] is None or not np.array_equal(points[0].weights, points[1].weights)


def test_many_galaxies_of_ones_own_are_better_than_others(tmp_path, monkeypatch):
    monkeypatch.setattr(exported_reference, "ENOUGH", 100)
    write_stamps(tmp_path / "many.h5", 240, size=64)
    adapt(tmp_path / "many.h5", tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "mine", analogues=0)
    model = load_model(tmp_path / "mine")
    assert Analogues.of_model(model) is None  # whatever the model began with
    assert (model.card.reference["of"], model.card.reference["n"]) == ("galaxies that mine was trained on", 140)
    after, before = (Reference.of_model(one).regressions for one in (model, load_model("bundled")))
    assert list(after) == list(before)


def write_stars(path):
    light = gaussian_cutouts(100, seed=9).flux.sum(axis=(2, 3), keepdims=True)
    narrow = np.exp(-0.5 * ((np.arange(64) - 31.5) / 1.3) ** 2)
    noise = np.random.default_rng(0).normal(0, 0.03, (100, 5, 64, 64))
    stars = Cutouts(light * np.outer(narrow, narrow) / narrow.sum() ** 2 + noise, ebv=0.03)
    stars.write(path)


def write_kinds(path, **columns):
    """Galaxies of three kinds, 120 of each: points, distant ones, which are red, and faint ones."""
    stamps = gaussian_cutouts(360, seed=11)
    kind = np.repeat(["star", "distant", "galaxy"], 120)
    stamps.flux[kind == "distant", :2] *= 0.05
    stamps.flux[kind == "galaxy"] *= 0.3
    columns = {"kind": kind, "point": (kind == "star").astype(int)} | columns
    stamps.write(path)
    with h5py.File(path, "a") as file:
        for name, values in columns.items():
            if values is not None:
                file[name] = values.astype("S") if values.dtype.kind == "U" else values


def test_distant_galaxies_of_a_file_are_learnt(trained, tmp_path):
    write_kinds(tmp_path / "kinds.h5")
    export_run(trained / "run", tmp_path / "mine", point_sources=tmp_path / "kinds.h5", analogues=0)
    model = load_model(tmp_path / "mine")
    told = model.card.reference
    assert [told[f"n_{name}"] for name in ("point_sources", "distant", "faint")] == [120, 120, 120]
    kinds = Cutouts.read(tmp_path / "kinds.h5")
    beyond = (predict(kinds, model=model)["z_phot_flags"] & PhotozFlag.BEYOND_GRID) != 0
    assert beyond[120:240].mean() > 0.8
    assert beyond[240:].mean() < 0.2


def test_what_was_distant_before_and_is_known_now_is_told_no_longer(tmp_path):
    rng = np.random.default_rng(3)
    redshift = rng.uniform(0.3, 0.398, 240)  # the bundled model knows few beyond 0.355
    gaussian_cutouts(240, seed=12).write(tmp_path / "far.h5", specz_redshift=redshift)
    adapt(tmp_path / "far.h5", tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "mine", analogues=0)
    model = load_model(tmp_path / "mine")
    assert model.card.training_range["redshift"][1] > load_model("bundled").card.training_range["redshift"][1]
    assert list(Reference.of_model(model).regressions) == ["point_sources"]


def test_kinds_without_points_marked(tmp_path):
    write_kinds(tmp_path / "kinds.h5", point=None)
    kinds = exported_reference._kinds(tmp_path / "kinds.h5")
    assert {name: len(rows) for name, rows in kinds.items()} == {"point_sources": 240, "distant": 120, "faint": 0}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": np.repeat("star", 7)}, r"one kind for each stamp: .*kinds.h5 has \(7,\) for 360 stamps"),
        ({"point": np.ones((360, 2))}, r"one point for each stamp: .*kinds.h5 has \(360, 2\) for 360 stamps"),
        ({"kind": np.repeat(["star", "distant"], [353, 7])}, "100 distant galaxies or more: .*kinds.h5 has 7"),
        ({"point": np.arange(360) < 7}, "100 point sources or more: .*kinds.h5 has 7"),
    ],
)
def test_kinds_that_cannot_be_learnt_are_refused(tmp_path, columns, message):
    write_kinds(tmp_path / "kinds.h5", **{"kind": np.repeat("star", 360), "point": np.ones(360, dtype=int)} | columns)
    with pytest.raises(ValueError, match=message):
        exported_reference.check_point_sources(tmp_path / "kinds.h5")


def test_point_sources_of_a_file_are_learnt(trained, tmp_path):
    write_stars(tmp_path / "stars.h5")
    export_run(trained / "run", tmp_path / "mine", point_sources=tmp_path / "stars.h5", analogues=12)
    model = load_model(tmp_path / "mine")
    assert len(Analogues.of_model(model)) == 12
    assert model.card.reference["n_point_sources"] == 100
    points = Reference.of_model(model).point_sources
    probability = [
        points.probability(model.encoding(one).features).mean()
        for one in (Cutouts.read(tmp_path / "stars.h5"), gaussian_cutouts(100, seed=7))
    ]
    assert probability[0] > 0.8 > 0.3 > probability[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"analogues": -1}, ValueError, "analogues must be at least 0, got -1"),
        ({"analogues": 1}, ValueError, "analogues must be 0, for none, or 2 or more"),
        ({"analogues": 2.5}, TypeError, "analogues must be a whole number"),
        ({"point_sources": "absent.h5"}, FileNotFoundError, "no file absent.h5"),
        (
            {"point_sources": "galaxies.h5"},
            ValueError,
            "point_sources must be a file of stars or quasars: in galaxies.h5",
        ),
        ({"point_sources": "other.h5"}, ValueError, r"one point for each stamp: other.h5 has \(3, 2\) for 3 stamps"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(trained, tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    gaussian_cutouts(3).write("galaxies.h5", point=np.zeros(3, dtype=np.int8))
    gaussian_cutouts(3).write("other.h5", point=np.zeros((3, 2), dtype=np.int8))
    monkeypatch.setattr(run_to_model, "_trained", None)
    with pytest.raises(error, match=message):
        export_run(trained / "run", tmp_path / "mine", **options)


def test_a_pretraining_learns_no_point_sources(pretrained, tmp_path):
    gaussian_cutouts(3).write(tmp_path / "stars.h5")
    with pytest.raises(ValueError, match=r"point_sources must not be given: .* is a pretraining"):
        export_run(pretrained, tmp_path / "encoder", point_sources=tmp_path / "stars.h5")


def test_seeing_is_among_the_ranges_where_it_is_known(tmp_path):
    from astro_photz.train.export.run_to_model import training_range

    cutouts = gaussian_cutouts(200)
    cutouts.write(tmp_path / "unknown.h5")
    assert "seeing" not in training_range(tmp_path / "unknown.h5", labelled=False)
    cutouts.psf_fwhm[:] = np.linspace(0.9, 1.9, 200)[:, None]
    cutouts.write(tmp_path / "known.h5")
    low, high = training_range(tmp_path / "known.h5", labelled=False)["seeing"]
    assert (low, high) == pytest.approx((0.905, 1.895), abs=0.002)
