# Licensed under a 3-clause BSD style license - see LICENSE
"""Answers of the catalogue are believed value by value: what cannot be is found, and never made into something else."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astroquery.exceptions import RemoteServiceError

from astro_photz.cutouts.sources._objects import (
    DETAILS,
    PLACE,
    TYPE,
    ImpossibleAnswer,
    check_columns,
    read_objects,
)
from astro_photz.sdss import FieldID
from astro_photz.testing.server import ERROR_PAGE

COLUMNS = (*PLACE, *DETAILS, TYPE)
FIELD = FieldID(1043, 301, 5, 25)


def line(k=0, **changes):
    """Values of an object, as SkyServer writes them, by column."""
    run, rerun, camcol, field = FIELD
    object_id = 2 << 59 | rerun << 48 | run << 32 | camcol << 29 | field << 16 | 11 + k
    values = {"ra": 150 + k / 100, "dec": 2.25, **FIELD._asdict(), "rowc_r": 700.5, "colc_r": 1000.25}
    values |= {"objID": object_id} | dict.fromkeys(DETAILS[:5], 0.125) | dict.fromkeys(DETAILS[5:], 1.25)
    return {name: str(value) for name, value in (values | {"type": "GALAXY"} | changes).items()}


def answer(*lines, names=COLUMNS):
    rows = [names, *([one[name] for name in names] for one in lines)]
    return "#Table1\n" + "\n".join(",".join(row) for row in rows) + "\n"


def read(text, columns=COLUMNS, **most):
    around = SkyCoord(150 + np.arange(3) / 100, [2.25] * 3, unit="deg")
    return read_objects(text, columns, around=around, radius=2 * u.arcsec, **most)


def assert_same(one, other):
    assert one.field_ids == other.field_ids
    assert one.coord.to_string() == other.coord.to_string()
    for name in ("depth", "extinction", "psf_fwhm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_answer_that_is_whole():
    objects = read(answer(line(0), line(1)))
    assert objects.field_ids == [FIELD, FIELD]
    np.testing.assert_array_equal(objects.depth, 700.5)
    np.testing.assert_array_equal(objects.extinction, np.full((2, 5), 0.125))
    np.testing.assert_array_equal(objects.psf_fwhm, np.full((2, 5), 1.25))
    assert objects.astray == 0


def test_an_answer_without_objects():
    assert read(answer()).field_ids == []


def test_an_answer_about_places_only():
    objects = read(answer(line(0), names=PLACE), PLACE)
    assert objects.field_ids == [FIELD]
    assert np.isnan(objects.extinction).all()
    assert objects.extinction.shape == (1, 5)


def test_the_order_and_the_case_of_columns_do_not_matter():
    names = np.random.default_rng(3).permutation(COLUMNS).tolist()
    text = answer(line(0), line(1), names=names)
    header = ",".join(names)
    assert_same(read(text.replace(header, header.upper())), read(answer(line(0), line(1))))


@pytest.mark.parametrize("word", ["null", "", "NaN", "-9999", "-9999.0", "-999"])
@pytest.mark.parametrize("column", ["extinction_g", "psffwhm_r", "rowc_r", "rerun"])
def test_what_may_be_unknown_is_unknown(column, word):
    """Of one object only; the rerun stands in the identifier too."""
    objects = read(answer(line(0, **{column: word}), line(1)))
    assert objects.field_ids == [FIELD, FIELD]
    assert np.isnan(objects.extinction).sum() == (column == "extinction_g")
    assert np.isnan(objects.psf_fwhm).sum() == (column == "psffwhm_r")
    assert np.isnan(objects.depth).sum() == (column == "rowc_r")


def test_a_width_that_was_not_measured_is_unknown():
    assert np.isnan(read(answer(line(psffwhm_u="0"))).psf_fwhm).tolist() == [[True, False, False, False, False]]


NO_NUMBER = ["inf", "-Infinity", "1_0", "\uff11", "0x1", "1 2", "one", "1e999", "--", "1.2.3", "\x00", "'1'", "1" * 500]
NOT_THERE = ["", "null", "NaN", "-9999"]
IMPOSSIBLE = {
    "ra": [*NO_NUMBER, *NOT_THERE, "-0.1", "360.1", "1e30"],
    "dec": [*NO_NUMBER, *NOT_THERE, "295", "-90.001"],
    "run": [*NO_NUMBER, *NOT_THERE, str(2**32 + 1043), str(2**16 + 1043), str(2**64 + 1043), "1043.5", "-1043", "0"],
    "camcol": [*NO_NUMBER, *NOT_THERE, "0", "7", "5.5", str(2**32 + 5), str(8 + 5)],
    "field": [*NO_NUMBER, *NOT_THERE, "4121", str(2**32 + 25)],
    "rerun": [*NO_NUMBER, str(2**32 + 301), "2048", "-5"],
    "rowc_r": [*NO_NUMBER, "1e6", "-3000"],
    "colc_r": [*NO_NUMBER, "1e6", "-3000"],
    "objID": [*NO_NUMBER, *NOT_THERE, "1", str(2**64), "1.2376e18"],
    "extinction_r": [*NO_NUMBER, "-0.5", "1e4", "1e20"],
    "psffwhm_z": [*NO_NUMBER, "-1.5", "1e4"],
}


@pytest.mark.parametrize(("column", "word"), [(column, word) for column, words in IMPOSSIBLE.items() for word in words])
def test_what_cannot_be_is_told_and_left_out(column, word):
    """Nothing becomes another number; the other objects are those of the whole answer."""
    with pytest.raises(ImpossibleAnswer, match="its line 2 cannot be: ") as caught:
        read(answer(line(0), line(1, **{column: word}), line(2)))
    assert column in str(caught.value)
    assert len(str(caught.value)) < 120
    left = caught.value.objects
    placed = column not in ("ra", "dec")
    assert left.astray == (not placed)
    assert left.field_ids == ([FIELD, None, FIELD] if placed else [FIELD, FIELD])
    if placed:
        assert np.isnan(left.extinction[1]).all()
        assert np.isnan(left.psf_fwhm[1]).all()
    assert np.isfinite(left.extinction[[0, -1]]).all()


@pytest.mark.parametrize("column", FieldID._fields)
def test_a_field_that_the_identifier_contradicts(column):
    other = getattr(FIELD, column) - 1
    with pytest.raises(ImpossibleAnswer, match=f"{column} is {other}, but {other + 1} in its objID"):
        read(answer(line(**{column: other})))


def test_columns_that_changed_places():
    names = list(COLUMNS)
    names[2], names[5] = names[5], names[2]
    with pytest.raises(ImpossibleAnswer, match="in its objID"):
        read(answer(line(0)).replace(",".join(COLUMNS), ",".join(names)))


def test_an_object_that_is_nowhere_near():
    with pytest.raises(ImpossibleAnswer, match="36 arcsec from the next position") as caught:
        read(answer(line(0, dec=2.26), line(1)))
    assert caught.value.objects.astray == 1
    assert len(caught.value.objects.coord) == 1


def test_several_lines_are_counted():
    with pytest.raises(ImpossibleAnswer, match="its line 1 cannot be, nor 2 more: run is 'x'"):
        read(answer(*(line(k, run="x") for k in range(3))))


@pytest.mark.parametrize("names", [COLUMNS[:-1], (*COLUMNS, "ra"), (*COLUMNS, "run")])
def test_columns_that_are_missing_or_doubled(names):
    text = answer(line(), names=names)
    with pytest.raises(RemoteServiceError, match=r"it lacks type|it has (ra|run) twice"):
        read(text)


def test_a_column_under_another_name():
    with pytest.raises(RemoteServiceError, match="it lacks dec"):
        read(answer(line()).replace("dec", "declination"))


def test_more_objects_than_can_be():
    with pytest.raises(RemoteServiceError, match="it has 4 lines, where no more than 2 objects can be"):
        read(answer(line(0), line(0), line(1)), most=2)


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "#Table1\n", "{}", ERROR_PAGE.decode(), "\x00" * 100, "#Table1\nerror_message\nno\n", "," * 1000],
)
def test_what_is_no_table(text):
    with pytest.raises(RemoteServiceError) as caught:
        read(text)
    assert not isinstance(caught.value, ImpossibleAnswer)


@pytest.mark.parametrize("columns", [PLACE, COLUMNS])
def test_an_answer_cut_anywhere_is_noticed(columns):
    """But between two lines, where nothing is to be seen; nowhere does a part of a value stand for the whole."""
    text = answer(line(0), line(1), names=columns)
    for cut in range(len(text)):
        fields, noticed = _fields_of(text[:cut], columns)
        assert set(fields) <= {FIELD, None}
        assert noticed or text[cut] == "\n" or text[cut - 1] == "\n"
        assert noticed or fields == [FIELD] * (len(text[:cut].splitlines()) - 2)


def _fields_of(text, columns):
    """Fields in an answer, and whether something is wrong with it."""
    try:
        return read(text, columns).field_ids, False
    except ImpossibleAnswer as error:
        return error.objects.field_ids, True
    except RemoteServiceError:
        return [], True


def columns(*names):
    return [{"TableName": "Table1", "Rows": [{"name": name, "unit": ""} for name in names]}]


def test_a_list_of_columns():
    check_columns(json.dumps(columns("objID", "RA", "dec", "run")))


@pytest.mark.parametrize(
    "document",
    [
        *([], {}, None, 5, "ra", [[]], [{"Rows": None}], [{"Rows": []}], [{"Rows": ["ra", "dec"]}]),
        [{"Rows": [{"name": "ra"}, {"name": "dec", "unit": ""}]}],
        [{"Rows": [{"name": 1}, {"name": 2}]}],
        [{"Rows": [{"column": "ra"}, {"column": "dec"}]}],
        columns("plate", "mjd"),
        columns("ra", "dec", "RA"),
        {"Message": "An error has occurred."},
    ],
)
def test_what_is_no_list_of_columns(document):
    with pytest.raises(RemoteServiceError, match="it is no list of"):
        check_columns(json.dumps(document))


@pytest.mark.parametrize(
    "text", ["", "<html>", "[" * 100_000, "[" + "{}," * 2_000_000, '[{"Rows": [' + "1" * 10_000 + "]}]", "\x00"]
)
def test_what_is_no_json(text):
    with pytest.raises(RemoteServiceError, match=r"it is (no|longer than any) list of columns"):
        check_columns(text)
