"""The simulated study: exports of six centres, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.simulate.clinical_records import write_records
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.exports import canonical_uln, export_centres
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.truth import simulate_patients, truth_frame


@dataclass(frozen=True)
class SimulatedStudy:
    """What :func:`simulate_raw` makes.

    Attributes
    ----------
    exports : dict of str to dict of str to bytes
        Site -> file name -> content.
    truth : DataFrame
        One row a screened patient (:func:`.truth.truth_frame`).
    dirt : DataFrame
        One row a planted error (:func:`.exports.export_centres`).
    """

    exports: dict[str, dict[str, bytes]]
    truth: pd.DataFrame
    dirt: pd.DataFrame


def simulate_raw(parameters: SimulationParameters, *, seed: int) -> SimulatedStudy:
    """Simulate the study and write it as its centres' exports.

    Parameters
    ----------
    parameters : SimulationParameters
        :func:`.parameters.load_parameters`.
    seed : int
        The same seed and parameters give the same bytes.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    ConfigError
        If the parameters name other centres than the six whose exports are known.
    """
    if set(parameters.centres) != set(DIALECTS):
        raise ConfigError(
            Problem(
                "centres: the simulator writes the exports of six known hospitals",
                file="simulation.yaml",
                found=", ".join(parameters.centres),
                expected=", ".join(DIALECTS),
            )
        )
    patients = simulate_patients(parameters, seed=seed)
    tables = write_records(
        patients.population,
        patients.observed,
        patients.natural,
        patients.index_date,
        patients.subject_id,
        canonical_uln(),
        parameters,
        seed,
    )
    exports, dirt = export_centres(tables, parameters, seed)
    return SimulatedStudy(exports, truth_frame(patients, parameters), dirt)
