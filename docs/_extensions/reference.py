# Licensed under a 3-clause BSD style license - see LICENSE
"""
What the pages of the reference need besides automodapi: pictures of examples, and the words for constants.

A figure that no window shows is drawn below its code, as those of pyplot are. The examples run as doctests too, where
figures of pyplot would stay open. A room imports its constants from its modules, in which autodoc does not look.
"""

import sys

from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.sphinxext import plot_directive
from sphinx.pycode import ModuleAnalyzer


def adopted(run):
    """Let pyplot have the figures that a piece of code has made and that it does not know."""

    def run_and_adopt(*args, **options):
        names = run(*args, **options)
        for value in names.values():
            if isinstance(value, Figure) and value.canvas.manager is None:
                pyplot.figure(value)
        return names

    return run_and_adopt


def describe_constant(app, what, name, obj, options, lines):
    """Take the words for a constant from the module that sets it, in the folder of its room."""
    room, _, constant = name.rpartition(".")
    if what != "data":
        return
    package = f"{sys.modules[room].__package__}."
    for module in sorted(one for one in sys.modules if one == room or one.startswith(package)):
        if getattr(sys.modules[module], constant, None) is obj:
            words = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", constant))
            if words:
                lines[:] = words
                return


def setup(app):
    plot_directive._run_code = adopted(plot_directive._run_code)
    app.connect("autodoc-process-docstring", describe_constant)
    return {"parallel_read_safe": True}
