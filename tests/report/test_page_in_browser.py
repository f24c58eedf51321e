# Licensed under a 3-clause BSD style license - see LICENSE
"""A page as a browser shows it: in silence, without a request, on a telephone and on a desk, by day and by night."""

import re
from functools import partial

import pytest

pytest.importorskip("matplotlib")

from pages import estimated_table

from astro_photz import Cutouts, demo_path
from astro_photz.report import write_report

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Address of a page with everything on it."""
    table = estimated_table(24, pdf=True, spread=2)
    table["objid"] = [f"{'x' * 200} {row}" for row in range(24)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    command = "astro-photz report " + "a-very-long-name/" * 30
    return write_report(table, path, redshift="z_spec", source=Cutouts.read(demo_path()), command=command).as_uri()


@pytest.fixture
def shown(opened, address):
    """Shows the page."""
    return partial(opened, address)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_silent_and_asks_for_nothing(shown, address, width):
    page = shown(width)
    for head in page.locator("th[data-sort] button").all():
        head.click()
    assert page.said == []
    assert [one for one in page.asked if not one.startswith("data:")] == [address]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(shown, width, scheme):
    page = shown(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = (
        "[...document.querySelectorAll('main p, main figure, h1, dd, li')].map((e) => e.getBoundingClientRect().right)"
    )
    assert max(page.evaluate(beyond)) <= width


def lightness(page, part, name):
    """Sum of red, green and blue of a colour of a part of the page, 0 to 765."""
    found = page.locator(part).first.evaluate("(one, name) => getComputedStyle(one)[name]", name)
    return sum(map(int, re.findall(r"\d+", found)[:3]))


def test_dark_and_light_differ_and_can_be_read(shown):
    papers, inks = [], []
    for scheme in ("light", "dark"):
        page = shown(scheme=scheme)
        papers.append(lightness(page, "body", "backgroundColor"))
        inks.append(lightness(page, "body", "color"))
        graph = "(scheme) => getComputedStyle(document.querySelector('svg.on-' + scheme)).display"
        assert page.evaluate(graph, scheme) == "block"
        assert page.evaluate(graph, "dark" if scheme == "light" else "light") == "none"
        assert lightness(page, "figure svg.on-both", "fill") == inks[-1]
    assert papers[0] > 700 > 300 > inks[0]
    assert papers[1] < 100 < 600 < inks[1]


def test_every_image_is_there(shown):
    page = shown()
    sizes = page.evaluate("[...document.images].map((one) => one.naturalWidth)")
    assert len(sizes) >= 3
    assert set(sizes) == {64}


def test_a_table_is_sorted_by_a_click(shown):
    page = shown()
    table = page.locator("#rows table")
    head = table.locator("th", has_text="redshift").first
    for order in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        column = table.locator("tbody tr").evaluate_all(
            "(rows) => rows.map((one) => parseFloat(one.cells[2].innerText))"
        )
        assert column == sorted(column, reverse=order == "descending")


def test_it_can_be_read_without_scripts(shown):
    page = shown(java_script_enabled=False)
    assert page.locator("#rows table tbody tr").count() >= 3
