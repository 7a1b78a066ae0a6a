"""A registry of up to a million: the patients of the simulation, in sixteen centres that send delimited text.

It serves to measure how time and memory grow with the data, and is analysed for nothing else. Patients are drawn in
parts, each with random streams of its own, so that memory is bounded and no patient is a copy of another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.simulate.clinical_records import write_records
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.exports import canonical_uln, delimited, write_centre
from sorafenib_rfa.simulate.outcomes import BaselineHazards, solve_baseline
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import draw_centre_log_hazards, stream
from sorafenib_rfa.simulate.truth import simulate_patients

REGISTRIES: Final = 4
"""Registries, each a simulation of its own with centre effects of its own."""

MODEL_CENTRES: Final = ("cn01", "fr01", "jp01", "us01")
"""The shipped centres that send delimited text alone, in four languages; a workbook cannot hold a million rows."""

REGISTRY_TABLES: Final = ("patients", "ablations", "drug_exposure", "imaging", "labs")
"""Tables of the registry; adverse events are left out."""

BASELINE_TESTS: Final = ("ALB", "BILI", "ALT", "INR", "PLT", "AFP")
"""Laboratory tests of the registry, one sample before the index RFA; later ones are left out."""

PART: Final = 20_000
"""Most patients drawn at once."""

SMALLEST: Final = 240
"""Fewest patients of the whole: below, a centre may have none."""

LARGEST: Final = 1_000_000
"""Most patients of the whole: above, a centre's numbers would reach those of its planted rows that are nobody's."""


@dataclass(frozen=True)
class ScaleExports:
    """What :func:`write_scale_exports` wrote.

    Attributes
    ----------
    files : dict of str to list of str
        Site -> names of its files.
    dirt : DataFrame
        One row a planted error (:func:`.exports.export_centres`).
    """

    files: dict[str, list[str]]
    dirt: pd.DataFrame


def scale_sites() -> dict[str, str]:
    """Return site -> the shipped centre in whose form it sends its data, such as ``cn01_2`` -> ``cn01``."""
    return {f"{centre}_{k + 1}": centre for centre in MODEL_CENTRES for k in range(REGISTRIES)}


def write_scale_exports(
    parameters: SimulationParameters,
    folder: Path,
    *,
    patients: int,
    seed: int,
    registries: Collection[int] = tuple(range(REGISTRIES)),
) -> ScaleExports:
    """Simulate the registry and write its exports.

    Parameters
    ----------
    parameters : SimulationParameters
        :func:`.parameters.load_parameters`; its ``size`` is not used.
    folder : Path
        Files are written to ``<folder>/<site>/<file>``, over what is there.
    patients : int
        Screened patients of the whole, shared out equally over the registries.
    seed : int
        The same seed, parameters and number of patients give the same bytes.
    registries : collection of int, optional
        Which of the registries to write, counted from 0, so that several processes can share the work.

    Returns
    -------
    ScaleExports

    Raises
    ------
    ConfigError
        If the parameters lack one of the centres, or the patients are too few or too many for sixteen centres.

    Notes
    -----
    Outcomes, treatment and planted errors are those of the shipped simulation. Left out are adverse events, laboratory
    results after the index RFA and of other than six tests, and centres that send workbooks.
    """
    absent = [centre for centre in MODEL_CENTRES if centre not in parameters.centres]
    if absent or not SMALLEST <= patients <= LARGEST:
        raise ConfigError(
            Problem(
                "the registry of scale cannot be simulated",
                file="simulation.yaml",
                found=f"no centre {', '.join(absent)}" if absent else f"{patients} patients",
                expected=f"the centres {', '.join(MODEL_CENTRES)} and {SMALLEST} to {LARGEST} patients",
            )
        )
    chosen = _with_centres(parameters)
    hazards = solve_baseline(chosen)
    files: dict[str, list[str]] = {}
    dirt = []
    for registry in sorted(registries):
        own = patients * (registry + 1) // REGISTRIES - patients * registry // REGISTRIES
        written, planted = _write_registry(chosen, folder, own, registry, seed, hazards)
        files |= written
        dirt.extend(planted)
    return ScaleExports(dict(sorted(files.items())), pd.concat(dirt, ignore_index=True))


def _with_centres(parameters: SimulationParameters) -> SimulationParameters:
    """Return `parameters` with the model centres alone, their shares scaled to 1."""
    centres = {name: parameters.centres[name] for name in MODEL_CENTRES}
    total = sum(centre.share.value for centre in centres.values())
    scaled = {
        name: centre.model_copy(update={"share": centre.share.model_copy(update={"value": centre.share.value / total})})
        for name, centre in centres.items()
    }
    return parameters.model_copy(update={"centres": scaled})


def _write_registry(
    parameters: SimulationParameters, folder: Path, patients: int, registry: int, seed: int, hazards: BaselineHazards
) -> tuple[dict[str, list[str]], list[pd.DataFrame]]:
    """Write the centres of one registry part by part."""
    centres = draw_centre_log_hazards(parameters, _seed(seed, registry))
    parts = -(-patients // PART)
    numbered = dict.fromkeys(MODEL_CENTRES, 0)
    rows: dict[tuple[str, str], int] = {}
    files: dict[str, list[str]] = {}
    dirt = []
    for part in range(parts):
        size = patients * (part + 1) // parts - patients * part // parts
        own_seed = _seed(seed, registry, part)
        people = simulate_patients(
            parameters.model_copy(update={"size": size}),
            seed=own_seed,
            centre_log_hazards=centres,
            hazards=hazards,
            numbered_before=numbered,
        )
        tables = write_records(
            people.population,
            people.observed,
            people.natural,
            people.index_date,
            people.subject_id,
            canonical_uln(),
            parameters,
            own_seed,
            baseline_tests_alone=BASELINE_TESTS,
        )
        for centre in MODEL_CENTRES:
            site = f"{centre}_{registry + 1}"
            own = {
                table: tables[table][tables[table]["site"] == centre].reset_index(drop=True)
                for table in REGISTRY_TABLES
            }
            streams = stream(own_seed, f"export {centre}"), stream(own_seed, f"later errors {centre}")
            sheets, planted = write_centre(centre, own, parameters, *streams)
            # the rows of this part stand below those of the parts before it
            before = planted["table"].map({table: rows.get((site, table), 0) for table in sheets})
            dirt.append(planted.assign(site=site, row=planted["row"] + before))
            (folder / site).mkdir(parents=True, exist_ok=True)
            for table, sheet in sheets.items():
                with (folder / site / sheet.layout.file).open("wb" if part == 0 else "ab") as file:
                    file.write(delimited(sheet, DIALECTS[centre], header=part == 0))
                rows[site, table] = rows.get((site, table), 0) + len(sheet.rows)
            files[site] = sorted(sheet.layout.file for sheet in sheets.values())
            numbered[centre] += len(own["patients"])
    return files, dirt


def _seed(seed: int, *key: int) -> int:
    """Return a seed of its own for each `key`."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])
