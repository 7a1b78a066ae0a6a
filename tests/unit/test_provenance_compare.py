"""Two versions of a file are compared by what they say: what a person would call the same is the same, nothing else."""

import json

import docx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorafenib_rfa.provenance import compare as module
from sorafenib_rfa.provenance.compare import DIFFERENT, EQUAL, IDENTICAL, MISSING, TOLERANCES, compare, key_of
from sorafenib_rfa.records.digests import sha256_of

ARD = "results/c/ard/ard.parquet"
PIXEL = b"\x89PNG not a picture"


@pytest.fixture
def trees(tmp_path):
    """Two trees; `put(path, here, there)` writes a file of each, bytes, text or a frame."""
    roots = tmp_path / "recorded", tmp_path / "rerun"

    def put(path, *contents):
        for root, content in zip(roots, contents, strict=True):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pd.DataFrame):
                content.to_parquet(target) if path.endswith(".parquet") else content.to_csv(target, index=False)
            elif content is not None:
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return roots

    return put


def ard(**changes):
    frame = pd.DataFrame(
        {
            "ard_id": ["flow.n", "rfs.hr", "rfs.none"],
            "unit": ["count", "ratio", "ratio"],
            "value": [678.0, 0.9431, np.nan],
            "ci_low": [np.nan, 0.79, np.nan],
            "method": ["counted", "Cox", "not estimable"],
        }
    )
    for place, value in changes.items():
        column, _, row = place.partition("__")
        frame.loc[int(row), column] = value
    return frame


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_same_bytes_are_identical(trees):
    roots = trees(ARD, ard(), ard())
    assert compare(ARD, *roots).level == IDENTICAL


def test_an_estimate_may_differ_in_the_last_digits_and_no_further(trees):
    near = compare(ARD, *trees(ARD, ard(), ard(value__1=0.9431 * (1 + 1e-8))))
    assert near.level == EQUAL
    assert near.largest_relative == pytest.approx(1e-8, rel=1e-3)
    far = compare(ARD, *trees(ARD, ard(), ard(value__1=0.9431 * (1 + 1e-5))))
    assert far.level == DIFFERENT
    (found,) = far.differences
    assert (found.row, found.column) == ("ard_id=rfs.hr", "value")
    assert float(found.recorded) == 0.9431
    assert float(found.rerun) == pytest.approx(0.9431094, abs=1e-7)


def test_a_count_is_exact_however_near(trees):
    found = compare(ARD, *trees(ARD, ard(), ard(value__0=678.0 + 1e-9)))
    assert found.level == DIFFERENT
    assert found.differences[0].row == "ard_id=flow.n"


def test_a_value_that_could_be_estimated_only_once_differs(trees):
    found = compare(ARD, *trees(ARD, ard(), ard(value__2=1.0)))
    assert [(d.row, d.recorded, d.rerun) for d in found.differences] == [("ard_id=rfs.none", "(missing)", "1.0")]


def test_text_is_exact(trees):
    found = compare(ARD, *trees(ARD, ard(), ard(method__1="cox")))
    assert found.differences[0].column == "method"


def test_rows_are_found_by_key_and_not_by_position(trees):
    found = compare(ARD, *trees(ARD, ard(), ard().iloc[::-1].reset_index(drop=True)))
    assert found.level == EQUAL
    assert "another order" in found.note


def test_rows_of_one_side_only_are_named(trees):
    found = compare(ARD, *trees(ARD, ard(), ard().iloc[:2]))
    assert [(d.row, d.recorded, d.rerun) for d in found.differences] == [("ard_id=rfs.none", "a row", "no such row")]
    assert found.rows == ("ard_id=rfs.none",)


def test_a_column_that_came_or_went_differs(trees):
    found = compare(ARD, *trees(ARD, ard(), ard().assign(extra=1)))
    assert found.level == DIFFERENT
    assert found.differences[0].column == "extra"


def test_many_differences_are_counted_and_the_first_shown(trees):
    path = "results/c/adam/adsl.csv"
    a = pd.DataFrame({"USUBJID": [f"p{i:03}" for i in range(400)], "SEX": "M"})
    found = compare(path, *trees(path, a, a.assign(SEX="F")))
    assert found.n_differences == 400
    assert len(found.differences) == module.SHOWN
    assert found.differences[0] == module.Difference("USUBJID=p000", "SEX", "M", "F")


