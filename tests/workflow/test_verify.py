"""sorafenib-rfa verify on a finished tiny paper, as a stranger calls it."""

import contextlib
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sorafenib_rfa.records import run_log
from sorafenib_rfa.records.digests import sha256_of
from sorafenib_rfa.records.record import load_records, seal_of
from sorafenib_rfa.records.seals import check_seals
from tests.checkout import COMMAND

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

EXPORTS = ("build_audit_site", "pack_bag", "write_crate", "write_paperwork")
CLAIM = "flow.patients.analysed"
PART = "results/synthetic/ard/parts/flow.parquet"
FLOW = "results/synthetic/records/estimate_flow/synthetic.json"


@pytest.fixture
def put_back(tiny):
    """Remember files for the length of a test; everything else of the tree is held against itself afterwards."""
    kept = {}

    def remember(*names):
        for name in names:
            kept[name] = (tiny.folder / name).read_bytes()

    yield remember
    for name, content in kept.items():
        (tiny.folder / name).write_bytes(content)


def state(folder):
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file()
    }


def verify(checkout, *arguments):
    """Return exit code, verdict, and what was said on standard error."""
    code, said = checkout.run(COMMAND, "verify", "--json", *arguments, check=False)
    start = said.index("{")
    verdict, end = json.JSONDecoder().raw_decode(said[start:])
    return code, verdict, said[:start] + said[start + end :]


def forge(folder, name, change):
    """Change a result as a forger would who knows the format: the record is sealed anew and a run of it is logged."""
    path = folder / name
    frame = pd.read_parquet(path)
    change(frame)
    frame.to_parquet(path, index=False, compression="zstd")
    record_path = load_records(folder).maker(name).path
    content = json.loads((folder / record_path).read_text())
    entry = next(each for each in content["outputs"] if each["path"] == name)
    entry["sha256"], entry["bytes"] = sha256_of(path), path.stat().st_size
    content["seal"] = seal_of(content)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / record_path).write_text(text)
    log = run_log.run_log_path(folder, "synthetic")
    events = [entry.content for entry in run_log.read_log(log) if entry.content.get("record") == record_path]
    again = events[-1] | {"seal": content["seal"], "record_sha256": hashlib.sha256(text.encode()).hexdigest()}
    run_log.append(log, **{k: v for k, v in again.items() if k not in ("seq", "previous", "digest")})


ANOTHER_USER = {
    "USER": "someone_else",
    "LOGNAME": "someone_else",
    "LNAME": "someone_else",
    "TZ": "Asia/Kathmandu",
    "LANG": "de_DE.UTF-8",
    "PYTHONHASHSEED": "7",
}
AUDIT = ("audit", "crate", "bag")
"""Folders that tell of the run itself; the paper does not rest on them and verify does not make them again."""
RUN_TOLD = ("certificate.md", "README_AEA.md", "codecheck.yml")


def made(folder):
    """Return path -> bytes of all results but records and what tells of the run itself."""
    results = folder / "results"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and path.relative_to(results).parts[1] not in ("records", *AUDIT)
        and path.name not in (*RUN_TOLD, ".snakemake_timestamp")
    }


def test_another_user_makes_the_same_bytes_and_seals_in_another_folder(tiny, tmp_path):
    before = state(tiny.folder)
    # a user namespace gives this process another user id; where that is not allowed, another name must do
    as_other = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    if subprocess.run([*as_other, "true"], capture_output=True, check=False).returncode:
        as_other = []
    code, said = tiny.run(
        *as_other,
        COMMAND,
        "verify",
        "--json",
        "--keep",
        check=False,
        environment={**ANOTHER_USER, "HOME": str(tmp_path)},
    )
    verdict, _ = json.JSONDecoder().raw_decode(said, said.index("{"))
    again = Path(verdict["scratch"])
    try:
        records = load_records(tiny.folder)
        of_paper = [record for record in records.values() if record.rule not in EXPORTS]
        assert verdict["not_identical"] == []
        assert (code, verdict["classification"]) == (0, "full reproduction")
        assert verdict["rerun"]["jobs"] == verdict["rerun"]["seals_equal"] == verdict["cost"]["jobs"] == len(of_paper)
        assert verdict["outputs"]["compared"] == verdict["outputs"]["identical"] > 300
        assert verdict["seals"] == {"records": len(records), "broken": [], "moved_on": []}
        assert f"to be run: {len(of_paper)} jobs" in said
        assert state(tiny.folder) == before
        report = (tiny.folder / "logs/verification/report.md").read_text()
        assert "- [x] full reproduction\n" in report
        assert json.loads((tiny.folder / "logs/verification/report.json").read_text())["exit_code"] == 0
        # and what verify says is seen without it
        first, second = made(tiny.folder), made(again)
        assert set(first) == set(second)
        assert [name for name in first if first[name] != second[name]] == []
        repeated = load_records(again)
        assert {record.path for record in of_paper} == set(repeated)
        for record in of_paper:
            other = repeated[record.path]
            assert record.run["user"] != other.run["user"] and record.run["id"] != other.run["id"]
            assert {k: v for k, v in record.content.items() if k != "run"} == {
                k: v for k, v in other.content.items() if k != "run"
            }
    finally:
        shutil.rmtree(again)


