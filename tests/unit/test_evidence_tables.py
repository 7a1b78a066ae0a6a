"""The tables of published evidence: the shipped ones pass, and whatever is changed in them to the wrong is named."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorafenib_rfa.evidence.schema import STATUS_FIELDS, TABLES, key_of
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError, read_evidence

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "data/evidence"
BIBLIOGRAPHY = ROOT / "manuscript/references.bib"


@pytest.fixture(scope="module")
def shipped() -> Evidence:
    return read_evidence(SHIPPED, bibliography=BIBLIOGRAPHY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "evidence"))


def records(folder: Path, table: str) -> list[list[str]]:
    with open(folder / f"{table}.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def store(folder: Path, table: str, rows: list[list[str]]) -> None:
    with open(folder / f"{table}.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def change(folder: Path, table: str, key: str, column: str, value: str) -> int:
    """Write a cell of the row of that key; return the row's number as a person counts."""
    rows = records(folder, table)
    header = rows[0]
    names = {
        "field_status": ("table", "key", "field"),
        "survival_percentages": ("study_id", "endpoint", "arm", "month"),
    }
    names |= {"risk_of_bias": ("study_id", "domain"), "certainty": ("finding_id", "domain")}
    at = [header.index(name) for name in names.get(table, (header[0],))]
    (number,) = [index for index, row in enumerate(rows) if ".".join(row[i] for i in at) == key]
    rows[number][header.index(column)] = value
    store(folder, table, rows)
    return number + 1


def problems(folder: Path) -> list[str]:
    with pytest.raises(EvidenceError) as raised:
        read_evidence(folder)
    return [str(problem) for problem in raised.value.problems]


def test_shipped_tables_pass_and_every_citation_is_in_the_bibliography(shipped: Evidence) -> None:
    assert shipped.effects["effect_id"].is_unique
    assert shipped.sources["citation_key"].notna().all()


def test_types_and_origin(shipped: Evidence) -> None:
    effects = shipped.effects
    assert effects["estimate"].dtype == "float64"
    assert effects["median_unit"].dtype == "string"
    assert effects["src_row"].dtype == "int64"
    assert set(effects["src_file"]) == {"data/evidence/effects.csv"}
    row = effects.set_index("effect_id").loc["space_ttp"]
    line = (SHIPPED / "effects.csv").read_text(encoding="utf-8").splitlines()[row["src_row"] - 1]
    assert line.startswith("space_ttp,")


def test_every_study_of_the_issue_keeps_a_row(shipped: Evidence) -> None:
    labels = " ".join(shipped.studies["label"]).lower()
    for study in ("storm", "space", "post-tace", "li j", "assure", "high risk", "antiviral", "immunotherapy"):
        assert study in labels
    for study in ("adjuvant tace", "soramic", "tace-2", "tactics", "imbrave050", "launch", "emerald-1", "start"):
        assert study in labels
    for study in ("feng", "within milan", "wei", "wang", "kan", "fukuda", "gong", "chen", "jin", "yan", "li q"):
        assert study in labels
    assert shipped.effects.query("study_id == 'imbrave050' and endpoint == 'RFS'")["look"].tolist() == [
        "interim_1",
        "interim_2",
    ]


def test_figures_stay_as_printed(shipped: Evidence) -> None:
    effects = shipped.effects.set_index("effect_id")
    assert effects.loc["space_ttp", ["median_treated", "median_control", "median_unit"]].tolist() == [169, 166, "days"]
    assert shipped.printed("effects", "storm_rfs", "estimate") == "0.940"
    assert shipped.decimals("effects", "storm_rfs", "estimate") == 3
    assert shipped.decimals("effects", "storm_rfs", "ci_low") == 2
    assert shipped.printed("effects", "feng_2014_os", "estimate") is None
    assert shipped.decimals("effects", "feng_2014_os", "estimate") is None
    assert effects.loc["assure_dfs", "ci_level"] == 97.5


