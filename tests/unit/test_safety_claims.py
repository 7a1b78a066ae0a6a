"""What the text says of adverse events by exposure follows numbers on one scale of time, never crude percentages."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import pytest

from sorafenib_rfa.manuscript import load_claims
from sorafenib_rfa.manuscript.claims import parse_claim

MANUSCRIPT = Path(__file__).parents[2] / "manuscript"
CLAIMS = load_claims(MANUSCRIPT / "claims.yaml")
BY_EXPOSURE = ("safety_grade3", "safety_liver_injury", "discussion_safety")
CRUDE = re.compile(r"safety\.(?:summary|interest|term|soc)\.\w+\.[\w.]*(?:risk_difference|risk_ratio)")


def said(name: str, difference: tuple[float, float], ratio: tuple[float, float]) -> str:
    """Return what a claim says of the limits of a difference and of a rate ratio."""
    rows = {
        alias: {"value": sum(limits) / 2, "ci_low": limits[0], "ci_high": limits[1]}
        for alias, limits in (("difference", difference), ("ratio", ratio))
    }
    branches = parse_claim(CLAIMS, name).branches
    return next(branch.say for branch in branches if branch.predicate is None or branch.predicate.holds(rows))


@pytest.mark.parametrize("name", BY_EXPOSURE)
def test_no_difference_is_called_not_shown_where_one_measure_excludes_none(name):
    differences = {"more": (1.0, 9.0), "fewer": (-9.0, -1.0), "open": (-4.0, 4.0)}
    ratios = {"more": (1.2, 3.0), "fewer": (0.2, 0.8), "open": (0.7, 1.4), "unknown": (math.nan, math.nan)}
    for (way, difference), (speed, ratio) in product(differences.items(), ratios.items()):
        open_ = way == "open" and speed in ("open", "unknown")
        assert ("not shown" in said(name, difference, ratio)) == open_, (way, speed)
    assert "more frequent" in said(name, differences["more"], ratios["open"])
    assert "less frequent" in said(name, differences["fewer"], ratios["open"])
    assert "could not" in said(name, (math.nan, math.nan), ratios["more"])


@pytest.mark.parametrize("name", BY_EXPOSURE)
def test_claims_by_exposure_rest_on_the_same_time_in_both_groups(name):
    ids = parse_claim(CLAIMS, name).ard
    assert ids["difference"].endswith(".incidence_difference")
    assert ids["ratio"].endswith(".rate_ratio")


def test_no_text_quotes_a_crude_difference_of_adverse_events():
    texts = [*MANUSCRIPT.glob("*.qmd"), MANUSCRIPT / "claims.yaml"]
    quoted = {path.name: CRUDE.findall(path.read_text(encoding="utf-8")) for path in texts}
    assert {name: found for name, found in quoted.items() if found} == {}
