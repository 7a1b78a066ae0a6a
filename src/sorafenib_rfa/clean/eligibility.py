"""The rules that ``eligibility`` of a cohort's configuration can name; each says which patients it keeps.

A rule is a function of :class:`Candidates` and its declared params. What is unknown does not keep a patient: an
analysis of, say, adults is of patients known to be adults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, get_type_hints

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from sorafenib_rfa.clean.baseline import age_at_index, staging
from sorafenib_rfa.clean.exposure import first_exposure, index_rfa
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.ingest.text import did_you_mean


@dataclass(frozen=True)
class Candidates:
    """Patients whose data survived cleaning, with all that eligibility looks at.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        Cleaned canonical tables with ``USUBJID``; one row a patient in ``patients``. Other tables may hold rows of
        patients who have left.
    plan : Plan
    cohort : CohortConfig
    known : dict
        What an earlier rule found out, of these patients or more: handed on from rule to rule, it is found out once.
    """

    tables: Mapping[str, pd.DataFrame]
    plan: Plan
    cohort: CohortConfig
    known: dict[str, pd.Series] = field(default_factory=dict)

    @cached_property
    def patients(self) -> pd.DataFrame:
        """One row a patient, indexed by USUBJID."""
        return self.tables["patients"].set_index("USUBJID")

    @cached_property
    def index_date(self) -> pd.Series:
        """Date of the index RFA of every patient, NaT without one."""
        if "index_date" not in self.known:
            self.known["index_date"] = index_rfa(self.tables["ablations"])
        return self.known["index_date"].reindex(self.patients.index)

    @cached_property
    def stage(self) -> pd.Series:
        """BCLC stage at the index RFA, NA where not computable."""
        if "stage" not in self.known:
            window = self.plan.baseline_window_days
            staged = staging(self.tables["patients"], self.tables["labs"], self.index_date, window)
            self.known["stage"] = staged["bclc"]
        return self.known["stage"].reindex(self.patients.index)

    def keep(self, condition: pd.Series) -> pd.Series:
        """Return `condition` as plain booleans for every patient; what is unknown or absent is False."""
        return condition.reindex(self.patients.index).astype("boolean").fillna(False).astype(bool)


def has_index_rfa(c: Candidates) -> pd.Series:
    """Keep patients with a dated ablation."""
    return c.keep(c.index_date.notna())


def minimum_age(c: Candidates, years: float) -> pd.Series:
    """Keep patients known to have completed `years` years of age at time zero."""
    return c.keep(age_at_index(c.tables["patients"], c.index_date) >= years)


def no_prior_systemic_therapy(c: Candidates) -> pd.Series:
    """Keep patients recorded as never having had systemic therapy before the index RFA."""
    return c.keep(c.patients["prior_systemic_therapy"] == "N")


def stage_computable(c: Candidates) -> pd.Series:
    """Keep patients whose BCLC stage follows from recorded facts; the recorded stage is not trusted."""
    return c.keep(c.stage.notna())


def stage_in(c: Candidates, stages: list[str]) -> pd.Series:
    """Keep patients of the BCLC `stages`."""
    return c.keep(c.stage.isin(stages))


def index_rfa_complete(c: Candidates) -> pd.Series:
    """Keep patients whose every tumour treated in the index session was completely ablated on control imaging."""
    ablations = c.tables["ablations"]
    session = ablations[(ablations["ablation_date"] == ablations["USUBJID"].map(c.index_date)).to_numpy(dtype=bool)]
    complete = (session["complete_ablation"] == "Y").fillna(False).astype(bool)
    return c.keep(complete.groupby(session["USUBJID"]).all())


def no_drug_before_index(c: Candidates) -> pd.Series:
    """Keep patients who took no sorafenib before the day of the index RFA."""
    first = first_exposure(c.tables["drug_exposure"]).reindex(c.patients.index)
    return c.keep(~(first < c.index_date))


def has_follow_up(c: Candidates) -> pd.Series:
    """Keep patients seen, imaged or dead after the day of the index RFA."""
    imaging = c.tables["imaging"]
    dates = [
        c.patients["last_contact_date"],
        c.patients["death_date"],
        imaging.groupby("USUBJID")["imaging_date"].max().reindex(c.patients.index),
    ]
    last = pd.concat(dates, axis=1).max(axis=1)
    return c.keep(last > c.index_date)


def has_survival_times(c: Candidates, endpoints: list[str] = ["OS", "RFS"]) -> pd.Series:  # noqa: B006
    """Keep patients with time and event of all `endpoints`, in cohorts published with derived times."""
    times = c.tables["survival_times"]
    known = times[times["endpoint"].isin(endpoints) & times["time_months"].notna() & times["event"].notna()]
    return c.keep(known.groupby("USUBJID")["endpoint"].nunique() == len(set(endpoints)))


def arm_compared(c: Candidates) -> pd.Series:
    """Keep patients assigned to one of the two arms of `assigned_arms`; a trial may have had more."""
    arms = c.cohort.assigned_arms
    assert arms is not None, "CohortConfig lets no cohort without assigned arms name this rule"
    return c.keep(c.patients["assigned_arm"].isin([arms.treated.value, arms.control.value]))


ELIGIBILITY_RULES: Final[Mapping[str, Callable[..., pd.Series]]] = {
    rule.__name__: rule
    for rule in (
        has_index_rfa,
        minimum_age,
        no_prior_systemic_therapy,
        stage_computable,
        stage_in,
        index_rfa_complete,
        no_drug_before_index,
        has_follow_up,
        has_survival_times,
        arm_compared,
    )
}
"""Rule name -> function."""


def check_eligibility(cohort: CohortConfig, shown: str) -> list[Problem]:
    """Return a problem for each step whose rule is unknown, whose params do not fit or whose id is taken.

    Parameters
    ----------
    cohort : CohortConfig
    shown : str
        Path of the cohort's configuration, as messages show it.
    """
    problems = []
    ids: set[str] = set()
    for step in cohort.eligibility:
        key = f"eligibility.{step.id}"
        if step.id in ids:
            problems.append(Problem(f"{key}: another step has this id", file=shown, found=repr(step.id)))
        ids.add(step.id)
        rule = ELIGIBILITY_RULES.get(step.rule)
        if rule is None:
            problems.append(
                Problem(
                    f"{key}.rule: there is no such rule",
                    file=shown,
                    found=repr(step.rule),
                    expected="one of " + ", ".join(ELIGIBILITY_RULES),
                    hint=did_you_mean(step.rule, ELIGIBILITY_RULES),
                )
            )
            continue
        wanted = {name: p for name, p in inspect.signature(rule).parameters.items() if name != "c"}
        kinds = get_type_hints(rule)
        for name, value in step.params.items():
            if name not in wanted:
                problems.append(
                    Problem(
                        f"{key}.params.{name}: the rule {step.rule} has no such param",
                        file=shown,
                        found=repr(name),
                        expected=", ".join(wanted) or "no params",
                        hint=did_you_mean(name, wanted),
                    )
                )
                continue
            fault = _type_fault(kinds[name], value)
            if fault:
                problems.append(
                    Problem(
                        f"{key}.params.{name}: this value cannot be used", file=shown, found=repr(value), expected=fault
                    )
                )
        for name, parameter in wanted.items():
            if parameter.default is inspect.Parameter.empty and name not in step.params:
                problems.append(
                    Problem(
                        f"{key}.params.{name}: the rule {step.rule} needs this param",
                        file=shown,
                        found="nothing",
                        expected=f"{name}: {getattr(kinds[name], '__name__', kinds[name])}",
                    )
                )
    return problems


def _type_fault(kind: Any, value: Any) -> str | None:
    try:
        TypeAdapter(kind).validate_python(value, strict=kind is not float)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return None
