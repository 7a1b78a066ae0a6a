"""What the parts on safety share: exposure groups, time at risk, and the lines that count patients in both groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt, untested
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.stats.proportions import clopper_pearson, incidence_rate, newcombe_difference
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

ENGINE = "sorafenib_rfa.stats.proportions"
COUNTED = "sorafenib_rfa.estimates.safety_context"
DAYS_PER_YEAR = DAYS_PER_MONTH * 12

GROUPS = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}
BY_EXPOSURE = "All analysed patients by exposure"

AT_RISK = (
    "time at risk runs, in the exposed, from the first dose to {days} days after the last (so the time between RFA and "
    "the first dose, in which nobody can have an event on the drug, is not counted) and, in the unexposed, from RFA "
    "to the last contact, death or a first dose after recurrence"
)


@dataclass(frozen=True)
class Window:
    """When a patient's adverse events count: first and last day, and the days at risk (by USUBJID)."""

    start: pd.Series
    end: pd.Series
    days: pd.Series


def window_at_risk(adsl: pd.DataFrame, adae: pd.DataFrame, adex: pd.DataFrame, plan: Plan) -> Window:
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
    return Window(start, end, days.clip(lower=0).fillna(0).astype(float))


def counted_events(adae: pd.DataFrame, window: Window) -> pd.DataFrame:
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
class SafetyContext:
    """What every table of a part on safety needs."""

    ard: ArdBuilder
    plan: Plan
    estimand: str
    patients: dict[str, pd.DataFrame]
    sizes: dict[str, int]
    window: Window
    not_compared: str

    @classmethod
    def prepare(
        cls,
        part: str,
        estimand: str,
        adsl: pd.DataFrame,
        adae: pd.DataFrame,
        adex: pd.DataFrame,
        plan: Plan,
        *,
        cohort_name: str,
        record: str,
    ) -> SafetyContext:
        """Divide the patients of ADSL by exposure and find each one's time at risk.

        Parameters
        ----------
        part, estimand : str
            Of the rows to come; the estimand is one of the plan.
        adsl, adae, adex : DataFrame
            ADaM datasets.
        plan : Plan
        cohort_name, record : str
            Name of the cohort and path of the job record.
        """
        exposed = texts(adsl["EXPOSFL"]) == "Y"
        patients = {"exposed": adsl[exposed], "unexposed": adsl[~exposed]}
        sizes = {group: len(frame) for group, frame in patients.items()}
        return cls(
            ard=ArdBuilder(cohort_name, part, record),
            plan=plan,
            estimand=estimand,
            patients=patients,
            sizes=sizes,
            window=window_at_risk(adsl, adae, adex, plan),
            not_compared=untested(sizes, plan),
        )

    def proportion(
        self,
        analysis: str,
        counts: Mapping[str, Members],
        *,
        variable: str,
        level: object = None,
        what: str,
        population: str = BY_EXPOSURE,
        denominators: Mapping[str, Members] | None = None,
        contrast: bool = True,
    ) -> dict[str, dict]:
        """Add count and percent of each group, and their difference; return what was added for the curves.

        `counts` and `denominators` are the patients, or the rows, of each group.
        """
        level_ = self.plan.confidence_level
        sizes = self.sizes if denominators is None else {group: len(all_) for group, all_ in denominators.items()}
        where = {"variable": variable, "level": level, "population": population, "estimand_id": self.estimand}
        drawn: dict[str, dict] = {}
        for group, members in counts.items():
            count = len(members)
            count_id = self.ard.add(
                analysis, "n", count, unit="count", group=group, method=what, engine=COUNTED, members=members, **where
            )
            interval, reason = attempt(clopper_pearson, count, sizes[group], level_)
            percents = [NAN] * 3 if interval is None else [100 * v for v in three(interval)]
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
            points = [NAN] * 3 if difference is None else [100 * v for v in three(difference)]
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
            estimate, low, high = (NAN,) * 3 if rate is None else three(rate)
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
                population=BY_EXPOSURE,
                estimand_id=self.estimand,
                method=reason
                or f"{what}: patients with a first event per 100 patient-years at risk ({years:.1f} years); "
                f"{AT_RISK.format(days=self.plan.treatment_emergent_days)}; exact Poisson (Garwood) interval",
                engine=ENGINE,
            )


def three(interval: object) -> tuple[float, float, float]:
    """Return estimate and limits."""
    return interval.estimate, interval.ci_low, interval.ci_high  # type: ignore[attr-defined]


def those_with(chosen: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Return the USUBJID of those of `patients` who occur in `chosen`."""
    return patients.loc[patients["USUBJID"].isin(chosen["USUBJID"]), "USUBJID"]
