"""Every quantity R was asked for (``r/*.R``, values committed in ``values/*.json``) against this package.

The tolerance is 1e-9 of the largest element of a quantity: both sides run Newton's method to the end, so what is left
is rounding. ``make crosscheck`` proves that the committed values are R's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import ours  # noqa: E402
from crosscheck import read_values  # noqa: E402

pytestmark = pytest.mark.reference
TOLERANCE = 1e-9
REFERENCE = {family: read_values(HERE / "values" / f"{family}.json") for family in ours.FAMILIES}


@pytest.mark.parametrize("family", ours.FAMILIES)
def test_every_reference_value_has_a_counterpart(family: str) -> None:
    assert set(REFERENCE[family]) == set(ours.ours(family))
    assert len(REFERENCE[family]) > 30


@pytest.mark.parametrize(
    ("family", "quantity"), [(family, quantity) for family, values in REFERENCE.items() for quantity in values]
)
def test_equals_r(family: str, quantity: str) -> None:
    expected = REFERENCE[family][quantity].value
    found = ours.ours(family)[quantity]
    assert found.shape == expected.shape
    assert ours.relative_difference(found, expected) < TOLERANCE, (found, expected)


def test_relative_difference_sees_what_differs() -> None:
    """The yardstick itself: a changed element, a missing one, a limit that is infinite on one side."""
    a = np.array([1.0, 2.0])
    assert ours.relative_difference(a, a) == 0
    assert ours.relative_difference(np.array([1.0, 2.0002]), a) == pytest.approx(1e-4)
    assert ours.relative_difference(np.array([1.0, np.nan]), a) == np.inf
    assert ours.relative_difference(a, np.array([1.0, np.inf])) == np.inf
    assert ours.relative_difference(a[:1], a) == np.inf


def test_committed_values_name_their_engine() -> None:
    for family in ours.FAMILIES:
        engine = json.loads((HERE / "values" / f"{family}.json").read_text())["engine"]
        assert engine["R"].startswith("R version")
        assert engine["survival"].startswith("3."), "cox.zph changed with survival 3.0"
