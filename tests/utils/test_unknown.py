# Licensed under a 3-clause BSD style license - see LICENSE
"""What is not known stays not known, whatever says so and wherever it comes in."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.utils.masked import Masked

from astro_photz import CutoutFile, Cutouts, predict
from astro_photz.cutouts.hdf5.layout import read_column
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._arrays import NULL_WORDS, identifiers, integers, numbers
from astro_photz.utils._units import parse_unit

NAN = np.nan

# Numbers of which the second is not known, in all ways in which tables say so.
UNKNOWN_SECOND = {
    "NaN": [0.1, NAN, 0.3],
    "infinity": [0.1, np.inf, 0.3],
    "minus infinity": [0.1, -np.inf, 0.3],
    "None": [0.1, None, 0.3],
    "None in an array": np.array([0.1, None, 0.3], dtype=object),
    "sentinel": [0.1, -9999.0, 0.3],
    "sentinel of two digits": [0.1, -99.0, 0.3],
    "sentinel of one digit": [0.1, -9, 0.3],
    "sentinel in float32": np.array([0.1, -999.9, 0.3], dtype=np.float32),
    "HEALPix' own": np.array([0.1, -1.6375e30, 0.3]),
    "masked array": np.ma.array([0.1, 0.2, 0.3], mask=[False, True, False]),
    "masked column": MaskedColumn([0.1, 0.2, 0.3], mask=[False, True, False]),
    "Masked": Masked([0.1, 0.2, 0.3], mask=[False, True, False]),
    "text": ["0.1", "null", "0.3"],
    "text of a sentinel": ["0.1", "-9999", " 0.3 "],
    "bytes": np.array([b"0.1", b"\\N", b"0.3"]),
    "masked text": MaskedColumn(["0.1", "0.2", "0.3"], mask=[False, True, False]),
    "series": pd.Series([0.1, None, 0.3]),
    "series of text": pd.Series(["0.1", "n/a", "0.3"]),
    "series of nullable numbers": pd.Series([0.1, None, 0.3], dtype="Float64"),
    "series of arrow": pd.Series([0.1, None, 0.3], dtype="float64[pyarrow]"),
    "masked value in a list": [0.1, np.ma.masked, 0.3],
}


@pytest.mark.parametrize("values", UNKNOWN_SECOND.values(), ids=UNKNOWN_SECOND)
def test_numbers(values):
    np.testing.assert_allclose(numbers(values), [0.1, NAN, 0.3], rtol=1e-6)


@pytest.mark.parametrize("word", sorted(NULL_WORDS))
@pytest.mark.parametrize("change", [str, str.upper, str.title, lambda word: f" {word} ", str.encode])
def test_null_words(word, change):
    values = np.array([change(text) for text in ("1", word)])
    np.testing.assert_array_equal(numbers(values), [1, NAN])
    assert integers(values).tolist() == [1, -1]
    assert [name.strip() for name in identifiers(values)] == ["1", ""]


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([50, 20] * u.mmag, u.mag, [0.05, 0.02]),
        (Column([50, 20], unit="mmag"), u.mag, [0.05, 0.02]),
        (Masked([50, 20] * u.mmag, mask=[True, False]), u.mag, [NAN, 0.02]),
        ([50 * u.mmag, 0.02 * u.mag], u.mag, [0.05, 0.02]),
        (Column([1.0, -9999.0], unit="arcmin"), u.arcsec, [60, NAN]),
        (Column([1.0, 2.0], unit="Arcsecs"), u.arcsec, [1, 2]),
        (Column(["1", "null"], unit="[nanomaggies]"), u.nmgy, [1, NAN]),
        ([0.1, 0.2], u.mag, [0.1, 0.2]),
        ([0.1, 0.2] * u.one, u.mag, [0.1, 0.2]),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_numbers_in_a_unit(values, unit, expected):
    np.testing.assert_allclose(numbers(values, unit=unit), expected, rtol=1e-6)


@pytest.mark.parametrize("values", [[1, 2] * u.s, Column([1, 2], unit="m"), Column([1, 2], unit="no unit")])
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_numbers_in_a_unit_that_does_not_convert(values):
    with pytest.raises(ValueError, match=r"not convertible|is no unit"):
        numbers(values, unit=u.mag)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], [1, 2]),
        (MaskedColumn([1237653651835781245, 7], mask=[False, True]), [1237653651835781245, -1]),
        (np.array([2**63 + 5, 7], dtype=np.uint64), [2**63 + 5, 7]),
        (MaskedColumn(np.array([2**63 + 5, 7], dtype=np.uint64), mask=[False, True]), [2**63 + 5, 0]),
        ([5, -9999], [5, -1]),
        (np.array([1237653651835781245, None], dtype=object), [1237653651835781245, -1]),
        (pd.Series([1237653651835781245, None], dtype="Int64"), [1237653651835781245, -1]),
        (pd.Series([1237653651835781245, None], dtype="int64[pyarrow]"), [1237653651835781245, -1]),
        (["NGC 1", "--"], ["NGC 1", ""]),
        (["5", "-9999"], ["5", ""]),
        (np.array([2**65, 1, 2], dtype=object), [str(2**65), "1", "2"]),
        (np.array([2**63 + 5, -9999], dtype=object), [str(2**63 + 5), ""]),
        (np.array([b"NGC 1", b"\xc3\xa9toile"]), ["NGC 1", "étoile"]),
        (MaskedColumn(["a", "b"], mask=[True, False]), ["", "b"]),
        (np.array(["a", None], dtype=object), ["a", ""]),
        (pd.Series(["a", None]), ["a", ""]),
    ],
)
def test_identifiers(values, expected):
    assert identifiers(values).tolist() == expected


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        *((name, u.deg) for name in ("deg", "DEG", "degrees", "Degree", "[deg]", "(degrees)", "deg.", "°")),
        *((name, u.hourangle) for name in ("hour", "HOURS", "hr", "h", "hourangle", '"h:m:s"', "[hms]", u.h)),
        *((name, u.rad) for name in ("rad", "RADIANS", "radian")),
        *((name, u.arcsec) for name in ("arcsec", "ArcSec", "arcseconds", '"')),
        *((name, u.mag) for name in ("mag", "MAG", "[magnitudes]")),
        *((name, None) for name in ("", " ", "--", "none", u.one, None)),
    ],
)
def test_units_in_any_spelling(text, unit):
    assert parse_unit(text) == unit


# Each door by which values come in


@pytest.mark.parametrize("values", UNKNOWN_SECOND.values(), ids=UNKNOWN_SECOND)
def test_reddening_of_cutouts(values):
    flux = gaussian_cutouts(3).flux
    np.testing.assert_allclose(Cutouts(flux, ebv=values).ebv, [0.1, NAN, 0.3], rtol=1e-6)


def as_column(values):
    """Values as a table may hold them."""
    return values if hasattr(values, "dtype") else Column(np.array(values, dtype=object))


IN_TABLES = {name: as_column(values) for name, values in UNKNOWN_SECOND.items() if not isinstance(values, pd.Series)}


@pytest.mark.parametrize("values", IN_TABLES.values(), ids=IN_TABLES)
def test_columns_of_a_table(values):
    """Position, reddening and extinctions."""
    table = Table({"ra": [150.0, 150.1, 150.2], "dec": [2.0, 2.1, 2.2], "ebv": values})
    np.testing.assert_allclose(read_positions(table).ebv, [0.1, NAN, 0.3], rtol=1e-6)
    places = Table({"ra": values, "dec": [2.0, 2.1, 2.2]})
    assert read_positions(places).valid.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(-9999.0, -9999.0), (-999, -999), (-99, -99), (-9, -9), (999, 99), (150, 90.0000001), (NAN, 2), (150, np.inf)],
)
def test_positions_that_are_sentinels(ra, dec):
    table = Table({"ra": [150.0, ra], "dec": [2.0, dec]})
    assert read_positions(table).valid.tolist() == [True, False]


@pytest.mark.parametrize(("ra", "dec"), [(350, -9), (99, 2), (9, -9), (-10, 0), (0, 0), (360, 90)])
def test_positions_that_are_meant(ra, dec):
    positions = read_positions(Table({"ra": [ra], "dec": [dec]}))
    assert positions.valid.all()
    assert positions.coord.dec.deg[0] == dec


FIELDS = {
    "text": (["1043", "94"], ["301", "301"], ["5", "6"], ["25", "null"]),
    "sentinel": ([1043, 94], [301, 301], [5, 6], [25, -9999]),
    "masked": ([1043, 94], [301, 301], [5, 6], MaskedColumn([25, 1], mask=[False, True])),
    "camcol of another camera": ([1043, 94], [301, 301], [5, 7], [25, 12]),
    "camcol of none": ([1043, 94], [301, 301], [5, 0], [25, 12]),
    "objects": (np.array([1043, None], dtype=object), [301, 301], [5, 6], [25, 12]),
    "floats": ([1043.0, NAN], [301.0, 301.0], [5.0, 6.0], [25.0, 12.0]),
    "no whole number": ([1043, 94], [301, 301], [5, 6], [25, 12.5]),
}


@pytest.mark.parametrize("columns", FIELDS.values(), ids=FIELDS)
def test_field_of_a_galaxy(columns):
    table = Table({"ra": [150.0, 150.1], "dec": [2.0, 2.1]})
    for name, values in zip(("RUN", "rerun", "camcol", "Field"), columns, strict=True):
        table[name] = values
    assert read_positions(table).field_ids.tolist() == [[1043, 301, 5, 25], [-1] * 4]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.2] * 5 * u.arcsec, 1.2),
        ([0.02] * 5 * u.arcmin, 1.2),
        (Masked([1.2] * 5 * u.arcsec, mask=True), NAN),
        ([-9999.0] * 5, NAN),
        ([0.0] * 5, NAN),
        ([np.inf] * 5, NAN),
        (["1.2", "1.2", "1.2", "1.2", "1.2"], 1.2),
    ],
)
def test_seeing_of_cutouts(values, expected):
    widths = u.Quantity([values]) if isinstance(values, u.Quantity) and not hasattr(values, "mask") else [values]
    widths = values[np.newaxis] if hasattr(values, "mask") else widths
    np.testing.assert_allclose(Cutouts(gaussian_cutouts(1).flux, ebv=0.1, psf_fwhm=widths).psf_fwhm, expected)


def test_provenance_of_cutouts():
    names = ("data_release", "run", "rerun", "camcol", "field")
    rows = [(17, 1043, 301, 5, 25), (17, -9999, 301, 9, -9999)]
    provenance = Table(rows=rows, names=names, masked=True)
    provenance["rerun"].mask = [False, True]
    there = Cutouts(gaussian_cutouts(2).flux, ebv=0.1, provenance=provenance).provenance
    assert list(there[0]) == list(rows[0])
    assert list(there[1]) == [17, -1, -1, -1, -1]


# Files


def write_file(path, **data_sets):
    """A file of stamps with some of its data sets replaced."""
    gaussian_cutouts(3).write(path, specz_redshift=[0.1, 0.2, 0.3])
    with h5py.File(path, "r+") as file:
        for name, values in data_sets.items():
            del file[name]
            file[name] = values
    return path


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("specz_redshift", [0.1, -9999, 0.3], [0.1, NAN, 0.3]),
        ("specz_redshift", [0.1, 99.0, 0.3], [0.1, NAN, 0.3]),
        ("specz_redshift", [b"0.1", b"null", b"0.3"], [0.1, NAN, 0.3]),
        ("ra", [150.0, -9999, 151], [150, NAN, 151]),
        ("dec", [2.0, np.inf, -9.0], [2, NAN, -9]),
        ("psf_fwhm", np.full((3, 5), -9999.0), np.full((3, 5), NAN)),
        ("run", [5, -9999, 7], [5, -1, 7]),
        ("ObjID", [b"a", b"b\xe9", b""], ["a", "b\ufffd", ""]),
        ("ObjID", [5, -9999, 7], [5, -1, 7]),
    ],
)
def test_data_sets_of_a_file(tmp_path, name, values, expected):
    with h5py.File(write_file(tmp_path / "stamps.h5", **{name: values})) as file:
        np.testing.assert_array_equal(read_column(file, name), expected)


@pytest.mark.parametrize("unit", ["Jy", "mag", "no unit", ["count"]])
def test_images_in_another_unit_are_refused(tmp_path, unit):
    path = write_file(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["images"].attrs["unit"] = unit
    with pytest.raises(ValueError, match=r"images have the unit .*convert them to nanomaggies"):
        CutoutFile(path)


@pytest.mark.parametrize("unit", ["nmgy", "nanomaggy", b"nanomaggies", ["nmgy"]])
def test_images_in_nanomaggies(tmp_path, unit):
    path = write_file(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["images"].attrs["unit"] = unit
    assert len(Cutouts.read(path)) == 3


@pytest.mark.parametrize("name", ["images", "ra", "e_bv"])
@pytest.mark.parametrize("kind", ["group", "empty"])
def test_what_is_no_data_set(tmp_path, name, kind):
    path = write_file(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        del file[name]
        if kind == "group":
            file.create_group(name)
        else:
            file[name] = h5py.Empty("f4")
    with pytest.raises(ValueError, match=f"{name} must be a data set with values"):
        CutoutFile(path)


def test_unit_of_a_data_set(tmp_path):
    path = write_file(tmp_path / "stamps.h5", psf_fwhm=np.full((3, 5), 0.02))
    with h5py.File(path, "r+") as file:
        file["psf_fwhm"].attrs["unit"] = "arcmin"
    np.testing.assert_allclose(Cutouts.read(path).psf_fwhm, 1.2)


@pytest.mark.parametrize("dec", [-9999.0, 90.0000001, np.nan, np.inf])
def test_one_bad_position_in_a_file(tmp_path, dec):
    """Its row is found no more; the others are."""
    path = write_file(tmp_path / "stamps.h5", dec=[2.0, dec, 2.0])
    table = Table({"ra": gaussian_cutouts(3).coord.ra.deg, "dec": [2.0, 2.0, 2.0]})
    result = predict(table, source=CutoutFile(path))
    assert result["z_phot_flags"].tolist() == [0, PhotozFlag.NO_MATCH, 0]
    assert np.isnan(Cutouts.read(path).coord.dec.deg).tolist() == [False, True, False]
    assert np.isnan(CutoutFile(path).catalog()["dec"]).tolist() == [False, True, False]


@pytest.mark.parametrize("value", [np.inf, -9999.0, np.nan, -1.0])
def test_one_bad_extinction_in_a_file(tmp_path, value):
    """Its galaxy has the reddening of the map, and says so."""
    cutouts = gaussian_cutouts(3)
    extinction = np.tile([5.155, 3.793, 2.751, 2.086, 1.479], (3, 1)) * 0.03
    extinction[1, 2] = value
    path = write_file(tmp_path / "stamps.h5", e_bv=extinction)
    assert np.isnan(Cutouts.read(path).ebv).tolist() == [False, True, False]
    result = predict(Table({"coord": cutouts.coord}), source=CutoutFile(path))
    assert result["z_phot_flags"].tolist() == [0, PhotozFlag.APPROXIMATE_EBV, 0]


SHAPES = {
    "channels last": (
        {"images": np.zeros((3, 64, 64, 5))},
        r"got \(3, 64, 64, 5\).*transpose the axes to \(0, 3, 1, 2\)",
    ),
    "one band": ({"images": np.zeros((3, 1, 64, 64))}, r"images must have the shape \(N, 5, S, S\)"),
    "no square": ({"images": np.zeros((3, 5, 64, 70))}, r"images must have the shape"),
    "too small": ({"images": np.zeros((3, 5, 32, 32))}, r"S of 64 or more"),
    "one stamp": ({"images": np.zeros((5, 64, 64))}, r"images must have the shape"),
    "a column too deep": ({"ra": np.zeros((3, 1))}, r"ra must have the shape \(3,\).*got \(3, 1\)"),
    "labels too deep": ({"specz_redshift": np.zeros((3, 1))}, r"specz_redshift must have the shape \(3,\)"),
    "short": ({"dec": np.zeros(2)}, r"dec must have the shape \(3,\).*got \(2,\)"),
    "short extinctions": ({"e_bv": np.zeros((2, 5))}, r"e_bv must have the shape \(3, 5\)"),
    "one extinction": ({"e_bv": np.zeros(3)}, r"e_bv must have the shape \(3, 5\)"),
    "names too deep": ({"ObjID": np.zeros((3, 1))}, r"ObjID must have the shape \(3,\)"),
    "seeing in one band": ({"psf_fwhm": np.zeros(3)}, r"psf_fwhm must have the shape \(3, 5\)"),
}


@pytest.mark.parametrize(("data_sets", "message"), SHAPES.values(), ids=SHAPES)
def test_shapes_of_data_sets(tmp_path, data_sets, message):
    path = write_file(tmp_path / "stamps.h5", **data_sets)
    for read in (CutoutFile, Cutouts.read):
        with pytest.raises(ValueError, match=message):
            read(path)


@pytest.mark.parametrize(("data_sets", "message"), SHAPES.values(), ids=SHAPES)
def test_shapes_of_data_sets_for_a_training(tmp_path, data_sets, message):
    stamps = pytest.importorskip("astro_photz.train.data.stamps", exc_type=ImportError)
    with pytest.raises(ValueError, match=message):
        stamps.Stamps(write_file(tmp_path / "stamps.h5", **data_sets))


@pytest.mark.parametrize(
    ("data_sets", "message"),
    [
        ({"e_bv": np.full((3, 5), -9999.0)}, "e_bv must be known in every row; in 3 it is not"),
        ({"e_bv": np.full((3, 5), np.inf)}, "e_bv must be known"),
        ({"e_bv": np.full((3, 5), -0.1)}, "e_bv must be known"),
        ({"specz_redshift": [0.1, -9999.0, 0.2]}, "must be a number.*in 1 it is not, the first -9999.0 in row 1"),
        ({"specz_redshift": [0.1, 0.2, 99.0]}, "specz_redshift must be a number.*in row 2"),
        ({"specz_redshift": [b"0.1", b"null", b"0.2"]}, "specz_redshift must be a number.*in row 1"),
    ],
)
def test_a_training_takes_nothing_that_is_unknown(tmp_path, data_sets, message):
    stamps = pytest.importorskip("astro_photz.train.data.stamps", exc_type=ImportError)
    with pytest.raises(ValueError, match=message):
        stamps.Stamps(write_file(tmp_path / "stamps.h5", **data_sets))


# Coordinates of any kind


def places(**options):
    return SkyCoord([150.1, 3.58, 299.4] * u.deg, [2.2, 15.6, -45.25] * u.deg, **options)


COORDS = {
    "distances": places(distance=[1, 2, 3] * u.Mpc),
    "one distance unknown": places(distance=[1, NAN, 3] * u.Mpc),
    "one distance infinite": places(distance=[1, np.inf, 3] * u.Mpc),
    "one distance masked": places(distance=Masked([1, 2, 3] * u.Mpc, mask=[False, True, False])),
    "distances without a unit": places(distance=[1, NAN, 3]),
    "motions unknown": places(pm_ra_cosdec=[1, NAN, 2] * u.mas / u.yr, pm_dec=[1, NAN, 2] * u.mas / u.yr),
    "galactic, a distance unknown": SkyCoord(
        places().galactic.l, places().galactic.b, distance=[1, NAN, 3] * u.kpc, frame="galactic"
    ),
    "Cartesian": SkyCoord(places().cartesian * 5, representation_type="cartesian"),
    "cylindrical": SkyCoord(places(distance=[1, 2, 3] * u.kpc), representation_type="cylindrical"),
    "ecliptic": places().barycentrictrueecliptic,
    "Galactocentric": places(distance=[10, 20, 30] * u.Mpc).galactocentric,
}


@pytest.mark.parametrize("coord", COORDS.values(), ids=COORDS)
def test_directions_of_coordinates_of_any_kind(coord):
    for data in (coord, Table({"where": coord})):
        positions = read_positions(data)
        assert positions.valid.all()
        assert positions.coord.separation(places()).max() < 1e-3 * u.arcsec


@pytest.mark.parametrize("frame", ["hcrs", "heliocentrictrueecliptic", "lsr", "galacticlsr"])
def test_a_frame_that_needs_distances(frame):
    """A row without one is unknown; none at all is an error."""
    some = SkyCoord(places().ra, places().dec, distance=[100, NAN, 100] * u.Mpc, frame=frame)
    assert read_positions(some).valid.tolist() == [True, False, True]
    with pytest.raises(ValueError, match=f"coordinates in the frame {frame} without distances do not convert"):
        read_positions(SkyCoord(places().ra, places().dec, frame=frame))


@pytest.mark.parametrize("shape", [(3, 2), (1, 3), (2, 1, 3)])
def test_coordinates_with_several_axes(shape):
    coord = SkyCoord(np.zeros(shape), np.zeros(shape), unit="deg")
    message = rf"one axis.*got the shape \({', '.join(map(str, shape))}\)"
    for data in (coord, Table({"where": coord})):
        with pytest.raises(ValueError, match=message):
            predict(data)