def test_status_of_a_field(shipped: Evidence) -> None:
    assert shipped.status("effects", "storm_rfs", "p_sided") == "seen"
    assert shipped.status("effects", "space_ttp", "p_sided") == "derived"
    assert shipped.status("effects", "space_ttp", "ci_low") == "recalled"
    assert shipped.provenance("effects", "space_ttp", "ci_low").confidence == "medium"
    assert shipped.status("effects", "feng_2014_os", "estimate") == "blank"
    assert shipped.status("survival_percentages", "recurrent_milan.OS.treated.12", "percent") == "seen"
    with pytest.raises(KeyError, match="effects:storm_rfs:endpoint"):
        shipped.status("effects", "storm_rfs", "endpoint")


def test_each_figure_has_its_status_in_the_file(shipped: Evidence) -> None:
    """Counted without the reader: filled cells of the four tables against the rows of field_status.csv."""
    figures = set()
    for table, fields in STATUS_FIELDS.items():
        rows = records(SHIPPED, table)
        for row in rows[1:]:
            cells = dict(zip(rows[0], row, strict=True))
            figures |= {(table, key_of(table, cells), field) for field in fields if cells[field]}
    assert figures == {tuple(row[:3]) for row in records(SHIPPED, "field_status")[1:]}
    assert figures == set(shipped.statuses)


# --- one wrong cell: file, row, column, what was found, what was expected -------------------------------------------

