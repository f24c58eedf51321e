# Licensed under a 3-clause BSD style license - see LICENSE
"""The main job: the same rows come back in the same order, each with an estimate or with the reason why not."""

import shutil
from contextlib import nullcontext

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

import astro_photz
from astro_photz.cutouts import Batch, Cutouts
from astro_photz.dust import approximate_ebv, extinction_from_ebv, redden
from astro_photz.flags import BAD, MISSING, PhotozFlag
from astro_photz.inference.columns import QUANTITIES
from astro_photz.models import ModelCard, ModelError, PhotozModel
from astro_photz.models.card import REFERENCE
from astro_photz.testing.factories import gaussian_cutouts
from shared_data import SHARED, needs_shared

NUMBERS = ["", "_err", "_median", "_mode", "_lo68", "_hi68", "_lo95", "_hi95", "_odds"]
ADDED = [f"z_phot{name}" for name in (*NUMBERS, "_ood", "_flags")]


class Shuffled:
    """A source that has all stamps in memory, and yields them in an order of its own."""

    name = "memory"

    def __init__(self, cutouts, *, lose=0, repeat=0, seed=0):
        self.cutouts = cutouts
        self.lose = lose
        self.repeat = repeat
        self.seed = seed

    def batches(self, positions, *, size=64):
        rows = np.random.default_rng(self.seed).permutation(len(positions))
        rows = np.concatenate([rows[self.lose :], rows[: self.repeat]])
        for part in np.array_split(rows, 3):
            cutouts = self.cutouts[part].crop(size)
            cutouts.flux = np.where(positions.valid[part, None, None, None], cutouts.flux, np.nan)
            cutouts.flags |= np.where(positions.valid[part], 0, PhotozFlag.NO_POSITION).astype(np.int32)
            yield Batch(part, cutouts)


def make_table(cutouts, kind=Table):
    """A user's table, with columns of several kinds that are none of our business."""
    n = len(cutouts)
    table = kind({"name": [f"host {i}" for i in range(n)], "ra": cutouts.coord.ra, "dec": cutouts.coord.dec})
    table["counts"] = np.arange(n, dtype=np.int64) * u.ct if kind is Table else np.arange(n, dtype=np.int64)
    table["note"] = MaskedColumn(np.arange(n), mask=np.arange(n) % 2 == 0)
    table.meta["author"] = {"name": "someone"}
    return table


@pytest.mark.parametrize("kind", [Table, QTable])
def test_what_comes_in_comes_back(kind):
    cutouts = gaussian_cutouts(7)
    table = make_table(cutouts, kind)
    before = table.copy()
    result = astro_photz.predict(table, source=Shuffled(cutouts))
    assert type(result) is kind
    assert result.colnames == [*before.colnames, *ADDED]
    for same in (table, result):
        assert (same[before.colnames].as_array() == before.as_array()).all()
        assert [same[name].dtype for name in before.colnames] == [before[name].dtype for name in before.colnames]
        assert same.meta["author"] == {"name": "someone"}
    assert "z_phot" not in table.meta


def test_order_is_that_of_the_table():
    """Whatever the order in which a source yields."""
    cutouts = gaussian_cutouts(20)
    table = make_table(cutouts)
    direct = astro_photz.predict(cutouts)
    for seed in range(3):
        result = astro_photz.predict(table, source=Shuffled(cutouts, seed=seed))
        np.testing.assert_allclose(result["z_phot"], direct["z_phot"], atol=1e-5)
        np.testing.assert_array_equal(result["z_phot_flags"], direct["z_phot_flags"])
    assert np.ptp(direct["z_phot"]) > 1e-3


def test_no_rows_have_the_same_columns():
    cutouts = gaussian_cutouts(3)
    some = astro_photz.predict(make_table(cutouts), source=Shuffled(cutouts), pdf=True)
    none = astro_photz.predict(make_table(cutouts)[:0], source=Shuffled(cutouts), pdf=True)
    assert len(none) == 0
    assert none.colnames == some.colnames
    for name in ADDED:
        assert none[name].dtype == some[name].dtype
        assert isinstance(none[name], MaskedColumn)
    assert none["z_phot_pdf"].shape == (0, *some["z_phot_pdf"].shape[1:])
    assert len(astro_photz.predict(cutouts[:0])) == 0
    assert astro_photz.embed(cutouts[:0]).shape[0] == 0


