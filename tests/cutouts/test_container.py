# Licensed under a 3-clause BSD style license - see LICENSE
"""The container of cutouts holds what it was given, refuses what it cannot be, and survives being written."""

import resource

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.utils.masked import Masked

from astro_photz import CutoutFile, Cutouts, fetch
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5 import layout
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.dust import extinction_from_ebv
from astro_photz.flags import PhotozFlag
from astro_photz.testing.factories import gaussian_cutouts

PROVENANCE = ("data_release", "run", "rerun", "camcol", "field")


def make_flux(n=3, *, size=64, dtype=np.float32):
    return np.random.default_rng(0).normal(0, 1, (n, 5, size, size)).astype(dtype)


def make_cutouts(n=5, *, size=64, seed=1):
    """Cutouts that differ from row to row in all that they hold, with something missing here and there."""
    rng = np.random.default_rng(seed)
    cutouts = gaussian_cutouts(n, size=size, seed=seed, ebv=rng.uniform(0.01, 0.2, n))
    flux = cutouts.flux
    flux[0, 0] = np.nan
    flux[-1, :, :3] = np.nan
    return Cutouts(
        flux,
        ebv=cutouts.ebv,
        coord=cutouts.coord,
        ids=1237653651835781245 + np.arange(n),
        target_xy=cutouts.target_xy,
        psf_fwhm=rng.uniform(1.0, 1.5, (n, 5)),
        provenance=Table({name: 100 * k + np.arange(n) for k, name in enumerate(PROVENANCE)}),
        flags=np.arange(n) % 2 * int(PhotozFlag.NO_IMAGE),
    )


def assert_same(one, other, *, rtol=0.0):
    """All that two Cutouts hold is equal, the pixels to ``rtol``."""
    np.testing.assert_allclose(one.flux, other.flux, rtol=rtol, atol=1e-7 if rtol else 0)
    np.testing.assert_allclose(one.ebv, other.ebv, rtol=1e-6)
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.target_xy, other.target_xy)
    np.testing.assert_array_equal(one.psf_fwhm, other.psf_fwhm)
    np.testing.assert_array_equal(one.flags, other.flags)
    for name in PROVENANCE:
        np.testing.assert_array_equal(one.provenance[name], other.provenance[name])
    assert (one.coord is None) == (other.coord is None)
    if one.coord is not None:
        assert np.all(one.coord.separation(other.coord) < 1e-6 * u.arcsec)


# Making them


def test_arrays_alone_are_enough():
    flux = make_flux()
    cutouts = Cutouts(flux, ebv=0.02)
    assert len(cutouts) == 3
    assert cutouts.size == 64
    assert repr(cutouts) == "<Cutouts of 3 galaxies, 5 x 64 x 64 pixels>"
    np.testing.assert_array_equal(cutouts.flux, flux)
    np.testing.assert_array_equal(cutouts.ebv, np.full(3, 0.02, np.float32))
    np.testing.assert_array_equal(cutouts.target_xy, 31.5)
    np.testing.assert_array_equal(cutouts.ids, [0, 1, 2])
    assert cutouts.coord is None
    assert np.isnan(cutouts.psf_fwhm).all()
    assert all((cutouts.provenance[name] == -1).all() for name in PROVENANCE)
    assert not cutouts.flags.any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int16", "uint8"])
def test_real_numbers_become_float32(dtype):
    flux = np.abs(10 * make_flux()).astype(dtype)
    cutouts = Cutouts(flux, ebv=0)
    assert cutouts.flux.dtype == np.float32
    np.testing.assert_array_equal(cutouts.flux, flux.astype(np.float32))


def test_units_of_flux():
    flux = make_flux(1) * u.nmgy
    np.testing.assert_allclose(Cutouts(flux.to(u.mgy), ebv=0).flux, flux.value, rtol=1e-6)


@pytest.mark.parametrize("unit", [u.Jy, u.m, u.mag])
def test_wrong_unit_of_flux(unit):
    with pytest.raises(ValueError, match=f"flux has the unit {unit}.*nmgy"):
        Cutouts(make_flux(1) * unit, ebv=0)


