# Licensed under a 3-clause BSD style license - see LICENSE
"""
A simulated sky: galaxies with the colours and redshifts of real ones, as SDSS would have imaged them.

Their progenitors are real galaxies. They get shapes by type and luminosity, neighbours, a point-spread function and
noise, and are drawn in Fourier space. `galaxies` makes stamps in memory, `point_sources` those of stars and quasars,
`write` a file of any number of galaxies, `write_points` one of points and distant galaxies for a model to tell,
`write_frames` whole fields as the survey's archive has them; `cut_patches` cuts real sky to put galaxies on. It needs
the extra ``[simulate]``: torch and kcorrect.
"""

from astro_photz.utils._optional import optional

optional("torch", extra="simulate", doing="simulating")

from .camera.blank_sky import cut_patches
from .fields.write_frames import write_frames
from .points import point_sources
from .settings import Settings
from .simulation import galaxies
from .write_point_stamps import write_points
from .write_stamps import write

__all__ = ["Settings", "cut_patches", "galaxies", "point_sources", "write", "write_frames", "write_points"]
