"""The target trial of the plan's primary estimand, emulated from the index RFA on: clone, censor, weight.

Time zero, eligibility and assignment coincide at the RFA, and a grace period is allowed for the start of sorafenib
(:mod:`sorafenib_rfa.stats.clone_censor`). Beside it stand the other designs that the same question is often answered
by, so that a reader sees what the choice of design does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import NO_RESAMPLES, logistic_scores
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.comparison import EMULATED, Target, in_population, parameter
from sorafenib_rfa.estimates.covariates import Design, covariate_design, texts
from sorafenib_rfa.estimates.evalue import add_evalue
from sorafenib_rfa.stats.clone_censor import (
    CONTROL,
    TREATED,
    CloneCensorEstimate,
    CloneDesign,
    CloneWeights,
    Contrast,
    HazardInitiation,
    Initiation,
    ScoredInitiation,
    Tilt,
    compare_strategies,
)
from sorafenib_rfa.stats.cox import CoxDesign, cox_fit
from sorafenib_rfa.stats.errors import EmptyGroupError, EstimationError, SeparationError
from sorafenib_rfa.stats.kaplan_meier import confidence_limits
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, ENDPOINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

ENGINE = "sorafenib_rfa.stats.clone_censor"
COX = "sorafenib_rfa.stats.cox"
COMPARED_IN_FULL = ("RFS", "OS")
"""Endpoints that are also analysed by the sensitivity forms and the other designs."""
HAZARD_MODEL_SHARE = 5
"""One in how many resamples also refits the Cox model of initiation, which cannot be fitted to all at once."""

FormName = Literal["overlap", "ate", "ate_truncated", "ate_cox"]


@dataclass(frozen=True)
class Form:
    """One form of the weights."""

    key: FormName
    label: str
    tilt: Tilt
    role: str
    words: str
    explains: str
    truncated: bool = False
    cox: bool = False


_SCORED = (
    "the chance of a start within the grace period from a logistic propensity score, its timing among starters taken "
    "not to depend on covariates"
)
FORMS: Mapping[FormName, Form] = {
    form.key: form
    for form in (
        Form(
            "overlap",
            "Clone-censor-weight, overlap",
            "overlap",
            "primary",
            f"{_SCORED}; tilted to the patients in whom either choice was likely, e(1 - e)",
            "cloned at RFA, censored on leaving the strategy, weighted back to patients in equipoise",
        ),
        Form(
            "ate",
            "Clone-censor-weight, all patients",
            "ate",
            "sensitivity",
            f"{_SCORED}; weighted to all patients",
            "the same clones, weighted back to all patients",
        ),
        Form(
            "ate_truncated",
            "Clone-censor-weight, truncated",
            "ate",
            "sensitivity",
            f"{_SCORED}; weighted to all patients, weights truncated at their 99th percentile in each arm",
            "the same, the largest 1% of weights cut",
            truncated=True,
        ),
        Form(
            "ate_cox",
            "Clone-censor-weight, Cox",
            "ate",
            "sensitivity",
            "the chance of not having started by each day from a Cox model of initiation; weighted to all patients",
            "the same, weights from a Cox model of starting",
            cox=True,
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Emulation:
    """Patients of an emulated trial with their chances of starting, in the data and in bootstrap resamples.

    Build one with :meth:`draw`; times are months since time zero.

    Attributes
    ----------
    x : ndarray, shape (n, p)
        Covariates.
    start, until : ndarray, shape (n,)
        Start within the grace period before `until` (infinite: none), and when a start ceases to be possible.
    leaves : ndarray, shape (n,)
        End of the time in which a start could be seen: start, recurrence, death or loss.
    known : ndarray of bool, shape (n,)
        Event-free and observed at the end of the grace period: those of whom the propensity score learns.
    grace : float
        Grace period.
    times : ndarray, shape (K,)
        Distinct start times.
    drawn : ndarray, shape (B, n)
        Multiplicities of the resamples.
    usable : ndarray of bool, shape (B,)
        Resamples in which the propensity score converged.
    scored, scored_resampled : ScoredInitiation
        Chances of starting by the propensity score.
    truncate_at : float
        Quantile of each arm's weights above which the truncated form cuts them.
    """

    x: FloatArray
    start: FloatArray
    until: FloatArray
    leaves: FloatArray
    known: BoolArray
    grace: float
    times: FloatArray
    drawn: FloatArray
    usable: BoolArray
    scored: ScoredInitiation
    scored_resampled: ScoredInitiation
    truncate_at: float

    @classmethod
    def draw(
        cls,
        x: FloatArray,
        start: FloatArray,
        until: FloatArray,
        leaves: FloatArray,
        known: BoolArray,
        grace: float,
        *,
        seed: int | np.random.SeedSequence,
        resamples: int,
        truncate_at: float = 1.0,
    ) -> Emulation:
        """Resample patients and fit the propensity scores.

        Parameters
        ----------
        x : ndarray, shape (n, p)
            Covariates of the propensity score, without intercept.
        start : ndarray, shape (n,)
            Start of the treatment; infinite or NaN: never. Starts after `grace` or not before `until` do not count.
        until, leaves, known, grace
            As the attributes.
        seed, resamples
            Of the bootstrap.
        truncate_at : float
            Quantile of each arm's weights above which the truncated form cuts them.

        Raises
        ------
        EmptyGroupError
            If nobody or everybody whose conduct is known starts within the grace period.
        SeparationError
            If the covariates tell starters from others without error.
        EstimationError
            If no resamples are asked for: every interval of the emulated trial rests on them.
        """
        if not resamples:
            raise EstimationError(NO_RESAMPLES)
        start = np.where(np.isnan(start), np.inf, start)
        until = np.where(np.isnan(until), np.inf, until)
        begun = np.where((start <= grace) & (start < until), start, np.inf)
        starter = np.isfinite(begun)
        for flags, who in ((known & starter, "nobody"), (known & ~starter, "everybody")):
            if not flags.any():
                raise EmptyGroupError(f"{who} starts treatment within the grace period")
        n = len(begun)
        times = np.unique(begun[starter & known])
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=resamples).astype(float)
        y, one = starter.astype(float), np.ones((1, n))
        scores, converged = logistic_scores(x, y, one * known)
        if not converged[0]:
            raise SeparationError("the covariates separate patients who start treatment from those who do not")
        resampled, usable = logistic_scores(x, y, drawn * known)
        return cls(
            x=x,
            start=begun,
            until=until,
            leaves=np.minimum(leaves, begun),
            known=known,
            grace=grace,
            times=times,
            drawn=drawn,
            usable=usable,
            scored=ScoredInitiation.fitted(times, scores, begun, one, known),
            scored_resampled=ScoredInitiation.fitted(times, resampled, begun, drawn, known),
            truncate_at=truncate_at,
        )

    @cached_property
    def hazard(self) -> tuple[HazardInitiation, HazardInitiation, FloatArray, BoolArray]:
        """Cox model of initiation: in the data, in the first resamples, those, and which of them converged."""
        starter = np.isfinite(self.start)
        end = np.where(starter, self.start, np.minimum(self.leaves, self.grace))
        # whoever starts on day 0 starts just after it: a Cox model has no time zero
        shifted = np.maximum(end, 0.25 / DAYS_PER_MONTH)
        varying = np.ptp(self.x, axis=0) > 0
        x = self.x[:, varying]
        design = CoxDesign.prepare(x, shifted, starter)
        beta = design.coefficients(tol=1e-9)
        few = max(1, len(self.drawn) // HAZARD_MODEL_SHARE)
        drawn = self.drawn[:few]
        found = np.zeros((few, len(beta)))
        converged = np.zeros(few, dtype=bool)
        for b in range(few):
            try:
                found[b] = design.coefficients(multiplicity=drawn[b].astype(int), init=beta)
                converged[b] = True
            except EstimationError:
                continue
        centred = x - x.mean(axis=0)
        times = np.unique(self.start[starter])

        def initiation(coefficients: FloatArray, multiplicity: FloatArray) -> HazardInitiation:
            relative = np.exp(coefficients @ centred.T)
            return HazardInitiation.fitted(times, relative, self.start, end, multiplicity)

        whole = initiation(beta[None], np.ones((1, len(end))))
        return whole, initiation(found, drawn), drawn, converged

    def initiation(self, form: Form) -> tuple[Initiation, Initiation, FloatArray, BoolArray]:
        """Return the chances of starting of a form: in the data, in resamples, those and which of them are usable."""
        if form.cox:
            return self.hazard
        return self.scored, self.scored_resampled, self.drawn, self.usable

    def design(self, time: FloatArray, event: BoolArray, form: Form) -> CloneDesign:
        """Arrange the follow-up for one endpoint."""
        times = self.initiation(form)[0].times
        return CloneDesign.prepare(time, event, self.start, self.grace, until=self.until, times=times)

    def weights(self, form: Form) -> CloneWeights:
        """Return the weights of the copies at any moment, whichever outcome is followed; not of a truncated form."""
        return CloneWeights(self.start, self.until, self.grace, self.initiation(form)[0].times, form.tilt)

    def caps(self, design: CloneDesign, form: Form) -> tuple[float, float] | None:
        """Return the largest weights of a truncated form."""
        return design.caps(self.initiation(form)[0], self.truncate_at) if form.truncated else None

    def compare(
        self, time: FloatArray, event: BoolArray, tau: float, *, form: FormName = "overlap", level: float = 0.95
    ) -> CloneCensorEstimate:
        """Compare the strategies for one endpoint.

        Parameters
        ----------
        time, event : ndarray, shape (n,)
            Follow-up in months since time zero.
        tau : float
            Horizon of the restricted means, months.
        form : {"overlap", "ate", "ate_truncated", "ate_cox"}
            Weights; see :data:`FORMS`.
        level : float
            Of the intervals.

        Raises
        ------
        EstimationError
            As :func:`sorafenib_rfa.stats.clone_censor.compare_strategies`.
        """
        chosen = FORMS[form]
        whole, resampled, drawn, usable = self.initiation(chosen)
        design = self.design(time, event, chosen)
        return compare_strategies(
            design,
            whole,
            resampled,
            drawn,
            usable,
            tau,
            tilt=chosen.tilt,
            cap=self.caps(design, chosen),
            level=level,
        )


def conduct(adsl: pd.DataFrame, grace_period_days: int) -> pd.DataFrame:
    """Return what patients did about sorafenib from the RFA on.

    Parameters
    ----------
    adsl : DataFrame
        ADSL.
    grace_period_days : int
        Days after the RFA within which a start counts.

    Returns
    -------
    DataFrame
        Index USUBJID; months since RFA: ``exposed_from`` (first dose before recurrence, whenever; infinite: none),
        ``start`` (the same within the grace period), ``until`` (recurrence seen, infinite: none), ``leaves`` (first of
        recurrence, death and last contact); ``known``: alive, recurrence-free and under observation when the grace
        period ends.
    """
    index = pd.Index(texts(adsl["USUBJID"]).astype(object), name="USUBJID")
    zero = pd.to_datetime(adsl["TRTSDT"])

    def days(column: str) -> np.ndarray:
        elapsed = (pd.to_datetime(adsl[column]) - zero).dt.days.to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isnan(elapsed), np.inf, elapsed)

    recurred, died, last = days("RECDT"), days("DTHDT"), days("LSTALVDT")
    dose = np.where((texts(adsl["EXPOSFL"]) == "Y").to_numpy(dtype=bool, na_value=False), days("EXSTDT"), np.inf)
    return pd.DataFrame(
        {
            "exposed_from": dose / DAYS_PER_MONTH,
            "start": np.where(dose <= grace_period_days, dose, np.inf) / DAYS_PER_MONTH,
            "until": recurred / DAYS_PER_MONTH,
            "leaves": np.minimum(np.minimum(recurred, died), last) / DAYS_PER_MONTH,
            "known": (recurred > grace_period_days) & (died > grace_period_days) & (last >= grace_period_days),
        },
        index=index,
    ).sort_index()


def followed(adtte: pd.DataFrame, endpoint: str, subjects: pd.Index) -> pd.DataFrame:
    """Return ``time`` (months since RFA) and ``event`` of `subjects` for an endpoint, in their order."""
    rows = parameter(adtte, endpoint)
    return rows.assign(USUBJID=rows["USUBJID"].astype(object)).set_index("USUBJID").loc[subjects, ["time", "event"]]


def emulated_population(index_event: str) -> str:
    """Return whom the emulated trial speaks of, in words."""
    return f"All analysed patients from {index_event}, with all covariates of the adjustment set"


@dataclass(frozen=True, eq=False)
class EmulatedTrial:
    """The emulated trial of a cohort, whichever outcome is followed.

    Attributes
    ----------
    conduct : DataFrame
        Of all analysed patients, as :func:`conduct` returns it.
    design : Design
        Covariates of those who have all of them: the patients of the trial.
    emulation : Emulation or None
        None where the strategies cannot be compared.
    why : str
        Why not, else ''.
    """

    conduct: pd.DataFrame
    design: Design
    emulation: Emulation | None
    why: str


def emulate(adsl: pd.DataFrame, plan: Plan, cohort: CohortConfig, *, seed: int) -> EmulatedTrial:
    """Set up the emulated trial of the plan.

    Parameters
    ----------
    adsl : DataFrame
        ADSL.
    plan : Plan
        Grace period, covariates, resamples.
    cohort : CohortConfig
        Its arms.
    seed : int
        Of the bootstrap: parts of the ARD that are given the same seed speak of the same resamples.
    """
    own = conduct(adsl, plan.grace_period_days)
    by_subject = adsl.assign(USUBJID=texts(adsl["USUBJID"]).astype(object)).set_index("USUBJID").sort_index()
    design = covariate_design(by_subject, plan, plan.adjustment_set)
    arms = arms_of(cohort)
    scored = own.loc[design.x.index]
    starts = np.isfinite(scored["start"]) & scored["known"]
    why = untested({arms.treated: int(starts.sum()), arms.control: int((scored["known"] & ~starts).sum())}, plan)
    emulation = None
    if not why:
        emulation, why = attempt(
            Emulation.draw,
            design.x.to_numpy(),
            *(scored[name].to_numpy() for name in ("start", "until", "leaves", "known")),
            plan.grace_period_days / DAYS_PER_MONTH,
            seed=seed,
            resamples=plan.bootstrap_resamples,
            truncate_at=plan.sensitivity.truncate_weights_at if plan.sensitivity else 1.0,
        )
    return EmulatedTrial(own, design, emulation, why)


@dataclass
class _Part:
    """What every analysis of the part needs."""

    ard: ArdBuilder
    plan: Plan
    arms: Arms
    adtte: pd.DataFrame
    conduct: pd.DataFrame
    design: Design
    emulation: Emulation | None
    why: str
    index_event: str
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)
    weights: list[pd.DataFrame] = field(default_factory=list)

    @property
    def slugs(self) -> tuple[str, str]:
        """Slugs of the treated and the control arm."""
        return self.arms.slug(self.arms.treated), self.arms.slug(self.arms.control)

    @property
    def population(self) -> str:
        return emulated_population(self.index_event)

    def common(self, endpoint: str, tilt: Tilt) -> dict[str, str]:
        """Columns shared by the rows of an endpoint, weighted to a population."""
        target: Target = "overlap" if tilt == "overlap" else "all"
        return {"population": self.population, "estimand_id": in_population(EMULATED[endpoint], target)}


def estimate_target_trial(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Emulate the target trial of the plan by cloning, censoring and weighting; and fit the time-varying designs.

    Parameters
    ----------
    adsl, adtte : DataFrame
        ADaM datasets.
    plan : Plan
        Grace period, horizons, covariates, resamples, confidence level.
    cohort : CohortConfig
        What the cohort offers.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimates
        ARD part ``target_trial``. Curves ``km_ccw_rfs, km_ccw_os`` (as
        :func:`sorafenib_rfa.estimates.survival.curve_frame`, with ``endpoint``; bands from the bootstrap; ``n_censor``
        is 0 throughout, as copies also leave their arm), ``designs_rfs, designs_os`` (one row a design and measure:
        ``label, key, role, explains, measure, ard_id``), ``ccw_weights`` (``endpoint, form, group, label, time_months,
        copies, sum_of_weights, effective_n, max_weight``: copies at risk just after each time).
    """
    trial = emulate(adsl, plan, cohort, seed=seed)
    design = trial.design
    part = _Part(
        ard=ArdBuilder(cohort_name, "target_trial", record),
        plan=plan,
        arms=arms_of(cohort),
        adtte=adtte,
        conduct=trial.conduct,
        design=design,
        emulation=trial.emulation,
        why=trial.why,
        index_event=cohort.index_event,
    )
    endpoints = [endpoint for endpoint in EMULATED if endpoint in cohort.endpoints]
    _add_cloning(part)
    for endpoint in endpoints:
        rows = followed(adtte, endpoint, design.x.index)
        for form in FORMS.values():
            if form.key == "overlap" or endpoint in COMPARED_IN_FULL:
                _add_form(part, endpoint, rows, form)
        if endpoint in COMPARED_IN_FULL:
            _add_time_varying(part, endpoint)
            part.curves[f"designs_{endpoint.lower()}"] = designs(endpoint, plan)
    if part.weights:
        part.curves["ccw_weights"] = pd.concat(part.weights, ignore_index=True)
    return part.ard.estimates(part.curves)


