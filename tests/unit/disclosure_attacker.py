"""An attacker on a public release, who sees what is published and nothing else, and shares no code with the release.

From the cells of published tables (and the boxes of the flow diagram) relations are built as a reader knows them:
levels of a variable and those without a value make up the group, arms make up all patients, who was screened was
quarantined, excluded or analysed, sites make up the whole; a percentage and its count tell the denominator. What was
rounded may be anything that rounds to it. Linear programming then says between which values each hidden cell must lie.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

INDENT = "\u00a0\u00a0\u00a0"
WHOLE = ("Overall", "All patients", "All")
FAR = 1e6


@dataclass
class Attack:
    """Cells by name, what is known of each, and sums that hold between them."""

    base: int
    threshold: int
    cells: dict[str, tuple[float, float]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    sums: list[tuple[str, list[str]]] = field(default_factory=list)
    at_most: list[tuple[str, str]] = field(default_factory=list)

    def see(self, name: str, text: str) -> bool:
        """Take note of a printed count."""
        text = text.strip().replace(",", "")
        if re.fullmatch(r"\d+", text):
            ends = self.rounded(int(text))
        elif re.fullmatch(r"<\d+", text):
            ends = 1.0, float(text[1:]) - 1
            self.hidden.add(name)
        elif text.startswith("["):
            ends = 1.0, FAR
            self.hidden.add(name)
        else:
            return False
        self.know(name, *ends)
        return True

    def know(self, name: str, low: float, high: float) -> None:
        before = self.cells.get(name, (0.0, FAR))
        self.cells[name] = max(low, before[0]), min(high, before[1])

    def denominator(self, name: str, count: str, share: str) -> None:
        """Take note of what a printed count and its percentage say of the printed form of the denominator."""
        if not re.fullmatch(r"\d+", count) or int(count) == 0:
            return
        slack = 0.5 * 10 ** -len(share.partition(".")[2]) + 1e-9
        shown = [
            number for number in range(self.base, 3000, self.base)
            if abs(100 * int(count) / number - float(share)) <= slack
        ]  # fmt: skip
        assert shown, f"{count} ({share}%) is a share of no released number"
        self.know(name, self.rounded(shown[0])[0], self.rounded(shown[-1])[1])

    def rounded(self, number: int) -> tuple[float, float]:
        """Return which counts are printed as a number: none are small, for those are hidden."""
        if number == 0:
            return 0.0, 0.0
        return max(number - (self.base - 1) // 2 - (self.base % 2 == 0), self.threshold), number + (self.base - 1) // 2

    def add(self, whole: str, parts: list[str]) -> None:
        if whole in self.cells and len(parts) > 1 and all(part in self.cells for part in parts):
            self.sums.append((whole, parts))

    def within(self, part: str, whole: str) -> None:
        if part in self.cells and whole in self.cells:
            self.at_most.append((part, whole))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the least and the largest value of every hidden cell."""
        names = sorted(self.cells)
        place = {name: j for j, name in enumerate(names)}
        equal = np.zeros((len(self.sums), len(names)))
        for i, (whole, parts) in enumerate(self.sums):
            equal[i, place[whole]] -= 1
            for part in parts:
                equal[i, place[part]] += 1
        less = np.zeros((len(self.at_most), len(names)))
        for i, (part, whole) in enumerate(self.at_most):
            less[i, place[part]], less[i, place[whole]] = 1, -1
        result = {}
        for name in sorted(self.hidden):
            ends = []
            for sign in (1, -1):
                objective = np.zeros(len(names))
                objective[place[name]] = sign
                solved = linprog(
                    objective,
                    A_ub=less if len(less) else None,
                    b_ub=np.zeros(len(less)) if len(less) else None,
                    A_eq=equal if len(equal) else None,
                    b_eq=np.zeros(len(equal)) if len(equal) else None,
                    bounds=[self.cells[each] for each in names],
                    method="highs",
                )
                assert solved.status == 0, f"what is published contradicts itself: {solved.message}"
                ends.append(solved.x[place[name]])
            result[name] = (float(ends[0]), float(ends[1]))
        return result

    def narrow(self, fewer_than: int) -> dict[str, tuple[float, float]]:
        """Return the hidden cells of which fewer whole numbers are possible than asked for."""
        found = self.ranges()
        return {
            name: ends
            for name, ends in found.items()
            if math.floor(ends[1] + 1e-6) - math.ceil(ends[0] - 1e-6) + 1 < fewer_than
        }


