# Licensed under a 3-clause BSD style license - see LICENSE
"""
Carry a trained model over to another sample of galaxies, by a few hundred redshifts of it.

The encoder stays as it is, and a shift of its embeddings is learnt (`astro_photz.train.tasks.shift`). To train the
encoder too, see `astro_photz.train.finetune` and the recipe ``gentle``.
"""

from typing import Any

import numpy as np
import torch

from astro_photz import metrics
from astro_photz.pdf import RedshiftPDF
from astro_photz.train.data.checks import check_stamps
from astro_photz.train.data.splits import FEWEST, held_out
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.embedding import embed
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.train.networks.weights import WEIGHTS, read_head, read_weights, write_weights
from astro_photz.train.tasks.shift import check_enough, fit_shift
from astro_photz.utils._claims import claimed
from astro_photz.utils._types import PathLike

from .folder import RunFolder
from .lineage import check_validation
from .provenance import new_record

__all__ = ["adapt"]


def adapt(
    data: PathLike,
    folder: PathLike,
    *,
    init: PathLike = "bundled",
    validation: PathLike | None = None,
    n_labels: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """
    Adapt a model to a sample: learn a shift of its embeddings, which `astro_photz.train.export_run` calibrates.

    Parameters
    ----------
    data : str or path-like
        HDF5 file of labelled stamps.
    folder : str or path-like
        Folder of the run: see :doc:`/training/runs`.
    init : str or path-like, optional
        The model to begin with: its name or folder, or the folder of a fine-tuning. The bundled model by default.
    validation : str or path-like, optional
        HDF5 file of labelled stamps to calibrate with. Without it, the larger of 100 galaxies and a fifth of ``data``,
        drawn by the seed, are held out for that.
    n_labels : int, optional
        Number of stamps to learn from, drawn by the seed; all by default.
    seed : int, optional
    overwrite : bool, optional
        Remove a run that is in the folder.

    Returns
    -------
    dict
        Metrics, as in ``metrics.json``: ``shift``, the report of the shift; ``before`` and ``after``, the
        model's metrics on the galaxies for validation, which nothing has been learnt from.

    Raises
    ------
    OSError
        If a file is not there or cannot be read, or the folder holds something else.
    ValueError
        If a file has no redshifts, or some that cannot be learnt, or too few galaxies; or if ``init`` is an encoder
        without a head; or if ``validation`` is the very file that is learnt from, here or by ``init``. Galaxies that
        such files have in common are told in a `~astro_photz.models.TrainedOnWarning`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> cutouts = testing.gaussian_cutouts(200)
    >>> cutouts.write(folder / "stamps.h5", specz_redshift=np.linspace(0.02, 0.2, 200))  # made up
    >>> metrics = train.adapt(folder / "stamps.h5", folder / "run")
    >>> sorted(metrics)
    ['after', 'before', 'shift']
    """
    settings, state = read_weights(init)
    head = read_head(init)
    if head is None:
        raise ValueError(f"{init} has no redshift head to adapt: train one, by a recipe (--recipe small)")
    learn, judge, held = _stamps(data, validation, n_labels, seed)
    run = RunFolder(folder)
    facts = {"init": init, "seed": seed, "n_labels": len(learn), "held_out": held}
    record = new_record("adapt", data, validation=validation, **facts)
    check_validation(record)
    run.path.parent.mkdir(parents=True, exist_ok=True)
    with claimed(run.path):
        if overwrite:
            run.clear(*record.files.values())
        run.begin(record)
        if run.metrics:
            return run.metrics

        encoder = make_encoder(**settings)
        encoder.load_state_dict(state)
        encoder.eval()
        known, judged = (_embedded(encoder, stamps) for stamps in (learn, judge))
        adapted, shift = fit_shift(head, *known, groups=learn.groups, seed=seed)
        write_weights(run.path / WEIGHTS, encoder, settings, head=adapted)
        return run.finish({"shift": shift, "before": _metrics(head, *judged), "after": _metrics(adapted, *judged)})


def _stamps(data, validation, n_labels, seed):
    """Stamps to learn from, stamps to judge by, and the number of those that the first file holds out."""
    for path in filter(None, (data, validation)):
        check_stamps(path)
    held = 0 if validation else held_out(len(Stamps(data)))
    learn = Stamps(data, n=n_labels, held_out=held, seed=seed)
    judge = Stamps(validation) if validation else Stamps(data, held_out=held, learn=False, seed=seed)
    if len(judge) < FEWEST:
        raise ValueError(f"{validation}: {len(judge)} galaxies are too few: a calibration takes {FEWEST} at least")
    check_enough(len(learn))
    return learn, judge, held and len(judge)


def _embedded(encoder, stamps):
    return embed(encoder, stamps, np.arange(len(stamps))), torch.from_numpy(stamps.redshift)


@torch.no_grad()
def _metrics(head, embedding, redshift):
    pdf = RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES)
    return metrics.summary(metrics.score(pdf, redshift.numpy()))
