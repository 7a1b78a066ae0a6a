"""Which numbers changed between two states of the study, where the paper shows them, and what changed them.

The other state is a bundle (its records tell its lineage) or a revision, which is made again in a scratch copy up to
its ARD. Numbers are held against each other row by row; the causes of a change are what differs in the lineages of the
jobs that estimated it.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.provenance.bundle import open_bundle
from sorafenib_rfa.provenance.causes import Cause, causes_of
from sorafenib_rfa.provenance.compare import near, tolerance_of
from sorafenib_rfa.provenance.interpretation import CLAIMS, Row, Said, interpretations
from sorafenib_rfa.provenance.scratch import (
    Progress,
    config_for,
    make_again,
    scratch_folder,
    unpack_revision,
)
from sorafenib_rfa.provenance.tree import Tree, Use
from sorafenib_rfa.records.code_store import code_bytes
from sorafenib_rfa.records.record import Record, Records, load_records
from sorafenib_rfa.records.seals import check_seals

VALUES: Final = ("value", "ci_low", "ci_high", "p_value")
ARD_FILES: Final = ("ard/ard.parquet", "validation/ard/ard.parquet")
CHANGED, ADDED, REMOVED = "changed", "added", "removed"
_INCLUDE: Final = re.compile(r"\{\{<\s*include\s+(\S+)\s*>\}\}")


class DiffError(UserError):
    """The two states cannot be compared."""

    title = "The states cannot be compared"


@dataclass(frozen=True)
class Shown:
    """One place where the paper shows a number.

    Attributes
    ----------
    file, line : str, int
        In the author's source.
    what : str
        ``text``, ``claim NAME``, ``table NAME`` or ``figure NAME``.
    """

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.what} ({self.file}:{self.line})"


@dataclass(frozen=True)
class NumberChange:
    """An ARD row that is not what it was.

    Attributes
    ----------
    id : str
        ``cohort:ard_id``.
    kind : str
        changed, added or removed.
    unit : str
    before, after : dict or None
        value, ci_low, ci_high, p_value.
    printed_before, printed_after : str
        As the paper would print it.
    absolute, relative : float or None
        Change of the value; relative to the value before.
    shown : tuple of Shown
    causes : tuple of int
        Positions in the list of causes.
    method_changed : bool
        Whether the description of the method differs.
    """

    id: str
    kind: str
    unit: str
    before: dict[str, float | None] | None
    after: dict[str, float | None] | None
    printed_before: str
    printed_after: str
    absolute: float | None
    relative: float | None
    shown: tuple[Shown, ...]
    causes: tuple[int, ...]
    method_changed: bool = False

    @property
    def printed_same(self) -> bool:
        """Whether a reader sees no difference."""
        return self.printed_before == self.printed_after

    def change(self) -> str:
        """Return absolute and relative change in words."""
        if self.absolute is None:
            return {ADDED: "new", REMOVED: "gone"}.get(self.kind, "")
        relative = f" ({self.relative:+.2%})" if self.relative is not None else ""
        return f"{self.absolute:+.4g}{relative}" if self.absolute else "interval or p value only"

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "id": self.id,
            "kind": self.kind,
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "printed_before": self.printed_before,
            "printed_after": self.printed_after,
            "printed_same": self.printed_same,
            "absolute": self.absolute,
            "relative": self.relative,
            "in_paper": bool(self.shown),
            "shown": [{"file": s.file, "line": s.line, "what": s.what} for s in self.shown],
            "causes": list(self.causes),
            "method_changed": self.method_changed,
        }


@dataclass(frozen=True)
class ClaimChange:
    """A claim whose wording is another one: the interpretation changed.

    Attributes
    ----------
    claim : str
    before, after : Said or None
    shown : tuple of Shown
    causes : tuple of int
    """

    claim: str
    before: Said | None
    after: Said | None
    shown: tuple[Shown, ...]
    causes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""

        def said(each: Said | None) -> dict[str, Any] | None:
            return None if each is None else {"condition": each.condition, "wording": each.wording, "line": each.line}

        return {
            "claim": self.claim,
            "before": said(self.before),
            "after": said(self.after),
            "shown": [{"file": s.file, "line": s.line, "what": s.what} for s in self.shown],
            "causes": list(self.causes),
        }


@dataclass(frozen=True)
class Changes:
    """What differs between two states.

    Attributes
    ----------
    before : str
        The other state: revision or bundle.
    numbers : tuple of NumberChange
        Those in the paper first, the visible ones before those lost in rounding, in its order; then the others.
    claims : tuple of ClaimChange
    causes : tuple of Cause
        Numbered from 0; changes refer to them.
    compared : int
        Rows there are in both.
    within_tolerance : int
        Rows that differ by less than the declared tolerances.
    notes : tuple of str
    """

    before: str
    numbers: tuple[NumberChange, ...]
    claims: tuple[ClaimChange, ...]
    causes: tuple[Cause, ...]
    compared: int
    within_tolerance: int
    notes: tuple[str, ...] = field(default=())

    @property
    def in_paper(self) -> list[NumberChange]:
        """Changed numbers that the paper shows, those that it prints otherwise first."""
        return [number for number in self.numbers if number.shown]

    @property
    def printed_otherwise(self) -> list[NumberChange]:
        """Changed numbers of the paper in which a reader sees a difference."""
        return [number for number in self.in_paper if not number.printed_same]

    @property
    def exit_code(self) -> int:
        """0: no number and no interpretation changed; 1 otherwise."""
        return int(bool(self.numbers) or bool(self.claims))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "before": self.before,
            "compared": self.compared,
            "changed": len(self.numbers),
            "in_paper": len(self.in_paper),
            "printed_otherwise": len(self.printed_otherwise),
            "within_tolerance": self.within_tolerance,
            "claims": [claim.to_json() for claim in self.claims],
            "numbers": [number.to_json() for number in self.numbers],
            "causes": [cause.to_json() for cause in self.causes],
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }


class Watcher:
    """Is told how far it is; does nothing by itself."""

    def stage(self, text: str) -> None:
        """Be told that a stage begins."""

    def progress(self, progress: Progress) -> None:
        """Be told how far Snakemake is."""


def diff(root: Path, other: str, *, watcher: Watcher | None = None) -> Changes:
    """Compare the results of the tree with another state of the study.

    Parameters
    ----------
    root : Path
        Repository with results.
    other : str
        A bundle (bag, zip or results folder) if a file or folder of this name exists, else a git revision.
    watcher : Watcher, optional

    Raises
    ------
    DiffError
        If one of the two has no numbers.
    BundleError, ScratchError
        If the other state cannot be opened.
    """
    watcher = watcher or Watcher()
    tree = Tree(root)
    ours = read_ards(root)
    if not ours:
        raise DiffError(Problem("nothing has been built here", file="results/", hint="build it: make paper"))
    with scratch_folder("diff") as folder:
        bundle = Path(other).expanduser()
        notes: list[str] = []
        if bundle.exists():
            watcher.stage("opening the bundle")
            before, name = open_bundle(bundle, folder), f"bundle {other}"
            broken = [breach for breach in check_seals(before) if breach.broken]
            notes += [f"broken seal in the bundle: {breach.path}: {breach.message}" for breach in broken[:5]]
            if len(broken) > 5:
                notes.append(f"and {len(broken) - 5} more broken seals in the bundle")
        else:
            before, name = folder, _revision(root, other, folder, tree, ours, watcher, notes)
        watcher.stage("comparing the numbers")
        return compare_states(root, before, name, tree=tree, ours=ours, notes=notes)


def _revision(
    root: Path,
    revision: str,
    folder: Path,
    tree: Tree,
    ours: Mapping[str, Mapping[str, Row]],
    watcher: Watcher,
    notes: list[str],
) -> str:
    """Make the ARDs of a revision in `folder`; return how to call it."""
    watcher.stage(f"unpacking {revision}")
    commit = unpack_revision(root, revision, folder)
    _bring_raw_data(root, folder, tree.records)
    cohorts = sorted(ours)
    targets = [
        f"results/{cohort}/{file}"
        for cohort in cohorts
        for file in ARD_FILES
        if (root / "results" / cohort / file).is_file()
    ]
    watcher.stage("making its numbers again")
    rerun, unknown = make_again(folder, targets, config=config_for(folder, cohorts), on_progress=watcher.progress)
    notes += [f"{path} was not made at that revision" for path in unknown]
    for failure in rerun.failures[:5]:
        notes.append(f"failed at that revision: {failure.title}: {failure.message[:300]}")
    if not read_ards(folder):
        said = [line for line in rerun.said.split("\n") if line.strip()]
        raise DiffError(
            Problem(
                f"the numbers of {revision} could not be made again with this environment",
                found="\n".join(said[-12:]),
                hint="give a bundle of its results instead",
            )
        )
    if rerun.returncode and not rerun.failures:
        notes.append("not all numbers of that revision could be made again")
    return f"revision {revision} ({commit[:12]})"


def _bring_raw_data(root: Path, folder: Path, records: Records) -> None:
    """Link raw data that no job makes and git does not hold: a revision is made again on the data that are here."""
    for record in records.values():
        for entry in record.inputs:
            path = entry["path"]
            if entry["made_by"] is None and path.startswith("data/") and not (folder / path).exists():
                if (root / path).exists():
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).symlink_to((root / path).resolve())


def read_ards(root: Path) -> dict[str, dict[str, Row]]:
    """Return cohort -> ard_id -> row, of every collected ARD below ``results``."""
    import pyarrow.parquet as pq

    found: dict[str, dict[str, Row]] = {}
    for folder in sorted((root / "results").glob("*/")):
        for name in ARD_FILES:
            path = folder / name
            if not path.is_file():
                continue
            try:
                table = pq.read_table(path)
            except (OSError, ValueError) as error:
                shown = path.relative_to(root).as_posix()
                raise DiffError(Problem("it cannot be read", file=shown, found=str(error).split("\n")[0])) from None
            for row in table.to_pylist():
                found.setdefault(folder.name, {})[row["ard_id"]] = {**row, "cohort": folder.name}
    return found


# --- the comparison --------------------------------------------------------------------------------------------------


def compare_states(
    root: Path,
    before: Path,
    name: str,
    *,
    tree: Tree | None = None,
    ours: Mapping[str, Mapping[str, Row]] | None = None,
    notes: Iterable[str] = (),
) -> Changes:
    """Compare two trees with results; `before` may hold nothing but ``results``.

    Parameters
    ----------
    root, before : Path
        Roots: the present state and the one before.
    name : str
        How the state before is called.
    tree, ours, notes
        What is known already.
    """
    tree, ours, notes = tree or Tree(root), ours if ours is not None else read_ards(root), list(notes)
    theirs = read_ards(before)
    shared = [cohort for cohort in [*tree.cohorts, *ours] if cohort in theirs]
    shared = list(dict.fromkeys(shared))
    notes += [f"{cohort}: no results in the other state" for cohort in ours if cohort not in theirs]
    notes += [f"{cohort}: results in the other state only" for cohort in theirs if cohort not in ours]
    if not shared:
        raise DiffError(
            Problem("the two states have no cohort in common", found=", ".join(theirs), expected=", ".join(ours))
        )
    files = _reading_order(root)
    places = _places(tree, files)
    lineage = _Lineage(load_records(before), tree.records, before, root)
    if not lineage.old:
        notes.append("the other state has no job records: causes cannot be told")
    numbers, compared, within = [], 0, 0
    for cohort in shared:
        old, new = theirs[cohort], ours[cohort]
        for ard_id in sorted({*old, *new}):
            a, b = old.get(ard_id), new.get(ard_id)
            if a is not None and b is not None:
                compared += 1
                level = _rows_differ(a, b)
                within += level == 1
                if level < 2:
                    continue
            numbers.append(_number_change(cohort, ard_id, a, b, places, lineage))
    claims = _claims(root, before, tree, ours, theirs, places, lineage, notes)
    numbers.sort(key=lambda n: (not n.shown, n.printed_same, _first_place(n.shown, files), n.id))
    claims.sort(key=lambda c: (not c.shown, _first_place(c.shown, files), c.claim))
    return Changes(name, tuple(numbers), tuple(claims), tuple(lineage.causes), compared, within, tuple(notes))


def _reading_order(root: Path) -> dict[str, int]:
    """Return file -> position of the manuscript's parts, in the order in which a reader meets them."""
    order: dict[str, int] = {}

    def visit(name: str) -> None:
        path = root / "manuscript" / name
        if name in order or not path.is_file():
            return
        order[name] = len(order)
        for part in _INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
            visit(part)

    visit("index.qmd")
    return {f"manuscript/{name}": position for name, position in order.items()}


