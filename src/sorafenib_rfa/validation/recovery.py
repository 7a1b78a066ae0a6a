"""Do the estimators find what is true? A simulation study in the form of ADEMP (Morris, White & Crowther 2019).

* **Aims.** Bias, standard errors and coverage of the primary analysis under no effect, an early effect that wanes,
  harm, and strong confounding by indication; and what the design that is warned of makes of the same cohorts.
* **Data.** Cohorts drawn from the model behind the synthetic cohort (:mod:`sorafenib_rfa.simulate`), as a perfect
  record keeper would have written them down: imaging at intervals that depend on treatment, drop-out, data cut-off,
  starts within the grace period and months later. The centres are the same in all cohorts of a scenario; patients
  differ. A cohort's number fixes its patients' chances, which are the same in all scenarios.
* **Estimands.** Difference of restricted means and log hazard ratio between the strategies, with recurrence dated when
  it is seen (:func:`sorafenib_rfa.simulate.true_estimands`), each design against the truth of its own population and
  time zero.
* **Methods.** Clone-censor-weight in the overlap population (primary) and in all patients, the landmark analysis with
  overlap weights, and ever against never from the RFA.
* **Performance measures.** Bias, empirical and model standard error, coverage of the interval, and how often it
  excludes no difference; each with its Monte Carlo standard error.

References
----------
Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med 2019;38:2074-2102.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.bootstrap import OverlapResamples, logistic_scores
from sorafenib_rfa.estimates.covariates import Design, covariate_design
from sorafenib_rfa.estimates.target_trial import Emulation
from sorafenib_rfa.simulate.outcomes import solve_baseline
from sorafenib_rfa.simulate.population import draw_centre_log_hazards
from sorafenib_rfa.simulate.truth import Patients, simulate_patients
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

if TYPE_CHECKING:
    from sorafenib_rfa.simulate.parameters import SimulationParameters

DESIGNS: Mapping[str, tuple[str, str]] = {
    "ccw_overlap": ("time_zero", "overlap"),
    "ccw_ate": ("time_zero", "all"),
    "landmark_overlap": ("landmark", "overlap"),
    "naive": ("time_zero", "all"),
}
"""Design -> time zero and population of the truth it is held against."""
MEASURES = ("rmst_difference", "log_hr")
ESTIMATE_COLUMNS = (
    "scenario", "replicate", "n", "endpoint", "design", "measure", "estimate", "std_err", "ci_low", "ci_high", "failed",
)  # fmt: skip


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
    from sorafenib_rfa.clinical.liver import albi_score

    people, seen, course = patients.population, patients.observed, patients.natural
    recurred = seen.detected_day
    died = np.where(seen.died, seen.end_day, np.inf)
    clear = course.attended & (course.examinations <= seen.end_day) & (course.examinations < recurred)
    last_clear = np.where(clear, course.examinations, 0.0).max(axis=0)
    rfs_event = np.isfinite(recurred) | np.isfinite(died)
    rfs_day = np.where(np.isfinite(recurred), recurred, np.where(np.isfinite(died), died, last_clear))
    frame = pd.DataFrame(
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
            "exposed_from": seen.start_day,
            "recurred": recurred,
            "died": died,
            "last": seen.end_day,
            # the day of the RFA itself counts as half a day, as in ADTTE
            "rfs_day": np.where(rfs_day == 0, 0.5, rfs_day),
            "rfs_event": rfs_event,
            "os_day": np.where(seen.end_day == 0, 0.5, seen.end_day),
            "os_event": seen.died,
        }
    )
    return frame[people["eligible"].to_numpy()].reset_index(drop=True)


def analyse(cohort: pd.DataFrame, plan: Plan, *, seed: np.random.SeedSequence, resamples: int) -> list[dict]:
    """Return the estimates of all designs in one cohort, one row an endpoint, design and measure.

    Parameters
    ----------
    cohort : DataFrame
        As :func:`observed_cohort` returns it.
    plan : Plan
        Grace period, landmark, horizon, covariates.
    seed : SeedSequence
        Of the bootstrap.
    resamples : int
        Bootstrap resamples.
    """
    design = covariate_design(cohort, plan, plan.adjustment_set)
    grace, tau = plan.grace_period_days, float(plan.rmst_horizon_months)
    days = {name: cohort[name].to_numpy(dtype=float) for name in ("exposed_from", "recurred", "died", "last")}
    known = (days["recurred"] > grace) & (days["died"] > grace) & (days["last"] >= grace)
    level = plan.confidence_level
    emulation_seed, landmark_seed = seed.spawn(2)
    rows: list[dict] = []

    def month(name: str) -> np.ndarray:
        return cohort[name].to_numpy(dtype=float) / DAYS_PER_MONTH

    def add(endpoint: str, name: str, values: Mapping[str, tuple[float, float]] | None) -> None:
        for measure in MEASURES:
            estimate, error = (np.nan, np.nan) if values is None else values[measure]
            rows.append(
                {
                    "endpoint": endpoint,
                    "design": name,
                    "measure": measure,
                    "estimate": estimate,
                    "std_err": error,
                    "failed": values is None,
                }
            )

    try:
        emulation = Emulation.draw(
            design.x.to_numpy(),
            month("exposed_from"),
            month("recurred"),
            np.minimum(np.minimum(days["recurred"], days["died"]), days["last"]) / DAYS_PER_MONTH,
            known,
            grace / DAYS_PER_MONTH,
            seed=emulation_seed,
            resamples=resamples,
        )
    except EstimationError:
        emulation = None
    for endpoint, form in (("RFS", "overlap"), ("RFS", "ate"), ("OS", "overlap")):
        key = endpoint.lower()
        values = None
        if emulation is not None:
            try:
                found = emulation.compare(
                    month(f"{key}_day"), cohort[f"{key}_event"].to_numpy(dtype=bool), tau, form=form, level=level
                )  # type: ignore[arg-type]
                values = {
                    "rmst_difference": (found.rmst_difference.estimate, found.rmst_difference.std_err),
                    "log_hr": (float(np.log(found.hazard_ratio.estimate)), found.hazard_ratio.std_err),
                }
            except EstimationError:
                values = None
        add(endpoint, f"ccw_{form}", values)
    add("RFS", "landmark_overlap", _landmark(cohort, design, plan, days, landmark_seed, resamples))
    add("RFS", "naive", _naive(cohort, days, tau))
    return rows


def _landmark(
    cohort: pd.DataFrame,
    design: Design,
    plan: Plan,
    days: Mapping[str, np.ndarray],
    seed: np.random.SeedSequence,
    resamples: int,
) -> dict[str, tuple[float, float]] | None:
    """Return the overlap-weighted comparison from the landmark on, as the efficacy part makes it."""
    day = plan.landmark_day
    start = day / DAYS_PER_MONTH
    entered = (days["recurred"] > day) & (days["died"] > day) & (days["last"] >= day)
    x, treated = design.x.to_numpy()[entered], (days["exposed_from"] <= day)[entered]
    time = (cohort["rfs_day"].to_numpy(dtype=float) / DAYS_PER_MONTH - start)[entered]
    event = cohort["rfs_event"].to_numpy(dtype=bool)[entered]
    tau = float(plan.rmst_horizon_months) - start
    try:
        score, converged = logistic_scores(x, treated.astype(float), np.ones((1, len(treated))))
        if not converged[0]:
            return None
        weights = np.where(treated, 1.0 - score[0], score[0])
        inside = time > 0
        drawn = OverlapResamples.draw(x, treated, seed=seed, replicates=resamples)  # type: ignore[arg-type]
        spread = drawn.rmst_difference(inside, time[inside], event[inside], tau)
        time, event, weights, arm = time[inside], event[inside], weights[inside], treated[inside].astype(float)
        contrast = rmst_contrast(time, event, arm, tau, reference=0.0, weights=weights)
        fit = cox_fit(pd.DataFrame({"treated": arm}), time, event, weights=weights, robust=True)
    except EstimationError:
        return None
    return {
        "rmst_difference": (contrast.difference, spread.std_err),
        "log_hr": (float(fit.coef[0]), float(fit.se[0])),
    }


def _naive(cohort: pd.DataFrame, days: Mapping[str, np.ndarray], tau: float) -> dict[str, tuple[float, float]] | None:
    """Return the comparison of ever against never exposed from the RFA on: biased by immortal time."""
    arm = np.isfinite(days["exposed_from"]).astype(float)
    time, event = cohort["rfs_day"].to_numpy(dtype=float) / DAYS_PER_MONTH, cohort["rfs_event"].to_numpy(dtype=bool)
    try:
        contrast = rmst_contrast(time, event, arm, tau, reference=0.0)
        fit = cox_fit(pd.DataFrame({"treated": arm}), time, event)
    except EstimationError:
        return None
    return {
        "rmst_difference": (contrast.difference, contrast.difference_std_err),
        "log_hr": (float(fit.coef[0]), float(fit.se[0])),
    }


def simulate_replicates(
    parameters: SimulationParameters,
    plan: Plan,
    regions: Mapping[str, str],
    replicates: Sequence[int],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Simulate and analyse cohorts of one scenario.

    Parameters
    ----------
    parameters : SimulationParameters
        The scenario; ``size`` patients are screened for each cohort.
    plan : Plan
    regions : mapping
        Site -> region.
    replicates : sequence of int
        Numbers of the cohorts. A cohort's patients depend on `seed` and its number only, not on which others are
        simulated with it.
    seed : int
        Of the study; the centres' chance differences are drawn from it once.
    resamples : int
        Bootstrap resamples in each cohort.

    Returns
    -------
    DataFrame
        ``scenario, replicate, n`` (patients analysed)``, endpoint, design, measure, estimate, std_err, ci_low,
        ci_high`` (Wald)``, failed``; NaN where a cohort allows no estimate.
    """
    from scipy.special import ndtri

    centres = draw_centre_log_hazards(parameters, seed)
    hazards = solve_baseline(parameters)
    rows: list[dict] = []
    for replicate in replicates:
        own = np.random.SeedSequence(seed, spawn_key=(int(replicate),))
        cohort_seed, analysis_seed = own.spawn(2)
        patients = simulate_patients(
            parameters, seed=int(cohort_seed.generate_state(1)[0]), centre_log_hazards=centres, hazards=hazards
        )
        cohort = observed_cohort(patients, regions)
        for row in analyse(cohort, plan, seed=analysis_seed, resamples=resamples):
            rows.append({"scenario": parameters.scenario, "replicate": int(replicate), "n": len(cohort), **row})
    frame = pd.DataFrame(rows)
    z = float(ndtri(0.5 + plan.confidence_level / 2))
    frame["ci_low"] = frame["estimate"] - z * frame["std_err"]
    frame["ci_high"] = frame["estimate"] + z * frame["std_err"]
    return frame[list(ESTIMATE_COLUMNS)]


