# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies into a file: of any length, by several processes, resumed after a kill.

Every block of galaxies is made from its number alone, and has its place in the file from the start
(`~astro_photz.cutouts.hdf5.blocks.BlockWriter`). So the file does not depend on who made which block, nor on how often
the work was cut short. Beside the unfinished file, ``PATH.part``, lies a journal, ``PATH.part.journal``: what is being
written in its first line, then the number of each finished block. The same call again goes on where it stood.
"""

import json
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from io import FileIO
from multiprocessing import get_context, parent_process
from pathlib import Path

from astro_photz import __version__
from astro_photz.cutouts.hdf5.blocks import BlockWriter
from astro_photz.utils._files import NO_ROOM, aside, sha256
from astro_photz.utils._progress import progress_bar

from .population.progenitors import SPLIT_SEED
from .settings import Settings
from .simulation import BLOCK, Recipe, check_count, truth_columns

__all__ = ["write"]

_WORTH_A_WORKER = 8  # blocks: a process takes seconds to begin


def write(
    path,
    n,
    *,
    seed,
    split="train",
    size=64,
    config=None,
    device="cpu",
    workers=1,
    overwrite=False,
    progress=None,
    attributes=None,
):
    """
    Simulate galaxies into an HDF5 file.

    If the process ends before the file does, by whatever cause, the same call goes on where it stood; the file is the
    same to the byte as one written in one go on such a processor, by any number of workers.

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
        What else to note in the file, besides that it is simulated, from which seed, split and settings: numbers, text.

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
    recipe = Recipe(seed=seed, split=split, size=size, settings=Settings.of(config), device=device)
    path, n = Path(path), check_count("n", n)
    check_count("workers", workers)
    _check_path(path, overwrite)
    part = path.with_name(path.name + ".part")
    noted = {
        "seed": seed,
        "split": split,
        "split_seed": SPLIT_SEED,
        "settings": json.dumps(recipe.settings.as_dict()),
        "astro_photz_version": __version__,
    } | (attributes or {})
    if patches := recipe.settings.background["patches"]:
        noted["patches_sha256"] = sha256(patches)
    task = {"n": n, "size": size, "device": str(device), "attributes": noted}
    journal = _Journal.open(part, task, start=partial(_lay_out, part, n, recipe, noted), overwrite=overwrite)
    with closing(journal), progress_bar(n, progress) as advance:
        advance(sum(_rows_of(block, n) for block in journal.done))
        left = [block for block in range(-(-n // BLOCK)) if block not in journal.done]
        with closing(_each(partial(_write_block, part, n, recipe), left, workers)) as finished:
            for block in finished:
                journal.add(block)
                advance(_rows_of(block, n))
    os.replace(part, path)
    journal.path.unlink()


def _check_path(path, overwrite):
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path}: no permission to write in {path.parent}")


def _rows_of(block, n):
    return min(BLOCK, n - block * BLOCK)


def _lay_out(part, n, recipe, attributes):
    """An unfinished file with its first block, which tells what the others are like."""
    cutouts, truth = recipe.block(0, n)
    BlockWriter.create(part, n, like=cutouts, attributes=attributes, **truth_columns(truth))
    _put(part, 0, cutouts, truth)
    return {0}


def _write_block(part, n, recipe, block):
    _put(part, block, *recipe.block(block, n))
    return block


def _put(part, block, cutouts, truth):
    try:
        with BlockWriter(part) as writer:
            writer.write(block * BLOCK, cutouts, **truth_columns(truth))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise OSError(
                f"no room to go on with {part}: {error.strerror}. Make room and give the same command again, which "
                "goes on from here; or delete the file"
            ) from error
        raise


class _Journal:
    """The blocks of an unfinished file that are finished."""

    def __init__(self, path, task, done):
        self.path = path
        self.done = done
        with aside(path) as part:  # one that is lost would take the work with it
            part.write_text("".join([task + "\n", *(f"{block}\n" for block in sorted(done))]))
        self._file = FileIO(path, "a")

    @classmethod
    def open(cls, part, task, *, start, overwrite):
        """The journal of a file that was begun, or a new one after ``start`` has laid the file out."""
        path = part.with_name(part.name + ".journal")
        task = json.dumps(task, sort_keys=True, default=str)
        lines = path.read_text().splitlines(keepends=True) if path.exists() and part.exists() else []
        begun, *blocks = lines or [""]
        if begun == task + "\n":
            return cls(path, task, {int(line) for line in blocks if line.endswith("\n")})  # a kill may cut a line short
        if begun.endswith("\n") and not overwrite:
            difference = _difference(json.loads(begun), json.loads(task))
            raise FileExistsError(
                f"{part} was begun with other settings ({difference}): give the same ones to go on with it, or set "
                "overwrite=True to start anew"
            )
        path.unlink(missing_ok=True)
        part.unlink(missing_ok=True)  # its room is for the new one
        try:
            return cls(path, task, start())
        except BaseException:  # without a journal, the file is of no use
            if not path.exists():
                part.unlink(missing_ok=True)
            raise

    def add(self, block):
        self._file.write(f"{block}\n".encode())

    def close(self):
        self._file.close()


def _difference(begun, task):
    """What an unfinished file was begun with that is asked for otherwise now."""
    flat = [{**values, **values["attributes"]} for values in (begun, task)]
    names = [name for name in flat[0] | flat[1] if name != "attributes" and flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name} {flat[0].get(name)!r}, not {flat[1].get(name)!r}" for name in names)


def _each(function, blocks, workers):
    """The results of a function of each block, in their order, from so many processes."""
    workers = min(workers, len(blocks) // _WORTH_A_WORKER)
    if workers <= 1:
        yield from map(function, blocks)
        return
    # A process of its own kind: torch does not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_work)
    try:
        with _interrupts_later():  # the workers inherit this: Ctrl-C is for their parent to handle
            results = pool.map(function, blocks)
        yield from results
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a worker died before its work was done: was it killed, or short of memory? The same command goes on from "
            "here. (A script that calls this must keep its own work under if __name__ == '__main__')"
        ) from error
    except BaseException:  # an interrupt waits for no block; what the journal has not is made again
        _end_workers(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_later():
    """Block Ctrl-C, in this process and for good in those that are begun meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_workers(pool):
    if hasattr(pool, "terminate_workers"):  # from Python 3.14 on
        pool.terminate_workers()
        return
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _begin_work():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be blocked
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """A worker whose parent was killed would wait for ever."""
    parent_process().join()
    os._exit(1)
