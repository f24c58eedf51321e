# Licensed under a 3-clause BSD style license - see LICENSE
"""
The evaluation of a model: figures of merit, with the model and the galaxies that they are of.
"""

import json
from dataclasses import dataclass, field
from typing import ClassVar, Self

from astro_photz.utils._document import Document
from astro_photz.utils._files import save
from astro_photz.utils._types import PathLike

__all__ = ["Evaluation"]


@dataclass(frozen=True, kw_only=True)
class Evaluation(Document):
    """
    Figures of merit of a model on a set of galaxies with known redshifts.

    Parameters
    ----------
    model : dict
        ``name``, ``version`` and ``sha256`` of the model.
    data : dict
        ``file``, ``sha256``, ``simulated`` (whether the file says that its images are), ``n_missing`` (galaxies without
        an estimate), ``n_independent`` (real galaxies that they were drawn from) and ``beyond_grid`` (galaxies beyond
        the redshift bins).
    overall, errors : dict of float
        Metrics of all galaxies, and their bootstrap errors.
    main_sample : list of dict, optional
        Metrics and errors of galaxies to the depth of the published figures, and of fainter ones, as far as they are
        not too few. ``limit`` is the magnitude that the depth refers to.
    pit_ks_by_chance : float, optional
        KS distance of the PIT that one of twenty such samples of calibrated PDFs exceeds.
    pit_ad_by_chance : float, optional
        The same of its Anderson-Darling distance.
    pit : list of int, optional
        Histogram of the PIT, in equal bins from 0 to 1.
    coverage : dict of float, optional
        Share of true redshifts in central intervals, by the nominal level.
    bins : dict of list of dict, optional
        Metrics and errors in bins of other quantities, by the name of the quantity.
    kind : "evaluation", optional
        Kind of the file, among results for a model card.
    form, others : int, dict, optional
        Version of the form, and entries that have no field.

    Raises
    ------
    ValueError
        If a field is of another type, or the form is newer than this version of the package.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.evaluation import Evaluation
    >>> numbers = {"n": 1000, "sigma_mad": 0.0125, "eta": 0.011}
    >>> evaluation = Evaluation(model={"name": "mine"}, data={"simulated": True}, overall=numbers, errors={})
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "evaluation.json"
    >>> evaluation.write(path)
    >>> Evaluation.read(path).overall["sigma_mad"]
    0.0125
    """

    noun: ClassVar[str] = "an evaluation"

    kind: str = "evaluation"
    model: dict
    data: dict
    overall: dict
    errors: dict
    main_sample: list = field(default_factory=list)
    pit_ks_by_chance: float | int | None = None
    pit_ad_by_chance: float | int | None = None
    pit: list = field(default_factory=list)
    coverage: dict = field(default_factory=dict)
    bins: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        if self.kind != "evaluation":
            raise ValueError(f"kind of an evaluation must be 'evaluation', got {self.kind!r}")

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read an evaluation.

        Parameters
        ----------
        path : str or path-like
            JSON file of `write`, or of ``astro-photz evaluate --output``.

        Returns
        -------
        `Evaluation`

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not JSON, or not an evaluation.
        """
        return cls.of_file(path, needed=("kind",))

    def write(self, path: PathLike) -> None:
        """
        Write the evaluation as JSON; a file that is there is replaced.

        Parameters
        ----------
        path : str or path-like
        """
        save(path, lambda part: part.write_text(json.dumps(self.entries(), indent=1) + "\n", encoding="utf-8"))

    @property
    def images(self) -> str:
        """Kind of the images: "simulated images" or "real images", str."""
        return "simulated images" if self.data["simulated"] else "real images"
