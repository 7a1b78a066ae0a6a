"""CTCAE v5.0 grades at every bound of both branches.

Bounds: National Cancer Institute, CTCAE v5.0 (2017), as quoted in the grading metadata of the R package admiral.
"""

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorafenib_rfa.clinical.ctcae import LAB_TERMS, ctcae_soc, grade
from sorafenib_rfa.vocabulary import LAB_TESTS

# --- every boundary, written out apart from the code ---------------------------------------------------------------
#
# Grade -> its interval as the published table prints it: "above the first number up to and with the second", in
# multiples of the upper limit of normal (ULN) with a normal baseline, of baseline with an abnormal one. "from" marks
# an interval that begins with its first number (CTCAE v5.0 prints "1.5 - 3.0 x baseline", "2.0 - 2.5 x baseline").
ABOVE, FROM, BELOW = "above", "from", "below"
TRANSAMINASE = {1: (ABOVE, 1, 3), 2: (ABOVE, 3, 5), 3: (ABOVE, 5, 20), 4: (ABOVE, 20, None)}
TRANSAMINASE_ABNORMAL = {1: (FROM, 1.5, 3), 2: (ABOVE, 3, 5), 3: (ABOVE, 5, 20), 4: (ABOVE, 20, None)}
CHOLESTASIS = {1: (ABOVE, 1, 2.5), 2: (ABOVE, 2.5, 5), 3: (ABOVE, 5, 20), 4: (ABOVE, 20, None)}
CHOLESTASIS_ABNORMAL = {1: (FROM, 2, 2.5), 2: (ABOVE, 2.5, 5), 3: (ABOVE, 5, 20), 4: (ABOVE, 20, None)}
BILIRUBIN = {1: (ABOVE, 1, 1.5), 2: (ABOVE, 1.5, 3), 3: (ABOVE, 3, 10), 4: (ABOVE, 10, None)}
PUBLISHED_MULTIPLES = {
    "ALT": (TRANSAMINASE, TRANSAMINASE_ABNORMAL),
    "AST": (TRANSAMINASE, TRANSAMINASE_ABNORMAL),
    "ALP": (CHOLESTASIS, CHOLESTASIS_ABNORMAL),
    "GGT": (CHOLESTASIS, CHOLESTASIS_ABNORMAL),
    "BILI": (BILIRUBIN, BILIRUBIN),
}
# Albumin and platelets: "<LLN - 30 g/L", "<30 - 20 g/L", "<20 g/L"; "<LLN - 75", "<75 - 50", "<50 - 25", "<25". LLN is
# this project's assumption (35 g/L, 150 x 10^9/L). INR: ">1.2 - 1.5", ">1.5 - 2.5", ">2.5", without anticoagulation.
PUBLISHED_VALUES = {
    "ALB": {1: (BELOW, 35, 30), 2: (BELOW, 30, 20), 3: (BELOW, 20, None)},
    "PLT": {1: (BELOW, 150, 75), 2: (BELOW, 75, 50), 3: (BELOW, 50, 25), 4: (BELOW, 25, None)},
    "INR": {1: (ABOVE, 1.2, 1.5), 2: (ABOVE, 1.5, 2.5), 3: (ABOVE, 2.5, None)},
}
# Creatinine: ">ULN - 1.5 x ULN"; ">1.5 - 3.0 x baseline" or ">1.5 - 3.0 x ULN"; ">3.0 x baseline" or ">3.0 - 6.0 x
# ULN"; ">6.0 x ULN"
CREATININE_BY_ULN = {1: (ABOVE, 1, 1.5), 2: (ABOVE, 1.5, 3), 3: (ABOVE, 3, 6), 4: (ABOVE, 6, None)}
CREATININE_BY_BASELINE = {2: (ABOVE, 1.5, 3), 3: (ABOVE, 3, None)}

STEP = 1e-6
"""Relative distance of the values on both sides of a bound: far above rounding, far below any laboratory's step."""


def published_grade(table: dict, number: float) -> int:
    """Return the grade whose interval holds `number`, read off the published table."""
    for grade_number, (how, first, last) in table.items():
        if how == BELOW:
            inside = number < first and (last is None or number >= last)
        else:
            inside = (number >= first if how == FROM else number > first) and (last is None or number <= last)
        if inside:
            return grade_number
    return 0


def around_bounds(table: dict) -> list[float]:
    """Return every bound of the table with the nearest values on both sides, and values between the bounds."""
    bounds = sorted({bound for _, *pair in table.values() for bound in pair if bound is not None})
    beside = [number for bound in bounds for number in (bound * (1 - STEP), bound, bound * (1 + STEP))]
    between = [(a + b) / 2 for a, b in pairwise([bounds[0] / 2, *bounds, bounds[-1] * 2])]
    return sorted([*beside, *between])


BOTH_BRANCHES = [
    (test, branch, multiple)
    for test, tables in PUBLISHED_MULTIPLES.items()
    for branch, table in zip(("normal", "abnormal"), tables, strict=True)
    for multiple in around_bounds(table)
]


def test_the_published_table_is_tried_on_both_sides_of_every_bound():
    # 4 bounds of 5 tests in 2 branches, each with both sides, and a value in each of the 5 intervals
    assert len(BOTH_BRANCHES) == 5 * 2 * (4 * 3 + 5)
    assert set(PUBLISHED_MULTIPLES) | set(PUBLISHED_VALUES) | {"CREA"} == set(LAB_TERMS)
    for test, tables in PUBLISHED_MULTIPLES.items():
        for table in tables:
            grades = {published_grade(table, multiple) for multiple in around_bounds(table)}
            assert grades == {0, 1, 2, 3, 4}, test


