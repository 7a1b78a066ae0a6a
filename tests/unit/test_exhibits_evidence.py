"""Figures and tables of published evidence: drawn is what the ARD says, and nothing is pooled that must not be."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidence_made_up import ROOT, SHIPPED, Effect, made_up, the_plan
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text

from sorafenib_rfa.config.load import load_cohort
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import NotOfferedError
from sorafenib_rfa.estimates.ard import Estimates, as_ard
from sorafenib_rfa.estimates.evidence import estimate_evidence
from sorafenib_rfa.estimates.evidence_common import DESIGN_GROUPS
from sorafenib_rfa.estimates.evidence_effects import estimate_effects
from sorafenib_rfa.estimates.evidence_reconstruction import estimate_reconstruction
from sorafenib_rfa.estimates.evidence_synthesis import estimate_synthesis
from sorafenib_rfa.evidence.tables import read_evidence
from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.exhibits.tables import make_table

FIGURES = (
    "evidence_adjuvant",
    "evidence_tace",
    "evidence_context",
    "evidence_intervals",
    "evidence_cumulative",
    "evidence_flow",
)
TABLES = (
    "evidence_studies",
    "evidence_effects",
    "evidence_pooled",
    "evidence_editorial",
    "evidence_bias",
    "evidence_findings",
    "evidence_intervals",
    "evidence_harms",
)
SPAN = re.compile(r'\[((?:[^\]\\]|\\.)*)\]\{\.val data-ard="([^"]+)"\}')


class Given:
    """ARD and curves, by name and together."""

    def __init__(self, parts: dict[str, Estimates], plan: Plan) -> None:
        self.ard = as_ard(pd.concat([part.ard for part in parts.values()]))
        self.curves = {name: frame for part in parts.values() for name, frame in part.curves.items()}
        self.plan = plan
        self.rows = self.ard.set_index("ard_id", drop=False)

    def draw(self, name: str, **changes: object):
        given = {"ard": self.ard, "curves": self.curves, "cohort": cohort(), "plan": self.plan} | changes
        return draw_figure(name, **given)

    def table(self, name: str, **changes: object):
        given = {"ard": self.ard, "texts": self.curves, "cohort": cohort(), "plan": self.plan} | changes
        return make_table(name, **given)

    def text(self, identifier: str) -> str:
        """Return a ratio as it is printed: 0.94 (0.78 to 1.13)."""
        row = self.rows.loc[identifier]
        return f"{format_value(row)} ({format_value(row, form='interval')})"


@cache
def cohort(**changes: object) -> CohortConfig:
    return load_cohort(ROOT, "evidence").config.model_copy(update=changes)


@cache
def shipped() -> Given:
    plan = the_plan()
    evidence = read_evidence(SHIPPED)
    return Given(
        estimate_evidence(evidence, SHIPPED / "digitised", plan, cohort_name="evidence", record="records/e.json"), plan
    )


def of(folder: Path, *effects: Effect) -> Given:
    plan = the_plan()
    evidence = made_up(folder, effects)
    return Given(
        {
            "effects": estimate_effects(evidence, plan, "evidence", "records/e.json"),
            "synthesis": estimate_synthesis(evidence, plan, "evidence", "records/e.json"),
        },
        plan,
    )


def said(figure) -> str:
    FigureCanvasAgg(figure).draw()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_text().strip())


def diamonds(figure) -> list[tuple[float, float, float, bool]]:
    """Return low end, middle, high end of each diamond, and whether it is filled, from the top."""
    found = [patch for ax in figure.axes for patch in ax.patches if patch.get_gid() == "diamond"]
    return [
        (*(float(patch.get_xy()[i, 0]) for i in (0, 1, 2)), to_rgb(patch.get_facecolor()) != (1.0, 1.0, 1.0))
        for patch in sorted(found, key=lambda patch: patch.get_xy()[0, 1])
    ]


def squares(figure) -> dict[tuple[float, float], bool]:
    """Return (hazard ratio, place) of each square, and whether it is filled."""
    return {
        (float(line.get_xdata()[0]), round(float(line.get_ydata()[0]), 6)): to_rgb(line.get_markerfacecolor())
        != (1, 1, 1)
        for ax in figure.axes
        for line in ax.lines
        if line.get_marker() == "s" and len(line.get_xdata()) == 1
    }


def bars(figure) -> list[tuple[float, float]]:
    """Return the ends of the prediction intervals."""
    lines = [line for ax in figure.axes for line in ax.lines if line.get_gid() == "prediction"]
    return [tuple(float(x) for x in line.get_xdata()) for line in lines]


# --- forest plots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["evidence_adjuvant", "evidence_tace", "evidence_context", "evidence_cumulative"])
def test_every_ratio_that_is_drawn_is_its_row_of_the_ard_in_place_and_in_print(name):
    given = shipped()
    figure, drawn = given.draw(name)
    marks = drawn[drawn["element"].isin(["study", "diamond"]) & drawn["x"].notna()]
    assert len(marks) > 4
    printed = said(figure)
    for mark in marks.itertuples():
        row = given.rows.loc[mark.ard_id]
        np.testing.assert_allclose([mark.x, mark.low, mark.high], row[["value", "ci_low", "ci_high"]].astype(float))
        text = given.text(mark.ard_id) if pd.notna(row["ci_low"]) else f"{format_value(row)} (no interval)"
        assert mark.text.endswith(text)
        assert text in printed


@pytest.mark.parametrize("name", ["evidence_adjuvant", "evidence_tace", "evidence_context"])
def test_what_is_not_verified_is_hollow_and_said_so_and_nothing_else_is(name):
    given = shipped()
    figure, drawn = given.draw(name)
    effects = given.curves["evidence_effects"].set_index("ard_id")
    status = pd.read_csv(SHIPPED / "field_status.csv").query("field == 'estimate' and status == 'seen'")
    read = set(status["key"])
    found = squares(figure)
    studies = drawn[(drawn["element"] == "study") & drawn["x"].notna()]
    assert len(studies) == len(found)
    for study in studies.itertuples():
        effect = effects.loc[study.ard_id]
        assert found[study.x, round(study.y, 6)] == effect["verified"]
        no_interval = pd.isna(effect["lo"]) and effect["effect_id"] in read
        assert ("(unverified)" in study.series) == (not effect["verified"] and not no_interval)


def test_diamonds_are_the_pooled_rows_filled_only_where_all_is_verified():
    given = shipped()
    pooled = given.curves["evidence_pooled"].query("k >= 2 and model in ['common', 'random']")
    for setting in ("adjuvant", "tace"):
        figure, _ = given.draw(f"evidence_{setting}")
        own = pooled[(pooled["setting"] == setting) & (pooled["design_group"] == "randomised")]
        unverified = set(own.loc[own["scope"] == "with_unverified", "synthesis_id"]) & set(
            given.curves["evidence_effects"].query("not verified")["pooled_in_all"]
        )
        wanted = {
            (row.lo, row.hr, row.hi, row.scope == "headline")
            for row in own.itertuples()
            if row.scope == "headline" or row.synthesis_id in unverified
        }
        assert set(diamonds(figure)) == wanted
    assert not diamonds(given.draw("evidence_context")[0])


TRIALS = (
    Effect("a", 0.80, 0.60, 1.0667, year=2001),
    Effect("b", 1.10, 0.80, 1.5125, year=2003),
    Effect("c", 0.70, 0.45, 1.0889, year=2005),
)
COHORTS = (
    Effect("d", 0.30, 0.20, 0.45, year=2002, design="cohort"),
    Effect("e", 0.35, 0.25, 0.49, year=2004, design="cohort_matched"),
)


def test_trials_and_cohorts_of_one_endpoint_have_no_diamond_in_common(tmp_path):
    alone, beside = of(tmp_path / "a", *TRIALS), of(tmp_path / "b", *TRIALS, *COHORTS)
    figure, drawn = beside.draw("evidence_adjuvant")
    assert diamonds(figure) == diamonds(alone.draw("evidence_adjuvant")[0])
    assert not {"D 2002", "E 2004"} & set(drawn["series"])
    context, shown = beside.draw("evidence_context")
    assert {"D 2002", "E 2004"} <= set(shown["series"])
    assert not diamonds(context)


def test_a_synthesis_that_held_a_cohort_among_trials_is_not_drawn():
    given = shipped()
    effects = given.curves["evidence_effects"].copy()
    cohort_effect = effects["design"].map(DESIGN_GROUPS).eq("cohorts") & effects["hr"].notna()
    effects.loc[cohort_effect, "pooled_in"] = "adjuvant_ttr"
    with pytest.raises(ValueError, match=r"'adjuvant_ttr' holds studies of designs \['cohorts', 'randomised'\]"):
        given.draw("evidence_adjuvant", curves=given.curves | {"evidence_effects": effects})


def test_with_three_studies_there_is_a_prediction_interval_with_two_there_are_words(tmp_path):
    three = of(tmp_path / "three", *TRIALS)
    figure, drawn = three.draw("evidence_adjuvant")
    row = three.rows.loc["synthesis.adjuvant_os.prediction"]
    assert bars(figure) == [(row["ci_low"], row["ci_high"])]
    assert format_value(row, form="interval") in said(figure)
    assert drawn.loc[drawn["element"] == "prediction", "ard_id"].tolist() == ["synthesis.adjuvant_os.prediction"]
    two = of(tmp_path / "two", *TRIALS[:2])
    figure, _ = two.draw("evidence_adjuvant")
    assert not bars(figure)
    assert "Prediction interval: not with fewer than three studies" in said(figure)


def test_one_study_or_none_is_said_and_not_pooled(tmp_path):
    given = of(tmp_path, TRIALS[0], Effect("z", 0.9, 0.6, 1.35, endpoint="RFS", status="recalled"))
    figure, drawn = given.draw("evidence_adjuvant")
    assert not diamonds(figure)
    words = drawn[drawn["element"] == "words"].groupby("panel")["series"].agg(list)
    assert words["Overall survival"] == ["One study: nothing to pool"]
    assert words["Recurrence-free survival"] == [
        "No verified estimate",
        "With unverified, one study: nothing to pool",
    ]
    assert words["Time to recurrence"] == ["No verified estimate"]


def test_weights_are_those_of_the_synthesis_in_brackets_where_it_is_the_sensitivity_analysis(tmp_path):
    given = of(tmp_path, *TRIALS[:2], Effect("z", 0.9, 0.7, 1.157, year=2009, status="recalled"))
    figure, drawn = given.draw("evidence_adjuvant")
    text = drawn[drawn["element"] == "study"].set_index("series")["text"]
    for study, label in (("a", "A 2001"), ("b", "B 2003")):
        for model in ("common", "random"):
            weight = format_value(given.rows.loc[f"synthesis.adjuvant_os.{study}.weight_{model}"])
            assert f"Weight, {model}: {weight}" in text[label]
    weight = format_value(given.rows.loc["synthesis.adjuvant_os.with_unverified.z.weight_common"])
    assert f"Weight, common: [{weight}]" in text["Z 2009 (unverified)"]
    assert "weights in square brackets" in said(figure).replace("\n", " ")
    # a headline diamond pair, then a hollow pair that holds one study more
    assert [filled for *_, filled in diamonds(figure)] == [True, True, False, False]
    assert len(set(diamonds(figure))) == 4


def test_squares_grow_with_precision(tmp_path):
    figure, _ = of(tmp_path, *TRIALS).draw("evidence_adjuvant")
    sides = {
        float(line.get_xdata()[0]): line.get_markersize()
        for line in figure.axes[0].lines
        if line.get_marker() == "s" and len(line.get_xdata()) == 1
    }
    # half widths on the log scale: a 0.288, b 0.318, c 0.442
    assert sides[0.80] > sides[1.10] > sides[0.70] >= 3


def test_an_interval_computed_from_a_p_value_has_a_dagger_and_its_meaning():
    given = shipped()
    effects = given.curves["evidence_effects"].copy()
    assert "\u2020" not in said(given.draw("evidence_adjuvant")[0])
    effects.loc[effects["effect_id"] == "storm_ttr", "basis"] = "estimate and p"
    figure, _ = given.draw("evidence_adjuvant", curves=given.curves | {"evidence_effects": effects})
    assert "STORM 2015\u2020" in said(figure)
    assert "\u2020 Interval computed from the hazard ratio and p value" in said(figure)


def test_an_endpoint_without_a_synthesis_is_not_left_out():
    """SPACE's time to progression that TACE cannot treat, against the drug, is its only verified result."""
    figure, drawn = shipped().draw("evidence_tace")
    own = drawn[drawn["ard_id"] == "effects.space_untaceable.hr"]
    assert own["panel"].tolist() == ["Time to progression no longer treatable with TACE"]
    assert "1.59 (1.20 to 2.10)" in said(figure)
    assert "No synthesis declared for this endpoint" in said(figure)


