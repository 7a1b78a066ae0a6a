"""The quantities of ``r/recurrent_events.R``, computed by this package under the same names."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from ours import colon, simulated

from sorafenib_rfa.stats.interaction import heterogeneity, holm, treatment_by_level
from sorafenib_rfa.stats.recurrent_events import (
    RecurrentEvents,
    event_rate,
    mean_cumulative_function,
    mean_model,
    rate_model,
)

Values = dict[str, Any]


@lru_cache
def bladder() -> pd.DataFrame:
    """R's bladder1 without the two patients who have no time at risk; deaths of any cause are status 2."""
    from survival.datasets import load_bladder1

    d = pd.DataFrame(load_bladder1())
    d = d[d["stop"] > 0].copy()
    d["status"] = d["status"].clip(upper=2)
    d["thiotepa"] = (d["treatment"] == "thiotepa").astype(int)
    d["pyridoxine"] = (d["treatment"] == "pyridoxine").astype(int)
    d["w"] = 0.5 + (d["id"] % 5) / 4
    return d.sort_values(["id", "start"], ignore_index=True)


@lru_cache
def cgd() -> pd.DataFrame:
    """R's cgd: infections in chronic granulomatous disease."""
    from survival.datasets import load_cgd

    d = pd.DataFrame(load_cgd()).rename(columns={"tstart": "start", "tstop": "stop"})
    d["interferon"] = (d["treat"] == "rIFN-g").astype(int)
    d["w"] = 0.5 + (d["id"] % 5) / 4
    return d.sort_values(["id", "start"], ignore_index=True)


def people_and_events(rows: pd.DataFrame, *, faster: bool = False) -> tuple[pd.DataFrame, RecurrentEvents]:
    """Return one row a person (the last) and the events; `faster` breaks ties as R's script does."""
    people = rows.groupby("id").last()
    hit = rows[rows["status"] == 1]
    clock = 1 + hit["id"] / 1e5 if faster else 1.0
    ends = people["stop"] * (1 + people.index / 1e5) if faster else people["stop"]
    events = RecurrentEvents.prepare(
        ends.astype(float), people["status"] == 2, people.index.get_indexer(hit["id"]), hit["stop"] * clock
    )
    return people, events


def values() -> Values:
    """Return every quantity of the family."""
    out: Values = {}
    infected, infections = people_and_events(cgd())
    patients, tumours = people_and_events(bladder())
    _, untied = people_and_events(bladder(), faster=True)
    arms = ["pyridoxine", "thiotepa"]
    for name, people, events, names, weighted in (
        ("cgd", infected, infections, ["interferon", "age"], False),
        ("cgd_weighted", infected, infections, ["interferon"], True),
        ("bladder", patients, tumours, [*arms, "number", "size"], False),
        ("bladder_weighted", patients, tumours, arms, True),
    ):
        fit = rate_model(events, people[names], weights=people["w"] if weighted else None)
        out[f"rate.{name}.coef"] = fit.coef
        out[f"rate.{name}.se_andersen_gill"] = fit.se_model
        out[f"rate.{name}.se_lwyy"] = fit.se_robust
    for name, names, weighted in (("bladder", [*arms, "number"], False), ("bladder_weighted", arms, True)):
        means = mean_model(untied, patients[names], weights=patients["w"] if weighted else None)
        out |= {f"mean.{name}.coef": means.coef, f"mean.{name}.se": means.se}

    groups = {"": np.ones(len(patients), dtype=bool)}
    groups |= {f"_{arm}": (patients["treatment"] == arm).to_numpy() for arm in ("placebo", *arms)}
    for suffix, chosen in groups.items():
        curve = mean_cumulative_function(untied.subset(chosen))
        name = f"mcf.bladder_untied{suffix}"
        out |= {f"{name}.{what}": getattr(curve, what) for what in ("time", "mean", "std_err")}
    for name, weights in (("mcf.cgd", None), ("mcf.cgd_weighted", infected["w"])):
        curve = mean_cumulative_function(infections, weights=weights)
        out |= {f"{name}.mean": curve.mean, f"{name}.std_err": curve.std_err}
    for name, weights in (("mcf.bladder", None), ("mcf.bladder_weighted", patients["w"])):
        at = [6, 12, 24, 36, 48]
        read = mean_cumulative_function(tumours, weights=weights).at(at)
        exact = mean_cumulative_function(tumours, weights=weights, variance="jackknife").at(at)
        out |= {f"{name}.mean": read.mean, f"{name}.std_err": read.std_err, f"{name}.jackknife": exact.std_err}
    for name, weights in (("bladder", None), ("bladder_weighted", patients["w"])):
        rate = event_rate(tumours, weights=weights)
        out[f"rate_per_month.{name}"] = [rate.estimate, rate.ci_low, rate.ci_high]

    deaths = colon()[lambda d: (d["etype"] == 2) & (d["rx"] != "Lev")]
    s = simulated()
    for name, fitted in (
        ("colon", treatment_by_level(deaths["lev5fu"], deaths["extent"], deaths["time"], deaths["status"])),
        ("sim_weighted", treatment_by_level(s["x2"], s["stratum"], s["time"], s["event"], weights=s["weight"])),
    ):
        out[f"interaction.{name}.coef"] = fitted.fit.coef
        out[f"interaction.{name}.se"] = fitted.fit.se
        out[f"interaction.{name}.wald"] = [fitted.test.chi2, fitted.test.df, fitted.test.p]
    test = heterogeneity([0.31, -0.12, 0.55, 0.02], [0.14, 0.21, 0.33, 0.18])
    out["heterogeneity"] = [test.chi2, test.df, test.p]
    out["holm"] = holm([0.04, 0.001, np.nan, 0.03, 0.2, 0.03])
    return out
