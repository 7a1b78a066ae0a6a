"""Competing risks and partitioned survival under clone weights, and numbers needed: what they must equal and refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.estimates.target_trial import FORMS, Emulation
from sorafenib_rfa.stats.clone_censor import CONTROL, TREATED, CloneDesign
from sorafenib_rfa.stats.clone_censor_risks import RiskQuestion, StrategyRisks, answer
from sorafenib_rfa.stats.competing_risks import aalen_johansen
from sorafenib_rfa.stats.errors import (
    BeyondFollowUpError,
    ConvergenceError,
    EstimationError,
    InvalidEventsError,
    InvalidTimesError,
    NoEventsError,
)
from sorafenib_rfa.stats.number_needed import number_needed
from sorafenib_rfa.stats.partitioned_survival import PartitionedSurvival, PartitionQuestion

GRACE, TAU = 2.0, 36.0
MONTHS = (1.5, 6.0, 12.0, 36.0)


def cohort(n: int = 240, seed: int = 3, *, at_once: bool = False, all_alike: bool = False) -> pd.DataFrame:
    """Return patients whose start depends on a covariate that also drives harm and death, in months.

    Harms happen before a start and after it, and after a recurrence (`until`), from which a start is barred.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    wants = rng.random(n) < 1 / (1 + np.exp(0.6 - 0.7 * x))
    start = np.where(wants, 0.0 if at_once else np.round(rng.uniform(0.1, GRACE, n), 1), np.inf)
    harm = np.round(rng.exponential(25 * np.exp(-0.3 * x)), 1) + 0.05
    death = np.round(rng.exponential(45 * np.exp(-0.4 * x)), 1) + 0.1
    recurrence = np.round(rng.exponential(20.0, n), 1) + 0.05
    censored = np.round(rng.uniform(40, 90, n), 1)
    if at_once:
        recurrence, harm, death = recurrence + GRACE, harm + GRACE, death + GRACE
    last = np.minimum(death, censored)
    start = np.where(start < np.minimum(last, recurrence), start, np.inf)
    if all_alike:
        x = np.zeros(n)
    return pd.DataFrame(
        {
            "x": x,
            "start": start,
            "until": np.where(recurrence < last, recurrence, np.inf),
            "last": last,
            "died": death <= censored,
            "time": np.minimum(harm, last),
            "cause": np.where(harm <= last, 1, np.where(death <= censored, 2, 0)),
            "relapse": np.minimum(recurrence, last),
            "relapsed": (recurrence < last) | (death <= censored),
        }
    )


def emulate(frame: pd.DataFrame, resamples: int = 40) -> Emulation:
    leaves = np.minimum(frame["until"], frame["last"]).to_numpy()
    return Emulation.draw(
        frame[["x"]].to_numpy(),
        frame["start"].to_numpy(),
        frame["until"].to_numpy(),
        leaves,
        leaves > GRACE,
        GRACE,
        seed=11,
        resamples=resamples,
    )


