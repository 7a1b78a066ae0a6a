"""Effects over time, interval-censored models and meta-analysis: closed forms, published values, and refusals.

Agreement with R is in tests/reference (family time_to_event).
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import (
    ConstantCovariateError,
    ConvergenceError,
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidTimesError,
    NoEventsError,
    SeparationError,
)
from sorafenib_rfa.stats.interval_censoring import turnbull, turnbull_resampled, weibull_interval
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.meta_analysis import meta_analysis
from sorafenib_rfa.stats.time_varying import SplineEffect, piecewise_effect, spline_effect

INF = np.inf


def two_arms(n: int, *, seed: int, early: float = 1.0, late: float = 1.0, change: float = 12.0):
    """Treatment, time and event with a hazard ratio that changes at `change`; administrative censoring at 60."""
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.5
    target = rng.exponential(1.0, n)  # cumulative hazard at which the event happens
    before, after = 0.03 * np.where(treated, early, 1.0), 0.03 * np.where(treated, late, 1.0)
    time = np.where(target < before * change, target / before, change + (target - before * change) / after)
    event = time < 60
    return treated.astype(float), np.minimum(time, 60.0), event


# --- effects over time -----------------------------------------------------------------------------


def test_pieces_recover_an_effect_that_wanes():
    treated, time, event = two_arms(20000, seed=1, early=0.5, late=1.0)
    effect = piecewise_effect(treated, time, event, [12])
    for piece, truth in zip(effect.pieces, (0.5, 1.0), strict=True):
        assert abs(piece.ratio.log_estimate - np.log(truth)) < 3 * piece.ratio.log_se
        assert piece.ratio.log_se < 0.04
    assert effect.constancy.p < 1e-6
    spline = spline_effect(treated, time, event, 4)
    # a smooth curve cannot follow the step at month 12, but away from it must be near
    np.testing.assert_allclose(spline.at([3, 40])[0], [0.5, 1.0], rtol=0.12)
    assert spline.constancy.p < 1e-6


def test_small_and_tied_data_are_estimated_or_refused_but_never_worse():
    """Random cohorts of a few patients with tied times: an answer or an EstimationError, no overflow, no warning."""
    rng = np.random.default_rng(3)
    outcomes = {"estimated": 0, "refused": 0}
    for _ in range(150):
        n = int(rng.integers(4, 40))
        data = rng.integers(0, 2, n), np.ceil(rng.exponential(6, n)), rng.random(n) < 0.7
        for estimate in (spline_effect, lambda *given: piecewise_effect(*given, cuts=[3, 6])):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    effect = estimate(*data)
                except EstimationError:
                    outcomes["refused"] += 1
                    continue
            if isinstance(effect, SplineEffect):
                assert np.isfinite(effect.coef).all()
            outcomes["estimated"] += 1
    assert min(outcomes.values()) > 20


def test_a_constant_effect_is_not_called_changing():
    rejected = 0
    for seed in range(40):
        effect = piecewise_effect(*two_arms(300, seed=seed, early=0.7, late=0.7), cuts=[6, 12, 24])
        rejected += effect.constancy.p < 0.05
    assert rejected <= 6  # 2 expected; 7 or more has probability 0.002


def test_a_piece_is_the_cox_model_of_its_own_follow_up():
    treated, time, event = two_arms(400, seed=2, early=0.6, late=1.2)
    weights = np.random.default_rng(3).uniform(0.2, 2.0, 400)
    effect = piecewise_effect(treated, time, event, [12, 30], weights=weights)
    first = cox_fit(treated, np.minimum(time, 12), event & (time <= 12), weights=weights, robust=True)
    assert effect.pieces[0].ratio.log_estimate == pytest.approx(first.coef[0], rel=1e-8)
    assert effect.pieces[0].ratio.log_se == pytest.approx(first.se[0], rel=1e-8)
    late = time > 30
    last = cox_fit(treated[late], time[late], event[late], start=np.full(late.sum(), 30.0), weights=weights[late])
    assert effect.pieces[2].ratio.log_estimate == pytest.approx(last.coef[0], rel=1e-8)
    assert [piece.events_treated + piece.events_control for piece in effect.pieces] == [
        (event & (time <= 12)).sum(),
        (event & (time > 12) & (time <= 30)).sum(),
        (event & (time > 30)).sum(),
    ]


def test_an_event_on_the_cut_belongs_to_the_piece_before_it():
    treated, time, event = two_arms(200, seed=2)
    time = np.ceil(time)
    before, after = piecewise_effect(treated, time, event, [12]).pieces
    assert before.events_treated == (event & (time <= 12) & (treated == 1)).sum()
    assert after.events_control == (event & (time > 12) & (treated == 0)).sum()
    assert (event & (time == 12)).sum() > 0


def test_a_separated_piece_is_left_out_by_itself():
    """After month 12 all treated patients have their events before any control has one, and are gone."""
    treated = np.array([1, 0, 1, 0, 1, 0, 1, 0.0])
    time = np.array([2, 3, 5, 4, 13, 20, 14, 21.0])
    before, after = piecewise_effect(treated, time, np.ones(8), [12]).pieces
    assert after.ratio is None
    assert "no finite hazard ratio" in after.reason
    assert (after.events_treated, after.events_control) == (2, 2)
    assert before.ratio is not None


def test_a_piece_without_events_in_an_arm_says_so_and_leaves_the_others_alone():
    treated, time, event = two_arms(300, seed=4)
    event = event & ~((treated == 1) & (time <= 6))
    effect = piecewise_effect(treated, time, event, [6, 24])
    assert effect.pieces[0].ratio is None
    assert effect.pieces[0].reason == "no events in the treated arm"
    inside = time > 6
    alone = cox_fit(
        treated[inside],
        np.minimum(time, 24)[inside],
        (event & (time <= 24))[inside],
        start=np.full(inside.sum(), 6.0),
    )
    assert effect.pieces[1].ratio.log_estimate == pytest.approx(alone.coef[0], rel=1e-8)
    assert effect.constancy.df == 1


def test_pieces_after_the_end_of_follow_up_have_no_events():
    effect = piecewise_effect(*two_arms(200, seed=5), cuts=[12, 100])
    assert effect.pieces[-1].reason == "no events in the treated and the control arms"
    assert effect.pieces[-1].events_treated == 0


@pytest.mark.parametrize("estimate", [lambda *a, **k: piecewise_effect(*a, cuts=[5], **k), spline_effect])
def test_effects_over_time_refuse_what_they_cannot_estimate(estimate):
    treated, time, event = two_arms(100, seed=6)
    with pytest.raises(NoEventsError):
        estimate(treated, time, np.zeros(100))
    with pytest.raises(ConstantCovariateError, match="an arm is empty"):
        estimate(np.ones(100), time, event)
    with pytest.raises(InvalidTimesError):
        estimate(treated, np.where(np.arange(100) == 3, 0.0, time), event)
    with pytest.raises(InvalidCovariatesError, match="0 or 1"):
        estimate(treated * 2, time, event)
    with pytest.raises(EstimationError, match="weights"):
        estimate(treated, time, event, weights=np.where(np.arange(100) == 3, np.nan, 1.0))


def test_a_spline_needs_more_events_than_terms():
    with pytest.raises(EstimationError, match="4 events do not determine 4 terms"):
        spline_effect([1, 0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0, 5.0], [1, 1, 1, 1, 0], [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(EstimationError, match="tied"):
        spline_effect(*(np.tile(v, 20) for v in ([1, 0], [1.0, 1.0], [1, 1])))


# --- interval censoring ----------------------------------------------------------------------------

# Breast retraction after radiotherapy alone, months: Finkelstein DM, Wolfe RA. Biometrics 1985;41:933-945, table 4
RADIOTHERAPY = [
    (45, INF), (6, 10), (0, 7), (46, INF), (46, INF), (7, 16), (17, INF), (7, 14), (37, 44), (0, 8), (4, 11),
    (15, INF), (11, 15), (22, INF), (46, INF), (46, INF), (25, 37), (46, INF), (26, 40), (46, INF), (27, 34),
    (36, 44), (46, INF), (36, 48), (37, INF), (40, INF), (17, 25), (46, INF), (11, 18), (38, INF), (5, 12),
    (37, INF), (0, 5), (18, INF), (24, INF), (36, INF), (5, 11), (19, 35), (17, 25), (24, INF), (32, INF),
    (33, INF), (19, 26), (37, INF), (34, INF), (36, INF),
]  # fmt: skip


def test_turnbull_gives_the_published_estimate_of_the_breast_retraction_data():
    """Masses as printed for these data by Fay & Shaw (J Stat Softw 2010;36(2)) and R's interval, to 4 digits."""
    low, high = (np.array(limit, dtype=float) for limit in zip(*RADIOTHERAPY, strict=True))
    fit = turnbull(low, high)
    kept = fit.mass > 1e-6
    intervals = list(zip(fit.left[kept], fit.right[kept], strict=True))
    assert intervals == [(4, 5), (6, 7), (7, 8), (11, 12), (24, 25), (33, 34), (38, 40), (46, 48)]
    published = [0.0463, 0.0334, 0.0887, 0.0708, 0.0926, 0.0818, 0.1209, 0.4656]
    np.testing.assert_allclose(fit.mass[kept], published, atol=6e-5)
    # R's survfit(Surv(low, high, type = "interval2")), which stops once nothing moves by more than 5e-5 in a step
    r = [0.9536620, 0.9202687, 0.8316232, 0.7608774, 0.6682287, 0.5864171, 0.4658578, 0.4655388]
    np.testing.assert_allclose(fit.survival([5, 7, 8, 12, 25, 34, 40, 46])[0], r, atol=5e-4)
    lowest, highest = fit.survival([39, 42])
    assert highest[0] - lowest[0] == pytest.approx(fit.mass[kept][6])  # 39 lies within (38, 40]
    assert lowest[1] == pytest.approx(highest[1]) == pytest.approx(0.4656, abs=6e-5)


