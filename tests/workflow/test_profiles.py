"""Each profile starts Snakemake on the real DAG with its executor plugin; one of them runs real jobs.

A dry run loads the plugin and reads every key, so that an argument or a value that the plugin does not take ends it.
That says nothing of a cluster: only Slurm (tests/cluster) and cluster-generic are run for real.
"""

import os
import re
import shutil
import stat
import subprocess

import pytest

from tests import dry_runs
from tests.checkout import ROOT, SNAKEMAKE, copy_of_repository, planned_jobs
from tests.layered import layered
from tests.workflow.storage_server import bucket

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PROFILES = ROOT / "profiles"
ON_CLUSTERS = sorted(path.parent.name for path in PROFILES.glob("*/site.example.yaml"))
IN_CLOUDS = ("aws-batch", "googlebatch", "kubernetes")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """An environment with all executor plugins."""
    return layered(tmp_path_factory.mktemp("layers"), *ON_CLUSTERS)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy of the repository in which nothing is built, with every profile's example as its site's values."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("profiles") / "repository", screened=150)
    for name in ON_CLUSTERS:
        folder = checkout.folder / "profiles" / name
        shutil.copy(folder / "site.example.yaml", folder / "site.yaml")
    return checkout


def chosen(name):
    """Return the options by which the Makefile chooses a profile, with the site's values."""
    said = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "paper", f"PROFILE={name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    given = re.search(r"snakemake paper (--workflow-profile none .*)", said)[1].split()
    own, site = f"profiles/{name}", f"profiles/{name}/site.yaml"
    assert own in given
    return given if site in given else [*given, "--profile", site]  # the checkout at hand may have no site.yaml


def target(name):
    """Return what is planned: with files in storage wildcards lose their constraints, and a paper is ambiguous."""
    return "data" if name in IN_CLOUDS else "paper"


def dry_run(plugins, checkout, name):
    arguments = [target(name), *chosen(name), "--dry-run", "--quiet", "host"]
    modules = [f"snakemake_executor_plugin_{profile.replace('-', '_')}" for profile in ON_CLUSTERS]
    with bucket(checkout.folder, "sorafenib-rfa") as address:
        environment = plugins.environment() | {
            "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": address,
            "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key",
            "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret",
            "STORAGE_EMULATOR_HOST": address,
        }
        return dry_runs.ask(checkout.folder, arguments, environment, plugins.python, modules)


@pytest.mark.parametrize("name", ON_CLUSTERS)
def test_every_profile_plans_the_jobs_that_would_run_here(plugins, fresh, name):
    code, said = dry_run(plugins, fresh, name)
    assert code == 0, said
    assert planned_jobs(said) == fresh.planned(target(name))
    assert f"profiles/{name}/site.yaml" in said


@pytest.mark.parametrize("name", ON_CLUSTERS)
def test_a_spoilt_key_of_a_profile_stops_it(plugins, fresh, name):
    config = fresh.folder / "profiles" / name / "config.yaml"
    whole = config.read_text(encoding="utf-8")
    own = f"{name}-" if f"\n{name}-" in whole else "retries"
    try:
        config.write_text(re.sub(rf"\n({own}\S*?):", r"\n\1x:", whole, count=1), encoding="utf-8")
        code, said = dry_run(plugins, fresh, name)
    finally:
        config.write_text(whole, encoding="utf-8")
    assert code != 0
    assert re.search(rf"{own}\S*x", said), said


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("htcondor", "htcondor-held-timeout", "soon"),
        ("sge", "sge-init-seconds-before-status-checks", "later"),
        ("kubernetes", "kubernetes-cpu-scalar", "most"),
        ("googlebatch", "googlebatch-retry-count", "never"),
    ],
)
def test_a_spoilt_value_of_a_plugins_own_key_stops_it(plugins, fresh, name, key, value):
    config = fresh.folder / "profiles" / name / "config.yaml"
    whole = config.read_text(encoding="utf-8")
    assert f"\n{key}: " in whole
    try:
        config.write_text(re.sub(rf"\n{key}: .*", f"\n{key}: {value}", whole), encoding="utf-8")
        code, said = dry_run(plugins, fresh, name)
    finally:
        config.write_text(whole, encoding="utf-8")
    assert code != 0
    assert key in said and value in said, said


SUBMIT = """\
#!/usr/bin/env bash
# what sbatch does, on this machine: print an id, run the script, keep its exit code
id=$(date +%s%N)
shift $(($# - 1))
(bash "$1" >"$SPOOL/$id.log" 2>&1; echo $? >"$SPOOL/$id") >/dev/null 2>&1 &
echo "$id"
"""
STATUS = """\
#!/usr/bin/env bash
case $(cat "$SPOOL/$1" 2>/dev/null) in "") echo running ;; 0) echo success ;; *) echo failed ;; esac
"""


def test_real_jobs_through_cluster_generic_make_the_same_bytes(plugins, fresh, finished, tmp_path):
    for command, text in (("sbatch", SUBMIT), ("status", STATUS)):
        path = tmp_path / command
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    target = "results/hcc_resection/adam/adsl.csv"
    done = subprocess.run(
        [
            *(plugins.snakemake, target, *chosen("cluster-generic")),
            *("--cluster-generic-status-cmd", tmp_path / "status", "--seconds-between-status-checks", "1"),
        ],
        cwd=fresh.folder,
        env=plugins.environment() | {"SPOOL": str(tmp_path), "PATH": f"{tmp_path}:{plugins.environment()['PATH']}"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ids = [path for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(ids) == done.stderr.count("with external jobid") == 3
    assert all(path.read_text().strip() == "0" for path in ids)
    made = (fresh.folder / target).read_bytes()
    assert made == (finished.folder / target).read_bytes()


APPTAINER = """\
#!/usr/bin/env bash
# what apptainer does, without the image: say the version, or run what stands behind the image
if [ "$1" = --version ]; then echo "apptainer version 1.3.4"; exit; fi
echo "$@" >>"$SPOOL/calls"
while [ $# -gt 0 ] && [[ $1 != *.sif ]]; do shift; done
shift
exec "$@"
"""


def test_with_apptainer_the_script_of_a_rule_runs_in_the_image_of_the_lock(fresh, tmp_path):
    command = tmp_path / "apptainer"
    command.write_text(APPTAINER, encoding="utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    (fresh.folder / "envs/paper.sif").touch()
    target = "results/hcc_resection/ingest/single_centre/patients.parquet"
    environment = {"SPOOL": str(tmp_path), "PATH": f"{tmp_path}:{SNAKEMAKE.parent}:{os.environ['PATH']}"}
    fresh.snakemake(target, "--sdm", "apptainer", "--forcerun", "ingest_site", environment=environment)
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("exec ")
    assert re.search(r" envs/paper\.sif bash -c .*ingest_site\.py$", call)
    assert (fresh.folder / target).exists()
