"""The quantities of ``r/time_to_event.R``, computed by this package under the same names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from ours import colon, colon_first_event, hcc_resection, simulated

from sorafenib_rfa.stats.competing_risks import fine_gray
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.interval_censoring import weibull_interval
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.meta_analysis import meta_analysis
from sorafenib_rfa.stats.time_varying import constancy_test, piecewise_effect, spline_effect

Values = dict[str, Any]


def _two_arms(etype: int) -> pd.DataFrame:
    c = colon()
    return c[(c["etype"] == etype) & (c["rx"] != "Lev")]


def _effects_over_time() -> Values:
    h, s = hcc_resection(), simulated()
    deaths, relapses = _two_arms(2), _two_arms(1)
    hcc_cuts: dict[str, Any] = {"cuts": (6, 12, 24), "knots": (3, 9, 20, 60), "at": (3, 6, 12, 24, 36)}
    hcc_data = {"treated": h["high"], "time": h["RFS"], "event": h["Recurrence"], "strata": h["Gender"]}
    sets: dict[str, tuple[dict, dict]] = {
        "hcc_rfs": (hcc_cuts, hcc_data),
        "hcc_rfs_weighted": (hcc_cuts, hcc_data | {"weights": h["Age"] / 60}),
        "colon_os": (
            {"cuts": (365, 730), "knots": (200, 500, 900, 2000), "at": (250, 500, 1000, 2000)},
            {
                "treated": deaths["lev5fu"],
                "time": deaths["time"],
                "event": deaths["status"],
                "weights": deaths["age"] / 60,
            },
        ),
        "colon_ttr_node4": (
            {"cuts": (365, 730), "knots": (150, 350, 600, 1500), "at": (250, 500, 1000, 2000)},
            {
                "treated": relapses["lev5fu"],
                "time": relapses["time"],
                "event": relapses["status"],
                "weights": relapses["age"] / 60,
                "strata": relapses["node4"],
            },
        ),
        "sim_late": (
            {"cuts": (5, 10), "knots": (2, 6, 12, 25), "at": (2, 5, 10, 20)},
            {
                "treated": s["x2"],
                "time": s["time"],
                "event": s["event"],
                "start": s["start"],
                "weights": s["weight"],
                "strata": s["stratum"],
            },
        ),
    }
    out: Values = {}
    for name, (settings, data) in sets.items():
        pieces = piecewise_effect(**data, cuts=settings["cuts"])
        ratios = [piece.ratio for piece in pieces.pieces]
        out[f"piecewise.{name}.coef"] = [ratio.log_estimate for ratio in ratios]
        out[f"piecewise.{name}.se"] = [ratio.log_se for ratio in ratios]
        out[f"piecewise.{name}.constancy"] = pieces.constancy.chi2
        spline = spline_effect(**data, knots=settings["knots"])
        out[f"spline.{name}.log_hr"] = np.log(spline.at(settings["at"])[0])
        out[f"spline.{name}.se"] = spline.std_err(settings["at"])
        out[f"spline.{name}.constancy"] = spline.constancy.chi2
        out[f"constancy.{name}"] = constancy_test(**data).chi2
    return out


def _competing() -> Values:
    h, s, c = hcc_resection(), simulated(), colon_first_event()
    c = c[c["rx"] != "Lev"]
    sets = {
        "hcc": (h["high"], h["RFS"], h["cause"], h["Age"] / 60),
        "colon": (c["lev5fu"], c["first"], c["cause"], c["age"] / 60),
        "sim": (s["x2"], s["time"], s["cause"], s["weight"]),
    }
    out: Values = {}
    for name, (treated, time, cause, weights) in sets.items():
        for which in (1, 2):
            fit = cox_fit(treated, time, cause == which, weights=weights, robust=True)
            out[f"cause_specific.{name}.cause{which}"] = [fit.coef[0], fit.se[0]]
            grey = fine_gray(treated, time, cause, cause_of_interest=which, weights=weights, convention="survival")
            out[f"finegray_weighted.{name}.cause{which}"] = [grey.coef[0], grey.se[0]]
    return out


def intervals(time: pd.Series, event: pd.Series, width: float, exact: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """An event found at `time` happened in the `width` before it; those of `exact` have their time."""
    event = event.astype(bool)
    lower = np.where(event & ~exact, np.maximum(time - width, 0.0), time)
    return lower, np.where(event, time, np.inf)


def _weibull() -> Values:
    h, s, c = hcc_resection(), simulated(), colon_first_event()
    c = c[c["rx"] != "Lev"]
    found = intervals(h["RFS"], h["Recurrence"], 3, h["cause"] == 2)
    in_sim = intervals(s["time"], s["event"], 2, s["cause"] == 2)
    on_time = (s["time"].astype(float), np.where(s["event"] == 1, s["time"], np.inf))
    fits = {
        "hcc": weibull_interval(h[["high", "Age"]], *found),
        "hcc_weighted": weibull_interval(h[["high"]], *found, weights=h["Age"] / 60),
        "colon_weighted": weibull_interval(
            c[["lev5fu"]],
            *intervals(c["first"] / 365.25, c["cause"] > 0, 0.25, c["cause"] == 2),
            weights=c["age"] / 60,
        ),
        "sim_weighted": weibull_interval(s[["x2", "x1"]], *in_sim, weights=s["weight"]),
        "sim_exact": weibull_interval(s[["x2"]], *on_time, weights=s["weight"]),
    }
    out: Values = {}
    for name, fit in fits.items():
        ratio = fit.hazard_ratio(fit.names[1])
        out |= {
            f"weibull.{name}.coef": fit.coef,
            f"weibull.{name}.se_model": np.sqrt(np.diagonal(fit.cov_model)),
            f"weibull.{name}.se_robust": np.sqrt(np.diagonal(fit.cov_robust)),
            f"weibull.{name}.loglik": fit.loglik,
            f"weibull.{name}.log_hr": [ratio.log_estimate, ratio.log_se],
        }
    return out


def _bcg() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios of tuberculosis after BCG vaccination and their variances (Colditz and others 1994)."""
    vaccinated = np.array(
        [(4, 119), (6, 300), (3, 228), (62, 13536), (33, 5036), (180, 1361), (8, 2537), (505, 87886), (29, 7470),
         (17, 1699), (186, 50448), (5, 2493), (27, 16886)]
    )  # fmt: skip
    control = np.array(
        [(11, 128), (29, 274), (11, 209), (248, 12619), (47, 5761), (372, 1079), (10, 619), (499, 87892), (45, 7232),
         (65, 1600), (141, 27197), (3, 2338), (29, 17825)]
    )  # fmt: skip
    a, n1 = vaccinated[:, 0], vaccinated.sum(axis=1)
    c, n2 = control[:, 0], control.sum(axis=1)
    return np.log((a / n1) / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2


def _hackshaw() -> tuple[np.ndarray, np.ndarray]:
    """Log odds ratios of lung cancer by passive smoking and their variances, as metafor carries them."""
    from crosscheck import HERE, read_values

    committed = read_values(HERE / "values" / "time_to_event.json")
    return committed["meta.hackshaw.effects"].value, committed["meta.hackshaw.variances"].value


def _meta(name: str, effects: Any, variances: Any) -> Values:
    errors = np.sqrt(np.asarray(variances, dtype=float))
    r = meta_analysis(effects, errors)
    safe = meta_analysis(effects, errors, at_least_wald=True)
    values: Values = {
        key: [pooled.estimate, pooled.std_err, pooled.ci_low, pooled.ci_high, pooled.p]
        for key, pooled in (("random", r.random), ("random_wald", r.random_wald), ("common", r.common))
    }
    values |= {
        "random_adhoc": [
            safe.random.std_err,
            safe.random.ci_low,
            safe.random.ci_high,
            safe.random.p,
            safe.prediction_low,
            safe.prediction_high,
        ],
        "prediction": [r.prediction_low, r.prediction_high],
        "tau2": [r.tau2, r.tau2_low, r.tau2_high],
        "i2": [r.i2, r.i2_low, r.i2_high],
        "q": [r.q, r.q_p, r.hartung_knapp_factor],
        "weights": r.weights_random,
    }
    return {f"meta.{name}.{key}": value for key, value in values.items()}


def _centres() -> Values:
    s = simulated()
    fit = cox_fit(s[["x2"]], s["time"], s["event"], weights=s["weight"], strata=s["cluster"], robust=True)
    out: Values = {"centres.sim_stratified": [fit.coef[0], fit.se[0]]}
    fit = cox_fit(s[["x2"]], s["time"], s["event"], weights=s["weight"], cluster=s["cluster"])
    out["centres.sim_clustered"] = [fit.coef[0], fit.se[0]]
    for name, (effects, variances) in {"bcg": _bcg(), "hackshaw": _hackshaw()}.items():
        out |= {f"meta.{name}.effects": effects, f"meta.{name}.variances": variances}
        out |= _meta(name, effects, variances)
    out |= _meta("three", [0.1, 0.9, -0.7], [0.1, 0.02, 0.05])
    out |= _meta("homogeneous", [0.1, 0.3, -0.2, 0.15], [0.1, 0.2, 0.15, 0.3])
    out |= _meta("two", [0.1, 0.9], [0.1, 0.02])
    stage = []
    for _, own in s.groupby("cluster"):
        events = own.groupby("x2")["event"].sum().reindex([0, 1], fill_value=0)
        if len(own) >= 10 and (events > 0).all():
            fit = cox_fit(own[["x2"]], own["time"], own["event"], weights=own["weight"], robust=True)
            stage.append((fit.coef[0], fit.se[0] ** 2))
    return out | _meta("sim_centres", *zip(*stage, strict=True))


def _ratios() -> Values:
    h, deaths = hcc_resection(), _two_arms(2)
    out: Values = {}
    for name, (time, event, treated, horizons) in {
        "hcc_rfs": (h["RFS"], h["Recurrence"], h["high"], (12, 24, 36, 60)),
        "colon_os": (deaths["time"], deaths["status"], deaths["lev5fu"], (365, 1095, 1825)),
    }.items():
        for tau in horizons:
            r = rmst_contrast(time, event, treated, tau, reference=0)
            out[f"rmst_ratio.{name}.{tau}"] = [r.ratio, r.log_ratio_std_err, r.difference, r.difference_std_err]
    return out


def values() -> Values:
    """All quantities of the family."""
    return _effects_over_time() | _competing() | _weibull() | _centres() | _ratios()