WRONG = [
    # what the issue names
    ("effects", "storm_rfs", "estimate", "1.2", "estimate", "the interval excludes its estimate", "from 0.78 to 1.13"),
    ("effects", "storm_rfs", "estimate", "0", "estimate", "out of range", "a number above 0"),
    ("effects", "storm_rfs", "estimate", "-0.94", "estimate", "out of range", "a number above 0"),
    ("effects", "storm_rfs", "ci_low", "1.14", "ci_low", "the lower limit is not below the upper", "less than 1.13"),
    ("effects", "storm_rfs", "source_id", "S99", "source_id", "unknown source_id", "sources.csv"),
    # what the contract adds
    ("effects", "storm_rfs", "study_id", "strom", "study_id", "unknown study_id", "studies.csv"),
    ("effects", "storm_rfs", "endpoint", "EFS", "endpoint", "unknown code", "RFS / TTR / OS"),
    ("effects", "storm_rfs", "look", "third", "look", "unknown code", "primary / interim_1"),
    ("effects", "storm_rfs", "measure", "hr", "measure", "unknown code", "HR / RR / OR"),
    ("effects", "storm_rfs", "effect_id", "STORM rfs", "effect_id", "another form", "small letters, digits and _"),
    ("effects", "storm_rfs", "estimate", "0,94", "estimate", "not a number", "the decimal mark is a point"),
    ("effects", "li_song_2021_os", "ci_low", "0377", "ci_low", "not a number", "a decimal point is probably missing"),
    ("effects", "storm_rfs", "p_value", "<0.001", "p_value", "not a number", "a bound is not a value"),
    ("effects", "storm_rfs", "estimate", "n/a", "estimate", "not a number", "a number above 0"),
    ("effects", "storm_rfs", "estimate", "nan", "estimate", "not a number", "a number above 0"),
    ("effects", "storm_rfs", "estimate", "1e-1", "estimate", "not a number", "a number above 0"),
    ("effects", "storm_rfs", "p_value", "1.2", "p_value", "out of range", "up to 1"),
    ("effects", "storm_rfs", "p_value", "0", "p_value", "out of range", "above 0"),
    ("effects", "storm_rfs", "p_sided", "", "p_sided", "a p value and its side stand together", "one / two"),
    ("effects", "launch_os", "p_sided", "two", "p_sided", "a p value and its side stand together", "no p value"),
    ("effects", "storm_rfs", "ci_high", "", "ci_high", "one limit without the other", "both limits or none"),
    ("effects", "storm_rfs", "ci_level", "", "ci_level", "an interval and its level stand together", "such as 95"),
    ("effects", "storm_rfs", "ci_level", "0.95", "ci_level", "out of range", "from 50 up to 99.9"),
    ("effects", "storm_rfs", "median_unit", "", "median_unit", "medians and their unit", "days / weeks / months"),
    ("effects", "storm_os", "median_unit", "months", "median_unit", "medians and their unit", "there is no median"),
    ("effects", "launch_os", "p_value", "0.04", "p_value", "a figure without status", "effects,launch_os,p_value"),
    ("sources", "S02", "citation_key", "", "citation_key", "the cell must not be blank", "a text"),
    ("sources", "S02", "read_extent", "all", "read_extent", "unknown code", "full_text / abstract"),
    ("sources", "S02", "read_at", "", "read_at", "does not fit what was read", "a place"),
    ("sources", "S01", "read_at", "there", "read_at", "does not fit what was read", "read_extent is not_found"),
    ("sources", "S02", "doi", "https://doi.org/10.1/x", "doi", "another form", "a DOI"),
    ("sources", "S03", "source_id", "S02", "source_id", "the same source_id as in row", "each source_id once"),
    ("studies", "storm", "design", "rct", "design", "unknown code", "rct_double_blind"),
    ("studies", "storm", "n_treated", "556.5", "n_treated", "not a whole number", "a whole number above 0"),
    ("studies", "storm", "n_screened", "1000", "n_screened", "fewer were screened than took part", "at least 1114"),
    ("studies", "storm", "why_not_pooled", "because", "why_not_pooled", "needs no reason", "nothing"),
    ("studies", "launch", "why_not_pooled", "", "why_not_pooled", "any other needs one", "the reason"),
    ("survival_percentages", "wang_2024.RFS.treated.36", "percent", "19.6", "percent", "survival rises", "19.5"),
    ("survival_percentages", "wang_2024.RFS.treated.12", "percent", "727", "percent", "out of range", "up to 100"),
    ("survival_percentages", "wang_2024.RFS.treated.12", "percent", "72.71", "decimals", "more decimals", "at most 1"),
    ("survival_percentages", "wang_2024.RFS.treated.12", "arm", "both", "arm", "unknown code", "treated / control"),
    ("event_counts", "storm_hfsr", "events_treated", "560", "events_treated", "more events than", "at most 559"),
    ("event_counts", "storm_hfsr", "percent_treated", "154", "percent_treated", "out of range", "up to 100"),
    ("event_counts", "soramic_any_ae", "p_sided", "", "p_sided", "a p value and its side", "one / two"),
    ("field_status", "effects.storm_rfs.ci_low", "status", "known", "status", "unknown code", "seen / recalled"),
    ("field_status", "effects.storm_rfs.ci_low", "where", "", "where", "where the figure comes from", "the address"),
    ("field_status", "effects.storm_rfs.ci_low", "confidence", "high", "confidence", "how sure", "as it is seen"),
    ("field_status", "effects.space_ttp.ci_low", "confidence", "", "confidence", "how sure", "high / medium / low"),
    ("field_status", "effects.storm_rfs.ci_low", "key", "storm_rsf", "key", "unknown key", "effects.csv"),
    ("field_status", "effects.storm_rfs.ci_low", "field", "look", "field", "keeps no status", "estimate, ci_low"),
    ("statements", "storm_patients", "refers_to", "studies:storm:n", "refers_to", "unknown figure", "table:key:field"),
    ("statements", "storm_patients", "refers_to", "studies:strm:n_treated", "refers_to", "no strm", "studies.csv"),
    ("statements", "contrast", "refers_to", "a:b:c / d:e:f", "refers_to", "unknown figure", "with / between them"),
    ("statements", "storm_patients", "refers_to", "effects:storm_rfs:p_sided", "refers_to", "unknown figure", "table:"),
    ("statements", "storm_patients", "claimed_unit", "months", "claimed_unit", "not the unit of studies:", "patients"),
    ("statements", "contrast", "claimed_unit", "months", "claimed_unit", "not the unit of effects:", "times"),
    ("statements", "storm_patients", "claimed_value", "", "claimed_value", "a figure without a claim", "the number"),
    ("statements", "storm_patients", "claimed_unit", "", "claimed_unit", "stand together", "a unit"),
    ("statements", "storm_patients", "verdict", "supported", "verdict", "by hand", "computed from the figure"),
    ("statements", "storm_design", "verdict", "", "verdict", "no verdict", "no figure to compute it from"),
    ("statements", "storm_design", "reason", "", "reason", "no reason", "no figure to compute it from"),
    ("statements", "storm_design", "section", "results", "section", "unknown code", "introduction"),
    ("risk_of_bias", "storm.randomisation", "judgement", "serious", "judgement", "unknown to RoB 2", "some concerns"),
    ("risk_of_bias", "storm.randomisation", "domain", "confounding", "domain", "unknown to RoB 2", "randomisation"),
    ("risk_of_bias", "tactics.overall", "judgement", "low", "judgement", "better overall than in a domain", "or worse"),
    ("statements", "storm_rfs", "claimed_effect", "", "claimed_effect", "stand together", "no difference / no benefit"),
    ("statements", "storm_rfs", "claimed_effect", "none", "claimed_effect", "unknown code", "no difference / no"),
    (
        "statements",
        "storm_patients",
        "claimed_effect",
        "harm",
        "claimed_effect",
        "stand together",
        "not in :significant",
    ),
    (
        "statements",
        "storm_rfs",
        "claimed_value",
        "1",
        "claimed_value",
        "a number where an effect",
        "says what is claimed",
    ),
    ("statements", "storm_rfs", "refers_to", "effects:strm:significant", "refers_to", "no strm", "effects.csv"),
    ("statements", "storm_rfs", "refers_to", "studies:storm:significant", "refers_to", "unknown figure", "table:key:"),
    ("statements", "storm_rfs", "verdict", "supported", "verdict", "by hand", "computed from the figure"),
    (
        *("statements", "later_soramic", "reason", "{effects:soramic_ablation_ttr:hr}", "reason"),
        *("no such figure", "a figure that is filled"),
    ),
    (
        *("statements", "later_soramic", "reason", "{effects:feng_2014_os:estimate}", "reason"),
        *("no such figure", "a figure that is filled"),
    ),
    ("studies", "assure", "n_randomised", "1295", "n_randomised", "all arms together", "at least 1296"),
    ("studies", "storm", "n_randomised", "1603", "n_randomised", "all arms together", "at most 1602"),
    # where a figure was seen
    (
        *("field_status", "effects.storm_rfs.ci_low", "where", "From memory; also S13", "where"),
        *("what comes from memory is not seen", "recalled, or where it was read"),
    ),
    (
        *("field_status", "effects.storm_ttr.p_sided", "where", "from memory", "where"),
        *("what comes from memory is not derived", "recalled, or where it was read"),
    ),
    ("field_status", "effects.storm_rfs.ci_low", "where", "a talk", "where", "no source was read there", "sources.csv"),
    (
        "field_status",
        "effects.storm_rfs.ci_low",
        "where",
        "S99: table",
        "where",
        "no source was read there",
        "source_id",
    ),
    (
        "field_status",
        "effects.storm_rfs.ci_low",
        "where",
        "S17: table 2",
        "where",
        "that was not read",
        "that was read",
    ),
    ("risk_of_bias", "tace_2.overall", "judgement", "low", "judgement", "a domain could not be", "no information"),
    ("risk_of_bias", "storm.overall", "judgement", "no information", "judgement", "better overall", "or worse"),
    ("certainty", "space_untaceable.start", "step", "2", "step", "design of the study puts it", "4"),
    ("certainty", "soramic_any_ae.start", "step", "2", "step", "design of the study puts it", "4"),
    ("certainty", "adjuvant_rfs.start", "judged_k", "", "judged_k", "studies that were judged", "when it was judged"),
    ("certainty", "adjuvant_rfs.imprecision", "judged_k", "1", "judged_k", "studies that were", "the row of start"),
    (
        "certainty",
        "adjuvant_rfs.start",
        "judged_ci_low",
        "",
        "judged_ci_low",
        "interval that was judged",
        "both limits",
    ),
    ("certainty", "adjuvant_rfs.start", "step", "3", "step", "not a step of start", "4 / 2"),
    ("certainty", "adjuvant_rfs.risk_of_bias", "step", "1", "step", "not a step of risk_of_bias", "0 / -1 / -2"),
    ("certainty", "adjuvant_rfs.start", "effect_id", "storm_rfs", "synthesis_id", "of a synthesis or", "one of both"),
]


