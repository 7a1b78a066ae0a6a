"""Parts of the audit site: packed data come back as they were, the paper keeps its text and loses what could act."""

import base64
import hashlib
import json
import random
import shutil
import subprocess

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.audit.build import HERE, _titles, index_page
from sorafenib_rfa.audit.data import code_part, ledger_part, members_part, ordered, run_part, seals_part
from sorafenib_rfa.audit.pack import _as_bytes, _as_characters, columns, nested, numbers, packed, runs, unpacked
from sorafenib_rfa.audit.paper import link, rewrite_fragment, rewrite_paper
from sorafenib_rfa.records.record import Record, Records
from sorafenib_rfa.records.run_log import Entry
from sorafenib_rfa.records.seals import Breach

ASSETS = HERE / "assets"
SVG = b'<svg width="72pt" height="36pt" viewBox="0 0 72 36" xmlns="http://www.w3.org/2000/svg"/>'
PAGE = f"""<html><head><title>A &amp; B</title></head><body>
<nav class="contents"><details><summary>Contents</summary><ul><li><a href="#s">S</a></li></ul></details></nav>
<article><h2 id="s">Results</h2>
<p><span class="claim" data-claim="x">It was <a class="val" data-ard="synthetic:a.n" href="../audit/index.html#q">5</a> &lt; 6.</span></p>
<figure id="fig-a" data-figure="synthetic:a"><img src="data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}" alt="A">
<figcaption><a href="../audit/index.html#figure:synthetic:a" class="val"><strong>Figure 1.</strong></a> Caption.</figcaption></figure>
<p onclick="act()"><a href=" JavaScript:act()">go</a><script>act()</script><img src="https://example.org/x.png" onerror="act()"></p>
</article></body></html>"""  # noqa: E501


def test_packed_parts_come_back():
    content = {"text": "日本 \u202e \U0001f600 </script>", "numbers": [1, 2.5, None], "nested": [{"a": []}]}
    script = packed("core", content)
    assert unpacked(script) == content
    assert packed("core", content) == script


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 40).map(lambda n: b"\xff" * n) | st.integers(0, 40).map(bytes))
def test_any_bytes_come_back_from_characters_that_mean_nothing_in_a_script(data):
    text = _as_characters(data)
    assert _as_bytes(text, len(data)) == data
    assert all(0x80 <= ord(letter) <= 0xFFFF and not 0xD800 <= ord(letter) < 0xE000 for letter in text)


def test_what_cannot_be_compressed_takes_half_a_per_cent_more():
    data = random.Random(1).randbytes(100_000)
    assert len(_as_characters(data).encode("utf-16-le")) < 1.005 * len(data)


def test_the_site_unpacks_as_python_does(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js is installed; the tests of the browser unpack too")
    content = {"text": "日本 \u202e \U0001f600", "numbers": [random.Random(2).random() for _ in range(3000)]}
    (tmp_path / "part.js").write_bytes(packed("part", content))
    source = (ASSETS / "base.js").read_text(encoding="utf-8")
    reader = source[source.index("  const FIRST =") : source.index("  async function unpack")]
    (tmp_path / "run.js").write_text(
        "const fs = require('fs');\nglobalThis.self = globalThis;\n"
        "eval(fs.readFileSync('part.js').subarray(2).toString('utf16le'));\n"
        f"const fzstd = require({json.dumps(str(ASSETS / 'fzstd.js'))});\n{reader}\n"
        "process.stdout.write(fzstd.decompress(bytesOf(self.AUDIT.part)));\n",
        encoding="utf-8",
    )
    shown = subprocess.run([node, "run.js"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert json.loads(shown) == content


def test_the_reader_of_zstandard_is_the_published_one():
    notice, _, body = (ASSETS / "fzstd.js").read_bytes().partition(b" */\n")
    assert f"sha256 {hashlib.sha256(body).hexdigest()}".encode() in notice
    assert b"Permission is hereby granted" in notice


def opened(sets, number):
    """Return the places in a set that `nested` wrote, as the site reads it."""
    container, *told = sets[number]
    return numbers(told) if container < 0 else [opened(sets, container)[place] for place in numbers(told)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 30)), max_size=12, unique=True))
