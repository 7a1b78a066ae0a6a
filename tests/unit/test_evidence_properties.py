"""Properties of the synthesis of published effects: what must change nothing, and what must change which number."""

from __future__ import annotations

import ast
import inspect
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorafenib_rfa.estimates import evidence as everything
from sorafenib_rfa.estimates.evidence_selection import pooled_rows, select_effects
from sorafenib_rfa.estimates.evidence_synthesis import estimate_synthesis
from sorafenib_rfa.evidence.tables import EvidenceError
from tests.unit.evidence_made_up import ROOT, Effect, made_up, the_plan

PLAN = the_plan(only=("adjuvant_ttr", "adjuvant_os"))
NUMBERS = ["value", "ci_low", "ci_high", "p_value"]
QUICK = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@st.composite
def effects(draw: st.DrawFn, *, least: int = 2) -> list[Effect]:
    """Draw trials of one synthesis, some of whose figures are only recalled."""
    found = []
    for j in range(draw(st.integers(least, 6))):
        log = draw(st.floats(-1, 1))
        se = draw(st.floats(0.05, 0.6))
        found.append(
            Effect(
                f"study_{j}",
                math.exp(log),
                math.exp(log - 1.96 * se),
                math.exp(log + 1.96 * se),
                year=2000 + draw(st.integers(0, 3)),
                status=draw(st.sampled_from(["seen", "seen", "recalled"])),
            )
        )
    return found


def ard_of(folder: Path, drawn: list[Effect], **options: object) -> pd.DataFrame:
    made = estimate_synthesis(made_up(folder, drawn, **options), PLAN, "evidence", "record")
    return made.ard.set_index("ard_id")


@QUICK
@given(drawn=effects(), data=st.data())
def test_the_order_of_rows_in_the_tables_changes_nothing(
    tmp_path: Path, drawn: list[Effect], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(drawn))))
    first = estimate_synthesis(made_up(tmp_path / "a", drawn), PLAN, "evidence", "record")
    second = estimate_synthesis(made_up(tmp_path / "b", drawn, order=order), PLAN, "evidence", "record")
    pd.testing.assert_frame_equal(first.ard, second.ard, check_exact=True)
    for name, curve in first.curves.items():
        pd.testing.assert_frame_equal(curve, second.curves[name], check_exact=True)


@QUICK
@given(drawn=effects())
def test_swapping_the_arms_inverts_every_ratio_and_keeps_heterogeneity(tmp_path: Path, drawn: list[Effect]) -> None:
    swapped = [replace(effect, hr=1 / effect.hr, low=1 / effect.high, high=1 / effect.low) for effect in drawn]
    first, second = ard_of(tmp_path / "a", drawn), ard_of(tmp_path / "b", swapped)
    # which of the estimates with one left out is the lowest changes with the arms
    ends = {"leave_out_lowest_hr": "leave_out_highest_hr", "leave_out_highest_hr": "leave_out_lowest_hr"}
    partner = [
        ".".join([*name.split(".")[:-1], ends.get(name.split(".")[-1], name.split(".")[-1])]) for name in first.index
    ]
    second = second.loc[partner].set_index(first.index)
    ratios = first["unit"] == "ratio"
    turned = 1 / second.loc[ratios, ["value", "ci_high", "ci_low"]].to_numpy()
    np.testing.assert_allclose(first.loc[ratios, NUMBERS[:3]].to_numpy(), turned, rtol=1e-9)
    np.testing.assert_allclose(first.loc[ratios, "p_value"], second.loc[ratios, "p_value"], rtol=1e-6, atol=1e-12)
    same = ~ratios & ~first.index.str.endswith(".egger")
    np.testing.assert_allclose(first.loc[same, NUMBERS], second.loc[same, NUMBERS], rtol=1e-6, atol=1e-9)


@QUICK
@given(drawn=effects(), log=st.floats(-1, 1))
def test_what_is_only_recalled_moves_the_sensitivity_analysis_and_no_headline(
    tmp_path: Path, drawn: list[Effect], log: float
) -> None:
    added = Effect("recalled", math.exp(log), math.exp(log - 0.4), math.exp(log + 0.4), year=2003, status="recalled")
    before, after = ard_of(tmp_path / "a", drawn), ard_of(tmp_path / "b", [*drawn, added])
    sensitivity = before.index.str.contains(".with_unverified.", regex=False)
    kept = before.index[~sensitivity & ~before.index.str.endswith(".reporting")]
    assert len(kept) > 20
    columns = [*NUMBERS, "method"]
    pd.testing.assert_frame_equal(before.loc[kept, columns], after.loc[kept, columns], check_exact=True)
    assert after.at["synthesis.adjuvant_os.with_unverified.k", "value"] == len(drawn) + 1
    # a study more, the same variance within studies: the common effect can only become more precise
    width = [
        math.log(ard.at["synthesis.adjuvant_os.with_unverified.common_hr", "ci_high"])
        - math.log(ard.at["synthesis.adjuvant_os.with_unverified.common_hr", "ci_low"])
        for ard in (before, after)
    ]
    assert width[1] < width[0]


@QUICK
@given(drawn=effects(least=3))
def test_a_limit_that_was_only_recalled_takes_a_study_out_of_the_headline_alone(
    tmp_path: Path, drawn: list[Effect]
) -> None:
    drawn = [replace(effect, status="seen") for effect in drawn]
    flagged = [replace(drawn[0], status="recalled"), *drawn[1:]]
    before, after = ard_of(tmp_path / "a", drawn), ard_of(tmp_path / "b", flagged)
    left = ard_of(tmp_path / "c", drawn[1:])
    for stat in ("k", "common_hr", "random_hr", "tau2", "single_hr"):
        headline, every = f"synthesis.adjuvant_os.{stat}", f"synthesis.adjuvant_os.with_unverified.{stat}"
        pd.testing.assert_series_equal(after.loc[headline, NUMBERS], left.loc[headline, NUMBERS])
        pd.testing.assert_series_equal(after.loc[every, NUMBERS], before.loc[every, NUMBERS])


