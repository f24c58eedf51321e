# Licensed under a 3-clause BSD style license - see LICENSE
"""Simulated fields: laid out as the survey's, true to their catalogue, and served like real ones."""

import bz2
import io
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.stats import mad_std
from astropy.table import QTable, vstack
from scipy.ndimage import map_coordinates

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import FrameDirectory, SDSSArchive, fetch, simulate
from astro_photz.cutouts.frames import frame_wcs
from astro_photz.sdss import BANDS, FRAME_SHAPE, R_UGRIZ, FieldID, dark_variance, frame_name, frame_path, gain
from astro_photz.simulate.fields.drift_scan import Scan
from astro_photz.simulate.fields.strip import Strip, sample_objects
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.targets import draw_targets
from astro_photz.simulate.simulation import Simulation
from astro_photz.testing.catalogues import photo_catalogue
from astro_photz.testing.loopback import LoopbackArchive
from shared_data import SHARED, needs_shared

FIRST = FieldID(9000, 301, 3, 11)


def open_frame(path, band, field_id=FIRST):
    return fits.open(io.BytesIO(bz2.decompress((path / frame_name(band, field_id)).read_bytes())))


def counts_and_sky(hdus):
    """What the camera counted, as users of the frames make it from their three parts."""
    table = hdus[2].data[0]
    places = np.meshgrid(table["YINTERP"], table["XINTERP"], indexing="ij")
    sky = map_coordinates(table["ALLSKY"].astype(float), places, order=1, mode="nearest")
    return hdus[0].data / hdus[1].data.astype(float) + sky, sky


@pytest.mark.parametrize("band", BANDS)
def test_frames_are_whole_counts_with_the_noise_of_the_camera(field, band):
    with open_frame(field[0], band) as hdus:
        counts, sky = counts_and_sky(hdus)
    assert counts.shape == FRAME_SHAPE
    faint = np.abs(counts - sky) < 10  # frames keep 10 binary digits
    assert np.abs(counts - np.rint(counts))[faint].max() < 0.011
    k = BANDS.index(band)
    expected = np.sqrt(sky.mean() / gain(3, 9000)[k] + dark_variance(3, 9000)[k] + 1 / 12)
    # differences of neighbouring pixels are free of the objects' light, but for a few
    rms = mad_std(np.diff(counts, axis=1)) / np.sqrt(2)
    assert rms == pytest.approx(expected, rel=0.1)  # whole counts are coarse


def low_bits(hdus):
    return np.ascontiguousarray(hdus[0].data, "<f4").view(np.uint32) & 0x3FFF


@pytest.mark.parametrize("band", BANDS)
def test_frames_are_laid_out_as_the_survey_describes(field, band):
    with open_frame(field[0], band) as hdus:
        assert [type(hdu) for hdu in hdus] == [fits.PrimaryHDU, fits.ImageHDU, fits.BinTableHDU, fits.BinTableHDU]
        assert [(hdu.data.shape, hdu.data.dtype) for hdu in hdus[:2]] == [(FRAME_SHAPE, ">f4"), ((2048,), ">f4")]
        sky = hdus[2].data[0]
        assert (sky["ALLSKY"].shape, sky["XINTERP"].shape, sky["YINTERP"].shape) == ((192, 256), (2048,), (1489,))
        assert (np.diff(sky["XINTERP"]) == 1 / 8).all()
        header = hdus[0].header
        assert (header["CRPIX1"], header["CRPIX2"], header["CTYPE1"], header["CTYPE2"]) == (
            1025,
            745,
            "RA---TAN",
            "DEC--TAN",
        )
        assert (header["BUNIT"], header["RADECSYS"], header["EQUINOX"]) == ("nanomaggy", "ICRS", 2000)
        assert (header["RUN"], header["RERUN"], header["CAMCOL"], header["FRAME"]) == (9000, "301", 3, 11)
        assert header["FILTER"] == band
        assert header["SIMULATE"]
        assert header["NMGY"] == pytest.approx(hdus[1].data.mean(), rel=1e-3)
        names = hdus[3].data[0]
        assert [names[name] for name in ("RUN", "RERUN", "CAMCOL", "FIELD", "FILTER")] == [9000, "301", 3, 11, band]
        assert not low_bits(hdus).any()


