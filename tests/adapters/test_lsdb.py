# Licensed under a 3-clause BSD style license - see LICENSE
"""Catalogues of dask and LSDB: the columns of predict, partition by partition, whoever computes them."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="needs the extra [scale]")
dd = pytest.importorskip("dask.dataframe", reason="needs the extra [scale]")
pd = pytest.importorskip("pandas")

import astro_photz
from astro_photz import PhotozFlag, RedshiftPDF, conf
from astro_photz.adapters.lsdb import predict_catalog
from astro_photz.models import ModelError

# LSDB 0.11 with pandas 3.1
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in:DeprecationWarning")

DEMO = astro_photz.demo_path()


@pytest.fixture(scope="module", autouse=True)
def one_after_the_other():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def galaxies():
    """Galaxies of the demonstration, one of them elsewhere, with an index and a number that is missing."""
    frame = astro_photz.CutoutFile(DEMO).catalog().to_pandas()
    frame.index = pd.Index(np.arange(24)[::-1] * 10, name="row")
    frame.loc[50, "ra"] += 1.0
    frame["seen"] = pd.array([None, *range(23)], dtype="Int64")
    return frame


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A catalogue of LSDB that was written as HATS and opened again, in several partitions."""
    lsdb = pytest.importorskip("lsdb", reason="needs the extra [scale]")
    frame = astro_photz.CutoutFile(DEMO).catalog().to_pandas()
    frame = frame[frame["ra"] > 150]
    path = tmp_path_factory.mktemp("hats") / "galaxies"
    catalog = lsdb.from_dataframe(frame, partition_rows=4, margin_threshold=None)
    catalog.write_catalog(path, progress_bar=False, should_write_skymap=False)
    return lsdb.open_catalog(path)


@pytest.fixture(scope="module")
def alone(sky):
    """The redshifts of that catalogue by this process."""
    return predict_catalog(sky, source=DEMO, pdf=True).compute(progress_bar=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    distributed = pytest.importorskip("distributed", reason="needs the extra [scale]")
    folder = str(tmp_path_factory.mktemp("dask"))
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(**options, local_directory=folder, silence_logs="CRITICAL") as workers,
        distributed.Client(workers) as client,
        dask.config.set(scheduler=client),
    ):
        yield client


def assert_same(frame, expected):
    """Compare frames to the bit."""
    pd.testing.assert_frame_equal(pd.DataFrame(frame), pd.DataFrame(expected), check_exact=True)


class Fatal:
    """A source whose first batch kills the process that reads it."""

    def __init__(self, path, trace):
        self.source, self.trace, self.name = astro_photz.CutoutFile(path), trace, "fatal"

    def batches(self, positions, *, size=64):
        if len(positions) and not os.path.exists(self.trace):
            with open(self.trace, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        yield from self.source.batches(positions, size=size)


class Watching:
    """A source that notes the settings."""

    name, seen = "watching", []  # of the class, since the object is pickled

    def batches(self, positions, *, size=64):
        self.seen.append((conf.inference_threads, conf.frame_cache))
        yield from astro_photz.CutoutFile(DEMO).batches(positions, size=size)


def test_a_frame_of_dask_gets_the_columns_of_predict(galaxies):
    expected = astro_photz.predict(galaxies, source=DEMO)
    lazy = predict_catalog(dd.from_pandas(galaxies, npartitions=1, sort=False), source=DEMO)
    frame = lazy.compute()
    assert_same(frame, expected)
    assert frame.attrs["z_phot"] == expected.attrs["z_phot"]
    assert (lazy.dtypes == frame.dtypes).all()


def test_partitions_keep_rows_order_and_index(galaxies):
    lazy = predict_catalog(dd.from_pandas(galaxies, npartitions=5, sort=False), source=DEMO, pdf=True)
    frame = lazy.compute()
    assert_same(frame[galaxies.columns], galaxies)
    expected = astro_photz.predict(galaxies, source=DEMO, pdf=True)
    assert_same(frame.drop(columns="z_phot_pdf"), expected.drop(columns="z_phot_pdf"))
    lost = frame.loc[50]
    assert np.isnan(lost["z_phot"])
    assert lost["z_phot_flags"] == PhotozFlag.NO_MATCH
    assert frame["z_phot_pdf"].isna().to_numpy().nonzero()[0].tolist() == [galaxies.index.get_loc(50)]
    pdf = RedshiftPDF.from_table(frame, edges=astro_photz.load_model().edges)
    np.testing.assert_array_equal(pdf.p, RedshiftPDF.from_table(expected).p)


def test_partitions_without_rows(galaxies):
    few = dd.from_pandas(galaxies, npartitions=6, sort=False)
    few = few[few["objid"] < 6]
    frame = predict_catalog(few, source=DEMO, pdf=True, analogues=2).compute()
    assert len(frame) == 5
    assert np.isfinite(frame["z_phot"]).all()
    assert all(len(ids) == 2 for ids in frame["z_phot_analogue_id"])
    nothing = predict_catalog(few[few["objid"] < 0], source=DEMO, pdf=True)
    assert (nothing.compute().dtypes == nothing.dtypes).all()


def test_an_earlier_run_is_replaced_when_asked(galaxies):
    frame = dd.from_pandas(galaxies, npartitions=2, sort=False)
    first = predict_catalog(frame, source=DEMO, pdf=True, prefix="z_1")
    with pytest.raises(ValueError, match="replace=True"):
        predict_catalog(first, source=DEMO, pdf=True, prefix="z_1")
    again = predict_catalog(first, source=DEMO, pdf=True, prefix="z_1", replace=True)
    assert list(again.columns) == list(first.columns)
    both = predict_catalog(first, source=DEMO, prefix="z_2").compute()
    np.testing.assert_array_equal(both["z_1"], both["z_2"])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"source": "nowhere"}, FileNotFoundError, "source='nowhere'"),
        ({"model": "nothing"}, ValueError, "no model 'nothing'"),
        ({"ra": "right", "dec": "dec"}, KeyError, "ra='right'"),
        ({"RA": "ra"}, TypeError, "takes no RA"),
        ({"progress": False}, TypeError, "takes no progress"),
        ({"prefix": ""}, ValueError, "prefix"),
        ({"analogues": -1}, ValueError, "analogues"),
    ],
)
def test_mistakes_show_before_anything_is_computed(galaxies, options, error, match):
    frame = dd.from_pandas(galaxies, npartitions=2, sort=False)
    with pytest.raises(error, match=match):
        predict_catalog(frame, **{"source": DEMO} | options)


