"""BCLC stage: every cell of the table, every bound, and what missing facts do."""

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorafenib_rfa.clinical.bclc import STAGE_COLUMNS, STAGES, stage_frame, within_milan, within_up_to_seven

WELL = {
    "tumour_count": 1,
    "largest_tumour_cm": 2.5,
    "ecog": 0,
    "vascular_invasion": "N",
    "extrahepatic_spread": "N",
    "child_pugh_score": 5,
}
DTYPES = {
    "tumour_count": "Int64",
    "largest_tumour_cm": "Float64",
    "ecog": "Int64",
    "vascular_invasion": "string",
    "extrahepatic_spread": "string",
    "child_pugh_score": "Int64",
}


def stage(**changed):
    return stage_frame(pd.DataFrame([WELL | changed]).astype(DTYPES)).iloc[0]


@pytest.mark.parametrize(
    ("count", "size_cm", "child_pugh", "expected"),
    [
        (1, 0.8, 5, "0"),
        (1, 2.0, 5, "0"),
        (1, 2.01, 5, "A"),
        (1, 12.0, 5, "A"),  # one tumour of any size
        (2, 3.0, 5, "A"),
        (3, 3.0, 5, "A"),
        (3, 30 * 0.1, 5, "A"),  # 30 mm in cm as a conversion leaves it: 3.0000000000000004
        (2, 1.5, 5, "A"),  # two small tumours are not stage 0
        (1, 2.0, 9, "0"),  # class B liver function does not move a patient out of 0 or A
        # up-to-7: size + number
        (3, 3.1, 5, "B1"),
        (2, 5.0, 5, "B1"),  # 7.0, within
        (2, 5.01, 5, "B2"),
        (4, 3.0, 5, "B1"),  # four of 3 cm: 7.0
        (4, 3.01, 5, "B2"),
        (4, 1.0, 5, "B1"),  # four small ones are beyond A and beyond Milan
        (7, 0.5, 5, "B2"),  # 7.5
        (2, 4.9, 6, "B1"),
        (2, 5.1, 6, "B2"),
        # Child-Pugh 7: within B1, beyond B3
        (2, 5.0, 7, "B1"),
        (2, 5.1, 7, "B3"),
        # Child-Pugh 8-9: B4 on either side of up-to-7
        (2, 4.0, 8, "B4"),
        (2, 9.0, 8, "B4"),
        (2, 4.0, 9, "B4"),
        (2, 9.0, 9, "B4"),
        # class C
        (1, 1.0, 10, "D"),
        (2, 9.0, 15, "D"),
    ],
)
def test_stage_by_tumour_and_liver(count, size_cm, child_pugh, expected):
    assert stage(tumour_count=count, largest_tumour_cm=size_cm, child_pugh_score=child_pugh) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ecog": 1}, "C"),
        ({"ecog": 2}, "C"),
        ({"ecog": 3}, "D"),
        ({"ecog": 4}, "D"),
        ({"vascular_invasion": "Y"}, "C"),
        ({"extrahepatic_spread": "Y"}, "C"),
        ({"extrahepatic_spread": "Y", "ecog": 3}, "D"),
        ({"vascular_invasion": "Y", "child_pugh_score": 10}, "D"),
        # Bolondi allows B4 an ECOG of 1 and calls class A with portal vein thrombosis quasi-C; BCLC says C
        ({"tumour_count": 4, "largest_tumour_cm": 4.0, "child_pugh_score": 8, "ecog": 1}, "C"),
        ({"tumour_count": 4, "largest_tumour_cm": 4.0, "vascular_invasion": "Y"}, "C"),
    ],
)
def test_stage_by_performance_and_spread(changed, expected):
    assert stage(**changed) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ecog": None}, None),
        ({"child_pugh_score": None}, None),  # class C would be D
        ({"largest_tumour_cm": None}, None),
        ({"tumour_count": None}, None),
        ({"vascular_invasion": None}, None),
        ({"extrahepatic_spread": None}, None),
        # what cannot change the stage may be missing
        ({"ecog": 3, "tumour_count": None, "child_pugh_score": None, "vascular_invasion": None}, "D"),
        ({"child_pugh_score": 11, "ecog": None, "largest_tumour_cm": None}, "D"),
        ({"vascular_invasion": "Y", "tumour_count": None, "extrahepatic_spread": None}, "C"),
        ({"tumour_count": 8, "largest_tumour_cm": None}, "B2"),  # eight tumours are beyond up-to-7 at any size
        ({"tumour_count": 4, "largest_tumour_cm": None}, None),
        ({"tumour_count": 4, "largest_tumour_cm": None, "child_pugh_score": 8}, "B4"),
        # no tumour and no size are not a small tumour
        ({"tumour_count": 0}, None),
        ({"largest_tumour_cm": 0.0}, None),
    ],
)
def test_stage_is_missing_exactly_when_a_missing_fact_could_change_it(changed, expected):
    found = stage(**changed)
    assert found is pd.NA if expected is None else found == expected


