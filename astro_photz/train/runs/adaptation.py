# Licensed under a 3-clause BSD style license - see LICENSE
"""
Carrying a trained model over to another sample of galaxies, by a few hundred redshifts of it.

What differs between samples, such as a zero-point or the mix of galaxies, moves the embeddings of all galaxies much
alike. So what is learnt is one *shift* of the embedding, before the head that the model has: as many numbers as the
embedding has, where the head alone has a hundred times more, which a few hundred labels cannot tell. The shift has a
Gaussian prior about zero, in units of each number's scatter over the sample. How wide the prior is, or that there
should be no shift at all, is chosen by cross-validation: a model that fits already stays what it is.

The likelihood is concave in the shift (but for a recalibrated head, of which it is nearly), so there is one solution,
which a quasi-Newton method finds in a second: there is no learning rate, and there are no epochs. The encoder stays as
it is; to train it too, see `astro_photz.train.finetune` and the recipe ``whole``.
"""

import copy

import numpy as np

from astro_photz import metrics
from astro_photz.pdf import RedshiftPDF
from astro_photz.train._torch import torch
from astro_photz.train.data.stamps import Stamps, check_stamps
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.weights import WEIGHTS, origin, read_head, read_weights, weights_file, write_weights
from astro_photz.train.tasks.calibration import FEWEST, linear_layer
from astro_photz.train.tasks.probe import embed
from astro_photz.train.tasks.redshift import Z_EDGES, soft_labels
from astro_photz.utils._files import sha256

from .folder import RunFolder, contents

__all__ = ["WIDTHS", "adapt", "fit_shift", "held_out"]

WIDTHS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Widths of the prior that are tried, in units of the embedding's scatter; 0 is no shift."""

_FOLDS = 5
_FEWEST_LABELS = 20
_LABEL_WIDTH = 0.004
_BEYOND = 2  # errors that a gain must come to: the best of several widths is a little better by chance


def adapt(data, folder, *, init="bundled", validation=None, n_labels=None, seed=0, overwrite=False):
    """
    Adapt a model to a sample: a shift of its embeddings, from the labels. `astro_photz.train.export_run` calibrates it.

    Parameters
    ----------
    data : str or path-like
        HDF5 file of labelled stamps.
    folder : str or path-like
        Where weights and metrics go: see `astro_photz.train.runs.folder`.
    init : str or path-like, optional
        The model to begin with: its name or folder, or the folder of a fine-tuning. By default the one that comes with
        the package.
    validation : str or path-like, optional
        HDF5 file of labelled stamps to calibrate with. Without it, the larger of 100 galaxies and a fifth of ``data``,
        drawn by the seed, are held out for that.
    n_labels : int, optional
        How many of the stamps to learn from, drawn by the seed; all by default.
    seed : int, optional
    overwrite : bool, optional
        Remove a training that is in the folder.

    Returns
    -------
    dict
        Metrics, as in ``metrics.json``: ``shift``, what `fit_shift` tells; ``before`` and ``after``, the model's
        metrics on the galaxies for validation, which nothing has been learnt from.

    Raises
    ------
    OSError
        If a file is not there or cannot be read, or the folder holds something else.
    ValueError
        If a file has no redshifts, or such as cannot be learnt, or too few galaxies; or if ``init`` is an encoder
        without a head.
    """
    settings, state = read_weights(init)
    head = read_head(init)
    if head is None:
        raise ValueError(f"{init} has no redshift head to adapt: train one, by a recipe (--recipe small)")
    learn, judge, held = _stamps(data, validation, n_labels, seed)
    run, files, begun = RunFolder(folder), {"data": data, "validation": validation}, weights_file(init)
    if overwrite:
        run.clear(begun, *files.values())
    what = {"kind": "adapt", "seed": seed, "n_labels": len(learn), "held_out": held, "init": sha256(begun)}
    run.begin(what | {"origin": origin(init)} | contents(files), files=files | {"init": begun})
    if run.metrics:
        return run.metrics

    encoder = make_encoder(**settings)
    encoder.load_state_dict(state)
    encoder.eval()
    known, judged = (_embedded(encoder, stamps) for stamps in (learn, judge))
    adapted, shift = fit_shift(head, *known, groups=learn.groups, seed=seed)
    write_weights(run.path / WEIGHTS, encoder, settings, head=adapted)
    return run.finish({"shift": shift, "before": _metrics(head, *judged), "after": _metrics(adapted, *judged)})


