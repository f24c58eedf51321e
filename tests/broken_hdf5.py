# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files of cutouts that are wrong in one way, for tests and for fuzzing.

`REFUSED` holds the ways for which no file may be read, `ABSENT` those that only take the image of some rows. Each is a
function of a path, at which it writes a file of 4 galaxies; beside it, it may leave others.
"""

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

__all__ = ["ABSENT", "REFUSED", "SECRET", "N", "change_bytes", "half_a_row", "sound"]

N = 4
"""Galaxies of each file."""

SECRET = 37.25
"""Mean of the values in the files that no reader may follow a name to."""

_IMAGES = (N, 5, 64, 64)


def sound(path, *, leave_out=(), **options):
    """Write a file in which nothing is wrong, less some data sets; ``options`` are those of the images."""
    rng = np.random.default_rng(0)
    columns = {
        "e_bv": np.outer(np.full(N, 0.03), [4.239, 3.303, 2.285, 1.698, 1.263]),
        "ra": np.linspace(150, 151, N),
        "dec": np.linspace(2, 3, N),
        "ObjID": np.arange(N) + 10**18,
        "psf_fwhm": np.full((N, 5), 1.3),
        "flags": np.zeros(N, dtype=np.int32),
    }
    with h5py.File(path, "w") as file:
        file.attrs["simulated"] = False
        if "images" not in leave_out:
            file.create_dataset("images", data=rng.normal(0, 0.03, _IMAGES).astype("f4"), **options)
            file["images"].attrs["unit"] = "nanomaggy"
        for name, values in columns.items():
            if name not in leave_out:
                file[name] = values
    return path


def _with(name, make):
    """A file in which a data set is made in another way: ``make(file, name)``."""

    def write(path):
        sound(path, leave_out=(name,))
        with h5py.File(path, "r+") as file:
            make(file, name)

    return write


def _stored(shape, **options):
    return lambda file, name: file.create_dataset(name, shape, **options)


def _of_type(kind, shape):
    """A data set of a type of HDF5 that NumPy need not have."""

    def make(file, name):
        h5d.create(file.id, name.encode(), kind(), h5s.create_simple(shape))

    return make


def _array_type():
    return h5t.array_create(h5t.NATIVE_FLOAT, (3,))


def _compound():
    return h5t.py_create(np.dtype([("a", "f4"), ("b", "i4")]), logical=True)


def _references(file, name):
    shape = _IMAGES if name == "images" else (N,)
    file.create_dataset(name, shape, dtype=h5py.ref_dtype)


def _regions(file, name):
    file.create_dataset(name, (N,), dtype=h5py.regionref_dtype)


def _secrets(shape):
    return np.random.default_rng(3).normal(SECRET, 0.03, shape).astype("f4")


def _external(file, name):
    """Values of another file, as it lies there."""
    shape = _IMAGES if name == "images" else (N,)
    other = f"{file.filename}.raw"
    _secrets(shape).tofile(other)
    file.create_dataset(name, shape, dtype="f4", external=[(other, 0, h5py.h5f.UNLIMITED)])


def _other_file(file, name, shape):
    other = f"{file.filename}.other"
    with h5py.File(other, "w") as opened:
        opened.create_dataset(name, data=_secrets(shape), maxshape=(None, *shape[1:]))
    return other


def _virtual(file, name):
    shape = _IMAGES if name == "images" else (N,)
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    layout[...] = h5py.VirtualSource(_other_file(file, name, shape), name, shape=shape)
    file.create_virtual_dataset(name, layout)


def _virtual_here(file, name):
    """Values of another data set of the same file, by way of a virtual one."""
    file.create_dataset("elsewhere", data=_secrets(_IMAGES))
    layout = h5py.VirtualLayout(shape=_IMAGES, dtype="f4")
    layout[...] = h5py.VirtualSource(".", "elsewhere", shape=_IMAGES)
    file.create_virtual_dataset(name, layout)


def _external_link(file, name):
    file[name] = h5py.ExternalLink(_other_file(file, name, _IMAGES if name == "images" else (N,)), name)


def _by_way_of_a_link(file, name):
    """A soft link through a group that is a link to another file."""
    file["there"] = h5py.ExternalLink(_other_file(file, name, _IMAGES if name == "images" else (N,)), "/")
    file[name] = h5py.SoftLink(f"/there/{name}")


def _link(target):
    return lambda file, name: file.__setitem__(name, h5py.SoftLink(target))


def _circle(file, name):
    file["one"], file["two"] = h5py.SoftLink("/two"), h5py.SoftLink("/one")
    file[name] = h5py.SoftLink("/one")


def _filter(code):
    def make(file, name):
        made = h5p.create(h5p.DATASET_CREATE)
        made.set_chunk((1, *_IMAGES[1:]))
        made.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
        h5d.create(file.id, name.encode(), h5t.IEEE_F32LE, h5s.create_simple(_IMAGES), made)

    return make


def _empty(file, name):
    file.create_dataset(name, data=h5py.Empty("f4"))


def _named_type(file, name):
    file[name] = np.dtype("f8")


def _attribute(item, name, value):
    """A sound file with another attribute; ``value`` is a function of the file, or the value."""

    def write(path):
        sound(path)
        with h5py.File(path, "r+") as file:
            place = file[item]
            place.attrs.pop(name, None)
            place.attrs[name] = value(file) if callable(value) else value

    return write


def _many():
    return np.zeros(7000, dtype="i4")  # 28 kB: HDF5 keeps 64 kB beside a data set


_KINDS = {
    "a group": lambda file, name: file.create_group(name),
    "a named type": _named_type,
    "empty": _empty,
    "a scalar": lambda file, name: file.create_dataset(name, data=1.5),
    "of wrong shape": _stored((N, 3), dtype="f4"),
    "a table": _of_type(_compound, (N,)),
    "complex": _stored((N,), dtype="c8"),
    "lists": _stored((N,), dtype=h5py.vlen_dtype("f4")),
    "references": _references,
    "regions": _regions,
    "opaque": _of_type(lambda: h5t.create(h5t.OPAQUE, 8), (N,)),
    "bits": _of_type(lambda: h5t.STD_B32LE.copy(), (N,)),
    "times": _of_type(lambda: h5t.UNIX_D32LE.copy(), (N,)),
    "arrays": _of_type(_array_type, (N,)),
    "stored outside": _external,
    "virtual": _virtual,
    "a link to another file": _external_link,
    "a soft link to another file": _by_way_of_a_link,
    "a link to nothing": _link("/nowhere"),
    "a link to itself": lambda file, name: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
    "a circle of links": _circle,
    "a link into a data set": _link("/dec/more"),
}

REFUSED = {
    f"{name} {what}": _with(name, make)
    for name in ("images", "e_bv", "ra", "ObjID", "flags")
    for what, make in _KINDS.items()
    if not (name == "ra" and what == "a link into a data set")
}
"""Ways by which a file is refused: functions of a path, by what is wrong."""

REFUSED |= {
    "images of text": _with("images", _stored(_IMAGES, dtype="S8")),
    "images of names": _with("images", _stored(_IMAGES, dtype=h5py.string_dtype())),
    "images that are truths": _with("images", _of_type(lambda: h5t.STD_B8LE.copy(), _IMAGES)),
    "images that are virtual within the file": _with("images", _virtual_here),
    "channels last": _with("images", _stored((N, 64, 64, 5), dtype="f4")),
    "stamps too small": _with("images", _stored((N, 5, 63, 63), dtype="f4")),
    "stamps of a million pixels": _with("images", _stored((N, 5, 10**6, 10**6), dtype="f4")),
    "packed stamps of a million pixels": _with(
        "images", _stored((N, 5, 10**6, 10**6), dtype="f4", chunks=(1, 1, 64, 64), compression="gzip")
    ),
    "2**40 images": _with("images", _stored((2**40, 5, 64, 64), dtype="f4")),
    "2**40 packed images": _with(
        "images", _stored((2**40, 5, 64, 64), dtype="f4", chunks=(1, 5, 64, 64), compression="gzip")
    ),
    "2**40 redshifts": _with("specz_redshift", _stored((2**40,), dtype="f4")),
    "one row for all": _with("ra", _stored((1,), dtype="f4")),
    "more rows than images": _with("dec", _stored((N + 1,), dtype="f4")),
    "long names": _with("ObjID", _stored((N,), dtype="S1000000")),
    "a chunk of gigabytes": _with(
        "images",
        _stored((N, 5, 64, 64), dtype="f4", maxshape=(None, 5, 64, 64), chunks=(20_000, 5, 64, 64), compression="gzip"),
    ),
    "chunks across all rows": _with(
        "images", _stored((3000, 5, 64, 64), dtype="f4", chunks=(3000, 1, 1, 1), compression="gzip")
    ),
    "an unknown filter": _with("images", _filter(32_999)),
    "a unit that is none": _attribute("images", "unit", "furlong per fortnight"),
    "a unit of another kind": _attribute("images", "unit", "Jy"),
    "a unit that is a number": _attribute("images", "unit", 5.0),
    "a unit that is a reference": _attribute("images", "unit", lambda file: file["ra"].ref),
    "a unit that is a table": _attribute("images", "unit", np.zeros(1, dtype=[("a", "f4")])),
    "a unit of many": _attribute("images", "unit", lambda file: _many()),
    "a unit that is no text": _attribute("images", "unit", np.bytes_(b"\xff\xfe\x80")),
    "a unit of a column that is none": _attribute("ra", "unit", "parsec"),
    "a unit of a column that is a reference": _attribute("dec", "unit", lambda file: file["ra"].ref),
    "a mark of simulations that is a table": _attribute("/", "simulated", np.zeros(1, dtype=[("a", "f4")])),
    "a mark of simulations that is a reference": _attribute("/", "simulated", lambda file: file["ra"].ref),
}


def _unwritten(**options):
    def write(path):
        sound(path, leave_out=("images",))
        with h5py.File(path, "r+") as file:
            file.create_dataset("images", _IMAGES, dtype="f4", **options)

    return write


def _partly(path):
    """Two of the rows were never written."""
    _unwritten(chunks=(1, 5, 64, 64))(path)
    with h5py.File(path, "r+") as file:
        file["images"][1:3] = np.random.default_rng(1).normal(0, 0.03, (2, 5, 64, 64))


def half_a_row(path):
    """Of the rows 0 and 3, the band z was never written."""
    _unwritten(chunks=(1, 1, 64, 64), fillvalue=2.5)(path)
    with h5py.File(path, "r+") as file:
        images = np.random.default_rng(1).normal(0, 0.03, _IMAGES)
        file["images"][1:3] = images[1:3]
        for row in (0, 3):
            file["images"][row, :4] = images[row, :4]


def _damaged(**options):
    """The chunks of two rows are overwritten with something else."""

    def write(path):
        sound(path, chunks=(1, 5, 64, 64), **options)
        with h5py.File(path) as file:
            chunks = [file["images"].id.get_chunk_info(row) for row in (0, 3)]
        content = bytearray(path.read_bytes())
        for chunk in chunks:
            content[chunk.byte_offset : chunk.byte_offset + 2000] = b"\xa5" * 2000
        path.write_bytes(content)

    return write


ABSENT = {
    "never written": (_unwritten(), [0, 1, 2, 3]),
    "never written, in chunks": (_unwritten(chunks=(1, 5, 64, 64)), [0, 1, 2, 3]),
    "never written, packed": (_unwritten(chunks=(2, 5, 64, 64), compression="gzip"), [0, 1, 2, 3]),
    "filled with a constant": (_unwritten(fillvalue=0.5), [0, 1, 2, 3]),
    "filled with 1e30": (_unwritten(chunks=(1, 5, 64, 64), fillvalue=1e30), [0, 1, 2, 3]),
    "some never written": (_partly, [0, 3]),
    "damaged and packed": (_damaged(compression="gzip"), [0, 3]),
    "damaged, with check sums": (_damaged(fletcher32=True), [0, 3]),
}
"""Ways by which some rows lose their image: a function of a path, and the rows."""


def change_bytes(content, *, seed, most=8):
    """Change some bytes of a file, drawn at random, most of them among its descriptions at the start."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for _ in range(rng.integers(1, most + 1)):
        place = int(len(changed) * rng.random() ** 4)
        changed[place] = rng.integers(256)
    if rng.random() < 0.2:
        del changed[int(len(changed) * rng.random()) :]
    return bytes(changed)
