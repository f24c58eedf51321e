# Licensed under a 3-clause BSD style license - see LICENSE
"""Points and distant galaxies are told by features; where the seeing is known, the width decides about points."""

import numpy as np
import pytest

from astro_photz import Cutouts
from astro_photz.quality.measurements import measure
from astro_photz.reference.features import is_cut_off, is_distant, is_point
from astro_photz.testing.factories import gaussian_cutouts

WIDTH = 12


class Certain:
    """A regression that is sure."""

    def found(self, features):
        return np.ones(len(features), dtype=bool)


def make_stamps():
    """Four galaxies; the seeing of the first two is known."""
    cutouts = gaussian_cutouts(4)
    cutouts.psf_fwhm[:2] = 1.2
    return cutouts


def make_wide():
    """The same in a seeing as wide as they are."""
    cutouts = make_stamps()
    return Cutouts(cutouts.flux, ebv=cutouts.ebv, psf_fwhm=np.full((4, 5), 4.5))


def make_cut(column):
    """The same without pixels from a column on, and in an unknown seeing."""
    flux = make_stamps().flux.copy()
    flux[:, :, :, column:] = np.nan
    return Cutouts(flux, ebv=0.02)


def seen(cutouts):
    return {"features": np.zeros((4, WIDTH)), "cut_off": is_cut_off(cutouts, measure(cutouts))}


def points(cutouts, regression=None, **options):
    return is_point(cutouts, measure(cutouts), regression, **seen(cutouts), **options)


def test_the_width_decides_where_the_seeing_is_known():
    assert points(make_stamps(), Certain()).tolist() == [False, False, True, True]


def test_a_model_without_a_reference_goes_by_the_width():
    assert not points(make_stamps()).any()
    assert points(make_wide()).all()


def test_a_width_beyond_the_seeing_is_not_believed():
    """Given in pixels, widths would make stars of galaxies."""
    assert not points(make_wide(), seeing=(0.8, 2.0)).any()


@pytest.mark.parametrize(("column", "found"), [(40, False), (52, True)])
def test_features_of_stamps_that_are_cut_near_the_middle_tell_nothing(column, found):
    assert (points(make_cut(column), Certain()) == found).all()


@pytest.mark.parametrize(("column", "by_features"), [(40, False), (52, True)])
def test_pdfs_tell_distant_galaxies_where_features_do_not(column, by_features):
    by_pdf = np.array([True, False, False, True])
    found = is_distant(Certain(), by_pdf=by_pdf, **seen(make_cut(column)))
    assert found.tolist() == ([True] * 4 if by_features else by_pdf.tolist())
    np.testing.assert_array_equal(is_distant(None, by_pdf=by_pdf, **seen(make_cut(column))), by_pdf)
