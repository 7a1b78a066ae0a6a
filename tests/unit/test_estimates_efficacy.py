"""Efficacy: recounted by hand, refitted with other libraries, and honest about immortal time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, estimated, make_adam, plan, value

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.bootstrap import OverlapResamples, _restricted_means, logistic_scores
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.covariates import covariate_design
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.propensity import logistic_fit
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

ADAM, PARTS = estimated()
EFFICACY = PARTS["efficacy"]
ARD = EFFICACY.ard
LANDMARK_MONTHS = PLAN.landmark_day / DAYS_PER_MONTH


def estimate(adam, the_plan=PLAN, config=None, seed=7):
    config = config or cohort()
    weights = estimate_baseline(adam["adsl"], the_plan, config, "synthetic", "r").curves["weights"]
    return estimate_efficacy(adam["adtte"], adam["adsl"], weights, the_plan, config, "synthetic", "r", seed=seed)


def landmark_rows(endpoint: str, adam=ADAM) -> pd.DataFrame:
    """Return ``time, event, arm, USUBJID`` of the landmark population, taken from the datasets anew."""
    rows = adam["adtte"]
    rows = rows[(rows["PARAMCD"] == endpoint) & (rows["LMFL"] == "Y") & (rows["AVAL"] > LANDMARK_MONTHS)]
    return pd.DataFrame(
        {
            "USUBJID": rows["USUBJID"],
            "time": rows["AVAL"].astype(float),
            "event": (rows["CNSR"] == 0).astype(int),
            "arm": rows["LMTRT"],
            "cause": rows["EVNTCD"],
        }
    ).reset_index(drop=True)


def survival_by_hand(time: np.ndarray, event: np.ndarray, at: float) -> float:
    """Kaplan-Meier by its definition, one event time after the other."""
    survival = 1.0
    for t in sorted(set(time[(event == 1) & (time <= at)])):
        survival *= 1 - ((time == t) & (event == 1)).sum() / (time >= t).sum()
    return survival


@pytest.mark.parametrize("endpoint", ["RFS", "OS", "TTR"])
def test_patients_events_and_person_time_recounted(endpoint):
    rows = landmark_rows(endpoint)
    for arm, group in ((SORAFENIB, "sorafenib."), (CONTROL, "control."), (None, "")):
        own = rows if arm is None else rows[rows["arm"] == arm]
        prefix = f"efficacy.{endpoint.lower()}.{group}"
        assert value(ARD, f"{prefix}n")["value"] == len(own)
        assert value(ARD, f"{prefix}events")["value"] == own["event"].sum()
        years = (own["time"] - LANDMARK_MONTHS).sum() / 12
        assert value(ARD, f"{prefix}patient_years")["value"] == pytest.approx(years)


@pytest.mark.parametrize(("endpoint", "month"), [("RFS", 12), ("RFS", 36), ("OS", 24)])
def test_survival_at_a_horizon_by_hand(endpoint, month):
    """Everyone enters at the landmark: the curve is that of those who reached it, on the axis of months since RFA."""
    rows = landmark_rows(endpoint)
    own = rows[rows["arm"] == SORAFENIB]
    row = value(ARD, f"efficacy.{endpoint.lower()}_km.sorafenib.m{month}.survival")
    assert row["value"] == pytest.approx(
        100 * survival_by_hand(own["time"].to_numpy(), own["event"].to_numpy(), month), rel=1e-9
    )
    assert row["ci_low"] < row["value"] < row["ci_high"]
    at_risk = value(ARD, f"efficacy.{endpoint.lower()}_km.sorafenib.m{month}.at_risk")["value"]
    assert at_risk == (own["time"] >= month).sum()


def test_median_is_where_the_drawn_curve_crosses_one_half():
    drawn = EFFICACY.curves["km_rfs"]
    own = drawn[(drawn["group"] == "control") & (drawn["weighting"] == "none")]
    crossed = own[own["survival"] <= 0.5]["time_months"].iloc[0]
    assert value(ARD, "efficacy.rfs_km.control.median")["value"] == pytest.approx(crossed)


def test_hazard_ratio_equals_statsmodels():
    phreg = pytest.importorskip("statsmodels.duration.hazard_regression").PHReg
    rows = landmark_rows("RFS")
    treated = (rows["arm"] == SORAFENIB).astype(float).to_numpy()[:, None]
    fitted = phreg(rows["time"] - LANDMARK_MONTHS, treated, status=rows["event"], ties="efron").fit()
    row = value(ARD, "efficacy.rfs_cox_unadjusted.contrast.hr")
    assert row["value"] == pytest.approx(np.exp(fitted.params[0]), rel=1e-6)
    low, high = np.exp(fitted.conf_int()[0])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), rel=1e-5)
    assert row["p_value"] == pytest.approx(fitted.pvalues[0], rel=1e-5)


def test_weighted_hazard_ratio_equals_lifelines():
    fitter = pytest.importorskip("lifelines").CoxPHFitter
    rows = landmark_rows("RFS").merge(PARTS["baseline"].curves["weights"], on="USUBJID")
    rows = rows.assign(treated=rows["treated"].astype(float), time=rows["time"] - LANDMARK_MONTHS)[
        ["time", "event", "treated", "w_overlap"]
    ].astype(float)
    fitted = fitter().fit(rows, "time", "event", weights_col="w_overlap", robust=True)
    row = value(ARD, "efficacy.rfs_cox_overlap.contrast.hr")
    assert row["value"] == pytest.approx(fitted.hazard_ratios_["treated"], rel=1e-4)
    # its robust standard error differs a little from R's with ties
    assert np.log(row["ci_high"] / row["ci_low"]) == pytest.approx(
        2 * 1.96 * fitted.standard_errors_["treated"], rel=0.02
    )
    assert value(ARD, "efficacy.rfs_cox_overlap.contrast.n")["value"] == len(rows)


def test_restricted_mean_is_the_area_under_the_drawn_curve():
    drawn = EFFICACY.curves["km_rfs"]
    for weighting, analysis in (("none", "rfs_rmst"), ("overlap", "rfs_rmst_overlap")):
        means = {}
        for group in ("sorafenib", "control"):
            own = drawn[(drawn["group"] == group) & (drawn["weighting"] == weighting)]
            times = np.minimum(np.append(own["time_months"], np.inf), PLAN.rmst_horizon_months)
            means[group] = float((own["survival"].to_numpy() * np.diff(times)).sum())
            row = value(ARD, f"efficacy.{analysis}.{group}.m36.rmst")
            assert row["value"] == pytest.approx(means[group], rel=1e-9)
        difference = value(ARD, f"efficacy.{analysis}.contrast.m36.difference")
        assert difference["value"] == pytest.approx(means["sorafenib"] - means["control"], rel=1e-6)
        assert difference["ci_low"] < difference["value"] < difference["ci_high"]
    # the Methods section prints how many resamples the interval rests on
    assert value(ARD, "efficacy.rfs_rmst_overlap.contrast.m36.resamples")["value"] == PLAN.bootstrap_resamples


def test_a_resample_computed_in_bulk_equals_the_resample_computed_alone():
    landmark = ADAM["adsl"][ADAM["adsl"]["LMFL"] == "Y"].set_index("USUBJID")
    design = covariate_design(landmark, PLAN, PLAN.adjustment_set)
    x = design.x.to_numpy()
    treated = (landmark["LMTRT"] == SORAFENIB)[design.complete].to_numpy(dtype=bool)
    rng = np.random.default_rng(5)
    time = rng.exponential(20, len(x)).round(1) + 0.1
    event = rng.random(len(x)) < 0.7
    drawn = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=4).astype(float)
    scores, usable = logistic_scores(x, treated.astype(float), drawn)
    weights = drawn * np.where(treated, 1 - scores, scores)
    means = _restricted_means(time[treated], weights[:, treated], (weights * event)[:, treated], 30.0)
    assert usable.all()
    for b in range(4):
        index = np.repeat(np.arange(len(x)), drawn[b].astype(int))
        alone = logistic_fit(x[index], treated[index])
        np.testing.assert_allclose(alone.fitted, scores[b][index], rtol=1e-5)
        own = index[treated[index]]
        overlap = (1 - alone.fitted)[treated[index]]
        curve = kaplan_meier(time[own], event[own], weights=overlap)
        assert means[b] == pytest.approx(curve.rmst(30.0, extend=True).estimate, rel=1e-5)


@pytest.mark.parametrize("seed", [100, 101, 102, 103])
def test_hardly_any_resample_is_lost_with_many_nearly_collinear_spline_terms(seed):
    adsl = make_adam(500, seed=seed, confounding=0.8)["adsl"]
    landmark = adsl[adsl["LMFL"] == "Y"].set_index("USUBJID")
    design = covariate_design(landmark, PLAN, PLAN.adjustment_set)
    treated = (landmark["LMTRT"] == SORAFENIB)[design.complete].to_numpy(dtype=bool)
    assert OverlapResamples.draw(design.x.to_numpy(), treated, seed=1, replicates=400).usable.mean() > 0.99


def test_bootstrap_standard_error_is_near_the_analytic_one_when_there_is_nothing_to_adjust():
    """With covariates unrelated to treatment and outcome both standard errors estimate the same."""
    rng = np.random.default_rng(11)
    n = 800
    treated = rng.random(n) < 0.5
    time, event = rng.exponential(20, n), rng.random(n) < 0.8
    resamples = OverlapResamples.draw(rng.normal(size=(n, 2)), treated, seed=1, replicates=2000)
    spread = resamples.rmst_difference(np.ones(n, dtype=bool), time, event, 30.0)
    analytic = np.hypot(*(kaplan_meier(time[g], event[g]).rmst(30.0).std_err for g in (treated, ~treated)))
    assert spread.std_err == pytest.approx(analytic, rel=0.06)
    assert (spread.replicates, spread.failed) == (2000, 0)


def test_cumulative_incidence_of_all_first_events_and_event_free_survival_add_up():
    total = sum(
        value(ARD, f"efficacy.first_event.control.{kind}.m24.incidence")["value"]
        for kind in ("ltp", "idr", "ehs", "death")
    )
    assert total + value(ARD, "efficacy.rfs_km.control.m24.survival")["value"] == pytest.approx(100, rel=1e-9)


def test_first_events_recounted():
    rows = landmark_rows("RFS")
    own = rows[rows["arm"] == SORAFENIB]
    for kind, code in (("ltp", 1), ("idr", 2), ("ehs", 3), ("death", 4)):
        assert value(ARD, f"efficacy.first_event.sorafenib.{kind}.n")["value"] == (own["cause"] == code).sum()


def test_who_did_not_reach_the_landmark():
    left = sum(value(ARD, f"efficacy.landmark.not_reached.{why}")["value"] for why in ("recurred", "died", "lost"))
    reached = (ADAM["adsl"]["LMFL"] == "Y").sum()
    assert value(ARD, "efficacy.landmark.n")["value"] == reached
    assert left == len(ADAM["adsl"]) - reached


def test_immortal_time_makes_a_useless_drug_look_useful_only_in_the_naive_analysis():
    """No effect and no confounding, but a dose comes up to 58 days after RFA and half recur within 70 days."""
    adam = make_adam(3000, seed=2, log_hr=0.0, confounding=0.0, mean_days=100)
    ard = estimate(adam).ard
    naive = value(ard, "efficacy.rfs_naive.contrast.hr")
    assert naive["ci_high"] < 0.85
    assert "BIASED by immortal time" in naive["method"]
    assert "(biased)" in naive["population"]
    for model in ("overlap", "unadjusted", "adjusted", "iptw"):
        row = value(ard, f"efficacy.rfs_cox_{model}.contrast.hr")
        assert row["ci_low"] < 1 < row["ci_high"]


def test_a_real_effect_is_found_and_weighting_removes_confounding():
    """True log hazard ratio -0.5; the sicker are treated more, which hides it from the unadjusted analysis."""
    adam = make_adam(3000, seed=4, log_hr=-0.5, confounding=1.0, missing=0.0)
    ard = estimate(adam).ard
    weighted = value(ard, "efficacy.ttr_cox_overlap.contrast.hr")
    unadjusted = value(ard, "efficacy.ttr_cox_unadjusted.contrast.hr")
    assert weighted["ci_high"] < 1
    assert weighted["value"] < unadjusted["value"] - 0.05
    assert value(ard, "efficacy.ttr_rmst_overlap.contrast.m36.difference")["ci_low"] > 0


def test_every_effect_has_an_interval_or_a_reason():
    effects = ARD[ARD["stat_name"].isin(["hr", "difference", "rmst", "survival", "incidence", "median"])]
    assert len(effects) > 100
    bare = effects["ci_low"].isna() & effects["ci_high"].isna()
    explained = effects["method"].str.contains("not estimable|not tested|no interval")
    assert effects[bare & ~explained].empty


def test_ids_and_values_do_not_change_between_runs_and_the_seed_moves_only_the_bootstrap():
    again = estimate(ADAM)
    pd.testing.assert_frame_equal(again.ard.drop(columns="record"), ARD.drop(columns="record"))
    other = estimate(ADAM, seed=8).ard
    moved = ARD["ard_id"][~np.isclose(other["ci_low"], ARD["ci_low"], equal_nan=True)]
    assert len(moved) and moved.str.contains("rmst_overlap|cox_overlap_bootstrap").all()


def test_curves_start_at_the_landmark_with_everybody():
    for name in ("km_rfs", "km_os"):
        drawn = EFFICACY.curves[name]
        first = drawn.groupby(["group", "weighting"]).first()
        np.testing.assert_allclose(first["time_months"], LANDMARK_MONTHS)
        assert (first["survival"] == 1).all()
    rows = landmark_rows("RFS")
    assert EFFICACY.curves["km_rfs"].iloc[0]["n_risk"] == (rows["arm"] == SORAFENIB).sum()
    table = EFFICACY.curves["risk_table_rfs"]
    at_12 = table[(table["group"] == "control") & (table["time_months"] == 12)].iloc[0]
    assert at_12["n_risk"] == value(ARD, "efficacy.rfs_km.control.m12.at_risk")["value"]


def test_forest_rows_are_the_ards_numbers():
    drawn = EFFICACY.curves["forest_rfs"].set_index("ard_id")
    ard = ARD.set_index("ard_id").loc[drawn.index]
    np.testing.assert_array_equal(drawn[["hr", "lo", "hi"]], ard[["value", "ci_low", "ci_high"]])
    assert drawn["role"].tolist() == ["main", *["sensitivity"] * 5, "naive"]


def test_models_under_each_weighting_are_the_cox_models_with_those_weights():
    """Against lifelines' weighted Cox model with robust variance (Breslow = Efron here: no ties in this data)."""
    from lifelines import CoxPHFitter

    weights = estimated()[1]["baseline"].curves["weights"].set_index("USUBJID")
    rows = landmark_rows("RFS").set_index("USUBJID").join(weights, how="inner")
    rows["time"] += np.linspace(0, 1e-6, len(rows))  # lifelines' robust variance is not R's with ties
    for model, column in (("att", "w_att"), ("trimmed", "w_trimmed"), ("iptw", "w_iptw")):
        own = rows[rows[column] > 0]
        frame = pd.DataFrame(
            {
                "time": own["time"],
                "event": own["event"],
                "weight": own[column],
                "treated": (own["arm"] == SORAFENIB).astype(float),
            }
        )
        fitter = CoxPHFitter().fit(frame, "time", "event", weights_col="weight", robust=True)
        row = value(ARD, f"efficacy.rfs_cox_{model}.contrast.hr")
        assert row["value"] == pytest.approx(float(np.exp(fitter.params_["treated"])), rel=2e-3)
        assert value(ARD, f"efficacy.rfs_cox_{model}.contrast.n")["value"] == len(own)


