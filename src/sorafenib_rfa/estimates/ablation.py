"""Radiofrequency ablation: its complications, technique efficacy, and local tumour progression tumour by tumour.

Sessions, and tumours, of one patient are no independent observations: percentages of them have intervals for the
effective number of observations (:func:`sorafenib_rfa.stats.proportions.clustered_proportion`), curves a variance of
patients. Complications are graded as each centre graded them: no scale is translated into another, and each has its
own denominator, the sessions of the centres whose records have it.

References
----------
Ahmed M, et al. Radiology 2014;273:241-260
(technique efficacy, local tumour progression; each to be reported by tumour and by patient).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.complications import SCALES
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates, slug
from sorafenib_rfa.estimates.common import NAN, attempt
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.estimates.safety_context import ENGINE, SafetyContext, those_with, three
from sorafenib_rfa.estimates.survival import add_incidence
from sorafenib_rfa.stats.proportions import clopper_pearson, clustered_proportion
from sorafenib_rfa.vocabulary import ARM_SLUGS, ARMS, DAYS_PER_MONTH

COUNTED = "sorafenib_rfa.estimates.ablation"
COMPLICATIONS = "S2_ABLATION"
TUMOURS = "S6_TUMOUR"


SIZES: Final[Mapping[str, tuple[str, float, float]]] = {
    "le_2_cm": ("2 cm or less", 0.0, 2.0),
    "gt_2_to_3_cm": ("above 2 to 3 cm", 2.0, 3.0),
    "gt_3_cm": ("above 3 cm", 3.0, np.inf),
}
"""Classes of diameter: slug -> label, lower bound (excluded), upper bound (included), in cm."""

CAUSES: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "ltp": ("Local tumour progression", (1,)),
    "death": ("Death without local progression of the tumour", (2,)),
}
"""Causes of ADTUM.EVNTCD, as :func:`sorafenib_rfa.estimates.survival.add_incidence` takes them."""


def estimate_ablation(
    adproc: pd.DataFrame,
    adtum: pd.DataFrame,
    adae: pd.DataFrame,
    adsl: pd.DataFrame,
    adex: pd.DataFrame,
    complication_scales: Mapping[str, Sequence[str]],
    plan: Plan,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Describe complications of ablation, technique efficacy and local tumour progression.

    Parameters
    ----------
    adproc, adtum, adae, adsl, adex : DataFrame
        ADaM datasets.
    complication_scales : mapping
        Scale (key of :data:`sorafenib_rfa.clinical.complications.SCALES`) -> sites whose records have it
        (:func:`sorafenib_rfa.estimates.parts.complication_scales`).
    plan : Plan
        Window of complications, horizons, landmark, confidence level.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``ablation``. Curve ``ltp_tumour``: ``panel`` (all, landmark)``, group, label, cause, cause_label,
        time_months, incidence, ci_low, ci_high, n_risk``.
    """
    context = SafetyContext.prepare(
        "ablation", COMPLICATIONS, adsl, adae, adex, plan, cohort_name=cohort_name, record=record
    )
    sessions = _sessions(adproc, adsl, plan)
    _add_complications(context, sessions, complication_scales)
    _add_terms(context, sessions)
    _add_early_deaths(context, sessions, adsl)
    _add_rfa_events(context, adae, sessions)
    tumours = _tumours(adtum)
    _add_technique_efficacy(context, tumours)
    return context.ard.estimates({"ltp_tumour": _add_local_progression(context, tumours, adsl)})


# --- percentages of rows that belong to patients ---------------------------------------------------------------------


