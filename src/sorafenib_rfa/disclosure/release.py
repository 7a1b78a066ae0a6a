"""What leaves the house: the report on what was done, and the folder that is checked before it is finished."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.checker import RULES, Finding, check_folder
from sorafenib_rfa.disclosure.curves import PublicCurves
from sorafenib_rfa.disclosure.results import TREATMENTS, PublicResults
from sorafenib_rfa.disclosure.suppression import HIDDEN, DisclosureError
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.files import write_csv

WITHHELD_TREATMENTS: Final = ("suppressed", "rests_on_suppressed", "single_patient", "unresolved")
"""Treatments after which nothing of a row's numbers is left."""

SHOWN_FINDINGS: Final = 200
"""Findings that are printed; how many more there are is said."""


@dataclass(frozen=True)
class PublicPart:
    """One cohort's part of a release.

    Attributes
    ----------
    cohort : str
    ard : DataFrame
        Public ARD.
    tables, figures : Path
        Folders of public exhibits.
    control : mapping
        From :func:`control_summary`.
    withheld_figures : mapping
        Figure -> why it is withheld.
    """

    cohort: str
    ard: pd.DataFrame
    tables: Path
    figures: Path
    control: Mapping[str, Any]
    withheld_figures: Mapping[str, str]


def control_summary(results: PublicResults, curves: PublicCurves, rules: Disclosure) -> dict[str, Any]:
    """Return what was done to a cohort's results, in words and numbers that may leave the house.

    Which hidden counts are small, and which are hidden for the sake of others, is not in it.
    """
    treated = results.ard["disclosure"].value_counts()
    return {
        "rules": rules.model_dump(),
        "rows": {name: int(treated.get(name, 0)) for name in TREATMENTS},
        "withheld_results": {
            name: results.ard.loc[results.ard["disclosure"] == name, "ard_id"].tolist() for name in WITHHELD_TREATMENTS
        },
        "audit": {
            "relations": len(results.counts.relations),
            "hidden_counts": sum(state in HIDDEN for state in results.suppressed.states),
            "every_hidden_count_keeps_at_least_this_many_values": rules.protection_width,
        },
        "curves": curves.notes,
        "withheld_curves": curves.withheld,
    }


def audit_table(results: PublicResults) -> pd.DataFrame:
    """Return the private account of the suppression: each hidden count, why, and what an attacker can work out.

    Columns ``ard_id, count, state, for_the_sake_of, possible_low, possible_high``: the last two are the ends of a range
    that was found wide enough, not always its ends.
    """
    counts, suppressed = results.counts, results.suppressed
    rows = []
    for number, state in enumerate(suppressed.states):
        if state not in HIDDEN:
            continue
        possible = suppressed.ranges.get(number)
        sake = suppressed.because.get(number)
        other = "" if sake is None else next(iter(counts.ids[sake]), "a complement")
        rows += [
            {
                "ard_id": name,
                "count": counts.sizes[number],
                "state": str(state),
                "for_the_sake_of": other,
                "possible_low": possible.low if possible else None,
                "possible_high": possible.high if possible else None,
            }
            for name in counts.ids[number]
        ]
    columns = ["ard_id", "count", "state", "for_the_sake_of", "possible_low", "possible_high"]
    return pd.DataFrame(rows, columns=columns).sort_values("ard_id", ignore_index=True)


def write_release(
    parts: Sequence[PublicPart],
    paper: Iterable[Path],
    destination: Path,
    *,
    rules: Disclosure,
    validation: tuple[pd.DataFrame, Sequence[Path]] | None,
    publication_date: str,
    secrets: Iterable[str],
) -> None:
    """Put a release together and look through it.

    Parameters
    ----------
    parts : sequence of PublicPart
        The cohort's own part first, then those its supplement shows.
    paper : iterable of Path
        The rendered paper; none for a cohort about which no paper is written.
    destination : Path
        Folder to make; one that is there is replaced.
    rules : Disclosure
    validation : (DataFrame, sequence of Path), optional
        ARD (in the public form) and exhibits of what is true of a simulated cohort.
    publication_date : str
        The one date that may stand.
    secrets : iterable of str
        Identifiers of patients: none may stand anywhere.

    Raises
    ------
    DisclosureError
        Naming everything that was found; what was put together is removed.
    """
    destination = Path(destination)
    _remove(destination)
    main = parts[0]
    for part in parts:
        folder = destination if part is main else destination / "supplement" / part.cohort
        ard = part.ard
        if part is main and validation is not None:
            ard = pd.concat([ard, validation[0]]).sort_values("ard_id", ignore_index=True)
            for path in validation[1]:
                (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / path.parent.name / path.name)
        write_csv(ard, folder / "ard.csv")
        _copy(part.tables, folder / "tables")
        _copy(part.figures, folder / "figures")
    for path in paper:
        (destination / "manuscript").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, destination / "manuscript" / path.name)
    report = {
        "cohort": main.cohort,
        "publication_date": publication_date,
        "treatments": dict(TREATMENTS),
        "checked": dict(RULES),
        "parts": {part.cohort: {**part.control, "withheld_figures": dict(part.withheld_figures)} for part in parts},
    }
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    (destination / "disclosure.json").write_text(text, encoding="utf-8", newline="\n")
    (destination / "disclosure.md").write_text(report_text(parts, rules), encoding="utf-8", newline="\n")
    findings = check_folder(
        destination,
        rules,
        dates=[publication_date],
        secrets=secrets,
        cohorts=[part.cohort for part in parts],
    )
    if findings:
        _remove(destination)
        raise DisclosureError(problems(findings))


