"""Arms known by printed survival percentages: closed forms, R's values, coverage, and what must not matter.

Closed integrals (restricted means, variances, expected events) are compared with R's ``integrate`` in tests/reference
(family meta_analysis).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.stats.errors import BeyondFollowUpError, EmptyGroupError, EstimationError
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.survival_percentages import TwoArmReconstruction, interval_hazards, reconstruct

ROOT = Path(__file__).parents[2]
R_VALUES = ROOT / "tests" / "reference" / "values" / "meta_analysis.json"
PRINTED = (("recurrent_milan", "OS"), ("recurrent_milan", "TFS"), ("wang_2024", "RFS"))


@lru_cache
def published(study: str, endpoint: str) -> tuple[list[float], list[float], list[float]]:
    """Months, and percentages of the treated and the controls, of data/evidence."""
    d = pd.read_csv(ROOT / "data" / "evidence" / "survival_percentages.csv").sort_values("month")
    d = d[(d["study_id"] == study) & (d["endpoint"] == endpoint)]
    treated, control = (d[d["arm"] == arm] for arm in ("treated", "control"))
    assert treated["month"].tolist() == control["month"].tolist()
    return treated["month"].tolist(), treated["percent"].tolist(), control["percent"].tolist()


def recurrent_milan(endpoint: str, **options: object) -> TwoArmReconstruction:
    months, treated, control = published("recurrent_milan", endpoint)
    arguments: dict = {"follow_up_median_treated": 62.0, "follow_up_median_control": 60.9} | options
    return reconstruct(months, treated, control, 174, 174, **arguments)


# --- the published studies -------------------------------------------------------------------------


def test_effect_on_recurrence_is_early_and_wanes() -> None:
    """Interval hazard ratios by hand: ratio of the falls of log survival."""
    r = recurrent_milan("TFS")
    by_hand = [
        np.log(0.908) / np.log(0.678),
        np.log(0.490 / 0.908) / np.log(0.280 / 0.678),
        np.log(0.204 / 0.490) / np.log(0.145 / 0.280),
    ]
    np.testing.assert_allclose(r.intervals["hr"], by_hand, rtol=1e-12)
    assert r.intervals["hr"].is_monotonic_increasing
    assert r.intervals["ci_high"].iloc[0] < 1 < r.intervals["hr"].iloc[2]
    assert r.heterogeneity is not None and r.heterogeneity.df == 2 and r.heterogeneity.p < 0.001
    assert r.trend is not None and r.trend.ci_low > 1
    assert r.cumulative_hr is not None
    assert r.cumulative_hr.estimate == pytest.approx(np.log(0.204) / np.log(0.145), rel=1e-12)
    hazard = -np.log(0.490 / 0.908) / 24
    assert r.intervals["hazard_treated"].iloc[1] == pytest.approx(hazard, rel=1e-12)


def test_waning_of_survival_is_not_shown_where_it_is_not_seen() -> None:
    """Ratios of overall survival rise too, but within chance."""
    r = recurrent_milan("OS")
    assert r.intervals["hr"].is_monotonic_increasing
    assert r.heterogeneity is not None and r.heterogeneity.p > 0.05
    assert r.trend is not None and r.trend.ci_low < 1 < r.trend.ci_high


def test_without_censoring_the_variance_is_the_binomial_one() -> None:
    """Var log S = (1 - S) / (n S): the delta method of a proportion; intervals are differences of two such."""
    arm = interval_hazards([12, 36, 60], [90.8, 49.0, 20.4], 174, censoring="none", decimals=12)
    s = np.array([0.908, 0.490, 0.204])
    np.testing.assert_allclose(np.diag(arm.covariance), (1 - s) / (174 * s), rtol=1e-12)
    assert arm.covariance[0, 2] == pytest.approx(arm.covariance[0, 0], rel=1e-12)
    np.testing.assert_allclose(arm.expected_events, 174 * np.array([0.092, 0.418, 0.286]), rtol=1e-12)
    np.testing.assert_allclose(arm.at_risk, 174 * np.array([1, 0.908, 0.490]), rtol=1e-12)


def test_rounding_of_the_print_adds_the_variance_of_a_uniform_error() -> None:
    exact = interval_hazards([12], [90], 174, censoring="none", decimals=12)
    whole = interval_hazards([12], [90], 174, censoring="none", decimals=0)
    assert (whole.covariance - exact.covariance)[0, 0] == pytest.approx((0.01**2 / 12) / 0.9**2, rel=1e-9)


def test_half_are_followed_beyond_the_median_follow_up() -> None:
    arm = interval_hazards([60, 62, 70], [54.7, 54.0, 50.0], 174, follow_up_median=62)
    assert arm.at_risk[2] == pytest.approx(174 * 0.54 / 2, rel=1e-12)
    assert not arm.follow_up_assumed
    assumed = interval_hazards([12, 24, 36], [72.7, 19.5, 11.7], 77)
    assert assumed.follow_up_assumed
    assert assumed.follow_up_median == 36
    unneeded = interval_hazards([12, 24, 36], [72.7, 19.5, 11.7], 77, censoring="none")
    assert not unneeded.follow_up_assumed
    assert np.isnan(unneeded.follow_up_median)


# --- R ---------------------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize(("study", "endpoint"), PRINTED)
def test_many_patients_give_r_the_same_restricted_means_and_cox_estimate(study: str, endpoint: str) -> None:
    """20000 patients an arm at the quantiles of the curves, none censored before its end: survfit and coxph of R."""
    values = json.loads(R_VALUES.read_text(encoding="utf-8"))["values"]
    months, treated, control = published(study, endpoint)
    r = reconstruct(months, treated, control, 20_000, 20_000, censoring="none", decimals=12)
    assert r.average_hr is not None
    [coefficient] = np.atleast_1d(values[f"printed.{study}.{endpoint}.cox_patients"]["value"])
    assert np.log(r.average_hr.estimate) == pytest.approx(coefficient, abs=2e-5)
    for name, arm in (("treated", r.treated), ("control", r.control)):
        half, half_error, full, full_error = values[f"printed.{study}.{endpoint}.{name}.rmst_patients"]["value"]
        assert arm.restricted_mean(months[-1] / 2)[0] == pytest.approx(half, rel=1e-8)
        mean, std_err = arm.restricted_mean(months[-1])
        assert mean == pytest.approx(full, rel=1e-8)
        # the curve is known at the printed times only, between them its shape is taken for granted: not Greenwood's sum
        assert std_err == pytest.approx(full_error, rel=0.05)
        assert arm.restricted_mean(months[-1] / 2)[1] == pytest.approx(half_error, rel=0.12)


def test_restricted_mean_of_one_exponential_interval() -> None:
    """(1 - exp(-h t)) / h, and its standard error by the derivative in h."""
    arm = interval_hazards([24], [40], 100, censoring="none", decimals=12)
    h = -np.log(0.4) / 24
    mean, std_err = arm.restricted_mean(24)
    assert mean == pytest.approx(0.6 / h, rel=1e-12)
    slope = 24 * 0.4 / h - 0.6 / h**2
    assert std_err == pytest.approx(abs(slope) * np.sqrt(0.6 / 40) / 24, rel=1e-12)


def test_average_hazard_ratio_does_not_depend_on_censoring_when_hazards_are_proportional() -> None:
    months, control = [12, 36, 60], np.array([67.8, 28.0, 14.5])
    treated = 100 * (control / 100) ** 0.6
    for follow_up in (5.0, 60.0):
        for n in (20, 500):
            r = reconstruct(
                months,
                treated,
                control,
                n,
                174,
                follow_up_median_treated=follow_up,
                follow_up_median_control=30,
                decimals=15,
            )
            assert r.average_hr is not None and r.cumulative_hr is not None
            assert r.average_hr.estimate == pytest.approx(0.6, rel=1e-9)
            assert r.cumulative_hr.estimate == pytest.approx(0.6, rel=1e-9)
            assert r.heterogeneity is not None and r.heterogeneity.p == pytest.approx(1, abs=1e-6)


def test_standard_error_of_the_average_is_that_of_numerical_derivatives() -> None:
    """Delta method by finite differences in the percentages, against the gradients of the implicit function."""
    r = recurrent_milan("TFS", decimals=12)
    months, treated, control = published("recurrent_milan", "TFS")
    variance = 0.0
    for which, arm in enumerate((r.treated, r.control)):
        slopes = []
        for i in range(3):
            found = []
            for step in (-1e-6, 1e-6):
                percents = [np.array(treated), np.array(control)]
                percents[which][i] *= np.exp(-step)
                moved = reconstruct(
                    months,
                    *percents,
                    174,
                    174,
                    follow_up_median_treated=62.0,
                    follow_up_median_control=60.9,
                    decimals=14,
                )
                assert moved.average_hr is not None
                found.append(np.log(moved.average_hr.estimate))
            slopes.append((found[1] - found[0]) / 2e-6)
        variance += np.array(slopes) @ arm.covariance @ np.array(slopes)
    assert r.average_hr is not None
    assert r.average_hr.std_err == pytest.approx(np.sqrt(variance), rel=1e-5)


# --- coverage --------------------------------------------------------------------------------------


def draw_times(rng: np.random.Generator, months: list[float], percents: list[float], n: int) -> np.ndarray:
    """Event times with a constant hazard in each interval; the last hazard goes on."""
    hazard = np.concatenate([[0.0], -np.log(np.array(percents) / 100)])
    knots = np.concatenate([[0.0], months])
    rate = (hazard[-1] - hazard[-2]) / (knots[-1] - knots[-2])
    return np.interp(
        rng.exponential(size=n), np.append(hazard, hazard[-1] + 1e4 * rate), np.append(knots, knots[-1] + 1e4)
    )


REPETITIONS = 300
THREE_ERRORS = 3 * np.sqrt(0.95 * 0.05 / REPETITIONS)


def simulate(percents_treated: list[float], percents_control: list[float], censoring: str, seed: int) -> pd.DataFrame:
    """Trials of 174 a arm, printed as percentages with one decimal; whether the intervals hold the truth."""
    rng = np.random.default_rng(seed)
    months, n, follow_up = [12.0, 36.0, 60.0], 174, 61.0
    options: dict = {"follow_up_median_treated": follow_up, "follow_up_median_control": follow_up}
    truth = reconstruct(months, percents_treated, percents_control, n, n, **options)
    assert truth.average_hr is not None and truth.cumulative_hr is not None
    rows = []
    for _ in range(REPETITIONS):
        printed = []
        for percents in (percents_treated, percents_control):
            event = draw_times(rng, months, percents, n)
            end = (
                rng.exponential(follow_up / np.log(2), n)
                if censoring == "constant"
                else rng.uniform(0, 2 * follow_up, n)
            )
            curve = kaplan_meier(np.minimum(event, end), event <= end)
            printed.append(np.round(100 * curve.at(months).survival, 1))
        r = reconstruct(months, *printed, n, n, **options)
        least = reconstruct(months, *printed, n, n, censoring="none")
        assert r.average_hr is not None and r.cumulative_hr is not None and r.heterogeneity is not None
        assert least.cumulative_hr is not None
        mean, horizon = r.rmst(60), truth.rmst(60).difference
        row = {
            f"interval {i}": r.intervals["ci_low"][i] < truth.intervals["hr"][i] < r.intervals["ci_high"][i]
            for i in range(3)
        }
        row |= {
            "average": r.average_hr.ci_low < truth.average_hr.estimate < r.average_hr.ci_high,
            "cumulative": r.cumulative_hr.ci_low < truth.cumulative_hr.estimate < r.cumulative_hr.ci_high,
            "rmst": mean.ci_low < horizon < mean.ci_high,
            "least variance": least.cumulative_hr.ci_low < truth.cumulative_hr.estimate < least.cumulative_hr.ci_high,
            "heterogeneity": r.heterogeneity.p < 0.05,
        }
        rows.append(row)
    return pd.DataFrame(rows)


NOMINAL = ["interval 0", "interval 1", "interval 2", "average", "cumulative", "rmst"]


@pytest.mark.parametrize("censoring", ["constant", "uniform"])
def test_intervals_cover_what_they_promise_when_follow_up_is_as_stated(censoring: str) -> None:
    """Also where the form of censoring is another with the same median. Without censoring they fall short, as said."""
    found = simulate([90.8, 49.0, 20.4], [67.8, 28.0, 14.5], censoring, seed=21)
    assert (found[NOMINAL].mean() - 0.95).abs().max() < THREE_ERRORS, found.mean()
    assert found["least variance"].mean() < 0.95 - THREE_ERRORS
    assert found["heterogeneity"].mean() > 0.9


def test_constant_hazard_ratios_are_seldom_called_unequal() -> None:
    found = simulate([79.2, 46.6, 31.4], [67.8, 28.0, 14.5], "constant", seed=22)
    assert (found[NOMINAL].mean() - 0.95).abs().max() < THREE_ERRORS, found.mean()
    assert abs(found["heterogeneity"].mean() - 0.05) < THREE_ERRORS


# --- what must not matter, and what must -----------------------------------------------------------


@st.composite
def two_arms(draw: st.DrawFn) -> dict:
    size = draw(st.integers(1, 5))
    widths = draw(st.lists(st.integers(1, 24), min_size=size, max_size=size))
    percents = [
        sorted(draw(st.lists(st.integers(50, 999), min_size=size, max_size=size, unique=True)), reverse=True)
        for _ in range(2)
    ]
    return {
        "months": np.cumsum(widths).astype(float),
        "percents_treated": np.array(percents[0]) / 10,
        "percents_control": np.array(percents[1]) / 10,
        "n_treated": draw(st.integers(20, 500)),
        "n_control": draw(st.integers(20, 500)),
        "follow_up_median_treated": draw(st.floats(12, 120)),
        "follow_up_median_control": draw(st.floats(12, 120)),
    }


RATIOS = ["hr", "ci_low", "ci_high", "se_log"]


@settings(max_examples=80, deadline=None)
@given(two_arms())
def test_arms_changed_over_turn_every_ratio_upside_down(arms: dict) -> None:
    r = reconstruct(**arms)
    swapped = reconstruct(
        **arms
        | {
            f"{name}_{arm}": arms[f"{name}_{other}"]
            for name in ("percents", "n", "follow_up_median")
            for arm, other in (("treated", "control"), ("control", "treated"))
        }
    )
    np.testing.assert_allclose(swapped.intervals["hr"], 1 / r.intervals["hr"], rtol=1e-9)
    np.testing.assert_allclose(swapped.intervals["ci_low"], 1 / r.intervals["ci_high"], rtol=1e-9)
    for name in ("average_hr", "cumulative_hr"):
        mine, theirs = getattr(r, name), getattr(swapped, name)
        assert theirs.estimate == pytest.approx(1 / mine.estimate, rel=1e-8)
        assert theirs.ci_high == pytest.approx(1 / mine.ci_low, rel=1e-7)
        assert theirs.p == pytest.approx(mine.p, rel=1e-5, abs=1e-12)
    last = arms["months"][-1]
    assert swapped.rmst(last).difference == pytest.approx(-r.rmst(last).difference, abs=1e-9)
    assert swapped.rmst(last).ci_high == pytest.approx(-r.rmst(last).ci_low, abs=1e-9)
    assert swapped.rmst(last).highest == pytest.approx(-r.rmst(last).lowest, abs=1e-9)
    if r.heterogeneity is not None:
        assert swapped.heterogeneity is not None
        assert swapped.heterogeneity.chi2 == pytest.approx(r.heterogeneity.chi2, rel=1e-7, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(two_arms(), st.floats(0.1, 40))
def test_unit_of_time_does_not_matter(arms: dict, scale: float) -> None:
    r = reconstruct(**arms)
    times = ("months", "follow_up_median_treated", "follow_up_median_control")
    scaled = reconstruct(**arms | {name: arms[name] * scale for name in times})
    pd.testing.assert_frame_equal(scaled.intervals[RATIOS], r.intervals[RATIOS], rtol=1e-9)
    np.testing.assert_allclose(scaled.intervals["hazard_treated"] * scale, r.intervals["hazard_treated"], rtol=1e-9)
    assert r.average_hr is not None and scaled.average_hr is not None
    assert scaled.average_hr.estimate == pytest.approx(r.average_hr.estimate, rel=1e-8)
    assert scaled.average_hr.std_err == pytest.approx(r.average_hr.std_err, rel=1e-7)
    last = arms["months"][-1]
    assert scaled.rmst(last * scale).difference == pytest.approx(scale * r.rmst(last).difference, rel=1e-8, abs=1e-9)
    if r.trend is not None and r.trend.ratio_per_year < 1e100:
        assert scaled.trend is not None
        assert np.log(scaled.trend.ratio_per_year) * scale == pytest.approx(
            np.log(r.trend.ratio_per_year), rel=1e-6, abs=1e-8
        )


@settings(max_examples=80, deadline=None)
@given(two_arms())
def test_more_patients_fewer_censored_and_finer_print_make_narrower_intervals(arms: dict) -> None:
    fine = reconstruct(**arms, decimals=12)
    fourfold = reconstruct(**arms | {f"n_{arm}": 4 * arms[f"n_{arm}"] for arm in ("treated", "control")}, decimals=12)
    np.testing.assert_allclose(fourfold.intervals["se_log"], fine.intervals["se_log"] / 2, rtol=1e-9)
    np.testing.assert_allclose(fourfold.intervals["hr"], fine.intervals["hr"], rtol=1e-12)
    last = arms["months"][-1]
    assert fourfold.rmst(last).std_err == pytest.approx(fine.rmst(last).std_err / 2, rel=1e-9)
    coarse = reconstruct(**arms, decimals=1)
    assert (coarse.intervals["se_log"] > fine.intervals["se_log"]).all()
    complete = reconstruct(**arms, decimals=12, censoring="none")
    assert (complete.intervals["se_log"] < fine.intervals["se_log"]).all()
    assert complete.rmst(last).std_err < fine.rmst(last).std_err
    assert complete.rmst(last).difference == fine.rmst(last).difference


@settings(max_examples=80, deadline=None)
@given(two_arms())
def test_averages_lie_among_the_intervals_and_curves_go_through_the_print(arms: dict) -> None:
    r = reconstruct(**arms)
    low, high = r.intervals["hr"].min() * (1 - 1e-9), r.intervals["hr"].max() * (1 + 1e-9)
    assert r.average_hr is not None and r.cumulative_hr is not None
    assert low <= r.average_hr.estimate <= high
    assert low <= r.cumulative_hr.estimate <= high
    curve = r.survival(np.concatenate([[0.0], arms["months"]]))
    np.testing.assert_allclose(100 * curve["treated"].iloc[1:], arms["percents_treated"], rtol=1e-12)
    np.testing.assert_allclose(100 * curve["control"].iloc[1:], arms["percents_control"], rtol=1e-12)
    assert curve["treated"].iloc[0] == 1
    assert np.isnan(curve["treated_low"].iloc[0])
    inside = curve.iloc[1:]
    assert (inside["treated_low"] < inside["treated"]).all()
    assert (inside["treated"] < inside["treated_high"]).all()
    mean = r.rmst(arms["months"][-1])
    assert mean.lowest <= mean.difference <= mean.highest
    assert mean.difference == pytest.approx(mean.treated - mean.control, abs=1e-12)


def test_restricted_mean_bounds_by_hand() -> None:
    r = reconstruct([12, 24], [80.0, 60.0], [50.0, 40.0], 100, 100)
    # treated 12 * 0.8 + 6 * 0.6 to 12 * 1 + 6 * 0.8; control 12 * 0.5 + 6 * 0.4 to 12 * 1 + 6 * 0.5
    mean = r.rmst(18)
    assert mean.lowest == pytest.approx(13.2 - 15.0)
    assert mean.highest == pytest.approx(16.8 - 8.4)


# --- no events, and what is refused ----------------------------------------------------------------


def test_an_interval_without_events_has_no_ratio_and_says_so() -> None:
    r = reconstruct([12, 24, 36], [100.0, 80.0, 80.0], [90.0, 70.0, 70.0], 50, 50)
    assert r.intervals["note"].tolist() == ["no events as printed (treated)", "", "no events as printed (both arms)"]
    assert r.intervals[RATIOS].isna().all(axis=1).tolist() == [True, False, True]
    assert r.intervals["hazard_treated"].tolist() == [0.0, pytest.approx(-np.log(0.8) / 12), 0.0]
    assert r.heterogeneity is None
    assert r.trend is None
    assert r.cumulative_hr is not None
    assert r.cumulative_hr.estimate == pytest.approx(np.log(0.8) / np.log(0.7), rel=1e-12)
    assert r.average_hr is not None
    assert 0 < r.average_hr.estimate < 1


def test_an_arm_without_any_event_has_survival_but_no_ratio() -> None:
    r = reconstruct([12, 24], [100, 100], [90, 80], 50, 50, decimals=0)
    assert r.average_hr is None
    assert r.cumulative_hr is None
    assert r.rmst(24).treated == pytest.approx(24, rel=1e-12)
    assert r.rmst(24).treated_std_err > 0, "100 percent may be 99.6"
    curve = r.survival([24])
    assert curve["treated"].item() == 1
    assert np.isnan(curve["treated_high"].item())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"percents_treated": [80.0, 0.0]}, r"treated arm: month 24: 0 percent.*without limit"),
        (
            {"percents_control": [70.0, 75.0]},
            "control arm: survival rises from 70 percent at month 12 to 75 at month 24",
        ),
        ({"percents_treated": [101.0, 80.0]}, "month 12: 101 is not a percentage"),
        ({"percents_treated": [80.0, -1.0]}, "month 24: -1 is not a percentage"),
        ({"percents_treated": [0.8, 0.6]}, "proportions"),
        ({"percents_treated": [80.25, 60.0]}, "month 12: 80.25 has more than the 1 decimals"),
        ({"percents_treated": [80.0]}, "1 percentages for 2 times"),
        ({"percents_treated": [80.0, np.nan]}, "missing or infinite"),
        ({"percents_treated": ["many", "few"]}, "must be numbers"),
        ({"months": []}, "no percentages"),
        ({"months": [24, 12]}, "ascend and be above zero, found 24, 12"),
        ({"months": [0, 12]}, "ascend and be above zero, found 0, 12"),
        ({"n_treated": 20.5}, "treated arm: the number of patients must be a whole number"),
        ({"n_control": np.nan}, "control arm: the number of patients must be a whole number"),
        ({"follow_up_median_control": 0.0}, "control arm: the median follow-up must be above zero"),
    ],
)
def test_what_cannot_be_is_refused_and_said(change: dict, message: str) -> None:
    good: dict = {
        "months": [12, 24],
        "percents_treated": [80.0, 60.0],
        "percents_control": [70.0, 50.0],
        "n_treated": 50,
        "n_control": 50,
    }
    reconstruct(**good)
    with pytest.raises(EstimationError, match=message):
        reconstruct(**good | change)


def test_an_empty_arm_and_unknown_options_are_refused() -> None:
    with pytest.raises(EmptyGroupError, match="control arm: the arm has no patients"):
        reconstruct([12], [80.0], [70.0], 50, 0)
    with pytest.raises(ValueError, match="censoring must be"):
        reconstruct([12], [80.0], [70.0], 50, 50, censoring="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="decimals must be"):
        reconstruct([12], [80.0], [70.0], 50, 50, decimals=-1)


def test_nothing_is_said_beyond_the_last_percentage() -> None:
    r = recurrent_milan("OS")
    with pytest.raises(BeyondFollowUpError, match="restricted mean to 61 months"):
        r.rmst(61)
    with pytest.raises(BeyondFollowUpError, match="survival at 72 months"):
        r.survival([12, 72])
    with pytest.raises(EstimationError, match="below zero"):
        r.survival([-1])
    with pytest.raises(ValueError, match="above zero"):
        r.rmst(0)
