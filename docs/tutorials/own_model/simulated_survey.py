"""
A simulated survey with known truth
===================================

What does a worse night cost? Simulate the same galaxies under several conditions, and measure.

You need ``pip install "astro-photz[plot,simulate]"`` and no network.
"""

# %%
# Galaxies with known truth
# -------------------------
#
# ``simulate.galaxies`` draws galaxies with the colours and redshifts of real ones, gives them shapes, neighbours, a
# point-spread function and noise, and tells the truth about each.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np

import astro_photz
from astro_photz import metrics, plots, simulate

cutouts, truth = simulate.galaxies(8, seed=61, split="test")
truth.round({"redshift": 3, "half_light_radius": 2})
truth["redshift", "half_light_radius", "early", "neighbours"].pprint()

# %%
# The same seed gives the same galaxies. So a change of the settings can be seen on the same galaxies:

fig, axes = plt.subplots(3, 6, figsize=(9, 4.8), layout="constrained", subplot_kw={"xticks": [], "yticks": []})
for row, seeing in zip(axes, (0.9, 1.25, 2.0), strict=True):
    seen, _ = simulate.galaxies(8, seed=61, split="test", config={"sky": {"seeing": seeing}})
    row[0].set_ylabel(f"seeing {seeing}''")
    for ax, flux in zip(row, seen.flux, strict=False):
        ax.imshow(plots.colour_image(flux), origin="lower")
plt.show()

# %%
# Conditions to compare
# ---------------------
#
# A setting is a number in a section of a dict, or of a TOML file. What is not named has the value of the survey.

base = {"sample": {"colours": "measured"}}
conditions = {
    "as the survey": {},
    "seeing 2.0 arcsec": {"sky": {"seeing": 2.0}},
    "zero points wrong by 0.05 mag": {"sky": {"zero_point_scatter": 0.05}},
    "bands off by 0.5 pixels": {"sky": {"registration_scatter": 0.5}},
    "a crowded field": {"neighbours": {"density": 4.0}},
    "a magnitude fainter": {"sample": {"colours": "measured", "brightest": 17.8, "faintest": 18.8}},
}

print(f"{'':30s} sigma_MAD  +-      outliers  flagged")
results = {}
for name, config in conditions.items():
    images, known = simulate.galaxies(300, seed=62, split="test", config=base | config)
    table = astro_photz.predict(images)
    off = metrics.deviation(table["z_phot"], known["redshift"])
    off = off[np.isfinite(off)]
    draws = [metrics.sigma_mad(np.random.default_rng(i).choice(off, len(off))) for i in range(100)]
    results[name] = metrics.sigma_mad(off), np.std(draws)
    bad = np.mean((table["z_phot_flags"] & astro_photz.flags.BAD) != 0)
    print(
        f"{name:30s} {results[name][0]:.4f} {results[name][1]:9.4f} {100 * metrics.eta(off):7.1f} % {100 * bad:7.1f} %"
    )

# %%
# The figure of it
# ----------------

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
value, error = np.array(list(results.values())).T
ax.errorbar(value, np.arange(len(value))[::-1], xerr=error, fmt="o", capsize=3)
ax.set_yticks(np.arange(len(value))[::-1], list(results))
ax.set(xlabel="scatter of the redshifts, sigma_MAD", xlim=(0, None))
ax.axvline(value[0], color="0.7", lw=1, zorder=0)
plt.show()

# %%
# Galaxies of one progenitor look alike, so that the errors are a little too small; ``validate`` takes account of it.
#
# To files
# --------
#
# ``simulate.write`` fills an HDF5 file with any number of stamps in constant memory, and ``simulate.write_frames``
# makes whole fields as they lie in the archive. The tutorial "Frames on your disk" uses one.
