"""What a synthesis hangs on: each study left out, studies added, small studies; and what must not matter to it.

Agreement with metafor 3.8-1 is in tests/reference (families time_to_event and meta_analysis): pooling, intervals and
prediction, leave-one-out, cumulative syntheses and Egger's test, on metafor's data and on the published hazard ratios.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sorafenib_rfa.stats.errors import ConstantCovariateError, EmptyGroupError, EstimationError
from sorafenib_rfa.stats.meta_analysis import MetaAnalysis, cumulative, egger_test, leave_one_out, meta_analysis

EFFECTS = [-0.4, 0.1, -0.2, 0.3, -0.6]
STD_ERRS = [0.2, 0.15, 0.3, 0.25, 0.1]
LABELS = ["Ancona", "Bari", "Como", "Darfo", "Este"]


class Studies(NamedTuple):
    effects: np.ndarray
    std_errs: np.ndarray


@st.composite
def studies(draw: st.DrawFn, least: int = 2, most: int = 9) -> Studies:
    """Log hazard ratios printed with two decimals, and standard errors of trials of some tens to some hundreds."""
    k = draw(st.integers(least, most))
    effects = draw(st.lists(st.integers(-150, 150), min_size=k, max_size=k))
    errors = draw(st.lists(st.integers(5, 60), min_size=k, max_size=k))
    assume(len(set(effects)) > 1)
    return Studies(np.array(effects) / 100, np.array(errors) / 100)


def limits(r: MetaAnalysis) -> np.ndarray:
    """Everything on the scale of the effects: estimates, limits, predictions."""
    pooled = [value for p in (r.common, r.random, r.random_wald) for value in (p.estimate, p.ci_low, p.ci_high)]
    return np.array([*pooled, r.prediction_low, r.prediction_high])


def scatter(r: MetaAnalysis) -> np.ndarray:
    """Everything that is about how far effects lie apart."""
    errors = [p.std_err for p in (r.common, r.random, r.random_wald)]
    return np.array([*errors, r.tau2, r.tau2_low, r.tau2_high, r.q, r.q_p, r.i2, r.i2_low, r.i2_high])


# --- theorems --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(studies(), st.randoms(use_true_random=False), st.booleans())
def test_order_of_studies_does_not_matter(s: Studies, random, at_least_wald: bool) -> None:
    order = list(range(len(s.effects)))
    random.shuffle(order)
    names = [f"study {i}" for i in order]
    r = meta_analysis(s.effects, s.std_errs, at_least_wald=at_least_wald)
    again = meta_analysis(s.effects[order], s.std_errs[order], names, at_least_wald=at_least_wald)
    np.testing.assert_allclose(limits(again), limits(r), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(scatter(again), scatter(r), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(again.weights_random, r.weights_random[order], rtol=1e-6)
    assert again.labels == tuple(names)


@settings(max_examples=60, deadline=None)
@given(studies(), st.booleans())
def test_arms_changed_over_mirror_estimates_and_limits(s: Studies, at_least_wald: bool) -> None:
    r = meta_analysis(s.effects, s.std_errs, at_least_wald=at_least_wald)
    mirrored = meta_analysis(-s.effects, s.std_errs, at_least_wald=at_least_wald)
    for mine, theirs in (
        (r.common, mirrored.common),
        (r.random, mirrored.random),
        (r.random_wald, mirrored.random_wald),
    ):
        np.testing.assert_allclose(
            [-theirs.estimate, -theirs.ci_high, -theirs.ci_low, theirs.p],
            [mine.estimate, mine.ci_low, mine.ci_high, mine.p],
            atol=1e-10,
        )
    assert -mirrored.prediction_high == pytest.approx(r.prediction_low, abs=1e-10)
    np.testing.assert_allclose(scatter(mirrored), scatter(r), atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(studies(), st.integers(-300, 300))
def test_a_constant_added_moves_all_and_changes_no_scatter(s: Studies, hundredths: int) -> None:
    shift = hundredths / 100
    r, moved = meta_analysis(*s), meta_analysis(s.effects + shift, s.std_errs)
    np.testing.assert_allclose(limits(moved), limits(r) + shift, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(scatter(moved), scatter(r), rtol=1e-5, atol=1e-8)


@settings(max_examples=100, deadline=None)
@given(studies())
def test_random_effects_are_never_surer_than_one_common_effect(s: Studies) -> None:
    """With the correction: tau squared widens, and Hartung-Knapp is not let below Wald. Without it, it may be."""
    r = meta_analysis(*s, at_least_wald=True)
    assert r.random.std_err >= r.random_wald.std_err >= r.common.std_err * (1 - 1e-12)
    width = r.random.ci_high - r.random.ci_low
    assert width >= (r.random_wald.ci_high - r.random_wald.ci_low) * (1 - 1e-12)
    assert width >= (r.common.ci_high - r.common.ci_low) * (1 - 1e-12)
    assert r.prediction_low <= r.random.ci_low
    assert r.prediction_high >= r.random.ci_high
    assert min(s.effects) - 1e-9 <= r.random.estimate <= max(s.effects) + 1e-9
    assert r.tau2_low <= r.tau2_high


def test_hartung_knapp_alone_may_be_surer_than_a_common_effect() -> None:
    """Why the correction is there: effects that agree better than chance allows."""
    r = meta_analysis([0.10, 0.12, 0.11], [0.2, 0.2, 0.2])
    assert r.random.ci_high - r.random.ci_low < r.common.ci_high - r.common.ci_low
    safe = meta_analysis([0.10, 0.12, 0.11], [0.2, 0.2, 0.2], at_least_wald=True)
    assert safe.random.ci_high - safe.random.ci_low > safe.common.ci_high - safe.common.ci_low


def test_tau_squared_is_found_where_scoring_goes_to_and_fro() -> None:
    """Full steps never arrive here (nor do metafor's); the restricted likelihood has its maximum all the same."""
    effects, errors = np.array([0, 0, 0.1, 0, 0, 0, 0]), np.array([0.05, 0.09, 0.05, 0.1, 0.11, 0.11, 0.15])

    def restricted(tau2: float) -> float:
        w = 1 / (errors**2 + tau2)
        return 0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ (effects - w @ effects / w.sum()) ** 2)

    tau2 = meta_analysis(effects, errors).tau2
    assert 0 < tau2 < 1e-5
    assert restricted(tau2) >= max(restricted(x) for x in np.linspace(0, 1e-4, 2001))