def designs(endpoint: str, plan: Plan) -> pd.DataFrame:
    """Return the designs that answer the question of an endpoint, a row a design and measure, the primary first."""
    key, month = endpoint.lower(), horizon(plan.rmst_horizon_months)
    rows = [
        (form.label, f"ccw_{form.key}", form.role, form.explains, measure, f"target_trial.{key}_ccw_{form.key}.{name}")
        for form in FORMS.values()
        for measure, name in (("rmst_difference", f"contrast.{month}.difference"), ("hr", "contrast.hr"))
    ]
    landmark = ("Landmark, overlap", "landmark", "sensitivity", "event-free patients compared from the landmark on")
    varying = (
        "Time-varying exposure",
        "time_varying",
        "sensitivity",
        "everyone from RFA, exposed from the first dose; adjusted",
    )
    naive = (
        "Naive, ever against never",
        "naive",
        "naive",
        "everyone from RFA by what they took later: immortal time",
    )
    rows += [
        (*landmark, "rmst_difference", f"efficacy.{key}_rmst_overlap.contrast.{month}.difference"),
        (*landmark, "hr", f"efficacy.{key}_cox_overlap.contrast.hr"),
        (*varying, "hr", f"target_trial.{key}_time_varying_adjusted.contrast.hr"),
        (*naive, "rmst_difference", f"efficacy.{key}_naive_rmst.contrast.{month}.difference"),
        (*naive, "hr", f"efficacy.{key}_naive.contrast.hr"),
    ]
    return pd.DataFrame(rows, columns=["label", "key", "role", "explains", "measure", "ard_id"])


