"""Do the estimators find what is true? A simulation study in the form of ADEMP (Morris, White & Crowther 2019).

* **Aims.** Bias, standard errors, coverage and power of the primary analysis, and of what is used beside or instead of
  it, under no effect, an early effect that wanes, harm, and strong confounding by indication, in small and large
  cohorts.
* **Data.** Cohorts drawn from the model behind the synthetic cohort (:mod:`sorafenib_rfa.simulate`), as a perfect
  record keeper would have written them down: imaging at intervals that depend on treatment, drop-out, data cut-off,
  starts within the grace period and months later. The centres are the same in all cohorts; patients differ. The size
  and number of a cohort fix its patients' chances, which are the same in all scenarios.
* **Estimands.** Difference of restricted means and log hazard ratio between the strategies, with recurrence dated when
  it is seen, each estimator against the truth of its own population, time zero and model
  (:mod:`sorafenib_rfa.validation.truths`).
* **Methods.** :data:`sorafenib_rfa.validation.estimators.ESTIMATORS`, by the functions that analyse the cohorts of the
  paper.
* **Performance measures.** :mod:`sorafenib_rfa.validation.performance`.

A cohort's patients and resamples come from the study's seed by the spawn key (size, number) alone. What is computed
together with what, in which order and where changes no digit.

References
----------
Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med 2019;38:2074-2102.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.common import hazard_ratio, untested
from sorafenib_rfa.estimates.covariates import Design, covariate_design
from sorafenib_rfa.estimates.target_trial import Emulation, FormName, start_stop
from sorafenib_rfa.simulate.outcomes import solve_baseline
from sorafenib_rfa.simulate.population import draw_centre_log_hazards
from sorafenib_rfa.simulate.truth import Patients, simulate_patients
from sorafenib_rfa.stats.cox import CoxFit, cox_fit
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.propensity import logistic_fit, propensity_weights
from sorafenib_rfa.validation.estimators import ESTIMATORS
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sorafenib_rfa.simulate.parameters import SimulationParameters

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

Estimate = tuple[float, float]
"""Estimate and standard error."""
ESTIMATE_COLUMNS = (
    "scenario", "screened", "replicate", "n", "endpoint", "estimator", "measure", "estimate", "std_err", "reason",
)  # fmt: skip
TREATMENT = "treatment"


class SmallGroupError(EstimationError):
    """An arm has fewer patients than the plan compares."""


def baseline_covariates(people: pd.DataFrame, regions: Mapping[str, str]) -> pd.DataFrame:
    """Return the baseline variables of simulated patients under the names of ADSL.

    Parameters
    ----------
    people : DataFrame
        As :func:`sorafenib_rfa.simulate.population.draw_population` returns it.
    regions : mapping
        Site -> region.
    """
    from sorafenib_rfa.clinical.liver import albi_score

    return pd.DataFrame(
        {
            "AGE": np.floor(people["age_years"].to_numpy()),
            "SEX": np.where(people["male"], "M", "F"),
            "ETIOLOGY": people["etiology"].to_numpy(),
            "RECURFL": np.where(people["recurrent_hcc"], "Y", "N"),
            "ALBISC": albi_score(people["bilirubin_umol_l"], people["albumin_g_l"]).to_numpy(dtype=float),
            "TUMSIZE": people["largest_tumour_cm"].to_numpy(),
            "TUMCOUNT": people["tumour_count"].to_numpy(),
            "AFPBL": people["afp_ng_ml"].to_numpy(),
            "PLTBL": people["platelets_10_9_l"].to_numpy(),
            "REGION": people["site"].map(dict(regions)).to_numpy(),
        }
    )


def observed_cohort(patients: Patients, regions: Mapping[str, str]) -> pd.DataFrame:
    """Return the eligible patients of a simulated cohort as an analysis would know them, without errors or gaps.

    Parameters
    ----------
    patients : Patients
        As :func:`sorafenib_rfa.simulate.truth.simulate_patients` returns them.
    regions : mapping
        Site -> region.

    Returns
    -------
    DataFrame
        Baseline variables under the names of ADSL; days since RFA (infinite: did not happen): ``exposed_from,
        recurred, died, last``; ``rfs_day, rfs_event, os_day, os_event``, where recurrence-free survival without event
        ends at the last clear examination, as in ADTTE.
    """
    seen, course = patients.observed, patients.natural
    recurred = seen.detected_day
    died = np.where(seen.died, seen.end_day, np.inf)
    clear = course.attended & (course.examinations <= seen.end_day) & (course.examinations < recurred)
    last_clear = np.where(clear, course.examinations, 0.0).max(axis=0)
    rfs_event = np.isfinite(recurred) | np.isfinite(died)
    rfs_day = np.where(np.isfinite(recurred), recurred, np.where(np.isfinite(died), died, last_clear))
    frame = baseline_covariates(patients.population, regions).assign(
        exposed_from=seen.start_day,
        recurred=recurred,
        died=died,
        last=seen.end_day,
        # the day of the RFA itself counts as half a day, as in ADTTE
        rfs_day=np.where(rfs_day == 0, 0.5, rfs_day),
        rfs_event=rfs_event,
        os_day=np.where(seen.end_day == 0, 0.5, seen.end_day),
        os_event=seen.died,
    )
    return frame[patients.population["eligible"].to_numpy()].reset_index(drop=True)


def varying(x: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of covariates that vary among the rows, as the adjusted models of the paper keep them."""
    return x.loc[:, [np.ptp(values) > 0 for values in x.to_numpy().T]]


