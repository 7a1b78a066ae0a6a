"""Proportions, balance, propensity scores: closed forms, properties, refusals (R: tests/reference)."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.stats import (
    clopper_pearson,
    covariate_matrix,
    effective_sample_size,
    incidence_rate,
    logistic_fit,
    newcombe_difference,
    propensity_weights,
    rate_ratio,
    restricted_cubic_spline,
    risk_ratio,
    smd_binary,
    smd_categorical,
    smd_continuous,
    variance_ratio,
    wilson,
)
from sorafenib_rfa.stats.errors import (
    CollinearCovariatesError,
    ConstantCovariateError,
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidEventsError,
    InvalidTimesError,
    InvalidWeightsError,
    SeparationError,
)
from sorafenib_rfa.stats.propensity import common_support, harrell_knots, truncate_weights, within_score_range

# -- proportions -------------------------------------------------------------------------------------------------------


def test_rule_of_three() -> None:
    """No event among 100: the exact upper limit is 1 - 0.025^(1/100)."""
    interval = clopper_pearson(0, 100)
    assert (interval.estimate, interval.ci_low) == (0, 0)
    assert interval.ci_high == pytest.approx(1 - 0.025 ** (1 / 100), rel=1e-12)


@given(total=st.integers(1, 400), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_intervals_contain_the_estimate_and_mirror(total: int, share: float, level: float) -> None:
    events = round(share * total)
    for method in (clopper_pearson, wilson):
        a, b = method(events, total, level), method(total - events, total, level)
        assert 0 <= a.ci_low <= a.estimate <= a.ci_high <= 1
        assert a.ci_low == pytest.approx(1 - b.ci_high, abs=1e-9)


def test_exact_interval_covers_at_least_its_level() -> None:
    """Exact coverage at p = 0.13, n = 30, by enumeration."""
    from math import comb

    n, p = 30, 0.13
    intervals = [clopper_pearson(x, n) for x in range(n + 1)]
    coverage = sum(
        comb(n, x) * p**x * (1 - p) ** (n - x) for x, i in enumerate(intervals) if i.ci_low <= p <= i.ci_high
    )
    assert 0.95 <= coverage < 0.99


def test_impossible_counts() -> None:
    with pytest.raises(EmptyGroupError, match="empty group"):
        clopper_pearson(0, 0)
    with pytest.raises(InvalidEventsError, match="more events"):
        wilson(5, 4)
    with pytest.raises(InvalidEventsError, match="whole number"):
        clopper_pearson(-1, 4)
    with pytest.raises(InvalidEventsError, match="whole number"):
        newcombe_difference(1.5, 4, 1, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="confidence level"):
        wilson(1, 4, 95)


def test_ratios_with_empty_cells_are_not_invented() -> None:
    with pytest.raises(EstimationError, match="no events in either group"):
        risk_ratio(0, 10, 0, 10)
    assert rate_ratio(3, 10.0, 0, 10.0).ci_high == np.inf
    with pytest.raises(EstimationError, match="without events"):
        rate_ratio(0, 10.0, 0, 10.0)


@given(st.integers(0, 25), st.integers(1, 25), st.integers(0, 25), st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_risk_ratio_equals_statsmodels_and_turns_over(x: int, n: int, y: int, m: int) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    x, y = min(x, n), min(y, m)
    if x == y == 0:
        return
    ratio = risk_ratio(x, n, y, m)
    assert ratio.ci_low <= ratio.estimate <= ratio.ci_high
    if x and y:
        turned = risk_ratio(y, m, x, n)
        assert (1 / turned.ci_high, 1 / turned.ci_low) == pytest.approx((ratio.ci_low, ratio.ci_high), rel=1e-9)
    if x < n and y < m:  # elsewhere statsmodels loses the root, or gives complex limits
        theirs = confint_proportions_2indep(x, n, y, m, compare="ratio", method="score", correction=False)
        assert (ratio.ci_low, ratio.ci_high) == pytest.approx(theirs, rel=1e-6)


def test_score_interval_of_the_risk_ratio_covers_about_its_level() -> None:
    """Exact coverage of 1/3 over 1/6 with 25 and 20 people, by enumeration; Katz's interval has none at zero cells."""
    from math import comb

    n, m, p, q = 25, 20, 1 / 3, 1 / 6
    covered = 0.0
    for x in range(n + 1):
        for y in range(m + 1):
            held = x == y == 0 or (ratio := risk_ratio(x, n, y, m)).ci_low <= p / q <= ratio.ci_high
            covered += held * comb(n, x) * p**x * (1 - p) ** (n - x) * comb(m, y) * q**y * (1 - q) ** (m - y)
    assert 0.94 < covered < 0.965


