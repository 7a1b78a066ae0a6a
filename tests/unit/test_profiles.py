"""What stands in the profiles: each key says why, resources come from the rules, retries from the profiles."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "profiles"
FILES = sorted([*PROFILES.glob("*/config.yaml"), *PROFILES.glob("*/site.example.yaml")])
NAMES = ["aws-batch", "cluster-generic", "googlebatch", "htcondor", "kubernetes", "lsf", "sge", "slurm"]
RULES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
ATTEMPTS = (1, 2, 3)


def read(name, file="config.yaml"):
    return yaml.safe_load((PROFILES / name / file).read_text(encoding="utf-8")) or {}


def asked(resource):
    """Return rule -> what it asks for at the first attempt."""
    rules = re.split(r"^ *rule ", RULES, flags=re.M)[1:]
    found = {re.match(r"\w*", text)[0]: re.search(rf"^ +{resource}=grows\((\d+)\)", text, flags=re.M) for text in rules}
    assert all(found.values()) and len(found) > 30
    return {rule: int(match[1]) for rule, match in found.items()}


def test_the_profiles_are_those_of_the_issue_and_each_has_a_lock():
    assert sorted(path.parent.name for path in PROFILES.glob("*/config.yaml")) == sorted([*NAMES, "default"])
    assert sorted(path.stem for path in (ROOT / "envs" / "executors").glob("*.lock")) == NAMES
    assert all((PROFILES / name / "site.example.yaml").exists() for name in NAMES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_key_says_why(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if not re.match(r"[a-z]", line):
            continue
        told = [line for line in lines[number + 1 :] if line.strip()][:1]  # a site's mapping tells of each inner key
        above = number - 1
        while above >= 0 and re.match(r"[a-z]", lines[above]):  # keys told together stand together
            above -= 1
        said = lines[above].startswith("#") or (line.endswith(":") and told and told[0].startswith("  # "))
        assert said, f"{path.parent.name}/{path.name}:{number + 1}: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_job_is_tried_again_by_the_profile_and_by_nothing_else(name):
    assert read(name)["executor"] == name
    assert read(name)["retries"] == 2
    assert not re.search(r"^\s*retries:", RULES, flags=re.M)
    assert "retries" not in read("default")


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_written_twice_but_where_a_site_replaces_it_as_a_whole(name):
    base, own, site = read("default"), read(name), read(name, "site.example.yaml")
    # a Slurm job of a group has two cores, this machine all of its own
    assert set(base) & set(own) == ({"cores"} if name == "slurm" else set())
    for key in set(own) & set(site):
        assert set(own[key]) < set(site[key]), key  # the site says more
        assert {inner: site[key][inner] for inner in own[key]} == own[key], key


def test_plugins_that_do_not_read_a_rules_resources_ask_for_enough_for_every_rule():
    htcondor, google = read("htcondor")["default-resources"], read("googlebatch")["default-resources"]
    for attempt in ATTEMPTS:
        names = {"attempt": attempt}
        memory, disk = max(asked("mem_mb").values()) * attempt, max(asked("disk_mb").values()) * attempt
        seconds = max(asked("runtime").values()) * attempt * 60
        assert eval(htcondor["htcondor_request_mem_mb"], names) >= memory
        assert eval(htcondor["htcondor_request_disk_mb"], names) >= disk
        assert eval(htcondor["allowed_execute_duration"], names) >= seconds
        assert eval(google["googlebatch_memory"], names) * 1.048576 >= memory
        assert int(eval(google["googlebatch_max_run_duration"], names).removesuffix("s")) >= seconds
    assert read("aws-batch")["aws-batch-task-timeout"] >= 3 * max(asked("runtime").values()) * 60


def test_aws_batch_gives_each_rule_the_memory_that_it_asks_for_at_first():
    # the sizes for one core of snakemake-executor-plugin-aws-batch 0.2.1; a size of more cores would end the run
    one_core, more_cores = range(2048, 8193, 1024), range(9216, 245761, 1024)
    overridden = {rule: values["mem_mb"] for rule, values in read("aws-batch")["set-resources"].items()}
    assert set(overridden) <= set(asked("mem_mb"))
    for rule, least in asked("mem_mb").items():
        for attempt in ATTEMPTS:
            mem_mb = eval(str(overridden.get(rule, f"{least} * attempt")), {"attempt": attempt, "min": min})
            assert mem_mb not in more_cores, rule
            if attempt == 1:
                assert (mem_mb if mem_mb in one_core else 2048) >= least, rule


@pytest.mark.parametrize(
    ("squeue", "word"),
    [
        ("echo RUNNING", "running"),
        ("echo PENDING", "running"),
        ("echo COMPLETED", "success"),
        ("echo OUT_OF_MEMORY", "failed"),
        ("echo TIMEOUT", "failed"),
        ("echo CANCELLED", "failed"),
        ("echo NODE_FAIL", "failed"),
        # as squeue 22.05 said it: of a job that the controller no longer knows, and with the controller down
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "failed"),
        (
            "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
            "running",
        ),
    ],
)
def test_state_of_a_slurm_job_for_cluster_generic(tmp_path, squeue, word):
    fake = tmp_path / "squeue"
    fake.write_text(f"#!/bin/sh\n{squeue}\n", encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    said = subprocess.run(
        [PROFILES / "cluster-generic" / "slurm_status.sh", "17"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == f"{word}\n"
