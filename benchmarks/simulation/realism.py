# Licensed under a 3-clause BSD style license - see LICENSE
"""
Separation of simulated stamps from real ones by a classifier, and the features that it uses.

``galaxies``: the real galaxies of the four fields of ``../shared``, against simulated ones as bright in *r*, drawn from
the test seeds and seen under the conditions of those fields. ``sky``: stamps of the fields in which nothing is
detected, against simulated ones. Both are measured alike (``_features.py``), and gradient boosting is cross-validated:
an area under the curve of 0.5 is chance. The features are listed by what the classifier loses when one is shuffled.

``--plot NAME`` draws real and simulated galaxies, shuffled, to NAME.png, and the key to NAME-key.png; real pixels, so
not to be committed.
"""

import argparse
from dataclasses import replace

import numpy as np
from astropy.table import Table
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

import astro_photz
from astro_photz.sdss import FRAME_SHAPE, ZERO_POINT
from astro_photz.simulate.camera.noise import FILTER_MARGIN, add_noise
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.neighbours import draw_neighbours
from astro_photz.simulate.scene.targets import draw_targets
from benchmarks.common.data import SHARED, require

from ._features import aperture_flux, galaxy_features, half_light_radius, sky_features
from ._fields import FIELDS, RealField

SEED = 11
SIZE = 64
PER_REAL = 4  # simulated galaxies for a real one
DRAWN = 768  # in a field, to choose from
SAMPLE = Sample(brightest=15.0, faintest=20.6, redshift=(0.0, 0.8))
EBV = 0.04  # mag, of what stands in empty sky
APERTURE = 10  # pixels, of the magnitude in which they are alike
EXTENDED = 1.12  # least half-light radius of a galaxy over that of a star
BOOSTING = {"max_iter": 80, "learning_rate": 0.06, "max_leaf_nodes": 8, "min_samples_leaf": 10}
REPEATS = 3
FOLDS = 5


def observe(sources, conditions, rng):
    """Stamps (N, 5, S, S) of scenes, as the simulation makes them."""
    return add_noise(ideal_images(sources, conditions), conditions, rng).numpy()


def ideal_images(sources, conditions):
    """Images (N, 5, S + 2 m, S + 2 m) of scenes, with the margin m that noise needs."""
    sources = replace(sources, x=sources.x + FILTER_MARGIN, y=sources.y + FILTER_MARGIN)
    return render(sources, conditions.transfer, size=SIZE + 2 * FILTER_MARGIN, shift=conditions.shift)


def simulated_galaxies(field, places, ebv, n, rng):
    """Stamps (n, 5, S, S) of galaxies as seen at places in a field, and the galaxies' places in the stamps (n, 2)."""
    population = replace(draw_population(n, rng, split="test", sample=SAMPLE), ebv=np.full(n, ebv))
    xy = (SIZE - 1) / 2 + rng.uniform(-0.5, 0.5, (n, 2))
    targets, _ = draw_targets(population, rng, xy)
    neighbours = draw_neighbours(population.ebv, rng, size=SIZE, split="test")
    sources = Components.concatenate([targets, neighbours])
    return observe(sources, field.conditions(rng.choice(places, n), rng), rng), xy


def real_galaxies(fields):
    """For each field: stamps of its galaxies (N, 5, S, S), their places in them and in the field (N, 2), E(B-V)."""
    table = Table.read(SHARED / "real_galaxies.ecsv")
    cutouts = astro_photz.fetch(table, source=astro_photz.FrameDirectory(SHARED / "sdss_frames", data_release=17))
    names = np.asarray(table["field"])
    whole = np.isfinite(cutouts.flux).all(axis=(1, 2, 3))
    galaxies = []
    for field in fields:
        run, _, camcol, number = field.field_id
        rows = whole & (names == f"{run:06d}-{camcol}-{number:04d}")
        places = np.stack(field.wcs.all_world2pix(table["ra"][rows], table["dec"][rows], 0), axis=1)
        galaxies.append((cutouts.flux[rows], cutouts.target_xy[rows], places, float(np.median(cutouts.ebv[rows]))))
    return galaxies


def measure(flux, xy):
    """Magnitude and half-light radius in r (N, 2) of galaxies."""
    rows = [
        (ZERO_POINT - 2.5 * np.log10(max(aperture_flux(*one, APERTURE), 1e-3)), half_light_radius(*one)[0])
        for one in zip(flux[:, 2], xy, strict=True)
    ]
    return np.array(rows).T


