"""Benefits and harms of starting sorafenib, weighed: same patients, same weights, same time scale.

Everything here speaks of the emulated trial of the primary estimand (:mod:`sorafenib_rfa.estimates.target_trial`):
its patients, strategies, overlap weights and, given the same seed, its bootstrap resamples. Harms count from RFA on, on
the drug or off it. What is weighed is declared in the plan (``benefit_risk``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import BenefitRisk, CohortConfig, Effect, EventFilter, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, horizon
from sorafenib_rfa.estimates.comparison import parameter
from sorafenib_rfa.estimates.harms import (
    HALF_DAY,
    events_since_index,
    first_albi_worsening,
    first_event,
    followed_for_harms,
    in_follow_up,
    select_events,
    toxic_episodes,
)
from sorafenib_rfa.estimates.target_trial import FORMS, Emulation, emulate, emulated_population, followed
from sorafenib_rfa.stats.clone_censor import CONTROL, TREATED, CloneWeights
from sorafenib_rfa.stats.clone_censor_risks import Question, Resampled, RiskQuestion, StrategyRisks, answer
from sorafenib_rfa.stats.kaplan_meier import confidence_limits
from sorafenib_rfa.stats.number_needed import number_needed
from sorafenib_rfa.stats.partitioned_survival import STATES, PartitionedSurvival, PartitionQuestion
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, ENDPOINTS

PART = "benefit_risk"
ESTIMAND = "B1_BENEFIT_RISK"
RISKS = "sorafenib_rfa.stats.clone_censor_risks"
PARTITION = "sorafenib_rfa.stats.partitioned_survival"
NEEDED = "sorafenib_rfa.stats.number_needed"
COUNTED = "sorafenib_rfa.estimates.harms"

TOXIC_GRADE = 3
"""Grade from which the time of an adverse event is TOX."""
MODERATE_GRADE = 2
"""The same in the sensitivity analysis: lasting events of grade 2 are the usual burden of the drug."""
RECENT_SCORE_DAYS = 90
"""Days after an ALBI score within which a death competes with a worse grade in the sensitivity analysis."""
SENSITIVITY_RESAMPLES = 400
"""The first resamples of the bootstrap, which the sensitivity analyses use: enough for a standard error."""

STATE_WORDS: Mapping[str, str] = {
    "tox": "months recurrence-free with an adverse event of grade {grade} or above open",
    "twist": "months recurrence-free without an adverse event of grade {grade} or above open",
    "rel": "months alive after recurrence",
}
GRID = 21
"""Values of each utility between 0 and 1 at which Q-TWiST is computed."""

EFFECT_COLUMNS = [
    "effect",
    "kind",
    "label",
    "month",
    *(f"{arm}_{what}" for arm in ("treated", "control") for what in ("risk", "low", "high", "id")),
    "difference",
    "difference_low",
    "difference_high",
    "difference_id",
    "needed_id",
]


@dataclass
class _Part:
    """What every analysis of the part needs."""

    ard: ArdBuilder
    plan: Plan
    settings: BenefitRisk
    arms: Arms
    subjects: pd.Index
    population: str
    why: str
    words: str
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def slugs(self) -> tuple[str, str]:
        """Slugs of the treated and the control arm."""
        return self.arms.slug(self.arms.treated), self.arms.slug(self.arms.control)

    @property
    def z(self) -> float:
        """Quantile of the normal distribution for the plan's confidence level."""
        return float(ndtri(0.5 + self.plan.confidence_level / 2))

    def add(
        self,
        analysis: str,
        stat: str,
        values: tuple[float, float, float] | float,
        *,
        unit: str,
        method: str,
        group: str = "contrast",
        variable: str = "",
        level: object = None,
        engine: str = RISKS,
        members: Any = None,
    ) -> str:
        """Add a row of this part's estimand and population."""
        value, low, high = values if isinstance(values, tuple) else (values, NAN, NAN)
        return self.ard.add(
            analysis, stat, value, ci_low=low, ci_high=high, unit=unit, method=method, group=group, variable=variable,
            level=level, engine=engine, members=members, population=self.population, estimand_id=ESTIMAND,
        )  # fmt: skip

    def wald(self, estimate: float, error: float, scale: float = 1.0) -> tuple[float, float, float]:
        """Return an estimate with Wald limits; without spread among the resamples there are none."""
        if not error > 0:
            return scale * estimate, NAN, NAN
        return scale * estimate, scale * (estimate - self.z * error), scale * (estimate + self.z * error)


@dataclass(frozen=True)
class _Outcome:
    """Follow-up to the first event of an effect."""

    time: pd.Series
    cause: pd.Series
    words: str
    composite: bool  # nothing competes with it


