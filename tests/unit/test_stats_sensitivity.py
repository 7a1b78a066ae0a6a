"""Matching, imputation, E-values, tipping points: what a user would notice (equality with R: tests/reference)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sorafenib_rfa.stats.clone_censor import CloneDesign, ScoredInitiation
from sorafenib_rfa.stats.clone_censor_sandwich import sandwich_log_hazard_ratios
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import (
    BeyondFollowUpError,
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidEventsError,
    InvalidTimesError,
    InvalidWeightsError,
    NoEventsError,
)
from sorafenib_rfa.stats.evalue import e_value
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.matching import caliper_match, match_on_score, paired_rmst
from sorafenib_rfa.stats.multiple_imputation import (
    Incomplete,
    draw_linear,
    impute,
    multinomial_mode,
    nelson_aalen,
    pool,
)
from sorafenib_rfa.stats.tipping import CensoringModel, confounding_bias, tipping_prevalence
from sorafenib_rfa.stats.weighted_risk import weighted_risks

# --- matching ---------------------------------------------------------------------------------------


def test_each_treated_takes_the_nearest_untreated_left_by_those_with_higher_scores() -> None:
    score = np.array([3.0, 1.0, 0.9, 2.9, 0.2, -4.0])
    treated = np.array([1, 1, 0, 0, 0, 0])
    matching = match_on_score(score, treated, 10.0)
    assert matching.pairs.tolist() == [[0, 3], [1, 2]]
    # the second treated now scores highest of all but 2.9 is still nearer to 3.1 than to 2.8
    matching = match_on_score(np.array([2.8, 3.1, 0.9, 2.9, 0.2, -4.0]), treated, 10.0)
    assert matching.pairs.tolist() == [[0, 2], [1, 3]]
    assert (matching.unmatched_treated, matching.unmatched_control) == (0, 2)
    assert matching.matched.tolist() == [True, True, True, True, False, False]
    assert matching.pair_of_member.tolist() == [0, 1, 0, 1]


def _greedy(score: np.ndarray, treated: np.ndarray, caliper: float) -> list[list[int]]:
    """Match by looking at everyone, as the documentation says it."""
    free = set(np.flatnonzero(treated == 0).tolist())
    place = {int(row): rank for rank, row in enumerate(np.lexsort((np.arange(len(score)), score)))}
    pairs = []
    for row in sorted(np.flatnonzero(treated == 1).tolist(), key=lambda i: (-score[i], i)):
        near = [other for other in free if abs(score[other] - score[row]) <= caliper]
        if near:
            best = min(
                near, key=lambda i: (abs(score[i] - score[row]), place[i] > place[row], abs(place[i] - place[row]))
            )
            free.remove(best)
            pairs.append([row, best])
    return sorted(pairs)


@pytest.mark.parametrize("seed", range(6))
def test_matching_is_the_greedy_rule_it_says_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 25, 120) / 4  # quarters: equal gaps are equal in floating point
    treated = (rng.random(120) < 0.4).astype(int)
    matching = match_on_score(score, treated, 0.15)
    assert matching.pairs.tolist() == _greedy(score, treated, matching.caliper)
    assert len(set(matching.members.tolist())) == len(matching.members)


def test_scores_that_differ_by_rounding_only_tie() -> None:
    treated = np.array([1, 0, 0, 0])
    exact = match_on_score([0.3, 0.3, 0.3, 0.9], treated, 1.0)
    noisy = match_on_score([0.1 + 0.2, 0.3, 0.3 - 1e-15, 0.9], treated, 1.0)
    assert exact.pairs.tolist() == noisy.pairs.tolist() == [[0, 1]]


def test_nobody_outside_the_caliper_is_matched() -> None:
    rng = np.random.default_rng(3)
    score = rng.uniform(0.02, 0.98, 300)
    treated = rng.random(300) < score
    matching = caliper_match(score, treated, 0.2)
    logits = np.log(score / (1 - score))
    assert matching.caliper == pytest.approx(0.2 * logits.std(ddof=1), rel=1e-7)
    gaps = np.abs(logits[matching.pairs[:, 0]] - logits[matching.pairs[:, 1]])
    assert gaps.max() <= matching.caliper + 1e-7
    assert len(matching.pairs) + matching.unmatched_treated == treated.sum()


@pytest.mark.parametrize(
    ("score", "treated", "error", "says"),
    [
        ([0.2, 0.4], [1, 1], EmptyGroupError, "treated and untreated"),
        ([0.2, 0.4], [0, 0], EmptyGroupError, "treated and untreated"),
        ([0.0, 0.4], [0, 1], EstimationError, "strictly between 0 and 1"),
        ([np.nan, 0.4], [0, 1], EstimationError, "strictly between 0 and 1"),
        ([0.001, 0.999, 0.998, 0.002], [0, 1, 1, 0], EmptyGroupError, "within the caliper"),
        ([0.2, 0.4], [0, 2], InvalidEventsError, "0 .* or 1"),
    ],
)
def test_matching_refuses(score: list[float], treated: list[int], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        caliper_match(score, treated, 0.2)


def test_pairing_narrows_the_interval_when_partners_fare_alike() -> None:
    rng = np.random.default_rng(5)
    frailty = rng.gamma(2, 0.5, 200)
    time = np.concatenate([rng.exponential(10 / frailty), rng.exponential(10 / frailty)])
    event = time < 12
    time = np.minimum(time, 12)
    score = np.tile(np.arange(200) / 10, 2)
    matching = match_on_score(score, np.repeat([1, 0], 200), 0.001)
    paired = paired_rmst(time, event, matching, 12)
    free = rmst_contrast(time, event, np.repeat([1, 0], 200), 12, reference=0, variance="robust")
    assert paired.difference == pytest.approx(free.difference)
    assert paired.std_err < 0.95 * free.difference_std_err


def test_paired_means_do_not_reach_beyond_follow_up() -> None:
    matching = match_on_score([0.0, 0.1, 0.2, 0.3], [1, 0, 1, 0], 1.0)
    with pytest.raises(BeyondFollowUpError):
        paired_rmst([1, 2, 3, 4], [1, 0, 0, 0], matching, 10)


# --- E-values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "estimate", "limit"),
    [
        # VanderWeele and Ding, Ann Intern Med 2017;167:268-274: breast feeding and infant death; leukaemia
        ((3.9, 1.8, 8.7), 7.26, 3.0),
        ((0.80, 0.71, 0.91), 1.81, 1.43),
    ],
)
def test_published_e_values(ratio: tuple[float, float, float], estimate: float, limit: float) -> None:
    found = e_value(*ratio, rare=True)
    assert found.estimate == pytest.approx(estimate, abs=0.005)
    assert found.limit == pytest.approx(limit, abs=0.005)


def test_an_e_value_is_one_for_an_interval_that_holds_one_and_the_same_either_way_round() -> None:
    assert e_value(0.9, 0.7, 1.1).limit == 1
    assert e_value(1.0, 0.7, 1.4).estimate == 1
    below, above = e_value(0.6, 0.5, 0.8), e_value(1 / 0.6, 1 / 0.8, 1 / 0.5)
    assert (below.estimate, below.limit) == pytest.approx((above.estimate, above.limit))
    # a common outcome's hazard ratio overstates the risk ratio
    assert e_value(0.6, 0.5, 0.8).estimate < e_value(0.6, 0.5, 0.8, rare=True).estimate


@pytest.mark.parametrize("values", [(0.0, 0.0, 1.0), (np.nan, 0.5, 1.0), (2.0, 0.5, 1.0), (-1.0, -2.0, 1.0)])
def test_an_e_value_needs_a_ratio_within_its_interval(values: tuple[float, float, float]) -> None:
    with pytest.raises(EstimationError, match="within its interval"):
        e_value(*values)


# --- unmeasured confounding -------------------------------------------------------------------------


def test_a_confounder_alike_in_both_arms_or_without_effect_does_not_bias() -> None:
    assert confounding_bias(0.3, 0.3, 4.0) == pytest.approx(1.0)
    assert confounding_bias(0.9, 0.1, 1.0) == pytest.approx(1.0)
    # swapping the arms turns the bias round
    assert confounding_bias(0.7, 0.2, 2.5) * confounding_bias(0.2, 0.7, 2.5) == pytest.approx(1.0)


def test_the_bias_is_that_of_the_marginal_hazards_early_on() -> None:
    """Numerically: survival is a mixture over the confounder, and its hazard ratio at the start is the biased one."""
    prevalences, gamma, hr, t = (0.6, 0.25), 3.0, 0.8, 1e-7
    hazards = []
    for prevalence, rate in zip(prevalences, (0.1 * hr, 0.1), strict=True):
        survival = prevalence * np.exp(-rate * gamma * t) + (1 - prevalence) * np.exp(-rate * t)
        hazards.append(-np.log(survival) / t)
    assert hazards[0] / hazards[1] / confounding_bias(*prevalences, gamma) == pytest.approx(hr, rel=1e-5)


def test_at_the_tipping_prevalence_the_corrected_ratio_is_one() -> None:
    control = np.array([0.0, 0.1, 0.4, 0.9])
    treated = tipping_prevalence(1.4, 2.0, control)
    assert np.isnan(treated[-1])  # it would have to be above 1
    known = np.isfinite(treated)
    assert 1.4 / confounding_bias(treated[known], control[known], 2.0) == pytest.approx(1.0)


@pytest.mark.parametrize("values", [(1.2, 0.1, 2.0), (0.1, -0.1, 2.0), (0.1, 0.1, 0.0), (np.nan, 0.1, 2.0)])
def test_impossible_confounders_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(EstimationError):
        confounding_bias(*values)


# --- informative censoring ----------------------------------------------------------------------------


def _arms(n: int = 240, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.5
    failing = np.ceil(rng.exponential(np.where(treated, 20, 14)))
    leaving = np.ceil(rng.uniform(2, 60, n))
    return np.minimum(failing, leaving), failing <= leaving, treated, rng.uniform(0.2, 1.5, n)


def test_uninformative_censoring_gives_the_kaplan_meier_means_back() -> None:
    time, event, treated, weights = _arms()
    found = CensoringModel(time, event, treated, weights, 24).completed()
    known = rmst_contrast(time, event, treated, 24, reference=False, weights=weights)
    assert found.rmst_difference[0] == pytest.approx(known.difference, rel=1e-12)


def test_without_censoring_before_the_horizon_nothing_can_tip_and_the_ratio_is_coxs() -> None:
    time, _, treated, weights = _arms()
    everyone = np.ones(time.size, dtype=bool)
    time = np.append(time, [100, 101])
    event, treated, weights = np.append(everyone, [0, 0]), np.append(treated, [1, 0]), np.append(weights, [1, 1])
    model = CensoringModel(time, event, treated, weights, 24)
    first, second = model.completed(), model.completed(3.0, 0.5)
    assert second.rmst_difference == pytest.approx(first.rmst_difference)
    cut = cox_fit(
        treated.astype(float), np.minimum(time, 24), (event == 1) & (time <= 24), weights=weights, ties="breslow"
    )
    assert first.log_hazard_ratio[0] == pytest.approx(cut.coef[0], rel=1e-8)


def test_a_worse_fate_of_the_censored_worsens_their_arm_only() -> None:
    model = CensoringModel(*_arms()[:3], np.ones(240), 24)
    deltas = [0.25, 0.5, 1.0, 2.0, 4.0]
    treated = [model.completed(delta, 1.0) for delta in deltas]
    assert (np.diff([found.rmst_treated[0] for found in treated]) < 0).all()
    assert np.ptp([found.rmst_control[0] for found in treated]) < 1e-12
    assert (np.diff([found.log_hazard_ratio[0] for found in treated]) > 0).all()
    assert (np.diff([model.completed(1.0, delta).log_hazard_ratio[0] for delta in deltas]) < 0).all()


def test_a_resample_counts_as_its_rows_repeated() -> None:
    time, event, treated, weights = _arms(120)
    drawn = np.random.default_rng(1).multinomial(120, np.full(120, 1 / 120), size=3)
    together = CensoringModel(time, event, treated, drawn * weights, 20).completed(2.0, 0.5)
    for row, multiplicity in enumerate(drawn):
        repeated = np.repeat(np.arange(120), multiplicity)
        alone = CensoringModel(time[repeated], event[repeated], treated[repeated], weights[repeated], 20)
        found = alone.completed(2.0, 0.5)
        assert together.rmst_difference[row] == pytest.approx(found.rmst_difference[0])
        assert together.log_hazard_ratio[row] == pytest.approx(found.log_hazard_ratio[0])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"treated": np.ones(240)}, EmptyGroupError),
        ({"event": np.zeros(240)}, NoEventsError),
        ({"tau": 1000.0}, BeyondFollowUpError),
        ({"time": np.zeros(240)}, InvalidTimesError),
        ({"time": np.full(240, -1.0)}, InvalidTimesError),
        ({"weights": np.full(240, np.nan)}, InvalidWeightsError),
        ({"weights": np.ones(5)}, InvalidWeightsError),
    ],
)
def test_censoring_model_refuses(change: dict[str, Any], error: type[Exception]) -> None:
    time, event, treated, weights = _arms()
    values = {"time": time, "event": event, "treated": treated, "weights": weights, "tau": 24.0} | change
    with pytest.raises(error):
        CensoringModel(**values)


# --- weighted risks ---------------------------------------------------------------------------------


def test_unit_weights_give_plain_proportions() -> None:
    outcome, treated = np.repeat([1, 0, 1, 0], [6, 24, 5, 45]), np.repeat([1, 0], [30, 50])
    found = weighted_risks(outcome, treated)
    assert (found.treated.estimate, found.control.estimate) == pytest.approx((0.2, 0.1))
    assert found.difference.std_err == pytest.approx(np.sqrt(0.2 * 0.8 / 30 + 0.1 * 0.9 / 50))
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(2.0)
    # Katz's standard error of the log ratio
    assert found.ratio.std_err == pytest.approx(np.sqrt(1 / 6 - 1 / 30 + 1 / 5 - 1 / 50))
    assert (found.n_events_treated, found.n_events_control) == (6, 5)


def test_no_ratio_without_an_event_in_an_arm() -> None:
    found = weighted_risks([0, 0, 1, 0], [1, 1, 0, 0])
    assert found.ratio is None
    assert found.difference.estimate == pytest.approx(-0.5)
    with pytest.raises(EmptyGroupError, match="untreated"):
        weighted_risks([0, 1], [1, 1])
    with pytest.raises(InvalidWeightsError):
        weighted_risks([0, 1], [1, 0], [np.nan, 1.0])


# --- multiple imputation ------------------------------------------------------------------------------


def test_draws_of_a_linear_regression_have_the_posterior_moments() -> None:
    """Closed form: a multivariate t with mean OLS and covariance s^2 (X'X)^-1 nu / (nu - 2)."""
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(60), rng.normal(size=60), rng.normal(size=60)])
    y = x @ [1.0, 2.0, -1.0] + rng.normal(size=60)
    ols, residual, *_ = np.linalg.lstsq(x, y, rcond=None)
    nu = 57
    covariance = residual[0] / nu * np.linalg.inv(x.T @ x) * nu / (nu - 2)
    found = [draw_linear(x, y, rng, ridge=0.0) for _ in range(20_000)]
    assert found[0][0] == pytest.approx(ols)
    draws = np.array([draw for _, draw, _ in found])
    assert draws.mean(axis=0) == pytest.approx(ols, abs=4 * np.sqrt(covariance.diagonal().max() / 20_000))
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.04 * covariance.diagonal().max())
    sigmas = np.array([sigma for *_, sigma in found])
    assert (sigmas**2).mean() == pytest.approx(residual[0] / (nu - 2), rel=0.02)


