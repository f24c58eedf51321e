# Licensed under a 3-clause BSD style license - see LICENSE
"""
Give a model that exists its reference, by which strangers and point sources are told.

    python -m tools.make_reference MODEL [--n 48000] [--n-validation 24000] [--results FOLDER]

simulates galaxies of the training split and of the validation split, with the settings of the model's card, point
sources, and galaxies beyond its magnitudes and redshifts. None of them is a galaxy that the model was trained on, but
all are like those. It writes ``reference.npz`` into the folder of the model, and what it is made of into the card. A
model whose graph does not give the features yet is exported once more from its weights; its embeddings stay the same.

``--results docs/model_card`` names the model as it is now in the results of that folder that tell of estimates, which
are still those of the same graphs. Results that tell of flags are to be measured again.

A model that is made anew has its reference from the export of its training.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from astro_photz import Cutouts, demo_path, load_model, simulate
from astro_photz.flags import PhotozFlag
from astro_photz.models import PhotozModel
from astro_photz.models.card import REFERENCE
from astro_photz.reference.making import make_reference
from astro_photz.sdss import BANDS
from astro_photz.simulate.simulation import BLOCK, Simulation
from astro_photz.simulate.write_point_stamps import distant_blocks, faint_blocks, point_blocks
from astro_photz.train.export.onnx import export_model
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.weights import read_head, read_weights
from astro_photz.utils._files import write_json

SEED = 2811
OF_FLAGS = (*PhotozFlag.__members__, "BAD", "flagged", "z_phot_ood")  # words of results that a reference changes


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


def simulation_of(made, split, seed):
    """Simulation of the galaxies of a split."""
    return Simulation(seed=seed, split=split, settings=simulate.Settings.of(settings_of(made, split)))


def galaxies(made, split, n, seed, seeing=None):
    """Blocks of simulated galaxies of a split; their seeing in r (arcsec) is added to a list."""
    simulation = simulation_of(made, split, seed)
    for block in range(-(-n // BLOCK)):
        cutouts, _ = simulation.block(block, n)
        if seeing is not None:
            seeing.append(cutouts.psf_fwhm[:, BANDS.index("r")])
        yield cutouts


def install(folder, *, n, n_validation, n_points, n_faint, n_distant, seed):
    """Make the reference of the model in a folder, and write it there."""
    model = load_model(folder)
    made, seeing = model.card.made_by.get("simulate"), []
    if made is None:
        raise SystemExit(f"the card of {model.name} does not tell how its galaxies were simulated: export its run")
    beside = simulation_of(made, "train", seed + 2)
    reference, numbers = make_reference(
        model,
        training=galaxies(made, "train", n, seed, seeing),
        validation=galaxies(made, "validation", n_validation, seed + 1),
        point_sources=(block for _, block in point_blocks(n_points, beside)),
        faint=faint_blocks(n_faint, beside),
        distant=distant_blocks(n_distant, beside),
    )
    of = f"simulated galaxies like those that {model.name} was trained on"
    card = reference.install(folder, of=of, **numbers, seed=seed)
    limits = np.percentile(np.concatenate(seeing), [0.5, 99.5]).round(3).tolist()
    card.updated(training_range=card.training_range | {"seeing": limits}).write(folder)
    size = (folder / REFERENCE).stat().st_size
    print(f"wrote {folder / REFERENCE}: {numbers}, {size / 1e6:.2f} MB; seeing in r {limits} arcsec")


def estimates_of(model):
    """All that decides about the estimates of a model: its card has more, about flags and analogues."""
    card = model.card
    graphs = {name: hash_ for name, hash_ in card.files.items() if name.endswith(".onnx")}
    return graphs, card.z_edges, card.calibration, card.bands, card.r_ugriz


def keep_results(folder, before, after):
    """Name the model as it is now in results about its estimates, which must be those of the model before."""
    if estimates_of(before) != estimates_of(after):
        raise SystemExit(f"{after.name} gives other estimates than before: measure all of {folder} again")
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        result = json.loads(text)
        if (result.get("model") or {}).get("sha256") != before.sha256:
            print(f"{path} is of no model, or of another one: it stays as it is")
        elif any(word in text for word in OF_FLAGS):
            print(f"{path} tells of flags: measure it again")
        else:
            write_json(path, result | {"model": result["model"] | {"sha256": after.sha256}})


def main():
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a model")
    parser.add_argument("--n", type=int, default=48_000, help="galaxies to learn from (default: %(default)s)")
    parser.add_argument("--n-validation", type=int, default=24_000, help="galaxies to rank by (default: %(default)s)")
    parser.add_argument("--n-points", type=int, default=13_000, help="point sources (default: %(default)s)")
    parser.add_argument("--n-faint", type=int, default=5_000, help="faint galaxies beside them (default: %(default)s)")
    parser.add_argument("--n-distant", type=int, default=12_000, help="distant galaxies (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulation (default: %(default)s)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="results of the model, kept if they can be")
    args = parser.parse_args()
    model = PhotozModel(args.model)
    if model.card.encoder.get("bottleneck") and not model.gives_features:
        if args.results:
            raise SystemExit(f"--results must not be given: the graphs of {args.model} are made again")
        give_features(args.model)
    numbers = {name: getattr(args, name) for name in ("n", "n_validation", "n_points", "n_faint", "n_distant")}
    install(args.model, **numbers, seed=args.seed)
    if args.results:
        keep_results(args.results, model, PhotozModel(args.model))


if __name__ == "__main__":
    main()
