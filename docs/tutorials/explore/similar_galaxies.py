"""
More like this, and oddities
============================

Find the galaxies that look like one you know, the ones that look like no other, and the next ones to look at.

The galaxies are **simulated**. You need ``pip install "astro-photz[plot,simulate]"`` and no network.
"""

# %%
# An index
# --------
#
# The network turns each image into a list of numbers, its embedding. Galaxies that look alike are near each other. The
# index uses the pretrained network, which has seen no redshift, and keeps more of what a galaxy looks like.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import astro_photz
from astro_photz import plots, simulate
from astro_photz.similarity import SimilarityIndex

cutouts, truth = simulate.galaxies(400, seed=51, split="test", config={"sample": {"colours": "measured"}})
table = Table(
    {
        "name": [f"galaxy {n}" for n in range(len(cutouts))],
        "redshift": truth["redshift"],
        "r_mag": 22.5 - 2.5 * np.log10(truth["flux"][:, 2].value),
        "radius": truth["half_light_radius"].to_value("arcsec"),
    }
)

# %%
# Three stamps get spoiled, to see whether the search for oddities finds them: one with its bands in the wrong order,
# one with a satellite's trail, and one with next to no light.

flux = cutouts.flux.copy()
flux[100] = flux[100][::-1]
y, x = np.mgrid[:64, :64]
flux[200, 1] += 2 * np.exp(-0.5 * ((y - 0.5 * x - 18) / 1.2) ** 2)
flux[300] = np.random.default_rng(1).normal(0, np.nanstd(flux[300, :, :10], axis=(1, 2))[:, None, None], (5, 64, 64))
cutouts = astro_photz.Cutouts(flux, ebv=cutouts.ebv, ids=table["name"], psf_fwhm=cutouts.psf_fwhm, simulated=True)

index = SimilarityIndex.build(cutouts, table=table, ids="name")
print(index)

# %%
# More like this
# --------------

chosen = ["galaxy 3", "galaxy 17", "galaxy 42"]
answer = index.query(chosen, k=5)
answer.round({"similarity": 3, "redshift": 3, "r_mag": 2})
answer["query", "rank", "id", "similarity", "redshift"][:5].pprint()
plots.plot_neighbours(answer, cutouts, redshift="redshift")
plt.show()

# %%
# ``similarity`` is a fraction: 0.99 means that 99 % of random pairs of galaxies are farther apart.
#
# Conditions choose *before* the search, so there are always as many answers as you ask for:

bright = index.query("galaxy 3", k=4, where={"r_mag": (15, 17)})
bright.round({"similarity": 3, "r_mag": 2})
bright["id", "similarity", "r_mag"].pprint()

# %%
# Alike in looks, alike in redshift?
# ----------------------------------
#
# Nobody told this network a redshift. That neighbours have similar ones is what its embedding has learnt of colour and
# size:

near = index.query(rows=np.arange(len(cutouts)), k=5)
mean = np.array(near["redshift"]).reshape(-1, 5).mean(axis=1)
fig, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
ax.plot(truth["redshift"], mean, ".", ms=4)
ax.plot([0, 0.3], [0, 0.3], color="0.6", lw=1)
ax.set(xlabel="redshift of the galaxy", ylabel="mean redshift of its five neighbours", xlim=(0, 0.3), ylim=(0, 0.3))
plt.show()

# %%
# Oddities
# --------
#
# ``outliers`` lists the galaxies farthest from their neighbours:

odd = index.outliers(8)
print(*odd["id"], sep=", ")
rows = [list(table["name"]).index(name) for name in odd["id"]]
plots.plot_gallery(astro_photz.predict(cutouts[rows]), cutouts[rows])
plt.show()

# %%
# The rest of the list are the brightest, the nearest and the rarest, and that is where discoveries are.
#
# The next ones to look at
# ------------------------
#
# Say which of those you have looked at are interesting. ``suggest`` lists what you are likely to call interesting too:

spoiled = [name for name in odd["id"] if name in ("galaxy 100", "galaxy 200", "galaxy 300")]
others = [name for name in odd["id"] if name not in spoiled]
following = index.suggest(others[:2], spoiled + others[2:], n=4)
following.round({"probability": 2, "redshift": 3})
following["id", "probability", "redshift"].pprint()

# %%
# A map
# -----
#
# A plane in which galaxies that look alike lie near each other. The spoiled stamps are so far from all others that they
# would stretch it: leave them out first.

keep = ~np.isin(table["name"], spoiled)
clean = SimilarityIndex.build(cutouts[keep], table=table[keep], ids="name")
plots.plot_map(clean, "redshift", mark=chosen)
plt.show()

# %%
# The circles are the three galaxies of the search above.
