"""A disk that fills up under a job: said in so many words, and nothing half-written is taken for a result."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from tests.checkout import ROOT, copy_of_repository

RAW = "data/raw/colon_adjuvant/colon.csv"
RECORDS = "results/colon_adjuvant/records"


@contextlib.contextmanager
def small_disk(folder, kilobytes):
    """Put a file system of this size at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={kilobytes}k"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here (root may): {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_repository(tmp_path_factory.mktemp("full") / "repository", screened=150)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_is_reported_as_such_and_the_job_runs_again_with_room(slurm, login_node, checkout):
    folder = checkout.folder
    command = login_node.snakemake(RAW, "--config", "cohort=colon_adjuvant", profiles=ROOT / "profiles")

    disk = folder / RAW.rpartition("/")[0]
    with small_disk(disk, kilobytes=16):
        (disk / "neighbour.txt").write_text(
            "Snakemake removes a folder that it leaves empty, and a disk cannot be removed"
        )
        code, said = login_node.run(folder, *command, "--retries", "0", check=False)
        assert code == 1
        assert not (folder / RAW).exists()  # half of it was there
    report = said.partition("What Slurm says of jobs that did not end well")[2]
    assert "a disk was full or over quota" in report, said
    log = (folder / "logs/colon_adjuvant/fetch_colon_adjuvant.log").read_text(encoding="utf-8")
    assert "There is no room to write" in log
    assert f"{RAW.rpartition('/')[0]}: the disk is full (errno 28" in log
    assert "Traceback" not in log
    (failed,) = (folder / RECORDS / "failed").glob("*/*.json")
    assert json.loads(failed.read_text())["error"]["type"] == "NoRoomError"

    # the records' own disk: the log of runs keeps whole lines only
    records = folder / RECORDS
    lines = (records / "run_log.jsonl").read_bytes()
    shutil.copytree(records, folder.parent / "kept")
    with small_disk(records, kilobytes=4096):
        shutil.copytree(folder.parent / "kept", records, dirs_exist_ok=True)
        with contextlib.suppress(OSError), (records / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(b"0" * 4096):
                pass
        code, said = login_node.run(folder, *command, "--retries", "0", check=False)
        assert code == 1
        assert "a disk was full or over quota" in said
        assert (records / "run_log.jsonl").read_bytes().startswith(lines)
        assert (records / "run_log.jsonl").read_bytes().endswith(b"\n")
        assert not list(records.glob("*/*.json"))

    login_node.run(folder, *command)
    assert (folder / RAW).stat().st_size > 16 * 1024
    _, said = login_node.run(folder, login_node.environment.bin / "sorafenib-rfa", "status", check=False)
    assert "broken" not in said.lower(), said
