# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make a release, or show what it would be.

``python -m tools.release 0.1.0`` does all of it in a clone in a temporary folder: the version and the date go into the
change log, ``CITATION.cff`` and the recipe of conda, a commit gets the tag ``v0.1.0``, ``build`` makes the archive and
the wheel out of it, ``tools.check_wheel`` looks at them. The repository stays as it is: that is the dry run.

``--tag`` brings commit and tag into the repository, and the files into ``dist/``. ``--upload`` sends these to PyPI
(twine asks who you are); it needs ``--tag``. Nothing is pushed: the last lines say what is left to do.

Needs ``pip install build twine packaging``.
"""

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
CHANGES = "CHANGES.rst"
UNRELEASED = re.compile(r"\A(\S+) \(unreleased\)\n-+\n")
NEXT = "{version} (unreleased)\n{line}\n\nNo changes yet.\n\n\n"


def run(*words, cwd):
    """Run a command; its output. One that fails ends the release with what it said."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def checked_version(text, tags):
    """Read a version, which must be a newer one than those of the tags."""
    try:
        version = Version(text)
    except InvalidVersion:
        raise SystemExit(f"{text!r} is no version of Python packages, such as 0.1.0 or 0.2.0rc1") from None
    if str(version) != text:
        raise SystemExit(f"write the version {text!r} as {version}")
    if version.is_devrelease or version.local:
        raise SystemExit(f"{text} is a version of development: releases are such as {version.base_version}")
    known = [Version(tag[1:]) for tag in tags if re.fullmatch(r"v\d[\w.]*", tag)]
    if known and version <= max(known):
        raise SystemExit(f"{text} must be newer than {max(known)}, which is tagged already")
    return version


def release_changes(text, version, date):
    """Give the section at the top of the change log its version and date; it must be unreleased and say something."""
    heading = UNRELEASED.match(text)
    if not heading:
        raise SystemExit(f"{CHANGES} must begin with a section '... (unreleased)'")
    body = text[heading.end() :]
    if body.lstrip().startswith("No changes yet."):
        raise SystemExit(f"{CHANGES}: the section at the top says nothing yet: write what a user would notice")
    title = f"{version} ({date})"
    return f"{title}\n{'-' * len(title)}\n{body}"


def open_changes(text, version):
    """Begin the section of the next version at the top of the change log."""
    major, minor, micro = version.release[0], version.minor, version.micro
    following = f"{major}.{minor}.{micro + 1}" if micro else f"{major}.{minor + 1}"
    following = version.base_version if version.is_prerelease else following
    title = f"{following} (unreleased)"
    return NEXT.format(version=following, line="-" * len(title)) + text


def release_citation(text, version, date):
    """Put version and date into the citation file, in place of those that it has."""
    lines = [line for line in text.splitlines() if not re.match(r"(version|date-released):", line)]
    place = next(number for number, line in enumerate(lines) if line.startswith("title:")) + 1
    return "\n".join([*lines[:place], f"version: {version}", f"date-released: {date}", *lines[place:]]) + "\n"


def release_recipe(text, version):
    """Put the version into the recipe of conda."""
    new, n = re.subn(r'(?m)^(  version: )".*"$', rf'\g<1>"{version}"', text)
    if n != 1:
        raise SystemExit(f"recipe/recipe.yaml must have one line of its version, got {n}")
    return new


def edit(path, change, *values):
    path.write_text(change(path.read_text(encoding="utf-8"), *values), encoding="utf-8")


def commit(folder, message):
    run("git", "commit", "--all", "--message", message, cwd=folder)


def prepare(folder, version, date):
    """Write the version into the files of a clone, commit and tag, and open the next section of the change log."""
    edit(folder / CHANGES, release_changes, version, date)
    edit(folder / "CITATION.cff", release_citation, version, date)
    edit(folder / "recipe" / "recipe.yaml", release_recipe, version)
    commit(folder, f"Release {version}")
    run("git", "tag", "--annotate", f"v{version}", "--message", f"Version {version}", cwd=folder)
    edit(folder / CHANGES, open_changes, version)
    commit(folder, f"After the release of {version}")


def build(folder, version):
    """Build archive and wheel of the tag, and look at them; the folder that holds them."""
    run("git", "checkout", "--quiet", f"v{version}", cwd=folder)
    run(sys.executable, "-m", "build", cwd=folder)
    dist = folder / "dist"
    names = sorted(path.name for path in dist.iterdir())
    if names != [f"astro_photz-{version}-py3-none-any.whl", f"astro_photz-{version}.tar.gz"]:
        raise SystemExit(f"the files have another version than {version}: {', '.join(names)}")
    print(run(sys.executable, "-m", "tools.check_wheel", dist, cwd=folder))
    return dist


def bring(clone, version):
    """Bring commits, tag and files out of the clone into the repository."""
    run("git", "fetch", "--quiet", clone, f"refs/tags/v{version}:refs/tags/v{version}", cwd=ROOT)
    run("git", "fetch", "--quiet", clone, "release", cwd=ROOT)
    run("git", "merge", "--ff-only", "FETCH_HEAD", cwd=ROOT)
    shutil.copytree(clone / "dist", ROOT / "dist", dirs_exist_ok=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.1.0")
    parser.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat(), help="default: today")
    parser.add_argument("--tag", action="store_true", help="commit and tag in the repository; without it, a dry run")
    parser.add_argument("--upload", action="store_true", help="upload to PyPI, with --tag")
    parser.add_argument("--repository", default="pypi", help="where twine uploads to: pypi (default) or testpypi")
    options = parser.parse_args(arguments)
    if options.upload and not options.tag:
        parser.error("--upload needs --tag: what is uploaded must be tagged")
    version = checked_version(options.version, run("git", "tag", cwd=ROOT).split())
    changed = run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT)
    if changed and options.tag:
        raise SystemExit(f"commit these changes first:\n{changed}")
    if changed:
        print("Changes that are not committed are not in this dry run.")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "astro_photz")
        run("git", "clone", "--quiet", ROOT, clone, cwd=folder)
        for key in ("user.name", "user.email"):
            run("git", "config", key, run("git", "config", key, cwd=ROOT), cwd=clone)
        run("git", "checkout", "--quiet", "-B", "release", cwd=clone)
        prepare(clone, version, options.date)
        print(run("git", "show", "--stat", f"v{version}", cwd=clone))
        dist = build(clone, version)
        if not options.tag:
            print(f"Dry run: the repository is as it was. --tag makes v{version}.")
            return
        bring(clone, version)
        if options.upload:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "twine",
                    "upload",
                    "--repository",
                    options.repository,
                    *map(str, dist.iterdir()),
                ],
                check=True,
            )
    print(f"Left to do: git push && git push origin v{version}; the hash of the archive in recipe/recipe.yaml;")
    print("the release on the repository's page, from which Zenodo makes a DOI (.zenodo.json).")


if __name__ == "__main__":
    main()
