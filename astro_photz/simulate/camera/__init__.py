# Licensed under a 3-clause BSD style license - see LICENSE
"""
The camera and the sky above it: conditions of observation, noise, blank sky.
"""
