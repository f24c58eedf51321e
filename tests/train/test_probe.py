# Licensed under a 3-clause BSD style license - see LICENSE
"""What is looked at while an encoder learns without labels: neighbours' redshifts, uniformity, alignment, collapse."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import Stamps, make_encoder
from astro_photz.train.networks.embedding import embed
from astro_photz.train.tasks.probe import RedshiftProbe
from astro_photz.train.tasks.representation import alignment, knn_redshift, probe_scatter, uniformity


def sphere(n, dim, seed=0):
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_uniformity_is_lowest_where_galaxies_are_spread():
    spread, lumped = sphere(400, 64), torch.nn.functional.normalize(sphere(1, 64) + 0.3 * sphere(400, 64, 1), dim=1)
    assert uniformity(spread) < uniformity(lumped) < uniformity(torch.ones(400, 64) / 8) == 0
    assert float(uniformity(spread)) == pytest.approx(-4, abs=0.2)  # squared distances of 2


def test_alignment_is_0_for_equal_views_and_2_for_unrelated_ones():
    one, other = sphere(2000, 64), sphere(2000, 64, 1)
    assert alignment(one, one) == 0
    assert float(alignment(one, other)) == pytest.approx(2, abs=0.05)


def test_neighbours_know_the_redshift_where_it_is_in_the_embedding():
    rng = np.random.default_rng(0)
    redshift = torch.tensor(rng.uniform(0, 0.3, 2000), dtype=torch.float32)
    noise = torch.tensor(rng.normal(size=(2000, 3)), dtype=torch.float32)
    knows = torch.stack([redshift, redshift**2], dim=1)
    scatter = [probe_scatter(embedding, redshift, seed=3) for embedding in (knows, torch.cat([knows, noise], 1), noise)]
    assert scatter[0] < 0.005 < scatter[1] < 0.6 * scatter[2]
    spread = 1.4826 * float(((redshift - redshift.median()) / (1 + redshift)).abs().median())
    assert scatter[2] == pytest.approx(spread, rel=0.15)


def test_the_other_views_of_a_galaxy_are_not_its_neighbours():
    """Embeddings that tell which galaxy it is, and nothing of its redshift."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 40)
    redshift = torch.tensor(rng.uniform(0, 0.3, 100)[groups], dtype=torch.float32)
    embedding = torch.tensor(rng.normal(size=(100, 3))[groups] + 1e-3 * rng.normal(size=(4000, 3))).float()
    spread = 1.4826 * float(((redshift - redshift.median()) / (1 + redshift)).abs().median())
    assert probe_scatter(embedding, redshift) < 0.01 * spread
    assert probe_scatter(embedding, redshift, groups=groups) > 0.7 * spread


def test_the_unit_of_a_dimension_does_not_count():
    embedding, redshift = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.linspace(0, 0.3, 200)
    stretched = (embedding + 5) * torch.tensor([1.0, 1e3, 1e-3])
    expected = knn_redshift(embedding[:100], redshift[:100], embedding[100:])
    torch.testing.assert_close(knn_redshift(stretched[:100], redshift[:100], stretched[100:]), expected)


def test_of_embeddings_that_are_no_numbers_nothing_is_known():
    embedding = torch.randn(100, 3)
    embedding[7] = torch.nan
    assert np.isnan(probe_scatter(embedding, torch.rand(100)))


def test_dead_dimensions_do_no_harm():
    embedding = torch.cat([torch.linspace(0, 1, 100)[:, None], torch.zeros(100, 2)], dim=1)
    assert probe_scatter(embedding, torch.linspace(0, 0.3, 100), k=3) < 0.02
    assert math.isfinite(probe_scatter(torch.zeros(100, 3), torch.linspace(0, 0.3, 100)))


def test_too_few_references_are_refused():
    with pytest.raises(ValueError, match=r"k must be from 1 to the 3 references, got 16"):
        knn_redshift(torch.zeros(3, 2), torch.zeros(3), torch.zeros(1, 2))


def test_stamps_are_embedded_in_evaluation_mode_and_in_order(tmp_path):
    cutouts = gaussian_cutouts(10, size=68)
    cutouts.write(tmp_path / "stamps.h5", specz_redshift=np.linspace(0.05, 0.2, 10))
    encoder = make_encoder("resnet18", width=4, stem="light").train()
    rows = np.arange(1, 9)
    embedding = embed(encoder, Stamps(tmp_path / "stamps.h5"), rows, batch_size=3)
    assert encoder.training
    encoder.eval()
    with torch.no_grad():
        expected = encoder(torch.from_numpy(cutouts.flux[rows, :, 2:66, 2:66]), torch.from_numpy(cutouts.ebv[rows]))
    torch.testing.assert_close(embedding, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("spread", "warned"), [(-0.01, True), (math.nan, True), (-2.0, False)])
def test_a_collapse_is_told(recwarn, spread, warned):
    trainer = SimpleNamespace(callback_metrics={"uniformity": torch.tensor(spread)}, current_epoch=3)
    if warned:
        with pytest.warns(UserWarning, match=rf"has collapsed: the uniformity is {spread:.3f} after epoch 3"):
            RedshiftProbe().on_train_epoch_end(trainer, None)
    else:
        RedshiftProbe().on_train_epoch_end(trainer, None)
        assert not recwarn.list
