# Licensed under a 3-clause BSD style license - see LICENSE
"""The folder of an index is whole or no index, for readers and writers at the same time."""

import json
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from galaxies_to_search import catalogue, embeddings

from astro_photz.similarity import IndexFolderError, SimilarityIndex
from astro_photz.similarity._folder import new_generation, read_index


def saved(path, n=200):
    SimilarityIndex.build(embeddings(n), table=catalogue(n), path=path)
    return path


def same(one, other):
    np.testing.assert_array_equal(one.vectors, other.vectors)
    np.testing.assert_array_equal(one.ids, other.ids)
    assert one.catalogue.colnames == other.catalogue.colnames
    for name in one.catalogue.colnames:
        ours, theirs = one.catalogue[name], other.catalogue[name]
        assert ours.unit == theirs.unit
        np.testing.assert_array_equal(np.ma.getmaskarray(ours), np.ma.getmaskarray(theirs))
        np.testing.assert_array_equal(np.ma.getdata(ours), np.ma.getdata(theirs))
    answers = [index.query(rows=[1, 2], k=5) for index in (one, other)]
    assert (answers[0]["similarity"] == answers[1]["similarity"]).all()


def test_what_is_saved_comes_back(tmp_path):
    index = SimilarityIndex.build(embeddings(200), table=catalogue(200))
    index.save(tmp_path / "index")
    same(index, SimilarityIndex.load(tmp_path / "index"))


def test_a_stream_gives_the_same_index(tmp_path):
    blocks = iter(np.array_split(embeddings(200), 7))
    streamed = SimilarityIndex.build(blocks, table=catalogue(200), path=tmp_path / "index")
    same(SimilarityIndex.build(embeddings(200), table=catalogue(200)), streamed)
    assert isinstance(streamed.vectors, np.memmap)


def test_an_index_is_not_replaced_unasked(tmp_path):
    path = saved(tmp_path / "index")
    for write in (lambda **how: saved(path), lambda: SimilarityIndex.load(path).save(path)):
        with pytest.raises(FileExistsError, match="overwrite"):
            write()
    SimilarityIndex.build(embeddings(50), path=path, overwrite=True)
    assert len(SimilarityIndex.load(path)) == 50


