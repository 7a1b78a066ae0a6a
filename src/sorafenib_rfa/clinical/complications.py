"""Classifications of complications of ablation. None is translated into another: they ask different questions.

References
----------
Dindo D, et al. Ann Surg 2004;240:205-213. Filippiadis DK, et al. Cardiovasc Intervent Radiol 2017;40:1141-1146 (CIRSE).
Khalilzadeh O, et al. J Vasc Interv Radiol 2017;28:1432-1437 (Society of Interventional Radiology, SIR).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Scale:
    """A classification of complications.

    Attributes
    ----------
    column : str
        Of ADPROC.
    label : str
        Its name.
    codes : tuple of str
        In order of severity.
    severe_from : str
        The first code of the upper part that is reported in one line.
    severe_key, severe_label : str
        That part in ids and in words.
    """

    column: str
    label: str
    codes: tuple[str, ...]
    severe_from: str
    severe_key: str
    severe_label: str


SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "clavien_dindo": Scale(
            "CLAVIEN",
            "Clavien-Dindo",
            ("I", "II", "IIIa", "IIIb", "IVa", "IVb", "V"),
            "IIIa",
            "major",
            "grade III or above (major)",
        ),
        "cirse": Scale("CIRSE", "CIRSE 2017", ("1", "2", "3", "4", "5", "6"), "3", "grade_3_6", "grade 3 or above"),
        "sir": Scale(
            "SIR",
            "SIR 2017",
            ("mild", "moderate", "severe", "life_threatening", "death"),
            "severe",
            "severe_or_worse",
            "severe or worse",
        ),
    }
)
"""Scales, by the name of their raw column without ``complication_``; where they are divided is each one's own."""