def _add_cloning(part: _Part) -> None:
    """Add who was cloned, who left which arm, and who could not take part."""
    common = {"unit": "count", "engine": "sorafenib_rfa.estimates.target_trial", "estimand_id": "E1_RFS"}
    everyone = {**common, "population": f"All analysed patients from {part.index_event}"}
    grace = part.plan.grace_period_days
    scored = part.conduct.loc[part.design.x.index]
    started = np.isfinite(scored["start"])
    undecided = ~started & ~scored["known"]
    part.ard.add(
        "cloning",
        "patients",
        len(scored),
        method="patients with all covariates, cloned at time zero",
        members=scored.index,
        **everyone,
    )
    part.ard.add("cloning", "clones", 2 * len(scored), method="two copies a patient", **everyone)
    part.ard.add(
        "cloning",
        "without_covariates",
        int((~part.design.complete).sum()),
        method="analysed patients who lack a covariate of the adjustment set: not in the emulated trial",
        members=part.design.complete.index[~part.design.complete],
        **everyone,
    )
    part.ard.add(
        "cloning",
        "in_both_arms_throughout",
        int(undecided.sum()),
        method=f"patients whose recurrence, death or last contact came by day {grace} and before any start: they "
        "count in both arms up to then",
        members=scored.index[undecided],
        **everyone,
    )
    for slug, flags, what in (
        (part.slugs[0], scored["known"] & ~started, f"had not started when day {grace} was over"),
        (part.slugs[1], started, f"started by day {grace}"),
    ):
        part.ard.add(
            "cloning",
            "artificially_censored",
            int(flags.sum()),
            group=slug,
            method=f"copies censored because the patient {what}",
            members=scored.index[flags],
            **everyone,
        )
    delay = scored.loc[started, "start"] * DAYS_PER_MONTH
    for stat, probability in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        part.ard.add(
            "cloning",
            stat,
            float(delay.quantile(probability)) if len(delay) else NAN,
            group=part.slugs[0],
            variable="start_day",
            method="days from RFA to the first dose of those who started within the grace period"
            if len(delay)
            else "not estimable: nobody started within the grace period",
            **{**everyone, "unit": "days"},
        )


