"""The specification curve: the hazard ratio under every combination of choices that the plan declares.

It describes how much the answer depends on choices that could have been made otherwise; its specifications share their
patients, so nothing is inferred from how many point one way (Simonsohn U, Simmons JP, Nelson LD. Nat Hum Behav
2020;4:1208-1214, without their test). A combination in which a choice plays no part is run once and listed as skipped
elsewhere. All variances are analytic (model-based or robust, weights taken as known), so that hundreds of
specifications take seconds; the intervals of the main analyses come from bootstraps that refit the score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Estimator, Plan, Specification, Specifications
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt, untested
from sorafenib_rfa.estimates.comparison import COMPARED, EMULATED, Target, in_population
from sorafenib_rfa.estimates.covariates import Design, covariate_design, texts
from sorafenib_rfa.estimates.imputation import Completed
from sorafenib_rfa.estimates.target_trial import conduct, followed, start_stop
from sorafenib_rfa.stats.clone_censor import CloneDesign, ScoredInitiation, Tilt
from sorafenib_rfa.stats.clone_censor_sandwich import sandwich_log_hazard_ratios
from sorafenib_rfa.stats.cox import CoxFit, cox_fit
from sorafenib_rfa.stats.errors import EmptyGroupError, EstimationError
from sorafenib_rfa.stats.matching import Matching, caliper_match
from sorafenib_rfa.stats.multiple_imputation import pool
from sorafenib_rfa.stats.propensity import Estimand, logistic_fit, propensity_weights
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, ENDPOINTS

ENGINE = "sorafenib_rfa.estimates.specifications"

ESTIMATORS: dict[Estimator, str] = {
    "clone_censor_overlap": "clone-censor-weight from RFA, overlap population; robust variance clustered by patient, "
    "weights taken as known",
    "clone_censor_ate": "clone-censor-weight from RFA, all patients; robust variance clustered by patient, "
    "weights taken as known",
    "landmark_overlap": "from the landmark, overlap weights; robust variance, weights taken as known",
    "landmark_iptw": "from the landmark, stabilised inverse probability weights; robust variance, weights taken "
    "as known",
    "landmark_att": "from the landmark, weighted to the treated; robust variance, weights taken as known",
    "landmark_matched": "from the landmark, one-to-one caliper matching; variance clustered by pair",
    "landmark_adjusted": "from the landmark, covariate-adjusted; model-based variance",
    "time_varying_adjusted": "from RFA, exposure as a time-varying covariate, covariate-adjusted; robust variance "
    "clustered by patient",
    "unadjusted": "from the landmark, unadjusted; model-based variance",
    "naive": "from RFA, ever against never exposed, BIASED by immortal time; model-based variance",
}
"""Estimator -> what it does, in words."""

LABELS: dict[Estimator, str] = {
    "clone_censor_overlap": "Clone-censor-weight, overlap",
    "clone_censor_ate": "Clone-censor-weight, all patients",
    "landmark_overlap": "Landmark, overlap weights",
    "landmark_iptw": "Landmark, inverse probability weights",
    "landmark_att": "Landmark, weighted to the treated",
    "landmark_matched": "Landmark, matched pairs",
    "landmark_adjusted": "Landmark, covariate-adjusted",
    "time_varying_adjusted": "Time-varying exposure, adjusted",
    "unadjusted": "Landmark, unadjusted",
    "naive": "Naive, ever against never (biased)",
}
"""Estimator -> its name in a figure."""

_TARGETS: Mapping[str, Target] = {
    "clone_censor_overlap": "overlap",
    "landmark_overlap": "overlap",
    "landmark_att": "treated",
    "landmark_matched": "treated",
}
"""Population of the estimators that do not speak of everybody."""
_WEIGHTS: dict[str, Estimand] = {"landmark_overlap": "overlap", "landmark_iptw": "ATE", "landmark_att": "ATT"}
_TILTS: dict[str, Tilt] = {"clone_censor_overlap": "overlap", "clone_censor_ate": "ate"}
_WITHOUT_COVARIATES = ("unadjusted", "naive")
_WITHOUT_GRACE = ("time_varying_adjusted", "naive")
_CHOICES = ("endpoint", "estimator", "adjustment_set", "grace_period_days", "missing", "eligibility")


@dataclass(frozen=True)
class _Result:
    """A log hazard ratio over the data sets analysed (one, or one an imputation), with who was in them."""

    log_hr: np.ndarray
    std_err: np.ndarray
    coefficients: int
    n: int
    events: int


@dataclass(frozen=True, eq=False)
class _Cohort:
    """The patients of one population with their covariates, in the data or in each imputation.

    Attributes
    ----------
    subjects : Index
        USUBJID of patients with all covariates of the set.
    designs : list of ndarray
        Their covariates, one a data set.
    """

    subjects: pd.Index
    designs: list[np.ndarray]


@dataclass
class _Curve:
    """Everything that specifications share, prepared once."""

    adsl: pd.DataFrame
    adtte: pd.DataFrame
    plan: Plan
    choices: Specifications
    arms: Arms
    completed: Completed | None
    _kept: dict[tuple, Any] = field(default_factory=dict)

    def _once(self, key: tuple, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, made once; an estimation error is remembered too."""
        if key not in self._kept:
            try:
                self._kept[key] = make()
            except EstimationError as error:
                self._kept[key] = error
        found = self._kept[key]
        if isinstance(found, EstimationError):
            raise found
        return found

    # -- populations ---------------------------------------------------------------------------------------------

    @cached_property
    def ever_exposed(self) -> pd.Series:
        """Any sorafenib before recurrence."""
        return (texts(self.adsl["EXPOSFL"]) == "Y").astype(bool)

    def eligible(self, name: str) -> pd.Index:
        """Return the patients of a declared eligibility."""

        def make() -> pd.Index:
            kept = pd.Series(True, index=self.adsl.index)
            for column, values in self.choices.eligibility[name].filter.items():
                kept &= texts(self.adsl[column]).isin(values)
            return self.adsl.index[kept]

        return self._once(("eligible", name), make)

    def conduct(self, grace: int) -> pd.DataFrame:
        """Return what patients did about sorafenib, for a grace period."""
        return self._once(("conduct", grace), lambda: conduct(self.adsl.reset_index(drop=True), grace))

    def outcome(self, endpoint: str) -> pd.DataFrame:
        """Return ``time, event`` of all patients, months since RFA."""
        return self._once(("outcome", endpoint), lambda: followed(self.adtte, endpoint, self.adsl.index))

    def landmark(self, day: int, eligibility: str) -> pd.Series:
        """Return who is alive, recurrence-free and observed on `day`: USUBJID -> treated by then."""

        def make() -> pd.Series:
            own = self.conduct(day).loc[self.eligible(eligibility)]
            return np.isfinite(own.loc[own["known"], "start"])

        return self._once(("landmark", day, eligibility), make)

    def covariates(self, population: tuple, members: pd.Index, spec: Specification) -> _Cohort:
        """Return the covariates of `members`; key `population` says who they are."""
        names = self.choices.adjustment_sets[spec.adjustment_set]
        key = ("covariates", population, spec.adjustment_set, spec.missing)

        def make() -> _Cohort:
            if spec.missing == "complete_case":
                design = covariate_design(self.adsl.loc[members], self.plan, names)
                return _Cohort(design.x.index, [_varying(design)])
            assert self.completed is not None
            data_sets = range(len(self.completed.frames[: self.choices.imputations]))
            return _Cohort(members, [self._imputed(population, members, names, number) for number in data_sets])

        return self._once(key, make)

    def _imputed(self, population: tuple, members: pd.Index, names: list[str], number: int) -> np.ndarray:
        """Return the model columns of one imputation; what sets or imputations share is made once."""
        completed = self.completed
        assert completed is not None

        # all imputations have the same rows
        places = self._once(("places", population), lambda: completed.frames[0].index.get_indexer(members))

        def columns(name: str, number: int) -> np.ndarray:
            column = completed.frames[number][[self.plan.covariates[name].variable]].iloc[places]
            return covariate_design(column, self.plan, [name]).x.to_numpy(dtype=float)

        own = [
            self._once(("columns", population, name, used), partial(columns, name, used))
            for name in names
            for used in [0 if completed.missing[name].empty else number]
        ]
        x = np.asfortranarray(np.column_stack(own))  # columns of one model each in one piece
        if x.shape[1] == 0:
            raise EstimationError("no covariate of the adjustment set varies")
        return x

    # -- specifications ------------------------------------------------------------------------------------------

    def estimate(self, spec: Specification) -> _Result:
        """Return the estimate of one specification.

        Raises
        ------
        EstimationError
            If the data do not allow it.
        """
        if spec.estimator in _TILTS:
            return self._clone_censor(spec)
        if spec.estimator == "time_varying_adjusted":
            return self._time_varying(spec)
        if spec.estimator == "naive":
            members = self.eligible(spec.eligibility)
            rows = self.outcome(spec.endpoint).loc[members]
            return self._crude(self.ever_exposed.loc[members], rows["time"], rows["event"])
        day = spec.grace_period_days
        entry = day / DAYS_PER_MONTH
        treated = self.landmark(day, spec.eligibility)
        if spec.estimator == "unadjusted":
            rows = self.outcome(spec.endpoint).loc[treated.index]
            rows = rows[rows["time"] > entry]
            return self._crude(treated.loc[rows.index], rows["time"] - entry, rows["event"])
        return self._landmark(spec, treated, entry)

    def _crude(self, treated: pd.Series, time: pd.Series, event: pd.Series) -> _Result:
        self._refuse_small(treated.to_numpy(dtype=bool))
        fit = cox_fit(treated.to_numpy(dtype=float), time, event)
        return _result([fit], len(time), int(event.sum()))

    def _refuse_small(self, treated: np.ndarray) -> None:
        """Refuse groups that the plan does not test."""
        sizes = {self.arms.treated: int(treated.sum()), self.arms.control: int((~treated).sum())}
        if reason := untested(sizes, self.plan):
            raise EmptyGroupError(reason.partition(": ")[2])

    def _landmark(self, spec: Specification, treated: pd.Series, entry: float) -> _Result:
        population = ("landmark", spec.grace_period_days, spec.eligibility)
        cohort = self.covariates(population, treated.index, spec)
        arm = treated.loc[cohort.subjects].to_numpy(dtype=bool)
        rows = self.outcome(spec.endpoint).loc[cohort.subjects]
        inside = (rows["time"] > entry).to_numpy(dtype=bool)
        time = rows["time"].to_numpy(dtype=float)[inside] - entry
        event = rows["event"].to_numpy(dtype=bool)[inside]
        own = arm[inside]
        self._refuse_small(own)
        if spec.estimator == "landmark_adjusted":
            fits = []
            for x in cohort.designs:
                kept = x[inside][:, np.ptp(x[inside], axis=0) > 0]
                fits.append(cox_fit(np.column_stack([own, kept]), time, event))
            return _result(fits, len(time), int(event.sum()))
        scores = self._once(
            ("scores", population, spec.adjustment_set, spec.missing),
            lambda: [logistic_fit(x, arm).fitted for x in cohort.designs],
        )
        if spec.estimator == "landmark_matched":
            matchings = [caliper_match(score[inside], own, self._caliper) for score in scores]
            fits = [_matched_fit(matching, own, time, event) for matching in matchings]
            members = np.concatenate([matching.members for matching in matchings])
            # with imputations: how many are matched on average
            return _result(fits, round(len(members) / len(fits)), round(int(event[members].sum()) / len(fits)))
        estimand = _WEIGHTS[spec.estimator]
        fits = [
            cox_fit(
                own.astype(float), time, event, weights=propensity_weights(score, arm, estimand)[inside], robust=True
            )
            for score in scores
        ]
        return _result(fits, len(time), int(event.sum()))

    @property
    def _caliper(self) -> float:
        assert self.plan.sensitivity is not None
        return self.plan.sensitivity.caliper_sd

    def _time_varying(self, spec: Specification) -> _Result:
        cohort = self.covariates(("all", spec.eligibility), self.eligible(spec.eligibility), spec)
        own = self.conduct(self.plan.grace_period_days).loc[cohort.subjects]
        rows = self.outcome(spec.endpoint).loc[cohort.subjects]
        long = start_stop(
            rows["time"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=bool), own["exposed_from"].to_numpy()
        )
        patient = long["patient"].to_numpy()
        ever = np.zeros(len(rows), dtype=bool)
        ever[patient[long["exposed"].to_numpy() == 1]] = True
        self._refuse_small(ever)
        fits = [
            cox_fit(
                np.column_stack([long["exposed"].to_numpy(dtype=float), x[patient]]),
                long["stop"],
                long["event"],
                start=long["start"],
                cluster=patient,
            )
            for x in cohort.designs
        ]
        return _result(fits, len(rows), int(rows["event"].sum()))

    def _clone_censor(self, spec: Specification) -> _Result:
        cohort = self.covariates(("all", spec.eligibility), self.eligible(spec.eligibility), spec)
        own = self.conduct(spec.grace_period_days).loc[cohort.subjects]
        known = own["known"].to_numpy(dtype=bool)
        start, until = own["start"].to_numpy(), own["until"].to_numpy()
        starter = np.isfinite(start)
        self._refuse_small(starter[known])
        rows = self.outcome(spec.endpoint).loc[cohort.subjects]
        # everyone takes part with imputed covariates, whatever the set
        who = spec.adjustment_set if spec.missing == "complete_case" else ""
        design = self._once(
            ("clones", spec.endpoint, spec.grace_period_days, spec.eligibility, who),
            lambda: CloneDesign.prepare(
                rows["time"],
                rows["event"],
                start,
                spec.grace_period_days / DAYS_PER_MONTH,
                until=until,
                times=np.unique(start[starter & known]),
            ),
        )

        def scored() -> ScoredInitiation:
            propensity = []
            for x in cohort.designs:
                kept = x[:, np.ptp(x[known], axis=0) > 0]
                propensity.append(logistic_fit(kept, starter, weights=known.astype(float)).fitted)
            drawn = np.ones((len(propensity), len(rows)))
            return ScoredInitiation.fitted(design.times, np.array(propensity), design.start, drawn, known)

        initiation = self._once(
            ("initiation", spec.grace_period_days, spec.eligibility, spec.adjustment_set, spec.missing), scored
        )
        log_hr, std_err = sandwich_log_hazard_ratios(
            design, initiation, len(cohort.designs), tilt=_TILTS[spec.estimator]
        )
        return _Result(log_hr, std_err, 1, len(rows), int(rows["event"].sum()))


