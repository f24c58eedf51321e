# Licensed under a 3-clause BSD style license - see LICENSE
"""
The folder of a run: its record, its checkpoints and its results.

======================= ==============================================================================================
``run.json``            the record: seed, versions, data with their hashes
``lineage.json``        the galaxies that it learns from, and those of what it began with: :doc:`/user/leaks`
``recipe.toml``         the recipe as run, every setting in it
``log/``                numbers of every tenth step and each epoch: a part for each start
``tensorboard/``        the same, for TensorBoard
``checkpoints/``        ``last.ckpt``, to resume from; of a fine-tuning also ``best.ckpt``, of least validation loss
``encoder.safetensors`` the weights of the encoder, and of its redshift head, when the training is over
``metrics.json``        the numbers at its end, and those of each epoch
``learning_curve.png``  losses and scatters over the steps, with the extra ``[plot]``
======================= ==============================================================================================

An adaptation has no steps: its folder holds ``run.json``, ``lineage.json``, ``encoder.safetensors`` and
``metrics.json``.

The same command given again resumes an unfinished run. A folder is never used for another one.
"""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from astro_photz.models.card import LINEAGE
from astro_photz.models.lineage import Lineage
from astro_photz.plots.training import LOSSES, SCATTERS, plot_learning_curve
from astro_photz.train.networks.weights import WEIGHTS
from astro_photz.train.recipe import Recipe
from astro_photz.utils._files import aside

from .lineage import lineage_of, run_lineage
from .record import RECORD, RunRecord, differences

__all__ = ["RunFolder"]

_OURS = {
    *(RECORD, LINEAGE, "recipe.toml", "log", "tensorboard", "checkpoints"),
    *(WEIGHTS, "encoder.pt", "metrics.json", "learning_curve.png"),  # .pt is of earlier versions
}


class RunFolder:
    """
    The folder of a run.

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
        """Folder of the checkpoints, `~pathlib.Path`."""
        return self.path / "checkpoints"

    @property
    def last_path(self):
        """Path of the checkpoint to resume from, whether there is one yet or not, `~pathlib.Path`."""
        return self.checkpoints / "last.ckpt"

    @property
    def last(self):
        """The checkpoint to resume from, `~pathlib.Path`, or None."""
        return self.last_path if self.last_path.is_file() else None

    @property
    def metrics(self):
        """Metrics of a finished training, dict, or None."""
        path = self.path / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def record(self):
        """The `~astro_photz.train.runs.record.RunRecord`."""
        return RunRecord.read(self.path)

    @property
    def lineage(self):
        """The `~astro_photz.models.lineage.Lineage`; None in a folder of an earlier version."""
        return Lineage.read(self.path)

    @property
    def resumed(self):
        """The checkpoint of another folder that the training was resumed from, str, or None."""
        return self.record.files.get("resume") if (self.path / RECORD).is_file() else None

    @property
    def recipe(self):
        """The `~astro_photz.train.recipe.Recipe` as run; None if there was none."""
        path = self.path / "recipe.toml"
        return Recipe.read(path) if path.is_file() else None

    def begin(self, record, recipe=None):
        """
        Write the record, in a new folder or in that of the same run.

        Parameters
        ----------
        record : `~astro_photz.train.runs.record.RunRecord`
        recipe : `~astro_photz.train.recipe.Recipe`, optional

        Raises
        ------
        FileExistsError
            If the folder is that of another run, or not of a run at all.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._begun:
            if recipe:
                self.write("recipe.toml", recipe.as_toml())
            record.write(self.path)
            run_lineage(record).write(self.path)
        self._check_same(record, recipe)

    @property
    def _begun(self):
        """Tell whether a run has begun here; a full disk can leave the recipe alone."""
        return any(path.name != "recipe.toml" and not path.name.startswith(".part.") for path in self.path.iterdir())

    def _check_same(self, record, recipe):
        self._check_run()
        different = sorted(differences(_facts(self.record, self.recipe), _facts(record, recipe)))
        if different:
            raise FileExistsError(
                f"{self.path} holds a training that differs in {', '.join(different)}: choose another folder, or "
                "overwrite it"
            )

    def _check_run(self):
        if not (self.path / RECORD).is_file():
            raise FileExistsError(f"{self.path} exists and holds no training: choose another folder")

    def finish(self, metrics):
        """
        Write the metrics of a run that is over.

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

    def left_to_resume(self, checkpoint):
        """
        Pass over a checkpoint that this run has resumed from already: its own last one is further.

        Parameters
        ----------
        checkpoint : str or path-like or None

        Returns
        -------
        str or path-like or None
            The same, or None where the folder's last checkpoint is the one to resume from.
        """
        done = (self.resumed, str(self.last.resolve())) if checkpoint and self.last else ()
        return None if done and str(Path(checkpoint).resolve()) in done else checkpoint

    def take_along(self, checkpoint):
        """
        Take over the log and the best checkpoint of the folder that a training is resumed from.

        Parameters
        ----------
        checkpoint : str or path-like
            The one to resume from. What came later stays there.
        """
        self._take_over(checkpoint)
        for path in (self.last_path, self.path / "metrics.json"):  # of the run that is given up for it
            path.unlink(missing_ok=True)
        record, lineage = self.record, self.lineage
        if lineage:
            lineage.joined(lineage_of(checkpoint), model=Path(checkpoint).name).write(self.path)
        replace(record, files=record.files | {"resume": str(Path(checkpoint).resolve())}).write(self.path)

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
        Remove a run.

        Parameters
        ----------
        *needed : str or path-like or None
            Files that the next run begins with.

        Raises
        ------
        FileExistsError
            If the folder is not that of a run, or something else is in it too.
        ValueError
            If a file that is needed is in it.
        """
        for path in filter(None, needed):
            if Path(path).exists() and Path(path).resolve().is_relative_to(self.path.resolve()):
                raise ValueError(f"{path} would be overwritten with {self.path}: choose another folder")
        if self.path.exists() and self._begun:
            self._check_run()
            others = sorted(path.name for path in self.path.iterdir() if not _of_a_run(path.name))
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
        Read the log of all starts, in the order of the steps.

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
        Read one quantity over the training.

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
            Whether matplotlib is installed, which draws it.
        """
        try:
            figure = plot_learning_curve({name: self.curve(name) for name in (*LOSSES, *SCATTERS)})
        except ImportError:
            return False
        with aside(self.path / "learning_curve.png") as part:
            figure.savefig(part, dpi=120)
        return True


def _of_a_run(name):
    return name in _OURS or name.startswith(".part.")


def _number(part):
    return int(part.parent.name.removeprefix("version_"))


def _facts(record, recipe):
    """Collect what makes a run this one and no other; the name of its recipe does not."""
    settings = recipe and {
        name: value for name, value in recipe.as_dict().items() if name not in ("name", "description")
    }
    return record.facts() | ({"recipe": settings} if recipe else {})


def _step(checkpoint):
    """Number of steps that a training had done."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]
