# Licensed under a 3-clause BSD style license - see LICENSE
"""Words are numbers only if a catalogue means them so, and what is no number is named."""

import decimal

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn
from astropy.time import Time

from astro_photz.utils._arrays import filled, foreign_kind, integers, numbers
from astro_photz.utils._checks import check_count, check_release
from astro_photz.utils._settings import check_at_least, check_between, check_one_of, one_number, typed
from astro_photz.utils._suggestions import shortened

WORDS = [
    "1_5",
    "1__5",
    "0x1F",
    "1\N{FULLWIDTH DIGIT FIVE}",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "²",
    "1e",
    "1.2.3",
    "True",
    "1+2j",
    "½",
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", [str, bytes, object])
def test_words_that_python_may_take_for_numbers(word, kind):
    words = [word.encode(), b"7"] if kind is bytes else [word, "7"]
    values = np.array(words, dtype=object if kind is object else None)
    assert np.isnan(numbers(values)[0])
    assert numbers(values)[1] == 7
    assert integers(values).tolist() == [-1, 7]


@pytest.mark.parametrize("word", ["1.5", "+1.5", "1.5e0", "15E-1", " 1.5 ", "1.50", ".15e1"])
def test_words_that_are_numbers(word):
    assert numbers([word]) == 1.5


@pytest.mark.parametrize("word", ["1e400", "-1e400", "inf", "-Infinity", "nan", "9" * 400])
def test_words_beyond_all_numbers(word):
    assert np.isnan(numbers([word])).all()
    assert integers([word]).tolist() == [-1]


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), 1 + 2j, 10**400, [1.0], np.ones(1), {"a": 1}, None, b"x", object()]
)
def test_objects_that_are_no_numbers(value):
    values = np.empty(2, dtype=object)
    values[:] = [value, decimal.Decimal("0.5")]
    assert numbers(values).tolist()[1] == 0.5
    assert np.isnan(numbers(values)[0])


@pytest.mark.parametrize("dtype", ["c16", "M8[s]", "M8[ns]", "m8[s]", "V4", [("a", float)]])
def test_columns_that_hold_no_numbers(dtype):
    values = np.zeros(3, dtype=dtype)
    assert np.isnan(numbers(values)).all()
    assert foreign_kind(values)
    with pytest.raises(TypeError, match=r"^z_phot must hold real numbers"):
        filled(values, name="z_phot")


def test_foreign_kinds():
    assert foreign_kind(SkyCoord([1], [2], unit="deg")) == "a SkyCoord"
    assert foreign_kind(Time(["2000-01-01"])) == "a Time"
    assert not foreign_kind(Column(["a"]))
    assert not foreign_kind(MaskedColumn([1.0]))


@pytest.mark.parametrize("values", ["x", ["a", 1], [[1, 2], [3]], {"a": 1}, ["1_5"], object(), [0.1, [0.2]]])
def test_what_is_no_array_of_numbers(values):
    with pytest.raises(TypeError, match=r"^p must hold real numbers; got "):
        filled(values, name="p")


@pytest.mark.parametrize(
    "values", [["0.1", "null", None], np.ma.masked_array([0.1, 5, 5], mask=[0, 1, 1]), [0.1, np.nan, None]]
)
def test_unknown_values_are_nan(values):
    np.testing.assert_array_equal(filled(values), [0.1, np.nan, np.nan])


@pytest.mark.parametrize("value", [1.5, "3", None, True, np.ones(1), [1], 2j, np.ones(2, dtype=int)])
def test_what_is_no_count(value):
    with pytest.raises(TypeError, match=r"^n must be a whole number, got "):
        check_count("n", value)


def test_counts_have_limits():
    assert check_count("n", np.int64(3), most=3) == 3
    with pytest.raises(ValueError, match=r"^n must be at most 3, got 4"):
        check_count("n", 4, most=3)
    with pytest.raises(ValueError, match=r"^n must be at least 1, got -1000"):
        check_count("n", -(10**400))


@pytest.mark.parametrize("value", ["12", 0, -1, True, 12.0, None, [12]])
def test_what_is_no_release(value):
    with pytest.raises(ValueError, match="extinction_release must be that of an SDSS catalogue"):
        check_release("extinction_release", value)


@pytest.mark.parametrize("value", ["1", None, True, [1], 1j, np.ones(2)])
def test_checks_of_what_is_no_number(value):
    for check in (
        one_number,
        lambda name, value: check_at_least(name, value, 0),
        lambda *one: check_between(*one, 0, 1),
    ):
        with pytest.raises(TypeError, match=r"^level must be a number, got "):
            check("level", value)


@pytest.mark.parametrize("value", [["a"], {}, None, 3, "b"])
def test_names_of_any_type(value):
    with pytest.raises(ValueError, match=r"^keep must be one of a, c, got "):
        check_one_of("keep", value, ("a", "c"))


@pytest.mark.parametrize(("value", "wanted"), [(10**400, float), (np.inf, float), (float("nan"), float), (10**19, int)])
def test_settings_are_finite(value, wanted):
    with pytest.raises(ValueError, match=r"^epochs must be a finite number"):
        typed("epochs", value, wanted)


class Mute:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value", ["a" * 10**6, list(range(10**6)), {"a": {"b": {"c": [1]}}}, "a\nb", Mute(), np.zeros((9, 9))]
)
def test_values_in_messages_are_short(value):
    assert 0 < len(shortened(value)) < 120
    assert "\n" not in shortened(value)
