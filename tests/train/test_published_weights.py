# Licensed under a 3-clause BSD style license - see LICENSE
"""Published weights: read without trust, mapped name by name, and the same through ONNX as in torch."""

import functools
import hashlib
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from astropy.config import set_temp_cache

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import conf, embed, list_models, load_model, predict
from astro_photz.cli import main
from astro_photz.models import ModelCard, ModelError, model_directory
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.export import published_weights as checkpoints
from astro_photz.train.export.published_weights import PUBLISHED_FILES, import_checkpoint, read_published
from astro_photz.train.networks.resnet import ResNet
from astro_photz.train.networks.weights import read_weights

CARD = ModelCard(name="hayat2021", version="1", training_data={"description": "none"}, limits=[], embedding_dim=8)


def make_network(depth=50, *, width=64):
    """The published architecture with random weights, its normalisations having seen a few galaxies."""
    torch.manual_seed(0)
    network = ResNet(depth, width=width, scaling="none", n_bins=180).train()
    with torch.no_grad():
        network(torch.from_numpy(gaussian_cutouts(4).flux), torch.full((4,), 0.03))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.num_batches_tracked.fill_(1000)
    return network.eval()


def finetuned(network):
    return {f"module.{name}": values for name, values in network.state_dict().items()}


def pretrained(network):
    """As MoCo leaves it: two encoders that end in a projection, and the queue."""
    encoders = {}
    for encoder in ("encoder_q", "encoder_k"):
        trunk = {name: values for name, values in network.state_dict().items() if not name.startswith("fc.")}
        projection = {"fc.0.weight": torch.zeros(8, 8), "fc.0.bias": torch.zeros(8), "fc.2.weight": torch.zeros(4, 8)}
        encoders |= {f"module.{encoder}.{name}": values for name, values in (trunk | projection).items()}
    return encoders | {"module.queue": torch.zeros(4, 16), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}


def save(path, state, *, key="model_state", **more):
    torch.save({"epoch": 3, key: state} | more, path)
    return path


@pytest.fixture(autouse=True)
def models(tmp_path):
    """Models go to a directory of the test's own."""
    (tmp_path / "cache").mkdir()
    with set_temp_cache(tmp_path / "cache"):
        yield


@pytest.fixture
def small(monkeypatch):
    """A smaller network in the place of the published one, where its size does not matter."""
    monkeypatch.setattr(checkpoints, "ENCODER", {"kind": "resnet18", "width": 4, "scaling": "none"})
    return make_network(18, width=4)


@pytest.fixture
def exports(monkeypatch):
    """Do not export, where a test is of what comes before: give what would have been."""
    made = []
    monkeypatch.setattr(checkpoints, "export_model", lambda *arguments, **options: made.append((arguments, options)))
    return made


@pytest.fixture
def server(tmp_path):
    """A server on this machine that has the published files, and no others."""
    folder = tmp_path / "published"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with conf.set_temp("published_models", f"http://127.0.0.1:{server.server_port}/"):
        yield folder
    server.shutdown()
    server.server_close()


# The whole way


def test_a_file_in_the_published_format_gives_what_torch_gives(tmp_path):
    network = make_network()
    path = save(tmp_path / "published.pth.tar", finetuned(network))
    import_checkpoint("hayat2021", file=path)
    model = load_model("hayat2021")
    flux, ebv = gaussian_cutouts(4, seed=1).flux, np.linspace(0, 0.2, 4, dtype=np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(flux), torch.from_numpy(ebv))
        head, network.fc = network.fc, torch.nn.Identity()
        embedding = network(torch.from_numpy(flux), torch.from_numpy(ebv)).numpy()
    exported = model.encode(flux, ebv)
    assert exported.shape == (4, 2048)
    np.testing.assert_allclose(exported, embedding, rtol=1e-4, atol=1e-4 * np.abs(embedding).max())
    np.testing.assert_allclose(model.pdf(exported).p, logits.softmax(dim=1), atol=1e-4)
    assert logits.softmax(dim=1).std(dim=0).max() > 1e-3  # and not because nothing is seen
    assert model.edges == pytest.approx(np.linspace(0, 0.4, 181))
    assert head.weight.shape == (180, 2048)