# --- left out, added one by one --------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(studies(least=3), st.booleans())
def test_leaving_one_out_is_pooling_the_others(s: Studies, at_least_wald: bool) -> None:
    found = leave_one_out(*s, at_least_wald=at_least_wald)
    assert len(found) == len(s.effects)
    for i, r in enumerate(found):
        kept = np.arange(len(s.effects)) != i
        others = meta_analysis(s.effects[kept], s.std_errs[kept], at_least_wald=at_least_wald)
        np.testing.assert_array_equal(limits(r), limits(others))
        assert str(i + 1) not in r.labels
    # the common effect of all lies among those with one left out
    common = [r.common.estimate for r in found]
    assert min(common) - 1e-9 <= meta_analysis(*s).common.estimate <= max(common) + 1e-9


def test_what_is_left_out_and_added_is_named_in_the_order_given() -> None:
    left = leave_one_out(EFFECTS, STD_ERRS, LABELS, level=0.9)
    assert [set(LABELS) - set(r.labels) for r in left] == [{label} for label in LABELS]
    assert {r.level for r in left} == {0.9}
    added = cumulative(EFFECTS, STD_ERRS, LABELS)
    assert [r.labels for r in added] == [tuple(LABELS[:k]) for k in (2, 3, 4, 5)]
    np.testing.assert_array_equal(limits(added[-1]), limits(meta_analysis(EFFECTS, STD_ERRS)))
    backwards = cumulative(EFFECTS[::-1], STD_ERRS[::-1], LABELS[::-1])
    assert backwards[0].labels == ("Este", "Darfo")


@settings(max_examples=40, deadline=None)
@given(studies())
def test_each_added_study_makes_a_common_effect_surer(s: Studies) -> None:
    errors = [r.common.std_err for r in cumulative(*s)]
    assert (np.diff(errors) < 0).all()


# --- prediction ------------------------------------------------------------------------------------


def test_both_predictions_by_hand() -> None:
    """t with k - 1 and the Hartung-Knapp variance; t with k - 2 and Wald's (tables of Student's t: 2.776, 3.182)."""
    r = meta_analysis(EFFECTS, STD_ERRS)
    reach = 2.776445 * np.sqrt(r.tau2 + r.random.std_err**2)
    assert r.prediction_high == pytest.approx(r.random.estimate + reach, rel=1e-6)
    reach = 3.182446 * np.sqrt(r.tau2 + r.random_wald.std_err**2)
    low, high = r.prediction_higgins()
    assert high == pytest.approx(r.random.estimate + reach, rel=1e-6)
    assert low == pytest.approx(r.random.estimate - reach, rel=1e-6)


# --- small studies ---------------------------------------------------------------------------------


