"""What is made of the tables of published evidence: quoted, pooled, reconstructed, checked and counted."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.collect import collect_ard, collect_members
from sorafenib_rfa.estimates.evidence import estimate_evidence
from sorafenib_rfa.estimates.evidence_common import DESIGN_GROUPS, DESIGNS, ENDPOINTS, LOOKS, MONTHS, SETTINGS
from sorafenib_rfa.estimates.evidence_reconstruction import estimate_reconstruction
from sorafenib_rfa.estimates.evidence_review import certainty_level, estimate_review
from sorafenib_rfa.estimates.evidence_synthesis import estimate_synthesis
from sorafenib_rfa.estimates.members import counts_of
from sorafenib_rfa.estimates.parts import CURVES, EVIDENCE_PARTS
from sorafenib_rfa.evidence import schema
from sorafenib_rfa.evidence.digitised import read_digitised
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError, read_evidence
from sorafenib_rfa.public_data import load_colon
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.survival_percentages import reconstruct
from tests.unit.evidence_made_up import ROOT, SHIPPED, Effect, made_up, the_plan

PLAN = the_plan()
EVIDENCE = read_evidence(SHIPPED)
NUMBERS = ["value", "ci_low", "ci_high", "p_value"]


@pytest.fixture(scope="module")
def parts() -> dict[str, Estimates]:
    return estimate_evidence(EVIDENCE, SHIPPED / "digitised", PLAN, cohort_name="evidence", record="records/x.json")


@pytest.fixture(scope="module")
def ard(parts: dict[str, Estimates]) -> pd.DataFrame:
    return collect_ard(part.ard for part in parts.values()).set_index("ard_id")


def test_each_part_writes_its_curves_and_the_parts_fit_together(parts: dict[str, Estimates]) -> None:
    assert tuple(parts) == EVIDENCE_PARTS
    for name, part in parts.items():
        assert set(part.curves) == set(CURVES[name])
    ard = collect_ard(part.ard for part in parts.values())
    members = collect_members((part.members for part in parts.values()), ard)
    # every member is a row of a table that is there
    for file, rows in members.groupby("src_file"):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        for row in rows.itertuples():
            assert row.USUBJID.split(".")[0] in lines[row.src_row - 1]


def test_every_code_of_the_tables_has_its_words() -> None:
    assert set(SETTINGS) == set(schema.SETTINGS)
    assert set(DESIGNS) == set(schema.DESIGNS) > set(DESIGN_GROUPS)
    assert set(ENDPOINTS) == set(schema.ENDPOINTS)
    assert set(LOOKS) | {"subset"} == set(schema.LOOKS)
    assert set(MONTHS) == set(schema.UNITS)


@pytest.mark.parametrize(
    ("curve", "identifier", "shown"),
    [
        ("evidence_effects", "ard_id", ("hr", "lo", "hi")),
        ("evidence_effects", "reported_id", ("hr", "reported_lo", "reported_hi")),
        ("evidence_effects", "median_treated_id", ("median_treated",)),
        ("evidence_effects", "median_control_id", ("median_control",)),
        ("evidence_effects", "n_treated_id", ("n_treated",)),
        ("evidence_effects", "p_from_ci_id", ("p_from_ci",)),
        ("evidence_pooled", "ard_id", ("hr", "lo", "hi")),
        ("evidence_pooled", "k_id", ("k",)),
        ("evidence_cumulative", "ard_id", ("hr", "lo", "hi")),
        ("evidence_cumulative", "common_id", ("common_hr", "common_lo", "common_hi")),
        ("evidence_leave_one_out", "ard_id", ("hr", "lo", "hi")),
        ("evidence_intervals", "ard_id", ("hr", "lo", "hi")),
        ("evidence_harms", "treated_percent_id", ("treated_percent", "treated_lo", "treated_hi")),
        ("evidence_harms", "rr_id", ("ratio", "ratio_lo", "ratio_hi")),
        ("evidence_flow", "ard_id", ("n",)),
        ("evidence_certainty", "level_id", ("level",)),
    ],
)
def test_a_drawn_number_is_that_of_its_ard_row(
    parts: dict[str, Estimates], ard: pd.DataFrame, curve: str, identifier: str, shown: tuple[str, ...]
) -> None:
    frame = next(part.curves[curve] for part in parts.values() if curve in part.curves)
    frame = frame[frame[identifier] != ""]
    assert len(frame) > 0
    rows = ard.loc[frame[identifier], NUMBERS[: len(shown)]]
    np.testing.assert_array_equal(frame[list(shown)].to_numpy(float), rows.to_numpy())


# --- quoted ----------------------------------------------------------------------------------------


def test_medians_are_in_months_and_say_what_was_printed(ard: pd.DataFrame) -> None:
    """The median of SPACE is 169 days: 24 weeks, not 24 months."""
    row = ard.loc["effects.space_ttp.median_treated"]
    assert row["value"] == pytest.approx(169 / 30.4375)
    assert row["unit"] == "months"
    assert "converted from 169 days" in row["method"]
    assert ard.at["effects.storm_rfs.median_treated", "value"] == 33.3


def test_a_one_sided_p_is_held_against_the_interval_as_one_sided(ard: pd.DataFrame) -> None:
    """STORM prints 0.26 for 0.94 (0.78 to 1.13); two-sided the same interval gives 0.51 (normal quantiles by hand)."""
    z = math.log(0.94) / (math.log(1.13 / 0.78) / (2 * 1.959963985))
    expected = 0.5 * math.erfc(-z / math.sqrt(2))
    assert ard.at["effects.storm_rfs.p_from_ci", "value"] == pytest.approx(expected, abs=1e-8)
    assert "agrees with it (printed: 0.26)" in ard.at["effects.storm_rfs.p_from_ci", "method"]
    assert "one-sided p" in ard.at["effects.storm_rfs.hr", "method"]


def test_effects_without_a_figure_stay_blank_with_their_reason(ard: pd.DataFrame) -> None:
    row = ard.loc["effects.recurrent_milan_os.hr"]
    assert math.isnan(row["value"])
    assert row["method"].startswith("not estimable: Recurrent HCC within Milan, overall survival: no hazard ratio")


def test_effects_are_each_counted_once(ard: pd.DataFrame) -> None:
    n = ard["value"].filter(like="effects.listed.").rename(lambda name: name.rpartition(".")[2])
    assert n["effects"] == len(EVIDENCE.effects) == n["with_estimate"] + n["without_estimate"]
    assert n["with_estimate"] == n["verified"] + n["recalled"] + n["no_standard_error"]
    checks = ard["value"].filter(like="effects.consistency.").rename(lambda name: name.rpartition(".")[2])
    assert checks["checked"] == checks["agrees"] + checks["disagrees"]
    assert checks["percent_checked"] == checks["percent_agrees"] + checks["percent_disagrees"]


def test_harms_are_computed_from_counts_where_there_are_counts(ard: pd.DataFrame) -> None:
    """SORAMIC prints 5.9 % for 5 of 67 lesions, which are 7.5 %."""
    row = ard.loc["effects.soramic_local_recurrence.control.percent"]
    assert row["value"] == pytest.approx(100 * 5 / 67)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert "(printed: 5.9 %)" in row["method"]
    assert "lesions taken as independent" in row["method"]
    quoted = ard.loc["effects.soramic_any_ae.treated.percent"]
    assert quoted["value"] == 92.5
    assert quoted["population"] == "As published"
    assert math.isnan(quoted["ci_low"])
    assert ard.at["effects.storm_hfsr.risk_ratio", "value"] == pytest.approx((154 / 559) / (4 / 548))
    # follow-up differs between arms, and the trial gives a hazard ratio of this event
    assert "effects.storm_rfs_event.risk_ratio" not in ard.index


# --- pooled ----------------------------------------------------------------------------------------


def test_the_sensitivity_analysis_of_survival_with_tace_is_that_of_metafor(ard: pd.DataFrame) -> None:
    """Reference: metafor 3.8-1, rma(method = "REML", test = "adhoc"), rma(method = "FE"), predict, leave1out,
    confint(control = list(tol = 1e-14)).

    log(1.06, 0.898, 0.91, 0.861), standard errors from (0.69, 1.64), (0.606, 1.33), (0.67, 1.24), (0.607, 1.223).
    """
    inputs = EVIDENCE.effects.set_index("effect_id").loc[
        ["post_tace_os", "space_os", "tace_2_os", "tactics_os"], ["estimate", "ci_low", "ci_high"]
    ]
    assert inputs.to_numpy().tolist() == [
        [1.06, 0.69, 1.64],
        [0.898, 0.606, 1.33],
        [0.91, 0.67, 1.24],
        [0.861, 0.607, 1.223],
    ]
    expected = {
        "common_hr": [0.918302834565, 0.766247474172, 1.100532301109],
        "random_hr": [0.918302834565, 0.684437186780, 1.232078139905],
        "prediction": [0.918302834565, 0.68443718678, 1.23207813991],
        "tau2": [0, 0, 0.0708781976944],
        "i2": [0, 0, 67.0114814286936],
    }
    for stat, numbers in expected.items():
        row = ard.loc[f"synthesis.tace_os.with_unverified.{stat}", NUMBERS[:3]].to_numpy(float)
        np.testing.assert_allclose(row, numbers, rtol=1e-6, atol=1e-9)
    q = ard.loc["synthesis.tace_os.with_unverified.q"]
    assert (q["value"], q["p_value"]) == pytest.approx((0.567896250151, 0.903740822914), rel=1e-6)
    left_out = [
        ard.at[f"synthesis.tace_os.with_unverified.leave_out_{study}.common_hr", "value"]
        for study in ("post_tace", "space", "tace_2", "tactics")
    ]
    np.testing.assert_allclose(left_out, [0.890795431116, 0.923847531008, 0.922723958169, 0.940121019594], rtol=1e-6)


def test_no_study_is_said_and_one_study_is_not_called_pooled(ard: pd.DataFrame) -> None:
    for stat in ("common_hr", "random_hr", "single_hr", "tau2", "prediction"):
        row = ard.loc[f"synthesis.rfa_cohorts_os.{stat}"]
        assert math.isnan(row["value"])
        assert row["method"].startswith("not estimable: no")
    assert ard.at["synthesis.rfa_cohorts_os.k", "value"] == 0
    assert ard.at["synthesis.rfa_cohorts_os.reporting", "value"] > 0
    single = ard.loc["synthesis.tace_os.single_hr"]
    assert single[NUMBERS[:3]].tolist() == ard.loc["effects.tactics_os.hr", NUMBERS[:3]].tolist()
    assert single["method"].startswith("one study, not pooled; ")
    pooled = ard.loc["synthesis.tace_os.random_hr"]
    assert math.isnan(pooled["value"])
    assert pooled["method"] == "not estimable: one study (TACTICS), nothing to pool"


def test_two_studies_are_pooled_and_the_one_degree_of_freedom_is_said(ard: pd.DataFrame) -> None:
    row = ard.loc["synthesis.adjuvant_ttr.random_hr"]
    assert ard.at["synthesis.adjuvant_ttr.k", "value"] == 2
    assert "t has one degree of freedom, and the interval is very wide" in row["method"]
    common = ard.loc["synthesis.adjuvant_ttr.common_hr"]
    assert row["ci_low"] < common["ci_low"] < common["ci_high"] < row["ci_high"]
    assert ard.at["synthesis.adjuvant_ttr.prediction", "method"].endswith("takes 3 studies, here 2")
    assert "one left out leaves one study" in ard.at["synthesis.adjuvant_ttr.leave_out_lowest_hr", "method"]
    shares = [
        ard.at[f"synthesis.adjuvant_ttr.{study}.weight_common", "value"] for study in ("storm", "soramic_ablation")
    ]
    assert sum(shares) == pytest.approx(100)


def test_the_sensitivity_analysis_takes_the_last_look_of_a_trial(
    ard: pd.DataFrame, parts: dict[str, Estimates]
) -> None:
    """Both looks of TACTICS at TACE-specific progression are recalled: the updated one, once."""
    assert ard.at["synthesis.tace_pfs_tace.with_unverified.k", "value"] == 1
    assert ard.at["synthesis.tace_pfs_tace.with_unverified.single_hr", "value"] == 0.661
    effects = parts["effects"].curves["evidence_effects"].set_index("effect_id")
    assert effects.at["tactics_pfs_tace", "why_not_pooled"] == "another look of the study is taken"
    assert effects.at["tactics_pfs_tace_updated", "pooled_in_all"] == "tace_pfs_tace"
    assert effects.at["tactics_pfs_tace_updated", "pooled_in"] == ""


def test_nothing_recalled_is_in_a_headline_and_nothing_else_is_left_without_reason(parts: dict[str, Estimates]) -> None:
    effects = parts["effects"].curves["evidence_effects"]
    pooled = effects[effects["pooled_in"] != ""]
    assert pooled["verified"].all()
    assert ~pooled["status"].str.contains("estimate recalled").any()
    assert (effects["why_not_pooled"].eq("") == effects["pooled_in"].ne("")).all()
    assert set(effects.loc[effects["setting"].isin(["other_drug", "other_cancer"]), "pooled_in_all"]) == {""}


def test_estimates_rest_on_the_studies_that_were_pooled(ard: pd.DataFrame, parts: dict[str, Estimates]) -> None:
    frame = ard.reset_index()
    assert counts_of("synthesis.tace_os.with_unverified.random_hr", frame) == {
        "n": "synthesis.tace_os.with_unverified.k"
    }
    step = "synthesis.tace_os.with_unverified.leave_out_space"
    assert counts_of(f"{step}.random_hr", frame) == {"n": f"{step}.k"}
    members = parts["synthesis"].members
    found = members[members["ard_id"] == f"{step}.k"]
    assert found["USUBJID"].tolist() == ["post_tace", "tace_2", "tactics"]
    assert set(found["src_file"]) == {"data/evidence/effects.csv"}


def test_reconstructed_numbers_rest_on_the_printed_percentages(ard: pd.DataFrame, parts: dict[str, Estimates]) -> None:
    frame = ard.reset_index()
    count = "reconstruction.recurrent_milan_tfs.percentages"
    for number in ("hr", "m0_m12.hr", "m60.difference"):
        assert counts_of(f"reconstruction.recurrent_milan_tfs.{number}", frame) == {"n": count}, number
    members = parts["reconstruction"].members
    found = members[members["ard_id"] == count]
    assert len(found) == 6
    assert set(found["src_file"]) == {"data/evidence/survival_percentages.csv"}


@pytest.mark.parametrize(("k", "tested"), [(9, False), (10, True)])
def test_small_study_effects_are_looked_at_from_ten_studies_on(tmp_path: Path, k: int, tested: bool) -> None:
    trials = [Effect(f"trial_{j}", 0.8 + 0.02 * j, 0.6 + 0.01 * j, 1.1 + 0.05 * j) for j in range(k)]
    plan = the_plan(only=["adjuvant_os"])
    made = estimate_synthesis(made_up(tmp_path, trials), plan, "evidence", "record")
    row = made.ard.set_index("ard_id").loc["synthesis.adjuvant_os.egger"]
    points = made.curves["evidence_small_studies"]
    assert len(points[points["scope"] == "headline"]) == (k if tested else 0)
    assert math.isnan(row["value"]) != tested
    if not tested:
        assert row["method"] == "not tested: small-study effects take 10 studies, here 9"


# --- reconstructed ---------------------------------------------------------------------------------


def test_intervals_of_printed_percentages_show_an_effect_that_wanes(ard: pd.DataFrame) -> None:
    """By hand: ratios of differences of log survival; 90.8, 49.0, 20.4 against 67.8, 28.0, 14.5 percent."""
    treated, control = np.log([1, 0.908, 0.49, 0.204]), np.log([1, 0.678, 0.28, 0.145])
    for j, name in enumerate(("m0_m12", "m12_m36", "m36_m60")):
        row = ard.loc[f"reconstruction.recurrent_milan_tfs.{name}.hr"]
        assert row["value"] == pytest.approx(np.diff(treated)[j] / np.diff(control)[j], rel=1e-9)
        assert row["ci_low"] < row["value"] < row["ci_high"]
    assert ard.at["reconstruction.recurrent_milan_tfs.heterogeneity", "p_value"] < 0.01
    assert ard.at["reconstruction.recurrent_milan_tfs.trend_per_year", "ci_low"] > 1
    # the cohort without an effect shows none that wanes either
    assert ard.at["reconstruction.wang_2024_rfs.heterogeneity", "p_value"] > 0.1
    ratio = np.log(0.117) / np.log(0.115)
    assert ard.at["reconstruction.wang_2024_rfs.cumulative_hr", "value"] == pytest.approx(ratio)


def test_without_censoring_estimates_stay_and_intervals_narrow(parts: dict[str, Estimates]) -> None:
    intervals = parts["reconstruction"].curves["evidence_intervals"]
    assert len(intervals) == 9
    assert (intervals["lo"] < intervals["no_censoring_lo"]).all()
    assert (intervals["hi"] > intervals["no_censoring_hi"]).all()


def with_percent(study: str, arm: str, month: float, percent: float) -> Evidence:
    """Return the shipped tables with another percentage."""
    rows = EVIDENCE.survival_percentages.copy()
    at = rows["study_id"].eq(study) & rows["arm"].eq(arm) & rows["month"].eq(month)
    assert at.any()
    rows.loc[at, "percent"] = percent
    return replace(EVIDENCE, survival_percentages=rows)


def test_an_arm_of_which_nobody_is_left_keeps_its_earlier_intervals(ard: pd.DataFrame, tmp_path: Path) -> None:
    made = estimate_reconstruction(with_percent("wang_2024", "control", 36, 0.0), tmp_path, PLAN, "evidence", "record")
    found = made.ard.set_index("ard_id")
    place = "reconstruction.wang_2024_rfs"
    for name in ("m0_m12", "m12_m24"):
        assert found.at[f"{place}.{name}.hr", "value"] == ard.at[f"{place}.{name}.hr", "value"]
        assert found.at[f"{place}_no_censoring.{name}.hr", "ci_low"] > 0
    by_hand = np.log(0.195) / np.log(0.299)
    assert found.at[f"{place}.cumulative_hr", "value"] == pytest.approx(by_hand)
    assert "ratio of the cumulative hazards at month 24;" in found.at[f"{place}.cumulative_hr", "method"]
    assert "at month 36 an arm is at 0 percent" in found.at[f"{place}.hr", "method"]
    for name in ("m24_m36.hr", "m36.difference", "m36.difference_lowest"):
        assert math.isnan(found.at[f"{place}.{name}", "value"])
        assert found.at[f"{place}.{name}", "method"].startswith("not estimable: an arm is at 0 percent at month 36")
    last = made.curves["evidence_intervals"].query("study_id == 'wang_2024'").iloc[-1]
    assert math.isnan(last["hr"]) and last["reason"].startswith("an arm is at 0 percent at month 36")
    drawn = made.curves["evidence_survival"].query("study_id == 'wang_2024'")
    assert drawn.loc[drawn["kind"] == "fitted", "month"].max() == 24
    assert drawn.loc[drawn["kind"] == "published", "month"].max() == 36


def test_an_arm_of_which_nobody_is_left_at_once_has_no_interval(tmp_path: Path) -> None:
    evidence = with_percent("wang_2024", "treated", 12, 0.0)
    rows = evidence.survival_percentages
    rows.loc[rows["study_id"].eq("wang_2024") & rows["arm"].eq("treated"), "percent"] = 0.0
    found = estimate_reconstruction(evidence, tmp_path, PLAN, "evidence", "record").ard.set_index("ard_id")
    for name in ("m0_m12.hr", "hr", "heterogeneity", "m12.difference"):
        row = found.loc[f"reconstruction.wang_2024_rfs.{name}"]
        assert math.isnan(row["value"])
        assert row["method"].startswith("not estimable: an arm is at 0 percent at month 12")


def test_the_follow_up_that_is_printed_says_how_many_were_censored(ard: pd.DataFrame) -> None:
    """62.0 and 60.9 months are printed of one study, and of the other none: its last percentage stands for it."""
    row = ard.loc["reconstruction.recurrent_milan_tfs.hr"]
    assert "median follow-up: treated 62 months and control 60.9 months" in row["method"]
    assert "median follow-up seen" in row["method"]
    own = reconstruct(
        [12, 36, 60],
        [90.8, 49.0, 20.4],
        [67.8, 28.0, 14.5],
        174,
        174,
        follow_up_median_treated=62.0,
        follow_up_median_control=60.9,
    )
    assert (row["ci_low"], row["ci_high"]) == (own.average_hr.ci_low, own.average_hr.ci_high)
    assumed = ard.at["reconstruction.wang_2024_rfs.hr", "method"]
    assert "the last printed time is taken for the median follow-up" in assumed


def test_fitted_curves_pass_through_the_printed_points(parts: dict[str, Estimates]) -> None:
    survival = parts["reconstruction"].curves["evidence_survival"]
    keys = ["study_id", "endpoint", "arm", "month"]
    both = survival[survival["kind"] == "published"].merge(survival[survival["kind"] == "fitted"], on=keys)
    assert len(both) == len(EVIDENCE.survival_percentages)
    np.testing.assert_allclose(both["survival_x"], both["survival_y"], rtol=1e-9)


def test_reconstructed_effects_are_in_no_synthesis(parts: dict[str, Estimates]) -> None:
    """The cohorts whose percentages are printed print no hazard ratio, and stay without one."""
    effects = parts["effects"].curves["evidence_effects"]
    reconstructed = effects["study_id"].isin(parts["reconstruction"].curves["evidence_intervals"]["study_id"])
    assert effects.loc[reconstructed, "hr"].isna().all()
    assert set(effects.loc[reconstructed, "pooled_in_all"]) == {""}


# --- digitised curves ------------------------------------------------------------------------------


def digitise(folder: Path, name: str, arms: dict[str, pd.DataFrame]) -> None:
    """Write files as a user would who clicked on a figure of these patients (months and event)."""
    points, risk = [], []
    for arm, patients in arms.items():
        curve = kaplan_meier(patients["time"], patients["event"])
        months = np.arange(0, patients["time"].max(), 0.5)
        points.append(pd.DataFrame({"arm": arm, "month": months, "survival": curve.at(months).survival.round(4)}))
        counts = np.arange(0, patients["time"].max(), 12.0)
        n = [int((patients["time"] >= month).sum()) for month in counts]
        risk.append(pd.DataFrame({"arm": arm, "month": counts, "n": n}))
    folder.mkdir(exist_ok=True)
    pd.concat(points).to_csv(folder / f"{name}.csv", index=False)
    pd.concat(risk).to_csv(folder / f"{name}.at_risk.csv", index=False)


@pytest.fixture(scope="module")
def colon() -> pd.DataFrame:
    """Return patients of the colon cancer trial, death, fluorouracil and levamisole against observation."""
    frame = pd.DataFrame(load_colon())
    frame = frame[(frame["etype"] == 2) & frame["rx"].isin(["Obs", "Lev+5FU"])]
    return pd.DataFrame(
        {
            "arm": np.where(frame["rx"] == "Obs", "control", "treated"),
            "time": frame["time"].to_numpy(float) / 30.4375,
            "event": frame["status"].to_numpy(int),
        }
    )


def test_a_digitised_curve_gives_back_the_hazard_ratio_of_its_patients(tmp_path: Path, colon: pd.DataFrame) -> None:
    """Reference: the patients themselves, of the colon cancer trial that R's survival carries."""
    digitise(tmp_path, "storm.OS", {arm: rows for arm, rows in colon.groupby("arm")})
    made = estimate_reconstruction(EVIDENCE, tmp_path, PLAN, "evidence", "record")
    ard = made.ard.set_index("ard_id")
    assert ard.at["reconstruction.digitised.curves", "value"] == 1
    own = cox_fit(
        pd.DataFrame({"treated": (colon["arm"] == "treated").astype(float)}), colon["time"], colon["event"]
    ).hazard_ratio("treated")
    found = ard.loc["reconstruction.digitised_storm_os.hr"]
    assert found["value"] == pytest.approx(own.estimate, rel=0.02)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((own.ci_low, own.ci_high), rel=0.05)
    for arm, rows in colon.groupby("arm"):
        assert ard.at[f"reconstruction.digitised_storm_os.{arm}.pseudo_patients", "value"] == len(rows)
    control = colon[colon["arm"] == "control"]
    median = kaplan_meier(control["time"], control["event"]).median().estimate
    assert ard.at["reconstruction.digitised_storm_os.control.median", "value"] == pytest.approx(median, abs=0.5)
    member = made.members[made.members["ard_id"] == "reconstruction.digitised.curves"].iloc[0]
    assert member["USUBJID"] == "storm.OS"
    assert set(made.curves["evidence_digitised"]["kind"]) == {"digitised", "reconstructed"}