def test_a_forged_number_whose_seals_all_fit_is_found_by_making_it_again(tiny, put_back):
    put_back(PART, FLOW, "results/synthetic/records/run_log.jsonl")
    true = pd.read_parquet(tiny.folder / PART).set_index("ard_id").loc[CLAIM, "value"]

    def change(frame):
        frame.loc[frame["ard_id"] == CLAIM, "value"] = true + 100

    forge(tiny.folder, PART, change)
    assert not [breach for breach in check_seals(tiny.folder) if breach.broken]
    before = state(tiny.folder)
    code, verdict, said = verify(tiny, "--claim", CLAIM)
    assert (code, verdict["classification"]) == (1, "partial reproduction")
    (found,) = verdict["not_identical"]
    assert (found["path"], found["level"]) == (PART, "different")
    assert found["differences"] == [
        {"row": f"ard_id={CLAIM}", "column": "value", "recorded": str(true + 100), "rerun": str(true)}
    ]
    assert verdict["reasons"][0]["reason"] == "Discrepancy in output"
    assert "to be run: 9 jobs" in said  # the exports, six centres, cleaning, the counts
    assert verdict["cost"]["public"] is True
    assert state(tiny.folder) == before


def test_a_job_that_fails_gives_a_verdict_and_no_traceback(tiny, put_back):
    script = "workflow/scripts/estimate_flow.py"
    put_back(script)
    (tiny.folder / script).write_text("raise ValueError('the code was broken')\n")
    code, said = tiny.run(COMMAND, "verify", "--claim", CLAIM, check=False)
    assert code == 1
    assert "Traceback" not in said
    # five of six outputs are made as before; what the number rests on is not
    assert "Verdict: partial reproduction" in said
    assert "Code not functional: " in said
    assert "the code was broken" in said
    assert "estimate_flow" in said


def test_seals_alone_take_a_moment_and_name_the_file(tiny, put_back):
    name = "results/synthetic/tables/baseline.md"
    put_back(name)
    code, verdict, _ = verify(tiny, "--no-rerun")
    assert (code, verdict["classification"], verdict["seals"]["broken"]) == (0, None, [])
    (tiny.folder / name).write_text((tiny.folder / name).read_text().replace("1", "2", 1))
    code, verdict, _ = verify(tiny, "--no-rerun")
    assert code == 1
    assert [breach["path"] for breach in verdict["seals"]["broken"]] == [name]
    assert verdict["rerun"] is None


def test_a_paper_whose_record_was_deleted_does_not_pass(tiny, put_back):
    record = "results/synthetic/records/render_manuscript/synthetic.json"
    paper = next(
        entry["path"]
        for entry in json.loads((tiny.folder / record).read_text())["outputs"]
        if entry["path"].endswith("/paper.html")
    )
    put_back(record, paper)
    (tiny.folder / record).unlink()
    (tiny.folder / paper).write_text((tiny.folder / paper).read_text().replace("0.", "9.", 1))
    code, verdict, _ = verify(tiny, "--no-rerun")
    assert code == 1
    assert record in {each["path"] for each in verdict["seals"]["broken"] if each["kind"] == "record_missing"}
    assert paper in {each["path"] for each in verdict["seals"]["moved_on"] if each["kind"] == "unclaimed"}
    code, said = tiny.run(COMMAND, "status", "--no-plan", check=False)
    assert code == 1
    shown = [line.strip().rstrip(",") for line in said.partition("Paper ")[0].splitlines()]
    assert shown[0].startswith("Seals     BROKEN")
    assert {record, paper} <= set(shown)
    assert "delete the files named with it and they are made again" in " ".join(shown)


@pytest.mark.parametrize(
    "arguments", [("--claim", "no.such.number"), ("--claim", "meta:seed"), ("--no-rerun", "--keep")]
)
def test_misuse_ends_with_code_2_and_says_what_to_do(tiny, arguments):
    code, said = tiny.run(COMMAND, "verify", *arguments, check=False)
    assert code == 2
    assert "Traceback" not in said
    assert len(said.splitlines()) < 20


def test_raw_data_that_are_not_here_make_it_partial_and_are_named(tiny, put_back):
    name = "data/public/hcc_resection/hcc_resection.csv"
    put_back(name)
    (tiny.folder / name).unlink()
    table = "results/hcc_resection/tables/baseline.csv"
    code, verdict, _ = verify(tiny, "--claim", table)
    with contextlib.suppress(FileNotFoundError):
        (tiny.folder / "logs/verification/report.md").unlink()
    assert code == 1
    assert verdict["classification"] == "not able to reproduce most or all of the results"
    assert [(r["reason"], name in r["explanation"]) for r in verdict["reasons"]] == [("Data missing", True)]
    assert {each["path"] for each in verdict["not_made_again"]} >= {table}
