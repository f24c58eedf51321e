# Licensed under a 3-clause BSD style license - see LICENSE
"""
Small tools that import nothing else of the package.
"""
