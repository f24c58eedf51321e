# Licensed under a 3-clause BSD style license - see LICENSE
"""
Records of how redshifts were made, ``meta["z_phot"]``, in a table's meta.
"""

__all__ = ["EDGES", "split_records"]

EDGES = "z_edges"
"""Key of a record that holds the edges of the bins of redshift."""


def split_records(meta):
    """
    Separate the records of redshifts, by the prefix of their columns, from the rest of a table's meta.

    >>> from astro_photz.tables._record import split_records
    >>> split_records({"z_phot": {"model": "mine", "z_edges": [0, 1]}, "OBSERVER": "me"})
    ({'z_phot': {'model': 'mine', 'z_edges': [0, 1]}}, {'OBSERVER': 'me'})
    """
    records = {key: value for key, value in meta.items() if isinstance(value, dict) and EDGES in value}
    return records, {key: value for key, value in meta.items() if key not in records}
