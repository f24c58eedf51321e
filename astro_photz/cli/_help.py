# Licensed under a 3-clause BSD style license - see LICENSE
"""
Examples and exit codes in ``astro-photz --help``.
"""

__all__ = ["CODES", "EXAMPLES"]

EXAMPLES = [
    ("astro-photz demo", "a demonstration, offline, in a few seconds"),
    ("astro-photz predict hosts.csv hosts_z.ecsv", "images from the SDSS archive"),
    ("astro-photz predict hosts.fits z.fits --source frames/", "images from a folder of frames"),
    ("astro-photz fetch hosts.csv stamps.h5", "keep the images ..."),
    ("astro-photz predict hosts.csv z.csv --source stamps.h5", "... and use them again"),
    ("astro-photz simulate galaxies sky.h5 --n 1000 --seed 1", "a simulated sky, with known redshifts"),
    ("astro-photz pretrain --help", "a model of your own, in four commands"),
]

CODES = [
    "exit codes: 0 success; 1 an error; 2 wrong usage; 3 no galaxy has a redshift (predict) or an image (fetch); "
    "130 Ctrl-C; 143 SIGTERM; 141 a closed pipe",
    "After an interrupt, the last line says how to resume. With --traceback behind the command, or "
    "ASTRO_PHOTZ_TRACEBACK=1 in the environment, an error shows where in the code it arose.",
]
