# Licensed under a 3-clause BSD style license - see LICENSE
"""A page as a browser shows it: in silence, without a request, on a telephone and on a desk, by day and by night."""

import os
import re
import shutil

import pytest

pytest.importorskip("matplotlib")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, to drive a browser")

from pages import estimated_table

from astro_photz import Cutouts, demo_path
from astro_photz.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def browser():
    """Chromium: that of CHROMIUM, of the system, or playwright's own."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        try:
            # a sandbox of its own is refused to the superuser, as in a container
            found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"needs Chromium ({path or 'none found'}): {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Address of a page with everything on it."""
    table = estimated_table(24, pdf=True, spread=2)
    table["objid"] = [f"{'x' * 200} {row}" for row in range(24)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    command = "astro-photz report " + "a-very-long-name/" * 30
    return write_report(table, path, redshift="z_spec", source=Cutouts.read(demo_path()), command=command).as_uri()


@pytest.fixture
def shown(browser, address):
    """Shows the page, and collects what it says and asks for."""
    contexts = []

    def show(width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield show
    for context in contexts:
        context.close()


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
