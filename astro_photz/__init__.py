# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometric redshifts from SDSS images, by self-supervised learning.

``astro_photz.predict(table)`` gives a table of galaxies back with redshift columns.
"""

from importlib import import_module

try:
    from ._version import version as __version__
except ImportError:  # a tree that was not installed
    __version__ = "0.0.dev0"

__all__ = [
    "CutoutFile",
    "Cutouts",
    "FrameDirectory",
    "PhotozFlag",
    "RedshiftPDF",
    "SDSSArchive",
    "SimilarityIndex",
    "conf",
    "demo_path",
    "embed",
    "fetch",
    "list_models",
    "load_model",
    "predict",
    "predict_to_file",
    "validate",
]

# Where each public name lives. It is imported when it is first asked for: a user who reads a PDF waits neither for
# astroquery nor for onnxruntime.
_HOMES = {
    "CutoutFile": "cutouts",
    "Cutouts": "cutouts",
    "FrameDirectory": "cutouts",
    "PhotozFlag": "flags",
    "RedshiftPDF": "pdf",
    "SDSSArchive": "cutouts",
    "SimilarityIndex": "similarity",
    "conf": "config",
    "demo_path": "demo",
    "embed": "inference",
    "fetch": "cutouts",
    "list_models": "models",
    "load_model": "models",
    "predict": "inference",
    "predict_to_file": "inference",
    "validate": "validation",
}


# Rooms that are attributes too, without an import of their own: ``astro_photz.flags.BAD``.
_ROOMS = {
    *("adapters", "cutouts", "dust", "evaluation", "flags", "inference", "metrics", "models", "pdf", "photometry"),
    *("plots", "positions", "quality", "reference", "report", "sdss", "similarity", "simulate", "tables", "testing"),
    *("train", "validation"),
}


def __getattr__(name):
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
