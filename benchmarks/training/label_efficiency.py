# Licensed under a 3-clause BSD style license - see LICENSE
"""
Scatter against the number of labels, with a pretraining and without: how many labels is it worth?

    python -m benchmarks.training.label_efficiency RUN_FOLDER --train train.h5 --validation validation.h5 --test test.h5

One pretraining, on all images; then, for each number of labels and each seed, which draws them, a training from scratch
and two that begin with the pretrained encoder, which stays frozen in one of them: the same network with the same
augmentations. Learning rate and least number of steps of each way are those of ``RATES`` and ``STEPS`` whose CRPS on
the validation set is best at the number of labels of ``SEARCHED`` that is nearest; ``--choices`` takes those of an
earlier result, of other images. ``--pretrained`` takes a pretraining that is there, ``--ways`` leaves out the others.
Each result is stored as JSON in the folder and not made again, so the command can be stopped, or stop itself after
``--hours``, and be given again.

It ends with tables of what there is. The equivalent factor is how many times as many labels the training from scratch
needs for the same scatter, by a monotone curve through its points. The share of the gap is how much of what the most
labels of ``--labels`` gain from scratch, over as many as here, the pretraining gains without them. Both, and the
difference in scatter from the training from scratch with as many labels, have errors from the spread over seeds and by
bootstrap over the real galaxies behind the test galaxies, the same ones for all trainings; the pretraining is one, and
has no share in them. Labels are of simulated galaxies, several of one real one: how many of these there are is told.
``--output`` writes all of it for the model card (``astro-photz card``).
"""

import argparse
import itertools
import json
import math
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from astro_photz import metrics, train
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.weights import WEIGHTS
from astro_photz.train.runs.folder import RunFolder
from astro_photz.utils._files import sha256
from benchmarks.common.results import write_result

from ._curves import difference_of, equivalent_factor, scatter_of, share_of_gap
from ._experiments import SPLITS, Experiments, error_of_mean, finetune, hashes, judge

WAYS = {
    "frozen": ("finetune.frozen = true",),
    "whole": ("finetune.frozen = false", "finetune.layer_decay = 0.6"),
    "from scratch": ("finetune.frozen = false", "finetune.layer_decay = 1.0"),
}
"""Changes of the recipe, by the way of training; all but the last begin with the pretrained encoder."""
FROM_SCRATCH = "from scratch"

LABELS = (500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000)
RATES = (1e-3, 3e-3, 1e-2)
STEPS = (500, 2000)
SEARCHED = {
    "frozen": (1000, 16_000),
    "whole": (1000, 16_000),
    FROM_SCRATCH: (500, 1000, 2000, 4000, 8000, 16_000),  # what is best for it changes more with their number
}
"""For how many labels learning rate and number of steps are searched, by the way of training."""
METRICS = ("sigma_mad", "eta", "crps")
DRAWS = 300
CHOICES = tuple(itertools.product(RATES, STEPS))


