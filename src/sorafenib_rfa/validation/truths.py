"""What each estimator of the validation study could find: the true value it is held against.

Marginal contrasts of the strategies are those of :func:`sorafenib_rfa.simulate.true_estimands`. A hazard ratio adjusted
for covariates is another quantity than the marginal one, also without any confounding (it is not collapsible), so an
adjusted Cox model is held against the coefficient of the same model, with the same covariates and coding, fitted to
both courses of many patients: a trial in which an early start is assigned at random, censored as in the study. For the
time-varying model exposure switches on in either course when sorafenib starts in it.

References
----------
Daniel R, Zhang J, Farewell D. Making apples from oranges: comparing noncollapsible effect estimators and their standard
errors after adjustment for different covariate sets. Biom J 2021;63:528-557.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.covariates import covariate_design
from sorafenib_rfa.estimates.target_trial import start_stop
from sorafenib_rfa.simulate import true_estimands
from sorafenib_rfa.simulate.outcomes import draw_chances, follow_course, solve_baseline
from sorafenib_rfa.simulate.population import (
    draw_centre_log_hazards,
    draw_plan,
    draw_population,
    log_hazard_ratios,
    stream,
)
from sorafenib_rfa.simulate.truth import STRATEGIES
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.validation.estimators import ESTIMATORS, cells
from sorafenib_rfa.validation.study import TREATMENT, baseline_covariates, varying
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

if TYPE_CHECKING:
    from sorafenib_rfa.simulate.parameters import SimulationParameters

TRUTH_COLUMNS = (
    "endpoint", "estimator", "measure", "truth", "mc_se", "n", "basis", "population", "kind", "no_effect",
)  # fmt: skip
CHUNK = 10_000


def true_values(
    parameters: SimulationParameters,
    plan: Plan,
    regions: Mapping[str, str],
    estimators: Sequence[str],
    *,
    seed: int,
    screened: int,
) -> pd.DataFrame:
    """Return the true values of one scenario.

    Parameters
    ----------
    parameters : SimulationParameters
        The scenario.
    plan : Plan
        Landmark, horizon, covariates.
    regions : mapping
        Site -> region.
    estimators : sequence of str
        Keys of :data:`sorafenib_rfa.validation.estimators.ESTIMATORS`.
    seed : int
        Of the study, from which its centres' chance differences come.
    screened : int
        Patients screened for the purpose, once for the marginal and once for the conditional values.

    Returns
    -------
    DataFrame
        ``endpoint, estimator, measure, truth, mc_se, n`` (patients behind it)``, basis, population, kind``
        (``marginal`` or ``conditional``)``, no_effect`` (whether all hazard ratios of the scenario are 1).
    """
    marginal = true_estimands(parameters, seed, screened)
    conditional: dict[str, tuple[float, float, int]] = {}
    if any(ESTIMATORS[name].conditional for name in estimators):
        conditional = conditional_ratios(parameters, plan, regions, seed=seed, screened=screened)
    effect = parameters.truth
    pieces = [*effect.recurrence_hazard_ratio.value, *effect.death_hazard_ratio.value]
    no_effect = all(piece.hazard_ratio == 1 for piece in pieces)
    rows = []
    for endpoint, name, measure in cells(list(estimators)):
        own = ESTIMATORS[name]
        found = (
            conditional[name]
            if own.conditional
            else _marginal(marginal, endpoint, name, measure, float(plan.rmst_horizon_months))
        )
        kind = "conditional" if own.conditional else "marginal"
        rows.append((endpoint, name, measure, *found, own.basis, own.population, kind, no_effect))
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS))


def _marginal(truth: pd.DataFrame, endpoint: str, name: str, measure: str, tau: float) -> tuple[float, float, int]:
    """Return one of the values of :func:`true_estimands`, its Monte Carlo error and the patients behind it."""
    own = ESTIMATORS[name]
    # death is seen on its day
    dating = "true" if endpoint == "OS" else "detected"
    rows = truth[
        (truth["basis"] == own.basis)
        & (truth["dating"] == dating)
        & (truth["endpoint"] == endpoint)
        & (truth["population"] == own.population)
        & (truth["strategy"] == "contrast")
        & (truth["stat"] == ("log_hazard_ratio" if measure == "log_hr" else "rmst_months"))
    ]
    if measure == "rmst_difference":
        rows = rows[rows["month"] == tau]
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} true values of {endpoint} {name} {measure}, expected 1")
    row = rows.iloc[0]
    return float(row["value"]), float(row["mc_se"]), int(row["n"])


def conditional_ratios(
    parameters: SimulationParameters, plan: Plan, regions: Mapping[str, str], *, seed: int, screened: int
) -> dict[str, tuple[float, float, int]]:
    """Return estimator -> log hazard ratio, Monte Carlo standard error and patients of the adjusted models for RFS.

    Parameters
    ----------
    parameters, plan, regions, seed, screened
        As :func:`true_values`.
    """
    people, courses, censoring = _courses(parameters, regions, seed, screened)
    x = covariate_design(people, plan, plan.adjustment_set).x
    landmark = plan.landmark_day / DAYS_PER_MONTH
    n = len(people)
    position = np.arange(n)
    parts: dict[str, list[pd.DataFrame]] = {"landmark_adjusted": [], "time_varying": []}
    for arm in STRATEGIES:
        happens, start = courses[arm]
        time, event = np.minimum(happens, censoring), happens <= censoring
        own = position[time > landmark]
        parts["landmark_adjusted"].append(
            pd.DataFrame(
                {
                    "patient": own,
                    TREATMENT: float(arm == STRATEGIES[0]),
                    "start": 0.0,
                    "stop": time[own] - landmark,
                    "event": event[own],
                }
            )
        )
        followed = position[time > 0]
        rows = start_stop(time[followed], event[followed], start[followed]).rename(columns={"exposed": TREATMENT})
        parts["time_varying"].append(rows.assign(patient=followed[rows["patient"].to_numpy()]))
    found = {}
    for name, copies in parts.items():
        rows = pd.concat(copies, ignore_index=True)
        patient = rows["patient"].to_numpy()
        covariates = varying(x).iloc[patient].reset_index(drop=True)
        covariates.insert(0, TREATMENT, rows[TREATMENT])
        fit = cox_fit(covariates, rows["stop"], rows["event"], start=rows["start"], cluster=patient)
        assert fit.se_robust is not None  # asked for by the clusters
        found[name] = (float(fit.coef[0]), float(fit.se_robust[0]), len(np.unique(patient)))
    return found


def _courses(
    parameters: SimulationParameters, regions: Mapping[str, str], seed: int, screened: int
) -> tuple[pd.DataFrame, dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return eligible patients, months of event seen and of first dose under each strategy, and months of censoring."""
    centres = draw_centre_log_hazards(parameters, seed)
    hazards = solve_baseline(parameters)
    rng = stream(seed, "conditional estimands")
    accrual, rate = parameters.accrual, parameters.observation.drop_out_per_year.value
    span = (accrual.last_day.value - accrual.first_day.value).days
    frames, censored = [], []
    times: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {arm: [] for arm in STRATEGIES}
    for first in range(0, screened, CHUNK):
        size = min(CHUNK, screened - first)
        own = int(rng.integers(2**62))
        people = draw_population(parameters, size, own)
        eligible = people["eligible"].to_numpy()
        plan = draw_plan(people, parameters, own)
        chances = draw_chances(size, parameters, own)
        eta = log_hazard_ratios(people, parameters, centres)
        for arm in STRATEGIES:
            start = plan[f"start_day_{arm}"].to_numpy()
            course = follow_course(people, eta, chances, start, parameters, hazards)
            times[arm].append((course.observed_event_day[eligible], start[eligible]))
        last = (accrual.data_cutoff.value - accrual.first_day.value).days - rng.integers(0, span, size, endpoint=True)
        lost = rng.exponential(365.25 / rate, size) if rate else np.full(size, np.inf)
        censored.append(np.minimum(last, lost)[eligible])
        frames.append(baseline_covariates(people, regions)[eligible])
    courses = {
        arm: tuple(np.concatenate([part[k] for part in parts]) / DAYS_PER_MONTH for k in (0, 1))
        for arm, parts in times.items()
    }
    return pd.concat(frames, ignore_index=True), courses, np.concatenate(censored) / DAYS_PER_MONTH  # type: ignore[return-value]
