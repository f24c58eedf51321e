"""
Redshifts in a pandas DataFrame
===============================

A DataFrame goes in and a DataFrame comes out: same index, same rows, new columns.

The galaxies are the **simulated** ones that come with the package. You need ``pip install "astro-photz[plot]" pandas``
and no network.
"""

# %%
# A frame of galaxies
# -------------------
#
# In your work this is ``pd.read_csv("galaxies.csv")``. The index is a name, to show that it stays.

# sphinx_gallery_tags = ["plot", "pandas", "offline"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import astro_photz
from astro_photz import flags

source = astro_photz.CutoutFile(astro_photz.demo_path())
catalogue = source.catalog()
frame = pd.DataFrame(
    {
        "ra": np.asarray(catalogue["ra"]),
        "dec": np.asarray(catalogue["dec"]),
        "z_spec": np.asarray(catalogue["redshift"]),
    },
    index=[f"galaxy {n}" for n in catalogue["objid"]],
)
frame.loc["galaxy 5", "dec"] = np.nan  # a position that got lost
frame.head()

# %%
# Redshifts
# ---------
#
# ``source`` says where the images come from. Without it, they come from the archive of SDSS.

result = astro_photz.predict(frame, source=source)
result[["z_spec", "z_phot", "z_phot_err", "z_phot_flags"]].head(8).round(3)

# %%
# A row without an estimate has NaN, and its flag says why:

lost = result.loc["galaxy 5"]
print(lost["z_phot"], flags.names(int(lost["z_phot_flags"])))

# %%
# Work with it
# ------------
#
# A mask by flags, groups, and quantiles are plain pandas:

good = result[(result["z_phot_flags"] & flags.BAD) == 0].copy()
good["dz"] = (good["z_phot"] - good["z_spec"]) / (1 + good["z_spec"])
good["slice"] = pd.cut(good["z_phot"], [0, 0.1, 0.2, 0.4])
good.groupby("slice", observed=True)["dz"].agg(["count", "median", "std"]).round(4)

# %%
# ... and so is a figure:

ax = good.plot.scatter("z_spec", "z_phot", yerr="z_phot_err", figsize=(5, 4.5), color="tab:blue")
ax.plot([0, 0.4], [0, 0.4], color="0.6", lw=1, zorder=0)
ax.set(xlabel="true redshift", ylabel="z_phot", title="simulated galaxies")
plt.tight_layout()
plt.show()

# %%
# How it was made
# ---------------
#
# ``attrs`` holds the record: the model, its hash, the source of the images, the version of the package.

record = result.attrs["z_phot"]
for key in ("model", "trained_on", "source", "simulated"):
    print(f"{key}: {record[key]}")

# %%
# Parquet keeps the columns; ``attrs`` go with it where pandas and pyarrow write them. To be sure, keep the record in a
# file of its own, or write ECSV through astropy.