def risks(frame: pd.DataFrame, form: str = "overlap", *, emulation: Emulation | None = None) -> StrategyRisks:
    emulation = emulation or emulate(frame)
    weights = emulation.weights(FORMS[form])
    question = RiskQuestion.ask(weights, frame["time"], frame["cause"], MONTHS, TAU)
    (found,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    return question.risks(found, emulation.usable)


def episodes(frame: pd.DataFrame, seed: int = 8) -> pd.DataFrame:
    """Return up to two episodes of toxicity a patient, which may overlap, begin at once, or never end."""
    rng = np.random.default_rng(seed)
    patient = np.flatnonzero(np.repeat(rng.random(len(frame)) < 0.6, 2)) // 2
    start = np.round(rng.exponential(6.0, patient.size), 1) * (rng.random(patient.size) > 0.1)
    end = start + np.round(rng.exponential(4.0, patient.size), 1) + 0.1
    return pd.DataFrame(
        {"patient": patient, "from": start, "to": np.where(rng.random(patient.size) < 0.1, np.inf, end)}
    )


def partition(
    frame: pd.DataFrame, toxic: pd.DataFrame, *, emulation: Emulation | None = None, tau: float = TAU
) -> PartitionedSurvival:
    emulation = emulation or emulate(frame)
    weights = emulation.weights(FORMS["overlap"])
    question = PartitionQuestion.ask(
        weights,
        (frame["relapse"], frame["relapsed"]),
        (frame["last"], frame["died"]),
        *(toxic[name].to_numpy() for name in ("patient", "from", "to")),
        tau,
    )
    (found,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    return question.partition(found, emulation.usable)


# --- competing risks -----------------------------------------------------------------------------------------------


def test_a_start_on_day_0_is_the_overlap_weighted_aalen_johansen_of_two_groups():
    """Nobody is undecided: the general estimator (held against R's survfit) on each group must give the same."""
    frame = cohort(at_once=True)
    emulation = emulate(frame)
    found = risks(frame, emulation=emulation)
    treated = np.isfinite(frame["start"]).to_numpy()
    score = emulation.scored.propensity[0]
    weight = np.where(treated, 1 - score, score)
    for arm, members in ((TREATED, treated), (CONTROL, ~treated)):
        curve = aalen_johansen(frame["time"][members], frame["cause"][members], weights=weight[members])
        np.testing.assert_allclose(found.risk.estimate[arm], curve.at(MONTHS).incidence, rtol=1e-12, atol=1e-14)


def test_without_covariates_a_start_on_day_0_gives_the_unweighted_curves():
    frame = cohort(at_once=True, all_alike=True)
    # a covariate that is balanced exactly carries no weight
    treated = np.isfinite(frame["start"]).to_numpy()
    for members in (treated, ~treated):
        frame.loc[members, "x"] = np.arange(members.sum()) % 2
    even = np.concatenate([np.flatnonzero(m)[: 2 * (m.sum() // 2)] for m in (treated, ~treated)])
    frame = frame.iloc[np.sort(even)].reset_index(drop=True)
    treated = np.isfinite(frame["start"]).to_numpy()
    found = risks(frame)
    for arm, members in ((TREATED, treated), (CONTROL, ~treated)):
        curve = aalen_johansen(frame["time"][members], frame["cause"][members])
        np.testing.assert_allclose(found.risk.estimate[arm], curve.at(MONTHS).incidence, rtol=1e-10)


def directly(rows: dict[str, np.ndarray], cause: np.ndarray, arm: int) -> tuple[list[float], float]:
    """Risks at MONTHS and area to TAU, walking through the start-stop rows of an arm event time after event time."""
    own = rows["arm"] == arm
    start, stop, weight = rows["start"][own], rows["stop"][own], rows["weight"][own]
    code = np.where(rows["event"][own], cause[rows["patient"][own]], 0)
    free, risk, area, before = 1.0, 0.0, 0.0, 0.0
    at_months: dict[float, float] = {}
    for time in [*np.unique(stop[code > 0]), np.inf]:
        for month in MONTHS:
            if before <= month < time:
                at_months[month] = risk
        area += risk * max(0.0, min(time, TAU) - min(before, TAU))
        if not np.isfinite(time):
            break
        at_risk = weight[(start < time) & (stop >= time)].sum()
        here = (stop == time) & (code > 0)
        risk += free * weight[here & (code == 1)].sum() / at_risk
        free *= 1 - weight[here].sum() / at_risk
        before = time
    return [at_months[month] for month in MONTHS], area


@pytest.mark.parametrize("form", ["overlap", "ate"])
@pytest.mark.parametrize("seed", [3, 4])
def test_risks_equal_a_walk_through_the_rows_of_the_copies(form, seed):
    frame = cohort(seed=seed)
    emulation = emulate(frame)
    found = risks(frame, form, emulation=emulation)
    design = CloneDesign.prepare(
        frame["time"],
        frame["cause"] > 0,
        emulation.start,
        GRACE,
        until=emulation.until,
        times=emulation.scored.times,
    )
    rows = design.rows(emulation.scored, tilt=FORMS[form].tilt)
    for arm in (TREATED, CONTROL):
        expected, area = directly(rows, frame["cause"].to_numpy(), arm)
        np.testing.assert_allclose(found.risk.estimate[arm], expected, rtol=1e-10)
        assert found.time_lost.estimate[arm] == pytest.approx(area, rel=1e-10)


def test_one_cause_is_the_kaplan_meier_of_the_primary_analysis_with_its_standard_error():
    frame = cohort().assign(cause=lambda d: (d["cause"] > 0).astype(int))
    emulation = emulate(frame)
    found = risks(frame, emulation=emulation)
    primary = emulation.compare(frame["time"].to_numpy(), (frame["cause"] > 0).to_numpy(), TAU)
    survival, error, of_difference = primary.at(MONTHS)
    np.testing.assert_allclose(found.risk.estimate, 1 - survival, rtol=1e-10)
    np.testing.assert_allclose(found.risk.std_err, error, rtol=1e-9)
    np.testing.assert_allclose(found.risk.difference().std_err, of_difference, rtol=1e-9)
    assert -found.time_lost.difference().estimate == pytest.approx(primary.rmst_difference.estimate, rel=1e-10)
    assert found.time_lost.difference().std_err == pytest.approx(primary.rmst_difference.std_err, rel=1e-9)


def test_a_resample_is_the_analysis_of_the_patients_drawn():
    frame, toxic = cohort(160), episodes(cohort(160))
    # whoever starts is followed beyond the grace period: the start times of a resample are then those of its patients
    for name in ("time", "last", "relapse", "until"):
        frame[name] += GRACE
    emulation = emulate(frame, 3)
    weights = emulation.weights(FORMS["overlap"])
    question = RiskQuestion.ask(weights, frame["time"], frame["cause"], MONTHS, TAU)
    whole = risks(frame, emulation=emulation).risk.draws[1]
    parted = partition(frame, toxic, emulation=emulation).states.draws[1]
    drawn = np.repeat(np.arange(len(frame)), emulation.drawn[1].astype(int))
    repeated = frame.loc[drawn].reset_index(drop=True)
    again = toxic.merge(pd.DataFrame({"patient": drawn, "place": np.arange(len(drawn))}), on="patient")
    again = again.drop(columns="patient").rename(columns={"place": "patient"})
    np.testing.assert_allclose(risks(repeated).risk.estimate, whole, rtol=1e-6)
    np.testing.assert_allclose(partition(repeated, again).states.estimate, parted, rtol=1e-6)
    assert question.followed_to.tolist() == [TAU, TAU]


def true_risk(hazards: np.ndarray, ratio: float, month: float) -> np.ndarray:
    """Risk of harm by `month` when starting at 0.5, 1 or 1.5 months with equal chance, and when never starting.

    Constant hazards of harm and death; harm is `ratio` times as frequent from the start on.
    """
    harm, death = hazards

    def piece(rate: float, length: float) -> tuple[float, float]:
        whole = rate + death
        return rate / whole * (1 - np.exp(-whole * length)), np.exp(-whole * length)

    never = piece(harm, month)[0]
    started = 0.0
    for day in (0.5, 1.0, 1.5):
        early, left = piece(harm, day)
        started += (early + left * piece(ratio * harm, month - day)[0]) / 3
    return np.array([started, never])


def test_a_known_truth_is_recovered():
    """A confounder doubles harm and death and halves the chance of a start; 60 cohorts, bias within Monte Carlo error.

    The overlap population weighs x by e(1 - e); truth in closed form. An unweighted comparison would be far off.
    """
    n, months, ratio = 1500, (6.0, 24.0), 2.0
    chance, share = np.array([0.6, 0.3]), np.array([0.5, 0.5])
    hazards = np.array([[0.02, 0.01], [0.05, 0.03]])
    by_x = np.array([[true_risk(hazards[x], ratio, month) for month in months] for x in (0, 1)])
    tilt = chance * (1 - chance) * share
    truth = np.tensordot(tilt / tilt.sum(), by_x, axes=1).T
    found, crude = [], []
    for replicate in range(60):
        rng = np.random.default_rng([77, replicate])
        x = rng.integers(0, 2, n)
        start = np.where(rng.random(n) < chance[x], rng.choice([0.5, 1.0, 1.5], n), np.inf)
        death = rng.exponential(1 / hazards[x, 1])
        # time change: after the start the clock of harm runs `ratio` times as fast
        clock = rng.exponential(1 / hazards[x, 0])
        begun = np.where(np.isfinite(start), start, clock)
        harm = np.where(clock > begun, begun + (clock - begun) / ratio, clock)
        end = rng.uniform(30, 60, n)
        time = np.minimum.reduce([harm, death, end])
        cause = np.where(time == end, 0, np.where(harm < death, 1, 2))
        # a start is not prevented by a harm, only by death
        start = np.where(start < death, start, np.inf)
        emulation = Emulation.draw(
            x[:, None].astype(float),
            start,
            np.full(n, np.inf),
            death,
            death > GRACE,
            GRACE,
            seed=replicate,
            resamples=2,
        )
        weights = emulation.weights(FORMS["overlap"])
        question = RiskQuestion.ask(weights, time, cause, months, 24.0)
        (values,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
        found.append(values[0].estimate)
        started = np.isfinite(start)
        crude.append([aalen_johansen(time[m], cause[m]).at(months).incidence for m in (started, ~started)])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    bias = np.mean(found, axis=0) - truth
    assert (error < 0.004).all()
    assert (np.abs(bias) < 3.5 * error).all()
    contrast = np.array(found)[:, 0] - np.array(found)[:, 1]
    true_contrast = truth[0] - truth[1]
    se = contrast.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(contrast.mean(axis=0) - true_contrast) < 3.5 * se).all()
    naive = np.diff(np.mean(crude, axis=0), axis=0)[0] * -1
    assert (np.abs(naive - true_contrast) > 10 * se).all()


def test_horizons_beyond_the_follow_up_are_unknown():
    """Unless nobody is event-free any more: then the risk stays what it is."""
    frame = cohort()
    emulation = emulate(frame)
    weights = emulation.weights(FORMS["overlap"])
    frame["cause"] = frame["cause"].where(frame["time"] <= 38, 0)
    frame["time"] = frame["time"].clip(upper=38.0)
    question = RiskQuestion.ask(weights, frame["time"], frame["cause"], (12.0, 600.0), 600.0)
    (found,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    result = question.risks(found, emulation.usable)
    assert np.isfinite(result.risk.estimate[:, 0]).all()
    assert np.isnan(result.risk.estimate[:, 1]).all()
    assert np.isnan(result.time_lost.estimate).all()
    over = RiskQuestion.ask(weights, frame["time"], frame["cause"].replace(0, 2), (12.0, 600.0), 600.0)
    (found,) = answer([over], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    assert np.isfinite(over.risks(found, emulation.usable).risk.estimate).all()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda d: d.assign(cause=0), NoEventsError, "nobody has the event"),
        (lambda d: d.assign(cause=np.where(d["cause"] == 1, 2, d["cause"])), NoEventsError, "nobody has the event"),
        (lambda d: d.assign(time=d["time"] - 1.0), InvalidTimesError, "above zero"),
        (lambda d: d.assign(time=d["time"].where(d.index > 3)), InvalidTimesError, "missing"),
        (lambda d: d.assign(cause=-1), InvalidEventsError, "causes must be whole numbers"),
        (lambda d: d.iloc[1:], InvalidTimesError, "239 times for 240 patients"),
    ],
)
def test_data_that_allow_no_risk_are_refused(change, error, says):
    frame = cohort()
    weights = emulate(frame, 2).weights(FORMS["overlap"])
    changed = change(frame)
    with pytest.raises(error, match=says):
        RiskQuestion.ask(weights, changed["time"], changed["cause"], MONTHS, TAU)


def test_too_many_useless_resamples_are_refused():
    frame = cohort()
    emulation = emulate(frame)
    weights = emulation.weights(FORMS["overlap"])
    question = RiskQuestion.ask(weights, frame["time"], frame["cause"], MONTHS, TAU)
    (found,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    with pytest.raises(ConvergenceError, match="40 of 40"):
        question.risks(found, np.zeros(40, dtype=bool))


# --- partitioned survival ------------------------------------------------------------------------------------------


def test_three_states_make_up_life_in_every_resample():
    frame = cohort()
    emulation = emulate(frame)
    found = partition(frame, episodes(frame), emulation=emulation)
    relapse, death = (
        emulation.compare(frame[time].to_numpy(), frame[event].to_numpy(), TAU)
        for time, event in (("relapse", "relapsed"), ("last", "died"))
    )
    for one in ("estimate", "draws"):
        states, free, alive = (getattr(r, one) for r in (found.states, found.relapse_free_mean, found.alive_mean))
        np.testing.assert_allclose(states.sum(axis=-1), alive, rtol=1e-12)
        np.testing.assert_allclose(states[..., :2].sum(axis=-1), free, rtol=1e-12)
    assert found.resamples == 40
    # the means are those of the primary analysis, whose code is another
    for mean, primary in ((found.relapse_free_mean, relapse), (found.alive_mean, death)):
        np.testing.assert_allclose(mean.estimate, [m.estimate for m in primary.rmst], rtol=1e-10)
        assert mean.difference().std_err == pytest.approx(primary.rmst_difference.std_err, rel=1e-9)
    assert (found.states.estimate > 0).all()
    np.testing.assert_allclose(found.quality_adjusted(1, 1).draws, found.alive_mean.draws, rtol=1e-12)
    np.testing.assert_allclose(found.quality_adjusted(0, 0).draws, found.states.draws[..., 1], rtol=1e-12)


def test_without_censoring_months_in_a_state_are_the_mean_of_patients_months():
    """All start on day 0 or never, nobody is censored: weighted means of each patient's own months, counted by hand."""
    frame = cohort(at_once=True)
    frame = frame.assign(died=True, relapsed=True)
    toxic = episodes(frame)
    emulation = emulate(frame)
    found = partition(frame, toxic, emulation=emulation)
    free = np.minimum(frame["relapse"].to_numpy(), TAU)
    days = np.arange(0, TAU, 0.05) + 0.025  # all times are tenths or twentieths
    open_ = np.zeros((len(frame), days.size), dtype=bool)
    for row in toxic.itertuples(index=False):
        open_[row.patient] |= (days > row[1]) & (days < row[2])
    sick = (open_ & (days < free[:, None])).sum(axis=1) * 0.05
    own = np.stack([sick, free - sick, np.minimum(frame["last"].to_numpy(), TAU) - free], axis=1)
    treated = np.isfinite(frame["start"]).to_numpy()
    score = emulation.scored.propensity[0]
    weight = np.where(treated, 1 - score, score)
    for arm, members in ((TREATED, treated), (CONTROL, ~treated)):
        mean = np.average(own[members], axis=0, weights=weight[members])
        np.testing.assert_allclose(found.states.estimate[arm], mean, rtol=1e-9)


def test_months_with_toxicity_equal_a_walk_through_the_rows_of_the_copies():
    frame = cohort(120)
    toxic = episodes(frame)
    emulation = emulate(frame, 2)
    found = partition(frame, toxic, emulation=emulation)
    design = CloneDesign.prepare(
        frame["relapse"],
        frame["relapsed"],
        emulation.start,
        GRACE,
        until=emulation.until,
        times=emulation.scored.times,
    )
    rows = design.rows(emulation.scored, tilt="overlap")
    edges = np.unique(np.concatenate([frame["relapse"], emulation.scored.times, toxic["from"], toxic["to"], [0, TAU]]))
    edges = edges[edges <= TAU]
    for arm in (TREATED, CONTROL):
        own = rows["arm"] == arm
        start, stop, weight, patient, event = (
            rows[name][own] for name in ("start", "stop", "weight", "patient", "event")
        )
        free, months = 1.0, 0.0
        for low, high in pairwise(edges):
            died = event & (stop == low)
            if died.any():
                free *= 1 - weight[died].sum() / weight[(start < low) & (stop >= low)].sum()
            here = (start <= low) & (stop > low)
            sick = set(toxic.loc[(toxic["from"] <= low) & (toxic["to"] >= high), "patient"])
            share = weight[here & np.isin(patient, list(sick))].sum() / weight[here].sum()
            months += free * share * (high - low)
        assert found.states.estimate[arm, 0] == pytest.approx(months, rel=1e-10)


def test_overlapping_episodes_count_once_and_those_after_relapse_not_at_all():
    frame = cohort()
    base = partition(frame, episodes(frame)).states.estimate
    twice = pd.concat([episodes(frame)] * 2, ignore_index=True)
    np.testing.assert_allclose(partition(frame, twice).states.estimate, base, rtol=1e-12)
    late = pd.DataFrame({"patient": frame.index, "from": frame["relapse"], "to": np.inf})
    found = partition(frame, pd.concat([episodes(frame), late], ignore_index=True))
    np.testing.assert_allclose(found.states.estimate, base, rtol=1e-12)


def test_nobody_toxic_and_always_toxic():
    frame = cohort()
    none = partition(frame, episodes(frame).iloc[:0])
    assert (none.states.draws[..., 0] == 0).all()
    always = pd.DataFrame({"patient": frame.index, "from": 0.0, "to": np.inf})
    found = partition(frame, always)
    np.testing.assert_allclose(found.states.estimate[:, 0], found.relapse_free_mean.estimate, rtol=1e-12)
    np.testing.assert_allclose(found.states.estimate[:, 1], 0.0, atol=1e-12)


def test_curves_part_the_whole():
    found = partition(cohort(), episodes(cohort()))
    assert (found.toxic <= found.relapse_free + 1e-12).all()
    assert found.time[0] == 0
    assert (found.alive[:, 0] == 1).all()
    widths = np.diff(np.append(found.time, TAU))
    np.testing.assert_allclose(found.toxic @ widths, found.states.estimate[:, 0], rtol=1e-12)


def test_what_cannot_be_parted_is_refused():
    frame = cohort()
    with pytest.raises(BeyondFollowUpError, match="before the horizon 600"):
        partition(frame, episodes(frame), tau=600.0)
    for wrong in ({"to": -1.0}, {"from": np.nan}):
        with pytest.raises(InvalidTimesError, match="end after it begins"):
            partition(frame, episodes(frame).assign(**wrong))


# --- numbers needed ------------------------------------------------------------------------------------------------


def test_numbers_needed_are_the_reciprocals_of_the_risk_reduction():
    benefit = number_needed(-0.10, -0.18, -0.02)
    assert (benefit.estimate, benefit.ci_low, benefit.ci_high) == pytest.approx((10, 50, 1 / 0.18))
    assert not benefit.through_infinity
    harm = number_needed(0.25, 0.2, 0.5)
    assert (harm.estimate, harm.ci_low, harm.ci_high) == pytest.approx((-4, -2, -5))
    # a reduction of 10 points, from an increase of 5 to a reduction of 25: NNTH 20 to infinity to NNTB 4
    both = number_needed(-0.10, -0.25, 0.05)
    assert (both.estimate, both.ci_low, both.ci_high) == pytest.approx((10, -20, 4))
    assert both.through_infinity


def test_no_difference_is_infinitely_many():
    equal = number_needed(0.0, -0.1, 0.1)
    assert equal.estimate == np.inf
    assert equal.through_infinity
    edge = number_needed(-0.1, -0.2, 0.0)
    assert (edge.ci_low, edge.ci_high) == (np.inf, pytest.approx(5))
    assert not edge.through_infinity
    other = number_needed(0.1, 0.0, 0.2)
    assert (other.ci_low, other.ci_high) == (pytest.approx(-5), -np.inf)


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.9, 0.9), st.floats(0, 0.5), st.floats(0, 0.5))
def test_the_interval_of_numbers_needed_is_that_of_the_difference_read_backwards(difference, below, above):
    low, high = difference - below, difference + above
    found = number_needed(difference, low, high)
    for number, risk in ((found.estimate, difference), (found.ci_low, high), (found.ci_high, low)):
        assert -1 / number == pytest.approx(risk, rel=1e-12, abs=1e-300)
    assert found.through_infinity == (low < 0 < high)


@pytest.mark.parametrize("wrong", [(np.nan, 0, 1), (0.1, np.nan, 0.2), (0.1, 0.2, 0.3), (0.1, 0.0, np.inf)])
def test_numbers_needed_want_a_difference_within_its_limits(wrong):
    with pytest.raises(EstimationError, match="a risk difference with its limits"):
        number_needed(*wrong)
