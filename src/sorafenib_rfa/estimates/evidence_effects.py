"""Published effects, sizes and harms as rows of the ARD, with how each figure is known and whether it is coherent."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, ard_id
from sorafenib_rfa.estimates.common import NAN
from sorafenib_rfa.estimates.evidence_common import (
    DESIGNS,
    ENDPOINTS,
    MONTHS,
    SETTINGS,
    STUDIES,
    members,
    status_words,
)
from sorafenib_rfa.estimates.evidence_selection import select_effects
from sorafenib_rfa.estimates.members import QUOTED
from sorafenib_rfa.evidence.consistency import FROM_P, printed_percentages
from sorafenib_rfa.evidence.tables import Evidence
from sorafenib_rfa.stats.proportions import clopper_pearson, newcombe_difference, risk_ratio

ENGINE = "sorafenib_rfa.estimates.evidence_effects"
CONSISTENCY = "sorafenib_rfa.evidence.consistency"
PROPORTIONS = "sorafenib_rfa.stats.proportions"
PRINTED = "as published"

_MEASURES: Final = {"HR": "hazard ratio", "RR": "risk ratio", "OR": "odds ratio"}
_FIELDS: Final = {
    "estimate": "estimate",
    "ci_low": "limits",
    "ci_high": "limits",
    "p_value": "p",
    "p_sided": "sides of p",
}
_SIZES: Final = {
    "n_screened": "patients screened",
    "n_treated": "patients of the arm treated",
    "n_control": "patients of the comparator",
    "n_randomised": "patients of all arms",
    "n_countries": "countries",
}

_EVENT_OF: Final = {"RFS": "Recurrence or death", "DFS": "Recurrence or death", "TTR": "Recurrence", "OS": "Death"}
"""Endpoint -> the event counted, as ``event_counts.csv`` calls it."""

_CONTRASTS: Final = (
    ("risk_difference", newcombe_difference, 100, "percent", "difference, Newcombe's interval", "difference", "rd_id"),
    ("risk_ratio", risk_ratio, 1, "ratio", "ratio, Koopman's score interval", "ratio", "rr_id"),
)
"""Statistic, its function, factor to its unit, unit, words, column of the curve, column of its ARD id."""

_STUDY_COLUMNS: Final = [
    *("study_id", "label", "year", "setting", "setting_label", "design", "design_label", "population", "treated"),
    *("comparator", "n_screened", "n_treated", "n_control", "registration", "role", "why_not_pooled", "endpoints"),
    *("source_id", "citation", "citation_key", "read_extent", "status"),
    *("n_screened_id", "n_treated_id", "n_control_id"),
]
_EFFECT_COLUMNS: Final = [
    *("effect_id", "study_id", "label", "year", "setting", "setting_label", "design", "design_label", "design_group"),
    *("endpoint", "endpoint_label", "look", "measure", "treated", "comparator", "hr", "lo", "hi", "ci_level"),
    *("reported_lo", "reported_hi", "p_value", "p_sided", "se", "verified", "basis", "status", "p_from_ci"),
    *("p_agrees", "note", "pooled_in", "pooled_in_all", "why_not_pooled", "median_treated", "median_control"),
    *("n_treated", "n_control", "citation_key", "ard_id", "reported_id", "p_from_ci_id", "median_treated_id"),
    *("median_control_id", "n_treated_id", "n_control_id"),
    *("p_decimals", "median_treated_decimals", "median_control_decimals"),
]
_CONSISTENCY_COLUMNS: Final = [
    *("effect_id", "study_id", "label", "endpoint", "look", "hr", "reported_lo", "reported_hi", "ci_level", "p_value"),
    *("p_sided", "p_from_ci", "p_agrees", "se_ci", "se_p", "se_p_low", "se_p_high", "from_p_lo", "from_p_hi"),
    *("basis", "se", "verified", "note", "status", "p_from_ci_id", "hr_from_p_id"),
]
_HARM_COLUMNS: Final = [
    *("outcome_id", "study_id", "label", "outcome", "grades", "counted", "status", "citation_key"),
    *("treated_percent", "treated_lo", "treated_hi", "control_percent", "control_lo", "control_hi"),
    *("difference", "difference_lo", "difference_hi", "ratio", "ratio_lo", "ratio_hi"),
    *("treated_percent_id", "control_percent_id", "treated_events_id", "treated_total_id"),
    *("control_events_id", "control_total_id", "rd_id", "rr_id", "p_value", "p_sided", "p_id"),
    *("treated_decimals", "control_decimals", "p_decimals"),
]
_NUMBERS: Final = frozenset(
    {"year", "n_screened", "n_treated", "n_control", "hr", "lo", "hi", "ci_level", "reported_lo", "reported_hi"}
    | {"p_value", "se", "p_from_ci", "median_treated", "median_control", "se_ci", "se_p", "se_p_low", "se_p_high"}
    | {"from_p_lo", "from_p_hi", "treated_percent", "treated_lo", "treated_hi", "control_percent", "control_lo"}
    | {"p_decimals", "median_treated_decimals", "median_control_decimals", "treated_decimals", "control_decimals"}
    | {"control_hi", "difference", "difference_lo", "difference_hi", "ratio", "ratio_lo", "ratio_hi"}
)


def estimate_effects(evidence: Evidence, plan: Plan, cohort_name: str, record: str) -> Estimates:
    """Quote published effects, and say how each is known and whether its figures cohere.

    Parameters
    ----------
    evidence : Evidence
        The tables of published studies.
    plan : Plan
        Its ``evidence`` and ``confidence_level``.
    cohort_name : str
        Name under which the results stand.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``effects``. Quoted (population "As published"): ``effects.<effect_id>.hr`` (or ``rr``, ``or``;
        interval at the level printed, p as printed), ``.median_treated|median_control`` (months);
        ``effects.<study_id>.n_screened|n_treated|n_control|n_randomised|n_countries|n_both_arms``;
        ``effects.<outcome_id>.treated|control.events|total``, ``.p_printed``, and ``.percent`` where counts are not
        given. Computed from what was quoted: ``effects.<effect_id>.p_from_ci``,
        ``.hr_from_p`` (interval from estimate and p); ``effects.<outcome_id>.treated|control.percent`` with the exact
        interval, ``.risk_difference``, ``.risk_ratio`` (not of an event of which the study gives a hazard
        ratio); counts ``effects.listed.*`` and ``effects.consistency.*``.

        Curves: ``evidence_studies, evidence_effects, evidence_consistency, evidence_harms``, a row a study, effect,
        effect with an estimate, outcome.
    """
    selected = select_effects(evidence, plan)
    part = _Quoted(ArdBuilder(cohort_name, "effects", record), evidence, plan.confidence_level)
    curves = {"evidence_studies": part.add_studies(selected)}
    curves |= part.add_effects(selected)
    curves["evidence_harms"] = part.add_harms(selected)
    part.add_counts(selected)
    return part.ard.estimates(curves)


class _Quoted:
    """Rows of the part.

    Parameters
    ----------
    ard : ArdBuilder
    evidence : Evidence
    level : float
        Confidence level of what is computed here.
    """

    def __init__(self, ard: ArdBuilder, evidence: Evidence, level: float) -> None:
        self.ard = ard
        self.evidence = evidence
        self.sources = evidence.sources.set_index("source_id")
        self.level = level

    def _quote(
        self, analysis: str, stat: str, value: float, unit: str, method: str, *, variable: str = "", **interval: float
    ) -> str:
        return self.ard.add(
            analysis,
            stat,
            value,
            unit=unit,
            method=method,
            engine=PRINTED,
            population=QUOTED,
            variable=variable,
            **interval,
        )

    def _cited(self, source_id: str) -> str:
        return f"citation {self.sources.at[source_id, 'citation_key']}"

    # --- studies -----------------------------------------------------------------------------------

    def add_studies(self, selected: pd.DataFrame) -> pd.DataFrame:
        """Add the sizes of the studies; return the curve of studies, by setting and year."""
        reported = selected.groupby("study_id")["endpoint"].agg(lambda found: " ".join(dict.fromkeys(found)))
        rows = []
        order = {setting: j for j, setting in enumerate(SETTINGS)}
        studies = self.evidence.studies.assign(order=self.evidence.studies["setting"].map(order))
        for study in studies.sort_values(["order", "year", "study_id"]).itertuples(index=False):
            status = status_words(self.evidence, "studies", study.study_id, _SIZES)
            row = study._asdict() | {
                "setting_label": SETTINGS[study.setting],
                "design_label": DESIGNS[study.design],
                "endpoints": reported.get(study.study_id, ""),
                "status": status,
                **{
                    name: self.sources.at[study.source_id, name] for name in ("citation", "citation_key", "read_extent")
                },
            }
            for stat, what in _SIZES.items():
                value = getattr(study, stat)
                known = not np.isnan(value)
                row[f"{stat}_id"] = ""
                if known:
                    own = status_words(self.evidence, "studies", study.study_id, {stat: what})
                    row[f"{stat}_id"] = self._quote(
                        study.study_id,
                        stat,
                        value,
                        "count",
                        f"{study.label}: {own}; as published, {self._cited(study.source_id)}",
                    )
            rows.append(row)
            both = study.n_treated + study.n_control
            if not np.isnan(both):
                self._quote(
                    study.study_id,
                    "n_both_arms",
                    both,
                    "count",
                    f"{study.label}: patients of both arms, the sum of the two as published, "
                    f"{self._cited(study.source_id)}; {status}",
                )
        return _frame(rows, _STUDY_COLUMNS)

    # --- effects -----------------------------------------------------------------------------------

    def add_effects(self, selected: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Add the effects, medians and what can be recomputed; return the curves of effects and of their coherence."""
        effects, checks = [], []
        for effect in selected.itertuples(index=False):
            row = self._add_effect(effect)
            effects.append(row)
            if not np.isnan(effect.estimate):
                checks.append(row)
        return {
            "evidence_effects": _frame(effects, _EFFECT_COLUMNS),
            "evidence_consistency": _frame(checks, _CONSISTENCY_COLUMNS),
        }

    def _add_effect(self, effect: tuple) -> dict:
        name, measure = effect.effect_id, effect.measure
        what = f"{effect.label}, {ENDPOINTS[effect.endpoint].lower()}"
        status = status_words(self.evidence, "effects", name, _FIELDS)
        cited = self._cited(effect.source_id)
        if np.isnan(effect.estimate):
            method = f"not estimable: {what}: no {_MEASURES[measure]} could be read; {cited}"
        else:
            level = "" if np.isnan(effect.ci_level) else f", {effect.ci_level:g} % interval"
            sides = f", {effect.p_sided}-sided p" if _filled(effect.p_sided) else ""
            method = f"{what}: {_MEASURES[measure]}{level}{sides}, as published, {cited}; {status}"
        reported_id = self._quote(
            name,
            measure.lower(),
            effect.estimate,
            "ratio",
            method,
            ci_low=effect.ci_low,
            ci_high=effect.ci_high,
            p_value=effect.p_value,
        )
        p_id = self._add_p_from_ci(effect, what)
        from_p_id = self._add_from_p(effect, what)
        return {
            **{key: getattr(effect, key) for key in _EFFECT_COLUMNS + _CONSISTENCY_COLUMNS if hasattr(effect, key)},
            "setting_label": SETTINGS[effect.setting],
            "design_label": DESIGNS[effect.design],
            "endpoint_label": ENDPOINTS[effect.endpoint],
            "hr": effect.estimate,
            "ci_level": effect.level_drawn,
            "reported_lo": effect.ci_low,
            "reported_hi": effect.ci_high,
            "from_p_lo": effect.ci_from_p_low,
            "from_p_hi": effect.ci_from_p_high,
            "status": status,
            "citation_key": self.sources.at[effect.source_id, "citation_key"],
            "ard_id": from_p_id if effect.basis == FROM_P else reported_id,
            "reported_id": reported_id,
            "p_decimals": self._decimals("effects", name, "p_value"),
            "p_from_ci_id": p_id,
            "hr_from_p_id": from_p_id,
            **self._add_medians(effect, what),
            **{f"{size}_id": self._size_id(effect, size) for size in ("n_treated", "n_control")},
        }

    def _decimals(self, table: str, key: str, field: str) -> float:
        """Return with how many decimals a figure is printed, NaN where it is blank."""
        found = self.evidence.decimals(table, key, field)
        return NAN if found is None else float(found)

    @staticmethod
    def _size_id(effect: tuple, size: str) -> str:
        return "" if np.isnan(getattr(effect, size)) else ard_id("effects", effect.study_id, size)

    def _add_p_from_ci(self, effect: tuple, what: str) -> str:
        """Add the p value that the interval implies; return its id, or ''."""
        if np.isnan(effect.p_from_ci):
            return ""
        sides = effect.p_sided if _filled(effect.p_sided) else "two"
        agrees = effect.p_agrees
        verdict = "no p value printed" if pd.isna(agrees) else "agrees with it" if agrees else "does not agree with it"
        printed = "" if pd.isna(agrees) else f" (printed: {effect.p_value:g})"
        return self.ard.add(
            effect.effect_id,
            "p_from_ci",
            effect.p_from_ci,
            unit="p",
            method=f"{what}: {sides}-sided p from the interval and its level, "
            f"{verdict}{printed}; {status_words(self.evidence, 'effects', effect.effect_id, _FIELDS)}",
            engine=CONSISTENCY,
            population=STUDIES,
        )

    def _add_from_p(self, effect: tuple, what: str) -> str:
        """Add the interval that estimate and p imply; return its id, or ''."""
        if np.isnan(effect.ci_from_p_low):
            return ""
        level = 100 * self.level if np.isnan(effect.ci_level) else effect.ci_level
        moved = max(effect.se_p_high / effect.se_p, effect.se_p / effect.se_p_low) - 1
        return self.ard.add(
            effect.effect_id,
            "hr_from_p",
            effect.estimate,
            ci_low=effect.ci_from_p_low,
            ci_high=effect.ci_from_p_high,
            unit="ratio",
            method=f"{what}: hazard ratio as published with the {level:g} % interval that it and the p value "
            f"imply (rounding of the print moves the standard error by up to {_share(moved)}); "
            f"{status_words(self.evidence, 'effects', effect.effect_id, _FIELDS)}",
            engine=CONSISTENCY,
            population=STUDIES,
        )

    def _add_medians(self, effect: tuple, what: str) -> dict:
        """Add medians in months; return them and their ids."""
        found = {}
        for arm, of in (("treated", effect.treated), ("control", effect.comparator)):
            stat, printed = f"median_{arm}", getattr(effect, f"median_{arm}")
            found |= {stat: NAN, f"{stat}_id": "", f"{stat}_decimals": NAN}
            if np.isnan(printed):
                continue
            unit = effect.median_unit
            if unit == "months":  # a converted one has no decimals of its own
                found[f"{stat}_decimals"] = self._decimals("effects", effect.effect_id, stat)
            converted = "" if unit == "months" else f", converted from {printed:g} {unit} (a month is 30.4375 days)"
            found[stat] = printed * MONTHS[unit]
            found[f"{stat}_id"] = self._quote(
                effect.effect_id,
                stat,
                found[stat],
                "months",
                f"{what}: median, {of}, as published, {self._cited(effect.source_id)}{converted}; "
                f"{status_words(self.evidence, 'effects', effect.effect_id, {stat: 'median'})}",
            )
        return found

    # --- harms and other counted outcomes ----------------------------------------------------------

    def add_harms(self, selected: pd.DataFrame) -> pd.DataFrame:
        """Add outcomes published as counts or percentages; return their curve, studies in the order of their years.

        Arms are not contrasted in counts where the study gives a hazard ratio of the same event: counts ignore for how
        long arms were followed, which the hazard ratio does not.
        """
        given = selected[selected["estimate"].notna()]
        timed = {(row.study_id, _EVENT_OF.get(row.endpoint)) for row in given.itertuples(index=False)}
        labels = self.evidence.studies.set_index("study_id")[["label", "year"]]
        outcomes = self.evidence.event_counts.join(labels, on="study_id").sort_values(["year", "study_id", "src_row"])
        rows = [
            self._add_outcome(outcome, contrasted=(outcome.study_id, outcome.outcome) not in timed)
            for outcome in outcomes.itertuples(index=False)
        ]
        return _frame(rows, _HARM_COLUMNS)

    def _add_outcome(self, outcome: tuple, *, contrasted: bool) -> dict:
        name = outcome.outcome_id
        grades = f", grade {outcome.grades}" if _filled(outcome.grades) and outcome.grades != "all" else ""
        what = f"{outcome.label}: {outcome.outcome[0].lower()}{outcome.outcome[1:]}{grades}, by {outcome.counted}"
        row = {key: getattr(outcome, key) for key in ("study_id", "label", "outcome", "grades", "counted")} | {
            "outcome_id": name,
            "status": status_words(
                self.evidence,
                "event_counts",
                name,
                {f"{kind}_{arm}": kind for kind in ("events", "total", "percent") for arm in ("treated", "control")},
            ),
            "citation_key": self.sources.at[outcome.source_id, "citation_key"],
        }
        counted = {}
        for arm in ("treated", "control"):
            numbers = [getattr(outcome, f"{kind}_{arm}") for kind in ("events", "total")]
            for kind, value in zip(("events", "total"), numbers, strict=True):
                row[f"{arm}_{kind}_id"] = ""
                if not np.isnan(value):
                    own = status_words(self.evidence, "event_counts", name, {f"{kind}_{arm}": kind})
                    row[f"{arm}_{kind}_id"] = self._quote(
                        name,
                        kind,
                        value,
                        "count",
                        f"{what}, {arm}; as published, {self._cited(outcome.source_id)}; {own}",
                        variable=arm,
                    )
            if not np.isnan(numbers).any():
                counted[arm] = numbers
            row |= self._add_percent(outcome, arm, what, counted.get(arm))
        row |= self._add_printed_p(outcome, what)
        if len(counted) == 2 and contrasted:
            row |= self._add_contrasts(outcome, what, counted)
        return {"rd_id": "", "rr_id": ""} | row

    def _add_percent(self, outcome: tuple, arm: str, what: str, counted: list[float] | None) -> dict:
        """Add the percentage of an arm: of the counts if there are any, else as printed."""
        printed = getattr(outcome, f"percent_{arm}")
        own = status_words(self.evidence, "event_counts", outcome.outcome_id, {f"percent_{arm}": "percent"})
        if counted is not None:
            share = clopper_pearson(*counted, self.level)
            value, low, high = (100 * x for x in (share.estimate, share.ci_low, share.ci_high))
            beside = "" if np.isnan(printed) else f" (printed: {printed:g} %)"
            identifier = self.ard.add(
                outcome.outcome_id,
                "percent",
                value,
                ci_low=low,
                ci_high=high,
                unit="percent",
                variable=arm,
                method=f"{what}, {arm}: {counted[0]:g} of {counted[1]:g}{beside}; exact interval"
                f"{_independent(outcome)}; {self._counts_words(outcome)}",
                engine=PROPORTIONS,
                population=STUDIES,
            )
        elif not np.isnan(printed):
            value, low, high = printed, NAN, NAN
            identifier = self._quote(
                outcome.outcome_id,
                "percent",
                value,
                "percent",
                f"{what}, {arm}; as published, {self._cited(outcome.source_id)}; {own}",
                variable=arm,
            )
        else:
            value = low = high = NAN
            identifier = ""
        decimals = self._decimals("event_counts", outcome.outcome_id, f"percent_{arm}") if counted is None else NAN
        return {
            f"{arm}_percent": value,
            f"{arm}_lo": low,
            f"{arm}_hi": high,
            f"{arm}_percent_id": identifier,
            f"{arm}_decimals": decimals,
        }

    def _add_printed_p(self, outcome: tuple, what: str) -> dict:
        """Add the p value that is printed beside an outcome; return it and its id."""
        name, printed = outcome.outcome_id, outcome.p_value
        found = {"p_value": printed, "p_sided": outcome.p_sided, "p_id": "", "p_decimals": NAN}
        if np.isnan(printed):
            return found
        own = status_words(self.evidence, "event_counts", name, {"p_value": "p", "p_sided": "sides of p"})
        cited = self._cited(outcome.source_id)
        found["p_id"] = self._quote(
            name, "p_printed", printed, "p", f"{what}: {outcome.p_sided}-sided p, as published, {cited}; {own}"
        )
        found["p_decimals"] = self._decimals("event_counts", name, "p_value")
        return found

    def _counts_words(self, outcome: tuple) -> str:
        fields = {f"{kind}_{arm}": "counts" for kind in ("events", "total") for arm in ("treated", "control")}
        return status_words(self.evidence, "event_counts", outcome.outcome_id, fields)

    def _add_contrasts(self, outcome: tuple, what: str, counted: dict[str, list[float]]) -> dict:
        """Add risk difference and ratio of the two arms' counts."""
        both = (*counted["treated"], *counted["control"], self.level)
        found = {}
        for stat, function, scale, unit, words, name, identifier in _CONTRASTS:
            result = function(*both)
            values = [scale * x for x in (result.estimate, result.ci_low, result.ci_high)]
            found |= dict(zip((name, f"{name}_lo", f"{name}_hi"), values, strict=True))
            found[identifier] = self.ard.add(
                outcome.outcome_id,
                stat,
                values[0],
                ci_low=values[1],
                ci_high=values[2],
                unit=unit,
                method=f"{what}: treated against control, {words}{_independent(outcome)}; crude: arms are "
                f"followed, and treated, for different times; {self._counts_words(outcome)}",
                engine=PROPORTIONS,
                population=STUDIES,
            )
        return found

    # --- counts ------------------------------------------------------------------------------------

    def add_counts(self, selected: pd.DataFrame) -> None:
        """Count studies and effects, how the effects are known, and whether p values agree with intervals."""
        given = selected["estimate"].notna()
        with_se = given & selected["se"].notna()
        verified = with_se & selected["verified"]
        counts = {
            "effects": (selected, "effects in the tables: a study, endpoint and look each"),
            "without_estimate": (selected[~given], "effects of which no estimate could be read"),
            "with_estimate": (selected[given], "effects with an estimate"),
            "verified": (selected[verified], "effects whose estimate and standard error were read"),
            "recalled": (selected[with_se & ~verified], "effects whose standard error rests on recalled figures"),
            "no_standard_error": (selected[given & ~with_se], "effects with an estimate and no usable standard error"),
        }
        sizes = {stat: len(rows) for stat, (rows, _) in counts.items()}
        if (
            sizes["effects"] != sizes["with_estimate"] + sizes["without_estimate"]
            or sizes["with_estimate"] != sizes["verified"] + sizes["recalled"] + sizes["no_standard_error"]
        ):
            raise ValueError(f"effects are not all counted once: {sizes}")
        for stat, (rows, what) in counts.items():
            self._count("listed", stat, rows, "effect_id", what)
        self._count("listed", "studies", self.evidence.studies, "study_id", "studies in the tables")
        agrees = selected["p_agrees"].astype("boolean")
        checked = agrees.notna()
        for stat, where, what in (
            ("checked", checked, "effects with an interval and a p value, whose agreement can be checked"),
            (
                "agrees",
                checked & agrees.fillna(False),
                "effects whose p value agrees with the interval within its print",
            ),
            ("disagrees", checked & ~agrees.fillna(True), "effects whose p value does not agree with the interval"),
        ):
            self._count("consistency", stat, selected[where.astype(bool)], "effect_id", what)
        percents = printed_percentages(self.evidence)
        percents["key"] = percents["outcome_id"] + "." + percents["arm"]
        for stat, rows, what in (
            ("percent_checked", percents, "printed percentages whose counts are printed too"),
            ("percent_agrees", percents[percents["agrees"]], "printed percentages that are those of their counts"),
            (
                "percent_disagrees",
                percents[~percents["agrees"]],
                "printed percentages that are not those of their counts",
            ),
        ):
            self._count("consistency", stat, rows, "key", what)

    def _count(self, analysis: str, stat: str, rows: pd.DataFrame, key: str, what: str) -> None:
        self.ard.add(
            analysis,
            stat,
            len(rows),
            unit="count",
            method=what,
            engine=ENGINE,
            population=STUDIES,
            members=members(rows, key),
        )


def _filled(text: object) -> bool:
    return not pd.isna(text) and text != ""


def _independent(outcome: tuple) -> str:
    return "" if outcome.counted == "patients" else f", {outcome.counted} taken as independent"


def _share(moved: float) -> str:
    return f"{100 * moved:.1f} %" if math.isfinite(moved) else "any amount"


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    for column in columns:
        if column in _NUMBERS:
            frame[column] = frame[column].astype("float64")
        elif column == "p_agrees":
            frame[column] = frame[column].astype("boolean")
        elif column == "verified":
            frame[column] = frame[column].astype(bool)
        else:
            frame[column] = frame[column].astype("string").fillna("")
    return frame
