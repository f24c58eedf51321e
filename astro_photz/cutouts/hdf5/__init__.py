# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged. It deals in arrays, not in `~astro_photz.Cutouts`.
"""
