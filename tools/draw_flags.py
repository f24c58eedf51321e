# Licensed under a 3-clause BSD style license - see LICENSE
"""
Draw the pictures of docs/user/flags.rst: stamps that a flag is for, which are simulated.

    python -m tools.draw_flags [FOLDER]

writes a PNG for each flag that an image can show, into ``docs/user/images/flags`` or another folder. Each shows the
first stamps, of one seed, that the bundled model flags. Needs the extras ``[simulate]`` and ``[plot]``.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from astro_photz import Cutouts, PhotozFlag, load_model, predict
from astro_photz.plots.images import colour_image
from astro_photz.simulate.points import point_sources
from benchmarks.model._faults import as_they_are, simulated_scene, spoilt

IMAGES = Path(__file__).parents[1] / "docs" / "user" / "images" / "flags"
MODEL, SEED, N, SHOWN = "sim-small-v1", 11, 96, 5

FAULTS = {
    "OUTLIER": "g and r swapped",
    "MISALIGNED": "g shifted by 3 pixels",
    "WRONG_SCALE": "asinh of the flux over 0.1",
    "SATURATED": "saturated: a star of magnitude 11 to 13",
    "TRAIL": "satellite trail in one band, 10 sigma",
    "DEFECT": "a hot column in one band, 100 sigma",
    "OFF_CENTRE": "10 pixels off the centre",
    "CROWDED": "equal neighbour at 8 pixels",
    "LOW_SNR": "empty sky",
}
"""What spoils the stamps of a flag, by its name in the benchmark of doubt."""

IN_ONE_BAND = {"TRAIL": -1, "DEFECT": 1}
"""Faults of the band that the number of the row tells, up or down: those of u and z do not show in these colours."""


def examples(scene):
    """Cutouts by the flag that they are to show."""
    stamps = {flag: spoilt(fault, scene) for flag, fault in FAULTS.items()}
    stamps["POINT_SOURCE"] = point_sources(N, seed=SEED, split="test")[0]
    stamps["PARTIAL"] = half(as_they_are(scene))
    stamps["none"] = as_they_are(scene)
    return stamps


def half(cutouts):
    """A side of each stamp lies beyond the frame."""
    flux = cutouts.flux.copy()
    flux[:, :, :, 44:] = np.nan
    return Cutouts(flux, ebv=cutouts.ebv, simulated=True)


def flagged(cutouts, name):
    """The first stamps with a flag, bright ones before, or those without any."""
    table = predict(cutouts, model=MODEL, progress=False)
    found = np.asarray(table["z_phot_flags"])
    rows = np.flatnonzero(found == 0 if name == "none" else (found & PhotozFlag[name]) != 0)
    if name in IN_ONE_BAND:
        rows = rows[np.isin(IN_ONE_BAND[name] * rows % 5, [1, 2, 3])]
    light = np.nan_to_num(cutouts.flux[rows, 2, 24:40, 24:40]).sum(axis=(1, 2))
    return cutouts[rows[np.argsort(-light, kind="stable")][:: max(1, len(rows) // SHOWN)][:SHOWN]]


def draw(cutouts, path):
    """Stamps side by side, in colour."""
    figure = Figure(figsize=(1.2 * SHOWN, 1.2), layout="constrained", dpi=80)
    for axis in (axes := figure.subplots(1, SHOWN)):
        axis.set_axis_off()
    for axis, flux in zip(axes, cutouts.flux, strict=False):
        axis.imshow(colour_image(flux), origin="lower")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.quantize(256).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=IMAGES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    scene = simulated_scene(load_model(MODEL), N, seed=SEED)
    for name, cutouts in examples(scene).items():
        draw(flagged(cutouts, name), folder / f"{name.lower()}.png")
        print(folder / f"{name.lower()}.png", flush=True)


if __name__ == "__main__":
    main()