def test_unit_of_reddening():
    np.testing.assert_allclose(Cutouts(make_flux(), ebv=[20, 30, 50] * u.mmag).ebv, [0.02, 0.03, 0.05])
    np.testing.assert_allclose(Cutouts(make_flux(), ebv=0.1 * u.dimensionless_unscaled).ebv, 0.1)
    with pytest.raises(ValueError, match="ebv has the unit m, which does not convert to magnitudes"):
        Cutouts(make_flux(), ebv=[1, 2, 3] * u.m)


@pytest.mark.parametrize("dtype", [complex, bool, "U3", object])
def test_wrong_dtype(dtype):
    with pytest.raises(TypeError, match=rf"flux must hold real numbers.*got dtype {np.dtype(dtype)}"):
        Cutouts(np.zeros((1, 5, 64, 64)).astype(dtype), ebv=0)


@pytest.mark.parametrize("shape", [(5, 64, 64), (2, 3, 64, 64), (2, 64, 64, 5), (2, 5, 64, 70), (2, 5, 64), ()])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"flux must have the shape \(N, 5, S, S\).*ugriz.*missing band.*newaxis"):
        Cutouts(np.zeros(shape), ebv=0)


def test_too_small():
    with pytest.raises(ValueError, match=r"at least 64 x 64 pixels a band, got \(2, 5, 32, 32\)"):
        Cutouts(np.zeros((2, 5, 32, 32)), ebv=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ebv", [0.1, 0.2]),
        ("ebv", np.zeros((3, 5))),
        ("ids", [1, 2]),
        ("target_xy", np.zeros(2)),
        ("psf_fwhm", np.zeros((3, 4))),
        ("flags", [0]),
        ("coord", SkyCoord([1, 2], [1, 2], unit="deg")),
        ("coord", [1, 2, 3]),
        ("provenance", Table({"run": [1, 2, 3]})),
        ("provenance", Table({name: [1, 2] for name in PROVENANCE})),
    ],
)
def test_other_arrays_of_wrong_shape(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        Cutouts(make_flux(3), **{"ebv": 0, name: value})


@pytest.mark.parametrize("mask_of", [np.ma.MaskedArray, Masked, lambda flux, mask: Masked(flux * u.nmgy, mask=mask)])
def test_masked_pixels_are_missing(mask_of):
    flux = make_flux()
    mask = np.zeros(flux.shape, dtype=bool)
    mask[1, 2, 10:20] = True
    np.testing.assert_array_equal(np.isnan(Cutouts(mask_of(flux, mask=mask), ebv=0).flux), mask)


def test_infinite_pixels_are_missing():
    flux = make_flux()
    flux[0, 0, 0, 0], flux[1, 1, 1, 1] = np.inf, -np.inf
    before = flux.copy()
    assert np.isnan(Cutouts(flux, ebv=0).flux).sum() == 2
    np.testing.assert_array_equal(flux, before)


@pytest.mark.parametrize("mask_of", [np.ma.MaskedArray, Masked, lambda ebv, mask: Masked(ebv * u.mag, mask=mask)])
def test_masked_reddening_is_unknown(mask_of):
    ebv = mask_of(np.array([0.1, 0.2, 0.3]), mask=[False, True, False])
    np.testing.assert_allclose(Cutouts(make_flux(), ebv=ebv).ebv, [0.1, np.nan, 0.3], rtol=1e-6)


def test_blank():
    cutouts = Cutouts.blank(2, size=80)
    assert cutouts.size == 80
    assert np.isnan(cutouts.flux).all()
    assert np.isnan(cutouts.ebv).all()
    assert len(Cutouts.blank(0)) == 0


# Some of them


@pytest.mark.parametrize(
    ("item", "rows"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [4, 2, 0]),
        ([3, 0, 3], [3, 0, 3]),
        (np.array([True, False, False, True, False]), [0, 3]),
        (2, [2]),
        (np.int64(-1), [4]),
        ([], []),
    ],
    ids=str,
)
def test_slicing(item, rows):
    whole = make_cutouts()
    part = whole[item]
    assert len(part) == len(rows)
    for name in ("flux", "ebv", "ids", "target_xy", "psf_fwhm", "flags"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])
    for name in PROVENANCE:
        np.testing.assert_array_equal(part.provenance[name], whole.provenance[name][rows])
    np.testing.assert_array_equal(part.coord.ra.deg, whole.coord.ra.deg[rows])


