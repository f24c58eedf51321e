# Licensed under a 3-clause BSD style license - see LICENSE
"""HDF5 files whose heap of texts has a part without a size, which HDF5 reads for ever: no door waits for it."""

import gzip
import struct

import h5py
import numpy as np
import pytest

import astro_photz
from astro_photz.tables import read_table
from astro_photz.tables.parts import open_parts
from astro_photz.utils._hdf5 import open_hdf5
from astro_photz.validation import Validation

HEAP = b"GCOL\x01\0\0\0"
STEPS = {"no size": (0, 0), "a size that overflows": (1, 2**64 - 16)}


@pytest.fixture(params=STEPS, ids=STEPS)
def broken(tmp_path, request):
    """A file with a table, stamps and texts of any length, whose heap has no end."""
    path = tmp_path / "broken.h5"
    with h5py.File(path, "w") as file:
        file.attrs["kind"] = "astro_photz validation"
        file.attrs["origin"] = "simulated"
        file["table"] = np.array([(150.1, 2.2)], dtype=[("ra", "f8"), ("dec", "f8")])
        file["images"] = np.zeros((1, 5, 64, 64), dtype="f4")
        file.create_dataset("names", data=["NGC 1"], dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    start = content.find(HEAP)
    assert start > 0
    number, size = STEPS[request.param]
    struct.pack_into("<HH4xQ", content, start + 16, number, 1, size)
    path.write_bytes(content)
    return path


def packed(path):
    path.with_suffix(".h5.gz").write_bytes(gzip.compress(path.read_bytes()))
    return read_table(path.with_suffix(".h5.gz"))


def parts(path):
    with open_parts(path) as found:
        return found.part(0, 1)


DOORS = {
    "table": read_table,
    "packed table": packed,
    "parts of a table": parts,
    "stamps": astro_photz.Cutouts.read,
    "file of stamps": astro_photz.CutoutFile,
    "predict": astro_photz.predict,
    "validation": Validation.read,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_heap_without_an_end_is_refused(broken, door):
    with pytest.raises((OSError, ValueError), match="its texts have no end"):
        DOORS[door](broken)


@pytest.mark.parametrize("n", [0, 1, 500, 20_000])
def test_whole_heaps_are_read(tmp_path, n):
    texts = [f"NGC {i}" * (i % 7) for i in range(n)]
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype(), shape=(n,))
        file.attrs["of"] = "HEAP GCOL"
        del file.attrs["of"]
    with open_hdf5(tmp_path / "texts.h5") as file:
        assert file["texts"].asstr()[()].tolist() == texts


@pytest.mark.parametrize("content", [HEAP, HEAP + b"\xff" * 8, HEAP + struct.pack("<Q", 2**63) + b"\1" * 20, b""])
def test_pixels_that_look_like_a_heap_are_none(tmp_path, content):
    pixels = np.frombuffer(content + bytes(-len(content) % 4) + bytes(b"\1" * 64), dtype="u1")
    with h5py.File(tmp_path / "pixels.h5", "w") as file:
        file["pixels"] = pixels
    with open_hdf5(tmp_path / "pixels.h5") as file:
        assert file["pixels"][()].tobytes() == pixels.tobytes()
