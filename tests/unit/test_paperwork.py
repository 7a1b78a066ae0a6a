"""Paperwork for reviewers: complete, derived, and loud where a piece is missing."""

import datetime as dt
import re
import shutil

import pytest
import yaml

from sorafenib_rfa.errors import UserError
from sorafenib_rfa.export.citation import read_citation
from sorafenib_rfa.export.contents import read_contents
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.paperwork.exhibits import read_exhibits, seeds
from sorafenib_rfa.paperwork.resources import STORAGE_BUCKETS, TIME_BUCKETS, boxes, measured, table
from sorafenib_rfa.paperwork.write import paper_title, write_paperwork
from tests.unit.export_study import PAPER, make_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study")).root


@pytest.fixture(scope="module")
def contents(root):
    return read_contents(root, "synthetic", [PAPER])


def paperwork(contents, folder):
    paths = {
        "codecheck": folder / "codecheck.yml",
        "certificate": folder / "certificate.md",
        "aea_readme": folder / "README_AEA.md",
    }
    write_paperwork(contents, **paths)
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


@pytest.fixture(scope="module")
def texts(contents, tmp_path_factory):
    return paperwork(contents, tmp_path_factory.mktemp("paperwork"))


@pytest.fixture
def study(root, tmp_path):
    """Return a copy that a test may damage."""
    return shutil.copytree(root, tmp_path / "study")


# --- codecheck.yml -----------------------------------------------------------------------------------


