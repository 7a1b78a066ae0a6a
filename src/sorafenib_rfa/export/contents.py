"""What an export holds: the files that the records of a paper name, the repository around them, and what stays private.

Only files that a record names or that belong to the repository by the lists below are ever packed: whatever else lies
in a checkout (notes, other cohorts, a data folder beside it) stays where it is.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sorafenib_rfa.config.load import load_cohort
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.errors import Problem, SealError
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.records.record import FAILED, FOLDER, Record, Records, load_records
from sorafenib_rfa.records.run_log import run_log_path

REPOSITORY_FILES = (
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "Snakefile",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
)
REPOSITORY_FOLDERS = (
    ".ci",
    "benchmarks",
    "config",
    "docs",
    "envs",
    "manuscript",
    "notebooks",
    "profiles",
    "src",
    "tests",
    "validation",
    "workflow",
)
NOT_SOURCES = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache")
"""Folders that tools leave among the sources."""

AGGREGATED = ("ard/ard.", "figures/", "manuscript/", "paperwork/", "records/", "tables/")
"""What of a private cohort's results may leave: what the paper prints, and records, which hold digests. Below
``results/<cohort>/``; clean tables, ADaM, curves, notebooks, members of counts and reports of failures may show a
single patient."""

PUBLIC = ("data/public/", "data/evidence/")
"""What lies below is part of the repository, where anybody has it; ``data/raw/`` is not."""


def may_be_given_away(synthetic: bool, licence: str | None, raw: str, made_by_job: Mapping[str, bool]) -> bool:
    """Say whether anybody may have a cohort's data.

    Synthetic data may be given away, and data under a licence that already lie open: in the repository below
    ``data/public/`` or ``data/evidence/``, or written by a job from an installed package. A licence alone opens no
    hospital's files.

    Parameters
    ----------
    synthetic : bool
    licence : str or None
        Licence of the raw data.
    raw : str
        Folder of the raw files, relative to the repository.
    made_by_job : mapping
        Path of a file that a record names -> whether a job made it.
    """
    if synthetic or not licence:
        return synthetic
    files = [made for path, made in made_by_job.items() if path.startswith(f"{raw.rstrip('/')}/")]
    return f"{raw.rstrip('/')}/".startswith(PUBLIC) or (bool(files) and all(files))


@dataclass(frozen=True)
class FileFact:
    """A file or folder that a record names.

    Attributes
    ----------
    path : str
        Relative to the repository.
    sha256 : str
        As recorded; of a folder, of its listing.
    bytes : int
    maker : str or None
        Record of the job that made it.
    """

    path: str
    sha256: str
    bytes: int
    maker: str | None


@dataclass(frozen=True)
class Contents:
    """The records of a paper and everything they name.

    Attributes
    ----------
    root : Path
        The repository.
    cohort : str
        The paper's cohort.
    records : Records
        Of the jobs behind the paper, those of its supplement's cohorts included.
    failed : dict
        Path -> content of the records of failed jobs of these cohorts.
    files : dict
        Path -> :class:`FileFact`.
    configs : dict
        Cohort -> its configuration.
    """

    root: Path
    cohort: str
    records: Records
    failed: dict[str, dict[str, Any]]
    files: dict[str, FileFact]
    configs: dict[str, CohortConfig] = field(repr=False)

    @property
    def cohorts(self) -> list[str]:
        """The paper's cohort and those of its supplement."""
        return [self.cohort, *(name for name in self.configs if name != self.cohort)]

    def is_open(self, cohort: str) -> bool:
        """Say whether anybody may have a cohort's data, see :func:`may_be_given_away`."""
        return self._open[cohort]

    @cached_property
    def _open(self) -> dict[str, bool]:
        """Cohort -> whether anybody may have its data; asked of every file several times."""
        return {
            name: may_be_given_away(config.synthetic, config.licence, config.raw, self.made_by_job)
            for name, config in self.configs.items()
        }

    @cached_property
    def made_by_job(self) -> dict[str, bool]:
        """Path of each file that a record names -> whether a job made it."""
        return {fact.path: fact.maker is not None for fact in self.files.values()}

    def is_private(self, path: str) -> bool:
        """Say whether a file may show a patient of a cohort whose data are not open."""
        for name, config in self.configs.items():
            if self.is_open(name):
                continue
            if path.startswith(f"{config.raw.rstrip('/')}/"):
                return True
            results = f"results/{name}/"
            if path.startswith(results):
                inside = path.removeprefix(results)
                return inside.startswith(f"{FOLDER}/{FAILED}/") or not inside.startswith(AGGREGATED)
            if f"{path}/".startswith(f"results/{self.cohort}/audit/"):  # the site shows patients of all its cohorts
                return True
        return False

    @cached_property
    def sources(self) -> list[str]:
        """Files of the repository itself: code, configuration, text, tests, documentation."""
        return repository_files(self.root, self.configs)

    @cached_property
    def run_logs(self) -> list[str]:
        """Run logs of the cohorts that have one."""
        paths = [run_log_path(self.root, name) for name in self.cohorts]
        return [path.relative_to(self.root).as_posix() for path in paths if path.is_file()]

    @cached_property
    def code(self) -> dict[str, str]:
        """Path of a file of code in the store -> the name under which it ran."""
        return {
            f"results/{record.cohort}/{FOLDER}/code/{entry['sha256']}": name
            for record in [*self.records.values(), *(Record(path, content) for path, content in self.failed.items())]
            for name, entry in record.code_files.items()
        }

    @property
    def named(self) -> list[str]:
        """Every file of which an export reads more than its name: recorded files, sources, records, code, run logs."""
        return [*self.files, *self.sources, *self.records, *self.failed, *self.code, *self.run_logs]

    @cached_property
    def final(self) -> list[Record]:
        """Records of the jobs whose outputs no other job of the paper reads."""
        read = {entry["path"] for record in self.records.values() for entry in record.inputs}
        return [r for r in self.records.values() if not any(entry["path"] in read for entry in r.outputs)]


