# Licensed under a 3-clause BSD style license - see LICENSE
"""Positions and reddening are found in whatever table an astronomer has, or the call says what it cannot decide."""

import re

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Angle, Latitude, Longitude, SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from astro_photz.dust import extinction_from_ebv
from astro_photz.positions import read_positions
from astro_photz.sdss import BANDS

SKY = SkyCoord([150.1, 3.58, 299.4], [2.2, 15.6, -45.25], unit="deg")


def make_table(ra="ra", dec="dec", *, coord=SKY, **columns):
    return Table({ra: coord.ra.deg, dec: coord.dec.deg, **columns})


def assert_same_place(positions, coord=SKY, *, within=1e-6 * u.arcsec):
    assert positions.coord.frame.name == "icrs"
    assert positions.valid.all()
    assert positions.coord.separation(coord).max() < within


# Columns of coordinates


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("ra", "dec"),
        ("RA", "DEC"),
        ("Ra", "Dec"),
        ("RAJ2000", "DEJ2000"),
        ("RAJ2000", "DECJ2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("_RA", "_DE"),
        ("RA_J2000", "DEC_J2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("RA_ICRS", "DE_ICRS"),
        ("RAdeg", "DEdeg"),
        ("right_ascension", "declination"),
        ("TARGET_RA", "TARGET_DEC"),
        ("PLUG_RA", "PLUG_DEC"),
        ("raMean", "decMean"),
        ("raStack", "decStack"),
        ("coord_ra", "coord_dec"),
        ("RA_1", "DEC_1"),
        ("host_ra", "host_dec"),
        ("X_WORLD", "Y_WORLD"),
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
        ("RAICRS", "DEICRS"),
        ("RA [deg]", "DEC [deg]"),
        ("RA(J2000)", "Dec(J2000)"),
        ("R.A.", "Dec."),
        ("R.A.", "Decl."),
        (" ra ", "dec"),
        ("RA (degrees)", "Dec (degrees)"),
        ("Ra_deg", "Dec_deg"),
        ("ra{ICRS}", "dec{ICRS}"),
        ("RA J2000", "DE J2000"),
        ("Right Ascension", "Declination"),
        ("FIBER_RA", "FIBER_DEC"),
        ("galaxy_ra", "galaxy_dec"),
    ],
)
def test_usual_names(ra, dec):
    assert_same_place(read_positions(make_table(ra, dec)))


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("RAB1950", "DEB1950"),
        ("RA(B1950)", "Dec(B1950)"),
        ("e_RAJ2000", "e_DEJ2000"),
        ("ra_error", "dec_error"),
        ("glon", "glat"),
        ("ra", "redshift"),
        ("pmra", "pmdec"),
    ],
)
def test_names_of_something_else(ra, dec):
    with pytest.raises(ValueError, match=f"has no coordinates.*It has {re.escape(ra)}, {dec[:2]}"):
        read_positions(make_table(ra, dec))


