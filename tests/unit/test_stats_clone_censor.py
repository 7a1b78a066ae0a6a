"""Clone-censor-weight: an example worked by hand, what it must equal, and what it must refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.estimates.target_trial import FORMS, Emulation, start_stop
from sorafenib_rfa.stats.clone_censor import CONTROL, TREATED, CloneDesign, ScoredInitiation, compare_strategies
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import (
    BeyondFollowUpError,
    EmptyGroupError,
    EstimationError,
    InvalidTimesError,
    NoEventsError,
    SeparationError,
)
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier

GRACE = 2.0


def cohort(n: int = 240, seed: int = 3, *, start_at: float | None = None, early_events: bool = True) -> pd.DataFrame:
    """Return patients whose start depends on a covariate that also drives the event, in months."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    wants = rng.random(n) < 1 / (1 + np.exp(0.6 - 0.7 * x))
    start = np.where(wants, np.round(rng.uniform(0.1, GRACE, n), 1) if start_at is None else start_at, np.inf)
    time = np.round(rng.exponential(30 * np.exp(-0.4 * x)), 2) + (0.03 if early_events else GRACE + 0.1)
    censored = rng.uniform(40, 90, n)
    until = np.where(rng.random(n) < 0.5, time * rng.uniform(0.3, 1, n), np.inf)
    event = time <= censored
    time = np.minimum(time, censored)
    start = np.where(start < np.minimum(time, until), start, np.inf)
    return pd.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=n),
            "time": time,
            "event": event,
            "start": start,
            "until": until,
            "known": (np.minimum(time, until) > GRACE),
        }
    )


def emulate(frame: pd.DataFrame, *, until: bool = False, resamples: int = 60, columns=("x", "z")) -> Emulation:
    barred = frame["until"].to_numpy() if until else np.full(len(frame), np.inf)
    known = (np.minimum(frame["time"], barred) > GRACE).to_numpy()
    return Emulation.draw(
        frame[list(columns)].to_numpy(),
        frame["start"].to_numpy(),
        barred,
        np.minimum(frame["time"].to_numpy(), barred),
        known,
        GRACE,
        seed=11,
        resamples=resamples,
    )


def compared(frame: pd.DataFrame, tau: float = 36.0, form: str = "overlap", **how):
    return emulate(frame, **how).compare(frame["time"].to_numpy(), frame["event"].to_numpy(), tau, form=form)


def test_an_example_worked_by_hand():
    """Five patients, half of whom start (e = 1/2), at months 1 and 2; grace period 3.

    Overlap weights h = 1/4. At month 1.5 half of the starters have started (F = 1/2, q = 3/4): under "start" A weighs
    h/e = 1/2 and the four others h (q - 1/2) / (e q) = 1/6, so 7/6 are at risk and E's death takes 1/7; under "do not
    start" B, C, D, E weigh h/q = 1/3 and E's death takes 1/4. After month 2 everyone left weighs 1/2: at month 4 B is
    one of two (S = 3/7), at month 5 C one of two (S = 3/8), at month 10 A is the last.
    """
    time, event = np.array([10.0, 4, 5, 12, 1.5]), np.array([1, 1, 1, 0, 1], dtype=bool)
    start = np.array([1.0, 2, np.inf, np.inf, np.inf])
    known = np.array([True, True, True, True, False])
    one = np.ones((1, 5))
    design = CloneDesign.prepare(time, event, start, 3.0)
    initiation = ScoredInitiation.fitted(design.times, np.full((1, 5), 0.5), start, one, known)
    np.testing.assert_allclose(initiation.timing, [[0.5, 1.0]])
    at_risk, events = design.sums(one, initiation, tilt="overlap")
    np.testing.assert_allclose(design.grid, [1.5, 4, 5, 10])
    np.testing.assert_allclose(at_risk[TREATED, 0], [7 / 6, 1, 0.5, 0.5])
    np.testing.assert_allclose(events[TREATED, 0], [1 / 6, 0.5, 0, 0.5])
    np.testing.assert_allclose(at_risk[CONTROL, 0], [4 / 3, 1, 1, 0.5])
    np.testing.assert_allclose(events[CONTROL, 0], [1 / 3, 0, 0.5, 0])
    twice = ScoredInitiation.fitted(design.times, np.full((2, 5), 0.5), start, np.ones((2, 5)), known)
    found = compare_strategies(design, initiation, twice, np.ones((2, 5)), np.ones(2, dtype=bool), 6.0)
    np.testing.assert_allclose(found.survival[TREATED], [6 / 7, 3 / 7, 3 / 7, 0], atol=1e-15)
    np.testing.assert_allclose(found.survival[CONTROL], [3 / 4, 3 / 4, 3 / 8, 3 / 8])
    assert found.rmst[TREATED].estimate == pytest.approx(1.5 + 2.5 * 6 / 7 + 2 * 3 / 7)
    assert found.rmst[CONTROL].estimate == pytest.approx(1.5 + 3.5 * 3 / 4 + 1 * 3 / 8)
    # all patients: four times the overlap weights, since e(1 - e) = 1/4 for all
    everyone, _ = design.sums(one, initiation, tilt="ate")
    np.testing.assert_allclose(everyone, 4 * at_risk)


