"""What was done to review the evidence, counted; risk of bias; and the certainty of each finding.

The flow follows the boxes of PRISMA 2020 as far as they were done. No database was searched and none is claimed:
sources came from the editorial, from the study question and from later updates, and each is one row of the tables.
"""

from __future__ import annotations

import math
from typing import Final

import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, ard_id
from sorafenib_rfa.estimates.evidence_common import DESIGN_GROUPS, STUDIES, evidence_plan, members
from sorafenib_rfa.estimates.evidence_selection import POOLED_ROLE, pooled_rows, select_effects
from sorafenib_rfa.estimates.evidence_synthesis import counted_effect
from sorafenib_rfa.evidence.schema import ARMS, BIAS_TOOLS, STARTS
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError
from sorafenib_rfa.stats.meta_analysis import meta_analysis

ENGINE = "sorafenib_rfa.estimates.evidence_review"
WORDS: Final = {1: "very low", 2: "low", 3: "moderate", 4: "high"}
"""Level of certainty -> its word in GRADE."""
_START: Final = "start"
_OVERALL: Final = "overall"
_JUDGED_HALF: Final = 0.005
"""Half of the last digit with which a judged limit is written."""
_IDENTIFIED: Final = {
    "editorial": "Sources: the editorial, and those found through it",
    "study_question": "Sources: found for the question of the study",
    "update": "Sources: of later evidence, found when the tables were updated",
}
_READ: Final = {
    "full_text": "Sources: full text read",
    "abstract": "Sources: abstract read",
    "part": "Sources: part of the text read",
    "secondary_report": "Sources: a report by others read",
}
_FLOW_COLUMNS: Final = ["order", "box", "step", "label", "parent", "side", "n", "ard_id", "reason"]
_BIAS_COLUMNS: Final = ["study_id", "label", "tool", "domain", "judgement", "reason", "overall"]
_START_OF_GROUP: Final = {group: float(STARTS[design]) for design, group in DESIGN_GROUPS.items()}
_CERTAINTY_COLUMNS: Final = [
    *("finding_id", "synthesis_id", "effect_id", "outcome", "level", "word", "level_id", "domain", "step", "reason"),
    *("ard_id", "control_id", "effect_kind", "k_id", "k"),
]


def estimate_review(evidence: Evidence, plan: Plan, cohort_name: str, record: str) -> Estimates:
    """Count what was done, and say how certain the findings are.

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
        ARD part ``review``: ``review.flow.<step>.n`` (sources and studies at each step)``,
        review.bias.<tool>.<judgement>.n`` (studies by overall judgement)``,
        review.bias_domain_<tool>.<domain>.<judgement>.n, review.certainty.<finding>.level`` (1 very low to 4 high).
        Curves: ``evidence_flow`` (a row a box)``, evidence_bias`` (a row a study and domain, in the order of the
        file)``, evidence_certainty`` (a row a finding and domain).
    """
    selected = select_effects(evidence, plan)
    ard = ArdBuilder(cohort_name, "review", record)
    curves = {
        "evidence_flow": _Flow(ard, evidence, selected).add(),
        "evidence_bias": _add_bias(ard, evidence),
        "evidence_certainty": _add_certainty(ard, evidence, selected, plan),
    }
    return ard.estimates(curves)


# --- flow ------------------------------------------------------------------------------------------


