# Licensed under a 3-clause BSD style license - see LICENSE
"""
Embeddings of the stamps of a file, by a network of torch.
"""

import torch

from astro_photz.train.tensors import central

__all__ = ["embed"]


@torch.no_grad()
def embed(encoder, stamps, rows, *, device="cpu", batch_size=256):
    """
    Embed stamps without any augmentation, in evaluation mode.

    Parameters
    ----------
    encoder : `torch.nn.Module`
    stamps : `~astro_photz.train.data.stamps.Stamps`
    rows : sequence of int
    device : str or `torch.device`, optional
        Where the encoder is.
    batch_size : int, optional

    Returns
    -------
    `torch.Tensor` (N, D)
    """
    training = encoder.training
    encoder.eval()
    parts = []
    for start in range(0, len(rows), batch_size):
        batch = stamps.__getitems__(rows[start : start + batch_size])
        flux, ebv = central(batch["flux"].to(device).float(), encoder.image_size), batch["ebv"].to(device)
        parts.append(encoder(flux, ebv).float())
    encoder.train(training)
    return torch.cat(parts)
