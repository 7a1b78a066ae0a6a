"""Tables: what they print is the ARD through the one formatter, safe as markdown, and pandoc reads it as meant."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from estimates_data import PLAN, cohort, emulated_trial, estimated
from test_estimates_flow import ATTRITION, FATES, QUARANTINE

from sorafenib_rfa.errors import NotOfferedError
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.flow import estimate_flow
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.exhibits.tables import make_table

FLOW = estimate_flow(ATTRITION, FATES, QUARANTINE, cohort(), "synthetic", "records/flow.json")
ARD = collect_ard([*(part.ard for part in estimated()[1].values()), FLOW.ard])
ROWS = ARD.set_index("ard_id", drop=False)
NAMES = ["baseline", "efficacy", "safety", "ae_interest", "ae_terms", "liver", "albi", "attrition", "sites"]
SPAN = re.compile(r'\[((?:[^\]\\]|\\.)*)\]\{\.val data-ard="([^"]+)"\}')


def table(name: str, ard: pd.DataFrame = ARD):
    return make_table(name, ard=ard, cohort=cohort(), plan=PLAN)


def cell(name: str, label: str, column: int, occurrence: int = 0) -> pd.Series:
    """Return a cell by the text of its row's first column and the number of its column."""
    data = table(name).data
    width = data["column"].nunique()
    rows = [group.reset_index(drop=True) for _, group in data.groupby("row")]
    assert all(len(row) == width for row in rows)
    return [row for row in rows if row.loc[0, "text"].strip("\u00a0") == label][occurrence].loc[column]


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_bound_to_a_row_of_the_ard(name):
    """Outside of spans no digits are left but those of labels and notes."""
    made = table(name)
    spans = SPAN.findall(made.markdown)
    assert len(spans) > 5
    for text, identifier in spans:
        assert identifier.removeprefix("synthetic:") in ROWS.index
        assert text
    body = made.data[(made.data["row"] > 0) & (made.data["column"] != made.data["column"].iloc[0])]
    unbound = body[(body["ard_ids"] == "") & (body["text"] != "")]
    assert unbound.empty


@pytest.mark.parametrize("name", NAMES)
def test_every_printed_number_is_its_row_through_the_formatter(name):
    for text, identifier in SPAN.findall(table(name).markdown):
        row = ROWS.loc[identifier.removeprefix("synthetic:")]
        allowed = {format_value(row, digits=digits) for digits in (None, 0, 1, 2)}
        if row["unit"] != "p":
            allowed |= {format_value(row, form="interval", digits=digits) for digits in (None, 0, 2)}
        if pd.notna(row["p_value"]):
            allowed.add(re.sub(r"^p (= )?", "", format_value(row, form="p")).replace("< ", "<"))
        assert re.sub(r"\\(.)", r"\1", text) in allowed


def test_hazard_ratio_with_interval_and_p():
    row = ROWS.loc["efficacy.rfs_cox_overlap.contrast.hr"]
    made = cell("efficacy", "Hazard ratio, overlap-weighted", 3)
    assert made["text"] == f"{format_value(row)} ({format_value(row, form='interval')})"
    assert set(made["ard_ids"].split()) == {"synthetic:efficacy.rfs_cox_overlap.contrast.hr"}
    p = cell("efficacy", "Hazard ratio, overlap-weighted", 4)["text"]
    assert format_value(row, form="p") == f"p = {p}"


def test_count_and_percent():
    count, percent = ROWS.loc["safety.summary.exposed.any.n"], ROWS.loc["safety.summary.exposed.any.percent"]
    assert cell("safety", "Any adverse event", 1)["text"] == f"{format_value(count)} ({format_value(percent)})"


def test_groups_head_their_columns_with_their_size():
    header = table("baseline").data.query("row == 0")["text"].tolist()
    assert header[1] == f"RFA + sorafenib (n\u00a0=\u00a0{format_value(ROWS.loc['baseline.table1.sorafenib.n'])})"
    assert header[4:] == ["SMD", "SMD, weighted"]