@pytest.mark.parametrize(
    ("columns", "remedy"),
    [
        (("name", "gal_ra_2", "gal_dec_2"), "ra='gal_ra_2' and dec='gal_dec_2'"),
        (("RA_OPT", "DEC_OPT", "z"), "ra='RA_OPT' and dec='DEC_OPT'"),
        (("skyRa", "skyDec"), "ra='skyRa' and dec='skyDec'"),
        (("RA.gaia", "DE.gaia"), "ra='RA.gaia' and dec='DE.gaia'"),
        (("raaj2000", "dejj2000"), "ra='raaj2000' and dec='dejj2000'"),
        (("l", "b", "flux"), "name them by coord= or by ra= and dec="),
    ],
)
def test_the_nearest_names_are_proposed(columns, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        read_positions(Table({name: [1.0] for name in columns}))


@pytest.mark.parametrize(
    ("ra", "dec", "unit_ra", "unit_dec"),
    [
        ("RA [rad]", "DEC [rad]", u.rad, u.rad),
        ("RA [hours]", "Dec [deg]", u.hourangle, u.deg),
        ("ra_hr", "dec_deg", u.hourangle, u.deg),
        ("RA (h)", "Dec (degrees)", u.hourangle, u.deg),
        ("ra_radians", "dec_radians", u.rad, u.rad),
        ("RA [arcsec]", "DEC [arcsec]", u.arcsec, u.arcsec),
    ],
)
def test_units_in_names(ra, dec, unit_ra, unit_dec):
    table = Table({ra: SKY.ra.to_value(unit_ra), dec: SKY.dec.to_value(unit_dec)})
    assert_same_place(read_positions(table))
    assert_same_place(read_positions(table, ra=ra, dec=dec))


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [
        ("degrees", u.deg),
        ("DEG", u.deg),
        ("[deg]", u.deg),
        ("RADIANS", u.rad),
        ("", u.deg),
        ("Degree", u.deg),
        ("hours", u.hourangle),
        ("h", u.hourangle),
        ("Rad", u.rad),
        ("arcseconds", u.arcsec),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_units_as_catalogues_spell_them(spelling, unit):
    dec_unit = u.deg if unit is u.hourangle else unit
    table = Table({"ra": SKY.ra.to_value(unit), "dec": SKY.dec.to_value(dec_unit)})
    table["ra"].unit = u.Unit(spelling, parse_strict="silent")
    table["dec"].unit = u.Unit("deg" if unit is u.hourangle else spelling, parse_strict="silent")
    assert_same_place(read_positions(table))


@pytest.mark.parametrize("unit", ["hourangle", "hours", u.hourangle, "h"])
def test_unit_of_right_ascension_by_keyword(unit):
    table = Table({"ra": SKY.ra.hourangle, "dec": SKY.dec.deg})
    assert_same_place(read_positions(table, ra_unit=unit))
    assert_same_place(read_positions(make_table("RA [deg]"), ra_unit=unit))  # what a column says goes first
    for wrong in ("km", "furlong", "2h222", "2d553"):
        with pytest.raises(ValueError, match=f"ra_unit='{wrong}' must be a unit of angle"):
            read_positions(table, ra_unit=wrong)


@pytest.mark.parametrize(
    ("ra", "like"),
    [
        ([1.0, 23.9], True),
        ([0.0, 3.0], True),
        ([1.0, 24.0], False),
        ([-1.0, 3.0], False),
        ([np.nan, 3.0], True),
        (Column([1.0, 2.0], unit="deg"), False),
        (["1.0", "2.0"], False),
        ([np.nan, np.nan], False),
    ],
)
def test_right_ascensions_like_hours(ra, like):
    assert read_positions(Table({"ra": ra, "dec": [1.0, 2.0]})).like_hours == like


def test_other_names_by_keyword():
    table = make_table("alpha", "delta")
    assert_same_place(read_positions(table, ra="alpha", dec="delta"))


def test_named_columns_go_before_usual_ones():
    table = make_table(coord=SkyCoord([0, 0, 0], [0, 0, 0], unit="deg"), alpha=SKY.ra.deg, delta=SKY.dec.deg)
    assert_same_place(read_positions(table, ra="alpha", dec="delta"))


@pytest.mark.parametrize("unit", [u.deg, u.rad, u.hourangle, u.arcsec])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_units(unit, kind):
    table = kind({"ra": SKY.ra.to(unit), "dec": SKY.dec.to(unit)})
    assert_same_place(read_positions(table))


def test_units_may_differ():
    table = Table({"ra": Longitude(SKY.ra, u.hourangle), "dec": Latitude(SKY.dec, u.rad)})
    assert_same_place(read_positions(table))


@pytest.mark.parametrize("sep", [":", " ", "hms"])
def test_sexagesimal_text_is_hours_and_degrees(sep):
    ra = SKY.ra.to_string(u.hourangle, sep=sep, precision=6)
    dec = SKY.dec.to_string(u.deg, sep=sep.replace("h", "d"), precision=6, alwayssign=True)
    assert_same_place(read_positions(Table({"ra": ra, "dec": dec})), within=1e-4 * u.arcsec)
    in_bytes = Table({"ra": np.char.encode(ra), "dec": np.char.encode(dec)})
    assert_same_place(read_positions(in_bytes), within=1e-4 * u.arcsec)


def test_text_has_the_unit_of_its_column():
    table = Table({"ra": Column(["10.5", "1:30:00"], unit="hourangle"), "dec": Column(["0.5", "0.5"], unit="rad")})
    assert_same_place(read_positions(table), SkyCoord([157.5, 22.5] * u.deg, [0.5, 0.5] * u.rad))
    degrees = Table({"ra": Column(["150:30:00"], unit="deg"), "dec": Column(["1:30:00"], unit="deg")})
    assert_same_place(read_positions(degrees), SkyCoord([150.5] * u.deg, [1.5] * u.deg))
    with pytest.raises(ValueError, match="which is no angle"):
        read_positions(Table({"ra": Column(["1.0"], unit="m"), "dec": ["1.0"]}))


@pytest.mark.parametrize("units", [('"h:m:s"', '"d:m:s"'), ("hms", "dms"), ("hh:mm:ss", "dd:mm:ss")])
def test_sexagesimal_text_may_say_so(units):
    """As the tables of VizieR do, in words that are no units."""
    text = SKY.ra.to_string(u.hourangle, sep=" ", precision=6), SKY.dec.to_string(u.deg, sep=" ", precision=6)
    table = Table(text, names=("RAJ2000", "DEJ2000"))
    for name, unit in zip(table.colnames, units, strict=True):
        table[name].unit = u.Unit(unit, parse_strict="silent")
    assert_same_place(read_positions(table), within=1e-4 * u.arcsec)


def test_reddening_that_was_read_as_text():
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "ebv": ["0.02", "null"]})
    np.testing.assert_allclose(read_positions(table).ebv, [0.02, np.nan])


