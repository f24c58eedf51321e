# Licensed under a 3-clause BSD style license - see LICENSE
"""Trainings whose results are stored, so that a benchmark of many hours can be stopped and resumed."""

import json
import math
import shutil
import time
from dataclasses import replace

import numpy as np
import torch

from astro_photz import metrics, train
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.pdf import RedshiftPDF
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.embedding import embed
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.utils._files import write_json

SPLITS = ("train", "validation", "test")
VALIDATIONS = 5
"""Validations in a fine-tuning, to keep the best epoch."""


class Experiments:
    """
    Results by name, one a JSON file of a folder.

    All results of the folder have the settings in common; others are refused. After ``hours`` nothing new is begun.
    """

    def __init__(self, folder, settings, *, hours=math.inf):
        self.folder = folder
        self.end = time.monotonic() + 3600 * hours
        (folder / "results").mkdir(parents=True, exist_ok=True)
        path, settings = folder / "settings.json", json.loads(json.dumps(settings))
        if path.exists() and json.loads(path.read_text(encoding="utf-8")) != settings:
            raise SystemExit(f"{path} tells of other options: choose another folder")
        write_json(path, settings)

    def store(self, name, experiment):
        """Do an experiment, which gives a dict, unless its result is there or the time is over."""
        if self.load(name) is not None:
            return
        if time.monotonic() > self.end:
            print(f"{name}: no time left; give the command again", flush=True)
            return
        begun = time.monotonic()
        result = experiment()
        result["seconds"] = round(time.monotonic() - begun, 1)
        write_json(self._path(name), result)
        print(f"{name}: {json.dumps(result)[:200]}", flush=True)

    def load(self, name):
        """A stored result, or None."""
        path = self._path(name)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def over_seeds(self, name, seeds, quantity):
        """Values (N,) of those seeds that have a result; ``quantity`` is a key of it, or a function."""
        found = (self.load(f"{name}-{seed}") for seed in seeds)
        read = quantity if callable(quantity) else lambda result: result[quantity]
        return np.array([read(result) for result in found if result])

    def _path(self, name):
        return self.folder / "results" / f"{name}.json"


def hashes(data):
    """Hash the data sets, by name."""
    return {name: data_hash(path) for name, path in data.items()}


def finetune(recipe, data, folder, *, steps, n_labels, keep=False, **options):
    """The model that a fine-tuning makes in the recipe's epochs, and in at least so many steps."""
    settings = recipe.finetune
    batch_size = min(settings.batch_size, n_labels)
    epochs = max(settings.epochs, math.ceil(steps / (n_labels // batch_size)))
    every = max(1, epochs // VALIDATIONS)
    if settings.keep == "last":  # which must be validated
        epochs = every * math.ceil(epochs / every)
    settings = replace(settings, epochs=epochs, validate_every=every)
    recipe = replace(recipe, finetune=settings)
    train.finetune(recipe, data["train"], folder, validation=data["validation"], n_labels=n_labels, **options)
    kept = folder / "checkpoints" / f"{settings.keep}.ckpt"
    model = train.RedshiftModel.load_from_checkpoint(kept, map_location="cpu", weights_only=True).eval()
    if not keep:
        shutil.rmtree(folder)
    return model


@torch.no_grad()
def estimate(model, stamps, rows, *, offset=0.0):
    """PDFs of galaxies, with an error of E(B-V)."""
    encoder = _Shifted(model.encoder, offset)
    return RedshiftPDF(model.head(embed(encoder, stamps, rows)).softmax(dim=1).numpy(), Z_EDGES)


class _Shifted(torch.nn.Module):
    """An encoder that is told a wrong E(B-V)."""

    def __init__(self, encoder, offset):
        super().__init__()
        self.encoder, self.image_size, self.offset = encoder, encoder.image_size, offset

    def forward(self, flux, ebv):
        return self.encoder(flux, ebv + self.offset)


def judge(model, path, n):
    """Scores of a model on the first galaxies of a file."""
    stamps = Stamps(path)
    rows = np.arange(min(n, len(stamps)))
    return metrics.score(estimate(model, stamps, rows), stamps.redshift[rows])


def error_of_mean(values):
    """Error of the mean over seeds; NaN for a single seed."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan


def paired(values, others):
    """Differences (N,) of values that are given by seed, of the seeds that both have."""
    return np.array([values[seed] - others[seed] for seed in values if seed in others])


def told(values, digits=5):
    """Mean and spread over seeds."""
    if not len(values):
        return f"{'-':>20s}"
    spread = f"± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():9.{digits}f} {spread:10s}"
