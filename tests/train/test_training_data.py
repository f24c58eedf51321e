# Licensed under a 3-clause BSD style license - see LICENSE
"""Stamps for training: read as they were written, in an order that can be taken up again, and checked beforehand."""

import hashlib
import os
import pickle

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from lightning.pytorch.callbacks import ModelCheckpoint

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.data.checks import check_stamps
from astro_photz.train.data.loader import StampData, loader
from astro_photz.train.data.stamps import Stamps

N = 24
EBV = np.linspace(0, 0.1, N)
REDSHIFT = np.linspace(0.05, 0.3, N)


def make_cutouts(n=N, *, size=68):
    return gaussian_cutouts(n, size=size, ebv=EBV[:n])


def write_stamps(path, *, n=N, size=68, redshift=REDSHIFT, flux=None):
    """A file as `Cutouts.write` makes them; the pixels changed by a function, if wanted."""
    cutouts = make_cutouts(n, size=size)
    if flux is not None:
        flux(cutouts.flux)
    cutouts.write(path, **({} if redshift is None else {"specz_redshift": redshift[:n]}))
    return path


def rewrite_images(path, **options):
    """Store the images otherwise."""
    with h5py.File(path, "r+") as file:
        images = file["images"][()]
        del file["images"]
        file.create_dataset("images", data=images.astype(options.pop("dtype", images.dtype)), **options)
    return path


LAYOUTS = {
    "a row a chunk": {"chunks": (1, 5, 68, 68)},
    "in one piece": {},
    "float16": {"dtype": "f2", "chunks": (1, 5, 68, 68)},
    "big-endian": {"dtype": ">f4"},
    "compressed": {"chunks": (1, 5, 68, 68), "compression": "lzf"},
    "several rows a chunk": {"chunks": (4, 5, 34, 68)},
}
MAPPED = {"a row a chunk", "in one piece", "float16", "big-endian"}


# Reading