@pytest.mark.parametrize(("table", "key", "column", "value", "at", "message", "expected"), WRONG)
def test_a_wrong_cell_is_named(
    folder: Path, table: str, key: str, column: str, value: str, at: str, message: str, expected: str
) -> None:
    row = change(folder, table, key, column, value)
    place = f"data/evidence/{table}.csv, row {row}, column {at}: "
    named = [problem for problem in problems(folder) if problem.startswith(place)]
    text = "\n".join(named)
    assert message in text
    assert expected in text
    if value:
        assert value in text or at != column
    else:
        assert re.search(r"found: +nothing", text)


def test_a_number_of_patients_or_countries_is_held_against_a_figure(folder: Path) -> None:
    change(folder, "statements", "storm_countries", "verdict", "supported")
    change(folder, "statements", "storm_countries", "reason", "so it is said")
    row = change(folder, "statements", "storm_countries", "refers_to", "")
    (problem,) = problems(folder)
    assert problem == (
        f"data/evidence/statements.csv, row {row}, column claimed_value: "
        "a number of them that is held against no figure\n"
        "    found:    28\n"
        "    expected: a figure in refers_to, or no number"
    )


def test_doubled_study_endpoint_look_names_the_row_before(folder: Path) -> None:
    rows = records(folder, "effects")
    second = change(folder, "effects", "storm_os", "endpoint", "RFS")
    first = [row[0] for row in rows].index("storm_rfs") + 1
    (problem,) = [text for text in problems(folder) if "the same study_id, endpoint, look" in text]
    assert f"effects.csv, row {second}, column look: the same study_id, endpoint, look as in row {first}" in problem
    assert "storm, RFS, primary" in problem


