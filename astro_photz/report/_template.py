# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pages out of templates, with their style and their script inside.
"""

import base64
import hashlib
from importlib.resources import files

__all__ = ["rendered", "require_plots"]


def rendered(template, content, *, scripts, styles=("style.css",)):
    """
    Fill a template.

    Parameters
    ----------
    template : str
        Its name.
    content : dict
        Its values.
    scripts : sequence of str
        Names of scripts, which become one; the policy of the page admits no other.
    styles : sequence of str, optional
        Names of style sheets.

    Returns
    -------
    str
        The page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    folder = files("astro_photz.report") / "templates"
    code, style = (
        "".join((folder / name).read_text(encoding="utf-8") for name in names) for names in (scripts, styles)
    )
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
    templates = Environment(
        loader=PackageLoader("astro_photz.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=True,
    )
    page = templates.get_template(template)
    return page.render(content, style=style, script=code, script_hash=f"sha256-{digest}")


def require_plots():
    """
    Ask for matplotlib before the work, and not after it.

    Raise an ImportError without it.
    """
    from astro_photz.utils._optional import optional

    optional("matplotlib", extra="plot", doing="a report")