def test_the_random_effects_interval_is_never_narrower_than_the_common_one_where_studies_agree(tmp_path: Path) -> None:
    alike = [Effect(f"study_{j}", 0.9, 0.9 / 1.3, 0.9 * 1.3) for j in range(4)]
    ard = ard_of(tmp_path, alike)
    common, random = (ard.loc[f"synthesis.adjuvant_os.{model}_hr"] for model in ("common", "random"))
    assert random["ci_low"] < common["ci_low"] < 0.9 < common["ci_high"] < random["ci_high"]


# --- never pooled ----------------------------------------------------------------------------------


OTHERS = {
    "other_drug": {"setting": "other_drug"},
    "other_cancer": {"setting": "other_cancer"},
    "cohort": {"design": "cohort_matched"},
    "single_arm": {"design": "single_arm"},
    "endpoint": {"endpoint": "TTR"},
    "tace": {"setting": "tace"},
    "context": {"role": "context"},
    "subset": {"look": "subset"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_setting_design_endpoint_or_role_never_enters(tmp_path: Path, what: str) -> None:
    two = [Effect("first", 0.8, 0.6, 1.07), Effect("second", 1.1, 0.7, 1.73)]
    odd = replace(Effect("odd", 0.3, 0.2, 0.45), **OTHERS[what])
    before, after = ard_of(tmp_path / "a", two), ard_of(tmp_path / "b", [*two, odd])
    rows = [f"synthesis.adjuvant_os.{scope}{stat}" for scope in ("", "with_unverified.")
            for stat in ("k", "common_hr", "random_hr", "q", "tau2")]  # fmt: skip
    pd.testing.assert_frame_equal(before.loc[rows, NUMBERS], after.loc[rows, NUMBERS], check_exact=True)


def test_a_study_gives_a_synthesis_one_row_its_last_verified_look(tmp_path: Path) -> None:
    looks = [
        Effect("trial", 0.7, 0.5, 0.98, look="interim_1"),
        Effect("trial", 0.9, 0.7, 1.157, look="final"),
        Effect("trial", 0.95, 0.8, 1.128, look="updated", status="recalled"),
        Effect("other", 1.1, 0.7, 1.73),
    ]
    selected = select_effects(made_up(tmp_path, looks), PLAN).set_index("effect_id")
    assert selected.index[selected["pooled_in"] == "adjuvant_os"].tolist() == ["other_os_primary", "trial_os_final"]
    # what is not verified adds studies, and replaces no verified look
    assert (selected["pooled_in"] == selected["pooled_in_all"]).all()
    assert selected.at["trial_os_interim_1", "why_not_pooled"] == "another look of the study is taken"


def test_studies_that_are_not_alike_are_refused_even_if_the_selection_were_wrong(tmp_path: Path) -> None:
    evidence = made_up(tmp_path, [Effect("first", 0.8, 0.6, 1.07), Effect("second", 1.1, 0.7, 1.73)])
    selected = select_effects(evidence, PLAN)
    synthesis = PLAN.evidence.syntheses["adjuvant_os"]
    for column, other in {"design_group": "cohorts", "endpoint": "TTR", "setting": "tace", "role": "context"}.items():
        wrong = selected.assign(**{column: [other, selected[column].iloc[1]]})
        with pytest.raises(ValueError, match=f"adjuvant_os: {column}"):
            pooled_rows(wrong, "adjuvant_os", synthesis, unverified=False)
    with pytest.raises(ValueError, match="a study is pooled twice"):
        pooled_rows(pd.concat([selected, selected]), "adjuvant_os", synthesis, unverified=False)
    with pytest.raises(ValueError, match="unverified standard error"):
        pooled_rows(selected.assign(verified=False), "adjuvant_os", synthesis, unverified=False)


# --- results of patients have no way in ------------------------------------------------------------


def test_only_tables_of_published_studies_are_taken(tmp_path: Path) -> None:
    """What the parts are given: the tables, a folder of digitised curves, the plan and two names."""
    parameters = set(inspect.signature(everything.estimate_evidence).parameters)
    assert parameters == {"evidence", "digitised", "plan", "cohort_name", "record"}
    rule = (ROOT / "workflow/rules/evidence.smk").read_text(encoding="utf-8")
    assert rule.partition("output:")[0].count("results/") == 0


def test_no_module_of_the_synthesis_reads_patients() -> None:
    """Modules that read ADaM, clean tables, the simulator or other parts of the ARD are not even imported."""
    folder = ROOT / "src/sorafenib_rfa"
    parts = [f"estimates.{name}" for name in ("ard", "common", "members", "evidence")]
    allowed = ("stats", "evidence", "config.models", "vocabulary", "errors", *parts)
    found = 0
    for path in [*folder.glob("estimates/evidence*.py"), *folder.glob("evidence/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) if isinstance(node, ast.ImportFrom) else None
            if module and module.startswith("sorafenib_rfa."):
                found += 1
                assert module.removeprefix("sorafenib_rfa.").startswith(allowed), f"{path.name} imports {module}"
    assert found > 20


def test_a_synthetic_study_has_no_setting_to_stand_under(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="setting: unknown code"):
        made_up(tmp_path, [Effect("ours", 0.8, 0.6, 1.07, setting="synthetic")])