def test_an_interval_that_is_not_of_95_percent_is_marked():
    figure, drawn = shipped().draw("evidence_context")
    marked = drawn[drawn["series"].str.contains("\u2021", na=False)]
    assert marked["ard_id"].tolist() == ["effects.assure_dfs.hr"]
    assert "\u2021 An interval of 97.5%, as printed." in said(figure)


def test_a_later_look_has_the_year_of_the_source_that_gives_it():
    """TACTICS was first reported in 2020 and its final survival in 2022; IMbrave050's second look is read in 2025."""
    given = shipped()
    year = given.curves["evidence_effects"].set_index("effect_id")["year"]
    assert year[["tactics_pfs_tace", "tactics_os", "tactics_pfs_tace_updated"]].tolist() == [2020, 2022, 2022]
    assert year[["imbrave050_rfs_interim_1", "imbrave050_rfs_interim_2"]].tolist() == [2023, 2025]
    assert year["storm_os"] == 2015
    assert "up to TACTICS 2022" in said(given.draw("evidence_cumulative")[0])
    assert "TACTICS 2022, OS, final" in cells("evidence_effects")["Study and endpoint"].tolist()
    context = said(given.draw("evidence_context")[0])
    assert "IMbrave050 2023\n" in context
    assert "Recurrence-free survival, second interim 2025" in context


