"""What would be made again, and why, in words: Snakemake's own verdict, explained from the records.

Snakemake says that parameters or inputs changed. The records know what they were: which file of code, reached through
which imports; which key of the configuration, from which value to which; which input, made anew by which job.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.provenance.config_keys import ABSENT, differences, place_of_parameter
from sorafenib_rfa.provenance.plan import PlanError, PlannedJob, read_plan
from sorafenib_rfa.provenance.trace import KINDS
from sorafenib_rfa.provenance.tree import QueryError, Tree
from sorafenib_rfa.records.code_identity import CACHE, CodeIdentity
from sorafenib_rfa.records.record import Record
from sorafenib_rfa.records.run_log import ends, read_log, run_log_path
from sorafenib_rfa.records.seals import check_seals

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
"""A parameter of this shape is the digest of source files: which file changed is told instead."""


@dataclass(frozen=True)
class Cause:
    """One reason why a job would run.

    Attributes
    ----------
    kind : str
        missing, never_made, code, parameter, package, input, upstream, unfinished or other.
    text : str
        One sentence.
    details : dict
        What the sentence is made of: path, route, key, place, before, after, record.
    """

    kind: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WhyJob:
    """One job that would run.

    Attributes
    ----------
    title, rule, cohort, record : str
    outputs : list of str
    causes : list of Cause
    begins : bool
        Whether it has a cause of its own, and does not merely follow another job.
    seconds : float or None
        How long it took the last time.
    snakemake : list of str
        Snakemake's own reasons.
    """

    title: str
    rule: str
    cohort: str
    record: str
    outputs: list[str]
    causes: list[Cause]
    begins: bool
    seconds: float | None
    snakemake: list[str]


@dataclass(frozen=True)
class SharedCause:
    """One cause and every job that has it.

    Attributes
    ----------
    kind, text : str
        As of :class:`Cause`; of code without the way it is imported.
    jobs : list of str
        Titles, one a job, in the order in which they would run.
    records : list of str
        Their records.
    route : list of str
        Of code: the shortest way from a script to the file, each importing the next.
    """

    kind: str
    text: str
    jobs: list[str]
    records: list[str]
    route: list[str]


@dataclass(frozen=True)
class LastTime:
    """When a job was made the last time and why.

    Attributes
    ----------
    record, time, event : str
        `event` is finished or adopted.
    seconds : float or None
    reasons : list of str
        Snakemake's reasons at that time, if its log is still there.
    times : int
        How often the run log says that it was made.
    same_as_before : bool or None
        Whether the result (the seal) was the same as the time before; None if there was none.
    """

    record: str
    time: str
    event: str
    seconds: float | None
    reasons: list[str]
    times: int
    same_as_before: bool | None


@dataclass(frozen=True)
class Why:
    """The answer for one target.

    Attributes
    ----------
    target : str
        As asked for.
    path : str
        The file it stands for; empty for a named target of the workflow.
    jobs : list of WhyJob
        Those with a cause of their own first, then those that follow, each in the order in which they would run.
    broken : list of dict
        Broken seals: Snakemake refuses to run before they are mended.
    last : LastTime or None
        Of the job that made `path`.
    """

    target: str
    path: str
    jobs: list[WhyJob]
    broken: list[dict[str, Any]]
    last: LastTime | None

    @property
    def causes(self) -> list[SharedCause]:
        """What begins it: each cause once, those of most jobs first."""
        found: dict[tuple[str, str], list[tuple[WhyJob, Cause]]] = {}
        for job in self.jobs:
            for cause in job.causes:
                if cause.kind != "upstream":
                    found.setdefault((cause.kind, cause.details.get("shared", cause.text)), []).append((job, cause))
        shared = [
            SharedCause(
                kind,
                text,
                [job.title for job, _ in each],
                [job.record for job, _ in each],
                min((cause.details.get("route", []) for _, cause in each), key=len),
            )
            for (kind, text), each in found.items()
        ]
        return sorted(shared, key=lambda cause: (-len(cause.jobs), cause.kind, cause.text))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        causes = [dataclasses.asdict(cause) for cause in self.causes]
        return {**dataclasses.asdict(self), "causes": causes, "up_to_date": not self.jobs}


def why(root: Path, target: str | None = None) -> Why:
    """Return what would be made again for a target, and why.

    Parameters
    ----------
    root : Path
        Repository root.
    target : str, optional
        A path, an identifier as :func:`~.trace.trace` takes it, or a target of the workflow; none: the whole paper.

    Raises
    ------
    QueryError, PlanError
        If the target names nothing, or Snakemake cannot plan.
    """
    tree = Tree(root)
    asked, path = _target(tree, target)
    try:
        planned = [job for job in read_plan(root, [asked] if asked else []) if job.record is not None]
    except PlanError as error:
        if "MissingRuleException" not in error.said:
            raise
        near = tree.guesses(asked) if tree.built else []
        raise QueryError(
            Problem(
                "no rule makes this, and it is no target of the workflow",
                found=asked,
                hint=f"did you mean {' or '.join(near)}?" if near else None,
            )
        ) from None
    broken = [{**dataclasses.asdict(breach), "broken": True} for breach in check_seals(root) if breach.broken]
    return Why(
        target=target or "paper",
        path=path,
        jobs=_Reasons(tree, planned).jobs(),
        broken=broken,
        last=_last_time(tree, path) if path else None,
    )


def _target(tree: Tree, target: str | None) -> tuple[str, str]:
    """Return what Snakemake is asked for, and the file that stands for it."""
    if target is None:
        return "", ""
    root = tree.root
    if re.fullmatch(r"[a-z_]+", target):
        return target, ""  # a target of the workflow: ids hold dots or colons, paths slashes
    for base in (root, Path.cwd()):
        absolute = Path(base / target)
        if absolute.is_relative_to(root) and tree.built.maker(absolute.relative_to(root).as_posix()) is not None:
            path = absolute.relative_to(root).as_posix()
            maker = tree.built.maker(path)
            made = {entry["path"] for entry in maker.outputs}
            return (path, path) if path in made else (next(p for p in _above(path) if p in made), path)
    if target in tree.built:
        return tree.built[target].outputs[0]["path"], target
    prefix = target.partition(":")[0]
    if prefix in KINDS or prefix in (tree.cohorts if tree.built else []) or not ("/" in target or "." in target):
        return _file_of_identifier(tree, target)
    if "/" in target:
        return target, target  # not made yet: Snakemake knows whether it can be
    return _file_of_identifier(tree, target)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _file_of_identifier(tree: Tree, identifier: str) -> tuple[str, str]:
    from sorafenib_rfa.provenance.trace import trace

    chain = trace(tree.root, identifier, tree=tree, seals=False)
    if chain.kind == "number":
        path = chain.rows[0]["file"]
    elif chain.files:
        path = next(iter(chain.files.values()))
    elif chain.cohort in tree.papers:
        path = next(e["path"] for e in tree.papers[chain.cohort].outputs if e["path"].endswith(".html"))
    else:
        raise QueryError(Problem("no job makes this", found=identifier))
    return path, path


class _Reasons:
    def __init__(self, tree: Tree, planned: list[PlannedJob]) -> None:
        self.tree, self.root = tree, tree.root
        self.planned = {job.record: job for job in planned}
        self.needed = {record: job for record, job in self.planned.items() if job.needs_run}
        self.makers = {path: job for job in planned for path in job.outputs}
        cache = tree.root / CACHE
        self.identity = CodeIdentity(tree.root, cache=cache if cache.is_file() else None)
        self.digests: dict[str, str | None] = {}

    def jobs(self) -> list[WhyJob]:
        found = [self.job(self.needed[record]) for record in self.ordered()]
        return [job for job in found if job.begins] + [job for job in found if not job.begins]

    def ordered(self) -> list[str]:
        """Return the records of the needed jobs, makers before readers."""
        done: dict[str, None] = {}

        def visit(record: str) -> None:
            if record in done:
                return
            for path in self.needed[record].inputs:
                maker = self.maker(path)
                if maker is not None and maker.record in self.needed and maker.record != record:
                    visit(maker.record)
            done[record] = None

        for record in sorted(self.needed):
            visit(record)
        return list(done)

    def maker(self, path: str) -> PlannedJob | None:
        return next((self.makers[above] for above in _above(path) if above in self.makers), None)

    def sha256(self, path: str) -> str | None:
        if path not in self.digests:
            from sorafenib_rfa.records.digests import sha256_of

            file = self.root / path
            self.digests[path] = sha256_of(file) if file.exists() else None
        return self.digests[path]

    # ------------------------------------------------------------------ one job
    def job(self, job: PlannedJob) -> WhyJob:
        record = self.tree.built.get(job.record)
        causes = list(self.missing(job, record))
        if record is not None:
            causes += [*self.code(job, record), *self.parameters(job, record), *self.inputs(job, record)]
        follows = list(self.upstream(job))
        if not causes and not follows:
            causes = [self.other(job)]
        rest = [value for key, value in sorted(job.wildcards.items()) if key != "cohort"]
        cohort = record.cohort if record is not None else job.record.split("/")[1]
        return WhyJob(
            title=" ".join([job.rule, *rest]),
            rule=job.rule,
            cohort=cohort,
            record=job.record,
            outputs=[path for path in job.outputs if path != job.record],
            causes=causes + follows,
            begins=bool(causes),
            seconds=record.seconds if record is not None else None,
            snakemake=job.reasons,
        )

    def missing(self, job: PlannedJob, record: Record | None) -> Iterable[Cause]:
        gone = [path for path in job.outputs if path != job.record and not (self.root / path).exists()]
        outputs = [path for path in job.outputs if path != job.record]
        if record is None and not (self.root / job.record).exists():
            if len(gone) == len(outputs):
                yield Cause("never_made", "It was never made here.", {"paths": gone})
            else:
                yield Cause("missing", f"Its record is missing: {job.record}.", {"paths": [job.record]})
        elif record is None:
            yield Cause("missing", f"Its record cannot be read: {job.record}.", {"paths": [job.record]})
        elif gone:
            word = "file it made is" if len(gone) == 1 else f"{len(gone)} files it made are"
            some = f"{gone[0]}{' and others' if len(gone) > 1 else ''}"
            text = f"A {word} gone: {some}." if len(gone) == 1 else f"{word[0].upper()}{word[1:]} gone: {some}."
            yield Cause("missing", text, {"paths": gone})

    def code(self, job: PlannedJob, record: Record) -> Iterable[Cause]:
        entries = [name for name in (record.content["script"], record.content["notebook"]) if name]
        try:
            now = self.identity.files(*entries)
        except (OSError, SyntaxError, ValueError) as error:
            yield Cause("code", f"Its code cannot be read: {error}.", {"path": entries[0]})
            return
        before = {path: file["identity"] for path, file in record.code_files.items()}
        for path in sorted({*before, *now}):
            if before.get(path) == now.get(path):
                continue
            if path in before and path in now and self.sha256(path) == record.code_files[path]["sha256"]:
                continue  # each Python writes syntax trees, so identities, in its own way
            route = self.identity.route(entries, path) if path in now else []
            how = "changed" if path in before and path in now else ("is new" if path in now else "is no longer used")
            through = ""
            if len(route) > 2:
                through = f", which {Path(route[0]).name} imports through {', '.join(_short(p) for p in route[1:-1])}"
            elif len(route) == 2:
                through = f", which {Path(route[0]).name} imports"
            text = f"Code {how}: {path}"
            yield Cause("code", f"{text}{through}.", {"path": path, "how": how, "route": route, "shared": f"{text}."})

    def parameters(self, job: PlannedJob, record: Record) -> Iterable[Cause]:
        for key, before, after in differences(record.params, job.params):
            name = key.split(".")[0]
            if name == "source_date_epoch" and isinstance(before, int) and isinstance(after, int):
                before, after = (dt.datetime.fromtimestamp(each, dt.UTC).date() for each in (before, after))
            if _is_digest(before) and _is_digest(after) and self.sources_changed(record):
                continue
            if name == "source_date_epoch" and any(k == "publication_date" for k in {*record.params, *job.params}):
                continue
            details = {"key": key, "before": _value(before), "after": _value(after)}
            change = f"{_shown(before)} -> {_shown(after)}"
            if name == "environment":
                package = key.removeprefix("environment").lstrip(".")
                yield Cause("package", f"Package {package}: {change}.", {**details, "package": package})
                continue
            place = place_of_parameter(self.root, record.cohort, record.wildcards, key)
            where = f" ({place.file}:{place.line})" if place is not None else ""
            known = place.name if place is not None and _same_key(place.name, key) else key
            if place is not None:
                details |= {"config_key": place.name, "place": f"{place.file}:{place.line}"}
            yield Cause("parameter", f"{known}: {change}{where}.", details)

    def sources_changed(self, record: Record) -> bool:
        return any(
            entry["made_by"] is None and self.sha256(entry["path"]) != entry["sha256"] for entry in record.inputs
        )

    def inputs(self, job: PlannedJob, record: Record) -> Iterable[Cause]:
        before = {entry["path"]: entry for entry in record.inputs}
        for path in sorted({*before, *job.inputs}):
            maker = self.maker(path)
            if path not in job.inputs:
                yield Cause("input", f"It no longer reads {path}.", {"path": path, "how": "removed"})
            elif path not in before:
                yield Cause("input", f"It now also reads {path}.", {"path": path, "how": "added"})
            elif maker is not None and maker.record in self.needed:
                continue  # told as following that job
            else:
                yield from self.input(path, before[path])

    def input(self, path: str, entry: dict[str, Any]) -> Iterable[Cause]:
        now = self.sha256(path)
        details = {"path": path, "before": entry["sha256"], "after": now}
        made_by = self.tree.built.maker(path)
        if made_by is not None and (entry["made_by"] or {}).get("seal") != made_by.seal:
            when = str(made_by.run.get("ended", ""))[:16].replace("T", " ")
            content = "with another content" if now != entry["sha256"] else "with the same content"
            text = f"{path} was made anew {content} by {made_by.title} ({when} UTC)."
            yield Cause("input", text, {**details, "record": made_by.path})
        elif now != entry["sha256"]:
            change = f"{entry['sha256'][:12]} -> {now[:12]}" if now is not None else "it is gone"
            yield Cause("input", f"{path} changed: {change}.", details)

    def upstream(self, job: PlannedJob) -> Iterable[Cause]:
        makers: dict[str, list[str]] = {}
        for path in job.inputs:
            maker = self.maker(path)
            if maker is not None and maker.record in self.needed and maker.record != job.record:
                makers.setdefault(maker.record, []).append(path)
        for record, paths in makers.items():
            maker = self.needed[record]
            rest = [value for key, value in sorted(maker.wildcards.items()) if key != "cohort"]
            title = " ".join([maker.rule, *rest])
            yield Cause("upstream", f"It reads what {title} makes.", {"record": record, "paths": paths})

    def other(self, job: PlannedJob) -> Cause:
        """Return a cause in Snakemake's words, where the records show none."""
        said = "; ".join(_brief(reason) for reason in job.reasons) or "Snakemake gives no reason"
        if "newer" in said.lower() or "updated input" in said.lower():
            return Cause("other", f"{said}. Their content is what was read: only their time is newer.", {})
        return Cause("other", f"{said}.", {})


