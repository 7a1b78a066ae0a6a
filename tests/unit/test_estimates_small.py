"""Cohorts too small for nearly everything: each number that cannot be estimated says why, and nothing crashes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import cohort, estimate_treated, make_adam, plan

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.exhibits.tables import make_table

PLAN = plan(bootstrap_resamples=200)


def everything(adam: dict[str, pd.DataFrame], the_plan=PLAN) -> pd.DataFrame:
    config = cohort()
    baseline = estimate_baseline(adam["adsl"], the_plan, config, "synthetic", "r")
    weights = baseline.curves["weights"]
    efficacy = estimate_efficacy(adam["adtte"], adam["adsl"], weights, the_plan, config, "synthetic", "r", seed=1)
    ard = collect_ard(
        [baseline.ard, efficacy.ard, *(part.ard for part in estimate_treated(adam, the_plan, "synthetic").values())]
    )
    for name in ("baseline", "efficacy", "safety"):
        make_table(name, ard=ard, cohort=config, plan=the_plan)
    return ard


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 21, 34])
def test_tiny_cohorts(n):
    for seed in range(3):
        # with the small-group rule off, the estimators themselves must cope
        for the_plan in (PLAN, plan(small_group=0, bootstrap_resamples=200)):
            ard = everything(make_adam(n, seed=seed), the_plan)
            missing = ard[ard["value"].isna()]
            assert missing["method"].str.startswith(("not estimable", "not tested")).all()


@pytest.mark.parametrize("column", ["AGE", "SEX", "ETIOLOGY", "AFPBL", "TUMCOUNT", "REGION"])
def test_a_covariate_that_nobody_has(column):
    adam = make_adam(120, seed=1)
    adam["adsl"][column] = pd.Series(pd.NA, index=adam["adsl"].index, dtype=adam["adsl"][column].dtype)
    ard = everything(adam).set_index("ard_id")
    assert ard.loc["baseline.propensity.n", "value"] == 0
    assert ard.loc["efficacy.landmark.without_propensity_score", "value"] == ard.loc["efficacy.landmark.n", "value"]
    assert np.isnan(ard.loc["efficacy.rfs_cox_overlap.contrast.hr", "value"])
    # what needs no covariate is estimated
    assert ard.loc["efficacy.rfs_cox_unadjusted.contrast.hr", "value"] > 0


def test_all_events_on_one_day():
    adam = make_adam(80, seed=2)
    event = (adam["adtte"]["CNSR"] == 0) & (adam["adtte"]["AVAL"] > 2)
    adam["adtte"].loc[event, "AVAL"] = 12.0
    everything(adam, plan(small_group=0, bootstrap_resamples=200))


def test_a_cohort_without_patients():
    ard = everything({name: frame.iloc[:0] for name, frame in make_adam(20).items()})
    values = ard.set_index("ard_id")["value"]
    assert values["baseline.table1.n"] == 0
    assert values["efficacy.rfs.n"] == 0


@pytest.mark.parametrize(
    ("dataset", "column"),
    [("adex", "EXADJ"), ("adex", "EXENDT"), ("adex", "EXDOSE"), ("adae", "ASTDT"), ("ablations", "complication_term")],
)
def test_a_record_that_no_centre_keeps(dataset, column):
    adam = make_adam(60, seed=1)
    frame = adam[dataset]
    frame[column] = pd.Series(pd.NA, index=frame.index, dtype=frame[column].dtype)
    ard = everything(adam).set_index("ard_id")
    assert ard.loc["exposure.dosing.exposed.stopped.n", "unit"] == "count"


def test_an_event_of_interest_that_nobody_had_is_a_result():
    adam = make_adam(60, seed=1)
    adam["adae"] = adam["adae"][adam["adae"]["AEDECOD"] != "Hypertension"]
    ard = everything(adam).set_index("ard_id")
    none = ard.loc["safety.term.exposed.hypertension.any.percent"]
    exposed = int((adam["adsl"]["EXPOSFL"] == "Y").sum())
    # Clopper-Pearson with no event: 1 - (alpha / 2) ** (1 / n)
    assert (none["value"], none["ci_low"]) == (0, 0)
    assert none["ci_high"] == pytest.approx(100 * (1 - 0.025 ** (1 / exposed)))


def test_balance_without_a_propensity_score_says_so():
    adam = make_adam(60, seed=1)
    adam["adsl"]["TUMSIZE"] = pd.Series(pd.NA, index=adam["adsl"].index, dtype="Float64")
    ard = everything(adam).set_index("ard_id")
    assert ard.loc["baseline.landmark.contrast.largest_smd", "value"] > 0
    weighted = ard.loc["baseline.overlap.contrast.largest_smd"]
    assert np.isnan(weighted["value"])
    assert weighted["method"].startswith("not estimable")