# --- what each study changes ----------------------------------------------------------------------------------------


def test_the_cumulative_figure_says_whether_its_synthesis_is_verified(tmp_path):
    figure, drawn = shipped().draw("evidence_cumulative")
    text = said(figure).replace("\n", " ")
    assert "Sorafenib with TACE, randomised: overall survival: the synthesis of most studies" in text
    assert "It is a sensitivity analysis" in text
    assert not any(filled for *_, filled in diamonds(figure))
    given = of(tmp_path, *TRIALS)
    figure, drawn = given.draw("evidence_cumulative")
    assert "All of its studies are verified" in said(figure)
    assert all(filled for *_, filled in diamonds(figure))
    steps = drawn[drawn["element"].isin(["study", "diamond"])]
    assert steps["series"].tolist() == [
        "A 2001 alone", "up to B 2003", "up to C 2005", "without A 2001", "without B 2003", "without C 2005",
    ]  # fmt: skip
    # the last step holds all studies
    last = given.rows.loc["synthesis.adjuvant_os.random_hr"]
    row = steps.iloc[2]
    np.testing.assert_allclose([row["x"], row["low"], row["high"]], last[["value", "ci_low", "ci_high"]].astype(float))


def test_two_studies_leave_nothing_to_leave_out_and_one_nothing_to_draw(tmp_path):
    figure, _ = of(tmp_path / "two", *TRIALS[:2]).draw("evidence_cumulative")
    assert "Not with fewer than three studies" in said(figure)
    one = of(tmp_path / "one", TRIALS[0])
    curves = one.curves | {"evidence_cumulative": of(tmp_path / "again", *TRIALS).curves["evidence_cumulative"]}
    with pytest.raises(NotOfferedError, match=r"two studies or more\n\s+found:\s+at most 1"):
        one.draw("evidence_cumulative", curves=curves)


