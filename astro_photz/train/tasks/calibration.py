# Licensed under a 3-clause BSD style license - see LICENSE
"""
Calibration: PDFs as wide as the errors that the network makes on galaxies it has not seen.

Two corrections are learnt on the validation set and folded into the head, so that what is exported is calibrated:

- The *temperature* divides the scores of all bins (Guo et al. 2017, arXiv 1706.04599): above 1 it widens every PDF. It
  is taken only if the likelihood of the redshifts changes with it, beyond chance: a score test whose variance is that
  of the galaxies, or of groups that are not independent (Boos 1992, The American Statistician 46, 327), so that one
  outlier in a small sample does not widen all PDFs.
- The *recalibration* maps the cumulative probability F of every PDF to G(F), where G is the distribution of the PIT
  (Bordoloi et al. 2010, arXiv 0910.5735; Kuleshov et al. 2018, arXiv 1807.00263). It corrects errors that no width can,
  such as PDFs that all lie a little too low. It is taken only if the PIT is not uniform without it, beyond what a
  model's card calls chance, and nearer to uniform with it on galaxies that it was not learnt on.
"""

import copy
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.stats import chi2
from torch.nn import functional as F

from astro_photz.metrics import pit_ks, pit_ks_by_chance
from astro_photz.pdf import RedshiftPDF
from astro_photz.train.data.splits import FEWEST
from astro_photz.train.networks.heads import Z_EDGES, CalibratedHead, linear_layer

from .labels import hard_labels

__all__ = ["calibrate", "fit_recalibration", "fit_temperature", "fold_temperature"]

_KNOTS = 12  # intervals of the PIT: few, so that each holds many galaxies


_LEVELS = 256  # straight pieces that stand for the curve through the knots


_BEYOND_CHANCE = chi2.isf(0.01, 1)  # how often a temperature may be thought needed where it is not


_STEP = 0.01  # of the temperature, relative, for a slope


def calibrate(head, embedding, redshift, *, groups=None, seed=0):
    """
    Calibrate a head on galaxies that it was not trained on.

    Parameters
    ----------
    head : `torch.nn.Linear` or `CalibratedHead`
        It stays as it is. One that is calibrated already keeps what it has, where nothing else is needed.
    embedding : `torch.Tensor` (N, D)
    redshift : `torch.Tensor` (N,)
    groups : array_like (N,), optional
        Galaxies with the same number are not independent, such as simulated ones that were drawn from the same real
        one: what a thousand of them have in common is not known from a thousand galaxies.
    seed : int, optional
        Of the halves into which the galaxies, or their groups, are split: what one teaches is judged by the other.

    Returns
    -------
    head : `torch.nn.Module`
        A copy with the temperature in it, as a `CalibratedHead` where a recalibration is needed.
    report : dict
        ``method``, ``temperature``, ``recalibrated``, ``n``, ``n_independent``, and ``pit_ks``, judged by halves:
        ``before``, with the ``temperature``, and with the ``recalibration`` too; and what of it may be ``by_chance``.
        For the model's card.

    Raises
    ------
    ValueError
        If there are fewer than 100 galaxies, or they are one and the same.
    """
    if len(embedding) < FEWEST:
        raise ValueError(f"calibration takes {FEWEST} galaxies at least, got {len(embedding)}: use more for validation")
    together = np.arange(len(embedding)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if not together.any():
        raise ValueError("calibration takes different galaxies, but all groups are the same: use others for validation")
    pit, pit_groups = _held_out_pit(head, embedding, redshift, together, seed)
    distance = {name: pit_ks(values) for name, values in pit.items()}
    alike = None if groups is None else pit_groups
    by_chance = pit_ks_by_chance(pit["temperature"], groups=alike)  # what a card sets beside the distance
    needed = distance["recalibration"] < distance["temperature"] > by_chance

    calibrated, temperature = _with_temperature(head, embedding, redshift, together)
    if needed:
        calibrated = _recalibrated(calibrated, embedding, redshift)
    taken = ["temperature"] * (temperature != 1) + ["recalibration of the PIT"] * needed
    return calibrated, {
        "method": " and ".join(taken) or "none needed",
        "temperature": round(temperature, 4),
        "recalibrated": needed,
        "n": len(embedding),
        "n_independent": int(together.max()) + 1,
        "pit_ks": {name: round(value, 5) for name, value in (distance | {"by_chance": by_chance}).items()},
    }


def _held_out_pit(head, embedding, redshift, groups, seed):
    """
    PIT before and after each correction, of either half by the corrections that the other half teaches; and the groups,
    in the same order.
    """
    second = np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % 2 == 1
    halves, parts = (np.flatnonzero(~second), np.flatnonzero(second)), []
    for learn, judge in (halves, halves[::-1]):
        warm, _ = _with_temperature(head, embedding[learn], redshift[learn], groups[learn])
        tried = head, warm, _recalibrated(warm, embedding[learn], redshift[learn])
        parts.append([_pit(one, embedding[judge], redshift[judge]) for one in tried])
    pit = dict(zip(("before", "temperature", "recalibration"), np.concatenate(parts, axis=1), strict=True))
    return pit, groups[np.concatenate(halves[::-1])]


def _with_temperature(head, embedding, redshift, groups):
    """Give a head the temperature that it needs; return that temperature too, 1 if none is needed."""
    linear = linear_layer(head)
    with torch.no_grad():
        temperature = fit_temperature(linear(embedding), redshift, recalibrate=getattr(head, "recalibrate", None))
    slope = np.bincount(groups, _slope(head, embedding, redshift))
    needed = slope.sum() ** 2 > (slope**2).sum() * _BEYOND_CHANCE
    return (_warmed(head, temperature), temperature) if needed else (copy.deepcopy(head), 1.0)


def _warmed(head, temperature):
    warm = copy.deepcopy(head)
    fold_temperature(linear_layer(warm), temperature)
    return warm


@torch.no_grad()
def _log_likelihood(head, embedding, redshift):
    """Log-likelihood of the redshift of each galaxy (N,)."""
    return -F.cross_entropy(head(embedding).double(), hard_labels(redshift), reduction="none").numpy()


def _slope(head, embedding, redshift):
    """Slope of the log-likelihood of each galaxy (N,) with the temperature, at 1, in arbitrary units."""
    ends = (_warmed(head, 1 + step) for step in (_STEP, -_STEP))
    return np.subtract(*(_log_likelihood(one, embedding, redshift) for one in ends))


def _recalibrated(head, embedding, redshift):
    levels = fit_recalibration(_pit(head, embedding, redshift))
    if isinstance(head, CalibratedHead):  # one map, and then the other
        levels = np.interp(head.levels, np.linspace(0, 1, len(levels)), levels)
    return CalibratedHead(linear_layer(head), levels)


@torch.no_grad()
def _pit(head, embedding, redshift):
    return RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES).pit(redshift.numpy())


