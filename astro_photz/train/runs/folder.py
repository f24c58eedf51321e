# Licensed under a 3-clause BSD style license - see LICENSE
"""
The folder of a training: what was done, with what, and what came of it.

====================== ===============================================================================================
``run.json``           what was run: seed, versions, data with their hashes
``recipe.toml``        the recipe as run, every setting in it
``log/``               numbers of every tenth step and each epoch: a part for each start
``tensorboard/``       the same, for TensorBoard
``checkpoints/``       ``last.ckpt``, to go on from; of a fine-tuning also ``best.ckpt``, of least validation loss
``encoder.pt``         the weights of the encoder, and of its redshift head, when the training is over
``metrics.json``       the numbers at its end, and those of each epoch
``learning_curve.png`` losses and scatters over the steps, with the extra ``[plot]``
====================== ===============================================================================================

An adaptation has no steps: of it, ``run.json``, ``encoder.pt`` and ``metrics.json`` are there.

The same command given again goes on where an unfinished training stood. A folder is never used for another one.
"""

import csv
import json
import math
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import is_simulated, open_cutouts
from astro_photz.train._torch import torch
from astro_photz.train.recipe import Recipe
from astro_photz.utils._files import aside

__all__ = ["RunFolder", "contents"]

_OURS = {
    "run.json",
    "recipe.toml",
    "log",
    "tensorboard",
    "checkpoints",
    "encoder.pt",
    "metrics.json",
    "learning_curve.png",
}
_VERSIONED = ("astro-photz", "torch", "lightning", "numpy", "h5py")


