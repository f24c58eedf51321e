# Licensed under a 3-clause BSD style license - see LICENSE
"""Benchmarks of trainings: what they gain, and what they cost."""
