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
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.estimates.evidence_common import DESIGNS, ENDPOINTS, SETTINGS
from sorafenib_rfa.exhibits.draft import INDENT, Cell, Cited, Draft, Heading, Number, Piece, Source

Texts = Mapping[str, pd.DataFrame]

ONE_SIDED: Final = "\u2020"
"""Set at a p value of one side."""

LEVEL: Final = 95.0
"""Percent of an interval that headers speak of."""

LOOKS: Final = {
    "primary": "",
    "interim_1": ", first interim",
    "interim_2": ", second interim",
    "final": ", final",
    "updated": ", updated",
    "subset": ", subset",
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


def _decimals(found: float) -> int | None:
    """Return with how many decimals a figure is printed, None where that does not count."""
    return None if pd.isna(found) else int(found)


def _pair(
    source: Source, *parts: object, stats: tuple[str, str], digits: tuple[float, float] = (float("nan"),) * 2
) -> list[Piece]:
    """Return ``556 / 558``: the sorafenib arm's value, then the control's; a dash for one not published."""
    cells = [
        _optional(source, *parts, stat, digits=_decimals(printed)) for stat, printed in zip(stats, digits, strict=True)
    ]
    if not any(cells):
        return []
    return [*(cells[0] or ["\u2013"]), " / ", *(cells[1] or ["\u2013"])]


def _by_setting(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each setting with its name, in the order of display."""
    for setting, title in SETTINGS.items():
        rows = frame[frame["setting"] == setting]
        if len(rows):
            yield title, rows


def _within(words: str) -> str:
    """Return words as they stand within a sentence: `Placebo` as `placebo`, `TACE + placebo` as it is."""
    return words[:1].lower() + words[1:] if words[1:2].islower() else words


def _sentence(text: str) -> str:
    """Return a text with a capital at its start."""
    return text[:1].upper() + text[1:]


# --- studies and their effects --------------------------------------------------------------------------------------


def studies_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every study: its design, what it compared, how many it had, how it was read, what it is used for."""
    frame = _frame(texts, "evidence_studies", cohort)
    use = _use(_frame(texts, "evidence_effects", cohort))
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
                    [f"{row.treated} / {_within(_known(row.comparator)) or 'none'}"],
                    [
                        *sizes,
                        *([" (of ", *screened, " screened)"] if screened else []),
                        *([" (recalled)"] if sizes and "recalled" in _known(row.status) else []),
                    ],
                    [READ[row.read_extent]],
                    [use.get(row.study_id) or _known(row.why_not_pooled)],
                ]
            )
    draft.notes.append(
        "Patients: treated / control. Read: what of the publication could be read for this work. Synthesis: at "
        "least one verified effect enters one. Sensitivity: all its effects rest on recalled figures. HCC: "
        "hepatocellular carcinoma; RFA: radiofrequency ablation; TACE: transarterial chemoembolisation."
    )
    return draft


def _use(effects: pd.DataFrame) -> dict[str, str]:
    """Return which studies enter a synthesis, and which a sensitivity analysis only."""
    any_scope = dict.fromkeys(effects.loc[effects["pooled_in_all"] != "", "study_id"], "sensitivity analysis only")
    return any_scope | dict.fromkeys(effects.loc[effects["pooled_in"] != "", "study_id"], "synthesis")


