"""The collected ARD: one cohort, unique readable ids, nothing missing without a reason."""

from __future__ import annotations

import pandas as pd
import pytest
from estimates_data import PLAN, emulated_trial, estimated

from sorafenib_rfa.estimates.ard import ARD_COLUMNS, ArdBuilder, as_ard
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.parts import CURVES

ESTIMATED = estimated()[1] | {"target_trial": emulated_trial()}
PARTS = {name: part.ard for name, part in ESTIMATED.items()}


def one_row(**changes: object) -> pd.DataFrame:
    builder = ArdBuilder("synthetic", "part", "records/r.json")
    builder.add("analysis", "size", 3.0, unit="measure", method="counted", engine="e", population="all")
    return builder.frame().assign(**changes)


def test_all_parts_together_have_unique_sorted_readable_ids():
    ard = collect_ard(PARTS.values())
    assert len(ard) == sum(map(len, PARTS.values()))
    assert list(ard.columns) == list(ARD_COLUMNS)
    assert ard["ard_id"].is_unique
    assert ard["ard_id"].is_monotonic_increasing
    assert ard["ard_id"].str.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+").all()
    assert ard["record"].str.startswith("records/").all()


def test_estimands_are_those_of_the_plan():
    ard = collect_ard(PARTS.values())
    assert set(ard["estimand_id"]) - {""} <= PLAN.estimand_ids
    assert {"E1_RFS", "E2_OS", "E3_TTR", "L_RFS", "E4_FIRST_EVENT_ALL", "N1_RFS_NAIVE", "S1_SAFETY", "T_RFS"} <= set(
        ard["estimand_id"]
    )


def test_every_value_says_how_it_was_made():
    ard = collect_ard(PARTS.values())
    assert (ard["method"].str.len() > 3).all()
    assert (ard["population"].str.len() > 3).all()
    assert ard["engine"].str.startswith("sorafenib_rfa.").all()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (one_row(), "ARD ids occur twice"),
        (one_row(ard_id="part.other.n", cohort="another"), "different cohorts"),
        (one_row(ard_id="part.other.n", unit="furlongs"), "unknown unit"),
        (one_row(ard_id="part.other.n", value=3.0, ci_low=4.0, ci_high=5.0), "outside their interval"),
        (one_row(ard_id="part.other.n", p_value=1.2), "p value outside 0 to 1"),
        (one_row(ard_id="part.other.n", value=float("nan")), "missing without a reason"),
    ],
)
def test_faulty_parts_are_refused(second, message):
    with pytest.raises(ValueError, match=message):
        collect_ard([one_row(), second])


def test_a_missing_value_with_its_reason_is_kept():
    second = one_row(ard_id="part.other.n", value=float("nan"), method="not estimable: no events")
    assert collect_ard([one_row(), second])["value"].isna().sum() == 1


def test_the_builder_refuses_an_id_given_twice_and_an_unknown_unit():
    builder = ArdBuilder("synthetic", "part", "r")
    row = {"unit": "measure", "method": "m", "engine": "e", "population": "p"}
    builder.add("a", "n", 1, variable="10^9/L", **row)
    with pytest.raises(ValueError, match=r"part\.a\.10_9_l\.n' is given twice"):
        builder.add("a", "n", 2, variable="10-9 l", **row)
    with pytest.raises(ValueError, match="unit 'mg' is not one of"):
        builder.add("a", "dose", 1, **{**row, "unit": "mg"})
    assert as_ard(builder.frame()).equals(builder.frame())


def test_the_parts_make_exactly_the_curves_the_workflow_declares():
    for name, part in ESTIMATED.items():
        assert set(part.curves) == set(CURVES[name])
        assert all(len(frame.columns) for frame in part.curves.values())


def test_every_row_cites_an_estimand_of_the_plan_in_a_population_that_the_plan_names():
    from exhibit_cohorts import with_arms

    made = with_arms()
    cited = set(made.ard["estimand_id"]) - {""}
    assert cited <= made.plan.estimand_ids, sorted(cited - made.plan.estimand_ids)
    unused = set(made.plan.estimands) - cited - {"P1_PROGNOSIS"}
    assert not unused, f"planned and not estimated: {sorted(unused)}"
    overlap = made.ard.set_index("ard_id")["estimand_id"]
    assert overlap["target_trial.rfs_ccw_overlap.contrast.hr"] == "E1_RFS"
    assert overlap["target_trial.rfs_ccw_ate.contrast.hr"] == "E1_RFS_ALL"
    assert overlap["efficacy.rfs_cox_att.contrast.hr"] == "L_RFS_TREATED"