class _Flow:
    """Boxes of the flow, with the rows that each counts."""

    def __init__(self, ard: ArdBuilder, evidence: Evidence, selected: pd.DataFrame) -> None:
        self.ard = ard
        self.evidence = evidence
        self.selected = selected
        self.rows: list[dict] = []

    def add(self) -> pd.DataFrame:
        """Add all boxes; return their curve.

        Raises
        ------
        ValueError
            If a source or a study is in no box of a step, or in two: a defect.
        """
        sources, studies = self.evidence.sources, self.evidence.studies
        for code, label in _IDENTIFIED.items():
            self._box(
                "identification",
                f"identified_{code}",
                label,
                _of(sources, "identified_by", code),
                "source_id",
                side="part",
            )
        self._box("identification", "identified", "Sources identified", sources, "source_id")
        retrieved = sources[sources["read_extent"] != "not_found"]
        unread = _of(sources, "read_extent", "not_found")
        self._box(
            "reading",
            "not_retrieved",
            "Sources that could not be read",
            unread,
            "source_id",
            parent="identified",
            side="beside",
            reason="figures of them are recalled or blank; their studies keep their rows",
        )
        self._box(
            "reading",
            "retrieved",
            "Sources of which something was read",
            retrieved,
            "source_id",
            parent="identified",
            side="beside",
        )
        for code, label in _READ.items():
            self._box(
                "reading",
                f"read_{code}",
                label,
                _of(retrieved, "read_extent", code),
                "source_id",
                parent="retrieved",
                side="part",
            )
        self._box(
            "studies",
            "studies",
            "Studies and statements of these sources, read or not",
            studies,
            "study_id",
            parent="identified",
        )
        for role, label in (
            ("narrative", "Statements named without figures"),
            ("context", "Studies shown for context and not pooled"),
        ):
            rows = _of(studies, "role", role)
            self._box(
                "studies", role, label, rows, "study_id", parent="studies", side="left out", reason=_reasons(rows)
            )
        eligible = _of(studies, "role", POOLED_ROLE)
        self._box("synthesis", "eligible", "Studies that may be pooled", eligible, "study_id", parent="studies")
        in_headline = set(self.selected.loc[self.selected["pooled_in"] != "", "study_id"])
        in_any = set(self.selected.loc[self.selected["pooled_in_all"] != "", "study_id"])
        headline = eligible[eligible["study_id"].isin(in_headline)]
        sensitivity = eligible[eligible["study_id"].isin(in_any - in_headline)]
        neither = eligible[~eligible["study_id"].isin(in_any)]
        self._box(
            "synthesis",
            "no_usable_effect",
            "Studies without an effect that can be pooled",
            neither,
            "study_id",
            parent="eligible",
            side="left out",
        )
        self._box(
            "synthesis",
            "sensitivity",
            "Studies in sensitivity analyses only",
            sensitivity,
            "study_id",
            parent="eligible",
            side="left out",
            reason="every standard error rests on recalled figures",
        )
        self._box(
            "synthesis",
            "headline",
            "Studies with a verified effect in a synthesis",
            headline,
            "study_id",
            parent="eligible",
        )
        sizes = self.selected.loc[self.selected["pooled_in"] != ""].groupby("pooled_in")["study_id"].transform("size")
        joined = set(self.selected.loc[sizes[sizes > 1].index, "study_id"])
        with_another = headline["study_id"].isin(joined)
        for step, label, rows in (
            ("pooled_with_another", "Studies: pooled with another", headline[with_another]),
            ("alone", "Studies: alone in every synthesis, so that nothing is pooled", headline[~with_another]),
        ):
            self._box("synthesis", step, label, rows, "study_id", parent="headline", side="part")
        self._conserve()
        frame = pd.DataFrame(self.rows, columns=_FLOW_COLUMNS)
        numbers = {"order": "int64", "n": "int64"}
        return frame.astype({name: numbers.get(name, "string") for name in _FLOW_COLUMNS})

    def _box(
        self,
        box: str,
        step: str,
        label: str,
        rows: pd.DataFrame,
        key: str,
        *,
        parent: str = "",
        side: str = "main",
        reason: str = "",
    ) -> None:
        identifier = self.ard.add(
            "flow",
            "n",
            len(rows),
            unit="count",
            variable=step,
            method=label + (f": {reason}" if reason else ""),
            engine=ENGINE,
            population=STUDIES,
            members=members(rows, key),
        )
        self.rows.append(
            {
                "order": len(self.rows) + 1,
                "box": box,
                "step": step,
                "label": label,
                "parent": parent,
                "side": side,
                "n": len(rows),
                "ard_id": identifier,
                "reason": reason,
            }
        )

    def _conserve(self) -> None:
        n = {row["step"]: row["n"] for row in self.rows}
        wholes = {
            "identified": [f"identified_{code}" for code in _IDENTIFIED],
            "identified ": ["not_retrieved", "retrieved"],
            "retrieved": [f"read_{code}" for code in _READ],
            "studies": ["narrative", "context", "eligible"],
            "eligible": ["no_usable_effect", "sensitivity", "headline"],
            "headline": ["pooled_with_another", "alone"],
        }
        for whole, parts in wholes.items():
            if n[whole.strip()] != sum(n[part] for part in parts):
                raise ValueError(f"{whole.strip()} {n[whole.strip()]} is not the sum of {parts}")


def _of(frame: pd.DataFrame, column: str, code: str) -> pd.DataFrame:
    return frame[frame[column] == code]


def _reasons(studies: pd.DataFrame) -> str:
    """Return the reasons for not pooling, each with its studies, in the order of the table."""
    grouped = studies.groupby("why_not_pooled", sort=False)["label"].agg(", ".join)
    return "; ".join(f"{names}: {reason}" for reason, names in grouped.items())