def _first_place(shown: Iterable[Shown], files: Mapping[str, int]) -> tuple[int, str, int]:
    places = ((files.get(place.file, len(files)), place.file, place.line) for place in shown)
    return min(places, default=(0, "", 0))


def _value(number: Any) -> float:
    return math.nan if number is None else float(number)


def _rows_differ(a: Row, b: Row) -> int:
    """Return 0: the same, 1: within the tolerances, 2: different."""
    level = 0
    for key in VALUES:
        x, y = _value(a.get(key)), _value(b.get(key))
        if x == y or (x != x and y != y):
            continue
        tolerance = tolerance_of("results/cohort/ard/ard.parquet", key)
        exact = tolerance is None or (tolerance.exact_where and b.get("unit") in tolerance.exact_where[1])
        level = max(level, 2 if exact or not near(x, y, tolerance) else 1)
    return level


def _plain(row: Row | None) -> dict[str, float | None] | None:
    if row is None:
        return None
    return {key: None if _value(row.get(key)) != _value(row.get(key)) else float(row[key]) for key in VALUES}


def printed(row: Row | None) -> str:
    """Return an ARD row as the paper prints it, with interval and p value where it has them."""
    if row is None:
        return ""
    from sorafenib_rfa.exhibits.format import format_value

    plain = {**row, **(_plain(row) or {})}
    has_interval = plain["ci_low"] is not None or plain["ci_high"] is not None
    text = format_value(plain, form="ci" if has_interval else "value", unit=True)
    if plain["p_value"] is not None and plain["unit"] != "p":
        text += f", {format_value(plain, form='p')}"
    return text


