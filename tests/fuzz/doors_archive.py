# Licensed under a 3-clause BSD style license - see LICENSE
"""
The door of the archive: answers of its servers, and answers that lie in the cache.
"""

import logging
import re
from contextlib import ExitStack
from functools import cache
from unittest import mock

import numpy as np
from hypothesis import strategies as st

import astro_photz
from astro_photz import SDSSArchive, sdss
from astro_photz.config import conf
from astro_photz.cutouts.sources._answers import folder as folder_of_answers
from astro_photz.flags import MISSING
from astro_photz.testing.source_contract import archive_of_scene, catalogue
from astro_photz.testing.synthetic_sky import SHAPE

from .edits import byte_edits, edited_bytes, edited_text, mostly, text_edits
from .judging import Fault, Target

__all__ = ["TARGETS", "stop"]

_CELLS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 30),
        st.sampled_from(
            [
                *(
                    "295",
                    "-91",
                    "nan",
                    "inf",
                    "-inf",
                    "1e400",
                    "null",
                    "",
                    "x",
                    "1_5",
                    "4294968339",
                    "2147483648",
                    "-1",
                    "0",
                ),
                *(
                    "1e20",
                    "99999999999999999999",
                    "\N{FULLWIDTH DIGIT ONE}5",
                    "true",
                    "1.5",
                    " 7",
                    "0x1F",
                    '"',
                    "é",
                    "-9999",
                    "150.1",
                    "1e-320",
                ),
            ]
        ),
    ),
    max_size=3,
)


@cache
def _running():
    """The archive of the scene, which stays for the process, and the table that is asked for."""
    stack = ExitStack()
    stack.enter_context(mock.patch.object(logging.getLogger("astro_photz"), "disabled", True))  # it tells of each retry
    stack.enter_context(mock.patch.object(sdss, "FRAME_SHAPE", SHAPE))
    for name, value in (("retry_wait", 0.0), ("attempts", 2), ("queries_per_minute", 10**6)):
        stack.enter_context(conf.set_temp(name, value))
    archive = stack.enter_context(archive_of_scene(n_fields=1))
    table = catalogue()
    table.remove_column("ebv")
    astro_photz.fetch(table, source=SDSSArchive(timeout=5), progress=False)  # frames are in the cache from here on
    return archive, table, stack


def stop():
    """End the archive, if it runs, and put back what it changed in this process."""
    if _running.cache_info().currsize:
        _, _, stack = _running()
        _running.cache_clear()
        stack.close()


def _altered(text, given):
    """An answer of the catalogue with other cells, lines and letters."""
    lines = [re.split(",", line) for line in text.splitlines()]
    for row, column, value in given["cells"]:
        if len(lines) > 2:
            line = lines[2 + row % (len(lines) - 2)]
            line[column % len(line)] = value
    text = "\n".join(",".join(line) for line in lines) + "\n"
    return edited_text(text, given["letters"])


def _fetch(table):
    cutouts = astro_photz.fetch(table, source=SDSSArchive(timeout=5), progress=False)
    if len(cutouts) != len(table):
        raise Fault(f"{len(cutouts)} cutouts of {len(table)} galaxies")
    gone = np.isnan(cutouts.flux).all(axis=(1, 2, 3))
    if not (cutouts.flags[gone] & MISSING).all():
        raise Fault("a galaxy without an image has no flag")
    if np.isinf(cutouts.ebv).any() or (cutouts.ebv < 0).any() or np.isinf(cutouts.psf_fwhm).any():
        raise Fault("E(B-V) or a width is infinite or negative")
    return cutouts


def _forget():
    for file in folder_of_answers().glob("*"):
        file.unlink()


def _answered(given, folder):
    """The server answers wrongly, once or always; then it is mended, and nothing wrong may be in the cache."""
    archive, table, _ = _running()
    _forget()
    database, times = archive._database, [given["times"]]
    right = database.crossid

    def wrong(*arguments, **options):
        text = right(*arguments, **options)
        times[0] -= 1
        return _altered(text, given) if times[0] >= 0 else text

    with mock.patch.object(database, "crossid", wrong):
        _fetch(table[: given["rows"]])
    _fetch(table[: given["rows"]])


def _cached(given, folder):
    """The cache holds a wrong answer: it is a miss, or what was written."""
    _, table, _ = _running()
    table = table[: given["rows"]]
    _fetch(table)
    files = sorted(folder_of_answers().glob("*"))
    for file in files:
        file.write_bytes(edited_bytes(file.read_bytes(), given["edits"]))
    try:
        _fetch(table)
    finally:
        _forget()


TARGETS = (
    Target(
        "archive.answers",
        st.fixed_dictionaries(
            {
                "cells": _CELLS,
                "letters": mostly(st.just([]), text_edits(2)),
                "times": st.sampled_from([1, 1, 100]),
                "rows": st.sampled_from([3, 5, 12]),
            }
        ),
        _answered, (ConnectionError,), 0.1, _running,
    ),
    Target(
        "archive.cache",
        st.fixed_dictionaries({"edits": byte_edits(3), "rows": st.sampled_from([3, 12])}),
        _cached, (ConnectionError,), 0.1, _running,
    ),
)  # fmt: skip
