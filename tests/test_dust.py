# Licensed under a 3-clause BSD style license - see LICENSE
"""Dust dims and reddens; its amount is the same whatever it is read from."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Column, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.utils.masked import Masked

from astro_photz.dust import (
    approximate_ebv,
    deredden,
    ebv_from_extinction,
    ebv_from_map,
    extinction_from_ebv,
    far_from_map,
    redden,
)
from astro_photz.sdss import EXTINCTION_COEFFICIENTS, R_UGRIZ
from shared_data import SHARED, needs_shared

EBV = np.array([0.0, 0.02, 0.1, 0.3], dtype=np.float32)


def make_flux(n, *, seed=0, shape=(64, 64)):
    return np.random.default_rng(seed).normal(1, 0.5, (n, 5, *shape)).astype(np.float32)


# Light


@pytest.mark.parametrize("shape", [(), (64, 64)])
def test_dereddening_undoes_reddening(shape):
    flux = make_flux(4, shape=shape)
    dimmed = redden(flux, ebv=EBV)
    assert dimmed.dtype == np.float32
    assert dimmed.shape == flux.shape
    np.testing.assert_allclose(deredden(dimmed, ebv=EBV), flux, rtol=1e-5, atol=1e-6)


def test_no_dust_changes_nothing():
    flux = make_flux(2)
    np.testing.assert_array_equal(redden(flux, ebv=np.zeros(2)), flux)
    np.testing.assert_array_equal(deredden(flux, ebv=np.zeros(2)), flux)


def test_more_dust_dims_more_and_blue_light_most():
    ebv = np.linspace(0, 1, 11)
    flux = redden(np.ones((11, 5)), ebv=ebv)
    assert np.all(np.diff(flux, axis=0) < 0)
    colours = -2.5 * np.log10(flux[:, :-1] / flux[:, 1:])
    assert np.all(np.diff(colours, axis=0) > 0)


def test_clouds_add_up():
    flux = make_flux(3)
    twice = redden(redden(flux, ebv=np.full(3, 0.1)), ebv=np.full(3, 0.2))
    np.testing.assert_allclose(twice, redden(flux, ebv=np.full(3, 0.3)), rtol=1e-5)


def test_magnitudes_of_extinction():
    """Schlafly & Finkbeiner (2011), table 6: A_r is 2.285 mag for a magnitude of E(B-V)."""
    magnitudes = -2.5 * np.log10(redden(np.ones((1, 5)), ebv=[1.0]))
    np.testing.assert_allclose(magnitudes[0], [4.239, 3.303, 2.285, 1.698, 1.263], rtol=1e-5)


def test_missing_pixels_and_missing_reddening():
    flux = make_flux(2)
    flux[0, 2, 5, 5] = np.nan
    dimmed = redden(flux, ebv=[0.1, np.nan])
    assert np.isnan(dimmed[0]).sum() == 1
    assert np.isnan(dimmed[1]).all()


def test_input_is_not_modified():
    flux = make_flux(4)
    before = flux.copy()
    redden(flux, ebv=EBV)
    deredden(flux, ebv=EBV)
    np.testing.assert_array_equal(flux, before)


# Extinctions of the catalogues


@pytest.mark.parametrize("coefficients", EXTINCTION_COEFFICIENTS)
def test_reddening_from_extinction(coefficients):
    ebv = np.random.default_rng(1).uniform(0.005, 0.5, 200)
    found = ebv_from_extinction(extinction_from_ebv(ebv, coefficients=coefficients))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ebv, rtol=1e-5)


def test_sets_of_coefficients_differ_by_what_is_at_stake():
    ratio = EXTINCTION_COEFFICIENTS["DR12"] / EXTINCTION_COEFFICIENTS["DR13"]
    assert 1.14 < ratio.min() < ratio.max() < 1.24


@pytest.mark.parametrize("coefficients", EXTINCTION_COEFFICIENTS)
def test_each_row_tells_its_set(coefficients):
    """Rounding to three digits, broken rows and rows without dust do not matter to the others."""
    rng = np.random.default_rng(2)
    ebv = rng.uniform(0.01, 0.3, 101)
    extinction = extinction_from_ebv(ebv, coefficients=coefficients).round(3)
    extinction[:20] = 0
    extinction[20:30] = np.nan
    extinction[30:45] = rng.uniform(0.01, 1, (15, 5))
    with pytest.warns(AstropyUserWarning, match="in 15 rows, the first 30: .* belong to no SDSS data release"):
        found = ebv_from_extinction(extinction)
    np.testing.assert_array_equal(found[:20], 0)
    assert np.isnan(found[20:45]).all()
    np.testing.assert_allclose(found[45:], ebv[45:], atol=1e-3)


@pytest.mark.parametrize("decimals", [2, 3, 4])
@pytest.mark.filterwarnings("ignore:.*too few digits:astropy.utils.exceptions.AstropyUserWarning")
def test_rounded_extinctions_of_any_release_row_by_row(decimals):
    """Of a mixture of releases, and of each row alone, the same E(B-V): none wrong by more than rounding makes it."""
    rng = np.random.default_rng(decimals)
    ebv = rng.uniform(0.005, 0.4, 400)
    sets = [extinction_from_ebv(ebv, coefficients=name).round(decimals) for name in EXTINCTION_COEFFICIENTS]
    mixed = np.where(rng.uniform(size=(400, 1)) < 0.5, *sets)
    found = ebv_from_extinction(mixed)
    known = np.isfinite(found)
    assert known.mean() > 0.99
    assert np.abs(found - ebv)[known].max() < {2: 0.01, 3: 0.0015, 4: 1e-4}[decimals]
    alone = [ebv_from_extinction(row[np.newaxis], strict=False)[0] for row in mixed]
    np.testing.assert_array_equal(alone, found)


@pytest.mark.parametrize("coefficients", EXTINCTION_COEFFICIENTS)
@pytest.mark.parametrize(("ebv", "decimals", "unknown"), [(0.1, 1, True), (0.15, 1, True), (0.033, 2, False)])
def test_digits_that_are_too_few_to_tell_the_release(coefficients, ebv, decimals, unknown):
    """It is said, and a keyword settles it; where it matters little, the mean of both will do."""
    extinction = extinction_from_ebv([ebv], coefficients=coefficients).round(decimals)
    with pytest.warns(AstropyUserWarning, match="in 1 rows, the first 0.*too few digits.*extinction_release=12 or 17"):
        found = ebv_from_extinction(extinction)
    assert np.isnan(found[0]) == unknown
    assert unknown or abs(found[0] - ebv) < 0.01
    settled = ebv_from_extinction(extinction, data_release={"DR12": 9, "DR13": 18}[coefficients])
    np.testing.assert_allclose(settled, ebv, atol=0.5 * 10.0**-decimals / 1.2)


def test_extinctions_convert_to_magnitudes_and_releases_begin_at_one():
    extinction = extinction_from_ebv(EBV[1:], coefficients="DR12")
    np.testing.assert_allclose(ebv_from_extinction(1000 * extinction * u.mmag), EBV[1:], rtol=1e-3)
    np.testing.assert_allclose(ebv_from_extinction(extinction, data_release=1), EBV[1:], rtol=1e-3)


def test_warnings_name_the_line_that_calls():
    extinction = extinction_from_ebv([0.15]).round(1)
    with pytest.warns(AstropyUserWarning, match="too few digits") as warned:
        ebv_from_extinction(extinction)
    assert warned[0].filename == __file__


def test_the_first_row_that_cannot_be_told_is_named():
    extinction = extinction_from_ebv([0.1, 0.2, 0.1, 0.15])
    extinction[2:] = extinction[2:].round(1)
    with pytest.warns(AstropyUserWarning, match="in 2 rows, the first 2, extinctions have too few digits"):
        found = ebv_from_extinction(extinction)
    np.testing.assert_allclose(found[:2], [0.1, 0.2], atol=1e-4)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -9999, -999.0, 99.99, -0.01, np.ma.masked, 1e30])
@pytest.mark.parametrize("band", [0, 2, 4])
def test_one_impossible_extinction_is_one_unknown_reddening(value, band):
    extinction = np.ma.array(extinction_from_ebv([0.02, 0.1, 0.3]).astype(float))
    extinction[1, band] = value
    np.testing.assert_allclose(ebv_from_extinction(extinction), [0.02, np.nan, 0.3], rtol=1e-5)


@pytest.mark.parametrize("ebv", [1e-5, 1e-4, 3e-4, 0.0012])
@pytest.mark.parametrize("coefficients", EXTINCTION_COEFFICIENTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hardly_any_dust(ebv, coefficients, dtype):
    extinction = extinction_from_ebv([ebv], coefficients=coefficients).astype(dtype)
    np.testing.assert_allclose(ebv_from_extinction(extinction), ebv, rtol=1e-4)


def test_one_galaxy_alone_is_told_of_and_no_error():
    extinction = extinction_from_ebv([0.1, np.nan])
    extinction[0, 0] *= 3
    with pytest.warns(AstropyUserWarning, match="in 1 rows"):
        assert np.isnan(ebv_from_extinction(extinction)).all()


@pytest.mark.parametrize("data_release", ["17", 0, 12.5])
def test_release_that_is_none(data_release):
    with pytest.raises(ValueError, match="data_release must be that of an SDSS catalogue"):
        ebv_from_extinction(extinction_from_ebv([0.1]), data_release=data_release)


@pytest.mark.parametrize("ebv", [100 * u.mmag, [0.1] * u.mag, Column([100.0], unit="mmag")])
def test_units_of_reddening(ebv):
    np.testing.assert_allclose(np.ravel(extinction_from_ebv(ebv)), 0.1 * R_UGRIZ, rtol=1e-5)


@pytest.mark.parametrize("band", range(5))
def test_one_band_of_zero_is_no_absence_of_dust(band):
    """Rows differ: one has no dust at all, one has none in a band, one has some."""
    extinction = extinction_from_ebv([0.0, 0.1, 0.2])
    extinction[1, band] = 0
    with pytest.warns(AstropyUserWarning, match="in 1 rows, the first 1: extinctions with an A_g"):
        np.testing.assert_allclose(ebv_from_extinction(extinction), [0, np.nan, 0.2], rtol=1e-5)


@pytest.mark.parametrize("extinction", [np.zeros((3, 5)), np.zeros((0, 5)), np.full((2, 5), np.nan)])
def test_extinctions_that_tell_no_set(extinction):
    np.testing.assert_array_equal(ebv_from_extinction(extinction), extinction[:, 0])


@pytest.mark.parametrize("ratio", [1.0, 1.33, 1.412, 1.5])
def test_extinctions_of_no_release(ratio):
    extinction = extinction_from_ebv([0.1, 0.2])
    extinction[:, 1] = ratio * extinction[:, 2]
    with pytest.raises(ValueError, match=rf"A_g / A_r of {ratio:.3f}.*1\.379 \(DR12\), 1\.446 \(DR13\).*E\(B-V\)"):
        ebv_from_extinction(extinction)
    with pytest.warns(AstropyUserWarning, match="in 2 rows"):
        assert np.isnan(ebv_from_extinction(extinction, strict=False)).all()


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 5, 2), ()])
def test_extinctions_of_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"shape \(N, 5\).*got"):
        ebv_from_extinction(np.ones(shape))


@needs_shared
def test_real_catalogue_is_of_dr12():
    table = Table.read(SHARED / "catalogues" / "photoObj-003900-6-0269.fits", hdu=1)
    extinction = np.asarray(table["EXTINCTION"], dtype=float)
    ebv = ebv_from_extinction(extinction)
    np.testing.assert_allclose(extinction_from_ebv(ebv, coefficients="DR12"), extinction, rtol=2e-3)
    assert 0.01 < np.median(ebv) < 0.1


def test_real_galaxies_of_kcorrect_are_of_dr12():
    kcorrect = pytest.importorskip("kcorrect")
    from pathlib import Path

    table = Table.read(Path(kcorrect.__file__).parent / "data" / "test" / "gst_tests_small.fits", hdu=1)
    extinction = np.asarray(table["EXTINCTION"], dtype=float)
    np.testing.assert_allclose(
        extinction_from_ebv(ebv_from_extinction(extinction), coefficients="DR12"), extinction, rtol=2e-3
    )


# Maps


def write_sfd_map(folder, *, size=64):
    """
    A map in the format of SFD98, of smooth reddening that jumps at the Galactic equator.

    Lambert's zenithal equal-area projection about each Galactic pole, as the headers of the original files tell it.
    """
    scale = size / 2
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    for sign, name in ((1, "ngp"), (-1, "sgp")):
        latitude = sign * np.arcsin(np.clip(1 - (x**2 + y**2) / scale**2, -1, 1))
        longitude = np.arctan2(-sign * y, x)
        data = true_reddening(longitude, latitude, north=sign > 0)
        hdu = fits.PrimaryHDU(data.astype(np.float32))
        hdu.header.update(
            {
                "CRPIX1": (size + 1) / 2,
                "CRPIX2": (size + 1) / 2,
                "CTYPE1": "GLON-ZEA",
                "CTYPE2": "GLAT-ZEA",
                "LAM_NSGP": sign,
                "LAM_SCAL": scale,
            }
        )
        hdu.writeto(folder / f"SFD_dust_4096_{name}.fits")
    return folder


def true_reddening(longitude, latitude, *, north):
    return 0.05 * (2 + np.sin(longitude) * np.cos(latitude)) + np.where(north, 0, 0.02)


def sky(n, *, seed=3):
    rng = np.random.default_rng(seed)
    return SkyCoord(rng.uniform(0, 360, n), np.rad2deg(np.arcsin(rng.uniform(-1, 1, n))), unit="deg", frame="galactic")


@pytest.mark.parametrize("frame", ["galactic", "icrs", "fk5"])
def test_map_is_on_the_scale_of_sfd98(tmp_path, frame):
    """The factor of 0.86 of Schlafly & Finkbeiner is in R_UGRIZ: the map's E(B-V) is left as it is."""
    pytest.importorskip("sfdmap2")
    write_sfd_map(tmp_path, size=512)
    coord = sky(300)
    coord = coord[np.abs(coord.b) > 3 * u.deg]  # at the rim of the map one hemisphere's pixels are beside the other's
    ebv = ebv_from_map(coord.transform_to(frame), tmp_path)
    assert ebv.dtype == np.float32
    expected = true_reddening(coord.l.rad, coord.b.rad, north=coord.b > 0)
    np.testing.assert_allclose(ebv, expected, atol=2e-4)