def estimate_benefit_risk(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    adae: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
    adlb: pd.DataFrame | None = None,
) -> Estimates:
    """Weigh the benefits and harms that the plan declares under both strategies of the emulated trial.

    Parameters
    ----------
    adsl, adtte, adae : DataFrame
        ADaM datasets.
    plan : Plan
        Its ``benefit_risk``; grace period, horizons, covariates, resamples, confidence level.
    cohort : CohortConfig
        What the cohort offers.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstrap; the seed of the part ``target_trial`` gives its resamples.
    adlb : DataFrame, optional
        Laboratory results; effects that need them are not estimable without.

    Returns
    -------
    Estimates
        ARD part ``benefit_risk``: of each effect risks, risk difference and number needed to treat at the horizons and
        months lost; months with toxicity, without, and after recurrence; Q-TWiST. Numbers needed are signed
        (:mod:`sorafenib_rfa.stats.number_needed`) and their limits are the reciprocals of those of the risk reduction,
        in that order: ``ci_low`` is above ``ci_high`` unless the interval passes through infinity. Sensitivity
        analyses: of each harm ``<effect>_no_late_start``, in which copies of "do not start" are followed up to a later
        first dose only; of ALBI ``<effect>_recent_score``, in which deaths long after the last score do not compete;
        ``partition_moderate``, in which events from grade 2 on are toxicity. Curves:
        ``benefit_risk_effects`` (one row an effect and horizon, risks in percent: ``effect, kind, label, month,
        treated_risk, treated_low, treated_high, treated_id, control_..., difference, difference_low,
        difference_high, difference_id, needed_id``), ``partitioned_survival`` (``group, label, time_months,
        relapse_free, alive, toxic``: probabilities from each time on), ``utility_threshold`` (``utility_toxicity,
        utility_relapse, difference, ci_low, ci_high, zone``: months of Q-TWiST, start minus not;
        zone ``favours``, ``against`` or ``neither``).

    Raises
    ------
    ValueError
        If the plan declares no benefits and harms: such a cohort is not given this part.
    """
    if plan.benefit_risk is None:
        raise ValueError("the plan declares no benefits and harms (benefit_risk)")
    trial = emulate(adsl, plan, cohort, seed=seed)
    subjects = trial.design.x.index
    part = _Part(
        ard=ArdBuilder(cohort_name, PART, record),
        plan=plan,
        settings=plan.benefit_risk,
        arms=arms_of(cohort),
        subjects=subjects,
        population=emulated_population(cohort.index_event),
        why=trial.why,
        words=_words(cohort, plan.bootstrap_resamples),
    )
    few = min(SENSITIVITY_RESAMPLES, plan.bootstrap_resamples)
    aside = replace(part, words=_words(cohort, few))
    events = events_since_index(adae, adsl)
    observed = followed_for_harms(adsl)
    own = trial.conduct.loc[subjects]
    started = pd.Series(np.isfinite(own["start"]) & (own["start"] < own["until"]), index=subjects)
    in_time = in_follow_up(events, observed)
    _add_population(part, events[in_time], events[~in_time])
    _add_non_starters(part, started, observed, own["until"])
    events = events[in_time]
    weights = trial.emulation.weights(FORMS["overlap"]) if trial.emulation else None
    asked: dict[str, Question] = {}
    reasons: dict[str, str] = {}
    outcomes: dict[str, _Outcome] = {}
    for effect in part.settings.effects:
        outcome, reason = _outcome(part, effect, adsl, adtte, adlb, cohort, events, observed)
        forms = {effect.id: outcome}
        if effect.kind == "harm":
            forms[effect.id + _NO_LATE_START] = outcome and _up_to_late_start(outcome, started, observed)
        if effect.laboratory is not None:
            forms[effect.id + _RECENT_SCORE] = outcome and _of_recent_scores(outcome, adlb, adsl, observed, subjects)
        for key, form in forms.items():
            reasons[key] = reason or part.why
            if form is None:
                continue
            outcomes[key] = form
            if weights is not None:
                question, reasons[key] = attempt(
                    RiskQuestion.ask,
                    weights,
                    form.time,
                    form.cause,
                    part.settings.horizons_months,
                    float(plan.rmst_horizon_months),
                )
                if question is not None:
                    asked[key] = question
    if weights is not None:
        for key, grade in _PARTITIONS.items():
            question, reasons[key] = _ask_partition(part, weights, adtte, cohort, events, grade)
            if question is not None:
                asked[key] = question
    found: dict[str, tuple[Resampled, ...]] = {}
    for resamples, keys in (
        (plan.bootstrap_resamples, [key for key in asked if not _is_sensitivity(key)]),
        (few, [key for key in asked if _is_sensitivity(key)]),
    ):
        if trial.emulation is not None and weights is not None and keys:
            emulation, first = trial.emulation, slice(0, resamples)
            questions = [asked[key] for key in keys]
            answers = answer(
                questions, weights, emulation.scored, emulation.scored_resampled.part(first), emulation.drawn[first]
            )
            found |= dict(zip(keys, answers, strict=True))
    for key in [key for key in found if key.endswith(_NO_LATE_START)]:
        found[key] = _treated_of_the_first(found[key.removesuffix(_NO_LATE_START)], found[key])
    drawn = []
    for effect in part.settings.effects:
        outcome = outcomes.get(effect.id)
        risks, reason = _finished(asked, found, effect.id, trial.emulation, reasons)
        drawn += _add_effect(part, effect, outcome, risks, reason)
        if effect.kind == "harm":
            _add_after_first_dose(part, effect, outcome, started, observed, reason)
        for form, said in _FORMS.items():
            key = effect.id + form
            if key in reasons:
                risks, reason = _finished(asked, found, key, trial.emulation, reasons)
                _add_form(aside, key, f"{effect.label}: {said}", outcomes.get(key), outcome, risks, reason)
    part.curves["benefit_risk_effects"] = _effects_frame(drawn)
    for key, grade in _PARTITIONS.items():
        partition, reason = _finished(asked, found, key, trial.emulation, reasons)
        _add_partition(aside if _is_sensitivity(key) else part, key, partition, reason or part.why, events, grade)
    return part.ard.estimates(part.curves)


