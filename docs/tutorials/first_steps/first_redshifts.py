"""
Your first redshifts
====================

From images to redshifts in two calls, and how to judge the result.

The galaxies of this tutorial are the 24 **simulated** ones that come with the package. They have the colours and the
redshifts of real galaxies, and the bundled model has not seen them. You need no network: ``pip install
"astro-photz[plot]"`` is all.
"""

# %%
# Images
# ------
#
# ``Cutouts`` holds the images of galaxies: five stamps for each, in the bands *u*, *g*, *r*, *i* and *z* of SDSS, and
# the reddening E(B−V) by the dust of the Milky Way in front of it. The fluxes are in nanomaggies, as SDSS gives them.

# sphinx_gallery_tags = ["plot", "offline"]
# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np

import astro_photz
from astro_photz import flags, metrics, plots

cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
print(cutouts)
print("shape of the pixels:", cutouts.flux.shape)

# %%
# Redshifts
# ---------
#
# ``predict`` is the one call. It takes images, or a table with sky positions, and returns a table.

table = astro_photz.predict(cutouts, pdf=True)
shown = table["id", "z_phot", "z_phot_err", "z_phot_lo68", "z_phot_hi68", "z_phot_flags"]
for name in shown.colnames[1:-1]:
    shown[name].info.format = ".3f"
shown[:8].pprint()

# %%
# ``z_phot`` is the estimate and ``z_phot_err`` its standard error. The redshift lies between ``z_phot_lo68`` and
# ``z_phot_hi68`` with a probability of 68 %. ``z_phot_flags`` is 0 where nothing speaks against the estimate.
#
# Here are eight of the galaxies, with what the model says of them:

plots.plot_gallery(table, cutouts, rows=[2, 4, 6, 7, 9, 15, 17, 22])
plt.show()

# %%
# A redshift is a probability
# ---------------------------
#
# The model gives each galaxy a probability density of its redshift, the PDF. The columns above are numbers drawn from
# it. A narrow PDF is a sure estimate; a wide one says that galaxies at several redshifts look like this.

source = astro_photz.CutoutFile(astro_photz.demo_path())
true = source.catalog()["redshift"]
plots.plot_pdf(table, [3, 9, 15], redshift=true)
plt.show()

# %%
# Judge it
# --------
#
# The true redshifts of these galaxies are known, so the estimates can be judged. The usual measure is the deviation
# (z_phot − z) / (1 + z): its robust scatter is called sigma_MAD, and a galaxy that is off by more than 0.05 is an
# outlier.

off = metrics.deviation(table["z_phot"], true)
print(f"scatter (sigma_MAD): {metrics.sigma_mad(off):.4f}")
print(f"outliers: {np.sum(np.abs(off) > 0.05)} of {len(off)}")

plots.plot_redshifts(table, true)
plt.show()

# %%
# Two dozen galaxies are far too few for a figure of merit. They show that the chain works. The tutorial on validation
# does it in earnest.
#
# Leave out the doubtful ones
# ---------------------------
#
# ``flags.BAD`` holds the bits of all flags that call for leaving a row out:

good = (table["z_phot_flags"] & flags.BAD) == 0
print(f"{good.sum()} of {len(table)} rows are good")
for row in table[~good]:
    print(row["id"], "|".join(flags.names(row["z_phot_flags"])))

# %%
# With your own galaxies
# ----------------------
#
# All that changes is where the images come from. For a table of positions in the footprint of SDSS, they come from the
# survey's archive, over the network:
#
# .. code-block:: python
#
#     table = astro_photz.predict("galaxies.fits")
#     table.write("galaxies_with_redshifts.ecsv")
#
# The model that comes with this version was trained on simulated images. Before you use its numbers for science, check
# them on galaxies of yours whose redshifts you know.
