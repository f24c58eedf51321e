# Licensed under a 3-clause BSD style license - see LICENSE
"""
A stage of RAIL pipelines: redshift PDFs of galaxies, by their positions or out of a file of cutouts.

RAIL (LSST DESC) estimates from catalogues; this stage estimates from images. Its input is a table all the same, with
sky positions, and ``source`` says where the images come from. Its output is an ensemble of qp.

A pipeline finds the stage by the name of this module: ``module_name: astro_photz.adapters.rail``. The module needs the
extra ``[rail]``: pz-rail-base.
"""

from typing import Any

import numpy as np

from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.inference import predict
from astro_photz.models import load_model
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._optional import optional

from .qp import to_qp

_core, _estimator, _ceci = (
    optional(module, extra="rail", doing="the stage of RAIL")
    for module in ("rail.core", "rail.estimation.estimator", "ceci.config")
)
_CatEstimator: Any = _estimator.CatEstimator
_Option = _ceci.StageParameter

__all__ = ["AstroPhotzEstimator"]

_PREFIX = "_astro_photz"  # of columns that never leave this module: the table may have any others


class AstroPhotzEstimator(_CatEstimator):
    """
    Estimate redshift PDFs from images.

    The options are those of ``CatEstimator`` of RAIL and the following. Each row of the input gives one PDF, in its
    place; the PDF of a galaxy without an estimate is flat, as `~astro_photz.adapters.qp.to_qp` makes it.

    Parameters
    ----------
    model : str, optional
        Name of a model, or the path of its folder; ``conf.default_model`` by default. It is no model of RAIL, and no
        informer makes one.
    source : str, optional
        Path of a folder of frames or of an HDF5 file of cutouts, or ``"sdss"``, the default, for the archive.
    ra_col, dec_col, ebv_col : str, optional
        Names of columns, where they are not the usual ones.

    Notes
    -----
    The ancillary data are ``zmean``, ``zmode`` and ``zmedian``, NaN without an estimate; ``flags``
    (`~astro_photz.PhotozFlag`) and ``estimated``; and ``id`` and ``redshift`` if the table has the columns that
    ``id_col`` and ``redshift_col`` name. A PDF is a posterior whose prior is the training set of the model.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz.adapters.rail import AstroPhotzEstimator
    >>> stage = AstroPhotzEstimator.make_stage(
    ...     name="images", source=str(astro_photz.demo_path()), hdf5_groupname="", output_mode="return"
    ... )
    >>> coord = astro_photz.Cutouts.read(astro_photz.demo_path()).coord
    >>> handle = stage.estimate({"ra": coord.ra.deg, "dec": coord.dec.deg})  # doctest: +IGNORE_OUTPUT
    >>> handle.data
    Ensemble(the_class=hist,shape=(24, 180))
    """

    name = "AstroPhotzEstimator"
    entrypoint_function = "estimate"
    inputs = [("input", _core.TableHandle)]  # noqa: RUF012 - as RAIL has it
    config_options = _CatEstimator.config_options | {
        "model": _Option(str, "", msg="name or folder of a model of astro_photz; empty for the default one"),
        "source": _Option(str, "sdss", msg="a folder of frames, an HDF5 file of cutouts, or sdss"),
        "ra_col": _Option(str, "", msg="column of right ascension (deg), if it has not a usual name"),
        "dec_col": _Option(str, "", msg="column of declination (deg), if it has not a usual name"),
        "ebv_col": _Option(str, "", msg="column of E(B-V) (mag), if it has not a usual name"),
        # The grid on which RAIL looks for its own point estimates, such as zbest.
        "zmax": _Option(float, 0.4, msg="end of the grid of RAIL's own point estimates"),
        "nzbins": _Option(int, 401, msg="number of points of that grid"),
    }

    def open_model(self, tag: str = "model", **kwargs: Any) -> Any:
        """
        Load the model, and open the source of the images: RAIL calls it before the first rows.

        Parameters
        ----------
        tag : str, optional
            Name of the option that names the model.
        **kwargs
            Options of the stage.

        Returns
        -------
        `~astro_photz.models.PhotozModel`
        """
        self.model = load_model(kwargs.get(tag) or None)
        self._source = source_or_archive(self.config.source)
        return self.model

    @classmethod
    def default_distribution_type(cls) -> Any:
        """Tell RAIL that a PDF is a posterior."""
        return _estimator.DistributionType.posterior

    @classmethod
    def generate_command(cls, *args: Any, **kwargs: Any) -> str:
        """
        Write the command by which a pipeline runs the stage.

        ceci takes ``python -m`` and the name of the package for it, which here is ``astro-photz``.

        Parameters
        ----------
        *args, **kwargs
            As for any stage.

        Returns
        -------
        str
        """
        command = super().generate_command(*args, **kwargs)
        return command.replace(f"-m astro_photz {cls.name}", f"-m ceci {cls.__module__}.{cls.name}", 1)

    def _process_chunk(self, start, end, data, first):
        """Estimate the rows from ``start`` to ``end``."""
        columns = self._convert_table_format(data, "numpyDict")
        named = {name: self.config[f"{name}_col"] or None for name in ("ra", "dec", "ebv")}
        table = predict(
            columns, source=self._source, model=self.model, prefix=_PREFIX, pdf=True, progress=False, **named
        )
        pdf = RedshiftPDF(table[f"{_PREFIX}_pdf"], self.model.edges)
        ancil = {
            "zmean": pdf.mean(),
            "zmode": pdf.mode(),
            "zmedian": pdf.median(),
            "flags": np.asarray(table[f"{_PREFIX}_flags"]),
        }
        self._do_chunk_output(to_qp(pdf, ancil=ancil), start, end, first, data=columns)
