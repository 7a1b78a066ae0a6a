"""The editorial's statements: what is known to be wrong in it is found, and nothing unread is called true."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest

from sorafenib_rfa.evidence.editorial import check_statements, effect_shown
from sorafenib_rfa.evidence.schema import COMPUTED_VERDICTS, HAND_VERDICTS, SECTIONS
from sorafenib_rfa.evidence.tables import Evidence, FieldStatus, read_evidence

SHIPPED = Path(__file__).parents[2] / "data/evidence"


@pytest.fixture(scope="module")
def shipped() -> Evidence:
    return read_evidence(SHIPPED)


@pytest.fixture(scope="module")
def checked(shipped: Evidence) -> pd.DataFrame:
    return check_statements(shipped).set_index("statement_id")


def claim(shipped: Evidence, value: float, unit: str, refers_to: str) -> Evidence:
    """Return the evidence with one statement only."""
    frame = shipped.statements[shipped.statements["statement_id"].eq("storm_patients")].copy()
    frame["claimed_value"], frame["claimed_unit"], frame["refers_to"] = value, unit, refers_to
    return dataclasses.replace(shipped, statements=frame)


def verdict(evidence: Evidence) -> str:
    return check_statements(evidence)["verdict"].item()


def restate(evidence: Evidence, figure: tuple[str, str, str], status: FieldStatus) -> Evidence:
    return dataclasses.replace(evidence, statuses={**evidence.statuses, figure: status})


def test_every_statement_has_verdict_reason_and_citation(shipped: Evidence, checked: pd.DataFrame) -> None:
    assert checked.index.tolist() == shipped.statements["statement_id"].tolist()
    assert checked[["verdict", "reason", "citation_key", "statement", "section"]].notna().all(axis=None)
    assert set(checked["verdict"]) <= {*COMPUTED_VERDICTS, *HAND_VERDICTS}
    assert set(checked["section"]) == set(SECTIONS)
    own = ~checked["section"].isin(["later evidence", "registration"])
    assert own.sum() >= 30


def test_median_of_space_is_in_weeks_not_months(checked: pd.DataFrame) -> None:
    row = checked.loc["space_median_treated"]
    assert row["verdict"] == "unit error"
    assert (row["claimed_value"], row["claimed_unit"]) == (24, "months")
    assert (row["source_value"], row["source_unit"]) == (169, "days")
    assert row["reason"] == "24 weeks, not months: the source gives 169 days, 5.6 months or 24.1 weeks"
    assert row["citation_key"] == "lencioni2016"
    other = checked.loc["space_median_control"]
    assert (other["verdict"], other["source_value"]) == ("unit error", 166)
    assert other["reason"] == "24 weeks, not months: the source gives 166 days, 5.5 months or 23.7 weeks"


def test_the_contrast_drawn_from_it_does_not_exist(checked: pd.DataFrame) -> None:
    row = checked.loc["contrast"]
    assert row["verdict"] == "contradicted"
    assert row["source_value"] == pytest.approx(169 / 30.4375 / 5.4, abs=0.005)
    assert row["reason"].startswith("169 days (5.6 months) against 5.4 months: 1.03 times")


def test_patients_of_storm_were_screened(checked: pd.DataFrame) -> None:
    row = checked.loc["storm_patients"]
    assert row["verdict"] == "screened, not randomised"
    assert (row["claimed_value"], row["source_value"], row["source_unit"]) == (1602, 1114, "patients")
    assert row["reason"] == "1602 were screened (seen), 1114 randomised (556 + 558 patients)"


def test_a_true_number_is_supported(checked: pd.DataFrame) -> None:
    row = checked.loc["space_patients"]
    assert (row["verdict"], row["source_value"]) == ("supported", 307)


def test_what_is_known_from_the_editorial_alone_proves_nothing(shipped: Evidence, checked: pd.DataFrame) -> None:
    for statement in ("li_patients", "li_treated", "li_control", "post_tace_median"):
        assert checked.loc[statement, "verdict"] == "not verifiable"
        assert checked.loc[statement, "reason"].startswith("the figure is known from this document alone")
        assert checked.loc[statement, "claimed_value"] == checked.loc[statement, "source_value"]
    open_to_all = check_statements(shipped, checked_documents=()).set_index("statement_id")
    assert open_to_all.loc["li_patients", "verdict"] == "supported"


def test_recalled_agreement_is_said_and_proves_nothing(checked: pd.DataFrame) -> None:
    row = checked.loc["post_tace_patients"]
    assert row["verdict"] == "not verifiable"
    assert row["reason"] == "recalled only (229 + 229 patients), which agrees"


def test_recalled_disagreement_is_said(shipped: Evidence) -> None:
    row = check_statements(claim(shipped, 459, "patients", "studies:post_tace:n_both_arms")).iloc[0]
    assert (row["verdict"], row["reason"]) == (
        "not verifiable",
        "recalled only (229 + 229 patients), which does not agree",
    )


def test_later_evidence_is_dated_after_the_editorial(shipped: Evidence, checked: pd.DataFrame) -> None:
    later = checked[checked["section"].eq("later evidence")]
    assert set(later["verdict"]) == {"omission"}
    assert later["statement"].str.contains(r"\((?:20(?:1[7-9]|2\d))").all()
    assert "SORAMIC (2023)" in later.loc["later_soramic", "statement"]
    superseded = checked[checked["verdict"].eq("superseded")]
    assert superseded["reason"].str.contains("(?i)since").all()


def test_reasons_by_hand_tell_figures_as_the_tables_print_them(shipped: Evidence, checked: pd.DataFrame) -> None:
    assert (
        "recurrence-free survival 0.72 (0.56 to 0.93) at the first look, 0.90 (0.72 to 1.12) at the second"
        in (checked.loc["later_imbrave050", "reason"])
    )
    changed = dataclasses.replace(
        shipped, cells={**shipped.cells, ("effects", "imbrave050_rfs_interim_2", "estimate"): "0.95"}
    )
    reason = check_statements(changed).set_index("statement_id").loc["later_imbrave050", "reason"]
    assert "0.95 (0.72 to 1.12) at the second" in reason
    assert not checked["reason"].str.contains("[{}]").any()


def test_reasons_by_hand_type_no_ratio_of_their_own(shipped: Evidence) -> None:
    """Numbers with decimals are hazard ratios, limits, p values, percentages or medians: all of them are in tables."""
    by_hand = shipped.statements[shipped.statements["refers_to"].isna()]
    without_places = by_hand["reason"].str.replace(r"\{[^}]*\}", "", regex=True)
    assert without_places.str.contains(r"\d\.\d").sum() == 0
    assert by_hand["claimed_value"].isna().sum() == len(by_hand) - 3  # two medians of others, two registrations


def test_not_all_trials_concur(shipped: Evidence, checked: pd.DataFrame) -> None:
    """Brivanib after TACE prolonged the time to progression two years before the editorial, not survival."""
    row = checked.loc["all_concur_ttp"]
    assert (row["verdict"], row["source_value"], row["source_unit"]) == ("contradicted", 0.61, "hazard ratio")
    assert row["reason"] == "hazard ratio 0.61, 95 % interval 0.48 to 0.77: a benefit of the treated"
    assert shipped.studies.set_index("study_id").loc["brivanib_tace", "year"] < 2016
    assert checked.loc["all_concur", "verdict"] == "not verifiable"
    assert verdict(claim_effect(shipped, "no benefit", "brivanib_tace_os")) == "supported"


def claim_effect(shipped: Evidence, claimed: str, effect: str) -> Evidence:
    """Return the evidence with one statement only, about an effect."""
    frame = shipped.statements[shipped.statements["statement_id"].eq("storm_rfs")].copy()
    frame["claimed_effect"], frame["refers_to"] = claimed, f"effects:{effect}:significant"
    return dataclasses.replace(shipped, statements=frame)


@pytest.mark.parametrize(
    ("claimed", "effect", "expected", "reason"),
    [
        ("no difference", "storm_rfs", "supported", "hazard ratio 0.940, 95 % interval 0.78 to 1.13: no significant"),
        ("benefit", "storm_rfs", "contradicted", "no significant difference"),
        ("no benefit", "storm_rfs", "supported", "no significant difference"),
        ("harm", "space_untaceable", "supported", "interval 1.200 to 2.096: a harm to the treated"),
        ("no benefit", "space_untaceable", "supported", "a harm to the treated"),
        ("no difference", "space_untaceable", "contradicted", "a harm to the treated"),
        ("benefit", "li_song_2021_os", "supported", "interval 0.377 to 0.994: a benefit of the treated"),
        # only the p value was seen; one-sided or two-sided, it is above 0.05
        ("no benefit", "space_ttp", "supported", "hazard ratio 0.797, p 0.072, the same whatever its side: no signif"),
        ("no difference", "li_song_2021_rfs", "supported", "p 0.564, the same whatever its side: no significant"),
        # recalled figures prove nothing
        ("no benefit", "post_tace_ttp", "not verifiable", "recalled only (hazard ratio 0.87, 95 % interval 0.70 to"),
        ("benefit", "post_tace_ttp", "not verifiable", "which does not agree"),
        (
            "benefit",
            "li_2016_os",
            "not verifiable",
            "neither an interval nor a p value could be read; the medians are 37",
        ),
    ],
)
def test_whether_there_is_an_effect_follows_from_its_interval(
    shipped: Evidence, claimed: str, effect: str, expected: str, reason: str
) -> None:
    row = check_statements(claim_effect(shipped, claimed, effect)).iloc[0]
    assert row["verdict"] == expected
    assert reason in row["reason"]


@pytest.mark.parametrize(
    ("p", "sided", "status", "estimate", "shown"),
    [
        (0.04, "two", "seen", 0.8, "benefit"),
        (0.04, "two", "seen", 1.3, "harm"),
        (0.04, "one", "seen", 0.8, "no difference"),  # 0.08 two-sided
        (0.02, "one", "seen", 0.8, "benefit"),
        (0.98, "one", "seen", 1.3, "harm"),  # of the test that treatment lowers the hazard
        (0.90, "one", "seen", 1.3, "no difference"),
        (0.04, "two", "derived", 0.8, ""),  # one-sided it would be none
        (0.02, "two", "derived", 0.8, "benefit"),
    ],
)
def test_a_p_value_decides_only_what_its_side_allows(
    shipped: Evidence, p: float, sided: str, status: str, estimate: float, shown: str
) -> None:
    effects = shipped.effects.copy()
    at = effects["effect_id"].eq("brivanib_tace_os")
    effects.loc[at, ["estimate", "p_value"]] = estimate, p
    effects.loc[at, "p_sided"] = sided
    limits = [("effects", "brivanib_tace_os", field) for field in ("ci_low", "ci_high", "ci_level")]
    cells = {key: text for key, text in shipped.cells.items() if key not in limits}
    statuses = {key: known for key, known in shipped.statuses.items() if key not in limits}
    statuses["effects", "brivanib_tace_os", "p_sided"] = FieldStatus(status, "", "there")
    changed = dataclasses.replace(shipped, effects=effects, cells=cells, statuses=statuses)
    assert effect_shown(changed, "brivanib_tace_os")[0] == shown


def test_recalled_limits_are_not_shown_beside_an_estimate_that_was_seen(checked: pd.DataFrame) -> None:
    shown = checked["source_interval"]
    assert shown["storm_rfs"] == "0.78 to 1.13"
    assert shown["post_tace_ttp"] == "0.70 to 1.09"  # the estimate is recalled too, and the reason says so
    assert pd.isna(shown["space_endpoint"])
    assert pd.isna(shown["li_os"])


def test_claims_of_no_difference_follow_the_table(shipped: Evidence) -> None:
    """Were the upper limit of STORM 0.99, its claim of no difference would be false."""
    effects = shipped.effects.copy()
    effects.loc[effects["effect_id"].eq("storm_rfs"), "ci_high"] = 0.99
    changed = dataclasses.replace(shipped, effects=effects)
    assert verdict(claim_effect(changed, "no difference", "storm_rfs")) == "contradicted"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (169, "days", "supported"),
        (24.1, "weeks", "supported"),
        (5.6, "months", "supported"),
        (5.55, "months", "supported"),
        (0.46, "years", "supported"),
        (5.7, "months", "contradicted"),
        (169, "months", "unit error"),
        (24, "days", "unit error"),
        (25, "months", "contradicted"),
        (6, "months", "supported"),  # without decimals it stands for 5.5 to 6.5
        (30, "weeks", "contradicted"),
    ],
)
def test_times_are_compared_within_their_printing(shipped: Evidence, value: float, unit: str, expected: str) -> None:
    assert verdict(claim(shipped, value, unit, "effects:space_ttp:median_treated")) == expected


@pytest.mark.parametrize(
    ("value", "refers_to", "expected"),
    [
        (1114, "studies:storm:n_both_arms", "supported"),
        (1115, "studies:storm:n_both_arms", "contradicted"),
        (1602, "studies:storm:n_both_arms", "screened, not randomised"),
        (1602, "studies:storm:n_screened", "supported"),
        (556, "studies:storm:n_treated", "supported"),
        (471, "event_counts:storm_ended_treatment:events_treated", "supported"),
        (472, "event_counts:storm_ended_treatment:events_treated", "contradicted"),
        (1943, "studies:assure:n_randomised", "supported"),
        (1296, "studies:assure:n_randomised", "contradicted"),
    ],
)
def test_numbers_of_patients_are_exact(shipped: Evidence, value: float, refers_to: str, expected: str) -> None:
    assert verdict(claim(shipped, value, "patients", refers_to)) == expected


def test_other_figures(shipped: Evidence) -> None:
    assert verdict(claim(shipped, 0.94, "ratio", "effects:storm_rfs:estimate")) == "supported"
    assert verdict(claim(shipped, 0.95, "ratio", "effects:storm_rfs:estimate")) == "contradicted"
    assert verdict(claim(shipped, 92.5, "percent", "event_counts:soramic_any_ae:percent_treated")) == "supported"
    percent = "survival_percentages:recurrent_milan.OS.treated.12:percent"
    assert verdict(claim(shipped, 97.7, "percent", percent)) == "supported"
    lesions = "event_counts:soramic_local_recurrence:events_treated"
    assert verdict(claim(shipped, 6, "lesions", lesions)) == "supported"
    assert verdict(claim(shipped, 6, "patients", lesions)) == "contradicted"
    assert verdict(claim(shipped, 28, "countries", "studies:storm:n_countries")) == "supported"
    assert verdict(claim(shipped, 27, "countries", "studies:storm:n_countries")) == "contradicted"


def test_a_blank_figure_cannot_be_verified(shipped: Evidence) -> None:
    row = check_statements(claim(shipped, 0.5, "ratio", "effects:feng_2014_os:estimate")).iloc[0]
    assert (row["verdict"], row["reason"]) == ("not verifiable", "the source's figure could not be read")
    assert pd.isna(row["source_value"]) and pd.isna(row["source_unit"])


def test_the_weaker_arm_counts(shipped: Evidence) -> None:
    figure = ("studies", "storm", "n_control")
    weakened = restate(shipped, figure, FieldStatus("recalled", "high"))
    assert verdict(claim(weakened, 1602, "patients", "studies:storm:n_both_arms")) == "not verifiable"
    derived = restate(shipped, figure, FieldStatus("derived", "", "by subtraction"))
    row = check_statements(claim(derived, 1602, "patients", "studies:storm:n_both_arms")).iloc[0]
    assert row["verdict"] == "screened, not randomised"
    assert row["reason"].endswith("(derived)")


def test_quotients(shipped: Evidence) -> None:
    medians = "effects:space_ttp:median_treated / effects:post_tace_ttp:median_treated"
    assert verdict(claim(shipped, 1.03, "times", medians)) == "supported"
    assert verdict(claim(shipped, 1, "times", medians)) == "supported"
    assert verdict(claim(shipped, 4.4, "times", medians)) == "contradicted"
    recalled = "effects:space_ttp:median_treated / effects:kan_2015_ttp:median_treated"
    assert verdict(claim(shipped, 4.4, "times", recalled)) == "not verifiable"
    blank = "effects:space_ttp:median_treated / effects:storm_os:median_treated"
    assert verdict(claim(shipped, 4.4, "times", blank)) == "not verifiable"
    within = "effects:space_ttp:median_treated / effects:space_ttp:median_control"
    assert verdict(claim(shipped, 1.02, "times", within)) == "supported"


def test_a_corrected_source_changes_the_verdict(tmp_path: Path) -> None:
    """The verdict follows the table: were the source's median 24 months, the editorial would be right."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "evidence"))
    with open(folder / "effects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    for row in rows:
        if row[0] == "space_ttp":
            row[header.index("median_treated")], row[header.index("median_unit")] = "24.1", "months"
    with open(folder / "effects.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    checked = check_statements(read_evidence(folder)).set_index("statement_id")
    assert checked.loc["space_median_treated", "verdict"] == "supported"
    assert checked.loc["contrast", "verdict"] == "supported"
