# Licensed under a 3-clause BSD style license - see LICENSE
"""The loopback archive answers astroquery's real requests as SkyServer does, and misbehaves when told to."""

import threading
import time
from urllib.error import HTTPError, URLError

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table, vstack
from astropy.utils.data import download_file
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.exceptions import RemoteServiceError
from astroquery.sdss import SDSSClass, conf

from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, FieldID, frame_path
from astro_photz.testing.catalogues import photo_catalogue
from astro_photz.testing.loopback import LoopbackArchive, real_archive, synthetic_archive
from astro_photz.testing.synthetic_frames import make_field, make_run, write_field
from astro_photz.testing.synthetic_sky import Galaxy, Geometry, make_sky
from shared_data import SHARED, needs_shared

FIELDS = ["ra", "dec", "objid", "run", "rerun", "camcol", "field", "rowc_r", "colc_r", "petroRad_r", "clean", "score"]
FIELDS += [f"{name}_{band}" for name in ("extinction", "psffwhm") for band in BANDS]


@pytest.fixture
def archive():
    with synthetic_archive() as archive:
        yield archive


@pytest.fixture
def sdss(archive):
    sdss = SDSSClass()
    sdss.TIMEOUT = 5
    yield sdss
    sdss._session.close()


def crossid(sdss, coords, **options):
    options = {"radius": 2 * u.arcsec, "photoobj_fields": FIELDS, "timeout": 5, "data_release": 17} | options
    return sdss.query_crossid(coords, **options)


def frame_url(archive, k=0):
    """Address of a frame that the archive has."""
    return f"{conf.sas_baseurl}/{list(archive.frames)[k]}"


def test_crossid_answers_in_the_order_of_the_upload(archive, sdss):
    backwards = archive.positions[::-1]
    table = crossid(sdss, backwards)
    assert table.colnames == [*FIELDS, "type"]
    assert np.all(SkyCoord(table["ra"], table["dec"], unit="deg").separation(backwards) < 1e-6 * u.arcsec)
    for name in ("run", "rerun", "camcol", "field"):
        assert np.array_equal(table[name], archive.primaries[name][::-1])
    assert np.array_equal(table["objid"], archive.primaries["objID"][::-1].astype(np.uint64))
    assert set(table["type"]) == {"GALAXY"}


def test_crossid_drops_positions_without_an_object(archive, sdss):
    nowhere = SkyCoord(10.0, 80.0, unit="deg")
    coords = SkyCoord([nowhere, archive.positions[4], nowhere])
    table = crossid(sdss, coords)
    assert len(table) == 1
    assert table["objid"][0] == archive.primaries["objID"][4]
    assert crossid(sdss, nowhere) is None


def test_crossid_keeps_to_the_radius(archive, sdss):
    aside = archive.positions[0].directional_offset_by(30 * u.deg, 3 * u.arcsec)
    assert crossid(sdss, aside) is None
    assert len(crossid(sdss, aside, radius=5 * u.arcsec)) == 1


def test_crossid_finds_the_nearest_primary():
    centre = SkyCoord(150.0, 2.0, unit="deg")
    places = [centre.directional_offset_by(0 * u.deg, r * u.arcsec) for r in (3.0, 2.0, 1.0)]
    catalogue = photo_catalogue(SkyCoord(places), [FieldID(4207, 301, 3, 110)] * 3, [10.0] * 3, [10.0] * 3, [0.05] * 3)
    catalogue["mode"] = [1, 1, 2]
    with LoopbackArchive(catalogue, {}):
        sdss = SDSSClass()
        match = crossid(sdss, SkyCoord([centre, centre]), radius=10 * u.arcsec)
        assert list(match["objid"]) == [catalogue["objID"][1]] * 2
        around = sdss.query_region(centre, radius=10 * u.arcsec, fields=["objID"], timeout=5, data_release=17)
        assert set(around["objID"]) == set(catalogue["objID"])
        sdss._session.close()


@pytest.mark.parametrize("coefficients", ["DR12", "DR13"])
def test_extinction_is_made_with_either_set_of_coefficients(coefficients):
    with synthetic_archive(coefficients=coefficients) as archive:
        sdss = SDSSClass()
        table = crossid(sdss, archive.positions)
        sdss._session.close()
    extinction = np.array([table[f"extinction_{band}"] for band in BANDS])
    ebv = extinction / EXTINCTION_COEFFICIENTS[coefficients][:, None]
    np.testing.assert_allclose(ebv - ebv[0], 0, atol=1e-7)
    assert np.all((ebv > 0.01) & (ebv < 0.11))


