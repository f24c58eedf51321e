# Licensed under a 3-clause BSD style license - see LICENSE
"""
Gain by pretraining and by each part of it: several pretrainings, each probed, then fine-tuned in two ways.

    python -m benchmarks.training.ablation RUN_FOLDER --train train.h5 --validation validation.h5 --test test.h5

For each seed: two trainings from scratch, with few labels and with all; then, for each arm (with and without artificial
reddening, with and without the auxiliary task, other widths, batches and queues, and what leaves the contrastive task
nothing but colours to tell galaxies by), a pretraining on the same images, and with few labels a fine-tuning of the
frozen encoder and one of the whole network. All that use few labels make as many steps. Each result is stored as JSON
in the folder and not made again, so the command can be stopped, or stop itself after ``--hours``, and be given again.
It ends with the tables of what there is: ``--table`` prints them alone, ``--output`` writes them for the model card
(``astro-photz card``), and ``--probe`` leaves out what takes labels. Without photometry beside the network:
``--set encoder.photometry=false``. What an arm gains over training from scratch, and over the auxiliary task alone, is
told by seed, each pair with the same labels.

The test set is used for the tables only, the validation set for the choice of epochs and for the probe.
"""

import argparse
import itertools
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch

from astro_photz import metrics, train
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.scaling import PixelScaling
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.representation import probe_scatter
from astro_photz.train.tensors import central
from benchmarks.common.results import write_result

from ._experiments import SPLITS, Experiments, error_of_mean, estimate, finetune, hashes, judge, paired, told

NO_AUXILIARY = ("pretrain.photometry_weight = 0.0", "encoder.bottleneck = 0")  # which nothing would have taught
AUXILIARY_ALONE = "auxiliary alone"
SIMILAR = ("pretrain.similar_negatives = 128",)
NORMALISED = ("pretrain.augment.normalise = {}",)
TWO_NOISES = (  # those of the two views: together as much as the stamp has, which both share
    "pretrain.augment.noise = {low = 1.0, high = 1.0}",
    "pretrain.augment.blur = {sigma = 1.0, bands = 'each'}",
)
ARMS = {
    "reddening, auxiliary": (),
    "no reddening, auxiliary": ("pretrain.augment.redden.ebv_max = 0.0",),
    "reddening, no auxiliary": NO_AUXILIARY,
    "neither": ("pretrain.augment.redden.ebv_max = 0.0", *NO_AUXILIARY),
    "strong reddening, auxiliary": ("pretrain.augment.redden.ebv_max = 0.3",),
    "width 8": ("encoder.width = 8",),
    "width 32": ("encoder.width = 32",),
    "batch of 512": ("pretrain.batch_size = 512",),
    "queue of 1,024": ("pretrain.queue_length = 1024",),
    AUXILIARY_ALONE: ("pretrain.contrastive_weight = 0.0",),
    "similar negatives": (*SIMILAR, *NO_AUXILIARY),
    "normalised by r": (*NORMALISED, *NO_AUXILIARY),
    "two noises": (*TWO_NOISES, *NO_AUXILIARY),
    "all three": (*SIMILAR, *NORMALISED, *TWO_NOISES, *NO_AUXILIARY),
    "similar negatives, auxiliary": SIMILAR,
    "all three, auxiliary": (*SIMILAR, *NORMALISED, *TWO_NOISES),
}
"""Changes of the recipe, by the name of the arm; the first is the recipe itself."""

MODES = {
    "frozen": ("finetune.frozen = true", "finetune.optimizer.learning_rate = 0.01"),
    "whole": ("finetune.frozen = false", "finetune.layer_decay = 0.6", "finetune.optimizer.learning_rate = 0.001"),
}
"""Changes of the recipe, by the way of fine-tuning; rates are those that label_efficiency.py finds for 1,000 labels."""
DELTA = 0.05  # error of E(B-V), mag
SLOPE_STAMPS = 2000  # each seen with both errors: few tell the slope
PCA_STAMPS, PCA_COMPONENTS = 4000, 64

QUICK = {
    "n_images": 2000,
    "n_labels": [300],
    "n_all": 2000,
    "n_test": 500,
    "seeds": [0],
    "steps": 40,
    "changes": ["pretrain.epochs = 1", "finetune.epochs = 1", "pretrain.batch_size = 64"],
}


