# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies per second cut from SDSS frames, beside the ways that astroquery and astropy offer: five frames a galaxy.

The archive is one on this machine (`astro_photz.testing.loopback`). It serves the real frames of ``../shared`` where
those are at hand, and synthetic ones of the same size elsewhere. Answers and frames are in the caches of astroquery and
astropy beforehand, for all alike, so that neither a server nor a network is measured.
"""

import argparse
import bz2
import multiprocessing
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import vstack
from astropy.wcs import WCS, FITSFixedWarning
from astroquery.sdss import SDSS

import astro_photz
from astro_photz.cutouts.frames import Frame, read_frame
from astro_photz.cutouts.sources._field_cutting import Targets, cut_fields, plan_tasks
from astro_photz.positions import read_positions
from astro_photz.sdss import BANDS, FRAME_SHAPE, FieldID, frame_name
from astro_photz.testing.loopback import LoopbackArchive, real_archive
from astro_photz.testing.synthetic_frames import make_field
from astro_photz.testing.synthetic_sky import Geometry, make_sky
from benchmarks.common.claims import claim
from benchmarks.common.data import SHARED
from benchmarks.common.timing import alternate, measure, medians, peak_memory, print_table, ratios, use_one_thread

GALAXIES_A_FIELD = (1, 3, 30)
PREDICT, DECOMPRESS = "predict, 3 a field, threads=2", "decompression alone, threads=2"
GET_IMAGES = "SDSS.get_images for each galaxy"
FITS_OPEN = "fits.open of files for each galaxy"
_COMPARED = (GET_IMAGES, PREDICT), (PREDICT, DECOMPRESS)


@contextmanager
def open_archive():
    """An archive of four fields, and a folder of its frames."""
    if SHARED.is_dir():
        with real_archive(SHARED) as archive:
            yield archive, SHARED / "sdss_frames"
        return
    fields, sources = [], []
    for k in range(4):
        geometry = Geometry(ra=150.0 + k, dec=2.2, shape=FRAME_SHAPE)
        galaxies = make_sky(geometry, max(GALAXIES_A_FIELD), seed=k)
        fields.append(make_field(FieldID(4207, 301, 3, 110 + 10 * k), geometry, galaxies))
        sources += galaxies
    with LoopbackArchive.of(fields, sources) as archive, tempfile.TemporaryDirectory() as folder:
        for path, content in archive.frames.items():
            (Path(folder) / Path(path).name).write_bytes(content)
        yield archive, Path(folder)


def pick(archive, *, fields, galaxies):
    """A table of galaxies, in any order, in each of the first fields; they repeat where a field has fewer."""
    groups = archive.primaries.group_by(list(FieldID._fields)).groups
    rng = np.random.default_rng(0)
    return vstack([group[np.resize(rng.permutation(len(group)), galaxies)] for group in list(groups)[:fields]])


def cut_by_get_images(table):
    """Stamps by astroquery, from positions alone."""
    for coord in _coords(table):
        images = SDSS.get_images(coordinates=coord, band=list(BANDS), timeout=60, data_release=17, show_progress=False)
        for hdus in images:
            _cut_stamp(hdus[0], coord)


def cut_by_fits_open(table, folder):
    """Stamps by astropy, from frames that were found and downloaded before."""
    for coord, field_id in zip(_coords(table), _field_ids(table), strict=True):
        for band in BANDS:
            with fits.open(folder / frame_name(band, field_id)) as hdus:
                _cut_stamp(hdus[0], coord)


def _cut_stamp(hdu, coord):
    return Cutout2D(hdu.data, coord, 64, wcs=WCS(hdu.header), mode="partial", fill_value=np.nan)


def cut(table, threads):
    """Stamps by astro_photz, from positions alone."""
    cutouts = astro_photz.fetch(table["ra", "dec"], source=astro_photz.SDSSArchive(threads=threads))
    if cutouts.flags.any():
        raise RuntimeError("some galaxies have no image")


def predict(table, threads):
    """Columns by astro_photz, from positions alone."""
    with astro_photz.conf.set_temp("inference_threads", threads):
        astro_photz.predict(table["ra", "dec"], source=astro_photz.SDSSArchive(threads=threads))


def decompress(table, folder, threads):
    """Decompress the frames, and do nothing with them."""
    paths = [folder / frame_name(band, field_id) for field_id in set(_field_ids(table)) for band in BANDS]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda path: len(bz2.decompress(path.read_bytes())), paths))


def _coords(table):
    return SkyCoord(table["ra"], table["dec"], unit="deg")


def _field_ids(table):
    return [FieldID(*map(int, row)) for row in table[FieldID._fields].iterrows()]


def compare(archive, folder, *, fields, repeats):
    """Rows of the table of speeds, in galaxies a second."""
    few = pick(archive, fields=fields, galaxies=1)  # they share nothing, so that a few tell as much as many
    work = {GET_IMAGES: (few, cut_by_get_images), FITS_OPEN: (few, partial(cut_by_fits_open, folder=folder))}
    for galaxies in GALAXIES_A_FIELD:
        for threads in (1, 2):
            table = pick(archive, fields=fields, galaxies=galaxies)
            work[f"astro_photz, {galaxies:2} a field, threads={threads}"] = table, partial(cut, threads=threads)
    table = pick(archive, fields=fields, galaxies=3)
    work[PREDICT] = table, partial(predict, threads=2)
    work[DECOMPRESS] = table, partial(decompress, folder=folder, threads=2)
    decompressions = {name: count_decompressions(*job) for name, job in work.items()}  # also fills the caches
    costs = {name: partial(cost_of_a_galaxy, *job) for name, job in work.items()}
    results = alternate(costs, repeats=repeats, warm_up=False)
    for name, result in results.items():
        speeds = (f"{1 / seconds:.2f}" for seconds in medians(result))
        # How many times faster: the baseline's time over this one's.
        gains = (f"{gain:.1f}" for baseline in (GET_IMAGES, FITS_OPEN) for gain in ratios(results[baseline], result))
        counted = decompressions[name]
        yield name, *speeds, *gains, f"{counted / fields:g}" if counted else ""
    gain, alone = (ratios(results[one], results[other])[0] for one, other in _COMPARED)
    claim("speed from frames to columns, 3 galaxies a field, two threads, over get_images", gain, least=5)
    claim("time of the same over decompression alone, two threads", alone, most=1.2)


def count_decompressions(table, function):
    """Count the frames that astro_photz decompresses."""
    with patch("astro_photz.cutouts.frames.Frame", wraps=Frame) as counted:
        function(table)
    return counted.call_count


def cost_of_a_galaxy(table, function):
    """Wall and CPU time (s)."""
    return tuple(seconds / len(table) for seconds in measure(partial(function, table)))


def cut_from_memory(table, frames):
    """Stamps by astro_photz from frames that are decompressed already."""
    positions = read_positions(table)
    targets = Targets(positions.coord, positions.ebv, np.full((len(table), 5), np.nan, dtype=np.float32), 17)
    tasks = plan_tasks(dict(enumerate(_field_ids(table))), {})

    def load(field_id, band, coord):
        return frames[field_id, band]

    for _ in cut_fields(tasks, targets, load=load, size=64, threads=1, max_bytes=2**29):
        pass


def peak_of_cutting(folder, table, threads):
    """Peak memory (MB) of a process that cuts the galaxies of a table."""
    astro_photz.fetch(table, source=astro_photz.FrameDirectory(folder, threads=threads))
    return peak_memory()


def peak_memories(archive, folder):
    """Rows of the table of peak memory."""
    for threads, fields in ((1, 1), (1, 4), (2, 2), (2, 4)):
        table = pick(archive, fields=fields, galaxies=3)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(peak_of_cutting, (folder, table, threads))
        yield f"threads={threads}", str(fields), f"{peak:.0f} MB"


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--fields", type=int, default=2, help="fields to time, 1 to 4 (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    use_one_thread()
    warnings.simplefilter("ignore", FITSFixedWarning)  # wcslib on the old keywords of frames

    with open_archive() as (archive, folder):
        print("FrameDirectory, 3 galaxies a field.\n")
        print_table(("", "fields", "peak memory"), list(peak_memories(archive, folder)))

        rows = list(compare(archive, folder, fields=args.fields, repeats=args.repeats))
        print(f"{'Real' if SHARED.is_dir() else 'Synthetic'} frames of {args.fields} fields, in the caches for all;")
        print(f"medians of {args.repeats} alternating runs; numpy's libraries have one thread.\n")
        speeds = "galaxies/s", "galaxies/CPU s"
        gains = "× get_images: wall", "CPU", "× fits.open: wall", "CPU"
        print_table(("", *speeds, *gains, "decompressions a field"), rows)

        table = pick(archive, fields=args.fields, galaxies=30)
        frames = {
            (field_id, band): read_frame(folder / frame_name(band, field_id))
            for field_id in set(_field_ids(table))
            for band in BANDS
        }
        cost = partial(cost_of_a_galaxy, table, partial(cut_from_memory, frames=frames))
        wall, cpu = medians(alternate({"": cost}, repeats=5)[""])
        print("From frames in memory, 30 galaxies a field, one thread:")
        print(f"{wall * 1e3:.2f} ms a galaxy (CPU {cpu * 1e3:.2f} ms), five bands.")
        claim("ms of a cutout of five bands, from frames in memory, by the processor", cpu * 1e3, most=1.5)


if __name__ == "__main__":
    main()
