"""Liver function: albumin-bilirubin (ALBI) score and Child-Pugh score.

Every function takes single values or pandas Series of one index. Missing in, missing out: a score with any
component missing is ``pd.NA``, never a score of what was recorded.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical._vector import DECIMALS, Value, banded, columns, result

BILIRUBIN_UMOL_L_PER_MG_DL: Final = 17.1
ALBUMIN_G_L_PER_G_DL: Final = 10.0

ALBI_GRADE_1_AT_MOST: Final = -2.60
ALBI_GRADE_2A_AT_MOST: Final = -2.27
ALBI_GRADE_2_AT_MOST: Final = -1.39


def albi_score(bilirubin_umol_l: pd.Series | Value, albumin_g_l: pd.Series | Value) -> Any:
    """Return the albumin-bilirubin score, ``0.66 log10(bilirubin) - 0.085 albumin``.

    Parameters
    ----------
    bilirubin_umol_l : Series or float
        Total bilirubin, micromole per litre, above zero.
    albumin_g_l : Series or float
        Albumin, gram per litre, above zero.

    Returns
    -------
    Series of Float64, or float, or pd.NA
        Lower is better liver function.

    Raises
    ------
    ValueError
        If a recorded bilirubin or albumin is zero, negative or infinite.

    Notes
    -----
    Johnson PJ et al., J Clin Oncol 2015;33:550-8 (doi 10.1200/JCO.2014.57.9151). Public code uses 0.085 and
    0.0852 for the albumin coefficient; this is the form of the paper's abstract, 0.085.
    """
    frame, scalar = columns(
        {"bilirubin_umol_l": "Float64", "albumin_g_l": "Float64"},
        {"bilirubin_umol_l": bilirubin_umol_l, "albumin_g_l": albumin_g_l},
    )
    for name in frame:
        numbers = frame[name].dropna().to_numpy(float)
        bad = ~np.isfinite(numbers) | (numbers <= 0)
        if bad.any():
            raise ValueError(f"{name} must be above zero and finite; found {numbers[bad][0]} ({bad.sum()} such)")
    bilirubin = frame["bilirubin_umol_l"].to_numpy(float, na_value=np.nan)
    albumin = frame["albumin_g_l"].to_numpy(float, na_value=np.nan)
    score = 0.66 * np.log10(bilirubin) - 0.085 * albumin
    return result(_nullable(score, frame.index), scalar)


def _nullable(numbers: np.ndarray, index: pd.Index) -> pd.Series:
    """Return floats as Float64 with NaN as NA."""
    missing = np.isnan(numbers)
    return pd.Series(pd.arrays.FloatingArray(np.where(missing, 0.0, numbers), missing), index=index)


def albi_grade(score: pd.Series | Value) -> Any:
    """Return the ALBI grade: 1 for a score of at most -2.60, 2 of at most -1.39, 3 above.

    Johnson 2015, as :func:`albi_score`.

    Returns
    -------
    Series of Int64, or int, or pd.NA
    """
    frame, scalar = columns({"score": "Float64"}, {"score": score})
    grades = banded(
        frame["score"],
        lambda s: [(s <= ALBI_GRADE_1_AT_MOST, 1), (s <= ALBI_GRADE_2_AT_MOST, 2), (s.notna(), 3)],
        "Int64",
    )
    return result(grades, scalar)


def albi_grade_modified(score: pd.Series | Value) -> Any:
    """Return the modified ALBI grade: grade 2 of :func:`albi_grade` split at -2.27 into 2a (at most) and 2b.

    The cut of -2.27 is recalled (Hiraoka 2017), not read in the paper.

    Returns
    -------
    Series of string ("1", "2a", "2b", "3"), or str, or pd.NA
    """
    frame, scalar = columns({"score": "Float64"}, {"score": score})
    grades = banded(
        frame["score"],
        lambda s: [
            (s <= ALBI_GRADE_1_AT_MOST, "1"),
            (s <= ALBI_GRADE_2A_AT_MOST, "2a"),
            (s <= ALBI_GRADE_2_AT_MOST, "2b"),
            (s.notna(), "3"),
        ],
        "string",
    )
    return result(grades, scalar)


_ASCITES_POINTS: Final = {"none": 1, "mild": 2, "moderate_severe": 3}
_ENCEPHALOPATHY_POINTS: Final = {"none": 1, "grade_1_2": 2, "grade_3_4": 3}


def child_pugh_score(
    bilirubin_umol_l: pd.Series | Value,
    albumin_g_l: pd.Series | Value,
    inr: pd.Series | Value,
    ascites: pd.Series | Value,
    encephalopathy: pd.Series | Value,
) -> Any:
    """Return the Child-Pugh score, 5 to 15: the sum of one to three points for each of five components.

    Parameters
    ----------
    bilirubin_umol_l : Series or float
        Below 34.2 one point, 34.2 to 51.3 two, above 51.3 three: the conventional 2 and 3 mg/dL at 17.1
        umol/L per mg/dL, both bounds in the middle band.
    albumin_g_l : Series or float
        Above 35 one point, 28 to 35 two (both bounds included), below 28 three.
    inr : Series or float
        Below 1.7 one point, 1.7 to 2.3 two (both bounds included), above 2.3 three.
    ascites : Series or str
        ``none``, ``mild``, ``moderate_severe``.
    encephalopathy : Series or str
        ``none``, ``grade_1_2``, ``grade_3_4``.

    Returns
    -------
    Series of Int64, or int, or pd.NA
        NA where any component is missing.

    Raises
    ------
    ValueError
        If `ascites` or `encephalopathy` holds another code.

    Notes
    -----
    Pugh RNH et al., Br J Surg 1973;60:646-9, with INR in place of the prothrombin time. The points are
    recalled (high confidence); the classes of :func:`child_pugh_class` were read. Primary biliary
    cholangitis, which has its own bilirubin bounds, is not treated apart.
    """
    frame, scalar = columns(
        {
            "bilirubin_umol_l": "Float64",
            "albumin_g_l": "Float64",
            "inr": "Float64",
            "ascites": "string",
            "encephalopathy": "string",
        },
        {
            "bilirubin_umol_l": bilirubin_umol_l,
            "albumin_g_l": albumin_g_l,
            "inr": inr,
            "ascites": ascites,
            "encephalopathy": encephalopathy,
        },
    )
    points = (
        _rising_points(frame["bilirubin_umol_l"], 2 * BILIRUBIN_UMOL_L_PER_MG_DL, 3 * BILIRUBIN_UMOL_L_PER_MG_DL)
        + (4 - _rising_points(frame["albumin_g_l"], 2.8 * ALBUMIN_G_L_PER_G_DL, 3.5 * ALBUMIN_G_L_PER_G_DL))
        + _rising_points(frame["inr"], 1.7, 2.3)
        + _coded_points(frame["ascites"], _ASCITES_POINTS)
        + _coded_points(frame["encephalopathy"], _ENCEPHALOPATHY_POINTS)
    )
    return result(points, scalar)


def _rising_points(number: pd.Series, low: float, high: float) -> pd.Series:
    """Return 1 below `low`, 2 from `low` to `high`, 3 above."""
    low, high = round(low, DECIMALS), round(high, DECIMALS)
    return banded(number, lambda n: [(n < low, 1), (n <= high, 2), (n.notna(), 3)], "Int64")


def _coded_points(code: pd.Series, points: dict[str, int]) -> pd.Series:
    unknown = sorted(set(code.dropna()) - set(points))
    if unknown:
        raise ValueError(f"{code.name} must be one of {', '.join(points)}; found {unknown[0]!r}")
    return code.map(points).astype("Int64")


def child_pugh_class(score: pd.Series | Value) -> Any:
    """Return the Child-Pugh class of a score: A for 5-6, B for 7-9, C for 10-15.

    Returns
    -------
    Series of string, or str, or pd.NA

    Raises
    ------
    ValueError
        If a score lies outside 5-15.
    """
    frame, scalar = columns({"score": "Int64"}, {"score": score})
    outside = frame["score"].dropna()
    outside = outside[(outside < 5) | (outside > 15)]
    if len(outside):
        raise ValueError(f"a Child-Pugh score lies between 5 and 15; found {outside.iloc[0]}")
    classes = banded(frame["score"], lambda s: [(s <= 6, "A"), (s <= 9, "B"), (s.notna(), "C")], "string")
    return result(classes, scalar)
