# Licensed under a 3-clause BSD style license - see LICENSE
"""The search for similar galaxies: what it finds, and how fast."""
