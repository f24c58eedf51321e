# Licensed under a 3-clause BSD style license - see LICENSE
"""From a position on the sky to similar galaxies, as a table, a picture and a page, in one call."""

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz import sdss
from astro_photz.cli import main
from astro_photz.config import conf
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import MISSING
from astro_photz.positions import read_positions
from astro_photz.quality import flag_images
from astro_photz.similarity import SimilarityIndex
from astro_photz.testing.source_contract import archive_of_scene, catalogue, check_source
from astro_photz.testing.synthetic_sky import SHAPE

PRETRAINED = "sim-small-v1-pretrained"


def test_a_position_is_fetched_embedded_and_searched(monkeypatch):
    monkeypatch.setattr(sdss, "FRAME_SHAPE", SHAPE)
    with (
        conf.set_temp("retry_wait", 0.0),
        conf.set_temp("queries_per_minute", 10_000),
        archive_of_scene(n_fields=2) as server,
    ):
        source = SDSSArchive(timeout=5)
        coord = read_positions(catalogue()).coord
        cutouts = check_source(source, read_positions(catalogue()))
        missing = (flag_images(cutouts) & MISSING) != 0
        good = np.flatnonzero(~missing)
        known, unknown = good[:-1], good[-1]
        index = SimilarityIndex.build(cutouts[known], model=PRETRAINED)
        asked = len(server.requests)
        k = 2
        assert len(index.query(coord[known[0]], k=k)) == k
        assert len(server.requests) == asked  # the galaxy is in the index
        answer = index.query(coord[unknown], k=k, source=source)
        assert len(server.requests) > asked
        direct = index.query(cutouts[unknown], k=k)
        np.testing.assert_array_equal(answer["id"], direct["id"])
        nowhere = np.flatnonzero(missing)
        with pytest.warns(AstropyUserWarning, match="without an answer"):
            answer = index.query(coord[[nowhere[0], unknown]], k=2, source=source)
        assert set(answer["query"]) == {1}


def test_one_command_leads_from_a_position_to_pictures(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sdss, "FRAME_SHAPE", SHAPE)
    monkeypatch.chdir(tmp_path)
    with (
        conf.set_temp("retry_wait", 0.0),
        conf.set_temp("queries_per_minute", 10_000),
        archive_of_scene(n_fields=2) as server,
    ):
        coord = read_positions(catalogue()).coord
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
        good = np.flatnonzero((flag_images(cutouts) & MISSING) == 0)
        known, unknown = good[:-1], good[-1]
        SimilarityIndex.build(cutouts[known], model=PRETRAINED, path="index")
        place = f"{coord[unknown].ra.deg} {coord[unknown].dec.deg}"
        asked = len(server.requests)
        command = ["search", "index", "--like", place, "--k", "2", "--picture", "seen.png", "--page", "seen.html"]
        assert main(command) == 0, capsys.readouterr().err
        assert len(server.requests) > asked
    page = (tmp_path / "seen.html").read_text(encoding="utf-8")
    assert page.count("<img") == 3  # the query and its neighbours
    assert "skyserver.sdss.org" in page
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")
