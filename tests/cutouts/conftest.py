# Licensed under a 3-clause BSD style license - see LICENSE
"""The archive of the scene, on this machine, and what the package says of it."""

import logging

import pytest

from astro_photz import conf, sdss
from astro_photz.testing.source_contract import archive_of_scene
from astro_photz.testing.synthetic_sky import SHAPE


@pytest.fixture
def quick(monkeypatch):
    """Frames of the scene are small, and its server needs no patience."""
    monkeypatch.setattr(sdss, "FRAME_SHAPE", SHAPE)
    with conf.set_temp("retry_wait", 0.0), conf.set_temp("queries_per_minute", 10_000):
        yield


@pytest.fixture
def server():
    """Two of the scene's fields: the galaxies elsewhere have no match."""
    with archive_of_scene(n_fields=2) as server:
        yield server


@pytest.fixture
def spoken(caplog):
    """What the package has said so far."""
    caplog.set_level(logging.WARNING, logger="astro_photz")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "astro_photz"]
