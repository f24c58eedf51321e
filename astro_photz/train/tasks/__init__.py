# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tasks that a network is trained for, and the calibration of its head.
"""