def test_the_multinomial_mode_without_a_prior_is_the_maximum_likelihood_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    eta = np.column_stack([np.zeros(400), x @ [0.3, 1.0, 0.0], x @ [-0.5, 0.0, -1.2]])
    codes = np.array([rng.choice(3, p=np.exp(e) / np.exp(e).sum()) for e in eta])
    mode, factor = multinomial_mode(x, codes, prior_sd=1e6)
    fit = sm.MNLogit(codes, x).fit(disp=0, tol=1e-12)
    assert mode == pytest.approx(np.asarray(fit.params).T, abs=1e-6)
    assert np.linalg.inv(factor @ factor.T) == pytest.approx(np.asarray(fit.cov_params()), abs=1e-6)


def test_perfect_prediction_still_has_a_mode() -> None:
    x = np.column_stack([np.ones(40), np.repeat([-1.0, 1.0], 20)])
    mode, _ = multinomial_mode(x, np.repeat([0, 1], 20))
    assert np.isfinite(mode).all()
    assert mode[0, 1] > 1


def test_imputation_recovers_a_regression_that_complete_cases_miss() -> None:
    """Missing at random given the outcome: complete cases are biased, imputation that knows the outcome is not."""
    rng = np.random.default_rng(21)
    n = 3000
    x = rng.normal(size=n)
    y = 0.5 + x + rng.normal(size=n)
    gaps = rng.random(n) < 1 / (1 + np.exp(-2 * y))

    def slope(values: np.ndarray, outcome: np.ndarray) -> tuple[float, float]:
        design = np.column_stack([np.ones(values.size), values])
        beta, rss, *_ = np.linalg.lstsq(design, outcome, rcond=None)
        return beta[1], float(rss[0] / (values.size - 2) * np.linalg.inv(design.T @ design)[1, 1])

    complete, complete_variance = slope(x[~gaps], y[~gaps])
    sets = impute([Incomplete("x", np.where(gaps, np.nan, x))], y, imputations=20, seed=1)
    pooled = pool(*np.array([slope(done["x"], y) for done in sets]).T, n - 2)
    assert abs(complete - 1) > 4 * np.sqrt(complete_variance)
    assert pooled.ci_low < 1 < pooled.ci_high
    assert 0.2 < pooled.fmi < 0.9


