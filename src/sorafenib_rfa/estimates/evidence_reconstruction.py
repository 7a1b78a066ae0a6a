"""Published survival as hazards over time: from printed percentages, and from curves that were digitised.

What is reconstructed here is derived from what was read, under assumptions that the rows name. It enters no synthesis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, horizon, quantile_values
from sorafenib_rfa.estimates.evidence_common import ENDPOINTS, STUDIES, listed, members, status_words
from sorafenib_rfa.evidence.digitised import DigitisedCurve, misfit, read_digitised
from sorafenib_rfa.evidence.schema import ARMS
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError
from sorafenib_rfa.stats.survival_percentages import TwoArmReconstruction, reconstruct

PERCENTAGES = "sorafenib_rfa.stats.survival_percentages"
PUBLISHED_CURVES = "sorafenib_rfa.stats.published_curves"
ENGINE = "sorafenib_rfa.estimates.evidence_reconstruction"

_INTERVAL_COLUMNS: Final = [
    *("study_id", "label", "endpoint", "endpoint_label", "from_month", "to_month", "hr", "lo", "hi"),
    *("hazard_treated", "hazard_control", "events_treated", "events_control", "reason", "ard_id"),
    *("no_censoring_lo", "no_censoring_hi", "no_censoring_id"),
]
_SURVIVAL_COLUMNS: Final = ["study_id", "label", "endpoint", "arm", "kind", "month", "survival", "lo", "hi"]
_DIGITISED_COLUMNS: Final = ["study_id", "label", "endpoint", "arm", "kind", "month", "survival"]
_TEXTS: Final = frozenset(
    {"study_id", "label", "endpoint", "endpoint_label", "reason", "ard_id", "no_censoring_id", "arm", "kind"}
)


def estimate_reconstruction(
    evidence: Evidence, digitised: Path, plan: Plan, cohort_name: str, record: str
) -> Estimates:
    """Reconstruct hazards over time from printed survival percentages, and patients from digitised curves.

    Parameters
    ----------
    evidence : Evidence
        Its ``survival_percentages``, and sizes of arms.
    digitised : Path
        Folder of digitised curves (:mod:`.evidence.digitised`), named in the rows as given; it may hold none.
    plan : Plan
        Its ``confidence_level``.
    cohort_name : str
        Name under which the results stand.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``reconstruction``. Of each study and endpoint with percentages, and again with ``_no_censoring`` (no
        patient censored before the last percentage): ``reconstruction.<study>_<endpoint>.m<from>_m<to>.hr``
        (intervals)``, .hr`` (average)``, .cumulative_hr, .heterogeneity`` (test of equal interval hazard ratios)``,
        .trend_per_year, .m<month>.difference|treated|control`` (restricted means, months)``,
        .m<month>.difference_lowest|difference_highest, .percentages``. ``reconstruction.digitised.curves`` counts the
        digitised figures; each gives ``reconstruction.digitised_<study>_<endpoint>.hr``, ``.treated|control.median``
        and the numbers of reconstructed patients and events.

        Curves: ``evidence_intervals`` (a row an interval, without censoring beside)``, evidence_survival`` (kind
        fitted, published)``, evidence_digitised`` (kind digitised, reconstructed).
    """
    ard = ArdBuilder(cohort_name, "reconstruction", record)
    intervals: list[dict] = []
    survival: list[dict] = []
    labels = evidence.studies.set_index("study_id")
    for (study, endpoint), rows in evidence.survival_percentages.groupby(["study_id", "endpoint"], sort=True):
        part = _Percentages(ard, plan.confidence_level, evidence, study, endpoint, labels.loc[study], rows)
        part.add(intervals, survival)
    points: list[dict] = []
    curves = read_digitised(digitised, evidence, shown_folder=Path(digitised).as_posix())
    _count_curves(ard, curves)
    for curve, patients in zip(curves, _patients(curves), strict=True):
        points += _add_digitised(ard, plan.confidence_level, curve, patients, labels.at[curve.study_id, "label"])
    return ard.estimates(
        {
            "evidence_intervals": _frame(intervals, _INTERVAL_COLUMNS),
            "evidence_survival": _frame(survival, _SURVIVAL_COLUMNS),
            "evidence_digitised": _frame(points, _DIGITISED_COLUMNS),
        }
    )


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({name: "string" if name in _TEXTS else "float64" for name in columns})


# --- printed percentages ---------------------------------------------------------------------------


class _Percentages:
    """One study and endpoint of which survival percentages of two arms are printed."""

    def __init__(
        self,
        ard: ArdBuilder,
        level: float,
        evidence: Evidence,
        study_id: str,
        endpoint: str,
        study: pd.Series,
        rows: pd.DataFrame,
    ) -> None:
        self.ard = ard
        self.level = level
        self.study_id = study_id
        self.endpoint = endpoint
        self.study = study
        self.rows = rows.sort_values(["arm", "month"])
        self.analysis = f"{study_id}_{endpoint}"
        self.until = 0.0
        self.fallen: float | None = None
        self.what = f"{study['label']}, {ENDPOINTS[endpoint].lower()}"
        keys = [f"{study_id}.{endpoint}.{row.arm}.{row.month:g}" for row in self.rows.itertuples(index=False)]
        self.rows = self.rows.assign(key=keys)
        statuses = {status_words(evidence, "survival_percentages", key, {"percent": "percentages"}) for key in keys}
        names = {"n_treated": "sizes of the arms", "n_control": "sizes of the arms"}
        names |= {f"median_follow_up_{arm}": "median follow-up" for arm in ARMS}
        sizes = status_words(evidence, "studies", study_id, names)
        self.status = "; ".join([*sorted(statuses), sizes])

    def add(self, intervals: list[dict], survival: list[dict]) -> None:
        """Add all rows; append to the curves."""
        self.ard.add(
            self.analysis,
            "percentages",
            len(self.rows),
            unit="count",
            method=f"{self.what}: printed survival percentages",
            engine=ENGINE,
            population=STUDIES,
            members=members(self.rows, "key"),
        )
        # the reader sees to it that both arms have the same months
        table = self.rows.pivot(index="month", columns="arm", values="percent")
        months = table.index.to_numpy(dtype=float)
        fallen = (table == 0).any(axis=1)
        table = table[~fallen]
        self.until = float(table.index.max()) if len(table) else 0.0
        self.fallen = float(fallen.idxmax()) if fallen.any() else None
        main, why = self._reconstruct(table, "follow_up")
        no_censoring, why_not = self._reconstruct(table, "none")
        words = self._words(main)
        ids = self._add_intervals(self.analysis, months, main, why, words)
        self._add_summaries(self.analysis, months, main, why, words)
        other = f"{self.analysis}_no_censoring"
        other_words = f"{self.what}: {self._model()}, nobody censored before month {self.until:g}; {self.status}"
        other_ids = self._add_intervals(other, months, no_censoring, why_not, other_words)
        self._add_summaries(other, months, no_censoring, why_not, other_words)
        intervals += self._interval_rows(months, main, why, ids, no_censoring, other_ids)
        survival += self._survival_rows(main)

    def _model(self) -> str:
        end = (
            "" if self.fallen is None else f" to month {self.until:g}, at month {self.fallen:g} an arm is at 0 percent"
        )
        return f"hazards constant between the printed percentages{end}"

    def _beyond(self, month: float) -> str:
        """Return why nothing is known of the time up to a month, '' where something is."""
        if self.fallen is None or month < self.fallen:
            return ""
        return f"not estimable: an arm is at 0 percent at month {self.fallen:g}, its hazard before is without limit"

    def _words(self, main: TwoArmReconstruction | None) -> str:
        if main is None:
            return ""
        treated, control = main.treated, main.control
        if treated.follow_up_assumed and control.follow_up_assumed:
            known = "the last printed time is taken for the median follow-up"
        else:
            medians = [
                f"{name} {arm.follow_up_median:g} months{' (the last printed time)' if arm.follow_up_assumed else ''}"
                for name, arm in (("treated", treated), ("control", control))
            ]
            known = f"median follow-up: {listed(medians)}"
        return (
            f"{self.what}: {self._model()}; censoring at a constant rate, {known}; rounding of the print in the "
            f"variance; arms taken as independent; {self.status}"
        )

    def _reconstruct(self, table: pd.DataFrame, censoring: str) -> tuple[TwoArmReconstruction | None, str]:
        sizes = [self.study["n_treated"], self.study["n_control"]]
        if not set(ARMS) <= set(table.columns):
            return None, "not estimable: no time at which percentages of both arms are printed"
        if table.empty:
            return None, self._beyond(self.fallen)
        if np.isnan(sizes).any():
            return None, "not estimable: the number of patients of an arm is not known"
        return attempt(
            reconstruct,
            table.index.to_numpy(dtype=float),
            table["treated"].to_numpy(dtype=float),
            table["control"].to_numpy(dtype=float),
            *(int(size) for size in sizes),
            follow_up_median_treated=_known(self.study["median_follow_up_treated"]),
            follow_up_median_control=_known(self.study["median_follow_up_control"]),
            censoring=censoring,
            decimals=int(self.rows["decimals"].min()),
            level=self.level,
        )

    def _add(self, analysis: str, stat: str, value: float, unit: str, method: str, **rest: object) -> str:
        return self.ard.add(
            analysis, stat, value, unit=unit, method=method, engine=PERCENTAGES, population=STUDIES, **rest
        )

    def _add_intervals(
        self, analysis: str, months: np.ndarray, made: TwoArmReconstruction | None, why: str, words: str
    ) -> list[str]:
        ids = []
        for j, (start, end) in enumerate(zip([0.0, *months[:-1]], months, strict=True)):
            row = None if made is None or end > self.until else made.intervals.iloc[j]
            reason = why or self._beyond(end) or (f"not estimable: {row['note']}" if row["note"] else "")
            given = not reason
            ids.append(
                self._add(
                    analysis,
                    "hr",
                    row["hr"] if given else NAN,
                    "ratio",
                    reason or f"hazard ratio from month {start:g} to {end:g}, Wald interval; {words}",
                    ci_low=row["ci_low"] if given else NAN,
                    ci_high=row["ci_high"] if given else NAN,
                    p_value=_two_sided(row["hr"], row["se_log"]) if given else NAN,
                    variable=f"{horizon(start)}_{horizon(end)}",
                )
            )
        return ids

    def _add_summaries(
        self, analysis: str, months: np.ndarray, made: TwoArmReconstruction | None, why: str, words: str
    ) -> None:
        for stat, name, what in (
            ("hr", "average_hr", "average hazard ratio: what a Cox model of such patients would give"),
            ("cumulative_hr", "cumulative_hr", f"ratio of the cumulative hazards at month {self.until:g}"),
        ):
            found = None if made is None else getattr(made, name)
            reason = why or ("" if found is not None else "not estimable: an arm has no events as printed")
            self._add(
                analysis,
                stat,
                NAN if found is None else found.estimate,
                "ratio",
                reason or f"{what}; hazards need not be proportional, read it with those of the intervals; {words}",
                ci_low=NAN if found is None else found.ci_low,
                ci_high=NAN if found is None else found.ci_high,
                p_value=NAN if found is None else found.p,
            )
        test = None if made is None else made.heterogeneity
        trend = None if made is None else made.trend
        few = why or ("" if test is not None else "not estimable: fewer than two intervals have a hazard ratio")
        self._add(
            analysis,
            "heterogeneity",
            NAN if test is None else test.chi2,
            "statistic",
            few or f"Wald test that the hazard ratio is the same in all intervals, {test.df} df; {words}",
            p_value=NAN if test is None else test.p,
        )
        self._add(
            analysis,
            "trend_per_year",
            NAN if trend is None else trend.ratio_per_year,
            "ratio",
            few or f"factor by which the hazard ratio changes in a year (above 1: a benefit wanes); {words}",
            ci_low=NAN if trend is None else trend.ci_low,
            ci_high=NAN if trend is None else trend.ci_high,
            p_value=NAN if trend is None else trend.p,
        )
        for month in months:
            self._add_restricted_means(analysis, float(month), made, why, words)

    def _add_restricted_means(
        self, analysis: str, month: float, made: TwoArmReconstruction | None, why: str, words: str
    ) -> None:
        why = why or self._beyond(month)
        means = None if made is None or why else made.rmst(month)
        place = {"variable": horizon(month)}
        reach = float(ndtri(0.5 + self.level / 2))
        for arm in ARMS:
            mean = NAN if means is None else getattr(means, arm)
            half = NAN if means is None else reach * getattr(means, f"{arm}_std_err")
            self._add(
                analysis,
                arm,
                mean,
                "months",
                why or f"restricted mean survival time to month {month:g}, {arm}; {words}",
                # a mean of times up to a horizon lies between nought and it
                ci_low=max(mean - half, 0.0) if means is not None else NAN,
                ci_high=min(mean + half, month) if means is not None else NAN,
                **place,
            )
        self._add(
            analysis,
            "difference",
            NAN if means is None else means.difference,
            "months",
            why or f"difference of restricted mean survival times to month {month:g}, treated less control; {words}",
            ci_low=NAN if means is None else means.ci_low,
            ci_high=NAN if means is None else means.ci_high,
            p_value=NAN if means is None else means.p,
            **place,
        )
        if analysis != self.analysis:  # what any curve allows does not depend on censoring
            return
        for stat, bound, word in (
            ("difference_lowest", "lowest", "least"),
            ("difference_highest", "highest", "greatest"),
        ):
            self._add(
                analysis,
                stat,
                NAN if means is None else getattr(means, bound),
                "months",
                why
                or f"{word} difference of restricted means to month {month:g} that any falling curves through the "
                f"printed percentages have; sampling apart; {self.what}; {self.status}",
                **place,
            )

    def _interval_rows(
        self,
        months: np.ndarray,
        made: TwoArmReconstruction | None,
        why: str,
        ids: list[str],
        other: TwoArmReconstruction | None,
        other_ids: list[str],
    ) -> list[dict]:
        rows = []
        for j, (start, end) in enumerate(zip([0.0, *months[:-1]], months, strict=True)):
            row = {
                "study_id": self.study_id,
                "label": self.study["label"],
                "endpoint": self.endpoint,
                "endpoint_label": ENDPOINTS[self.endpoint],
                "from_month": start,
                "to_month": end,
                "reason": (why or self._beyond(end)).removeprefix("not estimable: "),
                "ard_id": ids[j],
                "no_censoring_id": other_ids[j],
            }
            if made is not None and end <= self.until:
                found = made.intervals.iloc[j]
                row |= {
                    "hr": found["hr"],
                    "lo": found["ci_low"],
                    "hi": found["ci_high"],
                    "hazard_treated": found["hazard_treated"],
                    "hazard_control": found["hazard_control"],
                    "events_treated": found["expected_events_treated"],
                    "events_control": found["expected_events_control"],
                    "reason": found["note"],
                }
            if other is not None and end <= self.until:
                found = other.intervals.iloc[j]
                row |= {"no_censoring_lo": found["ci_low"], "no_censoring_hi": found["ci_high"]}
            rows.append(row)
        return rows

    def _survival_rows(self, made: TwoArmReconstruction | None) -> list[dict]:
        shared = {"study_id": self.study_id, "label": self.study["label"], "endpoint": self.endpoint}
        rows = [
            shared | {"arm": row.arm, "kind": "published", "month": row.month, "survival": row.percent / 100}
            for row in self.rows.itertuples(index=False)
        ]
        if made is None:
            return rows
        # months, and the printed times where they are none
        fitted = made.survival(np.union1d(np.arange(0.0, self.until + 1e-9), made.treated.months))
        for arm in ARMS:
            rows += [
                shared | {"arm": arm, "kind": "fitted", "month": month, "survival": value, "lo": low, "hi": high}
                for month, value, low, high in fitted[["month", arm, f"{arm}_low", f"{arm}_high"]].to_numpy()
            ]
        return rows


def _known(months: float) -> float | None:
    return None if np.isnan(months) else float(months)


def _two_sided(ratio: float, std_err: float) -> float:
    return float(2 * ndtr(-abs(np.log(ratio) / std_err)))


# --- digitised curves ------------------------------------------------------------------------------


def _count_curves(ard: ArdBuilder, curves: list[DigitisedCurve]) -> None:
    files = pd.DataFrame(
        {
            "key": [f"{curve.study_id}.{curve.endpoint}" for curve in curves],
            "src_file": [curve.src_file for curve in curves],
            "src_row": [1] * len(curves),
        }
    )
    named = f": {listed(files['key'])}" if curves else ""
    ard.add(
        "digitised",
        "curves",
        len(curves),
        unit="count",
        method=f"published figures of two arms that were digitised{named}",
        engine=ENGINE,
        population=STUDIES,
        members=members(files, "key"),
    )


def _patients(curves: list[DigitisedCurve]) -> list[dict[str, pd.DataFrame]]:
    """Return the patients of each curve by arm.

    Raises
    ------
    EvidenceError
        With all arms in which no patients can be behind the curve: files must be mended, not reported as results.
    """
    from sorafenib_rfa.stats.errors import EstimationError
    from sorafenib_rfa.stats.published_curves import reconstruct_patients

    made: list[dict[str, pd.DataFrame]] = []
    problems = []
    for curve in curves:
        made.append({})
        for arm in ARMS:
            own = curve.points[curve.points["arm"] == arm]
            risk = curve.at_risk[curve.at_risk["arm"] == arm]
            try:
                made[-1][arm] = reconstruct_patients(
                    own["month"].to_numpy(),
                    own["survival"].to_numpy(),
                    risk_months=risk["month"].to_numpy(),
                    at_risk=risk["n"].to_numpy(),
                    total_events=curve.total_events.get(arm),
                )
            except EstimationError as error:
                problems.append(misfit(curve, arm, str(error)))
    if problems:
        raise EvidenceError(problems)
    return made


def _add_digitised(
    ard: ArdBuilder, level: float, curve: DigitisedCurve, patients: dict[str, pd.DataFrame], label: str
) -> list[dict]:
    """Add what patients reconstructed from a figure give; return the points of its arms."""
    from sorafenib_rfa.stats.cox import cox_fit
    from sorafenib_rfa.stats.kaplan_meier import kaplan_meier

    analysis = f"digitised_{curve.study_id}_{curve.endpoint}"
    what = f"{label}, {ENDPOINTS[curve.endpoint].lower()}: patients reconstructed from the digitised curve (Guyot 2012)"
    points = []
    shared = {"study_id": curve.study_id, "label": label, "endpoint": curve.endpoint}
    for arm, made in patients.items():
        own = curve.points[curve.points["arm"] == arm]
        points += [
            shared | {"arm": arm, "kind": "digitised", "month": month, "survival": value}
            for month, value in own[["month", "survival"]].to_numpy()
        ]
        steps = kaplan_meier(made["time"], made["event"], level=level)
        points += [
            shared | {"arm": arm, "kind": "reconstructed", "month": month, "survival": value}
            for month, value in steps.to_frame()[["time", "survival"]].to_numpy()
        ]
        for kind, number in (("patients", len(made)), ("events", made["event"].sum())):
            ard.add(
                analysis,
                f"pseudo_{kind}",
                number,
                unit="count",
                variable=arm,
                method=f"{what}, {arm}: {kind}",
                engine=PUBLISHED_CURVES,
                population=STUDIES,
            )
        value, low, high = quantile_values(steps.median())
        ard.add(
            analysis,
            "median",
            value,
            ci_low=low,
            ci_high=high,
            unit="months",
            variable=arm,
            method=f"{what}, {arm}: Kaplan-Meier median, log-log interval",
            engine=PUBLISHED_CURVES,
            population=STUDIES,
        )
    both = pd.concat([patients[arm].assign(treated=float(arm == "treated")) for arm in ARMS], ignore_index=True)
    fit, why = attempt(cox_fit, both[["treated"]], both["time"], both["event"])
    ratio = None if fit is None else fit.hazard_ratio("treated", level)
    ard.add(
        analysis,
        "hr",
        NAN if ratio is None else ratio.estimate,
        ci_low=NAN if ratio is None else ratio.ci_low,
        ci_high=NAN if ratio is None else ratio.ci_high,
        p_value=NAN if ratio is None else ratio.p,
        unit="ratio",
        method=why or f"{what}: Cox model with Efron's ties, treated against control, Wald interval",
        engine=PUBLISHED_CURVES,
        population=STUDIES,
    )
    return points