def test_bootstrapped_ratio_is_the_spread_of_refitted_weighted_cox_models():
    """A hundred resamples by the slow way: propensity score and Cox model fitted anew to the drawn rows."""
    from sorafenib_rfa.stats.cox import cox_fit

    landmark = ADAM["adsl"][ADAM["adsl"]["LMFL"] == "Y"].set_index("USUBJID")
    design = covariate_design(landmark, PLAN, PLAN.adjustment_set)
    rows = landmark_rows("RFS").set_index("USUBJID").loc[design.x.index]
    treated = (rows["arm"] == SORAFENIB).to_numpy()
    resamples = OverlapResamples.draw(design.x.to_numpy(), treated, seed=3, replicates=100)
    everyone = np.ones(len(rows), dtype=bool)
    spread, used = resamples.log_hazard_ratio(
        everyone, rows["time"].to_numpy() - LANDMARK_MONTHS, rows["event"].to_numpy(dtype=bool)
    )
    slow = []
    for weights in resamples.weights:
        kept = weights > 0
        fit = cox_fit(
            pd.DataFrame({"treated": treated[kept].astype(float)}),
            rows["time"].to_numpy()[kept] - LANDMARK_MONTHS,
            rows["event"].to_numpy()[kept],
            weights=weights[kept],
        )
        slow.append(fit.coef[0])
    assert used == 100
    assert spread == pytest.approx(np.std(slow, ddof=1), rel=1e-3)  # ties of patients drawn twice are shared otherwise
    row = value(ARD, "efficacy.rfs_cox_overlap_bootstrap.contrast.hr")
    robust = value(ARD, "efficacy.rfs_cox_overlap.contrast.hr")
    assert row["value"] == pytest.approx(robust["value"], rel=1e-12)
    width = np.log(row["ci_high"] / row["ci_low"]) / np.log(robust["ci_high"] / robust["ci_low"])
    assert 0.7 < width < 1.1, "weights taken as known make the robust interval the longer one"


