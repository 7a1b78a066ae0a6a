"""A tiny copy of the repository in which the real DAG runs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
BUILT = (
    "results",
    "logs",
    ".snakemake",
    ".git",
    ".venv",
    "raw",
    "__pycache__",
    ".pytest_cache",
    ".hypothesis",
    ".ruff_cache",
)


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository."""

    folder: Path

    def snakemake(self, *arguments, check=True):
        """Run Snakemake here; return what it said, on both streams."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [str(SNAKEMAKE), *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=1500
        )
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, said
        return done.returncode, said

    def planned(self, *targets):
        """Return the jobs a dry run would run, as 'rule' or 'rule wildcards', sorted."""
        _, said = self.snakemake(*targets, "--dry-run", "--quiet", "host")
        return planned_jobs(said)


def planned_jobs(said):
    """Return the jobs that a dry run announces; the cohort is left out when it is the synthetic one."""
    jobs = []
    for line in said.splitlines():
        text = line.strip()
        if text.startswith(("rule ", "localrule ")) and text.endswith(":"):
            jobs.append(text.split()[1][:-1])
        elif text.startswith("wildcards: "):
            pairs = [pair.split("=") for pair in text.removeprefix("wildcards: ").split(", ")]
            values = [value for key, value in pairs if (key, value) != ("cohort", "synthetic")]
            jobs[-1] = " ".join([jobs[-1], *values])
    return sorted(jobs)


def edit_yaml(path, change):
    """Let `change` alter the content of a YAML file in place."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _quick_plan(plan):
    """Ask for few resamples and imputations: what is tested here is which job runs, not how precise it is."""
    plan["bootstrap_resamples"] = 200
    plan["sensitivity"]["imputations"] = 2
    plan["sensitivity"]["specifications"]["imputations"] = 2


def copy_of_repository(folder, screened):
    """Copy the repository to `folder` with a synthetic cohort of `screened` patients and a quick plan."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*BUILT))
    edit_yaml(folder / "config/cohorts/synthetic/simulation.yaml", lambda content: content.update(size=screened))
    edit_yaml(folder / "config/plan.yaml", _quick_plan)
    return Checkout(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A finished paper on a tiny cohort; tests that change it put back what they changed."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("tiny") / "repository", screened=150)
    checkout.snakemake("paper", "data", "analysis")
    return checkout