def _words(cohort: CohortConfig, resamples: int) -> str:
    """Return how the strategies are compared."""
    return (
        f"clone-censor-weight from {cohort.index_event}, overlap weights, as the primary analysis; bootstrap of "
        f"{resamples} resamples of patients, the weights estimated anew"
    )


_NO_LATE_START = "_no_late_start"
_RECENT_SCORE = "_recent_score"
_FORMS: Mapping[str, str] = {
    _NO_LATE_START: 'copies of "do not start" censored at a first dose after the grace period or after a recurrence, '
    "late starting taken to be uninformative (no weights for it); death competing",
    _RECENT_SCORE: f"a death competes within {RECENT_SCORE_DAYS} days of a score, else follow-up ends with the last "
    "score",
}
"""Sensitivity analyses of an effect: what follows its id, and what is done."""

_PARTITIONS: Mapping[str, int] = {"partition": TOXIC_GRADE, "partition_moderate": MODERATE_GRADE}
"""Partitions of life by analysis: the grade from which an adverse event is toxicity."""


def _is_sensitivity(key: str) -> bool:
    """Say whether an analysis is one of the sensitivity analyses."""
    return key == "partition_moderate" or key.endswith(tuple(_FORMS))


def _finished(
    asked: Mapping[str, Question],
    found: Mapping[str, tuple[Resampled, ...]],
    key: str,
    emulation: Emulation | None,
    reasons: Mapping[str, str],
) -> tuple[Any, str]:
    """Return the answer to a question and '', or None and why there is none."""
    if emulation is None or key not in found:
        return None, reasons.get(key, "")
    question = asked[key]
    usable = emulation.usable[: len(found[key][0].draws)]
    if isinstance(question, PartitionQuestion):
        return attempt(question.partition, found[key], usable)
    assert isinstance(question, RiskQuestion)
    return attempt(question.risks, found[key], usable)


def _add_population(part: _Part, events: pd.DataFrame, late: pd.DataFrame) -> None:
    """Add of whom the part speaks, and what had to be assumed about their adverse events."""
    own, late = (frame[frame["USUBJID"].isin(part.subjects)] for frame in (events, late))
    part.add(
        "population", "n", len(part.subjects), unit="count", group="overall", engine=COUNTED, members=part.subjects,
        method="patients of the emulated trial: analysed, with all covariates",
    )  # fmt: skip
    for stat, chosen, said in (
        ("events", own, "adverse events from the day of RFA to the last contact or death"),
        ("after_follow_up", late, "adverse events recorded as begun after the last contact or death: not counted"),
        ("without_grade", own[own["grade"].isna()], "of these, without a grade: they count for no grade"),
        (
            "without_start",
            own[~own["start_known"]],
            "of these, without a start: taken to have begun with the first dose, or with RFA (see ADAE)",
        ),
    ):
        part.add(
            "adverse_events", stat, len(chosen), unit="count", group="overall", engine=COUNTED, members=chosen,
            method=said,
        )  # fmt: skip