def test_coordinates_and_cutouts_give_a_qtable():
    cutouts = gaussian_cutouts(2)
    one = cutouts[:1]
    for data, source in ((cutouts.coord, Shuffled(cutouts)), (cutouts, None), (cutouts.coord[0], Shuffled(one))):
        result = astro_photz.predict(data, source=source)
        assert type(result) is QTable
        assert isinstance(result["coord"], SkyCoord)
        assert set(ADDED) <= set(result.colnames)
    np.testing.assert_array_equal(astro_photz.predict(cutouts)["id"], cutouts.ids)


def test_numbers_are_those_of_the_pdf():
    cutouts = gaussian_cutouts(30)
    table = astro_photz.predict(cutouts, pdf=True)
    pdf = astro_photz.RedshiftPDF.from_table(table)
    assert pdf == astro_photz.RedshiftPDF(table["z_phot_pdf"], table.meta["z_phot"]["z_edges"])
    np.testing.assert_allclose(table["z_phot"], pdf.mean(), rtol=1e-5)
    np.testing.assert_allclose(table["z_phot_err"], pdf.std(), rtol=1e-4)
    np.testing.assert_allclose(table["z_phot_mode"], pdf.mode(), rtol=1e-5)
    np.testing.assert_allclose(table["z_phot_odds"], pdf.odds(), rtol=1e-4)
    for name, q in (("lo95", 0.025), ("lo68", 0.16), ("median", 0.5), ("hi68", 0.84), ("hi95", 0.975)):
        np.testing.assert_allclose(pdf.cdf(table[f"z_phot_{name}"]), q, atol=1e-3)
    assert {table[name].dtype for name in ADDED[:-1]} == {np.dtype(np.float32)}
    assert table["z_phot_flags"].dtype == np.int32


@pytest.mark.parametrize("end", QUANTITIES)
def test_every_number_is_described_and_masked_where_there_is_none(end):
    cutouts = gaussian_cutouts(3)
    cutouts.flux[1] = np.nan
    column = astro_photz.predict(cutouts)[f"z_phot{end}"]
    assert column.description
    assert column.mask.tolist() == [False, True, False]
    assert np.isfinite(column.compressed()).all()


def test_likeness_to_known_galaxies_is_a_fraction_or_says_why_it_is_masked(tmp_path):
    cutouts = gaussian_cutouts(4)
    cutouts.flux[1] = np.nan
    shutil.copytree(astro_photz.load_model().path, tmp_path / "bare")
    (tmp_path / "bare" / REFERENCE).unlink(missing_ok=True)
    ModelCard.read(tmp_path / "bare").write(tmp_path / "bare")
    without = astro_photz.predict(cutouts, model=tmp_path / "bare")["z_phot_ood"]
    assert without.mask.all()
    assert np.isnan(np.ma.getdata(without)).all()
    assert "no reference.npz" in without.description
    if REFERENCE in astro_photz.load_model().card.files:
        ood = astro_photz.predict(cutouts)["z_phot_ood"]
        assert ood.mask.tolist() == [False, True, False, False]
        assert ((ood.compressed() >= 0) & (ood.compressed() <= 1)).all()
        assert "farther out" in ood.description


def test_batches_do_not_matter(monkeypatch):
    cutouts = gaussian_cutouts(11)
    whole = astro_photz.predict(cutouts)
    monkeypatch.setattr("astro_photz.inference.engine.BATCH", 4)
    np.testing.assert_allclose(astro_photz.predict(cutouts)["z_phot"], whole["z_phot"], atol=1e-5)


def spoil_position(table, cutouts):
    table["ra"][1] = np.nan


def spoil_declination(table, cutouts):
    table["dec"][1] = 91


def spoil_image(table, cutouts):
    cutouts.flux[1] = np.nan


def spoil_band(table, cutouts):
    cutouts.flux[1, 3] = np.nan


