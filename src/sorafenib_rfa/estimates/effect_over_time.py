"""Whether and how the effect on the hazard changes with time since time zero: pieces, and a spline of log time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from sorafenib_rfa.estimates.common import NAN, attempt, horizon
from sorafenib_rfa.estimates.comparison import Comparison
from sorafenib_rfa.estimates.contrasts import WEIGHTED, ComparedPart, add_basis, add_ratio, comparison_common
from sorafenib_rfa.stats.cox import HazardRatio, TestStatistic
from sorafenib_rfa.stats.time_varying import PiecewiseEffect, SplineEffect, piecewise_effect, spline_effect

ENGINE = "sorafenib_rfa.stats.time_varying"
_VARIANCE = "robust variance clustered by patient, the weights taken as known"
_GRID = 120

COLUMNS = [
    "endpoint",
    "kind",
    "time_months",
    "end_months",
    "hr",
    "lo",
    "hi",
    "events_treated",
    "events_control",
    "ard_id",
]


def add_effect_over_time(part: ComparedPart, comparison: Comparison) -> pd.DataFrame:
    """Add the overlap-weighted effect in each piece of follow-up and as a spline, with tests; return the curve.

    Returns
    -------
    DataFrame
        ``endpoint, kind, time_months, end_months, hr, lo, hi, events_treated, events_control, ard_id``, as
        :func:`sorafenib_rfa.estimates.time_to_event.estimate_time_to_event` describes.
    """
    rows = comparison.scored
    analysis = f"{comparison.endpoint.lower()}_effect_over_time"
    common = comparison_common(comparison)
    add_basis(part.ard, analysis, rows, rows["event"], True, common)
    why = part.why_not(comparison, rows, weighted=True)
    data = {
        "treated": rows["treated"].astype(float),
        "time": rows["time"],
        "event": rows["event"],
        "start": np.full(len(rows), comparison.start_months),
        "weights": rows["w_overlap"],
    }
    words = f"Cox model with Efron's ties {comparison.start_words}, {WEIGHTED}"
    pieces, spline, no_pieces, no_spline = None, None, why, why
    if not why:
        settings = part.plan.effect_over_time
        pieces, no_pieces = attempt(
            piecewise_effect, **data, cuts=settings.cut_months, level=part.plan.confidence_level
        )
        spline, no_spline = attempt(spline_effect, **data, knots=settings.spline_knots)
    drawn = _add_pieces(part, comparison, rows, analysis, pieces, no_pieces, words)
    drawn += _add_spline(part, comparison, analysis, spline, no_spline, words)
    for row in rows[rows["event"]].itertuples():
        drawn.append(
            {
                "kind": "event",
                "time_months": row.time,
                "events_treated": int(row.treated),
                "events_control": int(not row.treated),
            }
        )
    frame = pd.DataFrame(drawn, columns=COLUMNS)
    frame["endpoint"] = comparison.endpoint
    for column in COLUMNS[2:-1]:
        frame[column] = frame[column].astype(float)
    frame["ard_id"] = frame["ard_id"].astype("string")
    return frame


def _add_pieces(
    part: ComparedPart,
    comparison: Comparison,
    rows: pd.DataFrame,
    analysis: str,
    effect: PiecewiseEffect | None,
    why: str,
    words: str,
) -> list[dict]:
    """Add the hazard ratio of each piece and the test that they are equal."""
    common = comparison_common(comparison)
    edges = [
        comparison.start_months,
        *(cut for cut in part.plan.effect_over_time.cut_months if cut > comparison.start_months),
        np.inf,
    ]
    drawn = []
    for j, (lower, upper) in enumerate(pairwise(edges)):
        piece = None if effect is None else effect.pieces[j]
        reason = why or (f"not estimable: {piece.reason}" if piece is not None and piece.reason else "")
        span = f"from month {lower:.3g} to month {upper:g}" if np.isfinite(upper) else f"after month {lower:.3g}"
        level = f"to_{horizon(upper)}" if np.isfinite(upper) else f"after_{horizon(round(lower, 3))}"
        identifier = add_ratio(
            part.ard,
            analysis,
            "hr",
            None if piece is None else piece.ratio,
            reason,
            f"hazard ratio {span}; {words}, treatment effect constant within pieces; {_VARIANCE}; Wald interval",
            ENGINE,
            common,
            variable="piece",
            level=level,
        )
        # events of patients without weight are in no piece
        inside = rows["event"] & (rows["time"] > lower) & (rows["time"] <= upper) & (rows["w_overlap"] > 0)
        part.ard.add(
            analysis,
            "events",
            NAN if piece is None else piece.events_treated + piece.events_control,
            unit="count",
            group="contrast",
            variable="piece",
            level=level,
            method=reason if piece is None else f"events {span}",
            engine=ENGINE,
            members=rows.loc[inside, "USUBJID"],
            **common,
        )
        ratio = None if piece is None else piece.ratio
        drawn.append(
            {
                "kind": "piecewise",
                "time_months": lower,
                "end_months": upper,
                "hr": NAN if ratio is None else ratio.estimate,
                "lo": NAN if ratio is None else ratio.ci_low,
                "hi": NAN if ratio is None else ratio.ci_high,
                "events_treated": NAN if piece is None else piece.events_treated,
                "events_control": NAN if piece is None else piece.events_control,
                "ard_id": identifier,
            }
        )
    test = None if effect is None else effect.constancy
    if effect is not None and test is None:
        why = "not estimable: fewer than two pieces of follow-up have events in both arms"
    _add_test(
        part, comparison, analysis, "pieces_equal", test, why, "Wald test that the pieces' hazard ratios are equal"
    )
    return drawn


def _add_spline(
    part: ComparedPart,
    comparison: Comparison,
    analysis: str,
    effect: SplineEffect | None,
    why: str,
    words: str,
) -> list[dict]:
    """Add the spline's hazard ratio at the plan's months and its tests; return its curve between the outer knots."""
    settings, level = part.plan.effect_over_time, part.plan.confidence_level
    common = comparison_common(comparison)
    method = f"{words}, treatment x restricted cubic spline of log time with {settings.spline_knots} knots"
    if effect is not None:
        method += f" (months {', '.join(f'{knot:.3g}' for knot in effect.knots)}; Harrell's quantiles of event times)"
    method += f"; {_VARIANCE}; pointwise Wald interval"
    drawn = []
    for month in settings.at_months:
        reason, ratio = why, None
        if effect is not None and not effect.first <= month <= effect.last:
            reason = f"not estimable: events lie between months {effect.first:.1f} and {effect.last:.1f}"
        elif effect is not None:
            estimate, low, high = (float(values[0]) for values in effect.at([month], level))
            if np.isfinite(high):
                ratio = HazardRatio(
                    name=f"month {month:g}",
                    estimate=estimate,
                    ci_low=low,
                    ci_high=high,
                    p=float(effect.p_value([month])[0]),
                    log_estimate=float(np.log(estimate)),
                    log_se=float(effect.std_err([month])[0]),
                    level=level,
                    robust=True,
                )
            else:
                reason = "not estimable: too few events near this time"
        add_ratio(
            part.ard,
            analysis,
            "hr",
            ratio,
            reason,
            f"hazard ratio at month {month:g}; {method}",
            ENGINE,
            common,
            variable="spline",
            level=horizon(month),
        )
    linear = None if effect is None else effect.linearity
    constant = None if effect is None else effect.constancy
    _add_test(part, comparison, analysis, "spline_constant", constant, why, "Wald test that the spline does not vary")
    _add_test(part, comparison, analysis, "spline_linear", linear, why, "Wald test that it is linear in log time")
    if effect is None:
        return drawn
    # beyond the outer knots a natural spline is a line that few events determine: it is not drawn
    grid = np.exp(np.linspace(np.log(effect.knots[0]), np.log(effect.knots[-1]), _GRID))
    for month, hr, low, high in zip(grid, *effect.at(grid, level), strict=True):
        drawn.append({"kind": "spline", "time_months": month, "hr": hr, "lo": low, "hi": high})
    return drawn


def _add_test(
    part: ComparedPart,
    comparison: Comparison,
    analysis: str,
    variable: str,
    test: TestStatistic | None,
    why: str,
    words: str,
) -> None:
    if test is not None and np.isnan(test.chi2):
        test, why = None, "not estimable: the robust covariance is singular (too few events)"
    part.ard.add(
        analysis,
        "chi2",
        NAN if test is None else test.chi2,
        p_value=NAN if test is None else test.p,
        unit="statistic",
        group="contrast",
        variable=variable,
        method=why or f"{words}, {test.df} df; {_VARIANCE}",  # type: ignore[union-attr]
        engine=ENGINE,
        **comparison_common(comparison),
    )
