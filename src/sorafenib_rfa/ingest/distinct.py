"""Columns by their distinct values: what a million cells of one column come down to.

A column of an export holds few distinct texts (dates, codes, measured values). Kept as its distinct values and, for
each row, which of them stands there, it takes four bytes a row, and whatever is done to a cell (normalising, parsing,
converting, quoting) is done once for each distinct one. Values here are whatever a cell can hold or be read as; the
tables of later stages hold text in the same way, as pandas categories (:mod:`sorafenib_rfa.coded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from sorafenib_rfa.ingest.text import Cell

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Distinct(Generic[T]):
    """A column: row i holds ``values[codes[i]]``.

    Attributes
    ----------
    values : sequence
        Distinct values (of a column that was mapped or joined: perhaps with repetitions).
    codes : ndarray of int, shape (n,)
    """

    values: Sequence[T]
    codes: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    def __getitem__(self, row: int) -> T:
        """Return the value of one row."""
        return self.values[self.codes[row]]

    def map(self, function: Callable[[T], U]) -> Distinct[U]:
        """Return the column of ``function(value)``, called once for each distinct value."""
        return Distinct([function(value) for value in self.values], self.codes)

    def take(self, rows: np.ndarray) -> Distinct[T]:
        """Return the rows at positions, or under a mask, `rows`."""
        return Distinct(self.values, self.codes[rows])

    def where(self, condition: Callable[[T], bool]) -> np.ndarray:
        """Return the mask of the rows whose value fulfils `condition`, shape (n,)."""
        fulfilled = np.fromiter(map(condition, self.values), dtype=bool, count=len(self.values))
        return fulfilled[self.codes]

    def objects(self) -> np.ndarray:
        """Return the column as Python objects, shape (n,)."""
        values = np.empty(len(self.values), dtype=object)
        values[:] = self.values
        return values[self.codes]

    def array(self, dtype: str) -> pd.api.extensions.ExtensionArray | np.ndarray:
        """Return the column as a pandas array of a nullable `dtype`, or as numpy dates; None is missing."""
        if dtype.startswith("datetime64"):
            return np.array(self.values, dtype=dtype)[self.codes]
        import pandas as pd

        return pd.array(list(self.values), dtype=dtype).take(self.codes)


def constant(value: T, rows: int) -> Distinct[T]:
    """Return a column that holds `value` in each of its `rows`."""
    return Distinct([value], np.zeros(rows, dtype=np.int32))


def interleaved(columns: Sequence[Distinct[T]]) -> Distinct[T]:
    """Return columns of one length as one: the first row's value in each, then the second row's, and so on."""
    values: list[T] = []
    codes = []
    for column in columns:
        codes.append(column.codes + np.int64(len(values)))
        values.extend(column.values)
    return Distinct(values, np.stack(codes, axis=1).ravel())


def joined(columns: Sequence[Distinct[Any]]) -> Distinct[tuple]:
    """Return columns of one length as one of tuples; only tuples that occur become values."""
    import pandas as pd

    key = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        # the number of distinct values of a column is below 2^31, and the keys are made compact after each column
        key, _ = pd.factorize(key * max(len(column.values), 1) + column.codes)
    first = np.full(int(key.max()) + 1 if len(key) else 0, -1, dtype=np.int64)
    # written backwards, so that the first row with a key stays
    first[key[::-1]] = np.arange(len(key))[::-1]
    rows = [[column.values[code] for code in column.codes[first]] for column in columns]
    return Distinct(list(zip(*rows, strict=True)), key)


class Codes(dict[Any, int]):
    """Gives each key the next number when it is first asked for."""

    def __missing__(self, key: Any) -> int:
        """Return the next number, the key's from now on."""
        code = self[key] = len(self)
        return code


def distinct_cells(cells: Sequence[Cell]) -> Distinct[Cell]:
    """Return the column of typed cells; the type tells 1, 1.0 and True apart, which are equal and hash alike."""
    numbers = Codes()
    keys = (cell if cell is None or type(cell) is str else (type(cell), cell) for cell in cells)
    codes = np.fromiter(map(numbers.__getitem__, keys), dtype=np.int32, count=len(cells))
    return Distinct([key[1] if isinstance(key, tuple) else key for key in numbers], codes)
