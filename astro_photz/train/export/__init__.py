# Licensed under a 3-clause BSD style license - see LICENSE
"""
From weights to the folder of a model.
"""
