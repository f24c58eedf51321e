# Licensed under a 3-clause BSD style license - see LICENSE
"""Settings that users write: names, types and ranges."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from astro_photz.utils._settings import (
    built,
    check_at_least,
    check_between,
    check_known,
    check_one_of,
    keyword_defaults,
    typed,
)


@dataclass(frozen=True)
class Inner:
    rates: tuple[float, ...] = (0.1,)
    on: bool = False


@dataclass(frozen=True)
class Outer:
    name: str
    steps: int = 1
    free: dict = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        check_at_least("steps", self.steps, 1)


def test_a_table_becomes_a_dataclass_with_the_types_of_its_fields():
    made = built(Outer, {"name": Path("a/b"), "free": {"x": 1}, "inner": {"rates": [1, 0.5]}})
    assert made == Outer(name="a/b", steps=1, free={"x": 1}, inner=Inner(rates=(1.0, 0.5)))
    assert [type(rate) for rate in made.inner.rates] == [float, float]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({}, ValueError, r"^setting 'name' is missing$"),
        (
            {"name": "a", "step": 2},
            ValueError,
            r"^unknown setting 'step': did you mean 'steps'\? Known are name, steps",
        ),
        ({"name": 3}, TypeError, r"^name must be a text, got 3$"),
        ({"name": "a", "steps": True}, TypeError, r"^steps must be a whole number, got True$"),
        ({"name": "a", "steps": 2.0}, TypeError, r"^steps must be a whole number, got 2.0$"),
        ({"name": "a", "steps": 0}, ValueError, r"^steps must be at least 1, got 0$"),
        ({"name": "a", "inner": 1}, TypeError, r"^inner must be a table of settings, got 1$"),
        ({"name": "a", "inner": {"off": 1}}, ValueError, r"^unknown setting 'off' in \[inner\]: "),
        ({"name": "a", "inner": {"on": 1}}, TypeError, r"^on in \[inner\] must be true or false, got 1$"),
        ({"name": "a", "inner": {"rates": 1}}, TypeError, r"^rates in \[inner\] must be a list of numbers, got 1$"),
        ({"name": "a", "inner": {"rates": ["b"]}}, TypeError, r"^rates in \[inner\] must be a number, got 'b'$"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(table, error, message):
    with pytest.raises(error, match=message):
        built(Outer, table)


def test_pairs_have_two_numbers():
    assert typed("range", (0, 1), tuple[float, float]) == (0.0, 1.0)
    for value in ([0.1], [0.1, 0.2, 0.3], "ab", 0.1):
        with pytest.raises(TypeError, match=r"^range must be 2 numbers, like \[0.0, 0.4\], got "):
            typed("range", value, tuple[float, float], like=(0.0, 0.4))


def test_limits_belong_to_the_range():
    for value in (0, 0.5, 1):
        check_between("share", value, 0, 1)
    check_at_least("n", 1, 1)
    for value in (-1e-9, 1 + 1e-9, float("nan")):
        with pytest.raises(ValueError, match=rf"^share must lie between 0 and 1 mag, got {value}$"):
            check_between("share", value, 0, 1, unit="mag")
    with pytest.raises(ValueError, match=r"^n must be at least 1, got nan$"):
        check_at_least("n", float("nan"), 1)


def test_names_are_known_or_refused():
    check_known(["a", "b"], ["b", "a"])
    with pytest.raises(ValueError, match=r"^unknown section 'c' in a file: Known are a$"):
        check_known(["a", "c"], ["a"], kind="section", where="in a file")
    check_one_of("keep", "last", ("best", "last"))
    with pytest.raises(ValueError, match=r"^keep must be one of best, last, got 'first'$"):
        check_one_of("keep", "first", ("best", "last"))


def test_only_keywords_with_plain_defaults_are_settings():
    def step(n, rng=None, *, width=1.0, names=("a",), form={}, on=True, **others):  # noqa: B006
        pass

    assert keyword_defaults(step) == {"width": 1.0, "names": ("a",), "on": True}