def test_map_at_positions_that_are_not_known(tmp_path):
    pytest.importorskip("sfdmap2")
    coord = SkyCoord([10.0, np.nan, 200.0], [20.0, np.nan, -30.0], unit="deg")
    ebv = ebv_from_map(coord, str(write_sfd_map(tmp_path)))
    np.testing.assert_array_equal(np.isnan(ebv), [False, True, False])


def test_map_that_is_a_function():
    asked = []

    def dust_map(coord):
        asked.append(coord)
        return 0.01 * np.arange(len(coord))

    coord = SkyCoord([10.0, np.nan, 200.0], [20.0, np.nan, -30.0], unit="deg")
    np.testing.assert_allclose(ebv_from_map(coord, dust_map), [0, np.nan, 0.01])
    assert len(asked[0]) == 2  # what is not known is not asked for
    assert ebv_from_map(coord[1:2], dust_map).shape == (1,)
    assert len(asked) == 1


@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 20.0), (10.0, np.nan)])
def test_a_map_is_not_asked_where_one_coordinate_is_unknown(ra, dec):
    asked = []

    def dust_map(coord):
        asked.extend(zip(coord.ra.deg, coord.dec.deg, strict=True))
        return np.full(len(coord), 0.02)

    found = ebv_from_map(SkyCoord([ra, 200.0], [dec, -30.0], unit="deg"), dust_map)
    np.testing.assert_allclose(found, [np.nan, 0.02])
    np.testing.assert_allclose(asked, [(200.0, -30.0)])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (np.ma.array([0.99, 0.02], mask=[True, False]), [np.nan, 0.02]),
        (Masked([0.99, 0.02] * u.mag, mask=[True, False]), [np.nan, 0.02]),
        ([50.0, 20.0] * u.mmag, [0.05, 0.02]),
        (Column([50.0, 20.0], unit="mmag"), [0.05, 0.02]),
        (np.array([-0.01, 0.02]), [np.nan, 0.02]),
        (np.array([-9999.0, np.inf]), [np.nan, np.nan]),
        (["null", "0.02"], [np.nan, 0.02]),
        ([0.1, 0.02], [0.1, 0.02]),
    ],
)
def test_what_a_map_does_not_know_stays_unknown(told, expected):
    np.testing.assert_allclose(ebv_from_map(sky(2), lambda coord: told), expected, rtol=1e-6)


