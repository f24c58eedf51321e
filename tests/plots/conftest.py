# Licensed under a 3-clause BSD style license - see LICENSE
"""Figures of pyplot stay open until they are closed."""

import sys

import pytest


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures of each test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
