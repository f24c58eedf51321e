# Licensed under a 3-clause BSD style license - see LICENSE
"""
Faults: ways in which the stamps of a table of real galaxies may be wrong, each a function from a scene to cutouts.

A `Scene` is simulated larger than a stamp, once with the galaxies and once without, so that what moves into a stamp,
or lies under a galaxy, is sky as it would be. Cutouts are made as users make them, of arrays and E(B-V) alone.
`FAULTS` holds the faults by name, and `spoilt` makes cutouts with one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import ndimage

from astro_photz import Cutouts, dust
from astro_photz.photometry import sky_rms
from astro_photz.sdss import BANDS, PIXEL_SCALE, ZERO_POINT
from astro_photz.simulate.population.draw import Population

from ._stamps import cropped, drawn, observed, simulation_of

__all__ = ["FAULTS", "Fault", "Scene", "as_they_are", "scene_of", "simulated_scene", "spoilt"]

SIZE = 107  # of a scene (pixels), which makes a stamp of 64 pixels of 0.66 arcsec
_EMPTY = 1e-6  # of the light, where there is to be none
_CALIBRATION = np.array([0.0088, 0.0038, 0.0049, 0.0068, 0.0300])  # nanomaggies a DN, in ugriz
_FULL = 65535  # DN
_ASIDE = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
_DUSTY = 0.5  # E(B-V), mag


@dataclass(frozen=True)
class Scene:
    """
    Simulated galaxies and the sky about them.

    ``flux`` (N, 5, 107, 107) with the galaxies and ``sky``, alike, without them; ``ebv`` (N,); ``psf_fwhm`` (N, 5)
    (arcsec); ``redshift`` (N,).
    """

    flux: np.ndarray
    sky: np.ndarray
    ebv: np.ndarray
    psf_fwhm: np.ndarray
    redshift: np.ndarray

    def __len__(self):
        return len(self.flux)

    def __getitem__(self, rows):
        return Scene(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Fault:
    """
    A fault, and the share of cutouts with it that are to be flagged.

    ``make`` takes a `Scene` and a random generator, and gives flux (N, 5, 64, 64) and E(B-V) (N,). ``wanted`` is 0 for
    what cannot be seen. ``ebv`` is the reddening that the galaxies are to be seen through; None for what there is.
    """

    make: Callable
    wanted: float
    ebv: float | None = None


def simulated_scene(model, n, *, seed, split="test", ebv=None):
    """Draw galaxies as a model was trained on, of a seed and a split: `Scene`."""
    simulation = simulation_of(model, seed=seed, split=split, size=SIZE)
    population, shape = drawn(simulation, n)
    if ebv is not None:
        population = replace(population, ebv=np.full(n, ebv))
    return scene_of(simulation, population, shape)


def scene_of(simulation, population: Population, shape):
    """See galaxies (N,) of given shapes with a simulation, and the same sky without them: `Scene`."""
    dark = np.full((len(population), 5), _EMPTY)
    dimmed = replace(population, flux=population.flux * dark), shape.dimmed(dark)
    with np.errstate(over="ignore"):  # a catalogue's radius of a galaxy without light
        pairs = list(zip(observed(simulation, population, shape), observed(simulation, *dimmed), strict=True))
    parts = [(seen.flux, sky.flux, seen.ebv, seen.psf_fwhm) for (_, seen), (_, sky) in pairs]
    return Scene(*map(np.concatenate, zip(*parts, strict=True)), redshift=population.redshift)


def as_they_are(scene, *, with_psf=False):
    """Cutouts (N,) of a scene without a fault; with the widths of their point-spread functions if these are known."""
    return Cutouts(cropped(scene.flux), ebv=scene.ebv, psf_fwhm=scene.psf_fwhm if with_psf else None, simulated=True)


def spoilt(name, scene, *, seed=0):
    """Cutouts (N,) of a scene with the fault of a name. Some faults want a scene behind more dust, `Fault.ebv`."""
    flux, ebv = FAULTS[name].make(scene, np.random.default_rng([seed, *name.encode()]))
    return Cutouts(flux, ebv=ebv, simulated=True)


# Wrong numbers


def swapped(scene, rng, *, one, other):
    order = list(range(len(BANDS)))
    order[BANDS.index(one)], order[BANDS.index(other)] = BANDS.index(other), BANDS.index(one)
    return cropped(scene.flux)[:, order], scene.ebv


def counts(scene, rng):
    return cropped(scene.flux) / _CALIBRATION[:, None, None].astype(np.float32), scene.ebv


def asinh(scene, rng, *, softening):
    """Pixels as they are for display and, by many codes, for networks."""
    return np.arcsinh(cropped(scene.flux) / softening), scene.ebv


def over_maximum(scene, rng):
    flux = cropped(scene.flux)
    return flux / flux.max(axis=(2, 3), keepdims=True), scene.ebv


def multiplied(scene, rng, *, factor):
    return cropped(scene.flux) * np.float32(factor), scene.ebv


def one_band(scene, rng, *, band, factor):
    """The zero point of a band is wrong."""
    flux = cropped(scene.flux)
    flux[:, BANDS.index(band)] *= np.float32(factor)
    return flux, scene.ebv


def filled(scene, rng, *, value):
    """One band, each in its turn, has a value that stands for no data."""
    flux = cropped(scene.flux)
    flux[np.arange(len(flux)), np.arange(len(flux)) % 5] = value
    return flux, scene.ebv


def dereddened(scene, rng):
    """The dust is taken off before, and E(B-V) given nevertheless."""
    flux = cropped(scene.flux)
    free = dust.deredden(np.moveaxis(flux, 1, -1), ebv=scene.ebv[:, None, None])
    return np.moveaxis(free, -1, 1).astype(np.float32), scene.ebv


def other_dust(scene, rng, *, by):
    return cropped(scene.flux), scene.ebv + np.float32(by)


# Wrong pixels


def zoomed(scene, rng, *, order):
    """The middle quarter of each stamp, on pixels of half the side; the flux of a galaxy stays."""
    middle = cropped(scene.flux, size=32)
    return _resampled(middle, 0.5, order=order) / 4, scene.ebv


def in_larger_pixels(scene, rng, *, scale):
    """Stamps in pixels of another scale (arcsec)."""
    ratio = scale / PIXEL_SCALE
    smooth = ndimage.uniform_filter(scene.flux, size=(1, 1, round(ratio), round(ratio)))  # the mean of a larger pixel
    return _resampled(smooth, ratio, order=1) * np.float32(ratio**2), scene.ebv


def _resampled(images, step, *, order, size=64):
    """Images (N, 5, S, S) at places that are ``step`` pixels apart, about their middle."""
    places = (images.shape[-1] - 1) / 2 + step * (np.arange(size) - (size - 1) / 2)
    grid = np.meshgrid(places, places, indexing="ij")
    each = images.reshape(-1, *images.shape[-2:])
    result = [ndimage.map_coordinates(one, grid, order=order, mode="nearest") for one in each]
    return np.reshape(result, (*images.shape[:2], size, size)).astype(np.float32)


def off_centre(scene, rng, *, pixels):
    """The galaxy lies off the middle, in any direction."""
    angle = rng.uniform(0, 2 * np.pi, len(scene))
    x, y = np.rint(pixels * np.cos(angle)).astype(int), np.rint(pixels * np.sin(angle)).astype(int)
    stamps = [cropped(flux, dx, dy) for flux, dx, dy in zip(scene.flux, x, y, strict=True)]
    return np.stack(stamps), scene.ebv


def misplaced(scene, rng, *, band, pixels):
    """One band is displaced, along a row or a column."""
    flux, number = cropped(scene.flux), BANDS.index(band)
    for row, one in enumerate(scene.flux):
        flux[row, number] = cropped(one[number], *(pixels * _ASIDE[row % 4]))
    return flux, scene.ebv


def turned(scene, rng, *, band):
    """One band is mirrored about the diagonal, as by another order of the axes."""
    flux, number = cropped(scene.flux), BANDS.index(band)
    flux[:, number] = flux[:, number].swapaxes(1, 2).copy()
    return flux, scene.ebv


# Wrong places and spoiled images


def empty(scene, rng):
    return cropped(scene.sky), scene.ebv


def noise(scene, rng):
    rms = sky_rms(cropped(scene.sky))[..., None, None]
    return (rms * rng.standard_normal((len(scene), 5, 64, 64))).astype(np.float32), scene.ebv


def saturated(scene, rng, *, share):
    """The galaxy is cut off, in each band, at a share of its brightest pixel."""
    flux = cropped(scene.flux)
    core = (cropped(scene.flux - scene.sky))[:, :, 24:40, 24:40].max(axis=(2, 3), keepdims=True)
    return np.minimum(flux, share * core), scene.ebv


def saturated_star(scene, rng):
    """A star of magnitude 11 to 13 in the middle fills the detector in gri, and bleeds along the columns."""
    flux = cropped(scene.sky)
    y, x = np.mgrid[:64, :64] - 31.5
    for row in range(len(flux)):
        light = _star(10 ** (0.4 * (ZERO_POINT - rng.uniform(11, 13))), scene.psf_fwhm[row])
        full = _FULL * _CALIBRATION[:, None, None]
        lost = np.clip(light - full, 0, None).sum(axis=(1, 2), keepdims=True)
        along = np.clip(lost / full / 6, 0, 60)  # a trail three pixels wide, to either side
        bled = (np.abs(x) < 1.5) & (np.abs(y) < along)
        flux[row] += np.where(bled, full, np.minimum(light, full)).astype(np.float32)
    return flux, scene.ebv


def star_on_top(scene, rng, *, share):
    """A star 2 pixels from the middle, with a share of the galaxy's light in r."""
    flux, angle = cropped(scene.flux), rng.uniform(0, 2 * np.pi, len(scene))
    light = cropped(scene.flux - scene.sky)[:, BANDS.index("r")].sum(axis=(1, 2))
    for row in range(len(flux)):
        place = 2 * np.cos(angle[row]), 2 * np.sin(angle[row])
        flux[row] += _star(share * light[row], scene.psf_fwhm[row], place).astype(np.float32)
    return flux, scene.ebv


