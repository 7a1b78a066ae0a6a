"""The checker finds what was planted and names it, in every kind of file; and it lets a clean release pass."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sorafenib_rfa.cli import main
from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.checker import RULES as CHECKS
from sorafenib_rfa.disclosure.checker import check_folder
from sorafenib_rfa.disclosure.curves import PublicCurves
from sorafenib_rfa.disclosure.release import PublicPart, control_summary, identifiers, write_release
from sorafenib_rfa.disclosure.results import PUBLIC_COLUMNS, public_results
from sorafenib_rfa.disclosure.suppression import DisclosureError
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.exhibits.format import value_span
from sorafenib_rfa.stats.proportions import clopper_pearson

ROOT = Path(__file__).resolve().parents[2]
RULES = Disclosure()
HOW = {"method": "made up", "engine": "test", "population": "All analysed patients"}


@pytest.fixture
def part(tmp_path):
    """Return one cohort's part of a release: 102 patients, of whom 41 and 3 had something."""
    builder = ArdBuilder("made_up", "baseline", "records/none.json")
    patients = pd.Series([f"made_up-cn01-P{j:05d}" for j in range(102)])
    builder.add("table1", "n", 102, unit="count", members=patients, **HOW)
    for name, count in (("v", 41), ("w", 3)):
        builder.add("table1", "n", 102, unit="count", variable=name, members=patients, **HOW)
        builder.add("table1", "n", count, unit="count", variable=name, level="y", members=patients[:count], **HOW)
        share = clopper_pearson(count, 102)
        limits = [100 * each for each in (share.estimate, share.ci_low, share.ci_high)]
        where = {"variable": name, "level": "y", "unit": "percent", **HOW}
        builder.add("table1", "percent", limits[0], ci_low=limits[1], ci_high=limits[2], **where)
    made = builder.estimates({})
    results = public_results(made.ard, made.members, RULES, level=0.95)
    rows = {row["ard_id"]: row for row in results.ard.to_dict("records")}
    tables, figures = tmp_path / "tables", tmp_path / "figures"
    tables.mkdir()
    figures.mkdir()
    lines = ["| | n |", "|:--|--:|"]
    cells = [{"row": 0, "column": "n", "text": "n", "ard_ids": ""}]
    for number, (name, row) in enumerate(rows.items(), start=1):
        lines.append(f"| {number} | {value_span(row)} |")
        text = row["withheld"] or (f"{row['value']:.0f}" if row["unit"] == "count" else f"{row['value']:.1f}%")
        cells.append({"row": number, "column": "n", "text": text, "ard_ids": f"made_up:{name}"})
    (tables / "baseline.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pd.DataFrame(cells).to_csv(tables / "baseline.csv", index=False)
    drawn = {"element": "text", "panel": "", "series": "", "x": np.nan, "y": np.nan, "low": np.nan, "high": np.nan}
    pd.DataFrame([{**drawn, "text": "fine", "ard_id": ""}]).to_csv(figures / "flow.csv", index=False)
    (figures / "flow.svg").write_text("<svg><!-- n = 100 --></svg>", encoding="utf-8")
    return PublicPart("made_up", results.ard, tables, figures, control_summary(results, PublicCurves(), RULES), {})


@pytest.fixture
def paper(tmp_path, part):
    rows = {row["ard_id"]: row for row in part.ard.to_dict("records")}
    folder = tmp_path / "paper"
    folder.mkdir()
    html = (
        '<html><head><meta name="author" content="The authors"></head><body><p>Published 21 November 2026.</p>\n'
        '<p>Of <span class="val" data-ard="made_up:baseline.table1.n">100</span> patients\n'
        '<span class="val" data-ard="made_up:baseline.table1.v.y.n">40</span> had it.</p></body></html>'
    )
    (folder / "paper.html").write_text(html, encoding="utf-8")
    assert rows["baseline.table1.n"]["value"] == 100
    return folder


def release(part, paper, destination, secrets=()):
    write_release(
        [part], sorted(paper.iterdir()), destination, rules=RULES, validation=None, publication_date="2026-11-21",
        secrets=secrets,
    )  # fmt: skip


def test_a_clean_release_passes_and_says_what_was_done(part, paper, tmp_path):
    release(part, paper, tmp_path / "release")
    assert check_folder(tmp_path / "release", RULES, dates=["2026-11-21"]) == []
    report = json.loads((tmp_path / "release/disclosure.json").read_text())
    assert report["parts"]["made_up"]["withheld_results"]["suppressed"] == ["baseline.table1.w.y.n"]
    assert "fewer than 8" in (tmp_path / "release/disclosure.md").read_text()
    public = pd.read_csv(tmp_path / "release/ard.csv")
    assert list(public.columns) == list(PUBLIC_COLUMNS)
    first = {path.name: path.read_bytes() for path in (tmp_path / "release").rglob("*") if path.is_file()}
    release(part, paper, tmp_path / "release")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "release").rglob("*") if path.is_file()}


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


