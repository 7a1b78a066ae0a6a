"""The record of a job, and what the records of a tree say together.

A record is one JSON file that a job leaves beside its outputs. Everything in it but ``run`` is the same in every
faithful repetition and is covered by its ``seal``; an input names the record and the seal of the job that made it, so
the seal of the last job depends on everything before it (a Merkle tree over the study).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FORMAT = 2
VOLATILE = "run"
"""The one key of a record that differs between faithful repetitions: times, host, user, memory."""
FOLDER = "records"
"""Folder of the records below a cohort's results."""
FAILED = "failed"
NOT_RECORDS = ("code", FAILED)
"""Folders beside the records that hold something else: code as it ran, records of failed jobs."""


def canonical(content: Any) -> bytes:
    """Return `content` as JSON in its one canonical form: keys sorted, no white space, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the sha256 over a record's content without its seal and without what is volatile."""
    sealed = {key: value for key, value in content.items() if key not in ("seal", VOLATILE)}
    return hashlib.sha256(canonical(sealed)).hexdigest()


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it; what JSON does not know becomes its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


CODE_PARAMS = ("code", "notebook_code")
"""Tracked parameters that are digests of code; a record states them under ``code``."""


def split_params(named: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a job's parameters as records state them, and its code digests apart."""
    params = {key: plain(value) for key, value in named}
    return (
        {key: value for key, value in params.items() if key not in CODE_PARAMS},
        {key: value for key, value in params.items() if key in CODE_PARAMS},
    )


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes
    ----------
    path : str
        Of the record, relative to the repository.
    content : dict
        The JSON, as described in docs/architecture.md.
    """

    path: str
    content: dict[str, Any]

    @property
    def rule(self) -> str:
        """Name of the rule."""
        return self.content["rule"]

    @property
    def wildcards(self) -> dict[str, str]:
        """Wildcards of the job."""
        return self.content["wildcards"]

    @property
    def cohort(self) -> str:
        """Cohort the job worked for."""
        return self.content["cohort"]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """What went in: path, sha256, bytes, made_by."""
        return self.content["inputs"]

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What came out: path, sha256, bytes."""
        return self.content["outputs"]

    def stated(self, path: str) -> str | None:
        """Return the digest under which the record states an output; None for a file inside of an output folder."""
        return next((entry["sha256"] for entry in self.outputs if entry["path"] == path), None)

    @property
    def params(self) -> dict[str, Any]:
        """Tracked parameters, without the digests of code."""
        return self.content["params"]

    @property
    def code_files(self) -> dict[str, dict[str, str]]:
        """Path -> ``identity`` and ``sha256`` of every file of code the job may have run."""
        return self.content["code"]["files"]

    @property
    def seal(self) -> str:
        """Seal of the record."""
        return self.content["seal"]

    @property
    def run(self) -> dict[str, Any]:
        """What differs between faithful repetitions."""
        return self.content.get(VOLATILE, {})

    @property
    def seconds(self) -> float:
        """How long the job took."""
        return float(self.run.get("seconds", 0.0))

    @property
    def title(self) -> str:
        """Rule and wildcards other than the cohort, for people."""
        rest = [value for key, value in sorted(self.wildcards.items()) if key != "cohort"]
        return " ".join([self.rule, *rest])


class Records(Mapping[str, Record]):
    """The records of a tree, keyed by their path."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {record.path: record for record in sorted(records, key=lambda record: record.path)}

    def __getitem__(self, path: str) -> Record:
        """Return the record at `path`."""
        return self._records[path]

    def __iter__(self) -> Iterator[str]:
        """Yield paths, sorted."""
        return iter(self._records)

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._records)

    @cached_property
    def _makers(self) -> dict[str, Record]:
        return {entry["path"]: record for record in self._records.values() for entry in record.outputs}

    @cached_property
    def _readers(self) -> dict[str, list[Record]]:
        readers: dict[str, list[Record]] = {}
        for record in self._records.values():
            for entry in record.inputs:
                readers.setdefault(entry["path"], []).append(record)
        return readers

    def maker(self, path: str) -> Record | None:
        """Return the record of the job that made the file, or the folder it lies in."""
        if path in self._makers:
            return self._makers[path]
        return next((self._makers[str(p)] for p in Path(path).parents if str(p) in self._makers), None)

    def _start(self, start: Record | str) -> Record | None:
        if isinstance(start, Record):
            return start
        return self._records.get(start) or self.maker(start)

    def upstream(self, start: Record | str) -> list[Record]:
        """Return the record (of the maker of a path) and those of all jobs it rests on, makers before their readers."""
        first = self._start(start)
        ordered: dict[str, Record] = {}

        def visit(record: Record) -> None:
            for entry in record.inputs:
                maker = self.maker(entry["path"])
                if maker is not None and maker.path not in ordered and maker.path != record.path:
                    visit(maker)
            ordered[record.path] = record

        if first is not None:
            visit(first)
        return list(ordered.values())

    def downstream(self, path: str) -> list[Record]:
        """Return the records of all jobs that rest on the file (or on the outputs of the record) at `path`."""
        found: dict[str, Record] = {}
        queue = [entry["path"] for entry in self._records[path].outputs] if path in self._records else [path]
        while queue:
            for record in self._readers.get(queue.pop(), []):
                if record.path not in found:
                    found[record.path] = record
                    queue.extend(entry["path"] for entry in record.outputs)
        return [found[name] for name in sorted(found)]

    def sources(self, start: Record | str) -> list[dict[str, Any]]:
        """Return the inputs that no job makes (raw files, text, notebooks) on which a record or file rests, by path."""
        entries = {
            entry["path"]: entry
            for record in self.upstream(start)
            for entry in record.inputs
            if entry["made_by"] is None
        }
        return [entries[path] for path in sorted(entries)]


def record_paths(root: Path, cohorts: Iterable[str] | None = None) -> list[Path]:
    """Return the record files of a tree, sorted; those of failed jobs are not among them."""
    folders = [root / "results" / name for name in cohorts] if cohorts is not None else (root / "results").glob("*")
    return sorted(
        path for folder in folders for path in (folder / FOLDER).glob("*/*.json") if path.parent.name not in NOT_RECORDS
    )


def well_formed(content: Any) -> bool:
    """Return whether JSON has the parts of a job record that anybody reads, each of its type."""

    def typed(part: Any, shape: Mapping[str, Any]) -> bool:
        return isinstance(part, Mapping) and all(k in part and isinstance(part[k], t) for k, t in shape.items())

    def described(entry: Any) -> bool:
        return (
            typed(entry, {"path": str, "sha256": str, "bytes": int})
            and isinstance(entry.get("members", []), list)
            and all(described(member) for member in entry.get("members", []))
        )

    return (
        typed(
            content,
            {
                "rule": str,
                "wildcards": Mapping,
                "cohort": str,
                "status": str,
                "script": str,
                "notebook": str | None,
                "inputs": list,
                "outputs": list,
                "names": Mapping,
                "params": Mapping,
                "seed": int,
                "code": Mapping,
                "environment": Mapping,
                "seal": str,
            },
        )
        and all(described(entry) for entry in [*content["inputs"], *content["outputs"]])
        and all(
            typed(entry, {"made_by": Mapping | None})
            and (entry["made_by"] is None or typed(entry["made_by"], {"record": str, "seal": str}))
            for entry in content["inputs"]
        )
        and typed(content["names"], {"input": Mapping, "output": Mapping})
        and typed(content["code"], {"digest": str, "files": Mapping})
        and all(
            typed(file, {"identity": str, "sha256": str}) and len(file) == 2
            for file in content["code"]["files"].values()
        )
        and typed(content["environment"], {"python": str, "distributions": Mapping})
        and isinstance(content.get(VOLATILE, {}), Mapping)
    )


def read_record(root: Path, path: Path) -> Record:
    """Return the record in a file.

    Raises
    ------
    ValueError
        If the file is no record of this format; the message says so.
    """
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or content.get("format") != FORMAT or not well_formed(content):
        raise ValueError(f"{path.relative_to(root).as_posix()} is no job record of format {FORMAT}")
    return Record(path.relative_to(root).as_posix(), content)


def load_records(root: Path, cohorts: Iterable[str] | None = None) -> Records:
    """Return the records below ``root/results``, those that can be read; :mod:`.seals` names the others."""
    found = []
    for path in record_paths(root, cohorts):
        try:
            found.append(read_record(root, path))
        except (OSError, ValueError):  # a job is writing or Snakemake removing it, or it is broken
            continue
    return Records(found)
