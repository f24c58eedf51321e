# Licensed under a 3-clause BSD style license - see LICENSE
"""PDFs to qp and back, and those of other codes: against exact integrals and qp's own numbers."""

import gc
import sys
import warnings

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from scipy import stats

from astro_photz import RedshiftPDF, demo_path
from astro_photz.adapters.qp import from_qp, read_qp, to_qp, write_qp

qp = pytest.importorskip("qp", reason="needs the extra [qp]")

EDGES = np.linspace(0, 0.5, 251)
LOC, SCALE = np.array([0.10, 0.15, 0.22]), np.array([0.010, 0.020, 0.015])
EXACT = np.diff(stats.norm.cdf(EDGES, LOC[:, None], SCALE[:, None]))
"""Probabilities of three Gaussians in the bins."""


def random_pdf(n=5, k=180, *, end=0.4, seed=0):
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), n)
    return RedshiftPDF(p, np.linspace(0, end, k + 1))


def gaussians():
    return qp.Ensemble(qp.stats.norm, data={"loc": LOC, "scale": SCALE})


def mixtures():
    """Each Gaussian as the sum of two equal halves."""
    data = {"means": np.stack([LOC, LOC], 1), "stds": np.stack([SCALE, SCALE], 1), "weights": np.full((3, 2), 0.5)}
    return qp.Ensemble(qp.mixmod, data=data)


def points(n=1001, *, own=False):
    z = np.linspace(0, 0.5, n)
    density = stats.norm.pdf(z, LOC[:, None], SCALE[:, None])
    if own:
        return qp.Ensemble(qp.interp_irregular, data={"xvals": np.tile(z, (3, 1)), "yvals": density})
    return qp.Ensemble(qp.interp, data={"xvals": z, "yvals": density})


def quantiles(n=100):
    levels = np.linspace(1e-4, 1 - 1e-4, n)
    locs = stats.norm.ppf(levels, LOC[:, None], SCALE[:, None])
    return qp.Ensemble(qp.quant, data={"quants": levels, "locs": locs})


OTHERS = {
    "Gaussians": (gaussians, 1e-12),
    "mixtures": (mixtures, 1e-12),
    "histograms": (lambda: gaussians().convert_to(qp.hist, bins=EDGES), 1e-12),
    "finer histograms": (lambda: gaussians().convert_to(qp.hist, bins=np.linspace(0, 0.5, 501)), 1e-12),
    "points": (points, 2e-5),
    "points of each row": (lambda: points(own=True), 2e-5),
    "quantiles": (quantiles, 2e-3),
    "splines": (lambda: gaussians().convert_to(qp.spline, xvals=np.linspace(0, 0.5, 201), method="xy"), 1e-5),
}
"""Ensembles of the same three Gaussians, and how near the probability in a bin comes to the exact one."""


# To qp


def test_qp_finds_the_same_numbers():
    pdf = random_pdf()
    ensemble = to_qp(pdf)
    levels = [0.025, 0.16, 0.5, 0.84, 0.975]
    np.testing.assert_allclose(ensemble.ppf(np.array(levels)), pdf.quantile(levels), atol=1e-12)
    np.testing.assert_allclose(np.ravel(ensemble.mean()), pdf.mean(), atol=1e-12)
    np.testing.assert_allclose(ensemble.pdf(pdf.grid), pdf.p / pdf.widths, rtol=1e-12)
    for z in (-0.1, 0.0, 0.123, 0.4, 1.0):
        np.testing.assert_allclose(np.ravel(ensemble.cdf(z)), pdf.cdf(z), atol=1e-12)


def test_qp_leaves_the_width_of_the_bins_out_of_the_standard_deviation():
    """The docs say so; if qp does otherwise one day, they must too."""
    pdf = random_pdf()
    np.testing.assert_allclose(np.ravel(to_qp(pdf).std()) ** 2 + pdf.widths[0] ** 2 / 12, pdf.std() ** 2, rtol=1e-9)