def test_naive_comparison_credits_the_treated_with_time_they_had_to_survive():
    """Nothing acts in this cohort, and yet ever-exposure looks better from RFA on."""
    adam = make_adam(3000, seed=5, confounding=0.0, mean_days=300)
    made = estimate(adam)
    naive = value(made.ard, "efficacy.rfs_naive_rmst.contrast.m36.difference")
    landmark = value(made.ard, "efficacy.rfs_rmst.contrast.m36.difference")
    assert naive["ci_low"] > 0
    assert landmark["ci_low"] < 0 < landmark["ci_high"]
    assert value(made.ard, "efficacy.rfs_naive.contrast.hr")["ci_high"] < 1


def test_nobody_on_the_drug_gives_reasons_not_a_crash():
    adam = make_adam(150, seed=9)
    adsl = adam["adsl"]
    keep = adsl["EXPOSFL"] == "N"
    adam = {
        "adsl": adsl[keep].reset_index(drop=True),
        "adtte": adam["adtte"][adam["adtte"]["USUBJID"].isin(adsl.loc[keep, "USUBJID"])].reset_index(drop=True),
    }
    made = estimate(adam)
    for identifier in ("efficacy.rfs_cox_overlap.contrast.hr", "efficacy.rfs_km.sorafenib.median"):
        row = value(made.ard, identifier)
        assert np.isnan(row["value"])
        assert row["method"].startswith("not ")
    assert value(made.ard, "efficacy.rfs.sorafenib.n")["value"] == 0
    assert value(made.ard, "efficacy.rfs_km.control.m12.survival")["value"] > 0
    collect_ard([made.ard])