def test_levels_are_indented_under_their_variable_in_the_plans_order():
    labels = table("baseline").data.query("column == 'Characteristic'")["text"].tolist()
    at = labels.index("Aetiology, n (%)")
    assert [label.strip("\u00a0") for label in labels[at + 1 : at + 5]] == ["HBV", "HCV", "Alcohol", "Other"]
    assert all(label.startswith("\u00a0") for label in labels[at + 1 : at + 5])


def test_missing_values_have_a_row_only_where_there_are_some():
    labels = [label.strip("\u00a0") for label in table("baseline").data.query("column == 'Characteristic'")["text"]]
    # only alpha-fetoprotein has gaps in the simulated cohort
    assert labels.count("Missing, n") == 1
    assert labels[labels.index("Missing, n") - 1].startswith("Alpha-fetoprotein")


def test_attrition_adds_up_and_keeps_the_order_of_steps():
    data = table("attrition").data.query("column == 'All' and row > 0")["text"].astype(int).tolist()
    assert data == [10, 1, 2, 7]
    assert data[0] - sum(data[1:-1]) == data[-1]


def test_synthetic_data_are_called_so_in_every_table():
    for name in NAMES:
        assert "Synthetic data" in table(name).markdown


def test_what_cannot_be_estimated_says_so_and_why():
    ard = ARD.copy()
    hit = ard["ard_id"] == "efficacy.rfs_cox_overlap.contrast.hr"
    ard.loc[hit, ["value", "ci_low", "ci_high", "p_value"]] = float("nan")
    ard.loc[hit, "method"] = "not estimable: no events among 12 observations"
    made = table("efficacy", ard)
    assert "[not estimable]" in made.markdown
    assert "Not estimable\\: no events among 12 observations." in made.markdown


def hostile_ard(text: str) -> pd.DataFrame:
    """Return the ARD with a step's reason and a site's name replaced by `text`."""
    ard = ARD.copy()
    ard["method"] = ard["method"].str.replace("Younger than 18 years", text, regex=False)
    ard["variable"] = ard["variable"].str.replace("site=alpha", f"site={text}", regex=False)
    return ard


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "<script>alert(1)</script>",
        "{{< val x >}}",
        "*stars* _under_ `code` $x^2$ [link](u) ^[note] @cite #tag",
        'x]{.val data-ard="y"}',
        "1. list",
    ],
)
def test_hostile_labels_stay_text(text):
    pypandoc = pytest.importorskip("pypandoc")
    made = make_table("attrition", ard=hostile_ard(text), cohort=cohort(), plan=PLAN)
    document = json.loads(pypandoc.convert_text(made.markdown, "json", format="markdown"))
    assert [block["t"] for block in document["blocks"]] == ["Table", "Para"]
    plain = pypandoc.convert_text(made.markdown, "plain", format="markdown", extra_args=["--columns=300"])
    assert text in re.sub(r" +", " ", plain.replace("\u00a0", " "))


def test_pandoc_reads_spans_and_indentation_as_meant():
    pypandoc = pytest.importorskip("pypandoc")
    for name in NAMES:
        html = pypandoc.convert_text(table(name).markdown, "html", format="markdown")
        html = re.sub(r"\s+", " ", html)
        bound = re.findall(r'<span class="val" data-ard="([^"]+)">', html)
        assert bound == [identifier for _, identifier in SPAN.findall(table(name).markdown)]
    assert '<td style="text-align: left;">\u00a0\u00a0\u00a0HBV</td>' in pypandoc.convert_text(
        table("baseline").markdown, "html", format="markdown"
    )


def test_the_same_ard_gives_the_same_bytes():
    for name in NAMES:
        assert table(name).markdown == table(name, ARD.sample(frac=1, random_state=1)).markdown


def test_a_table_the_cohort_does_not_offer_is_refused_with_advice():
    only_flow = collect_ard([FLOW.ard])
    with pytest.raises(NotOfferedError, match="needs the part 'safety'"):
        table("safety", only_flow)
    with pytest.raises(NotOfferedError, match="one of baseline, efficacy"):
        table("demographics")


