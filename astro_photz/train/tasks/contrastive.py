# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parts of contrastive learning: the loss, the queue of keys, and groups for batch normalisation.

- Batch norm leaks which key matches a query, if both go through it in the same company. So a batch goes through the
  encoders in groups, and the keys' groups are drawn anew (`in_groups`).
- The queue must forget an image before the image comes by again (`queue_length`).
- Brightness and size tell galaxies apart with no need for colours. Negatives that are alike in both take that way out
  (`most_similar`).
"""

import torch
from torch import distributed, nn
from torch.nn import functional as F

__all__ = ["KeyQueue", "contrastive_loss", "in_groups", "most_similar", "queue_length"]


def contrastive_loss(query, key, others, *, temperature, negatives=None):
    """
    Compute the loss of queries that seek their keys: InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, equation 4).

    Parameters
    ----------
    query, key : `torch.Tensor` (B, D)
        Of length one.
    others : `torch.Tensor` (K, D)
        Keys of other galaxies, of length one.
    temperature : float
        Unit of the similarities.
    negatives : `torch.Tensor` (B, N) of int, optional
        Places among ``others`` of the keys that each query must tell from its own; all of them by default.

    Returns
    -------
    `torch.Tensor` ()

    Examples
    --------
    Queries that are like their keys and like nothing else, and queries that know nothing:

    >>> import torch
    >>> from astro_photz.train.tasks.contrastive import contrastive_loss
    >>> query = torch.eye(4)[:1]
    >>> round(float(contrastive_loss(query, query, torch.eye(4)[1:], temperature=0.1)), 3)
    0.0
    >>> round(float(contrastive_loss(query, query, query.expand(3, -1), temperature=0.1)), 3)  # log 4
    1.386
    """
    own = (query * key).sum(dim=1, keepdim=True)
    wrong = query @ others.T
    wrong = wrong if negatives is None else wrong.gather(1, negatives)
    scores = torch.cat([own, wrong], dim=1) / temperature
    return F.cross_entropy(scores, torch.zeros(len(query), dtype=torch.long, device=query.device))


def most_similar(query, others, *, n):
    """
    Find the galaxies that are nearest to each of a batch in brightness and size.

    Parameters
    ----------
    query : `torch.Tensor` (B, 2)
        Brightness and size, each in a unit in which they count alike; NaN where they are not known.
    others : `torch.Tensor` (K, 2)
        Those of the galaxies to choose from. A galaxy of unknown brightness or size is chosen last.
    n : int
        Number of galaxies; all where there are fewer.

    Returns
    -------
    `torch.Tensor` (B, n) of int
        Places among ``others``, the nearest first.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.tasks.contrastive import most_similar
    >>> others = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0], [torch.nan, 0.0]])
    >>> most_similar(torch.tensor([[0.9, 0.1]]), others, n=2)
    tensor([[1, 0]])
    """
    square = (query[:, None] - others).square().sum(dim=2)
    return square.nan_to_num(nan=torch.inf).topk(min(n, len(others)), largest=False).indices


def queue_length(wanted, *, n_images, batch_size):
    """
    Find the longest queue, up to the one wanted, that suits a data set.

    Parameters
    ----------
    wanted : int
        Number of keys.
    n_images : int
        Images of the data set. In a queue of a tenth of them, one image in 200 meets a key of its own, where an epoch
        follows another; in longer ones more do.
    batch_size : int
        Images that join the queue at a time, over all processes.

    Returns
    -------
    int
        A multiple of ``batch_size``.

    Raises
    ------
    ValueError
        If a tenth of the images is not even a batch, or not even a batch is wanted.

    Examples
    --------
    >>> from astro_photz.train.tasks.contrastive import queue_length
    >>> queue_length(65_536, n_images=40_000, batch_size=256)
    3840
    """
    length = min(wanted, n_images // 10) // batch_size * batch_size
    if length == 0:
        raise ValueError(
            f"no queue of whole batches fits: batch_size {batch_size} must be at most queue_length ({wanted}) and a "
            f"tenth of the {n_images} images"
        )
    return length


class KeyQueue(nn.Module):
    """
    The last keys of all processes, the same on each.

    Parameters
    ----------
    length : int
        Number of keys; of no galaxy at first.
    dim : int
        Of a key.
    with_photometry : bool, optional
        Whether brightness and size of each key's galaxy are kept beside it.
    """

    def __init__(self, length, dim, *, with_photometry=False):
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(length, dim), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        if with_photometry:
            self.register_buffer("photometry", torch.full((length, 2), torch.nan))

    def append(self, keys, photometry=None):
        """
        Put keys in the place of the oldest ones.

        Parameters
        ----------
        keys : `torch.Tensor` (B, D)
            Those of this process; B is the same on all.
        photometry : `torch.Tensor` (B, 2), optional
            Brightness and size of their galaxies, for a queue that keeps them.

        Raises
        ------
        ValueError
            If the queue is no multiple of the keys of all processes.
        """
        keys = _of_all_processes(keys.detach().to(self.keys.dtype))
        length, start = len(self.keys), int(self.place)
        if length % len(keys):
            raise ValueError(f"the queue of {length} keys must be a multiple of the batch of {len(keys)}")
        self.keys[start : start + len(keys)] = keys
        if photometry is not None:
            self.photometry[start : start + len(keys)] = _of_all_processes(photometry.to(self.photometry.dtype))
        self.place.fill_((start + len(keys)) % length)


def _of_all_processes(keys):
    if not (distributed.is_available() and distributed.is_initialized()):
        return keys
    gathered = [torch.empty_like(keys) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, keys.contiguous())
    return torch.cat(gathered)


def in_groups(network, images, *, groups, shuffle=False):
    """
    Send images through a network in groups, so that batch normalisation sees a group at a time.

    Parameters
    ----------
    network : callable
        Gives a tensor, or a tuple of tensors, with a row an image.
    images : `torch.Tensor` (B, ...)
    groups : int
    shuffle : bool, optional
        Whether the groups are drawn at random; results are in the images' order all the same.

    Returns
    -------
    `torch.Tensor` or tuple of `torch.Tensor`
    """
    if groups == 1:
        return network(images)
    draw = torch.randperm if shuffle else torch.arange
    order = draw(len(images), device=images.device)
    parts = [network(images[rows]) for rows in order.chunk(groups)]
    back = order.argsort()
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(part)[back] for part in zip(*parts, strict=True))
    return torch.cat(parts)[back]
