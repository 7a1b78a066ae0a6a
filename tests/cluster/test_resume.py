"""The submit host is lost while jobs run: nothing is lost, nothing is done twice, and nobody writes over anybody."""

import json
import os
import signal
from collections import Counter

import pytest

from tests.checkout import ROOT, copy_of_repository
from tests.cluster.test_failures import until

CENTRES = {path.stem for path in (ROOT / "config/cohorts/synthetic/sites").glob("*.yaml")}


def runs(checkout):
    """Return how often each job started and finished, by the run log: (event, rule, site) -> times."""
    lines = (checkout.folder / "results/synthetic/records/run_log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return Counter((entry["event"], entry["rule"], entry["wildcards"].get("site")) for entry in entries)


def kill_submit_host(process):
    """End Snakemake and all it started on the submit host, with no chance to do anything about its jobs."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_repository(tmp_path_factory.mktemp("resume") / "repository", screened=150)


def test_a_killed_run_is_taken_up_without_lost_or_doubled_work(slurm, login_node, checkout):
    folder = checkout.folder
    command = login_node.snakemake("data", profiles=folder / "profiles")
    python = login_node.environment.python

    # killed while its first job is at work, which is held so that it outlives its run for sure
    process = login_node.start(folder, *command)
    job = until(lambda: next((j["id"] for j in slurm.jobs("running") if "simulate_raw" in j["comment"]), None))
    until((folder / "logs/synthetic/simulate_raw.log").exists)
    slurm.run("scontrol", "suspend", job)
    kill_submit_host(process)

    code, said = login_node.run(folder, *command, check=False)
    assert code != 0
    assert "Directory cannot be locked" in said  # Snakemake's own: it cannot know that the other one is gone
    login_node.run(folder, *command, "--unlock")

    # Snakemake by itself does not start the job a second time beside the first
    code, said = login_node.run(folder, *command, check=False)
    assert code == 1
    assert f"Slurm job {job}, suspended: simulate_raw" in said
    assert f"scancel {job}" in said
    assert runs(checkout)["started", "simulate_raw", None] == 1

    # what `make` does first: wait for it; what it finishes counts
    waiting = login_node.start(folder, python, "-m", "sorafenib_rfa.cluster.earlier_run")
    until(lambda: "Waiting for an earlier run" in (folder / "said.txt").read_text())
    slurm.run("scontrol", "resume", job)
    code, said = login_node.end(waiting, folder)
    assert code == 0, said
    assert runs(checkout)["finished", "simulate_raw", None] == 1

    # killed again, and this time the job at work is lost with its run
    process = login_node.start(folder, *command)
    done = folder / "results/synthetic/records/ingest_site"
    until(lambda: done.is_dir() and len(list(done.glob("*.json"))) >= 2)
    kill_submit_host(process)
    slurm.run("scancel", *(j["id"] for j in slurm.jobs("running,pending")))
    # one after the other: those before the last were noted by the Snakemake inside the job as well
    before = [site for event, rule, site in runs(checkout) if (event, rule) == ("finished", "ingest_site")][:-1]
    login_node.run(folder, *command, "--unlock")
    login_node.run(folder, python, "-m", "sorafenib_rfa.cluster.earlier_run")
    login_node.run(folder, *command)

    counts = runs(checkout)
    for rule, site in [("simulate_raw", None), *(("ingest_site", site) for site in before)]:
        assert counts["started", rule, site] == counts["finished", rule, site] == 1, (rule, site)
    assert {site for event, rule, site in counts if (event, rule) == ("finished", "ingest_site")} == CENTRES
    for rule in ("clean_cohort", "build_adam"):
        assert counts["started", rule, None] == counts["finished", rule, None] == 1, rule
    _, said = login_node.run(folder, login_node.environment.bin / "sorafenib-rfa", "status", check=False)
    assert "broken" not in said.lower(), said
    assert checkout.planned("data") == []