@pytest.mark.parametrize(
    ("spoil", "flag"),
    [
        (spoil_position, "NO_POSITION"),
        (spoil_declination, "NO_POSITION"),
        (spoil_image, "NO_IMAGE"),
        (spoil_band, "NO_BAND"),
    ],
)
def test_a_row_that_cannot_be_estimated_says_why(spoil, flag):
    cutouts = gaussian_cutouts(4)
    table = make_table(cutouts)
    good = astro_photz.predict(table, source=Shuffled(cutouts))
    spoil(table, cutouts)
    result = astro_photz.predict(table, source=Shuffled(cutouts), pdf=True)
    masked = [False, True, False, False]
    for name in NUMBERS:
        assert result[f"z_phot{name}"].mask.tolist() == masked
        np.testing.assert_allclose(result[f"z_phot{name}"][[0, 2, 3]], good[f"z_phot{name}"][[0, 2, 3]], atol=1e-5)
    assert result["z_phot_pdf"].mask.all(axis=1).tolist() == masked
    assert result["z_phot_flags"][1] & MISSING == getattr(PhotozFlag, flag)
    assert not (result["z_phot_flags"][[0, 2, 3]] & MISSING).any()
    embedding = astro_photz.embed(table, source=Shuffled(cutouts))
    assert np.isnan(embedding).all(axis=1).tolist() == masked


@pytest.mark.parametrize("ebv", [np.nan, -0.1, np.inf])
def test_reddening_that_nobody_knows_is_that_of_the_map(ebv):
    cutouts = gaussian_cutouts(4)
    table = make_table(cutouts)
    good = astro_photz.predict(table, source=Shuffled(cutouts))
    cutouts.ebv[1] = ebv
    result = astro_photz.predict(table, source=Shuffled(cutouts))
    flags = np.array(good["z_phot_flags"])
    flags[1] |= PhotozFlag.APPROXIMATE_EBV
    np.testing.assert_array_equal(result["z_phot_flags"], flags)
    np.testing.assert_allclose(result["z_phot"][[0, 2, 3]], good["z_phot"][[0, 2, 3]], atol=1e-5)
    there = cutouts[:]
    there.ebv = np.where(np.arange(4) == 1, approximate_ebv(cutouts.coord), cutouts.ebv)
    expected = astro_photz.predict(table, source=Shuffled(there))
    np.testing.assert_allclose(result["z_phot"], expected["z_phot"], atol=1e-5)
    fetched = astro_photz.fetch(table, source=Shuffled(cutouts))
    np.testing.assert_allclose(fetched.ebv, there.ebv)
    assert fetched.flags.tolist() == [0, PhotozFlag.APPROXIMATE_EBV, 0, 0]
    direct = astro_photz.predict(cutouts)
    np.testing.assert_array_equal(direct["z_phot_flags"], flags)
    cutouts.coord = None
    assert astro_photz.predict(cutouts)["z_phot_flags"][1] & PhotozFlag.NO_EBV


@pytest.mark.parametrize("value", [0.0, -9999.0, 0.25])
def test_images_that_are_changed_later_are_looked_at_too(value):
    """In place, as the images of a source of one's own are filled."""
    cutouts = gaussian_cutouts(4)
    cutouts.flux[1, 3] = value
    cutouts.flux[2] = value
    cutouts.flux[3, :, :20] = value
    result = astro_photz.predict(cutouts)
    table = astro_photz.predict(make_table(cutouts), source=Shuffled(cutouts))
    for flags in (result["z_phot_flags"], table["z_phot_flags"]):
        assert [int(flag) & (MISSING | PhotozFlag.PARTIAL) for flag in flags] == [
            0,
            PhotozFlag.NO_BAND | PhotozFlag.PARTIAL,
            PhotozFlag.NO_IMAGE,
            PhotozFlag.PARTIAL,
        ]
    assert np.isnan(astro_photz.embed(cutouts)).all(axis=1).tolist() == [False, True, True, False]
    fetched = astro_photz.fetch(table["ra", "dec"], source=Shuffled(cutouts))
    assert np.isnan(fetched.flux).sum(axis=(1, 2, 3)).tolist() == [0, 64 * 64, 5 * 64 * 64, 5 * 20 * 64]
    assert fetched.flags.tolist() == [0, PhotozFlag.PARTIAL, PhotozFlag.NO_IMAGE, PhotozFlag.PARTIAL]


@pytest.mark.parametrize("prefix", ["", None, 7])
def test_prefix_that_is_none(prefix):
    with pytest.raises(ValueError, match="prefix must be a text"):
        astro_photz.predict(gaussian_cutouts(1), prefix=prefix)