def effects_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every published effect with its p value, the one its interval gives, medians, and how each is known."""
    frame = _frame(texts, "evidence_effects", cohort)
    roles = _frame(texts, "evidence_studies", cohort).set_index("study_id")["role"]
    draft = Draft(
        [
            ["Study and endpoint"],
            ["Hazard ratio (95% CI)"],
            ["p"],
            ["p from CI"],
            ["Medians, months"],
            ["How known"],
            ["Use"],
        ],
        worded=frozenset({0, 5, 6}),
    )
    blank: list[str] = []
    wider: list[str] = []
    for title, rows in _by_setting(frame):
        draft.head(title)
        for row in rows.itertuples():
            where, measure = ("effects", row.effect_id), row.measure.lower()
            label = f"{_named(row)}, {row.endpoint}{LOOKS[row.look]}"
            numbers = [
                _published(source, *where, measure),
                _p(source, *where, measure, sided=_known(row.p_sided), digits=_decimals(row.p_decimals)),
                _optional(source, *where, "p_from_ci"),
                _pair(
                    source,
                    *where,
                    stats=("median_treated", "median_control"),
                    digits=(row.median_treated_decimals, row.median_control_decimals),
                ),
            ]
            if not any(numbers):
                blank.append(label)
                continue
            if pd.notna(row.lo) and row.ci_level != LEVEL:
                wider.append(f"{label}: {row.ci_level:g}% interval, as printed.")
            use = "context" if roles[row.study_id] != "synthesis" else _pooled_words(row)
            draft.add(label, *numbers, [_short(_statuses(source, row))], [use], level=1)
        if draft.rows[-1][0] == [Heading(title)]:  # nothing was read of any of them
            draft.rows.pop()
    draft.notes += [
        "; ".join(f"{code}: {_within(label)}" for code, label in ENDPOINTS.items() if (frame["endpoint"] == code).any())
        + ".",
        f"p: as printed; {ONE_SIDED} one-sided. p from CI: from the hazard ratio and its limits, one- or two-sided as "
        "the source's. Medians: treated / control. Seen: read in the source; derived: reckoned from what was read; "
        "recalled: known from memory, with the confidence in it, and never in a headline estimate. Empty: not "
        "published, or not readable. Context: shown and never pooled.",
        *wider,
    ]
    if blank:
        draft.notes.append(f"No ratio, p value or median could be read of: {'; '.join(blank)}.")
    return draft


def _short(status: str) -> str:
    """Return how figures are known, those that were read last and together: ``limits recalled (high); rest seen``."""
    parts = [part for part in status.split("; ") if part]
    other = [part for part in parts if not part.endswith(" seen")]
    if not other:
        return "seen" if parts else ""
    return "; ".join([*other, *(["rest seen"] if len(other) < len(parts) else [])])


def _published(source: Source, *parts: object) -> list[Piece]:
    """Return a ratio as published, with its interval where there is one."""
    if not source.has(*parts) or pd.isna(source.get(*parts)["value"]):
        return []
    return source.interval(*parts)


def _p(source: Source, *parts: object, sided: str, digits: int | None) -> list[Piece]:
    """Return the p value that was published beside an effect, and that it is one-sided if it is."""
    if not source.has(*parts) or pd.isna(source.get(*parts)["p_value"]):
        return []
    row = source.get(*parts)
    # where no hazard ratio could be read its row says why; that is not said of the p value
    printed = Number({**row, "value": row["p_value"], "unit": "p", "method": "as published"}, digits=digits)
    return [printed, *([ONE_SIDED] if sided == "one" else [])]


def _statuses(source: Source, row: Any) -> str:
    """Return how an effect's figures are known, with that of its medians, which stands in their own rows."""
    medians = [
        str(source.get("effects", row.effect_id, f"median_{arm}")["method"]).rpartition("; ")[2]
        for arm in ("treated", "control")
        if source.has("effects", row.effect_id, f"median_{arm}")
    ]
    return "; ".join(filter(None, [_known(row.status), *dict.fromkeys(medians)]))


def _pooled_words(row: Any) -> str:
    """Return what becomes of an effect: it enters a synthesis, a sensitivity analysis, or why neither."""
    if _known(row.pooled_in):
        return "synthesis"
    return "sensitivity analysis only" if _known(row.pooled_in_all) else _known(row.why_not_pooled)


# --- what is pooled -------------------------------------------------------------------------------------------------


