"""Liver function scores at every bound, against values worked out by hand."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorafenib_rfa.clinical.liver import (
    albi_grade,
    albi_grade_modified,
    albi_score,
    child_pugh_class,
    child_pugh_score,
)

ASCITES = ["none", "mild", "moderate_severe"]
ENCEPHALOPATHY = ["none", "grade_1_2", "grade_3_4"]
BEST = {"bilirubin_umol_l": 10.0, "albumin_g_l": 42.0, "inr": 1.0, "ascites": "none", "encephalopathy": "none"}


# By hand: log10(10) = 1 and log10(100) = 2; log10(20) = 1.301030.
@pytest.mark.parametrize(
    ("bilirubin_umol_l", "albumin_g_l", "score"),
    [
        (10.0, 40.0, 0.66 * 1 - 3.4),  # -2.74
        (100.0, 20.0, 0.66 * 2 - 1.7),  # -0.38
        (20.0, 36.0, -2.2013202),
        (1.0, 40.0, -3.4),
    ],
)
def test_albi_score_of_worked_examples(bilirubin_umol_l, albumin_g_l, score):
    assert albi_score(bilirubin_umol_l, albumin_g_l) == pytest.approx(score, abs=1e-7)


@pytest.mark.parametrize(
    ("score", "grade", "modified"),
    [
        (-3.5, 1, "1"),
        (-2.60, 1, "1"),
        (-2.5999, 2, "2a"),
        (-2.27, 2, "2a"),
        (-2.2699, 2, "2b"),
        (-1.39, 2, "2b"),
        (-1.3899, 3, "3"),
        (0.2, 3, "3"),
    ],
)
def test_albi_grade_at_its_cut_points(score, grade, modified):
    assert albi_grade(score) == grade
    assert albi_grade_modified(score) == modified


def test_a_score_that_arithmetic_left_a_digit_above_the_cut_point_is_on_it():
    # 0.66 * log10(10) - 0.085 * x at x = 3.26 / 0.085 is -2.6 up to the last digits of a double
    assert albi_grade(albi_score(10.0, 3.26 / 0.085)) == 1


@pytest.mark.parametrize(("bilirubin_umol_l", "albumin_g_l"), [(0.0, 40.0), (-1.0, 40.0), (10.0, 0.0)])
def test_a_value_no_laboratory_reports_is_refused(bilirubin_umol_l, albumin_g_l):
    with pytest.raises(ValueError, match="must be above zero"):
        albi_score(bilirubin_umol_l, albumin_g_l)


@pytest.mark.parametrize(
    ("changed", "score"),
    [
        ({}, 5),
        ({"bilirubin_umol_l": 34.19}, 5),
        ({"bilirubin_umol_l": 34.2}, 6),
        ({"bilirubin_umol_l": 51.3}, 6),
        ({"bilirubin_umol_l": 3 * 17.1}, 6),  # 51.300000000000004: 3 mg/dL as a conversion leaves it
        ({"bilirubin_umol_l": 51.31}, 7),
        ({"albumin_g_l": 35.01}, 5),
        ({"albumin_g_l": 35.0}, 6),
        ({"albumin_g_l": 28.0}, 6),
        ({"albumin_g_l": 2.8 * 10}, 6),
        ({"albumin_g_l": 27.99}, 7),
        ({"inr": 1.69}, 5),
        ({"inr": 1.7}, 6),
        ({"inr": 2.3}, 6),
        ({"inr": 2.31}, 7),
        ({"ascites": "mild"}, 6),
        ({"ascites": "moderate_severe"}, 7),
        ({"encephalopathy": "grade_1_2"}, 6),
        ({"encephalopathy": "grade_3_4"}, 7),
        # by hand: bilirubin 60 (3), albumin 30 (2), INR 1.5 (1), mild ascites (2), no encephalopathy (1)
        ({"bilirubin_umol_l": 60.0, "albumin_g_l": 30.0, "inr": 1.5, "ascites": "mild"}, 9),
        (
            {
                "bilirubin_umol_l": 200.0,
                "albumin_g_l": 20.0,
                "inr": 3.0,
                "ascites": "moderate_severe",
                "encephalopathy": "grade_3_4",
            },
            15,
        ),
    ],
)
def test_child_pugh_points_at_each_bound(changed, score):
    assert child_pugh_score(**(BEST | changed)) == score


@pytest.mark.parametrize("component", list(BEST))
def test_a_missing_component_leaves_the_score_missing(component):
    assert child_pugh_score(**(BEST | {component: None})) is pd.NA
    if component in ("bilirubin_umol_l", "albumin_g_l"):
        only = {name: BEST[name] for name in ("bilirubin_umol_l", "albumin_g_l")} | {component: float("nan")}
        assert albi_score(**only) is pd.NA


@pytest.mark.parametrize(
    ("score", "expected"), [(5, "A"), (6, "A"), (7, "B"), (9, "B"), (10, "C"), (15, "C"), (None, pd.NA)]
)
def test_child_pugh_class_of_each_end(score, expected):
    found = child_pugh_class(score)
    assert found is pd.NA if expected is pd.NA else found == expected


def test_a_code_or_score_outside_the_scale_is_refused():
    with pytest.raises(ValueError, match="found 'tense'"):
        child_pugh_score(**(BEST | {"ascites": "tense"}))
    with pytest.raises(ValueError, match="between 5 and 15; found 4"):
        child_pugh_class(4)


def test_columns_come_back_with_their_index_and_missing_values():
    index = pd.Index(["p3", "p1", "p2"], name="USUBJID")
    bilirubin = pd.Series([10.0, None, 100.0], index=index, dtype="Float64")
    albumin = pd.Series([40.0, 40.0, 20.0], index=index, dtype="Float64")
    score = albi_score(bilirubin, albumin)
    assert score.index.equals(index)
    assert score.dtype == "Float64"
    assert score.isna().tolist() == [False, True, False]
    assert score["p2"] == pytest.approx(-0.38)
    grades = albi_grade(score)
    assert grades.dtype == "Int64" and grades.astype(object).tolist() == [1, pd.NA, 3]
    points = child_pugh_score(bilirubin, albumin, 1.0, "none", "none")
    assert points.dtype == "Int64" and points.astype(object).tolist() == [5, pd.NA, 9]


def test_columns_of_different_patients_are_refused():
    with pytest.raises(ValueError, match="indexes differ"):
        albi_score(pd.Series([10.0], index=["p1"]), pd.Series([40.0], index=["p2"]))


BILIRUBIN = st.floats(1, 600)
ALBUMIN = st.floats(10, 60)
INR = st.floats(0.5, 8)


@given(BILIRUBIN, BILIRUBIN, ALBUMIN, ALBUMIN)
def test_albi_never_improves_with_more_bilirubin_or_less_albumin(b1, b2, a1, a2):
    low, high = sorted((b1, b2))
    less, more = sorted((a1, a2))
    assert albi_score(low, more) <= albi_score(high, less)
    assert albi_grade(albi_score(low, more)) <= albi_grade(albi_score(high, less))


@given(
    st.tuples(BILIRUBIN, BILIRUBIN),
    st.tuples(ALBUMIN, ALBUMIN),
    st.tuples(INR, INR),
    st.tuples(st.sampled_from(range(3)), st.sampled_from(range(3))),
    st.tuples(st.sampled_from(range(3)), st.sampled_from(range(3))),
)
def test_child_pugh_never_falls_when_any_component_worsens(bilirubin, albumin, inr, ascites, encephalopathy):
    def score(pick, pick_albumin):
        return child_pugh_score(
            pick(bilirubin),
            pick_albumin(albumin),
            pick(inr),
            ASCITES[pick(ascites)],
            ENCEPHALOPATHY[pick(encephalopathy)],
        )

    better, worse = score(min, max), score(max, min)
    assert 5 <= better <= worse <= 15
