"""Patients reconstructed from curves that real patients made: colon and lung cancer trials, the resected cohort.

The truth is known: hazard ratio, medians and events of the patients whose Kaplan-Meier curves are digitised here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.datasets import load_lung

from sorafenib_rfa.public_data import load_colon
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.kaplan_meier import KaplanMeierCurve, kaplan_meier
from sorafenib_rfa.stats.published_curves import reconstruct_patients

DAYS_PER_MONTH = 365.25 / 12
STEP = 0.5
"""Months between digitised points."""
CLICK_NOISE = 0.002

COMPARISONS = (
    "resection: survival",
    "resection: recurrence-free",
    "colon: recurrence, Lev+5FU",
    "colon: recurrence, Lev",
    "colon: death, Lev+5FU",
    "colon: death, Lev",
)


class TwoArms(NamedTuple):
    months: np.ndarray
    event: np.ndarray
    treated: np.ndarray


@lru_cache
def known(comparison: str) -> TwoArms:
    """Real patients of two groups."""
    data, which = comparison.split(": ")
    if data == "resection":
        file = Path(__file__).parents[2] / "data" / "public" / "hcc_resection" / "hcc_resection.csv"
        d = pd.read_csv(file)
        time, event = ("OS", "Death") if which == "survival" else ("RFS", "Recurrence")
        high = d["CXCL17P"] > d["CXCL17P"].median()
        return TwoArms(d[time].to_numpy(dtype=float), d[event].to_numpy(), high.to_numpy())
    if data == "lung":
        d = load_lung()  # the file of R's survival::lung, status 0 and 1
        return TwoArms(
            d["time"].to_numpy(dtype=float) / DAYS_PER_MONTH, d["status"].to_numpy(), d["sex"].eq(2).to_numpy()
        )
    event, arm = which.split(", ")
    d = pd.DataFrame(load_colon())
    d = d[(d["etype"] == {"recurrence": 1, "death": 2}[event]) & d["rx"].isin(["Obs", arm])]
    return TwoArms(
        d["time"].to_numpy(dtype=float) / DAYS_PER_MONTH, d["status"].to_numpy(), (d["rx"] == arm).to_numpy()
    )


def log_hazard_ratio(months: np.ndarray, event: np.ndarray, treated: np.ndarray) -> float:
    return float(cox_fit(np.asarray(treated, dtype=float)[:, None], months, event).coef[0])


class Digitised(NamedTuple):
    months: np.ndarray
    survival: np.ndarray
    risk_months: np.ndarray
    at_risk: np.ndarray


def digitise(curve: KaplanMeierCurve, *, risk_every: float, step: float = STEP, noise: np.ndarray | None = None):
    """Points of a curve on a grid, read to three decimals, and the numbers at risk printed below it."""
    end = np.floor(curve.time[-1] / step) * step
    grid = np.arange(0, end + step / 2, step)
    error = 0.0 if noise is None else noise[: grid.size]
    counted = np.arange(0, end, risk_every)
    return Digitised(grid, np.round(curve.at(grid).survival + error, 3), counted, curve.at_risk(counted))


class Recovered(NamedTuple):
    log_hr_error: float
    known: tuple[KaplanMeierCurve, KaplanMeierCurve]
    found: tuple[KaplanMeierCurve, KaplanMeierCurve]


def recover(
    comparison: str, risk_every: float, *, step: float = STEP, seed: int | None = None, total_events: bool = False
) -> Recovered:
    """Digitise both arms' curves, reconstruct the patients, and fit both."""
    arms = known(comparison)
    rng = np.random.default_rng(seed)
    true, found, frames = [], [], []
    for treated in (True, False):
        own = arms.treated == treated
        curve = kaplan_meier(arms.months[own], arms.event[own])
        noise = None if seed is None else rng.normal(0, CLICK_NOISE, 1000)
        d = digitise(curve, risk_every=risk_every, step=step, noise=noise)
        frame = reconstruct_patients(
            d.months,
            d.survival,
            risk_months=d.risk_months,
            at_risk=d.at_risk,
            total_events=curve.n_events if total_events else None,
        )
        assert list(frame.columns) == ["time", "event"]
        assert len(frame) == own.sum()
        true.append(curve)
        found.append(kaplan_meier(frame["time"], frame["event"]))
        frames.append(frame.assign(treated=treated))
    both = pd.concat(frames)
    error = log_hazard_ratio(both["time"], both["event"], both["treated"]) - log_hazard_ratio(*arms)
    return Recovered(error, (true[0], true[1]), (found[0], found[1]))


