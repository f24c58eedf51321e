# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies into a file: of any length, by several processes, resumed after a kill.

Every block of galaxies is made from its number alone, and has its place in the file from the start
(`~astro_photz.cutouts.hdf5.blocks.BlockWriter`). So the file does not depend on who made which block, nor on how often
the work was interrupted. Beside the unfinished file, ``PATH.part``, lies a journal of the finished blocks,
``PATH.part.journal``. The same call again resumes the file.
"""

import json
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astro_photz import __version__
from astro_photz.cutouts.hdf5.blocks import BlockWriter
from astro_photz.utils._checks import check_count, check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import NO_ROOM, sha256
from astro_photz.utils._journal import Journal
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike

from ._workers import each
from .population.progenitors import SPLIT_SEED
from .settings import Settings
from .simulation import BLOCK, Simulation
from .truth import truth_columns

__all__ = ["WORTH_A_WORKER", "write"]

WORTH_A_WORKER = 8
"""Blocks that are worth a process, which takes seconds to begin."""


def write(
    path: PathLike,
    n: int,
    *,
    seed: int,
    split: str = "train",
    size: int = 64,
    config: Settings | dict | PathLike | None = None,
    device: str = "cpu",
    workers: int = 1,
    overwrite: bool = False,
    progress: bool | None = None,
    attributes: dict[str, Any] | None = None,
) -> None:
    """
    Simulate galaxies into an HDF5 file.

    If the process ends before the file is finished, for whatever cause, the same call resumes it; the file is the same
    to the byte as one written in one go on such a processor, by any number of workers.

    Parameters
    ----------
    path : str or path-like
    n, seed, split, size, config, device
        As in `galaxies`.
    workers : int, optional
        Processes that work at the same time; fewer for little work. With more than one, a script must keep its own
        work under ``if __name__ == "__main__":``, as always with processes.
    overwrite : bool, optional
        Replace a file that is there, or one that was begun with other settings.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.
    attributes : dict, optional
        Numbers and texts to note in the file, besides the seed, the split and the settings.

    Raises
    ------
    FileExistsError
        If there is such a file, or an unfinished one of other settings, and ``overwrite`` is not set.
    OSError
        If the file cannot be written, has no room on the disk, or a worker died.
    ValueError, TypeError
        If a parameter is out of its range.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from astro_photz import Cutouts, simulate
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "sky.h5"
    >>> simulate.write(path, 4, seed=1)
    >>> Cutouts.read(path)
    <Cutouts of 4 galaxies, 5 x 64 x 64 pixels>
    """
    simulation = Simulation(seed=seed, split=split, size=size, settings=Settings.of(config), device=device)
    path, n = Path(path), check_count("n", n)
    check_count("workers", workers)
    unfinished = _Unfinished(
        path.with_name(path.name + ".part"), n, simulation, _notes(simulation) | (attributes or {})
    )
    task = {"n": n, "size": size, "device": str(device)} | unfinished.attributes
    with claimed(path):
        Journal.tidy(unfinished.path, path)
        _check_path(path, overwrite)
        journal = Journal.open(unfinished.path, task, start=unfinished.lay_out, overwrite=overwrite)
        with closing(journal), progress_bar(n, progress) as advance:
            blocks = journal.todo(-(-n // BLOCK)).tolist()
            advance(n - sum(map(unfinished.rows_of, blocks)))
            workers = min(workers, len(blocks) // WORTH_A_WORKER)
            with closing(each(unfinished.write_block, blocks, workers)) as finished:
                for block in finished:
                    journal.add([block])
                    advance(unfinished.rows_of(block))
            journal.finish(path, overwrite=overwrite)


def _check_path(path, overwrite):
    check_not_there(path, overwrite=overwrite)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path}: no permission to write in {path.parent}")


def _notes(simulation):
    """Attributes of a file, by which it can be made again."""
    notes = {
        "seed": simulation.seed,
        "split": simulation.split,
        "split_seed": SPLIT_SEED,
        "settings": json.dumps(simulation.settings.as_dict()),
        "astro_photz_version": __version__,
    }
    patches = simulation.settings.background["patches"]
    return notes | {"patches_sha256": sha256(patches)} if patches else notes


@dataclass(frozen=True)
class _Unfinished:
    """A file of ``n`` simulated galaxies that is being written, block by block."""

    path: Path
    n: int
    simulation: Simulation
    attributes: dict

    def rows_of(self, block):
        return min(BLOCK, self.n - block * BLOCK)

    def lay_out(self):
        """Make the file, with its first block, which tells the form of the others."""
        cutouts, truth = self.simulation.block(0, self.n)
        BlockWriter.create(self.path, self.n, like=cutouts, attributes=self.attributes, **truth_columns(truth))
        self._put(0, cutouts, truth)
        return {0}

    def write_block(self, block):
        self._put(block, *self.simulation.block(block, self.n))
        return block

    def _put(self, block, cutouts, truth):
        try:
            with BlockWriter(self.path) as writer:
                writer.write(block * BLOCK, cutouts, **truth_columns(truth))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise OSError(
                    f"no room to finish {self.path}: {error.strerror}. Make room and give the same command again, "
                    "which resumes it; or delete the file"
                ) from error
            raise
