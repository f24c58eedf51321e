# Licensed under a 3-clause BSD style license - see LICENSE
"""
Bridges to other packages: redshift PDFs to and from qp, a stage of RAIL pipelines, catalogues of LSDB and dask, and
files of cutouts for astropy's ``Table.read``.

`astro_photz.adapters.qp` needs the extra ``[qp]`` when it is used, ``astro_photz.adapters.lsdb`` the extra
``[scale]``, and ``astro_photz.adapters.rail`` the extra ``[rail]`` when it is imported.
"""
