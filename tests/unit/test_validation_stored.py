"""The stored validation study: what is shown of it, and what keeps it from being shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, ROOT, plan, value
from statsmodels.stats.proportion import proportion_confint
from test_validation_performance import estimates, truths
from test_validation_performance import plan as study_plan
from test_validation_study import regions

from sorafenib_rfa.errors import InputError, SealError
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.files import write_csv, write_parquet
from sorafenib_rfa.records.record import seal_of
from sorafenib_rfa.validation import INTERVALS, SEAL, STORED, TABLE
from sorafenib_rfa.validation.performance import performance, write_intervals
from sorafenib_rfa.validation.store import (
    Declared,
    _differences,
    _other_truths,
    check,
    declared_study,
    table_against_intervals,
)
from sorafenib_rfa.validation.stored import PERFORMANCE, Stored, declaration, load_stored, study_ard

SIMULATION = ROOT / "config/cohorts/synthetic/simulation.yaml"
COHORTS = 40
STUDY = study_plan(COHORTS)
WHOLE = {
    "cohorts", "replicates", "fits", "failed", "scenarios", "sizes", "estimators", "resamples", "cpu_hours",
    "code_files_changed",
}  # fmt: skip
KEY = "validation.study_rfs_naive.waning_200.log_hr"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    """Return a folder with the stored result of a small study of made-up estimates."""
    folder = tmp_path_factory.mktemp("validation")
    rows = estimates(COHORTS)
    lost = (rows["estimator"] == "naive") & (rows["replicate"] == 3) & (rows["scenario"] == "null")
    rows.loc[lost, ["estimate", "std_err"]] = np.nan
    rows.loc[lost, "reason"] = "NoEventsError"
    write_parquet(rows, folder / "rows.parquet")
    table, intervals = performance([folder / "rows.parquet"], truths(), STUDY, level=0.95)
    (folder / "rows.parquet").unlink()
    write_csv(table, folder / TABLE)
    write_intervals(intervals, folder / INTERVALS)
    write_seal(folder, declaration(STUDY, PLAN, SIMULATION, regions()))
    return folder


def write_seal(folder: Path, declared: dict) -> None:
    from sorafenib_rfa.records.digests import sha256_of

    seal = {
        "format": 1,
        "plan": "default",
        "declared": declared,
        "files": {name: {"sha256": sha256_of(folder / name)} for name in (TABLE, INTERVALS)},
        "computation": {"cpu_seconds": 5400.0},
    }
    (folder / SEAL).write_text(json.dumps(seal | {"seal": seal_of(seal)}), encoding="utf-8")


def load(folder: Path, study=STUDY, the_plan=PLAN, simulation: Path = SIMULATION, where=None) -> Stored:
    paths = [folder / name for name in (TABLE, INTERVALS, SEAL) if (folder / name).exists()]
    return load_stored(paths, study, the_plan, simulation, where or regions())


def rows_of(stored: Stored, study=STUDY) -> pd.DataFrame:
    return collect_ard([study_ard(stored, study, cohort_name="synthetic", record="records/v.json")])


# --- what is shown --------------------------------------------------------------------------------------------


def test_every_cell_and_measure_has_its_row_with_monte_carlo_limits(shelf):
    stored = load(shelf)
    assert stored.not_run == ""
    ard = rows_of(stored)
    table = stored.performance
    assert len(ard) == len(table) * (len(PERFORMANCE) + 2) + len(WHOLE) + len(STUDY.sizes) + len(STUDY.scenarios)
    row = table.query("scenario == 'waning' and screened == 200 and estimator == 'naive' and measure == 'log_hr'")
    row = row.iloc[0]
    coverage = value(ard, f"{KEY}.coverage")
    assert coverage["value"] == pytest.approx(100 * row["coverage"])
    wilson = proportion_confint(round(row["coverage"] * COHORTS), COHORTS, method="wilson")
    assert (coverage["ci_low"], coverage["ci_high"]) == pytest.approx([100 * end for end in wilson])
    bias = value(ard, f"{KEY}.bias")
    assert bias["ci_high"] - bias["value"] == pytest.approx(1.959964 * row["bias_mc_se"], rel=1e-6)
    shares = ard[ard["stat_name"].isin(["coverage", "bias_eliminated_coverage", "rejection", "failed_percent"])]
    assert shares["ci_low"].min() == 0
    assert shares["ci_high"].max() == 100
    # that none of 40 failed does not say that none ever will
    none_failed = value(ard, f"{KEY}.failed_percent")
    assert none_failed["ci_high"] == pytest.approx(100 * proportion_confint(0, COHORTS, method="wilson")[1])
    assert coverage["unit"] == "percent"
    assert value(ard, f"{KEY}.bias")["value"] == pytest.approx(row["bias"])
    assert "40 simulated cohorts" in value(ard, f"{KEY}.bias")["method"]
    months = ard[ard["ard_id"].str.contains(".rmst_difference.", regex=False)]
    assert set(months.loc[months["stat_name"].isin(["truth", "bias", "model_se"]), "unit"]) == {"months"}


def test_failed_cohorts_are_shown_with_their_reason(shelf):
    ard = rows_of(load(shelf))
    row = value(ard, "validation.study_rfs_naive.null_100.log_hr.failed")
    assert (row["value"], row["unit"]) == (1, "count")
    assert "NoEventsError: 1" in row["method"]
    assert value(ard, "validation.study_rfs_naive.null_100.log_hr.replicates")["value"] == COHORTS - 1
    # two measures of two sizes
    assert value(ard, "validation.study.failed")["value"] == 4


def test_the_whole_is_counted(shelf):
    ard = rows_of(load(shelf))
    of = {stat: value(ard, f"validation.study.{stat}")["value"] for stat in WHOLE}
    assert of["cohorts"] == 2 * 2 * COHORTS
    assert of["fits"] == of["cohorts"] * 2
    assert (of["scenarios"], of["sizes"], of["estimators"], of["replicates"]) == (2, 2, 2, COHORTS)
    assert of["cpu_hours"] == 1.5
    assert value(ard, "validation.study.patients.n100")["value"] == 80


# --- what is not shown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"study": STUDY.model_copy(update={"replicates": 99})}, "another plan of the study (replicates 40, declared 99)"),  # noqa: E501
        ({"study": STUDY.model_copy(update={"seed": 2})}, "another plan of the study (seed 1, declared 2)"),
        ({"the_plan": plan(landmark_day=90)}, "another analysis plan (landmark_day 60, declared 90)"),
        ({"the_plan": plan(adjustment_set=["AGE", "SEX"])}, "another analysis plan (adjustment_set)"),
        ({"where": {"somewhere": "Asia"}}, "sites in other regions"),
    ],
)  # fmt: skip
def test_the_result_of_another_study_is_not_shown(changed, why, shelf):
    stored = load(shelf, **changed)
    assert stored.performance is None
    assert why in stored.not_run
    study = changed.get("study", STUDY)
    ard = rows_of(stored, study)
    # the same ids, without values and with the reason
    assert set(ard["ard_id"]) == set(rows_of(load(shelf))["ard_id"])
    assert ard[["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert ard["method"].str.startswith("not estimable: the validation study was not run: ").all()


def test_other_parameters_of_the_simulation_are_another_study(shelf, tmp_path):
    text = SIMULATION.read_text(encoding="utf-8")
    (tmp_path / "simulation.yaml").write_text("# a comment changes nothing\n" + text, encoding="utf-8")
    assert load(shelf, simulation=tmp_path / "simulation.yaml").not_run == ""
    size = next(line for line in text.splitlines() if line.startswith("size:"))
    (tmp_path / "simulation.yaml").write_text(text.replace(size, "size: 155"), encoding="utf-8")
    assert load(shelf, simulation=tmp_path / "simulation.yaml").not_run == ""  # the study has sizes of its own
    found = text.index("missed_imaging:")
    changed = text[:found] + text[found:].replace("value: 0.", "value: 0.9", 1)
    (tmp_path / "simulation.yaml").write_text(changed, encoding="utf-8")
    assert "other parameters of the simulation" in load(shelf, simulation=tmp_path / "simulation.yaml").not_run


def test_code_that_changed_since_is_counted(shelf):
    ard = study_ard(load(shelf), STUDY, cohort_name="synthetic", record="records/v.json", code_files_changed=7)
    assert value(ard, "validation.study.code_files_changed")["value"] == 7


def test_a_scenario_without_effect_is_known_by_its_hazard_ratios_not_by_its_name(shelf):
    stored = load(shelf)
    other = stored.performance.assign(no_effect=stored.performance["scenario"] == "waning")
    ard = rows_of(Stored(other, stored.intervals, stored.seal))
    assert value(ard, "validation.study.waning.no_effect")["value"] == 1
    assert value(ard, "validation.study.null.no_effect")["value"] == 0


def test_other_jobs_are_the_same_study(shelf):
    assert load(shelf, study=study_plan(COHORTS, sizes={100: 3, 200: 7})).not_run == ""


@pytest.mark.parametrize("gone", [TABLE, INTERVALS, SEAL])
def test_where_a_file_is_missing_the_study_was_not_run(gone, shelf, tmp_path):
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    (tmp_path / gone).unlink()
    stored = load(tmp_path)
    assert gone in stored.not_run
    assert rows_of(stored)["value"].isna().all()


# --- what stops the job ---------------------------------------------------------------------------------------


def edited_number(folder: Path) -> str:
    table = pd.read_csv(folder / TABLE, keep_default_na=False)
    table.loc[0, "bias"] = 0.0
    table.to_csv(folder / TABLE, index=False)
    return TABLE


def edited_intervals(folder: Path) -> str:
    frame = pd.read_parquet(folder / INTERVALS)
    write_parquet(frame.assign(covers=True), folder / INTERVALS)
    return INTERVALS


def edited_seal(folder: Path) -> str:
    seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    seal["declared"]["study"]["replicates"] = 4000
    (folder / SEAL).write_text(json.dumps(seal), encoding="utf-8")
    return SEAL


def cut_seal(folder: Path) -> str:
    (folder / SEAL).write_text((folder / SEAL).read_text(encoding="utf-8")[:200], encoding="utf-8")
    return SEAL


def of_another_format(folder: Path) -> str:
    seal = json.loads((folder / SEAL).read_text(encoding="utf-8")) | {"format": 2}
    (folder / SEAL).write_text(json.dumps(seal | {"seal": seal_of(seal)}), encoding="utf-8")
    return SEAL


@pytest.mark.parametrize("change", [edited_number, edited_intervals, edited_seal, cut_seal, of_another_format])
def test_an_edited_file_stops_with_its_name(change, shelf, tmp_path):
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    name = change(tmp_path)
    with pytest.raises(SealError) as caught:
        load(tmp_path)
    assert f"validation/{name}" in str(caught.value)


def test_missing_columns_are_named(shelf):
    stored = load(shelf)
    cut = Stored(stored.performance.drop(columns=["coverage_mc_se", "bias"]), stored.intervals, stored.seal)
    with pytest.raises(InputError) as caught:
        study_ard(cut, STUDY, cohort_name="synthetic", record="records/v.json")
    assert [problem.column for problem in caught.value.problems] == ["bias", "coverage_mc_se"]


# --- the result in the repository -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_stored_study_is_the_declared_one_and_comes_out_again():
    """Seal and configuration fit; the table follows from the intervals; recomputed truths and cohorts are as stored."""
    said = check(ROOT)
    assert "the table follows from the stored intervals and true values" in said
    assert "true values of strong_confounding recomputed: as stored" in said
    assert said[-1].startswith("12 cohorts recomputed")


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("bias", lambda v: v + 0.001),
        ("truth", lambda v: v * 1.01),
        ("empirical_se", lambda v: v * 1.001),
        ("model_se", lambda v: v * 0.999),
        ("mse", lambda v: v * 1.01),
        ("coverage", lambda v: v + 0.001),
        ("bias_eliminated_coverage", lambda v: v - 0.002),
        ("rejection", lambda v: v + 0.002),
        ("replicates", lambda v: v - 1),
    ],
)
def test_a_table_that_the_intervals_do_not_make_is_named(column, changed):
    """Also where the seal was made anew after the edit, or a code that merges otherwise made the table."""
    stored = load_stored([ROOT / path for path in STORED], *_declared_of_repository())
    table = stored.performance.copy()
    assert table_against_intervals(table, stored.intervals, 0.95) == []
    at = table.index[(table["screened"] == 740) & (table["estimator"] == "naive")][0]
    table[column] = table[column].astype(float)
    table.loc[at, column] = changed(table.loc[at, column])
    problems = table_against_intervals(table, stored.intervals, 0.95)
    assert problems
    assert column == "truth" or {problem.column for problem in problems} == {column}
    assert all("naive" in problem.found for problem in problems)


def test_a_true_value_that_differs_is_named():
    table = load_stored([ROOT / path for path in STORED], *_declared_of_repository()).performance
    own = table[table["scenario"] == "harm"]
    again = own.drop_duplicates(["endpoint", "estimator", "measure"])[["endpoint", "estimator", "measure", "truth"]]
    assert _other_truths(own, again) == []
    other = again.assign(truth=again["truth"] + np.where(again["estimator"] == "naive", 1e-6, 0.0))
    problems = _other_truths(own, other)
    assert len(problems) == 2 * 3  # two measures, three sizes
    assert "naive" in problems[0].found


def test_the_stored_study_is_whole():
    declared: Declared = declared_study(ROOT, "default")
    stored = load_stored([ROOT / path for path in STORED], declared.study, declared.plan, SIMULATION, declared.regions)
    table = stored.performance
    assert len(table) == 4 * 3 * 15
    assert (table["replicates"] + table["failed"] == declared.study.replicates).all()
    assert stored.seal["computation"]["cohorts"] == 12_000
    assert stored.seal["computation"]["fits"] == 96_000
    shown = stored.intervals.groupby(["scenario", "screened", "endpoint", "estimator", "measure"], observed=True)
    merged = shown["covers"].agg(["size", "sum"]).reset_index().merge(table)
    assert len(merged) == len(table)
    assert (merged["size"] == merged["replicates"]).all()
    assert (merged["sum"] / merged["size"]).to_numpy() == pytest.approx(merged["coverage"].to_numpy())
    assert sum((ROOT / path).stat().st_size for path in STORED) < 3_000_000
    assert (ROOT / STORED[1]).stat().st_size < 2_000_000


def test_recomputed_digits_that_differ_are_named():
    stored = load_stored([ROOT / path for path in STORED], *_declared_of_repository())
    own = stored.intervals.query("scenario == 'harm' and screened == 300 and replicate == 5")
    assert _differences(own, own, "harm") == []
    moved = own.assign(estimate=own["estimate"] * np.float32(1 + 1e-6))
    problem = _differences(moved, own, "harm")[0]
    assert "cohort 5" in problem.found
    assert len(_differences(own.iloc[1:], own, "harm")) == 1


def _declared_of_repository():
    declared = declared_study(ROOT, "default")
    return declared.study, declared.plan, SIMULATION, declared.regions