def test_decimal_text_is_degrees():
    """Numbers that a reader took for text do not become hours."""
    table = Table({"ra": ["150.1", "3.58", "299.4"], "dec": ["2.2", "15.6", "-45.25"]})
    assert_same_place(read_positions(table))


def test_column_of_objects():
    table = Table({"ra": np.array([150.1, None, 299.4], dtype=object), "dec": [2.2, 15.6, -45.25]})
    positions = read_positions(table)
    np.testing.assert_array_equal(positions.valid, [True, False, True])
    assert positions.coord[0].separation(SKY[0]) < 1e-6 * u.arcsec


def test_whole_numbers_are_degrees():
    positions = read_positions(Table({"ra": [10, 200], "dec": [-5, 5]}))
    np.testing.assert_allclose(positions.coord.ra.deg, [10, 200])


def test_negative_right_ascension_goes_around():
    positions = read_positions(Table({"ra": [-10.0], "dec": [0.0]}))
    assert positions.coord.ra.deg == pytest.approx(350)


# SkyCoord


@pytest.mark.parametrize("frame", ["icrs", "fk5", "fk4", "galactic", "geocentricmeanecliptic"])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_skycoord_column_of_any_name_and_frame(frame, kind):
    table = kind({"where": SKY.transform_to(frame), "objid": [1, 2, 3]})
    assert_same_place(read_positions(table), within=1e-3 * u.arcsec)


def test_skycoord_with_distances_is_a_direction():
    assert_same_place(read_positions(SkyCoord(SKY.ra, SKY.dec, distance=[10, 20, 30] * u.Mpc)))


def test_skycoord_itself():
    assert_same_place(read_positions(SKY.galactic), within=1e-3 * u.arcsec)


def test_scalar_skycoord_is_one_galaxy():
    positions = read_positions(SKY[0])
    assert len(positions) == 1
    assert_same_place(positions, SKY[:1])
    assert positions.ids is None
    assert positions.ebv is None
    assert positions.field_ids is None


# Rows without a usable position


