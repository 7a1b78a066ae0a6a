"""What makes jobs cheap must not change what they make."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sorafenib_rfa.exhibits.figures.canvas import LOOKS, band, steps
from sorafenib_rfa.files import TablesOnDemand, write_parquet

LOOK = LOOKS[0]


def picture(draw) -> np.ndarray:
    figure = Figure(figsize=(4, 3), dpi=150)
    ax = figure.subplots()
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 1)
    draw(ax)
    for artist in (*ax.collections, *ax.lines):
        artist.set_snap(False)  # matplotlib moves paths of few points to whole pixels
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).astype(int)


def curve(gap: slice | None) -> tuple[np.ndarray, np.ndarray]:
    """A falling step curve on 400 times, at most of which nothing happens."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 100, 400))
    y = 1 - np.cumsum(rng.random(400) < 0.08) / 60
    if gap is not None:
        y[gap] = np.nan
    return x, y


@pytest.mark.parametrize("gap", [None, slice(150, 190), slice(0, 40), slice(350, 400)])
def test_a_step_curve_looks_the_same_without_the_times_at_which_nothing_changes(gap):
    """Against matplotlib drawing every point; the corner of a line may round to another shade."""
    x, y = curve(gap)
    low, high = y - 0.05, np.minimum(y + 0.08, 1)
    all_points = picture(
        lambda ax: ax.fill_between(x, low, high, step="post", color=LOOK.colour, alpha=0.15, linewidth=0)
    )
    np.testing.assert_array_equal(picture(lambda ax: band(ax, x, low, high, LOOK)), all_points)

    def few_points(ax):
        steps(ax, x, y, LOOK)
        assert len(ax.lines[0].get_xdata()) < len(x) / 4

    all_points = picture(lambda ax: ax.plot(x, y, drawstyle="steps-post", color=LOOK.colour, linestyle=LOOK.line))
    line = (all_points < 250).any(axis=2).sum()
    differing = (np.abs(picture(few_points) - all_points) > 2).any(axis=2).sum()
    assert differing < 0.01 * line


def test_a_step_curve_of_one_point_or_none_can_be_drawn():
    for n in (0, 1):
        at, value = np.full(n, 5.0), np.full(n, 0.5)
        picture(lambda ax, at=at, value=value: (band(ax, at, value, value, LOOK), steps(ax, at, value, LOOK)))


def test_tables_on_demand_read_what_is_asked_for_and_nothing_else(tmp_path):
    frame = pd.DataFrame({"x": [1, 2]})
    write_parquet(frame, tmp_path / "there.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    tables = TablesOnDemand([str(tmp_path / "there.parquet"), str(tmp_path / "broken.parquet")])
    pd.testing.assert_frame_equal(tables["there"], frame)
    assert tables["there"] is tables["there"]
    assert list(tables) == ["there", "broken"]
    assert tables.get("absent") is None


def test_notebooks_are_read_and_checked_without_the_grammar_of_addresses():
    """A broken notebook is still refused: only the check of international addresses is left out."""
    code = """
import sys
from sorafenib_rfa.notebooks.iri_grammar import leave_out_iri_grammar
leave_out_iri_grammar()
import nbformat
assert "lark" not in sys.modules
nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
try:
    nbformat.validate({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]})
except nbformat.ValidationError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused", done.stderr
