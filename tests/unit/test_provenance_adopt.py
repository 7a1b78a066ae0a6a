"""Whether the code here is the code that ran, also under another Python; what goes with a record that is dropped."""

import hashlib
from pathlib import Path

import pytest

from sorafenib_rfa.provenance.adopt import _code_mismatch, _drop
from sorafenib_rfa.provenance.plan import PlannedJob
from sorafenib_rfa.provenance.tree import Tree
from sorafenib_rfa.provenance.why import _Reasons
from sorafenib_rfa.records.code_identity import CodeIdentity, combine
from sorafenib_rfa.records.record import Record, Records

SCRIPT, MODULE = "workflow/scripts/count.py", "src/sorafenib_rfa/counting.py"


@pytest.fixture
def root(tmp_path):
    for name, text in ((SCRIPT, "from sorafenib_rfa.counting import n\n"), (MODULE, "n = 1\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src/sorafenib_rfa/__init__.py").write_text("")
    return tmp_path


def record_of(root, python):
    """The record of a run of SCRIPT under a Python that writes syntax trees in its own way."""
    files = {
        path: {
            "identity": hashlib.sha256(f"{python}{identity}".encode()).hexdigest(),
            "sha256": hashlib.sha256((root / path).read_bytes()).hexdigest(),
        }
        for path, identity in CodeIdentity(root).files(SCRIPT).items()
    }
    digest = combine((path, file["identity"]) for path, file in files.items())
    content = {"script": SCRIPT, "notebook": None, "code": {"digest": digest, "files": files}}
    return Record("results/c/records/count/c.json", content)


def test_the_same_bytes_are_the_same_code_whatever_python_recorded_them(root):
    assert _code_mismatch(record_of(root, "3.13"), CodeIdentity(root)) == []


def test_other_bytes_are_named(root):
    record = record_of(root, "3.13")
    (root / MODULE).write_text("n = 2\n")
    assert _code_mismatch(record, CodeIdentity(root)) == [f"other code here than ran: {MODULE}"]


def test_a_digest_that_does_not_fit_its_own_files_is_named(root):
    record = record_of(root, "3.13")
    record.content["code"]["digest"] = "0" * 64
    assert _code_mismatch(record, CodeIdentity(root)) == ["its digest of code is wrong"]


TABLES = "results/c/records/make_tables/c.json"


def job_with_outputs(root, record, *outputs):
    """Write a record that claims `outputs`, and these."""
    content = {"cohort": "c", "rule": record.split("/")[3], "wildcards": {}, "inputs": []}
    content["outputs"] = [{"path": path, "sha256": "0" * 64, "bytes": 1} for path in outputs]
    for path in (record, *outputs):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if Path(path).suffix:
            (root / path).write_text("x")
    return Record(record, content)


def planned(record, *outputs):
    return PlannedJob(record.split("/")[3], {}, [], list(outputs), record, {}, {}, None, True, [])


def test_what_a_dropped_job_made_goes_with_its_record_and_nothing_else(tmp_path):
    root = tmp_path / "root"
    figures = "results/c/records/draw_figures/c.json"
    old = "results/c/records/rule_of_once/c.json"
    outside = tmp_path / "mine.csv"
    dropped = job_with_outputs(
        root,
        TABLES,
        "data/raw/c/simulated.csv",  # the workflow makes it with this job
        "results/c/tables/a.csv",
        "results/c/tables/no_longer_made.csv",
        # what no honest record claims
        "README.md",
        "results/c/tables/../../../../mine.csv",
        "results/c/records/run_log.jsonl",
        "results/c/figures",
    )
    records = Records(
        [
            dropped,
            job_with_outputs(root, figures, "results/c/figures/f.svg"),
            job_with_outputs(root, old, "results/c/old/f.csv"),
        ]
    )
    outside.write_text("mine")
    unclaimed = root / "results/c/tables/my_own.csv"
    unclaimed.write_text("mine")
    plan = {
        TABLES: planned(TABLES, "data/raw/c/simulated.csv", "results/c/tables/a.csv"),
        figures: planned(figures, "results/c/figures/f.svg"),
    }
    assert _drop(root, records, plan, [records[figures]]) == (
        [TABLES],
        ["data/raw/c/simulated.csv", "results/c/tables/a.csv", "results/c/tables/no_longer_made.csv"],
    )
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert left == {
        "README.md",
        "results/c/tables/my_own.csv",
        "results/c/records/run_log.jsonl",
        figures,
        "results/c/figures/f.svg",
        old,  # no rule makes it any more: it would be lost
        "results/c/old/f.csv",
    }
    assert outside.read_text() == "mine"


def test_why_names_no_code_that_has_the_bytes_that_ran(root):
    (root / "config").mkdir()
    record = record_of(root, "3.13")
    reasons = _Reasons(Tree(root), [])
    assert list(reasons.code(planned(TABLES), record)) == []
    (root / MODULE).write_text("n = 2\n")
    (cause,) = _Reasons(Tree(root), []).code(planned(TABLES), record)
    assert cause.text == f"Code changed: {MODULE}, which count.py imports."
