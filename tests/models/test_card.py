# Licensed under a 3-clause BSD style license - see LICENSE
"""The card of a model: read, checked, changed and written without losing what it does not know."""

import dataclasses
import hashlib
import json

import pytest

from astro_photz import load_model
from astro_photz.models import ModelCard, ModelError

ENTRIES = {
    "name": "mine",
    "version": "3",
    "bands": ["u", "g", "r", "i", "z"],
    "pixel_scale": 0.396,
    "embedding_dim": 12,
    "training_data": {"description": "none", "n": 5},
    "limits": ["Good for nothing."],
    "files": {},
}


def store(folder, entries):
    (folder / "card.json").write_text(json.dumps(entries))
    return folder


def test_what_is_read_is_written_again_with_entries_that_have_no_field(tmp_path):
    told = ENTRIES | {"survey": {"name": "ours"}, "training_range": {"ebv": [0.0, 0.4]}, "simulated": True}
    ModelCard.read(store(tmp_path, told)).write(tmp_path)
    written = json.loads((tmp_path / "card.json").read_text())
    assert written.items() >= told.items()
    assert ModelCard.read(tmp_path).others == {"survey": {"name": "ours"}}


def test_a_card_without_a_form_has_the_first_one_and_says_so_when_written(tmp_path):
    card = ModelCard.read(store(tmp_path, ENTRIES))
    assert card.form == 1
    assert json.loads((card.write(tmp_path), (tmp_path / "card.json").read_text())[1])["form"] == 1


def test_a_card_of_a_later_form_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"card.json: a card of form 2 cannot be read.*update astro-photz"):
        ModelCard.read(store(tmp_path, ENTRIES | {"form": 2}))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_that_every_card_has_must_be_there(tmp_path, name):
    entries = {key: value for key, value in ENTRIES.items() if key != name}
    with pytest.raises(ModelError, match=f"card.json lacks {name}$"):
        ModelCard.read(store(tmp_path, entries))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 3),
        ("limits", "one"),
        ("training_data", "simulated"),
        ("embedding_dim", "12"),
        ("z_edges", 0.4),
        ("simulated", "no"),
        ("pixel_scale", "0.396"),
        ("metrics", []),
        ("form", "1"),
    ],
)
def test_an_entry_of_another_type_is_named(tmp_path, name, value):
    with pytest.raises(ModelError, match=f"{name} of a card must be of type .*, got {value!r}".replace("[]", r"\[\]")):
        ModelCard.read(store(tmp_path, ENTRIES | {name: value}))


def test_null_is_no_entry_and_a_version_may_be_a_number(tmp_path):
    card = ModelCard.read(store(tmp_path, ENTRIES | {"origin": None, "recipe": None, "version": 3}))
    assert (card.origin, card.recipe, card.version) == ({}, {}, "3")


@pytest.mark.parametrize("text", ["[]", "3", '"card"'])
def test_a_file_without_entries_is_no_card(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ModelError, match="holds no entries by name"):
        ModelCard.read(tmp_path)


def test_a_card_has_the_hashes_of_the_files_beside_it(tmp_path):
    for name in ("encoder.onnx", "encoder.pt", "encoder.safetensors", "notes.txt"):
        (tmp_path / name).write_text(name)
    card = ModelCard.of(ENTRIES).write(tmp_path)
    assert card == ModelCard.read(tmp_path)
    names = ("encoder.onnx", "encoder.pt", "encoder.safetensors")
    assert card.files == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    assert not card.has_head


def test_a_card_does_not_change_but_gives_another_one():
    card = ModelCard.of(ENTRIES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.name = "ours"
    ours = card.updated(name="ours", survey="ours", metrics={"test": {"bias": 0.1}})
    assert (ours.name, ours.others, ours.metrics) == ("ours", {"survey": "ours"}, {"test": {"bias": 0.1}})
    assert (card.name, card.others, card.metrics) == ("mine", {}, {})
    assert ours.updated(metrics={}).metrics == {}
    with pytest.raises(ModelError, match="a card must have training_data, limits"):
        ModelCard.of({"name": "mine", "version": "1"})


@pytest.mark.parametrize(
    ("entries", "trained_on"),
    [
        ({"simulated": True}, "simulated images"),
        ({"simulated": True, "origin": {"simulated": True}}, "simulated images"),
        ({"simulated": False}, "real images"),
        ({"simulated": False, "origin": {"simulated": False}}, "real images"),
        ({"simulated": False, "origin": {"simulated": True}}, "simulated images, then real images"),
    ],
)
def test_a_card_tells_which_images_the_weights_are_from(entries, trained_on):
    assert ModelCard.of(ENTRIES | entries).trained_on == trained_on


def test_the_card_of_the_bundled_model_has_a_field_for_each_entry():
    card = load_model("bundled").card
    assert card.others == {}
    assert card.has_head