def test_another_folder_is_never_replaced(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(FileExistsError, match="not the folder of an index"):
        SimilarityIndex.build(embeddings(5), path=tmp_path, overwrite=True)
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize("name", ["vectors.npy", "ids.npy", "column-0.npy", "space.npz", "pairs.npy"])
@pytest.mark.parametrize("damage", ["cut short", "missing", "zeros", "of another length"])
def test_a_damaged_index_is_told(tmp_path, name, damage):
    path = saved(tmp_path / "index")
    file = path / "generation-1" / name
    if damage == "missing":
        file.unlink()
    elif damage == "zeros":
        file.write_bytes(bytes(file.stat().st_size))
    elif damage == "of another length" and name in ("ids.npy", "column-0.npy"):
        array = np.load(file)
        file.write_bytes(file.read_bytes().replace(f"({len(array)},)".encode(), f"({len(array) - 1},)".encode()))
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(IndexFolderError, match="make the index again"):
        SimilarityIndex.load(path)


def test_another_document_is_told(tmp_path):
    path = saved(tmp_path / "index")
    document = json.loads((path / "index.json").read_text())
    (path / "index.json").write_text(json.dumps(document | {"form": 99}))
    with pytest.raises(IndexFolderError, match="update astro-photz"):
        SimilarityIndex.load(path)
    (path / "index.json").write_text("{")
    with pytest.raises(IndexFolderError, match="not JSON"):
        SimilarityIndex.load(path)
    (path / "index.json").unlink()
    with pytest.raises(FileNotFoundError, match="is no index"):
        SimilarityIndex.load(path)
    with pytest.raises(FileNotFoundError, match="is no index"):
        SimilarityIndex.load(tmp_path / "nowhere")


KILLED = """
import os, sys
import numpy as np
from astro_photz.similarity import SimilarityIndex

def blocks():
    yield np.ones((10, 4), dtype=np.float32)
    os.kill(os.getpid(), 9)

SimilarityIndex.build(blocks(), path=sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_process_that_is_killed_leaves_no_index_or_the_old_one(tmp_path, before):
    path = tmp_path / "index"
    if before:
        saved(path)
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), path], check=False)
    assert ended.returncode == -9
    if before:
        assert len(SimilarityIndex.load(path)) == 200
    else:
        with pytest.raises(FileNotFoundError, match="was stopped; make it again"):
            SimilarityIndex.load(path)
    SimilarityIndex.build(embeddings(50), path=path, overwrite=before)  # and is no obstacle
    assert len(SimilarityIndex.load(path)) == 50
    assert len(list(path.glob("generation-*"))) == 1


def test_an_error_leaves_nothing(tmp_path):
    path = saved(tmp_path / "index")
    with pytest.raises(ValueError, match="there already"):
        SimilarityIndex.load(path).add(embeddings(3), ids=[10**18, 1, 2], table=catalogue(3))
    assert [one.name for one in path.glob("generation-*")] == ["generation-1"]
    assert len(SimilarityIndex.load(path)) == 200


def test_one_writer_at_a_time(tmp_path):
    path = saved(tmp_path / "index")
    index = SimilarityIndex.load(path)
    with pytest.raises(BlockingIOError, match="another process is writing"), new_generation(path):
        index.add(embeddings(3), table=catalogue(3))


def test_a_reader_keeps_what_it_has_opened(tmp_path):
    path = saved(tmp_path / "index")
    reader, writer = SimilarityIndex.load(path), SimilarityIndex.load(path)
    before = reader.query(rows=np.arange(200), k=5)
    more = catalogue(30, seed=4)
    more["objid"] += 10**6
    writer.add(embeddings(30, seed=4), table=more)
    after = reader.query(rows=np.arange(200), k=5)
    np.testing.assert_array_equal(before["id"], after["id"])
    assert (len(reader), len(writer), len(SimilarityIndex.load(path))) == (200, 230, 230)


def test_readers_see_a_whole_index_while_another_adds(tmp_path):
    """Each of many opened indexes has as many vectors, ids and rows of the catalogue as one of the versions."""
    path = tmp_path / "index"
    SimilarityIndex.build(np.full((10, 3), 1.0), ids=np.arange(10), path=path)
    lengths = {10 * (n + 1) for n in range(13)}

    def read(_):
        index = SimilarityIndex.load(path)
        last = np.asarray(index.vectors[-1], dtype=float)
        assert len(index.vectors) == len(index.ids)
        assert index.ids[-1] == len(index) - 1
        assert np.linalg.norm(last) == pytest.approx(1, abs=1e-3)
        return len(index)

    with ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(read, n) for n in range(60)]
        writer = SimilarityIndex.load(path)
        for n in range(12):
            writer.add(np.full((10, 3), n + 2.0))
        assert {one.result() for one in reading} <= lengths
    assert len(SimilarityIndex.load(path)) == 130


def test_an_index_can_be_moved_and_read_alone(tmp_path):
    path = saved(tmp_path / "index")
    there = shutil.move(path, tmp_path / "elsewhere")
    for file in there.rglob("*"):
        file.chmod(0o555 if file.is_dir() else 0o444)
    assert len(SimilarityIndex.load(there)) == 200
    for file in there.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    contents, document = read_index(there)
    assert document.n == len(contents)


def test_a_relative_path_holds_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "index", 50)
    index = SimilarityIndex.load("index")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    more = catalogue(10, seed=4)
    more["objid"] += 10**6
    index.add(embeddings(10, seed=4), table=more)
    assert len(SimilarityIndex.load(tmp_path / "index")) == 60
    assert not list((tmp_path / "other").iterdir())


def test_a_failed_build_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="ids must have"):
        SimilarityIndex.build(embeddings(5), ids=[1, 2], path=tmp_path / "new" / "index")
    assert not list(tmp_path.iterdir())
