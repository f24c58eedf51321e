# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures, for those who have matplotlib (``pip install "astro-photz[plot]"``).
"""

import numpy as np

from astro_photz.sdss import BANDS

__all__ = ["colour_image", "plot_bins", "plot_calibration", "plot_galaxies", "plot_label_efficiency"]

_COLUMNS = 6


def colour_image(flux, *, stretch=0.3, softening=8):
    """
    Colour image of a galaxy: *i*, *r*, *g* as red, green, blue, after Lupton et al. (2004).

    Parameters
    ----------
    flux : `~numpy.ndarray` (5, S, S)
        Nanomaggies, in *ugriz*.
    stretch, softening : float, optional
        Of `astropy.visualization.make_lupton_rgb`: the flux of the linear part (nanomaggies), and Q.

    Returns
    -------
    `~numpy.ndarray` (S, S, 3) uint8

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.plots.images import colour_image
    >>> colour_image(np.ones((5, 64, 64))).shape
    (64, 64, 3)
    """
    from astropy.visualization import make_lupton_rgb

    # The weights make a galaxy of ordinary colours neither blue nor red: they even out g - r and r - i of about 0.7
    # and 0.35.
    red, green, blue = (
        weight * np.nan_to_num(flux[BANDS.index(band)]) for band, weight in (("i", 0.75), ("r", 1.0), ("g", 1.7))
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # of a pixel without light in any band
        return make_lupton_rgb(red, green, blue, stretch=stretch, Q=softening)


def plot_galaxies(cutouts, table, *, prefix="z_phot", true_redshift=None, title=None):
    """
    Draw galaxies with their redshifts.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    table : `~astropy.table.Table` (N,)
        What `~astro_photz.predict` returned for them.
    prefix : str, optional
        Of its columns.
    true_redshift : array_like (N,), optional
        To be written beside the estimates.
    title : str, optional

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    rows = -(-len(cutouts) // _COLUMNS)
    figure = _figure(2 * _COLUMNS, 2.35 * rows + 0.5)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for index, (axis, flux) in enumerate(zip(axes, cutouts.flux, strict=False)):
        axis.imshow(colour_image(flux), origin="lower", interpolation="nearest")
        label = _label(table[index], prefix)
        if true_redshift is not None:
            label += f"\ntrue {true_redshift[index]:.3f}"
        axis.set_title(label, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _label(row, prefix):
    if np.ma.is_masked(row[prefix]):
        return "no estimate"
    return f"z = {row[prefix]:.3f} ± {row[prefix + '_err']:.3f}"


_BINNED = {
    "r_mag": "dereddened $r$ (mag)",
    "z_phot": "estimated redshift",
    "redshift": "true redshift",
    "ebv": "$E(B-V)$ (mag)",
    "seeing": "seeing (arcsec)",
    "early": "type",
}
_IN_BINS = {"bias": "bias", "sigma_mad": r"$\sigma_\mathrm{MAD}$", "coverage68": "in 68 % interval"}


def plot_calibration(evaluation):
    """
    Draw how well the PDFs of a model are calibrated: the PIT, and what their central intervals cover.

    Parameters
    ----------
    evaluation : dict
        Of `astro_photz.evaluation.evaluate_model`.

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure = _figure(8, 3.4)
    left, right = figure.subplots(1, 2)
    counts = np.array(evaluation["pit"])
    expected, edges = counts.mean(), np.linspace(0, 1, len(counts) + 1)
    left.stairs(counts / expected, edges, fill=True, color="C0", alpha=0.6)
    scatter = 2 / np.sqrt(expected)
    left.axhspan(1 - scatter, 1 + scatter, color="black", alpha=0.15, lw=0, label="2σ of chance")
    left.axhline(1, color="black", lw=1)
    left.set(xlabel="PIT", ylabel="galaxies / even share", xlim=(0, 1), ylim=(0, None))
    left.legend(loc="lower right")
    levels = [float(level) for level in evaluation["coverage"]]
    shares = list(evaluation["coverage"].values())
    right.plot([0, 1], [0, 1], color="black", lw=1)
    right.plot(levels, shares, "o-", color="C0", ms=4)
    right.set(xlabel="probability in the central interval", ylabel="true redshifts in it", xlim=(0, 1), ylim=(0, 1))
    return figure


def plot_bins(evaluation):
    """
    Draw bias, scatter and coverage of a model in bins of magnitude, redshifts, E(B-V), and of what else is known.

    Parameters
    ----------
    evaluation : dict
        Of `astro_photz.evaluation.evaluate_model`.

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    names = [name for name in _BINNED if evaluation["bins"].get(name)]
    figure = _figure(2.3 * len(names) + 0.7, 6)
    grid = figure.subplots(len(_IN_BINS), len(names), sharex="col", sharey="row", squeeze=False)
    usual = {"bias": 0.0, "sigma_mad": evaluation["overall"]["sigma_mad"], "coverage68": 0.68}
    for row, (metric, label) in zip(grid, _IN_BINS.items(), strict=True):
        row[0].set_ylabel(label)
        for axis, name in zip(row, names, strict=True):
            bins = evaluation["bins"][name]
            middle = np.array([(one["low"] + one["high"]) / 2 for one in bins])
            width = [(one["high"] - one["low"]) / 2 for one in bins]
            values, errors = [one[metric] for one in bins], [one["errors"][metric] for one in bins]
            axis.errorbar(middle, values, yerr=errors, xerr=width, fmt="o", ms=4, color="C0")
            axis.axhline(usual[metric], color="black", lw=1)
    for axis, name in zip(grid[-1], names, strict=True):
        axis.set_xlabel(_BINNED[name])
        if name == "early":
            axis.set_xticks([0.5, 1.5], ["late", "early"])
    return figure


def plot_label_efficiency(result):
    """
    Draw the scatter of models against the number of labels that they were trained with.

    Parameters
    ----------
    result : dict
        ``curves``, for each way of training a list of dicts with ``n_labels``, ``sigma_mad`` and ``sigma_mad_err``.

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure = _figure(5.5, 3.8)
    axis = figure.subplots()
    for name, points in result["curves"].items():
        n, value, error = (np.array([one[key] for one in points]) for key in ("n_labels", "sigma_mad", "sigma_mad_err"))
        (line,) = axis.plot(n, value, "o-", ms=4, label=name)
        axis.fill_between(n, value - error, value + error, color=line.get_color(), alpha=0.25, lw=0)
    axis.set(xscale="log", xlabel="labels", ylabel=_IN_BINS["sigma_mad"])
    axis.legend()
    return figure


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "astro-photz[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained")