def test_rows_and_columns_count_from_half_a_pixel():
    """An object in the middle of the frame's first pixel is at 0.5, 0.5."""
    geometry = Geometry(ra=20.0, dec=5.0)
    field = make_field(FieldID(4207, 301, 3, 110), geometry, [])
    archive = LoopbackArchive.of([field], [Galaxy(*geometry.sky(50.0, 70.0), flux=(1, 1, 1, 1, 1))])
    assert archive.catalogue["colc_r"][0] == pytest.approx(50.5, abs=1e-6)
    assert archive.catalogue["rowc_r"][0] == pytest.approx(70.5, abs=1e-6)


def test_objects_belong_to_the_field_in_which_they_are_most_central():
    geometry = Geometry(ra=20.0, dec=5.0)
    rows, overlap = geometry.shape[0], 80
    # Rows of the first field: just before and just after the middle of the overlap.
    middle = rows - overlap / 2 - 0.5
    sources = [Galaxy(*geometry.sky(130.0, middle + dy), flux=(1, 1, 1, 1, 1)) for dy in (-3, 3)]
    fields = make_run(FieldID(4207, 301, 3, 110), geometry, sources, n_fields=2, overlap=overlap)
    archive = LoopbackArchive.of(fields, sources)
    assert list(archive.primaries["field"]) == [110, 111]
    assert list(archive.catalogue["field"]) == [110, 111, 111, 110]


def test_schema_is_asked_twice_and_then_remembered(archive, sdss):
    crossid(sdss, archive.positions)
    crossid(sdss, archive.positions[:1])
    assert [request.kind for request in archive.requests] == ["schema", "schema", "crossid", "crossid"]


def test_sql_finds_the_fields_over_a_position(archive, sdss):
    ra, dec = archive.positions[0].ra.deg, archive.positions[0].dec.deg
    over = f"(raMin <= {ra} AND raMax >= {ra} AND decMin <= {dec} AND decMax >= {dec})"
    sql = f"SELECT run, rerun, camcol, field, raMin, raMax, decMin, decMax FROM Field WHERE {over}"
    table = sdss.query_sql(sql, timeout=5, data_release=17)
    assert archive.primaries["field"][0] in table["field"]
    assert np.all((table["raMin"] < ra) & (ra < table["raMax"]) & (table["decMin"] < dec) & (dec < table["decMax"]))

    nowhere = "(raMin <= 10 AND raMax >= 10 AND decMin <= 80 AND decMax >= 80)"
    either = sdss.query_sql(f"{sql} OR {nowhere}", timeout=5, data_release=17)
    assert len(either) == len(table)
    assert sdss.query_sql(sql.replace(over, nowhere), timeout=5, data_release=17) is None


def test_sql_knows_the_catalogue(archive, sdss):
    table = sdss.query_photoobj(
        run=4207, camcol=3, field=111, fields=["objID", "ra"], timeout=5, data_release=17, cache=False
    )
    assert len(table) == np.sum(archive.catalogue["field"] == 111)
    top = sdss.query_sql("SELECT TOP 2 p.objid FROM PhotoObj AS p ORDER BY p.ra", timeout=5, data_release=17)
    assert len(top) == 2


def test_sql_with_a_wrong_name_is_an_error(sdss):
    with pytest.raises(RemoteServiceError, match="no such column: ram1n"):
        sdss.query_sql("SELECT ram1n FROM Field", timeout=5, data_release=17)


def test_images_are_those_of_the_field(archive, sdss):
    matches = crossid(sdss, archive.positions)
    (hdulist,) = sdss.get_images(matches=matches[:1], band="r", timeout=5, data_release=17, show_progress=False)
    assert hdulist[0].data.shape == (200, 260)
    assert hdulist[0].header["NMGY"] > 0
    assert archive.count("frame") == 1
    assert archive.requests[-1].path.endswith("frame-r-004207-3-0110.fits.bz2")