def test_a_catalogue_goes_along_with_its_stamps(tmp_path):
    path = tmp_path / "stamps.h5"
    flux, radius = np.arange(5 * N, dtype=float).reshape(N, 5) + 1, np.linspace(1, 3, N)
    make_cutouts().write(path, catalog_flux=flux, catalog_radius=radius)
    stamps = Stamps(path, labelled=False, photometry=True, n=6, seed=1)
    batch = stamps.__getitems__([4, 2])
    np.testing.assert_allclose(batch["catalog_flux"], flux[stamps.rows[[4, 2]]])
    np.testing.assert_allclose(batch["catalog_radius"], radius[stamps.rows[[4, 2]]])
    assert "catalog_flux" not in Stamps(path, labelled=False)[0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"catalog_flux": np.ones((N, 5))}, r"lacks the data set catalog_radius"),
        ({"catalog_flux": np.ones((N, 4)), "catalog_radius": np.ones(N)}, r"catalog_flux must have the shape"),
        ({"catalog_flux": np.ones((N, 5)), "catalog_radius": -np.ones(N)}, r"catalog_radius has no positive number"),
    ],
)
def test_a_catalogue_that_is_none_is_refused(tmp_path, columns, message):
    make_cutouts().write(tmp_path / "stamps.h5")
    with h5py.File(tmp_path / "stamps.h5", "r+") as file:
        file.update(columns)
    with pytest.raises(ValueError, match=message):
        Stamps(tmp_path / "stamps.h5", labelled=False, photometry=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_what_was_written(tmp_path, layout):
    path = rewrite_images(write_stamps(tmp_path / "stamps.h5"), **LAYOUTS[layout])
    stamps = Stamps(path)
    batch = stamps.__getitems__([7, 3, 20, 3])
    written = make_cutouts().flux[[7, 3, 20, 3]]
    assert batch["flux"].dtype == (torch.float16 if layout == "float16" else torch.float32)
    np.testing.assert_array_equal(batch["flux"], written.astype("f2") if layout == "float16" else written)
    np.testing.assert_allclose(batch["redshift"], REDSHIFT[[7, 3, 20, 3]], rtol=1e-6)
    np.testing.assert_allclose(batch["ebv"], EBV[[7, 3, 20, 3]], atol=1e-6)
    assert batch["row"].tolist() == [7, 3, 20, 3]
    assert stamps.mapped == (layout in MAPPED)


@pytest.mark.parametrize("options", [{}, {"in_memory": True}, {"workers": 2}], ids=str)
def test_batches_keep_images_and_redshifts_together(tmp_path, options):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"), in_memory=options.pop("in_memory", False))
    stamps[0]  # the file is open already when processes are made
    rows = []
    for batch in loader(stamps, batch_size=4, shuffle=True, seed=1, **options):
        rows += batch["row"].tolist()
        np.testing.assert_array_equal(batch["flux"], make_cutouts().flux[batch["row"]])
        np.testing.assert_allclose(batch["redshift"], REDSHIFT[batch["row"]], rtol=1e-6)
    assert sorted(rows) == list(range(N))
    assert rows != sorted(rows)


def test_one_stamp_is_a_batch_without_its_axis(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"))
    assert stamps[3]["flux"].shape == (5, 68, 68)
    assert int(stamps[3]["row"]) == 3


def test_stamps_can_be_sent_to_another_process(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"))
    before = stamps[5]["flux"]
    content = pickle.dumps(stamps)
    assert len(content) < 20_000  # the images stay where they are
    torch.testing.assert_close(pickle.loads(content)[5]["flux"], before)


def test_without_labels_none_are_needed(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5", redshift=None), labelled=False)
    assert set(stamps[0]) == {"flux", "ebv", "row"}


def test_fewer_labels_are_part_of_more(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    few, more, other = Stamps(path, n=6, seed=1), Stamps(path, n=12, seed=1), Stamps(path, n=12, seed=2)
    assert few.rows.tolist() == more.rows[:6].tolist()
    assert set(more.rows) != set(other.rows)
    np.testing.assert_allclose(few.__getitems__([0, 1])["redshift"], REDSHIFT[few.rows[:2]], rtol=1e-6)
    np.testing.assert_array_equal(few[2]["flux"], make_cutouts().flux[few.rows[2]])
    with pytest.raises(ValueError, match=rf"n must be from 1 to the {N} galaxies of .*stamps.h5, got 25"):
        Stamps(path, n=25)


@pytest.mark.parametrize("seed", range(3))
def test_of_galaxies_drawn_from_one_real_one_all_or_none_are_held_out(tmp_path, seed):
    path = write_stamps(tmp_path / "stamps.h5")
    for real in (None, np.array([-1] * 6 + [3, 8, 5] * 6)):
        if real is not None:
            with h5py.File(path, "r+") as file:
                file["seed_index"] = real
        held, learn = (Stamps(path, held_out=8, learn=learn, seed=seed) for learn in (False, True))
        assert sorted([*held.rows, *learn.rows]) == list(range(N))
        assert 8 <= len(held) < 8 + (1 if real is None else 6)
        again = Stamps(path, held_out=len(held), learn=False, seed=seed)
        assert again.rows.tolist() == held.rows.tolist()
        if real is not None:
            assert not set(held.groups) & set(learn.groups)
    few = Stamps(path, n=3, held_out=8, seed=seed)
    assert few.rows.tolist() == learn.rows[:3].tolist()
    with pytest.raises(ValueError, match=r"n must be from 1 to the \d+ .*, besides \d+ that are held out, got 24"):
        Stamps(path, n=N, held_out=8, seed=seed)


def test_data_sets_have_a_row_for_each_image(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["seed_index"] = np.arange(N - 1)
    with pytest.raises(ValueError, match=r"seed_index must have the shape \(24,\).*got \(23,\)"):
        Stamps(path)


def test_the_last_stamps_are_validated_and_not_trained_on(tmp_path):
    """Batches of a training are whole; a validation leaves nothing out."""
    data = StampData(path := write_stamps(tmp_path / "stamps.h5"), validation=path, batch_size=7)
    assert [len(batch["row"]) for batch in data.train_dataloader()] == [7, 7, 7]
    assert [row for batch in data.val_dataloader() for row in batch["row"].tolist()] == list(range(N))


# Order


def rows_of(batches):
    return [batch["row"].tolist() for batch in batches]


def test_an_epoch_depends_on_seed_and_epoch_only(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"))
    first, again, other = (loader(stamps, batch_size=4, shuffle=True, seed=seed) for seed in (0, 0, 1))
    torch.manual_seed(3)
    zero = rows_of(first)
    assert zero == rows_of(first) == rows_of(again)
    assert zero != rows_of(other)
    for batches in (first, again):
        batches.sampler.set_epoch(1)
    assert zero != rows_of(first) == rows_of(again)


def test_an_epoch_is_taken_up_where_it_was_left(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"))
    whole = loader(stamps, batch_size=4, shuffle=True)
    expected = rows_of(whole)
    started = iter(whole)
    rows_of(next(started) for _ in range(2))
    resumed = loader(stamps, batch_size=4, shuffle=True)
    resumed.load_state_dict(whole.state_dict())
    assert rows_of(resumed) == expected[2:]
    assert rows_of(resumed) == expected  # the next time from the beginning


def test_processes_share_an_epoch(tmp_path):
    stamps = Stamps(write_stamps(tmp_path / "stamps.h5"))
    alone = rows_of(loader(stamps, batch_size=8, shuffle=True))
    shares = [rows_of(loader(stamps, batch_size=4, shuffle=True, rank=rank, n_processes=2)) for rank in (0, 1)]
    together = [set(first + second) for first, second in zip(*shares, strict=True)]
    assert together == [set(batch) for batch in alone]


class Listener(lightning.LightningModule):
    """Learns next to nothing, and remembers which rows it saw."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch, _):
        assert batch["flux"].dtype == torch.float32
        self.seen.append((self.current_epoch, batch["row"].tolist()))
        return self.layer(batch["ebv"][:, None]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def listen(path, checkpoints, *, workers=0, ckpt_path=None):
    """Train for three epochs of three batches, with a checkpoint after each batch."""
    model = Listener()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=3,
        callbacks=ModelCheckpoint(checkpoints, filename="{step}", every_n_train_steps=1, save_top_k=-1),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, StampData(path, batch_size=8, seed=3, workers=workers), ckpt_path=ckpt_path)
    return model.seen


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and loggers
def test_a_training_goes_on_with_the_very_next_batch(tmp_path):
    path = rewrite_images(write_stamps(tmp_path / "stamps.h5"), dtype="f2", chunks=(1, 5, 68, 68))
    whole = listen(path, tmp_path / "whole")
    assert len({str(rows) for _, rows in whole}) == 9  # each epoch in an order of its own
    for stopped, workers in ((1, 0), (3, 0), (5, 0), (6, 0), (4, 2)):
        last = tmp_path / "whole" / f"step={stopped}.ckpt"
        assert listen(path, tmp_path / "resumed", workers=workers, ckpt_path=last) == whole[stopped:], stopped


# Checks


def no_pixels(flux):
    flux[7] = np.nan


def some_pixels(flux):
    flux[7, 1:] = np.nan
    flux[8, :, 20:50, 20:50] = np.nan


def changed(row, value):
    redshift = REDSHIFT.copy()
    redshift[row] = value
    return redshift


@pytest.mark.parametrize(
    ("redshift", "message"),
    [
        (changed(7, np.nan), r"specz_redshift must be a number of 0 or more .* in 1 it is not, the first nan in row 7"),
        (changed(7, -0.1), r"specz_redshift must be a number of 0 or more .* in 1 it is not, the first -0.1 in row 7"),
        (changed(7, 0.41), r"specz_redshift must be within the redshift bins, up to 0.4 .* the first 0.41 in row 7"),
        (None, r"lacks the data set specz_redshift"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, redshift, message):
    path = write_stamps(tmp_path / "stamps.h5", redshift=redshift)
    with pytest.raises(ValueError, match=message):
        check_stamps(path)
    with pytest.raises(ValueError, match=message):
        StampData(path, batch_size=4)
    StampData(path, batch_size=4, labelled=False)  # which does not look at them


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_redshift_at_either_end_of_the_bins_is_within_them(tmp_path, value):
    path = write_stamps(tmp_path / "stamps.h5", redshift=changed(3, value))
    check_stamps(path)
    assert Stamps(path, z_max=0.4).redshift[3] == np.float32(value)
    beyond = changed(3, np.nextafter(np.float32(value), np.float32(9 * (value or -1))))
    with pytest.raises(ValueError, match=r"specz_redshift must be .* in row 3"):
        check_stamps(write_stamps(tmp_path / "beyond.h5", redshift=beyond))


@pytest.mark.parametrize("layout", ["a row a chunk", "compressed"])
@pytest.mark.parametrize("value", [np.nan, 0.0, 0.5, -0.25])
def test_stamps_without_an_image_are_refused(tmp_path, layout, value):
    path = rewrite_images(write_stamps(tmp_path / "stamps.h5", flux=no_pixels), **LAYOUTS[layout])
    with h5py.File(path, "r+") as file:
        file["images"][7] = value
    with pytest.raises(ValueError, match=r"1 stamps have no image, only NaN or a constant, the first in row 7"):
        check_stamps(path)
    with pytest.raises(ValueError, match=r"1 stamps have no image"):
        StampData(write_stamps(tmp_path / "good.h5"), validation=path, batch_size=4)


@pytest.mark.parametrize("value", [-9999.0, -99.0, 9999.0])
@pytest.mark.parametrize("band", [0, 4, slice(None)])
def test_stamps_filled_with_what_no_sky_has_are_refused(tmp_path, value, band):
    path = write_stamps(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["images"][7, band] = value
    with pytest.raises(
        ValueError, match="1 stamps have values that no sky has, such as -9999, the first in row 7: put"
    ):
        check_stamps(path)


def all_but_a_pixel(flux):
    flux[7] = np.nan
    flux[7, 4, 60, 3] = 0.1


@pytest.mark.parametrize("flux", [some_pixels, all_but_a_pixel])
def test_missing_pixels_are_no_harm(tmp_path, flux):
    path = write_stamps(tmp_path / "stamps.h5", flux=flux)
    check_stamps(path)
    stamps = Stamps(path)
    assert stamps.without_image().tolist() == []
    expected = make_cutouts().flux
    flux(expected)
    np.testing.assert_array_equal(stamps.__getitems__(list(range(N)))["flux"], expected)  # with the gaps they have
    assert StampData(path, batch_size=4).train_stamps.rows.tolist() == list(range(N))


def test_stamps_that_are_too_small_are_refused(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    check_stamps(path, size=68)
    with pytest.raises(ValueError, match=r"shape \(N, 5, S, S\) with S of 74 or more, got \(24, 5, 68, 68\)"):
        check_stamps(path, size=74)


def test_stamps_of_another_shape_are_refused(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        del file["images"]
        file["images"] = np.zeros((N, 3, 68, 68), "f4")
    with pytest.raises(ValueError, match=r"images must have the shape \(N, 5, S, S\)"):
        check_stamps(path)


def test_columns_of_another_length_are_refused(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        del file["specz_redshift"]
        file["specz_redshift"] = REDSHIFT[:-1]
    with pytest.raises(ValueError, match=r"specz_redshift must have the shape \(24,\).*got \(23,\)"):
        check_stamps(path)


def test_reddening_that_is_unknown_is_refused(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    with h5py.File(path, "r+") as file:
        file["e_bv"][4] = np.nan
    with pytest.raises(ValueError, match=r"e_bv must be known in every row; in 1 .* the first \[nan .* in row 4"):
        check_stamps(path, labelled=False)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.h5"):
        check_stamps(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(OSError, match=r"text\.h5 is not an HDF5 file"):
        check_stamps(tmp_path / "text.h5")


def test_fewer_galaxies_than_a_batch_are_refused(tmp_path):
    path = write_stamps(tmp_path / "stamps.h5")
    with pytest.raises(ValueError, match=r"batch_size must be at most the 24 galaxies, got 32"):
        StampData(path, batch_size=32)
    with pytest.raises(ValueError, match=r"at most the 12 galaxies of each of 2 processes, got 16"):
        StampData(path, batch_size=16, n_processes=2)


# Hash


def test_the_hash_of_a_small_file_is_not_kept(tmp_path):
    path = tmp_path / "stamps.h5"
    path.write_bytes(b"galaxies")
    assert data_hash(path) == hashlib.sha256(b"galaxies").hexdigest()
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_is_kept_beside_the_file_while_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("astro_photz.cutouts.hdf5.dataset._KEPT_FROM", 1)
    path = tmp_path / "stamps.h5"
    path.write_bytes(b"galaxies")
    assert data_hash(path) == hashlib.sha256(b"galaxies").hexdigest()
    (kept,) = set(tmp_path.iterdir()) - {path}
    assert data_hash(path) == kept.read_text()[:64]
    for seconds in (10, -1000):  # a copy may be older than what it replaces
        other = f"other galaxies, {seconds}".encode()
        when = path.stat().st_mtime + seconds
        path.write_bytes(other)
        os.utime(path, (when, when))
        assert data_hash(path) == hashlib.sha256(other).hexdigest()
    for torn in ("", kept.read_text()[:70], "0" * 64):
        kept.write_text(torn)
        assert data_hash(path) == hashlib.sha256(other).hexdigest()
    assert set(tmp_path.iterdir()) == {path, kept}


def test_a_folder_that_cannot_be_written_does_not_keep_the_hash(tmp_path, monkeypatch):
    path = tmp_path / "stamps.h5"
    path.write_bytes(b"galaxies")

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("astro_photz.cutouts.hdf5.dataset._KEPT_FROM", 1)
    monkeypatch.setattr(os, "replace", refuse)
    assert data_hash(path) == hashlib.sha256(b"galaxies").hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["stamps.h5"]
