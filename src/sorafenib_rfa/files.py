"""Reading and writing of tables, so that the same frame gives the same bytes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `frame` as parquet (zstd, no index); types survive the round trip."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False, compression="zstd", engine="pyarrow")


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    r"""Write `frame` as UTF-8 CSV with LF line ends and ISO dates; a missing value is an empty cell.

    The bytes are those of ``DataFrame.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")``. Of the types
    that tables of this project have, distinct values are written out once and lines are put together by pyarrow, in a
    tenth of the time; a frame with any other column goes to pandas.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [_cells_of(frame.iloc[:, i]) for i in range(frame.shape[1])] if frame.shape[1] > 1 else [None]
    if any(cell is None for cell in cells):
        frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d")
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    with path.open("wb") as file:
        file.write(frame.iloc[:0].to_csv(index=False, lineterminator="\n").encode("utf-8"))
        for start in range(0, len(frame), _LINES_AT_ONCE):
            here = [written(start, start + _LINES_AT_ONCE) for written in cells]
            here[-1] = pc.binary_join_element_wise(here[-1], "", "\n")
            lines = pc.binary_join_element_wise(*here, ",")
            file.write(pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")[0].as_buffer())


_LINES_AT_ONCE = 200_000
_MAY_NEED_QUOTES = re.compile('[",\r\n]')


def _cells_of(column: pd.Series) -> Callable[[int, int], pa.Array] | None:
    """Return what writes the cells of rows of a column as text, '' where missing; None for types left to pandas."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = str(column.dtype)
    if kind.startswith("datetime64") and "," not in kind:

        def written(start: int, end: int) -> pa.Array:
            days = pa.array(column.iloc[start:end].to_numpy().astype("datetime64[D]"))
            return pc.fill_null(days.cast(pa.string()), "")

        return written
    if kind in ("Int64", "int64"):

        def written(start: int, end: int) -> pa.Array:
            return pc.fill_null(pa.array(column.iloc[start:end]).cast(pa.string()), "")

        return written
    if kind == "string":
        codes, distinct = pd.factorize(column)
        texts = [_quoted(text) for text in distinct]
    elif kind == "category" and column.cat.categories.inferred_type in ("string", "empty"):
        codes, texts = column.cat.codes.to_numpy(), [_quoted(text) for text in column.cat.categories]
    elif kind in ("Float64", "float64"):
        # distinct as bits: -0.0 is written otherwise than 0.0
        numbers = column.to_numpy(dtype="float64", na_value=np.nan)
        codes, distinct = pd.factorize(numbers.view("int64"))
        codes = np.where(np.isnan(numbers), -1, codes)
        texts = [repr(number) for number in distinct.view("float64").tolist()]
    else:
        return None
    known = pa.array([*texts, ""], type=pa.string())
    codes = np.where(codes < 0, len(texts), codes)
    return lambda start, end: known.take(pa.array(codes[start:end]))


def _quoted(text: str) -> str:
    """Return a text as it stands in CSV: as the standard library quotes it, where it holds what may need quotes."""
    if not _MAY_NEED_QUOTES.search(text):
        return text
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([text, ""])
    return line.getvalue()[: -len(",\n")]


def write_table(frame: pd.DataFrame, stem: str | Path) -> None:
    """Write `frame` twice, as ``<stem>.parquet`` for machines and ``<stem>.csv`` for people."""
    write_parquet(frame, f"{stem}.parquet")
    write_csv(frame, f"{stem}.csv")


def read_tables(paths: list[str]) -> dict[str, pd.DataFrame]:
    """Return the parquet files at `paths`, keyed by file name without suffix."""
    return {Path(path).stem: pd.read_parquet(path) for path in paths}


class TablesOnDemand(Mapping[str, pd.DataFrame]):
    """Parquet files, keyed by file name without suffix, each read when it is first asked for."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = {Path(path).stem: path for path in paths}
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return one table."""
        if name not in self._read:
            self._read[name] = pd.read_parquet(self._paths[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in the order of the paths."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return how many tables there are."""
        return len(self._paths)
