"""The verdict of a verification and its report."""

import pytest

from sorafenib_rfa.provenance.compare import DIFFERENT, EQUAL, IDENTICAL, MISSING, Comparison, Difference
from sorafenib_rfa.provenance.scratch import config_arguments, copy_sources
from sorafenib_rfa.provenance.verify import (
    FULL,
    MINOR,
    NOT_ABLE,
    PARTIAL,
    Cost,
    Source,
    Verdict,
    classify,
    compare_unclaimed,
    papers_not_compared,
)
from sorafenib_rfa.provenance.verify_report import cell, report
from sorafenib_rfa.records.record import Record, Records
from sorafenib_rfa.records.run_log import append, run_log_path
from sorafenib_rfa.records.seals import Breach


def outputs(*levels):
    return [Comparison(f"f{i}", level) for i, level in enumerate(levels)]


SAME = [IDENTICAL] * 9


@pytest.mark.parametrize(
    ("levels", "essential", "options", "expected"),
    [
        (SAME, {"f0"}, {}, FULL),
        ([*SAME, EQUAL], {"f9"}, {}, FULL),
        (SAME, {"f0"}, {"other_issues": True}, MINOR),
        ([*SAME, DIFFERENT], {"f0"}, {}, MINOR),
        ([*SAME, DIFFERENT], {"f9"}, {}, PARTIAL),
        ([*SAME, MISSING], {"f9"}, {}, PARTIAL),
        ([IDENTICAL] * 2 + [DIFFERENT], set(), {}, PARTIAL),  # more than a quarter, though none is in the paper
        (SAME, set(), {"not_attempted": 1}, PARTIAL),  # data that are not available make it partial
        ([IDENTICAL] + [DIFFERENT] * 4, {"f0"}, {}, NOT_ABLE),
        (SAME, set(), {"not_attempted": 40}, NOT_ABLE),
        ([], set(), {}, NOT_ABLE),
        (SAME, {"f0"}, {"unaccounted": True}, PARTIAL),  # a result that no record claims, or a record that is gone
        ([*SAME, DIFFERENT], {"f0"}, {"unaccounted": True, "other_issues": True}, PARTIAL),
        ([IDENTICAL] + [DIFFERENT] * 4, {"f0"}, {"unaccounted": True}, NOT_ABLE),
    ],
)
def test_classification(levels, essential, options, expected):
    assert classify(outputs(*levels), essential, **options) == expected


def verdict(classification=FULL, breaches=(), comparisons=(), **more):
    run = {"jobs": 1, "asked_for": 1, "seconds": 1.0, "seals_equal": 1, "failures": [], "stopped": ""}
    return Verdict(
        classification,
        (),
        None,
        1,
        tuple(breaches),
        rerun=run,
        comparisons=tuple(comparisons),
        environment={"python": "3", "platform": "Linux", "differs": []},
        **more,
    )


BROKEN = Breach("results/x.csv", "output_changed", "r", "a", "b", "it was changed")
UNCLAIMED = Breach("results/c/manuscript/paper.html", "unclaimed", None, None, None, "no job says that it made it")
GONE = Breach("results/c/records/render_manuscript/c.json", "record_missing", None, None, None, "the record is gone")
MOVED = Breach("manuscript/x.qmd", "source_changed", "r", "a", "b", "it is no longer what was read")


def test_exit_code_is_zero_only_if_reproduced_with_every_seal_whole():
    assert verdict(FULL).exit_code == 0
    assert verdict(MINOR, [MOVED]).exit_code == 0
    assert verdict(MINOR, [BROKEN]).exit_code == 1
    assert verdict(PARTIAL).exit_code == 1
    assert verdict(NOT_ABLE).exit_code == 1
    assert verdict(None, [MOVED]).exit_code == 0
    assert verdict(None, [BROKEN]).exit_code == 1
    assert verdict(MINOR, [UNCLAIMED]).exit_code == 1
    assert verdict(None, [UNCLAIMED]).exit_code == 1
    assert verdict(None, [GONE]).exit_code == 1


def test_a_file_that_no_record_claims_is_compared_with_what_the_rerun_makes(tmp_path):
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    texts = {
        "manuscript/paper.html": ("<p>HR 0.49</p>", "<p>HR 0.94</p>"),
        "tables/same.csv": ("a\n1\n", "a\n1\n"),
        "tables/own.csv": ("a\n1\n", None),
        "audit/index.html": ("at 12:00", None),  # tells of the run: it is not made again
    }
    breaches = [MOVED, GONE]
    for name, (here, there) in texts.items():
        for folder, text in ((root, here), (scratch, there)):
            (folder / "results/c" / name).parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                (folder / "results/c" / name).write_text(text)
        breaches.append(Breach(f"results/c/{name}", "unclaimed", None, None, None, "no job says that it made it"))
    compared, left = compare_unclaimed(root, scratch, breaches)
    assert {c.path: c.level for c in compared} == {
        "results/c/manuscript/paper.html": DIFFERENT,
        "results/c/tables/same.csv": IDENTICAL,
    }
    assert [path for path, _ in left] == ["results/c/audit/index.html", "results/c/tables/own.csv"]


