# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pairs of views per second of contrastive pretraining, and the share of the time that it waits for data.

    python -m benchmarks.training.speed [stamps.h5]

The baseline does the same step, with its views made one at a time on the processor, as the code that was published with
the reference method does: scikit-image (or scipy, where that is missing) rotates, numpy crops, reddens and adds noise.
Both make the views of the recipe ``hayat2021``, of stamps of 107 pixels. The step is that of the encoders of the
recipes ``small`` and ``smoke``, and none at all; "step alone" has views that were made before. Where there is a GPU,
the recipe ``hayat2021`` is measured as it is, and what share of the card's arithmetic it uses.

Without a file of stamps, some are simulated, which needs the extra ``[simulate]``.
"""

import argparse
import logging
import os
import tempfile
import time
import warnings
from functools import partial
from itertools import islice
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from astro_photz.sdss import R_UGRIZ
from astro_photz.train import ContrastiveModel, Recipe, StampData, Stamps, loader
from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.networks.dereddening import deredden
from benchmarks.common import timing
from benchmarks.common.timing import alternate, medians, print_table, ratios, use_one_thread

try:
    from skimage.transform import rotate as rotate_image
except ImportError:
    from scipy.ndimage import rotate as rotate_image

BASELINE = "views one at a time"
OURS = "astro_photz"
ALONE = "step alone"

WARM_UP = 2
"""Batches before the clock starts."""

PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Operations per second of matrices in bf16, dense, by a part of the card's name (NVIDIA's data sheets)."""


# The published way


class ViewsOneByOne(torch.utils.data.Dataset):
    """Stamps with two views each, made one by one."""

    def __init__(self, path, *, jitter=7, size=64, noise=(1.0, 3.0), ebv_max=0.5):
        self._stamps = Stamps(path, labelled=False, photometry=True)
        self._jitter, self._size, self._noise, self._ebv_max = jitter, size, noise, ebv_max
        self._rng = np.random.default_rng(0)

    def __len__(self):
        return len(self._stamps)

    def __getitem__(self, index):
        stamp = self._stamps[index]
        flux = stamp["flux"].numpy().astype(np.float32)
        clear = flux * self._dimming(-float(stamp["ebv"]))
        views = np.stack([self._view(clear) for _ in range(2)])
        return stamp | {"flux": torch.from_numpy(flux), "views": torch.from_numpy(views)}

    def _dimming(self, ebv):
        return 10 ** (-0.4 * R_UGRIZ * np.float32(ebv))[:, None, None]

    def _view(self, clear):
        turned = rotated(clear, self._rng.uniform(0, 360))
        row, column = (clear.shape[-1] - self._size) // 2 + self._rng.integers(-self._jitter, self._jitter + 1, 2)
        crop = turned[:, row : row + self._size, column : column + self._size]
        crop = crop * self._dimming(self._rng.uniform(0, self._ebv_max))
        scatter = np.median(np.abs(crop - np.median(crop, axis=(1, 2), keepdims=True)), axis=(1, 2))
        level = self._rng.uniform(*self._noise, 5) * scatter
        return (crop + level[:, None, None] * self._rng.standard_normal(crop.shape)).astype(np.float32)


def rotated(image, angle):
    """Turned about its middle, bilinearly, with zero in the corners."""
    if rotate_image.__module__.startswith("skimage"):
        turned = rotate_image(image.transpose(1, 2, 0), angle, order=1, preserve_range=True)
        return turned.transpose(2, 0, 1).astype(np.float32)
    return rotate_image(image, angle, axes=(1, 2), reshape=False, order=1)


class Given(torch.nn.Module):
    """Views that are there already, one after the other."""

    def __init__(self, views):
        super().__init__()
        self._views = iter(views.unbind(1))

    def forward(self, _):
        return next(self._views)


class GivenViews(ContrastiveModel):
    """The same step, on views that come with the batch."""

    def training_step(self, batch, index):
        """Loss of a batch."""
        self.augment = Given(batch["views"])
        return super().training_step(batch, index)


class PublishedData(lightning.LightningDataModule):
    """Batches of views that were made one by one, in other processes if there are threads for them."""

    def __init__(self, path, batch_size, threads):
        super().__init__()
        self._path, self._options = path, {"batch_size": batch_size, "num_workers": threads - 1, "drop_last": True}

    def train_dataloader(self):
        """Batches in random order."""
        return torch.utils.data.DataLoader(ViewsOneByOne(self._path), shuffle=True, **self._options)


