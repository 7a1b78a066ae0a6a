"""The validation study: its estimators are those of the paper, its cohorts depend on nothing but their number."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, ROOT, emulated_trial, estimated, value
from threadpoolctl import threadpool_limits

from sorafenib_rfa.config.load import load_study, read_yaml, validate
from sorafenib_rfa.config.models import EstimatorName, StudyPlan, ValidationConfig
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.estimates.covariates import texts
from sorafenib_rfa.estimates.target_trial import conduct, followed
from sorafenib_rfa.files import write_csv, write_parquet
from sorafenib_rfa.simulate import load_parameters, true_estimands
from sorafenib_rfa.simulate.population import draw_plan, draw_population
from sorafenib_rfa.validation.estimators import ESTIMATORS, cells
from sorafenib_rfa.validation.performance import performance, write_intervals
from sorafenib_rfa.validation.study import METHODS, Cohort, analyse, simulate_estimates
from sorafenib_rfa.validation.truths import true_values
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

PARAMETERS = ROOT / "config/cohorts/synthetic/simulation.yaml"
SHOWN = "config/validation.yaml"
PLANS = validate(ValidationConfig, read_yaml(ROOT / SHOWN, SHOWN), SHOWN).plans
ALL = list(ESTIMATORS)
SEED, COHORTS = 7, 6
ANALYSES = {
    "ccw_overlap": ("target_trial", "{e}_ccw_overlap.contrast.m36.difference", "{e}_ccw_overlap.contrast.hr"),
    "ccw_ate": ("target_trial", "{e}_ccw_ate.contrast.m36.difference", "{e}_ccw_ate.contrast.hr"),
    "landmark_overlap": ("efficacy", "{e}_rmst_overlap.contrast.m36.difference", "{e}_cox_overlap.contrast.hr"),
    "landmark_iptw": ("efficacy", "", "{e}_cox_iptw.contrast.hr"),
    "landmark_unadjusted": ("efficacy", "{e}_rmst.contrast.m36.difference", "{e}_cox_unadjusted.contrast.hr"),
    "landmark_adjusted": ("efficacy", "", "{e}_cox_adjusted.contrast.hr"),
    "time_varying": ("target_trial", "", "{e}_time_varying_adjusted.contrast.hr"),
    "naive": ("efficacy", "{e}_naive_rmst.contrast.m36.difference", "{e}_naive.contrast.hr"),
}
BOOTSTRAPPED = {("ccw_overlap", 0), ("ccw_overlap", 1), ("ccw_ate", 0), ("ccw_ate", 1), ("landmark_overlap", 0)}


@cache
def regions() -> dict[str, str]:
    sites = load_study(ROOT).cohorts["synthetic"].sites
    return {name: site.region for name, site in sites.items()}


@cache
def parameters(scenario: str, screened: int = 150):
    return load_parameters(PARAMETERS, size=screened, scenario=scenario)


def simulate(replicates, *, scenario: str = "waning", estimators: list[str] = ALL) -> pd.DataFrame:
    # matrices this small are slower on several threads; the workflow's jobs have one each
    with threadpool_limits(1):
        return simulate_estimates(
            parameters(scenario), PLAN, regions(), replicates, estimators, seed=SEED, resamples=50
        )


@cache
def truth(scenario: str) -> pd.DataFrame:
    return true_values(parameters(scenario), PLAN, regions(), ALL, seed=SEED, screened=6_000)


def small(**changes) -> StudyPlan:
    given = {
        "seed": SEED, "scenarios": ["waning"], "estimators": ALL, "sizes": {150: 2}, "replicates": COHORTS,
        "resamples": 50, "truth_screened": 6_000,
    }  # fmt: skip
    return StudyPlan(**(given | changes))


# --- what is estimated --------------------------------------------------------------------------------------


@cache
def analysed_cohort() -> pd.DataFrame:
    """Return the cohort of the tests of estimates in the form of the study's cohorts."""
    adam = estimated()[0]
    adsl = adam["adsl"].assign(USUBJID=texts(adam["adsl"]["USUBJID"]).astype(object))
    adsl = adsl.set_index("USUBJID", drop=False).sort_index()
    zero = pd.to_datetime(adsl["TRTSDT"])

    def days(column: str) -> np.ndarray:
        elapsed = (pd.to_datetime(adsl[column]) - zero).dt.days.to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isnan(elapsed), np.inf, elapsed)

    frame = adsl.assign(
        exposed_from=conduct(adsl, PLAN.grace_period_days)["exposed_from"] * DAYS_PER_MONTH,
        recurred=days("RECDT"), died=days("DTHDT"), last=days("LSTALVDT"),
    )  # fmt: skip
    frame["exposed_from"] = frame["exposed_from"].round()
    for endpoint in ("RFS", "OS"):
        rows = followed(adam["adtte"], endpoint, frame.index)
        frame[f"{endpoint.lower()}_day"] = rows["time"] * DAYS_PER_MONTH
        frame[f"{endpoint.lower()}_event"] = rows["event"]
    return frame.reset_index(drop=True)


