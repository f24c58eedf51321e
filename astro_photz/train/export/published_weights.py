# Licensed under a 3-clause BSD style license - see LICENSE
"""
Models of this package from published weights.

The authors of the reference method (Hayat et al. 2021, arXiv 2101.04293) publish three networks, all of them ResNet-50s
without scaling of the pixels: ``pretrained``, an encoder without a redshift head; ``finetuned``, which began with it;
and ``supervised``, which began with random weights. `import_checkpoint` downloads one, or takes a file at hand, gives
its weights this package's names, exports it, and puts it among the models of the user, where
`astro_photz.load_model` finds it.

Such a file could hold anything. It is read as tensors only: what would run code is refused. What it holds besides the
network (a key encoder, a queue, a projection head) is known by name and left out; any other name that does not fit is
an error that lists it.
"""

import pickle
import re
import warnings
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import torch
from astropy.utils.data import download_file

from astro_photz.config import conf
from astro_photz.models import ModelCard, model_directory
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.utils._files import sha256 as file_hash
from astro_photz.utils._progress import can_draw

from .onnx import export_model

__all__ = ["ENCODER", "PUBLISHED_FILES", "import_checkpoint", "read_published"]

PUBLISHED_FILES = {
    "finetuned": "photoz_finetuned_model.pth.tar",
    "pretrained": "pretrained_paper_model.pth.tar",
    "supervised": "photoz_supervised_baseline_model.pth.tar",
}
"""Names of the published files, by the kind of network in them."""

_MODELS = ("hayat2021",)
ENCODER = {"kind": "resnet50", "scaling": "none"}
"""Keywords of `~astro_photz.train.make_encoder` for the published networks."""

# Parts of a pretraining (MoCo) besides the encoder: key encoder, queue, and the projection that ends the encoder.
_LEFT_OUT = re.compile(r"encoder_k\..*|queue|queue_ptr|encoder_q\.fc\.[02]\.(weight|bias)")
_WITHOUT_LABELS = "1.2 million real images of SDSS DR12 without labels"
_WITH_LABELS = "real images and spectroscopic redshifts of the SDSS Main Galaxy Sample (r <= 17.8, z < 0.4)"
_TRAINED_ON = {
    "finetuned": f"{_WITHOUT_LABELS}, then {_WITH_LABELS}",
    "pretrained": _WITHOUT_LABELS,
    "supervised": _WITH_LABELS,
}
_LIMITS = [
    "Weights as published by Hayat et al. (2021). Their quality was not measured here: astro-photz evaluate does it.",
    "Galaxies fainter than r = 17.8, or with a redshift of 0.4 or more, were not part of the training.",
]


def import_checkpoint(name="hayat2021", *, kind="finetuned", file=None, sha256=None, overwrite=False, progress=False):
    """
    Make a model of published weights, and add it to those of the user.

    Parameters
    ----------
    name : {'hayat2021'}, optional
        Publication.
    kind : {'finetuned', 'pretrained', 'supervised'}, optional
        Which of its networks. The first is registered under ``name``, the others as ``name-pretrained`` and
        ``name-supervised``.
    file : str or path-like, optional
        The published file, if it is at hand; downloaded from ``conf.published_models`` otherwise.
    sha256 : str, optional
        Hash that the file must have. None has been published: without it, the hash is recorded in the model's card,
        and a later import of the same model must have the same.
    overwrite : bool, optional
        Replace the model if it is there.
    progress : bool, optional
        Whether to draw a progress bar of the download, on a terminal or in a notebook.

    Returns
    -------
    `~pathlib.Path`
        Folder of the model; ``encoder.safetensors`` in it has the weights, for training that begins with them.

    Raises
    ------
    FileExistsError
        If the model is there and ``overwrite`` is not set.
    OSError
        If the file cannot be read, or cannot be downloaded.
    ValueError
        If there is no such publication or kind, the hash is another, or the file would run code, or does not hold that
        network.

    Examples
    --------
    >>> from astro_photz.train.export.published_weights import import_checkpoint
    >>> import_checkpoint("hayat2021")  # doctest: +SKIP
    >>> table = astro_photz.predict(table, model="hayat2021")  # doctest: +SKIP
    """
    _check_choice("name", name, _MODELS)
    _check_choice("kind", kind, PUBLISHED_FILES)
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}")
    folder = model_directory() / (name if kind == "finetuned" else f"{name}-{kind}")
    if folder.exists() and not overwrite:
        raise FileExistsError(f"the model {folder.name} is there already, in {folder}: set overwrite to replace it")
    source = str(file) if file else f"{conf.published_models.rstrip('/')}/{PUBLISHED_FILES[kind]}"
    path = Path(file) if file else _download(source, progress)
    try:
        digest = _checked_hash(path, source, given=sha256, recorded=_recorded_hash(folder))
        encoder, head = read_published(path, kind=kind)
    finally:
        if not file:
            path.unlink(missing_ok=True)
    origin = {"file": source, "sha256": digest, "sha256_given": sha256 is not None}
    card = _card(folder.name, kind, origin)
    export_model(encoder, head, folder, card=card, settings=ENCODER, overwrite=overwrite)
    return folder