@pytest.mark.parametrize(("told", "message"), [([0.1, 0.2, 0.3], "for each of 2 positions"), ([1, 2] * u.deg, "deg")])
def test_a_map_that_gives_something_else(told, message):
    with pytest.raises(ValueError, match=message):
        ebv_from_map(sky(2), lambda coord: told)


# The map at low resolution


@needs_shared
def test_map_at_low_resolution_is_within_a_quarter_of_the_catalogue():
    table = Table.read(SHARED / "real_galaxies.ecsv")
    found = approximate_ebv(SkyCoord(table["ra"], table["dec"], unit="deg"))
    assert np.sqrt(np.mean((found - table["ebv"]) ** 2)) < 0.008
    np.testing.assert_allclose(found, table["ebv"], rtol=0.3)


def test_map_at_low_resolution_has_the_galactic_plane():
    coord = SkyCoord([0, 30, 120, 0], [90, 0.5, -60, np.nan], unit="deg", frame="galactic")
    found = approximate_ebv(coord)
    assert found[0] < 0.05
    assert found[1] > 2
    assert 0.005 < found[2] < 0.1
    assert np.isnan(found[3])
    np.testing.assert_allclose(approximate_ebv(coord[:3].icrs), found[:3], rtol=1e-5)


def test_map_at_low_resolution_is_that_of_the_file_in_galactic_axes():
    """By astropy's own transformation of frames, and astropy-healpix."""
    from importlib.resources import files

    from astropy_healpix import HEALPix

    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    coord = SkyCoord(ra, dec, unit="deg")
    values = fits.getdata(files("astro_photz") / "data" / "dust" / "sfd_healpix_64.fits", 1).field(0).astype(float)
    galactic = coord.galactic
    expected = HEALPix(nside=64, order="ring").interpolate_bilinear_lonlat(galactic.l, galactic.b, values)
    far = SkyCoord(ra * u.deg, dec * u.deg, distance=np.full(200, 100.0) * u.Mpc)
    for same in (coord, galactic, coord.fk5, far):
        np.testing.assert_allclose(approximate_ebv(same), expected, rtol=1e-4)
    assert approximate_ebv(coord[0]).shape == (1,)


