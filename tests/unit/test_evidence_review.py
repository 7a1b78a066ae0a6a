"""Certainty of findings: it is that of the estimates shown, and whoever changes these is asked to judge again."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from sorafenib_rfa.estimates.evidence_review import estimate_review
from sorafenib_rfa.estimates.evidence_selection import select_effects
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError, FieldStatus, read_evidence
from tests.unit.evidence_made_up import SHIPPED, the_plan

EVIDENCE = read_evidence(SHIPPED)
PLAN = the_plan()


def review(evidence: Evidence) -> pd.DataFrame:
    return estimate_review(evidence, PLAN, "evidence", "records/x.json").curves["evidence_certainty"]


def refused(evidence: Evidence) -> list[str]:
    with pytest.raises(EvidenceError) as raised:
        review(evidence)
    return [str(problem) for problem in raised.value.problems]


def row_of_start(finding: str) -> int:
    rows = EVIDENCE.certainty
    return int(rows.loc[rows["finding_id"].eq(finding) & rows["domain"].eq("start"), "src_row"].item())


def test_findings_were_judged_by_what_is_shown() -> None:
    """Levels as the shipped table puts them together; that they are no older than the estimates, the job says."""
    levels = review(EVIDENCE).drop_duplicates("finding_id").set_index("finding_id")["word"]
    assert levels.to_dict() == {
        "adjuvant_rfs": "moderate",
        "adjuvant_ttr": "very low",
        "adjuvant_ttr_ablation": "very low",
        "adjuvant_os": "low",
        "tace_os": "low",
        "space_untaceable": "very low",
        "rfa_cohorts_rfs": "very low",
        "rfa_cohorts_os": "very low",
        "adjuvant_cohorts_os": "very low",
        "soramic_any_ae": "low",
    }


def test_a_study_more_asks_for_a_new_judgement() -> None:
    """Were the interval of the post-TACE trial read, survival with TACE would rest on two trials."""
    read = {("effects", "post_tace_os", field): FieldStatus("seen", "", "S17") for field in ("estimate", "ci_low")}
    read["effects", "post_tace_os", "ci_high"] = FieldStatus("seen", "", "S17")
    problems = refused(replace(EVIDENCE, statuses={**EVIDENCE.statuses, **read}))
    assert len(problems) == 3
    assert problems[0] == (
        f"data/evidence/certainty.csv, row {row_of_start('tace_os')}, column judged_k: "
        "tace_os was judged by another number of studies\n"
        "    found:    1\n"
        "    expected: 2, as many studies as there are now\n"
        "    hint:     judge the finding again in all its domains, and write down what it was judged by"
    )
    assert "column judged_ci_low: tace_os was judged by another interval" in problems[1]


@pytest.mark.parametrize(
    ("effect", "finding", "limit"),
    [("storm_rfs", "adjuvant_rfs", 1.15), ("soramic_ablation_ttr", "adjuvant_ttr_ablation", 2.0)],
)
def test_another_interval_asks_for_a_new_judgement(effect: str, finding: str, limit: float) -> None:
    effects = EVIDENCE.effects.copy()
    effects.loc[effects["effect_id"].eq(effect), "ci_high"] = limit
    problems = refused(replace(EVIDENCE, effects=effects))
    place = (
        f"certainty.csv, row {row_of_start(finding)}, column judged_ci_high: {finding} was judged by another interval"
    )
    (named,) = [problem for problem in problems if place in problem]
    assert f"expected: {limit:.2f}, as it is now" in named


def test_limits_count_as_printed_with_two_decimals() -> None:
    effects = EVIDENCE.effects.copy()
    effects.loc[effects["effect_id"].eq("storm_rfs"), "ci_high"] = 1.1349
    assert len(review(replace(EVIDENCE, effects=effects))) == len(EVIDENCE.certainty)


def test_a_finding_on_cohorts_starts_low_and_one_on_trials_high() -> None:
    certainty = EVIDENCE.certainty.copy()
    starts = certainty["domain"].eq("start")
    certainty.loc[starts & certainty["finding_id"].eq("rfa_cohorts_os"), "step"] = 4.0
    certainty.loc[starts & certainty["finding_id"].eq("tace_os"), "step"] = 2.0
    problems = refused(replace(EVIDENCE, certainty=certainty))
    assert [problem.split("\n")[0].partition(": ")[2] for problem in problems] == [
        "tace_os does not start where its designs put it (randomised)",
        "rfa_cohorts_os does not start where its designs put it (cohorts)",
    ]


def test_cohorts_lose_nothing_for_confounding_again() -> None:
    """All findings on cohorts lose one step for risk of bias, for the same reasons beyond confounding."""
    rows = EVIDENCE.certainty
    cohorts = rows[rows["domain"].eq("start") & rows["step"].eq(2)]["finding_id"]
    bias = rows[rows["finding_id"].isin(cohorts) & rows["domain"].eq("risk_of_bias")]
    assert len(bias) == 3
    assert bias["step"].eq(-1).all()
    assert bias["reason"].str.startswith("Beyond confounding").all()


@pytest.mark.parametrize(
    ("effect", "year"),
    [("tactics_pfs_tace", 2020), ("tactics_os", 2022), ("imbrave050_rfs_interim_1", 2023), ("storm_os", 2015)],
)
def test_a_look_has_the_year_of_its_source(effect: str, year: int) -> None:
    assert select_effects(EVIDENCE, PLAN).set_index("effect_id").at[effect, "year"] == year