def main():
    arguments = _arguments()
    bench = Ablation(arguments)
    if not arguments.table:
        bench.run()
    bench.print_tables()
    if arguments.output:
        write_result(arguments.output, bench.result(), without=["--table"])


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="for runs and results")
    for name in SPLITS:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE.h5", help="labelled stamps")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="change of the recipe, for all arms")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n-images", type=int, default=40_000, help="images of a pretraining")
    parser.add_argument("--n-labels", nargs="+", type=int, default=[2000], help="few labels, one number or several")
    parser.add_argument("--n-all", type=int, default=40_000, help="«all labels»")
    parser.add_argument("--n-test", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=2000, help="least number of steps of a fine-tuning")
    parser.add_argument("--probe", action="store_true", help="pretrain only, for the table of the probe")
    parser.add_argument("--hours", type=float, default=math.inf, help="begin nothing new after these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folders of fine-tunings, for a look at them")
    parser.add_argument("--quick", action="store_true", help="to try it out: minutes, and figures that mean nothing")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="for the model card")
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    return arguments


class Ablation:
    """The experiments, each known by its name, and their tables."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.data = {split: getattr(arguments, split) for split in SPLITS}
        self.machine = train.Machine(accelerator="cpu", devices=1, threads=arguments.threads, progress=False)
        names = ("changes", "n_images", "n_test", "steps")
        settings = {name: getattr(arguments, name) for name in names} | hashes(self.data)
        settings["recipe"] = self.recipe().as_dict()
        self.results = Experiments(arguments.folder, settings, hours=arguments.hours)

    def run(self):
        """All that has no result yet, seed by seed, so that what there is can be compared."""
        torch.set_num_threads(self.arguments.threads)
        self.results.store("pca", self.pca)
        for seed in self.arguments.seeds:
            for n_labels in () if self.arguments.probe else self.labels():
                self.results.store(f"scratch-{n_labels}-{seed}", partial(self.scratch, seed, n_labels))
            for arm in self.arguments.arms:
                self.results.store(f"pretrain-{_slug(arm)}-{seed}", partial(self.pretrain, arm, seed))
                if self.arguments.probe or RunFolder(self.folder("pretrain", arm, seed)).metrics is None:
                    continue
                for n_labels, mode in itertools.product(self.arguments.n_labels, MODES):
                    tune = partial(self.tune, arm, seed, mode, n_labels)
                    self.results.store(f"{_tuned(mode, n_labels, arm)}-{seed}", tune)

    def labels(self):
        """Few and all."""
        return *self.arguments.n_labels, self.arguments.n_all

    def recipe(self, *changes):
        """The recipe with changes."""
        return train.Recipe.read(self.arguments.recipe, changes=[*self.arguments.changes, *changes])

    # The experiments

    def pretrain(self, arm, seed):
        """The redshift probe before and after each epoch."""
        outcome = train.pretrain(
            self.recipe(*ARMS[arm]),
            self.data["train"],
            self.folder("pretrain", arm, seed),
            validation=self.data["validation"],
            n_images=self.arguments.n_images,
            seed=seed,
            machine=self.machine,
        )
        return {name: [value for _, value in outcome[name]] for name in ("probe_sigma_mad", "uniformity", "alignment")}

    def scratch(self, seed, n_labels):
        """Train without a pretraining."""
        return self.finetune(self.folder(f"scratch-{n_labels}", "none", seed), self.recipe(), seed, n_labels)

    def tune(self, arm, seed, mode, n_labels):
        """Fine-tune a pretrained encoder with few labels."""
        init = self.folder("pretrain", arm, seed)
        folder = self.folder(f"{mode}-{n_labels}", arm, seed)
        return self.finetune(folder, self.recipe(*ARMS[arm], *MODES[mode]), seed, n_labels, init=init)

    def finetune(self, folder, recipe, seed, n_labels, **options):
        """Train with labels, and measure on the test set."""
        options |= {"steps": self.arguments.steps, "n_labels": n_labels, "keep": self.arguments.keep}
        model = finetune(recipe, self.data, folder, seed=seed, machine=self.machine, **options)
        path = self.data["test"]
        return metrics.summary(judge(model, path, self.arguments.n_test)) | {
            "dz_debv": slope(model, path, SLOPE_STAMPS)
        }

    def folder(self, kind, arm, seed):
        """Folder of a run."""
        return self.arguments.folder / "runs" / f"{kind}-{_slug(arm)}-{seed}"

    @torch.no_grad()
    def pca(self):
        """The redshift probe on the principal components of the pixels."""
        stamps = {name: Stamps(self.data[name]) for name in ("train", "validation")}
        n = min(PCA_STAMPS, len(stamps["train"]))
        torch.manual_seed(0)
        learnt = pixels(stamps["train"], np.arange(n))
        mean = learnt.mean(dim=0)
        _, _, components = torch.pca_lowrank(learnt - mean, q=PCA_COMPONENTS, center=False, niter=3)
        rows = np.sort(np.random.default_rng(0).permutation(len(stamps["validation"]))[:6000])  # those of the probe
        embedding = torch.cat(
            [(pixels(stamps["validation"], part) - mean) @ components for part in np.array_split(rows, 16)]
        )
        redshift, groups = torch.from_numpy(stamps["validation"].redshift[rows]), stamps["validation"].groups
        groups = None if groups is None else groups[rows]  # as those of the probe too
        return {"probe_sigma_mad": probe_scatter(embedding, redshift, groups=groups)}

    # The tables

    def print_tables(self):
        """Mean and spread over seeds of all that there is."""
        self._print_probe()
        if not self.arguments.probe:
            self._print_tuning()

    def _over_seeds(self, name, quantity):
        return self.results.over_seeds(name, self.arguments.seeds, quantity)

    def _print_probe(self):
        print("\nRedshift probe: sigma_MAD of the neighbours' redshifts on the validation set")
        first = self._over_seeds(f"pretrain-{_slug(next(iter(ARMS)))}", lambda r: r["probe_sigma_mad"][0])
        pca = self.results.load("pca")
        print(f"  {'random weights':28s} {told(first)}")
        print(f"  {'PCA of the pixels':28s} {pca['probe_sigma_mad'] if pca else math.nan:.5f}")
        for arm in self.arguments.arms:
            curves = self._over_seeds(f"pretrain-{_slug(arm)}", "probe_sigma_mad")
            if not len(curves):
                continue
            minutes = self._over_seeds(f"pretrain-{_slug(arm)}", lambda r: r["seconds"] / 60).mean()
            last = curves[:, -1]
            ratio = last.mean() / min(first.mean(), pca["probe_sigma_mad"]) if pca and len(first) else math.nan
            print(f"  {arm:28s} {told(last)}  {ratio:.2f} of the better one above, {minutes:.0f} min")
            print(f"  {'':28s} by epoch: {' '.join(f'{value:.4f}' for value in curves.mean(axis=0))}")

    def _print_tuning(self):
        *few, every = self.labels()
        for n_labels in few:
            print(f"\nFine-tuning with {n_labels} labels: test set; dz/dE(B-V) is the slope for a wrong E(B-V)")
            scratch = {n: self._over_seeds(f"scratch-{n}", "sigma_mad") for n in (n_labels, every)}
            gap = scratch[n_labels].mean() - scratch[every].mean() if all(map(len, scratch.values())) else math.nan
            for n in scratch:
                self._print_line(f"from scratch, {n} labels", f"scratch-{n}")
            for arm, mode in itertools.product(self.arguments.arms, MODES):
                name = _tuned(mode, n_labels, arm)
                sigma = self._over_seeds(name, "sigma_mad")
                known = len(sigma) and math.isfinite(gap)
                closed = f"{(scratch[n_labels].mean() - sigma.mean()) / gap:.2f} of the gap closed" if known else ""
                self._print_line(f"{arm}, {mode}", name, closed)
            self._print_differences(n_labels)

    def _print_differences(self, n_labels):
        """What the contrastive task adds to the auxiliary one, and what both add to none."""
        print("  sigma_MAD less that of the same seed's (mean, and its error)")
        for arm, mode in itertools.product(self.arguments.arms, MODES):
            own = self._by_seed(_tuned(mode, n_labels, arm))
            others = {"from scratch": f"scratch-{n_labels}"}
            if arm != AUXILIARY_ALONE:
                others[AUXILIARY_ALONE] = _tuned(mode, n_labels, AUXILIARY_ALONE)
            differences = {name: paired(own, self._by_seed(other)) for name, other in others.items()}
            if any(map(len, differences.values())):
                columns = (f"{name}: {_difference(values)}" for name, values in differences.items())
                print(f"  {f'{arm}, {mode}':36s} {'  '.join(columns)}")

    def _by_seed(self, name):
        found = {seed: self.results.load(f"{name}-{seed}") for seed in self.arguments.seeds}
        return {seed: result["sigma_mad"] for seed, result in found.items() if result}

    def result(self):
        """Collect the results in the form of the model card: means over seeds, and their errors."""
        rows = [self._row(f"from scratch, {n:,} labels", f"scratch-{n}") for n in self.labels()]
        for arm in self.arguments.arms:
            curves = self._over_seeds(f"pretrain-{_slug(arm)}", "probe_sigma_mad")
            minutes = self._over_seeds(f"pretrain-{_slug(arm)}", lambda r: r["seconds"] / 60)
            first, last = (curves[:, 0], curves[:, -1]) if len(curves) else ([], [])
            told = _mean("probe_random", first) | _mean("probe", last) | _mean("minutes", minutes)
            for n_labels, mode in itertools.product(self.arguments.n_labels, MODES):
                number = f", {n_labels:,} labels" if len(self.arguments.n_labels) > 1 else ""
                rows.append(self._row(f"{arm}, {mode}{number}", _tuned(mode, n_labels, arm), **told))
        rows = [row for row in rows if "sigma_mad" in row]
        if pca := self.results.load("pca"):
            rows.append({"method": "PCA of the pixels", "probe": pca["probe_sigma_mad"]})
        few = " or ".join(f"{n_labels:,}" for n_labels in self.arguments.n_labels)
        text = (
            f"Pretrained on {self.arguments.n_images:,} images, each arm as long as the other, then fine-tuned with "
            f"{few} labels, the encoder frozen or the whole network. Means over seeds "
            f"{', '.join(map(str, self.arguments.seeds))}, and their errors; of one seed where there is none. "
            "Probe: σ_MAD of the redshifts of neighbours among the embeddings, of the same encoder with random weights "
            "and as pretrained. Without auxiliary task there is no bottleneck either, which nothing would have taught. "
            "Similar negatives: a galaxy is told from the 128 in the queue that are nearest in brightness and size. "
            "Normalised by r: the brightness of each view is drawn. Two noises: each view has as much noise added as "
            "the stamp has, and each band is blurred by itself. All three: these, together. "
            "Learning rates: that of the recipe, 0.002, from scratch; 0.01 for the head on a frozen encoder; 0.001 for "
            "the whole network, less in its first layers. "
            f"Minutes: of the pretraining, on {self.arguments.threads} thread(s) of a processor."
        )
        columns = {
            "probe_random": "probe, random weights",
            "probe": "probe",
            "minutes": "minutes",
            "dz_debv": "slope of z with an error of E(B−V)",
        }
        table = {"kind": "table", "simulated": True, "title": "What the pretraining is made of", "text": text}
        return table | {
            "columns": columns,
            "rows": rows,
            "data": hashes(self.data),
        }

    def _row(self, method, name, **others):
        numbers = [_mean(metric, self._over_seeds(name, metric)) for metric in ("sigma_mad", "eta", "crps", "dz_debv")]
        n_seeds = len(self._over_seeds(name, "sigma_mad"))
        if 1 < n_seeds < len(self.arguments.seeds):
            method = f"{method} ({n_seeds} seeds)"
        return {"method": method, **others} | {key: value for number in numbers for key, value in number.items()}

    def _print_line(self, label, name, remark=""):
        columns = (told(self._over_seeds(name, q)) for q in ("sigma_mad", "eta", "dz_debv"))
        print(f"  {label:36s} {'  '.join(columns)}  {remark}")


def slope(model, path, n):
    """Change of the mean redshift per magnitude by which E(B-V) is wrong."""
    stamps = Stamps(path)
    rows = np.arange(min(n, len(stamps)))
    more, less = (estimate(model, stamps, rows, offset=offset).mean() for offset in (DELTA, -DELTA))
    return float(np.mean(more - less) / (2 * DELTA))


def pixels(stamps, rows):
    """Scaled central pixels (N, 5 * 32 * 32): what lies farther out is sky and neighbours."""
    batch = stamps.__getitems__(rows)
    return PixelScaling("asinh")(central(batch["flux"].float(), 32), batch["ebv"]).flatten(1)


def _mean(name, values):
    """Mean over seeds and its error, under their names; nothing of nothing."""
    if not len(values):
        return {}
    error = {f"{name}_err": error_of_mean(values)} if len(values) > 1 else {}
    return {name: float(values.mean()), **error}


def _difference(values):
    """Mean over seeds and its error; of one seed the number alone."""
    if not len(values):
        return "-"
    error = f" ± {error_of_mean(values):.5f}" if len(values) > 1 else ""
    return f"{values.mean():8.5f}{error}"


def _tuned(mode, n_labels, arm):
    """Name of a fine-tuning's result, without the seed."""
    return f"{mode}-{n_labels}-{_slug(arm)}"


def _slug(arm):
    return arm.replace(", ", "-").replace(" ", "_")


if __name__ == "__main__":
    main()