def test_rates() -> None:
    none = incidence_rate(0, 50.0, per=100)
    assert (none.estimate, none.ci_low) == (0, 0)
    assert none.ci_high == pytest.approx(-np.log(0.025) / 50 * 100, rel=1e-12)
    with pytest.raises(InvalidTimesError, match="above zero"):
        incidence_rate(3, 0)
    with pytest.raises(InvalidEventsError):
        incidence_rate(-3, 10)


# -- balance -----------------------------------------------------------------------------------------------------------


def test_smd_by_hand() -> None:
    """Means 3 and 2, both variances 1: difference 1. Proportions 0.75 and 0.25: 0.5 / sqrt(0.1875)."""
    treated = [1, 1, 1, 0, 0, 0]
    assert smd_continuous([2, 3, 4, 1, 2, 3], treated) == pytest.approx(1)
    assert smd_binary([1, 1, 1, 0, 0, 0, 0, 1], [1] * 4 + [0] * 4) == pytest.approx(0.5 / np.sqrt(0.1875))


def test_two_categories_are_a_binary_covariate() -> None:
    rng = np.random.default_rng(1)
    x, treated, w = rng.integers(0, 2, 80), rng.integers(0, 2, 80), rng.uniform(0.5, 2, 80)
    labels = np.where(x == 1, "yes", "no")
    assert smd_categorical(labels, treated, w) == pytest.approx(abs(smd_binary(x, treated, w)), rel=1e-9)


def test_category_nobody_has_and_constant_covariate() -> None:
    treated = [1, 1, 1, 0, 0, 0]
    labels = ["a", "b", "a", "b", "b", "a"]
    categories = pd.Categorical(labels, categories=["a", "b", "never"])
    assert smd_categorical(categories, treated) == pytest.approx(smd_categorical(labels, treated))
    assert smd_categorical(["a"] * 6, treated) == 0
    assert smd_continuous([5.0] * 6, treated) == 0
    assert smd_continuous([2, 2, 2, 1, 1, 1], treated) == np.inf
    assert np.isnan(variance_ratio([1, 2, 3, 1, 1, 1], treated))


def test_common_yardstick_before_and_after_weighting() -> None:
    rng = np.random.default_rng(8)
    treated = rng.integers(0, 2, 200)
    x = rng.normal(treated, 1)
    w = rng.uniform(0.2, 3, 200)
    before = smd_continuous(x, treated)
    assert smd_continuous(x, treated, np.ones(200), unweighted_spread=True) == pytest.approx(before)
    shared = smd_continuous(x, treated, w, unweighted_spread=True)
    means = [np.average(x[treated == g], weights=w[treated == g]) for g in (1, 0)]
    spread = np.sqrt((x[treated == 1].var(ddof=1) + x[treated == 0].var(ddof=1)) / 2)
    assert shared == pytest.approx((means[0] - means[1]) / spread)


def test_balance_refusals() -> None:
    with pytest.raises(EmptyGroupError, match="untreated"):
        smd_continuous([1, 2], [1, 1])
    with pytest.raises(EmptyGroupError, match="treated"):
        smd_continuous([1, 2, 3], [1, 0, 0], [0, 1, 1])
    with pytest.raises(InvalidCovariatesError, match="1 covariate values are missing"):
        smd_continuous([1, np.nan, 3], [1, 0, 0])
    with pytest.raises(InvalidCovariatesError, match="must be 0 or 1"):
        smd_binary([1, 2], [1, 0])
    with pytest.raises(EstimationError, match="missing"):
        smd_categorical(["a", None, "b"], [1, 0, 0])


def test_effective_sample_size() -> None:
    assert effective_sample_size([2, 2, 2]) == pytest.approx(3)
    assert effective_sample_size([1, 0, 0]) == 1
    assert effective_sample_size([1, 3]) == pytest.approx(16 / 10)
    with pytest.raises(InvalidWeightsError):
        effective_sample_size([1, -1])