def test_unknown_frame_is_not_found(archive):
    with pytest.raises(HTTPError, match="404") as error:
        download_file(f"{conf.sas_baseurl}/dr17/nothing.fits.bz2", timeout=5)
    error.value.close()


def test_caches_and_configuration_are_separate_and_restored():
    before = conf.skyserver_baseurl, conf.sas_baseurl
    with synthetic_archive() as archive:
        assert conf.skyserver_baseurl.startswith("http://127.0.0.1")
        path = download_file(frame_url(archive), cache=True, timeout=5)
        assert path.startswith(str(archive.cache))
        sdss = SDSSClass()
        assert str(sdss.cache_location).startswith(str(archive.cache))
        sdss._session.close()
        cache = archive.cache
    assert (conf.skyserver_baseurl, conf.sas_baseurl) == before
    assert not cache.exists()


def test_connections_are_kept_open(archive):
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(frame_url(archive), timeout=5).status_code == 200
        (pool,) = session.adapters["http://"].poolmanager.pools._container.values()
        assert pool.num_connections == 1
        assert session.head(frame_url(archive), timeout=5).content == b""


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_fault_with_a_status(archive, status):
    archive.fail("frame", status)
    with pytest.raises(HTTPError, match=str(status)) as error:
        download_file(frame_url(archive), timeout=5)
    assert error.value.headers.get("Retry-After") == ("0" if status == 429 else None)
    error.value.close()


@pytest.mark.parametrize(("mode", "fraction"), [("truncated", 0.5), ("empty", 0.0)])
def test_fault_that_looks_like_success(archive, mode, fraction):
    archive.fail("frame", mode)
    whole = next(iter(archive.frames.values()))
    response = requests.get(frame_url(archive), timeout=5)
    assert response.status_code == 200
    assert response.content == whole[: int(fraction * len(whole))]


def test_fault_with_an_error_page(archive):
    archive.fail("frame", "html")
    response = requests.get(frame_url(archive), timeout=5)
    assert response.status_code == 200
    assert response.text.startswith("<html>")


@pytest.mark.parametrize(
    ("mode", "error"), [("disconnect", "Remote end closed"), ("cut off", "only got"), ("timeout", "timed out")]
)
def test_fault_of_the_connection(archive, mode, error):
    archive.fail("frame", mode)
    with pytest.raises((URLError, OSError), match=error):
        download_file(frame_url(archive), timeout=0.3)


def test_fault_ends(archive):
    archive.fail("frame", 500, times=2)
    codes = [requests.get(frame_url(archive), timeout=5).status_code for _ in range(4)]
    assert codes == [500, 500, 200, 200]
    archive.fail(None, 404)
    assert requests.get(frame_url(archive), timeout=5).status_code == 404
    archive.mend()
    assert requests.get(frame_url(archive), timeout=5).status_code == 200


def test_fault_of_one_path(archive):
    archive.fail("frame", 500, path_contains="frame-g-")
    codes = {path: requests.get(f"{conf.sas_baseurl}/{path}", timeout=5).status_code for path in archive.frames}
    assert all((code == 500) == ("frame-g-" in path) for path, code in codes.items())


def test_fault_that_is_unknown_is_refused(archive):
    with pytest.raises(ValueError, match="mode must be"):
        archive.fail("frame", "moody")


def test_error_page_stays_in_astroquerys_cache(archive, sdss):
    """The trap that `SDSSArchive` has to step around: the page came with status 200, so astroquery keeps it."""
    archive.fail("crossid", "html", times=1)
    assert crossid(sdss, archive.positions).colnames != FIELDS
    assert crossid(sdss, archive.positions).colnames != FIELDS
    assert archive.count("crossid") == 1
    sdss.clear_cache()
    assert len(crossid(sdss, archive.positions)) == len(archive.positions)


def test_schema_that_is_an_error_page_warns(archive, sdss):
    archive.fail("schema", "html")
    with pytest.warns(AstropyUserWarning, match="Field info are not available"):
        crossid(sdss, archive.positions)


def test_archive_ends_with_all_its_threads():
    """Also while a client keeps a connection open and another waits for an answer."""
    before = set(threading.enumerate())
    with synthetic_archive() as archive, requests.Session() as session:
        session.get(frame_url(archive), timeout=5)
        archive.fail("frame", "timeout")
        with pytest.raises(requests.Timeout):
            requests.get(frame_url(archive), timeout=0.1)
        start = time.monotonic()
        archive.__exit__()
        assert time.monotonic() - start < 20
    assert set(threading.enumerate()) <= before


