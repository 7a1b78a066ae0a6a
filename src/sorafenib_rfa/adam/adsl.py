"""ADSL: one row an analysed patient, with everything that is known once about them.

Time zero is the index RFA (TRTSDT). Nothing here looks ahead except TRT01A and EXPOSFL, which classify patients by
what they took later; comparisons aligned at time zero use LMFL and LMTRT. In a cohort with arms assigned at time
zero all of them are the assignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pandas as pd

from sorafenib_rfa.adam.schemas import BASELINE_VARIABLES, dataset
from sorafenib_rfa.adam.timing import DATE, days_since, last_known_alive, recurrences
from sorafenib_rfa.clean.baseline import age_at_index, baseline_labs, staging
from sorafenib_rfa.clean.exposure import assigned_arm, first_exposure, index_rfa
from sorafenib_rfa.clinical.liver import albi_grade, albi_score, child_pugh_class
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.vocabulary import CONTROL, SORAFENIB

_COPIED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "USUBJID": "USUBJID",
        "SUBJID": "subject_id",
        "SITEID": "site",
        "SEX": "sex",
        "ETIOLOGY": "etiology",
        "ANTIVFL": "antiviral",
        "CIRRHFL": "cirrhosis",
        "ECOG": "ecog",
        "RECURFL": "recurrent_hcc",
        "TUMCOUNT": "tumour_count",
        "TUMSIZE": "largest_tumour_cm",
        "RECBCLC": "recorded_bclc",
        "DTHDT": "death_date",
    }
)


def build_adsl(tables: Mapping[str, pd.DataFrame], cohort: Cohort, plan: Plan) -> pd.DataFrame:
    """Return one row a patient of the clean table ``patients``.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Clean tables; those of modules the cohort lacks are not read.
    cohort : Cohort
    plan : Plan

    Returns
    -------
    DataFrame
        The columns of ADSL, derived as the data dictionary says; not yet sorted or typed. Columns of modules the
        cohort lacks are all missing.
    """
    config = cohort.config
    patients = tables["patients"].set_index("USUBJID", drop=False, verify_integrity=True)
    subjects = patients.index
    values: dict[str, pd.Series | str] = {
        "STUDYID": cohort.name,
        **{column: patients[source] for column, source in _COPIED.items()},
        "COUNTRY": patients["site"].map({name: site.country for name, site in cohort.sites.items()}),
        "REGION": patients["site"].map({name: site.region for name, site in cohort.sites.items()}),
        "DTHFL": _y_n(patients["vital_status"].eq("dead").fillna(False)),
        **{name.upper(): _extra_variable(name, patients, config) for name in config.extra_variables},
    }
    start = pd.Series(pd.NaT, index=subjects, dtype=DATE)
    if config.offers("ablations"):
        start = index_rfa(tables["ablations"]).reindex(subjects).astype(DATE)
    values |= {
        "TRTSDT": start,
        "AGE": age_at_index(tables["patients"], start),
        "LSTALVDT": last_known_alive(tables, subjects),
    }
    if config.offers("survival_times"):
        times = tables["survival_times"]
        dead = times.loc[times["endpoint"].eq("OS") & times["event"].eq(1), "USUBJID"]
        values["DTHFL"] = _y_n(pd.Series(subjects.isin(dead), index=subjects))
    if config.offers("imaging"):
        values |= dict(recurrences(tables["imaging"], start).items())
    if config.offers("labs"):
        values |= _liver_function(tables["patients"], tables["labs"], start, plan)
    if config.offers("treatment"):
        recurred = values.get("RECDT", pd.Series(pd.NaT, index=subjects, dtype=DATE))
        values |= _treatment(tables["drug_exposure"], start, recurred, patients["death_date"], values["LSTALVDT"], plan)
    if config.offers("assigned_treatment"):
        values |= _assigned_treatment(patients["assigned_arm"], config)
    columns = dataset("adsl", config).columns
    return pd.DataFrame({name: values.get(name, pd.NA) for name in columns}, index=subjects).reset_index(drop=True)


def _assigned_treatment(assigned: pd.Series, config: CohortConfig) -> dict[str, pd.Series]:
    """Return the assigned arm; assignment is time zero, so everyone is at risk there, in the arm assigned."""
    declared = config.assigned_arms
    assert declared is not None
    arm = assigned.map({each.value: each.label for each in (declared.treated, declared.control)}).astype("string")
    return {"TRT01A": arm, "LMFL": _y_n(pd.Series(True, index=assigned.index)), "LMTRT": arm}


def _extra_variable(name: str, patients: pd.DataFrame, config: CohortConfig) -> pd.Series:
    """Return an extra variable as recorded, or two groups of a number: at its median in `patients`, or at a value."""
    declared = config.extra_variables[name]
    if declared.split is None:
        return patients[name]
    value = patients[declared.split.of]
    if declared.split.at is not None:
        upper = value >= declared.split.at
    else:
        upper = value >= value.median() if declared.split.median_in == "upper" else value > value.median()
    lower_group, upper_group = declared.levels or ()
    return upper.map({True: upper_group, False: lower_group}).astype("string")


def _y_n(condition: pd.Series) -> pd.Series:
    return condition.astype(bool).map({True: "Y", False: "N"})


def _liver_function(patients: pd.DataFrame, labs: pd.DataFrame, start: pd.Series, plan: Plan) -> dict[str, pd.Series]:
    """Return baseline laboratory values, ALBI, Child-Pugh and BCLC."""
    baseline = baseline_labs(labs, start, plan.baseline_window_days)
    stage = staging(patients, labs, start, plan.baseline_window_days)
    score = albi_score(baseline["BILI"], baseline["ALB"])
    return {
        **{column: baseline[test] for test, column in BASELINE_VARIABLES.items()},
        "ALBISC": score,
        "ALBIGR": albi_grade(score),
        "CPSCORE": stage["child_pugh_score"],
        "CPCLASS": child_pugh_class(stage["child_pugh_score"]),
        "BCLC": stage["bclc"],
    }


def _treatment(
    drug_exposure: pd.DataFrame,
    start: pd.Series,
    recurred: pd.Series,
    died: pd.Series,
    last_alive: pd.Series,
    plan: Plan,
) -> dict[str, pd.Series]:
    """Return exposure, arm and landmark. A dose on the day of the recurrence treats the recurrence."""
    first_dose = first_exposure(drug_exposure).reindex(start.index).astype(DATE)
    landmark = start + pd.Timedelta(days=plan.landmark_day)
    # a missing date of death or recurrence compares as false: neither happened
    at_risk = ~(died <= landmark) & ~(recurred <= landmark) & (last_alive >= landmark)
    return {
        "EXSTDT": first_dose,
        "EXDELAY": days_since(first_dose, start),
        "EXPOSFL": _y_n(first_dose.notna() & (recurred.isna() | (first_dose < recurred))),
        "TRT01A": assigned_arm(start, first_dose, recurred, plan.grace_period_days),
        "LMFL": _y_n(at_risk),
        "LMTRT": (first_dose <= landmark).map({True: SORAFENIB, False: CONTROL}).where(at_risk),
    }
