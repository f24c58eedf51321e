# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures look as they did, where pytest-mpl is installed and asked to compare: ``pytest --mpl tests/plots``.

``pytest --mpl-generate-path=tests/plots/baseline tests/plots`` makes them anew, to be looked at before they are
committed. Releases of matplotlib draw words a little differently: they are left out here, and other tests read them.
"""

import numpy as np
import pytest

pytest.importorskip("pytest_mpl")

from made_up_galaxies import galaxies, validation
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.offsetbox import OffsetBox
from matplotlib.text import Text

from astro_photz import plots
from astro_photz.testing import gaussian_cutouts

compared = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", style="default", tolerance=4, savefig_kwargs={"dpi": 50}
)
FLAGS = np.where(np.arange(40) % 8 == 0, 64, 0)


def wordless(figure):
    """Leave out the words of a figure, and boxes that are as large as their words."""
    for kind in (Text, Legend, OffsetBox):
        for artist in figure.findobj(kind):
            artist.set_visible(False)
    return figure


def axes(width, height, **options):
    return Figure(figsize=(width, height)).add_subplot(**options)


@compared
def test_few_redshifts():
    table, _ = galaxies(40, flags=FLAGS)
    return wordless(plots.plot_redshifts(table, ax=axes(4.8, 6)).figure)


@compared
def test_many_redshifts():
    table, _ = galaxies(5000)
    return wordless(plots.plot_redshifts(table, ax=axes(4.8, 6)).figure)


@compared
def test_one_pdf():
    table, pdf = galaxies(1)
    return wordless(plots.plot_pdf(pdf, redshift=table["z_spec"], ax=axes(5, 3.4)).figure)


@compared
def test_several_pdfs():
    return wordless(plots.plot_pdf(validation(), range(4), ax=axes(5, 3.4)).figure)


@compared
def test_pit_and_coverage():
    table, pdf = galaxies(600)
    return wordless(plots.plot_pit(pdf, table["z_spec"], coverage=True, ax=axes(7.2, 3.4)).figure)


@compared
def test_bins():
    table, _ = galaxies(600)
    return wordless(plots.plot_bins(table, "r_mag", ax=axes(5, 3.4)).figure)


@compared
def test_gallery():
    table, _ = galaxies(6, masked=[2], flags=[0, 64 + 256, 4, 0, 0, 512])
    place = axes(3.84, 2.56)  # a pixel of the picture is one of a stamp
    place.figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0, hspace=0)
    return wordless(plots.plot_gallery(table, gaussian_cutouts(6), columns=3, ax=place)[0].figure)


@compared
def test_field():
    table, _ = galaxies(40, masked=[5], flags=FLAGS)
    return wordless(plots.plot_sky(table, ax=axes(5, 4)).figure)


@compared
def test_whole_sky():
    table, _ = galaxies(40, flags=FLAGS)
    table["ra"], table["dec"] = np.linspace(0, 350, 40), np.linspace(-60, 80, 40)
    return wordless(plots.plot_sky(table, ax=axes(6, 3.9, projection="mollweide")).figure)
