"""
A million rows
==============

Cut a large table into parts, run the parts side by side, and resume where it stopped.

This page does it with the few **simulated** galaxies of the demonstration, repeated: what it shows is the pattern. You
need ``pip install "astro-photz[plot]" dask`` and no network.
"""

# %%
# What limits
# -----------
#
# - **Reading frames** takes far longer than estimating. Keep all galaxies of a field in one part: sort by ``run``,
#   ``camcol`` and ``field``.
# - **Memory**: ``predict`` holds one batch of images at a time. The result is written when all rows are done, so parts
#   must be of a size that you can afford to lose: 10,000 to 100,000 rows.
# - **Processors**: one thread a process, many processes.
#
# A table
# -------

# sphinx_gallery_tags = ["plot", "dask", "offline"]
import tempfile
from itertools import pairwise
from pathlib import Path

import dask
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table, vstack

import astro_photz
from astro_photz import RedshiftPDF, conf
from astro_photz.tables import read_table, write_table

source = astro_photz.CutoutFile(astro_photz.demo_path())
demo = source.catalog()
rows = np.tile(np.arange(len(demo)), 25)
table = Table({"ra": demo["ra"][rows], "dec": demo["dec"][rows], "row": np.arange(len(rows))})
table["field"] = 100 + (table["row"] % 12)
table.sort("field")
print(len(table), "rows in", len(set(table["field"])), "fields")

# %%
# One part
# --------
#
# A part is a function of its rows. It writes a file, and does nothing if the file is there. That is all it takes to
# resume: files appear under their names when they are whole.

folder = Path(tempfile.mkdtemp())


def estimate(part, path):
    """Estimate the redshifts of a part; tell whether there was anything to do."""
    if path.exists():
        return False
    with conf.set_temp("inference_threads", 1):
        result = astro_photz.predict(part, source=source, pdf=True, progress=False)
    write_table(result, path)
    return True


edges = np.flatnonzero(np.diff(table["field"], prepend=-1, append=-1))
parts = [(table[a:b], folder / f"part-{table['field'][a]}.fits") for a, b in pairwise(edges)]
print(len(parts), "parts, the first of", len(parts[0][0]), "rows")

# %%
# All parts
# ---------
#
# dask runs them. Here it is in this process, ``scheduler="synchronous"``; on a workstation say ``"processes"``, with
# the work under ``if __name__ == "__main__":``; on a cluster, start a ``dask.distributed.Client`` and keep the same two
# lines.

work = [dask.delayed(estimate)(part, path) for part, path in parts]
done = dask.compute(*work, scheduler="synchronous")
print(sum(done), "parts were estimated")

# %%
# Suppose that the machine was switched off, and one part is missing. The same call does that part alone:

parts[3][1].unlink()
done = dask.compute(*work, scheduler="synchronous")
print(sum(done), "part was estimated")

# %%
# Put together
# ------------
#
# The parts become one table again, in the order of the first one. The columns that are not needed stay in the files:

columns = ["row", "z_phot", "z_phot_err", "z_phot_flags"]
result = vstack([read_table(path)[columns] for _, path in parts], metadata_conflicts="silent")
result.sort("row")
print(len(result), "rows,", int(np.sum(np.isfinite(result["z_phot"]))), "with an estimate")

# %%
# The same galaxy has the same redshift in each part, to the bit, whatever its neighbours in a batch:

z = np.asarray(result["z_phot"]).reshape(25, len(demo))
print("spread over the parts:", float(np.ptp(z, axis=0).max()))

# %%
# A sum over all
# --------------
#
# PDFs take 0.7 kB a row. What is made of all of them, such as the redshift distribution, adds up part by part:

total = 0
for _, path in parts:
    pdf = RedshiftPDF.from_table(read_table(path))
    total = total + pdf.p[np.isfinite(pdf.p).all(axis=1)].sum(axis=0)

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.stairs(total / np.diff(pdf.edges), pdf.edges, fill=True, alpha=0.6)
ax.set(xlabel="redshift", ylabel="galaxies per unit of redshift", title=f"{len(result)} rows, part by part")
plt.show()

# %%
# With LSDB
# ---------
#
# LSDB opens catalogues that are cut into regions of the sky already. One call adds redshifts to each region, as in
# :doc:`/user/scale`:
#
# .. code-block:: python
#
#     import lsdb
#     from astro_photz.adapters.lsdb import predict_catalog
#
#     catalog = lsdb.open_catalog("sdss_hats/", columns=["ra", "dec", "run", "camcol", "field"])
#     redshifts = predict_catalog(catalog, source="frames/")
#     redshifts.write_catalog("redshifts_hats/")
#
# A batch system
# --------------
#
# Without dask, an array job does as well: ``astro-photz predict sky.fits z-$SLURM_ARRAY_TASK_ID.fits --shard
# $SLURM_ARRAY_TASK_ID/100``, and in the end ``astro-photz merge z.fits z-{1..100}.fits``.
