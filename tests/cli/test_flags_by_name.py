# Licensed under a 3-clause BSD style license - see LICENSE
"""A person reads names of flags, and a program can make numbers of them again."""

from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import Table

from astro_photz import flags
from astro_photz.cli import main
from astro_photz.cli._input import say_flags
from astro_photz.tables import read_table
from astro_photz.testing import gaussian_cutouts

FORMATS = ["csv", "txt", "tsv", "ecsv", "fits", "vot", "h5", *(["parquet"] if find_spec("pyarrow") else [])]


@pytest.fixture
def folder(tmp_path):
    """Stamps, and a table of their galaxies with one that is elsewhere."""
    cutouts = gaussian_cutouts(4)
    cutouts.write(tmp_path / "stamps.h5")
    dec = np.where(np.arange(4) == 2, -80, cutouts.coord.dec.deg)
    Table({"ra": cutouts.coord.ra.deg, "dec": dec}).write(tmp_path / "hosts.csv")
    return tmp_path


def predict(folder, source, output, *options):
    return main(["predict", *map(str, (folder / source, folder / output, "--source", folder / "stamps.h5", *options))])


@pytest.mark.parametrize("ending", FORMATS)
def test_names_in_any_format(folder, ending, capsys):
    assert predict(folder, "hosts.csv", f"names.{ending}", "--flags", "names") == 0
    assert predict(folder, "hosts.csv", f"numbers.{ending}") == 0
    assert "1 NO_MATCH: no SDSS object" in capsys.readouterr().err
    names, numbers = (read_table(folder / f"{what}.{ending}")["z_phot_flags"] for what in ("names", "numbers"))
    assert "NO_MATCH" in str(names[2])
    assert numbers.dtype.kind == "i"
    assert flags.parse(names).tolist() == flags.parse(numbers).tolist() == numbers.tolist()


def test_a_table_with_names_is_estimated_again(folder):
    assert predict(folder, "hosts.csv", "z.csv", "--flags", "names", "--prefix", "zp") == 0
    before = (folder / "z.csv").read_text()
    assert predict(folder, "z.csv", "z.csv", "--flags", "names", "--prefix", "zp", "--replace", "--overwrite") == 0
    assert (folder / "z.csv").read_text() == before
    assert predict(folder, "z.csv", "z.csv", "--prefix", "zp", "--replace", "--overwrite") == 0
    assert Table.read(folder / "z.csv")["zp_flags"].dtype.kind == "i"


def test_no_galaxy_with_a_flag(folder):
    table = Table.read(folder / "hosts.csv")
    table[:1].write(folder / "one.csv")
    assert predict(folder, "one.csv", "z.csv", "--flags", "names") == 0
    assert flags.parse(Table.read(folder / "z.csv")["z_phot_flags"]).tolist() == [0]
    assert flags.parse(read_table(folder / "z.csv")["z_phot_flags"]).tolist() == [0]


def test_other_forms_are_wrong_usage(folder, capsys):
    with pytest.raises(SystemExit):
        predict(folder, "hosts.csv", "z.csv", "--flags", "nmaes")
    assert "argument --flags: not 'nmaes': did you mean 'names'?" in capsys.readouterr().err


def test_the_demonstration_names_its_flags(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    table = Table.read(tmp_path / "astro_photz_demo.ecsv")
    assert table["z_phot_flags"].dtype.kind == "i"
    for value in set(table["z_phot_flags"]) - {0}:
        assert "|".join(flags.names(value)) in said
    assert "These 24 galaxies are simulated: sigma_MAD " in said


FAINT = int(flags.PhotozFlag.OUTLIER | flags.PhotozFlag.LOW_SNR)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([FAINT] * 8 + [0] * 4, "most of these are EXTRAPOLATED or LOW_SNR too"),
        (
            [int(flags.PhotozFlag.OUTLIER)] * 8 + [0] * 4,
            "so many that something may be wrong with all: check the order",
        ),
        ([FAINT] * 4 + [0] * 8, None),
    ],
)
def test_a_flag_of_most_rows_tells_its_cause(values, cause, capsys):
    say_flags(np.array(values, dtype=np.int32))
    said = capsys.readouterr().err
    assert cause in said if cause else "most of these" not in said and "so many" not in said


@pytest.mark.parametrize(("n", "told"), [(2, " (rows 1, 2)\n"), (11, "pole\n")])
def test_a_few_rows_without_a_position_are_named(n, told, capsys):
    say_flags(np.array([flags.PhotozFlag.NO_POSITION] * n + [0], dtype=np.int32))
    assert told in capsys.readouterr().err


def test_a_coarse_map_of_dust_leaves_an_image_whole(folder, capsys):
    cutouts = gaussian_cutouts(4)
    cutouts.ebv[:] = np.nan
    cutouts.write(folder / "undusted.h5")
    assert (
        main(
            [
                "fetch",
                *(str(folder / name) for name in ("hosts.csv", "again.h5")),
                "--source",
                str(folder / "undusted.h5"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().err
    assert "4 galaxies, 3 with a whole image" in said
    assert "3 APPROXIMATE_EBV" in said
