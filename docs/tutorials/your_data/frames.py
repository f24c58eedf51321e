"""
Frames on your disk
===================

A folder of SDSS frames, redshifts for the galaxies in it, and no network at all.

The frames are **simulated**: one field of 2048 by 1489 pixels in five bands, in the form and under the names of the
survey's own. You need ``pip install "astro-photz[plot,simulate]"``.
"""

# %%
# A folder of frames
# ------------------
#
# Yours may come from ``https://data.sdss.org``, from a mirror, or from a colleague's disk. Here we make one. The sky is
# that of a field with known truth.

# sphinx_gallery_tags = ["plot", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.visualization import simple_norm

import astro_photz
from astro_photz import plots, simulate

folder = Path(tempfile.mkdtemp()) / "frames"
config = {"sample": {"colours": "measured"}}
truth = simulate.write_frames(folder, seed=3, split="test", config=config, progress=False)
for path in sorted(folder.iterdir()):
    print(path.name)

# %%
# A catalogue to begin with
# -------------------------
#
# The table needs positions. E(B−V) is in it too; without, it would come from a map.

sample = truth["ra", "dec", "ebv", "redshift", "x", "y"][truth["redshift"] > 0]
print(len(sample), "galaxies of the main sample in this field")

# %%
# Redshifts
# ---------
#
# ``FrameDirectory`` finds the field of each galaxy by the world coordinate systems of the frames. It cuts the stamps,
# brings all bands onto the pixels of *r*, and fills what crosses an edge from a neighbouring field, if there is one.
#
# Reading frames takes far longer than estimating. So this page reads them once, keeps the stamps in a file, and
# estimates from the file:

cutouts = astro_photz.fetch(sample, source=astro_photz.FrameDirectory(folder))
cutouts.write(folder / "stamps.h5")
table = astro_photz.predict(sample, source=folder / "stamps.h5")
table.round({"redshift": 3, "z_phot": 3, "z_phot_err": 3})
table["redshift", "z_phot", "z_phot_err", "z_phot_flags"][:6].pprint()

# %%
# One call does both: ``predict(sample, source="frames/")``, or ``astro-photz predict galaxies.fits z.ecsv --source
# frames/`` on the terminal.
#
# Where they are
# --------------

image = fits.getdata(folder / "frame-r-009000-3-0011.fits.bz2")
fig, ax = plt.subplots(figsize=(8, 5.8), layout="constrained")
ax.imshow(image, origin="lower", cmap="gray_r", norm=simple_norm(image, "asinh", vmin=-0.05, vmax=2))
points = ax.scatter(table["x"], table["y"], s=250, c=table["z_phot"], marker="s", linewidth=2)
points.set_facecolor("none")  # the colour stays with the edges
points.set_edgecolor(points.cmap(points.norm(np.asarray(table["z_phot"]))))
for row in table:
    side, align = (9, "left") if row["x"] < 1700 else (-9, "right")
    label = f"{row['z_phot']:.3f}"
    ax.annotate(label, (row["x"], row["y"]), (side, 9), textcoords="offset points", ha=align, color="tab:blue")
fig.colorbar(points, ax=ax, label="z_phot", shrink=0.8)
ax.set(xlabel="column (pixels)", ylabel="row (pixels)", title="the simulated field in r, and its galaxies")
plt.show()

# %%
# The stamps
# ----------

plots.plot_gallery(table, cutouts, rows=range(min(8, len(table))), redshift=np.asarray(table["redshift"]))
plt.show()

# %%
# Where the edge of the field cuts a stamp off, the row is flagged ``PARTIAL``. With the next field of the scan in the
# folder, the stamp would be whole.
