# Licensed under a 3-clause BSD style license - see LICENSE
"""No reader of an HDF5 file takes values from another one, whatever leads there."""

import os

import h5py
import numpy as np
import pytest

from astro_photz.adapters.qp import read_qp
from astro_photz.similarity.embeddings import read_embeddings
from astro_photz.validation.result import Validation

N = 4


def external_link(file, name, other):
    file[name] = h5py.ExternalLink(str(other), "/x")


def external_storage(file, name, other):
    file.create_dataset(name, (N, 2), "f4", external=[(str(other), 0, N * 8)])


def virtual(file, name, other):
    layout = h5py.VirtualLayout((N, 2), "f4")
    layout[:] = h5py.VirtualSource(str(other), "x", (N, 2))
    file.create_virtual_dataset(name, layout)


def link_to_nothing(file, name, other):
    file[name] = h5py.SoftLink("/not/there")


LEADS = external_link, external_storage, virtual, link_to_nothing
READERS = {
    "embeddings": (read_embeddings, {"id": np.arange(N)}, ("embedding", "id")),
    "validation": (Validation.read, {}, ("galaxies", "pdf/p", "stamps/images", "numbers")),
    "qp": (read_qp, {"meta/pdf_name": np.array([b"hist"])}, ("data/pdfs", "meta/bins")),
}


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize(("reader", "name"), [(reader, name) for reader in READERS for name in READERS[reader][2]])
def test_what_leads_out_of_a_file_is_refused(tmp_path, reader, name, lead):
    read, sound, _ = READERS[reader]
    if reader == "qp":
        pytest.importorskip("qp")
    path, other = tmp_path / "file.h5", tmp_path / "other"
    os.mkfifo(other)  # whoever opens it waits for ever
    with h5py.File(path, "w") as file:
        if reader == "validation":
            file.attrs.update(kind="validation", form=1)
        for other_name, values in sound.items():
            if other_name != name:
                file[other_name] = values
        lead(file, name, other)
    with pytest.raises(ValueError, match=r"file\.h5"):
        read(path)


def test_a_pipe_without_end_is_no_table(tmp_path, monkeypatch):
    from astro_photz.tables import read_table, reading

    monkeypatch.setattr(reading, "_LONGEST", 100_000)
    with pytest.raises(ValueError, match=r"/dev/zero: more than 0 GiB came through a pipe: give the name of a file"):
        read_table("/dev/zero")


@pytest.mark.parametrize("form", ["votable.parquet", "parquet.votable"])
def test_a_format_that_names_another_file_is_refused(tmp_path, form):
    from astro_photz.tables import read_table

    path = tmp_path / "hosts.vot"
    path.write_text("<VOTABLE></VOTABLE>")
    with pytest.raises(ValueError, match="its values are in another file"):
        read_table(path, format=form)
