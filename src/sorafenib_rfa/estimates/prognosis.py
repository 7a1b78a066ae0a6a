"""Prognosis in a cohort without treatment arms: by declared groups, and by a declared model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Covariate, Plan, PrognosticGroup
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, slug
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.covariates import levels_of, numbers, texts
from sorafenib_rfa.estimates.performance import add_performance
from sorafenib_rfa.estimates.survival import (
    RECURRENCE_OR_DEATH,
    add_curve,
    add_follow_up,
    add_incidence,
    add_log_rank,
    add_size,
    curve_frame,
    risk_table,
)
from sorafenib_rfa.stats.competing_risks import aalen_johansen, fine_gray
from sorafenib_rfa.stats.cox import CoxFit, cox_fit
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.proportional_hazards import cox_zph
from sorafenib_rfa.vocabulary import EVENT_DEATH

COX = "sorafenib_rfa.stats.cox"
ESTIMAND = "P1_PROGNOSIS"
EVENT_MONTH = 60
"""Month at which event percentages are set beside published ones."""

_WORDS = "Cox model with Efron's ties; robust (Lin-Wei) variance, Wald interval and p value"


def estimate_prognosis(
    adtte: pd.DataFrame,
    adsl: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Estimate prognosis by the cohort's declared groups and model.

    Parameters
    ----------
    adtte, adsl : DataFrame
        ADaM datasets.
    plan : Plan
        Horizons, confidence level, small-group rule.
    cohort : CohortConfig
        Its ``prognostic_groups`` (with published figures) and ``prognostic_model``.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstrap that corrects the model's performance for optimism.

    Returns
    -------
    Estimates
        ARD part ``prognosis``. Curves ``km_prognostic`` and ``risk_table_prognostic`` (as in
        :mod:`sorafenib_rfa.estimates.survival`, with ``endpoint, variable, variable_label``), ``cif_prognostic``
        (causes recurrence and death, all patients as group ``overall`` and each declared group),
        ``forest_prognostic`` (``endpoint, model, term, label, hr, lo, hi, p, n, events, ard_id``) and ``calibration``
        (:func:`sorafenib_rfa.estimates.performance.add_performance`).
    """
    ard = ArdBuilder(cohort_name, "prognosis", record)
    by_id = adsl.assign(USUBJID=texts(adsl["USUBJID"])).set_index("USUBJID")
    endpoints = [e for e in ("RFS", "OS", "TTR") if e in cohort.endpoints]
    rows = {endpoint: _rows(adtte, endpoint) for endpoint in endpoints}
    population = "All analysed patients"
    curves: list[pd.DataFrame] = []
    risks: list[pd.DataFrame] = []
    for endpoint, frame in rows.items():
        add_size(
            ard,
            endpoint.lower(),
            "overall",
            frame,
            0.0,
            level=plan.confidence_level,
            population=population,
            estimand_id=ESTIMAND,
        )
        curve = add_curve(
            ard,
            f"{endpoint.lower()}_km",
            "overall",
            frame,
            plan,
            words="all patients",
            population=population,
            estimand_id=ESTIMAND,
        )
        drawn = curve_frame(curve, "overall", "All patients", "none", 0.0)
        curves.append(drawn.assign(endpoint=endpoint, variable="", variable_label=""))
        add_follow_up(ard, "follow_up", "overall", frame, endpoint, plan, population=population)
    for group in cohort.prognostic_groups:
        for endpoint in (e for e in group.endpoints if e in rows):
            drawn, at_risk = _add_group(ard, rows[endpoint], by_id, endpoint, group, plan, cohort)
            curves.append(drawn)
            risks.append(at_risk)
    forest = [
        _add_models(ard, rows[endpoint], by_id, endpoint, plan, cohort)
        for endpoint in ("RFS", "OS")
        if endpoint in rows
    ]
    calibration = [
        _add_performance(ard, rows[endpoint], by_id, endpoint, plan, cohort, seed)
        for endpoint in ("RFS", "OS")
        if endpoint in rows and cohort.prognostic_model
    ]
    made = {
        "calibration": _together(calibration),
        "km_prognostic": pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
        "risk_table_prognostic": pd.concat(risks, ignore_index=True) if risks else pd.DataFrame(),
        "forest_prognostic": pd.concat(forest, ignore_index=True) if forest else pd.DataFrame(),
    }
    if "RFS" in rows:
        made["cif_prognostic"] = _add_competing(ard, rows["RFS"], by_id, plan, cohort)
    return ard.estimates(made)


