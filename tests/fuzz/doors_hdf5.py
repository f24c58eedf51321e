# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors of cutouts in HDF5.
"""

import io
import warnings
from functools import cache

import h5py
import numpy as np
from hypothesis import strategies as st

import astro_photz
from astro_photz import Cutouts
from astro_photz.cutouts.sources.hdf5_file import CutoutFile
from astro_photz.flags import MISSING
from astro_photz.testing import gaussian_cutouts

from .edits import byte_edits, edited_bytes, hostile
from .judging import Fault, Target

__all__ = ["TARGETS", "check_cutouts", "galaxies"]


@cache
def galaxies():
    return gaussian_cutouts(3)


@cache
def _file():
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        galaxies().write(f"{folder}/a.h5", dtype="float16", specz_redshift=[0.1, 0.2, 0.3])
        with h5py.File(f"{folder}/a.h5") as file:
            arrays = {name: file[name][()] for name in file}
            attributes = dict(file.attrs)
    small = io.BytesIO()  # libhdf5 writes the pixels behind the rest here
    with h5py.File(small, "w") as file:
        file.attrs.update(attributes)
        for name, values in arrays.items():
            file[name] = values
    return small.getvalue()


_DATASETS = (
    *("images", "e_bv", "ra", "dec", "ObjID", "target_xy", "psf_fwhm", "flags", "run", "camcol", "data_release"),
    "specz_redshift",
)
_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(_DATASETS),
        st.sampled_from(
            [
                *(
                    "remove",
                    "group",
                    "scalar",
                    "empty",
                    "text",
                    "bytes",
                    "strings",
                    "bool",
                    "complex",
                    "compound",
                    "nan",
                ),
                *(
                    "huge",
                    "external",
                    "virtual",
                    "soft link",
                    "external link",
                    "link to itself",
                    "reference",
                    "more rows",
                ),
                *(
                    "float64",
                    "int8",
                    "uint64",
                    "big endian",
                    "unit",
                    "unit number",
                    "lzf",
                    "chunks",
                    "unwritten",
                    "vlen",
                ),
                *("shape", "null space", "filter", "opaque", "enum", "zero rows", "values"),
            ]
        ),
        hostile,
    ),
    max_size=3,
)


def _changed(file, name, change, value):
    values = file[name][()] if name in file and isinstance(file[name], h5py.Dataset) else np.zeros(3)
    if change == "unit" or change == "unit number":
        file[name].attrs["unit"] = "m" if change == "unit" else value
        return
    if name in file:
        del file[name]
    n = len(values) if np.ndim(values) else 3
    simple = {
        "scalar": 1.0, "empty": np.zeros(0), "text": "abc", "bytes": np.array([b"a"] * n),
        "bool": np.ones(n, dtype=bool), "complex": np.ones(n, dtype=complex), "zero rows": np.asarray(values)[:0],
        "compound": np.zeros(n, dtype=[("a", float), ("b", int)]), "opaque": np.zeros(n, dtype="V4"),
        "more rows": np.concatenate([values, values]) if np.ndim(values) else values, "values": value,
    }  # fmt: skip
    if change in simple:
        file[name] = simple[change]
    elif change in ("float64", "int8", "uint64", "big endian"):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of complex numbers
            file[name] = np.nan_to_num(values).astype(
                {"int8": "i1", "uint64": "u8", "big endian": ">f4"}.get(change, "f8")
            )
    elif change == "nan":
        file[name] = np.full(np.shape(values), np.nan, dtype=np.float32)
    elif change == "group":
        file.create_group(name)
    elif change == "strings":
        file.create_dataset(name, data=["1", "x", "é"], dtype=h5py.string_dtype())
    elif change == "huge":
        file.create_dataset(name, shape=(2**40, *np.shape(values)[1:]), dtype="f4", chunks=(1, *np.shape(values)[1:]))
    elif change == "external":
        file.create_dataset(name, shape=np.shape(values), dtype="f4", external=[("/etc/passwd", 0, 2**30)])
    elif change == "virtual":
        layout = h5py.VirtualLayout(shape=np.shape(values), dtype="f4")
        layout[...] = h5py.VirtualSource("/nowhere.h5", "images", shape=np.shape(values))
        file.create_virtual_dataset(name, layout)
    elif change == "soft link":
        file[name] = h5py.SoftLink("/nothing")
    elif change == "external link":
        file[name] = h5py.ExternalLink("/etc/passwd", "images")
    elif change == "link to itself":
        file[name] = h5py.SoftLink(f"/{name}")
    elif change == "reference":
        file.create_dataset(name, data=[file.ref] * n, dtype=h5py.ref_dtype)
    elif change in ("lzf", "chunks"):
        options = {"chunks": (1, *np.shape(values)[1:])} | ({"compression": "lzf"} if change == "lzf" else {})
        file.create_dataset(name, data=values, **options)
    elif change == "unwritten":
        file.create_dataset(name, shape=np.shape(values), dtype="f4", chunks=(1, *np.shape(values)[1:]))
    elif change == "vlen":
        file.create_dataset(name, shape=(n,), dtype=h5py.vlen_dtype(float))
    elif change == "shape":
        file[name] = np.reshape(values, (-1, 1))
    elif change == "null space":
        file[name] = h5py.Empty("f4")
    elif change == "filter":
        file.create_dataset(name, data=values, fletcher32=True, chunks=(1, *np.shape(values)[1:]))
    elif change == "enum":
        file.create_dataset(name, data=np.zeros(n, dtype=int), dtype=h5py.enum_dtype({"a": 0}))


def _read_cutouts(given, folder):
    path = folder / "stamps.h5"
    path.write_bytes(_file())
    with h5py.File(path, "r+") as file:
        for name, change, value in given["changes"]:
            try:
                _changed(file, name, change, value)
            except Exception:  # h5py does not hold it
                continue
    if given["edits"]:
        path.write_bytes(edited_bytes(path.read_bytes(), given["edits"]))
    if given["door"] == "read":
        check_cutouts(Cutouts.read(path))
        return
    source = CutoutFile(path)
    table = source.catalog()
    if given["door"] == "fetch":
        place = galaxies().coord
        cutouts = astro_photz.fetch(place, source=source, progress=False)
        if len(cutouts) != 3:
            raise Fault(f"{len(cutouts)} cutouts of 3 galaxies")
        check_cutouts(cutouts)
        gone = np.isnan(cutouts.flux).all(axis=(1, 2, 3))
        if not (cutouts.flags[gone] & MISSING).all():
            raise Fault("a galaxy without an image has no flag")
    len(table)


def check_cutouts(cutouts):
    n = len(cutouts)
    if np.isinf(cutouts.flux).any() or np.isinf(cutouts.ebv).any() or (cutouts.ebv < 0).any():
        raise Fault("a flux or an E(B-V) is infinite or negative")
    for name in ("ebv", "ids", "target_xy", "psf_fwhm", "provenance", "flags"):
        if len(getattr(cutouts, name)) != n:
            raise Fault(f"{name} has {len(getattr(cutouts, name))} rows, and there are {n} stamps")


TARGETS = (
    Target(
        "cutouts.hdf5",
        st.fixed_dictionaries(
            {
                "changes": _CHANGES,
                "edits": st.just([]) | byte_edits(2),
                "door": st.sampled_from(["read", "catalog", "fetch"]),
            }
        ),
        _read_cutouts,
        (OSError, ValueError),
        1.0,
    ),
)
