# Licensed under a 3-clause BSD style license - see LICENSE
"""A page tells what the table holds, in one file that loads nothing and runs nothing of the table's."""

import base64
import hashlib
import re
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from pages import Page, estimated_table

from astro_photz import Cutouts, PhotozFlag, demo_path, load_model, metrics, predict
from astro_photz.cli._parser import CommandParser
from astro_photz.cli._report import add_commands
from astro_photz.cutouts import CutoutFile
from astro_photz.flags import FLAG_ADVICE
from astro_photz.report import write_report
from astro_photz.report._text import number, with_symbols
from astro_photz.report.pictures import png_uri, svg
from astro_photz.report.rows import doubtful_rows, images_of
from astro_photz.report.subject import read_subject
from astro_photz.validation import validate

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
MINUTE = r"\d\d:\d\d UTC"  # when a page was made
RIGHT_TO_LEFT = "גלקסיה ١٢ \u202e銀河"


COMMAND = "astro-photz report it.ecsv --redshift z_spec"
TABLE = estimated_table(60, pdf=True, missing=3, spread=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A page with everything but images."""
    path = tmp_path_factory.mktemp("whole") / "page.html"
    return Page(write_report(TABLE, path, redshift="z_spec", command=COMMAND))


def narrow(n=12, **options):
    """A table with few columns, whose page is quickly drawn."""
    return estimated_table(n, **options)["objid", "z_phot", "z_phot_err", "z_phot_flags", "z_spec"]


@pytest.fixture
def page(tmp_path):
    """Writes a page about a table, and reads it."""

    def made(table, **options):
        return Page(write_report(table, tmp_path / "page.html", overwrite=True, **options))

    return made


def run(*arguments):
    """Runs the command by itself."""
    parser = CommandParser(prog="astro-photz")
    add_commands(parser.add_subparsers())
    given = parser.parse_args(["report", *map(str, arguments)])
    with ExitStack() as given.claims:
        return given.run(given)


# What it tells


def test_rows_are_counted(whole):
    flags = TABLE["z_phot_flags"][:57]
    clean, crowded = int((flags == 0).sum()), int(((flags & PhotozFlag.CROWDED) != 0).sum())
    assert f"60 rows 57 with a redshift {clean} of these without a flag" in whole.text
    assert "3 of 60 rows have none" in whole.text
    assert re.search(rf"CROWDED {crowded} ", whole.text)
    assert re.search(r"NO_IMAGE 3 100 %", whole.text)


def test_the_model_and_the_images_are_told(whole):
    assert "model mine 3" in whole.text
    assert "images SDSS DR17" in whole.text
    assert "The model mine that made the table is not at hand here" in whole.text
    assert "astro-photz predict IN OUT.ecsv --model mine --data-release 17 --pdf" in whole.text
    assert COMMAND in whole.text


def test_limits_of_a_model_at_hand_are_told(page):
    source = CutoutFile(demo_path())
    table = predict(source.catalog()[:4], source=source)
    told = page(table)
    assert all(limit.split()[-1] in told.text for limit in load_model().card.limits)
    assert "not at hand" not in told.text


def test_analogues_are_asked_for_again(page):
    source = CutoutFile(demo_path())
    assert "--analogues 2" in page(predict(source.catalog()[:4], source=source, analogues=2)).text


def test_a_table_that_tells_nothing_has_a_page(page):
    table = estimated_table()["z_phot", "z_phot_err", "z_phot_flags"]
    table.meta.clear()
    told = page(table)
    assert "model not recorded" in told.text
    assert "its file keeps no record" in told.text
    assert "map of the sky" not in told.html
    assert "row " in told.text


def test_no_estimate_at_all_has_a_page(page):
    told = page(estimated_table(5, missing=5), redshift=None)
    assert "No row has a redshift" in told.text
    assert not told.all("figure")


def test_the_summed_pdfs_count_the_galaxies():
    counts, edges = read_subject(estimated_table(30, pdf=True, missing=2)).summed_pdf()
    assert counts.sum() == pytest.approx(28)
    assert len(edges) == len(counts) + 1


def test_the_worst_rows_come_first():
    table = estimated_table(50)
    table["z_phot_flags"] = 0
    table["z_phot_err"][7] = 0.3
    table["z_phot_flags"][9] = PhotozFlag.CROWDED | PhotozFlag.PARTIAL | PhotozFlag.LOW_SNR
    chosen = doubtful_rows(read_subject(table))
    assert next(iter(chosen)) == 7
    assert chosen[7] == "large error"
    assert chosen[9].endswith("many flags")


def test_a_flag_of_a_later_version_is_counted(page):
    table = narrow()
    table["z_phot_flags"][0] = 1 << 28
    assert "BIT_28 1 " in page(table).text


# Known redshifts


def test_figures_of_merit_are_those_of_validate(whole):
    validation = validate(TABLE, "z_spec")
    numbers = [number(validation.overall[name], validation.errors[name]) for name in metrics.METRICS]
    assert all(one in whole.text for one in numbers)
    assert len(validation.outliers)
    assert all(f"galaxy {row} " in whole.text for row in validation.outliers["row"])
    assert all(with_symbols(sentence) in whole.text for sentence in validation.verdict)


def test_a_validation_of_other_redshifts_is_refused(page):
    validation = validate(estimated_table(30), "z_spec")
    with pytest.raises(ValueError, match="one of 30 rows, and a table in memory has 12"):
        page(estimated_table(12), validation=validation)
    with pytest.raises(ValueError, match="one of other redshifts"):
        page(estimated_table(30, seed=2), validation=validation)
    with pytest.raises(ValueError, match="two ways to say the same"):
        page(estimated_table(30), validation=validation, redshift="z_spec")


def test_a_validation_is_read_from_its_file(page, tmp_path):
    table = narrow()
    validate(table, "z_spec").write(tmp_path / "judged.h5")
    told, again = (
        page(table, **given).text for given in ({"validation": tmp_path / "judged.h5"}, {"redshift": "z_spec"})
    )
    assert re.sub(MINUTE, "", told) == re.sub(MINUTE, "", again)


# One file, which loads nothing


def test_nothing_is_loaded_and_one_script_admitted(whole):
    told = whole
    assert {one["src"][:11] for one in told.all("img")} <= {"data:image/"}
    assert [one["href"] for one in told.all("link")] == ["data:,"]
    assert all("src" not in one for one in told.all("script"))
    links = [one["href"] for one in told.all("a")]
    assert all(link.startswith(("#", "https://skyserver.sdss.org/")) for link in links)
    assert not re.search(r"@import|url\((?!#)", told.html)
    policy = next(one["content"] for one in told.all("meta") if "http-equiv" in one)
    script = re.search(r"<script>(.*?)</script>", told.html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy


def test_identifiers_are_unique_and_references_resolve(whole):
    ids = [one["id"] for _, one in whole.elements if "id" in one]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', whole.html))
    assert used <= set(ids)


def test_links_to_the_survey_are_those_of_its_galaxies(page, whole):
    assert len(re.findall("skyserver", whole.html)) > 0
    assert "skyserver" not in page(estimated_table(record={"source": "stamps.h5", "data_release": -1})).html


def test_text_of_the_table_is_no_markup(page):
    table = narrow(record={"model": HOSTILE, "source": HOSTILE, "trained_on": HOSTILE})
    table["objid"] = [HOSTILE] * 6 + [RIGHT_TO_LEFT] * 6
    told = page(table, redshift="z_spec", command=HOSTILE)
    assert len(told.all("script")) == 1
    assert not [one for _, one in told.elements if any(name.startswith("on") for name in one)]
    assert {one["src"][:5] for one in told.all("img")} <= {"data:"}
    assert HOSTILE in told.text
    assert RIGHT_TO_LEFT in told.text


def test_names_of_files_are_no_markup(tmp_path):
    path = tmp_path / '"it\'s" <b> גלקסיה.ecsv'
    narrow().write(path)
    told = Page(write_report(path, tmp_path / "page.html"))
    assert path.name in told.text
    assert not told.all("b")[0]
    assert "not recorded" not in told.text


def test_a_graph_is_the_same_each_time_and_follows_the_page():
    drawn = [svg("line", "a <line>", lambda axes: axes.plot([1, 2], [3, 4], color="black")) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert "currentColor" in drawn[0]
    assert "a &lt;line&gt;" in drawn[0]
    assert "#000000" not in drawn[0]
    mapped = svg("map", "a map", lambda axes: axes.scatter([1, 2], [3, 4], c=[5, 6]))
    assert 'class="on-light"' in mapped
    assert 'class="on-dark"' in mapped


def test_the_settings_of_a_user_leave_the_page_alone(page):
    import matplotlib as mpl

    plain = page(narrow()).html
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        changed = page(narrow()).html
    assert re.sub(MINUTE, "", plain) == re.sub(MINUTE, "", changed)


def test_the_page_of_many_rows_is_small(page):
    assert len(page(estimated_table(3_000, missing=100)).html) < 2_500_000


# Images


def test_images_are_those_of_the_source(page):
    stamps = Cutouts.read(demo_path())
    source = CutoutFile(demo_path())
    table = predict(source.catalog(), source=source)
    subject = read_subject(table)
    rows = list(doubtful_rows(subject))
    images = images_of(subject, rows, source)
    assert set(images) == set(rows)
    assert images == images_of(subject, rows, stamps) == images_of(subject, rows, str(demo_path()))
    assert images[rows[0]] == png_uri(stamps.flux[rows[0]])
    assert (
        "images demo.h5, simulated"
        in page(table["z_phot", "z_phot_err", "z_phot_flags", "ra", "dec"], source=source).text
    )
    shown = page(table["z_phot", "z_phot_err", "z_phot_ood", "z_phot_flags"], source=stamps).all("img")
    assert [one["src"] for one in shown] == list(images.values())


def test_cutouts_of_other_rows_are_refused(page):
    with pytest.raises(ValueError, match="images of 24 galaxies, the table has 12 rows"):
        page(estimated_table(), source=Cutouts.read(demo_path()))


def test_a_galaxy_without_an_image_says_so(page):
    source = Cutouts.read(demo_path())[:12]
    source.flux[:] = np.nan
    told = page(narrow(), source=source)
    assert not told.all("img")
    assert "no image" in told.text


# Other codes


def test_redshifts_of_another_code_have_a_page(page):
    table = estimated_table(60)["objid", "z_phot", "z_spec"]
    table.rename_column("z_phot", "zph")
    table.meta.clear()
    told = page(table, prefix="zph", redshift="z_spec")
    assert "The table has no column of flags" in told.text
    assert "without a flag" not in told.text
    assert "median error" not in told.text
    assert "60 of 60 rows have a redshift and an estimate" in told.text


# What cannot be reported on


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table["objid", "ra"], "no column z_phot, .*run astro-photz predict first"),
        (lambda table: table[:0], "has no rows"),
    ],
)
def test_a_table_without_redshifts_is_refused(page, change, message):
    with pytest.raises(ValueError, match=message):
        page(change(estimated_table()))


def test_another_prefix_is_suggested(page):
    table = estimated_table()
    for name in [name for name in table.colnames if name.startswith("z_phot")]:
        table.rename_column(name, name.replace("z_phot", "mine"))
    with pytest.raises(ValueError, match="prefix='mine'"):
        page(table)
    table.remove_columns(["ra", "dec"])
    assert "12 rows" in page(table, prefix="mine").text


def test_a_page_that_is_there_is_kept(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"page\.html exists"):
        write_report(estimated_table(), path)
    with pytest.raises(KeyError, match="no_such"):
        write_report(estimated_table(), path, redshift="no_such", overwrite=True)
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_the_table_is_not_written_over(tmp_path):
    path = tmp_path / "it.html"
    narrow().write(path, format="ascii.ecsv")
    with pytest.raises(ValueError, match="is the table itself"):
        write_report(path, path, overwrite=True)
    assert len(read_subject(path)) == 12


def test_matplotlib_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'a report needs matplotlib: pip install "astro-photz\[plot\]"'):
        write_report(estimated_table(), tmp_path / "page.html")


def test_torch_is_not_needed(tmp_path):
    narrow().write(tmp_path / "it.ecsv")
    code = """
import sys


class Refused:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "lightning", "sklearn"):
            raise ImportError(name)


