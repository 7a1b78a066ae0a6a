r"""What the printed figures of an effect say about each other: standard errors, p values, percentages.

A log hazard ratio :math:`y` with interval :math:`(l, u)` of level :math:`1 - \alpha` has the standard error
:math:`(\ln u - \ln l) / (2 z_{1 - \alpha/2})`; with a two-sided p value :math:`|y| / z_{1 - p/2}`, with a one-sided one
(of the test that treatment lowers the hazard) :math:`y / \Phi^{-1}(p)`. Print rounds, so each figure stands for all
numbers that print like it, and figures disagree only where no such numbers agree.

References
----------
Altman DG, Bland JM. How to obtain the P value from a confidence interval. BMJ 2011;343:d2304. Altman DG, Bland JM. How
to obtain the confidence interval from a P value. BMJ 2011;343:d2090.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from sorafenib_rfa.evidence.tables import ARMS, Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

REPORTED = "reported interval"
FROM_P = "estimate and p"
RECALLED = "reported interval, recalled"
NO_BASIS = "none"


def standard_errors(evidence: Evidence, *, level: float = 0.95, p_rounding_max: float = 0.10) -> pd.DataFrame:
    """Return the standard error of each log hazard ratio, on what it rests, and whether interval and p value agree.

    A standard error is *verified* if it rests on figures that were read in a source: on the reported interval if the
    estimate and both limits were seen; else on estimate and p value if both and the side of the p value were seen and
    the rounding of the print moves the standard error by less than `p_rounding_max` either way. An interval that was
    only recalled gives a standard error for sensitivity analyses.

    Parameters
    ----------
    evidence : Evidence
    level : float
        Level of `ci_from_p` where no interval is printed; else the printed one is taken.
    p_rounding_max : float
        Share of the standard error.

    Returns
    -------
    DataFrame
        One row an effect with a hazard ratio, in the order of ``effects.csv``:

        - ``effect_id`` (string), ``log_estimate``;
        - ``se_ci``: from the interval and its level;
        - ``se_p``, ``se_p_low``, ``se_p_high``: from hazard ratio and p value, and the smallest and largest of figures
          that print alike (NaN where the p value is that of no effect, or lies on the other side of the estimate);
        - ``p_from_ci``: p value of the interval, with the side of the one reported, two-sided where none is;
          ``p_reported``; ``p_agrees`` (boolean, NA where there is nothing to compare): whether numbers that print like
          estimate and limits give a p value that prints like the one reported;
        - ``ci_from_p_low``, ``ci_from_p_high``: interval of hazard ratio and p value;
        - ``basis`` (``reported interval``, ``estimate and p``, ``reported interval, recalled`` or ``none``), ``se``
          (NaN for ``none``), ``verified`` (bool), ``note`` (what does not fit, '' where all does).
    """
    effects = evidence.effects
    effects = effects[effects["measure"].eq("HR") & effects["estimate"].notna()].reset_index(drop=True)
    keys = effects["effect_id"].tolist()
    estimate, half_estimate = _figure(evidence, effects, "estimate")
    low, half_low = _figure(evidence, effects, "ci_low")
    high, half_high = _figure(evidence, effects, "ci_high")
    p, half_p = _figure(evidence, effects, "p_value")
    one_sided = effects["p_sided"].eq("one").fillna(False).to_numpy(dtype=bool)
    z_level = ndtri(0.5 + effects["ci_level"].fillna(100 * level).to_numpy(dtype=float) / 200)

    with np.errstate(divide="ignore", invalid="ignore"):
        log_estimate = np.log(estimate)
        log_low, log_high = np.log(estimate - half_estimate), np.log(estimate + half_estimate)
        se_ci = np.log(high / low) / (2 * z_level)
        se_ci_low = np.log((high - half_high) / (low + half_low)) / (2 * z_level)
        se_ci_high = np.log((high + half_high) / (low - half_low)) / (2 * z_level)
        se_p = _se_of_p(log_estimate, p, one_sided)
        se_p_low, se_p_high = _se_range_of_p(log_low, log_high, p, half_p, one_sided)
        se_p_low, se_p_high = (np.where(np.isnan(se_p), np.nan, se) for se in (se_p_low, se_p_high))
        p_from_ci = _p_of(log_estimate / se_ci, one_sided)
        p_low, p_high = _p_range(log_low, log_high, se_ci_low, se_ci_high, one_sided)
        ci_from_p = np.exp(log_estimate - z_level * se_p), np.exp(log_estimate + z_level * se_p)
        middle_low = (np.log(low - half_low) + np.log(high - half_high)) / 2
        middle_high = (np.log(low + half_low) + np.log(high + half_high)) / 2
        symmetric = (middle_low <= log_high) & (middle_high >= log_low)
    comparable = ~np.isnan(p) & ~np.isnan(p_from_ci)
    agrees = (p_low <= p + half_p) & (p_high >= p - half_p)
    small_rounding = (se_p_high < (1 + p_rounding_max) * se_p) & (se_p_low > (1 - p_rounding_max) * se_p)

    seen = {
        field: np.array([evidence.status("effects", key, field) == "seen" for key in keys], dtype=bool)
        for field in ("estimate", "ci_low", "ci_high", "p_value", "p_sided")
    }
    has_interval = ~np.isnan(se_ci)
    by_interval = has_interval & seen["estimate"] & seen["ci_low"] & seen["ci_high"]
    by_p = ~by_interval & small_rounding & seen["estimate"] & seen["p_value"] & seen["p_sided"]
    basis = np.select([by_interval, by_p, has_interval], [REPORTED, FROM_P, RECALLED], NO_BASIS)
    frame = pd.DataFrame(
        {
            "effect_id": pd.array(keys, dtype="string"),
            "log_estimate": log_estimate,
            "se_ci": se_ci,
            "se_p": se_p,
            "se_p_low": se_p_low,
            "se_p_high": se_p_high,
            "p_from_ci": p_from_ci,
            "p_reported": p,
            "p_agrees": pd.array(np.where(comparable, agrees, None), dtype="boolean"),
            "ci_from_p_low": ci_from_p[0],
            "ci_from_p_high": ci_from_p[1],
            "basis": pd.array(basis, dtype="string"),
            "se": np.select([by_p, has_interval], [se_p, se_ci], np.nan),
            "verified": by_interval | by_p,
        }
    )
    frame["note"] = pd.array(
        [
            _note(row, one, fits, low_, high_, z, small)
            for row, one, fits, low_, high_, z, small in zip(
                frame.astype({"p_agrees": object}).to_dict("records"),
                one_sided,
                symmetric,
                low,
                high,
                z_level,
                small_rounding,
                strict=True,
            )
        ],
        dtype="string",
    )
    return frame


def _figure(evidence: Evidence, effects: pd.DataFrame, field: str) -> tuple[FloatArray, FloatArray]:
    """Return a column's values and half of the last printed digit of each."""
    decimals = [evidence.decimals("effects", key, field) for key in effects["effect_id"]]
    half = np.array([np.nan if count is None else 0.5 * 10.0**-count for count in decimals], dtype=float)
    return effects[field].to_numpy(dtype=float), half


