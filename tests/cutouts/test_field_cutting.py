# Licensed under a 3-clause BSD style license - see LICENSE
"""Stamps are cut field by field: in which order, with how much in memory, and how near to the edges of frames."""

import threading
import time
import warnings
from concurrent.futures import CancelledError

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts.frames import Frame, FrameError
from astro_photz.cutouts.sources._field_cutting import FieldTask, Targets, cut_fields, plan_tasks
from astro_photz.cutouts.sources._frame_store import FrameStore
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.cutouts.sources.directory import FrameDirectory
from astro_photz.flags import PhotozFlag
from astro_photz.positions import Positions, read_positions
from astro_photz.sdss import FieldID
from astro_photz.testing.loopback import LoopbackArchive
from astro_photz.testing.source_contract import FIELD, GEOMETRY, check_source
from astro_photz.testing.synthetic_frames import make_field, make_run, write_field
from astro_photz.testing.synthetic_sky import SHAPE, Galaxy

FLUX = (4.0, 15.0, 35.0, 52.0, 70.0)
FIELDS = [FieldID(4207, 301, 3, number) for number in range(1, 9)]
A, B, C, D = FIELDS[:4]


def galaxy_at(x, y):
    return Galaxy(*GEOMETRY.sky(x, y), flux=FLUX)


# Frames in memory


class Store:
    """A store of frames of so many pixels each, the limit in pixels, and the fields that were loaded."""

    def __init__(self, tasks, *, limit, pixels=None):
        self.pixels = pixels or {}
        self.loaded, self.coords = [], []
        coord = SkyCoord(np.arange(10.0), np.zeros(10), unit=u.deg)
        self.store = FrameStore(self._load, tasks=tasks, coord=coord, max_bytes=4 * limit)
        self.tasks = tasks

    def _load(self, field_id, band, coord):
        self.loaded.append(field_id)
        self.coords.append(coord)
        n_pixels = self.pixels.get(field_id, 1)
        if not n_pixels:
            raise FrameError(f"no frame of {field_id}")
        return Frame(np.zeros((1, n_pixels), dtype=np.float32), None, simulated=False)

    def get(self, *field_ids):
        """Ask for frames in turn; the fields that had to be loaded for it."""
        before = len(self.loaded)
        for field_id in field_ids:
            self.store.get(field_id, "r")
        return self.loaded[before:]


def tasks_of(*field_ids, fillers=None):
    """A task for each field, with the fields that its one row borrows from."""
    return [FieldTask(f, np.array([row]), {row: (fillers or {}).get(f, [])}) for row, f in enumerate(field_ids)]


def test_frames_up_to_the_limit_stay_in_memory():
    store = Store(tasks_of(A, B, C), limit=2)
    assert store.get(A, B) == [A, B]
    assert store.get(A, B, A) == []


def test_the_frame_that_was_not_used_for_longest_goes_first():
    store = Store(tasks_of(A, B, C), limit=2)
    store.get(A, B, A, C)
    assert store.get(A, C) == []
    assert store.get(B) == [B]


def test_no_more_frames_go_than_must():
    store = Store(tasks_of(A, B, C, D), limit=4, pixels={D: 2})
    store.get(A, B, C, D)  # one pixel too many
    assert store.get(B, C, D) == []
    assert store.get(A) == [A]


def test_a_large_frame_drives_out_several():
    store = Store(tasks_of(A, B, C, D), limit=4, pixels={D: 3})
    store.get(A, B, C, D)
    assert store.get(C, D) == []
    assert store.get(A, B) == [A, B]


def test_a_frame_beyond_the_limit_is_given_all_the_same():
    store = Store(tasks_of(A, B), limit=1, pixels={A: 3})
    assert store.store.get(A, "r").image.size == 3
    assert store.get(A) == [A]


def test_frames_go_with_the_last_task_that_needs_them():
    store = Store(tasks_of(A, B, fillers={A: [C], B: [C]}), limit=9)
    store.get(A, B, C)
    store.store.release(store.tasks[0])
    assert store.get(B, C) == []
    assert store.get(A) == [A]
    store.store.release(store.tasks[1])
    assert store.get(B, C) == [B, C]


def test_a_frame_that_cannot_be_had_is_tried_once():
    store = Store(tasks_of(A, B, C), limit=2, pixels={A: 0})
    for _ in range(2):
        with pytest.raises(FrameError, match="no frame"):
            store.get(A)
    store.get(B, C)
    assert store.loaded == [A, B, C]
    with pytest.raises(FrameError, match="no frame"):  # it takes no room
        store.get(A)
    assert store.get(B, C) == []
    assert store.loaded == [A, B, C]


def test_a_frame_is_read_for_all_galaxies_that_may_need_it():
    store = Store(tasks_of(A, B, C, fillers={B: [A]}), limit=9)
    store.get(A, B)
    assert [coord.ra.deg.tolist() for coord in store.coords] == [[0.0, 1.0], [1.0]]


def test_bands_are_frames_of_their_own():
    store = Store(tasks_of(A), limit=9)
    assert store.store.get(A, "r") is not store.store.get(A, "g")
    assert store.loaded == [A, A]


def test_a_store_that_is_closed_gives_nothing():
    store = Store(tasks_of(A, B), limit=9)
    store.get(A)
    store.store.close()
    with pytest.raises(CancelledError):
        store.get(A)


