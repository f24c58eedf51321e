# Licensed under a 3-clause BSD style license - see LICENSE
"""A model knows the galaxies that it was made with, in little room, and tells of them where it is judged."""

import json
import shutil
import warnings

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from astro_photz import load_model
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.evaluation import evaluate_model
from astro_photz.models import ModelError, PhotozModel
from astro_photz.models.card import LINEAGE
from astro_photz.models.lineage import (
    LARGEST,
    Lineage,
    TrainedOnWarning,
    refuse_training_file,
    warn_of_overlap,
)
from astro_photz.models.training_sets import TrainingSet
from astro_photz.testing.factories import gaussian_cutouts

POLES_AND_SEAM = SkyCoord(
    [0.0, 200.0, 0.0, 359.99999, 0.0, 45.0], [90.0, 89.9999, -90.0, 0.0, 60.0, 35.264], unit="deg"
)


def sky(n, *, seed=0):
    rng = np.random.default_rng(seed)
    return SkyCoord(rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))), unit="deg")


def joined(*coords):
    return SkyCoord(*(np.concatenate([getattr(one, name).deg for one in coords]) for name in ("ra", "dec")), unit="deg")


def moved(coord, distance, *, seed=0):
    angle = np.random.default_rng(seed).uniform(0, 360, len(coord)) * u.deg
    return coord.directional_offset_by(angle, distance * u.arcsec)


def survey_ids(n, *, seed=0):
    return 1237648720142401670 + np.random.default_rng(seed).integers(0, 10**15, n)


def training_set(role="trained", coord=None, ids=None, **facts):
    return TrainingSet.of_galaxies(role, coord=coord, ids=ids, **facts)


def lineage_of(coord=None, ids=None):
    return Lineage(sets=[training_set(coord=coord, ids=ids)])


def stored(lineage, folder):
    """A lineage as it comes out of its file."""
    lineage.write(folder)
    return Lineage.read(folder)


def write_labelled(path, n=40, *, seed=0, **attributes):
    cutouts = gaussian_cutouts(n, seed=seed)
    cutouts.write(path, specz_redshift=np.linspace(0.05, 0.3, n))
    with h5py.File(path, "r+") as file:
        for name, values in attributes.items():
            file[name] = values
    return path


def with_lineage(folder, *sets):
    """A copy of the bundled model that was made with these sets."""
    shutil.copytree(load_model("bundled").path, folder)
    Lineage(sets=list(sets)).write(folder)
    load_model("bundled").card.updated(name="mine").write(folder)
    return PhotozModel(folder)


# Positions


@pytest.mark.parametrize("coord", [sky(2000), POLES_AND_SEAM], ids=["anywhere", "poles and seam"])
def test_a_position_is_found_within_an_arcsecond_and_not_at_five(coord):
    lineage = lineage_of(coord)
    for seed in range(5):
        for distance in (0, 0.3, 0.999):
            assert lineage.common(moved(coord, distance, seed=seed)).rows.all()
        for distance in (5, 30):
            assert not lineage.common(moved(coord, distance, seed=seed)).rows.any()


def test_positions_match_in_any_frame_and_unknown_ones_never():
    coord = sky(50)
    assert lineage_of(coord).common(coord.galactic).n == 50
    unknown = SkyCoord([np.nan, coord.ra.deg[0]], [np.nan, coord.dec.deg[0]], unit="deg")
    assert lineage_of(unknown).common(unknown).rows.tolist() == [False, True]


def test_other_galaxies_of_the_sky_are_not_taken_for_these():
    assert lineage_of(sky(20_000)).common(sky(20_000, seed=1)).n == 0


# Identifiers


@pytest.mark.parametrize("kind", [np.int64, np.uint64, str, object])
def test_identifiers_match_as_numbers_or_text(kind):
    ids = survey_ids(30)
    asked = [str(one) for one in ids] if kind is object else ids.astype(kind)
    overlap = lineage_of(ids=ids).common(ids=asked)
    assert (overlap.n, overlap.exact) == (30, True)
    assert not lineage_of(ids=ids).common(ids=ids + 1).n


