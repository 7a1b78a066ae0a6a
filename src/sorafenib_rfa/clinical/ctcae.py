"""Grades of laboratory toxicity and terms of adverse events: CTCAE version 5.0 (NCI, 2017).

The laboratory criteria were read as quoted in the grading metadata of the pharmaverse R package ``admiral``
(``ncictcaev5.json``), which reproduces the table of the National Cancer Institute. CTCAE has no term for
alpha-fetoprotein; it is not graded. Version 6.0 grades an abnormal baseline differently; this module is 5.0
only.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical._vector import DECIMALS, Value, columns, result
from sorafenib_rfa.vocabulary import LAB_TESTS


@dataclass(frozen=True)
class _Multiples:
    """Grades by multiples of the upper limit of normal, or of an abnormal baseline.

    `above` are the bounds that must be exceeded for grades 1 to 4. With an abnormal baseline grade 1 begins
    at `abnormal_from` times baseline (reached, or exceeded when `abnormal_exceeds`); the other bounds are
    the same multiples, of baseline.
    """

    term: str
    above: tuple[float, float, float, float]
    abnormal_from: float
    abnormal_exceeds: bool = False


_MULTIPLES: Final = MappingProxyType(
    {
        "ALT": _Multiples("Alanine aminotransferase increased", (1, 3, 5, 20), 1.5),
        "AST": _Multiples("Aspartate aminotransferase increased", (1, 3, 5, 20), 1.5),
        "ALP": _Multiples("Alkaline phosphatase increased", (1, 2.5, 5, 20), 2.0),
        "GGT": _Multiples("GGT increased", (1, 2.5, 5, 20), 2.0),
        "BILI": _Multiples("Blood bilirubin increased", (1, 1.5, 3, 10), 1.0, abnormal_exceeds=True),
    }
)

CONVENTIONAL_LLN: Final = MappingProxyType({"ALB": 35.0, "PLT": 150.0})
"""Lower limits of normal (g/L, 10^9/L) that part grade 0 from grade 1, because exports state upper limits
only.