def read_published(path, *, kind):
    """
    Read a published network.

    Parameters
    ----------
    path : str or path-like
    kind : {'finetuned', 'pretrained', 'supervised'}

    Returns
    -------
    encoder : `~astro_photz.train.networks.resnet.ResNet`
    head : `torch.nn.Linear` or None
        Scores of the redshift bins; a pretrained encoder has none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it would run code, is of another format, or its weights are not those of that network: they are listed.
    """
    state, prefix = _network_weights(path, _state_dict(path), kind)
    network = make_encoder(**ENCODER, n_bins=None if kind == "pretrained" else len(Z_EDGES) - 1).eval()
    _check_names(path, state, {prefix + name: values for name, values in network.state_dict().items()})
    network.load_state_dict({name.removeprefix(prefix): values for name, values in state.items()})
    head = None if kind == "pretrained" else network.fc
    network.fc = torch.nn.Identity()
    return network, head


def _check_choice(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def _download(url, progress):
    try:
        return Path(download_file(url, cache=False, show_progress=progress and can_draw()))
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the answer, which nobody will read
        raise OSError(
            f"{url} could not be downloaded: {error}. Download it by other means, and give the file (--file)"
        ) from error


def _recorded_hash(folder):
    return ModelCard.read(folder).source.get("sha256") if folder.exists() else None


def _checked_hash(path, source, *, given, recorded):
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    digest = file_hash(path)
    wanted = given.lower() if given else recorded
    if wanted and digest != wanted:
        why = "as was given" if given else "which was recorded when the model was first imported"
        raise ValueError(
            f"{source} has the sha256 {digest}, not {wanted}, {why}: it is damaged, or another file. "
            "If you trust it, give its hash as sha256"
        )
    return digest


def _state_dict(path):
    """Read the weights by name: tensors and numbers only; a file that would run code is refused."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with torch.serialization.safe_globals(_numbers()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        found = re.search(r"nsupported (?:global: )?GLOBAL (\S+)", str(error))
        if found:
            raise ValueError(
                f"{path} is refused: reading it would run code of its own ({found[1]}), where a published checkpoint "
                "has tensors and numbers only"
            ) from error
        raise ValueError(f"{path} is no checkpoint of torch, or is damaged: download it again") from error
    for name in ("state_dict", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            return content[name]
    found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise ValueError(f"{path} is no published checkpoint: it has no state_dict or model_state, but {found}")


def _numbers():
    """numpy's types of numbers, such as a best loss, under their old and new names: they run no code."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")}
    return [np.dtype, *kinds, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]


def _network_weights(path, state, kind):
    """Find the weights of the network, and the beginning of their names."""
    state = {name.removeprefix("module."): values for name, values in state.items()}
    pretrained = any(name.startswith("encoder_q.") for name in state)
    if pretrained != (kind == "pretrained"):
        found = "a pretrained encoder (encoder_q.*)" if pretrained else "no pretrained encoder (encoder_q.*)"
        raise ValueError(f"{path} holds {found}, and kind is {kind!r}: give the kind of the file, or another file")
    if not pretrained:
        return state, ""
    return {name: values for name, values in state.items() if not _LEFT_OUT.fullmatch(name)}, "encoder_q."


def _check_names(path, state, wanted):
    shapes = {name: tuple(getattr(values, "shape", ("no tensor",))) for name, values in state.items()}
    wanted = {name: tuple(values.shape) for name, values in wanted.items()}
    problems = {
        "missing": [name for name in wanted if name not in shapes],
        "unknown": [name for name in shapes if name not in wanted],
        "of another shape": [
            f"{name} {shapes[name]} instead of {shape}"
            for name, shape in wanted.items()
            if name in shapes and shapes[name] != shape
        ],
    }
    told = [f"{len(names)} {problem} ({', '.join(names)})" for problem, names in problems.items() if names]
    if told:
        raise ValueError(f"{path} does not hold the weights of the published network: {'; '.join(told)}")


def _card(name, kind, origin):
    return ModelCard(
        name=name,
        version="1",
        training_data={"description": _TRAINED_ON[kind]},
        calibration={"method": "none"},
        limits=_LIMITS,
        source=origin | {"kind": kind, "publication": "Hayat et al. 2021, arXiv 2101.04293"},
    )
