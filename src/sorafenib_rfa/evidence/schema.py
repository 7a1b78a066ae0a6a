"""What the tables of published evidence hold: their columns, codes and keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SLUG = re.compile(r"[a-z0-9_]+")
SOURCE_ID = re.compile(r"S\d\d[a-z]?")
DOI = re.compile(r"10\.\d{4,}/\S+")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")

ENDPOINTS = ("RFS", "TTR", "OS", "TTP", "PFS", "PFS_TACE", "DFS", "TFS", "MVI_EHS", "UNTACEABLE")
LOOKS = ("primary", "interim_1", "interim_2", "final", "updated", "subset")
SETTINGS = (
    "adjuvant",
    "tace",
    "rfa_combination",
    "other_drug",
    "other_cancer",
    "other_adjuvant",
    "palliative",
    "meta_analysis",
)
DESIGNS = (
    "rct_double_blind",
    "rct_open_label",
    "cohort_matched",
    "cohort",
    "single_arm",
    "meta_analysis",
    "narrative",
)
UNITS = ("days", "weeks", "months", "years")
ARMS = ("treated", "control")
SECTIONS = (
    "introduction",
    "study analysis",
    "reasons of negative results",
    "perspective",
    "later evidence",
    "registration",
)
CLAIMED_UNITS = (*UNITS, "patients", "lesions", "countries", "trials", "percent", "ratio", "times")
BOTH_ARMS = "n_both_arms"
SIGNIFICANT = "significant"
"""What a statement refers to in the place of a field of ``effects``: whether the effect differs from none."""
CLAIMED_EFFECTS = ("no difference", "no benefit", "benefit", "harm")
QUOTED_FIGURE = re.compile(r"\{(\w+):([^:{}]+):(\w+)\}")
"""A figure within a reason by hand, ``{effects:storm_rfs:estimate}``: it is told as the tables print it."""
STARTS = MappingProxyType(
    {"rct_double_blind": "4", "rct_open_label": "4", "cohort_matched": "2", "cohort": "2", "single_arm": "2"}
)
"""Design of the studies of a finding -> level at which its certainty starts."""
COMPUTED_VERDICTS = ("supported", "unit error", "screened, not randomised", "contradicted", "not verifiable")
HAND_VERDICTS = ("supported", "contradicted", "superseded", "not verifiable", "omission")
# Domains and judgements in short words of our own; the tools' own wording is not reproduced.
BIAS_TOOLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "RoB 2": (
            ("randomisation", "deviations", "missing outcomes", "measurement", "selective reporting", "overall"),
            ("low", "some concerns", "high", "no information"),
        ),
        "ROBINS-I": (
            (
                "confounding",
                "selection",
                "classification",
                "deviations",
                "missing data",
                "measurement",
                "selective reporting",
                "overall",
            ),
            ("low", "moderate", "serious", "critical", "no information"),
        ),
    }
)
CERTAINTY_DOMAINS = ("start", "risk_of_bias", "inconsistency", "indirectness", "imprecision", "publication_bias")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    kind : {"text", "number", "count"}
        A count is a number without decimals, 0 or more.
    needed : bool
        Whether a blank cell is a fault.
    codes : tuple of str
        What may stand there, if not anything.
    pattern : re.Pattern or None
        What a text must match as a whole.
    low, high : float or None
        Range of a number, limits included.
    above : float or None
        What a number must exceed.
    """

    name: str
    kind: str = "text"
    needed: bool = False
    codes: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    low: float | None = None
    high: float | None = None
    above: float | None = None


def _text(name: str, **rules: object) -> Column:
    return Column(name, **rules)


def _number(name: str, **rules: object) -> Column:
    return Column(name, kind="number", **rules)


def _count(name: str, **rules: object) -> Column:
    return Column(name, kind="count", **{"low": 0, **rules})


_P = (_number("p_value", above=0, high=1), _text("p_sided", codes=("one", "two")))
_STUDY = _text("study_id", needed=True, pattern=SLUG)
_SOURCE = _text("source_id", needed=True, pattern=SOURCE_ID)

TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "sources": (
            _SOURCE,
            _text("citation", needed=True),
            _text("citation_key", needed=True),
            _count("year", low=1950, high=2100),
            _text("doi", pattern=DOI),
            _text("pmid", pattern=re.compile(r"\d+")),
            _text("read_extent", needed=True, codes=("full_text", "abstract", "part", "secondary_report", "not_found")),
            _text("read_at"),
            _text("identified_by", needed=True, codes=("editorial", "study_question", "update")),
            _text("note"),
        ),
        "studies": (
            _STUDY,
            _text("label", needed=True),
            _count("year", low=1950, high=2100),
            _text("setting", needed=True, codes=SETTINGS),
            _text("design", needed=True, codes=DESIGNS),
            _text("population", needed=True),
            _text("treated", needed=True),
            _text("comparator"),
            _count("n_screened", above=0),
            _count("n_treated", above=0),
            _count("n_control", above=0),
            _number("median_follow_up_treated", above=0),
            _number("median_follow_up_control", above=0),
            _count("n_randomised", above=0),
            _count("n_countries", above=0),
            _text("registration"),
            _SOURCE,
            _text("role", needed=True, codes=("synthesis", "context", "narrative")),
            _text("why_not_pooled"),
        ),
        "effects": (
            _text("effect_id", needed=True, pattern=SLUG),
            _STUDY,
            _text("look", needed=True, codes=LOOKS),
            _text("endpoint", needed=True, codes=ENDPOINTS),
            _text("measure", needed=True, codes=("HR", "RR", "OR")),
            _number("estimate", above=0),
            _number("ci_low", above=0),
            _number("ci_high", above=0),
            _number("ci_level", low=50, high=99.9),
            *_P,
            _number("median_treated", above=0),
            _number("median_control", above=0),
            _text("median_unit", codes=UNITS),
            _SOURCE,
        ),
        "survival_percentages": (
            _STUDY,
            _text("endpoint", needed=True, codes=ENDPOINTS),
            _text("arm", needed=True, codes=ARMS),
            _number("month", needed=True, above=0),
            _number("percent", needed=True, low=0, high=100),
            _count("decimals", needed=True, high=4),
            _SOURCE,
        ),
        "event_counts": (
            _text("outcome_id", needed=True, pattern=SLUG),
            _STUDY,
            _text("outcome", needed=True),
            _text("grades", codes=("all", "3-4", "3-5", "5")),
            _text("counted", needed=True, codes=("patients", "lesions")),
            _count("events_treated"),
            _count("total_treated", above=0),
            _count("events_control"),
            _count("total_control", above=0),
            _number("percent_treated", low=0, high=100),
            _number("percent_control", low=0, high=100),
            *_P,
            _SOURCE,
        ),
        "field_status": (
            _text("table", needed=True, codes=("effects", "studies", "survival_percentages", "event_counts")),
            _text("key", needed=True),
            _text("field", needed=True),
            _text("status", needed=True, codes=("seen", "recalled", "derived")),
            _text("confidence", codes=("high", "medium", "low")),
            _text("where"),
        ),
        "statements": (
            _text("statement_id", needed=True, pattern=SLUG),
            _text("section", needed=True, codes=SECTIONS),
            _text("statement", needed=True),
            _number("claimed_value"),
            _text("claimed_unit", codes=CLAIMED_UNITS),
            _text("claimed_effect", codes=CLAIMED_EFFECTS),
            _text("refers_to"),
            _SOURCE,
            _text("verdict", codes=HAND_VERDICTS),
            _text("reason"),
        ),
        "risk_of_bias": (
            _STUDY,
            _text("tool", needed=True, codes=tuple(BIAS_TOOLS)),
            _text("domain", needed=True),
            _text("judgement", needed=True),
            _text("reason", needed=True),
        ),
        "certainty": (
            _text("finding_id", needed=True, pattern=SLUG),
            _text("synthesis_id", pattern=SLUG),
            _text("effect_id", pattern=SLUG),
            _text("outcome", needed=True),
            _text("domain", needed=True, codes=CERTAINTY_DOMAINS),
            _number("step", needed=True, low=-2, high=4),
            _text("reason", needed=True),
            _count("judged_k"),
            _number("judged_ci_low", above=0),
            _number("judged_ci_high", above=0),
        ),
    }
)
STATUS_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "effects": (
            "estimate",
            "ci_low",
            "ci_high",
            "ci_level",
            "p_value",
            "p_sided",
            "median_treated",
            "median_control",
            "median_unit",
        ),
        "studies": (
            "n_screened",
            "n_treated",
            "n_control",
            "n_randomised",
            "n_countries",
            "median_follow_up_treated",
            "median_follow_up_control",
        ),
        "survival_percentages": ("percent",),
        "event_counts": (
            "events_treated",
            "total_treated",
            "events_control",
            "total_control",
            "percent_treated",
            "percent_control",
            "p_value",
            "p_sided",
        ),
    }
)
KEY_COLUMNS = {
    "effects": ("effect_id",),
    "studies": ("study_id",),
    "survival_percentages": ("study_id", "endpoint", "arm", "month"),
    "event_counts": ("outcome_id",),
}


def key_of(table: str, cells: Mapping[str, str]) -> str:
    """Return the key by which ``field_status`` names a row of `table`."""
    return ".".join(cells[column] for column in KEY_COLUMNS[table])


def decimals_of(text: str) -> int:
    """Return how many decimals a number is printed with."""
    return len(text.partition(".")[2])


def figures_of(refers_to: str) -> list[tuple[str, str, str]]:
    """Return table, key and field of the figure that a statement refers to, or of both it divides (`` / ``).

    Raises
    ------
    ValueError
        If the text does not have that form.
    """
    figures = [tuple(part.strip().split(":")) for part in refers_to.split(" / ")]
    if len(figures) > 2 or any(len(figure) != 3 or not all(figure) for figure in figures):
        raise ValueError(refers_to)
    return figures


def claimable_units(table: str, field: str) -> tuple[str, ...]:
    """Return the units in which a statement may speak of a figure; none if it can speak of it in none."""
    if field not in (*STATUS_FIELDS.get(table, ()), *((BOTH_ARMS,) if table == "studies" else ())):
        return ()
    if field in ("median_treated", "median_control"):
        return UNITS
    if field.startswith("percent") or field == "ci_level":
        return ("percent",)
    if field == "n_countries":
        return ("countries",)
    if field.startswith(("n_", "events_", "total_")):
        return ("patients", "lesions") if table == "event_counts" else ("patients",)
    return ("ratio",) if field in ("estimate", "ci_low", "ci_high") else ()