def _add_non_starters(part: _Part, started: pd.Series, observed: pd.DataFrame, until: pd.Series) -> None:
    """Add whose copy stays under "do not start", and who of them were given the drug later."""
    dose = observed["first_dose"].loc[part.subjects]
    dosed = ~started & np.isfinite(dose)
    recurred = dose / DAYS_PER_MONTH >= until
    for stat, who, said in (
        ("non_starters", ~started, 'patients whose copy stays under "do not start": no start within the grace period'),
        ("late_starters", dosed & ~recurred, "of these, with a first dose later, before a recurrence"),
        ("given_after_recurrence", dosed & recurred, "of these, with a first dose on or after the day of a recurrence"),
    ):
        members = part.subjects[who.to_numpy()]
        part.add(
            "population", stat, len(members), unit="count", group=part.slugs[1], engine=COUNTED, members=members,
            method=said,
        )  # fmt: skip


def _add_after_first_dose(
    part: _Part, effect: Effect, outcome: _Outcome | None, started: pd.Series, observed: pd.DataFrame, why: str
) -> None:
    """Add how many of those who did not start had the harm, and how many of them had it after a first dose."""
    had = after = None
    if outcome is not None:
        harmed = (outcome.cause == 1) & ~started
        had = part.subjects[harmed.to_numpy()]
        late = harmed & (outcome.time > observed["first_dose"].loc[part.subjects] / DAYS_PER_MONTH)
        after = part.subjects[late.to_numpy()]
    for stat, who, said in (
        ("non_starters_harmed", had, "patients without a start within the grace period who had it first, whenever"),
        ("non_starters_harmed_after_dose", after, "of these, those who had it after a first dose of sorafenib"),
    ):
        part.add(
            effect.id, stat, NAN if who is None else len(who), unit="count", group=part.slugs[1], engine=COUNTED,
            members=who, method=why if who is None else f"{effect.label}: {said}",
        )  # fmt: skip


def _up_to_late_start(outcome: _Outcome, started: pd.Series, observed: pd.DataFrame) -> _Outcome:
    """Return follow-up that ends with a first dose in those who did not start within the grace period."""
    dose = (observed["first_dose"].loc[outcome.time.index] / DAYS_PER_MONTH).clip(lower=HALF_DAY / DAYS_PER_MONTH)
    late = ~started & (dose < outcome.time)
    return replace(outcome, time=outcome.time.mask(late, dose), cause=outcome.cause.mask(late, 0))


def _of_recent_scores(
    outcome: _Outcome, adlb: pd.DataFrame | None, adsl: pd.DataFrame, observed: pd.DataFrame, subjects: pd.Index
) -> _Outcome:
    """Return follow-up for a worse ALBI grade in which only deaths soon after a score compete."""
    assert adlb is not None
    first = first_albi_worsening(adlb, adsl, observed, subjects, death_within_days=RECENT_SCORE_DAYS)
    return replace(outcome, time=first["time"], cause=first["cause"])


def _treated_of_the_first(first: tuple[Resampled, ...], second: tuple[Resampled, ...]) -> tuple[Resampled, ...]:
    """Return the risks under "start" of the first answer beside those under "do not start" of the second."""
    few = len(second[0].draws)
    risk, lost, left = (
        Resampled(
            np.stack([one.estimate[TREATED], other.estimate[CONTROL]]),
            np.stack([one.draws[:few, TREATED], other.draws[:, CONTROL]], axis=1),
        )
        for one, other in zip(first[:3], second[:3], strict=True)
    )
    known = Resampled(first[3].estimate & second[3].estimate, first[3].draws[:few] & second[3].draws)
    return risk, lost, left, known


