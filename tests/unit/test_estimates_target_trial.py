"""The emulated target trial as a part: who takes part, what the ARD says, and what small or odd cohorts get."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, estimated, make_adam, plan, value

from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.target_trial import conduct, estimate_target_trial
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, SORAFENIB

FEW = plan(bootstrap_resamples=200)


def estimate(adam: dict[str, pd.DataFrame], seed: int = 4, own_plan=FEW) -> Estimates:
    return estimate_target_trial(
        adam["adsl"], adam["adtte"], own_plan, cohort(), "synthetic", "records/target_trial.json", seed=seed
    )


@cache
def result() -> Estimates:
    return estimate(estimated()[0])


def test_conduct_is_read_from_dates():
    """A dose after the recurrence, or after day 60, is no start; last contact on day 60 is still observed."""
    zero = pd.Timestamp("2015-01-01")
    day = {name: zero + pd.Timedelta(days=number) for name, number in (("10", 10), ("60", 60), ("61", 61), ("90", 90))}
    rows = [
        # first dose, exposed before recurrence, recurrence, death, last contact
        ("a", day["10"], "Y", pd.NaT, pd.NaT, day["90"]),
        ("b", day["61"], "Y", pd.NaT, pd.NaT, day["60"]),
        ("c", day["61"], "N", day["60"], pd.NaT, day["90"]),
        ("d", pd.NaT, "N", pd.NaT, day["61"], day["61"]),
        ("e", pd.NaT, "N", pd.NaT, pd.NaT, day["10"]),
    ]
    adsl = pd.DataFrame(rows, columns=["USUBJID", "EXSTDT", "EXPOSFL", "RECDT", "DTHDT", "LSTALVDT"])
    found = conduct(adsl.assign(TRTSDT=zero), 60)
    months = np.array([10, np.inf, np.inf, np.inf, np.inf]) / DAYS_PER_MONTH
    np.testing.assert_allclose(found["start"], months)
    np.testing.assert_allclose(found["exposed_from"], np.array([10, 61, np.inf, np.inf, np.inf]) / DAYS_PER_MONTH)
    np.testing.assert_allclose(found["until"] * DAYS_PER_MONTH, [np.inf, np.inf, 60, np.inf, np.inf])
    assert found["known"].tolist() == [True, True, False, True, False]


def test_every_clone_has_one_fate():
    """Of a patient's two copies one is censored artificially, or neither: when the patient left before deciding."""
    ard, adsl = result().ard, estimated()[0]["adsl"]
    left_out = value(ard, "target_trial.cloning.without_covariates")["value"]
    assert left_out == adsl["AFPBL"].isna().sum() > 0
    patients = value(ard, "target_trial.cloning.patients")["value"]
    assert patients == len(adsl) - left_out
    assert value(ard, "target_trial.cloning.clones")["value"] == 2 * patients
    fates = ["sorafenib.artificially_censored", "control.artificially_censored", "in_both_arms_throughout"]
    assert sum(value(ard, f"target_trial.cloning.{fate}")["value"] for fate in fates) == patients
    complete = adsl[adsl["AFPBL"].notna()]
    starters = ((complete["TRT01A"] == SORAFENIB) & (complete["EXSTDT"].notna())).sum()
    assert value(ard, "target_trial.cloning.control.artificially_censored")["value"] == starters


def test_headline_rows_have_intervals_that_fit_each_other():
    ard = result().ard
    for endpoint in ("rfs", "os", "ttr"):
        base = f"target_trial.{endpoint}_ccw_overlap"
        means = [value(ard, f"{base}.{arm}.m36.rmst")["value"] for arm in ("sorafenib", "control")]
        difference = value(ard, f"{base}.contrast.m36.difference")
        ratio = value(ard, f"{base}.contrast.m36.ratio")
        assert difference["value"] == pytest.approx(means[0] - means[1])
        assert ratio["value"] == pytest.approx(means[0] / means[1])
        for row in (difference, ratio, value(ard, f"{base}.contrast.hr")):
            assert row["ci_low"] < row["value"] < row["ci_high"]
            assert 0 < row["p_value"] <= 1
        for month in (12, 24, 36):
            survival = [value(ard, f"{base}.{arm}.m{month}.survival")["value"] for arm in ("sorafenib", "control")]
            risk = value(ard, f"{base}.contrast.m{month}.risk_difference")
            assert risk["value"] == pytest.approx(survival[1] - survival[0])
            assert risk["ci_low"] < risk["value"] < risk["ci_high"]
        resamples = [value(ard, f"{base}.contrast.{stat}")["value"] for stat in ("resamples", "resamples_failed")]
        assert sum(resamples) == FEW.bootstrap_resamples
    assert ard["estimand_id"].isin([*PLAN.estimand_ids, ""]).all()


def test_overlap_weights_stay_below_one_and_truncation_cuts_the_largest():
    ard = result().ard
    for arm in ("sorafenib", "control"):
        assert value(ard, f"target_trial.rfs_ccw_overlap.{arm}.max_weight")["value"] < 1
        whole, cut = (
            value(ard, f"target_trial.rfs_ccw_{form}.{arm}.max_weight")["value"] for form in ("ate", "ate_truncated")
        )
        assert 1 < cut < whole
    curve = result().curves["ccw_weights"]
    first = curve[(curve["time_months"] == 0) & (curve["endpoint"] == "RFS") & (curve["form"] == "overlap")]
    patients = value(ard, "target_trial.cloning.patients")["value"]
    # on the day of the RFA every copy is there, and both arms are the same patients with the same weights
    assert first["copies"].tolist() == [patients, patients]
    assert first["sum_of_weights"].nunique() == 1
    assert (curve["effective_n"] <= curve["copies"] + 1e-9).all()