def test_a_missing_fact_never_gives_a_stage_that_some_value_of_it_contradicts():
    # brute force: every stage given with one fact missing must be the stage of all values that fact can take
    values = {
        "tumour_count": [1, 2, 3, 4, 8],
        "largest_tumour_cm": [1.0, 2.5, 4.0, 6.5],
        "ecog": [0, 1, 3],
        "vascular_invasion": ["N", "Y"],
        "extrahepatic_spread": ["N", "Y"],
        "child_pugh_score": [5, 7, 8, 10],
    }
    full = pd.DataFrame(list(itertools.product(*values.values())), columns=list(values)).astype(DTYPES)
    full["stage"] = stage_frame(full)
    assert full["stage"].notna().all()
    for name in values:
        others = [column for column in values if column != name]
        possible = full.groupby(others)["stage"].agg(set).reset_index()
        blank = possible.assign(**{name: pd.NA}).astype({name: DTYPES[name]})
        given_stage = stage_frame(blank)
        for found, stages in zip(given_stage, possible["stage"], strict=True):
            assert found is pd.NA or stages == {found}
            if len(stages) == 1:
                assert found in stages


def test_every_patient_with_all_facts_has_one_of_the_declared_stages():
    frame = pd.DataFrame(
        list(itertools.product(range(1, 9), [0.5, 2.0, 3.0, 5.0, 9.0], range(5), "NY", "NY", range(5, 16))),
        columns=list(STAGE_COLUMNS),
    ).astype(DTYPES)
    found = stage_frame(frame)
    assert set(found) == set(STAGES)
    assert found.index.equals(frame.index)


@given(
    st.integers(1, 10),
    st.integers(1, 10),
    st.floats(0.5, 15),
    st.floats(0.5, 15),
    st.integers(5, 15),
    st.integers(5, 15),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_stage_never_becomes_earlier_when_liver_performance_or_tumour_worsen(n1, n2, s1, s2, c1, c2, e1, e2):
    # B1 to B4 are ordered here as the table lists them
    order = {name: place for place, name in enumerate(STAGES)}
    better = stage(
        tumour_count=min(n1, n2), largest_tumour_cm=min(s1, s2), child_pugh_score=min(c1, c2), ecog=min(e1, e2)
    )
    worse = stage(
        tumour_count=max(n1, n2), largest_tumour_cm=max(s1, s2), child_pugh_score=max(c1, c2), ecog=max(e1, e2)
    )
    assert order[better] <= order[worse]


@pytest.mark.parametrize(
    ("count", "size_cm", "milan", "seven"),
    [
        (1, 5.0, True, True),
        (1, 5.1, False, True),
        (1, 6.0, False, True),
        (1, 6.1, False, False),
        (3, 3.0, True, True),
        (3, 3.1, False, True),
        (4, 1.0, False, True),
        (3, 4.0, False, True),
        (3, 4.1, False, False),
        (6, 1.0, False, True),
        (7, 0.1, False, False),
    ],
)
def test_milan_and_up_to_seven(count, size_cm, milan, seven):
    assert bool(within_milan(count, size_cm)) == milan
    assert bool(within_up_to_seven(count, size_cm)) == seven
