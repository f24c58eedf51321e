# Licensed under a 3-clause BSD style license - see LICENSE
"""What users call has type annotations."""

import inspect
from importlib import import_module

import pytest

ROOMS = (
    *("", ".cutouts", ".evaluation", ".inference", ".models", ".plots", ".report", ".similarity"),
    *(".reference", ".testing", ".validation"),
)
EXTRAS = {"train": ("torch", "lightning", "onnxscript"), "simulate": ("torch", "kcorrect")}
MODULES = (".adapters.qp", ".dust", ".flags", ".metrics", ".pdf", ".photometry", ".positions", ".quality", ".tables")


def public(room):
    """Public functions of a room, and public methods of its classes."""
    module = import_module(f"astro_photz{room}")
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and value.__module__.startswith("astro_photz"):
            members = {member: getattr(one, "__func__", one) for member, one in vars(value).items()}
            own = {member: one for member, one in members.items() if inspect.isfunction(one)}
            own = {member: one for member, one in own.items() if one.__module__.startswith("astro_photz")}
            named = [member for member in own if member == "__init__" or member[0] != "_"]
            yield from ((f"{name}.{member}", own[member]) for member in named)


def unannotated(function):
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    missing = [p.name for p in parameters if p.annotation is inspect.Parameter.empty]
    no_return = signature.return_annotation is inspect.Signature.empty and function.__name__ != "__init__"
    return missing + ["return"] * no_return


@pytest.mark.parametrize("room", [*ROOMS, *MODULES, *(f".{name}" for name in EXTRAS)])
def test_public_functions_are_annotated(room):
    for package in EXTRAS.get(room.lstrip("."), ()):
        pytest.importorskip(package)
    missing = {name: unannotated(function) for name, function in public(room)}
    assert not {name: names for name, names in missing.items() if names}
