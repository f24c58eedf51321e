# Licensed under a 3-clause BSD style license - see LICENSE
"""Sources of cutouts: one contract that all of them keep, the truth of their pixels, and what broken files do."""

import functools
import os
import threading
import time
from contextlib import contextmanager
from unittest.mock import patch

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts import frames
from astro_photz.cutouts.fetching import fetch, fetch_to_file
from astro_photz.cutouts.frames import Frame, read_header
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.cutouts.sources.directory import FrameDirectory
from astro_photz.cutouts.sources.hdf5_file import CutoutFile
from astro_photz.dust import approximate_ebv
from astro_photz.flags import PhotozFlag
from astro_photz.positions import Positions, read_positions
from astro_photz.sdss import BANDS, FieldID
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.testing.loopback import LoopbackArchive, real_archive
from astro_photz.testing.source_contract import FIELD, archive_of_scene, catalogue, check_source, scene, write_scene
from astro_photz.testing.synthetic_frames import make_edge, make_field, make_run, write_field
from astro_photz.testing.synthetic_sky import SHAPE, Galaxy, Geometry
from shared_data import SHARED, needs_shared


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """Frames of the scene are small, and its server needs no patience."""
    monkeypatch.setattr(sdss, "FRAME_SHAPE", SHAPE)
    with conf.set_temp("retry_wait", 0.0), conf.set_temp("queries_per_minute", 10_000):
        yield


@contextmanager
def sdss_archive(tmp_path):
    with archive_of_scene():
        yield SDSSArchive(timeout=5)


@contextmanager
def frame_directory(tmp_path, **options):
    yield FrameDirectory(write_scene(tmp_path / "frames", **options))


@contextmanager
def cutout_file(tmp_path):
    positions = read_positions(catalogue(seed=9))
    cutouts = check_source(FrameDirectory(write_scene(tmp_path / "frames")), positions)
    cutouts.write(tmp_path / "stamps.h5", dtype="float32")
    yield CutoutFile(tmp_path / "stamps.h5")


