# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doubts: how many faulty stamps, stars and galaxies beyond the grid are flagged, and how many good ones.

    python -m benchmarks.model.doubt [--model bundled] [--n 300] [--clean 6000] [--output doubt.json]

Each fault of `benchmarks.model._faults` is made of the same simulated galaxies, in stamps whose point-spread function
is not known; what is wanted of each stands beside it. Then: what is left of a contaminated sample without the rows of
the recommended mask, ``astro_photz.flags.BAD``; of the good galaxies without the most doubtful; how ``z_phot_ood`` is
distributed; and what all flags and the score cost beside the encoder, on one thread. Real stars and galaxies are cut
from the frames of ``../shared``, if these are at hand; nothing is set by them.
"""

import numpy as np

from astro_photz import Cutouts, load_model
from astro_photz.flags import BAD, MISSING, PhotozFlag, names
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table, use_one_thread

from ._doubt_gains import contaminated, cost, dropping, ood_of_clean
from ._doubt_judging import Judged, Wanted, judge, row_of
from ._doubt_samples import beyond_the_grid, points, real_galaxies, without_psf
from ._faults import FAULTS, simulated_scene, spoilt
from ._real_point_sources import GALAXIES
from ._report import arguments_of
from ._stamps import drawn, observed, simulation_of

TITLE = "Doubts"
TEXT = (
    "Percentage of stamps that have any flag, any of the newer ones (OUTLIER and all after it), and any of the "
    "recommended mask, flags.BAD; the flags that are raised most often, in per cent; and what was aimed at. Faults are "
    "made of simulated galaxies whose point-spread function (PSF) is not known. Where it says so, images are real: cut "
    "from six fields of SDSS, which do not come with the source tree."
)
COLUMNS = {
    "flagged": "flagged (%)",
    "new": "by newer flags",
    "bad": "BAD",
    "value": "value",
    "by": "most often by",
    "wanted": "wanted",
    "holds": "holds",
}
CLEAN = Wanted("outlier", "≤", 2.5), Wanted("new", "≤", 5), Wanted("bad", "≤", 5)
POINTS = Wanted("flagged", "≥", 95), Wanted("point_source", "≥", 90)
REAL_BAD = 10
BRIGHT = 18.3


def main():
    use_one_thread()
    sample = {"type": int, "default": 6000, "help": "good galaxies (default: %(default)s)"}
    arguments = arguments_of(__doc__, n=300, clean=sample)
    model = load_model(arguments.model)
    result = measured(model, arguments)
    shown(result)
    if arguments.output:
        write_result(arguments.output, result, model=model)


def measured(model, arguments):
    """All rows, as a result of the kind "table"."""
    seed, n = arguments.seed, arguments.n
    cutouts, population = clean_galaxies(model, arguments.clean, seed)
    redshift = population.redshift
    clean = judge(model, without_psf(cutouts))
    rows = [
        row_of("simulated galaxies, PSF unknown", clean, *CLEAN),
        row_of("simulated galaxies, PSF known", judge(model, cutouts), *CLEAN),
    ]
    faults = dict(faulty(model, n, seed + 1))
    rows += [row_of(name, one, *wanted_of(FAULTS[name])) for name, (one, _) in faults.items()]
    stars, more = point_rows(model, max(n, arguments.clean // 7), seed + 2)
    rows += more + beyond_rows(model, n, seed + 3)
    real, listed = real_rows(model)
    rows += real
    told = [pair for name, pair in faults.items() if FAULTS[name].wanted]
    rows += contaminated(clean, redshift, told, stars, np.random.default_rng(seed))
    rows += dropping(clean, redshift) + ood_of_clean(clean, population.progenitor) + cost(model, cutouts[:512])
    result = {"kind": "table", "simulated": True, "title": TITLE, "text": TEXT, "columns": COLUMNS}
    return result | {"rows": rows, "real_galaxies": listed}


def clean_galaxies(model, n, seed):
    """Galaxies as the model was trained on, of the test split: cutouts (n,), and the population."""
    simulation = simulation_of(model, seed=seed)
    population, shape = drawn(simulation, n)
    parts = [cutouts for _, cutouts in observed(simulation, population, shape)]
    return joined(parts), population


def joined(parts):
    """Cutouts in one, without positions."""
    arrays = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("flux", "ebv", "psf_fwhm")}
    return Cutouts(**arrays, simulated=True)


def faulty(model, n, seed):
    """Estimates of each fault, and the true redshifts."""
    scenes = {}
    for name, fault in FAULTS.items():
        if fault.ebv not in scenes:
            scenes[fault.ebv] = simulated_scene(model, n, seed=seed, ebv=fault.ebv)
        scene = scenes[fault.ebv]
        yield name, (judge(model, spoilt(name, scene, seed=seed)), scene.redshift)


def wanted_of(fault):
    return [Wanted("flagged", "≥", 100 * fault.wanted)] if fault.wanted else []


def point_rows(model, n, seed):
    """Estimates of simulated stars, and a row for each kind of point, with a known PSF and without."""
    stars, rows = None, []
    for name, cutouts in points(model, n, seed):
        judged = judge(model, without_psf(cutouts))
        stars = judged if stars is None else stars
        rows.append(row_of(f"{name}, PSF unknown", judged, *POINTS))
        rows.append(row_of(f"{name}, PSF known", judge(model, cutouts), *POINTS))
    return stars, rows


def beyond_rows(model, n, seed):
    """A row for each kind of galaxy of z 0.42 to 0.6."""
    rows = []
    for name, parts, within in beyond_the_grid(model, n, seed):
        judged = Judged.join([judge(model, part) for part in parts])
        rows.append(row_of(name, judged, Wanted("flagged", "≥", 80 if within else 90)))
    return rows


def real_rows(model):
    """Rows of real galaxies, and a list of those with a BAD flag; empty if none are at hand."""
    if not GALAXIES.exists():
        return [], []
    galaxies, judged = real_galaxies(model)
    bright = np.asarray(galaxies["r_aper"]) < BRIGHT
    clean = bright & np.ma.filled(galaxies["clean"], False)
    whole = ~judged.having(MISSING | PhotozFlag.PARTIAL)
    rows = [
        row_of(f"real galaxies, r < {BRIGHT}, clean by eye", judged[clean], Wanted("bad", "≤", 0)),
        row_of("real galaxies, r < 19, whole", judged[whole], Wanted("bad", "≤", REAL_BAD)),
    ]
    bad = np.flatnonzero(judged.having(BAD) & whole)
    listed = [
        {"field": str(galaxies["field"][row]), "r": float(galaxies["r_aper"][row]), "clean": bool(clean[row])}
        | {"ra": float(galaxies["ra"][row]), "dec": float(galaxies["dec"][row]), "flags": names(judged.flags[row])}
        for row in bad
    ]
    return rows, listed


def shown(result):
    """Print the rows, those of other numbers apart, and the real galaxies with a BAD flag."""
    print(f"{TITLE}. {TEXT}\n")
    headings = {name: COLUMNS[name] for name in ("flagged", "new", "bad", "wanted", "holds", "by")}
    of_shares, others = [], []
    for row in result["rows"]:
        (of_shares if "flagged" in row else others).append(row)
    print_table(("", "stamps", *headings.values()), [_cells(row, ("n", *headings)) for row in of_shares])
    names_of = ("n", "value", "value_err", "wanted", "holds")
    print_table(("", "galaxies", "value", "±", "wanted", "holds"), [_cells(row, names_of) for row in others])
    if result["real_galaxies"]:
        listed = [
            (one["field"], f"{one['ra']:.5f} {one['dec']:.5f}", f"{one['r']:.2f}", "|".join(one["flags"]))
            for one in result["real_galaxies"]
        ]
        print_table(("real galaxies that are BAD", "position", "r", "flags"), listed)


def _cells(row, wanted):
    values = [row.get(name, "") for name in wanted]
    text = [str(one) if isinstance(one, int | str) else f"{one:.1f}" if one >= 1 else f"{one:.4f}" for one in values]
    return [row["method"], *text]


if __name__ == "__main__":
    main()
