"""Agreement of the estimators with an independent implementation, as ``make crosscheck`` stored it.

What is read is a stored result: R is not needed to build the paper.
"""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.errors import InputError, Problem
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates

COLUMNS = ("family", "quantity", "function", "data", "values", "reference", "ours", "relative_difference", "versions")


def estimate_agreement(agreement: pd.DataFrame, cohort_name: str, record: str, *, shown_as: str) -> Estimates:
    """Count the quantities compared with R, and give the largest relative difference, by function of R and in all.

    Parameters
    ----------
    agreement : DataFrame
        ``family, quantity, function, data, values, reference, ours, relative_difference, versions``: one row a
        quantity, as ``tests/reference/crosscheck.py`` writes it.
    cohort_name : str
        Name of the cohort whose paper prints it.
    record : str
        Path of the job record.
    shown_as : str
        Path of the file, for messages.

    Returns
    -------
    Estimates
        ARD part ``agreement``: ids ``agreement.<family>.<function>.quantities|values|largest_difference``, the
        reference function in ``engine``, the data in ``population``; ``agreement.all.*``. No curves.

    Raises
    ------
    InputError
        If columns are missing or a difference is not a number.
    """
    missing = [name for name in COLUMNS if name not in agreement.columns]
    difference = pd.to_numeric(agreement.get("relative_difference"), errors="coerce")
    problems = [Problem("a column is missing", file=shown_as, column=name) for name in missing]
    if not missing and difference.isna().any():
        row = int(difference.isna().to_numpy().argmax())
        problems.append(
            Problem(
                "not a number",
                file=shown_as,
                row=row + 2,
                column="relative_difference",
                found=str(agreement["relative_difference"].iloc[row]),
                hint="make crosscheck writes this file anew",
            )
        )
    if problems:
        raise InputError(problems)
    rows = agreement.assign(relative_difference=difference)
    ard = ArdBuilder(cohort_name, "agreement", record)
    versions = str(rows["versions"].iloc[0])
    _add(ard, "all", "", rows, versions)
    for (family, function), own in rows.groupby(["family", "function"], sort=True):
        _add(ard, str(family), str(function), own, str(function))
    return ard.estimates({})


def _add(ard: ArdBuilder, family: str, function: str, rows: pd.DataFrame, engine: str) -> None:
    """Add the three numbers of one group of quantities."""
    data = sorted(rows["data"].unique())
    common = {"variable": function, "engine": engine, "population": ", ".join(data)}
    said = "compared by `make crosscheck` with an independent implementation"
    ard.add(family, "quantities", len(rows), unit="count", method=f"quantities {said}", **common)
    ard.add(family, "values", int(rows["values"].sum()), unit="count", method=f"numbers {said}", **common)
    ard.add(
        family,
        "largest_difference",
        float(rows["relative_difference"].max()),
        unit="relative_difference",
        method="largest absolute difference of a quantity over its largest reference value",
        **common,
    )