def bad_rows():
    """Tables of which the second row has no usable position, by what is wrong with it."""
    ra, dec = [150.1, 3.58, 299.4], [2.2, 15.6, -45.25]
    mask = [False, True, False]
    nan = np.array([1.0, np.nan, 1.0])
    return {
        "nan ra": Table({"ra": ra * nan, "dec": dec}),
        "nan dec": Table({"ra": ra, "dec": dec * nan}),
        "infinite": Table({"ra": [150.1, np.inf, 299.4], "dec": dec}),
        "masked ra": Table({"ra": MaskedColumn(ra, mask=mask), "dec": dec}),
        "masked dec": Table({"ra": ra, "dec": MaskedColumn(dec, mask=mask)}),
        "masked quantity": QTable({"ra": Masked(ra * u.deg, mask=mask), "dec": dec * u.deg}),
        "masked text": Table(
            {"ra": MaskedColumn(SKY.ra.to_string("hourangle"), mask=mask), "dec": SKY.dec.to_string()}
        ),
        "unreadable text": Table({"ra": ["10:00:24", "unknown", "19:57:36"], "dec": dec}),
        "empty text": Table({"ra": ["150.1", "", "299.4"], "dec": dec}),
        "beyond the pole": Table({"ra": ra, "dec": [2.2, 95.0, -45.25]}),
        "beyond the south pole": Table({"ra": ra, "dec": [2.2, -90.1, -45.25]}),
        "sentinel": Table({"ra": [150.1, -9999.0, 299.4], "dec": [2.2, -9999.0, -45.25]}),
        "nan in skycoord": Table({"c": SkyCoord(ra * nan, dec * nan, unit="deg")}),
        "masked skycoord": Table({"c": SkyCoord(Masked(ra * u.deg, mask=mask), dec * u.deg)}),
        "masked skycoord elsewhere": Table(
            {"c": SkyCoord(Masked(SKY.galactic.l, mask=mask), SKY.galactic.b, frame="galactic")}
        ),
    }


@pytest.mark.parametrize("what", bad_rows())
def test_row_without_a_position_stays_as_nan(what):
    positions = read_positions(bad_rows()[what])
    assert len(positions) == 3
    np.testing.assert_array_equal(positions.valid, [True, False, True])
    assert np.isnan(positions.coord.ra[1])
    assert np.isnan(positions.coord.dec[1])
    assert positions.coord[[0, 2]].separation(SKY[[0, 2]]).max() < 1 * u.arcsec


@pytest.mark.parametrize("dec", [90.0, -90.0])
def test_poles_are_on_the_sky(dec):
    assert read_positions(Table({"ra": [10.0], "dec": [dec]})).valid.all()


@pytest.mark.parametrize("dtype", [float, int, "U12", object])
def test_no_rows(dtype):
    table = Table({"ra": np.zeros(0, dtype), "dec": np.zeros(0, dtype), "ebv": np.zeros(0)})
    positions = read_positions(table)
    assert len(positions) == 0
    assert positions.valid.shape == positions.ebv.shape == (0,)
    assert len(read_positions(SKY[:0])) == 0


# What cannot be decided


def test_greek_names_are_proposed_before_those_that_look_alike():
    table = Table({"host_mag": [17.0], "alpha_host": [150.1], "delta_host": [2.2]})
    with pytest.raises(ValueError, match="say so by ra='alpha_host' and dec='delta_host'"):
        read_positions(table)


@pytest.mark.parametrize(
    ("table", "has"),
    [
        (Table({"flux": [1.0], "z": [0.1]}), "flux, z"),
        (Table({"ra": [1.0]}), "ra"),
        (Table(), "no columns"),
    ],
)
def test_no_coordinates(table, has):
    with pytest.raises(ValueError, match=f"no coordinates.*coord=.*ra=.*dec=.*{has}"):
        read_positions(table)


def test_candidates_that_differ():
    table = make_table(RAJ2000=SKY.ra.deg + 0.01, DEJ2000=SKY.dec.deg)
    with pytest.raises(ValueError, match=r"'ra'/'dec', 'RAJ2000'/'DEJ2000'.*coord=.*ra=.*dec="):
        read_positions(table)
    assert_same_place(read_positions(table, ra="ra", dec="dec"))


