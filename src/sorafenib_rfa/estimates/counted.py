"""Who stands behind a count: the patients, or the rows of raw files, that were counted.

A part hands the builder of its rows, with every count, what it counted: a series of USUBJIDs where patients were
counted, a frame with file and row where events, sessions or quarantined cells were. They are written beside the ARD,
one row a member, so that a reader can press on a number and see who it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

MEMBER_COLUMNS: Final[Mapping[str, str]] = {
    "ard_id": "string",
    "USUBJID": "string",
    "src_file": "string",
    "src_sheet": "string",
    "src_row": "Int64",
}
"""Columns of ``ard/members.parquet`` and their types; ``src_*`` are missing where patients were counted."""

NOT_OF_PATIENTS: Final = frozenset(
    {
        # quantities compared with R, and the numbers in them
        "agreement.quantities",
        "agreement.values",
        # sums of weights, in patients' worth
        "baseline.effective_n",
        # random draws of patients
        "efficacy.resamples",
        "target_trial.resamples",
        "target_trial.resamples_failed",
        "sensitivity.imputations",
        # simulated cohorts, and what a simulation study has of scenarios, sizes, estimators and failures
        "validation.replicates",
        "validation.bias_outside",
        "validation.cells",
        "validation.cohorts",
        "validation.coverage_below",
        "validation.coverage_outside",
        "validation.estimators",
        "validation.failed",
        "validation.fits",
        "validation.resamples",
        "validation.scenarios",
        "validation.sizes",
        # two copies of each of the `patients` beside it
        "target_trial.clones",
        # analyses, tests, centres, assumptions
        "sensitivity.changing",
        "sensitivity.combinations",
        "sensitivity.declared",
        "sensitivity.estimated",
        "sensitivity.not_estimable",
        "sensitivity.skipped",
        "subgroups.interaction_tests",
        "subgroups.rmst_heterogeneity_tests",
        "time_to_event.k",
        # patients and events of published studies, quoted: who they are is theirs
        "effects.n_screened",
        "effects.n_treated",
        "effects.n_randomised",
        "effects.n_countries",
        "effects.n_control",
        "effects.n_both_arms",
        "effects.events",
        "effects.total",
        # patients that a digitised curve stands for, made up to fit it
        "reconstruction.pseudo_patients",
        "reconstruction.pseudo_events",
    }
)
"""Counts, as ``<part>.<stat_name>``, that count neither patients nor rows: they have no members."""

_ORIGINS: Final = (
    ("src_file", "src_sheet", "src_row"),
    ("SRCFILE", "SRCSHEET", "SRCROW"),
    ("file", "sheet", "row"),
)
"""How clean tables, ADaM and the quarantine name where a row came from."""

Members = pd.Series | pd.Index | pd.DataFrame


class Counted(NamedTuple):
    """The members of one count as the builder keeps them: USUBJIDs, and file, sheet and row of each, or None."""

    ard_id: str
    subjects: np.ndarray
    origin: tuple[np.ndarray, ...] | None


def has_members(part: str, stat_name: str, unit: str) -> bool:
    """Say whether a row of the ARD counts patients or rows."""
    return unit == "count" and f"{part}.{stat_name}" not in NOT_OF_PATIENTS


def counted(ard_id: str, value: float, members: Members | None) -> Counted:
    """Return the members of a count; none where it could not be made.

    Parameters
    ----------
    ard_id : str
        Its id.
    value : float
        The count; NaN when it could not be made.
    members : Series or Index of USUBJID, or DataFrame
        The patients; or the rows, with ``USUBJID`` and file, sheet and row under the names of clean tables, ADaM or the
        quarantine.

    Raises
    ------
    ValueError
        If the members are not as many as were counted, or a patient is counted twice: a defect of the part.
    """
    if math.isnan(value):
        return Counted(ard_id, np.empty(0, dtype=object), None)
    if members is None:
        raise ValueError(f"{ard_id}: {value:g} were counted, but not said who")
    if len(members) != value:
        raise ValueError(f"{ard_id}: the count is {value:g}, its members are {len(members)}")
    if isinstance(members, pd.DataFrame):
        names = next(names for names in _ORIGINS if names[-1] in members)
        origin = tuple(members[name].to_numpy(dtype=object) for name in names)
        return Counted(ard_id, members["USUBJID"].to_numpy(dtype=object), origin)
    subjects = members.to_numpy(dtype=object)
    if len(set(subjects)) < len(subjects):
        raise ValueError(f"{ard_id}: a patient is counted twice")
    return Counted(ard_id, subjects, None)


def members_frame(counts: Iterable[Counted]) -> pd.DataFrame:
    """Return the members of counts, one row each: :data:`MEMBER_COLUMNS`, sorted by all of them."""
    kept = sorted((count for count in counts if len(count.subjects)), key=lambda count: count.ard_id)
    if not kept:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in MEMBER_COLUMNS.items()})
    blocks = [(count.subjects, *(count.origin or [np.full(len(count.subjects), None)] * 3)) for count in kept]
    # whole columns as numbers of their distinct values: sorting and writing text row by row would be the part's cost
    sizes = [len(count.subjects) for count in kept]
    codes = {"ard_id": np.repeat(np.arange(len(kept)), sizes)}
    values: dict[str, Any] = {"ard_id": [count.ard_id for count in kept]}
    for j, name in enumerate(list(MEMBER_COLUMNS)[1:]):
        codes[name], values[name] = pd.factorize(np.concatenate([block[j] for block in blocks]), sort=True)
    order = np.lexsort([codes[name] for name in reversed(MEMBER_COLUMNS)])
    return pd.DataFrame(
        {
            name: pd.array(values[name], dtype=kind).take(codes[name][order], allow_fill=True)
            for name, kind in MEMBER_COLUMNS.items()
        }
    )
