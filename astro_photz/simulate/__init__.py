# Licensed under a 3-clause BSD style license - see LICENSE
"""
A simulated sky: galaxies with the colours and redshifts of real ones, as SDSS would have imaged them.

Real galaxies are the seeds (`astro_photz.simulate.population`); they get shapes by type and luminosity
(`astro_photz.simulate.morphology`), neighbours (`astro_photz.simulate.neighbours`), a point-spread function and noise
(`astro_photz.simulate.sky`), and are drawn in Fourier space (`astro_photz.simulate.rendering`). `galaxies` makes stamps
in memory, `write` a file of any number of them, `write_frames` whole fields as the survey's archive has them;
`cut_patches` cuts real sky to put galaxies on. Needs the extra ``[simulate]``: torch and kcorrect.
"""

from .frames import write_frames
from .generate import galaxies
from .output import write
from .patches import cut_patches
from .settings import Settings

__all__ = ["Settings", "cut_patches", "galaxies", "write", "write_frames"]