def test_sets_within_sets_come_back(sets):
    found = nested(sets)
    assert [opened(found, number) for number in range(len(sets))] == [sorted(one) for one in sets]


def test_a_set_stands_within_the_smallest_that_holds_it():
    assert [container for container, *_ in nested([{5}, {1, 5, 9}, {1, 2, 5, 9}, {1, 2}])] == [1, 2, -1, 2]


def test_columns_keep_values_and_missing_ones():
    frame = pd.DataFrame(
        {
            "text": pd.array(["a", "a", None, "a"], dtype="string"),
            "number": [1.0, 0.25, float("nan"), float("inf")],
            "date": pd.to_datetime(["2020-01-02", None, "2020-01-03", "2020-01-04"]),
        }
    )
    found = columns(frame)
    assert found["n"] == 4
    assert found["columns"]["text"] == {"levels": ["a"], "codes": [0, 0, -1, 0]}
    assert found["columns"]["number"] == [1, 0.25, None, "Infinity"]
    assert [str(value)[:10] for value in found["columns"]["date"]] == ["2020-01-02", "None", "2020-01-03", "2020-01-04"]


@pytest.mark.parametrize(
    ("numbers", "expected"), [([], []), ([0], [0, 1]), ([9, 2, 3, 4], [2, 3, 4, 1]), ([1, 1], [1, 1])]
)
def test_runs_count_from_the_end_of_the_run_before(numbers, expected):
    assert runs(numbers) == expected


def test_paper_is_made_pressable():
    paper = rewrite_paper(PAGE)
    assert paper.title == "A & B"
    assert '<a class="val" href="#synthetic:a.n">5</a> &lt; 6.' in paper.body
    assert '<a class="mark" href="#claim:x"' in paper.body
    assert '<a class="exhibit" href="#figure:synthetic:a"><strong>Figure 1.</strong></a>' in paper.body
    assert paper.images == {"figures/synthetic.a.svg": SVG}
    assert 'src="figures/synthetic.a.svg" width="96" height="48"' in paper.body
    assert paper.exhibits == {"figure:synthetic:a": "fig-a"}
    assert paper.captions == {"figure:synthetic:a": "Figure 1. Caption."}
    assert [(one.target, one.text, one.claim) for one in paper.printed] == [
        ("synthetic:a.n", "5", "x"),
        ("claim:x", "It was 5 < 6.", ""),
    ]


def test_what_could_act_does_not_reach_the_site():
    body = rewrite_paper(PAGE).body
    for acting in ("script", "onclick", "onerror", "JavaScript", "example.org"):
        assert acting not in body
    assert rewrite_fragment('<b>1 &lt; 2</b><style>p{}</style><form><input name="a"></form>') == "<b>1 &lt; 2</b>"


def test_links_of_ids_with_marks_that_mean_something_in_an_address():
    assert link('claim:a b"#%') == "#claim:a%20b%22%23%25"


def record(path, inputs, outputs, code=None):
    """Return a record of a job."""
    return Record(
        path,
        {
            "rule": path.split("/")[3],
            "wildcards": {},
            "cohort": "c",
            "inputs": [{"path": name, "sha256": name, "bytes": 1, "made_by": None} for name in inputs],
            "outputs": [{"path": name, "sha256": name, "bytes": 1} for name in outputs],
            "code": {"digest": "d", "files": code or {}},
        },
    )


def test_makers_come_before_their_readers():
    late = record("results/c/records/a_late/c.json", ["x"], ["y"])
    early = record("results/c/records/z_early/c.json", ["raw"], ["x"])
    other = record("results/c/records/b_other/c.json", [], ["w"])
    found = ordered(Records([late, early, other]), [late.path])
    assert [one.rule for one in found] == ["z_early", "a_late"]


