# Licensed under a 3-clause BSD style license - see LICENSE
"""
Supervised training of redshifts: the classification of a galaxy into bins of redshift, run by Lightning.

The head gives a probability for each of 180 bins on 0 <= z < 0.4 (Pasquet et al. 2019). The loss is the cross entropy
with the label spread over a few bins, since redshift bins have neighbours, which classes do not.
"""

import numpy as np

from astro_photz.pdf import RedshiftPDF

from ._torch import torch
from .augment import JitterCrop, MissingPixels
from .encoder import Encoder

try:
    import lightning
except ImportError as error:
    raise ImportError('training needs lightning: pip install "astro-photz[train]"') from error

nn = torch.nn
F = torch.nn.functional

__all__ = ["Z_EDGES", "RedshiftModel", "soft_labels"]

Z_EDGES = np.linspace(0.0, 0.4, 181)
"""Edges of the redshift bins."""

_SCATTER = 1.4826  # of a Gaussian, over its median absolute deviation


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


class RedshiftModel(lightning.LightningModule):
    """
    Encoder and redshift head, and how they are trained.

    Parameters
    ----------
    fields, embedding_dim, blocks, half_precision, shape_dropout
        Of `~astro_photz.train.encoder.Encoder`.
    learning_rate : float, optional
        Highest of a one-cycle schedule of AdamW.
    weight_decay : float, optional
    label_width : float, optional
        Spread of the labels in redshift; see `soft_labels`.
    jitter : int, optional
        Largest displacement of the galaxy from the centre of its stamp (pixels).
    dropout : float, optional
        Of the embedding, before the head.
    """

    def __init__(
        self,
        *,
        fields=4,
        embedding_dim=128,
        blocks=(1, 1, 1, 1),
        half_precision=True,
        shape_dropout=0.2,
        learning_rate=4e-3,
        weight_decay=0.02,
        label_width=0.004,
        jitter=2,
        dropout=0.1,
    ):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = Encoder(
            fields=fields,
            embedding_dim=embedding_dim,
            blocks=blocks,
            half_precision=half_precision,
            shape_dropout=shape_dropout,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding_dim, len(Z_EDGES) - 1)
        self.augment = nn.Sequential(JitterCrop(self.encoder.image_size, jitter), MissingPixels())
        self._validation = []

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
        return self.head(self.dropout(self.encoder(self.augment(flux), ebv)))

    def _loss(self, batch):
        logits = self(batch["flux"], batch["ebv"])
        return F.cross_entropy(logits, soft_labels(batch["redshift"], width=self.hparams.label_width)), logits

    def training_step(self, batch, _):
        """Loss of a batch."""
        loss, _ = self._loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        """Loss of a batch, and its estimates put aside for the whole set's scatter."""
        loss, logits = self._loss(batch)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(logits))
        centres = torch.as_tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32, device=logits.device)
        estimate = logits.softmax(dim=1) @ centres
        self._validation.append((estimate - batch["redshift"]) / (1 + batch["redshift"]))

    def on_validation_epoch_end(self):
        """Scatter over the validation set."""
        deviation = torch.cat(self._validation)
        self._validation.clear()
        scatter = _SCATTER * (deviation - deviation.median()).abs().median()
        self.log_dict({"val_sigma_mad": scatter, "val_bias": deviation.mean()}, prog_bar=True)

    def configure_optimizers(self):
        """AdamW, warmed up and annealed once over the whole training."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.hparams.learning_rate, weight_decay=self.hparams.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.hparams.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.15,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def predict_pdf(self, flux, ebv):
        """
        Redshift PDFs.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)
        ebv : `torch.Tensor` (B,)

        Returns
        -------
        `~astro_photz.RedshiftPDF` (B,)
        """
        self.eval()
        return RedshiftPDF(self(flux, ebv).softmax(dim=1).numpy(), Z_EDGES)
