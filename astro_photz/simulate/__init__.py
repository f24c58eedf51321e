# Licensed under a 3-clause BSD style license - see LICENSE
"""
A simulated sky: galaxies with the colours and redshifts of real ones, as SDSS would have imaged them.

Real galaxies are the seeds (`astro_photz.simulate.population`); they get shapes by type and luminosity
(`astro_photz.simulate.morphology`), neighbours (`astro_photz.simulate.neighbours`), a point-spread function and noise
(`astro_photz.simulate.sky`), and are drawn in Fourier space (`astro_photz.simulate.rendering`). Needs the extra
``[simulate]``: torch and kcorrect.
"""

from .generate import galaxies, write

__all__ = ["galaxies", "write"]
