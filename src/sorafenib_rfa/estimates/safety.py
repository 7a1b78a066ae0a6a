"""Safety: adverse events by exposure, complications of ablation, and exposure to the drug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.ctcae import ctcae_soc
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, quantile_values, untested
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.proportions import clopper_pearson, incidence_rate, newcombe_difference
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

ENGINE = "sorafenib_rfa.stats.proportions"
COUNTED = "sorafenib_rfa.estimates.safety"
ESTIMAND = "S1_SAFETY"
DAYS_PER_YEAR = DAYS_PER_MONTH * 12
FULL_DOSE_MG = 800.0
"""Labelled dose of sorafenib in hepatocellular carcinoma: 400 mg twice daily (also the dose of STORM and SHARP)."""

GROUPS = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}
CLAVIEN_DINDO = ("I", "II", "IIIa", "IIIb", "IVa", "IVb", "V")
"""Grades in order of severity; III and above needed an intervention, threatened life or killed (Dindo 2004)."""

_ABOUT_THE_DRUG = frozenset({"drug_related", "drug_related_grade_3_5", "dose_changed", "stopped"})
"""Lines in which the unexposed cannot appear: no difference is made of them."""

STOP_REASONS = ("adverse_event", "progression", "patient_choice", "planned", "death")
_AT_RISK = (
    "time at risk runs, in the exposed, from the first dose to {days} days after the last (so the time between RFA and "
    "the first dose, in which nobody can have an event on the drug, is not counted) and, in the unexposed, from RFA "
    "to the last contact, death or a first dose after recurrence"
)


@dataclass(frozen=True)
class _Window:
    """When a patient's adverse events count: first and last day, and the days at risk (by USUBJID)."""

    start: pd.Series
    end: pd.Series
    days: pd.Series


def estimate_safety(
    adae: pd.DataFrame,
    adsl: pd.DataFrame,
    adex: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    ablations: pd.DataFrame | None = None,
    adlb: pd.DataFrame | None = None,
) -> Estimates:
    """Describe adverse events by exposure, complications of ablation and drug exposure.

    Parameters
    ----------
    adae, adsl, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Windows, confidence level, events of interest.
    cohort : CohortConfig
        What the cohort offers.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    ablations : DataFrame, optional
        Clean table of ablations, for complications by session.
    adlb : DataFrame, optional
        Laboratory results, for worst grades and liver signals.

    Returns
    -------
    Estimates
        ARD part ``safety``. Curve ``ae_dot``: ``term, soc, of_interest, severity`` (any, grade_3_5)``, group, label,
        n, total, percent, ci_low, ci_high, risk_difference, difference_low, difference_high, ard_id, contrast_id``.
        Curve ``ae_grade``: ``term, soc, of_interest, group, label, grade, n, total, percent, ard_id`` (each patient
        at their worst grade of the term). With laboratory results, curve ``liver_peaks``: ``group,
        aminotransferase_uln, bilirubin_uln, aminotransferase_base, bilirubin_base`` (one row a patient).
    """
    ard = ArdBuilder(cohort_name, "safety", record)
    patients = {
        "exposed": adsl[texts(adsl["EXPOSFL"]) == "Y"],
        "unexposed": adsl[texts(adsl["EXPOSFL"]) != "Y"],
    }
    sizes = {group: len(frame) for group, frame in patients.items()}
    window = _at_risk(adsl, adae, adex, plan)
    events = _counted_events(adae, window)
    context = _Context(ard, plan, patients, sizes, window, untested(sizes, plan))
    _add_population(context)
    _add_summary(context, events)
    dot, grade = _add_terms(context, events)
    _add_classes(context, events)
    _add_exposure(context, adex)
    if ablations is not None and cohort.offers("ablations"):
        sessions = _sessions(ablations, adsl)
        _add_complications(context, sessions)
        _add_rfa_events(context, adae, sessions)
    curves = {"ae_dot": dot, "ae_grade": grade}
    if adlb is not None and cohort.offers("labs"):
        from sorafenib_rfa.estimates.laboratory import add_laboratory, results_at_risk

        results = results_at_risk(adlb, window.start, window.end)
        curves["liver_peaks"] = add_laboratory(context.proportion, results, adsl, patients)
    return ard.estimates(curves)


