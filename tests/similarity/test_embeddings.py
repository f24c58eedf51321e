# Licensed under a 3-clause BSD style license - see LICENSE
"""Embeddings in files are those in memory, whatever the form of the file, and however often the work was stopped."""

import numpy as np
import pytest
from astropy.table import Table

import astro_photz
from astro_photz.flags import MISSING, PhotozFlag
from astro_photz.inference.embedding_files import embed_to_file
from astro_photz.models import ModelError, load_model
from astro_photz.similarity import SimilarityIndex, read_embeddings
from astro_photz.similarity.embeddings import SUFFIXES, fields, write_embeddings
from astro_photz.testing.factories import gaussian_cutouts

PRETRAINED = "sim-small-v1-pretrained"
FORMS = pytest.mark.parametrize("suffix", SUFFIXES)


def read_all(path):
    return np.concatenate(list(read_embeddings(path).blocks()))


def cutouts_in(folder, n=9):
    cutouts = gaussian_cutouts(n)
    cutouts.ids = np.array([f"galaxy {i}" for i in range(n)])
    cutouts.flux[2] = np.nan
    cutouts.write(folder / "stamps.h5")
    return cutouts


@FORMS
def test_a_file_holds_what_embed_gives(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    cutouts = cutouts_in(tmp_path)
    flags = embed_to_file(tmp_path / "stamps.h5", tmp_path / f"out{suffix}")
    found = read_embeddings(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(read_all(tmp_path / f"out{suffix}"), astro_photz.embed(cutouts, model=PRETRAINED))
    np.testing.assert_array_equal(found.ids, cutouts.ids)
    np.testing.assert_allclose(found.ra, cutouts.coord.ra.deg)
    np.testing.assert_array_equal(found.flags, flags)
    assert flags[2] & PhotozFlag.NO_IMAGE
    assert ((flags & MISSING) != 0).sum() == 1
    assert found.record["model"] == PRETRAINED
    assert found.record["encoder_sha256"] == load_model(PRETRAINED).card.files["encoder.onnx"]
    assert not list(tmp_path.glob("*.part*"))


def test_every_kind_of_galaxies_gives_the_same_file(tmp_path):
    cutouts = cutouts_in(tmp_path)
    table = Table({"name": cutouts.ids, "ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    embed_to_file(cutouts, tmp_path / "memory.npy")
    embed_to_file(table, tmp_path / "table.npy", source=tmp_path / "stamps.h5")
    np.testing.assert_array_equal(read_all(tmp_path / "memory.npy"), read_all(tmp_path / "table.npy"))


class Stopped(Exception):
    pass


def test_work_that_was_stopped_is_resumed(tmp_path, monkeypatch):
    """The second call embeds only the galaxies that the first has not."""
    cutouts = gaussian_cutouts(30)
    path, embedded = tmp_path / "out.npy", []
    model = load_model(PRETRAINED)
    monkeypatch.setattr("astro_photz.inference.engine.BATCH", 8)
    monkeypatch.setattr(astro_photz.conf, "inference_threads", 1)  # one part after the other
    embed = type(model).embed

    def stops(self, part):
        if len(embedded) == 16:
            raise Stopped
        embedded.extend(part.ids)
        return embed(self, part)

    monkeypatch.setattr(type(model), "embed", stops)
    with pytest.raises(Stopped):
        embed_to_file(cutouts, path)
    assert not path.exists()
    other = gaussian_cutouts(29)
    with pytest.raises(FileExistsError, match="other settings"):
        embed_to_file(other, path)
    embedded.append("resumed")
    embed_to_file(cutouts, path)
    assert embedded == [*range(16), "resumed", *range(16, 30)]
    monkeypatch.undo()
    np.testing.assert_array_equal(read_all(path), astro_photz.embed(cutouts, model=PRETRAINED))
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_no_galaxies_give_an_empty_file(tmp_path):
    embed_to_file(gaussian_cutouts(3)[:0], tmp_path / "none.h5")
    assert read_embeddings(tmp_path / "none.h5").shape == (0, 512)


def test_wrong_outputs_are_told(tmp_path):
    cutouts = gaussian_cutouts(2)
    with pytest.raises(ValueError, match=r"must end in one of \.npy"):
        embed_to_file(cutouts, tmp_path / "out.txt")
    with pytest.raises(FileNotFoundError, match="no folder"):
        embed_to_file(cutouts, tmp_path / "there" / "out.npy")
    (tmp_path / "out.npy").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite"):
        embed_to_file(cutouts, tmp_path / "out.npy")


@FORMS
def test_a_broken_file_is_told(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="holds no embeddings"):
        read_embeddings(path)


@FORMS
@pytest.mark.parametrize("ids", [np.arange(5), np.array(["a", "bb", "ccc", "d", "é"])])
def test_identifiers_come_back(tmp_path, suffix, ids):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rows = np.zeros(5, dtype=fields(3, ids))
    rows["id"], rows["embedding"] = ids, np.arange(15).reshape(5, 3)
    write_embeddings(tmp_path / f"out{suffix}", rows, {"model": "mine"})
    found = read_embeddings(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(read_all(tmp_path / f"out{suffix}"), rows["embedding"])
    assert found.record == {"model": "mine"}


def test_an_index_of_a_file_knows_its_galaxies(tmp_path):
    cutouts = cutouts_in(tmp_path)
    embed_to_file(cutouts, tmp_path / "out.npy")
    shuffled = Table({"objid": cutouts.ids, "r_mag": np.arange(9.0)})[np.random.default_rng(0).permutation(9)]
    shuffled["ra"], shuffled["dec"] = 10.0, 0.0
    index = SimilarityIndex.build(read_embeddings(tmp_path / "out.npy"), table=shuffled)
    np.testing.assert_array_equal(index.ids, cutouts.ids)
    np.testing.assert_array_equal(index.catalogue["r_mag"], np.arange(9.0))  # matched by id, not by row
    assert index.model["name"] == PRETRAINED
    assert len(index.query("galaxy 3", k=7, where=int(PhotozFlag.NO_IMAGE))) == 7
    with pytest.raises(ValueError, match="table lacks 1 of the 9 galaxies"):
        SimilarityIndex.build(read_embeddings(tmp_path / "out.npy"), table=shuffled[shuffled["objid"] != "galaxy 5"])


def test_files_of_different_models_do_not_mix(tmp_path):
    cutouts = gaussian_cutouts(4)
    embed_to_file(cutouts, tmp_path / "one.npy")
    embed_to_file(cutouts, tmp_path / "other.npy", model="sim-small-v1")
    one, other = (read_embeddings(tmp_path / name) for name in ("one.npy", "other.npy"))
    index = SimilarityIndex.build(one)
    assert len(index.query(one, k=2)) == 8
    with pytest.raises(ModelError, match="do not compare"):
        index.query(other, k=2)
    with pytest.raises(ModelError, match="not by the one given"):
        index.add(other)
    with pytest.raises(ModelError, match="not by the one given"):
        SimilarityIndex.build(other, model=PRETRAINED)
