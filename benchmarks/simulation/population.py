# Licensed under a 3-clause BSD style license - see LICENSE
"""
How closely the colours of drawn galaxies follow the redshift: catalogues only, no images.

For each catalogue that galaxies with measured light are drawn from (`astro_photz.simulate.population.measured`),
gradient boosting on r and four colours learns redshifts from its training galaxies, and from as many simulated ones
that are drawn from the training galaxies of all catalogues, in the mix of the main sample, and listed as that catalogue
would list them: model magnitudes, the noise of one of its galaxies as bright, its limit in u. Both are judged on the
same real galaxies, which neither has seen: validation galaxies, by which colours were chosen, or, with ``--test``,
those for a last look: the odd rows of the main sample, the test galaxies of kcorrect, a tenth of the others.

Early and late types are apart at g - r = 0.8 in the bands shifted to z = 0.1; luminous late ones are those of absolute
magnitude r below -21.5. With ``--faint``, all learn from galaxies to r = 19.4 and are judged by those beyond the main
sample's limit: blue ones, as the catalogues end in u. Figures are means over draws; the errors of their ratios are of
the galaxies that are judged by.
"""

import argparse

import numpy as np
from scipy.spatial import KDTree
from sklearn.ensemble import HistGradientBoostingRegressor

from astro_photz import metrics
from astro_photz.sdss import R_UGRIZ
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.measured import MEASURED_TO, ORIGINS, load_measured, magnitudes_of, values_of
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.population.total_light import model_from_total
from benchmarks.common.results import write_result

from ._main_sample import magnitudes

SEED = 5
REPEATS = 5
RESAMPLED = 200
LIMITS = {"main sample": (0.0, MEASURED_TO), "faint": (MEASURED_TO, 19.4)}  # of r, of the galaxies that are judged
MARGIN = 0.03  # mag: model magnitudes are fainter than total ones by some hundredths
FEWEST = 100  # galaxies to judge by
U_LIMIT = {"SkyServer": 20.0, "DR14": 19.6}  # as listed, with extinction
EARLY, LUMINOUS = 0.8, -21.5
BOOSTING = {"max_iter": 300, "learning_rate": 0.05, "min_samples_leaf": 20, "l2_regularization": 1.0}
FIGURES = {"sigma_mad": metrics.sigma_mad, "eta": metrics.eta, "mean": metrics.bias}


class Listed:
    """Real galaxies of one catalogue within limits of r, and how it lists simulated ones."""

    def __init__(self, origin, *, test, limits):
        galaxies = load_measured()
        of_it = (galaxies.origin == ORIGINS.index(origin)) & (galaxies.r < limits[1])
        self.origin, self.faintest = origin, limits[1]
        self.rows = np.flatnonzero(of_it & (galaxies.split == "train"))
        self.judged = np.flatnonzero(
            of_it & (galaxies.split == ("test" if test else "validation")) & (galaxies.r > limits[0])
        )
        noise = galaxies.noise(self.rows)
        self._root = {"measured": np.linalg.cholesky(noise), "fitted": np.linalg.cholesky(_less_calibration(noise))}
        self._like = KDTree(galaxies.values[self.rows][:, [1, 2]])

    def real(self):
        """Features (N, 5) and redshifts (N,) of the training galaxies."""
        values = load_measured().values[self.rows]
        return values[:, 1:], values[:, 0]

    def drawn(self, rng, *, colours):
        """As many of simulated galaxies."""
        features, redshift = np.empty((0, 5)), np.empty(0)
        while len(redshift) < len(self.rows):
            population = draw_population(
                len(self.rows), rng, sample=Sample(colours=colours, faintest=self.faintest + MARGIN)
            )
            model = model_from_total(magnitudes(population.flux), population.redshift)
            values = self._add_noise(values_of(model, population.redshift), colours, rng)
            u = magnitudes_of(values)[:, 0] + R_UGRIZ[0] * population.ebv
            kept = (u < U_LIMIT.get(self.origin, np.inf)) & (values[:, 1] < self.faintest)
            features, redshift = np.vstack([features, values[kept, 1:]]), np.append(redshift, values[kept, 0])
        return features[: len(self.rows)], redshift[: len(self.rows)]

    def _add_noise(self, values, colours, rng):
        _, like = self._like.query(values[:, [1, 2]])
        return values + np.einsum("nij,nj->ni", self._root[colours][like], rng.standard_normal(values.shape))

    def types(self):
        """Masks of the judged galaxies, by type."""
        galaxies = load_measured()
        early = galaxies.rest_colour[self.judged] > EARLY
        luminous = galaxies.absolute_magnitude[self.judged] < LUMINOUS
        return {"all": np.ones_like(early), "early": early, "late": ~early, "luminous late": ~early & luminous}

    def deviations(self, training, rng):
        """Deviations (N,) of the judged galaxies by boosting that learnt from a training set."""
        values = load_measured().values[self.judged]
        boosting = HistGradientBoostingRegressor(**BOOSTING, random_state=int(rng.integers(2**31)))
        return metrics.deviation(boosting.fit(*training).predict(values[:, 1:]), values[:, 0])


