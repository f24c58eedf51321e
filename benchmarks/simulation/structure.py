# Licensed under a 3-clause BSD style license - see LICENSE
"""
Colours and shapes of simulated galaxies against those that two catalogues of single fields list.

The catalogues of ``../shared`` are of other fields than those that ``realism.py`` compares stamps of, so what is set
by them is tested there. From both: how many galaxies are bluer than u - r = 2.22, where early and late types divide
(Strateva et al. 2001, AJ 122, 1861), and the axis ratios of the fitted profiles beside those that were drawn. From the
one with photometry in apertures: how concentrated the light is, and how colours change outwards, beside the same
apertures on stamps as sharp as that field's stars. Distances are Kolmogorov-Smirnov's, with simulated galaxies of the
magnitudes of the real ones.
"""

import argparse
from dataclasses import replace

import numpy as np
from astropy.table import Table
from scipy.optimize import least_squares
from scipy.stats import ks_2samp

from astro_photz.sdss import BANDS, PIXEL_SCALE, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.scene.targets import draw_targets
from benchmarks.common.data import SHARED, require

from ._features import aperture_flux, centroid
from .realism import SIZE, observe

CATALOGUES = SHARED / "catalogues"
SEED = 3
DRAWN = 5000
SAMPLE = Sample(brightest=16.0, faintest=20.6, redshift=(0.0, 0.8))
LIMITS = (16.0, 19.5), (19.5, 20.5)
DIVIDE = 2.22  # u - r
EBV = 0.05  # mag, towards the deep catalogue's field, about
NEAREST = 15  # simulated galaxies on each side of a real one's magnitude
RADII = np.array([0.564, 1.693, 2.585, 4.406, 7.506, 11.576])  # pixels, of the survey's first apertures
_GALAXY, _STAR = 3, 6  # OBJC_TYPE
_G, _R, _I = 1, 2, 3


def single_epoch():
    """Magnitudes (N, 5) and axis ratios (N,) of galaxies, their aperture fluxes (N, 5, radii), and those of stars."""
    table = Table.read(CATALOGUES / "photoObj-003900-6-0269.fits")
    table = table[table["MODE"] == 1]
    column = {name: np.asarray(table[name], dtype=float) for name in ("MODELMAG", "CMODELMAG", "EXTINCTION")}
    apertures = np.asarray(table["APERFLUX"], dtype=float)[..., : len(RADII)]
    magnitude = column["MODELMAG"] + (column["CMODELMAG"] - column["MODELMAG"])[:, [_R]] - column["EXTINCTION"]
    ratio = np.where(np.asarray(table["FRACDEV"])[:, _R] > 0.5, table["AB_DEV"][:, _R], table["AB_EXP"][:, _R])
    galaxy = np.asarray(table["OBJC_TYPE"]) == _GALAXY
    r = np.asarray(table["PSFMAG"])[:, _R]
    star = (np.asarray(table["OBJC_TYPE"]) == _STAR) & (r > 16) & (r < 19.5)
    return magnitude[galaxy], ratio[galaxy], apertures[galaxy], apertures[star]


def deep():
    """Magnitudes (N, 5) and axis ratios (N,) of galaxies."""
    table = Table.read(CATALOGUES / "coadd_catalog_94_1_12.fits")
    table = table[np.asarray(table["galaxy_bool"])]
    devaucouleurs = np.asarray(table["fracdev_r"]) > 0.5
    magnitude = [np.where(devaucouleurs, table[f"devmag_{band}"], table[f"expmag_{band}"]) for band in BANDS]
    ratio = np.where(devaucouleurs, table["devab_r"], table["expab_r"])
    return np.stack(magnitude, axis=1) - EBV * R_UGRIZ, ratio


def point_spread(growth):
    """Core (pixels), relative width and height of the wings of a double Gaussian whose light grows so with radius."""

    def residual(parameters):
        sigma, width, height = np.exp(parameters)
        share = height * width**2 / (1 + height * width**2)
        core, wings = (1 - np.exp(-0.5 * (RADII / scale) ** 2) for scale in (sigma, sigma * width))
        inside = (1 - share) * core + share * wings
        return (inside / inside[-1] - growth)[1:]

    start = np.log([1.4, 2.5, 0.08])
    return np.exp(least_squares(residual, start, bounds=(start - 1.0, start + 1.0)).x)


