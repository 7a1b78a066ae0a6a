"""Performance measures of the validation study against R (``r/simulation_performance.R``, values committed).

To recompute: ``Rscript --vanilla tests/reference/r/simulation_performance.R . tests/reference/values``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from crosscheck import read_values  # noqa: E402
from ours import relative_difference  # noqa: E402

from sorafenib_rfa.config.models import StudyPlan  # noqa: E402
from sorafenib_rfa.files import write_parquet  # noqa: E402
from sorafenib_rfa.validation.performance import WITH_ERROR, performance  # noqa: E402

pytestmark = pytest.mark.reference
TOLERANCE = 1e-10
R = read_values(HERE / "values" / "simulation_performance.json")
DATA = pd.read_csv(HERE / "data" / "simulated_estimates.csv")
COHORTS = 120


def ours(folder: Path) -> pd.DataFrame:
    """Return the performance table of the estimates that R was given, cells that the study lacks there left out."""
    study = StudyPlan(
        seed=1, scenarios=["made"], estimators=["ccw_overlap", "landmark_adjusted"], sizes={100: 50},
        replicates=COHORTS, resamples=50, truth_screened=1000,
    )  # fmt: skip
    rows = DATA.assign(
        scenario="made", screened=np.int32(100), n=80, reason=np.where(DATA["estimate"].isna(), "SeparationError", "")
    )
    os = rows[rows["estimator"] == "ccw_overlap"].assign(endpoint="OS")  # which the plan asks for too
    rows = pd.concat([rows, os], ignore_index=True)
    truth = rows.drop_duplicates(["endpoint", "estimator", "measure"]).assign(mc_se=0.0, no_effect=False)
    # in three files, the cohorts dealt out to them
    paths = [folder / f"{part}.parquet" for part in range(3)]
    for part, path in enumerate(paths):
        write_parquet(rows[rows["replicate"] % 3 == part].drop(columns="truth"), path)
    return performance(paths, {"made": truth}, study, level=0.95)[0]


def test_performance_measures_equal_those_of_r(tmp_path):
    table = ours(tmp_path).query("endpoint == 'RFS'").set_index(["endpoint", "estimator", "measure"])
    found = {}
    for key, row in table.iterrows():
        for name in WITH_ERROR:
            if not np.isnan(row[name]):
                found[".".join([*key, name])] = np.array([row[name], row[f"{name}_mc_se"]])
    assert set(found) == set(R)
    assert len(R) >= 28
    for name, expected in R.items():
        assert relative_difference(found[name], expected.value) < TOLERANCE, name


def test_failed_cohorts_are_counted_with_their_reason(tmp_path):
    table = ours(tmp_path).set_index("estimator")
    assert table.loc["landmark_adjusted", "failed"] == 3
    assert table.loc["landmark_adjusted", "replicates"] == COHORTS - 3
    assert table.loc["landmark_adjusted", "reasons"] == "SeparationError: 3"
    assert (table.loc["ccw_overlap", "failed"] == 0).all()