class RepeatedBatch(PublishedData):
    """One batch, again and again."""

    def train_dataloader(self):
        """The batch as often as the file has batches."""
        batches = super().train_dataloader()
        return [next(iter(batches))] * len(batches)


# Clocks


class Waiting:
    """A loader, and the time that it lets wait for each batch."""

    def __init__(self, batches):
        self._batches = batches
        self.seconds = []

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        batches = iter(self._batches)
        for _ in range(len(self)):
            start = time.perf_counter()
            batch = next(batches)
            self.seconds.append(time.perf_counter() - start)
            yield batch


class Clock(lightning.Callback):
    """Note the end of each batch, on the clock and in seconds of the processors."""

    def __init__(self):
        self.times = []

    def on_train_batch_end(self, *_):
        """Note it."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append((time.perf_counter(), time.process_time()))


class Timed(lightning.LightningDataModule):
    """A data module whose batches are timed."""

    def __init__(self, data):
        super().__init__()
        self.data = data
        self.n_batches = len(data.train_dataloader())  # of an epoch, for the schedule
        self.batches = None

    def train_dataloader(self):
        """The batches of the data module."""
        self.batches = Waiting(self.data.train_dataloader())
        return self.batches

    def on_after_batch_transfer(self, batch, index):
        """Do as the data module does."""
        return self.data.on_after_batch_transfer(batch, index)


def measure(make_model, data, *, batch_size, steps, accelerator="cpu", precision="bf16-mixed"):
    """Wall and CPU seconds a pair, and the share of the wall time that was waited for data."""
    lightning.seed_everything(0, verbose=False)
    clock, timed = Clock(), Timed(data)
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_epochs=1000,
        max_steps=WARM_UP + steps,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(make_model(), timed)
    wall, cpu = (end - start for start, end in zip(clock.times[WARM_UP - 1], clock.times[-1], strict=True))
    waited = sum(timed.batches.seconds[-steps:])
    return wall / (steps * batch_size), cpu / (steps * batch_size), waited / wall


def model_maker(recipe, *, kind=ContrastiveModel, augment=None, **changes):
    """Makes the model of a recipe, with another recipe's views."""
    options = Recipe.read(recipe).pretrain.model_options()
    augment = Recipe.read(augment or recipe).pretrain.augment
    return partial(kind, encoder=Recipe.read(recipe).encoder, **options | {"augment": augment} | changes)


def compare_views(path, *, threads, batch_size, steps, repeats):
    """Rows of the table without a step: views only."""
    torch.set_num_threads(threads)
    augment = make_augmentation(Recipe.read("hayat2021").pretrain.augment)
    ours = loader(Stamps(path, labelled=False), batch_size=batch_size, shuffle=True)
    theirs = PublishedData(path, batch_size, threads).train_dataloader()

    def make_ours():
        for batch in islice(ours, steps):
            clean = deredden(batch["flux"].float(), batch["ebv"])
            augment(clean), augment(clean)

    def make_theirs():
        for _ in islice(theirs, steps):
            pass

    functions = {BASELINE: make_theirs, OURS: make_ours}
    results = alternate({name: partial(timing.measure, make) for name, make in functions.items()}, repeats=repeats)
    for name, result in results.items():
        faster = ratios(results[BASELINE], result)
        wall, cpu = (cost / (steps * batch_size) for cost in medians(result))
        yield row(f"{name}, no step", threads, wall, cpu, None, faster)


def row(name, threads, wall, cpu, waited, faster):
    """Cells of a row; CPU times of one thread only, since other processes are not in them."""
    alone = threads == 1
    speeds = f"{1 / wall:.0f}", f"{1 / cpu:.0f}" if alone else ""
    waited = "" if waited is None else f"{waited:.1%}"
    return name, str(threads), *speeds, waited, f"{faster[0]:.2f}", f"{faster[1]:.2f}" if alone else ""


