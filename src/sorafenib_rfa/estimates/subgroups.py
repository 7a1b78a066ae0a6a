"""Subgroups: the arms compared within each level of the plan's subgroups, and tests that the effect is the same in all.

Weights that balance the arms over all patients need not balance them within a subgroup (Dong, Zhang, Zeng and Li 2020;
Yang, Lorenzi, Papadogeorgou, Wojdyla, Li and Thomas 2021). The propensity score is therefore fitted anew within each
level, which with overlap weights balances the means of its terms there exactly; where a level is too small for that,
the weights are those of all patients. Which it was, and the largest standardised difference left, is reported. All of
it is exploratory: p values are given raw and adjusted for the number of tests.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan, Subgroup
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, slug
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.comparison import Comparison, compare, entered
from sorafenib_rfa.estimates.covariates import Design, covariate_design, logarithm, numbers, texts
from sorafenib_rfa.stats.balance import effective_sample_size, smd_categorical, smd_continuous
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.interaction import heterogeneity, holm, treatment_by_level
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.propensity import logistic_fit, propensity_weights

ENDPOINTS_COMPARED = ("RFS", "OS")
TREATMENT = "treatment"
COUNTED = "sorafenib_rfa.estimates.subgroups"
COX = "sorafenib_rfa.stats.cox"
INTERACTION = "sorafenib_rfa.stats.interaction"
EXPLORATORY = "exploratory"
_MOST_FAILED = 0.05
_RARE = 5
_OWN = "overlap weights of a propensity score fitted within the level"
_SHARED = "overlap weights of all patients"

CURVE_COLUMNS = (
    "endpoint",
    "subgroup",
    "level",
    "role",
    "n_treated",
    "n_control",
    "events_treated",
    "events_control",
    "hr",
    "lo",
    "hi",
    "p_interaction",
    "weights",
    "ard_id",
)


@dataclass(frozen=True, eq=False)
class _Level:
    """One level: who belongs to it, and how they are weighted.

    Attributes
    ----------
    subgroup, name : str
        Key of the subgroup in the plan, and the level's label.
    members : frozenset of str
        USUBJIDs of all in the level who enter the comparison.
    weights : Series
        Overlap weight by USUBJID of those who have one; empty without a propensity score.
    resamples : OverlapResamples or None
    order : Index
        USUBJIDs of the resamples' columns.
    own : bool
        Whether the weights come from a score fitted within the level.
    words : str
        Which weights.
    label : str
        Subgroup and level as they are read.
    """

    subgroup: str
    name: str
    members: frozenset[str]
    weights: pd.Series
    resamples: OverlapResamples | None
    order: pd.Index
    own: bool
    words: str
    label: str

    @property
    def place(self) -> dict[str, str]:
        """Where the level stands in an ARD id."""
        return {"variable": slug(self.subgroup), "level": self.name}


@dataclass
class _Test:
    """A test of one subgroup, kept until all are known and p values can be adjusted."""

    endpoint: str
    subgroup: str
    stat: str
    chi2: float
    p: float
    method: str
    common: Mapping[str, str]


@dataclass
class _Part:
    ard: ArdBuilder
    plan: Plan
    arms: Arms
    levels: dict[str, list[_Level]]
    tests: list[_Test] = field(default_factory=list)
    drawn: list[dict] = field(default_factory=list)


def estimate_subgroups(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Compare the arms within subgroups, and test whether the effect differs between their levels.

    Parameters
    ----------
    adsl, adtte : DataFrame
        ADaM datasets.
    weights : DataFrame
        As :func:`estimate_baseline` made them; empty when the propensity score could not be estimated.
    plan : Plan
        Subgroups, adjustment set, horizon of restricted means, smallest group that is tested.
    cohort : CohortConfig
        Its arms and endpoints.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimates
        ARD part ``subgroups``. Curve ``subgroups``: a row for each line of the forest plot, ``endpoint, subgroup``
        (label)``, level, role`` (overall, heading, level)``, n_treated, n_control, events_treated, events_control,
        hr, lo, hi, p_interaction`` (headings)``, weights`` (level: of a score fitted within the level; all_patients;
        empty in headings)``, ard_id`` (of the hazard ratio, or of the test).

    Raises
    ------
    ConfigError
        If a filter names a column that ADSL does not have, levels share patients, or two levels share an ARD id. All
        such problems are told together.
    """
    chosen = _chosen(adsl, plan)
    members = entered(adsl)
    design = covariate_design(members, plan, plan.adjustment_set)
    arms = arms_of(cohort)
    side = texts(members["LMTRT"]) == arms.treated
    levels = _levels(members, chosen, design, side, weights, plan, seed)
    part = _Part(ArdBuilder(cohort_name, "subgroups", record), plan, arms, levels)
    for own in levels.values():
        for level in own:
            _add_balance(part, level, members, side)
    for endpoint in (e for e in ENDPOINTS_COMPARED if e in cohort.endpoints):
        _compare(part, compare(adsl, adtte, weights, plan, cohort, endpoint))
    _add_tests(part)
    return part.ard.estimates({"subgroups": pd.DataFrame(part.drawn, columns=list(CURVE_COLUMNS))})


