"""Zip and nested-loop plots of the validation study: what is drawn is what the study found."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, value
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from validation_study import COHORTS, intervals, performance, study_rows

from sorafenib_rfa.exhibits.draw import save_figure
from sorafenib_rfa.validation.cells import every_series
from sorafenib_rfa.validation.figures import COVERS, LOOKS, MEASURE_OF, MISSES, draw_validation, zipped

FIGURES = list(MEASURE_OF)


def drawn(name: str, rows: pd.DataFrame | None = None, lines: pd.DataFrame | None = None):
    return draw_validation(
        name, study_rows() if rows is None else rows, intervals() if lines is None else lines, cohort(), PLAN
    )


def said(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


# --- zip plot --------------------------------------------------------------------------------------------------------


def test_intervals_are_sorted_by_their_distance_in_standard_errors():
    """By hand: |z| of 0.5, 3, 1 and 2.5 about a truth of 1."""
    rows = pd.DataFrame(
        {
            "replicate": [0, 1, 2, 3, 4],
            "estimate": [1.5, -2.0, 3.0, 2.25, np.nan],
            "std_err": [1.0, 1.0, 2.0, 0.5, np.nan],
            "covers": [True, False, True, False, False],
        }
    )
    found = zipped(rows, 1.0)
    assert list(found["replicate"]) == [0, 2, 3, 1]
    assert list(found["error"]) == [0.5, 2.0, 1.25, -3.0]
    assert list(found["centile"]) == [12.5, 37.5, 62.5, 87.5]
    assert list(found["covers"]) == [True, True, False, False]


@pytest.mark.parametrize("name", ["study_zip_rmst", "study_zip_hr"])
def test_a_zip_plot_shows_the_intervals_that_miss_and_the_coverage_of_the_study(name):
    figure, data = drawn(name)
    measure = MEASURE_OF[name]
    panels = [(series, measure) for series, own in every_series() if own == measure]
    assert data["panel"].nunique() == len(figure.axes) == len(panels)
    table = performance().query("scenario == 'waning' and screened == 740 and measure == @measure")
    for series, _ in panels:
        own = data[data["panel"] == series.label]
        at = (table["endpoint"] == series.endpoint.upper()) & (table["estimator"] == series.estimator)
        coverage = table[at]["coverage"].iloc[0]
        misses = own[(own["element"] == "interval") & (own["series"] == "misses it")]
        # all that miss are drawn, and they are the upper ones
        assert len(misses) == round(COHORTS * (1 - coverage))
        assert (misses["y"] > 100 * coverage - 1e-9).all()
        assert ((misses["low"] > 0) | (misses["high"] < 0)).all()
        holds = own[(own["element"] == "interval") & (own["series"] == "holds the truth")]
        assert ((holds["low"] <= 1e-9) & (holds["high"] >= -1e-9)).all()
        line = own[own["element"] == "coverage"].iloc[0]
        row = value(study_rows(), line["ard_id"])
        assert line["y"] == row["value"] == pytest.approx(100 * coverage)
        assert (line["low"], line["high"]) == (row["ci_low"], row["ci_high"])


def test_the_picture_holds_the_lines_of_its_data():
    figure, data = drawn("study_zip_rmst")
    lines = [each for each in figure.axes[0].collections if isinstance(each, LineCollection)]
    first = data[(data["panel"] == data["panel"].iloc[0]) & (data["element"] == "interval")]
    assert sum(len(each.get_segments()) for each in lines) == len(first)
    ends = np.concatenate([np.array(each.get_segments())[:, :, 0] for each in lines if len(each.get_segments())])
    assert np.sort(ends[:, 0]) == pytest.approx(np.sort(first["low"]))


def test_a_low_coverage_is_not_cut_off():
    low = study_rows(performance().assign(coverage=0.4, coverage_mc_se=0.03))
    figure, data = drawn("study_zip_rmst", rows=low)
    for ax, row in zip(figure.axes, data[data["element"] == "coverage"].itertuples(), strict=True):
        assert ax.get_ylim()[0] < row.low


def test_what_holds_and_what_misses_differ_without_colour():
    def grey(colour: str) -> float:
        return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))

    assert grey(COVERS) - grey(MISSES) > 0.3


def test_a_zip_plot_without_intervals_is_an_error():
    with pytest.raises(ValueError, match="study_zip_rmst needs the intervals"):
        draw_validation("study_zip_rmst", study_rows(), None, cohort(), PLAN)


# --- nested loops ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["study_loop_rmst", "study_loop_hr"])
def test_every_point_and_interval_is_its_ard_row(name):
    _, data = drawn(name)
    points = data[data["element"] == "point"]
    series = [one for one, measure in every_series() if measure == MEASURE_OF[name]]
    assert len(points) == 3 * 12 * len(series)
    rows = study_rows().set_index("ard_id").loc[points["ard_id"]]
    for drawn_as, column in (("y", "value"), ("low", "ci_low"), ("high", "ci_high")):
        assert np.array_equal(points[drawn_as], rows[column])
    # no two estimators at one place
    for _, own in points.groupby("panel"):
        assert own["x"].round(6).is_unique


def test_where_others_dwarf_the_primary_design_it_is_enlarged_and_wholly_shown():
    naive = performance()["estimator"] == "naive"
    biased = performance().assign(bias=performance()["bias"].where(~naive, 3.0), coverage=0.95)
    figure, data = drawn("study_loop_rmst", study_rows(biased))
    limits = data[data["element"] == "limits"].set_index("panel")
    assert list(limits.index) == ["Bias, months\n(enlarged)"]
    points = data[(data["panel"] == "Bias, months") & data["series"].str.startswith("Clone-censor-weight, o")]
    assert points["low"].min() > limits["low"].iloc[0]
    assert points["high"].max() < limits["high"].iloc[0]
    shown = next(ax for ax in figure.axes if ax.get_ylabel() == "Bias, months\n(enlarged)")
    assert shown.get_ylim() == (limits["low"].iloc[0], limits["high"].iloc[0])
    alike = study_rows(performance().assign(bias=0.01, coverage=0.95))
    assert "limits" not in set(drawn("study_loop_rmst", alike)[1]["element"])


def test_sizes_are_nested_in_scenarios_and_say_how_many_patients():
    figure, data = drawn("study_loop_hr")
    loops = data[data["element"] == "loop"]
    scenarios = loops[loops["panel"] == "scenario"]
    assert list(scenarios["text"]) == ["No effect", "Effect that wanes", "Harm", "Strong confounding"]
    assert [list(each) for each in zip(scenarios["low"], scenarios["high"], strict=True)] == [
        [0, 3], [3, 6], [6, 9], [9, 12],
    ]  # fmt: skip
    assert list(loops[loops["panel"] == "size"]["text"])[:3] == ["n = 243", "n = 607", "n = 1,231"]
    assert {"No effect", "n = 1,231"} <= set(said(figure))


def test_estimators_are_told_apart_without_colour():
    shapes = [(look.marker, look.filled) for look in LOOKS.values()]
    assert len(set(shapes)) == len(shapes)
    assert set(LOOKS) == {tuple(series) for series, _ in every_series()}


# --- all figures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_clipped_overlapping_or_too_small(name):
    figure, _ = drawn(name)
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
    boxes = []
    for text in figure.findobj(Text):
        if id(text) in ticks or not text.get_text().strip() or not text.get_visible():
            continue
        if text.get_gid() == "synthetic" and text.get_rotation():
            continue  # the mark behind the panels
        box = text.get_window_extent(renderer)
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= figure.bbox.width + 0.5, text
        assert box.y1 <= figure.bbox.height + 0.5, text
        assert text.get_fontsize() >= 6
        boxes.append((box, text.get_text()))
    for (one, first), (other, second) in combinations(boxes, 2):
        assert not one.overlaps(other), (first, second)
    assert "Synthetic data" in said(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_that_was_not_run_is_not_drawn(name):
    figure, data = draw_validation(name, study_rows(not_run=True), None, cohort(), PLAN)
    assert "Not run" in said(figure)
    assert "Synthetic data" in said(figure)
    assert list(data["text"]) == ["Not run"]


@pytest.mark.parametrize("name", ["study_zip_rmst", "study_loop_rmst"])
def test_the_same_results_give_the_same_bytes(name, tmp_path: Path):
    stems = []
    for at, seed in enumerate((1, 2)):
        rows = study_rows().sample(frac=1, random_state=seed)
        lines = intervals().sample(frac=1, random_state=seed)
        stems.append(tmp_path / str(at) / name)
        save_figure(*drawn(name, rows, lines), stems[-1], source_date_epoch=1_700_000_000)
    for ending in (".svg", ".csv"):
        assert stems[0].with_suffix(ending).read_bytes() == stems[1].with_suffix(ending).read_bytes()
