"""Public curves: only those declared to be of groups, with what keeps single patients out of sight.

A curve that is not declared here is not released, so that a new one cannot leak before somebody has thought about it;
the figure that draws it says that it is withheld.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.results import PublicResults, coarse, public_words
from sorafenib_rfa.disclosure.suppression import HIDDEN, is_small, round_count
from sorafenib_rfa.estimates.ard import NUMERIC
from sorafenib_rfa.estimates.members import CountIndex
from sorafenib_rfa.estimates.parts import CURVES
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS

YEAR: Final = 12.0
"""Months; how long a curve would be is told in full years."""

SHARE_STEP: Final = 0.05
"""Shares of a group that are not in the ARD are multiples of this."""


@dataclass(frozen=True)
class Steps:
    """A curve that steps at events: survival, incidence, a mean cumulative function.

    Attributes
    ----------
    value : str
        Column of the estimate; limits are ``ci_low, ci_high``, numbers at risk ``n_risk``.
    kind : {"survival", "incidence", "mean"}
        What it is: decides how events are told from steps where they are not counted (``n_event``).
    """

    value: str
    kind: str


@dataclass(frozen=True)
class AtRisk:
    """A table of numbers at risk: a small one is left out, and so are events and censorings to date."""


@dataclass(frozen=True)
class Bound:
    """Rows that say which rows of the ARD they show: every number is put in place by that row's public form.

    Attributes
    ----------
    axes : tuple of str
        Columns that say where something is drawn and hold nothing of patients: months of the plan, grids, orders.
    counts : tuple of str
        Counts that the ARD may not state: rounded, small ones left out.
    model : tuple of str
        Estimates of models that the ARD may not state: rounded to significant digits.
    shares : tuple of str
        Shares of a group, or an axis of shares: those of rows about a group are multiples of :data:`SHARE_STEP`.
    drop : tuple of (str, str)
        (column, value): rows about single patients, left out.
    regular : tuple of (str, str)
        (column, value): rows of a smooth curve, interpolated at multiples of the plan's step of months.
    """

    axes: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    drop: tuple[tuple[str, str], ...] = ()
    regular: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shares:
    """Weighted curves without numbers at risk, all of one population.

    Attributes
    ----------
    values : tuple of str
        Columns of shares between 0 and 1.
    size : str
        ARD id of how many patients they are shares of: a step shows at least a threshold of them.
    """

    values: tuple[str, ...]
    size: str


@dataclass(frozen=True)
class Bins:
    """A histogram: bins are joined until none holds a small number."""


@dataclass(frozen=True)
class Published:
    """What others published, and what was made of it: it speaks of no patient of ours and is released as it is."""


Rule = Steps | AtRisk | Bound | Shares | Bins | Published

_FOREST: Final = Bound(counts=("n", "events"))
DECLARED: Final[Mapping[str, Rule]] = {
    **{name: Published() for part in EVIDENCE_PARTS for name in CURVES[part]},
    "flow": Bound(axes=("step_no",), counts=("n_before", "n_excluded", "n_after")),
    "balance": Bound(),
    "propensity": Bins(),
    **{f"km_{name}": Steps("survival", "survival") for name in ("rfs", "os", "ttr", "rfs_naive", "ccw_rfs", "ccw_os")},
    "km_prognostic": Steps("survival", "survival"),
    **{f"risk_table_{name}": AtRisk() for name in ("rfs", "os", "ttr", "repeat_rfa", "prognostic")},
    **{f"cif_{name}": Steps("incidence", "incidence") for name in ("first_event", "weighted", "prognostic")},
    "mcf_repeat_rfa": Steps("mcf", "mean"),
    **{f"forest_{name}": _FOREST for name in ("rfs", "os", "ttr", "prognostic")},
    "designs_rfs": Bound(),
    "designs_os": Bound(),
    # the largest weight is a single copy's and stays out
    "ccw_weights": Bound(axes=("time_months",), counts=("copies", "sum_of_weights", "effective_n")),
    "effect_over_time": Bound(
        axes=("time_months", "end_months"), counts=("events_treated", "events_control"), model=("hr", "lo", "hi"),
        drop=(("kind", "event"),), regular=(("kind", "spline"),),
    ),
    "centres": Bound(counts=("n", "events"), model=("hr", "lo", "hi", "weight_percent")),
    "subgroups": Bound(
        counts=("n_treated", "n_control", "events_treated", "events_control"), model=("p_interaction",)
    ),
    "specifications": Bound(
        axes=("grace_period_days",), counts=("n", "events"), model=("hr", "lo", "hi", "p")
    ),
    "tipping_censoring": Bound(
        axes=("delta",), model=("difference", "difference_lo", "difference_hi", "hr", "lo", "hi")
    ),
    "tipping_confounding": Bound(
        axes=("confounder_hr",), model=("hr", "lo", "hi"), shares=("prevalence_treated", "prevalence_control")
    ),
    "ae_dot": Bound(counts=("n", "total")),
    "ae_grade": Bound(axes=("grade",), counts=("n", "total")),
    "ae_incidence": Steps("incidence", "incidence"),
    "ae_mcf": Steps("mcf", "mean"),
    "km_stop": Steps("survival", "survival"),
    # counts tumours, of which a patient may have several
    "ltp_tumour": Steps("incidence", "incidence"),
    "duration_landmark": Bound(
        axes=("months",), counts=("n_longer", "n_shorter", "events_longer", "events_shorter"), model=("hr", "lo", "hi")
    ),
    "lab_shift": Bound(axes=("base_grade", "worst_grade"), counts=("n", "total")),
    "albi_course": Bound(
        axes=("months",), model=("change", "change_low", "change_high", "albi", "albi_low", "albi_high")
    ),
    "albi_worsening": Steps("incidence", "incidence"),
    "benefit_risk_effects": Bound(axes=("month",)),
    "partitioned_survival": Shares(("relapse_free", "alive", "toxic"), "target_trial.cloning.patients"),
    "utility_threshold": Bound(
        axes=("utility_toxicity", "utility_relapse"), model=("difference", "ci_low", "ci_high")
    ),
    "calibration": Bound(axes=("month", "risk_group"), counts=("n",), model=("predicted",)),
}  # fmt: skip
"""Curves that are released, and how. Whatever is not here is not."""


@dataclass
class PublicCurves:
    """Curves that may leave the house.

    Attributes
    ----------
    frames : dict of str to DataFrame
        By name; empty where a curve is withheld.
    withheld : dict of str to str
        Name -> why it is withheld.
    notes : dict of str to str
        Name -> what was done to it.
    """

    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def stated_counts(curves: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Return ARD id -> counts that a declared curve states in its row, by column."""
    stated: dict[str, dict[str, float]] = {}
    for name, rule in DECLARED.items():
        frame = curves.get(name)
        if not isinstance(rule, Bound) or frame is None or "ard_id" not in frame:
            continue
        columns = [column for column in rule.counts if column in frame]
        for row in frame[["ard_id", *columns]].to_dict("records"):
            sizes = {column: float(row[column]) for column in columns if pd.notna(row[column])}
            if sizes and isinstance(row["ard_id"], str) and row["ard_id"]:
                stated[row["ard_id"]] = sizes
    return stated