def main():
    arguments = _arguments()
    bench = LabelEfficiency(arguments)
    if not arguments.table:
        bench.run()
    result = bench.result()
    print_tables(result)
    if arguments.output:
        write_result(arguments.output, result, without=["--table"])


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="for runs and results")
    for name in SPLITS:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE.h5", help="labelled stamps")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="change of the recipe")
    parser.add_argument("--pretrained", type=Path, help="folder of a pretraining; by default one is made")
    parser.add_argument("--choices", type=Path, metavar="FILE.json", help="result whose search is taken for this one's")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--labels", nargs="+", type=int, default=list(LABELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n-test", type=int, default=20_000)
    parser.add_argument("--hours", type=float, default=math.inf, help="begin nothing new after these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="for the model card")
    arguments = parser.parse_args()
    arguments.labels = sorted(set(arguments.labels))
    return arguments


class LabelEfficiency:
    """The trainings, and what they tell."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.data = {split: getattr(arguments, split) for split in SPLITS}
        self.machine = train.Machine(accelerator="cpu", devices=1, threads=arguments.threads, progress=False)
        self.recipe = train.Recipe.read(arguments.recipe, changes=arguments.changes)
        self.pretrained = arguments.pretrained or arguments.folder / "pretrained"
        settings = {"n_test": arguments.n_test, "recipe": self.recipe.as_dict()}
        if arguments.pretrained:
            settings["pretrained"] = sha256(self.pretrained / WEIGHTS)
        self.chosen = {}
        if arguments.choices:
            settings["choices"] = self.chosen = json.loads(arguments.choices.read_text(encoding="utf-8"))["choices"]
        self.results = Experiments(arguments.folder, settings | hashes(self.data), hours=arguments.hours)

    def run(self):
        """All that has no result yet, seed by seed, the few labels first."""
        if not self.arguments.pretrained:
            options = {"validation": self.data["validation"], "machine": self.machine}
            train.pretrain(self.recipe, self.data["train"], self.pretrained, **options)
        for way in self.arguments.ways:
            for n_searched in self._searched(way):
                for choice in () if self.chosen else CHOICES:
                    search = partial(self.train, way, n_searched, *choice, seed=0, of="validation")
                    self.results.store(_name("search", way, n_searched, *choice), search)
        for seed in self.arguments.seeds:
            for n_labels in self.arguments.labels:
                for way in self.arguments.ways:
                    choice = self.choice(way, n_labels)
                    if choice:
                        final = partial(self.train, way, n_labels, *choice, seed=seed, of="test")
                        self.results.store(f"{self.name(way, n_labels)}-{seed}", final)

    def train(self, way, n_labels, rate, steps, *, seed, of):
        """Train, and measure on one of the data sets; deviations of the test set's galaxies are stored."""
        changes = [*self.arguments.changes, *WAYS[way], f"finetune.optimizer.learning_rate = {rate}"]
        recipe = train.Recipe.read(self.arguments.recipe, changes=changes)
        folder = self.arguments.folder / "runs" / _name(of, way, n_labels, seed, rate, steps)
        init = None if way == FROM_SCRATCH else self.pretrained
        options = {"steps": steps, "n_labels": n_labels, "seed": seed, "machine": self.machine}
        model = finetune(recipe, self.data, folder, init=init, **options)
        scores = judge(model, self.data[of], self.arguments.n_test)
        if of == "test":
            path = self._stored_deviations(way, n_labels, seed)
            path.parent.mkdir(exist_ok=True)
            np.save(path, scores.deviation.astype(np.float32))
        return metrics.summary(scores) | {"learning_rate": rate, "steps": steps}

    def _stored_deviations(self, way, n_labels, seed):
        """Path of the stored deviations for the way's choice."""
        return self.arguments.folder / "deviations" / f"{self.name(way, n_labels)}-{seed}.npy"

    def choice(self, way, n_labels):
        """The best learning rate and number of steps; none if they have not all been tried."""
        if self.chosen:
            choice = self.chosen.get(way, {}).get(str(_nearest(way, n_labels)))
            return tuple(choice) if choice else None
        tried = {pair: self.results.load(_name("search", way, _nearest(way, n_labels), *pair)) for pair in CHOICES}
        if not all(tried.values()):
            return None
        return min(CHOICES, key=lambda pair: tried[pair]["crps"])

    def name(self, way, n_labels):
        """Name of the results with the way's choice, without the seed."""
        return _name(way, n_labels, *(self.choice(way, n_labels) or ()))

    def result(self):
        """Curves over the number of labels and equivalent factors, in the form that the model card takes."""
        return {
            "kind": "label_efficiency",
            "simulated": True,
            "text": self.text(),
            "choices": self.choices(),
            "data": hashes(self.data),
            "curves": {way: list(self._points(way)) for way in WAYS if way in self.arguments.ways},
            "equivalent": list(self._equivalents()),
            "gap": list(self._gaps()),
            "paired": list(self._paired()),
        }

    def text(self):
        """Describe the trainings, and the choices made."""
        run = RunFolder(self.pretrained)
        pretrain, finetune = self.recipe.pretrain, self.recipe.finetune
        (_, before), *_, (_, after) = run.metrics["probe_sigma_mad"]
        chosen = "; ".join(
            f"{way}, {n:,}: {rate:g}, {steps:,}"
            for way, choices in self.choices().items()
            for n, (rate, steps) in choices.items()
        )
        searched = "searched on earlier images" if self.chosen else "searched"
        return (
            f"The same network, with an encoder pretrained on {run.record.n:,} images in "
            f"{pretrain.epochs} epochs (redshift probe from {before:.4f} to {after:.4f}), or from random weights. "
            f"Means over seeds {', '.join(map(str, self.arguments.seeds))}, which draw the labels, and errors of them; "
            "the errors of factors, shares and differences are those of the test galaxies too. Learning rate and "
            f"least number of steps are those of {_listed(RATES)} and {_listed(STEPS)} whose CRPS on the validation "
            f"set is best, {searched} at the nearest of these numbers of labels: {chosen}. From "
            f"{STEPS[-1] * finetune.batch_size // finetune.epochs:,} labels on, the {finetune.epochs} epochs of all "
            "trainings take more steps than that."
        )

    def choices(self):
        """Learning rate and number of steps, by the way and the number of labels that they were searched at."""
        found = {way: {n: self.choice(way, n) for n in self._searched(way)} for way in self.arguments.ways}
        return {way: {n: pair for n, pair in choices.items() if pair} for way, choices in found.items()}

    def _searched(self, way):
        return list(dict.fromkeys(_nearest(way, n_labels) for n_labels in self.arguments.labels))

    def _values(self, way, n_labels, metric="sigma_mad"):
        return self.results.over_seeds(self.name(way, n_labels), self.arguments.seeds, metric)

    def _points(self, way):
        for n_labels in self.arguments.labels:
            values = {metric: self._values(way, n_labels, metric) for metric in METRICS}
            if not len(values["sigma_mad"]):
                continue
            point = {"n_labels": n_labels, "n_seeds": len(values["sigma_mad"])} | self._behind[n_labels]
            for metric, value in values.items():
                point |= {metric: float(value.mean()), f"{metric}_err": error_of_mean(value)}
            yield point

    @cached_property
    def _behind(self):
        """By the number of labels, from how many real galaxies they were drawn (mean over seeds), if that is known."""
        found = {n_labels: {} for n_labels in self.arguments.labels}
        for n_labels in found:
            drawn = [Stamps(self.data["train"], n=n_labels, seed=seed).groups for seed in self.arguments.seeds]
            if drawn[0] is not None:
                found[n_labels] = {"n_independent": round(np.mean([len(np.unique(groups)) for groups in drawn]))}
        return found

    @cached_property
    def _scatters(self):
        """Measure the `Scatter` of each way and number of labels that has results, with the same draws of galaxies."""
        groups = Stamps(self.data["test"]).groups
        groups = None if groups is None else groups[: self.arguments.n_test]
        rng, rows, found = np.random.default_rng(0), None, {}
        for way, n_labels in itertools.product(self.arguments.ways, self.arguments.labels):
            paths = [self._stored_deviations(way, n_labels, seed) for seed in self.arguments.seeds]
            deviations = [np.load(path) for path in paths if path.exists()]
            if deviations:
                rows = rows or list(metrics.resampled(len(deviations[0]), groups=groups, resamples=DRAWS))
                found[way, n_labels] = scatter_of(deviations, rows, rng)
        return found

    @property
    def _scratch(self):
        return {n_labels: one for (way, n_labels), one in self._scatters.items() if way == FROM_SCRATCH}

    def _tuned(self):
        """Way, number of labels, and scatter, of those that begin with the pretrained encoder."""
        yield from ((*key, one) for key, one in self._scatters.items() if key[0] != FROM_SCRATCH)

    def _equivalents(self):
        scratch = self._scratch
        for way, n_labels, tuned in self._tuned():
            if len(scratch) > 1:
                yield {"way": way, "n_labels": n_labels} | equivalent_factor(n_labels, tuned, scratch)

    def _gaps(self):
        scratch = self._scratch
        for way, n_labels, tuned in self._tuned():
            if n_labels in scratch and n_labels < max(scratch):
                share = share_of_gap(tuned, scratch[n_labels], scratch[max(scratch)])
                yield {"way": way, "n_labels": n_labels, "most": max(scratch)} | share

    def _paired(self):
        scratch = self._scratch
        for way, n_labels, tuned in self._tuned():
            if n_labels in scratch:
                yield {"way": way, "n_labels": n_labels} | difference_of(tuned, scratch[n_labels])


def print_tables(result):
    """Curves and factors."""
    print(result["text"])
    for way, points in result["curves"].items():
        print(f"\n{way} (simulated images; mean over seeds, and its error)")
        print(f"{'labels':>8s}{'real':>6s}{'seeds':>6s}" + "".join(f"{metric:>22s}" for metric in METRICS))
        for point in points:
            columns = "".join(f"{point[m]:12.5f} ±{point[f'{m}_err']:8.5f}" for m in METRICS)
            print(f"{point['n_labels']:8d}{point.get('n_independent', ''):6}{point['n_seeds']:6d}{columns}")
    print("\nequivalent factor")
    for one in result["equivalent"]:
        bound = "at least " if one["at_least"] else "at most " if one["at_most"] else ""
        error = "" if bound else f" ± {one['factor_err']:.2f}"
        print(f"{one['n_labels']:8d} {one['way']:8s} {bound}{one['factor']:.2f}{error}")
    print("\nshare of the gap in sigma_MAD from scratch between as many labels and the most")
    for one in result["gap"]:
        share = f"{one['share']:.2f} ± {one['share_err']:.2f}"
        print(f"{one['n_labels']:8d} {one['way']:8s} {share} (to {one['most']} labels)")
    print(f"\nsigma_MAD less that of «{FROM_SCRATCH}» with as many labels (paired)")
    for one in result["paired"]:
        difference = f"{one['difference']:9.5f} ± {one['difference_err']:.5f}"
        print(f"{one['n_labels']:8d} {one['way']:8s} {difference}")


def _nearest(way, n_labels):
    """The number of labels whose search tells for this one."""
    return min(SEARCHED[way], key=lambda n: abs(math.log(n / n_labels)))


def _listed(numbers):
    *others, last = (f"{number:g}" for number in numbers)
    return f"{', '.join(others)} or {last}"


def _name(*parts):
    return "-".join(str(part).replace(" ", "_") for part in parts)


if __name__ == "__main__":
    main()
