# Licensed under a 3-clause BSD style license - see LICENSE
"""
Recipes: all settings of a training, in a TOML file, checked before anything runs.

``[encoder]`` says which network, ``[pretrain]`` how it learns without labels, ``[finetune]`` how it learns redshifts,
with or without a pretraining before. Each of the latter two has a table ``augment`` and a table ``optimizer`` of its
own. A setting that a recipe leaves out has its default; an unknown one is an error that names the nearest known one.

Settings of the machine rather than of the method (devices, workers, folders) are no part of a recipe.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tomli_w

from astro_photz.utils._checks import check_count
from astro_photz.utils._settings import built, check_at_least, check_known, check_one_of
from astro_photz.utils._suggestions import shortened
from astro_photz.utils._types import PathLike

from .augment.chain import augmentation_settings, make_augmentation
from .networks.encoder import KINDS, encoder_settings, make_encoder
from .tasks.moco import PHOTOMETRY
from .tasks.optimizer import Optimizer
from .tasks.redshift import LOSSES

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["FineTuning", "Pretraining", "Recipe", "list_recipes"]

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Precisions of the networks' arithmetic, by Lightning's names."""

_RENAMED = {"whole": "gentle"}
_LARGEST_ENCODER = {"width": 256, "bottleneck": 10_000, "n_bins": 100_000}


@dataclass(frozen=True, kw_only=True)
class _Training:
    """
    Settings of any training.

    Parameters
    ----------
    epochs : int, optional
    batch_size : int, optional
        Stamps of a batch, over all processes.
    accumulate : int, optional
        Batches whose gradients make one step.
    precision : {"32-true", "bf16-mixed", "16-mixed"}, optional
    gradient_clip : float, optional
        Largest norm of the gradient; 0 for any.
    patience : int, optional
        Validations in a row without improvement after which training stops; 0 to never stop early.
    augment : dict, optional
        Of `~astro_photz.train.augment.make_augmentation`.
    optimizer : `~astro_photz.train.Optimizer`, optional
    """

    epochs: int = 10
    batch_size: int = 256
    accumulate: int = 1
    precision: str = "32-true"
    gradient_clip: float = 0.0
    patience: int = 0
    augment: dict = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=Optimizer)

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulate"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("gradient_clip", "patience"):
            check_at_least(name, getattr(self, name), 0)
        check_one_of("precision", self.precision, PRECISIONS)
        make_augmentation(self.augment)
        object.__setattr__(self, "augment", augmentation_settings(self.augment))

    def model_options(self) -> dict[str, Any]:
        """Collect the settings of the model, without those of the trainer."""
        own = {item.name for item in fields(self)} - {item.name for item in fields(_Training)}
        return {name: getattr(self, name) for name in own} | {
            "augment": dict(self.augment),
            "optimizer": asdict(self.optimizer),
        }


