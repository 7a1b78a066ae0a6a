"""Patients with both potential outcomes, what is seen of them, and the truth as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.clinical_records import Observed, observe
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.outcomes import (
    CAUSES,
    BaselineHazards,
    Chances,
    Course,
    draw_chances,
    follow_course,
    solve_baseline,
)
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import (
    draw_centre_log_hazards,
    draw_plan,
    draw_population,
    log_hazard_ratios,
    stream,
)
from sorafenib_rfa.vocabulary import RECURRENCE_SITES

STUDYID = "synthetic"
STRATEGIES = ("sorafenib", "control")


@dataclass(frozen=True)
class Patients:
    """Simulated patients, position by position.

    ``population``, ``plan``: frames of :mod:`.population`; ``eta``: log hazard ratios by cause; ``centres``: log
    hazard of each centre; ``chances``; ``strategies``: course under each strategy; ``natural``: course under the
    patient's own plan; ``index_date``: datetime64[D]; ``subject_id``; ``observed``.
    """

    population: pd.DataFrame
    plan: pd.DataFrame
    eta: dict[str, np.ndarray]
    centres: dict[str, float]
    chances: Chances
    strategies: dict[str, Course]
    natural: Course
    index_date: np.ndarray
    subject_id: np.ndarray
    observed: Observed


def simulate_patients(
    parameters: SimulationParameters,
    *,
    seed: int,
    centre_log_hazards: Mapping[str, float] | None = None,
    hazards: BaselineHazards | None = None,
    numbered_before: Mapping[str, int] | None = None,
) -> Patients:
    """Return ``parameters.size`` patients with their courses under both strategies.

    Parameters
    ----------
    parameters : SimulationParameters
    seed : int
    centre_log_hazards : mapping, optional
        Site -> log hazard, to draw several cohorts from the same centres; drawn from `seed` when not given.
    hazards : BaselineHazards, optional
        ``solve_baseline(parameters)``, when it is known already.
    numbered_before : mapping, optional
        Site -> patients of the centre that have a number already, when a cohort is drawn in parts.

    Notes
    -----
    Both courses of a patient come from the same chances, so they differ by what sorafenib does and by nothing else.
    What happens is the course of the strategy that the patient's own plan follows (consistency): a planned start
    within the grace period, or none.
    """
    n = parameters.size
    population = draw_population(parameters, n, seed)
    plan = draw_plan(population, parameters, seed)
    centres = dict(draw_centre_log_hazards(parameters, seed) if centre_log_hazards is None else centre_log_hazards)
    eta = log_hazard_ratios(population, parameters, centres)
    hazards = hazards or solve_baseline(parameters)
    chances = draw_chances(n, parameters, seed)
    strategies = {
        arm: follow_course(population, eta, chances, plan[f"start_day_{arm}"].to_numpy(), parameters, hazards)
        for arm in STRATEGIES
    }
    early = (plan["planned_start_day"] <= parameters.strategies.grace_period_days.value).to_numpy()
    natural = Course(
        *(
            np.where(early, getattr(strategies["sorafenib"], name), getattr(strategies["control"], name))
            for name in Course.__dataclass_fields__
        )
    )
    rng = stream(seed, "calendar")
    first, last = parameters.accrual.first_day.value, parameters.accrual.last_day.value
    index_date = np.datetime64(first, "D") + rng.integers(0, (last - first).days, n, endpoint=True)
    subject_id = _subject_ids(population["site"].to_numpy(), rng, numbered_before or {})
    observed = observe(natural, chances, population, index_date, parameters, seed)
    return Patients(population, plan, eta, centres, chances, strategies, natural, index_date, subject_id, observed)


def _subject_ids(sites: np.ndarray, rng: np.random.Generator, numbered_before: Mapping[str, int]) -> np.ndarray:
    """Return ids in each hospital's form; their order says nothing about the patients."""
    ids = np.empty(len(sites), dtype=object)
    for site in sorted(set(sites)):
        own = np.flatnonzero(sites == site)
        numbers = rng.permutation(np.arange(1, len(own) + 1)) + numbered_before.get(site, 0)
        ids[own] = [DIALECTS[site].subject(int(number)) for number in numbers]
    return ids


