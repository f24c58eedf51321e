# Licensed under a 3-clause BSD style license - see LICENSE
"""
The result of a validation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from astropy.table import QTable, Table

from astro_photz.cutouts import Cutouts
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._types import PathLike

from .files import read_parts, write_parts
from .numbers import table_of
from .verdict import verdict_of

__all__ = ["Validation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """
    Photometric redshifts judged by true ones.

    Metrics are those of `~astro_photz.metrics.METRICS`, as far as the estimates allow, and ``n``; errors are those of
    `~astro_photz.metrics.bootstrap`. Only galaxies with a redshift and an estimate are in them.

    Parameters
    ----------
    sample : dict
        Facts about the galaxies. ``file``; ``redshift`` and ``estimate``, the names of the columns; ``kind``: "PDFs",
        "Gaussian PDFs" (of the estimate and its error), "intervals" or "point estimates"; ``n_rows``, ``n_redshift``,
        ``n_estimate``, ``n_used``, ``n_independent`` (groups), ``n_flagged``; ``not_used``, rows by the reason;
        ``grid`` and ``n_beyond_grid``, the range of the PDFs and how many redshifts it does not reach; ``simulated``,
        whether images are, or None; ``n_trained_on``, galaxies that the model was trained on, or None; ``model``, its
        ``name``, ``version`` and ``sha256``, or empty; ``model_at_hand``, whether that model could be asked what it was
        trained on, or None; ``paired_by``, the column of identifiers by which PDFs of a file were paired with the
        galaxies, or "row by row", or empty; ``columns``, where magnitudes and seeing are from;
        ``resamples`` and ``seed``; ``enough``, whether there are at least 30 independent galaxies.
    overall, errors : dict of float
        Metrics of all galaxies, and their errors.
    unflagged, unflagged_errors : dict of float
        The same of those without any flag; empty if no flags are known.
    bins : dict
        By ``r_mag``, ``z_phot``, ``ebv``, ``seeing``, as far as they are known: list of dict with ``low``, ``high``,
        metrics and ``errors``. ``by_flag``: dict of such dicts by the name of the flag.
    pit : list of int
        Histogram of the PIT in equal bins from 0 to 1; empty without PDFs.
    pit_ks_by_chance, pit_ad_by_chance : float or None
        Distances that one of twenty such samples of calibrated PDFs exceeds.
    coverage : dict of float
        Share of true redshifts in central intervals, by the nominal level.
    galaxies : `~astropy.table.QTable` (N,)
        All rows, in the order of the table: ``row``, ``id``, ``ra``, ``dec`` (deg), ``redshift``, ``z_phot``,
        ``z_phot_err``, ``z_phot_lo68``, ``z_phot_hi68``, ``deviation``, ``pit``, ``crps``, ``log_score``, ``flags``,
        ``r_mag`` and ``ebv`` (mag), ``seeing`` (arcsec), ``group``, ``used``, ``outlier``; masked where unknown.
    pdf : `~astro_photz.RedshiftPDF` (N,) or None
    stamps : `~astro_photz.Cutouts` or None
        Of the worst outliers, the worst first, at most 24; ``ids`` are their rows.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astro_photz import validate
    >>> rng = np.random.default_rng(1)
    >>> z = rng.uniform(0.05, 0.25, 500)
    >>> validation = validate(Table({"z_spec": z, "z_phot": z + rng.normal(0, 0.015, 500)}))
    >>> validation.sample["n_used"], round(validation.overall["sigma_mad"], 3)
    (500, 0.015)
    >>> len(validation.outliers)
    1
    """

    sample: dict
    overall: dict
    errors: dict
    galaxies: QTable
    unflagged: dict = field(default_factory=dict)
    unflagged_errors: dict = field(default_factory=dict)
    bins: dict = field(default_factory=dict)
    pit: list = field(default_factory=list)
    pit_ks_by_chance: float | None = None
    pit_ad_by_chance: float | None = None
    coverage: dict = field(default_factory=dict)
    pdf: RedshiftPDF | None = None
    stamps: Cutouts | None = None

    @property
    def outliers(self) -> QTable:
        """Rows of `galaxies` whose deviation exceeds 0.05, the worst first, `~astropy.table.QTable`."""
        rows = np.flatnonzero(np.asarray(self.galaxies["outlier"]))
        off = np.abs(np.ma.filled(self.galaxies["deviation"][rows], 0))
        return self.galaxies[rows[np.argsort(-off, kind="stable")]]

    @property
    def verdict(self) -> list[str]:
        """Plain sentences about what the numbers mean, and what they cannot tell, list of str."""
        return verdict_of(self)

    @property
    def table(self) -> Table:
        """
        Every number: ``subset``, ``quantity``, ``low``, ``high``, ``metric``, ``value``, ``error``, ``n``.

        `~astropy.table.Table`; ``quantity`` is empty for metrics that are not of a bin.
        """
        return table_of(self)

    def __repr__(self) -> str:
        return f"<Validation of {self.sample['estimate']}: {self.sample['n_used']} galaxies>"

    def write(self, path: PathLike, *, overwrite: bool = False) -> None:
        """
        Write the validation to one HDF5 file.

        Parameters
        ----------
        path : str or path-like
        overwrite : bool, optional
            Replace a file that is there.

        Raises
        ------
        FileExistsError
            If there is such a file and ``overwrite`` is not set.
        FileNotFoundError
            If there is no such folder.
        """
        write_parts(self, path, overwrite=overwrite)

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read a validation.

        Parameters
        ----------
        path : str or path-like
            File of `write`.

        Returns
        -------
        `Validation`

        Raises
        ------
        OSError
            If there is no such file, or it is not HDF5.
        ValueError
            If it is not a validation, is broken, or of a later form.
        """
        return cls(**read_parts(path))
