"""The quantities of ``r/sensitivity.R``, computed by this package under the same names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.evalue import e_value
from sorafenib_rfa.stats.matching import match_on_score, paired_rmst
from sorafenib_rfa.stats.multiple_imputation import Pooled, nelson_aalen, pool
from sorafenib_rfa.stats.propensity import logistic_fit
from sorafenib_rfa.stats.tipping import CensoringModel, confounding_bias
from sorafenib_rfa.stats.weighted_risk import weighted_risks

Values = dict[str, Any]


def _score(frame: pd.DataFrame, names: list[str], treated: str) -> np.ndarray:
    fit = logistic_fit(frame[names], frame[treated])
    return fit.coef[0] + frame[names].to_numpy(dtype=float) @ fit.coef[1:]


def _matched(prefix: str, treated: Any, score: Any, time: Any, event: Any, tau: float, caliper: float) -> Values:
    treated, time, event = (np.asarray(values) for values in (treated, time, event))
    matching = match_on_score(score, treated, caliper)
    members = matching.members
    fit = cox_fit(treated[members].astype(float), time[members], event[members], cluster=matching.pair_of_member)
    mean = paired_rmst(time, event, matching, tau)
    return {
        f"{prefix}.pairs": matching.pairs,
        f"{prefix}.caliper": matching.caliper,
        f"{prefix}.unmatched": [matching.unmatched_treated, matching.unmatched_control],
        f"{prefix}.cox": [fit.coef[0], fit.se[0]],
        f"{prefix}.rmst": [mean.treated, mean.control, mean.std_err],
    }


def _matching(h: pd.DataFrame, c: pd.DataFrame, s: pd.DataFrame) -> Values:
    out: Values = {}
    score = _score(h, ["Age", "Gender", "Cirrhosis", "AFP", "Tumorsize"], "high")
    out |= _matched("matching.hcc", h["high"], score, h["OS"], h["Death"], 60, 0.2)
    out |= _matched("matching.hcc_narrow", h["high"], score, h["OS"], h["Death"], 60, 0.02)
    out |= _matched("matching.hcc_tied", h["high"], np.round(score, 1), h["RFS"], h["Recurrence"], 36, 0.2)
    two = c[(c["etype"] == 2) & (c["rx"] != "Lev")].reset_index(drop=True)
    names = ["age", "sex", "obstruct", "perfor", "adhere", "node4", "extent"]
    score = _score(two, names, "lev5fu")
    out |= _matched("matching.colon", two["lev5fu"], score, two["time"], two["status"], 365.25 * 5, 0.2)
    out |= _matched("matching.colon_tied", two["lev5fu"], two["age"] / 10, two["time"], two["status"], 365.25 * 5, 0.1)
    score = _score(s, ["x1", "x3"], "x2")
    out |= _matched("matching.sim", s["x2"], score, s["time"], s["event"], 20, 0.2)
    out |= _matched("matching.sim_tied", s["x2"], np.round(s["x1"], 1), s["time"], s["event"], 20, 0.05)
    return out


def _pooled(p: Pooled) -> list[float]:
    return [p.estimate, p.std_err, p.ci_low, p.ci_high, p.p, p.df, p.within, p.between, p.fmi]


def _imputation(h: pd.DataFrame, s: pd.DataFrame) -> Values:
    q, u = [-0.31, -0.22, -0.40, -0.28, -0.35], [0.021, 0.019, 0.024, 0.020, 0.022]
    number = np.arange(1, len(s) + 1) % 5
    fits = [cox_fit(own["x1"], own["time"], own["event"]) for own in (s[number == k] for k in range(5))]
    return {
        "rubin.finite": _pooled(pool(q, u, 96)),
        "rubin.infinite": _pooled(pool(q, u)),
        "rubin.sim": _pooled(pool([f.coef[0] for f in fits], [f.se[0] ** 2 for f in fits], float(s["event"].sum()))),
        "nelson_aalen.hcc": nelson_aalen(h["RFS"], h["Recurrence"]),
        "nelson_aalen.sim": nelson_aalen(s["time"], s["event"]),
    }


def _unseen(h: pd.DataFrame, s: pd.DataFrame) -> Values:
    out: Values = {}
    for hr, lo, hi in ((0.56, 0.46, 0.69), (1.7, 1.1, 2.6), (0.9, 0.7, 1.16)):
        for name, rare in (("common", False), ("rare", True)):
            found = e_value(hr, lo, hi, rare=rare)
            out[f"evalue.{name}_{hr}"] = [found.estimate, found.limit]
    grid = [(p0, p1, gamma) for gamma in (0.5, 1.25, 3.0) for p1 in (0.1, 0.5, 1.0) for p0 in (0.0, 0.2, 0.9)]
    control, treated, gamma = np.array(grid).T
    out["confounding.bias"] = confounding_bias(treated, control, gamma)
    hcc = CensoringModel(h["OS"], h["Death"], h["high"], np.ones(len(h)), 48)
    sim = CensoringModel(s["time"], s["event"], s["x2"], s["weight"], 15)
    for name, model, deltas in (
        *((f"hcc_treated_{delta:g}", hcc, (delta, 1.0)) for delta in (0.5, 1.0, 3.0)),
        *((f"sim_control_{delta:g}", sim, (1.0, delta)) for delta in (0.5, 1.0, 3.0)),
        ("sim_both", sim, (2.0, 0.5)),
    ):
        found = model.completed(*deltas)
        out[f"delta.{name}"] = [found.rmst_treated[0], found.rmst_control[0], found.log_hazard_ratio[0]]
    risks = weighted_risks(s["event"], s["x2"], s["weight"])
    assert risks.ratio is not None
    out["risks.sim_difference"] = [risks.difference.estimate, risks.difference.std_err]
    out["risks.sim_log_ratio"] = [np.log(risks.ratio.estimate), risks.ratio.std_err]
    risks = weighted_risks(h["Vascularinvasion"], h["high"])
    out["risks.hcc_difference"] = [risks.difference.estimate, risks.difference.std_err]
    return out


def values() -> Values:
    """Return everything."""
    from ours import colon, hcc_resection, simulated

    h, c, s = hcc_resection(), colon(), simulated()
    return _matching(h, c, s) | _imputation(h, s) | _unseen(h, s)
