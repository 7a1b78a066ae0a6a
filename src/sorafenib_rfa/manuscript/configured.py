"""The manuscript as a job builds it: from a configuration that reaches it as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.manuscript.build import build_manuscript


def build_configured_manuscript(
    cohort: str,
    configuration: Mapping[str, Any],
    *,
    destination: Path,
    inputs_seal: str,
    paperwork: Path,
    validation: Iterable[str],
    **changed: Any,
) -> None:
    """Build one cohort's paper in the repository that is the current folder.

    Parameters
    ----------
    cohort : str
        The paper's cohort.
    configuration : mapping
        ``cohorts`` (name -> configuration), ``sites``, ``plan``, ``publication_date``, ``source_date_epoch`` and
        ``renderer``, as the parameters of a job hold them.
    destination : Path
        Where the paper goes.
    inputs_seal : str
        Digest of what the paper is built from.
    paperwork : Path
        Folder for the filled checklists.
    validation : iterable of str
        Files with what is known to be true of a simulated cohort, such as ``<folder>/ard/ard.parquet``; may be empty.
    changed : Any
        What else :func:`~sorafenib_rfa.manuscript.build.build_manuscript` is told.

    Raises
    ------
    ManuscriptError
        With every problem of the sources.
    """
    build_manuscript(
        cohort,
        manuscript=Path("manuscript"),
        results=Path("results"),
        destination=destination,
        cohorts={name: CohortConfig.model_validate(content) for name, content in configuration["cohorts"].items()},
        sites=configuration["sites"],
        plan=Plan.model_validate(configuration["plan"]),
        publication_date=configuration["publication_date"],
        source_date_epoch=configuration["source_date_epoch"],
        engine=configuration["renderer"],
        inputs_seal=inputs_seal,
        paperwork=paperwork,
        validation=next((Path(path).parents[1] for path in validation), None),
        **changed,
    )