# --- small studies --------------------------------------------------------------------------------------------------


def test_a_funnel_is_refused_below_ten_studies_with_the_size_of_the_largest_synthesis():
    with pytest.raises(NotOfferedError, match=r"needs a synthesis of 10 studies") as error:
        shipped().draw("evidence_small_studies")
    assert "4 in the largest, 'Sorafenib with TACE, randomised: overall survival'" in str(error.value)


def test_a_funnel_of_ten_studies_has_all_of_them_and_eggers_line(tmp_path):
    rng = np.random.default_rng(5)
    effects = []
    for j, std_err in enumerate(np.linspace(0.1, 0.6, 10)):
        log_hr = -0.1 - 0.9 * std_err + rng.normal(0, 0.05)
        low, high = np.exp(log_hr - 1.959964 * std_err), np.exp(log_hr + 1.959964 * std_err)
        effects.append(Effect(f"s{j}", np.exp(log_hr), low, high, year=2000 + j))
    given = of(tmp_path, *effects)
    figure, drawn = given.draw("evidence_small_studies")
    points = drawn[drawn["element"] == "study"]
    np.testing.assert_allclose(sorted(points["x"]), sorted(effect.hr for effect in effects))
    # weighted least squares of y on its standard error, by hand
    y, s = np.log(points["x"].to_numpy()), points["y"].to_numpy()
    slope, intercept = np.polyfit(s, y, 1, w=1 / s)
    line = drawn[drawn["element"] == "egger"]
    np.testing.assert_allclose(np.log(line["x"]), intercept + slope * line["y"], atol=1e-6)
    egger = given.rows.loc["synthesis.adjuvant_os.egger"]
    assert egger["value"] == pytest.approx(slope, abs=1e-6)
    assert f"Egger's test: {format_value(egger, form='p')}" in said(figure)
    assert egger["p_value"] < 0.001


# --- intervals and flow ---------------------------------------------------------------------------------------------


def with_digitised(folder: Path, name: str, treated: float, control: float) -> Given:
    """Return results of the shipped tables and a digitised figure: 100 patients an arm, hazards a month to month 12."""
    months = np.arange(0, 12.1, 0.5)
    points, risk = ["arm,month,survival"], ["arm,month,n"]
    for arm, hazard in (("treated", treated), ("control", control)):
        points += [f"{arm},{month:g},{np.exp(-hazard * month):.4f}" for month in months]
        risk += [f"{arm},{month:g},{np.floor(100 * np.exp(-hazard * month)):.0f}" for month in (0, 6)]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join(points) + "\n", encoding="utf-8")
    (folder / f"{name}.at_risk.csv").write_text("\n".join(risk) + "\n", encoding="utf-8")
    evidence = read_evidence(SHIPPED)
    made = estimate_reconstruction(evidence, folder, the_plan(), "evidence", "records/e.json")
    return Given({"reconstruction": made}, the_plan())


