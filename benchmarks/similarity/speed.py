# Licensed under a 3-clause BSD style license - see LICENSE
"""
Speed, recall and memory of a search among many vectors, against NumPy's brute force in the same run.

The vectors come in clusters, and depend on fewer numbers than they have, as those of galaxies do. They are built into
an index from a stream of blocks, so that the memory of the build is that of a block, not of the whole.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from astro_photz.similarity import SimilarityIndex
from benchmarks.common.timing import alternate, measure, medians, peak_memory, print_table, use_one_thread

SEED = 7
BLOCK = 50_000
LATENT, CLUSTERS, SPREAD, NOISE = 32, 2_000, 0.5, 0.02
K = 10
QUERIES = 200
SELECTED = 0.001
RESIDENT = """
import sys
from pathlib import Path
from astro_photz.similarity._approximate import ApproximateSearch, faiss_module
from benchmarks.similarity.speed import resident_memory

folder = next(Path(sys.argv[1]).glob("generation-*"))
faiss_module()
before = resident_memory()
search = ApproximateSearch.read(folder, mapped=False)
print(resident_memory() - before)
"""


def blocks(n, dim):
    """Yield clustered vectors, block by block (M, D) float32."""
    rng = np.random.default_rng(SEED)
    mixing = (rng.normal(size=(LATENT, dim)) * np.geomspace(1, 0.1, LATENT)[:, None]).astype(np.float32)
    centres = rng.normal(size=(CLUSTERS, LATENT)).astype(np.float32)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        latent = centres[rng.integers(CLUSTERS, size=m)]
        latent += SPREAD * rng.standard_normal((m, LATENT), dtype=np.float32)
        noise = NOISE * rng.standard_normal((m, dim), dtype=np.float32)
        yield latent @ mixing + noise


def cold_start(path, repeats=3):
    """Times (s) from nothing to the first answer of a new process, the median each: of the clock, of a processor."""
    code = "import sys; from astro_photz.similarity import SimilarityIndex as I; I.load(sys.argv[1]).query(7, k=10)"
    ways = {
        "in Python": [sys.executable, "-c", code, path],
        "by the command": [sys.executable, "-m", "astro_photz", "search", path, "--like", "7"],
    }
    return {name: np.median([timed_process(command) for _ in range(repeats)], axis=0) for name, command in ways.items()}


def timed_process(command):
    """Times (s) that a process takes: of the clock, and of a processor."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def resident_memory():
    """Memory of this process now (MB)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1e3 * 1.024
    raise OSError("the memory of a process is known on Linux only")


def brute_force(vectors, norms, queries):
    """Rows (M, K) of the nearest vectors, by NumPy."""
    squared = norms - 2 * queries @ vectors.T
    return np.argpartition(squared, K, axis=1)[:, : K + 1]


def compare(index, queries):
    """Print times of brute force, of the exact search and of the index's own, and their recall."""
    vectors = np.asarray(index.vectors, dtype=np.float32)
    norms = np.einsum("ij,ij->i", vectors, vectors)
    own = vectors[queries]
    found = {}

    def run(name, search):
        def timed():
            cost = measure(lambda: found.update({name: search()}))
            return cost.wall, cost.cpu

        return timed

    searches = {
        "NumPy brute force": run(
            "brute", lambda: np.vstack([brute_force(vectors, norms, one[None]) for one in own[:20]])
        ),
        "NumPy brute force, in batches": run("batch", lambda: brute_force(vectors, norms, own)),
        "exact": run("exact", partial(index.query, rows=queries, k=K, exact=True)),
        "index": run("index", partial(index.query, rows=queries, k=K)),
    }
    results = {name: medians(times) for name, times in alternate(searches, repeats=3).items()}
    number = {"NumPy brute force": 20}
    per_query = {name: times[1] / number.get(name, len(queries)) for name, times in results.items()}
    exact = found["exact"]["distance"].reshape(-1, K)
    rows = [
        (
            name,
            f"{1e3 * cost:.3f}",
            f"{per_query['NumPy brute force, in batches'] / cost:.1f}",
            f"{np.mean(found[kind]['distance'].reshape(-1, K) <= exact[:, -1:] * (1 + 1e-6)):.4f}" if kind else "",
        )
        for (name, cost), kind in zip(per_query.items(), (None, None, "exact", "index"), strict=True)
    ]
    print_table(("", "ms a query", "times as fast as in batches", f"recall@{K}"), rows)


def main():
    """Build the index, and print the tables."""
    use_one_thread()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--n", type=int, default=1_000_000, help="vectors (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=512, help="numbers of a vector (default: %(default)s)")
    parser.add_argument("--build-only", action="store_true", help="leave out the searches, which need more memory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        begun = time.perf_counter(), time.process_time()
        index = SimilarityIndex.build(blocks(args.n, args.dim), path=path, approximate=True)
        wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
        disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        resident = subprocess.run([sys.executable, "-c", RESIDENT, path], check=True, capture_output=True, text=True)
        approximate = index._contents.approximate
        rows = [
            (f"{args.n} x {args.dim}: built in", f"{wall:.0f} s ({cpu:.0f} s of a processor)"),
            ("most memory, with the file's pages that were read", f"{peak_memory():.0f} MB"),
            ("on disk", f"{disk:.0f} MB"),
            ("resident without the vectors", f"{float(resident.stdout):.0f} MB"),
            ("recall noted in the index", f"{index.recall:.4f}"),
            (
                "lists looked into, candidates for a neighbour",
                f"{approximate.probes} of {approximate.n_lists}, {approximate.factor}",
            ),
        ]
        for name, (wall, cpu) in cold_start(path).items():
            rows.append((f"cold start to the first answer {name}", f"{wall:.1f} s ({cpu:.1f} s of a processor)"))
        print_table(("", ""), rows)
        if not args.build_only:
            rng = np.random.default_rng(SEED)
            compare(index, np.sort(rng.choice(args.n, size=QUERIES, replace=False)))
            mask = rng.uniform(size=args.n) < SELECTED
            cost = measure(lambda: index.query(rows=[0], k=K, where=mask))
            print(f"among {mask.sum()} of {args.n}, exactly: {1e3 * cost.wall:.1f} ms")


if __name__ == "__main__":
    main()
