"""The stored simulation study as ARD rows and as the table of the supplement."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from estimates_data import PLAN, ROOT, cohort, value

from sorafenib_rfa.errors import InputError, NotOfferedError
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.exhibits.tables import make_table
from sorafenib_rfa.validation.stored import recovery_ard

SHOWN = "validation/recovery.csv"
STORED = pd.read_csv(ROOT / SHOWN, keep_default_na=False, na_values=[""])  # a scenario is called null


def made(rows: pd.DataFrame = STORED) -> pd.DataFrame:
    return recovery_ard(rows, cohort_name="synthetic", record="records/v.json", shown_as=SHOWN)


def test_one_row_by_hand():
    """Coverage 0.9 of 400 cohorts has a Monte Carlo standard error of 1.5 percentage points, 1.96 of them 2.94."""
    row = STORED[(STORED["design"] == "ccw_overlap") & (STORED["measure"] == "log_hr")].iloc[[0]]
    row = row.assign(scenario="waning", endpoint="RFS", replicates=400, mean_n=512.5)
    row = row.assign(coverage=0.9, coverage_mc_se=0.015, bias=-0.02, bias_mc_se=0.01, rejection=0.25)
    ard = made(row)
    key = "validation.recovery_rfs_ccw_overlap.waning.log_hr"
    coverage = value(ard, f"{key}.coverage")
    assert coverage["value"] == pytest.approx(90.0)
    assert (coverage["ci_low"], coverage["ci_high"]) == pytest.approx((87.06, 92.94), abs=1e-3)
    assert coverage["unit"] == "percent"
    bias = value(ard, f"{key}.bias")
    assert (bias["value"], bias["ci_low"], bias["ci_high"]) == pytest.approx((-0.02, -0.0396, -0.0004), abs=1e-5)
    assert value(ard, f"{key}.rejection")["value"] == pytest.approx(25.0)
    assert value(ard, f"{key}.replicates")["value"] == 400
    assert "400 simulated cohorts" in bias["method"]
    assert value(ard, "validation.recovery.replicates")["value"] == 400
    assert value(ard, "validation.recovery.patients")["value"] == 512.5


def test_units_are_those_of_the_measure():
    ard = made()
    stats = ard[ard["stat_name"].isin(["truth", "bias", "empirical_se", "model_se"])]
    months = stats["ard_id"].str.contains(".rmst_difference.", regex=False)
    assert set(stats.loc[months, "unit"]) == {"months"}
    assert set(stats.loc[~months, "unit"]) == {"measure"}


def test_the_stored_study_is_accepted_by_the_ard_and_complete():
    ard = collect_ard([made()])
    assert len(ard) == 7 * len(STORED) + 2
    assert ard["value"].notna().all()


@pytest.mark.parametrize("gone", [["coverage_mc_se"], ["bias", "scenario"]])
def test_missing_columns_are_named_with_the_file(gone):
    with pytest.raises(InputError) as caught:
        made(STORED.drop(columns=gone))
    assert [problem.column for problem in caught.value.problems] == sorted(gone)
    assert {problem.file for problem in caught.value.problems} == {SHOWN}


def test_the_table_prints_the_stored_study():
    table = make_table("recovery", ard=made(), cohort=cohort(), plan=PLAN)
    cells = table.data.pivot(index="row", columns="column", values="text")
    labels = cells["Scenario and design"].str.strip("\u00a0")
    heads = labels[labels.str.contains(":")]
    # each scenario once a measure, with its designs below
    assert len(heads) == STORED.groupby(["scenario", "measure"]).ngroups
    at = heads[heads == "Harm: restricted mean difference, months"].index[0]
    assert labels[at + 1] == "Clone-censor-weight, overlap (primary)"
    row = STORED.query("scenario == 'harm' and design == 'ccw_overlap' and endpoint == 'RFS'")
    row = row[row["measure"] == "rmst_difference"].iloc[0]
    assert float(cells.loc[at + 1, "Truth"].replace("\u2212", "-")) == pytest.approx(row["truth"], abs=0.006)
    assert float(cells.loc[at + 1, "Coverage"].split("%")[0].split(" ")[0]) == pytest.approx(
        100 * row["coverage"], abs=0.06
    )
    assert "simulated cohorts a scenario" in table.markdown
    printed = re.sub(r"\[([^\]]*)\]\{[^}]*\}", r"\1", table.markdown)  # the number is bound, as all are
    assert f"{STORED['replicates'].min()} simulated cohorts" in printed
    assert "Synthetic data" in table.markdown


def test_the_table_belongs_to_the_validation_and_no_cohort_can_list_it():
    with pytest.raises(NotOfferedError, match="needs the part 'validation'"):
        make_table("recovery", ard=made().iloc[:0], cohort=cohort(), plan=PLAN)