# --- clone, censor, weight -------------------------------------------------------------------------


def _add_form(part: _Part, endpoint: str, rows: pd.DataFrame, form: Form) -> None:
    """Add one form of the weighted comparison of an endpoint, and its curves."""
    plan = part.plan
    analysis = f"{endpoint.lower()}_ccw_{form.key}"
    time, event = rows["time"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=bool)
    found, why = None, part.why
    if part.emulation is not None:
        found, why = attempt(
            part.emulation.compare,
            time,
            event,
            float(plan.rmst_horizon_months),
            form=form.key,
            level=plan.confidence_level,
        )
    words = (
        f'each patient cloned at {part.index_event} into "start within {plan.grace_period_days} days" and "do not '
        f'start", clones censored when the patient departs from the strategy, the others weighted by the probability '
        f"of the patient's conduct under the strategy over that in the data; {form.words}"
    )
    if endpoint == "TTR":
        words += "; death before recurrence censors (cause-specific)"
    if found is not None:
        words += f"; standard error from {found.resamples} bootstrap resamples of patients, the weights estimated anew"
    _add_contrasts(part, endpoint, analysis, found, why, words, form)
    if form.key == "overlap":
        _add_survival(part, endpoint, analysis, found, why, words)
    if form.key == "overlap" and endpoint in COMPARED_IN_FULL:
        ratio = None if found is None else found.hazard_ratio
        add_evalue(
            part.ard,
            f"evalue_{endpoint.lower()}",
            None if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high),
            float(event.mean()) if len(event) else NAN,
            reason=why,
            of="the hazard ratio of the emulated trial",
            common={**part.common(endpoint, form.tilt), "group": "contrast"},
        )
    if endpoint not in COMPARED_IN_FULL:
        return
    if found is None or part.emulation is None:
        _add_no_weights(part, endpoint, analysis, why, form)
        return
    if form.key == "overlap":
        part.curves[f"km_ccw_{endpoint.lower()}"] = _curves(part, endpoint, found)
    _add_weights(part, endpoint, analysis, time, event, form)