def test_iteration_goes_over_the_galaxies():
    cutouts = make_cutouts(3)
    assert [int(one.ids[0]) for one in cutouts] == list(cutouts.ids)


def test_no_galaxy_beyond_the_last():
    with pytest.raises(IndexError):
        make_cutouts(3)[3]


def test_assignment():
    """What was measured comes along; who the galaxies are stays."""
    cutouts, other = make_cutouts(5), make_cutouts(2, seed=9)
    before = make_cutouts(5)
    cutouts[[4, 1]] = other
    assert_same(cutouts[[0, 2, 3]], before[[0, 2, 3]])
    np.testing.assert_array_equal(cutouts.flux[[4, 1]], other.flux)
    np.testing.assert_array_equal(cutouts.ebv[[4, 1]], other.ebv)
    np.testing.assert_array_equal(cutouts.target_xy[[4, 1]], other.target_xy)
    np.testing.assert_array_equal(cutouts.provenance["run"][[4, 1]], other.provenance["run"])
    np.testing.assert_array_equal(cutouts.flags[[4, 1]], other.flags)
    np.testing.assert_array_equal(cutouts.ids, before.ids)
    np.testing.assert_array_equal(cutouts.coord.ra, before.coord.ra)


@pytest.mark.parametrize(("size", "window"), [(107, slice(21, 85)), (64, slice(0, 64)), (80, slice(8, 72))])
def test_crop_keeps_the_target(size, window):
    """Published stamps of 107 pixels have the target at 53, and their authors cut [21:85]."""
    cutouts = make_cutouts(3, size=size)
    part = cutouts.crop(64)
    np.testing.assert_array_equal(part.flux, cutouts.flux[:, :, window, window])
    np.testing.assert_array_equal(part.target_xy, cutouts.target_xy - window.start)
    np.testing.assert_array_equal(part.flags, cutouts.flags)
    assert np.abs(part.target_xy - 31.5).max() <= 1


@pytest.mark.parametrize("size", [63, 81])
def test_crop_to_what_is_not_there(size):
    with pytest.raises(ValueError, match=f"size must lie between 64 and 80.*got {size}"):
        make_cutouts(2, size=80).crop(size)


# Files


def test_float32_file_gives_back_every_bit(tmp_path):
    cutouts = make_cutouts()
    cutouts.write(tmp_path / "stamps.h5")
    assert_same(Cutouts.read(tmp_path / "stamps.h5"), cutouts)
    assert [path.name for path in tmp_path.iterdir()] == ["stamps.h5"]


def test_float16_file_rounds(tmp_path):
    cutouts = make_cutouts()
    cutouts.write(tmp_path / "stamps.h5", dtype="float16")
    back = Cutouts.read(tmp_path / "stamps.h5")
    assert back.flux.dtype == np.float32
    assert_same(back, cutouts, rtol=5e-4)
    with h5py.File(tmp_path / "stamps.h5") as file:
        assert file["images"].dtype == np.float16


def test_float16_file_of_a_very_bright_star(tmp_path):
    """What is too bright for the format stays bright, and is not lost."""
    flux = make_flux()
    flux[1, 2, 30:33, 30:33] = 1e6
    Cutouts(flux, ebv=0.1).write(tmp_path / "stamps.h5", dtype="float16")
    back = Cutouts.read(tmp_path / "stamps.h5").flux
    assert np.isfinite(back).all()
    assert np.all(back[1, 2, 30:33, 30:33] > 6e4)


