# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors of images: frames in FITS, cutouts in arrays, and estimates of their redshifts.
"""

import bz2
import gzip
import warnings
from functools import cache

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import strategies as st

import astro_photz
from astro_photz import Cutouts
from astro_photz.cutouts.frames import FrameError, read_frame, read_header
from astro_photz.flags import MISSING
from astro_photz.inference.analogue_columns import ANALOGUE_COLUMNS
from astro_photz.inference.columns import QUANTITIES
from astro_photz.sdss import FieldID
from astro_photz.testing.synthetic_frames import make_field
from astro_photz.testing.synthetic_sky import Geometry

from .doors_hdf5 import check_cutouts, galaxies
from .edits import byte_edits, edited_bytes, hostile, mostly
from .galaxies import columns, made_table
from .judging import Fault, Target

__all__ = ["TARGETS"]


@cache
def _frame():
    geometry = Geometry(ra=150.0, dec=2.0, shape=(40, 48))
    return make_field(FieldID(4207, 301, 3, 110), geometry, []).frame("r", compression=None)


_CARDS = st.tuples(
    st.sampled_from(
        [
            *("NAXIS", "NAXIS1", "NAXIS2", "BITPIX", "SIMPLE", "EXTEND", "CTYPE1", "CTYPE2", "CRPIX1", "CRVAL1"),
            *("CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "BSCALE", "BZERO", "BLANK", "CUNIT1", "RADECSYS", "END"),
            *("PV1_1", "SIMULATE", "ZIMAGE", "GROUPS", "PCOUNT", "XTENSION", "NMGY", "LONPOLE", "A_ORDER"),
        ]
    ),
    st.one_of(
        st.sampled_from(
            [
                *("2147483648", "-1", "0", "1E400", "NAN", "'RA---TAN'", "'RA---ZEA'", "'x", "T", "F", "1.5", "(1,2)"),
                *("99999999999999999999", "1E-320", "'GLON-CAR'", "'LINEAR'", "", "''", "16", "-64", "8", "3", "'é'"),
            ]
        ),
        st.integers(-(2**40), 2**40).map(str), st.floats().map(repr),
    ),
)  # fmt: skip


def _with_cards(content, cards):
    """Put cards in the place of those of the same name, or before the end."""
    for name, value in cards:
        card = f"{name[:8]:8s}= {value:>20s}".encode("latin-1", "replace")[:80].ljust(80)
        place = next((at for at in range(0, 5760, 80) if content[at : at + 8].strip() == name[:8].encode()), None)
        if place is None:
            place = next((at for at in range(80, 5760, 80) if content[at : at + 8].strip() in (b"END", b"")), 80)
        content = content[:place] + card + content[place + 80 :]
    return content


def _read_frame(given, folder):
    content = edited_bytes(_with_cards(_frame(), given["cards"]), given["edits"])
    pack = {"bz2": bz2.compress, "gz": gzip.compress}.get(given["packed"], bytes)
    path = folder / "frame-r-004207-3-0110.fits"
    path.write_bytes(edited_bytes(pack(content), given["packed edits"]))
    if given["part"] == "header":
        read_header(path)
        return
    coord = SkyCoord([150.0, np.nan], [2.0, np.nan], unit="deg") if given["part"] == "rows" else None
    frame = read_frame(path, coord=coord, size=16)
    if frame.image.ndim != 2 or frame.image.dtype != np.float32:
        raise Fault(f"an image has the shape {frame.image.shape} and the type {frame.image.dtype}")


# Cutouts in arrays, and estimates


_FILLS = st.sampled_from(
    [
        "sky",
        "sky",
        "zeros",
        "nan",
        "inf",
        "huge",
        "tiny",
        "constant",
        "negative",
        "one band",
        "half",
        "checked",
        "noise",
    ]
)
_ONE = mostly(st.floats(0, 0.3), times=6)


@st.composite
def _stamps(draw):
    n = draw(st.integers(0, 3))
    return {
        "n": n,
        "fills": [draw(_FILLS) for _ in range(n)],
        "dtype": draw(
            mostly(st.just("float32"), st.sampled_from(["float64", "int32", "float16", "complex", "object"]))
        ),
        "shape": draw(mostly(st.just("right"), st.sampled_from(["3d", "60 pixels", "oblong", "4 bands", "65 pixels"]))),
        "unit": draw(mostly(st.just(""), st.sampled_from(["nmgy", "Jy", "m", "mag"]))),
        "masked": draw(st.booleans()),
        "ebv": draw(mostly(st.floats(0, 0.3) | st.lists(_ONE, min_size=n, max_size=n), times=6)),
        "flags": draw(mostly(st.none(), st.lists(_ONE, min_size=n, max_size=n), times=2)),
        "ids": draw(st.none() | st.lists(hostile, min_size=n, max_size=n)),
        "target_xy": draw(
            mostly(st.none(), st.lists(st.lists(_ONE, min_size=2, max_size=2), min_size=n, max_size=n), times=2)
        ),
        "psf_fwhm": draw(
            mostly(st.none(), st.lists(st.lists(_ONE, min_size=5, max_size=5), min_size=n, max_size=n), times=2)
        ),
    }


def _pixels(fill, galaxy):
    y, x = np.indices(galaxy.shape[1:])
    made = {
        "zeros": 0 * galaxy, "nan": galaxy * np.nan, "inf": galaxy + np.where(x == 5, np.inf, 0), "huge": galaxy * 1e30,
        "tiny": galaxy * 1e-30, "constant": 0 * galaxy + 7, "negative": -galaxy,
        "half": np.where(x < 32, np.nan, galaxy),
        "checked": np.where((x + y) % 2, np.nan, galaxy), "noise": np.random.default_rng(0).normal(size=galaxy.shape),
    }  # fmt: skip
    if fill == "one band":
        return np.where(np.arange(5)[:, np.newaxis, np.newaxis] == 2, galaxy, np.nan)
    return made.get(fill, galaxy)


def _made_cutouts(given):
    size = {"60 pixels": 60, "65 pixels": 65}.get(given["shape"], 64)
    galaxy = galaxies().flux[0].astype(float)
    flux = np.stack([_pixels(fill, galaxy) for fill in given["fills"]]) if given["n"] else np.zeros((0, 5, 64, 64))
    if size != 64:
        flux = np.resize(flux, (given["n"], 5, size, size))
    flux = {"3d": flux[:, 0], "oblong": flux[:, :, :, :60], "4 bands": flux[:, :4]}.get(given["shape"], flux)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flux = flux.astype(given["dtype"])
    if given["masked"]:
        flux = np.ma.masked_array(flux, mask=np.zeros(flux.shape, dtype=bool))
    if given["unit"] and flux.dtype.kind in "fi":
        flux = np.ma.getdata(flux) * u.Unit(given["unit"])
    options = {name: given[name] for name in ("flags", "ids", "target_xy", "psf_fwhm")}
    return Cutouts(flux, ebv=given["ebv"], **options)


def _make_cutouts(given, folder):
    check_cutouts(_made_cutouts(given))


def _check_estimates(table, n, prefix="z_phot"):
    """Raise a `Fault` if a table of n rows has lost one, or has a number that is none without a mask and a flag."""
    if len(table) != n:
        raise Fault(f"{len(table)} rows of {n}")
    flags = np.asarray(table[f"{prefix}_flags"])
    ours = {f"{prefix}{end}" for end in (*QUANTITIES, *ANALOGUE_COLUMNS, "_ood", "_pdf")}
    for name in table.colnames:
        if name not in ours or table[name].dtype.kind != "f":
            continue
        mask = np.ma.getmaskarray(np.ma.asarray(table[name]))
        values = np.ma.getdata(np.ma.asarray(table[name]))
        if (~mask & ~np.isfinite(values)).any():
            raise Fault(f"{name} is not finite without a mask")
        gone = mask.any(axis=tuple(range(1, mask.ndim)))
        if name == prefix and ((flags[gone] & MISSING) == 0).any():
            raise Fault(f"{name} is masked without a flag that says why: {flags[gone]}")


def _prepare():
    astro_photz.predict(galaxies(), progress=False)


def _predict_cutouts(given, folder):
    cutouts = _made_cutouts(given)
    _check_estimates(astro_photz.predict(cutouts, progress=False), len(cutouts))


class _OneGalaxy:
    """A source whose stamps are always those of one galaxy."""

    name = "one galaxy"

    def batches(self, positions, *, size=64):
        from astro_photz.cutouts import Batch
        from astro_photz.cutouts.sources.protocol import without_image
        from astro_photz.flags import PhotozFlag

        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)
        rows = rows[positions.valid]
        if len(rows):
            cutouts = galaxies()[np.zeros(len(rows), dtype=int)].crop(size)
            if positions.ebv is not None:
                cutouts.ebv = positions.ebv[rows]
            yield Batch(rows, cutouts)


def _predict_table(given, folder):
    table = made_table(given["columns"], quantities=given["quantities"])
    prefix = given["prefix"]
    result = astro_photz.predict(table, source=_OneGalaxy(), prefix=prefix, pdf=given["pdf"], progress=False)
    _check_estimates(result, len(table), prefix)
    for name in table.colnames:
        if name not in result.colnames:
            raise Fault(f"the column {name!r} is lost")


TARGETS = (
    Target(
        "frames",
        st.fixed_dictionaries(
            {
                "cards": st.lists(_CARDS, max_size=3),
                "edits": byte_edits(2),
                "packed": st.sampled_from(["", "", "gz", "bz2"]),
                "packed edits": st.just([]) | byte_edits(2),
                "part": st.sampled_from(["header", "whole", "rows"]),
            }
        ),
        _read_frame, (FrameError,), 2.0,
    ),
    Target("cutouts.arrays", _stamps(), _make_cutouts, (TypeError, ValueError), 1.0),
    Target("predict.cutouts", _stamps(), _predict_cutouts, (TypeError, ValueError), 0.1, _prepare),
    Target(
        "predict.tables",
        st.fixed_dictionaries(
            {
                "columns": columns(most=5),
                "quantities": st.booleans(),
                "prefix": st.sampled_from(["z_phot", "z_phot", "z", "é", "a b"]),
                "pdf": st.booleans(),
            }
        ),
        _predict_table, (TypeError, ValueError, KeyError), 0.1, _prepare,
    ),
)  # fmt: skip
