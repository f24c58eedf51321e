# Licensed under a 3-clause BSD style license - see LICENSE
"""Photometric redshifts of any code judged by known ones."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from scipy import stats

from astro_photz import Cutouts, RedshiftPDF, load_model, metrics, predict
from astro_photz.cutouts import CutoutFile
from astro_photz.demo import demo_path
from astro_photz.pdf.columns import pdf_column
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.validation import Validation, validate

EDGES = np.linspace(0, 0.4, 181)
WITH_PDFS = {"crps", "log_score", "cde_loss", "coverage68", "coverage95", "pit_ks", "pit_ad"}
POINTS = {"bias", "sigma_mad", "sigma68", "eta", "n"}


def make_table(n=400, *, width=0.02, claimed=None, seed=0):
    """Galaxies whose photometric redshifts have normal errors of one width, and perhaps claim another."""
    rng = np.random.default_rng(seed)
    z_spec = rng.uniform(0.06, 0.3, n)
    z_phot = rng.normal(z_spec, width)
    return Table(
        {
            "objid": np.arange(n) + 1237648720693755918,
            "ra": rng.uniform(120, 240, n),
            "dec": rng.uniform(0, 60, n),
            "z_spec": z_spec,
            "photo": z_phot,
            "photo_err": np.full(n, claimed or width),
        }
    )


def pdfs_of(table):
    cdf = stats.norm.cdf(EDGES, np.asarray(table["photo"])[:, None], np.asarray(table["photo_err"])[:, None])
    p = np.diff(cdf, axis=1)
    return RedshiftPDF(p / p.sum(axis=1, keepdims=True), EDGES)


def with_columns(table, pdf=None):
    """The table as `predict` leaves one."""
    pdf = pdfs_of(table) if pdf is None else pdf
    table = table.copy()
    table["z_phot"], table["z_phot_err"] = pdf.mean(), pdf.std()
    for level in (68, 95):
        table[f"z_phot_lo{level}"], table[f"z_phot_hi{level}"] = pdf.interval(level / 100).T
    table["z_phot_flags"] = np.where(np.arange(len(table)) % 4, 0, 256).astype(np.int32)
    table["z_phot_pdf"] = pdf_column(pdf.p, EDGES)
    table.meta["z_phot"] = {"model": "mine", "model_version": "1", "model_sha256": "0" * 64}
    return table


def told(validation):
    return "\n".join(validation.verdict)


# Of this package


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A file of images, with redshifts near those that the model gives, but for five."""
    path = tmp_path_factory.mktemp("validation") / "stamps.h5"
    cutouts = gaussian_cutouts(60)
    z_phot = np.asarray(predict(cutouts)["z_phot"])
    redshift = z_phot + np.random.default_rng(0).normal(0, 0.01, 60)
    redshift[:5] += [0.10, 0.30, 0.20, 0.15, 0.25]
    redshift[7] = -9999
    cutouts.write(path, specz_redshift=redshift)
    return path


@pytest.fixture(scope="module")
def judged(labelled):
    return validate(labelled)


def test_a_file_of_images_is_judged_as_it_is_predicted(judged, labelled):
    import h5py

    table = predict(Cutouts.read(labelled), pdf=True)
    with h5py.File(labelled) as file:
        redshift = np.where(file["specz_redshift"][()] < 0, np.nan, file["specz_redshift"][()])
    np.testing.assert_allclose(judged.galaxies["z_phot"], table["z_phot"], atol=1e-6)
    np.testing.assert_array_equal(judged.galaxies["flags"], table["z_phot_flags"])
    off = ((np.asarray(table["z_phot"]) - redshift) / (1 + redshift))[np.isfinite(redshift)]
    assert judged.overall["n"] == judged.sample["n_used"] == 59
    assert judged.sample["not_used"] == {"no redshift": 1}
    assert judged.overall["bias"] == pytest.approx(off.mean(), abs=2e-6)
    assert judged.overall["eta"] == pytest.approx(np.mean(np.abs(off) > 0.05), abs=1e-6)
    assert judged.sample["model"]["sha256"] == load_model().sha256
    assert set(judged.overall) == POINTS | WITH_PDFS


