"""Swimmer plot, duration, local progression by tumour: what is drawn is what the curves and the ARD say."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from exhibit_cohorts import with_arms

from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.figures.canvas import FEWEST_AT_RISK


def draw(name: str, **changes: pd.DataFrame):
    data = with_arms()
    return draw_figure(name, ard=data.ard, curves=data.curves | changes, cohort=data.cohort.config, plan=data.plan)


@functools.cache
def swimmer_frame() -> pd.DataFrame:
    """Return two patients: A reduces, recurs and dies; B, of unknown dose, is on the drug at last contact."""
    rows = [
        (1, "follow_up", 0.0, 40.0, np.nan),
        (1, "dose", 1.0, 5.0, 800.0),
        (1, "dose", 5.0, 12.0, 400.0),
        (1, "stop", 12.0, np.nan, np.nan),
        (1, "recurrence", 12.0, np.nan, np.nan),
        (1, "event", 4.0, np.nan, np.nan),
        (1, "death", 40.0, np.nan, np.nan),
        (2, "follow_up", 0.0, 9.0, np.nan),
        (2, "dose", 2.0, 9.0, np.nan),
    ]
    frame = pd.DataFrame(rows, columns=["patient", "kind", "start_months", "end_months", "dose_mg"])
    return frame.assign(reason=pd.array([None] * len(rows), dtype="string"), of=2)


def test_a_lane_holds_the_doses_of_a_patient_the_darker_the_higher():
    figure, drawn = draw("swimmer", swimmer=swimmer_frame())
    doses = drawn[drawn["element"] == "dose"]
    assert doses["text"].tolist() == ["800 mg", "400 mg", "dose not recorded"]
    bars = {(bar.get_x(), bar.get_width()): bar for bar in figure.axes[0].patches}
    assert set(bars) == {(1.0, 4.0), (5.0, 7.0), (2.0, 7.0)}
    grey = {place: np.dot(bar.get_facecolor()[:3], [0.299, 0.587, 0.114]) for place, bar in bars.items()}
    assert grey[1.0, 4.0] < grey[5.0, 7.0] - 0.15  # told apart without colour
    assert bars[2.0, 7.0].get_hatch()


def test_marks_say_how_a_course_ended_and_what_lies_beyond_the_axis_is_left_out():
    figure, drawn = draw("swimmer", swimmer=swimmer_frame())
    at = {element: own[["x", "y"]].to_numpy().tolist() for element, own in drawn.groupby("element")}
    assert at["stop"] == [[12.0, 1.0]]
    assert at["ongoing"] == [[9.0, 2.0]]
    assert at["recurrence"] == [[12.0, 1.0]]
    assert at["event"] == [[4.0, 1.0]]
    assert figure.axes[0].get_xlim()[1] == 18  # half a year's step beyond the last day with drug
    assert "death" not in at
    assert "All " in drawn.loc[drawn["element"] == "text", "text"].iloc[0]


def test_the_biased_comparison_is_named_and_looks_different():
    figure, drawn = draw("duration")
    rows = drawn[drawn["element"] == "interval"]
    frame = with_arms().curves["duration_landmark"]
    adjusted = frame[frame["adjusted"] == "Y"]
    assert rows["ard_id"].tolist() == [
        *adjusted.loc[adjusted["analysis"] == "landmark", "ard_id"],
        *adjusted.loc[adjusted["analysis"] == "naive", "ard_id"],
    ]
    assert set(rows["panel"]) == {"From landmarks", "By duration reached: biased"}
    colours = {text.get_text(): text.get_color() for text in figure.texts}
    assert colours["By duration reached: biased"] != colours["From landmarks"]


def test_the_curve_of_stopping_ends_where_few_are_left():
    _, drawn = draw("duration")
    curve = with_arms().curves["km_stop"]
    shown = drawn[(drawn["element"] == "curve") & (drawn["panel"] == "stop")]
    enough = curve[curve["n_risk"] >= FEWEST_AT_RISK]
    np.testing.assert_allclose(shown["y"], 100 * enough["survival"])


def test_without_a_curve_or_a_ratio_the_figure_says_so():
    curves = with_arms().curves
    none = curves["duration_landmark"].assign(hr=np.nan, lo=np.nan, hi=np.nan)
    figure, drawn = draw("duration", duration_landmark=none, km_stop=pd.DataFrame())
    assert (drawn["element"] == "curve").sum() == 0
    assert "Not estimable" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("panel", ["all", "landmark"])
def test_local_progression_is_drawn_in_percent_with_tumours_at_risk(panel):
    _, drawn = draw("ltp_tumour")
    curve = with_arms().curves["ltp_tumour"]
    curve = curve[(curve["panel"] == panel) & (curve["cause"] == "ltp")]
    title = {"all": "All tumours, from RFA", "landmark": "By arm, from the landmark"}[panel]
    for group, own in curve.groupby("group"):
        label = own["label"].iloc[0]
        mine = drawn[(drawn["panel"] == title) & (drawn["series"] == label)]
        shown = mine[mine["element"] == "curve"]
        seen = own[own["n_risk"] >= FEWEST_AT_RISK]
        np.testing.assert_allclose(shown["y"], 100 * seen["incidence"])
        at_risk = mine[mine["element"] == "at_risk"]
        assert at_risk["y"].iloc[0] == own["n_risk"].iloc[0], group
