"""
A table from VizieR, TAP or TOPCAT
==================================

Tables of the Virtual Observatory go in as they are, and come out with redshifts, for TOPCAT to open.

A real query needs a network. This page plays with a **recorded** answer: a VOTable in the form that VizieR gives, with
the positions of the **simulated** galaxies that come with the package. You need ``pip install "astro-photz[plot]"``.
"""

# %%
# The query
# ---------
#
# With a network, a table comes from VizieR by astroquery, or from any TAP service by pyvo:
#
# .. code-block:: python
#
#     from astroquery.vizier import Vizier
#     columns = ["objID", "RA_ICRS", "DE_ICRS", "rmag"]
#     vizier = Vizier(columns=columns, row_limit=-1)
#     table = vizier.query_region("10h00m20s +02d12m26s", radius="10m", catalog="V/154")[0]
#
#     import pyvo
#     service = pyvo.dal.TAPService("https://tapvizier.cds.unistra.fr/TAPVizieR/tap")
#     table = service.search('SELECT TOP 100 objID, RA_ICRS, DE_ICRS FROM "V/154/sdss16"').to_table()
#
# From here on it does not matter where it came from. The recorded answer has what such tables have: names in the style
# of VizieR, units, descriptions, and a sentinel where a number is not known.

# sphinx_gallery_tags = ["plot", "offline"]
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.io.votable import from_table, parse_single_table
from astropy.table import Table

import astro_photz
from astro_photz import plots
from astro_photz.tables import write_table

folder = Path(tempfile.mkdtemp())
source = astro_photz.CutoutFile(astro_photz.demo_path())
demo = source.catalog()
answer = Table(
    {
        "objID": np.asarray(demo["objid"]).astype("int64") + 1237648720693755900,
        "RAJ2000": np.asarray(demo["ra"]),
        "DEJ2000": np.asarray(demo["dec"]),
        "EBV": np.append(np.full(len(demo) - 1, 0.02), -9999.0),
    },
    units={"RAJ2000": "deg", "DEJ2000": "deg", "EBV": "mag"},
    descriptions={"RAJ2000": "Right ascension (ICRS)", "DEJ2000": "Declination (ICRS)"},
)
from_table(answer).to_xml(str(folder / "vizier.vot"))
print(answer[:3])

# %%
# Redshifts
# ---------
#
# The path of the file is enough. Position, unit and reddening are found by their names: ``RAJ2000``, ``RA_ICRS``,
# ``_RAJ2000``, ``ra`` and many more. −9999 is no reddening, so that row takes another: that of the source of the
# images.

table = astro_photz.predict(folder / "vizier.vot", source=source)
table["objID", "z_phot", "z_phot_err", "z_phot_flags"][:4].pprint()

# %%
# Identifiers of 19 digits stay exact integers:

print(bool(np.all(np.asarray(table["objID"]) == np.asarray(answer["objID"]))))

# %%
# Back to TOPCAT
# --------------
#
# A VOTable or FITS file keeps units, descriptions and masks. ``write_table`` also keeps the record of the model:

write_table(table, folder / "redshifts.vot")
params = {param.name: param.value for param in parse_single_table(str(folder / "redshifts.vot")).params}
print("model:", params["z_phot_model"])
print("columns:", *table.colnames)

# %%
# On the terminal, one line does all of it:
#
# .. code-block:: console
#
#     $ astro-photz predict vizier.vot redshifts.vot
#
# In TOPCAT, the good rows are the subset ``(z_phot_flags & BAD) == 0``, with the number

print(int(astro_photz.flags.BAD))

# %%
# On the sky
# ----------

plots.plot_sky(table)
plt.show()
