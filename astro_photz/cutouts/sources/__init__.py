# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sources of cutouts: the archive of SDSS, a folder of frames, an HDF5 file.
"""
