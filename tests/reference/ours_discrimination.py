"""Concordance, censoring survival, Brier score and predicted survival, as ``r/discrimination.R`` asks R for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ours import SIMULATED_COVARIATES, colon, hcc_resection, simulated

from sorafenib_rfa.estimates.performance import predicted_survival
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.discrimination import brier_weights, censoring_survival, concordance


def values() -> dict[str, Any]:
    """The quantities of ``r/discrimination.R``."""
    h, s = hcc_resection(), simulated()
    deaths = colon()[colon()["etype"] == 2]
    covariates = ["high", "Age", "Gender", "AFP", "Tumorsize"]
    frames = {
        "hcc_rfs": (h[covariates], h["RFS"], h["Recurrence"], 36.0),
        "hcc_os": (h[covariates], h["OS"], h["Death"], 36.0),
        "colon_os": (deaths[["lev", "lev5fu", "age", "sex", "node4"]], deaths["time"], deaths["status"], 1826.25),
        "sim": (s[SIMULATED_COVARIATES], s["time"], s["event"], 10.0),
    }
    out: dict[str, Any] = {}
    for name, (x, time, event, tau) in frames.items():
        matrix = x.to_numpy(dtype=float)
        score = (matrix - matrix.mean(axis=0)) @ cox_fit(x, time, event).coef
        for key, values_of in (("score", score), ("coarse", np.round(score, 1))):
            for kind in ("harrell", "uno"):
                for limit, until in (("all", None), ("tau", tau)):
                    c = concordance(time, event, values_of, kind, tau=until)  # type: ignore[arg-type]
                    found = [c.estimate, c.std_err, c.concordant, c.discordant, c.tied]
                    out[f"c.{name}.{key}.{kind}.{limit}"] = found
        out[f"c.{name}.censoring"] = censoring_survival(time, event, tau * np.array([0.25, 0.5, 0.75, 1.0]))
        times, events = time.to_numpy(dtype=float), event.to_numpy(dtype=bool)
        predicted = predicted_survival(score, times, events, tau, np.ones(len(times)))
        out[f"c.{name}.predicted"] = predicted
        brier = brier_weights(time, event, tau)
        out[f"c.{name}.brier"] = [brier.score(predicted), brier.score(brier.null), brier.accuracy(predicted)]
    return out