def test_code_as_it_ran_with_the_difference_to_the_tree(tmp_path):
    import hashlib

    ran = b"a = 1\nb = 2\n"
    digest = hashlib.sha256(ran).hexdigest()
    store = tmp_path / "results/c/records/code"
    store.mkdir(parents=True)
    (store / digest).write_bytes(ran)
    (tmp_path / "same.py").write_bytes(ran)
    (tmp_path / "moved.py").write_bytes(b"a = 1\nb = 3\n")
    files = {name: {"sha256": digest, "identity": "i"} for name in ("same.py", "moved.py", "gone.py")}
    files["lost.py"] = {"sha256": "0" * 64, "identity": "i"}
    part = code_part(tmp_path, [record("results/c/records/r/c.json", [], [], files)])
    assert part["text"] == {digest: "a = 1\nb = 2\n", "0" * 64: None}
    assert list(part["diff"]) == [f"moved.py@{digest}"]
    assert part["diff"][f"moved.py@{digest}"].splitlines()[-2:] == ["-b = 2", "+b = 3"]
    (store / digest).write_bytes(b"tampered")
    assert code_part(tmp_path, [record("results/c/records/r/c.json", [], [], files)])["text"][digest] is None


def test_ledger_lists_who_left_and_leaves_the_cells_content_out():
    fates = pd.DataFrame(
        {
            "USUBJID": ["c-2", "c-1", "c-3"],
            "site": "s",
            "fate": ["excluded", "analysed", "quarantined"],
            "step_id": ["adult", None, "unreadable"],
            "reason": ["young", None, "bad"],
            "src_file": "f.csv",
            "src_row": [3, 2, 4],
        }
    )
    attrition = pd.DataFrame({"step_no": [1], "site": ["s"], "arm": ["A"], "n_before": [3]})
    names = ("site", "file", "sheet", "row", "column", "value", "table", "subject_id", "rule", "reason", "scope")
    quarantine = pd.DataFrame([dict.fromkeys(names, "secret")])
    part = ledger_part(attrition, fates, quarantine)
    assert part["counts"] == {"analysed": 1, "excluded": 1, "quarantined": 1}
    assert part["fates"]["columns"]["USUBJID"] == ["c-2", "c-3"]
    assert "value" not in part["quarantine"]["columns"]


def test_members_are_patients_or_rows():
    members = pd.DataFrame(
        {
            "ard_id": ["p.a.n", "p.a.n", *["p.b.events"] * 4],
            "USUBJID": ["c-1", "c-3", "c-3", "c-1", "c-1", None],
            "src_file": [None, None, "ae.csv", "p.csv", "p.csv", "ae.csv"],
            "src_sheet": [None, None, "Blatt 1", None, None, "Blatt 1"],
            "src_row": pd.array([None, None, 7, 9, 9, 8], dtype="Int64"),
        }
    )
    origins = pd.DataFrame(
        {
            "USUBJID": ["c-1", "c-1", "c-1", "c-2", "c-3"],
            "src_file": "p.csv",
            "src_sheet": None,
            "src_row": [2, 3, 9, 4, 5],
        }
    )
    ard = pd.DataFrame(
        {
            "ard_id": ["p.a.n", "p.b.events"],
            "analysis_id": ["a", "b"],
            "population": "all",
            "group": "overall",
            "variable": "",
            "stat_name": ["n", "events"],
            "unit": "count",
            "value": [2.0, 4.0],
            "record": "r",
        }
    )
    part = members_part(members, origins, ard)
    assert part["patients"] == ["c-1", "c-2", "c-3"]
    kind, number = part["of"]["p.a.n"]
    assert (kind, opened(part["sets"]["p"], number)) == ("p", [0, 2])
    assert part["rows"][0][1] == [2, 2, 5, 1]
    lines = [
        [patient, file, row]
        for patient, told in enumerate(part["rows"])
        for file, coded in zip(told[::2], told[1::2], strict=True)
        for row in numbers(coded)
    ]
    lines += [part["further"][start : start + 3] for start in range(0, len(part["further"]), 3)]
    kind, number = part["of"]["p.b.events"]
    counted = [lines[place] for place in opened(part["sets"][kind], number)]
    names = [
        (part["patients"][patient] if patient >= 0 else "", part["files"][file], row) for patient, file, row in counted
    ]
    assert kind == "r"
    assert sorted(names) == [
        ("", ["ae.csv", "Blatt 1"], 8),  # of nobody known
        ("c-1", ["p.csv", None], 9),
        ("c-1", ["p.csv", None], 9),  # counted twice
        ("c-3", ["ae.csv", "Blatt 1"], 7),
    ]


