"""The written report of a verification, in Markdown, laid out like the AEA data editor's replication report."""

from __future__ import annotations

import re

from sorafenib_rfa.provenance.compare import DIFFERENT, EQUAL, IDENTICAL, MISSING, TOLERANCES
from sorafenib_rfa.provenance.verify import CLASSIFICATIONS, Verdict

SHOWN = 200
"""Differing outputs listed; the JSON has them all."""


def cell(text: object) -> str:
    """Return `text` as it may stand in a cell of a Markdown table: one line, no markup, nothing hidden."""
    flat = " ".join(str(text).split())
    hidden = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
    flat = hidden.sub(lambda match: f"\\u{ord(match[0]):04x}", flat)
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", flat)


def report(verdict: Verdict) -> str:
    """Return the report as Markdown."""
    lines = ["# Verification report", ""]
    if verdict.claim is not None:
        lines += _claim(verdict)
    lines += ["## Classification", ""]
    if verdict.classification is None:
        lines += ["Not assessed: only the seals were checked, nothing was run again.", ""]
    else:
        lines += [f"- [{'x' if name == verdict.classification else ' '}] {name}" for name in CLASSIFICATIONS]
        lines += ["", "### Reason for incomplete reproducibility", ""]
        lines += [f"- [x] `{reason}`: {cell(text)}" for reason, text in verdict.reasons] or ["- [x] None."]
        lines += [""]
    lines += _seals(verdict)
    if verdict.classification is not None:
        lines += [*_run(verdict), *_outputs(verdict), *_environment(verdict), *_tolerances()]
    return "\n".join(lines).rstrip() + "\n"


