"""
Reading flags
=============

A flag says why to doubt a row. This tutorial spoils good images in the ways in which real ones are spoiled, and shows
which flag notices, and what to do.

All galaxies are **simulated**. You need ``pip install "astro-photz[plot]"`` and no network.
"""

# %%
# Flags of a good sample
# ----------------------

# sphinx_gallery_tags = ["plot", "offline"]
# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

import astro_photz
from astro_photz import Cutouts, PhotozFlag, flags, plots

cutouts = Cutouts.read(astro_photz.demo_path())
table = astro_photz.predict(cutouts)
counts = flags.to_table(table)
counts["name", "n"][counts["n"] > 0].pprint()

# %%
# ``z_phot_flags`` is a sum of bits, so that one galaxy can have several flags. These are the galaxies with any:

plots.plot_gallery(table, cutouts, rows=np.flatnonzero(table["z_phot_flags"] > 0))
plt.show()

# %%
# Spoil some images
# -----------------
#
# We take one good galaxy, and do to it what instruments, archives and people do.

rng = np.random.default_rng(1)


def swapped(flux):
    """The bands g and r in the wrong order."""
    return flux[[0, 2, 1, 3, 4]]


def shifted(flux):
    """The band g cut out 3 pixels off the others."""
    return np.stack([np.roll(band, 3, axis=1) if i == 1 else band for i, band in enumerate(flux)])


def off_centre(flux):
    """A position that is 10 pixels (4 arcsec) from the galaxy."""
    return np.roll(flux, (8, 6), axis=(1, 2))


def stretched(flux):
    """Pixels stretched by asinh, as for a picture."""
    return np.arcsinh(flux / 0.1)


def cut(flux):
    """A stamp at the edge of a frame."""
    return np.where(np.arange(flux.shape[-1]) < 44, flux, np.nan)


def no_band(flux):
    """No image in u."""
    return np.concatenate([np.full_like(flux[:1], np.nan), flux[1:]])


def hot_column(flux):
    """A hot column of pixels in r."""
    flux = flux.copy()
    flux[2, 25:40, 27] += 30
    return flux


def trail(flux):
    """A satellite that crosses the field in g."""
    y, x = np.mgrid[:64, :64]
    flux = flux.copy()
    flux[1] += 1.5 * np.exp(-0.5 * ((y - 0.4 * x - 24) / 1.2) ** 2)
    return flux


def neighbour(flux):
    """Another galaxy, as bright, 3 arcsec away."""
    return flux + np.roll(flux, (5, 5), axis=(1, 2))


def faint(flux):
    """A galaxy 5 mag fainter, in the same noise."""
    noise = np.nanstd(flux[:, :12, :12], axis=(1, 2))[:, None, None]
    return 0.01 * flux + noise * rng.normal(size=flux.shape)


faults = [swapped, shifted, off_centre, stretched, cut, no_band, hot_column, trail, neighbour, faint]
names = [fault.__name__ for fault in faults]
galaxy = cutouts[[9]]  # a galaxy alone in its stamp, so that only the fault is new
spoiled = Cutouts(
    np.stack([fault(galaxy.flux[0]) for fault in faults]),
    ebv=np.repeat(galaxy.ebv, len(faults)),
    ids=names,
    psf_fwhm=np.repeat(galaxy.psf_fwhm, len(faults), axis=0),
    simulated=True,
)

# %%
# What the package says
# ---------------------
#
# One figure shows the stamps with the names of their flags:

result = astro_photz.predict(spoiled)
plots.plot_gallery(result, spoiled, rows=range(len(faults)), columns=5)
plt.show()

# %%
# And in words, with the redshift that the same galaxy has when nothing is wrong:

print(f"the good galaxy: z_phot = {astro_photz.predict(galaxy)['z_phot'][0]:.3f}")
for fault, row in zip(faults, result, strict=True):
    z = "none" if np.ma.is_masked(row["z_phot"]) else f"{row['z_phot']:.3f}"
    print(f"{fault.__doc__:55s} z_phot = {z:6s} {'|'.join(flags.names(row['z_phot_flags'])) or '(no flag)'}")

# %%
# What to do about each
# ---------------------
#
# ``flags.describe`` tells what a flag means:

for flag in (PhotozFlag.MISALIGNED, PhotozFlag.OFF_CENTRE, PhotozFlag.WRONG_SCALE, PhotozFlag.CROWDED):
    print(flags.describe(flag))

# %%
# If many rows have the same flag, the cause is the same for all: the order of the bands, the unit of the pixels, the
# positions. Mend it, and run again. If single rows have one, look at their images, or leave them out:

keep = (result["z_phot_flags"] & flags.BAD) == 0
print("left after flags.BAD:", [name for name, kept in zip(names, keep, strict=True) if kept])

# %%
# Flags do not see everything: a fault that leaves an image which could be real has no flag. The user guide's page "What
# to do about a flag" has a picture of each flag, and lists what none of them sees.