def _add_share(
    context: SafetyContext,
    analysis: str,
    rows: pd.DataFrame,
    chosen: pd.Series,
    *,
    counted: str,
    what: str,
    variable: str,
    population: str,
    level: object = None,
    group: str = "overall",
    estimand: str = COMPLICATIONS,
) -> None:
    """Add how many of `rows` are `chosen`, and the percentage with an interval that takes a patient's together."""
    where = {
        "group": group,
        "variable": variable,
        "level": level,
        "population": population,
        "estimand_id": estimand,
    }
    members = rows[chosen.to_numpy(dtype=bool)]
    context.ard.add(
        analysis,
        "n",
        len(members),
        unit="count",
        method=f"{counted} {what}",
        engine=COUNTED,
        members=members,
        **where,
    )
    found, reason = attempt(
        clustered_proportion,
        chosen.to_numpy(dtype=bool),
        rows["USUBJID"].to_numpy(dtype=object),
        context.plan.confidence_level,
    )
    values, method = [NAN] * 3, reason
    if found is not None:
        values = [100 * value for value in three(found)]
        method = f"{counted} {what}, of {found.n} in {found.clusters} patients; "
        if found.clusters == found.n:
            method += "exact (Clopper-Pearson) interval"
        elif values[0] in (0.0, 100.0):
            method += "exact (Clopper-Pearson) interval, each patient counted once, for all are alike"
        else:
            method += f"Clopper-Pearson interval of the effective number, {found.effective_n:.1f} (Korn and Graubard)"
    elif len(rows):
        # the percentage is known, its interval is not
        values[0] = 100 * len(members) / len(rows)
        method = f"{counted} {what}, of {len(rows)}; interval {reason}"
    context.ard.add(
        analysis,
        "percent",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        unit="percent",
        method=method,
        engine=ENGINE,
        **where,
    )


def _add_count(
    context: SafetyContext,
    analysis: str,
    members: Members,
    *,
    stat: str = "n",
    variable: str = "",
    level: object = None,
    group: str = "overall",
    population: str,
    method: str,
    estimand: str = COMPLICATIONS,
) -> None:
    context.ard.add(
        analysis,
        stat,
        len(members),
        unit="count",
        variable=variable,
        level=level,
        group=group,
        population=population,
        estimand_id=estimand,
        method=method,
        engine=COUNTED,
        members=members,
    )


# --- complications -----------------------------------------------------------------------------------------------


