# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables of every kind of column, and their comparison, for tests of tables that are read and written part by part."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.time import Time

__all__ = ["FORMS", "assert_same", "cut", "hosts"]

FORMS = {"fits": "fits", "h5": "hdf5", "parquet": "parquet", "csv": "ascii.csv", "tsv": "ascii.tab"}
"""Formats that are written part by part, by the endings of their files."""

_RECORD = {"model": "mine", "source": "images", "data_release": 17, "z_edges": [0.0, 0.1, 0.2, 0.4]}
_NUMBERS = ("u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def hosts(ending, n, *, seed=0, mixins=False):
    """
    Make a table of random columns that a format can hold.

    Masked values and long texts are rare, so that most parts of the table are without one.
    """
    random = np.random.default_rng(seed)
    rare = random.random(n) < 3 / max(n, 1)
    columns = {kind: _numbers(kind, n, random) for kind in _NUMBERS}
    columns |= {f"masked_{kind}": MaskedColumn(_numbers(kind, n, random), mask=rare) for kind in _NUMBERS}
    columns["gaps"] = np.where(rare, np.nan, random.random(n))
    columns["ra"] = Column(random.uniform(0, 360, n), unit="deg", description="where it is")
    columns["id"] = 1237651943176138868 + random.integers(0, 10**9, n)
    columns["text"] = np.where(rare, "a long name", "short").astype("U20")
    columns["name"] = MaskedColumn(np.where(rare, "NGC 1", "M31"), mask=random.random(n) < 0.1)
    columns["bool"] = random.random(n) < 0.5
    columns["masked_bool"] = MaskedColumn(random.random(n) < 0.5, mask=rare)
    columns["none"] = MaskedColumn(np.zeros(n), mask=True)
    columns["bytes"] = np.where(rare, b"longer", b"a")
    columns["words"] = np.where(rare, None, "a").astype(object)
    columns["dates"] = np.datetime64("2020-01-01") + random.integers(0, 1000, n).astype("m8[D]")
    meta = {"OBSERVER": "me", "comments": ["two nights"], "z_phot": dict(_RECORD)}
    if ending not in ("csv", "tsv"):
        columns["vectors"] = Column(random.random((n, 3)).astype("f4"), meta={"a": [1]})
        columns["masked_vectors"] = MaskedColumn(random.random((n, 2)), mask=np.stack([rare, ~rare], axis=1))
    if ending != "fits":
        columns["greek"] = np.where(rare, "λλλλλλλλ", "abcdefghi")
    if mixins and ending != "fits":
        columns["whole objects"] = np.where(rare, None, 7).astype(object)
    if mixins:
        columns["place"] = SkyCoord(random.uniform(0, 360, n), random.uniform(-90, 90, n), unit="deg")
        columns["time"] = Time(55000 + random.random(n), format="mjd")
    return Table(columns, meta=meta)


def _numbers(kind, n, random):
    if kind[0] == "f":
        return random.normal(size=n).astype(kind)
    limits = np.iinfo(kind)
    return random.integers(limits.min + 1, limits.max, n, dtype=kind, endpoint=True)


def cut(n, size):
    """Limits of parts of a size."""
    return [(start, min(n, start + size)) for start in range(0, max(1, n), size)]


def assert_same(one, other):
    """Check that two tables are equal in values, masks, units, descriptions and meta."""
    assert one.colnames == other.colnames
    assert len(one) == len(other)
    assert one.meta == other.meta
    for name in one.colnames:
        _assert_same_column(name, one[name], other[name])


def _assert_same_column(name, one, other):
    for attribute in ("unit", "description", "format", "meta"):
        assert getattr(one.info, attribute) == getattr(other.info, attribute), (name, attribute)
    assert one.shape == other.shape, name
    if isinstance(one, Time):
        assert type(one) is type(other), name
        assert (one.format, one.scale) == (other.format, other.scale), name
        pairs = ((one.jd1, other.jd1), (one.jd2, other.jd2))
    elif isinstance(one, SkyCoord):
        pairs = ((one.ra.deg, other.ra.deg), (one.dec.deg, other.dec.deg))
    else:
        kinds = [column.dtype.kind if column.dtype.kind in "USO" else column.dtype.name for column in (one, other)]
        assert kinds[0] == kinds[1], name
        pairs = ((one, other),)
    for values, others in pairs:
        values, others = np.ma.asarray(values), np.ma.asarray(others)
        mask = np.ma.getmaskarray(values)
        np.testing.assert_array_equal(mask, np.ma.getmaskarray(others), err_msg=name)
        np.testing.assert_array_equal(values.data[~mask], others.data[~mask], err_msg=name)
