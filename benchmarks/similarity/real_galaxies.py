# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real galaxies among simulated ones: how often they find each other, against chance (needs real data).

If a search saw that images are simulated, real galaxies would be neighbours of real ones. Galaxies of the same field
share its sky and its seeing; so pairs from different fields are counted apart.
"""

import argparse

import numpy as np
from astropy.table import Table

import astro_photz
from astro_photz.similarity import SearchSpace
from astro_photz.similarity.models import search_model
from benchmarks.common.data import SHARED, require
from benchmarks.common.timing import print_table

from ._figures import neighbours
from ._twice import SETTINGS, observed_twice

SEED = 2904
FAINTEST = 18.3
FIELD = 1.0  # degrees: the fields are much further apart, and smaller


def real_galaxies():
    """Cutouts and positions of the real galaxies that are bright enough."""
    table = Table.read(require(SHARED / "real_galaxies.ecsv"))
    table = table[np.asarray(table["r_aper"]) < FAINTEST]
    return astro_photz.fetch(table, source=astro_photz.FrameDirectory(SHARED / "sdss_frames"))


def counts(vectors, n_real, coord, k):
    """Neighbours of real galaxies that are real, per query: all, and those of other fields; by chance, too."""
    found = neighbours(vectors, k, rows=np.arange(n_real))
    far = coord[:, None].separation(coord[None]).deg > FIELD
    real = found < n_real
    others = real & far[np.arange(n_real)[:, None], np.where(real, found, 0)]
    chance = k * (n_real - 1) / (len(vectors) - 1), k * far.sum(axis=1).mean() / (len(vectors) - 1)
    return real.sum(axis=1).mean(), others.sum(axis=1).mean(), *chance


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--n", type=int, default=2_000, help="simulated galaxies (default: %(default)s)")
    parser.add_argument("--k", type=int, default=20, help="neighbours (default: %(default)s)")
    parser.add_argument("--model", help="name or folder of a pretrained model (default: the bundled one)")
    args = parser.parse_args()
    model = search_model(args.model)
    real = real_galaxies()
    settings = SETTINGS | {"sample": SETTINGS["sample"] | {"faintest": FAINTEST}}
    blocks = observed_twice(args.n, seed=SEED, split="test", settings=settings, again=0)
    embedding = np.concatenate([model.embed(real), *(model.embed(block.first) for block in blocks)])
    spaces = {
        "observation space": SearchSpace.of_model(model),
        "plain cosine": SearchSpace.cosine(model.card.embedding_dim),
    }
    rows = []
    for name, space in spaces.items():
        every, others, chance, chance_others = counts(space.map(embedding), len(real), real.coord, args.k)
        rows.append((name, *(f"{one:.2f}" for one in (every, chance, every / chance, others, others / chance_others))))
    print(
        f"{len(real)} real galaxies to r = {FAINTEST} among {args.n} simulated ones: real ones of {args.k} neighbours\n"
    )
    print_table(("", "real", "by chance", "ratio", "of other fields", "ratio"), rows)


if __name__ == "__main__":
    main()
