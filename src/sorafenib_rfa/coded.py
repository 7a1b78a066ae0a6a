"""Tables whose text is held as codes of its distinct values (pandas categories), so that large cohorts fit in memory.

Not to be confused with :mod:`sorafenib_rfa.ingest.coded`, which holds the cells of one export while they are read.
Categories are sorted, so codes sort, group and compare as the text does. On disk such a table is what it would be with
text: :func:`write_coded` writes the bytes that :func:`sorafenib_rfa.files.write_parquet` would.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1024 * 1024
"""Rows of a row group as pyarrow cuts a table that pandas hands it."""


def read_coded(path: str | Path, *, leave_out: Collection[str] = ()) -> pd.DataFrame:
    """Read a parquet file without the columns `leave_out`: text as categories, dates as datetime64[s].

    Parameters
    ----------
    path : str or Path
        Columns of text, integers (read as Int64), floats (Float64) and dates.
    leave_out : collection of str
        Columns not to read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    names = [name for name in schema.names if name not in leave_out]
    texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
    table = pq.read_table(path, columns=names, read_dictionary=texts)
    return pd.DataFrame({name: _column(table.column(name)) for name in names}, copy=False)


def row_groups(path: str | Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield a parquet file a row group at a time as :func:`read_coded` reads the whole; all columns, or some."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    texts = [name for name in columns or schema.names if pa.types.is_string(schema.field(name).type)]
    file = pq.ParquetFile(path, read_dictionary=texts)
    for number in range(file.num_row_groups):
        table = file.read_row_group(number, columns=columns)
        yield pd.DataFrame({name: _column(table.column(name)) for name in table.column_names}, copy=False)


class CodedFiles(Mapping[str, pd.DataFrame]):
    """Parquet files by file name without suffix, each read anew whenever it is asked for, so that none stays in memory.

    Parameters
    ----------
    paths : iterable of path
    leave_out : mapping of str to collection of str
        Table -> columns not to read.
    """

    def __init__(self, paths: Iterable[str | Path], leave_out: Mapping[str, Collection[str]]) -> None:
        self._paths = {Path(path).stem: Path(path) for path in paths}
        self._leave_out = leave_out

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Read one table."""
        return read_coded(self._paths[table], leave_out=self._leave_out.get(table, ()))

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in the order of the paths."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return how many tables there are."""
        return len(self._paths)

    def distinct(self, table: str, column: str) -> pd.Index:
        """Return the distinct texts of one column, sorted."""
        import pyarrow.parquet as pq

        others = set(pq.read_schema(self._paths[table]).names) - {column}
        return read_coded(self._paths[table], leave_out=others)[column].cat.categories


def distinct(tables: Mapping[str, pd.DataFrame], table: str, column: str) -> pd.Index:
    """Return the distinct texts of a column of categories, sorted; of files without reading the rest."""
    if isinstance(tables, CodedFiles):
        return tables.distinct(table, column)
    return tables[table][column].cat.categories


def _column(column: pa.ChunkedArray) -> pd.api.extensions.ExtensionArray | np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        whole = column.unify_dictionaries().combine_chunks()
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        # sorted as bytes of UTF-8, whose order is that of characters
        order = pc.array_sort_indices(whole.dictionary)
        values = whole.dictionary.take(order).to_numpy(zero_copy_only=False)
        return _categorical(codes, values, order.to_numpy())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s")).to_numpy()
    mask = column.is_null().to_numpy()
    if pa.types.is_integer(column.type):
        return pd.arrays.IntegerArray(column.fill_null(0).to_numpy().astype("int64"), mask)
    return pd.arrays.FloatingArray(column.fill_null(0).to_numpy().astype("float64"), mask)


def _categorical(codes: np.ndarray, values: np.ndarray, order: np.ndarray) -> pd.Categorical:
    """Return codes of distinct values as categories: `values` sorted, which lay in `order` before; -1 stays."""
    place = np.empty(len(values) + 1, dtype=np.int32)
    place[order], place[-1] = np.arange(len(values)), -1
    return pd.Categorical.from_codes(place[codes], categories=pd.Index(values, dtype=object))


def encoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its columns of text as categories."""
    columns = {name: as_codes(column) if column.dtype == "string" else column for name, column in frame.items()}
    return pd.DataFrame(columns, index=frame.index, copy=False)


def as_codes(column: pd.Series) -> pd.Series:
    """Return a column of text as categories; one of categories stays as it is."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    codes, values = pd.factorize(column)
    texts = np.array(values, dtype=object)
    order = np.argsort(texts, kind="stable")
    return pd.Series(_categorical(codes, texts[order], order), index=column.index, name=column.name)


def decoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its categories as text again."""
    texts = {name: "string" for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
    return frame.astype(texts)


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames of the same columns one below the other; codes are of the categories of all of them."""

    def of(name: str) -> pd.Series | pd.Categorical:
        columns = [frame[name] for frame in frames]
        if not isinstance(columns[0].dtype, pd.CategoricalDtype):
            return pd.concat(columns, ignore_index=True)
        known = [column.cat.categories for column in columns]
        every = np.array(sorted(set().union(*known)), dtype=object)
        place = pd.Index(every, dtype=object)
        codes = [
            np.append(place.get_indexer(own).astype(np.int32), np.int32(-1))[column.cat.codes.to_numpy()]
            for own, column in zip(known, columns, strict=True)
        ]
        return pd.Categorical.from_codes(np.concatenate(codes), categories=place)

    return pd.DataFrame({name: of(str(name)) for name in frames[0].columns}, copy=False)


def numbered(frame: pd.DataFrame, names: pd.Index) -> pd.DataFrame:
    """Return the rows of `frame` whose ``USUBJID``, of categories, is in `names`, with its place there instead."""
    patients = frame["USUBJID"].cat
    numbers = names.get_indexer(patients.categories).astype(np.int32)[patients.codes.to_numpy()]
    if (numbers < 0).any():
        frame, numbers = frame[numbers >= 0], numbers[numbers >= 0]
    return frame.assign(USUBJID=numbers)


def sorted_rows(frame: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    """Return the positions of the rows in the order of `by`, as a stable sort with missing values last gives it."""
    keys = []
    for name in by:
        column = as_codes(frame[name]) if frame[name].dtype == "string" else frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            keys.append(np.where(codes < 0, len(column.cat.categories), codes))
        elif column.dtype.kind == "M":
            days = column.to_numpy().view("int64")
            keys.append(np.where(column.isna(), np.iinfo("int64").max, days))
        else:
            keys.append(column.to_numpy(dtype="int64", na_value=np.iinfo("int64").max))
    return np.lexsort(keys[::-1])


def write_coded(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `frame` as parquet, categories as text: what :func:`.files.write_parquet` makes of ``decoded(frame)``.

    Text is written out a row group at a time, so a large table never stands in memory as text.
    """
    write_blocks([frame], decoded(frame.iloc[:0]).dtypes.to_dict(), path)


def write_blocks(blocks: Iterable[pd.DataFrame], dtypes: Mapping[str, object], path: str | Path) -> None:
    """Write tables of codes one below the other, as :func:`write_coded` writes their whole, which is never in memory.

    Parameters
    ----------
    blocks : iterable of DataFrame
        Their columns are those of `dtypes`, in order.
    dtypes : mapping
        Column -> dtype once decoded.
    path : str or Path
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in dtypes.items()})
    schema = pa.Table.from_pandas(empty, preserve_index=False).schema
    words_of: dict[str, tuple[pd.Index, pa.Array]] = {}

    def arrow(rows: pd.DataFrame) -> pa.Table:
        arrays = []
        for field in schema:
            column = rows[field.name]
            if not isinstance(column.dtype, pd.CategoricalDtype):
                arrays.append(pa.array(column, from_pandas=True).cast(field.type))
                continue
            texts = column.cat.categories
            if words_of.get(field.name, (None, None))[0] is not texts:
                words_of[field.name] = texts, pa.array(texts.astype(object), type=pa.string())
            codes, words = column.cat.codes.to_numpy(), words_of[field.name][1]
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words).cast(pa.string()))
        return pa.Table.from_arrays(arrays, schema=schema)

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = [schema.empty_table()]
        rows, written = 0, False
        for block in blocks:
            for start in range(0, len(block), ROW_GROUP):
                waiting.append(arrow(block.iloc[start : start + ROW_GROUP]))
                rows += len(waiting[-1])
                if rows >= ROW_GROUP:
                    whole = pa.concat_tables(waiting)
                    writer.write_table(whole.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                    waiting = [whole.slice(ROW_GROUP)]
                    rows, written = rows - ROW_GROUP, True
        if rows or not written:
            writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=ROW_GROUP)