LEAKS = {
    "a date in the prose": (
        lambda part, paper: edit(paper / "paper.html", "had it.", "had it; the last on 3 March 2019."),
        ("manuscript/paper.html", "exact_date", "3 March 2019"),
    ),
    "an identifier in a table": (
        lambda part, paper: edit(part.tables / "baseline.md", "| 1 |", "| made_up-cn01-P00007 |"),
        ("tables/baseline.md", "identifier", "made_up-cn01-P00007"),
    ),
    "a column of identifiers": (
        lambda part, paper: (part.tables / "extra.csv").write_text("USUBJID,age\nx,60\n"),
        ("tables/extra.csv", "row_level", "USUBJID"),
    ),
    "a row a patient without identifiers": (
        lambda part, paper: (part.tables / "extra.csv").write_text("age,bilirubin\n61,12.5\n60,9\n"),
        ("tables/extra.csv", "row_level", "age, bilirubin"),
    ),
    "a count of 3 bound to a result": (
        lambda part, paper: edit(paper / "paper.html", ">40</span>", ">3</span>"),
        ("manuscript/paper.html", "small_count", "baseline.table1.v.y.n = 3"),
    ),
    "an exact count bound to a result": (
        lambda part, paper: edit(paper / "paper.html", ">40</span>", ">41</span>"),
        ("manuscript/paper.html", "unrounded_count", "= 41"),
    ),
    "a count typed in words": (
        lambda part, paper: edit(paper / "paper.html", "had it.", "had it; three patients died."),
        ("manuscript/paper.html", "small_count", "three patients"),
    ),
    "a small count in a cell": (
        lambda part, paper: edit(part.tables / "baseline.csv", ",<8,", ",3,"),
        ("tables/baseline.csv", "small_count", "baseline.table1.w.y.n = 3"),
    ),
    "an exact date in a figure": (
        lambda part, paper: edit(part.figures / "flow.svg", "n = 100", "2021-02-03"),
        ("figures/flow.svg", "exact_date", "2021-02-03"),
    ),
    "times of events": (
        lambda part, paper: edit(part.figures / "flow.csv", "text,", "event,"),
        ("figures/flow.csv", "row_level", "event"),
    ),
    "a link to the audit site": (
        lambda part, paper: edit(paper / "paper.html", "<p>Of", '<p><a href="../audit/index.html#x">Of</a>'),
        ("manuscript/paper.html", "link", "../audit/index.html"),
    ),
    "a path in metadata": (
        lambda part, paper: edit(paper / "paper.html", "The authors", "/home/someone/secret"),
        ("manuscript/paper.html", "metadata", "/home/someone"),
    ),
    "a file for machines": (
        lambda part, paper: (part.figures / "members.parquet").write_bytes(b"PAR1"),
        ("figures/members.parquet", "file_type", ".parquet"),
    ),
    "a picture that no text goes with": (
        lambda part, paper: (part.figures / "alone.pdf").write_bytes(b"%PDF-1.4\n"),
        ("figures/alone.pdf", "file_type", "same name"),
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_stops_the_release_and_is_named(name, part, paper, tmp_path):
    plant, (file, rule, what) = LEAKS[name]
    plant(part, paper)
    with pytest.raises(DisclosureError) as stopped:
        release(part, paper, tmp_path / "release", secrets=identifiers([pd.DataFrame({"USUBJID": ["a-b-P00007"]})]))
    named = [(p.file, p.message, p.found) for p in stopped.value.problems]
    assert any(each[0].startswith(f"{file}, ") and each[1] == rule and what in each[2] for each in named), named
    assert not (tmp_path / "release").exists()  # nothing is left to be taken away


def test_an_exact_share_is_found_by_its_arithmetic(part, paper, tmp_path):
    """41 of 102 beside a rounded 40: percent x N gives the count back."""
    exact = 100 * 41 / 102
    ard = part.ard.copy()
    row = ard["ard_id"] == "baseline.table1.v.y.percent"
    ard.loc[row, ["value", "ci_low", "ci_high"]] = [exact, np.nan, np.nan]
    for frame, found in ((ard, True), (part.ard, False)):
        folder = tmp_path / f"exact_{found}"
        folder.mkdir()
        frame.to_csv(folder / "ard.csv", index=False)
        rules = {finding.rule for finding in check_folder(folder, RULES)}
        assert ("exact_share" in rules) is found
    # limits of the exact count beside the percentage of the rounded one
    share = clopper_pearson(41, 102)
    ard = part.ard.copy()
    ard.loc[row, ["ci_low", "ci_high"]] = [100 * share.ci_low, 100 * share.ci_high]
    ard.to_csv(folder / "ard.csv", index=False)
    assert [finding.rule for finding in check_folder(folder, RULES)] == ["exact_share"]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("exact_date", "Recruitment ended on 03/12/2019."),
        ("exact_date", "2019年3月12日"),
        ("small_count", "This was so in 5 of the 120 patients."),
        ("small_count", "4 (3.2%)"),
        ("small_count", "six deaths"),
        ("single_value", "Age was 61 (range 34 to 81)."),
        ("identifier", "See USUBJID in the data."),
        ("metadata", "written to /home/me/data"),
        (None, "Grade 3 or above in 40 (33.3%) of 120 patients on 21 November 2026."),
        (None, "Fewer than 8 patients; version 1.2.3; 95% CI 3.1 to 7.2; section 2.1; BCLC 0 to B1; 10.1000/182."),
        (None, "Two arms, three endpoints and 5 years; the first 60 days after RFA; 4 knots; grade 4 patients."),
        (None, "Rates per 100 patient-years; 12-month survival 71.2%; seven subgroups; 2014-2020; (1/2 of the dose)"),
    ],
)
def test_what_a_line_of_text_gives_away(kind, line, tmp_path):
    (tmp_path / "text.md").write_text(line, encoding="utf-8")
    found = [finding.rule for finding in check_folder(tmp_path, RULES, dates=["2026-11-21"])]
    assert set(found) == ({kind} if kind else set()), found


