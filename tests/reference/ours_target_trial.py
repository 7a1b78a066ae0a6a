"""The quantities of ``r/target_trial.R``, computed by this package under the same names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from ours import colon

from sorafenib_rfa.estimates.target_trial import FORMS, Emulation, start_stop
from sorafenib_rfa.stats.clone_censor import CONTROL, TREATED
from sorafenib_rfa.stats.clone_censor_risks import RiskQuestion, answer
from sorafenib_rfa.stats.cox import CoxDesign, cox_fit
from sorafenib_rfa.stats.partitioned_survival import PartitionQuestion

Values = dict[str, Any]
GRACE, TAU = 60.0, 1000.0
AT = (20, 50, 365, 1000)
COVARIATES = ["age", "sex", "node4", "extent"]


def _trial() -> tuple[pd.DataFrame, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Two arms of the colon trial with invented starts, and both endpoints; days."""
    kept = colon()[colon()["rx"] != "Lev"]
    recurrence = kept[kept["etype"] == 1].sort_values("id", ignore_index=True)
    death = kept[kept["etype"] == 2].sort_values("id", ignore_index=True)
    time = death["time"].to_numpy(dtype=float)
    recurred, died = (frame["status"].to_numpy() == 1 for frame in (recurrence, death))
    d = death[["id", *COVARIATES]].astype(float)
    d["until"] = np.where(recurred, recurrence["time"], np.inf)
    treated = (death["rx"] == "Lev+5FU").to_numpy()
    invented = 5 + (d["id"] * 7) % 50
    d["start"] = np.where(treated & (invented < np.minimum(d["until"], time)), invented, np.inf)
    d["known"] = (d["until"] > GRACE) & (np.where(died, time, np.inf) > GRACE) & (time >= GRACE)
    d["leaves"] = np.minimum(d["until"], time)
    late = 5 + (d["id"] * 13) % 500
    d["exposed_from"] = np.where(treated & (late < d["until"]), late, np.inf)
    first = np.where(recurred, recurrence["time"], time)
    return d, {"rfs": (first, recurred | died), "os": (time, died)}


def _risks(emulation: Emulation, first: np.ndarray, cause: np.ndarray) -> Values:
    """Risks of recurrence and of death without recurrence, and time lost to recurrence."""
    out: Values = {}
    for form in ("overlap", "ate"):
        weights = emulation.weights(FORMS[form])
        # each cause in its turn is the event in question
        questions = [
            RiskQuestion.ask(weights, first, codes, AT, TAU) for codes in (cause, np.where(cause > 0, 3 - cause, 0))
        ]
        found = answer(questions, weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
        recurrence, death = (q.risks(a, emulation.usable) for q, a in zip(questions, found, strict=True))
        for arm, slug in ((TREATED, "treated"), (CONTROL, "control")):
            name = f"target_trial.risk_{form}.{slug}"
            out[f"{name}.recurrence"] = recurrence.risk.estimate[arm]
            out[f"{name}.death"] = death.risk.estimate[arm]
            out[f"{name}.time_lost"] = recurrence.time_lost.estimate[arm]
    return out


def _partition(d: pd.DataFrame, emulation: Emulation, outcomes: dict[str, tuple[np.ndarray, np.ndarray]]) -> Values:
    """Time with toxicity, without, and after recurrence, from invented episodes."""
    number = d["id"].to_numpy()
    patient, start, end = [], [], []
    for who, begin, days in (
        (number % 3 != 0, 3 + (number * 11) % 700, 10 + number % 90),
        (number % 5 == 0, 9 + (number * 11) % 700, 40 + number % 70),
    ):
        patient.append(np.flatnonzero(who))
        start.append(begin[who])
        end.append((begin + days)[who])
    weights = emulation.weights(FORMS["overlap"])
    question = PartitionQuestion.ask(
        weights, outcomes["rfs"], outcomes["os"], *(np.concatenate(part) for part in (patient, start, end)), TAU
    )
    (found,) = answer([question], weights, emulation.scored, emulation.scored_resampled, emulation.drawn)
    states = question.partition(found, emulation.usable).states
    return {
        "target_trial.partition.treated": states.estimate[TREATED],
        "target_trial.partition.control": states.estimate[CONTROL],
        "target_trial.partition.difference": states.difference().estimate,
    }


def values() -> Values:
    """All quantities of the family."""
    d, outcomes = _trial()
    emulation = Emulation.draw(
        d[COVARIATES].to_numpy(),
        *(d[name].to_numpy() for name in ("start", "until", "leaves", "known")),
        GRACE,
        seed=1,
        resamples=20,
        truncate_at=0.99,
    )
    starter = np.isfinite(emulation.start)
    exit_day = np.where(starter, emulation.start, np.minimum(emulation.leaves, GRACE))
    initiation = CoxDesign.prepare(d[COVARIATES], exit_day, starter)
    out: Values = {
        "target_trial.propensity": emulation.scored.propensity[0],
        "target_trial.initiation.coef": initiation.coefficients(tol=1e-9),
    }
    time, event = outcomes["rfs"]
    recurred = np.isfinite(d["until"].to_numpy())
    out |= _risks(emulation, time, np.where(recurred, 1, np.where(event, 2, 0)))
    out |= _partition(d, emulation, outcomes)
    for endpoint, (time, event) in outcomes.items():
        for form in FORMS.values():
            found = emulation.compare(time, event, TAU, form=form.key)
            design = emulation.design(time, event, form)
            rows = design.rows(emulation.initiation(form)[0], tilt=form.tilt, cap=emulation.caps(design, form))
            name = f"target_trial.{endpoint}_{form.key}"
            survival = found.at(AT)[0]
            for arm, slug in ((TREATED, "treated"), (CONTROL, "control")):
                out[f"{name}.{slug}.survival"] = survival[arm]
                own = rows["arm"] == arm
                weight = rows["weight"][own]
                here = weight[(rows["start"][own] <= 365) & (rows["stop"][own] > 365)]
                out[f"{name}.{slug}.effective_n"] = here.sum() ** 2 / (here**2).sum()
                out[f"{name}.{slug}.max_weight"] = weight.max()
            out[f"{name}.rmst"] = [
                found.rmst[TREATED].estimate,
                found.rmst[CONTROL].estimate,
                found.rmst_difference.estimate,
                found.rmst_ratio.estimate,
            ]
            out[f"{name}.log_hr"] = np.log(found.hazard_ratio.estimate)
            fit = cox_fit(
                pd.DataFrame({"arm": (rows["arm"] == TREATED).astype(float)}),
                rows["stop"],
                rows["event"],
                start=rows["start"],
                weights=rows["weight"],
                cluster=rows["patient"],
            )
            out[f"{name}.se_robust"] = fit.se_robust
        split = start_stop(time, event, d["exposed_from"].to_numpy())
        for names in ([], COVARIATES):
            x = pd.concat([split[["exposed"]], d[names].iloc[split["patient"]].reset_index(drop=True)], axis=1)
            fit = cox_fit(x, split["stop"], split["event"], start=split["start"], cluster=split["patient"].to_numpy())
            name = f"target_trial.{endpoint}_time_varying.{1 + len(names)}"
            out |= {f"{name}.coef": fit.coef, f"{name}.se_robust": fit.se_robust}
    return out
