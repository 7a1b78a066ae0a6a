"""Released curves show no single event, no tail of few, no time of a patient; what is not declared is not released."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.curves import DECLARED, Steps, public_curves, stated_counts
from sorafenib_rfa.disclosure.results import public_results
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.parts import CURVES

RULES = Disclosure()
ROW_LEVEL = {"weights", "matching", "liver_peaks", "swimmer", "albi_patients"}
HOW = {"method": "made up", "engine": "test", "population": "All analysed patients"}


@pytest.fixture(scope="module")
def results():
    builder = ArdBuilder("made_up", "efficacy", "records/none.json")
    patients = pd.Series([f"p{j}" for j in range(100)])
    builder.add("rfs", "n", 100, unit="count", members=patients, **HOW)
    builder.add("rfs", "events", 60, unit="count", members=patients[:60], **HOW)
    builder.add("rfs", "hr", 0.98765, ci_low=0.71234, ci_high=1.2345, unit="ratio", **HOW)
    for level, size in (("a", 93), ("b", 7)):
        own = patients[:size] if level == "a" else patients[93:]
        builder.add("rfs", "n", size, unit="count", variable="x", level=level, members=own, **HOW)
    made = builder.estimates({})
    return made.ard, public_results(made.ard, made.members, RULES, level=0.95)


def km_frame(seed=1, size=150):
    rng = np.random.default_rng(seed)
    time, limit = rng.exponential(20, size), rng.uniform(5, 90, size)
    order = np.argsort(np.minimum(time, limit))
    observed, event = np.minimum(time, limit)[order], (time <= limit)[order]
    frame = pd.DataFrame({"time_months": observed, "n_event": event.astype(float), "n_censor": (~event).astype(float)})
    frame["n_risk"] = np.arange(size, 0, -1.0)
    frame["survival"] = np.cumprod(1 - frame["n_event"] / frame["n_risk"])
    frame["ci_low"], frame["ci_high"] = frame["survival"] * 0.9, np.minimum(frame["survival"] * 1.1, 1)
    first = {"time_months": 0.0, "n_event": 0.0, "n_censor": 0.0, "n_risk": float(size), "survival": 1.0}
    frame = pd.concat([pd.DataFrame([{**first, "ci_low": 1.0, "ci_high": 1.0}]), frame], ignore_index=True)
    return frame.assign(group="control", label="RFA alone", weighting="none")


def test_a_survival_curve_has_no_single_event_and_no_tail(results):
    ard, public = results
    private = km_frame()
    made = public_curves({"km_rfs": private}, ard, public, RULES).frames["km_rfs"]
    seen = made[made["survival"].notna()]
    # it ends while enough are at risk
    at_risk_at_end = (private["time_months"] >= seen["time_months"].max()).sum()
    assert at_risk_at_end >= RULES.threshold
    assert (private["n_risk"] < RULES.threshold).any()  # there was a tail to cut
    # each step stands for enough events, by what is shown and by what happened
    steps = seen[seen["survival"].diff().fillna(0) != 0]
    assert len(steps) > 4
    events = [private.loc[private["time_months"] <= month, "n_event"].sum() for month in steps["time_months"]]
    assert (np.diff([0, *events]) >= RULES.threshold).all()
    assert (-seen["survival"].diff().dropna().loc[lambda s: s != 0] * 150 >= RULES.threshold - 1e-6).all()
    # no time is a patient's, no censoring is shown, numbers at risk are rounded
    assert (seen["time_months"] % RULES.curve_step_months == 0).all()
    assert not set(seen["time_months"][1:]) & set(private["time_months"].round(4))
    assert (made["n_censor"] == 0).all() and (made["n_event"] == 0).all()
    assert (seen["n_risk"] % RULES.rounding_base == 0).all() and seen["n_risk"].min() >= RULES.threshold
    # and it still is the curve: never further off than the events that a step waits for, and rounding
    for row in seen.itertuples():
        true = private.loc[private["time_months"] <= row.time_months, "survival"].iloc[-1]
        assert abs(row.survival - true) < 0.16


def test_a_curve_on_which_too_little_happens_says_nothing_instead_of_nothing_happened(results):
    ard, public = results
    private = km_frame()
    few = private.assign(n_event=0.0, survival=1.0, ci_low=1.0, ci_high=1.0)
    few.loc[30:, ["survival", "ci_low", "ci_high"]] = 0.98
    few.loc[30, "n_event"] = 2.0
    made = public_curves({"km_rfs": few}, ard, public, RULES).frames["km_rfs"]
    assert made["survival"].notna().sum() == 1


@pytest.mark.parametrize(
    "change",
    [{"time_months": np.inf}, {"time_months": np.nan}, {"n_risk": 3.0}, {"n_risk": np.nan}, {"survival": np.nan}],
)
def test_a_curve_that_could_not_be_estimated_does_no_harm(change, results):
    ard, public = results
    private = km_frame().assign(**change)
    made = public_curves({"km_rfs": private}, ard, public, RULES).frames["km_rfs"]
    assert made["survival"].notna().sum() == 0


def test_small_numbers_at_risk_are_left_out(results):
    ard, public = results
    table = pd.DataFrame(
        {"group": "a", "label": "A", "time_months": [0.0, 12.0, 24.0, 36.0], "n_risk": [102, 51, 6, 0]}
    )
    table = table.assign(events_to_date=[0, 30, 60, 61], censored_to_date=[0, 21, 36, 41])
    made = public_curves({"risk_table_rfs": table}, ard, public, RULES).frames["risk_table_rfs"]
    assert made["n_risk"].fillna(-1).tolist() == [100, 50, -1, 0]
    assert made[["events_to_date", "censored_to_date"]].isna().all(axis=None)


def test_numbers_of_a_forest_plot_are_those_of_the_public_results(results):
    ard, public = results
    frame = pd.DataFrame(
        {
            "label": ["all", "few"],
            "hr": [0.98765, 0.5], "lo": [0.71234, 0.1], "hi": [1.2345, 2.5], "p": [np.nan, 0.4],
            "n": [100, 7], "events": [60, 3], "ard_id": ["efficacy.rfs.hr", None],
        }
    )  # fmt: skip
    made = public_curves({"forest_rfs": frame}, ard, public, RULES).frames["forest_rfs"]
    assert made.loc[0, ["hr", "lo", "hi", "n", "events"]].tolist() == [0.988, 0.712, 1.23, 100, 60]
    # a row that no result backs has no estimate, and its small counts are gone
    assert made.loc[1, ["hr", "lo", "hi", "p", "n", "events"]].isna().all()
    assert stated_counts({"forest_rfs": frame}) == {"efficacy.rfs.hr": {"n": 100.0, "events": 60.0}}


def test_a_curve_nobody_declared_and_rows_of_patients_are_not_released(results):
    ard, public = results
    rows = pd.DataFrame({"USUBJID": ["a", "b"], "ps": [0.1, 0.2]})
    made = public_curves({"weights": rows, "brand_new": rows.assign(x=1.0)}, ard, public, RULES)
    assert set(made.withheld) == {"weights", "brand_new"}
    assert all(frame.empty for frame in made.frames.values())
    assert not ROW_LEVEL & set(DECLARED)


def test_every_declared_curve_is_one_that_an_analysis_writes():
    written = {name for names in CURVES.values() for name in names}
    assert set(DECLARED) <= written
    assert {name for name, rule in DECLARED.items() if isinstance(rule, Steps)} >= {"km_rfs", "km_os", "cif_weighted"}


def test_published_studies_are_released_as_they_are_however_few():
    """Two trials are no two patients: nothing of them is suppressed, rounded or withheld, in the ARD or in curves."""
    builder = ArdBuilder("made_up", "synthesis", "records/none.json")
    rows = pd.DataFrame({"USUBJID": ["a", "b"], "src_file": "effects.csv", "src_sheet": None, "src_row": [2, 3]})
    builder.add("rfs", "k", 2, unit="count", members=rows, **HOW)
    builder.add("rfs", "hr", 0.98765, ci_low=0.71234, ci_high=1.2345, unit="ratio", **HOW)
    made = builder.estimates({})
    public = public_results(made.ard, made.members, RULES, level=0.95)
    pd.testing.assert_frame_equal(public.ard[list(made.ard.columns)], made.ard)
    assert set(public.ard["disclosure"]) == {"released"}
    curve = pd.DataFrame({"label": ["a"], "hr": [0.98765], "ard_id": ["synthesis.rfs.hr"]})
    released = public_curves({"evidence_pooled": curve}, made.ard, public, RULES)
    pd.testing.assert_frame_equal(released.frames["evidence_pooled"], curve)
    assert not released.withheld
