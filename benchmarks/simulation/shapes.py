# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sizes and concentration of simulated galaxies against those that SDSS measured, by luminosity and type.

    python -m benchmarks.simulation.shapes [--odd] [--sersic SHARE]

First, 7,000 real galaxies of z < 0.06 with Petrosian radii in r. A simulated galaxy has the redshift and the Petrosian
magnitude of a real one; since this catalogue has no colours, it has those of a drawn galaxy as luminous. It is drawn
alone and without noise, blurred as SDSS blurs, and measured with the survey's definitions (``_petrosian.py``), so that
both have the same blur, apertures and selection. Types are those of concentration R90 / R50, divided at 2.6 (Strateva
et al. 2001, AJ 122, 1861), in both; luminosities are those of the measured Petrosian flux. The even rows may set what
is to be set; ``--odd`` takes the others, for tests alone.

Then one field with colours, 16 < r < 20.5, where types are those of u - r, divided at 2.22. Its Petrosian radii are
compared in the same way, and the radii of its fitted profiles, de Vaucouleurs' or exponential, with the half-light
radii that were drawn. Medians should agree to 10 %, scatters (half of the 16 to 84 % range) to 20 %.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from astropy.table import Table

from astro_photz.sdss import PIXEL_SCALE, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.targets import draw_targets
from benchmarks.common.data import require

from ._features import centroid
from ._petrosian import measure
from .structure import CATALOGUES, DIVIDE, like, point_spread, single_epoch
from .structure import SAMPLE as FIELD_SAMPLE

SEED = 7
NEARBY = Sample(brightest=14.0, faintest=17.77, redshift=(0.02, 0.06))  # further away than galaxies' own motions matter
POOL = 20_000  # drawn galaxies, of which those as luminous as real ones are taken
NEAREST = 10  # of them, on each side of a real one's luminosity
EBV = 0.03  # mag, of the catalogue's galaxies, about: the median of the main sample's
CONCENTRATED = 2.6
LUMINOSITIES = (-22.5, -21.5, -20.5, -19.5, -18.5, -17.5)
FIELD_DRAWN = 3000
FIELD_LIMITS = (16.0, 19.5), (19.5, 20.5)
SIZES = 64, 128, 256, 512  # of images (pixels)
IN_RADII = 16  # least side of an image, in half-light radii
AT_ONCE = 16  # images drawn
_R, _GALAXY, _BANDS = 2, 3, 5


@dataclass(frozen=True)
class Sizes:
    """
    Petrosian quantities of galaxies (N,): magnitude (absolute, or apparent), radius of half the light (kpc, or arcsec),
    its concentration R90 / R50.
    """

    magnitude: np.ndarray
    half: np.ndarray
    concentration: np.ndarray

    def __getitem__(self, rows):
        return Sizes(*(values[rows] for values in vars(self).values()))


def shapes_catalogue(rows):
    """The table's 'even' or 'odd' rows that are main-sample galaxies, with its magnitudes freed of extinction."""
    table = Table.read(require(CATALOGUES / "sdss_r_shapes_specz_7k.fits"))[{"even": 0, "odd": 1}[rows] :: 2]
    table = Table({name: np.asarray(table[name], dtype=float) for name in table.colnames})
    table["magnitude"] = table["petroMag_r"] - R_UGRIZ[_R] * EBV
    lowest, highest = NEARBY.redshift
    nearby = (table["redshift"] > lowest) & (table["redshift"] < highest)
    return table[nearby & (table["magnitude"] > NEARBY.brightest) & (table["magnitude"] < NEARBY.faintest)]


