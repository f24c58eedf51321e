# Licensed under a 3-clause BSD style license - see LICENSE
"""Points and distant galaxies are told by features; where the seeing is known, the width decides about points."""

import numpy as np
import pytest

from astro_photz import Cutouts
from astro_photz.quality.measurements import measure
from astro_photz.reference.features import is_distant, is_point
from astro_photz.testing.factories import gaussian_cutouts

WIDTH = 12


class Certain:
    """A regression that is sure, and counts what it is asked."""

    def found(self, features):
        return np.ones(len(features), dtype=bool)


def make_stamps():
    """Four galaxies; the seeing of the first two is known."""
    cutouts = gaussian_cutouts(4)
    cutouts.psf_fwhm[:2] = 1.2
    return cutouts


def test_the_width_decides_where_the_seeing_is_known():
    cutouts = make_stamps()
    told = is_point(cutouts, measure(cutouts), np.zeros((4, WIDTH)), Certain())
    assert told.tolist() == [False, False, True, True]


def test_a_model_without_a_reference_goes_by_the_width():
    cutouts = make_stamps()
    wide = Cutouts(cutouts.flux, ebv=cutouts.ebv, psf_fwhm=np.full((4, 5), 4.5))
    assert not is_point(cutouts, measure(cutouts), np.zeros((4, WIDTH)), None).any()
    assert is_point(wide, measure(wide), np.zeros((4, WIDTH)), None).all()


def test_a_width_beyond_the_seeing_is_not_believed():
    """Given in pixels, widths would make stars of galaxies."""
    cutouts = make_stamps()
    wide = Cutouts(cutouts.flux, ebv=cutouts.ebv, psf_fwhm=np.full((4, 5), 4.5))
    assert not is_point(wide, measure(wide), np.zeros((4, WIDTH)), None, seeing=(0.8, 2.0)).any()


@pytest.mark.parametrize(("column", "found"), [(40, False), (52, True)])
def test_features_of_stamps_that_are_cut_near_the_middle_tell_nothing(column, found):
    flux = make_stamps().flux.copy()
    flux[:, :, :, column:] = np.nan
    cut = Cutouts(flux, ebv=0.02)
    assert (is_point(cut, measure(cut), np.zeros((4, WIDTH)), Certain()) == found).all()


@pytest.mark.parametrize(("column", "by_features"), [(40, False), (52, True)])
def test_pdfs_tell_distant_galaxies_where_features_do_not(column, by_features):
    flux, by_pdf = make_stamps().flux.copy(), np.array([True, False, False, True])
    flux[:, :, :, column:] = np.nan
    cut = Cutouts(flux, ebv=0.02)
    found = is_distant(cut, measure(cut), np.zeros((4, WIDTH)), Certain(), by_pdf=by_pdf)
    assert found.tolist() == ([True] * 4 if by_features else by_pdf.tolist())
    np.testing.assert_array_equal(is_distant(cut, measure(cut), np.zeros((4, WIDTH)), None, by_pdf=by_pdf), by_pdf)