def _add_contrasts(
    part: _Part,
    endpoint: str,
    analysis: str,
    found: CloneCensorEstimate | None,
    why: str,
    words: str,
    form: Form,
) -> None:
    """Add restricted means, their contrasts and the hazard ratio."""
    plan, common = part.plan, {**part.common(endpoint, form.tilt), "engine": ENGINE}
    month = horizon(plan.rmst_horizon_months)
    span = (
        f"restricted mean time to month {plan.rmst_horizon_months:g} from {part.index_event}, "
        f"{ENDPOINTS[endpoint].lower()}"
    )
    ratio_words = f"{part.arms.treated} against {part.arms.control}: weighted Cox model on the arm, Efron's ties"
    wald = "Wald interval and p value"

    def add(
        stat: str, value: Contrast | None, unit: str, group: str, variable: str, said: str, *, tested: bool = True
    ) -> None:
        part.ard.add(
            analysis,
            stat,
            NAN if value is None else value.estimate,
            ci_low=NAN if value is None else value.ci_low,
            ci_high=NAN if value is None else value.ci_high,
            p_value=value.p if value is not None and tested else NAN,
            unit=unit,
            group=group,
            variable=variable,
            method=why or said,
            **common,
        )

    if form.key == "overlap":
        for arm, slug in enumerate(part.slugs):
            add(
                "rmst",
                None if found is None else found.rmst[arm],
                "months",
                slug,
                month,
                f"{span}; {words}; Wald interval",
                tested=False,
            )
        add("ratio", None if found is None else found.rmst_ratio, "ratio", "contrast", month,
            f"ratio of the {span}; {words}; {wald} on the log scale")  # fmt: skip
    add("difference", None if found is None else found.rmst_difference, "months", "contrast", month,
        f"difference of the {span}; {words}; {wald}")  # fmt: skip
    add("hr", None if found is None else found.hazard_ratio, "ratio", "contrast", "",
        f"{ratio_words}; {words}; {wald} on the log scale")  # fmt: skip
    for stat, count, said in (
        ("resamples", None if found is None else found.resamples, "bootstrap resamples with an estimate"),
        ("resamples_failed", None if found is None else found.failed, "bootstrap resamples without an estimate"),
    ):
        part.ard.add(
            analysis,
            stat,
            NAN if count is None else count,
            unit="count",
            group="contrast",
            method=why or said,
            **common,
        )