def as_luminous(magnitude, redshift, rng):
    """Drawn galaxies (N,), each with the colours of one as luminous as the real one whose place it takes."""
    pool = draw_population(POOL, rng, sample=NEARBY)
    drawn = ZERO_POINT - 2.5 * np.log10(pool.flux[:, _R]) - _modulus(pool.redshift)
    wanted = magnitude - _modulus(redshift)
    order = np.argsort(drawn)
    place = np.searchsorted(drawn[order], wanted) + rng.integers(-NEAREST, NEAREST + 1, len(wanted))
    rows = order[np.clip(place, 0, POOL - 1)]
    chosen, brighter = pool[rows], wanted - drawn[rows]
    flux = chosen.flux * 10 ** (0.4 * (ZERO_POINT - magnitude)[:, None]) / chosen.flux[:, [_R]]
    absolute = chosen.absolute_magnitude + brighter
    return replace(chosen, redshift=redshift, flux=flux, absolute_magnitude=absolute, ebv=np.zeros(len(redshift)))


def _modulus(redshift):
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=70, Om0=0.3).distmod(redshift).value


def kpc(redshift):
    """Length (kpc) of an arcsecond at redshifts (N,)."""
    return np.deg2rad(1 / 3600) * 10 ** (0.2 * _modulus(redshift) - 2) / (1 + redshift) ** 2


def observe(population, psf, rng, *, sersic=0.0):
    """
    Petrosian flux, R50 and R90 (pixels) of galaxies (N, 3), each alone, and the half-light radii drawn (N,) (pixels).

    ``psf`` holds the widths of the blur's core (N,) (arcsec), and its wings (N, 2).
    """
    place = rng.uniform(-0.5, 0.5, (len(population), 2))
    targets, truth = draw_targets(population, rng, place, sersic=sersic)
    half = truth["half_light_radius"].to_value("arcsec") / PIXEL_SCALE
    group = np.minimum(np.searchsorted(SIZES, IN_RADII * half), len(SIZES) - 1)
    found = np.empty((len(population), 3))
    for number, size in enumerate(SIZES):
        members = np.flatnonzero(group == number)
        for first in range(0, len(members), AT_ONCE * _BANDS):
            rows = members[first : first + AT_ONCE * _BANDS]
            images = _draw(targets, rows, [part[rows] for part in psf], size)
            found[rows] = [_measure(*one) for one in zip(images, place[rows] + (size - 1) / 2, strict=True)]
    return found, half