@dataclass(frozen=True, eq=False)
class Cohort:
    """One cohort under analysis: what several estimators share is computed once.

    Attributes
    ----------
    frame : DataFrame
        As :func:`observed_cohort` returns it.
    plan : Plan
    emulation_seed, landmark_seed : SeedSequence
        Of the two sets of resamples.
    resamples : int
    """

    frame: pd.DataFrame
    plan: Plan
    emulation_seed: np.random.SeedSequence
    landmark_seed: np.random.SeedSequence
    resamples: int

    def days(self, name: str) -> FloatArray:
        """Return a column of days."""
        return self.frame[name].to_numpy(dtype=float)

    def followed(self, endpoint: str) -> tuple[FloatArray, BoolArray]:
        """Return months since RFA and whether they end in an event."""
        key = endpoint.lower()
        return self.days(f"{key}_day") / DAYS_PER_MONTH, self.frame[f"{key}_event"].to_numpy(dtype=bool)

    def require_groups(self, treated: BoolArray) -> None:
        """Refuse arms that the plan would not compare."""
        sizes = {"treated": int(treated.sum()), "control": int((~treated).sum())}
        if why := untested(sizes, self.plan):
            raise SmallGroupError(why)

    @cached_property
    def design(self) -> Design:
        """Covariates of everyone."""
        return covariate_design(self.frame, self.plan, self.plan.adjustment_set)

    @cached_property
    def emulation(self) -> Emulation:
        """The emulated trial, with its resamples."""
        grace = self.plan.grace_period_days
        start, recurred, died, last = (self.days(name) for name in ("exposed_from", "recurred", "died", "last"))
        known = (recurred > grace) & (died > grace) & (last >= grace)
        self.require_groups((start <= grace)[known])
        return Emulation.draw(
            self.design.x.to_numpy(),
            start / DAYS_PER_MONTH,
            recurred / DAYS_PER_MONTH,
            np.minimum(np.minimum(recurred, died), last) / DAYS_PER_MONTH,
            known,
            grace / DAYS_PER_MONTH,
            seed=self.emulation_seed,
            resamples=self.resamples,
        )

    @cached_property
    def landmark(self) -> Landmark:
        """Those who reach the landmark."""
        return Landmark.of(self)


