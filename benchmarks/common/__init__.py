# Licensed under a 3-clause BSD style license - see LICENSE
"""Shared by all benchmarks: how to measure, where real data are, how results are kept."""
