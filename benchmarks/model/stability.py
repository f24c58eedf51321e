# Licensed under a 3-clause BSD style license - see LICENSE
"""
Change of a galaxy's redshift with crop, orientation and noise, none of which should matter.

    python -m benchmarks.model.stability [--model bundled] [--n 1000 | --real]

Each galaxy is cut out again, up to two pixels off; turned and mirrored in all eight ways; and given noise, four times,
to 1.3 times the rms of its sky. A case is a galaxy in one such version; it counts as stable if its redshift is less
than the ``z_phot_err`` of the galaxy as it was from what that was. Shares have errors by bootstrap over galaxies.

Galaxies are simulated, or, with ``--real``, the clean bright ones of ``../shared``, cut from real frames.
"""

import numpy as np
from astropy.table import Table

import astro_photz
from astro_photz import load_model
from astro_photz.photometry import sky_rms
from benchmarks.common.data import SHARED, require
from benchmarks.inference.invariances import orientations
from benchmarks.inference.real_galaxies import BRIGHT

from ._report import arguments_of, measured, report
from ._stamps import cropped, drawn, estimates, observed, simulation_of

OFF = 2  # pixels
NOISIER = 1.3
NOISES = 4
SIZE = 64

TEXT = (
    "Share of cases in which the redshift moves by less than its own error, when the same galaxy is cut out up to "
    "{off} pixels off, turned and mirrored, or given noise to {noisier} times the rms of the sky; and the median of "
    "the move over the error."
)
OF_REAL = " The galaxies are the clean ones of the table of real galaxies."


def main():
    real = {"action": "store_true", "help": "clean galaxies of real frames, which ../shared has"}
    arguments = arguments_of(__doc__, n=1000, real=real)
    model, rng = load_model(arguments.model), np.random.default_rng(arguments.seed)
    blocks, groups = real_galaxies() if arguments.real else simulated_galaxies(model, arguments)
    rows = []
    for change, versions in VERSIONS.items():
        moves = [moved(model, block.flux, block.ebv, versions, rng) for block in blocks]
        rows.append(row(change, np.concatenate(moves), groups))
    columns = {"share": "share that is stable", "median": "median move / error"}
    text = TEXT.format(off=OFF, noisier=NOISIER) + (OF_REAL if arguments.real else "")
    title = "Stability on real images" if arguments.real else "Stability"
    report(title, rows, arguments, text=text, columns=columns, simulated=not arguments.real, shown=())


def simulated_galaxies(model, arguments):
    """Cutouts with a margin around the stamp, in blocks, and the real galaxies that they were drawn from."""
    simulation = simulation_of(model, seed=arguments.seed, size=SIZE + 2 * OFF)
    population, shape = drawn(simulation, arguments.n)
    return [cutouts for _, cutouts in observed(simulation, population, shape)], population.progenitor


def real_galaxies():
    """Cutouts of those that have neither a neighbour nor a star on top, in one block; they are independent."""
    galaxies = Table.read(require() / "real_galaxies.ecsv")
    chosen = (np.asarray(galaxies["r_aper"]) < BRIGHT) & np.ma.filled(galaxies["clean"], False)
    source = astro_photz.FrameDirectory(SHARED / "sdss_frames", data_release=17)
    return [astro_photz.fetch(galaxies[chosen], source=source, size=SIZE + 2 * OFF)], None


def crops(flux, rng):
    places = range(-OFF, OFF + 1)
    return (cropped(flux, x, y) for x in places for y in places if x or y)


def turned(flux, rng):
    return orientations(cropped(flux))


def noisier(flux, rng):
    stamp = cropped(flux)
    rms = np.sqrt(NOISIER**2 - 1) * sky_rms(stamp)[..., None, None]
    return (stamp + (rms * rng.standard_normal(stamp.shape)).astype(stamp.dtype) for _ in range(NOISES))


VERSIONS = {f"up to {OFF} pixels off": crops, "orientations": turned, f"{NOISIER} times the noise": noisier}
"""Name of each change, and a function that gives the versions of stamps with a margin."""


def moved(model, flux, ebv, versions, rng):
    """Divide changes of redshifts (N, versions) by the errors of the unchanged ones."""
    before = estimates(model, cropped(flux), ebv)
    moves = [estimates(model, version, ebv).mean() - before.mean() for version in versions(flux, rng)]
    return np.abs(moves).T / before.std()[:, None]


def row(method, moves, groups):
    """A row of the table, of moves over errors (N, versions)."""
    share = measured("share", lambda one: np.mean(one < 1), moves, groups=groups)
    return {"method": method, "n": len(moves), **share, **measured("median", np.median, moves, groups=groups)}


if __name__ == "__main__":
    main()
