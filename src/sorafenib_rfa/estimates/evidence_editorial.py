"""The editorial's statements, held against what their sources say, and counted."""

from __future__ import annotations

from typing import Final

import pandas as pd

from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, ard_id
from sorafenib_rfa.estimates.evidence_common import STUDIES, members
from sorafenib_rfa.evidence.editorial import check_statements
from sorafenib_rfa.evidence.schema import ARMS, BOTH_ARMS, COMPUTED_VERDICTS, HAND_VERDICTS, SIGNIFICANT, figures_of
from sorafenib_rfa.evidence.tables import Evidence

ENGINE = "sorafenib_rfa.evidence.editorial"
VERDICTS: Final = tuple(dict.fromkeys((*COMPUTED_VERDICTS, *HAND_VERDICTS)))
FAULTS: Final = ("unit error", "screened, not randomised", "contradicted")
"""Computed verdicts that find fault: sentences of the paper that name a fault are bound to them."""
LATER: Final = ("later evidence", "registration")
"""Sections of the table that are none of the editorial: what came after it, and the registration."""


def estimate_editorial(evidence: Evidence, cohort_name: str, record: str) -> Estimates:
    """Hold the editorial's statements against their sources.

    Parameters
    ----------
    evidence : Evidence
        Its ``statements``, and the figures they refer to.
    cohort_name : str
        Name under which the results stand.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``editorial``: ``editorial.statements.n``, ``editorial.statements.of_the_editorial``,
        ``editorial.statements.computed`` (held against a figure), ``editorial.verdict.<verdict>.n`` and, of each
        statement whose verdict is computed, ``editorial.statement.<statement_id>.<verdict>.n`` (1 or 0). Curve
        ``evidence_statements``: a row a statement, ``statement_id, section, statement, claimed, source, verdict,
        reason, citation_key, claimed_value, claimed_unit, source_value, source_unit, refers_to, source_value_id`` (the
        ARD row of the source's figure, or '').
    """
    checked = check_statements(evidence).sort_values("src_row", ignore_index=True)
    ard = ArdBuilder(cohort_name, "editorial", record)

    def count(analysis: str, stat: str, rows: pd.DataFrame, what: str, **place: str) -> None:
        ard.add(
            analysis,
            stat,
            len(rows),
            unit="count",
            method=what,
            engine=ENGINE,
            population=STUDIES,
            members=members(rows, "statement_id"),
            **place,
        )

    count("statements", "n", checked, "statements with a verdict")
    own = checked[~checked["section"].isin(LATER)]
    count("statements", "of_the_editorial", own, "statements of the editorial with a verdict")
    computed = checked[checked["refers_to"].fillna("").ne("")]
    count("statements", "computed", computed, "statements whose verdict is computed from a figure of the tables")
    unknown = sorted(set(checked["verdict"]) - set(VERDICTS))
    if unknown:
        raise ValueError(f"statements with verdicts that are not counted: {unknown}")
    for verdict in VERDICTS:
        rows = checked[checked["verdict"] == verdict]
        count("verdict", "n", rows, f"statements with the verdict: {verdict}", variable=verdict)
    for name, rows in computed.groupby("statement_id", sort=False):
        for verdict in FAULTS:
            found = rows[rows["verdict"] == verdict]
            count("statement", "n", found, f"statement {name} has the verdict: {verdict}", variable=name, level=verdict)
    return ard.estimates({"evidence_statements": _curve(checked, evidence)})


def _curve(checked: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    frame = checked.assign(
        claimed=[
            _printed(*claim)
            for claim in zip(checked["claimed_value"], checked["claimed_unit"], checked["claimed_effect"], strict=True)
        ],
        source=[
            _printed(value, unit if pd.isna(limits) else f"({limits})")
            for value, unit, limits in zip(
                checked["source_value"], checked["source_unit"], checked["source_interval"], strict=True
            )
        ],
        source_value_id=[_figure_id(evidence, text) for text in checked["refers_to"].fillna("")],
    )
    texts = [
        *("statement_id", "section", "statement", "claimed", "source", "verdict", "reason", "citation_key"),
        *("claimed_unit", "source_unit", "refers_to", "source_value_id"),
    ]
    numbers = ["claimed_value", "source_value"]
    frame = frame[[*texts, *numbers]].astype(dict.fromkeys(texts, "string") | dict.fromkeys(numbers, "float64"))
    return frame.assign(**{name: frame[name].fillna("") for name in texts})


def _printed(value: float, unit: str | None, otherwise: str | None = None) -> str:
    if pd.isna(value):
        return "" if pd.isna(otherwise) else str(otherwise)
    return f"{value:g}" + ("" if pd.isna(unit) or not unit else f" {unit}")


def _figure_id(evidence: Evidence, refers_to: str) -> str:
    """Return the ARD row of the figure a statement refers to (``effects:space_ttp:median_treated``), or ''."""
    figures = figures_of(refers_to) if refers_to else []
    if len(figures) != 1:  # a quotient of two figures is no row
        return ""
    ((table, key, field),) = figures
    fields = {BOTH_ARMS: ("n_treated", "n_control"), SIGNIFICANT: ("estimate",)}.get(field, (field,))
    if any(evidence.printed(table, key, each) is None for each in fields):
        return ""
    if table == "effects":
        return ard_id("effects", key, field if field.startswith("median") else "hr")
    if table == "event_counts":
        kind, _, arm = field.partition("_")
        return ard_id("effects", key, arm, kind) if arm in ARMS else ""
    return ard_id("effects", key, field) if table == "studies" else ""
