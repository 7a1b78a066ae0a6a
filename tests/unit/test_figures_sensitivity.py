"""The specification curve and the tipping points: what is drawn is what the curves and the ARD say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import cohort, make_adam
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text
from test_estimates_sensitivity import run, small_plan

from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
from sorafenib_rfa.exhibits.format import format_value

NAMES = ("specifications", "tipping")


@cache
def estimates() -> Estimates:
    return run(make_adam(320, seed=12, log_hr=-0.4), small_plan())[0]


def draw(name: str, **changes: object):
    found = estimates()
    given = {"ard": found.ard, "curves": found.curves, "cohort": cohort(), "plan": small_plan()} | changes
    return draw_figure(name, **given)


def shown(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_the_curve_is_sorted_holds_every_estimate_once_and_marks_the_primary():
    figure, drawn = draw("specifications")
    curve = estimates().curves["specifications"]
    intervals = drawn[drawn["element"] == "interval"]
    for endpoint, rows in intervals.groupby("panel"):
        source = curve[(curve["endpoint"] == endpoint) & curve["hr"].notna()].set_index("spec_id")
        assert sorted(rows["series"]) == sorted(source.index)
        assert rows["y"].is_monotonic_increasing
        np.testing.assert_array_equal(rows["y"], source.loc[rows["series"], "hr"])
        np.testing.assert_array_equal(rows["low"], source.loc[rows["series"], "lo"])
    assert (intervals["text"] == "primary").sum() == 1
    assert (
        intervals.loc[intervals["text"] == "primary", "series"].tolist()
        == curve.loc[curve["primary"], "spec_id"].tolist()
    )
    primary = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert primary[0].get_ydata()[0] == curve.loc[curve["primary"], "hr"].item()


def test_the_matrix_shows_each_choice_of_each_specification():
    _, drawn = draw("specifications")
    curve = estimates().curves["specifications"]
    own = curve[(curve["endpoint"] == "OS") & curve["hr"].notna()].sort_values(["hr", "spec_id"], ignore_index=True)
    choices = drawn[(drawn["element"] == "choice") & (drawn["panel"] == "OS")]
    # estimator and eligibility always; adjustment set, missing values and grace period where they play a part
    assert len(choices) == 2 * len(own) + 2 * own["uses_covariates"].sum() + own["uses_grace_period"].sum()
    naive = choices.loc[choices["series"] == "Naive, ever against never (biased)", "x"]
    assert not choices.loc[choices["series"] == "60 days", "x"].isin(naive).any()
    for series, column, wanted in (
        ("30 days", "grace_period_days", 30),
        ("Multiple imputation", "missing", "imputed"),
        ("Landmark, matched pairs", "estimator", "landmark_matched"),
        ("Primary HCC only", "eligibility", "primary_hcc"),
    ):
        assert choices.loc[choices["series"] == series, "x"].tolist() == own.index[own[column] == wanted].tolist()


def test_what_is_printed_above_the_curve_is_the_ard():
    figure, drawn = draw("specifications")
    rows = estimates().ard.set_index("ard_id", drop=False)
    printed = " ".join(text.get_text() for text in shown(figure))
    for row in drawn[drawn["element"] == "text"].itertuples():
        assert row.text == format_value(rows.loc[row.ard_id])
        assert row.text in printed or row.series == "not_estimable"


def test_specifications_without_an_estimate_are_counted_not_drawn():
    found = estimates()
    curve = found.curves["specifications"].copy()
    gone = curve.index[(curve["endpoint"] == "RFS") & curve["hr"].notna()][3]
    curve.loc[gone, ["hr", "lo", "hi"]] = np.nan
    ard = found.ard.copy()
    ard.loc[ard["ard_id"] == "sensitivity.specifications.contrast.rfs.not_estimable", "value"] = 1.0
    figure, drawn = draw("specifications", curves=found.curves | {"specifications": curve}, ard=ard)
    assert curve.loc[gone, "spec_id"] not in set(drawn["series"])
    assert any("1 not estimable" in text.get_text() for text in shown(figure))


def test_tipping_says_to_which_month_its_ratio_is_and_nothing_hides_a_line():
    """The ratio under informative censoring is cut at the horizon: it is not the one of the whole follow-up."""
    figure, _ = draw("tipping")
    months = small_plan().rmst_horizon_months
    assert f"Hazard ratio to month {months:g}" in [ax.get_title(loc="left") for ax in figure.axes]
    contour = figure.axes[0]
    assert not any(text.get_bbox_patch() for text in contour.texts)
    assert any("would lie below 1" in text.get_text() for text in contour.texts)


def test_tipping_lines_and_points_are_those_of_the_curves():
    _, drawn = draw("tipping")
    curves = estimates().curves
    censoring = curves["tipping_censoring"].query("endpoint == 'RFS'")
    for stat in ("hr", "difference"):
        for label, rows in censoring.groupby("label"):
            line = drawn[(drawn["panel"] == stat) & (drawn["series"] == label)]
            np.testing.assert_array_equal(line["x"], rows["delta"])
            np.testing.assert_array_equal(line["y"], rows[stat])
    points = drawn[drawn["element"] == "benchmark"]
    source = curves["tipping_confounding"].query("endpoint == 'RFS' and kind == 'benchmark'")
    np.testing.assert_array_equal(points["x"], source["prevalence_treated"])
    assert (source["confounder_hr"] >= 1).all()
    lines = drawn[drawn["element"] == "boundary"]
    assert len(lines)
    assert set(lines["series"].str.split(",").str[0]) <= {"1.25", "1.5", "2", "3"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_clipped_or_too_small_and_synthetic_data_are_marked(name):
    figure, _ = draw(name)
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
    for text in shown(figure):
        if id(text) in ticks:
            continue
        kind = Text if isinstance(text, Annotation) else type(text)
        box = kind.get_window_extent(text, renderer)
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= figure.bbox.width + 0.5, text
        assert box.y1 <= figure.bbox.height + 0.5, text
        assert text.get_fontsize() >= 6
    marks = [text for text in shown(figure) if text.get_gid() == "synthetic"]
    assert all(any(mark.axes is ax for mark in marks) for ax in figure.axes)
    figure, _ = draw(name, cohort=cohort(synthetic=False))
    assert not any("ynthetic" in text.get_text() for text in shown(figure))


def test_empty_panels_say_so_and_equal_figures_are_equal_bytes(tmp_path):
    found = estimates()
    blank = {name: frame.copy() for name, frame in found.curves.items()}
    blank["tipping_censoring"][["hr", "lo", "hi", "difference", "difference_lo", "difference_hi"]] = np.nan
    grid = blank["tipping_confounding"]
    blank["tipping_confounding"] = grid[grid["kind"] == "grid"].assign(hr=np.nan, changes=pd.NA)
    figure, _ = draw("tipping", curves=blank)
    assert [text.get_text() for text in shown(figure)].count("Not estimable") == 3
    for name in NAMES:
        for attempt in ("one", "two"):
            figure, drawn = draw(name)
            save_figure(figure, drawn, tmp_path / attempt / name, source_date_epoch=0)
        for suffix in ("svg", "csv"):
            first, second = ((tmp_path / attempt / f"{name}.{suffix}").read_bytes() for attempt in ("one", "two"))
            assert first == second