def _together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the frames that have rows, one below the other."""
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _rows(adtte: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Return ``USUBJID, time, event, cause`` of one parameter."""
    own = adtte[texts(adtte["PARAMCD"]) == endpoint]
    frame = pd.DataFrame(
        {
            "USUBJID": texts(own["USUBJID"]),
            "time": numbers(own["AVAL"]),
            "event": numbers(own["CNSR"]) == 0,
            "cause": numbers(own["EVNTCD"]).astype(int),
        }
    )
    return frame.sort_values("USUBJID", ignore_index=True)


def _classified(frame: pd.DataFrame, by_id: pd.DataFrame, group: PrognosticGroup) -> pd.DataFrame:
    """Return the rows whose group is known, with ``level``."""
    level = frame["USUBJID"].map(texts(by_id[group.variable.upper()]))
    return frame.assign(level=level)[level.notna()].reset_index(drop=True)


def _add_group(
    ard: ArdBuilder,
    frame: pd.DataFrame,
    by_id: pd.DataFrame,
    endpoint: str,
    group: PrognosticGroup,
    plan: Plan,
    cohort: CohortConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add curves, event percentages beside published ones, log-rank test and hazard ratio of one declared group."""
    name = group.variable.upper()
    known = _classified(frame, by_id, group)
    levels = levels_of(known["level"], group.levels)
    key = endpoint.lower()
    common = {"population": f"Patients with {group.label} recorded", "estimand_id": ESTIMAND}
    ard.add(
        f"{key}_group",
        "missing",
        len(frame) - len(known),
        unit="count",
        variable=name,
        method=f"patients without {group.label}",
        engine="sorafenib_rfa.estimates.prognosis",
        members=frame.loc[~frame["USUBJID"].isin(known["USUBJID"]), "USUBJID"],
        **common,
    )
    sizes = {level: int((known["level"] == level).sum()) for level in levels}
    reason = untested(sizes, plan)
    drawn = []
    for level in levels:
        own = known[known["level"] == level]
        variable = f"{name}_{slug(level)}"
        for stat, members in (("n", own["USUBJID"]), ("events", own.loc[own["event"], "USUBJID"])):
            ard.add(
                f"{key}_group",
                stat,
                len(members),
                unit="count",
                variable=variable,
                method=f"{stat} with {group.label}: {level}",
                engine="sorafenib_rfa.estimates.prognosis",
                members=members,
                **common,
            )
        curve = add_curve(
            ard,
            f"{key}_group",
            "overall",
            own,
            plan,
            words=f"{group.label}: {level}",
            variable=variable,
            **common,
        )
        _add_event_percent(ard, key, own, variable, level, group, plan, cohort, common)
        drawn.append(curve_frame(curve, slug(level), level, "none", 0.0))
    add_log_rank(ard, f"{key}_group", known, "level", reason, words=f"by {group.label}", variable=name, **common)
    _add_published_tests(ard, key, name, endpoint, group, cohort)
    where = {"endpoint": endpoint, "variable": name, "variable_label": group.label}
    table = risk_table({slug(level): (level, known[known["level"] == level]) for level in levels}, 0.0)
    return pd.concat(drawn, ignore_index=True).assign(**where), table.assign(**where)


def _add_event_percent(
    ard: ArdBuilder,
    key: str,
    own: pd.DataFrame,
    variable: str,
    level: str,
    group: PrognosticGroup,
    plan: Plan,
    cohort: CohortConfig,
    common: dict,
) -> None:
    """Add 1 - KM at the month of the published figures, and the published figure of the level beside it."""
    curve, reason = attempt(kaplan_meier, own["time"], own["event"], level=plan.confidence_level)
    at = None if curve is None else curve.at([EVENT_MONTH])
    values = [NAN] * 3
    if at is not None:
        values = [100 * (1 - float(v)) for v in (at.survival[0], at.ci_high[0], at.ci_low[0])]
        if np.isnan(values[0]):
            reason = f"not estimable: follow-up of the group ends at {curve.time[-1]:.1f} months"  # type: ignore[union-attr]
    words = f"1 - Kaplan-Meier at {EVENT_MONTH} months"
    if key == "rfs":
        words += ": percent with recurrence or death, not the incidence of recurrence"
    ard.add(
        f"{key}_group",
        "event_percent",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        unit="percent",
        variable=variable,
        level=horizon(EVENT_MONTH),
        method=reason or words,
        engine="sorafenib_rfa.stats.kaplan_meier",
        **common,
    )
    for name, value in group.published.items():
        endpoint, _, rest = name.partition(".")
        published_level, _, statistic = rest.rpartition(".")
        if endpoint.lower() == key and published_level == level:
            _add_published(ard, key, variable, statistic, value, cohort)


def _add_published_tests(
    ard: ArdBuilder, key: str, name: str, endpoint: str, group: PrognosticGroup, cohort: CohortConfig
) -> None:
    """Add published figures that belong to the whole comparison (``<endpoint>.<statistic>``)."""
    for published, value in group.published.items():
        parts = published.split(".")
        if len(parts) == 2 and parts[0] == endpoint:
            _add_published(ard, key, name, parts[1], value, cohort)


def _add_published(
    ard: ArdBuilder, key: str, variable: str, statistic: str, value: float, cohort: CohortConfig
) -> None:
    """Add one figure as it was published: quoted for comparison, not computed here."""
    is_p = statistic.endswith("p") and (statistic == "p" or statistic.endswith("_p"))
    unit = "percent" if "percent" in statistic else "p" if is_p else "ratio" if statistic == "hr" else "measure"
    ard.add(
        f"{key}_group",
        f"{statistic}_published",
        value,
        unit=unit,
        variable=variable,
        method=f"as published, citation {cohort.citation}; not computed here",
        engine="as published",
        population="As published",
        estimand_id=ESTIMAND,
    )


# --- models ----------------------------------------------------------------------------------------


def _declared(plan: Plan, cohort: CohortConfig) -> dict[str, Covariate]:
    """Return the variables that plan and cohort describe, by column of ADSL."""
    declared = {covariate.variable: covariate for covariate in plan.covariates.values()}
    for name, extra in cohort.extra_variables.items():
        kind = "categorical" if extra.kind == "categorical" else "continuous"
        label = f"{extra.label}, {extra.unit}" if extra.unit else extra.label
        declared[name.upper()] = Covariate(variable=name.upper(), label=label, kind=kind, levels=extra.levels)
    return declared


def _undeclared(by_id: pd.DataFrame, variable: str) -> Covariate:
    """Return a column of ADSL that neither plan nor cohort describes, under its own name."""
    if variable not in by_id:
        raise ConfigError(
            Problem(
                "prognostic_model: there is no such column of ADSL",
                file="cohort.yaml",
                found=variable,
                expected="one of " + ", ".join(by_id.columns),
            )
        )
    is_number = pd.api.types.is_numeric_dtype(by_id[variable].dtype)
    return Covariate(variable=variable, label=variable, kind="continuous" if is_number else "categorical")


def _model_columns(
    by_id: pd.DataFrame, plan: Plan, cohort: CohortConfig
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return the columns of every variable of the prognostic model (NaN where missing), and labels of the terms."""
    declared = _declared(plan, cohort)
    columns: dict[str, pd.DataFrame] = {}
    labels: dict[str, str] = {}
    for variable in (name.upper() for name in cohort.prognostic_model):
        covariate = declared.get(variable) or _undeclared(by_id, variable)
        if covariate.kind == "continuous":
            columns[variable] = pd.DataFrame({variable: numbers(by_id[variable])}, index=by_id.index)
            name, _, unit = covariate.label.rpartition(", ")
            # "Age, years" is "Age (per year)"
            labels[variable] = f"{name} (per {unit.removesuffix('s')})" if name else f"{unit} (per unit)"
            continue
        values = texts(by_id[variable])
        levels = [level for level in levels_of(values, covariate.levels) if (values == level).any()]
        table = {}
        for level in levels[1:]:
            term = f"{variable}={level}"
            flags = (values == level).astype("Float64").where(values.notna())
            table[term] = flags.to_numpy("float64", na_value=np.nan)
            says_itself = covariate.positive == level or levels == ["N", "Y"]
            labels[term] = (
                covariate.label if says_itself else f"{covariate.label}: {_within(level)} against {_within(levels[0])}"
            )
        columns[variable] = pd.DataFrame(table, index=by_id.index)
    return columns, labels


def _within(level: str) -> str:
    """Return a level as it stands within a phrase: a phrase of words begins small, an abbreviation stays."""
    return level[0].lower() + level[1:] if " " in level and level[1].islower() else level


def _add_models(
    ard: ArdBuilder, frame: pd.DataFrame, by_id: pd.DataFrame, endpoint: str, plan: Plan, cohort: CohortConfig
) -> pd.DataFrame:
    """Add univariable and multivariable hazard ratios of the declared model, with tests of proportional hazards."""
    columns, labels = _model_columns(by_id, plan, cohort)
    key = endpoint.lower()
    drawn: list[dict] = []
    for variable, terms in columns.items():
        drawn += _add_model(
            ard, frame, terms, f"{key}_univariable", variable, {variable: terms}, labels, endpoint, plan
        )
    if columns:
        everything = pd.concat(columns.values(), axis=1)
        drawn += _add_model(ard, frame, everything, f"{key}_multivariable", "", columns, labels, endpoint, plan)
    names = ["endpoint", "model", "term", "label", "hr", "lo", "hi", "p", "n", "events", "ard_id"]
    return pd.DataFrame(drawn, columns=names)


def _add_model(
    ard: ArdBuilder,
    frame: pd.DataFrame,
    terms: pd.DataFrame,
    analysis: str,
    variable: str,
    owners: dict[str, pd.DataFrame],
    labels: dict[str, str],
    endpoint: str,
    plan: Plan,
) -> list[dict]:
    """Add one Cox model; return its rows of the forest plot."""
    x = terms.reindex(frame["USUBJID"]).set_index(frame.index)
    complete = x.notna().all(axis=1)
    own, x = frame[complete], x[complete]
    fit: CoxFit | None = None
    reason = f"not estimable: fewer than {plan.small_group} patients" if len(own) < plan.small_group else ""
    if not reason:
        fit, reason = attempt(cox_fit, x, own["time"], own["event"], robust=True)
    model = "univariable" if variable else "multivariable"
    common = {"group": "overall", "population": "Complete cases", "estimand_id": ESTIMAND, "engine": COX}
    n, events = len(own), int(own["event"].sum())
    for stat, count, members in (("n", n, own), ("events", events, own[own["event"]])):
        ard.add(
            analysis,
            stat,
            count,
            unit="count",
            variable=variable,
            method=f"{stat} in the {model} model",
            members=members["USUBJID"],
            **common,
        )
    drawn = []
    for term in x.columns:
        ratio, why = hazard_ratio(fit, term, plan.confidence_level, reason)
        values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
        identifier = ard.add(
            analysis,
            "hr",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=values[3],
            unit="ratio",
            variable=term,
            method=why or f"{labels[term]}; {model} {_WORDS}",
            **common,
        )
        drawn.append(
            {
                "endpoint": endpoint,
                "model": model,
                "term": term,
                "label": labels[term],
                "hr": values[0],
                "lo": values[1],
                "hi": values[2],
                "p": values[3],
                "n": n,
                "events": events,
                "ard_id": identifier,
            }
        )
    if model == "multivariable":
        _add_zph(ard, analysis, fit, {name: list(table.columns) for name, table in owners.items()}, reason, common)
    return drawn


def _add_zph(
    ard: ArdBuilder, analysis: str, fit: CoxFit | None, terms: dict[str, list[str]], reason: str, common: dict
) -> None:
    """Add the test of proportional hazards of each variable and of all together."""
    table = None
    if fit is not None:
        table, reason = attempt(cox_zph, fit, terms=terms)
    for term in [*terms, "GLOBAL"]:
        row = None if table is None else table.loc[term]
        ard.add(
            analysis,
            "ph_chi2",
            NAN if row is None else float(row["chi2"]),
            p_value=NAN if row is None else float(row["p"]),
            unit="statistic",
            variable=term,
            method=reason or f"score test of proportional hazards (Grambsch-Therneau) on {int(row['df'])} df",
            **{**common, "engine": "sorafenib_rfa.stats.proportional_hazards"},
        )


def _add_performance(
    ard: ArdBuilder,
    frame: pd.DataFrame,
    by_id: pd.DataFrame,
    endpoint: str,
    plan: Plan,
    cohort: CohortConfig,
    seed: int,
) -> pd.DataFrame:
    """Add how well the multivariable model predicts in its complete cases."""
    columns, _ = _model_columns(by_id, plan, cohort)
    x = pd.concat(columns.values(), axis=1).reindex(frame["USUBJID"]).set_index(frame.index)
    complete = x.notna().all(axis=1)
    own = frame[complete]
    common = {"group": "overall", "population": "Complete cases", "estimand_id": ESTIMAND}
    return add_performance(ard, x[complete], own, endpoint, plan, common, seed=seed)


# --- competing risks -------------------------------------------------------------------------------


def _add_competing(
    ard: ArdBuilder, frame: pd.DataFrame, by_id: pd.DataFrame, plan: Plan, cohort: CohortConfig
) -> pd.DataFrame:
    """Add incidence of recurrence and death, and by how much 1 - KM overstates recurrence."""
    words = "Aalen-Johansen, recurrence and death without recurrence competing"
    everyone = pd.Series(True, index=frame.index)
    drawn = [
        add_incidence(
            ard,
            "first_event",
            frame,
            {"overall": ("All patients", everyone)},
            plan,
            causes=RECURRENCE_OR_DEATH,
            population="All analysed patients",
            estimand_id=ESTIMAND,
            reason="",
            words=words,
        ).assign(variable="", variable_label="")
    ]
    for group in (g for g in cohort.prognostic_groups if "RFS" in g.endpoints):
        known = _classified(frame, by_id, group)
        name = group.variable.upper()
        levels = levels_of(known["level"], group.levels)
        reason = untested({level: int((known["level"] == level).sum()) for level in levels}, plan)
        drawn.append(
            add_incidence(
                ard,
                "first_event_group",
                known,
                {slug(level): (level, known["level"] == level) for level in levels},
                plan,
                causes=RECURRENCE_OR_DEATH,
                population=f"Patients with {group.label} recorded",
                estimand_id=ESTIMAND,
                reason=reason,
                words=f"{words}; by {group.label}",
                variable=name,
            ).assign(variable=name, variable_label=group.label)
        )
        _add_fine_gray(ard, known, levels, group, reason, plan)
    _add_overstatement(ard, frame, plan)
    return pd.concat(drawn, ignore_index=True)


def _add_fine_gray(
    ard: ArdBuilder, known: pd.DataFrame, levels: list[str], group: PrognosticGroup, reason: str, plan: Plan
) -> None:
    """Add subdistribution hazard ratios of recurrence and of death, each level against the first."""
    name = group.variable.upper()
    x = pd.DataFrame({level: (known["level"] == level).astype(float) for level in levels[1:]})
    for kind, (label, codes) in RECURRENCE_OR_DEATH.items():
        wanted = known["cause"].isin(set(codes))
        cause = np.where(wanted, 1, np.where(known["event"], 2, 0))
        fit, why = (None, reason) if reason else attempt(fine_gray, x, known["time"], cause, cause_of_interest=1)
        for level in levels[1:]:
            ratio = None if fit is None else fit.hazard_ratio(level, plan.confidence_level)
            values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
            ard.add(
                "first_event_group",
                "subdistribution_hr",
                values[0],
                ci_low=values[1],
                ci_high=values[2],
                p_value=values[3],
                unit="ratio",
                group="contrast",
                variable=f"{name}_{kind}",
                level=slug(level),
                method=why
                or f"Fine-Gray model of {label.lower()}, other first events competing; {group.label}: {_within(level)} "
                f"against {_within(levels[0])}; Wald interval and p value",
                engine="sorafenib_rfa.stats.competing_risks",
                population=f"Patients with {group.label} recorded",
                estimand_id=ESTIMAND,
            )


def _add_overstatement(ard: ArdBuilder, frame: pd.DataFrame, plan: Plan) -> None:
    """Add 1 - KM of recurrence with deaths censored, and its excess over the cumulative incidence."""
    recurrence = set(RECURRENCE_OR_DEATH["recurrence"][1])
    recurred = frame["cause"].isin(recurrence)
    cause = np.where(recurred, 1, np.where(frame["cause"] == EVENT_DEATH, 2, 0))
    curve, reason = attempt(kaplan_meier, frame["time"], recurred, level=plan.confidence_level)
    incidence, why = attempt(aalen_johansen, frame["time"], cause, n_causes=2, level=plan.confidence_level)
    common = {"unit": "percent", "population": "All analysed patients", "estimand_id": ESTIMAND}
    for month in plan.horizons_months:
        values = [NAN] * 3
        excess = NAN
        said = reason or why
        if curve is not None and incidence is not None:
            at = curve.at([month])
            values = [100 * (1 - float(v)) for v in (at.survival[0], at.ci_high[0], at.ci_low[0])]
            excess = values[0] - 100 * float(incidence.at([month], 1).incidence[0])
            if np.isnan(values[0]):
                said = f"not estimable: follow-up ends at {curve.time[-1]:.1f} months"
        ard.add(
            "first_event",
            "one_minus_km",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            variable="recurrence",
            level=horizon(month),
            method=said or "1 - Kaplan-Meier of recurrence, deaths censored: overstates incidence",
            engine="sorafenib_rfa.stats.kaplan_meier",
            **common,
        )
        ard.add(
            "first_event",
            "overstatement",
            excess,
            variable="recurrence",
            level=horizon(month),
            method=said or "1 - Kaplan-Meier minus Aalen-Johansen on the same patients: a difference of methods",
            engine="sorafenib_rfa.stats.competing_risks",
            **common,
        )
