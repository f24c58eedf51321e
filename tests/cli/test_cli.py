# Licensed under a 3-clause BSD style license - see LICENSE
"""The command line: what a user types, what comes back, and what is said when it cannot."""

import gzip
import io
import json
import sys
from importlib.util import find_spec

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from astro_photz import Cutouts, PhotozFlag
from astro_photz.cli import main
from astro_photz.tables import read_table
from astro_photz.testing.factories import gaussian_cutouts

needs_simulation = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("kcorrect")), reason="needs torch and kcorrect, of the extra [simulate]"
)


needs_training = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "lightning", "onnxscript"))), reason="needs the extra [train]"
)


@pytest.fixture
def stamps(tmp_path):
    """A file of stamps, and the table of their galaxies."""
    cutouts = gaussian_cutouts(5)
    cutouts.write(tmp_path / "stamps.h5")
    table = Table({"name": list("abcde"), "ra": cutouts.coord.ra.deg, "dec": cutouts.coord.dec.deg})
    table.write(tmp_path / "hosts.csv")
    return tmp_path


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("ending", ["ecsv", "fits", "fits.gz", "csv", "vot"])
def test_predict_writes_any_format(stamps, ending, capsys):
    output = stamps / f"z.{ending}"
    assert run("predict", stamps / "hosts.csv", output, "--source", stamps / "stamps.h5") == 0
    table = Table.read(output)
    assert list(table["name"].astype(str)) == list("abcde")
    assert np.all(table["z_phot_lo68"] < table["z_phot_hi68"])
    assert "5 galaxies, 5 with a redshift" in capsys.readouterr().err
    assert not list(stamps.glob(".*"))  # nothing aside is left


def test_what_made_a_table_is_in_it(stamps):
    for ending in ("ecsv", "fits", "vot", "h5"):
        output = stamps / f"z.{ending}"
        assert run("predict", stamps / "hosts.csv", output, "--source", stamps / "stamps.h5") == 0
        assert read_table(output).meta["z_phot"]["trained_on"] == "simulated images"


def test_a_format_that_loses_what_made_a_table_says_so(stamps, capsys):
    assert run("predict", stamps / "hosts.csv", stamps / "z.csv", "--source", stamps / "stamps.h5") == 0
    assert "does not keep which model and images made the redshifts; .ecsv does" in capsys.readouterr().err


def test_comments_of_the_table_stay(stamps):
    table = Table.read(stamps / "hosts.csv")
    table.meta["comments"] = "two nights"
    table.write(stamps / "hosts.ecsv")
    assert run("predict", stamps / "hosts.ecsv", stamps / "z.fits", "--source", stamps / "stamps.h5") == 0
    assert Table.read(stamps / "z.fits").meta["comments"][0] == "two nights"


@pytest.mark.parametrize("ending", ["txt", "dat", "cat"])
def test_a_plain_list_is_a_table(stamps, ending):
    Table.read(stamps / "hosts.csv").write(stamps / f"hosts.{ending}", format="ascii.basic")
    assert run("predict", stamps / f"hosts.{ending}", stamps / "z.ecsv", "--source", stamps / "stamps.h5") == 0
    assert len(Table.read(stamps / "z.ecsv")) == 5


def test_a_format_is_tried_with_what_will_be_in_the_table(stamps, capsys):
    """Before the work: PDFs, which CSV cannot hold."""
    for ending in ("html", "csv"):
        output = stamps / f"z.{ending}"
        assert run("predict", stamps / "hosts.csv", output, "--source", stamps / "stamps.h5", "--pdf") == 1
        assert "cannot hold this table" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["ecsv", "fits", "csv", "vot"])
def test_a_second_run_replaces_the_first(stamps, capsys, ending):
    """In the very file, too."""
    output = stamps / f"z.{ending}"
    options = ("--source", stamps / "stamps.h5", "--prefix", "zp")
    assert run("predict", stamps / "hosts.csv", output, *options) == 0
    names = read_table(output).colnames
    assert run("predict", output, output, *options, "--overwrite") == 1
    assert "has a column 'zp' already" in capsys.readouterr().err
    assert run("predict", output, output, *options, "--overwrite", "--replace") == 0
    assert read_table(output).colnames == names


