# Licensed under a 3-clause BSD style license - see LICENSE
"""A browser to show pages in."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    """Chromium: that of CHROMIUM, of the system, or playwright's own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, to drive a browser")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        try:
            # a sandbox of its own is refused to the superuser, as in a container
            found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"needs Chromium ({path or 'none found'}): {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Opens a page at an address, and collects what it says and asks for."""
    contexts = []

    def open_page(address, width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