@dataclass(frozen=True, eq=False)
class Landmark:
    """Those event-free and observed on the landmark day, and their follow-up for RFS from then on.

    Attributes
    ----------
    cohort : Cohort
    design : Design
        Covariates, coded among those who enter.
    treated : ndarray of bool, shape (n,)
        Exposed by the landmark day.
    inside : ndarray of bool, shape (n,)
        Followed beyond the landmark; the others take part in the propensity score only.
    time, event : ndarray, shape (number inside,)
        Months from the landmark.
    tau : float
        Horizon of the restricted means from the landmark.
    """

    cohort: Cohort
    design: Design
    treated: BoolArray
    inside: BoolArray
    time: FloatArray
    event: BoolArray
    tau: float

    @classmethod
    def of(cls, cohort: Cohort) -> Landmark:
        """Return those of a cohort who enter."""
        plan, day = cohort.plan, cohort.plan.landmark_day
        start = day / DAYS_PER_MONTH
        entered = (cohort.days("recurred") > day) & (cohort.days("died") > day) & (cohort.days("last") >= day)
        time, event = cohort.followed("RFS")
        inside = (time > start)[entered]
        treated = (cohort.days("exposed_from") <= day)[entered]
        cohort.require_groups(treated[inside])
        return cls(
            cohort=cohort,
            design=covariate_design(cohort.frame[entered], plan, plan.adjustment_set),
            treated=treated,
            inside=inside,
            time=(time - start)[entered][inside],
            event=event[entered][inside],
            tau=float(plan.rmst_horizon_months) - start,
        )

    @property
    def arm(self) -> FloatArray:
        """Treatment of those followed, as a number."""
        return self.treated[self.inside].astype(float)

    @cached_property
    def scores(self) -> FloatArray:
        """Propensity scores of all who enter."""
        return logistic_fit(self.design.x, self.treated).fitted

    def weights(self, estimand: str) -> FloatArray:
        """Return the weights of those followed; stabilised inverse probabilities for ``ATE``."""
        return propensity_weights(self.scores, self.treated, estimand)[self.inside]  # type: ignore[arg-type]

    @cached_property
    def drawn(self) -> OverlapResamples:
        """Resamples of all who enter."""
        return OverlapResamples.draw(
            self.design.x.to_numpy(),
            self.treated,
            seed=self.cohort.landmark_seed,  # type: ignore[arg-type]
            replicates=self.cohort.resamples,
        )

    def ratio(self, **options: object) -> Estimate:
        """Return the log hazard ratio of treatment alone."""
        return log_ratio(cox_fit(self.arm[:, None], self.time, self.event, names=[TREATMENT], **options))  # type: ignore[arg-type]


def log_ratio(fit: CoxFit, name: str = TREATMENT) -> Estimate:
    """Return a log hazard ratio and its standard error, as they are printed: robust where that was asked for."""
    ratio, why = hazard_ratio(fit, name, 0.95, "")
    if ratio is None:
        raise EstimationError(why)
    return ratio.log_estimate, ratio.log_se