def test_documents_are_read_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "paper.docx", "w") as parts:
        parts.writestr(
            "word/document.xml", "<w:p><w:t>Seen on </w:t><w:t>12 May 2018</w:t></w:p><w:p><w:t>x</w:t></w:p>"
        )
        parts.writestr("docProps/core.xml", "<x><dc:creator>C:\\Users\\someone\\data</dc:creator></x>")
    found = {(finding.rule, finding.where) for finding in check_folder(tmp_path, RULES)}
    assert ("exact_date", "word/document.xml, paragraph 1") in found
    assert any(rule == "metadata" for rule, _ in found)
    assert {finding.rule for finding in check_folder(tmp_path, RULES)} <= set(CHECKS)


def test_a_tail_and_a_fine_step_of_a_curve_are_found(tmp_path):
    rows = [
        {"element": "curve", "panel": "a", "series": "arm", "x": x, "y": y} for x, y in [(0, 100), (5, 99), (30, 50)]
    ] + [
        {"element": "at_risk", "panel": "a", "series": "arm", "x": x, "text": text}
        for x, text in [(0, "100"), (12, "30"), (24, "\u2013")]
    ]
    columns = ["element", "panel", "series", "x", "y", "low", "high", "text", "ard_id"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "km.csv", index=False)
    found = {finding.rule: finding.what for finding in check_folder(tmp_path, RULES)}
    assert set(found) == {"tail", "fine_step"}
    assert "30" in found["tail"] and "1 of 100" in found["fine_step"]


