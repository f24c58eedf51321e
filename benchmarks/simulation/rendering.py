# Licensed under a 3-clause BSD style license - see LICENSE
"""
Exactness and speed of the renderer, beside GalSim, which draws the same components one by one.

    python -m benchmarks.simulation.rendering [--n 500] [--seed 0]

The first table has galaxies a second on one thread: without noise beside GalSim with its own parameters, and from seed
to stamp, noise and neighbours included; of both families of shapes. Then, for each family and per band, come the
differences from images that GalSim drew with parameters ten times tighter than its own: the largest in any pixel as a
fraction of the peak, that of the flux in the stamp, and that of its second moments. GalSim takes seconds for a profile
of large index, so a tenth as many galaxies of the second family are compared.
"""

import argparse
from functools import partial

import numpy as np
import torch

from astro_photz.sdss import BANDS
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.settings import Settings
from astro_photz.simulate.simulation import BLOCK, Simulation
from astro_photz.testing import galsim_scene
from benchmarks.common.timing import alternate, measure, medians, print_table, ratios, use_one_thread

SIZES = (64, 107)
GALSIM = "GalSim, without noise"
BY_GALSIM = 64  # galaxies that it draws to be timed
FAMILIES = {"bulges and discs": 0.0, "Sersic profiles": 1.0}  # share of the second family
LIMITS = {"residual": 5e-4, "flux": 2e-3, "moments": 1e-2}


def draw(sources, conditions):
    """Stamps of 64 pixels by the package's renderer."""
    return render(sources, conditions.transfer, size=64, shift=conditions.shift).numpy()


def compare(n, seed, family):
    """Print how images differ from GalSim's."""
    sources, conditions = galsim_scene.random_galaxies(n, np.random.default_rng(seed), sersic=FAMILIES[family])
    truth = galsim_scene.draw(sources, conditions, params=galsim_scene.TIGHT)
    drawings = {"astro_photz": draw(sources, conditions), "GalSim": galsim_scene.draw(sources, conditions)}
    rows = []
    for name, images in drawings.items():
        for what, values in galsim_scene.compare(images, truth)._asdict().items():
            for band, of_band in zip(BANDS, values.T, strict=True):
                levels = [f"{level:.1e}" for level in np.percentile(of_band, [50, 95, 99, 100])]
                within = f"{np.mean(of_band <= LIMITS[what]):.1%}"
                rows.append((f"{name}: {what}, {band}", *levels, f"{LIMITS[what]:.0e}", within))
    print(f"Differences from GalSim at its most exact, {n} galaxies of {family}, seed {seed}")
    print_table(("", "median", "95 %", "99 %", "largest", "limit", "within"), rows)


def time_all(seed, repeats):
    """Print galaxies a second."""
    sources, conditions = galsim_scene.random_galaxies(BLOCK, np.random.default_rng(seed))
    few = sources[sources.scene < BY_GALSIM]
    few_conditions = type(conditions)(**{name: value[:BY_GALSIM] for name, value in vars(conditions).items()})
    runs = {
        GALSIM: (partial(galsim_scene.draw, few, few_conditions), BY_GALSIM),
    }
    for family, sersic in FAMILIES.items():
        scene = galsim_scene.random_galaxies(BLOCK, np.random.default_rng(seed), sersic=sersic)
        runs[f"{family}, without noise"] = (partial(draw, *scene), BLOCK)
        for size in SIZES:
            simulation = Simulation(seed=seed, size=size, settings=Settings(shapes={"sersic": sersic}))
            runs[f"{family}, blocks of {size} px, noise and neighbours"] = (partial(simulation.block, 0, BLOCK), BLOCK)

    results = alternate({name: partial(_rate, *run) for name, run in runs.items()}, repeats=repeats)
    rows = []
    for name, rates in results.items():
        wall, cpu = medians(rates)
        rows.append((name, f"{wall:.0f}", f"{cpu:.0f}", f"{ratios(rates, results[GALSIM])[1]:.1f}"))
    print("Galaxies a second in five bands on one thread, by the clock and by CPU time")
    print_table(("", "clock", "CPU", "ratio"), rows)


def _rate(function, n):
    return tuple(n / cost for cost in measure(function))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=500, help="galaxies compared (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the galaxies (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="of each timing (default: %(default)s)")
    options = parser.parse_args()
    use_one_thread()
    torch.set_num_threads(1)
    time_all(options.seed, options.repeats)
    for family, share in zip(FAMILIES, (1, 0.1), strict=True):
        compare(max(1, int(share * options.n)), options.seed, family)


if __name__ == "__main__":
    main()
