"""Benefits and harms of the emulated trial: when harms happen, what is estimated, and what is refused with a reason."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import break_cohort, cohort, make_adam, plan, value

from sorafenib_rfa.config.models import EventFilter
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.benefit_risk import EFFECT_COLUMNS, estimate_benefit_risk
from sorafenib_rfa.estimates.collect import collect_ard, collect_members
from sorafenib_rfa.estimates.harms import (
    events_since_index,
    first_albi_worsening,
    first_event,
    followed_for_harms,
    in_follow_up,
    select_events,
    toxic_episodes,
)
from sorafenib_rfa.estimates.members import CountIndex
from sorafenib_rfa.estimates.parts import CURVES
from sorafenib_rfa.estimates.target_trial import estimate_target_trial
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

FEW = plan(bootstrap_resamples=200)
RFA = pd.Timestamp("2016-01-01")


def with_ends(adam: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Let every event last up to six weeks, some of them to the end of follow-up; nausea was liver injury."""
    adae = adam["adae"].replace({"AEDECOD": {"Nausea": "Alanine aminotransferase increased"}})
    length = np.random.default_rng(6).integers(0, 45, len(adae))
    ends = adae["ASTDT"] + pd.to_timedelta(length, unit="D")
    adae["AENDT"] = ends.where(length < 42).astype("datetime64[s]")
    return adam | {"adae": adae}


