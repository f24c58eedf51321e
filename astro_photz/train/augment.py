# Licensed under a 3-clause BSD style license - see LICENSE
"""
Changes to stamps that leave the redshift alone, each a module that works on a batch.

Turns and mirrors are not among them: the encoder does not see those in the first place
(`astro_photz.train.symmetry`).
"""

from ._torch import torch

nn = torch.nn

__all__ = ["JitterCrop", "MissingPixels"]


class JitterCrop(nn.Module):
    """
    Crop a larger stamp, off its centre by some whole pixels in each direction.

    Parameters
    ----------
    size : int
        Side of the crop (pixels).
    jitter : int
        Largest displacement (pixels); cut down to what the stamp has room for.
    """

    def __init__(self, size, jitter):
        super().__init__()
        self.size = size
        self.jitter = jitter

    def forward(self, flux):
        """
        Crop; in the middle when not training.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, size, size)
        """
        margin = (flux.shape[-1] - self.size) // 2
        if margin < 0:
            raise ValueError(f"stamps must have at least {self.size} pixels a side, got {flux.shape[-1]}")
        reach = min(self.jitter, margin) if self.training else 0
        if reach == 0:
            return flux[..., margin : margin + self.size, margin : margin + self.size]
        corners = margin + torch.randint(-reach, reach + 1, (len(flux), 2))
        along = torch.arange(self.size)
        stamp = torch.arange(len(flux))[:, None, None]
        rows, columns = corners[:, 0, None, None] + along[:, None], corners[:, 1, None, None] + along
        return flux.movedim(1, -1)[stamp, rows, columns].movedim(-1, 1)


class MissingPixels(nn.Module):
    """
    Take a band, or what lies beyond a straight edge, from a few stamps, as frames do that end.

    Parameters
    ----------
    band : float
        Share of the stamps that lose a band.
    edge : float
        Share of the stamps that lose a side.
    """

    def __init__(self, *, band=0.02, edge=0.03):
        super().__init__()
        self.band = band
        self.edge = edge

    def forward(self, flux):
        """
        Put NaN where pixels are taken; nothing when not training.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        if not self.training:
            return flux
        n, bands, _, size = flux.shape
        lost = (torch.rand(n) < self.band)[:, None] & (torch.arange(bands) == torch.randint(bands, (n, 1)))
        # The galaxy itself is seldom cut: an edge leaves between a half and all of the stamp.
        first = torch.where(torch.rand(n) < self.edge, torch.randint(size // 2, size, (n,)), size)
        beyond = torch.arange(size) >= first[:, None]
        missing = lost[:, :, None, None] | beyond[:, None, None, :]
        return flux.masked_fill(missing, torch.nan)
