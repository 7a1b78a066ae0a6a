"""Reading and writing of tables, so that the same frame gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `frame` as parquet (zstd, no index); types survive the round trip."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False, compression="zstd", engine="pyarrow")


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `frame` as UTF-8 CSV with LF line ends and ISO dates; a missing value is an empty cell."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d")


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
