"""Cohorts whose arms were assigned: the colon cancer trial from its packaged data to what readers see."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from clean_helpers import clean, entries, fates, patient
from estimates_data import cohort as cohort_config
from exhibit_cohorts import ROOT, assigned_arms

from sorafenib_rfa.adam import build_adam, data_dictionary
from sorafenib_rfa.arms import EXPOSURE_ARMS, arms_of
from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.clean.ledger import NO_ARM
from sorafenib_rfa.config.load import load_study, read_yaml, validate
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.errors import ConfigError, InputError
from sorafenib_rfa.estimates.published import quote_published
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.tables import make_table
from sorafenib_rfa.ingest import ingest_site
from sorafenib_rfa.public_data import COLON_BASELINE, colon_export, load_colon
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

LEV_5FU, OBSERVATION = "Levamisole + 5-FU", "Observation"
STUDY = load_study(ROOT, {"cohort": "colon_adjuvant", "seed": 1, "publication_date": "2024-01-01"})
COHORT, PLAN = STUDY.cohorts["colon_adjuvant"], STUDY.plans["colon_adjuvant"]
SHOWN = "config/cohorts/colon_adjuvant/cohort.yaml"
HEADER = [*COLON_BASELINE, "recurrence_time", "recurrence_status", "death_time", "death_status"]
# id, study, rx, sex, age, obstruct, perfor, adhere, nodes, differ, extent, surg, node4
WELL = "1,{rx},1,{age},0,0,0,2,1,3,0,0"


def run(tmp_path: Path, *lines: str) -> tuple:
    """Return the cleaned tables and ADaM of an export with these rows, read as the cohort's configuration says."""
    (tmp_path / "colon.csv").write_text("\n".join([",".join(HEADER), *lines]) + "\n")
    site = ingest_site(tmp_path, "trial", COHORT.sites["trial"], COHORT.config, shown_folder="raw")
    cleaned = clean_cohort({"trial": site}, COHORT, PLAN)
    return cleaned, build_adam(cleaned.tables, COHORT, PLAN)


def row(number: int, times: str, rx: str = "Obs", age: int = 60) -> str:
    return f"{number},{WELL.format(rx=rx, age=age)},{times}"


def parameter(adam: dict[str, pd.DataFrame], paramcd: str) -> pd.DataFrame:
    rows = adam["adtte"]
    return rows[rows["PARAMCD"] == paramcd].set_index("USUBJID")


# --- the export of the packaged data


def test_the_export_has_a_row_a_patient_and_keeps_what_is_missing():
    lines = colon_export(load_colon()).decode().splitlines()
    assert lines[0] == ",".join(HEADER)
    assert len(lines) == 930
    # the first patient of R's data set: colon[colon$id == 1, ]
    assert lines[1] == "1,1,Lev+5FU,1,43,0,0,0,5,2,3,0,1,968,1,1521,1"
    cells = [line.split(",") for line in lines[1:]]
    assert sum(one[HEADER.index("nodes")] == "" for one in cells) == 18
    assert sum(one[HEADER.index("differ")] == "" for one in cells) == 23


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda colon: colon.pop("etype"), "lack columns"),
        (lambda colon: colon["age"].__setitem__(0, 44.0), "patient 1: the two records differ at baseline"),
        (lambda colon: colon["etype"].__setitem__(0, 1.0), "patient 1: etype 1 is unknown or stands twice"),
        (lambda colon: [values.pop() for values in colon.values()], "patient 929: one record only"),
    ],
)
def test_another_data_set_is_refused(change, words):
    colon = {name: list(values) for name, values in load_colon().items()}
    change(colon)
    with pytest.raises(InputError, match=words):
        colon_export(colon)


def test_without_the_package_one_error_says_where_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "survival.datasets", None)
    with pytest.raises(InputError) as caught:
        load_colon()
    (problem,) = caught.value.problems
    assert "'survival', which is not installed" in problem.message
    assert "make environment-dev" in problem.hint


# --- ledger and ADaM


def test_the_arm_not_compared_leaves_in_a_declared_step_and_is_counted():
    data = assigned_arms()
    left = data.ledgers["fates"]["step_id"].value_counts().to_dict()
    assert left == {"arm_compared": 310}
    steps = data.ledgers["attrition"]
    first = steps[steps["step_no"] == 1].set_index("arm")["n_before"]
    # table(colon$rx) / 2 in R
    assert first.to_dict() == {"Lev": 310, LEV_5FU: 304, OBSERVATION: 315}
    ard = data.ard.set_index("ard_id")["value"]
    assert ard["flow.patients.screened"] == 929
    assert ard["flow.patients.excluded"] == 310
    assert (ard["flow.patients.lev_5fu.analysed"], ard["flow.patients.observation.analysed"]) == (304, 315)


