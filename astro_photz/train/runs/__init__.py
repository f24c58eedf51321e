# Licensed under a 3-clause BSD style license - see LICENSE
"""
Whole trainings, from a recipe and a data set to a folder.
"""
