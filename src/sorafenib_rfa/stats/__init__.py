"""Estimators on plain arrays, equal to R's where R is the reference; each module says why it is not a library's.

The names below are imported when first used, so that a job that needs proportions does not pay for survival. What
shares its name with its module is imported from there: ``from sorafenib_rfa.stats.kaplan_meier import kaplan_meier``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "CoxDesign": "cox",
    "CoxFit": "cox",
    "cox_fit": "cox",
    "cox_zph": "proportional_hazards",
    "reverse_kaplan_meier": "kaplan_meier",
    "log_rank": "kaplan_meier",
    "rmst_contrast": "kaplan_meier",
    "aalen_johansen": "competing_risks",
    "gray_test": "competing_risks",
    "fine_gray": "competing_risks",
    "clopper_pearson": "proportions",
    "wilson": "proportions",
    "newcombe_difference": "proportions",
    "risk_ratio": "proportions",
    "incidence_rate": "proportions",
    "rate_ratio": "proportions",
    "RecurrentEvents": "recurrent_events",
    "mean_cumulative_function": "recurrent_events",
    "rate_model": "recurrent_events",
    "mean_model": "recurrent_events",
    "treatment_by_level": "interaction",
    "heterogeneity": "interaction",
    "holm": "interaction",
    "smd_continuous": "balance",
    "smd_binary": "balance",
    "smd_categorical": "balance",
    "variance_ratio": "balance",
    "effective_sample_size": "balance",
    "covariate_matrix": "propensity",
    "logistic_fit": "propensity",
    "propensity_weights": "propensity",
    "restricted_cubic_spline": "propensity",
    "EstimationError": "errors",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import an estimator on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