def test_columns_of_somebody_else_are_not_replaced():
    cutouts = gaussian_cutouts(2)
    for prefix in ("ra", "name"):
        with pytest.raises(ValueError, match=f"column '{prefix}' is not of an earlier run"):
            astro_photz.predict(make_table(cutouts), source=Shuffled(cutouts), prefix=prefix, replace=True)


def test_a_missing_corner_is_a_doubt():
    cutouts = gaussian_cutouts(2)
    cutouts.flux[0, :, :10, :10] = np.nan
    result = astro_photz.predict(cutouts)
    assert not result["z_phot"].mask.any()
    assert result["z_phot_flags"][0] & PhotozFlag.PARTIAL
    assert not result["z_phot_flags"][1] & PhotozFlag.PARTIAL


@pytest.mark.parametrize("fault", [{"lose": 2}, {"repeat": 1}])
def test_a_source_that_loses_or_repeats_a_row_is_caught(fault):
    cutouts = gaussian_cutouts(6)
    with pytest.raises(RuntimeError, match="must yield every row once"):
        astro_photz.predict(make_table(cutouts), source=Shuffled(cutouts, **fault))


def test_columns_are_never_replaced():
    cutouts = gaussian_cutouts(2)
    table = make_table(cutouts)
    table["z_phot_err"] = 0.1
    with pytest.raises(ValueError, match="has a column 'z_phot_err' already: give another prefix than 'z_phot'"):
        astro_photz.predict(table, source=Shuffled(cutouts))
    table["z_phot_flags"] = 0
    again = astro_photz.predict(table, source=Shuffled(cutouts), replace=True, pdf=True)
    assert (again["z_phot_err"] != 0.1).all()
    without = astro_photz.predict(again, source=Shuffled(cutouts), replace=True)
    assert without.colnames == [name for name in again.colnames if name != "z_phot_pdf"]
    result = astro_photz.predict(table, source=Shuffled(cutouts), prefix="zp")
    assert result["zp"].name == "zp"
    assert result.meta["zp"]["model"] == astro_photz.load_model().name
    assert (result["z_phot_err"] == 0.1).all()


def test_what_made_the_table_is_recorded():
    cutouts = gaussian_cutouts(1)
    model, source = astro_photz.load_model(), Shuffled(cutouts)
    source.data_release = 17
    assert astro_photz.predict(make_table(cutouts), source=source).meta["z_phot"] == {
        "astro_photz": astro_photz.__version__,
        "model": model.name,
        "model_version": model.card.version,
        "model_sha256": model.sha256,
        "trained_on": "simulated images",
        "source": "memory",
        "data_release": 17,
        "simulated": False,
        "z_edges": {"start": 0.0, "stop": 0.4, "num": 181},
    }
    record = astro_photz.predict(cutouts).meta["z_phot"]
    assert (record["source"], record["data_release"]) == ("cutouts", -1)


class Peaked(PhotozModel):
    """A model whose PDFs peak in given bins, one for each galaxy."""

    def pdf(self, embedding):
        p = np.full((len(embedding), 180), 0.1 / 179)
        p[np.arange(len(p)), [179, 178, 0, 179]] = 0.9
        return astro_photz.RedshiftPDF(p, self.edges)


def test_a_pdf_that_peaks_in_the_last_bin_is_flagged():
    """And no other one; each has its mode."""
    cutouts = gaussian_cutouts(5)
    cutouts.flux[2] = np.nan  # has no PDF
    table = astro_photz.predict(cutouts, model=Peaked(astro_photz.load_model().path))
    at_the_edge = (table["z_phot_flags"] & PhotozFlag.GRID_EDGE) != 0
    assert at_the_edge.tolist() == [True, False, False, False, True]
    assert table["z_phot_flags"][2] == PhotozFlag.NO_IMAGE
    width = 0.4 / 180
    modes = np.ma.array([179.5, 178.5, 0, 0.5, 179.5], mask=[False, False, True, False, False]) * width
    np.testing.assert_allclose(table["z_phot_mode"].compressed(), modes.compressed(), rtol=1e-5)


def test_a_table_survives_ecsv(tmp_path):
    cutouts = gaussian_cutouts(3)
    cutouts.flux[1] = np.nan
    table = astro_photz.predict(make_table(cutouts), source=Shuffled(cutouts), pdf=True)
    table.write(tmp_path / "z.ecsv")
    again = Table.read(tmp_path / "z.ecsv")
    np.testing.assert_array_equal(again["z_phot"].mask, table["z_phot"].mask)
    np.testing.assert_allclose(again["z_phot_pdf"][0], table["z_phot_pdf"][0])
    assert again.meta["z_phot"] == table.meta["z_phot"]