def test_no_events_gives_reasons_not_a_crash():
    adam = make_adam(150, seed=9)
    adtte = adam["adtte"].assign(CNSR=1, EVNTCD=0)
    made = estimate({"adsl": adam["adsl"], "adtte": adtte})
    row = value(made.ard, "efficacy.os_cox_unadjusted.contrast.hr")
    assert row["method"].startswith("not estimable: no events among")
    row = value(made.ard, "efficacy.os_km.control.m12.survival")
    assert row["value"] == 100
    assert "nobody has had an event" in row["method"]
    assert np.isposinf(value(made.ard, "efficacy.os_km.control.median")["value"])
    collect_ard([made.ard])


def test_a_horizon_beyond_follow_up_is_not_extrapolated():
    made = estimate(make_adam(300, seed=6), plan(horizons_months=[12, 120], rmst_horizon_months=120))
    row = value(made.ard, "efficacy.os_km.control.m120.survival")
    assert np.isnan(row["value"])
    assert "follow-up of the group ends at" in row["method"]
    row = value(made.ard, "efficacy.os_rmst_overlap.contrast.m120.difference")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not estimable: restricted mean")


def test_a_small_arm_is_described_and_not_tested():
    adam = make_adam(200, seed=3)
    adsl = adam["adsl"].drop(adam["adsl"].index[adam["adsl"]["LMTRT"] == SORAFENIB][8:])
    made = estimate({"adsl": adsl, "adtte": adam["adtte"][adam["adtte"]["USUBJID"].isin(adsl["USUBJID"])]})
    for identifier in (
        "rfs_cox_unadjusted.contrast.hr",
        "rfs_log_rank.contrast.chi2",
        "rfs_rmst.contrast.m36.difference",
    ):
        row = value(made.ard, f"efficacy.{identifier}")
        assert np.isnan(row["value"])
        assert row["method"].startswith("not tested: fewer than 10 patients in RFA + sorafenib")
    assert value(made.ard, "efficacy.rfs_km.sorafenib.m12.survival")["value"] > 0


def test_patients_seen_only_up_to_the_landmark_are_not_at_risk_beyond_it():
    adam = make_adam(300, seed=6)
    adtte = adam["adtte"].copy()
    reached = adtte.index[(adtte["PARAMCD"] == "RFS") & (adtte["LMFL"] == "Y")]
    adtte.loc[reached[:5], ["AVAL", "CNSR", "EVNTCD"]] = [LANDMARK_MONTHS, 1, 0]
    made = estimate({"adsl": adam["adsl"], "adtte": adtte})
    assert value(made.ard, "efficacy.rfs.n")["value"] == len(reached) - 5
