# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors of models, their documents, recipes and settings.
"""

import io
import json
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from hypothesis import strategies as st

import astro_photz
from astro_photz.models import ModelCard, ModelError, load_model
from astro_photz.models.lineage import Lineage
from astro_photz.models.training_sets import TrainingSet
from astro_photz.reference import Reference
from astro_photz.reference.analogues import Analogues

from .edits import byte_edits, document_edits, edited_bytes, edited_document, edited_text, hostile, mostly, text_edits
from .judging import Fault, Target

__all__ = ["TARGETS"]


@cache
def _bundled():
    return load_model("bundled").path


@cache
def _document(name):
    if name == "lineage.json":
        seen = TrainingSet.of_galaxies(
            "trained", SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg"), ids=[10**18, 10**18 + 1]
        )
        return json.loads(json.dumps(Lineage(sets=[seen]).entries()))
    return json.loads((_bundled() / name).read_text(encoding="utf-8"))


def _written(given, folder, name):
    """A document with edits of its entries, and of its letters."""
    text = json.dumps(edited_document(_document(name), given["entries"]), indent=1)
    path = folder / name
    path.write_bytes(edited_text(text, given["letters"]).encode("utf-8", "surrogatepass"))
    return path


def _read_card(given, folder):
    _written(given, folder, "card.json")
    card = ModelCard.read(folder)
    str((card.sha256, card.trained_on, card.has_head, card.entries()))


def _load(given, folder):
    """Load a model whose card or files were changed, and estimate with it."""
    for file in _bundled().iterdir():
        (folder / file.name).symlink_to(file)
    if given["file"] is not None:
        path = folder / given["file"]
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(edited_bytes(content, given["edits"]))
    else:
        (folder / "card.json").unlink()
        _written(given, folder, "card.json")
    model = astro_photz.models.PhotozModel(folder)
    edges = model.edges
    if not np.array_equal(edges, load_model("bundled").edges):
        raise Fault("a model with other edges is taken for the one that its card describes")


def _read_lineage(given, folder):
    _written(given, folder, "lineage.json")
    lineage = Lineage.read(folder)
    str((lineage.files, lineage.unknown, lineage.entries()))


@cache
def _arrays(name):
    with np.load(_bundled() / name) as arrays:
        return {key: arrays[key] for key in arrays}


_ARRAY_EDITS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(
            [
                *("remove", "text", "object", "complex", "nan", "inf", "empty", "more axes", "scalar", "cut", "int8"),
                *("zeros", "negative", "huge", "bool", "values", "bytes", "backwards"),
            ]
        ),
        hostile,
    ),
    max_size=2,
)


def _edited_arrays(arrays, edits):
    arrays = dict(arrays)
    for at, kind, value in edits:
        if not arrays:
            break
        name = sorted(arrays)[at % len(arrays)]
        values = arrays[name]
        with np.errstate(all="ignore"):
            try:
                arrays[name] = {
                    "text": lambda values: values.astype(str), "complex": lambda values: values.astype(complex),
                    "object": lambda values: np.array([values.tolist(), None], dtype=object),
                    "nan": lambda values: values * np.nan, "inf": lambda values: values * np.inf,
                    "empty": lambda values: values[:0], "more axes": lambda values: values[np.newaxis],
                    "scalar": lambda values: np.array(values.ravel()[0]),
                    "cut": lambda values: values[: len(values) // 2],
                    "int8": lambda values: values.astype(np.int8), "zeros": lambda values: values * 0,
                    "negative": lambda values: -values, "huge": lambda values: values * 1e30,
                    "bool": lambda values: values.astype(bool), "bytes": lambda values: values.astype("S"),
                    "values": lambda values, value=value: np.array(value), "backwards": lambda values: values[::-1],
                    "remove": lambda values: None,
                }[kind](values)  # fmt: skip
            except Exception:  # NumPy cannot
                continue
        if arrays[name] is None:
            del arrays[name]
    return arrays


def _read_arrays(given, folder, kind, name):
    path = folder / name
    file = io.BytesIO()
    np.savez(file, **_edited_arrays(_arrays(name), given["arrays"]))
    path.write_bytes(edited_bytes(file.getvalue(), given["edits"]))
    kind.read(path)


def _read_reference(given, folder):
    _read_arrays(given, folder, Reference, "reference.npz")


def _read_analogues(given, folder):
    _read_arrays(given, folder, Analogues, "analogues.npz")


# Recipes and settings


@cache
def _recipe_text(name):
    return (Path(astro_photz.__file__).parent / "train" / "recipes" / f"{name}.toml").read_text(encoding="utf-8")


def _prepare_recipes():
    import_module("astro_photz.train.recipe")  # and torch


def _read_recipe(given, folder):
    import tomli_w

    from astro_photz.train.recipe import Recipe

    text = _recipe_text(given["base"])
    if given["entries"]:
        import tomllib

        document = edited_document(tomllib.loads(text), given["entries"])
        with suppress(Exception):  # where no TOML can say it
            text = tomli_w.dumps(_without_none(document))
    path = folder / "recipe.toml"
    path.write_bytes(edited_text(text, given["letters"]).encode("utf-8", "surrogatepass"))
    recipe = Recipe.read(path, changes=given["changes"])
    if Recipe.read(path, changes=given["changes"]) != recipe:
        raise Fault("a recipe differs from itself")
    recipe.as_toml()


def _without_none(value):
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    return [_without_none(one) for one in value if one is not None] if isinstance(value, list) else value


_DOCUMENTS = {"entries": document_edits(), "letters": mostly(st.just([]), text_edits(2), times=2)}
_LINES = st.sampled_from(
    [
        *("pretrain.epochs = 3", "finetune.loss=soft", "finetune.epochs=1e400", "pretrain = 3", "finetune.epochs=1_5"),
        *("finetune.label_width=nan", "finetune.dropout=-inf", "a.b.c.d=1", "=", "[x]", "finetune.epochs=" + "9" * 400),
        *("finetune.augment.crop.size=0", "encoder.width=1.5", "encoder.width=9999999", "encoder.kind=x", "name=\x00"),
        *(
            "finetune.batch_size=99999999999999999999",
            "pretrain.temperature=inf",
            "finetune.optimizer.name=[]",
            "x = 1",
        ),
        *("encoder.embedding_dim=-1", "encoder={}", "encoder.kind=[]", "pretrain.groups=0", "a." * 500 + "b=1"),
    ]
)

TARGETS = (
    Target("models.card", st.fixed_dictionaries(_DOCUMENTS), _read_card, (ModelError, FileNotFoundError), 2.0),
    Target(
        "models.load",
        st.fixed_dictionaries(
            {
                **_DOCUMENTS,
                "file": st.sampled_from([None, None, "encoder.onnx", "head.onnx", "analogues.npz", "reference.npz"]),
                "edits": byte_edits(2),
            }
        ),
        _load, (ModelError, FileNotFoundError), 0.1, _bundled,
    ),
    Target("models.lineage", st.fixed_dictionaries(_DOCUMENTS), _read_lineage, (ModelError,), 0.2),
    Target(
        "models.reference",
        st.fixed_dictionaries({"arrays": _ARRAY_EDITS, "edits": mostly(st.just([]), byte_edits(2), times=2)}),
        _read_reference, (ValueError, FileNotFoundError), 0.2,
    ),
    Target(
        "models.analogues",
        st.fixed_dictionaries({"arrays": _ARRAY_EDITS, "edits": mostly(st.just([]), byte_edits(2), times=2)}),
        _read_analogues, (ModelError, FileNotFoundError), 0.1,
    ),
    Target(
        "recipes",
        st.fixed_dictionaries(
            {
                "base": st.sampled_from(["smoke", "small", "gentle"]),
                **_DOCUMENTS,
                "changes": st.lists(_LINES | st.text(max_size=8), max_size=2),
            }
        ),
        _read_recipe, (ValueError, TypeError, FileNotFoundError), 0.5, _prepare_recipes,
    ),
)  # fmt: skip
