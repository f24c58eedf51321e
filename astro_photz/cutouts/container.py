# Licensed under a 3-clause BSD style license - see LICENSE
"""
The container of images of galaxies, on which everything else works.
"""

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import ArrayLike

from astro_photz.dust import ebv_from_extinction, extinction_from_ebv
from astro_photz.flags import PhotozFlag
from astro_photz.utils._arrays import identifiers, integers
from astro_photz.utils._sky import direction_of, icrs_from_degrees
from astro_photz.utils._types import PathLike

from ._arguments import ebv_array, float_array, flux_array, provenance_table
from .hdf5.layout import MINIMUM_SIZE, PROVENANCE, is_simulated, open_cutouts, read_column, read_images
from .hdf5.writer import CutoutWriter
from .missing import missing_pixels

__all__ = ["Cutouts", "read_rows"]


class Cutouts:
    """
    Cutouts of N galaxies: stamps in *ugriz*, and the facts that an estimate of the redshift needs.

    All bands of a stamp lie on the same pixels, those of the *r* band (0.396 arcsec), with the galaxy within a pixel
    of the centre. The light is as observed: sky-subtracted, and *not* corrected for the dust of the Galaxy.

    Parameters
    ----------
    flux : array_like or `~astropy.units.Quantity` (N, 5, S, S)
        Flux in each pixel (nanomaggies), bands in the order *ugriz*; NaN where there is no image. S is at least 64.
        Pixels that hold no data otherwise become NaN: masked, infinite or impossible values, and regions of one value,
        since a real sky has noise.
    ebv : array_like or `~astropy.units.Quantity` (N,) or float
        Galactic reddening E(B-V) (mag), on the scale of SFD98; NaN, masked or -9999 where unknown.
    coord : `~astropy.coordinates.SkyCoord` (N,), optional
        Positions of the galaxies.
    ids : array_like (N,), optional
        Names or numbers of the galaxies; their places in the array by default. One that is masked becomes -1, or an
        empty text.
    target_xy : array_like (N, 2), optional
        Column and row of the galaxy in its stamp (pixels, the first pixel's centre at 0); the centre, (S - 1) / 2,
        by default.
    psf_fwhm : array_like or `~astropy.units.Quantity` (N, 5), optional
        Full width at half maximum of the point-spread function in each band (arcsec); NaN where unknown, as are widths
        of 0 or less.
    provenance : `~astropy.table.Table` (N,), optional
        Columns ``data_release``, ``run``, ``rerun``, ``camcol``, ``field`` of the frames; -1 where unknown.
    flags : array_like (N,) of int, optional
        Bits of `~astro_photz.PhotozFlag` that say what went wrong on the way to each image; 0 for nothing.
    simulated : bool, optional
        Whether any of the images is simulated. Files keep this mark, and models that are trained on the images, or
        tested with them, state it.

    Raises
    ------
    TypeError
        If ``flux`` does not hold real numbers.
    ValueError
        If a shape does not match, or a unit does not convert.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import Cutouts
    >>> sky = np.random.default_rng(0).normal(0, 0.03, (3, 5, 64, 64))
    >>> cutouts = Cutouts(sky, ebv=[0.02, 0.03, 0.05])
    >>> cutouts
    <Cutouts of 3 galaxies, 5 x 64 x 64 pixels>
    >>> len(cutouts[:2])
    2
    """

    def __init__(
        self,
        flux: ArrayLike | u.Quantity,
        *,
        ebv: ArrayLike | u.Quantity,
        coord: SkyCoord | None = None,
        ids: ArrayLike | None = None,
        target_xy: ArrayLike | None = None,
        psf_fwhm: ArrayLike | u.Quantity | None = None,
        provenance: Table | None = None,
        flags: ArrayLike | None = None,
        simulated: bool = False,
    ):
        self.flux = flux_array(flux)
        n = len(self.flux)
        self.ebv = ebv_array(ebv, n)
        if coord is not None and (not isinstance(coord, SkyCoord) or coord.shape != (n,)):
            raise ValueError(f"coord must be a SkyCoord of {n} positions, one a stamp; got {coord!r}")
        self.coord = coord
        self.ids = np.arange(n) if ids is None else identifiers(ids)
        if self.ids.shape != (n,):
            raise ValueError(f"ids must have the shape ({n},), one a stamp; got {self.ids.shape}")
        self.target_xy = float_array(target_xy, (n, 2), "target_xy")
        self.target_xy[np.isnan(self.target_xy)] = (self.size - 1) / 2
        self.psf_fwhm = float_array(psf_fwhm, (n, 5), "psf_fwhm", unit=u.arcsec)
        self.psf_fwhm[self.psf_fwhm <= 0] = np.nan
        self.provenance = provenance_table(provenance, n)
        self.flags = np.zeros(n, dtype=np.int32) if flags is None else integers(flags, unknown=0).astype(np.int32)
        if self.flags.shape != (n,):
            raise ValueError(f"flags must have the shape ({n},), one a stamp; got {self.flags.shape}")
        self.simulated = bool(simulated)

    @classmethod
    def blank(
        cls, n: int, *, size: int = MINIMUM_SIZE, coord: SkyCoord | None = None, ids: ArrayLike | None = None
    ) -> Self:
        """
        Make cutouts without an image, to be filled by assignment (``blank[rows] = cutouts``).

        Parameters
        ----------
        n : int
            Number of galaxies.
        size : int, optional
            Side of a stamp (pixels).
        coord, ids : optional
            As in `Cutouts`.

        Returns
        -------
        `Cutouts`
            With NaN for every flux and E(B-V).

        Examples
        --------
        >>> from astro_photz import Cutouts
        >>> Cutouts.blank(2)
        <Cutouts of 2 galaxies, 5 x 64 x 64 pixels>
        """
        if size < MINIMUM_SIZE:
            raise ValueError(f"size must be at least {MINIMUM_SIZE} pixels, what the models look at; got {size}")
        empty = cls(np.empty((0, 5, size, size), dtype=np.float32), ebv=np.empty(0))
        return empty._replaced(
            flux=np.full((n, 5, size, size), np.nan, dtype=np.float32),
            ebv=np.full(n, np.nan, dtype=np.float32),
            coord=coord,
            ids=np.arange(n) if ids is None else identifiers(ids),
            target_xy=np.full((n, 2), (size - 1) / 2, dtype=np.float32),
            psf_fwhm=np.full((n, 5), np.nan, dtype=np.float32),
            provenance=provenance_table(None, n),
            flags=np.zeros(n, dtype=np.int32),
        )

    def _replaced(self, **attributes):
        """Copy with other attributes, which are not checked."""
        other = copy.copy(self)
        other.__dict__.update(attributes)
        return other

    @property
    def size(self):
        """Side of a stamp (pixels), int."""
        return self.flux.shape[-1]

    def __len__(self):
        return len(self.flux)

    def __repr__(self):
        return f"<Cutouts of {len(self)} galaxies, 5 x {self.size} x {self.size} pixels>"

    def __getitem__(self, item):
        """Select galaxies by slice, mask or index; a single index gives a `Cutouts` of one."""
        if np.ndim(item) == 0 and not isinstance(item, slice):
            item = [item]
        own = {
            name: getattr(self, name)[item] for name in ("ebv", "ids", "target_xy", "psf_fwhm", "provenance", "flags")
        }
        if isinstance(item, slice):  # otherwise they are copies
            own = {name: values.copy() for name, values in own.items()}
        coord = None if self.coord is None else self.coord[item]
        return self._replaced(flux=self.flux[item], coord=coord, **own)  # pixels alone are shared

    def __setitem__(self, item, other):
        """Put the images of ``other`` in place, with all that was measured with them; ``coord`` and ``ids`` stay."""
        self.flux[item] = other.flux
        self.ebv[item] = other.ebv
        self.target_xy[item] = other.target_xy
        self.psf_fwhm[item] = other.psf_fwhm
        self.flags[item] = other.flags
        for name in PROVENANCE:
            self.provenance[name][item] = other.provenance[name]
        self.simulated |= other.simulated

    def without_filling(self) -> Self:
        """
        Put NaN where stamps hold no data: constants and impossible values.

        `Cutouts` does this when it is made; ``flux`` may have been changed since.

        Returns
        -------
        `Cutouts`
            The same object if all pixels hold data.
        """
        missing = missing_pixels(self.flux)
        return self._replaced(flux=np.where(missing, np.nan, self.flux)) if missing.any() else self

    def crop(self, size: int) -> Self:
        """
        Cut out the central part of each stamp.

        Parameters
        ----------
        size : int
            Side (pixels), at most that of the stamps. Stamps of 107 pixels are cut [21:85] to 64, as the authors of the
            reference method cut theirs.

        Returns
        -------
        `Cutouts`
            A view of the same pixels.
        """
        if not MINIMUM_SIZE <= size <= self.size:
            raise ValueError(f"size must lie between {MINIMUM_SIZE} and {self.size}, that of the stamps; got {size}")
        start = (self.size - size) // 2
        window = slice(start, start + size)
        cropped = self[:]
        return cropped._replaced(flux=self.flux[:, :, window, window], target_xy=self.target_xy - start)

    def datasets(self) -> dict[str, np.ndarray]:
        """
        Make the data sets of a file, all but the pixels.

        Returns
        -------
        dict of `~numpy.ndarray` (N, ...)
            By name: see :ref:`hdf5`.
        """
        datasets = {
            "e_bv": extinction_from_ebv(self.ebv, coefficients="DR12"),
            "ObjID": self.ids,
            "target_xy": self.target_xy,
            "psf_fwhm": self.psf_fwhm,
            "flags": self.flags,
        }
        if self.coord is not None:
            icrs = direction_of(self.coord)
            datasets |= {"ra": icrs.ra.deg, "dec": icrs.dec.deg}
        datasets |= {name: self.provenance[name] for name in PROVENANCE}
        return {name: np.asarray(values) for name, values in datasets.items()}

    def write(self, path: PathLike, *, overwrite: bool = False, dtype: str = "float32", **columns: ArrayLike) -> None:
        """
        Write an HDF5 file in the layout of the published data sets (``images``, ``e_bv``, ``ra``, ``dec``, ...).

        Parameters
        ----------
        path : str or path-like
        overwrite : bool, optional
            Replace a file that is there.
        dtype : {'float32', 'float16'}, optional
            Type of the pixels. float32 keeps them to the bit; float16 halves the file and rounds to 0.05 %.
        **columns : array_like (N, ...), optional
            More data sets, e.g. ``specz_redshift=z``.

        Raises
        ------
        FileExistsError
            If there is such a file and ``overwrite`` is not set.

        See Also
        --------
        astro_photz.cutouts.hdf5.writer.CutoutWriter : writes a file too large for memory.
        """
        with CutoutWriter(path, len(self), size=self.size, dtype=dtype, overwrite=overwrite) as writer:
            writer.append(self, **columns)

    @classmethod
    def read(cls, path: PathLike, *, rows: Sequence[int] | slice | None = None) -> Self:
        """
        Read an HDF5 file in the layout of the published data sets.

        Parameters
        ----------
        path : str or path-like
        rows : array_like (M,) of int, or slice, optional
            Rows to read; all by default.

        Returns
        -------
        `Cutouts`

        Raises
        ------
        OSError
            If there is no such file, it is not HDF5, or a data set but ``images`` is damaged.
        ValueError
            If a data set is missing, or is not as the layout has it.
        """
        with open_cutouts(path) as file:
            return read_rows(file, np.arange(len(file["images"]))[slice(None) if rows is None else rows])


