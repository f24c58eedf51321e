# Licensed under a 3-clause BSD style license - see LICENSE
"""
How many labels a pretraining is worth: the scatter against the number of labels, with it and without.

    python benchmarks/training/label_efficiency.py RUN_FOLDER --train train.h5 --validation validation.h5 --test test.h5

One pretraining, on all images; then, for each number of labels and each seed, which draws them, a training from scratch
and two that begin with the pretrained encoder, which stays frozen in one of them: the same network with the same
augmentations. Learning rate and least number of steps of each way are those of ``RATES`` and ``STEPS`` whose CRPS on
the validation set is best at the number of labels of ``SEARCHED`` that is nearest. ``--pretrained`` takes a pretraining
that is there, ``--ways`` leaves out the others. Each result is stored as JSON in the folder and not made again, so the
command can be stopped, or stop itself after ``--hours``, and be given again.

It ends with tables of what there is. The equivalent factor is how many times as many labels the training from scratch
needs for the same scatter, by a monotone curve through its points. The share of the gap is how much of what the most
labels of ``--labels`` gain from scratch, over as many as here, the pretraining gains without them. Errors of both are
from the spread over seeds. The difference in scatter from the training from scratch with as many labels is paired: both
are judged by the same galaxies, and its error is by bootstrap over the real ones that these were drawn from.
``--output`` writes all of it for the model card (``astro-photz card``).
"""

import argparse
import itertools
import math
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _experiments import SPLITS, Experiments, error_of_mean, finetune, hashes, judge
from _results import write_result
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from astro_photz import metrics, train
from astro_photz._files import sha256
from astro_photz.train.run_folder import RunFolder
from astro_photz.train.stamps import Stamps
from astro_photz.train.weights import WEIGHTS

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
DRAWS = 1000
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
        self.results = Experiments(arguments.folder, settings | hashes(self.data), hours=arguments.hours)

    def run(self):
        """All that has no result yet, seed by seed, the few labels first."""
        if not self.arguments.pretrained:
            options = {"validation": self.data["validation"], "machine": self.machine}
            train.pretrain(self.recipe, self.data["train"], self.pretrained, **options)
        for way in self.arguments.ways:
            for n_searched in {_nearest(way, n_labels): None for n_labels in self.arguments.labels}:
                for choice in CHOICES:
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
        """Where those of the way's choice are stored."""
        return self.arguments.folder / "deviations" / f"{self.name(way, n_labels)}-{seed}.npy"

    def choice(self, way, n_labels):
        """The best learning rate and number of steps; none if they have not all been tried."""
        tried = {pair: self.results.load(_name("search", way, _nearest(way, n_labels), *pair)) for pair in CHOICES}
        if not all(tried.values()):
            return None
        return min(CHOICES, key=lambda pair: tried[pair]["crps"])

    def name(self, way, n_labels):
        """Of the results with the way's choice, but for the seed."""
        return _name(way, n_labels, *(self.choice(way, n_labels) or ()))

    def result(self):
        """Curves over the number of labels and equivalent factors, in the form that the model card takes."""
        return {
            "kind": "label_efficiency",
            "simulated": True,
            "text": self.text(),
            "data": hashes(self.data),
            "curves": {way: list(self._points(way)) for way in WAYS if way in self.arguments.ways},
            "equivalent": list(self._equivalents()),
            "gap": list(self._gaps()),
            "paired": list(self._paired()),
        }

    def text(self):
        """What was done, and chosen."""
        run = RunFolder(self.pretrained)
        what, pretrain, finetune = run.record["what"], self.recipe.pretrain, self.recipe.finetune
        (_, before), *_, (_, after) = run.metrics["probe_sigma_mad"]
        chosen = "; ".join(
            f"{way}, {n:,}: {self.choice(way, n)[0]:g}, {self.choice(way, n)[1]:,}"
            for way in self.arguments.ways
            for n in {_nearest(way, n_labels): None for n_labels in self.arguments.labels}
            if self.choice(way, n)
        )
        return (
            f"The same network, with an encoder pretrained on {what['n_images'] or what['data']['n']:,} images in "
            f"{pretrain.epochs} epochs (redshift probe from {before:.4f} to {after:.4f}), or from random weights. "
            f"Means over seeds {', '.join(map(str, self.arguments.seeds))}, which draw the labels. Learning rate and "
            f"least number of steps are those of {_listed(RATES)} and {_listed(STEPS)} whose CRPS on the validation "
            f"set is best, searched at the nearest of these numbers of labels: {chosen}. From "
            f"{STEPS[-1] * finetune.batch_size // finetune.epochs:,} labels on, the {finetune.epochs} epochs of all "
            "trainings take more steps than that."
        )

    def _values(self, way, n_labels, metric="sigma_mad"):
        return self.results.over_seeds(self.name(way, n_labels), self.arguments.seeds, metric)

    def _points(self, way):
        for n_labels in self.arguments.labels:
            values = {metric: self._values(way, n_labels, metric) for metric in METRICS}
            if not len(values["sigma_mad"]):
                continue
            point = {"n_labels": n_labels, "n_seeds": len(values["sigma_mad"])}
            for metric, value in values.items():
                point |= {metric: float(value.mean()), f"{metric}_err": error_of_mean(value)}
            yield point

    def _equivalents(self):
        scratch = self._scratch()
        for way, n_labels, tuned in self._tuned():
            if len(scratch) > 1:
                yield {"way": way, "n_labels": n_labels} | equivalent_factor(n_labels, tuned, scratch)

    def _gaps(self):
        scratch = self._scratch()
        for way, n_labels, tuned in self._tuned():
            if n_labels in scratch and n_labels < max(scratch):
                share = share_of_gap(tuned, scratch[n_labels], scratch[max(scratch)])
                yield {"way": way, "n_labels": n_labels, "most": max(scratch)} | share

    def _scratch(self):
        """Scatter of the seeds from scratch, by the number of labels."""
        scatter = {n: self._values(FROM_SCRATCH, n) for n in self.arguments.labels}
        return {n: values for n, values in scatter.items() if len(values)}

    def _tuned(self):
        """Way, number of labels, and scatter of the seeds that begin with the pretrained encoder."""
        for way, n_labels in itertools.product(self.arguments.ways, self.arguments.labels):
            values = self._values(way, n_labels)
            if way != FROM_SCRATCH and len(values):
                yield way, n_labels, values

    def _paired(self):
        groups = Stamps(self.data["test"]).groups
        for way, n_labels in itertools.product(self.arguments.ways, self.arguments.labels):
            pairs = [
                [self._stored_deviations(one, n_labels, seed) for one in (way, FROM_SCRATCH)]
                for seed in self.arguments.seeds
            ]
            pairs = [[np.load(path) for path in pair] for pair in pairs if all(path.exists() for path in pair)]
            if way != FROM_SCRATCH and pairs:
                yield {"way": way, "n_labels": n_labels, "n_seeds": len(pairs)} | paired_difference(pairs, groups)


