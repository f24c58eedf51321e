# Licensed under a 3-clause BSD style license - see LICENSE
"""
Calibration: PDFs as wide as the errors that the network makes on galaxies it has not seen.

One number, the temperature, divides the scores of all bins (Guo et al. 2017, arXiv 1706.04599): above 1 it widens
every PDF. It is chosen on the validation set and folded into the head, so that what is exported is calibrated.
"""

from ._torch import torch
from .redshift import Z_EDGES

F = torch.nn.functional

__all__ = ["fit_temperature", "fold_temperature"]


def fit_temperature(logits, redshift):
    """
    The temperature at which the true redshifts are most likely.

    Parameters
    ----------
    logits : `torch.Tensor` (N, 180)
        Scores of the redshift bins.
    redshift : `torch.Tensor` (N,)

    Returns
    -------
    float

    Examples
    --------
    Scores that say twice too much about each galaxy:

    >>> import torch
    >>> from astro_photz.train.calibrate import fit_temperature
    >>> generator = torch.Generator().manual_seed(0)
    >>> scores = torch.randn(4000, 180, generator=generator)
    >>> drawn = torch.multinomial(scores.softmax(dim=1), 1, generator=generator)[:, 0]
    >>> redshift = (drawn + 0.5) * 0.4 / 180
    >>> round(fit_temperature(2 * scores, redshift), 1)
    2.0
    """
    logits = logits.double()
    labels = torch.bucketize(redshift.double(), torch.as_tensor(Z_EDGES[1:-1]), right=True)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(logits * torch.exp(-log_temperature), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(log_temperature.detach().exp())


@torch.no_grad()
def fold_temperature(head, temperature):
    """
    Divide a linear head's scores by a temperature, in place.

    Parameters
    ----------
    head : `torch.nn.Linear`
    temperature : float
    """
    head.weight /= temperature
    head.bias /= temperature
