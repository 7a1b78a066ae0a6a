"""Copies of the repository in which the real DAG runs, and one finished tiny paper that all tests share."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests import dry_runs

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
COMMAND = Path(sys.executable).parent / "sorafenib-rfa"
TARGETS = ("paper", "data", "analysis", "audit")
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


def inherited():
    """Return the environment in which a person would call a command here."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository."""

    folder: Path

    def run(self, *command, check=True, environment=None):
        """Run a command here; return its exit code and what it said, on both streams."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**inherited(), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=1500,
        )
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, said
        return done.returncode, said

    def snakemake(self, *arguments, check=True, environment=None):
        """Run Snakemake here; dry runs share its start."""
        if "--dry-run" not in arguments or environment:  # PYTHONPATH, say, is read when Python starts
            return self.run(SNAKEMAKE, *arguments, check=check, environment=environment)
        code, said = dry_runs.ask(self.folder, [str(part) for part in arguments], inherited())
        assert not check or code == 0, said
        return code, said

    def planned(self, *targets, environment=None):
        """Return the jobs a dry run would run, as 'rule' or 'rule wildcards', sorted."""
        _, said = self.snakemake(*targets, "--dry-run", "--quiet", "host", environment=environment)
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


NOTEBOOKS = ("cohort", "efficacy", "safety")
"""Notebooks that the synthetic cohort of a copy has; all of them are run by tests/unit/test_notebooks.py."""


def _reword(path, pattern, text):
    """Replace what a pattern finds in a file; it must be there once."""
    content, times = re.subn(pattern, text, path.read_text(encoding="utf-8"), flags=re.M)
    assert times == 1, (path, pattern)
    path.write_text(content, encoding="utf-8")


def copy_of_repository(folder, screened):
    """Copy the repository to `folder` with a synthetic cohort of `screened` patients and quick plans."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*BUILT))
    edit_yaml(folder / "config/cohorts/synthetic/simulation.yaml", lambda content: content.update(size=screened))
    edit_yaml(folder / "config/plan.yaml", _quick_plan)
    notebooks = folder / "config/cohorts/synthetic/cohort.yaml"
    _reword(notebooks, r"^notebooks: \[[^]]+\]$", f"notebooks: [{', '.join(NOTEBOOKS)}]")
    truth = folder / "workflow/rules/validation.smk"
    _reword(truth, r"(?<=\bscreened=)40000(?=,$)", "4000")
    _reword(truth, r"(?<=\bscreened_for_harms=)10000(?=,$)", "1000")
    return Checkout(folder)


def copy_of_checkout(checkout, folder):
    """Copy a checkout with all that was built in it; times are kept, so nothing is to be done there either."""
    shutil.copytree(checkout.folder, folder, symlinks=True)
    return Checkout(folder)


def finished_tiny(folder):
    """Return a finished paper on a tiny cohort in `folder`, built by whoever comes first; never change it."""
    checkout = Checkout(folder / "repository")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not (folder / "finished").exists():
            copy_of_repository(checkout.folder, screened=150).snakemake(*TARGETS)
            (folder / "finished").touch()
    return checkout
