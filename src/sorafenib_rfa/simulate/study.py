"""The simulated study: exports of six centres, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.clinical_records import observe, write_records
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.exports import canonical_uln, export_centres
from sorafenib_rfa.simulate.outcomes import CAUSES, Course, draw_chances, follow_course, solve_baseline
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import (
    draw_centre_log_hazards,
    draw_plan,
    draw_population,
    log_hazard_ratios,
    stream,
)

STUDYID = "synthetic"


@dataclass(frozen=True)
class SimulatedStudy:
    """What :func:`simulate_raw` makes.

    Attributes
    ----------
    exports : dict of str to dict of str to bytes
        Site -> file name -> content.
    truth : DataFrame
        One row a screened patient (:func:`simulate_raw`).
    dirt : DataFrame
        One row a planted error (:func:`.exports.export_centres`).
    """

    exports: dict[str, dict[str, bytes]]
    truth: pd.DataFrame
    dirt: pd.DataFrame


def simulate_raw(parameters: SimulationParameters, *, seed: int) -> SimulatedStudy:
    """Simulate the study.

    Parameters
    ----------
    parameters : SimulationParameters
        :func:`.parameters.load_parameters`.
    seed : int
        The same seed and parameters give the same bytes.

    Returns
    -------
    SimulatedStudy
        Columns of ``truth``: ``USUBJID, site, subject_id, index_date``; ``eligible`` by true facts, ``stage, albi,
        largest_tumour_cm, tumour_count, recurrent_hcc, afp_ng_ml``; ``scenario, propensity`` (true probability of a
        planned start within the grace period)``, planned, planned_start_day`` (NaN: none)``, started`` and
        ``start_day`` (adjuvant sorafenib as it happened)``, centre_log_hazard, log_hazard_<cause>``; the potential
        outcomes under each strategy (``_sorafenib``, ``_control``), days since RFA, NaN if not within the horizon:
        ``start_day, recurrence_day, recurrence_cause, death_day, detected_day``; ``observed_end_day, observed_death``.
    """
    n = parameters.size
    population = draw_population(parameters, n, seed)
    plan = draw_plan(population, parameters, seed)
    centres = draw_centre_log_hazards(parameters, seed)
    eta = log_hazard_ratios(population, parameters, centres)
    hazards = solve_baseline(parameters)
    chances = draw_chances(n, parameters, seed)
    strategies = {
        arm: follow_course(population, eta, chances, plan[f"start_day_{arm}"].to_numpy(), parameters, hazards)
        for arm in ("sorafenib", "control")
    }
    early = np.isfinite(plan["planned_start_day"]) & (
        plan["planned_start_day"] <= parameters.strategies.grace_period_days.value
    )
    # consistency: what happens is the potential outcome of the strategy that the patient's plan follows
    natural = _chosen(strategies["sorafenib"], strategies["control"], early.to_numpy())
    rng = stream(seed, "calendar")
    first, last = parameters.accrual.first_day.value, parameters.accrual.last_day.value
    index_date = np.datetime64(first, "D") + rng.integers(0, (last - first).days, n, endpoint=True)
    subject_id = _subject_ids(population["site"].to_numpy(), rng)
    observed = observe(natural, chances, population, index_date, parameters, seed)
    tables = write_records(population, observed, natural, index_date, subject_id, canonical_uln(), parameters, seed)
    exports, dirt = export_centres(tables, parameters, seed)

    truth = pd.DataFrame(
        {
            "USUBJID": [f"{STUDYID}-{s}-{i}" for s, i in zip(population["site"], subject_id, strict=True)],
            "site": population["site"].to_numpy(),
            "subject_id": subject_id,
            "index_date": index_date.astype("datetime64[s]"),
            **{
                name: population[name].to_numpy()
                for name in (
                    "eligible", "stage", "albi", "largest_tumour_cm", "tumour_count", "recurrent_hcc", "afp_ng_ml"
                )
            },
            "scenario": parameters.scenario,
            "propensity": plan["propensity"].to_numpy(),
            "planned": plan["planned"].to_numpy(),
            "planned_start_day": _known(plan["planned_start_day"].to_numpy()),
            "started": np.isfinite(observed.start_day),
            "start_day": _known(observed.start_day),
            "centre_log_hazard": population["site"].map(centres).to_numpy(dtype=float),
            **{f"log_hazard_{cause.lower()}": values for cause, values in eta.items()},
        }
    )  # fmt: skip
    kinds = np.array([*CAUSES[:3], None], dtype=object)
    for arm, course in strategies.items():
        truth[f"start_day_{arm}"] = _known(course.start_day)
        truth[f"recurrence_day_{arm}"] = _known(course.recurrence_day)
        truth[f"recurrence_cause_{arm}"] = kinds[course.recurrence_cause]
        truth[f"death_day_{arm}"] = _known(course.death_day)
        truth[f"detected_day_{arm}"] = _known(course.detected_day)
    truth["observed_end_day"] = observed.end_day
    truth["observed_death"] = observed.died
    truth = truth.sort_values("USUBJID", kind="stable", ignore_index=True)
    return SimulatedStudy(exports, truth, dirt)


def _known(days: np.ndarray) -> np.ndarray:
    """Return days with NaN for what does not happen."""
    return np.where(np.isfinite(days), days, np.nan)


def _chosen(one: Course, other: Course, first: np.ndarray) -> Course:
    """Return, patient by patient, the course of `one` where `first`, else of `other`."""
    return Course(*(np.where(first, getattr(one, name), getattr(other, name)) for name in Course.__dataclass_fields__))


def _subject_ids(sites: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ids in each hospital's form; their order says nothing about the patients."""
    ids = np.empty(len(sites), dtype=object)
    for site in sorted(set(sites)):
        own = np.flatnonzero(sites == site)
        numbers = rng.permutation(np.arange(1, len(own) + 1))
        ids[own] = [DIALECTS[site].subject(int(number)) for number in numbers]
    return ids