def piped(monkeypatch, content):
    """Standard input with a content."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("pack", "options", "form"),
    [
        (bytes, (), None),
        (gzip.compress, ("--output-format", "fits"), "fits"),
        (lambda content: content.decode().encode("utf-16"), ("--output-format", "csv", "--format", "csv"), "ascii.csv"),
    ],
)
def test_predict_in_a_pipe(stamps, monkeypatch, capsysbinary, pack, options, form):
    piped(monkeypatch, pack((stamps / "hosts.csv").read_bytes()))
    assert run("predict", "-", "-", "--source", stamps / "stamps.h5", *options) == 0
    out, err = capsysbinary.readouterr()
    (stamps / "out").write_bytes(out)
    table = read_table(stamps / "out", format=form)
    assert table["name"].astype(str).tolist() == list("abcde")
    assert table["z_phot"].dtype.kind == "f"
    assert b"standard output: 5 galaxies, 5 with a redshift" in err


@pytest.mark.parametrize(
    ("rows", "code"), [("", 0), ("322.1,-80\n", 3), ("322.1,-80\n322.2,-80\n", 3), ("322.1,-80\n150,2\n", 0)]
)
@pytest.mark.parametrize("command", ["predict", "fetch"])
def test_exit_code_tells_that_no_galaxy_got_anything(stamps, rows, code, command, capsys):
    (stamps / "few.csv").write_text(f"ra,dec\n{rows}")
    output = stamps / ("z.ecsv" if command == "predict" else "few.h5")
    assert run(command, stamps / "few.csv", output, "--source", stamps / "stamps.h5") == code
    assert f"{output.name}: {rows.count(',')} galaxies" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["ecsv", "fits", "vot", "h5", "csv"])
def test_a_galaxy_without_an_estimate_has_none_in_any_format(stamps, ending):
    table = Table.read(stamps / "hosts.csv")
    table["dec"][2] = -80
    table.write(stamps / "off.csv")
    output = stamps / f"z.{ending}"
    assert run("predict", stamps / "off.csv", output, "--source", stamps / "stamps.h5") == 0
    estimate = np.ma.masked_invalid(Table.read(output)["z_phot"])
    assert np.ma.getmaskarray(estimate).tolist() == [False, False, True, False, False]


def test_pdf_and_prefix(stamps):
    output = stamps / "z.fits"
    options = ("--source", stamps / "stamps.h5", "--pdf", "--prefix", "zp")
    assert run("predict", stamps / "hosts.csv", output, *options) == 0
    table = Table.read(output)
    np.testing.assert_allclose(table["zp_pdf"].sum(axis=1), 1, rtol=1e-5)


def test_fetch_then_predict(stamps):
    assert run("fetch", stamps / "hosts.csv", stamps / "again.h5", "--source", stamps / "stamps.h5") == 0
    again, stored = (Cutouts.read(stamps / name) for name in ("again.h5", "stamps.h5"))
    np.testing.assert_array_equal(again.flux, stored.flux)


def test_fetch_for_a_training(stamps, capsys):
    """Redshifts and photometry come along in the table's order; what no training takes is left out, and told."""
    cutouts = gaussian_cutouts(5)
    cutouts.flux[1] = np.nan
    cutouts.write(stamps / "holes.h5")
    table = Table.read(stamps / "hosts.csv")[::-1]
    table["z"] = np.ma.masked_invalid([0.5, 0.4, np.nan, 0.2, 0.1])
    for number, band in enumerate("ugriz"):
        table[f"flux_{band}"] = (number + np.arange(5.0)) * u.Unit("1e-9 mgy")
    table["size"] = np.full(5, 0.05) * u.arcmin
    table.write(stamps / "spectra.ecsv")
    options = ["--redshift", "z", "--catalog-flux", "flux_u,flux_g,flux_r,flux_i,flux_z", "--catalog-radius", "size"]
    command = ["fetch", stamps / "spectra.ecsv", stamps / "labelled.h5", "--source", stamps / "holes.h5", *options]
    assert run(*command, "--drop-incomplete") == 0
    assert "2 left out" in capsys.readouterr().err
    with h5py.File(stamps / "labelled.h5") as file:
        np.testing.assert_allclose(file["specz_redshift"], [0.5, 0.4, 0.1])
        np.testing.assert_allclose(file["catalog_flux"][1], [1, 2, 3, 4, 5])
        np.testing.assert_allclose(file["catalog_radius"], 3)
        np.testing.assert_allclose(file["ra"], table["ra"][[0, 1, 4]])
    assert run(*command, "--overwrite") == 0
    with h5py.File(stamps / "labelled.h5") as file:
        assert np.isnan(file["specz_redshift"][()]).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("word", ["null", "-9999", "", "n/a", "None", "---"])
