# Licensed under a 3-clause BSD style license - see LICENSE
"""Some nights of ``benchmarks.inference.bad_night``, with fewer fields and shorter time limits."""

import importlib
import logging
import sys
from pathlib import Path

import pytest

from astro_photz.cutouts.sources import _waiting


@pytest.fixture(scope="module")
def night():
    """The module, and four fields with two galaxies each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])
        module = importlib.import_module("benchmarks.inference.bad_night")
        patch.setattr(module, "FACTOR", 60)
        patch.setattr(module, "_TIMEOUT", 1.0)
        small = module.Night(n_fields=4, n_galaxies=2)
        small.run_undisturbed()
        yield small, {cell.name: cell for cell in module.CELLS}


NIGHTS = [
    "HTML once",
    "500 for ever",
    "one byte a second",
    "one field stops half-way",
    "DNS fails, all",
]


@pytest.mark.parametrize("name", NIGHTS)
def test_a_night(night, name, caplog, monkeypatch):
    monkeypatch.setattr(_waiting, "_ANNOUNCER", _waiting.Announcer())
    caplog.set_level(logging.CRITICAL, logger="astro_photz")
    small, cells = night
    outcome = small.run(cells[name])
    assert outcome.faults == ()
    assert outcome.n_in == 8