def test_turnbull_is_a_maximum():
    """Gentleman & Geyer (Biometrika 1994): no mass can move so as to raise the likelihood."""
    rng = np.random.default_rng(1)
    low = np.round(rng.exponential(20, 150))
    high = np.where(rng.random(150) < 0.3, INF, low + rng.integers(0, 9, 150))
    high = np.where(high == 0, 1.0, high)
    fit = turnbull(low, high)
    inside = np.array([[low_i <= left and right <= high_i if low_i < high_i else left == right == low_i
                        for left, right in zip(fit.left, fit.right, strict=True)]
                       for low_i, high_i in zip(low, high, strict=True)])  # fmt: skip
    inside &= ~((fit.left == fit.right) & (fit.left == low[:, None]) & (low < high)[:, None])
    gradient = (inside / (inside @ fit.mass)[:, None]).sum(axis=0)
    assert gradient.max() < 150 + 1e-3
    np.testing.assert_allclose(gradient[fit.mass > 1e-4], 150, atol=1e-3)


def test_turnbull_without_intervals_is_kaplan_meier():
    _, time, event = two_arms(120, seed=7)
    time = np.ceil(time)
    fit = turnbull(time, np.where(event, time, INF))
    curve = kaplan_meier(time, event)
    lowest, highest = fit.survival([5, 20, 50])
    np.testing.assert_allclose(lowest, curve.at([5, 20, 50]).survival, atol=1e-8)
    np.testing.assert_allclose(highest, lowest)
    spread = turnbull_resampled(time, np.where(event, time, INF), [20], seed=1, replicates=400).std()
    assert spread == pytest.approx(curve.at([20]).std_err[0], rel=0.15)


