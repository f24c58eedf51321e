# Licensed under a 3-clause BSD style license - see LICENSE
"""Flags of PDFs: at the end of the grid, beyond the training, with two peaks."""

import numpy as np
import pytest

from astro_photz import PhotozFlag, RedshiftPDF
from astro_photz.quality.pdfs import flag_pdfs, is_bimodal, leans_on_end

EDGES = np.linspace(0, 0.4, 181)
RANGE = {"redshift": [0.02, 0.344]}


def pdf_of(*peaks):
    """A PDF of Gaussian peaks: redshift, standard deviation, weight."""
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    p = sum(weight / sigma * np.exp(-0.5 * ((centres - z) / sigma) ** 2) for z, sigma, weight in peaks)
    return RedshiftPDF([p / p.sum()], EDGES)


def names(pdf):
    (flags,) = flag_pdfs(pdf)
    return {flag.name for flag in PhotozFlag if flags & flag}


@pytest.mark.parametrize("z", [0.03, 0.15, 0.3])
def test_one_peak_has_no_flag(z):
    pdf = pdf_of((z, 0.015, 1.0))
    assert names(pdf) == set()
    assert not leans_on_end(pdf, RANGE).any()


def test_a_peak_at_the_end_of_the_grid():
    pdf = pdf_of((0.41, 0.01, 1.0))
    assert names(pdf) == {"GRID_EDGE"}
    assert leans_on_end(pdf, RANGE).tolist() == [True]
    assert leans_on_end(pdf, None).tolist() == leans_on_end(pdf, {}).tolist() == [False]


@pytest.mark.parametrize(("weight", "beyond"), [(0.10, False), (0.15, True)])
def test_weight_beyond_the_training(weight, beyond):
    pdf = pdf_of((0.30, 0.005, 1 - weight), (0.365, 0.004, weight))
    assert leans_on_end(pdf, RANGE).tolist() == [beyond]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("distance", "weight", "sigma", "two"),
    [
        (0.1, 0.3, 0.012, True),
        (0.1, 0.19, 0.012, True),
        (0.1, 0.10, 0.012, False),  # too light
        (0.03, 0.4, 0.004, False),  # too near
        (0.06, 0.4, 0.03, False),  # no valley
    ],
)
def test_two_peaks(distance, weight, sigma, two, mirrored):
    lower, higher = (weight, 1 - weight) if mirrored else (1 - weight, weight)
    assert is_bimodal(pdf_of((0.12, sigma, lower), (0.12 + distance, sigma, higher))).tolist() == [two]


def test_rows_do_not_depend_on_each_other():
    parts = [pdf_of((0.1, 0.01, 0.6), (0.25, 0.01, 0.4)), pdf_of((0.2, 0.01, 1)), pdf_of((0.41, 0.01, 1))]
    together = flag_pdfs(RedshiftPDF.concatenate(parts))
    assert together.dtype == np.int32
    assert together.tolist() == [int(flag_pdfs(part)[0]) for part in parts]
    assert together.tolist() == [PhotozFlag.BIMODAL, 0, PhotozFlag.GRID_EDGE]


def test_a_row_without_a_pdf_has_no_flag():
    pdf = RedshiftPDF(np.full((2, 180), np.nan), EDGES)
    assert flag_pdfs(pdf).tolist() == leans_on_end(pdf, RANGE).tolist() == [0, 0]
    assert flag_pdfs(pdf[:0]).shape == leans_on_end(pdf[:0], RANGE).shape == (0,)