def equivalent_factor(n_labels, tuned, scratch):
    """
    How many times as many labels are needed from scratch.

    Parameters
    ----------
    n_labels : int
    tuned : ndarray (n_seeds,)
        Scatter of fine-tuned models with so many labels.
    scratch : dict of ndarray (n_seeds,)
        Scatter of models from scratch, by their number of labels.

    Returns
    -------
    dict
        ``factor``, ``factor_err``; ``at_least``, whether even the most labels are too few from scratch, and
        ``at_most``, whether even the fewest are too many: the factor is that of those.
    """
    numbers = np.log(list(scratch))
    mean = np.array([values.mean() for values in scratch.values()])
    error = np.array([error_of_mean(values) for values in scratch.values()])
    best = _crossing(numbers, mean, tuned.mean())
    drawn = math.nan  # if a point has one seed alone
    if np.isfinite([*error, error_of_mean(tuned)]).all():
        rng = np.random.default_rng(0)
        tuned_ends = rng.normal(tuned.mean(), error_of_mean(tuned), DRAWS)
        ends = zip(rng.normal(mean, error, (DRAWS, len(mean))), tuned_ends, strict=True)
        drawn = [_crossing(numbers, *end) for end in ends]
    factor = math.exp(best) / n_labels
    bounds = {"at_least": bool(best >= numbers[-1]), "at_most": bool(best <= numbers[0])}
    return {"factor": factor, "factor_err": float(factor * np.std(drawn))} | bounds


def share_of_gap(tuned, few, most):
    """
    How much of what the most labels gain the pretraining gains with few.

    Parameters
    ----------
    tuned, few, most : ndarray (n_seeds,)
        Scatter with few labels, with the pretraining and from scratch, and with the most from scratch.

    Returns
    -------
    dict
        ``share``, 1 for all of it, and ``share_err``; NaN of one seed alone.
    """
    share = (few.mean() - tuned.mean()) / (few.mean() - most.mean())
    parts = error_of_mean(tuned), (1 - share) * error_of_mean(few), share * error_of_mean(most)
    return {"share": float(share), "share_err": float(math.hypot(*parts) / abs(few.mean() - most.mean()))}


def paired_difference(pairs, groups):
    """
    By how much the scatter of one way of training is larger than that of another.

    Parameters
    ----------
    pairs : list of (ndarray (N,), ndarray (N,))
        Deviations of the same galaxies by both, for each seed.
    groups : ndarray (M,) or None
        Galaxies that are not independent, N of them or more.

    Returns
    -------
    dict
        ``difference`` and ``difference_err``.
    """
    pairs = np.array(pairs)

    def difference(rows):
        one, other = np.mean([[metrics.sigma_mad(values[rows]) for values in pair] for pair in pairs], axis=0)
        return float(one - other)

    n = pairs.shape[-1]
    drawn = metrics.resampled(n, groups=None if groups is None else groups[:n])
    return {
        "difference": difference(slice(None)),
        "difference_err": float(np.std([difference(rows) for rows in drawn])),
    }


def _crossing(numbers, scatter, wanted):
    """Where a falling curve through points has the value wanted, within the points."""
    falling = isotonic_regression(scatter, increasing=False).x
    fine = np.linspace(numbers[0], numbers[-1], 2000)
    curve = PchipInterpolator(numbers, falling)(fine)
    return fine[min(np.searchsorted(-curve, -wanted), len(fine) - 1)]


def print_tables(result):
    """Curves and factors."""
    print(result["text"])
    for way, points in result["curves"].items():
        print(f"\n{way} (simulated images; mean over seeds, and its error)")
        print(f"{'labels':>8s}{'seeds':>6s}" + "".join(f"{metric:>22s}" for metric in METRICS))
        for point in points:
            columns = "".join(f"{point[m]:12.5f} ±{point[f'{m}_err']:8.5f}" for m in METRICS)
            print(f"{point['n_labels']:8d}{point['n_seeds']:6d}{columns}")
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
        print(f"{one['n_labels']:8d} {one['way']:8s} {difference} ({one['n_seeds']} seeds)")


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