def test_intervals_undo_what_unequal_imaging_does_to_the_hazard_ratio():
    """No effect, but treated patients are imaged every 2 months and the others every 12.

    Detection dates then make treated patients recur earlier; the intervals know that they do not.
    """
    rng = np.random.default_rng(8)
    n = 4000
    treated = (rng.random(n) < 0.5).astype(float)
    true = rng.exponential(24, n)
    step = np.where(treated == 1, 2.0, 12.0)
    low, high = np.floor(true / step) * step, np.ceil(true / step) * step
    beyond = high > 60
    high = np.where(beyond, INF, high)
    low = np.where(beyond, np.minimum(low, 60), low)
    intervals = weibull_interval(treated, low, high, names=["treated"]).hazard_ratio("treated")
    detected = np.where(beyond, low, high)
    dates = weibull_interval(treated, detected, np.where(beyond, INF, detected), names=["treated"])
    assert abs(intervals.log_estimate) < 2.5 * intervals.log_se
    assert dates.hazard_ratio("treated").log_estimate > 5 * intervals.log_se


def test_a_weibull_weight_is_a_repeated_row_and_zero_is_absent():
    treated, time, event = two_arms(80, seed=9, early=0.6, late=0.6)
    low, high = np.where(event, np.maximum(time - 3, 0), time), np.where(event, time, INF)
    weights = np.random.default_rng(1).integers(0, 4, 80)
    weighted = weibull_interval(treated, low, high, weights=weights)
    repeated = weibull_interval(*(np.repeat(v, weights) for v in (treated, low, high)))
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-8)
    np.testing.assert_allclose(weighted.cov_model, repeated.cov_model, rtol=1e-6)
    assert weighted.n == (weights > 0).sum()