class RunFolder:
    """
    The folder of a training.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : `~pathlib.Path`
    """

    def __init__(self, path):
        self.path = Path(path)

    @property
    def checkpoints(self):
        """Where checkpoints are, `~pathlib.Path`."""
        return self.path / "checkpoints"

    @property
    def last_path(self):
        """Where that to go on from is or will be, `~pathlib.Path`."""
        return self.checkpoints / "last.ckpt"

    @property
    def last(self):
        """The checkpoint to go on from, `~pathlib.Path`, or None."""
        return self.last_path if self.last_path.is_file() else None

    @property
    def metrics(self):
        """Metrics of a finished training, dict, or None."""
        path = self.path / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def record(self):
        """What was run, dict."""
        return json.loads((self.path / "run.json").read_text(encoding="utf-8"))

    @property
    def resumed(self):
        """The checkpoint that the training went on from, str, or None."""
        return self.record["files"].get("resume") if (self.path / "run.json").is_file() else None

    @property
    def recipe(self):
        """The `~astro_photz.train.recipe.Recipe` as run; None if there was none."""
        path = self.path / "recipe.toml"
        return Recipe.read(path) if path.is_file() else None

    def begin(self, what, recipe=None, *, files):
        """
        Write down what is run, in a new folder or in that of the same training.

        Parameters
        ----------
        what : dict
            What is to be run: kind, seed, data.
        recipe : `~astro_photz.train.recipe.Recipe`, optional
        files : dict of str or path-like or None
            Where they are that it is run with, which may change.

        Raises
        ------
        FileExistsError
            If the folder is that of another training, or not of a training at all.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._begun:
            if recipe:
                self.write("recipe.toml", recipe.as_toml())
            places = {name: path and str(Path(path).resolve()) for name, path in files.items()}
            self._write_record({"what": what, "files": places, "versions": _versions()})
        self._check_same(what, recipe)

    def _write_record(self, record):
        self.write("run.json", json.dumps(record, indent=2) + "\n")

    @property
    def _begun(self):
        """Whether there is anything in it; its first file alone is left where the disk was full then."""
        return any(path.name != "recipe.toml" and not path.name.startswith(".part.") for path in self.path.iterdir())

    def _check_same(self, what, recipe):
        self._check_training()
        different = sorted(_differences(_facts(self.record["what"], self.recipe), _facts(what, recipe)))
        if different:
            raise FileExistsError(
                f"{self.path} holds a training that differs in {', '.join(different)}: choose another folder, or "
                "overwrite it"
            )

    def _check_training(self):
        if not (self.path / "run.json").is_file():
            raise FileExistsError(f"{self.path} exists and holds no training: choose another folder")

    def finish(self, metrics):
        """
        Write down what came of it.

        Parameters
        ----------
        metrics : dict

        Returns
        -------
        dict
            The same.
        """
        self.write("metrics.json", json.dumps(metrics, indent=1) + "\n")
        return metrics

    def take_along(self, checkpoint):
        """
        Begin where another folder's training was: what that logged, and its best, count here.

        Parameters
        ----------
        checkpoint : str or path-like
            To go on from. What came later is left there.
        """
        self._take_over(checkpoint)
        for path in (self.last_path, self.path / "metrics.json"):  # of what is given up for it
            path.unlink(missing_ok=True)
        record = self.record
        record["files"]["resume"] = str(Path(checkpoint).resolve())
        self._write_record(record)

    def _take_over(self, checkpoint):
        theirs, done = RunFolder(Path(checkpoint).parent.parent), _step(checkpoint)
        rows = [row for row in theirs.history() if row["step"] < done]
        if not rows or (self.path / "log").exists():
            return
        log = self.path / "log" / "version_0" / "metrics.csv"
        log.parent.mkdir(parents=True)
        with aside(log) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
            writer.writeheader()
            writer.writerows(rows)
        best = theirs.checkpoints / "best.ckpt"
        if best.is_file() and _step(best) <= done:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            with aside(self.checkpoints / best.name) as part:
                shutil.copy(best, part)

    def clear(self, *needed):
        """
        Remove a training.

        Parameters
        ----------
        *needed : str or path-like or None
            What the next one begins with.

        Raises
        ------
        FileExistsError
            If the folder is not that of a training, or something else is in it too.
        ValueError
            If something that is needed lies in it.
        """
        for path in filter(None, needed):
            if Path(path).exists() and Path(path).resolve().is_relative_to(self.path.resolve()):
                raise ValueError(f"{path} would be overwritten with {self.path}: choose another folder")
        if self.path.exists() and self._begun:
            self._check_training()
            others = sorted(path.name for path in self.path.iterdir() if not _of_a_training(path.name))
            if others:
                raise FileExistsError(
                    f"{self.path} holds {', '.join(others)} besides the training that would be overwritten: move that, "
                    "or choose another folder"
                )
            shutil.rmtree(self.path)

    def write(self, name, text):
        """
        Write a file aside and rename it.

        Parameters
        ----------
        name, text : str
        """
        with aside(self.path / name) as part:
            part.write_text(text, encoding="utf-8")

    def history(self):
        """
        What was logged, of all starts, in order of the steps.

        Returns
        -------
        list of dict of float
        """
        rows = {}
        for part in sorted((self.path / "log").glob("version_*/metrics.csv"), key=_number):
            with open(part, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    if None in row.values():  # torn off: the disk was full, or the machine went down
                        continue
                    numbers = {name: float(value) for name, value in row.items() if value}
                    # a step that was taken again replaces itself
                    rows.setdefault(int(numbers["step"]), {}).update(numbers)
        return [rows[step] for step in sorted(rows)]

    def curve(self, name):
        """
        One quantity over the training.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of [int, float]
            Step and value.
        """
        return [[int(row["step"]), row[name]] for row in self.history() if math.isfinite(row.get(name, math.nan))]

    def draw(self):
        """
        Draw the learning curve.

        Returns
        -------
        bool
            Whether matplotlib is there to draw it.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return False
        figure = Figure(figsize=(7, 6), layout="constrained")
        above, below = figure.subplots(2, sharex=True)
        for axes, names in ((above, _LOSSES), (below, _SCATTERS)):
            for name in names:
                curve = self.curve(name)
                if curve:
                    axes.plot(*zip(*curve, strict=True), label=name, marker="." if len(curve) < 100 else "")
            if axes.lines:
                axes.legend()
        above.set_ylabel("loss")
        below.set_ylabel(r"$\sigma_\mathrm{MAD}$")
        below.set_xlabel("step")
        with aside(self.path / "learning_curve.png") as part:
            figure.savefig(part, dpi=120)
        return True


def contents(files):
    """
    What is in the files of a training, wherever they are.

    Parameters
    ----------
    files : dict of str or path-like or None

    Returns
    -------
    dict
        For each ``n``, the number of stamps, whether they are ``simulated``, and ``sha256``; None for no file.
    """
    return {name: path and _content(path) for name, path in files.items()}


def _content(path):
    with open_cutouts(path) as file:
        facts = {"n": len(file["images"]), "simulated": is_simulated(file)}
    return facts | {"sha256": data_hash(path)}


def _of_a_training(name):
    return name in _OURS or name.startswith(".part.")


_LOSSES = ("train_loss", "contrastive_loss", "photometry_loss", "val_loss")
_SCATTERS = ("probe_sigma_mad", "val_sigma_mad")


def _number(part):
    return int(part.parent.name.removeprefix("version_"))


def _versions():
    return {"python": platform.python_version()} | {name: _version(name) for name in _VERSIONED}


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _facts(what, recipe):
    """What makes a training this one. Its origin follows from what it began with, beside which things may change."""
    what = {name: fact for name, fact in what.items() if name != "origin"}
    return what | ({"recipe": recipe.as_dict()} if recipe else {})


def _step(checkpoint):
    """How many steps a training had done."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]


def _differences(stored, wanted, where=""):
    """Names of what is not the same in two nested dicts."""
    for name in {*stored, *wanted}:
        a, b = stored.get(name), wanted.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{where}{name}.")
        elif a != b:
            yield f"{where}{name}"