def _add_survival(
    part: _Part, endpoint: str, analysis: str, found: CloneCensorEstimate | None, why: str, words: str
) -> None:
    """Add survival under both strategies and its difference at the horizons."""
    from scipy.special import ndtr, ndtri

    plan, common = part.plan, {**part.common(endpoint, "overlap"), "engine": ENGINE, "unit": "percent"}
    z = float(ndtri(0.5 + plan.confidence_level / 2))
    months = list(plan.horizons_months)
    at = None if found is None else found.at(months)
    for j, month in enumerate(months):
        for arm, slug in enumerate(part.slugs):
            values, said = (NAN,) * 3, why
            if at is not None and found is not None:
                survival, error = at[0][arm, j], at[1][arm, j]
                if np.isnan(survival):
                    said = f"not estimable: follow-up under the strategy ends at {found.last[arm]:.1f} months"
                else:
                    low, high = confidence_limits(
                        np.array([survival]), np.array([error]), plan.confidence_level, "log-log"
                    )
                    values = (100 * survival, 100 * float(low[0]), 100 * float(high[0]))
                    said = f"weighted Kaplan-Meier; {words}; log-log interval"
            part.ard.add(
                analysis, "survival", values[0], ci_low=values[1], ci_high=values[2], group=slug,
                variable=horizon(month), method=said, **common,
            )  # fmt: skip
        values, said, p = (NAN,) * 3, why, NAN
        if at is not None:
            difference, error = 100 * float(at[0][CONTROL, j] - at[0][TREATED, j]), 100 * float(at[2][j])
            said = "not estimable: follow-up of a strategy ends before"
            if np.isfinite(difference):
                values = (difference, difference - z * error, difference + z * error)
                p = float(2 * ndtr(-abs(difference) / error)) if error > 0 else NAN
                said = (
                    f"risk under {part.arms.treated} minus risk under {part.arms.control}, percentage points; weighted "
                    f"Kaplan-Meier; {words}; Wald interval and p value"
                )
        part.ard.add(
            analysis, "risk_difference", values[0], ci_low=values[1], ci_high=values[2], p_value=p, group="contrast",
            variable=horizon(month), method=said, **common,
        )  # fmt: skip