def _star(r_flux, fwhm, place=(0, 0)):
    """Light (5, 64, 64) of a star of the Sun's kind: a Moffat profile of beta = 3, and of a width (5,) (arcsec)."""
    y, x = np.mgrid[:64, :64] - 31.5
    square = (x - place[0]) ** 2 + (y - place[1]) ** 2
    total = r_flux * 10 ** (0.4 * np.array([-1.9, -0.5, 0, 0.15, 0.25]))[:, None, None]
    beta = 3.0
    core = fwhm[:, None, None] / PIXEL_SCALE / (2 * np.sqrt(2 ** (1 / beta) - 1))
    return total * (beta - 1) / (np.pi * core**2) * (1 + square / core**2) ** -beta


def trail(scene, rng, *, sigma, bands=1, reach=20.0):
    """A satellite crosses the stamp, in one band as the camera sees it, at an angle and within ``reach`` pixels."""
    flux = cropped(scene.flux)
    height = sigma * sky_rms(flux)[..., None, None]
    y, x = np.mgrid[:64, :64] - 31.5
    for row in range(len(flux)):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-reach, reach)
        width = (scene.psf_fwhm[row, :, None, None]) / PIXEL_SCALE / 2.3548
        line = np.exp(-0.5 * ((x * np.cos(angle) + y * np.sin(angle) - offset) / width) ** 2)
        chosen = (np.arange(5) + row) % 5 < bands
        flux[row] += (chosen[:, None, None] * height[row] * line).astype(np.float32)
    return flux, scene.ebv


