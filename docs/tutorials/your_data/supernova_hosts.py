"""
Redshifts for supernova hosts
=============================

A list of positions from a transient survey, redshifts for their host galaxies, and what to do about rows that have
none.

The archive in this tutorial is not that of SDSS. It is a server on your own machine that plays the archive, with
**simulated** galaxies, so that the page can be made without a network. With ``with archive:`` taken away, the same
lines ask the real archive. You need ``pip install "astro-photz[plot]"``.
"""

# %%
# A list of hosts
# ---------------

# sphinx_gallery_tags = ["plot", "offline"]
# sphinx_gallery_thumbnail_number = 1
import tempfile
import warnings
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable

import astro_photz
from astro_photz import PhotozFlag, flags, plots, testing

archive = testing.synthetic_archive()
hosts = archive.positions

# %%
# Two rows will make trouble: for one, the list has the position of the *supernova*, 8 arcsec from the middle of its
# host; another lies in a part of the sky that SDSS has not imaged.

supernova = hosts[2].directional_offset_by(40 * u.deg, 8 * u.arcsec)
elsewhere = SkyCoord(230, -50, unit="deg")
positions = SkyCoord([*hosts[:2], supernova, *hosts[3:], elsewhere])
sample = QTable({"name": [f"SN 2026{chr(97 + i)}" for i in range(len(positions))], "host": positions})
for name, host in zip(sample["name"], sample["host"], strict=True):
    print(name, " ", host.to_string("hmsdms", precision=1))

# %%
# Ask for redshifts
# -----------------
#
# A ``SkyCoord`` column is found whatever its name. The archive is the default source of images, so the call names none.

with archive:
    table = astro_photz.predict(sample, pdf=True)

shown = flags.with_names(table)["name", "z_phot", "z_phot_err", "z_phot_flags"]
for name in ("z_phot", "z_phot_err"):
    shown[name].info.format = ".3f"
shown.pprint(max_width=-1)

# %%
# All rows come back, in the same order. Where there is no estimate, the redshift is masked, and the flag says why.
#
# Look at the images
# ------------------
#
# ``fetch`` gives the stamps, and what is in the cache is not asked for again.

with archive:
    cutouts = astro_photz.fetch(sample)

found = np.flatnonzero(~table["z_phot"].mask)
plots.plot_gallery(table, cutouts, rows=found, columns=4)
plt.show()

# %%
# What to do about the flags
# --------------------------
#
# ``NO_MATCH`` has two causes. Either SDSS has not imaged the place, or no object lies within 2 arcsec of the position.
# A supernova's position is not that of its host. Take the host's, from a catalogue or from the image, and ask for these
# rows alone. ``EBV_MISMATCH`` stands in nearly all rows, so it has one cause: the dust of this sky is made up, and not
# that of the map. In your own table it would tell of a wrong column.

missing = (table["z_phot_flags"] & PhotozFlag.NO_MATCH) != 0
print("no match:", ", ".join(table["name"][missing]))

again = sample[missing]
again["host"][again["name"] == "SN 2026c"] = hosts[2]
with archive:
    mended = astro_photz.predict(again, pdf=True)
flags.with_names(mended)["name", "z_phot", "z_phot_flags"].pprint()

# %%
# The rows go back to their places:

table[np.flatnonzero(missing)] = mended
print(f"{np.sum(~table['z_phot'].mask)} of {len(table)} hosts have a redshift")

# %%
# A list in a CSV file
# --------------------
#
# Most lists are text, with names of their own. ``ra=`` and ``dec=`` (``--ra``, ``--dec``) name the columns. Sexagesimal
# text is hours and degrees. Here one host has no position yet, one has a slip of the pen, and one is there twice:

folder = Path(tempfile.mkdtemp())
known, twice = (hosts[i].to_string("hmsdms", sep=":", precision=2).split() for i in (0, 1))
rows = [known, twice, twice, ["TBD", ""], ["10:61:26.40", "+02:11:45.7"]]
lines = ["SN,alpha_host,delta_host", *(f"SN 2027{chr(97 + i)},{a},{d}" for i, (a, d) in enumerate(rows))]
(folder / "hosts.csv").write_text("\n".join(lines))

with archive:
    from_text = astro_photz.predict(folder / "hosts.csv", ra="alpha_host", dec="delta_host")
flags.with_names(from_text)["SN", "alpha_host", "delta_host", "z_phot", "z_phot_flags"].pprint(max_width=-1)

# %%
# No row is dropped and none is merged. ``NO_POSITION`` marks what cannot be read as a position: mend these cells, and
# run again.
#
# The model that comes with the package is made for *r* from 15.8 to 19.4. Many hosts are fainter. They are flagged
# ``EXTRAPOLATED``, ``LOW_SNR`` or ``OUTLIER``. The last two are in ``flags.BAD``: take another code for them.
#
# If the server fails
# -------------------
#
# A night with a server that is down costs no rows. They are flagged ``NO_IMAGE``, which means: ask again later. Here, a
# second archive fails with the frames of one field:

broken = testing.synthetic_archive()
field = broken.primaries["field"][0]
broken.fail("frame", 404, path_contains=f"-{field:04d}.fits")
with broken, warnings.catch_warnings(record=True) as messages:
    warnings.simplefilter("always")
    partly = astro_photz.predict(hosts, source=astro_photz.SDSSArchive(cache=False))
no_image = (partly["z_phot_flags"] & PhotozFlag.NO_IMAGE) != 0
print(f"{no_image.sum()} of {len(partly)} rows have no image, {np.sum(~partly['z_phot'].mask)} have a redshift")
print(len(messages), "warning")

# %%
# When the server is back, ask for the rows that are flagged ``NO_IMAGE``. Frames that are in the cache are not fetched
# twice.
#
# Redshifts for the paper
# -----------------------
#
# An absolute magnitude needs the whole PDF, since the error of a distance is not symmetric at low redshift. The
# tutorial "What a PDF is for" shows how.

pdf = astro_photz.RedshiftPDF.from_table(table)
plots.plot_pdf(table, found[:4], labels=list(table["name"][found[:4]]))
plt.show()
