"""CTCAE v5.0 grades at every bound of both branches.

Bounds: National Cancer Institute, CTCAE v5.0 (2017), as quoted in the grading metadata of the R package admiral.
"""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorafenib_rfa.clinical.ctcae import LAB_TERMS, ctcae_soc, grade
from sorafenib_rfa.vocabulary import LAB_TESTS

TRANSAMINASES = [(1.0, 0), (1.001, 1), (3.0, 1), (3.001, 2), (5.0, 2), (5.001, 3), (20.0, 3), (20.001, 4)]
CHOLESTASIS = [(1.0, 0), (1.001, 1), (2.5, 1), (2.501, 2), (5.0, 2), (5.001, 3), (20.0, 3), (20.001, 4)]
BILIRUBIN = [(1.0, 0), (1.001, 1), (1.5, 1), (1.501, 2), (3.0, 2), (3.001, 3), (10.0, 3), (10.001, 4)]
TRANSAMINASES_ABNORMAL = [(0.5, 0), (1.499, 0), (1.5, 1), *TRANSAMINASES[2:]]
CHOLESTASIS_ABNORMAL = [(0.5, 0), (1.999, 0), (2.0, 1), *CHOLESTASIS[2:]]


@pytest.mark.parametrize(
    ("test", "times_uln", "expected"),
    [
        *(("ALT", *case) for case in TRANSAMINASES),
        *(("AST", *case) for case in TRANSAMINASES),
        *(("ALP", *case) for case in CHOLESTASIS),
        *(("GGT", *case) for case in CHOLESTASIS),
        *(("BILI", *case) for case in BILIRUBIN),
    ],
)
def test_multiples_of_the_upper_limit_when_baseline_is_normal(test, times_uln, expected):
    uln = 40.0
    assert grade(test, times_uln * uln, uln, baseline=30.0) == expected
    assert grade(test, times_uln * uln, uln, baseline=uln) == expected  # at the limit is normal
    assert grade(test, times_uln * uln, uln, baseline=None) == expected  # unknown is taken as normal


@pytest.mark.parametrize(
    ("test", "times_baseline", "expected"),
    [
        *(("ALT", *case) for case in TRANSAMINASES_ABNORMAL),
        *(("AST", *case) for case in TRANSAMINASES_ABNORMAL),
        *(("ALP", *case) for case in CHOLESTASIS_ABNORMAL),
        *(("GGT", *case) for case in CHOLESTASIS_ABNORMAL),
        *(("BILI", *case) for case in BILIRUBIN),
    ],
)
def test_multiples_of_baseline_when_baseline_is_abnormal(test, times_baseline, expected):
    assert grade(test, times_baseline * 100.0, 40.0, baseline=100.0) == expected


def test_the_branches_differ_where_it_matters():
    # 120 U/L with ULN 40: three times ULN, 1.2 times an abnormal baseline of 100
    assert grade("ALT", 121.0, 40.0, baseline=35.0) == 2
    assert grade("ALT", 121.0, 40.0, baseline=100.0) == 0


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        *(("INR", *case) for case in [(1.2, 0), (1.21, 1), (1.5, 1), (1.51, 2), (2.5, 2), (2.51, 3), (9.0, 3)]),
        *(("ALB", *case) for case in [(35.0, 0), (34.9, 1), (30.0, 1), (29.9, 2), (20.0, 2), (19.9, 3), (9.0, 3)]),
        *(
            ("PLT", *case)
            for case in [(150.0, 0), (149.0, 1), (75.0, 1), (74.0, 2), (50.0, 2), (49.0, 3), (25.0, 3), (24.0, 4)]
        ),
    ],
)
def test_tests_graded_by_absolute_value(test, value, expected):
    assert grade(test, value, None, None) == expected


@pytest.mark.parametrize(
    ("value", "baseline", "expected"),
    [
        # ULN 100: by ULN alone
        (100.0, 80.0, 0),
        (101.0, 80.0, 1),
        (120.0, None, 1),
        (150.0, 120.0, 1),
        (151.0, 120.0, 2),
        (300.0, 250.0, 2),
        (301.0, 250.0, 3),
        (600.0, 500.0, 3),
        (601.0, 500.0, 4),
        # by baseline where that is worse: above 1.5 times is 2, above 3 times is 3
        (90.0, 60.0, 0),  # exactly 1.5 times
        (91.0, 60.0, 2),
        (150.0, 50.0, 2),  # exactly 3 times
        (151.0, 50.0, 3),
    ],
)
def test_creatinine_takes_the_worse_of_limit_and_baseline(value, baseline, expected):
    assert grade("CREA", value, 100.0, baseline) == expected


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

    assert set(plan().events_of_interest) <= set(ctcae_soc())
