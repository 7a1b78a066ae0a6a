"""The test cluster itself: it is real Slurm, its nodes have no internet, and it never outlives who started it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.checkout import ROOT


def test_both_nodes_run_jobs(slurm):
    nodes = slurm.run("srun", "--nodes=2", "--ntasks=2", "printenv", "SLURMD_NODENAME").split()
    assert sorted(nodes) == ["n1", "n2"]


def test_what_a_job_downloads_ends_at_a_dead_port(slurm):
    fetch = "import urllib.request as r; r.urlopen('http://192.0.2.1/', timeout=20)"
    done = subprocess.run(
        ["srun", sys.executable, "-c", fetch], env=slurm.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "Connection refused" in done.stderr, done.stderr


def test_more_memory_than_asked_for_is_not_given(slurm):
    hog = "import time; b = bytearray(300_000_000); time.sleep(15)"
    done = subprocess.run(
        ["srun", "--mem=100", sys.executable, "-c", hog],
        env=slurm.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "exceeded memory limit" in done.stderr, done.stderr


def test_a_request_that_no_node_can_meet_is_refused_at_once(slurm):
    done = subprocess.run(
        ["sbatch", "--mem=1000G", "--wrap=true"], env=slurm.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "Memory specification can not be satisfied" in done.stderr, done.stderr


OWNER = """
import subprocess, sys, time
from pathlib import Path
from tests.cluster.slurm import Slurm
cluster = Slurm(Path(sys.argv[1]), nodes=1)
guard = cluster.guard()
cluster.up()
user = subprocess.Popen(["sleep", "600"], env=cluster.environment, start_new_session=True)
print(user.pid, flush=True)
time.sleep(600)
"""


def daemons(folder):
    """Return the ids of living processes of the cluster in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and any(name in command for name in ("slurmctld", "slurmd", "munged")):
            found.append(int(process.name))
    return found


def lives(pid):
    """Return whether a process does something yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_taken_down_when_the_test_run_is_killed(slurm):
    folder = slurm.folder.with_name(f"{slurm.folder.name}-owned")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    user = int(owner.stdout.readline())
    assert len(daemons(folder)) >= 3
    owner.kill()
    owner.wait()
    ends = time.monotonic() + 20
    while (folder.exists() or daemons(folder) or lives(user)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not daemons(folder)
    assert not lives(user)
    assert not folder.exists()
