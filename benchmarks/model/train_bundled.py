# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the bundled model and the demonstration set, from a seed to the exported folder.

    python benchmarks/model/train_bundled.py RUN_FOLDER [--recipe small.toml] [--install]

simulates the three data sets, trains, calibrates on the validation set, measures once on the test set, and exports.
Each step leaves its result in the run folder and is skipped, or resumed, when the command is given again.
``--install`` copies the model and the demonstration set into the package.
"""

import argparse
import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from astro_photz import simulate, train
from astro_photz.cutouts.hdf5 import CutoutWriter
from astro_photz.pdf import RedshiftPDF
from astro_photz.simulate.generate import truth_columns
from astro_photz.simulate.seeds import SPLIT_SEED
from astro_photz.train import probe
from astro_photz.train.data import data_hash
from astro_photz.train.redshift import Z_EDGES
from astro_photz.train.release import training_range

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "astro_photz"
SPLITS = ("train", "validation", "test")

LIMITS = [
    "Trained, calibrated and measured on simulated images only: its figures hold for those, not for the real sky.",
    "Simulated galaxies are bulges and discs with arms or clumps: no dust lanes, mergers or active nuclei.",
    "Galaxies are assumed to be like those of the SDSS Main Galaxy Sample, seen from further away, to the magnitude "
    "that the recipe tells; fainter, bluer or more distant ones are pulled towards it.",
    "Redshifts of 0.4 and more cannot be expressed.",
    "Mergers, blends and targets with a star on top were not part of the training beyond chance neighbours.",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("run", type=Path, help="folder for data, checkpoints and results")
    parser.add_argument("--recipe", type=Path, default=HERE / "small.toml")
    parser.add_argument("--install", action="store_true", help="copy the results into the package")
    arguments = parser.parse_args()
    recipe = tomllib.loads(arguments.recipe.read_text())
    torch.set_num_threads(recipe["threads"])
    arguments.run.mkdir(parents=True, exist_ok=True)

    data = simulate_data(arguments.run, recipe["simulate"])
    model = fit(arguments.run, recipe, data)
    exported = calibrate_and_export(arguments.run, recipe, data, model)
    demo = make_demo(arguments.run, recipe["demo"])
    if arguments.install:
        folder = PACKAGE / "data" / "models" / recipe["name"]
        shutil.copytree(exported, folder, dirs_exist_ok=True)
        shutil.copy(demo, PACKAGE / "data" / "demo.h5")
        print(f"installed {folder} and {PACKAGE / 'data' / 'demo.h5'}")


def simulate_data(run, recipe):
    """The three data sets, one a split of the seed galaxies."""
    data = {}
    for split in SPLITS:
        data[split] = run / f"{split}.h5"
        if not data[split].exists():
            print(f"simulating {data[split]}")
            simulate.write(
                data[split],
                **recipe[split],
                split=split,
                size=recipe["size"],
                config=recipe["settings"],
                workers=os.cpu_count(),  # the file is the same, whatever their number
            )
    return data


def fit(run, recipe, data):
    """Train, or go on training, and return the model of the epoch that is best on the validation set."""
    lightning.seed_everything(recipe["train"]["seed"], verbose=False)
    batches = recipe["train"]["batch_size"]
    checkpoint = ModelCheckpoint(run / "checkpoints", monitor="val_loss", save_last=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=recipe["train"]["epochs"],
        logger=CSVLogger(run, name="log", version=""),
        callbacks=[checkpoint],
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        log_every_n_steps=20,
    )
    last = run / "checkpoints" / "last.ckpt"
    trainer.fit(
        train.RedshiftModel(**recipe["model"]),
        train.StampData(data["train"], validation=data["validation"], batch_size=batches, seed=recipe["train"]["seed"]),
        ckpt_path=last if last.exists() else None,
    )
    best = checkpoint.best_model_path or last
    print(f"best epoch: {best}, validation loss {checkpoint.best_model_score}")
    return train.RedshiftModel.load_from_checkpoint(best, map_location="cpu").eval()


def embed(model, path):
    """Embeddings and redshifts of a data set."""
    stamps = train.Stamps(path)
    return probe.embed(model.encoder, stamps, np.arange(len(stamps))), torch.from_numpy(stamps.redshift)


def calibrate_and_export(run, recipe, data, model):
    """Fold the temperature into the head, measure on the test set, and write the folder of the model."""
    embedding, redshift = embed(model, data["validation"])
    with torch.no_grad():
        temperature = train.fit_temperature(model.head(embedding), redshift)
    train.fold_temperature(model.head, temperature)

    embedding, redshift = embed(model, data["test"])
    with torch.no_grad():
        pdf = RedshiftPDF(model.head(embedding).softmax(dim=1).numpy(), Z_EDGES)
    metrics = train.evaluate(pdf, redshift.numpy())
    print(f"temperature {temperature:.3f}; test set {json.dumps(metrics)}")

    numbers = {split: recipe["simulate"][split] | {"sha256": data_hash(data[split])} for split in SPLITS}
    card = {
        "name": recipe["name"],
        "version": recipe["version"],
        "simulated": True,
        "training_data": {
            "description": "Simulated SDSS images of galaxies drawn from the colours, magnitudes and redshifts of "
            "7,000 real Main Galaxy Sample galaxies (those of kcorrect), seen from distances of their own",
            "n": numbers["train"]["n"],
            "sha256": numbers["train"]["sha256"],
            "seed": numbers["train"]["seed"],
            "splits": numbers | {"split_seed": SPLIT_SEED},
        },
        "training_range": training_range(data["train"]),
        "metrics": {"simulated test galaxies (seeds not trained on)": metrics},
        "calibration": {
            "method": "temperature, on simulated validation galaxies",
            "temperature": round(temperature, 4),
        },
        "limits": LIMITS,
        "recipe": recipe,
        "commit": commit(),
    }
    path = run / recipe["name"]
    train.export_model(model.encoder, model.head, path, card=card, overwrite=True)
    print(f"graphs against torch: {json.loads((path / 'card.json').read_text())['difference_from_torch']}")
    return path


def make_demo(run, recipe):
    """Galaxies of the test split, evenly spread in redshift, as a small file."""
    cutouts, truth = simulate.galaxies(recipe["pool"], seed=recipe["seed"], split="test")
    redshift = truth["redshift"]
    wanted = np.linspace(0.025, 0.32, recipe["n"])
    rows = []
    for z in wanted:
        distance = np.abs(redshift - z)
        distance[rows] = np.inf
        rows.append(int(np.argmin(distance)))
    chosen = cutouts[rows]
    chosen.ids = np.arange(1, len(rows) + 1)
    attributes = {
        "simulated": True,
        "description": "Simulated galaxies with the colours and redshifts of real ones; no pixel here was observed.",
        "seed": recipe["seed"],
        "split": "test",
    }
    path = run / "demo.h5"
    columns = truth_columns(truth[rows])
    with CutoutWriter(path, len(rows), overwrite=True, attributes=attributes) as writer:
        writer.append(chosen, **columns)
    return path


def commit():
    """Which commit of the source tree this is, "-dirty" if it was changed since."""
    command = ["git", "-C", HERE, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
