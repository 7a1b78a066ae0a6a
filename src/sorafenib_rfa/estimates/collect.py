"""All parts of the ARD as one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from sorafenib_rfa.coded import row_groups
from sorafenib_rfa.estimates.ard import NUMERIC, UNITS, as_ard
from sorafenib_rfa.estimates.counted import MEMBER_COLUMNS, has_members


def collect_ard(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put the parts of the ARD of one cohort together.

    Parameters
    ----------
    parts : iterable of DataFrame
        ARD frames.

    Returns
    -------
    DataFrame
        Sorted by id.

    Raises
    ------
    ValueError
        If an id occurs twice, the parts are of different cohorts, a unit is unknown, a value lies outside its
        interval, or a value is missing without a reason.
    """
    ard = as_ard(pd.concat(list(parts), ignore_index=True))
    cohorts = sorted(ard["cohort"].unique())
    if len(cohorts) > 1:
        raise ValueError(f"parts of different cohorts cannot be put together: {cohorts}")
    value, low, high, p = (ard[name].to_numpy() for name in NUMERIC)
    # numbers needed are ordered as the risk differences whose reciprocals they are
    needed = ard["unit"].eq("number_needed").to_numpy(dtype=bool)
    value, low, high = (np.divide(1.0, x, out=x.copy(), where=needed) for x in (value, low, high))
    slack = np.where(np.isfinite(value), 1e-9 * (1 + np.abs(value)), 0.0)
    reasoned = ard["method"].str.startswith(("not estimable", "not tested")).to_numpy(dtype=bool)
    faults = {
        "have an unknown unit": ~ard["unit"].isin(UNITS).to_numpy(dtype=bool),
        "lie outside their interval": (value < low - slack) | (value > high + slack),
        "have a p value outside 0 to 1": (p < 0) | (p > 1),
        "are missing without a reason": np.isnan(value) & ~reasoned,
    }
    for fault, where in faults.items():
        if where.any():
            raise ValueError(f"ARD values {fault}: {ard.loc[where, 'ard_id'].head(5).tolist()}")
    return ard


def collect_members(parts: Iterable[pd.DataFrame], ard: pd.DataFrame) -> pd.DataFrame:
    """Put together who was counted in the parts of an ARD, and check it against the ARD.

    Parameters
    ----------
    parts : iterable of DataFrame
        Members of each part (:data:`.counted.MEMBER_COLUMNS`).
    ard : DataFrame
        The ARD of all parts.

    Returns
    -------
    DataFrame
        Sorted by id, patient, file, sheet and row.

    Raises
    ------
    ValueError
        If a count has other members than it counted, or members belong to no count.
    """
    # ids begin with their part, so that parts in order are ids in order
    filled = sorted((part for part in parts if len(part)), key=lambda part: part["ard_id"].iloc[0])
    if filled:
        members = pd.concat(filled, ignore_index=True)
    else:
        members = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in MEMBER_COLUMNS.items()})
    _check_counts(members["ard_id"].value_counts(), ard)
    return members


def member_files(paths: Iterable[str], ard: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield what :func:`collect_members` returns, from the files of the parts, a row group at a time, text as codes.

    Parameters
    ----------
    paths : iterable of str
        Members of each part.
    ard : DataFrame
        The ARD of all parts.

    Raises
    ------
    ValueError
        As :func:`collect_members`.
    """
    found = {path: counts for path in paths if len(counts := _rows_of_ids(path))}
    _check_counts(pd.concat([pd.Series(dtype="int64"), *found.values()]), ard)
    for path in sorted(found, key=lambda path: found[path].index[0]):
        yield from row_groups(path)


def _rows_of_ids(path: str) -> pd.Series:
    """Return how many members each id of a part has, by id."""
    blocks = [block["ard_id"].astype(object).value_counts() for block in row_groups(path, ["ard_id"])]
    return pd.concat([pd.Series(dtype="int64"), *blocks]).groupby(level=0, sort=True).sum()


def _check_counts(found: pd.Series, ard: pd.DataFrame) -> None:
    """Raise ValueError unless each count has as many members as it counted, and none belong to no count."""
    part = ard["ard_id"].str.partition(".")[0]
    counts = [has_members(*row) for row in zip(part, ard["stat_name"], ard["unit"], strict=True)]
    value = ard[counts].set_index("ard_id")["value"].fillna(0)
    wrong = value.index[found.reindex(value.index, fill_value=0).to_numpy() != value.to_numpy()].tolist()
    wrong += sorted(set(found.index) - set(value.index))
    if wrong:
        raise ValueError(f"the members are not who was counted: {wrong[:5]}")
