"""Competing risks: closed forms, definitions, refusals (R: tests/reference)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.stats import aalen_johansen, cox_fit, fine_gray, gray_test
from sorafenib_rfa.stats.errors import (
    EmptyGroupError,
    InvalidEventsError,
    InvalidTimesError,
    NoEventsError,
    SeparationError,
)
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(23)
    n = 120
    arm = rng.integers(0, 2, n)
    time = np.ceil(rng.exponential(12 * (1 + 0.8 * arm)) + 0.01)
    return pd.DataFrame(
        {
            "arm": arm,
            "age": rng.normal(60, 9, n),
            "time": time,
            "cause": rng.choice([0, 1, 2], n, p=[0.3, 0.45, 0.25]),
            "weight": rng.uniform(0.3, 2.5, n),
        }
    )


def test_incidences_and_event_free_add_up_to_one(data: pd.DataFrame) -> None:
    curve = aalen_johansen(data["time"], data["cause"], weights=data["weight"])
    np.testing.assert_allclose(curve.incidence.sum(axis=1) + curve.event_free, 1, rtol=1e-12)
    overall = kaplan_meier(data["time"], data["cause"] > 0, weights=data["weight"])
    np.testing.assert_allclose(curve.event_free, overall.survival, rtol=1e-12)


def test_without_censoring_it_is_the_share(data: pd.DataFrame) -> None:
    cause = data["cause"] + 1
    read = aalen_johansen(data["time"], cause).at(10, cause=2)
    share = ((cause == 2) & (data["time"] <= 10)).mean()
    assert read.incidence[0] == pytest.approx(share)
    assert read.std_err[0] == pytest.approx(np.sqrt(share * (1 - share) / len(data)))


def test_one_cause_is_one_minus_kaplan_meier(data: pd.DataFrame) -> None:
    event = (data["cause"] > 0).astype(int)
    incidence = aalen_johansen(data["time"], event).at([5, 15])
    survival = kaplan_meier(data["time"], event).at([5, 15])
    np.testing.assert_allclose(incidence.incidence, 1 - survival.survival, rtol=1e-12)


@pytest.mark.parametrize("late", [False, True])
def test_standard_error_is_the_jackknife_it_claims(data: pd.DataFrame, late: bool) -> None:
    start = np.floor(data["time"] / 3) if late else None
    w = data["weight"].to_numpy()

    def estimate(weights: np.ndarray) -> np.ndarray:
        return aalen_johansen(data["time"], data["cause"], weights=weights, start=start).at([4, 10, 20]).incidence

    total = np.zeros(3)
    for i in range(len(data)):
        step = np.zeros(len(data))
        step[i] = 1e-5
        total += (w[i] * (estimate(w + step) - estimate(w - step)) / 2e-5) ** 2
    found = aalen_johansen(data["time"], data["cause"], weights=w, start=start).at([4, 10, 20]).std_err
    np.testing.assert_allclose(found, np.sqrt(total), rtol=1e-6)


def test_order_of_rows_does_not_matter_with_ties(data: pd.DataFrame) -> None:
    """lifelines' estimate depends on a random jitter here."""
    shuffled = data.sample(frac=1, random_state=1)
    np.testing.assert_allclose(
        aalen_johansen(shuffled["time"], shuffled["cause"]).incidence,
        aalen_johansen(data["time"], data["cause"]).incidence,
        rtol=1e-13,
    )


def test_cause_that_nobody_had(data: pd.DataFrame) -> None:
    """An arm without deaths still has an incidence of death: nought."""
    only_first = data[data["cause"] != 2]
    curve = aalen_johansen(only_first["time"], only_first["cause"], n_causes=2)
    assert curve.causes == (1, 2)
    assert (curve.incidence[:, 1] == 0).all()
    with pytest.raises(ValueError, match="cause 2 occurs"):
        aalen_johansen(data["time"], data["cause"], n_causes=1)
    with pytest.raises(ValueError, match="no cause 3"):
        curve.at(5, cause=3)


