# Licensed under a 3-clause BSD style license - see LICENSE
"""
A sample of a set of keys that tells how many of other keys are in it.

It holds the smallest keys of the set (a bottom-k sketch: Cohen & Kaplan 2007, PODC, 225). Keys are as good as drawn at
random, so each is in the sample with the same probability, k / n, and a match counts for n / k.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from ._galaxy_keys import BITS, NONE

__all__ = ["Sketch"]

_BYTES = BITS // 8
_MOST = 10**6  # keys in a file, whatever it claims
_LARGEST = 10**15  # of a set


@dataclass(frozen=True)
class Sketch:
    """
    The smallest keys of a set.

    Parameters
    ----------
    n : int
        Number of keys in the set.
    keys : `~numpy.ndarray` (k,) of uint64
        The smallest of them, in order.
    """

    n: int
    keys: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray) -> Self | None:
        """Make a sketch of all keys of a set, `NONE` among them or not; None if there is none."""
        found = np.unique(keys[keys != NONE])
        return cls(len(found), found) if len(found) else None

    @property
    def share(self) -> float:
        """Share of the set that is in the sketch, float."""
        return len(self.keys) / self.n

    @property
    def exact(self) -> bool:
        """True if it holds the whole set, bool."""
        return len(self.keys) == self.n

    def same(self, other: Self) -> bool:
        """Tell whether another sketch is of the same set, as far as both go."""
        k = min(len(self.keys), len(other.keys))
        return self.n == other.n and np.array_equal(self.keys[:k], other.keys[:k])

    def cut(self, k: int) -> Self:
        """Keep no more than ``k`` keys, but one at least."""
        return type(self)(self.n, self.keys[: max(1, k)])

    def match(self, candidates: np.ndarray) -> np.ndarray:
        """
        Look for keys in the sketch.

        Parameters
        ----------
        candidates : `~numpy.ndarray` (M, C) of uint64
            Keys that each of M galaxies may have in the set.

        Returns
        -------
        `~numpy.ndarray` (M,) of uint64
            The key that was found, `NONE` where none was.
        """
        place = np.searchsorted(self.keys, candidates)
        hit = self.keys[np.minimum(place, len(self.keys) - 1)] == candidates
        first = hit.argmax(axis=1)
        found = np.take_along_axis(candidates, first[:, None], axis=1)[:, 0]
        return np.where(hit.any(axis=1), found, NONE)

    def entries(self) -> dict:
        """Entries of a file: the number of keys, and the steps from each kept one to the next, as text."""
        steps = np.diff(self.keys, prepend=np.uint64(0)).astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_BYTES]
        packed = zlib.compress(steps.T.tobytes())  # all first bytes, all second ones, ...: the last are mostly zeros
        return {"n": self.n, "k": len(self.keys), "keys": base64.b64encode(packed).decode()}

    @classmethod
    def of_entries(cls, entries: dict) -> Self:
        """Read a sketch out of the entries of a file; raise a ValueError if they are damaged."""
        try:
            n, k = int(entries["n"]), int(entries["k"])
            if not 1 <= k <= min(n, _MOST) or n > _LARGEST:
                raise ValueError(f"{k} keys of {n}")
            content = zlib.decompressobj().decompress(base64.b64decode(entries["keys"], validate=True), k * _BYTES)
            steps = np.zeros((k, 8), np.uint8)
            steps[:, :_BYTES] = np.frombuffer(content, np.uint8).reshape(_BYTES, k).T
        except (KeyError, OverflowError, TypeError, ValueError, zlib.error) as error:
            raise ValueError(f"its keys are damaged: {error}") from error
        steps = steps.view("<u8")[:, 0].astype(np.uint64)
        if not steps[1:].all():
            raise ValueError("its keys are damaged: one comes twice")
        return cls(n, steps.cumsum(dtype=np.uint64))
