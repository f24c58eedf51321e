# Licensed under a 3-clause BSD style license - see LICENSE
"""Rooms are attributes of the package, and nothing is imported before it is asked for."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["flags", "dust", "metrics", "pdf", "quality", "reference"])
def test_a_room_needs_no_import_of_its_own(room):
    code = f"import astro_photz, sys; assert 'astro_photz.{room}' not in sys.modules; astro_photz.{room}.__doc__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_no_attribute():
    import astro_photz

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(astro_photz, "nonsense")  # noqa: B009