@pytest.mark.parametrize(
    "ids",
    [
        [1237653651835781245, 1237653651835781246, 7],
        ["NGC 2967", "é", ""],
        np.array([b"a", b"bc", b"d"]),
        np.array(["a", "bc", "d"], dtype=object),
        None,
    ],
    ids=["numbers", "text", "bytes", "objects", "none"],
)
@pytest.mark.parametrize(
    "edges", [np.linspace(0, 0.4, 5), np.array([0.0, 0.1, 0.15, 0.7, 2.0])], ids=["even", "uneven"]
)
def test_a_file_gives_back_all(tmp_path, ids, edges):
    pdf = RedshiftPDF(np.random.default_rng(1).dirichlet(np.ones(4), 3), edges)
    write_qp(tmp_path / "pdfs.hdf5", pdf, ids)
    again, ids_again = read_qp(tmp_path / "pdfs.hdf5")
    np.testing.assert_allclose(again.p, pdf.p, rtol=1e-14)
    np.testing.assert_array_equal(again.edges, pdf.edges)
    if ids is None:
        assert ids_again is None
    else:
        expected = [one.decode() if isinstance(one, bytes) else one for one in np.asarray(ids).tolist()]
        assert ids_again.tolist() == expected


def test_a_single_galaxy_and_none_at_all(tmp_path):
    for n in (1, 0):
        pdf = RedshiftPDF(random_pdf().p[:n], random_pdf().edges)
        write_qp(tmp_path / f"{n}.hdf5", pdf, np.arange(n))
        again, ids = read_qp(tmp_path / f"{n}.hdf5")
        np.testing.assert_allclose(again.p, pdf.p, rtol=1e-14)
        assert ids.tolist() == list(range(n))


def test_galaxies_without_an_estimate_stay_in_their_place(tmp_path):
    pdf = random_pdf()
    p = pdf.p.copy()
    p[[1, 3]] = np.nan
    with pytest.warns(AstropyUserWarning, match="2 of 5 galaxies have no estimate: their PDFs are flat"):
        write_qp(tmp_path / "pdfs.hdf5", RedshiftPDF(p, pdf.edges), list("abcde"))
    ensemble = qp.read(str(tmp_path / "pdfs.hdf5"))
    assert ensemble.ancil["estimated"].tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(ensemble.pdf(pdf.grid)[1], 1 / 0.4)
    again, ids = read_qp(tmp_path / "pdfs.hdf5")
    np.testing.assert_allclose(again.p, p, rtol=1e-14)
    assert "".join(ids) == "abcde"


def test_ancillary_data_come_along():
    flags = MaskedColumn([0, 64, 1, 0, 0], dtype="int32")
    r = MaskedColumn([15.0, 16.0, 17.0, 18.0, 19.0], mask=[False, True, False, False, False])
    for given in ({"flags": flags, "r": r}, Table({"flags": flags, "r": r})):
        ancil = to_qp(random_pdf(), ancil=given).ancil
    assert ancil["flags"].dtype == np.int32
    np.testing.assert_array_equal(ancil["r"], [15, np.nan, 17, 18, 19])
    assert not isinstance(ancil["r"], np.ma.MaskedArray)


# From qp


@pytest.mark.parametrize("name", OTHERS)
def test_any_parameterization_is_integrated_over_the_bins(name):
    make, tolerance = OTHERS[name]
    pdf, ids = from_qp(make(), EDGES)
    np.testing.assert_allclose(pdf.p, EXACT, atol=tolerance)
    assert ids is None


@pytest.mark.parametrize("name", sorted(OTHERS.keys() - {"splines"}))
def test_bins_are_found_where_none_are_given(name):
    pdf, _ = from_qp(OTHERS[name][0]())
    np.testing.assert_allclose(pdf.mean(), LOC, atol=1e-4)
    np.testing.assert_allclose(pdf.std(), SCALE, rtol=0.03)
    np.testing.assert_allclose(
        pdf.quantile([0.16, 0.84]), stats.norm.ppf([0.16, 0.84], LOC[:, None], SCALE[:, None]), atol=3e-4
    )


