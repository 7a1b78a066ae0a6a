"""What fails leaves a record and lines in the run log, breaks no seal, and stays history once the job has succeeded."""

import json

import pytest

from sorafenib_rfa.records.run_log import read_log, run_log_path
from sorafenib_rfa.records.seals import check_seals

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TARGET = "results/hcc_resection/ard/ard.parquet"


@pytest.fixture
def spoilt(tiny):
    """Let the script that collects the ARD end as told; put it back afterwards."""
    script = tiny.folder / "workflow/scripts/collect_ard.py"
    content = script.read_bytes()

    def spoil(line):
        script.write_bytes(content + f"    {line}\n".encode())
        code, said = tiny.snakemake(TARGET, check=False)
        assert code != 0
        return said

    yield spoil
    script.write_bytes(content)


def events(tiny):
    entries = read_log(run_log_path(tiny.folder, "hcc_resection"))
    assert [entry.fault for entry in entries if entry.fault] == []
    return [entry.content for entry in entries if entry.content["rule"] == "collect_ard"]


def test_a_failed_job_is_recorded_with_its_error_and_its_code(tiny, spoilt):
    said = spoilt('raise ValueError("what went wrong")')
    assert "please report it with logs/hcc_resection" in said
    (path,) = (tiny.folder / "results/hcc_resection/records/failed/collect_ard").glob("*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["status"] == "failed" and record["outputs"] == []
    assert record["error"]["message"] == "what went wrong"
    assert "collect_ard.py" in record["error"]["traceback"]
    ran = record["code"]["files"]["workflow/scripts/collect_ard.py"]["sha256"]
    kept = tiny.folder / "results/hcc_resection/records/code" / ran
    assert b"what went wrong" in kept.read_bytes()
    last = events(tiny)[-1]
    assert (last["event"], last["error"]) == ("failed", "ValueError")  # its message may speak of a patient
    assert tiny.folder / last["record"] == path
    assert [breach.path for breach in check_seals(tiny.folder) if breach.broken] == []
    path.write_bytes(path.read_bytes().replace(b"went wrong", b"went right", 1))
    assert [b.kind for b in check_seals(tiny.folder) if b.broken] == ["record_changed"]
    path.write_bytes(path.read_bytes().replace(b"went right", b"went wrong", 1))


def test_a_killed_job_has_begun_and_never_ended(tiny, spoilt):
    spoilt("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert events(tiny)[-1]["event"] == "started"
    assert [breach.path for breach in check_seals(tiny.folder) if breach.broken] == []


def test_once_it_succeeds_the_failures_stay_in_the_log(tiny):
    tiny.snakemake(TARGET)
    said = [event["event"] for event in events(tiny)]
    assert said[-2:] == ["started", "finished"]
    assert said.count("started") == 4 and said.count("failed") == 1