def public_curves(
    curves: Mapping[str, pd.DataFrame], ard: pd.DataFrame, results: PublicResults, rules: Disclosure
) -> PublicCurves:
    """Return the curves that may leave the house.

    Parameters
    ----------
    curves : mapping
        Curve frames by name, as the estimates made them.
    ard : DataFrame
        The private ARD to which they refer.
    results : PublicResults
        Its public form.
    rules : Disclosure
    """
    release = _Release(ard, results, rules)
    made = PublicCurves()
    parts = {name: part for part, names in CURVES.items() for name in names}
    for name in sorted(curves):
        frame, rule = curves[name], DECLARED.get(name)
        release.part = parts.get(name, "")
        made.frames[name] = frame.iloc[:0]
        if rule is None:
            made.withheld[name] = "not declared as a curve of groups"
            made.frames[name] = pd.DataFrame()
        elif frame.empty:
            continue
        elif isinstance(rule, Published):
            made.frames[name] = frame
            made.notes[name] = "of published studies: as it is"
        elif isinstance(rule, Steps):
            made.frames[name] = release.steps(frame, rule)
            made.notes[name] = (
                f"steps at multiples of {rules.curve_step_months:g} months with {rules.threshold} or more events each, "
                f"to the last with {rules.threshold} or more at risk; no times of censoring"
            )
        elif isinstance(rule, AtRisk):
            made.frames[name] = release.at_risk(frame)
            made.notes[name] = "numbers at risk rounded, small ones left out"
        elif isinstance(rule, Shares):
            made.frames[name] = release.shares(frame, rule)
            made.notes[name] = (
                f"steps at multiples of {rules.curve_step_months:g} months by {rules.threshold} patients or more"
            )
            if made.frames[name].empty:
                made.withheld[name] = "of how many patients it speaks is not released"
        elif isinstance(rule, Bins):
            joined = release.bins(frame)
            if joined is None:
                made.withheld[name] = "a class holds too few patients however wide classes are made"
            else:
                made.frames[name] = joined
                made.notes[name] = "classes joined until none holds a small number"
        else:
            made.frames[name] = release.bound(frame, rule)
            made.notes[name] = "numbers as in the public ARD"
    return made


