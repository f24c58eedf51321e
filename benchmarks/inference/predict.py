# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies per second of ``astro_photz.predict`` from cutouts in memory, beside its ONNX graphs alone.

The baseline is what a user would write first: the encoder and the head in onnxruntime, one call a galaxy. The graphs
in batches are the ceiling: what ``predict`` takes beyond them goes into flags, moments of the PDF and columns.
"""

import argparse
import os
from functools import partial

import astro_photz
from astro_photz.models import PhotozModel
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._onnxruntime import onnxruntime
from benchmarks.common.claims import claim
from benchmarks.common.timing import alternate, measure, medians, print_table, ratios

BASELINE = "ONNX graphs, a call per galaxy"
GRAPHS = "ONNX graphs, batches of 16"
PREDICT = "astro_photz.predict"


class Graphs:
    """The encoder and the head of a model in onnxruntime, and nothing else."""

    def __init__(self, path, threads):
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._encoder, self._head = (
            ort.InferenceSession(path / name, options, providers=["CPUExecutionProvider"])
            for name in ("encoder.onnx", "head.onnx")
        )

    def run(self, cutouts, *, batch):
        """Run them on all galaxies, ``batch`` at a time."""
        for start in range(0, len(cutouts), batch):
            part = slice(start, start + batch)
            embedding, *_ = self._encoder.run(None, {"flux": cutouts.flux[part], "ebv": cutouts.ebv[part]})
            self._head.run(None, {"embedding": embedding})


def predict(cutouts, model, threads):
    """Call `astro_photz.predict` with a number of threads."""
    with astro_photz.conf.set_temp("inference_threads", threads):
        astro_photz.predict(cutouts, model=model)


def compare(path, cutouts, *, threads, repeats):
    """Rows of the table for a number of threads."""
    model = PhotozModel(path)
    graphs = Graphs(path, threads)
    functions = {
        BASELINE: partial(graphs.run, cutouts, batch=1),
        GRAPHS: partial(graphs.run, cutouts, batch=16),
        "ONNX graphs, batches of 64": partial(graphs.run, cutouts, batch=64),
        PREDICT: partial(predict, cutouts, model, threads),
    }
    results = alternate({name: partial(measure, function) for name, function in functions.items()}, repeats=repeats)
    if threads == 1:
        (_, share) = ratios(results[GRAPHS], results[PREDICT])
        claim("rate of predict, with flags, over that of its graphs alone, on one thread", share, least=0.9)
    for name, result in results.items():
        wall, cpu = medians(result)
        speeds = f"{len(cutouts) / wall:.0f}", f"{len(cutouts) / cpu:.0f}"
        # How many times faster: the baseline's time over this one's.
        yield name, str(threads), *speeds, *(f"{ratio:.2f}" for ratio in ratios(results[BASELINE], result))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", help="name or folder of a model (default: that of astro_photz.conf)")
    parser.add_argument("--galaxies", type=int, default=512, help="number of galaxies (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: %(default)s)")
    args = parser.parse_args()

    model = astro_photz.load_model(args.model)
    cutouts = gaussian_cutouts(args.galaxies)
    rows = [
        row
        for threads in sorted({1, os.cpu_count()})
        for row in compare(model.path, cutouts, threads=threads, repeats=args.repeats)
    ]
    print(f"{model.name} {model.version}, {len(cutouts)} galaxies; medians of {args.repeats} alternating runs.")
    print("Threads are those of onnxruntime, or of predict's pool; ratios are to the baseline with as many.\n")
    print_table(("", "threads", "galaxies/s", "galaxies/CPU s", "ratio: wall", "CPU"), rows)


if __name__ == "__main__":
    main()
