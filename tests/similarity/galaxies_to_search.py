# Licensed under a 3-clause BSD style license - see LICENSE
"""Factories of embeddings and catalogues, for the tests of searches."""

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table

N, DIM = 1500, 24


def embeddings(n=N, dim=DIM, seed=0):
    """Clustered vectors, as embeddings of galaxies are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dim))
    return (centres[rng.integers(20, size=n)] + 0.3 * rng.normal(size=(n, dim))).astype(np.float32)


def catalogue(n=N, seed=1):
    """A catalogue with numbers, texts, a mask and flags."""
    rng = np.random.default_rng(seed)
    return Table(
        {
            "objid": 10**18 + np.arange(n),
            "ra": rng.uniform(150, 152, n) * u.deg,
            "dec": rng.uniform(-1, 1, n) * u.deg,
            "r_mag": MaskedColumn(rng.uniform(14, 18, n), mask=np.arange(n) % 10 == 0, unit=u.mag),
            "type": rng.choice(["spiral", "elliptical"], n),
            "z_phot_flags": rng.integers(0, 4, n) << 8,
        }
    )
