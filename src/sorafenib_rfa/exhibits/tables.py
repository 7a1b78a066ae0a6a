"""Tables of the paper: every number in them is one ARD row, printed by the one formatter and bound to its id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.config.models import CohortConfig, Covariate, Plan
from sorafenib_rfa.errors import NotOfferedError, Problem
from sorafenib_rfa.estimates.ard import slug
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.estimates.comparison import COMPARED, EMULATED, start_words
from sorafenib_rfa.exhibits.ablation_table import ablation_table
from sorafenib_rfa.exhibits.benefit_risk_table import benefit_risk_table
from sorafenib_rfa.exhibits.draft import Cell, Draft, Number, Source, Table, with_n
from sorafenib_rfa.exhibits.exposure_table import exposure_table
from sorafenib_rfa.exhibits.format import present
from sorafenib_rfa.exhibits.liver_tables import albi_table, liver_table
from sorafenib_rfa.exhibits.safety_tables import (
    ae_interest_table,
    ae_terms_table,
    safety_table,
)
from sorafenib_rfa.files import write_csv
from sorafenib_rfa.vocabulary import ENDPOINTS, EVIDENCE_PARTS, TABLES


def make_table(
    name: str,
    *,
    ard: pd.DataFrame,
    cohort: CohortConfig,
    plan: Plan,
    texts: Mapping[str, pd.DataFrame] | None = None,
) -> Table:
    """Make one table of a cohort.

    Parameters
    ----------
    name : str
        One of :data:`sorafenib_rfa.vocabulary.TABLES`.
    ard : DataFrame
        The cohort's ARD.
    cohort : CohortConfig
        What the cohort offers and how its own variables are called.
    plan : Plan
        Variables, horizons.
    texts : mapping, optional
        Frames by name that hold what is said of published studies; tables of patients need none.

    Returns
    -------
    Table

    Raises
    ------
    NotOfferedError
        If there is no table of that name, or the cohort lacks what it shows.
    """
    if name not in TABLES:
        raise NotOfferedError(
            Problem("there is no table of this name", found=name, expected="one of " + ", ".join(TABLES))
        )
    part = TABLES[name]
    source = Source(ard)
    if not any(identifier.startswith(f"{part}.") for identifier in source.rows):
        raise NotOfferedError(
            Problem(
                f"the table {name!r} needs the part {part!r} of the ARD, which this cohort does not have",
                file="cohort.yaml",
                found="modules: " + ", ".join(cohort.modules),
                hint=f"take {name!r} out of the cohort's tables",
            )
        )
    if part == "validation":
        return _of_validation(name)(source, cohort, plan).finish(cohort.synthetic)
    if part in EVIDENCE_PARTS:
        return _of_studies(name)(source, cohort, plan, texts or {}).finish(cohort.synthetic)
    return _MAKERS[name](source, cohort, plan).finish(cohort.synthetic)


def write_table(table: Table, markdown: str, data: str) -> None:
    """Write a table as Markdown and its cells as CSV."""
    Path(markdown).write_text(table.markdown, encoding="utf-8")
    write_csv(table.data, data)


# --- baseline --------------------------------------------------------------------


def _baseline(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    slugs = arms_of(cohort).slugs
    arms = [arm for arm in slugs if source.has("baseline", "table1", slugs[arm], "n")]
    groups = [(with_n(arm, source, "baseline", "table1", slugs[arm], "n"), slugs[arm]) for arm in arms]
    everyone = "Overall" if arms else "All patients"
    groups.append((with_n(everyone, source, "baseline", "table1", "n"), None))
    header: list[Cell] = [["Characteristic"], *(head for head, _ in groups)]
    if arms:
        header += [["SMD"], ["SMD, weighted"]]
    draft = Draft(header)
    skewed = False
    for name, covariate in _table_one(source, cohort, plan):
        differences = _differences(source, name) if arms else []
        label = covariate.label
        if covariate.kind == "continuous":
            skewed = covariate.transform == "log10"
            cells = [_centre(source, group, name, covariate, skewed) for _, group in groups]
            label += ", median (Q1 to Q3)" if skewed else ", mean (SD)"
            draft.add(label, *cells, *differences)
        elif covariate.kind == "binary":
            cells = [source.count_percent("baseline", "table1", group, name, covariate.positive) for _, group in groups]
            draft.add(f"{label}, n (%)", *cells, *differences)
        else:
            draft.add(f"{label}, n (%)", *([] for _ in groups), *differences)
            for level in _levels(source, name, covariate):
                cells = [source.count_percent("baseline", "table1", group, name, level) for _, group in groups]
                draft.add(level, *cells, level=1)
        if present(source.get("baseline", "table1", name, "missing")):
            cells = [source.value("baseline", "table1", group, name, "missing") for _, group in groups]
            draft.add("Missing, n", *cells, level=1)
    draft.notes.append("Percentages are of patients with the variable recorded.")
    if arms:
        draft.notes.append(
            f"SMD: standardised mean difference, {arms[0]} minus {arms[-1]}, for variables with several levels their "
            "common distance (never negative). SMD, weighted: "
            + ("in the landmark population, " if plan.landmark_day else "")
            + "after overlap weighting. "
            "No p values: baseline differences are no hypotheses (STROBE)."
        )
    return draft


def _table_one(source: Source, cohort: CohortConfig, plan: Plan) -> Iterator[tuple[str, Covariate]]:
    """Yield the variables that the ARD describes, in the plan's and then the cohort's order."""
    for name in plan.table_one:
        if source.has("baseline", "table1", name, "missing"):
            yield name, plan.covariates[name]
    for name, extra in cohort.extra_variables.items():
        kind = "categorical" if extra.kind == "categorical" else "continuous"
        label = f"{extra.label}, {extra.unit}" if extra.unit else extra.label
        # nothing is known of the shape of a cohort's own measurements: median and quartiles suit any
        transform = "none" if kind == "categorical" else "log10"
        covariate = Covariate(variable=name.upper(), label=label, kind=kind, levels=extra.levels, transform=transform)
        if list(extra.levels or []) == ["N", "Y"]:
            covariate = covariate.model_copy(update={"kind": "binary", "positive": "Y"})
        yield name.upper(), covariate


def _levels(source: Source, name: str, covariate: Covariate) -> list[str]:
    """Return the levels of a variable that somebody has, declared ones first."""
    found = [
        str(row["variable"]).partition("=")[2]
        for row in source.starting("baseline", "table1", name)
        if row["stat_name"] == "percent" and present(source.get(str(row["ard_id"]).removesuffix(".percent"), "n"))
    ]
    declared = [level for level in covariate.levels or [] if level in found]
    return [*declared, *(level for level in found if level not in declared)]


def _centre(source: Source, group: str | None, name: str, covariate: Covariate, skewed: bool) -> Cell:
    """Return mean (SD) or median (Q1 to Q3)."""
    where = ("baseline", "table1", group, name)

    def number(stat: str) -> Number:
        return Number(source.get(*where, stat), digits=covariate.digits)

    if pd.isna(source.get(*where, "mean")["value"]):
        return [number("mean")]
    if skewed:
        return [number("median"), " (", number("q1"), " to ", number("q3"), ")"]
    return [number("mean"), " (", number("sd"), ")"]


def _differences(source: Source, name: str) -> list[Cell]:
    """Return the standardised differences without and with weights."""
    cells: list[Cell] = []
    for analysis in ("table1", "overlap"):
        parts = ("baseline", analysis, "contrast", name, "smd")
        cells.append(source.value(*parts, digits=2) if source.has(*parts) else [])
    return cells


# --- efficacy --------------------------------------------------------------------

_MODELS = {
    "overlap": "Hazard ratio, overlap-weighted",
    "iptw": "Hazard ratio, IPT-weighted",
    "adjusted": "Hazard ratio, covariate-adjusted",
    "unadjusted": "Hazard ratio, unadjusted",
}


def _efficacy(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    compared = arms_of(cohort)
    arms = [compared.slug(label) for label in compared.labels]
    header: list[Cell] = [["Estimate (95% CI)"], *([label] for label in compared.labels), ["Contrast"], ["p"]]
    draft = Draft(header)
    for endpoint in ("RFS", "OS", "TTR"):
        key = endpoint.lower()
        if not source.has("efficacy", key, "n"):
            continue
        emulated = source.has("target_trial", f"{key}_ccw_overlap", "contrast", "hr")
        if emulated:
            _emulated_trial(draft, source, endpoint, arms, plan)
        landmark = f": {start_words(plan, cohort)}" if emulated else ""
        draft.head(f"{ENDPOINTS[endpoint]}{landmark}{_role(plan, COMPARED[endpoint])}")
        patients = "Patients at the landmark, n" if plan.landmark_day else "Patients, n"
        for stat, label in (("n", patients), ("events", "Events, n")):
            draft.add(label, *(source.value("efficacy", key, arm, stat) for arm in arms), level=1)
        if endpoint != "TTR":
            _landmark_curves(draft, source, key, arms, plan, with_months=not emulated)
        for model, label in _MODELS.items():
            where = ("efficacy", f"{key}_cox_{model}", "contrast", "hr")
            draft.add(label, [], [], source.interval(*where), source.p(*where), level=1)
        where = ("efficacy", f"{key}_cox_overlap", "contrast", "treatment", "ph_chi2")
        draft.add("Proportional hazards, weighted model", [], [], [], source.p(*where), level=1)
    _first_events(draft, source, arms, plan)
    if source.has("efficacy", "rfs_naive", "contrast", "hr"):
        where = ("efficacy", "rfs_naive", "contrast", "hr")
        draft.head("Naive comparison from RFA, ever against never (biased)")
        draft.add("Hazard ratio of recurrence or death", [], [], source.interval(*where), source.p(*where), level=1)
    if plan.landmark_day:
        since = (
            f"From day {plan.landmark_day} after {cohort.index_event}, in patients then alive, recurrence-free and "
            f"under observation, by exposure up to that day; times in months since {cohort.index_event}, restricted "
            "means from the landmark on."
        )
    else:
        since = f"All patients by assigned arm, {start_words(plan, cohort)}; times in months."
    draft.notes += [
        f"{since} Hazard ratios and differences are {compared.treated} against {compared.control}. "
        "Weighted: overlap weights of the propensity score; IPT: stabilised "
        "inverse probability of treatment. The p value beside the median is that of the log-rank test, beside the "
        "incidence that of Gray's test.",
    ]
    if source.has("efficacy", "rfs_naive", "contrast", "hr"):
        draft.notes.append(
            "Emulated trial: clone-censor-weight from RFA in the population of clinical equipoise, with bootstrap "
            "intervals; the contrast at a month is the difference in the risk of the event. The naive comparison "
            "counts the time between RFA and the first dose as treated (immortal time) and is shown as a warning."
        )
    return draft


def _landmark_curves(
    draft: Draft, source: Source, key: str, arms: Sequence[str], plan: Plan, *, with_months: bool
) -> None:
    """Add median, survival at the horizons and restricted means from entry on."""
    draft.add(
        "Median",
        *(source.interval("efficacy", f"{key}_km", arm, "median") for arm in arms),
        [],
        source.p("efficacy", f"{key}_log_rank", "contrast", "chi2"),
        level=1,
    )
    for month in plan.horizons_months if with_months else ():
        draft.add(
            f"At {month:g} months, weighted",
            *(source.interval("efficacy", f"{key}_km_overlap", arm, horizon(month), "survival") for arm in arms),
            level=1,
        )
    at = horizon(plan.rmst_horizon_months)
    for suffix, words in (("_overlap", "weighted"), ("", "unweighted")):
        analysis = f"{key}_rmst{suffix}"
        draft.add(
            f"Restricted mean to month {plan.rmst_horizon_months:g}, {words}",
            *(source.interval("efficacy", analysis, arm, at, "rmst") for arm in arms),
            source.interval("efficacy", analysis, "contrast", at, "difference"),
            source.p("efficacy", analysis, "contrast", at, "difference"),
            level=1,
        )


def _role(plan: Plan, estimand: str) -> str:
    """Return the role of an estimand in brackets, or '' when the plan does not have it."""
    return f" ({plan.estimands[estimand].role})" if estimand in plan.estimands else ""


def _emulated_trial(draft: Draft, source: Source, endpoint: str, arms: Sequence[str], plan: Plan) -> None:
    """Add the clone-censor-weight estimates of one endpoint."""
    analysis = f"{endpoint.lower()}_ccw_overlap"
    draft.head(f"{ENDPOINTS[endpoint]}: emulated trial{_role(plan, EMULATED[endpoint])}")
    where = ("target_trial", analysis, "contrast", "hr")
    if endpoint == "TTR":  # with death censored a percentage is no risk: the measure is the hazard ratio alone
        draft.add("Cause-specific hazard ratio", [], [], source.interval(*where), source.p(*where), level=1)
        return
    for month in plan.horizons_months:
        at = horizon(month)
        draft.add(
            f"At {month:g} months, percent",
            *(source.interval("target_trial", analysis, arm, at, "survival") for arm in arms),
            source.interval("target_trial", analysis, "contrast", at, "risk_difference"),
            source.p("target_trial", analysis, "contrast", at, "risk_difference"),
            level=1,
        )
    at = horizon(plan.rmst_horizon_months)
    draft.add(
        f"Restricted mean to month {plan.rmst_horizon_months:g}",
        *(source.interval("target_trial", analysis, arm, at, "rmst") for arm in arms),
        source.interval("target_trial", analysis, "contrast", at, "difference"),
        source.p("target_trial", analysis, "contrast", at, "difference"),
        level=1,
    )
    draft.add("Hazard ratio", [], [], source.interval(*where), source.p(*where), level=1)


def _first_events(draft: Draft, source: Source, arms: Sequence[str], plan: Plan) -> None:
    """Add cumulative incidence of the first event by its kind at the horizon of the restricted mean."""
    at = horizon(plan.rmst_horizon_months)
    kinds = {
        "recurrence": "Recurrence",
        "ltp": ENDPOINTS["LTP"],
        "idr": ENDPOINTS["IDR"],
        "ehs": ENDPOINTS["EHS"],
        "death": "Death without recurrence",
    }
    kinds["recurrence_unspecified"] = "Recurrence, site not recorded"
    shown = [k for k in kinds if source.has("efficacy", "first_event", arms[0], k, at, "incidence")]
    if not shown:
        return
    draft.head(f"Cumulative incidence of the first event at {plan.rmst_horizon_months:g} months")
    for kind in shown:
        draft.add(
            kinds[kind],
            *(source.interval("efficacy", "first_event", arm, kind, at, "incidence") for arm in arms),
            [],
            source.p("efficacy", "first_event", "contrast", kind, "gray_chi2"),
            level=1,
        )


# --- attrition and sites --------------------------------------------------------------------

_STEP = re.compile(r"^patients who left at step (?P<number>\d+): (?P<reason>.*)$", re.DOTALL)


def _attrition(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    slugs = arms_of(cohort).slugs
    arms = [arm for arm in slugs if source.has("flow", "patients", slugs[arm], "screened")]
    groups: list[str | None] = [*(slugs[arm] for arm in arms), None]
    draft = Draft([["Patients, n"], *([arm] for arm in arms), ["All"]])
    draft.add("Screened", *(source.value("flow", "patients", group, "screened") for group in groups))
    steps = []
    for row in source.starting("flow", "step"):
        said = _STEP.match(str(row["method"]))
        if said and row["group"] == "overall" and "=" not in str(row["variable"]):
            steps.append((int(said["number"]), str(row["variable"]), said["reason"]))
    for _, step_id, reason in sorted(steps):
        draft.add(reason, *(source.value("flow", "step", group, step_id, "excluded") for group in groups), level=1)
    draft.add("Analysed", *(source.value("flow", "patients", group, "analysed") for group in groups))
    draft.notes.append("Steps in the order applied; a patient leaves at the first that excludes them.")
    if arms:
        draft.notes.append(
            "Arms are those the patients would have had; patients of another arm or without a determinable one count "
            "in All."
        )
    return draft


def _sites(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    sites = [
        str(row["variable"]).partition("=")[2]
        for row in source.starting("flow", "patients", "site")
        if row["stat_name"] == "screened"
    ]
    columns = ["Screened", "Quarantined", "Excluded", "Analysed", "Values quarantined", "Rows quarantined"]
    columns.append("Records flagged")
    scopes = ("values", "rows", "flags")
    draft = Draft([["Site"], *([column] for column in columns)])
    fates = ("screened", "quarantined", "excluded", "analysed")
    for site in sites:
        draft.add(
            site,
            *(source.value("flow", "patients", "site", site, fate) for fate in fates),
            *(source.value("flow", "quarantine_site", site, scope) for scope in scopes),
        )
    draft.add(
        "All",
        *(source.value("flow", "patients", fate) for fate in fates),
        *(source.value("flow", "quarantine", scope) for scope in scopes),
    )
    draft.notes.append(
        "The first four columns count patients. A quarantined value became missing and its row stayed; a quarantined "
        "row left as a whole. A flagged record is odd and stays as it is: nothing was quarantined."
    )
    return draft


# --- prognosis --------------------------------------------------------------------


def _published(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    draft = Draft([["Group"], ["Patients, n"], ["Events, n"], ["Here (95% CI)"], ["Published"]])
    for group in cohort.prognostic_groups:
        name = group.variable.upper()
        for endpoint in group.endpoints:
            key = f"{endpoint.lower()}_group"
            draft.head(f"{group.label}: {ENDPOINTS[endpoint]}")
            for level in group.levels:
                variable = f"{name}_{slug(level)}"
                row = next(r for r in source.starting("prognosis", key, variable) if r["stat_name"] == "event_percent")
                published = ("prognosis", key, variable, "event_percent_published")
                draft.add(
                    level,
                    source.value("prognosis", key, variable, "n"),
                    source.value("prognosis", key, variable, "events"),
                    source.with_interval(row),
                    source.value(*published) if source.has(*published) else [],
                    level=1,
                )
            published = ("prognosis", key, name, "log_rank_p_published")
            draft.add(
                "Log-rank test, p",
                [],
                [],
                source.p("prognosis", key, "contrast", name, "chi2"),
                source.value(*published) if source.has(*published) else [],
                level=1,
            )
    draft.notes.append(
        "Percentages are 1 - Kaplan-Meier at 60 months; for recurrence-free survival they count deaths as events. "
        "Published: as printed in the source, not computed here."
    )
    draft.citation = cohort.citation
    return draft


def _prognostic_model(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    endpoints = [e for e in ("RFS", "OS") if source.has("prognosis", f"{e.lower()}_multivariable", "n")]
    models = [(endpoint, model) for endpoint in endpoints for model in ("univariable", "multivariable")]
    draft = Draft([["Hazard ratio (95% CI)"], *([f"{endpoint}, {model}"] for endpoint, model in models)])
    if not endpoints:
        return draft
    for row in _model_terms(source, endpoints[0], cohort):
        term = str(row["variable"])
        label = str(row["method"]).partition(";")[0] if not str(row["method"]).startswith("not ") else term
        draft.add(label, *(source.interval("prognosis", f"{e.lower()}_{m}", term, "hr") for e, m in models))
    for stat, label in (("n", "Patients in the model, n"), ("events", "Events, n")):
        draft.add(
            label,
            *(source.value("prognosis", f"{e.lower()}_{m}", stat) if m == "multivariable" else [] for e, m in models),
        )
    draft.add(
        "Test of proportional hazards, p",
        *(
            source.p("prognosis", f"{e.lower()}_{m}", "global", "ph_chi2") if m == "multivariable" else []
            for e, m in models
        ),
    )
    draft.notes.append(
        "Cox models with robust variance in complete cases; the model was declared before it was fitted."
    )
    return draft


def _model_terms(source: Source, endpoint: str, cohort: CohortConfig) -> list[dict[str, Any]]:
    """Return the hazard ratio rows of the multivariable model in the order the cohort declares its variables."""
    order = [name.upper() for name in cohort.prognostic_model]
    rows = [
        row for row in source.starting("prognosis", f"{endpoint.lower()}_multivariable") if row["stat_name"] == "hr"
    ]
    return sorted(rows, key=lambda row: order.index(str(row["variable"]).partition("=")[0]))


# --- agreement --------------------------------------------------------------------


def _agreement(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    draft = Draft([["Reference function"], ["Data"], ["Quantities"], ["Numbers"], ["Largest relative difference"]])
    family = ""
    for row in source.starting("agreement"):
        if row["stat_name"] != "quantities" or row["analysis_id"] == "all":
            continue
        if row["analysis_id"] != family:
            family = str(row["analysis_id"])
            draft.head(family.replace("_", " ").capitalize())
        group = str(row["ard_id"]).removesuffix(".quantities")
        draft.add(
            str(row["engine"]),
            [str(row["population"])],
            *(source.value(group, stat) for stat in ("quantities", "values", "largest_difference")),
            level=1,
        )
    total = ("agreement", "all")
    draft.add("All", [], *(source.value(*total, stat) for stat in ("quantities", "values", "largest_difference")))
    draft.notes.append(
        f"Both sides computed by make crosscheck with {source.get(*total, 'quantities')['engine']}. A relative "
        "difference is the largest absolute difference of a quantity over its largest reference value. Every quantity "
        "with both values: validation/agreement.csv."
    )
    return draft


_MEASURES = {
    "harrell_c": "Harrell's C",
    "uno_c": "Uno's C",
    "slope": "Calibration slope",
    "observed_expected": "Observed over expected events",
    "brier": "Brier score",
    "ipa": "Index of prediction accuracy",
}


def _performance(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    draft = Draft([["Measure"], ["Apparent (95% CI)"], ["Optimism"], ["Corrected (95% CI)"]])
    at = horizon(plan.rmst_horizon_months)
    for endpoint in ("RFS", "OS"):
        key = f"{endpoint.lower()}_performance"
        if not source.has("prognosis", key, "harrell_c", "corrected"):
            continue
        draft.head(ENDPOINTS[endpoint])
        for name, label in _MEASURES.items():
            level = at if source.has("prognosis", key, name, at, "corrected") else None
            where = ("prognosis", key, name, level)
            # the slope of a model on its own patients is 1 by construction
            digits = 3 if name == "brier" else None
            apparent = (
                ["1 (by construction)"] if name == "slope" else source.interval(*where, "apparent", digits=digits)
            )
            optimism = source.value(*where, "optimism", digits=digits)
            draft.add(label, apparent, optimism, source.interval(*where, "corrected", digits=digits), level=1)
    draft.notes.append(
        "Multivariable model, complete cases. Uno's C, observed over expected events, Brier score and index of "
        f"prediction accuracy: at month {plan.rmst_horizon_months:g}. Optimism: how much better a model refitted in a "
        "bootstrap resample does there than on all patients; corrected: apparent minus optimism. Good: C, slope and "
        "ratio near 1, Brier score near 0, index above 0."
    )
    return draft


_MAKERS: Mapping[str, Callable[[Source, CohortConfig, Plan], Draft]] = {
    "baseline": _baseline,
    "efficacy": _efficacy,
    "safety": safety_table,
    "ae_interest": ae_interest_table,
    "ae_terms": ae_terms_table,
    "ablation": ablation_table,
    "exposure": exposure_table,
    "liver": liver_table,
    "albi": albi_table,
    "benefit_risk": benefit_risk_table,
    "agreement": _agreement,
    "attrition": _attrition,
    "sites": _sites,
    "published": _published,
    "prognostic_model": _prognostic_model,
    "performance": _performance,
}


def _of_studies(name: str) -> Callable[[Source, CohortConfig, Plan, Mapping[str, pd.DataFrame]], Draft]:
    """Return what makes a table of published studies; imported only when one is made."""
    from sorafenib_rfa.exhibits.evidence_tables import (
        bias_table,
        editorial_table,
        effects_table,
        findings_table,
        harms_table,
        intervals_table,
        pooled_table,
        studies_table,
    )

    makers: Mapping[str, Callable[[Source, CohortConfig, Plan, Mapping[str, pd.DataFrame]], Draft]] = {
        "evidence_studies": studies_table,
        "evidence_effects": effects_table,
        "evidence_harms": harms_table,
        "evidence_pooled": pooled_table,
        "evidence_intervals": intervals_table,
        "evidence_editorial": editorial_table,
        "evidence_bias": bias_table,
        "evidence_findings": findings_table,
    }
    return makers[name]


def _of_validation(name: str) -> Callable[[Source, CohortConfig, Plan], Draft]:
    """Return what makes a table of the validation study; imported only when one is made."""
    from sorafenib_rfa.exhibits.validation_tables import (
        study_estimators_table,
        study_failures_table,
        study_primary_table,
    )

    makers: Mapping[str, Callable[[Source, CohortConfig, Plan], Draft]] = {
        "study_primary": study_primary_table,
        "study_estimators": study_estimators_table,
        "study_failures": study_failures_table,
    }
    return makers[name]
