"""The synthetic cohort's estimates beside what is true in it, as ARD rows and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, horizon

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENGINE = "sorafenib_rfa.simulate.estimands"
HARMS = "sorafenib_rfa.simulate.true_harms"
POPULATIONS = {
    "overlap": "Eligible patients, weighted by e(1 - e) with the true propensity e",
    "all": "All eligible patients",
}
BASES = {
    "time_zero": "from the index RFA",
    "landmark": "in those event-free on the landmark day under each strategy",
}
DESIGNS = {
    "ccw_overlap": ("time_zero", "overlap", "target_trial.{endpoint}_ccw_overlap"),
    "ccw_ate": ("time_zero", "all", "target_trial.{endpoint}_ccw_ate"),
    "ccw_ate_truncated": ("time_zero", "all", "target_trial.{endpoint}_ccw_ate_truncated"),
    "ccw_ate_cox": ("time_zero", "all", "target_trial.{endpoint}_ccw_ate_cox"),
    "landmark": ("landmark", "overlap", "efficacy.{endpoint}_rmst_overlap|efficacy.{endpoint}_cox_overlap"),
    "naive": ("time_zero", "all", "efficacy.{endpoint}_naive_rmst|efficacy.{endpoint}_naive"),
}
"""Design -> time zero and population of its truth, and the analyses of its mean difference and its hazard ratio."""


def validation_ard(
    ard: pd.DataFrame, truth: pd.DataFrame, plan: Plan, *, cohort_name: str, record: str
) -> pd.DataFrame:
    """Return the true values and the errors of the estimates.

    Parameters
    ----------
    ard : DataFrame
        ARD of the synthetic cohort.
    truth : DataFrame
        As :func:`sorafenib_rfa.simulate.true_estimands` returns it.
    plan : Plan
        Horizon of the restricted means.
    cohort_name, record : str
        For the ARD.

    Returns
    -------
    DataFrame
        ARD rows, part ``validation``: ``truth_<endpoint>_<basis>.contrast.<population>_<month>.difference`` and
        ``truth_<endpoint>_<basis>.contrast.<population>.hr`` (interval: Monte Carlo error of the simulation);
        ``error_<endpoint>_<design>.contrast.<month>.difference`` (estimate minus truth) and
        ``error_<endpoint>_<design>.contrast.hr_ratio`` (estimate over truth), each with the estimate's own interval
        moved by the truth, which covers 0 (1) when the estimate's interval covers the truth. Where `truth` holds those
        of :func:`sorafenib_rfa.simulate.true_harms.true_benefit_risk` too:
        ``truth_benefit_risk.contrast.grade_3_5_<month>.risk_difference`` and
        ``truth_benefit_risk.contrast.<state>_<month>.difference``, and ``error_benefit_risk`` in the same way.
    """
    from scipy.special import ndtri

    builder = ArdBuilder(cohort_name, "validation", record)
    z = float(ndtri(0.5 + plan.confidence_level / 2))
    month = horizon(plan.rmst_horizon_months)
    rows = {row["ard_id"]: row for row in ard.to_dict("records")}
    for endpoint in ("RFS", "OS"):
        # death is seen on its day
        dating = "true" if endpoint == "OS" else "detected"
        own = truth[(truth["endpoint"] == endpoint) & (truth["dating"] == dating) & (truth["strategy"] == "contrast")]
        for basis, where in BASES.items():
            for population, who in POPULATIONS.items():
                chosen = own[(own["basis"] == basis) & (own["population"] == population)]
                for stat, name in (("rmst_months", "difference"), ("log_hazard_ratio", "hr")):
                    value, error, n = _value(chosen, stat, plan)
                    ratio = name == "hr"
                    ends = (value, value - z * error, value + z * error)
                    shown = tuple(float(np.exp(end)) for end in ends) if ratio else ends
                    builder.add(
                        f"truth_{endpoint.lower()}_{basis}",
                        name,
                        shown[0],
                        ci_low=shown[1],
                        ci_high=shown[2],
                        unit="ratio" if ratio else "months",
                        group="contrast",
                        variable=population if ratio else f"{population}_{month}",
                        population=who,
                        method=f"true value {where}, recurrence dated when "
                        f"{'seen' if dating == 'detected' else 'it happens'}: both potential courses of {n} simulated "
                        f"patients; Monte Carlo standard error {error:.2g}"
                        + (" of the logarithm, censored as in the study" if ratio else ""),
                        engine=ENGINE,
                    )
        for design, (basis, population, analyses) in DESIGNS.items():
            chosen = own[(own["basis"] == basis) & (own["population"] == population)]
            _add_errors(builder, rows, chosen, endpoint, design, analyses, plan, POPULATIONS[population], BASES[basis])
    _add_harms(builder, rows, truth, plan, z)
    return builder.frame()


def _add_harms(builder: ArdBuilder, rows: dict[str, dict], truth: pd.DataFrame, plan: Plan, z: float) -> None:
    """Add the true risk differences of a severe adverse event and months in each state, and the estimates' errors."""
    own = truth[
        (truth["basis"] == "time_zero") & (truth["population"] == "overlap") & (truth["strategy"] == "contrast")
    ]
    tau = float(plan.rmst_horizon_months)
    months = plan.benefit_risk.horizons_months if plan.benefit_risk else []
    sought = [("GRADE_3_5", "risk", month, "percent", 100.0, "risk_difference") for month in months]
    sought += [(state, "rmst_months", tau, "months", 1.0, "difference") for state in ("TOX", "TWIST", "REL")]
    for endpoint, stat, month, unit, scale, name in sought:
        found = own[(own["endpoint"] == endpoint) & (own["stat"] == stat) & (own["month"] == month)]
        if found.empty:
            continue
        value, error = (scale * float(found.iloc[0][column]) for column in ("value", "mc_se"))
        level = f"{endpoint.lower()}_{horizon(month)}"
        shared = {"unit": unit, "group": "contrast", "variable": level, "population": POPULATIONS["overlap"]}
        builder.add(
            "truth_benefit_risk",
            name,
            value,
            ci_low=value - z * error,
            ci_high=value + z * error,
            method=f"true value {BASES['time_zero']}: both potential courses of {int(found.iloc[0]['n'])} simulated "
            f"patients, nobody lost; Monte Carlo standard error {error:.2g}",
            engine=HARMS,
            **shared,
        )
        place = f"{horizon(month)}" if stat == "risk" else f"{horizon(month)}.{endpoint.lower()}"
        row = rows.get(f"benefit_risk.{endpoint.lower() if stat == 'risk' else 'partition'}.contrast.{place}.{name}")
        if row is None:  # an effect that the plan does not weigh
            continue
        missing = not np.isfinite(float(row["value"]))
        moved = [NAN if missing else float(row[key]) - value for key in ("value", "ci_low", "ci_high")]
        builder.add(
            "error_benefit_risk",
            name,
            moved[0],
            ci_low=moved[1],
            ci_high=moved[2],
            method=str(row["method"])
            if missing
            else f"{row['ard_id']} minus the truth {BASES['time_zero']} (Monte Carlo standard error {error:.2g}); the "
            "estimate's own interval",
            engine=HARMS,
            **shared,
        )


