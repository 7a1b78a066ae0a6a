"""Cohorts that break estimators: every part says "not estimable" where it must, and estimates the rest."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, adrecur, break_cohort, cohort, make_adam, plan, sessions

from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.estimates.parts import CURVES
from sorafenib_rfa.estimates.repeat_rfa import estimate_repeat_rfa
from sorafenib_rfa.estimates.sensitivity import estimate_sensitivity
from sorafenib_rfa.estimates.subgroups import estimate_subgroups
from sorafenib_rfa.estimates.target_trial import estimate_target_trial
from sorafenib_rfa.estimates.time_to_event import estimate_time_to_event

CONFIG, NAME = cohort(), "synthetic"
N = 240
PARTS = ("efficacy", "time_to_event", "subgroups", "target_trial", "sensitivity", "repeat_rfa")


def quick_plan():
    """Return the plan with one subgroup, one adjustment set and few resamples and imputations."""
    declared = PLAN.sensitivity.specifications
    choices = declared.model_copy(
        update={
            "adjustment_sets": {"plan": declared.adjustment_sets["plan"]},
            "grace_period_days": [60],
            "eligibility": {"all": declared.eligibility["all"]},
        }
    )
    return plan(
        bootstrap_resamples=200,
        horizons_months=[12, 36],
        subgroups={"RECURHCC": PLAN.subgroups["RECURHCC"]},
        sensitivity=PLAN.sensitivity.model_copy(update={"imputations": 2, "specifications": choices}),
    )


QUICK = quick_plan()


@cache
def broken(what: str) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Return a cohort with one thing wrong, and the weights of its patients."""
    adam = make_adam(N, seed=5)
    break_cohort(adam["adsl"], adam["adtte"], what)
    weights = estimate_baseline(adam["adsl"], QUICK, CONFIG, NAME, "records/b.json").curves["weights"]
    if what == "no weights":
        weights = weights.iloc[:0]
    elif what == "weights missing in some":
        weights = weights[np.arange(len(weights)) % 5 > 0]
    return adam, weights


@cache
def estimated(what: str, part: str) -> Estimates:
    """Return one part of a cohort with one thing wrong."""
    adam, weights = broken(what)
    given = {"adsl": adam["adsl"], "plan": QUICK, "cohort": CONFIG, "cohort_name": NAME, "record": "r.json", "seed": 1}
    timed = given | {"adtte": adam["adtte"]}
    compared = timed | {"weights": weights}
    if part == "target_trial":
        return estimate_target_trial(**timed)
    if part == "repeat_rfa":
        events = {"adrecur": adrecur(adam["adsl"]), "ablations": sessions(adam["adsl"])}
        return estimate_repeat_rfa(**given, weights=weights, **events)
    if part == "sensitivity":
        return estimate_sensitivity(**compared, ablations=adam["ablations"])
    makers = {
        "efficacy": estimate_efficacy,
        "time_to_event": estimate_time_to_event,
        "subgroups": estimate_subgroups,
    }
    return makers[part](**compared)


HR = {
    "efficacy": "efficacy.rfs_cox_overlap.contrast.hr",
    "time_to_event": "time_to_event.recurrence_cause_specific_overlap.contrast.hr",
    "subgroups": "subgroups.rfs.contrast.recurhcc.primary_hcc.hr",
    "target_trial": "target_trial.rfs_ccw_overlap.contrast.hr",
    "sensitivity": "sensitivity.matched_rfs.contrast.hr",
    "repeat_rfa": "repeat_rfa.rate_overlap.contrast.rate_ratio",
}
"""The ratio that matters most in each part."""

# what goes wrong -> the parts that have no ratio then, and a word of the reason
SAID = {
    "nothing": {},
    # in the emulated trial those who recur before they could start count in both arms, so there are events
    "no events in an arm": {part: "keeps rising" for part in PARTS if part not in ("target_trial", "repeat_rfa")},
    "one arm empty": dict.fromkeys(PARTS, "RFA \\+ sorafenib \\(n = 0\\)|propensity score could not be estimated"),
    "all censored": {part: "no events" for part in PARTS if part != "repeat_rfa"},
    "constant covariates": {},
    "perfect separation": {part: "propensity score|separate|perfectly pred" for part in PARTS},
    "times of zero": {"target_trial": "above zero", "sensitivity": None},
    "negative times": {"target_trial": "above zero", "sensitivity": None},
    "missing times": {"target_trial": "missing or infinite", "sensitivity": None},
    "no weights": {part: "propensity score could not be estimated" for part in PARTS if part != "target_trial"},
    "weights missing in some": {},
    "a single centre": {},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("what", SAID)
def test_a_part_says_why_and_the_ard_accepts_it(what, part):
    found = estimated(what, part)
    ard = collect_ard([found.ard]).set_index("ard_id")
    unknown = ard[ard["value"].isna()]
    assert unknown["method"].str.match(r"not (estimable|tested): (?!not ).{8}").all()
    assert unknown[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)
    known = ard[ard["value"].notna()]
    assert not known["method"].str.startswith(("not estimable", "not tested")).any()
    assert set(found.curves) <= set(CURVES[part])
    main, reason = ard.loc[HR[part]], SAID[what].get(part, "")
    if reason:
        assert np.isnan(main["value"])
        assert pd.Series([main["method"]]).str.contains(reason).all(), main["method"]
    elif reason == "":
        assert main["ci_low"] < main["value"] < main["ci_high"], main["method"]
    # counts are always there
    assert known["unit"].eq("count").any()


@pytest.mark.parametrize("what", [what for what in SAID if what != "nothing"])
def test_what_the_paper_cites_has_a_row_whatever_happens(what):
    """The same rows with or without values: of the primary analysis all, of others all but each centre's own."""
    for part in ("target_trial", "subgroups", "repeat_rfa", "time_to_event"):
        expected = estimated("nothing", part).ard["ard_id"]
        expected = set(expected[~expected.str.contains(r"centres\.contrast\.centre\.")])
        assert expected <= set(estimated(what, part).ard["ard_id"])


def test_a_single_centre_cannot_be_compared_with_others():
    ard = estimated("a single centre", "time_to_event").ard
    rows = ard[ard["method"] == "not estimable: all patients are of one centre"]
    assert len(rows) > 5
    assert rows["value"].isna().all()


@pytest.mark.parametrize("what", ["times of zero", "negative times", "missing times"])
def test_analyses_from_time_zero_refuse_a_time_that_cannot_be(what):
    """The datasets are checked before (ADTTE: AVAL above zero); were one to slip through, nothing is invented."""
    ard = estimated(what, "efficacy").ard.set_index("ard_id")
    assert np.isnan(ard.loc["efficacy.rfs_naive.contrast.hr", "value"])
    assert "8 rows" in ard.loc["efficacy.rfs_naive.contrast.hr", "method"]


def test_patients_whose_weight_is_missing_are_not_in_the_weighted_analysis():
    few, all_of_them = (
        estimated(what, "efficacy").ard.set_index("ard_id")["value"] for what in ("weights missing in some", "nothing")
    )
    assert few["efficacy.rfs.n"] == all_of_them["efficacy.rfs.n"]
    n = "efficacy.rfs_cox_overlap.contrast.n"
    assert few[n] == pytest.approx(0.8 * all_of_them[n], abs=3)