def test_few_quantiles_are_joined_without_a_fall():
    pdf, _ = from_qp(quantiles(11), EDGES)
    assert (pdf.p >= 0).all()
    np.testing.assert_allclose(pdf.median(), LOC, atol=1e-3)


def test_densities_between_points_are_straight_lines():
    triangle = qp.Ensemble(qp.interp, data={"xvals": np.array([0.0, 0.2, 0.4]), "yvals": np.array([[0.0, 5.0, 0.0]])})
    pdf, _ = from_qp(triangle, np.linspace(0, 0.4, 5))
    np.testing.assert_allclose(pdf.p, [[0.125, 0.375, 0.375, 0.125]], rtol=1e-12)


def test_rows_do_not_depend_on_each_other():
    n = 2300
    rng = np.random.default_rng(2)
    loc, scale = rng.uniform(0.1, 0.4, n), rng.uniform(0.005, 0.02, n)
    pdf, ids = from_qp(
        qp.Ensemble(qp.stats.norm, data={"loc": loc, "scale": scale}, ancil={"object_id": np.arange(n)}), EDGES
    )
    exact = np.diff(stats.norm.cdf(EDGES, loc[:, None], scale[:, None]))
    np.testing.assert_allclose(pdf.p, exact, atol=1e-6)
    np.testing.assert_array_equal(ids, np.arange(n))


def test_a_little_beyond_the_bins_is_left_out():
    pdf, _ = from_qp(gaussians(), np.linspace(0, 0.27, 101))  # 4e-4 of the last one lies beyond
    np.testing.assert_allclose(pdf.p.sum(axis=1), 1, rtol=1e-12)


def test_bins_that_do_not_reach_are_refused():
    with pytest.raises(ValueError, match=r"2 of 3 PDFs have more than 0\.1% .* from 0 to 0\.2; row 2 has 90\.9%: give"):
        from_qp(gaussians(), np.linspace(0, 0.2, 101))


def test_a_row_without_probability_is_a_galaxy_without_an_estimate():
    density = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [np.nan, 1.0, 1.0]])
    for make in (
        lambda: qp.Ensemble(qp.hist, data={"bins": np.linspace(0, 0.3, 4), "pdfs": density}),
        lambda: qp.Ensemble(qp.interp, data={"xvals": np.linspace(0, 0.2, 3), "yvals": density}),
    ):
        with np.errstate(invalid="ignore"), pytest.warns():  # as qp tells whoever makes it
            ensemble = make()
        with pytest.warns(
            AstropyUserWarning, match="2 of 3 PDFs of the ensemble are not finite, that of row 1 for one"
        ):
            pdf, _ = from_qp(ensemble)
        assert np.isnan(pdf.mean()).tolist() == [False, True, True]


def test_a_file_tells_once_of_rows_that_are_not_finite(tmp_path):
    density = np.array([[1.0, 2.0, 1.0], [np.nan, 1.0, 1.0]])
    with pytest.warns(RuntimeWarning, match="non-finite"):
        ensemble = qp.Ensemble(qp.hist, data={"bins": np.linspace(0, 0.3, 4), "pdfs": density})
    ensemble.write_to(str(tmp_path / "pdfs.hdf5"))
    with pytest.warns(AstropyUserWarning, match="1 of 2 PDFs of the ensemble are not finite") as told:
        pdf, _ = read_qp(tmp_path / "pdfs.hdf5")
    assert len(told) == 1
    assert np.isnan(pdf.mean()).tolist() == [False, True]