def _p_of(z: FloatArray, one_sided: NDArray[np.bool_]) -> FloatArray:
    """Return p values: one-sided ones of the test that treatment lowers the hazard."""
    return np.where(one_sided, ndtr(z), 2 * ndtr(-np.abs(z)))


def _z_of(p: FloatArray, one_sided: NDArray[np.bool_]) -> FloatArray:
    """Return z values; of a two-sided p value the absolute one."""
    return np.where(one_sided, ndtri(p), -ndtri(p / 2))


def _se_of_p(log_estimate: FloatArray, p: FloatArray, one_sided: NDArray[np.bool_]) -> FloatArray:
    """Return standard errors; NaN where estimate and p value lie on different sides or the p value says nothing."""
    z = _z_of(p, one_sided)
    se = np.where(one_sided, log_estimate / z, np.abs(log_estimate) / z)
    return np.where(np.isfinite(se) & (se > 0), se, np.nan)


def _se_range_of_p(
    log_low: FloatArray, log_high: FloatArray, p: FloatArray, half: FloatArray, one_sided: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and largest standard error of figures that print alike.

    Neither range holds its null value unless the figure is that value (a print is a multiple of its last digit), and
    then there is no standard error to give a range of.
    """
    z = np.abs(np.stack([_z_of(p + sign * half, one_sided) for sign in (-1, 1)]))
    size = np.abs(np.stack([log_low, log_high]))
    return size.min(axis=0) / z.max(axis=0), size.max(axis=0) / z.min(axis=0)


def _p_range(
    log_low: FloatArray,
    log_high: FloatArray,
    se_low: FloatArray,
    se_high: FloatArray,
    one_sided: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and largest p value of estimates and intervals that print alike."""
    z = np.stack([log / se for log in (log_low, log_high) for se in (se_low, se_high)])
    p = np.stack([_p_of(each, one_sided) for each in z])
    through_nothing = (z.min(axis=0) <= 0) & (z.max(axis=0) >= 0)
    return p.min(axis=0), np.where(through_nothing & ~one_sided, 1.0, p.max(axis=0))


def _note(
    row: dict[str, object], one_sided: bool, symmetric: bool, low: float, high: float, z: float, small_rounding: bool
) -> str:
    """Say what does not fit."""
    parts = []
    if not np.isnan(row["se_ci"]) and not symmetric:
        from_low, from_high = (row["log_estimate"] - np.log(low)) / z, (np.log(high) - row["log_estimate"]) / z
        parts.append(
            "the limits do not lie symmetrically about the estimate on the log scale "
            f"(standard error {from_low:.3f} by the lower, {from_high:.3f} by the upper)"
        )
    if row["p_agrees"] is False:
        side = "one-sided" if one_sided else "two-sided"
        parts.append(f"the interval gives a {side} p of {row['p_from_ci']:.3f}, reported is {row['p_reported']:g}")
    if not np.isnan(row["p_reported"]) and np.isnan(row["se_p"]):
        none = row["p_reported"] == (0.5 if one_sided else 1) or row["log_estimate"] == 0
        why = "it is that of no effect" if none else "it lies on the other side of the estimate"
        parts.append(f"no standard error follows from this p value: {why}")
    elif not np.isnan(row["se_p"]) and not small_rounding:
        extremes = f"{row['se_p_low']:.3f} to {row['se_p_high']:.3f}"
        parts.append(f"p is printed too roughly for a standard error ({extremes})")
    return "; ".join(parts)


def printed_percentages(evidence: Evidence) -> pd.DataFrame:
    """Compare the percentages of events that a source prints with the counts it prints.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    DataFrame
        One row an outcome and arm with events, total and percentage: ``outcome_id``, ``arm`` (treated, control),
        ``events``, ``total``, ``percent_printed``, ``percent_of_counts``, ``agrees`` (bool: equal within printing),
        ``src_file``, ``src_row``.
    """
    parts = []
    for arm in ARMS:
        columns = [f"events_{arm}", f"total_{arm}", f"percent_{arm}"]
        rows = evidence.event_counts.dropna(subset=columns)
        decimals = [evidence.decimals("event_counts", key, f"percent_{arm}") for key in rows["outcome_id"]]
        half = 0.5 * 10.0 ** -np.array(decimals, dtype=float)
        part = pd.DataFrame(
            {
                "outcome_id": rows["outcome_id"],
                "arm": pd.array([arm] * len(rows), dtype="string"),
                "events": rows[columns[0]],
                "total": rows[columns[1]],
                "percent_printed": rows[columns[2]],
                "percent_of_counts": 100 * rows[columns[0]] / rows[columns[1]],
            }
        )
        # a hair more than half a digit, for the half that binary numbers cannot hold
        part["agrees"] = (part["percent_of_counts"] - part["percent_printed"]).abs() <= half + 1e-9
        parts.append(part.assign(src_file=rows["src_file"], src_row=rows["src_row"]))
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