def test_what_a_training_column_does_not_know(stamps, word):
    """It stays unknown in the file; without a redshift, the galaxy is left out."""
    lines = ["ra,dec,z,u,g,r,i,z_flux,radius"]
    table = Table.read(stamps / "hosts.csv")
    for row, host in enumerate(table):
        unknown = [word if row == index else 0.1 * (row + 1) for index in (1, 2, 3)]
        lines.append(f"{host['ra']},{host['dec']},{unknown[0]},1,{unknown[1]},3,4,5,{unknown[2]}")
    (stamps / "spectra.csv").write_text("\n".join(lines) + "\n")
    options = ["--redshift", "z", "--catalog-flux", "u,g,r,i,z_flux", "--catalog-radius", "radius", "--drop-incomplete"]
    command = ["fetch", stamps / "spectra.csv", stamps / "labelled.h5", "--source", stamps / "stamps.h5"]
    assert run(*command, *options) == 0
    with h5py.File(stamps / "labelled.h5") as file:
        np.testing.assert_allclose(file["specz_redshift"], [0.1, 0.3, 0.4, 0.5])
        assert np.argwhere(np.isnan(file["catalog_flux"])).tolist() == [[1, 1]]
        assert np.isnan(file["catalog_radius"]).tolist() == [False, False, True, False]