def with_late_doses(adam: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Give one in eight of the unexposed the drug after half a year or after a recurrence, every second with harm.

    Some adverse events are recorded as begun after the last contact.
    """
    adsl, adae = adam["adsl"].copy(), adam["adae"]
    half_year = adsl["TRTSDT"] + pd.Timedelta(days=180)
    dose = half_year.where(adsl["RECDT"].isna() | (adsl["RECDT"] > half_year), adsl["RECDT"] + pd.Timedelta(days=20))
    can = (adsl["EXPOSFL"] == "N") & (dose + pd.Timedelta(days=10) < adsl["LSTALVDT"])
    late = can & (can.cumsum() % 8 == 0)
    before = late & ~(adsl["RECDT"] <= dose)
    adsl["EXSTDT"] = adsl["EXSTDT"].mask(late, dose)
    adsl["EXPOSFL"] = adsl["EXPOSFL"].mask(before, "Y")
    harmed = adsl[late].iloc[::2]
    start = dose[harmed.index] + pd.Timedelta(days=3)
    unseen = adsl[adsl["DTHDT"].isna()].iloc[::60]
    more = [
        adae.iloc[[0] * len(who)].assign(
            USUBJID=who["USUBJID"].to_numpy(), ASTDT=begin.to_numpy(), AENDT=begin.to_numpy(), ATOXGR=3, AESER="Y"
        )
        for who, begin in ((harmed, start), (unseen, unseen["LSTALVDT"] + pd.Timedelta(days=9)))
    ]
    return adam | {"adsl": adsl, "adae": pd.concat([adae, *more], ignore_index=True)}


@cache
def simulated() -> dict[str, pd.DataFrame]:
    """Return a simulated cohort of 700."""
    return with_late_doses(with_ends(make_adam()))


def estimate(
    adam: dict[str, pd.DataFrame], seed: int = 7, own_plan=FEW, config=None, adlb: pd.DataFrame | None = None
) -> Estimates:
    return estimate_benefit_risk(
        adam["adsl"],
        adam["adtte"],
        adam["adae"],
        own_plan,
        config or cohort(),
        "synthetic",
        "records/benefit_risk.json",
        seed=seed,
        adlb=adam.get("adlb") if adlb is None else adlb,
    )


@cache
def result() -> Estimates:
    """Return the part, estimated from the simulated cohort."""
    return estimate(simulated())


# --- when harms happen ---------------------------------------------------------------------------------------------


def day(number: float) -> pd.Timestamp:
    return pd.NaT if np.isnan(number) else RFA + pd.Timedelta(days=int(number))


def patients(**changes: object) -> pd.DataFrame:
    """Three patients followed for 100 days: A takes the drug from day 10 on, B and C never do; C dies on day 60."""
    frame = pd.DataFrame(
        {
            "USUBJID": pd.array(["A", "B", "C"], dtype="string"),
            "EXPOSFL": pd.array(["Y", "N", "N"], dtype="string"),
            "TRTSDT": [RFA] * 3,
            "EXSTDT": [day(10), pd.NaT, pd.NaT],
            "DTHDT": [pd.NaT, pd.NaT, day(60)],
            "LSTALVDT": [day(100), day(100), day(60)],
            "ALBISC": pd.array([-2.7, -2.0, -2.7], dtype="Float64"),  # grades 1, 2, 1
        }
    )
    return frame.assign(**changes)


def adverse_events(*rows: tuple) -> pd.DataFrame:
    """Return events: patient, first and last day, grade and, if given, serious and term."""
    padded = [(*row, *("N", "Diarrhea")[len(row) - 4 :]) for row in rows]
    frame = pd.DataFrame(padded, columns=["USUBJID", "start", "end", "ATOXGR", "AESER", "AEDECOD"])
    return frame.assign(
        USUBJID=frame["USUBJID"].astype("string"),
        AESER=frame["AESER"].astype("string"),
        AEDECOD=frame["AEDECOD"].astype("string"),
        ATOXGR=frame["ATOXGR"].astype("Int64"),
        ASTDT=[day(number) for number in frame["start"].astype(float)],
        AENDT=[day(number) for number in frame["end"].astype(float)],
        SRCFILE="events.csv",
        SRCSHEET=None,
        SRCROW=range(2, len(frame) + 2),
    )


NAN = float("nan")
ALL = pd.Index(["A", "B", "C"])


def first(adae: pd.DataFrame, adsl: pd.DataFrame | None = None, **how: object) -> pd.DataFrame:
    adsl = patients() if adsl is None else adsl
    chosen = select_events(events_since_index(adae, adsl), EventFilter(**how), FEW)
    found = first_event(chosen, followed_for_harms(adsl), ALL)
    return found.assign(day=found["time"] * DAYS_PER_MONTH)


def test_an_event_comes_half_a_day_after_a_dose_of_the_same_day_and_the_first_that_fits_counts():
    adae = adverse_events(("A", 10, 12, 3), ("A", 4, 5, 2), ("A", 30, 31, 4), ("C", 59, NAN, 3))
    found = first(adae, min_grade=3)
    np.testing.assert_allclose(found["day"], [10.5, 100, 59.5])
    assert found["cause"].tolist() == [1, 0, 1]
    assert first(adae, min_grade=4)["cause"].tolist() == [1, 0, 2]
    assert first(adae)["day"].tolist() == pytest.approx([4.5, 100, 59.5])


def test_death_competes_and_an_event_of_the_day_of_death_is_the_event():
    assert first(adverse_events(("B", 20, 21, 1)), min_grade=3)["cause"].tolist() == [0, 0, 2]
    fatal = first(adverse_events(("C", 60, 60, 5)), min_grade=3)
    assert fatal["cause"].tolist() == [0, 0, 1]
    assert fatal.loc["C", "day"] == pytest.approx(60)


def test_events_before_the_ablation_do_not_count_and_those_of_its_day_do():
    adae = adverse_events(("A", -3, 20, 3), ("B", 0, 2, 3))
    found = first(adae, min_grade=3)
    assert found["cause"].tolist() == [0, 1, 2]
    assert found.loc["B", "day"] == pytest.approx(0.5)
    assert (found["time"] > 0).all()


def test_an_event_of_unknown_start_counts_unless_it_was_over_before_the_ablation():
    """From the first dose in the exposed, from RFA in the others or if over before the dose, as ADAE has it."""
    rows = adverse_events(("A", NAN, 40, 3), ("A", NAN, 6, 3), ("A", NAN, NAN, 3), ("B", NAN, 9, 3), ("C", NAN, -1, 3))
    found = events_since_index(rows, patients())
    assert found["from_day"].tolist() == [10, 0, 10, 0]
    assert found["to_day"].tolist() == [40, 6, np.inf, 9]
    assert not found["start_known"].any()


def test_an_event_after_the_last_contact_neither_counts_nor_lengthens_follow_up():
    adae = adverse_events(("A", 130, NAN, 3), ("B", 101, NAN, 3), ("B", 100, NAN, 1), ("C", 61, 70, 4))
    found = first(adae, min_grade=3)
    assert found["cause"].tolist() == [0, 0, 2]
    np.testing.assert_allclose(found["day"], [100, 100, 60])
    events = events_since_index(adae, patients())
    assert in_follow_up(events, followed_for_harms(patients())).tolist() == [False, False, True, False]
    # on the last day of contact it does
    assert first(adae)["cause"].tolist() == [0, 1, 2]


def test_filters_of_the_plan():
    rows = adverse_events(
        ("A", 20, 21, 3, "Y", "Palmar-plantar erythrodysesthesia syndrome"),
        ("B", 20, 21, 3, None, "Hepatic failure"),
        ("C", 20, 21, None, "Y", "Fatigue"),
    )
    events = events_since_index(rows, patients())

    def who(**how: object) -> str:
        return "".join(select_events(events, EventFilter(**how), FEW)["USUBJID"])

    assert who() == "ABC"
    assert who(min_grade=3) == "AB"  # without a grade no event is of grade 3
    assert who(serious=True) == "AC"  # not recorded is not serious
    assert who(of_interest="HAND_FOOT", min_grade=3) == "A"
    assert who(of_interest="LIVER_INJURY") == "B"


def test_episodes_include_their_last_day_and_may_stay_open():
    rows = adverse_events(("B", 20, 21, 3), ("A", 5, NAN, 3), ("C", 7, 7, 4))
    found = toxic_episodes(events_since_index(rows, patients()), ALL)
    assert found["patient"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(found["toxic_from"] * DAYS_PER_MONTH, [20, 5, 7])
    np.testing.assert_allclose(found["toxic_to"] * DAYS_PER_MONTH, [22, np.inf, 8])


def results(*rows: tuple) -> pd.DataFrame:
    """Return albumin and bilirubin of a day: patient, day, g/L, umol/L and, if given, whether near an ablation."""
    frames = [
        {
            "USUBJID": who, "PARAMCD": test, "ADT": day(at), "ADY": at + 1, "AVAL": amount,
            "PERIRFFL": near[0] if near else "N", "SRCFILE": "labs.csv", "SRCSHEET": None, "SRCROW": 2,
        }
        for who, at, albumin, bilirubin, *near in rows
        for test, amount in (("ALB", albumin), ("BILI", bilirubin))
    ]  # fmt: skip
    return pd.DataFrame(frames).astype({"USUBJID": "string", "PARAMCD": "string", "PERIRFFL": "string"})


def test_albi_worsens_at_the_first_result_above_baseline_away_from_ablations():
    """ALBI 0.66 log10(bilirubin) - 0.085 albumin; grade 2 above -2.60, grade 3 above -1.39 (Johnson 2015)."""
    good, fair, poor = (42.0, 10.0), (34.0, 12.0), (22.0, 60.0)  # -2.91, -2.18, -0.70
    adlb = results(
        ("A", 20, *fair, "Y"), ("A", 40, *good), ("A", 70, *fair), ("A", 90, *poor),
        ("B", 30, *fair), ("B", 80, *good), ("C", 0, *poor),
    )  # fmt: skip
    adsl = patients()
    observed = followed_for_harms(adsl)
    found = first_albi_worsening(adlb, adsl, observed, ALL)
    np.testing.assert_allclose(found["time"] * DAYS_PER_MONTH, [70, 80, 60])
    assert found["cause"].tolist() == [1, 0, 2]
    assert found["results"].tolist() == [3, 2, 0]
    # C died on day 60, 60 days after the score at baseline, the last
    recent = first_albi_worsening(adlb, adsl, observed, ALL, death_within_days=60)
    pd.testing.assert_frame_equal(recent, found)
    earlier = first_albi_worsening(adlb, adsl, observed, ALL, death_within_days=59)
    assert earlier["cause"].tolist() == [1, 0, 0]
    assert earlier.loc["C", "time"] * DAYS_PER_MONTH == pytest.approx(0.5)
    # a score after the last contact does not count
    shorter = followed_for_harms(patients(LSTALVDT=[day(60), day(100), day(60)]))
    assert first_albi_worsening(adlb, adsl, shorter, ALL)["cause"].tolist() == [0, 0, 2]
    # nobody without a grade at baseline can be said to have worsened, or not
    unknown = first_albi_worsening(adlb, patients(ALBISC=pd.array([pd.NA] * 3, dtype="Float64")), observed, ALL)
    assert unknown["cause"].tolist() == [0, 0, 0]
    np.testing.assert_allclose(unknown["time"] * DAYS_PER_MONTH, 0.5)


# --- what is estimated ---------------------------------------------------------------------------------------------


def test_benefits_are_those_of_the_emulated_trial_with_the_same_intervals():
    """Same patients, weights and, given the same seed, resamples: nothing is printed twice with two intervals."""
    trial = estimate_target_trial(
        simulated()["adsl"], simulated()["adtte"], FEW, cohort(), "synthetic", "r", seed=7
    ).ard
    for effect in ("rfs", "os"):
        for month in (12, 24, 36):
            ours = value(result().ard, f"benefit_risk.{effect}.contrast.m{month}.risk_difference")
            theirs = value(trial, f"target_trial.{effect}_ccw_overlap.contrast.m{month}.risk_difference")
            np.testing.assert_allclose(*(row[["value", "ci_low", "ci_high"]].astype(float) for row in (ours, theirs)))
            for arm in ("sorafenib", "control"):
                risk = value(result().ard, f"benefit_risk.{effect}.{arm}.m{month}.risk")
                survival = value(trial, f"target_trial.{effect}_ccw_overlap.{arm}.m{month}.survival")
                np.testing.assert_allclose(
                    risk[["value", "ci_low", "ci_high"]].astype(float),
                    100 - survival[["value", "ci_high", "ci_low"]].astype(float),
                )
        lost = value(result().ard, f"benefit_risk.{effect}.contrast.m36.months_lost_difference")
        mean = value(trial, f"target_trial.{effect}_ccw_overlap.contrast.m36.difference")
        np.testing.assert_allclose(lost["value"], -mean["value"])
        np.testing.assert_allclose(lost["ci_low"], -mean["ci_high"])
    for level, effect in (("recurrence_free", "rfs"), ("alive", "os")):
        months = value(result().ard, f"benefit_risk.partition.contrast.m36.{level}.difference")
        mean = value(trial, f"target_trial.{effect}_ccw_overlap.contrast.m36.difference")
        np.testing.assert_allclose(*(row[["value", "ci_low", "ci_high"]].astype(float) for row in (months, mean)))


def test_every_declared_effect_has_all_its_rows_with_intervals():
    ard = collect_ard([result().ard]).set_index("ard_id")
    collect_members([result().members], ard.reset_index())
    for effect in FEW.benefit_risk.effects:
        assert ard.loc[f"benefit_risk.{effect.id}.n", "value"] > 600
        assert ard.loc[f"benefit_risk.{effect.id}.events", "value"] > 0
        for month in FEW.benefit_risk.horizons_months:
            for arm in ("sorafenib", "control"):
                row = ard.loc[f"benefit_risk.{effect.id}.{arm}.m{month:g}.risk"]
                if row["value"] > 0:
                    assert 0 <= row["ci_low"] < row["value"] < row["ci_high"] <= 100
                else:  # resamples of patients without an event have none either
                    assert np.isnan(row["ci_low"])
                    assert "no event" in row["method"]
            row = ard.loc[f"benefit_risk.{effect.id}.contrast.m{month:g}.risk_difference"]
            one, other = (
                ard.loc[f"benefit_risk.{effect.id}.{a}.m{month:g}.risk", "value"] for a in ("sorafenib", "control")
            )
            assert row["value"] == pytest.approx(one - other)
            assert row["ci_low"] < row["value"] < row["ci_high"]
            needed = ard.loc[f"benefit_risk.{effect.id}.contrast.m{month:g}.number_needed"]
            # reciprocals in the order of the risk reduction: low above high is an interval without infinity
            assert (needed["ci_low"] > needed["ci_high"]) == (not row["ci_low"] < 0 < row["ci_high"])
            np.testing.assert_allclose(
                needed[["value", "ci_low", "ci_high"]].astype(float),
                -100 / row[["value", "ci_high", "ci_low"]].astype(float),
            )
    assert set(ard["estimand_id"]) == {"B1_BENEFIT_RISK"}
    assert ard["p_value"].isna().all()


def test_what_is_counted_is_counted_again():
    adam = simulated()
    adsl, adae = adam["adsl"].set_index("USUBJID"), adam["adae"]
    ard = result().ard
    last = adsl["DTHDT"].fillna(adsl["LSTALVDT"])
    seen = adae["ASTDT"] <= adae["USUBJID"].map(last)
    own = adae["USUBJID"].isin(complete(adsl))
    assert value(ard, "benefit_risk.adverse_events.after_follow_up")["value"] == (own & ~seen).sum() > 0
    assert value(ard, "benefit_risk.adverse_events.events")["value"] == (own & seen).sum()
    chosen = adae[(adae["ATOXGR"] >= 3) & own & seen]
    assert value(ard, "benefit_risk.grade_3_5.events")["value"] == chosen["USUBJID"].nunique()
    assert value(ard, "benefit_risk.partition.events")["value"] == len(chosen)
    dead = adsl[adsl["DTHDT"].notna()].index.difference(chosen["USUBJID"])
    assert value(ard, "benefit_risk.grade_3_5.competing")["value"] == len(dead.intersection(complete(adsl)))
    members = result().members
    own = members[members["ard_id"] == "benefit_risk.grade_3_5.events"]
    assert set(own["USUBJID"]) == set(chosen["USUBJID"])


def test_who_had_a_harm_without_a_start_is_counted_again_by_whether_the_drug_came_first():
    adam = simulated()
    adsl, adae = adam["adsl"].set_index("USUBJID"), adam["adae"]
    own = adsl.loc[complete(adsl)]
    days = (own["EXSTDT"] - own["TRTSDT"]).dt.days
    starts = (own["EXPOSFL"] == "Y") & (days <= FEW.grace_period_days)
    others = own[~starts]
    last = others["DTHDT"].fillna(others["LSTALVDT"])
    rows = adae[(adae["ATOXGR"] >= 3) & adae["USUBJID"].isin(others.index)]
    rows = rows[rows["ASTDT"] <= rows["USUBJID"].map(last)]
    begun = rows.groupby("USUBJID")["ASTDT"].min()
    after = begun[begun >= others["EXSTDT"].reindex(begun.index)]
    ard, members = result().ard, result().members
    where = "benefit_risk.grade_3_5.control.non_starters_harmed"
    assert value(ard, "benefit_risk.population.control.non_starters")["value"] == len(others)
    dosed = [f"benefit_risk.population.control.{name}" for name in ("late_starters", "given_after_recurrence")]
    assert sum(value(ard, name)["value"] for name in dosed) == others["EXSTDT"].notna().sum() > 0
    assert value(ard, where)["value"] == len(begun)
    assert value(ard, f"{where}_after_dose")["value"] == len(after) > 0
    assert set(members.loc[members["ard_id"] == f"{where}_after_dose", "USUBJID"]) == set(after.index)


def test_harms_that_only_a_late_start_brings_are_gone_when_copies_are_censored_there():
    """A harm the day after every other first dose and none else: nobody who is never given the drug can have it."""
    adam = simulated()
    exposed = adam["adsl"][adam["adsl"]["EXSTDT"].notna()].iloc[::2]
    rows = adam["adae"].iloc[[0] * len(exposed)].reset_index(drop=True)
    start = exposed["EXSTDT"].reset_index(drop=True) + pd.Timedelta(days=1)
    rows = rows.assign(USUBJID=exposed["USUBJID"].to_numpy(), ASTDT=start, AENDT=start, ATOXGR=4, AESER="Y")
    ard = estimate(adam | {"adae": rows}).ard
    where = "benefit_risk.grade_3_5{}.control.m36.risk"
    assert value(ard, where.format(""))["ci_low"] > 1
    assert value(ard, where.format("_no_late_start"))["value"] == 0
    usual = value(ard, "benefit_risk.grade_3_5.sorafenib.m36.risk")["value"]
    difference = value(ard, "benefit_risk.grade_3_5_no_late_start.contrast.m36.risk_difference")
    assert difference["value"] == pytest.approx(usual)
    assert difference["ci_low"] < usual < difference["ci_high"]
    # nobody's copy under "start" has a late start
    ids = set(ard["ard_id"])
    assert "benefit_risk.grade_3_5_no_late_start.sorafenib.m36.risk" not in ids


def test_events_from_grade_2_on_take_more_time_than_severe_ones_alone():
    ard = result().ard
    for arm in ("sorafenib", "control"):
        severe, moderate = (
            value(ard, f"benefit_risk.{name}.{arm}.m36.tox.months")["value"]
            for name in ("partition", "partition_moderate")
        )
        assert 0 < severe < moderate
        rest = value(ard, f"benefit_risk.partition_moderate.{arm}.m36.twist.months")["value"]
        free = value(ard, f"benefit_risk.partition.{arm}.m36.recurrence_free.months")["value"]
        assert moderate + rest == pytest.approx(free, rel=1e-12)


def complete(adsl: pd.DataFrame) -> pd.Index:
    return adsl.index[adsl["AFPBL"].notna()]


def test_every_number_leads_to_who_was_counted():
    index = CountIndex(result().ard)
    for row in result().ard.itertuples():
        if row.stat_name != "utility":
            counts = index.of(row.ard_id)
            assert counts, row.ard_id
            assert all(name.startswith("benefit_risk.") for name in counts.values())


def test_states_make_up_life_and_utilities_weigh_them():
    ard = result().ard.set_index("ard_id")["value"]
    for group, stat in (("sorafenib", "months"), ("control", "months"), ("contrast", "difference")):
        tox, twist, rel, free, alive = (
            ard[f"benefit_risk.partition.{group}.m36.{level}.{stat}"]
            for level in ("tox", "twist", "rel", "recurrence_free", "alive")
        )
        assert tox + twist == pytest.approx(free, rel=1e-12)
        assert tox + twist + rel == pytest.approx(alive, rel=1e-12)
        assert ard[f"benefit_risk.qtwist.{group}.m36.{stat}"] == pytest.approx(twist + 0.5 * (tox + rel), rel=1e-12)
    grid = result().curves["utility_threshold"].set_index(["utility_toxicity", "utility_relapse"])
    assert len(grid) == 441
    assert grid.loc[(1.0, 1.0), "difference"] == pytest.approx(
        ard["benefit_risk.partition.contrast.m36.alive.difference"]
    )
    assert grid.loc[(0.0, 0.0), "difference"] == pytest.approx(
        ard["benefit_risk.partition.contrast.m36.twist.difference"]
    )
    whole = result().ard.set_index("ard_id")
    for at, identifier in (
        ((0.5, 0.5), "benefit_risk.qtwist.contrast.m36.difference"),
        ((1.0, 1.0), "benefit_risk.partition.contrast.m36.alive.difference"),
    ):
        np.testing.assert_allclose(grid.loc[at, ["ci_low", "ci_high"]].astype(float),
                                   whole.loc[identifier, ["ci_low", "ci_high"]].astype(float))  # fmt: skip
    favours = (grid["ci_low"] > 0).mean()
    assert ard["benefit_risk.qtwist.contrast.utilities.favours"] == favours
    assert ((grid["zone"] == "favours") == (grid["ci_low"] > 0)).all()
    assert ((grid["zone"] == "against") == (grid["ci_high"] < 0)).all()


def test_curves_are_as_declared():
    curves = result().curves
    assert set(curves) == set(CURVES["benefit_risk"])
    effects = curves["benefit_risk_effects"]
    assert list(effects.columns) == EFFECT_COLUMNS
    assert len(effects) == len(FEW.benefit_risk.effects) * len(FEW.benefit_risk.horizons_months)
    ids = set(result().ard["ard_id"])
    for column in [name for name in EFFECT_COLUMNS if name.endswith("_id")]:
        assert set(effects[column]) <= ids
    parted = curves["partitioned_survival"]
    for _, own in parted.groupby("group"):
        assert own["time_months"].iloc[[0, -1]].tolist() == [0.0, 36.0]
        assert own["time_months"].is_monotonic_increasing
        assert (own["toxic"] <= own["relapse_free"] + 1e-12).all()


def test_a_drug_that_harms_is_seen_and_one_that_does_not_is_not():
    """A harm that befalls a third of the exposed within a month of the first dose, and then anybody at random."""
    adam = with_ends(make_adam())
    adsl = adam["adsl"]
    rng = np.random.default_rng(3)

    def planted(who: pd.DataFrame, begin: pd.Series) -> pd.DataFrame:
        rows = adam["adae"].iloc[[0] * len(who)].copy().reset_index(drop=True)
        start = begin.reset_index(drop=True) + pd.to_timedelta(rng.integers(0, 30, len(who)), unit="D")
        return rows.assign(
            USUBJID=who["USUBJID"].to_numpy(), ASTDT=start, AENDT=start + pd.Timedelta(days=20), ATOXGR=4, AESER="Y"
        )

    exposed = adsl[adsl["EXPOSFL"] == "Y"]
    hit = exposed[rng.random(len(exposed)) < 1 / 3]
    found = estimate(adam | {"adae": planted(hit, hit["EXSTDT"])}).ard
    row = value(found, "benefit_risk.serious.contrast.m12.risk_difference")
    assert row["ci_low"] > 20
    assert abs(row["value"] - 100 / 3) < 8
    assert value(found, "benefit_risk.partition.contrast.m36.tox.difference")["ci_low"] > 0
    assert value(found, "benefit_risk.serious.contrast.m12.number_needed")["ci_high"] < 0
    anybody = adsl[rng.random(len(adsl)) < 1 / 3]
    row = value(
        estimate(adam | {"adae": planted(anybody, anybody["TRTSDT"])}).ard,
        "benefit_risk.serious.contrast.m12.risk_difference",
    )
    assert row["ci_low"] < 0 < row["ci_high"]


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    adam = simulated()
    mixed = {name: frame.sample(frac=1, random_state=2).reset_index(drop=True) for name, frame in adam.items()}
    again = estimate(mixed)
    pd.testing.assert_frame_equal(result().ard, again.ard)
    pd.testing.assert_frame_equal(result().members, again.members)
    other = estimate(adam, seed=5).ard
    name = "benefit_risk.grade_3_5.contrast.m12.risk_difference"
    assert value(other, name)["value"] == value(result().ard, name)["value"]
    assert value(other, name)["ci_low"] != value(result().ard, name)["ci_low"]


# --- what cannot be estimated --------------------------------------------------------------------------------------


def reasons(found: Estimates) -> pd.DataFrame:
    """Return the ARD, checked: what is missing says why, and has no interval."""
    ard = collect_ard([found.ard]).set_index("ard_id")
    collect_members([found.members], ard.reset_index())
    missing = ard[ard["value"].isna()]
    assert missing["method"].str.match(r"not (estimable|tested): .{8}").all()
    assert missing[["ci_low", "ci_high"]].isna().all(axis=None)
    assert not ard.loc[ard["value"].notna(), "method"].str.startswith(("not estimable", "not tested")).any()
    return ard


BROKEN = {
    "one arm empty": "not tested: fewer than 10 patients in RFA \\+ sorafenib \\(n = 0\\)",
    "all censored": "not estimable: nobody has the event",
    "perfect separation": "separate",
    "times of zero": "above zero",
    "negative times": "above zero",
    "missing times": "missing or infinite",
    "constant covariates": "",
    "a single centre": "",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_cohort_says_why_and_keeps_all_rows(what):
    adam = with_ends(make_adam(240, seed=5))
    break_cohort(adam["adsl"], adam["adtte"], what)
    ard = reasons(estimate(adam))
    assert set(result().ard["ard_id"]) == set(ard.index)
    row = ard.loc["benefit_risk.rfs.contrast.m12.risk_difference"]
    if BROKEN[what]:
        assert np.isnan(row["value"])
        assert pd.Series([row["method"]]).str.contains(BROKEN[what]).all(), row["method"]
    else:
        assert row["ci_low"] < row["value"] < row["ci_high"]


@pytest.mark.parametrize("n", [1, 3, 8, 21])
def test_tiny_cohorts(n):
    for own_plan in (FEW, plan(small_group=0, bootstrap_resamples=200)):
        ard = reasons(estimate(with_ends(make_adam(n, seed=2)), own_plan=own_plan))
        assert ard.loc["benefit_risk.population.n", "unit"] == "count"


def test_a_cohort_without_patients():
    empty = {name: frame.iloc[:0] for name, frame in with_ends(make_adam(20)).items()}
    assert reasons(estimate(empty)).loc["benefit_risk.population.n", "value"] == 0


def test_without_adverse_events_benefits_are_estimated_and_toxicity_takes_no_time():
    adam = simulated()
    found = estimate(adam | {"adae": adam["adae"].iloc[:0]})
    ard = reasons(found)
    assert ard.loc["benefit_risk.grade_3_5.contrast.m12.risk_difference", "method"].startswith(
        "not estimable: nobody has the event"
    )
    assert ard.loc["benefit_risk.rfs.contrast.m12.risk_difference", "value"] == pytest.approx(
        value(result().ard, "benefit_risk.rfs.contrast.m12.risk_difference")["value"]
    )
    tox = ard.loc["benefit_risk.partition.sorafenib.m36.tox.months"]
    assert tox["value"] == 0
    assert np.isnan(tox["ci_low"])


def test_what_needs_laboratory_results_is_left_out_where_there_are_none():
    adam = simulated()
    config = cohort()
    config = config.model_copy(update={"modules": [name for name in config.modules if name != "labs"]})
    ard = reasons(estimate(adam, config=config, adlb=adam["adlb"].iloc[:0]))
    rows = ard[ard.index.str.startswith("benefit_risk.albi.")]
    assert rows["value"].isna().all()
    assert set(rows["method"]) == {"not estimable: the cohort has no laboratory results"}
    assert np.isfinite(ard.loc["benefit_risk.serious.contrast.m12.risk_difference", "value"])


def test_an_endpoint_that_the_cohort_lacks_has_a_reason():
    adam = simulated()
    ard = reasons(estimate(adam | {"adtte": adam["adtte"][adam["adtte"]["PARAMCD"] != "OS"]}))
    assert ard.loc["benefit_risk.os.contrast.m12.risk_difference", "method"] == "not estimable: the cohort has no OS"
    assert ard.loc["benefit_risk.qtwist.contrast.m36.difference", "method"] == "not estimable: the cohort has no OS"


def test_a_horizon_beyond_follow_up_is_not_estimable():
    own_plan = FEW.model_copy(
        update={
            "rmst_horizon_months": 200.0,
            "benefit_risk": FEW.benefit_risk.model_copy(update={"horizons_months": [12.0, 200.0]}),
        }
    )
    ard = reasons(estimate(simulated(), own_plan=own_plan))
    assert np.isfinite(ard.loc["benefit_risk.os.contrast.m12.risk_difference", "value"])
    for name in ("os.contrast.m200.risk_difference", "os.contrast.m200.number_needed", "os.sorafenib.m200.risk",
                 "os.contrast.m200.months_lost_difference", "qtwist.contrast.m200.difference"):  # fmt: skip
        row = ard.loc[f"benefit_risk.{name}"]
        assert "follow-up" in row["method"]


@pytest.mark.parametrize("column", ["ATOXGR", "ASTDT", "AENDT", "AESER"])
def test_a_record_that_no_centre_keeps(column):
    adam = with_ends(make_adam(160, seed=1))
    adae = adam["adae"]
    adae[column] = pd.Series(
        pd.NA if adae[column].dtype.kind != "M" else pd.NaT, index=adae.index, dtype=adae[column].dtype
    )
    ard = reasons(estimate(adam))
    unknown = {"ATOXGR": "without_grade", "ASTDT": "without_start"}.get(column)
    if unknown:
        row = ard.loc[f"benefit_risk.adverse_events.{unknown}", "value"]
        assert row == ard.loc["benefit_risk.adverse_events.events", "value"] > 0
    if column == "ATOXGR":
        assert np.isnan(ard.loc["benefit_risk.grade_3_5.contrast.m12.risk_difference", "value"])


def test_a_plan_without_benefits_and_harms_is_a_defect_of_the_caller():
    with pytest.raises(ValueError, match="declares no benefits and harms"):
        estimate(with_ends(make_adam(20)), own_plan=plan(benefit_risk=None))
