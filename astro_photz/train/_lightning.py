# Licensed under a 3-clause BSD style license - see LICENSE
"""
lightning, or an error that names the extra that brings it.
"""

try:
    import lightning
except ImportError as error:
    raise ImportError('training needs lightning: pip install "astro-photz[train]"') from error

__all__ = ["lightning"]