def test_names_that_differ_by_case_only():
    table = make_table(RA=[1.0, 2.0, 3.0], DEC=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"'ra'/'dec', 'RA'/'DEC'"):
        read_positions(table)
    del table["DEC"]
    with pytest.raises(ValueError, match=r"'ra'/'dec', 'RA'/'dec'"):
        read_positions(table)


def test_skycoord_columns_that_differ():
    other = SKY.directional_offset_by(90 * u.deg, 5 * u.arcsec)
    table = QTable({"radio": SKY, "optical": other})
    with pytest.raises(ValueError, match=r"'radio', 'optical'.*coord="):
        read_positions(table)
    assert_same_place(read_positions(table, coord="optical"), other)


def test_skycoord_against_columns():
    table = make_table(coord=SKY.directional_offset_by(0 * u.deg, 5 * u.arcsec), where=SKY)
    with pytest.raises(ValueError, match=r"'where', 'ra'/'dec'"):
        read_positions(table)


@pytest.mark.parametrize("unknown", [np.nan, -9999.0])
def test_candidates_of_which_one_lacks_a_row(unknown):
    """The other tells it."""
    table = make_table(where=SKY, RAJ2000=SKY.ra.deg, DEJ2000=SKY.dec.deg)
    table["ra"][1] = unknown
    table["DEJ2000"][0] = unknown
    assert_same_place(read_positions(table))
    table.remove_column("where")
    table["RAJ2000"][1] = unknown
    assert read_positions(table).valid.tolist() == [True, False, True]


def test_candidates_that_agree():
    """As in a table of VizieR, with text and numbers, or after somebody added a SkyCoord."""
    near = SKY.directional_offset_by(30 * u.deg, 0.3 * u.arcsec)
    table = Table(
        {
            "RAJ2000": near.ra.to_string(u.hourangle, sep=" "),
            "DEJ2000": near.dec.to_string(u.deg, sep=" "),
            "_RAJ2000": SKY.ra.deg,
            "_DEJ2000": SKY.dec.deg,
            "coord": SKY,
        }
    )
    assert_same_place(read_positions(table), within=1 * u.arcsec)


@pytest.mark.parametrize("unit", ["m", "mag", "degrees C", "arcs"])
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_wrong_unit(unit):
    table = make_table()
    table["dec"].unit = u.Unit(unit, parse_strict="silent")
    with pytest.raises(ValueError, match=f"column 'dec' has the unit '{unit}'.*no angle.*deg"):
        read_positions(table)


@pytest.mark.parametrize("parameter", ["coord", "ebv"])
def test_named_column_that_is_not_there(parameter):
    with pytest.raises(KeyError, match=f"{parameter}='nothing'.*no such column; Known are ra, dec"):
        read_positions(make_table(), **{parameter: "nothing"})


def test_column_of_several_numbers_in_a_row():
    with pytest.raises(ValueError, match=r"column 'ra' must have one number in each row, got the shape \(3, 1\)"):
        read_positions(Table({"ra": SKY.ra.deg[:, None], "dec": SKY.dec.deg}))


def test_named_right_ascension_that_is_not_there():
    with pytest.raises(KeyError, match="dec='nothing'"):
        read_positions(make_table(), ra="ra", dec="nothing")


def test_right_ascension_alone():
    with pytest.raises(ValueError, match="go together; got ra='ra', dec=None"):
        read_positions(make_table(), ra="ra")


def test_coord_that_is_no_skycoord():
    with pytest.raises(ValueError, match=r"coord='ra' must be a SkyCoord column.*ra= and dec="):
        read_positions(make_table(), coord="ra")


def test_data_of_another_kind():
    with pytest.raises(TypeError, match="data must be an astropy Table or a SkyCoord; got dict"):
        read_positions({"ra": [1.0], "dec": [1.0]})


# Reddening


