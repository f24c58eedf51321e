# Licensed under a 3-clause BSD style license - see LICENSE
"""
Learn from images without labels: MoCo v2 (He et al. 2020, arXiv 1911.05722; Chen et al. 2020, arXiv 2003.04297).

Random changes that leave the redshift alone make two views of each galaxy. The *query* encoder embeds one of them;
the *key* encoder, a slowly following copy, embeds the other. A query shall be like the key of its own galaxy and unlike
those of others; the last few thousand wait in a queue.

Images may be told apart by what does not matter (brightness, surroundings) better than by what does. So a query may be
compared with those keys only whose galaxies are as bright and as large. And an auxiliary task, switched on by its
weight, is to predict the galaxy's photometry from each view: it needs no labels either.
"""

from typing import Any

import lightning
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.networks.encoder import Bottleneck, make_encoder
from astro_photz.train.networks.photometry import aperture_photometry, brightness_and_size, catalog_photometry

from .contrastive import KeyQueue, contrastive_loss, in_groups, most_similar
from .optimizer import Optimizer, total_steps
from .representation import alignment, uniformity

__all__ = ["PHOTOMETRY", "ContrastiveModel", "photometry_loss"]

PHOTOMETRY = {"apertures": 15, "catalog": 6}
"""What photometry can be predicted, and how many numbers it has: the stamp's own, or a catalogue's of the galaxy."""


_SMALLEST = 1e-6  # of the auxiliary losses, whose logarithms are taken: a thousandth of their unit


class _Projected(nn.Module):
    """An encoder, and two layers between its features and the contrastive loss, which are discarded afterwards."""

    def __init__(self, encoder, hidden, dim):
        super().__init__()
        self.encoder = encoder
        width = self.features.embedding_dim
        self.projection = nn.Sequential(nn.Linear(width, hidden or width), nn.ReLU(), nn.Linear(hidden or width, dim))

    @property
    def features(self):
        """The part of the encoder before a bottleneck."""
        return self.encoder.encoder if isinstance(self.encoder, Bottleneck) else self.encoder

    def forward(self, view):
        features = self.features(view, view.new_zeros(len(view)))  # views are dereddened
        return features, F.normalize(self.projection(features).float(), dim=1)


def _predictor(encoder, hidden, n_measured):
    """Make the layers that predict photometry: the encoder's own bottleneck, or some that are discarded afterwards."""
    if not isinstance(encoder, Bottleneck):
        return nn.Sequential(nn.Linear(encoder.embedding_dim, hidden), nn.ReLU(), nn.Linear(hidden, n_measured))
    if encoder.width < n_measured:
        raise ValueError(
            f"encoder.bottleneck must be at least {n_measured}, or 0 for none, to predict as many numbers of "
            f"photometry, got {encoder.width}"
        )
    return encoder.describe


def photometry_loss(predicted, measured):
    """
    Compute the loss of predicted photometry (B, K), over the quantities that were measured.

    It is the mean of the logarithms of the quantities' losses: each counts in units of its own error so far, as if its
    weight were always at its best (Kendall, Gal & Cipolla 2018, arXiv 1705.07115, equation 7). In
    a plain mean, u-g, which noise keeps any network from knowing well, would drown r-i and i-z, which say as much.
    """
    known = measured.isfinite()
    error = F.smooth_l1_loss(predicted[:, : measured.shape[1]], measured.nan_to_num(), reduction="none")
    seen = known.sum(dim=0)
    error = (error * known).sum(dim=0) / seen.clamp(min=1)
    return (error.clamp(min=_SMALLEST).log() * (seen > 0)).sum() / (seen > 0).sum().clamp(min=1)