# --- who belongs where ---------------------------------------------------------------------------------------------


def _chosen(adsl: pd.DataFrame, plan: Plan) -> dict[str, dict[str, frozenset[str]]]:
    """Return the patients of each level: subgroup -> level -> USUBJIDs.

    Raises
    ------
    ConfigError
        See :func:`estimate_subgroups`.
    """
    problems = []
    for key, subgroup in plan.subgroups.items():
        for level, filters in subgroup.levels.items():
            for column in (c for c in filters if c not in adsl.columns):
                close = difflib.get_close_matches(column, list(adsl.columns), n=1)
                problems.append(
                    Problem(
                        f"subgroups.{key}.levels.{level!r} of the plan filters by a column that ADSL does not have",
                        found=column,
                        expected=f"one of {', '.join(adsl.columns)}",
                        hint=f"did you mean {close[0]}?" if close else None,
                    )
                )
        ids = [slug(level) for level in subgroup.levels]
        if len(set(ids)) < len(ids) or "" in ids:
            problems.append(
                Problem(
                    f"levels of subgroups.{key} of the plan cannot be told apart in the ids of results",
                    found=", ".join(subgroup.levels),
                    expected="labels that differ in their letters and digits",
                )
            )
    keys = [slug(key) for key in plan.subgroups]
    if len(set(keys)) < len(keys):
        problems.append(Problem("names under subgroups of the plan differ only in case or marks", found=str(keys)))
    if problems:
        raise ConfigError(problems)
    chosen = {key: _patients(adsl, subgroup) for key, subgroup in plan.subgroups.items()}
    for key, levels in chosen.items():
        counts = pd.Series([name for members in levels.values() for name in members], dtype="object").value_counts()
        shared = int((counts > 1).sum())
        if shared:
            problems.append(
                Problem(
                    f"levels of subgroups.{key} of the plan share patients",
                    found=f"{shared} patients in more than one of {', '.join(levels)}",
                    expected="every patient in one level at most",
                )
            )
    if problems:
        raise ConfigError(problems)
    return chosen


def _patients(adsl: pd.DataFrame, subgroup: Subgroup) -> dict[str, frozenset[str]]:
    """Return the USUBJIDs of each level of a subgroup; a missing value belongs to none."""
    out = {}
    for level, filters in subgroup.levels.items():
        inside = np.ones(len(adsl), dtype=bool)
        for column, values in filters.items():
            inside &= texts(adsl[column]).isin(values).to_numpy(dtype=bool, na_value=False)
        out[level] = frozenset(texts(adsl["USUBJID"])[inside])
    return out


def _levels(
    members: pd.DataFrame,
    chosen: Mapping[str, Mapping[str, frozenset[str]]],
    design: Design,
    side: pd.Series,
    weights: pd.DataFrame,
    plan: Plan,
    seed: int,
) -> dict[str, list[_Level]]:
    """Return the levels of each subgroup with their weights and bootstrap resamples."""
    entering = frozenset(texts(members["USUBJID"]))
    scored = design.x.index
    treated = side.loc[scored].to_numpy(dtype=bool)
    x = design.x.to_numpy()
    shared = weights.set_index(texts(weights["USUBJID"]))["w_overlap"].dropna()
    seeds = iter(np.random.SeedSequence(seed).generate_state(1 + sum(len(own) for own in chosen.values())).tolist())
    overall_seed, overall = next(seeds), None
    if len(shared):
        overall = OverlapResamples.draw(x, treated, seed=overall_seed, replicates=plan.bootstrap_resamples)
    out: dict[str, list[_Level]] = {}
    for key, own in chosen.items():
        out[key] = []
        for name, patients in own.items():
            inside = texts(pd.Series(scored)).isin(patients).to_numpy(dtype=bool)
            level_seed = next(seeds)
            fitted, why = None, "no score in all patients either"
            if overall is not None:
                fitted, why = _own_score(members.loc[scored[inside]], treated[inside], plan, level_seed)
            if fitted is not None:
                given = pd.Series(fitted.weights, index=scored[inside].astype("string"))
                words, order, resamples = fitted.words, given.index, fitted.resamples
            else:
                given = shared[shared.index.isin(patients)]
                words, order, resamples = f"{_SHARED} (not of the level: {why})", scored.astype("string"), overall
            out[key].append(
                _Level(
                    key,
                    name,
                    patients & entering,
                    given,
                    resamples,
                    order,
                    fitted is not None,
                    words,
                    f"{plan.subgroups[key].label} ({name})",
                )
            )
    return out


