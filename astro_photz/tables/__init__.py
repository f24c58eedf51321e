# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tables in files: read those of any program, and write without loss.

`read_table` looks at the content of a file, not at its name. `check_writable` finds out before the work what a format
cannot hold, and `write_table` writes the file whole or not at all.
"""

from .columns import side_by_side
from .formats import output_format
from .merging import merge_tables
from .reading import read_table
from .writing import LossWarning, check_writable, write_table

__all__ = [
    "LossWarning",
    "check_writable",
    "merge_tables",
    "output_format",
    "read_table",
    "side_by_side",
    "write_table",
]
