"""An editorial's statements, each held against the figure it speaks of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from sorafenib_rfa.evidence.schema import (
    BOTH_ARMS,
    QUOTED_FIGURE,
    SIGNIFICANT,
    UNITS,
    claimable_units,
    decimals_of,
    figures_of,
)
from sorafenib_rfa.evidence.tables import Evidence

DAYS = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}
SUPPORTED = "supported"
UNIT_ERROR = "unit error"
SCREENED = "screened, not randomised"
CONTRADICTED = "contradicted"
NOT_VERIFIABLE = "not verifiable"
_STRENGTH = ("seen", "derived", "recalled", "blank")
_LEVEL = 0.05
"""Two-sided level at which an effect counts as significant where no interval is printed."""


@dataclass(frozen=True)
class _Figure:
    """A source's figure: its value with the unit and half of the last digit it is printed with.

    Attributes
    ----------
    text : str
        As printed, with its unit.
    status : str
        The weakest of the figures it is made of: ``seen``, ``derived``, ``recalled`` or ``blank``.
    own : bool
        Whether it is known only from the document that is being checked.
    """

    value: float
    half: float
    unit: str
    text: str
    status: str
    own: bool


def check_statements(
    evidence: Evidence, *, checked_documents: Collection[str] = ("zhong2016", "nct02187081")
) -> pd.DataFrame:
    """Hold each statement against the figure it refers to.

    A claim is *supported* if numbers that print like it and numbers that print like the source's figure meet, after
    conversion of units (30.4375 days a month). It is a *unit error* if that is so only in another unit of time than
    the claimed one; *screened, not randomised* if a number of patients is that of the screened; *contradicted* else;
    and *not verifiable* if the figure is blank, was only recalled, or is known from the checked document alone (a
    quotient: both figures). Of a claim about an effect (``claimed_effect``) that is said under :func:`effect_shown`.
    Statements without a figure carry the verdict and the reason given by hand, in which figures in braces
    (``{effects:storm_rfs:estimate}``) are told as the tables print them.

    Parameters
    ----------
    evidence : Evidence
    checked_documents : collection of str
        Citation keys of the documents whose statements are checked: what was read only there proves nothing.

    Returns
    -------
    DataFrame
        One row a statement, in the order of ``statements.csv``: its columns, ``source_value`` and ``source_unit`` (the
        figure as printed in the source, of a claim about an effect its estimate and kind; NaN and NA where none is
        known), ``source_interval`` (its limits; NA where they were only recalled
        and the estimate was not), ``verdict``, ``reason``, ``citation_key``
        (of its source), ``src_file``, ``src_row``.
    """
    keys = dict(zip(evidence.sources["source_id"], evidence.sources["citation_key"], strict=True))
    documents = tuple(f"{source}:" for source, key in keys.items() if key in checked_documents)
    frame = evidence.statements.copy()
    claims = frame[["claimed_value", "claimed_unit", "claimed_effect", "refers_to"]].itertuples(index=False)
    found = [None if pd.isna(claim.refers_to) else _check(evidence, claim, documents) for claim in claims]
    by_hand = zip(frame["verdict"], frame["reason"], found, strict=True)
    verdicts = [(verdict, told(evidence, reason)) if check is None else check[2:] for verdict, reason, check in by_hand]
    effects = [_effect_of(refers_to) for refers_to in frame["refers_to"]]
    frame["source_value"] = pd.array([check[0] if check else float("nan") for check in found], dtype="float64")
    frame["source_unit"] = pd.array([check[1] if check else None for check in found], dtype="string")
    frame["source_interval"] = pd.array([_interval(evidence, effect) for effect in effects], dtype="string")
    frame["verdict"] = pd.array([verdict for verdict, _ in verdicts], dtype="string")
    frame["reason"] = pd.array([reason for _, reason in verdicts], dtype="string")
    frame["citation_key"] = pd.array([keys[source] for source in frame["source_id"]], dtype="string")
    order = ["statement_id", "section", "statement", "claimed_value", "claimed_unit", "claimed_effect", "refers_to"]
    order += ["source_value", "source_unit", "source_interval", "verdict", "reason", "source_id", "citation_key"]
    return frame[[*order, "src_file", "src_row"]]


def told(evidence: Evidence, reason: str) -> str:
    """Return a reason with its figures in braces as the tables print them."""
    return QUOTED_FIGURE.sub(lambda found: str(evidence.printed(*found.groups())), reason)


def _check(evidence: Evidence, row: object, documents: tuple[str, ...]) -> tuple[float, str | None, str, str]:
    """Return source value, its unit, verdict and reason of a statement with a figure."""
    value, unit, refers_to = row.claimed_value, row.claimed_unit, row.refers_to
    effect = _effect_of(refers_to)
    if effect is not None:
        return _check_effect(evidence, row.claimed_effect, effect)
    figures = [_figure(evidence, *reference, documents) for reference in figures_of(refers_to)]
    if any(figure.status == "blank" for figure in figures):
        return float("nan"), None, NOT_VERIFIABLE, "the source's figure could not be read"
    claim = _claim(value, unit)
    if len(figures) == 2:
        return _check_quotient(claim, *figures)
    (figure,) = figures
    verdict, reason = _verdict(evidence, claim, figure, refers_to)
    if figure.own:
        verdict, reason = NOT_VERIFIABLE, "the figure is known from this document alone: its source was not read"
    elif figure.status == "recalled":
        agreement = "agrees" if verdict == SUPPORTED else "does not agree"
        verdict, reason = NOT_VERIFIABLE, f"recalled only ({figure.text}), which {agreement}"
    elif figure.status == "derived":
        reason = f"{reason} (derived)"
    return figure.value, figure.unit, verdict, reason


def _claim(value: float, unit: str) -> _Figure:
    text = f"{value:g}"
    return _Figure(value, _half(text), unit, f"{text} {unit}", "seen", False)


def _figure(evidence: Evidence, table: str, key: str, field: str, documents: tuple[str, ...]) -> _Figure:
    """Return a figure of the tables; of ``n_both_arms`` the sum of both arms."""
    fields = ("n_treated", "n_control") if field == BOTH_ARMS else (field,)
    texts = [evidence.printed(table, key, each) for each in fields]
    origins = [evidence.provenance(table, key, each) for each in fields]
    status = max((origin.status for origin in origins), key=_STRENGTH.index)
    if status == "blank":
        return _Figure(float("nan"), float("nan"), "", "", status, False)
    unit = _unit(evidence, table, key, field)
    value = sum(float(text) for text in texts)
    own = all(origin.where.startswith(documents) for origin in origins) if documents else False
    return _Figure(value, sum(_half(text) for text in texts), unit, f"{' + '.join(texts)} {unit}", status, own)


def _unit(evidence: Evidence, table: str, key: str, field: str) -> str:
    """Return the unit of a figure: of a median as printed, of counted events what was counted."""
    units = claimable_units(table, field)
    if units == UNITS:
        return evidence.printed(table, key, "median_unit")
    if table == "event_counts" and "lesions" in units:
        counts = evidence.event_counts
        return counts.loc[counts["outcome_id"].eq(key), "counted"].item()
    return units[0]


def _half(text: str) -> float:
    """Return half of the last digit; a count without decimals is exact within it."""
    return 0.5 * 10.0 ** -decimals_of(text)


def _meets(claim: _Figure, figure: _Figure, unit: str) -> bool:
    """Tell whether a claim, its number read in `unit`, and a figure can print the same quantity."""
    if unit in UNITS and figure.unit in UNITS:
        scale = DAYS[figure.unit] / DAYS[unit]
    elif unit == figure.unit:
        scale = 1.0
    else:
        return False
    return abs(claim.value - scale * figure.value) <= claim.half + scale * figure.half


def _verdict(evidence: Evidence, claim: _Figure, figure: _Figure, refers_to: str) -> tuple[str, str]:
    """Compare a claim with a figure, whatever the figure's status."""
    if figure.unit in ("patients", "lesions", "countries"):
        return _verdict_on_counts(evidence, claim, figure, refers_to)
    if _meets(claim, figure, claim.unit):
        return SUPPORTED, f"the source gives {figure.text}"
    if claim.unit in UNITS and figure.unit in UNITS:
        same = f"{figure.text}, {_in(figure, claim.unit)}"
        others = [unit for unit in UNITS if unit != claim.unit and _meets(claim, figure, unit)]
        if others:
            read = f"{claim.value:g} {others[0]}, not {claim.unit}"
            inner = "" if others[0] == figure.unit else f" or {_in(figure, others[0])}"
            return UNIT_ERROR, f"{read}: the source gives {same}{inner}"
        return CONTRADICTED, f"the source gives {same}"
    return CONTRADICTED, f"the source gives {figure.text}"