def _at_risk(adsl: pd.DataFrame, adae: pd.DataFrame, adex: pd.DataFrame, plan: Plan) -> _Window:
    """Return each patient's window of treatment-emergence.

    An adverse event on record after the last contact shows that the patient was still under observation: the window
    reaches to it, so that no event which ADAE calls treatment-emergent is lost.
    """
    by_patient = adsl.set_index("USUBJID")
    last_event = pd.to_datetime(adae["ASTDT"]).groupby(texts(adae["USUBJID"])).max().reindex(by_patient.index)
    last_seen = pd.to_datetime(by_patient["LSTALVDT"])
    last_seen = last_seen.mask(last_event > last_seen, last_event)
    if "DTHDT" in by_patient:
        last_seen = pd.to_datetime(by_patient["DTHDT"]).fillna(last_seen)
    rfa = pd.to_datetime(by_patient["TRTSDT"])
    doses = adex.groupby("USUBJID")
    first = pd.to_datetime(doses["EXSTDT"].min()).reindex(by_patient.index)
    # an interval without an end was still running at the last contact
    ends = pd.to_datetime(adex["EXENDT"]).fillna(adex["USUBJID"].map(last_seen))
    last = ends.groupby(adex["USUBJID"]).max().reindex(by_patient.index)
    exposed = texts(by_patient["EXPOSFL"]) == "Y"
    start = first.where(exposed, rfa)
    on_drug = (last + pd.Timedelta(days=plan.treatment_emergent_days)).clip(upper=last_seen)
    before_drug = (first - pd.Timedelta(days=1)).fillna(last_seen).clip(upper=last_seen)
    end = on_drug.where(exposed, before_drug)
    days = (end - start).dt.days + 1
    return _Window(start, end, days.clip(lower=0).fillna(0).astype(float))


def _counted_events(adae: pd.DataFrame, window: _Window) -> pd.DataFrame:
    """Return the treatment-emergent events within the window, with numeric grade and days from its start."""
    emergent = adae[(texts(adae["TRTEMFL"]) == "Y") & adae["USUBJID"].isin(window.start.index)].copy()
    onset = pd.to_datetime(emergent["ASTDT"])
    start = emergent["USUBJID"].map(window.start)
    end = emergent["USUBJID"].map(window.end)
    late = onset > end  # an unexposed patient who took the drug after recurrence
    emergent["grade"] = numbers(emergent["ATOXGR"])
    emergent["day"] = (onset - start).dt.days + 1
    return emergent[~late.fillna(False).to_numpy(dtype=bool)]