def test_what_is_masked_is_no_number_underneath():
    """Where a format or a function loses the mask, a galaxy without an estimate is not at redshift 0."""
    cutouts = gaussian_cutouts(3)
    cutouts.flux[1] = np.nan
    table = astro_photz.predict(cutouts, pdf=True)
    names = [name for name in ADDED if name != "z_phot_flags"]
    for name in [*names, "z_phot_pdf"]:
        assert np.isnan(np.asarray(table[name])[1]).all(), name


def test_the_number_of_threads_may_change():
    """The model is the same, and so are its embeddings."""
    model, cutouts = astro_photz.load_model(), gaussian_cutouts(70)
    assert model._encoder.get_session_options().intra_op_num_threads == 1
    expected = model.encode(cutouts.flux, cutouts.ebv)
    for threads in (1, 2, 5):
        with astro_photz.conf.set_temp("inference_threads", threads):
            assert astro_photz.load_model() is model
            np.testing.assert_array_equal(model.encode(cutouts.flux, cutouts.ebv), expected)


def test_nothing_is_drawn_where_there_is_no_terminal(capfd):
    cutouts = gaussian_cutouts(3)
    astro_photz.predict(cutouts, progress=True)
    assert capfd.readouterr() == ("", "")


def test_embeddings_follow_the_images():
    cutouts = gaussian_cutouts(5)
    embedding = astro_photz.embed(cutouts)
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(astro_photz.embed(cutouts[::-1])[::-1], embedding, rtol=1e-4, atol=1e-4)


class Dusty(Shuffled):
    """A source that does not know the reddening: that of the table counts."""

    def batches(self, positions, *, size=64):
        for rows, cutouts, _ in super().batches(positions, size=size):
            cutouts.ebv = positions.ebv[rows]
            yield Batch(rows, cutouts)


@pytest.mark.parametrize("call", [astro_photz.predict, astro_photz.embed])
@pytest.mark.parametrize("progress", [None, True, False])
def test_progress_is_drawn_as_it_is_asked_for(monkeypatch, call, progress):
    asked = []

    def bar(n, wanted, **options):
        asked.append(wanted)
        return nullcontext(lambda k: None)

    monkeypatch.setattr("astro_photz.inference.engine.progress_bar", bar)
    call(gaussian_cutouts(2), progress=progress)
    assert asked == [progress]


def test_embeddings_take_the_release_of_extinctions_that_is_named():
    cutouts = gaussian_cutouts(2)
    table = make_table(cutouts)
    table["e_bv"] = extinction_from_ebv([0.15, 0.3]).round(1)
    old, new = (astro_photz.embed(table, source=Dusty(cutouts), extinction_release=release) for release in (9, 18))
    assert np.abs(old - new).max() > 0.01


def test_embeddings_need_no_redshift_head():
    cutouts = gaussian_cutouts(3)
    (name,) = (row["name"] for row in astro_photz.list_models() if not row["redshifts"] and row["simulated"])
    embedding = astro_photz.embed(cutouts, model=name)
    assert np.isfinite(embedding).all()
    with pytest.raises(ModelError, match="gives no redshifts"):
        astro_photz.predict(cutouts, model=name)


def test_embeddings_are_made_with_the_columns_that_are_named():
    cutouts = gaussian_cutouts(5)
    mine = np.linspace(0.05, 0.25, 5)
    table = make_table(cutouts)
    table["ebv"], table["mine"], table["lambda"] = 0.01, mine, table["ra"]
    table["ra"] = np.nan
    found = astro_photz.embed(table, source=Dusty(cutouts), ra="lambda", dec="dec", ebv="mine")
    cutouts.ebv = mine.astype(np.float32)
    np.testing.assert_allclose(found, astro_photz.embed(cutouts), rtol=1e-4, atol=1e-4)
    cutouts.ebv = np.full(5, 0.01, dtype=np.float32)
    assert np.abs(found - astro_photz.embed(cutouts)).max() > 0.01


# The bundled model


def demo():
    return Cutouts.read(astro_photz.demo_path())