def _same_key(name: str, parameter: str) -> bool:
    """Return whether a configuration key is the parameter's own, and not one above it."""
    last = parameter.rpartition(".")[2]
    return name.rpartition(".")[2] == last or parameter in ("source_date_epoch", "folder")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _short(path: str) -> str:
    return path.removeprefix("src/sorafenib_rfa/")


def _brief(reason: str, most: int = 3) -> str:
    """Return one of Snakemake's reasons with long lists of files cut."""
    head, colon, files = reason.partition(": ")
    names = files.split(", ")
    if not colon or len(names) <= most:
        return reason
    return f"{head}: {', '.join(names[:most])} and {len(names) - most} more"


def _value(value: Any) -> Any:
    return None if value is ABSENT else str(value) if isinstance(value, dt.date) else value


def _shown(value: Any, most: int = 60) -> str:
    """Return a value of the configuration as one short text."""
    if value is ABSENT:
        return "(not there)"
    text = value if isinstance(value, str) and value else str(value) if isinstance(value, dt.date) else repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def last_reasons(root: Path, rule: str, wildcards: dict[str, str]) -> list[str]:
    """Return why Snakemake last ran a job, from its own logs; empty if they are gone."""
    wanted = ", ".join(f"{key}={value}" for key, value in wildcards.items())
    for path in sorted((root / ".snakemake" / "log").glob("*.snakemake.log"), reverse=True):
        text = path.read_text(encoding="utf-8", errors="replace")
        for block in reversed(re.split(r"\n(?=(?:local)?(?:rule|checkpoint) )|\n\[", text)):
            if not re.match(rf"(?:local)?rule {re.escape(rule)}:", block):
                continue
            fields = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
            if fields.get("wildcards", "") == wanted and "reason" in fields:
                if re.search(rf"Finished jobid: {fields.get('jobid', '-')} \(Rule: {re.escape(rule)}\)", text):
                    return [_brief(part) for part in fields["reason"].split("; ")]
    return []


def _last_time(tree: Tree, path: str) -> LastTime | None:
    record = tree.built.get(path) or tree.built.maker(path)
    if record is None:
        return None
    entries = read_log(run_log_path(tree.root, record.path.split("/")[1]))
    mine = [
        entry.content
        for entry in entries
        if entry.content.get("record") == record.path and entry.content.get("event") in ("finished", "adopted")
    ]
    if not mine:
        return None
    last = ends(entries)[record.path].content
    return LastTime(
        record=record.path,
        time=str(last.get("time")),
        event=str(last.get("event")),
        seconds=last.get("seconds"),
        reasons=last_reasons(tree.root, record.rule, record.wildcards),
        times=len(mine),
        same_as_before=mine[-2].get("seal") == mine[-1].get("seal") if len(mine) > 1 else None,
    )
