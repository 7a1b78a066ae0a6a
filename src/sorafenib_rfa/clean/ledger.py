"""The ledger: every patient ever seen has exactly one fate, and the steps add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

NO_ARM: Final = "Arm not determinable"
"""Arm, in the ledger only, of patients whose arm cannot be told: without an index RFA, or without an assigned arm."""

ATTRITION_COLUMNS: Final = {
    "step_no": "Int64",
    "step_id": "string",
    "reason": "string",
    "stage": "string",
    "site": "string",
    "arm": "string",
    "n_before": "Int64",
    "n_excluded": "Int64",
    "n_after": "Int64",
}
FATE_COLUMNS: Final = {
    "USUBJID": "string",
    "site": "string",
    "subject_id": "string",
    "arm": "string",
    "fate": "string",
    "step_id": "string",
    "reason": "string",
    "src_file": "string",
    "src_sheet": "string",
    "src_row": "Int64",
}


@dataclass(frozen=True)
class Step:
    """One step of the ledger and the patients who left at it."""

    id: str
    reason: str
    stage: Literal["clean", "eligibility"]
    leavers: frozenset[str]


def build_ledger(seen: pd.DataFrame, arms: pd.Series, steps: Sequence[Step]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the attrition table and the fates.

    Parameters
    ----------
    seen : DataFrame
        One row a patient ever seen: ``USUBJID, site, subject_id, src_file, src_sheet, src_row``.
    arms : Series of string
        Arm of each patient, or the one they would have had, by USUBJID.
    steps : sequence of Step
        In order. A patient named by several steps leaves at the first.

    Returns
    -------
    attrition : DataFrame
        ``step_no, step_id, reason, stage, site, arm, n_before, n_excluded, n_after``: a row for each step, site and
        arm that has patients, also where nobody left.
    fates : DataFrame
        ``USUBJID, site, subject_id, arm, fate, step_id, reason, src_file, src_sheet, src_row``, sorted by USUBJID.

    Raises
    ------
    AssertionError
        If patients were lost or counted twice: a defect of this repository.
    """
    assert not seen["USUBJID"].duplicated().any(), "a patient is seen twice"
    everyone = pd.Index(seen["USUBJID"])
    strangers = sorted({name for step in steps for name in step.leavers if name not in everyone})
    assert not strangers, f"steps take patients who were never seen: {strangers[:5]}"
    # number of the step at which each patient leaves; nobody leaves at the one after the last
    leaves = np.full(len(seen), len(steps))
    for number, step in reversed(list(enumerate(steps))):
        leaves[everyone.get_indexer(pd.Index(list(step.leavers), dtype=everyone.dtype))] = number
    arm = arms.reindex(everyone).fillna(NO_ARM).astype("string").to_numpy()
    state = pd.DataFrame({"site": seen["site"].astype("string").to_numpy(), "arm": arm}).astype("string")
    group = state.groupby(["site", "arm"], sort=True).ngroup().to_numpy()
    groups = state.drop_duplicates().sort_values(["site", "arm"])
    left = np.zeros((len(groups), len(steps) + 1), dtype=int)
    np.add.at(left, (group, leaves), 1)
    before = left[:, ::-1].cumsum(axis=1)[:, ::-1]
    counts = [
        [
            number,
            step.id,
            step.reason,
            step.stage,
            each.site,
            each.arm,
            *(int(n) for n in (n_before, out, n_before - out)),
        ]
        for number, step in enumerate(steps, start=1)
        for each, n_before, out in zip(
            groups.itertuples(index=False), before[:, number - 1], left[:, number - 1], strict=True
        )
    ]
    attrition = pd.DataFrame(counts, columns=list(ATTRITION_COLUMNS)).astype(ATTRITION_COLUMNS)
    fate_of_stage = {"clean": "quarantined", "eligibility": "excluded"}
    said = np.array(
        [*((fate_of_stage[step.stage], step.id, step.reason) for step in steps), ("analysed", None, None)], dtype=object
    )[leaves]
    fates = seen.assign(arm=arm, fate=said[:, 0], step_id=said[:, 1], reason=said[:, 2])
    fates = fates[list(FATE_COLUMNS)].sort_values("USUBJID", ignore_index=True).astype(FATE_COLUMNS)
    _assert_conserved(attrition, fates, len(seen))
    return attrition, fates


def _assert_conserved(attrition: pd.DataFrame, fates: pd.DataFrame, screened: int) -> None:
    """Raise AssertionError unless in = analysed + quarantined + excluded, by patient, by step and by group."""
    by_fate = fates["fate"].value_counts()
    total = {fate: int(by_fate.get(fate, 0)) for fate in ("analysed", "quarantined", "excluded")}
    assert sum(total.values()) == screened, f"{screened} patients seen, fates of {total}"
    if attrition.empty:
        assert total["analysed"] == screened, f"no step, yet fates of {total}"
        return
    first, last = attrition["step_no"].min(), attrition["step_no"].max()
    entered = int(attrition.loc[attrition["step_no"] == first, "n_before"].sum())
    stayed = int(attrition.loc[attrition["step_no"] == last, "n_after"].sum())
    assert entered == screened, f"{screened} patients seen, {entered} entered the first step"
    assert stayed == total["analysed"], f"{stayed} patients after the last step, {total['analysed']} analysed"
    for stage, fate in (("clean", "quarantined"), ("eligibility", "excluded")):
        out = int(attrition.loc[attrition["stage"] == stage, "n_excluded"].sum())
        assert out == total[fate], f"{out} patients left in stage {stage}, {total[fate]} have the fate {fate}"
    for (site, arm), rows in attrition.groupby(["site", "arm"]):
        chain = rows.sort_values("step_no")
        handed_on = chain["n_after"].iloc[:-1].to_numpy() == chain["n_before"].iloc[1:].to_numpy()
        assert handed_on.all(), f"patients of site {site}, {arm} appear or vanish between steps"