def replicates_of(chunk: int, chunks: int, replicates: int) -> range:
    """Return the numbers of the cohorts of a chunk, counted from 0."""
    return range(chunk * replicates // chunks, (chunk + 1) * replicates // chunks)


def true_values(truth: pd.DataFrame, endpoint: str, design: str, measure: str, tau: float) -> tuple[float, float]:
    """Return the true value that a design is held against, and its Monte Carlo standard error.

    Parameters
    ----------
    truth : DataFrame
        As :func:`sorafenib_rfa.simulate.true_estimands` returns it.
    endpoint, design, measure : str
        RFS or OS; key of :data:`DESIGNS`; one of :data:`MEASURES`.
    tau : float
        Horizon of the restricted means, months.
    """
    basis, population = DESIGNS[design]
    # death is seen on its day
    dating = "true" if endpoint == "OS" else "detected"
    stat = "log_hazard_ratio" if measure == "log_hr" else "rmst_months"
    rows = truth[
        (truth["basis"] == basis)
        & (truth["dating"] == dating)
        & (truth["endpoint"] == endpoint)
        & (truth["population"] == population)
        & (truth["strategy"] == "contrast")
        & (truth["stat"] == stat)
    ]
    if measure == "rmst_difference":
        rows = rows[rows["month"] == tau]
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} true values of {endpoint} {design} {measure}, expected 1")
    return float(rows["value"].iloc[0]), float(rows["mc_se"].iloc[0])


