"""CSV is written by columns; the bytes are those that pandas writes row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa import files

text = st.one_of(st.none(), st.text(st.sampled_from("ab ,\"\n\r;éß肝'-"), max_size=6))
number = st.one_of(st.none(), st.floats(allow_nan=False), st.sampled_from([0.1, -0.0, 1e16, 1e-5, 3.0, np.inf]))
whole = st.one_of(st.none(), st.integers(-(2**60), 2**60))
day = st.one_of(st.none(), st.dates(pd.Timestamp("1900-01-01").date(), pd.Timestamp("2100-01-01").date()))


def as_pandas_writes(frame, path):
    frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d")
    return path.read_bytes()


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.tuples(text, number, whole, day, number, text), max_size=9), at_once=st.integers(1, 4))
def test_bytes_are_those_of_pandas(tmp_path_factory, rows, at_once):
    folder = tmp_path_factory.mktemp("csv")
    frame = pd.DataFrame(rows, columns=["a,b", "x", "n", "day", "y", "last"]).astype(
        {"a,b": "string", "x": "Float64", "n": "Int64", "day": "datetime64[s]", "y": "float64", "last": "string"}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_LINES_AT_ONCE", at_once)
        files.write_csv(frame, folder / "ours.csv")
    assert (folder / "ours.csv").read_bytes() == as_pandas_writes(frame, folder / "theirs.csv")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False, True]),
        pd.Series(["a", None, 1], dtype=object),
        pd.Series([pd.Timestamp("2020-01-01 10:30"), None, pd.Timestamp("1969-12-31 23:59")]),
        pd.Series(pd.array([True, None, False], dtype="boolean")),
        pd.Series(["a", "b", None], dtype="category"),
        pd.Series([2, 3, 4], dtype="int64"),
    ],
)
def test_other_types_are_written_as_by_pandas_too(tmp_path, column):
    for frame in (column.to_frame("only"), pd.DataFrame({"one": column, "two": column})):
        files.write_csv(frame, tmp_path / "ours.csv")
        assert (tmp_path / "ours.csv").read_bytes() == as_pandas_writes(frame, tmp_path / "theirs.csv")
