# Licensed under a 3-clause BSD style license - see LICENSE
"""A page of similar galaxies: a click searches from a galaxy, filters choose, and nothing is asked of a network."""

import json
import re
from functools import partial

import numpy as np
import pytest
from astropy.table import Table

pytest.importorskip("matplotlib")

from astro_photz import CutoutFile, Cutouts, demo_path
from astro_photz.report import write_similar
from astro_photz.similarity import SimilarityIndex

MODEL = "sim-small-v1-pretrained"
WIDTHS = (390, 1280)
K = 4


def demo_index():
    """The demonstration set, with a catalogue."""
    cutouts = Cutouts.read(demo_path())
    redshift = CutoutFile(demo_path()).catalog()["redshift"]
    table = Table({"redshift": redshift})
    table["r_mag"] = np.linspace(14, 18, 24)
    table["r_mag"][5] = np.nan
    table["z_phot_flags"] = np.where(np.arange(24) % 3, 0, 256)
    return SimilarityIndex.build(cutouts, table=table, ids=np.arange(24), model=MODEL)


@pytest.fixture(scope="module")
def index():
    return demo_index()


@pytest.fixture(scope="module")
def page(index, tmp_path_factory):
    """Path of a page about two queries."""
    folder = tmp_path_factory.mktemp("similar")
    command = "astro-photz search " + "a-very-long-name/" * 30
    return write_similar(index, index.query([3, 8], k=K), folder / "page.html", source=demo_path(), command=command)