def test_egger_equals_least_squares_of_statsmodels() -> None:
    """Egger's own form: standardised effects on precision; its intercept is our slope."""
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    errors = rng.uniform(0.1, 0.5, 14)
    effects = rng.normal(0.2 - 1.5 * errors, errors)
    fit = api.OLS(effects / errors, api.add_constant(1 / errors)).fit()
    r = egger_test(effects, errors)
    assert (r.estimate, r.std_err, r.p) == pytest.approx((fit.params[0], fit.bse[0], fit.pvalues[0]), rel=1e-9)
    assert (r.ci_low, r.ci_high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)
    assert r.limit_estimate == pytest.approx(fit.params[1], rel=1e-9)
    assert (r.limit_low, r.limit_high) == pytest.approx(tuple(fit.conf_int()[1]), rel=1e-9)
    assert (r.k, r.df) == (14, 12)
    assert r.statistic == pytest.approx(r.estimate / r.std_err)


def test_egger_sees_small_studies_that_are_missing_and_is_quiet_otherwise() -> None:
    rng = np.random.default_rng(8)
    errors = np.linspace(0.05, 0.6, 30)
    quiet = [egger_test(rng.normal(-0.1, errors), errors).p < 0.05 for _ in range(400)]
    assert abs(np.mean(quiet) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)
    asymmetric = [egger_test(rng.normal(-0.1 - 1.5 * errors, errors), errors) for _ in range(100)]
    assert np.mean([r.p < 0.05 for r in asymmetric]) > 0.8
    assert np.mean([r.limit_estimate for r in asymmetric]) == pytest.approx(-0.1, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(studies(least=10, most=14))
def test_egger_mirrors_when_arms_change_over(s: Studies) -> None:
    assume(len(set(s.std_errs)) > 1)
    r, mirrored = egger_test(*s), egger_test(-s.effects, s.std_errs)
    assert mirrored.estimate == pytest.approx(-r.estimate, abs=1e-10)
    assert mirrored.p == pytest.approx(r.p, abs=1e-10, nan_ok=True)  # points on a line have no p
    assert mirrored.limit_low == pytest.approx(-r.limit_high, abs=1e-10)


# --- too few, and impossible -----------------------------------------------------------------------


def test_too_few_studies_are_refused() -> None:
    with pytest.raises(EmptyGroupError, match="three studies are needed to leave one out, found 2"):
        leave_one_out(EFFECTS[:2], STD_ERRS[:2])
    with pytest.raises(EmptyGroupError, match="two studies are needed, found 1"):
        cumulative(EFFECTS[:1], STD_ERRS[:1])
    with pytest.raises(EmptyGroupError, match="two studies are needed, found 0"):
        cumulative([], [])
    with pytest.raises(EmptyGroupError, match="three studies are needed for this prediction interval, found 2"):
        meta_analysis(EFFECTS[:2], STD_ERRS[:2]).prediction_higgins()
    with pytest.raises(EmptyGroupError, match="10 studies or more, found 5"):
        egger_test(EFFECTS, STD_ERRS)
    with pytest.raises(ValueError, match="minimum must be at least 3"):
        egger_test(EFFECTS, STD_ERRS, minimum=2)
    assert egger_test(EFFECTS, STD_ERRS, minimum=5).df == 3


def test_two_studies_are_pooled_with_one_degree_of_freedom() -> None:
    """t on one degree of freedom (12.706): the interval says how little two studies tell."""
    r = meta_analysis([0.1, 0.9], [0.3, 0.15], at_least_wald=True)
    assert r.k == 2
    assert r.random.ci_high - r.random.estimate == pytest.approx(12.7062 * r.random.std_err, rel=1e-5)
    [only] = cumulative([0.1, 0.9], [0.3, 0.15], at_least_wald=True)
    np.testing.assert_array_equal(limits(only), limits(r))


@pytest.mark.parametrize("function", [leave_one_out, cumulative])
def test_impossible_values_are_refused_and_the_study_named(function) -> None:
    with pytest.raises(EstimationError, match="Como"):
        function(EFFECTS, [0.2, 0.15, 0.0, 0.25, 0.1], LABELS)
    with pytest.raises(EstimationError, match="Bari"):
        function([-0.4, np.nan, -0.2, 0.3, -0.6], STD_ERRS, LABELS)
    with pytest.raises(EstimationError, match="2 labels for 5 effects"):
        function(EFFECTS, STD_ERRS, LABELS[:2])
    with pytest.raises(EstimationError, match="3 values for 5"):
        function(EFFECTS, STD_ERRS[:3])


def test_egger_refuses_what_it_cannot_see() -> None:
    with pytest.raises(ConstantCovariateError, match="same standard error"):
        egger_test(np.arange(12.0), np.full(12, 0.2))
    with pytest.raises(EstimationError, match="above zero"):
        egger_test(np.arange(12.0), np.append(np.full(11, 0.2), -1))