def _value(chosen: pd.DataFrame, stat: str, plan: Plan) -> tuple[float, float, int]:
    """Return a true value, its Monte Carlo standard error, and the patients behind it."""
    found = chosen[chosen["stat"] == stat]
    if stat == "rmst_months":
        found = found[found["month"] == plan.rmst_horizon_months]
    if len(found) != 1:
        raise ValueError(f"{len(found)} true values of {stat}, expected 1")
    row = found.iloc[0]
    return float(row["value"]), float(row["mc_se"]), int(row["n"])


def _add_errors(
    builder: ArdBuilder,
    rows: dict[str, dict],
    chosen: pd.DataFrame,
    endpoint: str,
    design: str,
    analyses: str,
    plan: Plan,
    who: str,
    where: str,
) -> None:
    """Add how far the estimates of a design are from their truth."""
    month = horizon(plan.rmst_horizon_months)
    of_mean, _, of_ratio = analyses.format(endpoint=endpoint.lower()).partition("|")
    for stat, identifier, name in (
        ("rmst_months", f"{of_mean}.contrast.{month}.difference", "difference"),
        ("log_hazard_ratio", f"{of_ratio or of_mean}.contrast.hr", "hr_ratio"),
    ):
        row = rows[identifier]
        value, error, _ = _value(chosen, stat, plan)
        values = [float(row[key]) for key in ("value", "ci_low", "ci_high")]
        ratio = name == "hr_ratio"
        moved = [v / float(np.exp(value)) for v in values] if ratio else [v - value for v in values]
        missing = not np.isfinite(values[0])
        builder.add(
            f"error_{endpoint.lower()}_{design}",
            name,
            NAN if missing else moved[0],
            ci_low=moved[1],
            ci_high=moved[2],
            unit="ratio" if ratio else "months",
            group="contrast",
            variable="" if ratio else month,
            population=who,
            method=str(row["method"])
            if missing
            else f"{identifier} {'over' if ratio else 'minus'} the truth {where} (Monte Carlo standard error "
            f"{error:.2g}{' of its logarithm' if ratio else ''}); the estimate's own interval",
            engine=ENGINE,
        )


def draw_truth(
    ard: pd.DataFrame, validation: pd.DataFrame, curve: pd.DataFrame, cohort: CohortConfig, plan: Plan
) -> tuple[Figure, pd.DataFrame]:
    """Draw the designs for recurrence-free survival with the truth from RFA in the overlap population.

    Parameters
    ----------
    ard, validation : DataFrame
        ARD of the synthetic cohort, and the rows of :func:`validation_ard`.
    curve : DataFrame
        Curve ``designs_rfs``.
    cohort : CohortConfig
    plan : Plan
    """
    from sorafenib_rfa.exhibits.draw import styled
    from sorafenib_rfa.exhibits.figures.canvas import Inputs
    from sorafenib_rfa.exhibits.figures.designs import Truth, designs_figure

    month = horizon(plan.rmst_horizon_months)
    truths = {
        "rmst_difference": Truth(f"validation.truth_rfs_time_zero.contrast.overlap_{month}.difference", "truth"),
        "hr": Truth("validation.truth_rfs_time_zero.contrast.overlap.hr", "truth"),
    }
    rows = pd.concat([ard, validation], ignore_index=True)
    with styled():
        return designs_figure(Inputs("truth_designs", rows, {"designs_rfs": curve}, cohort, plan), "RFS", truths)
