"""Discrimination, calibration and accuracy: the estimators against others, and what the correction for optimism does.

Equality with R's survival::concordance is in tests/reference (family discrimination).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import plan
from exhibit_cohorts import without_arms
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index

from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.performance import (
    add_performance,
    model_performance,
    predicted_survival,
)
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.tables import make_table
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.discrimination import brier_weights, censoring_survival, comparable_pairs, concordance
from sorafenib_rfa.stats.errors import BeyondFollowUpError, EstimationError, InvalidCovariatesError, NoEventsError

PRECISE = {"precision": 1e-13, "r_precision": 1e-15}
COMMON = {"group": "overall", "population": "Complete cases", "estimand_id": "P1_PROGNOSIS"}


def patients(n: int = 240, effect: float = 0.8, seed: int = 3, noise: int = 4) -> tuple:
    """Return covariates (one that matters, others that do not), whole months with ties, events."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.normal(size=(n, 1 + noise)), columns=[f"x{j}" for j in range(1 + noise)])
    time = np.ceil(30 * rng.exponential(size=n) * np.exp(-effect * x["x0"].to_numpy()))
    followed = np.ceil(rng.uniform(12, 90, n))
    return x, np.minimum(time, followed), time <= followed


# --- concordance


@pytest.mark.parametrize(("score", "expected"), [([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([5, 5, 5, 5], 0.5)])
def test_perfect_reversed_and_constant_scores(score, expected):
    assert concordance([1, 2, 3, 4], [1, 1, 1, 0], score).estimate == expected


def test_harrells_c_is_that_of_lifelines():
    x, time, event = patients()
    score = np.round(x["x0"].to_numpy(), 1)  # with ties
    assert concordance(time, event, score).estimate == pytest.approx(concordance_index(time, -score, event), abs=1e-12)


def test_pairs_by_hand():
    """Events at 1 and 2, censored at 2 and 3: (1, both 2s), (1, 3), (2 event, 2 censored), (2, 3): five pairs."""
    found = concordance([1, 2, 2, 3], [1, 1, 0, 0], [2.0, 3.0, 1.0, 2.0])
    # (1, 2 event) wrong, (1, 2 censored) right, (1, 3) tied, (2, 2) right, (2, 3) right
    assert (found.concordant, found.discordant, found.tied) == (3, 1, 1)
    assert found.estimate == 3.5 / 5


def test_without_censoring_uno_is_harrell():
    x, time, _ = patients()
    event = np.ones(len(time), bool)
    a, b = (concordance(time, event, x["x0"], kind) for kind in ("harrell", "uno"))
    assert a == b


def test_uno_removes_what_censoring_adds():
    """Censoring hides late pairs, here the hard ones: C without censoring is nearer to Uno's than to Harrell's."""
    rng = np.random.default_rng(11)
    n = 3000
    x = rng.normal(size=n)
    # an effect that fades: early events follow the score, late ones do not
    early = rng.exponential(size=n) * np.exp(-1.5 * x)
    time = np.where(early < 1, early, 1 + rng.exponential(size=n))
    censored_at = rng.exponential(1.5, size=n)
    event, seen = time <= censored_at, np.minimum(time, censored_at)
    truth = concordance(time, np.ones(n, bool), x, tau=2.0).estimate
    harrell = concordance(seen, event, x, tau=2.0).estimate
    uno = concordance(seen, event, x, "uno", tau=2.0).estimate
    assert abs(uno - truth) < 0.5 * abs(harrell - truth)


def test_the_interval_covers():
    """Of 200 samples the 95% interval holds the C of the population in at least 90%, and its width is not idle."""
    truth = concordance(*_population(20000, 1)).estimate
    found = [concordance(*_population(150, seed)) for seed in range(100, 300)]
    held = [one.ci_low <= truth <= one.ci_high for one in found]
    assert 0.90 <= np.mean(held) <= 0.99


def _population(n: int, seed: int) -> tuple:
    x, time, event = patients(n=n, seed=seed, noise=0)
    if n > 5000:  # the pairs of so many would not fit: C of a population by its own definition, on pairs drawn
        keep = np.random.default_rng(0).choice(n, 3000, replace=False)
        return time[keep], event[keep], x["x0"].to_numpy()[keep]
    return time, event, x["x0"].to_numpy()


def test_patients_with_equal_covariates_are_tied_whatever_the_last_digit():
    score = np.array([0.3, 0.1 + 0.2, 0.0])
    assert score[0] != score[1]
    assert concordance([1, 2, 3], [1, 1, 0], score).tied == 1


@pytest.mark.parametrize(
    ("time", "event", "score", "error"),
    [
        ([1, 2, 3], [0, 0, 0], [1, 2, 3], NoEventsError),
        ([1, 1, 1], [1, 1, 1], [1, 2, 3], NoEventsError),  # all at one time: in no order
        ([1, 2, 3], [0, 0, 1], [1, 2, 3], NoEventsError),  # the only event comes last
        ([1, 2, 3], [1, 1, 0], [1, np.nan, 3], InvalidCovariatesError),
        ([1, 2, 3], [1, 1, 0], [1, 2], InvalidCovariatesError),
        ([0, 2, 3], [1, 1, 0], [1, 2, 3], EstimationError),
        ([1, -2, 3], [1, 1, 0], [1, 2, 3], EstimationError),
    ],
)
def test_what_cannot_be_ordered_is_refused(time, event, score, error):
    with pytest.raises(error):
        concordance(time, event, score)


# --- Brier score


def test_brier_score_of_the_null_and_of_the_truth():
    _, time, event = patients()
    weights = brier_weights(time, event, 24)
    assert weights.accuracy(weights.null) == 0
    everybody = np.ones(len(time), bool)
    whole = brier_weights(time, everybody, 24)
    assert whole.score(time > 24) == 0
    assert whole.accuracy(time > 24) == 1
    # without censoring it is a plain mean of squares
    assert whole.score(0.3) == pytest.approx(np.mean(((time > 24) - 0.3) ** 2))


def test_counting_patients_twice_is_repeating_them():
    x, time, event = patients(80)
    counts = np.random.default_rng(5).integers(0, 3, 80)
    again = np.repeat(np.arange(80), counts)
    p = 1 / (1 + np.exp(x["x0"].to_numpy()))
    weighted, repeated = (
        brier_weights(time, event, 20, counts.astype(float)),
        brier_weights(time[again], event[again], 20),
    )
    assert weighted.null == pytest.approx(repeated.null)
    assert weighted.score(p) == pytest.approx(repeated.score(p[again]))
    at = [5, 12, 20]
    assert censoring_survival(time, event, at, counts.astype(float)) == pytest.approx(
        censoring_survival(time[again], event[again], at)
    )


def test_beyond_the_follow_up_there_is_no_score():
    with pytest.raises(BeyondFollowUpError, match="longest follow-up is 3"):
        brier_weights([1, 2, 3], [1, 0, 1], 4)


def test_predicted_survival_is_that_of_lifelines():
    """lifelines' baseline is Breslow's too; coefficients by Efron's method in both."""
    x, time, event = patients()
    fitter = CoxPHFitter().fit(x.assign(time=time, event=event), "time", "event")
    score = (x - x.mean()).to_numpy() @ cox_fit(x, time, event).coef
    ours = predicted_survival(score, time, event, 24.0, np.ones(len(time)))
    theirs = fitter.predict_survival_function(x, times=[24.0]).to_numpy()[0]
    assert ours == pytest.approx(theirs, abs=1e-6)


# --- the correction for optimism


def test_the_optimism_is_that_of_refitting_copies_of_the_rows():
    """The same resamples done the long way: rows repeated, Cox models and C by lifelines."""
    x, time, event = patients(90)
    found = model_performance(x, time, event, 24.0, resamples=8, seed=7)
    rng = np.random.default_rng(7)
    data = x.assign(time=time, event=event)
    c, slopes = [], []
    for _ in range(8):
        own = data.iloc[np.sort(rng.integers(0, 90, 90))]
        fitter = CoxPHFitter().fit(own, "time", "event", fit_options=PRECISE)
        inside, outside = (one[x.columns].to_numpy() @ fitter.params_[x.columns].to_numpy() for one in (own, data))
        c.append(
            concordance_index(own["time"], -np.round(inside, 9), own["event"])
            - concordance_index(time, -np.round(outside, 9), event)
        )
        again = CoxPHFitter().fit(
            pd.DataFrame({"lp": outside, "time": time, "event": event}), "time", "event", fit_options=PRECISE
        )
        slopes.append(1 - again.params_["lp"])
    assert found.optimism["harrell_c"] == pytest.approx(np.mean(c), abs=1e-6)
    assert found.optimism["slope"] == pytest.approx(np.mean(slopes), abs=1e-5)


def test_noise_is_seen_through():
    """Eight covariates without effect: C flatters; the correction takes most of that off and the slope asks to shrink.

    Not all: with few events a variable Harrell's correction is known to stay optimistic (Iba 2021).
    """
    rng = np.random.default_rng(2)
    apparent, corrected = [], []
    for seed in range(12):
        x = pd.DataFrame(rng.normal(size=(120, 8)), columns=[f"n{j}" for j in range(8)])
        time, event = np.ceil(rng.exponential(30, 120)), rng.random(120) < 0.7
        found = model_performance(x, time, event, 24.0, resamples=40, seed=seed)
        apparent.append(pd.Series(found.apparent))
        corrected.append(pd.Series(found.apparent) - pd.Series(found.optimism))
    flattering, honest = pd.concat(apparent, axis=1).mean(axis=1), pd.concat(corrected, axis=1).mean(axis=1)
    assert flattering["harrell_c"] > 0.58
    assert abs(honest["harrell_c"] - 0.5) < 0.5 * (flattering["harrell_c"] - 0.5)
    assert flattering["slope"] == 1
    assert honest["slope"] < 0.6
    assert flattering["ipa"] > 0.02 > honest["ipa"]


def test_same_seed_same_numbers_and_another_seed_others():
    x, time, event = patients(100)
    one, two, other = (model_performance(x, time, event, 24.0, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert one.optimism == two.optimism
    assert one.optimism != other.optimism


def added(x, time, event, **changes) -> tuple[pd.DataFrame, pd.DataFrame]:
    ard = ArdBuilder("c", "prognosis", "r")
    rows = pd.DataFrame({"USUBJID": [f"c-{i}" for i in range(len(time))], "time": time, "event": event})
    curve = add_performance(ard, x, rows, "RFS", plan(**({"bootstrap_resamples": 200} | changes)), COMMON, seed=4)
    return ard.frame().set_index("ard_id"), curve


def test_rows_of_the_ard_and_the_calibration_curve():
    x, time, event = patients()
    ard, curve = added(x, time, event)
    at = "prognosis.rfs_performance"
    for name in ("harrell_c", "uno_c.m36", "observed_expected.m36", "brier.m36", "ipa.m36"):
        apparent, optimism, corrected = (
            ard.loc[f"{at}.{name}.{which}"] for which in ("apparent", "optimism", "corrected")
        )
        assert corrected["value"] == pytest.approx(apparent["value"] - optimism["value"])
        assert corrected["ci_low"] < corrected["value"] < corrected["ci_high"]
        assert apparent["ci_low"] < apparent["value"] < apparent["ci_high"]
        assert "200 resamples" in corrected["method"]
    assert ard.loc[f"{at}.slope.corrected", "value"] < 1
    assert curve["n"].sum() == len(time)
    assert curve["predicted"].is_monotonic_increasing
    assert (curve["ci_low"] <= curve["observed"]).all()
    assert set(curve["ard_id"]) <= set(ard.index)
    # on the patients of the model, expected and observed events agree by and large
    assert ard.loc[f"{at}.observed_expected.m36.apparent", "value"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, t, e: (x.iloc[:6], t[:6], e[:6]), "fewer than 10 patients"),
        (lambda x, t, e: (x, t, np.zeros(len(t), bool)), "no events"),
        (lambda x, t, e: (x.assign(x1=1.0), t, e), "x1"),
        (lambda x, t, e: (x.assign(x1=np.where(e, t, -1.0)), t, np.arange(len(t)) == t.argmin()), "not estimable"),
        (lambda x, t, e: (x, np.minimum(t, 35.0), e), "nobody was followed to 36"),
    ],
)
def test_what_cannot_be_estimated_is_said_and_not_invented(change, words):
    ard, curve = added(*change(*patients()))
    rows = ard[ard["analysis_id"] == "rfs_performance"]
    assert len(rows) == 17
    assert rows["value"].isna().all()
    assert rows["method"].str.startswith("not estimable").all()
    assert rows["method"].str.contains(words).all()
    assert curve.empty


# --- the real cohort, as readers see it


def test_the_real_cohort_loses_some_of_what_it_seems_to_have():
    data = without_arms()
    ard = data.ard.set_index("ard_id")["value"]
    for endpoint in ("rfs", "os"):
        at = f"prognosis.{endpoint}_performance"
        assert 0.5 < ard[f"{at}.harrell_c.corrected"] < ard[f"{at}.harrell_c.apparent"] < 0.8
        assert 0.5 < ard[f"{at}.slope.corrected"] < 1
    table = make_table("performance", ard=data.ard, cohort=data.cohort.config, plan=data.plan)
    assert "1 (by construction)" in set(table.data["text"])
    assert "not estimable" not in table.markdown
    figure, drawn = draw_figure(
        "calibration", ard=data.ard, curves=data.curves, cohort=data.cohort.config, plan=data.plan
    )
    assert [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes] == [
        "Recurrence-free survival", "Overall survival",
    ]  # fmt: skip
    points = drawn[drawn["element"] == "interval"]
    assert len(points) == 8
    assert points["y"].between(points["low"], points["high"]).all()


def test_fine_gray_of_the_groups_stands_beside_grays_test():
    ard = without_arms().ard.set_index("ard_id")
    at = "prognosis.first_event_group.contrast.cxcl17_p_group_recurrence"
    row = ard.loc[f"{at}.above_the_median.subdistribution_hr"]
    # crr(RFS, cause, high) in R's cmprsk: 1.792639
    assert row["value"] == pytest.approx(1.792639, abs=1e-6)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert "above the median against up to the median" in row["method"]


def test_pairs_up_to_a_time_are_those_whose_event_came_by_then():
    _, time, event = patients(60)
    early, every = comparable_pairs(time, event, tau=12), comparable_pairs(time, event)
    assert 0 < len(early.first) < len(every.first)
    assert (time[early.first] <= 12).all()
