# Licensed under a 3-clause BSD style license - see LICENSE
"""LaTeX tables: the line of units that astropy writes is no row."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table

from astro_photz.tables import read_table, write_table


@pytest.mark.parametrize(
    "units", [(None, None), (u.deg, None), (None, u.mag), (u.deg, u.mag), (u.mas / u.yr, u.dimensionless_unscaled)]
)
@pytest.mark.parametrize("n", [1, 3])
def test_as_many_rows_come_back(tmp_path, units, n):
    table = Table({"ra": np.arange(n) + 0.5, "r_mag": np.arange(n) + 17.0})
    for name, unit in zip(table.colnames, units, strict=True):
        table[name].unit = unit
    write_table(table, tmp_path / "z.tex")
    back = read_table(tmp_path / "z.tex")
    assert back.colnames == ["ra", "r_mag"]
    assert [back[name].tolist() for name in back.colnames] == [table[name].tolist() for name in table.colnames]


def test_one_column_with_a_unit(tmp_path):
    write_table(QTable({"ra": [1.0, 2.0] * u.deg}), tmp_path / "z.tex")
    assert read_table(tmp_path / "z.tex")["ra"].tolist() == [1, 2]


def test_rows_of_formulas_stay(tmp_path):
    lines = [r"\begin{tabular}{cc}", r"a & b \\", r"$x^2$ & $y$ \\", r"$x$ & 3 \\", r"\end{tabular}"]
    (tmp_path / "z.tex").write_text("\n".join(lines))
    assert len(read_table(tmp_path / "z.tex")) == 2
