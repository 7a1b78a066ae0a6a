"""What the text says of published evidence follows its intervals, whatever could be verified."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sorafenib_rfa.manuscript import load_claims
from sorafenib_rfa.manuscript.claims import parse_claim

MANUSCRIPT = Path(__file__).parents[2] / "manuscript"
CLAIMS = load_claims(MANUSCRIPT / "claims.yaml")
COHORTS = "evidence_adjuvant_cohorts"
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


def sides(name: str) -> tuple[str, str]:
    """Return the words for an effect in favour and against: of cohorts an association is told, not an effect."""
    if name == COHORTS:
        return "was associated with longer survival", "was associated with shorter survival"
    return "came later with sorafenib", "came sooner with sorafenib"


@pytest.mark.parametrize("name", POOLED)
def test_one_study_is_not_called_pooled_and_none_is_called_none(name):
    nothing = said(name, k=0, single=NONE, common=NONE, random=NONE)
    assert nothing.startswith("No cohort") or "no trial has" in nothing
    later, sooner = sides(name)
    for single, words in ((FAVOURS, later), (AGAINST, sooner), (OPEN, "not shown")):
        text = said(name, k=1, single=single, common=NONE, random=NONE)
        assert words in text and "single_hr" in text
        assert "common effect" not in text and "random effects" not in text


@pytest.mark.parametrize("name", POOLED)
def test_several_studies_favour_a_side_only_where_random_effects_do(name):
    later, sooner = sides(name)
    expected = {
        (FAVOURS, FAVOURS): later,
        (AGAINST, AGAINST): sooner,
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


def test_a_difference_is_no_longer_shown_only_if_the_first_look_showed_one_and_the_second_does_not():
    words = "smaller, and a difference was no longer shown"
    assert words in said("evidence_imbrave", first=FAVOURS, second=OPEN)
    for first, second in ((FAVOURS, FAVOURS), (OPEN, OPEN), (FAVOURS, (0.05, 1.2)), (OPEN, AGAINST)):
        assert words not in said("evidence_imbrave", first=first, second=second)
    assert not any("waned" in branch.say for branch in parse_claim(CLAIMS, "evidence_imbrave").branches)


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


def test_an_error_of_the_editorial_is_named_only_where_a_verdict_found_it_in_that_statement():
    named = {"treated": 1, "control": 1, "contrast": 1}
    assert "does not exist" in said("evidence_editorial_space", **named)
    for alias in named:
        text = said("evidence_editorial_space", **(named | {alias: 0}))
        assert "does not exist" not in text
        assert ("medians of SPACE in months where they are weeks" in text) == (alias == "contrast")
    none = said("evidence_editorial_space", treated=0, control=0, contrast=1)
    assert none.startswith("Its medians of SPACE were not found")
    assert "takes the number screened for STORM" in said("evidence_editorial", screened=1)
    assert "n_screened" not in said("evidence_editorial", screened=0)
    for name, statements in {
        "evidence_editorial": ["storm_patients"],
        "evidence_editorial_space": ["space_median_treated", "space_median_control", "contrast"],
    }.items():
        bound = parse_claim(CLAIMS, name).ard.values()
        assert [identifier.split(".")[2] for identifier in bound] == statements


def test_certainty_is_told_of_a_trial_and_an_endpoint():
    for levels, words in (
        ((3, 1, 1), "no more certain than the cohorts"),
        ((3, 2, 1), "and so does SORAMIC"),
        ((1, 1, 1), "with no more certainty"),
        ((1, 1, 2), "the cohorts of the very combination tell with more certainty than STORM"),
    ):
        text = said("evidence_certainty", storm=levels[0], ablation=levels[1], cohorts=levels[2])
        assert words in text
        assert "STORM" in text and "recurrence" in text and "trials" not in text


def test_the_abstract_tells_of_an_early_advantage_that_waned_only_where_it_was_reconstructed():
    differ, alike = {"value": 15.0, "p_value": 0.001}, {"value": 2.0, "p_value": 0.4}
    assert "waned" in said("abstract_evidence", hr=OPEN, early=FAVOURS, late=OPEN, equal=differ)
    for early, late, equal in ((OPEN, AGAINST, differ), (FAVOURS, OPEN, alike), ((0.2, 0.4), FAVOURS, differ)):
        text = said("abstract_evidence", hr=OPEN, early=early, late=late, equal=equal)
        assert "STORM" in text and "waned" not in text
    assert "could be verified" in said("abstract_evidence", hr=NONE, early=FAVOURS, late=OPEN, equal=differ)
    # which trial is the largest is not computed
    assert not any("largest" in branch.say for branch in parse_claim(CLAIMS, "abstract_evidence").branches)


def test_the_largest_synthesis_is_called_a_sensitivity_analysis_only_where_it_is_one():
    others = {"rfs": 1, "ttr": 2, "os": 1}
    assert "unverified intervals in" in said("evidence_largest", k=4, verified=1, **others)
    assert "unverified" not in said("evidence_largest", k=4, verified=4, **others)
    assert "unverified" not in said("evidence_largest", k=4, verified=1, **(others | {"os": 5}))
