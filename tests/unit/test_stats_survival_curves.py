"""Kaplan-Meier, log-rank and restricted means: closed forms, definitions, refusals (R: tests/reference)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.stats import log_rank, reverse_kaplan_meier, rmst_contrast
from sorafenib_rfa.stats.errors import (
    BeyondFollowUpError,
    EmptyGroupError,
    EstimationError,
    InvalidTimesError,
    InvalidWeightsError,
    NoEventsError,
)
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(19)
    n = 90
    arm = rng.integers(0, 2, n)
    failure, censoring = rng.exponential(15 * (1 + arm)), rng.uniform(3, 40, n)
    return pd.DataFrame(
        {
            "arm": arm,
            "time": np.ceil(np.minimum(failure, censoring)),
            "event": (failure <= censoring).astype(int),
            "weight": rng.uniform(0.3, 2.5, n),
        }
    )


def test_without_censoring_it_is_the_share_still_alive() -> None:
    time = np.array([3.0, 1, 2, 2, 5])
    curve = kaplan_meier(time, np.ones(5))
    np.testing.assert_allclose(curve.at([0, 1, 2, 3, 4, 5]).survival, [1, 0.8, 0.4, 0.2, 0.2, 0])
    # Greenwood's variance is then the binomial one
    np.testing.assert_allclose(curve.at([1, 2, 3]).std_err ** 2, np.array([0.8 * 0.2, 0.4 * 0.6, 0.2 * 0.8]) / 5)
    assert curve.rmst(5).estimate == pytest.approx(time.mean())


def test_all_censored() -> None:
    curve = kaplan_meier([4, 5, 6], [0, 0, 0])
    read = curve.at([1, 6, 7])
    np.testing.assert_array_equal(read.survival, [1, 1, np.nan])
    assert np.isnan(curve.median().estimate)
    assert curve.n_events == 0
    assert (curve.rmst(6).estimate, curve.rmst(6).std_err) == (6, 0)


def test_nothing_is_read_beyond_follow_up() -> None:
    """After the last time the curve is unknown, unless everyone had the event."""
    assert np.isnan(kaplan_meier([1, 2, 3], [1, 1, 0]).at(3.5).survival[0])
    assert kaplan_meier([1, 2, 3], [1, 1, 1]).at(3.5).survival[0] == 0


def test_rmst_beyond_follow_up_is_refused_unless_extended() -> None:
    curve = kaplan_meier([1, 2, 3], [1, 1, 0])
    with pytest.raises(BeyondFollowUpError, match=r"follow-up ends at 3 with survival 0\.333"):
        curve.rmst(4)
    assert curve.rmst(4, extend=True).estimate == pytest.approx(1 + 2 / 3 + 1 / 3 + 1 / 3)
    assert kaplan_meier([1, 2, 3], [1, 1, 1]).rmst(10).estimate == pytest.approx(2)
    with pytest.raises(ValueError, match="tau must be above zero"):
        curve.rmst(0)


def test_rmst_before_the_first_event_is_tau() -> None:
    mean = kaplan_meier([5, 6], [1, 1]).rmst(2)
    assert (mean.estimate, mean.std_err) == (2, 0)


def test_number_at_risk_counts_those_leaving_at_that_time() -> None:
    curve = kaplan_meier([2, 4, 4, 7], [1, 0, 1, 0])
    np.testing.assert_array_equal(curve.at_risk([0, 2, 3, 4, 4.5, 7, 8]), [4, 4, 3, 3, 1, 1, 0])


def test_number_at_risk_with_late_entry() -> None:
    """(start, time]: not at risk at the entry time itself; those who start at 0 are there at 0."""
    curve = kaplan_meier([2, 4, 6], [1, 1, 1], start=[0, 2, 3])
    np.testing.assert_array_equal(curve.at_risk([0, 1, 2, 3, 4, 5]), [1, 1, 1, 1, 2, 1])


def test_quantile_limits_and_refusals(data: pd.DataFrame) -> None:
    curve = kaplan_meier(data["time"], data["event"])
    low, mid = curve.quantile(0.25), curve.median()
    assert low.ci_low <= low.estimate <= low.ci_high
    assert low.estimate <= mid.estimate
    with pytest.raises(ValueError, match="between 0 and 1"):
        curve.quantile(1)


def test_whole_weights_are_repeated_people(data: pd.DataFrame) -> None:
    count = np.random.default_rng(2).integers(0, 4, len(data))
    weighted = kaplan_meier(data["time"], data["event"], weights=count)
    rows = np.repeat(np.arange(len(data)), count)
    repeated = kaplan_meier(data["time"].iloc[rows], data["event"].iloc[rows])
    for name in ("time", "n_risk", "survival", "std_err"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12)
    assert weighted.rmst(20).std_err == pytest.approx(repeated.rmst(20).std_err)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_robust_variance_is_the_jackknife_it_claims(data: pd.DataFrame, late: bool, clustered: bool) -> None:
    """Infinitesimal jackknife by definition: numerical derivative with respect to each weight, summed by cluster.

    This covers what R does not offer: restricted means under weights with late entry.
    """
    start = np.floor(data["time"] / 3) if late else None
    cluster = np.arange(len(data)) % 7 if clustered else np.arange(len(data))

    def estimate(w: np.ndarray) -> np.ndarray:
        curve = kaplan_meier(data["time"], data["event"], start=start, weights=w, variance="greenwood")
        return np.append(curve.at([5, 15, 25]).survival, curve.rmst(20).estimate)

    w = data["weight"].to_numpy()
    influence = []
    for i in range(len(data)):
        step = np.zeros(len(data))
        step[i] = 1e-5
        influence.append(w[i] * (estimate(w + step) - estimate(w - step)) / 2e-5)
    by_cluster = pd.DataFrame(influence).groupby(cluster).sum().to_numpy()
    expected = np.sqrt((by_cluster**2).sum(axis=0))
    curve = kaplan_meier(data["time"], data["event"], start=start, weights=w, cluster=cluster if clustered else None)
    assert curve.variance == "robust"
    np.testing.assert_allclose(np.append(curve.at([5, 15, 25]).std_err, curve.rmst(20).std_err), expected, rtol=1e-6)


def test_clusters_of_one_are_no_clusters(data: pd.DataFrame) -> None:
    args = (data["time"], data["event"])
    alone = kaplan_meier(*args, weights=data["weight"])
    trivial = kaplan_meier(*args, weights=data["weight"], cluster=np.arange(len(data)))
    np.testing.assert_allclose(alone.std_err, trivial.std_err, rtol=1e-12)


def test_follow_up_is_not_shortened_by_deaths() -> None:
    """Everyone could have been followed for 10: the dead do not count against it."""
    assert reverse_kaplan_meier([10, 10, 10, 2, 3], [0, 0, 0, 1, 1]).median().estimate == 10


def test_agrees_with_lifelines(data: pd.DataFrame) -> None:
    """Estimate, Greenwood limits on the log-log scale and the log-rank test, where lifelines is right."""
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test
    from lifelines.utils import restricted_mean_survival_time

    theirs = KaplanMeierFitter().fit(data["time"], data["event"])
    ours = kaplan_meier(data["time"], data["event"])
    events = ours.time[ours.n_event > 0]
    table = theirs.survival_function_at_times(events).to_numpy()
    np.testing.assert_allclose(ours.at(events).survival, table, rtol=1e-10)
    limits = theirs.confidence_interval_survival_function_.loc[events].to_numpy()
    np.testing.assert_allclose(ours.at(events).ci_low, limits[:, 0], rtol=1e-8)
    np.testing.assert_allclose(ours.at(events).ci_high, limits[:, 1], rtol=1e-8)
    assert ours.rmst(20).estimate == pytest.approx(restricted_mean_survival_time(theirs, 20), rel=1e-8)
    assert log_rank(data["time"], data["event"], data["arm"]).chi2 == pytest.approx(
        multivariate_logrank_test(data["time"], data["arm"], data["event"]).test_statistic, rel=1e-9
    )


def test_empty_and_single_groups(data: pd.DataFrame) -> None:
    with pytest.raises(EmptyGroupError, match="only one group"):
        log_rank(data["time"], data["event"], np.ones(len(data)))
    arms = pd.Categorical.from_codes(data["arm"], ["control", "sorafenib", "placebo"])
    with pytest.raises(EmptyGroupError, match="without members: placebo"):
        log_rank(data["time"], data["event"], arms)
    with pytest.raises(EmptyGroupError, match="two groups are needed"):
        rmst_contrast(data["time"], data["event"], np.arange(len(data)) % 3, 20)
    with pytest.raises(EmptyGroupError, match="no one is in the reference group"):
        rmst_contrast(data["time"], data["event"], data["arm"], 20, reference=9)
    with pytest.raises(EmptyGroupError, match="has no weight"):
        rmst_contrast(data["time"], data["event"], data["arm"], 20, weights=data["arm"])
    with pytest.raises(EmptyGroupError, match="the group is empty"):
        kaplan_meier([], [])


def test_log_rank_without_events_or_labels(data: pd.DataFrame) -> None:
    with pytest.raises(NoEventsError):
        log_rank(data["time"], np.zeros(len(data)), data["arm"])
    arm = data["arm"].astype(object)
    arm[3] = None
    with pytest.raises(EstimationError, match="groups missing in 1 row"):
        log_rank(data["time"], data["event"], arm)


def test_group_never_at_risk_at_an_event_is_left_out_as_in_r() -> None:
    """Someone censored before the first death cannot be compared: the test is that of the other two groups."""
    time, event = [1, 5, 6, 7, 8, 9, 10], [0, 1, 1, 0, 1, 1, 0]
    three = log_rank(time, event, ["c", "a", "a", "a", "b", "b", "b"])
    two = log_rank(time[1:], event[1:], ["a", "a", "a", "b", "b", "b"])
    assert (three.df, three.chi2) == (1, pytest.approx(two.chi2))
    with pytest.raises(EmptyGroupError, match="no two groups"):
        log_rank([1, 1, 5, 6], [0, 0, 1, 1], ["c", "c", "a", "a"])


@pytest.mark.parametrize("bad", [-1, 0, np.nan])
def test_impossible_times(bad: float) -> None:
    with pytest.raises(InvalidTimesError):
        kaplan_meier([1, bad], [1, 0])


def test_impossible_weights() -> None:
    with pytest.raises(InvalidWeightsError, match="negative"):
        kaplan_meier([1, 2], [1, 0], weights=[1, -1])


def test_contrast_turns_with_its_reference(data: pd.DataFrame) -> None:
    args = (data["time"], data["event"], data["arm"].map({0: "control", 1: "drug"}), 20)
    default = rmst_contrast(*args)
    assert (default.group, default.reference) == ("drug", "control")
    turned = rmst_contrast(*args, reference="drug")
    assert turned.difference == pytest.approx(-default.difference)
    assert turned.ratio == pytest.approx(1 / default.ratio)
    assert turned.difference_p == pytest.approx(default.difference_p)
    assert default.difference_ci_low < default.difference < default.difference_ci_high


def test_columns_of_the_table(data: pd.DataFrame) -> None:
    curve = kaplan_meier(data["time"], data["event"])
    frame = curve.to_frame()
    assert frame.columns[0] == "time"
    assert len(frame) == curve.time.size
    assert frame["n_event"].sum() + frame["n_censor"].sum() == len(data)