def pooled_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return every synthesis, with verified effects alone and with unverified ones too."""
    frame = _frame(texts, "evidence_pooled", cohort)
    draft = Draft(
        [
            ["Synthesis"],
            ["Studies"],
            ["Common effect, HR (95% CI)"],
            ["Random effects, HR (95% CI)"],
            ["Prediction interval"],
            ["I\u00b2 (95% CI)"],
        ]
    )
    for name, rows in frame.groupby("synthesis_id", sort=False):
        draft.head(str(rows["title"].iloc[0]))
        headline, everything = (rows[rows["scope"] == scope] for scope in ("headline", "with_unverified"))
        _pooled_line(draft, source, "Verified (headline)", headline, "synthesis", name)
        if everything["k"].iloc[0] > headline["k"].iloc[0]:
            _pooled_line(
                draft, source, "With unverified (sensitivity)", everything, "synthesis", name, "with_unverified"
            )
    draft.notes.append(
        "HR: hazard ratio. Studies of one setting, one group of designs and one endpoint are pooled and no others. "
        "Common effect: inverse variance. Random effects: restricted maximum likelihood, Hartung-Knapp interval"
        + (" not narrower than Wald's" if plan.evidence and plan.evidence.at_least_wald else "")
        + ". Unverified: the estimate or its interval is recalled and was not read; where no sensitivity line "
        "stands, there is no unverified effect."
    )
    return draft


def _pooled_line(draft: Draft, source: Source, label: str, rows: pd.DataFrame, *where: str) -> None:
    """Add a synthesis in one scope: pooled, a single study's own estimate, or nothing."""
    k = int(rows["k"].iloc[0])
    cells: list[Cell] = [["no verified effect" if where[-1] != "with_unverified" else "no effect"]]
    if k == 1:
        cells = [[*source.interval(*where, "single_hr"), ", one study"], ["nothing to pool"]]
    elif k > 1:
        prediction = source.get(*where, "prediction")
        few = pd.isna(prediction["ci_low"])
        cells = [
            source.interval(*where, "common_hr"),
            source.interval(*where, "random_hr"),
            ["too few studies"] if few else [Number(prediction, "interval")],
            source.interval(*where, "i2", digits=0),
        ]
    draft.add(label, source.value(*where, "k"), *cells, level=1)