@pytest.mark.parametrize("name", ALL)
def test_an_estimator_of_the_study_is_the_analysis_of_the_paper(name):
    """Same cohort, same numbers; standard errors too, but of a bootstrap, which has other resamples."""
    part, *identifiers = ANALYSES[name]
    ard = (emulated_trial() if part == "target_trial" else estimated()[1][part]).ard
    frame = analysed_cohort()
    if name not in ("naive", "landmark_unadjusted"):  # the study's cohorts have all covariates
        columns = [PLAN.covariates[each].variable for each in PLAN.adjustment_set]
        frame = frame[frame[columns].notna().all(axis=1)].reset_index(drop=True)
    for endpoint in ESTIMATORS[name].endpoints:
        found = METHODS[name](Cohort(frame, PLAN, *np.random.SeedSequence(1).spawn(2), 200), endpoint)
        assert set(found) == set(ESTIMATORS[name].measures)
        for at, measure in enumerate(("rmst_difference", "log_hr")):
            if measure not in found:
                continue
            row = value(ard, f"{part}.{identifiers[at].format(e=endpoint.lower())}")
            printed = np.array([row["value"], row["ci_low"], row["ci_high"]])
            printed = np.log(printed) if measure == "log_hr" else printed
            error = (printed[2] - printed[1]) / (2 * 1.959963984540054)
            assert found[measure][0] == pytest.approx(printed[0], rel=1e-9, abs=1e-12)
            assert found[measure][1] == pytest.approx(error, rel=0.25 if (name, at) in BOOTSTRAPPED else 1e-9)


def test_estimators_have_one_list():
    assert tuple(ESTIMATORS) == get_args(EstimatorName) == tuple(METHODS)
    assert len(cells(ALL)) == 15


def test_small_arms_and_separated_scores_fail_with_a_reason_and_are_kept():
    frame = analysed_cohort().assign(exposed_from=np.inf)
    rows = analyse(frame, PLAN, ALL, seed=np.random.SeedSequence(1), resamples=50)
    assert {reason for *_, reason in rows} == {"SmallGroupError"}
    assert all(np.isnan(estimate) and np.isnan(error) for *_, estimate, error, _ in rows)
    assert len(rows) == 15


# --- seeds and chunks ---------------------------------------------------------------------------------------


@cache
def together() -> pd.DataFrame:
    return simulate(range(COHORTS))


@pytest.mark.parametrize("division", [[[5, 3], [0, 4, 2], [1]], [[k] for k in range(COHORTS)]])
def test_the_merged_result_is_the_same_bytes_however_the_cohorts_are_divided(division, tmp_path):
    """Other jobs, other order of cohorts within and between them: as on any number of nodes."""

    def merged(parts: list[pd.DataFrame], folder: Path) -> tuple[bytes, bytes]:
        paths = [folder / f"{number}.parquet" for number in range(len(parts))]
        for part, path in zip(parts, paths, strict=True):
            write_parquet(part, path)
        table, intervals = performance(paths, {"waning": truth("waning")}, small(), level=0.95)
        write_csv(table, folder / "table.csv")
        write_intervals(intervals, folder / "intervals.parquet")
        return (folder / "table.csv").read_bytes(), (folder / "intervals.parquet").read_bytes()

    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    assert merged([together()], one) == merged([simulate(numbers) for numbers in division], other)


