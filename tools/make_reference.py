# Licensed under a 3-clause BSD style license - see LICENSE
"""
Give a model that exists its reference, by which strangers and point sources are told.

    python -m tools.make_reference MODEL [--n 24000] [--n-validation 6000] [--n-points 13000] [--n-faint 5000]

simulates galaxies of the training split and of the validation split, with the settings of the model's card, and point
sources. None of them is a galaxy that the model was trained on, but all are like those. It writes ``reference.npz``
into the folder of the model, and what it is made of into the card. A model whose graph does not give the features yet
is exported once more from its weights; its embeddings stay the same.

A model that is made anew has its reference from the export of its training.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from astro_photz import Cutouts, demo_path, load_model, simulate
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.models import PhotozModel
from astro_photz.models.card import REFERENCE
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.reference.making import make_reference
from astro_photz.sdss import BANDS, ZERO_POINT
from astro_photz.simulate.points import point_sources as simulated_points
from astro_photz.simulate.simulation import BLOCK, Simulation
from astro_photz.train.export.onnx import export_model
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.weights import read_head, read_weights

SEED = 2811
POINTS, FAINT = 13_000, 5_000
KINDS = {"star": 5 / 13, "quasar": 3 / 13, "unresolved": 3 / 13, "double": 2 / 13}
"""Shares of the kinds of point sources."""
DEEPER = 1.5  # mag by which faint galaxies reach beyond those of the training


def give_features(folder):
    """Export the encoder once more, so that its graph gives the features too."""
    model, demo = PhotozModel(folder), Cutouts.read(demo_path())
    settings, state = read_weights(folder)
    encoder = make_encoder(**settings)
    encoder.load_state_dict(state)
    before = model.embed(demo)
    with tempfile.TemporaryDirectory() as place:
        export_model(encoder.eval(), read_head(folder), Path(place) / "model", card=model.card, settings=settings)
        again = PhotozModel(Path(place) / "model")
        change = float(np.abs(again.embed(demo) - before).max() / np.abs(before).max())
        if not change <= 1e-6:
            raise SystemExit(f"the embeddings of {folder} would change by {change:.1e}: its weights are others")
        (folder / "encoder.onnx").write_bytes((again.path / "encoder.onnx").read_bytes())
        card = model.card.updated(difference_from_torch=again.card.difference_from_torch)
    card.write(folder)
    print(f"{folder / 'encoder.onnx'} gives the features; embeddings of the demonstration set change by {change:.1e}")


def settings_of(made, split):
    """Settings of the simulation of galaxies of a split, from those by which a model was made."""
    sections = made["settings"]
    return sections | {"sample": sections.get("sample", {}) | made[split].get("sample", {})}


def galaxies(made, split, n, seed, seeing=None):
    """Blocks of simulated galaxies of a split; their seeing in r (arcsec) is added to a list."""
    simulation = Simulation(seed=seed, split=split, settings=simulate.Settings.of(settings_of(made, split)))
    for block in range(-(-n // BLOCK)):
        cutouts, _ = simulation.block(block, n)
        if seeing is not None:
            seeing.append(cutouts.psf_fwhm[:, BANDS.index("r")])
        yield cutouts


def faint_galaxies(made, n, seed):
    """Blocks of n simulated galaxies that are fainter than those of a model's training."""
    config = settings_of(made, "train")
    faintest = simulate.Settings.of(config).sample.faintest
    deep = config | {"sample": config["sample"] | {"faintest": faintest + DEEPER}}
    simulation = Simulation(seed=seed, split="train", settings=simulate.Settings.of(deep))
    block = 0
    while n > 0:
        cutouts, truth = simulation.block(block, (block + 1) * BLOCK)
        r_mag = ZERO_POINT - 2.5 * np.log10(truth["flux"][:, BANDS.index("r")].to_value("nmgy"))
        chosen = cutouts[np.flatnonzero(r_mag > faintest)[:n]]
        yield chosen
        n, block = n - len(chosen), block + 1


def point_sources(made, n, seed):
    """Blocks of simulated point sources, some of each kind."""
    config = settings_of(made, "train")
    for number, (kind, share) in enumerate(KINDS.items()):
        left = round(share * n)
        for block in range(-(-left // BLOCK)):
            size, own = min(BLOCK, left - block * BLOCK), seed + 1000 * number + block
            yield simulated_points(size, seed=own, kind=kind, split="train", config=config)[0]


def write_point_sources(path, made, *, n=POINTS, n_faint=FAINT, seed=SEED):
    """Write simulated point sources, and faint galaxies, into an HDF5 file for the export of a training."""
    total = sum(round(share * n) for share in KINDS.values())
    with CutoutWriter(path, total + n_faint, size=IMAGE_SIZE) as writer:
        for block in point_sources(made, n, seed + 2):
            writer.append(block, point=np.ones(len(block), dtype=np.int8))
        for block in faint_galaxies(made, n_faint, seed + 3):
            writer.append(block, point=np.zeros(len(block), dtype=np.int8))


def install(folder, *, n, n_validation, n_points, n_faint, seed):
    """Make the reference of the model in a folder, and write it there."""
    model = load_model(folder)
    made, seeing = model.card.made_by.get("simulate"), []
    if made is None:
        raise SystemExit(f"the card of {model.name} does not tell how its galaxies were simulated: export its run")
    reference, numbers = make_reference(
        model,
        training=galaxies(made, "train", n, seed, seeing),
        validation=galaxies(made, "validation", n_validation, seed + 1),
        point_sources=point_sources(made, n_points, seed + 2),
        faint=faint_galaxies(made, n_faint, seed + 3),
    )
    of = f"simulated galaxies like those that {model.name} was trained on"
    card = reference.install(folder, of=of, **numbers, seed=seed)
    limits = np.percentile(np.concatenate(seeing), [0.5, 99.5]).round(3).tolist()
    card.updated(training_range=card.training_range | {"seeing": limits}).write(folder)
    size = (folder / REFERENCE).stat().st_size
    print(f"wrote {folder / REFERENCE}: {numbers}, {size / 1e6:.2f} MB; seeing in r {limits} arcsec")


def main():
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a model")
    parser.add_argument("--n", type=int, default=24_000, help="galaxies to learn from (default: %(default)s)")
    parser.add_argument("--n-validation", type=int, default=6_000, help="galaxies to rank by (default: %(default)s)")
    parser.add_argument("--n-points", type=int, default=POINTS, help="point sources (default: %(default)s)")
    parser.add_argument("--n-faint", type=int, default=FAINT, help="faint galaxies beside them (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulation (default: %(default)s)")
    args = parser.parse_args()
    model = PhotozModel(args.model)
    if model.card.encoder.get("bottleneck") and not model.gives_features:
        give_features(args.model)
    numbers = {name: getattr(args, name) for name in ("n", "n_validation", "n_points", "n_faint")}
    install(args.model, **numbers, seed=args.seed)


if __name__ == "__main__":
    main()
