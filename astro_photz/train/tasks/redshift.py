# Licensed under a 3-clause BSD style license - see LICENSE
"""
Learn redshifts from labelled images: the classification of a galaxy into bins of redshift, run by Lightning.

The head gives a probability for each of 180 bins on 0 <= z < 0.4 (Pasquet et al. 2019). The loss is the cross entropy.
A recipe may spread the label over a few bins, since redshift bins have neighbours, which classes do not.

The encoder begins with random weights, or with those of a pretraining
(`~astro_photz.train.networks.weights.load_weights`), and is then *fine-tuned*: it stays as it is and only the head
learns, or it learns as well, its first layers slower than its last if wanted.
"""

from typing import Any, Self

import lightning
import torch
from torch import nn
from torch.nn import functional as F

from astro_photz.metrics import sigma_mad
from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.networks.encoder import Bottleneck, make_encoder
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.utils._settings import check_one_of

from .labels import hard_labels, soft_labels
from .optimizer import Optimizer, total_steps

__all__ = ["LOSSES", "RedshiftModel", "parameter_groups"]

LOSSES = ("soft", "cross_entropy")
"""Names of the losses."""


def parameter_groups(encoder, head, *, layer_decay):
    """
    Group parameters that learn at the same rate; the head learns at the full one.

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
    """The layer of a parameter, within the encoders that photometry or a bottleneck wraps."""
    while name.startswith("encoder."):
        name = name.removeprefix("encoder.")
    return name.partition(".")[0]


class RedshiftModel(lightning.LightningModule):
    """
    An encoder and a redshift head, and their training.

    Parameters
    ----------
    encoder : dict
        Keywords of `~astro_photz.train.make_encoder`, ``kind`` among them.
    augment : dict, optional
        Of `~astro_photz.train.augment.make_augmentation`: how stamps are changed in training.
    loss : {"soft", "cross_entropy"}, optional
        Whether the labels are spread over bins.
    label_width : float, optional
        By how much, in redshift; see ``soft_labels``.
    dropout : float, optional
        Of the embedding, before the head.
    frozen : bool, optional
        Whether the encoder is left as it is, but for the part of a bottleneck that always learns with the head.
    layer_decay : float, optional
        See ``parameter_groups``.
    optimizer : dict, optional
        Of `~astro_photz.train.Optimizer`.

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
        encoder: dict[str, Any],
        augment: dict[str, Any] | None = None,
        loss: str = "soft",
        label_width: float = 0.004,
        dropout: float = 0.1,
        frozen: bool = False,
        layer_decay: float = 1.0,
        optimizer: dict[str, Any] | None = None,
    ):
        super().__init__()
        check_one_of("loss", loss, LOSSES)
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
        self._validation: list[torch.Tensor] = []
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder keeps its statistics."""
        super().train(mode)
        if self.hparams.frozen:
            self.encoder.eval()
        return self

    def forward(self, flux: torch.Tensor, ebv: torch.Tensor) -> torch.Tensor:
        """
        Compute the scores of the redshift bins.

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

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Compute the loss of a batch."""
        loss, _ = self._loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Compute the loss of a batch, and keep its estimates for the scatter of the whole set."""
        loss, logits = self._loss(batch)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(logits), sync_dist=True)
        centres = torch.as_tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32, device=logits.device)
        estimate = logits.softmax(dim=1) @ centres
        self._validation.append((estimate - batch["redshift"]) / (1 + batch["redshift"]))

    def on_validation_epoch_end(self) -> None:
        """Log the scatter over the validation set; with several processes, the mean over their shares."""
        deviation = torch.cat(self._validation)
        self._validation.clear()
        scatter = torch.tensor(sigma_mad(deviation.cpu().numpy()), device=deviation.device)
        self.log_dict({"val_sigma_mad": scatter, "val_bias": deviation.mean()}, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:
        """Make the optimizer, and its schedule over the whole training."""
        groups = parameter_groups(self.encoder, self.head, layer_decay=self.hparams.layer_decay)
        return self.optimizer.make(groups, steps=total_steps(self.trainer))
