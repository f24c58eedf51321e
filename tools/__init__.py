# Licensed under a 3-clause BSD style license - see LICENSE
"""Commands that make what ships, or check it, each run from the root of the repository: ``python -m tools.NAME``."""