def _curves(part: _Part, endpoint: str, found: CloneCensorEstimate) -> pd.DataFrame:
    """Return the curves of both strategies as the figures draw them."""
    frames = []
    for arm, (slug, label) in enumerate(zip(part.slugs, part.arms.labels, strict=True)):
        survival = found.survival[arm]
        low, high = confidence_limits(survival, found.survival_std_err[arm], found.level, "log-log")
        kept = found.time <= found.last[arm]
        frame = pd.DataFrame(
            {
                "time_months": found.time,
                "survival": survival,
                # before the first event the transformed interval is undefined; it is drawn closed
                "ci_low": np.where(survival == 1.0, 1.0, low),
                "ci_high": np.where(survival == 1.0, 1.0, high),
                "n_risk": found.at_risk[arm],
                "n_event": found.events[arm],
                "n_censor": 0.0,
            }
        )[kept]
        first = {"time_months": 0.0, "survival": 1.0, "ci_low": 1.0, "ci_high": 1.0, "n_risk": found.at_risk[arm, 0]}
        last = {**frame.iloc[-1].to_dict(), "time_months": found.last[arm], "n_event": 0.0}
        ends = [pd.DataFrame([{**first, "n_event": 0.0, "n_censor": 0.0}]), frame]
        if found.last[arm] > frame["time_months"].iloc[-1]:
            ends.append(pd.DataFrame([last]))
        drawn = pd.concat(ends, ignore_index=True)
        drawn.insert(0, "weighting", "ccw_overlap")
        drawn.insert(0, "label", label)
        drawn.insert(0, "group", slug)
        frames.append(drawn)
    return pd.concat(frames, ignore_index=True)


def _add_weights(part: _Part, endpoint: str, analysis: str, time: FloatArray, event: BoolArray, form: Form) -> None:
    """Add person-time, effective sample size and largest weight, and their course over time."""
    emulation = part.emulation
    assert emulation is not None  # only estimated forms come here
    design = emulation.design(time, event, form)
    rows = design.rows(emulation.initiation(form)[0], tilt=form.tilt, cap=emulation.caps(design, form))
    grace = emulation.grace
    months = sorted({0.0, *np.linspace(0, grace, 5)[1:].round(4), *range(3, int(time.max()) + 1, 3)})
    common = {**part.common(endpoint, form.tilt), "engine": ENGINE}
    frames = []
    for arm, (slug, label) in enumerate(zip(part.slugs, part.arms.labels, strict=True)):
        own = rows["arm"] == arm
        start, stop, weight = (rows[name][own] for name in ("start", "stop", "weight"))
        entry = []
        for month in months:
            here = weight[(start <= month) & (stop > month)]
            if not here.size:
                break
            entry.append((month, here.size, here.sum(), here.sum() ** 2 / (here**2).sum(), here.max()))
        columns = ["time_months", "copies", "sum_of_weights", "effective_n", "max_weight"]
        frame = pd.DataFrame(entry, columns=columns).astype("float64")
        frames.append(frame.assign(endpoint=endpoint, form=form.key, group=slug, label=label))
        part.ard.add(
            analysis, "patient_years", float((stop - start).sum() / 12), unit="years", group=slug,
            method="follow-up of the copies in the arm, unweighted, each to its event or (artificial) censoring",
            **common,
        )  # fmt: skip
        part.ard.add(
            analysis, "max_weight", float(weight.max()), unit="measure", group=slug,
            method=f"largest weight of a copy at any time; {form.label}", **common,
        )  # fmt: skip
        for month in (grace, *(m for m in part.plan.horizons_months)):
            here = weight[(start <= month) & (stop > month)]
            part.ard.add(
                analysis,
                "effective_n",
                float(here.sum() ** 2 / (here**2).sum()) if here.size else 0.0,
                unit="measure",
                group=slug,
                variable="grace_end" if month == grace else horizon(month),
                method="Kish's effective number of copies at risk just after "
                + (f"day {part.plan.grace_period_days}" if month == grace else f"month {month:g}")
                + f"; {form.label}",
                **common,
            )
    order = ["endpoint", "form", "group", "label", *columns]
    part.weights.append(pd.concat(frames, ignore_index=True)[order])