# -- propensity --------------------------------------------------------------------------------------------------------


@pytest.fixture
def people() -> pd.DataFrame:
    rng = np.random.default_rng(31)
    n = 300
    age, size = rng.normal(62, 9, n), rng.gamma(4, 0.7, n)
    stage = rng.choice(["0", "A", "B1"], n, p=[0.2, 0.6, 0.2])
    treated = rng.random(n) < 1 / (1 + np.exp(-(-2 + 0.5 * size + 0.01 * age + 0.5 * (stage == "B1"))))
    return pd.DataFrame({"age": age, "size": size, "stage": stage, "treated": treated.astype(int)})


def matrix(people: pd.DataFrame) -> pd.DataFrame:
    return covariate_matrix(people, linear=["age"], splines={"size": 4}, categorical=["stage"])[0]


def test_logistic_agrees_with_statsmodels(people: pd.DataFrame) -> None:
    import statsmodels.api as sm

    x = matrix(people)
    ours = logistic_fit(x, people["treated"])
    theirs = sm.Logit(people["treated"], sm.add_constant(x)).fit(disp=0, tol=1e-12, maxiter=100)
    np.testing.assert_allclose(ours.coef, theirs.params, rtol=1e-7)
    np.testing.assert_allclose(ours.se, theirs.bse, rtol=1e-7)
    assert ours.loglik == pytest.approx(theirs.llf, rel=1e-12)
    np.testing.assert_allclose(ours.predict(x), ours.fitted, rtol=1e-10)


def test_logistic_multiplicities_are_repeated_rows(people: pd.DataFrame) -> None:
    count = np.random.default_rng(3).multinomial(len(people), np.full(len(people), 1 / len(people)))
    rows = np.repeat(np.arange(len(people)), count)
    x = matrix(people)
    weighted = logistic_fit(x, people["treated"], weights=count)
    repeated = logistic_fit(x.iloc[rows], people["treated"].iloc[rows])
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-8)
    assert weighted.fitted.shape == (300,)


def test_logistic_refusals(people: pd.DataFrame) -> None:
    x = matrix(people)
    with pytest.raises(SeparationError, match="age_again") as caught:
        logistic_fit(x.assign(age_again=people["treated"] * 10 + np.arange(300) / 100), people["treated"])
    assert caught.value.covariates[0] == "age_again"
    with pytest.raises(SeparationError, match="wide"):  # one step from regular to fitted 0 and 1
        logistic_fit(x.assign(wide=people["treated"] * 1e6 + people["age"]), people["treated"])
    never = people["treated"] * (people["stage"] != "B1")
    with pytest.raises(SeparationError, match="stage=B1"):
        logistic_fit(x, never)
    with pytest.raises(CollinearCovariatesError, match="double"):
        logistic_fit(x.assign(double=2 * x["age"] + 1), people["treated"])
    with pytest.raises(ConstantCovariateError, match="one does not vary"):
        logistic_fit(x.assign(one=1), people["treated"])
    with pytest.raises(EmptyGroupError, match="everyone has outcome 1"):
        logistic_fit(x, np.ones(300))
    with pytest.raises(InvalidCovariatesError, match=r"age \(1\)"):
        logistic_fit(x.assign(age=x["age"].where(x.index != 5)), people["treated"])


def test_weights_balance_what_they_claim(people: pd.DataFrame) -> None:
    """Overlap weights from a logistic model balance each of its covariates exactly (Li et al. 2018, theorem 3)."""
    x = matrix(people)
    score = logistic_fit(x, people["treated"]).fitted
    overlap = propensity_weights(score, people["treated"], "overlap")
    before = smd_continuous(people["size"], people["treated"])
    assert before > 0.3
    for name in x:
        assert smd_continuous(x[name], people["treated"], overlap) == pytest.approx(0, abs=1e-8)
    ate = propensity_weights(score, people["treated"])
    assert abs(smd_continuous(people["size"], people["treated"], ate)) < 0.1


