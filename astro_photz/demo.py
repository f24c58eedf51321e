# Licensed under a 3-clause BSD style license - see LICENSE
"""
The demonstration set: two dozen simulated galaxies that come with the package, and their redshifts.
"""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy.table import Table

from .cutouts import CutoutFile, Cutouts
from .inference.tables import predict
from .metrics import deviation, sigma_mad
from .utils._arrays import filled
from .utils._files import aside
from .utils._types import PathLike

__all__ = ["demo_path", "demo_verdict", "run_demo"]

_OUTLIER = 0.05  # of 1 + z, as in the literature on the SDSS main sample


def demo_path() -> Path:
    """
    Path of the demonstration set.

    It holds 24 simulated galaxies with the colours and redshifts of real ones that no bundled model was trained on, in
    the HDF5 layout of `~astro_photz.CutoutFile`.

    Returns
    -------
    `~pathlib.Path`

    Examples
    --------
    >>> import astro_photz
    >>> astro_photz.Cutouts.read(astro_photz.demo_path())
    <Cutouts of 24 galaxies, 5 x 64 x 64 pixels>
    """
    return Path(str(files("astro_photz"))) / "data" / "demo.h5"


def run_demo(folder: PathLike) -> tuple[Table, list[Path]]:
    """
    Estimate the redshifts of the demonstration set, and write them as a table and as a picture.

    Parameters
    ----------
    folder : str or path-like
        Folder for ``astro_photz_demo.ecsv`` and ``astro_photz_demo.png``; those of an earlier run are replaced.

    Returns
    -------
    table : `~astropy.table.Table`
        The galaxies with their true redshifts and the estimates.
    written : list of `~pathlib.Path`
        Without matplotlib, the table alone.
    """
    source = CutoutFile(demo_path())
    table = predict(source.catalog(), source=source)
    table.meta["comments"] = ["Simulated galaxies, drawn from the colours and redshifts of real ones."]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "astro_photz_demo.ecsv"]
    with aside(written[0]) as part:
        table.write(part, overwrite=True)
    if find_spec("matplotlib"):
        written.append(folder / "astro_photz_demo.png")
        with aside(written[1]) as part:
            _draw(source, table).savefig(part, dpi=110)
    return table, written


def demo_verdict(table: Table) -> str:
    """
    Judge the estimates of the demonstration set by the true redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `run_demo` returns it.

    Returns
    -------
    str
        A line: scatter (`~astro_photz.metrics.sigma_mad`), true redshifts within the 68 % interval, and the outliers by
        their identifiers: those that are off by more than 0.05 (1 + z).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_photz.demo import demo_verdict, run_demo
    >>> with TemporaryDirectory() as folder:
    ...     table, _ = run_demo(folder)
    >>> demo_verdict(table).startswith("These 24 galaxies are simulated: sigma_MAD ")
    True
    """
    off = deviation(table["z_phot"], table["redshift"])
    known = ~np.isnan(off)
    true, low, high = (filled(table[name])[known] for name in ("redshift", "z_phot_lo68", "z_phot_hi68"))
    within = np.count_nonzero((low <= true) & (true <= high))
    outliers = [str(name) for name in table["objid"][known & (np.abs(np.nan_to_num(off)) > _OUTLIER)]]
    named = f"galax{'y' if len(outliers) == 1 else 'ies'} {', '.join(outliers)}" if outliers else "none"
    n = np.count_nonzero(known)
    return (
        f"These {n} galaxies are simulated: sigma_MAD {sigma_mad(off[known]):.3f}, {within} of {n} "
        f"({100 * within / n:.0f} %) true redshifts within the 68 % interval, "
        f"outliers beyond {_OUTLIER} (1 + z): {named}"
    )


def _draw(source, table):
    from .plots.images import plot_galaxies

    model = table.meta["z_phot"]["model"]
    return plot_galaxies(
        Cutouts.read(source.path),
        table,
        true_redshift=table["redshift"],
        title=f"Simulated galaxies; redshifts by {model}, itself trained on simulated images",
    )