def neighbour(scene, rng, *, pixels, factor=1.0):
    """The galaxy's own light once more, beside it, in any direction."""
    light = factor * (scene.flux - scene.sky)
    angle = rng.uniform(0, 2 * np.pi, len(scene))
    x, y = np.rint(pixels * np.cos(angle)).astype(int), np.rint(pixels * np.sin(angle)).astype(int)
    beside = [cropped(one, dx, dy) for one, dx, dy in zip(light, x, y, strict=True)]
    return cropped(scene.flux) + np.stack(beside).astype(np.float32), scene.ebv


def star_beside(scene, rng, *, r_mag, reach):
    """A star beside the galaxy, at a distance between two (pixels), in any direction."""
    flux, angle = cropped(scene.flux), rng.uniform(0, 2 * np.pi, len(scene))
    distance = rng.uniform(*reach, len(scene))
    for row in range(len(flux)):
        place = distance[row] * np.cos(angle[row]), distance[row] * np.sin(angle[row])
        flux[row] += _star(10 ** (0.4 * (ZERO_POINT - r_mag)), scene.psf_fwhm[row], place).astype(np.float32)
    return flux, scene.ebv


def hot(scene, rng, *, sigma, column=False):
    """A pixel, or a column, of one band is brighter than the sky by so many times the noise."""
    flux = cropped(scene.flux)
    height = sigma * sky_rms(flux)
    for row in range(len(flux)):
        y, x = rng.integers(2, 62, 2)
        flux[row, row % 5, slice(None) if column else y, x] += height[row, row % 5]
    return flux, scene.ebv


