# Licensed under a 3-clause BSD style license - see LICENSE
"""Models and batches of milliseconds, for the tests of pretraining's steps."""

import torch

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.tasks.moco import ContrastiveModel

ENCODER = {"kind": "resnet18", "width": 4, "stem": "light"}


def make_model(bottleneck=0, **options):
    """A small model that logs nothing."""
    torch.manual_seed(0)
    encoder = ENCODER | {"bottleneck": bottleneck}
    options = {"queue_length": 32, "projection_dim": 16, "groups": 2, "photometry_hidden": 16} | options
    model = ContrastiveModel(encoder=encoder, augment={"noise": {"low": 0.5, "high": 1.0}}, **options)
    model.log = model.log_dict = lambda *args, **kwargs: None
    return model.train()


def make_batch(n=8, *, seed=0):
    cutouts = gaussian_cutouts(n, size=68, seed=seed)
    return {"flux": torch.from_numpy(cutouts.flux), "ebv": torch.from_numpy(cutouts.ebv)}


def with_catalogue(batch):
    """A batch with the light that a catalogue would have of its galaxies, and a size."""
    flux = batch["flux"].clamp(min=0).sum(dim=(2, 3))
    return batch | {"catalog_flux": flux, "catalog_radius": torch.linspace(1.0, 3.0, len(flux))}


def take_steps(model, batch, n=20):
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=5e-3)
    for step in range(n):
        torch.manual_seed(step)
        optimizer.zero_grad()
        model.training_step(batch, step).backward()
        optimizer.step()


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=1)
