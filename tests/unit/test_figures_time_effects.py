"""Figures of the effect over time, of centres and of weighted incidence show what their curves and the ARD say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import cohort, make_adam, plan
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Polygon
from matplotlib.text import Text

from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.time_to_event import estimate_time_to_event
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.format import format_value

FIGURES = ("effect_over_time", "centres", "cif_weighted")
PLAN = plan(bootstrap_resamples=200)


@cache
def estimated(n: int = 500, scored: bool = True):
    adam, config = make_adam(n, seed=2), cohort()
    weights = estimate_baseline(adam["adsl"], PLAN, config, "synthetic", "r").curves["weights"]
    weights = weights if scored else weights.iloc[:0]
    return estimate_time_to_event(adam["adsl"], adam["adtte"], weights, PLAN, config, "synthetic", "r", seed=1)


def draw(name: str, estimates=None, **changes):
    estimates = estimates or estimated()
    config = cohort(**changes)
    return draw_figure(name, ard=estimates.ard, curves=estimates.curves, cohort=config, plan=PLAN)


def texts_of(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_number_printed_is_the_ard_row_it_names(name):
    figure, drawn = draw(name)
    rows = estimated().ard.set_index("ard_id", drop=False)
    printed = " ".join(text.get_text().replace("\n", " ").replace("95% CI ", "") for text in texts_of(figure))
    bound = drawn[drawn["ard_id"].fillna("").ne("") & drawn["text"].notna()]
    assert len(bound) >= 4
    for row in bound.itertuples():
        source = rows.loc[row.ard_id]
        forms = ["interval", "value"] if pd.isna(source["ci_low"]) else ["ci", "interval"]
        forms += ["p"] if pd.notna(source["p_value"]) else []
        texts = [format_value(source, form=form).replace("95% CI ", "") for form in forms]
        said = [text for text in texts if text in row.text.replace("95% CI ", "")]
        assert said, (row.text, texts)
        assert said[0] in printed


@pytest.mark.parametrize("name", FIGURES)
def test_synthetic_data_are_marked_and_no_text_leaves_the_page_or_covers_another(name):
    figure, _ = draw(name)
    assert any(text.get_gid() == "synthetic" for text in texts_of(figure))
    real, _ = draw(name, synthetic=False)
    assert not any(text.get_gid() == "synthetic" for text in texts_of(real))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in texts_of(figure)
        if text.get_gid() != "synthetic" and not text.get_text().startswith("favours")
    ]
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= figure.bbox.height + 1, text
    for i, (text, box) in enumerate(boxes):
        for other, its in boxes[i + 1 :]:
            width = min(box.x1, its.x1) - max(box.x0, its.x0)
            height = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert width < 1 or height < 1, (text, other)


def test_pieces_and_spline_lie_where_the_curve_says_and_the_rug_has_every_event():
    figure, drawn = draw("effect_over_time")
    (ax,) = figure.axes
    assert ax.get_yscale() == "log"
    curve = estimated().curves["effect_over_time"]
    curve = curve[curve["endpoint"] == "RFS"]
    pieces = curve[curve["kind"] == "piecewise"]
    flat = {
        float(line.get_ydata()[0]) for line in ax.lines if len(line.get_ydata()) == 2 and line.get_linewidth() == 1.8
    }
    assert flat == set(pieces["hr"])
    spline = next(line for line in ax.lines if len(line.get_xdata()) > 50)
    np.testing.assert_array_equal(spline.get_ydata(), curve.loc[curve["kind"] == "spline", "hr"])
    assert (drawn["element"] == "event").sum() == (curve["kind"] == "event").sum()


def test_centres_say_what_diamond_and_bar_are():
    figure, _ = draw("centres")
    printed = {text.get_text() for text in texts_of(figure)}
    assert {"Random-effects mean", "diamond: Hartung-Knapp interval"} <= printed
    assert {"Prediction interval", "bar: where a new centre is expected"} <= printed


def test_centres_the_diamond_spans_the_interval_and_a_bigger_weight_has_a_bigger_square():
    figure, _ = draw("centres")
    (ax,) = figure.axes
    rows = estimated().curves["centres"]
    rows = rows[rows["endpoint"] == "RFS"].set_index("role")
    (diamond,) = [patch for patch in ax.patches if isinstance(patch, Polygon)]
    x = diamond.get_xy()[:, 0]
    assert (x.min(), x.max()) == (rows.loc["pooled", "lo"], rows.loc["pooled", "hi"])
    squares = sorted((line.get_xdata()[0], line.get_markersize()) for line in ax.lines if line.get_marker() == "s")
    centres = rows.loc["centre"].sort_values("hr")
    assert [hr for hr, _ in squares] == centres["hr"].tolist()
    assert np.argsort([size for _, size in squares]).tolist() == np.argsort(centres["weight_percent"]).tolist()


def test_incidence_panels_have_their_own_scale_and_end_where_few_are_at_risk():
    """A rare cause fills its panel as a frequent one does, and no curve hangs on a few patients."""
    found = estimated()
    curve = found.curves["cif_weighted"]
    # as in a cohort in which more are lost: weights at risk that fall to nothing
    few = curve.assign(n_risk=curve["n_risk"] - 0.5 * curve["n_risk"].max())
    figure, drawn = draw_figure(
        "cif_weighted", ard=found.ard, curves=found.curves | {"cif_weighted": few}, cohort=cohort(), plan=PLAN
    )
    for ax in figure.axes:
        own = drawn[(drawn["element"] == "curve") & (drawn["panel"] == ax.get_title(loc="left"))]
        assert 0.5 <= own["y"].max() / ax.get_ylim()[1] <= 1 or own["y"].max() < 2
        for label, rows in own.groupby("series"):
            source = few[(few["label"] == label) & (few["cause_label"] == ax.get_title(loc="left"))]
            assert rows["x"].max() == source.loc[source["n_risk"] >= 10, "time_months"].max()
            assert rows["x"].max() < source["time_months"].max()
    assert len({ax.get_ylim() for ax in figure.axes}) == len(figure.axes)
    assert any("sum to less than 10. Dotted line: landmark, day" in text.get_text() for text in texts_of(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_without_a_propensity_score_figures_say_that_nothing_can_be_shown(name):
    figure, drawn = draw(name, estimated(scored=False))
    printed = " ".join(text.get_text() for text in texts_of(figure)).replace("\n", " ").lower()
    assert "not estimable" in printed or "could not be estimated" in printed
    assert not drawn["element"].isin(["curve", "piece"]).any() or drawn["y"].notna().sum() == 0