_ALL, _MOST = 0.98, 0.95
FAULTS = {
    "u and z swapped": Fault(partial(swapped, one="u", other="z"), _ALL),
    "g and r swapped": Fault(partial(swapped, one="g", other="r"), _ALL),
    "counts instead of nanomaggies": Fault(counts, _ALL),
    "asinh of the flux over 0.1": Fault(partial(asinh, softening=0.1), _ALL),
    "asinh of the flux over 0.02": Fault(partial(asinh, softening=0.02), _ALL),
    "each band over its maximum": Fault(over_maximum, _ALL),
    "saturated: cut off at half of the peak": Fault(partial(saturated, share=0.5), _ALL),
    "saturated: a star of magnitude 11 to 13": Fault(saturated_star, _ALL),
    "empty sky": Fault(empty, _ALL),
    "pure noise": Fault(noise, _ALL),
    "a band of 0": Fault(partial(filled, value=0), _ALL),
    "a band of -9999": Fault(partial(filled, value=-9999), _ALL),
    "a band of NaN": Fault(partial(filled, value=np.nan), _ALL),
    "microjansky": Fault(partial(multiplied, factor=3.631), _MOST),
    "zoomed by 2, bilinear": Fault(partial(zoomed, order=1), _MOST),
    "zoomed by 2, cubic": Fault(partial(zoomed, order=3), _MOST),
    "dereddened twice, E(B-V) = 0.5": Fault(dereddened, _MOST, ebv=_DUSTY),
    "10 pixels off the centre": Fault(partial(off_centre, pixels=10), _MOST),
    "u shifted by 3 pixels": Fault(partial(misplaced, band="u", pixels=3), 0.55),
    **{f"{band} shifted by 3 pixels": Fault(partial(misplaced, band=band, pixels=3), 0.9) for band in BANDS[1:]},
    "satellite trail in one band, 10 sigma": Fault(partial(trail, sigma=10), 0.85),
    "equal neighbour at 8 pixels": Fault(partial(neighbour, pixels=8), 0.75),
    "a star of magnitude 12.5 at 20 to 32 pixels": Fault(partial(star_beside, r_mag=12.5, reach=(20, 32)), _MOST),
    "a hot pixel in one band, 100 sigma": Fault(partial(hot, sigma=100), _MOST),
    "a hot column in one band, 100 sigma": Fault(partial(hot, sigma=100, column=True), _MOST),
    "a star of magnitude 12.5 at 32 to 45 pixels": Fault(partial(star_beside, r_mag=12.5, reach=(32, 45)), 0),
    "satellite trail in all bands, 10 sigma": Fault(partial(trail, sigma=10, bands=5), 0),
    "r mirrored about the diagonal": Fault(partial(turned, band="r"), 0),
    "dereddened twice, E(B-V) = 0.2": Fault(dereddened, 0, ebv=0.2),
    "5 pixels off the centre": Fault(partial(off_centre, pixels=5), 0),
    "neighbour of half the light at 8 pixels": Fault(partial(neighbour, pixels=8, factor=0.5), 0),
    "a star of half the light on top": Fault(partial(star_on_top, share=0.5), 0),
    "r too bright by 10 %": Fault(partial(one_band, band="r", factor=1.1), 0),
    "all bands too bright by 20 %": Fault(partial(multiplied, factor=1.2), 0),
    "pixels of 0.66 arcsec": Fault(partial(in_larger_pixels, scale=0.66), 0),
    "E(B-V) too large by 0.1": Fault(partial(other_dust, by=0.1), 0),
}
"""The faults by name: first those that are to be flagged, then others, of which the last cannot be seen."""
