# Licensed under a 3-clause BSD style license - see LICENSE
"""
Addresses of the names of other packages, so that their links are made without a network.

Sphinx takes such addresses from an inventory, which the other package's site serves. The build has no network, so the
inventories are made here, of the names that these pages use, by the patterns of those sites. With a network,
``python docs/_extensions/inventories.py`` compares them with the ones that the sites serve.
"""

import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROJECTS", "Project", "mapping"]

_STDTYPES = "bytes dict list str tuple"
_FUNCTIONS = "bool float int object"
_EXCEPTIONS = "FileNotFoundError ImportError KeyError OSError RuntimeError TypeError UserWarning ValueError"


@dataclass(frozen=True)
class Project:
    """A site: its address, and for each page (of each name, or of several) the role and the names."""

    url: str
    pages: dict[str, dict[str, str]]

    def entries(self):
        """Yield the name, role and address, within the site, of each."""
        for page, roles in self.pages.items():
            for role, names in roles.items():
                for name in names.split():
                    anchor = f"module-{name}" if role == "module" else name
                    yield name, role, f"{page.format(name=name)}#{anchor}"


PROJECTS = {
    "python": Project(
        "https://docs.python.org/3/",
        {
            "library/stdtypes.html": {"class": _STDTYPES},
            "library/functions.html": {"class": _FUNCTIONS},
            "library/exceptions.html": {"exception": _EXCEPTIONS},
            "library/enum.html": {"class": "enum.IntFlag"},
            "library/pathlib.html": {"class": "pathlib.Path"},
            "library/warnings.html": {"function": "warnings.warn"},
        },
    ),
    "numpy": Project(
        "https://numpy.org/doc/stable/",
        {
            "reference/generated/{name}.html": {
                "class": "numpy.dtype numpy.ndarray",
                "function": "numpy.linspace numpy.ma.median numpy.quantile",
            },
            "reference/random/generator.html": {"class": "numpy.random.Generator"},
        },
    ),
    "scipy": Project(
        "https://docs.scipy.org/doc/scipy/",
        {"reference/generated/{name}.html": {"function": "scipy.ndimage.affine_transform"}},
    ),
    "pandas": Project(
        "https://pandas.pydata.org/docs/",
        {"reference/api/{name}.html": {"class": "pandas.DataFrame"}},
    ),
    "matplotlib": Project(
        "https://matplotlib.org/stable/",
        {"api/_as_gen/{name}.html": {"class": "matplotlib.axes.Axes"}},
    ),
    "h5py": Project(
        "https://docs.h5py.org/en/stable/",
        {
            "high/dataset.html": {"class": "h5py.Dataset"},
            "high/file.html": {"class": "h5py.File"},
            "high/group.html": {"class": "h5py.Group"},
        },
    ),
    "astropy": Project(
        "https://docs.astropy.org/en/stable/",
        {
            "api/{name}.html": {
                "class": "astropy.coordinates.SkyCoord astropy.table.MaskedColumn astropy.table.QTable "
                "astropy.table.Row astropy.table.Table astropy.units.Quantity astropy.units.Unit astropy.wcs.WCS",
                "function": "astropy.config.get_cache_dir astropy.utils.data.clear_download_cache "
                "astropy.visualization.make_lupton_rgb",
            },
            "io/fits/api/hdulists.html": {"class": "astropy.io.fits.HDUList"},
            "io/fits/api/headers.html": {"class": "astropy.io.fits.Header"},
            "nddata/bitmask.html": {"module": "astropy.nddata.bitmask"},
        },
    ),
    "astroquery": Project(
        "https://astroquery.readthedocs.io/en/latest/",
        {"sdss/sdss.html": {"module": "astroquery.sdss"}},
    ),
    "photutils": Project(
        "https://photutils.readthedocs.io/en/stable/",
        {"api/{name}.html": {"function": "photutils.segmentation.deblend_sources"}},
    ),
}


def mapping(folder):
    """Write the inventories into a folder, and return Sphinx's ``intersphinx_mapping`` with them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, project in PROJECTS.items():
        head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        lines = "".join(f"{name} py:{role} 1 {address} -\n" for name, role, address in project.entries())
        (folder / f"{name}.inv").write_bytes(head.encode() + zlib.compress(lines.encode()))
    return {name: (project.url, str(folder / f"{name}.inv")) for name, project in PROJECTS.items()}


def moved():
    """Ask the sites, and yield a line for each name that they have elsewhere or not at all."""
    from urllib.request import urlopen

    from sphinx.util.inventory import InventoryFile

    for project in PROJECTS.values():
        with urlopen(f"{project.url}objects.inv", timeout=60) as answer:
            served = InventoryFile.loads(answer.read(), uri=project.url)
        for name, role, address in project.entries():
            item = served.data.get(f"py:{role}", {}).get(name)
            if item is None or item.uri != project.url + address:
                yield f"{name}: {project.url}{address} is {item.uri if item else 'nowhere'}"


if __name__ == "__main__":
    lines = list(moved())
    print("\n".join(lines) or "all names are where these pages say")
    sys.exit(bool(lines))
