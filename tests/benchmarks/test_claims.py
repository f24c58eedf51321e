# Licensed under a 3-clause BSD style license - see LICENSE
"""What is measured stands beside what is wanted, and one command collects it."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def claims(monkeypatch):
    """The module of the source tree."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("benchmarks.common.claims")


@pytest.fixture
def everything(claims):
    """The command that runs all benchmarks."""
    return importlib.import_module("benchmarks.all")


@pytest.mark.parametrize(
    ("value", "limits", "wanted", "holds"),
    [
        (0.95, {"least": 0.9}, "≥ 0.9", True),
        (0.89, {"least": 0.9}, "≥ 0.9", False),
        (600.0, {"most": 600}, "≤ 600", True),
        (601.0, {"most": 600}, "≤ 600", False),
        (float("nan"), {"most": 1}, "≤ 1", False),
    ],
)
def test_a_claim_holds_within_its_limit(claims, value, limits, wanted, holds):
    one = claims.Claim("speed", value, **limits)
    assert (one.wanted, one.holds) == (wanted, holds)
    assert one.cells[-2:] == (wanted, "yes" if holds else "no")


def test_claims_are_printed_and_kept(claims, tmp_path, monkeypatch, capsys):
    claims.claim("speed", 2, least=1.8)
    monkeypatch.setenv(claims.FILE, str(tmp_path / "claims"))
    claims.claim("memory", 700.0, most=600)
    claims.claim("share", 0.04, most=0.05)
    assert capsys.readouterr().out.splitlines()[:2] == ["speed: 2 (≥ 1.8 is wanted)", "memory: 700 (≤ 600 is wanted)"]
    kept = [claims.Claim("memory", 700, most=600), claims.Claim("share", 0.04, most=0.05)]
    assert claims.claims_in(tmp_path / "claims") == kept
    assert claims.claims_in(tmp_path / "none") == []


def test_one_command_runs_measures_and_keeps(everything, claims, tmp_path, monkeypatch, capsys):
    output = tmp_path / "all.json"
    monkeypatch.setattr("sys.argv", ["all", "--only", "imports", "--quick", "--output", str(output)])
    monkeypatch.setitem(sys.modules, "__main__", everything)
    assert everything.main() == 0
    (one,) = json.loads(output.read_text())["measured"]
    told = [claims.Claim(**each) for each in one["claims"]]
    assert [each.most for each in told] == [1, 2]
    assert one["command"] == "python -m benchmarks.inference.imports --repeats 1"
    assert all(each.what in one["output"] for each in told)
    table = capsys.readouterr().out.split("holds")[-1]
    assert all(each.what in table for each in told)


def test_what_an_output_has_of_others_stays(everything):
    earlier = [{"command": f"python -m benchmarks.inference.{name}", "code": 0} for name in ("million", "imports")]
    (again,) = [{"command": "python -m benchmarks.inference.million --rows 9", "code": 1}]
    assert everything.in_order(earlier, [again]) == [earlier[1], again]


def test_a_benchmark_that_fails_is_told(everything, monkeypatch, capsys):
    monkeypatch.setitem(everything.COMMANDS, "imports", "benchmarks.no_such")
    monkeypatch.setattr("sys.argv", ["all", "--only", "imports"])
    assert everything.main() == 1