def _clone_censor(form: FormName) -> Callable[[Cohort, str], dict[str, Estimate]]:
    def estimate(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
        found = cohort.emulation.compare(
            *cohort.followed(endpoint),
            float(cohort.plan.rmst_horizon_months),
            form=form,
            level=cohort.plan.confidence_level,
        )
        return {
            "rmst_difference": (found.rmst_difference.estimate, found.rmst_difference.std_err),
            "log_hr": (float(np.log(found.hazard_ratio.estimate)), found.hazard_ratio.std_err),
        }

    return estimate


def _landmark_overlap(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    """Return the weighted comparison: restricted means by the bootstrap, the ratio with weights taken as known."""
    at = cohort.landmark
    weights = at.weights("overlap")
    contrast = rmst_contrast(at.time, at.event, at.arm, at.tau, reference=0.0, weights=weights)
    spread = at.drawn.rmst_difference(at.inside, at.time, at.event, at.tau)
    return {
        "rmst_difference": (contrast.difference, spread.std_err),
        "log_hr": at.ratio(weights=weights, robust=True),
    }


def _landmark_iptw(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    at = cohort.landmark
    return {"log_hr": at.ratio(weights=at.weights("ATE"), robust=True)}


def _landmark_unadjusted(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    at = cohort.landmark
    contrast = rmst_contrast(at.time, at.event, at.arm, at.tau, reference=0.0)
    return {"rmst_difference": (contrast.difference, contrast.difference_std_err), "log_hr": at.ratio()}


def _landmark_adjusted(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    at = cohort.landmark
    x = varying(at.design.x[at.inside])
    x.insert(0, TREATMENT, at.arm)
    return {"log_hr": log_ratio(cox_fit(x, at.time, at.event))}


def _time_varying(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    """Return the hazard ratio of current exposure, adjusted; robust variance clustered by patient."""
    time, event = cohort.followed(endpoint)
    rows = start_stop(time, event, cohort.days("exposed_from") / DAYS_PER_MONTH)
    patient = rows["patient"].to_numpy()
    ever = np.zeros(len(time), dtype=bool)
    ever[patient[rows["exposed"].to_numpy() == 1]] = True
    cohort.require_groups(ever)
    x = varying(cohort.design.x).iloc[patient].reset_index(drop=True)
    x.insert(0, "exposed", rows["exposed"])
    fit = cox_fit(x, rows["stop"], rows["event"], start=rows["start"], cluster=patient)
    return {"log_hr": log_ratio(fit, "exposed")}


def _naive(cohort: Cohort, endpoint: str) -> dict[str, Estimate]:
    """Return the comparison of ever against never exposed from the RFA on: biased by immortal time."""
    ever = np.isfinite(cohort.days("exposed_from"))
    cohort.require_groups(ever)
    time, event = cohort.followed(endpoint)
    contrast = rmst_contrast(time, event, ever.astype(float), float(cohort.plan.rmst_horizon_months), reference=0.0)
    fit = cox_fit(ever.astype(float)[:, None], time, event, names=[TREATMENT])
    return {"rmst_difference": (contrast.difference, contrast.difference_std_err), "log_hr": log_ratio(fit)}


METHODS: Mapping[str, Callable[[Cohort, str], dict[str, Estimate]]] = {
    "ccw_overlap": _clone_censor("overlap"),
    "ccw_ate": _clone_censor("ate"),
    "landmark_overlap": _landmark_overlap,
    "landmark_iptw": _landmark_iptw,
    "landmark_unadjusted": _landmark_unadjusted,
    "landmark_adjusted": _landmark_adjusted,
    "time_varying": _time_varying,
    "naive": _naive,
}


def analyse(
    frame: pd.DataFrame, plan: Plan, estimators: Sequence[str], *, seed: np.random.SeedSequence, resamples: int
) -> list[tuple[str, str, str, float, float, str]]:
    """Return the estimates of one cohort: endpoint, estimator, measure, estimate, standard error, why there is none.

    Parameters
    ----------
    frame : DataFrame
        As :func:`observed_cohort` returns it.
    plan : Plan
        Grace period, landmark, horizon, covariates.
    estimators : sequence of str
        Keys of :data:`sorafenib_rfa.validation.estimators.ESTIMATORS`; what one finds does not depend on the others.
    seed : SeedSequence
        Of the resamples.
    resamples : int
        Bootstrap resamples.
    """
    cohort = Cohort(frame, plan, *seed.spawn(2), resamples)
    rows = []
    for name in estimators:
        for endpoint in ESTIMATORS[name].endpoints:
            found: dict[str, Estimate] = {}
            why = ""
            try:
                found = METHODS[name](cohort, endpoint)
            except EstimationError as error:
                why = type(error).__name__
            for measure in ESTIMATORS[name].measures:
                estimate, error = found.get(measure, (np.nan, np.nan))
                said = why or ("" if np.isfinite(estimate) and np.isfinite(error) else "NotFinite")
                rows.append((endpoint, name, measure, *((np.nan, np.nan) if said else (estimate, error)), said))
    return rows


def simulate_estimates(
    parameters: SimulationParameters,
    plan: Plan,
    regions: Mapping[str, str],
    replicates: Sequence[int],
    estimators: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Simulate and analyse cohorts of one scenario and size.

    Parameters
    ----------
    parameters : SimulationParameters
        The scenario; ``size`` patients are screened for each cohort.
    plan : Plan
    regions : mapping
        Site -> region.
    replicates : sequence of int
        Numbers of the cohorts.
    estimators : sequence of str
    seed : int
        Of the study; the centres' chance differences are drawn from it once.
    resamples : int
        Bootstrap resamples in each cohort.

    Returns
    -------
    DataFrame
        ``scenario, screened, replicate, n`` (patients analysed)``, endpoint, estimator, measure, estimate, std_err,
        reason`` (kind of failure, empty where there is an estimate; NaN estimates there), sorted by replicate.
    """
    centres = draw_centre_log_hazards(parameters, seed)
    hazards = solve_baseline(parameters)
    rows: list[tuple] = []
    for replicate in sorted(replicates):
        own = np.random.SeedSequence(seed, spawn_key=(parameters.size, int(replicate)))
        cohort_seed, analysis_seed = own.spawn(2)
        patients = simulate_patients(
            parameters, seed=int(cohort_seed.generate_state(1)[0]), centre_log_hazards=centres, hazards=hazards
        )
        frame = observed_cohort(patients, regions)
        rows += [
            (int(replicate), len(frame), *row)
            for row in analyse(frame, plan, estimators, seed=analysis_seed, resamples=resamples)
        ]
    table = pd.DataFrame(rows, columns=list(ESTIMATE_COLUMNS[2:]))
    table.insert(0, "screened", parameters.size)
    table.insert(0, "scenario", parameters.scenario)
    return table.astype({"screened": "int32", "replicate": "int32", "n": "int32"})
