"""Who is compared, and from when: recounted from the datasets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, make_adam, plan

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.comparison import WEIGHTS, compare
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

ADAM = make_adam(240, seed=8, missing=0.1)
SCORES = estimate_baseline(ADAM["adsl"], PLAN, cohort(), "synthetic", "r").curves["weights"]


def rows_of(paramcd: str) -> pd.DataFrame:
    rows = ADAM["adtte"]
    return rows[rows["PARAMCD"] == paramcd].set_index("USUBJID")


@pytest.mark.parametrize("endpoint", ["RFS", "OS", "TTR"])
def test_the_landmark_comparison_is_of_those_at_risk_beyond_day_60(endpoint):
    found = compare(ADAM["adsl"], ADAM["adtte"], SCORES, PLAN, cohort(), endpoint)
    adsl, rows = ADAM["adsl"].set_index("USUBJID"), rows_of(endpoint)
    reached = adsl.index[(adsl["LMFL"] == "Y").to_numpy(dtype=bool)]
    expected = sorted(name for name in reached if rows.loc[name, "AVAL"] * DAYS_PER_MONTH > 60)
    frame = found.frame.set_index("USUBJID")
    assert frame.index.tolist() == expected
    assert len(expected) < len(adsl)
    assert (found.start_months, found.start_words) == (60 / DAYS_PER_MONTH, "from the landmark")
    assert "on day 60" in found.population
    np.testing.assert_allclose(frame["from_start"], rows.loc[expected, "AVAL"] - 60 / DAYS_PER_MONTH)
    assert (frame["from_start"] > 0).all()
    assert (frame["event"] == (rows.loc[expected, "CNSR"] == 0)).all()
    assert (frame["cause"] == rows.loc[expected, "EVNTCD"]).all()
    assert (frame["treated"] == (adsl.loc[expected, "LMTRT"] == SORAFENIB)).all()
    assert found.sizes == {arm: int((adsl.loc[expected, "LMTRT"] == arm).sum()) for arm in (SORAFENIB, CONTROL)}


def test_assigned_arms_are_compared_from_time_zero_whatever_their_exposure():
    config = cohort("colon_adjuvant")
    treated, control = (arm.label for arm in config.assigned_arms.arms) if hasattr(config.assigned_arms, "arms") else (
        config.assigned_arms.treated.label, config.assigned_arms.control.label,
    )  # fmt: skip
    labels = np.where(np.arange(len(ADAM["adsl"])) % 2 == 0, treated, control)
    adsl = ADAM["adsl"].assign(LMFL="Y", TRT01A=labels, LMTRT=labels)
    arms = adsl.set_index("USUBJID")["LMTRT"]
    adtte = ADAM["adtte"].assign(LMFL="Y", LMTRT=ADAM["adtte"]["USUBJID"].map(arms))
    found = compare(adsl, adtte, SCORES, plan(landmark_day=0), config, "RFS")
    assert len(found.frame) == len(adsl)
    assert (found.frame["from_start"] == found.frame["time"]).all()
    assert found.sizes == {treated: 120, control: 120}
    assert found.start_months == 0
    assert found.start_words == "from randomisation"
    assert "by assigned arm" in found.population
    assert "beyond" not in found.population


def test_a_patient_without_a_score_is_compared_but_not_weighted():
    found = compare(ADAM["adsl"], ADAM["adtte"], SCORES, PLAN, cohort(), "RFS")
    scored = set(SCORES["USUBJID"])
    unscored = found.frame[~found.frame["USUBJID"].isin(scored)]
    assert len(unscored) > 5
    assert unscored[list(WEIGHTS)].isna().all(axis=None)
    assert set(found.scored["USUBJID"]) == set(found.frame["USUBJID"]) & scored
    known = SCORES.set_index("USUBJID").loc[found.scored["USUBJID"], "w_overlap"]
    np.testing.assert_array_equal(found.scored["w_overlap"], known)


def test_without_any_score_everyone_is_still_there():
    with_scores = compare(ADAM["adsl"], ADAM["adtte"], SCORES, PLAN, cohort(), "OS")
    without = compare(ADAM["adsl"], ADAM["adtte"], SCORES.iloc[:0], PLAN, cohort(), "OS")
    assert without.scored.empty
    columns = ["USUBJID", "arm", "time", "event"]
    pd.testing.assert_frame_equal(without.frame[columns], with_scores.frame[columns])


def test_an_arm_without_patients_has_size_zero():
    names = ADAM["adsl"].loc[(ADAM["adsl"]["LMTRT"] == SORAFENIB).fillna(False), "USUBJID"]
    adsl = ADAM["adsl"][~ADAM["adsl"]["USUBJID"].isin(names)]
    found = compare(adsl, ADAM["adtte"], SCORES, PLAN, cohort(), "RFS")
    assert found.sizes[SORAFENIB] == 0
    assert found.sizes[CONTROL] == len(found.frame) > 100
