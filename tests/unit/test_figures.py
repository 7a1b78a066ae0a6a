"""Figures show what their data say, print what the ARD says, fit their page, and are the same bytes every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exhibit_cohorts import Exhibits, with_arms, without_arms
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text

from sorafenib_rfa.errors import ConfigError, NotOfferedError
from sorafenib_rfa.estimates.parts import curve_names
from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.files import write_parquet
from sorafenib_rfa.vocabulary import FIGURES

REAL = ("flow", "km_prognostic", "cif_prognostic", "calibration")
OF_STUDIES = tuple(name for name in FIGURES if name.startswith("evidence_"))
"""Never drawn of patients: test_exhibits_evidence has them."""
ARMS = tuple(name for name in FIGURES if name == "flow" or name not in (*REAL, *OF_STUDIES))
ALL = [("arms", name) for name in ARMS] + [("real", name) for name in REAL]


def exhibits(which: str) -> Exhibits:
    return with_arms() if which == "arms" else without_arms()


def draw(which: str, name: str, **changes):
    data = exhibits(which)
    given = {"ard": data.ard, "curves": data.curves, "cohort": data.cohort.config, "plan": data.plan} | changes
    return draw_figure(name, **given)


@cache
def drawn_once(which: str, name: str):
    """Return a figure as it is drawn for the paper, for tests that only look at it."""
    return draw(which, name)


def shown_texts(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def plain(text: str) -> str:
    """Return a text as one line, without the words that say that an interval follows."""
    return " ".join(text.replace("95% CI ", "").split())


def step_lines(figure) -> list[tuple[np.ndarray, np.ndarray]]:
    lines = [line for ax in figure.axes for line in ax.lines if line.get_drawstyle() == "steps-post"]
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in lines]


@pytest.mark.parametrize("name", ["km_rfs", "km_os", "cif_first_event", "km_prognostic", "cif_prognostic"])
def test_saved_data_of_a_curve_are_the_points_drawn(name):
    figure, drawn = draw("real" if "prognostic" in name else "arms", name)
    saved = drawn[drawn["element"] == "curve"]
    curves = [part for _, part in saved.groupby(["panel", "series"], sort=False)]
    lines = step_lines(figure)
    assert len(lines) == len(curves) >= 4
    for (x, y), part in zip(lines, curves, strict=True):
        # points at which nothing changes are saved, not drawn: the line has their height all the same
        assert set(x) <= set(part["x"])
        assert (x[0], x[-1]) == (part["x"].iloc[0], part["x"].iloc[-1])
        part = part.drop_duplicates("x", keep="last")
        np.testing.assert_array_equal(y[np.searchsorted(x, part["x"], side="right") - 1], part["y"])


def test_km_curve_ends_at_the_estimate_of_its_frame():
    """The right panel is weighted, the left is not; percent on the axis, proportions in the frame."""
    figure, drawn = draw("arms", "km_rfs")
    frame = exhibits("arms").curves["km_rfs"]
    for panel, weighting in (("Unweighted", "none"), ("Overlap-weighted", "overlap")):
        for label in ("RFA + sorafenib", "RFA alone"):
            rows = drawn[(drawn["element"] == "curve") & (drawn["panel"] == panel) & (drawn["series"] == label)]
            source = frame[(frame["weighting"] == weighting) & (frame["label"] == label)]
            assert rows["y"].iloc[-1] == pytest.approx(100 * source["survival"].iloc[-1])
            assert rows["low"].iloc[-1] == pytest.approx(100 * source["ci_low"].iloc[-1])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Unweighted", "Overlap-weighted"]


def test_risk_table_counts_patients_and_sums_weights():
    """Recounted from the patients: at risk just before a month; weighted, the sum of their overlap weights."""
    _, drawn = draw("arms", "km_rfs")
    data = exhibits("arms")
    table = drawn[drawn["element"] == "at_risk"]
    risk = data.curves["risk_table_rfs"]
    for row in risk[risk["time_months"].isin([24.0, 48.0])].itertuples():
        printed = table[
            (table["panel"] == "Unweighted") & (table["series"] == row.label) & (table["x"] == row.time_months)
        ]
        assert printed["text"].tolist() == [str(row.n_risk)]
    weights = data.curves["weights"]
    at_landmark = table[(table["panel"] == "Overlap-weighted") & (table["x"] < 3)].set_index("series")["y"]
    assert at_landmark["RFA + sorafenib"] == pytest.approx(weights.loc[weights["treated"], "w_overlap"].sum())
    assert at_landmark["RFA alone"] == pytest.approx(weights.loc[~weights["treated"], "w_overlap"].sum())


# what the other two print is held against the ARD in test_figures_sensitivity.py
@pytest.mark.parametrize(("which", "name"), [one for one in ALL if one[1] not in ("specifications", "tipping")])
def test_every_number_printed_is_the_ard_row_it_names(which, name):
    figure, drawn = drawn_once(which, name)
    rows = exhibits(which).ard.set_index("ard_id", drop=False)
    printed = " ".join(plain(text.get_text()) for text in shown_texts(figure))
    drawn = drawn[drawn["ard_id"].fillna("").ne("") & drawn["text"].fillna("").ne("")]
    # a balance point and a percentage are drawn, not printed; their text is the row's name
    bound = drawn[~drawn["element"].isin(["point", "percent"])]
    assert len(bound) or name == "love"
    for row in bound.itertuples():
        source = rows.loc[row.ard_id]
        texts = [format_value(source)]
        if pd.notna(source["ci_low"]):
            texts = [format_value(source, form="ci"), format_value(source, form="interval"), *texts]
        if pd.notna(source["p_value"]):
            texts.append(format_value(source, form="p").removeprefix("p ").removeprefix("= "))
        said = [text for text in map(plain, texts) if text in plain(row.text)]
        assert said, (row.text, texts)
        assert said[0] in printed, (said, printed)


def test_forest_marks_lie_at_the_hazard_ratios_and_the_naive_one_is_flagged():
    figure, drawn = draw("arms", "forest_rfs")
    (ax,) = figure.axes
    assert ax.get_xscale() == "log"
    frame = exhibits("arms").curves["forest_rfs"]
    marks = {
        (float(line.get_xdata()[0]), str(line.get_marker()))
        for line in ax.lines
        if line.get_marker() in ("D", "s", "o", "X") and len(line.get_xdata()) == 1
    }
    # no diamond: that is the primary analysis of the study, which is not among these
    expected = {"main": "s", "sensitivity": "o", "naive": "X"}
    assert marks == {(row.hr, expected[row.role]) for row in frame.itertuples()}
    assert drawn["series"].tolist()[0] == "Overlap-weighted"
    assert "biased" in drawn["series"].tolist()[-1]
    colours = {text.get_text(): text.get_color() for text in shown_texts(figure)}
    assert colours[drawn["series"].iloc[-1]] != colours["Overlap-weighted"]


def test_forest_says_when_a_ratio_is_not_estimable():
    data = exhibits("arms")
    ard = data.ard.copy()
    gone = ard["ard_id"] == "efficacy.rfs_cox_iptw.contrast.hr"
    ard.loc[gone, ["value", "ci_low", "ci_high", "p_value"]] = np.nan
    frame = data.curves["forest_rfs"].copy()
    frame.loc[frame["key"] == "iptw", ["hr", "lo", "hi", "p"]] = np.nan
    figure, drawn = draw("arms", "forest_rfs", ard=ard, curves=data.curves | {"forest_rfs": frame})
    row = drawn[drawn["series"] == "Inverse probability weighted"].iloc[0]
    assert "not estimable" in row["text"]
    assert np.isnan(row["x"])
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 4  # all but one of the others remain


def test_forest_interval_beyond_the_axis_ends_in_an_arrow():
    data = exhibits("arms")
    frame = data.curves["forest_rfs"].copy()
    frame.loc[frame["key"] == "adjusted", "hi"] = 80.0
    figure, _ = draw("arms", "forest_rfs", curves=data.curves | {"forest_rfs": frame})
    (ax,) = figure.axes
    assert ax.get_xlim()[1] == 10.0
    assert [line.get_marker() for line in ax.lines].count(">") == 1


def test_love_plot_is_ordered_by_imbalance_before_weighting():
    figure, drawn = draw("arms", "love")
    balance = exhibits("arms").curves["balance"]
    before = balance[(balance["level"] == "") & (balance["weighting"] == "none")]
    expected = before.assign(size=before["smd"].abs()).sort_values("size", ascending=False)["label"].tolist()
    names = [label.get_text().rstrip("*") for label in figure.axes[0].get_yticklabels()]
    assert names == expected
    unweighted = drawn[drawn["series"] == "Unweighted"]
    assert unweighted["x"].is_monotonic_decreasing
    points = np.concatenate([np.asarray(c.get_offsets()) for c in figure.axes[0].collections])
    assert {(round(x, 9), y) for x, y in points} == {
        (round(x, 9), y) for x, y in zip(drawn["x"], drawn["y"], strict=True)
    }


def test_ae_plot_puts_events_of_interest_first_and_each_part_by_difference():
    _, drawn = draw("arms", "ae_dot")
    differences = drawn[drawn["element"] == "risk_difference"]
    interest = differences["series"].isin(exhibits("arms").plan.query_of()).to_numpy()
    assert interest[: interest.sum()].all()
    for part in (differences[interest], differences[~interest]):
        assert part["x"].is_monotonic_decreasing


def test_ae_plot_has_one_rule_between_its_parts_however_many_terms_there_are():
    data = exhibits("arms")
    frame = data.curves["ae_dot"]
    fever = frame[frame["term"] == "Fever"]
    many = pd.concat([frame, *(fever.assign(term=f"Fever {i:02d}") for i in range(12))])
    figure, _ = draw("arms", "ae_dot", curves=data.curves | {"ae_dot": many})
    percent = figure.axes[0]
    assert sum(line.get_linestyle() == "--" for line in percent.lines) == 1


def test_ae_plot_says_how_many_terms_it_leaves_out():
    data = exhibits("arms")
    frame = data.curves["ae_dot"]
    fever = frame[frame["term"] == "Fever"]
    many = pd.concat([frame, *(fever.assign(term=f"Fever {i:02d}", percent=0.1) for i in range(14))])
    figure, drawn = draw("arms", "ae_dot", curves=data.curves | {"ae_dot": many})
    unseen = sorted(set(data.plan.query_of()) - set(frame.loc[frame["n"] > 0, "term"]))
    said = f"3 less frequent terms are not shown. Of interest, and had by nobody: {', '.join(unseen)}."
    assert said in [text.get_text().replace("\n", " ") for text in shown_texts(figure)]
    # the events of interest that somebody had, and the fourteen most frequent others
    shown = drawn.loc[drawn["element"] == "incidence_difference", "series"].nunique()
    assert shown == len(data.plan.query_of()) - len(unseen) + 14


def test_butterfly_stacks_patients_by_worst_grade_and_ends_at_all_who_had_the_event():
    _, drawn = draw("arms", "ae_butterfly")
    rows = exhibits("arms").ard.set_index("ard_id")["value"]
    bars = drawn[drawn["element"] == "bar"]
    assert set(bars["panel"]) == {"Any sorafenib", "No sorafenib"}
    for number in drawn[drawn["element"] == "text"].itertuples():
        own = bars[(bars["panel"] == number.panel) & (bars["text"] == number.series)]
        assert own["high"].max() == pytest.approx(rows[number.ard_id])
        assert own["low"].iloc[1:].tolist() == own["high"].iloc[:-1].tolist()
        severe = own[own["series"].isin(["Grade 3", "Grade 4", "Grade 5"])]
        widest = rows[number.ard_id.replace(".any.", ".grade_3_5.")]
        assert (severe["high"] - severe["low"]).sum() == pytest.approx(widest)


def test_adverse_events_over_time_show_the_curves_and_who_is_at_risk():
    _, drawn = draw("arms", "ae_incidence")
    data = exhibits("arms")
    for (event, label), frame in data.curves["ae_incidence"].groupby(["event_label", "label"]):
        shown = drawn[(drawn["element"] == "curve") & (drawn["panel"] == event) & (drawn["series"] == label)]
        seen = frame[(frame["n_risk"] >= 10) & (frame["time_months"] <= data.plan.rmst_horizon_months)]
        np.testing.assert_allclose(shown["y"], 100 * seen["incidence"])
    at_risk = drawn[(drawn["element"] == "at_risk") & (drawn["x"] == 0)]
    assert set(at_risk["y"]) == set(
        data.ard.set_index("ard_id").loc[[f"safety.population.{g}.n" for g in ("exposed", "unexposed")], "value"]
    )


@pytest.mark.parametrize(("which", "name"), ALL)
def test_nothing_is_clipped_by_the_edge_of_the_figure(which, name):
    figure, _ = drawn_once(which, name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    beyond = {
        id(label)
        for ax in figure.axes
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in axis.get_major_ticks()
        if not min(limits) <= tick.get_loc() <= max(limits)
        for label in (tick.label1, tick.label2)  # exist but are not drawn
    }
    for text in shown_texts(figure):
        if id(text) in beyond:
            continue
        box = (
            Text.get_window_extent(text, renderer) if isinstance(text, Annotation) else text.get_window_extent(renderer)
        )
        place = (text.get_text(), box)
        assert box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5, place
        assert text.get_fontsize() >= 6, f"too small to read in print: {place}"
    assert figure.get_figwidth() <= 7.0


@pytest.mark.parametrize("which", ["arms", "real"])
def test_flow_boxes_hold_their_text_and_do_not_overlap(which):
    data = exhibits(which)
    long = data.curves["flow"].copy()
    long.loc[long["step_no"] == long["step_no"].max(), "reason"] = (
        "A reason so long that it has to be wrapped more than once, because whoever wrote the configuration wanted to "
        "leave no doubt about who was meant by it"
    )
    figure, _ = draw(which, "flow", curves=data.curves | {"flow": long})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent(renderer) for patch in ax.patches if isinstance(patch, Rectangle)]
    for i, first in enumerate(boxes):
        assert not any(first.overlaps(other) for other in boxes[i + 1 :])
    lines = [text for text in ax.texts if text.get_gid() != "synthetic"]
    for text in lines:
        extent = text.get_window_extent(renderer)
        assert any(
            box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1 for box in boxes
        ), text.get_text()
    printed = " ".join(text.get_text() for text in lines)
    fates = data.ledgers["fates"]["fate"].value_counts()
    assert f"Analysed (n = {fates['analysed']})" in printed
    assert f"Not eligible (n = {fates.get('excluded', 0)})" in printed


def test_published_percentages_are_marked_where_they_were_published():
    """Li 2014: RFS events at 60 months 53.1% and 77.7% (peritumoural), 58.6% and 73.0% (intratumoural)."""
    _, survival = draw("real", "km_prognostic")
    marks = survival[survival["element"] == "published"]
    assert sorted(round(100 - y, 1) for y in marks["y"]) == [53.1, 58.6, 73.0, 77.7]
    assert set(marks["x"]) == {60.0}
    _, incidence = draw("real", "cif_prognostic")
    marks = incidence[incidence["element"] == "published"].set_index("series")["y"]
    curves = incidence[(incidence["element"] == "curve") & incidence["panel"].str.startswith("Recurrence")]
    for series, percent in marks.items():
        # the lesson of the figure: with death as a competing event fewer patients recur than was published
        assert percent > curves.loc[(curves["series"] == series) & (curves["x"] <= 60), "y"].iloc[-1] + 5


@pytest.mark.parametrize(("which", "name"), ALL)
def test_synthetic_data_are_marked_in_every_panel_and_real_data_never(which, name):
    figure, _ = drawn_once(which, name)
    marks = [text for text in shown_texts(figure) if text.get_gid() == "synthetic"]
    if exhibits(which).cohort.config.synthetic:
        assert {mark.get_text() for mark in marks} == {"Synthetic data"}
        for ax in figure.axes:
            assert any(mark.axes is ax for mark in marks), "a panel cut out of the figure would not say so"
        assert any(mark.axes is None for mark in marks), "no label at the corner"
    else:
        assert not marks
        assert not any("ynthetic" in text.get_text() for text in shown_texts(figure))


def test_mark_is_visible_in_the_picture(tmp_path):
    from matplotlib.image import imread

    figure, drawn = draw("arms", "forest_rfs")
    save_figure(figure, drawn, tmp_path / "marked", source_date_epoch=0)
    config = exhibits("arms").cohort.config.model_copy(update={"synthetic": False})
    figure, drawn = draw("arms", "forest_rfs", cohort=config)
    save_figure(figure, drawn, tmp_path / "plain", source_date_epoch=0)
    marked, plain = (imread(tmp_path / f"{name}.png")[..., :3] for name in ("marked", "plain"))
    changed = np.any(marked != plain, axis=2)
    height, width = changed.shape
    assert changed[:, : width // 2].any() or changed[height // 4 :, width // 3 : 2 * width // 3].any()
    assert changed[: height // 8, 3 * width // 4 :].any()
    assert (tmp_path / "marked.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_every_curve_that_the_workflow_declares_is_made():
    made = exhibits("arms").curves
    assert set(curve_names(exhibits("arms").cohort.config)) == set(made)
    assert all(len(made[curve]) for name, curve in FIGURES.items() if name in ARMS)


def test_a_lone_arm_keeps_its_colour_and_the_weighted_panel_says_not_estimable():
    data = exhibits("arms")
    frame = data.curves["km_rfs"]
    alone = frame[(frame["group"] == "control") & (frame["weighting"] == "none")]
    both, _ = draw("arms", "km_rfs")
    figure, drawn = draw("arms", "km_rfs", curves=data.curves | {"km_rfs": alone})
    colours = [
        next(line.get_color() for line in fig.axes[0].lines if line.get_label() == "RFA alone")
        for fig in (both, figure)
    ]
    assert colours[0] == colours[1]
    left, right = figure.axes
    assert "Not estimable" in [text.get_text() for text in right.texts]
    assert "Not estimable" not in [text.get_text() for text in left.texts]
    assert set(drawn.loc[drawn["element"] == "at_risk", "panel"]) == {"Unweighted"}


def test_love_plot_without_any_difference_says_not_estimable(recwarn):
    data = exhibits("arms")
    none = data.curves["balance"].assign(smd=np.nan)
    figure, _ = draw("arms", "love", curves=data.curves | {"balance": none})
    assert "Not estimable" in [text.get_text() for text in figure.axes[0].texts]
    assert not [str(warning.message) for warning in recwarn.list if "palette" in str(warning.message)]


@pytest.mark.parametrize("name", ARMS)
def test_a_figure_of_which_nothing_could_be_estimated_says_so(name):
    """As in a cohort with nobody at the landmark: the curve has no rows, or its part did not make it."""
    data = exhibits("arms")
    for curves in (
        {key: frame for key, frame in data.curves.items() if key != FIGURES[name]},
        data.curves | {FIGURES[name]: data.curves[FIGURES[name]].iloc[:0]},
    ):
        figure, drawn = draw("arms", name, curves=curves)
        assert {text.get_text() for text in shown_texts(figure)} == {"Not estimable", "Synthetic data"}
        assert drawn["text"].tolist() == ["Not estimable"]


def test_figure_of_another_kind_of_cohort_is_refused_with_what_there_is():
    with pytest.raises(NotOfferedError, match=r"'km_rfs'.*does not have") as caught:
        draw("real", "km_rfs")
    assert "km_prognostic" in str(caught.value)


def test_unknown_figure_is_refused_with_the_closest_name():
    with pytest.raises(ConfigError, match=r"did you mean 'km_rfs'\?"):
        draw("arms", "km_rsf")


SCRIPT = """
import json, sys
from pathlib import Path
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.parts import curve_names
from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
from sorafenib_rfa.files import read_tables
import pandas as pd

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
given = json.loads((folder / "config.json").read_text())
for name in sys.argv[3:]:
    figure, drawn = draw_figure(
        name, ard=pd.read_parquet(folder / "ard.parquet"),
        curves=read_tables([str(p) for p in sorted((folder / "curves").iterdir())]),
        cohort=CohortConfig.model_validate(given["cohort"]), plan=Plan.model_validate(given["plan"]),
    )
    save_figure(figure, drawn, out / name, source_date_epoch=1400000000)
