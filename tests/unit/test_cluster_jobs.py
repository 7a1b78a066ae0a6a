"""What a job and a run make of a cluster's ways: reasons, full disks, late files, silence, work left behind."""

import asyncio
import errno
import json
import os
import platform
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from sorafenib_rfa.cluster import earlier_run, slurm_reasons, slurm_silence
from sorafenib_rfa.cluster.slurm_silence import keep_jobs_without_answer
from sorafenib_rfa.errors import SealError, UserError
from sorafenib_rfa.records import job as job_module
from sorafenib_rfa.records import run_log
from sorafenib_rfa.records.job import sealed_inputs, seconds_of_patience
from sorafenib_rfa.records.room import no_room
from sorafenib_rfa.records.whole import is_partial, write_whole

# --- why Slurm ended a job: lines as Slurm 22.05, and newer ones with cgroups, write them -----------------------------


@pytest.mark.parametrize(
    ("status", "line", "kind"),
    [
        (
            "FAILED",
            "slurmstepd-n2: error: StepId=5.0 exceeded memory limit (612958208 > 471859200), being killed",
            "memory",
        ),
        ("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=77.batch.", "memory"),
        ("OUT_OF_MEMORY", "", "memory"),
        (
            "CANCELLED",
            "slurmstepd: error: *** JOB 3 ON n2 CANCELLED AT 2026-11-22T04:17:07 DUE TO TIME LIMIT ***",
            "time",
        ),
        ("TIMEOUT", "", "time"),
        ("NODE_FAIL", "", "node"),
        ("CANCELLED", "slurmstepd: error: *** JOB 4 ON n2 CANCELLED AT 2026-11-22T04:16:02 ***", "cancelled"),
        ("CANCELLED", "", "cancelled"),
        ("FAILED", "OSError: [Errno 28] No space left on device", "disk"),
        ("FAILED", "cp: error writing 'x': Disk quota exceeded", "disk"),
        ("FAILED", "command exited with non-zero exit code", "failed"),
    ],
)
def test_the_end_of_a_job_has_a_reason(status, line, kind):
    assert slurm_reasons.kind_of_end(status, line) == kind


@pytest.fixture
def no_controller(monkeypatch):
    """Slurm's commands are not there: the controller forgot the job, or this is another machine."""
    monkeypatch.setenv("PATH", "")


def test_a_single_job_and_a_group_are_both_reported_with_their_logs(tmp_path, no_controller):
    single = tmp_path / "slurm_logs/rule_make/synthetic/7.log"
    group = tmp_path / "slurm_logs/group_ingest_ingest_site/8.log"
    for log, text in [
        (single, "StepId=7.0 exceeded memory limit (2 > 1), being killed\n"),
        (
            group,
            "Error in rule ingest_site:\n"
            "    log: logs/synthetic/ingest_site/cn01.log (check log file(s) for error details)\n",
        ),
    ]:
        log.parent.mkdir(parents=True)
        log.write_text(text)
    run = tmp_path / "run.log"
    run.write_text(
        f"Job 3 has been submitted with SLURM jobid 7 (log: {single}).\n"
        f"Job e55b has been submitted with SLURM jobid 8 (log: {group}).\n"
        "Job 5 has been submitted with SLURM jobid 9 (log: /nowhere/9.log).\n"
        "    message: SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable\n"
        f"    message: Error in group ingest\n    log: {group} (check log file(s) for error details)\n"
    )
    said = slurm_reasons.report(run)
    assert "make synthetic, Slurm job 7, FAILED: killed because it took more memory" in said
    assert "group ingest_ingest_site, Slurm job 8, FAILED: the job itself failed" in said
    assert said.count("log: ") == 3
    assert "logs/synthetic/ingest_site/cn01.log" in said
    assert "job 9" not in said