def test_status_of_a_blank_cell(folder: Path) -> None:
    change(folder, "effects", "launch_os", "median_control", "")
    row = [".".join(each[:3]) for each in records(folder, "field_status")].index("effects.launch_os.median_control") + 1
    assert problems(folder) == [
        f"data/evidence/field_status.csv, row {row}, column field: the status of a blank cell\n"
        "    found:    median_control\n"
        "    expected: a figure in data/evidence/effects.csv, or no row for it"
    ]


def test_a_citation_that_is_not_in_the_bibliography(folder: Path) -> None:
    row = change(folder, "sources", "S16", "citation_key", "lencioni2061")
    with pytest.raises(EvidenceError) as raised:
        read_evidence(folder, bibliography=BIBLIOGRAPHY)
    (problem,) = raised.value.problems
    assert str(problem) == (
        f"data/evidence/sources.csv, row {row}, column citation_key: unknown citation\n"
        "    found:    lencioni2061\n"
        "    expected: a key of manuscript/references.bib"
    )


def test_a_bibliography_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"manuscript/references\.bib: the bibliography cannot be read"):
        read_evidence(folder, bibliography=tmp_path / "none.bib")


def test_all_problems_of_all_files_at_once(folder: Path) -> None:
    places = [
        ("sources", change(folder, "sources", "S02", "doi", "x"), "doi"),
        ("studies", change(folder, "studies", "storm", "design", "rct"), "design"),
        ("effects", change(folder, "effects", "storm_rfs", "estimate", "1.5"), "estimate"),
        ("effects", change(folder, "effects", "space_ttp", "ci_high", "ten"), "ci_high"),
        ("event_counts", change(folder, "event_counts", "kan_recurrence", "events_control", "33"), "events_control"),
        ("statements", change(folder, "statements", "storm_design", "reason", ""), "reason"),
    ]
    found = problems(folder)
    assert len(found) == len(places)
    for problem, (table, row, column) in zip(found, places, strict=True):
        assert problem.startswith(f"data/evidence/{table}.csv, row {row}, column {column}: ")


# --- files that are not what they should be -------------------------------------------------------------------------


def rewrite(folder: Path, table: str, edit: Callable[[bytes], bytes]) -> None:
    path = folder / f"{table}.csv"
    path.write_bytes(edit(path.read_bytes()))