"""


def _write_inputs(data: Exhibits, folder: Path) -> None:
    write_parquet(data.ard, folder / "ard.parquet")
    for name, frame in data.curves.items():
        write_parquet(frame, folder / "curves" / f"{name}.parquet")
    config = {"cohort": data.cohort.config.model_dump(mode="json"), "plan": data.plan.model_dump(mode="json")}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "names"), [("arms", ["flow", "km_rfs", "love", "ae_dot"]), ("real", ["cif_prognostic"])]
)
def test_figures_are_the_same_bytes_in_another_process_folder_and_home(tmp_path, which, names):
    _write_inputs(exhibits(which), tmp_path / "in")
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 22\naxes.facecolor: pink\nsavefig.bbox: tight\nsvg.fonttype: none\n", encoding="utf-8")
    for run, more in (("one", {"PYTHONHASHSEED": "1"}), ("two", {"PYTHONHASHSEED": "2", "MATPLOTLIBRC": str(rc)})):
        (tmp_path / run).mkdir()
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "in"), "figures", *names],
            cwd=tmp_path / run, env=os.environ | {"TZ": "Asia/Tokyo" if run == "two" else "UTC"} | more, check=True,
        )  # fmt: skip
    for name in names:
        for kind in ("svg", "pdf", "png", "csv"):
            one, two = ((tmp_path / run / "figures" / f"{name}.{kind}").read_bytes() for run in ("one", "two"))
            assert one == two, f"{name}.{kind}"
    svg = (tmp_path / "one" / "figures" / f"{names[0]}.svg").read_text()
    assert "<text" not in svg, "letters must be outlines, or the figure depends on the reader's fonts"
    assert str(tmp_path) not in svg
