"""The predicate language of claims: what it computes, and that nothing else gets in."""

from __future__ import annotations

import pytest

from sorafenib_rfa.manuscript.predicate import NotEstimableError, PredicateError, parse_predicate

NAN = float("nan")
ROWS = {
    "hr": {"value": 0.8, "ci_low": 0.6, "ci_high": 0.97, "p_value": 0.03},
    "diff": {"value": NAN, "ci_low": NAN, "ci_high": NAN, "p_value": NAN},
    "n": {"value": 10, "ci_low": NAN, "ci_high": NAN, "p_value": NAN},
}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("hr.ci_high < 1", True),
        ("hr.ci_low > 1", False),
        ("0.5 < hr.ci_low <= hr.value < hr.ci_high", True),
        ("not (hr.value > 1 or hr.p_value >= 0.05)", True),
        ("hr.value - 1 == -0.19999999999999996", True),
        ("hr.value * 2 / 4 + 1 != 1", True),
        ("is_estimable(hr) and not is_estimable(diff)", True),
        ("is_estimable(diff) and diff.value > 0", False),
        ("is_estimable(n.ci_low)", False),
        ("not is_estimable(n.ci_low) or n.ci_low > 3", True),
        ("n.value >= +10", True),
    ],
)
def test_truth(source, holds):
    assert parse_predicate(source, ROWS).holds(ROWS) is holds


@pytest.mark.parametrize("source", ["diff.value > 0", "hr.value > 0 and n.ci_low < 3"])
def test_comparing_what_is_not_estimable_is_an_error(source):
    with pytest.raises(NotEstimableError):
        parse_predicate(source, ROWS).holds(ROWS)


def test_division_by_zero_is_an_error():
    with pytest.raises(PredicateError, match="zero"):
        parse_predicate("hr.value / 0 > 1", ROWS).holds(ROWS)


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os').system('true')",
        "hr.__class__",
        "hr.value.real > 1",
        "open('x')",
        "[1][0] > 0",
        "hr.value if 1 else 2",
        "lambda: 1",
        "hr.value > 'a'",
        "True",
        "hr.value > True",
        "hr.value",
        "hr > 1",
        "hr.value ** 99 > 1",
        "hr.value in (1, 2)",
        "hr.value is 1",
        "is_estimable(hr, n)",
        "is_estimable(hr) > 0",
        "(x := 1) > 0",
        "hr.value >",
        "",
        "1; 2",
        "a\x00b",
    ],
)
def test_everything_outside_of_the_grammar_is_refused(source):
    with pytest.raises(PredicateError):
        parse_predicate(source, ROWS)


def test_unknown_names_come_with_a_guess():
    with pytest.raises(PredicateError, match=r"no alias 'hrr'.*did you mean 'hr'"):
        parse_predicate("hrr.value > 1", ROWS)
    with pytest.raises(PredicateError, match=r"no field 'ci_hgih'.*did you mean 'ci_high'"):
        parse_predicate("hr.ci_hgih > 1", ROWS)
