"""The estimators find what is true in the simulator: the quick form of the simulation study, and its arithmetic."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from sorafenib_rfa.config.load import load_study, read_yaml, validate
from sorafenib_rfa.config.models import ValidationConfig
from sorafenib_rfa.simulate import load_parameters, true_estimands
from sorafenib_rfa.simulate.population import draw_plan, draw_population
from sorafenib_rfa.validation.recovery import (
    DESIGNS,
    MEASURES,
    performance,
    replicates_of,
    simulate_replicates,
    true_values,
)

ROOT = Path(__file__).parents[2]
PARAMETERS = ROOT / "config/cohorts/synthetic/simulation.yaml"
DECLARED = validate(ValidationConfig, read_yaml(ROOT / "config/validation.yaml", "v"), "v").recovery
SEED, COHORTS, RESAMPLES = 7, 40, 100
STORED = ROOT / "validation/recovery.csv"


@cache
def study():
    loaded = load_study(ROOT, {"cohort": "synthetic", "seed": SEED, "publication_date": "2024-01-01"})
    regions = {name: site.region for name, site in loaded.cohorts["synthetic"].sites.items()}
    return loaded.plans["synthetic"], regions


@cache
def parameters(scenario: str):
    return load_parameters(PARAMETERS, size=DECLARED.screened, scenario=scenario)


def simulate(scenario: str, replicates, resamples: int = RESAMPLES) -> pd.DataFrame:
    plan, regions = study()
    # matrices this small are slower on several threads; the workflow's jobs have one each
    with threadpool_limits(1):
        return simulate_replicates(parameters(scenario), plan, regions, replicates, seed=SEED, resamples=resamples)


@cache
def quick() -> pd.DataFrame:
    scenarios = ("null", "waning")
    estimates = pd.concat([simulate(scenario, range(COHORTS)) for scenario in scenarios], ignore_index=True)
    truths = {scenario: true_estimands(parameters(scenario), SEED, 30_000) for scenario in scenarios}
    table = performance(estimates, truths, float(study()[0].rmst_horizon_months))
    return table.set_index(["scenario", "endpoint", "design", "measure"])


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["null", "waning"])
@pytest.mark.parametrize(("endpoint", "design"), [("RFS", "ccw_overlap"), ("RFS", "ccw_ate"), ("OS", "ccw_overlap"),
                                                  ("RFS", "landmark_overlap")])  # fmt: skip
@pytest.mark.parametrize("measure", MEASURES)
def test_an_aligned_design_is_unbiased_and_covers(scenario, endpoint, design, measure):
    """Within three Monte Carlo standard errors; coverage within three of the nominal 95%."""
    row = quick().loc[(scenario, endpoint, design, measure)]
    assert row["failed"] == 0
    assert abs(row["bias"]) < 3 * row["bias_mc_se"]
    assert row["coverage"] >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / COHORTS)
    assert abs(row["se_error_percent"]) < 4 * row["se_error_percent_mc_se"]


@pytest.mark.slow
def test_immortal_time_biases_the_naive_comparison():
    """Ever against never credits the drug with time that one had to survive to get it."""
    row = quick().loc[("waning", "RFS", "naive", "rmst_difference")]
    assert row["bias"] > 4 * row["bias_mc_se"]
    primary = quick().loc[("waning", "RFS", "ccw_overlap", "rmst_difference")]
    assert row["bias"] > 3 * abs(primary["bias"])


def test_a_cohort_does_not_depend_on_its_chunk():
    alone = simulate("waning", [3], 20)
    among = simulate("waning", range(2, 5), 20)
    pd.testing.assert_frame_equal(alone, among[among["replicate"] == 3].reset_index(drop=True))
    assert among.groupby("replicate")["estimate"].first().nunique() == 3


def test_chunks_are_all_cohorts_once():
    for chunks, replicates in ((4, 600), (7, 100), (3, 2)):
        numbers = [number for chunk in range(chunks) for number in replicates_of(chunk, chunks, replicates)]
        assert numbers == list(range(replicates))


def made(estimates, errors, truth=1.0) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    frame = pd.DataFrame({"estimate": estimates, "std_err": errors})
    frame["ci_low"], frame["ci_high"] = (
        frame["estimate"] - 2 * frame["std_err"],
        frame["estimate"] + 2 * frame["std_err"],
    )
    frame = frame.assign(
        scenario="made", endpoint="RFS", design="ccw_overlap", measure="log_hr", n=100, failed=frame["estimate"].isna(),
        replicate=range(len(frame)),
    )  # fmt: skip
    true = pd.DataFrame(
        {
            "basis": "time_zero", "dating": "detected", "endpoint": "RFS", "population": "overlap",
            "strategy": "contrast", "stat": "log_hazard_ratio", "month": [np.nan], "value": truth, "mc_se": 0.0,
        }
    )  # fmt: skip
    return frame, {"made": true}


def test_performance_by_hand():
    """Estimates 0, 1, 2 and 5 about a truth of 1, standard errors 1; one failed cohort is counted, not averaged."""
    frame, truths = made([0.0, 1, 2, 5, np.nan], [1.0, 1, 1, 1, np.nan])
    row = performance(frame, truths, 36.0).iloc[0]
    assert (row["replicates"], row["failed"]) == (4, 1)
    assert row["bias"] == pytest.approx(1.0)
    spread = np.sqrt((4 + 1 + 0 + 9) / 3)
    assert row["empirical_se"] == pytest.approx(spread)
    assert row["bias_mc_se"] == pytest.approx(spread / 2)
    assert row["empirical_se_mc_se"] == pytest.approx(spread / np.sqrt(6))
    assert row["model_se"] == pytest.approx(1.0)
    assert row["se_error_percent"] == pytest.approx(100 * (1 / spread - 1))
    assert row["coverage"] == 0.75
    assert row["coverage_mc_se"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert row["rejection"] == 0.25  # only 5 - 2 excludes 0; 2 - 2 does not


def test_each_design_is_held_against_its_own_truth():
    truth = true_estimands(parameters("waning"), SEED, 4_000)
    values = {design: true_values(truth, "RFS", design, "rmst_difference", 36.0)[0] for design in DESIGNS}
    assert values["ccw_overlap"] != values["ccw_ate"] == values["naive"]
    assert values["landmark_overlap"] not in (values["ccw_overlap"], values["ccw_ate"])
    with pytest.raises(ValueError, match="0 true values"):
        true_values(truth, "RFS", "ccw_overlap", "rmst_difference", 37.0)


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


def test_the_stored_result_is_of_the_declared_study():
    record = json.loads(STORED.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["recovery"] == DECLARED.model_dump(mode="json")
    assert record["sha256"] == hashlib.sha256(STORED.read_bytes()).hexdigest()
    table = pd.read_csv(STORED, keep_default_na=False)  # a scenario is called null
    assert set(table["scenario"]) == set(DECLARED.scenarios)
    assert (table["replicates"] + table["failed"] == DECLARED.replicates).all()
    primary = table[table["design"] == "ccw_overlap"]
    assert len(primary) == 2 * len(MEASURES) * len(DECLARED.scenarios)
    assert (primary["bias"].abs() < 3 * primary["bias_mc_se"]).all()
    assert (primary["coverage"] > 0.95 - 3 * np.sqrt(0.95 * 0.05 / DECLARED.replicates)).all()
    naive = table[(table["design"] == "naive") & (table["scenario"] == "waning")].set_index("measure")
    assert naive.loc["rmst_difference", "bias"] > 10 * naive.loc["rmst_difference", "bias_mc_se"]
