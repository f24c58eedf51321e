# Licensed under a 3-clause BSD style license - see LICENSE
"""
What lies on a stamp: the galaxy and its neighbours.
"""
