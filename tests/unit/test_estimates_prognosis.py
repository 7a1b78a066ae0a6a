"""Prognosis: the published figures of the real cohort come out, from its raw file through all stages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, ROOT, cohort, plan, value

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean.cohort import clean_cohort
from sorafenib_rfa.config.load import load_cohort
from sorafenib_rfa.config.models import PrognosticGroup
from sorafenib_rfa.config.paths import raw_folder
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.estimates.prognosis import estimate_prognosis
from sorafenib_rfa.ingest.site import ingest_site


@pytest.fixture(scope="module")
def adam():
    study = load_cohort(ROOT, "hcc_resection")
    ingested = {
        name: ingest_site(ROOT / raw_folder(study, name), name, site, study.config, shown_folder="raw")
        for name, site in study.sites.items()
    }
    return build_adam(clean_cohort(ingested, study, PLAN).tables, study, PLAN)


@pytest.fixture(scope="module")
def prognosis(adam):
    return estimate_prognosis(adam["adtte"], adam["adsl"], PLAN, cohort("hcc_resection"), "hcc_resection", "r", seed=1)


@pytest.mark.reference
def test_the_published_figures_come_out(prognosis):
    """Li 2014 (PLoS ONE 9:e110064): event percentages at 5 years, log-rank p values."""
    for variable, levels in {
        "cxcl17_p_group": {"up_to_the_median": 53.1, "above_the_median": 77.7},
        "cxcl17_t_group": {"below_the_median": 58.6, "median_or_above": 73.0},
    }.items():
        for level, published in levels.items():
            prefix = f"prognosis.rfs_group.{variable}_{level}"
            row = value(prognosis.ard, f"{prefix}.m60.event_percent")
            assert round(row["value"], 1) == published
            assert row["ci_low"] < row["value"] < row["ci_high"]
            assert value(prognosis.ard, f"{prefix}.event_percent_published")["value"] == published
    for variable, published in {"cxcl17_p_group": 0.002, "cxcl17_t_group": 0.015}.items():
        row = value(prognosis.ard, f"prognosis.os_group.contrast.{variable}.chi2")
        assert round(row["p_value"], 3) == published


@pytest.mark.reference
def test_gray_test_equals_cmprsk(prognosis):
    """cmprsk 2.2-11: 9.96764970 for recurrence by peritumoural CXCL17."""
    row = value(prognosis.ard, "prognosis.first_event_group.contrast.cxcl17_p_group_recurrence.gray_chi2")
    assert row["value"] == pytest.approx(9.96764970, abs=1e-6)


def test_published_figures_say_that_they_are_not_computed_here(prognosis):
    quoted = prognosis.ard[prognosis.ard["stat_name"].str.endswith("_published")]
    assert len(quoted) == 6
    assert (quoted["method"] == "as published, citation li2014cxcl17; not computed here").all()
    assert (quoted["engine"] == "as published").all()


def test_events_recounted(adam, prognosis):
    rfs = adam["adtte"][adam["adtte"]["PARAMCD"] == "RFS"]
    assert value(prognosis.ard, "prognosis.rfs.events")["value"] == (rfs["CNSR"] == 0).sum() == 143
    level = rfs["USUBJID"].map(adam["adsl"].set_index("USUBJID")["CXCL17_P_GROUP"])
    for name, key in (("Up to the median", "up_to_the_median"), ("Above the median", "above_the_median")):
        own = rfs[level == name]
        assert value(prognosis.ard, f"prognosis.rfs_group.cxcl17_p_group_{key}.n")["value"] == len(own)
        events = value(prognosis.ard, f"prognosis.rfs_group.cxcl17_p_group_{key}.events")["value"]
        assert events == (own["CNSR"] == 0).sum()


def test_one_minus_kaplan_meier_overstates_recurrence(prognosis):
    naive = value(prognosis.ard, "prognosis.first_event.recurrence.m60.one_minus_km")["value"]
    right = value(prognosis.ard, "prognosis.first_event.recurrence.m60.incidence")["value"]
    excess = value(prognosis.ard, "prognosis.first_event.recurrence.m60.overstatement")["value"]
    assert excess == pytest.approx(naive - right)
    assert excess > 1
    death = value(prognosis.ard, "prognosis.first_event.death.m60.incidence")["value"]
    free = value(prognosis.ard, "prognosis.rfs_km.m60.survival")["value"]
    assert right + death + free == pytest.approx(100)


def test_hazard_ratios_equal_statsmodels(adam, prognosis):
    phreg = pytest.importorskip("statsmodels.duration.hazard_regression").PHReg
    os = adam["adtte"][adam["adtte"]["PARAMCD"] == "OS"]
    group = os["USUBJID"].map(adam["adsl"].set_index("USUBJID")["CXCL17_P_GROUP"])
    fitted = phreg(
        os["AVAL"].astype(float),
        (group == "Above the median").astype(float).to_numpy()[:, None],
        status=(os["CNSR"] == 0).astype(int),
        ties="efron",
    ).fit()
    row = value(prognosis.ard, "prognosis.os_univariable.cxcl17_p_group_above_the_median.hr")
    assert row["value"] == pytest.approx(np.exp(fitted.params[0]), rel=1e-6)
    assert value(prognosis.ard, "prognosis.os_multivariable.n")["value"] == 227
    assert value(prognosis.ard, "prognosis.os_multivariable.global.ph_chi2")["p_value"] < 1


def test_curves_name_endpoint_and_grouping(prognosis):
    km = prognosis.curves["km_prognostic"]
    assert set(km["endpoint"]) == {"RFS", "OS", "TTR"}
    assert set(km.loc[km["variable"] == "CXCL17_P_GROUP", "label"]) == {"Up to the median", "Above the median"}
    cif = prognosis.curves["cif_prognostic"]
    assert set(cif["cause"]) == {"recurrence", "death"}
    assert "overall" in set(cif["group"])
    forest = prognosis.curves["forest_prognostic"]
    values = prognosis.ard.set_index("ard_id")["value"]
    np.testing.assert_array_equal(values[forest["ard_id"]], forest["hr"])


def test_patients_without_the_grouping_are_counted_not_lost(adam):
    adsl = adam["adsl"].copy()
    adsl.loc[adsl.index[:20], "CXCL17_P_GROUP"] = pd.NA
    made = estimate_prognosis(adam["adtte"], adsl, PLAN, cohort("hcc_resection"), "hcc_resection", "r", seed=1)
    assert value(made.ard, "prognosis.rfs_group.cxcl17_p_group.missing")["value"] == 20
    levels = made.ard[made.ard["ard_id"].str.fullmatch(r"prognosis\.rfs_group\.cxcl17_p_group_[a-z_]+\.n")]
    assert levels["value"].sum() == 207
    assert value(made.ard, "prognosis.rfs_multivariable.n")["value"] == 207


def test_small_groups_are_described_and_not_tested(adam):
    made = estimate_prognosis(
        adam["adtte"], adam["adsl"], plan(small_group=114), cohort("hcc_resection"), "hcc_resection", "r", seed=1
    )
    row = value(made.ard, "prognosis.rfs_group.contrast.cxcl17_p_group.chi2")
    assert np.isnan(row["value"])
    assert row["method"] == "not tested: fewer than 114 patients in Above the median (n = 113)"
    assert value(made.ard, "prognosis.rfs_group.cxcl17_p_group_above_the_median.m60.event_percent")["value"] > 0


def test_a_model_variable_that_does_not_exist_is_named(adam):
    config = cohort("hcc_resection", prognostic_model=["AGE", "SHOE_SIZE"])
    with pytest.raises(ConfigError, match="SHOE_SIZE"):
        estimate_prognosis(adam["adtte"], adam["adsl"], PLAN, config, "hcc_resection", "r", seed=1)


def test_separation_in_the_model_gives_a_reason(adam):
    adtte = adam["adtte"].copy()
    never = adam["adsl"].set_index("USUBJID")["MULTIPLICITY"] == "2"
    spared = adtte["USUBJID"].map(never).astype(bool) & (adtte["PARAMCD"] == "OS")
    adtte.loc[spared, ["CNSR", "EVNTCD"]] = [1, 0]
    made = estimate_prognosis(adtte, adam["adsl"], PLAN, cohort("hcc_resection"), "hcc_resection", "r", seed=1)
    row = value(made.ard, "prognosis.os_univariable.multiplicity_2.hr")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not estimable:")
    assert "MULTIPLICITY=2" in row["method"]


def test_a_group_without_published_figures(adam):
    group = PrognosticGroup(variable="sex", label="Sex", levels=["F", "M"], endpoints=["OS"])
    config = cohort("hcc_resection", prognostic_groups=[group], prognostic_model=[])
    made = estimate_prognosis(adam["adtte"], adam["adsl"], PLAN, config, "hcc_resection", "r", seed=1)
    assert value(made.ard, "prognosis.os_group.sex_m.n")["value"] == 197
    assert not made.ard["stat_name"].str.endswith("_published").any()
    assert made.curves["forest_prognostic"].empty


def test_labels_of_model_terms_read_as_a_table_row(prognosis):
    rows = prognosis.ard.set_index("ard_id")["method"]
    assert rows["prognosis.rfs_multivariable.age.hr"].startswith("Age (per year); ")
    compared = rows[rows.str.startswith("Peritumoural CXCL17: above the median against up to the median; ")]
    assert len(compared) >= 2
