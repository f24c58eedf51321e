# Licensed under a 3-clause BSD style license - see LICENSE
"""
Look at built pages of HTML in a browser, on a telephone, a laptop and a wide screen.

``python -m tools.check_pages docs/_build/html`` opens every page below the folder in headless Chromium. Faults are a
picture that is not there, a page that is wider than the window, a text that is cut off at its edge, an error on the
console, and a file that a page asks for and does not get. Pages may ask nothing of another host: such requests are
refused, and counted. The exit code is 1 if there is a fault.

Chromium is that of ``--chromium``, of the environment variable ``CHROMIUM``, of the system, or playwright's own.
Without any, or without playwright (``pip install playwright``), nothing is checked, a line says so, and the exit code
is 0; with ``--required`` it is 2.
"""

import argparse
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (390, 1280, 1920)
"""Widths of windows (CSS pixels)."""
HEIGHT = 900
PATIENCE = 60_000
"""Longest time for a page (ms)."""
SHOWN = 5
"""Faults of a page that are printed."""
ELSEWHERE = re.compile(r"(https?|wss?):")
"""Begins the address of something that is not in the folder."""

BROKEN = """async () => {
  const images = [...document.images];
  for (const one of images) one.loading = 'eager';
  await Promise.all(images.map((one) => one.decode().catch(() => null)));
  return images.filter((one) => !one.naturalWidth).map((one) => one.getAttribute('src'));
}"""
COUNTED = "document.querySelectorAll('img, object[data], video').length"

# What sticks out: the innermost elements beyond the window's edge that no box with a scrollbar of its own holds.
STICKS_OUT = """() => {
  const root = document.documentElement, width = root.clientWidth, found = [];
  const scrolls = (one) => ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(one).overflowX);
  const beyond = (one) => { const box = one.getBoundingClientRect(); return box.width > 0 && box.right > width + 1; };
  if (root.scrollWidth <= width) return found;
  for (const one of document.body.querySelectorAll('*')) {
    if (!beyond(one) || [...one.children].some(beyond)) continue;
    let above = one.parentElement;
    while (above && above !== document.body && !scrolls(above)) above = above.parentElement;
    if (!above || above === document.body) found.push(describe(one));
  }
  return [`${root.scrollWidth} px wide` + (found.length ? `: ${found.slice(0, 3).join(', ')}` : '')];
  function describe(one) {
    const classes = typeof one.className === 'string' ? one.className.trim().split(/\\s+/).filter(Boolean) : [];
    return [one.tagName.toLowerCase(), ...classes.slice(0, 2)].join('.');
  }
}"""

# Text that is cut off: words beyond the edge of a box that hides what does not fit, and has no scrollbar.
CUT_OFF = r"""() => {
  const found = [];
  for (const one of document.querySelectorAll('article *, main *, [role=main] *')) {
    if (one.scrollWidth <= one.clientWidth + 2) continue;
    const style = getComputedStyle(one), edge = one.getBoundingClientRect();
    if (!['hidden', 'clip'].includes(style.overflowX) || style.textOverflow === 'ellipsis' || edge.width < 40) continue;
    const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT), range = document.createRange();
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (!text.data.trim()) continue;
      range.selectNodeContents(text);
      const beyond = [...range.getClientRects()].some((box) => box.right > edge.right + 1 || box.left < edge.left - 1);
      if (beyond) found.push(`cut off: "${text.data.trim().replace(/\s+/g, ' ').slice(0, 30)}"`);
    }
  }
  return found;
}"""


@dataclass
class Look:
    """
    A page as a browser showed it.

    Parameters
    ----------
    name : str
        Path of the page below the folder.
    pictures : int
        Number of pictures on it.
    faults : list of str
    elsewhere : set of str
        Addresses of other hosts that it asked for.
    """

    name: str
    pictures: int = 0
    faults: list = field(default_factory=list)
    elsewhere: set = field(default_factory=set)


def pages_in(folder, *, skip=()):
    """List the pages below a folder, or the page itself; what a builder keeps for itself (``_static``) is left out."""
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    left_out = {"_static", *skip}
    return sorted(one for one in folder.rglob("*.html") if not left_out & {*one.relative_to(folder).parts})