def test_identifiers_are_found_by_name():
    ensemble = gaussians()
    ensemble.set_ancil({"name": np.array(["a", "b", "c"]), "objid": np.array([[3], [2], [1]])})
    assert from_qp(ensemble, EDGES)[1].tolist() == [3, 2, 1]
    assert from_qp(ensemble, EDGES, ids="name")[1].tolist() == ["a", "b", "c"]
    with pytest.raises(KeyError, match="did you mean 'name'"):
        from_qp(ensemble, EDGES, ids="names")
    with pytest.raises(KeyError, match="no ancillary data"):
        from_qp(gaussians(), EDGES, ids="name")


def test_files_of_qp_itself_are_read(tmp_path):
    for ending in ("hdf5", "fits"):
        path = tmp_path / f"pdfs.{ending}"
        points(301).write_to(str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # qp leaves FITS files open
            pdf, _ = read_qp(path, EDGES)
            gc.collect()
        np.testing.assert_allclose(pdf.mean(), LOC, atol=1e-4)


# Bad input


def test_bad_pdfs_are_refused():
    with pytest.raises(TypeError, match=r"a RedshiftPDF, such as RedshiftPDF\.from_table"):
        to_qp(random_pdf().p)
    with pytest.raises(ValueError, match="two bins or more"):
        to_qp(RedshiftPDF([[1.0]], [0.1, 0.3]))
    with pytest.raises(ValueError, match=r"id must have one value for each of 5 galaxies, got \(2,\)"):
        to_qp(random_pdf(), [1, 2])
    for name in ("id", "estimated"):
        with pytest.raises(ValueError, match=f"{name!r} are written here"):
            to_qp(random_pdf(), list("abcde"), ancil={name: np.arange(5)})


def test_bad_ensembles_are_refused():
    with pytest.raises(TypeError, match=r"a qp\.Ensemble, such as qp\.read gives; got str"):
        from_qp("pdfs.hdf5")
    for edges in ([0.1], [0.2, 0.1], [[0.1, 0.2]]):
        with pytest.raises(ValueError, match="redshifts that increase"):
            from_qp(gaussians(), edges)
    with pytest.raises(ValueError, match="this ensemble of spline: give edges"):
        from_qp(OTHERS["splines"][0]())
    unknown = qp.Ensemble(qp.stats.norm, data={"loc": np.array([0.1, -9999]), "scale": np.array([0.01, 0.01])})
    with pytest.raises(ValueError, match=r"reach from -9999\.04 to 0\.14\. Leave out the rows without a redshift"):
        from_qp(unknown)
    data = {"xvals": np.linspace(0, 0.5, 5), "yvals": np.array([[0.0, 5.0, -2.0, 3.0, 0.0]])}
    with pytest.warns(RuntimeWarning, match="negative"):  # as qp tells whoever makes it
        negative = qp.Ensemble(qp.interp, data=data)
    with pytest.raises(ValueError, match="row 0 is no PDF: negative densities"):
        from_qp(negative, EDGES)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_qp(tmp_path / "absent.hdf5")
    (tmp_path / "text.hdf5").write_text("z_phot\n0.1\n")
    with pytest.raises(ValueError, match=r"text\.hdf5 is not a file of qp"):
        read_qp(tmp_path / "text.hdf5")
    with pytest.raises(ValueError, match=r"demo\.h5 is not a file of qp: it has no groups meta and data"):
        read_qp(demo_path())
    with pytest.raises(ValueError, match=r"ends with \.hdf5; got pdfs\.h5"):
        write_qp(tmp_path / "pdfs.h5", random_pdf())
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_qp(tmp_path / "absent" / "pdfs.hdf5", random_pdf())
    write_qp(tmp_path / "pdfs.hdf5", random_pdf())
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_qp(tmp_path / "pdfs.hdf5", random_pdf())
    write_qp(tmp_path / "pdfs.hdf5", random_pdf(2), overwrite=True)
    assert len(read_qp(tmp_path / "pdfs.hdf5")[0]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pdfs.hdf5", "text.hdf5"]


def test_without_qp_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "qp", None)
    with pytest.raises(ImportError, match=r'pip install "astro-photz\[qp\]"'):
        to_qp(random_pdf())
