# Licensed under a 3-clause BSD style license - see LICENSE
"""Embeddings as a HATS catalogue: Parquet by pixels of HEALPix, which other programs open and join."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy_healpix import HEALPix

parquet = pytest.importorskip("pyarrow.parquet")

from galaxies_to_search import catalogue, embeddings

import astro_photz
from astro_photz.inference.embedding_files import embed_to_file
from astro_photz.similarity import SimilarityIndex, read_embeddings, write_hats

N, DIM = 1000, 6


def whole_sky(n=N, seed=5):
    table = catalogue(n)
    rng = np.random.default_rng(seed)
    table["ra"] = rng.uniform(0, 360, n) * u.deg
    table["dec"] = np.degrees(np.arcsin(rng.uniform(-1, 1, n))) * u.deg
    return table


def properties(path):
    lines = (path / "hats.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def read_all(path):
    """Rows of all files, in the order of the partitions."""
    lines = (path / "partition_info.csv").read_text().splitlines()
    assert lines[0] == "Norder,Npix"
    parts = []
    for order, pixel in (map(int, line.split(",")) for line in lines[1:]):
        file = path / "dataset" / f"Norder={order}" / f"Dir={pixel // 10_000 * 10_000}" / f"Npix={pixel}.parquet"
        parts.append((order, pixel, parquet.ParquetFile(file).read()))
    assert len(parts) == len(list(path.rglob("*.parquet")))
    return parts


@pytest.mark.parametrize("rows_per_file", [30, 10_000])
def test_every_galaxy_is_in_the_file_of_its_pixel(tmp_path, rows_per_file):
    table = whole_sky()
    table["ra"][3] = np.nan
    index = SimilarityIndex.build(embeddings(N, DIM), table=table)
    path = tmp_path / "sky"
    assert write_hats(index, path, rows_per_file=rows_per_file) == N - 1
    seen = []
    for order, pixel, part in read_all(path):
        ra, dec = part["ra"].to_numpy() * u.deg, part["dec"].to_numpy() * u.deg
        assert len(part) <= rows_per_file
        assert set(HEALPix(2**order, order="nested").lonlat_to_healpix(ra, dec)) == {pixel}
        fine = part["_healpix_29"].to_numpy()
        np.testing.assert_array_equal(fine, HEALPix(2**29, order="nested").lonlat_to_healpix(ra, dec))
        assert (np.diff(fine) >= 0).all()
        rows = index.rows_of(part["id"].to_numpy())
        seen += rows.tolist()
        vectors = np.array(part["vector"].to_pylist())
        np.testing.assert_array_equal(vectors, np.asarray(index.vectors[rows], dtype=np.float32))
        assert part["type"].to_pylist() == index.catalogue["type"][rows].tolist()
        masked = [value is None for value in part["r_mag"].to_pylist()]
        assert masked == np.ma.getmaskarray(Table(index.catalogue)["r_mag"])[rows].tolist()
    assert sorted(seen) == [row for row in range(N) if row != 3]


def test_the_catalogue_tells_about_itself(tmp_path):
    index = SimilarityIndex.build(embeddings(N, DIM), table=whole_sky())
    path = tmp_path / "sky"
    write_hats(index, path, name="mine", rows_per_file=30)
    told = properties(path)
    parts = read_all(path)
    assert (told["obs_collection"], told["hats_nrows"], told["dataproduct_type"]) == ("mine", str(N), "object")
    assert (told["hats_col_ra"], told["hats_col_dec"], told["hats_col_healpix"]) == ("ra", "dec", "_healpix_29")
    assert int(told["hats_order"]) == max(order for order, _, _ in parts)
    sky = sum(4.0**-order for order, _, _ in parts) / 12
    assert float(told["moc_sky_fraction"]) == pytest.approx(sky, abs=1e-5)
    assert (path / "properties").read_text() == (path / "hats.properties").read_text()
    summary = parquet.read_metadata(path / "dataset" / "_metadata")
    assert (summary.num_rows, summary.num_row_groups) == (N, len(parts))
    files = {summary.row_group(one).column(0).file_path for one in range(len(parts))}
    assert {f"Norder={order}/Dir=0/Npix={pixel}.parquet" for order, pixel, _ in parts} == files
    assert parquet.read_schema(path / "dataset" / "_common_metadata").names == parts[0][2].schema.names


def test_a_file_of_embeddings_is_written_with_its_model(tmp_path):
    embed_to_file(astro_photz.demo_path(), tmp_path / "demo.h5")
    path = tmp_path / "demo_hats"
    assert write_hats(tmp_path / "demo.h5", path, rows_per_file=5) == 24
    file = read_embeddings(tmp_path / "demo.h5")
    expected = np.concatenate(list(file.blocks()))
    for _, _, part in read_all(path):
        assert json.loads(part.schema.metadata[b"astro_photz"])["encoder_sha256"] == file.record["encoder_sha256"]
        rows = np.searchsorted(file.ids, part["id"].to_numpy())
        np.testing.assert_array_equal(np.array(part["embedding"].to_pylist(), dtype=np.float32), expected[rows])
        np.testing.assert_array_equal(part["flags"].to_numpy(), file.flags[rows])
    assert not list(path.rglob("*.scratch"))


def test_only_a_catalogue_is_replaced(tmp_path):
    index = SimilarityIndex.build(embeddings(50, DIM), table=whole_sky(50))
    path = tmp_path / "sky"
    write_hats(index, path)
    with pytest.raises(FileExistsError, match="overwrite"):
        write_hats(index, path)
    write_hats(index, path, overwrite=True, rows_per_file=3)
    assert len(read_all(path)) > 12
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="not a HATS catalogue"):
        write_hats(index, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_without_positions_there_is_no_catalogue(tmp_path):
    with pytest.raises(ValueError, match="no positions"):
        write_hats(SimilarityIndex.build(embeddings(9, DIM)), tmp_path / "sky")
    nowhere = whole_sky(9)
    nowhere["ra"][:] = np.nan
    with pytest.raises(ValueError, match="no galaxy of 9 has a position"):
        write_hats(SimilarityIndex.build(embeddings(9, DIM), table=nowhere), tmp_path / "sky")
    assert not list(tmp_path.iterdir())
