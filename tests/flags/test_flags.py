# Licensed under a 3-clause BSD style license - see LICENSE
"""Flags are numbers and names, and either can be had of the other, in every kind of table and by astropy's tools."""

import pickle

import numpy as np
import pytest
from astropy.nddata.bitmask import bitfield_to_boolean_mask, extend_bit_flag_map, interpret_bit_flags
from astropy.table import Column, MaskedColumn, QTable, Table

from astro_photz import PhotozFlag, flags
from astro_photz.flags import FLAG_ADVICE, FLAG_MEANINGS, MISSING

LATER = 1 << 28
SUMS = [0, 1, 64, 384, 2048, MISSING, (1 << 12) - 1, LATER, LATER + 64]


def text_of(value):
    return "|".join(flags.names(value))


# The enumeration


def test_bits_keep_their_meaning():
    """They are in the tables of users: none may ever move."""
    assert {flag.name: int(flag) for flag in PhotozFlag} == {
        "NO_POSITION": 1,
        "NO_MATCH": 2,
        "NO_IMAGE": 4,
        "NO_BAND": 8,
        "NO_EBV": 16,
        "PARTIAL": 32,
        "LOW_SNR": 64,
        "OFF_CENTRE": 128,
        "CROWDED": 256,
        "EXTRAPOLATED": 512,
        "GRID_EDGE": 1024,
        "APPROXIMATE_EBV": 2048,
        "OUTLIER": 4096,
        "POINT_SOURCE": 8192,
        "MISALIGNED": 16384,
        "BEYOND_GRID": 32768,
        "WRONG_SCALE": 65536,
        "SATURATED": 131072,
        "TRAIL": 262144,
        "BAD_SEEING": 524288,
        "EBV_MISMATCH": 1048576,
        "BIMODAL": 2097152,
        "ANALOGUES_DISAGREE": 4194304,
        "DEFECT": 8388608,
    }
    assert list(FLAG_MEANINGS) == list(PhotozFlag.__members__)
    assert list(FLAG_ADVICE) == list(PhotozFlag.__members__)
    assert MISSING == 31


def test_a_sum_is_a_flag():
    assert repr(PhotozFlag(384)) == "<PhotozFlag.OFF_CENTRE|CROWDED: 384>"
    assert PhotozFlag(384) == 384 == PhotozFlag.OFF_CENTRE | PhotozFlag.CROWDED
    assert PhotozFlag.CROWDED in PhotozFlag(384)
    assert pickle.loads(pickle.dumps(PhotozFlag(384))) is PhotozFlag(384)
    assert int(PhotozFlag(LATER + 64)) == LATER + 64


def test_names_in_any_case_and_misspelt_ones():
    assert PhotozFlag["low_snr"] is PhotozFlag["LOW_SNR"] is PhotozFlag.LOW_SNR
    with pytest.raises(KeyError, match="no flag 'LOWSNR': did you mean 'LOW_SNR'"):
        PhotozFlag["LOWSNR"]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
@pytest.mark.parametrize("kind", [np.array, Column, MaskedColumn])
def test_columns_combine_with_flags(kind, dtype):
    column = kind(np.array([0, 64, 384, 64 + 256], dtype=dtype))
    assert ((column & PhotozFlag.CROWDED) != 0).tolist() == [False, False, True, True]
    assert (column | PhotozFlag.PARTIAL).tolist() == [32, 96, 416, 352]
    assert (column & ~PhotozFlag.LOW_SNR).tolist() == [0, 0, 384, 256]
    assert (column == PhotozFlag.LOW_SNR).tolist() == [False, True, False, False]
    column[1:] |= PhotozFlag.PARTIAL
    assert column.tolist() == [0, 96, 416, 352]
    assert column.dtype == dtype


def test_to_clear_a_flag_leaves_those_of_a_later_version():
    assert np.array([LATER + 64]) & ~PhotozFlag.LOW_SNR == [LATER]
    assert PhotozFlag(96) & ~PhotozFlag.LOW_SNR == PhotozFlag.PARTIAL


# astropy's tools


@pytest.mark.parametrize(
    "flag_map", [PhotozFlag, extend_bit_flag_map("Map", **PhotozFlag.__members__)], ids=["itself", "astropy's map"]
)
def test_masks_by_astropy(flag_map):
    column = MaskedColumn(np.array([0, 64, 384, 256], dtype=np.int32))
    for ignored in ("LOW_SNR", "low_snr", ["LOW_SNR"], 64, PhotozFlag.LOW_SNR):
        mask = bitfield_to_boolean_mask(column, ignore_flags=ignored, flag_name_map=flag_map)
        assert mask.tolist() == [False, False, True, True]
    mask = bitfield_to_boolean_mask(column, ignore_flags="~CROWDED|LOW_SNR", flag_name_map=flag_map)
    assert mask.tolist() == [False, True, True, True]
    assert interpret_bit_flags("LOW_SNR,CROWDED", flag_name_map=flag_map) == 320
    assert interpret_bit_flags(["LOW_SNR", "CROWDED"], flag_name_map=flag_map) == 320
    assert interpret_bit_flags([PhotozFlag.LOW_SNR, PhotozFlag.CROWDED]) == 320


# Numbers and names


@pytest.mark.parametrize("value", SUMS)
def test_names_and_numbers_are_inverse(value):
    assert flags.parse([text_of(value)]).tolist() == [value]
    for alike in (np.int32(value), np.int64(value), PhotozFlag(value), float(value), str(value), text_of(value)):
        assert flags.names(alike) == flags.names(value)
        assert flags.describe(alike) == flags.describe(value)


