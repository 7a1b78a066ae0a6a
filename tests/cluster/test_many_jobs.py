"""How many calls of sbatch many short jobs become under the shipped profile."""

import signal

import pytest
import yaml

from tests.cluster.test_failures import until

# a rule that the profile groups, named as the real one: the centres of a cohort
SNAKEFILE = """
rule all:
    input: expand("out/{{centre}}.txt", centre=range({centres}))

rule ingest_site:
    output: "out/{{centre}}.txt"
    resources: mem_mb=lambda wildcards, attempt: 400 * attempt, runtime=lambda wildcards, attempt: 2 * attempt
    shell: "echo {{wildcards.centre}} > {{output}}"
"""


@pytest.fixture
def at_once(profiles):
    """How many jobs of the rule the shipped profile puts into one Slurm job."""
    profile = yaml.safe_load((profiles / "slurm/config.yaml").read_text(encoding="utf-8"))
    return profile["group-components"][profile["groups"]["ingest_site"]]


@pytest.fixture
def busy(slurm):
    """A cluster that accepts jobs and has no room to start any."""
    slurm.run("scontrol", "update", f"nodename={','.join(slurm.nodes)}", "state=drain", "reason=test")
    yield
    slurm.run("scontrol", "update", f"nodename={','.join(slurm.nodes)}", "state=resume")


def test_five_hundred_short_jobs_are_fifty_submissions(slurm, login_node, profiles, tmp_path, at_once, busy):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(centres=500), encoding="utf-8")
    before = slurm.submissions()
    process = login_node.start(tmp_path, *login_node.snakemake(profiles=profiles))
    try:
        until(lambda: len(slurm.jobs("pending")) >= 500 / at_once)
    finally:
        process.send_signal(signal.SIGINT)
        _, said = login_node.end(process, tmp_path)
    assert "ingest_site      500" in said
    assert slurm.submissions() - before == 500 / at_once <= 50
    assert slurm.jobs("pending") == []  # an interrupted run takes its jobs back


def test_jobs_of_a_group_are_all_done_in_the_memory_of_one_and_the_time_of_all(
    slurm, login_node, profiles, tmp_path, at_once
):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(centres=2 * at_once), encoding="utf-8")
    known = {job["id"] for job in slurm.jobs()}
    login_node.run(tmp_path, *login_node.snakemake("--quiet", profiles=profiles))
    jobs = [job for job in slurm.jobs() if job["id"] not in known]
    assert [(job["state"], job["memory"]) for job in jobs] == [("COMPLETED", "400M")] * 2
    assert {job["minutes"] for job in jobs} == {f"{2 * at_once}:00"}
    for centre in range(2 * at_once):
        assert (tmp_path / f"out/{centre}.txt").read_text() == f"{centre}\n"
