# Licensed under a 3-clause BSD style license - see LICENSE
"""A simulated field, made once for all tests that look at frames."""

import pytest


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """A folder with one simulated field, with stars that are bright in u too, and the truth."""
    pytest.importorskip("torch")
    pytest.importorskip("kcorrect")
    from astro_photz import simulate

    path = tmp_path_factory.mktemp("field")
    return path, simulate.write_frames(path, seed=4, progress=False)