SOURCES = {
    "SDSSArchive": sdss_archive,
    "FrameDirectory-flat-bz2": functools.partial(frame_directory, layout="flat", compression="bz2"),
    "FrameDirectory-nested-gz": functools.partial(frame_directory, layout="sas", compression="gz"),
    "FrameDirectory-nested-plain": functools.partial(frame_directory, layout="sas", compression=None),
    "CutoutFile": cutout_file,
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    with SOURCES[request.param](tmp_path) as source:
        yield source


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The cutouts of `catalogue`, which all sources should give."""
    directory = write_scene(tmp_path_factory.mktemp("reference"))
    return check_source(FrameDirectory(directory, threads=1), read_positions(catalogue()))


def directory_of(tmp_path, *fields, **options):
    for field in fields:
        write_field(tmp_path, field)
    return FrameDirectory(tmp_path, **options)


def positions_of(*galaxies):
    return read_positions(Table(rows=[(g.ra, g.dec, g.ebv) for g in galaxies], names=("ra", "dec", "ebv")))


# The contract


def test_contract(source):
    table = catalogue()
    cutouts = check_source(source, read_positions(table))
    nowhere = ~np.isfinite(table["ra"])
    outside = table["dec"] < -40
    assert np.all(cutouts.flags[nowhere] == PhotozFlag.NO_POSITION)
    assert np.all(cutouts.flags[outside] == PhotozFlag.NO_MATCH)
    assert np.isnan(cutouts.flux[nowhere | outside]).all()

    served = ~(nowhere | outside)
    assert np.all(cutouts.flags[served] == 0)
    assert np.isfinite(cutouts.flux[served]).all()
    assert np.all(np.abs(cutouts.target_xy[served] - 31.5) <= 1)
    np.testing.assert_allclose(cutouts.ebv[served], table["ebv"][served], rtol=1e-5)


def test_stamps_are_the_same_from_every_source(source, reference):
    cutouts = check_source(source, read_positions(catalogue()))
    np.testing.assert_array_equal(cutouts.flux, reference.flux)
    np.testing.assert_array_equal(cutouts.target_xy, reference.target_xy)
    np.testing.assert_array_equal(cutouts.flags, reference.flags)
    for name in ("run", "rerun", "camcol", "field"):
        np.testing.assert_array_equal(cutouts.provenance[name], reference.provenance[name])


def test_order_of_rows_does_not_matter(source, reference):
    positions = read_positions(catalogue())
    backwards = Positions(positions.coord[::-1], ebv=positions.ebv[::-1])
    cutouts = check_source(source, backwards)
    np.testing.assert_array_equal(cutouts.flux[::-1], reference.flux)
    np.testing.assert_array_equal(cutouts.flags[::-1], reference.flags)


def test_no_rows(source):
    assert list(source.batches(read_positions(catalogue()[:0]))) == []


def test_only_rows_without_an_image(source):
    table = catalogue()
    table = table[~np.isfinite(table["ra"]) | (table["dec"] < -40)]
    cutouts = check_source(source, read_positions(table))
    assert set(cutouts.flags) == {PhotozFlag.NO_POSITION, PhotozFlag.NO_MATCH}


def test_same_position_twice_is_the_same_stamp(source):
    galaxy = scene()[1][2]
    cutouts = check_source(source, positions_of(galaxy, galaxy))
    np.testing.assert_array_equal(cutouts.flux[0], cutouts.flux[1])


@pytest.mark.parametrize("name", ["SDSSArchive", "FrameDirectory-flat-bz2"])
def test_larger_stamps_hold_the_smaller(name, tmp_path, reference):
    with SOURCES[name](tmp_path) as source:
        cutouts = check_source(source, read_positions(catalogue()), size=80)
    inner = cutouts.crop(64)
    np.testing.assert_allclose(inner.flux, reference.flux, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(inner.flux[:, 2], reference.flux[:, 2], atol=1e-5)
    np.testing.assert_allclose(inner.target_xy, reference.target_xy, atol=1e-5)


@pytest.mark.parametrize("name", ["SDSSArchive", "FrameDirectory-flat-bz2"])
def test_threads_do_not_matter(name, tmp_path, reference):
    with SOURCES[name](tmp_path) as source:
        for source.threads in (1, 3):
            cutouts = check_source(source, read_positions(catalogue()))
            np.testing.assert_array_equal(cutouts.flux, reference.flux)


@pytest.mark.parametrize("name", ["SDSSArchive", "FrameDirectory-flat-bz2"])
def test_target_is_cut_from_the_field_that_holds_it_most_centrally(name, tmp_path):
    with SOURCES[name](tmp_path) as source:
        fields, galaxies = scene()
        cutouts = check_source(source, positions_of(*galaxies))
    for galaxy, provenance in zip(galaxies, cutouts.provenance, strict=True):
        depths = {}
        for field in fields:
            x, y = field.geometry.pixel(galaxy.ra, galaxy.dec)
            depths[field.field_id] = min(x, SHAPE[1] - 1 - x, y, SHAPE[0] - 1 - y)
        best = max(depths, key=depths.get)
        assert FieldID(*(int(provenance[n]) for n in FieldID._fields)) == best


@needs_shared
def test_real_galaxies_are_the_same_from_every_source(tmp_path, monkeypatch):
    monkeypatch.undo()  # these frames are of full size
    galaxies = Table.read(SHARED / "real_galaxies.ecsv")
    galaxies = galaxies[(galaxies["field"] == "003184-2-0169") & (galaxies["r_aper"] < 18.5)]
    with real_archive(SHARED):
        remote = fetch(galaxies, source=SDSSArchive(timeout=5))
    local = fetch(galaxies, source=FrameDirectory(SHARED / "sdss_frames"))
    local.write(tmp_path / "stamps.h5")
    stored = fetch(galaxies, source=CutoutFile(tmp_path / "stamps.h5"))
    assert not local.flags.any()
    assert np.isfinite(local.flux[:, :, 20:44, 20:44]).all()
    for cutouts in (remote, stored):
        np.testing.assert_array_equal(cutouts.flux, local.flux)
        np.testing.assert_array_equal(cutouts.flags, local.flags)
        np.testing.assert_array_equal(cutouts.target_xy, local.target_xy)
        np.testing.assert_allclose(cutouts.ebv, galaxies["ebv"], rtol=1e-5)


# The truth of the pixels


@functools.cache
def isolated():
    """A noiseless run of fields with galaxies too far apart to touch, at all sub-pixel phases."""
    geometry = Geometry(ra=33.0, dec=-6.0, rotation=-42.7)
    rng = np.random.default_rng(1)
    galaxies = [
        Galaxy(
            *geometry.sky(x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5)),
            flux=(3.0, 12.0, 30.0, 45.0, 60.0),
            sigma=(1.3, 1.2, 1.1, 1.05, 1.0),
            axis_ratio=0.8,
            position_angle=rng.uniform(0, 180),
        )
        for x in (50, 130, 210)
        for y in (60, 140)
    ]
    return make_field(FIELD, geometry, galaxies, noise=False), galaxies


@pytest.fixture
def isolated_stamps(tmp_path):
    field, galaxies = isolated()
    cutouts = check_source(directory_of(tmp_path, field), positions_of(*galaxies))
    assert not cutouts.flags.any()
    return cutouts, galaxies


def test_flux_is_kept_in_all_bands(isolated_stamps):
    cutouts, galaxies = isolated_stamps
    total = np.nansum(cutouts.flux, axis=(2, 3), dtype=float)
    np.testing.assert_allclose(total, [galaxy.flux for galaxy in galaxies], rtol=3e-3)


def test_light_of_all_bands_is_at_the_target(isolated_stamps):
    cutouts, _ = isolated_stamps
    pixels = np.arange(64)
    weight = cutouts.flux / np.nansum(cutouts.flux, axis=(2, 3), keepdims=True)
    x = np.nansum(weight * pixels, axis=(2, 3))
    y = np.nansum(weight * pixels[:, None], axis=(2, 3))
    np.testing.assert_allclose(x, np.broadcast_to(cutouts.target_xy[:, :1], x.shape), atol=0.02)
    np.testing.assert_allclose(y, np.broadcast_to(cutouts.target_xy[:, 1:], y.shape), atol=0.02)


def test_r_pixels_are_the_frames_own(isolated_stamps):
    cutouts, galaxies = isolated_stamps
    field, _ = isolated()
    for stamp, target, galaxy in zip(cutouts.flux, cutouts.target_xy, galaxies, strict=True):
        x, y = np.rint(field.geometry.pixel(galaxy.ra, galaxy.dec) - target).astype(int)
        frame = field.images["r"][y : y + 64, x : x + 64]
        np.testing.assert_array_equal(stamp[2], frame)


@pytest.mark.parametrize("overlap", [20, 40, 63])  # of the last, r lies in the frame, and other bands do not
def test_stamp_across_an_edge_is_that_of_a_frame_that_holds_it_whole(tmp_path, overlap):
    edge = make_edge(overlap=overlap)
    positions = positions_of(edge.target)
    whole = check_source(directory_of(tmp_path / "whole", edge.whole), positions)
    across = check_source(directory_of(tmp_path / "across", edge.near, edge.far), positions)
    assert not across.flags.any()
    assert np.isfinite(across.flux).all()
    assert across.provenance["run"][0] == edge.near.field_id.run
    assert np.abs(across.target_xy - whole.target_xy).max() < 1e-4
    peak = whole.flux.max(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(across.flux / peak, whole.flux / peak, atol=3e-3)
    np.testing.assert_allclose(across.flux.sum((2, 3)), whole.flux.sum((2, 3)), rtol=1e-3)


@pytest.mark.parametrize("overlap", [40, 63])
def test_stamp_across_an_edge_by_the_archive(tmp_path, overlap):
    edge = make_edge(overlap=overlap)
    positions = positions_of(edge.target)
    local = check_source(directory_of(tmp_path, edge.near, edge.far), positions)
    with LoopbackArchive.of([edge.near, edge.far], [edge.target]):
        remote = check_source(SDSSArchive(timeout=5), positions)
    assert not remote.flags.any()
    assert np.isfinite(remote.flux).all()
    np.testing.assert_array_equal(remote.flux, local.flux)


def test_stamp_across_an_edge_off_the_object(tmp_path):
    """Which lies far enough from the edge, other than the position that is asked for."""
    edge = make_edge(overlap=100)
    x, y = edge.near.geometry.pixel(edge.target.ra, edge.target.dec)
    ra, dec = edge.near.geometry.sky(x + 24, y)
    positions = read_positions(Table({"ra": [ra], "dec": [dec]}))
    with LoopbackArchive.of([edge.near, edge.far], [edge.target]):
        cutouts = check_source(SDSSArchive(timeout=5, match_radius=10), positions)
    assert not cutouts.flags.any()
    assert np.isfinite(cutouts.flux).all()


@pytest.mark.parametrize("rotation", [45, 135, 225, 315])
def test_a_frame_of_a_crossing_scan_is_read_as_far_as_the_corners(tmp_path, rotation, monkeypatch):
    """Frames are read from their first row to the last that is needed: all of it is no more."""
    near = Geometry(ra=182.3, dec=11.4, rotation=-42.7)
    x, y = SHAPE[1] - 20.3, 99.6
    galaxy = Galaxy(*near.sky(x, y), flux=(4.0, 15.0, 35.0, 52.0, 70.0), sigma=2.2)
    corners = [Galaxy(*near.sky(x + 28, y + dy), flux=(20.0, 60.0, 120.0, 160.0, 200.0)) for dy in (-28, 28)]
    far = Geometry(ra=galaxy.ra, dec=galaxy.dec, rotation=near.rotation + rotation, shape=(360, 360), origin=(180, 12))
    ids = FIELD, FIELD._replace(run=FIELD.run + 1)
    fields = [make_field(i, g, [galaxy, *corners], noise=False) for i, g in zip(ids, (near, far), strict=True)]
    source, positions = directory_of(tmp_path, *fields), positions_of(galaxy)
    as_needed = check_source(source, positions, size=107)
    monkeypatch.setattr(frames, "_rows_needed", lambda wcs, coord, size, rows: rows)
    whole = check_source(source, positions, size=107)
    np.testing.assert_allclose(as_needed.flux, whole.flux, atol=1e-4)


def test_nothing_is_made_up_beyond_an_edge(tmp_path):
    """Without a neighbouring field the missing part is NaN, and only that."""
    edge = make_edge()
    cutouts = check_source(directory_of(tmp_path, edge.near), positions_of(edge.target))
    assert cutouts.flags.tolist() == [PhotozFlag.PARTIAL]
    x, _ = edge.near.geometry.pixel(edge.target.ra, edge.target.dec)
    column = int(np.rint(x - cutouts.target_xy[0, 0]))
    missing = column + np.arange(64) > SHAPE[1] - 1
    assert 0 < missing.sum() < 32
    assert np.isnan(cutouts.flux[0, 2][:, missing]).all()
    assert np.isfinite(cutouts.flux[0, 2][:, ~missing]).all()
    # The other bands end where their own frames do.
    for k in (0, 1, 3, 4):
        columns = np.isnan(cutouts.flux[0, k]).all(axis=0)
        assert abs(int(columns.sum()) - int(missing.sum())) <= 4


def test_dead_pixels_do_not_spread(tmp_path):
    field, galaxies = isolated()
    dead = {"i": (slice(0, 50), slice(None))}
    broken = make_field(FIELD, field.geometry, galaxies, noise=False, dead=dead)
    positions = positions_of(galaxies[0])
    expected = check_source(directory_of(tmp_path / "whole", field), positions)
    cutouts = check_source(directory_of(tmp_path / "dead", broken), positions)
    assert cutouts.flags.tolist() == [PhotozFlag.PARTIAL]
    others = [0, 1, 2, 4]
    np.testing.assert_array_equal(cutouts.flux[:, others], expected.flux[:, others])
    lost = np.isnan(cutouts.flux[0, 3])
    rows = lost.all(axis=1)
    assert np.array_equal(lost, np.broadcast_to(rows[:, None], lost.shape))
    _, y = field.geometry.pixel(galaxies[0].ra, galaxies[0].dec, band="i")
    first = y - cutouts.target_xy[0, 1]  # the stamp's first row, in rows of the i frame
    assert 49.5 - 1 < first + rows.sum() < 49.5 + 3
    far = ~lost & (np.arange(64)[:, None] > rows.sum() + 12)
    np.testing.assert_allclose(cutouts.flux[0, 3][far], expected.flux[0, 3][far], atol=1e-3)


# Broken frames


def html(content):
    return b"<html><body><h1>503 Service Unavailable</h1></body></html>"


DAMAGE = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "html": html,
    "noise": lambda content: b"BZh9" + bytes(range(256)) * 40,
}


@pytest.mark.parametrize("compression", ["bz2", "gz", None])
@pytest.mark.parametrize("band", ["r", "z"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_broken_frame_is_flagged_and_the_rest_comes_back(tmp_path, reference, damage, band, compression):
    directory = write_scene(tmp_path, compression=compression)
    name = sdss.frame_name(band, FIELD).removesuffix(".bz2") + (f".{compression}" if compression else "")
    path = directory / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))

    source = FrameDirectory(directory)
    with pytest.warns(AstropyUserWarning, match=name):
        cutouts = check_source(source, read_positions(catalogue()))
    hit = (reference.provenance["run"] == FIELD.run) & (reference.provenance["field"] == FIELD.field)
    assert 0 < hit.sum() < len(hit) - 2
    np.testing.assert_array_equal(cutouts.flags[~hit], reference.flags[~hit])
    np.testing.assert_array_equal(cutouts.flux[~hit], reference.flux[~hit])
    # Without its r frame, a galaxy may still be seen in another field.
    lost = cutouts.flags == PhotozFlag.NO_IMAGE
    assert lost[hit].any()
    assert not (cutouts.flags[hit] & PhotozFlag.NO_MATCH).any()
    assert np.isfinite(cutouts.flux[hit & ~lost, :, 30:34, 30:34]).all()
    if band == "z":
        assert np.all(cutouts.flags[hit] == PhotozFlag.NO_IMAGE)
        np.testing.assert_array_equal(cutouts.flux[hit, :4], reference.flux[hit, :4])


def test_missing_band(tmp_path, reference):
    directory = write_scene(tmp_path)
    for path in directory.glob("frame-u-*"):
        path.unlink()
    with pytest.warns(AstropyUserWarning, match="no u frame"):
        cutouts = check_source(FrameDirectory(directory), read_positions(catalogue()))
    served = reference.flags == 0
    assert np.isnan(cutouts.flux[:, 0]).all()
    assert np.all(cutouts.flags[served] == PhotozFlag.NO_IMAGE)
    np.testing.assert_array_equal(cutouts.flux[:, 1:], reference.flux[:, 1:])


def _no_file(path):
    path.unlink()


def _link_to_nothing(path):
    path.unlink()
    path.symlink_to("elsewhere.fits")


def _link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def _other_header(**keywords):
    def damage(path):
        with fits.open(path) as frame:
            image, header = frame[0].data, frame[0].header
        plain = fits.PrimaryHDU(image, header)
        for name, value in keywords.items():
            plain.header[name] = value
        path.write_bytes(plain.header.tostring().encode() + image.astype(">f4").tobytes())

    return damage


UNREADABLE = {
    "missing": _no_file,
    "link to nothing": _link_to_nothing,
    "link to itself": _link_to_itself,
    "no place": _other_header(CD1_1=0.0, CD1_2=0.0),
    "no pixels": _other_header(NAXIS1=-5),
    "too many pixels": _other_header(NAXIS1=10**9),
}


@pytest.mark.parametrize("damage", UNREADABLE)
def test_galaxies_on_an_r_frame_that_cannot_be_read_have_no_image(tmp_path, reference, damage):
    """They have a match: other bands tell where the frame lies."""
    directory = write_scene(tmp_path)
    name = sdss.frame_name("r", FIELD)
    UNREADABLE[damage](directory / name)
    with pytest.warns(AstropyUserWarning, match="no r frame" if damage == "missing" else name):
        cutouts = check_source(FrameDirectory(directory), read_positions(catalogue()))
    hit = (reference.provenance["run"] == FIELD.run) & (reference.provenance["field"] == FIELD.field)
    np.testing.assert_array_equal(cutouts.flux[~hit], reference.flux[~hit])
    np.testing.assert_array_equal(cutouts.flags[~hit], reference.flags[~hit])
    assert (cutouts.flags[hit] == PhotozFlag.NO_IMAGE).any()
    assert not (cutouts.flags[hit] & PhotozFlag.NO_MATCH).any()


def test_a_number_of_the_reduction_that_is_none_is_no_matter(tmp_path, reference):
    directory = write_scene(tmp_path)
    _other_header(RERUN="new")(directory / sdss.frame_name("r", FIELD))
    cutouts = check_source(FrameDirectory(directory), read_positions(catalogue()))
    np.testing.assert_array_equal(cutouts.flux, reference.flux)
    np.testing.assert_array_equal(cutouts.provenance["rerun"], reference.provenance["rerun"])


@pytest.mark.parametrize("damage", ["empty", "html", "noise"])
@pytest.mark.parametrize("named", [False, True])
def test_a_field_of_which_nothing_can_be_read(tmp_path, reference, named, damage):
    """Nobody knows where it lies: galaxies that are nowhere else may lie on it, unless the table says otherwise."""
    directory = write_scene(tmp_path)
    for band in BANDS:
        path = directory / sdss.frame_name(band, FIELD)
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    table = catalogue()
    if named:
        for name in ("run", "rerun", "camcol", "field"):
            table[name] = np.where(reference.flags == 0, reference.provenance[name], 301)
        table["camcol"][reference.flags != 0] = 2
    with pytest.warns(AstropyUserWarning, match=rf"{sdss.frame_name('r', FIELD)}.*count as without an image"):
        cutouts = check_source(FrameDirectory(directory), read_positions(table))
    hit = (reference.provenance["run"] == FIELD.run) & (reference.provenance["field"] == FIELD.field)
    lost = hit & (cutouts.flags == PhotozFlag.NO_IMAGE)
    assert lost.any()
    assert np.isfinite(cutouts.flux[hit & ~lost, :, 30:34, 30:34]).all()
    # Of other runs only what the table names is read, so that a stamp at an edge may end there.
    whole = ~hit & (cutouts.flags == 0)
    assert whole.sum() >= np.sum(~hit & (reference.flags == 0)) - 1
    np.testing.assert_array_equal(cutouts.flux[whole], reference.flux[whole])
    off = reference.flags == PhotozFlag.NO_MATCH
    assert set(cutouts.flags[off]) == {PhotozFlag.NO_MATCH if named else PhotozFlag.NO_IMAGE}


# Folders with links


def _linked_files(real, folder):
    for path in real.iterdir():
        (folder / path.name).symlink_to(path)


def _linked_folder(real, folder):
    (folder / "link").symlink_to(real)


def _linked_twice(real, folder):
    (folder / "a").symlink_to(real)
    (folder / "b").symlink_to(real)


def _links_of_links(real, folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "link").symlink_to(real)
    (folder / "short").symlink_to(folder / "deep")


def _links_in_a_loop(real, folder):
    (folder / "link").symlink_to(real)
    (real / "back").symlink_to(folder)
    (folder / "self").symlink_to("self")


def _copies_that_lead_nowhere(real, folder):
    (folder / "link").symlink_to(real)
    for path in real.iterdir():
        (folder / path.name).symlink_to("elsewhere")


def _shouted(real, folder):
    for path in real.iterdir():
        (folder / path.name.upper()).symlink_to(path)


LINKS = (_linked_files, _linked_folder, _linked_twice, _links_of_links, _links_in_a_loop)
LINKS += (_copies_that_lead_nowhere, _shouted)


@pytest.mark.parametrize("link", LINKS)
def test_links_are_followed(tmp_path, reference, link):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").mkdir()
    link(write_scene(tmp_path / "real"), tmp_path / "folder")
    source = FrameDirectory(tmp_path / "folder")
    assert repr(source).endswith(f"{len(BANDS) * len(scene()[0])} frames>")
    cutouts = check_source(source, read_positions(catalogue()))
    np.testing.assert_array_equal(cutouts.flux, reference.flux)
    np.testing.assert_array_equal(cutouts.flags, reference.flags)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    field, _ = isolated()
    write_field(tmp_path, field)
    (tmp_path / "secret").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(AstropyUserWarning, match=r"secret cannot be read, and frames in it are not found: Permission"):
        assert len(FrameDirectory(tmp_path).field_ids) == 1


@pytest.mark.parametrize("name", ["SDSSArchive", "FrameDirectory-flat-bz2"])
def test_memory_for_frames_does_not_matter(name, tmp_path, reference):
    with conf.set_temp("frame_cache", 0), SOURCES[name](tmp_path) as source:
        cutouts = check_source(source, read_positions(catalogue()))
    np.testing.assert_array_equal(cutouts.flux, reference.flux)
    np.testing.assert_array_equal(cutouts.flags, reference.flags)


def test_whoever_stops_early_does_not_wait_for_frames(tmp_path, monkeypatch):
    """And no thread begins another one."""
    begun, stuck, go_on = [], threading.Event(), threading.Event()

    def slowly(path, **options):
        begun.append(path)
        if stuck.wait(0.1):
            go_on.wait(20)
        return frames.read_frame(path, **options)

    monkeypatch.setattr("astro_photz.cutouts.sources.directory.read_frame", slowly)
    before = set(threading.enumerate())
    batches = FrameDirectory(write_scene(tmp_path), threads=2).batches(read_positions(catalogue()))
    while next(batches).cutouts.flags.any():
        pass
    stuck.set()
    start = time.monotonic()
    batches.close()
    assert time.monotonic() - start < 10  # the frames take twice as long
    time.sleep(0.2)  # until the threads that had begun one when the work was stopped wait with it
    n_begun = len(begun)
    go_on.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert len(begun) == n_begun < len(BANDS) * len(scene()[0])


def test_each_frame_is_read_once(tmp_path):
    with patch("astro_photz.cutouts.frames.Frame", wraps=Frame) as counted:
        check_source(FrameDirectory(write_scene(tmp_path)), read_positions(catalogue()))
    assert counted.call_count == len(BANDS) * len(scene()[0])


def test_directory_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        FrameDirectory(tmp_path / "nothing")
    (tmp_path / "frame-r-notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="no frames of the r band"):
        FrameDirectory(tmp_path)


def test_directory_without_reddening_needs_nothing_but_positions(tmp_path):
    """The coarse map knows it roughly, where neither the table nor a map of the user's own tells it."""
    field, galaxies = isolated()
    coord = positions_of(*galaxies).coord
    silent = directory_of(tmp_path, field, dust_map=lambda coord: np.full(len(coord), np.nan))
    for source in (FrameDirectory(tmp_path), silent):
        cutouts = fetch(coord, source=source)
        np.testing.assert_allclose(cutouts.ebv, approximate_ebv(coord))
        assert ((cutouts.flags & PhotozFlag.APPROXIMATE_EBV) != 0).all()


def test_reddening_that_is_known_later_is_approximate_no_more(tmp_path):
    cutouts = gaussian_cutouts(3)
    cutouts.flags[:] = PhotozFlag.APPROXIMATE_EBV
    cutouts.write(tmp_path / "stamps.h5")
    table = Table({"coord": cutouts.coord, "ebv": [0.05, np.nan, 0.07]})
    again = fetch(table, source=tmp_path / "stamps.h5")
    np.testing.assert_allclose(again.ebv, [0.05, 0.03, 0.07], rtol=1e-5)
    told = again.flags & ~PhotozFlag.EBV_MISMATCH  # the values are made up, and not those of the map
    assert told.tolist() == [0, PhotozFlag.APPROXIMATE_EBV, 0]


def test_no_training_takes_a_reddening_that_is_approximate(tmp_path):
    cutouts = gaussian_cutouts(3)
    cutouts.ebv[1] = np.nan
    cutouts.write(tmp_path / "stamps.h5")
    for whole, kept in ((False, [True, True, True]), (True, [True, False, True])):
        table = Table({"coord": cutouts.coord})
        done = fetch_to_file(table, tmp_path / f"{whole}.h5", source=tmp_path / "stamps.h5", drop_incomplete=whole)
        assert done.kept.tolist() == kept
        assert done.flags.tolist() == [0, PhotozFlag.APPROXIMATE_EBV, 0]


def test_directory_with_a_dust_map(tmp_path):
    field, galaxies = isolated()
    source = directory_of(tmp_path, field, dust_map=lambda coord: np.full(len(coord), 0.07))
    coord = positions_of(*galaxies).coord
    cutouts = check_source(source, Positions(coord))
    np.testing.assert_allclose(cutouts.ebv, 0.07)
    given = np.array([0.01, np.nan, 0.02, np.nan, np.nan, np.nan], dtype=np.float32)
    cutouts = check_source(source, Positions(coord, ebv=given))
    np.testing.assert_allclose(cutouts.ebv, [0.01, 0.07, 0.02, 0.07, 0.07, 0.07])


def test_of_a_survey_only_the_fields_that_the_table_names_are_read(tmp_path, monkeypatch):
    geometry = Geometry(ra=33.0, dec=-6.0)
    galaxies = [Galaxy(*geometry.sky(130.2, y), flux=(3, 12, 30, 45, 60)) for y in (60.4, 160.4, 560.0)]
    fields = make_run(FIELD, geometry, galaxies, n_fields=5)
    table = Table(rows=[(g.ra, g.dec, g.ebv) for g in galaxies], names=("ra", "dec", "ebv"))
    everything = check_source(directory_of(tmp_path / "frames", *fields), read_positions(table))
    assert not everything.flags.any()
    read = []
    monkeypatch.setattr(
        "astro_photz.cutouts.sources.directory.read_header", lambda path: read.append(path.name) or read_header(path)
    )
    source, names = FrameDirectory(tmp_path / "frames"), ("run", "rerun", "camcol", "field")
    for name in names:
        table[name] = everything.provenance[name]
    near = table[:2]
    cutouts = check_source(source, read_positions(near))
    np.testing.assert_array_equal(cutouts.flux, everything.flux[:2])
    n_named = len(set(near["field"]))
    assert n_named < len(read) < len(fields)
    cutouts = check_source(source, read_positions(table[["ra", "dec", "ebv"]]))
    np.testing.assert_array_equal(cutouts.flux, everything.flux)
    assert sorted(read) == sorted(set(read))
    assert len(read) == len(fields)
    assert len(source.field_ids) == len(fields)


def test_reddening_that_is_known_stays_where_there_is_no_image(source):
    table = catalogue()
    table["ebv"] = np.linspace(0.01, 0.1, len(table))
    cutouts = fetch(table, source=source)
    np.testing.assert_allclose(cutouts.ebv, table["ebv"], rtol=1e-5)
    assert np.isnan(cutouts.flux).all(axis=(1, 2, 3)).any()


# Into a file


def contents_of(path):
    with h5py.File(path) as file:
        return {name: values[()] for name, values in file.items()}, dict(file.attrs)


def assert_same_files(one, other):
    (data, attributes), (expected, expected_attributes) = contents_of(one), contents_of(other)
    assert data.keys() == expected.keys()
    for name, values in expected.items():
        assert data[name].dtype == values.dtype
        np.testing.assert_array_equal(data[name], values, err_msg=name)
    assert attributes == expected_attributes


def labelled():
    """A table with redshifts, which some galaxies do not have."""
    table = catalogue()
    table["objid"] = [f"host {number}" for number in range(len(table))]
    table["z"] = np.ma.masked_array(np.linspace(-0.01, 0.3, len(table)), mask=np.arange(len(table)) % 4 == 3)
    return table


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_file_is_the_same_as_by_way_of_memory(source, tmp_path, dtype):
    table = labelled()
    columns = {"specz_redshift": table["z"], "catalog_flux": np.arange(5.0 * len(table)).reshape(-1, 5)}
    cutouts = fetch(table, source=source)
    cutouts.write(tmp_path / "all.h5", dtype=dtype, **columns)
    fetched = fetch_to_file(table, tmp_path / "file.h5", source=source, dtype=dtype, columns=columns)
    assert_same_files(tmp_path / "file.h5", tmp_path / "all.h5")
    np.testing.assert_array_equal(fetched.flags, cutouts.flags)
    assert fetched.kept.all()

    usable = np.isfinite(cutouts.flux).any(axis=(1, 2, 3)) & np.isfinite(cutouts.ebv)
    usable &= (table["z"] >= 0).filled(False)
    assert 0 < usable.sum() < len(table)
    kept = {name: values[usable] for name, values in columns.items()}
    cutouts[usable].write(tmp_path / "whole.h5", dtype=dtype, **kept)
    options = {"source": source, "dtype": dtype, "columns": columns, "drop_incomplete": True, "overwrite": True}
    fetched = fetch_to_file(table, tmp_path / "file.h5", **options)
    assert_same_files(tmp_path / "file.h5", tmp_path / "whole.h5")
    np.testing.assert_array_equal(fetched.kept, usable)


def test_a_file_of_no_galaxies(tmp_path):
    source = directory_of(tmp_path / "frames", isolated()[0])
    fetch_to_file(catalogue()[:0], tmp_path / "none.h5", source=source)
    fetch(catalogue()[:0], source=source).write(tmp_path / "expected.h5")
    assert_same_files(tmp_path / "none.h5", tmp_path / "expected.h5")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": {"specz_redshift": [0.1]}}, ValueError, "specz_redshift must have a row for each of the"),
        ({"columns": {"specz_redshift": [-1.0] * 6}, "drop_incomplete": True}, ValueError, "leaves out every galaxy"),
        ({"size": 32}, ValueError, "size must be at least 64"),
        ({"dtype": "int8"}, ValueError, "dtype must be 'float16' or 'float32'"),
    ],
)
def test_what_cannot_be_fetched_leaves_no_file(tmp_path, options, error, message):
    field, galaxies = isolated()
    source = directory_of(tmp_path / "frames", field)
    table = Table(rows=[(g.ra, g.dec, g.ebv) for g in galaxies], names=("ra", "dec", "ebv"))
    assert len(table) == 6
    with pytest.raises(error, match=message):
        fetch_to_file(table, tmp_path / "stamps.h5", source=source, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_a_file_that_is_there_is_not_replaced_unasked(stamps, tmp_path):
    before = stamps.read_bytes()
    with pytest.raises(FileExistsError, match=r"stamps.h5 exists: choose another path, or set overwrite"):
        fetch_to_file(catalogue(), stamps, source=CutoutFile(stamps))
    assert stamps.read_bytes() == before


# Files of cutouts


@pytest.fixture
def stamps(tmp_path):
    """Path of a file with the stamps of the isolated galaxies."""
    field, galaxies = isolated()
    cutouts = check_source(directory_of(tmp_path / "frames", field), positions_of(*galaxies))
    cutouts.write(tmp_path / "stamps.h5")
    return tmp_path / "stamps.h5"


@pytest.mark.parametrize("name", ["images", "e_bv", "ra", "dec"])
def test_file_without_a_data_set_it_needs(stamps, name):
    with h5py.File(stamps, "a") as file:
        del file[name]
    with pytest.raises(ValueError, match=f"lacks the data set {name}"):
        CutoutFile(stamps)


def test_file_that_is_no_hdf5(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        CutoutFile(tmp_path / "nothing.h5")
    (tmp_path / "page.h5").write_bytes(html(b""))
    with pytest.raises(OSError, match="is not an HDF5 file"):
        CutoutFile(tmp_path / "page.h5")


def test_file_with_too_small_stamps(stamps):
    with pytest.raises(ValueError, match="size"):
        check_source(CutoutFile(stamps), positions_of(*isolated()[1]), size=80)


def test_file_finds_galaxies_by_position(stamps):
    _, galaxies = isolated()
    coord = positions_of(*galaxies).coord
    aside = coord.directional_offset_by(40 * u.deg, [0.2, 0.9, 1.1, 3, 0, 0] * u.arcsec)
    cutouts = check_source(CutoutFile(stamps), Positions(aside, ebv=np.full(6, 0.05, dtype=np.float32)))
    assert list(cutouts.flags == PhotozFlag.NO_MATCH) == [False, False, True, True, False, False]


def test_file_of_others_that_is_not_whole(stamps):
    """A place that is not known belongs to no galaxy, and a field is told by all of its numbers."""
    positions = positions_of(*isolated()[1])
    before = check_source(CutoutFile(stamps), positions)
    with h5py.File(stamps, "r+") as file:
        file["dec"][0] = np.nan
        del file["camcol"]
    cutouts = check_source(CutoutFile(stamps), positions)
    assert np.flatnonzero(cutouts.flags == PhotozFlag.NO_MATCH).tolist() == [0]
    np.testing.assert_array_equal(cutouts.flux[1:], before.flux[1:])
    assert np.all(cutouts.provenance["run"] == -1)


def test_simulated_galaxies_that_share_a_position_are_not_mixed_up(tmp_path):
    """Two galaxies drawn from the same real one have its position: by that, either would get the redshift of one."""
    cutouts = gaussian_cutouts(3)
    for name, rows in {"alone.h5": [0, 1, 2], "shared.h5": [0, 1, 1]}.items():
        with CutoutWriter(tmp_path / name, 3, attributes={"simulated": True}) as writer:
            writer.append(cutouts[rows])
    positions = Positions(cutouts.coord, ebv=cutouts.ebv)
    alone = check_source(CutoutFile(tmp_path / "alone.h5"), positions)
    assert len(alone) == 3
    with pytest.raises(ValueError, match=r"1 at the position of another one.*Take them by row: give .* in place"):
        check_source(CutoutFile(tmp_path / "shared.h5"), positions)


def test_the_files_own_galaxies_are_taken_by_row(tmp_path):
    """Also those that share a position, and in the order of the file; one without a position stays without."""
    cutouts = gaussian_cutouts(5)
    cutouts.coord = cutouts.coord[[0, 1, 1, 2, 0]]
    with CutoutWriter(tmp_path / "shared.h5", 5, attributes={"simulated": True}, dtype="float32") as writer:
        writer.append(cutouts)
    with h5py.File(tmp_path / "shared.h5", "r+") as file:
        file["ra"][3] = np.nan
    source = CutoutFile(tmp_path / "shared.h5")
    found = fetch(source.catalog(), source=source, progress=False)
    np.testing.assert_array_equal(found.flux[[0, 1, 2, 4]], cutouts.flux[[0, 1, 2, 4]])
    assert found.flags.tolist() == [0, 0, 0, PhotozFlag.NO_POSITION, 0]


def test_file_yields_to_the_users_reddening(stamps):
    _, galaxies = isolated()
    coord = positions_of(*galaxies).coord
    given = np.array([0.2, np.nan, 0.3, 0.4, 0.5, 0.6], dtype=np.float32)
    cutouts = check_source(CutoutFile(stamps), Positions(coord, ebv=given))
    np.testing.assert_allclose(cutouts.ebv, np.where(np.isnan(given), galaxies[1].ebv, given), rtol=1e-5)


def test_run_of_fields_is_read_as_one_sky(tmp_path):
    """A galaxy in the overlap of two fields is the same from either, since they share the pixels."""
    geometry = Geometry(ra=33.0, dec=-6.0)
    galaxy = Galaxy(*geometry.sky(130.2, 160.4), flux=(3, 12, 30, 45, 60))
    first, second = make_run(FIELD, geometry, [galaxy], n_fields=2)
    one = check_source(directory_of(tmp_path / "one", first), positions_of(galaxy))
    both = check_source(directory_of(tmp_path / "both", first, second), positions_of(galaxy))
    seen = np.isfinite(one.flux[0, 2])
    np.testing.assert_array_equal(both.flux[0, 2][seen], one.flux[0, 2][seen])
    assert np.isfinite(both.flux).all()
