# Licensed under a 3-clause BSD style license - see LICENSE
"""
Learning redshifts from labelled images: the classification of a galaxy into bins of redshift, run by Lightning.

The head gives a probability for each of 180 bins on 0 <= z < 0.4 (Pasquet et al. 2019). The loss is the cross entropy,
by choice with the label spread over a few bins, since redshift bins have neighbours, which classes do not.

The encoder begins with random weights, or with those of a pretraining
(`~astro_photz.train.networks.weights.load_weights`), which then are *fine-tuned*: left as they are, so that only the
head learns, or trained as well, those of the first layers slower than those of the last if wanted.
"""

import numpy as np

from astro_photz.metrics import sigma_mad
from astro_photz.train._lightning import lightning
from astro_photz.train._torch import torch
from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.networks.encoder import Bottleneck, make_encoder

from .optimizer import Optimizer, total_steps

nn = torch.nn
F = torch.nn.functional

__all__ = ["LOSSES", "Z_EDGES", "RedshiftModel", "hard_labels", "parameter_groups", "soft_labels"]

Z_EDGES = np.linspace(0.0, 0.4, 181)
"""Edges of the redshift bins."""

LOSSES = ("soft", "cross_entropy")
"""Names of the losses."""


def soft_labels(redshift, *, width):
    """
    Redshifts as probabilities of the bins: a Gaussian about each, integrated over the bins.

    Parameters
    ----------
    redshift : `torch.Tensor` (B,)
        What lies beyond the grid goes into its last bin.
    width : float
        Standard deviation of the Gaussian.

    Returns
    -------
    `torch.Tensor` (B, 180)
        Rows sum to 1.
    """
    edges = torch.as_tensor(Z_EDGES, dtype=redshift.dtype, device=redshift.device)
    redshift = redshift.clamp(max=float(Z_EDGES[-2:].mean()))
    cumulative = torch.special.ndtr((edges - redshift[:, None]) / width)
    labels = cumulative.diff(dim=1)
    return labels / labels.sum(dim=1, keepdim=True)


def hard_labels(redshift):
    """
    The bin that each redshift lies in.

    Parameters
    ----------
    redshift : `torch.Tensor` (B,)
        What lies beyond the grid goes into its last bin.

    Returns
    -------
    `torch.Tensor` (B,) of int
    """
    inner = torch.as_tensor(Z_EDGES[1:-1], dtype=redshift.dtype, device=redshift.device)
    return torch.bucketize(redshift, inner, right=True)


def parameter_groups(encoder, head, *, layer_decay):
    """
    Parameters in groups that learn at different rates, the head's at the full one.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Its layers are its direct children, in their order, and those of an encoder within it.
    head : `torch.nn.Module`
    layer_decay : float
        Factor of the learning rate from layer to layer, away from the head (Clark et al. 2020, arXiv 2003.10555).

    Returns
    -------
    list of dict
        ``params`` and ``scale``, for `~astro_photz.train.tasks.optimizer.Optimizer.make`; frozen ones are left out.
    """
    layers = {}
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            layers.setdefault(_layer(name), []).append(parameter)
    last_first = [list(head.parameters()), *reversed(layers.values())]
    return [{"params": layer, "scale": layer_decay**depth} for depth, layer in enumerate(last_first)]


def _layer(name):
    """Of a parameter: what photometry stands beside and a bottleneck stands behind is their child ``encoder``."""
    while name.startswith("encoder."):
        name = name.removeprefix("encoder.")
    return name.partition(".")[0]


class RedshiftModel(lightning.LightningModule):
    """
    Encoder and redshift head, and how they are trained.

    Parameters
    ----------
    encoder : dict
        Keywords of `~astro_photz.train.make_encoder`, ``kind`` among them.
    augment : dict, optional
        Of `~astro_photz.train.augment.chain.make_augmentation`: how stamps are changed in training.
    loss : {"soft", "cross_entropy"}, optional
        Whether the labels are spread over bins.
    label_width : float, optional
        By how much, in redshift; see `soft_labels`.
    dropout : float, optional
        Of the embedding, before the head.
    frozen : bool, optional
        Whether the encoder is left as it is, but for what of a bottleneck nothing has taught yet.
    layer_decay : float, optional
        See `parameter_groups`.
    optimizer : dict, optional
        Of `~astro_photz.train.tasks.optimizer.Optimizer`.

    Raises
    ------
    ValueError
        If there is no such loss, or an option is out of its range.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train import RedshiftModel
    >>> model = RedshiftModel(encoder={"kind": "resnet18", "width": 8}).eval()
    >>> model(torch.zeros(2, 5, 64, 64), torch.zeros(2)).shape
    torch.Size([2, 180])
    """

    def __init__(
        self,
        *,
        encoder,
        augment=None,
        loss="soft",
        label_width=0.004,
        dropout=0.1,
        frozen=False,
        layer_decay=1.0,
        optimizer=None,
    ):
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if not 0 < layer_decay <= 1:
            raise ValueError(f"layer_decay must be above 0 and at most 1, got {layer_decay}")
        self.save_hyperparameters()
        self.encoder = make_encoder(**encoder)
        self.encoder.requires_grad_(not frozen)
        if isinstance(self.encoder, Bottleneck):
            self.encoder.expand.requires_grad_(True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.embedding_dim, len(Z_EDGES) - 1)
        self.augment = make_augmentation(augment or {})
        self.optimizer = Optimizer(**optimizer or {})
        self._validation = []
        self.train()

    def train(self, mode=True):
        """Set the mode; a frozen encoder keeps its statistics."""
        super().train(mode)
        if self.hparams.frozen:
            self.encoder.eval()
        return self

    def forward(self, flux, ebv):
        """
        Scores of the redshift bins.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)
            Nanomaggies, as observed; cropped to the encoder's size.
        ebv : `torch.Tensor` (B,)

        Returns
        -------
        logits : `torch.Tensor` (B, 180)
        """
        with torch.autocast(flux.device.type, enabled=False):  # fluxes need all their digits
            flux = self.augment(flux)
        return self.head(self.dropout(self.encoder(flux, ebv)))

    def _loss(self, batch):
        logits = self(batch["flux"], batch["ebv"]).float()
        redshift = batch["redshift"]
        soft = self.hparams.loss == "soft"
        labels = soft_labels(redshift, width=self.hparams.label_width) if soft else hard_labels(redshift)
        return F.cross_entropy(logits, labels), logits

    def training_step(self, batch, _):
        """Loss of a batch."""
        loss, _ = self._loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        """Loss of a batch, and its estimates put aside for the whole set's scatter."""
        loss, logits = self._loss(batch)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(logits), sync_dist=True)
        centres = torch.as_tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32, device=logits.device)
        estimate = logits.softmax(dim=1) @ centres
        self._validation.append((estimate - batch["redshift"]) / (1 + batch["redshift"]))

    def on_validation_epoch_end(self):
        """Scatter over the validation set; with several processes, the mean of their shares'."""
        deviation = torch.cat(self._validation)
        self._validation.clear()
        scatter = torch.tensor(sigma_mad(deviation.cpu().numpy()), device=deviation.device)
        self.log_dict({"val_sigma_mad": scatter, "val_bias": deviation.mean()}, prog_bar=True, sync_dist=True)

    def configure_optimizers(self):
        """The optimizer and its schedule over the whole training."""
        groups = parameter_groups(self.encoder, self.head, layer_decay=self.hparams.layer_decay)
        return self.optimizer.make(groups, steps=total_steps(self.trainer))
