"""What the text says of published evidence follows its intervals, whatever could be verified."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sorafenib_rfa.manuscript import load_claims
from sorafenib_rfa.manuscript.claims import parse_claim

MANUSCRIPT = Path(__file__).parents[2] / "manuscript"
CLAIMS = load_claims(MANUSCRIPT / "claims.yaml")
POOLED = ("evidence_rfs", "evidence_ttr", "evidence_os", "evidence_tace", "evidence_adjuvant_cohorts")
FAVOURS, AGAINST, OPEN, NONE = (0.5, 0.8), (1.2, 2.0), (0.7, 1.4), (math.nan, math.nan)


def said(name: str, **rows: float | tuple[float, float] | dict[str, float]) -> str:
    """Return what a claim says of numbers (a count) and of intervals, whose middle is the estimate."""
    known = {}
    for alias, row in rows.items():
        if isinstance(row, tuple):
            row = {"value": math.sqrt(row[0] * row[1]), "ci_low": row[0], "ci_high": row[1]}
        known[alias] = row if isinstance(row, dict) else {"value": row}
    branches = parse_claim(CLAIMS, name).branches
    return next(branch.say for branch in branches if branch.predicate is None or branch.predicate.holds(known))


@pytest.mark.parametrize("name", POOLED)
def test_one_study_is_not_called_pooled_and_none_is_called_none(name):
    nothing = said(name, k=0, single=NONE, common=NONE, random=NONE)
    assert nothing.startswith("No cohort") or "no trial has" in nothing
    for single, words in ((FAVOURS, "came later"), (AGAINST, "came sooner"), (OPEN, "not shown")):
        text = said(name, k=1, single=single, common=NONE, random=NONE)
        assert words in text and "single_hr" in text
        assert "common effect" not in text and "random effects" not in text


@pytest.mark.parametrize("name", POOLED)
def test_several_studies_favour_a_side_only_where_random_effects_do(name):
    expected = {
        (FAVOURS, FAVOURS): "came later with sorafenib",
        (AGAINST, AGAINST): "came sooner with sorafenib",
        (FAVOURS, OPEN): "in favour of sorafenib only if all",
        (AGAINST, OPEN): "against sorafenib only if all",
        (OPEN, OPEN): "not shown",
        (NONE, NONE): "could not be pooled",
    }
    for (common, random), words in expected.items():
        text = said(name, k=2, single=NONE, common=common, random=random)
        assert words in text, (common, random)
        assert ("not shown" in text) == (words == "not shown")


def test_with_unverified_intervals_the_side_is_that_of_random_effects():
    for random, words in ((FAVOURS, "in favour"), (AGAINST, "against"), (OPEN, "not shown"), (NONE, "nothing")):
        assert words in said("evidence_tace_unverified", k=4, verified=1, random=random)
    assert "No unverified interval" in said("evidence_tace_unverified", k=1, verified=1, random=NONE)


def test_an_effect_wanes_only_if_it_was_there_and_the_intervals_differ():
    differ, alike = {"value": 15.0, "p_value": 0.001}, {"value": 2.0, "p_value": 0.4}
    assert "waned until none was shown" in said("evidence_waning", early=FAVOURS, late=OPEN, equal=differ)
    assert "became smaller" in said("evidence_waning", early=(0.2, 0.4), late=FAVOURS, equal=differ)
    assert "not shown" in said("evidence_waning", early=FAVOURS, late=OPEN, equal=alike)
    for early, late in ((OPEN, FAVOURS), (AGAINST, OPEN)):
        text = said("evidence_waning", early=early, late=late, equal=differ)
        assert "waned" not in text and "changed with time" in text
    unknown = {"value": math.nan, "p_value": math.nan}
    assert "could not be told" in said("evidence_waning", early=NONE, late=OPEN, equal=unknown)


def test_a_second_look_waned_only_if_the_first_excluded_no_effect():
    assert "waned" in said("evidence_imbrave", first=FAVOURS, second=OPEN)
    assert "waned" not in said("evidence_imbrave", first=FAVOURS, second=FAVOURS)
    assert "waned" not in said("evidence_imbrave", first=OPEN, second=OPEN)


def test_the_simulated_estimate_is_placed_by_the_interval_of_the_trial():
    trial = (0.8, 1.1)
    for own, words in (((0.5, 0.7), "below"), ((0.85, 1.0), "within"), ((1.3, 1.6), "above"), (NONE, "cannot be set")):
        assert words in said("evidence_placed", own=own, trial=trial)


def test_only_the_place_of_the_simulated_estimate_rests_on_both_cohorts():
    evidence = {name: parse_claim(CLAIMS, name).ard.values() for name in CLAIMS if name.startswith("evidence_")}
    both = [name for name, ids in evidence.items() if any(not identifier.startswith("evidence:") for identifier in ids)]
    assert both == ["evidence_placed"]
    text = (MANUSCRIPT / "_results_evidence.qmd").read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if "](figures/" in line or "{{< table" in line]
    assert shown and all("figures/evidence/" in line or "evidence:" in line for line in shown)


def test_an_error_of_the_editorial_is_named_only_where_a_verdict_found_it():
    assert "does not exist" in said("evidence_editorial", unit=2, screened=1)
    assert "does not exist" not in said("evidence_editorial", unit=0, screened=1)
    assert said("evidence_editorial", unit=0, screened=0).startswith("No statement")
