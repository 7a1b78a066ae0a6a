"""The run log is a chain; seals name what was changed; records know what lies before and after them."""

import hashlib
import json
import multiprocessing
import os
import random

import pytest

from sorafenib_rfa.errors import SealError
from sorafenib_rfa.records import run_log
from sorafenib_rfa.records.code_store import keep_code
from sorafenib_rfa.records.declared import Declared, UndeclaredReadError, watch_undeclared_reading
from sorafenib_rfa.records.digests import describe_files, sha256_of
from sorafenib_rfa.records.environment import Installed
from sorafenib_rfa.records.job import sealed_inputs
from sorafenib_rfa.records.record import FORMAT, load_records, seal_of
from sorafenib_rfa.records.seals import check_seals, refuse_broken_seals


# --- run log -----
def _append_many(path, name):
    for number in range(50):
        run_log.append(path, event="started", rule=name, number=number)


def test_lines_of_processes_that_write_at_once_make_one_chain(tmp_path):
    path = tmp_path / "log.jsonl"
    writers = [multiprocessing.get_context("spawn").Process(target=_append_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = run_log.read_log(path)
    assert len(entries) == 150
    assert [entry.fault for entry in entries] == [None] * 150
    for name in "abc":
        assert [e.content["number"] for e in entries if e.content["rule"] == name] == list(range(50))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    for number in range(6):
        run_log.append(path, event="started", rule="r", wildcards={"cohort": "s"}, note="ä" * number)
    return path


def faults(path):
    return [(entry.number, entry.fault) for entry in run_log.read_log(path) if entry.fault]


def test_any_flipped_byte_is_noticed(log):
    content = log.read_bytes()
    assert faults(log) == []
    for at in range(len(content)):
        log.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert faults(log), at


@pytest.mark.parametrize("line", range(5))
def test_a_line_taken_out_is_noticed(log, line):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    assert faults(log)[0] == (line + 1, "the line before it was changed, removed or inserted")


def test_a_line_forged_with_a_right_digest_breaks_the_next_one(log):
    lines = log.read_bytes().splitlines()
    forged = json.loads(lines[2]) | {"note": "nothing happened"}
    forged["digest"] = run_log._digest(forged)
    lines[2] = run_log.canonical(forged)
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert faults(log) == [(4, "the line before it was changed, removed or inserted")]


# --- a small tree of two jobs ---
def write_record(root, rule, inputs, outputs, params=None):
    records = load_records(root)
    described = describe_files(inputs)
    for entry in described:
        maker = records.maker(entry["path"])
        entry["made_by"] = maker and {"record": maker.path, "seal": maker.seal}
    store = root / "results/s/records/code"
    digests = keep_code(store, [root / "src.py"])
    content = {
        "format": FORMAT,
        "rule": rule,
        "wildcards": {"cohort": "s"},
        "cohort": "s",
        "status": "finished",
        "script": "src.py",
        "notebook": None,
        "inputs": described,
        "outputs": describe_files(outputs),
        "names": {"input": {}, "output": {}},
        "params": params or {},
        "seed": 1,
        "code": {"digest": "d", "files": {"src.py": {"identity": "i", "sha256": digests[root / "src.py"]}}},
        "environment": {"python": "3.11.7", "distributions": {}},
    }
    content["seal"] = seal_of(content)
    content["run"] = {"seconds": 1.5}
    path = root / f"results/s/records/{rule}/s.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))
    run_log.append(
        root / "results/s/records/run_log.jsonl",
        event="finished",
        record=f"results/s/records/{rule}/s.json",
        record_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        seal=content["seal"],
        rule=rule,
        wildcards=content["wildcards"],
        outputs=outputs,
    )


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src.py").write_text("x = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw.csv").write_text("id\n1\n2\n")
    (tmp_path / "results/s/clean").mkdir(parents=True)
    (tmp_path / "results/s/clean/table.csv").write_text("id\n1\n")
    write_record(tmp_path, "clean", ["data/raw.csv"], ["results/s/clean/table.csv"])
    (tmp_path / "results/s/site").mkdir()
    (tmp_path / "results/s/site/a.html").write_text("<p>1")
    (tmp_path / "results/s/site/b.html").write_text("<p>2")
    write_record(tmp_path, "show", ["results/s/clean/table.csv"], ["results/s/site"])
    return tmp_path


def named(root):
    return {(breach.path, breach.kind) for breach in check_seals(root)}


def test_an_untouched_tree_keeps_its_seals(tree):
    assert check_seals(tree) == []
    refuse_broken_seals(tree)


def flip(path, at=None):
    content = path.read_bytes()
    at = len(content) // 2 if at is None else at
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("results/s/clean/table.csv", "output_changed"),
        ("results/s/site/b.html", "output_changed"),
        ("results/s/records/clean/s.json", "record_changed"),
        ("results/s/records/run_log.jsonl", "run_log_broken"),
        ("data/raw.csv", "source_changed"),
    ],
)
def test_what_was_changed_is_named(tree, name, kind):
    flip(tree / name)
    assert (name, kind) in named(tree)


