# Licensed under a 3-clause BSD style license - see LICENSE
"""Models that others wrote: what decides a number is covered by a hash, and what is no model is refused by name."""

import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

import astro_photz
from astro_photz.models import ModelCard, ModelError, PhotozModel
from astro_photz.models._graph import weights_outside
from astro_photz.reference import Reference
from astro_photz.reference.analogues import Analogues
from astro_photz.similarity import SearchSpace
from astro_photz.testing.factories import gaussian_cutouts


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled model, to be spoilt."""
    return shutil.copytree(astro_photz.load_model("bundled").path, tmp_path / "model")


def entries(folder):
    return json.loads((folder / "card.json").read_text())


def rewrite(folder, **changes):
    (folder / "card.json").write_text(json.dumps(entries(folder) | changes))


def rehash(folder):
    """Let the card tell the hashes of the files as they are."""
    ModelCard.read(folder).write(folder)


# Weights are inside the graph


@pytest.mark.parametrize("where", ["all", "one", "sparse", "attribute", "subgraph", "function", "said twice"])
@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
def test_weights_outside_a_graph_are_refused(folder, monkeypatch, name, where):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(folder / name)
    if where == "all":
        options = {"all_tensors_to_one_file": True, "location": "weights.bin", "size_threshold": 0}
        onnx.save(graph, folder / name, save_as_external_data=True, **options)
    else:
        outside = graph.graph.initializer[0]
        if where not in ("one", "said twice"):
            outside = onnx.helper.make_tensor("hidden", onnx.TensorProto.FLOAT, [1], [0.0])
        outside.ClearField("raw_data")
        outside.ClearField("float_data")
        outside.data_location = onnx.TensorProto.EXTERNAL
        outside.external_data.add(key="location", value="weights.bin")
        node = onnx.helper.make_node("Constant", [], ["hidden"])
        if where == "sparse":
            graph.graph.sparse_initializer.add().values.CopyFrom(outside)
        elif where != "one":
            node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(outside)
        if where == "attribute":
            graph.graph.node.append(node)
        elif where == "subgraph":
            inner = onnx.helper.make_graph([node], "inner", [], [])
            graph.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
        elif where == "function":
            graph.functions.add(name="inner", domain="mine").node.append(node)
        content = graph.SerializeToString()
        if where == "said twice":  # the last one counts for some readers: not outside after all
            content += graph.SerializeToString()
        (folder / name).write_bytes(content)
    (folder / "weights.bin").write_bytes(bytes(10**6))
    monkeypatch.chdir(folder)  # where onnxruntime would find them
    rehash(folder)
    with pytest.raises(ModelError, match=f"{name} is refused: the weights of .* are in another file"):
        PhotozModel(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x07", b":\xff\xff\xff\xff\x0f", b":\x02*", b"\xff" * 20, b"\x80" * 12, bytes(1000), b"ORTM" * 4],
)
def test_what_is_no_graph_is_no_model(folder, content):
    (folder / "head.onnx").write_bytes(content)
    rehash(folder)
    with pytest.raises(ModelError, match=r"onnxruntime cannot read .*head.onnx"):
        PhotozModel(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_half_a_graph_is_no_model(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    rehash(folder)
    with pytest.raises(ModelError, match="onnxruntime cannot read"):
        PhotozModel(folder)


def test_graphs_in_graphs_without_end_are_refused():
    content = b""
    for _ in range(200):  # a node with an attribute that is a graph, in a graph
        for key in (0x32, 0x2A, 0x0A):
            length, size = len(content), bytearray()
            while length > 127:
                size.append(length & 127 | 128)
                length >>= 7
            content = bytes([key, *size, length]) + content
    with pytest.raises(ValueError, match="nested deeper"):
        weights_outside(b":" + bytes([len(content) & 127 | 128, len(content) >> 7]) + content)


def test_a_graph_that_is_replaced_after_its_hash_was_compared_is_not_used(folder, monkeypatch):
    other = (folder / "head.onnx").read_bytes()
    cutouts = gaussian_cutouts(2)
    wanted = astro_photz.load_model("bundled").embed(cutouts)

    def replaced(content):
        (folder / "encoder.onnx").write_bytes(other)
        return weights_outside(content)

    monkeypatch.setattr("astro_photz.models.model.weights_outside", replaced)
    np.testing.assert_array_equal(PhotozModel(folder).embed(cutouts), wanted)


# What decides a number is part of the model's hash

DECIDE = {
    "z_edges": [2 * edge for edge in astro_photz.load_model("bundled").card.z_edges],
    "calibration": {"method": "temperature", "temperature": 1.3},
    "training_range": {"r_mag": [10.0, 30.0], "ebv": [0.0, 1.0]},
    "simulated": False,
    "origin": {},
    "pixel_scale": 0.2,
    "r_ugriz": [1.0, 1.0, 1.0, 1.0, 1.0],
    "image_size": 108,
}
REPORTS = {
    "metrics": {"mine": {"bias": 0.1}},
    "limits": [],
    "name": "mine",
    "version": "9",
    "commit": "0" * 12,
    "versions": {},
    "recipe": {},
    "survey": "mine",
}


@pytest.mark.parametrize("name", DECIDE)
def test_what_decides_is_part_of_the_hash(folder, name):
    before = ModelCard.read(folder).sha256
    rewrite(folder, **{name: DECIDE[name]})
    table = astro_photz.predict(gaussian_cutouts(2), model=folder)
    assert table.meta["z_phot"]["model_sha256"] != before


@pytest.mark.parametrize("name", REPORTS)
def test_what_is_only_told_is_not(folder, name):
    before = ModelCard.read(folder).sha256
    rewrite(folder, **{name: REPORTS[name]})
    assert ModelCard.read(folder).sha256 == before


def test_the_hash_does_not_depend_on_how_a_card_is_written(folder):
    card = ModelCard.read(folder)
    (folder / "card.json").write_text(json.dumps(dict(reversed(entries(folder).items())), indent=7))
    assert ModelCard.read(folder).sha256 == card.sha256
    whole = card.updated(z_edges=[int(one) if one in (0, 1) else one for one in card.z_edges])
    assert whole.sha256 == card.sha256


@pytest.mark.parametrize("name", ["reference.npz", "analogues.npz", "encoder.safetensors", "head.onnx"])
def test_each_file_that_is_listed_is_part_of_the_hash(folder, name):
    before = ModelCard.read(folder).sha256
    files = entries(folder)["files"] | {name: "0" * 64}
    rewrite(folder, files=files)
    assert ModelCard.read(folder).sha256 != before


def test_a_card_of_before_has_its_space_in_the_hash(tmp_path):
    folder = shutil.copytree(astro_photz.load_model("sim-small-v1-pretrained").path, tmp_path / "model")
    listed = entries(folder)
    kept = {name: sha256 for name, sha256 in listed["files"].items() if name != "lineage.json"}
    (folder / "lineage.json").unlink()
    rewrite(folder, files=kept)
    known = ModelCard.read(folder).sha256
    rewrite(folder, files={"encoder.onnx": kept["encoder.onnx"]})  # as earlier versions wrote it
    assert PhotozModel(folder).sha256 == known
    assert SearchSpace.of_model(PhotozModel(folder)).dim == listed["similarity"]["n_components"]
    rewrite(folder, similarity=listed["similarity"] | {"sha256": "0" * 64})
    assert ModelCard.read(folder).sha256 != known
    with pytest.raises(ModelError, match=r"similarity.npz is not the file that its card describes"):
        PhotozModel(folder)


def test_a_file_that_the_card_does_not_list_is_not_used(folder):
    space = SearchSpace.cosine(256)
    space.write(folder / "similarity.npz")
    with pytest.raises(ModelError, match=r"similarity.npz is not the file .* the card does not list it"):
        PhotozModel(folder)


def test_what_was_read_on_loading_stays(folder):
    model = PhotozModel(folder)
    for name in ("reference.npz", "analogues.npz"):
        (folder / name).write_bytes(b"another one")
    assert Reference.of_model(model).features.dim == 512
    assert len(Analogues.of_model(model)) > 0


# Cards

WRONG = {
    "name": ["", "a\nb", "x" * 300, "\x1b[2J", 3, True, []],
    "version": ["", "\x00", [], {}],
    "training_data": [{}, {"description": 3}, {"description": "x", "n": -1}, {"description": "x", "n": True}],
    "training_data ": [
        {"description": "x", "splits": 3},
        {"description": "x", "splits": {"train": []}},
        {"description": "\x9b"},
    ],
    "limits": [[3], "one", [["nested"]], ["\x07"]],
    "simulated": ["no", 1, 0.0],
    "origin": [{"name": 3}, {"simulated": "yes"}, {"training_range": 3}, []],
    "training_range": [{"r_mag": 3}, {"r_mag": [18, 15]}, {"r_mag": [15]}, {"ebv": ["0", "1"]}, {"ebv": [0, True]}],
    "z_edges": [[], [0.1], [0.0, 0.0], [0.2, 0.1], ["0", "1"], [0, 1e400], [None, 1], [-2, 1], 0.4, {"start": 0}],
    "bands": [[], ["z", "i", "r", "g", "u"], "ugriz", ["u", "g", "r", "i"], [1, 2, 3, 4, 5]],
    "pixel_scale": [0, -0.4, "0.4", True, 1e400],
    "r_ugriz": [[], [1, 2, 3, 4], [1, 2, 3, 4, "5"], 3, [1, 2, 3, 4, 1e400]],
    "image_size": [-1, 10**9, 64.5, "64", True, 10**400],
    "embedding_dim": [-1, 10**12, "256", True, 25.5],
    "files": [
        [],
        {"encoder.onnx": 3},
        {"encoder.onnx": "0"},
        {"encoder.onnx": "G" * 64},
        {"../../etc/passwd": "0" * 64},
    ],
    "files ": [
        {"/etc/passwd": "0" * 64},
        {"..": "0" * 64},
        {"a/b.onnx": "0" * 64},
        {"a\\b.onnx": "0" * 64},
        {"": "0" * 64},
    ],
    "similarity": [3, {}, {"sha256": 3}, {"sha256": "0"}],
    "metrics": [[], 3],
    "calibration": [[], "none", 3],
    "form": [0, -1, True, 1.0, "1", 99],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_an_entry_that_no_model_has_is_named(folder, name, value):
    rewrite(folder, **{name.strip(): value})
    with pytest.raises(ModelError, match=rf"card.json.*{name.strip()}"):
        PhotozModel(folder)


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
        nested(50_000).encode(),
        b"",
        b"\x00" * 100,
        b"[]",
        b"nan",
        b'"card"',
        b'{"name": 1e999}',
        b" " * 21_000_000 + b"{}",
    ],
    ids=range(12),
)
def test_what_is_no_card(folder, content):
    (folder / "card.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"card.json"):
        PhotozModel(folder)


def test_an_entry_that_is_nested_too_deeply_is_named(folder):
    rewrite(folder, recipe=json.loads(nested(50)))
    with pytest.raises(ModelError, match="recipe of a card must have no control characters, and lists no more than 32"):
        PhotozModel(folder)


# Files


def test_a_link_to_the_file_is_as_good_as_the_file(folder, tmp_path):
    for name in ("encoder.onnx", "reference.npz"):
        shutil.move(folder / name, tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
    assert PhotozModel(folder).sha256 == astro_photz.load_model("bundled").sha256
    (tmp_path / "encoder.onnx").write_bytes(b"another one")
    with pytest.raises(ModelError, match=r"encoder.onnx is not the file that its card describes"):
        PhotozModel(folder)


@pytest.mark.parametrize("target", ["/dev/zero", "/etc", "nowhere", "encoder.onnx"])
def test_a_link_to_something_else_is_no_file(folder, target):
    (folder / "encoder.onnx").unlink()
    (folder / "encoder.onnx").symlink_to(target)
    with pytest.raises(FileNotFoundError, match=r"it has no encoder.onnx"):
        PhotozModel(folder)


@pytest.mark.parametrize("name", ["card.json", "head.onnx", "reference.npz"])
def test_a_pipe_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises((ModelError, FileNotFoundError), match=name):
        PhotozModel(folder)


def test_a_file_of_absurd_size_is_not_read(folder):
    os.truncate(folder / "encoder.onnx", 2**40)  # a hole: it takes no room
    with pytest.raises(ModelError, match=r"encoder.onnx .* has 1099511627776 bytes, more than"):
        PhotozModel(folder)


def arrays_of(content):
    with np.load(io.BytesIO(content)) as file:
        return dict(file)


def packed(arrays, *, compressed=False):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def damaged(content):
    """Other contents for a file of arrays."""
    arrays = arrays_of(content)
    name = max(arrays, key=lambda one: arrays[one].size)
    yield content[:1000]
    yield b""
    yield b"PK\x03\x04" + bytes(100)
    yield packed({})
    yield packed(arrays | {name: arrays[name][:-1]})
    yield packed(arrays | {name: arrays[name].astype(complex)})
    yield packed(arrays | {name: arrays[name].astype("U8")})
    yield packed(arrays | {name: np.full(arrays[name].shape, np.nan)})
    yield packed(arrays | {name: np.float64(3)})
    file = io.BytesIO()
    np.savez(file, **arrays | {name: np.array([{}], dtype=object)})
    yield file.getvalue()
    for header in (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,\n",  # no end
        b"{'descr': '<f4' 'shape'}\n",
        b"\xff\xfe\n",
    ):
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w") as members:
            members.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        yield bomb.getvalue()


@pytest.mark.parametrize("k", range(14))
@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        ("sim-small-v1", "reference.npz", Reference),
        ("sim-small-v1", "analogues.npz", Analogues),
        ("sim-small-v1-pretrained", "similarity.npz", SearchSpace),
    ],
)
def test_arrays_that_are_none_are_refused(tmp_path, model, name, kind, k):
    folder = shutil.copytree(astro_photz.load_model(model).path, tmp_path / "model")
    (folder / name).write_bytes(list(damaged((folder / name).read_bytes()))[k])
    rehash(folder)
    with pytest.raises(ModelError, match=name):
        kind.of_model(PhotozModel(folder))


def test_arrays_that_would_fill_the_memory_are_refused(folder, monkeypatch):
    monkeypatch.setattr("astro_photz.utils._npy.LARGEST_ARRAYS", 10**6)
    arrays = arrays_of((folder / "reference.npz").read_bytes()) | {"more": np.zeros(2 * 10**5)}
    (folder / "reference.npz").write_bytes(packed(arrays, compressed=True))
    rehash(folder)
    with pytest.raises(ModelError, match=r"reference.npz holds no reference"):
        Reference.of_model(PhotozModel(folder))


@pytest.mark.parametrize("ranges", [{"r_mag": [15.0, 19.0]}, {"redshift": [0.0, 0.4]}])
def test_ranges_that_flags_need_are_there_or_none_is(folder, ranges):
    rewrite(folder, training_range=ranges)
    with pytest.raises(ModelError, match="training_range of its card lacks ebv"):
        PhotozModel(folder)
    rewrite(folder, training_range={})
    assert len(astro_photz.predict(gaussian_cutouts(2), model=folder)) == 2
