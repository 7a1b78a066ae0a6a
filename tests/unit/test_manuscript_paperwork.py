"""Checklists and plan are held against the text and the results; numbers of the page lead to the audit site."""

from __future__ import annotations

import re
import shutil

import pytest
from exhibit_cohorts import with_arms
from manuscript_paper import CSL, make_paper, write_figure
from shipped_paper import MANUSCRIPT, expansion, write_tables

from sorafenib_rfa.manuscript import ManuscriptError, expand_manuscript
from sorafenib_rfa.manuscript.checklists import checklist_report, load_checklist, unknown_anchors
from sorafenib_rfa.manuscript.expand import Shortened
from sorafenib_rfa.manuscript.render import render_manuscript
from sorafenib_rfa.manuscript.traceability import load_deviations, plan_report, planned_items, trace_plan
from sorafenib_rfa.manuscript.whereabouts import Whereabouts

CHECKLIST = """name: STROBE
title: A statement
source: vonelm2007
known: seen
items:
  - item: 1a
    asks: The design is named
    anchors: [title, sec-design]
    met: It is.
  - item: "2"
    known: recalled
    asks: The size | of the study
    anchors: [tbl-size]
    status: not done
    met: No calculation was made.
"""
SEAL = "0123456789abcdef"
LABELS = {"sec-design": "Section\u00a02.1", "tbl-size": "Table\u00a0S3"}


def checklist(tmp_path, old: str = "", new: str = ""):
    assert old in CHECKLIST
    path = tmp_path / "strobe.yaml"
    path.write_text(CHECKLIST.replace(old, new, 1) if old else CHECKLIST, encoding="utf-8")
    return load_checklist(path, shown="manuscript/checklists/strobe.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("anchors: [title, sec-design]", "anchors: []", 6, "item 1a points nowhere"),
        ("    anchors: [title, sec-design]\n", "", 6, "item 1a points nowhere"),
        ("met: It is.", 'met: " "', 6, "item 1a lacks an answer"),
        ("    met: It is.\n", "", 6, "item 1a lacks an answer"),
        ("asks: The design is named", "asks:", 6, "item 1a lacks what it asks for"),
        ("status: not done", "status: done", 10, "must be one of met, partly"),
        ('item: "2"', "item: 1a", 10, "the item 1a is given twice"),
        ("known: recalled", "sure: no", 10, "there is no key 'sure'"),
    ],
)
def test_an_item_without_a_place_or_an_answer_is_named_with_file_and_line(tmp_path, old, new, line, said):
    with pytest.raises(ManuscriptError, match=re.escape(said)) as caught:
        checklist(tmp_path, old, new)
    assert caught.value.problems[0].file == f"manuscript/checklists/strobe.yaml:{line}"


def test_an_item_that_points_at_no_label_is_named_with_file_and_line(tmp_path):
    made = checklist(tmp_path, "[title, sec-design]", "[title, sec-desing]")
    (fault,) = unknown_anchors(made, {"title", "sec-design", "tbl-size"})
    assert (fault.file, fault.hint) == ("manuscript/checklists/strobe.yaml:6", "did you mean sec-design?")
    assert "'sec-desing', which is no label" in fault.message


def test_the_report_has_numbers_and_pages(tmp_path):
    said = checklist_report(checklist(tmp_path), paper="P", labels=LABELS, pages={"sec-design": 4, "tbl-size": 31})
    assert "| 1a | The design is named | met | Title (p. 1), Section 2.1 (p. 4) | It is. |" in said
    assert "| 2\u2020 | The size \\| of the study | not done | Table S3 (p. 31) | No calculation was made. |" in said


@pytest.mark.parametrize(("name", "items", "numbers"), [("strobe", 34, 22), ("target", 39, 21)])
def test_the_shipped_checklists_are_complete(name, items, numbers):
    """STROBE has 22 items; TARGET has 21, with the eight parts of items 6 and 7."""
    found = load_checklist(MANUSCRIPT / f"checklists/{name}.yaml").items
    assert len(found) == items
    assert {int(re.match(r"\d+", item.item)[0]) for item in found} == set(range(1, numbers + 1))


# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("shipped")
    shutil.copytree(MANUSCRIPT, root / "manuscript")
    return root, write_tables(root)


def traced(deviations, **changes):
    data = with_arms()
    ards = {"synthetic": changes.get("ard", data.ard)}
    return trace_plan(data.plan, ards, deviations, Whereabouts({}, {}))


def deviations_of(tmp_path, text):
    (tmp_path / "deviations.yaml").write_text(text, encoding="utf-8")
    return load_deviations(tmp_path / "deviations.yaml", with_arms().plan, shown="manuscript/deviations.yaml")


def test_every_key_of_the_plan_is_traced():
    plan = with_arms().plan
    keys = {item.key.partition(".")[0] for item in planned_items(plan)}
    assert plan.evidence is None  # which is for published studies, and written when their effects were known
    assert keys == set(type(plan).model_fields) - {"version", "evidence"}
    assert {item.key for item in planned_items(plan) if item.estimand} == {f"estimands.{key}" for key in plan.estimands}


def test_an_estimand_nobody_estimated_stops_the_build_until_its_reason_is_given(tmp_path):
    data = with_arms()
    ard = data.ard[data.ard["estimand_id"] != "T_OS"]
    _, problems = traced({}, ard=ard)
    fault = next(problem for problem in problems if "T_OS" in problem.message)
    assert (fault.file, fault.found) == ("config/plan.yaml", "no row cites T_OS")
    declared = deviations_of(tmp_path, "estimands.T_OS: {status: not done, what: Left out., reason: No time.}\n")
    found, problems = traced(declared, ard=ard)
    assert not [problem for problem in problems if "T_OS" in problem.message]
    assert next(item for item in found if item.planned.estimand == "T_OS").status == "not done"


def test_done_is_read_off_the_results_and_cannot_be_denied_or_claimed(tmp_path):
    declared = deviations_of(tmp_path, "\nestimands.T_OS: {status: not done, what: Left out., reason: No time.}\n")
    _, problems = traced(declared)
    fault = next(problem for problem in problems if "T_OS" in problem.message)
    assert fault.file == "manuscript/deviations.yaml:2"
    assert "results show it" in fault.message
    with pytest.raises(ManuscriptError, match="read off the results"):
        deviations_of(tmp_path, "estimands.T_OS: {status: done, what: All., reason: None.}\n")


def test_values_that_are_not_those_planned_are_noticed():
    data = with_arms()
    fewer = data.plan.model_copy(update={"bootstrap_resamples": data.plan.bootstrap_resamples + 1})
    _, problems = trace_plan(fewer, {"synthetic": data.ard}, {}, Whereabouts({}, {}))
    assert "bootstrap_resamples: no result shows that this was done" in {problem.message for problem in problems}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("estimands.E9: {status: deviated, what: a, reason: b}\n", "the plan has no 'estimands.E9'"),
        ("trim_scores: {status: deviated, what: a}\n", "an entry has these keys"),
        ('trim_scores: {status: deviated, what: a, reason: ""}\n', "lacks what happened"),
    ],
)
def test_deviations_must_be_whole(tmp_path, text, said):
    with pytest.raises(ManuscriptError, match=re.escape(said)) as caught:
        deviations_of(tmp_path, f"# a comment\n{text}")
    assert caught.value.problems[0].file == "manuscript/deviations.yaml:2"


def test_the_shipped_plan_says_of_everything_what_became_of_it(shipped):
    given = expansion(*shipped)
    kept = {}

    def watch(where):
        kept["where"] = where
        return given["paperwork"](where)

    expand_manuscript(**given | {"paperwork": watch})
    data = with_arms()
    deviations = load_deviations(MANUSCRIPT / "deviations.yaml", data.plan)
    found, problems = trace_plan(data.plan, given["ards"], deviations, kept["where"])
    assert problems == []
    by_key = {item.planned.key: item for item in found}
    assert set(deviations) == {key for key, item in by_key.items() if item.status != "done"}
    primary = by_key["estimands.E1_RFS"]
    assert {"abstract", "sec-efficacy", "tbl-efficacy"} <= set(primary.labels)
    assert "sec-subgroups" in by_key["subgroups.BCLC"].labels
    report = plan_report(found, data.plan, paper="P", labels={name: name for name in kept["where"].labels}, pages={})
    assert "| `estimands.E1_RFS` | Recurrence-free survival under" in report
    assert "- `bootstrap_resamples` (deviated): " in report


