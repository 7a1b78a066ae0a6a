"""What depends on a file, a configuration key or a package: asked before anything is changed or run.

Two questions are told apart. Which jobs *would run again*: Snakemake reruns a job if any part of a parameter changes,
and a job that is handed the whole plan runs again for every key of it. Which jobs' *results can change*: of those
handed a key, only the ones whose code names it (see :mod:`.names`), and whatever is made from theirs.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.provenance.config_keys import (
    ABSENT,
    KeyPlace,
    all_keys,
    config_files,
    find_key,
    look_up,
    parameters_of_key,
)
from sorafenib_rfa.provenance.names import Names
from sorafenib_rfa.provenance.trace import fact_of_meta, raw_inputs
from sorafenib_rfa.provenance.tree import PAPER_RULE, QueryError, Tree, Use
from sorafenib_rfa.records.record import Record

WORKFLOW: Final = ("Snakefile", "workflow/rules")
"""Where the graph of jobs is declared."""


@dataclass(frozen=True)
class Touched:
    """One job that has to do with what was asked about.

    Attributes
    ----------
    title, rule, cohort, record : str
    how : str
        In words: which parameter holds the key, that it reads the file, runs or imports it.
    names_it : str or None
        ``file:line`` where its code names the key.
    can_change : bool
        Whether its result can change by it.
    """

    title: str
    rule: str
    cohort: str
    record: str
    how: str
    names_it: str | None
    can_change: bool


@dataclass(frozen=True)
class Impact:
    """What depends on something.

    Attributes
    ----------
    target : str
    kind : str
        raw file, result, source, code, config file, config key or package.
    place : str
        ``file:line`` of a key; else empty.
    value : object
        Of a key, as it is now.
    direct : list of Touched
        Jobs that have to do with it themselves.
    would_run : list of str
        Records of all jobs that would run again: the direct ones and all that rest on them.
    can_change : list of str
        Records of the jobs whose results can change.
    seconds : float
        How long the jobs of `would_run` took the last time.
    numbers : list of str
        ``cohort:ard_id`` of every number that can change.
    numbers_in_paper : list of str
        Those of them that a paper shows.
    claims, figures, tables : list of str
        Names; figures and tables as ``cohort:name``.
    places : list of Use
        Where a paper's source shows something that can change.
    files : list of str
        Outputs that can change.
    notes : list of str
        What else is to be known.
    """

    target: str
    kind: str
    place: str = ""
    value: Any = None
    direct: list[Touched] = field(default_factory=list)
    would_run: list[str] = field(default_factory=list)
    can_change: list[str] = field(default_factory=list)
    seconds: float = 0.0
    numbers: list[str] = field(default_factory=list)
    numbers_in_paper: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    places: list[Use] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        content = dataclasses.asdict(self)
        content["places"] = [use.to_json() for use in self.places]
        return content


def impact(root: Path, target: str) -> Impact:
    """Return what depends on `target`.

    Parameters
    ----------
    root : Path
        Repository root.
    target : str
        A path (raw file, result, configuration, code, notebook, text), a configuration key (``plan.landmark_day``,
        ``cohorts.synthetic.sites.cn01``, ``run.seed``) or the name of a package.

    Raises
    ------
    QueryError
        If it is none of these; with near guesses.
    """
    return _Asked(Tree(root)).about(target.strip())


class _Asked:
    def __init__(self, tree: Tree) -> None:
        self.tree, self.root, self.names = tree, tree.root, Names(tree.root)

    def about(self, target: str) -> Impact:
        path = self.as_path(target)
        if path is not None:
            files = {file: prefix for prefix, file in config_files(self.root).items()}
            readers = self.readers(path)
            if path in files and not readers:
                return self.of_key(KeyPlace(files[path], path, 1, (), None), path)
            return self.of_file(path, readers)
        place = find_key(self.root, target) or self.default_of_key(target)
        if place is not None:
            return self.of_key(place, target)
        package = self.of_package(target)
        if package is not None:
            return package
        known = [*all_keys(self.root), *self.packages(), *self.paths()]
        near = self.tree.guesses(target, known)
        raise QueryError(
            Problem(
                "this is no file, configuration key or package that any job here depends on",
                found=target,
                hint=f"did you mean {' or '.join(near)}?" if near else None,
            )
        )

    # ------------------------------------------------------------------ files
    def as_path(self, target: str) -> str | None:
        for base in (self.root, Path.cwd()):
            absolute = Path(os.path.normpath(base / target))
            if not absolute.is_relative_to(self.root) or absolute == self.root:
                continue
            path = absolute.relative_to(self.root).as_posix()
            if absolute.is_file() or self.readers(path) or self.tree.records.maker(path) is not None:
                return path
        return None

    def paths(self) -> Iterable[str]:
        for record in self.tree.records.values():
            yield from (entry["path"] for entry in record.inputs)
            yield from record.code_files

    def readers(self, path: str) -> list[tuple[Record, str]]:
        """Return the jobs that read a file or run it as code, with words for how."""
        found = []
        for record in self.tree.records.values():
            if path in (record.content["script"], record.content["notebook"]):
                found.append((record, "is run by it"))
            elif path in record.code_files:
                found.append((record, "is imported by it"))
            elif any(entry["path"] == path for entry in record.inputs):
                found.append((record, "is read by it"))
        return found

    def of_file(self, path: str, readers: list[tuple[Record, str]]) -> Impact:
        maker = self.tree.records.maker(path)
        notes = []
        if any(how != "is read by it" for _, how in readers):
            kind = "code"
            notes.append("Comments and formatting do not count: a change of these alone reruns nothing.")
        elif any(entry["path"] == path for record, _ in readers for entry in raw_inputs(record)):
            kind = "raw file"
        else:
            kind = "result" if maker is not None else "source"
        if maker is not None:
            notes.append(f"It is made by {maker.title}: change what that rests on, not the file.")
        if not readers:
            if maker is None:
                notes.append("No job that has run here reads it, runs it or imports it.")
            else:
                notes.append("No further job reads it.")
        direct = [self.touched(record, how, None, True) for record, how in readers]
        places = None
        only_paper = {record.rule for record, _ in readers} == {PAPER_RULE}
        if only_paper and maker is None:
            places, numbers_note = self.of_text(path)
            notes += numbers_note
        return self.finished(Impact(path, kind, direct=direct, notes=notes), places)

    def of_text(self, path: str) -> tuple[list[Use], list[str]]:
        """Return what a source of the manuscript shows, and what is to be said of it: the numbers stay as they are."""
        uses = self.tree.uses
        if path.endswith("claims.yaml"):
            shown = [use for use in uses if use.kind == "claim" or use.claim]
        else:
            shown = [use for use in uses if use.file == path]
        return shown, ["It is text: what it shows may move or be worded otherwise; no result changes."]

    # ------------------------------------------------------------------ keys
    def default_of_key(self, target: str) -> KeyPlace | None:
        """Return a key that no file writes and jobs have all the same: it has its default."""
        for prefix, file in sorted(config_files(self.root).items(), key=lambda item: -len(item[0])):
            if target.startswith(prefix + "."):
                path = tuple(target[len(prefix) + 1 :].split("."))
                for record in self.tree.records.values():
                    for parameter in self.parameters(target, path, record):
                        value = look_up(record.params, tuple(parameter.split(".")))
                        if value is not ABSENT:
                            return KeyPlace(target, file, 0, path, value)
        return None

    def parameters(self, name: str, path: tuple[str, ...], record: Record) -> list[str]:
        return parameters_of_key(self.root, name, path, record.cohort, record.wildcards, record.params)

    def of_key(self, place: KeyPlace, target: str) -> Impact:
        direct, notes = [], []
        for record in self.tree.records.values():
            if any(entry["path"] == place.file for entry in record.inputs):
                direct.append(self.touched(record, f"reads {place.file} as a whole", None, True))
                continue
            held = self.parameters(place.name, place.path, record)
            if held:
                where = self.named_by(record, place)
                can_change = where is not None or not place.path
                direct.append(self.touched(record, f"parameter {', '.join(held)}", where, can_change))
        graph = self.graph_reads(place)
        if graph:
            notes.append(
                f"It also decides which jobs there are ({graph}): jobs may come or go, which is not told here."
            )
        if place.path and any(not touched.can_change for touched in direct):
            notes.append(
                "A job runs again for any change of a parameter it is handed; where its code nowhere names "
                f"{self.word(place)!r}, its own result stays the same."
            )
        if not direct and not graph:
            notes.append("No job that has run here is handed this key.")
        value = place.value if place.path else None
        where = (
            "" if not place.path else (f"{place.file}:{place.line}" if place.line else f"{place.file} (its default)")
        )
        kind = "config key" if place.path else "config file"
        metas = [use for use in self.tree.uses if use.kind == "meta" and self.prints(use, place)]
        return self.finished(Impact(target, kind, where, value, direct, notes=notes), None, metas)

    @staticmethod
    def word(place: KeyPlace) -> str:
        return place.path[0]

    def named_by(self, record: Record, place: KeyPlace) -> str | None:
        """Return where the code of a job names the key; of nested keys, the outermost, which must be passed."""
        if not place.path:
            return None
        if place.name == "run.seed":  # reaches a job's code as this.seed alone
            return self.names.uses([record.content["script"]], "seed")
        if place.name == "run.publication_date":
            return self.uses_date(record)
        entries = [name for name in (record.content["script"], record.content["notebook"]) if name]
        files = [*entries, *sorted(path for path in record.code_files if path not in entries)]
        return self.names.uses(files, self.word(place))

    def uses_date(self, record: Record) -> str | None:
        """Return where a job's code uses the date of publication (or the time stamp made from it)."""
        files = [record.content["script"], *sorted(record.code_files)]
        files = [file for file in files if not file.startswith("src/sorafenib_rfa/records/")]
        return self.names.uses(files, "publication_date") or self.names.uses(files, "source_date_epoch")

    def graph_reads(self, place: KeyPlace) -> str | None:
        """Return where the workflow itself reads the key to decide which jobs there are."""
        if not place.path or place.name.startswith("plan."):
            return None
        word = self.word(place)
        if place.name in ("run.cohort", "run.supplement_cohorts"):
            word = "cohorts" if word == "cohort" else word
        elif word in ("seed", "publication_date", "renderer"):
            return None
        needle = re.compile(rf"(?:\.|\[[\"']){re.escape(word)}\b")
        for start in WORKFLOW:
            base = self.root / start
            for file in [base] if base.is_file() else sorted(base.glob("*.smk")):
                lines = file.read_text(encoding="utf-8").splitlines()
                for number, line in enumerate(lines, start=1):
                    if needle.search(line) and "model_dump" not in line:
                        return f"{file.relative_to(self.root).as_posix()}:{number}"
        return None

    def prints(self, use: Use, place: KeyPlace) -> bool:
        """Return whether a meta use prints this key."""
        fact = fact_of_meta(self.tree, use.target, use.paper)
        return fact.file == place.file and (not place.path or fact.key.split(".")[0] == place.path[0])

    # ------------------------------------------------------------------ packages
    def packages(self) -> set[str]:
        return {
            name for record in self.tree.records.values() for name in record.content["environment"]["distributions"]
        }

    def of_package(self, target: str) -> Impact | None:
        wanted = _normalised(target)
        direct, versions, unnoticed = [], set(), []
        for record in self.tree.records.values():
            environment = record.content["environment"]
            imported = {_normalised(name): version for name, version in environment["distributions"].items()}
            imported["python"] = environment["python"]
            tracked = record.params.get("environment") or {}
            tracked = {_normalised(name): version for name, version in tracked.items()}
            if wanted in tracked:
                versions.add(tracked[wanted])
                how = "imported it" if wanted in imported else "its code may import it, and did not when it ran"
                direct.append(self.touched(record, how, None, wanted in imported))
            elif wanted in imported:
                versions.add(imported[wanted])
                how = "imported it by way of another package; an upgrade does not rerun the job"
                direct.append(self.touched(record, how, None, True))
                unnoticed.append(record.path)
        metas = [use for use in self.tree.uses if use.kind == "meta" and use.target == f"version.{wanted}"]
        told = {touched.record for touched in direct}
        for record in (self.tree.papers[name] for name in sorted({use.paper for use in metas})):
            if record.path not in told:
                versions.add(fact_of_meta(self.tree, f"version.{wanted}", record.cohort).value)
                how = "prints its version; an upgrade does not rerun the job"
                direct.append(self.touched(record, how, None, True))
                unnoticed.append(record.path)
        if not direct:
            installed = self.installed()
            if wanted not in installed:
                return None
            note = "It is installed, and no job that has run here imports it."
            return Impact(target, "package", value=installed[wanted], notes=[note])
        notes = ["An upgrade reruns every job whose code, or a package it requires, imports it."]
        if unnoticed:
            rules = ", ".join(sorted({self.tree.records[path].rule for path in unnoticed}))
            notes.append(f"Not so those below of which it is said; force these: snakemake paper --forcerun {rules}")
        if any(not touched.can_change for touched in direct):
            notes.append("The result of a job that did not import it cannot change by it.")
        found = Impact(target, "package", value=", ".join(sorted(versions)), direct=direct, notes=notes)
        return self.finished(found, None, metas, unnoticed)

    def installed(self) -> dict[str, str]:
        """Return normalised name -> version of what is installed here."""
        from sorafenib_rfa.records.environment import Installed

        return {name: version for name, (version, _) in Installed().versions.items()}

    # ------------------------------------------------------------------ what rests on it
    def touched(self, record: Record, how: str, names_it: str | None, can_change: bool) -> Touched:
        return Touched(record.title, record.rule, record.cohort, record.path, how, names_it, can_change)

    def with_downstream(self, records: Iterable[str]) -> list[str]:
        found: set[str] = set()
        for path in records:
            found.add(path)
            found.update(record.path for record in self.tree.records.downstream(path))
        return sorted(found)

    def finished(
        self,
        found: Impact,
        places: list[Use] | None = None,
        metas: Iterable[Use] = (),
        unnoticed: Iterable[str] = (),
    ) -> Impact:
        """Return it with all that rests on its direct jobs.

        `places` are given for text, which changes no number; `metas` show the thing itself; the jobs of the records
        `unnoticed` do not run again by themselves.
        """
        tree = self.tree
        alone = set(unnoticed)
        would_run = self.with_downstream(t.record for t in found.direct if t.record not in alone)
        can_change = self.with_downstream(touched.record for touched in found.direct if touched.can_change)
        changing = set(can_change)
        seconds = sum(tree.records[path].seconds for path in would_run)
        files = sorted(entry["path"] for path in can_change for entry in tree.records[path].outputs)
        found = dataclasses.replace(
            found, would_run=would_run, can_change=can_change, seconds=round(seconds, 1), files=files
        )
        if places is not None:
            return self.shown_at(found, [], places)
        numbers = [
            f"{cohort}:{ard_id}"
            for cohort in tree.cohorts
            for ard_id, row in tree.ard(cohort).items()
            if f"results/{cohort}/{row['record']}" in changing
        ]
        affected = set(numbers)
        exhibits = {
            (kind, cohort, name)
            for (kind, cohort, name), paths in tree.exhibits.items()
            if any((tree.records.maker(path) or _NOBODY).path in changing for path in paths.values())
        }
        # a table is made again whenever any number changes; it says something else only if one of its own does
        tables = {
            (c, n)
            for k, c, n in exhibits
            if k == "table" and (affected.intersection(tree.rows_of_table(c, n)) or self.drawn_by(found, c, n))
        }
        figures = {(c, n) for k, c, n in exhibits if k == "figure"}
        uses = [
            use
            for use in tree.uses
            if affected.intersection(use.ard_ids)
            or (use.kind == "figure" and tree.figure_of_use(use) in figures)
            or (use.kind == "table" and tuple(use.target.split(":", 1)) in tables)
        ]
        found = dataclasses.replace(
            found,
            figures=sorted(f"{cohort}:{name}" for cohort, name in figures),
            tables=sorted(f"{cohort}:{name}" for cohort, name in tables),
        )
        return self.shown_at(found, numbers, [*uses, *metas])

    def drawn_by(self, found: Impact, cohort: str, name: str) -> bool:
        """Return whether the job that made a table is itself among the direct ones that can change."""
        maker = self.tree.records.maker(self.tree.exhibits[("table", cohort, name)]["md"])
        return any(touched.record == maker.path and touched.can_change for touched in found.direct)

    def shown_at(self, found: Impact, numbers: list[str], uses: list[Use]) -> Impact:
        shown = {identifier for use in self.tree.uses for identifier in use.ard_ids}
        return dataclasses.replace(
            found,
            numbers=sorted(numbers),
            numbers_in_paper=sorted(set(numbers) & shown),
            claims=sorted({use.target for use in uses if use.kind == "claim"}),
            places=sorted(set(uses), key=lambda use: (use.paper, use.file, use.line, use.kind, use.target)),
        )


class _Nobody:
    path = ""


_NOBODY = _Nobody()


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
