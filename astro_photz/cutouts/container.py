# Licensed under a 3-clause BSD style license - see LICENSE
"""
The images of galaxies that everything else works on.
"""

import copy

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.masked import Masked

from astro_photz.sdss import CAMCOLS
from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, identifiers, integers, numbers
from astro_photz.utils._units import own_unit

from .missing import missing_pixels

__all__ = ["Cutouts"]

MINIMUM_SIZE = 64
_LONG_NAMES = {u.mag: "magnitudes", u.arcsec: "arcseconds"}
PROVENANCE = ("data_release", "run", "rerun", "camcol", "field")


class Cutouts:
    """
    Stamps of N galaxies in *ugriz*, with what is needed to estimate their redshifts.

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
        What went wrong on the way to each image: bits of `~astro_photz.PhotozFlag`, 0 for nothing.
    simulated : bool, optional
        Whether any of the images is simulated. It goes into files, and is told wherever a model is trained or judged by
        them.

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
        flux,
        *,
        ebv,
        coord=None,
        ids=None,
        target_xy=None,
        psf_fwhm=None,
        provenance=None,
        flags=None,
        simulated=False,
    ):
        self.flux = _flux_array(flux)
        n = len(self.flux)
        self.ebv = _ebv_array(ebv, n)
        if coord is not None and (not isinstance(coord, SkyCoord) or coord.shape != (n,)):
            raise ValueError(f"coord must be a SkyCoord of {n} positions, one a stamp; got {coord!r}")
        self.coord = coord
        self.ids = np.arange(n) if ids is None else identifiers(ids)
        if self.ids.shape != (n,):
            raise ValueError(f"ids must have the shape ({n},), one a stamp; got {self.ids.shape}")
        self.target_xy = _float_array(target_xy, (n, 2), "target_xy")
        self.target_xy[np.isnan(self.target_xy)] = (self.size - 1) / 2
        self.psf_fwhm = _float_array(psf_fwhm, (n, 5), "psf_fwhm", unit=u.arcsec)
        self.psf_fwhm[self.psf_fwhm <= 0] = np.nan
        self.provenance = _provenance_table(provenance, n)
        self.flags = np.zeros(n, dtype=np.int32) if flags is None else integers(flags, unknown=0).astype(np.int32)
        if self.flags.shape != (n,):
            raise ValueError(f"flags must have the shape ({n},), one a stamp; got {self.flags.shape}")
        self.simulated = bool(simulated)

    @classmethod
    def blank(cls, n, *, size=MINIMUM_SIZE, coord=None, ids=None):
        """
        Stamps without an image, to be filled by assignment (``blank[rows] = cutouts``).

        Parameters
        ----------
        n : int
            Number of stamps.
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
            provenance=_provenance_table(None, n),
            flags=np.zeros(n, dtype=np.int32),
        )

    def _replaced(self, **attributes):
        """A copy with other attributes, which are taken as they are: what was checked once need not be again."""
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
        """Some of the stamps, by slice, mask or index; a single index gives a `Cutouts` of one."""
        if np.ndim(item) == 0 and not isinstance(item, slice):
            item = [item]
        own = {
            name: getattr(self, name)[item].copy()
            for name in ("ebv", "ids", "target_xy", "psf_fwhm", "provenance", "flags")
        }
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

    def without_filling(self):
        """
        Put NaN where stamps hold no data: constants and impossible values.

        What comes as an array is looked at when it comes; ``flux`` may have been changed since.

        Returns
        -------
        `Cutouts`
            Itself, if there is nothing to be done.
        """
        missing = missing_pixels(self.flux)
        return self._replaced(flux=np.where(missing, np.nan, self.flux)) if missing.any() else self

    def crop(self, size):
        """
        The central part of each stamp.

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

    def write(self, path, *, overwrite=False, dtype="float32", **columns):
        """
        Write an HDF5 file in the layout of the published data sets (``images``, ``e_bv``, ``ra``, ``dec``, ...).

        Parameters
        ----------
        path : str or path-like
        overwrite : bool, optional
            Replace a file that is there.
        dtype : {'float32', 'float16'}, optional
            Of the pixels. float32 gives back what was written to the bit; float16 halves the file and rounds to 0.05 %.
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
        from .hdf5.writer import CutoutWriter

        with CutoutWriter(path, len(self), size=self.size, dtype=dtype, overwrite=overwrite) as writer:
            writer.append(self, **columns)

    @classmethod
    def read(cls, path, *, rows=None):
        """
        Read an HDF5 file in the layout of the published data sets.

        Parameters
        ----------
        path : str or path-like
        rows : array_like (M,) of int, optional
            Rows to read; all by default.

        Returns
        -------
        `Cutouts`

        Raises
        ------
        OSError
            If the file is not HDF5.
        ValueError
            If a data set that is needed is not there.
        """
        from .hdf5.layout import open_cutouts, read_rows

        with open_cutouts(path) as file:
            return read_rows(file, np.arange(len(file["images"]))[slice(None) if rows is None else rows])


