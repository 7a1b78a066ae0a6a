"""The public ARD: what is released of each row, and in which form.

Counts are rounded, what is made of counts is made again of the rounded ones, the rest is coarsened, and what rests on
a hidden count is hidden with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.relations import Counts, find_counts
from sorafenib_rfa.disclosure.suppression import State, Suppressed, hidden_ids, is_small, round_count, suppress
from sorafenib_rfa.estimates.ard import ARD_COLUMNS, NUMERIC
from sorafenib_rfa.estimates.counted import has_members
from sorafenib_rfa.estimates.members import QUOTED, CountIndex
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.proportions import (
    Interval,
    clopper_pearson,
    incidence_rate,
    newcombe_difference,
    risk_ratio,
    wilson,
)
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS

PUBLIC_COLUMNS: Final = (*ARD_COLUMNS, "withheld", "disclosure")
"""Columns of the public ARD: ``withheld`` is what is printed in place of a value that is not released."""

SUPPRESSED: Final = "[suppressed]"
WITHHELD: Final = "[withheld]"

TREATMENTS: Final[Mapping[str, str]] = {
    "released": "released as it is: no patient is counted in it",
    "rounded": "count, rounded",
    "recomputed": "computed again from rounded counts",
    "coarsened": "estimate, rounded to significant digits",
    "multiple": "probability, rounded to a multiple of the rounding base over the number of patients",
    "suppressed": "count below the threshold, or hidden so that no such count can be worked out",
    "rests_on_suppressed": "rests on a count that is suppressed",
    "single_patient": "value of a single patient: a least, a largest",
    "unresolved": "of how many patients it speaks is not known to the program",
}
"""What can become of a row of the ARD, in words."""

SMALLEST_P: Final = 1e-4
SMD_STEP: Final = 0.05
"""Standardised differences without weights are multiples of this: those of shares could be solved for counts."""

_OUTSIDE: Final = ("agreement", "published", "validation")
"""Parts that speak of no patient of the cohort: agreement with R, quoted figures, what is true of simulated cohorts."""
_COPIES: Final = ("target_trial.clones",)
"""Counts of copies: whoever knows them knows the patients."""
_SINGLE: Final = re.compile(
    r"min|max|minimum|maximum|range|shortest|longest|first|last|(?:largest|smallest|max|min|highest|lowest)_"
    r"(?:weight|dose|value|duration|time|age|grade|ratio_of_uln)"
)
_WEIGHTED: Final = re.compile(r"weight|overlap|iptw|_att\b|ccw|clone|imput|adjusted|matched|cox|score", re.IGNORECASE)
_PROBABILITIES: Final = ("survival", "incidence", "probability", "cumulative_incidence", "event_percent", "risk")
_COUNTED_NOUN: Final = re.compile(
    r"\b(?P<number>\d{1,3}(?:,\d{3})+|\d+)(?=\s+(?:(?:[a-z-]+\s+)?(?:patients?|people|persons?|deaths?|tumours?)|events?|"
    r"sessions?|copies|pairs?|rows?|values?|recurrences?|results?)\b(?!-))"
    r"|(?<=\bof )(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?=\s*(?:[;.)]|$))"
)


@dataclass(frozen=True)
class PublicResults:
    """What of an ARD may leave the house.

    Attributes
    ----------
    ard : DataFrame
        :data:`PUBLIC_COLUMNS`, sorted by id.
    counts : Counts
        The counts with their relations.
    suppressed : Suppressed
        What became of them; private.
    """

    ard: pd.DataFrame
    counts: Counts
    suppressed: Suppressed


def public_results(
    ard: pd.DataFrame,
    members: pd.DataFrame,
    rules: Disclosure,
    *,
    level: float,
    stated: Mapping[str, Mapping[str, float]] | None = None,
    complementary: bool = True,
) -> PublicResults:
    """Return the part of an ARD that may leave the house.

    Parameters
    ----------
    ard, members : DataFrame
        The ARD of a cohort, and who was counted.
    rules : Disclosure
    level : float
        Confidence level of its intervals.
    stated : mapping, optional
        ARD id -> counts that a curve states beside it, by column: of how many patients values speak that no row of the
        ARD says it of (``curves.stated_counts``).
    complementary : bool
        Whether small counts are protected against being worked out (:func:`.suppression.suppress`).
    """
    published = ard["ard_id"].str.partition(".")[0].isin(EVIDENCE_PARTS)
    studies, ard = ard[published], ard[~published]
    members = members[members["ard_id"].isin(ard["ard_id"])]
    counts = find_counts(ard, members, threshold=rules.threshold) if len(ard) else Counts()
    suppressed = suppress(counts, rules, complementary=complementary)
    if ard.empty:
        return PublicResults(outside_results(studies), counts, suppressed)
    release = _Release(ard, rules, hidden_ids(counts, suppressed.states), level, stated or {})
    rows = [release.row(row) for row in ard.to_dict("records")]
    public = pd.DataFrame(rows, columns=list(PUBLIC_COLUMNS))
    public = pd.concat([public, outside_results(studies)]) if len(studies) else public
    for column in PUBLIC_COLUMNS:
        public[column] = public[column].astype("float64" if column in NUMERIC else "string")
    return PublicResults(public.sort_values("ard_id", ignore_index=True), counts, suppressed)


def outside_results(ard: pd.DataFrame) -> pd.DataFrame:
    """Return an ARD that speaks of no patient (what is true of a simulated cohort, studies) in the public form."""
    made = ard.assign(withheld="", disclosure="released")[list(PUBLIC_COLUMNS)]
    return made.astype({"withheld": "string", "disclosure": "string"})


def small_text(rules: Disclosure) -> str:
    """Return what is printed in place of a small count: ``<8``."""
    return f"<{rules.threshold}"


def coarse(value: Any, digits: int) -> float:
    """Return a number rounded to significant digits; infinite and missing ones as they are."""
    number = float(value)
    if number == 0 or not math.isfinite(number):
        return number
    return float(f"{number:.{digits}g}")


def coarse_p(value: Any, digits: int) -> float:
    """Return a p value rounded to significant digits, at least :data:`SMALLEST_P`."""
    number = float(value)
    return number if math.isnan(number) else max(coarse(number, digits), SMALLEST_P)


def public_words(text: str, rules: Disclosure) -> str:
    """Return a description in which every number of patients, events or rows is rounded, or said to be small."""

    def one(match: re.Match[str]) -> str:
        number = int((match["number"] or match["whole"]).replace(",", ""))
        if number == 0:
            return "0"
        small = is_small(number, rules.threshold)
        return f"fewer than {rules.threshold}" if small else f"{round_count(number, rules.rounding_base)}"

    return _COUNTED_NOUN.sub(one, text)


class _Release:
    """Turns rows of an ARD into what is released of them."""

    def __init__(
        self,
        ard: pd.DataFrame,
        rules: Disclosure,
        hidden: Mapping[str, State],
        level: float,
        stated: Mapping[str, Mapping[str, float]],
    ) -> None:
        self.rules, self.hidden, self.level, self.stated = rules, hidden, level, stated
        self.index = CountIndex(ard)
        self.exact = dict(zip(ard["ard_id"].astype(str), ard["value"].astype(float), strict=True))
        parts = ard["ard_id"].str.partition(".")[0]
        counting = [has_members(*row) for row in zip(parts, ard["stat_name"], ard["unit"], strict=True)]
        self.patients = set(ard.loc[counting, "ard_id"].astype(str))
        counted = ard[ard["unit"] == "count"]
        of_patients = set(ard.loc[counting, "analysis_id"])
        # analyses about analyses: what they count is no patient
        self.of_analyses = {str(name) for name in counted["analysis_id"].unique() if name not in of_patients}

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the public form of one row."""
        row = {**row, "method": public_words(str(row["method"]), self.rules)}
        identifier, unit = str(row["ard_id"]), str(row["unit"])
        part = identifier.partition(".")[0]
        name = f"{part}.{row['stat_name']}"
        if identifier in self.patients:
            return self._count(row)
        if part in _OUTSIDE or row["population"] == QUOTED:
            return self._as(row, "released")
        if unit == "count":
            if name not in _COPIES:
                return self._as(row, "released") if float(row["value"]).is_integer() else self._coarse(row)
            return self._as({**row, "value": float(round_count(row["value"], self.rules.rounding_base))}, "rounded")
        roles = self.index.of(identifier)
        own = f"{identifier.rpartition('.')[0]}.n" if row["stat_name"] == "percent" else ""
        if own not in self.patients or own in roles.values():
            own = ""  # the denominator itself
        resting = {*roles.values(), *([own] if own else [])}
        if any(count in self.hidden for count in resting):
            return self._withheld(row, "rests_on_suppressed", SUPPRESSED)
        if _SINGLE.fullmatch(str(row["stat_name"])) and resting & self.patients:
            return self._withheld(row, "single_patient", WITHHELD)
        if not resting & self.patients:
            return self._stated(row, identifier, resting)
        return self._of_counts(row, roles, own)

    # --- ways to release -----------------------------------------------------------------------------------------
    @staticmethod
    def _as(row: dict[str, Any], treatment: str) -> dict[str, Any]:
        return {**row, "withheld": "", "disclosure": treatment}

    @staticmethod
    def _withheld(row: dict[str, Any], treatment: str, text: str) -> dict[str, Any]:
        method = str(row["method"])
        reason = next((start for start in ("not estimable", "not tested") if method.startswith(start)), method)
        nothing = dict.fromkeys(NUMERIC, math.nan)
        return {**row, **nothing, "method": reason, "withheld": text, "disclosure": treatment}

    def _count(self, row: dict[str, Any]) -> dict[str, Any]:
        state = self.hidden.get(str(row["ard_id"]))
        if state is not None:
            return self._withheld(row, "suppressed", small_text(self.rules) if state == State.SMALL else SUPPRESSED)
        if math.isnan(row["value"]):
            return self._as(row, "rounded")
        return self._as({**row, "value": float(round_count(row["value"], self.rules.rounding_base))}, "rounded")

    def _coarse(self, row: dict[str, Any]) -> dict[str, Any]:
        digits = self.rules.significant_digits
        numbers = {name: coarse(row[name], digits) for name in ("value", "ci_low", "ci_high")}
        return self._as(
            {**row, **numbers, "p_value": coarse_p(row["p_value"], self.rules.significant_digits)}, "coarsened"
        )

    def _stated(self, row: dict[str, Any], identifier: str, resting: set[str]) -> dict[str, Any]:
        """Release what no count of patients states the size of, if a curve does or it counts analyses."""
        if resting or str(row["analysis_id"]) in self.of_analyses:
            return self._coarse(row)
        sizes = self.stated.get(identifier)
        if sizes is None:
            return self._withheld(row, "unresolved", WITHHELD)
        if any(is_small(size, self.rules.threshold) for size in sizes.values()):
            return self._withheld(row, "rests_on_suppressed", SUPPRESSED)
        return self._coarse(row)

    def _of_counts(self, row: dict[str, Any], roles: Mapping[str, str], own: str) -> dict[str, Any]:
        for formula in self._formulas(row, roles, own):
            again = formula(row)
            if again is not None:
                note = f"{row['method']}; computed again from rounded counts"
                return self._as({**row, **again, "p_value": math.nan, "method": note}, "recomputed")
        if own or any(role.startswith("numerator") for role in roles):
            return self._withheld(row, "unresolved", WITHHELD)  # of counts, and not known in what way
        weighted = _WEIGHTED.search(f"{row['analysis_id']} {row['method']} {row['population']}")
        if row["stat_name"] == "percent" and not weighted and f"{row['ard_id'].rpartition('.')[0]}.n" in roles.values():
            return self._withheld(row, "unresolved", WITHHELD)  # a share of nobody knows how many
        if row["stat_name"] == "smd" and not weighted:
            return self._as({**row, "value": round(float(row["value"]) / SMD_STEP) * SMD_STEP}, "coarsened")
        size = self._smallest(roles)
        if row["unit"] == "percent" and size and not weighted and row["stat_name"] in (*_PROBABILITIES, "difference"):
            # as exact as the percentages of rounded counts beside it
            step = 100 * self.rules.rounding_base / size
            limits = {name: float(row[name]) for name in ("value", "ci_low", "ci_high")}
            bound = {name: coarse(round(each / step) * step, 6) for name, each in limits.items() if math.isfinite(each)}
            if row["stat_name"] != "difference":
                bound = {name: min(max(each, 0.0), 100.0) for name, each in bound.items()}
            return self._as(
                {**row, **bound, "p_value": coarse_p(row["p_value"], self.rules.significant_digits)}, "multiple"
            )
        return self._coarse(row)

    def _smallest(self, roles: Mapping[str, str]) -> int:
        sizes = [self.exact[count] for role, count in roles.items() if role.partition("_")[0] == "n"]
        return round_count(min(sizes), self.rules.rounding_base) if sizes else 0

    # --- what is made of counts ----------------------------------------------------------------------------------
    def _formulas(
        self, row: dict[str, Any], roles: Mapping[str, str], own: str
    ) -> Iterator[Callable[[dict[str, Any]], dict[str, float] | None]]:
        """Yield what may have made a value of counts; each says None where it did not."""
        shares = self._shares(roles, own)
        if len(shares) == 1:
            yield lambda row: self._again(
                row, 100.0, lambda x, n: tuple(f(x, n, self.level) for f in (clopper_pearson, wilson)), shares[0]
            )
        if len(shares) == 2:
            for first, other in (shares, shares[::-1]):
                for scale, function in ((100.0, newcombe_difference), (1.0, newcombe_difference), (1.0, risk_ratio)):
                    yield lambda row, s=scale, f=function, c=(*first, *other): self._again(
                        row, s, lambda *counts: (f(*counts, self.level),), c
                    )
        if str(row["stat_name"]).startswith("rate_per") and roles.get("events") in self.patients:
            yield lambda row: self._rate(row, roles["events"])

    def _shares(self, roles: Mapping[str, str], own: str) -> list[tuple[str, str]]:
        """Return pairs of count and denominator: of one group, or of the two that are compared."""
        found = []
        for one, whole in (("numerator", "denominator"), ("events", "n")):
            for role in sorted(roles):
                if role.partition("_")[0] == one:
                    of = roles.get(role.replace(one, whole, 1)) or roles.get(whole)
                    if of:
                        found.append((roles[role], of))
            if found:
                return found
        of = roles.get("denominator") or roles.get("n")
        return [(own, of)] if own and of else []

    def _again(
        self,
        row: dict[str, Any],
        scale: float,
        function: Callable[..., tuple[Interval, ...]],
        counts: tuple[str, ...],
    ) -> dict[str, float] | None:
        """Return value and limits of rounded counts, if exact ones give those of the row."""
        exact = [self.exact[count] for count in counts]
        rounded = [round_count(each, self.rules.rounding_base) for each in exact]
        shares, totals = exact[::2], exact[1::2]
        if not all(np.isfinite(exact)) or min(totals) <= 0 or any(x > n for x, n in zip(shares, totals, strict=True)):
            return None
        try:
            made, again = function(*(int(each) for each in exact)), function(*rounded)
        except EstimationError:
            return None
        if math.isnan(row["value"]) or not _close(made[0].estimate * scale, row["value"]):
            return None
        digits = 10  # of what rounded counts alone give, nothing needs to be hidden
        result = {"value": coarse(again[0].estimate * scale, digits), "ci_low": math.nan, "ci_high": math.nan}
        for ours, new in zip(made, again, strict=True):
            if _close(ours.ci_low * scale, row["ci_low"]) and _close(ours.ci_high * scale, row["ci_high"]):
                result |= {"ci_low": coarse(new.ci_low * scale, digits), "ci_high": coarse(new.ci_high * scale, digits)}
                break
        return result

    def _rate(self, row: dict[str, Any], events_id: str) -> dict[str, float] | None:
        """Return a rate with its exact interval, of rounded events over coarsened time at risk."""
        events, value = self.exact[events_id], float(row["value"])
        if not value > 0 or not events > 0:
            return None
        per = 100.0 if "100" in str(row["stat_name"]) else 1.0
        time = events / value * per
        made = incidence_rate(int(events), time, self.level, per=per)
        rounded, public_time = (
            round_count(events, self.rules.rounding_base),
            coarse(time, self.rules.significant_digits),
        )
        again = incidence_rate(rounded, public_time, self.level, per=per)
        result = {"value": coarse(again.estimate, 10)}
        if _close(made.ci_low, row["ci_low"]) and _close(made.ci_high, row["ci_high"]):
            return result | {"ci_low": coarse(again.ci_low, 10), "ci_high": coarse(again.ci_high, 10)}
        digits = self.rules.significant_digits
        limits = {name: coarse(row[name], digits) for name in ("ci_low", "ci_high")}
        inside = not (limits["ci_low"] > result["value"] or limits["ci_high"] < result["value"])
        return result | (limits if inside else {"ci_low": math.nan, "ci_high": math.nan})


def _close(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=1e-7, atol=1e-9, equal_nan=True))
