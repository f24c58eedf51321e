# Licensed under a 3-clause BSD style license - see LICENSE
"""
Whole fields of the survey, as its camera scans them.
"""