def test_codecheck_yml_keeps_the_authors_part_of_the_specification(texts, root):
    text = texts["codecheck"]
    assert text.startswith("---\n")
    content = yaml.safe_load(text)
    assert content["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert content["paper"]["title"] == paper_title(root)
    assert [each["name"] for each in content["paper"]["authors"]] == [a.name for a in read_citation(root).authors]
    files = [entry["file"] for entry in content["manifest"]]
    assert len(files) == len(set(files)) and all(entry["comment"] for entry in content["manifest"])
    for path in files:
        assert (root / path).is_file(), path
    assert {PAPER, "results/synthetic/figures/flow.svg", "results/synthetic/tables/baseline.csv"} <= set(files)


def test_codecheck_yml_names_no_checker_and_says_who_adds_one(texts):
    content = yaml.safe_load(texts["codecheck"])
    assert not {"codechecker", "report", "certificate", "check_time", "summary"} & set(content)
    for key in ("codechecker:", "report:"):
        assert f"#   {key}" in texts["codecheck"]


# --- exhibits and lines ------------------------------------------------------------------------------


def test_each_exhibit_is_led_to_the_line_that_makes_it(contents, root):
    figure, filled = read_exhibits(contents)
    assert (figure.label, figure.caption) == ("Figure 1", "Flow | of patients. Synthetic data.")
    assert (filled.label, filled.files) == (
        "Table 2",
        ("results/synthetic/tables/baseline.md", "results/synthetic/tables/baseline.csv"),
    )
    for exhibit, called, defined in (
        (figure, "draw_figure(", "def draw_flow("),
        (filled, "make_table(", "def _baseline("),
    ):
        for place, text in ((exhibit.program, called), (exhibit.maker, defined)):
            line = (root / place.file).read_text(encoding="utf-8").splitlines()[place.line - 1]
            assert text in line, (place, line)


def test_seeds_are_found_where_they_stand(contents, root):
    found = seeds(contents)
    assert any(place.file == "workflow/scripts/simulate_raw.py" and "this.seed" in place.function for place in found)
    assert any("default_rng" in place.function for place in found)
    for place in found:
        line = (root / place.file).read_text(encoding="utf-8").splitlines()[place.line - 1]
        assert line.strip() == place.function


def test_a_bar_in_a_caption_does_not_break_the_table():
    assert table(["a"], [["x | y <b>"]]).splitlines()[-1] == "| x \\| y &lt;b> |"


# --- README for data editors -------------------------------------------------------------------------


def test_the_readme_has_the_sections_of_the_template(texts):
    headings = re.findall(r"^#+ (.+)$", texts["aea_readme"], flags=re.MULTILINE)
    for section in (
        "Overview",
        "Data Availability and Provenance Statements",
        "Statement about Rights",
        "License for Data",
        "Summary of Availability",
        "Details on each Data Source",
        "Dataset list",
        "Computational requirements",
        "Software Requirements",
        "Controlled Randomness",
        "Memory, Runtime, Storage Requirements",
        "Description of programs/code",
        "License for Code",
        "Instructions to Replicators",
        "List of tables and programs",
        "References",
    ):
        assert section in headings


def test_the_readme_says_what_the_study_is_made_of(texts):
    text = texts["aea_readme"]
    for row in (
        r"\| `data/raw/synthetic/cn01/患者.csv` \| synthetic \| generated by `\S+/simulate_raw.py` \| Yes \|",
        r"\| `data/public/hcc_resection/hcc_resection.csv` \| li2014cxcl17 \| raw \| Yes \|",
        r"\| Licence \| CC0-1.0 \|",
        r"\| numpy \| 2.4.6 \|",
        r"Random seed of the study, 20140915, is set at line \d+ of `config/config.yaml`",
        r"\| Figure 1 \| flow \(synthetic\) \| `workflow/scripts/draw_figures.py` \| \d+ \|",
        r"1 numbers and 1 sentences are printed",
        r"CXCL17 expression predicts poor prognosis",
        r"- \[x\] All data \*\*are\*\* publicly available",
        r"- \[ \] I certify that the author\(s\) of the manuscript have legitimate access",
        r"- \[x\] < 10 minutes",
        r"- \[x\] < 25 MBytes",
    ):
        assert re.search(row, text), row
    assert "synthetic data" in text.lower()


def test_the_seed_line_is_the_line_of_the_seed(texts, root):
    line = int(re.search(r"is set at line (\d+) of `config/config.yaml`", texts["aea_readme"])[1])
    assert (root / "config/config.yaml").read_text(encoding="utf-8").splitlines()[line - 1] == "seed: 20140915"


def test_what_a_private_cohort_changes(study, tmp_path):
    path = study / "config/cohorts/hcc_resection/cohort.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config.pop("licence")
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    text = paperwork(read_contents(study, "synthetic", [PAPER]), tmp_path)["aea_readme"]
    assert "- [x] Some data **cannot be made** publicly available." in text
    assert "| `data/public/hcc_resection/hcc_resection.csv` | li2014cxcl17 | raw | No |" in text
    assert "Confidential data of the participating centres" in text
    assert "0. Put the confidential files into" in text


# --- certificate -------------------------------------------------------------------------------------


def test_the_certificate_has_digests_times_and_room_for_a_person(texts, contents):
    text = texts["certificate"]
    assert "(draft)" in text and text.count("*to be filled in by the person who checks*") == 5
    fact = contents.files[PAPER]
    assert f"| `{PAPER}` | The paper as HTML | {fact.bytes} bytes | `{fact.sha256}` |" in text
    assert "No verification is behind this draft" in text
    assert "under the login reader" in text and "Linux-6.1-x86_64" in text
    assert "Failed jobs on record: 1." in text


def test_time_and_memory_are_those_of_the_records(contents):
    found = measured(contents)
    assert found.job_seconds == 30.0 * len(contents.records)
    assert found.peak_memory_mb == max(record.run["peak_memory_mb"] for record in contents.records.values())
    (run,) = found.runs
    assert run.started == dt.datetime(2026, 11, 21, 17, 1, tzinfo=dt.UTC)
    last = max(dt.datetime.fromisoformat(record.run["ended"]) for record in contents.records.values())
    assert run.seconds == (last - run.started).total_seconds()


@pytest.mark.parametrize(
    ("value", "buckets", "ticked"),
    [
        (599, TIME_BUCKETS, "< 10 minutes"),
        (600, TIME_BUCKETS, "10-60 minutes"),
        (15 * 86400, TIME_BUCKETS, "> 14 days"),
        (24.9e6, STORAGE_BUCKETS, "< 25 MBytes"),
        (60e6, STORAGE_BUCKETS, "25 MB - 250 MB"),
    ],
)
def test_one_box_is_ticked(value, buckets, ticked):
    lines = boxes(value, buckets).splitlines()
    assert [line for line in lines if "[x]" in line] == [f"- [x] {ticked}"]
    assert len(lines) == len(buckets)


# --- a missing piece ---------------------------------------------------------------------------------


def damage_makefile(study):
    path = study / "Makefile"
    path.write_text(path.read_text(encoding="utf-8").replace("\ncrosscheck:", "\nother:"), encoding="utf-8")


def damage_paper(study):
    path = study / PAPER
    path.write_text(path.read_text(encoding="utf-8").replace(' data-figure="synthetic:flow"', ""), encoding="utf-8")


def damage_bibliography(study):
    path = study / "manuscript/references.bib"
    path.write_text(path.read_text(encoding="utf-8").replace("li2014cxcl17", "li2013"), encoding="utf-8")


def damage_seed(study):
    path = study / "config/config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("\nseed:", "\nseeds:"), encoding="utf-8")


def damage_citation(study):
    path = study / "CITATION.cff"
    path.write_text(path.read_text(encoding="utf-8").replace("license: MIT\n", ""), encoding="utf-8")


def damage_uses(study):
    path = study / "results/synthetic/manuscript/uses.csv"
    text = path.read_text(encoding="utf-8").replace(",,synthetic:flow.patients.screened\n", ",,\n")
    path.write_text(text, encoding="utf-8")


def damage_title(study):
    path = study / "manuscript/index.qmd"
    path.write_text(path.read_text(encoding="utf-8").replace("\ntitle:", "\nheading:"), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_makefile, r"Makefile: the target does not exist\s+expected: crosscheck"),
        (damage_paper, r"paper\.html: the figure fig-flow does not say"),
        (damage_bibliography, r"references\.bib: .*\s+found:\s+li2014cxcl17"),
        (damage_seed, r"config/config\.yaml: seed: this key is required"),
        (damage_citation, r"CITATION\.cff: license: this key is required"),
        (damage_uses, r"index\.qmd, row 31: a number of the text is bound to no result"),
        (damage_title, r"index\.qmd: title: this key is required"),
    ],
)
def test_a_missing_piece_is_an_error_that_names_it(study, tmp_path, damage, message):
    damage(study)
    with pytest.raises(UserError) as error:
        paperwork(read_contents(study, "synthetic", [PAPER]), tmp_path)
    assert isinstance(error.value, ExportError)
    assert re.search(message, str(error.value)), str(error.value)