def test_the_published_names_and_shapes_are_read(tmp_path):
    """By the rule of torchvision's ResNet-50, written out."""
    shapes = {"conv1.weight": (64, 5, 7, 7), "fc.weight": (180, 2048), "fc.bias": (180,)}
    norms = {"bn1": 64}
    channels = 64
    for stage, (width, number) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(number):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, channels, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            norms |= {f"{name}.bn1": width, f"{name}.bn2": width, f"{name}.bn3": 4 * width}
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                norms[f"{name}.downsample.1"] = 4 * width
            channels = 4 * width
    for name, width in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (width,)
        shapes[f"{name}.num_batches_tracked"] = ()
    generator = torch.Generator().manual_seed(0)
    state = {f"module.{name}": torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    encoder, head = read_published(save(tmp_path / "published.pth.tar", state), kind="finetuned")
    torch.testing.assert_close(encoder.layer4[2].conv3.weight.detach(), state["module.layer4.2.conv3.weight"])
    torch.testing.assert_close(head.weight.detach(), state["module.fc.weight"])
    assert encoder.conv1.stride == (1, 1)


def test_a_pretrained_encoder_embeds_begins_trainings_and_gives_no_redshifts(tmp_path, small):
    path = save(tmp_path / "pretrained.pth.tar", pretrained(small), key="state_dict")
    folder = import_checkpoint("hayat2021", kind="pretrained", file=path)
    model = load_model("hayat2021-pretrained")
    cutouts = gaussian_cutouts(3)
    small.fc = torch.nn.Identity()
    with torch.no_grad():
        embedding = small(torch.from_numpy(cutouts.flux), torch.from_numpy(cutouts.ebv)).numpy()
    np.testing.assert_allclose(embed(cutouts, model=model), embedding, rtol=1e-3, atol=1e-4 * np.abs(embedding).max())
    with pytest.raises(ModelError, match="hayat2021-pretrained embeds images, but gives no redshifts"):
        predict(cutouts, model="hayat2021-pretrained")
    settings, state = read_weights(folder)
    assert settings == checkpoints.ENCODER
    torch.testing.assert_close(state["conv1.weight"], small.conv1.weight.detach())
    row = list_models()[list(list_models()["name"]).index("hayat2021-pretrained")]
    assert not row["redshifts"]
    assert not row["simulated"]
    assert row["path"] == str(model_directory() / "hayat2021-pretrained")


def test_the_command_downloads_records_the_hash_and_lists(server, small, capsys):
    path = save(server / PUBLISHED_FILES["finetuned"], finetuned(small))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert main(["models", "import", "hayat2021", "--quiet"]) == 0
    told = capsys.readouterr().err
    assert f"sha256 {digest} (recorded; none is published to check it by)" in told
    assert "astro-photz predict --model hayat2021" in told
    source = load_model("hayat2021").card.source
    assert source["sha256"] == digest
    assert source["sha256_given"] is False
    assert source["file"].endswith(PUBLISHED_FILES["finetuned"])
    for command in (["models"], ["models", "list"]):
        assert main(command) == 0
        assert "hayat2021" in capsys.readouterr().out


# Hashes, downloads, what is there


def test_a_given_hash_is_checked(server, small, exports):
    path = save(server / PUBLISHED_FILES["finetuned"], finetuned(small))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"has the sha256 {digest}, not {'0' * 64}, as was given"):
        import_checkpoint(sha256="0" * 64)
    import_checkpoint(sha256=digest.upper())
    assert exports[0][1]["card"].source["sha256_given"] is True


@pytest.mark.parametrize("sha256", ["", "0" * 63, "x" * 64, "0" * 65])
def test_a_hash_that_is_none_is_refused_before_the_download(sha256):
    with pytest.raises(ValueError, match="sha256 must be 64 hexadecimal digits"):
        import_checkpoint(sha256=sha256)


def test_a_recorded_hash_holds_for_later_imports(tmp_path, small, exports):
    first = save(tmp_path / "first.pth.tar", finetuned(small))
    folder = model_directory() / "hayat2021"
    folder.mkdir(parents=True)
    CARD.updated(source={"sha256": hashlib.sha256(first.read_bytes()).hexdigest()}).write(folder)
    with pytest.raises(FileExistsError, match="the model hayat2021 is there already"):
        import_checkpoint(file=first)
    import_checkpoint(file=first, overwrite=True)
    other = save(tmp_path / "other.pth.tar", finetuned(small), epoch=4)
    with pytest.raises(ValueError, match="which was recorded when the model was first imported"):
        import_checkpoint(file=other, overwrite=True)
    import_checkpoint(file=other, overwrite=True, sha256=hashlib.sha256(other.read_bytes()).hexdigest())
    assert len(exports) == 2


def test_a_model_that_was_not_imported_may_be_replaced(tmp_path, small, exports):
    file = save(tmp_path / "first.pth.tar", finetuned(small))
    folder = model_directory() / "hayat2021"
    folder.mkdir(parents=True)
    CARD.write(folder)
    import_checkpoint(file=file, overwrite=True)
    assert len(exports) == 1


