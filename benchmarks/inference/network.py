# Licensed under a 3-clause BSD style license - see LICENSE
"""
Time that ``astro-photz predict`` of 1,000 rows takes without a network, and its message.

The servers are addresses of this machine: one that refuses, a name that nobody knows, one that drops all packets, and
one that accepts and hangs, which is interrupted after ten seconds. There is no baseline: a bare call of astroquery ends
in a traceback of its libraries, or waits for its timeout.
"""

import argparse
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common.timing import print_table

_ROWS = 1000
_PATIENCE = 10  # s before the command that waits for the server that hangs is interrupted
_COMMAND = """
import sys
from astroquery.sdss import conf
conf.skyserver_baseurl = conf.sas_baseurl = sys.argv[1]
from astro_photz.cli import main
sys.exit(main(["predict", "hosts.csv", "z.ecsv"]))
"""


@contextmanager
def refusing():
    """A port at which nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def unknown():
    """A name that no server of names knows."""
    yield "http://skyserver.invalid"


@contextmanager
def black_hole():
    """A port whose queue of connections is full, so that the system drops what comes."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for filler in fillers:
            filler.close()


@contextmanager
def hanging():
    """A port that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def run(url, folder, *, interrupt):
    """Run the command: seconds to the first line, seconds in all, exit code, lines."""
    began, lines, first = time.monotonic(), [], None
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, url], cwd=folder, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        for line in process.stderr:
            lines.append(line.strip())
            first = first or time.monotonic() - began
            if interrupt:
                time.sleep(max(0.0, _PATIENCE - (time.monotonic() - began)))
                process.send_signal(signal.SIGINT)
                began, interrupt = time.monotonic(), False  # how long it takes to end
    return first, time.monotonic() - began, process.returncode, lines


def main():
    """Print the table, and what was said."""
    argparse.ArgumentParser(description=__doc__.splitlines()[1]).parse_args()
    rows, said = [], []
    with TemporaryDirectory() as folder:
        hosts = "\n".join(f"{150 + row / 1000:.4f},2.0" for row in range(_ROWS))
        (Path(folder) / "hosts.csv").write_text(f"ra,dec\n{hosts}\n")
        for server in (refusing, unknown, black_hole, hanging):
            with server() as url:
                first, total, code, lines = run(url, folder, interrupt=server is hanging)
            rows.append((server.__name__, f"{first:.1f}", f"{total:.1f}", str(code), str(len(lines))))
            said += [f"{server.__name__}: {line}" for line in lines]
    print_table(("server", "s to the first line", "s to the end (hanging: after Ctrl-C)", "exit code", "lines"), rows)
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
