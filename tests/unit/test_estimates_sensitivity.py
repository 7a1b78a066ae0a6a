"""The part ``sensitivity``: equal to the main analyses where it says so, complete, and never an invented number."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, make_adam, value

from sorafenib_rfa.config.models import Plan, Specification
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.comparison import compare, entered
from sorafenib_rfa.estimates.covariates import covariate_design
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.estimates.sensitivity import estimate_sensitivity
from sorafenib_rfa.estimates.specifications import skipped, specifications
from sorafenib_rfa.estimates.target_trial import estimate_target_trial
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.stats.cox import cox_fit

CONFIG = cohort()


def small_plan(**changes: object) -> Plan:
    """Return the plan with few resamples and imputations and fewer specifications."""
    assert PLAN.sensitivity is not None
    declared = PLAN.sensitivity.specifications
    choices = declared.model_copy(
        update={
            "adjustment_sets": {name: declared.adjustment_sets[name] for name in ("plan", "tumour_and_liver")},
            "grace_period_days": [30, 60],
            "eligibility": {name: declared.eligibility[name] for name in ("all", "primary_hcc")},
        }
        | changes
    )
    settings = PLAN.sensitivity.model_copy(update={"imputations": 3, "specifications": choices})
    return PLAN.model_copy(update={"bootstrap_resamples": 200, "sensitivity": settings})


def run(adam: dict[str, pd.DataFrame], plan: Plan, seed: int = 3) -> tuple[Estimates, pd.DataFrame]:
    """Return the estimates of the part and the weights they used."""
    weights = estimate_baseline(adam["adsl"], plan, CONFIG, "synthetic", "r").curves["weights"]
    found = estimate_sensitivity(
        adam["adsl"], adam["adtte"], adam["ablations"], weights, plan, CONFIG, "synthetic", "r.json", seed=seed
    )
    return found, weights


@cache
def estimated() -> tuple[dict[str, pd.DataFrame], Estimates, pd.DataFrame]:
    adam = make_adam(500, seed=4)
    # a session long after the index one, with a complication of its own
    later = adam["ablations"].iloc[:200].copy()
    later["ablation_date"] += pd.Timedelta(days=400)
    later["complication_term"] = "Hematoma"
    adam["ablations"] = pd.concat([adam["ablations"], later], ignore_index=True)
    found, weights = run(adam, small_plan())
    return adam, found, weights


def spec(curve: pd.DataFrame, **choices: object) -> pd.Series:
    """Return the row of a specification; what is not named is as in the primary analysis."""
    assert PLAN.sensitivity is not None
    wanted = PLAN.sensitivity.specifications.primary.model_dump() | choices
    rows = curve[np.logical_and.reduce([curve[name] == choice for name, choice in wanted.items()])]
    assert len(rows) == 1
    return rows.iloc[0]


# --- the specification curve --------------------------------------------------------------------------


def test_specifications_equal_the_main_analyses_they_stand_for() -> None:
    adam, found, weights = estimated()
    curve = found.curves["specifications"]
    efficacy = estimate_efficacy(
        adam["adtte"], adam["adsl"], weights, small_plan(), CONFIG, "synthetic", "r.json", seed=1
    ).ard
    for endpoint in ("RFS", "OS"):
        for estimator, identifier in (
            ("landmark_overlap", "cox_overlap.contrast.hr"),
            ("landmark_iptw", "cox_iptw.contrast.hr"),
            ("landmark_att", "cox_att.contrast.hr"),
            ("landmark_adjusted", "cox_adjusted.contrast.hr"),
            ("unadjusted", "cox_unadjusted.contrast.hr"),
            ("naive", "naive.contrast.hr"),
        ):
            row = spec(curve, endpoint=endpoint, estimator=estimator)
            known = value(efficacy, f"efficacy.{endpoint.lower()}_{identifier}")
            assert (row["hr"], row["lo"], row["hi"], row["p"]) == pytest.approx(
                tuple(known[["value", "ci_low", "ci_high", "p_value"]]), rel=1e-9
            ), (endpoint, estimator)
        row = spec(curve, endpoint=endpoint, estimator="landmark_matched")
        known = value(found.ard, f"sensitivity.matched_{endpoint.lower()}.contrast.hr")
        assert (row["hr"], row["lo"], row["hi"]) == pytest.approx(tuple(known[["value", "ci_low", "ci_high"]]))


def test_the_primary_specification_is_the_emulated_trial_and_time_varying_exposure_that_of_its_part() -> None:
    adam, found, _ = estimated()
    curve = found.curves["specifications"]
    trial = estimate_target_trial(adam["adsl"], adam["adtte"], small_plan(), CONFIG, "synthetic", "r.json", seed=1).ard
    assert curve.loc[curve["primary"], "spec_id"].tolist() == [spec(curve)["spec_id"]]
    for endpoint in ("RFS", "OS"):
        for form in ("overlap", "ate"):
            row = spec(curve, endpoint=endpoint, estimator=f"clone_censor_{form}")
            known = value(trial, f"target_trial.{endpoint.lower()}_ccw_{form}.contrast.hr")
            assert row["hr"] == pytest.approx(known["value"], rel=1e-8)
            # analytic against bootstrap
            width = np.log(row["hi"] / row["lo"]) / np.log(known["ci_high"] / known["ci_low"])
            assert 0.75 < width < 1.35
        row = spec(curve, endpoint=endpoint, estimator="time_varying_adjusted")
        known = value(trial, f"target_trial.{endpoint.lower()}_time_varying_adjusted.contrast.hr")
        assert (row["hr"], row["lo"], row["hi"]) == pytest.approx(tuple(known[["value", "ci_low", "ci_high"]]))


def test_another_grace_period_moves_the_landmark() -> None:
    """Recounted from ADSL: alive, recurrence-free and observed on day 30, arm by then."""
    adam, found, _ = estimated()
    adsl = adam["adsl"]
    day = adsl["TRTSDT"] + pd.Timedelta(days=30)
    reached = ~(adsl["RECDT"] <= day) & ~(adsl["DTHDT"] <= day) & (adsl["LSTALVDT"] >= day)
    own = adsl[reached].set_index("USUBJID")
    treated = (own["EXSTDT"] <= own["TRTSDT"] + pd.Timedelta(days=30)).astype(float)
    rows = adam["adtte"][adam["adtte"]["PARAMCD"] == "RFS"].set_index("USUBJID").loc[own.index]
    time = rows["AVAL"].astype(float) - 30 / 30.4375
    kept = time > 0
    fit = cox_fit(treated[kept], time[kept], rows["CNSR"][kept] == 0)
    row = spec(found.curves["specifications"], estimator="unadjusted", grace_period_days=30)
    assert row["hr"] == pytest.approx(np.exp(fit.coef[0]), rel=1e-9)
    assert row["n"] == kept.sum()


def test_eligibility_narrows_the_population() -> None:
    adam, found, _ = estimated()
    curve = found.curves["specifications"]
    everyone, primary = (spec(curve, estimator="naive", eligibility=name) for name in ("all", "primary_hcc"))
    assert everyone["n"] == len(adam["adsl"])
    assert primary["n"] == (adam["adsl"]["RECURFL"] == "N").sum() < everyone["n"]


def test_every_combination_is_there_once_run_or_skipped_with_its_reason() -> None:
    _, found, _ = estimated()
    curve, ard = found.curves["specifications"], found.ard
    plan = small_plan()
    assert plan.sensitivity is not None
    declared = specifications(plan.sensitivity.specifications)
    assert len(curve) == len(declared) == 2 * 10 * 2 * 2 * 2 * 2
    choices = list(Specification.model_fields)
    assert not curve.duplicated(choices).any()
    run_rows, left = curve[curve["skipped"] == ""], curve[curve["skipped"] != ""]
    assert (run_rows["ard_id"] != "").all()
    assert (left["ard_id"] == "").all()
    assert left["hr"].isna().all()
    for row in run_rows.itertuples():
        known = value(ard, row.ard_id)
        assert known["value"] == row.hr
        assert known["ci_low"] <= row.hr <= known["ci_high"]
    counts = {
        stat: value(ard, f"sensitivity.specifications.contrast.all.{stat}")["value"]
        for stat in ("declared", "skipped", "estimated", "not_estimable", "below_one", "excluding_one", "median")
    }
    assert counts["declared"] == counts["skipped"] + counts["estimated"] + counts["not_estimable"]
    ratios = run_rows["hr"].dropna()
    assert counts["below_one"] == pytest.approx(100 * (ratios < 1).mean())
    assert counts["median"] == pytest.approx(ratios.median())
    outside = (run_rows["lo"] > 1) | (run_rows["hi"] < 1)
    assert counts["excluding_one"] == pytest.approx(100 * outside.mean())


def test_what_plays_no_part_is_run_once() -> None:
    plan = small_plan()
    assert plan.sensitivity is not None
    choices = plan.sensitivity.specifications
    missing = {"AGE": 0, "AFP": 5} | dict.fromkeys(PLAN.covariates, 0) | {"AFP": 5}
    by_estimator: dict[str, int] = {}
    for one in specifications(choices):
        if not skipped(one, choices, {"RFS", "OS"}, missing):
            by_estimator[one.estimator] = by_estimator.get(one.estimator, 0) + 1
    # endpoints x eligibility; times grace; times (plan complete, plan imputed, tumour_and_liver complete)
    assert by_estimator["naive"] == 4
    assert by_estimator["unadjusted"] == 8
    assert by_estimator["time_varying_adjusted"] == 4 * 3
    assert by_estimator["landmark_overlap"] == by_estimator["clone_censor_ate"] == 8 * 3


# --- the other analyses -------------------------------------------------------------------------------


def test_imputation_brings_back_those_without_a_covariate_and_counts_them() -> None:
    adam, found, weights = estimated()
    ard, plan = found.ard, small_plan()
    comparison = compare(adam["adsl"], adam["adtte"], weights, plan, CONFIG, "RFS")
    assert value(ard, "sensitivity.imputed_rfs.contrast.n")["value"] == len(comparison.frame)
    assert len(comparison.scored) < len(comparison.frame)
    afp = adam["adsl"]["AFPBL"].isna().sum()
    assert value(ard, "sensitivity.imputed.afp.n")["value"] == afp > 0
    for stat in ("hr", "m36.difference"):
        row = value(ard, f"sensitivity.imputed_rfs.contrast.{stat}")
        assert row["ci_low"] < row["value"] < row["ci_high"]
    assert 0 < value(ard, "sensitivity.imputed_rfs.contrast.hr_fmi")["value"] < 0.5


def test_pairs_are_within_the_caliper_and_of_both_arms() -> None:
    adam, found, _ = estimated()
    pairs = found.curves["matching"]
    own = pairs[pairs["endpoint"] == "RFS"]
    arm = entered(adam["adsl"])["LMTRT"]
    assert (arm.loc[own["treated_subject"]] == "RFA + sorafenib").all()
    assert (arm.loc[own["control_subject"]] == "RFA alone").all()
    assert not own["control_subject"].duplicated().any()
    assert ((own["treated_logit"] - own["control_logit"]).abs() <= own["caliper"] + 1e-7).all()
    assert value(found.ard, "sensitivity.matched_rfs.contrast.pairs")["value"] == len(own)
    # matching must not leave the arms as unlike as it found them
    assert value(found.ard, "sensitivity.matched_rfs.contrast.largest_smd")["value"] < 0.25


def test_the_negative_control_counts_complications_of_the_index_session_only() -> None:
    adam, found, weights = estimated()
    adsl, ablations = adam["adsl"].set_index("USUBJID"), adam["ablations"]
    index = ablations["ablation_date"] == ablations["USUBJID"].map(adsl["TRTSDT"])
    with_one = set(ablations.loc[index & ablations["complication_term"].notna(), "USUBJID"])
    for slug, side in (("sorafenib", True), ("control", False)):
        own = weights.loc[weights["treated"] == side]
        events = own["USUBJID"].isin(with_one)
        assert value(found.ard, f"sensitivity.negative_control.{slug}.events")["value"] == events.sum()
        risk = 100 * (own["w_overlap"] * events).sum() / own["w_overlap"].sum()
        assert value(found.ard, f"sensitivity.negative_control.{slug}.percent")["value"] == pytest.approx(risk)
    assert (ablations["complication_term"].notna() & ~index).any(), "the check would not see a later session"


def test_tipping_points_say_what_changes() -> None:
    _, found, _ = estimated()
    grid = found.curves["tipping_confounding"]
    own = grid[(grid["endpoint"] == "RFS") & (grid["kind"] == "grid")]
    alike = own[own["prevalence_treated"] == own["prevalence_control"]]
    assert not alike["changes"].any()
    hr = value(found.ard, "sensitivity.specification.contrast." + spec(
        found.curves["specifications"], estimator="landmark_overlap")["spec_id"] + ".hr")  # fmt: skip
    assert alike["hr"].to_numpy() == pytest.approx(hr["value"])
    for strength, rows in own.groupby("confounder_hr"):
        key = f"sensitivity.tipping_confounding_rfs.contrast.confounder_hr.{strength:g}".replace("1.", "1_")
        assert value(found.ard, f"{key}.changing")["value"] == rows["changes"].sum()
    boundary = grid[(grid["endpoint"] == "RFS") & (grid["crosses"] == "estimate")]
    treated, control, gamma = (boundary[name] for name in ("prevalence_treated", "prevalence_control", "confounder_hr"))
    corrected = hr["value"] * (gamma * control + 1 - control) / (gamma * treated + 1 - treated)
    assert corrected.to_numpy() == pytest.approx(1.0)
    censoring = found.curves["tipping_censoring"]
    at_one = censoring[(censoring["endpoint"] == "RFS") & (censoring["delta"] == 1)]
    assert at_one["hr"].nunique() == 1
    assert not at_one["hr_changes"].any()


def test_the_same_seed_gives_the_same_rows() -> None:
    adam = make_adam(260, seed=4)
    few = small_plan(estimators=["landmark_overlap", "clone_censor_overlap"], endpoints=["RFS"])
    first, again = (run(adam, few)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first.ard, again.ard)
    other = run(adam, few, seed=4)[0].ard
    key = "sensitivity.imputed_rfs.contrast.hr"
    assert value(first.ard, key)["value"] != value(other, key)["value"]
    # what needs no chance does not change with the seed
    for same in ("sensitivity.matched_rfs.contrast.hr", "sensitivity.evalue_rfs.contrast.estimate"):
        assert value(first.ard, same)["value"] == value(other, same)["value"]


# --- bad input ---------------------------------------------------------------------------------------


def _changed(adam: dict[str, pd.DataFrame], what: str) -> dict[str, pd.DataFrame]:
    adsl, adtte = adam["adsl"].copy(), adam["adtte"].copy()
    ablations = adam["ablations"]
    if what == "all censored":
        adtte["CNSR"], adtte["EVNTCD"] = 1, 0
    elif what == "no events in the treated":
        arm = set(adsl.loc[adsl["EXPOSFL"] == "Y", "USUBJID"])
        adtte.loc[adtte["USUBJID"].isin(arm), ["CNSR", "EVNTCD"]] = [1, 0]
    elif what == "nobody treated":
        adsl["EXPOSFL"], adsl["TRT01A"], adsl["EXSTDT"] = "N", "RFA alone", pd.NaT
        adsl["LMTRT"] = adsl["LMTRT"].mask(adsl["LMTRT"].notna(), "RFA alone")
        adtte["LMTRT"] = adtte["LMTRT"].mask(adtte["LMTRT"].notna(), "RFA alone")
    elif what == "one centre, constant covariates":
        adsl["SITEID"], adsl["REGION"], adsl["SEX"], adsl["ETIOLOGY"] = "alpha", "Asia", "M", "HBV"
    elif what == "no complications":
        ablations = ablations.assign(complication_term=pd.array([pd.NA] * len(ablations), dtype="string"))
    elif what == "a covariate missing in everyone":
        adsl["AFPBL"] = pd.array([pd.NA] * len(adsl), dtype="Float64")
    elif what == "separation":
        adsl["TUMSIZE"] = adsl["TUMSIZE"] + 100 * (adsl["LMTRT"] == "RFA + sorafenib").fillna(False).astype(float)
    elif what == "short follow-up":
        short = adtte["AVAL"].astype(float).clip(upper=20)
        adtte["CNSR"] = adtte["CNSR"].where(short == adtte["AVAL"].astype(float), 1)
        adtte["AVAL"] = short
    return {"adsl": adsl, "adtte": adtte, "ablations": ablations}


@pytest.mark.parametrize(
    ("what", "without"),
    [
        ("all censored", ["matched_rfs.contrast.hr", "imputed_rfs.contrast.hr", "evalue_rfs.contrast.estimate"]),
        ("no events in the treated", ["matched_rfs.contrast.hr", "evalue_rfs.contrast.limit"]),
        ("nobody treated", ["matched_rfs.contrast.pairs", "imputed_rfs.contrast.hr",
                            "negative_control.contrast.risk_ratio"]),
        ("one centre, constant covariates", []),
        ("no complications", ["negative_control.contrast.risk_difference", "negative_control.contrast.risk_ratio"]),
        ("a covariate missing in everyone", ["matched_rfs.contrast.hr", "imputed_rfs.contrast.hr"]),
        ("separation", ["matched_rfs.contrast.hr", "evalue_rfs.contrast.estimate"]),
        ("short follow-up", ["matched_rfs.contrast.m36.difference", "imputed_rfs.contrast.m36.difference"]),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_said_and_the_rest_is_still_there(what: str, without: list[str]) -> None:
    adam = _changed(make_adam(260, seed=9), what)
    everyone = {"all": PLAN.sensitivity.specifications.eligibility["all"]}
    plan = small_plan(endpoints=["RFS"], grace_period_days=[60], eligibility=everyone)
    found, _ = run(adam, plan)
    ard = found.ard
    for identifier in without:
        row = value(ard, f"sensitivity.{identifier}")
        assert np.isnan(row["value"]), identifier
        assert row["method"].startswith(("not estimable: ", "not tested: ")), row["method"]
    unknown = ard[ard["value"].isna()]
    assert unknown["method"].str.startswith(("not estimable", "not tested")).all()
    # an interval never comes without its estimate, nor a p value
    assert unknown[["ci_low", "ci_high", "p_value"]].isna().all().all()
    run_rows = found.curves["specifications"].query("skipped == ''")
    assert ((run_rows["reason"] != "") == run_rows["hr"].isna()).all()
    if what == "one centre, constant covariates":
        assert run_rows["hr"].notna().all()
    if what in ("all censored", "nobody treated"):
        assert run_rows["hr"].isna().all()
    for name in ("specifications", "tipping") if without and "rfs" in without[0] else ():
        figure, _ = draw_figure(name, ard=ard, curves=found.curves, cohort=CONFIG, plan=plan)
        assert figure.axes


def test_without_a_declaration_nothing_is_guessed() -> None:
    adam = make_adam(260, seed=9)
    with pytest.raises(ValueError, match="declares no sensitivity analyses"):
        run(adam, small_plan().model_copy(update={"sensitivity": None}))


def test_covariates_with_values_missing_enter_as_complete_cases_in_the_design() -> None:
    """The counts of a complete-case specification are those of the design."""
    adam, found, _ = estimated()
    landmark = entered(adam["adsl"])
    complete = covariate_design(landmark, PLAN, PLAN.adjustment_set).complete.sum()
    row = spec(found.curves["specifications"], estimator="landmark_overlap", endpoint="OS")
    assert 0 <= complete - row["n"] <= 3  # some are not followed beyond the landmark
    imputed = spec(found.curves["specifications"], estimator="landmark_overlap", endpoint="OS", missing="imputed")
    assert imputed["n"] > row["n"]
