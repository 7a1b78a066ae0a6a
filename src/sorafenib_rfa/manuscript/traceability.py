"""What became of the plan: each estimand and decision, whether the results show it, where, and what deviates.

That something was done is read off the ARD, never typed. What was not done, or done otherwise, needs its reason in
``manuscript/deviations.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.estimates.ard import slug
from sorafenib_rfa.exhibits.format import escape_markdown
from sorafenib_rfa.manuscript.checklists import placed
from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at
from sorafenib_rfa.manuscript.source import Sourced
from sorafenib_rfa.manuscript.whereabouts import Whereabouts
from sorafenib_rfa.manuscript.yaml_source import read_yaml

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["done", "deviated", "not done"]

_Row = tuple[str, str, str, str, str, float]
PLAN_FILE: Final = "config/plan.yaml"
_DEVIATION_KEYS: Final = ("status", "what", "reason")


@dataclass(frozen=True)
class Deviation:
    """What was done otherwise than planned, or not at all, and why."""

    status: Status
    what: str
    reason: str
    line: int


@dataclass(frozen=True)
class Planned:
    """One estimand or decision of the plan.

    Attributes
    ----------
    key : str
        Dotted key in the plan.
    words : str
        What is planned.
    evidence : sequence of str
        Patterns of ARD ids; each must have a row for the item to count as done.
    estimand : str
        For an estimand: its id, by which rows of the ARD cite it.
    agrees : callable, optional
        Whether the values of the rows found are those planned: id -> value, to bool.
    """

    key: str
    words: str
    evidence: Sequence[str] = ()
    estimand: str = ""
    agrees: Callable[[Mapping[str, float]], bool] | None = None


@dataclass(frozen=True)
class Traced:
    """What became of one item of the plan.

    Attributes
    ----------
    planned : Planned
    status : {"done", "deviated", "not done"}
    rows : list of str
        ``cohort:ard_id`` of the evidence.
    analyses, records : list of str
        Analyses of these rows, and records of the jobs that made them.
    labels : list of str
        Sections, tables and figures that show them.
    deviation : Deviation or None
    """

    planned: Planned
    status: Status
    rows: list[str]
    analyses: list[str]
    records: list[str]
    labels: list[str]
    deviation: Deviation | None = field(default=None)


def planned_items(plan: Plan) -> Iterator[Planned]:
    """Yield every estimand and every decision of a plan, with the rows of the ARD that would show it."""
    for key, estimand in plan.estimands.items():
        yield Planned(f"estimands.{key}", f"{estimand.title} ({estimand.role})", estimand=key)
    months = [f"m{slug(f'{month:g}')}" for month in plan.horizons_months]
    restricted = f"m{slug(f'{plan.rmst_horizon_months:g}')}"
    level = f"{100 * plan.confidence_level:g}%"
    yield Planned("grace_period_days", f"Grace period of {plan.grace_period_days} days", ["target_trial.cloning.*"])
    yield Planned("landmark_day", f"Landmark on day {plan.landmark_day}", ["efficacy.landmark.*"])
    yield Planned(
        "trim_scores",
        "Trimming of propensity scores outside {:g} to {:g}".format(*plan.trim_scores),
        ["baseline.propensity.*.trimmed.*", "efficacy.*_cox_trimmed.*"],
    )
    yield Planned(
        "bootstrap_resamples",
        f"{plan.bootstrap_resamples} bootstrap resamples of patients",
        ["*.resamples"],
        agrees=lambda values: set(values.values()) == {plan.bootstrap_resamples},
    )
    yield Planned(
        "baseline_window_days",
        "Laboratory values at baseline: {} days before to {} days after RFA".format(*plan.baseline_window_days),
        ["baseline.table1.*.alt.*", "baseline.table1.*.plt.*"],
    )
    yield Planned(
        "horizons_months",
        "Results at " + ", ".join(f"{month:g}" for month in plan.horizons_months) + " months",
        [f"target_trial.*.{month}.survival" for month in months],
    )
    yield Planned(
        "rmst_horizon_months",
        f"Restricted means to month {plan.rmst_horizon_months:g}",
        [f"target_trial.*.{restricted}.rmst", f"efficacy.*_rmst*.{restricted}.rmst"],
    )
    yield Planned("confidence_level", f"Intervals at {level}", ["target_trial.*.contrast.hr"])
    yield Planned(
        "treatment_emergent_days",
        f"Adverse events count until {plan.treatment_emergent_days} days after the last dose",
        ["safety.summary.*"],
    )
    yield Planned(
        "rfa_complication_days", f"Complications of RFA within {plan.rfa_complication_days} days",
        ["ablation.session.*", "ablation.related_event.*"],
    )  # fmt: skip
    yield Planned("ctcae_version", f"Grades by CTCAE v{plan.ctcae_version}", ["safety.term_worst_grade.*"])
    yield Planned(
        "small_group",
        f"Groups of fewer than {plan.small_group} patients are described, not tested",
        ["efficacy.landmark.*.n"],
    )
    yield Planned(
        "table_one", "Variables of the table of baseline characteristics",
        [f"baseline.table1.*{slug(name)}.missing" for name in plan.table_one],
    )  # fmt: skip
    yield Planned(
        "adjustment_set", "Adjustment set: " + ", ".join(plan.covariates[name].label for name in plan.adjustment_set),
        [f"baseline.landmark.*{slug(name)}.*" for name in plan.adjustment_set],
    )  # fmt: skip
    yield Planned("covariates", "Form of each covariate in the propensity score", ["baseline.propensity.*"])
    yield Planned(
        "effect_over_time",
        "Effect in pieces and as a spline of log time",
        ["time_to_event.*_effect_over_time.contrast.piece.*", "time_to_event.*_effect_over_time.contrast.spline.*"],
    )
    for key, subgroup in plan.subgroups.items():
        yield Planned(
            f"subgroups.{key}", f"Subgroups by: {subgroup.label}",
            [f"subgroups.*.contrast.{slug(key)}.{slug(name)}.hr" for name in subgroup.levels]
            + [f"subgroups.*.contrast.{slug(key)}.interaction_p_holm"],
        )  # fmt: skip
    if plan.sensitivity is not None:
        yield from _sensitivity(plan)
    yield from _safety(plan)


def _safety(plan: Plan) -> Iterator[Planned]:
    for key, query in plan.events_of_interest.items():
        yield Planned(
            f"events_of_interest.{key}",
            f"Adverse events counted together as {query.label}: " + ", ".join(query.terms),
            [f"safety.interest.*.{slug(key)}.any.percent"],
        )
    yield Planned(
        "adverse_event_months",
        "Incidence of adverse events by " + ", ".join(f"{month:g}" for month in plan.adverse_event_months) + " months",
        [f"safety.incidence_*.m{slug(f'{month:g}')}.incidence" for month in plan.adverse_event_months],
    )
    yield Planned(
        "liver.albi_months",
        "Mean ALBI at " + ", ".join(f"{month:g}" for month in plan.liver.albi_months) + " months",
        [f"liver.albi_course.contrast.m{slug(f'{month:g}')}.difference" for month in plan.liver.albi_months],
    )
    full = plan.exposure.full_dose_mg_per_day
    yield Planned(
        "exposure.full_dose_mg_per_day", f"Dose intensity relative to {full:g} mg a day",
        ["exposure.dose.*.relative_dose_intensity.mean"],
    )  # fmt: skip
    yield Planned(
        "exposure.duration_landmarks_months",
        "Effect by achieved duration from months "
        + ", ".join(f"{month:g}" for month in plan.exposure.duration_landmarks_months),
        [
            f"exposure.landmark_m{slug(f'{month:g}')}.contrast.adjusted.hr"
            for month in plan.exposure.duration_landmarks_months
        ],
    )
    weighed = plan.benefit_risk
    if weighed is None:
        return
    months = [f"m{slug(f'{month:g}')}" for month in weighed.horizons_months]
    for effect in weighed.effects:
        yield Planned(
            f"benefit_risk.effects.{effect.id}",
            f"{effect.kind.capitalize()} to be weighed: {effect.label}",
            [f"benefit_risk.{effect.id}.contrast.{month}.risk_difference" for month in months],
        )
    for name, worth in (("toxicity", weighed.utility_toxicity), ("relapse", weighed.utility_relapse)):
        yield Planned(
            f"benefit_risk.utility_{name}",
            f"Worth of a month with {name}: {worth:g}, beside all others from 0 to 1",
            [f"benefit_risk.qtwist.{name}.utility", "benefit_risk.qtwist.contrast.utilities.*"],
            agrees=lambda values, key=f"benefit_risk.qtwist.{name}.utility", worth=worth: values[key] == worth,
        )


def _sensitivity(plan: Plan) -> Iterator[Planned]:
    choices = plan.sensitivity
    assert choices is not None
    many = choices.specifications
    declared = (
        len(many.endpoints) * len(many.estimators) * len(many.adjustment_sets) * len(many.grace_period_days)
        * len(many.missing) * len(many.eligibility)
    )  # fmt: skip
    yield Planned(
        "sensitivity.truncate_weights_at",
        f"Weights truncated at quantile {choices.truncate_weights_at:g}",
        ["target_trial.*_truncated.contrast.hr"],
    )
    yield Planned(
        "sensitivity.imputations",
        f"Multiple imputation, {choices.imputations} data sets",
        ["sensitivity.imputation.imputations", "sensitivity.imputed_*.contrast.hr"],
        agrees=lambda values: values["sensitivity.imputation.imputations"] == choices.imputations,
    )
    yield Planned(
        "sensitivity.caliper_sd",
        f"Matching within a caliper of {choices.caliper_sd:g} standard deviations",
        ["sensitivity.matched_*.contrast.pairs", "sensitivity.matched_*.contrast.hr"],
    )
    yield Planned(
        "sensitivity.specifications",
        f"Specification curve over {declared} combinations of choices",
        ["sensitivity.specifications.contrast.all.declared", "sensitivity.specification.*"],
        agrees=lambda values: values["sensitivity.specifications.contrast.all.declared"] == declared,
    )
    yield Planned(
        "sensitivity.tipping",
        "Tipping points for unmeasured confounding and for censoring",
        ["sensitivity.tipping_confounding_*", "sensitivity.tipping_censoring_*"],
    )


def planned_words(plan: Plan) -> list[str]:
    """Return the texts that the table of the plan prints."""
    return [text for item in planned_items(plan) for text in (item.words, item.key.rpartition(".")[2])]


def load_deviations(path: Path, plan: Plan, shown: str | None = None) -> dict[str, Deviation]:
    """Read ``deviations.yaml``: dotted key of the plan -> status (deviated, not done), what, reason.

    Raises
    ------
    ManuscriptError
        If it cannot be read, names what the plan does not have, or lacks a part; with file and line.
    """
    shown = path.as_posix() if shown is None else shown
    root, content = read_yaml(path, shown)
    known = {item.key for item in planned_items(plan)}
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value} if root is not None else {}
    problems: list[Problem] = []
    deviations: dict[str, Deviation] = {}
    for key, entry in (content or {}).items():
        place = (shown, lines[key])
        if key not in known:
            problems.append(problem_at(place, f"the plan has no {key!r}", expected=", ".join(sorted(known))))
        elif not isinstance(entry, dict) or set(entry) != set(_DEVIATION_KEYS):
            problems.append(problem_at(place, f"{key}: an entry has these keys", expected=", ".join(_DEVIATION_KEYS)))
        elif entry["status"] not in ("deviated", "not done"):
            problems.append(
                problem_at(place, f"{key}: that something was done is read off the results", found=str(entry["status"]),
                           expected="deviated or not done")
            )  # fmt: skip
        elif not all(isinstance(entry[part], str) and entry[part].strip() for part in ("what", "reason")):
            problems.append(problem_at(place, f"{key} lacks what happened (what) or why (reason)"))
        else:
            said = {part: " ".join(entry[part].split()) for part in ("what", "reason")}
            deviations[key] = Deviation(entry["status"], said["what"], said["reason"], lines[key])
    if problems:
        raise ManuscriptError(problems)
    return deviations


def trace_plan(
    plan: Plan,
    ards: Mapping[str, pd.DataFrame],
    deviations: Mapping[str, Deviation],
    where: Whereabouts,
    *,
    shown: str = "manuscript/deviations.yaml",
) -> tuple[list[Traced], list[Problem]]:
    """Return what became of each item of the plan, and a problem for each of which that is not said.

    Parameters
    ----------
    plan : Plan
    ards : mapping
        Cohort -> ARD, of the paper's cohort and those of its supplement.
    deviations : mapping
        From :func:`load_deviations`.
    where : Whereabouts
        Where the text shows results.
    shown : str
        File of the deviations, for problems.
    """
    rows = _Rows(ards)
    traced, problems = [], []
    for item in planned_items(plan):
        found, missing = _evidence(item, plan, rows)
        deviation = deviations.get(item.key)
        status: Status = deviation.status if deviation else "done"
        if missing and deviation is None:
            problems.append(
                Problem(
                    f"{item.key}: no result shows that this was done",
                    file=PLAN_FILE,
                    found="; ".join(missing),
                    expected="rows of the ARD that cite it",
                    hint=f"say in {shown} that it was not done, or done otherwise, and why",
                )
            )
            continue
        if deviation is not None and deviation.status == "not done" and not missing:
            problems.append(
                problem_at((shown, deviation.line), f"{item.key} is said not to be done, but results show it",
                           found=f"{found[0][0]}:{found[0][1]}")
            )  # fmt: skip
            continue
        ids = [f"{row[0]}:{row[1]}" for row in found]
        at = {label for identifier in ids for label in where.shown.get(identifier, ())}
        traced.append(
            Traced(
                item, status, ids,
                sorted({f"{row[1].partition('.')[0]}.{row[3]}" for row in found}),
                sorted({f"results/{row[0]}/{row[4]}" for row in found}),
                [label for label in where.labels if label in at],
                deviation,
            )
        )  # fmt: skip
    return traced, problems


class _Rows:
    """Rows of the ARDs as (cohort, ard_id, estimand_id, analysis_id, record, value), by part and by estimand."""

    def __init__(self, ards: Mapping[str, pd.DataFrame]) -> None:
        self.of_part: dict[str, list[_Row]] = {}
        self.of_estimand: dict[str, list[_Row]] = {}
        for cohort, ard in ards.items():
            columns = [ard[name].tolist() for name in ("ard_id", "estimand_id", "analysis_id", "record", "value")]
            for row in zip(*columns, strict=True):
                self.of_part.setdefault(row[0].partition(".")[0], []).append((cohort, *row))
                self.of_estimand.setdefault(row[1], []).append((cohort, *row))

    def matching(self, pattern: str) -> list[_Row]:
        """Return the rows whose id matches a pattern."""
        part = pattern.partition(".")[0]
        found = re.compile(translate(pattern)).match
        parts = self.of_part.values() if "*" in part else [self.of_part.get(part, [])]
        return [row for rows in parts for row in rows if found(row[1])]


def _evidence(item: Planned, plan: Plan, rows: _Rows) -> tuple[list[_Row], list[str]]:
    """Return the rows that show an item, and what is missing for it to count as done."""
    if item.estimand:
        suffixes = plan.estimands[item.estimand].other_populations
        cited = [item.estimand, *(f"{item.estimand}_{suffix}" for suffix in suffixes)]
        found = [row for name in cited for row in rows.of_estimand.get(name, [])]
        return found, [f"no row cites {name}" for name in cited if name not in rows.of_estimand]
    by_pattern = {pattern: rows.matching(pattern) for pattern in item.evidence}
    found = list(dict.fromkeys(row for own in by_pattern.values() for row in own))
    missing = [f"no row {pattern}" for pattern, own in by_pattern.items() if not own]
    if not missing and item.agrees is not None and not item.agrees({row[1]: float(row[5]) for row in found}):
        missing = ["the values in the results are not those planned"]
    return found, missing


def plan_table(traced: Sequence[Traced]) -> Sourced:
    """Return the plan and what became of it as a pipe table with cross-references."""
    made = Sourced()
    place = (PLAN_FILE, 1)
    made.add("| Key of the plan | Planned, and what was done otherwise | Status | Shown in |", place)
    made.add("|:----------------|:-------------------------------------|:-------|:---------|", place)
    for item in traced:
        where = ", ".join(_reference(label) for label in item.labels)
        words = escape_markdown(item.planned.words)
        if item.deviation is not None:
            said = f"{item.deviation.what} {item.deviation.reason}"
            words += f". *{item.status.capitalize()}:* {escape_markdown(said)}"
        key = item.planned.key.rpartition(".")[2]
        made.add(f"| {escape_markdown(key)} | {words} | {item.status.capitalize()} | {where} |", place)
    return made


def _reference(label: str) -> str:
    return {"title": "Title", "abstract": "Abstract"}.get(label) or f"@{label}"


def plan_report(
    traced: Sequence[Traced], plan: Plan, *, paper: str, labels: Mapping[str, str], pages: Mapping[str, int]
) -> str:
    """Return what became of the plan as Markdown, with the evidence of each item.

    Parameters as for :func:`~sorafenib_rfa.manuscript.checklists.checklist_report`.
    """
    lines = [
        f"# Analysis plan {plan.version} and what became of it",
        "",
        f"Paper: {paper}. Done means that rows of the analysis results (ARD) show it; nobody typed it.",
        "",
        "| Plan | Planned | Status | Rows | Analyses | Shown in | Records of the jobs |",
        "|:-----|:--------|:-------|-----:|:---------|:---------|:--------------------|",
    ]
    for item in traced:
        where = ", ".join(placed(label, labels, pages) for label in item.labels) or "not shown in the paper"
        cells = [
            f"`{item.planned.key}`", item.planned.words, item.status, f"{len(item.rows)}",
            ", ".join(item.analyses), where, ", ".join(item.records),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    deviations = [item for item in traced if item.deviation is not None]
    lines += ["", "## Deviations", ""]
    lines += [
        f"- `{item.planned.key}` ({item.status}): {item.deviation.what} {item.deviation.reason}"
        for item in deviations
        if item.deviation is not None
    ] or ["None."]
    return "\n".join(lines) + "\n"
