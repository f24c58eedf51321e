# Licensed under a 3-clause BSD style license - see LICENSE
"""
Learning from images without labels: MoCo v2 (He et al. 2020, arXiv 1911.05722; Chen et al. 2020, arXiv 2003.04297).

Two views are made of each galaxy by random changes that leave its redshift alone. The *query* encoder embeds one of
them; a slowly following copy of it, the *key* encoder, the other. A query shall be like the key of its own galaxy and
unlike those of others, of which the last few thousand wait in a queue.

What may go wrong, and what is done about it here:

- Batch normalisation betrays which key belongs to a query, if both went through it in the same company. So a batch goes
  through the encoders in groups, and the keys' groups are drawn anew.
- The queue must forget an image before the image comes by again: `queue_length`.
- Images may be told apart by what does not matter (brightness, surroundings) better than by what does. So an auxiliary
  task, switched on by its weight, is to predict the galaxy's photometry from each view: it needs no labels either.
"""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from astro_photz.train._lightning import lightning
from astro_photz.train._torch import torch
from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.networks.encoder import Bottleneck, make_encoder
from astro_photz.train.tensors import aperture_photometry, catalog_photometry, deredden

from .optimizer import Optimizer, total_steps
from .probe import alignment, uniformity

nn = torch.nn
F = torch.nn.functional
distributed = torch.distributed

__all__ = ["PHOTOMETRY", "ContrastiveModel", "KeyQueue", "contrastive_loss", "in_groups", "queue_length"]

PHOTOMETRY = {"apertures": 15, "catalog": 6}
"""What photometry can be predicted, and how many numbers it has: the stamp's own, or a catalogue's of the galaxy."""

_SMALLEST = 1e-6  # of the auxiliary losses, whose logarithms are taken: a thousandth of their unit


def contrastive_loss(query, key, others, *, temperature):
    """
    How badly queries find their keys: InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, equation 4).

    Parameters
    ----------
    query, key : `torch.Tensor` (B, D)
        Of length one.
    others : `torch.Tensor` (K, D)
        Keys of other galaxies, of length one.
    temperature : float
        Unit of the similarities.

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
    scores = torch.cat([own, query @ others.T], dim=1) / temperature
    return F.cross_entropy(scores, torch.zeros(len(query), dtype=torch.long, device=query.device))


def queue_length(wanted, *, n_images, batch_size):
    """
    The longest queue, up to the one wanted, that suits a data set.

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
    """

    def __init__(self, length, dim):
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(length, dim), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def append(self, keys):
        """
        Put keys in the place of the oldest ones.

        Parameters
        ----------
        keys : `torch.Tensor` (B, D)
            Those of this process; B is the same on all.

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


class _Projected(nn.Module):
    """An encoder, and behind its features the two layers that the contrastive loss looks through, and that are left."""

    def __init__(self, encoder, hidden, dim):
        super().__init__()
        self.encoder = encoder
        width = self.features.embedding_dim
        self.projection = nn.Sequential(nn.Linear(width, hidden or width), nn.ReLU(), nn.Linear(hidden or width, dim))

    @property
    def features(self):
        """What of the encoder lies before a bottleneck."""
        return self.encoder.encoder if isinstance(self.encoder, Bottleneck) else self.encoder

    def forward(self, view):
        features = self.features(view, view.new_zeros(len(view)))  # views are dereddened
        return features, F.normalize(self.projection(features).float(), dim=1)


def _predictor(encoder, hidden, n_measured):
    """What predicts photometry from an encoder's features: its own bottleneck, or layers that are left afterwards."""
    if not isinstance(encoder, Bottleneck):
        return nn.Sequential(nn.Linear(encoder.embedding_dim, hidden), nn.ReLU(), nn.Linear(hidden, n_measured))
    if encoder.width < n_measured:
        raise ValueError(
            f"encoder.bottleneck must be at least {n_measured}, or 0 for none, to predict as many numbers of "
            f"photometry, got {encoder.width}"
        )
    return encoder.describe


def _photometry_loss(predicted, measured):
    """
    How badly photometry (B, K) is predicted, over what could be measured of it.

    That is the mean of the logarithms of the quantities' losses: each counts in units of how well it is known so far,
    as if it had a weight that is always at its best (Kendall, Gal & Cipolla 2018, arXiv 1705.07115, equation 7). In
    a plain mean, u-g, which noise keeps any network from knowing well, would drown r-i and i-z, which say as much.
    """
    known = measured.isfinite()
    error = F.smooth_l1_loss(predicted[:, : measured.shape[1]], measured.nan_to_num(), reduction="none")
    seen = known.sum(dim=0)
    error = (error * known).sum(dim=0) / seen.clamp(min=1)
    return (error.clamp(min=_SMALLEST).log() * (seen > 0)).sum() / (seen > 0).sum().clamp(min=1)


