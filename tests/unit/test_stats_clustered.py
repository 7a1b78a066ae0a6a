"""Proportions and cumulative incidence of clustered observations, where R says nothing: limits and edges.

Against R: ``tests/reference`` (``survey::svyciprop``, ``survival::survfit``).
"""

from __future__ import annotations

import numpy as np
import pytest

from sorafenib_rfa.stats.competing_risks import aalen_johansen
from sorafenib_rfa.stats.errors import EmptyGroupError, EstimationError
from sorafenib_rfa.stats.proportions import clopper_pearson, clustered_proportion


def limits(interval):
    return interval.estimate, interval.ci_low, interval.ci_high


def test_clusters_of_one_give_the_exact_interval():
    event = [1, 0, 0, 1, 1, 0, 0]
    assert limits(clustered_proportion(event, range(7))) == limits(clopper_pearson(3, 7))


def test_pairs_that_always_agree_are_worth_about_one_observation_each():
    """Effective number by hand: p = 1/2, variance (20/19)(1/4)/20, hence 19, times (t39 / t19) squared."""
    event = np.repeat([0, 1], 20)
    found = clustered_proportion(event, np.repeat(np.arange(20), 2))
    assert (found.n, found.clusters) == (40, 20)
    assert found.effective_n == pytest.approx(19 * (2.022691 / 2.093024) ** 2, rel=1e-6)
    exact = clopper_pearson(10, 20)
    assert found.ci_low < exact.ci_low
    assert found.ci_high > exact.ci_high


def test_observations_that_differ_within_their_clusters_do_not_count_for_more_than_there_are():
    found = clustered_proportion([0, 1] * 20, np.repeat(np.arange(20), 2))
    assert limits(found) == limits(clopper_pearson(20, 40))


@pytest.mark.parametrize("event", [0, 1])
def test_where_all_agree_each_cluster_counts_once(event):
    found = clustered_proportion([event] * 30, np.repeat(np.arange(10), 3))
    assert limits(found) == limits(clopper_pearson(10 * event, 10))


def test_one_cluster_or_none_gives_the_reason():
    with pytest.raises(EstimationError, match="one cluster"):
        clustered_proportion([1, 0], ["a", "a"])
    with pytest.raises(EmptyGroupError):
        clustered_proportion([], [])
    assert limits(clustered_proportion([1], ["a"])) == limits(clopper_pearson(1, 1))


def test_coverage_under_strong_clustering():
    """A patient's tumours share a beta-distributed chance: limits for independent tumours miss it too often."""
    rng = np.random.default_rng(5)
    clustered, naive = [], []
    for _ in range(400):
        chance = rng.beta(0.5, 0.25, 60)
        size = rng.integers(1, 5, 60)
        patient = np.repeat(np.arange(60), size)
        event = rng.random(patient.size) < chance[patient]
        found = clustered_proportion(event, patient)
        clustered.append(found.ci_low <= 2 / 3 <= found.ci_high)
        exact = clopper_pearson(int(event.sum()), event.size)
        naive.append(exact.ci_low <= 2 / 3 <= exact.ci_high)
    assert np.mean(clustered) > 0.93
    assert np.mean(naive) < 0.88


def test_incidence_of_copies_has_the_standard_error_of_the_originals():
    """Every tumour twice, in one cluster: nothing new is known, and the standard error must not shrink."""
    rng = np.random.default_rng(3)
    time, cause = np.ceil(rng.exponential(20, 80)), rng.integers(0, 3, 80)
    start = rng.integers(0, 2, 80) * (time - 1) / 2
    once = aalen_johansen(time, cause, start=start)
    twice = [np.repeat(values, 2) for values in (time, cause, start)]
    both = aalen_johansen(twice[0], twice[1], start=twice[2], cluster=np.repeat(np.arange(80), 2))
    np.testing.assert_allclose(both.incidence, once.incidence, rtol=1e-12)
    np.testing.assert_allclose(both.std_err, once.std_err, rtol=1e-10)


def test_clusters_of_one_and_rows_of_no_weight_change_nothing():
    rng = np.random.default_rng(4)
    time, cause, weight = rng.integers(1, 20, 60), rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    plain = aalen_johansen(time, cause, weights=weight)
    clustered = aalen_johansen(time, cause, weights=weight, cluster=[f"p{i}" for i in range(60)])
    np.testing.assert_allclose(clustered.std_err, plain.std_err, rtol=1e-10)


def test_aalens_variance_refuses_clusters():
    with pytest.raises(ValueError, match="independent"):
        aalen_johansen([1, 2], [1, 0], cluster=["a", "a"], variance="aalen")