def test_right_reddening_is_not_far_from_the_map_and_another_is():
    """Extinctions of SDSS, of 10,000 real galaxies; then mistakes that are made."""
    kcorrect = pytest.importorskip("kcorrect")
    from pathlib import Path

    table = Table.read(Path(kcorrect.__file__).parent / "data" / "test" / "gst_tests_small.fits", hdu=1)
    coord, ebv = SkyCoord(table["RA"], table["DEC"], unit="deg"), ebv_from_extinction(table["EXTINCTION"])
    dusty = ebv > 0.02  # where it matters
    assert far_from_map(ebv, coord).mean() < 0.005
    assert far_from_map(0.86 * ebv, coord).mean() < 0.005  # on the scale of Schlafly & Finkbeiner
    for factor in (3.1, R_UGRIZ[2], 0):  # A_V, A_r, and a placeholder
        assert far_from_map(factor * ebv, coord)[dusty].mean() > 0.98
    assert far_from_map(1000 * ebv, coord).mean() > 0.999  # millimagnitudes


@needs_shared
def test_reddening_of_real_fields_is_not_far():
    table = Table.read(SHARED / "real_galaxies.ecsv")
    assert not far_from_map(table["ebv"], SkyCoord(table["ra"], table["dec"], unit="deg")).any()