@pytest.mark.parametrize(
    "ids",
    [np.arange(30), np.arange(30).astype(str), np.full(30, -9999), np.array(["NGC 4993"] * 30), np.full(30, 1e18)],
)
def test_running_numbers_and_names_are_no_identifiers(ids):
    lineage = Lineage(sets=[training_set(coord=sky(30), ids=ids)])
    assert lineage.common(ids=ids).n == 0
    assert lineage.common(sky(30, seed=1), ids=ids).n == 0


def test_a_galaxy_that_is_known_twice_counts_once():
    coord, ids = sky(40), survey_ids(40)
    lineage = lineage_of(coord, ids)
    away = joined(coord[:20], sky(20, seed=1))  # half of them by their identifiers alone
    assert lineage.common(away, ids=ids).n == 40
    both = Lineage(sets=[training_set(coord=coord), training_set("calibrated", coord=coord[:10])])
    overlap = both.common(coord)
    assert (overlap.n, overlap.by_role) == (40, {"trained": 40, "calibrated": 10})
    assert overlap.told() == "was trained on 40 of the 40 galaxies and calibrated on 10"


def test_something_must_be_known_of_the_galaxies():
    with pytest.raises(ValueError, match="coord or ids must be given"):
        lineage_of(sky(3)).common()
    with pytest.raises(ValueError, match="same length, got 3 and 2"):
        lineage_of(sky(3)).common(sky(3), ids=[1, 2])


# Samples of large sets


