# Licensed under a 3-clause BSD style license - see LICENSE
"""
Scenes: the galaxy in a stamp, and its neighbours.
"""
