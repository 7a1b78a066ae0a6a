"""Tables of published evidence: studies, effects, what is pooled, harms, the editorial, bias, certainty.

Numbers are rows of the ARD like everywhere else; words (populations, reasons, verdicts) come from the frames that the
parts on evidence write, because the ARD holds no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import NotOfferedError, Problem
from sorafenib_rfa.estimates.evidence_common import DESIGNS, ENDPOINTS, SETTINGS
from sorafenib_rfa.exhibits.draft import INDENT, Cell, Cited, Draft, Number, Piece, Source

Texts = Mapping[str, pd.DataFrame]

LOOKS: Final = {
    "primary": "",
    "interim_1": "first interim",
    "interim_2": "second interim",
    "final": "final",
    "updated": "updated",
    "subset": "subset",
}
READ: Final = {
    "full_text": "full text",
    "abstract": "abstract",
    "part": "part of the text",
    "secondary_report": "second-hand report",
    "not_found": "not found",
}


def _frame(texts: Texts, name: str, cohort: CohortConfig) -> pd.DataFrame:
    """Return a frame of words.

    Raises
    ------
    NotOfferedError
        If there is none, or the cohort is synthetic: nothing simulated is published evidence.
    """
    frame = texts.get(name)
    if cohort.synthetic:
        raise NotOfferedError(
            Problem(
                "a table of published evidence cannot be made of a synthetic cohort",
                found="a cohort whose `synthetic` is true",
                hint="take the table out of `tables` in the cohort's cohort.yaml",
            )
        )
    if frame is None or frame.empty:
        raise NotOfferedError(
            Problem(
                f"a table of published evidence needs the frame {name!r}, which this cohort does not have",
                found="frames: " + (", ".join(sorted(key for key in texts)) or "none"),
                hint="take the table out of `tables` in the cohort's cohort.yaml",
            )
        )
    return frame


def _known(value: object) -> str:
    """Return a text, empty for one that is missing."""
    return "" if value is None or pd.isna(value) else str(value)


def _named(row: Any) -> str:
    """Return a study with its year."""
    return str(row.label) if pd.isna(row.year) else f"{row.label} {row.year:.0f}"


def _optional(source: Source, *parts: object, digits: int | None = None) -> list[Piece]:
    """Return a value, or an empty cell where it was not published."""
    if not source.has(*parts) or pd.isna(source.get(*parts)["value"]):
        return []
    return source.value(*parts, digits=digits)


def _pair(source: Source, *parts: object, stats: tuple[str, str], digits: int | None = None) -> list[Piece]:
    """Return ``556 / 558``: the sorafenib arm's value, then the control's; a dash for one not published."""
    cells = [_optional(source, *parts, stat, digits=digits) for stat in stats]
    if not any(cells):
        return []
    return [*(cells[0] or ["\u2013"]), " / ", *(cells[1] or ["\u2013"])]


def _by_setting(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each setting with its name, in the order of display."""
    for setting, title in SETTINGS.items():
        rows = frame[frame["setting"] == setting]
        if len(rows):
            yield title, rows


def _sentence(text: str) -> str:
    """Return a text with a capital at its start."""
    return text[:1].upper() + text[1:]


# --- studies and their effects --------------------------------------------------------------------------------------


def studies_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every study with its design, what it compared, how many it had, how it was read and what it is used for."""
    frame = _frame(texts, "evidence_studies", cohort)
    draft = Draft(
        [["Study"], ["Design and patients"], ["Compared"], ["Patients, n"], ["Read"], ["Use"]],
        worded=frozenset({0, 1, 2, 4, 5}),
    )
    for title, rows in _by_setting(frame):
        draft.head(title)
        for row in rows.itertuples():
            sizes = _pair(source, "effects", row.study_id, stats=("n_treated", "n_control"))
            screened = _optional(source, "effects", row.study_id, "n_screened")
            draft.rows.append(
                [
                    [INDENT + _named(row), " ", Cited(str(row.citation_key))],
                    [f"{_sentence(DESIGNS[row.design])}. {_known(row.population)}"],
                    [f"{row.treated} / {_known(row.comparator).lower() or 'none'}"],
                    [*sizes, *([" (of ", *screened, " screened)"] if screened else [])],
                    [READ[row.read_extent]],
                    ["pooled" if row.role == "synthesis" else _known(row.why_not_pooled)],
                ]
            )
    draft.notes.append(
        "Patients: treated / control. Read: what of the publication could be read for this work. Pooled: its verified "
        "effects enter a synthesis of studies of the same setting, design and endpoint. HCC: hepatocellular carcinoma."
    )
    return draft


def effects_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every published effect with its p value, the one its interval gives, medians, and how each is known."""
    frame = _frame(texts, "evidence_effects", cohort)
    draft = Draft(
        [
            ["Study and endpoint"],
            ["Hazard ratio (95% CI)"],
            ["p, printed"],
            ["p, from interval"],
            ["Medians, months"],
            ["How known"],
            ["Synthesis"],
        ],
        worded=frozenset({0, 5, 6}),
    )
    for title, rows in _by_setting(frame):
        draft.head(title)
        for row in rows.itertuples():
            where = ("effects", row.effect_id)
            look = f", {LOOKS[row.look]}" if LOOKS[row.look] else ""
            draft.add(
                f"{_named(row)}, {row.endpoint}{look}",
                _published(source, *where, "hr"),
                _p(source, *where, "hr"),
                _optional(source, *where, "p_from_ci"),
                _pair(source, *where, stats=("median_treated", "median_control")),
                [_known(row.status)],
                ["verified, pooled" if _known(row.pooled_in) else _known(row.why_not_pooled)],
                level=1,
            )
    draft.notes += [
        "; ".join(f"{code}: {label.lower()}" for code, label in ENDPOINTS.items() if (frame["endpoint"] == code).any())
        + ".",
        "Medians: treated / control. p, from interval: from the hazard ratio and its limits, one- or two-sided as the "
        "source's. Seen: read in the source; recalled: known from memory, with the confidence in it, and never in a "
        "headline estimate. Empty: not published, or not readable.",
    ]
    return draft


