# Licensed under a 3-clause BSD style license - see LICENSE
"""Pages of HTML that are looked at: each fault that is planted is found, and nothing else."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = "a text that is much longer than its box"
NARROW = "width: 9em; overflow: hidden; white-space: nowrap"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle r="5"/></svg>'
SOUND = {
    "plain": "<p>words</p>",
    "a picture below the window": '<img src="ok.svg" loading="lazy" style="margin-top: 9000px">',
    "a table in a box that scrolls": '<div style="overflow-x: auto"><table style="width: 3000px"><td>x</table></div>',
    "long code in a box that scrolls": f"<pre style='overflow: auto'>{LONG * 20}</pre>",
    "a text that ends in dots": f'<div style="{NARROW}; text-overflow: ellipsis">{LONG}</div>',
    "a menu beside the window": '<nav style="position: fixed; left: -300px; width: 300px">menu</nav>',
    "a note on the console": "<script>console.log('hello'); console.warn('careful')</script>",
    "a link to another host": '<a href="https://example.org/">there</a>',
    "a script of another host": '<script src="https://example.org/x.js"></script>',
}
FAULTY = {
    "a picture that is not there": ('<img src="none.png">', "none.png"),
    "a picture that is none": ('<img src="data:image/png;base64,AAAA">', "no picture"),
    "a style that is not there": ('<link rel="stylesheet" href="none.css">', "not there"),
    "a script that is not there": ('<script src="none.js"></script>', "not there"),
    "a box wider than a telephone": (
        '<div class="wide" style="width: 600px">x</div>',
        "at 390 px: 608 px wide: div.wide",
    ),
    "a word wider than a laptop": (f"<p>{'x' * 400}</p>", "at 1280 px: "),
    "a text that is cut off": (f'<div style="{NARROW}">{LONG}</div>', 'cut off: "a text that is much longer'),
    "an error on the console": ("<script>console.error('it is bad')</script>", "on the console: it is bad"),
    "an error of a script": ("<script>nothing.at.all</script>", "nothing is not defined"),
}


@pytest.fixture(scope="module")
def tool():
    """The tool, out of the source tree; the package stays the one that is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(ROOT)])
        yield importlib.import_module("tools.check_pages")


@pytest.fixture(scope="module")
def browser(tool):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, to drive a browser")
    with playwright.sync_playwright() as driver:
        try:
            found = tool.Browser(driver, tool.find_chromium())
        except playwright.Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture
def written(tmp_path):
    """Writes a page, and gives its path."""

    def write(body, name="page.html"):
        (tmp_path / "ok.svg").write_text(DRAWING, encoding="utf-8")
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'<!doctype html><meta charset="utf-8"><main>{body}</main>', encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("what", SOUND)
def test_a_sound_page_has_no_fault(browser, written, what):
    assert browser.look(written(SOUND[what])).faults == []


@pytest.mark.parametrize("what", FAULTY)
def test_a_fault_is_found(browser, written, what):
    body, told = FAULTY[what]
    look = browser.look(written(body))
    assert any(told in one for one in look.faults)
    assert browser.look(written("<p>sound</p>", "next.html")).faults == []  # nothing of it clings to the next page


def test_what_a_page_asks_of_another_host_is_counted(browser, written):
    look = browser.look(written(SOUND["a script of another host"] + SOUND["a picture below the window"]))
    assert look.elsewhere == {"https://example.org/x.js"}
    assert look.pictures == 1


def test_the_table_has_every_folder_and_every_fault(tool):
    looks = [tool.Look("index.html", 2), tool.Look("user/a.html", 3, ["bad"] * 7), tool.Look("user/b.html", 1)]
    lines = tool.table_of(looks).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        [".", "1", "2", "0"],
        ["user", "2", "4", "7"],
        ["all", "3", "6", "7"],
    ]
    assert lines[4] == "user/a.html"
    assert lines[-1] == "    and 2 more"


def test_pages_of_the_builder_itself_are_left_out(tool, written, tmp_path):
    pages = [written("", name) for name in ("index.html", "user/a.html", "_static/webpack.html")]
    assert tool.pages_in(tmp_path) == pages[:2]
    assert tool.pages_in(pages[1]) == [pages[1]]


def test_without_a_browser_a_line_says_so(written, tmp_path):
    pytest.importorskip("playwright.sync_api")
    written("")
    command = [sys.executable, "-m", "tools.check_pages", str(tmp_path), "--chromium", str(tmp_path / "none")]
    done = subprocess.run([*command, "--required"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("the pages are not looked at: no Chromium")


def test_without_playwright_a_line_says_so(tool, written, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    written("")
    assert tool.main([str(tmp_path)]) == 0
    assert "pip install playwright" in capsys.readouterr().err


def test_a_folder_without_pages_is_an_error(tool, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        tool.main([str(tmp_path / "none")])
    assert left.value.code == 2
    assert "build them first" in capsys.readouterr().err