def test_weibull_refuses_what_it_cannot_estimate():
    treated, time, event = two_arms(60, seed=10)
    high = np.where(event, time, INF)
    with pytest.raises(NoEventsError):
        weibull_interval(treated, time, np.full(60, INF))
    with pytest.raises(ConstantCovariateError):
        weibull_interval(np.ones(60), time, high)
    with pytest.raises(SeparationError, match="no events where x1 is 1"):
        weibull_interval(treated, time, np.where(treated == 1, INF, high))
    with pytest.raises(InvalidTimesError, match="position 4"):
        weibull_interval(treated, np.where(np.arange(60) == 4, 90.0, time), np.where(np.arange(60) == 4, 80.0, high))
    with pytest.raises(InvalidTimesError, match="position 2"):
        weibull_interval(treated, np.where(np.arange(60) == 2, -1.0, time), high)
    with pytest.raises(ConvergenceError, match="one time"):
        weibull_interval(treated, np.full(60, 5.0), np.where(event, 5.0, INF))
    with pytest.raises(EmptyGroupError):
        turnbull([], [])


# --- meta-analysis ---------------------------------------------------------------------------------


def test_common_effect_and_heterogeneity_equal_statsmodels():
    combine_effects = pytest.importorskip("statsmodels.stats.meta_analysis").combine_effects
    effects, errors = np.array([-0.4, 0.1, -0.2, 0.3, -0.6]), np.array([0.2, 0.15, 0.3, 0.25, 0.1])
    ours = meta_analysis(effects, errors, list("abcde"))
    theirs = combine_effects(effects, errors**2, method_re="dl", use_t=False)
    assert ours.common.estimate == pytest.approx(theirs.mean_effect_fe, rel=1e-12)
    assert ours.common.std_err == pytest.approx(theirs.sd_eff_w_fe, rel=1e-12)
    assert ours.q == pytest.approx(theirs.q, rel=1e-12)


def test_reml_is_where_the_restricted_likelihood_is_highest():
    effects, errors = np.array([-0.4, 0.1, -0.2, 0.3, -0.6]), np.array([0.2, 0.15, 0.3, 0.25, 0.1])

    def restricted(tau2: float) -> float:
        w = 1 / (errors**2 + tau2)
        mean = w @ effects / w.sum()
        return 0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ (effects - mean) ** 2)

    tau2 = meta_analysis(effects, errors).tau2
    grid = np.linspace(0, 1, 20001)
    assert tau2 == pytest.approx(grid[np.argmax([restricted(value) for value in grid])], abs=5e-5)