def intervals_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return hazard ratios by interval from published percentages, and what digitised curves give beside them."""
    digitised = texts.get("evidence_digitised", pd.DataFrame())
    if digitised.empty:
        frame = _frame(texts, "evidence_intervals", cohort)
    else:
        digitised, frame = _frame(texts, "evidence_digitised", cohort), texts["evidence_intervals"]
    draft = Draft(
        [
            ["Cohort and months"],
            ["Hazard ratio (95% CI)"],
            ["If nobody was censored (95% CI)"],
            ["Restricted mean to the end, difference in months (95% CI)"],
        ]
    )
    curves = {(row.study_id, row.endpoint): str(row.label) for row in digitised.itertuples()}
    for (study, code), rows in frame.groupby(["study_id", "endpoint"], sort=False):
        where = ("reconstruction", f"{study}_{code}")
        other = ("reconstruction", f"{study}_{code}_no_censoring")
        draft.head(f"{rows['label'].iloc[0]}: {ENDPOINTS[str(code)].lower()}")
        for row in rows.itertuples():
            draft.add(
                f"{row.from_month:g} to {row.to_month:g}",
                source.interval(str(row.ard_id)),
                source.interval(str(row.no_censoring_id)),
                source.interval(*where, horizon(row.to_month), "difference"),
                level=1,
            )
        draft.add("Average", *(source.interval(*place, "hr") for place in (where, other)), level=1)
        draft.add(
            "Equal in all intervals, p", *(source.p(*place, "heterogeneity") for place in (where, other)), level=1
        )
        if curves.pop((study, code), None) is not None:
            _digitised_lines(draft, source, str(study), str(code))
    for (study, code), label in curves.items():
        draft.head(f"{label}: {ENDPOINTS[str(code)].lower()}")
        _digitised_lines(draft, source, str(study), str(code))
    draft.notes.append(
        "Reconstructed from published percentages: hazards constant between them, censoring at a constant rate. "
        "Treated against control; cohorts, not randomised. These ratios enter no synthesis."
        if digitised.empty
        else "Reconstructed from published percentages: hazards constant between them, censoring at a constant rate. "
        "Digitised: Cox model of patients reconstructed from points of a published curve and the numbers at risk below "
        "it (Guyot 2012), and their Kaplan-Meier medians. Treated against control. These ratios enter no synthesis."
    )
    return draft


def _digitised_lines(draft: Draft, source: Source, study: str, code: str) -> None:
    """Add what a digitised figure gives."""
    where = ("reconstruction", f"digitised_{study}_{code}")

    def both(*what: str) -> list[Piece]:
        treated, control = (source.interval(*where, arm, *what) for arm in ("treated", "control"))
        return [*treated, "; ", *control]

    draft.add("Digitised curve", source.interval(*where, "hr"), level=1)
    draft.add("Digitised, median months, treated; control", both("median"), level=1)
    draft.add("Digitised, events, treated; control", both("pseudo_events"), level=1)


# --- harms ----------------------------------------------------------------------------------------------------------


def harms_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return published harms and events in both arms, and how they are known."""
    frame = _frame(texts, "evidence_harms", cohort)
    draft = Draft(
        [["Study and outcome"], ["Treated"], ["Control"], ["Difference (95% CI)"], ["p"], ["How known"]],
        worded=frozenset({0, 5}),
    )
    for _, rows in frame.groupby("study_id", sort=False):
        draft.head(str(rows["label"].iloc[0]))
        for row in rows.itertuples():
            difference = ("effects", row.outcome_id, "risk_difference")
            draft.add(
                f"{row.outcome}{_grades(_known(row.grades))}{' (lesions)' if row.counted == 'lesions' else ''}",
                _events(source, row.outcome_id, "treated", _decimals(row.treated_decimals)),
                _events(source, row.outcome_id, "control", _decimals(row.control_decimals)),
                source.interval(*difference) if source.has(*difference) else [],
                _p_printed(source, row),
                [_short(_known(row.status))],
                level=1,
            )
    draft.notes.append(
        "Events / patients (percent), as far as published; difference of percentages, crude, where both arms' "
        f"counts are. p: as printed, two-sided unless marked {ONE_SIDED}. Percentages of counts are computed; the "
        "others have the decimals of the print. Recurrence is listed where a study counts it. Seen: read in the "
        "source; recalled: from memory."
    )
    return draft


def _grades(grades: str) -> str:
    """Return grades as they follow an outcome."""
    if grades == "all":
        return ", all grades"
    return f", grade{'s' if '-' in grades else ''} {grades.replace('-', ' to ')}" if grades else ""


def _p_printed(source: Source, row: Any) -> list[Piece]:
    """Return the p value that is printed beside an outcome, with the decimals of the print."""
    printed = _optional(source, "effects", row.outcome_id, "p_printed", digits=_decimals(row.p_decimals))
    return [*printed, *([ONE_SIDED] if printed and _known(row.p_sided) == "one" else [])]


def _events(source: Source, outcome: str, arm: str, digits: int | None) -> list[Piece]:
    """Return ``154 / 559 (27.5%)``, as much of it as is known."""
    where = ("effects", outcome, arm)
    events, total = (_optional(source, *where, stat) for stat in ("events", "total"))
    percent = _optional(source, *where, "percent", digits=digits)
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
                    _figure(source, row),
                    [str(row.verdict)],
                    [_known(row.reason), *cited],
                ]
            )
    return draft


_BOTH_ARMS: Final = ".n_both_arms"