def test_a_protective_drug_is_seen_and_no_effect_is_not():
    """Log hazard ratio of -0.8 from the first dose on in 700 patients; and none."""
    protective = estimate(make_adam(log_hr=-0.8, seed=5)).ard
    row = value(protective, "target_trial.rfs_ccw_overlap.contrast.m36.difference")
    assert row["ci_low"] > 0
    assert value(protective, "target_trial.rfs_ccw_overlap.contrast.hr")["ci_high"] < 1
    row = value(result().ard, "target_trial.rfs_ccw_overlap.contrast.m36.difference")
    assert row["ci_low"] < 0 < row["ci_high"]


def test_curves_begin_whole_and_end_where_follow_up_ends():
    adtte = estimated()[0]["adtte"]
    curve = result().curves["km_ccw_rfs"]
    longest = adtte.loc[adtte["PARAMCD"] == "RFS", "AVAL"].max()
    for _, own in curve.groupby("group"):
        assert own["survival"].iloc[0] == 1.0
        assert own["time_months"].iloc[0] == 0.0
        assert own["survival"].is_monotonic_decreasing
        assert own["time_months"].max() <= longest
        known = own[own["ci_low"].notna()]
        assert ((known["ci_low"] <= known["survival"]) & (known["survival"] <= known["ci_high"])).all()
    assert set(curve["group"]) == {"sorafenib", "control"}


def test_designs_name_rows_that_exist():
    ids = set(result().ard["ard_id"]) | set(estimated()[1]["efficacy"].ard["ard_id"])
    for name in ("designs_rfs", "designs_os"):
        designs = result().curves[name]
        assert designs["role"].iloc[0] == "primary"
        assert designs["role"].iloc[-1] == "naive"
        assert set(designs["ard_id"]) <= ids


def test_the_order_of_patients_does_not_matter_and_the_seed_does():
    adam = estimated()[0]
    mixed = {name: frame.sample(frac=1, random_state=2).reset_index(drop=True) for name, frame in adam.items()}
    pd.testing.assert_frame_equal(result().ard, estimate(mixed).ard)
    other = estimate(adam, seed=5).ard
    hr = "target_trial.rfs_ccw_overlap.contrast.hr"
    assert value(other, hr)["value"] == value(result().ard, hr)["value"]
    assert value(other, hr)["ci_low"] != value(result().ard, hr)["ci_low"]


def untreated(adam: dict[str, pd.DataFrame], keep: int) -> dict[str, pd.DataFrame]:
    """Leave sorafenib to the first `keep` of those who took it."""
    adsl = adam["adsl"].copy()
    exposed = np.flatnonzero(adsl["EXPOSFL"] == "Y")[keep:]
    adsl.loc[exposed, "EXPOSFL"] = "N"
    adsl.loc[exposed, "EXSTDT"] = pd.NaT
    return adam | {"adsl": adsl}


@pytest.mark.parametrize(("keep", "says"), [(0, "not tested: fewer than 10"), (6, "not tested: fewer than 10")])
def test_too_few_treated_are_described_not_tested(keep, says):
    found = estimate(untreated(estimated()[0], keep))
    rows = found.ard[
        found.ard["ard_id"].str.contains("ccw_|time_varying") & found.ard["stat_name"].isin(["hr", "rmst"])
    ]
    assert len(rows) > 10
    assert rows["value"].isna().all()
    assert rows["method"].str.startswith(says).all()
    assert value(found.ard, "target_trial.cloning.patients")["value"] > 600
    assert set(found.curves) == {"designs_rfs", "designs_os"}


def test_a_cohort_without_events_is_not_estimable():
    adam = estimated()[0]
    quiet = adam | {"adtte": adam["adtte"].assign(CNSR=1)}
    rows = estimate(quiet).ard
    hr = value(rows, "target_trial.rfs_ccw_overlap.contrast.hr")
    assert np.isnan(hr["value"])
    assert hr["method"].startswith("not estimable: no events")


def test_a_covariate_that_decides_treatment_is_not_estimable():
    adam = estimated()[0]
    adsl = adam["adsl"].assign(PLTBL=lambda d: np.where(d["EXPOSFL"] == "Y", 300.0, 50.0 + np.arange(len(d)) % 7))
    hr = value(estimate(adam | {"adsl": adsl}).ard, "target_trial.os_ccw_overlap.contrast.hr")
    assert np.isnan(hr["value"])
    assert "separate" in hr["method"]


def test_a_horizon_beyond_follow_up_is_not_estimable():
    rows = estimate(estimated()[0], own_plan=plan(bootstrap_resamples=200, rmst_horizon_months=120)).ard
    row = value(rows, "target_trial.rfs_ccw_overlap.contrast.m120.difference")
    assert np.isnan(row["value"])
    assert "before the horizon" in row["method"]
