"""Baseline covariates of the plan as model columns: one coding for the propensity score and the adjusted models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Covariate, Plan
from sorafenib_rfa.estimates.common import attempt

SPLINE_KNOTS = 4


def numbers(column: pd.Series) -> pd.Series:
    """Return a column as float64 with NaN where it is missing."""
    return pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), index=column.index)


def logarithm(values: pd.Series) -> pd.Series:
    """Return the decimal logarithm; NaN (missing) for values of zero or below, which have none."""
    return np.log10(values.where(values > 0))


def texts(column: pd.Series) -> pd.Series:
    """Return a column as nullable strings (a level coded as a number becomes its text)."""
    return column.astype("string")


def levels_of(column: pd.Series, declared: Sequence[str] | None) -> list[str]:
    """Return the declared levels in their order, then levels that occur undeclared, so that nobody is left out."""
    declared = list(declared or [])
    return [*declared, *sorted(set(texts(column).dropna()) - set(declared))]


@dataclass(frozen=True)
class Design:
    """Model columns of a set of covariates.

    Attributes
    ----------
    x : DataFrame
        One row a complete case (index of the source frame), one float column a model term.
    terms : dict
        Covariate -> its columns of `x`.
    complete : Series of bool
        Which rows of the source frame have all covariates.
    missing : dict
        Covariate -> index of the rows in which it is missing.
    left_out : dict
        Covariate -> why it has no column (it does not vary).
    words : str
        The coding in words, for the ARD's method column.
    """

    x: pd.DataFrame
    terms: dict[str, list[str]]
    complete: pd.Series
    missing: dict[str, pd.Index]
    left_out: dict[str, str]
    words: str


def covariate_design(frame: pd.DataFrame, plan: Plan, names: Sequence[str]) -> Design:
    """Return the model columns of the covariates `names` of the plan, for the complete cases of `frame`.

    Continuous covariates enter linearly, as log10 or as a restricted cubic spline (knots from the complete cases), as
    the plan says (a value without a logarithm counts as missing); a binary one as 0/1; a categorical one as
    indicators against its most frequent level.

    Parameters
    ----------
    frame : DataFrame
        Rows of ADSL.
    plan : Plan
        Names and codings.
    names : sequence of str
        Keys of ``plan.covariates``.
    """
    raw: dict[str, pd.Series] = {}
    for name in names:
        covariate = plan.covariates[name]
        column = frame[covariate.variable]
        if covariate.kind == "continuous":
            raw[name] = logarithm(numbers(column)) if covariate.transform == "log10" else numbers(column)
        else:
            raw[name] = texts(column)
    missing = {name: column.index[column.isna()] for name, column in raw.items()}
    complete = pd.Series(True, index=frame.index)
    for column in raw.values():
        complete &= column.notna()
    columns: dict[str, np.ndarray] = {}
    owned: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    words = []
    for name in names:
        terms, said = _terms(name, plan.covariates[name], raw[name][complete])
        if terms:
            columns |= terms
            owned[name] = list(terms)
            words.append(said)
        else:
            left_out[name] = said
    x = pd.DataFrame(columns, index=frame.index[complete], dtype="float64")
    return Design(x, owned, complete, missing, left_out, ", ".join(words))


def _terms(name: str, covariate: Covariate, values: pd.Series) -> tuple[dict[str, np.ndarray], str]:
    """Return the model columns of one covariate and how it is coded; no columns when it does not vary."""
    if values.nunique() < 2:
        return {}, f"{name} does not vary"
    if covariate.kind == "continuous":
        # here: tables know covariates too, and do without scipy, which takes longer to import than a table to make
        from sorafenib_rfa.stats.propensity import harrell_knots, restricted_cubic_spline

        x = values.to_numpy(dtype=float)
        if covariate.transform == "log10":
            return {f"log10({name})": x}, f"log10({name})"
        if covariate.transform == "spline":
            knots, _ = attempt(harrell_knots, x, SPLINE_KNOTS)  # None: values so tied that knots coincide
            if knots is not None:
                basis = restricted_cubic_spline(x, knots)
                columns = {name + "'" * order: basis[:, order] for order in range(basis.shape[1])}
                return columns, f"{name} (restricted cubic spline, knots {', '.join(f'{k:.3g}' for k in knots)})"
        return {name: x}, f"{name} (linear)"
    if covariate.kind == "binary":
        flags = (values == covariate.positive).to_numpy(dtype=float)
        if flags.min() == flags.max():
            return {}, f"{name} does not vary"
        return {name: flags}, f"{name} = {covariate.positive}"
    counts = values.value_counts()
    present = [level for level in levels_of(values, covariate.levels) if counts.get(level, 0) > 0]
    # the most frequent level as reference keeps the other columns' standard errors small; it changes no prediction
    reference = max(present, key=lambda level: (counts[level], -present.index(level)))
    columns = {f"{name}={level}": (values == level).to_numpy(dtype=float) for level in present if level != reference}
    return columns, f"{name} (indicators against {reference})"
