# Licensed under a 3-clause BSD style license - see LICENSE
"""Analogues on the terminal: in any file that can hold them, and refused before the work elsewhere."""

import shutil

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import load_model
from astro_photz.cli import main
from astro_photz.models import ModelCard
from astro_photz.models.card import ANALOGUES
from astro_photz.reference.analogues import Analogues
from astro_photz.tables import read_table
from astro_photz.testing import gaussian_cutouts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stamps, a table of their galaxies, and two models: one with analogues, one without."""
    path = tmp_path_factory.mktemp("analogues")
    cutouts = gaussian_cutouts(12)
    cutouts.write(path / "stamps.h5")
    Table({"ra": cutouts.coord.ra.deg, "dec": cutouts.coord.dec.deg}).write(path / "hosts.csv")
    for name in ("bare", "model"):
        shutil.copytree(load_model().path, path / name)
        (path / name / ANALOGUES).unlink(missing_ok=True)
        ModelCard.read(path / name).write(path / name)
    embedding = load_model(path / "bare").embed(cutouts)
    Analogues.fit(embedding, np.linspace(0.1, 0.2, 12)).install(path / "model")
    return path


def predict(folder, output, *options, model="model"):
    source = ["--source", folder / "stamps.h5", "--model", folder / model]
    return main(["predict", *map(str, (folder / "hosts.csv", folder / output, *source, *options))])


def test_analogues_are_in_the_file(folder):
    assert predict(folder, "z.ecsv", "--analogues", "3") == 0
    table = read_table(folder / "z.ecsv")
    assert table["z_phot_analogue_id"][:, 0].tolist() == list(range(12))
    assert table["z_phot_analogue_z"].shape == (12, 3)
    assert predict(folder, "plain.ecsv") == 0
    assert "z_phot_knn" not in read_table(folder / "plain.ecsv").colnames


@pytest.mark.parametrize(
    ("options", "output", "model", "told"),
    [
        (["--analogues", "-1"], "a.ecsv", "model", "--analogues must be a number of galaxies"),
        (["--analogues", "13"], "a.ecsv", "model", "--analogues must be at most 12"),
        (["--analogues", "2"], "a.ecsv", "bare", "brings no analogues"),
        (["--analogues", "2"], "a.csv", "model", "do without the analogues"),
    ],
)
def test_refused_before_the_work(folder, options, output, model, told, capsys):
    assert predict(folder, output, *options, model=model) != 0
    assert told in capsys.readouterr().err
    assert not (folder / output).exists()


def test_once_more_in_the_same_file(folder):
    assert predict(folder, "twice.ecsv", "--analogues", "2", "--prefix", "zp") == 0
    again = ["predict", *[str(folder / "twice.ecsv")] * 2, "--source", str(folder / "stamps.h5"), "--prefix", "zp"]
    assert main([*again, "--replace", "--overwrite"]) == 0
    assert not [name for name in read_table(folder / "twice.ecsv").colnames if "analogue" in name or "knn" in name]
