# Licensed under a 3-clause BSD style license - see LICENSE
"""
Augmentations: random changes of an image that leave its redshift alone.
"""