def test_flags_are_told(stamps, capsys):
    table = Table.read(stamps / "hosts.csv")
    table["dec"][2] = -80
    table.write(stamps / "off.csv")
    assert run("predict", stamps / "off.csv", stamps / "z.ecsv", "--source", stamps / "stamps.h5") == 0
    assert "1 NO_MATCH: no SDSS object, frame or stamp covers the position (row 3)\n" in capsys.readouterr().err
    result = Table.read(stamps / "z.ecsv")
    assert result["z_phot"].mask.tolist() == [False, False, True, False, False]
    assert result["z_phot_flags"][2] == PhotozFlag.NO_MATCH


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "absent.csv", "z.ecsv"), "no file"),
        (("predict", "hosts.csv", "z.xyz"), "astropy knows no table format"),
        (("predict", "hosts.csv", "hosts.csv"), "exists: choose another name, or say --overwrite"),
        (("predict", "hosts.csv", "absent/z.ecsv"), "there is no folder"),
        (("predict", "hosts.csv", "z.ecsv", "--source", "absent"), "neither 'sdss', nor a folder of frames"),
        (("predict", "hosts.csv", "z.ecsv", "--source", "hosts.csv"), "is not an HDF5 file"),
        (("predict", "broken.fits", "z.ecsv", "--source", "stamps.h5"), "cannot be read as a table"),
        (("predict", "hosts.csv", "z.ecsv", "--source", "stamps.h5", "--model", "none"), "no model 'none'"),
        (("predict", "hosts.csv", "z.ecsv", "--source", "stamps.h5", "--ra", "lon", "--dec", "dec"), "Known are name"),
        (("predict", "hosts.csv", "z.csv", "--source", "stamps.h5", "--pdf"), "column 'z_phot_pdf': it has several"),
        (("predict", "wide.ecsv", "z.csv", "--source", "stamps.h5"), "CSV cannot hold this table: column 'magnitudes'"),
        (("predict", "hosts.csv", "z.ecsv", "--format", "cvs"), "--format cvs: no format of tables that astropy can"),
        (("predict", "hosts.csv", "z.ecsv", "--output-format", "fist"), "--output-format fist: no format of tables"),
        (
            ("predict", "hosts.csv", "z.ecsv", "--format", "fits"),
            "hosts.csv: it is no FITS file: leave --format fits away",
        ),
        (("fetch", "stamps.h5", "z.h5"), "it is an HDF5 file without a table"),
        (("evaluate", "sim-small-v1", "hosts.csv"), "astro-photz validate judges the redshifts of a table"),
        (("fetch", "hosts.csv", "again.h5", "--source", "stamps.h5", "--size", "32"), "size must"),
        (
            ("predict", "hosts.csv", "z.ecsv", "--source", "stamps.h5", "--dust-map", "maps"),
            "is for a folder of frames",
        ),
        (("predict", "hosts.csv", "z.ecsv", "--dust-map", "maps"), "not for --source sdss"),
        (("fetch", "hosts.csv", "again.h5", "--source", "stamps.h5", "--redshift", "z"), "no column 'z'"),
        (("fetch", "wide.ecsv", "again.h5", "--catalog-radius", "time"), "the unit s, which does not convert"),
        (("fetch", "hosts.csv", "again.h5", "--source", "stamps.h5", "--catalog-flux", "ra,dec"), "the shape (5, 5)"),
    ],
)
def test_errors_are_one_line(stamps, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(stamps)
    (stamps / "broken.fits").write_bytes(b"\x00\x01\x02")
    table = Table.read("hosts.csv")
    table["magnitudes"], table["time"] = np.zeros((5, 5)), np.ones(5) * u.s
    table.write("wide.ecsv")
    before = sorted(stamps.iterdir())
    assert run(*arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("astro-photz: error: ")
    assert message in said
    assert "\n" not in said
    assert sorted(stamps.iterdir()) == before


@needs_simulation
def test_simulate_galaxies(tmp_path, capsys):
    config = tmp_path / "bright.toml"
    config.write_text("[sample]\nfaintest = 16.5\n")
    output = tmp_path / "sky.h5"
    arguments = ("simulate", "galaxies", output, "--n", 4, "--seed", 1, "--size", 70, "--config", config)
    assert run(*arguments) == 0
    assert "sky.h5: 4 galaxies" in capsys.readouterr().err
    assert Cutouts.read(output).size == 70
    assert run(*arguments) == 1
    assert "exists: choose another name, or say --overwrite" in capsys.readouterr().err
    assert run(*arguments, "--overwrite") == 0


@needs_simulation
def test_simulate_points(tmp_path, capsys):
    output = tmp_path / "points.h5"
    arguments = ("simulate", "points", output, "--n", 3, "--n-faint", 0, "--n-distant", 0, "--seed", 1)
    assert run(*arguments) == 0
    assert "points.h5: 3 stars and quasars, 0 faint and 0 distant galaxies" in capsys.readouterr().err
    assert len(Cutouts.read(output)) == 3
    assert run(*arguments) == 1
    assert "exists: choose another name, or say --overwrite" in capsys.readouterr().err


@needs_simulation
def test_simulate_frames(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bz2.compress", lambda data: data[:1])  # it takes most of the time
    assert run("simulate", "frames", tmp_path / "field", "--seed", 1, "--run", 9001, "--camcol", 2, "--ra", 10) == 0
    assert "field: 1 fields with " in capsys.readouterr().err
    truth = Table.read(tmp_path / "field" / "truth.ecsv")
    assert np.abs(truth["ra"] - 10).max() < 0.2
    assert (tmp_path / "field" / "frame-r-009001-2-0011.fits.bz2").is_file()


@needs_simulation
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("galaxies", "sky.h5", "--n", "0"), "error: --n must be at least 1, got 0"),
        (("galaxies", "absent/sky.h5", "--n", "1"), "there is no folder absent"),
        (("galaxies", "sky.h5", "--n", "1", "--workers", "0"), "error: --workers must be at least 1, got 0"),
        (("galaxies", "sky.h5", "--n", "1", "--config", "absent.toml"), "no file absent.toml"),
        (("galaxies", "sky.h5", "--n", "1", "--config", "bad.toml"), "bad.toml: unknown setting 'fainest' in [sample]"),
        (("galaxies", "sky.h5", "--n", "1", "--device", "abacus"), "error: --device must be one that torch has here"),
        (("points", "points.h5", "--n", "0"), "error: --n must be at least 1, got 0"),
        (("points", "points.h5", "--n-faint", "-1"), "error: --n-faint must be at least 0, got -1"),
        (("points", "absent/points.h5"), "there is no folder absent"),
        (("frames", "bad.toml"), "bad.toml is a file: give the name of a folder"),
        (("frames", "field", "--n", "0"), "error: --n must be at least 1, got 0"),
        (("frames", "field", "--run", "1000000"), "error: --run must be at most 999999"),
        (("frames", "field", "--camcol", "9"), "error: --camcol must be at most 6, got 9"),
    ],
)
def test_errors_of_simulations_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("[sample]\nfainest = 18\n")
    assert run("simulate", *arguments, "--seed", "1") == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("astro-photz: error: ")
    assert message in said
    assert "\n" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def write_training_set(path, n, *, seed=0):
    gaussian_cutouts(n, size=68, seed=seed).write(path, specz_redshift=np.linspace(0.02, 0.38, n))


TINY = [
    f"--set={change}"
    for change in (
        *("encoder.width=4", "pretrain.epochs=1", "pretrain.batch_size=16", "pretrain.queue_length=16"),
        *("finetune.epochs=1", "finetune.batch_size=16"),
    )
]