def test_what_flags_mean():
    assert flags.names(384) == ["OFF_CENTRE", "CROWDED"]
    assert flags.describe(384) == f"OFF_CENTRE: {FLAG_MEANINGS['OFF_CENTRE']}; CROWDED: {FLAG_MEANINGS['CROWDED']}"
    assert flags.describe(0) == "no flag: nothing speaks against the estimate"
    assert flags.names(LATER) == ["BIT_28"]
    assert flags.describe(LATER) == "BIT_28: bit 28, of a later version"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["LOW_SNR|CROWDED", "low_snr + crowded", "CROWDED, LOW_SNR", "PhotozFlag.LOW_SNR|256"], [320] * 4),
        ([b"LOW_SNR", b""], [64, 0]),
        (Column(np.array([b"LOW_SNR", b"NO_MATCH"])), [64, 2]),
        (MaskedColumn(["LOW_SNR", "CROWDED"], mask=[False, True]), [64, 0]),
        (MaskedColumn([64, 999999], mask=[False, True]), [64, 0]),
        (np.array([64.0, np.nan]), [64, 0]),
        (np.array(["LOW_SNR", None, np.nan, 320], dtype=object), [64, 0, 0, 320]),
        (np.array([64, 384], dtype=">i4"), [64, 384]),
        (np.array([64, 384], dtype=np.uint16), [64, 384]),
        (MaskedColumn(np.zeros(2), mask=True), [0, 0]),
        ([], []),
    ],
)
def test_flags_as_files_have_them(values, expected):
    found = flags.parse(values)
    assert found.tolist() == expected
    assert found.dtype == np.int32
    assert type(found) is np.ndarray


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["", "LOWSNR"], "row 1: no flag 'LOWSNR': did you mean 'LOW_SNR'.*Known are NO_POSITION"),
        ([0, 64, -1], "row 2: flags are a sum of bits, from 0 to 2147483647; got .*-1"),
        ([0.0, 2.5], "row 1: flags are a sum of bits"),
        ([1 << 31], "row 0: flags are a sum of bits"),
        (["BIT_31"], "row 0: flags are a sum of bits"),
        (["true"], "row 0: no flag 'true'"),
        ([np.inf], "row 0: flags are a sum of bits"),
    ],
)
def test_values_that_are_no_flags(values, message):
    with pytest.raises(ValueError, match=message):
        flags.parse(values)


@pytest.mark.parametrize("tell", [flags.names, flags.describe])
def test_a_column_is_not_one_galaxy(tell):
    with pytest.raises(ValueError, match="are one value; got 2"):
        tell(Column([64, 0]))


# Tables


def table_of(values, prefix="z_phot", kind=Table):
    values = np.array(values, dtype=np.int32)
    return kind({prefix: np.zeros(len(values)), f"{prefix}_flags": MaskedColumn(values, description="Bits")})


def counts_of(data, **options):
    return {row["name"]: int(row["n"]) for row in flags.to_table(data, **options) if row["n"]}


@pytest.mark.parametrize("kind", [Table, QTable])
def test_counts_of_each_flag(kind):
    table = table_of([0, 64, 320, LATER + 64], kind=kind)
    counts = flags.to_table(table)
    assert counts.colnames == ["name", "bit", "n", "share", "meaning"]
    assert counts["name"].tolist() == [*FLAG_MEANINGS, "BIT_28"]
    assert counts["bit"].tolist() == [1 << bit for bit in (*range(len(FLAG_MEANINGS)), 28)]
    assert counts["meaning"].tolist() == [*FLAG_MEANINGS.values(), "bit 28, of a later version"]
    assert counts_of(table) == {"LOW_SNR": 3, "CROWDED": 1, "BIT_28": 1}
    assert counts["share"][counts["n"] == 3].tolist() == [0.75]
    for alike in (table["z_phot_flags"], flags.with_names(table), flags.with_names(table)["z_phot_flags"]):
        assert counts_of(alike) == counts_of(table)


def test_counts_of_no_galaxies():
    counts = flags.to_table(table_of([]))
    assert counts["name"].tolist() == list(FLAG_MEANINGS)
    assert not counts["n"].any()
    assert not counts["share"].any()


@pytest.mark.parametrize("kind", [Table, QTable])
def test_names_in_a_table(kind):
    table = table_of([0, 64, 320], "zp", kind)
    named = flags.with_names(table, "zp")
    assert type(named) is kind
    assert named.colnames == table.colnames
    assert named["zp_flags"].tolist() == ["", "LOW_SNR", "LOW_SNR|CROWDED"]
    assert table["zp_flags"].tolist() == [0, 64, 320]
    assert np.shares_memory(np.asarray(named["zp"]), np.asarray(table["zp"]))
    assert flags.with_names(named, "zp")["zp_flags"].tolist() == named["zp_flags"].tolist()
    assert flags.parse(named["zp_flags"]).tolist() == table["zp_flags"].tolist()


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas")

    frame = pandas.DataFrame({"z_phot": [0.1, 0.2], "z_phot_flags": [0, 320]}, index=["a", "b"])
    named = flags.with_names(frame)
    assert named["z_phot_flags"].tolist() == ["", "LOW_SNR|CROWDED"]
    assert named.index.tolist() == ["a", "b"]
    assert frame["z_phot_flags"].tolist() == [0, 320]
    assert counts_of(frame) == counts_of(named) == {"LOW_SNR": 1, "CROWDED": 1}
    assert flags.parse(pandas.Series(["LOW_SNR", None])).tolist() == [64, 0]


@pytest.mark.parametrize("use", [flags.to_table, flags.with_names])
def test_a_table_without_flags(use):
    with pytest.raises(KeyError, match="no column 'z_phot_flags' in the table: give prefix='zp'"):
        use(table_of([0], "zp"))
    with pytest.raises(KeyError, match=r"no column 'z_phot_flags' .*predict adds it"):
        use(Table({"ra": [1.0]}))
