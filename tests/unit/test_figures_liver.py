"""Figures of the liver on data that leave little to draw: they say what is there, and never stop the paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, estimated, make_adam, plan

from sorafenib_rfa.errors import NotOfferedError
from sorafenib_rfa.estimates.liver import estimate_liver
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.figures.canvas import Inputs
from sorafenib_rfa.exhibits.figures.liver import draw_albi_course

FIGURES = ("edish", "albi_course", "lab_shift")


def _one_group(adam):
    adam["adsl"]["EXPOSFL"], adam["adsl"]["LMTRT"] = "N", "RFA alone"


def _no_baseline(adam):
    adam["adlb"]["BASE"] = np.nan
    adam["adlb"]["BTOXGR"] = pd.array([pd.NA] * len(adam["adlb"]), dtype="Int64")


def _extreme(adam):
    adam["adlb"].loc[adam["adlb"].index[::7], "AVAL"] = 1e5


ODD = {"as it is": lambda adam: None, "one group": _one_group, "no baseline": _no_baseline, "extreme": _extreme}


@pytest.mark.parametrize("size", [2, 30])
@pytest.mark.parametrize("what", list(ODD))
def test_figures_of_little_data_are_drawn(what, size):
    adam = make_adam(size, seed=5)
    ODD[what](adam)
    given = {name: adam[name] for name in ("adlb", "adsl", "adae", "adex")}
    made = estimate_liver(**given, plan=plan(small_group=0), cohort_name="synthetic", record="r")
    for name in FIGURES:
        figure, drawn = draw_figure(name, ard=made.ard, curves=made.curves, cohort=cohort(), plan=PLAN)
        figure.canvas.draw()
        assert len(drawn) > 0
        bound = drawn[drawn["ard_id"].notna()]
        assert bound["ard_id"].isin(made.ard["ard_id"]).all()


def test_points_of_edish_are_the_patients_its_quadrants_count():
    made = estimated()[1]["liver"]
    _, drawn = draw_figure("edish", ard=made.ard, curves=made.curves, cohort=cohort(), plan=PLAN)
    points, counts = drawn[drawn["element"] == "point"], drawn[drawn["element"] == "count"]
    for panel, own in points.groupby("panel"):
        for group, mine in own.groupby("series"):
            right, upper = mine["x"] >= 3, mine["y"] > 2
            seen = {
                "Neither": (~right & ~upper).sum(),
                "Temple's corollary": (right & ~upper).sum(),
                "Hyperbilirubinaemia (cholestasis)": (~right & upper).sum(),
                "Potential Hy's law, needs adjudication": (right & upper).sum(),
            }
            said = counts[(counts["panel"] == panel) & counts["text"].str.startswith(f"{group}:")]
            assert dict(zip(said["series"], said["y"], strict=True)) == seen


def test_cells_of_the_shift_plot_are_its_counts():
    made = estimated()[1]["liver"]
    _, drawn = draw_figure("lab_shift", ard=made.ard, curves=made.curves, cohort=cohort(), plan=PLAN)
    values = made.ard.set_index("ard_id")["value"]
    cells = drawn[drawn["element"] == "cell"]
    assert len(cells) == 36 * 2 * 3
    assert [float(text) for text in cells["text"]] == values.loc[cells["ard_id"]].tolist()


def test_the_course_is_drawn_without_single_patients_where_they_are_withheld():
    made = estimated()[1]["liver"]
    curves = {name: frame for name, frame in made.curves.items() if name != "albi_patients"}
    _, drawn = draw_albi_course(Inputs("albi_course", made.ard, curves, cohort(), PLAN))
    assert not (drawn["element"] == "patient").any()
    assert set(drawn.loc[drawn["element"] == "mean", "series"]) == {"RFA + sorafenib", "RFA alone"}
    with pytest.raises(NotOfferedError):
        draw_albi_course(Inputs("albi_course", made.ard, {}, cohort(), PLAN))