def same(one: Evidence, other: Evidence, *, rows: bool = True) -> None:
    for table in TABLES:
        left, right = getattr(one, table), getattr(other, table)
        if not rows:
            left, right = left.drop(columns="src_row"), right.drop(columns="src_row")
        pd.testing.assert_frame_equal(left, right)
    assert one.statuses == other.statuses
    assert one.cells == other.cells


@pytest.mark.parametrize("table", sorted(TABLES))
def test_byte_order_mark_windows_lines_and_spaces_do_no_harm(folder: Path, shipped: Evidence, table: str) -> None:
    rewrite(folder, table, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    rows = records(folder, table)
    rows[0][0] = rows[0][0].removeprefix("\ufeff")
    same(shipped, read_evidence(folder))
    store(folder, table, [[f" {cell}\t" for cell in row] for row in rows])
    same(shipped, read_evidence(folder))


def test_blank_lines_count_as_rows_but_hold_nothing(folder: Path, shipped: Evidence) -> None:
    rewrite(folder, "effects", lambda data: data.replace(b"\nstorm_rfs", b"\n\n,,,,,,,,,,,,,,\nstorm_rfs") + b"\n\n")
    read = read_evidence(folder)
    same(shipped, read, rows=False)
    moved = read.effects["src_row"] - shipped.effects["src_row"]
    assert moved.where(read.effects["effect_id"].ne("soramic_ablation_ttr"), 2).eq(2).all()


def test_quoted_line_breaks_do_not_shift_the_rows(folder: Path) -> None:
    change(folder, "sources", "S02", "note", "first line\nsecond line")
    row = change(folder, "sources", "S16", "doi", "none") + 1
    (problem,) = problems(folder)
    assert problem.startswith(f"data/evidence/sources.csv, row {row}, column doi: ")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda data: data.replace(b"estimate", b"hr", 1), "row 1, column estimate: the column is missing"),
        (lambda data: data.replace(b"estimate", b"hr", 1), "row 1, column hr: unknown column"),
        (
            lambda data: data.replace(b",ci_low", b",estimate", 1),
            "row 1, column estimate: the column stands there more than once",
        ),
        (lambda data: data.replace(b"\nstorm_os,", b"\nstorm,os,", 1), "row 5: the row does not fit the header"),
        (lambda data: data.replace(b"\nstorm_os,storm,", b"\nstorm_os,", 1), "row 5: the row does not fit the header"),
        (lambda data: data.replace(b"\nstorm_os,", b'\n"storm_os,', 1), "row 5: the line is not CSV"),
        (lambda data: data.replace(b"storm_os", b"storm\xe9os", 1), "row 5: a byte that is not UTF-8"),
        (lambda data: data.decode().encode("utf-16"), "row 1: a byte that is not UTF-8"),
        (lambda data: b"", "row 1: no header"),
        (lambda data: b"\n\n", "row 1: no header"),
    ],
)
def test_a_file_that_cannot_be_taken_apart(folder: Path, edit: Callable[[bytes], bytes], expected: str) -> None:
    rewrite(folder, "effects", edit)
    assert any(problem.startswith(f"data/evidence/effects.csv, {expected}") for problem in problems(folder))


def test_a_lost_row_is_one_problem_not_a_dozen(folder: Path) -> None:
    rewrite(folder, "effects", lambda data: data.replace(b"\nstorm_os,", b"\nstorm,os,", 1))
    assert len(problems(folder)) == 1


@pytest.mark.parametrize("table", ["sources", "studies", "effects", "survival_percentages", "event_counts"])
def test_a_file_of_which_only_the_header_is_left_is_one_problem(folder: Path, table: str) -> None:
    store(folder, table, records(folder, table)[:1])
    (problem,) = problems(folder)
    assert problem.startswith(f"data/evidence/{table}.csv: {table}.csv has no rows\n    found:    a header only\n")


def test_no_status_at_all_is_one_problem(folder: Path) -> None:
    store(folder, "field_status", records(folder, "field_status")[:1])
    (problem,) = problems(folder)
    assert problem.startswith("data/evidence/field_status.csv: field_status.csv has no rows")


