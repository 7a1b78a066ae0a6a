"""The quantities of ``tests/reference/r/*.R``, computed by this package under the same names.

Used by the tests (our value against the committed one) and by ``crosscheck.py`` (the table of agreement).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.stats import balance, competing_risks, kaplan_meier, propensity, proportions
from sorafenib_rfa.stats.cox import CoxDesign, CoxFit, cox_fit
from sorafenib_rfa.stats.proportional_hazards import cox_zph

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
Values = dict[str, Any]


@lru_cache
def hcc_resection() -> pd.DataFrame:
    """The 227 resected patients, with the derived columns of ``common.R``."""
    d = pd.read_csv(REPOSITORY / "data" / "public" / "hcc_resection" / "hcc_resection.csv")
    d["high"] = (d["CXCL17P"] > d["CXCL17P"].median()).astype(int)
    d["high_tumour"] = (d["CXCL17T"] >= d["CXCL17T"].median()).astype(int)
    first = (d["RFS"] < d["OS"]) | (d["Death"] == 0)
    d["cause"] = np.where(d["Recurrence"] == 0, 0, np.where(first, 1, 2))
    return d


@lru_cache
def simulated() -> pd.DataFrame:
    """The awkward simulated data (``make_data.py``)."""
    d = pd.read_csv(HERE / "data" / "simulated.csv")
    d["low"] = (d["group"] == "low").astype(int)
    d["mid"] = (d["group"] == "mid").astype(int)
    return d


@lru_cache
def colon() -> pd.DataFrame:
    """The adjuvant colon cancer trial, two rows a patient, from the development dependency ``survival``."""
    from survival.datasets import load_colon

    d = pd.DataFrame(load_colon())
    d["lev"] = (d["rx"] == "Lev").astype(int)
    d["lev5fu"] = (d["rx"] == "Lev+5FU").astype(int)
    return d


@lru_cache
def colon_first_event() -> pd.DataFrame:
    """Colon: time to and cause of the first of recurrence (1) and death without recurrence (2)."""
    d = colon()
    recurrence = d[d["etype"] == 1].set_index("id").sort_index()
    death = d[d["etype"] == 2].set_index("id").sort_index()
    recurrence["first"] = np.where(recurrence["status"] == 1, recurrence["time"], death["time"])
    recurrence["cause"] = np.where(recurrence["status"] == 1, 1, np.where(death["status"] == 1, 2, 0))
    return recurrence.reset_index()


HCC_COVARIATES = ["high", "Age", "Gender", "HBsAg", "Cirrhosis", "AFP", "Tumorsize", "Vascularinvasion"]
SIMULATED_COVARIATES = ["x1", "x2", "x3"]


def _fit(prefix: str, fit: CoxFit) -> Values:
    """What ``record_fit`` records."""
    values: Values = {
        "coef": fit.coef,
        "se_model": fit.se_model,
        "cov_model": fit.cov_model,
        "loglik": [fit.loglik_null, fit.loglik],
        "score_test": fit.score_test.chi2,
        "wald_test": fit.wald_test.chi2,
        "lrt": [fit.lrt.chi2, fit.lrt.df, fit.lrt.p],
        "n": [fit.n, fit.n_events],
    }
    ratios = [fit.hazard_ratio(name) for name in fit.names]
    values["ci"] = [r.ci_low for r in ratios] + [r.ci_high for r in ratios]
    values["p"] = [r.p for r in ratios]
    if fit.robust:
        values |= {"se_robust": fit.se_robust, "cov_robust": fit.cov_robust}
    return {f"{prefix}.{key}": value for key, value in values.items()}


def _zph(prefix: str, fit: CoxFit, terms: dict[str, list[str]] | None = None) -> Values:
    return {
        f"{prefix}.zph_{transform}": cox_zph(fit, transform, terms=terms).to_numpy(dtype=float)  # type: ignore[arg-type]
        for transform in ("km", "identity", "rank", "log")
    }


def _residuals(prefix: str, fit: CoxFit) -> Values:
    def by_time(kind: Any) -> pd.DataFrame:
        return pd.DataFrame(fit.residuals(kind)).groupby(fit.event_times).sum()

    return {
        f"{prefix}.martingale": fit.residuals("martingale"),
        f"{prefix}.score": fit.residuals("score"),
        f"{prefix}.dfbeta": fit.residuals("dfbeta"),
        f"{prefix}.schoenfeld": by_time("schoenfeld").to_numpy(),
        f"{prefix}.scaled_schoenfeld": by_time("scaled_schoenfeld").to_numpy(),
    }


def _cox() -> Values:
    out: Values = {}
    h = hcc_resection()
    x = h[HCC_COVARIATES]
    for ties in ("efron", "breslow"):
        fit = cox_fit(x, h["OS"], h["Death"], ties=ties, robust=True)  # type: ignore[arg-type]
        out |= _fit(f"cox.hcc_os_{ties}", fit) | _zph(f"cox.hcc_os_{ties}", fit)
    out |= _fit("cox.hcc_rfs_cluster", cox_fit(x, h["RFS"], h["Recurrence"], cluster=h["Age"] // 5))
    out |= _residuals("cox.hcc_rfs", cox_fit(x, h["RFS"], h["Recurrence"]))

    c = colon()
    arms = ["lev", "lev5fu"]
    full = [*arms, "age", "sex", "node4"]
    terms = {"rx": arms}
    deaths, recurrences = c[c["etype"] == 2], c[c["etype"] == 1]
    out |= _fit("cox.colon_os", cox_fit(deaths[arms], deaths["time"], deaths["status"]))
    out |= _fit("cox.colon_ttr", cox_fit(recurrences[arms], recurrences["time"], recurrences["status"]))
    fit = cox_fit(deaths[full], deaths["time"], deaths["status"], strata=deaths["extent"], robust=True)
    out |= _fit("cox.colon_strata", fit) | _zph("cox.colon_strata", fit, terms)
    out["cox.colon_strata.basehaz"] = fit.cumulative_hazard()["cumulative_hazard"]
    out |= _fit("cox.colon_wlw", cox_fit(c[full], c["time"], c["status"], strata=c["etype"], cluster=c["id"]))

    s = simulated()
    x = s[SIMULATED_COVARIATES]
    for ties in ("efron", "breslow"):
        fit = cox_fit(x, s["time"], s["event"], weights=s["weight"], ties=ties, robust=True)  # type: ignore[arg-type]
        name = f"cox.sim_weighted_{ties}"
        out |= _fit(name, fit) | _zph(name, fit) | _residuals(name, fit)
        fit = cox_fit(x, s["time"], s["event"], start=s["start"], ties=ties)  # type: ignore[arg-type]
        name = f"cox.sim_late_{ties}"
        out |= _fit(name, fit) | _zph(name, fit) | _residuals(name, fit)
        fit = cox_fit(
            s[[*SIMULATED_COVARIATES, "low", "mid"]],
            s["time"],
            s["event"],
            start=s["start"],
            weights=s["weight"],
            strata=s["stratum"],
            offset=s["offset"],
            cluster=s["cluster"],
            ties=ties,  # type: ignore[arg-type]
        )
        name = f"cox.sim_all_{ties}"
        out |= _fit(name, fit) | _zph(name, fit)
        out[f"{name}.basehaz"] = fit.cumulative_hazard()["cumulative_hazard"]
        design = CoxDesign.prepare(x, s["time"], s["event"], ties=ties)  # type: ignore[arg-type]
        out[f"cox.sim_repeated_{ties}.coef"] = design.coefficients(multiplicity=s["frequency"], tol=1e-9)
    dummies = pd.get_dummies(s["group"])[["mid", "high"]].astype(int)
    fit = cox_fit(s[["x1", "x2"]].join(dummies), s["time"], s["event"])
    return out | _zph("cox.sim_terms", fit, {"group": ["mid", "high"]})


def _curve(prefix: str, curve: kaplan_meier.KaplanMeierCurve, tau: float, at: Any) -> Values:
    """What ``record_curve`` records."""
    read, median, mean = curve.at(at), curve.median(), curve.rmst(tau)
    values: Values = {
        name: getattr(curve, name)
        for name in ("time", "n_risk", "n_event", "n_censor", "survival", "std_err", "ci_low", "ci_high")
    }
    for percent in (25, 50):
        quantile = curve.quantile(percent / 100)
        values[f"quantile_{percent}"] = [quantile.estimate, quantile.ci_low, quantile.ci_high]
    values["print_median"] = [median.estimate, median.ci_low, median.ci_high]
    values["at"] = np.concatenate([read.survival, read.std_err, read.ci_low, read.ci_high])
    values["at_risk"] = read.n_risk
    values["rmst"] = [mean.estimate, mean.std_err]
    return {f"{prefix}.{key}": value for key, value in values.items()}


def _survival_curves() -> Values:
    km = kaplan_meier.kaplan_meier
    out: Values = {}
    h = hcc_resection()
    for conf in ("log-log", "log", "plain"):
        curve = km(h["OS"], h["Death"], conf_type=conf)  # type: ignore[arg-type]
        out |= _curve(f"km.hcc_os_{conf}", curve, 60, [12, 24, 36, 60])
    out |= _curve("km.hcc_rfs", km(h["RFS"], h["Recurrence"]), 60, [0, 1, 12.5, 24, 60])
    out |= _curve("km.hcc_rfs_90", km(h["RFS"], h["Recurrence"], level=0.9), 24, [12, 24])
    out |= _curve("km.hcc_followup", kaplan_meier.reverse_kaplan_meier(h["OS"], h["Death"]), 60, [12, 60])
    c = colon()
    deaths = c[c["etype"] == 2]
    for arm in ("Obs", "Lev", "Lev+5FU"):
        d = deaths[deaths["rx"] == arm]
        out |= _curve(f"km.colon_os_{arm}", km(d["time"], d["status"]), 365.25 * 5, 365.25 * np.array([1, 3, 5]))
    out |= _curve("km.level", km([1, 2, 3, 4], [1, 1, 1, 1]), 4, [1, 2, 3, 4])

    s = simulated()
    at = [5, 10, 20]
    out |= _curve("km.sim_late", km(s["time"], s["event"], start=s["start"]), 20, at)
    out |= _curve("km.sim_frequency", km(s["time"], s["event"], weights=s["frequency"]), 20, at)
    out |= _curve("km.sim_weighted", km(s["time"], s["event"], weights=s["weight"]), 20, at)
    clustered = km(s["time"], s["event"], weights=s["weight"], cluster=s["cluster"])
    out |= _curve("km.sim_cluster", clustered, 20, at)
    late = _curve("km.sim_late_weighted", km(s["time"], s["event"], start=s["start"], weights=s["weight"]), 20, at)
    late.pop("km.sim_late_weighted.rmst")  # R has no robust variance of it; checked by its definition in the unit tests
    out |= late

    for name, frame, time, event, group, tau in (
        ("hcc_os", h, "OS", "Death", "high", 60.0),
        ("colon_os", deaths[deaths["rx"] != "Lev"], "time", "status", "lev5fu", 365.25 * 5),
    ):
        r = kaplan_meier.rmst_contrast(frame[time], frame[event], frame[group], tau)
        out[f"rmst.{name}.difference"] = [
            r.difference,
            r.difference_std_err,
            r.difference_ci_low,
            r.difference_ci_high,
            r.difference_p,
        ]
        out[f"rmst.{name}.ratio"] = [r.ratio, r.ratio_ci_low, r.ratio_ci_high]

    def log_rank(name: str, labels: list[Any], *args: Any, **kwargs: Any) -> None:
        test = kaplan_meier.log_rank(*args, **kwargs)
        order = [test.groups.index(label) for label in labels]
        out[f"logrank.{name}.chi2_p"] = [test.chi2, test.p]
        out[f"logrank.{name}.observed_expected"] = np.concatenate([test.observed[order], test.expected[order]])

    log_rank("hcc_os_peritumoural", [0, 1], h["OS"], h["Death"], h["high"])
    log_rank("hcc_os_intratumoural", [0, 1], h["OS"], h["Death"], h["high_tumour"])
    log_rank("hcc_rfs_rho1", [0, 1], h["RFS"], h["Recurrence"], h["high"], rho=1)
    log_rank("hcc_strata", [0, 1], h["OS"], h["Death"], h["high"], strata=h["BCLC"] * 10 + h["Gender"])
    arms = ["Obs", "Lev", "Lev+5FU"]
    log_rank("colon_os", arms, deaths["time"], deaths["status"], deaths["rx"])
    log_rank("colon_strata_rho", arms, deaths["time"], deaths["status"], deaths["rx"], strata=deaths["extent"], rho=0.5)
    log_rank("sim_group", ["high", "low", "mid"], s["time"], s["event"], s["group"], strata=s["stratum"])
    return out


def _incidence(prefix: str, curve: competing_risks.CumulativeIncidence, at: Any) -> Values:
    read = curve.at(at)
    values = {name: getattr(curve, name) for name in ("time", "incidence", "std_err", "ci_low", "ci_high")}
    values["at"] = np.concatenate([read.incidence, read.std_err, read.ci_low, read.ci_high])
    return {f"{prefix}.{key}": value for key, value in values.items()}


def _competing_risks() -> Values:
    aj = competing_risks.aalen_johansen
    out: Values = {}
    h, c, s = hcc_resection(), colon_first_event(), simulated()
    years = 365.25 * np.array([1, 3, 5])
    out |= _incidence("cif.hcc", aj(h["RFS"], h["cause"]), [0, 12, 24, 60])
    out |= _incidence("cif.hcc_log", aj(h["RFS"], h["cause"], conf_type="log"), [12, 24, 60])
    out |= _incidence("cif.colon", aj(c["first"], c["cause"]), years)
    at = [5, 10, 20]
    out |= _incidence("cif.sim", aj(s["time"], s["cause"]), at)
    out |= _incidence("cif.sim_weighted", aj(s["time"], s["cause"], weights=s["weight"]), at)
    out |= _incidence("cif.sim_late", aj(s["time"], s["cause"], start=s["start"]), at)
    late = aj(s["time"], s["cause"], start=s["start"], weights=s["weight"])
    out |= _incidence("cif.sim_late_weighted", late, at)
    own = s["cluster"]
    out["cif.sim_clustered.std_err"] = aj(s["time"], s["cause"], cluster=own).std_err
    late = aj(s["time"], s["cause"], start=s["start"], weights=s["weight"], cluster=own)
    out["cif.sim_late_weighted_clustered.std_err"] = late.std_err

    for name, time, cause, times in (
        ("hcc", h["RFS"], h["cause"], [6, 12, 24, 36, 60]),
        ("colon", c["first"], c["cause"], 365.0 * np.arange(1, 7)),
        ("sim", s["time"], s["cause"], [3, 5, 10, 15, 20, 30]),
    ):
        curve = aj(time, cause, variance="aalen")
        reads = [curve.at(times, j) for j in curve.causes]
        out[f"cuminc.{name}.est"] = np.concatenate([r.incidence for r in reads])
        out[f"cuminc.{name}.var"] = np.concatenate([r.std_err**2 for r in reads])

    def gray(name: str, causes: int, *args: Any, **kwargs: Any) -> None:
        for cause in range(1, causes + 1):
            test = competing_risks.gray_test(*args, cause_of_interest=cause, **kwargs)
            out[f"gray.{name}.cause{cause}"] = [test.chi2, test.p, test.df]

    gray("hcc", 2, h["RFS"], h["cause"], h["high"])
    gray("hcc_strata_rho", 2, h["RFS"], h["cause"], h["high"], strata=h["Gender"], rho=1)
    gray("colon", 2, c["first"], c["cause"], c["rx"])
    gray("sim", 3, s["time"], s["cause"], s["group"])
    gray("sim_strata", 3, s["time"], s["cause"], s["group"], strata=s["stratum"])
    gray("sim_rho", 3, s["time"], s["cause"], s["group"], strata=s["stratum"], rho=-0.5)

    fg = competing_risks.fine_gray
    hx = h[["high", "Age", "Tumorsize"]]
    sx = s[SIMULATED_COVARIATES]
    for name, fit in {
        "hcc": fg(hx, h["RFS"], h["cause"]),
        "hcc_death": fg(h[["high", "Age"]], h["RFS"], h["cause"], cause_of_interest=2),
        "colon": fg(c[["lev", "lev5fu", "age"]], c["first"], c["cause"]),
        "sim": fg(sx, s["time"], s["cause"]),
    }.items():
        out[f"crr.{name}.coef"] = fit.coef
        out[f"crr.{name}.cov"] = fit.covariance
        out[f"crr.{name}.loglik"] = [fit.loglik_null, fit.loglik]
    for name, fit in {
        "hcc": fg(hx, h["RFS"], h["cause"], convention="survival"),
        "sim": fg(sx, s["time"], s["cause"], convention="survival"),
        "sim_weighted": fg(sx, s["time"], s["cause"], convention="survival", weights=s["weight"]),
    }.items():
        out[f"finegray.{name}.coef"] = fit.coef
        out[f"finegray.{name}.cov"] = fit.covariance
    return out


def _tables() -> Values:
    out: Values = {}
    h, s = hcc_resection(), simulated()
    for x, n in ((0, 10), (1, 29), (7, 20), (56, 70), (97, 227), (29, 29)):
        for name, interval in {
            "clopper_pearson": proportions.clopper_pearson(x, n),
            "clopper_pearson_90": proportions.clopper_pearson(x, n, 0.9),
            "wilson": proportions.wilson(x, n),
            "garwood": proportions.incidence_rate(x, n / 3),
        }.items():
            out[f"{name}.{x}_of_{n}"] = [interval.ci_low, interval.ci_high]
    for a, t, b, u in ((5, 100, 10, 250), (0, 30, 4, 40), (12, 33.5, 7, 41.25)):
        r = proportions.rate_ratio(a, t, b, u)
        out[f"rate_ratio.{a}_{b}"] = [r.estimate, r.ci_low, r.ci_high]
    for x, n, y, m in (
        (18, 64, 9, 71),
        (0, 30, 4, 40),
        (4, 40, 0, 30),
        (20, 40, 30, 30),
        (335, 339, 306, 339),
        (80, 339, 0, 339),
    ):
        r = proportions.risk_ratio(x, n, y, m)
        out[f"risk_ratio.{x}_of_{n}_{y}_of_{m}"] = [v for v in (r.estimate, r.ci_low, r.ci_high) if np.isfinite(v)]

    both = colon()
    for name, x, cluster, level in (
        ("colon", both["status"], both["id"], 0.95),
        ("colon_90", both["status"], both["id"], 0.9),
        ("sim", s["event"], s["cluster"], 0.95),
        ("sim_rare", s["cause"] == 3, s["cluster"], 0.95),
    ):
        c = proportions.clustered_proportion(x, cluster, level)
        out[f"clustered.{name}"] = [c.estimate, c.ci_low, c.ci_high, c.effective_n]

    g = h["high"]
    out["smd.hcc"] = [
        balance.smd_continuous(h["Age"], g),
        balance.smd_binary(h["Gender"], g),
        balance.smd_continuous(h["CXCL17T"], g),
    ]
    out["variance_ratio.hcc"] = [balance.variance_ratio(h[name], g) for name in ("Age", "CXCL17T")]
    out["smd.sim_weighted"] = [balance.smd_continuous(s[name], s["x2"], s["weight"]) for name in ("x1", "x3")]
    out["smd.sim_group"] = [balance.smd_categorical(s["group"], s["x2"], w) for w in (None, s["weight"])]

    names = ["Age", "Gender", "Cirrhosis", "AFP", "Tumorsize", "Tumormultiplicity"]
    fit = propensity.logistic_fit(h[names], g)
    out |= {"logistic.hcc.coef": fit.coef, "logistic.hcc.se": fit.se, "logistic.hcc.loglik": fit.loglik}
    fit = propensity.logistic_fit(s[["x1", "x3"]], s["x2"], weights=s["frequency"])
    out |= {"logistic.sim_frequency.coef": fit.coef, "logistic.sim_frequency.se": fit.se}
    matrix, knots = propensity.covariate_matrix(h, splines={"Age": 4}, categorical=["Gender", "BCLC"])
    fit = propensity.logistic_fit(matrix, g)
    out["propensity.hcc_spline.fitted"] = fit.fitted
    out["propensity.hcc_spline.knots"] = knots["Age"]
    weights = propensity.propensity_weights(fit.fitted, g, "overlap")
    out["propensity.hcc_weighted_smd"] = balance.smd_continuous(h["Age"], g, weights)
    return out


def _module(name: str) -> Callable[[], Values]:
    """Return the values of the family whose functions are in ``ours_<name>.py`` (which takes its data from here)."""
    return lambda: import_module(f"ours_{name}").values()


FAMILIES: dict[str, Callable[[], Values]] = {
    "cox": _cox,
    "survival_curves": _survival_curves,
    "competing_risks": _competing_risks,
    "tables": _tables,
    "recurrent_events": _module("recurrent_events"),
    "colon_adjuvant": _module("colon_adjuvant"),
    "discrimination": _module("discrimination"),
    "time_to_event": _module("time_to_event"),
    "target_trial": _module("target_trial"),
    "sensitivity": _module("sensitivity"),
    "meta_analysis": _module("meta_analysis"),
}


@lru_cache
def ours(family: str) -> dict[str, np.ndarray]:
    """All quantities of a family, flattened row by row as R's script writes them."""
    return {key: np.asarray(value, dtype=float).reshape(-1) for key, value in FAMILIES[family]().items()}


def relative_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Largest absolute difference over the largest reference value of the same quantity.

    NaN where R has NA; infinite limits must be infinite in both.
    """
    if ours.shape != reference.shape:
        return float("inf")
    finite = np.isfinite(reference)
    if not np.array_equal(np.isnan(ours), np.isnan(reference)) or not np.array_equal(
        ours[~finite & ~np.isnan(ours)], reference[~finite & ~np.isnan(reference)]
    ):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = np.abs(reference[finite]).max()
    difference = np.abs(ours[finite] - reference[finite]).max()
    return float(difference / scale) if scale > 0 else float(difference)