# --- risk of bias ----------------------------------------------------------------------------------


def _add_bias(ard: ArdBuilder, evidence: Evidence) -> pd.DataFrame:
    """Count judgements by tool, overall and by domain; return them study by study."""
    rows = evidence.risk_of_bias.merge(evidence.studies[["study_id", "label"]], on="study_id", how="left")
    rows["overall"] = rows["domain"] == _OVERALL
    for tool, own in rows.groupby("tool", sort=True):
        _, judgements = BIAS_TOOLS[tool]
        for domain in own["domain"].drop_duplicates():
            for judgement in judgements:
                judged = own[(own["domain"] == domain) & (own["judgement"] == judgement)]
                overall = domain == _OVERALL
                ard.add(
                    "bias" if overall else f"bias_domain_{tool}",
                    "n",
                    len(judged),
                    unit="count",
                    variable=tool if overall else domain,
                    level=judgement,
                    method=f"studies judged with {tool}, {domain}: {judgement}",
                    engine=ENGINE,
                    population=STUDIES,
                    members=members(judged, "study_id"),
                )
    texts = [name for name in _BIAS_COLUMNS if name != "overall"]
    return rows[_BIAS_COLUMNS].astype(dict.fromkeys(texts, "string") | {"overall": bool})


# --- certainty -------------------------------------------------------------------------------------


def certainty_level(steps: pd.DataFrame) -> int:
    """Return the level of certainty of a finding: where it starts and its steps down, at least 1 and at most 4.

    Parameters
    ----------
    steps : DataFrame
        ``domain`` (one of them start)``, step``.

    Raises
    ------
    ValueError
        If it has no start, or several.
    """
    if steps["domain"].eq(_START).sum() != 1:
        raise ValueError("a finding has one start of its certainty")
    return int(min(max(steps["step"].sum(), min(WORDS)), max(WORDS)))


