# Licensed under a 3-clause BSD style license - see LICENSE
"""
Bridges to other packages of the field: redshift PDFs to and from qp, and a stage of RAIL pipelines.

`astro_photz.adapters.qp` needs the extra ``[qp]`` when it is used, ``astro_photz.adapters.rail`` the extra ``[rail]``
when it is imported.
"""