def test_a_table_in_memory_is_for_predict(galaxies):
    for other in (galaxies, "sky_hats", None):
        with pytest.raises(TypeError, match=r"lsdb\.open_catalog"):
            predict_catalog(other, source=DEMO)


def test_a_model_that_changed_meanwhile_is_refused(galaxies, tmp_path):
    folder = shutil.copytree(astro_photz.load_model().path, tmp_path / "model")
    lazy = predict_catalog(dd.from_pandas(galaxies, npartitions=1, sort=False), source=DEMO, model=folder)
    card = json.loads((folder / "card.json").read_text())
    card["training_range"]["ebv"][1] *= 1.5
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="not the one of the call"):
        lazy.compute()


@pytest.mark.parametrize(("threads", "expected"), [(0, 1), (3, 3)])
def test_settings_go_with_the_work_and_end_with_it(galaxies, threads, expected):
    Watching.seen.clear()
    with conf.set_temp("inference_threads", threads), conf.set_temp("frame_cache", 99):
        lazy = predict_catalog(dd.from_pandas(galaxies, npartitions=2, sort=False), source=Watching())
    Watching.seen.clear()
    lazy.compute()
    assert Watching.seen == [(expected, 99)] * 2
    assert (conf.inference_threads, conf.frame_cache) == (0, 512)


def test_nothing_heavy_is_imported():
    code = "import sys, astro_photz.adapters.lsdb; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dask", "lsdb", "hats", "pandas", "pyarrow", "distributed", "cloudpickle"} & set(loaded)


def test_a_catalogue_stays_one(sky, alone, tmp_path):
    import lsdb

    lazy = predict_catalog(sky, source=DEMO, pdf=True)
    assert isinstance(lazy, lsdb.catalog.Catalog)
    assert lazy.get_healpix_pixels() == sky.get_healpix_pixels()
    record = lazy.meta.attrs["z_phot"]
    assert record["model_sha256"] == astro_photz.load_model().sha256
    assert "simulated" not in record
    assert_same(alone[sky.columns], sky.compute(progress_bar=False))
    whole = astro_photz.predict(sky.compute(progress_bar=False), source=DEMO)
    assert_same(alone.drop(columns="z_phot_pdf"), whole)
    lazy.write_catalog(tmp_path / "redshifts", progress_bar=False, should_write_skymap=False)
    back = lsdb.open_catalog(tmp_path / "redshifts").compute(progress_bar=False)
    assert back.index.equals(alone.index)
    np.testing.assert_array_equal(back["z_phot"], alone["z_phot"])
    assert back["z_phot_pdf"].tolist() == alone["z_phot_pdf"].tolist()


def test_nested_tables_stay_as_they_are(galaxies):
    nested = pytest.importorskip("nested_pandas")
    lsdb = pytest.importorskip("lsdb", reason="needs the extra [scale]")
    few = galaxies.loc[:180, ["ra", "dec"]]
    light = pd.DataFrame({"t": np.arange(2.0 * len(few))}, index=np.repeat(few.index, 2))
    frame = nested.NestedFrame(few).join_nested(light, "light")
    catalog = lsdb.from_dataframe(frame, partition_rows=30, margin_threshold=None)
    result = predict_catalog(catalog, source=DEMO).compute(progress_bar=False)
    assert_same(result[catalog.columns], catalog.compute(progress_bar=False))


def test_two_processes_give_what_one_gives(sky, alone, cluster):
    assert len(sky.get_healpix_pixels()) > 2
    assert_same(predict_catalog(sky, source=DEMO, pdf=True).compute(progress_bar=False), alone)


def opened():
    """How often this process has opened a model, and the sources that it holds."""
    from astro_photz.adapters.lsdb import _SOURCES
    from astro_photz.models.registry import _load

    return _load.cache_info().misses, set(_SOURCES)


def test_a_worker_opens_model_and_source_once(sky, cluster):
    before = cluster.run(opened)
    predict_catalog(sky, source=DEMO).compute(progress_bar=False)
    after = cluster.run(opened)
    assert max(models for models, _ in after.values()) == 1
    assert max(len(after[worker][1] - before[worker][1]) for worker in after) == 1


def test_a_worker_that_is_killed_loses_nothing(sky, alone, cluster, tmp_path):
    import cloudpickle

    trace = tmp_path / "killed"
    this = sys.modules[__name__]  # which workers cannot import
    cloudpickle.register_pickle_by_value(this)
    try:
        frame = predict_catalog(sky, source=Fatal(DEMO, str(trace)), pdf=True).compute(progress_bar=False)
    finally:
        cloudpickle.unregister_pickle_by_value(this)
    assert int(trace.read_text()) != os.getpid()
    assert_same(frame, alone)
