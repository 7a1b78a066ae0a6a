"""Cox engine: what it refuses, and properties that hold whatever the data (equality with R: tests/reference)."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.stats import cox_fit, cox_zph, log_rank
from sorafenib_rfa.stats.cox import CoxDesign
from sorafenib_rfa.stats.errors import (
    CollinearCovariatesError,
    ConstantCovariateError,
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidEventsError,
    InvalidTimesError,
    InvalidWeightsError,
    NoEventsError,
    SeparationError,
)


@pytest.fixture
def data() -> pd.DataFrame:
    """100 people with tied times and two covariates on very different scales."""
    rng = np.random.default_rng(7)
    n = 100
    age, arm = rng.normal(60, 10, n), rng.integers(0, 2, n)
    hazard = np.exp(0.03 * (age - 60) - 0.5 * arm)
    failure, censoring = rng.exponential(20 / hazard), rng.uniform(5, 40, n)
    return pd.DataFrame(
        {
            "age": age,
            "arm": arm,
            "time": np.ceil(np.minimum(failure, censoring)),
            "event": (failure <= censoring).astype(int),
        }
    )


X = ["age", "arm"]


def fit(d: pd.DataFrame, **kwargs):
    return cox_fit(d[X], d["time"], d["event"], **kwargs)


def test_no_events(data: pd.DataFrame) -> None:
    with pytest.raises(NoEventsError, match="no events among 100"):
        fit(data.assign(event=0))


def test_no_events_with_weight(data: pd.DataFrame) -> None:
    with pytest.raises(NoEventsError, match="weight above zero"):
        fit(data, weights=1 - data["event"])


def test_empty_data(data: pd.DataFrame) -> None:
    with pytest.raises(EmptyGroupError, match="empty"):
        fit(data.iloc[:0])


def test_constant_covariate_is_named(data: pd.DataFrame) -> None:
    with pytest.raises(ConstantCovariateError, match="arm does not vary"):
        fit(data.assign(arm=1))


def test_covariate_constant_within_strata_is_named(data: pd.DataFrame) -> None:
    with pytest.raises(ConstantCovariateError, match="covariate arm"):
        fit(data, strata=data["arm"])


def test_collinear_covariates(data: pd.DataFrame) -> None:
    d = data.assign(months=data["age"] * 12 + 3)
    with pytest.raises(CollinearCovariatesError, match="months is a linear combination"):
        cox_fit(d[["age", "months"]], d["time"], d["event"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_no_events_in_one_arm_is_separation(data: pd.DataFrame, ties: str) -> None:
    d = data.assign(event=data["event"] * data["arm"])
    with pytest.raises(SeparationError, match="coefficient of arm goes to plus infinity") as caught:
        fit(d, ties=ties)
    assert caught.value.covariates == ("arm",)
    assert pickle.loads(pickle.dumps(caught.value)).covariates == ("arm",)


def test_monotone_likelihood_by_order(data: pd.DataFrame) -> None:
    """Whoever dies always has the lowest marker at risk: events in both halves, yet no finite maximum."""
    d = data.sort_values("time", kind="stable").assign(event=1)
    d["time"] = np.arange(1, 101)
    d["marker"] = np.arange(100.0)
    with pytest.raises(SeparationError, match="marker goes to minus infinity"):
        cox_fit(d[["age", "marker"]], d["time"], d["event"])


def test_large_but_finite_effect_is_not_called_separation() -> None:
    """One exception among many is enough for a finite maximum; the values are those of R's coxph."""
    n = 400
    exposed = np.repeat([1, 0], n // 2)
    time = np.concatenate([np.linspace(1, 2, n // 2), np.full(n // 2, 10.0)])
    event = np.concatenate([np.ones(n // 2), np.zeros(n // 2)]).astype(int)
    time[-1], event[-1] = 1.5005, 1
    ratio = cox_fit(exposed, time, event, names=["exposed"]).hazard_ratio("exposed")
    r = (1120.987286, 151.515382, 8293.62986)
    assert (ratio.estimate, ratio.ci_low, ratio.ci_high) == pytest.approx(r, rel=1e-8)


@pytest.mark.parametrize(
    ("bad", "message"),
    [(-1.0, "zero or negative"), (0.0, "zero or negative"), (np.nan, "missing"), (np.inf, "missing or infinite")],
)
def test_impossible_times(data: pd.DataFrame, bad: float, message: str) -> None:
    d = data.copy()
    d.loc[3, "time"] = bad
    with pytest.raises(InvalidTimesError, match=message) as caught:
        fit(d)
    assert "position 3" in str(caught.value)


def test_interval_must_end_after_it_starts(data: pd.DataFrame) -> None:
    start = pd.Series(0.0, index=data.index)
    start[5] = data.loc[5, "time"]
    with pytest.raises(InvalidTimesError, match="not after the start time in 1 row"):
        fit(data, start=start)
    with pytest.raises(InvalidTimesError, match="must not be negative"):
        fit(data, start=start - 1)


@pytest.mark.parametrize(
    ("weight", "message"), [(-0.5, "negative"), (np.nan, "missing"), (np.inf, "missing or infinite")]
)
def test_impossible_weights(data: pd.DataFrame, weight: float, message: str) -> None:
    weights = np.ones(100)
    weights[10] = weight
    with pytest.raises(InvalidWeightsError, match=message):
        fit(data, weights=weights)


def test_weights_all_zero(data: pd.DataFrame) -> None:
    with pytest.raises(InvalidWeightsError, match="all weights are zero"):
        fit(data, weights=np.zeros(100))


@pytest.mark.parametrize("code", [2, np.nan, -1, 0.5])
def test_impossible_event_codes(data: pd.DataFrame, code: float) -> None:
    event = data["event"].astype(float)
    event[0] = code
    with pytest.raises(InvalidEventsError, match="0 \\(censored\\) or 1"):
        fit(data.assign(event=event))


def test_missing_covariate_is_named_and_counted(data: pd.DataFrame) -> None:
    d = data.copy()
    d.loc[[1, 2], "age"] = np.nan
    with pytest.raises(InvalidCovariatesError, match=r"age \(2\)"):
        fit(d)
    with pytest.raises(InvalidCovariatesError, match="numbers"):
        fit(d.assign(age="old"))


def test_lengths_must_agree(data: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="99 values for 100 times"):
        cox_fit(data[X], data["time"], data["event"][:99])


def test_nullable_columns_are_accepted_and_their_na_refused(data: pd.DataFrame) -> None:
    """ADaM columns are pandas' nullable types."""
    d = data.astype({"age": "Float64", "arm": "Int64", "time": "Float64", "event": "Int64"})
    np.testing.assert_array_equal(fit(d).coef, fit(data).coef)
    d.loc[4, "time"] = pd.NA
    with pytest.raises(InvalidTimesError, match="missing"):
        fit(d)


def test_zero_weight_is_absence(data: pd.DataFrame) -> None:
    keep = np.arange(100) % 3 > 0
    weighted = fit(data, weights=keep.astype(float), robust=True)
    subset = fit(data[keep], robust=True)
    np.testing.assert_allclose(weighted.coef, subset.coef, rtol=1e-10)
    np.testing.assert_allclose(weighted.cov_robust, subset.cov_robust, rtol=1e-9)
    assert (weighted.n, weighted.n_events) == (subset.n, subset.n_events)
    np.testing.assert_allclose(cox_zph(weighted), cox_zph(subset), rtol=1e-8)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("weighted", [False, True])
def test_multiplicities_are_repeated_rows(data: pd.DataFrame, ties: str, weighted: bool) -> None:
    """A bootstrap resample by counts is the resample itself, ties, weights, strata, late entry and all."""
    rng = np.random.default_rng(11)
    count = rng.multinomial(100, np.full(100, 0.01))
    weights = rng.uniform(0.2, 3, 100) if weighted else None
    start, strata = np.floor(data["time"] / 4), rng.integers(0, 3, 100)
    design = CoxDesign.prepare(data[X], data["time"], data["event"], start=start, strata=strata, ties=ties)
    rows = np.repeat(np.arange(100), count)
    again = fit(
        data.iloc[rows],
        start=start.iloc[rows],
        strata=strata[rows],
        weights=None if weights is None else weights[rows],
        ties=ties,
    )
    quick = design.coefficients(weights, multiplicity=count, init=[0.02, -0.4], tol=1e-9)
    np.testing.assert_allclose(quick, again.coef, rtol=1e-8)


def test_entry_at_zero_is_no_late_entry(data: pd.DataFrame) -> None:
    np.testing.assert_allclose(fit(data, start=np.zeros(100)).coef, fit(data).coef, rtol=1e-12)


def test_split_follow_up_is_the_same_follow_up(data: pd.DataFrame) -> None:
    """Cutting each person's time in two changes nothing, nor the robust variance when clustered by person."""
    cut = data["time"] / 2
    split = pd.concat(
        [
            data.assign(start=0.0, time=cut, event=0, person=range(100)),
            data.assign(start=cut, person=range(100)),
        ]
    )
    whole = fit(data, robust=True)
    parts = fit(split, start=split["start"], cluster=split["person"])
    np.testing.assert_allclose(parts.coef, whole.coef, rtol=1e-9)
    np.testing.assert_allclose(parts.cov_robust, whole.cov_robust, rtol=1e-9)


def test_units_of_covariates_and_time_do_not_matter(data: pd.DataFrame) -> None:
    months, days = fit(data), cox_fit(data[X] * [1e6, 1], data["time"] * 30.4375, data["event"])
    np.testing.assert_allclose(days.coef * [1e6, 1], months.coef, rtol=1e-9)
    np.testing.assert_allclose(days.loglik, months.loglik, rtol=1e-12)


def test_times_that_differ_by_rounding_are_tied(data: pd.DataFrame) -> None:
    """Days divided by 30.4375 in two ways differ in the last digit; ties must survive it."""
    noisy = data["time"] * (1 + np.where(np.arange(100) % 2, 1e-13, 0))
    np.testing.assert_allclose(cox_fit(data[X], noisy, data["event"]).coef, fit(data).coef, rtol=1e-9)


def test_offset_carries_a_known_effect(data: pd.DataFrame) -> None:
    full = fit(data)
    held = cox_fit(data[["arm"]], data["time"], data["event"], offset=full.coef[0] * data["age"])
    assert held.coef[0] == pytest.approx(full.coef[1], rel=1e-9)


def test_score_test_without_ties_is_the_log_rank_test(data: pd.DataFrame) -> None:
    time = data["time"] + np.linspace(0, 0.5, 100)
    test = cox_fit(data[["arm"]], time, data["event"]).score_test
    assert test.chi2 == pytest.approx(log_rank(time, data["event"], data["arm"]).chi2, rel=1e-9)


def test_residuals_sum_as_they_must(data: pd.DataFrame) -> None:
    weights = np.random.default_rng(3).uniform(0.5, 2, 100)
    model = fit(data, weights=weights, robust=True)
    assert weights @ model.residuals("martingale") == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(weights @ model.residuals("score"), 0, atol=1e-7)
    influence = model.residuals("dfbeta")
    np.testing.assert_allclose(influence.T @ influence, model.cov_robust, rtol=1e-12)


def test_hazard_ratio_and_summary_agree(data: pd.DataFrame) -> None:
    model = fit(data, robust=True)
    ratio = model.hazard_ratio("arm", level=0.9)
    assert ratio.estimate == pytest.approx(np.exp(model.coef[1]))
    assert ratio.ci_high / ratio.estimate == pytest.approx(np.exp(1.6448536269514722 * model.se_robust[1]))
    assert model.hazard_ratio("arm", robust=False).log_se == model.se_model[1]
    row = model.summary(level=0.9).loc["arm"]
    assert (row["ci_low"], row["ci_high"], row["p"]) == (ratio.ci_low, ratio.ci_high, ratio.p)
    with pytest.raises(KeyError, match="there are age, arm"):
        model.hazard_ratio("sex")
    with pytest.raises(ValueError, match="robust=True"):
        fit(data).hazard_ratio("arm", robust=True)


def test_one_coefficient_contrast_is_its_wald_test(data: pd.DataFrame) -> None:
    model = fit(data)
    assert model.contrast([0, 1]).p == pytest.approx(model.hazard_ratio("arm").p, rel=1e-9)
    both = model.contrast(np.eye(2))
    assert (both.chi2, both.df) == (pytest.approx(model.wald_test.chi2), 2)


def test_iterations_zero_evaluates_at_null(data: pd.DataFrame) -> None:
    null = fit(data, max_iter=0)
    assert not null.converged
    assert null.loglik == null.loglik_null == fit(data).loglik_null


def test_baseline_hazard_with_no_effect_is_nelson_aalen() -> None:
    """With a covariate of no effect at all, Breslow's baseline is the Nelson-Aalen estimator."""
    time = np.repeat([1.0, 2.0, 3.0, 4.0], 2)
    frame = cox_fit(np.tile([0.0, 1.0], 4), time, np.ones(8), ties="breslow").cumulative_hazard()
    np.testing.assert_allclose(frame["hazard"], [2 / 8, 2 / 6, 2 / 4, 2 / 2], rtol=1e-9)


def test_strata_with_one_person_each_say_nothing(data: pd.DataFrame) -> None:
    with pytest.raises(ConstantCovariateError, match="does not vary among those at risk"):
        fit(data, strata=np.arange(100))


def test_zph_terms_and_unknown_names(data: pd.DataFrame) -> None:
    table = cox_zph(fit(data), terms={"both": X})
    assert table.index.tolist() == ["both", "GLOBAL"]
    np.testing.assert_allclose(table.loc["both"], table.loc["GLOBAL"])
    with pytest.raises(KeyError, match="no covariate 'sex'"):
        cox_zph(fit(data), terms={"t": ["sex"]})
    with pytest.raises(ValueError, match="transform"):
        cox_zph(fit(data), "sqrt")


def test_zph_with_events_at_one_time_is_refused() -> None:
    model = cox_fit([0.0, 1.0, 0.0, 1.0, 0.5], [1, 1, 2, 2, 2], [1, 1, 0, 0, 0])
    with pytest.raises(EstimationError, match="time does not vary"):
        cox_zph(model)


def test_zph_finds_a_waning_effect_and_accepts_a_constant_one() -> None:
    rng = np.random.default_rng(5)
    n = 1500
    arm = rng.integers(0, 2, n)
    constant = rng.exponential(1 / np.exp(-0.7 * arm))
    # hazard ratio 0.3 before time 1, 1.5 after: piecewise exponential by inversion
    target, early = rng.exponential(size=n), np.where(arm == 1, 0.3, 1.0)
    late = np.where(arm == 1, 1.5, 1.0)
    waning = np.where(target < early, target / early, 1 + (target - early) / late)
    assert cox_zph(cox_fit(arm, constant, np.ones(n), names=["arm"])).loc["arm", "p"] > 0.05
    assert cox_zph(cox_fit(arm, waning, np.ones(n), names=["arm"])).loc["arm", "p"] < 1e-6


def test_agrees_with_lifelines_without_ties(data: pd.DataFrame) -> None:
    """lifelines is right for unweighted Efron point estimates; 1e-5 is its own convergence."""
    from lifelines import CoxPHFitter

    theirs = CoxPHFitter().fit(data, "time", "event")
    ours = fit(data)
    np.testing.assert_allclose(ours.coef, theirs.params_[X], rtol=1e-4)
    np.testing.assert_allclose(ours.se_model, theirs.standard_errors_[X], rtol=1e-4)


def test_unused_categories_of_strata_and_clusters_are_ignored(data: pd.DataFrame) -> None:
    """A subset of a table keeps all categories of its columns."""
    site = pd.Series(pd.Categorical(np.where(data["age"] > 60, "Hanoi", "Lyon"), ["Hanoi", "Lyon", "Osaka"]))
    plain = fit(data, strata=site.astype(str), cluster=site.astype(str))
    declared = fit(data, strata=site, cluster=site)
    np.testing.assert_array_equal(declared.coef, plain.coef)
    np.testing.assert_array_equal(declared.cov_robust, plain.cov_robust)


def test_too_few_clusters_leave_the_joint_test_undefined(data: pd.DataFrame) -> None:
    """Two clusters carry one piece of information about variance: not enough for a test of two coefficients."""
    model = fit(data, cluster=np.arange(100) % 2)
    assert np.isnan(model.wald_test.chi2)
    assert np.isfinite(model.hazard_ratio("arm").p)
    assert np.isfinite(fit(data, cluster=np.arange(100) % 4).wald_test.chi2)


def test_result_does_not_depend_on_the_order_of_rows(data: pd.DataFrame) -> None:
    shuffled = data.sample(frac=1, random_state=3)
    np.testing.assert_allclose(fit(shuffled).coef, fit(data).coef, rtol=1e-10)
    np.testing.assert_allclose(fit(shuffled, robust=True).cov_robust, fit(data, robust=True).cov_robust, rtol=1e-9)


def test_digits_do_not_depend_on_the_number_of_threads() -> None:
    """Same inputs, same bytes: on one core or two."""
    code = (
        "import numpy as np; from sorafenib_rfa.stats import cox_fit; r = np.random.default_rng(1); "
        "x = r.normal(size=(20000, 6)); f = cox_fit(x, r.exponential(size=20000), r.random(20000) < 0.5, robust=True); "
        "print(f.coef.tobytes().hex(), f.cov_robust.tobytes().hex(), f.loglik.hex())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1