An assumption (usual adult values); grades 2 to 4 do not depend on it.
"""

LAB_TERMS: Final = MappingProxyType(
    {
        **{test: rule.term for test, rule in _MULTIPLES.items()},
        "INR": "INR increased",
        "CREA": "Creatinine increased",
        "ALB": "Hypoalbuminemia",
        "PLT": "Platelet count decreased",
    }
)
"""PARAMCD of a graded test -> the CTCAE term its grade belongs to."""


GRADED_BY_ULN: Final = (*_MULTIPLES, "CREA")
"""PARAMCD of the tests whose grade is unknown without the upper limit of normal."""


def grade(test: pd.Series | str, value: pd.Series | Value, uln: pd.Series | Value, baseline: pd.Series | Value) -> Any:
    """Return the CTCAE v5.0 grade of laboratory values, 0 (none) to 4.

    Parameters
    ----------
    test : Series or str
        PARAMCD, a key of :data:`sorafenib_rfa.vocabulary.LAB_TESTS`.
    value, uln, baseline : Series or float
        The result, the upper limit of normal and the patient's baseline, in the test's canonical unit.

    Returns
    -------
    Series of Int64, or int, or pd.NA
        NA where the value is missing, where the grade needs the upper limit of normal and that is missing
        (ALT, AST, ALP, GGT, BILI, CREA), and for tests CTCAE does not grade (AFP).

    Raises
    ------
    ValueError
        If a test is not in the vocabulary.

    Notes
    -----
    *ALT, AST, ALP, GGT, BILI.* Multiples of ULN when the baseline is normal, multiples of baseline when it
    is above ULN. A value between the branches is grade 0: an ALT of 1.4 times an abnormal baseline is no
    toxicity however far above ULN. A missing baseline is taken as normal (as ``admiral`` does), which can
    only raise the grade.

    *CREA.* The worse of the ULN column (above 1, 1.5, 3, 6 times) and the baseline column (above 1.5: grade
    2, above 3: grade 3); without ULN the grade is unknown.

    *INR.* Above 1.2, 1.5, 2.5 for grades 1 to 3; there is no grade 4. The column for patients on
    anticoagulants (multiples of baseline) is not used: anticoagulation is not recorded.

    *ALB, PLT.* Below LLN (:data:`CONVENTIONAL_LLN`) grade 1; albumin below 30 and 20 g/L grades 2 and 3
    (grade 4 is clinical); platelets below 75, 50 and 25 x 10^9/L grades 2 to 4.
    """
    frame, scalar = columns(
        {"test": "string", "value": "Float64", "uln": "Float64", "baseline": "Float64"},
        {"test": test, "value": value, "uln": uln, "baseline": baseline},
    )
    tests = frame["test"].to_numpy(dtype=object, na_value=None)
    numbers = {name: frame[name].to_numpy(float, na_value=np.nan) for name in ("value", "uln", "baseline")}
    unknown = sorted({str(name) for name in tests} - set(LAB_TESTS))
    if unknown:
        raise ValueError(f"test must be one of {', '.join(LAB_TESTS)}; found {unknown[0]!r}")
    grades = np.full(len(frame), np.nan)
    for name in sorted(set(tests) & set(LAB_TERMS)):
        rows = tests == name
        grades[rows] = _grade_test(name, *(numbers[column][rows] for column in ("value", "uln", "baseline")))
    missing = np.isnan(grades)
    column = pd.array(np.where(missing, 0, grades).astype("int64"), dtype="Int64")
    column[missing] = pd.NA
    return result(pd.Series(column, index=frame.index, name="grade"), scalar)


def _grade_test(test: str, value: np.ndarray, uln: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Return the grades of one test as floats, NaN where unknown."""
    if test in _MULTIPLES:
        rule = _MULTIPLES[test]
        abnormal = baseline > uln
        reference = np.where(abnormal, baseline, uln)
        grades = _count_above(value, reference, rule.above)
        begin = _rounded(rule.abnormal_from * baseline)
        reached = _rounded(value) > begin if rule.abnormal_exceeds else _rounded(value) >= begin
        grades = np.where(abnormal & ~reached, 0.0, grades)
        return np.where(np.isnan(value) | np.isnan(uln), np.nan, grades)
    if test == "CREA":
        by_uln = _count_above(value, uln, (1, 1.5, 3, 6))
        over_baseline = _count_above(value, baseline, (1.5, 3))
        by_baseline = np.where(over_baseline > 0, over_baseline + 1, 0.0)
        return np.where(np.isnan(value) | np.isnan(uln), np.nan, np.maximum(by_uln, by_baseline))
    bounds = {
        "INR": (1.2, 1.5, 2.5),
        "ALB": (CONVENTIONAL_LLN["ALB"], 30.0, 20.0),
        "PLT": (CONVENTIONAL_LLN["PLT"], 75.0, 50.0, 25.0),
    }[test]
    shown = _rounded(value)
    exceeded = [shown > bound if test == "INR" else shown < bound for bound in bounds]
    return np.where(np.isnan(value), np.nan, np.sum(exceeded, axis=0).astype(float))


def _count_above(value: np.ndarray, reference: np.ndarray, multiples: tuple[float, ...]) -> np.ndarray:
    """Return how many of the rising multiples of `reference` are exceeded; a comparison with NaN is not."""
    return np.sum([_rounded(value) > _rounded(multiple * reference) for multiple in multiples], axis=0).astype(float)


def _rounded(numbers: np.ndarray) -> np.ndarray:
    return np.round(numbers, DECIMALS)


@cache
def ctcae_soc() -> Mapping[str, str]:
    """Return CTCAE v5.0 term -> system organ class (SOC), for the terms this project uses.

    The terms (``ctcae_terms.csv`` beside this module) are those of sorafenib's known toxicity, of
    complications of radiofrequency ablation and of the laboratory tests graded here; the whole dictionary
    has 837 terms.
    """
    text = resources.files(__package__).joinpath("ctcae_terms.csv").read_text(encoding="utf-8")
    return MappingProxyType({row["term"]: row["soc"] for row in csv.DictReader(text.splitlines())})