def _varying(design: Design) -> np.ndarray:
    """Return the model columns of a design as an array."""
    if design.x.shape[1] == 0:
        raise EstimationError("no covariate of the adjustment set varies")
    return design.x.to_numpy(dtype=float)


def _matched_fit(matching: Matching, treated: np.ndarray, time: np.ndarray, event: np.ndarray) -> CoxFit:
    members = matching.members
    return cox_fit(treated[members].astype(float), time[members], event[members], cluster=matching.pair_of_member)


def _result(fits: list[CoxFit], n: int, events: int) -> _Result:
    """Return the first coefficient, the treatment's, of each fit."""
    return _Result(
        np.array([fit.coef[0] for fit in fits]),
        np.array([fit.se[0] for fit in fits]),
        len(fits[0].names),
        n,
        events,
    )


def skipped(spec: Specification, choices: Specifications, offered: set[str], missing: dict[str, int]) -> str:
    """Return why a combination is not run, or ''.

    Parameters
    ----------
    spec : Specification
    choices : Specifications
        What is declared; where a choice plays no part the primary one stands for all.
    offered : set of str
        Endpoints that can be compared.
    missing : dict
        Covariate -> number of missing values.
    """
    primary = choices.primary
    if spec.endpoint not in offered:
        return "the cohort does not have the endpoint"
    if spec.estimator in _WITHOUT_COVARIATES:
        if spec.adjustment_set != primary.adjustment_set:
            return "no covariates: run once, under the primary adjustment set"
        if spec.missing != primary.missing:
            return "no covariates: run once, under the primary handling of missing values"
    if spec.estimator in _WITHOUT_GRACE and spec.grace_period_days != primary.grace_period_days:
        return "the grace period plays no part: run once, under the primary one"
    if spec.missing == "imputed" and not any(missing[name] for name in choices.adjustment_sets[spec.adjustment_set]):
        return "no covariate of the set has missing values: the same as complete cases"
    return ""