def test_a_digitised_curve_that_nobody_can_be_behind_stops_the_job(tmp_path: Path, colon: pd.DataFrame) -> None:
    """Each cell is good, together they cannot be: nobody left by month 24, while the curve falls. No row hides it."""
    digitise(tmp_path, "storm.OS", dict(iter(colon.groupby("arm"))))
    path = tmp_path / "storm.OS.at_risk.csv"
    risk = pd.read_csv(path)
    early = risk["arm"].eq("treated") & risk["month"].le(24)
    risk.loc[early, "n"] = risk.loc[early, "n"].max()
    risk.to_csv(path, index=False)
    with pytest.raises(EvidenceError) as raised:
        estimate_reconstruction(EVIDENCE, tmp_path, PLAN, "evidence", "record")
    (problem,) = map(str, raised.value.problems)
    assert re.search(r"storm\.OS\.csv with .*storm\.OS\.at_risk\.csv, column survival, n: the treated arm", problem)
    assert "304 are said to be at risk at month 12, but of 304 at month 0 the curve leaves" in problem


def test_events_stated_are_taken_from_whichever_row_of_the_arm(tmp_path: Path, colon: pd.DataFrame) -> None:
    digitise(tmp_path, "storm.OS", dict(iter(colon.groupby("arm"))))
    path = tmp_path / "storm.OS.at_risk.csv"
    risk = pd.read_csv(path)
    totals = colon.groupby("arm")["event"].sum()
    for arm, row in (("treated", 2), ("control", 0)):
        risk.loc[risk[risk["arm"] == arm].index[row], "events"] = str(totals[arm])
    risk.to_csv(path, index=False)
    (curve,) = read_digitised(tmp_path, EVIDENCE, shown_folder="digitised")
    assert curve.total_events == totals.to_dict()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"nobody.OS.csv": "arm,month,survival\n"},
            r"nobody\.OS\.csv: the name is not that of a study and an endpoint",
        ),
        ({"storm.XX.csv": "arm,month,survival\n"}, r"storm\.XX\.csv: the name is not that of a study and an endpoint"),
        ({"storm.OS.csv": "arm,month,survival\ntreated,0,1\ncontrol,0,1\n"}, r"also storm\.OS\.at_risk\.csv beside it"),
        ({"storm.OS.at_risk.csv": "arm,month,n\n"}, r"also storm\.OS\.csv beside it"),
        (
            {"storm.OS.csv": "arm,month,survival\ntreated,0,1\ncontrol,0,one\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 3, column survival: not a number\n +found: +one",
        ),
        (
            {"storm.OS.csv": "arm,month,survival\ntreated,0,1\nplacebo,0,1\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 3, column arm: unknown code\n +found: +placebo\n +expected: treated / control",
        ),
        (
            {"storm.OS.csv": "arm,month\ntreated,0\ncontrol,0\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 1, column survival: the column is missing",
        ),
        (
            {"storm.OS.csv": "arm,month,survival\ntreated,0,1\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, column arm: no row of the arm control",
        ),
        (
            {"storm.OS.csv": "arm,month,survival\ntreated,0,100\ncontrol,0,1\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 2, column survival: survival is out of range\n +found: +100\n +expected: a "
            r"proportion from 0 to 1\n +hint: +percent are to be divided by 100",
        ),
        (
            {
                "storm.OS.csv": "arm,month,survival\ntreated,0,1\ncontrol,-5,1\ncontrol,9,1\n",
                "storm.OS.at_risk.csv": "",
            },
            r"storm\.OS\.csv, row 3, column month: a point before month 0\n +found: +-5",
        ),
        (
            {"storm.OS.csv": "arm,month,survival\ntreated,0,1\ncontrol,0,1,2\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 3: the row does not fit the header\n +found: +4 cells\n +expected: 3 cells",
        ),
        (
            {"storm.OS.csv": "\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, row 1: no header\n +found: +an empty file\n +expected: arm, month, survival",
        ),
        (
            {"storm.OS.csv": "arm,month,survival\n", "storm.OS.at_risk.csv": ""},
            r"storm\.OS\.csv, column arm: no row of the arm treated",
        ),
        *(
            (
                {
                    "storm.OS.csv": "arm,month,survival\ntreated,9,0.8\ncontrol,9,0.8\n",
                    "storm.OS.at_risk.csv": f"arm,month,n,events\ntreated,0,450,\n{rows}\ncontrol,0,10,2\n",
                },
                rf"storm\.OS\.at_risk\.csv, row {message}",
            )
            for rows, message in (
                (
                    "treated,6,410,\ntreated,9,450,",
                    r"4, column n: numbers at risk rise\n +found: +450\n +expected: at most 410, at risk at month 6",
                ),
                ("treated,6,410.5,", r"3, column n: not a whole number\n +found: +410\.5"),
                ("treated,6,410,90.7", r"3, column events: not a whole number\n +found: +90\.7"),
                (
                    "treated,6,410,90\ntreated,9,400,95",
                    r"4, column events: events of the treated arm in all are in row 3 already\n +found: +95",
                ),
                ("treated,6,410,451", r"3, column events: more events than patients\n +found: +451\n +.*at most 450"),
                ("treated,0,410,", r"3, column month: months of an arm must ascend"),
                ("control,3,10,", r"4, column month: months of an arm must ascend"),
                ("treated,-6,410,", r"3, column month: out of range\n +found: +-6\n +expected: a number from 0"),
            )
        ),
    ],
)
def test_digitised_files_that_cannot_be_used_are_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    fellow = "arm,month,n\ntreated,0,10\ncontrol,0,10\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text or fellow, encoding="utf-8")
    with pytest.raises(EvidenceError, match=message):
        estimate_reconstruction(EVIDENCE, tmp_path, PLAN, "evidence", "record")


# --- the editorial ---------------------------------------------------------------------------------


def test_each_fault_of_the_editorial_is_a_row_of_the_statement_it_is_found_in(
    parts: dict[str, Estimates], ard: pd.DataFrame
) -> None:
    statements = parts["editorial"].curves["evidence_statements"].set_index("statement_id")
    found = ard["value"].filter(like="editorial.statement.")
    for fault in ("unit error", "screened, not randomised", "contradicted"):
        slug = fault.replace(",", "").replace(" ", "_")
        own = found[found.index.str.endswith(f".{slug}.n")]
        named = {identifier.split(".")[2] for identifier in own[own == 1].index}
        computed = statements[(statements["verdict"] == fault) & (statements["refers_to"] != "")]
        assert named == set(computed.index)
        assert set(own) <= {0, 1}
    assert found["editorial.statement.space_median_treated.unit_error.n"] == 1
    assert found["editorial.statement.storm_patients.screened_not_randomised.n"] == 1
    assert found["editorial.statement.storm_patients.unit_error.n"] == 0


def test_the_known_errors_of_the_editorial_are_counted_and_listed(
    parts: dict[str, Estimates], ard: pd.DataFrame
) -> None:
    statements = parts["editorial"].curves["evidence_statements"]
    verdicts = ard["value"].filter(like="editorial.verdict.")
    assert verdicts.sum() == ard.at["editorial.statements.n", "value"] == len(statements)
    screened = statements[statements["verdict"] == "screened, not randomised"]
    assert screened["claimed"].tolist() == ["1602 patients"]
    assert screened["source"].tolist() == ["1114 patients"]
    assert screened["source_value_id"].tolist() == ["effects.storm.n_both_arms"]
    assert ard.at["effects.storm.n_both_arms", "value"] == 1114
    unit = statements[statements["verdict"] == "unit error"]
    assert "24 months" in set(unit["claimed"])
    assert "effects.space_ttp.median_treated" in set(unit["source_value_id"])
    shown = [name for name in statements["source_value_id"] if name]
    assert set(shown) <= set(ard.index)


# --- review ----------------------------------------------------------------------------------------


def test_the_flow_loses_no_source_and_no_study(parts: dict[str, Estimates], ard: pd.DataFrame) -> None:
    n = parts["review"].curves["evidence_flow"].set_index("step")["n"]
    assert n["identified"] == n["not_retrieved"] + n["retrieved"] == len(EVIDENCE.sources)
    assert n["identified"] == n.filter(like="identified_").sum()
    assert n["retrieved"] == n.filter(like="read_").sum()
    assert n["studies"] == n["narrative"] + n["context"] + n["eligible"] == len(EVIDENCE.studies)
    assert n["eligible"] == n["headline"] + n["sensitivity"] + n["no_usable_effect"]
    members = parts["review"].members
    pooled = members.loc[members["ard_id"] == "review.flow.headline.n", "USUBJID"]
    synthesis = parts["synthesis"].members
    headline = synthesis["ard_id"].str.fullmatch(r"synthesis\.\w+\.k")
    assert set(pooled) == set(synthesis.loc[headline, "USUBJID"])


def test_certainty_starts_where_the_design_puts_it_and_stays_between_very_low_and_high() -> None:
    domains = ["start", "risk_of_bias", "imprecision"]
    for steps, level in {(4, 0, 0): 4, (4, -1, -1): 2, (2, -2, -1): 1, (2, 0, -1): 1, (4, -2, -2): 1}.items():
        assert certainty_level(pd.DataFrame({"domain": domains, "step": steps})) == level
    with pytest.raises(ValueError, match="one start"):
        certainty_level(pd.DataFrame({"domain": ["imprecision"], "step": [-1]}))


def test_findings_are_about_rows_that_are_there(parts: dict[str, Estimates], ard: pd.DataFrame) -> None:
    findings = parts["review"].curves["evidence_certainty"].drop_duplicates("finding_id")
    assert set(findings["ard_id"]) <= set(ard.index)
    pooled = findings[findings["effect_kind"] == "pooled"]
    assert (ard.loc[pooled["k_id"], "value"] > 1).all()
    single = findings[findings["effect_kind"] == "single"]
    assert ard.loc[single["ard_id"], "value"].notna().all()
    assert set(findings["word"]) <= {"very low", "low", "moderate", "high"}


def test_a_finding_about_no_synthesis_of_the_plan_is_refused() -> None:
    certainty = EVIDENCE.certainty.assign(
        synthesis_id=EVIDENCE.certainty["synthesis_id"].replace("tace_os", "tace_oss")
    )
    with pytest.raises(ValueError, match="the plan has no synthesis tace_oss"):
        estimate_review(replace(EVIDENCE, certainty=certainty), PLAN, "evidence", "record")


def test_judgements_of_bias_are_those_of_the_table(parts: dict[str, Estimates], ard: pd.DataFrame) -> None:
    overall = EVIDENCE.risk_of_bias[EVIDENCE.risk_of_bias["domain"] == "overall"]
    assert ard["value"].filter(regex=r"^review\.bias\.").sum() == len(overall)
    bias = parts["review"].curves["evidence_bias"]
    assert bias["overall"].sum() == len(overall)
    assert len(bias) == len(EVIDENCE.risk_of_bias)


def test_the_same_tables_give_the_same_rows(parts: dict[str, Estimates], tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "evidence")
    again: Evidence = read_evidence(folder)
    made = estimate_evidence(again, SHIPPED / "digitised", PLAN, cohort_name="evidence", record="records/x.json")
    for name, part in parts.items():
        pd.testing.assert_frame_equal(part.ard, made[name].ard, check_exact=True)
        pd.testing.assert_frame_equal(part.members, made[name].members)
    assert not any(re.search(r"[A-Z ]", name) for part in parts.values() for name in part.ard["ard_id"])


def test_tables_of_two_trials_alone_are_enough(tmp_path: Path) -> None:
    """Without an editorial, percentages, counts, judgements and findings, what there is to say is said."""
    evidence = made_up(tmp_path, [Effect("first", 0.8, 0.6, 1.07), Effect("second", 1.1, 0.7, 1.73)])
    made = estimate_evidence(evidence, tmp_path / "nowhere", PLAN, cohort_name="evidence", record="record")
    ard = collect_ard(part.ard for part in made.values()).set_index("ard_id")
    assert ard.at["synthesis.adjuvant_os.k", "value"] == 2
    assert ard.at["editorial.statements.n", "value"] == 0
    assert ard.at["reconstruction.digitised.curves", "value"] == 0
    for name, part in made.items():
        assert set(part.curves) == set(CURVES[name])
    for curve in ("evidence_statements", "evidence_bias", "evidence_certainty", "evidence_intervals", "evidence_harms"):
        frame = next(part.curves[curve] for part in made.values() if curve in part.curves)
        assert frame.empty
        assert len(frame.columns) > 5