@dataclass(frozen=True, eq=False)
class _OwnScore:
    """Overlap weights of a propensity score fitted within a level, resamples of them, and which score, in words."""

    weights: NDArray[np.float64]
    resamples: OverlapResamples
    words: str


def _own_score(rows: pd.DataFrame, treated: NDArray[np.bool_], plan: Plan, seed: int) -> tuple[_OwnScore | None, str]:
    """Return a propensity score of a level's own; None and why, where the level cannot carry one.

    Both arms need the plan's smallest group, the score must have a maximum, and so must it in nineteen of twenty
    resamples: a score that some resamples separate would give weights that stand for few patients. Where a rare
    category is in the way, the score is fitted without the indicators that some arm has in fewer than `_RARE` patients
    (or lacks in fewer). Covariates are coded anew (knots, reference levels), since what varies in the level differs
    from what varies in all.
    """
    if min(int(treated.sum()), int((~treated).sum())) < max(plan.small_group, 1):
        return None, f"fewer than {plan.small_group} patients in an arm"
    x = covariate_design(rows, plan, plan.adjustment_set).x
    rare = _rare_indicators(x, treated)
    why = "no covariate varies"
    for left_out in ([], rare) if rare else ([],):
        columns = x.drop(columns=left_out)
        if columns.empty:
            continue
        fit, why = attempt(logistic_fit, columns, treated)
        if fit is None:
            why = why.removeprefix("not estimable: ")
            continue
        resamples = OverlapResamples.draw(columns.to_numpy(), treated, seed=seed, replicates=plan.bootstrap_resamples)
        failed = int((~resamples.usable).sum())
        if failed <= _MOST_FAILED * len(resamples.usable):
            words = f"{_OWN}, without rare categories ({', '.join(left_out)})" if left_out else _OWN
            return _OwnScore(propensity_weights(fit.fitted, treated, "overlap"), resamples, words), ""
        why = f"no score in {failed} of {len(resamples.usable)} bootstrap resamples"
    return None, why


def _rare_indicators(x: pd.DataFrame, treated: NDArray[np.bool_]) -> list[str]:
    """Return the indicator columns that are 1, or 0, in fewer than `_RARE` patients of an arm."""
    rare = []
    for name in x.columns:
        values = x[name].to_numpy()
        if np.isin(values, (0.0, 1.0)).all():
            cells = [int((values[arm] == value).sum()) for arm in (treated, ~treated) for value in (0.0, 1.0)]
            if min(cells) < _RARE:
                rare.append(str(name))
    return rare


def _add_balance(part: _Part, level: _Level, members: pd.DataFrame, side: pd.Series) -> None:
    """Add the largest standardised difference that the weights leave in a level, and their effective sample size."""
    rows = members[texts(members["USUBJID"]).isin(level.weights.index).to_numpy(dtype=bool)]
    treated = side.loc[rows.index].to_numpy(dtype=bool)
    weights = level.weights.loc[texts(rows["USUBJID"])].to_numpy(dtype=float)
    found, why = attempt(_largest_smd, rows, treated, weights, part.plan)
    size, no_size = attempt(effective_sample_size, weights)
    common = {
        "group": "contrast",
        "population": f"{level.label}: patients with a propensity score",
        "engine": "sorafenib_rfa.stats.balance",
        **level.place,
    }
    part.ard.add(
        "balance",
        "max_smd",
        NAN if found is None else found[0],
        unit="statistic",
        method=_named(why, level)
        or f"{level.label}: largest absolute standardised difference of the adjustment set, that of {found[1]}; "
        f"{level.words}",
        **common,
    )
    part.ard.add(
        "balance",
        "effective_sample_size",
        NAN if size is None else size,
        unit="measure",
        method=_named(no_size, level) or f"{level.label}: Kish's effective sample size; {level.words}",
        **common,
    )


