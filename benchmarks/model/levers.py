# Licensed under a 3-clause BSD style license - see LICENSE
"""
Levers: changes of simulation, recipe or network, each beside the same training without it.

    python -m benchmarks.model.levers RUN_FOLDER [--patches patches.h5] [--real stamps.h5]

A training as it is learns from galaxies of the first family of shapes alone. It is judged on galaxies of the second
family, which it has never seen, and on stamps with the magnitudes of real galaxies, of the validation splits of four
catalogues. A lever stays if it gains two standard errors on either; galaxies that it was judged on here are of
validation splits, and no real image is among them. Each lever has the same number of images, labels and steps, and is
compared with the training of the same seed.

Levers of the sky (zero points, real sky, blur) and of the network (a larger head and a wider bottleneck) change the
fine-tuning, of one pretrained encoder a seed; «pretrained on real stamps too» is a pretraining of its own. Batch
statistics are adapted, without labels, to the stamps that are judged by. An ensemble is the mean of the PDFs of the
seeds: one that is distilled into one network can gain no more.

Each result is stored in the folder and not made again. ``--patches`` is a file of real sky
(``astro-photz simulate patches``), ``--real`` one of real stamps (``astro-photz fetch``); levers that need them are
left out without.
"""

import argparse
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from astro_photz import metrics, simulate, train
from astro_photz.cutouts.container import Cutouts
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.pdf import RedshiftPDF
from astro_photz.simulate.population.measured import ORIGINS
from astro_photz.simulate.simulation import Simulation
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tensors import central
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table
from benchmarks.training._experiments import Experiments, error_of_mean, estimate, finetune

from ._catalogues import halves
from ._stamps import observed
from .catalogues import as_galaxies

SIZE = 68  # a margin of 2 pixels for the jitter
SKY = {"sample": {"colours": "measured", "faintest": 18.2}}
SECOND, CATALOGUES = "the other family", "real catalogues"
JUDGED_BY = SECOND, CATALOGUES
N_JUDGED = 8000
SEEDS_OF = {"train": 1, "validation": 2, SECOND: 3, CATALOGUES: 4}
ADAPTED_STAMPS = 4096
AS_IT_IS, ENSEMBLE = "as it is", "ensemble of the seeds"


@dataclass(frozen=True)
class Lever:
    """Changes of the simulation, by section, and of the recipe; ``needs`` is an option with a file."""

    simulation: dict = field(default_factory=dict)
    recipe: tuple = ()
    needs: str | None = None
    adapts: bool = False


LEVERS = {
    AS_IT_IS: Lever(),
    "zero points twice as uncertain": Lever(simulation={"sky": {"zero_point_scatter": 0.02}}),
    "real sky behind": Lever(needs="patches"),
    "blur, each band by itself": Lever(recipe=("finetune.augment.blur = {sigma = 0.5, bands = 'each'}",)),
    "half of the other family": Lever(simulation={"shapes": {"sersic": 0.5}}),
    "a wider bottleneck": Lever(recipe=("encoder.bottleneck = 16",)),
    "no photometry beside": Lever(recipe=("encoder.photometry = false", "pretrain.photometry_weight = 5.0")),
    "batch statistics adapted": Lever(adapts=True),
    "pretrained on real stamps too": Lever(needs="real"),
}