sys.meta_path.insert(0, Refused())
from astro_photz.report import write_report

write_report("it.ecsv", "it.html", redshift="z_spec")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


# The command


def test_the_command_writes_beside_the_table(tmp_path, capsys):
    narrow().write(tmp_path / "it.ecsv")
    assert run(tmp_path / "it.ecsv", "--redshift", "z_spec") is None
    told = Page(tmp_path / "it.html")
    assert "Checked against known redshifts" in told.text
    assert f"astro-photz report {tmp_path / 'it.ecsv'} --redshift z_spec" in told.text
    assert "it.html" in capsys.readouterr().err
    with pytest.raises(FileExistsError, match="--overwrite"):
        run(tmp_path / "it.ecsv")
    run(tmp_path / "it.ecsv", "--overwrite", "--output", tmp_path / "other.html")
    assert (tmp_path / "other.html").exists()


def test_the_command_refuses_what_is_not_there(tmp_path):
    estimated_table().write(tmp_path / "it.ecsv")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(tmp_path / "it.ecsv", "--source", tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"missing\.ecsv"):
        run(tmp_path / "missing.ecsv")
    assert not (tmp_path / "it.html").exists()


def test_the_file_of_a_validation_is_no_table(tmp_path):
    table = estimated_table(30)
    validate(table, "z_spec", progress=False).write(tmp_path / "v.h5")
    with pytest.raises(ValueError, match=r"v\.h5 is a validation: give it as validation=, beside the table"):
        write_report(tmp_path / "v.h5", tmp_path / "page.html")


# Strange images


def test_the_strangest_rows_come_first():
    table = estimated_table(50)
    table["z_phot_flags"] = 0
    table["z_phot_ood"] = np.linspace(0.9, 0.5, 50)
    for row, ood in ((3, 0.01), (8, 0.001)):
        table["z_phot_ood"][row], table["z_phot_flags"][row] = ood, PhotozFlag.OUTLIER
    chosen = doubtful_rows(read_subject(table))
    assert list(chosen)[:2] == [8, 3]
    assert chosen[8].startswith("strange image")
    assert not any("strange" in why for row, why in chosen.items() if row not in (3, 8))


def test_the_page_says_what_to_do_about_a_flag(page):
    table = estimated_table(20)
    table["z_phot_flags"] = 0
    table["z_phot_flags"][4] = PhotozFlag.MISALIGNED
    assert FLAG_ADVICE["MISALIGNED"] in page(table).text
