# Licensed under a 3-clause BSD style license - see LICENSE
"""The commands embed, index and search do what the library does."""

import numpy as np
import pytest
from astropy.table import Table

import astro_photz
from astro_photz.cli import main
from astro_photz.cli._search import _formatted
from astro_photz.similarity import SimilarityIndex
from astro_photz.testing.factories import gaussian_cutouts


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with stamps, a table of the same galaxies, and an index of the first eight."""
    monkeypatch.chdir(tmp_path)
    cutouts = gaussian_cutouts(12)
    cutouts.write("stamps.h5")
    table = Table({"objid": 100 + np.arange(12), "ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    table["r_mag"] = np.linspace(14, 18, 12)
    table.write("galaxies.csv")
    embeddings = astro_photz.embed(cutouts[:8], model="sim-small-v1-pretrained")
    SimilarityIndex.build(embeddings, table=table[:8], model="sim-small-v1-pretrained", path="index")
    return tmp_path


def test_from_a_table_to_neighbours(capsys):
    assert main(["embed", "galaxies.csv", "all.h5", "--source", "stamps.h5", "--quiet"]) == 0
    assert main(["index", "all.h5", "all.index", "--table", "galaxies.csv"]) == 0
    assert "12 galaxies" in capsys.readouterr().err
    assert main(["search", "all.index", "--like", "103", "--k", "4", "--output", "similar.ecsv"]) == 0
    found = Table.read("similar.ecsv")
    expected = SimilarityIndex.load("all.index").query(103, k=4)
    np.testing.assert_array_equal(found["id"], expected["id"])
    np.testing.assert_allclose(found["r_mag"], expected["r_mag"])


def test_a_search_is_printed(capsys):
    assert main(["search", "index", "--like", "103", "--k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["query", "rank", "distance", "similarity", "id"]
    assert [line.split()[:2] for line in lines[-2:]] == [["103", "1"], ["103", "2"]]


@pytest.mark.parametrize(
    ("like", "queries"),
    [
        (["104"], 1),
        (["104", "101"], 2),
        (["150.05 2.0"], 1),
        (["150.05,2.0"], 1),
        (["10:00:12 +02:00:00"], 1),
        (["10h00m12s +02d00m00s"], 1),
        (["stamps.h5"], 12),
        (["galaxies.csv"], 12),
        (["104", "150.05 2.0"], 2),
    ],
)
def test_every_form_of_a_query(like, queries):
    options = [part for text in like for part in ("--like", text)]
    assert main(["search", "index", *options, "--k", "3", "--source", "stamps.h5", "--output", "out.ecsv"]) == 0
    assert len(Table.read("out.ecsv")) == 3 * queries


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (["r_mag=15:16"], {103, 104, 105}),
        (["r_mag=:14.5"], {101}),
        (["id=104"], {104}),
        (["cone=150.05 2.0 1.5arcmin"], {102, 103, 104}),
        (["cone=150.05,2.0,0.025"], {102, 103, 104}),
        (["r_mag=15:16", "id=:103"], {103}),
    ],
)
@pytest.mark.filterwarnings("ignore:there are only")
def test_every_condition(where, ids):
    options = [part for text in where for part in ("--where", text)]
    assert main(["search", "index", "--like", "100", "--k", "8", *options, "--output", "out.ecsv"]) == 0
    assert set(Table.read("out.ecsv")["id"]) - {100} == ids


def test_numbers_are_printed_with_the_digits_that_mean_something(capsys):
    assert main(["search", "index", "--like", "103", "--k", "2"]) == 0
    numbers = [word for line in capsys.readouterr().out.splitlines()[-2:] for word in line.split()]
    assert max(map(len, numbers)) <= 10
    table = Table({"julian": [2451545.123456], "huge": [1e30], "third": np.array([1 / 3], dtype=np.float32)})
    _formatted(table)
    assert table.pformat(show_name=False)[-1].split() == ["2451545.12346", "1e+30", "0.333333"]


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        ("outliers index --n 3 --k 2", lambda index: index.outliers(3, k=2)),
        (
            "suggest index --interesting 100,101 --not-interesting good.txt --n 3",
            lambda index: index.suggest([100, 101], [105, 106], 3),
        ),
        ("outliers index --n 2 --where r_mag=15:16", lambda index: index.outliers(2, where={"r_mag": (15, 16)})),
    ],
)
def test_lists_are_those_of_the_library(folder, command, listed, capsys):
    (folder / "good.txt").write_text("105\n 106 \n\n")
    assert main([*command.split(), "--output", "list.ecsv"]) == 0
    found, expected = Table.read("list.ecsv"), listed(SimilarityIndex.load("index"))
    assert found.colnames == expected.colnames
    np.testing.assert_array_equal(found["id"], expected["id"])
    capsys.readouterr()
    assert main(command.split()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 + len(expected)


@pytest.mark.parametrize(
    "command",
    [
        "search index --like 100 --like 150.05,2.0 --k 3",
        "search index --like stamps.h5 --k 2",
        "outliers index --n 4",
        "suggest index --interesting 100 --not-interesting 101 --n 4",
    ],
)
@pytest.mark.filterwarnings("ignore:there are only")
def test_answers_are_shown(command, folder, capsys):
    pytest.importorskip("matplotlib")
    options = ["--source", "stamps.h5", "--picture", "seen.png", "--page", "seen.html", "--output", "seen.ecsv"]
    assert main(command.split() + options) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert [name in said.err for name in ("seen.ecsv", "seen.png", "seen.html")] == [True] * 3
    assert (folder / "seen.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "seen.html").read_text(encoding="utf-8")
    assert page.count("<img") >= 4
    assert "no image" not in page
    assert f"astro-photz {command}" in page
    assert main([*command.split(), *options]) == 1
    assert main([*command.split(), *options, "--overwrite"]) == 0


def test_a_page_needs_no_images(folder):
    pytest.importorskip("matplotlib")
    assert main(["outliers", "index", "--n", "3", "--source", "none", "--page", "seen.html"]) == 0
    assert "This page has no images" in (folder / "seen.html").read_text(encoding="utf-8")


def test_embeddings_become_a_hats_catalogue_too(folder, capsys):
    pytest.importorskip("pyarrow")
    assert main(["embed", "stamps.h5", "all.npy", "--hats", "sky", "--quiet"]) == 0
    assert "sky: 12 galaxies" in capsys.readouterr().err
    assert (folder / "sky" / "hats.properties").exists()
    assert main(["embed", "stamps.h5", "again.npy", "--hats", "sky", "--quiet"]) == 1
    assert not (folder / "again.npy").exists()


def test_galaxies_are_added():
    for rows, name in ((slice(8), "some"), (slice(8, None), "more")):
        Table.read("galaxies.csv")[rows].write(f"{name}.csv")
        main(["embed", f"{name}.csv", f"{name}.npy", "--source", "stamps.h5", "--quiet"])
    assert main(["index", "some.npy", "new", "--table", "some.csv"]) == 0
    assert main(["index", "more.npy", "new", "--table", "more.csv", "--add"]) == 0
    assert SimilarityIndex.load("new").ids.tolist() == list(range(100, 112))
    assert main(["index", "more.npy", "new", "--add"]) == 1  # without the columns of the index


def test_galaxies_without_an_image_have_an_exit_code():
    Table({"ra": [210.0], "dec": [10.0]}).write("elsewhere.csv")
    assert main(["embed", "elsewhere.csv", "none.h5", "--source", "stamps.h5"]) == 3


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("search index --like 99", "no galaxy 99 in the index"),
        ("search nowhere --like 99", "nowhere is no index"),
        ("search index --like 100 --where rmag=1:2", "did you mean 'r_mag'"),
        ("search index --like 100 --where r_mag", "is no condition"),
        ("search index --like 100 --where r_mag=a:b", "'a' is no number"),
        ("search index --like 100 --where cone=1", "write 'RA DEC RADIUS'"),
        ("search index --like 100 --where without=CROWD", "did you mean 'CROWDED'"),
        ("search index --like 100 --where r_mag=90:91", "excludes all"),
        ("search index --like 100 --k 0", "--k must be at least 1"),
        ("search index --like galaxies.csv --source nowhere", "neither 'sdss'"),
        ("outliers index --n 0", "--n must be at least 1"),
        ("outliers nowhere", "nowhere is no index"),
        ("outliers index --where r_mag=90:91", "excludes all"),
        ("outliers index --source none --picture odd.png", "--picture needs images"),
        ("outliers index --source stamps.h5 --picture odd.txt", "ends in .png"),
        ("suggest index --interesting 100 --not-interesting 99", "no galaxy 99 in the index"),
        ("suggest index --interesting 100 --not-interesting 100", "cannot be both"),
        ("suggest index --interesting , --not-interesting 100", "must name a galaxy"),
        ("search index --like 100 --page galaxies.csv --source none", "galaxies.csv exists"),
        ("embed galaxies.csv out.txt --source stamps.h5", "must end in one of"),
        ("embed nowhere.csv out.h5 --source stamps.h5", "no file nowhere.csv"),
        ("index galaxies.csv new", "holds no embeddings"),
        ("index nowhere.h5 new", "no file nowhere.h5"),
    ],
)
def test_an_error_is_one_line(command, said, capsys):
    assert main(command.split()) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert said in error[0]


def test_an_index_is_replaced_only_if_that_is_said(capsys):
    main(["embed", "stamps.h5", "all.npy", "--quiet"])
    assert main(["index", "all.npy", "index"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["index", "all.npy", "index", "--overwrite"]) == 0
    assert len(SimilarityIndex.load("index")) == 12


def test_queries_are_numbered_on():
    table = Table.read("galaxies.csv")
    likes = [f"{row['ra']} {row['dec']}" for row in table[:3]]
    for texts, queries in ((likes, {0, 1, 2}), (["104", likes[0]], {104, 0})):
        options = [part for text in texts for part in ("--like", text)]
        assert main(["search", "index", *options, "--k", "2", "--output", "out.ecsv", "--overwrite"]) == 0
        assert set(Table.read("out.ecsv")["query"]) == queries


def test_a_column_names_the_galaxies():
    table = Table.read("galaxies.csv")
    table["host"] = [f"SN{i}" for i in range(12)]
    table.write("hosts.csv")
    main(["embed", "hosts.csv", "hosts.h5", "--source", "stamps.h5", "--quiet"])
    assert main(["index", "hosts.h5", "hosts", "--table", "hosts.csv", "--ids", "host"]) == 0
    assert main(["search", "hosts", "--like", "SN3", "--k", "2", "--output", "out.ecsv"]) == 0
    assert set(Table.read("out.ecsv")["query"]) == {"SN3"}