def test_the_command_names_findings_and_ends_with_a_code(part, paper, tmp_path):
    release(part, paper, tmp_path / "release")
    clean = CliRunner().invoke(main, ["disclosure", str(tmp_path / "release"), "--root", str(ROOT)])
    assert clean.exit_code == 0 and "nothing found" in clean.output
    edit(tmp_path / "release/manuscript/paper.html", "had it.", "had it on 2019-05-06.")
    told = CliRunner().invoke(main, ["disclosure", str(tmp_path / "release"), "--json", "--root", str(ROOT)])
    assert told.exit_code == 1
    assert json.loads(told.output)["findings"] == [
        {"file": "manuscript/paper.html", "where": "line 3", "what": "2019-05-06", "rule": "exact_date"}
    ]
    words = CliRunner().invoke(main, ["disclosure", str(tmp_path / "release"), "--root", str(ROOT)])
    assert words.exit_code == 1 and "2019-05-06" in words.output and "exact_date" in words.output


def test_numbers_of_published_studies_are_public_and_those_of_patients_beside_them_are_not(part, tmp_path):
    """Two trials with six events are no small cells of ours, in ARD, table or figure; the same words elsewhere are."""
    builder = ArdBuilder("studies", "synthesis", "records/none.json")
    rows = pd.DataFrame({"USUBJID": ["a", "b"], "src_file": "effects.csv", "src_sheet": None, "src_row": [2, 3]})
    builder.add("rfs", "k", 2, unit="count", members=rows, **{**HOW, "method": "6 of 69 lesions"})
    made = builder.estimates({})
    results = public_results(made.ard, made.members, RULES, level=0.95)
    tables, figures = tmp_path / "studies" / "tables", tmp_path / "studies" / "figures"
    tables.mkdir(parents=True)
    figures.mkdir()
    (tables / "evidence.md").write_text("| Studies |\n|--:|\n| 6 of 69 lesions |\n", encoding="utf-8")
    cell = {"row": 0, "column": "Studies", "text": "6 of 69 lesions", "ard_ids": "studies:synthesis.rfs.k"}
    pd.DataFrame([cell]).to_csv(tables / "evidence.csv", index=False)
    drawn = {"element": "box", "panel": "", "series": "n = 2", "x": 0, "y": 0, "low": np.nan, "high": np.nan}
    pd.DataFrame([{**drawn, "text": "(n = 2)", "ard_id": ""}]).to_csv(figures / "evidence_flow.csv", index=False)
    drawing = "<svg><!-- Studies (n = 2) --></svg>"
    (figures / "evidence_flow.svg").write_text(drawing, encoding="utf-8")
    control = control_summary(results, PublicCurves(), RULES)
    studies = PublicPart("studies", results.ard, tables, figures, control, {})
    picture = base64.b64encode(drawing.encode()).decode()

    def released(folder, figure):
        page = tmp_path / "paper.html"
        image = f'<img alt="A figure" src="data:image/svg+xml;base64,{picture}"/>'
        page.write_text(f'<html><body><figure data-figure="{figure}">{image}</figure></body></html>', encoding="utf-8")
        release_of = {"rules": RULES, "validation": None, "publication_date": "2026-11-21", "secrets": ()}
        write_release([part, studies], [page], folder, **release_of)

    released(tmp_path / "release", "studies:evidence_flow")
    with pytest.raises(DisclosureError, match=r"picture 1.*small_count"):
        released(tmp_path / "again", "made_up:flow")
