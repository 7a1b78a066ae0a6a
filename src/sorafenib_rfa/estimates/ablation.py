"""Complications of radiofrequency ablation, by session and by patient."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.estimates.safety_context import SafetyContext, those_with

COUNTED = "sorafenib_rfa.estimates.ablation"
ESTIMAND = "S2_ABLATION"
CLAVIEN_DINDO = ("I", "II", "IIIa", "IIIb", "IVa", "IVb", "V")
"""Grades in order of severity; III and above needed an intervention, threatened life or killed (Dindo 2004)."""


def estimate_ablation(
    ablations: pd.DataFrame,
    adae: pd.DataFrame,
    adsl: pd.DataFrame,
    adex: pd.DataFrame,
    plan: Plan,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Describe complications of ablation.

    Parameters
    ----------
    ablations : DataFrame
        Clean table of ablations.
    adae, adsl, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Window of complications, confidence level.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``ablation``.
    """
    context = SafetyContext.prepare(
        "ablation", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record
    )
    sessions = _sessions(ablations, adsl)
    _add_complications(context, sessions)
    _add_rfa_events(context, adae, sessions)
    return context.ard.estimates({})


def _sessions(ablations: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """Return ``USUBJID, date, worst`` (position in CLAVIEN_DINDO)``, any`` of each session of an analysed patient.

    ``src_file, src_sheet, src_row``: the raw row of the session's worst complication, or its first row.
    """
    mine = ablations[ablations["USUBJID"].isin(adsl["USUBJID"])]
    mine = mine.assign(date=pd.to_datetime(mine["ablation_date"]))
    grade = texts(mine["complication_clavien_dindo"])
    mine["worst"] = grade.map({code: rank for rank, code in enumerate(CLAVIEN_DINDO)}).astype("Float64")
    mine["any"] = grade.notna() | texts(mine["complication_term"]).notna()
    sessions = mine.groupby(["USUBJID", "date"], as_index=False, sort=True).agg(
        worst=("worst", "max"), any=("any", "max")
    )
    sessions["worst"] = numbers(sessions["worst"])
    sessions["any"] = sessions["any"].astype(bool)
    telling = mine.sort_values(["worst", "any", "src_row"], ascending=[False, False, True], kind="stable")
    telling = telling.drop_duplicates(["USUBJID", "date"])
    return sessions.merge(telling[["USUBJID", "date", "src_file", "src_sheet", "src_row"]], on=["USUBJID", "date"])


def _add_complications(context: SafetyContext, sessions: pd.DataFrame) -> None:
    """Add complications of ablation by session and by patient, worst Clavien-Dindo grade."""
    per_patient = sessions.groupby("USUBJID", as_index=False).agg(worst=("worst", "max"), any=("any", "max"))
    _add_graded(
        context, "session", sessions, "ablation sessions", "sessions of one patient counted as independent", False
    )
    caveat = "exposure follows the index ablation, so a complication may itself have kept a patient from the drug"
    _add_graded(context, "patient", per_patient, "patients", caveat, True)


def _add_graded(
    context: SafetyContext, analysis: str, frame: pd.DataFrame, counted: str, note: str, contrast: bool
) -> None:
    """Add how many of `counted` (rows of `frame`) had a complication: any, major, and by grade."""
    inside = {g: frame[frame["USUBJID"].isin(p["USUBJID"])] for g, p in context.patients.items()}
    inside["overall"] = frame
    population = f"{counted.capitalize()} of analysed patients"

    def who(rows: pd.DataFrame) -> Members:
        return rows if "src_row" in rows else rows["USUBJID"]

    for group, rows in inside.items():
        context.ard.add(
            analysis,
            "total",
            len(rows),
            unit="count",
            group=group,
            population=population,
            engine=COUNTED,
            estimand_id=context.estimand,
            method=f"{counted} recorded",
            members=who(rows),
        )
    major = CLAVIEN_DINDO.index("IIIa")
    lines = {
        "any": ("any complication", lambda rows: rows["any"], contrast),
        "major": ("a complication of Clavien-Dindo grade III or above", lambda rows: rows["worst"] >= major, contrast),
        "ungraded": ("a complication without a grade", lambda rows: rows["any"] & rows["worst"].isna(), False),
    }
    for rank, code in enumerate(CLAVIEN_DINDO):
        what = f"a worst complication of Clavien-Dindo grade {code}"
        lines[f"clavien_dindo_{code}"] = (what, lambda rows, rank=rank: rows["worst"] == rank, False)
    for key, (what, chosen, compared) in lines.items():
        context.proportion(
            analysis,
            {group: who(rows[chosen(rows)]) for group, rows in inside.items()},
            variable=key,
            what=f"{counted} with {what} ({note})",
            population=population,
            denominators=inside,
            contrast=compared,
        )


def _add_rfa_events(context: SafetyContext, adae: pd.DataFrame, sessions: pd.DataFrame) -> None:
    """Add adverse events judged related to ablation that began within the plan's days of a session."""
    days = context.plan.rfa_complication_days
    related = adae.loc[texts(adae["ARELRFA"]) == "Y", ["USUBJID", "ASTDT", "ATOXGR"]].copy()
    related["onset"] = pd.to_datetime(related["ASTDT"])
    related = related.dropna(subset=["onset"]).astype({"USUBJID": "string"}).sort_values("onset")
    if len(related) and len(sessions):
        # ADaM and clean tables may store dates in different units; merging needs one
        last = sessions[["USUBJID", "date"]].astype({"USUBJID": "string", "date": related["onset"].dtype})
        related = pd.merge_asof(related, last.sort_values("date"), left_on="onset", right_on="date", by="USUBJID")
        related = related[(related["onset"] - related["date"]).dt.days <= days]
    else:
        related = related.iloc[0:0]
    grade = numbers(related["ATOXGR"])
    for key, chosen, words in (
        ("any", related, "any grade"),
        ("grade_3_5", related[(grade >= 3).to_numpy()], "grade 3 or above"),
    ):
        counts = {group: those_with(chosen, frame) for group, frame in context.patients.items()}
        context.proportion(
            "related_event",
            counts,
            variable=key,
            what=f"patients with an adverse event related to ablation, {words}, within {days} days of a session",
        )
