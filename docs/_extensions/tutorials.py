# Licensed under a 3-clause BSD style license - see LICENSE
"""
How sphinx-gallery runs the tutorials: in this order, each from the same random state, and without a network.
"""

import logging
import random
import socket
import warnings
from pathlib import Path

import numpy as np

SECTIONS = {
    "first_steps": ["first_redshifts", "reading_flags", "pdf_uses"],
    "your_data": ["supernova_hosts", "virtual_observatory", "dataframe", "frames", "million_rows"],
    "check": ["own_sample", "another_code", "dust", "qp_ensembles"],
    "explore": ["similar_galaxies"],
    "own_model": ["simulated_survey", "few_labels", "pretraining"],
}
ORDER = [name for names in SECTIONS.values() for name in names]

_LOCAL = ("127.0.0.1", "::1", "localhost")
_connect = socket.socket.connect


def position(filename):
    """Sort the tutorials of a section; one that `SECTIONS` does not name is an error."""
    return ORDER.index(Path(filename).stem)


def reset(gallery_conf, filename, when):
    """Put back what a tutorial may have changed, and keep it from the network while it runs."""
    import torch

    socket.socket.connect = _connect_locally if when == "before" else _connect
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    warnings.resetwarnings()
    warnings.filterwarnings("ignore", message=".*is non-interactive.*")  # plt.show() has no window here
    logging.getLogger("astro_photz").setLevel(logging.ERROR)  # notices of long waits, which depend on the machine
    logging.getLogger("lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def _connect_locally(self, address):
    """Refuse connections to other machines: a tutorial that needs one would fail for readers without a network."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOCAL:
        raise ConnectionRefusedError(f"a tutorial must not use the network, but asks for {address[0]}")
    return _connect(self, address)