def test_all_censored_and_beyond_follow_up() -> None:
    read = aalen_johansen([2, 4], [0, 0]).at([3, 5])
    np.testing.assert_array_equal(read.incidence, [0, np.nan])


def test_aalen_variance_is_for_plain_data(data: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="use the jackknife"):
        aalen_johansen(data["time"], data["cause"], weights=data["weight"], variance="aalen")


@pytest.mark.parametrize("bad", [-1, 1.5, np.nan])
def test_impossible_causes(bad: float) -> None:
    with pytest.raises(InvalidEventsError, match="whole numbers"):
        aalen_johansen([1, 2], [1, bad])


def test_impossible_times() -> None:
    with pytest.raises(InvalidTimesError):
        aalen_johansen([0, 2], [1, 2])


def test_gray_test_refusals(data: pd.DataFrame) -> None:
    with pytest.raises(NoEventsError, match="cause 3"):
        gray_test(data["time"], data["cause"], data["arm"], cause_of_interest=3)
    with pytest.raises(EmptyGroupError, match="only one group"):
        gray_test(data["time"], data["cause"], np.zeros(len(data)))


def test_gray_test_does_not_depend_on_which_group_is_last(data: pd.DataFrame) -> None:
    """cmprsk leaves out the last group's score; any other would do."""
    groups = np.random.default_rng(4).choice(["a", "b", "c"], len(data))
    first = gray_test(data["time"], data["cause"], groups)
    second = gray_test(data["time"], data["cause"], pd.Categorical(groups, categories=["c", "a", "b"]))
    assert second.chi2 == pytest.approx(first.chi2, rel=1e-9)
    assert first.score.sum() == pytest.approx(0, abs=1e-9)


def test_fine_gray_without_competing_events_is_cox(data: pd.DataFrame) -> None:
    event = (data["cause"] == 1).astype(int)
    x = data[["arm", "age"]]
    cox = cox_fit(x, data["time"], event, ties="breslow", robust=True)
    fg = fine_gray(x, data["time"], event)
    np.testing.assert_allclose(fg.coef, cox.coef, rtol=1e-9)
    np.testing.assert_allclose(fg.se, cox.se_robust, rtol=1e-9)


def test_fine_gray_without_censoring_keeps_the_dead_at_risk(data: pd.DataFrame) -> None:
    """Then it is Cox regression with competing failures followed to the end (Fine & Gray 1999, section 3.1)."""
    cause = data["cause"].replace(0, 1)
    time = data["time"].where(cause == 1, data["time"].max() + 1)
    direct = cox_fit(data[["arm"]], time, cause == 1, ties="breslow")
    np.testing.assert_allclose(fine_gray(data[["arm"]], data["time"], cause).coef, direct.coef, rtol=1e-9)


def test_fine_gray_refusals(data: pd.DataFrame) -> None:
    x = data[["arm"]]
    with pytest.raises(NoEventsError):
        fine_gray(x, data["time"], data["cause"], cause_of_interest=4)
    with pytest.raises(ValueError, match="convention='survival'"):
        fine_gray(x, data["time"], data["cause"], weights=data["weight"])
    with pytest.raises(SeparationError, match="arm"):
        fine_gray(x, data["time"], np.where(data["arm"] == 1, data["cause"], 2))
    ratio = fine_gray(x, data["time"], data["cause"]).hazard_ratio("arm")
    assert ratio.ci_low < ratio.estimate < ratio.ci_high
    assert ratio.robust


def test_the_two_conventions_agree_when_nothing_is_tied(data: pd.DataFrame) -> None:
    time = data["time"] + np.linspace(0, 0.9, len(data))
    x = data[["arm", "age"]]
    np.testing.assert_allclose(
        fine_gray(x, time, data["cause"]).coef,
        fine_gray(x, time, data["cause"], convention="survival").coef,
        rtol=1e-9,
    )