def test_layout_is_the_published_one(tmp_path):
    cutouts = make_cutouts()
    cutouts.write(tmp_path / "stamps.h5", specz_redshift=np.linspace(0, 0.4, 5))
    with h5py.File(tmp_path / "stamps.h5") as file:
        assert file["images"].shape == (5, 5, 64, 64)
        assert file["images"].chunks == (1, 5, 64, 64)
        expected = np.outer(cutouts.ebv, [5.155, 3.793, 2.751, 2.086, 1.479])
        np.testing.assert_allclose(file["e_bv"][()], expected, rtol=1e-6)
        np.testing.assert_allclose(file["ra"][()], cutouts.coord.ra.deg, rtol=1e-12)
        np.testing.assert_allclose(file["dec"][()], cutouts.coord.dec.deg, rtol=1e-12)
        np.testing.assert_array_equal(file["ObjID"][()], cutouts.ids)
        np.testing.assert_array_equal(file["specz_redshift"][()], np.linspace(0, 0.4, 5))


def write_published(path, *, n=6):
    """A file as the authors of the method publish it, and its images and E(B-V)."""
    rng = np.random.default_rng(2)
    images = rng.normal(0, 0.1, (n, 5, 107, 107)).astype(np.float32)
    ebv = rng.uniform(0.01, 0.3, n)
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["e_bv"] = extinction_from_ebv(ebv, coefficients="DR12")
        file["ra"] = np.linspace(10, 20, n)
        file["dec"] = np.linspace(-5, 5, n)
        file["ObjID"] = 1237653651835781245 + np.arange(n)
        file["specObjID"] = np.arange(n)
        file["specz_redshift"] = rng.uniform(0, 0.4, n)
        file["specz_redshift_err"] = np.full(n, 1e-5)
    return images, ebv


def test_published_file(tmp_path):
    images, ebv = write_published(tmp_path / "published.h5")
    cutouts = Cutouts.read(tmp_path / "published.h5")
    np.testing.assert_array_equal(cutouts.flux, images)
    np.testing.assert_allclose(cutouts.ebv, ebv, rtol=1e-5)
    np.testing.assert_allclose(cutouts.coord.ra.deg, np.linspace(10, 20, 6))
    np.testing.assert_array_equal(cutouts.ids, 1237653651835781245 + np.arange(6))
    np.testing.assert_array_equal(cutouts.target_xy, 53)
    np.testing.assert_array_equal(cutouts.crop(64).flux, images[:, :, 21:85, 21:85])