@pytest.mark.parametrize("risk_every", [6, 12])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_hazard_ratio_medians_and_events_come_back(comparison: str, risk_every: float) -> None:
    r = recover(comparison, risk_every)
    assert abs(np.expm1(r.log_hr_error)) < 0.02
    for true, found in zip(r.known, r.found, strict=True):
        assert found.n == true.n
        assert abs(found.n_events - true.n_events) <= 3
        expected, median = true.median().estimate, found.median().estimate
        assert np.isnan(expected) == np.isnan(median)
        if not np.isnan(expected):
            assert abs(median - expected) <= STEP


@pytest.mark.parametrize("risk_every", [6, 12])
@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clicks_that_are_off_do_little_harm(comparison: str, risk_every: float, seed: int) -> None:
    """The hazard ratio stays within 2 percent. A median is within one grid step where the curve tells it.

    In the colon trial the curve of recurrence of those observed stays within 0.006 of one half for more than three
    months: which of them is the median, clicks with a standard deviation of 0.002 cannot say. What can be asked is that
    the real curve, a grid step on either side of the median found, is no further from one half than three of these.
    """
    r = recover(comparison, risk_every, seed=seed)
    assert abs(np.expm1(r.log_hr_error)) < 0.02
    for true, found in zip(r.known, r.found, strict=True):
        assert abs(found.n_events - true.n_events) <= 4
        median = found.median().estimate
        if np.isnan(median):
            assert np.isnan(true.median().estimate)
            continue
        around = true.at([median - STEP, median + STEP]).survival
        assert around[0] > 0.5 - 3 * CLICK_NOISE
        assert around[1] < 0.5 + 3 * CLICK_NOISE


def test_the_lung_trial_is_that_of_r() -> None:
    """survival::lung in R 4.2.2: 112 and 53 deaths of 138 and 90, coxph 0.5880028."""
    lung = known("lung: death by sex")
    assert [int(lung.event[lung.treated == g].sum()) for g in (False, True)] == [112, 53]
    assert np.exp(log_hazard_ratio(*lung)) == pytest.approx(0.5880028, rel=1e-6)


@pytest.mark.parametrize("total_events", [False, True])
@pytest.mark.parametrize("risk_every", [6, 12])
@pytest.mark.parametrize("step", [0.5, 1, 3])
@pytest.mark.parametrize("comparison", ["lung: death by sex", *(name for name in COMPARISONS if "colon" in name)])
def test_points_on_the_printed_times_lose_no_events(
    comparison: str, step: float, risk_every: float, total_events: bool
) -> None:
    """Events since the last point have happened when those at risk are counted, however coarse the points.

    Hazard ratios within 2 percent; within 3 where points are three months apart, numbers at risk once a year and the
    events stated have to be found where the curve of 90 patients ends.
    """
    r = recover(comparison, risk_every, step=step, total_events=total_events)
    hard = comparison.startswith("lung") and step == 3 and risk_every == 12
    assert abs(np.expm1(r.log_hr_error)) < (0.03 if hard and total_events else 0.02)
    for true, found in zip(r.known, r.found, strict=True):
        assert found.n == true.n
        assert abs(found.n_events - true.n_events) <= (4 if hard else 3)


def test_events_stated_decide_between_readings_that_both_fit_the_numbers_at_risk() -> None:
    """Survival 0.8 and 0.6 at months 6 and 12, when 50 of 100 are at risk. By hand:

    Events at 12 before the count: 15 are censored, 7 of them before month 6; a fifth of 93 is 19; of the 66 left at 12,
    1 - 0.6 / (74 / 93) is 16. After it: 33 are censored, 16 before month 6; a fifth of 84 is 17, of 50 a quarter is 12.
    """
    clicks = [6, 12], [0.8, 0.6]
    table = {"risk_months": [0, 12], "at_risk": [100, 50]}

    def deaths(frame: pd.DataFrame) -> list[int]:
        return [int(((frame["time"] == month) & (frame["event"] == 1)).sum()) for month in (6, 12)]

    unstated = reconstruct_patients(*clicks, **table)
    assert deaths(unstated) == [19, 16]
    pd.testing.assert_frame_equal(unstated, reconstruct_patients(*clicks, **table, total_events=35))
    stated = reconstruct_patients(*clicks, **table, total_events=29)
    assert deaths(stated) == [17, 12]
    assert (stated["time"] == 12).sum() == 50, "the events at month 12 are among the 50"


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_whole_curve_and_the_numbers_at_risk_come_back(comparison: str) -> None:
    r = recover(comparison, 6)
    for true, found in zip(r.known, r.found, strict=True):
        end = np.floor(true.time[-1] / 6) * 6
        counted = np.arange(0, end, 6)
        # met with or without the events of the point at that month, which may have happened before it
        assert (found.at_risk(counted) >= true.at_risk(counted) - 1).all()
        assert (found.at_risk(counted + 0.01) <= true.at_risk(counted) + 1).all()
        grid = np.arange(0, end, STEP)
        half_a_patient = 0.5 * true.at(grid).survival / np.maximum(true.at_risk(grid), 1)
        missed = np.abs(found.at(grid).survival - true.at(grid).survival)
        assert (missed <= half_a_patient + 0.004).all()


