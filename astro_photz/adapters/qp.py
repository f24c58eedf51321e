# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshift PDFs to and from qp, the package in which LSST DESC and others exchange them.

qp describes N PDFs as an *ensemble*: histograms, interpolated densities, quantiles, mixtures of Gaussians and others,
with ancillary data such as identifiers. A `~astro_photz.RedshiftPDF` is one of its histograms; any other ensemble is
integrated over bins. The identifiers are the ancillary data ``id``, as in RAIL.

This module needs the extra ``[qp]``. (The package is called qp-prob in registries.)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._arrays import filled, identifiers, values_and_mask
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import aside, expanded
from astro_photz.utils._optional import optional
from astro_photz.utils._suggestions import advice, first_line
from astro_photz.utils._types import PathLike

from ._bins import MOST_OUTSIDE, probabilities

if TYPE_CHECKING:
    import qp

__all__ = ["ID_NAMES", "MOST_OUTSIDE", "from_qp", "read_qp", "to_qp", "write_qp"]

__doctest_requires__ = {"*": ["qp"]}

ID_NAMES = ("id", "ids", "object_id", "objectId", "objid", "objID")
"""Names of ancillary data that are taken for identifiers; the first one is what `to_qp` writes."""

_ESTIMATED = "estimated"


def to_qp(
    pdf: RedshiftPDF, ids: ArrayLike | None = None, *, ancil: Mapping[str, ArrayLike] | None = None
) -> qp.Ensemble:
    """
    Make an ensemble of qp, a histogram with the same bins.

    Row n of the ensemble is row n of the PDFs. qp has no missing rows: a galaxy without an estimate (a row of NaN) gets
    a flat PDF, and the ancillary data ``estimated`` are False there. Leave such rows out before you sum PDFs.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF`
        N PDFs in at least two bins.
    ids : array_like (N,), optional
        Identifiers of the galaxies: the ancillary data ``id``.
    ancil : `~astropy.table.Table` or mapping of str to array_like (N,), optional
        Further ancillary data, such as flags. Masked numbers become NaN.

    Returns
    -------
    `qp.Ensemble <qp.core.ensemble.Ensemble>`
        Of ``qp.hist``.

    Raises
    ------
    ImportError
        If qp is not there.
    TypeError
        If ``pdf`` is of another kind.
    ValueError
        If ``ids`` or ``ancil`` have another length, or take a name that is in use here; or if there is only one bin.

    Warns
    -----
    AstropyUserWarning
        If galaxies have no estimate.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.adapters.qp import to_qp
    >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3, 0.0], [0.0, 0.2, 0.4, 0.4]], [0.0, 0.1, 0.2, 0.3, 0.4])
    >>> ensemble = to_qp(pdf, ids=[1237653651835781245, 1237653651835781246])
    >>> ensemble
    Ensemble(the_class=hist,shape=(2, 4))
    >>> ensemble.median().ravel().round(4)
    array([0.1667, 0.275 ])
    >>> ensemble.ancil["id"]
    array([1237653651835781245, 1237653651835781246])
    """
    package = _package()
    if not isinstance(pdf, RedshiftPDF):
        raise TypeError(f"pdf must be a RedshiftPDF, such as RedshiftPDF.from_table(table); got {type(pdf).__name__}")
    if pdf.p.shape[1] < 2:
        raise ValueError("qp has histograms of two bins or more; this RedshiftPDF has one")
    estimated = ~np.isnan(pdf.p).any(axis=1)
    flat = 1 / (pdf.edges[-1] - pdf.edges[0])
    density = np.where(estimated[:, np.newaxis], pdf.p / pdf.widths, flat)
    if not estimated.all():
        warnings.warn(
            f"{(~estimated).sum()} of {len(pdf)} galaxies have no estimate: their PDFs are flat in the ensemble, and "
            f"its ancillary data {_ESTIMATED!r} are False there",
            AstropyUserWarning,
            stacklevel=2,
        )
    data = {"bins": pdf.edges, "pdfs": density}
    return package.Ensemble(package.hist, data=data, ancil=_ancillary(ids, ancil, estimated))


