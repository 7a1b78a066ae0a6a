"""The designs side by side: what is drawn is what the ARD says, and the truth only where it is given."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimates_data import cohort, estimated, plan, value
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from sorafenib_rfa.estimates.target_trial import estimate_target_trial
from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.validation.results import draw_truth, validation_ard

FEW = plan(bootstrap_resamples=200)
TRUE_DIFFERENCE, TRUE_LOG_HR = 1.25, -0.2


@cache
def inputs() -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    adam, parts = estimated()
    own = estimate_target_trial(adam["adsl"], adam["adtte"], FEW, cohort(), "synthetic", "records/t.json", seed=4)
    ard = pd.concat([parts["efficacy"].ard, own.ard], ignore_index=True)
    return ard, parts["efficacy"].curves | own.curves


def truth() -> pd.DataFrame:
    """Made-up true values, other for each time zero and population."""
    rows = []
    for i, basis in enumerate(("time_zero", "landmark")):
        for j, population in enumerate(("overlap", "all")):
            for endpoint, dating in (("RFS", "detected"), ("OS", "true")):
                key = (basis, dating, endpoint, population, "contrast")
                shift = 0.1 * i + 0.01 * j
                rows.append((*key, "rmst_months", 36.0, TRUE_DIFFERENCE + shift, 0.02, 1000))
                rows.append((*key, "rmst_months", 60.0, 9.0, 0.02, 1000))
                rows.append((*key, "log_hazard_ratio", np.nan, TRUE_LOG_HR + shift, 0.01, 1000))
    columns = ["basis", "dating", "endpoint", "population", "strategy", "stat", "month", "value", "mc_se", "n"]
    return pd.DataFrame(rows, columns=columns)


@cache
def validated() -> pd.DataFrame:
    return validation_ard(inputs()[0], truth(), FEW, cohort_name="synthetic", record="records/v.json")


def draw(name: str, **changes):
    ard, curves = inputs()
    return draw_figure(name, **({"ard": ard, "curves": curves, "cohort": cohort(), "plan": FEW} | changes))


def test_every_interval_drawn_is_its_ard_row():
    _, drawn = draw("designs")
    rows = drawn[drawn["element"] == "interval"]
    curve = inputs()[1]["designs_rfs"]
    assert list(rows["ard_id"]) == list(
        pd.concat([curve[curve["measure"] == measure] for measure in ("rmst_difference", "hr")])["ard_id"]
    )
    for row in rows.itertuples():
        source = value(inputs()[0], row.ard_id)
        assert (row.x, row.low, row.high) == (source["value"], source["ci_low"], source["ci_high"])
        assert row.text == format_value(source, form="ci").replace("95% CI ", "")


def test_the_primary_is_first_and_the_naive_last_and_flagged():
    figure, _ = draw("designs")
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]
    primary = texts.index("Clone-censor-weight, overlap (primary)")
    naive = texts.index("Naive, ever against never (biased)")
    others = [texts.index(name) for name in ("Landmark, overlap", "Time-varying exposure")]
    assert primary < min(others) <= max(others) < naive
    assert "not applicable" in texts  # no restricted mean under exposure that varies with time
    assert sum(text == "Synthetic data" for text in texts) >= 3


def test_each_design_says_how_many_patients_it_uses():
    """Everyone from RFA in the naive design; fewer with all covariates; fewer still event-free at the landmark."""
    figure, drawn = draw("designs")
    adsl = estimated()[0]["adsl"]
    patients = drawn[drawn["element"] == "patients"].set_index("series")
    assert patients.loc["Naive, ever against never", "x"] == len(adsl)
    complete = adsl[[FEW.covariates[name].variable for name in FEW.adjustment_set]].notna().all(axis=1)
    for design in ("Clone-censor-weight, overlap", "Clone-censor-weight, Cox", "Time-varying exposure"):
        assert patients.loc[design, "x"] == complete.sum()
    scored = estimated()[1]["baseline"].curves["weights"]["w_overlap"].notna().sum()
    assert patients.loc["Landmark, overlap", "x"] == scored
    assert scored < complete.sum()
    printed = [text.get_text() for text in figure.findobj(Text)]
    assert set(patients["text"]) <= set(printed)
    assert "Recurrence-free survival" in printed


def test_text_stays_on_the_page():
    for figure in (draw("designs")[0], draw("km_ccw_rfs")[0], drawn_truth()[0]):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        width, height = canvas.get_width_height()
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent(canvas.get_renderer())
                assert box.x0 >= -1 and box.x1 <= width + 1, text.get_text()
                assert box.y0 >= -1 and box.y1 <= height + 1, text.get_text()


@cache
def drawn_truth():
    return draw_truth(inputs()[0], validated(), inputs()[1]["designs_rfs"], cohort(), FEW)


def test_the_truth_is_a_line_through_each_panel_and_only_where_given():
    figure, drawn = drawn_truth()
    lines = drawn[drawn["element"] == "truth"].set_index("panel")["x"]
    assert lines["Difference, months"] == TRUE_DIFFERENCE
    assert lines["Hazard ratio"] == pytest.approx(np.exp(TRUE_LOG_HR))
    printed = [text.get_text() for text in figure.findobj(Text)]
    assert "truth 1.3" in printed  # 1.25, its half away from zero
    assert any("truth drawn through all rows is that of the primary analysis" in text for text in printed)
    plain = [text.get_text() for text in draw("designs")[0].findobj(Text)]
    assert not any("truth" in text for text in plain)
    assert any("time-varying exposure, which is conditional" in text for text in plain)
    assert not (draw("designs")[1]["element"] == "truth").any()


def test_km_of_the_strategies_shows_curve_weights_and_effective_numbers_at_risk():
    _, drawn = draw("km_ccw_rfs")
    curves = inputs()[1]
    curve, weights = curves["km_ccw_rfs"], curves["ccw_weights"].query("endpoint == 'RFS' and form == 'overlap'")
    for label, own in curve.groupby("label"):
        rows = drawn[(drawn["element"] == "curve") & (drawn["series"] == label)]
        followed = weights[weights["label"] == label].set_index("time_months")["effective_n"]
        end = rows["x"].max()
        assert followed[followed.index <= end].min() >= 10
        assert followed[followed.index > end].max() < 10
        whole = own[own["time_months"] <= end]
        np.testing.assert_allclose(rows["y"].iloc[:-1], 100 * whole["survival"])
        assert rows["y"].iloc[-1] == rows["y"].iloc[-2]
        at_risk = drawn[(drawn["element"] == "at_risk") & (drawn["series"] == label)].set_index("x")["y"]
        assert at_risk[24.0] == pytest.approx(own.loc[own["time_months"] >= 24, "n_risk"].iloc[0])
        effective = drawn[(drawn["element"] == "effective_n") & (drawn["series"] == label)].set_index("x")["y"]
        assert effective[24.0] == followed[24.0]
        assert effective[0.0] > at_risk[0.0]
    assert not len(drawn[drawn["element"] == "censored"].dropna(subset=["x"]))


def test_strategies_with_too_few_at_risk_are_not_drawn():
    curves = inputs()[1]
    few = curves["ccw_weights"].assign(effective_n=9.0)
    figure, drawn = draw("km_ccw_rfs", curves=curves | {"ccw_weights": few})
    assert "Fewer than 10 at risk" in [text.get_text() for text in figure.axes[0].texts]
    assert not (drawn["element"] == "curve").any()


def test_designs_that_cannot_be_estimated_say_so():
    ard = inputs()[0].copy()
    missing = ard["ard_id"] == "target_trial.rfs_ccw_ate.contrast.hr"
    ard.loc[missing, ["value", "ci_low", "ci_high", "p_value"]] = np.nan
    _, drawn = draw("designs", ard=ard)
    row = drawn[drawn["ard_id"] == "target_trial.rfs_ccw_ate.contrast.hr"].iloc[0]
    assert row["text"] == "not estimable"


def test_equal_figures_are_equal_bytes(tmp_path: Path):
    for folder in ("one", "other"):
        figure, drawn = draw("designs")
        save_figure(figure, drawn, tmp_path / folder / "designs", source_date_epoch=1_600_000_000)
    for suffix in (".svg", ".pdf", ".png", ".csv"):
        first, second = ((tmp_path / folder / "designs").with_suffix(suffix) for folder in ("one", "other"))
        assert first.read_bytes() == second.read_bytes()


def test_errors_are_estimates_against_their_own_truth():
    """The landmark analysis is held against the truth at the landmark, not against that from RFA."""
    rows, ard = validated(), inputs()[0]
    for design, identifier, true in (
        ("ccw_overlap", "target_trial.rfs_ccw_overlap.contrast.m36.difference", TRUE_DIFFERENCE),
        ("ccw_ate", "target_trial.rfs_ccw_ate.contrast.m36.difference", TRUE_DIFFERENCE + 0.01),
        ("landmark", "efficacy.rfs_rmst_overlap.contrast.m36.difference", TRUE_DIFFERENCE + 0.1),
        ("naive", "efficacy.rfs_naive_rmst.contrast.m36.difference", TRUE_DIFFERENCE + 0.01),
    ):
        error = value(rows, f"validation.error_rfs_{design}.contrast.m36.difference")
        estimate = value(ard, identifier)
        assert error["value"] == pytest.approx(estimate["value"] - true)
        assert error["ci_high"] == pytest.approx(estimate["ci_high"] - true)
    ratio = value(rows, "validation.error_rfs_ccw_overlap.contrast.hr_ratio")
    hr = value(ard, "target_trial.rfs_ccw_overlap.contrast.hr")
    assert ratio["value"] == pytest.approx(hr["value"] / np.exp(TRUE_LOG_HR))
    true = value(rows, "validation.truth_rfs_time_zero.contrast.overlap.hr")
    assert true["value"] == pytest.approx(np.exp(TRUE_LOG_HR))
    assert true["ci_high"] == pytest.approx(np.exp(TRUE_LOG_HR + 1.959964 * 0.01))


def test_a_truth_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="0 true values of log_hazard_ratio"):
        validation_ard(
            inputs()[0], truth().query("stat != 'log_hazard_ratio'"), FEW, cohort_name="synthetic", record="r"
        )