def test_stated_events_are_met_where_the_last_interval_allows() -> None:
    """With numbers at risk in the first two years only, the events stated say how many were censored later."""
    arms = known("colon: death, Lev+5FU")
    own = ~arms.treated
    curve = kaplan_meier(arms.months[own], arms.event[own])
    d = digitise(curve, risk_every=12)
    early = d.risk_months <= 24
    table = {"risk_months": d.risk_months[early], "at_risk": d.at_risk[early]}
    without = reconstruct_patients(d.months, d.survival, **table)
    stated = reconstruct_patients(d.months, d.survival, **table, total_events=curve.n_events)
    assert stated["event"].sum() == curve.n_events == 168
    assert without["event"].sum() > 175, "hardly anybody was censored in the first two years"


def test_points_at_the_steps_give_every_patient_back() -> None:
    """Both corners of each step clicked, in any order; nobody censored: the data themselves."""
    rng = np.random.default_rng(5)
    months = np.sort(rng.exponential(20, 60).round(2))
    survival = 1 - np.arange(1, 61) / 60
    upper = np.append(1.0, survival[:-1])
    order = rng.permutation(120)
    clicks = np.concatenate([months, months])[order], np.concatenate([survival, upper])[order]
    frame = reconstruct_patients(*clicks, risk_months=[0], at_risk=[60])
    assert frame["event"].eq(1).all()
    np.testing.assert_allclose(frame["time"], months)


def test_known_patients_with_censoring_by_hand() -> None:
    """Ten patients, risk table at 0 and 6: events at 2 and 4 leave 8, but 6 are at risk at 6: two were censored.

    Evenly spread they left when the interval is in thirds, at months 2 and 4, counted there as still at risk.
    """
    # censored at 2 and 4 count as at risk for events at those times; then 0.9, 0.9 * 7/8
    frame = reconstruct_patients(
        [2, 4, 8], [0.9, 0.9 * 7 / 8, 0.9 * 7 / 8 * 5 / 6], risk_months=[0, 6], at_risk=[10, 6]
    )
    events = frame.loc[frame["event"] == 1, "time"].tolist()
    censored = frame.loc[frame["event"] == 0, "time"].tolist()
    assert events == [2, 4, 8]
    # after month 6 at the rate of before: 2 in 6 months, so 1 in 2, at month 7; the last four at the end of the curve
    assert censored == pytest.approx([2, 4, 7, 8, 8, 8, 8])


def curve_of(months: list[float], survival: list[float], **table: object) -> pd.DataFrame:
    arguments: dict = {"risk_months": [0, 12], "at_risk": [100, 60]} | table
    return reconstruct_patients(months, survival, **arguments)


GOOD = ([6.0, 12.0, 18.0], [0.9, 0.7, 0.6])


