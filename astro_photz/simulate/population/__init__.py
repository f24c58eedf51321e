# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that are simulated: drawn from real ones, with colours, redshifts and shapes.
"""