def test_times_causes_and_arms_of_single_patients(tmp_path):
    cleaned, adam = run(
        tmp_path,
        row(1, "500,1,900,1"),  # recurrence, death later
        row(2, "900,0,900,1", "Lev+5FU"),  # death without recurrence
        row(3, "700,1,700,1"),  # recurrence and death on one day: a recurrence
        row(4, "3000,0,3000,0", "Lev+5FU", 70),  # neither
        row(5, "800,0,1200,1"),  # out of sight for recurrence, death later: still an RFS event, as with dates
        row(6, "0,1,40,1"),  # recurrence on the day of randomisation
    )
    assert cleaned.quarantine.empty
    rfs, ttr, os = (parameter(adam, name) for name in ("RFS", "TTR", "OS"))
    days = [(rows["AVAL"] * DAYS_PER_MONTH).round(9).tolist() for rows in (rfs, ttr, os)]
    assert days == [[500, 900, 700, 3000, 1200, 0.5]] * 2 + [[900, 900, 700, 3000, 1200, 40]]
    assert rfs["EVNTCD"].tolist() == [5, 4, 5, 0, 4, 5]
    assert rfs["CNSR"].tolist() == [0, 0, 0, 1, 0, 0]
    assert ttr["CNSR"].tolist() == [0, 1, 0, 1, 1, 0]
    assert os["CNSR"].tolist() == [0, 0, 0, 1, 0, 0]
    adsl = adam["adsl"].set_index("USUBJID")
    assert adsl["TRT01A"].tolist() == [OBSERVATION, LEV_5FU, OBSERVATION, LEV_5FU, OBSERVATION, OBSERVATION]
    assert (adsl["LMTRT"] == adsl["TRT01A"]).all()
    assert (adsl["LMFL"] == "Y").all()
    assert adsl["AGE_GROUP"].tolist() == ["Under 70"] * 3 + ["70 or older"] + ["Under 70"] * 2
    assert adsl["TRTSDT"].isna().all()


def test_contradictions_of_the_source_stay_as_they_are():
    """R's help page: table(colon$nodes, colon$node4) is inconsistent; nothing is mended, missing stays missing."""
    data = assigned_arms()
    table = make_table("baseline", ard=data.ard, cohort=data.cohort.config, plan=data.plan).data
    assert "More than four positive lymph nodes, n (%)" in set(table["text"])
    ard = data.ard.set_index("ard_id")["value"]
    assert ard["baseline.table1.nodes.missing"] == 12
    assert ard["baseline.table1.node4.missing"] == 0
    # with(colon[colon$etype == 2 & colon$rx != "Lev", ], sum(node4))
    assert ard["baseline.table1.node4.y.n"] == 166


def test_an_arm_that_is_not_mapped_is_quarantined_and_its_patient_not_compared(tmp_path):
    cleaned, _ = run(tmp_path, row(1, "500,1,900,1"), row(2, "500,1,900,1", "Lev + 5FU"))
    assert entries(cleaned, "column", "value", "rule", "scope") == [("rx", "Lev + 5FU", "unknown_code", "value")]
    assert fates(cleaned)["2"] == ("excluded", "arm_compared")
    assert set(cleaned.attrition["arm"]) == {OBSERVATION, NO_ARM}


def test_a_patient_recorded_in_two_arms_is_in_neither(tmp_path):
    cleaned, adam = run(
        tmp_path, row(1, "500,1,900,1"), row(2, "500,1,900,1"), row(2, "500,1,900,1", "Lev+5FU"), row(3, "9,0,9,0")
    )
    assert fates(cleaned)["2"] == ("quarantined", "conflicting_duplicate")
    assert set(cleaned.attrition["arm"]) == {OBSERVATION, NO_ARM}
    assert len(adam["adsl"]) == 2


def test_a_recurrence_after_the_end_of_life_is_a_contradiction(tmp_path):
    cleaned, _ = run(tmp_path, row(1, "901,1,900,1"), row(2, "500,1,900,1"))
    assert fates(cleaned)["1"] == ("quarantined", "survival_contradiction")
    (entry,) = entries(cleaned, "column", "reason")
    assert entry[0] == "recurrence_time"
    assert entry[1].startswith("TTR of")


def test_no_cohort_without_assigned_arms_has_them():
    assert arms_of(cohort_config()) is EXPOSURE_ARMS
    cleaned = clean(
        {"a": {"patients": [patient("1", assigned_arm="Obs")], "survival_times": []}},
        modules=["survival_times"],
        eligibility=[],
    )
    assert set(cleaned.attrition["arm"]) == {"Overall"}


def test_the_dictionary_says_that_arms_were_assigned():
    said = data_dictionary(COHORT.config).query("dataset == 'ADSL'").set_index("variable")
    for name in ("TRT01A", "LMTRT"):
        assert said.loc[name, "codelist"] == f"{LEV_5FU} | {OBSERVATION}"
        assert "assigned at time zero" in said.loc[name, "derivation"]
    assert "the upper one begins at 70" in said.loc["AGE_GROUP", "derivation"]


# --- configuration


