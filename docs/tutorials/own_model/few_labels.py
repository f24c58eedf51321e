"""
300 redshifts of your own
=========================

A few hundred spectroscopic redshifts are too few to train a network. They are enough to adapt one: to take away the
bias that a zero point, or another mix of galaxies, leaves.

The galaxies are **simulated**. You need ``pip install "astro-photz[plot,train,simulate]"`` and no network.
"""

# %%
# A sample that does not fit
# --------------------------
#
# Suppose that the *g* band of your images is too bright by 0.08 mag: an error of calibration that nobody knows of. We
# take 300 galaxies with redshifts to adapt by, and keep 400 others to judge with.

# sphinx_gallery_tags = ["plot", "train", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import astro_photz
from astro_photz import metrics, simulate, train

folder = Path(tempfile.mkdtemp())
config = {"sample": {"colours": "measured"}}


def images(n, seed, split):
    """Galaxies whose g band is too bright, and their redshifts."""
    cutouts, truth = simulate.galaxies(n, seed=seed, split=split, config=config)
    flux = cutouts.flux.copy()
    flux[:, 1] *= 10 ** (0.4 * 0.08)
    cutouts = astro_photz.Cutouts(flux, ebv=cutouts.ebv, coord=cutouts.coord, psf_fwhm=cutouts.psf_fwhm, simulated=True)
    return cutouts, np.asarray(truth["redshift"])


labelled, z_labelled = images(300, 71, "validation")
held, z_held = images(400, 72, "test")
labelled.write(folder / "labelled.h5", specz_redshift=z_labelled)

# %%
# Before
# ------

before = astro_photz.predict(held, prefix="before")
off = metrics.deviation(before["before"], z_held)
print(f"bias {np.mean(off):+.4f}, sigma_MAD {metrics.sigma_mad(off):.4f}")

# %%
# Adapt
# -----
#
# ``adapt`` leaves the network as it is. It learns one shift of all embeddings, with a prior whose width is chosen by
# cross-validation. If no shift is clearly better than none, there is none. ``export_run`` writes the model.

train.adapt(folder / "labelled.h5", folder / "adapted")
train.export_run(folder / "adapted", folder / "mine")
print(sorted(path.name for path in (folder / "mine").iterdir()))

# %%
# After
# -----
#
# The galaxies that judge were not used to adapt:

after = astro_photz.predict(held, model=folder / "mine", prefix="after")
off = metrics.deviation(after["after"], z_held)
print(f"bias {np.mean(off):+.4f}, sigma_MAD {metrics.sigma_mad(off):.4f}")

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for ax, z, title in (
    (axes[0], before["before"], "bundled model"),
    (axes[1], after["after"], "adapted by 300 redshifts"),
):
    dz = metrics.deviation(z, z_held)
    ax.plot(z_held, dz, ".", ms=4)
    ax.axhline(0, color="0.6", lw=1)
    ax.axhline(np.mean(dz), color="tab:red", lw=1.5, label=f"bias {np.mean(dz):+.4f}")
    ax.set(xlabel="true redshift", title=title, ylim=(-0.12, 0.12))
    ax.legend()
axes[0].set_ylabel("(z_phot − z) / (1 + z)")
plt.show()

# %%
# The card of the new model tells what it began with:

model = astro_photz.load_model(folder / "mine")
print(model.card.trained_on)
for limit in model.card.limits[:3]:
    print("-", limit)

# %%
# With your own images
# --------------------
#
# The stamps come from ``fetch``, with the column that holds the redshifts:
#
# .. code-block:: console
#
#     $ astro-photz fetch spectra.fits labelled.h5 --redshift z --drop-incomplete
#     $ astro-photz adapt labelled.h5 adapted/ --init bundled
#     $ astro-photz export adapted/ mine/
#     $ astro-photz predict hosts.csv hosts_z.ecsv --model mine/
#
# With thousands of redshifts, fine-tune the whole network: ``astro-photz finetune labelled.h5 finetuned/ --init bundled
# --recipe gentle``.
