# Licensed under a 3-clause BSD style license - see LICENSE
"""
Neighbours by photutils: are more of them found by segmentation and deblending than by the rule of ``CROWDED``?

    python -m benchmarks.model.deblending [--model bundled] [--n 300] [--output deblending.json]

photutils detects sources in the sum of g, r and i, weighted by their noise, and deblends them. Its measure of harm is
the share of the light within 8 pixels that belongs to others than the galaxy. A stamp is flagged above the share that
flags as many good galaxies as the rule does. Simulated galaxies whose point-spread function is not known.

Needs scikit-image, of the extra ``[benchmarks]``.
"""

import time

import numpy as np
from photutils.segmentation import deblend_sources, detect_sources
from scipy import ndimage

from astro_photz import PhotozFlag, load_model
from astro_photz.metrics.figures import OUTLIER
from astro_photz.photometry import APERTURE_RADIUS, disc
from astro_photz.quality.measurements import measure
from astro_photz.quality.peaks import surroundings
from astro_photz.sdss import BANDS
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table, use_one_thread

from ._doubt_judging import judge
from ._faults import as_they_are, simulated_scene, spoilt
from ._report import arguments_of

BLENDS = (
    "equal neighbour at 8 pixels",
    "neighbour of half the light at 8 pixels",
    "a star of half the light on top",
)
GRI = slice(1, 4)
SMOOTHING = 1.5  # pixels
THRESHOLD = 3.0  # times the noise of the smoothed image
SMALLEST = 5  # pixels
CONTRAST = 0.001  # photutils' own choice
TITLE = "Neighbours, by the rule and by photutils"
TEXT = (
    "Percentage of stamps that the rule of CROWDED flags, and that photutils' deblending flags where it flags as many "
    "good galaxies; the same of those whose redshift is an outlier; and the processor's time for a stamp (ms)."
)
COLUMNS = {
    "rule": "by the rule (%)",
    "photutils": "by photutils (%)",
    "outliers": "outliers (%)",
    "rule_outliers": "of them by the rule (%)",
    "photutils_outliers": "of them by photutils (%)",
    "rule_ms": "rule (ms)",
    "photutils_ms": "photutils (ms)",
}


def main():
    use_one_thread()
    arguments = arguments_of(__doc__, n=300)
    model = load_model(arguments.model)
    scene = simulated_scene(model, arguments.n, seed=arguments.seed)
    kinds = {"good galaxies": as_they_are(scene)} | {name: spoilt(name, scene) for name in BLENDS}
    rows, least = [], None
    for name, cutouts in kinds.items():
        judged = judge(model, cutouts)
        share, seconds = timed(neighbours_share, cutouts)
        by_rule = judged.having(PhotozFlag.CROWDED)
        least = np.quantile(share, 1 - by_rule.mean()) if least is None else least
        outlier = np.abs(judged.deviation(scene.redshift)) > OUTLIER
        row = {"method": name, "n": len(cutouts), "outliers": 100 * outlier.mean()}
        for method, found in (("rule", by_rule), ("photutils", share > least)):
            row |= {method: 100 * found.mean(), f"{method}_outliers": 100 * found[outlier].mean()}
        rows.append(row | {"rule_ms": 1e3 * timed(rule, cutouts)[1], "photutils_ms": 1e3 * seconds})
    result = {"kind": "table", "simulated": True, "title": TITLE, "text": TEXT, "columns": COLUMNS, "rows": rows}
    print_table(("", *COLUMNS.values()), [[row["method"], *(f"{row[name]:.1f}" for name in COLUMNS)] for row in rows])
    if arguments.output:
        write_result(arguments.output, result, model=model)


def timed(function, cutouts):
    """What a function gives for cutouts, and the processor's time (s) for each of them."""
    began = time.process_time()
    value = function(cutouts)
    return value, (time.process_time() - began) / len(cutouts)


def rule(cutouts):
    """The rule's own work, without the measurements that other rules need, too: any noise will do."""
    noise = np.full(len(cutouts), 0.02)
    return surroundings(cutouts.flux[:, BANDS.index("r")], noise, cutouts.target_xy)


def neighbours_share(cutouts):
    """Share of the light within 8 pixels that belongs to other sources, (N,)."""
    measured = measure(cutouts)
    weight = 1 / measured.noise[:, GRI] ** 2
    light = np.nan_to_num(cutouts.flux[:, GRI] - measured.sky[:, GRI, None, None])
    # in units of the sum's noise
    images = np.einsum("nbyx,nb->nyx", light, weight) / np.sqrt(weight.sum(axis=1))[:, None, None]
    return np.array([_share(image) for image in images])


def _share(image):
    smooth = ndimage.gaussian_filter(image, SMOOTHING)
    threshold = THRESHOLD / (2 * SMOOTHING * np.sqrt(np.pi))
    found = detect_sources(smooth, threshold, n_pixels=SMALLEST)
    if found is None:
        return 0.0
    options = {"n_pixels": SMALLEST, "contrast": CONTRAST, "progress_bar": False}
    labels = deblend_sources(smooth, found, **options).data
    middle = len(image) // 2
    own = labels[middle - 1 : middle + 1, middle - 1 : middle + 1].max()
    inside = (disc(len(image), APERTURE_RADIUS) > 0.5) & (labels > 0)
    total = image[inside].sum()
    return image[inside & (labels != own)].sum() / total if total > 0 else 0.0


if __name__ == "__main__":
    main()