def specifications(choices: Specifications) -> list[Specification]:
    """Return every combination of the declared choices, in the order declared."""
    return [
        Specification(**dict(zip(_CHOICES, combination, strict=True)))
        for combination in product(
            choices.endpoints,
            choices.estimators,
            choices.adjustment_sets,
            choices.grace_period_days,
            choices.missing,
            choices.eligibility,
        )
    ]


def add_specifications(
    ard: ArdBuilder,
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    completed: Completed | None,
    not_imputed: str,
) -> pd.DataFrame:
    """Estimate all specifications, add each to the ARD with a summary, and return the curve.

    Parameters
    ----------
    ard : ArdBuilder
    adsl, adtte : DataFrame
        ADaM datasets.
    plan : Plan
        Its ``sensitivity.specifications`` declares the choices.
    cohort : CohortConfig
    completed : Completed or None
        All analysed patients with missing covariates imputed.
    not_imputed : str
        Why there are no imputations, when there are none.

    Returns
    -------
    DataFrame
        One row a combination in the order declared: ``spec_id, endpoint, estimator, adjustment_set,
        grace_period_days, missing, eligibility, uses_covariates, uses_grace_period`` (whether those choices play a
        part)``, estimator_label, eligibility_label, hr, lo, hi, p, n, events, primary, skipped, reason, ard_id``.
        `skipped` says why a combination was not run, `reason` why one that was has no estimate.
    """
    assert plan.sensitivity is not None
    choices = plan.sensitivity.specifications
    by_subject = adsl.assign(USUBJID=texts(adsl["USUBJID"]).astype(object))
    by_subject = by_subject.set_index("USUBJID", drop=False).sort_index()
    curve = _Curve(by_subject, adtte, plan, choices, arms_of(cohort), completed)
    offered = {endpoint for endpoint in choices.endpoints if endpoint in COMPARED and endpoint in cohort.endpoints}
    missing = {
        name: int(by_subject[plan.covariates[name].variable].isna().sum())
        for names in choices.adjustment_sets.values()
        for name in names
    } | ({} if completed is None else {name: len(who) for name, who in completed.missing.items()})
    rows = []
    for number, spec in enumerate(specifications(choices), start=1):
        identifier = f"s{number:03d}"
        row: dict[str, Any] = {
            "spec_id": identifier,
            **{name: getattr(spec, name) for name in _CHOICES},
            "uses_covariates": spec.estimator not in _WITHOUT_COVARIATES,
            "uses_grace_period": spec.estimator not in _WITHOUT_GRACE,
            "estimator_label": LABELS[spec.estimator],
            "eligibility_label": choices.eligibility[spec.eligibility].label,
            "primary": spec == choices.primary,
            "skipped": skipped(spec, choices, offered, missing),
            "reason": "",
            "ard_id": "",
            **dict.fromkeys(("hr", "lo", "hi", "p", "n", "events"), NAN),
        }
        if not row["skipped"]:
            row |= _estimated(curve, spec, plan.confidence_level, not_imputed)
            row["ard_id"] = _add_row(ard, row, choices, curve)
        rows.append(row)
    columns = ["spec_id", *_CHOICES, "uses_covariates", "uses_grace_period", "estimator_label", "eligibility_label",
               "hr", "lo", "hi", "p", "n", "events", "primary", "skipped", "reason", "ard_id"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    _add_summary(ard, frame)
    return frame


def _estimated(curve: _Curve, spec: Specification, level: float, not_imputed: str) -> dict[str, Any]:
    """Return the estimate of a specification as columns of the curve."""
    if spec.missing == "imputed" and curve.completed is None:
        return {"reason": not_imputed}
    result, why = attempt(curve.estimate, spec)
    if result is None:
        return {"reason": why}
    pooled, why = attempt(_interval, result, level)
    if pooled is None:
        return {"n": result.n, "events": result.events, "reason": why}
    log_hr, low, high, p = pooled
    return {
        "hr": float(np.exp(log_hr)),
        "lo": float(np.exp(low)),
        "hi": float(np.exp(high)),
        "p": p,
        "n": result.n,
        "events": result.events,
    }


def _interval(result: _Result, level: float) -> tuple[float, float, float, float]:
    """Return log hazard ratio, limits and p value: Wald, or by Rubin's rules over imputations."""
    from scipy.special import ndtr, ndtri

    if not (result.std_err > 1e-10).all():
        raise EstimationError("the robust variance is zero (too few distinct event times)")
    if len(result.log_hr) > 1:
        freedom = max(result.events - result.coefficients, 1)
        pooled = pool(result.log_hr, result.std_err**2, freedom, level)
        return pooled.estimate, pooled.ci_low, pooled.ci_high, pooled.p
    estimate, error = float(result.log_hr[0]), float(result.std_err[0])
    half = float(ndtri(0.5 + level / 2)) * error
    return estimate, estimate - half, estimate + half, float(2 * ndtr(-abs(estimate / error)))


def _add_row(ard: ArdBuilder, row: dict[str, Any], choices: Specifications, curve: _Curve) -> str:
    """Add one specification, its choices in words."""
    words = [ENDPOINTS[row["endpoint"]], ESTIMATORS[row["estimator"]]]
    if row["estimator"] not in _WITHOUT_COVARIATES:
        names = ", ".join(choices.adjustment_sets[row["adjustment_set"]])
        words.append(f"adjustment set {row['adjustment_set']} ({names})")
        if row["missing"] == "imputed":
            used = 0 if curve.completed is None else len(curve.completed.frames[: choices.imputations])
            words.append(f"missing covariates imputed ({used} imputations, Rubin's rules)")
        else:
            words.append("complete cases")
    if row["estimator"] not in _WITHOUT_GRACE:
        words.append(f"grace period {row['grace_period_days']} days")
    if row["primary"]:
        words.append("the plan's primary analysis, here with an analytic interval")
    return ard.add(
        "specification",
        "hr",
        row["hr"],
        ci_low=row["lo"],
        ci_high=row["hi"],
        p_value=row["p"],
        unit="ratio",
        group="contrast",
        variable=row["spec_id"],
        method=row["reason"] or f"{curve.arms.treated} against {curve.arms.control}: {'; '.join(words)}",
        engine=ENGINE,
        population=row["eligibility_label"],
        estimand_id=_estimand(row["estimator"], row["endpoint"], curve.plan),
    )


def _estimand(estimator: str, endpoint: str, plan: Plan) -> str:
    """Return the estimand that an estimator aims at, in the population it speaks of; '' when the plan has none."""
    if estimator == "naive":
        cited = {"RFS": "N1_RFS_NAIVE", "OS": "N2_OS_NAIVE"}.get(endpoint, "")
    elif estimator == "time_varying_adjusted":
        cited = f"T_{endpoint}"
    else:
        home = EMULATED if estimator.startswith("clone_censor") else COMPARED
        cited = in_population(home.get(endpoint, ""), _TARGETS.get(estimator, "all"))
    return cited if cited in plan.estimand_ids else ""


def _add_summary(ard: ArdBuilder, frame: pd.DataFrame) -> None:
    """Describe the curve of each endpoint and of all together; description only."""
    groups = {"all": frame} | {str(endpoint).lower(): rows for endpoint, rows in frame.groupby("endpoint", sort=False)}
    for name, rows in groups.items():
        run = rows[rows["skipped"] == ""]
        ratios = run.dropna(subset=["hr", "lo", "hi"])
        none = "" if len(ratios) else "not estimable: no specification has an estimate"
        said = "over the specifications with an estimate; description, no inference (they share their patients)"
        below = 100 * float((ratios["hr"] < 1).mean()) if len(ratios) else NAN
        excluding = 100 * float(((ratios["lo"] > 1) | (ratios["hi"] < 1)).mean()) if len(ratios) else NAN
        for stat, value, unit, method in (
            ("declared", len(rows), "count", "combinations of the declared choices"),
            ("skipped", int((rows["skipped"] != "").sum()), "count", "combinations in which a choice plays no part"),
            ("estimated", len(ratios), "count", "specifications with an estimate"),
            ("not_estimable", len(run) - len(ratios), "count", "specifications run without an estimate"),
            ("median", ratios["hr"].median(), "ratio", none or f"median hazard ratio {said}"),
            ("min", ratios["hr"].min(), "ratio", none or f"smallest hazard ratio {said}"),
            ("max", ratios["hr"].max(), "ratio", none or f"largest hazard ratio {said}"),
            ("below_one", below, "percent", none or f"share with a hazard ratio below 1, {said}"),
            ("excluding_one", excluding, "percent", none or f"share whose interval excludes 1, {said}"),
        ):
            ard.add(
                "specifications",
                stat,
                value,
                unit=unit,
                variable=name,
                group="contrast",
                method=method,
                engine=ENGINE,
                population="As each specification says",
            )
        if name == "all":
            continue
        for choice in ("grace_period_days", "eligibility"):
            for level in dict.fromkeys(rows[choice]):
                own = ratios[ratios[choice] == level]
                none = "" if len(own) else "not estimable: no specification with this choice has an estimate"
                ard.add(
                    "specifications",
                    "median",
                    float(own["hr"].median()),
                    unit="ratio",
                    variable=f"{name}_{choice}",
                    level=level,
                    group="contrast",
                    method=none
                    or f"median hazard ratio of the {len(own)} specifications with this choice; description",
                    engine=ENGINE,
                    population="As each specification says",
                )