def _published(source: Source, *parts: object) -> list[Piece]:
    """Return a ratio as published, with its interval where there is one."""
    if not source.has(*parts) or pd.isna(source.get(*parts)["value"]):
        return []
    return source.interval(*parts)


def _p(source: Source, *parts: object) -> list[Piece]:
    """Return the p value that was published beside an effect."""
    if not source.has(*parts) or pd.isna(source.get(*parts)["p_value"]):
        return []
    return source.p(*parts)


# --- what is pooled -------------------------------------------------------------------------------------------------


def pooled_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every synthesis, with verified effects alone and with unverified ones too."""
    frame = _frame(texts, "evidence_pooled", cohort)
    draft = Draft(
        [
            ["Synthesis"],
            ["Studies, n"],
            ["Common effect, HR (95% CI)"],
            ["Random effects, HR (95% CI)"],
            ["Prediction interval"],
            ["I\u00b2 (95% CI)"],
        ]
    )
    scopes = {"headline": "Verified only (headline)", "with_unverified": "With unverified (sensitivity)"}
    for name, rows in frame.groupby("synthesis_id", sort=False):
        draft.head(str(rows["title"].iloc[0]))
        for scope, label in scopes.items():
            own = rows[rows["scope"] == scope]
            where = ("synthesis", name, None if scope == "headline" else scope)
            k = int(own["k"].iloc[0])
            if k >= 2:
                cells = [source.interval(*where, "common_hr"), source.interval(*where, "random_hr")]
                few = pd.isna(source.get(*where, "prediction")["value"])
                cells.append(["fewer than three"] if few else [Number(source.get(*where, "prediction"), "interval")])
                cells.append(source.interval(*where, "i2", digits=0))
            elif k == 1:
                cells = [[*source.interval(*where, "single_hr"), ", one study"], ["nothing to pool"]]
            else:
                cells = [["none"]]
            draft.add(label, source.value(*where, "k"), *cells, level=1)
    draft.notes.append(
        "HR: hazard ratio. Studies of one setting, one group of designs and one endpoint are pooled and no others. Common "
        "effect: inverse variance. Random effects: restricted maximum likelihood, Hartung-Knapp interval"
        + (" not narrower than Wald's" if plan.evidence and plan.evidence.at_least_wald else "")
        + ". Unverified: the estimate or its interval is known from memory or second hand only."
    )
    return draft


def intervals_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return hazard ratios by interval from published survival percentages."""
    frame = _frame(texts, "evidence_intervals", cohort)
    draft = Draft([["Cohort and months"], ["Hazard ratio (95% CI)"]])
    for (_, code), rows in frame.groupby(["study_id", "endpoint"], sort=False):
        draft.head(f"{rows['label'].iloc[0]}: {ENDPOINTS[str(code)].lower()}")
        for row in rows.itertuples():
            draft.add(f"{row.from_month:g} to {row.to_month:g}", source.interval(str(row.ard_id)), level=1)
    return draft


# --- harms ----------------------------------------------------------------------------------------------------------