N_LARGE = 100_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The galaxies of a large lineage, its folder, and the lineage as it is read again."""
    folder = tmp_path_factory.mktemp("large")
    coord, ids = sky(N_LARGE), survey_ids(N_LARGE)
    sets = [training_set(coord=coord, ids=ids), training_set("calibrated", sky(500, seed=1))]
    return coord, ids, folder, stored(Lineage(sets=sets), folder)


def test_the_largest_set_fits_and_the_smallest_stay_whole(large):
    *_, folder, lineage = large
    assert 0.98 * LARGEST < (folder / LINEAGE).stat().st_size <= LARGEST
    trained, calibrated = lineage.sets
    assert calibrated.positions.exact
    assert len(trained.positions.keys) > 12_000
    assert trained.numbers.share == pytest.approx(trained.positions.share / 4, rel=0.01)
    assert lineage.common(sky(500, seed=1)).by_role == {"calibrated": 500}


@pytest.mark.parametrize("by", ["positions", "identifiers"])
def test_a_sample_tells_the_number_within_its_error(large, by):
    """Over samples, estimates scatter by their errors."""
    coord, ids, _, lineage = large
    others, pulls = {"positions": sky(1000, seed=2), "identifiers": survey_ids(1000, seed=2)}[by], []
    for seed in range(40):
        rows = np.random.default_rng(seed).permutation(N_LARGE)[:1000]
        if by == "positions":
            overlap = lineage.common(joined(coord[rows], others))
        else:
            overlap = lineage.common(ids=np.concatenate([ids[rows], others]))
        assert not overlap.exact
        pulls.append((overlap.n - 1000) / overlap.error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert 0.7 < np.std(pulls) < 1.4


def test_views_of_one_galaxy_have_the_error_of_one():
    """They are in a sample together, or not."""
    coord, others, pulls = sky(3000), sky(3000, seed=1), []
    sketch = training_set(coord=coord).positions.cut(600)
    sampled = Lineage(sets=[TrainingSet(role="trained", positions=sketch)])
    for seed in range(60):
        rows = np.random.default_rng(seed).permutation(3000)[:300]
        overlap = sampled.common(joined(coord[np.repeat(rows, 10)], others))
        pulls.append((overlap.n - 3000) / overlap.error)
    assert 0.7 < np.std(pulls) < 1.4


def test_nothing_found_in_a_sample_leaves_a_limit(large):
    lineage = large[-1]
    overlap = lineage.common(sky(3000, seed=5))
    assert (overlap.n, overlap.error, overlap.exact) == (0, 0, False)
    assert overlap.at_most == pytest.approx(3 / lineage.sets[0].positions.share, rel=0.01)
    assert lineage_of(sky(100)).common(sky(3000, seed=5)).at_most == 0


def test_a_lineage_is_the_same_out_of_its_file(tmp_path):
    sets = [
        training_set(coord=sky(300), ids=survey_ids(300), sha256="a" * 64),
        TrainingSet(role="pretrained", model="m"),
    ]
    again = stored(Lineage(sets=sets, others={"survey": "mine"}), tmp_path)
    assert again.others == {"survey": "mine"}
    assert json.dumps(again.entries()) == json.dumps(Lineage(sets=sets, others={"survey": "mine"}).entries())
    assert [one.model for one in again.unknown] == ["m"]


def test_what_is_joined_keeps_all_galaxies_once(tmp_path):
    whole = training_set(coord=sky(300), sha256="a" * 64)
    before = Lineage(sets=[training_set("pretrained", sky(300), sha256="a" * 64), training_set("calibrated", sky(9))])
    lineage = Lineage(sets=[whole]).joined(before, model="base")
    assert [(one.role, one.model) for one in lineage.sets] == [("trained", ""), ("calibrated", "base")]
    other_rows = Lineage(sets=[training_set(coord=sky(300, seed=1), sha256="a" * 64)])
    assert len(Lineage(sets=[whole]).joined(other_rows, model="base").sets) == 2
    assert [one.model for one in Lineage(sets=[whole]).joined(None, model="lost").unknown] == ["lost"]


# Models


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    names = "train", "validation", "other"
    return {name: write_labelled(folder / f"{name}.h5", seed=seed) for seed, name in enumerate(names)}


@pytest.fixture(scope="module")
def model(files, tmp_path_factory):
    roles = {"trained": files["train"], "calibrated": files["validation"]}
    sets = [TrainingSet.of_file(role, path) for role, path in roles.items()]
    return with_lineage(tmp_path_factory.mktemp("models") / "mine", *sets)


@pytest.mark.parametrize(("name", "role"), [("train", "trained"), ("validation", "calibrated")])
def test_a_file_that_the_model_knows_is_refused(files, model, name, role):
    assert model.lineage.files[data_hash(files[name])] == role
    with pytest.raises(ValueError, match=rf"{name}.h5 is the very file that the model mine was {role} on"):
        evaluate_model(model, files[name])


def test_some_of_its_galaxies_in_another_file_are_told_with_their_number(files, model, tmp_path):
    mixed = gaussian_cutouts(30, seed=0)[:12]
    mixed.write(tmp_path / "mixed.h5", specz_redshift=np.full(12, 0.1))
    told = r"mixed.h5: the model mine was trained on 12 of the 12 galaxies\. Figures measured on them are too good"
    with pytest.warns(TrainedOnWarning, match=told):
        evaluate_model(model, tmp_path / "mixed.h5", resamples=2)


def test_nothing_is_said_of_others_or_if_that_is_meant(files, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainedOnWarning)
        evaluate_model(model, files["other"], resamples=2)
        evaluate_model(model, files["train"], resamples=2, seen=True)
        assert warn_of_overlap(model, coord=sky(20)).n == 0
        assert warn_of_overlap(model) is None


def test_galaxies_that_nothing_names_are_as_many_as_they_are(files, tmp_path):
    """A file of images and redshifts alone, as networks are trained on."""
    path = tmp_path / "bare.h5"
    shutil.copy(files["train"], path)
    with h5py.File(path, "r+") as file:
        for name in {"ra", "dec", "ObjID"} & file.keys():
            del file[name]
    bare = with_lineage(tmp_path / "bare", TrainingSet.of_file("trained", path))
    assert bare.lineage.files[data_hash(path)] == "trained"
    with pytest.raises(ValueError, match="is the very file"):
        evaluate_model(bare, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainedOnWarning)
        evaluate_model(bare, files["other"], resamples=2)


def test_a_table_is_told_with_the_line_that_asked(model):
    coord = gaussian_cutouts(5, seed=1).coord
    with pytest.warns(TrainedOnWarning, match="host.csv: the model mine was calibrated on 5 of the 5") as found:
        overlap = warn_of_overlap(model, coord=coord, what="host.csv")
    assert overlap.rows.all()
    assert found[0].filename == __file__


def test_a_model_without_a_lineage_says_nothing_but_knows_its_files(files):
    bundled = load_model("bundled")
    if bundled.lineage is None:  # up to version 8
        assert warn_of_overlap(bundled, coord=sky(5)) is None
    splits = bundled.card.training_data["splits"]
    for split, role in (("train", "trained"), ("validation", "calibrated")):
        with pytest.raises(ValueError, match=f"old.h5 is the very file that the model {bundled.name} was {role} on"):
            refuse_training_file(bundled, splits[split]["sha256"], "old.h5")
    refuse_training_file(bundled, splits["test"]["sha256"], "test.h5")
    evaluate_model(bundled, files["train"], resamples=2)


@pytest.mark.parametrize("damage", ["changed", "removed", "unlisted"])
def test_a_lineage_that_is_not_that_of_the_card_is_refused(model, tmp_path, damage):
    folder = shutil.copytree(model.path, tmp_path / "model")
    if damage == "changed":
        (folder / LINEAGE).write_text((folder / LINEAGE).read_text().replace("trained", "calibrated", 1))
    elif damage == "removed":
        (folder / LINEAGE).unlink()
    else:
        card = json.loads((folder / "card.json").read_text())
        del card["files"][LINEAGE]
        (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises((ModelError, FileNotFoundError), match=LINEAGE):
        PhotozModel(folder)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"sets": [{"role": "seen"}]}, "role of a training set must be one of"),
        ({"sets": [{"role": "trained", "positions": {"n": 3, "k": 5, "keys": ""}}]}, "keys are damaged: 5 keys of 3"),
        ({"sets": [{"role": "trained", "positions": {"n": 9, "k": 5, "keys": "AAAA"}}]}, "keys are damaged"),
        ({"sets": [{"role": "trained", "positions": {"n": 10**12, "k": 10**12, "keys": ""}}]}, "keys are damaged"),
        ({"sets": [{"role": "trained", "colour": 1}]}, "damaged: .*colour"),
        ({"sets": [7]}, "damaged"),
        ({"sets": 7}, "damaged"),
        ({"sets": [], "form": 99}, "form 99 cannot be read"),
        ({}, "must have sets"),
    ],
)
def test_a_damaged_lineage_is_told(tmp_path, entries, message):
    (tmp_path / LINEAGE).write_text(json.dumps(entries))
    with pytest.raises(ModelError, match=message):
        Lineage.read(tmp_path)


# Simulated galaxies


def simulated(path, progenitors, *, seed=0, colours="fitted"):
    cutouts = gaussian_cutouts(len(progenitors), seed=seed)
    cutouts.simulated = True
    columns = {"specz_redshift": np.full(len(progenitors), 0.1), "seed_index": np.asarray(progenitors, np.int32)}
    cutouts.write(path, **columns)
    with h5py.File(path, "r+") as file:
        file.attrs["settings"] = json.dumps({"sample": {"colours": colours}})
    return path


def test_simulated_galaxies_are_known_by_the_real_ones_behind_them(tmp_path):
    """Not by their places, which may be lines of sight, nor their running numbers."""
    train = simulated(tmp_path / "train.h5", np.repeat(np.arange(10), 3))
    model = with_lineage(tmp_path / "mine", TrainingSet.of_file("trained", train))
    others = simulated(tmp_path / "others.h5", np.arange(10, 40))  # at the same places
    of_other_table = simulated(tmp_path / "measured.h5", np.arange(30), colours="measured")
    of_none = simulated(tmp_path / "none.h5", np.full(30, -1))
    for path in (others, of_other_table, of_none):
        evaluate_model(model, path, resamples=2)
    same = simulated(tmp_path / "same.h5", np.arange(5, 35), seed=1)
    told = r"trained on 5 of the 30 galaxies \(which were drawn from the same real ones\)"
    with pytest.warns(TrainedOnWarning, match=told):
        evaluate_model(model, same, resamples=2)


def test_real_galaxies_are_found_among_those_that_simulated_ones_were_drawn_from(tmp_path):
    train = simulated(tmp_path / "train.h5", np.arange(30))
    model = with_lineage(tmp_path / "mine", TrainingSet.of_file("trained", train))
    told = r"trained on 30 of the 30 galaxies \(as simulated ones drawn from them\)"
    with pytest.warns(TrainedOnWarning, match=told):
        warn_of_overlap(model, coord=gaussian_cutouts(30).coord, ids=np.arange(30))