def held_out(n):
    """
    How many galaxies of a sample are held out to calibrate with.

    Parameters
    ----------
    n : int
        Of the sample.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If nothing would be left to learn from.

    Examples
    --------
    >>> from astro_photz.train.runs.adaptation import held_out
    >>> held_out(300), held_out(5000)
    (100, 1000)
    """
    if n < 2 * FEWEST:
        raise ValueError(
            f"{n} galaxies are too few: without a file for validation, {FEWEST} are held out to calibrate with, and as "
            "many at least must be left to learn from"
        )
    return max(FEWEST, n // 5)


def _stamps(data, validation, n_labels, seed):
    """Stamps to learn from and to judge by, and how many of the first file the latter are."""
    for path in filter(None, (data, validation)):
        check_stamps(path)
    held = 0 if validation else held_out(len(Stamps(data)))
    learn = Stamps(data, n=n_labels, held_out=held, seed=seed)
    judge = Stamps(validation) if validation else Stamps(data, held_out=held, learn=False, seed=seed)
    if len(judge) < FEWEST:
        raise ValueError(f"{validation}: {len(judge)} galaxies are too few: a calibration takes {FEWEST} at least")
    _check_number(len(learn))
    return learn, judge, held and len(judge)


def _check_number(n):
    if n < _FEWEST_LABELS:
        raise ValueError(f"there must be at least {_FEWEST_LABELS} galaxies to learn from, got {n}")


def _embedded(encoder, stamps):
    return embed(encoder, stamps, np.arange(len(stamps))), torch.from_numpy(stamps.redshift)


@torch.no_grad()
def _metrics(head, embedding, redshift):
    pdf = RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES)
    return metrics.summary(metrics.score(pdf, redshift.numpy()))


def fit_shift(head, embedding, redshift, *, groups=None, seed=0):
    """
    Adapt a head to a sample by a shift of the embeddings.

    Parameters
    ----------
    head : `torch.nn.Linear` or `~astro_photz.train.tasks.calibration.CalibratedHead`
        It stays as it is.
    embedding : `torch.Tensor` (N, D)
    redshift : `torch.Tensor` (N,)
    groups : array_like (N,), optional
        Galaxies with the same number are not independent, such as simulated ones that were drawn from the same real
        one: they stay together in the cross-validation.
    seed : int, optional
        Of the parts that the galaxies are shared out to for the cross-validation.

    Returns
    -------
    head : `torch.nn.Module`
        A copy with the shift in it: in its biases.
    report : dict
        ``n``; ``width``, of the prior, 0 for no shift; ``gain``, by how much the logarithm of the likelihood of a
        galaxy's redshift is larger for it than without, and ``gain_err``, both from galaxies that the shift was not
        learnt from. A gain that is not larger than twice its error is none.

    Raises
    ------
    ValueError
        If there are fewer than 20 galaxies.

    Examples
    --------
    A head that reads the redshift off one number, which has an offset of 0.2 in the new sample:

    >>> import torch
    >>> from astro_photz.train.runs.adaptation import fit_shift
    >>> from astro_photz.train.tasks.redshift import Z_EDGES
    >>> centres = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
    >>> head = torch.nn.Linear(1, 180)
    >>> with torch.no_grad():
    ...     head.weight[:], head.bias[:] = 1000 * centres[:, None], -5000 * centres**2
    >>> redshift = torch.linspace(0.1, 0.3, 200)
    >>> embedding = 10 * redshift[:, None] + 0.2
    >>> adapted, report = fit_shift(head, embedding, redshift)
    >>> mean = lambda head: head(embedding).softmax(dim=1) @ centres
    >>> bool((mean(head) - redshift).mean() > 0.019), bool((mean(adapted) - redshift).mean().abs() < 0.001)
    (True, True)
    """
    _check_number(len(embedding))
    labels = soft_labels(redshift, width=_LABEL_WIDTH)
    together = np.arange(len(embedding)) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = torch.from_numpy(np.random.default_rng(seed).permutation(together.max() + 1)[together] % _FOLDS)
    likelihood = {width: _cross_validated(head, embedding, labels, width, parts) for width in WIDTHS}
    best = max(WIDTHS, key=lambda width: float(likelihood[width].mean()))
    difference = (likelihood[best] - likelihood[0.0]).numpy()
    gain = float(difference.mean())
    error = float(np.linalg.norm(np.bincount(together, difference - gain)) / len(difference))
    if gain <= _BEYOND * error:
        best, gain, error = 0.0, 0.0, 0.0
    report = {"n": len(embedding), "width": best, "gain": round(gain, 5), "gain_err": round(error, 5)}
    return _shifted(head, _shift(head, embedding, labels, best)), report


def _cross_validated(head, embedding, labels, width, parts):
    """Logarithm of the likelihood of each galaxy's redshift (N,), with the shift that those of other parts teach."""
    likelihood = torch.empty(len(embedding))
    for part in parts.unique():
        own = parts == part
        shift = _shift(head, embedding[~own], labels[~own], width)
        with torch.no_grad():
            likelihood[own] = _likelihood(head, embedding[own] + shift, labels[own])
    return likelihood


def _likelihood(head, embedding, labels):
    return (labels * head(embedding).log_softmax(dim=1)).sum(dim=1)


def _shift(head, embedding, labels, width):
    """The most probable shift (D,)."""
    scale = width * embedding.std(dim=0)
    unit = torch.zeros(embedding.shape[1], requires_grad=width > 0)
    if width > 0:
        optimizer = torch.optim.LBFGS([unit], max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            likelihood = _likelihood(head, embedding + scale * unit, labels).sum()
            loss = (unit.square().sum() / 2 - likelihood) / len(embedding)
            loss.backward(inputs=[unit])
            return loss

        optimizer.step(closure)
    return scale * unit.detach()


@torch.no_grad()
def _shifted(head, shift):
    """A copy of the head that takes embeddings as they were before the shift."""
    head = copy.deepcopy(head)
    linear = linear_layer(head)
    linear.bias += linear.weight @ shift
    return head