def _add_certainty(ard: ArdBuilder, evidence: Evidence, selected: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Add the level of each finding; return its steps with their reasons and the effect it is about.

    Raises
    ------
    EvidenceError
        If a finding was judged by other studies or another interval than there are now, or starts where the designs of
        its synthesis do not put it.
    """
    effects = selected.set_index("effect_id")
    problems = [
        problem
        for start in evidence.certainty[evidence.certainty["domain"] == _START].to_dict("records")
        for problem in _changed(start, selected, plan)
    ]
    if problems:
        raise EvidenceError(problems)
    rows = []
    for finding, steps in evidence.certainty.groupby("finding_id", sort=False):
        level = certainty_level(steps)
        down = steps[(steps["domain"] != _START) & (steps["step"] != 0)]
        reasons = "; ".join(f"{row.domain.replace('_', ' ')} {row.step:g}" for row in down.itertuples(index=False))
        outcome = steps["outcome"].iloc[0]
        level_id = ard.add(
            "certainty",
            "level",
            level,
            unit="statistic",
            variable=finding,
            method=f"{outcome}: certainty {WORDS[level]} (4 high, 3 moderate, 2 low, 1 very low); starts at "
            f"{steps.loc[steps['domain'] == _START, 'step'].iloc[0]:g}"
            + (f", {reasons}" if reasons else ", no step down"),
            engine=ENGINE,
            population=STUDIES,
        )
        about = _effect_of(steps.iloc[0], evidence, effects, selected, plan)
        for step in steps.itertuples(index=False):
            rows.append(
                {
                    name: getattr(step, name)
                    for name in ("synthesis_id", "effect_id", "outcome", "domain", "step", "reason")
                }
                | {"finding_id": finding, "level": level, "word": WORDS[level], "level_id": level_id}
                | about
            )
    frame = pd.DataFrame(rows, columns=_CERTAINTY_COLUMNS)
    numbers = ("level", "step", "k")
    texts = [name for name in _CERTAINTY_COLUMNS if name not in numbers]
    frame = frame.astype(dict.fromkeys(texts, "string") | dict.fromkeys(numbers, "float64"))
    return frame.assign(**{name: frame[name].fillna("") for name in texts})


def _changed(start: dict[str, object], selected: pd.DataFrame, plan: Plan) -> list[Problem]:
    """Say what a finding was judged by that is no longer so; `start` is its row of that domain."""
    finding = start["finding_id"]
    place = {"file": start["src_file"], "row": int(start["src_row"])}
    again = "judge the finding again in all its domains, and write down what it was judged by"
    k, low, high = _current(start, selected, plan)
    problems = []
    if start["judged_k"] != k:
        found, expected = f"{start['judged_k']:g}", f"{k}, as many studies as there are now"
        message = f"{finding} was judged by another number of studies"
        problems.append(Problem(message, column="judged_k", found=found, expected=expected, hint=again, **place))
    for column, limit in (("judged_ci_low", low), ("judged_ci_high", high)):
        judged = start[column]
        same = math.isnan(judged) if math.isnan(limit) else abs(judged - limit) <= _JUDGED_HALF + 1e-9
        if not same:
            found = "nothing" if math.isnan(judged) else f"{judged:.2f}"
            expected = "nothing: there is no interval now" if math.isnan(limit) else f"{limit:.2f}, as it is now"
            message = f"{finding} was judged by another interval"
            problems.append(Problem(message, column=column, found=found, expected=expected, hint=again, **place))
    synthesis = evidence_plan(plan).syntheses.get(start["synthesis_id"] if pd.notna(start["synthesis_id"]) else "")
    if synthesis is not None and start["step"] != _START_OF_GROUP[synthesis.design_group]:
        message = f"{finding} does not start where its designs put it ({synthesis.design_group})"
        expected = f"{_START_OF_GROUP[synthesis.design_group]:g}"
        problems.append(Problem(message, column="step", found=f"{start['step']:g}", expected=expected, **place))
    return problems


def _current(start: dict[str, object], selected: pd.DataFrame, plan: Plan) -> tuple[int, float, float]:
    """Return the number of studies of a finding, and the interval that is shown for it; NaN where there is none."""
    settings, name = evidence_plan(plan), start["synthesis_id"]
    if pd.isna(name):
        row = selected[selected["effect_id"] == start["effect_id"]]
        return 1, *((float(row["lo"].iloc[0]), float(row["hi"].iloc[0])) if len(row) else (math.nan, math.nan))
    if name not in settings.syntheses:  # said where the finding is added
        return int(start["judged_k"]), start["judged_ci_low"], start["judged_ci_high"]
    rows = pooled_rows(selected, name, settings.syntheses[name], unverified=False)
    if len(rows) < 2:
        return len(rows), *(
            (float(rows["lo"].iloc[0]), float(rows["hi"].iloc[0])) if len(rows) else (math.nan, math.nan)
        )
    numbers = (rows[column].to_numpy(dtype=float) for column in ("log_estimate", "se"))
    pooled = meta_analysis(*numbers, level=plan.confidence_level, at_least_wald=settings.at_least_wald)
    return len(rows), math.exp(pooled.random.ci_low), math.exp(pooled.random.ci_high)


def _effect_of(
    row: pd.Series, evidence: Evidence, effects: pd.DataFrame, selected: pd.DataFrame, plan: Plan
) -> dict[str, object]:
    """Return the ARD row that a finding is about, and of what kind it is.

    Kinds: pooled (random effects), single (a synthesis of one study), none (no verified effect), effect (of one
    study), risk ratio (of counted outcomes), percent (of each arm; ``control_id`` is that of the comparator).

    Raises
    ------
    ValueError
        If the finding is about nothing that the tables or the plan know.
    """
    name = row["synthesis_id"]
    if not pd.isna(name):
        if name not in evidence_plan(plan).syntheses:
            raise ValueError(f"certainty of {row['finding_id']}: the plan has no synthesis {name}")
        k = int((selected["pooled_in"] == name).sum())
        kind = "pooled" if k > 1 else "single" if k == 1 else "none"
        stat = {"pooled": "random_hr", "single": "single_hr", "none": "random_hr"}[kind]
        return {
            "ard_id": ard_id("synthesis", name, stat),
            "effect_kind": kind,
            "k_id": ard_id("synthesis", name, "k"),
            "k": k,
        }
    effect = row["effect_id"]
    if effect in effects.index:
        return {"ard_id": counted_effect(effect, effects.at[effect, "basis"]), "effect_kind": "effect", "k": 1}
    outcomes = evidence.event_counts.set_index("outcome_id")
    if effect in outcomes.index:
        counts = ["events_treated", "total_treated", "events_control", "total_control"]
        if outcomes.loc[effect, counts].notna().all():
            return {"ard_id": ard_id("effects", effect, "risk_ratio"), "effect_kind": "risk ratio", "k": 1}
        percents = {arm: ard_id("effects", effect, arm, "percent") for arm in ARMS}
        return {"ard_id": percents["treated"], "control_id": percents["control"], "effect_kind": "percent", "k": 1}
    raise ValueError(f"certainty of {row['finding_id']}: neither an effect nor an outcome is called {effect}")