@dataclass
class _Context:
    """What every table of the part needs."""

    ard: ArdBuilder
    plan: Plan
    patients: dict[str, pd.DataFrame]
    sizes: dict[str, int]
    window: _Window
    not_compared: str

    def proportion(
        self,
        analysis: str,
        counts: Mapping[str, Members],
        *,
        variable: str,
        level: object = None,
        what: str,
        population: str = "All analysed patients by exposure",
        denominators: Mapping[str, Members] | None = None,
        contrast: bool = True,
    ) -> dict[str, dict]:
        """Add count and percent of each group, and their difference; return what was added for the curves.

        `counts` and `denominators` are the patients, or the rows, of each group.
        """
        level_ = self.plan.confidence_level
        sizes = self.sizes if denominators is None else {group: len(all_) for group, all_ in denominators.items()}
        where = {"variable": variable, "level": level, "population": population, "estimand_id": ESTIMAND}
        drawn: dict[str, dict] = {}
        for group, members in counts.items():
            count = len(members)
            count_id = self.ard.add(
                analysis, "n", count, unit="count", group=group, method=what, engine=COUNTED, members=members, **where
            )
            interval, reason = attempt(clopper_pearson, count, sizes[group], level_)
            percents = [NAN] * 3 if interval is None else [100 * v for v in _three(interval)]
            percent_id = self.ard.add(
                analysis,
                "percent",
                percents[0],
                ci_low=percents[1],
                ci_high=percents[2],
                unit="percent",
                group=group,
                method=reason or f"{what}, of {sizes[group]}; exact (Clopper-Pearson) interval",
                engine=ENGINE,
                **where,
            )
            drawn[group] = {
                "n": count,
                "total": sizes[group],
                "percent": percents[0],
                "ci_low": percents[1],
                "ci_high": percents[2],
                "count_id": count_id,
                "ard_id": percent_id,
            }
        if contrast:
            reason = self.not_compared if denominators is None else untested(sizes, self.plan)
            difference = None
            if not reason:
                difference, reason = attempt(
                    newcombe_difference,
                    len(counts["exposed"]),
                    sizes["exposed"],
                    len(counts["unexposed"]),
                    sizes["unexposed"],
                    level_,
                )
            points = [NAN] * 3 if difference is None else [100 * v for v in _three(difference)]
            contrast_id = self.ard.add(
                analysis,
                "risk_difference",
                points[0],
                ci_low=points[1],
                ci_high=points[2],
                unit="percent",
                group="contrast",
                method=reason
                or f"{what}: percentage points, exposed minus unexposed, unadjusted; Newcombe's hybrid score interval "
                "(method 10)",
                engine=ENGINE,
                **where,
            )
            drawn["contrast"] = {
                "risk_difference": points[0],
                "difference_low": points[1],
                "difference_high": points[2],
                "contrast_id": contrast_id,
            }
        return drawn

    def rates(self, analysis: str, chosen: pd.DataFrame, *, variable: str, level: object, what: str) -> None:
        """Add exposure-adjusted incidence rates: patients with the event per 100 patient-years to the first."""
        first = chosen.groupby("USUBJID")["day"].min()
        for group, frame in self.patients.items():
            at_risk = self.window.days.reindex(frame["USUBJID"])
            with_event = at_risk.index.isin(first.index)
            until = first.reindex(at_risk.index).clip(upper=at_risk).fillna(at_risk)
            years = float(until.clip(lower=0).sum()) / DAYS_PER_YEAR
            rate, reason = attempt(incidence_rate, int(with_event.sum()), years, self.plan.confidence_level, per=100.0)
            estimate, low, high = (NAN,) * 3 if rate is None else _three(rate)
            self.ard.add(
                analysis,
                "rate_per_100_patient_years",
                estimate,
                ci_low=low,
                ci_high=high,
                unit="measure",
                group=group,
                variable=variable,
                level=level,
                population="All analysed patients by exposure",
                estimand_id=ESTIMAND,
                method=reason
                or f"{what}: patients with a first event per 100 patient-years at risk ({years:.1f} years); "
                f"{_AT_RISK.format(days=self.plan.treatment_emergent_days)}; exact Poisson (Garwood) interval",
                engine=ENGINE,
            )


def _three(interval: object) -> tuple[float, float, float]:
    """Return estimate and limits."""
    return interval.estimate, interval.ci_low, interval.ci_high  # type: ignore[attr-defined]