def _outcome(
    part: _Part,
    effect: Effect,
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    adlb: pd.DataFrame | None,
    cohort: CohortConfig,
    events: pd.DataFrame,
    observed: pd.DataFrame,
) -> tuple[_Outcome | None, str]:
    """Return follow-up to the first event of an effect and '', or None and why the cohort does not tell it."""
    if effect.endpoint is not None:
        if effect.endpoint not in cohort.endpoints or effect.endpoint not in set(adtte["PARAMCD"]):
            return None, f"not estimable: the cohort has no {effect.endpoint}"
        rows = parameter(adtte, effect.endpoint)
        rows = rows.assign(USUBJID=rows["USUBJID"].astype(object)).set_index("USUBJID").loc[part.subjects]
        cause = pd.Series(np.where(rows["event"], 1, np.where(rows["cause"] > 0, 2, 0)), index=rows.index)
        composite = not (cause == 2).any()
        words = f"event of {ENDPOINTS.get(effect.endpoint, effect.endpoint).lower()}"
        if not composite:
            words += ", other first events competing"
        return _Outcome(rows["time"], cause, words, composite), ""
    if effect.events is not None:
        if not cohort.offers("adverse_events"):
            return None, "not estimable: the cohort has no adverse events"
        first = first_event(select_events(events, effect.events, part.plan), observed, part.subjects)
        words = "first adverse event of the kind from RFA on, on the drug or off it, death competing"
        return _Outcome(first["time"], first["cause"], words, False), ""
    if adlb is None or not cohort.offers("labs"):
        return None, "not estimable: the cohort has no laboratory results"
    first = first_albi_worsening(adlb, adsl, observed, part.subjects)
    words = (
        "first ALBI grade (albumin and bilirubin of one day, not within the plan's days after an ablation) above that "
        "at baseline, death competing; follow-up without one ends with the last result"
    )
    return _Outcome(first["time"], first["cause"], words, False), ""


# --- effects ---------------------------------------------------------------------------------------------------------


def _add_effect(
    part: _Part, effect: Effect, outcome: _Outcome | None, risks: StrategyRisks | None, why: str
) -> list[dict]:
    """Add counts, risks, differences, numbers needed and months lost of an effect; return its rows of the curve."""
    said = f"{effect.label}: {outcome.words if outcome else ''}"
    for stat, cause, what in (
        ("n", None, "patients"),
        ("events", 1, "patients with the event first, whenever"),
        ("competing", 2, "patients with a competing event first, whenever"),
    ):
        who = None if outcome is None else outcome.cause.index[(outcome.cause == cause) | (cause is None)]
        part.add(
            effect.id, stat, NAN if who is None else len(who), unit="count", group="overall", engine=COUNTED,
            members=who, method=why if who is None else f"{said}: {what}",
        )  # fmt: skip
    drawn = []
    for j, month in enumerate(part.settings.horizons_months):
        row: dict[str, Any] = {"effect": effect.id, "kind": effect.kind, "label": effect.label, "month": month}
        for arm, slug, name in zip((TREATED, CONTROL), part.slugs, ("treated", "control"), strict=True):
            values, method = _risk(part, outcome, risks, arm, j, why, said)
            row |= dict(zip((f"{name}_risk", f"{name}_low", f"{name}_high"), values, strict=True))
            row[f"{name}_id"] = part.add(
                effect.id, "risk", values, unit="percent", group=slug, variable=horizon(month), method=method
            )
        row |= _add_difference(part, effect.id, risks, j, month, why, said)
        row["needed_id"] = _add_needed(part, effect.id, row, month, said)
        drawn.append({name: row[name] for name in EFFECT_COLUMNS})
    _add_months_lost(part, effect, risks, why, said)
    return drawn


def _risk(
    part: _Part, outcome: _Outcome | None, risks: StrategyRisks | None, arm: int, j: int, why: str, said: str
) -> tuple[tuple[float, float, float], str]:
    """Return a risk in percent with its limits, and how it was estimated."""
    if risks is None or outcome is None:
        return (NAN,) * 3, why
    risk, error = risks.risk.estimate[arm, j], risks.risk.std_err[arm, j]
    if np.isnan(risk):
        return (NAN,) * 3, f"not estimable: follow-up under the strategy ends at {risks.followed_to[arm]:.1f} months"
    method = f"{said}; weighted Aalen-Johansen estimator; {part.words}; log-log interval"
    if not error > 0:
        return (100 * risk, NAN, NAN), f"{method} (none: no event by then, in no resample)"
    # on the scale on which survival curves have theirs, where nothing competes
    probability = 1 - risk if outcome.composite else risk
    low, high = confidence_limits(np.array([probability]), np.array([error]), part.plan.confidence_level, "log-log")
    limits = (1 - high[0], 1 - low[0]) if outcome.composite else (low[0], high[0])
    return (100 * risk, 100 * float(limits[0]), 100 * float(limits[1])), method


