"""
Judge another code's redshifts
==============================

The same figures of merit for any code: columns of redshifts and errors, or PDFs. Here, a simple catalogue code is set
beside the images.

The galaxies are **simulated**, so the result says how to compare, and not which code is better on real ones. You need
``pip install "astro-photz[plot,simulate]"`` and no network.
"""

# %%
# Two samples
# -----------
#
# The other code learns from one sample, and both codes are judged on another.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import KDTree

import astro_photz
from astro_photz import RedshiftPDF, plots, simulate, validate
from astro_photz.dust import deredden

config = {"sample": {"colours": "measured"}}
train_images, train = simulate.galaxies(1500, seed=31, split="train", config=config)
test_images, test = simulate.galaxies(500, seed=32, split="test", config=config)

# %%
# Another code
# ------------
#
# The redshift of the nearest neighbours in magnitude and colour: an old and honest method. It sees the fluxes of a
# catalogue, with their errors, free of extinction.


def features(truth, images):
    """Magnitude in r and four colours."""
    flux = deredden(np.asarray(truth["catalog_flux"].value, dtype=float), ebv=images.ebv)
    mag = 22.5 - 2.5 * np.log10(np.maximum(flux, 0.3))
    return np.column_stack([mag[:, 2] / 3, np.diff(mag, axis=1)])


tree = KDTree(features(train, train_images))
_, rows = tree.query(features(test, test_images), k=20)
near = np.asarray(train["redshift"])[rows]

theirs = test["redshift", "seed_index"]
theirs["photoz"] = near.mean(axis=1)
theirs["photoz_err"] = near.std(axis=1)
theirs.round({"photoz": 4, "photoz_err": 4})
theirs["redshift", "photoz", "photoz_err"][:4].pprint()

# %%
# Judge its columns
# -----------------
#
# Name the columns. With an error, each galaxy is judged by a Gaussian PDF of that width. Galaxies that were drawn from
# the same real one are not independent, and ``groups`` says so:

other = validate(theirs, "redshift", z_phot="photoz", z_err="photoz_err", groups="seed_index")
print(other.sample["kind"])
for sentence in other.verdict[:4]:
    print("-", sentence)

# %%
# Judge its PDFs
# --------------
#
# The neighbours are more than a mean and an error: their histogram is a PDF. ``RedshiftPDF`` takes any probabilities in
# bins.

edges = np.linspace(0, 0.5, 101)
centres = 0.5 * (edges[1:] + edges[:-1])
kernel = np.exp(-0.5 * ((centres - near[..., None]) / 0.015) ** 2).sum(axis=1)
pdf = RedshiftPDF(kernel / kernel.sum(axis=1, keepdims=True), edges)
with_pdfs = validate(theirs, "redshift", pdf=pdf, groups="seed_index")

# %%
# Side by side
# ------------
#
# The images' redshifts are of the very same galaxies:

mine = astro_photz.predict(test_images, pdf=True)
mine["redshift"], mine["seed_index"] = test["redshift"], test["seed_index"]
images = validate(mine, "redshift", groups="seed_index")

print(f"{'':28s}{'sigma_MAD':>16s}{'outliers':>17s}{'CRPS':>17s}")
for name, judged in (("neighbours, Gaussian", other), ("neighbours, PDFs", with_pdfs), ("images", images)):
    cells = [f"{judged.overall[m]:.4f} +- {judged.errors[m]:.4f}" for m in ("sigma_mad", "eta", "crps")]
    print(f"{name:28s}{cells[0]}{cells[1]:>17s}{cells[2]:>17s}")

# %%
# Mind the errors: a difference smaller than they are says nothing. And mind what each code has learnt from: the
# neighbours are 1,500 galaxies here, and the bundled model has seen far more. A fair comparison of *methods* gives both
# the same galaxies.
#
# Calibration
# -----------

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
plots.plot_pit(pdf, np.asarray(test["redshift"]), ax=axes[0])
plots.plot_pit(mine, "redshift", ax=axes[1])
axes[0].set_title("neighbours")
axes[1].set_title("images")
plt.show()

# %%
# For PDFs in a file of qp, give its path: ``validate(table, "z_spec", pdf="theirs.hdf5")``. Rows are paired by
# identifier.
