"""Who was seen, who left and why, and what was quarantined: the numbers of the STROBE flow diagram."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.clean.identity import usubjid
from sorafenib_rfa.coded import encoded
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates

ENGINE = "sorafenib_rfa.estimates.flow"
POPULATION = "All patients in the raw exports"
FATES = ("analysed", "quarantined", "excluded")


def estimate_flow(
    attrition: pd.DataFrame,
    fates: pd.DataFrame,
    quarantine: pd.DataFrame,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Count patients through every cleaning and eligibility step, and quarantined values and rows by rule.

    Parameters
    ----------
    attrition : DataFrame
        ``step_no, step_id, reason, stage, site, arm, n_before, n_excluded, n_after``: one row a step, site and arm.
    fates : DataFrame
        ``USUBJID, site, arm, fate, step_id, src_file, src_sheet, src_row, ...``: one row a patient ever seen.
    quarantine : DataFrame
        ``site, subject_id, table, rule, scope, file, sheet, row, ...``: one row a quarantined value or row, or flag.
    cohort : CohortConfig
        Its arms.
    cohort_name : str
        Name of the cohort.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``flow``. Curve ``flow``: ``step_no, step_id, reason, stage, group, site, n_before, n_excluded,
        n_after, ard_id`` (group ``overall`` or an arm; site ``all`` or a site id; `ard_id` of `n_excluded`).

    Raises
    ------
    ValueError
        If the ledgers contradict each other: patients lost or counted twice.
    """
    _check_conservation(attrition, fates)
    ard = ArdBuilder(cohort_name, "flow", record)
    fates = encoded(fates)  # it is cut and counted some hundred times
    sites = sorted(fates["site"].dropna().astype(str).unique())
    arms = arms_of(cohort)
    _add_patients(ard, attrition, fates, sites, arms)
    flow = _add_steps(ard, attrition, fates, sites, arms)
    subjects = usubjid(cohort_name, quarantine["site"], quarantine["subject_id"])
    _add_quarantine(ard, encoded(quarantine.assign(USUBJID=subjects)), sites)
    return ard.estimates({"flow": flow})


def _check_conservation(attrition: pd.DataFrame, fates: pd.DataFrame) -> None:
    """Raise ValueError unless both ledgers tell of the same patients."""
    unknown = sorted(set(fates["fate"].astype(str)) - set(FATES))
    if unknown:
        raise ValueError(f"fates holds fates other than {FATES}: {unknown}")
    if fates["USUBJID"].duplicated().any():
        twice = fates.loc[fates["USUBJID"].duplicated(), "USUBJID"].astype(str).tolist()
        raise ValueError(f"fates holds patients twice: {twice[:5]}")
    left = int((fates["fate"] != "analysed").sum())
    by_ledger = int(attrition["n_excluded"].sum())
    if left != by_ledger:
        raise ValueError(
            f"the ledgers contradict each other: {left} patients were not analysed by the fates, "
            f"{by_ledger} left at a step of the attrition table"
        )


def _add_patients(ard: ArdBuilder, attrition: pd.DataFrame, fates: pd.DataFrame, sites: list[str], arms: Arms) -> None:
    """Add how many patients were screened and what became of them: overall, by arm and by site."""
    common = {"unit": "count", "engine": ENGINE, "population": POPULATION}

    def add_fates(chosen: pd.DataFrame, method: str, **where: object) -> None:
        said = f"patients with any record, {method}"
        ard.add("patients", "screened", len(chosen), method=said, members=chosen, **common, **where)
        for fate in FATES:
            own = chosen[chosen["fate"] == fate]
            said = f"patients whose fate is {fate}, {method}"
            ard.add("patients", fate, len(own), method=said, members=own, **common, **where)

    add_fates(fates, "all sites")
    for site in sites:
        add_fates(fates[fates["site"] == site], f"site {site}", variable="site", level=site)

    first, last = attrition["step_no"].min(), attrition["step_no"].max()
    for arm in _with_patients(attrition, arms):
        rows, own = attrition[attrition["arm"] == arm], fates[fates["arm"] == arm]
        stayed = own["fate"] == "analysed"
        counts = {
            "screened": (rows.loc[rows["step_no"] == first, "n_before"].sum(), own),
            "left": (rows["n_excluded"].sum(), own[~stayed]),
            "analysed": (rows.loc[rows["step_no"] == last, "n_after"].sum(), own[stayed]),
        }
        for stat, (count, members) in counts.items():
            ard.add(
                "patients",
                stat,
                int(count),
                group=arms.slug(arm),
                method="from the attrition table; the arm is the one the patient would have had",
                members=members,
                **common,
            )