def _add_difference(
    part: _Part, analysis: str, risks: StrategyRisks | None, j: int, month: float, why: str, said: str
) -> dict[str, Any]:
    """Add the risk difference at a horizon; return it for the curve, with how it was estimated."""
    versus = f"{part.arms.treated} minus {part.arms.control}"
    values, method = (NAN,) * 3, why
    if risks is not None:
        difference = risks.risk.difference()
        estimate, error = float(difference.estimate[j]), float(difference.std_err[j])
        if np.isnan(estimate):
            method = "not estimable: follow-up of a strategy ends before"
        elif not error > 0:
            method = "not estimable: the risks do not differ among the resamples (no event by then)"
        else:
            values = part.wald(estimate, error, 100.0)
            method = f"{said}; risk, {versus}, percentage points; {part.words}; Wald interval"
            for label, spread in zip(part.arms.labels, risks.risk.std_err[:, j], strict=True):
                if not spread > 0:
                    method += f" (no event by then under {label}, whose uncertainty it therefore leaves out)"
    identifier = part.add(analysis, "risk_difference", values, unit="percent", variable=horizon(month), method=method)
    named = dict(zip(("difference", "difference_low", "difference_high"), values, strict=True))
    return named | {"difference_id": identifier, "difference_method": method}


def _add_needed(part: _Part, analysis: str, row: Mapping[str, Any], month: float, said: str) -> str:
    """Add the number needed to treat that a risk difference amounts to; return its id."""
    needed, method = None, str(row["difference_method"])
    if np.isfinite(row["difference"]):
        limits = (row[name] / 100 for name in ("difference", "difference_low", "difference_high"))
        needed, method = attempt(number_needed, *limits)
    return part.add(
        analysis,
        "number_needed",
        NAN if needed is None else (needed.estimate, needed.ci_low, needed.ci_high),
        unit="number_needed",
        variable=horizon(month),
        method=method
        or f"{said}; number needed to treat up to month {month:g}: reciprocal of the risk reduction and of its limits "
        "(above zero for one to benefit, below zero for one to be harmed; through infinity where the limits have "
        "different signs; Altman 1998)",
        engine=NEEDED,
    )


def _add_form(
    part: _Part,
    analysis: str,
    said: str,
    outcome: _Outcome | None,
    usual: _Outcome | None,
    risks: StrategyRisks | None,
    why: str,
) -> None:
    """Add counts, risks and differences of a sensitivity analysis of an effect."""
    everybody = censored = had = None
    if outcome is not None and usual is not None:
        everybody = part.subjects
        shorter = (outcome.time < usual.time) | (outcome.cause != usual.cause)
        censored, had = part.subjects[shorter.to_numpy()], part.subjects[(outcome.cause == 1).to_numpy()]
    for stat, who, what in (
        ("n", everybody, "patients"),
        ("events", had, "patients with the event first, whenever"),
        ("censored", censored, "patients with a copy whose follow-up ends sooner than otherwise"),
    ):
        part.add(
            analysis, stat, NAN if who is None else len(who), unit="count", group="overall", engine=COUNTED,
            members=who, method=why if who is None else f"{said}: {what}",
        )  # fmt: skip
    # under "start" nobody is censored at a late start: that risk is the one above
    arms = (CONTROL,) if analysis.endswith(_NO_LATE_START) else (TREATED, CONTROL)
    for j, month in enumerate(part.settings.horizons_months):
        for arm in arms:
            slug = part.slugs[arm]
            values, method = _risk(part, outcome, risks, arm, j, why, said)
            part.add(analysis, "risk", values, unit="percent", group=slug, variable=horizon(month), method=method)
        _add_difference(part, analysis, risks, j, month, why, said)


def _add_months_lost(part: _Part, effect: Effect, risks: StrategyRisks | None, why: str, said: str) -> None:
    """Add the restricted mean time lost to an effect under both strategies, and its difference."""
    tau = part.plan.rmst_horizon_months
    span = f"mean months between the event and month {tau:g} (area under the cumulative incidence)"
    ended = "not estimable: follow-up of a strategy ends before"
    lost = None if risks is None else risks.time_lost
    for arm, slug in zip((TREATED, CONTROL), part.slugs, strict=True):
        known = lost is not None and np.isfinite(lost.estimate[arm])
        part.add(
            effect.id,
            "months_lost",
            part.wald(float(lost.estimate[arm]), float(lost.std_err[arm])) if known and lost is not None else NAN,
            unit="months",
            group=slug,
            variable=horizon(tau),
            method=why or (f"{said}; {span}; {part.words}; Wald interval" if known else ended),
        )
    difference = None if lost is None else lost.difference()
    known = difference is not None and np.isfinite(difference.estimate) and difference.std_err > 0
    part.add(
        effect.id,
        "months_lost_difference",
        part.wald(float(difference.estimate), float(difference.std_err)) if known and difference is not None else NAN,
        unit="months",
        variable=horizon(tau),
        method=why
        or (
            f"{said}; {span}, {part.arms.treated} minus {part.arms.control}; {part.words}; Wald interval"
            if known
            else ended
        ),
    )