def matched(real, simulated, times):
    """Rows of the simulated magnitudes nearest to each of the real, ``times`` for each, none twice."""
    free = np.ones(len(simulated), dtype=bool)
    chosen = []
    for _ in range(times):
        for magnitude in real:
            row = np.argmin(np.where(free, np.abs(simulated - magnitude), np.inf))
            free[row] = False
            chosen.append(row)
    return np.array(chosen)


def galaxy_samples(fields, rng):
    """Stamps and places of real and of simulated galaxies: two pairs."""
    real, simulated = [], []
    for field, (flux, xy, places, ebv) in zip(fields, real_galaxies(fields), strict=True):
        drawn, drawn_xy = simulated_galaxies(field, places, ebv, DRAWN, rng)
        # Real galaxies were told from stars by their extent: what looks like a star is left out on both sides.
        star = EXTENDED * point_radius(field)
        (magnitude, radius), (drawn_magnitude, drawn_radius) = measure(flux, xy), measure(drawn, drawn_xy)
        extended, drawn_extended = radius > star, drawn_radius > star
        share = f"{extended.sum()} of {len(flux)}, and {drawn_extended.mean():.3f} of those drawn"
        print(f"run {field.field_id.run}: extended are {share}")
        real.append((flux[extended], xy[extended]))
        drawn, drawn_xy = drawn[drawn_extended], drawn_xy[drawn_extended]
        rows = matched(magnitude[extended], drawn_magnitude[drawn_extended], PER_REAL)
        simulated.append((drawn[rows], drawn_xy[rows]))
    return [tuple(map(np.concatenate, zip(*sample, strict=True))) for sample in (real, simulated)]


def point_radius(field):
    """Half-light radius (pixels) of a star in r."""
    sigma, width, height = field.point_spread[2]
    grid = np.arange(SIZE) - (SIZE - 1) / 2
    r2 = (grid**2 + grid[:, None] ** 2) / sigma**2
    star = np.exp(-0.5 * r2) + height * np.exp(-0.5 * r2 / width**2)
    return half_light_radius(star, [(SIZE - 1) / 2] * 2)[0]


def simulated_sky(field, places, rng):
    """Stamps (M, 5, S, S) seen at places (N, 2) of a field, those in which nothing is detected."""
    conditions = field.conditions(places, rng)
    neighbours = draw_neighbours(np.full(len(places), EBV), rng, size=SIZE, split="test")
    ideal = ideal_images(neighbours, conditions)
    inner = ideal[..., FILTER_MARGIN:-FILTER_MARGIN, FILTER_MARGIN:-FILTER_MARGIN].numpy()
    # the level of the field's empty stamps holds the light of what is too faint to be seen in them
    unseen = field.level(inner[field.is_empty(inner[:, 2])]).mean(axis=0)
    conditions = replace(conditions, background=conditions.background - unseen)
    flux = add_noise(ideal, conditions, rng).numpy()
    return flux[field.is_empty(flux[:, 2])]


def separate(features, real, groups, rng):
    """
    Areas under the curve (repeats x folds), the area lost when a feature is shuffled, and each row's mean score;
    ``groups`` stay together in a fold.
    """
    areas, lost, scores = [], [], np.zeros(len(real))
    for repeat in range(REPEATS):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat)
        for train, test in folds.split(features, real, groups):
            weight = np.where(real[train], np.mean(~real[train]), np.mean(real[train]))
            model = HistGradientBoostingClassifier(**BOOSTING, random_state=repeat)
            model.fit(features[train], real[train], sample_weight=weight)
            score = model.predict_proba(features[test])[:, 1]
            areas.append(roc_auc_score(real[test], score))
            scores[test] += score / REPEATS
            if repeat:
                continue
            shuffled = permutation_importance(
                model, features[test], real[test], scoring="roc_auc", n_repeats=2, random_state=repeat
            )
            lost.append(shuffled.importances_mean)
    return np.array(areas), np.mean(lost, axis=0), scores