def test_the_run_log_keeps_what_the_site_shows_of_a_line():
    line = {"seq": 1, "time": "t", "event": "started", "rule": "r", "digest": "d", "previous": "", "outputs": ["x"]}
    part = run_part([], {"c": [Entry(1, line), Entry(2, {}, "it cannot be read")]}, [])
    shown = part["log"]["c"]["columns"]
    assert (shown["seq"], shown["time"], shown["digest"]) == ([1, None], ["t", None], ["d", None])
    assert shown["fault"] == [None, "it cannot be read"]
    assert not {"previous", "outputs"} & set(shown)


@pytest.mark.parametrize(("private", "said"), [([], False), (["clinic"], True)])
def test_site_of_data_that_are_not_open_says_so(private, said):
    facts = {"synthetic": [], "private": private, "cohort": {"title": "<b>"}, "numbers": 1, "jobs": 1, "files": 1}
    page = index_page("T", {**facts, "broken": 0, "moved": 0})
    assert ("Not for publication" in page) is said
    assert "&lt;b&gt;" in page


def test_seals_of_other_papers_stay_out_unless_they_are_broken():
    own = record("results/c/records/r/c.json", ["raw"], ["x"])
    breaches = [
        Breach("raw", "source_changed", own.path, "1", "2", "moved"),
        Breach("results/c/crate", "upstream_changed", "results/c/records/write_crate/c.json", "1", "2", "old"),
        Breach("results/c/crate/a", "output_changed", "results/c/records/write_crate/c.json", "1", "2", "touched"),
        Breach("results/d/y", "output_changed", None, "1", "2", "of another cohort"),
    ]
    part = seals_part(breaches, [own], ["c"])
    assert [(one["path"], one["broken"]) for one in part] == [("raw", False), ("results/c/crate/a", True)]


@pytest.mark.parametrize(
    ("changes", "made", "is_open"),
    [
        ({"synthetic": True, "raw": "data/raw/c"}, False, True),
        ({"licence": "CC0-1.0", "raw": "data/public/c"}, False, True),
        ({"licence": "GPL-2", "raw": "data/raw/c"}, True, True),  # out of an installed package
        ({"licence": "agreement 12/2024", "raw": "data/raw/c"}, False, False),
        ({"raw": "data/public/c"}, False, False),
    ],
)
def test_a_cohort_is_open_to_the_site_as_it_is_to_the_bag(changes, made, is_open):
    config = {"title": "C", "synthetic": False, "licence": None} | changes
    raw = f"{config['raw']}/a.csv"
    jobs = [record("results/c/records/build_adam/c.json", [raw], ["results/c/adam/adsl.parquet"])]
    jobs[0].content["params"] = {"cohort_config": config}
    if made:
        jobs.append(record("results/c/records/fetch/c.json", [], [raw]))
        jobs[1].content["params"] = {}
    of = "synthetic data" if config["synthetic"] else "real patients"
    found = {"title": "C", "of": of, "synthetic": config["synthetic"], "open": is_open}
    assert _titles(iter(jobs), ["c"]) == {"c": found}