def truth_frame(patients: Patients, parameters: SimulationParameters) -> pd.DataFrame:
    """Return the truth, one row a patient, sorted by USUBJID.

    Returns
    -------
    DataFrame
        ``USUBJID, site, subject_id, index_date``;
        ``eligible`` (by true facts), ``stage, albi, largest_tumour_cm, tumour_count, recurrent_hcc, afp_ng_ml,
        age_years``;
        ``scenario, recurrence_hazard_ratio, death_hazard_ratio`` (the effect, as text), ``propensity`` (probability
        that a start within the grace period is planned), ``planned, planned_start_day, centre_log_hazard,
        log_hazard_ltp, log_hazard_idr, log_hazard_ehs, log_hazard_death``;
        for each strategy (``_sorafenib``, ``_control``) ``start_day, recurrence_day, recurrence_cause, death_day,
        detected_day``: what would happen, to the horizon, without drop-out;
        ``started, start_day, observed_recurrence_day, observed_death, observed_end_day``: what was seen.
        Days count from the index RFA; NaN: it does not happen. ``start_day_<strategy>`` is the day on which sorafenib
        starts unless recurrence is seen, or death comes, before.
    """
    p, o = patients, patients.observed
    site = p.population["site"].to_numpy()
    facts = (
        "eligible",
        "stage",
        "albi",
        "largest_tumour_cm",
        "tumour_count",
        "recurrent_hcc",
        "afp_ng_ml",
        "age_years",
    )
    columns: dict[str, object] = {
        "USUBJID": [f"{STUDYID}-{one}-{subject}" for one, subject in zip(site, p.subject_id, strict=True)],
        "site": site,
        "subject_id": p.subject_id,
        "index_date": p.index_date.astype("datetime64[s]"),
        **{name: p.population[name].to_numpy() for name in facts},
        "scenario": parameters.scenario,
        "recurrence_hazard_ratio": _effect_text(parameters.truth.recurrence_hazard_ratio.value),
        "death_hazard_ratio": _effect_text(parameters.truth.death_hazard_ratio.value),
        "propensity": p.plan["propensity"].to_numpy(),
        "planned": p.plan["planned"].to_numpy(),
        "planned_start_day": _known(p.plan["planned_start_day"].to_numpy()),
        "centre_log_hazard": p.population["site"].map(p.centres).to_numpy(dtype=float),
        **{f"log_hazard_{cause.lower()}": values for cause, values in p.eta.items()},
    }
    kinds = np.array([*RECURRENCE_SITES, None], dtype=object)
    assert CAUSES[:3] == RECURRENCE_SITES
    for arm, course in p.strategies.items():
        columns |= {
            f"start_day_{arm}": _known(course.start_day),
            f"recurrence_day_{arm}": _known(course.recurrence_day),
            f"recurrence_cause_{arm}": kinds[course.recurrence_cause],
            f"death_day_{arm}": _known(course.death_day),
            f"detected_day_{arm}": _known(course.detected_day),
        }
    columns |= {
        "started": np.isfinite(o.start_day),
        "start_day": _known(o.start_day),
        "observed_recurrence_day": _known(o.detected_day),
        "observed_death": o.died,
        "observed_end_day": o.end_day,
    }
    return pd.DataFrame(columns).sort_values("USUBJID", kind="stable", ignore_index=True)


def _known(days: np.ndarray) -> np.ndarray:
    """Return days with NaN for what does not happen."""
    return np.where(np.isfinite(days), days, np.nan)


def _effect_text(pieces: list) -> str:
    return "; ".join(f"{piece.hazard_ratio:g} from month {piece.from_month:g}" for piece in pieces)