def fit_recalibration(pit):
    """
    Fit the distribution function of the PIT: a monotone cubic (Fritsch & Carlson 1980) through a few knots.

    Parameters
    ----------
    pit : array_like (N,)
        Cumulative probabilities at the true redshifts.

    Returns
    -------
    levels : `~numpy.ndarray` (257,)
        At equal steps from 0 to 1; strictly increasing, so that no bin loses all of its probability.

    Examples
    --------
    PDFs that lie too low, so that true redshifts are in their upper half too often:

    >>> import numpy as np
    >>> from astro_photz.train.tasks.calibration import fit_recalibration
    >>> levels = fit_recalibration(np.sqrt(np.linspace(0, 1, 10001)))
    >>> levels[[0, 128, 256]].round(2)
    array([0.  , 0.25, 1.  ])
    """
    knots = np.linspace(0, 1, _KNOTS + 1)
    counts = np.histogram(pit, bins=knots)[0] + 1.0  # one galaxy more in each, as if the PIT were uniform
    reached = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    levels = PchipInterpolator(knots, reached)(np.linspace(0, 1, _LEVELS + 1))
    levels[0], levels[-1] = 0, 1  # to the bit
    return levels


def fit_temperature(logits: torch.Tensor, redshift: torch.Tensor, *, recalibrate: Any = None) -> float:
    """
    Find the temperature at which the true redshifts are most likely.

    Parameters
    ----------
    logits : `torch.Tensor` (N, 180)
        Scores of the redshift bins.
    redshift : `torch.Tensor` (N,)
    recalibrate : callable, optional
        Function of the scores after they are divided by the temperature.

    Returns
    -------
    float

    Examples
    --------
    Scores that say twice too much about each galaxy:

    >>> import torch
    >>> from astro_photz.train import fit_temperature
    >>> generator = torch.Generator().manual_seed(0)
    >>> scores = torch.randn(4000, 180, generator=generator)
    >>> drawn = torch.multinomial(scores.softmax(dim=1), 1, generator=generator)[:, 0]
    >>> redshift = (drawn + 0.5) * 0.4 / 180
    >>> round(fit_temperature(2 * scores, redshift), 1)
    2.0
    """
    logits, labels = logits.double(), hard_labels(redshift.double())
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        scores = logits * torch.exp(-log_temperature)
        loss = F.cross_entropy(scores if recalibrate is None else recalibrate(scores), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(log_temperature.detach().exp())


@torch.no_grad()
def fold_temperature(head: torch.nn.Module, temperature: float) -> torch.nn.Module:
    """
    Divide a linear head's scores by a temperature, in place.

    Parameters
    ----------
    head : `torch.nn.Linear`
    temperature : float

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train import fold_temperature
    >>> head = torch.nn.Linear(8, 180)
    >>> scores = head(torch.ones(1, 8))
    >>> fold_temperature(head, 2.0)
    >>> torch.allclose(head(torch.ones(1, 8)), scores / 2)
    True
    """
    head.weight /= temperature
    head.bias /= temperature