def test_imputed_categories_follow_what_predicts_them() -> None:
    rng = np.random.default_rng(8)
    n = 4000
    z = rng.integers(0, 2, n).astype(float)
    category = np.where(z == 1, rng.choice(3, n, p=[0.1, 0.2, 0.7]), rng.choice(3, n, p=[0.7, 0.2, 0.1])).astype(float)
    gaps = rng.random(n) < 0.4
    done = impute([Incomplete("c", np.where(gaps, np.nan, category), 3)], z, imputations=5, seed=2)
    shares = np.mean([np.mean(d["c"][gaps & (z == 1)] == 2) for d in done])
    assert shares == pytest.approx(0.7, abs=0.03)
    assert all(np.array_equal(d["c"][~gaps], category[~gaps]) for d in done)


def test_imputations_are_donors_values_differ_and_come_again_with_the_seed() -> None:
    rng = np.random.default_rng(6)
    known = rng.normal(size=(80, 2))
    a = np.where(rng.random(80) < 0.2, np.nan, np.round(known[:, 0], 1))
    b = np.where(rng.random(80) < 0.2, np.nan, rng.integers(0, 2, 80)).astype(float)
    variables = [Incomplete("a", a), Incomplete("b", b, 2)]
    first, again = (impute(variables, known, imputations=3, seed=9) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for one, other in zip(first, again, strict=True) for name in one)
    assert set(first[0]["a"]) <= set(a[~np.isnan(a)])
    assert not np.array_equal(first[0]["a"], first[1]["a"])
    assert not np.isnan(first[2]["b"]).any()