def _in(figure: _Figure, unit: str) -> str:
    return f"{figure.value * DAYS[figure.unit] / DAYS[unit]:.1f} {unit}"


def _verdict_on_counts(evidence: Evidence, claim: _Figure, figure: _Figure, refers_to: str) -> tuple[str, str]:
    """Compare numbers that are exact."""
    study = figures_of(refers_to)[0][1]
    if claim.value == figure.value and claim.unit == figure.unit:
        return SUPPORTED, f"the source gives {figure.text}"
    screened = evidence.printed("studies", study, "n_screened") if refers_to.startswith("studies:") else None
    if screened is not None and claim.value == float(screened):
        seen = evidence.status("studies", study, "n_screened")
        return SCREENED, f"{screened} were screened ({seen}), {figure.value:g} randomised ({figure.text})"
    return CONTRADICTED, f"the source gives {figure.value:g} ({figure.text})"


def _check_quotient(claim: _Figure, above: _Figure, below: _Figure) -> tuple[float, str, str, str]:
    """Compare a claimed quotient of two times with that of the sources, each with what its print allows."""
    scale = DAYS[above.unit] / DAYS[below.unit] if above.unit in UNITS and below.unit in UNITS else 1.0
    quotient = round(scale * above.value / below.value, 2)
    lowest = scale * (above.value - above.half) / (below.value + below.half)
    highest = scale * (above.value + above.half) / (below.value - below.half)
    values = f"{_both_units(above)} against {_both_units(below)}"
    reason = f"{values}: {quotient:.2f} times"
    if above.own and below.own:
        return quotient, "times", NOT_VERIFIABLE, "both figures are known from this document alone"
    if "recalled" in (above.status, below.status):
        return quotient, "times", NOT_VERIFIABLE, f"recalled only: {reason}"
    if lowest <= claim.value + claim.half and highest >= claim.value - claim.half:
        return quotient, "times", SUPPORTED, reason
    if above.own or below.own:
        reason += f" (the {'first' if above.own else 'second'} as this document gives it)"
    return quotient, "times", CONTRADICTED, reason


