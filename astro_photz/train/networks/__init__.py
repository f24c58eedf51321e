# Licensed under a 3-clause BSD style license - see LICENSE
"""
Networks: from an image to its embedding, and from there to what is trained on it.
"""