def from_qp(
    ensemble: qp.Ensemble, edges: ArrayLike | None = None, *, ids: str | None = None
) -> tuple[RedshiftPDF, np.ndarray | None]:
    """
    Make redshift PDFs of an ensemble of qp, whatever its parameterization.

    The probability in a bin is the difference of the cumulative distribution between its edges: exact for histograms,
    interpolated densities, and whatever has an exact cumulative distribution in qp, such as Gaussians and mixtures.
    Quantiles are joined by a monotonic cubic curve: that of qp (1.1) falls in places.

    Parameters
    ----------
    ensemble : `qp.Ensemble <qp.core.ensemble.Ensemble>`
        N PDFs.
    edges : array_like (K + 1,), optional
        Increasing edges of the bins in redshift. By default those of the ensemble: the bins of a histogram, the points
        of an interpolation; and where it has none, even bins of at most a quarter of the narrowest PDF's 68 % interval,
        at most 1000 of them, that leave out 1e-4 of a PDF on either side.
    ids : str, optional
        Name of the ancillary data that identify the galaxies; by default the first one of `ID_NAMES` that is there.

    Returns
    -------
    pdf : `~astro_photz.RedshiftPDF`
        In the order of the ensemble; a row of NaN where the ensemble is not finite, has no probability at all, or says
        by the ancillary data ``estimated`` that there is no estimate.
    ids : `~numpy.ndarray` (N,) or None
        Identifiers; None if there are none.

    Raises
    ------
    ImportError
        If qp is not there.
    KeyError
        If there are no ancillary data of that name.
    TypeError
        If ``ensemble`` is of another kind.
    ValueError
        If more than `MOST_OUTSIDE` of a PDF lies outside the bins, if densities are negative, if the edges do not
        increase, or if no bins can be found.

    Warns
    -----
    AstropyUserWarning
        If PDFs are not finite, without the ensemble saying that they are no estimates.

    Examples
    --------
    A Gaussian of another code, and its 16 % and 84 % quantiles:

    >>> import numpy as np, qp
    >>> from astro_photz.adapters.qp import from_qp
    >>> parameters = {"loc": np.array([0.1, 0.2]), "scale": np.array([0.01, 0.02])}
    >>> gaussians = qp.Ensemble(qp.stats.norm, data=parameters)
    >>> pdf, ids = from_qp(gaussians, np.linspace(0, 0.5, 201))
    >>> pdf
    <RedshiftPDF of 2 galaxies, 200 bins on 0 to 0.5>
    >>> pdf.quantile([0.16, 0.84]).round(3)
    array([[0.09, 0.11],
           [0.18, 0.22]])
    """
    package = _package()
    if not isinstance(ensemble, package.Ensemble):
        raise TypeError(f"ensemble must be a qp.Ensemble, such as qp.read gives; got {type(ensemble).__name__}")
    if len(ensemble.shape) != 2:
        raise ValueError(f"the ensemble must be a list of PDFs, not an array of the shape {ensemble.shape[:-1]}")
    ancil = ensemble.ancil or {}
    found = _identifiers(ancil, ids)
    estimated = np.ravel(np.asarray(ancil.get(_ESTIMATED, np.ones(ensemble.npdf)))).astype(bool)
    with _without_warnings():
        p, edges = probabilities(ensemble, edges)
    lost = np.isnan(p).any(axis=1) & estimated
    if lost.any():
        warnings.warn(
            f"{lost.sum()} of {len(p)} PDFs of the ensemble are not finite, that of row {np.argmax(lost)} for one: "
            "they are taken for galaxies without an estimate",
            AstropyUserWarning,
            stacklevel=2,
        )
    return RedshiftPDF(np.where(estimated[:, np.newaxis], p, np.nan), edges), found


def read_qp(
    path: PathLike, edges: ArrayLike | None = None, *, ids: str | None = None
) -> tuple[RedshiftPDF, np.ndarray | None]:
    """
    Read redshift PDFs from a file of qp.

    Parameters
    ----------
    path : str or path-like
        HDF5 or FITS, as ``Ensemble.write_to`` of qp, stages of RAIL and `write_qp` write it.
    edges, ids : optional
        As in `from_qp`.

    Returns
    -------
    pdf : `~astro_photz.RedshiftPDF`
    ids : `~numpy.ndarray` (N,) or None

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is none of qp.
    ImportError, KeyError, ValueError
        As in `from_qp`.

    Examples
    --------
    >>> import tempfile
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.adapters.qp import read_qp, write_qp
    >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3, 0.0]], [0.0, 0.1, 0.2, 0.3, 0.4])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_qp(f"{folder}/pdfs.hdf5", pdf, ids=["NGC 2967"])
    ...     again, ids = read_qp(f"{folder}/pdfs.hdf5")
    >>> again.p, ids
    (array([[0.1, 0.6, 0.3, 0. ]]), array(['NGC 2967'], dtype='<U8'))
    """
    package = _package()
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    _check_file(path)
    try:
        with _without_warnings():
            ensemble = package.read(str(path))
    except Exception as error:  # qp and the readers below it raise whatever they meet first
        raise ValueError(
            f"{path} is not a file of qp, or a broken one: {first_line(error.__cause__ or error)}"
        ) from error
    return from_qp(ensemble, edges, ids=ids)