def _named(reason: str, level: _Level | None) -> str:
    """Return why there is no value, and in which level; '' when there is one."""
    return f"{reason}; in {level.label}" if reason and level is not None else reason


def _largest_smd(
    rows: pd.DataFrame, treated: NDArray[np.bool_], weights: NDArray[np.float64], plan: Plan
) -> tuple[float, str]:
    """Return the largest absolute weighted standardised difference of the adjustment set, and whose it is.

    Raises
    ------
    EstimationError
        If an arm is empty, or a covariate differs between arms within which it has no spread.
    """
    found = []
    for name in plan.adjustment_set:
        covariate = plan.covariates[name]
        column = rows[covariate.variable]
        if covariate.kind == "continuous":
            values = numbers(column)
            smd = smd_continuous(logarithm(values) if covariate.transform == "log10" else values, treated, weights)
        else:
            smd = smd_categorical(texts(column).to_numpy(dtype=object), treated, weights)
        found.append((abs(smd), name))
    largest = max(found)
    if not np.isfinite(largest[0]):
        raise EstimationError(
            f"{largest[1]} differs between the arms but has no spread within them (or an arm is one patient)"
        )
    return largest


# --- comparison ----------------------------------------------------------------------------------------------------


def _compare(part: _Part, comparison: Comparison) -> None:
    """Add the effect in all patients and in each level, and the tests, of one endpoint."""
    # with a propensity score those who have one are compared; without any, everyone is at least counted
    rows = comparison.scored if len(comparison.scored) else comparison.frame
    key = comparison.endpoint.lower()
    common = {"population": f"{comparison.population}, with a propensity score", "estimand_id": comparison.estimand}
    everyone = rows.assign(weight=rows["w_overlap"])
    part.drawn.append(
        _line(part, comparison, "", "All patients", "overall", everyone)
        | {"weights": "all_patients"}
        | _add_hazard_ratio(part, key, comparison, everyone, None, common)
    )
    for name, levels in part.levels.items():
        subgroup = part.plan.subgroups[name]
        heading = len(part.drawn)
        part.drawn.append({})
        outside = rows.loc[~rows["USUBJID"].isin(frozenset().union(*(level.members for level in levels))), "USUBJID"]
        part.ard.add(
            key,
            "outside",
            len(outside),
            unit="count",
            variable=slug(name),
            method=f"patients of the comparison in no level of {subgroup.label} (a value is missing or not listed)",
            members=outside,
            engine=COUNTED,
            **common,
        )
        estimable: list[_Level] = []
        means: dict[str, tuple[float, float]] = {}
        for level in levels:
            own = rows[rows["USUBJID"].isin(level.members)]
            own = own.assign(weight=level.weights.reindex(own["USUBJID"]).to_numpy(dtype=float))
            line = _line(part, comparison, subgroup.label, level.name, "level", own)
            _add_counts(part, key, level, line, own, common)
            ratio = _add_hazard_ratio(part, key, comparison, own, level, common)
            part.drawn.append(line | {"weights": "level" if level.own else "all_patients"} | ratio)
            if np.isfinite(ratio["hr"]):
                estimable.append(level)
            mean = _add_rmst(part, key, comparison, level, own, common)
            if mean is not None:
                means[level.name] = mean
        test = _interaction(part, comparison, name, levels, estimable, rows, common)
        part.tests.append(test)
        part.tests.append(_rmst_heterogeneity(part, comparison, name, levels, means, common))
        counts = {column: NAN for column in ("n_treated", "n_control", "events_treated", "events_control")}
        part.drawn[heading] = {
            "endpoint": comparison.endpoint,
            "subgroup": subgroup.label,
            "level": "",
            "role": "heading",
            **counts,
            "hr": NAN,
            "lo": NAN,
            "hi": NAN,
            "p_interaction": test.p,
            "weights": "",
            "ard_id": f"subgroups.{key}.contrast.{slug(name)}.{test.stat}_chi2",
        }


def _line(part: _Part, comparison: Comparison, subgroup: str, level: str, role: str, rows: pd.DataFrame) -> dict:
    """Return who stands in a line of the forest plot."""
    line: dict = {"endpoint": comparison.endpoint, "subgroup": subgroup, "level": level, "role": role}
    for side, flags in (("treated", rows["treated"]), ("control", ~rows["treated"])):
        own = rows[flags.to_numpy(dtype=bool)]
        line |= {f"n_{side}": len(own), f"events_{side}": int(own["event"].sum())}
    return line | {"p_interaction": NAN}


