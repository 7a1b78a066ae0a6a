"""Make the simulated data that both R and this package are given (committed; run again only to change them).

    python tests/reference/make_data.py

Times are rounded so that events, censorings and entries tie; some people enter late; weights are fractional; causes
compete; covariates matter; clusters share a frailty. Nothing here resembles a disease: it exists to be awkward.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def simulate(n: int = 240, seed: int = 20240229) -> pd.DataFrame:
    """Return one row a person."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(1, 16, n)
    stratum = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    x1 = rng.normal(60, 9, n).round(1)
    x2 = (rng.random(n) < 0.4).astype(int)
    x3 = (rng.gamma(2.0, 10.0, n) + 0.2 * x1).round(2)
    group = rng.choice(["low", "mid", "high"], n, p=[0.4, 0.35, 0.25])
    eta = 0.03 * (x1 - 60) + 0.6 * x2 + 0.4 * (group == "high") + rng.normal(0, 0.3, 16)[cluster]
    baseline = np.select([stratum == "a", stratum == "b"], [20.0, 30.0], 12.0)
    failure = rng.weibull(1.3, n) * baseline * np.exp(-eta)
    censoring = rng.uniform(2, 40, n)
    time = np.maximum(np.ceil(np.minimum(failure, censoring)), 1)  # whole units: heavy ties
    failed = failure <= censoring
    cause = np.where(failed, rng.choice([1, 2, 3], n, p=[0.6, 0.3, 0.1]), 0)
    late = rng.random(n) < 0.35
    start = np.where(late, np.floor(rng.random(n) * (time - 1)), 0)
    return pd.DataFrame(
        {
            "start": start.astype(int),
            "time": time.astype(int),
            "event": failed.astype(int),
            "cause": cause,
            "weight": rng.lognormal(0, 0.5, n).round(4),
            "frequency": rng.integers(1, 4, n),
            "stratum": stratum,
            "cluster": cluster,
            "offset": rng.normal(0, 0.3, n).round(3),
            "x1": x1,
            "x2": x2,
            "x3": x3,
            "group": group,
        }
    )


def repeated(n: int = 70, seed: int = 20240301) -> pd.DataFrame:
    """Return repeated measurements: one to eight a person at times of their own, with random intercept and slope."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(1, n + 1):
        arm, base = int(rng.random() < 0.4), round(float(rng.normal(-2.5, 0.4)), 3)
        intercept, slope = rng.multivariate_normal([0, 0], [[0.02, -0.004], [-0.004, 0.01]])
        for months in np.sort(rng.uniform(2, 27, rng.integers(1, 9))).round(2):
            mean = 0.03 + 0.05 * arm + 0.05 * np.log(months) + 0.02 * arm * months / 12 - 0.1 * (base + 2.5)
            change = mean + intercept + slope * months / 12 + rng.normal(0, 0.15)
            rows.append((person, arm, base, months, round(float(change), 4)))
    return pd.DataFrame(rows, columns=["person", "arm", "base", "months", "change"])


if __name__ == "__main__":
    simulate().to_csv(HERE / "data" / "simulated.csv", index=False, lineterminator="\n")
    repeated().to_csv(HERE / "data" / "repeated.csv", index=False, lineterminator="\n")