@pytest.mark.parametrize(("test", "branch", "multiple"), BOTH_BRANCHES)
def test_multiples_of_limit_or_baseline(test, branch, multiple):
    normal, abnormal = PUBLISHED_MULTIPLES[test]
    if branch == "normal":
        expected = published_grade(normal, multiple)
        for baseline in (30.0, 40.0, None):  # below the limit; at it, which is normal; unknown, taken as normal
            assert grade(test, multiple * 40.0, 40.0, baseline) == expected
    else:
        expected = published_grade(abnormal, multiple)
        for baseline in (40.0 * (1 + STEP), 100.0, 3000.0):  # just above the limit; far above it
            assert grade(test, multiple * baseline, 40.0, baseline) == expected


@pytest.mark.parametrize(
    ("test", "value"), [(test, value) for test, table in PUBLISHED_VALUES.items() for value in around_bounds(table)]
)
def test_tests_graded_by_absolute_value(test, value):
    expected = published_grade(PUBLISHED_VALUES[test], value)
    # neither limit nor baseline play a part
    assert grade(test, value, None, None) == expected
    assert grade(test, value, 55.0, value * 2) == expected


@pytest.mark.parametrize("by_uln", around_bounds(CREATININE_BY_ULN))
@pytest.mark.parametrize("by_baseline", around_bounds(CREATININE_BY_BASELINE))
def test_creatinine_takes_the_worse_of_limit_and_baseline(by_uln, by_baseline):
    value = by_uln * 100.0
    expected = max(published_grade(CREATININE_BY_ULN, by_uln), published_grade(CREATININE_BY_BASELINE, by_baseline))
    assert grade("CREA", value, 100.0, value / by_baseline) == expected
    assert grade("CREA", value, 100.0, None) == published_grade(CREATININE_BY_ULN, by_uln)


def test_the_branches_differ_where_it_matters():
    # 120 U/L with ULN 40: three times ULN, 1.2 times an abnormal baseline of 100
    assert grade("ALT", 121.0, 40.0, baseline=35.0) == 2
    assert grade("ALT", 121.0, 40.0, baseline=100.0) == 0


@pytest.mark.parametrize("test", ["ALT", "AST", "ALP", "GGT", "BILI", "CREA"])
def test_without_an_upper_limit_there_is_no_grade(test):
    assert grade(test, 500.0, None, 20.0) is pd.NA


def test_a_missing_value_and_a_test_without_criteria_have_no_grade():
    assert grade("ALT", None, 40.0, 20.0) is pd.NA
    assert grade("PLT", None, None, None) is pd.NA
    assert grade("AFP", 4000.0, 7.0, 10.0) is pd.NA
    assert set(LAB_TESTS) - set(LAB_TERMS) == {"AFP"}


def test_an_unknown_test_is_refused():
    with pytest.raises(ValueError, match="found 'HGB'"):
        grade("HGB", 100.0, None, None)
    with pytest.raises(ValueError, match="found"):
        grade(pd.Series(["ALT", None], dtype="string"), 100.0, 40.0, None)


def test_a_column_of_mixed_tests_keeps_its_index():
    frame = pd.DataFrame(
        {
            "test": ["ALT", "BILI", "PLT", "AFP", "ALT"],
            "value": [201.0, 35.0, 60.0, 900.0, None],
            "uln": [40.0, 17.1, None, 7.0, 40.0],
            "baseline": [30.0, 30.0, None, None, 30.0],
        },
        index=[9, 3, 7, 1, 5],
    )
    found = grade(frame["test"], frame["value"], frame["uln"], frame["baseline"])
    assert found.index.tolist() == [9, 3, 7, 1, 5]
    assert found.dtype == "Int64"
    # ALT 5.03 ULN: 3; bilirubin 1.17 times an abnormal baseline: 1; platelets 60: 2
    assert found.astype(object).tolist() == [3, 1, 2, pd.NA, pd.NA]


@given(
    st.sampled_from(["ALT", "AST", "ALP", "GGT", "BILI", "CREA", "INR"]),
    st.floats(0.1, 2000),
    st.floats(0.1, 2000),
    st.floats(1, 200),
    st.one_of(st.none(), st.floats(1, 400)),
)
def test_a_higher_value_never_has_a_lower_grade(test, a, b, uln, baseline):
    low, high = sorted((a, b))
    assert 0 <= grade(test, low, uln, baseline) <= grade(test, high, uln, baseline) <= 4


@given(st.sampled_from(["ALB", "PLT"]), st.floats(0.1, 400), st.floats(0.1, 400))
def test_a_lower_count_never_has_a_lower_grade(test, a, b):
    low, high = sorted((a, b))
    assert 0 <= grade(test, high, None, None) <= grade(test, low, None, None) <= 4


def test_terms_carry_their_system_organ_class():
    soc = ctcae_soc()
    assert soc["Palmar-plantar erythrodysesthesia syndrome"] == "Skin and subcutaneous tissue disorders"
    assert soc["Hepatic infection"] == "Infections and infestations"
    assert soc["Portal vein thrombosis"] == "Hepatobiliary disorders"
    assert soc["Weight loss"] == "Investigations"
    assert soc["Anorexia"] == "Metabolism and nutrition disorders"
    assert set(LAB_TERMS.values()) <= set(soc)
    assert list(soc) == sorted(soc)


def test_the_plan_names_only_known_terms():
    from tests.unit.adam_cohorts import plan

    assert set(plan().query_of()) <= set(ctcae_soc())
