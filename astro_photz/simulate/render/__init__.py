# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of galaxies, drawn in Fourier space.
"""