@pytest.mark.parametrize("name", ["ebv", "EBV", "e_bv", "E_BV", "E(B-V)", "EBV_SFD"])
def test_reddening_under_usual_names(name):
    positions = read_positions(make_table(**{name: [0.02, 0.03, 0.0]}))
    assert positions.ebv.dtype == np.float32
    np.testing.assert_allclose(positions.ebv, [0.02, 0.03, 0.0], rtol=1e-6)


def test_reddening_under_another_name():
    positions = read_positions(make_table(dust=[0.02, 0.03, 0.05], ebv=[9.0, 9.0, 9.0]), ebv="dust")
    np.testing.assert_allclose(positions.ebv, [0.02, 0.03, 0.05], rtol=1e-6)


def test_no_reddening():
    assert read_positions(make_table(z=[0.1, 0.2, 0.3])).ebv is None


@pytest.mark.parametrize(
    "ebv",
    [
        [0.1, np.nan, 0.2],
        [0.1, -0.01, 0.2],
        [0.1, np.inf, 0.2],
        [0.1, -9999.0, 0.2],
        MaskedColumn([0.1, 0.1, 0.2], mask=[False, True, False]),
        Masked([0.1, 0.1, 0.2], mask=[False, True, False]),
    ],
    ids=["nan", "negative", "infinite", "sentinel", "masked column", "masked"],
)
def test_unusable_reddening_is_nan(ebv):
    positions = read_positions(make_table(ebv=ebv))
    np.testing.assert_allclose(positions.ebv, [0.1, np.nan, 0.2], rtol=1e-6)


@pytest.mark.parametrize("unit", [u.mag, u.mmag])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_unit_of_reddening(unit, kind):
    table = kind({"coord": SKY, "ebv": ([0.02, 0.03, 0.05] * u.mag).to(unit)})
    np.testing.assert_allclose(read_positions(table).ebv, [0.02, 0.03, 0.05], rtol=1e-6)


def test_wrong_unit_of_reddening():
    with pytest.raises(ValueError, match="column 'ebv' must hold magnitudes; it has the unit 'deg'"):
        read_positions(QTable({"coord": SKY, "ebv": [1, 2, 3] * u.deg}))


def test_several_reddenings():
    table = make_table(ebv=[0.1, 0.1, 0.1], EBV_SFD=[0.1, 0.1, 0.1])
    with pytest.raises(ValueError, match=r"several columns of E\(B-V\): ebv, EBV_SFD; say which by ebv="):
        read_positions(table)
    assert read_positions(table, ebv="ebv").ebv is not None


@pytest.mark.parametrize("stem", ["extinction_", "A_", "EXTINCTION_", "a_"])
@pytest.mark.parametrize("coefficients", ["DR12", "DR13"])
def test_extinction_columns_of_either_release(stem, coefficients):
    """17 % hang on it: the same dust gives the same E(B-V), whichever coefficients the catalogue took."""
    ebv = np.array([0.02, 0.1, 0.4])
    extinction = extinction_from_ebv(ebv, coefficients=coefficients)
    table = make_table(**{f"{stem}{band}": extinction[:, k] for k, band in enumerate(BANDS)})
    np.testing.assert_allclose(read_positions(table).ebv, ebv, rtol=1e-5)


@pytest.mark.parametrize(("release", "coefficients"), [(9, "DR12"), (18, "DR13")])
def test_the_release_of_extinctions_can_be_named(release, coefficients):
    extinction = extinction_from_ebv([0.1, 0.2, 0.3], coefficients=coefficients).round(1)
    found = read_positions(make_table(e_bv=extinction), extinction_release=release).ebv
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3], atol=0.03)


def test_extinction_of_five_numbers_a_row():
    """As ``e_bv`` in the published data sets."""
    table = make_table(e_bv=extinction_from_ebv([0.02, 0.1, 0.4], coefficients="DR12"))
    np.testing.assert_allclose(read_positions(table).ebv, [0.02, 0.1, 0.4], rtol=1e-5)


