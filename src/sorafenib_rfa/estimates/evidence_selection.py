"""Which published effect enters which synthesis, and why the others do not.

The one way into a synthesis: an effect of the tables in ``data/evidence``, of a study of the synthesis' setting and
group of designs, for its endpoint. Nothing estimated from patients of this repository has a way in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import EvidencePlan, Plan, Synthesis
from sorafenib_rfa.estimates.evidence_common import DESIGN_GROUPS, LOOKS, evidence_plan
from sorafenib_rfa.evidence.consistency import FROM_P, standard_errors
from sorafenib_rfa.evidence.tables import Evidence

POOLED_ROLE = "synthesis"
_FIRST_FULL_LOOK = "primary"


def select_effects(evidence: Evidence, plan: Plan) -> pd.DataFrame:
    """Return all effects with their studies, standard errors and the synthesis that each enters.

    Of each study a synthesis takes one effect: the last look (:data:`.evidence_common.LOOKS`) whose standard error is
    verified. The synthesis that also takes unverified figures adds studies to that, or an unverified effect of a study
    that has no verified one; it replaces nothing.

    Parameters
    ----------
    evidence : Evidence
        The tables of published studies.
    plan : Plan
        Its ``evidence`` and ``confidence_level``.

    Returns
    -------
    DataFrame
        One row an effect, sorted by year, study, endpoint and look: columns of ``effects``; ``year`` (of a first full
        look that of the study, of any other that of its source); of its study ``label, setting, design, design_group,
        population, treated, comparator, n_treated, n_control, role``; of
        :func:`.evidence.consistency.standard_errors` ``log_estimate, se, verified, basis, note, p_from_ci, p_agrees``
        and the rest; ``lo, hi`` (the interval that counts: as reported, or from estimate and p where that is the basis;
        at ``level_drawn`` percent); ``synthesis_id`` (the synthesis of its setting, designs and endpoint, or '')``,
        pooled_in`` (the synthesis it enters with verified figures only, or '')``, pooled_in_all`` (with unverified
        ones too)``, why_not_pooled`` ('' where pooled_in is filled).
    """
    settings = evidence_plan(plan)
    errors = standard_errors(evidence, level=plan.confidence_level, p_rounding_max=settings.p_rounding_max)
    own = ["effect_id", *(name for name in errors.columns if name not in evidence.effects)]
    study = evidence.studies[
        [
            *("study_id", "label", "year", "setting", "design", "population", "treated", "comparator"),
            *("n_screened", "n_treated", "n_control", "role", "why_not_pooled"),
        ]
    ].rename(columns={"why_not_pooled": "why_study_not_pooled"})
    frame = evidence.effects.merge(study, on="study_id", validate="many_to_one")
    frame["year"] = _years(frame, evidence.sources)
    frame = frame.merge(errors[own], on="effect_id", how="left", validate="one_to_one")
    frame["verified"] = frame["verified"].astype("boolean").fillna(False).astype(bool)
    frame["basis"] = frame["basis"].astype("string").fillna("")
    frame["note"] = frame["note"].astype("string").fillna("")
    frame["design_group"] = frame["design"].map(DESIGN_GROUPS).fillna("").astype("string")
    frame["look_no"] = frame["look"].map({look: j for j, look in enumerate(LOOKS)}).astype("float64")
    frame = frame.sort_values(["year", "study_id", "endpoint", "look_no", "look"], ignore_index=True)
    _add_interval(frame, plan.confidence_level)
    frame["synthesis_id"] = [_synthesis_of(row, settings) for row in frame.itertuples(index=False)]
    usable = (
        frame["synthesis_id"].ne("")
        & frame["role"].eq(POOLED_ROLE)
        & frame["measure"].eq("HR")
        & frame["look_no"].notna()
        & frame["se"].notna()
    )
    frame["pooled_in"] = frame["synthesis_id"].where(_last_look(frame, usable & frame["verified"]), "")
    frame["pooled_in_all"] = frame["synthesis_id"].where(_last_look(frame, usable), "")
    frame["why_not_pooled"] = [_why_not(row) for row in frame.itertuples(index=False)]
    for column in ("synthesis_id", "pooled_in", "pooled_in_all", "why_not_pooled"):
        frame[column] = frame[column].astype("string")
    return frame


def pooled_rows(selected: pd.DataFrame, synthesis_id: str, synthesis: Synthesis, *, unverified: bool) -> pd.DataFrame:
    """Return the effects of a synthesis in the order of their years.

    Raises
    ------
    ValueError
        If they are not of one setting, one group of designs and one endpoint, if a study is there twice, or if an
        unverified standard error is among verified ones: a defect.
    """
    rows = selected[selected["pooled_in_all" if unverified else "pooled_in"] == synthesis_id]
    alike = {
        "setting": synthesis.setting,
        "design_group": synthesis.design_group,
        "endpoint": synthesis.endpoint,
        "measure": "HR",
        "role": POOLED_ROLE,
    }
    for column, only in alike.items():
        if not rows[column].eq(only).all():
            raise ValueError(f"{synthesis_id}: {column} {sorted(set(rows[column]))} where only {only} may be pooled")
    if rows["study_id"].duplicated().any():
        raise ValueError(f"{synthesis_id}: a study is pooled twice")
    if not unverified and not rows["verified"].all():
        raise ValueError(f"{synthesis_id}: an unverified standard error among verified ones")
    return rows.sort_values(["year", "study_id"], ignore_index=True)


def _years(frame: pd.DataFrame, sources: pd.DataFrame) -> pd.Series:
    """Return the year of each effect: of a trial's later look that of the source which gives it, else the study's."""
    of_source = frame["source_id"].map(sources.set_index("source_id")["year"]).astype("float64")
    return frame["year"].where(frame["look"].eq(_FIRST_FULL_LOOK), of_source.fillna(frame["year"]))


def _add_interval(frame: pd.DataFrame, level: float) -> None:
    """Add ``lo, hi, level_drawn``: the interval that counts."""
    from_p = frame["basis"].eq(FROM_P)
    frame["lo"] = frame["ci_low"].where(~from_p, frame["ci_from_p_low"])
    frame["hi"] = frame["ci_high"].where(~from_p, frame["ci_from_p_high"])
    # an interval from p is made at the level of the one that is printed beside it, if any
    frame["level_drawn"] = frame["ci_level"].where(~(from_p & frame["ci_level"].isna()), 100 * level)


def _synthesis_of(row: object, settings: EvidencePlan) -> str:
    """Return the synthesis of an effect's setting, group of designs and endpoint, or ''."""
    found = [
        name
        for name, synthesis in settings.syntheses.items()
        if (synthesis.setting, synthesis.design_group, synthesis.endpoint)
        == (row.setting, row.design_group, row.endpoint)
    ]
    return found[0] if found else ""


def _last_look(frame: pd.DataFrame, usable: pd.Series) -> pd.Series:
    """Say of each effect whether it is the one that its synthesis takes of its study, among usable ones."""
    order = frame[usable].sort_values(["verified", "look_no"])
    chosen = order.drop_duplicates(["synthesis_id", "study_id"], keep="last").index
    return pd.Series(frame.index.isin(chosen), index=frame.index)


def _why_not(row: object) -> str:
    """Return why an effect does not enter a synthesis of verified figures, or ''."""
    if row.pooled_in:
        return ""
    if row.role != POOLED_ROLE:
        return str(row.why_study_not_pooled)
    if not row.synthesis_id:
        return "no synthesis of this endpoint is declared"
    if np.isnan(row.estimate):
        return "no hazard ratio could be read"
    if row.measure != "HR":
        return "not a hazard ratio"
    if np.isnan(row.look_no):
        return "a subset of the trial"
    if np.isnan(row.se):
        return row.note or "no standard error can be had from what was read"
    if not row.pooled_in_all:
        return "another look of the study is taken"
    return "its standard error rests on recalled figures: in the sensitivity analysis only"