def _add_counts(
    part: _Part, key: str, level: _Level, line: Mapping, rows: pd.DataFrame, common: Mapping[str, str]
) -> None:
    """Add patients and events of a level by arm."""
    for arm, side in zip(part.arms.labels, ("treated", "control"), strict=True):
        own = rows[rows["treated"] == (side == "treated")]
        for stat, words in (("n", "patients of the level"), ("events", "patients of the level with an event")):
            part.ard.add(
                key,
                stat,
                line[f"{stat}_{side}"],
                unit="count",
                group=part.arms.slug(arm),
                method=words,
                engine=COUNTED,
                members=own.loc[own["event"] | (stat == "n"), "USUBJID"],
                **level.place,
                **common,
            )


def _why_not(part: _Part, rows: pd.DataFrame) -> str:
    """Return why arms are not compared in `rows`, or ''."""
    sizes = {
        arm: int((rows["treated"] == treated).sum())
        for arm, treated in zip(part.arms.labels, (True, False), strict=True)
    }
    if rows["weight"].isna().all() and len(rows):
        return "not estimable: the propensity score could not be estimated"
    return untested(sizes, part.plan)


def _add_hazard_ratio(
    part: _Part,
    key: str,
    comparison: Comparison,
    rows: pd.DataFrame,
    level: _Level | None,
    common: Mapping[str, str],
) -> dict:
    """Add the weighted hazard ratio of a level, or of all patients; return what the forest plot draws of it."""
    why, fit = _why_not(part, rows), None
    if not why:
        x = pd.DataFrame({TREATMENT: rows["treated"].astype(float)})
        fit, why = attempt(cox_fit, x, rows["from_start"], rows["event"], weights=rows["weight"], robust=True)
    ratio, why = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, why)
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    words = (
        f"{part.arms.treated} against {part.arms.control}: Cox model with Efron's ties, follow-up "
        f"{comparison.start_words}, {_SHARED if level is None else level.words}; robust (Lin-Wei) variance, the "
        "weights taken as known; Wald interval and p value"
    )
    if level is not None:
        words = f"{level.label}: {words}; {EXPLORATORY}"
    identifier = part.ard.add(
        key,
        "hr",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        group="contrast",
        method=_named(why, level) or words,
        engine=COX,
        **({} if level is None else level.place),
        **common,
    )
    return {"hr": values[0], "lo": values[1], "hi": values[2], "ard_id": identifier}


def _add_rmst(
    part: _Part, key: str, comparison: Comparison, level: _Level, rows: pd.DataFrame, common: Mapping[str, str]
) -> tuple[float, float] | None:
    """Add the difference in restricted means of a level; return it with its standard error, or None."""
    from scipy.special import ndtr, ndtri

    end = part.plan.rmst_horizon_months
    tau = end - comparison.start_months
    why, contrast, spread = _why_not(part, rows), None, None
    if not why and not rows["event"].any():
        why = "not estimable: no events in the level"
    if not why:
        contrast, why = attempt(
            rmst_contrast,
            rows["from_start"],
            rows["event"],
            rows["arm"],
            tau,
            reference=part.arms.control,
            weights=rows["weight"],
            level=part.plan.confidence_level,
        )
    if contrast is not None and level.resamples is not None:
        followed = rows.set_index("USUBJID")
        inside = level.order.isin(followed.index)
        followed = followed.loc[level.order[inside]]
        spread, why = attempt(
            level.resamples.rmst_difference,
            inside,
            followed["from_start"].to_numpy(dtype=float),
            followed["event"].to_numpy(dtype=bool),
            tau,
        )
    known = contrast is not None and spread is not None and spread.std_err > 0
    value, error = (contrast.difference, spread.std_err) if known else (NAN, NAN)
    z = float(ndtri(0.5 + part.plan.confidence_level / 2))
    words = (
        f"{level.label}: difference in restricted mean months without the event {comparison.start_words} to month "
        f"{end:g}, {part.arms.treated} minus {part.arms.control}, {level.words}; standard error from "
        f"{0 if spread is None else spread.replicates} bootstrap resamples of patients, the score fitted anew in each; "
        f"Wald interval and p value; {EXPLORATORY}"
    )
    part.ard.add(
        key,
        f"rmst_difference_{horizon(end)}",
        value,
        ci_low=value - z * error,
        ci_high=value + z * error,
        p_value=float(2 * ndtr(-abs(value / error))) if known else NAN,
        unit="months",
        group="contrast",
        method=words if known else _named(why or "not estimable: the bootstrap variance is zero", level),
        engine="sorafenib_rfa.estimates.bootstrap",
        **level.place,
        **common,
    )
    return (value, error) if known else None