def _both_units(figure: _Figure) -> str:
    """Return a figure as printed and, if it is a time in another unit, in months."""
    if figure.unit not in UNITS or figure.unit == "months":
        return figure.text
    return f"{figure.text} ({_in(figure, 'months')})"


# --- whether there is an effect ---------------------------------------------------------------------------------------


def _effect_of(refers_to: str | None) -> str | None:
    """Return the effect of which a statement says whether it is significant, if that is what it says."""
    if pd.isna(refers_to):
        return None
    ((_, key, field), *_) = figures_of(refers_to)
    return key if field == SIGNIFICANT else None


def _interval(evidence: Evidence, effect: str | None) -> str | None:
    """Return the limits of an effect, unless they are known less well than its estimate."""
    if effect is None or evidence.printed("effects", effect, "ci_low") is None:
        return None
    estimate, *limits = (
        _STRENGTH.index(evidence.status("effects", effect, field)) for field in ("estimate", "ci_low", "ci_high")
    )
    printed = (str(evidence.printed("effects", effect, field)) for field in ("ci_low", "ci_high"))
    return " to ".join(printed) if max(limits) <= max(estimate, _STRENGTH.index("derived")) else None


def effect_shown(evidence: Evidence, effect: str) -> tuple[str, str, str]:
    """Say what a source shows of an effect: a benefit of the treated, a harm, or no difference.

    The interval decides, at the level it is printed with: a benefit lies wholly below one, a harm above. Where there is
    none, the p value does: below 0.05 when two-sided. A p value of which the side was not seen decides only what is
    the same on either side.

    Parameters
    ----------
    evidence : Evidence
    effect : str
        An ``effect_id``.

    Returns
    -------
    shown : {"benefit", "harm", "no difference", ""}
        Empty where nothing decides.
    status : {"seen", "recalled", "blank"}
        Whether what decides was read.
    reason : str
        The figures that decide.
    """
    row = evidence.effects.set_index("effect_id").loc[effect]
    ways = [way for way in (_by_interval(evidence, row), _by_p(evidence, row)) if way is not None]
    for status in ("seen", "recalled"):
        for shown, known, reason in ways:
            if known == status:
                return shown, status, reason
    return "", "blank", "neither an interval nor a p value could be read"