def write_qp(
    path: PathLike,
    pdf: RedshiftPDF,
    ids: ArrayLike | None = None,
    *,
    ancil: Mapping[str, ArrayLike] | None = None,
    overwrite: bool = False,
) -> None:
    """
    Write redshift PDFs to a file of qp, in HDF5.

    Parameters
    ----------
    path : str or path-like
        Ends with ``.hdf5``: under other endings qp writes other formats.
    pdf, ids, ancil
        As in `to_qp`.
    overwrite : bool, optional
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    FileNotFoundError
        If there is no such folder.
    ImportError, TypeError, ValueError
        As in `to_qp`, which also warns alike; also for another ending.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.adapters.qp import read_qp, write_qp
    >>> pdf = astro_photz.RedshiftPDF([[0.1, 0.6, 0.3], [0.0, 0.2, 0.8]], [0.0, 0.1, 0.2, 0.3])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pdfs.hdf5"
    >>> write_qp(path, pdf, ids=["A", "B"])
    >>> read_qp(path)
    (<RedshiftPDF of 2 galaxies, 3 bins on 0 to 0.3>, array(['A', 'B'], dtype='<U1'))
    """
    path = expanded(path)
    if path.suffix != ".hdf5":
        raise ValueError(f"the name of a file of qp in HDF5 ends with .hdf5; got {path.name}")
    check_not_there(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent}")
    ensemble = to_qp(pdf, ids, ancil=ancil)
    with aside(path, overwrite=overwrite) as part:
        ensemble.write_to(str(part))


def _package() -> Any:
    return optional("qp", extra="qp", doing="the exchange of PDFs with qp")


@contextmanager
def _without_warnings():
    """Silence qp about rows that are not finite: `from_qp` tells them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="The distribution", category=UserWarning)
        yield


def _check_file(path):
    """Refuse HDF5 of another kind, before qp's readers say much about it."""
    import h5py

    from astro_photz.utils._hdf5 import check_whole, open_hdf5

    if not h5py.is_hdf5(path):
        return
    try:
        with open_hdf5(path) as file:
            check_whole(file)
            whole = "meta" in file and "data" in file
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py's, of broken files
        raise ValueError(f"{path} is not a file of qp, or a broken one: {first_line(error)}") from error
    if not whole:
        raise ValueError(f"{path} is not a file of qp: it has no groups meta and data")


# Ancillary data


def _ancillary(ids, ancil, estimated):
    """Collect the ancillary data of an ensemble."""
    given = {} if ancil is None else {name: ancil[name] for name in ancil.keys()}  # noqa: SIM118 - of a table too
    ours = {_ESTIMATED: estimated} | ({} if ids is None else {ID_NAMES[0]: ids})
    for name in ours.keys() & given.keys():
        raise ValueError(f"the ancillary data {name!r} are written here: give those of yours another name")
    columns = {name: _column(name, values) for name, values in (ours | given).items()}
    for name, values in columns.items():
        if values.shape[:1] != estimated.shape:
            raise ValueError(f"{name} must have one value for each of {len(estimated)} galaxies, got {values.shape}")
    return columns


def _column(name, values):
    """Plain values, as qp writes them: identifiers and text as such, NaN for masked numbers."""
    plain, mask = values_and_mask(values)
    if name == ID_NAMES[0] or plain.dtype.kind in "OUS":
        return identifiers(values)
    return filled(np.ma.array(plain, mask=mask)) if mask.any() else plain


def _identifiers(ancil, name):
    """Find the identifiers of an ensemble: None if there are none."""
    if name is None:
        name = next((known for known in ID_NAMES if known in ancil), None)
        if name is None:
            return None
    if name not in ancil:
        raise KeyError(f"no ancillary data {name!r}: {advice(name, ancil)}" if ancil else "no ancillary data at all")
    values = np.asarray(ancil[name])
    if values.ndim > 1:
        if values.size != len(values):
            raise ValueError(f"{name} must have one identifier for each PDF, got the shape {values.shape}")
        values = values.reshape(len(values))
    if values.dtype.kind in "OS":  # text, as some formats give it back
        values = np.array([value.decode() if isinstance(value, bytes) else value for value in values.tolist()])
    return values