def test_the_stamps_of_the_worst_are_kept(judged, labelled):
    assert list(judged.stamps.ids[:5]) == [1, 4, 2, 3, 0]
    assert list(judged.outliers["row"]) == list(judged.stamps.ids)
    assert (np.diff(np.abs(judged.outliers["deviation"])) <= 0).all()
    np.testing.assert_array_equal(judged.stamps.flux, Cutouts.read(labelled).flux[judged.stamps.ids])


def test_the_three_ways_to_give_images_give_one_verdict(judged, labelled):
    redshift = np.asarray(judged.galaxies["redshift"].filled(np.nan))
    of_cutouts = validate(Cutouts.read(labelled), redshift)
    assert of_cutouts.overall == judged.overall
    table = predict(Cutouts.read(labelled), pdf=True)
    table["z_spec"] = redshift
    assert validate(table).overall == pytest.approx(judged.overall, abs=2e-6)


def test_a_data_frame_is_judged_as_its_table_is():
    pytest.importorskip("pandas")
    source = CutoutFile(demo_path())
    frame = predict(source.catalog().to_pandas(), source=source, pdf=True)
    judged = validate(frame, "redshift")
    assert judged.overall == validate(predict(source.catalog(), source=source, pdf=True), "redshift").overall
    assert judged.sample["model"]["name"] == frame.attrs["z_phot"]["model"]


def test_a_table_and_a_source_are_judged_and_stamps_fetched():
    source = CutoutFile(demo_path())
    table = source.catalog()
    new = validate(table, "redshift", source=source)
    assert new.sample["simulated"]
    assert "The images are simulated" in told(new)
    assert {"r_mag", "z_phot", "ebv"} <= set(new.bins)
    done = predict(table, source=source, pdf=True)
    done["redshift"][3] = 0.9
    again = validate(done, "redshift", source=source)
    assert again.stamps.ids[0] == 3
    assert not np.isnan(again.stamps.flux).all()
    assert validate(done, "redshift").stamps is None
    assert again.sample["n_beyond_grid"] == 1
    assert "1 true redshifts lie beyond the grid of the PDFs, 0 to 0.4" in told(again)


def test_columns_without_pdfs_have_intervals():
    table = with_columns(make_table())
    full = validate(table)
    table.remove_column("z_phot_pdf")
    short = validate(table)
    assert short.sample["kind"] == "intervals"
    assert set(short.overall) == POINTS | {"coverage68", "coverage95"}
    for name in short.overall:
        assert short.overall[name] == pytest.approx(full.overall[name], abs=1e-6)
    assert short.coverage == {"0.68": full.overall["coverage68"], "0.95": full.overall["coverage95"]}
    assert short.pit == []
    assert short.pdf is None
    assert "There are no PDFs" in told(short)
    assert short.sample["model"]["name"] == "mine"


# Of another code


def test_redshifts_with_errors_are_gaussian_pdfs():
    table = make_table(2000)
    validation = validate(table, z_phot="photo", z_err="photo_err")
    assert validation.sample["kind"] == "Gaussian PDFs"
    assert set(validation.overall) == POINTS | WITH_PDFS
    fine = validate(table, pdf=pdfs_of(table))  # bins of 0.002, cut off at 0
    for name in ("bias", "sigma_mad", "crps", "coverage68", "pit_ks"):
        assert validation.overall[name] == pytest.approx(fine.overall[name], abs=0.005), name
    assert "as they should" in told(validation)
    assert "chance can make it so uneven" in told(validation)
    assert "of the estimate and its error" in told(validation)


@pytest.mark.parametrize(("claimed", "word"), [(0.01, "too narrow"), (0.05, "too wide")])
def test_pdfs_of_the_wrong_width_are_told(claimed, word):
    verdict = told(validate(make_table(claimed=claimed), z_phot="photo", z_err="photo_err"))
    assert word in verdict
    assert "the PDFs are not calibrated" in verdict


