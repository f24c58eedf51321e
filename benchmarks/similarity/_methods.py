# Licensed under a 3-clause BSD style license - see LICENSE
"""Ways to compare galaxies: each turns cutouts into vectors (N, K) for Euclidean distance."""

import numpy as np
from sklearn.decomposition import PCA

from astro_photz import load_model
from astro_photz.dust import deredden
from astro_photz.photometry import aperture_flux
from astro_photz.similarity import SearchSpace
from astro_photz.similarity.models import search_model

__all__ = ["methods"]

PCA_STAMPS, PCA_COMPONENTS, PCA_PIXELS = 4_000, 64, 32
SOFTENING = 0.02  # nanomaggies a pixel, near the noise of g
FAINTEST = 1.0  # nanomaggies: fluxes below are taken as that, where noise makes them negative


def methods(model, first, seed=0):
    """Functions by name; the principal components are those of the stamps ``first``."""
    model = search_model(model)
    own = SearchSpace.of_model(model)
    cosine = SearchSpace.cosine(model.card.embedding_dim)
    finetuned = load_model()
    redshift = SearchSpace.cosine(finetuned.card.embedding_dim)
    pretrained, supervised, untrained = _once(model.embed), _once(finetuned.embed), _random_encoder(model, seed)
    return {
        "observation space": lambda cutouts: own.map(pretrained(cutouts)),
        "plain cosine": lambda cutouts: cosine.map(pretrained(cutouts)),
        "redshift embedding": lambda cutouts: redshift.map(supervised(cutouts)),
        "PCA of pixels": _principal_components(first),
        "magnitudes and colours": _Photometry(first),
        "random encoder": lambda cutouts: SearchSpace.cosine(model.card.embedding_dim).map(untrained(cutouts)),
        "random": lambda cutouts: np.random.default_rng(len(cutouts)).normal(size=(len(cutouts), 8)).astype(np.float32),
    }


def _once(embed):
    """Embed the same cutouts once, for two methods."""
    last = {}

    def embedded(cutouts):
        if last.get("of") is not cutouts:
            last.update(of=cutouts, value=embed(cutouts))
        return last["value"]

    return embedded


def _random_encoder(model, seed):
    """The encoder as it was before any training."""
    import torch

    from astro_photz.train import make_encoder

    torch.manual_seed(seed)
    settings = dict(model.card.encoder)
    network = make_encoder(settings.pop("kind"), **settings).eval()

    def embed(cutouts):
        with torch.no_grad():
            parts = [
                network(torch.as_tensor(cutouts.flux[i : i + 64]), torch.as_tensor(cutouts.ebv[i : i + 64])).numpy()
                for i in range(0, len(cutouts), 64)
            ]
        return np.concatenate(parts)

    return embed


def _principal_components(first):
    """Of the pixels in the middle of each stamp, free of extinction, on a scale like that of magnitudes."""

    def pixels(cutouts):
        start = (cutouts.size - PCA_PIXELS) // 2
        window = slice(start, start + PCA_PIXELS)
        flux = deredden(cutouts.flux[:, :, window, window], ebv=cutouts.ebv)
        return np.arcsinh(flux / SOFTENING).reshape(len(cutouts), -1).astype(np.float32)

    learnt = PCA(PCA_COMPONENTS, svd_solver="randomized", random_state=0).fit(pixels(first[:PCA_STAMPS]))
    return lambda cutouts: np.concatenate(
        [learnt.transform(pixels(cutouts[i : i + 1000])) for i in range(0, len(cutouts), 1000)]
    )


class _Photometry:
    """r and four colours within 8 pixels, free of extinction, each in units of its scatter."""

    def __init__(self, first):
        self.mean, self.scale = np.zeros(5), np.ones(5)
        numbers = self(first)
        self.mean, self.scale = numbers.mean(axis=0), numbers.std(axis=0)

    def __call__(self, cutouts):
        flux = deredden(aperture_flux(cutouts.flux)[..., None, None], ebv=cutouts.ebv)[..., 0, 0]
        magnitude = -2.5 * np.log10(np.maximum(flux, FAINTEST))
        numbers = np.column_stack([magnitude[:, 2], magnitude[:, :-1] - magnitude[:, 1:]])
        return ((numbers - self.mean) / self.scale).astype(np.float32)
