# Licensed under a 3-clause BSD style license - see LICENSE
"""A galaxy stays the same in a file, a catalogue and an index: by its id, and else by its position."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable
from galaxies_to_search import catalogue, embeddings

from astro_photz.inference.embedding_files import embed_to_file
from astro_photz.similarity import SimilarityIndex, read_embeddings
from astro_photz.similarity.embeddings import fields, write_embeddings
from astro_photz.testing.factories import gaussian_cutouts

N = 30
SHUFFLED = np.random.default_rng(2).permutation(N)


def file_of(path, ids, table=None, seed=0):
    rows = np.zeros(N, dtype=fields(24, ids))
    rows["id"], rows["embedding"] = ids, embeddings(N, seed=seed)
    rows["ra"], rows["dec"] = (np.nan, np.nan) if table is None else (table["ra"], table["dec"])
    write_embeddings(path, rows, {})
    return read_embeddings(path)


def table_of(**columns):
    table = catalogue(N)
    table.remove_column("objid")
    for name, values in columns.items():
        table[name] = values
    return table


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("name", ["objid", "id", "source_id", "object_id", "SpecObjID", "name"])
def test_ids_that_count_from_zero_are_matched(tmp_path, name, placed):
    table = table_of(**{name: np.arange(N)})
    file = file_of(tmp_path / "out.npy", np.arange(N), table if placed else None)
    index = SimilarityIndex.build(file, table=table[SHUFFLED])
    np.testing.assert_array_equal(index.catalogue["dec"].value, table["dec"])
    np.testing.assert_array_equal(index.ids, np.arange(N))


def test_a_table_in_another_order_is_refused(tmp_path):
    table = table_of()
    file = file_of(tmp_path / "out.npy", np.arange(N), table)
    assert len(SimilarityIndex.build(file, table=table)) == N
    with pytest.raises(ValueError, match="rows in another order"):
        SimilarityIndex.build(file, table=table[SHUFFLED])
    other = table_of(objid=SHUFFLED)  # numbers of another kind than the places in the file
    index = SimilarityIndex.build(file, table=other)
    np.testing.assert_array_equal(index.ids, SHUFFLED)
    np.testing.assert_array_equal(index.catalogue["dec"].value, table["dec"])


def test_ids_name_a_column(tmp_path):
    table = table_of(objid=500 + np.arange(N), host=[f"SN {i}" for i in range(N)])
    index = SimilarityIndex.build(file_of(tmp_path / "out.npy", 500 + np.arange(N)), table=table[SHUFFLED], ids="host")
    assert index.query("SN 4", k=1, exclude_self=False)["objid"].tolist() == [504]
    with pytest.raises(ValueError, match="did you mean 'host'"):
        SimilarityIndex.build(embeddings(N), table=table, ids="hots")
    with pytest.raises(ValueError, match="give the table"):
        SimilarityIndex.build(embeddings(N), ids="host")


def test_a_column_id_is_never_lost():
    index = SimilarityIndex.build(embeddings(N), table=table_of(id=np.arange(N) // 2))
    answer = index.query(rows=3, k=5, where={"id_catalogue": (4, 9)})
    np.testing.assert_array_equal(answer["id_catalogue"], answer["id"] // 2)
    assert (
        "id_catalogue"
        not in SimilarityIndex.build(embeddings(N), table=table_of(id=7 + np.arange(N))).query(7).colnames
    )


def test_the_same_galaxies_are_not_added_twice():
    table = table_of(name=[f"SN {i}" for i in range(N)])
    index = SimilarityIndex.build(embeddings(N), table=table)
    with pytest.raises(ValueError, match="there already"):
        index.add(embeddings(N), table=table)


def test_the_same_galaxies_without_ids_are_not_added_twice(tmp_path):
    """Other galaxies at the same placeholder of a position are added."""
    table = table_of(ra=np.full(N, 10.0))
    index = SimilarityIndex.build(file_of(tmp_path / "one.npy", np.arange(N), table))
    with pytest.raises(ValueError, match="in the index already"):
        index.add(file_of(tmp_path / "one.npy", np.arange(N), table))
    index.add(file_of(tmp_path / "other.npy", np.arange(N), table, seed=5))
    np.testing.assert_array_equal(index.ids, np.arange(2 * N))


def test_many_galaxies_at_one_position_are_not_one(tmp_path):
    table = table_of(ra=np.full(N, 10.0), dec=np.zeros(N))
    index = SimilarityIndex.build(embeddings(N), table=table)
    assert len(index.query(rows=[0, 3], k=N - 1)) == 2 * (N - 1)


def test_texts_of_a_frame_are_kept():
    frame = pytest.importorskip("pandas").DataFrame({"type": ["spiral", None, "ring"] * 10, "r": np.arange(N)})
    index = SimilarityIndex.build(embeddings(N), table=frame)
    assert set(index.query(rows=0, k=5, where={"type": "ring"})["type"]) == {"ring"}
    assert index.catalogue["type"].mask[1::3].all()


def test_added_rows_take_the_units_of_the_index():
    index = SimilarityIndex.build(embeddings(N), table=QTable({"d": np.arange(N) * u.Mpc}))
    index.add(embeddings(N, seed=3), table=QTable({"d": np.arange(N) * u.kpc}))
    np.testing.assert_allclose(index.catalogue["d"].to_value(u.Mpc), [*range(N), *np.arange(N) / 1000])
    with pytest.raises(ValueError, match="convert it"):
        index.add(embeddings(N, seed=4), table=QTable({"d": np.arange(N) * u.mag}))


def test_an_equal_id_is_the_same_galaxy(tmp_path):
    """Of two galaxies an arcsecond apart, the one with the id is meant; and neither finds the other."""
    table = catalogue(N)
    table["ra"][5], table["dec"][5] = table["ra"][4] + 0.3 / 3600, table["dec"][4]
    index = SimilarityIndex.build(embeddings(N), table=table)
    one = table[4:5]
    one["ra"] += 0.25 / 3600
    for query in (one, table["objid"][4]):
        assert index.query(query, k=1, exclude_self=False)["id"].tolist() == [table["objid"][4]]
        assert not {table["objid"][4], table["objid"][5]} & set(index.query(query, k=N - 2)["id"])
    file = file_of(tmp_path / "out.npy", np.asarray(table["objid"]))
    answer = index.query(file, k=3)  # without positions
    assert (answer["id"] != answer["query"]).all()


def test_ids_in_any_form_are_found_or_told():
    index = SimilarityIndex.build(embeddings(4), ids=[-7, -1, 2, 2**62 + 1])
    for form in ("-7", -7, ["-7"]):
        assert index.query(form, k=1)["query"].tolist() == [-7]
    for wrong in ("abc", "²", "3", "1e3", str(2**70)):
        with pytest.raises(KeyError, match="no galaxy"):
            index.query(wrong)
    unsigned = SimilarityIndex.build(embeddings(2), ids=np.array([2**63 + 5, 2**63 + 6], dtype=np.uint64))
    assert unsigned.query(2**63 + 6, k=1)["query"].tolist() == [2**63 + 6]


def test_work_is_not_resumed_over_other_images(tmp_path, monkeypatch):
    """Neither over another file of the same name, nor over other cutouts of the same galaxies."""
    path, cutouts = tmp_path / "stamps.h5", gaussian_cutouts(4)

    def stopped(*_, **__):
        raise RuntimeError

    for data in (path, cutouts):
        cutouts.write(path, overwrite=True)
        with monkeypatch.context() as patch:
            patch.setattr("astro_photz.inference.embedding_files.write_embeddings", stopped)
            with pytest.raises(RuntimeError):
                embed_to_file(data, tmp_path / "out.npy")
        cutouts.flux *= 2
        cutouts.write(path, overwrite=True)
        with pytest.raises(FileExistsError, match="images"):
            embed_to_file(data, tmp_path / "out.npy")
        (tmp_path / "out.npy.part").unlink()


def test_work_without_a_row_starts_anew(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("astro_photz.inference.embedding_files._fill", stopped)
        with pytest.raises(RuntimeError):
            embed_to_file(gaussian_cutouts(4), tmp_path / "out.npy")
    assert len(embed_to_file(gaussian_cutouts(3), tmp_path / "out.npy")) == 3


def test_signed_and_unsigned_ids_stay_exact_together():
    first, more = 2**62 + 1, np.array([2**62 + 3], dtype=np.uint64)
    index = SimilarityIndex.build(embeddings(1), ids=[first])
    index.add(embeddings(1, seed=2), ids=more)
    assert index.ids.tolist() == [first, int(more[0])]
    with pytest.raises(ValueError, match="fit into 64 bits"):
        SimilarityIndex.build(embeddings(1), ids=[-1]).add(embeddings(1), ids=np.array([2**63], dtype=np.uint64))