def _add_no_weights(part: _Part, endpoint: str, analysis: str, why: str, form: Form) -> None:
    """Add the rows of :func:`_add_weights` without values: the text and the notebooks print them."""
    horizons = ["grace_end", *(horizon(month) for month in part.plan.horizons_months)]
    rows = [("patient_years", "years", ""), ("max_weight", "measure", "")]
    rows += [("effective_n", "measure", at) for at in horizons]
    for slug in part.slugs:
        for stat, unit, variable in rows:
            part.ard.add(
                analysis, stat, NAN, unit=unit, group=slug, variable=variable, method=why,
                **{**part.common(endpoint, form.tilt), "engine": ENGINE},
            )  # fmt: skip


# --- exposure that varies with time ----------------------------------------------------------------


def start_stop(time: FloatArray, event: BoolArray, exposed_from: FloatArray) -> pd.DataFrame:
    """Return start-stop rows in which exposure switches on at the first dose.

    Parameters
    ----------
    time, event : ndarray, shape (n,)
        Follow-up.
    exposed_from : ndarray, shape (n,)
        First dose, infinite: never. A dose at or after the end of follow-up is never seen.

    Returns
    -------
    DataFrame
        ``patient`` (position)``, start, stop, event, exposed``, one or two rows a patient, sorted.
    """
    position = np.arange(len(time))
    switches = (exposed_from > 0) & (exposed_from < time)
    before = pd.DataFrame(
        {
            "patient": position,
            "start": 0.0,
            "stop": np.where(switches, exposed_from, time),
            "event": event & ~switches,
            "exposed": (exposed_from <= 0).astype(float),
        }
    )
    after = pd.DataFrame({"patient": position, "start": exposed_from, "stop": time, "event": event, "exposed": 1.0})[
        switches
    ]
    rows = pd.concat([before, after], ignore_index=True)
    return rows.sort_values(["patient", "start"], kind="stable", ignore_index=True)


def _add_time_varying(part: _Part, endpoint: str) -> None:
    """Add the hazard ratio of current exposure, crude and adjusted."""
    plan = part.plan
    common = {"engine": COX, "estimand_id": f"T_{endpoint}"}
    for adjusted in (False, True):
        subjects = part.design.x.index if adjusted else part.conduct.index
        analysis = f"{endpoint.lower()}_time_varying" + ("_adjusted" if adjusted else "")
        population = part.population if adjusted else f"All analysed patients from {part.index_event}"
        follow = followed(part.adtte, endpoint, subjects)
        exposed_from = part.conduct.loc[subjects, "exposed_from"].to_numpy()
        rows = start_stop(follow["time"].to_numpy(dtype=float), follow["event"].to_numpy(dtype=bool), exposed_from)
        ever = subjects[rows.loc[rows["exposed"] == 1, "patient"].unique()]
        why = untested({part.arms.treated: len(ever), part.arms.control: len(subjects) - len(ever)}, plan)
        x = rows[["exposed"]].reset_index(drop=True)
        if adjusted:
            covariates = part.design.x.iloc[rows["patient"].to_numpy()].reset_index(drop=True)
            x = pd.concat([x, covariates.loc[:, covariates.nunique() > 1]], axis=1)
        fit = None
        if not why:
            fit, why = attempt(
                cox_fit, x, rows["stop"], rows["event"], start=rows["start"], cluster=rows["patient"].to_numpy()
            )
        ratio, why = hazard_ratio(fit, "exposed", plan.confidence_level, why)
        words = (
            f"hazard while exposed (from the first dose on, whenever it is) against not yet or never exposed, from "
            f"{part.index_event}: Cox model with Efron's ties and exposure as a time-varying covariate"
        )
        if adjusted:
            words += f", adjusted for the plan's covariates ({part.design.words}; complete cases)"
        part.ard.add(
            analysis,
            "hr",
            NAN if ratio is None else ratio.estimate,
            ci_low=NAN if ratio is None else ratio.ci_low,
            ci_high=NAN if ratio is None else ratio.ci_high,
            p_value=NAN if ratio is None else ratio.p,
            unit="ratio",
            group="contrast",
            method=why or f"{words}; robust variance clustered by patient, Wald interval and p value",
            population=population,
            **common,
        )
        for stat, members, said in (
            ("n", subjects, "patients"),
            ("exposed", ever, "patients ever exposed while followed"),
            ("events", subjects[rows.loc[rows["event"], "patient"]], "events"),
        ):
            part.ard.add(
                analysis, stat, len(members), unit="count", group="contrast", method=f"{said} in the model: {words}",
                population=population, members=members, **common,
            )  # fmt: skip