def _effects_frame(rows: list[dict]) -> pd.DataFrame:
    """Return the rows of the effects as the figure draws them."""
    texts = ("effect", "kind", "label", *(name for name in EFFECT_COLUMNS if name.endswith("_id")))
    frame = pd.DataFrame(rows, columns=EFFECT_COLUMNS)
    return frame.astype({name: "string" if name in texts else "float64" for name in EFFECT_COLUMNS})


# --- partitioned survival --------------------------------------------------------------------------------------------


def _ask_partition(
    part: _Part, weights: CloneWeights, adtte: pd.DataFrame, cohort: CohortConfig, events: pd.DataFrame, grade: int
) -> tuple[PartitionQuestion | None, str]:
    """Return how life is parted, or None and why it cannot be."""
    for endpoint in ("RFS", "OS"):
        if endpoint not in cohort.endpoints or endpoint not in set(adtte["PARAMCD"]):
            return None, f"not estimable: the cohort has no {endpoint}"
    relapse, death = (followed(adtte, endpoint, part.subjects) for endpoint in ("RFS", "OS"))
    episodes = toxic_episodes(select_events(events, EventFilter(min_grade=grade), part.plan), part.subjects)
    return attempt(
        PartitionQuestion.ask,
        weights,
        (relapse["time"], relapse["event"]),
        (death["time"], death["event"]),
        *(episodes[name].to_numpy() for name in ("patient", "toxic_from", "toxic_to")),
        float(part.plan.rmst_horizon_months),
    )


def _add_partition(
    part: _Part, analysis: str, found: PartitionedSurvival | None, why: str, events: pd.DataFrame, grade: int
) -> None:
    """Add months in the three states and Q-TWiST; of the declared partition, over all utilities and with curves."""
    tau = part.plan.rmst_horizon_months
    month = horizon(tau)
    toxic = select_events(events, EventFilter(min_grade=grade), part.plan)
    toxic = toxic[toxic["USUBJID"].isin(part.subjects)]
    part.add(
        analysis, "n", len(part.subjects), unit="count", group="overall", engine=COUNTED, members=part.subjects,
        method="patients of the emulated trial",
    )  # fmt: skip
    part.add(
        analysis, "events", len(toxic), unit="count", group="overall", engine=COUNTED, members=toxic,
        method=f"adverse events of grade {grade} or above from the day of RFA on, before a recurrence or after; an "
        "event that is not recorded as over is open up to the last contact, and its whole length counts at its worst "
        "grade",
    )  # fmt: skip
    how = (
        f"restricted to month {tau:g}; toxicity by its weighted prevalence among those recurrence-free and followed "
        f"(Pepe, Longton and Thornquist 1991); {part.words}; Wald interval"
    )
    versus = f"{part.arms.treated} minus {part.arms.control}"
    lines: list[tuple[str, Resampled | None, str]] = [
        (state, None if found is None else _one(found.states, j), STATE_WORDS[state].format(grade=grade))
        for j, state in enumerate(STATES)
    ]
    # nothing else depends on what toxicity is
    lines = (
        lines[:2]
        if analysis != "partition"
        else [
            *lines,
            ("recurrence_free", None if found is None else found.relapse_free_mean, "months recurrence-free"),
            ("alive", None if found is None else found.alive_mean, "months alive"),
        ]
    )
    for level, months, what in lines:
        _add_months(part, analysis, months, level, month, why, f"{what}, {how}", versus)
    quality, said = _quality(part, found, grade, how)
    if analysis != "partition":
        _add_months(part, analysis, quality, "qtwist", month, why, said, versus)
        return
    _add_months(part, "qtwist", quality, None, month, why, said, versus)
    _add_utilities(part, found, why, how, versus)
    if found is None:
        return
    part.curves["partitioned_survival"] = _partition_frame(part, found)
    part.curves["utility_threshold"] = _threshold(part, found)


def _one(states: Resampled, j: int) -> Resampled:
    """Return one state of both arms."""
    return Resampled(states.estimate[:, j], states.draws[:, :, j])


def _add_months(
    part: _Part,
    analysis: str,
    months: Resampled | None,
    level: str | None,
    month: str,
    why: str,
    said: str,
    versus: str,
) -> None:
    """Add months under both strategies and their difference."""
    for arm, slug in zip((TREATED, CONTROL), part.slugs, strict=True):
        values = NAN if months is None else part.wald(float(months.estimate[arm]), float(months.std_err[arm]))
        part.add(
            analysis, "months", values, unit="months", group=slug, variable=month, level=level, engine=PARTITION,
            method=why or said,
        )  # fmt: skip
    difference = None if months is None else months.difference()
    values = NAN if difference is None else part.wald(float(difference.estimate), float(difference.std_err))
    part.add(
        analysis, "difference", values, unit="months", variable=month, level=level, engine=PARTITION,
        method=why or f"{said}; {versus}",
    )  # fmt: skip