def content(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def names(path):
    cards = re.findall(r'<li id="galaxy-\d+">.*?<bdi>(.*?)</bdi>', path.read_text(encoding="utf-8"), re.DOTALL)
    return [int(name) for name in cards]


def test_queries_have_the_neighbours_of_the_answer(index, page):
    data, ids = content(page), names(page)
    answer = index.query([3, 8], k=K)
    assert [ids[place] for place in data["begin"]] == [3, 8]
    for number, query in enumerate(data["begin"]):
        part = answer[number * K : (number + 1) * K]
        assert [ids[place] for place, _ in data["near"][query]] == part["id"].tolist()
        np.testing.assert_allclose([distance for _, distance in data["near"][query]], part["distance"], rtol=1e-3)


def test_galaxies_of_the_answer_have_their_true_neighbours(index, page):
    data, ids = content(page), names(page)
    for one in index.query([3, 8], k=K)["id"]:
        if one in (3, 8):
            continue
        near = [ids[place] for place, _ in data["near"][ids.index(one)]]
        assert near[:K] == index.query(int(one), k=K)["id"].tolist()


def test_conditions_hold_for_further_galaxies(index, tmp_path):
    where = {"r_mag": (15, 17)}
    path = write_similar(
        index, index.query(8, k=2, where=where), tmp_path / "page.html", source=demo_path(), where=where
    )
    inside = [row for row in range(24) if 15 <= index.catalogue["r_mag"][row] <= 17]
    assert set(names(path)) <= {8, *inside}


@pytest.mark.parametrize("further", [0, 3])
def test_the_page_has_as_many_further_galaxies_as_one_likes(index, tmp_path, further):
    answer = index.query(8, k=2)
    path = write_similar(index, answer, tmp_path / "page.html", further=further)
    assert len(names(path)) == 3 + further


def test_a_stranger_has_its_image_and_no_place_on_the_map(index, tmp_path):
    strangers = Cutouts.read(demo_path())[[2, 4]]
    strangers.ids, strangers.coord = np.array([7001, 7002]), None
    answer = index.query(strangers, k=3, exclude_self=False)
    path = write_similar(index, answer, tmp_path / "page.html", source=demo_path(), queries=strangers)
    text = path.read_text(encoding="utf-8")
    assert "query 7001" in text
    assert text.count("<img") == text.count('<li id="galaxy-')
    assert 'id="point-0"' not in text
    assert 'id="point-2"' in text


@pytest.mark.parametrize("kind", ["outliers", "suggest"])
def test_a_list_begins_with_what_it_lists(index, tmp_path, kind):
    answer = index.outliers(5) if kind == "outliers" else index.suggest([1], [2], n=5)
    path = write_similar(index, answer, tmp_path / "page.html", source=Cutouts.read(demo_path()))
    data, ids = content(path), names(path)
    assert [ids[place] for place in data["begin"]] == answer["id"].tolist()
    assert data["listed"]


def test_without_images_or_positions_there_is_a_page_too(tmp_path):
    index = SimilarityIndex.build(np.random.default_rng(0).normal(size=(2, 4)))
    path = write_similar(index, index.query(rows=[0], k=1), tmp_path / "page.html")
    assert "no image" in path.read_text(encoding="utf-8")
    assert "<img" not in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no position is known"):
        write_similar(index, index.query(rows=[0], k=1), tmp_path / "other.html", source=SimpleSource())


class SimpleSource:
    """A source that is never asked."""

    name = "none"

    def batches(self, positions, *, size=64):
        raise AssertionError


def test_names_are_no_code_and_may_be_long(opened, tmp_path):
    ids = [f"</script><b>{'x' * 150} {row}" for row in range(5)]
    index = SimilarityIndex.build(np.random.default_rng(0).normal(size=(5, 4)), ids=ids)
    window = opened(write_similar(index, index.query(ids[0], k=3), tmp_path / "page.html").as_uri(), width=390)
    assert window.said == []
    assert window.evaluate("document.documentElement.scrollWidth") == 390
    assert window.locator("#chosen .name bdi").inner_text() == ids[0]


def test_what_cannot_be_a_page_is_an_error(index, page, tmp_path):
    answer = index.query(3, k=2)
    with pytest.raises(FileExistsError):
        write_similar(index, answer, page)
    with pytest.raises(ValueError, match="the answer is empty"):
        write_similar(index, answer[:0], tmp_path / "page.html")
    with pytest.raises(TypeError, match="answer must be"):
        write_similar(index, Table({"a": [1]}), tmp_path / "page.html")
    other = SimilarityIndex.build(np.random.default_rng(0).normal(size=(3, 4)), ids=["a", "b", "c"])
    with pytest.raises(KeyError, match="in the index"):
        write_similar(other, answer, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# ---- in a browser


@pytest.fixture
def shown(opened, page):
    """Shows the page."""
    return partial(opened, page.as_uri())


def cards(page):
    return [int(name) for name in page.locator("#found .name bdi").all_inner_texts()]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_silent_asks_for_nothing_and_fits(shown, page, width, scheme):
    window = shown(width, scheme)
    window.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for click in ("#found .pick", "#found .pick", "#back"):
        window.locator(click).first.click()
        assert window.evaluate("document.documentElement.scrollWidth") == width
    assert window.said == []
    assert {one.partition("#")[0] for one in window.asked if not one.startswith("data:")} == {page.as_uri()}
    parts = "document.querySelectorAll('main p, main svg, h1, dd, li, fieldset')"
    assert max(window.evaluate(f"[...{parts}].map((one) => one.getBoundingClientRect().right)")) <= width


def test_a_click_searches_from_a_galaxy_and_the_browser_goes_back(shown, index):
    window = shown()
    assert cards(window) == [3, 8]
    window.locator("#found .pick").nth(1).click()
    expected = index.query(8, k=K)
    assert cards(window) == expected["id"].tolist()
    assert window.locator("#chosen .name bdi").inner_text() == "8"
    distance = float(f"{expected['distance'][0]:.4g}")
    assert window.locator("#found .distance").first.inner_text() == f"distance {distance}"
    window.locator("#found .pick").first.click()
    assert window.locator("#chosen .name bdi").inner_text() == str(expected["id"][0])
    window.go_back()
    assert cards(window) == expected["id"].tolist()
    window.locator("#back").click()
    assert cards(window) == [3, 8]


def test_filters_choose_before_the_nearest_are_shown(shown, index):
    window = shown()
    window.locator("#found .pick").nth(0).click()
    window.locator("#found .pick").nth(0).click()
    first = cards(window)
    window.locator('[data-column="mag"] input').nth(1).fill("15.5")
    kept = cards(window)
    assert kept
    assert kept != first
    assert all(index.catalogue["r_mag"][one] <= 15.5 for one in kept)
    window.locator("#unflagged").check()
    assert all(index.catalogue["z_phot_flags"][one] == 0 for one in cards(window))
    assert "the filters leave out" in window.locator("#told").inner_text()
    window.locator("#clear").click()
    assert cards(window) == first
    window.locator("#more").click()
    assert len(cards(window)) > len(first)


def test_the_map_can_be_clicked_and_coloured(shown, page):
    window = shown()
    place = content(page)["begin"][0]
    window.locator(f"#point-{place}").dispatch_event("click")
    assert window.locator("#chosen .name bdi").inner_text() == "3"
    assert window.locator("circle.on").count() == 1
    assert window.locator("circle.near").count() == K
    fill = "(one) => getComputedStyle(one).fill"
    before = window.locator("circle").evaluate_all("(ones) => ones.map((one) => one.style.fill)")
    window.locator("#colour").select_option("r_mag")
    after = window.locator("circle").evaluate_all("(ones) => ones.map((one) => one.style.fill)")
    assert before != after
    assert window.locator("circle").first.evaluate(fill).startswith("rgb")


def test_every_image_is_there_and_the_rest_can_be_read_without_scripts(shown, page):
    window = shown()
    sizes = window.evaluate("[...document.images].map((one) => one.naturalWidth)")
    assert len(sizes) == len(names(page))
    assert set(sizes) == {64}
    plain = shown(java_script_enabled=False)
    assert plain.locator("#store li").count() == len(names(page))
    assert plain.locator("#store img").first.is_visible()