def _draw(targets, rows, psf, size):
    """Images (N, size, size) in r of some galaxies: five share a scene, one in each band, as one band alone counts."""
    count = -(-len(rows) // _BANDS)
    fwhm, wings = (np.resize(part, (count * _BANDS, *part.shape[1:])) for part in psf)
    conditions = replace(
        draw_conditions(count, np.random.default_rng(0)),
        psf_fwhm=fwhm.reshape(count, _BANDS),
        psf_wings=wings.reshape(count, _BANDS, 2),
    )
    sources = targets[np.isin(targets.scene, rows)]
    number = np.searchsorted(rows, sources.scene)
    flux = np.where(number[:, None] % _BANDS == np.arange(_BANDS), sources.flux[:, [_R]], 0)
    middle = (size - 1) / 2
    sources = replace(sources, scene=number // _BANDS, flux=flux, x=sources.x + middle, y=sources.y + middle)
    images = render(sources, conditions.transfer, size=size, shift=np.zeros((count, _BANDS, 2)))
    return images.flatten(0, 1)[: len(rows)].numpy().astype(float)


def _measure(image, xy):
    found = measure(image, centroid(image, xy))
    return found.flux, found.half, found.ninety


def print_title(*names):
    """A title, with the names of the columns."""
    print(f"\n{names[0]:46}", *(f"{name:>7}" for name in names[1:]))


def print_row(name, real, drawn):
    """Numbers, medians and scatters of values, and their ratios; those of logarithms as factors, and in dex."""
    (median, width), (drawn_median, drawn_width) = (_median_and_scatter(values) for values in (real, drawn))
    medians = f"{median:8.3f}{drawn_median:8.3f}{drawn_median / median:8.2f}"
    print(f"{name:46}{len(real):8}{len(drawn):8}{medians}{width:8.3f}{drawn_width:8.3f}{drawn_width / width:8.2f}")


def _median_and_scatter(values):
    """Median, and half of the 16 to 84 % range of the logarithm (dex)."""
    low, middle, high = np.percentile(values, [16, 50, 84])
    return middle, 0.5 * np.log10(high / low)


def compare_nearby(rows, rng, sersic):
    """Print the tables of the nearby galaxies."""
    table = shapes_catalogue(rows)
    magnitude, redshift = np.asarray(table["magnitude"]), np.asarray(table["redshift"])
    real_concentration = np.asarray(table["petroR90_r"] / table["petroR50_r"])
    population = as_luminous(magnitude, redshift, rng)
    conditions = draw_conditions(len(table), rng)
    psf = conditions.psf_fwhm[:, _R], conditions.psf_wings[:, _R]
    found, _ = observe(population, psf, rng, sersic=sersic)
    flux, half, ninety = found.T
    scale = kpc(redshift)
    missed = -2.5 * np.log10(flux / population.flux[:, _R])
    real = Sizes(population.absolute_magnitude, table["petroR50_r"] * scale, real_concentration)
    drawn = Sizes(population.absolute_magnitude + missed, half * PIXEL_SCALE * scale, ninety / half)
    drawn = drawn[np.isfinite(missed)]

    early = real.concentration > CONCENTRATED
    devaucouleurs = np.asarray(table["lnLDeV_r"] > table["lnLExp_r"])
    print(f"{len(table)} {rows} rows, r < {NEARBY.faintest}; {np.isnan(missed).sum()} drawn galaxies outgrow images")
    print(f"early by concentration {early.mean():.3f}, by the likelihoods {devaucouleurs.mean():.3f}", end=", ")
    print(f"the same by both {np.mean(early == devaucouleurs):.3f}")
    concentrated = (ninety / half > CONCENTRATED)[np.isfinite(missed)]
    for name, of_type in (("early", concentrated), ("late", ~concentrated)):
        print(f"light drawn but not in the Petrosian aperture, {name}: ", end="")
        print(f"{np.median(missed[np.isfinite(missed)][of_type]):.3f} mag in the median")
    _print_shares(real, drawn, devaucouleurs)
    _print_sizes(real, drawn)
    _print_relations(real, drawn)


def _bins(sizes):
    return [(sizes.magnitude > low) & (sizes.magnitude <= high) for low, high in _luminosity_bins()]


def _luminosity_bins():
    return list(pairwise(LUMINOSITIES))


def _print_shares(real, drawn, devaucouleurs):
    print_title("share of early types", "real", "drawn", "real", "drawn", "lnL")
    for limits, of_real, of_drawn in zip(_luminosity_bins(), _bins(real), _bins(drawn), strict=True):
        early = (part.concentration > CONCENTRATED for part in (real[of_real], drawn[of_drawn]))
        shares = [one.mean() for one in early] + [devaucouleurs[of_real].mean()]
        numbers = "".join(f"{share:8.3f}" for share in shares)
        print(f"M_r = {limits[0]} to {limits[1]:<28}{of_real.sum():8}{of_drawn.sum():8}{numbers}")


def _print_sizes(real, drawn):
    for name, values in (("R50 (kpc)", "half"), ("R90 / R50", "concentration")):
        print_title(name, "real", "drawn", "median", "drawn", "ratio", "scatter", "drawn", "ratio")
        for kind in ("early", "late", "all"):
            of_kind = [_is_of(kind, part) for part in (real, drawn)]
            for limits, *within in zip(_luminosity_bins(), _bins(real), _bins(drawn), strict=True):
                chosen = (
                    getattr(part, values)[a & b] for part, a, b in zip((real, drawn), of_kind, within, strict=True)
                )
                print_row(f"{kind}, M_r = {limits[0]} to {limits[1]}", *chosen)


def _print_relations(real, drawn):
    print("\nlog R50 = a + b m + c m^2, m = M_r + 20.5, and the rms about it (dex)")
    for kind in ("early", "late"):
        for name, sizes in (("real", real), ("drawn", drawn)):
            chosen = sizes[_is_of(kind, sizes) & (sizes.magnitude > LUMINOSITIES[0])]
            chosen = chosen[chosen.magnitude <= LUMINOSITIES[-1]]
            magnitude, half = chosen.magnitude + 20.5, np.log10(chosen.half)
            fitted = np.polyfit(magnitude, half, 2)
            numbers = [*fitted[::-1], np.std(half - np.polyval(fitted, magnitude))]
            print(f"{kind + ', ' + name:46}", "".join(f"{number:8.3f}" for number in numbers))


def _is_of(kind, sizes):
    early = sizes.concentration > CONCENTRATED
    return {"early": early, "late": ~early, "all": np.full(len(early), True)}[kind]


def field_catalogue():
    """Magnitude, u - r, Petrosian R50 and R90 (arcsec) of a field's galaxies, and the fitted half-light radius."""
    table = Table.read(require(CATALOGUES / "photoObj-003900-6-0269.fits"))
    table = table[(table["MODE"] == 1) & (table["OBJC_TYPE"] == _GALAXY)]
    in_r = {name: np.asarray(table[name], dtype=float)[:, _R] for name in table.colnames if table[name].ndim == 2}
    magnitude = np.asarray(table["MODELMAG"] - table["EXTINCTION"], dtype=float)
    early = in_r["FRACDEV"] > 0.5
    fitted = np.where(early, in_r["THETA_DEV"] * np.sqrt(in_r["AB_DEV"]), in_r["THETA_EXP"] * np.sqrt(in_r["AB_EXP"]))
    return (
        in_r["PETROMAG"] - in_r["EXTINCTION"],
        magnitude[:, 0] - magnitude[:, _R],
        in_r["PETROTH50"],
        in_r["PETROTH90"],
        fitted,
    )


def compare_field(rng, sersic):
    """Print the tables of the field."""
    magnitude, colour, half, ninety, fitted = field_catalogue()
    *_, stars = single_epoch()
    sigma, *wings = point_spread(np.median(stars[:, _R] / stars[:, _R, -1:], axis=0))
    population = draw_population(FIELD_DRAWN, rng, sample=FIELD_SAMPLE)
    population = replace(population, ebv=np.zeros(FIELD_DRAWN))
    psf = np.full(FIELD_DRAWN, 2.3548 * PIXEL_SCALE * sigma), np.tile(wings, (FIELD_DRAWN, 1))
    found, drawn_half = observe(population, psf, rng, sersic=sersic)
    flux, *radii = found.T
    radii = [radius * PIXEL_SCALE for radius in radii]
    drawn_magnitude = ZERO_POINT - 2.5 * np.log10(flux)
    drawn_colour = -2.5 * np.log10(population.flux[:, 0] / population.flux[:, _R])

    print_title("one field (arcsec)", "real", "drawn", "median", "drawn", "ratio", "scatter", "drawn", "ratio")
    for limits in FIELD_LIMITS:
        within = (magnitude > limits[0]) & (magnitude < limits[1]) & (half > 0)
        for kind in ("red", "blue"):
            real = within & ((colour > DIVIDE) == (kind == "red"))
            alike = np.flatnonzero(((drawn_colour > DIVIDE) == (kind == "red")) & np.isfinite(drawn_magnitude))
            rows = alike[like(magnitude[real], drawn_magnitude[alike])]
            name = f"{kind}, r = {limits[0]} to {limits[1]}"
            print_row(f"R50, {name}", half[real], radii[0][rows])
            print_row(f"R90 / R50, {name}", (ninety / half)[real], (radii[1] / radii[0])[rows])
            print_row(f"fitted and drawn, {name}", fitted[real], drawn_half[rows] * PIXEL_SCALE)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--odd", action="store_true", help="the rows that are for tests alone")
    parser.add_argument("--sersic", type=float, default=0.0, help="share of the second family (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    compare_nearby("odd" if options.odd else "even", rng, options.sersic)
    compare_field(rng, options.sersic)


if __name__ == "__main__":
    main()