@pytest.mark.parametrize(
    ("months", "survival", "table", "message"),
    [
        ([6, 12], [90.0, 70.0], {}, "percent are to be divided by 100"),
        ([6, 12], [1.2, 0.7], {}, r"between 0 and 1, found 1.2 at month 6"),
        ([6, 12], [0.9, -0.1], {}, r"between 0 and 1, found -0.1 at month 12"),
        ([0, 6, 12], [0.8, 0.7, 0.6], {}, "survival at month 0 must be 1, found 0.8"),
        ([6, 12, 18], [0.7, 0.9, 0.6], {}, "survival rises around month 6"),
        ([-3, 6, 12], [1, 0.9, 0.7], {}, "month -3, before month 0"),
        ([0], [1.0], {}, "no digitised points after month 0"),
        ([], [], {}, "no digitised points after month 0"),
        ([6, np.nan], [0.9, 0.7], {}, "missing or infinite"),
        ([6, 12], [0.9], {}, "2 months and 1 survival values"),
        ([6, 12], ["high", "low"], {}, "must be numbers"),
        (*GOOD, {"risk_months": [], "at_risk": []}, "at least that at month 0"),
        (*GOOD, {"at_risk": [100]}, "1 numbers at risk for 2 months"),
        (*GOOD, {"risk_months": [6, 12]}, "must be that at month 0, found month 6"),
        (*GOOD, {"risk_months": [0, 0]}, "must ascend, found 0, 0"),
        (*GOOD, {"at_risk": [100, 60.5]}, "whole numbers from 0, found 100, 60.5"),
        (*GOOD, {"at_risk": [100, np.nan]}, "missing or infinite"),
        (*GOOD, {"at_risk": [0, 0]}, "the arm has no patients"),
        (*GOOD, {"at_risk": [100, 110]}, "rise from 100 at month 0 to 110 at 12"),
        (
            *GOOD,
            {"at_risk": [100, 97]},
            "97 are said to be at risk at month 12, but of 100 at month 0 the curve leaves 90",
        ),
        (*GOOD, {"at_risk": [100, 0]}, "nobody is at risk at month 12, but the curve falls after it, from 0.7 to 0.6"),
        (*GOOD, {"risk_months": [0, 24]}, "60 are at risk at month 24, but the last digitised point is at month 18"),
        (*GOOD, {"total_events": 101}, "101 events in total cannot be of 100 patients"),
        (*GOOD, {"total_events": 80}, "not the 80 stated"),
    ],
)
def test_what_cannot_be_is_refused_and_said(months: list, survival: list, table: dict, message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        curve_of(months, survival, **table)


def test_a_number_at_risk_just_beyond_the_last_click_counts_and_a_nought_further_on_is_no_error() -> None:
    near = curve_of([6, 12, 23.9], [0.9, 0.7, 0.6], risk_months=[0, 12, 24], at_risk=[100, 60, 30])
    assert len(near) == 100
    left = near[near["time"] >= 23.9]
    assert (left["event"] == 0).sum() == 30, "those who fell by the last click are no more at risk after it"
    ended = curve_of(*GOOD, risk_months=[0, 12, 24], at_risk=[100, 60, 0])
    pd.testing.assert_frame_equal(ended, curve_of(*GOOD))


@st.composite
def studies(draw: st.DrawFn) -> TwoArms:
    n = draw(st.integers(20, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    death = rng.weibull(draw(st.floats(0.6, 2.0)), n) * draw(st.floats(5, 60))
    censoring = rng.uniform(draw(st.floats(1, 20)), 72, n)
    return TwoArms(np.maximum(np.minimum(death, censoring), 0.01), death <= censoring, np.zeros(n))


@settings(max_examples=60, deadline=None)
@given(arm=studies(), risk_every=st.sampled_from([3, 6, 12]), seed=st.integers(0, 1000))
def test_any_arm_keeps_its_patients_and_follows_its_curve(arm: TwoArms, risk_every: float, seed: int) -> None:
    """Whatever the curve: one row a patient, times within the plot, order of clicks without meaning, curve kept."""
    curve = kaplan_meier(arm.months, arm.event)
    if curve.time[-1] < 2 * STEP:
        return
    d = digitise(curve, risk_every=risk_every)
    frame = reconstruct_patients(d.months, d.survival, risk_months=d.risk_months, at_risk=d.at_risk)
    assert len(frame) == arm.months.size
    assert frame["event"].isin([0, 1]).all()
    assert frame["time"].is_monotonic_increasing
    assert frame["time"].iloc[0] > 0
    assert frame["time"].iloc[-1] <= d.months[-1]
    found = kaplan_meier(frame["time"], frame["event"])
    many = curve.at_risk(d.months) >= 10
    missed = np.abs(found.at(d.months).survival - curve.at(d.months).survival)[many]
    assert missed.max() < 1.5 / 10
    shuffled = np.random.default_rng(seed).permutation(d.months.size)
    again = reconstruct_patients(d.months[shuffled], d.survival[shuffled], risk_months=d.risk_months, at_risk=d.at_risk)
    pd.testing.assert_frame_equal(again, frame)