def report(title, rows, real, groups, rng, *, shown, runs=None):
    """Print how well the two are told apart, also within the fields of each run (if ``runs`` of the rows are given)."""
    names = list(rows[0])
    features = np.array([[row[name] for name in names] for row in rows], dtype=float)
    areas, lost, scores = separate(features, real, groups, rng)
    print(f"\n{title}: {real.sum()} real, {(~real).sum()} simulated, {len(names)} features")
    print(f"area under the curve {areas.mean():.3f}, over {FOLDS} folds {areas.std():.3f} (each of {REPEATS} times)")
    for run in [] if runs is None else np.unique(runs):
        print(f"    within run {run}: {roc_auc_score(real[runs == run], scores[runs == run]):.3f}")
    print(f"{'feature':24}{'lost':>8}{'KS':>8}{'real 16 %':>13}{'50 %':>10}{'84 %':>10}{'simulated':>13}")
    for column in np.argsort(-lost)[:shown]:
        one, other = features[real, column], features[~real, column]
        quantiles = [*np.percentile(one, [16, 50, 84]), *np.percentile(other, [16, 50, 84])]
        numbers = "".join(f"{value:{13 if k in (0, 3) else 10}.4f}" for k, value in enumerate(quantiles))
        print(f"{names[column]:24}{lost[column]:8.4f}{ks_2samp(one, other).statistic:8.3f}{numbers}")
    distance = [ks_2samp(features[real, k], features[~real, k]).statistic for k in range(len(names))]
    print("largest KS:", ", ".join(f"{names[k]} {distance[k]:.2f}" for k in np.argsort(distance)[::-1][:8]))


def compare_galaxies(fields, rng, *, shown, plot):
    """The galaxies' part."""
    real, simulated = galaxy_samples(fields, rng)
    rows = [galaxy_features(*one) for sample in (real, simulated) for one in zip(*sample, strict=True)]
    is_real = np.arange(len(rows)) < len(real[0])
    report("galaxies", rows, is_real, np.arange(len(rows)), rng, shown=shown)
    if plot:
        draw(real[0], simulated[0], plot, rng)


def compare_sky(fields, rng, *, shown, step):
    """The sky's part: stamps that are neighbours, and may overlap, stay in one fold."""
    rows, is_real, groups, runs = [], [], [], []
    for field in fields:
        corners = field.empty_corners(SIZE, step=step)
        flux = [field.stamp(tuple(corner), SIZE) for corner in corners]
        rows += [sky_features(one) for one in flux]
        groups += [str((field.field_id, *(corner // (4 * SIZE)))) for corner in corners]
        places = np.repeat(corners + (SIZE - 1) / 2, 2, axis=0)
        drawn = simulated_sky(field, places, rng)
        tiles = np.prod([len(np.arange(SIZE, length - 2 * SIZE, step)) for length in FRAME_SHAPE])
        share = f"{len(flux) / tiles:.2f} of the field's, and {len(drawn) / len(places):.2f} of those drawn"
        print(f"run {field.field_id.run}: empty stamps are {share}")
        rows += [sky_features(one) for one in drawn]
        groups += [str((field.field_id, "drawn", number)) for number in range(len(drawn))]
        is_real += [True] * len(flux) + [False] * len(drawn)
        runs += [field.field_id.run] * (len(flux) + len(drawn))
    groups = np.unique(groups, return_inverse=True)[1]
    report("sky", rows, np.array(is_real), groups, rng, shown=shown, runs=np.array(runs))


def draw(real, simulated, name, rng):
    """24 of each, shuffled, and the key."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from astro_photz.plots.images import colour_image

    chosen = rng.choice(len(real), 24, replace=False)
    flux = np.concatenate([real[chosen], simulated[chosen]])  # the first of those drawn for each real one
    order = rng.permutation(48)
    for key in (False, True):
        figure, axes = pyplot.subplots(6, 8, figsize=(12, 9.4), layout="constrained")
        for number, (axis, row) in enumerate(zip(axes.ravel(), order, strict=True)):
            axis.imshow(colour_image(flux[row]), origin="lower")
            axis.set_axis_off()
            kind = ("real" if row < 24 else "simulated") if key else ""
            axis.set_title(f"{number + 1} {kind}", fontsize=8)
        figure.savefig(f"{name}{'-key' if key else ''}.png", dpi=100)
        pyplot.close(figure)
    print(f"\nwrote {name}.png and {name}-key.png")


def main():
    """Print the tables, and draw the pictures if they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("what", nargs="?", choices=["galaxies", "sky", "both"], default="both")
    parser.add_argument("--shown", type=int, default=15, help="how many features to list")
    parser.add_argument(
        "--step", type=int, default=SIZE, help="from one stamp of sky to the next (default: %(default)s)"
    )
    parser.add_argument("--plot", metavar="NAME", help="draw 24 galaxies of each kind (not to be committed)")
    args = parser.parse_args()
    require()
    fields = [RealField.read(SHARED / "sdss_frames", field_id) for field_id in FIELDS]
    if args.what in ("galaxies", "both"):
        compare_galaxies(fields, np.random.default_rng(SEED), shown=args.shown, plot=args.plot)
    if args.what in ("sky", "both"):
        compare_sky(fields, np.random.default_rng(SEED), shown=args.shown, step=args.step)


if __name__ == "__main__":
    main()
