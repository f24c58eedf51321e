# Licensed under a 3-clause BSD style license - see LICENSE
"""Benchmarks of what users of a model do: cut, predict, and what that costs."""