def _is_published(path: Path) -> bool:
    """Say whether another cohort's configuration may be shown: synthetic, or of published data under a licence.

    It may be unfinished: what cannot be read, or says too little, stays behind.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return content.get("synthetic") is True or bool(content.get("licence") and content.get("citation"))
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return False


def repository_files(root: Path, configs: dict[str, CohortConfig]) -> list[str]:
    """Return the repository's own files, sorted; of a checkout only those that git tracks, never a scratch file.

    Of other cohorts' configuration only what belongs to published ones: a site's file may name a hospital.

    Raises
    ------
    ExportError
        If one of the files at the top is missing.
    """
    missing = [name for name in REPOSITORY_FILES if not (root / name).is_file()]
    if missing:
        raise ExportError(
            [Problem("the file belongs to every export and does not exist", file=name) for name in missing]
        )
    hidden = set()
    for path in sorted((root / "config" / "cohorts").iterdir()):
        if path.name not in configs and not _is_published(path / "cohort.yaml"):
            hidden.add(f"config/cohorts/{path.name}/")
    public = [
        config.raw.rstrip("/")
        for config in configs.values()
        if f"{config.raw.rstrip('/')}/".startswith(PUBLIC) and (config.synthetic or config.licence)
    ]
    found = set(REPOSITORY_FILES)
    for name in _tracked(root, [*REPOSITORY_FOLDERS, *public]):
        path = root / name
        if not path.is_file() or path.is_symlink() or any(part in NOT_SOURCES for part in name.split("/")):
            continue
        if name.startswith(("benchmarks/rules/", *hidden)) or ".egg-info/" in name:
            continue
        found.add(name)
    return sorted(found)


def _tracked(root: Path, folders: list[str]) -> list[str]:
    """Return the files below folders that git tracks; where there is no checkout or no git, all files."""
    if (root / ".git").exists():  # an unpacked bag inside another checkout is none
        here = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # set in a hook
        asked = ["git", "-C", str(root), "ls-files", "-z", "--", *(f":(literal){folder}" for folder in folders)]
        try:
            done = subprocess.run(asked, capture_output=True, check=True, env=here, timeout=20)
            return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
        except (OSError, subprocess.SubprocessError):
            pass  # no git, or one that refuses, as for another user's checkout
    return [path.relative_to(root).as_posix() for folder in folders for path in (root / folder).rglob("*")]


def read_contents(
    root: Path, cohort: str, results: Iterable[str], *, allow: Callable[[Iterable[str]], None] | None = None
) -> Contents:
    """Return what the records behind the given results name.

    Parameters
    ----------
    root : Path
        The repository.
    cohort : str
        The paper's cohort.
    results : iterable of str
        The last results, such as the paper and the notebooks: files relative to `root`. All jobs behind them count.
    allow : callable, optional
        Called with the files that the export will open: a job's :meth:`~sorafenib_rfa.records.job.Job.may_read`.

    Raises
    ------
    ExportError
        If no record says which job made one of them.
    SealError
        If two records disagree on a file: one of its readers read something else than its maker made.
    """
    known = load_records(root)
    chosen: dict[str, Record] = {}
    problems = []
    for path in sorted(set(results)):
        behind = known.upstream(path)
        if not behind:
            problems.append(Problem("no job record says what made this file", file=path, hint="run make paper"))
        chosen.update((record.path, record) for record in behind)
    if problems:
        raise ExportError(problems)
    records = Records(chosen.values())
    cohorts = list(dict.fromkeys([cohort, *sorted({record.cohort for record in records.values()})]))
    files: dict[str, FileFact] = {}
    for record in records.values():
        for entry in [*record.outputs, *record.inputs]:
            maker = records.maker(entry["path"])
            fact = FileFact(entry["path"], entry["sha256"], entry["bytes"], maker.path if maker else None)
            other = files.setdefault(fact.path, fact)
            if other.sha256 != fact.sha256:
                problems.append(
                    Problem(
                        f"records disagree on this file: {record.path} states another digest",
                        file=fact.path,
                        found=fact.sha256,
                        expected=other.sha256,
                        hint="run make paper, which repeats what is out of date",
                    )
                )
    if problems:
        raise SealError(problems)
    failed = {}
    for name in cohorts:
        for path in sorted((root / "results" / name / FOLDER / FAILED).rglob("*.json")):
            failed[path.relative_to(root).as_posix()] = json.loads(path.read_bytes())
    if allow is not None:  # configuration is read to learn which files there are
        allow(path.relative_to(root).as_posix() for path in (root / "config" / "cohorts").rglob("*.yaml"))
    configs = {name: load_cohort(root, name).config for name in cohorts}
    contents = Contents(root, cohort, records, failed, dict(sorted(files.items())), configs)
    if allow is not None:
        allow(contents.named)
    return contents