class ContrastiveModel(lightning.LightningModule):
    """
    MoCo v2, with an auxiliary task if wanted.

    Parameters
    ----------
    encoder : dict
        Keywords of `~astro_photz.train.make_encoder`.
    augment : dict, optional
        Of `~astro_photz.train.augment.chain.make_augmentation`: how views are made of dereddened stamps.
    queue_length : int, optional
        Number of keys in the queue; see `~astro_photz.train.tasks.contrastive.queue_length`.
    momentum : float, optional
        How much of itself the key encoder keeps in a step.
    temperature : float, optional
        See `contrastive_loss`.
    projection_dim : int, optional
        Of queries and keys.
    projection_hidden : int, optional
        Width of the hidden layer before them; 0 for that of the embedding.
    symmetric : bool, optional
        Whether each of the two views is a query once: twice the work.
    groups : int, optional
        Groups that batch normalisation sees a batch in, on each process. With 1, it betrays the keys.
    photometry : {'apertures', 'catalog'}, optional
        What the auxiliary task is to predict: the untouched stamp's brightness and colours in three apertures, or those
        of the galaxy as a whole, and its size, in a catalogue, which the batches then hold.
    photometry_weight : float, optional
        Of the auxiliary loss; 0 for none.
    photometry_hidden : int, optional
        Width of the hidden layer that predicts, where the encoder has no bottleneck to do so.
    optimizer : dict, optional
        Of `~astro_photz.train.tasks.optimizer.Optimizer`.

    Examples
    --------
    >>> from astro_photz.train.tasks.contrastive import ContrastiveModel
    >>> model = ContrastiveModel(encoder={"kind": "resnet18", "width": 8}, queue_length=256)
    >>> model.encoder.image_size
    64
    """

    def __init__(
        self,
        *,
        encoder,
        augment=None,
        queue_length=4096,
        momentum=0.999,
        temperature=0.1,
        projection_dim=128,
        projection_hidden=0,
        symmetric=False,
        groups=4,
        photometry="apertures",
        photometry_weight=0.0,
        photometry_hidden=256,
        optimizer=None,
    ):
        super().__init__()
        self.save_hyperparameters()
        made = make_encoder(**encoder)
        self.augment = make_augmentation(augment or {})
        self.optimizer = Optimizer(**optimizer or {})
        self.query = _Projected(made, projection_hidden, projection_dim)
        self.predict = None
        if photometry_weight > 0:
            self.predict = _predictor(made, photometry_hidden, PHOTOMETRY[photometry])
        if isinstance(made, Bottleneck):
            if self.predict is None:
                raise ValueError(
                    f"encoder.bottleneck must be 0 if pretrain.photometry_weight is, for nothing else teaches it here; "
                    f"got {made.width}"
                )
            made.expand.requires_grad_(False)  # which nothing teaches here
        self.key = AveragedModel(self.query, multi_avg_fn=get_ema_multi_avg_fn(momentum), use_buffers=True)
        self.key.requires_grad_(False)
        self.queue = KeyQueue(queue_length, projection_dim)

    @property
    def encoder(self):
        """The query encoder: what is kept of all this."""
        return self.query.encoder

    def training_step(self, batch, _):
        """Loss of a batch; its keys join the queue."""
        clean = deredden(batch["flux"], batch["ebv"])
        with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):  # fluxes need all their digits
            views = self.augment(clean), self.augment(clean)
            measured = None if self.predict is None else self._measure(batch, clean)
        others = self.queue.keys.clone()  # as it is now: the backward pass needs it, and new keys join before
        pairs = [views, views[::-1]] if self.hparams.symmetric else [views]
        steps = [self._match(*pair, others, measured) for pair in pairs]
        loss = torch.stack([loss for loss, _ in steps]).mean()
        self.queue.append(steps[0][1])
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def _measure(self, batch, clean):
        """What the auxiliary task is to predict."""
        if self.hparams.photometry == "catalog":
            return catalog_photometry(batch["catalog_flux"], batch["catalog_radius"], batch["ebv"])
        return aperture_photometry(clean)

    def _match(self, view, other, others, measured):
        """Loss of one view as the query, and the keys of the other."""
        features, query = in_groups(self.query, view, groups=self.hparams.groups)
        with torch.no_grad():
            _, key = in_groups(self.key, other, groups=self.hparams.groups, shuffle=True)
        with torch.autocast(query.device.type, enabled=False):  # similarities are to a unit of a tenth
            loss = contrastive_loss(query, key, others, temperature=self.hparams.temperature)
            auxiliary = None if measured is None else _photometry_loss(self.predict(features.float()), measured)
        self._log_representation(loss, query, key)
        if auxiliary is not None:
            self.log("photometry_loss", auxiliary)
            loss = loss + self.hparams.photometry_weight * auxiliary
        return loss, key

    def _log_representation(self, loss, query, key):
        quantities = {"alignment": alignment(query.detach(), key), "uniformity": uniformity(query.detach())}
        self.log_dict(quantities, on_step=False, on_epoch=True, sync_dist=True)
        self.log("contrastive_loss", loss.detach())

    def optimizer_step(self, *args, **kwargs):
        """A step of the query encoder, which the key encoder follows."""
        super().optimizer_step(*args, **kwargs)
        self.key.update_parameters(self.query)

    def configure_optimizers(self):
        """Everything but the key encoder learns."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return self.optimizer.make([{"params": learning}], steps=total_steps(self.trainer))
