"""Units of exports: spelling variants and exact factors to the canonical unit.

Factors are decimal numbers and are applied in decimal arithmetic, so 1.2 mg/dL of bilirubin is 20.52 umol/L and not
20.519999999999996.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from sorafenib_rfa.ingest.text import normalise
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, LAB_TESTS

BILIRUBIN_UMOL_L_PER_MG_DL: Final = Decimal("17.1")
"""Conventional factor (molar mass 584.66 g/mol gives 17.104); the one ALBI and Child-Pugh calculators use."""
CREATININE_UMOL_L_PER_MG_DL: Final = Decimal("88.4")
"""Conventional factor (molar mass 113.12 g/mol gives 88.40)."""
AFP_NG_PER_IU: Final = Decimal("1.21")
"""Alpha-fetoprotein, nanogram per international unit of the WHO standard 72/225 (recalled, high confidence)."""

_ONE = Decimal(1)
_ENZYME = {"U/L": _ONE, "IU/L": _ONE, "U/mL": Decimal(1000), "ukat/L": Decimal(60), "nkat/L": Decimal("0.06")}

LAB_UNITS: Final[Mapping[str, Mapping[str, Decimal]]] = MappingProxyType(
    {
        "ALB": {"g/L": _ONE, "g/dL": Decimal(10), "mg/dL": Decimal("0.01")},
        "BILI": {"umol/L": _ONE, "mg/dL": BILIRUBIN_UMOL_L_PER_MG_DL, "mg/L": BILIRUBIN_UMOL_L_PER_MG_DL / 10},
        "ALT": _ENZYME,
        "AST": _ENZYME,
        "ALP": _ENZYME,
        "GGT": _ENZYME,
        "INR": {"ratio": _ONE, "INR": _ONE, "1": _ONE},
        "PLT": {
            "10^9/L": _ONE,
            "10^3/uL": _ONE,
            "K/uL": _ONE,
            "G/L": _ONE,
            "10^4/uL": Decimal(10),
            "万/uL": Decimal(10),
            "10^6/mL": _ONE,
            "/uL": Decimal("0.001"),
        },
        "AFP": {
            "ng/mL": _ONE,
            "ug/L": _ONE,
            "ng/dL": Decimal("0.01"),
            "IU/mL": AFP_NG_PER_IU,
            "kIU/L": AFP_NG_PER_IU,
        },
        "CREA": {"umol/L": _ONE, "mg/dL": CREATININE_UMOL_L_PER_MG_DL, "mg/L": CREATININE_UMOL_L_PER_MG_DL / 10},
    }
)
"""Laboratory test -> known unit -> factor to the canonical unit of :data:`vocabulary.LAB_TESTS`."""

assert set(LAB_UNITS) == set(LAB_TESTS)
assert all(LAB_UNITS[test][unit] == 1 for test, (_, unit) in LAB_TESTS.items())

QUANTITIES: Final[Mapping[str, Mapping[str, Decimal]]] = MappingProxyType(
    {
        "length": {"cm": _ONE, "mm": Decimal("0.1")},
        "age": {"years": _ONE, "months": _ONE / 12},
        "dose": {"mg/day": _ONE, "mg": _ONE, "g/day": Decimal(1000)},
        "time": {"months": _ONE, "days": _ONE / Decimal(str(DAYS_PER_MONTH)), "years": Decimal(12)},
    }
)
"""Quantity of a canonical column -> unit an export may use -> factor to the canonical unit."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_MICRO_PREFIX = re.compile(r"^(micro|mc)(?=(mol|g|l|kat)\b)")
_PER_MICROLITRE = re.compile(r"/(mm\^?3|cmm|mcl|microl)$")


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    """Return a spelling of a unit reduced to what tells it from others: case, micro sign, powers, IU."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m.group().translate(_SUPERSCRIPTS), text)
    text = normalise(text).casefold().replace(" ", "").replace("μ", "u").replace("µ", "u")
    text = re.sub(r"^[x*×]+(?=10)", "", text)
    text = re.sub(r"^10(?:\*\*|\*|e\+?|\^)0*(\d+)", r"10^\1", text)
    text = re.sub(r"^10\((\d+)\)", r"10^\1", text)
    text = _MICRO_PREFIX.sub("u", text)
    text = _PER_MICROLITRE.sub("/ul", text)
    text = re.sub(r"^(?:ui|ie|i\.u\.)(?=/)", "iu", text)
    text = re.sub(r"^(?:cells|cell|count)/", "/", text)
    text = re.sub(r"^(?:thou|tsd|10\^3cells)/", "10^3/", text)
    return re.sub(r"^1000/", "10^3/", text)


_BY_KEY: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {test: {_key(unit): unit for unit in units} for test, units in LAB_UNITS.items()}
)


def lab_unit(test: str, spelling: str) -> str | None:
    """Return the known unit of `test` that `spelling` means, or None.

    Case, white space, the two micro signs and the common ways to write powers and international units make no
    difference (``µmol/l``, ``MG/DL``, ``x10⁹/L``, ``10*9/L``, ``UI/L``, ``/mm3``). The lookup is by test, so ``G/L``
    is grams for albumin and 10^9 (giga) for platelets.
    """
    return _BY_KEY[test].get(_key(spelling))


def convert_lab(test: str, value: Decimal, unit: str) -> Decimal:
    """Return `value` of `test` in its canonical unit; `unit` is one of ``LAB_UNITS[test]``."""
    return value * LAB_UNITS[test][unit]