def test_weights_by_hand() -> None:
    score, treated = np.array([0.2, 0.5, 0.8, 0.5]), [1, 0, 1, 0]
    np.testing.assert_allclose(propensity_weights(score, treated, stabilised=False), [5, 2, 1.25, 2])
    np.testing.assert_allclose(propensity_weights(score, treated), [2.5, 1, 0.625, 1])
    np.testing.assert_allclose(propensity_weights(score, treated, "ATT"), [1, 1, 1, 1])
    np.testing.assert_allclose(propensity_weights(score, treated, "overlap"), [0.8, 0.5, 0.2, 0.5])
    resampled = propensity_weights(score, treated, sample_weights=[3, 1, 0, 0])
    np.testing.assert_allclose(resampled, [3.75, 0.5, 0.9375, 0.5])
    with pytest.raises(EstimationError, match="positivity"):
        propensity_weights([0.5, 1.0], [0, 1])
    with pytest.raises(EmptyGroupError, match="untreated"):
        propensity_weights([0.5, 0.4], [1, 1])
    with pytest.raises(ValueError, match="estimand"):
        propensity_weights(score, treated, "ATM")  # type: ignore[arg-type]


def test_trimming() -> None:
    np.testing.assert_allclose(truncate_weights([1, 2, 3, 4, 100], 0, 0.75), [1, 2, 3, 4, 4])
    np.testing.assert_array_equal(within_score_range([0.05, 0.1, 0.5, 0.95]), [False, True, True, False])
    np.testing.assert_array_equal(
        common_support([0.1, 0.3, 0.6, 0.2, 0.5, 0.9], [0, 0, 0, 1, 1, 1]), [False, True, True, True, True, False]
    )
    with pytest.raises(EmptyGroupError):
        common_support([0.1, 0.3], [0, 0])


def test_spline_is_linear_beyond_the_outer_knots_and_smooth_within() -> None:
    knots = (0.0, 1.0, 2.5, 4.0)
    grid = np.linspace(-3, 8, 1101)
    basis = restricted_cubic_spline(grid, knots)
    assert basis.shape == (1101, 3)
    second = np.diff(basis, 2, axis=0) / 0.01**2
    outside = (grid[1:-1] < knots[0] - 0.02) | (grid[1:-1] > knots[-1] + 0.02)
    np.testing.assert_allclose(second[outside], 0, atol=1e-7)
    assert np.abs(np.diff(second, axis=0)).max() < 0.05  # a continuous second derivative: no jumps at knots
    with pytest.raises(ValueError, match="three increasing knots"):
        restricted_cubic_spline(grid, (1, 1, 2))


def test_covariate_matrix(people: pd.DataFrame) -> None:
    x, knots = covariate_matrix(people, linear=["age"], splines={"size": [1.0, 2.0, 4.0]}, categorical=["stage"])
    assert x.columns.tolist() == ["age", "size", "size'", "stage=A", "stage=B1"]
    assert knots == {"size": (1.0, 2.0, 4.0)}
    ordered = people.assign(stage=pd.Categorical(people["stage"], categories=["A", "0", "B1", "C"]))
    assert covariate_matrix(ordered, categorical=["stage"])[0].columns.tolist() == ["stage=0", "stage=B1"]
    assert harrell_knots(people["size"], 3) == pytest.approx(np.quantile(people["size"], [0.1, 0.5, 0.9]))
    with pytest.raises(InvalidCovariatesError, match="no columns afp"):
        covariate_matrix(people, linear=["afp"])
    with pytest.raises(InvalidCovariatesError, match=r"missing values in size \(2\), stage \(1\)"):
        covariate_matrix(
            people.assign(size=people["size"].where(people.index > 1), stage=people["stage"].where(people.index > 0)),
            linear=["age"],
            splines={"size": 4},
            categorical=["stage"],
        )
    with pytest.raises(InvalidCovariatesError, match="one level only"):
        covariate_matrix(people.assign(stage="A"), categorical=["stage"])
    with pytest.raises(InvalidCovariatesError, match="too tied"):
        harrell_knots(np.repeat([1.0, 2.0], 50), 4)


# -- the package -------------------------------------------------------------------------------------------------------


def test_importing_an_estimator_does_not_import_what_it_does_not_need() -> None:
    """Each workflow job is a process: the heavy libraries cost it seconds."""
    code = (
        "import sys; from sorafenib_rfa.stats import clopper_pearson, cox_fit, gray_test, logistic_fit; "
        "print([m for m in ('lifelines', 'statsmodels', 'scipy.stats', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_package_names_exist() -> None:
    import sorafenib_rfa.stats as stats

    for name in stats.__all__:
        assert getattr(stats, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = stats.nonsense
