# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the table of real galaxies with measured light that simulated galaxies are drawn from.

Numbers out of four catalogues, of ``../shared`` and of kcorrect's: model magnitudes, freed of our Galaxy's extinction
by the coefficients of Schlafly & Finkbeiner (2011) as well as E(B-V) is known; their errors, by those of galaxies as
bright where none are listed; spectroscopic redshifts. A galaxy that two catalogues have by the same position, or by the
same numbers as well as two reductions agree, is kept once (with some that are only alike). Galaxies of BOSS are left
out: the colours that are listed for them are in another system, as the tool prints.

Each galaxy belongs to one split. The odd rows of the main sample are for tests alone, as is a tenth of each other
catalogue (kcorrect's: the simulation's own split). The density (extreme deconvolution, by pygmmis: ``pip install
pygmmis``) and the weights are fitted to the training galaxies. The weights are the odds by which a logistic regression
tells the even rows of the main sample from all of them (Qin 1998, Biometrika 85, 619).
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture as Start
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import astro_photz
from astro_photz.photometry import r_magnitude
from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.density import GaussianMixture
from astro_photz.simulate.population.measured import (
    MEASURED_TO,
    ORIGINS,
    MeasuredGalaxies,
    magnitudes_of,
    template_light,
    values_of,
)
from astro_photz.simulate.population.progenitors import SPLITS, load_progenitors
from benchmarks.common.data import SHARED, require

OUTPUT = Path(astro_photz.__file__).parent / "data" / "simulation" / "measured_galaxies.fits.gz"
SEED = 41
REDSHIFTS = 0.003, 0.45
COLOURS = np.array([[-0.2, 4.0], [-0.2, 2.2], [-0.3, 1.2], [-0.5, 0.9]])  # beyond these a measurement is wrong
LARGEST_ERROR = 1.0  # mag
KNOWN_TO_BE = 20.0  # of r: fainter ones are of no use here
SCALE = np.array([0.05, 1.0, 0.3, 0.2, 0.08, 0.08])  # of the values, for the fit
TESTED = {"validation": 0.1, "test": 0.1}
SAME_REDSHIFT = 2e-6, 3e-5  # of one reduction, and of two
SAME_PLACE = 1 * u.arcsec
EBV_SCATTER = 0.03  # mag
OLD_COEFFICIENTS = EXTINCTION_COEFFICIENTS["DR12"]
TEMPLATES = [f"template_{number}" for number in range(5)]
NAMES = "origin", "split"  # by their number
STEPS = {"ra": 0.01, "dec": 0.01, "redshift": 1e-5, "ebv": 1e-4, "weight": 5e-3}
UNKNOWN = -(2**15)
DESCRIPTION = """\
Real galaxies with spectroscopic redshifts: model magnitudes in ugriz, free of
our Galaxy's extinction (Schlafly & Finkbeiner 2011 coefficients), and errors,
out of four catalogues of SDSS: 5,000 galaxies of the Main Galaxy Sample (test
data of MLZ), 10,000 that come with kcorrect, galaxies of a SkyServer query with
u < 20, and of spectra of DR14 with u < 19.6. Public data of the Sloan Digital
Sky Survey. Where E(B-V) is not known, it is below 0, and magnitudes are freed of
its mean. Shares of kcorrect's templates in the light, and frequencies in the
Main Galaxy Sample relative to those here. The density is of redshift, r and
colours, free of the errors. Made by tools/make_measured_galaxies.py."""


def listed(table, names):
    """Columns of a table of any shape as an array (N, len(names))."""
    return np.stack([np.asarray(table[name], dtype=float).reshape(len(table)) for name in names], axis=1)


def galaxies(magnitude, redshift, *, error, origin, ebv=np.nan, ra=np.nan, dec=np.nan, split=""):
    """One catalogue's galaxies: magnitudes free of extinction."""
    columns = {band: magnitude[:, number] for number, band in enumerate(BANDS)}
    columns |= {f"error_{band}": error[:, number] for number, band in enumerate(BANDS)}
    table = Table(columns | {"redshift": redshift})
    for name, value in {"ebv": ebv, "ra": ra, "dec": dec, "split": split}.items():
        table[name] = np.broadcast_to(value, len(table))
    table["origin"] = ORIGINS.index(origin)
    return table


def drawn_splits(n, rng):
    """Splits (n,) of a catalogue whose galaxies are drawn into them."""
    return rng.choice([*TESTED, "train"], size=n, p=[*TESTED.values(), 1 - sum(TESTED.values())])


