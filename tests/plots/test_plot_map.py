# Licensed under a 3-clause BSD style license - see LICENSE
"""A map shows every galaxy with a vector once, in the colour of its number or kind."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from astro_photz.plots import plot_map
from astro_photz.similarity import SimilarityIndex

N = 60


@pytest.fixture(scope="module")
def index():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N, 5))
    vectors[7] = np.nan
    table = Table({"redshift": rng.uniform(0, 1, N), "size": rng.uniform(1, 9, N) * u.arcsec})
    table["type"] = rng.choice(["spiral", "elliptical"], N)
    table["mag"] = MaskedColumn(rng.uniform(14, 18, N), mask=np.arange(N) < 20)
    return SimilarityIndex.build(vectors, table=table)


@pytest.fixture
def ax():
    return Figure(layout="constrained").add_subplot()


def drawn(ax):
    return np.concatenate([one.get_offsets().data for one in ax.collections])


def expected(places):
    return np.sort(places[np.isfinite(places).all(axis=1)], axis=0)


@pytest.mark.parametrize("colour", [None, "redshift", "size", "type", "mag", np.arange(N)])
def test_every_galaxy_with_a_vector_is_drawn_once(index, ax, colour):
    plot_map(index, colour, ax=ax)
    np.testing.assert_allclose(np.sort(drawn(ax), axis=0), expected(index.project()), rtol=1e-6)
    ax.figure.draw_without_rendering()


def test_colours_are_those_of_the_column(index, ax):
    plot_map(index, "redshift", ax=ax)
    values = ax.collections[-1].get_array()
    np.testing.assert_array_equal(values, np.delete(np.asarray(index.catalogue["redshift"]), 7))
    assert ax.figure.axes[1].get_ylabel() == "redshift"
    plot_map(index, "size", ax=ax)
    assert ax.figure.axes[2].get_ylabel() == "size (arcsec)"


def test_kinds_have_a_legend(index, ax):
    plot_map(index, "type", ax=ax)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"spiral", "elliptical"}


def test_many_kinds_become_others(index, ax):
    plot_map(index, np.arange(N).astype(str), ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 11
    assert labels[-1] == "others"


def test_galaxies_are_marked(index, ax):
    plot_map(index, mark=[3, 5], ax=ax)
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), index.project()[[3, 5]], rtol=1e-6)
    with pytest.raises(KeyError, match="no galaxy 99"):
        plot_map(index, mark=[99], ax=ax)


def test_places_may_come_from_elsewhere(index, ax):
    places = np.random.default_rng(1).normal(size=(N, 2))
    plot_map(index, places=places, ax=ax)
    np.testing.assert_allclose(drawn(ax), places)
    assert ax.get_xlabel() == ""
    with pytest.raises(ValueError, match="places must have the shape"):
        plot_map(index, places=places[1:], ax=ax)


def test_what_cannot_be_drawn_is_an_error(index, ax):
    with pytest.raises(KeyError, match="did you mean 'redshift'"):
        plot_map(index, "redshif", ax=ax)
    with pytest.raises(ValueError, match="a value for each galaxy"):
        plot_map(index, [1.0, 2.0], ax=ax)
    with pytest.raises(ValueError, match="no galaxy to draw"):
        plot_map(SimilarityIndex.build(np.full((4, 3), np.nan)), ax=ax)
