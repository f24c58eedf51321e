# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the bundled model and the demonstration set, from a seed to the measurements on its page.

    python -m tools.make_bundled_model RUN_FOLDER [--settings bundled.toml] [--init MODEL] [--install]

simulates three data sets, pretrains without labels, fine-tunes, calibrates on the validation set, exports, and
measures once on the test set. Each step leaves its result in the run folder and is skipped, or resumed, when the
command is given again; ``steps.json`` tells at which commits that was, and how long it took, and so does the card. A
folder is for one set of settings, but for the limits, which are known in the end: without ``evaluation.json``, the last
steps are done again.
``--install`` copies the model, the encoder as pretrained and the demonstration set into the package, and the
measurements into the documentation; ``astro-photz card`` makes the page from them.

``--init`` fine-tunes a model that is there once more, instead of pretraining another one. The trainings are those of
``astro-photz pretrain`` and ``finetune``; ``--processes 2`` has them use two GPUs, or two processors better than the
threads of one process do.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from astro_photz import load_model, simulate, train
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.dataset import data_hash, read_groups
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.evaluation import evaluate_model
from astro_photz.models.card import ModelCard
from astro_photz.models.lineage import Lineage
from astro_photz.simulate.population.progenitors import SPLIT_SEED
from astro_photz.simulate.truth import truth_columns
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.representation import probe_scatter
from astro_photz.utils._files import write_json
from tools.make_reference import settings_of
from tools.make_similarity_space import make_space

HERE = Path(__file__).parent
ROOT = HERE.parent
SPLITS = ("train", "validation", "test")
LINEAGE_NBYTES = 40_000  # of a lineage in the package, which is to stay small
EVALUATION, INTEGERS, SETTINGS, STEPS = "evaluation.json", "int8.json", "settings.json", "steps.json"

DESCRIPTION = {
    "fitted": "Simulated SDSS images of galaxies drawn from the colours, magnitudes and redshifts of {:,} real Main "
    "Galaxy Sample galaxies (of kcorrect's), seen from distances of their own",
    "measured": "Simulated SDSS images of galaxies with the colours, magnitudes and redshifts of {:,} real Main Galaxy "
    "Sample galaxies, less the noise of the catalogues that list them",
}
LIMITS = [
    "Trained and calibrated on simulated images, and measured on them, but for a few real galaxies: its figures hold "
    "for those, not for the real sky.",
    "Simulated galaxies are smooth profiles with arms, bars, rings or clumps: no dust lanes, mergers or active nuclei.",
    "Galaxies are assumed to be like those of the SDSS Main Galaxy Sample, seen from further away, to a total r of "
    "{faintest:g}, free of extinction; fainter, bluer or more distant ones are pulled towards it.",
    "Redshifts of 0.4 and more cannot be expressed.",
    "Mergers, blends and targets with a star on top were not part of the training beyond chance neighbours.",
]
"""Limits of any model that is made so; those that were found for a particular one are in its settings."""
AT_THE_END = "limits", "space", "points"  # settings that change nothing of what was trained
ENCODER_LIMITS = ["Trained on simulated images, without redshifts: what it calls alike is alike in those.", LIMITS[1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("run", type=Path, help="folder for data, checkpoints and results")
    parser.add_argument("--settings", type=Path, default=HERE / "bundled.toml")
    parser.add_argument("--init", help="model to fine-tune again, instead of one that is pretrained")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="change of the recipe")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="for simulation and training")
    parser.add_argument("--processes", type=int, default=1, help="of the trainings, which must share a batch evenly")
    parser.add_argument("--install", action="store_true", help="copy the results into the package")
    arguments = parser.parse_args()
    settings = tomllib.loads(arguments.settings.read_text(encoding="utf-8"))
    settings["changes"] += arguments.changes
    train.Recipe.read(settings["recipe"], changes=settings["changes"])  # what is wrong is told before the simulation
    if arguments.init:
        begun = load_model(arguments.init)
        settings["init"] = {"name": begun.name, "version": begun.version, "sha256": begun.sha256}
    run = arguments.run
    run.mkdir(parents=True, exist_ok=True)
    settings["processes"] = arguments.processes  # which draw random numbers of their own
    check_settings(run, settings)
    data = simulate_data(run, settings["simulate"], arguments.device)
    fit = partial(trained, data=data, settings=settings, device=arguments.device, processes=arguments.processes)
    if not arguments.init:
        fit("pretrain", run / "pretrained")
    fit("finetune", run / "finetuned", init=arguments.init or run / "pretrained")
    export(run, settings, data)
    demo = make_demo(run, settings["demo"])
    if arguments.install:
        install(run, settings["name"], demo)