def problem_of(change) -> str:
    content = read_yaml(ROOT / SHOWN, SHOWN)
    change(content)
    with pytest.raises(ConfigError) as caught:
        validate(CohortConfig, content, SHOWN)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("assigned_arms"), "assigned_treatment and the key assigned_arms go together"),
        (lambda c: c["modules"].remove("assigned_treatment"), "assigned_treatment and the key assigned_arms go"),
        (lambda c: c["modules"].append("treatment"), "either assigned .* or formed by exposure"),
        (lambda c: c["eligibility"].pop(0), "a step of the rule arm_compared is needed"),
        (lambda c: c["assigned_arms"]["control"].update(slug="lev_5fu"), "both arms have the slug 'lev_5fu'"),
        (lambda c: c["assigned_arms"]["control"].update(label=LEV_5FU), "both arms have the label"),
        (lambda c: c["extra_variables"]["age_group"]["split"].update(of="differ"), "'differ' is not one of age_years"),
        (lambda c: c["extra_variables"]["age_group"]["split"].update(median_in="upper"), "either at the median"),
        (lambda c: c["extra_variables"]["age_group"]["split"].pop("at"), "either at the median"),
        (lambda c: c["published"]["death_1990"].update(status="certain"), "'seen' or 'recalled'"),
    ],
)
def test_arms_splits_and_published_results_that_contradict_themselves(change, words):
    assert re.search(words, problem_of(change))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"rfs_months": "a", "rfs_event": "b", "ttr_months": "c", "ttr_event": "d"}, "both"),
        ({}, "neither"),
    ],
)
def test_an_export_has_either_rfs_or_time_to_recurrence(tmp_path, columns, found):
    site = COHORT.sites["trial"]
    times = site.tables["survival_times"]
    kept = {name: entry for name, entry in times.columns.items() if not name.startswith("ttr")}
    changed = times.model_copy(update={"columns": kept | columns})
    site = site.model_copy(update={"tables": {**site.tables, "survival_times": changed}})
    with pytest.raises(ConfigError) as caught:
        ingest_site(tmp_path, "trial", site, COHORT.config, shown_folder="raw")
    (problem,) = caught.value.problems
    assert "either recurrence-free survival or the time to recurrence" in problem.message
    assert problem.found == found


def test_half_a_pair_is_named(tmp_path):
    site = COHORT.sites["trial"]
    times = site.tables["survival_times"]
    kept = {name: entry for name, entry in times.columns.items() if name != "ttr_event"}
    changed = times.model_copy(update={"columns": kept})
    site = site.model_copy(update={"tables": {**site.tables, "survival_times": changed}})
    with pytest.raises(ConfigError, match=r"columns\.ttr_event: this column is required"):
        ingest_site(tmp_path, "trial", site, COHORT.config, shown_folder="raw")


# --- what readers see


def test_published_results_are_quoted_as_recalled_and_not_as_ours():
    ard = quote_published(COHORT.config, "colon_adjuvant", "r").ard.set_index("ard_id")
    row = ard.loc["published.recurrence_1995.reduction"]
    assert (row["value"], row["unit"], row["engine"]) == (40, "percent", "as published")
    assert "recalled from memory and not checked against the source" in row["method"]
    assert "citation moertel1995" in row["method"]
    assert ard.loc["published.recurrence_1995.rate_ratio", "value"] == pytest.approx(0.60)
    assert quote_published(cohort_config(), "synthetic", "r").ard.empty


def drawn(name: str) -> tuple:
    data = assigned_arms()
    return draw_figure(name, ard=data.ard, curves=data.curves, cohort=data.cohort.config, plan=data.plan)


@pytest.mark.parametrize("name", ["flow", "km_rfs", "cif_first_event", "forest_os"])
def test_figures_name_the_arms_and_no_landmark(name):
    figure, made = drawn(name)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts] + [text.get_text() for text in figure.texts]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any(LEV_5FU in text for text in texts)
    assert not any(word in text for text in texts for word in ("landmark", "sorafenib", "RFA", "Synthetic"))
    assert not made.empty


def test_the_names_of_the_arms_fit_beside_the_risk_table():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, _ = drawn("km_rfs")
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [text for text in figure.axes[0].texts if text.get_text() == LEV_5FU]
    assert len(names) == 1
    assert names[0].get_window_extent(renderer).x0 >= 0


def test_first_events_are_recurrence_and_death():
    _, made = drawn("cif_first_event")
    assert set(made["panel"]) == {"Recurrence", "Death without recurrence"}


@pytest.mark.parametrize("name", ["baseline", "efficacy", "attrition"])
def test_tables_have_the_arms_as_columns_and_speak_of_no_landmark(name):
    data = assigned_arms()
    table = make_table(name, ard=data.ard, cohort=data.cohort.config, plan=data.plan)
    assert [column.split(" (n")[0] for column in dict.fromkeys(table.data["column"])][1:3] == [LEV_5FU, OBSERVATION]
    for word in ("landmark", "sorafenib", "RFA alone", "Synthetic"):
        assert word not in table.markdown


def test_no_row_of_the_ard_speaks_of_a_landmark_or_of_sorafenib():
    ard = assigned_arms().ard
    said = ard["population"].str.cat(ard["method"], sep=" ")
    for word in ("landmark", "sorafenib", "RFA", "grace"):
        assert not said.str.contains(word, case=False).any(), (word, said[said.str.contains(word, case=False)].iloc[0])
