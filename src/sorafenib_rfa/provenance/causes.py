"""Why two runs of the same job gave different results: what differs in the lineage of its record.

The walk starts at one job and goes from an input whose bytes differ to the job that made it, in both sets of records;
where the bytes agree it stops, since whatever changed behind them did not get through.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sorafenib_rfa.provenance.config_keys import ABSENT, differences
from sorafenib_rfa.records.record import Record, Records

KINDS: Final = ("data", "parameter", "seed", "code", "software", "job", "result")
"""What can be a cause, in the order of display."""
ABSENT_TEXT: Final = "(absent)"
ENVIRONMENT: Final = "environment"
"""Tracked parameter that holds the versions of Python and of the distributions a rule's code rests on."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

CodeText = Callable[[Record, str, str], bytes | None]
"""Gives the bytes of a file of code as a job ran it: record, path, sha256; None where they are not kept."""


@dataclass(frozen=True)
class Cause:
    """One thing that differs between two runs of a lineage.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`. ``result``: a result was changed without its job having run.
    name : str
        File, parameter (as the configuration names it) or package.
    before, after : str
        Value of the parameter, version, digest; ``(absent)`` where there is none.
    job : str
        First job of the lineage to which it matters: rule and wildcards.
    detail : str
        Lines added and taken away, for code.
    """

    kind: str
    name: str
    before: str
    after: str
    job: str
    detail: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        if self.kind in ("parameter", "seed", "software"):
            return f"{self.kind} {self.name}: {self.before} -> {self.after}"
        if ABSENT_TEXT in (self.before, self.after):
            gone = self.after == ABSENT_TEXT
            return f"{self.kind} {self.name}: {'gone' if gone else 'new'}"
        return f"{self.kind} {self.name} changed{f' ({self.detail})' if self.detail else ''}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def config_name(parameter: str, record: Record) -> str:
    """Return the dotted configuration key that a job's parameter comes from; others keep their name."""
    top, dot, rest = parameter.partition(".")
    site = record.wildcards.get("site", "")
    prefixes = {
        "plan": "plan",
        "cohort_config": f"cohorts.{record.cohort}",
        "site_config": f"cohorts.{record.cohort}.sites.{site}",
        "sites": f"cohorts.{record.cohort}.sites",
        "cohorts": "cohorts",
        "study": f"validation.plans.{record.wildcards.get('study', 'default')}",
    }
    return prefixes.get(top, top) + dot + rest


def _shown(value: Any) -> str:
    if value is ABSENT:
        return ABSENT_TEXT
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def job_causes(old: Record, new: Record, code_text: tuple[CodeText, CodeText] | None = None) -> list[Cause]:
    """Return what differs between two runs of one job, apart from the content of its inputs."""
    found = []
    for key, before, after in differences(old.params, new.params):
        if _DIGEST.fullmatch(str(before)) and _DIGEST.fullmatch(str(after)):
            continue  # of source files: they are among the inputs, or the job is an export
        if key.partition(".")[0] == ENVIRONMENT:
            continue  # stands again, as what was imported, under the record's own environment
        found.append(Cause("parameter", config_name(key, new), _shown(before), _shown(after), new.title))
    if old.content.get("seed") != new.content.get("seed") and not any(c.name == "seed" for c in found):
        found.append(Cause("seed", "of the job", str(old.content.get("seed")), str(new.content.get("seed")), new.title))
    for path in sorted({*old.code_files, *new.code_files}):
        a, b = old.code_files.get(path), new.code_files.get(path)
        if a is not None and b is not None and a["sha256"] == b["sha256"]:
            continue  # its identity may differ all the same: each Python writes syntax trees in its own way
        if a is None or b is None or a["identity"] != b["identity"]:
            found.append(
                Cause(
                    "code",
                    path,
                    a["sha256"] if a else ABSENT_TEXT,
                    b["sha256"] if b else ABSENT_TEXT,
                    new.title,
                    _lines_changed(old, new, path, a, b, code_text),
                )
            )
    before, after = old.content.get("environment") or {}, new.content.get("environment") or {}
    if before.get("python") != after.get("python"):
        found.append(Cause("software", "Python", str(before.get("python")), str(after.get("python")), new.title))
    a, b = before.get("distributions") or {}, after.get("distributions") or {}
    for name in sorted({*a, *b}, key=str.lower):
        if a.get(name) != b.get(name):
            found.append(Cause("software", name, a.get(name, ABSENT_TEXT), b.get(name, ABSENT_TEXT), new.title))
    return found


def _lines_changed(
    old: Record,
    new: Record,
    path: str,
    a: dict[str, str] | None,
    b: dict[str, str] | None,
    code_text: tuple[CodeText, CodeText] | None,
) -> str:
    if code_text is None or a is None or b is None:
        return ""
    texts = code_text[0](old, path, a["sha256"]), code_text[1](new, path, b["sha256"])
    if texts[0] is None or texts[1] is None:
        return ""
    lines = [text.decode("utf-8", "replace").split("\n") for text in texts]
    plus = minus = 0
    for line in difflib.unified_diff(*lines, n=0, lineterm=""):
        plus += line.startswith("+") and not line.startswith("+++")
        minus += line.startswith("-") and not line.startswith("---")
    return f"+{plus} -{minus} lines"


def causes_of(
    old: Records, new: Records, record: str, code_text: tuple[CodeText, CodeText] | None = None
) -> list[Cause]:
    """Return what may have changed the results of the job with this record, by kind and name.

    Parameters
    ----------
    old, new : Records
    record : str
        Path of the record, the same in both.
    code_text : pair of functions, optional
        Give code as it ran in the old and the new tree, to count changed lines.

    Returns
    -------
    list of Cause
        Everything in the lineage that differs and got through to this job. Which of several did it cannot be said
        without running each alone.
    """
    found: dict[tuple[str, str, str, str], Cause] = {}
    seen: set[str] = set()

    def keep(cause: Cause) -> None:
        found.setdefault((cause.kind, cause.name, cause.before, cause.after), cause)

    def visit(path: str) -> None:
        if path in seen:
            return
        seen.add(path)
        a, b = old.get(path), new.get(path)
        if a is None or b is None:
            title = (b or a).title if (b or a) is not None else path  # type: ignore[union-attr]
            keep(
                Cause("job", title, "run" if a else ABSENT_TEXT, "run" if b else ABSENT_TEXT, title, "no record of it")
            )
            return
        for cause in job_causes(a, b, code_text):
            keep(cause)
        before = {entry["path"]: entry["sha256"] for entry in a.inputs}
        after = {entry["path"]: entry["sha256"] for entry in b.inputs}
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            maker = new.maker(name) or old.maker(name)
            if maker is not None and maker.path != path:
                if name in before and name in after and _same_run(old, new, maker.path):
                    keep(Cause("result", name, before[name], after[name], maker.title, "its job recorded other bytes"))
                visit(maker.path)
            else:
                keep(Cause("data", name, before.get(name, ABSENT_TEXT), after.get(name, ABSENT_TEXT), b.title))

    visit(record)
    return sorted(found.values(), key=lambda cause: (KINDS.index(cause.kind), cause.name))


def _same_run(old: Records, new: Records, path: str) -> bool:
    a, b = old.get(path), new.get(path)
    return a is not None and b is not None and a.seal == b.seal
