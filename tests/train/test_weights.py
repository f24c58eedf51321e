# Licensed under a 3-clause BSD style license - see LICENSE
"""Weights in files: written, read, and refused."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from safetensors.torch import save
from small_runs import refused, small_recipe

from astro_photz.models import ModelCard, ModelError
from astro_photz.train import make_encoder
from astro_photz.train.networks.heads import CalibratedHead
from astro_photz.train.networks.weights import WEIGHTS, read_head, read_weights, write_weights
from astro_photz.train.tasks.redshift import RedshiftModel


def test_a_damaged_model_is_not_told_to_be_none(monkeypatch):
    def damaged(name):
        raise ModelError(f"{name}: its files are others")

    monkeypatch.setattr("astro_photz.train.networks.weights.load_model", damaged)
    with pytest.raises(ModelError, match=r"mine: its files are others"):
        read_weights("mine")


def small_encoder(**options):
    settings = {"kind": "resnet18", "width": 4} | options
    return settings, make_encoder(**settings)


@pytest.mark.parametrize("head", [None, "linear", "calibrated"])
def test_weights_are_read_as_they_were_written(tmp_path, head):
    settings, encoder = small_encoder(photometry=True, bottleneck=6)
    heads = {None: None, "linear": torch.nn.Linear(256, 180)}
    heads["calibrated"] = CalibratedHead(heads["linear"], [0.0, 0.4, 1.0])
    write_weights(tmp_path / WEIGHTS, encoder, settings, head=heads[head])
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
    stored, state = read_weights(tmp_path)
    assert stored == settings
    torch.testing.assert_close(state, dict(encoder.state_dict()), rtol=0, atol=0)
    found = read_head(tmp_path)
    if head is None:
        assert found is None
    else:
        assert type(found) is type(heads[head])
        torch.testing.assert_close(dict(found.state_dict()), dict(heads[head].state_dict()), rtol=0, atol=0)


def test_weights_of_an_earlier_version_are_read(tmp_path):
    settings, encoder = small_encoder()
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"encoder": settings}}, tmp_path / "encoder.pt")
    stored, found = read_weights(tmp_path)
    assert stored == settings
    torch.testing.assert_close(found, dict(encoder.state_dict()), rtol=0, atol=0)
    settings, other = small_encoder()
    write_weights(tmp_path / WEIGHTS, other, settings)  # which counts, where both are there
    torch.testing.assert_close(read_weights(tmp_path)[1], dict(other.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"half of it", r"encoder.safetensors cannot be read as weights"),
        (save({"encoder.weight": torch.zeros(1)}), r"holds no encoder of this package"),
        (save({"encoder.weight": torch.zeros(1)}, metadata={"encoder": "{"}), r"cannot be read as weights"),
    ],
    ids=["damaged", "of something else", "with other metadata"],
)
def test_safetensors_of_something_else_are_refused(tmp_path, content, message):
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path)


def test_weights_that_cannot_be_written_say_so(tmp_path, monkeypatch):
    encoder = RedshiftModel(encoder={"kind": "resnet18", "width": 4}).encoder

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"encoder.safetensors could not be written .*No space left.*: make room"):
        write_weights(tmp_path / WEIGHTS, encoder, {"kind": "resnet18", "width": 4})
    assert not list(tmp_path.iterdir())


ANOTHER_ARCHITECTURE = (
    "encoder.width = 6",
    "encoder.kind = 'resnet34'",
    "encoder.scaling = 'none'",
    "encoder.stem = 'pooled'",  # of the same names and shapes, with other strides
)


@pytest.mark.parametrize("change", ANOTHER_ARCHITECTURE)
def test_weights_of_another_architecture_are_refused(data, pretrained, tmp_path, change):
    with pytest.raises(ValueError, match=r"another architecture: kind = 'resnet18'.*while the recipe's is"):
        refused(data, tmp_path / "run", recipe=small_recipe(change), init=pretrained)


def test_a_checkpoint_that_would_run_code_is_refused(data, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"state_dict": {}, "hyper_parameters": Malicious()}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad.ckpt cannot be read as weights, without running code"):
        refused(data, tmp_path / "run", init=tmp_path / "bad.ckpt")
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_of_something_else_is_refused(data, tmp_path):
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"holds no encoder of this package"):
        refused(data, tmp_path / "run", init=tmp_path / "other.ckpt")


# Weights in the folder of a model are those of its card


@pytest.fixture(params=["encoder.safetensors", "encoder.pt"])
def weights(tmp_path, request):
    """A file of weights in a folder with a card."""
    settings, encoder = small_encoder()
    if request.param == WEIGHTS:
        write_weights(tmp_path / WEIGHTS, encoder, settings)
    else:
        state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
        torch.save({"state_dict": state, "hyper_parameters": {"encoder": settings}}, tmp_path / request.param)
    card = ModelCard(name="mine", version="1", training_data={"description": "none"}, limits=[])
    card.write(tmp_path)
    return tmp_path / request.param


def test_weights_with_the_hash_of_the_card_are_read(weights):
    assert read_weights(weights.parent)[0] == read_weights(weights)[0] == {"kind": "resnet18", "width": 4}
    assert read_head(weights) is None


@pytest.mark.parametrize("change", ["a byte", "another encoder", "not listed"])
def test_other_weights_than_the_card_says_are_refused(weights, tmp_path, change):
    if change == "a byte":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif change == "another encoder":
        settings, encoder = small_encoder(width=6)
        write_weights(weights, encoder, settings)
    else:
        card = ModelCard.read(tmp_path).updated(files={})
        (tmp_path / "card.json").write_text(json.dumps(card.entries()))
    for source in (tmp_path, weights):
        with pytest.raises(ModelError, match=rf"{weights.name} is not the file that its card describes"):
            read_weights(source)
        with pytest.raises(ModelError, match="get the model again"):
            read_head(source)


@pytest.mark.parametrize("settings", ['"resnet18"', "[]", "3", '{"width": 10}', '{"kind": "resnet18", "depth": 3}'])
def test_settings_that_make_no_encoder_are_refused(data, tmp_path, settings):
    (tmp_path / WEIGHTS).write_bytes(save({"encoder.weight": torch.zeros(1)}, metadata={"encoder": settings}))
    with pytest.raises((ValueError, TypeError)):
        refused(data, tmp_path / "run", init=tmp_path / WEIGHTS)