def harms_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return published harms and events in both arms, and how they are known."""
    frame = _frame(texts, "evidence_harms", cohort)
    draft = Draft(
        [["Study and outcome"], ["Sorafenib"], ["Control"], ["How known"]],
        worded=frozenset({0, 3}),
    )
    for _, rows in frame.groupby("study_id", sort=False):
        draft.head(str(rows["label"].iloc[0]))
        for row in rows.itertuples():
            grades = (
                "" if not _known(row.grades) else f", grades {row.grades}" if row.grades != "all" else ", all grades"
            )
            lesions = " (lesions)" if row.counted == "lesions" else ""
            draft.add(
                f"{row.outcome}{grades}{lesions}",
                *(_events(source, row.outcome_id, arm) for arm in ("treated", "control")),
                [_known(row.status)],
                level=1,
            )
    draft.notes.append(
        "Events / patients (percent), as far as published. Seen: read in the source; recalled: from memory."
    )
    return draft


def _events(source: Source, outcome: str, arm: str) -> list[Piece]:
    """Return ``154 / 559 (27.5%)``, as much of it as is known."""
    where = ("effects", outcome, arm)
    events, total, percent = (_optional(source, *where, stat) for stat in ("events", "total", "percent"))
    counted = [*events, " / ", *total] if events and total else events
    if counted and percent:
        return [*counted, " (", *percent, ")"]
    return counted or percent


# --- the editorial --------------------------------------------------------------------------------------------------


def editorial_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return the factual statements of the editorial beside their sources, each with a verdict."""
    frame = _frame(texts, "evidence_statements", cohort)
    draft = Draft(
        [["Statement"], ["Editorial"], ["Source"], ["Verdict"], ["Why"]],
        worded=frozenset({0, 1, 2, 3, 4}),
    )
    for section, rows in frame.groupby("section", sort=False):
        draft.head(_sentence(str(section)))
        for row in rows.itertuples():
            cited: Cell = [" ", Cited(row.citation_key)] if _known(row.citation_key) else []
            draft.rows.append(
                [
                    [INDENT + str(row.statement)],
                    [_known(row.claimed)],
                    [_known(row.source)],
                    [str(row.verdict)],
                    [_known(row.reason), *cited],
                ]
            )
    return draft


# --- risk of bias, certainty ----------------------------------------------------------------------------------------

SIGNS: Final = {
    "low": "+",
    "some concerns": "\u00b1",
    "moderate": "\u00b1",
    "high": "\u2212",
    "serious": "\u2212",
    "critical": "\u2212\u2212",
    "no information": "?",
}
"""Judgement -> its sign; the two tools' words share one where they stand for the same step."""

_UNREMARKABLE = ("low", "no information")


def bias_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return studies by domains of the risk of bias, a block a tool, then the reasons where a domain is not low."""
    frame = _frame(texts, "evidence_bias", cohort)
    most = max(len(_domains(rows)) for _, rows in frame.groupby("tool", sort=False))
    numbered = [[f"D{number}"] for number in range(1, most + 1)]
    draft = Draft([["Study"], *numbered, ["All"], ["Why"]], worded=frozenset({0, most + 2}))
    for tool, rows in frame.groupby("tool", sort=False):
        domains = _domains(rows)
        draft.head(f"{tool}")
        for _, own in rows.groupby("study_id", sort=False):
            by_domain = own.set_index("domain")
            signs = [[SIGNS[by_domain.loc[name, "judgement"]]] if name in by_domain.index else [] for name in domains]
            signs += [[] for _ in range(most - len(domains))]
            overall = by_domain.loc["overall"]
            label = str(own["label"].iloc[0])
            draft.add(label, *signs, [SIGNS[overall["judgement"]]], [_known(overall["reason"])], level=1)
        told = rows[(rows["domain"] != "overall") & ~rows["judgement"].isin(_UNREMARKABLE)]
        if len(told):
            draft.head(f"{tool}: reasons where a domain is not low")
        for row in told.itertuples():
            number = domains.index(row.domain)
            place: list[Cell] = [[] for _ in range(most + 1)]
            place[number] = [SIGNS[row.judgement]]
            draft.add(str(row.label), *place, [_known(row.reason)], level=1)
        draft.notes.append(
            f"{tool}: " + ", ".join(f"D{number} {name}" for number, name in enumerate(domains, start=1)) + "."
        )
    draft.notes.append(
        "+ low; \u00b1 some concerns (RoB 2) or moderate (ROBINS-I); \u2212 high or serious; \u2212\u2212 critical; ? no "
        "information. Judged once, from what could be read of each study."
    )
    return draft


def _domains(rows: pd.DataFrame) -> list[str]:
    """Return the domains of a tool in their order, without the judgement over all."""
    return [name for name in dict.fromkeys(rows["domain"]) if name != "overall"]


LEVELS: Final = {1: "very low", 2: "low", 3: "moderate", 4: "high"}


def findings_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return the findings in the manner of GRADE: effect, certainty, and why it was lowered."""
    frame = _frame(texts, "evidence_certainty", cohort)
    draft = Draft(
        [["Outcome"], ["Effect, HR (95% CI)"], ["Certainty"], ["Why lowered"]],
        worded=frozenset({0, 2, 3}),
    )
    for _, rows in frame.groupby("finding_id", sort=False):
        first = rows.iloc[0]
        level = source.get("review", "certainty", first["finding_id"], "level")
        lowered = rows[(rows["domain"] != "start") & (rows["step"] < 0)]
        reasons = "; ".join(
            f"{row.domain.replace('_', ' ')} ({row.step:+.0f}): {row.reason}".replace("-", "\u2212", 1)
            for row in lowered.itertuples()
        )
        draft.add(
            str(first["outcome"]),
            source.interval(str(first["ard_id"])) if _known(first["ard_id"]) else ["no verified estimate"],
            [f"{_sentence(LEVELS[int(level['value'])])} (", Number(level), " of 4)"],
            [_sentence(reasons) or "Not lowered"],
        )
    return draft
