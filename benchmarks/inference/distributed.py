# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies per second of two dask workers against one, each of one thread, over a HATS catalogue.

The catalogue and its stamps are made in a temporary folder. The redshifts of both are compared with those of this
process, to the bit. One round warms the workers up: they import packages and open the model in it.
"""

import argparse
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord

import astro_photz
from astro_photz.adapters.lsdb import predict_catalog
from astro_photz.testing.factories import gaussian_cutouts
from benchmarks.common.claims import claim
from benchmarks.common.timing import alternate, measure, medians, print_table, ratios, use_one_thread

_SIDE = 40.0  # degrees of the square on the sky


def make_catalogue(folder, n, *, rows):
    """Write stamps of galaxies, and a HATS catalogue of them in partitions of so many rows; open it."""
    import lsdb

    rng = np.random.default_rng(0)
    coord = SkyCoord(rng.uniform(150, 150 + _SIDE, n), rng.uniform(0, _SIDE, n), unit="deg")
    stamps = gaussian_cutouts(min(n, 512), seed=0)[np.arange(n) % min(n, 512)]
    astro_photz.Cutouts(stamps.flux, ebv=stamps.ebv, coord=coord).write(folder / "stamps.h5")
    table = astro_photz.CutoutFile(folder / "stamps.h5").catalog().to_pandas()
    catalog = lsdb.from_dataframe(table, partition_rows=rows, margin_threshold=None, should_generate_moc=False)
    catalog.write_catalog(folder / "hats", progress_bar=False, should_write_skymap=False)
    return lsdb.open_catalog(folder / "hats")


def compute(catalog, client=None):
    """Compute a catalogue by the workers of a client, or in this process."""
    import dask

    with client.as_current() if client else dask.config.set(scheduler="synchronous"):
        return catalog.compute(progress_bar=False)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--galaxies", type=int, default=8192, help="number of galaxies (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=300, help="of a partition, about (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    use_one_thread()
    from dask.distributed import Client, LocalCluster

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        catalog = make_catalogue(folder, args.galaxies, rows=args.rows)
        redshifts = predict_catalog(catalog, source=folder / "stamps.h5")
        expected = compute(redshifts)
        clients = {}
        for n in (1, 2):
            options = {
                "n_workers": n,
                "threads_per_worker": 1,
                "dashboard_address": "127.0.0.1:0",
                "silence_logs": "CRITICAL",
            }
            workers = stack.enter_context(LocalCluster(processes=True, local_directory=str(folder / str(n)), **options))
            clients[n] = stack.enter_context(Client(workers, set_as_default=False))
        same = {n: expected.equals(compute(redshifts, client)) for n, client in clients.items()}
        functions = {n: partial(measure, partial(compute, redshifts, client)) for n, client in clients.items()}
        results = alternate(functions, repeats=args.repeats, warm_up=False)
    n_parts = len(catalog.get_healpix_pixels())
    print(f"{len(expected)} galaxies in {n_parts} partitions; medians of {args.repeats} alternating runs.\n")
    rows = []
    for n, costs in results.items():
        speed = ratios(results[1], costs)[0]
        rows.append((str(n), f"{len(expected) / medians(costs)[0]:.0f}", f"{speed:.2f}", "yes" if same[n] else "NO"))
    print_table(("workers", "galaxies/s", "speed to one worker's", "identical to this process"), rows)
    claim("speed of two dask workers over one", ratios(results[1], results[2])[0], least=1.7)
    claim("share of dask's results that are identical to one process", np.mean(list(same.values())), least=1)


if __name__ == "__main__":
    main()