def main_sample(ebv, rng):
    """The main sample's catalogue: freed of extinction by the coefficients of DR12, of unknown E(B-V)."""
    table = Table.read(require(SHARED / "catalogues" / "mgs_ugriz_specz_5000.ecsv"))
    magnitude = listed(table, [f"dered_mag_{band}" for band in BANDS])
    split = np.where(rng.random(len(table)) < TESTED["validation"], "validation", "train")
    split = np.where(np.arange(len(table)) % 2, "test", split)
    return galaxies(
        magnitude + ebv * (OLD_COEFFICIENTS - R_UGRIZ),
        listed(table, ["z_spec"])[:, 0],
        error=listed(table, [f"mag_err_{band}" for band in BANDS]),
        origin="main sample",
        split=split,
    )


def kcorrect():
    """Kcorrect's galaxies, by their model fluxes."""
    progenitors = load_progenitors()
    flux = np.asarray(progenitors.table["MODELFLUX"], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = ZERO_POINT - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
        error = 2.5 / np.log(10) / np.sqrt(np.asarray(progenitors.table["MODELFLUX_IVAR"], dtype=float)) / flux
    table = galaxies(
        magnitude - R_UGRIZ * progenitors.ebv[:, None],
        progenitors.redshift,
        error=error,
        origin="kcorrect",
        ebv=progenitors.ebv,
        ra=progenitors.ra,
        dec=progenitors.dec,
        split=progenitors.split,
    )
    return table[progenitors.usable]


def skyserver(name, error_of, rng, *, origin, ebv=None):
    """Galaxies whose magnitudes are listed with our Galaxy's extinction, of known or of mean E(B-V)."""
    table = Table.read(require(SHARED / "catalogues" / name))
    if "class" in table.colnames:
        table = table[np.char.strip(np.asarray(table["class"]).astype(str)) == "GALAXY"]
    magnitude = listed(table, BANDS)
    own = {name: np.asarray(table[name], dtype=float) for name in ("ra", "dec") if name in table.colnames}
    if ebv is None:
        own["ebv"] = ebv = np.asarray(table["ebv_sfd_lowres"], dtype=float)
    free = magnitude - np.multiply.outer(np.broadcast_to(ebv, len(table)), R_UGRIZ)
    split = drawn_splits(len(table), rng)
    redshift = listed(table, ["redshift"])[:, 0]
    return galaxies(free, redshift, error=error_of(magnitude), origin=origin, split=split, **own)


def error_model(table):
    """A function that tells errors (N, 5) by magnitudes, as those of a catalogue that lists them."""
    magnitude, error = listed(table, BANDS), listed(table, [f"error_{band}" for band in BANDS])
    fits = [np.polynomial.Polynomial.fit(*pair, deg=2) for pair in zip(magnitude.T, np.log(error.T), strict=True)]
    limits = np.percentile(magnitude, [0.5, 99.5], axis=0).T

    def errors(magnitudes):
        clipped = (np.clip(one, *within) for one, within in zip(magnitudes.T, limits, strict=True))
        fainter = 10 ** (0.4 * np.clip(magnitudes - limits[:, 1], 0, None))  # as the sky's noise grows
        return np.exp(np.stack([fit(one) for fit, one in zip(fits, clipped, strict=True)], axis=1)) * fainter

    return errors


def same_numbers(table, other, within):
    """
    Mask the rows of another catalogue that a table has as well.

    Their redshifts agree ``within`` a difference, their magnitudes to the errors of two reductions, but for the
    extinction of some E(B-V).
    """
    (magnitude, redshift), (others, other_redshift) = (
        (listed(one, BANDS), np.asarray(one["redshift"])) for one in (table, other)
    )
    order = np.argsort(other_redshift)
    first, last = (np.searchsorted(other_redshift[order], redshift + sign * within) for sign in (-1, 1))
    tolerance = np.array([0.05, 0.02, 0.02, 0.02, 0.04])
    same = np.zeros(len(others), dtype=bool)
    slope = R_UGRIZ / tolerance
    for row in np.flatnonzero(last > first):
        rows = order[first[row] : last[row]]
        difference = (others[rows] - magnitude[row]) / tolerance
        ebv = np.clip(difference @ slope / (slope @ slope), -3 * EBV_SCATTER, 5 * EBV_SCATTER)
        same[rows] |= np.sqrt(np.mean((difference - ebv[:, None] * slope) ** 2, axis=1)) < 1
    return same


def collected(rng):
    """All galaxies, each once."""
    own = kcorrect()
    errors = error_model(main_sample(0.0, np.random.default_rng(0)))
    dr14 = skyserver("sdss_dr14_spectra_10k.fits", errors, rng, origin="DR14")
    ebv = float(np.mean(dr14["ebv"]))  # of the same survey, selected alike
    main = main_sample(ebv, rng)
    others = skyserver("sdss_ugriz_specz_41k.fits", errors, rng, origin="SkyServer", ebv=ebv)

    alike, reduced_again = SAME_REDSHIFT
    dr14 = dr14[~same_numbers(main, dr14, alike)]
    place, known = (SkyCoord(table["ra"], table["dec"], unit=u.deg) for table in (dr14, own))
    dr14 = dr14[place.match_to_catalog_sky(known)[1] > SAME_PLACE]
    own = own[~same_numbers(main, own, reduced_again)]
    for table, within in ((main, alike), (dr14, alike), (own, reduced_again)):
        others = others[~same_numbers(table, others, within)]
    print(f"the mean E(B-V) of DR14's galaxies is {ebv:.4f}, its scatter {np.std(dr14['ebv']):.4f}")
    return vstack([main, own, others, dr14])


def print_boss(table):
    """Colours of luminous red galaxies of BOSS beside those of the others as far away."""
    boss = Table.read(require(SHARED / "catalogues" / "boss_dr10_ugriz_specz.fits"))
    free = listed(boss, BANDS) - np.nanmean(table["ebv"]) * R_UGRIZ
    both = {"BOSS": values_of(free, np.asarray(boss["redshift"], dtype=float))}
    both["the others"] = values_of(listed(table, BANDS), np.asarray(table["redshift"]))
    for name, values in both.items():
        redshift, r, _, red, *_ = values.T
        alike = (np.abs(redshift - 0.16) < 0.02) & (red > 1.05) & (np.abs(r - 17.6) < 0.4)
        colours = ", ".join(f"{colour:.3f}" for colour in np.median(values[alike, 2:], axis=0))
        print(f"red galaxies at z = 0.16, r = 17.2 to 18, {alike.sum()} of {name}: u-g, g-r, r-i, i-z {colours}")


def possible(table):
    """Mask of the galaxies whose numbers can be right."""
    values, error = (
        values_of(listed(table, BANDS), np.asarray(table["redshift"])),
        listed(table, [f"error_{band}" for band in BANDS]),
    )
    within = ((values[:, 2:] > COLOURS[:, 0]) & (values[:, 2:] < COLOURS[:, 1])).all(axis=1)
    redshift, r = values[:, 0], values[:, 1]
    within &= (redshift > REDSHIFTS[0]) & (redshift < REDSHIFTS[1]) & (r < KNOWN_TO_BE)
    return within & np.isfinite(error).all(axis=1) & (error < LARGEST_ERROR).all(axis=1)


def fitted_density(galaxies, components, rounds):
    """Density of the training galaxies' true values."""
    import pygmmis

    rows = np.flatnonzero(galaxies.split == "train")
    values, noise = galaxies.values[rows] / SCALE, galaxies.noise(rows) / np.outer(SCALE, SCALE)
    start = Start(components, max_iter=10, random_state=SEED, reg_covar=1e-4).fit(values)
    mixture = pygmmis.GMM(K=components, D=values.shape[1])
    mixture.amp[:], mixture.mean[:], mixture.covar[:] = start.weights_, start.means_, start.covariances_
    options = {"init_method": "none", "cutoff": 6, "w": 1e-4, "tol": 1e-4, "maxiter": rounds}
    pygmmis.fit(mixture, values, covar=noise, rng=np.random.RandomState(SEED), **options)
    held = np.flatnonzero(galaxies.split == "validation")
    found = mixture.logL(galaxies.values[held] / SCALE, covar=galaxies.noise(held) / np.outer(SCALE, SCALE))
    print(f"{components} components: mean log likelihood of {len(held)} validation galaxies {found.mean():.3f}")
    return GaussianMixture(mixture.amp, mixture.mean * SCALE, mixture.covar * np.outer(SCALE, SCALE))


def template_fits(galaxies, density):
    """Shares of the templates in the light (N, 5), absolute magnitude and rest-frame colour of the expected light."""
    expected = density.expect_true(galaxies.values, galaxies.noise(np.arange(len(galaxies.values))))
    flux = 10 ** (0.4 * (ZERO_POINT - magnitudes_of(expected)))
    progenitors = load_progenitors()
    share = progenitors.fit(flux, galaxies.redshift) * template_light()
    rest = progenitors.rest_flux(flux, galaxies.redshift)
    return share / share.sum(axis=1, keepdims=True), r_magnitude(rest[:, 2]), 2.5 * np.log10(rest[:, 2] / rest[:, 1])


def weights(galaxies):
    """Frequency (N,) in the main sample over that in the table, 0 for galaxies beyond its limit."""
    within = galaxies.r < MEASURED_TO
    train = within & (galaxies.split == "train")
    reference = train & (galaxies.origin == ORIGINS.index("main sample"))
    values = galaxies.values
    terms = np.column_stack(
        [values[:, 0], values[:, 1], values[:, 3], values[:, 2] + values[:, 3], galaxies.absolute_magnitude]
    )
    regression = make_pipeline(
        StandardScaler(), PolynomialFeatures(3), StandardScaler(), LogisticRegression(C=0.3, max_iter=3000)
    )
    which = np.repeat([0, 1], [train.sum(), reference.sum()])
    regression.fit(np.vstack([terms[train], terms[reference]]), which)
    odds = np.exp(regression.decision_function(terms))
    weight = np.where(within, odds / odds[train].mean(), 0)
    spread = weight[train].sum() ** 2 / (weight[train] ** 2).sum()
    print(f"{train.sum()} training galaxies to r = {MEASURED_TO} are worth {spread:.0f} of equal weight")
    return np.minimum(weight, np.percentile(weight[train], 99.9))


def packed(name, values):
    """Values as 16-bit integers, in small steps, the least where there is none; the step, and the value at 0."""
    step = STEPS.get(name, 1e-3)
    middle = np.round((np.nanmin(values) + np.nanmax(values)) / 2 / step) * step
    stored = np.round((values - middle) / step)
    if np.nanmax(np.abs(stored)) >= 2**15:
        raise ValueError(f"{name} spans too much for steps of {step:g}")
    return np.nan_to_num(stored, nan=UNKNOWN).astype(np.int16), step, middle


def galaxies_hdu(table):
    """The table, packed as the standard of FITS has it."""
    numbers = {name: packed(name, np.asarray(table[name], dtype=float)) for name in table.colnames if name not in NAMES}
    columns = [fits.Column(name, "I", array=stored) for name, (stored, *_) in numbers.items()]
    columns += [fits.Column(name, "B", array=np.asarray(table[name])) for name in NAMES]
    hdu = fits.BinTableHDU.from_columns(columns, name="GALAXIES")
    for number, (_, step, middle) in enumerate(numbers.values(), start=1):
        hdu.header[f"TSCAL{number}"], hdu.header[f"TZERO{number}"] = step, middle
    hdu.header["ORIGINS"], hdu.header["SPLITS"] = ", ".join(ORIGINS), ", ".join(SPLITS)
    for line in DESCRIPTION.strip().splitlines():
        hdu.header.add_comment(line)
    return hdu


def density_hdu(density):
    """The density, a component a row."""
    columns = [
        fits.Column("weight", "E", array=density.weight),
        fits.Column("mean", "6E", array=density.mean),
        fits.Column("covariance", "36E", dim="(6,6)", array=density.covariance),
    ]
    return fits.BinTableHDU.from_columns(columns, name="DENSITY")


def main():
    """Make the file, and tell what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--components", type=int, default=64, help="of the density")
    parser.add_argument("--rounds", type=int, default=24, help="of its fit, at most")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the fit tells how far it is
    rng = np.random.default_rng(SEED)
    table = collected(rng)
    table = table[possible(table)]
    print_boss(table)
    table["split"] = [list(SPLITS).index(split) for split in table["split"]]
    for name in ("weight", "rest_colour", "absolute_magnitude", *TEMPLATES):
        table[name] = np.zeros(len(table))
    galaxies = MeasuredGalaxies(table, None)
    density = fitted_density(galaxies, arguments.components, arguments.rounds)
    share, table["absolute_magnitude"], table["rest_colour"] = template_fits(galaxies, density)
    for number, name in enumerate(TEMPLATES):
        table[name] = share[:, number]
    table["weight"] = weights(MeasuredGalaxies(table, density))
    for number, origin in enumerate(ORIGINS):
        own = np.asarray(table["origin"]) == number
        counts = [f"{(own & (np.asarray(table['split']) == place)).sum()} {name}" for place, name in enumerate(SPLITS)]
        print(f"{origin}: {', '.join(counts)}")
    fits.HDUList([fits.PrimaryHDU(), galaxies_hdu(table), density_hdu(density)]).writeto(OUTPUT, overwrite=True)
    print(f"wrote {OUTPUT}, {OUTPUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
