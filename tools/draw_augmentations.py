# Licensed under a 3-clause BSD style license - see LICENSE
"""
Draw the pictures of docs/training/augmentations.rst: what each augmentation does to one galaxy, which is simulated.

    python -m tools.draw_augmentations [FOLDER]

writes a PNG for each augmentation, and one of a whole chain, into ``docs/training/images`` or another folder. Needs the
extras ``[train]``, ``[simulate]`` and ``[plot]``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from astro_photz import simulate
from astro_photz.plots.images import colour_image
from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.augment.geometry import JitterCrop, RotateFlip, SizeScaling
from astro_photz.train.augment.light import Blur, MissingPixels, Noise, Reddening
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.tensors import central

IMAGES = Path(__file__).parents[1] / "docs" / "training" / "images"
VIEWS = 5

AUGMENTATIONS = {
    "scale": SizeScaling(1.3),
    "rotate": RotateFlip(74),
    "crop": JitterCrop(64, 5),
    "redden": Reddening(0.5),
    "blur": Blur(2.0),
    "noise": Noise(1.0, 3.0),
    "missing": MissingPixels(band=0.8, edge=0.5),
}
"""Stronger than one would train with, where the eye would not see it otherwise."""

CHAIN = {
    "scale": {"factor": 1.1},
    "rotate": {},
    "crop": {"jitter": 5},
    "redden": {"ebv_max": 0.3},
    "blur": {"sigma": 1.0},
    "noise": {"low": 0.5, "high": 2.0},
    "missing": {},
}
"""All of them, as a recipe may have them."""


def example(*, seed=1, pool=256):
    """An inclined galaxy with a disc, of magnitude 16 in r, in a stamp of 107 pixels; dereddened."""
    cutouts, truth = simulate.galaxies(pool, seed=seed, size=107)
    suitable = ~truth["early"] & (np.abs(np.asarray(truth["inclination"]) - 60) < 15)
    r_mag = 22.5 - 2.5 * np.log10(np.asarray(truth["flux"])[:, 2])
    row = int(np.argmin(np.where(suitable, np.abs(r_mag - 16), np.inf)))
    return deredden(torch.from_numpy(cutouts.flux[row : row + 1]), torch.from_numpy(cutouts.ebv[row : row + 1]))


def draw(flux, augment, path, *, seed=0):
    """The galaxy, and some views of it, side by side."""
    torch.manual_seed(seed)
    views = central(augment.train()(flux.expand(VIEWS, -1, -1, -1)), 64)
    figure = Figure(figsize=(1.3 * (VIEWS + 1), 1.45), layout="constrained", dpi=80)
    stamps = [central(flux, 64)[0], *views]
    for axis, stamp, title in zip(figure.subplots(1, VIEWS + 1), stamps, ["before", *[""] * VIEWS], strict=True):
        axis.imshow(colour_image(stamp.numpy()), origin="lower")
        axis.set_title(title, fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.quantize(256).save(path, optimize=True)  # noise in full colour would take three times the space


def main():
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=IMAGES, help="where to (default: docs/training/images)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    galaxy = example()
    for name, augment in (AUGMENTATIONS | {"chain": make_augmentation(CHAIN)}).items():
        draw(galaxy, augment, folder / f"augment_{name}.png")
        print(folder / f"augment_{name}.png")


if __name__ == "__main__":
    main()