def main():
    arguments = _arguments()
    bench = Levers(arguments)
    if not arguments.table:
        bench.run()
    rows = bench.rows()
    print_table(("", *HEADINGS.values()), [[row["method"], *(told(row, name) for name in HEADINGS)] for row in rows])
    if arguments.output:
        write_result(arguments.output, bench.result(rows), without=["--table"])


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="for data, runs and results")
    parser.add_argument("--levers", nargs="+", choices=list(LEVERS), default=list(LEVERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n", type=int, default=60_000, help="images and labels of a training")
    parser.add_argument("--steps", type=int, default=1500, help="least number of steps of a fine-tuning")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patches", type=Path, metavar="FILE.h5", help="real sky")
    parser.add_argument("--real", type=Path, metavar="FILE.h5", help="real stamps")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="for the model card")
    return parser.parse_args()


class Levers:
    """The trainings, each known by its lever and seed, and what they gain."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = arguments.folder
        self.machine = train.Machine(accelerator="cpu", devices=1, threads=arguments.threads, progress=False)
        self.results = Experiments(self.folder, {name: getattr(arguments, name) for name in ("n", "steps")})
        self.levers = {name: LEVERS[name] for name in arguments.levers if self._can(LEVERS[name])}

    def run(self):
        """All that has no result yet, seed by seed, so that what there is can be compared."""
        torch.set_num_threads(self.arguments.threads)
        for seed in self.arguments.seeds:
            for name in self.levers:
                self.results.store(f"{_slug(name)}-{seed}", partial(self.judged, name, seed))

    def judged(self, name, seed):
        """Metrics of a training on each set that it is judged by; its PDFs are kept for the ensemble."""
        lever, found = self.levers[name], {}
        data = {"train": self.data(name), "validation": self.simulated("validation")}
        model = finetune(
            self.recipe(lever),
            data,
            self.folder / "runs" / f"finetune-{_slug(name)}-{seed}",
            steps=self.arguments.steps,
            n_labels=self.arguments.n,
            seed=seed,
            machine=self.machine,
            init=self.pretrained(name, seed),
        )
        for judge in JUDGED_BY:
            stamps = Stamps(self.simulated(judge))
            if lever.adapts:
                adapt_statistics(model, stamps)
            pdf = estimate(model, stamps, np.arange(len(stamps)))
            np.save(self._pdfs(name, seed, judge), pdf.p.astype(np.float32))
            found[judge] = metrics.summary(metrics.score(pdf, stamps.redshift))
        return found

    def pretrained(self, name, seed):
        """Encoder to begin with: one for all levers of a seed, unless the lever changes it."""
        lever = self.levers[name]
        own = any(change.startswith("encoder.") for change in lever.recipe) or lever.needs == "real"
        folder = self.folder / "runs" / f"pretrain-{_slug(name if own else AS_IT_IS)}-{seed}"
        if RunFolder(folder).metrics is None:
            images = self.data(AS_IT_IS) if lever.needs != "real" else self.with_real()
            options = {"validation": self.simulated("validation"), "seed": seed, "machine": self.machine}
            train.pretrain(self.recipe(lever if own else Lever()), images, folder, **options)
        return folder

    def recipe(self, lever):
        """The package's recipe, as short as the levers need it."""
        return train.Recipe.read("small", changes=["pretrain.epochs = 3", "finetune.epochs = 3", *lever.recipe])

    # The data

    def data(self, name):
        """Training set of a lever; of those that change nothing in it, the same."""
        lever = self.levers[name]
        changes = dict(lever.simulation)
        if lever.needs == "patches":
            changes["background"] = {"patches": str(self.arguments.patches)}
        path = self.folder / "data" / f"train-{_slug(name if changes else AS_IT_IS)}.h5"
        return self._written(path, self.arguments.n, "train", changes)

    def simulated(self, name):
        """Validation set, or a set to judge by."""
        path = self.folder / "data" / f"{_slug(name)}.h5"
        if name == CATALOGUES:
            return path if path.exists() else write_catalogues(path)
        return self._written(path, N_JUDGED, "validation", {"shapes": {"sersic": float(name == SECOND)}}, name)

    def _written(self, path, n, split, changes, seed_of="train"):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            simulate.write(
                path, n, seed=SEEDS_OF[seed_of], split=split, size=SIZE, config=SKY | changes, workers=2, progress=False
            )
        return path

    def with_real(self):
        """The training set and real stamps, each as often as makes them a fifth of all."""
        path = self.folder / "data" / "with_real.h5"
        if not path.exists():
            simulated, real = Stamps(self.data(AS_IT_IS)), Cutouts.read(self.arguments.real)
            real = real[~np.isnan(real.flux).any(axis=(1, 2, 3)) & np.isfinite(real.ebv)].crop(SIZE)
            order = np.random.default_rng(0).integers(len(real), size=len(simulated) // 4)
            with CutoutWriter(path, len(simulated) + len(order), size=SIZE) as writer:
                for rows in np.array_split(np.arange(len(simulated)), 200):
                    batch = simulated.__getitems__(rows)
                    writer.append(Cutouts(batch["flux"].numpy(), ebv=batch["ebv"].numpy()))
                for rows in np.array_split(order, 50):
                    writer.append(real[rows])
        return path

    # The table

    def rows(self):
        """Make a row of each lever: means over the seeds, and gains over the same seeds without it."""
        rows = []
        for name in self.levers:
            numbers = {}
            for judge in JUDGED_BY:
                own, usual = self._by_seed(name, judge), self._by_seed(AS_IT_IS, judge)
                both = [seed for seed in own if seed in usual]
                if both:
                    sigma = np.array([own[seed] for seed in both])
                    numbers |= with_error(f"sigma {judge}", sigma)
                    if name != AS_IT_IS:
                        numbers |= with_error(f"gain {judge}", np.array([usual[seed] for seed in both]) - sigma)
            if numbers:
                rows.append({"method": name, **numbers})
        return [*rows, *self._ensemble()]

    def _by_seed(self, name, judge):
        found = {seed: self.results.load(f"{_slug(name)}-{seed}") for seed in self.arguments.seeds}
        return {seed: result[judge]["sigma_mad"] for seed, result in found.items() if result}

    def _ensemble(self):
        seeds = list(self._by_seed(AS_IT_IS, SECOND))
        if len(seeds) < 2:
            return []
        numbers = {}
        for judge in JUDGED_BY:
            stamps = Stamps(self.simulated(judge))
            p = np.mean([np.load(self._pdfs(AS_IT_IS, seed, judge)) for seed in seeds], axis=0)
            sigma = metrics.sigma_mad(metrics.deviation(RedshiftPDF(p, Z_EDGES).mean(), stamps.redshift))
            usual = np.array(list(self._by_seed(AS_IT_IS, judge).values()))
            numbers |= {f"sigma {judge}": sigma} | with_error(f"gain {judge}", usual - sigma)
        return [{"method": ENSEMBLE, **numbers}]

    def result(self, rows):
        """Collect the table in the form of the model card."""
        text = (
            f"Trained on {self.arguments.n:,} galaxies of the first family of shapes, each lever on as many, as "
            "long; σ_MAD on galaxies of the second family, and on stamps with the magnitudes of real galaxies of the "
            f"validation splits of {len(ORIGINS)} catalogues. Gain: less than that of the same seeds as it is; means "
            "over seeds, and their errors."
        )
        return {
            "kind": "table",
            "simulated": True,
            "title": "Levers",
            "text": text,
            "columns": {_key(name): heading for name, heading in HEADINGS.items()},
            "rows": [{_key(name): value for name, value in row.items()} for row in rows],
        }

    def _can(self, lever):
        return lever.needs is None or getattr(self.arguments, lever.needs) is not None

    def _pdfs(self, name, seed, judge):
        return self.folder / "results" / f"pdf-{_slug(name)}-{seed}-{_slug(judge)}.npy"


HEADINGS = {
    f"{figure} {judge}": f"{told}, {judge}"
    for judge in JUDGED_BY
    for figure, told in (("sigma", "σ_MAD"), ("gain", "gain"))
}


def write_catalogues(path):
    """Stamps of the first family, with the magnitudes of the validation galaxies of all catalogues, as measured."""
    settings = simulate.Settings.of(SKY)
    parts = []
    for number, origin in enumerate(ORIGINS):
        _, judging = halves(origin, test=False, true=False, rng=np.random.default_rng(number))
        simulation = Simulation(seed=SEEDS_OF[CATALOGUES] + number, split="validation", size=SIZE, settings=settings)
        parts.append((simulation, *as_galaxies(judging, simulation)))
    with CutoutWriter(path, sum(len(population) for _, population, _ in parts), size=SIZE) as writer:
        for simulation, population, shape in parts:
            for rows, cutouts in observed(simulation, population, shape):
                writer.append(cutouts, specz_redshift=population.redshift[rows])
    return path


@torch.no_grad()
def adapt_statistics(model, stamps):
    """Give the batch normalisations the statistics of other stamps, without their labels."""
    layers = [layer for layer in model.encoder.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    for rows in np.array_split(np.arange(min(ADAPTED_STAMPS, len(stamps))), 16):
        batch = stamps.__getitems__(rows)
        model.encoder(central(batch["flux"].float(), model.encoder.image_size), batch["ebv"])
    model.eval()


def with_error(name, values):
    """Mean over seeds and its error: dict."""
    return {name: float(values.mean())} | ({f"{name}_err": error_of_mean(values)} if len(values) > 1 else {})


def told(row, name):
    """A number of a row and its error, as text."""
    if name not in row:
        return ""
    return f"{row[name]:.5f}" + (f" ± {row[f'{name}_err']:.5f}" if f"{name}_err" in row else "")


def _key(name):
    return _slug(name)


@cache
def _slug(name):
    return name.replace(" ", "_").replace(",", "")


if __name__ == "__main__":
    main()
