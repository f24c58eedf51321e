# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the space of similarity searches of a model, from simulated galaxies that are observed twice.

    python -m tools.make_similarity_space MODEL [--n 24000] [--n-traits 60000] [--components 64] [--pairs FILE.npz]

writes ``similarity.npz`` into the folder of the model, and its hash into the card. The space is learnt from galaxies of
the training split: from pairs of observations, and from the shapes of others. It is judged on 2,000 of the validation
split: how often the second observation of a galaxy is found by the first, with the new space and with cosine
similarity. Without a simulation of one's own images, pairs come from repeated observations, such as the overlaps of
fields: ``--pairs`` takes the embeddings ``first`` and ``second`` (N, D) of any such pairs. Shapes are left out then.
"""

import argparse
from pathlib import Path

import numpy as np

from astro_photz import load_model
from astro_photz.similarity import SearchSpace
from benchmarks.similarity._figures import rank_of_own
from benchmarks.similarity._traits import TRAITS, traits_of
from benchmarks.similarity._twice import SETTINGS, observed_twice

SEEDS = {"train": 2901, "validation": 2902, "traits": 2904}
VALIDATION = 2_000
PAIRS = 24_000
N_TRAITS = 60_000
ALL_HAVE_TRAITS = SETTINGS | {"shapes": {"sersic": 1.0}}


def embedded(model, n, split):
    """Embeddings (n, D) of both observations of galaxies of a split."""
    parts = [
        (model.embed(block.first), model.embed(block.second))
        for block in observed_twice(n, seed=SEEDS[split], split=split)
    ]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def known_traits(model, n):
    """Embeddings (n, D) of galaxies of the training split, and their traits (n, T)."""
    blocks = observed_twice(n, seed=SEEDS["traits"], split="train", settings=ALL_HAVE_TRAITS, again=0)
    parts = [(model.embed(block.first), traits_of(block.shape, block.truth)) for block in blocks]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def figures(space, first, second):
    """Shares of galaxies whose other observation is found first, and among a hundred."""
    rank = rank_of_own(space.map(first), space.map(second))
    return {"first": round(float(np.mean(rank == 0)), 4), "hundred": round(float(np.mean(rank < 100)), 4)}


def make_space(path, *, n=PAIRS, n_traits=N_TRAITS, n_validation=VALIDATION, n_components=64, pairs=None, **options):
    """Make the space of the model in a folder, print its figures, and write it there."""
    model = load_model(path)
    first, second = read_pairs(pairs) if pairs else embedded(model, n, "train")
    traits = known_traits(model, n_traits) if n_traits and not pairs else None
    test = embedded(model, n_validation, "validation")
    spaces = {
        "cosine": SearchSpace.cosine(model.card.embedding_dim),
        "observations": SearchSpace.fit(first, second, n_components=n_components, traits=traits, **options),
    }
    validation = {name: figures(space, *test) for name, space in spaces.items()}
    for name, found in validation.items():
        print(f"{name:14s} other observation first {found['first']:.3f}, among a hundred {found['hundred']:.3f}")
    origin = pairs.name if pairs else {"simulated": SETTINGS, "seeds": SEEDS}
    learnt = {"pairs": len(first), "origin": origin}
    if traits:
        learnt["traits"] = {"of": TRAITS, "galaxies": n_traits}
    spaces["observations"].install(path, learnt_from=learnt, validation_galaxies=n_validation, validation=validation)
    print(f"wrote {path / 'similarity.npz'}")


def read_pairs(path):
    """Embeddings (N, D) of both observations, of a file."""
    with np.load(path, allow_pickle=False) as file:
        return file["first"], file["second"]


def main():
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a model")
    parser.add_argument("--n", type=int, default=PAIRS, help="galaxies to learn from (default: %(default)s)")
    parser.add_argument(
        "--n-traits", type=int, default=N_TRAITS, help="galaxies of known shape to learn from (default: %(default)s)"
    )
    parser.add_argument(
        "--components", type=int, default=64, help="length of a vector, without traits (default: %(default)s)"
    )
    parser.add_argument("--loading", type=float, help="as in SearchSpace.fit (default: its own)")
    parser.add_argument("--weight", type=float, help="of traits, as in SearchSpace.fit (default: its own)")
    parser.add_argument("--pairs", type=Path, metavar="FILE.npz", help="embeddings of pairs, instead of simulated ones")
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in ("loading", "weight") if getattr(args, name) is not None}
    make_space(args.model, n=args.n, n_traits=args.n_traits, n_components=args.components, pairs=args.pairs, **given)


if __name__ == "__main__":
    main()
