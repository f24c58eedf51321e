# Licensed under a 3-clause BSD style license - see LICENSE
"""
Formats of tables: their names, and the suffixes of their files.
"""

from importlib.util import find_spec
from pathlib import PurePath

from astro_photz.utils._suggestions import advice
from astro_photz.utils._types import PathLike

__all__ = ["COMPRESSED", "DELIMITERS", "canonical", "ending_format", "need_package", "output_format", "shown"]

COMPRESSED = (".gz", ".bz2", ".xz")
"""Endings of compressed files."""

DELIMITERS = {"ascii.csv": ",", "ascii.tab": "\t", "ascii.basic": " "}
"""Formats of delimited text, which this package reads and writes itself."""

_ENDINGS = {
    **dict.fromkeys((".ecsv",), "ascii.ecsv"),
    **dict.fromkeys((".fits", ".fit", ".fts"), "fits"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "hdf5"),
    **dict.fromkeys((".vot", ".votable", ".xml"), "votable"),
    **dict.fromkeys((".parquet", ".parq"), "parquet"),
    **dict.fromkeys((".csv",), "ascii.csv"),
    **dict.fromkeys((".tsv", ".tab"), "ascii.tab"),
    **dict.fromkeys((".txt", ".dat", ".asc"), "ascii.basic"),
    **dict.fromkeys((".html", ".htm"), "ascii.html"),
    **dict.fromkeys((".tex",), "ascii.latex"),
    **dict.fromkeys((".rst",), "ascii.rst"),
    **dict.fromkeys((".rdb",), "ascii.rdb"),
    **dict.fromkeys((".mrt",), "ascii.mrt"),
    **dict.fromkeys((".tbl", ".ipac"), "ascii.ipac"),
}
_OTHER_NAMES = {"h5": "hdf5", "vot": "votable", "xml": "votable", "tsv": "ascii.tab", "txt": "ascii.basic"}
_SHOWN = {
    "ascii.ecsv": "ECSV",
    "fits": "FITS",
    "hdf5": "HDF5",
    "votable": "VOTable",
    "parquet": "Parquet",
    "ascii.csv": "CSV",
    "ascii.tab": "tab-separated text",
    "ascii.basic": "plain text",
}
_PACKAGES = {"parquet": "pyarrow", "ascii.html": "bs4"}
_PIP_NAMES = {"bs4": "beautifulsoup4"}


def shown(name):
    """
    Name of a format in a message.

    Parameters
    ----------
    name : str
        As astropy calls it.

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz.tables.formats import shown
    >>> shown("fits"), shown("ascii.latex")
    ('FITS', 'ascii.latex')
    """
    return _SHOWN.get(name, name)


def canonical(name, *, mode, parameter="format"):
    """
    Astropy's name of a format.

    Parameters
    ----------
    name : str
        That name, with or without the leading ``ascii.``, in any case.
    mode : {"read", "write"}
    parameter : str, optional
        What the message calls it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If astropy knows no such format.

    Examples
    --------
    >>> from astro_photz.tables.formats import canonical
    >>> canonical("csv", mode="read"), canonical("VOTable", mode="read")
    ('ascii.csv', 'votable')
    """
    from astropy.io.registry import get_formats
    from astropy.table import Table

    known = [str(known) for known in get_formats(Table, mode.capitalize())["Format"]]
    plain = str(name).strip().lower()
    plain = _OTHER_NAMES.get(plain, plain)
    for form in (f"ascii.{plain}", plain):
        if form in known:
            return form
    raise ValueError(f"{parameter}={name!r}: no format of tables that astropy can {mode}; {advice(plain, known)}")


def ending_format(path):
    """
    Find the format that the suffix of a file stands for.

    Parameters
    ----------
    path : path-like
        Upper and lower case are alike; ``.gz``, ``.bz2`` and ``.xz`` may follow.

    Returns
    -------
    str or None

    Examples
    --------
    >>> from astro_photz.tables.formats import ending_format
    >>> ending_format("HOSTS.CSV.gz"), ending_format("hosts")
    ('ascii.csv', None)
    """
    endings = [ending.lower() for ending in PurePath(path).suffixes]
    if endings and endings[-1] in COMPRESSED:
        endings.pop()
    return _ENDINGS.get(endings[-1]) if endings else None


def output_format(path: PathLike, format: str | None = None) -> str:
    """
    Find the format in which a table is to be written.

    Parameters
    ----------
    path : path-like or "-"
        The file; "-" is standard output, which gets ECSV.
    format : str, optional
        Astropy's name of the format, if it is not the one of the file's ending.

    Returns
    -------
    str
        Astropy's name.

    Raises
    ------
    ValueError
        If there is no such format, or the ending stands for none.
    ImportError
        If a package is missing that writes it.

    Examples
    --------
    >>> from astro_photz.tables import output_format
    >>> output_format("redshifts.fits"), output_format("redshifts.vot"), output_format("-")
    ('fits', 'votable', 'ascii.ecsv')
    """
    if format is not None:
        form = canonical(format, mode="write", parameter="output_format")
    elif str(path) == "-":
        form = "ascii.ecsv"
    else:
        form = ending_format(path) or _ending_known_to_astropy(path)
    if not form:
        raise ValueError(
            f"{path}: astropy knows no table format by that ending; use .ecsv, .fits, .csv, .vot, .h5 or .parquet, "
            "or name the format: output_format='csv'"
        )
    need_package(form, path)
    return form


def need_package(form, path):
    """Raise an ImportError that names the command if the package that a format needs is missing."""
    package = _PACKAGES.get(form)
    if package and not find_spec(package):
        pip_name = _PIP_NAMES.get(package, package)
        raise ImportError(f"{path}: astropy reads and writes {shown(form)} with {pip_name}: pip install {pip_name}")


def _ending_known_to_astropy(path):
    from astropy.io.registry import identify_format
    from astropy.table import Table

    return next(iter(identify_format("write", Table, str(path), None, [], {})), None)
