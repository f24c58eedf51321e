# Licensed under a 3-clause BSD style license - see LICENSE
"""
Settings of Sphinx. What is not set here comes from sphinx-astropy.
"""

import runpy
import shutil
import sys
from contextlib import chdir, redirect_stdout
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx_astropy.conf.v2 import *

from astro_photz.cli import main

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
import inventories
from tutorials import SECTIONS

# Pages of the reference are generated; those of names that are gone would stay.
shutil.rmtree(Path(__file__).parent / "api", ignore_errors=True)

project = "astro_photz"
author = "The astro_photz developers"
copyright = f"2026, {author}"
release = installed_version("astro-photz")
version = ".".join(release.split(".")[:2])

extensions.remove("sphinx.ext.inheritance_diagram")
extensions.remove("sphinx_astropy.ext.changelog_links")  # the change log names no issues

# Our own names must resolve: a reference to one that does not exist is an error. Those of other packages that no
# inventory has are printed and not linked.
intersphinx_mapping = inventories.mapping(Path(__file__).parent / "_build" / "inventories")
nitpicky = True
libraries = "astropy|astroquery|dask|faiss|h5py|lightning|lsdb|matplotlib|numpy|onnx|onnxruntime|pandas|photutils"
libraries += "|qp|torch"
others = rf"astro_photz\.utils|collections|enum|http|markupsafe|pathlib|warnings|{libraries}"
builtin = r"bool|bytes|callable|dict|float|int|list|object|str|tuple|type|None|True|False|[A-Z]\w*(Error|Warning)"
nitpick_ignore_regex = [("py:.*", rf"({others})\..*"), ("py:.*", builtin)]

automodapi_inheritance_diagram = False
automodsumm_inherited_members = False
autodoc_typehints = "none"  # docstrings tell shapes and units too
autodoc_inherit_docstrings = False  # those of torch and Lightning refer to their own pages
modindex_common_prefix = ["astro_photz."]

plot_formats = [("png", 110)]
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False

# The tutorials are made anew in each build, and one that fails ends it: what a page shows is what its code does.
extensions.append("reference")  # of _extensions
extensions.append("sphinx_gallery.gen_gallery")
exclude_patterns = [*exclude_patterns, "tutorials"]  # the pages made of them are in gallery/
sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "subsection_order": [f"tutorials/{section}" for section in SECTIONS],
    "within_subsection_order": "tutorials.position",
    "reset_modules": ("matplotlib", "tutorials.reset"),
    "reset_modules_order": "both",
    "run_stale_examples": True,
    "abort_on_example_error": True,
    "first_notebook_cell": "%matplotlib inline",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "image_srcset": ["2x"],
    # Two builds of one tree are the same, but for the archives of the downloads.
    "min_reported_time": 1_000_000,
    "write_computation_times": False,
}

html_title = f"{project} {release}"
html_last_updated_fmt = None  # two builds of one tree are the same
html_static_path = [str(Path(__file__).parent / "_static")]
html_css_files = ["astro_photz.css"]
html_js_files = ["labels.js"]
html_favicon = str(Path(__file__).parent / "_static" / "favicon.svg")
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_sidebars = {"index": []}  # its cards lead on; all other pages have their section at the left
html_theme_options = {
    "logo": {"text": project},
    "navigation_with_keys": False,
    "show_nav_level": 2,
    "use_edit_page_button": False,
}


def find_by_short_name(app, env, node, contnode):
    """Resolve `Cutouts`, for one, in a docstring whose module is not the one under which that name is documented."""
    if node.get("refdomain") == "py":
        node["refspecific"] = True
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], node["reftarget"], node, contnode)


def run_demo(app):
    """Run ``astro-photz demo``: what getting_started shows is what it does."""
    folder = Path(app.srcdir) / "_build" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    with chdir(folder), open("terminal.txt", "w") as terminal, redirect_stdout(terminal):
        if main(["demo"]) != 0:
            raise RuntimeError("astro-photz demo failed")


def run_start_page(app):
    """Run the eight lines of the start page, and keep what they print and draw."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    folder = Path(app.srcdir) / "_build" / "start_page"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "output.txt", "w") as output, redirect_stdout(output):
        runpy.run_path(str(Path(app.srcdir) / "start_page.py"))
    for number, name in zip(pyplot.get_fignums(), ("galaxies", "pdfs"), strict=True):
        pyplot.figure(number).savefig(folder / f"{name}.png", dpi=160)
    pyplot.close("all")


def setup(app):
    app.connect("builder-inited", run_demo)
    app.connect("builder-inited", run_start_page)
    app.connect("missing-reference", find_by_short_name)
