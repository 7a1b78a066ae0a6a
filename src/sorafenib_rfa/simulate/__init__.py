"""The synthetic cohort: a documented model, the exports six hospitals would send of it, and the truth behind them.

Nothing made here says anything about real patients.
"""

from sorafenib_rfa.simulate.parameters import SimulationParameters, load_parameters
from sorafenib_rfa.simulate.study import SimulatedStudy, simulate_raw

__all__ = [
    "SimulatedStudy",
    "SimulationParameters",
    "load_parameters",
    "simulate_raw",
    "true_benefit_risk",
    "true_estimands",
]


def __getattr__(name: str) -> object:
    """Import what only validation needs when it is first used (PEP 562)."""
    if name == "true_estimands":
        from sorafenib_rfa.simulate.estimands import true_estimands

        return true_estimands
    if name == "true_benefit_risk":
        from sorafenib_rfa.simulate.true_harms import true_benefit_risk

        return true_benefit_risk
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