def test_masked_extinction():
    extinction = extinction_from_ebv([0.02, 0.1, 0.4])
    columns = {f"extinction_{band}": extinction[:, k] for k, band in enumerate(BANDS)}
    columns["extinction_z"] = MaskedColumn(columns["extinction_z"], mask=[False, True, False])
    np.testing.assert_allclose(read_positions(make_table(**columns)).ebv, [0.02, np.nan, 0.4], rtol=1e-5)


def test_extinction_in_some_bands_is_not_enough():
    columns = {f"extinction_{band}": [0.1, 0.1, 0.1] for band in "ugri"}
    assert read_positions(make_table(**columns)).ebv is None


def test_reddening_goes_before_extinction():
    columns = {f"extinction_{band}": [9.0, 9.0, 9.0] for band in BANDS}
    np.testing.assert_allclose(
        read_positions(make_table(ebv=[0.1, 0.2, 0.3], **columns)).ebv, [0.1, 0.2, 0.3], rtol=1e-6
    )


# Names and fields


def test_ids():
    ids = np.array([1237653651835781245, 1, 2], dtype=np.int64)
    positions = read_positions(make_table(objID=ids))
    assert positions.ids.dtype == np.int64
    np.testing.assert_array_equal(positions.ids, ids)


def test_field_ids():
    table = make_table(run=[1043, 756, 94], rerun=[301, 301, 301], camcol=[5, 1, 6], field=[25, 200, 12])
    field_ids = read_positions(table).field_ids
    assert field_ids.dtype == np.int32
    np.testing.assert_array_equal(field_ids, [[1043, 301, 5, 25], [756, 301, 1, 200], [94, 301, 6, 12]])
    table.remove_column("rerun")
    np.testing.assert_array_equal(read_positions(table).field_ids[:, 1], 301)


def test_masked_field_id_is_unknown_as_a_whole():
    table = make_table(
        run=MaskedColumn([1043, 756, 94], mask=[False, True, False]), camcol=[5, 1, 6], field=[25, 200, 12]
    )
    field_ids = read_positions(table).field_ids
    np.testing.assert_array_equal(field_ids[1], -1)
    assert (field_ids[[0, 2]] > 0).all()


@pytest.mark.parametrize("lacking", ["run", "camcol", "field", ("camcol", "field"), ("run", "field")])
def test_a_part_of_a_field_id_names_no_field(lacking):
    table = make_table(run=[1043, 756, 94], rerun=[301, 301, 301], camcol=[5, 1, 6], field=[25, 200, 12])
    table.remove_columns(lacking)
    assert read_positions(table).field_ids is None


@pytest.mark.parametrize("name", ["run", "camcol", "field"])
def test_one_number_that_is_unknown_leaves_its_row_without_a_field(name):
    table = make_table(run=[1043, 756, 94], camcol=[5, 1, 6], field=[25, 200, 12])
    table[name][1] = 7 if name == "camcol" else -1  # there are six columns of CCDs
    np.testing.assert_array_equal((read_positions(table).field_ids < 0).all(axis=1), [False, True, False])
    table[name] = [-1, -1, -1]
    found = read_positions(table).field_ids
    assert found is None


def test_field_that_is_no_number():
    table = make_table(run=[1043, 756, 94], camcol=[5, 1, 6], field=["COSMOS", "S82", "EGS"])
    assert read_positions(table).field_ids is None


def test_table_is_not_modified():
    table = make_table(ebv=MaskedColumn([0.1, -1.0, 0.2], mask=[False, False, True]), objid=[1, 2, 3])
    before = table.copy()
    read_positions(table)
    assert table.colnames == before.colnames
    assert all((table[name] == before[name]).all() for name in ("ra", "dec", "objid"))
    np.testing.assert_array_equal(table["ebv"].data.data, before["ebv"].data.data)
    np.testing.assert_array_equal(table["ebv"].mask, before["ebv"].mask)


def test_angle_columns():
    assert_same_place(read_positions(QTable({"ra": Angle(SKY.ra), "dec": Angle(SKY.dec)})))