def test_file_of_images_and_reddening_only(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["images"] = make_flux(2)
        file["e_bv"] = extinction_from_ebv([0.1, 0.2], coefficients="DR12")
    cutouts = Cutouts.read(tmp_path / "bare.h5")
    assert cutouts.coord is None
    np.testing.assert_array_equal(cutouts.ids, [0, 1])
    assert np.isnan(cutouts.psf_fwhm).all()


@pytest.mark.parametrize(
    "rows", [[1], [3, 0, 2], [2, 2], [-1], [], np.array([True, False, True, False, False]), slice(1, 3)], ids=str
)
def test_reading_some_rows(tmp_path, rows):
    cutouts = make_cutouts()
    cutouts.write(tmp_path / "stamps.h5")
    assert_same(Cutouts.read(tmp_path / "stamps.h5", rows=rows), cutouts[rows])


def test_reading_rows_that_are_not_there(tmp_path):
    make_cutouts().write(tmp_path / "stamps.h5")
    with pytest.raises(IndexError, match="7 is out of bounds"):
        Cutouts.read(tmp_path / "stamps.h5", rows=[7])


@pytest.mark.parametrize("ids", [["J1000+02", "NGC 1234", "é"], [b"a", b"bb", b"ccc"], [3, 1, 2]])
def test_names_of_any_kind(tmp_path, ids):
    Cutouts(make_flux(3), ebv=0.1, ids=np.array(ids)).write(tmp_path / "stamps.h5")
    back = Cutouts.read(tmp_path / "stamps.h5").ids
    assert back.tolist() == [name.decode() if isinstance(name, bytes) else name for name in ids]


@pytest.mark.parametrize("names", [None, np.zeros(0, dtype="U5")])
def test_file_of_no_galaxies(tmp_path, names):
    nowhere = SkyCoord([], [], unit="deg")
    Cutouts(np.zeros((0, 5, 64, 64)), ebv=[], coord=nowhere, ids=names).write(tmp_path / "none.h5", z=[])
    back = Cutouts.read(tmp_path / "none.h5")
    assert len(back) == len(back.coord) == 0


def test_unknown_position_and_reddening_survive(tmp_path):
    coord = SkyCoord([10.0, np.nan, 20.0], [1.0, np.nan, 2.0], unit="deg")
    Cutouts(make_flux(3), ebv=[0.1, 0.2, np.nan], coord=coord).write(tmp_path / "stamps.h5")
    back = Cutouts.read(tmp_path / "stamps.h5")
    np.testing.assert_array_equal(np.isnan(back.coord.ra), [False, True, False])
    np.testing.assert_allclose(back.ebv, [0.1, 0.2, np.nan], rtol=1e-5)


def test_other_frames_are_written_in_icrs(tmp_path):
    cutouts = make_cutouts(3)
    cutouts.coord = cutouts.coord.galactic
    cutouts.write(tmp_path / "stamps.h5")
    assert Cutouts.read(tmp_path / "stamps.h5").coord.separation(cutouts.coord).max() < 1e-6 * u.arcsec


@pytest.mark.parametrize("name", ["images", "e_bv"])
def test_missing_data_set(tmp_path, name):
    make_cutouts().write(tmp_path / "stamps.h5")
    with h5py.File(tmp_path / "stamps.h5", "a") as file:
        del file[name]
    with pytest.raises(ValueError, match=rf"stamps\.h5 lacks the data set {name}; it needs images, e_bv and has .*ra"):
        Cutouts.read(tmp_path / "stamps.h5")


def test_file_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.h5"):
        Cutouts.read(tmp_path / "nothing.h5")
    (tmp_path / "page.h5").write_text("<html>503 Service Unavailable</html>")
    with pytest.raises(OSError, match=r"page\.h5 is not an HDF5 file"):
        Cutouts.read(tmp_path / "page.h5")


def test_file_that_is_there_stays_unless_told(tmp_path):
    path = tmp_path / "stamps.h5"
    first, second = make_cutouts(2), make_cutouts(3, seed=7)
    first.write(path)
    with pytest.raises(FileExistsError, match=r"stamps\.h5 exists.*overwrite=True"):
        second.write(path)
    assert_same(Cutouts.read(path), first)
    second.write(path, overwrite=True)
    assert_same(Cutouts.read(path), second)


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_dtype_that_is_not_written(tmp_path, dtype):
    with pytest.raises(ValueError, match=f"dtype must be 'float16' or 'float32', got '{dtype}'"):
        make_cutouts().write(tmp_path / "stamps.h5", dtype=dtype)


# Files written batch by batch


def test_batches_make_one_file(tmp_path):
    cutouts = make_cutouts(5)
    with CutoutWriter(tmp_path / "stamps.h5", 5, dtype="float32", attributes={"simulated": True}) as writer:
        for part in (cutouts[:2], cutouts[2:2], cutouts[2:]):
            writer.append(part, specz_redshift=part.ids / 1e19, photometry=part.psf_fwhm)
            assert not (tmp_path / "stamps.h5").exists()
    assert_same(Cutouts.read(tmp_path / "stamps.h5"), cutouts)
    with h5py.File(tmp_path / "stamps.h5") as file:
        np.testing.assert_allclose(file["specz_redshift"][()], cutouts.ids / 1e19)
        np.testing.assert_array_equal(file["photometry"][()], cutouts.psf_fwhm)
        assert file.attrs["simulated"]
        assert file.attrs["bands"] == "ugriz"


def write_too_much(writer, cutouts):
    writer.append(cutouts)
    writer.append(cutouts)


def write_too_little(writer, cutouts):
    writer.append(cutouts[:2])


def write_another_size(writer, cutouts):
    writer.append(make_cutouts(3, size=80))


def write_short_column(writer, cutouts):
    writer.append(cutouts, z=[0.1])


def write_scalar_column(writer, cutouts):
    writer.append(cutouts, z=0.1)


def forget_column(writer, cutouts):
    writer.append(cutouts[:1], z=[0.1])
    writer.append(cutouts[1:])


def bring_column_late(writer, cutouts):
    writer.append(cutouts[:1])
    writer.append(cutouts[1:], z=[0.1, 0.2])


def forget_column_after_none(writer, cutouts):
    writer.append(cutouts[:0], z=[])
    writer.append(cutouts)


def write_twice(writer, cutouts):
    writer.write(np.array([0, 1]), cutouts[:2])
    writer.write(np.array([2, 1]), cutouts[:2])


def forget_positions(writer, cutouts):
    writer.append(cutouts[:1])
    writer.append(Cutouts(cutouts.flux[1:], ebv=0.1))


MISTAKES = {
    write_too_much: "opened for 3 stamps; 6 do not fit",
    write_too_little: "opened for 3 stamps, but 2 were written",
    write_another_size: "opened for stamps of 64 pixels, got 80",
    write_short_column: r"z must have a row for each of the 3 stamps, got the shape \(1,\)",
    write_scalar_column: r"z must have a row for each of the 3 stamps, got the shape \(\)",
    forget_column: "each call must give the same columns.*: z",
    bring_column_late: "each call must give the same columns.*: z",
    forget_column_after_none: "each call must give the same columns.*: z",
    write_twice: "rows must be others than those written, one for each of the 2 stamps",
    forget_positions: "each call must give the same columns.*: dec, ra",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
@pytest.mark.parametrize("there_before", [False, True])
def test_nothing_half_written_under_the_final_name(tmp_path, mistake, there_before):
    path = tmp_path / "stamps.h5"
    if there_before:
        path.write_bytes(b"as it was")
    with (
        pytest.raises(ValueError, match=MISTAKES[mistake]),
        CutoutWriter(path, 3, dtype="float32", overwrite=True) as writer,
    ):
        mistake(writer, make_cutouts(3))
    assert [file.name for file in tmp_path.iterdir()] == ["stamps.h5"] * there_before
    assert not there_before or path.read_bytes() == b"as it was"


def test_who_writes_the_same_file_at_once_does_no_harm(tmp_path):
    """What appears while a file is written stays, and the file is beside it, whole."""
    path, one, other = tmp_path / "stamps.h5", make_cutouts(3, seed=1), make_cutouts(3, seed=2)

    def write_both():
        with CutoutWriter(path, 3, dtype="float32") as first:
            first.append(one[:1])
            with CutoutWriter(path, 3, dtype="float32", overwrite=True) as second:
                second.append(other)
            first.append(one[1:])

    with pytest.raises(FileExistsError, match="appeared meanwhile"):
        write_both()
    assert_same(Cutouts.read(path), other)
    assert_same(Cutouts.read(tmp_path / "stamps-2.h5"), one)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stamps-2.h5", "stamps.h5"]


def test_a_full_disk_is_told_before_the_work_and_leaves_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match=r"no room for .*stamps.h5 \(File too large\): make some"):
            CutoutWriter(tmp_path / "stamps.h5", 1000).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_simulated_images_never_become_real_ones(tmp_path):
    """Read, cropped, sorted, put among others, fetched and written once more, what is simulated says so."""
    both = make_cutouts(6)
    real, simulated = both[:3], both[3:]
    simulated.simulated = True
    mixed = Cutouts.blank(6, coord=both.coord)
    mixed[3:] = real
    assert not mixed.simulated
    mixed[:3] = simulated[::-1].crop(64)
    mixed.write(tmp_path / "mixed.h5")
    with CutoutWriter(tmp_path / "batches.h5", 6) as writer:
        writer.append(real)
        writer.append(simulated)
    real.write(tmp_path / "real.h5")
    for name, expected in (("mixed", True), ("batches", True), ("real", False)):
        stored = Cutouts.read(tmp_path / f"{name}.h5")
        assert stored.simulated is expected
        assert fetch(stored.coord, source=CutoutFile(tmp_path / f"{name}.h5")).simulated is expected


@pytest.mark.parametrize("spelling", ["nmgy", "nanomaggy", "nanomaggies", "nMgy", "1e-9 mgy", None])
def test_units_as_files_of_the_survey_spell_them(tmp_path, spelling):
    make_cutouts(3).write(tmp_path / "stamps.h5", catalog_flux=Column(np.full((3, 5), 7.0), unit=spelling))
    with h5py.File(tmp_path / "stamps.h5") as file:
        np.testing.assert_allclose(file["catalog_flux"], 7)


def test_columns_are_written_as_they_are_meant(tmp_path):
    """What is masked is NaN, whatever lies beneath; numbers are in the units of the layout; names keep their length."""
    redshift = MaskedColumn([0.1, 0.0, 0.3], mask=[False, True, False])
    columns = {
        "specz_redshift": redshift,
        "catalog_radius": Masked(np.full(3, 0.05) * u.arcmin, mask=[True, False, False]),
        "catalog_flux": np.ones((3, 5)) * u.mgy,
        "name": np.array([b"a", b"bc", b"def"]),
    }
    with CutoutWriter(tmp_path / "stamps.h5", 6) as writer:
        for _ in range(2):
            writer.append(make_cutouts(3), **columns)
    with h5py.File(tmp_path / "stamps.h5") as file:
        np.testing.assert_array_equal(file["specz_redshift"][:3], [0.1, np.nan, 0.3])
        np.testing.assert_allclose(file["catalog_radius"][3:], [np.nan, 3, 3])
        np.testing.assert_allclose(file["catalog_flux"], 1e9)
        assert file["name"].asstr()[:3].tolist() == ["a", "bc", "def"]


def test_a_column_of_pandas_is_an_array(tmp_path):
    """Whose ``mask`` is a method, and says nothing of its values."""

    class Series:
        def __array__(self, dtype=None, copy=None):
            return np.array([0.1, 0.2, 0.3], dtype=dtype)

        def mask(self):
            raise AssertionError

    make_cutouts(3).write(tmp_path / "stamps.h5", specz_redshift=Series())
    with h5py.File(tmp_path / "stamps.h5") as file:
        np.testing.assert_array_equal(file["specz_redshift"], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"visits": np.ma.array([1, 2, 3], mask=[0, 1, 0])},
            "has masked values, for which int64 has no number",
        ),
        ({"catalog_radius": np.ones(3) * u.s}, "catalog_radius has the unit s, which does not convert to arcsec"),
        (
            {"catalog_flux": Column(np.ones((3, 5)), unit="count-ish")},
            "catalog_flux has the unit count-ish, which does not convert to nmgy",
        ),
    ],
)
def test_columns_that_cannot_be_written_as_meant(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        make_cutouts(3).write(tmp_path / "stamps.h5", **columns)
    assert not list(tmp_path.iterdir())


def test_a_column_has_one_type(tmp_path):
    """Values that happen to be whole at first are not cut off later."""
    with CutoutWriter(tmp_path / "stamps.h5", 2) as writer:
        writer.append(make_cutouts(1), mass=[10], specz_redshift=[0])
        with pytest.raises(ValueError, match="mass was int64 in the first call and is float64"):
            writer.append(make_cutouts(1), mass=[10.1], specz_redshift=[0.1])
        writer.append(make_cutouts(1), mass=[11], specz_redshift=[0.1])


def interrupt(writer):
    writer.append(make_cutouts(2))
    raise KeyboardInterrupt


def test_interrupted_writing_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), CutoutWriter(tmp_path / "stamps.h5", 3) as writer:
        interrupt(writer)
    assert not list(tmp_path.iterdir())


def test_an_open_file_is_looked_through_once(tmp_path, monkeypatch):
    """To find what was never written takes as long as the file has rows: not for each batch of a million."""
    gaussian_cutouts(12).write(tmp_path / "stamps.h5", specz_redshift=np.linspace(0.1, 0.2, 12))
    asked = []
    whole = layout.unwritten_rows
    monkeypatch.setattr(
        layout, "unwritten_rows", lambda dataset, **options: asked.append(dataset.name) or whole(dataset, **options)
    )
    with layout.open_cutouts(tmp_path / "stamps.h5") as file:
        parts = [read_rows(file, np.arange(start, start + 3)) for start in range(0, 12, 3)]
    assert sum(map(len, parts)) == 12
    assert "/images" in asked
    assert len(asked) == len(set(asked))
