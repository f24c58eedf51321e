"""
Validate on a sample of your own
================================

A photometric redshift is worth as much as a comparison with galaxies like yours whose redshifts are known.

The sample of this page is **simulated**; real galaxies may be harder. You need ``pip install
"astro-photz[plot,simulate]"`` and no network.
"""

# %%
# The sample
# ----------
#
# Yours is a table with positions and spectroscopic redshifts. This one is drawn from real galaxies that were kept for
# tests.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np

import astro_photz
from astro_photz import plots, simulate, validate

cutouts, truth = simulate.galaxies(600, seed=21, split="test", config={"sample": {"colours": "measured"}})
table = astro_photz.predict(cutouts, pdf=True)
table["z_spec"] = truth["redshift"]
table["r_mag"] = 22.5 - 2.5 * np.log10(truth["flux"][:, 2].value)

# %%
# Judge
# -----
#
# ``validate`` computes the figures of merit with their errors, and says in words what they mean:

validation = validate(table, "z_spec")
for sentence in validation.verdict:
    print("-", sentence)

# %%
# The usual numbers:

for name in ("bias", "sigma_mad", "eta", "crps", "coverage68"):
    print(f"{name:10s} {validation.overall[name]:8.4f} +- {validation.errors[name]:.4f}")

# %%
# Errors come from bootstrap samples. Galaxies that tell the same story twice are drawn together.
#
# Redshift against redshift
# -------------------------

plots.plot_redshifts(table, "z_spec")
plt.show()

# %%
# Are the errors honest?
# ----------------------
#
# Of a calibrated sample, 68 % of the true redshifts lie in the central 68 % intervals, and the PIT is flat within the
# grey band:

plots.plot_pit(table, "z_spec", coverage=True)
plt.show()

# %%
# Where is it worse?
# ------------------
#
# A number for the whole sample hides where it fails. Look at bins of whatever your science depends on:

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
plots.plot_bins(table, "r_mag", "sigma_mad", redshift="z_spec", ax=left)
plots.plot_bins(table, "z_phot", "bias", redshift="z_spec", edges=[0, 0.06, 0.1, 0.14, 0.2, 0.4], ax=right)
plt.show()

# %%
# The worst
# ---------
#
# ``outliers`` lists the galaxies that are off by more than 0.05 (1 + z), the worst first. Look at their images before
# you believe, or drop, them:

validation.outliers["row", "redshift", "z_phot", "z_phot_err"][:5].pprint()
plots.plot_gallery(table, cutouts, rows=np.array(validation.outliers["row"][:4]), redshift="z_spec")
plt.show()

# %%
# Choose nothing by the sample that you report
# --------------------------------------------
#
# A cut, a model or a correction that is chosen on these galaxies makes their figures too good. Split the sample first:
# one part to choose by, one to report. ``validate`` warns if the model was trained on some of your galaxies.