def _quality(part: _Part, found: PartitionedSurvival | None, grade: int, how: str) -> tuple[Resampled | None, str]:
    """Return Q-TWiST at the plan's utilities, and what that is."""
    toxicity, relapse = part.settings.utility_toxicity, part.settings.utility_relapse
    said = (
        f"quality-adjusted months (Q-TWiST), months with toxicity (grade {grade} or above) worth {toxicity:g} and "
        f"months after recurrence {relapse:g} by assumption, {how}"
    )
    return None if found is None else found.quality_adjusted(toxicity, relapse), said


def _add_utilities(part: _Part, found: PartitionedSurvival | None, why: str, how: str, versus: str) -> None:
    """Add the plan's utilities, the range of Q-TWiST over all, and at how many its interval excludes zero."""
    settings = part.settings
    for name, utility in (("toxicity", settings.utility_toxicity), ("relapse", settings.utility_relapse)):
        part.add(
            "qtwist", "utility", utility, unit="proportion", group="overall", variable=name, engine=PARTITION,
            method=f"assumption of the plan: what a month in the state ({name}) is worth against one without either",
        )  # fmt: skip
    grid = None if found is None else _threshold(part, found)
    for stat, place, what in (
        ("smallest", "idxmin", "least favourable"),
        ("largest", "idxmax", "most favourable"),
    ):
        values: tuple[float, float, float] | float = NAN
        if grid is not None:
            row = grid.loc[getattr(grid["difference"], place)()]
            values = (float(row["difference"]), float(row["ci_low"]), float(row["ci_high"]))
        part.add(
            "qtwist", stat, values, unit="months", variable="utilities", engine=PARTITION,
            method=why or f"difference in Q-TWiST, {versus}, at the {what} pair of utilities between 0 and 1; {how}",
        )  # fmt: skip
    for zone, what in (("favours", "above"), ("against", "below")):
        share = NAN if grid is None else float((grid["zone"] == zone).mean())
        part.add(
            "qtwist", zone, share, unit="proportion", variable="utilities", engine=PARTITION,
            method=why or f"share of {GRID} x {GRID} pairs of utilities between 0 and 1 at which the pointwise "
            f"interval of the difference in Q-TWiST, {versus}, lies {what} zero",
        )  # fmt: skip


def _threshold(part: _Part, found: PartitionedSurvival) -> pd.DataFrame:
    """Return the difference in Q-TWiST over all pairs of utilities, with pointwise intervals."""
    values = np.linspace(0, 1, GRID)
    toxicity, relapse = (axis.ravel() for axis in np.meshgrid(values, values, indexing="ij"))
    utilities = np.stack([toxicity, np.ones_like(toxicity), relapse])
    difference = found.states.difference()
    estimate = difference.estimate @ utilities
    # the difference is linear in the utilities, its variance a quadratic form
    covariance = np.cov(difference.draws, rowvar=False)
    error = np.sqrt(np.einsum("ij,ik,kj->j", utilities, covariance, utilities))
    low, high = estimate - part.z * error, estimate + part.z * error
    return pd.DataFrame(
        {
            "utility_toxicity": toxicity,
            "utility_relapse": relapse,
            "difference": estimate,
            "ci_low": low,
            "ci_high": high,
            "zone": pd.array(np.where(low > 0, "favours", np.where(high < 0, "against", "neither")), dtype="string"),
        }
    )


def _partition_frame(part: _Part, found: PartitionedSurvival) -> pd.DataFrame:
    """Return the curves that part life under both strategies, where one of them steps, up to the horizon."""
    frames = []
    for arm, slug, label in zip((TREATED, CONTROL), part.slugs, part.arms.labels, strict=True):
        curves = np.stack([found.relapse_free[arm], found.alive[arm], found.toxic[arm]])
        kept = np.concatenate([[True], (np.abs(np.diff(curves, axis=1)) > 0).any(axis=0)])
        time = np.append(found.time[kept], found.tau)
        relapse_free, alive, toxic = np.concatenate([curves[:, kept], curves[:, -1:]], axis=1)
        frames.append(
            pd.DataFrame(
                {
                    "group": pd.array([slug] * time.size, dtype="string"),
                    "label": pd.array([label] * time.size, dtype="string"),
                    "time_months": time,
                    "relapse_free": relapse_free,
                    "alive": alive,
                    "toxic": toxic,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
