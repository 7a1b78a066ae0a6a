"""Recurrent events and interaction: closed forms, definitions and refusals (equality with R: tests/reference)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import (
    EmptyGroupError,
    EstimationError,
    InvalidEventsError,
    InvalidTimesError,
    InvalidWeightsError,
    NoEventsError,
    SeparationError,
)
from sorafenib_rfa.stats.interaction import heterogeneity, holm, treatment_by_level
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.recurrent_events import (
    RecurrentEvents,
    event_rate,
    mean_cumulative_function,
    mean_difference,
    mean_model,
    means_under_weights,
    rate_model,
)


def made(n: int = 120, *, seed: int = 5, death: float = 0.1, censor: tuple[float, float] = (2.0, 9.0)):
    """People with a treatment that halves the event rate; times in tenths, so that they tie."""
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.5
    ends = rng.uniform(*censor, n)
    deaths = rng.exponential(1 / death, n) if death else np.full(n, np.inf)
    exit_time = np.maximum(np.ceil(10 * np.minimum(ends, deaths)) / 10, 0.1)
    person, at = [], []
    for i in range(n):
        times = np.unique(np.ceil(10 * np.cumsum(rng.exponential(2.0 * (1 + treated[i]), 40))) / 10)
        times = times[times <= exit_time[i]]
        person += [i] * len(times)
        at += list(times)
    events = RecurrentEvents.prepare(exit_time, deaths <= ends, person, at)
    return events, treated, rng.lognormal(0, 0.4, n)


def brute_mean(events: RecurrentEvents, w: np.ndarray, t: float) -> float:
    """The definition: the sum over event times of survival just before, times events over people at risk."""
    total = 0.0
    for u in np.unique(events.event_time):
        if u > t:
            break
        survival = 1.0
        for v in np.unique(events.exit_time[events.died]):
            if v < u:
                here = events.died & (events.exit_time == v)
                survival *= 1 - w[here].sum() / w[events.exit_time >= v].sum()
        total += survival * w[events.person[events.event_time == u]].sum() / w[events.exit_time >= u].sum()
    return total


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_is_the_integral_of_survival_over_the_event_rate(weighted):
    events, _, w = made()
    curve = mean_cumulative_function(events, weights=w if weighted else None)
    for t in (1.0, 3.05, 6.0):
        expected = brute_mean(events, w if weighted else np.ones(events.n), t)
        assert curve.at(t).mean[0] == pytest.approx(expected, rel=1e-12)


def test_without_censoring_it_is_the_mean_count_and_its_standard_error_that_of_a_mean():
    """Everyone is seen to die: then the mean by t is the average of the counts, also when it is one event at most."""
    events, _, _ = made(death=0.3, censor=(1e6, 1e7))
    assert events.died.all()
    once = np.concatenate([[True], np.diff(events.person) > 0])
    single = RecurrentEvents.prepare(events.exit_time, events.died, events.person[once], events.event_time[once])
    for data in (events, single):
        curve = mean_cumulative_function(data, variance="jackknife")
        for t in (1.0, 4.0):
            counts = np.bincount(data.person[data.event_time <= t], minlength=data.n)
            read = curve.at(t)
            assert read.mean[0] == pytest.approx(counts.mean(), rel=1e-12)
            assert read.std_err[0] == pytest.approx(np.sqrt(((counts - counts.mean()) ** 2).sum()) / data.n, rel=1e-9)


def test_nobody_dies_then_it_is_the_nelson_aalen_estimate():
    events, _, _ = made(death=0.0)
    curve = mean_cumulative_function(events)
    at_risk = [(events.exit_time >= u).sum() for u in curve.time]
    hits = [(events.event_time == u).sum() for u in curve.time]
    np.testing.assert_allclose(curve.mean, np.cumsum(np.array(hits) / at_risk), rtol=1e-12)
    np.testing.assert_array_equal(curve.survival, 1.0)


def test_censoring_deaths_instead_would_overstate_the_mean():
    events, _, _ = made(death=0.4)
    ignored = RecurrentEvents(events.exit_time, np.zeros(events.n, dtype=bool), events.person, events.event_time)
    with_death, without = (mean_cumulative_function(e).at(6.0).mean[0] for e in (events, ignored))
    assert without > 1.3 * with_death


def test_jackknife_is_the_numerical_derivative_by_each_weight():
    events, _, w = made(40)
    t, step = 5.0, 1e-5
    shifted = np.concatenate([w + step * np.eye(events.n), w - step * np.eye(events.n)])
    means = means_under_weights(events, shifted, t)[:, 0]
    slope = (means[: events.n] - means[events.n :]) / (2 * step)
    exact = mean_cumulative_function(events, weights=w, variance="jackknife").at(t).std_err[0]
    assert exact == pytest.approx(np.sqrt(np.sum((w * slope) ** 2)), rel=1e-6)
    # Ghosh and Lin's differs by terms of order 1 / n
    assert mean_cumulative_function(events, weights=w).at(t).std_err[0] == pytest.approx(exact, rel=0.05)


def test_many_weightings_at_once_are_each_the_curve_of_that_weighting():
    events, _, _ = made(60)
    drawn = np.random.default_rng(1).multinomial(events.n, np.full(events.n, 1 / events.n), size=5).astype(float)
    times = np.array([0.0, 0.7, 3.0, 6.0])
    found = means_under_weights(events, drawn, times)
    for row, weights in zip(found, drawn, strict=True):
        np.testing.assert_allclose(row, mean_cumulative_function(events, weights=weights).at(times).mean, rtol=1e-12)
    assert (means_under_weights(events, np.zeros((1, events.n)), times) == 0).all()


def test_whole_weights_are_copies_of_people():
    events, _, _ = made(30)
    times = np.random.default_rng(2).integers(0, 3, events.n)
    copies = np.repeat(np.arange(events.n), times)
    person = [j for j, i in enumerate(copies) for _ in range((events.person == i).sum())]
    at = np.concatenate([events.event_time[events.person == i] for i in copies])
    repeated = RecurrentEvents.prepare(events.exit_time[copies], events.died[copies], person, at)
    one, other = mean_cumulative_function(events, weights=times), mean_cumulative_function(repeated)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12)
    assert one.at(3.0).n_risk == other.at(3.0).n_risk


def test_limits_are_on_the_log_scale_and_end_with_observation():
    events, _, _ = made()
    curve = mean_cumulative_function(events, level=0.9)
    read = curve.at([0.0, 4.0, 1e3])
    assert read.mean[0] == 0
    assert np.isnan(read.mean[2])
    z = 1.6448536269514722
    assert read.ci_low[1] == pytest.approx(read.mean[1] * np.exp(-z * read.std_err[1] / read.mean[1]))
    assert read.ci_low[1] * read.ci_high[1] == pytest.approx(read.mean[1] ** 2)


def test_difference_of_means_and_why_there_is_none():
    events, treated, _ = made()
    a, b = (mean_cumulative_function(events.subset(side)) for side in (treated, ~treated))
    d = mean_difference(a, b, 5.0)
    assert d.estimate == pytest.approx(a.at(5.0).mean[0] - b.at(5.0).mean[0])
    assert d.std_err == pytest.approx(np.hypot(a.at(5.0).std_err[0], b.at(5.0).std_err[0]))
    assert d.estimate < 0
    assert d.p < 0.01
    with pytest.raises(EstimationError, match="observation of a group ends"):
        mean_difference(a, b, 50.0)
    with pytest.raises(NoEventsError, match="no events by"):
        mean_difference(a, b, 0.01)


def test_rows_are_the_counting_process():
    events = RecurrentEvents.prepare([5.0, 3.0, 4.0], [1, 0, 1], [2, 0, 2, 0], [4.0, 1.0, 2.0, 5.0])
    person, start, stop, event = events.rows()
    rows = list(zip(person.tolist(), start.tolist(), stop.tolist(), event.tolist(), strict=True))
    assert rows == [
        (0, 0.0, 1.0, True),
        (0, 1.0, 5.0, True),  # an event at the very end: no row after it
        (1, 0.0, 3.0, False),
        (2, 0.0, 2.0, True),
        (2, 2.0, 4.0, True),
    ]
    assert events.counts().tolist() == [2, 0, 2]


def test_rate_model_with_one_event_at_the_end_is_a_cox_model():
    rng = np.random.default_rng(3)
    time, hit, x = rng.uniform(1, 5, 80), rng.random(80) < 0.6, rng.normal(size=80)
    events = RecurrentEvents.prepare(time, np.zeros(80), np.flatnonzero(hit), time[hit])
    fit, cox = rate_model(events, x), cox_fit(x, time, hit, robust=True)
    assert fit.coef[0] == pytest.approx(cox.coef[0], rel=1e-10)
    assert fit.se_robust[0] == pytest.approx(cox.se_robust[0], rel=1e-10)


def test_mean_model_without_deaths_is_the_rate_model_with_breslow_ties():
    """Without deaths nobody is kept in a risk set, so weights of censoring are all 1."""
    events, treated, _ = made(death=0.0)
    untied = RecurrentEvents.prepare(
        events.exit_time * (1 + np.arange(events.n) / 1e6),
        events.died,
        events.person,
        events.event_time * (1 + events.person / 1e6),
    )
    means, rates = mean_model(untied, treated.astype(float)), rate_model(untied, treated.astype(float))
    assert means.coef[0] == pytest.approx(rates.coef[0], rel=1e-9)
    assert means.se[0] == pytest.approx(rates.se_robust[0], rel=1e-9)


def test_models_differ_where_treatment_kills():
    """A treatment that kills lowers the mean but not the rate while alive: the two ratios must tell that apart."""
    rng = np.random.default_rng(11)
    n = 800
    treated = np.arange(n) < n // 2
    deaths = rng.exponential(np.where(treated, 2.0, 20.0))
    ends = np.minimum(deaths, rng.uniform(4, 8, n))
    person, at = [], []
    for i in range(n):
        times = np.cumsum(rng.exponential(2.0, 12))
        times = times[times <= ends[i]]
        person += [i] * len(times)
        at += list(times)
    events = RecurrentEvents.prepare(ends, deaths <= ends, person, at)
    rate = rate_model(events, treated.astype(float), names=["treated"]).hazard_ratio("treated")
    mean = mean_model(events, treated.astype(float), names=["treated"]).mean_ratio("treated")
    assert rate.ci_low < 1 < rate.ci_high
    assert mean.ci_high < 0.7


def test_rate_interval_by_hand():
    events = RecurrentEvents.prepare([10.0, 20.0, 30.0], [0, 0, 1], [0, 0, 1], [1.0, 2.0, 3.0])
    rate = event_rate(events, per=12)
    residual = np.array([2, 1, 0]) - 0.05 * np.array([10.0, 20.0, 30.0])
    error = np.sqrt((residual**2).sum()) / 3
    assert rate.estimate == pytest.approx(0.6)
    assert rate.ci_high == pytest.approx(0.6 * np.exp(1.959963984540054 * error))


def test_weight_zero_is_absence():
    events, treated, _ = made()
    weights = treated.astype(float)
    one, other = mean_cumulative_function(events, weights=weights), mean_cumulative_function(events.subset(treated))
    np.testing.assert_allclose(one.mean, other.mean)
    np.testing.assert_allclose(one.std_err, other.std_err)
    x, some = np.arange(events.n) % 3, (np.arange(events.n) % 4 > 0).astype(float)
    present = some > 0
    for model in (rate_model, mean_model):
        fit, alone = model(events, x, weights=some), model(events.subset(present), x[present])
        assert fit.coef[0] == pytest.approx(alone.coef[0], rel=1e-9)
        assert fit.n == (len(events.subset(present).rows()[0]) if model is rate_model else present.sum())


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([], [], [], []), EmptyGroupError, "no observations"),
        (([1.0, 0.0], [0, 1], [], []), InvalidTimesError, "above zero"),
        (([1.0, np.nan], [0, 1], [], []), InvalidTimesError, "missing"),
        (([1.0, 2.0], [0, 1], [0], [1.5]), InvalidTimesError, "after the end"),
        (([1.0, 2.0], [0, 1], [1, 1], [1.5, 1.5]), InvalidTimesError, "two events at the same time"),
        (([1.0, 2.0], [0, 1], [2], [0.5]), InvalidEventsError, "belong to one of the 2"),
        (([1.0, 2.0], [0, 1], [0, 1], [0.5]), InvalidEventsError, "2 values for 1"),
        (([1.0, 2.0], [0, 2], [0], [0.5]), InvalidEventsError, "0 .censored. or 1"),
    ],
)
def test_impossible_histories_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        RecurrentEvents.prepare(*arguments)


def test_what_data_do_not_allow_is_said():
    nobody_hit = RecurrentEvents.prepare([1.0, 2.0, 3.0], [0, 1, 0], [], [])
    assert mean_cumulative_function(nobody_hit).at(2.0).mean[0] == 0
    for function in (lambda: event_rate(nobody_hit), lambda: mean_model(nobody_hit, [0.0, 1.0, 0.0])):
        with pytest.raises(NoEventsError):
            function()
    with pytest.raises(NoEventsError):
        rate_model(nobody_hit, [0.0, 1.0, 0.0])
    events, treated, w = made()
    one_arm = RecurrentEvents.prepare(
        events.exit_time,
        events.died,
        events.person[~treated[events.person]],
        events.event_time[~treated[events.person]],
    )
    for model in (rate_model, mean_model):
        with pytest.raises(SeparationError):
            model(one_arm, treated.astype(float))
    with pytest.raises(InvalidWeightsError):
        mean_cumulative_function(events, weights=np.where(treated, np.nan, w))
    with pytest.raises(EmptyGroupError):
        events.subset(np.zeros(events.n, dtype=bool))


# --- interaction ---------------------------------------------------------------------------------------------------


def trial(n: int = 400, seed: int = 8, ratio: tuple[float, ...] = (0.5, 1.0, 2.0)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    level = rng.integers(0, len(ratio), n)
    treated = rng.random(n) < 0.5
    hazard = 0.1 * (1 + level) * np.where(treated, np.array(ratio)[level], 1.0)
    time, end = rng.exponential(1 / hazard), rng.uniform(2, 15, n)
    return pd.DataFrame(
        {
            "time": np.minimum(time, end),
            "event": time <= end,
            "treated": treated,
            "level": np.array(list("abc"))[level],
            "w": rng.uniform(0.3, 1, n),
        }
    )


def test_effects_by_level_are_those_of_separate_models_and_the_test_is_their_heterogeneity():
    d = trial()
    fitted = treatment_by_level(d["treated"], d["level"], d["time"], d["event"], weights=d["w"])
    single = [
        cox_fit(own["treated"].astype(float), own["time"], own["event"], weights=own["w"], robust=True)
        for _, own in d.groupby("level")
    ]
    assert fitted.levels == ("a", "b", "c")
    np.testing.assert_allclose(fitted.fit.coef, [f.coef[0] for f in single], rtol=1e-9)
    np.testing.assert_allclose(fitted.fit.se, [f.se[0] for f in single], rtol=1e-9)
    test = heterogeneity([f.coef[0] for f in single], [f.se[0] for f in single])
    assert fitted.test.df == 2
    assert fitted.test.chi2 == pytest.approx(test.chi2, rel=1e-9)
    assert fitted.test.p < 0.001


def test_interaction_keeps_its_level_when_there_is_none():
    """200 null trials: about one in twenty is called an interaction (Monte Carlo 3 standard errors: 0.3 to 9.6 %)."""
    p = [
        treatment_by_level(d["treated"], d["level"], d["time"], d["event"]).test.p
        for d in (trial(240, seed, (0.7, 0.7, 0.7)) for seed in range(200))
    ]
    assert 0.003 < np.mean(np.array(p) < 0.05) < 0.096


def test_interaction_needs_two_levels_and_events_in_each():
    d = trial()
    with pytest.raises(EmptyGroupError, match="two levels"):
        treatment_by_level(d["treated"], ["a"] * len(d), d["time"], d["event"])
    silent = d["event"] & ~((d["level"] == "b") & d["treated"])
    with pytest.raises(SeparationError, match="b"):
        treatment_by_level(d["treated"], d["level"], d["time"], silent)


def test_heterogeneity_refuses_what_has_no_spread():
    assert heterogeneity([0.3, 0.3], [0.1, 0.4]).p == pytest.approx(1.0)
    for errors in ([0.1, 0.0], [0.1, np.nan], [0.1]):
        with pytest.raises(EstimationError):
            heterogeneity([0.1, 0.2], errors)
    with pytest.raises(EmptyGroupError):
        heterogeneity([0.1], [0.2])


def test_holm_adjusts_for_the_tests_done_only():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.06, 0.06])
    assert holm([]).size == 0
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_survival_inside_is_kaplan_meier():
    events, _, _ = made()
    curve = mean_cumulative_function(events)
    km = kaplan_meier(events.exit_time, events.died)
    before = np.searchsorted(km.time, curve.time, side="left") - 1
    np.testing.assert_allclose(curve.survival, np.where(before < 0, 1.0, km.survival[before]), rtol=1e-12)