def performance(estimates: pd.DataFrame, truths: Mapping[str, pd.DataFrame], tau: float) -> pd.DataFrame:
    """Return the performance of each design, with Monte Carlo standard errors (Morris et al. 2019, table 6).

    Parameters
    ----------
    estimates : DataFrame
        As :func:`simulate_replicates` returns it, scenarios and chunks together.
    truths : mapping
        Scenario -> true values.
    tau : float
        Horizon of the restricted means, months.

    Returns
    -------
    DataFrame
        One row a scenario, endpoint, design and measure: ``truth, truth_mc_se, replicates`` (with an estimate)``,
        failed, mean_n, mean_estimate, bias, bias_mc_se`` (with the uncertainty of the truth)``, empirical_se,
        empirical_se_mc_se, model_se, model_se_mc_se, se_error_percent, se_error_percent_mc_se`` (model against
        empirical standard error)``, coverage, coverage_mc_se, rejection, rejection_mc_se`` (share of intervals that
        exclude no difference: power, or type I error where the truth is none).
    """
    rows = []
    order = ["scenario", "endpoint", "design", "measure"]
    for (scenario, endpoint, design, measure), own in estimates.groupby(order, sort=True):
        truth, truth_error = true_values(truths[scenario], endpoint, design, measure, tau)
        found = own[~own["failed"]]
        n = len(found)
        value, error = found["estimate"].to_numpy(), found["std_err"].to_numpy()
        spread = float(np.std(value, ddof=1))
        model = float(np.sqrt(np.mean(error**2)))
        variance_of_variance = float(np.var(error**2, ddof=1))
        covered = ((found["ci_low"] <= truth) & (truth <= found["ci_high"])).mean()
        rejected = ((found["ci_low"] > 0) | (found["ci_high"] < 0)).mean()
        ratio = model / spread
        rows.append(
            {
                "scenario": scenario,
                "endpoint": endpoint,
                "design": design,
                "measure": measure,
                "truth": truth,
                "truth_mc_se": truth_error,
                "replicates": n,
                "failed": int(own["failed"].sum()),
                "mean_n": float(own["n"].mean()),
                "mean_estimate": float(value.mean()),
                "bias": float(value.mean() - truth),
                "bias_mc_se": float(np.hypot(spread / np.sqrt(n), truth_error)),
                "empirical_se": spread,
                "empirical_se_mc_se": spread / np.sqrt(2 * (n - 1)),
                "model_se": model,
                "model_se_mc_se": float(np.sqrt(variance_of_variance / (4 * n)) / model),
                "se_error_percent": 100 * (ratio - 1),
                "se_error_percent_mc_se": 100
                * ratio
                * float(np.sqrt(variance_of_variance / (4 * n * model**4) + 1 / (2 * (n - 1)))),
                "coverage": float(covered),
                "coverage_mc_se": float(np.sqrt(covered * (1 - covered) / n)),
                "rejection": float(rejected),
                "rejection_mc_se": float(np.sqrt(rejected * (1 - rejected) / n)),
            }
        )
    return pd.DataFrame(rows)
