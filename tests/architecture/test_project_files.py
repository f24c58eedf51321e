# Licensed under a 3-clause BSD style license - see LICENSE
"""Files for conda, Binder, GitHub, Zenodo and citation say what pyproject.toml, tox.ini and the change log say."""

import configparser
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CONDA_NAMES = {"matplotlib": "matplotlib-base"}
METHOD = "arXiv:2101.04293"
WORDS_OF_PATHS = re.compile(
    r"[\w./-]+\.(?:md|rst|yml|yaml|toml|ini|cff|json|py)|(?:docs|binder|tests|benchmarks|tools|recipe)/[\w/]*"
)
LINK = re.compile(r"\]\(((?!http)[^)#]+)\)")


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(*extras):
    """Minimum of each requirement of the plain install, and of extras, by its name in conda."""
    metadata = project()["project"]
    lines = metadata["dependencies"] + [one for extra in extras for one in metadata["optional-dependencies"][extra]]
    parsed = [Requirement(line) for line in lines]
    return {CONDA_NAMES.get(one.name, one.name): str(one.specifier) for one in parsed}


def conda(lines):
    """Minimum of each requirement of a list in conda's form."""
    parts = [re.fullmatch(r"([\w.-]+) ?([<>=!].*)?", line) for line in lines if isinstance(line, str)]
    return {part[1]: part[2] or "" for part in parts}


def environments():
    """Environments of tox.ini, those of the list and those with a section."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    sections = [name.partition(":")[2] for name in tox.sections() if name.startswith("testenv:")]
    return {*tox["tox"]["env_list"].split(), *sections}


def jobs():
    """Jobs of all workflows, by file and name."""
    return {(path.name, name): job for path in WORKFLOWS for name, job in read_yaml(path)["jobs"].items()}


def commands(job):
    """Commands of a job, one for each cell of its matrix."""
    cells = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
    for step in job["steps"]:
        for cell in cells:
            yield re.sub(
                r"\$\{\{ matrix\.(\w+) \}\}", lambda found, cell=cell: cell.get(found[1], ""), step.get("run", "")
            )


def tox_calls():
    return {env for job in jobs().values() for line in commands(job) for env in re.findall(r"tox -e ([\w,-]+)", line)}


@pytest.mark.parametrize(("name", "extras"), [("environment.yml", ["plot"]), ("binder/environment.yml", ["plot"])])
def test_conda_environments_have_the_requirements(name, extras):
    given = conda(read_yaml(name)["dependencies"])
    assert {one: given.get(one) for one in requirements(*extras)} == requirements(*extras)


def test_the_recipe_has_the_requirements():
    recipe, metadata = read_yaml("recipe/recipe.yaml"), project()
    run = conda([line for line in recipe["requirements"]["run"] if not line.startswith("python ")])
    assert run == requirements()
    host = conda([line for line in recipe["requirements"]["host"] if not line.startswith("python ")])
    built = {one.name: str(one.specifier) for one in map(Requirement, metadata["build-system"]["requires"])}
    assert host == {"pip": "", **built}
    assert metadata["project"]["requires-python"] == f">={recipe['context']['python_min']}"
    (command,) = metadata["project"]["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(command)]
    assert recipe["about"]["license"] == metadata["project"]["license"]
    assert recipe["about"]["summary"] == metadata["project"]["description"]


def test_workflows_call_environments_that_exist():
    assert tox_calls() <= environments()


def test_workflows_leave_no_environment_out():
    assert environments() <= tox_calls()


def test_ci_runs_what_the_workflows_run():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    used = {env for found in re.findall(r"-e ([\w,-]+)", script) for env in found.split(",")}
    assert used <= tox_calls()
    assert any("bash .ci/run" in line for job in jobs().values() for line in commands(job))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_no_more(path):
    text = path.read_text(encoding="utf-8")
    assert read_yaml(path)["permissions"] == {"contents": "read"}
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert "secrets." not in text
    used = [
        step["uses"]
        for (name, _), job in jobs().items()
        if name == path.name
        for step in job["steps"]
        if "uses" in step
    ]
    assert [one for one in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one)] == []
    assert all(job["timeout-minutes"] <= 120 for (name, _), job in jobs().items() if name == path.name)


@pytest.mark.parametrize("path", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.name)
def test_a_form_asks_for_something(path):
    form = read_yaml(path)
    assert {"name", "description", "body"} <= form.keys()
    asked = [one for one in form["body"] if one["type"] != "markdown"]
    assert any(one.get("validations", {}).get("required") for one in asked)
    assert len({one["id"] for one in asked}) == len(asked)


def test_version_of_citation_recipe_and_change_log_is_one():
    """Before the first release there is none."""
    headings = re.findall(r"(?m)^(\S+) \((\d{4}-\d\d-\d\d)\)\n-+$", (ROOT / "CHANGES.rst").read_text(encoding="utf-8"))
    version, date = headings[0] if headings else ("0.0.0", None)
    citation = read_yaml("CITATION.cff")
    assert str(citation.get("version", "0.0.0")) == version
    assert str(citation.get("date-released", None)) == str(date)
    assert read_yaml("recipe/recipe.yaml")["context"]["version"] == version


def test_citation_and_zenodo_agree():
    citation, zenodo = read_yaml("CITATION.cff"), json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert zenodo["title"] == citation["title"]
    assert zenodo["license"].upper() == citation["license"].upper() == project()["project"]["license"].upper()
    assert [one["name"] for one in zenodo["creators"]] == [one["name"] for one in citation["authors"]]
    assert zenodo["keywords"] == citation["keywords"]
    assert "version" not in zenodo  # Zenodo takes it from the tag
    papers = {one.get("doi") or one["identifiers"][0]["value"] for one in citation["references"]}
    assert {one["identifier"] for one in zenodo["related_identifiers"]} == papers
    assert METHOD in papers


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_a_page_lead_to_files(name):
    links = LINK.findall((ROOT / name).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_files_that_the_checklists_name_exist():
    text = (ROOT / "docs" / "developers" / "checklists.rst").read_text(encoding="utf-8")
    named = [word for literal in re.findall(r"``([^`]+)``", text) for word in WORDS_OF_PATHS.findall(literal)]
    places = [ROOT, ROOT / ".github" / "workflows", ROOT / "astro_photz"]
    assert len(named) > 20
    assert [word for word in named if not any((place / word).exists() for place in places)] == []