def test_a_start_on_day_0_and_no_event_within_grace_is_the_overlap_weighted_comparison():
    """Nothing is left to clone: the emulated trial is the weighted comparison of two groups from time zero."""
    frame = cohort(start_at=0.0, early_events=False)
    emulation = emulate(frame)
    found = emulation.compare(frame["time"].to_numpy(), frame["event"].to_numpy(), 36.0)
    treated = np.isfinite(frame["start"]).to_numpy()
    score = emulation.scored.propensity[0]
    weight = np.where(treated, 1 - score, score)
    for arm, members in ((TREATED, treated), (CONTROL, ~treated)):
        curve = kaplan_meier(frame["time"][members], frame["event"][members], weights=weight[members])
        assert found.rmst[arm].estimate == pytest.approx(curve.rmst(36.0).estimate, rel=1e-12)
        np.testing.assert_allclose(found.at([6.0, 24.0])[0][arm], curve.at([6.0, 24.0]).survival, rtol=1e-12)
    fit = cox_fit(pd.DataFrame({"a": treated.astype(float)}), frame["time"], frame["event"], weights=weight)
    assert np.log(found.hazard_ratio.estimate) == pytest.approx(float(fit.coef[0]), rel=1e-8)


def test_a_constant_score_gives_the_unweighted_curves():
    """Without covariates and with starts on day 0 all patients of an arm weigh the same."""
    frame = cohort(start_at=0.0, early_events=False).assign(x=0.0, z=lambda d: np.arange(len(d)) % 2.0)
    treated = np.isfinite(frame["start"]).to_numpy()
    # a covariate that is balanced exactly between the arms
    frame.loc[treated, "z"] = np.arange(treated.sum()) % 2
    frame.loc[~treated, "z"] = np.arange((~treated).sum()) % 2
    kept = np.concatenate([np.flatnonzero(treated)[: 2 * (treated.sum() // 2)],
                           np.flatnonzero(~treated)[: 2 * ((~treated).sum() // 2)]])  # fmt: skip
    frame = frame.iloc[np.sort(kept)].reset_index(drop=True)
    treated = np.isfinite(frame["start"]).to_numpy()
    found = compared(frame, columns=("z",))
    for arm, members in ((TREATED, treated), (CONTROL, ~treated)):
        curve = kaplan_meier(frame["time"][members], frame["event"][members])
        assert found.rmst[arm].estimate == pytest.approx(curve.rmst(36.0).estimate, rel=1e-9)


@pytest.mark.parametrize("form", list(FORMS))
def test_sums_over_copies_equal_survival_software_on_the_rows(form):
    """The start-stop rows give the same curves and hazard ratio through the general estimators."""
    frame = cohort()
    emulation = emulate(frame, until=True)
    time, event = frame["time"].to_numpy(), frame["event"].to_numpy()
    found = emulation.compare(time, event, 36.0, form=form)
    chosen = FORMS[form]
    design = emulation.design(time, event, chosen)
    rows = design.rows(emulation.initiation(chosen)[0], tilt=chosen.tilt, cap=emulation.caps(design, chosen))
    for arm in (TREATED, CONTROL):
        own = rows["arm"] == arm
        curve = kaplan_meier(
            rows["stop"][own], rows["event"][own], start=rows["start"][own], weights=rows["weight"][own]
        )
        assert found.rmst[arm].estimate == pytest.approx(curve.rmst(36.0).estimate, rel=1e-10)
    fit = cox_fit(
        pd.DataFrame({"a": (rows["arm"] == TREATED).astype(float)}),
        rows["stop"],
        rows["event"],
        start=rows["start"],
        weights=rows["weight"],
    )
    assert np.log(found.hazard_ratio.estimate) == pytest.approx(float(fit.coef[0]), rel=1e-7)


def test_the_order_of_patients_does_not_matter():
    frame = cohort()
    mixed = frame.sample(frac=1, random_state=5).reset_index(drop=True)
    one, other = (compared(data, until=True) for data in (frame, mixed))
    for name in ("rmst_difference", "hazard_ratio"):
        assert getattr(one, name).estimate == pytest.approx(getattr(other, name).estimate, rel=1e-9)
    np.testing.assert_allclose(one.survival, other.survival, rtol=1e-9, atol=1e-12)


def test_a_resample_is_the_analysis_of_the_patients_drawn():
    """Multiplicities give what physically repeated patients give: same scores, curves and restricted means."""
    frame = cohort(160)
    emulation = emulate(frame, resamples=3)
    time, event = frame["time"].to_numpy(), frame["event"].to_numpy()
    design = emulation.design(time, event, FORMS["overlap"])
    at_risk, events = design.sums(emulation.drawn, emulation.scored_resampled, tilt="overlap")
    drawn = frame.loc[np.repeat(np.arange(len(frame)), emulation.drawn[1].astype(int))].reset_index(drop=True)
    repeated = compared(drawn, resamples=20)
    hazard = events[:, 1] / at_risk[:, 1]
    survival = np.cumprod(1 - hazard, axis=1)
    for arm in (TREATED, CONTROL):
        at = np.searchsorted(design.grid, repeated.time)
        np.testing.assert_allclose(survival[arm][at], repeated.survival[arm], rtol=1e-6, atol=1e-9)


def test_copies_fade_out_and_the_sum_of_weights_stays():
    """Without events both arms keep the size of time zero through the grace period (in expectation)."""
    frame = cohort(6000, early_events=False)
    emulation = emulate(frame, resamples=2)
    design = emulation.design(frame["time"].to_numpy(), frame["event"].to_numpy(), FORMS["overlap"])
    rows = design.rows(emulation.scored, tilt="overlap")
    for arm in (TREATED, CONTROL):
        own = rows["arm"] == arm
        sums = [
            rows["weight"][own & (rows["start"] <= month) & (rows["stop"] > month)].sum()
            for month in (0.0, 0.55, 1.05, 1.55, 2.05)
        ]
        np.testing.assert_allclose(sums, sums[0], rtol=0.04)
    assert rows["weight"].max() < 1


def test_who_can_no_longer_start_follows_both_strategies():
    """A recurrence at month 1 freezes the weights; the patient's death at month 9 counts in both arms."""
    frame = cohort()
    first = int(np.flatnonzero(np.isinf(frame["start"]))[0])
    frame["until"] = np.inf
    frame.loc[first, ["until", "time", "event"]] = [1.0, 9.0, True]
    emulation = emulate(frame, until=True)
    design = emulation.design(frame["time"].to_numpy(), frame["event"].to_numpy(), FORMS["overlap"])
    rows = pd.DataFrame(design.rows(emulation.scored, tilt="overlap"))
    own = rows[rows["patient"] == first]
    for _, copy in own.groupby("arm"):
        copy = copy.sort_values("start")
        assert copy["stop"].iloc[-1] == 9.0
        assert copy["event"].iloc[-1]
        late = copy[copy["start"] >= 1.0]
        assert len(late) > 3
        assert late["weight"].nunique() == 1
    assert set(own["arm"]) == {TREATED, CONTROL}


def test_a_start_at_the_recurrence_or_after_grace_does_not_count():
    design = CloneDesign.prepare(
        [5.0, 6.0, 7.0, 8.0], [1, 1, 1, 1], [1.0, 1.0, 2.5, np.nan], GRACE, until=[np.inf, 1.0, np.inf, np.inf]
    )
    np.testing.assert_array_equal(np.isfinite(design.start), [True, False, False, False])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"start": np.inf}, EmptyGroupError, "nobody"),
        ({"start": 0.5}, EmptyGroupError, "everybody"),
        ({"event": False}, NoEventsError, "no events"),
        ({"time": -1.0}, InvalidTimesError, "below"),
        ({"time": np.nan}, InvalidTimesError, "missing"),
    ],
)
def test_data_that_allow_no_estimate_are_refused(change, error, says):
    frame = cohort(early_events=False)
    for column, value in change.items():
        frame[column] = value
    with pytest.raises(EstimationError) as caught:
        known = np.ones(len(frame), dtype=bool)
        emulation = Emulation.draw(
            frame[["x"]].to_numpy(),
            frame["start"].to_numpy(),
            np.full(len(frame), np.inf),
            np.full(len(frame), 50.0),
            known,
            GRACE,
            seed=1,
            resamples=20,
        )
        emulation.compare(frame["time"].to_numpy(), frame["event"].to_numpy(), 36.0)
    assert isinstance(caught.value, error), caught.value


def test_a_start_before_time_zero_is_refused():
    with pytest.raises(InvalidTimesError, match="1 starts lie before time zero"):
        CloneDesign.prepare([1.0, 2.0, 3.0], [1, 1, 0], [-0.1, 0.5, np.inf], GRACE)


def test_a_covariate_that_decides_the_start_is_refused():
    frame = cohort().assign(x=lambda d: np.isfinite(d["start"]).astype(float))
    with pytest.raises(SeparationError, match="separate"):
        emulate(frame)


def test_a_horizon_beyond_the_follow_up_is_refused():
    frame = cohort()
    cut = frame.assign(event=lambda d: d["event"] & (d["time"] < 20), time=lambda d: np.minimum(d["time"], 20))
    with pytest.raises(BeyondFollowUpError, match=r"ends at 20\.0, before the horizon 36"):
        compared(cut)


def test_a_strategy_without_events_has_no_hazard_ratio():
    frame = cohort(early_events=False)
    frame["event"] = frame["event"] & np.isinf(frame["start"])
    with pytest.raises(EstimationError, match='no events under the strategy "start"'):
        compared(frame)


def test_start_stop_rows_switch_exposure_on_at_the_first_dose():
    rows = start_stop(np.array([10.0, 8, 5]), np.array([True, False, True]), np.array([4.0, np.inf, 5.0]))
    expected = pd.DataFrame(
        {
            "patient": [0, 0, 1, 2],
            "start": [0.0, 4, 0, 0],
            "stop": [4.0, 10, 8, 5],
            "event": [False, True, False, True],
            "exposed": [0.0, 1, 0, 0],
        }
    )
    pd.testing.assert_frame_equal(rows, expected)
    for _, own in rows.groupby("patient"):
        assert all(a.stop == b.start for a, b in pairwise(own.itertuples()))