@needs_training
def test_a_model_of_ones_own_in_four_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, n in (("train.h5", 160), ("validation.h5", 128), ("test.h5", 100)):
        write_training_set(tmp_path / name, n, seed=n)
    smoke = ["--recipe", "smoke", *TINY, "--validation", "validation.h5", "--accelerator", "cpu", "--devices", "1"]
    assert run("pretrain", "train.h5", "pretrained", *smoke, "--quiet") == 0
    assert run("finetune", "train.h5", "finetuned", *smoke, "--init", "pretrained", "--n-labels", "64", "--quiet") == 0
    assert run("export", "finetuned", "mine") == 0
    said = capsys.readouterr().err
    assert "pretrained: 1 epochs, 10 steps\n  sigma_MAD of the redshift probe: " in said
    assert "finetuned: 1 epochs, 4 steps\n  sigma_MAD on the validation set: " in said
    assert "mine: calibration: " in said
    assert "warning" not in said
    assert run("evaluate", "mine", "test.h5", "--output", "metrics.json", "--quiet") == 0
    assert "Pasquet" in capsys.readouterr().out
    assert json.loads((tmp_path / "metrics.json").read_text())["overall"]["n"] == 100
    write_training_set(tmp_path / "hosts.h5", 5)
    gaussian_cutouts(5).coord.to_table().write("hosts.ecsv")
    assert run("predict", "hosts.ecsv", "z.ecsv", "--source", "hosts.h5", "--model", "mine", "--quiet") == 0
    assert not [*tmp_path.rglob("*.part"), *tmp_path.rglob(".part.*")]


@needs_training
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pretrain", "absent.h5", "run"), "absent.h5"),
        (("pretrain", "train.h5", "run", "--recipe", "none"), "no recipe 'none': neither a TOML file, nor one of"),
        (("pretrain", "train.h5", "run", "--set", "pretrain.epoch=3"), "did you mean 'epochs'?"),
        (("finetune", "train.h5", "run", "--validation", "train.h5", "--init", "none"), "no weights 'none'"),
        (("finetune", "train.h5", "run", "--validation", "train.h5", "--n-labels", "999"), "999"),
        (("finetune", "train.h5", "run", "--set", "finetune.frozen=true"), "or init be given (--init)"),
        (("export", "run", "model"), "run holds no finished training: there is no such folder"),
        (("evaluate", "none", "train.h5"), "no model 'none'"),
        (("evaluate", "sim-small-v1", "train.h5", "--output", "absent/m.json"), "there is no folder absent"),
        (("evaluate", "sim-small-v1", "train.h5", "--output", "."), "is a folder: give the name of a file"),
    ],
)
def test_errors_of_trainings_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_training_set(tmp_path / "train.h5", 16)
    assert run(*arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("astro-photz: error: ")
    assert message in said
    assert "\n" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"train.h5"}


def test_wrong_usage_leaves_with_2(capsys):
    without_n = ["simulate", "galaxies", "sky.h5", "--seed", "1"]
    cut_short = ["pretrain", "a.h5", "run", "--device", "cpu"]
    bad_choice = ["fetch", "a.csv", "b.h5", "--dtype", "int8"]
    for arguments in ([], ["predict"], ["nonsense"], bad_choice, without_n, cut_short):
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        assert leaving.value.code == 2
    capsys.readouterr()


def test_help_has_examples(capsys):
    simulate = (["simulate", *kind, "--help"] for kind in ([], ["galaxies"], ["points"], ["frames"]))
    train = ([name, "--help"] for name in ("pretrain", "finetune", "adapt", "export", "evaluate"))
    for arguments in (["--help"], ["predict", "--help"], ["fetch", "--help"], *simulate, *train):
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        assert leaving.value.code == 0
        assert "examples:" in capsys.readouterr().out


def test_models_are_listed(capsys):
    assert run("models") == 0
    assert "simulated" in capsys.readouterr().out


def test_demo_without_matplotlib_is_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("demo", "--output", tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["astro_photz_demo.ecsv"]
    assert 'no picture without matplotlib: pip install "astro-photz[plot]"' in capsys.readouterr().out


def test_demo(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert run("demo", "--output", tmp_path / "demo") == 0
    said = capsys.readouterr().out
    assert "Simulated galaxies" in said
    table = Table.read(tmp_path / "demo" / "astro_photz_demo.ecsv")
    assert len(table) == 24
    assert np.isfinite(np.ma.filled(table["z_phot"], np.nan)).all()
    assert (tmp_path / "demo" / "astro_photz_demo.png").read_bytes().startswith(b"\x89PNG")
