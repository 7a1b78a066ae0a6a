"""Table 1, propensity score and balance: recounted with plain pandas, refitted with statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, estimated, make_adam, plan, value

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.covariates import covariate_design
from sorafenib_rfa.vocabulary import CONTROL, SORAFENIB

ADAM, PARTS = estimated()
ADSL = ADAM["adsl"]
BASELINE = PARTS["baseline"]


def test_continuous_variables_against_pandas():
    own = ADSL[ADSL["TRT01A"] == SORAFENIB]["TUMSIZE"].astype(float)
    prefix = "baseline.table1.sorafenib.tumsize"
    expected = {
        "mean": own.mean(),
        "sd": own.std(),
        "median": own.median(),
        "q1": own.quantile(0.25),
        "q3": own.quantile(0.75),
        "min": own.min(),
        "max": own.max(),
        "n": own.count(),
        "missing": 0,
    }
    for stat, number in expected.items():
        assert value(BASELINE.ard, f"{prefix}.{stat}")["value"] == pytest.approx(number, rel=1e-12)


def test_counts_and_percentages_of_levels_are_of_those_recorded():
    adsl = ADSL.copy()
    adsl.loc[:49, "ETIOLOGY"] = pd.NA
    ard = estimate_baseline(adsl, PLAN, cohort(), "synthetic", "r").ard
    known = adsl["ETIOLOGY"].dropna()
    assert value(ard, "baseline.table1.etiology.missing")["value"] == 50
    for level in ("HBV", "HCV", "Alcohol", "Other"):
        count = int((known == level).sum())
        assert value(ard, f"baseline.table1.etiology.{level.lower()}.n")["value"] == count
        assert value(ard, f"baseline.table1.etiology.{level.lower()}.percent")["value"] == pytest.approx(
            100 * count / len(known)
        )


def test_an_undeclared_level_is_shown_not_lost():
    adsl = ADSL.copy()
    adsl.loc[adsl["REGION"] == "Asia", "REGION"] = "Oceania"
    ard = estimate_baseline(adsl, PLAN, cohort(), "synthetic", "r").ard
    assert value(ard, "baseline.table1.region.oceania.n")["value"] == (adsl["REGION"] == "Oceania").sum()
    assert value(ard, "baseline.table1.region.asia.n")["value"] == 0
    # every group names the same levels
    assert value(ard, "baseline.table1.control.region.oceania.n")["value"] > 0


def test_standardised_difference_by_its_formula():
    flags = ADSL["RECURFL"] == "Y"
    p1 = flags[ADSL["TRT01A"] == SORAFENIB].mean()
    p0 = flags[ADSL["TRT01A"] == CONTROL].mean()
    by_hand = (p1 - p0) / np.sqrt((p1 * (1 - p1) + p0 * (1 - p0)) / 2)
    assert value(BASELINE.ard, "baseline.table1.contrast.recurhcc.smd")["value"] == pytest.approx(by_hand, rel=1e-12)


def test_no_p_values_of_baseline_differences():
    table_one = BASELINE.ard[BASELINE.ard["analysis_id"].isin(["table1", "landmark", "overlap", "iptw"])]
    assert table_one["p_value"].isna().all()


def test_propensity_score_equals_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    landmark = ADSL[ADSL["LMFL"] == "Y"].set_index("USUBJID")
    design = covariate_design(landmark, PLAN, PLAN.adjustment_set)
    treated = (landmark["LMTRT"] == SORAFENIB)[design.complete].astype(float)
    fitted = sm.GLM(treated, sm.add_constant(design.x), family=sm.families.Binomial()).fit()
    weights = BASELINE.curves["weights"].set_index("USUBJID").loc[design.x.index]
    np.testing.assert_allclose(weights["ps"], fitted.fittedvalues, rtol=1e-6)
    interval = np.exp(fitted.conf_int().loc["SEX"])
    row = value(BASELINE.ard, "baseline.propensity_model.sex.odds_ratio")
    np.testing.assert_allclose(row[["ci_low", "ci_high"]].astype(float), interval, rtol=1e-5)


def test_weights_by_their_definitions():
    weights = BASELINE.curves["weights"]
    e, treated = weights["ps"], weights["treated"]
    share = treated.mean()
    np.testing.assert_allclose(weights["w_overlap"], np.where(treated, 1 - e, e))
    np.testing.assert_allclose(weights["w_iptw"], np.where(treated, share / e, (1 - share) / (1 - e)))
    np.testing.assert_allclose(weights["w_att"], np.where(treated, 1, e / (1 - e)))
    landmark = ADSL[(ADSL["LMFL"] == "Y") & ADSL["AFPBL"].notna()]
    assert set(weights["USUBJID"]) == set(landmark["USUBJID"])


def test_trimming_leaves_out_extreme_scores_and_fits_the_score_anew():
    sm = pytest.importorskip("statsmodels.api")
    trimmed = estimate_baseline(ADSL, plan(trim_scores=(0.25, 0.6)), cohort(), "synthetic", "r")
    weights = trimmed.curves["weights"].set_index("USUBJID")
    inside = weights["ps"].between(0.25, 0.6)
    assert 0 < (~inside).sum() < len(weights)
    assert (weights.loc[~inside, "w_trimmed"] == 0).all()
    landmark = ADSL[ADSL["LMFL"] == "Y"].set_index("USUBJID")
    x = covariate_design(landmark, PLAN, PLAN.adjustment_set).x.loc[weights.index[inside]]
    treated = weights.loc[inside, "treated"].astype(float)
    e = sm.GLM(treated, sm.add_constant(x), family=sm.families.Binomial()).fit().fittedvalues
    share = treated.mean()
    np.testing.assert_allclose(
        weights.loc[inside, "w_trimmed"], np.where(treated == 1, share / e, (1 - share) / (1 - e)), rtol=1e-5
    )
    nobody = estimate_baseline(ADSL, plan(trim_scores=(0.0, 0.01)), cohort(), "synthetic", "r")
    row = value(nobody.ard, "baseline.propensity.sorafenib.trimmed.effective_n")
    assert np.isnan(row["value"]) and row["method"].startswith("not estimable")


def test_variance_ratio_by_its_definition():
    weights = BASELINE.curves["weights"].set_index("USUBJID")
    age = ADSL.set_index("USUBJID").loc[weights.index, "AGE"].astype(float)
    side = weights["treated"].astype(bool)
    by_hand = age[side].var() / age[~side].var()
    row = value(BASELINE.ard, "baseline.landmark.contrast.age.variance_ratio")
    assert row["value"] == pytest.approx(by_hand, rel=1e-12)
    assert "baseline.overlap.contrast.age.variance_ratio" in set(BASELINE.ard["ard_id"])


def test_overlap_weights_balance_the_means_of_the_score_exactly():
    """A property of overlap weights with a logistic score (Li, Morgan and Zaslavsky 2018, theorem 3)."""
    balance = BASELINE.curves["balance"]
    weighted = balance[balance["adjusted_for"] & (balance["weighting"] == "overlap")]
    assert len(weighted) >= len(PLAN.adjustment_set)
    assert weighted["smd"].abs().max() < 1e-6
    before = value(BASELINE.ard, "baseline.landmark.contrast.largest_smd")["value"]
    after = value(BASELINE.ard, "baseline.overlap.contrast.largest_smd_adjusted")["value"]
    assert before > 0.15
    assert after < 1e-6


def test_the_largest_difference_left_counts_variables_that_were_not_adjusted_for():
    balance = BASELINE.curves["balance"]
    whole = balance[(balance["weighting"] == "overlap") & (balance["level"] == "")].set_index("variable")["smd"].abs()
    assert value(BASELINE.ard, "baseline.overlap.contrast.largest_smd")["value"] == whole.max()
    assert whole.idxmax() not in PLAN.adjustment_set


def test_effective_sample_size_is_below_the_number_of_patients():
    weights = BASELINE.curves["weights"]
    own = weights.loc[weights["treated"], "w_overlap"]
    row = value(BASELINE.ard, "baseline.propensity.sorafenib.overlap.effective_n")
    assert row["value"] == pytest.approx(own.sum() ** 2 / (own**2).sum())
    assert row["value"] < value(BASELINE.ard, "baseline.propensity.sorafenib.n")["value"]


def test_histogram_of_the_score_counts_everybody_once():
    drawn = BASELINE.curves["propensity"]
    unweighted = drawn[drawn["weighting"] == "none"].groupby("group")["n"].sum()
    assert unweighted["sorafenib"] == value(BASELINE.ard, "baseline.propensity.sorafenib.n")["value"]
    np.testing.assert_allclose(drawn.groupby(["group", "weighting"])["share"].sum(), 1.0)


def test_love_plot_data_are_the_ards_numbers():
    drawn = BASELINE.curves["balance"]
    values = BASELINE.ard.set_index("ard_id")["value"]
    np.testing.assert_array_equal(values[drawn["ard_id"]].to_numpy(), drawn["smd"].to_numpy())


def test_separation_gives_reasons_not_a_crash():
    adsl = make_adam(200, seed=3)["adsl"]
    adsl.loc[adsl["LMTRT"] == SORAFENIB, "SEX"] = "M"
    adsl.loc[adsl["LMTRT"] == CONTROL, "SEX"] = "F"
    made = estimate_baseline(adsl, PLAN, cohort(), "synthetic", "r")
    assert made.curves["weights"].empty
    row = value(made.ard, "baseline.propensity.sorafenib.overlap.effective_n")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not estimable: the logistic model has no finite fit")
    assert set(made.curves["balance"]["weighting"]) == {"none"}


def test_a_small_arm_is_described_and_not_modelled():
    adsl = make_adam(200, seed=3)["adsl"]
    few = adsl.index[(adsl["LMTRT"] == SORAFENIB)][8:]
    adsl = adsl.drop(few)
    made = estimate_baseline(adsl, plan(small_group=10), cohort(), "synthetic", "r")
    assert made.curves["weights"].empty
    row = value(made.ard, "baseline.propensity.score.c_statistic")
    assert row["method"].startswith("not tested: fewer than 10 patients in RFA + sorafenib (n = ")
    assert value(made.ard, "baseline.landmark.sorafenib.age.mean")["value"] > 0


def test_one_centre_only():
    """Region does not vary: it has no term, the rest is estimated."""
    adsl = make_adam(300, seed=5)["adsl"].assign(REGION="Asia", SITEID="alpha")
    made = estimate_baseline(adsl, PLAN, cohort(), "synthetic", "r")
    assert not made.curves["weights"].empty
    assert not made.ard["ard_id"].str.contains("propensity_model.region").any()


def test_a_cohort_without_arms_has_its_own_variables_and_no_contrasts():
    config = cohort("hcc_resection")
    adsl = pd.DataFrame({c: pd.Series([pd.NA] * 4, dtype="string") for c in ADSL.columns})
    adsl["USUBJID"] = pd.Series(["1", "2", "3", "4"], dtype="string")
    adsl["AGE"] = pd.Series([40, 50, 60, 70], dtype="Int64")
    for name, extra in config.extra_variables.items():
        filled = pd.Series([1.0, 2.0, 3.0, 4.0]) if extra.kind != "categorical" else pd.Series([extra.levels[0]] * 4)
        adsl[name.upper()] = filled
    made = estimate_baseline(adsl, PLAN, config, "hcc_resection", "r")
    assert made.curves == {}
    assert value(made.ard, "baseline.table1.age.mean")["value"] == 55
    assert value(made.ard, "baseline.table1.cxcl17_t.median")["value"] == 2.5
    assert "contrast" not in set(made.ard["group"])
    # what the source does not have is not listed as missing in everybody
    assert not made.ard["ard_id"].str.startswith("baseline.table1.tumsize").any()
