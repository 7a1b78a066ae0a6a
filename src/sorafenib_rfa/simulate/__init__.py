"""The synthetic cohort: a documented model, the exports six hospitals would send of it, and the truth behind them.

Nothing made here says anything about real patients.
"""

from sorafenib_rfa.simulate.parameters import SimulationParameters, load_parameters
from sorafenib_rfa.simulate.study import SimulatedStudy, simulate_raw

__all__ = ["SimulatedStudy", "SimulationParameters", "load_parameters", "simulate_raw"]
