# Licensed under a 3-clause BSD style license - see LICENSE
"""
Write tables of the documentation from the results that are stored in docs/model_card/.

    python -m tools.result_tables [FOLDER]

writes a file for each table, into ``docs/training/tables`` or another folder, for ``docs/training/results.rst`` and
``docs/user/similarity_space.rst``. The same results give the same files, to the byte. A test compares those of the
documentation with the results.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from astro_photz import load_model
from astro_photz.evaluation._cells import LabelEfficiency, MethodTable, images

DOCS = Path(__file__).parents[1] / "docs"
TABLES = DOCS / "training" / "tables"
MODEL = "bundled"


@dataclass(frozen=True)
class Selection:
    """Part of a stored result that makes a table."""

    result: str
    """Its file, without ``.json``."""
    part: str = ""
    """Of label efficiency: ``"points"``, ``"equivalent"``, ``"gap"`` or ``"paired"``."""
    columns: tuple[str, ...] = ()
    """Of methods beside each other: the numbers to show."""


_NEIGHBOURS = "type", "Δz/(1+z)", "g-r", "ln R50", "inclination"
_COPIES = "anew, first", "anew, hundred", "turned", "mirrored", "reddened", "noisier"
_GAINS = tuple(f"nDCG: {name}" for name in ("bar", "ring", "arms", "edge-on", "bright neighbour"))

SELECTIONS = {
    "labels": Selection("label_efficiency", part="points"),
    "labels_factor": Selection("label_efficiency", part="equivalent"),
    "labels_gap": Selection("label_efficiency", part="gap"),
    "labels_paired": Selection("label_efficiency", part="paired"),
    "ablation": Selection("ablation", columns=("sigma_mad", "probe_random", "probe", "minutes", "dz_debv")),
    "adapt": Selection("adapt", columns=("bias", "sigma_mad", "coverage68", "change")),
    "neighbours": Selection("neighbours", columns=_NEIGHBOURS),
    "neighbours_copies": Selection("neighbours", columns=_COPIES),
    "neighbours_features": Selection("neighbours", columns=_GAINS),
}


def read_result(name: str) -> dict:
    """Read a result that is stored in ``docs/model_card``."""
    return json.loads((DOCS / "model_card" / f"{name}.json").read_text(encoding="utf-8"))


def cells(result: dict, selection: Selection) -> tuple[list[str], list[list[str]]]:
    """Make the header and the rows of a table."""
    if not selection.part:
        shown = {"method", *selection.columns, *(f"{name}_err" for name in selection.columns)}
        rows = [{name: row[name] for name in row if name in shown} for row in result["rows"]]
        table = MethodTable(result | {"rows": [row for row in rows if len(row) > 1]})
        return table.header, table.rows
    labels = LabelEfficiency(selection.result, result)
    return (labels.header, labels.rows) if selection.part == "points" else getattr(labels, selection.part)


def origin(result: dict) -> str:
    """Name the model that a result belongs to, its images, and the command that made it."""
    card = load_model(MODEL).card
    splits = card.training_data.get("splits", {})
    own = {name: one["sha256"] for name, one in splits.items() if isinstance(one, dict)}
    if "model" in result:
        of = f"Judged model: ``{result['model']['name']}``, version {result['model']['version']}."
    elif result.get("data") == own:
        of = f"Trained and judged on the images of ``{card.name}``, version {card.version}."
    else:
        of = f"Trained and judged on other images than those of ``{card.name}``, version {card.version}."
    return f"{of} All are {images(result)}. Made by::\n\n    {result['command']}\n"


def table_text(selection: Selection) -> str:
    """Write a table in reStructuredText, and below it, once for each result, the origin of its numbers."""
    result = read_result(selection.result)
    header, rows = cells(result, selection)
    lines = [".. list-table::", "    :header-rows: 1", ""]
    for row in [header, *rows]:
        lines += [f"    {mark} {cell}".rstrip() for mark, cell in zip(["* -", *["  -"] * len(row)], row, strict=False)]
    below = f"\n{origin(result)}" if selection.part in ("", "points") else ""
    return "\n".join(lines) + "\n" + below


def main(args=None):
    parser = argparse.ArgumentParser(description="Write tables of the documentation from stored results.")
    parser.add_argument("folder", nargs="?", type=Path, default=TABLES)
    folder = parser.parse_args(args).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, selection in SELECTIONS.items():
        (folder / f"{name}.txt").write_text(table_text(selection), encoding="utf-8")
        print(folder / f"{name}.txt")


if __name__ == "__main__":
    main()
