# Licensed under a 3-clause BSD style license - see LICENSE
"""Benchmarks of a model: how good its redshifts are, and where they end."""