# --- tests ---------------------------------------------------------------------------------------------------------


def _left_out(levels: Sequence[_Level], kept: Sequence[str]) -> str:
    """Return which levels a test leaves out, in words; '' when none."""
    gone = [level.name for level in levels if level.name not in kept]
    return f"; without {', '.join(gone)}, where the effect cannot be estimated" if gone else ""


def _interaction(
    part: _Part,
    comparison: Comparison,
    name: str,
    levels: Sequence[_Level],
    estimable: Sequence[_Level],
    rows: pd.DataFrame,
    common: Mapping[str, str],
) -> _Test:
    """Return the test that the hazard ratio is the same in all levels."""
    fitted, why = None, "not tested: the effect can be estimated in fewer than two levels"
    if len(estimable) > 1:
        label = pd.Series(pd.NA, index=rows["USUBJID"], dtype="string")
        weight = pd.Series(np.nan, index=rows["USUBJID"])
        for level in estimable:
            label[label.index.isin(level.members)] = level.name
            weight.update(level.weights[level.weights.index.isin(level.members)])
        inside = label.notna().to_numpy(dtype=bool)
        own = rows[inside]
        fitted, why = attempt(
            treatment_by_level,
            own["treated"],
            label.to_numpy(dtype=object)[inside],
            own["from_start"],
            own["event"],
            weights=weight.to_numpy()[inside],
        )
    method = why
    if fitted is not None:
        method = (
            f"Wald test of equal hazard ratios ({comparison.endpoint}) in the levels of "
            f"{part.plan.subgroups[name].label} on {fitted.test.df} df: weighted Cox model with a treatment effect "
            "and a baseline hazard for each level, robust variance; weights as for the levels"
            f"{_left_out(levels, [level.name for level in estimable])}; {EXPLORATORY}"
        )
    chi2, p = (NAN, NAN) if fitted is None else (fitted.test.chi2, fitted.test.p)
    return _Test(comparison.endpoint.lower(), name, "interaction", chi2, p, method, common)


def _rmst_heterogeneity(
    part: _Part,
    comparison: Comparison,
    name: str,
    levels: Sequence[_Level],
    means: Mapping[str, tuple[float, float]],
    common: Mapping[str, str],
) -> _Test:
    """Return the test that the difference in restricted means is the same in all levels."""
    test, why = None, "not tested: the difference can be estimated in fewer than two levels"
    if len(means) > 1:
        test, why = attempt(heterogeneity, [v for v, _ in means.values()], [e for _, e in means.values()])
    method = why
    if test is not None:
        method = (
            f"test that the differences in restricted means ({comparison.endpoint}) in the levels of "
            f"{part.plan.subgroups[name].label} are equal (Cochran's Q, bootstrap standard errors) on {test.df} df"
            f"{_left_out(levels, list(means))}; {EXPLORATORY}"
        )
    chi2, p = (NAN, NAN) if test is None else (test.chi2, test.p)
    return _Test(comparison.endpoint.lower(), name, "rmst_heterogeneity", chi2, p, method, common)


def _add_tests(part: _Part) -> None:
    """Add the tests with raw and Holm-adjusted p values, and how many there were."""
    for stat, what in (("interaction", "hazard ratio scale"), ("rmst_heterogeneity", "restricted mean scale")):
        own = [test for test in part.tests if test.stat == stat]
        done = int(np.isfinite([test.p for test in own]).sum())
        part.ard.add(
            "multiplicity",
            f"{stat}_tests",
            done,
            unit="count",
            method=f"tests of interaction on the {what}: all subgroups and endpoints in which one could be done",
            engine=COUNTED,
            population="All subgroups of the plan",
        )
        for test, adjusted in zip(own, holm([test.p for test in own]) if own else [], strict=True):
            place = {"group": "contrast", "variable": slug(test.subgroup), "engine": INTERACTION, **test.common}
            part.ard.add(
                test.endpoint, f"{stat}_chi2", test.chi2, p_value=test.p, unit="statistic", method=test.method, **place
            )
            part.ard.add(
                test.endpoint,
                f"{stat}_p_holm",
                adjusted,
                unit="p",
                method=test.method
                if np.isnan(adjusted)
                else f"p value adjusted by Holm's method for the {done} tests of interaction on the {what}",
                **place,
            )