def test_imputation_refuses_what_it_cannot_know() -> None:
    with pytest.raises(InvalidCovariatesError, match="missing in everyone"):
        impute([Incomplete("a", np.full(5, np.nan))], np.arange(5.0), imputations=2, seed=1)
    with pytest.raises(InvalidCovariatesError, match="missing or infinite"):
        impute([Incomplete("a", np.array([1.0, np.nan]))], [np.nan, 1.0], imputations=2, seed=1)
    with pytest.raises(InvalidTimesError):
        nelson_aalen([0.0, 1.0], [1, 0])


def test_a_constant_predictor_and_a_single_level_do_no_harm() -> None:
    values = np.array([1.0, 1.0, np.nan, 1.0])
    done = impute([Incomplete("c", values, 2)], np.column_stack([np.ones(4), np.arange(4.0)]), imputations=2, seed=1)
    assert done[0]["c"].tolist() == [1.0] * 4


def test_rubins_rules_without_spread_between_imputations_are_the_complete_data() -> None:
    pooled = pool([0.2, 0.2, 0.2], [0.04, 0.04, 0.04])
    assert (pooled.estimate, pooled.std_err, pooled.fmi) == pytest.approx((0.2, 0.2, 0.0))
    assert pooled.ci_high == pytest.approx(0.2 + 1.959964 * 0.2)
    for estimates, variances in (([0.1], [0.1]), ([0.1, np.nan], [0.1, 0.1]), ([0.1, 0.2], [0.1, 0.0])):
        with pytest.raises(EstimationError):
            pool(estimates, variances)