def _sessions(adproc: pd.DataFrame, adsl: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the sessions of analysed patients with flags and, of each scale, the position of the grade in its codes.

    ``any``: a complication within the plan's days, or without a date; ``late``: recorded with a later date only;
    ``undated``: among ``any``, without a date. Grades are those of ``any``.
    """
    sessions = adproc[adproc["USUBJID"].isin(adsl["USUBJID"])].sort_values(["USUBJID", "PROCSEQ"], ignore_index=True)
    sessions = sessions.assign(date=pd.to_datetime(sessions["PROCDT"]))
    sessions["any"] = (texts(sessions["COMP30FL"]) == "Y").fillna(False).to_numpy(dtype=bool)
    recorded = (texts(sessions["COMPFL"]) == "Y").fillna(False).to_numpy(dtype=bool)
    sessions["late"] = recorded & ~sessions["any"]
    sessions["undated"] = sessions["any"] & sessions["COMPDAY"].isna()
    for key, scale in SCALES.items():
        rank = {code: float(position) for position, code in enumerate(scale.codes)}
        sessions[key] = texts(sessions[scale.column]).map(rank).astype("float64").where(sessions["any"])
    return sessions


def _add_complications(
    context: SafetyContext, sessions: pd.DataFrame, complication_scales: Mapping[str, Sequence[str]]
) -> None:
    """Add complications by session (all, index, repeat) and by patient: any, late, undated, and by each scale."""
    index = (texts(sessions["INDEXFL"]) == "Y").to_numpy(dtype=bool)
    by_exposure = {g: sessions["USUBJID"].isin(p["USUBJID"]).to_numpy() for g, p in context.patients.items()}
    for unit, chosen, groups in (
        ("session", np.ones(len(sessions), dtype=bool), {"overall": np.ones(len(sessions), dtype=bool), **by_exposure}),
        ("session_index", index, {"overall": np.ones(len(sessions), dtype=bool)}),
        ("session_repeat", ~index, {"overall": np.ones(len(sessions), dtype=bool)}),
    ):
        for group, own in groups.items():
            _add_of_sessions(context, unit, group, sessions[chosen & own], complication_scales)
    _add_of_patients(context, sessions, complication_scales)


_UNITS: Final = {
    "session": "Ablation sessions of analysed patients",
    "session_index": "Index ablation sessions of analysed patients",
    "session_repeat": "Repeat ablation sessions of analysed patients",
}


def _add_of_sessions(
    context: SafetyContext, unit: str, group: str, rows: pd.DataFrame, complication_scales: Mapping[str, Sequence[str]]
) -> None:
    """Add complications of the sessions `rows`."""
    days = context.plan.rfa_complication_days
    common = {"group": group, "population": _UNITS[unit]}
    _add_count(context, unit, rows, stat="total", method="ablation sessions recorded", **common)
    for key, what in (
        ("any", f"with a complication within {days} days, or with one whose date is not recorded"),
        ("undated", "with a complication whose date is not recorded (they count among those within the days)"),
        ("late", f"with a complication on a later day only, after more than {days} days"),
    ):
        _add_share(context, unit, rows, rows[key], counted="sessions", what=what, variable=key, **common)
    for key, scale in SCALES.items():
        analysis, own = f"{key}_{unit}", _of_sites(rows, complication_scales.get(key, ()))
        _add_count(
            context,
            analysis,
            own,
            stat="total",
            method=f"sessions at centres whose records have the {scale.label} classification",
            **common,
        )
        for variable, level, what, with_grade in _lines(key, own):
            if variable == "grade" and group != "overall":  # by exposure: in classes, and by patient
                continue
            _add_share(
                context,
                analysis,
                own,
                with_grade,
                counted="sessions",
                what=f"with a worst complication within {days} days of {what}"
                if variable != "ungraded"
                else f"with a complication within {days} days {what}",
                variable=variable,
                level=level,
                **common,
            )


def _of_sites(rows: pd.DataFrame, sites: Sequence[str]) -> pd.DataFrame:
    return rows[texts(rows["SITEID"]).isin(list(sites)).to_numpy(dtype=bool)]


def _lines(key: str, rows: pd.DataFrame) -> list[tuple[str, object, str, pd.Series]]:
    """Return the lines of a scale: variable, level, what in words, and which rows."""
    scale, rank = SCALES[key], rows[key]
    bound = scale.codes.index(scale.severe_from)
    lines: list[tuple[str, object, str, pd.Series]] = []
    if key == "clavien_dindo":
        lines.append(("minor", None, f"{scale.label} grade I or II (minor)", rank < bound))
    lines.append((scale.severe_key, None, f"{scale.label} {scale.severe_label}", rank >= bound))
    for position, code in enumerate(scale.codes):
        words = code.replace("_", " ")
        lines.append(("grade", code, f"{scale.label} {words}", rank == position))
    lines.append(("ungraded", None, f"not graded by {scale.label}", rows["any"] & rank.isna()))
    return lines


def _add_of_patients(
    context: SafetyContext, sessions: pd.DataFrame, complication_scales: Mapping[str, Sequence[str]]
) -> None:
    """Add complications by patient, the worst of all sessions, with the difference between exposed and unexposed."""
    days = context.plan.rfa_complication_days
    flags = ["any", "late", "undated"]
    worst = sessions.groupby("USUBJID", as_index=False, sort=True).agg(
        {"SITEID": "first", **dict.fromkeys([*flags, *SCALES], "max")}
    )
    note = (
        "worst of all sessions of a patient; exposure follows the index ablation, so a complication may itself have "
        "kept a patient from the drug"
    )
    population = "Patients with ablation sessions, analysed"

    def add(analysis: str, rows: pd.DataFrame, lines: Sequence[tuple[str, object, str, pd.Series, bool]]) -> None:
        inside = {g: rows[rows["USUBJID"].isin(p["USUBJID"])] for g, p in context.patients.items()}
        inside["overall"] = rows
        for group, own in inside.items():
            _add_count(
                context,
                analysis,
                own["USUBJID"],
                stat="total",
                group=group,
                population=population,
                method="patients with ablation sessions" if analysis == "patient" else _recorded(analysis),
            )
        for variable, level, what, chosen, contrast in lines:
            counts = {group: own.loc[chosen.reindex(own.index), "USUBJID"] for group, own in inside.items()}
            context.proportion(
                analysis,
                counts,
                variable=variable,
                level=level,
                what=f"patients with a {what} ({note})",
                population=population,
                denominators=inside,
                contrast=contrast,
            )

    add(
        "patient",
        worst,
        [
            ("any", None, f"complication within {days} days of a session, or without a date", worst["any"], True),
            (
                "late",
                None,
                f"complication more than {days} days after a session, and none within them",
                worst["late"] & ~worst["any"],
                False,
            ),
        ],
    )
    for key in SCALES:
        own = _of_sites(worst, complication_scales.get(key, ()))
        add(
            f"{key}_patient",
            own,
            [
                (
                    variable,
                    level,
                    f"complication {what}" if variable == "ungraded" else f"worst complication of {what}",
                    chosen,
                    variable == SCALES[key].severe_key,
                )
                for variable, level, what, chosen in _lines(key, own)
            ],
        )


def _recorded(analysis: str) -> str:
    return (
        f"patients of centres whose records have the {SCALES[analysis.removesuffix('_patient')].label} classification"
    )


def _add_terms(context: SafetyContext, sessions: pd.DataFrame) -> None:
    """Add sessions by the term of their complication."""
    days = context.plan.rfa_complication_days
    named = texts(sessions["COMPTERM"]).where(sessions["any"])
    distinct = sorted(named.dropna().unique())
    # a term without a letter that an id may have (another script) is named by its place in the list
    key_of = {term: slug(term) or f"term_{number}" for number, term in enumerate(distinct, start=1)}
    for key in dict.fromkeys(key_of.values()):
        term = next(term for term in distinct if key_of[term] == key)
        _add_share(
            context,
            "term_session",
            sessions,
            (named.map(key_of, na_action="ignore") == key).fillna(False).astype(bool),
            counted="sessions",
            what=f"with {term} as their (worst) complication within {days} days",
            variable="term",
            level=term if slug(term) else f"{key}: {term}",
            population=_UNITS["session"],
        )
    _add_share(
        context,
        "term_session",
        sessions,
        sessions["any"] & named.isna(),
        counted="sessions",
        what=f"with a complication within {days} days that is not named",
        variable="not_named",
        population=_UNITS["session"],
    )


def _add_early_deaths(context: SafetyContext, sessions: pd.DataFrame, adsl: pd.DataFrame) -> None:
    """Add deaths from any cause within the plan's days of a session, of the sessions followed so long."""
    days = context.plan.rfa_complication_days
    by_patient = adsl.set_index("USUBJID")
    death = sessions["USUBJID"].map(pd.to_datetime(by_patient["DTHDT"]))
    seen = sessions["USUBJID"].map(pd.to_datetime(by_patient["LSTALVDT"]))
    until_death = numbers((death - sessions["date"]).dt.days)
    until_seen = numbers((seen - sessions["date"]).dt.days)
    sessions = sessions.assign(
        died=until_death.between(0, days), followed=(until_death >= 0) | (until_seen >= days).fillna(False)
    )
    index = (texts(sessions["INDEXFL"]) == "Y").to_numpy(dtype=bool)
    for unit, rows in (
        ("session", sessions),
        ("session_index", sessions[index]),
        ("session_repeat", sessions[~index]),
    ):
        analysis, followed = f"mortality_{unit}", rows[rows["followed"]]
        common = {"population": _UNITS[unit]}
        _add_count(
            context,
            analysis,
            followed,
            variable="followed",
            method=f"sessions whose patient is known to have died after, or was seen alive {days} days after or later",
            **common,
        )
        _add_count(
            context,
            analysis,
            rows[~rows["followed"]],
            variable="unknown",
            method=f"sessions whose patient was last seen alive less than {days} days after",
            **common,
        )
        _add_share(
            context,
            analysis,
            followed,
            followed["died"],
            counted="sessions",
            what=f"followed by death from any cause within {days} days",
            variable="died",
            **common,
        )


def _add_rfa_events(context: SafetyContext, adae: pd.DataFrame, sessions: pd.DataFrame) -> None:
    """Add adverse events judged related to ablation that began within the plan's days of a session."""
    days = context.plan.rfa_complication_days
    related = adae.loc[(texts(adae["ARELRFA"]) == "Y").fillna(False), ["USUBJID", "ASTDT", "ATOXGR"]].copy()
    related["onset"] = pd.to_datetime(related["ASTDT"])
    related = related.dropna(subset=["onset"]).astype({"USUBJID": "string"}).sort_values("onset")
    if len(related) and len(sessions):
        # two datasets may store dates in different units; merging needs one
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


# --- technique efficacy -----------------------------------------------------------------------------------------


def _tumours(adtum: pd.DataFrame) -> pd.DataFrame:
    """Return ADTUM with what is asked of each tumour as plain columns."""
    tumours = adtum.sort_values(["USUBJID", "PROCSEQ", "TUMNO", "SRCROW"], ignore_index=True)
    diameter = numbers(tumours["DIAM"])
    tumours["size"] = None
    for key, (_, low, high) in SIZES.items():
        tumours.loc[(diameter > low) & (diameter <= high), "size"] = key
    tumours["index"] = (texts(tumours["INDEXFL"]) == "Y").fillna(False).to_numpy(dtype=bool)
    tumours["analysed"] = (texts(tumours["ANLFL"]) == "Y").fillna(False).to_numpy(dtype=bool)
    efficacy = texts(tumours["TECHEFFL"])
    tumours["efficacy"] = efficacy.where(efficacy.isin(["Y", "N"]))
    return tumours


_TREATED: Final = "Tumours of the index session, including patients not analysed because it was not complete"


def _add_technique_efficacy(context: SafetyContext, tumours: pd.DataFrame) -> None:
    """Add complete ablation on contrast imaging at one month: by tumour, by size, by patient, of repeat sessions."""
    index = tumours[tumours["index"]]
    _add_efficacy(context, "efficacy_tumour", index, population=_TREATED)
    for key, (label, _, _) in SIZES.items():
        own = index[(index["size"] == key).to_numpy(dtype=bool)]
        _add_efficacy(context, f"efficacy_tumour_{key}", own, population=f"{_TREATED}, {label}")
    unknown = index[index["size"].isna().to_numpy(dtype=bool)]
    _add_efficacy(context, "efficacy_tumour_size_unknown", unknown, population=f"{_TREATED}, diameter not recorded")
    worst = index.assign(efficacy=index["efficacy"].fillna("N"))
    _add_efficacy(
        context, "efficacy_tumour_worst_case", worst, population=f"{_TREATED}; results not recorded taken as incomplete"
    )
    repeat = tumours[~tumours["index"]]
    _add_efficacy(
        context,
        "efficacy_tumour_repeat",
        repeat,
        population="Tumours of repeat sessions, including patients not analysed because the first was not complete",
    )
    _add_efficacy_of_patients(context, index)


def _add_efficacy(context: SafetyContext, analysis: str, rows: pd.DataFrame, *, population: str) -> None:
    """Add treated, recorded, complete, incomplete and not recorded tumours."""
    common = {"population": population, "estimand": TUMOURS}
    recorded = rows[rows["efficacy"].notna().to_numpy(dtype=bool)]
    complete = (recorded["efficacy"] == "Y").fillna(False)
    for variable, members, what in (
        ("treated", rows, "tumours treated"),
        ("recorded", recorded, "tumours whose result at one month is recorded"),
        ("incomplete", recorded[~complete.to_numpy(dtype=bool)], "tumours not completely ablated at one month"),
        ("not_recorded", rows.drop(recorded.index), "tumours whose result at one month is not recorded"),
    ):
        _add_count(context, analysis, members, variable=variable, method=what, **common)
    _add_share(
        context,
        analysis,
        recorded,
        complete,
        counted="tumours",
        what="completely ablated on contrast imaging at one month",
        variable="complete",
        **common,
    )


def _add_efficacy_of_patients(context: SafetyContext, index: pd.DataFrame) -> None:
    """Add patients all of whose tumours were completely ablated; one incomplete tumour decides, a missing one too."""
    results = index.assign(
        incomplete=(index["efficacy"] == "N").fillna(False).astype(bool), missing=index["efficacy"].isna()
    ).groupby("USUBJID", sort=True)[["incomplete", "missing"]]
    patients = results.any()
    incomplete = patients.index[patients["incomplete"]]
    unknown = patients.index[patients["missing"] & ~patients["incomplete"]]
    complete = patients.index[~patients["incomplete"] & ~patients["missing"]]
    recorded = complete.union(incomplete)
    where = {"population": _TREATED.replace("Tumours of", "Patients with"), "estimand": TUMOURS}
    for variable, members, what in (
        ("treated", patients.index, "patients with an index ablation"),
        ("recorded", recorded, "patients of whose tumours one was incomplete, or all results are recorded"),
        ("complete", complete, "patients all of whose tumours were completely ablated at one month"),
        ("incomplete", incomplete, "patients with a tumour not completely ablated at one month"),
        ("not_recorded", unknown, "patients with a tumour of unknown result and none incomplete"),
    ):
        _add_count(context, "efficacy_patient", members, variable=variable, method=what, **where)
    interval, reason = attempt(clopper_pearson, len(complete), len(recorded), context.plan.confidence_level)
    values = [NAN] * 3 if interval is None else [100 * value for value in three(interval)]
    context.ard.add(
        "efficacy_patient",
        "percent",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        unit="percent",
        variable="complete",
        population=where["population"],
        estimand_id=TUMOURS,
        method=reason
        or f"patients all of whose tumours were completely ablated at one month, of {len(recorded)}; exact "
        "(Clopper-Pearson) interval",
        engine=ENGINE,
    )


# --- local tumour progression -----------------------------------------------------------------------------------


def _add_local_progression(context: SafetyContext, tumours: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """Add cumulative incidence of local progression of the tumours of the index session; return the curves.

    From RFA for all; by arm from the landmark only, for who was treated is known there and whoever gets the drug must
    have lived, without recurrence, to get it.
    """
    index = tumours[tumours["index"] & tumours["analysed"]]
    months = numbers(index["AVAL"])
    known = (months > 0).to_numpy(dtype=bool)
    followed = index[known].assign(time=months[known], cause=numbers(index["EVNTCD"])[known].fillna(0).astype(int))
    population = "Tumours completely ablated at the index session, analysed patients"
    words = "Aalen-Johansen from RFA, death competing"
    _add_count(
        context,
        "ltp",
        index[~known],
        variable="not_followed",
        population=population,
        estimand=TUMOURS,
        method="tumours without imaging after RFA",
    )
    for how in ("recorded", "only tumour", "not recorded"):
        own = followed[((followed["cause"] == 1) & (texts(followed["LTPALLOC"]) == how)).to_numpy(dtype=bool)]
        _add_count(
            context,
            "ltp",
            own,
            variable="allocation",
            level=how,
            population=population,
            estimand=TUMOURS,
            method=f"tumours with local progression; which of the patient's tumours progressed: {how}",
        )
    curves = [_add_curves(context, "ltp", "overall", "All tumours", followed, population, words).assign(panel="all")]
    for key, (label, _, _) in SIZES.items():
        own = followed[(followed["size"] == key).to_numpy(dtype=bool)]
        _add_curves(context, f"ltp_{key}", "overall", label, own, f"{population}, {label}", words)
    _add_curves(
        context,
        "ltp_all_tumours",
        "overall",
        "All tumours",
        _all_progress(followed),
        f"{population}; where it is not recorded which of several progressed, all did (else: the largest)",
        words,
    )
    start = context.plan.landmark_day / DAYS_PER_MONTH
    by_patient = adsl.set_index("USUBJID")
    at_landmark = followed["USUBJID"].map(texts(by_patient["LMFL"])) == "Y"
    observed = followed[(at_landmark.fillna(False) & (followed["time"] > start)).to_numpy(dtype=bool)]
    arm = observed["USUBJID"].map(texts(by_patient["LMTRT"]))
    for label in ARMS:
        curves.append(
            _add_curves(
                context,
                "ltp_landmark",
                ARM_SLUGS[label],
                label,
                observed[(arm == label).fillna(False).to_numpy(dtype=bool)],
                f"{population}, at the landmark",
                f"Aalen-Johansen from the landmark (day {context.plan.landmark_day}), conditional on it, death "
                "competing, unadjusted",
                start=start,
            ).assign(panel="landmark")
        )
    return pd.concat([curve for curve in curves if len(curve)] or curves[:1], ignore_index=True)


def _all_progress(followed: pd.DataFrame) -> pd.DataFrame:
    """Return the tumours as if all of a patient had progressed where it is not recorded which did."""
    unknown = followed[
        ((followed["cause"] == 1) & (texts(followed["LTPALLOC"]) == "not recorded")).to_numpy(dtype=bool)
    ]
    when = followed["USUBJID"].map(unknown.groupby("USUBJID")["time"].min())
    moved = (when <= followed["time"]) | (when.notna() & (followed["cause"] != 1))
    return followed.assign(time=followed["time"].where(~moved, when), cause=followed["cause"].where(~moved, 1))


def _add_curves(
    context: SafetyContext,
    analysis: str,
    group: str,
    label: str,
    rows: pd.DataFrame,
    population: str,
    words: str,
    *,
    start: float = 0.0,
) -> pd.DataFrame:
    """Add tumours, patients and progressions of a group, and cumulative incidence at the horizons."""
    common = {"group": group, "population": population, "estimand": TUMOURS}
    patients = pd.Index(rows["USUBJID"].unique())
    for stat, members, what in (
        ("n", rows, "tumours followed"),
        ("patients", patients, "patients with these tumours"),
        ("events", rows[(rows["cause"] == 1).to_numpy(dtype=bool)], "tumours with local progression"),
    ):
        _add_count(context, analysis, members, stat=stat, method=what, **common)
    return add_incidence(
        context.ard,
        analysis,
        rows,
        {group: (label, pd.Series(True, index=rows.index))},
        context.plan,
        causes=CAUSES,
        start=start,
        population=population,
        estimand_id=TUMOURS,
        reason="",
        words=words,
        counted="tumours",
    )
