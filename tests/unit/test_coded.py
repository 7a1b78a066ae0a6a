"""Tables held as codes are, on disk and in order, the tables of text they stand for."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa import coded
from sorafenib_rfa.files import write_csv, write_parquet

text = st.one_of(st.none(), st.sampled_from(["a", "ä", "b,c", "Z", "", "\U0001f600", "\uffee"]))
row = st.tuples(
    text, text, st.one_of(st.none(), st.integers(-5, 5)), st.one_of(st.none(), st.floats(-2, 2)), st.booleans()
)


def table(rows):
    frame = pd.DataFrame(rows, columns=["one", "two", "n", "x", "late"])
    day = pd.Series(np.where(frame.pop("late").astype(bool), np.datetime64("2020-02-29"), np.datetime64("NaT")))
    frame = frame.astype({"one": "string", "two": "string", "n": "Int64", "x": "Float64"})
    return frame.assign(day=day.astype("datetime64[s]"))


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.lists(row, max_size=5), min_size=1, max_size=3))
def test_same_bytes_rows_and_order_as_text(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("coded")
    frames = [table(rows) for rows in parts]
    whole = pd.concat(frames, ignore_index=True)
    held = coded.stacked([coded.encoded(frame) for frame in frames])
    pd.testing.assert_frame_equal(coded.decoded(held), whole)

    write_parquet(whole, folder / "text.parquet")
    coded.write_coded(held, folder / "codes.parquet")
    assert (folder / "codes.parquet").read_bytes() == (folder / "text.parquet").read_bytes()
    write_csv(whole, folder / "text.csv")
    write_csv(held, folder / "codes.csv")
    assert (folder / "codes.csv").read_bytes() == (folder / "text.csv").read_bytes()

    back = coded.read_coded(folder / "text.parquet", leave_out=["n"])
    pd.testing.assert_frame_equal(coded.decoded(back), whole.drop(columns="n"))

    by = ["two", "day", "one", "n"]
    expected = whole.sort_values(by, kind="stable").index.to_numpy()
    assert coded.sorted_rows(held, by).tolist() == expected.tolist()


def test_a_row_group_at_a_time_gives_the_bytes_of_the_whole(tmp_path, monkeypatch):
    """Cut where pyarrow cuts a table that pandas hands it; here after three rows for both."""
    whole = table([("a", None, 1, 0.5, True), ("b,c", "ä", None, None, False)] * 4)
    whole.to_parquet(tmp_path / "text.parquet", index=False, compression="zstd", row_group_size=3)
    monkeypatch.setattr(coded, "ROW_GROUP", 3)
    coded.write_coded(coded.encoded(whole), tmp_path / "codes.parquet")
    assert (tmp_path / "codes.parquet").read_bytes() == (tmp_path / "text.parquet").read_bytes()
    pd.testing.assert_frame_equal(coded.decoded(coded.read_coded(tmp_path / "codes.parquet")), whole)