def test_points_alone_have_the_numbers_of_points():
    table = make_table()
    validation = validate(table, z_phot="photo")
    assert set(validation.overall) == POINTS
    assert validation.errors.keys() == POINTS - {"n"}
    assert validation.unflagged == {}
    assert validation.galaxies["flags"].mask.all()
    arrays = validate(table[["ra", "dec"]], np.asarray(table["z_spec"]), z_phot=np.asarray(table["photo"]))
    assert arrays.overall == validation.overall


def test_a_column_of_pdfs_has_its_grid_with_it():
    table = make_table()
    table["pz"] = pdf_column(pdfs_of(table).p, EDGES)
    column = validate(table, pdf="pz")
    assert column.overall == validate(table, pdf=RedshiftPDF(np.asarray(table["pz"]), EDGES)).overall
    points = validate(table, pdf="pz", z_phot="photo")
    assert points.sample["estimate"] == "photo"
    assert points.overall["crps"] == column.overall["crps"]
    assert points.overall["bias"] == pytest.approx(
        np.mean(metrics.deviation(table["photo"], table["z_spec"])), abs=1e-6
    )


def test_a_file_of_qp_is_read_by_identifiers(tmp_path):
    adapter = pytest.importorskip("astro_photz.adapters.qp")
    pytest.importorskip("qp")
    table = make_table(50)
    pdf = pdfs_of(table)
    adapter.write_qp(tmp_path / "pdfs.hdf5", pdf[::-1], ids=table["objid"][::-1])
    judged = validate(table, pdf=tmp_path / "pdfs.hdf5")
    wanted = validate(table, pdf=pdf)
    assert judged.overall == pytest.approx(wanted.overall, abs=1e-5)


# The sample


def test_bad_redshifts_are_counted_and_left_out():
    table = make_table(100)
    z = MaskedColumn(table["z_spec"])
    z[:6] = [-9999.0, np.nan, -0.5, 99.0, 19.3, -0.002]  # the last is a near galaxy, moving towards us
    z.mask[6] = True
    table["z_spec"] = z
    table["photo"][10:12] = [np.nan, -99.0]
    table["photo_err"][12:15] = [0.0, -1.0, np.nan]
    validation = validate(table, z_phot="photo", z_err="photo_err")
    assert validation.sample["not_used"] == {
        "no redshift": 4,
        "no error, or one that is not above 0": 3,
        "no estimate": 2,
        "a negative redshift": 1,
        "a redshift above 15": 1,
    }
    assert validation.sample["n_used"] == validation.overall["n"] == 89
    assert validation.sample["n_redshift"] == 94
    used = np.asarray(validation.galaxies["used"])
    assert used[5]
    assert not used[[0, 1, 2, 3, 4, 6, *range(10, 15)]].any()
    assert validation.galaxies["deviation"].mask.tolist() == (~used).tolist()
    assert "89 of 100 rows have a redshift and an estimate: 4 have no redshift" in told(validation)


def test_pdfs_that_do_not_sum_to_one_are_counted_and_left_out():
    table = with_columns(make_table(60))
    table["z_phot_pdf"][3] *= 2
    table["z_phot_pdf"][4] *= -1
    validation = validate(table)
    assert validation.sample["not_used"] == {"a PDF that does not sum to 1": 2}
    assert np.isnan(validation.pdf.p[3]).all()
    table["z_phot_pdf"] *= 450.0
    table["z_phot_pdf"].info.meta = {"z_edges": EDGES.tolist()}
    with pytest.raises(ValueError, match=r"no PDF sums to 1: row 0 sums to 450.*Divide densities times bin widths"):
        validate(table)


