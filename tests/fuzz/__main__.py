# Licensed under a 3-clause BSD style license - see LICENSE
"""
The long run: hostile inputs for hours, in a process of limited memory.

``python -m tests.fuzz --inputs 200000 --minutes 60 --memory 1GB --corpus DIR`` shares the inputs out among the targets,
and stops at either number; the minutes are those of a processor. The folder keeps how far each target has come and each
failure, a JSON file that ``python -m tests.fuzz --again FILE`` tries again. A later run on the same folder tries the
failures first, and continues with other seeds.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from .judging import SECONDS, Fault, judge, memory
from .targets import TARGETS

_CHUNK = 250  # inputs of one seed


def main(argv=None):
    """Run, and return the exit code: 1 if anything was found."""
    arguments = _arguments(argv)
    chosen = {name: target for name, target in TARGETS.items() if not arguments.only or name in arguments.only}
    limits = {"seconds": arguments.seconds, "memory_limit": arguments.memory}
    if arguments.again:
        return _again(arguments.again, limits)
    corpus = _Corpus(arguments.corpus)
    began, start = time.process_time(), memory()
    for path, kept in corpus.failures():
        if kept["target"] in chosen:
            corpus.judged(chosen[kept["target"]], kept["input"], limits, kept["seed"])
            print(f"again {path.name}", flush=True)
    shares = sum(target.share for target in chosen.values())
    wanted = {name: max(1, round(arguments.inputs * target.share / shares)) for name, target in chosen.items()}
    done = Counter()
    while _left(done, wanted) and time.process_time() - began < 60 * arguments.minutes:
        name = min(wanted, key=lambda one: done[one] / wanted[one])
        n = min(_CHUNK, wanted[name] - done[name])
        _chunk(chosen[name], n, corpus, limits)
        done[name] += n
        corpus.save()
    print(corpus.report(), flush=True)
    print(f"{sum(done.values())} inputs in {(time.process_time() - began) / 60:.1f} minutes of a processor")
    print(f"memory: {start / 1e6:.0f} MB at the start, {memory() / 1e6:.0f} MB at the end")
    print(f"limits of an input: {arguments.seconds:g} s, {arguments.memory / 1e6:.0f} MB above its beginning")
    return int(corpus.n_failures > 0)


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Put hostile inputs through all doors.")
    parser.add_argument("--inputs", type=int, default=200_000, metavar="N", help="inputs over all targets")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="of a processor, at most")
    parser.add_argument("--memory", type=_bytes, default=10**9, metavar="1GB", help="above that at the start")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="for an input")
    parser.add_argument(
        "--corpus", type=Path, default=Path("fuzz-corpus"), metavar="DIR", help="folder to keep and resume"
    )
    parser.add_argument("--only", nargs="+", choices=sorted(TARGETS), metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--again", type=Path, metavar="FILE", help="try one failure again, and show where it arises")
    return parser.parse_args(argv)


def _bytes(text):
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if text.upper().endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def _left(done, wanted):
    return any(done[name] < wanted[name] for name in wanted)


def _again(path, limits):
    import traceback

    kept = json.loads(path.read_text(encoding="utf-8"))
    try:
        print(judge(TARGETS[kept["target"]], kept["input"], **limits))
    except Fault as fault:
        traceback.print_exception(fault)
        return 1
    return 0


def _chunk(target, n, corpus, limits):
    number = corpus.next_seed(target.name)

    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @seed(number)
    @given(target.inputs)
    def run(value):
        corpus.judged(target, json.loads(json.dumps(value)), limits, number)

    run()


class _Corpus:
    """Counts and failures in a folder."""

    def __init__(self, folder):
        self._folder = folder
        self._counts = folder / "counts.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._told = json.loads(self._counts.read_text()) if self._counts.is_file() else {}
        self._found = {}

    @property
    def n_failures(self):
        return len(self._found)

    def failures(self):
        """Yield the failures of earlier runs."""
        for path in sorted(self._folder.glob("failure-*.json")):
            yield path, json.loads(path.read_text(encoding="utf-8"))

    def next_seed(self, name):
        """Count a chunk of inputs, and return its seed."""
        told = self._told.setdefault(name, {"chunks": 0, "answered": 0, "refused": 0, "failed": 0, "slowest": 0.0})
        told["chunks"] += 1
        return told["chunks"]

    def judged(self, target, value, limits, number):
        """Judge an input and count it; keep the first one that fails in a place."""
        self._told.setdefault(target.name, {"chunks": 0, "answered": 0, "refused": 0, "failed": 0, "slowest": 0.0})
        told, began = self._told[target.name], time.perf_counter()
        try:
            told[judge(target, value, **limits)] += 1
        except Fault as fault:
            told["failed"] += 1
            self._keep(target.name, value, str(fault), number)
        told["slowest"] = max(told["slowest"], round(time.perf_counter() - began, 2))

    def _keep(self, name, value, said, number):
        place = said.rsplit(" in ", 1)[-1]
        key = hashlib.sha256(f"{name} {place} {said.split(':')[0]}".encode()).hexdigest()[:10]
        if key in self._found:
            return
        path = self._folder / f"failure-{name}-{key}.json"
        self._found[key] = path
        kept = {"target": name, "seed": number, "fault": said, "input": value}
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {said}\n    python -m tests.fuzz --again {path}", flush=True)

    def save(self):
        """Write the counts."""
        self._counts.write_text(json.dumps(self._told, indent=1) + "\n", encoding="utf-8")

    def report(self):
        """A line for each target, of all runs on this folder."""
        lines = [f"{'target':20s} {'seeds':>6s} {'answered':>9s} {'refused':>9s} {'failed':>7s} {'slowest':>8s}"]
        for name, told in sorted(self._told.items()):
            counts = f"{told['chunks']:6d} {told['answered']:9d} {told['refused']:9d} {told['failed']:7d}"
            lines.append(f"{name:20s} {counts} {told['slowest']:7.2f}s")
        total = [sum(told[one] for told in self._told.values()) for one in ("answered", "refused", "failed")]
        return "\n".join([*lines, f"{'all':27s} {total[0]:9d} {total[1]:9d} {total[2]:7d}"])


if __name__ == "__main__":
    sys.exit(main())
