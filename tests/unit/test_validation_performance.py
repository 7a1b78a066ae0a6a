"""The streaming merge of the validation study: exact, in bounded memory, of every cohort once."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorafenib_rfa.config.models import StudyPlan
from sorafenib_rfa.errors import InputError
from sorafenib_rfa.files import write_parquet
from sorafenib_rfa.validation.estimators import cells
from sorafenib_rfa.validation.performance import SHOWN_REPLICATES, ExactSums, performance

ESTIMATORS = ["landmark_iptw", "naive"]
CELLS = cells(ESTIMATORS)


def plan(replicates: int, **changes) -> StudyPlan:
    given = {
        "seed": 1, "scenarios": ["null", "waning"], "estimators": ESTIMATORS, "sizes": {100: 10, 200: 10},
        "replicates": replicates, "resamples": 50, "truth_screened": 1000,
    }  # fmt: skip
    return StudyPlan(**(given | changes))


def truths(value: float = 0.5, error: float = 0.0) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame(CELLS, columns=["endpoint", "estimator", "measure"])
    return {name: table.assign(truth=value, mc_se=error, no_effect=name == "null") for name in ("null", "waning")}


def estimates(replicates: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    keys = [
        (scenario, screened, replicate, 80, *cell)
        for scenario in ("null", "waning")
        for screened in (100, 200)
        for replicate in range(replicates)
        for cell in CELLS
    ]
    names = ["scenario", "screened", "replicate", "n", "endpoint", "estimator", "measure"]
    frame = pd.DataFrame(keys, columns=names).astype({"screened": "int32", "replicate": "int32", "n": "int32"})
    return frame.assign(
        estimate=0.5 + rng.standard_normal(len(frame)), std_err=rng.uniform(0.9, 1.1, len(frame)), reason=""
    )


def merged(parts: list[pd.DataFrame], folder: Path, study: StudyPlan, level: float = 0.95, **given):
    paths = [folder / f"{number}.parquet" for number in range(len(parts))]
    for part, path in zip(parts, paths, strict=True):
        write_parquet(part, path)
    return performance(paths, given.get("truth", truths()), study, level=level)


# --- sums ---------------------------------------------------------------------------------------------------


def test_sums_are_exact_where_addition_is_not():
    terms = np.array([1e300, 1.0, -1e300, 5e-324, 2**-1070, -1.0, 0.1, 0.2, 0.3, 1e16, 1.0, -1e16, 0.0, -0.0])
    sums = ExactSums(2)
    sums.add(np.zeros(terms.size, dtype=np.intp), terms)
    assert sums.total(0) == sum(map(Fraction, terms.tolist()))
    assert float(sums.total(0)) == math.fsum(terms)
    assert float(sums.total(0)) != float(np.sum(terms))
    assert sums.total(1) == 0


def test_sums_do_not_depend_on_order_or_batches():
    rng = np.random.default_rng(3)
    values = rng.standard_normal(40_000) * 10.0 ** rng.integers(-30, 30, 40_000)
    cell = rng.integers(0, 5, values.size)
    one, other = ExactSums(5), ExactSums(5)
    one.add(cell, values)
    for part in np.array_split(rng.permutation(values.size), 17):
        other.add(cell[part], values[part])
    for j in range(5):
        assert one.total(j) == other.total(j)
        assert float(one.total(j)) == math.fsum(values[cell == j])


# --- measures -----------------------------------------------------------------------------------------------


def test_performance_by_hand(tmp_path):
    """Estimates 0, 1, 2 and 5 about a truth of 1, standard errors 1; one failed cohort is counted, not averaged."""
    study = plan(5, scenarios=["waning"], sizes={100: 5}, estimators=["landmark_iptw"])
    rows = pd.DataFrame(
        {
            "scenario": "waning", "screened": np.int32(100), "replicate": range(5), "n": [80, 81, 82, 83, 84],
            "endpoint": "RFS", "estimator": "landmark_iptw", "measure": "log_hr",
            "estimate": [0.0, 1, 2, 5, np.nan], "std_err": [1.0, 1, 1, 1, np.nan],
            "reason": [""] * 4 + ["SmallGroupError"],
        }
    )  # fmt: skip
    table, intervals = merged([rows], tmp_path, study, truth=truths(1.0, 0.3))
    row = table.iloc[0]
    spread = math.sqrt((4 + 1 + 0 + 9) / 3)
    assert (row["replicates"], row["failed"], row["reasons"], row["mean_n"]) == (4, 1, "SmallGroupError: 1", 82)
    assert row["failed_percent"] == 20
    assert row["failed_percent_mc_se"] == pytest.approx(100 * math.sqrt(0.2 * 0.8 / 5))
    assert (row["bias"], row["mean_estimate"]) == (1, 2)
    assert row["bias_mc_se"] == pytest.approx(math.hypot(spread / 2, 0.3))
    assert row["empirical_se"] == pytest.approx(spread)
    assert row["empirical_se_mc_se"] == pytest.approx(spread / math.sqrt(6))
    assert row["mse"] == pytest.approx((1 + 0 + 1 + 16) / 4)
    assert row["mse_mc_se"] == pytest.approx(math.sqrt(np.var([1, 0, 1, 16], ddof=1) / 4))
    assert row["model_se"] == pytest.approx(1.0)
    assert row["se_error_percent"] == pytest.approx(100 * (1 / spread - 1))
    assert row["coverage"] == 0.75  # 5 is farther than 1.96 from 1
    assert row["coverage_mc_se"] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert row["bias_eliminated_coverage"] == 0.5  # 1 and 2 are nearer than 1.96 to their mean of 2, 0 and 5 are not
    assert row["rejection"] == 0.5  # 2 and 5
    assert np.isnan(row["relative_bias_percent"])  # its Monte Carlo error is above 20 points
    assert intervals["covers"].tolist() == [True, True, True, False]


def test_the_level_of_the_intervals_is_the_plans(tmp_path):
    rows = estimates(200)
    wide = merged([rows], tmp_path, plan(200), level=0.99)[0]["coverage"].mean()
    narrow = merged([rows], tmp_path, plan(200), level=0.5)[0]["coverage"].mean()
    assert narrow < 0.6 < 0.97 < wide


def test_where_nobody_has_an_estimate_there_are_reasons_and_no_numbers(tmp_path):
    rows = estimates(4)
    lost = (rows["estimator"] == "naive") & (rows["scenario"] == "null")
    rows.loc[lost, ["estimate", "std_err"]] = np.nan
    rows.loc[lost, "reason"] = "NoEventsError"
    table = merged([rows], tmp_path, plan(4))[0]
    own = table[(table["estimator"] == "naive") & (table["scenario"] == "null")]
    assert len(own) == 4
    assert (own["failed_percent"] == 100).all()
    assert own[["bias", "coverage", "empirical_se", "rejection"]].isna().all(axis=None)
    assert (own["reasons"] == "NoEventsError: 4").all()
    assert table.loc[~table.index.isin(own.index), "bias"].notna().all()


def test_the_intervals_are_those_of_the_first_cohorts(tmp_path):
    more = SHOWN_REPLICATES + 3
    study = plan(more, scenarios=["waning"], sizes={100: more}, estimators=["landmark_iptw"])
    rows = estimates(more).query("scenario == 'waning' and screened == 100 and estimator == 'landmark_iptw'")
    table, intervals = merged([rows.sample(frac=1, random_state=1)], tmp_path, study)
    assert intervals["replicate"].tolist() == list(range(SHOWN_REPLICATES))
    expected = rows.sort_values("replicate")["estimate"].to_numpy()[:SHOWN_REPLICATES]
    assert (intervals["estimate"] == expected.astype(np.float32)).all()
    assert table["replicates"].iloc[0] == more


# --- every cohort once --------------------------------------------------------------------------------------


def without(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(index=rows[(rows["replicate"] == 2) & (rows["screened"] == 200)].index[0])


def with_another(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(replicate=rows["replicate"].where(rows.index != 0, 7).astype("int32"))


def of_another_size(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(screened=rows["screened"].where(rows.index != 5, 300).astype("int32"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "cohorts are missing"),
        (lambda rows: pd.concat([rows, rows.iloc[[4]]], ignore_index=True), "a cohort is there twice"),
        (with_another, "a cohort is not declared"),
        (of_another_size, "belong to no cell of the study"),
    ],
)
def test_a_cohort_that_is_missing_double_or_foreign_is_named(change, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        merged([change(estimates(3))], tmp_path, plan(3))
    assert any(name in str(caught.value) for name in ("landmark_iptw", "naive"))


def test_a_cohort_double_in_another_file_is_found(tmp_path):
    rows = estimates(3)
    with pytest.raises(InputError, match="a cohort is there twice"):
        merged([rows, rows.iloc[[4]]], tmp_path, plan(3))


# --- memory -------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from test_validation_performance import CELLS, plan, truths
from sorafenib_rfa.validation.performance import performance

replicates, folder = int(sys.argv[1]), Path(sys.argv[2])
study = plan(replicates, scenarios=["waning"], sizes={100: replicates})
path, rng = folder / f"{replicates}.parquet", np.random.default_rng(1)
parts = zip(*CELLS)
names = dict(zip(("endpoint", "estimator", "measure"), parts))
writer = None
for first in range(0, replicates, 20_000):
    numbers = np.repeat(np.arange(first, min(first + 20_000, replicates), dtype=np.int32), len(CELLS))
    rows = len(numbers)
    table = pa.table({
        "scenario": pa.array(["waning"] * rows), "screened": pa.array(np.full(rows, 100, dtype=np.int32)),
        "replicate": numbers, "n": pa.array(np.full(rows, 80, dtype=np.int32)),
        **{name: list(values) * (rows // len(CELLS)) for name, values in names.items()},
        "estimate": rng.standard_normal(rows), "std_err": rng.uniform(0.9, 1.1, rows), "reason": [""] * rows,
    })
    writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
    writer.write_table(table)
writer.close()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table, intervals = performance([path], truths(), study, level=0.95)
assert (table["replicates"] == replicates).all() and len(intervals) == 3 * 1000
print(pq.ParquetFile(path).metadata.num_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_cohorts():
    """Five million rows take no more than half a million, but for a bit a cohort and cell."""
    import tempfile

    peak = {}
    with tempfile.TemporaryDirectory() as folder:
        for replicates in (170_000, 1_700_000):
            done = subprocess.run(
                [sys.executable, "-c", PEAK, str(replicates), folder],
                capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
            )  # fmt: skip
            rows, megabytes = done.stdout.split()
            peak[int(rows)] = float(megabytes)
    few, many = sorted(peak)
    assert (few, many) == (510_000, 5_100_000)
    # ten times the rows; as a table in memory they would be 500 MB more
    assert peak[many] - peak[few] < 40, peak