def test_rows_with_the_same_key_are_told_apart_by_their_order(trees):
    path = "results/c/figures/km.csv"
    a = pd.DataFrame({"element": "curve", "panel": "A", "series": "x", "x": [0.0, 1.0, 2.0], "y": [1.0, 0.9, 0.8]})
    b = a.copy()
    b.loc[2, "y"] = 0.7
    found = compare(path, *trees(path, a, b))
    assert found.differences[0].row == "element=curve, panel=A, series=x #3"
    assert found.n_differences == 1


def test_a_table_of_an_unknown_kind_is_compared_by_what_is_no_decimal_number(trees):
    path = "results/c/own/table.parquet"
    assert key_of(path) is None
    a = pd.DataFrame({"name": ["a", "b"], "size": [1.0, 2.0]})
    found = compare(path, *trees(path, a, a.assign(size=[1.0, 2.5]).iloc[::-1]))
    assert [(d.row, d.column, d.recorded, d.rerun) for d in found.differences] == [("name=b", "size", "2.0", "2.5")]


def test_a_raw_export_is_compared_line_by_line(trees):
    path = "data/raw/c/site/患者.csv"
    text = "编号;性别\n1;男\n2;女\n"
    found = compare(path, *trees(path, text.encode("gb18030"), text.replace("2;女", "2;男").encode("gb18030")))
    assert (found.differences[0].row, found.differences[0].recorded) == ("line 3", "2;女")


def test_every_tolerance_has_a_reason_and_is_small():
    assert all(len(t.reason) > 30 for t in TOLERANCES)
    assert all(0 < t.relative <= 1e-6 and t.absolute <= 1e-9 for t in TOLERANCES)


# --- pictures --------------------------------------------------------------------------------------------------------

DRAWN = pd.DataFrame({"element": ["curve"], "panel": ["A"], "series": ["x"], "x": [0.0], "y": [0.5]})


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_figure_is_compared_by_the_data_it_drew(trees, ending):
    path = f"results/c/figures/km.{ending}"
    trees(path, PIXEL + b"1", PIXEL + b"2")
    roots = trees("results/c/figures/km.csv", DRAWN, DRAWN)
    found = compare(path, *roots)
    assert (found.level, found.compared_as) == (EQUAL, "drawn data")
    trees("results/c/figures/km.csv", DRAWN, DRAWN.assign(y=0.6))
    found = compare(path, *roots)
    assert found.level == DIFFERENT
    assert found.differences[0].column == "y"


def test_a_figure_staged_for_the_paper_is_compared_by_the_data_of_its_cohort(trees):
    path = "results/c/manuscript/source/figures/other/km.svg"
    trees(path, "<svg>1</svg>", "<svg>2</svg>")
    roots = trees("results/other/figures/km.csv", DRAWN, DRAWN)
    assert compare(path, *roots).level == EQUAL


def test_a_picture_without_data_is_compared_by_its_pixels(trees, tmp_path):
    path = "results/c/own.png"
    roots = trees(path, b"", b"")
    image = Image.new("RGB", (4, 3), "white")
    image.save(roots[0] / path)
    image.save(roots[1] / path, compress_level=0)
    assert compare(path, *roots).level == EQUAL
    image.putpixel((2, 1), (0, 0, 0))
    image.save(roots[1] / path)
    found = compare(path, *roots)
    assert found.level == DIFFERENT
    assert found.differences[0].row == "pixel x=2, y=1"


def test_a_picture_changed_after_it_was_made_is_no_equal_picture(trees):
    path = "results/c/figures/km.svg"
    trees("results/c/figures/km.csv", DRAWN, DRAWN)
    roots = trees(path, "<svg>forged</svg>", "<svg>true</svg>")
    found = compare(path, *roots, sealed=sha256_of(roots[1] / path))
    assert found.level == DIFFERENT
    assert "changed after it was made" in found.note
    assert found.n_differences == 1


# --- documents -------------------------------------------------------------------------------------------------------

HTML = "<html><head><style>p {{color: {0}}}</style></head><body><p>The hazard   ratio was {1}.</p></body></html>"


def test_html_is_compared_by_the_text_a_reader_sees(trees):
    path = "results/c/manuscript/paper.html"
    found = compare(path, *trees(path, HTML.format("red", "0.94"), HTML.format("blue", "0.94")))
    assert found.level == EQUAL
    found = compare(path, *trees(path, HTML.format("red", "0.94"), HTML.format("red", "0.49")))
    assert found.differences[0].recorded == "The hazard ratio was 0.94."
    assert found.differences[0].rerun == "The hazard ratio was 0.49."