class ContrastiveModel(lightning.LightningModule):
    """
    MoCo v2, with an auxiliary task if wanted, or that task alone.

    Parameters
    ----------
    encoder : dict
        Keywords of `~astro_photz.train.make_encoder`.
    augment : dict, optional
        Of `~astro_photz.train.augment.make_augmentation`: how views are made of dereddened stamps.
    contrastive_weight : float, optional
        Of the contrastive loss; 0 for the auxiliary task alone.
    queue_length : int, optional
        Number of keys in the queue.
    similar_negatives : int, optional
        Number of keys in the queue that a query is told from: those whose galaxies are nearest to its own in brightness
        and size (``tasks.contrastive.most_similar``). 0 for all.
    momentum : float, optional
        How much of itself the key encoder keeps in a step.
    temperature : float, optional
        That divides similarities in the loss.
    projection_dim : int, optional
        Of queries and keys.
    projection_hidden : int, optional
        Width of the hidden layer before them; 0 for that of the embedding.
    symmetric : bool, optional
        Whether each of the two views is a query once: twice the work.
    groups : int, optional
        Groups that batch normalisation sees a batch in, on each process. With 1, it leaks which key matches.
    photometry : {'apertures', 'catalog'}, optional
        Photometry that the auxiliary task predicts: the untouched stamp's brightness and colours in three apertures, or
        those of the galaxy as a whole, and its size, in a catalogue, which the batches then hold. Similar negatives are
        chosen by the same.
    photometry_weight : float, optional
        Of the auxiliary loss; 0 for none.
    photometry_hidden : int, optional
        Width of the hidden layer that predicts, where the encoder has no bottleneck to do so.
    optimizer : dict, optional
        Of `~astro_photz.train.Optimizer`.

    Examples
    --------
    >>> from astro_photz.train import ContrastiveModel
    >>> model = ContrastiveModel(encoder={"kind": "resnet18", "width": 8}, queue_length=256)
    >>> model.encoder.image_size
    64
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any],
        augment: dict[str, Any] | None = None,
        contrastive_weight: float = 1.0,
        queue_length: int = 4096,
        similar_negatives: int = 0,
        momentum: float = 0.999,
        temperature: float = 0.1,
        projection_dim: int = 128,
        projection_hidden: int = 0,
        symmetric: bool = False,
        groups: int = 4,
        photometry: str = "apertures",
        photometry_weight: float = 0.0,
        photometry_hidden: int = 256,
        optimizer: dict[str, Any] | None = None,
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
                    f"encoder.bottleneck must be 0 if pretrain.photometry_weight is, which alone teaches it; "
                    f"got {made.width}"
                )
            made.expand.requires_grad_(False)  # no task here teaches it
        self.key = AveragedModel(self.query, multi_avg_fn=get_ema_multi_avg_fn(momentum), use_buffers=True)
        self.key.requires_grad_(False)
        self.queue = KeyQueue(queue_length, projection_dim, with_photometry=similar_negatives > 0)
        if contrastive_weight == 0:
            self.query.projection.requires_grad_(False)  # which no task teaches then

    @property
    def encoder(self):
        """The query encoder: the part that is kept."""
        return self.query.encoder

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Compute the loss of a batch; its keys join the queue."""
        clean = deredden(batch["flux"], batch["ebv"])
        with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):  # fluxes need all their digits
            views = self.augment(clean), self.augment(clean)
            measured = self._measure(batch, clean)
            similar, negatives = self._choose(measured)
        others = self.queue.keys.clone()  # as it is now: the backward pass needs it, and new keys join before
        pairs = [views, views[::-1]] if self.hparams.symmetric else [views]
        steps = [self._match(*pair, others, negatives, measured) for pair in pairs]
        loss = torch.stack([loss for loss, _ in steps]).mean()
        if self.hparams.contrastive_weight:
            self.queue.append(steps[0][1], similar)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def _measure(self, batch, clean):
        """Measure the photometry that the auxiliary task is to predict, and that tells similar galaxies."""
        if self.predict is None and not self.hparams.similar_negatives:
            return None
        if self.hparams.photometry == "catalog":
            return catalog_photometry(batch["catalog_flux"], batch["catalog_radius"], batch["ebv"])
        return aperture_photometry(clean)

    def _choose(self, measured):
        """Measure brightness and size, and choose the keys that each query is told from; None for all."""
        if not self.hparams.similar_negatives:
            return None, None
        own = brightness_and_size(measured)
        return own, most_similar(own, self.queue.photometry, n=self.hparams.similar_negatives)

    def _match(self, view, other, others, negatives, measured):
        """Compute the loss of one view as the query, and the keys of the other."""
        features, query = in_groups(self.query, view, groups=self.hparams.groups)
        loss, key = 0.0, None
        if self.hparams.contrastive_weight:
            loss, key = self._contrast(query, other, others, negatives)
        if self.predict is not None:
            with torch.autocast(query.device.type, enabled=False):
                auxiliary = photometry_loss(self.predict(features.float()), measured)
            self.log("photometry_loss", auxiliary)
            loss = loss + self.hparams.photometry_weight * auxiliary
        return loss, key

    def _contrast(self, query, other, others, negatives):
        """Compute the contrastive loss of queries, and the keys of the other view."""
        with torch.no_grad():
            _, key = in_groups(self.key, other, groups=self.hparams.groups, shuffle=True)
        with torch.autocast(query.device.type, enabled=False):  # similarities are to a unit of a tenth
            temperature = self.hparams.temperature
            loss = contrastive_loss(query, key, others, temperature=temperature, negatives=negatives)
        quantities = {"alignment": alignment(query.detach(), key), "uniformity": uniformity(query.detach())}
        self.log_dict(quantities, on_step=False, on_epoch=True, sync_dist=True)
        self.log("contrastive_loss", loss.detach())
        return self.hparams.contrastive_weight * loss, key

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step the query encoder; the key encoder follows."""
        super().optimizer_step(*args, **kwargs)
        self.key.update_parameters(self.query)

    def configure_optimizers(self) -> dict[str, Any]:
        """Make the optimizer of all parameters but those of the key encoder."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return self.optimizer.make([{"params": learning}], steps=total_steps(self.trainer))