def _claim(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    lines = [f"Only what `{cell(claim.id)}` rests on was run.", ""]
    if claim.printed:
        lines += [f"The paper says: {' / '.join(cell(text) for text in claim.printed[:3])}", ""]
    if claim.where:
        lines += [f"Where: {', '.join(cell(place) for place in claim.where)}", ""]
    if claim.numbers:
        lines += ["| number | | recorded | made again | |", "|---|---|---|---|---|"]
        for number in claim.numbers:
            for key, value in number.recorded.items():
                other = number.rerun[key]
                if value is not None or other is not None:
                    lines.append(f"| {cell(number.id)} | {key} | {value!r} | {other!r} | {number.level} |")
        lines.append("")
    if claim.branch_recorded:
        same = claim.branch_recorded == claim.branch_rerun
        lines += [f"Condition that held: `{claim.branch_recorded}`; made again: {'the same' if same else ''}"]
        lines[-1] += "" if same else f"`{claim.branch_rerun}`"
        lines.append("")
    return lines


def _seals(verdict: Verdict) -> list[str]:
    lines = ["## Seals", "", f"{verdict.records} records checked, {len(verdict.broken)} broken seals."]
    moved_on = [breach for breach in verdict.moved_on if breach not in verdict.unclaimed]
    kinds = (("Broken", verdict.broken), ("Claimed by no record", verdict.unclaimed), ("Moved on since", moved_on))
    for title, breaches in kinds:
        if breaches:
            lines += ["", f"{title}:", ""]
            lines += [f"- {cell(breach.path)}: {cell(breach.message)}" for breach in breaches[:SHOWN]]
            if len(breaches) > SHOWN:
                lines.append(f"- and {len(breaches) - SHOWN} more")
    return [*lines, ""]


def _run(verdict: Verdict) -> list[str]:
    run = verdict.rerun or {}
    lines = ["## Replication steps", ""]
    lines += [
        f"1. The sources were copied to an empty folder and `snakemake` was run there: {run['asked_for']} jobs asked "
        f"for, {run['jobs']} finished, {run['seconds']:.0f} s.",
        f"2. Cost as recorded: {cell(verdict.cost.sentence()) if verdict.cost else 'not known'}.",
        f"3. Records with the same seal as before: {run['seals_equal']} of {run['jobs']} (a seal covers inputs, "
        "outputs, parameters, seed, code and package versions).",
    ]
    if run["failures"]:
        lines += ["", "Jobs that failed:", ""]
        lines += [
            f"- {cell(' '.join([f['rule'], *f['wildcards'].values()]))}: {cell(f['type'])}: {cell(f['message'])[:600]}"
            for f in run["failures"]
        ]
    if run["stopped"]:
        lines += ["", "Snakemake stopped:", "", *(f"    {line}" for line in run["stopped"].split("\n"))]
    return [*lines, ""]


def _outputs(verdict: Verdict) -> list[str]:
    counts = verdict.counts()
    lines = [
        "## Findings",
        "",
        "| outputs compared | identical bytes | equal within tolerance | different | missing |",
        "|---|---|---|---|---|",
        f"| {len(verdict.comparisons)} | {counts[IDENTICAL]} | {counts[EQUAL]} | {counts[DIFFERENT]} "
        f"| {counts[MISSING]} |",
        "",
    ]
    differing = [c for c in verdict.comparisons if not c.reproduced]
    if differing:
        lines += ["| file | where | column | recorded | made again |", "|---|---|---|---|---|"]
        for comparison in differing[:SHOWN]:
            if not comparison.differences:
                lines.append(f"| {cell(comparison.path)} | {cell(comparison.note)} | | | |")
            for difference in comparison.differences:
                lines.append(
                    f"| {cell(comparison.path)} | {cell(difference.row)} | {cell(difference.column)} "
                    f"| {cell(difference.recorded)} | {cell(difference.rerun)} |"
                )
            rest = comparison.n_differences - len(comparison.differences)
            if rest > 0:
                lines.append(f"| {cell(comparison.path)} | and {rest} more | | | |")
        lines.append("")
        for comparison in differing[:SHOWN]:
            notes = [n for n in (comparison.note, verdict.explanations.get(comparison.path, "")) if n]
            if notes:
                lines.append(f"- {cell(comparison.path)}: {cell('; '.join(notes))}")
        lines.append("")
        if len(differing) > SHOWN:
            lines += [f"and {len(differing) - SHOWN} more files, listed in the JSON.", ""]
    equal = [c for c in verdict.comparisons if c.level == EQUAL]
    if equal:
        largest = max(c.largest_relative for c in equal)
        lines += [f"Equal, but not the same bytes (largest relative difference {largest:.2g}):", ""]
        lines += [f"- {cell(c.path)}{': ' + cell(c.note) if c.note else ''}" for c in equal[:SHOWN]] + [""]
    if verdict.not_made_again:
        lines += ["Not made again:", ""]
        lines += [f"- {cell(path)}: {cell(why)}" for path, why in verdict.not_made_again] + [""]
    return lines


def _environment(verdict: Verdict) -> list[str]:
    env = verdict.environment
    lines = ["## Computing environment of the replicator", ""]
    lines += [f"Python {env['python']}, {cell(env['platform'])}."]
    differs = env.get("differs", [])
    if differs:
        lines += ["", "| package | recorded | here |", "|---|---|---|"]
        lines += [f"| {cell(d['name'])} | {cell(d['recorded'])} | {cell(d['here'])} |" for d in differs]
    else:
        lines.append("Every package that the jobs imported has the recorded version.")
    return [*lines, ""]


def _tolerances() -> list[str]:
    lines = ["## Tolerances", "", "Everything not listed here must agree exactly.", ""]
    lines += ["| files | columns | relative | absolute | why |", "|---|---|---|---|---|"]
    for t in TOLERANCES:
        exact = f"; exact where {t.exact_where[0]} is {', '.join(t.exact_where[1])}" if t.exact_where else ""
        lines.append(
            f"| {cell(', '.join(t.files))} | {cell(', '.join(t.columns))} | {t.relative:g} | {t.absolute:g} "
            f"| {cell(t.reason + exact)} |"
        )
    return [*lines, ""]