def test_what_a_text_does_not_show_of_the_paperwork_is_a_fault(shipped):
    root, tables = shipped
    index = root / "manuscript/index.qmd"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace("{{< include _appendix_plan.qmd >}}", ""), encoding="utf-8")
    try:
        with pytest.raises(ManuscriptError, match="no text shows the plan paperwork"):
            expand_manuscript(**expansion(root, tables))
    finally:
        index.write_text(text, encoding="utf-8")


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    given = make_paper(root)
    given["context"] |= {
        "audit-href": "../audit/index.html#",
        "seal": Shortened("0123456789abcdef", "0123456789abcdef" * 4),
    }
    text = given["source"].read_text(encoding="utf-8").replace("## Funding", "Seal {{< meta seal >}}.\n\n## Funding", 1)
    given["source"].write_text(text, encoding="utf-8")
    made = {}
    for name, more in (
        ("linked", given["context"]),
        ("plain", {k: v for k, v in given["context"].items() if k != "audit-href"}),
    ):
        folder = root / name
        expanded = expand_manuscript(**given | {"context": more})
        expanded.write(folder)
        for path in sorted((root / "manuscript").glob("*.bib")):
            shutil.copyfile(path, folder / path.name)
        shutil.copyfile(CSL, folder / "numeric.csl")
        for use in expanded.uses.loc[expanded.uses["kind"] == "figure", "target"]:
            path = folder / use
            write_figure(path.parent, path.name, "x")
        outputs = {kind: folder / f"paper.{kind}" for kind in ("html", "pdf", "docx")}
        made[name] = render_manuscript(
            folder, outputs, engine="embedded", source_date_epoch=0, synthetic=expanded.synthetic
        )
    return made


def test_each_bound_number_of_the_page_leads_to_the_audit_site(page):
    html = page["linked"].outputs["html"].read_text(encoding="utf-8")
    links = re.findall(r'<a\s+href="\.\./audit/index\.html#([^"]+)"[^>]*data-ard="([^"]+)"', html)
    assert len(links) > 5
    assert all(target == bound for target, bound in links)
    assert not re.search(r'<span[^>]*data-ard="', html)
    link = re.search(r'<a\s+href="\.\./audit/index\.html#meta:seal"([^>]*)>([^<]*)</a>', html)
    assert (f'title="{SEAL * 4}"' in link[1], link[2]) == (True, SEAL)
    assert 'data-meta="seal"' in html


def test_exhibits_say_which_they_are(page):
    html = page["linked"].outputs["html"].read_text(encoding="utf-8")
    assert re.search(r'<figure class="table-figure" id="tbl-baseline" data-table="synthetic:baseline">', html)
    assert re.search(r'<figure[^>]*id="fig-km"[^>]*data-figure="synthetic:km_rfs"', html)
    assert re.search(r'<a href="\.\./audit/index\.html#table:synthetic:baseline" class="val"><strong>Table', html)
    assert not re.search(r"<img[^>]*data-figure", html)


def test_links_change_neither_pdf_nor_docx(page):
    for kind in ("pdf", "docx"):
        assert page["linked"].outputs[kind].read_bytes() == page["plain"].outputs[kind].read_bytes()


def test_pages_of_labels_are_those_of_the_pdf(page):
    from pypdf import PdfReader

    report = page["linked"]
    texts = [" ".join(p.extract_text().split()) for p in PdfReader(report.outputs["pdf"]).pages]
    assert len(report.pages) > 10
    for label, number in report.pages.items():
        if label.startswith("tbl-"):
            assert f"{report.labels[label]}." in texts[number - 1].replace("\u00a0", " ").replace(" .", ".") or (
                report.labels[label].replace("\u00a0", " ") in texts[number - 1].replace("\u00a0", " ")
            )