def test_a_row_that_the_estimates_do_not_have_is_named():
    short = ARD[ARD["ard_id"] != "efficacy.rfs.sorafenib.events"]
    with pytest.raises(KeyError, match=r"efficacy\.rfs\.sorafenib\.events"):
        table("efficacy", short)


def test_a_cohort_with_fewer_endpoints_has_a_shorter_table():
    short = ARD[~ARD["ard_id"].str.match(r"efficacy\.(ttr|first_event)")]
    labels = table("efficacy", short).data["text"].tolist()
    assert "Recurrence-free survival (sensitivity)" in labels
    assert not any(label.startswith(("Time to recurrence", "Cumulative incidence")) for label in labels)


# --- the emulated trial in the table of efficacy -------------------------------------------------------------------

WITH_TRIAL = collect_ard([ARD, emulated_trial().ard])


def efficacy_rows(ard: pd.DataFrame = WITH_TRIAL) -> list[list[str]]:
    """Return the table of efficacy as its rows of texts, without the header."""
    data = table("efficacy", ard).data
    return [[text.strip("\u00a0") for text in rows["text"]] for row, rows in data.groupby("row") if row > 0]


def test_the_emulated_trial_comes_first_with_its_role_and_the_landmark_after_it():
    heads = [row[0] for row in efficacy_rows() if not any(row[1:])]
    assert heads[:4] == [
        "Recurrence-free survival: emulated trial (primary)",
        "Recurrence-free survival: from the landmark (sensitivity)",
        "Overall survival: emulated trial (secondary)",
        "Overall survival: from the landmark (sensitivity)",
    ]
    alone = [row[0] for row in efficacy_rows(ARD)]
    assert not any("emulated" in label for label in alone)
    assert "Recurrence-free survival (sensitivity)" in alone


def test_rows_of_the_emulated_trial_are_those_of_the_ard():
    rows = efficacy_rows()
    trial = WITH_TRIAL.set_index("ard_id", drop=False)

    def shown(identifier: str) -> str:
        row = trial.loc[f"target_trial.rfs_ccw_overlap.{identifier}"]
        return f"{format_value(row)} ({format_value(row, form='interval')})"

    def p_of(identifier: str) -> str:
        row = trial.loc[f"target_trial.rfs_ccw_overlap.{identifier}"]
        return re.sub(r"^p (= )?", "", format_value(row, form="p")).replace("< ", "<")

    at = {row[0]: row for row in reversed(rows[1 : 3 + len(PLAN.horizons_months)])}
    assert list(reversed(at)) == [
        *(f"At {month:g} months, percent" for month in PLAN.horizons_months),
        "Restricted mean to month 36",
        "Hazard ratio",
    ]
    arms = ("sorafenib", "control")
    for month in PLAN.horizons_months:
        contrast = f"contrast.m{month:g}.risk_difference"
        survival = [shown(f"{arm}.m{month:g}.survival") for arm in arms]
        assert at[f"At {month:g} months, percent"][1:4] == [*survival, shown(contrast)]
        assert at[f"At {month:g} months, percent"][4].replace("< ", "<") == p_of(contrast)
    means = [shown(f"{arm}.m36.rmst") for arm in arms]
    assert at["Restricted mean to month 36"][1:4] == [*means, shown("contrast.m36.difference")]
    assert at["Hazard ratio"][1:4] == ["", "", shown("contrast.hr")]


def test_an_emulated_trial_that_could_not_be_estimated_is_in_the_table_with_its_reason():
    ard = WITH_TRIAL.copy()
    hit = ard["ard_id"].str.startswith("target_trial.rfs_ccw_overlap.")
    ard.loc[hit, ["value", "ci_low", "ci_high", "p_value"]] = float("nan")
    ard.loc[hit, "method"] = "not estimable: 124 of 200 bootstrap resamples have no estimate"
    rows = efficacy_rows(ard)
    assert rows[1][1:] == ["not estimable"] * 4
    assert "Not estimable\\: 124 of 200 bootstrap resamples have no estimate." in table("efficacy", ard).markdown
