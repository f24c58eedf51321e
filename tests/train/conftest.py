# Licensed under a 3-clause BSD style license - see LICENSE
"""Files of stamps and trainings that several modules look at."""

import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Files to train on and to validate on, and one without labels."""
    from small_runs import write_stamps

    folder = tmp_path_factory.mktemp("data")
    write_stamps(folder / "train.h5")
    write_stamps(folder / "validation.h5", 100, seed=1)  # as many as a calibration takes
    write_stamps(folder / "unlabelled.h5", labels=False)
    return folder


@pytest.fixture(scope="session")
def pretrained(data):
    """The folder of a pretraining."""
    from small_runs import MACHINE, small_recipe

    from astro_photz.train import pretrain

    folder = data / "pretrained"
    pretrain(small_recipe(), data / "unlabelled.h5", folder, validation=data / "validation.h5", machine=MACHINE)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(data, tmp_path_factory):
    """The folder of a fine-tuning that was not interrupted, and its metrics."""
    from small_runs import finetuned

    folder = tmp_path_factory.mktemp("run") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        return folder, finetuned(data, folder, patch)
