"""
What a PDF is for
=================

The redshift distribution of a sample, and a luminosity with an honest error: two numbers that point estimates get
wrong.

The galaxies are **simulated**, so that the truth is known. You need ``pip install "astro-photz[plot,simulate]"`` and
no network.
"""

# %%
# A sample
# --------
#
# The model has not seen these galaxies: ``split="test"`` draws them from real galaxies that were kept for tests.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np
from astropy.cosmology import Planck18

import astro_photz
from astro_photz import simulate

cutouts, truth = simulate.galaxies(400, seed=11, split="test", config={"sample": {"colours": "measured"}})
table = astro_photz.predict(cutouts, pdf=True)
good = (table["z_phot_flags"] & astro_photz.flags.BAD) == 0
table, truth = table[good], truth[good]
pdf = astro_photz.RedshiftPDF.from_table(table)
print(pdf)

# %%
# The redshift distribution n(z)
# ------------------------------
#
# A histogram of ``z_phot`` is not the distribution of redshifts: each estimate is the mean of a PDF, and means crowd
# together. Redshifts *drawn* from the PDFs, or the sum of the PDFs, keep the width of what is not known.

bins = np.linspace(0, 0.4, 33)
drawn = pdf.sample(100, rng=1)
n_true, _ = np.histogram(truth["redshift"], bins)
n_point, _ = np.histogram(table["z_phot"], bins)
n_pdf, _ = np.histogram(drawn, bins, weights=np.full(drawn.shape, 1 / drawn.shape[1]))

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.stairs(n_true, bins, fill=True, color="0.85", label="true redshifts")
ax.stairs(n_point, bins, color="tab:orange", lw=1.5, label="z_phot, point estimates")
ax.stairs(n_pdf, bins, color="tab:blue", lw=2, label="sum of the PDFs")
ax.set(xlabel="redshift", ylabel="galaxies in a bin", title=f"{len(table)} simulated galaxies")
ax.legend()
plt.show()

# %%
# The sum of the PDFs is a little *wider* than the truth, because each PDF is blurred by its error. For the moments that
# matter in lensing or clustering, the mean and its error are what one wants:

mean_true = np.mean(truth["redshift"])
mean_drawn = drawn.mean(axis=0)
print(f"mean redshift: true {mean_true:.4f}, PDFs {mean_drawn.mean():.4f} +- {mean_drawn.std():.4f}")

# %%
# The error in this line is that of the estimates alone: it takes the PDFs for calibrated, and their errors for
# independent. A bias that all galaxies share is not in it.
#
# How many beyond a redshift?
# ---------------------------
#
# The probability of being beyond a limit is a number for each galaxy, and the sum is the number to expect:

limit = 0.15
beyond = 1 - pdf.cdf(limit)
print(f"beyond z = {limit}: expected {beyond.sum():.0f}, true {np.sum(truth['redshift'] > limit)}")

# %%
# A luminosity with its error
# ---------------------------
#
# The distance modulus is a steep function of redshift where z is small. A symmetric error of z then gives an asymmetric
# error of the magnitude. Redshifts drawn from the PDF go through any function:

r = 22.5 - 2.5 * np.log10(truth["flux"][:, 2].value)  # total r magnitude, free of extinction
grid = np.linspace(0.002, 0.4, 400)
modulus = Planck18.distmod(grid).value  # a table: 400 distances instead of 40,000


def absolute(z, magnitude):
    """Absolute magnitude in r, without a K-correction."""
    return magnitude - np.interp(z, grid, modulus)


magnitudes = absolute(drawn, r[:, None])
low, median, high = np.percentile(magnitudes, [16, 50, 84], axis=1)
M_true = absolute(np.asarray(truth["redshift"]), r)
inside = np.mean((low <= M_true) & (M_true <= high))
print(f"{100 * inside:.0f} % of the true magnitudes lie in the central 68 % intervals")

# %%
# A galaxy at low redshift shows it best:

nearby = np.argmin(np.where(table["z_phot"] > 0.03, table["z_phot"], 1))
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
pdf[nearby].plot(ax=left)
left.set_title("its redshift")
right.hist(absolute(pdf[nearby].sample(5000, rng=2)[0], r[nearby]), bins=40, color="tab:blue", alpha=0.6)
right.axvline(M_true[nearby], color="k", ls="--", label="true")
right.set(xlabel="absolute magnitude in r", ylabel="drawn redshifts", title="its luminosity")
right.invert_xaxis()
right.legend()
plt.show()

print(f"M_r = {median[nearby]:.2f} +{high[nearby] - median[nearby]:.2f} -{median[nearby] - low[nearby]:.2f}")

# %%
# Use the drawn redshifts for anything else that depends on z: sizes in kpc, masses, membership in a cluster. Keep the
# same draw for all quantities of one galaxy, so that their errors go together.