def _remove(folder: Path) -> None:
    """Remove a folder by the names of its files: the guard of a job would take shutil's way for undeclared reading."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()


def _copy(source: Path, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, destination / path.name)


def problems(findings: Sequence[Finding]) -> list[Problem]:
    """Return findings as problems for people, as many as can be read."""
    shown = [
        Problem(each.rule, file=f"{each.file}, {each.where}", found=each.what, expected=RULES[each.rule])
        for each in findings[:SHOWN_FINDINGS]
    ]
    if len(findings) > SHOWN_FINDINGS:
        shown.append(Problem(f"and {len(findings) - SHOWN_FINDINGS} more"))
    return shown


def identifiers(members: Iterable[pd.DataFrame]) -> set[str]:
    """Return the identifiers of patients among members, and what of them is a patient's own within a centre.

    A bare number or a short word would be found in any text and is left out; the whole identifier is not.
    """
    found: set[str] = set()
    for frame in members:
        for subject in frame["USUBJID"].dropna().unique():
            own = str(subject).rpartition("-")[2]
            found.add(str(subject))
            if len(own) >= 5 and any(c.isalpha() for c in own) and any(c.isdigit() for c in own):
                found.add(own)
    return found


def report_text(parts: Sequence[PublicPart], rules: Disclosure) -> str:
    """Return ``disclosure.md``: what was done, what was withheld and why."""
    least = rules.threshold
    lines = [
        "# Disclosure control",
        "",
        "What stands in this folder may leave the house. It was made by the same code as the private results, from",
        "counts and curves that were changed as follows; nothing in it is about a single patient.",
        "",
        "| rule | value |",
        "|:--|:--|",
        f"| Counts from 1 to one below this are not released (shown as <{least} or \\[suppressed\\]) | {least} |",
        f"| Counts that lack so few of their denominator are not released either | {least} |",
        f"| Released counts are multiples of | {rules.rounding_base} |",
        f"| Whole numbers that remain possible for every hidden count, at least | {rules.protection_width} |",
        f"| Significant digits of estimates | {rules.significant_digits} |",
        f"| Curves step at multiples of (months) | {rules.curve_step_months:g} |",
        "",
        "Percentages, risk differences, risk ratios and rates are computed again from rounded counts, with their",
        "intervals. Counts from which a hidden one could be worked out are hidden too: the least and the largest value",
        "that everything released leaves possible were found by linear programming for every hidden count. Curves",
        f"step where {least} or more events have come together and end where fewer than {least} are at risk.",
        "In figures * stands for a count that is not released.",
        "Identifiers, dates, single values and everything with a row a patient are left out.",
        "",
    ]  # fmt: skip
    for part in parts:
        control = part.control
        lines += [f"## {part.cohort}", "", "| what became of the results | rows |", "|:--|--:|"]
        lines += [f"| {TREATMENTS[name].capitalize()} | {number} |" for name, number in control["rows"].items()]
        lines += ["", "The results that are withheld are named in disclosure.json and marked in ard.csv.", ""]
        lines += ["| withheld | why |", "|:--|:--|"]
        lines += [f"| figure {name} | {why} |" for name, why in sorted(part.withheld_figures.items())]
        lines += [f"| curve {name} | {why} |" for name, why in sorted(control["withheld_curves"].items())]
        if not part.withheld_figures and not control["withheld_curves"]:
            lines.append("| no figure and no curve | |")
        lines.append("")
    lines += ["## What was looked for", "", "| rule | asks for |", "|:--|:--|"]
    lines += [f"| {name} | {asks} |" for name, asks in RULES.items()]
    lines += ["", "Found: nothing.", ""]
    return "\n".join(lines)


def read_figures_withheld(path: Path) -> dict[str, str]:
    """Return figure -> why it is withheld, as :func:`write_figures_withheld` wrote it."""
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["figure"]: row["why"] for row in csv.DictReader(lines)}


def write_figures_withheld(reasons: Mapping[str, str], path: Path) -> None:
    """Write which figures are withheld, and why."""
    write_csv(pd.DataFrame(sorted(reasons.items()), columns=["figure", "why"]), path)
