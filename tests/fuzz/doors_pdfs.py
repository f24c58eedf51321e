# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors of redshift PDFs and of figures of merit.
"""

from functools import cache
from pathlib import Path

import numpy as np
from astropy.table import Table
from hypothesis import strategies as st

from astro_photz import RedshiftPDF, metrics
from astro_photz.dust import ebv_from_extinction, extinction_from_ebv
from astro_photz.utils._units import parse_unit

from .edits import byte_edits, edited_bytes, hostile, mostly
from .judging import Fault, Target

__all__ = ["TARGETS"]

_RIGHT_ROWS = st.sampled_from([[0.25, 0.5, 0.25, 0.0], [0.0, 0.0, 1.0, 0.0], [float("nan")] * 4, [0.25] * 4])
_NUMBER = mostly(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats() | hostile)
_ROW = mostly(_RIGHT_ROWS, st.lists(_NUMBER, min_size=4, max_size=4) | st.lists(_NUMBER, max_size=5))
_P = mostly(st.lists(_ROW, max_size=4), _ROW | hostile)
_RIGHT_EDGES = st.one_of(
    st.sampled_from([[0.0, 0.1, 0.2, 0.3, 0.4], {"start": 0.0, "stop": 0.4, "num": 5}]),
    st.lists(st.floats(-1, 1e3), min_size=5, max_size=5, unique=True).map(sorted),
)
_EDGES = mostly(
    _RIGHT_EDGES,
    st.one_of(
        st.lists(st.one_of(st.floats(0, 1), _NUMBER), max_size=6),
        st.dictionaries(st.sampled_from(["start", "stop", "num", "x"]), mostly(st.sampled_from([0.0, 0.4, 5]))),
        hostile,
    ),
)


def _check(pdf):
    n = len(pdf)
    gone = np.isnan(pdf.p).any(axis=1)
    if not (np.isnan(pdf.p).all(axis=1) == gone).all():
        raise Fault("a PDF is known in some bins only")
    for name, values in {"mean": pdf.mean(), "std": pdf.std(), "mode": pdf.mode(), "median": pdf.median()}.items():
        if values.shape != (n,) or not (np.isnan(values) == gone).all() or np.isinf(values).any():
            raise Fault(f"{name} is {values} for the PDFs {pdf.p.tolist()} on {pdf.edges.tolist()}")
    if not np.allclose(pdf.p[~gone].sum(axis=1), 1) or (pdf.p[~gone] < 0).any():
        raise Fault(f"PDFs do not sum to 1: {pdf.p.tolist()}")
    if n and not gone.all():
        z = np.full(n, 0.1)
        for values in (pdf.crps(z), pdf.pit(z), pdf.odds(), pdf.interval(0.68)[:, 0], pdf.sample(2, rng=0)[:, 0]):
            if not (np.isnan(values) == gone).all():
                raise Fault(f"a score is {values} for the PDFs {pdf.p.tolist()} on {pdf.edges.tolist()}")
    str(pdf), pdf._repr_html_()


def _made(given, folder):
    _check(RedshiftPDF(given["p"], given["edges"]))


def _from_table(given, folder):
    values = np.ma.masked_array(np.full((3, 4), 0.25), mask=given["masked"])
    if given["kind"] == "float32":
        values = values.astype(np.float32)
    elif given["kind"] == "objects":
        values = np.empty(3, dtype=object)
        values[:] = (given["rows"] + [None] * 3)[:3]
    elif given["kind"] == "other":
        values = [given["rows"]] * 3 if given["rows"] else [1, 2, 3]
    table = {"z_phot_pdf": values} if given["holder"] == "dict" else Table({"z_phot_pdf": values})
    if given["holder"] == "meta":
        table.meta["z_phot"] = {"z_edges": given["edges"]}
    elif given["holder"] == "description":
        table["z_phot_pdf"].info.description = given["said"]
    options = {"edges": given["edges"]} if given["holder"] in ("dict", "option") else {}
    pdf = RedshiftPDF.from_table(table, given["prefix"], **options)
    if len(pdf) != 3:
        raise Fault(f"{len(pdf)} PDFs of 3 rows")
    _check(pdf)


def _asked(given, folder):
    pdf = RedshiftPDF([[0.25, 0.5, 0.25, 0.0], [np.nan] * 4], [0.0, 0.1, 0.2, 0.3, 0.4])
    name, value = given["method"], given["value"]
    if name == "sample" and isinstance(value, int) and 10**5 < value < 2**31:
        value = 10**5  # whoever asks for a gigabyte gets it
    if name in ("odds",):
        pdf.odds(half_width=value)
    elif name == "index":
        pdf[value]
    elif name == "rng":
        pdf.sample(2, rng=value)
    else:
        getattr(pdf, name)(value)


@cache
def _qp_file():
    from tempfile import TemporaryDirectory

    from astro_photz.adapters.qp import write_qp

    with TemporaryDirectory() as folder:
        write_qp(f"{folder}/a.hdf5", RedshiftPDF([[0.25, 0.5, 0.25, 0.0]] * 3, [0, 0.1, 0.2, 0.3, 0.4]), ids=[1, 2, 3])
        return Path(f"{folder}/a.hdf5").read_bytes()


def _read_qp(given, folder):
    from astro_photz.adapters.qp import read_qp

    path = folder / "pdfs.hdf5"
    path.write_bytes(edited_bytes(_qp_file(), given["edits"]))
    if given["data"] is not None:
        _put(path, *given["data"])
    pdf, ids = read_qp(path)
    if ids is not None and len(ids) != len(pdf):
        raise Fault(f"{len(ids)} identifiers of {len(pdf)} PDFs")
    _check(pdf)


def _put(path, name, value):
    """Replace a data set of a file by other values, if h5py can hold them."""
    import h5py

    try:
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = np.array(value)
    except Exception:  # of a file that the edits broke, or values that it cannot hold
        pass


def _judged(given, folder):
    z, truth = given["z"], given["truth"]
    if given["function"] == "gaussian":
        scores = metrics.score_gaussian(z, given["error"], truth)
    elif given["function"] == "pdf":
        pdf = RedshiftPDF([[0.25, 0.5, 0.25, 0.0]] * 3, [0, 0.1, 0.2, 0.3, 0.4])
        scores = metrics.score(pdf, truth)
    else:
        scores = metrics.Scores(metrics.deviation(z, truth))
    metrics.summary(scores)


_COLUMN = mostly(
    st.lists(mostly(st.floats(0.001, 0.4), times=8), min_size=3, max_size=3), st.lists(hostile, max_size=3) | hostile
)


def _dusty(given, folder):
    if given["function"] == "extinction":
        ebv_from_extinction(given["values"], data_release=given["release"], strict=given["strict"])
    else:
        extinction_from_ebv(given["values"])


def _unit(given, folder):
    parse_unit(given)


_EXTINCTION = [0.5155, 0.3793, 0.2751, 0.2086, 0.1479]

TARGETS = (
    Target("pdf", st.fixed_dictionaries({"p": _P, "edges": _EDGES}), _made, (ValueError, TypeError), 2.0),
    Target(
        "pdf.table",
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["plain", "float32", "objects", "other"]),
                "masked": st.booleans(),
                "rows": st.lists(_ROW | hostile, max_size=3),
                "holder": st.sampled_from(["meta", "dict", "option", "description"]),
                "edges": _EDGES,
                "said": st.sampled_from(
                    [
                        "Probability in each of 4 bins of redshift from 0.0 to 0.4",
                        "Probability in each of 99999999999 bins of redshift from 0 to 1",
                        "Probability in each of 4 bins of redshift from nan to 1e999",
                        "Probability in each of 0 bins of redshift from a to b",
                        "",
                    ]
                ),
                "prefix": st.sampled_from(["z_phot", "z_phot", "z_phot", "other", ""]),
            }
        ),
        _from_table, (TypeError, KeyError, ValueError),
    ),
    Target(
        "pdf.methods",
        st.fixed_dictionaries(
            {
                "method": st.sampled_from(
                    ["cdf", "density", "quantile", "interval", "sample", "odds", "pit", "crps", "index", "rng"]
                ),
                "value": mostly(st.floats(0, 1) | st.integers(0, 3), hostile | st.lists(hostile, max_size=3), times=2),
            }
        ),
        _asked, (ValueError, TypeError, IndexError),
    ),
    Target(
        "pdf.qp",
        st.fixed_dictionaries(
            {
                "edits": byte_edits(2),
                "data": st.none()
                | st.tuples(
                    st.sampled_from(["meta/bins", "meta/pdf_name", "data/pdfs", "ancil/id", "ancil/estimated", "meta"]),
                    st.one_of(hostile, st.lists(st.floats()), _P, _EDGES),
                ),
            }
        ),
        _read_qp, (OSError, ValueError, KeyError, ImportError), 0.3, _qp_file,
    ),
    Target(
        "metrics",
        st.fixed_dictionaries(
            {
                "function": st.sampled_from(["gaussian", "pdf", "points"]),
                **dict.fromkeys(("z", "truth", "error"), _COLUMN),
            }
        ),
        _judged, (ValueError, TypeError), 0.5,
    ),
    Target(
        "dust",
        st.fixed_dictionaries(
            {
                "function": st.sampled_from(["extinction", "ebv"]),
                "values": st.one_of(
                    st.lists(st.one_of(st.just(_EXTINCTION), st.lists(_NUMBER, min_size=5, max_size=5)), max_size=3),
                    hostile, st.lists(hostile, max_size=3),
                ),
                "release": st.one_of(st.none(), st.sampled_from([12, 17]), hostile),
                "strict": st.booleans(),
            }
        ),
        _dusty, (ValueError, TypeError), 0.5,
    ),
    Target(
        "units",
        st.one_of(
            hostile, st.text(max_size=10),
            st.lists(st.sampled_from([*"degmsh0123456789^*/()[]-+. ", "**", "mag", "dex("]), max_size=12).map("".join),
        ),
        _unit, (ValueError,), 1.0,
    ),
)  # fmt: skip