def test_every_byte_of_a_record_counts(tree):
    path = tree / "results/s/records/show/s.json"
    content = path.read_bytes()
    for at in random.Random(4).sample(range(len(content)), 200):
        flip(path, at)
        assert any(name == "results/s/records/show/s.json" for name, _ in named(tree)), at
        path.write_bytes(content)


def test_a_record_that_lacks_a_part_is_named_and_read_by_nobody(tree):
    path = tree / "results/s/records/show/s.json"
    content = path.read_text()
    for key in ("rule", "inputs", "path", "identity", "seed", "environment", "seal", "names"):
        path.write_text(content.replace(f'"{key}":', f'"{key[:-1]}~":', 1))
        assert ("results/s/records/show/s.json", "record_changed") in named(tree), key
        assert list(load_records(tree)) == ["results/s/records/clean/s.json"], key


def test_a_failed_line_without_its_record_is_a_fault_and_no_crash(tree):
    log = tree / "results/s/records/run_log.jsonl"
    run_log.append(log, event="failed", record="results/s/records/failed/show/s.json", record_sha256="0")
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"record":"results/s/records/failed', b'"secord":"results/s/records/failed'))
    assert ("results/s/records/run_log.jsonl", "run_log_broken") in named(tree)


def test_a_planted_file_whose_name_is_no_text_is_named(tree):
    with open(bytes(tree) + b"/results/s/site/\xff.html", "w") as stream:
        stream.write("planted")
    assert ("results/s/site/\udcff.html", "output_changed") in named(tree)


def test_the_copy_of_the_code_that_ran_is_sealed_by_its_name(tree):
    (copy,) = (tree / "results/s/records/code").iterdir()
    copy.write_text("x = 2\n")
    assert named(tree) == {(copy.relative_to(tree).as_posix(), "code_changed")}


def test_a_record_nobody_logged_and_a_file_nobody_made_are_named(tree):
    (tree / "results/s/extra.csv").write_text("1")
    log = tree / "results/s/records/run_log.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert named(tree) == {
        ("results/s/extra.csv", "unclaimed"),
        ("results/s/records/show/s.json", "record_unlogged"),
    }


def test_a_deleted_record_does_not_free_what_its_job_made(tree):
    (tree / "results/s/records/show/s.json").unlink()
    (tree / "results/s/site/a.html").write_text("<p>9")
    assert ("results/s/records/show/s.json", "record_missing") in named(tree)
    with pytest.raises(SealError, match=r"what its job made is still there: results/s/site"):
        refuse_broken_seals(tree)
    for page in (tree / "results/s/site").iterdir():
        page.unlink()
    (tree / "results/s/site").rmdir()
    refuse_broken_seals(tree)  # as the hint says: now the job will run again


def test_a_job_that_was_killed_leaves_no_record_and_breaks_no_seal(tree):
    (tree / "results/s/records/show/s.json").unlink()
    log = tree / "results/s/records/run_log.jsonl"
    run_log.append(log, event="started", rule="show", wildcards={"cohort": "s"})
    assert {kind for _, kind in named(tree)} == {"unclaimed"}


def test_results_without_a_run_log_are_refused(tree):
    (tree / "results/s/records/run_log.jsonl").unlink()
    for path in (tree / "results/s/records").glob("*/*.json"):
        path.unlink()
    assert ("results/s/records/run_log.jsonl", "run_log_broken") in named(tree)


def test_a_broken_seal_is_refused_with_what_to_do_and_a_moved_source_is_not(tree):
    flip(tree / "data/raw.csv")
    refuse_broken_seals(tree)
    flip(tree / "results/s/clean/table.csv")
    with pytest.raises(SealError) as error:
        refuse_broken_seals(tree)
    assert "results/s/clean/table.csv: it was changed after the job that made it had finished" in str(error.value)
    assert "says results/s/records/clean/s.json" in str(error.value)
    assert "delete the file and it will be made again" in str(error.value)