def test_docx_is_compared_by_its_text_tables_included(trees):
    path = "results/c/manuscript/paper.docx"
    roots = trees(path, b"", b"")
    for root, author, cell in ((roots[0], "a", "0.94"), (roots[1], "b", "0.94")):
        document = docx.Document()
        document.core_properties.author = author
        document.add_paragraph("Results")
        document.add_table(1, 1).cell(0, 0).text = cell
        document.save(root / path)
    assert compare(path, *roots).level == EQUAL
    document.tables[0].cell(0, 0).text = "0.49"
    document.save(roots[1] / path)
    found = compare(path, *roots)
    assert [(d.recorded, d.rerun) for d in found.differences] == [("0.94", "0.49")]


def test_a_pdf_is_read_by_pdftotext_and_otherwise_compared_by_its_twin_which_is_said(trees, monkeypatch):
    import matplotlib

    matplotlib.use("pdf")
    from matplotlib.figure import Figure

    path = "results/c/manuscript/paper.pdf"
    roots = trees(path, b"", b"")

    def draw(root, text, keywords):
        figure = Figure()
        figure.text(0.1, 0.5, text)
        figure.savefig(root / path, metadata={"Keywords": keywords})

    draw(roots[0], "HR 0.94", "one")
    draw(roots[1], "HR 0.94", "two")
    assert compare(path, *roots).level == EQUAL
    draw(roots[1], "HR 0.49", "two")
    found = compare(path, *roots)
    assert found.level == DIFFERENT
    assert found.differences[0].rerun == "HR 0.49"
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert compare(path, *roots).level == DIFFERENT  # nothing to compare it by
    twin = "results/c/manuscript/paper.html"
    trees(twin, HTML.format("red", "0.94"), HTML.format("red", "0.94"))
    found = compare(path, *roots)
    assert found.level == EQUAL
    assert "pdftotext is not on PATH" in found.note and twin in found.note


def cells(*outputs, source="print(1)"):
    data = [{"output_type": "display_data", "data": {"text/plain": text, "image/png": text}} for text in outputs]
    return json.dumps({"cells": [{"cell_type": "code", "id": "x", "source": [source], "outputs": data}]})


def test_notebooks_are_compared_by_sources_and_outputs(trees):
    path = "results/c/notebooks/a.ipynb"
    assert compare(path, *trees(path, cells("1"), cells("1").replace('"x"', '"y"'))).level == EQUAL
    found = compare(path, *trees(path, cells("1"), cells("2")))
    assert found.differences[0] == module.Difference("cell 1, output 1 (text/plain)", "", "1", "2")
    found = compare(path, *trees(path, cells("1"), cells("1", source="print(2)")))
    assert found.differences[0].row == "cell 1, source"


def test_json_is_compared_by_content(trees):
    path = "results/c/x.json"
    assert compare(path, *trees(path, '{"a": 1, "b": 2}', '{"b":2,"a":1}')).level == EQUAL
    found = compare(path, *trees(path, '{"a": {"k": 1}}', '{"a": {"k": 2}}'))
    assert (found.differences[0].row, found.differences[0].rerun) == ("a.k", "2")


# --- files that are not as they should be ----------------------------------------------------------------------------


def test_a_folder_is_compared_file_by_file(trees):
    trees("results/c/source/a.qmd", "same", "same")
    trees("results/c/source/b.qmd", "one", "two")
    roots = trees("results/c/source/c.qmd", "only here", None)
    found = compare("results/c/source", *roots)
    assert found.level == DIFFERENT
    assert found.n_differences == 2
    assert {d.row.partition(":")[0] for d in found.differences} == {"results/c/source/b.qmd", "results/c/source/c.qmd"}


def test_a_missing_file_says_which_side_lacks_it(trees):
    roots = trees("results/c/a.csv", "x", None)
    assert compare("results/c/a.csv", *roots).note == "the rerun did not make it"
    roots = trees("results/c/b.csv", None, "x")
    assert compare("results/c/b.csv", *roots) == module.Comparison(
        "results/c/b.csv", MISSING, note="the recorded file is gone"
    )


@pytest.mark.parametrize("name", ["ard/ard.parquet", "manuscript/paper.docx", "notebooks/a.ipynb", "a.json", "a.xlsx"])
def test_a_damaged_file_is_a_finding_and_no_crash(trees, name):
    path = f"results/c/{name}"
    found = compare(path, *trees(path, b"\x00\xffbroken", b"\x00\xffbroken too"))
    assert found.level == DIFFERENT
    assert "cannot be read" in found.note
    assert "from byte 8 on" in found.differences[0].recorded