class _Release:
    def __init__(self, ard: pd.DataFrame, results: PublicResults, rules: Disclosure) -> None:
        self.rules = rules
        self.private = {str(row["ard_id"]): row for row in ard.to_dict("records")}
        self.public = {str(row["ard_id"]): row for row in results.ard.to_dict("records")}
        self.index = CountIndex(ard)
        self.roles: dict[str, list[str]] = {}
        counts, states = results.counts, results.suppressed.states
        groups = dict(zip(ard["ard_id"].astype(str), ard["group"].astype(str), strict=True))
        self.hidden: dict[tuple[str, str], set[int]] = {}
        for ids, size, state in zip(counts.ids, counts.sizes, states, strict=True):
            if state in HIDDEN and size >= rules.threshold:
                for name in ids:
                    for group in (groups[name], ""):
                        self.hidden.setdefault((name.partition(".")[0], group), set()).add(size)
        self.part = ""

    # --- curves that step --------------------------------------------------------------------------------------------
    def steps(self, frame: pd.DataFrame, rule: Steps) -> pd.DataFrame:
        """Return a step curve that shows no event of less than a threshold of patients, and no tail of few."""
        names = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
        made = []
        for _, series in frame.groupby(names, sort=False, dropna=False):
            others = frame
            for name in set(names) - {"cause", "cause_label"}:
                same = series[name].iloc[0]
                others = others[others[name].isna() if pd.isna(same) else others[name] == same]
            made.append(self._series(series.sort_values("time_months", kind="stable"), others, rule))
        filled = [each for each in made if len(each)]
        if not filled:
            return frame.iloc[:0]
        return pd.concat(filled, ignore_index=True)[list(frame.columns)]

    def _series(self, series: pd.DataFrame, all_causes: pd.DataFrame, rule: Steps) -> pd.DataFrame:
        series = series[np.isfinite(series["time_months"].astype(float)).to_numpy()]
        time = series["time_months"].to_numpy(dtype=float)
        at_risk = series["n_risk"].to_numpy(dtype=float)
        value = series[rule.value].to_numpy(dtype=float)
        if not len(series) or np.isnan(value).all() or not at_risk[0] >= self.rules.threshold:
            return series.iloc[:0]
        events = np.cumsum(np.nan_to_num(_events(series, all_causes, rule)))
        weighted = bool((at_risk % 1 != 0).any()) or not set(series.get("weighting", ["none"])) <= {"none"}
        size = round_count(at_risk[0], self.rules.rounding_base)
        # of how many a curve is can be read off its unit
        told = not math.isnan(self._count(at_risk[0], str(series["group"].iloc[0]) if "group" in series else ""))
        unit = self.rules.rounding_base / size if told and not weighted else 0.01
        least = self.rules.threshold / at_risk[0]
        step = self.rules.curve_step_months
        last = math.floor(round(time[-1] / step, 9))
        kept: list[dict[str, Any]] = [self._point(series, 0, rule, unit, float(time[0]), at_risk[0])]
        seen, shown = events[0], float(value[0])
        for month in (step * k for k in range(math.floor(time[0] / step) + 1, last + 1)):
            now = int(np.searchsorted(time, month, side="right")) - 1
            ahead = int(np.searchsorted(time, month, side="left"))
            risk = at_risk[ahead] if ahead < len(time) else 0.0
            if risk < self.rules.threshold:
                break
            rounded = round(float(value[now]) / unit) * unit
            if events[now] - seen >= self.rules.threshold and abs(rounded - shown) >= least - 1e-9:
                kept.append(self._point(series, now, rule, unit, month, risk))
                seen, shown = events[now], rounded
            else:  # nothing new is said but how many are at risk
                kept.append({**kept[-1], "time_months": month, "n_risk": float(self._rounded(risk))})
        if seen == events[0] and events[-1] > events[0]:
            kept = kept[:1]  # a line without a step would say that nothing happened
        # the curve goes on, unseen: who draws numbers at risk must not take its end for nobody left
        unknown = dict.fromkeys((rule.value, "ci_low", "ci_high", "n_risk"), math.nan)
        end = max(YEAR * (time[-1] // YEAR), kept[-1]["time_months"])
        kept += [{**kept[-1], **unknown}, {**kept[-1], **unknown, "time_months": float(end)}]
        return pd.DataFrame(kept)

    def _point(
        self, series: pd.DataFrame, number: int, rule: Steps, unit: float, month: float, risk: float
    ) -> dict[str, Any]:
        row = series.iloc[number].to_dict()
        for name in (rule.value, "ci_low", "ci_high"):
            rounded = round(float(row[name]) / unit) * unit if math.isfinite(float(row[name])) else float(row[name])
            row[name] = coarse(min(max(rounded, 0.0), 1.0) if rule.kind != "mean" else max(rounded, 0.0), 6)
        row |= dict.fromkeys({"n_event", "n_censor"} & set(row), 0.0)
        return {**row, "time_months": coarse(month, 6), "n_risk": float(self._rounded(risk))}

    def _rounded(self, count: float) -> int:
        return round_count(count, self.rules.rounding_base)

    # --- other curves ----------------------------------------------------------------------------------------------
    def at_risk(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table of numbers at risk."""
        made = frame.copy()
        groups = frame["group"].astype(str) if "group" in frame else [""] * len(frame)
        numbers = frame["n_risk"].astype(float)
        made["n_risk"] = [self._count(value, group) for value, group in zip(numbers, groups, strict=True)]
        for name in {"events_to_date", "censored_to_date"} & set(frame):
            made[name] = math.nan
        return made

    def shares(self, frame: pd.DataFrame, rule: Shares) -> pd.DataFrame:
        """Return curves of shares at multiples of the step of months, each step at least a threshold of patients."""
        size = float(self.public.get(rule.size, {}).get("value", math.nan))
        if not size > 0:
            return pd.DataFrame()
        unit, step = self.rules.threshold / size, self.rules.curve_step_months
        keys = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
        made = []
        for _, curve in frame.groupby(keys, sort=False, dropna=False):
            curve = curve.sort_values("time_months", kind="stable")
            time = curve["time_months"].to_numpy(dtype=float)
            months = np.append(step * np.arange(math.ceil(time[0] / step), math.ceil(time[-1] / step)), time[-1])
            at = np.searchsorted(time, months, side="right") - 1
            again = curve.iloc[at].assign(time_months=months)
            for name in rule.values:
                again[name] = [coarse(min(round(each / unit) * unit, 1.0), 6) for each in again[name].astype(float)]
            made.append(again)
        return pd.concat(made, ignore_index=True)

    def bins(self, frame: pd.DataFrame) -> pd.DataFrame | None:
        """Return a histogram with classes wide enough; None when there is no such width."""
        own = frame[frame["weighting"] == "none"]
        number = own.groupby("group").size().iloc[0]
        for joined in (k for k in range(1, number + 1) if number % k == 0):
            sums = own.assign(bin=own.groupby("group").cumcount() // joined).groupby(["group", "bin"])["n"].sum()
            if not any(is_small(count, self.rules.threshold) for count in sums):
                break
        else:
            return None
        keys = ["group", "label", "weighting"]
        grouped = frame.assign(bin=frame.groupby(["group", "weighting"]).cumcount() // joined).groupby(
            [*keys, "bin"], sort=False
        )
        made = grouped.agg(
            bin_low=("bin_low", "min"), bin_high=("bin_high", "max"), n=("n", "sum"), share=("share", "sum")
        )
        made = made.reset_index().drop(columns="bin")
        plain = made["weighting"] == "none"
        made["n"] = [self._rounded(n) if known else math.nan for n, known in zip(made["n"], plain, strict=True)]
        totals = made[plain].groupby("group")["n"].sum()
        made["share"] = [
            coarse(n / totals[group], 6) if known and totals[group] else round(share, 2)
            for n, group, share, known in zip(made["n"], made["group"], made["share"], plain, strict=True)
        ]
        return made[list(frame.columns)]

    def bound(self, frame: pd.DataFrame, rule: Bound) -> pd.DataFrame:
        """Return a frame whose numbers are those of the public ARD."""
        for column, value in rule.drop:
            frame = frame[frame[column] != value]
        for column, value in rule.regular:
            frame = _regular(frame, column, value, self.rules.curve_step_months)
        ids = [name for name in frame if name.endswith("_id")]
        numeric = [
            name for name in frame.columns
            if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
        ]  # fmt: skip
        made = frame.astype({name: "float64" for name in numeric}).reset_index(drop=True)
        rows = made.to_dict("records")
        for name in numeric:
            if name not in rule.axes:
                made[name] = [self._value(row, name, ids, rule) for row in rows]
        if {"percent", "n", "total"} <= set(made):  # of rounded counts, where no row of the ARD states it
            unknown = made["percent"].isna() & frame["percent"].notna().to_numpy()
            made.loc[unknown, "percent"] = 100 * made["n"] / made["total"]
        for name in set(made.columns) - set(numeric) - set(ids):
            if made[name].map(lambda text: isinstance(text, str)).any():
                made[name] = [public_words(text, self.rules) if isinstance(text, str) else text for text in made[name]]
        return made

    def _value(self, row: Mapping[str, Any], name: str, ids: Iterable[str], rule: Bound) -> float:
        value = float(row[name])
        if math.isnan(value):
            return value
        known = [row[each] for each in ids if isinstance(row[each], str) and row[each] in self.private]
        withheld = False
        for identifier in known:
            private, public = self.private[identifier], self.public[identifier]
            if public["withheld"] and name not in rule.counts:
                withheld = True
            for column in NUMERIC:
                if _same(value, private[column]):
                    return float(public[column])
            for count in self._counts_of(identifier):
                if name in rule.counts and _same(value, self.private[count]["value"]):
                    return float(self.public[count]["value"])
        if name in rule.counts:
            return self._count(value, str(row.get("group", "")))
        if withheld:
            return math.nan
        if name in rule.model:
            return coarse(value, self.rules.significant_digits)
        if name in rule.shares:  # of patients if the row is about some, of an axis otherwise
            return coarse(round(value / SHARE_STEP) * SHARE_STEP, 6) if known else value
        return math.nan

    def _counts_of(self, identifier: str) -> list[str]:
        if identifier not in self.roles:
            own = f"{identifier.rpartition('.')[0]}.n"
            self.roles[identifier] = [*self.index.of(identifier).values(), *([own] if own in self.private else [])]
        return self.roles[identifier]

    def _count(self, value: float, group: str = "") -> float:
        """Return a count, or a sum of weights, that no row of the ARD is known to state.

        One as large as a hidden count of the same part of the ARD (and group, if the curve has groups) may be it.
        """
        if math.isnan(value) or 0 < value < self.rules.threshold or value in self.hidden.get((self.part, group), ()):
            return math.nan
        return float(self._rounded(value))


def _events(series: pd.DataFrame, all_causes: pd.DataFrame, rule: Steps) -> np.ndarray:
    """Return the number of events (or their weight) at each time of a curve."""
    if "n_event" in series:
        return series["n_event"].to_numpy(dtype=float)
    change = np.abs(np.diff(series[rule.value].to_numpy(dtype=float), prepend=series[rule.value].iloc[0]))
    at_risk = series["n_risk"].to_numpy(dtype=float)
    if rule.kind != "incidence":
        return change * at_risk  # of those still alive it would be more
    together = all_causes.groupby("time_months")["incidence"].sum().reindex(series["time_months"]).to_numpy(dtype=float)
    free = np.concatenate([[1.0], 1.0 - together[:-1]])
    return np.where(free > 1e-9, change * at_risk / np.maximum(free, 1e-9), 0.0)


def _regular(frame: pd.DataFrame, column: str, value: str, step: float) -> pd.DataFrame:
    """Return a frame in which smooth curves are known at multiples of `step` months instead of where events were."""
    smooth = frame[frame[column] == value]
    keys = [name for name in smooth.columns if not pd.api.types.is_numeric_dtype(smooth[name])]
    made = [frame[frame[column] != value]]
    for _, curve in smooth.groupby(keys, sort=False, dropna=False):
        curve = curve.sort_values("time_months")
        time = curve["time_months"].to_numpy(dtype=float)
        months = step * np.arange(math.ceil(time[0] / step), math.floor(time[-1] / step) + 1)
        if not len(months):
            continue
        again = pd.concat([curve.iloc[[0]]] * len(months), ignore_index=True)
        for name in curve.columns:
            if pd.api.types.is_numeric_dtype(curve[name]):
                again[name] = np.interp(months, time, curve[name].to_numpy(dtype=float))
        again["time_months"] = months
        made.append(again)
    return pd.concat(made, ignore_index=True)


def _same(one: float, other: Any) -> bool:
    try:
        return math.isclose(one, float(other), rel_tol=1e-9, abs_tol=1e-12)
    except (TypeError, ValueError):
        return False
