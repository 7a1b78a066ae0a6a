"""The quantities of ``r/meta_analysis.R``, computed by this package under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ours_time_to_event import _bcg, _hackshaw
from scipy.special import ndtri

from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.stats.meta_analysis import MetaAnalysis, cumulative, egger_test, leave_one_out, meta_analysis
from sorafenib_rfa.stats.survival_percentages import interval_hazards

Values = dict[str, Any]

PUBLISHED = {
    "adjuvant_ttr": ["storm_ttr", "soramic_ablation_ttr"],
    "tace_ttp": ["post_tace_ttp", "space_ttp"],
    "tace_os": ["post_tace_os", "space_os", "tace_2_os", "tactics_os"],
}
PRINTED = (("recurrent_milan", "OS"), ("recurrent_milan", "TFS"), ("wang_2024", "RFS"))
PATIENTS = 20_000


def evidence(table: str) -> pd.DataFrame:
    """A table of the published evidence, as it is stored."""
    from ours import REPOSITORY

    return pd.read_csv(REPOSITORY / "data" / "evidence" / f"{table}.csv")


def _parts(prefix: str, found: Sequence[MetaAnalysis], *, wald: bool) -> Values:
    pooled = [r.random_wald if wald else r.random for r in found]
    return {
        f"{prefix}.estimate": [p.estimate for p in pooled],
        f"{prefix}.se": [p.std_err for p in pooled],
        f"{prefix}.ci.lb": [p.ci_low for p in pooled],
        f"{prefix}.ci.ub": [p.ci_high for p in pooled],
        f"{prefix}.pval": [p.p for p in pooled],
        f"{prefix}.tau2": [r.tau2 for r in found],
        f"{prefix}.i2": [r.i2 for r in found],
        f"{prefix}.q": [r.q for r in found],
        f"{prefix}.qp": [r.q_p for r in found],
    }


def _synthesis(name: str, effects: Any, std_errs: Any) -> Values:
    prefix, k = f"synthesis.{name}", len(effects)
    out: Values = {}
    for test, wald in (("knha", False), ("adhoc", False), ("z", True)):
        safe = test == "adhoc"
        out |= _parts(f"{prefix}.{test}.cumulative", cumulative(effects, std_errs, at_least_wald=safe), wald=wald)
        if k > 2:
            left = leave_one_out(effects, std_errs, at_least_wald=safe)
            out |= _parts(f"{prefix}.{test}.leave_one_out", left, wald=wald)
    if k > 2:
        out[f"{prefix}.prediction_higgins"] = meta_analysis(effects, std_errs).prediction_higgins()
        e = egger_test(effects, std_errs, minimum=3)
        out[f"{prefix}.egger"] = [e.estimate, e.std_err, e.ci_low, e.ci_high, e.statistic, e.df, e.p]
        out[f"{prefix}.egger_limit"] = [e.limit_estimate, e.limit_low, e.limit_high]
    return out


def quantile_patients(months: np.ndarray, percents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and events of patients at the quantiles of a piecewise-exponential curve, censored at its last time."""
    hazard = np.concatenate([[0.0], -np.log(percents / 100)])
    at = -np.log((np.arange(1, PATIENTS + 1) - 0.5) / PATIENTS)
    event = at < hazard[-1]
    return np.where(event, np.interp(at, hazard, [0.0, *months]), months[-1]), event


def _printed() -> Values:
    table = evidence("survival_percentages").sort_values("month")
    out: Values = {}
    for study, endpoint in PRINTED:
        times, events = [], []
        for arm in ("treated", "control"):
            own = table[(table["study_id"] == study) & (table["endpoint"] == endpoint) & (table["arm"] == arm)]
            months, percents = own["month"].to_numpy(dtype=float), own["percent"].to_numpy(dtype=float)
            prefix = f"printed.{study}.{endpoint}.{arm}"
            horizons = (months[-1] / 2, months[-1])
            fitted = interval_hazards(months, percents, 150, follow_up_median=50)
            # rounding of the print is ours alone; beyond the sixteenth decimal it is none
            exact = interval_hazards(months, percents, 150, follow_up_median=50, decimals=16)
            out[f"{prefix}.rmst"] = [fitted.restricted_mean(tau)[0] for tau in horizons]
            out[f"{prefix}.variance"] = np.diff(np.diag(exact.covariance), prepend=0.0)
            out[f"{prefix}.expected_events"] = fitted.expected_events
            time, event = quantile_patients(months, percents)
            curve = kaplan_meier(time, event)
            means = [curve.rmst(tau) for tau in horizons]
            out[f"{prefix}.rmst_patients"] = [(mean.estimate, mean.std_err) for mean in means]
            times.append(time)
            events.append(event)
        treated = np.repeat([1.0, 0.0], PATIENTS)
        fit = cox_fit(treated[:, None], np.concatenate(times), np.concatenate(events), tol=1e-12)
        out[f"printed.{study}.{endpoint}.cox_patients"] = fit.coef
    return out


def values() -> Values:
    """Return everything."""
    out: Values = {}
    for name, (effects, variances) in {"bcg": _bcg(), "hackshaw": _hackshaw()}.items():
        out |= _synthesis(name, effects, np.sqrt(variances))
    cycling = meta_analysis([0, 0, 0.1, 0, 0, 0, 0], [0.05, 0.09, 0.05, 0.1, 0.11, 0.11, 0.15])
    out["synthesis.cycling"] = [cycling.tau2, cycling.random_wald.estimate, cycling.random_wald.std_err]
    table = evidence("effects").set_index("effect_id")
    for name, ids in PUBLISHED.items():
        e = table.loc[ids]
        quantile = ndtri(0.5 + e["ci_level"] / 200)
        std_errs = (np.log(e["ci_high"]) - np.log(e["ci_low"])) / (2 * quantile)
        out |= _synthesis(name, np.log(e["estimate"]).to_numpy(), std_errs.to_numpy())
    return out | _printed()
