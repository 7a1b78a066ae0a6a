"""The doctor asks the real cluster: what fits is good, what does not is told, a controller that hangs is told soon."""

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.checkout import copy_of_repository


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository with the example's partition, which is the cluster's."""
    made = copy_of_repository(tmp_path_factory.mktemp("doctor") / "repository", screened=150)
    folder = made.folder / "profiles" / "slurm"
    (folder / "site.yaml").write_bytes((folder / "site.example.yaml").read_bytes())
    return made


@contextmanager
def held(slurm):
    """Keep the controller from doing anything for a while: it takes calls and does not answer."""
    lines = (slurm.folder / "pids").read_text().splitlines()
    [pid] = [int(line.split()[1]) for line in lines if line.split()[0] == "slurmctld"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def ask(login_node, checkout, *arguments):
    """Ask about the stages up to ADaM; return the exit code and the answer."""
    command = [
        login_node.environment.bin / "sorafenib-rfa",
        "doctor",
        "data",
        "--profile",
        "slurm",
        "--json",
        *arguments,
    ]
    code, said = login_node.run(checkout.folder, *command, check=False)
    return code, json.loads(said)


def test_the_shipped_profile_fits(login_node, checkout):
    code, answer = ask(login_node, checkout)
    assert answer["findings"] == []
    assert (code, answer["good"]) == (0, True)
    assert answer["partition"] == "main"
    main = answer["cluster"]["partitions"]["main"]
    slurm = login_node.slurm
    assert main["cpus"] == len(slurm.nodes) * slurm.cpus
    assert (main["max_mem_mb"], main["max_cpus"]) == (slurm.memory_mb, slurm.cpus)
    assert answer["cluster"]["version"] in slurm.run("scontrol", "--version")
    assert answer["forecast"]["slots"] <= main["cpus"]


def test_what_slurm_would_refuse_is_told_before(login_node, checkout):
    asked = login_node.slurm.memory_mb + 1
    code, answer = ask(login_node, checkout, "--args", f"--set-resources build_adam:mem_mb={asked}")
    assert code == 1
    [finding] = [finding for finding in answer["findings"] if finding["kind"] == "stops"]
    assert f"{asked} MB of memory (mem_mb) at attempt 1" in finding["text"]
    refused = login_node.slurm.run("sbatch", "--test-only", f"--mem={asked}", "--wrap=true", check=False)
    assert "job" not in refused.lower() or "allocation failure" in refused.lower()


def test_a_controller_that_hangs_is_told_within_seconds(login_node, checkout):
    with held(login_node.slurm):
        began = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):  # as Slurm's own commands do
            login_node.slurm.run("scontrol", "show", "config", timeout=10)
        code, answer = ask(login_node, checkout, "--seconds", "3")
        hung = time.monotonic() - began
    assert code == 1
    assert "the Slurm controller does not answer" in answer["findings"][0]["text"]
    assert answer["forecast"]["jobs"] > 0  # all that needs no cluster is answered all the same
    assert hung < 90  # most of it Snakemake's plan, on a machine that does other things too
