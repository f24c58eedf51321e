# Licensed under a 3-clause BSD style license - see LICENSE
"""A search finds what a direct comparison of all vectors finds, among the galaxies that are asked for and no others."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from galaxies_to_search import DIM, N, catalogue, embeddings

import astro_photz
from astro_photz.flags import PhotozFlag
from astro_photz.models import ModelError
from astro_photz.similarity import SearchSpace, SimilarityIndex
from astro_photz.testing.factories import gaussian_cutouts

PRETRAINED = "sim-small-v1-pretrained"


def brute_force(index, query, k, keep):
    """Ids of the k nearest by differences in double precision, one by one."""
    difference = np.asarray(index.vectors, dtype=float) - np.asarray(query, dtype=float)
    distance = np.where(keep, np.sqrt((difference**2).sum(axis=1)), np.inf)
    order = np.argsort(distance, kind="stable")[:k]
    return index.ids[order], distance[order]


def check_exact(index, answer, rows, k, keep=True):
    for row in rows:
        own = answer[answer["query"] == index.ids[row]]
        ids, distance = brute_force(index, index.vectors[row], k, keep & (np.arange(len(index)) != row))
        np.testing.assert_array_equal(own["id"], ids)
        np.testing.assert_allclose(own["distance"], distance, rtol=1e-6)
        np.testing.assert_array_equal(own["rank"], 1 + np.arange(len(ids)))


@pytest.mark.parametrize("space", [None, "fitted"])
def test_the_search_is_that_of_brute_force(space):
    first = embeddings()
    if space:
        space = SearchSpace.fit(first, first + embeddings(seed=3) * 0.1, n_components=8)
    index = SimilarityIndex.build(first, table=catalogue(), space=space)
    rows = np.arange(0, N, 97)
    check_exact(index, index.query(rows=rows, k=7), rows, 7)


def test_blocks_and_batches_do_not_matter(monkeypatch):
    index = SimilarityIndex.build(embeddings())
    whole = index.query(rows=np.arange(50), k=5)
    monkeypatch.setattr("astro_photz.similarity._exact._BLOCK_BYTES", 4 * DIM * 101)
    monkeypatch.setattr("astro_photz.similarity._exact._QUERIES", 7)
    in_parts = index.query(rows=np.arange(50), k=5)
    np.testing.assert_array_equal(whole["id"], in_parts["id"])
    np.testing.assert_array_equal(whole["distance"], in_parts["distance"])


def test_equal_vectors_are_found_in_the_order_of_their_rows():
    index = SimilarityIndex.build(np.repeat(embeddings(3), 4, axis=0))
    assert index.query(5, k=3)["id"].tolist() == [4, 6, 7]
    assert index.query(5, k=1, exclude_self=False)["distance"].tolist() == [0]


def test_cosine_is_the_space_without_a_model():
    data = embeddings(50)
    index = SimilarityIndex.build(data * np.linspace(0.1, 1e4, 50, dtype=np.float32)[:, None])
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    answer = index.query(data[:1], k=50)
    expected = np.sqrt(np.maximum(0, 2 - 2 * unit @ unit[0]))
    np.testing.assert_allclose(answer["distance"], np.sort(expected), atol=2e-3)


def test_every_form_of_a_query_finds_the_same():
    data, table = embeddings(), catalogue()
    index = SimilarityIndex.build(data, table=table)
    ids = index.query(table["objid"][5], k=4)["id"]
    coord = SkyCoord(table["ra"][5] * u.deg, table["dec"][5] * u.deg)
    forms = [str(table["objid"][5]), [table["objid"][5]], coord, table[5:6], QTable(table[5:6])]
    for form in forms:
        np.testing.assert_array_equal(index.query(form, k=4)["id"], ids)
    np.testing.assert_array_equal(index.query(rows=5, k=4)["id"], ids)
    for vector in (data[5], data[5:6], data[5].tolist()):
        np.testing.assert_array_equal(index.query(vector, k=5)["id"][1:], ids)


def test_similarity_is_the_fraction_of_pairs_that_are_farther():
    index = SimilarityIndex.build(embeddings())
    answer = index.query(rows=np.arange(40), k=N - 1)
    vectors = index.vectors.astype(float)
    farther = []
    for distance in answer["distance"][:: N - 1]:
        other = np.linalg.norm(vectors[::3, None] - vectors[None, 1::3], axis=2)
        farther.append((other > distance).mean())
        break
    assert answer["similarity"][0] == pytest.approx(farther[0], abs=0.01)
    assert np.mean(answer["similarity"]) == pytest.approx(0.5, abs=0.05)
    assert ((answer["similarity"] >= 0) & (answer["similarity"] <= 1)).all()


def test_columns_come_with_the_neighbours():
    table = catalogue()
    index = SimilarityIndex.build(embeddings(), table=table)
    answer = index.query(rows=7, k=5)
    rows = np.searchsorted(index.ids, answer["id"])
    assert answer.colnames[:7] == ["query", "rank", "distance", "similarity", "id", "ra", "dec"]
    np.testing.assert_array_equal(answer["type"], table["type"][rows])
    np.testing.assert_allclose(answer["ra"].to_value("deg"), table["ra"][rows])
    assert (SkyCoord(answer["ra"], answer["dec"]).ra.deg == answer["ra"].value).all()
    np.testing.assert_array_equal(np.ma.getmaskarray(answer["r_mag"]), table["r_mag"].mask[rows])


def test_where_comes_before_the_search():
    """A condition that three in 1,500 meet finds these three, however far they are."""
    table = catalogue()
    index = SimilarityIndex.build(embeddings(), table=table)
    mask = np.zeros(N, dtype=bool)
    mask[[10, 500, 1400]] = True
    assert set(index.query(rows=0, k=3, where=mask)["id"]) == set(index.ids[mask])


CENTRE = SkyCoord(151, 0, unit="deg")


def conditions(table):
    r = np.ma.filled(table["r_mag"].data, np.nan)
    coord = SkyCoord(table["ra"], table["dec"])
    flags = np.asarray(table["z_phot_flags"])
    return {
        "range": ({"r_mag": (15, 15.2)}, (r >= 15) & (r <= 15.2)),
        "quantities": ({"r_mag": (15 * u.mag, None)}, r >= 15),
        "open": ({"r_mag": (None, 14.5), "type": "spiral"}, (r <= 14.5) & (table["type"] == "spiral")),
        "several": ({"type": ["spiral", "ring"]}, table["type"] == "spiral"),
        "cone": ((CENTRE, 6 * u.arcmin), coord.separation(CENTRE) <= 6 * u.arcmin),
        "galactic cone": ((CENTRE.galactic, 0.1 * u.deg), coord.separation(CENTRE) <= 0.1 * u.deg),
        "flags": (PhotozFlag.CROWDED, (flags & PhotozFlag.CROWDED) == 0),
        "all of these": (
            [(CENTRE, 0.5 * u.deg), {"r_mag": (15, 17)}, table["type"] == "spiral", int(PhotozFlag.CROWDED)],
            (coord.separation(CENTRE) <= 0.5 * u.deg)
            & (r >= 15)
            & (r <= 17)
            & (table["type"] == "spiral")
            & ((flags & PhotozFlag.CROWDED) == 0),
        ),
    }


@pytest.mark.parametrize("name", list(conditions(catalogue(2))))
def test_where_selects_exactly(name):
    table = catalogue()
    where, keep = conditions(table)[name]
    index = SimilarityIndex.build(embeddings(), table=table)
    rows = np.array([3, 40])
    check_exact(index, index.query(rows=rows, k=5, where=where), rows, 5, np.asarray(keep))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"rmag": (15, 17)}, "did you mean 'r_mag'"),
        ({"r_mag": (15, 16, 17)}, "lowest, highest"),
        ({"type": (1, 2)}, "does not suit the column 'type'"),
        ({"r_mag": ("a", None)}, "does not suit the column 'r_mag'"),
        ((CENTRE, 3), "must be an angle"),
        ((SkyCoord([1, 2], [3, 4], unit="deg"), 1 * u.deg), "one position"),
        (np.ones(4, dtype=bool), "for each of the"),
        ("r_mag", "a cone"),
        ({"r_mag": (40, 50)}, "excludes all"),
    ],
)
def test_a_wrong_condition_is_told(where, said):
    index = SimilarityIndex.build(embeddings(100), table=catalogue(100))
    with pytest.raises((ValueError, TypeError), match=said):
        index.query(rows=0, where=where)


def test_a_cone_needs_positions():
    with pytest.raises(ValueError, match="no positions"):
        SimilarityIndex.build(embeddings(100)).query(rows=0, where=(CENTRE, 1 * u.deg))
    with pytest.raises(ValueError, match="no column of flags"):
        SimilarityIndex.build(embeddings(100)).query(rows=0, where=4)


def test_a_radius_limits_distances():
    index = SimilarityIndex.build(embeddings())
    keep = np.arange(N) != 12
    difference = index.vectors.astype(float) - index.vectors[12].astype(float)
    distance = np.sqrt((difference**2).sum(axis=1))
    radius = float(np.sort(distance)[40]) * (1 + 1e-6)
    assert set(index.query(rows=12, k=None, radius=radius)["id"]) == set(np.flatnonzero(keep & (distance <= radius)))
    assert len(index.query(rows=12, k=5, radius=radius)) == 5
    assert len(index.query(rows=12, k=50, radius=radius)) == 40
    assert not len(index.query(rows=12, k=None, radius=0))


def test_mutual_neighbours_have_each_other():
    index = SimilarityIndex.build(embeddings())
    k, mutual = 5, index.query(rows=np.arange(100), k=5, mutual=True)
    assert 0 < len(mutual) < 500
    all_of_them = index.query(rows=np.arange(N), k=k)
    pairs = set(zip(all_of_them["query"], all_of_them["id"], strict=True))
    expected = {(a, b) for a, b in pairs if a < 100 and (b, a) in pairs}
    assert set(zip(mutual["query"], mutual["id"], strict=True)) == expected


def test_galaxies_without_a_vector_are_never_found():
    data = embeddings(40)
    data[3], data[4], data[5, 2] = 0, np.nan, np.inf
    index = SimilarityIndex.build(data)
    assert len(index) == 40
    assert not {3, 4, 5} & set(index.query(rows=np.arange(3), k=36)["id"])
    with pytest.warns(AstropyUserWarning, match=r"without an answer \(4\)"):
        assert set(index.query([0, 4], k=3)["query"]) == {0}
    with pytest.raises(ValueError, match=r"no query can be searched for \(3\)"):
        index.query(3)


def test_fewer_galaxies_than_neighbours_are_told():
    index = SimilarityIndex.build(embeddings(5))
    with pytest.warns(AstropyUserWarning, match="only 4 galaxies"):
        assert len(index.query(rows=0, k=10)) == 4


def test_an_empty_index_is_told():
    for data in (np.zeros((0, 8)), iter([])):
        index = SimilarityIndex.build(data)
        assert len(index) == 0
        with pytest.raises(ValueError, match="empty"):
            index.query(rows=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ids": [1, 2, 2, 3, 4]}, "ids must differ: 1 are there already or unknown, such as 2"),
        ({"ids": ["a", "b"]}, "ids must have the shape"),
        ({"table": catalogue(4)}, "a row for each of the 5"),
    ],
)
def test_what_does_not_fit_is_told(arguments, said):
    with pytest.raises(ValueError, match=said):
        SimilarityIndex.build(embeddings(5), **arguments)


def test_numbers_too_large_for_the_index_are_told():
    space = SearchSpace(np.zeros(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="beyond 65504"):
        SimilarityIndex.build([[1e6, 0.0]], space=space)


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ({"what": 77}, KeyError, "no galaxy 77"),
        ({"what": ["x"]}, KeyError, "no galaxy x"),
        ({"rows": 50}, ValueError, "rows must lie between 0 and 19"),
        ({"rows": [1.5]}, TypeError, "whole numbers"),
        ({"what": np.ones(3)}, ValueError, r"shape \(N, 24\)"),
        ({"rows": 0, "k": 0}, ValueError, "k must be at least 1"),
        ({"rows": 0, "k": None}, ValueError, "k must be a number"),
        ({"rows": 0, "radius": -1}, ValueError, "radius must be"),
        ({"rows": 0, "radius": "a"}, ValueError, "radius must be"),
        ({}, TypeError, "give either"),
        ({"what": gaussian_cutouts(1)}, ValueError, "does not tell its model"),
    ],
)
def test_a_wrong_query_is_told(query, error, said):
    with pytest.raises(error, match=said):
        SimilarityIndex.build(embeddings(20)).query(**query)


def test_added_galaxies_are_found():
    index = SimilarityIndex.build(embeddings(100), table=catalogue(100))
    more, table = embeddings(20, seed=9), catalogue(20, seed=9)
    table["objid"] += 10**6
    index.add(more, table=table)
    whole = SimilarityIndex.build(np.concatenate([embeddings(100), more]))
    assert len(index) == 120
    rows = np.arange(0, 120, 7)
    np.testing.assert_array_equal(index.query(rows=rows, k=5)["distance"], whole.query(rows=rows, k=5)["distance"])
    with pytest.raises(ValueError, match="there already"):
        index.add(more, table=table)
    with pytest.raises(ValueError, match="columns of the index"):
        index.add(more)


def test_galaxies_without_ids_are_numbered_on():
    index = SimilarityIndex.build(embeddings(10))
    index.add(embeddings(5, seed=2))
    assert index.ids.tolist() == list(range(15))


def test_images_find_themselves():
    """A galaxy finds itself however it lies on its pixels; without exclude_self, it is the first."""
    cutouts = gaussian_cutouts(12)
    cutouts.flux[4] = np.nan
    index = SimilarityIndex.build(cutouts, model=PRETRAINED)
    turned = astro_photz.Cutouts(np.ascontiguousarray(np.rot90(cutouts.flux, axes=(2, 3))), ebv=cutouts.ebv)
    with pytest.warns(AstropyUserWarning, match=r"without an answer \(4\)"):
        answer = index.query(turned, k=1)
    np.testing.assert_array_equal(answer["id"], answer["query"])
    assert 4 not in answer["id"]
    with pytest.warns(AstropyUserWarning, match=r"without an answer"):
        answer = index.query(cutouts, k=1)  # of the same place, so that each leaves itself out
    assert (answer["id"] != answer["query"]).all()


def test_a_table_is_fetched_and_embedded(tmp_path):
    cutouts = gaussian_cutouts(12)
    cutouts.write(tmp_path / "stamps.h5")
    table = Table({"ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    index = SimilarityIndex.build(table[:8], source=tmp_path / "stamps.h5", model=PRETRAINED)
    answer = index.query(table[6:], k=3, source=tmp_path / "stamps.h5")
    direct = index.query(cutouts[8:], k=3)
    np.testing.assert_array_equal(answer["id"][6:], direct["id"])
    assert (answer["id"][:6] != np.repeat([6, 7], 3)).all()


def test_another_model_is_refused():
    cutouts = gaussian_cutouts(6)
    index = SimilarityIndex.build(cutouts, model=PRETRAINED)
    with pytest.raises(ModelError, match="do not compare"):
        index.query(cutouts, k=2, model="sim-small-v1")
    with pytest.raises(ModelError, match="not by the one given"):
        index.add(cutouts, model="sim-small-v1")


@pytest.mark.parametrize("offset", [5, 30])
def test_the_search_is_exact_far_from_zero(offset):
    """Vectors near each other and far from zero differ in digits that products in float32 do not keep."""
    rng = np.random.default_rng(0)
    data = (offset + 0.02 * rng.normal(size=(N, 64))).astype(np.float32)
    index = SimilarityIndex.build(data, space=SearchSpace(np.zeros(64, np.float32), np.eye(64, dtype=np.float32)))
    rows = np.arange(0, N, 97)
    check_exact(index, index.query(rows=rows, k=7), rows, 7)
    _, distance = brute_force(index, index.vectors[3], 30, np.arange(N) != 3)
    assert len(index.query(rows=3, k=None, radius=distance[-1] * (1 + 1e-6))) >= 30


def test_the_search_is_exact_in_tight_clusters():
    """Queries of several clusters at once have no common centre that suits."""
    rng = np.random.default_rng(0)
    centres = 10 * rng.normal(size=(2, 16))
    data = (centres[np.arange(N) % 2] + 0.01 * rng.normal(size=(N, 16))).astype(np.float32)
    index = SimilarityIndex.build(data, space=SearchSpace(np.zeros(16, np.float32), np.eye(16, dtype=np.float32)))
    rows = np.arange(20)
    check_exact(index, index.query(rows=rows, k=5), rows, 5)


def test_a_masked_value_of_a_mask_is_false():
    index = SimilarityIndex.build(embeddings(8))
    mask = np.ma.array([True] * 8, mask=[False] * 5 + [True] * 3)
    for where in (mask, [mask], Table({"m": mask})["m"]):
        assert set(index.query(rows=0, k=4, where=where)["id"]) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ([1, 2, 3], "rows are chosen by a mask"),
        ({"n": (1 * u.Mpc, None)}, "'n' has no unit"),
        ({"n": 5 * u.Mpc}, "'n' has no unit"),
        ({"r_mag": (1 * u.Mpc, None)}, "'r_mag' is in mag"),
    ],
)
def test_a_condition_that_does_not_suit_is_told(where, said):
    table = catalogue(10)
    table["n"] = np.arange(10)
    with pytest.raises((ValueError, TypeError), match=said):
        SimilarityIndex.build(embeddings(10), table=table).query(rows=0, where=where)


@pytest.mark.filterwarnings("ignore:there are only")
def test_more_neighbours_than_memory_holds_may_be_asked_for():
    assert len(SimilarityIndex.build(embeddings(9)).query(rows=0, k=10**9)) == 8