def _with(chosen: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Return the USUBJID of those of `patients` who occur in `chosen`."""
    return patients.loc[patients["USUBJID"].isin(chosen["USUBJID"]), "USUBJID"]


def _add_population(context: _Context) -> None:
    """Add patients and time at risk of each group."""
    for group, frame in context.patients.items():
        common = {
            "group": group,
            "population": "All analysed patients by exposure",
            "engine": COUNTED,
            "estimand_id": ESTIMAND,
        }
        meaning = "any sorafenib before recurrence" if group == "exposed" else "no sorafenib before recurrence"
        said = f"patients with {meaning}"
        context.ard.add("population", "n", len(frame), unit="count", method=said, members=frame["USUBJID"], **common)
        years = float(context.window.days.reindex(frame["USUBJID"]).sum()) / DAYS_PER_YEAR
        context.ard.add(
            "population",
            "patient_years",
            years,
            unit="years",
            method=_AT_RISK.format(days=context.plan.treatment_emergent_days),
            **common,
        )


def _categories(events: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield the lines of the overview: key, events, words."""
    fatal = (texts(events["AEOUT"]) == "fatal") | (events["grade"] == 5)
    action = texts(events["AEACN"])
    yield "any", events, "patients with a treatment-emergent adverse event"
    yield "grade_3_5", events[events["grade"] >= 3], "patients with a treatment-emergent event of grade 3 or above"
    apart = events[texts(events["ARELRFA"]) != "Y"]
    yield "not_rfa_related", apart, "patients with a treatment-emergent event not judged related to ablation"
    yield "serious", events[texts(events["AESER"]) == "Y"], "patients with a serious treatment-emergent event"
    related = events[texts(events["AREL"]) == "Y"]
    yield "drug_related", related, "patients with a treatment-emergent event related to the drug"
    severe = related[related["grade"] >= 3]
    yield "drug_related_grade_3_5", severe, "patients with a drug-related event of grade 3 or above"
    changed = events[action.isin(["reduced", "interrupted"])]
    yield "dose_changed", changed, "patients with an event that led to dose reduction or interruption"
    yield "stopped", events[action == "stopped"], "patients with an event that led to stopping the drug"
    yield "fatal", events[fatal], "patients with a fatal treatment-emergent event (outcome fatal or grade 5)"


def _add_summary(context: _Context, events: pd.DataFrame) -> None:
    """Add the overview of adverse events."""
    for key, chosen, what in _categories(events):
        counts = {group: _with(chosen, frame) for group, frame in context.patients.items()}
        context.proportion("summary", counts, variable=key, what=what, contrast=key not in _ABOUT_THE_DRUG)
        context.rates("summary", chosen, variable=key, level=None, what=what)
        for group, frame in context.patients.items():
            own = chosen[chosen["USUBJID"].isin(frame["USUBJID"])]
            context.ard.add(
                "summary",
                "events",
                len(own),
                unit="count",
                group=group,
                variable=key,
                population="All analysed patients by exposure",
                estimand_id=ESTIMAND,
                method=f"events, not patients: {what.removeprefix('patients with ')}",
                engine=COUNTED,
                members=own,
            )
    for group, frame in context.patients.items():
        ungraded = events[events["USUBJID"].isin(frame["USUBJID"]) & events["grade"].isna()]
        context.ard.add(
            "summary",
            "events",
            len(ungraded),
            unit="count",
            group=group,
            variable="grade_unknown",
            population="All analysed patients by exposure",
            estimand_id=ESTIMAND,
            method="treatment-emergent events without a grade: counted under any grade, not under grade 3 or above",
            engine=COUNTED,
            members=ungraded,
        )


def _add_terms(context: _Context, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add every term: any grade, grade 3 or above, and patients by their worst grade.

    An event of interest that nobody had is a result too: no patients, with its exact interval.
    """
    interest = set(context.plan.events_of_interest)
    classes = ctcae_soc()
    recorded = texts(events["AEDECOD"])
    dots: list[dict] = []
    grades: list[dict] = []
    for term in sorted({*recorded.dropna(), *interest}):
        mine = events[(recorded == term).fillna(False).to_numpy(dtype=bool)]
        soc = str(mine["AEBODSYS"].iloc[0]) if len(mine) else classes.get(term, "")
        head = {"term": term, "soc": soc, "of_interest": term in interest}
        for severity, chosen in (("any", mine), ("grade_3_5", mine[mine["grade"] >= 3])):
            words = "any grade" if severity == "any" else "grade 3 or above"
            what = f"patients with {term}, {words}"
            counts = {group: _with(chosen, frame) for group, frame in context.patients.items()}
            drawn = context.proportion("term", counts, variable=str(term), level=severity, what=what)
            context.rates("term", chosen, variable=str(term), level=severity, what=what)
            for group, label in GROUPS.items():
                row = {k: v for k, v in drawn[group].items() if k != "count_id"}
                dots.append({**head, "severity": severity, "group": group, "label": label, **row, **drawn["contrast"]})
        worst = mine.groupby("USUBJID")["grade"].max()
        for group, frame in context.patients.items():
            own = worst.reindex(frame["USUBJID"]).dropna()
            for grade in range(1, 6):
                members = own.index[own == grade]
                count = len(members)
                identifier = context.ard.add(
                    "term_worst_grade",
                    "n",
                    count,
                    unit="count",
                    group=group,
                    variable=str(term),
                    level=f"g{grade}",
                    population="All analysed patients by exposure",
                    estimand_id=ESTIMAND,
                    method=f"patients whose worst {term} was grade {grade} (CTCAE v{context.plan.ctcae_version})",
                    engine=COUNTED,
                    members=members,
                )
                total = context.sizes[group]
                grades.append(
                    {
                        **head,
                        "group": group,
                        "label": GROUPS[group],
                        "grade": grade,
                        "n": count,
                        "total": total,
                        "percent": 100 * count / total if total else NAN,
                        "ard_id": identifier,
                    }
                )
    head_columns = ["term", "soc", "of_interest"]
    dot_columns = [
        *head_columns,
        "severity",
        "group",
        "label",
        "n",
        "total",
        "percent",
        "ci_low",
        "ci_high",
        "ard_id",
        "risk_difference",
        "difference_low",
        "difference_high",
        "contrast_id",
    ]
    grade_columns = [*head_columns, "group", "label", "grade", "n", "total", "percent", "ard_id"]
    return pd.DataFrame(dots, columns=dot_columns), pd.DataFrame(grades, columns=grade_columns)


def _add_classes(context: _Context, events: pd.DataFrame) -> None:
    """Add every system organ class: any grade and grade 3 or above."""
    for soc, mine in events.groupby(texts(events["AEBODSYS"]), sort=True):
        for severity, chosen in (("any", mine), ("grade_3_5", mine[mine["grade"] >= 3])):
            words = "any grade" if severity == "any" else "grade 3 or above"
            counts = {group: _with(chosen, frame) for group, frame in context.patients.items()}
            context.proportion(
                "soc", counts, variable=str(soc), level=severity, what=f"patients with an event of {soc}, {words}"
            )


def _add_exposure(context: _Context, adex: pd.DataFrame) -> None:
    """Add duration, dose, reductions, interruptions and stops of the exposed."""
    frame = context.patients["exposed"]
    plan = context.plan
    common = {
        "group": "exposed",
        "population": "Patients with any sorafenib before recurrence",
        "estimand_id": ESTIMAND,
        "engine": COUNTED,
    }
    doses = adex[adex["USUBJID"].isin(frame["USUBJID"])].sort_values(["USUBJID", "EXSEQ"])
    last_seen = frame.set_index("USUBJID")
    last_seen = pd.to_datetime(last_seen["DTHDT"]).fillna(pd.to_datetime(last_seen["LSTALVDT"]))
    by_patient = doses.groupby("USUBJID")
    final = by_patient.tail(1).set_index("USUBJID")
    first = pd.to_datetime(by_patient["EXSTDT"].min())
    adjustments = texts(final["EXADJ"]).fillna("")  # a centre may record no reason
    ongoing = (final["EXENDT"].isna() | (adjustments == "ongoing")).astype(bool)
    end = pd.to_datetime(final["EXENDT"]).fillna(last_seen.reindex(final.index))
    days = (end - first.reindex(final.index)).dt.days + 1

    curve, reason = attempt(
        kaplan_meier,
        days.to_numpy(dtype=float) / DAYS_PER_MONTH,
        (~ongoing).to_numpy(dtype=bool),
        level=plan.confidence_level,
    )
    words = (
        "months from first to last dose by Kaplan-Meier, stopping for any reason (death included) as the event, "
        "patients still on the drug censored; limits by Brookmeyer and Crowley"
    )
    for stat, probability in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        values = quantile_values(None if curve is None else curve.quantile(probability))
        context.ard.add(
            "exposure",
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="months",
            variable="duration",
            method=reason or words,
            **{**common, "engine": "sorafenib_rfa.stats.kaplan_meier"},
        )

    dose = numbers(doses["EXDOSE"])
    length = numbers(doses["EXDURD"])
    taken = (dose * length).groupby(doses["USUBJID"]).sum(min_count=1)
    mean_dose = (taken / days.reindex(taken.index)).dropna()
    spread = float(mean_dose.std(ddof=1)) if len(mean_dose) > 1 else NAN
    half = _t_quantile(plan.confidence_level, len(mean_dose) - 1) * spread / np.sqrt(max(len(mean_dose), 1))
    mean = float(mean_dose.mean()) if len(mean_dose) else NAN
    none = "" if len(mean_dose) else "not estimable: nobody has dosing intervals with a dose"
    said = none or "each patient's dose taken over the days from first to last dose, interruptions counted as 0 mg"
    context.ard.add(
        "exposure",
        "mean",
        mean,
        ci_low=mean - half,
        ci_high=mean + half,
        unit="measure",
        variable="daily_dose_mg",
        method=said + ("" if none else "; interval by Student's t"),
        **common,
    )
    lone = "not estimable: one patient only" if len(mean_dose) == 1 else said
    context.ard.add("exposure", "sd", spread, unit="measure", variable="daily_dose_mg", method=lone, **common)
    context.ard.add(
        "exposure",
        "mean",
        100 * mean / FULL_DOSE_MG,
        ci_low=100 * (mean - half) / FULL_DOSE_MG,
        ci_high=100 * (mean + half) / FULL_DOSE_MG,
        unit="percent",
        variable="relative_dose_intensity",
        method=none or f"mean daily dose relative to {FULL_DOSE_MG:.0f} mg",
        **common,
    )

    previous = dose.where(dose > 0).groupby(doses["USUBJID"]).ffill().groupby(doses["USUBJID"]).shift()
    reduced = pd.Index(doses.loc[(dose > 0) & (dose < previous), "USUBJID"].unique())
    gap = (
        pd.to_datetime(doses["EXSTDT"]) - pd.to_datetime(doses["EXENDT"]).groupby(doses["USUBJID"]).shift()
    ).dt.days > 1
    interrupted = pd.Index(doses.loc[(dose == 0) | gap, "USUBJID"].unique())
    counts = {
        "reduced": (reduced, "patients with a dose below their dose before"),
        "interrupted": (interrupted, "patients with days without the drug between two doses"),
        "stopped": (final.index[~ongoing], "patients who stopped for good, for any reason"),
        "ongoing": (final.index[ongoing], "patients still on the drug at last contact"),
    }
    for adjustment in STOP_REASONS:
        own = final.index[~ongoing & (adjustments == adjustment)]
        counts[f"stopped_{adjustment}"] = (own, f"patients who stopped for good; reason {adjustment}")
    for key, (members, what) in counts.items():
        context.proportion(
            "exposure",
            {"exposed": members},
            variable=key,
            what=what,
            population=common["population"],
            denominators={"exposed": final.index},
            contrast=False,
        )
    context.ard.add(
        "exposure",
        "n",
        len(final),
        unit="count",
        variable="with_dosing_records",
        method="exposed patients with dosing records",
        members=final.index,
        **common,
    )


def _t_quantile(level: float, freedom: int) -> float:
    """Return Student's t quantile of a two-sided interval; NaN without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2)) if freedom > 0 else NAN


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


def _add_complications(context: _Context, sessions: pd.DataFrame) -> None:
    """Add complications of ablation by session and by patient, worst Clavien-Dindo grade."""
    per_patient = sessions.groupby("USUBJID", as_index=False).agg(worst=("worst", "max"), any=("any", "max"))
    _add_graded(
        context, "rfa_session", sessions, "ablation sessions", "sessions of one patient counted as independent", False
    )
    caveat = "exposure follows the index ablation, so a complication may itself have kept a patient from the drug"
    _add_graded(context, "rfa_patient", per_patient, "patients", caveat, True)


def _add_graded(context: _Context, analysis: str, frame: pd.DataFrame, counted: str, note: str, contrast: bool) -> None:
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
            estimand_id=ESTIMAND,
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


def _add_rfa_events(context: _Context, adae: pd.DataFrame, sessions: pd.DataFrame) -> None:
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
        counts = {group: _with(chosen, frame) for group, frame in context.patients.items()}
        context.proportion(
            "rfa_related_event",
            counts,
            variable=key,
            what=f"patients with an adverse event related to ablation, {words}, within {days} days of a session",
        )
