"""Checks shared by the estimators: what comes in is finite, of one length and coded as documented, or it is refused.

Missing values are never dropped here: who is analysed is decided, and recorded, before an estimator is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import (
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidEventsError,
    InvalidTimesError,
    InvalidWeightsError,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# R's tolerance for two times to be the same time (`survival:::aeqSurv`): sqrt(.Machine$double.eps).
_TIE_TOLERANCE = float(np.sqrt(np.finfo(float).eps))


def as_float_vector(values: ArrayLike, what: str, error: type[EstimationError]) -> NDArray[np.float64]:
    """Return `values` as a one-dimensional float array; missing values become NaN, text is refused."""
    try:
        if hasattr(values, "to_numpy"):  # pandas: a nullable column's NA becomes NaN, not an object
            array = np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
        else:
            array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as exc:
        raise error(f"{what} must be numbers ({exc})") from None
    if array.ndim != 1:
        raise error(f"{what} must be one-dimensional, found shape {array.shape}")
    return array


def _rows(bad: NDArray[np.bool_]) -> str:
    """Name the first few offending rows, counted from 0 as pandas and NumPy do."""
    found = np.flatnonzero(bad)
    shown = ", ".join(str(row) for row in found[:5])
    return f"{found.size} row{'s' if found.size != 1 else ''} (first at position {shown})"


def check_length(array: NDArray[Any], n: int, what: str, error: type[EstimationError]) -> None:
    """Refuse an array that is not as long as the times."""
    if array.shape[0] != n:
        raise error(f"{what}: {array.shape[0]} values for {n} times")


def as_times(time: ArrayLike, start: ArrayLike | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return validated stop times and, when given, start times, with almost-equal times made equal.

    Times that differ by less than R's tolerance (1.5e-8, absolute or relative to the mean time) are the same time
    that went through different arithmetic, such as days turned into months; left apart they would not be tied.

    Parameters
    ----------
    time : array_like, shape (n,)
        Follow-up times, finite and above zero.
    start : array_like, shape (n,), optional
        Entry times (left truncation), finite, not negative, below `time`.

    Raises
    ------
    InvalidTimesError
        If a time is missing, infinite, zero or negative, or an interval does not end after it starts.
    """
    stop = as_float_vector(time, "times", InvalidTimesError)
    if stop.size == 0:
        raise EmptyGroupError("no observations: the group is empty")
    if not np.isfinite(stop).all():
        raise InvalidTimesError(f"times are missing or infinite in {_rows(~np.isfinite(stop))}")
    if stop.min() <= 0:
        raise InvalidTimesError(
            f"times must be above zero; {_rows(stop <= 0)} have a zero or negative time "
            "(someone followed for no time contributes nothing: decide before the analysis whether to leave them out)"
        )
    if start is None:
        return _equalise(stop), None
    entry = as_float_vector(start, "start times", InvalidTimesError)
    check_length(entry, stop.size, "start times", InvalidTimesError)
    if not np.isfinite(entry).all():
        raise InvalidTimesError(f"start times are missing or infinite in {_rows(~np.isfinite(entry))}")
    if entry.min() < 0:
        raise InvalidTimesError(f"start times must not be negative; they are in {_rows(entry < 0)}")
    if (entry >= stop).any():
        raise InvalidTimesError(f"the stop time is not after the start time in {_rows(entry >= stop)}")
    both = _equalise(np.concatenate([entry, stop]))
    entry, stop = both[: stop.size], both[stop.size :]
    if (entry >= stop).any():
        raise InvalidTimesError(f"start and stop time are the same to 8 digits in {_rows(entry >= stop)}")
    return stop, entry