def test_without_digitised_curves_the_table_of_intervals_speaks_of_none():
    assert "igitised" not in shipped().table("evidence_intervals").markdown


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("storm.OS", "STORM: overall survival"),
        ("recurrent_milan.TFS", "Recurrent HCC within Milan: tumour-free survival"),
    ],
)
def test_digitised_curves_stand_beside_printed_percentages(tmp_path, name, above):
    """Hazards of 0.05 and 0.1 a month: a ratio of one half, medians of 13.9 (not reached here) and 6.9 months."""
    given = with_digitised(tmp_path, name, 0.05, 0.1)
    table = given.table("evidence_intervals")
    place = f"reconstruction.digitised_{name.replace('.', '_').lower()}"
    assert given.rows.at[f"{place}.hr", "value"] == pytest.approx(0.5, rel=0.05)
    lines = [SPAN.sub(r"\1", line).replace("\\", "") for line in table.markdown.splitlines()]
    (at,) = [number for number, line in enumerate(lines) if "Digitised curve" in line]
    assert given.text(f"{place}.hr") in lines[at]
    heads = [line for line in lines[:at] if "**" in line]
    assert above in heads[-1]
    assert len([line for line in lines if above in line]) == 1
    assert format_value(given.rows.loc[f"{place}.control.median"]) in lines[at + 1]
    assert format_value(given.rows.loc[f"{place}.treated.pseudo_events"]) in lines[at + 2]
    assert "patients reconstructed from points of a published curve" in table.markdown


def test_intervals_are_those_of_the_ard_and_dots_what_was_published():
    given = shipped()
    figure, drawn = given.draw("evidence_intervals")
    ratios = drawn[drawn["element"] == "interval_ratio"]
    assert len(ratios) == 9
    for row in ratios.itertuples():
        wanted = given.rows.loc[row.ard_id, ["value", "ci_low", "ci_high"]].astype(float)
        np.testing.assert_allclose([row.y, row.low, row.high], wanted)
    table = pd.read_csv(SHIPPED / "survival_percentages.csv")
    dots = drawn[(drawn["element"] == "published") & (drawn["x"] > 0)]
    np.testing.assert_allclose(sorted(dots["y"]), sorted(table["percent"]))
    steps = [
        tuple(line.get_xdata())
        for ax in figure.axes
        for line in ax.lines
        if ax.get_yscale() == "log" and len(set(line.get_ydata())) == 1 and line.get_linewidth() == 2
    ]
    assert sorted(steps) == sorted([(0, 12), (12, 36), (36, 60)] * 2 + [(0, 12), (12, 24), (24, 36)])
    for key in ("recurrent_milan_os", "recurrent_milan_tfs", "wang_2024_rfs"):
        assert f"average {given.text(f'reconstruction.{key}.hr')}" in said(figure)
    # early, then waning: the first interval of tumour-free survival lies wholly below the last
    tfs = ratios[ratios["panel"].str.endswith("tumour-free survival")]
    assert tfs["high"].iloc[0] < tfs["low"].iloc[-1]


def test_the_flow_counts_the_rows_of_the_tables_and_claims_no_search():
    sources, studies = (pd.read_csv(SHIPPED / f"{name}.csv") for name in ("sources", "studies"))
    figure, drawn = shipped().draw("evidence_flow")
    text = re.sub(r"\n\s+", " ", said(figure)).replace("\u00a0", " ")
    assert "No systematic search was made" in text
    for words, number in (
        ("Sources identified", len(sources)),
        ("the editorial, and those found through it", (sources["identified_by"] == "editorial").sum()),
        ("Sources that could not be read", (sources["read_extent"] == "not_found").sum()),
        ("abstract read", (sources["read_extent"] == "abstract").sum()),
        ("Statements named without figures", (studies["role"] == "narrative").sum()),
        ("Studies that may be pooled", (studies["role"] == "synthesis").sum()),
    ):
        assert f"{words} (n = {number})" in text
    boxes = drawn[(drawn["element"] == "box") & (drawn["ard_id"] != "")]
    for box in boxes.itertuples():
        number = format_value(shipped().rows.loc[box.ard_id])
        assert box.text.replace("\u00a0", " ").endswith(f"= {number})")
    for label in studies.loc[studies["role"] == "context", "label"]:
        assert label in re.sub(r"\s+", " ", text)
    # STORM and SORAMIC share the synthesis of time to recurrence
    pooled = shipped().curves["evidence_effects"].query("pooled_in != ''")
    joined = set(pooled[pooled.duplicated("pooled_in", keep=False)]["study_id"])
    assert {"storm", "soramic_ablation"} <= joined
    alone = set(pooled["study_id"]) - joined
    assert f"pooled with another (n = {len(joined)})" in text
    assert f"alone in every synthesis, so that nothing is pooled (n = {len(alone)})" in text


def test_no_arrow_of_the_flow_leads_from_what_was_read_to_studies_that_were_not():
    flow = shipped().curves["evidence_flow"].set_index("step")
    main = flow[flow["side"] == "main"]
    # each box of the main path is said to come from the one that is drawn above it
    assert main["parent"].tolist() == ["", *main.index[:-1]]
    assert {"retrieved", "not_retrieved"}.isdisjoint(main.index)
    said_of = " ".join(main.loc["studies"][["label"]])
    assert said_of.endswith("read or not")