def test_what_is_unknown_is_not_far():
    coord = SkyCoord([150.0, 150.0, np.nan], [2.0, 2.0, np.nan], unit="deg")
    assert far_from_map([5.0, np.nan, 5.0], coord).tolist() == [True, False, False]
    assert far_from_map(np.zeros(0), coord[:0]).shape == (0,)


def test_folder_without_the_map(tmp_path):
    pytest.importorskip("sfdmap2")
    with pytest.raises(FileNotFoundError, match="SFD_dust_4096_ngp"):
        ebv_from_map(SkyCoord([192.0], [27.0], unit="deg"), tmp_path)


def test_map_without_sfdmap2(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sfdmap2.sfdmap", None)
    with pytest.raises(ImportError, match=r'sfdmap2: pip install "astro-photz\[dust\]"'):
        ebv_from_map(sky(1), tmp_path)


@needs_shared
def test_real_piece_of_the_sfd_map(tmp_path):
    """100 x 100 pixels of the map itself, read where their own WCS places them."""
    pytest.importorskip("sfdmap2")
    from astropy.wcs import WCS, FITSFixedWarning

    data, header = fits.getdata(SHARED / "recorded" / "SFD_dust_4096_ngp_cutout.fits", header=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header)
    fits.writeto(tmp_path / "SFD_dust_4096_ngp.fits", data, header)
    y, x = np.mgrid[5:95:10, 5:95:10].reshape(2, -1)
    longitude, latitude = wcs.all_pix2world(x, y, 0)
    coord = SkyCoord(longitude, latitude, unit="deg", frame="galactic")
    # The header's linear scale is rounded: it drifts by a tenth of a pixel over the map.
    np.testing.assert_allclose(ebv_from_map(coord.icrs, tmp_path), data[y, x], atol=5e-4)


def test_bands_of_the_coefficients():
    np.testing.assert_array_equal(extinction_from_ebv(1.0), R_UGRIZ)
    assert extinction_from_ebv(np.zeros((2, 3))).shape == (2, 3, 5)