def test_an_estimate_does_not_depend_on_the_other_estimators():
    alone = simulate([2], estimators=["landmark_overlap"])
    among = together().query("replicate == 2 and estimator == 'landmark_overlap'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among)


def test_cohorts_differ_by_number_and_size_and_share_their_patients_across_scenarios():
    assert together().query("estimator == 'naive' and measure == 'log_hr'")["estimate"].nunique() == COHORTS
    null = simulate([0], scenario="null", estimators=["naive"])
    assert null["n"].iloc[0] == together()["n"].iloc[0]
    larger = simulate_estimates(parameters("waning", 151), PLAN, regions(), [0], ["naive"], seed=SEED, resamples=50)
    # one patient more makes another cohort, not the same and one
    assert not np.isclose(larger["estimate"].iloc[0], together().query("estimator == 'naive'")["estimate"].iloc[0])


def test_jobs_have_all_cohorts_once():
    for each, replicates in ((250, 1000), (7, 100), (3, 2)):
        plan = small(sizes={150: each}, replicates=replicates)
        numbers = [n for chunk in range(plan.chunks(150)) for n in range(*plan.cohorts(150, chunk))]
        assert numbers == list(range(replicates))


# --- plans --------------------------------------------------------------------------------------------------


def fits(plan: StudyPlan) -> int:
    return len(plan.scenarios) * len(plan.sizes) * plan.replicates * len(plan.estimators)


def test_the_declared_plans_have_their_sizes():
    default = PLANS["default"]
    assert (len(default.scenarios), len(default.sizes), len(default.estimators), default.replicates) == (4, 3, 8, 1000)
    assert fits(default) == 96_000
    assert fits(PLANS["ten_million"]) >= 10_000_000
    for plan in PLANS.values():
        for scenario in plan.scenarios:
            parameters(scenario)  # is one of the simulation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimators": ["ccw_overlap", "guess"]}, "guess"),
        ({"scenarios": ["waning", "waning"]}, "waning is there twice"),
        ({"sizes": {20: 5}}, "20 patients screened are too few"),
        ({"sizes": {150: 0}}, "at least one cohort"),
        ({"replicates": 1}, "greater than or equal to 2"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes, message):
    content = {"plans": {"mine": {**small().model_dump(mode="json"), **changes}}}
    with pytest.raises(ConfigError, match=message):
        validate(ValidationConfig, content, SHOWN)


# --- truths -------------------------------------------------------------------------------------------------


def true_value(table: pd.DataFrame, estimator: str, measure: str = "log_hr", endpoint: str = "RFS") -> pd.Series:
    own = table[(table["estimator"] == estimator) & (table["measure"] == measure) & (table["endpoint"] == endpoint)]
    assert len(own) == 1
    return own.iloc[0]


def test_each_estimator_is_held_against_its_own_truth():
    table = truth("waning")
    assert list(zip(table["endpoint"], table["estimator"], table["measure"], strict=True)) == cells(ALL)
    primary, everyone, naive, landmark = (
        true_value(table, name, "rmst_difference")["truth"]
        for name in ("ccw_overlap", "ccw_ate", "naive", "landmark_overlap")
    )
    assert primary != everyone == naive
    assert landmark not in (primary, everyone)
    conditional = set(table.loc[table["kind"] == "conditional", "estimator"])
    assert conditional == {"landmark_adjusted", "time_varying"}
    assert not table["no_effect"].any()
    assert truth("null")["no_effect"].all()
    marginal = true_estimands(parameters("waning"), SEED, 6_000).query(
        "basis == 'time_zero' and dating == 'detected' and endpoint == 'RFS' and population == 'overlap' "
        "and strategy == 'contrast' and stat == 'log_hazard_ratio'"
    )
    assert true_value(table, "ccw_overlap")["truth"] == marginal["value"].iloc[0]


def test_without_effect_survival_does_not_differ_and_recurrence_only_by_when_it_is_seen():
    table = truth("null")
    assert (table.loc[table["endpoint"] == "OS", "truth"] == 0).all()
    for name in ("landmark_adjusted", "time_varying"):
        row = true_value(table, name)
        assert abs(row["truth"]) < 0.02 + 3 * row["mc_se"]


def test_the_truth_of_time_varying_exposure_is_the_effect_put_in():
    """A hazard ratio of one half from the first dose on: in a randomised trial the model finds log(1/2)."""
    halved = [{"from_month": 0, "hazard_ratio": 0.5}]
    halving = load_parameters(
        PARAMETERS, size=150, scenario="waning",
        **{
            "scenarios.waning.recurrence_hazard_ratio": halved, "scenarios.waning.death_hazard_ratio": halved,
            # seen almost when it happens, by both arms alike
            "observation.imaging_interval_days": 30, "observation.imaging_interval_on_sorafenib_days": 30,
            "observation.missed_imaging": 0.0, "outcomes.centre_log_hazard_sd": 0.0,
        },
    )  # fmt: skip
    row = true_value(
        true_values(halving, PLAN, regions(), ["time_varying"], seed=SEED, screened=20_000), "time_varying"
    )
    assert row["truth"] == pytest.approx(np.log(0.5), abs=3 * row["mc_se"] + 0.02)
    assert row["mc_se"] < 0.02


def test_a_barred_early_start_comes_later_as_often_as_in_patients_like_her():
    """Whether an early start was planned says nothing about later starts, given the propensity (exchangeability)."""
    people = draw_population(parameters("waning"), 40_000, 3)
    plan = draw_plan(people, parameters("waning"), 3)
    early = plan["planned_start_day"] <= 60
    later = np.isfinite(plan["start_day_control"])
    assert (plan.loc[later, "start_day_control"] > 60).all()
    for _, own in plan.assign(early=early, later=later).groupby(pd.qcut(plan["propensity"], 8), observed=True):
        shares = own.groupby("early")["later"].agg(["mean", "size"])
        spread = np.sqrt((shares["mean"] * (1 - shares["mean"]) / shares["size"]).sum())
        assert abs(shares.loc[True, "mean"] - shares.loc[False, "mean"]) < 4 * spread + 0.01
        days = own[own["later"]].groupby("early")["start_day_control"].median()
        assert days[True] == pytest.approx(days[False], rel=0.25)