def read_rows(file, rows):
    """
    Read cutouts from an open file.

    Parameters
    ----------
    file : `h5py.File`
        Of `~astro_photz.cutouts.hdf5.layout.open_cutouts`.
    rows : `~numpy.ndarray` (M,) of int
        In increasing order, for speed.

    Returns
    -------
    `Cutouts` (M,)
        Stamps that were never written, or cannot be read, have no image and the flag NO_IMAGE.
    """
    flux, absent = read_images(file, rows)
    # The columns are read as one slab, around the rows: for a batch of a large file, that is little more than the rows.
    first, last = (rows.min(), rows.max() + 1) if len(rows) else (0, 0)

    def column(name):
        values = read_column(file, name, slice(first, last))
        return None if values is None else values[rows - first]

    provenance = {name: column(name) for name in PROVENANCE}
    has_coord = "ra" in file and "dec" in file
    cutouts = Cutouts(
        flux,
        ebv=ebv_from_extinction(column("e_bv"), strict=False),
        coord=icrs_from_degrees(column("ra"), column("dec")) if has_coord else None,
        ids=column("ObjID"),
        target_xy=column("target_xy"),
        psf_fwhm=column("psf_fwhm"),
        provenance=None if any(values is None for values in provenance.values()) else Table(provenance),
        flags=column("flags"),
        simulated=is_simulated(file),
    )
    cutouts.flags[absent] |= PhotozFlag.NO_IMAGE
    return cutouts