def _figure(source: Source, row: Any) -> Cell:
    """Return a source's figure as it prints it, with the rows of the ARD that it is or is made of."""
    said, identifier = _known(row.source), _known(row.source_value_id)
    if identifier not in source.rows:
        return [said]
    number = Number(source.rows[identifier])
    if number.row["unit"] == "ratio":  # what is claimed of an effect is held against its interval, where that was read
        return source.interval(identifier) if "(" in said else [number]
    if number.row["unit"] == "months" and row.source_unit != "months":
        return [f"{said} (", number, " months)"]
    cell: list[Piece] = [number, said.removeprefix(said.split(" ")[0])]
    if identifier.endswith(_BOTH_ARMS):
        arms = [f"{identifier.removesuffix(_BOTH_ARMS)}.n_{arm}" for arm in ("treated", "control")]
        cell += [" (", *source.value(arms[0]), " + ", *source.value(arms[1]), ")"]
    return cell


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
        "+ low; \u00b1 some concerns (RoB 2) or moderate (ROBINS-I); \u2212 high or serious; \u2212\u2212 critical; "
        "? no information. Judged once, from what could be read of each study."
    )
    return draft


def _domains(rows: pd.DataFrame) -> list[str]:
    """Return the domains of a tool in their order, without the judgement over all."""
    return [name for name in dict.fromkeys(rows["domain"]) if name != "overall"]


LEVELS: Final = {1: "very low", 2: "low", 3: "moderate", 4: "high"}


def findings_table(source: Source, cohort: CohortConfig, plan: Plan, texts: Texts) -> Draft:
    """Return the findings in the manner of GRADE: effect, certainty, and why it was lowered."""
    frame = _frame(texts, "evidence_certainty", cohort)
    harms = _frame(texts, "evidence_harms", cohort).set_index("outcome_id", drop=False)
    draft = Draft(
        [["Outcome"], ["Studies"], ["Effect (95% CI)"], ["Certainty"], ["Why lowered"]],
        worded=frozenset({0, 3, 4}),
    )
    for _, rows in frame.groupby("finding_id", sort=False):
        first = rows.iloc[0]
        lowered = rows[(rows["domain"] != "start") & (rows["step"] < 0)]
        reasons = "; ".join(
            f"{row.domain.replace('_', ' ')} (\u2212{abs(row.step):.0f}): {_within(row.reason)}"
            for row in lowered.itertuples()
        )
        draft.add(
            str(first["outcome"]),
            source.value(str(first["k_id"])) if first["k_id"] else ["1"],
            _finding(source, first, harms),
            [f"{_sentence(str(first['word']))} (", *source.value(str(first["level_id"]), digits=0), "/4)"],
            [_sentence(reasons) or "Not lowered"],
        )
    draft.notes.append(
        "Effects are hazard ratios of verified figures unless said otherwise; of several studies the common "
        "effect, then random effects with the Hartung-Knapp interval. Certainty after GRADE: trials start at 4, "
        "cohorts at 2."
    )
    return draft


def _finding(source: Source, first: Any, harms: pd.DataFrame) -> Cell:
    """Return the effect that a finding is about."""
    identifier, kind = str(first["ard_id"]), str(first["effect_kind"])
    if kind == "none":
        return ["no verified effect"]
    if kind == "percent":
        row = harms.loc[first["effect_id"]]
        arms = [
            source.value(place, digits=_decimals(printed))
            for place, printed in (
                (identifier, row.treated_decimals),
                (str(first["control_id"]), row.control_decimals),
            )
        ]
        p = _p_printed(source, row)
        return [*arms[0], " against ", *arms[1], *([", p ", *p, " as printed"] if p else []), "; no interval known"]
    if kind == "pooled":
        common = source.interval(identifier.removesuffix("random_hr") + "common_hr")
        return [*common, ", common; ", *source.interval(identifier), ", random"]
    words = ["risk ratio "] if kind == "risk ratio" else []
    return [*words, *source.interval(identifier)]
