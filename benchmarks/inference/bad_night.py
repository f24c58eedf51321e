# Licensed under a 3-clause BSD style license - see LICENSE
"""
A night of servers that fail: 200 galaxies in 20 fields from an archive on this machine, with one fault after another.

All time limits are those of the defaults, divided by `FACTOR`; the waits that servers ask for are not. Each run must
end within its bound: three times the time of an undisturbed run, and for each request that fails the longest time of
one, as `SDSSArchive` states it. The flags must be right: ``NO_IMAGE`` where the fault was, and elsewhere the stamps of
the undisturbed run. Nothing broken may be in the cache. A second call, after the server is mended, must give what the
undisturbed run gave, to the bit. The command fails if one of this is not so.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
from astropy.table import Table
from astroquery.sdss import conf as sdss_conf

import astro_photz
from astro_photz import PhotozFlag, sdss
from astro_photz.config import conf
from astro_photz.cutouts.sources import _link as link_module
from astro_photz.cutouts.sources import archive as archive_module
from astro_photz.testing.loopback import LoopbackArchive
from astro_photz.testing.server import ERROR_PAGE
from astro_photz.testing.synthetic_frames import make_field
from astro_photz.testing.synthetic_sky import SHAPE, Geometry, make_sky
from astro_photz.testing.unreachable import unreachable
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

__all__ = ["CELLS", "FACTOR", "Cell", "Night"]

FACTOR = 20
"""The default time limits are this many times longer."""

_TIMEOUT = 60 / FACTOR
_THREADS = 2
_QUERY = 0.2  # of the galaxies go up in a query
_ALL, _NONE = (None,), (0,)  # of the fields, as a slice
_EXACT = ("flux", "ebv", "psf_fwhm", "target_xy", "flags")


@dataclass(frozen=True)
class Cell:
    """
    A fault, and its consequences.

    ``disturb`` takes the archive and the numbers of the fields. ``lost`` is the slice of the fields that have no image
    then; ``may_lose`` is set where it is by chance which, and ``failing`` counts the requests that fail.
    """

    name: str
    disturb: Callable = field(repr=False, default=lambda archive, fields: None)
    lost: tuple[int | None, ...] = _NONE
    may_lose: bool = False
    failing: int = 0
    out_of_reach: str = ""  # servers without a name: 'frames' or 'all'

    @property
    def bound(self):
        """Longest time (s) of its failing requests."""
        return self.failing * (conf.patience + 2 * _TIMEOUT)


def _fail(kind, mode, **options):
    return lambda archive, fields: archive.fail(kind, mode, **options)


def _fail_fields(mode, which, **options):
    def disturb(archive, fields):
        for number in fields[slice(*which)]:
            archive.fail("frame", mode, path_contains=f"-{number:04d}.fits", **options)

    return disturb


def _html_once(archive, fields):
    for kind in ("schema", "crossid", "frame"):
        archive.fail(kind, "html", times=1)


def _asked_to_wait(archive, fields):
    """Let each thread wait once, for 100 s by the scale, of a patience of 120 s."""
    archive.fail("crossid", 429, times=1, retry_after=str(100 // FACTOR))
    archive.fail("frame", 429, times=_THREADS, retry_after=str(100 // FACTOR))


def _resets_apart(archive, fields):
    for number in fields[:6]:
        for band in sdss.BANDS:
            archive.fail("frame", "reset", times=1, path_contains=f"frame-{band}-004207-3-{number:04d}")


_ROW = conf.failures_in_a_row + _THREADS  # requests that fail before a server is lost; other threads are at one too
_HALF = (0, None, 2)
CELLS = (
    Cell("no fault"),
    Cell("HTML once", _html_once, failing=3),
    Cell("HTML on half the frames", _fail_fields("html", _HALF), lost=_HALF, failing=10),
    Cell("20 x 500", _fail("frame", 500, times=20), may_lose=True, failing=_ROW),
    Cell("30 resets, in a row", _fail("frame", "reset", times=30), may_lose=True, failing=_ROW),
    Cell("30 resets, of 30 frames", _resets_apart, failing=1),
    Cell("429, Retry-After 2", _fail("frame", 429, times=4, retry_after="2"), failing=2),
    Cell("429, Retry-After 5, within the patience", _asked_to_wait, failing=3),
    Cell("429, Retry-After 100", _fail("frame", 429, retry_after="100"), lost=_ALL, failing=_ROW),
    Cell("429, Retry-After soon", _fail("frame", 429, retry_after="soon"), lost=_ALL, failing=_ROW),
    Cell("500 for ever", _fail("frame", 500), lost=_ALL, failing=_ROW),
    Cell("500 for ever, catalogue too", _fail(None, 500), lost=_ALL, failing=_ROW),
    Cell("catalogue stalls", _fail("crossid", "hang"), lost=_ALL, failing=_ROW),
    Cell("list of columns stalls", _fail("schema", "hang"), lost=_ALL, failing=_ROW),
    Cell("frames stall", _fail("frame", "hang"), lost=_ALL, failing=_ROW),
    Cell("one byte a second", _fail("frame", "drip"), lost=_ALL, failing=_ROW),
    Cell("one byte a second, headers", _fail("frame", "drip headers"), lost=_ALL, failing=_ROW),
    Cell("one byte a second, catalogue", _fail("crossid", "drip"), lost=_ALL, failing=_ROW),
    Cell("endless", _fail("frame", "endless"), lost=_ALL, failing=_ROW),
    Cell("one field stops half-way", _fail_fields("stall", (1, 2)), lost=(1, 2), failing=1),
    Cell("DNS fails, frames", lost=_ALL, out_of_reach="frames", failing=1),
    Cell("DNS fails, all", lost=_ALL, out_of_reach="all", failing=1),
)


class Night:
    """
    Fields, galaxies, and what an undisturbed run makes of them.

    Parameters
    ----------
    n_fields, n_galaxies : int
        ``n_galaxies`` is that of each field.
    """

    def __init__(self, n_fields=20, n_galaxies=10):
        self.numbers = list(range(110, 110 + n_fields))
        self._fields, galaxies, of = [], [], []
        for k, number in enumerate(self.numbers):
            geometry = Geometry(ra=150.0 + 0.3 * k, dec=2.2)
            own = make_sky(geometry, n_galaxies, seed=k, margin=46)
            self._fields.append(make_field(sdss.FieldID(4207, 301, 3, number), geometry, own, seed=k))
            galaxies += own
            of += [k] * n_galaxies
        order = np.random.default_rng(1).permutation(len(galaxies))  # rows of a field are not side by side
        self._galaxies, self.field_of = galaxies, np.array(of)[order]
        self.table = Table(rows=[(i, galaxies[i].ra, galaxies[i].dec) for i in order], names=("id", "ra", "dec"))
        self.seconds, self.expected = 0.0, None

    @contextmanager
    def archive(self):
        """Serve the fields; catalogue and frames have hosts of their own, and all time limits are short."""
        short = {"retry_wait": conf.retry_wait / FACTOR, "patience": conf.patience / FACTOR}
        with ExitStack() as stack:
            for name, value in short.items():
                stack.enter_context(conf.set_temp(name, value))
            stack.enter_context(conf.set_temp("queries_per_minute", 10_000))
            longest_pause = link_module._LONGEST_PAUSE / FACTOR
            stack.enter_context(patch.object(link_module, "_LONGEST_PAUSE", longest_pause))
            stack.enter_context(patch.object(archive_module, "_BATCH", max(1, int(_QUERY * len(self.table)))))
            stack.enter_context(patch.object(sdss, "FRAME_SHAPE", SHAPE))
            archive = stack.enter_context(LoopbackArchive.of(self._fields, self._galaxies))
            frames = sdss_conf.sas_baseurl.replace("127.0.0.1", "localhost")
            stack.enter_context(sdss_conf.set_temp("sas_baseurl", frames))
            yield archive

    def fetch(self):
        """Cutouts of all galaxies."""
        source = astro_photz.SDSSArchive(timeout=_TIMEOUT, threads=_THREADS)
        return astro_photz.fetch(self.table, source=source, progress=False)

    def run_undisturbed(self):
        """Find out what is right, and how long it takes."""
        with self.archive():
            began = time.monotonic()
            self.expected = self.fetch()
            self.seconds = time.monotonic() - began
        assert not (self.expected.flags & PhotozFlag.NO_IMAGE).any()

    def run(self, cell):
        """Run a cell; return its `Outcome`."""
        with self.archive() as archive:
            bound = 3 * self.seconds + cell.bound
            cell.disturb(archive, self.numbers)
            began = time.monotonic()
            with warnings.catch_warnings(record=True) as told, _without_names(cell.out_of_reach):
                warnings.simplefilter("always")
                cutouts, error = self._attempt()
            seconds = time.monotonic() - began
            faults = [] if seconds <= bound else ["too long"]
            faults += self._faults(cell, cutouts, error) + _poison(archive)
            archive.mend()
            again = self.fetch()
            faults += [f"{name} differs after mending" for name in _EXACT if not self._same(again, name).all()]
        lost = len(self.table) if cutouts is None else int(((cutouts.flags & PhotozFlag.NO_IMAGE) != 0).sum())
        n_out = 0 if cutouts is None else len(cutouts)
        lines = [str(error)] if error else [str(one.message) for one in told]
        return Outcome(cell.name, seconds, bound, len(self.table), n_out, lost, tuple(lines), tuple(faults))

    def _attempt(self):
        try:
            return self.fetch(), None
        except ConnectionError as error:  # without any network
            return None, error

    def _faults(self, cell, cutouts, error):
        """List what is wrong with the result of a disturbed run."""
        if cell.out_of_reach == "all":
            return [] if error is not None and "no network" in str(error) else ["no ConnectionError"]
        if cutouts is None:
            return [f"ended by {error}"]
        wrong = [] if np.array_equal(cutouts.ids, self.expected.ids) else ["rows are not in order"]
        lost = (cutouts.flags & PhotozFlag.NO_IMAGE) != 0
        whole = np.all([self._same(cutouts, name) for name in _EXACT], axis=0)
        if not (lost | whole).all():
            wrong.append("rows differ, without a flag")
        if (lost & whole).any() or not np.isnan(cutouts.flux[lost]).any(axis=(1, 2, 3)).all():
            wrong.append("rows are flagged for nothing")
        hit = np.isin(self.field_of, np.arange(len(self.numbers))[slice(*cell.lost)])
        if not cell.may_lose and not np.array_equal(lost, hit):
            wrong.append(f"{lost.sum()} rows without an image instead of {hit.sum()}")
        return wrong

    def _same(self, cutouts, name):
        """Mask of the rows that are those of the undisturbed run, to the bit."""
        one, other = getattr(cutouts, name), getattr(self.expected, name)
        same = (one == other) | ((one != one) & (other != other))
        return same.reshape(len(same), -1).all(axis=1)


@dataclass(frozen=True)
class Outcome:
    """One line of the matrix."""

    name: str
    seconds: float
    bound: float
    n_in: int
    n_out: int
    without_image: int
    told: tuple[str, ...]
    faults: tuple[str, ...]

    def cells(self):
        """Texts for the table."""
        numbers = (f"{self.seconds:.1f}", f"{self.bound:.1f}")
        counts = (self.n_in, self.n_out, self.without_image, len(self.told))
        return (self.name, *numbers, *map(str, counts), "; ".join(self.faults) or "right")


@contextmanager
def _without_names(which):
    """Take away the names of the servers of frames, or of all."""
    with ExitStack() as stack:
        if which:
            url = stack.enter_context(unreachable("unknown name"))
            stack.enter_context(sdss_conf.set_temp("sas_baseurl", url))
        if which == "all":
            stack.enter_context(sdss_conf.set_temp("skyserver_baseurl", url))
        yield


def _poison(archive):
    """List what is in the caches and should not be."""
    frames = {content if isinstance(content, bytes) else content.read_bytes() for content in archive.frames.values()}
    kept = [path.read_bytes() for path in Path(archive.cache).rglob("*") if path.is_file()]
    broken = sum(content[:3] == b"BZh" and content not in frames for content in kept)
    pages = sum(ERROR_PAGE[:30] in content for content in kept)
    return [f"{broken + pages} broken files in the cache"] if broken or pages else []


def main():
    """Print the matrix, and what was said; fail if a cell is not right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--output", type=Path, metavar="JSON", help="file to write the result to")
    parser.add_argument("--only", metavar="WORD", default="", help="only the faults whose name has this word")
    arguments = parser.parse_args()
    night = Night()
    night.run_undisturbed()
    print(f"time limits: the defaults divided by {FACTOR}; undisturbed: {night.seconds:.1f} s\n", flush=True)
    outcomes = []
    for cell in CELLS:
        if arguments.only in cell.name:
            outcomes.append(night.run(cell))
            print(*outcomes[-1].cells(), sep="  ", file=sys.stderr, flush=True)
    header = ("fault", "seconds", "bound", "rows in", "rows out", "without image", "lines said", "verdict")
    print_table(header, [outcome.cells() for outcome in outcomes])
    for outcome in outcomes:
        print("\n".join(f"{outcome.name}: {line}" for line in dict.fromkeys(outcome.told)))
    if arguments.output:
        rows = {outcome.name: vars(outcome) for outcome in outcomes}
        write_result(arguments.output, {"factor": FACTOR, "undisturbed": night.seconds, "faults": rows})
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