def _number_change(
    cohort: str,
    ard_id: str,
    a: Row | None,
    b: Row | None,
    places: Mapping[str, tuple[Shown, ...]],
    lineage: _Lineage,
) -> NumberChange:
    row = b or a or {}
    kind = CHANGED if a is not None and b is not None else ADDED if a is None else REMOVED
    before, after = _plain(a), _plain(b)
    absolute = relative = None
    if before and after and before["value"] is not None and after["value"] is not None:
        absolute = after["value"] - before["value"]
        relative = absolute / abs(before["value"]) if before["value"] else None
    full = f"{cohort}:{ard_id}"
    return NumberChange(
        full,
        kind,
        str(row.get("unit", "")),
        before,
        after,
        printed(a),
        printed(b),
        absolute,
        relative,
        places.get(full, ()),
        lineage.of(f"results/{cohort}/{row.get('record', '')}"),
        bool(a and b and a.get("method") != b.get("method")),
    )


class _Lineage:
    """Causes by job, each kept once and numbered."""

    def __init__(self, old: Records, new: Records, before: Path, root: Path) -> None:
        self.old, self.new = old, new
        self.causes: list[Cause] = []
        self._known: dict[str, tuple[int, ...]] = {}
        self._texts = (_code_text(before), _code_text(root))

    def of(self, record: str) -> tuple[int, ...]:
        """Return the positions of the causes that reach the job with this record."""
        if not self.old:
            return ()
        if record not in self._known:
            found = []
            for cause in causes_of(self.old, self.new, record, self._texts):
                same = next(
                    (
                        n
                        for n, each in enumerate(self.causes)
                        if (each.kind, each.name, each.before, each.after)
                        == (cause.kind, cause.name, cause.before, cause.after)
                    ),
                    None,
                )
                if same is None:
                    self.causes.append(cause)
                    same = len(self.causes) - 1
                found.append(same)
            self._known[record] = tuple(sorted(found))
        return self._known[record]


