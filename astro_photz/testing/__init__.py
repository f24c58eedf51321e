# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tools for tests: what a source of cutouts must do, galaxies and frames made up, a server that plays the archive.

They are for the tests of this package, and for those of sources that others write. They need the extra ``[test]``.
"""