def test_tables_of_which_nobody_speaks_may_be_empty(folder: Path) -> None:
    for table in ("statements", "risk_of_bias", "certainty"):
        store(folder, table, records(folder, table)[:1])
    assert read_evidence(folder).statements.empty


def test_percentages_of_one_arm_at_a_month_without_those_of_the_other(folder: Path) -> None:
    """They could not be compared, and would otherwise be left out in silence."""
    row = change(folder, "survival_percentages", "wang_2024.RFS.treated.24", "month", "18")
    other = 1 + [each[:4] for each in records(folder, "survival_percentages")].index(
        ["wang_2024", "RFS", "control", "24"]
    )
    change(
        folder,
        "field_status",
        "survival_percentages.wang_2024.RFS.treated.24.percent",
        "key",
        "wang_2024.RFS.treated.18",
    )
    place = "data/evidence/survival_percentages.csv, row {}, column month: no percentage of the {} arm at this month"
    found = problems(folder)
    assert [problem.splitlines()[0] for problem in found] == [
        place.format(row, "control"),
        place.format(other, "treated"),
    ]
    assert "found:    18" in found[0] and "both arms at the same months: 12, 24, 36" in found[0]


def test_an_arm_alone_may_have_percentages(folder: Path) -> None:
    rows = records(folder, "survival_percentages")
    store(folder, "survival_percentages", [row for row in rows if row[0] != "wang_2024" or row[2] != "control"])
    statuses = [row for row in records(folder, "field_status") if not row[1].startswith("wang_2024.RFS.control")]
    store(folder, "field_status", statuses)
    assert read_evidence(folder).survival_percentages["study_id"].eq("wang_2024").sum() == 3


def test_a_file_that_is_not_there(folder: Path) -> None:
    (folder / "effects.csv").unlink()
    found = problems(folder)
    assert found[0].startswith("data/evidence/effects.csv: the file cannot be read")
    assert "expected: a CSV file" in found[0]


def test_no_folder_at_all(tmp_path: Path) -> None:
    found = problems(tmp_path / "nothing")
    assert [problem.split(":")[0] for problem in found] == [f"data/evidence/{table}.csv" for table in TABLES]


def test_shown_folder_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"my/evidence/sources\.csv: the file cannot be read"):
        read_evidence(tmp_path, shown_folder="my/evidence/")


# --- properties -----------------------------------------------------------------------------------------------------


def numeric_cells() -> list[tuple[str, int, str]]:
    """Return table, index of the row and column of every filled cell that must be a number."""
    cells = []
    for table, columns in TABLES.items():
        header, *rows = records(SHIPPED, table)
        for column in (column.name for column in columns if column.kind != "text"):
            at = header.index(column)
            cells += [(table, index, column) for index, row in enumerate(rows, start=1) if row[at]]
    return cells


NUMERIC = numeric_cells()
LIMITS = [cell for cell in NUMERIC if cell[0] == "effects" and cell[2] in ("estimate", "ci_low", "ci_high")]
CAUGHT = {
    "letters": lambda text: f"{text} mo",
    "decimal comma": lambda text: text.replace(".", ",") if "." in text else f"{text},0",
    "middle dot": lambda text: text.replace(".", "\u00b7") if "." in text else f"\u00b7{text}",
    "two points": lambda text: f"{text}.1" if "." in text else f"{text}..1",
    "sign lost in a dash": lambda text: f"\u2212{text}",
    "leading zero": lambda text: f"0{text.removeprefix('-')}",
    "interval": lambda text: f"{text}-{text}",
    "exponent": lambda text: f"{text}e0",
}
HARMLESS = {
    "space before": lambda text: f" {text}",
    "space after": lambda text: f"{text} ",
    "no-break space": lambda text: f"\u00a0{text}",
}


def corrupt(folder: Path, table: str, index: int, column: str, edit: Callable[[str], str]) -> None:
    rows = records(SHIPPED, table)
    at = rows[0].index(column)
    rows[index][at] = edit(rows[index][at])
    store(folder, table, rows)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, deadline=None)