@dataclass(frozen=True, kw_only=True)
class Pretraining(_Training):
    """
    The table ``[pretrain]``: see `~astro_photz.train.ContrastiveModel`, and for the first ones below.

    Parameters
    ----------
    epochs, batch_size, accumulate, precision, gradient_clip, patience, augment, optimizer
        Of any training; the redshift probe, after each epoch, is to improve.
    contrastive_weight, queue_length, similar_negatives, momentum, temperature, projection_dim, projection_hidden, \
symmetric, photometry, photometry_weight, photometry_hidden
        Of the model.
    groups : int, optional
        Groups that batch normalisation sees a batch in, over all processes, but two at least on each.

    Examples
    --------
    >>> from astro_photz.train import Pretraining
    >>> Pretraining(epochs=20, batch_size=512).momentum
    0.999
    """

    contrastive_weight: float = 1.0
    queue_length: int = 4096
    similar_negatives: int = 0
    momentum: float = 0.999
    temperature: float = 0.1
    projection_dim: int = 128
    projection_hidden: int = 0
    symmetric: bool = False
    groups: int = 4
    photometry: str = "apertures"
    photometry_weight: float = 0.0
    photometry_hidden: int = 256

    def __post_init__(self):
        super().__post_init__()
        for name in ("queue_length", "projection_dim", "groups", "photometry_hidden"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("projection_hidden", "photometry_weight", "contrastive_weight", "similar_negatives"):
            check_at_least(name, getattr(self, name), 0)
        if not (self.contrastive_weight or self.photometry_weight):
            raise ValueError("contrastive_weight must be above 0 if photometry_weight is 0: there is no other task")
        if self.similar_negatives > (self.queue_length if self.contrastive_weight else 0):
            raise ValueError(
                f"similar_negatives must be at most queue_length ({self.queue_length}), and 0 if contrastive_weight "
                f"is, got {self.similar_negatives}"
            )
        check_one_of("photometry", self.photometry, tuple(PHOTOMETRY))
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be 0 or more and below 1, got {self.momentum}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.batch_size % self.groups:
            raise ValueError(f"batch_size must be a multiple of groups ({self.groups}), got {self.batch_size}")


@dataclass(frozen=True, kw_only=True)
class FineTuning(_Training):
    """
    The table ``[finetune]``: see `~astro_photz.train.RedshiftModel`, and for the first ones below.

    Parameters
    ----------
    epochs, batch_size, accumulate, precision, gradient_clip, patience, augment, optimizer
        Of any training; the validation loss is to improve.
    validate_every : int, optional
        Epochs from one validation to the next.
    keep : {"best", "last"}, optional
        Which epoch's weights are the result: those of least validation loss, which a training on few labels must stop
        at, or the last, where the learning rate has come to rest and losses differ by less than chance.
    loss, label_width, dropout, frozen, layer_decay
        Of the model.

    Examples
    --------
    >>> from astro_photz.train import FineTuning
    >>> FineTuning(epochs=20, keep="last").loss
    'soft'
    """

    validate_every: int = 1
    keep: str = "best"
    loss: str = "soft"
    label_width: float = 0.004
    dropout: float = 0.1
    frozen: bool = False
    layer_decay: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.validate_every <= self.epochs:
            raise ValueError(f"validate_every must be from 1 to the {self.epochs} epochs, got {self.validate_every}")
        check_one_of("keep", self.keep, ("best", "last"))
        if self.keep == "last" and self.patience:
            raise ValueError(f"keep must be 'best' with patience {self.patience}: the last epochs are then no better")
        if self.keep == "last" and self.epochs % self.validate_every:
            raise ValueError(
                f"validate_every must divide the {self.epochs} epochs with keep 'last', got {self.validate_every}"
            )
        check_one_of("loss", self.loss, LOSSES)
        for name, value in (("label_width", self.label_width), ("layer_decay", self.layer_decay)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {value}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, got {self.dropout}")

    def model_options(self) -> dict[str, Any]:
        """Collect the settings of the model, without those of the trainer."""
        options = super().model_options()
        return {name: value for name, value in options.items() if name not in ("validate_every", "keep")}


@dataclass(frozen=True)
class Recipe:
    """
    All settings of a training.

    Parameters
    ----------
    encoder : dict, optional
        Keywords of `~astro_photz.train.make_encoder`, ``kind`` among them. None for a fine-tuning that begins with the
        weights of another training: the encoder is then that one's.
    name, description : str, optional
    pretrain : `Pretraining`, optional
    finetune : `FineTuning`, optional

    Raises
    ------
    ValueError
        If a value is out of its range.

    Examples
    --------
    >>> from astro_photz.train import Recipe
    >>> Recipe.read("hayat2021").encoder["kind"]
    'resnet50'
    >>> Recipe.read("smoke", changes=["finetune.epochs = 7"]).finetune.epochs
    7
    >>> Recipe.read("smoke", changes=["finetune.epoch = 7"])
    Traceback (most recent call last):
        ...
    ValueError: recipe 'smoke': unknown setting 'epoch' in [finetune]: did you mean 'epochs'? Known are epochs, ...
    """

    encoder: dict = field(default_factory=dict)
    name: str = ""
    description: str = ""
    pretrain: Pretraining = field(default_factory=Pretraining)
    finetune: FineTuning = field(default_factory=FineTuning)

    def __post_init__(self):
        if not self.encoder:
            return
        if "kind" not in self.encoder:
            raise ValueError("encoder must say its kind, for instance kind = 'resnet18'")
        _check_encoder(self.encoder)
        size = make_encoder(**self.encoder).image_size
        for name in ("pretrain", "finetune"):
            cropped = getattr(self, name).augment["crop"]["size"]
            if cropped != size:
                raise ValueError(f"size must be {size} in [{name}.augment.crop], what the encoder sees, got {cropped}")
        object.__setattr__(self, "encoder", encoder_settings(**self.encoder))

    @classmethod
    def of(cls, recipe: Recipe | PathLike) -> Recipe:
        """
        Take a recipe as it is, or read it.

        Parameters
        ----------
        recipe : `Recipe`, str or path-like

        Returns
        -------
        `Recipe`
        """
        return recipe if isinstance(recipe, Recipe) else cls.read(recipe)

    @classmethod
    def read(cls, name_or_path: PathLike, *, changes: Sequence[str] = ()) -> Self:
        """
        Read a recipe.

        Parameters
        ----------
        name_or_path : str or path-like
            One of `list_recipes`, or a TOML file.
        changes : sequence of str, optional
            Settings to change, as TOML lines like ``pretrain.epochs = 3``.

        Returns
        -------
        `Recipe`

        Raises
        ------
        FileNotFoundError
            If there is neither such a recipe nor such a file.
        ValueError, TypeError
            If it is not TOML, or has an unknown setting or a wrong value.
        """
        path = _path_of(name_or_path)
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
            for change in changes:
                table = _merged(table, _parsed(change))
            return built(cls, table)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:  # the last of nested lists
            raise ValueError(f"recipe {str(name_or_path)!r} is not TOML: {error}") from error
        except TypeError as error:
            raise TypeError(f"recipe {str(name_or_path)!r}: {error}") from error
        except ValueError as error:
            raise ValueError(f"recipe {str(name_or_path)!r}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """
        Collect all settings, with those that have their defaults.

        Returns
        -------
        dict
        """
        return asdict(self)

    def as_toml(self) -> str:
        """
        Write the whole recipe as the text of a TOML file, for `read`.

        Returns
        -------
        str
        """
        return tomli_w.dumps(self.as_dict())


def _check_encoder(options):
    """Refuse settings of another type, and a network beyond any memory: it is made to be checked."""
    if isinstance(options["kind"], str):
        check_known([options["kind"]], KINDS, kind="kind of encoder")
    for name, value in options.items():
        if name in _LARGEST_ENCODER:
            check_count(name, value, least=0, most=_LARGEST_ENCODER[name])
        elif name == "photometry" and not isinstance(value, bool):
            raise TypeError(f"photometry must be true or false, got {shortened(value)}")
        elif not isinstance(value, str | bool | int | float):
            raise TypeError(f"{name} of the encoder must be a text or a number, got {shortened(value)}")


def list_recipes() -> Table:
    """
    List the names of the recipes that come with the package.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from astro_photz.train import list_recipes
    >>> list_recipes()
    ['gentle', 'hayat2021', 'small', 'smoke']
    """
    return sorted(path.name.removesuffix(".toml") for path in _shipped().iterdir() if path.name.endswith(".toml"))


def _shipped():
    return files("astro_photz.train") / "recipes"


def _path_of(name_or_path):
    if str(name_or_path) in list_recipes():
        return _shipped() / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if not path.is_file() and str(name_or_path) in _RENAMED:
        raise FileNotFoundError(f"the recipe {name_or_path} is called {_RENAMED[str(name_or_path)]} now")
    if not path.is_file():
        raise FileNotFoundError(
            f"no recipe {str(name_or_path)!r}: neither a TOML file, nor one of {', '.join(list_recipes())}"
        )
    return path


def _parsed(change):
    """Parse a line of TOML whose words may lack the quotes, which a shell takes away."""
    if not isinstance(change, str):
        raise TypeError(f"changes must be lines of TOML, like pretrain.epochs=3; got {shortened(change)}")
    quoted = re.sub(r"=\s*([A-Za-z_][\w-]*)\s*$", r"='\1'", change)
    for text in (change, quoted):
        with suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(text)
    raise ValueError(f"{shortened(change)} is no line of TOML, like pretrain.epochs=3 or finetune.loss=soft")


def _merged(table, changes):
    both = {
        name: _merged(table[name], value)
        for name, value in changes.items()
        if isinstance(value, dict) and isinstance(table.get(name), dict)
    }
    return table | changes | both