def test_a_failed_download_says_what_else_can_be_done(server):
    with pytest.raises(OSError, match=r"could not be downloaded.*404.*give the file \(--file\)"):
        import_checkpoint()
    assert not model_directory().exists()


def test_a_file_url_will_do(tmp_path, small, exports):
    save(tmp_path / PUBLISHED_FILES["supervised"], finetuned(small))
    with conf.set_temp("published_models", tmp_path.as_uri()):
        import_checkpoint(kind="supervised")
    assert exports[0][1]["card"].name == "hayat2021-supervised"
    assert (tmp_path / PUBLISHED_FILES["supervised"]).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "hayat2022"}, "name must be one of hayat2021, got 'hayat2022'"),
        ({"kind": "tuned"}, "kind must be one of finetuned, pretrained, supervised, got 'tuned'"),
    ],
)
def test_unknown_publications_name_the_known_ones(options, message):
    with pytest.raises(ValueError, match=message):
        import_checkpoint(**options)


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["models", "import", "hayat2021", "--file", str(tmp_path / "absent.pth.tar")]) == 1
    assert "no file" in capsys.readouterr().err


# Files that are not trusted


class Malicious:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    state = {"module.conv1.weight": Malicious()}
    torch.save({"state_dict": state}, "evil.pth.tar", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"evil.pth.tar is refused: reading it would run code of its own \(\w+.system\)"
    ):
        import_checkpoint(file="evil.pth.tar")
    assert not (tmp_path / "executed").exists()
    assert not model_directory().exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 50, b"PK\x03\x04" + bytes(500)])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "published.pth.tar"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no checkpoint of torch, or is damaged"):
        read_published(path, kind="finetuned")


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    torch.save({"epoch": 1, "weights": {}}, tmp_path / "other.pth.tar")
    with pytest.raises(ValueError, match="no state_dict or model_state, but epoch, weights"):
        read_published(tmp_path / "other.pth.tar", kind="finetuned")
    torch.save([1, 2], tmp_path / "list.pth.tar")
    with pytest.raises(ValueError, match="no state_dict or model_state, but list"):
        read_published(tmp_path / "list.pth.tar", kind="finetuned")


def test_numbers_of_numpy_beside_the_weights_do_no_harm(tmp_path, small):
    best = {"best": np.float64(0.3), "loss": np.float32(1.5), "iters": np.int64(7)}
    encoder, head = read_published(save(tmp_path / "published.pth.tar", finetuned(small), **best), kind="finetuned")
    found = encoder.state_dict() | {f"fc.{name}": values for name, values in head.state_dict().items()}
    torch.testing.assert_close(found, dict(small.state_dict()), rtol=0, atol=0)


# Names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("module.layer1.0.bn1.bias"), r"1 missing \(layer1.0.bn1.bias\)"),
        (lambda state: state.update({"module.extra": torch.zeros(1)}), r"1 unknown \(extra\)"),
        (
            lambda state: state.update({"module.conv1.weight": torch.zeros(4, 3, 7, 7)}),
            r"1 of another shape \(conv1.weight \(4, 3, 7, 7\) instead of \(4, 5, 7, 7\)\)",
        ),
        (lambda state: state.update({"module.fc.bias": 3}), "1 of another shape .fc.bias .*no tensor.* instead of"),
        (lambda state: [state.pop(name) for name in list(state)[:60]], "60 missing .*num_batches_tracked[)]$"),
    ],
)
def test_weights_that_do_not_fit_are_listed(tmp_path, small, change, message):
    state = finetuned(small)
    change(state)
    path = save(tmp_path / "published.pth.tar", state)
    with pytest.raises(ValueError, match=f"does not hold the weights of the published network: {message}"):
        read_published(path, kind="finetuned")


@pytest.mark.parametrize("name", ["module.conv1.weight", "module.encoder_q.fc.weight", "module.encoder_q.fc.4.bias"])
def test_what_is_not_known_beside_a_pretrained_encoder_is_listed(tmp_path, small, name):
    path = save(tmp_path / "pretrained.pth.tar", pretrained(small) | {name: torch.zeros(3)})
    with pytest.raises(ValueError, match=rf"1 unknown \({name.removeprefix('module.')}\)"):
        read_published(path, kind="pretrained")


@pytest.mark.parametrize("kind", PUBLISHED_FILES)
def test_the_kind_must_be_that_of_the_file(tmp_path, small, kind):
    state = finetuned(small) if kind == "pretrained" else pretrained(small)
    path = save(tmp_path / "published.pth.tar", state)
    with pytest.raises(ValueError, match=rf"encoder_q.*and kind is '{kind}'"):
        read_published(path, kind=kind)
