# Licensed under a 3-clause BSD style license - see LICENSE
"""
Write the pages about speed and memory.

    python -m tools.benchmark_page [FOLDER]

takes what ``python -m benchmarks.all --output docs/benchmarks.json`` has measured. It writes ``speed.rst``, what holds
and what does not, and ``speed_tables.rst``, all that was printed, into ``docs/user`` or another folder. The same result
gives the same pages, to the byte.
"""

import argparse
import json
from pathlib import Path

from jinja2 import Environment

from benchmarks.all import COMMANDS
from benchmarks.common.claims import Claim

DOCS = Path(__file__).parents[1] / "docs"
RESULT = DOCS / "benchmarks.json"

TEMPLATE = """\
Speed and memory
================

This page shows what one command has measured, and what is wanted beside it::

    python -m benchmarks.all --output docs/benchmarks.json

{% if quick -%}
The run was a quick one, of few rows.

{% endif -%}
The machine has {{ machine.processors }} processors{% if machine.processor %} ({{ machine.processor }}){% endif %}. The
model is {{ model.name }}, version {{ model.version }}.

.. list-table::
    :header-rows: 1
    :widths: 60 14 14 12

    * - What
      - measured
      - wanted
      - holds
{%- for claim in claims %}
    * - {{ claim | join("\n      - ") }}
{%- endfor %}

{% if lacking -%}
Not measured yet: ``{{ lacking | join("``, ``") }}``.

{% endif -%}
Ratios compare two measurements of one run, which take turns. Other work on a machine hits both alike. Rates and times
are those of this machine. :doc:`speed_tables` has all that the benchmarks print.

Versions
--------

{% for name, version in versions.items() %}{{ name }} {{ version }}{{ "." if loop.last else ", " }}{% endfor %}
"""

TABLES = """\
What the benchmarks print
=========================

This page shows the output of each benchmark. :doc:`speed` shows what is wanted beside it.
{% for one in measured %}
``{{ one.command }}``, {{ one.seconds }} s on {{ one.date }}, of version {{ one.of }}:

.. code-block:: text

{{ one.output | indent(4, first=True) }}
{% endfor %}"""

PAGES = {"speed.rst": TEMPLATE, "speed_tables.rst": TABLES}


def pages(result):
    """
    Make the pages.

    Parameters
    ----------
    result : dict
        As ``benchmarks.all`` keeps it.

    Returns
    -------
    dict of str
        By their names.
    """
    claims = [Claim(**claim).cells for one in result["measured"] for claim in one["claims"]]
    measured = [one | {"output": _lines(one["output"])} for one in result["measured"]]
    done = {one["command"].split()[2] for one in measured}
    lacking = [f"python -m {module}" for module in COMMANDS.values() if module not in done]
    environment = Environment(keep_trailing_newline=True)
    told = result | {"claims": claims, "measured": measured, "lacking": lacking}
    return {name: _lines(environment.from_string(text).render(told)) + "\n" for name, text in PAGES.items()}


def _lines(output):
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


def main():
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DOCS / "user", help="(default: docs/user)")
    folder = parser.parse_args().folder
    for name, text in pages(json.loads(RESULT.read_text(encoding="utf-8"))).items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")


if __name__ == "__main__":
    main()
