# Licensed under a 3-clause BSD style license - see LICENSE
"""Files of validations that are broken, or hold something else."""

import json

import h5py
import pytest
from astropy.table import Table

from astro_photz import validate
from astro_photz.validation import Validation
from astro_photz.validation.files import is_validation


@pytest.fixture
def path(tmp_path):
    table = Table({"z_spec": [0.05, 0.1, 0.2], "zp": [0.06, 0.1, 0.3], "e": [0.01, 0.02, 0.02]})
    validate(table, z_phot="zp", z_err="e", resamples=3).write(tmp_path / "judged.h5")
    return tmp_path / "judged.h5"


@pytest.mark.parametrize("form", ["x", 1.5, [1, 1], 0, -3])
def test_forms_that_are_none(path, form):
    with h5py.File(path, "r+") as file:
        file.attrs["form"] = form
    with pytest.raises(ValueError, match=r"judged\.h5 is a broken validation: its form is "):
        Validation.read(path)


@pytest.mark.parametrize("kind", [3, "table", [b"validation", b"x"], h5py.Empty("f4")])
def test_other_kinds(path, kind):
    with h5py.File(path, "r+") as file:
        file.attrs["kind"] = kind
    assert not is_validation(path)
    with pytest.raises(ValueError, match=r"is not a validation, as Validation.write makes it"):
        Validation.read(path)


@pytest.mark.parametrize(
    "numbers", ["{", "[]", "3", '"a"', "{}", "\udcff", '{"sample": []}', "[" * 100_000, '{"sample": {}, "pit": 3}', ""]
)
def test_numbers_that_are_none(path, numbers):
    with h5py.File(path, "r+") as file:
        del file["numbers"]
        file["numbers"] = numbers.encode("utf-8", "surrogateescape")
    with pytest.raises(ValueError, match=r"judged\.h5 is a broken validation, or cut short: "):
        Validation.read(path)


@pytest.mark.parametrize("entry", ["sample", "overall", "pit", "coverage", "pit_ks_by_chance"])
def test_an_entry_of_another_type(path, entry):
    with h5py.File(path, "r+") as file:
        numbers = json.loads(file["numbers"][()])
        del file["numbers"]
        file["numbers"] = json.dumps(numbers | {entry: "x"})
    with pytest.raises(ValueError, match=f"its {entry} is 'x'"):
        Validation.read(path)


@pytest.mark.parametrize("name", ["numbers", "galaxies"])
def test_parts_that_are_missing(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(ValueError, match="is a broken validation"):
        Validation.read(path)


@pytest.mark.parametrize("n", [9, 100, 600, 2000, -100])
def test_files_that_are_cut_short(path, n):
    path.write_bytes(path.read_bytes()[:n])
    with pytest.raises((OSError, ValueError), match=r"judged\.h5 is "):
        Validation.read(path)
    assert is_validation(path) in (True, False)
