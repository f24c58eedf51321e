# Licensed under a 3-clause BSD style license - see LICENSE
"""Hostile files are read in a process of little memory, which is measured."""

import resource
import subprocess
import sys
import textwrap

__all__ = ["growth"]


def growth(folder, *readers, imports, error="ValueError", limit):
    """
    Read the files of a folder, each of which is to be refused.

    Parameters
    ----------
    folder : `~pathlib.Path`
    *readers : str
        Functions that take a path.
    imports : str
        Statements, parted by semicolons, that give these names a meaning.
    error : str, optional
        Class of the refusal.
    limit : int
        Memory that the process may address (bytes).

    Returns
    -------
    int
        Memory that it took beyond the imports, at most (kB).
    """
    program = f"""
        import pathlib, resource
        {imports}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in sorted(pathlib.Path({str(folder)!r}).iterdir()):
            for read in ({", ".join(readers)},):
                try:
                    read(path)
                except {error}:
                    continue
                raise SystemExit(f"{{path}} was read")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert told.returncode == 0, told.stderr
    return int(told.stdout)