@needs_shared
@pytest.mark.parametrize("band", "uz")
def test_frames_are_laid_out_like_real_ones(field, band):
    real_id = FieldID(1043, 301, 5, 25)
    with open_frame(field[0], band) as ours, open_frame(SHARED / "sdss_frames", band, real_id) as real:
        for mine, theirs in zip(ours[:3], real[:3], strict=True):
            assert type(mine) is type(theirs)
            assert mine.data.shape == theirs.data.shape
            assert mine.data.dtype == theirs.data.dtype
        for name in ("CRPIX1", "CRPIX2", "CTYPE1", "RADECSYS", "BUNIT", "RERUN", "FILTER"):
            assert ours[0].header[name] == real[0].header[name]
        for name in ("NMGY", "CD1_2", "CD2_1"):
            assert ours[0].header[name] == pytest.approx(real[0].header[name], rel=0.7)
        for name in ("XINTERP", "YINTERP"):
            np.testing.assert_allclose(ours[2].data[name], real[2].data[name])
        assert ours[0].header["SIMULATE"]
        assert not any(np.any(low_bits(hdus)) for hdus in (ours, real))


def test_the_catalogue_is_that_of_the_file(field):
    path, truth = field
    read = QTable.read(path / "truth.ecsv")
    assert read.colnames == truth.colnames
    assert read.meta["simulated"]
    assert read["flux_r"].unit == u.nmgy
    np.testing.assert_allclose(read["ra"].value, truth["ra"].value)
    # the density of galaxies and stars on the sky
    area = FRAME_SHAPE[0] * FRAME_SHAPE[1] * (0.396 / 3600) ** 2
    r = 22.5 - 2.5 * np.log10(truth["flux_r"].value)
    bright = (truth["type"] == "galaxy") & (r < 20)
    assert 500 < bright.sum() / area < 4000
    assert 1000 < (truth["type"] == "star").sum() / area < 20000
    known = truth["redshift"] > 0
    assert (r[known] < 17.8 + 2.3 * truth["ebv"].value[0] + 0.1).all()


def test_a_deep_sample_leaves_the_sky_its_counts():
    """Galaxies get a redshift, a bulge and a disc; how many there are of each magnitude, and where, does not change."""

    def objects(**sample):
        settings = simulate.Settings.of({"sample": sample})
        drift = Scan(Simulation(seed=3, settings=settings), FIRST, SkyCoord(10, 0, unit=u.deg))
        table = vstack([drift.strip(number).objects for number in range(40)])
        table = table[table["type"] == "galaxy"]
        table.sort(["x", "y"])
        return table, 22.5 - 2.5 * np.log10(table["flux_r"].value) - R_UGRIZ[2] * drift.ebv

    plain, r = objects(faintest=13.1)
    deep, deep_r = objects(brightest=17.5, faintest=20.5)
    assert not (plain["redshift"] > 0).any()
    np.testing.assert_array_equal(deep["x"], plain["x"])
    replaced = deep["redshift"] > 0
    within = (r >= 17.5) & (r < 20.5)
    assert within.sum() > 50
    assert (r < 17.5).any()
    np.testing.assert_array_equal(replaced, within)
    assert np.abs(deep_r - r)[replaced].max() < 0.1
    assert len(np.unique(deep["redshift"][replaced])) == replaced.sum()
    np.testing.assert_array_equal(deep_r[~replaced], r[~replaced])

    far, far_r = objects(brightest=13.1, faintest=20.5, redshift=(0.3, 0.4))
    replaced = far["redshift"] > 0
    assert (r < 16.5).any()
    assert not replaced[r < 16.5].any()  # there are none so bright
    assert replaced[r < 20.5].mean() > 0.9
    assert np.abs(far_r - r).max() < 0.5


def test_a_field_cannot_be_flat_in_redshift(tmp_path):
    config = {"sample": {"flat_redshift": True}}
    with pytest.raises(
        ValueError, match=r"flat_redshift in \[sample\] is for galaxies in stamps, .* leave the setting out"
    ):
        simulate.write_frames(tmp_path, seed=1, config=config)
    assert not any(tmp_path.iterdir())


