"""The benefit-risk plot, the partitioned survival with its threshold plot, and the effects table."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from estimates_data import cohort
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import QuadContourSet
from test_estimates_benefit_risk import FEW, estimate, result, simulated

from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.tables import make_table, write_table
from sorafenib_rfa.notebooks.show import Results

RD = "benefit_risk.{}.contrast.m{}.risk_difference"


def draw(name: str, *, ard: pd.DataFrame | None = None, **curves: pd.DataFrame):
    return draw_figure(
        name,
        ard=result().ard if ard is None else ard,
        curves=result().curves | curves,
        cohort=cohort(),
        plan=FEW,
    )


def texts(figure) -> list[str]:
    FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in [*figure.texts, *(text for ax in figure.axes for text in ax.texts)]]


def table() -> pd.DataFrame:
    data = make_table("benefit_risk", ard=result().ard, cohort=cohort(), plan=FEW).data
    return data.pivot(index="row", columns="column", values="text")


def test_every_effect_and_horizon_has_its_interval_benefits_above_harms():
    figure, drawn = draw("benefit_risk")
    (ax,) = figure.axes
    marks = drawn[drawn["element"] == "risk_difference"].reset_index(drop=True)
    rows = result().curves["benefit_risk_effects"]
    assert len(marks) == len(rows) == 21
    assert marks["y"].is_monotonic_increasing
    assert marks.loc[marks["panel"] == "Benefits sought", "y"].max() < marks.loc[marks["panel"] == "Harms", "y"].min()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row stands at the top
    ends = {tuple(np.round(line.get_xdata(), 9)) for line in ax.lines if len(line.get_xdata()) == 2}
    for row in rows.itertuples():
        assert tuple(np.round([row.difference_low, row.difference_high], 9)) in ends
    low, high = ax.get_xlim()
    assert low < rows["difference_low"].min()
    assert rows["difference_high"].max() < high


def test_an_effect_without_an_estimate_is_said_not_drawn():
    found = estimate(simulated() | {"adae": simulated()["adae"].iloc[:0]})
    figure, drawn = draw_figure("benefit_risk", ard=found.ard, curves=found.curves, cohort=cohort(), plan=FEW)
    none = drawn[(drawn["element"] == "risk_difference") & drawn["x"].isna()]
    assert len(none) == 12  # four effects are adverse events
    assert set(none["text"]) == {"not estimable"}
    assert texts(figure).count("not estimable") == 12
    (ax,) = figure.axes
    assert sum(len(line.get_xdata()) == 1 for line in ax.lines) == 9


def test_areas_are_the_curves_and_bear_their_months():
    figure, drawn = draw("qtwist")
    said = texts(figure)
    ard = result().ard.set_index("ard_id")
    curves = result().curves["partitioned_survival"]
    for group in ("sorafenib", "control"):
        own = curves[curves["group"] == group]
        line = drawn[(drawn["element"] == "curve") & (drawn["panel"] == group) & (drawn["series"] == "alive")]
        np.testing.assert_allclose(line["y"], 100 * own["alive"])
        for level in ("tox", "twist", "rel"):
            months = ard.loc[f"benefit_risk.partition.{group}.m36.{level}.months", "value"]
            assert any(f"{months:.1f} months" in text for text in said)
        # the area under a curve is the months printed on it
        widths = np.diff(own["time_months"])
        area = (own["toxic"].to_numpy()[:-1] * widths).sum()
        assert area == pytest.approx(ard.loc[f"benefit_risk.partition.{group}.m36.tox.months", "value"], rel=1e-9)


@pytest.mark.parametrize(("shift", "zone"), [(9.0, "favours"), (-9.0, "against")])
def test_the_threshold_plot_shades_where_the_interval_excludes_zero(shift, zone):
    grid = result().curves["utility_threshold"].copy()
    half = grid["utility_toxicity"] > 0.5
    for name in ("difference", "ci_low", "ci_high"):
        grid[name] = grid[name] + np.where(half, shift, 0.0)
    grid["zone"] = np.where(grid["ci_low"] > 0, "favours", np.where(grid["ci_high"] < 0, "against", "neither"))
    assert (grid.loc[half, "zone"] == zone).all()
    figure, drawn = draw("qtwist", utility_threshold=grid)
    panel = figure.axes[-1]
    filled = [one for one in panel.collections if isinstance(one, QuadContourSet) and one.filled]
    assert len(filled) == len(set(grid["zone"]) - {"neither"})
    assert any("Shaded: the interval excludes zero." in text for text in texts(figure))
    assert set(drawn.loc[drawn["element"] == "difference", "series"]) == set(grid["zone"])


def test_the_assumed_utilities_are_marked_and_no_zone_is_claimed_where_there_is_none():
    grid = result().curves["utility_threshold"].assign(zone="neither")
    figure, drawn = draw("qtwist", utility_threshold=grid)
    assert any("At no pair the interval excludes zero." in text for text in texts(figure))
    assumed = drawn[drawn["element"] == "assumed"].iloc[0]
    assert (assumed["x"], assumed["y"]) == (0.5, 0.5)
    assert assumed["ard_id"] == "benefit_risk.qtwist.contrast.m36.difference"


def test_the_table_has_every_effect_at_every_horizon_with_its_number_needed():
    rows = table().iloc[1:]
    labels = rows["Outcome"].str.strip("\u00a0").tolist()
    for effect in FEW.benefit_risk.effects:
        at = labels.index(effect.label)
        assert labels[at + 1 : at + 5] == [
            "At 12 months", "At 24 months", "At 36 months", "Mean months after the event, to month 36",
        ]  # fmt: skip
    needed = rows["Number needed (95% CI)"]
    through = needed[needed.str.contains("\u221e")]
    assert through.str.fullmatch(r"NNT[BH] [\d.,]+ \(NNT[BH] [\d.,]+ to \u221e to NNT[BH] [\d.,]+\)").all()
    rest = needed[needed.ne("") & ~needed.str.contains("\u221e")]
    assert rest.str.fullmatch(r"NNT[BH] [\d.,]+ \([\d.,]+ to [\d.,]+\)").all()
    ard = result().ard.set_index("ard_id")
    for effect in FEW.benefit_risk.effects:
        at = labels.index(effect.label)
        for offset, month in enumerate((12, 24, 36), start=1):
            row = ard.loc[RD.format(effect.id, month)]
            crosses = row["ci_low"] < 0 < row["ci_high"]
            text = needed.iloc[at + offset]
            assert ("\u221e" in text) == crosses
            assert text.startswith("NNTH" if row["value"] > 0 else "NNTB")
    rows = rows.iloc[: labels.index("Sensitivity: not starting followed up to a late first dose only, at 36 months")]
    parted = rows[rows["Outcome"].str.contains("TOX|TWiST|REL|Alive|Recurrence-free")]
    assert len(parted) == 6
    assert not any(re.search("%", text) for text in parted["Difference (95% CI)"])


def test_the_notes_say_what_is_assumed():
    markdown = make_table("benefit_risk", ard=result().ard, cohort=cohort(), plan=FEW).markdown
    assert "by assumption" in markdown
    assert "compatible with both" in markdown


def test_the_table_ends_with_the_sensitivity_analyses_and_says_whose_the_harms_are():
    made = make_table("benefit_risk", ard=result().ard, cohort=cohort(), plan=FEW)
    rows = made.data.pivot(index="row", columns="column", values="text")
    labels = rows["Outcome"].str.strip("\u00a0").tolist()
    ard = result().ard.set_index("ard_id")
    places = [place for place, label in enumerate(labels) if label.startswith("Sensitivity")]
    late, recent, moderate = (labels[at + 1 : to] for at, to in zip(places, [*places[1:], None], strict=True))
    harms = [effect.label for effect in FEW.benefit_risk.effects if effect.kind == "harm"]
    assert late == harms
    assert recent == [effect.label for effect in FEW.benefit_risk.effects if effect.laboratory]
    assert moderate == ["With an event open (TOX)", "Quality-adjusted (Q-TWiST)"]
    # under "start" the risk is the one above; under "do not start" it is the one up to a late dose
    row = rows.iloc[places[0] + 1]
    at = "benefit_risk.grade_3_5{}.{}.m36.{}"
    for column, identifier in (
        (1, at.format("", "sorafenib", "risk")),
        (2, at.format("_no_late_start", "control", "risk")),
        (3, at.format("_no_late_start", "contrast", "risk_difference")),
    ):
        shown = f"{ard.loc[identifier, 'value']:.1f}%".replace("-", "\u2212")
        assert row[made.data["column"].drop_duplicates().iloc[column]].startswith(shown)
    after, had = (
        ard.loc[f"benefit_risk.grade_3_5.control.non_starters_harmed{end}", "value"] for end in ("_after_dose", "")
    )
    note = re.sub(r"\[([^\]]*)\]\{[^}]*\}", r"\1", made.markdown)
    assert f"grade 3 or above, {after:.0f} of {had:.0f};" in note


def test_a_notebook_shows_the_notes_without_the_marks_that_bind_their_numbers(tmp_path):
    made = make_table("benefit_risk", ard=result().ard, cohort=cohort(), plan=FEW)
    (tmp_path / "tables").mkdir()
    write_table(made, str(tmp_path / "tables/benefit_risk.md"), str(tmp_path / "tables/benefit_risk.csv"))
    page = Results(str(tmp_path)).table("benefit_risk", "Benefits and harms.")._repr_mimebundle_()["text/html"]
    assert "counts 0.5 and a month after recurrence 0.5 of a month" in page
    assert "{.val" not in page
