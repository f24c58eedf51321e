# Licensed under a 3-clause BSD style license - see LICENSE
"""The stage of RAIL: the PDFs of predict, in the rows of its input, in memory and in a pipeline's files."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

import astro_photz
from astro_photz import PhotozFlag, RedshiftPDF

needs_rail = pytest.mark.skipif(find_spec("rail") is None, reason="needs the extra [rail]")


@pytest.fixture
def galaxies():
    """The demonstration set as a table of RAIL: a dict of arrays."""
    cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    numbers = 1237653651835781245 + np.arange(len(cutouts))
    return {"ra": cutouts.coord.ra.deg, "dec": cutouts.coord.dec.deg, "object_id": numbers}


def make_stage(**options):
    from astro_photz.adapters.rail import AstroPhotzEstimator

    return AstroPhotzEstimator.make_stage(name="images", source=str(astro_photz.demo_path()), **options)


def expected_pdf(galaxies):
    table = astro_photz.predict(galaxies, source=astro_photz.demo_path(), pdf=True)
    return RedshiftPDF(table["z_phot_pdf"], table.meta["z_phot"]["z_edges"])


@needs_rail
def test_in_memory_it_is_predict(galaxies):
    from astro_photz.adapters.qp import from_qp

    galaxies["redshift"] = np.linspace(0, 0.3, 24)
    ensemble = make_stage(hdf5_groupname="", output_mode="return").estimate(galaxies).data
    pdf, ids = from_qp(ensemble)
    expected = expected_pdf(galaxies)
    np.testing.assert_allclose(pdf.p, expected.p, atol=1e-7)
    np.testing.assert_array_equal(ids, galaxies["object_id"])
    np.testing.assert_array_equal(ensemble.ancil["redshift"], galaxies["redshift"])
    np.testing.assert_allclose(ensemble.ancil["zmode"], expected.mode())
    np.testing.assert_allclose(ensemble.ancil["zmedian"], np.ravel(ensemble.median()), atol=1e-9)


@needs_rail
def test_a_galaxy_without_an_image_keeps_its_row(galaxies):
    galaxies["ra"][3] = np.nan
    with pytest.warns(AstropyUserWarning, match="1 of 24 galaxies have no estimate"):
        ensemble = make_stage(hdf5_groupname="", output_mode="return").estimate(galaxies).data
    assert np.flatnonzero(~ensemble.ancil["estimated"]).tolist() == [3]
    assert ensemble.ancil["flags"][3] == PhotozFlag.NO_POSITION
    assert np.isnan(ensemble.ancil["zmean"][3])


@needs_rail
def test_a_pipeline_runs_it_on_a_file_in_pieces(galaxies, tmp_path):
    import tables_io

    from astro_photz.adapters.qp import read_qp
    from astro_photz.adapters.rail import AstroPhotzEstimator

    tables_io.write({"photometry": galaxies}, str(tmp_path / "galaxies"), "hdf5")
    options = {"source": str(astro_photz.demo_path()), "chunk_size": 7}
    (tmp_path / "config.yml").write_text("images:\n" + "".join(f"  {key}: {value}\n" for key, value in options.items()))
    command = AstroPhotzEstimator.generate_command(
        {"input": tmp_path / "galaxies.hdf5"},
        tmp_path / "config.yml",
        {"output": tmp_path / "pdfs.hdf5"},
        instance_name="images",
    )
    words = command.split()
    assert words[:3] == ["python3", "-m", "ceci"]
    done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pdf, ids = read_qp(tmp_path / "pdfs.hdf5")
    np.testing.assert_allclose(pdf.p, expected_pdf(galaxies).p, atol=1e-7)
    np.testing.assert_array_equal(ids, galaxies["object_id"])


@needs_rail
def test_rail_lists_it_among_its_estimators():
    import rail.stages
    from rail.core import RailEnv

    from astro_photz.adapters.rail import AstroPhotzEstimator

    RailEnv.attach_stages(rail.stages, silent=True)
    assert rail.stages.AstroPhotzEstimator is AstroPhotzEstimator
    assert "AstroPhotzEstimator" in RailEnv._stage_dict["CatEstimator"]


@needs_rail
def test_bad_options_are_refused(galaxies):
    with pytest.raises(ValueError, match="no model 'nowhere'"):
        make_stage(hdf5_groupname="", output_mode="return", model="nowhere").estimate(galaxies)
    stage = make_stage(hdf5_groupname="", output_mode="return", ra_col="RAJ2000", dec_col="dec")
    with pytest.raises(KeyError, match="RAJ2000"):
        stage.estimate(galaxies)


def test_without_rail_the_extra_is_named():
    code = "import sys; sys.modules['rail'] = None; import astro_photz.adapters.rail"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ImportError: the stage of RAIL needs rail: pip install "astro-photz[rail]"' in done.stderr