def _less_calibration(noise):
    """Covariances without the calibration's errors, which the scatter about the fits has in it."""
    return noise - load_measured().calibration + 1e-9 * np.eye(6)


def figures(deviations):
    """Each figure's mean over draws (D, N)."""
    return {name: np.mean([figure(one) for one in deviations]) for name, figure in FIGURES.items()}


def compared(real, drawn, rng):
    """Figures of both, the ratios of the drawn to the real, and the ratios' errors by resampling galaxies."""
    one, other = figures(real), figures(drawn)
    resampled = []
    for _ in range(RESAMPLED):
        rows = rng.integers(real.shape[1], size=real.shape[1])
        resampled.append((figures(real[:, rows]), figures(drawn[:, rows])))
    row = {f"{name}_real": value for name, value in one.items()} | {f"{name}_drawn": v for name, v in other.items()}
    for name in ("sigma_mad", "eta"):
        if one[name] == 0:  # no outlier of few galaxies
            continue
        ratios = [b[name] / a[name] for a, b in resampled if a[name] > 0]
        row[f"{name}_ratio"], row[f"{name}_ratio_error"] = other[name] / one[name], np.std(ratios)
    return row | {"mean_difference": other["mean"] - one["mean"]}


def rows_of(origin, *, colours, **which):
    """One row of the table for each type; none if there are hardly any galaxies."""
    rng = np.random.default_rng([SEED, ORIGINS.index(origin)])
    listed = Listed(origin, **which)
    if len(listed.judged) < FEWEST:
        return []
    real = np.array([listed.deviations(listed.real(), rng) for _ in range(REPEATS)])
    drawn = np.array([listed.deviations(listed.drawn(rng, colours=colours), rng) for _ in range(REPEATS)])
    numbers = {"trained": len(listed.rows)}
    return [
        {"catalogue": origin, "type": name, **numbers, "judged": int(mask.sum())}
        | compared(real[:, mask], drawn[:, mask], rng)
        for name, mask in listed.types().items()
        if mask.any()
    ]


def print_rows(rows):
    """The table, a type a line."""
    for row in rows:
        if row is rows[0]:
            print(f"{row['catalogue']}: {row['trained']} training galaxies, as many drawn")
        print(
            f"  {row['type']:14}{row['judged']:6}"
            f"   sigma {row['sigma_mad_real']:.4f} {row['sigma_mad_drawn']:.4f}{_ratio(row, 'sigma_mad')}"
            f"   eta {100 * row['eta_real']:5.2f} {100 * row['eta_drawn']:5.2f} %{_ratio(row, 'eta')}"
            f"   mean {row['mean_real']:+.4f} {row['mean_drawn']:+.4f}",
            flush=True,
        )


def _ratio(row, name):
    if f"{name}_ratio" not in row:
        return f"{'x -':18}"
    return f"  x {row[f'{name}_ratio']:.3f} +- {row[f'{name}_ratio_error']:.3f}"


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--test", action="store_true", help="judge by the galaxies that are for tests alone")
    parser.add_argument("--colours", choices=("measured", "fitted"), default="measured")
    parser.add_argument(
        "--faint", action="store_true", help="judge by galaxies fainter than the main sample's, to 19.4"
    )
    parser.add_argument("--output", metavar="FILE.json", help="for the documentation")
    arguments = parser.parse_args()
    print("real: trained on a catalogue's galaxies; drawn: on as many simulated ones; x: ratio")
    table = []
    for origin in ORIGINS:
        limits = LIMITS["faint" if arguments.faint else "main sample"]
        rows = rows_of(origin, colours=arguments.colours, test=arguments.test, limits=limits)
        print_rows(rows)
        table += rows
    if arguments.output:
        write_result(arguments.output, {"kind": "table", "title": "Colours of drawn galaxies", "rows": table})


if __name__ == "__main__":
    main()
