# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables whose coordinates are none: the message names the column and what it holds, or the row has no position."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, HADec, SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time

from astro_photz.positions import read_positions

DEC = [2.2, 2.3, 2.4]
SKY = SkyCoord([150.1, 150.2, 150.3], DEC, unit="deg")


@pytest.mark.parametrize(
    ("ra", "kind"),
    [
        (Time([2451545.0, 2451546.0, 2451547.0], format="jd"), "a Time"),
        (np.array([True, False, True]), "True and False"),
        (np.array([150 + 1j, 150, 150]), "complex numbers"),
        (np.array(["2000-01-01"] * 3, dtype="M8[D]"), "dates"),
        (np.zeros(3, dtype=[("a", float), ("b", int)]), "records"),
    ],
)
@pytest.mark.parametrize("names", [{}, {"ra": "ra", "dec": "dec"}])
def test_columns_that_hold_no_angles(ra, kind, names):
    with pytest.raises(ValueError, match=f"^column 'ra' must hold angles; it holds {kind}: give it"):
        read_positions(Table({"ra": ra, "dec": DEC}), **names)


def test_a_skycoord_under_the_name_of_a_right_ascension():
    table = Table({"ra": SKY, "dec": DEC})
    assert read_positions(table).valid.all()
    assert read_positions(table, coord="ra").valid.all()
    with pytest.raises(ValueError, match=r"column 'ra' must hold angles; it holds a SkyCoord: name it by coord="):
        read_positions(table, ra="ra", dec="dec")


@pytest.mark.parametrize("unit", [u.m, u.s, u.mag, u.kg, u.deg**2])
def test_quantities_of_another_unit(unit):
    with pytest.raises(ValueError, match=rf"column 'ra' has the unit '{unit}', which is no angle: give it one"):
        read_positions(QTable({"ra": [150, 151, 152] * unit, "dec": DEC}))


@pytest.mark.parametrize("column", [np.ones((3, 2)), np.ones((3, 1, 1))])
def test_several_numbers_in_a_row(column):
    with pytest.raises(ValueError, match=r"column 'ra' must have one number in each row"):
        read_positions(Table({"ra": column, "dec": DEC}))


def test_frames_that_do_not_convert():
    places = (AltAz(SKY.ra, SKY.dec), HADec(SKY.ra, SKY.dec))
    for place in places:
        with pytest.raises(ValueError, match=f"column 'place': coordinates in the frame {place.name}.*do not convert"):
            read_positions(Table({"place": SkyCoord(place)}))


@pytest.mark.parametrize(
    "word", ["1_5", "1e400", "\N{ARABIC-INDIC DIGIT ONE}", "0x1F", "1+2j", "True", "", "½", "10:61:99h"]
)
@pytest.mark.parametrize("kind", [str, bytes, object])
def test_one_word_that_is_no_angle(word, kind):
    words = [word.encode(), b"150.2", b"150.3"] if kind is bytes else [word, "150.2", "150.3"]
    positions = read_positions(Table({"ra": np.array(words, dtype=None if kind is bytes else kind), "dec": DEC}))
    assert positions.valid.tolist() == [False, True, True]


@pytest.mark.parametrize("value", [None, np.inf, 1e300, True, 10**400, [1.0], {}])
def test_one_object_that_is_no_angle(value):
    ras = np.empty(3, dtype=object)
    ras[:] = [value, 150.2, 150.3]
    assert read_positions(Table({"ra": ras, "dec": DEC})).valid.tolist() == [False, True, True]


@pytest.mark.parametrize("parameter", ["coord", "ra", "ebv"])
@pytest.mark.parametrize("name", [SKY, ["ra"], True, {}, np.array(["ra", "dec"]), b"ra"])
def test_names_that_are_no_text(parameter, name):
    options = {parameter: name} | ({"dec": "dec"} if parameter == "ra" else {})
    with pytest.raises(TypeError, match=f"^{parameter} must be the name of a column, got "):
        read_positions(Table({"ra": SKY.ra, "dec": SKY.dec}), **options)


@pytest.mark.parametrize("release", ["DR12", 0, -1, True, 12.5, [12]])
def test_releases_that_are_none(release):
    with pytest.raises(
        ValueError, match=r"^extinction_release must be that of an SDSS catalogue, such as 12 or 17; got "
    ):
        read_positions(Table({"ra": SKY.ra, "dec": SKY.dec}), extinction_release=release)


@pytest.mark.parametrize("ebv", [np.array([True] * 3), SKY, np.array([0.1j] * 3), Time([1.0, 2, 3], format="jd")])
def test_reddening_that_is_no_number(ebv):
    with pytest.raises(ValueError, match=r"^column 'ebv' must hold magnitudes; it holds "):
        read_positions(Table({"ra": SKY.ra, "dec": SKY.dec, "ebv": ebv}))


@pytest.mark.parametrize("ids", [SKY, np.ones((3, 2)), Time([1.0, 2, 3], format="jd")])
def test_identifiers_that_are_none_are_left_out(ids):
    assert read_positions(Table({"ra": SKY.ra, "dec": SKY.dec, "objid": ids})).ids is None


@pytest.mark.parametrize("name", ["a\nb", "\x00", "é", "", "x" * 1000, "%s", "{0}"])
def test_names_with_any_letters(name):
    table = Table({"ra": SKY.ra, "dec": SKY.dec, name: DEC})
    assert read_positions(table).valid.all()
    with pytest.raises(KeyError, match="the table has no such column"):
        read_positions(table, ra=f"{name}?", dec="dec")


def test_masked_rows_of_any_kind_have_no_position():
    mask = [True, False, False]
    for ra in (MaskedColumn(SKY.ra.deg, mask=mask), MaskedColumn(["x", "150.2", "150.3"], mask=mask)):
        assert read_positions(Table({"ra": ra, "dec": Column(DEC)})).valid.tolist() == [False, True, True]
