# Licensed under a 3-clause BSD style license - see LICENSE
"""Files of simulated points, which teach a model to tell them from galaxies."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import Cutouts
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.photometry import aperture_flux, r_magnitude
from astro_photz.quality.measurements import measure
from astro_photz.quality.point_sources import is_point_source
from astro_photz.reference.making import DISTANT
from astro_photz.simulate import Settings, write_points
from astro_photz.simulate.simulation import Simulation
from astro_photz.simulate.write_point_stamps import SHARES, distant_blocks, faint_blocks, point_blocks

MODULE = "astro_photz.simulate.write_point_stamps"
ALONE = {"neighbours": {"density": 0.0}, "sample": {"faintest": 17.0}}


def columns(path, *names):
    with open_cutouts(path) as file:
        return [file[name].asstr()[()] if name == "kind" else file[name][()] for name in names]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "points.h5"
    write_points(path, 39, n_faint=12, n_distant=14, seed=1, config=ALONE)
    return path


def test_points_are_points_and_galaxies_are_not(written):
    cutouts = Cutouts.read(written)
    point, kind, ids = columns(written, "point", "kind", "ObjID")
    kinds = ("star", "quasar", "unresolved", "double", "galaxy", DISTANT)
    assert [(kind == name).sum() for name in kinds] == [15, 9, 9, 6, 12, 14]
    np.testing.assert_array_equal(point == 0, np.isin(kind, ["galaxy", DISTANT]))
    assert len(np.unique(ids)) == len(cutouts) == 65
    assert cutouts.simulated
    found = is_point_source(measure(cutouts), cutouts.psf_fwhm)
    assert found[point == 1].mean() > 0.8
    assert found[point == 0].mean() < 0.2


def test_the_galaxies_are_fainter_than_the_sample(written):
    faint = np.flatnonzero(columns(written, "kind")[0] == "galaxy")
    cutouts = Cutouts.read(written, rows=faint)
    magnitude = r_magnitude(aperture_flux(cutouts.flux)[:, 2], cutouts.ebv)
    assert magnitude.min() > 16.9  # the aperture loses some of the light
    assert np.median(magnitude) < 18.9


def test_distant_galaxies_are_beyond_the_sample_and_as_bright(monkeypatch):
    monkeypatch.setattr(Simulation, "observe", lambda _, population, rng: [population])
    simulation = Simulation(seed=0, settings=Settings(sample={"faintest": 19.6, "dusty": 0.5}))
    blocks = list(distant_blocks(600, simulation))  # of fitted, measured and fitted colours
    assert [len(population) for population in blocks] == [256, 256, 88]
    for population in blocks:
        assert 0.42 <= population.redshift.min() < population.redshift.max() < 0.82
        magnitude = r_magnitude(population.flux[:, 2])
        assert 17.3 <= magnitude.min() < 17.6 < 19.7 < magnitude.max() <= 20.0
        assert np.mean(population.ebv > 0.25) > 0.15  # behind dust, as the galaxies of the sample are


def test_a_seed_gives_the_same_file_and_another_one_other_points(written, tmp_path):
    for seed in (1, 2):
        write_points(tmp_path / f"{seed}.h5", 39, n_faint=12, n_distant=14, seed=seed, config=ALONE)
    (before,), (same,), (other,) = (columns(path, "images") for path in (written, tmp_path / "1.h5", tmp_path / "2.h5"))
    np.testing.assert_array_equal(before, same)
    assert not (before == other).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("n", [1, 2, 5, 12, 1000])
def test_as_many_points_as_are_wanted_by_their_shares(n, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.point_block", lambda block, n, *_: [min(256, n - 256 * block)])
    counts = dict.fromkeys(SHARES, 0)
    for kind, number in point_blocks(n, Simulation(seed=0)):
        counts[kind] += number
    assert sum(counts.values()) == n
    assert all(abs(counts[kind] - share * n) < 1 for kind, share in SHARES.items())


def test_points_are_as_faint_as_the_sample(monkeypatch):
    asked = []
    monkeypatch.setattr(f"{MODULE}.point_block", lambda *args: [asked.append(args[3])])
    for faintest in (17.8, 21.0, 22.2):
        list(point_blocks(1, Simulation(seed=0, settings=Settings(sample={"faintest": faintest}))))
    assert asked == [(15.5, 19.5), (15.5, 21.0), (15.5, 22.0)]


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"n_faint must be 0 where the sample reaches r = 22\.1"):
        write_points(tmp_path / "deep.h5", 1, n_faint=1, seed=1, config={"sample": {"faintest": 22.1}})
    with pytest.raises(ValueError, match=r"n_distant must be 0 where the sample reaches z = 0\.99"):
        write_points(tmp_path / "far.h5", 1, n_faint=0, seed=1, config={"sample": {"redshift": [0.0, 0.99]}})
    monkeypatch.setattr(f"{MODULE}.faint_blocks", lambda *_: iter(()))
    with pytest.raises(ValueError, match="opened for 3 stamps, but 1 were written"):
        write_points(tmp_path / "short.h5", 1, n_faint=2, n_distant=0, seed=1, config=ALONE)
    assert not list(tmp_path.iterdir())


def test_no_galaxies_is_a_choice(tmp_path):
    assert not list(faint_blocks(0, Simulation(seed=0)))
    assert not list(distant_blocks(0, Simulation(seed=0)))
    write_points(tmp_path / "points.h5", 2, n_faint=0, n_distant=0, seed=1, config=ALONE)
    assert columns(tmp_path / "points.h5", "point")[0].tolist() == [1, 1]
    with pytest.raises(FileExistsError):
        write_points(tmp_path / "points.h5", 2, n_faint=0, n_distant=0, seed=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n_faint": -1}, ValueError, "n_faint must be at least 0"),
        ({"n_faint": 0.5}, TypeError, "n_faint must be a whole number"),
        ({"n_distant": -1}, ValueError, "n_distant must be at least 0"),
        ({"split": "half"}, ValueError, "split must be one of"),
        ({"config": {"sample": {"fainest": 18}}}, ValueError, "unknown setting 'fainest'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        write_points(tmp_path / "points.h5", **{"n": 2, "n_faint": 1, "n_distant": 0, "seed": 0} | options)
    assert not list(tmp_path.iterdir())