@given(cell=st.sampled_from(NUMERIC), kind=st.sampled_from(sorted(CAUGHT)))
def test_a_numeric_cell_that_is_no_number_is_named(folder: Path, cell: tuple[str, int, str], kind: str) -> None:
    table, index, column = cell
    corrupt(folder, table, index, column, CAUGHT[kind])
    found = problems(folder)
    store(folder, table, records(SHIPPED, table))
    assert any(text.startswith(f"data/evidence/{table}.csv, row {index + 1}, column {column}: ") for text in found)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, deadline=None)
@given(cell=st.sampled_from(NUMERIC), kind=st.sampled_from(sorted(HARMLESS)))
def test_spaces_about_a_number_change_nothing(
    folder: Path, shipped: Evidence, cell: tuple[str, int, str], kind: str
) -> None:
    table, index, column = cell
    corrupt(folder, table, index, column, HARMLESS[kind])
    same(shipped, read_evidence(folder))
    store(folder, table, records(SHIPPED, table))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, deadline=None)
@given(cell=st.sampled_from([cell for cell in NUMERIC if cell[2] in STATUS_FIELDS.get(cell[0], ())]))
def test_a_figure_that_vanishes_is_missed(folder: Path, cell: tuple[str, int, str]) -> None:
    """Its status is left behind, or the cell is needed."""
    table, index, column = cell
    rows = records(SHIPPED, table)
    key = key_of(table, dict(zip(rows[0], rows[index], strict=True)))
    corrupt(folder, table, index, column, lambda text: "")
    text = "\n".join(problems(folder))
    store(folder, table, rows)
    statuses = [tuple(row[:3]) for row in records(SHIPPED, "field_status")]
    row = statuses.index((table, key, column)) + 1
    assert f"data/evidence/field_status.csv, row {row}, column field: the status of a blank cell" in text


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, deadline=None)
@given(
    cell=st.sampled_from(LIMITS),
    factor=st.sampled_from([10.0, 100.0]),
    up=st.booleans(),
)
def test_a_decimal_point_that_slipped_is_caught_where_there_is_an_interval(
    folder: Path, shipped: Evidence, cell: tuple[str, int, str], factor: float, up: bool
) -> None:
    table, index, column = cell
    effect = shipped.effects.iloc[index - 1]
    slipped = effect[column] * factor if up else effect[column] / factor
    corrupt(folder, table, index, column, lambda text: f"{slipped:.6f}")
    widened = (column == "ci_low" and not up) or (column == "ci_high" and up)
    if pd.isna(effect["ci_low"]) or widened:  # a wider interval contradicts nothing here; consistency.py says so
        assert read_evidence(folder).effects.loc[index - 1, column] == pytest.approx(slipped, rel=1e-4)
    else:
        place = f"data/evidence/effects.csv, row {index + 1}, column "
        assert any(text.startswith(place) for text in problems(folder))
    store(folder, table, records(SHIPPED, table))


# --- the dictionary -------------------------------------------------------------------------------------------------


def dictionary() -> dict[str, dict[str, tuple[str, bool, bool]]]:
    """Return of the README, by table and column: the text of its row, whether it is needed, whether it has a status."""
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    tables: dict[str, dict[str, tuple[str, bool, bool]]] = {}
    for part in text.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        if not title.endswith(".csv"):
            continue
        rows = tables.setdefault(title.removesuffix(".csv"), {})
        for line in re.findall(r"^\| (`.*?) \| ?(.*?) ?\|$", body, re.MULTILINE):
            for name, marks in re.findall(r"`(\w+)`((?: [*+])*)", line[0]):
                rows[name] = (line[1], "*" in marks, "+" in marks)
    return tables


def test_the_dictionary_names_every_column_and_code() -> None:
    described = dictionary()
    assert list(described) == list(TABLES)
    for table, columns in TABLES.items():
        assert set(described[table]) == {column.name for column in columns}
        for column in columns:
            _, needed, status = described[table][column.name]
            assert needed == column.needed, f"{table}: {column.name}"
            assert status == (column.name in STATUS_FIELDS.get(table, ())), f"{table}: {column.name}"
            text = " ".join(rows[column.name][0] for rows in described.values() if column.name in rows)
            assert not [code for code in column.codes if f"`{code}`" not in text], f"{table}: {column.name}"