def real_galaxies():
    table = Table.read(SHARED / "real_galaxies.ecsv")
    return table, astro_photz.FrameDirectory(SHARED / "sdss_frames")


def turned_and_mirrored(cutouts):
    for turns in range(4):
        for mirrored in (False, True):
            flux = np.rot90(cutouts.flux, turns, axes=(2, 3))
            flux = np.ascontiguousarray(flux[..., ::-1] if mirrored else flux)
            yield Cutouts(flux, ebv=cutouts.ebv)


@pytest.mark.parametrize("sample", ["demo", pytest.param("real", marks=needs_shared)])
def test_how_a_galaxy_lies_does_not_matter(sample):
    if sample == "demo":
        cutouts = demo()
    else:
        table, source = real_galaxies()
        cutouts = astro_photz.fetch(table, source=source)
    reference = astro_photz.predict(cutouts)
    _, *others = (astro_photz.predict(other)["z_phot"] for other in turned_and_mirrored(cutouts))  # one is as it was
    change = np.abs(others - reference["z_phot"]) / reference["z_phot_err"]
    assert np.mean(change < 0.5) >= 0.95  # learnt, not built in
    assert np.ma.median(change) < 0.1


def test_dust_that_is_known_of_does_not_matter():
    """Also where pixels are missing."""
    cutouts = demo()
    cutouts.flux[:3, :, :, :9] = np.nan
    reddened = Cutouts(redden(cutouts.flux, ebv=np.full(len(cutouts), 0.2)), ebv=cutouts.ebv + 0.2)
    change = astro_photz.predict(reddened)["z_phot"] - astro_photz.predict(cutouts)["z_phot"]
    assert np.abs(change).max() < 1e-4


def test_dust_that_is_not_known_of_does():
    cutouts = demo()
    reddened = Cutouts(redden(cutouts.flux, ebv=np.full(len(cutouts), 0.2)), ebv=cutouts.ebv)
    change = astro_photz.predict(reddened)["z_phot"] - astro_photz.predict(cutouts)["z_phot"]
    assert np.ma.median(np.abs(change)) > 1e-3


def test_redshifts_of_simulated_galaxies_rank_as_the_true_ones():
    """But for those whose flags say that they may not."""
    from scipy.stats import spearmanr

    source = astro_photz.CutoutFile(astro_photz.demo_path())
    table = astro_photz.predict(source.catalog(), source=source)
    good = (table["z_phot_flags"] & BAD) == 0
    assert good.sum() >= 20
    assert spearmanr(table["redshift"][good], table["z_phot"][good]).statistic > 0.95


@pytest.fixture(scope="module")
def clean_galaxies():
    """Redshift, its error, and that from the colours of the catalogue, of 16 real galaxies (16,) each."""
    galaxies, source = real_galaxies()
    table = astro_photz.predict(galaxies, source=source)
    assert (table["ra"] == galaxies["ra"]).all()
    assert not table["z_phot"].mask.any()

    clean = np.ma.filled(table["clean"], False)
    assert clean.sum() == 16
    return tuple(np.asarray(table[name][clean]) for name in ("z_phot", "z_phot_err", "z_photometric"))


@needs_shared
def test_redshifts_of_real_galaxies_are_those_of_their_colours(clean_galaxies):
    """
    Sixteen galaxies tell whether the chain works on real images, not how well. Nothing is fitted to them.

    Redshifts from their colours are good to about 0.015; with that, the errors must be right: neither too small nor too
    large for the deviations.
    """
    from scipy.stats import chi2, spearmanr

    z, error, reference = clean_galaxies
    deviation = (z - reference) / (1 + reference)
    assert spearmanr(z, reference).statistic >= 0.8
    assert abs(np.median(deviation)) <= 0.010
    square = np.sum(deviation**2 / ((error / (1 + reference)) ** 2 + 0.015**2))
    low, high = chi2.ppf([0.005, 0.995], len(z))
    assert low <= square <= high


@needs_shared
@pytest.mark.xfail(reason="not reached: 0.031, and 0.024 by version 4 of the model", strict=True)
def test_redshifts_of_real_galaxies_scatter_by_a_fiftieth(clean_galaxies):
    z, _, reference = clean_galaxies
    assert np.sqrt(np.mean(((z - reference) / (1 + reference)) ** 2)) <= 0.02
