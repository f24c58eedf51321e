# Licensed under a 3-clause BSD style license - see LICENSE
"""Learning redshifts, and the model that comes with the package."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import Cutouts, load_model
from astro_photz.train import RedshiftModel, StampData
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.train.tasks.labels import soft_labels


def make_flux(n=6, *, size=64, seed=0):
    """Noise with a round source in the middle, brighter in some stamps than in others."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    source = np.exp(-np.hypot(rows, columns) / 3)
    colours = rng.uniform(0.2, 3.0, size=(n, 5, 1, 1))
    return (0.05 * rng.standard_normal((n, 5, size, size)) + colours * source).astype(np.float32)


# Labels and data


def test_labels_are_centred_on_the_redshift():
    redshift = torch.tensor([0.1, 0.2345, 0.3])
    labels = soft_labels(redshift, width=0.004)
    centres = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
    torch.testing.assert_close(labels @ centres, redshift, rtol=0, atol=1e-5)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(3))


def test_redshifts_beyond_the_grid_go_into_its_last_bin():
    assert soft_labels(torch.tensor([0.7]), width=1e-4)[0, -1] == pytest.approx(1)


# Training


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and loggers
def test_a_network_learns_redshift_from_colour(tmp_path):
    import lightning

    paths, n = [tmp_path / "stamps.h5", tmp_path / "validation.h5"], 192
    for seed, path in enumerate(paths):
        redshift = np.random.default_rng(seed).uniform(0.02, 0.38, size=n)
        flux = make_flux(n, size=64, seed=seed)
        flux[:, 1] = flux[:, 2] * (1 - 2 * redshift[:, None, None])
        Cutouts(flux, ebv=0.02).write(path, specz_redshift=redshift)

    lightning.seed_everything(0, verbose=False)
    encoder = {"kind": "resnet18", "width": 4, "stem": "pooled", "photometry": True}
    model = RedshiftModel(encoder=encoder, optimizer={"learning_rate": 1e-2, "schedule": "one_cycle"})
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=12,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, StampData(paths[0], validation=paths[1], batch_size=32))
    scatter = float(trainer.callback_metrics["val_sigma_mad"])
    assert scatter < 0.5 * 1.4826 * np.median(np.abs(redshift - np.median(redshift))) / 1.2


# The bundled model


def test_the_bundled_model_says_that_it_was_trained_on_simulations():
    card = load_model().card
    assert card.simulated is True
    assert "imulated" in card.training_data["description"]
    assert "on simulated images" in card.limits[0]
    assert "not for the real sky" in card.limits[0]
    assert json.dumps(card.entries())
    (metrics,) = card.metrics.values()
    assert {"sigma_mad", "bias", "eta", "crps", "coverage68", "coverage95"} <= metrics.keys()


def demo():
    from astro_photz import demo_path

    return Cutouts.read(demo_path())


def test_the_demonstration_set_is_simulated_and_spread_in_redshift():
    import h5py

    from astro_photz import demo_path

    with h5py.File(demo_path()) as file:
        assert file.attrs["simulated"]
        assert "imulated" in file.attrs["description"]
        redshift = file["specz_redshift"][()]
    assert len(redshift) == 24
    assert redshift.min() < 0.05
    assert redshift.max() > 0.3
    assert np.isfinite(demo().flux).all()
