# Licensed under a 3-clause BSD style license - see LICENSE
"""
What is measured beside what is wanted: each benchmark says it by `claim`, and ``python -m benchmarks.all`` collects it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FILE", "Claim", "claim", "claims_in"]

FILE = "BENCHMARK_CLAIMS"
"""Name of the variable with the file that claims are added to."""


@dataclass(frozen=True)
class Claim:
    """
    A number, and the limit that it is to keep to.

    Attributes
    ----------
    what : str
    value : float
    least, most : float or None
    """

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def wanted(self):
        """The limit in words, str."""
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"

    @property
    def holds(self):
        """Whether the number keeps to it, bool."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def cells(self):
        """Cells of a table, tuple of str."""
        return self.what, f"{self.value:.3g}", self.wanted, "yes" if self.holds else "no"


def claim(what, value, *, least=None, most=None):
    """Print a number with its limit; add it to the file that the environment names."""
    one = Claim(what, float(value), least, most)
    print(f"{what}: {one.value:.3g} ({one.wanted} is wanted)")
    if os.environ.get(FILE):
        with open(os.environ[FILE], "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")


def claims_in(path):
    """Read the claims of a file, list of `Claim`."""
    path = Path(path)
    return [Claim(**json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