def check_settings(run, settings):
    """Refuse a folder of other settings, whose results would be told to be of these."""
    settings = {name: value for name, value in settings.items() if name not in AT_THE_END}
    path = run / SETTINGS
    if not path.exists():
        write_json(path, settings)
    before = json.loads(path.read_text(encoding="utf-8"))
    different = [name for name in before | settings if before.get(name) != settings.get(name)]
    if different:
        told = ", ".join(f"{name} {before.get(name)!r}, not {settings.get(name)!r}" for name in different)
        raise SystemExit(f"{run} was begun with {told}: give the same, or choose another folder")


def simulate_data(run, settings, device):
    """The three data sets, one a split of the seed galaxies."""
    data = {}
    for split in SPLITS:
        data[split] = run / f"{split}.h5"
        if not data[split].exists():
            print(f"simulating {data[split]}", flush=True)
            own = settings[split]
            with step(run, split):
                simulate.write(
                    data[split],
                    own["n"],
                    seed=own["seed"],
                    split=split,
                    size=settings["size"],
                    config=settings["settings"] | {"sample": settings["settings"]["sample"] | own.get("sample", {})},
                    device=device,
                    workers=os.cpu_count() if device == "cpu" else 1,  # the file is the same, whatever their number
                )
    return data


def trained(command, folder, *, data, settings, device, processes, init=None):
    """A training by the package's command, unless it is done."""
    if RunFolder(folder).metrics is not None:
        return
    launch = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if processes > 1 else []
    options = {
        "recipe": settings["recipe"],
        "validation": data["validation"],
        "seed": settings["seed"],
        "accelerator": "gpu" if device == "cuda" else "cpu",
        "devices": processes,
        "threads": max(1, os.cpu_count() // processes),
    } | ({"init": init} if init else {})
    told = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    told += [f"--set={change}" for change in settings["changes"]]
    with step(folder.parent, folder.name):
        run = [sys.executable, "-m", *launch, "astro_photz.cli", command, data["train"], folder, *told]
        subprocess.run(run, check=True)


@contextmanager
def step(run, name):
    """Record the commit at which a step was begun or resumed, and how long it took, unless it was killed."""

    def keep(**facts):
        write_json(run / STEPS, {**steps_of(run), name: [*others, {"commit": running, **facts}]})

    others, running, begun = steps_of(run).get(name, []), commit(), time.monotonic()
    keep()
    yield
    keep(hours=round((time.monotonic() - begun) / 3600, 2))


def steps_of(run):
    """Read the record of all steps."""
    path = run / STEPS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def export(run, settings, data):
    """Calibrate, export and measure; the measurement goes into the card."""
    if (run / EVALUATION).exists():
        return
    name = settings["name"]
    model = run / name
    told = {"card": facts(run, settings, data), "point_sources": point_sources(run, settings)}
    report = train.export_run(run / "finetuned", model, **told, int8=True, overwrite=True)
    shorten_lineage(model)
    evaluation = evaluate_model(model, data["test"])
    metrics = {"simulated test galaxies (seeds not trained on)": evaluation.overall}
    load_model(model).card.updated(metrics=metrics).write(model)
    if "init" not in settings:
        card = facts(run, settings, data)
        export_encoder(run, run / f"{name}-pretrained", card, data["validation"], settings.get("space", {}))
    print(json.dumps({"calibration": report, "test set": evaluation.overall}, indent=1))
    write_json(run / INTEGERS, integers(report["int8"], evaluation.model, run))
    evaluation.write(run / EVALUATION)


def point_sources(run, settings):
    """File of simulated points, faint and distant galaxies, which the model shall tell apart, if that is wanted."""
    if "points" not in settings:
        return None
    told = "-".join(f"{name}-{value}" for name, value in sorted(settings["points"].items()))
    path = run / f"point_sources-{told}.h5"
    if not path.exists():
        simulate.write_points(path, config=settings_of(settings["simulate"], "train"), **settings["points"])
    return path


def export_encoder(run, path, card, validation, space):
    """As pretrained, with a space to search in; how well neighbours know the redshift goes into the card."""
    options = {"weights": False, "overwrite": True}  # the package is to stay small
    train.export_run(run / "pretrained", path, card=card | {"limits": ENCODER_LIMITS}, **options)
    shorten_lineage(path)
    encoder = load_model(path)
    with open_cutouts(validation) as file:
        parts = [read_rows(file, rows).crop(encoder.card.image_size) for rows in batches(len(file["images"]))]
        redshift, groups = file["specz_redshift"][()].astype(np.float32), read_groups(file)
    embedding = np.concatenate([encoder.encode(part.flux, part.ebv) for part in parts])
    scatter = probe_scatter(torch.from_numpy(embedding), torch.from_numpy(redshift), groups=groups)
    metrics = {"redshift probe on simulated validation galaxies": {"sigma_mad": round(scatter, 5)}}
    encoder.card.updated(metrics=metrics).write(path)
    make_space(path, **space)


def shorten_lineage(folder):
    """Keep fewer keys of galaxies, as the package has room for."""
    Lineage.read(folder).write(folder, largest=LINEAGE_NBYTES)
    ModelCard.read(folder).write(folder)


def batches(n):
    """Row numbers, some hundred at a time."""
    return np.array_split(np.arange(n), max(1, n // 256))


def integers(loss, model, run):
    """Make a table for the page: the loss by 8-bit integers."""
    names = {"float32": "as it is", "int8": "in 8-bit integers"}
    told = ["RUN_FOLDER" if Path(word) == run else word for word in sys.argv[1:]]
    return {
        "kind": "table",
        "simulated": True,
        "title": "In 8-bit integers",
        "text": f"On the validation set; σ_MAD is {loss['sigma_mad_ratio']:.3f} of what it was. The package has no "
        "room for this one: astro-photz export --int8 makes it.",
        "rows": [{"method": name, **loss[key]} for key, name in names.items()],
        "model": model,
        "command": shlex.join(["python", "-m", "tools.make_bundled_model", *told]),
    }


def facts(run, settings, data):
    """Collect the part of the card that says how the model was made."""
    numbers = {split: settings["simulate"][split] | contents(data[split]) for split in SPLITS}
    again, sample = settings.get("init"), simulate.Settings.of(settings["simulate"]["settings"]).sample
    begun = f"; fine-tuned again from version {again['version']}" if again else ""
    return {
        "version": settings["version"],
        "training_data": {
            "description": DESCRIPTION[sample.colours].format(numbers["train"]["n_independent"]) + begun,
            **numbers["train"],
            "splits": numbers | {"split_seed": SPLIT_SEED},
        },
        "limits": [limit.format(faintest=sample.faintest) for limit in LIMITS] + settings.get("limits", []),
        "made_by": settings,
        "commit": commit(),
        "steps": steps_of(run),
    }


def contents(path):
    """Hash of a data set, and how many real galaxies its own were drawn from."""
    with open_cutouts(path) as file:
        return {"sha256": data_hash(path), "n_independent": len(np.unique(read_groups(file)))}


def make_demo(run, settings):
    """Galaxies of the test split, evenly spread in redshift, as a small file."""
    path = run / "demo.h5"
    if path.exists():
        return path
    cutouts, truth = simulate.galaxies(settings["pool"], seed=settings["seed"], split="test")
    redshift = truth["redshift"]
    wanted = np.linspace(0.025, 0.32, settings["n"])
    rows = []
    for z in wanted:
        distance = np.abs(redshift - z)
        distance[rows] = np.inf
        rows.append(int(np.argmin(distance)))
    chosen = cutouts[rows]
    chosen.ids = np.arange(1, len(rows) + 1)
    attributes = {
        "description": "Simulated galaxies with the colours and redshifts of real ones; no pixel here was observed.",
        "seed": settings["seed"],
        "split": "test",
    }
    columns = truth_columns(truth[rows])
    with CutoutWriter(path, len(rows), attributes=attributes) as writer:
        writer.append(chosen, **columns)
    return path


def install(run, name, demo):
    """Copy what was made to where it ships."""
    data = ROOT / "astro_photz" / "data"
    for model in (name, f"{name}-pretrained"):
        if (run / model).exists():
            shutil.copytree(run / model, data / "models" / model, dirs_exist_ok=True)
    shutil.copy(demo, data / "demo.h5")
    for result in (EVALUATION, INTEGERS):
        shutil.copy(run / result, ROOT / "docs" / "model_card" / result)
    print(f"installed into {data} and {ROOT / 'docs' / 'model_card'}")


def commit():
    """Commit of the source tree, with "-dirty" if it was changed since."""
    command = ["git", "-C", HERE, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
