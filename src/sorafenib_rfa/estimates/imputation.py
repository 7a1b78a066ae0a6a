"""Missing baseline covariates completed by multiple imputation that knows arm and outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.covariates import covariate_design, levels_of, logarithm, numbers, texts
from sorafenib_rfa.stats.multiple_imputation import Incomplete, impute, nelson_aalen


@dataclass(frozen=True)
class Completed:
    """Completed data sets.

    Attributes
    ----------
    frames : list of DataFrame
        The source frame with the covariates' columns completed, one an imputation; one only when nothing is missing.
    missing : dict
        Covariate -> USUBJID of those whose value was imputed.
    """

    frames: list[pd.DataFrame]
    missing: dict[str, pd.Index]


def outcome_columns(index: pd.Index, followed: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the outcome as predictors: event indicator and cumulative hazard of each endpoint.

    Parameters
    ----------
    index : Index
        USUBJID of everyone whose values are imputed.
    followed : mapping
        Endpoint -> ``time`` (above zero), ``event``, indexed by USUBJID. Who is not followed for it has no event and
        no hazard.
    """
    columns = {}
    for endpoint, rows in followed.items():
        hazard = pd.Series(nelson_aalen(rows["time"], rows["event"]), index=rows.index)
        columns[f"{endpoint} event"] = rows["event"].astype(float).reindex(index, fill_value=0.0)
        columns[f"{endpoint} hazard"] = hazard.reindex(index, fill_value=0.0)
    return pd.DataFrame(columns, index=index)


def complete(
    frame: pd.DataFrame,
    exposure: pd.DataFrame,
    outcome: pd.DataFrame,
    plan: Plan,
    names: Sequence[str],
    *,
    imputations: int,
    seed: int,
) -> Completed:
    """Impute the missing covariates `names` of the plan in `frame`.

    Each incomplete covariate is regressed on arm, outcome and all other covariates: complete ones as they enter the
    models (splines too), incomplete ones linearly, as log10 where the plan takes the logarithm. A value without a
    logarithm counts as missing, as it does in the models.

    Parameters
    ----------
    frame : DataFrame
        Rows of ADSL, indexed by USUBJID.
    exposure : DataFrame
        Indicators of arm, same index.
    outcome : DataFrame
        As :func:`outcome_columns` returns it.
    imputations, seed : int

    Raises
    ------
    InvalidCovariatesError
        If a covariate is missing in everyone.
    """
    incomplete: list[Incomplete] = []
    levels: dict[str, list[str]] = {}
    missing = {}
    for name in names:
        covariate = plan.covariates[name]
        column = frame[covariate.variable]
        if covariate.kind == "continuous":
            values = numbers(column)
            values = logarithm(values) if covariate.transform == "log10" else values
            variable = Incomplete(name, values.to_numpy(dtype=float))
        else:
            found = texts(column)
            levels[name] = levels_of(column, covariate.levels)
            codes = found.map({level: float(code) for code, level in enumerate(levels[name])})
            variable = Incomplete(name, codes.to_numpy(dtype=float, na_value=np.nan), len(levels[name]))
        missing[name] = frame.index[variable.missing]
        if len(missing[name]):
            incomplete.append(variable)
    if not incomplete:
        return Completed([frame], missing)
    known = covariate_design(frame, plan, [name for name in names if missing[name].empty])
    predictors = known.x.join(exposure.astype(float)).join(outcome)
    frames = []
    for values in impute(incomplete, predictors, imputations=imputations, seed=seed):
        filled = {}
        for variable in incomplete:
            covariate = plan.covariates[variable.name]
            known_values = frame[covariate.variable]
            gaps = variable.missing
            if covariate.kind == "continuous":
                drawn = values[variable.name][gaps]
                column = numbers(known_values)
                column[gaps] = 10.0**drawn if covariate.transform == "log10" else drawn
            else:
                column = texts(known_values).copy()
                column[gaps] = [levels[variable.name][int(code)] for code in values[variable.name][gaps]]
            filled[covariate.variable] = column
        frames.append(frame.assign(**filled))
    return Completed(frames, missing)
