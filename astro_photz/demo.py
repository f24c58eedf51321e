# Licensed under a 3-clause BSD style license - see LICENSE
"""
The demonstration set: two dozen simulated galaxies that come with the package, and their redshifts.
"""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from astropy.table import Table

from .cutouts import CutoutFile, Cutouts
from .inference.tables import predict
from .utils._files import aside
from .utils._types import PathLike

__all__ = ["demo_path", "run_demo"]


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


def _draw(source, table):
    from .plots.images import plot_galaxies

    model = table.meta["z_phot"]["model"]
    return plot_galaxies(
        Cutouts.read(source.path),
        table,
        true_redshift=table["redshift"],
        title=f"Simulated galaxies; redshifts by {model}, itself trained on simulated images",
    )