def test_a_job_refuses_inputs_that_are_not_as_their_maker_left_them(tree):
    described = sealed_inputs(tree, ["results/s/clean/table.csv", "data/raw.csv"])
    assert described[0]["made_by"] is None
    assert described[1]["made_by"]["record"] == "results/s/records/clean/s.json"
    flip(tree / "results/s/clean/table.csv")
    with pytest.raises(SealError, match="it was changed after the job"):
        sealed_inputs(tree, ["results/s/clean/table.csv"])
    (tree / "results/s/planted.csv").write_text("1")
    with pytest.raises(SealError, match="no job says that it made this file"):
        sealed_inputs(tree, ["results/s/planted.csv"])


def test_a_job_that_ran_again_breaks_the_chain_only_if_it_made_something_else(tree):
    write_record(tree, "clean", ["data/raw.csv"], ["results/s/clean/table.csv"], params={"code": "tidied"})
    assert named(tree) == set()
    (tree / "results/s/clean/table.csv").write_text("id\n2\n")
    write_record(tree, "clean", ["data/raw.csv"], ["results/s/clean/table.csv"])
    assert named(tree) == {("results/s/records/show/s.json", "upstream_changed")}


def test_a_run_before_that_nobody_logged_is_no_run(tree):
    log = tree / "results/s/records/run_log.jsonl"
    log.unlink()
    write_record(tree, "clean", ["data/raw.csv"], ["results/s/clean/table.csv"], params={"forged": 1})
    assert ("results/s/records/show/s.json", "upstream_unlogged") in named(tree)


def test_what_lies_before_and_after(tree):
    records = load_records(tree)
    assert [record.rule for record in records.upstream("results/s/site/a.html")] == ["clean", "show"]
    assert [record.rule for record in records.downstream("data/raw.csv")] == ["clean", "show"]
    assert [record.rule for record in records.downstream("results/s/clean/table.csv")] == ["show"]
    assert [entry["path"] for entry in records.sources("results/s/site")] == ["data/raw.csv"]


def test_the_seal_leaves_out_what_a_repetition_changes(tree):
    content = load_records(tree)["results/s/records/show/s.json"].content
    assert seal_of(content | {"run": {"seconds": 9}}) == content["seal"]
    assert seal_of(content | {"cohort": "t"}) != content["seal"]


def test_a_folder_is_described_by_its_files(tree):
    (entry,) = describe_files(["results/s/site"])
    assert entry["sha256"] == sha256_of(tree / "results/s/site")
    assert [member["path"] for member in entry["members"]] == ["a.html", "b.html"]


# --- what a job may read, and on what packages it rests ---
def test_reading_what_is_not_declared_ends_the_block(tree):
    with pytest.raises(UndeclaredReadError, match=r"does not declare data/raw\.csv"):
        with watch_undeclared_reading(tree, Declared(["results/s/site"])):
            (tree / "results/s/site/a.html").read_text()
            (tree / "src.py").read_text()  # code is tracked by its own digest
            (tree / "data/new.csv").write_text("writing is no reading")
            (tree / "data/raw.csv").read_text()
    (tree / "data/raw.csv").read_text()


def distribution(folder, name, version, requires=()):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n")


def test_an_environment_is_what_imports_rest_on(tmp_path):
    site = tmp_path / "site"
    distribution(site, "Alpha", "1.0", ["beta_lib>=2", 'gamma; extra == "x"', "delta; python_version < '3'"])
    distribution(site, "beta_lib", "2.1")
    distribution(site, "gamma", "3.0")
    cache = tmp_path / "cache.json"
    for _ in range(2):  # the second time from the cache
        assert Installed([str(site)], cache).behind({"alpha", "json", "unheard_of"}) == {
            "alpha": "1.0",
            "beta-lib": "2.1",
        }
    other = tmp_path / "other"
    distribution(other, "beta_lib", "2.2")
    assert Installed([str(other), str(site)], cache).behind({"alpha"})["beta-lib"] == "2.2"


def test_the_environment_of_this_package_is_found():
    found = Installed().behind({"pandas", "yaml", "docx"})
    assert {"pandas", "numpy", "pyyaml", "python-docx"} <= set(found)
    assert "pytest" not in found


def test_remembered_digests_see_an_edit_that_keeps_size_and_modification_time(tree):
    cache = tree / "cache.json"
    assert check_seals(tree, cache=cache) == []
    path = tree / "results/s/site/a.html"
    stat = path.stat()
    path.write_text("<p>7")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [breach.path for breach in check_seals(tree, cache=cache)] == ["results/s/site/a.html"]
    cache.write_text("[not a cache")
    assert [breach.path for breach in check_seals(tree, cache=cache)] == ["results/s/site/a.html"]