def compare(path, recipe, *, threads, batch_size, steps, repeats):
    """Rows of the table for the encoder of a recipe and a number of threads."""
    torch.set_num_threads(threads)
    options = {"augment": "hayat2021", "queue_length": 4 * batch_size}
    ours, given = (model_maker(recipe, kind=kind, **options) for kind in (ContrastiveModel, GivenViews))
    cases = {
        BASELINE: (given, PublishedData(path, batch_size, threads)),
        OURS: (ours, StampData(path, labelled=False, photometry=True, batch_size=batch_size)),
        ALONE: (given, RepeatedBatch(path, batch_size, threads)),
    }
    sizes = {"batch_size": batch_size, "steps": steps}
    functions = {name: partial(measure, *case, **sizes) for name, case in cases.items()}
    results = alternate(functions, repeats=repeats, warm_up=False)
    for name, result in results.items():
        wall, cpu, waited = medians(result)
        faster = ratios([cost[:2] for cost in results[BASELINE]], [cost[:2] for cost in result])
        yield row(f"{name}, {recipe}", threads, wall, cpu, waited, faster)


# On a GPU


def operations(make_model, path, *, n):
    """Floating-point operations of a step, a pair."""
    model = make_model(queue_length=n).cuda()
    batch = StampData(path, labelled=False, batch_size=n).train_stamps.__getitems__(np.arange(n))
    batch = {name: value.cuda() for name, value in batch.items()}
    with FlopCounterMode(display=False) as counter, torch.autocast("cuda", torch.bfloat16):
        model.training_step(batch | {"flux": batch["flux"].float()}, 0).backward()
    return counter.get_total_flops() / n


def on_gpu(path, *, batch_size, steps, workers, peak):
    """Print what a GPU makes of the recipe ``hayat2021``."""
    name = torch.cuda.get_device_name()
    peak = peak or next((value for part, value in PEAKS.items() if part in name), None)
    make_model = model_maker("hayat2021", queue_length=4 * batch_size)
    data = StampData(path, labelled=False, batch_size=batch_size, workers=workers)
    wall, _, waited = measure(make_model, data, batch_size=batch_size, steps=steps, accelerator="gpu")
    rate = operations(make_model, path, n=64) / wall
    share = f"{rate / peak:.1%} of the bf16 peak" if peak else "of a peak that --peak must tell"
    print(f"hayat2021 on {name}, batches of {batch_size}: {1 / wall:.0f} pairs/s, {waited:.1%} of the time waiting for")
    print(f"data; {rate / 1e12:.1f} Tflop/s, {share}")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("data", nargs="?", type=Path, help="HDF5 file of stamps of 107 pixels (default: simulate some)")
    parser.add_argument("--recipes", nargs="*", default=["small", "smoke"], help="whose encoders (default: both)")
    parser.add_argument("--batch-size", type=int, default=128, help="pairs of a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="steps of a measurement (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each (default: %(default)s)")
    parser.add_argument("--gpu-batch-size", type=int, default=256, help="the same on a GPU (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="processes that read for a GPU (default: %(default)s)")
    parser.add_argument("--peak", type=float, help="bf16 operations/s of the GPU, if it is not known here")
    args = parser.parse_args()
    use_one_thread()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")  # Lightning's advice

    with tempfile.TemporaryDirectory() as folder:
        path = args.data or simulated(Path(folder) / "stamps.h5", n=8 * max(args.batch_size, args.gpu_batch_size))
        sizes = {"batch_size": args.batch_size, "steps": args.steps, "repeats": args.repeats}
        rows = []
        for threads in sorted({1, os.cpu_count()}):
            rows += compare_views(path, threads=threads, **sizes)
            rows += (cells for recipe in args.recipes for cells in compare(path, recipe, threads=threads, **sizes))
        print(f"Views of hayat2021; medians of {args.repeats} alternating runs of {args.steps} steps.")
        print("The baseline makes views in processes of their own, one for each thread beyond the first. Ratios are")
        print("speeds over its.\n")
        header = ("", "threads", "pairs/s", "pairs/CPU s", "waiting", "ratio: wall", "CPU")
        print_table(header, rows)
        if torch.cuda.is_available():
            on_gpu(path, batch_size=args.gpu_batch_size, steps=50, workers=args.workers, peak=args.peak)


def simulated(path, *, n):
    """Write stamps to train on."""
    from astro_photz import simulate

    simulate.write(path, n, seed=1, size=107, progress=False)
    return path


if __name__ == "__main__":
    main()