def _code_text(root: Path) -> Callable[[Record, str, str], bytes | None]:
    def text(record: Record, path: str, sha256: str) -> bytes | None:
        try:
            return code_bytes(root, record.path.split("/")[1], sha256)
        except OSError:
            return None

    return text


def _places(tree: Tree, files: Mapping[str, int]) -> dict[str, tuple[Shown, ...]]:
    """Return ``cohort:ard_id`` -> where the papers show it: sentences, claims, tables and figures."""
    found: dict[str, dict[Shown, None]] = {}
    figures: dict[tuple[str, str], list[Use]] = {}
    for use in tree.uses:
        if use.kind == "figure":
            figures.setdefault(tree.figure_of_use(use), []).append(use)
        what = {"table": f"table {_short(use.target)}", "claim": f"claim {use.target}"}.get(use.kind, "text")
        if use.claim and use.kind != "claim":
            what = f"claim {use.claim}"
        for ard_id in use.ard_ids if use.kind != "figure" else ():
            found.setdefault(ard_id, {})[Shown(use.file, use.line, what)] = None
    for (cohort, name), uses in figures.items():
        drawn = tree.exhibits.get(("figure", cohort, name), {}).get("csv")
        for ard_id in _drawn_rows(tree.root / drawn, cohort) if drawn else ():
            for use in uses:
                found.setdefault(ard_id, {})[Shown(use.file, use.line, f"figure {name}")] = None

    def order(shown: Shown) -> tuple[int, str, int, str]:
        return files.get(shown.file, len(files)), shown.file, shown.line, shown.what

    return {ard_id: tuple(sorted(places, key=order)) for ard_id, places in found.items()}