def test_a_run_that_went_well_or_was_local_has_no_report(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("Job 3 has been submitted with SLURM jobid 7 (log: /x/7.log).\nFinished jobid: 3\n")
    assert slurm_reasons.report(log) == ""
    assert slurm_reasons.report(tmp_path / "none.log") == ""


def test_a_refused_submission_is_reported_once(tmp_path):
    log = tmp_path / "run.log"
    reason = "sbatch: error: Memory specification can not be satisfied"
    log.write_text(f"message: SLURM sbatch failed. The error message was '{reason}'.\n" * 3)
    assert slurm_reasons.report(log).count("Memory specification can not be satisfied") == 1


# --- a full disk ------------------------------------------------------------------------------------------------------


def raised(error, cause=None):
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the quota is used up"),
        (raised(ValueError("cannot save"), OSError(errno.ENOSPC, "full")), "the disk is full"),
        (
            RuntimeError("IOError: Error writing bytes to file. Detail: [errno 28] No space left on device"),
            "the disk is full",
        ),
    ],
)
def test_no_room_is_seen_in_whatever_it_comes_as(tmp_path, error, said):
    problem = no_room(error, [tmp_path])
    assert said in str(problem)
    assert f"{tmp_path}:" in str(problem)
    assert "MB free" in str(problem)


def test_other_errors_are_none_of_its_business(tmp_path):
    assert no_room(OSError(errno.EACCES, "Permission denied"), [tmp_path]) is None
    assert no_room(ValueError("28 patients on a device"), [tmp_path]) is None


def test_the_folder_of_the_file_that_could_not_be_written_is_named(tmp_path):
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "deep/table.csv"))
    assert f"{tmp_path / 'deep'}:" in str(no_room(error, ["/elsewhere"]))


def test_a_file_that_finds_no_room_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_whole(tmp_path / "record.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_half_written_is_known_by_its_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "replace", lambda partial, path: seen.append(os.path.basename(partial)))
    write_whole(tmp_path / "ab12.json", b"{}")
    assert is_partial(tmp_path / seen[0])
    assert not is_partial(tmp_path / "ab12.json")
    assert not is_partial(tmp_path / ".gitignore")


def test_a_line_that_finds_no_room_is_taken_back_and_the_chain_holds(tmp_path, monkeypatch):
    log = tmp_path / "run_log.jsonl"
    run_log.append(log, event="started", rule="a")
    whole = log.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            run_log.append(log, event="finished", rule="a")
    assert log.read_bytes() == whole
    run_log.append(log, event="finished", rule="a")
    assert [entry.fault for entry in run_log.read_log(log)] == [None, None]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, code):
    def refused(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_log.fcntl, "lockf", refused)
    with pytest.raises(UserError, match="no file locks"):
        run_log.append(tmp_path / "run_log.jsonl", event="started")


# --- files that other machines see late -------------------------------------------------------------------------------


def test_only_a_job_on_another_machine_waits_for_records(monkeypatch):
    monkeypatch.delenv(job_module.SUBMIT_HOST, raising=False)
    assert seconds_of_patience() == 0
    monkeypatch.setenv(job_module.SUBMIT_HOST, platform.node())
    assert seconds_of_patience() == 0
    monkeypatch.setenv(job_module.SUBMIT_HOST, "login.example.org")
    assert seconds_of_patience() == job_module.LATE_SECONDS


