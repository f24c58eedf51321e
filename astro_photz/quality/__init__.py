# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags from pixels and PDFs: signs that an estimate is missing or doubtful.
"""

from .images import flag_images

__all__ = ["flag_images"]
