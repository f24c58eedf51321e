# Licensed under a 3-clause BSD style license - see LICENSE
"""
``python -m astro_photz`` is ``astro-photz``.
"""

import sys

from .cli import entry

if __name__ == "__main__":
    sys.exit(entry())
