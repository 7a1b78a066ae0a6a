"""What becomes of jobs that do not end well: small jobs, the shipped profile, real Slurm."""

import re
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import ROOT

SNAKEFILE = """
import sys
from pathlib import Path
sys.path.insert(0, "{root}/src")
from sorafenib_rfa.errors import UserError
ROOT = Path.cwd()
include: "{root}/workflow/rules/cluster.smk"

def grows(least):
    return lambda wildcards, attempt: least * attempt

def first_on(node):
    return lambda wildcards, attempt: f"--nodelist={{node}}" if attempt == 1 else ""

rule all:
    input:
        expand("out/{{name}}.txt", name=["memory", "time", "cancelled", "node", "hopeless", "wrong", "fine"]),
        "out/after_time.txt",

# the first attempt cannot end well, a further one has what it takes
rule memory:
    output: "out/memory.txt"
    log: "logs/memory.log"
    resources: mem_mb=grows(350), runtime=grows(5), slurm_extra=first_on("n1")
    shell: "{python} -c 'import time; b = bytearray(450_000_000); time.sleep(4)' 2> {{log}}; touch {{output}}"

rule time:
    output: "out/time.txt"
    log: "logs/time.log"
    resources: mem_mb=grows(400), runtime=grows(1), slurm_extra=first_on("n1")
    shell: "echo working > {{log}}; sleep $(( {{resources.runtime}} < 2 ? 300 : 1 )); touch {{output}}"

rule cancelled:
    output: "out/cancelled.txt"
    log: "logs/cancelled.log"
    resources: mem_mb=grows(400), runtime=grows(5), slurm_extra=first_on("n1")
    shell: "touch {{log}}; sleep $(( {{resources.runtime}} < 6 ? 300 : 1 )); touch {{output}}"

rule node:
    output: "out/node.txt"
    log: "logs/node.log"
    resources: mem_mb=grows(400), runtime=grows(5), slurm_extra=first_on("n2")
    shell: "touch {{log}}; sleep $(( {{resources.runtime}} < 6 ? 300 : 1 )); touch {{output}}"

# never ends well
rule hopeless:
    output: "out/hopeless.txt"
    log: "logs/hopeless.log"
    resources: mem_mb=grows(250), runtime=grows(5), slurm_extra=first_on("n1")
    shell: "{python} -c 'import time; b = bytearray(1_500_000_000); time.sleep(9)' 2> {{log}}; touch {{output}}"

rule wrong:
    output: "out/wrong.txt"
    log: "logs/wrong.log"
    resources: mem_mb=grows(400), runtime=grows(5), slurm_extra=first_on("n1")
    shell: "echo what went wrong > {{log}}; echo half > {{output}}; exit 3"

# has nothing to do with any of them, and rests on one that ends well in the end
rule fine:
    output: "out/fine.txt"
    resources: mem_mb=grows(400), runtime=grows(5), slurm_extra=first_on("n1")
    shell: "touch {{output}}"

rule after_time:
    input: "out/time.txt"
    output: "out/after_time.txt"
    resources: mem_mb=grows(400), runtime=grows(5)
    shell: "touch {{output}}"
"""


def running(slurm, rule):
    """Return the id of the running job of a rule, None if there is none."""
    return next((job["id"] for job in slurm.jobs("running") if job["comment"] == f"rule_{rule}"), None)


def until(ready, seconds=120):
    """Wait until `ready` returns something true, and return that."""
    ends = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < ends, "it did not come to this"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def run(slurm, login_node, profiles, tmp_path_factory):
    """One run in which jobs fail in every way: exit code, what was said, folder, and Slurm's jobs of it."""
    folder = tmp_path_factory.mktemp("failures")
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT, python=sys.executable), encoding="utf-8")
    known = {job["id"] for job in slurm.jobs()}
    process = login_node.start(folder, *login_node.snakemake(profiles=profiles))
    try:
        until((folder / "logs/node.log").exists)
        slurm.crash_node("n2")
        until((folder / "logs/cancelled.log").exists)
        slurm.run("scancel", until(lambda: running(slurm, "cancelled")))
        code, said = login_node.end(process, folder)
    finally:
        process.kill()
        slurm.recover_node("n2")
    return code, said, folder, [job for job in slurm.jobs() if job["id"] not in known]


def attempts(run, rule):
    """Return state, memory and minutes of each Slurm job of a rule."""
    return [(job["state"], job["memory"], job["minutes"]) for job in run[3] if job["comment"] == f"rule_{rule}"]


def told(run, rule):
    """Return what the report says of each failed attempt of a rule: its first line, and the logs it names."""
    report = run[1].partition("What Slurm says of jobs that did not end well")[2]
    entries = re.findall(rf"^  {rule}, Slurm job \d+, (.*(?:\n      log: .*)+)", report, re.MULTILINE)
    return [(entry.partition("\n")[0], re.findall(r"log: (.*)", entry)) for entry in entries]


def test_a_job_killed_for_memory_is_retried_with_more(run):
    assert attempts(run, "memory") == [("FAILED", "350M", "5:00"), ("COMPLETED", "700M", "10:00")]
    ((reason, (log, rule_log)),) = told(run, "memory")
    assert "killed because it took more memory than it had asked for (it had 350M memory" in reason
    assert "exceeded memory limit" in Path(log).read_text()
    assert rule_log == "logs/memory.log"


def test_a_job_over_its_time_limit_is_retried_with_more_and_what_rests_on_it_follows(run):
    assert attempts(run, "time") == [("TIMEOUT", "400M", "1:00"), ("COMPLETED", "800M", "2:00")]
    ((reason, (log, *_)),) = told(run, "time")
    assert reason.startswith("TIMEOUT: killed because its time was over")
    assert "DUE TO TIME LIMIT" in Path(log).read_text()
    assert (run[2] / "out/after_time.txt").exists()


def test_a_cancelled_job_is_noticed_and_retried(run):
    assert [state for state, *_ in attempts(run, "cancelled")] == ["CANCELLED", "COMPLETED"]
    ((reason, _),) = told(run, "cancelled")
    assert reason.startswith("CANCELLED: cancelled")


def test_a_job_on_a_lost_node_runs_once_more_and_not_behind_snakemakes_back(run):
    assert [state for state, *_ in attempts(run, "node")] == ["NODE_FAIL", "COMPLETED"]
    ((reason, _),) = told(run, "node")
    assert reason.startswith("NODE_FAIL: lost with its node")


@pytest.mark.parametrize(
    ("rule", "memory", "reason"),
    [
        ("hopeless", ["250M", "500M", "750M"], "killed because it took more memory"),
        ("wrong", ["400M", "800M", "1200M"], "the job itself failed"),
    ],
)
def test_a_job_that_never_ends_well_is_given_up_after_three_attempts_with_reason_and_log(run, rule, memory, reason):
    assert attempts(run, rule) == [("FAILED", asked, f"{5 * n}:00") for n, asked in enumerate(memory, start=1)]
    entries = told(run, rule)
    assert len(entries) == 3
    for said, logs in entries:
        assert reason in said
        assert logs[-1] == f"logs/{rule}.log"
        assert (run[2] / logs[0]).exists()


def test_the_run_fails_and_all_that_can_be_made_is_made(run):
    code, _, folder, _ = run
    assert code == 1
    made = {path.stem for path in (folder / "out").iterdir()}
    assert made == {"memory", "time", "cancelled", "node", "fine", "after_time"}  # not the half file of `wrong`
