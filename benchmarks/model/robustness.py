# Licensed under a 3-clause BSD style license - see LICENSE
"""
Quality of redshifts of faulty stamps.

    python -m benchmarks.model.robustness [--model bundled] [--n 5000]

The same simulated galaxies are seen as they are, and without one band, without a corner or a side, farther off the
centre than SDSS positions are, with a band displaced or in wrong units, and with a sky that is not quite taken off.
"Change" is the change of σ_MAD that it makes, paired. `~astro_photz.predict` flags some of it (``NO_BAND``,
``PARTIAL``, ``OFF_CENTRE``), and where a band is missing it leaves the redshift out: here is what the graphs would say.
"""

from functools import partial

import numpy as np

from astro_photz import load_model, metrics
from astro_photz.photometry import sky_rms
from astro_photz.sdss import BANDS

from ._report import arguments_of, judged, measured, report
from ._stamps import cropped, drawn, estimates, observed, scored, simulation_of

SIZE, MARGIN = 64, 4  # pixels
CORNER = 24  # pixels
TEXT = (
    "The same simulated galaxies, with something wrong about their stamps. Change: of σ_MAD, paired. Errors: by "
    "bootstrap over the real galaxies that they were drawn from."
)


def without_band(flux, band):
    stamp = cropped(flux)
    stamp[:, BANDS.index(band)] = np.nan
    return stamp


def without_corner(flux):
    stamp = cropped(flux)
    stamp[..., :CORNER, :CORNER] = np.nan
    return stamp


def without_side(flux, axis, end):
    stamp = cropped(flux)
    stamp.swapaxes(axis, -1)[..., slice(-CORNER, None) if end else slice(CORNER)] = np.nan
    return stamp


def displaced(flux, band, pixels):
    stamp = cropped(flux)
    stamp[:, BANDS.index(band)] = cropped(flux, x=pixels)[:, BANDS.index(band)]
    return stamp


def brighter(flux, band, magnitudes):
    stamp = cropped(flux)
    stamp[:, BANDS.index(band)] *= 10 ** (0.4 * magnitudes)
    return stamp


def brighter_sky(flux, share):
    stamp = cropped(flux)
    return stamp + (share * sky_rms(stamp))[..., None, None].astype(stamp.dtype)


AS_THEY_ARE = "as they are"
VERSIONS = {
    AS_THEY_ARE: cropped,
    **{f"no {band}": partial(without_band, band=band) for band in BANDS},
    f"a corner of {CORNER} × {CORNER} pixels missing": without_corner,
    f"{CORNER} pixels missing on the left": partial(without_side, axis=3, end=0),
    f"{CORNER} pixels missing on the right": partial(without_side, axis=3, end=1),
    f"{CORNER} pixels missing below": partial(without_side, axis=2, end=0),
    f"{CORNER} pixels missing above": partial(without_side, axis=2, end=1),
    "2 pixels off": partial(cropped, x=2),
    "4 pixels off": partial(cropped, x=4),
    "u a pixel beside the others": partial(displaced, band="u", pixels=1),
    "g too bright by 0.02 mag": partial(brighter, band="g", magnitudes=0.02),
    "g too bright by 0.05 mag": partial(brighter, band="g", magnitudes=0.05),
    "sky too high by 0.1 of its rms": partial(brighter_sky, share=0.1),
}
"""Name of each fault, and a function that adds it to stamps with a margin."""


def main():
    arguments = arguments_of(__doc__, n=5000)
    model = load_model(arguments.model)
    simulation = simulation_of(model, seed=arguments.seed, size=SIZE + 2 * MARGIN)
    population, shape = drawn(simulation, arguments.n)
    pdfs = {name: [] for name in VERSIONS}
    for _, cutouts in observed(simulation, population, shape):
        for name, spoilt in VERSIONS.items():
            pdfs[name].append(estimates(model, spoilt(cutouts.flux), cutouts.ebv))
    scores = {name: scored(parts, population.redshift) for name, parts in pdfs.items()}
    rows = [row(name, one, scores[AS_THEY_ARE], groups=population.progenitor) for name, one in scores.items()]
    shown = ("bias", "sigma_mad", "eta", "coverage68")
    report(
        "Stamps with something wrong", rows, arguments, text=TEXT, columns={"change": "change of σ_MAD"}, shown=shown
    )


def row(name, scores, beside, *, groups):
    """A row of the table; with the change, but for the stamps as they are."""
    change = {}
    if name != AS_THEY_ARE:
        change = measured("change", change_of_scatter, scores.deviation, beside.deviation, groups=groups)
    return judged(name, scores, groups=groups, **change)


def change_of_scatter(one, other):
    return metrics.sigma_mad(one) - metrics.sigma_mad(other)


if __name__ == "__main__":
    main()
