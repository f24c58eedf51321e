"""
PDFs to and from qp
===================

qp is the package in which LSST DESC keeps redshift PDFs. Take yours there and back, and take those of others.

The galaxies are the **simulated** ones that come with the package. You need ``pip install "astro-photz[plot,qp]"`` and
no network.
"""

# %%
# To qp
# -----

# sphinx_gallery_tags = ["plot", "qp", "offline"]
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import qp

import astro_photz
from astro_photz.adapters.qp import from_qp, read_qp, to_qp, write_qp

source = astro_photz.CutoutFile(astro_photz.demo_path())
table = astro_photz.predict(source.catalog(), source=source, pdf=True)
pdf = astro_photz.RedshiftPDF.from_table(table)
ensemble = to_qp(pdf, ids=table["objid"], ancil={"flags": table["z_phot_flags"]})
print(ensemble)

# %%
# All methods of qp work on it:

z = np.linspace(0, 0.4, 401)
print("mode of the first three:", np.round(ensemble.mode(z)[:3].ravel(), 3))
print("their 90 % quantile:    ", np.round(ensemble.ppf(0.9)[:3].ravel(), 3))

# %%
# A file
# ------
#
# ``write_qp`` and ``read_qp`` keep the bins and the identifiers:

path = Path(tempfile.mkdtemp()) / "pdfs.hdf5"
write_qp(path, pdf, ids=table["objid"])
again, ids = read_qp(path)
print(again, "largest difference:", float(np.abs(again.p - pdf.p).max()))

# %%
# From qp
# -------
#
# PDFs of other codes come in many forms: Gaussians, mixtures, quantiles, points of a curve. ``from_qp`` integrates each
# over bins, so that all have the same grid and can be compared:

mean, width = np.array(table["z_phot"], dtype=float), np.array(table["z_phot_err"], dtype=float)
forms = {
    "Gaussian": qp.Ensemble(qp.stats.norm, data={"loc": mean, "scale": width}),
    "quantiles": qp.convert(ensemble, "quant", quants=np.linspace(0.005, 0.995, 41)),
    "curve": qp.convert(ensemble, "interp", xvals=np.linspace(0, 0.4, 81)),
}
edges = np.linspace(-0.5, 1, 751)  # wide enough for each: a Gaussian also reaches below a redshift of 0
row = 13
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.stairs(pdf.p[row] / np.diff(pdf.edges), pdf.edges, fill=True, color="0.85", label="ours, bins")
for style, (name, other) in zip(("-", "--", ":"), forms.items(), strict=True):
    binned, _ = from_qp(other, edges)
    ax.stairs(binned.p[row] / np.diff(edges), edges, ls=style, lw=1.6, label=name)
ax.set(xlabel="redshift", ylabel="probability density", title=f"galaxy {table['objid'][row]}, simulated", xlim=(0, 0.3))
ax.legend()
plt.show()

# %%
# A Gaussian loses the tails and the second peak of a PDF; quantiles and curves keep them, if there are enough.
#
# RAIL
# ----
#
# In a pipeline of RAIL, the stage ``astro_photz.adapters.rail.AstroPhotzEstimator`` takes a table of positions and
# gives such an ensemble. The user guide's page on qp and RAIL has an example that runs.