def test_rows_that_belong_together_count_as_one():
    table = make_table(90)
    assert validate(table, z_phot="photo").sample["n_independent"] == 90
    table["ra"][:10], table["dec"][:10] = 150.0, np.linspace(2, 2 + 0.9 / 3600, 10)  # within 1 arcsec
    table["objid"][10:20] = 7
    table["seed_index"] = np.where(np.arange(90) // 10 == 2, 5, -1)
    table["pair"] = np.where(np.arange(90) // 10 == 3, "a", "")
    found = validate(table, z_phot="photo", groups="pair")
    assert found.sample["n_independent"] == 90 - 4 * 9
    assert "The 90 galaxies are 54 independent ones" in told(found)
    assert len(np.unique(found.galaxies["group"])) == 54


def test_views_of_one_galaxy_have_the_errors_of_one():
    table = make_table(300)
    alone, views = (validate(one, z_phot="photo", z_err="photo_err") for one in (table, table[np.arange(1200) // 4]))
    assert views.sample["n_independent"] == 300
    for name in ("bias", "coverage68"):
        assert views.errors[name] == pytest.approx(alone.errors[name], rel=0.3)
    assert views.pit_ks_by_chance == pytest.approx(alone.pit_ks_by_chance, rel=0.3)


def test_a_small_sample_is_not_judged():
    small = validate(make_table(12), z_phot="photo", z_err="photo_err")
    assert small.sample["enough"] is False
    assert "12 galaxies are too few to tell" in told(small)
    assert "PIT:" not in told(small)
    one = validate(make_table(1), z_phot="photo", z_err="photo_err")
    assert np.isnan(one.errors["bias"])
    assert "its error is not known with fewer than 5 galaxies" in told(one)


def test_a_bias_is_told_where_it_is_significant():
    table = make_table(1000)
    assert "is compatible with 0" in told(validate(table, z_phot="photo"))
    table["photo"] += 0.01
    assert "differs from 0 by" in told(validate(table, z_phot="photo"))


def test_a_model_that_was_trained_on_them_is_told(labelled, monkeypatch):
    seen = type("Overlap", (), {"n": 12})()
    monkeypatch.setattr("astro_photz.validation.overlap.check_unseen", lambda *_, **__: seen)
    found = validate(labelled, resamples=2)
    assert found.sample["n_trained_on"] == 12
    assert "The model was trained on 12 galaxies of these" in told(found)


# Parts


def test_flags_have_a_part_of_their_own():
    table = with_columns(make_table(400))
    table["z_phot"][::4] += 0.2
    validation = validate(table)
    assert validation.sample["n_flagged"] == 100
    assert validation.unflagged["n"] == 300
    assert validation.unflagged["eta"] < 0.05 < validation.overall["eta"]
    assert validation.bins["by_flag"].keys() == {"CROWDED"}
    assert validation.bins["by_flag"]["CROWDED"]["n"] == 100
    assert validation.bins["by_flag"]["CROWDED"]["eta"] > 0.9
    assert "Without the 100 galaxies with a flag" in told(validation)


def test_no_outlier_without_flags_is_told_as_such():
    table = with_columns(make_table(40))
    table["z_phot"] = table["z_spec"]
    assert "and no outlier among" in told(validate(table))


def test_bins_are_of_what_the_table_knows():
    table = make_table(400)
    table["modelMag_r"] = np.where(np.arange(400) < 40, -9999.0, np.linspace(15, 17.9, 400))
    table["extinction"] = 0.1
    table["ebv"] = np.linspace(0, 0.1, 400)
    table["psf_fwhm"] = np.full((400, 5), 1.25)
    validation = validate(table, z_phot="photo", at_least=30)
    assert validation.bins.keys() == {"r_mag", "z_phot", "ebv", "seeing"}
    assert sum(one["n"] for one in validation.bins["r_mag"]) <= 360
    assert [(one["low"], one["n"]) for one in validation.bins["seeing"]] == [(1.2, 400)]
    assert validation.sample["columns"] == {"r_mag": "modelMag_r", "seeing": "psf_fwhm"}
    faintest = validation.bins["r_mag"][-1]
    inside = np.asarray(table["modelMag_r"]) >= faintest["low"]
    assert faintest["bias"] == pytest.approx(
        np.mean(metrics.deviation(table["photo"], table["z_spec"])[inside]), abs=1e-6
    )


def test_the_table_holds_every_number():
    validation = validate(with_columns(make_table()))
    table = validation.table
    whole = table[(table["subset"] == "all") & (table["quantity"] == "")]
    assert dict(zip(whole["metric"], whole["value"], strict=True)) == {
        name: value for name, value in validation.overall.items() if name != "n"
    }
    n_bins = 2 + sum(map(len, validation.bins.values()))  # and those with and without flags
    assert len(table) == n_bins * len(metrics.METRICS)
    assert (table["low"].mask == ~np.isin(table["quantity"], ["z_phot"])).all()


def test_a_file_keeps_all_of_it(judged, tmp_path):
    judged.write(tmp_path / "v.h5")
    read = Validation.read(tmp_path / "v.h5")
    for name in ("sample", "overall", "errors", "bins", "pit", "coverage", "verdict", "pit_ad_by_chance"):
        assert getattr(read, name) == getattr(judged, name), name
    for name in judged.galaxies.colnames:
        np.testing.assert_array_equal(read.galaxies[name], judged.galaxies[name], err_msg=name)
    np.testing.assert_array_equal(read.galaxies["pit"].mask, judged.galaxies["pit"].mask)
    np.testing.assert_allclose(read.pdf.p, judged.pdf.p, atol=1e-7)
    np.testing.assert_array_equal(read.stamps.flux, judged.stamps.flux)
    np.testing.assert_array_equal(read.stamps.ids, judged.stamps.ids)
    with pytest.raises(FileExistsError):
        judged.write(tmp_path / "v.h5")
    judged.write(tmp_path / "v.h5", overwrite=True)


def test_other_files_are_no_validation(labelled, tmp_path):
    with pytest.raises(ValueError, match="is not a validation"):
        Validation.read(labelled)
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(OSError, match="is not an HDF5 file"):
        Validation.read(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError):
        Validation.read(tmp_path / "none.h5")


# Wrong input


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.rename_column("z_spec", "z_spek"), {}, "did you mean 'z_spek'"),
        (lambda t: None, {"z_phot": "phot"}, "z_phot='phot': the table has no such column; did you mean 'photo'"),
        (lambda t: None, {"groups": "fields"}, "groups='fields': the table has no such column"),
        (lambda t: None, {"pdf": "nothing.hdf5"}, "neither a column nor a file"),
    ],
)
def test_a_column_that_is_not_there_is_named(change, options, message):
    table = make_table(20)
    change(table)
    with pytest.raises(KeyError, match=message):
        validate(table, **({"z_phot": "photo"} | options))


def masked(table):
    table["z_spec"] = MaskedColumn(table["z_spec"], mask=True)


def apart(table):
    table["z_spec"][:10] = -9999
    table["photo"][10:] = np.nan


@pytest.mark.parametrize("given", [[[[]], "-inf", "objid"], [None, {}, "?"]])
def test_redshifts_of_no_kind_are_told(given):
    with pytest.raises((ValueError, TypeError), match="redshift"):
        validate(Table({"z_phot": [0.1, 0.2, 0.3], "z_phot_err": [0.01] * 3}), given)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (masked, {}, "column 'z_spec' has no redshift in it; the first value is '--'"),
        (lambda t: t["z_spec"].fill(-9999), {}, "column 'z_spec' has no redshift in it; the first value is '-9999.0'"),
        (lambda t: setattr(t["z_spec"], "unit", u.km / u.s), {}, "unit 'km / s'.*divide it by the speed of light"),
        (apart, {}, "no row has both a redshift and an estimate: 10 have no redshift, 10 have no estimate"),
        (lambda t: t["photo_err"].fill(0), {"z_err": "photo_err"}, "photo_err has no error above 0"),
        (lambda t: None, {"z_phot": None, "z_err": "photo_err"}, "give both, or neither"),
        (lambda t: None, {"redshift": [0.1, 0.2]}, r"redshift= must have the shape \(20,\)"),
        (lambda t: None, {"pdf": RedshiftPDF([[1.0]], [0, 1])}, "pdf must hold 20 PDFs"),
        (lambda t: t["photo"].fill(20.0), {}, "photo has no redshift in it"),
        (
            lambda t: t.remove_column("ra"),
            {"z_phot": None},
            "neither 'z_phot' nor z_phot= of another code.*coordinates",
        ),
    ],
)
def test_wrong_input_is_told(change, options, message):
    table = make_table(20)
    change(table)
    with pytest.raises(ValueError, match=message):
        validate(table, **({"z_phot": "photo"} | options))
