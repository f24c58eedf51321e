# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the table of colours that simulated stars and quasars have.

Numbers out of catalogues of ``../shared``. *FIELD_STARS*: r and g - i of all point sources of two fields, one of the
survey's catalogue (run 3900) and one of its Stripe 82 coadd (run 106), so that stars have the colours of a field, not
of what spectroscopy was made of; colours in the other bands follow from the stellar locus. *ODD_STARS*: colours of
stars with spectra that lie off the locus, or bluer than it begins: white dwarfs, horizontal-branch stars, subdwarfs,
pairs of white and red dwarfs. *QUASARS*: colours and redshift of quasars, of two catalogues. Colours are freed of our
Galaxy's extinction where it is known: not for the coadd's stars and one catalogue of quasars (0.1 mag in u - g, less in
the others). None of the real frames that this package is tested on is of these fields.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

import astro_photz
from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, R_UGRIZ
from astro_photz.simulate.population.points import locus_colours
from benchmarks.common.data import SHARED, require

OUTPUT = Path(astro_photz.__file__).parent / "data" / "simulation" / "point_sources.fits.gz"
CATALOGUES = SHARED / "catalogues"
SEED = 43
FAINTEST = 20.5  # of r
OFF_LOCUS = 0.25  # mag, in any colour but u - g, where it is twice as much
BLUEST = 0.3  # of g - i, where the locus begins
N_QUASARS = 4000
QUASAR_LIMITS = 0.1, 5.0  # of the redshift
REASONABLE = np.array([[-1.0, 6.0], [-0.8, 3.0], [-0.8, 2.5], [-0.8, 2.0]])  # colours; beyond, a measurement failed


def colours(magnitudes):
    """Colours u - g to i - z (N, 4) of magnitudes (N, 5)."""
    return -np.diff(magnitudes, axis=1)


def reasonable(values):
    """Rows of colours (N, 4) that can be true."""
    return ((values > REASONABLE[:, 0]) & (values < REASONABLE[:, 1])).all(axis=1)


def magnitudes_of(table, prefix=""):
    """Magnitudes (N, 5) of a table with a column for each band."""
    return np.stack([np.asarray(table[prefix + band], dtype=float) for band in BANDS], axis=1)


def field_stars():
    """r and g - i of the point sources of two fields."""
    field = Table.read(CATALOGUES / "photoObj-003900-6-0269.fits")
    field = field[(field["MODE"] == 1) & (field["OBJC_TYPE"] == 6) & (field["NCHILD"] == 0)]
    # listed with the extinction of DR8 to DR12, of the coefficients that went with it
    ebv = np.asarray(field["EXTINCTION"], dtype=float)[:, 2] / EXTINCTION_COEFFICIENTS["DR12"][2]
    shallow = np.asarray(field["PSFMAG"], dtype=float) - R_UGRIZ * ebv[:, None]
    coadd = Table.read(CATALOGUES / "coadd_catalog_94_1_12.fits")
    coadd = coadd[np.asarray(coadd["probpsf"]) == 1]
    together = np.concatenate([shallow, magnitudes_of(coadd, "psfmag_")])
    r, g_i = together[:, 2], together[:, 1] - together[:, 3]
    kept = (r > 13) & (r < FAINTEST) & reasonable(colours(together))
    return {"r": r[kept], "g_i": g_i[kept]}


def spectra(kind):
    """Objects of one class among those with spectra: dereddened magnitudes (N, 5), and redshifts (N,)."""
    table = Table.read(CATALOGUES / "sdss_dr14_spectra_10k.fits")
    table = table[np.asarray(table["class"]).astype(str) == kind]
    ebv = np.asarray(table["ebv_sfd_lowres"], dtype=float)
    return magnitudes_of(table) - R_UGRIZ * ebv[:, None], np.asarray(table["redshift"], dtype=float)


def odd_stars():
    """Colours of stars off the locus."""
    values = colours(spectra("STAR")[0])
    values = values[reasonable(values)]
    g_i = values[:, 1] + values[:, 2]
    off = np.abs(values - locus_colours(np.clip(g_i, BLUEST, None))) > OFF_LOCUS * np.array([2, 1, 1, 1])
    kept = values[off.any(axis=1) | (g_i < BLUEST)]
    return dict(zip(COLOUR_NAMES, kept.T, strict=True))


def quasars():
    """Colours and redshifts of quasars."""
    table = Table.read(CATALOGUES / "sdss_quasars_8k.fits")
    magnitudes, redshift = spectra("QSO")
    values = np.concatenate([colours(magnitudes_of(table)), colours(magnitudes)])
    redshift = np.concatenate([np.asarray(table["redshift"], dtype=float), redshift])
    kept = np.flatnonzero(reasonable(values) & (redshift > QUASAR_LIMITS[0]) & (redshift < QUASAR_LIMITS[1]))
    kept = np.sort(np.random.default_rng(SEED).choice(kept, N_QUASARS, replace=False))
    return dict(zip(COLOUR_NAMES, values[kept].T, strict=True)) | {"redshift": redshift[kept]}


COLOUR_NAMES = "u_g", "g_r", "r_i", "i_z"


def hdu(name, columns):
    """A table of whole thousandths."""
    table = Table({key: np.round(1000 * values).astype(np.int16) for key, values in columns.items()})
    made = fits.table_to_hdu(table)
    made.name = name
    made.header["COMMENT"] = "Unit of all columns: 0.001 mag, or 0.001 in redshift. Made by tools/make_point_sources.py"
    return made


def main():
    """Print what the tables hold, and write them if that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--write", action="store_true", help=f"replace {OUTPUT.name} in the package")
    arguments = parser.parse_args()
    require(CATALOGUES)
    tables = {"FIELD_STARS": field_stars(), "ODD_STARS": odd_stars(), "QUASARS": quasars()}
    for name, columns in tables.items():
        n = len(next(iter(columns.values())))
        middle = ", ".join(f"{key} {np.median(values):.2f}" for key, values in columns.items())
        print(f"{name}: {n}, medians {middle}")
    if arguments.write:
        hdus = [hdu(name, columns) for name, columns in tables.items()]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(OUTPUT, overwrite=True)
        print(f"wrote {OUTPUT.name}, {OUTPUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
