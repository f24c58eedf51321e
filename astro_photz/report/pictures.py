# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures inside a page: graphs as SVG that follow the colours of the page, galaxies as PNG.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from astro_photz.plots._figure import empty_figure
from astro_photz.plots.images import colour_image
from astro_photz.utils._optional import optional

__all__ = ["png_uri", "svg"]

_DOING = "a report"
_MOST = 1500  # parts of a graph that are drawn as vectors; more of them become pixels
_DPI = 150
_STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",  # looks alike on all machines
}
_INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
_MARK = "#1f77b4"  # C0 of matplotlib
_BLACK, _WHITE = "#010101", "#fefefe"  # told from the black that matplotlib leaves out, and from others' white
_LEFT_OUT = (
    r"(?s)^.*?(?=<svg)",
    r"(?s)<metadata>.*?</metadata>",
    r'(?s)<style type="text/css">.*?</style>',
    r"(?s)<!--.*?-->",
)


def svg(
    name: str,
    label: str,
    draw: Callable[[Any], object],
    *,
    size: tuple[float, float] = (4.6, 3.3),
    projection: str | None = None,
) -> Markup:
    """
    Draw a graph as SVG.

    Parameters
    ----------
    name : str
        Of the graph, different from all others of the page: its identifiers begin with it.
    label : str
        Description for those who cannot see it.
    draw : callable
        Draws into the axes that it is given.
    size : (float, float), optional
        Width and height in inches.
    projection : str, optional
        Of the axes, as matplotlib calls it.

    Returns
    -------
    `~markupsafe.Markup`
        The same for the same graph. Axes and words have the colour of the page's text, and what is empty that of its
        paper. A graph with a colour map, whose colours depend on the paper, comes twice: for light and for dark.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from astro_photz.report.pictures import svg  # doctest: +SKIP
    >>> svg("line", "a line", lambda axes: axes.plot([1, 2], [3, 4]))  # doctest: +SKIP
    """
    light, mapped = _drawn(name, draw, (size, projection), ink=_BLACK, paper=_WHITE)
    if not mapped:
        return Markup(_inline(light, name, label, "both"))
    dark, _ = _drawn(f"dark-{name}", draw, (size, projection), ink=_WHITE, paper=_BLACK)
    return Markup(_inline(light, name, label, "light") + _inline(dark, f"dark-{name}", label, "dark"))


def _drawn(name, draw, axes, *, ink, paper):
    """Draw a graph, and tell whether it has a colour map."""
    style = optional("matplotlib.style", extra="plot", doing=_DOING)
    own = {"svg.hashsalt": name, "axes.facecolor": paper, **dict.fromkeys(_INKED, ink)}
    with style.context(["default", _STYLE | own]):
        size, projection = axes
        figure = empty_figure(*size)
        draw(figure.add_subplot(projection=projection))
        _simplify(figure)
        buffer = StringIO()
        figure.savefig(buffer, format="svg", dpi=_DPI, metadata={"Date": None})
    text = buffer.getvalue()
    for colour, own in {
        "#000000": "currentColor",
        ink: "currentColor",
        paper: "var(--paper)",
        _MARK: "var(--mark)",
    }.items():
        text = text.replace(colour, own)
    return text, bool(figure.findobj(_is_mapped))


def _is_mapped(artist):
    get_array = getattr(artist, "get_array", None)
    return get_array is not None and get_array() is not None


def _simplify(figure):
    """Let what has very many parts become pixels, or the page would be large."""
    for artist in figure.findobj(lambda one: hasattr(one, "get_offsets") or hasattr(one, "get_xydata")):
        parts = len(artist.get_offsets() if hasattr(artist, "get_offsets") else artist.get_xydata())
        if parts > _MOST:
            artist.set_rasterized(True)


def _inline(text, name, label, scheme):
    for pattern in _LEFT_OUT:
        text = re.sub(pattern, "", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    namespace = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    described = f'role="img" aria-label="{escape(label)}"'
    return f'<svg class="on-{scheme}" {namespace} {box[0] if box else ""} {described}>{body.strip()}'


def png_uri(flux: np.ndarray) -> str:
    """
    Colour image of a galaxy as an address that holds it.

    Parameters
    ----------
    flux : `~numpy.ndarray` (5, S, S)
        Nanomaggies, in *ugriz*.

    Returns
    -------
    str
        ``data:image/png;base64,...``

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    image = optional("matplotlib.image", extra="plot", doing=_DOING)
    buffer = BytesIO()
    image.imsave(buffer, colour_image(flux), format="png", origin="lower")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")
