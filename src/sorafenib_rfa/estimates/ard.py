"""Analysis results data: one row a number, the only place exhibits and text take numbers from.

The layout follows the ARD idea of the CDISC Analysis Results Standard, flattened to one table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

import pandas as pd

from sorafenib_rfa.estimates.counted import Counted, Known, Members, counted, has_members, member_blocks, members_frame

ARD_COLUMNS: Final = (
    "ard_id",
    "cohort",
    "analysis_id",
    "estimand_id",
    "population",
    "group",
    "variable",
    "stat_name",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "unit",
    "method",
    "engine",
    "record",
)
NUMERIC: Final = ("value", "ci_low", "ci_high", "p_value")
UNITS: Final = (
    "count",
    "percent",
    "proportion",
    "ratio",
    "months",
    "years",
    "days",
    "p",
    "statistic",
    "measure",
    "relative_difference",
    # signed: above zero to treat for one to benefit, below zero for one to be harmed; see stats.number_needed
    "number_needed",
)


def slug(text: object) -> str:
    """Return `text` as it may stand in an ARD id: ``[a-z0-9_]`` only (``'10^9/L'`` -> ``'10_9_l'``)."""
    return _slug(str(text))


@cache
def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def ard_id(*parts: object) -> str:
    """Return the id made of `parts`, leaving out those that are None or empty."""
    return ".".join(filter(None, (slug(part) for part in parts if part is not None)))


@dataclass
class ArdBuilder:
    """Collects rows of one analysis part.

    Attributes
    ----------
    cohort : str
        Name of the cohort.
    part : str
        First element of every id.
    record : str
        Path of the job record, relative to the cohort's results folder.
    rows : list of dict
        The rows added.
    counts : list of Counted
        Who or what each count counted.
    known : Known
        Whom their numbers stand for.
    """

    cohort: str
    part: str
    record: str
    rows: list[dict] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    _ids: set[str] = field(default_factory=set, init=False, repr=False)

    def add(
        self,
        analysis_id: str,
        stat_name: str,
        value: float,
        *,
        unit: str,
        method: str,
        engine: str,
        population: str,
        group: str = "overall",
        variable: str = "",
        level: object = None,
        estimand_id: str = "",
        ci_low: float = float("nan"),
        ci_high: float = float("nan"),
        p_value: float = float("nan"),
        members: Members | None = None,
    ) -> str:
        """Add one number and return its id.

        Parameters
        ----------
        members : Series or Index of USUBJID, or DataFrame, optional
            The patients, or the rows of raw files, that a count counted (:func:`.counted.counted`): every count of
            patients or rows must say them.

        Raises
        ------
        ValueError
            If the unit is unknown, the id was already given, or a count does not say who was counted, or not as many.
        """
        if unit not in UNITS:
            raise ValueError(f"unit {unit!r} is not one of {UNITS}")
        identifier = ard_id(self.part, analysis_id, None if group == "overall" else group, variable, level, stat_name)
        if identifier in self._ids:
            raise ValueError(f"the ARD id {identifier!r} is given twice")
        self._ids.add(identifier)
        if has_members(self.part, stat_name, unit):
            self.counts.append(counted(identifier, float(value), members, self.known))
        self.rows.append(
            {
                "ard_id": identifier,
                "cohort": self.cohort,
                "analysis_id": analysis_id,
                "estimand_id": estimand_id,
                "population": population,
                "group": group,
                "variable": variable if level is None else f"{variable}={level}",
                "stat_name": stat_name,
                "value": float(value),
                "ci_low": float(ci_low),
                "ci_high": float(ci_high),
                "p_value": float(p_value),
                "unit": unit,
                "method": method,
                "engine": engine,
                "record": self.record,
            }
        )
        return identifier

    def frame(self) -> pd.DataFrame:
        """Return the rows, sorted by id."""
        return as_ard(pd.DataFrame(self.rows, columns=list(ARD_COLUMNS)))

    def estimates(self, curves: dict[str, pd.DataFrame]) -> Estimates:
        """Return what the part made: its rows, who was counted in them, and its curves."""
        return Estimates(self.frame(), curves, self.counts, self.known)


def as_ard(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with the ARD's columns, types and order.

    Raises
    ------
    ValueError
        If an id occurs twice.
    """
    repeated = frame["ard_id"][frame["ard_id"].duplicated()]
    if len(repeated):
        raise ValueError(f"ARD ids occur twice: {sorted(set(repeated))[:5]}")
    typed = frame.loc[:, list(ARD_COLUMNS)].copy()
    for column in ARD_COLUMNS:
        typed[column] = typed[column].astype("float64" if column in NUMERIC else "string")
    return typed.sort_values("ard_id", ignore_index=True)


@dataclass(frozen=True)
class Estimates:
    """What an estimate job makes.

    Attributes
    ----------
    ard : DataFrame
        Its rows of the ARD.
    curves : dict of str to DataFrame
        Tidy curves for the figures, by name.
    counts, known
        Who or what was counted, as :class:`ArdBuilder` keeps it.
    """

    ard: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    counts: list[Counted]
    known: Known

    @cached_property
    def members(self) -> pd.DataFrame:
        """Who or what was counted (:data:`.counted.MEMBER_COLUMNS`), as one frame of text."""
        return members_frame(member_blocks(self.counts, self.known))
