# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies per second of a model's graphs, as they are and in 8-bit integers, beside the reference network.

    python -m benchmarks.model.throughput [--model bundled] [--n 256]

All run in turn, on one thread, from stamps in memory to PDFs. The reference is the ResNet-50 of the published method in
eager torch, with random weights, on fewer galaxies. The model in integers is made here, its scales set on simulated
galaxies, unless it is in integers already.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from astro_photz import load_model, simulate
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.export.quantize import quantize_model
from astro_photz.train.networks.encoder import make_encoder
from benchmarks.common.claims import claim
from benchmarks.common.timing import alternate, measure, use_one_thread
from benchmarks.inference.predict import Graphs

from ._report import arguments_of, report
from ._stamps import simulation_of

REFERENCE = "reference ResNet-50, eager torch"
BINS = 180
BATCH = 64
REFERENCE_BATCH = 16
FEWER = 16  # times fewer galaxies go through the reference
STAMPS = 512  # that scales are set on, and again as many to measure the loss on

TEXT = (
    "Galaxies per second on one thread, by the clock; medians of {repeats} runs in turn, with the scatter. Ratio: to "
    "the reference network, by processor time."
)


def main():
    arguments = arguments_of(__doc__, n=256, repeats={"type": int, "default": 5})
    use_one_thread()
    torch.set_num_threads(1)
    cutouts = gaussian_cutouts(arguments.n)
    fewer = cutouts[: max(arguments.n // FEWER, 1)]
    with tempfile.TemporaryDirectory() as folder:
        functions = {
            REFERENCE: partial(Reference().run, fewer),
            **{name: partial(graphs.run, cutouts, batch=BATCH) for name, graphs in models(arguments, Path(folder))},
        }
        timed = {name: partial(measure, function) for name, function in functions.items()}
        results = alternate(timed, repeats=arguments.repeats)
    number = dict.fromkeys(results, len(cutouts)) | {REFERENCE: len(fewer)}
    rows = [row(name, costs, results[REFERENCE], number[name], len(fewer)) for name, costs in results.items()]
    claim("speed of the model's graphs over the reference ResNet-50 in eager torch", rows[1]["ratio"], least=150)
    columns = {"speed": "galaxies/s", "ratio": "ratio"}
    report("Speed", rows, arguments, text=TEXT.format(repeats=arguments.repeats), columns=columns, shown=())


def models(arguments, folder):
    """Names and graphs: the model's own, and those in integers."""
    model = load_model(arguments.model)
    yield f"{model.name}, as it is", Graphs(model.path, 1)
    if "quantization" in model.card.others:
        return
    files = {"stamps": folder / "stamps.h5", "validation": folder / "validation.h5"}
    for split, path in zip(("train", "validation"), files.values(), strict=True):
        simulation = simulation_of(model, seed=arguments.seed, split=split)
        simulate.write(path, STAMPS, seed=simulation.seed, split=split, config=simulation.settings)
    quantize_model(model, folder / "int8", **files)
    yield f"{model.name}, int8", Graphs(folder / "int8", 1)


class Reference:
    """The reference network with its head, in eager torch."""

    def __init__(self):
        self._network = make_encoder("resnet50", n_bins=BINS).eval()

    @torch.inference_mode()
    def run(self, cutouts):
        """Probabilities of all galaxies, a batch at a time."""
        for start in range(0, len(cutouts), REFERENCE_BATCH):
            part = slice(start, start + REFERENCE_BATCH)
            flux, ebv = torch.from_numpy(cutouts.flux[part]), torch.from_numpy(cutouts.ebv[part])
            self._network(flux, ebv).softmax(dim=1)


def row(name, costs, baseline, n, n_baseline):
    """Speed for n galaxies, and its ratio to the baseline's: medians, and standard deviations over the same rounds."""
    speeds = n / np.array([cost.wall for cost in costs])
    numbers = {"speed": np.median(speeds), "speed_err": speeds.std()}
    if name != REFERENCE:
        ratio = np.array([one.cpu / cost.cpu for cost, one in zip(costs, baseline, strict=True)]) * n / n_baseline
        numbers |= {"ratio": np.median(ratio), "ratio_err": ratio.std()}
    return {"method": name} | {key: float(value) for key, value in numbers.items()}


if __name__ == "__main__":
    main()
