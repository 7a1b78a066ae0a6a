r"""Test of proportional hazards: the score test of R's ``cox.zph`` since survival 3.0.

For each covariate the model is extended by its product with a function g of time; the score test of the new
coefficients being zero needs only the fitted model. With z the covariates, :math:`\bar z_k` and :math:`V_k` their
weighted mean and variance in the risk set of event k, and g centred at the events,

.. math:: u = \sum_k g_k (z_k - \bar z_k), \quad
   I = \sum_k \begin{pmatrix} V_k & g_k V_k \\ g_k V_k & g_k^2 V_k \end{pmatrix}.

Before version 3.0 R used an approximation (scaled Schoenfeld residuals with a constant V), which lifelines still does
and which can be far off; the two must not be compared.

References
----------
Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted residuals. Biometrika
1994;81:515-526. Therneau TM. survival: ``vignette("approximate", package = "survival")`` on the change in 3.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc

from .errors import EstimationError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .cox import CoxFit

Transform = Literal["km", "identity", "rank", "log"]


def cox_zph(
    fit: CoxFit, transform: Transform = "km", *, terms: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Test proportional hazards for each term and globally.

    Parameters
    ----------
    fit : CoxFit
        With any weights, strata, entry times and ties.
    transform : {"km", "identity", "rank", "log"}
        g(t): one minus the left-continuous Kaplan-Meier estimate of all rows (R's default), t, its rank, or log t.
    terms : mapping of str to sequence of str, optional
        Covariates that belong to one term (dummies of a category) and are tested together; covariates not named
        are terms of their own.

    Returns
    -------
    DataFrame
        Indexed by term, then ``GLOBAL``: ``chi2, df, p``.

    Raises
    ------
    EstimationError
        If all events are at one time (g does not vary).
    """
    import pandas as pd

    groups = _groups(fit.names, terms)
    gtime = _transformed_time(fit, transform)
    score, information = _extended_score(fit, gtime)
    p = len(fit.names)
    rows = []
    for columns in [*groups.values(), list(range(p))]:
        chosen = [*range(p), *(p + j for j in columns)]
        u = np.concatenate([np.zeros(p), score[columns]])
        try:
            chi2 = float(u @ np.linalg.solve(information[np.ix_(chosen, chosen)], u))
        except np.linalg.LinAlgError:
            raise EstimationError("proportional hazards cannot be tested: time does not vary enough") from None
        rows.append((chi2, len(columns), float(chdtrc(len(columns), chi2))))
    return pd.DataFrame(rows, columns=["chi2", "df", "p"], index=pd.Index([*groups, "GLOBAL"], name="term"))


def _groups(names: tuple[str, ...], terms: Mapping[str, Sequence[str]] | None) -> dict[str, list[int]]:
    """Columns of each term, in the order of their first covariate."""
    owner = {}
    for term, members in (terms or {}).items():
        for name in members:
            if name not in names:
                raise KeyError(f"term {term!r}: no covariate {name!r}; there are {', '.join(names)}")
            owner[name] = term
    groups: dict[str, list[int]] = {}
    for j, name in enumerate(names):
        groups.setdefault(owner.get(name, name), []).append(j)
    return groups


def _transformed_time(fit: CoxFit, transform: Transform) -> NDArray[np.float64]:
    """G at each distinct event time, centred at the mean over events."""
    design = fit.design
    present = np.ones(design.n, dtype=bool) if fit.weights is None else fit.weights > 0
    stop = design.stop[present]
    if transform == "identity":
        g = design.bin_time.copy()
    elif transform == "log":
        g = np.log(design.bin_time)
    elif transform == "rank":  # mean rank among all rows, as R's rank()
        ordered = np.sort(stop)
        below = np.searchsorted(ordered, design.bin_time, side="left")
        g = (below + np.searchsorted(ordered, design.bin_time, side="right") + 1) / 2
    elif transform == "km":
        from .kaplan_meier import kaplan_meier

        start = None if design.start is None else design.start[present]
        curve = kaplan_meier(stop, design.event[present], start=start)
        before = np.searchsorted(curve.time, design.bin_time, side="left")
        g = 1 - np.concatenate([[1.0], curve.survival])[before]
    else:
        raise ValueError(f"transform must be 'km', 'identity', 'rank' or 'log', found {transform!r}")
    return g - g[design.death_bin][_death_weights(fit) > 0].mean()


def _death_weights(fit: CoxFit) -> NDArray[np.float64]:
    """Case weight of each event, in the order of the Schoenfeld residuals."""
    design = fit.design
    return np.ones(design.deaths.size) if fit.weights is None else fit.weights[design.rows[design.deaths]]


def _extended_score(fit: CoxFit, gtime: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score of the p time products and information of all 2p coefficients, at the fitted model."""
    score = (_death_weights(fit) * gtime[fit.design.death_bin]) @ fit.residuals("schoenfeld")
    plain, once, twice = (fit.information_over_time(gtime**power) for power in (0, 1, 2))
    return score, np.block([[plain, once], [once, twice]])
