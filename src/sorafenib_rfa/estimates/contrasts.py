"""What the analyses of one comparison of arms share: the part's state, why arms are not compared, rows of a ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.common import NAN, untested
from sorafenib_rfa.estimates.comparison import Comparison
from sorafenib_rfa.estimates.covariates import Design
from sorafenib_rfa.stats.balance import effective_sample_size

if TYPE_CHECKING:
    from sorafenib_rfa.stats.cox import HazardRatio

TREATMENT = "treatment"
WEIGHTED = "weighted by overlap of the propensity score"
KNOWN_WEIGHTS = "robust (Lin-Wei) variance, the weights taken as known"


@dataclass
class ComparedPart:
    """What every analysis of the part needs.

    Attributes
    ----------
    comparisons : dict
        Endpoint -> who is compared.
    design : Design
        Covariates of the adjustment set, of all who enter.
    resamples : OverlapResamples or None
        None without a propensity score; its patients are the rows of ``design.x``.
    """

    ard: ArdBuilder
    plan: Plan
    comparisons: dict[str, Comparison]
    design: Design
    resamples: OverlapResamples | None
    seed: int
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)

    def rows(self, comparison: Comparison, weighted: bool) -> pd.DataFrame:
        """Return the patients of an analysis: all, or those with a propensity score."""
        return comparison.scored if weighted else comparison.frame

    def why_not(self, comparison: Comparison, rows: pd.DataFrame, weighted: bool) -> str:
        """Return why the arms are not compared in `rows`, or ''."""
        no_score = "" if self.resamples is not None else "not estimable: the propensity score could not be estimated"
        sizes = {arm: int((rows["arm"] == arm).sum()) for arm in comparison.arms.labels}
        return untested(comparison.sizes, self.plan) or (no_score if weighted else "") or untested(sizes, self.plan)

    def resampled(self, rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
        """Return which patients of the resamples are among `rows`, and `rows` in their order."""
        followed = rows.set_index("USUBJID")
        inside = self.design.x.index.isin(followed.index)
        return inside, followed.loc[self.design.x.index[inside]]

    def adjusted(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the complete cases of `frame`, and treatment with the covariates that vary among them."""
        rows = frame[frame["USUBJID"].isin(self.design.x.index)]
        covariates = self.design.x.loc[rows["USUBJID"]].set_index(rows.index)
        covariates = covariates.loc[:, covariates.nunique() > 1]
        covariates.insert(0, TREATMENT, rows["treated"].astype(float))
        return rows, covariates


def treatment(rows: pd.DataFrame) -> pd.DataFrame:
    """Return treatment as the only covariate."""
    return pd.DataFrame({TREATMENT: rows["treated"].astype(float)})


def comparison_common(comparison: Comparison, estimand: str | None = None) -> dict[str, str]:
    """Return the columns that all rows of a comparison share."""
    return {"population": comparison.population, "estimand_id": estimand or comparison.estimand}


def add_basis(
    ard: ArdBuilder,
    analysis: str,
    rows: pd.DataFrame,
    event: pd.Series,
    weighted: bool,
    common: Mapping[str, str],
    *,
    what: str = "an event",
) -> None:
    """Add what an analysis rests on: patients, events, and the effective sample size where it is weighted."""
    counts = {
        "n": (rows["USUBJID"], "patients in the analysis"),
        "events": (rows.loc[event, "USUBJID"], f"patients with {what} in the analysis"),
    }
    for stat, (members, method) in counts.items():
        ard.add(
            analysis,
            stat,
            len(members),
            unit="count",
            group="contrast",
            method=method,
            engine="sorafenib_rfa.estimates.contrasts",
            members=members,
            **common,
        )
    if weighted:
        weights = rows["w_overlap"]
        usable = len(weights) > 0 and float(weights.sum()) > 0
        ard.add(
            analysis,
            "effective_sample_size",
            effective_sample_size(weights) if usable else NAN,
            unit="measure",
            group="contrast",
            method="Kish's effective sample size of the overlap weights" if usable else "not estimable: no weights",
            engine="sorafenib_rfa.stats.balance",
            **common,
        )


def add_ratio(
    ard: ArdBuilder,
    analysis: str,
    stat: str,
    ratio: HazardRatio | None,
    why: str,
    method: str,
    engine: str,
    common: Mapping[str, str],
    *,
    variable: str = "",
    level: object = None,
) -> str:
    """Add a hazard ratio with its interval and p value, or why there is none; return the id."""
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    return ard.add(
        analysis,
        stat,
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        group="contrast",
        variable=variable,
        level=level,
        method=why or method,
        engine=engine,
        **common,
    )
