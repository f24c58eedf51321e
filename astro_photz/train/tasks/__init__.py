# Licensed under a 3-clause BSD style license - see LICENSE
"""
What a network is trained to do.
"""