@pytest.fixture
def late(tmp_path, monkeypatch):
    """A tree with an input whose maker's record is not seen yet, and a way to let it appear."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results/s/clean/table.csv"
    path.parent.mkdir(parents=True)
    path.write_text("a\n1\n")
    (described,) = job_module.describe_files(["results/s/clean/table.csv"])
    record = {
        "format": 2,
        "rule": "clean_cohort",
        "wildcards": {},
        "cohort": "s",
        "status": "finished",
        "script": "x",
        "notebook": None,
        "inputs": [],
        "outputs": [described],
        "names": {"input": {}, "output": {}},
        "params": {},
        "seed": 1,
        "code": {"digest": "", "files": {}},
        "environment": {"python": "", "distributions": {}},
        "seal": "0" * 64,
    }

    def appear():
        write_whole(tmp_path / "results/s/records/clean_cohort/s.json", json.dumps(record).encode())

    return tmp_path, appear


def test_a_record_seen_late_is_waited_for(late):
    root, appear = late
    timer = threading.Timer(0.5, appear)
    timer.start()
    (entry,) = sealed_inputs(root, ["results/s/clean/table.csv"], patience_seconds=20)
    assert entry["made_by"]["record"] == "results/s/records/clean_cohort/s.json"
    timer.join()


def test_patience_ends_and_here_there_is_none(late):
    root, _ = late
    for patience in (0, 1.2):
        with pytest.raises(SealError, match="no job says that it made this file"):
            sealed_inputs(root, ["results/s/clean/table.csv"], patience_seconds=patience)


# --- a silent controller ----------------------------------------------------------------------------------------------


def test_no_answer_is_one_that_names_no_job(monkeypatch):
    monkeypatch.setattr(slurm_silence, "version", lambda name: slurm_silence.MENDED)
    answers = [(None, None), ({"7": "RUNNING"}, 0.2)]

    async def query_job_status(command, logger):
        return answers.pop(0)

    plugin = types.SimpleNamespace(query_job_status=query_job_status)
    keep_jobs_without_answer(plugin)
    mended = plugin.query_job_status
    keep_jobs_without_answer(plugin)
    assert plugin.query_job_status is mended

    def ask():
        return asyncio.run(plugin.query_job_status("squeue", None))

    # in a thread of its own: a browser that another test drives may have left a running loop in this one
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(ask).result() == ({}, 0.0)
        assert thread.submit(ask).result() == ({"7": "RUNNING"}, 0.2)


def test_another_release_of_the_plugin_is_left_as_it_is(monkeypatch, capsys):
    monkeypatch.setattr(slurm_silence, "version", lambda name: "3.0.0")

    async def query_job_status(command, logger):
        return None, None

    plugin = types.SimpleNamespace(query_job_status=query_job_status)
    keep_jobs_without_answer(plugin)
    assert plugin.query_job_status is query_job_status
    assert "3.0.0" in capsys.readouterr().err


# --- an earlier run ---------------------------------------------------------------------------------------------------


def squeue(folder, text, code=0):
    """Put a stand-in for squeue into a folder, which says this."""
    folder.mkdir(exist_ok=True)
    (folder / "squeue").write_text(f"#!/bin/sh\ncat <<'E'\n{text}\nE\nexit {code}\n")
    (folder / "squeue").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def left(tmp_path):
    """A folder in which a run with Slurm ended without having seen the end of its jobs."""
    (tmp_path / earlier_run.LOGS[0]).mkdir(parents=True)
    (tmp_path / earlier_run.MARKERS).mkdir(parents=True)
    (tmp_path / earlier_run.MARKERS / "b3V0").write_text("{}")
    return tmp_path


def test_only_jobs_of_this_folder_that_have_not_ended_are_at_work(left, monkeypatch):
    lines = [
        f"1|RUNNING|{left}|rule_a_wildcards_x",
        f"2|SUSPENDED|{left}|rule_b",
        f"3|COMPLETED|{left}|rule_c",
        f"4|RUNNING|{left}|something else",
        "5|RUNNING|/elsewhere|rule_a",
        f"6|PENDING|{left}|rule_d",
    ]
    monkeypatch.setenv("PATH", squeue(left / "bin", "\n".join(lines)))
    assert [job.slurm_id for job in earlier_run.left_at_work(left)] == ["1", "2", "6"]
    with pytest.raises(earlier_run.StillAtWorkError, match="scancel 1 2 6"):
        earlier_run.refuse_while_at_work(left)


def test_slurm_that_does_not_answer_is_no_leave_to_start(left, monkeypatch):
    monkeypatch.setenv("PATH", squeue(left / "bin", "", code=1))
    with pytest.raises(earlier_run.StillAtWorkError, match="does not answer"):
        earlier_run.left_at_work(left)


def test_without_squeue_it_is_said_that_nobody_could_be_asked(left, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert earlier_run.left_at_work(left) == []
    assert "no squeue on this machine" in capsys.readouterr().err


def test_nobody_is_asked_where_no_run_with_slurm_was_cut_short(left, monkeypatch):
    monkeypatch.setenv("PATH", squeue(left / "bin", "", code=1))
    (left / earlier_run.MARKERS / "b3V0").unlink()
    assert earlier_run.left_at_work(left) == []


def test_waiting_ends_with_the_last_job(left, monkeypatch, capsys):
    monkeypatch.setenv("PATH", squeue(left / "bin", f"1|RUNNING|{left}|rule_a"))
    timer = threading.Timer(0.4, lambda: squeue(left / "bin", f"1|COMPLETED|{left}|rule_a"))
    timer.start()
    earlier_run.wait(left, every_seconds=0.1)
    timer.join()
    assert "Slurm job 1, running: a" in capsys.readouterr().err