def _equalise(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give almost-equal times one value, the smallest of them (as `survival:::aeqSurv` does)."""
    ordered = np.sort(times)
    gaps = np.diff(ordered)
    close = gaps <= _TIE_TOLERANCE * max(1.0, ordered[-1])  # a superset of R's rule: cheap, and rarely true
    if not (close & (gaps > 0)).any():
        return times
    values = np.unique(ordered)
    gaps = np.diff(values)
    same = (gaps <= _TIE_TOLERANCE) | (gaps / np.mean(np.abs(values)) <= _TIE_TOLERANCE)
    cuts = values[np.concatenate([[True], ~same])]
    return cuts[np.searchsorted(cuts, times, side="right") - 1]


def as_events(event: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Return event indicators (True or 1: event; False or 0: censored) as booleans.

    Raises
    ------
    InvalidEventsError
        If an indicator is missing or something else than 0 or 1.
    """
    array = np.asarray(event)
    if array.dtype != bool:
        codes = as_float_vector(event, "event indicators", InvalidEventsError)
        bad = (codes != 0) & (codes != 1)  # NaN differs from both
        if bad.any():
            raise InvalidEventsError(f"event indicators must be 0 (censored) or 1 (event); {_rows(bad)} are not")
        array = codes == 1
    check_length(array, n, "event indicators", InvalidEventsError)
    return array


def as_causes(cause: ArrayLike, n: int) -> tuple[NDArray[np.intp], int]:
    """Return causes (0 censored, 1..k) as integers, and k.

    Raises
    ------
    InvalidEventsError
        If a cause is missing, negative or not a whole number.
    """
    codes = as_float_vector(cause, "causes", InvalidEventsError)
    check_length(codes, n, "causes", InvalidEventsError)
    bad = ~np.isfinite(codes) | (codes < 0) | (codes != np.floor(codes))
    if bad.any():
        raise InvalidEventsError(f"causes must be whole numbers, 0 for censored; {_rows(bad)} are not")
    integers = codes.astype(np.intp)
    return integers, int(integers.max())


def as_weights(weights: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return case weights; zero means "not in the sample".

    Raises
    ------
    EmptyGroupError
        If there are no observations to weigh.
    InvalidWeightsError
        If a weight is missing, infinite or negative, or all are zero.
    """
    if weights is None:
        return None
    array = as_float_vector(weights, "weights", InvalidWeightsError)
    check_length(array, n, "weights", InvalidWeightsError)
    if n == 0:
        raise EmptyGroupError("no observations: the group is empty")
    if not np.isfinite(array).all():
        raise InvalidWeightsError(f"weights are missing or infinite in {_rows(~np.isfinite(array))}")
    if array.min() < 0:
        raise InvalidWeightsError(f"weights must not be negative; they are in {_rows(array < 0)}")
    if array.max() == 0:
        raise InvalidWeightsError("all weights are zero")
    return array


def as_codes(
    labels: ArrayLike, n: int, what: str, *, empty_allowed: bool = False
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted distinct labels and each observation's position among them.

    A pandas categorical keeps the order of its categories. A category nobody has is an empty group, and refused,
    unless `empty_allowed` (strata, clusters): then it is left out.

    Raises
    ------
    EmptyGroupError
        If a declared category has no members.
    EstimationError
        If a label is missing.
    """
    categories = getattr(getattr(labels, "dtype", None), "categories", None)
    if categories is not None:
        codes = np.asarray(getattr(labels, "cat", labels).codes, dtype=np.intp)
        check_length(codes, n, what, EstimationError)
        if (codes < 0).any():
            raise EstimationError(f"{what} missing in {_rows(codes < 0)}")
        present = np.bincount(codes, minlength=len(categories)) > 0
        if present.all():
            return np.asarray(categories), codes
        if not empty_allowed:
            empty = ", ".join(str(categories[i]) for i in np.flatnonzero(~present))
            raise EmptyGroupError(f"{what} without members: {empty}")
        return np.asarray(categories)[present], (np.cumsum(present) - 1)[codes]
    array = np.asarray(labels)
    if array.ndim != 1:
        raise EstimationError(f"{what} must be one-dimensional, found shape {array.shape}")
    check_length(array, n, what, EstimationError)
    missing = (
        np.isnan(array)
        if array.dtype.kind == "f"
        else np.array([v is None or str(v) == "<NA>" or v != v for v in array], dtype=bool)
        if array.dtype == object
        else np.zeros(n, dtype=bool)
    )
    if missing.any():
        raise EstimationError(f"{what} missing in {_rows(missing)}")
    values, codes = np.unique(array, return_inverse=True)
    return values, codes.reshape(-1)


def as_matrix(x: ArrayLike, names: Any = None) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return covariates as a float matrix of shape (n, p), and their names.

    `x` is a DataFrame (its columns name the covariates), a two-dimensional array, or one column.

    Raises
    ------
    InvalidCovariatesError
        If a value is missing or infinite (the covariate is named), text, or the names do not fit.
    """
    columns = getattr(x, "columns", None)
    try:
        if columns is not None:
            matrix = x.to_numpy(dtype=float, na_value=np.nan)  # type: ignore[union-attr]
        elif hasattr(x, "to_numpy"):
            matrix = x.to_numpy(dtype=float, na_value=np.nan)  # type: ignore[union-attr]
        else:
            matrix = np.asarray(x, dtype=float)
    except (TypeError, ValueError) as exc:
        raise InvalidCovariatesError(f"covariates must be numbers ({exc})") from None
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InvalidCovariatesError(f"covariates must have shape (n, p) with p above 0, found {matrix.shape}")
    if names is not None:
        labels = tuple(str(name) for name in names)
    elif columns is not None:
        labels = tuple(str(name) for name in columns)
    elif getattr(x, "name", None) is not None:
        labels = (str(x.name),)  # type: ignore[union-attr]
    else:
        labels = tuple(f"x{j + 1}" for j in range(matrix.shape[1]))
    if len(labels) != matrix.shape[1] or len(set(labels)) != len(labels):
        raise InvalidCovariatesError(f"{matrix.shape[1]} covariates need as many different names, found {labels}")
    if not np.isfinite(matrix).all():
        bad = ~np.isfinite(matrix)
        named = ", ".join(f"{labels[j]} ({int(bad[:, j].sum())})" for j in np.flatnonzero(bad.any(axis=0)))
        raise InvalidCovariatesError(f"covariates with missing or infinite values (how many): {named}")
    return matrix, labels


def check_level(level: float) -> float:
    """Return a confidence level strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"the confidence level must lie between 0 and 1, found {level}")
    return float(level)
