"""What lies outside the windows of treatment-emergence, and what windows of another kind would show.

The window of the unexposed begins with RFA, that of the exposed with the first dose, some weeks later. What ablation
does in its first days counts in the unexposed only. It is therefore reported apart, for all; and rates are given by
current exposure, with the time before the first dose and its events on the side of those who do not take the drug.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.exposure import OFF_DRUG, RECURRED, TREATED_AGAIN
from sorafenib_rfa.estimates.common import NAN, attempt, untested
from sorafenib_rfa.estimates.covariates import texts
from sorafenib_rfa.estimates.safety_context import (
    DAYS_PER_YEAR,
    ENGINE,
    EventTable,
    SafetyContext,
    Window,
    three,
    timed,
)
from sorafenib_rfa.stats.proportions import incidence_rate

COUNTED = "sorafenib_rfa.estimates.safety_windows"
BY_CURRENT_EXPOSURE = "All analysed patients by current exposure"

RECORDED = "recorded"
IN_WINDOW, EARLY, NOT_FLAGGED = "in_window", "before_first_dose", "not_flagged"
REASONS: Final[Mapping[str, str]] = {
    IN_WINDOW: "treatment-emergent and in the window: counted",
    "before_rfa": "began, or of unknown start and over, before RFA",
    EARLY: "began, or of unknown start and over, between RFA and the first dose",
    "after_drug": "began later after the last dose than treatment-emergence lasts",
    "after_recurrence": "began later after recurrence than treatment-emergence lasts",
    "treated_again": "began on or after the first day of drug given for a recurrence",
    "after_last_contact": "on record with a start after the last contact",
    "no_dose": "of an exposed patient without a dated dose",
    NOT_FLAGGED: "not flagged treatment-emergent in ADAE, for no reason that dates give",
}
"""Where each adverse event on record is counted, or why it is not."""

AFTER_RFA: Final = {
    "any": "any grade",
    "grade_3_5": "grade 3 or above",
    "serious": "serious",
    "fatal": "fatal (outcome fatal or grade 5)",
}

_STATES: Final = {"on_drug": "on the drug (exposed, in their window)", "not_on_drug": "not on the drug"}


def add_windows(
    context: SafetyContext, adsl: pd.DataFrame, adae: pd.DataFrame, events: EventTable, labels: Mapping[str, str]
) -> None:
    """Account for every adverse event, and add those soon after RFA and the rates by current exposure.

    Parameters
    ----------
    context : SafetyContext
    adsl, adae : DataFrame
        ADaM datasets.
    events : EventTable
        The events counted.
    labels : mapping of str to str
        What rates are given of: a kind, or the lower-case name of an event of interest -> label.
    """
    rfa = pd.to_datetime(adsl.set_index("USUBJID")["TRTSDT"])
    placed = place_events(adae, rfa, context.window)
    _add_accounting(context, placed)
    exposed = context.inside["exposed"]
    untreated = [events.frame[~exposed[events.patient]], timed(placed[placed["reason"] == EARLY], rfa)]
    off = EventTable.of(pd.concat([frame for frame in untreated if len(frame)] or untreated[:1]), context.subjects)
    _add_after_rfa(context, off)
    days = context.window.days.to_numpy()
    before = (context.window.start - rfa).dt.days.clip(lower=0).fillna(0).to_numpy(dtype=float)
    states = {"on_drug": (events, np.where(exposed, days, 0.0)), "not_on_drug": (off, np.where(exposed, before, days))}
    for key, label in labels.items():
        _add_rates(context, key, label, states, exposed)


def place_events(adae: pd.DataFrame, rfa: pd.Series, window: Window) -> pd.DataFrame:
    """Return the rows of ADAE of the patients of `window`, each with its ``reason`` (a key of :data:`REASONS`)."""
    rows = adae[adae["USUBJID"].isin(window.start.index).to_numpy(dtype=bool)]
    began, over = pd.to_datetime(rows["ASTDT"]), pd.to_datetime(rows["AENDT"])
    start, zero = rows["USUBJID"].map(window.start), rows["USUBJID"].map(rfa)
    flagged = (texts(rows["TRTEMFL"]) == "Y").to_numpy(dtype=bool)
    late = (began > rows["USUBJID"].map(window.end)).to_numpy(dtype=bool)
    limit = rows["USUBJID"].map(window.limit).fillna("").to_numpy(dtype=object)

    def before(day: pd.Series) -> np.ndarray:
        return ((began < day) | (began.isna() & (over < day))).to_numpy(dtype=bool)

    cases = {
        IN_WINDOW: flagged & ~late,
        "before_rfa": before(zero),
        "no_dose": start.isna().to_numpy(dtype=bool),
        EARLY: before(start),
        "after_last_contact": flagged,
        "after_drug": late & (limit == OFF_DRUG),
        "after_recurrence": late & (limit == RECURRED),
        "treated_again": late & (limit == TREATED_AGAIN),
    }
    return rows.assign(reason=np.select(list(cases.values()), list(cases), NOT_FLAGGED))


def _add_accounting(context: SafetyContext, placed: pd.DataFrame) -> None:
    """Add how many events there are on record, and how many of them are counted or not, by reason."""
    patient = context.subjects.get_indexer(texts(placed["USUBJID"]).astype(object))
    lines = {RECORDED: ("adverse events on record in ADAE", np.ones(len(placed), dtype=bool))}
    for reason, words in REASONS.items():
        lines[reason] = (f"adverse events on record: {words}", (placed["reason"] == reason).to_numpy(dtype=bool))
    for variable, (words, chosen) in lines.items():
        context.count_events(
            "accounting",
            placed,
            chosen,
            patient,
            variable=variable,
            method=words,
            engine=COUNTED,
            none_too=variable != NOT_FLAGGED,
        )


def _add_after_rfa(context: SafetyContext, off: EventTable) -> None:
    """Add patients with events soon after RFA, before any drug: the same days in both groups."""
    days = context.plan.rfa_complication_days
    soon = (off.day <= days + 1) & off.frame["start_known"].to_numpy(dtype=bool)
    for kind, words in AFTER_RFA.items():
        had = np.isfinite(off.first_day(soon & off.kinds[kind]))
        counts = {group: context.subjects[had & inside] for group, inside in context.inside.items()}
        what = f"patients with an adverse event from RFA to day {days} after it, before any drug, {words}"
        context.proportion("after_rfa", counts, variable=kind, what=what, contrast=False)


def _add_rates(
    context: SafetyContext,
    key: str,
    label: str,
    states: Mapping[str, tuple[EventTable, np.ndarray]],
    exposed: np.ndarray,
) -> None:
    """Add rates of first events on the drug and not on it, and their ratio.

    A patient who starts the drug is first in the one, then in the other; what lies between RFA and the first dose is
    not on the drug. The first event in each counts.
    """
    where = {"variable": key, "population": BY_CURRENT_EXPOSURE, "estimand_id": context.estimand}
    cells: list[float] = []
    sizes: dict[str, int] = {}
    for state, (table, days) in states.items():
        chosen = table.kinds.get(key)
        chosen = table.of_interest(context.plan)[_query(context, key)] if chosen is None else chosen
        first = table.first_day(chosen & (exposed[table.patient] if state == "on_drug" else True))
        at_risk = (days > 0) | np.isfinite(first)
        had = np.isfinite(first)
        years = float(np.minimum(first, days).sum()) / DAYS_PER_YEAR
        what = f"{label}: {_STATES[state]}"
        for stat, members in (("n", at_risk), ("events", had)):
            context.ard.add(
                "current_exposure",
                stat,
                int(members.sum()),
                unit="count",
                group=state,
                method=f"{what}, patients {'with time at risk' if stat == 'n' else 'with an event'}",
                engine=COUNTED,
                members=context.subjects[members],
                **where,
            )
        rate, reason = attempt(incidence_rate, int(had.sum()), years, context.plan.confidence_level, per=100.0)
        value, low, high = (NAN,) * 3 if rate is None else three(rate)
        context.ard.add(
            "current_exposure",
            "rate_per_100_patient_years",
            value,
            ci_low=low,
            ci_high=high,
            unit="measure",
            group=state,
            method=reason
            or f"{what}, first events per 100 patient-years at risk of one ({years:.1f} years; time between "
            "RFA and the first dose is not on the drug); exact Poisson (Garwood) interval",
            engine=ENGINE,
            **where,
        )
        cells += [int(had.sum()), years]
        sizes["exposed" if state == "on_drug" else "unexposed"] = int(at_risk.sum())
    context.ratio(
        "current_exposure",
        "rate_ratio",
        cells,
        label,
        where,
        reason=context.not_compared or untested(sizes, context.plan),
        of="on the drug over that not on the drug (time between RFA and the first dose among it)",
    )


def _query(context: SafetyContext, key: str) -> str:
    """Return the plan's name of an event of interest."""
    return next(name for name in context.plan.events_of_interest if name.lower() == key)
