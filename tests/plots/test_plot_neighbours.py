# Licensed under a 3-clause BSD style license - see LICENSE
"""An answer as a picture: each query before its neighbours, each galaxy with its image and words."""

import numpy as np
import pytest
from astropy.table import Table

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from astro_photz import Cutouts
from astro_photz.plots import colour_image, plot_neighbours
from astro_photz.plots.neighbours import flags_in, neighbours_figure, redshift_column
from astro_photz.similarity import SimilarityIndex
from astro_photz.testing import gaussian_cutouts

N = 10


@pytest.fixture(scope="module")
def cutouts():
    made = gaussian_cutouts(N)
    return Cutouts(made.flux, ebv=made.ebv, coord=made.coord, ids=100 + np.arange(N))


@pytest.fixture(scope="module")
def index(cutouts):
    vectors = np.random.default_rng(0).normal(size=(N, 4))
    table = Table({"objid": cutouts.ids, "ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    table["redshift"] = np.linspace(0.1, 0.2, N)
    table["z_phot_flags"] = np.where(np.arange(N) == 3, 256, 0)
    return SimilarityIndex.build(vectors, table=table)


def images(axes):
    return [ax.images[0].get_array() if ax.images else None for ax in axes]


def test_the_query_comes_first_and_its_neighbours_after(index, cutouts):
    answer = index.query([104, 101], k=3)
    axes = plot_neighbours(answer, cutouts)
    assert len(axes) == 8
    shown = [104, *answer["id"][:3], 101, *answer["id"][3:]]
    for image, name in zip(images(axes), shown, strict=True):
        np.testing.assert_array_equal(image, colour_image(cutouts.flux[name - 100]))
    assert [axes[place].get_title() for place in (0, 4)] == ["query 104", "query 101"]
    assert [bool(ax.patches) for ax in axes] == [place in (0, 4) for place in range(8)]
    row = answer[0]
    assert axes[1].get_title() == f"d = {row['distance']:.3g}\nz = {row['redshift']:.3f}"
    assert axes[1].texts[0].get_text() == str(row["id"])


def test_flags_are_named(index, cutouts):
    answer = index.query(100, k=N - 1)
    ax = plot_neighbours(answer, cutouts)[1 + answer["id"].tolist().index(103)]
    assert [text.get_text() for text in ax.texts] == ["103", "CROWDED"]


def test_lists_have_no_query(index, cutouts):
    assert [bool(ax.patches) for ax in plot_neighbours(index.outliers(4), cutouts)] == [False] * 4
    found = index.suggest([100], [101], n=3)
    titles = [ax.get_title() for ax in plot_neighbours(found, cutouts)]
    assert titles[0] == f"p = {found['probability'][0]:.3g}\nz = {found['redshift'][0]:.3f}"


def test_queries_bring_their_own_images(index, cutouts):
    strangers = gaussian_cutouts(2, seed=9)
    answer = index.query(np.random.default_rng(1).normal(size=(2, 4)), k=2)
    axes = plot_neighbours(answer, cutouts, queries=strangers)
    for place in (0, 1):
        np.testing.assert_array_equal(images(axes)[3 * place], colour_image(strangers.flux[place]))


def test_a_galaxy_without_an_image_says_so(index, cutouts):
    answer = index.query(100, k=3)
    kept = np.flatnonzero(cutouts.ids != answer["id"][1])
    axes = plot_neighbours(answer, cutouts[kept])
    assert [image is None for image in images(axes)] == [False, False, True, False]
    assert axes[2].texts[0].get_text() == "no image"


def test_axes_are_given_or_take_the_place_of_a_subplot(index, cutouts):
    answer = index.query([100, 101], k=2)
    given = Figure().subplots(2, 3)
    assert list(plot_neighbours(answer, cutouts, ax=given)) == list(given.ravel())
    assert len(plot_neighbours(answer, cutouts, columns=2, ax=Figure().add_subplot())) == 6
    figure = neighbours_figure(answer, cutouts)
    assert sum(bool(ax.images) for ax in figure.axes) == 6


def test_an_answer_out_of_a_file_is_drawn_too(index, cutouts, tmp_path):
    answer = index.query(100, k=2)
    answer.write(tmp_path / "similar.ecsv")
    axes = plot_neighbours(Table.read(tmp_path / "similar.ecsv"), cutouts)
    np.testing.assert_array_equal(images(axes)[0], colour_image(cutouts.flux[0]))


def test_what_cannot_be_drawn_is_an_error(index, cutouts):
    answer = index.query(np.arange(100, 110), k=9)
    for table, error, said in (
        (answer[:0], ValueError, "the answer is empty"),
        (Table({"a": [1]}), TypeError, "answer must be a table of SimilarityIndex"),
    ):
        with pytest.raises(error, match=said):
            plot_neighbours(table, cutouts)
    with pytest.raises(KeyError, match="did you mean 'redshift'"):
        plot_neighbours(answer, cutouts, redshift="redshif")
    many = SimilarityIndex.build(np.random.default_rng(0).normal(size=(200, 4))).outliers(130)
    with pytest.raises(ValueError, match="too many for one picture"):
        plot_neighbours(many, cutouts)


def test_columns_are_found_by_their_names():
    assert redshift_column(Table({"z_spec": [1.0], "z_phot": [1.0]})) == "z_phot"
    assert redshift_column(Table({"z": [1.0]})) is None
    table = Table({"flags": [1, 2], "z_phot_flags": [64, 0], "survey_flags": ["?", "!"]})
    assert flags_in(table).tolist() == [65, 2]
