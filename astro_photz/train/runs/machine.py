# Licensed under a 3-clause BSD style license - see LICENSE
"""
The machine that a training runs on.
"""

from dataclasses import dataclass

__all__ = ["Machine"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """
    The machine that a training runs on.

    It changes the result by rounding only; but several processes draw random numbers of their own, and batch
    normalisation sees each one's share of a batch.

    Parameters
    ----------
    accelerator : str, optional
        ``"cpu"``, ``"gpu"`` or another that Lightning knows.
    devices : int or str, optional
        Number of accelerators, or processes, on each machine.
    num_nodes : int, optional
        Number of machines.
    threads : int, optional
        Threads of each process; as torch chooses by default.
    workers : int, optional
        Processes that read ahead, for each device.
    in_memory : bool, optional
        Whether to hold all stamps in memory.
    checkpoint_every : int, optional
        Steps from one checkpoint to the next.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook.

    Examples
    --------
    >>> from astro_photz.train import Machine
    >>> Machine(accelerator="cpu", devices=1, threads=4).threads
    4
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: int = 1
    threads: int | None = None
    workers: int = 0
    in_memory: bool = False
    checkpoint_every: int = 500
    progress: bool = True
