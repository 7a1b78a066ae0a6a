"""What changed between two states, as the table of a response to reviewers, in Markdown."""

from __future__ import annotations

from sorafenib_rfa.provenance.causes import Cause
from sorafenib_rfa.provenance.diff import Changes, Shown
from sorafenib_rfa.provenance.verify_report import cell

PLACES = 4
"""Places named for one number; the JSON has them all."""


def places(shown: tuple[Shown, ...]) -> str:
    """Return where something is shown: text and claims first, tables and figures after, the first few."""
    order = sorted(shown, key=lambda s: s.what.startswith(("table", "figure")))
    text = "; ".join(str(place) for place in order[:PLACES])
    return text + (f"; and {len(order) - PLACES} more" if len(order) > PLACES else "")


def numbered(causes: tuple[int, ...]) -> str:
    """Return causes by number, as the list of causes gives them: ``1, 2``."""
    return ", ".join(str(position + 1) for position in causes) or "not known"


def cause_words(cause: Cause) -> tuple[str, str, str]:
    """Return what, before and after of a cause, for a table; digests shortened."""

    def short(text: str) -> str:
        return text[:12] if len(text) == 64 else text

    what = f"{cause.kind} {cause.name}" + (f" ({cause.detail})" if cause.detail else "")
    return what, short(cause.before), short(cause.after)


def markdown(changes: Changes, *, everything: bool = False) -> str:
    """Return the changes as Markdown; numbers in which a reader of the paper sees nothing only with `everything`."""
    lines = [f"# What changed since {cell(changes.before)}", ""]
    visible, lost = changes.printed_otherwise, len(changes.in_paper) - len(changes.printed_otherwise)
    lines += [
        f"{changes.compared} numbers compared; {len(changes.numbers)} changed, {len(changes.in_paper)} of them in the "
        f"paper, where {len(visible)} are printed otherwise; {changes.within_tolerance} differ within the tolerances "
        f"only; {len(changes.claims)} claims say something else.",
        "",
    ]
    lines += [*(f"- {cell(note)}" for note in changes.notes), ""] if changes.notes else []
    if changes.causes:
        lines += ["## Causes", "", "| | what | before | now | first job |", "|---|---|---|---|---|"]
        for number, cause in enumerate(changes.causes, start=1):
            what, before, after = cause_words(cause)
            lines.append(f"| {number} | {cell(what)} | {cell(before)} | {cell(after)} | {cell(cause.job)} |")
        lines.append("")
    if changes.claims:
        lines += ["## Interpretation", "", "| where | before | now | cause |", "|---|---|---|---|"]
        for claim in changes.claims:
            before, after = (
                said.wording or "(nothing)" if said else "(nothing)" for said in (claim.before, claim.after)
            )
            where = places(claim.shown) or f"claim {claim.claim}, not in the paper"
            lines.append(f"| {cell(where)} | {cell(before)} | {cell(after)} | {numbered(claim.causes)} |")
        lines.append("")
    other = [number for number in changes.numbers if number not in visible] if everything else []
    for title, chosen in (("Numbers in the paper", visible), ("Other numbers", other)):
        if chosen:
            lines += [
                f"## {title}",
                "",
                "| where | number | before | now | change | cause |",
                "|---|---|---|---|---|---|",
            ]
            lines += [
                f"| {cell(places(n.shown) or '-')} | {cell(n.id)} | {cell(n.printed_before or '-')} "
                f"| {cell(n.printed_after or '-')} | {cell(n.change())} | {numbered(n.causes)} |"
                for n in chosen
            ]
            lines.append("")
    hidden = len(changes.numbers) - len(changes.in_paper)
    if lost and not everything:
        lines += [f"{lost} more numbers of the paper changed by less than what is printed.", ""]
    if hidden and not everything:
        lines += [f"{hidden} more numbers changed that the paper does not show.", ""]
    return "\n".join(lines).rstrip() + "\n"
