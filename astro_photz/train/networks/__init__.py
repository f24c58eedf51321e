# Licensed under a 3-clause BSD style license - see LICENSE
"""
Networks: encoders of images, heads, and their weights on disk.
"""