def test_a_paper_that_was_not_compared_is_named(tmp_path):
    paper, table = "results/c/records/render_manuscript/c.json", "results/c/records/make_tables/c.json"
    html = {"path": "results/c/manuscript/paper.html", "sha256": "0" * 64, "bytes": 1}
    content = {"cohort": "c", "wildcards": {}, "inputs": [], "outputs": [html]}
    records = Records([Record(paper, content | {"rule": "render_manuscript"})])
    assert papers_not_compared(tmp_path, records, [Comparison(html["path"], DIFFERENT)]) == []
    assert papers_not_compared(tmp_path, records, [Comparison("results/c/tables/a.csv", IDENTICAL)]) == [html["path"]]
    for rule, record in (("render_manuscript", paper), ("make_tables", table)):
        append(run_log_path(tmp_path, "c"), event="finished", rule=rule, wildcards={}, record=record)
    assert papers_not_compared(tmp_path, Records([]), []) == [paper]


def test_the_report_lists_what_no_record_claims_apart():
    text = report(verdict(PARTIAL, [GONE, UNCLAIMED, MOVED]))
    assert "Claimed by no record:\n\n- results/c/manuscript/paper.html: no job says" in text
    assert text.count("paper.html") == 1


def test_the_report_names_what_differs_and_ticks_one_box():
    difference = Difference("ard_id=rfs.hr", "value", "0.94", "0.49")
    text = report(verdict(PARTIAL, [BROKEN], [Comparison("a.parquet", DIFFERENT, "table", (difference,), 7)]))
    assert text.count("- [x]") == 2  # the classification and, since no reason was given, None
    assert "- [x] partial reproduction" in text
    assert "| a.parquet | ard\\_id=rfs.hr | value | 0.94 | 0.49 |" in text
    assert "and 6 more" in text
    assert "results/x.csv: it was changed" in text


def test_text_from_data_cannot_break_the_report():
    hostile = "a|b\n<script>`x`\u202e*"
    assert cell(hostile) == r"a\|b \<script\>\`x\`\\u202e\*"
    found = Comparison("f", DIFFERENT, "table", (Difference(hostile, hostile, hostile, hostile),), 1)
    rows = [line for line in report(verdict(PARTIAL, (), [found])).split("\n") if line.startswith("| f ")]
    assert len(rows) == 1
    assert "<script>" not in rows[0]


def test_the_cost_says_what_data_are_needed():
    public = Cost(6, 40.0, 300.0, (Source("data/public/a.csv", 1, "repository"),), made=3)
    assert public.public
    assert public.sentence() == (
        "6 jobs, 40 s of one core as recorded, 300 MB at most; data: 3 simulated files the workflow makes itself and "
        "1 public file of this repository"
    )
    private = Cost(1, 400.0, 300.0, (Source("data/raw/mine/a.csv", 1, "private"),))
    assert not private.public
    assert "1 private file (data/raw/mine/a.csv)" in private.sentence()
    assert "7 min" in private.sentence()


def test_configuration_is_passed_as_snakemake_reads_it():
    assert config_arguments({}) == []
    assert config_arguments({"cohort": ["a", "b"]}) == ["--config", 'cohort=["a", "b"]']


def test_a_scratch_copy_has_sources_and_nothing_made(tmp_path):
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    for name in (
        "Snakefile",
        "config/config.yaml",
        "data/raw/mine/a.csv",
        "results/c/a.csv",
        "logs/x.log",
        "benchmarks/rules/x.tsv",
        "benchmarks/bench.py",
        ".snakemake/metadata/x",
        ".git/HEAD",
        ".ci/run",
        ".pytest_cache/x",
        "src/p/__pycache__/a.pyc",
        "env/pyvenv.cfg",
        "env/bin/python",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    outside = tmp_path / "secure" / "b.csv"
    outside.parent.mkdir()
    outside.write_text("b")
    (root / "data/raw/mine/b.csv").symlink_to(outside)
    scratch.mkdir()
    copy_sources(root, scratch)
    copied = {p.relative_to(scratch).as_posix() for p in scratch.rglob("*") if not p.is_dir()}
    assert copied == {
        ".ci/run",
        "Snakefile",
        "config/config.yaml",
        "data/raw/mine/a.csv",
        "data/raw/mine/b.csv",
        "benchmarks/bench.py",
    }
    assert (scratch / "data/raw/mine/b.csv").read_text() == "b"


def test_a_scratch_copy_inside_of_the_repository_does_not_hold_itself(tmp_path):
    (tmp_path / "Snakefile").write_text("rule all:\n")
    scratch = tmp_path / "tmp" / "scratch"
    scratch.mkdir(parents=True)
    copy_sources(tmp_path, scratch)
    assert [p.relative_to(scratch).as_posix() for p in scratch.rglob("*") if p.is_file()] == ["Snakefile"]