def simulated(stars, rng, *, sersic=0.0):
    """Magnitudes (n, 5), axis ratios (n,) and aperture fluxes (n, 5, radii) of simulated galaxies, each alone."""
    population = replace(draw_population(DRAWN, rng, sample=SAMPLE), ebv=np.zeros(DRAWN))
    xy = (SIZE - 1) / 2 + rng.uniform(-0.5, 0.5, (DRAWN, 2))
    targets, _ = draw_targets(population, rng, xy, sersic=sersic)
    growth = np.median(stars / stars[..., -1:], axis=0)
    sigma, width, height = np.array([point_spread(band) for band in growth]).T
    conditions = replace(
        draw_conditions(DRAWN, rng, background_scatter=0.0),
        psf_fwhm=np.tile(2.3548 * PIXEL_SCALE * sigma, (DRAWN, 1)),
        psf_wings=np.tile(np.stack([width, height], axis=1), (DRAWN, 1, 1)),
    )
    flux = observe(targets, conditions, rng)
    magnitude = ZERO_POINT - 2.5 * np.log10(population.flux)
    # bulge and disc come first among the sources of a galaxy; of early types they are alike
    disc = np.flatnonzero(np.diff(targets.scene, prepend=-1)) + 1
    return magnitude, targets.axis_ratio[disc], np.array([_apertures(*one) for one in zip(flux, xy, strict=True)])


def _apertures(stamp, xy):
    centre = centroid(stamp[_R], xy)
    return [[aperture_flux(image, centre, radius) for radius in RADII] for image in stamp]


def profile_features(apertures):
    """Features of light within apertures (N, 5, radii)."""
    r = apertures[:, _R]
    growth = np.concatenate([np.zeros((len(r), 1)), r / r[:, -1:]], axis=1)
    half, ninety = np.array([np.interp([0.5, 0.9], one, np.append(0, RADII)) for one in growth]).T
    inner, outer = apertures[..., 1], apertures[..., 3] - apertures[..., 2]
    change = -2.5 * np.log10(np.maximum(inner, 1e-3) / np.maximum(outer, 1e-3))
    return {
        "light in 1.7 / 2.6 pixels": r[:, 1] / r[:, 2],
        "light in 2.6 / 7.5 pixels": r[:, 2] / r[:, 4],
        "half-light radius": half,
        "concentration": ninety / half,
        "change of g - r outwards": change[:, _G] - change[:, _R],
        "change of r - i outwards": change[:, _R] - change[:, _I],
    }


def like(real, drawn):
    """Rows of the drawn magnitudes nearest to the real ones, some for each."""
    order = np.argsort(drawn)
    place = np.searchsorted(drawn[order], real)[:, None] + np.arange(-NEAREST, NEAREST + 1)
    return order[np.clip(place, 0, len(drawn) - 1).ravel()]


def print_row(name, real, drawn):
    """Quantiles of both, and their distance."""
    quantiles = [*np.percentile(real, [16, 50, 84]), *np.percentile(drawn, [16, 50, 84])]
    found = ks_2samp(real, drawn)
    print(f"{name:44}{len(real):6}{found.statistic:8.2f}", *(f"{value:8.3f}" for value in quantiles))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--sersic", type=float, default=0.0, help="share of galaxies of the second family of shapes")
    arguments = parser.parse_args()
    require(CATALOGUES)
    magnitude, ratio, apertures, stars = single_epoch()
    fields = [(magnitude, ratio), deep()]
    drawn, drawn_ratio, drawn_apertures = simulated(stars, np.random.default_rng(SEED), sersic=arguments.sersic)
    both, both_ratio = (np.concatenate(part) for part in zip(*fields, strict=True))

    def is_blue(magnitude):
        return magnitude[:, 0] - magnitude[:, _R] < DIVIDE

    def within(magnitude, limits):
        return (magnitude[:, _R] > limits[0]) & (magnitude[:, _R] < limits[1])

    for limits in LIMITS:
        counts = [(is_blue(one) & within(one, limits)).sum() for one, _ in fields]
        numbers = [within(one, limits).sum() for one, _ in fields]
        share = is_blue(drawn[within(drawn, limits)]).mean()
        text = ", ".join(f"{count} of {number}" for count, number in zip(counts, numbers, strict=True))
        print(f"bluer than u - r = {DIVIDE} at r = {limits[0]} to {limits[1]}: {text}; simulated {share:.3f}")

    print(f"\n{'':44}{'real':>6}{'KS':>8}{'16 %':>9}{'50 %':>9}{'84 %':>9}{'simulated':>11}")
    everything = LIMITS[0][0], LIMITS[-1][1]
    for name, blue in (("blue", True), ("red", False)):
        real = within(both, everything) & (is_blue(both) == blue)
        alike = np.flatnonzero(is_blue(drawn) == blue)
        rows = alike[like(both[real, _R], drawn[alike, _R])]
        print_row(f"axis ratio, {name}", both_ratio[real], drawn_ratio[rows])
    real = within(magnitude, everything)
    rows = like(magnitude[real, _R], drawn[:, _R])
    features, drawn_features = profile_features(apertures[real]), profile_features(drawn_apertures[rows])
    for name, values in features.items():
        print_row(name, values, drawn_features[name])


if __name__ == "__main__":
    main()
