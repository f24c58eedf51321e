# Licensed under a 3-clause BSD style license - see LICENSE
"""Distributions of redshifts and errors: every galaxy is counted once."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from astropy.table import MaskedColumn
from matplotlib.figure import Figure

from astro_photz.plots.distribution import plot_distribution, plot_errors


def axes():
    return Figure().add_subplot()


@pytest.mark.parametrize("n", [1, 2, 30, 5000])
@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.1, 3.0])
def test_every_redshift_is_in_a_bin(n, spread):
    z = 0.2 + spread * np.random.default_rng(1).standard_normal(n)
    ax = plot_distribution(z, ax=axes())
    steps = ax.patches[0].get_data()
    assert steps.values.sum() == n
    assert len(steps.values) <= 200
    assert steps.edges[0] <= z.min()
    assert steps.edges[-1] >= z.max()
    low, high = ax.get_xlim()
    assert low <= z.min()
    assert high >= z.max()


def test_masked_redshifts_are_left_out():
    ax = plot_distribution(MaskedColumn([0.1, 0.2, np.nan, 0.3], mask=[False, True, False, False]), ax=axes())
    assert ax.patches[0].get_data().values.sum() == 2
    with pytest.raises(ValueError, match="no redshift is finite"):
        plot_distribution([np.nan], ax=axes())


def test_the_summed_pdfs_have_the_area_of_the_histogram():
    edges = np.linspace(0, 0.4, 41)
    z = np.array([0.105, 0.205, 0.305, 0.115])
    ax = plot_distribution(z, summed=(np.histogram(z, edges)[0], edges), ax=axes())
    areas = [np.sum(one.get_data().values * np.diff(one.get_data().edges)) for one in ax.patches]
    assert areas[1] == pytest.approx(areas[0])


def test_few_galaxies_are_points_and_flagged_ones_apart():
    x, error = np.linspace(15, 18, 40), np.full(40, 0.01)
    error[:3] = 0, np.nan, -1
    ax = plot_errors(x, error, flagged=np.arange(40) % 4 == 0, ax=axes())
    assert [len(line.get_xdata()) for line in ax.lines] == [28, 9]
    assert ax.get_xlabel() == "$r$ (mag)"
    assert ax.get_yscale() == "log"


def test_many_galaxies_are_counted():
    draw = np.random.default_rng(1)
    x, error = draw.uniform(15, 18, 10_000), draw.uniform(0.01, 0.03, 10_000)
    ax = plot_errors(x, error, label="redshift", ax=axes())
    counts = ax.collections[0].get_array()
    assert 0.98 * 10_000 < counts.sum() <= 10_000
    assert [np.mean(line.get_ydata()) for line in ax.lines] == pytest.approx([0.0132, 0.02, 0.0268], rel=0.02)


def test_nothing_to_draw_is_told():
    with pytest.raises(ValueError, match="no galaxy has an error above 0"):
        plot_errors([17.0], [0.0], ax=axes())