def bright_galaxies(drift, number):
    """A strip with a bright galaxy every 128 pixels, far from the others, and nothing else."""
    n = 16 if number % 2 == 0 and 2 <= number < 22 else 0
    rng = np.random.default_rng([2, *FIRST[:3], 1, number + 9])
    x = 64 + 128 * np.arange(n) + rng.uniform(-0.5, 0.5, n)
    y = 64 * number + 45 + rng.uniform(-0.5, 0.5, n)
    places = np.stack([x, y], axis=1)
    population = draw_population(16, rng, sample=Sample(faintest=15.7))[:n]
    population.ebv[:] = drift.ebv
    components, truth = draw_targets(population, rng, places)
    return Strip(number, sample_objects(places, truth, drift.ebv), components)


def light_within(image, x, y, radius):
    """Sum (bands,) of the pixels about a place."""
    rows, columns = np.indices(image.shape[-2:])
    return (image * (np.hypot(columns - x, rows - y) < radius)).sum(axis=(-1, -2))


def around(strips, number, place, conditions, size, margin=160):
    """Noiseless stamp (5, size, size) of a place, moved by ``place``, with the outskirts of the next galaxies."""
    components = Components.concatenate([strips[near].components for near in range(number - 2, number + 3)])
    part = components[np.abs(components.x + place["x"] - size / 2) < margin + size / 2]
    moved = {axis: getattr(part, axis) + by + margin for axis, by in place.items()}
    part = replace(part, scene=np.zeros(len(part), dtype=int), **moved)
    image = render(part, conditions.transfer, size=size + 2 * margin, shift=np.zeros((1, 5, 2))).numpy()[0]
    return image[:, margin:-margin, margin:-margin]


def test_fluxes_come_back_unbiased(tmp_path, monkeypatch):
    """Within 0.5 % in all bands: apertures on stamps from the frames against the same on noiseless ones."""
    scans, strips = set(), {}

    def strip(drift, number):
        scans.add(drift)
        return strips.setdefault(number, bright_galaxies(drift, number))

    monkeypatch.setattr(Scan, "strip", strip)
    truth = simulate.write_frames(tmp_path, seed=2)
    size, radius = 96, 20
    truth = truth[np.abs(truth["x"] - 1023.5) < 1024 - size]  # so that all bands have the whole stamp
    assert len(truth) > 130
    cutouts = fetch(truth, source=FrameDirectory(tmp_path), size=size, progress=False)
    assert not cutouts.flags.any()

    scan, measured, expected = scans.pop(), 0, 0
    for own, stamp, (to_x, to_y) in zip(truth, cutouts.flux, cutouts.target_xy, strict=True):
        number = next(number for number, strip in strips.items() if own["x"] in strip.objects["x"])
        place = {"x": to_x - own["x"], "y": to_y - strips[number].objects["y"][strips[number].objects["x"] == own["x"]]}
        ideal = around(strips, number, place, scan.conditions, size)
        measured = measured + light_within(stamp, to_x, to_y, radius)
        expected = expected + light_within(ideal, to_x, to_y, radius)
    np.testing.assert_allclose(measured / expected, 1, atol=0.005)


def test_positions_and_fluxes_hold_in_every_band(field):
    """The brightest stars' light lies where the catalogue says, through the coordinates of each band's own frame."""
    path, truth = field
    inside = (np.abs(truth["x"] - 1023) < 950) & (np.abs(truth["y"] - 744) < 650)
    stars = truth[
        inside & (truth["type"] == "star") & (truth["flux_r"] > 20 * u.nmgy) & (truth["flux_r"] < 800 * u.nmgy)
    ]
    coord = SkyCoord(stars["ra"], stars["dec"])
    for band in BANDS:
        with open_frame(path, band) as hdus:
            image, wcs = hdus[0].data, frame_wcs(hdus[0].header)
        noise = mad_std(image)
        offsets, ratios = [], []
        for (x, y), flux in zip(np.transpose(wcs.world_to_pixel(coord)), stars[f"flux_{band}"].value, strict=True):
            if flux < 400 * noise:
                continue  # too faint here: noise would move the centroid by more than 0.06 pixels
            column, row = int(np.rint(x)), int(np.rint(y))
            stamp = image[row - 7 : row + 8, column - 7 : column + 8].astype(float)
            core, grid = stamp[3:-3, 3:-3], np.arange(-4, 5)
            centroid = np.array([(core * grid).sum(), (core * grid[:, None]).sum()]) / core.sum()
            offsets.append(centroid - [x - column, y - row])
            ratios.append(stamp.sum() / flux)
        assert len(offsets) >= 5
        # By chance, a median is off by 1.25 times the scatter over the root of the number.
        chance = 1.25 * mad_std(offsets, axis=0) / np.sqrt(len(offsets))
        assert (np.abs(np.median(offsets, axis=0)) < 0.02 + 3 * chance).all()
        assert np.median(ratios) == pytest.approx(0.95, abs=0.05)  # the wings are lost


