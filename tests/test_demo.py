# Licensed under a 3-clause BSD style license - see LICENSE
"""The demonstration judges itself: its verdict is what the columns of its table say."""

import re

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from astro_photz.demo import demo_verdict, run_demo
from astro_photz.metrics import deviation, sigma_mad


def galaxies(off, *, err=0.02):
    """As many galaxies as there are deviations, in units of 1 + z."""
    true = np.linspace(0.05, 0.3, len(off))
    z = true + np.array(off) * (1 + true)
    columns = {"z_phot": z, "z_phot_lo68": z - err, "z_phot_hi68": z + err}
    table = Table({"objid": np.arange(1, len(off) + 1), "redshift": true})
    for name, values in columns.items():
        table[name] = MaskedColumn(values, mask=np.isnan(values))
    return table


@pytest.mark.parametrize(
    ("off", "within", "outliers"),
    [
        ([0.0, 0.001, -0.001], "3 of 3 (100 %)", "none"),
        ([0.0, 0.06, 0.0, -0.001], "3 of 4 (75 %)", "galaxy 2"),
        ([0.06, 0.0, -0.051, 0.03], "1 of 4 (25 %)", "galaxies 1, 3"),
        ([0.06, np.nan, 0.0], "1 of 2 (50 %)", "galaxy 1"),
    ],
)
def test_the_verdict_counts_and_names(off, within, outliers):
    said = demo_verdict(galaxies(off))
    assert "galaxies are simulated" in said
    assert f"{within} true redshifts within the 68 % interval" in said
    assert said.endswith(f"outliers beyond 0.05 (1 + z): {outliers}")
    assert "\n" not in said


def test_the_verdict_on_the_demonstration(tmp_path):
    table, _ = run_demo(tmp_path)
    said = demo_verdict(table)
    off = deviation(table["z_phot"], table["redshift"])
    assert f"These 24 galaxies are simulated: sigma_MAD {sigma_mad(off):.3f}, " in said
    inside = (table["z_phot_lo68"] <= table["redshift"]) & (table["redshift"] <= table["z_phot_hi68"])
    assert f"{inside.sum()} of 24" in said
    named = re.search(r"\(1 \+ z\): (?:none|galax\w+ (.*))$", said)[1]
    assert (named or "") == ", ".join(map(str, table["objid"][np.abs(off) > 0.05]))