def _with_patients(attrition: pd.DataFrame, arms: Arms) -> list[str]:
    """Return both arms of a cohort that has arms, in the order of display; one of them may be empty."""
    return list(arms.labels) if attrition["arm"].isin(arms.labels).any() else []


def _equal(column: pd.Series, value: object) -> np.ndarray:
    return (column == value).to_numpy(dtype=bool, na_value=False)


def _add_steps(
    ard: ArdBuilder, attrition: pd.DataFrame, fates: pd.DataFrame, sites: list[str], arms: Arms
) -> pd.DataFrame:
    """Add who left at each step, and return the frame the flow diagram draws."""
    counts = ["n_before", "n_excluded", "n_after"]
    drawn: list[dict] = []
    numbers = attrition.drop_duplicates("step_id").set_index("step_id")["step_no"]
    # the analysed left at no step
    left_at = fates["step_id"].astype(object).map(numbers).astype("float64").fillna(float("inf")).to_numpy()
    seen = fates[["USUBJID", "src_file", "src_sheet", "src_row"]]
    everyone = np.ones(len(fates), dtype=bool)
    slices: list[tuple[str, str, np.ndarray, np.ndarray]] = [
        ("overall", "all", np.ones(len(attrition), dtype=bool), everyone)
    ]
    for arm in _with_patients(attrition, arms):
        slices.append((arms.slug(arm), "all", _equal(attrition["arm"], arm), _equal(fates["arm"], arm)))
    for site in sites:
        slices.append(("overall", site, _equal(attrition["site"], site), _equal(fates["site"], site)))
    for (step_no, step_id), step in attrition.groupby(["step_no", "step_id"], sort=True):
        step_id = str(step_id)
        head = {
            "step_no": int(step["step_no"].iloc[0]),
            "step_id": step_id,
            "reason": str(step["reason"].iloc[0]),
            "stage": str(step["stage"].iloc[0]),
        }
        of_step = _equal(attrition["step_id"], step_id) & _equal(attrition["step_no"], step_no)
        for group, site, rows, patients in slices:
            totals = {name: int(attrition.loc[of_step & rows, name].sum()) for name in counts}
            common = {
                "unit": "count",
                "engine": ENGINE,
                "population": POPULATION,
                "group": group,
                "variable": step_id,
                "level": None if site == "all" else site,
            }
            excluded_id = ard.add(
                "step",
                "excluded",
                totals["n_excluded"],
                method=f"patients who left at step {head['step_no']}: {head['reason']}",
                members=seen[patients & (left_at == step_no)],
                **common,
            )
            ard.add(
                "step",
                "remaining",
                totals["n_after"],
                method=f"patients left after step {head['step_no']}: {head['reason']}",
                members=seen[patients & (left_at > step_no)],
                **common,
            )
            drawn.append({**head, "group": group, "site": site, **totals, "ard_id": excluded_id})
    columns = ["step_no", "step_id", "reason", "stage", "group", "site", *counts, "ard_id"]
    return pd.DataFrame(drawn, columns=columns)


def _add_quarantine(ard: ArdBuilder, quarantine: pd.DataFrame, sites: list[str]) -> None:
    """Add how many values and rows were quarantined and, apart from them, how many records were only flagged.

    In all, by rule, by site and by table.
    """
    common = {"unit": "count", "engine": ENGINE, "population": "All rows of the raw exports"}
    scopes = {
        "values": ("value", "cells whose value could not be used (the row stayed)"),
        "rows": ("row", "rows that left as a whole"),
        "flags": ("flag", "records that are odd and stay as they are: nothing was quarantined"),
    }

    def add(rows: pd.DataFrame, analysis: str, what: str, **where: object) -> None:
        for stat, (scope, meaning) in scopes.items():
            own = rows[rows["scope"] == scope]
            ard.add(analysis, stat, len(own), method=f"{meaning}, {what}", members=own, **common, **where)

    add(quarantine, "quarantine", "all sites, tables and rules")
    for rule, rows in quarantine.groupby(quarantine["rule"].astype(str), sort=True):
        add(rows, "quarantine_rule", f"rule {rule}", variable=str(rule))
    for site in sites:
        add(quarantine[quarantine["site"] == site], "quarantine_site", f"site {site}", variable=site)
    for table, rows in quarantine.groupby(quarantine["table"].astype(str), sort=True):
        add(rows, "quarantine_table", f"table {table}", variable=str(table))