def test_a_frame_is_loaded_by_one_thread():
    store = Store(tasks_of(A), limit=9)
    load, begun = store._load, threading.Event()

    def slowly(*arguments):
        begun.set()
        time.sleep(0.2)
        return load(*arguments)

    slow = FrameStore(slowly, tasks=store.tasks, coord=SkyCoord([0.0], [0.0], unit=u.deg), max_bytes=99)
    frames = []
    threads = [threading.Thread(target=lambda: frames.append(slow.get(A, "r"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun.is_set()
    assert store.loaded == [A]
    assert frames[0] is frames[1] is frames[2]


# The order of fields


def order_of(tasks):
    return [task.field_id for task in tasks]


def test_fields_come_in_order_where_none_shares_frames():
    assert order_of(plan_tasks({0: C, 1: A, 2: B}, {})) == [A, B, C]


def test_fields_that_share_frames_come_one_after_the_other():
    """The nearest in number first, and each with all that hang on it before the next."""
    fields = {0: A, 1: B, 2: C, 3: D, 4: FIELDS[4]}
    assert order_of(plan_tasks(fields, {0: [D]})) == [A, D, B, C, FIELDS[4]]
    assert order_of(plan_tasks(fields, {3: [A]})) == [A, D, B, C, FIELDS[4]]  # whoever borrows
    assert order_of(plan_tasks(fields, {0: [D, C], 2: [FIELDS[4]]})) == [A, C, FIELDS[4], D, B]


def test_fields_without_a_galaxy_link_others_and_have_no_task():
    assert order_of(plan_tasks({0: A, 1: B, 2: C}, {0: [D], 2: [D]})) == [A, C, B]


def test_tasks_are_of_256_galaxies_at_most():
    tasks = plan_tasks(dict.fromkeys(range(600), A), {5: [B], 300: [C]})
    assert [len(task.rows) for task in tasks] == [256, 256, 88]
    assert np.concatenate([task.rows for task in tasks]).tolist() == list(range(600))
    assert [task.fillers for task in tasks] == [{5: [B]}, {300: [C]}, {}]
    assert [task.fields for task in tasks] == [{A, B}, {A, C}, {A}]


# Work ahead, and its end


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_fields_are_begun_than_there_are_threads(threads):
    begun = set()

    def load(field_id, band, coord):
        begun.add(field_id)
        raise FrameError(f"no {field_id}")

    n = len(FIELDS)
    targets = Targets(
        SkyCoord(np.zeros(n), np.zeros(n), unit=u.deg), np.zeros(n), np.full((n, 5), np.nan), data_release=-1
    )
    tasks = plan_tasks(dict(enumerate(FIELDS)), {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        batches = cut_fields(tasks, targets, load=load, size=64, threads=threads, max_bytes=0)
        first = next(batches)
        time.sleep(0.1)
        assert len(begun) <= (1 if threads == 1 else threads + 1)
        assert [first.rows.tolist(), *(batch.rows.tolist() for batch in batches)] == [[row] for row in range(n)]
    assert begun == set(FIELDS)


def test_a_frame_that_cannot_be_had_is_told_once():
    def load(field_id, band, coord):
        raise FrameError("frames could not be had")

    targets = Targets(SkyCoord([0.0, 1.0], [0.0, 0.0], unit=u.deg), np.zeros(2), np.full((2, 5), np.nan), -1)
    with pytest.warns(AstropyUserWarning, match="could not be had") as told:
        batches = list(cut_fields(tasks_of(A, B), targets, load=load, size=64, threads=1, max_bytes=0))
    assert len(told) == 1
    assert [batch.cutouts.flags.tolist() for batch in batches] == [[PhotozFlag.NO_IMAGE]] * 2


# Near an edge


@pytest.mark.parametrize("archive", [False, True])
def test_a_stamp_whose_other_bands_reach_beyond_their_frames_is_whole(tmp_path, archive, monkeypatch):
    """At row 158 of 200 the stamp ends in row 190 of r, and 10 rows farther on in g."""
    monkeypatch.setattr("astro_photz.sdss.FRAME_SHAPE", SHAPE)
    rows = (145.0, 150.0, 155.0, 158.0, 159.0)  # of the first field; from 160 on the second holds them more centrally
    galaxies = [galaxy_at(40 + 40 * k, row) for k, row in enumerate(rows)]
    fields = make_run(FIELD, GEOMETRY, galaxies, n_fields=2, noise=False)
    positions = Positions(SkyCoord([(g.ra, g.dec) for g in galaxies], unit=u.deg), ebv=np.full(5, 0.05, np.float32))
    if archive:
        with LoopbackArchive.of(fields, galaxies):
            cutouts = check_source(SDSSArchive(timeout=5), Positions(positions.coord))
    else:
        for field in fields:
            write_field(tmp_path, field)
        cutouts = check_source(FrameDirectory(tmp_path), positions)
    assert set(cutouts.provenance["field"]) == {FIELD.field}
    assert np.isfinite(cutouts.flux).all()
    assert not cutouts.flags.any()


def test_a_target_outside_its_frame_has_no_match():
    """Half a pixel decides, at each of the four edges."""
    rows, columns = SHAPE
    inside = [(-0.4, 99.0), (columns - 0.6, 99.0), (99.0, -0.4), (99.0, rows - 0.6)]
    outside = [(-0.6, 99.0), (columns - 0.4, 99.0), (99.0, -0.6), (99.0, rows - 0.4)]
    places = [place for pair in zip(inside, outside, strict=True) for place in pair]
    table = Table(rows=[GEOMETRY.sky(*place) for place in places], names=("ra", "dec"))
    for name, value in zip(FIELD._fields, FIELD, strict=True):
        table[name] = value
    table["ebv"] = 0.05
    with LoopbackArchive.of([make_field(FIELD, GEOMETRY, [galaxy_at(99, 99)], noise=True)], [galaxy_at(99, 99)]):
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    assert cutouts.flags.tolist() == [PhotozFlag.PARTIAL, PhotozFlag.NO_MATCH] * 4
    seen = np.isfinite(cutouts.flux).any(axis=(1, 2, 3))
    assert seen.tolist() == [True, False] * 4