def test_fields_of_a_scan_share_their_overlap(field, tmp_path):
    truth = simulate.write_frames(tmp_path, seed=4, n_fields=2)
    for band in BANDS:
        name = frame_name(band, FIRST)
        assert (tmp_path / name).read_bytes() == (field[0] / name).read_bytes()  # whatever comes after it
    with open_frame(tmp_path, "r") as first, open_frame(tmp_path, "r", FIRST._replace(field=12)) as second:
        upper, lower = counts_and_sky(first)[0][-128:], counts_and_sky(second)[0][:128]
    assert np.mean(np.rint(upper) == np.rint(lower)) > 0.98
    # an object is in the catalogue once, in the field in which it is more central
    assert set(np.unique(truth["field"])) == {11, 12}
    separation = SkyCoord(truth["ra"], truth["dec"]).match_to_catalog_sky(SkyCoord(truth["ra"], truth["dec"]), 2)[1]
    assert separation.min() > 0.001 * u.arcsec
    central = np.abs(truth["y"] - 744) <= 744 - 63.5
    end = ((truth["field"] == 11) & (truth["y"] < 64)) | ((truth["field"] == 12) & (truth["y"] > 1424))
    assert (central | end).all()


def test_the_archive_serves_simulated_fields(field):
    path, truth = field
    table = truth[truth["redshift"] > 0]
    ids = [FieldID(*map(int, row)) for row in table["run", "rerun", "camcol", "field"].iterrows()]
    catalogue = photo_catalogue(
        SkyCoord(table["ra"], table["dec"]), ids, table["y"] + 0.5, table["x"] + 0.5, table["ebv"].value
    )
    files = {frame_path(band, FIRST): path / frame_name(band, FIRST) for band in BANDS}
    with LoopbackArchive(catalogue, files):
        archived = fetch(table["ra", "dec"], source=SDSSArchive(), progress=False)
    local = fetch(table["ra", "dec", "ebv"], source=FrameDirectory(path), progress=False)
    np.testing.assert_array_equal(archived.flux, local.flux)
    assert archived.simulated  # the frames say so
    assert local.simulated
    np.testing.assert_allclose(archived.ebv, table["ebv"].value, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_fields": 0}, ValueError, r"n_fields must be at least 1, got 0"),
        ({"camcol": 7}, ValueError, r"camcol must be at most 6, got 7"),
        ({"field": 9999, "n_fields": 2}, ValueError, r"n_fields must leave the last field's number below 10000"),
        ({"run": 1.5}, TypeError, r"run must be a whole number, got 1.5"),
        ({"coord": (1, 2)}, TypeError, r"coord must be a SkyCoord of one position"),
        ({"split": "all"}, ValueError, r"split must be one of train, validation, test"),
    ],
)
def test_impossible_fields_are_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        simulate.write_frames(tmp_path / "new", **{"seed": 0} | options)
    assert not list(tmp_path.iterdir())


def test_frames_are_not_overwritten_unasked(tmp_path):
    (tmp_path / frame_name("z", FIRST)).write_text("mine")
    with pytest.raises(FileExistsError, match=r"frame-z-009000-3-0011.fits.bz2 exists: choose another folder"):
        simulate.write_frames(tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == [frame_name("z", FIRST)]
    (tmp_path / frame_name("r", FIRST._replace(field=99))).touch()
    with pytest.raises(FileExistsError, match=r"frame-r-009000-3-0099.fits.bz2 would lie among frames"):
        simulate.write_frames(tmp_path, seed=0, overwrite=True)
    with pytest.raises(NotADirectoryError, match=r"is a file: give the name of a folder"):
        simulate.write_frames(tmp_path / frame_name("z", FIRST), seed=0)