def test_agreeing_studies_have_no_heterogeneity_and_no_invented_interval():
    r = meta_analysis([0.2, 0.2, 0.2], [0.1, 0.2, 0.3])
    assert (r.tau2, r.i2, r.tau2_low) == (0, 0, 0)
    assert r.q == pytest.approx(0, abs=1e-20)
    assert np.isnan(r.random.ci_low) or r.random.std_err < 1e-10
    assert r.random_wald.ci_low < 0.2 < r.random_wald.ci_high


def test_meta_analysis_refuses_and_names_the_study():
    with pytest.raises(EmptyGroupError, match="found 1"):
        meta_analysis([0.1], [0.2])
    with pytest.raises(EmptyGroupError, match="found 0"):
        meta_analysis([], [])
    with pytest.raises(EstimationError, match="Lyon"):
        meta_analysis([0.1, 0.2], [0.2, 0.0], ["Turin", "Lyon"])
    with pytest.raises(EstimationError, match="Turin"):
        meta_analysis([np.nan, 0.2], [0.2, 0.1], ["Turin", "Lyon"])
    with pytest.raises(EstimationError, match="standard errors: 3 values for 2"):
        meta_analysis([0.1, 0.2], [0.2, 0.1, 0.1])


def test_intervals_cover_what_they_promise():
    """Hartung-Knapp keeps its level with few studies where Wald's interval does not."""
    rng = np.random.default_rng(11)
    errors = np.array([0.15, 0.2, 0.25, 0.3, 0.2, 0.35])
    hits = np.zeros(2)
    for _ in range(800):
        r = meta_analysis(rng.normal(rng.normal(0.1, 0.3, 6), errors), errors)
        hits += (r.random.ci_low < 0.1 < r.random.ci_high, r.random_wald.ci_low < 0.1 < r.random_wald.ci_high)
    assert hits[0] / 800 == pytest.approx(0.95, abs=0.025)  # three Monte Carlo standard errors
    assert hits[1] / 800 < 0.925


def test_a_prediction_interval_covers_a_new_study_when_there_are_many():
    """With a handful of studies it is known to fall short (Partlett & Riley, Stat Med 2017)."""
    rng = np.random.default_rng(12)
    errors = np.tile([0.1, 0.2, 0.3], 20)
    hits = 0
    for _ in range(800):
        r = meta_analysis(rng.normal(rng.normal(0.1, 0.3, 60), errors), errors)
        hits += r.prediction_low < rng.normal(0.1, 0.3) < r.prediction_high
    assert hits / 800 == pytest.approx(0.95, abs=0.025)


def test_constancy_does_not_depend_on_the_scale_of_weights_and_sees_an_effect_that_wanes():
    """The score test of `cox.zph` takes weights as numbers of patients: weights times ten, a chi2 tenfold."""
    from sorafenib_rfa.stats.cox import cox_fit
    from sorafenib_rfa.stats.proportional_hazards import cox_zph
    from sorafenib_rfa.stats.time_varying import constancy_test

    rng = np.random.default_rng(11)
    n = 1500
    treated = rng.integers(0, 2, n).astype(float)
    early = rng.exponential(10 / np.where(treated == 1, 0.4, 1.0))  # protects for ten months, then no more
    time = np.where(early < 10, early, 10 + rng.exponential(10, n))
    weights = rng.uniform(0.1, 0.9, n)
    event = np.ones(n, dtype=bool)
    once = constancy_test(treated, time, event, weights=weights)
    tenfold = constancy_test(treated, time, event, weights=10 * weights)
    assert once.chi2 == pytest.approx(tenfold.chi2, rel=1e-9)
    assert once.p < 1e-4 and once.df == 1
    zph = [cox_zph(cox_fit(treated[:, None], time, event, weights=k * weights, robust=True)) for k in (1, 10)]
    assert zph[1]["chi2"].iloc[0] > 5 * zph[0]["chi2"].iloc[0]
    constant = rng.exponential(10 / np.where(treated == 1, 0.6, 1.0))
    assert constancy_test(treated, constant, event, weights=weights).p > 0.01