def _flux_array(flux):
    if isinstance(flux, u.Quantity):
        try:
            flux = flux.to_value(u.nmgy)
        except u.UnitConversionError:
            raise ValueError(f"flux has the unit {flux.unit}, which does not convert to nanomaggies (nmgy)") from None
    flux = np.asanyarray(flux)
    if flux.dtype.kind not in "fiu":
        raise TypeError(f"flux must hold real numbers (float32, nanomaggies), got dtype {flux.dtype}")
    if flux.ndim != 4 or flux.shape[1] != 5 or flux.shape[2] != flux.shape[3]:
        raise ValueError(
            f"flux must have the shape (N, 5, S, S): galaxies, the bands ugriz, rows, columns; got {flux.shape}. "
            "A missing band is a plane of NaN; a single galaxy is flux[np.newaxis]."
        )
    if flux.shape[2] < MINIMUM_SIZE:
        raise ValueError(f"flux must have at least {MINIMUM_SIZE} x {MINIMUM_SIZE} pixels a band, got {flux.shape}")
    if isinstance(flux, np.ma.MaskedArray | Masked):
        flux = flux.astype(np.float32).filled(np.nan)
    flux = np.asarray(flux, dtype=np.float32)
    missing = missing_pixels(flux)
    return np.where(missing, np.nan, flux) if missing.any() else flux


def _ebv_array(ebv, n):
    unit = _checked_unit(ebv, "ebv", u.mag)
    ebv = numbers(ebv, unit=unit, sentinels=SENTINELS + POSITIVE_SENTINELS).astype(np.float32)
    if ebv.shape not in ((), (n,)):
        raise ValueError(f"ebv must be one number or have the shape ({n},), one a stamp; got {ebv.shape}")
    return np.array(np.broadcast_to(ebv, n))


def _float_array(values, shape, name, *, unit=None):
    if values is None:
        return np.full(shape, np.nan, dtype=np.float32)
    values = numbers(values, unit=_checked_unit(values, name, unit)).astype(np.float32)
    if values.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {values.shape}")
    return values


def _checked_unit(values, name, unit):
    own = None if unit is None else own_unit(values)
    if own is not None and not own.is_equivalent(unit):
        raise ValueError(f"{name} has the unit {own}, which does not convert to {_LONG_NAMES[unit]} ({unit})")
    return unit


def _provenance_table(provenance, n):
    if provenance is None:
        return Table({name: np.full(n, -1, dtype=np.int32) for name in PROVENANCE})
    missing = [name for name in PROVENANCE if name not in provenance.colnames]
    if missing or len(provenance) != n:
        raise ValueError(f"provenance must be a Table of {n} rows with the columns {', '.join(PROVENANCE)}")
    columns = {name: integers(provenance[name]).astype(np.int32) for name in PROVENANCE}
    columns["camcol"][~np.isin(columns["camcol"], CAMCOLS)] = -1
    return Table(columns)
