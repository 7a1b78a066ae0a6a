"""Made-up results of the validation study in the form of the stored one: a normal estimator in each cell."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd
from exhibit_cohorts import ROOT

from sorafenib_rfa.config.load import read_yaml, validate
from sorafenib_rfa.config.models import StudyPlan, ValidationConfig
from sorafenib_rfa.validation.cells import cells_ard, every_series
from sorafenib_rfa.validation.stored import Stored, study_ard

COHORTS = 200
_SHIPPED = validate(ValidationConfig, read_yaml(ROOT / "config/validation.yaml", "v"), "v").plans["default"]
DECLARED: StudyPlan = _SHIPPED.model_copy(update={"replicates": COHORTS})
WHERE = MappingProxyType({"cohort_name": "synthetic", "record": "records/v.json"})
SEAL = MappingProxyType({"computation": {"cpu_seconds": 1800.0}})
WHY = "the stored result is of another plan"
PATIENTS = MappingProxyType({300: 243.4, 740: 606.6, 1500: 1230.6})
TRUTH = 0.5
BIAS = MappingProxyType({"naive": 0.8, "landmark_unadjusted": -0.4})
"""Estimator -> bias in standard errors at the middle size; no other is biased."""


@cache
def intervals() -> pd.DataFrame:
    """Return the intervals of all cohorts."""
    rng = np.random.default_rng(7)
    frames = []
    for scenario in DECLARED.scenarios:
        for screened in DECLARED.sizes:
            for series, measure in every_series():
                scale = 1.0 if measure == "rmst_difference" else 0.1
                spread = 0.9 * scale * np.sqrt(740 / screened)
                centre = TRUTH * scale + BIAS.get(series.estimator, 0.0) * 0.9 * scale
                estimate = rng.normal(centre, spread, COHORTS)
                error = spread * rng.normal(1.02, 0.04, COHORTS)
                frames.append(
                    pd.DataFrame(
                        {
                            "scenario": scenario,
                            "screened": screened,
                            "endpoint": series.endpoint.upper(),
                            "estimator": series.estimator,
                            "measure": measure,
                            "replicate": np.arange(COHORTS),
                            "estimate": estimate,
                            "std_err": error,
                            "covers": np.abs(estimate - TRUTH * scale) <= 1.959964 * error,
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)


def _share(values: np.ndarray) -> tuple[float, float]:
    share = float(np.mean(values))
    return share, float(np.sqrt(share * (1 - share) / len(values)))


@cache
def performance() -> pd.DataFrame:
    """Return what :func:`intervals` amount to."""
    rows = []
    for key, own in intervals().groupby(["scenario", "screened", "endpoint", "estimator", "measure"]):
        estimate, error = own["estimate"].to_numpy(), own["std_err"].to_numpy()
        truth = TRUTH * (1.0 if key[4] == "rmst_difference" else 0.1)
        n, spread, model = len(own), float(np.std(estimate, ddof=1)), float(np.sqrt(np.mean(error**2)))
        bias = float(np.mean(estimate)) - truth
        found = {
            "bias": (bias, spread / np.sqrt(n)),
            "relative_bias_percent": (100 * bias / truth, 100 * spread / np.sqrt(n) / truth),
            "empirical_se": (spread, spread / np.sqrt(2 * (n - 1))),
            "mse": (float(np.mean((estimate - truth) ** 2)), 0.01),
            "model_se": (model, 0.001),
            "se_error_percent": (100 * (model / spread - 1), 100 * model / spread / np.sqrt(2 * (n - 1))),
            "coverage": _share(own["covers"].to_numpy()),
            "bias_eliminated_coverage": _share(np.abs(estimate - estimate.mean()) <= 1.959964 * error),
            "rejection": _share(np.abs(estimate) > 1.959964 * error),
            "failed_percent": (0.0, 0.0),
        }
        rows.append(
            dict(zip(("scenario", "screened", "endpoint", "estimator", "measure"), key, strict=True))
            | {
                "truth": truth,
                "truth_mc_se": 0.001,
                "replicates": n,
                "failed": 0,
                "reasons": "",
                "no_effect": key[0] == "null",
            }
            | {"mean_n": PATIENTS[key[1]], "mean_estimate": float(np.mean(estimate))}
            | {name: value for name, (value, _) in found.items()}
            | {f"{name}_mc_se": error for name, (_, error) in found.items()}
        )
    return pd.DataFrame(rows)


def with_cell(column: str, value: float, **which: object) -> pd.DataFrame:
    """Return the performance with one column changed where `which` holds."""
    table = performance().copy()
    at = np.logical_and.reduce([table[name] == wanted for name, wanted in which.items()])
    table[column] = table[column].astype(float).where(~at, value)
    return table


def study_rows(table: pd.DataFrame | None = None, *, not_run: bool = False) -> pd.DataFrame:
    """Return all ARD rows of the study: those of cells, and those over all cells."""
    return _rows(not_run) if table is None else _all_rows(Stored(table, intervals(), SEAL))


@cache
def _rows(not_run: bool) -> pd.DataFrame:
    return _all_rows(Stored(None, None, {}, WHY) if not_run else Stored(performance(), intervals(), SEAL))


def _all_rows(stored: Stored) -> pd.DataFrame:
    own = study_ard(stored, DECLARED, **WHERE)
    return pd.concat([own, cells_ard(own, 0.95, **WHERE)], ignore_index=True)
