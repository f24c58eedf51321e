# Licensed under a 3-clause BSD style license - see LICENSE
"""Benchmarks of simulated galaxies: how real they are, and what they cost."""
