# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies without an image that can be used, and what was in the way.
"""

from contextlib import closing

import numpy as np
from astropy.table import Table

from astro_photz.flags import MISSING
from astro_photz.flags import names as names_of
from astro_photz.tables import output_format, write_table
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import expanded

__all__ = ["Failures"]


class Failures:
    """
    Record of what went wrong with the images of N galaxies, to be written as a table.

    Parameters
    ----------
    path : str or path-like
        File of the table, in a format of astropy.
    n : int
    overwrite : bool, optional
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        If there is such a file, and ``overwrite`` is not set.
    ValueError
        If the format is unknown.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz.cutouts import Batch, Cutouts
    >>> from astro_photz.cutouts.failures import Failures
    >>> failures = Failures(pathlib.Path(tempfile.mkdtemp()) / "failed.csv", 2)
    >>> batches = (Batch(rows, Cutouts.blank(1), ("no such frame",)) for rows in [np.array([1])])
    >>> len(list(failures.noted(batches, np.arange(2))))
    1
    >>> failures.write(np.array([0, 4]), ids=None, coord=None)
    >>> print(failures.path.read_text().strip())
    row,flags,problem
    1,NO_IMAGE,no such frame
    """

    def __init__(self, path, n, *, overwrite=False):
        self.path, self._overwrite = expanded(path), overwrite
        self._form = output_format(self.path)
        check_not_there(self.path, overwrite=overwrite)
        self._problems = [""]
        self._of_row = np.zeros(n, dtype=np.int32)  # number of its problem: many galaxies share one

    def noted(self, batches, rows):
        """
        Yield batches, and note their problems.

        Parameters
        ----------
        batches : generator of `~astro_photz.cutouts.Batch`
        rows : `~numpy.ndarray` (M,) of int
            The galaxies that their rows count.

        Yields
        ------
        `~astro_photz.cutouts.Batch`
        """
        with closing(batches):
            for batch in batches:
                if batch.problems:
                    self._of_row[rows[batch.rows]] = len(self._problems)
                    self._problems.append("; ".join(batch.problems))
                yield batch

    def write(self, flags, *, ids, coord):
        """
        Write a line for each galaxy without an estimate.

        Parameters
        ----------
        flags : `~numpy.ndarray` (N,) of int32
            Bits of `~astro_photz.PhotozFlag`.
        ids : `~numpy.ndarray` (N,) or None
        coord : `~astropy.coordinates.SkyCoord` (N,) or None
        """
        rows = np.flatnonzero(flags & MISSING)
        table = Table({"row": rows})
        if ids is not None and not np.array_equal(ids, np.arange(len(flags))):  # or the rows have no other names
            table["id"] = np.asarray(ids)[rows]
        if coord is not None:
            table["ra"], table["dec"] = coord[rows].icrs.ra.deg, coord[rows].icrs.dec.deg
        table["flags"] = np.array(["|".join(names_of(value)) for value in flags[rows]], dtype=str)
        table["problem"] = np.array([self._problems[number] for number in self._of_row[rows]], dtype=str)
        write_table(table, self.path, format=self._form, overwrite=self._overwrite)
