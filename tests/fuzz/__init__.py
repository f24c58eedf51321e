# Licensed under a 3-clause BSD style license - see LICENSE
"""
Hostile inputs at the public doors of the package.

A *target* is a door: a public function, and a strategy of hypothesis that makes what goes in. An input is plain JSON,
so that it can be kept: the values themselves, or the edits of a valid file that a factory makes. What comes out is
judged by `fuzz.judging`: an answer that keeps the contracts, or an error of a class that the docstring names, worded by
the package; never another error, a warning of another package, a wait or a gigabyte.

``test_fuzz.py`` is the short run. The long one is ``python -m tests.fuzz``. What was found stays in ``cases/``.
"""

from pathlib import Path
from tempfile import gettempdir

from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(gettempdir()) / "hypothesis-of-astro-photz")  # and no folder in the working directory