def test_a_cohort_that_has_a_synthesis_is_not_said_to_be_never_pooled(tmp_path):
    own = "In a synthesis of cohorts, which the table of syntheses has:"
    beside = said(of(tmp_path / "a", *TRIALS, *COHORTS).draw("evidence_context")[0]).replace("\n", " ")
    assert f"{own} D 2002, E 2004." in beside
    assert "groups formed without randomisation, which are never pooled with trials" in beside
    drug = Effect("f", 0.9, 0.7, 1.157, setting="other_drug", role="context")
    assert own not in said(of(tmp_path / "b", *TRIALS, drug).draw("evidence_context")[0])


# --- all figures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_clipped_or_too_small(name):
    figure, _ = shipped().draw(name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    ticks = {
        id(label)
        for ax in figure.axes
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in axis.get_major_ticks()
        if not min(limits) <= tick.get_loc() <= max(limits)
        for label in (tick.label1, tick.label2)
    }
    for text in figure.findobj(Text):
        if id(text) in ticks or not text.get_text().strip() or not text.get_visible():
            continue
        kind = Text if isinstance(text, Annotation) else type(text)
        box = kind.get_window_extent(text, renderer)
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= figure.bbox.width + 0.5, text
        assert box.y1 <= figure.bbox.height + 0.5, text
        assert text.get_fontsize() >= 6
    assert "ynthetic" not in said(figure)


@pytest.mark.parametrize("name", ["evidence_tace", "evidence_flow"])
def test_the_same_results_give_the_same_bytes(name, tmp_path):
    given = shipped()
    stems = []
    for j, ard in enumerate((given.ard, given.ard.sample(frac=1, random_state=3))):
        stems.append(tmp_path / str(j) / name)
        save_figure(*given.draw(name, ard=ard), stems[-1], source_date_epoch=1_700_000_000)
    assert stems[0].with_suffix(".svg").read_bytes() == stems[1].with_suffix(".svg").read_bytes()
    assert stems[0].with_suffix(".csv").read_bytes() == stems[1].with_suffix(".csv").read_bytes()


@pytest.mark.parametrize("name", [*FIGURES, "evidence_small_studies"])
def test_a_synthetic_cohort_is_never_drawn_as_evidence(name):
    given = shipped()
    curves = given.curves | {"evidence_small_studies": given.curves["evidence_effects"]}
    with pytest.raises(NotOfferedError, match="a synthetic cohort is never drawn as evidence"):
        given.draw(name, cohort=cohort(synthetic=True), curves=curves)


@pytest.mark.parametrize("name", TABLES)
def test_a_synthetic_cohort_has_no_table_of_evidence(name):
    with pytest.raises(NotOfferedError, match="cannot be made of a synthetic cohort"):
        shipped().table(name, cohort=cohort(synthetic=True))


# --- tables ---------------------------------------------------------------------------------------------------------


def cells(name: str, given: Given | None = None, **changes: object) -> pd.DataFrame:
    """Return a table as its texts, a column a header."""
    data = (given or shipped()).table(name, **changes).data
    names = list(dict.fromkeys(data.loc[data["row"] == 0, "column"]))
    rows = [[text.strip("\u00a0 ") for text in own["text"]] for row, own in data.groupby("row") if row > 0]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("name", TABLES)
def test_every_number_bound_in_a_table_is_its_row_through_the_formatter(name):
    given = shipped()
    spans = SPAN.findall(given.table(name).markdown)
    assert len(spans) > 5 or name == "evidence_bias"  # which has judgements only
    for text, identifier in spans:
        row = given.rows.loc[identifier.removeprefix("evidence:")]
        # a quoted figure has the decimals of its print
        printed = (None, 0, 2, 4) if row["population"] == "As published" else (None, 0)
        allowed = {format_value(row, digits=digits) for digits in printed}
        if row["unit"] != "p":
            allowed |= {format_value(row, form="interval", digits=digits) for digits in (None, 0)}
        if pd.notna(row["p_value"]):
            texts = (format_value(row, form="p", digits=digits) for digits in printed)
            allowed |= {re.sub(r"^p (= )?", "", text).replace("< ", "<") for text in texts}
        assert re.sub(r"\\(.)", r"\1", text) in allowed


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_by_pandoc_with_their_citations_and_without_markup_of_their_words(name):
    pypandoc = pytest.importorskip("pypandoc")
    markdown = shipped().table(name).markdown
    keys = set(
        re.findall(r"^@\w+\{\s*([^,\s]+)", (ROOT / "manuscript/references.bib").read_text("utf-8"), re.MULTILINE)
    )
    cited = set(re.findall(r"\[@([\w-]+)\]", markdown))
    assert cited <= keys
    assert bool(cited) == (name in ("evidence_studies", "evidence_editorial"))
    html = re.sub(r"\s+", " ", pypandoc.convert_text(markdown, "html", format="markdown"))
    assert html.count("<table") == 1
    assert html.count('class="citation"') == markdown.count("[@")


def test_words_that_look_like_markup_stay_words():
    pypandoc = pytest.importorskip("pypandoc")
    given = shipped()
    hostile = "a | b *c* [d](e) {{< val x >}} @f"
    texts = given.curves | {"evidence_bias": given.curves["evidence_bias"].assign(reason=hostile)}
    made = given.table("evidence_bias", texts=texts)
    plain = pypandoc.convert_text(made.markdown, "plain", format="markdown", extra_args=["--columns=900"])
    assert re.sub(r" +", " ", plain).count(hostile) >= len(set(given.curves["evidence_bias"]["study_id"]))


def test_the_editorials_known_errors_have_their_verdict_and_figures():
    rows = cells("evidence_editorial")
    space = rows[rows["Editorial"].str.contains("24 months")]
    assert set(space["Verdict"]) == {"unit error"}
    assert set(space["Source"]) == {"169 days (5.6 months)", "166 days (5.5 months)"}
    storm = rows[rows["Editorial"] == "1602 patients"].iloc[0]
    assert storm["Verdict"] == "screened, not randomised"
    assert storm["Source"] == "1,114 patients (556 + 558)"
    # an effect has its interval, and both are bound to its row
    given = shipped()
    shown = given.curves["evidence_statements"].set_index("statement_id")["source_value_id"]
    assert shown["storm_rfs"] == "effects.storm_rfs.hr"
    table = given.table("evidence_editorial")
    own = [text for text, identifier in SPAN.findall(table.markdown) if identifier == "evidence:effects.storm_rfs.hr"]
    assert own == ["0.94", "0.78 to 1.13"]
    # limits that were not read are not shown beside an estimate that was
    unread = given.curves["evidence_statements"].copy()
    unread["source"] = unread["source"].mask(unread["statement_id"] == "storm_rfs", "0.94")
    table = given.table("evidence_editorial", texts=given.curves | {"evidence_statements": unread})
    own = [text for text, identifier in SPAN.findall(table.markdown) if identifier == "evidence:effects.storm_rfs.hr"]
    assert own == ["0.94"]


def test_effects_say_how_each_is_known_and_that_a_p_value_is_of_one_side():
    rows = cells("evidence_effects").set_index("Study and endpoint")
    storm = rows.loc["STORM 2015, RFS"]
    assert storm["p"] == "0.26\u2020"
    assert rows.loc["SORAMIC (ablation arm) 2023, TTR", "p"] == "0.82"
    assert rows.loc["SORAMIC (ablation arm) 2023, TTR", "Medians, months"] == "15.2 / 16.4"
    assert rows.loc["Li Q & Song T 2021, OS", "Medians, months"] == "34 / 26"
    assert rows.loc["Brivanib with TACE (Kudo) 2014, OS", "p"] == "0.5280"
    assert storm["Hazard ratio (95% CI)"] == "0.94 (0.78 to 1.13)"
    assert storm["Use"] == "synthesis"
    tace_2 = rows.loc["TACE-2 2017, OS"]
    assert "recalled" in tace_2["How known"]
    assert tace_2["Use"] == "sensitivity analysis only"
    # medians alone are flagged, too
    assert "median recalled" in rows.loc["Li J 2016, OS", "How known"]
    assert "97.5% interval, as printed" in shipped().table("evidence_effects").markdown.replace("\\", "")
    assert not any(label.startswith("Feng") for label in rows.index)
    unread = "No ratio, p value or median could be read of"
    assert unread in shipped().table("evidence_effects").markdown


def test_studies_say_what_is_recalled_and_what_each_is_used_for():
    rows = cells("evidence_studies").set_index("Study")
    assert rows.loc["STORM 2015 bruix2015", "Patients, n"] == "556 / 558 (of 1,602 screened)"
    kan = rows[rows.index.str.startswith("Kan X")].iloc[0]
    assert kan["Patients, n"] == "30 / 32 (recalled)"
    assert rows[rows.index.str.startswith("SPACE")]["Use"].item() == "sensitivity analysis only"
    assert rows[rows.index.str.startswith("TACTICS")]["Use"].item() == "synthesis"
    studies = pd.read_csv(SHIPPED / "studies.csv")
    assert rows["Use"].ne("").sum() == len(studies)


def test_the_pooled_table_pools_nothing_below_two_studies(tmp_path):
    rows = cells("evidence_pooled")
    labels = rows["Synthesis"].tolist()
    at = labels.index("Adjuvant sorafenib, randomised: time to recurrence")
    line = rows.iloc[at + 1]
    given = shipped()
    assert line["Common effect, HR (95% CI)"] == given.text("synthesis.adjuvant_ttr.common_hr")
    assert line["Random effects, HR (95% CI)"] == given.text("synthesis.adjuvant_ttr.random_hr")
    assert line["Prediction interval"] == "too few studies"
    single = rows[rows["Studies"] == "1"]
    assert single["Common effect, HR (95% CI)"].str.endswith(", one study").all()
    assert set(single["Random effects, HR (95% CI)"]) == {"nothing to pool"}
    none = rows[rows["Studies"] == "0"]
    assert set(none["Common effect, HR (95% CI)"]) == {"no verified effect"}
    # a sensitivity line stands only where an unverified effect adds to it
    assert labels[at + 2] == "Adjuvant sorafenib, randomised: overall survival"
    at = labels.index("Sorafenib with TACE, randomised: overall survival")
    assert rows.iloc[at + 2]["Synthesis"] == "With unverified (sensitivity)"
    assert "\u221e" not in " ".join(rows["Prediction interval"])
    three = cells("evidence_pooled", of(tmp_path, *TRIALS))
    assert re.fullmatch(r"[\d.]+ to [\d.]+", three[three["Studies"] == "3"]["Prediction interval"].item())


SIGNS = {"low": "+", "some concerns": "\u00b1", "moderate": "\u00b1", "high": "\u2212", "serious": "\u2212",
         "critical": "\u2212\u2212", "no information": "?"}  # fmt: skip


def test_signs_of_bias_are_the_judgements_and_what_is_not_low_has_its_reason():
    table = pd.read_csv(SHIPPED / "risk_of_bias.csv").merge(pd.read_csv(SHIPPED / "studies.csv")[["study_id", "label"]])
    rows = cells("evidence_bias")
    heads = rows.index[rows["Why"] == ""].tolist()
    blocks = {
        rows.loc[a, "Study"]: rows.loc[a + 1 : b - 1] for a, b in zip(heads, [*heads[1:], len(rows)], strict=True)
    }
    for tool, own in table.groupby("tool"):
        for label, judged in own.groupby("label"):
            line = blocks[tool].set_index("Study").loc[label]
            signs = [SIGNS[judgement] for judgement in judged["judgement"]]
            assert [line[f"D{number}"] for number in range(1, len(signs))] == signs[:-1]
            assert line["All"] == signs[-1]
        told = own[(own["domain"] != "overall") & ~own["judgement"].isin(["low", "no information"])]
        assert blocks[f"{tool}: reasons where a domain is not low"]["Why"].tolist() == told["reason"].tolist()


def test_findings_start_from_the_design_and_give_a_reason_for_each_step():
    steps = pd.read_csv(SHIPPED / "certainty.csv")
    rows = cells("evidence_findings").set_index("Outcome")
    assert list(rows.index) == list(dict.fromkeys(steps["outcome"]))
    for outcome, own in steps.groupby("outcome"):
        level = min(4, max(1, own["step"].sum()))
        assert f"({level}/4)" in rows.loc[outcome, "Certainty"]
        lowered = own[(own["domain"] != "start") & (own["step"] < 0)]
        assert rows.loc[outcome, "Why lowered"].count("(\u2212") == len(lowered)
    cohorts = rows[rows.index.str.contains("RFA with sorafenib")]
    assert set(cohorts["Effect (95% CI)"]) == {"no verified effect"}
    pooled = rows[rows["Studies"] == "2"]["Effect (95% CI)"]
    assert pooled.str.contains("common; .*, random$").all()


def test_harms_give_counts_with_the_difference_where_both_arms_have_them():
    rows = cells("evidence_harms").set_index("Study and outcome")
    hfsr = rows.loc["Hand-foot skin reaction, grades 3 to 4"]
    assert hfsr["Treated"] == "154 / 559 (27.5%)"
    assert hfsr["Control"] == "4 / 548 (0.7%)"
    assert hfsr["Difference (95% CI)"].startswith("26.8% (")
    assert "recalled (high)" in hfsr["How known"]
    soramic = rows.loc["Any adverse event, all grades"]
    assert soramic["Treated"] == "92.5%"
    assert soramic["Difference (95% CI)"] == ""
    assert soramic["How known"] == "seen"
    assert soramic["p"] == "0.008"
    # what is quoted has the decimals of the print, what is counted those of a percentage
    stopped = rows.loc["Stopped the drug for an adverse event"]
    assert (stopped["Treated"], stopped["Control"]) == ("24%", "7%")
    assert rows.loc["Hypertension, grades 3 to 5", ["Treated", "Control"]].tolist() == ["16%", "4%"]


def test_a_finding_in_percentages_has_both_arms_and_the_p_value_as_printed():
    rows = cells("evidence_findings").set_index("Outcome")
    found = rows.loc["Any adverse event after ablation, sorafenib against placebo (trial)", "Effect (95% CI)"]
    assert found == "92.5% against 71.4%, p 0.008 as printed; no interval known"


def test_a_table_without_its_words_is_refused_with_what_is_missing():
    given = shipped()
    with pytest.raises(NotOfferedError, match="needs the frame 'evidence_bias'"):
        given.table("evidence_bias", texts={})
