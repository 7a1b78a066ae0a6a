"""Who stands behind a count: the patients, or the rows of raw files, that were counted.

A part hands the builder of its rows, with every count, what it counted: a series of USUBJIDs where patients were
counted, a frame with file and row where events, sessions or quarantined cells were. They are written beside the ARD,
one row a member, so that a reader can press on a number and see who it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from sorafenib_rfa.coded import decoded

MEMBER_COLUMNS: Final[Mapping[str, str]] = {
    "ard_id": "string",
    "USUBJID": "string",
    "src_file": "string",
    "src_sheet": "string",
    "src_row": "Int64",
}
"""Columns of ``ard/members.parquet`` and their types; ``src_*`` are missing where patients were counted."""

NOT_OF_PATIENTS: Final = frozenset(
    {
        # quantities compared with R, and the numbers in them
        "agreement.quantities",
        "agreement.values",
        # sums of weights, in patients' worth
        "baseline.effective_n",
        # random draws of patients
        "efficacy.resamples",
        "target_trial.resamples",
        "target_trial.resamples_failed",
        "sensitivity.imputations",
        # simulated cohorts, and what a simulation study has of scenarios, sizes, estimators and failures
        "validation.replicates",
        "validation.bias_outside",
        "validation.cells",
        "validation.code_files_changed",
        "validation.cohorts",
        "validation.coverage_below",
        "validation.coverage_outside",
        "validation.estimators",
        "validation.failed",
        "validation.fits",
        "validation.resamples",
        "validation.scenarios",
        "validation.sizes",
        # two copies of each of the `patients` beside it
        "target_trial.clones",
        # analyses, tests, centres, assumptions
        "sensitivity.changing",
        "sensitivity.combinations",
        "sensitivity.declared",
        "sensitivity.estimated",
        "sensitivity.not_estimable",
        "sensitivity.skipped",
        "subgroups.interaction_tests",
        "subgroups.rmst_heterogeneity_tests",
        "time_to_event.k",
        # patients and events of published studies, quoted: who they are is theirs
        "effects.n_screened",
        "effects.n_treated",
        "effects.n_randomised",
        "effects.n_countries",
        "effects.n_control",
        "effects.n_both_arms",
        "effects.events",
        "effects.total",
        # patients that a digitised curve stands for, made up to fit it
        "reconstruction.pseudo_patients",
        "reconstruction.pseudo_events",
    }
)
"""Counts, as ``<part>.<stat_name>``, that count neither patients nor rows: they have no members."""

_ORIGINS: Final = (
    ("src_file", "src_sheet", "src_row"),
    ("SRCFILE", "SRCSHEET", "SRCROW"),
    ("file", "sheet", "row"),
)
"""How clean tables, ADaM and the quarantine name where a row came from."""

Members = pd.Series | pd.Index | pd.DataFrame


_MISSING_ROW: Final = -1
_NO_HOME: Final = -2


class Counted(NamedTuple):
    """The members of one count as the builder keeps them.

    `subjects` are numbers of USUBJIDs in :class:`Known`. `origin` says which rows were counted: None patients, ``home``
    of each patient the row kept in :class:`Known`, otherwise file, sheet (both numbers) and row of each.
    """

    ard_id: str
    subjects: np.ndarray
    origin: Literal["home"] | tuple[np.ndarray, ...] | None


class _Values:
    """Distinct texts in the order in which they were met; a text's number is its place, that of a missing one -1."""

    def __init__(self) -> None:
        self.index = pd.Index([], dtype=object)
        self._of_categories: tuple[pd.Index | None, np.ndarray] = (None, np.empty(0, dtype=np.int32))

    def numbers(self, column: pd.Series | pd.Index) -> np.ndarray:
        """Return the numbers of texts, new ones added; categories are looked up once, not in every count."""
        if not isinstance(column.dtype, pd.CategoricalDtype):
            return self._numbers(column.to_numpy(dtype=object))
        held = column.array
        if self._of_categories[0] is not held.categories:
            self._of_categories = held.categories, np.append(self._numbers(held.categories.to_numpy()), np.int32(-1))
        return self._of_categories[1][held.codes]

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        found = self.index.get_indexer(pd.Index(values, dtype=object))
        unknown = np.flatnonzero(found < 0)
        unknown = unknown[~pd.isna(values[unknown])]
        if len(unknown):
            new, distinct = pd.factorize(values[unknown])
            found[unknown] = new + len(self.index)
            self.index = self.index.append(pd.Index(distinct, dtype=object))
        return found.astype(np.int32)

    def ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts sorted, and the place of each number in them; that of -1 is -1."""
        texts = self.index.to_numpy()
        order = np.argsort(texts, kind="stable")
        place = np.full(len(texts) + 1, -1, dtype=np.int32)
        place[order] = np.arange(len(texts))
        return texts[order], place


class Known:
    """Who was counted so far in a part, and where each stands: members are kept as numbers, a few bytes each.

    A part counts the same patients hundreds of times, mostly by one and the same row of a raw file: that row is kept
    once, as the patient's home.
    """

    def __init__(self) -> None:
        self.subjects, self.files, self.sheets = _Values(), _Values(), _Values()
        self.homes = tuple(np.empty(0, dtype=np.int64) for _ in range(3))

    def place(self, members: pd.DataFrame) -> tuple[np.ndarray, Literal["home"] | tuple[np.ndarray, ...]]:
        """Return the numbers of the patients of rows, and their origin as :class:`Counted` keeps it."""
        names = next(names for names in _ORIGINS if names[-1] in members)
        subjects = self.subjects.numbers(members["USUBJID"])
        file, sheet = (
            values.numbers(members[name]) for values, name in zip((self.files, self.sheets), names[:2], strict=True)
        )
        row = pd.array(members[names[2]], dtype="Int64").to_numpy(dtype="int64", na_value=_MISSING_ROW)
        origin = (file, sheet, row)
        added = len(self.subjects.index) - len(self.homes[0])
        self.homes = tuple(np.append(home, np.full(added, _NO_HOME)) for home in self.homes)
        if (subjects < 0).any():
            return subjects, origin
        homeless = self.homes[0][subjects] == _NO_HOME
        for home, here in zip(self.homes, origin, strict=True):
            home[subjects[homeless]] = here[homeless]
        at_home = all(np.array_equal(home[subjects], here) for home, here in zip(self.homes, origin, strict=True))
        return subjects, "home" if at_home else origin


def has_members(part: str, stat_name: str, unit: str) -> bool:
    """Say whether a row of the ARD counts patients or rows."""
    return unit == "count" and f"{part}.{stat_name}" not in NOT_OF_PATIENTS


def counted(ard_id: str, value: float, members: Members | None, known: Known) -> Counted:
    """Return the members of a count; none where it could not be made.

    Parameters
    ----------
    ard_id : str
        Its id.
    value : float
        The count; NaN when it could not be made.
    members : Series or Index of USUBJID, or DataFrame
        The patients; or the rows, with ``USUBJID`` and file, sheet and row under the names of clean tables, ADaM or the
        quarantine.
    known : Known
        Who was counted before; who is new is added.

    Raises
    ------
    ValueError
        If the members are not as many as were counted, or a patient is counted twice: a defect of the part.
    """
    if math.isnan(value):
        return Counted(ard_id, np.empty(0, dtype=np.int32), None)
    if members is None:
        raise ValueError(f"{ard_id}: {value:g} were counted, but not said who")
    if len(members) != value:
        raise ValueError(f"{ard_id}: the count is {value:g}, its members are {len(members)}")
    if isinstance(members, pd.DataFrame):
        return Counted(ard_id, *known.place(members))
    subjects = known.subjects.numbers(members)
    if len(subjects) and np.bincount(subjects + 1).max() > 1:
        raise ValueError(f"{ard_id}: a patient is counted twice")
    return Counted(ard_id, subjects, None)


def member_blocks(counts: Iterable[Counted], known: Known) -> Iterator[pd.DataFrame]:
    """Yield the members of counts in order of id, a count at a time: :data:`MEMBER_COLUMNS`, sorted, text as codes.

    The categories of ``USUBJID`` and ``src_*`` are the same in all blocks.
    """
    kept = sorted((count for count in counts if len(count.subjects)), key=lambda count: count.ard_id)
    (names, subject_place), (files, file_place), (sheets, sheet_place) = (
        values.ranked() for values in (known.subjects, known.files, known.sheets)
    )
    categories = [pd.CategoricalDtype(pd.Index(texts, dtype=object)) for texts in (names, files, sheets)]
    for count in kept:
        subject = subject_place[count.subjects]
        if count.origin is None:
            subject = np.sort(subject)
            file = sheet = np.full(len(subject), -1, dtype=np.int32)
            row = np.full(len(subject), _MISSING_ROW)
        else:
            home = tuple(home[count.subjects] for home in known.homes)
            file, sheet, row = home if count.origin == "home" else count.origin
            file, sheet = file_place[file], sheet_place[sheet]
            order = np.lexsort([row, sheet, file, subject])
            subject, file, sheet, row = (values[order] for values in (subject, file, sheet, row))
        yield pd.DataFrame(
            {
                "ard_id": pd.Categorical.from_codes(np.zeros(len(subject), dtype=np.int8), categories=[count.ard_id]),
                **{
                    name: pd.Categorical.from_codes(codes, dtype=dtype)
                    for name, codes, dtype in zip(
                        ("USUBJID", "src_file", "src_sheet"), (subject, file, sheet), categories, strict=True
                    )
                },
                "src_row": pd.arrays.IntegerArray(row.astype(np.int64), row == _MISSING_ROW),
            },
            copy=False,
        )


def members_frame(blocks: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the members of counts as one frame of text: :data:`MEMBER_COLUMNS`, sorted by all of them."""
    frames = [decoded(block) for block in blocks]
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in MEMBER_COLUMNS.items()})
    return pd.concat(frames, ignore_index=True)