@needs_shared
def test_real_archive_serves_the_real_frames():
    with real_archive(SHARED) as archive:
        sdss = SDSSClass()
        table = crossid(sdss, archive.positions)
        sdss._session.close()
        assert len(table) == 122
        path = frame_path("r", FieldID(1043, 301, 5, 25))
        body = requests.get(f"{conf.sas_baseurl}/{path}", timeout=5).content
    assert body == (SHARED / "sdss_frames" / "frame-r-001043-5-0025.fits.bz2").read_bytes()
    assert np.all((table["colc_r"] > 0) & (table["colc_r"] < 2048) & (table["rowc_r"] > 0) & (table["rowc_r"] < 1489))


@pytest.fixture
def folder_of_galaxies(tmp_path):
    """A folder laid out like the one of real galaxies, with four galaxies in two synthetic fields."""
    rows = []
    for k, dec in enumerate((2.0, 30.0)):
        geometry = Geometry(ra=150.0, dec=dec)
        galaxies = make_sky(geometry, 2, seed=k)
        field_id = FieldID(4207, 301, 3 + k, 110)
        write_field(tmp_path / "sdss_frames", make_field(field_id, geometry, galaxies))
        rows += [(galaxy.ra, galaxy.dec, galaxy.ebv, 1.5 + k, f"004207-{3 + k}-0110") for galaxy in galaxies]
    table = QTable(rows=rows[::-1], names=("ra", "dec", "ebv", "half_light_radius", "field"))
    for name, unit in {"ra": u.deg, "dec": u.deg, "half_light_radius": u.arcsec}.items():
        table[name] = table[name] * unit
    table.write(tmp_path / "real_galaxies.ecsv")
    return tmp_path


def test_an_archive_is_made_of_a_folder_of_real_galaxies(folder_of_galaxies):
    galaxies = Table.read(folder_of_galaxies / "real_galaxies.ecsv")
    with real_archive(folder_of_galaxies) as archive:
        sdss = SDSSClass()
        table = crossid(sdss, archive.positions)
        sdss._session.close()
        path = frame_path("g", FieldID(4207, 301, 4, 110))
        body = requests.get(f"{conf.sas_baseurl}/{path}", timeout=5).content
    assert body == (folder_of_galaxies / "sdss_frames" / "frame-g-004207-4-0110.fits.bz2").read_bytes()
    assert list(table["camcol"]) == [4, 4, 3, 3]
    np.testing.assert_allclose(table["petroRad_r"], 2 * galaxies["half_light_radius"])
    np.testing.assert_allclose(table["extinction_r"], galaxies["ebv"] * EXTINCTION_COEFFICIENTS["DR13"][2])
    for row in table:
        geometry = Geometry(ra=150.0, dec={3: 2.0, 4: 30.0}[row["camcol"]])
        np.testing.assert_allclose(
            (row["colc_r"] - 0.5, row["rowc_r"] - 0.5), geometry.pixel(row["ra"], row["dec"]), atol=1e-3
        )


def test_a_galaxy_outside_its_frame_is_refused(folder_of_galaxies):
    table = QTable.read(folder_of_galaxies / "real_galaxies.ecsv")
    table["ra"][0] += 1 * u.deg
    table.write(folder_of_galaxies / "real_galaxies.ecsv", overwrite=True)
    with pytest.raises(ValueError, match="disagree about where the galaxies are"):
        real_archive(folder_of_galaxies)


def test_catalogues_can_be_joined():
    """Archives of several runs: catalogues stack, frames merge."""
    one = synthetic_archive()
    geometry = Geometry(ra=20.0, dec=5.0)
    source = Galaxy(*geometry.sky(100, 100), flux=(1, 1, 1, 1, 1))
    other = LoopbackArchive.of([make_field(FieldID(4263, 301, 2, 87), geometry, [source])], [source])
    both = LoopbackArchive(vstack([one.catalogue, other.catalogue]), one.frames | other.frames)
    assert len(both.catalogue) == len(one.catalogue) + 1
    assert len(both.frames) == len(one.frames) + 5
