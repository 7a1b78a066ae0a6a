"""Time to event: weighted incidence, effects over time, imaging intervals and centres; reasons instead of crashes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, make_adam, plan, value

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.imaging_intervals import recurrence_intervals
from sorafenib_rfa.estimates.time_to_event import estimate_time_to_event
from sorafenib_rfa.stats.competing_risks import aalen_johansen, fine_gray
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.meta_analysis import meta_analysis
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

FEW = plan(bootstrap_resamples=300)
LANDMARK_MONTHS = PLAN.landmark_day / DAYS_PER_MONTH
RECURRENCE = [1, 2, 3, 5]


def weights_of(adam, the_plan=FEW, config=None):
    return estimate_baseline(adam["adsl"], the_plan, config or cohort(), "synthetic", "r").curves["weights"]


def estimate(adam, the_plan=FEW, config=None, weights=None, seed=7):
    config = config or cohort()
    weights = weights_of(adam, the_plan, config) if weights is None else weights
    return estimate_time_to_event(
        adsl=adam["adsl"],
        adtte=adam["adtte"],
        weights=weights,
        plan=the_plan,
        cohort=config,
        cohort_name="synthetic",
        record="records/time_to_event.json",
        seed=seed,
    )


@cache
def shared():
    adam = make_adam()
    weights = weights_of(adam)
    return adam, weights, estimate(adam, weights=weights)


def rows_of(endpoint: str) -> pd.DataFrame:
    """Return the landmark population with a propensity score, taken from the datasets anew."""
    adam, weights, _ = shared()
    rows = adam["adtte"]
    rows = rows[(rows["PARAMCD"] == endpoint) & (rows["LMFL"] == "Y") & (rows["AVAL"] > LANDMARK_MONTHS)]
    frame = pd.DataFrame(
        {
            "USUBJID": rows["USUBJID"],
            "site": rows["SITEID"],
            "time": rows["AVAL"].astype(float) - LANDMARK_MONTHS,
            "event": rows["CNSR"] == 0,
            "treated": (rows["LMTRT"] == SORAFENIB).astype(float),
            "cause": rows["EVNTCD"].astype(int),
        }
    )
    return frame.merge(weights[["USUBJID", "w_overlap"]], on="USUBJID").reset_index(drop=True)


def ard() -> pd.DataFrame:
    return shared()[2].ard


def says_why(frame: pd.DataFrame) -> None:
    """A value that is missing says why, and one that is there has no reason."""
    missing = frame["value"].isna()
    assert frame.loc[missing, "method"].str.startswith(("not estimable", "not tested")).all()
    assert not frame.loc[~missing, "method"].str.startswith(("not estimable", "not tested")).any()
    limits = frame[frame["ci_low"].notna() & frame["ci_high"].notna()]
    assert (limits["ci_low"] <= limits["value"] + 1e-9).all()
    assert (limits["ci_high"] >= limits["value"] - 1e-9).all()


def test_every_row_has_a_value_or_a_reason():
    says_why(ard())
    assert collect_ard([ard()]).shape == ard().shape


def test_every_ratio_and_difference_has_an_interval():
    compared = ard()[ard()["stat_name"].isin(["hr", "shr", "ratio", "difference", "prediction"])]
    compared = compared[compared["value"].notna()]
    assert len(compared) > 60
    assert compared[["ci_low", "ci_high"]].notna().all(axis=None)


# --- competing risks -------------------------------------------------------------------------------


def test_weighted_incidence_is_aalen_johansen_with_the_weights():
    rows = rows_of("RFS")
    for arm, group in ((1.0, "sorafenib"), (0.0, "control")):
        own = rows[rows["treated"] == arm]
        curve = aalen_johansen(own["time"], own["cause"], weights=own["w_overlap"], n_causes=4)
        for cause, key in ((1, "ltp"), (2, "idr"), (4, "death")):
            expected = 100 * curve.at([24 - LANDMARK_MONTHS], cause).incidence[0]
            row = value(ard(), f"time_to_event.first_event_overlap.{group}.{key}.m24.incidence")
            assert row["value"] == pytest.approx(expected, rel=1e-10)
            assert row["ci_low"] < expected < row["ci_high"]
            # refitting the score changes the spread little: near that of weights taken as known
            known = 100 * curve.at([24 - LANDMARK_MONTHS], cause).ci_high[0] - expected
            assert row["ci_high"] - expected == pytest.approx(known, rel=0.25)


def test_incidences_of_all_first_events_and_event_free_survival_make_one():
    rows = rows_of("RFS")
    own = rows[rows["treated"] == 1]
    total = sum(
        value(ard(), f"time_to_event.first_event_overlap.sorafenib.{key}.m36.incidence")["value"]
        for key in ("ltp", "idr", "ehs", "death")
    )
    free = kaplan_meier(own["time"], own["event"], weights=own["w_overlap"]).at([36 - LANDMARK_MONTHS]).survival[0]
    assert total / 100 + free == pytest.approx(1, abs=1e-10)


def test_difference_of_incidence_is_between_the_arms():
    row = value(ard(), "time_to_event.first_event_overlap.contrast.idr.m36.difference")
    arms = [
        value(ard(), f"time_to_event.first_event_overlap.{group}.idr.m36.incidence")["value"]
        for group in ("sorafenib", "control")
    ]
    assert row["value"] == pytest.approx(arms[0] - arms[1])
    assert row["ci_high"] - row["value"] == pytest.approx(row["value"] - row["ci_low"])


def test_drawn_incidence_ends_at_the_estimate_and_starts_at_the_landmark():
    curves = shared()[2].curves["cif_weighted"]
    for (group, cause), own in curves.groupby(["group", "cause"]):
        assert own["time_months"].iloc[0] == pytest.approx(LANDMARK_MONTHS)
        assert (own["ci_low"] <= own["incidence"]).all()
        assert (own["ci_high"] >= own["incidence"]).all()
        at = own[own["time_months"] <= 36]["incidence"].iloc[-1]
        row = value(ard(), f"time_to_event.first_event_overlap.{group}.{cause}.m36.incidence")
        assert 100 * at == pytest.approx(row["value"])
    assert set(curves["group"]) == {"sorafenib", "control"}


def test_a_resample_of_the_incidence_bootstrap_is_aalen_johansen_of_that_resample():
    rng = np.random.default_rng(1)
    x, treated = rng.normal(size=(60, 2)), rng.random(60) < 0.5
    time, cause = np.ceil(rng.exponential(10, 60)), rng.integers(0, 3, 60)
    drawn = OverlapResamples.draw(x, treated, seed=1, replicates=200)
    inside = np.arange(60) != 7
    at = np.array([2.0, 8.0, 20.0])
    spread = drawn.incidence(inside, time[inside], cause[inside], 2, at)
    by_hand = []
    for weights in drawn.weights[drawn.usable]:
        arms = []
        for arm in (True, False):
            own = inside & (treated == arm)
            curve = aalen_johansen(time[own], cause[own], weights=weights[own], n_causes=2)
            index = np.searchsorted(curve.time, at, side="right") - 1  # level after the last time
            arms.append(np.where(index[:, None] < 0, 0.0, curve.incidence[np.maximum(index, 0)]).T)
        by_hand.append((*arms, arms[0] - arms[1]))
    expected = np.std(np.array(by_hand), axis=0, ddof=1)
    np.testing.assert_allclose(spread.treated_std_err, expected[0], rtol=1e-9)
    np.testing.assert_allclose(spread.control_std_err, expected[1], rtol=1e-9)
    np.testing.assert_allclose(spread.difference_std_err, expected[2], rtol=1e-9)


def test_cause_specific_and_subdistribution_hazards_are_those_of_recurrence_and_death():
    rows = rows_of("RFS")
    codes = np.where(rows["cause"].isin(RECURRENCE), 1, np.where(rows["cause"] == 4, 2, 0))
    for key, cause in (("recurrence", 1), ("death", 2)):
        fit = cox_fit(rows["treated"], rows["time"], codes == cause, weights=rows["w_overlap"], robust=True)
        row = value(ard(), f"time_to_event.{key}_cause_specific_overlap.contrast.hr")
        ratio = fit.hazard_ratio("treated")
        assert (row["value"], row["ci_low"], row["p_value"]) == pytest.approx((ratio.estimate, ratio.ci_low, ratio.p))
        options = {"cause_of_interest": cause, "weights": rows["w_overlap"], "convention": "survival"}
        grey = fine_gray(rows["treated"], rows["time"], codes, **options).hazard_ratio("treated")
        row = value(ard(), f"time_to_event.{key}_fine_gray_overlap.contrast.shr")
        assert (row["value"], row["ci_high"]) == pytest.approx((grey.estimate, grey.ci_high))
        events = value(ard(), f"time_to_event.{key}_fine_gray_overlap.contrast.events")["value"]
        assert events == (codes == cause).sum()


def test_effective_sample_size_says_what_the_weights_cost():
    rows = rows_of("RFS")
    row = value(ard(), "time_to_event.rfs_effect_over_time.contrast.effective_sample_size")
    w = rows["w_overlap"]
    assert row["value"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert row["value"] < value(ard(), "time_to_event.rfs_effect_over_time.contrast.n")["value"] == len(rows)


# --- restricted means ------------------------------------------------------------------------------


def test_ratio_of_restricted_means_is_that_of_the_areas():
    rows = rows_of("OS")
    means = []
    for arm in (1.0, 0.0):
        own = rows[rows["treated"] == arm]
        means.append(
            kaplan_meier(own["time"], own["event"], weights=own["w_overlap"]).rmst(24 - LANDMARK_MONTHS).estimate
        )
    row = value(ard(), "time_to_event.os_rmst_overlap.contrast.m24.ratio")
    assert row["value"] == pytest.approx(means[0] / means[1], rel=1e-10)
    difference = value(ard(), "time_to_event.os_rmst_overlap.contrast.m24.difference")
    assert difference["value"] == pytest.approx(means[0] - means[1], rel=1e-10)
    # both say the same about the null
    assert row["p_value"] == pytest.approx(difference["p_value"], abs=0.02)
    assert np.log(row["ci_high"]) + np.log(row["ci_low"]) == pytest.approx(2 * np.log(row["value"]))


def test_difference_at_the_plans_horizon_is_left_to_efficacy():
    ids = set(ard()["ard_id"])
    assert "time_to_event.rfs_rmst.contrast.m36.ratio" in ids
    assert "time_to_event.rfs_rmst.contrast.m36.difference" not in ids


def test_a_horizon_nobody_was_followed_to_is_not_estimated():
    adam = shared()[0]
    found = estimate(adam, plan(bootstrap_resamples=300, horizons_months=[1.0, 24.0, 120.0]), weights=shared()[1]).ard
    for identifier in (
        "rfs_rmst.contrast.m120.ratio",
        "rfs_rmst_overlap.contrast.m120.difference",
        "first_event_overlap.contrast.idr.m120.difference",
        "first_event_overlap.sorafenib.idr.m120.incidence",
        "rfs_turnbull.control.m120.survival",
        "rfs_rmst.contrast.m1.ratio",
        "first_event_overlap.contrast.idr.m1.difference",
        "rfs_turnbull.control.m1.survival",
    ):
        row = value(found, f"time_to_event.{identifier}")
        assert np.isnan(row["value"])
        assert row["method"].startswith("not estimable")
    assert value(found, "time_to_event.rfs_rmst.contrast.m24.ratio")["value"] > 0


# --- effects over time -----------------------------------------------------------------------------


def test_pieces_count_the_events_and_are_drawn():
    rows = rows_of("RFS")
    month = rows["time"] + LANDMARK_MONTHS
    curve = shared()[2].curves["effect_over_time"]
    curve = curve[curve["endpoint"] == "RFS"]
    edges = [LANDMARK_MONTHS, 6, 12, 24, np.inf]
    drawn = curve[curve["kind"] == "piecewise"]
    for low, high, row in zip(edges, edges[1:], drawn.itertuples(), strict=False):
        inside = rows["event"] & (month > low) & (month <= high)
        assert row.events_treated == (inside & (rows["treated"] == 1)).sum()
        assert row.events_control == (inside & (rows["treated"] == 0)).sum()
        printed = value(ard(), row.ard_id)
        assert (row.hr, row.lo, row.hi) == (printed["value"], printed["ci_low"], printed["ci_high"])
    events = curve[curve["kind"] == "event"]
    assert len(events) == rows["event"].sum()
    assert events["events_treated"].sum() == (rows["event"] & (rows["treated"] == 1)).sum()


def test_the_drawn_spline_passes_through_the_reported_ratios():
    curve = shared()[2].curves["effect_over_time"]
    spline = curve[(curve["endpoint"] == "RFS") & (curve["kind"] == "spline")]
    row = value(ard(), "time_to_event.rfs_effect_over_time.contrast.spline.m12.hr")
    at = np.interp(np.log(12), np.log(spline["time_months"]), np.log(spline["hr"]))
    assert np.exp(at) == pytest.approx(row["value"], rel=1e-3)
    assert spline["time_months"].is_monotonic_increasing


def test_a_month_without_events_around_it_has_no_ratio():
    found = estimate(
        shared()[0],
        plan(
            bootstrap_resamples=300,
            effect_over_time=PLAN.effect_over_time.model_copy(update={"at_months": [1.0, 12.0, 200.0]}),
        ),
        weights=shared()[1],
    ).ard
    for month, known in ((1, False), (12, True), (200, False)):
        row = value(found, f"time_to_event.os_effect_over_time.contrast.spline.m{month}.hr")
        assert np.isfinite(row["value"]) == known


# --- imaging intervals -----------------------------------------------------------------------------


def test_intervals_are_cut_at_the_landmark_and_deaths_have_their_date():
    rows = pd.DataFrame(
        {
            "from_start": [4.0, 4.0, 4.0, 4.0, 4.0],
            "event": [True, True, True, False, True],
            "cause": [2, 2, 4, 0, 1],
            "INTLO": [5.0, 1.0, np.nan, 5.5, np.nan],
            "INTHI": [6.0, 6.0, np.nan, np.nan, 6.0],
        }
    )
    low, high = recurrence_intervals(rows, 2.0)
    np.testing.assert_array_equal(low, [3.0, 0.0, 4.0, 4.0, 0.0])
    np.testing.assert_array_equal(high, [4.0, 4.0, 4.0, np.inf, 4.0])


def test_without_dates_of_examinations_there_are_no_intervals_but_the_rest_stands():
    adam = {name: frame.copy() for name, frame in make_adam(300, seed=4).items()}
    adam["adtte"][["INTLO", "INTHI"]] = np.nan
    found = estimate(adam).ard
    says_why(found)
    for identifier in ("rfs_interval_censored_overlap.contrast.hr", "rfs_turnbull.control.m24.survival"):
        row = value(found, f"time_to_event.{identifier}")
        assert row["method"] == "not estimable: the dates of examinations are not recorded"
    assert value(found, "time_to_event.recurrence_fine_gray_overlap.contrast.shr")["value"] > 0


def test_turnbull_survival_lies_below_that_of_detection_dates():
    """Recurrence precedes its detection, so survival free of it is lower at any time."""
    adam = shared()[0]
    rows = adam["adtte"]
    rows = rows[(rows["PARAMCD"] == "RFS") & (rows["LMFL"] == "Y") & (rows["LMTRT"] == CONTROL)]
    rows = rows[rows["AVAL"] > LANDMARK_MONTHS]
    detected = kaplan_meier(rows["AVAL"] - LANDMARK_MONTHS, rows["CNSR"] == 0).at([12 - LANDMARK_MONTHS]).survival[0]
    row = value(ard(), "time_to_event.rfs_turnbull.control.m12.survival")
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert 100 * detected - 8 < row["value"] < 100 * detected


# --- centres ---------------------------------------------------------------------------------------


def test_centres_are_fitted_apart_and_pooled():
    rows = rows_of("RFS")
    fits = {}
    for site, own in rows.groupby("site"):
        fits[site] = cox_fit(own["treated"], own["time"], own["event"], weights=own["w_overlap"], robust=True)
        row = value(ard(), f"time_to_event.rfs_centres.contrast.centre.{site}.hr")
        assert row["value"] == pytest.approx(np.exp(fits[site].coef[0]))
        assert value(ard(), f"time_to_event.rfs_centres.contrast.centre.{site}.n")["value"] == len(own)
    pooled = meta_analysis([f.coef[0] for f in fits.values()], [f.se[0] for f in fits.values()])
    row = value(ard(), "time_to_event.rfs_centres.contrast.random.hr")
    assert np.log([row["value"], row["ci_low"]]) == pytest.approx([pooled.random.estimate, pooled.random.ci_low])
    prediction = value(ard(), "time_to_event.rfs_centres.contrast.random.prediction")
    assert prediction["ci_low"] <= row["ci_low"]
    assert prediction["ci_high"] >= row["ci_high"]
    forest = shared()[2].curves["centres"]
    forest = forest[forest["endpoint"] == "RFS"]
    assert forest["role"].tolist() == ["centre"] * 3 + ["pooled", "prediction"]
    assert forest.loc[forest["role"] == "centre", "weight_percent"].sum() == pytest.approx(100)


def test_stratified_and_clustered_models_differ_in_what_they_say():
    rows = rows_of("OS")
    stratified = cox_fit(
        rows["treated"], rows["time"], rows["event"], weights=rows["w_overlap"], strata=rows["site"], robust=True
    )
    row = value(ard(), "time_to_event.os_stratified_by_centre_overlap.contrast.hr")
    assert row["value"] == pytest.approx(np.exp(stratified.coef[0]))
    clustered = value(ard(), "time_to_event.os_clustered_by_centre_overlap.contrast.hr")
    plain = cox_fit(rows["treated"], rows["time"], rows["event"], weights=rows["w_overlap"], cluster=rows["site"])
    assert clustered["value"] == pytest.approx(np.exp(plain.coef[0]))
    reach = np.log(clustered["ci_high"] / clustered["value"]) / plain.se[0]
    assert reach == pytest.approx(4.302653, rel=1e-5)  # Student's t with 2 degrees of freedom, 97.5 percent
    assert "few as 3 clusters" in clustered["method"]


def test_one_centre_cannot_be_compared_with_itself():
    adam = {name: frame.copy() for name, frame in make_adam(300, seed=5).items()}
    for name in ("adsl", "adtte"):
        adam[name]["SITEID"] = pd.array(["alpha"] * len(adam[name]), dtype="string")
    found = estimate(adam)
    says_why(found.ard)
    for analysis in ("stratified_by_centre_overlap.contrast.hr", "centres.contrast.random.hr"):
        row = value(found.ard, f"time_to_event.rfs_{analysis}")
        assert row["method"] == "not estimable: all patients are of one centre"
    assert found.curves["centres"]["role"].eq("left_out").all()
    assert value(found.ard, "time_to_event.rfs_effect_over_time.contrast.spline.m12.hr")["value"] > 0


def test_a_centre_that_cannot_be_estimated_is_left_out_by_name():
    adam = {name: frame.copy() for name, frame in make_adam(400, seed=6).items()}
    gone = adam["adtte"]["SITEID"] == "gamma"
    adam["adtte"].loc[gone & (adam["adtte"]["LMTRT"] == SORAFENIB), "CNSR"] = 1
    few = adam["adsl"].loc[adam["adsl"]["SITEID"] == "beta", "USUBJID"].iloc[8:]
    for name in ("adsl", "adtte"):
        adam[name] = adam[name][~adam[name]["USUBJID"].isin(few)].reset_index(drop=True)
    found = estimate(adam)
    gamma = value(found.ard, "time_to_event.rfs_centres.contrast.centre.gamma.hr")
    assert gamma["method"] == f"not estimable: no events in the arm {SORAFENIB}"
    beta = value(found.ard, "time_to_event.rfs_centres.contrast.centre.beta.hr")
    assert beta["method"] == "not estimable: fewer than 10 patients"
    assert value(found.ard, "time_to_event.rfs_centres.contrast.random.hr")["method"].endswith("are needed, found 1")
    forest = found.curves["centres"]
    assert forest[forest["endpoint"] == "RFS"].set_index("label")["role"].to_dict() == {
        "alpha": "centre", "beta": "left_out", "gamma": "left_out",
    }  # fmt: skip


# --- cohorts that lack something -------------------------------------------------------------------


def test_without_a_propensity_score_the_unweighted_analyses_stand():
    adam, weights, _ = shared()
    found = estimate(adam, weights=weights.iloc[:0])
    says_why(found.ard)
    weighted = found.ard[found.ard["ard_id"].str.contains("_overlap.*(?:hr|shr|ratio|incidence)$")]
    assert weighted["method"].eq("not estimable: the propensity score could not be estimated").all()
    assert len(weighted) > 30
    assert value(found.ard, "time_to_event.recurrence_cause_specific_adjusted.contrast.hr")["value"] > 0
    assert value(found.ard, "time_to_event.rfs_rmst.contrast.m36.ratio")["value"] > 0
    assert value(found.ard, "time_to_event.rfs_turnbull.control.m24.survival")["value"] > 0
    assert found.curves["effect_over_time"]["hr"].isna().all()
    assert found.curves["centres"]["label"].tolist() == ["alpha", "beta", "gamma"] * 2


def test_recurrences_of_unrecorded_site_compete_with_death_only():
    adam = {name: frame.copy() for name, frame in make_adam(300, seed=4).items()}
    adam["adtte"]["EVNTCD"] = adam["adtte"]["EVNTCD"].where(~adam["adtte"]["EVNTCD"].isin([1, 2, 3]), 5)
    found = estimate(adam)
    assert set(found.curves["cif_weighted"]["cause"]) == {"recurrence", "death"}
    says_why(found.ard)


@pytest.mark.parametrize("what", ["no events", "no events in an arm", "no deaths", "only deaths"])
def test_events_that_are_missing(what):
    adam = {name: frame.copy() for name, frame in make_adam(200, seed=3).items()}
    rows = adam["adtte"]
    hit = {
        "no events": rows["CNSR"] == 0,
        "no events in an arm": rows["LMTRT"] == SORAFENIB,
        "no deaths": rows["EVNTCD"] == 4,
        "only deaths": rows["EVNTCD"].isin([1, 2, 3]),
    }[what].fillna(False)
    rows.loc[hit, "CNSR"] = 1
    rows.loc[hit, "EVNTCD"] = 0
    found = estimate(adam)
    says_why(found.ard)
    known = {
        "no events": [],
        "no events in an arm": ["rfs_rmst.contrast.m24.ratio"],
        "no deaths": ["recurrence_cause_specific_overlap.contrast.hr"],
        "only deaths": ["death_cause_specific_overlap.contrast.hr"],
    }[what]
    for identifier in known:
        assert np.isfinite(value(found.ard, f"time_to_event.{identifier}")["value"])
    if what == "no events":
        row = value(found.ard, "time_to_event.rfs_rmst.contrast.m24.ratio")
        assert row["method"] == "not estimable: no events up to month 24, hence no standard error"
    unknown = {
        "no events": "recurrence_fine_gray_overlap.contrast.shr",
        "no events in an arm": "rfs_effect_over_time.contrast.piece.to_m24.hr",
        "no deaths": "os_effect_over_time.contrast.spline.m12.hr",
        "only deaths": "recurrence_cause_specific_overlap.contrast.hr",
    }[what]
    assert np.isnan(value(found.ard, f"time_to_event.{unknown}")["value"])


@pytest.mark.parametrize("n", [1, 2, 4, 8, 15, 30])
def test_tiny_cohorts(n):
    for the_plan in (FEW, plan(small_group=0, bootstrap_resamples=200)):
        found = estimate(make_adam(n, seed=n), the_plan)
        says_why(found.ard)
        collect_ard([found.ard])


def test_same_input_same_output_and_another_seed_moves_only_the_bootstrap():
    adam, weights, first = shared()
    again, other = estimate(adam, weights=weights), estimate(adam, weights=weights, seed=8)
    pd.testing.assert_frame_equal(first.ard, again.ard)
    for name, curve in first.curves.items():
        pd.testing.assert_frame_equal(curve, again.curves[name])
    moved = first.ard.set_index("ard_id")["ci_low"].ne(other.ard.set_index("ard_id")["ci_low"])
    moved &= first.ard.set_index("ard_id")["ci_low"].notna()
    assert moved.any()
    assert all("overlap" in name or "turnbull" in name for name in moved[moved].index)
    assert first.ard["value"].equals(other.ard["value"])
