# Licensed under a 3-clause BSD style license - see LICENSE
"""
Records of how redshifts were made, ``meta["z_phot"]``, in a table's meta.
"""

from astro_photz.pdf.grids import EDGES, compact_edges, expand_edges

__all__ = ["EDGES", "edges_of", "split_records", "with_edges"]


def edges_of(record):
    """Edges of the bins of redshift in a record, all of them, as other programs read them."""
    return expand_edges(record[EDGES])


def with_edges(record, edges):
    """Record with edges out of a file, as few numbers as hold them."""
    return record | {EDGES: compact_edges(edges)}


def split_records(meta):
    """
    Separate the records of redshifts, by the prefix of their columns, from the rest of a table's meta.

    >>> from astro_photz.tables._record import split_records
    >>> split_records({"z_phot": {"model": "mine", "z_edges": [0, 1]}, "OBSERVER": "me"})
    ({'z_phot': {'model': 'mine', 'z_edges': [0, 1]}}, {'OBSERVER': 'me'})
    """
    records = {key: value for key, value in meta.items() if isinstance(value, dict) and EDGES in value}
    return records, {key: value for key, value in meta.items() if key not in records}