def _by_interval(evidence: Evidence, row: pd.Series) -> tuple[str, str, str] | None:
    fields = ("estimate", "ci_low", "ci_high", "ci_level")
    texts = [evidence.printed("effects", row.name, field) for field in fields]
    if None in texts:
        return None
    status = max((evidence.status("effects", row.name, field) for field in fields), key=_STRENGTH.index)
    shown = "benefit" if row["ci_high"] < 1 else "harm" if row["ci_low"] > 1 else "no difference"
    _, low, high, level = texts
    reason = f"{_estimate(evidence, row)}, {level} % interval {low} to {high}: {_SHOWN[shown]}"
    return shown, "recalled" if status == "recalled" else "seen", reason


def _by_p(evidence: Evidence, row: pd.Series) -> tuple[str, str, str] | None:
    text = evidence.printed("effects", row.name, "p_value")
    if text is None:
        return None
    # a one-sided p value beyond a half speaks of the other side
    one_sided = 2 * min(row["p_value"], 1 - row["p_value"])
    sided = row["p_sided"] if evidence.status("effects", row.name, "p_sided") == "seen" else ""
    readings = {"one": [one_sided], "two": [row["p_value"]]}.get(sided, [one_sided, row["p_value"]])
    status = "recalled" if evidence.status("effects", row.name, "p_value") == "recalled" else "seen"
    known = evidence.status("effects", row.name, "estimate")
    side = f"{sided}-sided p {text}" if sided else f"p {text}, the same whatever its side"
    reason = side if known == "blank" else f"{_estimate(evidence, row)}, {side}"
    if min(readings) > _LEVEL:
        return "no difference", status, f"{reason}: {_SHOWN['no difference']}"
    if max(readings) > _LEVEL or known == "blank":
        return None
    shown = "benefit" if row["estimate"] < 1 else "harm"
    return shown, "recalled" if known == "recalled" else status, f"{reason}: {_SHOWN[shown]}"


def _estimate(evidence: Evidence, row: pd.Series) -> str:
    return f"{_MEASURES[row['measure']]} {evidence.printed('effects', row.name, 'estimate')}"


_MEASURES = {"HR": "hazard ratio", "RR": "risk ratio", "OR": "odds ratio"}
_SHOWN = {
    "benefit": "a benefit of the treated",
    "harm": "a harm to the treated",
    "no difference": "no significant difference",
}


def _check_effect(evidence: Evidence, claimed: str, effect: str) -> tuple[float, str | None, str, str]:
    """Hold a claim about an effect against its interval or p value."""
    shown, status, reason = effect_shown(evidence, effect)
    row = evidence.effects.set_index("effect_id").loc[effect]
    value = float(row["estimate"])
    unit = None if pd.isna(value) else _MEASURES[row["measure"]]
    if status == "blank":
        return value, unit, NOT_VERIFIABLE, reason + _medians(evidence, effect)
    agrees = claimed == shown or (claimed == "no benefit" and shown != "benefit")
    if status == "recalled":
        return (
            value,
            unit,
            NOT_VERIFIABLE,
            f"recalled only ({reason}), which {'agrees' if agrees else 'does not agree'}",
        )
    return value, unit, SUPPORTED if agrees else CONTRADICTED, reason


def _medians(evidence: Evidence, effect: str) -> str:
    """Return the medians of an effect of which nothing else is known, and how they are known."""
    fields = ("median_treated", "median_control")
    texts = [evidence.printed("effects", effect, field) for field in fields]
    if None in texts:
        return ""
    status = max((evidence.status("effects", effect, field) for field in fields), key=_STRENGTH.index)
    unit = evidence.printed("effects", effect, "median_unit")
    return f"; the medians are {texts[0]} and {texts[1]} {unit} ({status})"