def read_table(path: Path) -> list[list[str]]:
    """Return a published table as lines of cells."""
    lines: dict[int, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            lines.setdefault(int(row["row"]), []).append(row["text"])
    return [lines[number] for number in sorted(lines)]


def count_and_share(text: str) -> tuple[str, str | None]:
    """Return the count of a cell, and its percentage: ``12 (34.1%)``."""
    match = re.fullmatch(r"(\S+) \((\d+(?:\.\d+)?)%\)", text)
    return (match[1], match[2]) if match else (text, None)


def attack_crosstab(attack: Attack, table: list[list[str]], name: str = "") -> None:
    """Read a table of characteristics by group: sizes stand in the header, levels below the name of a variable."""
    header = table[0]
    groups = {}
    for j, title in enumerate(header):
        match = re.fullmatch(r"(.*) \(n\u00a0=\u00a0(.*)\)", title)
        if match and attack.see(f"{name}|n|{match[1]}", match[2]):
            groups[j] = match[1]
    whole = next((each for each in groups.values() if each in WHOLE), None)
    arms = [each for each in groups.values() if each != whole]
    if whole:
        attack.add(f"{name}|n|{whole}", [f"{name}|n|{arm}" for arm in arms])
    variable, blocks = "", {}
    for cells in table[1:]:
        label = cells[0]
        if not label.startswith(INDENT):
            variable = label
        level = label.strip("\u00a0 ")
        seen = []
        for j, group in groups.items():
            text, share = count_and_share(cells[j])
            cell = f"{name}|{variable}|{level}|{group}"
            if attack.see(cell, text):
                seen.append(group)
                attack.within(cell, f"{name}|n|{group}")
            if share is not None:
                known = f"{name}|{variable}|known|{group}"
                attack.denominator(known, text, share)
                attack.within(cell, known)
                attack.within(known, f"{name}|n|{group}")
        if set(seen) == set(groups.values()):
            if whole:
                attack.add(f"{name}|{variable}|{level}|{whole}", [f"{name}|{variable}|{level}|{arm}" for arm in arms])
            blocks.setdefault(variable, []).append(level)
    for variable, levels in blocks.items():
        # a variable of two levels shows one of them only, and is no sum
        if variable not in levels:
            for group in groups.values():
                cells = {level: f"{name}|{variable}|{level}|{group}" for level in levels}
                known = [cell for level, cell in cells.items() if not level.startswith("Missing")]
                attack.add(f"{name}|n|{group}", list(cells.values()))
                attack.add(f"{name}|{variable}|known|{group}", known)
        for group in groups.values():
            lost = [level for level in levels if level.startswith("Missing")]
            if lost:
                parts = [f"{name}|{variable}|known|{group}", f"{name}|{variable}|{lost[0]}|{group}"]
                attack.add(f"{name}|n|{group}", parts)


def attack_attrition(attack: Attack, table: list[list[str]]) -> None:
    """Read who was screened, left at each step, and was analysed."""
    groups = table[0][1:]
    for j, group in enumerate(groups, start=1):
        steps = []
        for cells in table[1:]:
            cell = f"attrition|{cells[0].strip(chr(0xA0))}|{group}"
            attack.see(cell, cells[j])
            steps.append(cell)
        attack.add(steps[0], steps[1:])


def attack_sites(attack: Attack, table: list[list[str]]) -> None:
    """Read what became of the patients of each site."""
    header, rows = table[0], table[1:]
    for cells in rows:
        for title, text in zip(header[1:], cells[1:], strict=True):
            attack.see(f"sites|{cells[0]}|{title}", text)
        attack.add(
            f"sites|{cells[0]}|Screened", [f"sites|{cells[0]}|{x}" for x in ("Quarantined", "Excluded", "Analysed")]
        )
    for title in header[1:]:
        attack.add(f"sites|All|{title}", [f"sites|{cells[0]}|{title}" for cells in rows[:-1]])


def attack_release(folder: Path, *, base: int, threshold: int) -> Attack:
    """Read what a release publishes about its main cohort."""
    attack = Attack(base, threshold)
    tables = {path.stem: read_table(path) for path in sorted((folder / "tables").glob("*.csv"))}
    attack_crosstab(attack, tables["baseline"])
    if "attrition" in tables:
        attack_attrition(attack, tables["attrition"])
        for group in ("RFA + sorafenib", "RFA alone"):  # the same patients in two tables
            attack.sums.append((f"|n|{group}", [f"attrition|Analysed|{group}"]))
        attack.sums.append(("|n|Overall", ["attrition|Analysed|All"]))
    if "sites" in tables:
        attack_sites(attack, tables["sites"])
        attack.sums.append(("|n|Overall", ["sites|All|Analysed"]))
    with (folder / "figures" / "flow.csv").open(encoding="utf-8", newline="") as rows:
        lines = [row["text"].strip() for row in csv.DictReader(rows)]
    boxes = dict(match.groups() for line in lines if (match := re.fullmatch(r"(.*) \(n = (.*)\)", line)))
    for title, text in boxes.items():
        attack.see(f"flow|{title}", text)
    attack.add(
        "flow|Patients with any record", ["flow|Records that could not be used", "flow|Not eligible", "flow|Analysed"]
    )
    attack.add("flow|Assessed for eligibility", ["flow|Not eligible", "flow|Analysed"])
    if "attrition" in tables:
        for title in boxes:
            if f"attrition|{title}|All" in attack.cells:
                attack.sums.append((f"flow|{title}", [f"attrition|{title}|All"]))
    return attack
