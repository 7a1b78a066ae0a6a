"""One calculation for single values and for columns: nullable in, nullable out, the index kept.

A bound met exactly must count as met even where a unit conversion left it a last digit off (30 mm times 0.1
is 3.0000000000000004 cm); numbers are therefore compared after rounding to :data:`DECIMALS` decimals, far
below what any laboratory or scanner reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

DECIMALS = 6
"""Decimals to which clinical quantities are compared with a bound."""

Value = float | int | str | None
"""One patient's value; ``None``, NaN and ``pd.NA`` are missing."""


def columns(dtypes: dict[str, str], values: dict[str, Any]) -> tuple[pd.DataFrame, bool]:
    """Return `values` as one frame of nullable columns, and whether all of them were single values.

    Parameters
    ----------
    dtypes : dict
        Argument name -> nullable dtype.
    values : dict
        Argument name -> Series or single value. Series must have the same index; single values are repeated.

    Raises
    ------
    ValueError
        If two Series have different indexes: aligning them would silently pair different patients.
    """
    series = {name: value for name, value in values.items() if isinstance(value, pd.Series)}
    index = pd.RangeIndex(1)
    if series:
        first, index = next((name, value.index) for name, value in series.items())
        for name, value in series.items():
            if not value.index.equals(index):
                raise ValueError(f"{name} and {first} are columns of different rows: their indexes differ")
    frame = pd.DataFrame(
        {
            name: _column(value, index, dtypes[name]) if name in series else _repeat(value, index, dtypes[name])
            for name, value in values.items()
        },
        index=index,
    )
    return frame, not series


def _column(value: pd.Series, index: pd.Index, dtype: str) -> pd.Series:
    return pd.Series(value.array, index=index).astype(dtype)


def _repeat(value: Value, index: pd.Index, dtype: str) -> pd.Series:
    return pd.Series([pd.NA if pd.isna(value) else value] * len(index), index=index, dtype=dtype)


def result(series: pd.Series, scalar: bool) -> Any:
    """Return the column, or its only value (``pd.NA`` if missing) when single values came in."""
    return series.iloc[0] if scalar else series


def banded(number: pd.Series, label: Callable[[pd.Series], list[tuple[pd.Series, Any]]], dtype: str) -> pd.Series:
    """Return for each number the first label whose condition holds; NA where the number is missing.

    `label` gets the numbers rounded to :data:`DECIMALS` and returns (condition, label) pairs.
    """
    out = pd.Series(pd.NA, index=number.index, dtype=dtype)
    for condition, value in reversed(label(number.round(DECIMALS))):
        out = out.mask(condition.fillna(False).astype(bool), value)
    return out