def _short(target: str) -> str:
    return target.partition(":")[2] or target


def _drawn_rows(path: Path, cohort: str) -> set[str]:
    if not path.is_file():
        return set()
    with path.open(encoding="utf-8", newline="") as stream:
        ids = {row.get("ard_id") or "" for row in csv.DictReader(stream)}
    return {each if ":" in each else f"{cohort}:{each}" for joined in ids for each in joined.split(";") if each}


def _claims(
    root: Path,
    before: Path,
    tree: Tree,
    ours: Mapping[str, Mapping[str, Row]],
    theirs: Mapping[str, Mapping[str, Row]],
    places: Mapping[str, tuple[Shown, ...]],
    lineage: _Lineage,
    notes: list[str],
) -> list[ClaimChange]:
    """Return the claims that say something else; asked of the first paper's cohort."""
    paper = next(iter(tree.papers), None)
    if paper is None:
        return []
    uses: dict[str, list[Shown]] = {}
    for use in tree.uses:
        if use.kind == "claim":
            uses.setdefault(use.target, []).append(Shown(use.file, use.line, f"claim {use.target}"))

    def row_of(ards: Mapping[str, Mapping[str, Row]]) -> Callable[[str], Row | None]:
        def one(identifier: str) -> Row | None:
            cohort, colon, ard_id = identifier.partition(":")
            row = ards.get(cohort if colon else paper, {}).get(ard_id if colon else identifier)
            return None if row is None else {**row, **(_plain(row) or {})}

        return one

    own = (before / CLAIMS).is_file()
    if not own:
        notes.append(f"the other state has no {CLAIMS}: its numbers are read by the present one")
    try:
        old = interpretations(before if own else root, row_of(theirs))
    except UserError as error:
        notes.append(f"{CLAIMS} of the other state cannot be read: {str(error).splitlines()[-1].strip()}")
        old = interpretations(root, row_of(theirs))
    new = interpretations(root, row_of(ours))
    changes = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if a is None or b is None:
            continue  # a claim that was written or taken out is a change of the text
        if a.wording == b.wording or a.condition == b.condition:
            continue  # said as before, or the same said in other words: no other interpretation
        causes: set[int] = set()
        for identifier in b.rows:
            cohort, colon, ard_id = identifier.partition(":")
            row = ours.get(cohort if colon else paper, {}).get(ard_id if colon else identifier)
            if row is not None:
                causes |= set(lineage.of(f"results/{row['cohort']}/{row['record']}"))
        changes.append(ClaimChange(name, a, b, tuple(uses.get(name, ())), tuple(sorted(causes))))
    return changes