# --- sandwich variance of clones ------------------------------------------------------------------------


@pytest.mark.parametrize("tilt", ["overlap", "ate"])
def test_the_sandwich_is_that_of_a_cox_model_on_the_copies(tilt: Any) -> None:
    rng = np.random.default_rng(5)
    n = 250
    x = rng.normal(size=n)
    propensity = 1 / (1 + np.exp(0.3 - x))
    start = np.where(rng.random(n) < propensity, np.ceil(rng.random(n) * 8), np.inf)
    time, event = np.ceil(rng.exponential(30, n)), rng.random(n) < 0.7
    until = np.where(rng.random(n) < 0.1, np.ceil(rng.random(n) * 8), np.inf)
    design = CloneDesign.prepare(time, event, start, 8.0, until=until)
    both = np.array([propensity, np.full(n, 0.4)])
    initiation = ScoredInitiation.fitted(design.times, both, design.start, np.ones((2, n)), time >= 8)
    log_hr, std_err = sandwich_log_hazard_ratios(design, initiation, 2, tilt=tilt)
    for number in range(2):
        rows = design.rows(initiation.part(slice(number, number + 1)), tilt=tilt)
        fit = cox_fit(
            (rows["arm"] == 0).astype(float),
            rows["stop"],
            rows["event"],
            start=rows["start"],
            weights=rows["weight"],
            cluster=rows["patient"],
        )
        assert (log_hr[number], std_err[number]) == pytest.approx((fit.coef[0], fit.se[0]), rel=1e-7)


def test_no_events_under_a_strategy_is_said() -> None:
    start = np.repeat([1.0, np.inf], 10)
    time = np.repeat([20.0, 30.0], 10) + np.arange(20)
    design = CloneDesign.prepare(time, np.repeat([0, 1], 10), start, 2.0)
    initiation = ScoredInitiation.fitted(
        design.times, np.full((1, 20), 0.5), design.start, np.ones((1, 20)), np.ones(20, dtype=bool)
    )
    with pytest.raises(NoEventsError, match="no finite hazard ratio"):
        sandwich_log_hazard_ratios(design, initiation, 1)