def find_chromium(given=None):
    """Path of Chromium; None for the one that playwright may have."""
    return given or os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """
    Headless Chromium with one window.

    Parameters
    ----------
    driver : playwright.sync_api.Playwright
    chromium : str or None
        Path of the browser.
    widths : sequence of int
        Of the window (CSS pixels).
    """

    def __init__(self, driver, chromium, widths=WIDTHS):
        # a sandbox of its own is refused to the superuser, as in a container
        self._browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        self._widths = widths
        self._look = Look("")
        self._page = self._browser.new_page(viewport={"width": widths[0], "height": HEIGHT})
        self._page.set_default_timeout(PATIENCE)
        self._listen()

    def look(self, path, name=None):
        """Open a page, and look at it in each width; a `Look`."""
        look = self._look = Look(name or path.name)
        try:
            self._resize(self._widths[0])
            self._page.goto(path.resolve().as_uri())
            look.faults += [f"no picture: {source}" for source in self._page.evaluate(BROKEN)]
            look.pictures = self._page.evaluate(COUNTED)
            for width in self._widths:
                self._resize(width)
                found = self._page.evaluate(STICKS_OUT) + self._page.evaluate(CUT_OFF)
                look.faults += [f"at {width} px: {one}" for one in found]
        except Exception as error:  # playwright's: a page that never ends loading
            look.faults.append(f"cannot be opened: {str(error).splitlines()[0]}")
        return look

    def _resize(self, width):
        self._page.set_viewport_size({"width": width, "height": HEIGHT})

    def _listen(self):
        """Note what pages say and ask for."""

        def refuse(route):
            self._look.elsewhere.add(route.request.url)
            route.abort()

        def failed(request):
            if not ELSEWHERE.match(request.url):
                self._look.faults.append(f"not there: {request.url}")

        def said(message):
            told = message.text.startswith("Failed to load resource")  # by `failed`, with its name
            if message.type == "error" and not told:
                self._look.faults.append(f"on the console: {message.text}")

        self._page.route(ELSEWHERE, refuse)
        self._page.on("requestfailed", failed)
        self._page.on("console", said)
        self._page.on("pageerror", lambda error: self._look.faults.append(f"on the console: {error}"))

    def close(self):
        """End the browser."""
        self._browser.close()


def table_of(looks):
    """Lay out pages, pictures and faults by folder, and the faults of each page below."""
    counts = {kind: Counter() for kind in ("pages", "pictures", "faults")}
    for look in looks:
        folder = look.name.partition("/")[0] if "/" in look.name else "."
        counts["pages"][folder] += 1
        counts["pictures"][folder] += look.pictures
        counts["faults"][folder] += len(look.faults)
    rows = [(folder, *(counts[kind][folder] for kind in counts)) for folder in sorted(counts["pages"])]
    rows.append(("all", *(count.total() for count in counts.values())))
    lines = [f"{'folder':16}{'pages':>8}{'pictures':>10}{'faults':>8}"]
    lines += [f"{folder:16}{pages:8}{pictures:10}{faults:8}" for folder, pages, pictures, faults in rows]
    for look in looks:
        if look.faults:
            more = len(look.faults) - SHOWN
            told = [f"    {one}" for one in look.faults[:SHOWN]] + [f"    and {more} more"] * (more > 0)
            lines += [look.name, *told]
    elsewhere = sorted({(address, look.name) for look in looks for address in look.elsewhere})
    lines += [f"asks another host, which is no fault: {name} for {address}" for address, name in elsewhere]
    return "\n".join(lines)


def main(argv=None):
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_pages", description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the pages, or one page")
    parser.add_argument("--chromium", metavar="PATH", help="browser to look with (default: CHROMIUM, or the system's)")
    parser.add_argument("--skip", nargs="+", default=(), metavar="FOLDER", help="folders whose pages are left out")
    parser.add_argument("--required", action="store_true", help="end with 2, and not 0, if there is no browser")
    arguments = parser.parse_args(argv)
    pages = pages_in(arguments.folder, skip=arguments.skip) if arguments.folder.exists() else []
    if not pages:
        parser.error(f"no page of HTML in {arguments.folder}: build them first, by tox -e docs")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return _unchecked("playwright is not installed: pip install playwright", arguments.required)
    chromium = find_chromium(arguments.chromium)
    with sync_playwright() as driver:
        try:
            browser = Browser(driver, chromium)
        except Error as error:
            why = f"no Chromium ({chromium or 'none found'}): {str(error).splitlines()[0]}"
            return _unchecked(why, arguments.required)
        root = arguments.folder if arguments.folder.is_dir() else arguments.folder.parent
        looks = [browser.look(page, page.relative_to(root).as_posix()) for page in pages]
        browser.close()
    print(f"widths: {', '.join(map(str, WIDTHS))} px\n{table_of(looks)}")
    return int(any(look.faults for look in looks))


def _unchecked(why, required):
    print(f"the pages are not looked at: {why}", file=sys.stderr)
    return 2 if required else 0


if __name__ == "__main__":
    sys.exit(main())
