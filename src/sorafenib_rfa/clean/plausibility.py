"""What a value can be in a living person: outside is a typing error, a wrong unit or a wrong column.

The bounds are wide on purpose. They are to catch what cannot be, not what is rare: an albumin of 41 g/dL read as
410 g/L, a bilirubin in mg/dL labelled umol/L, a tumour of 25 cm meant as 25 mm. They are this project's choice
(assumptions), each with its reason; none is a reference interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Bounds:
    """Closed interval of the possible, its unit, and why."""

    low: float
    high: float
    unit: str
    why: str

    def __str__(self) -> str:
        """Return the interval as a person writes it."""
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


COLUMN_BOUNDS: Final[Mapping[tuple[str, str], Bounds]] = MappingProxyType(
    {
        ("patients", "age_years"): Bounds(0, 110, "years", "nobody with HCC was treated beyond 110"),
        ("patients", "ecog"): Bounds(0, 4, "", "the scale; 5 is death"),
        ("patients", "tumour_count"): Bounds(1, 50, "", "a patient treated for HCC has a tumour; 50 cannot be counted"),
        ("patients", "largest_tumour_cm"): Bounds(0.1, 30, "cm", "below imaging resolution; beyond a liver's width"),
        ("ablations", "tumour_no"): Bounds(1, 50, "", "as tumour_count"),
        ("ablations", "tumour_diameter_cm"): Bounds(0.1, 15, "cm", "no electrode ablates more than 15 cm"),
        ("ablations", "complication_cirse"): Bounds(1, 6, "", "the CIRSE scale"),
        ("drug_exposure", "daily_dose_mg"): Bounds(
            0, 1600, "mg/day", "0 is a recorded pause; 1600 is twice the label's 800"
        ),
        ("survival_times", "time_months"): Bounds(0, 600, "months", "time does not run backwards; 50 years"),
    }
)
"""Table and column -> what it can be."""

LAB_BOUNDS: Final[Mapping[str, Bounds]] = MappingProxyType(
    {
        "ALB": Bounds(8, 70, "g/L", "below: not compatible with life; above: g/dL taken for g/L, or total protein"),
        "BILI": Bounds(1, 1500, "umol/L", "below the limit of every assay; 1500 umol/L is 88 mg/dL"),
        "ALT": Bounds(1, 30000, "U/L", "the highest in fulminant hepatitis are near 20000"),
        "AST": Bounds(1, 30000, "U/L", "as ALT"),
        "ALP": Bounds(3, 10000, "U/L", "hypophosphatasia is above 3; highest reports are near 5000"),
        "GGT": Bounds(1, 10000, "U/L", "as ALP"),
        "INR": Bounds(0.5, 20, "", "below 0.5 no assay reports; above 20 is unmeasurable"),
        "PLT": Bounds(1, 3000, "10^9/L", "above 3000: given per microlitre with the unit of 10^9/L"),
        "AFP": Bounds(0.05, 10_000_000, "ng/mL", "half of the lowest limit of detection; highest reports near 10^7"),
        "CREA": Bounds(5, 3000, "umol/L", "below: mg/dL labelled umol/L; 3000 umol/L is 34 mg/dL"),
    }
)
"""PARAMCD -> what it can be, in the canonical unit."""

OLDEST_YEARS: Final = COLUMN_BOUNDS["patients", "age_years"].high
"""No one is older at time zero; a birth date that says so is wrong."""
