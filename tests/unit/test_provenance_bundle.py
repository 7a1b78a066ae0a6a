"""A bundle from elsewhere is opened without trusting it."""

import json
import stat
import zipfile

import pytest

from sorafenib_rfa.provenance.bundle import BundleError, open_bundle, unsafe
from sorafenib_rfa.records.record import FORMAT, well_formed

RECORD = {
    "format": FORMAT,
    "rule": "make_tables",
    "wildcards": {"cohort": "c"},
    "cohort": "c",
    "status": "finished",
    "script": "workflow/scripts/make_tables.py",
    "notebook": None,
    "inputs": [{"path": "results/c/ard/ard.parquet", "sha256": "0" * 64, "bytes": 1, "made_by": None}],
    "outputs": [{"path": "results/c/tables/a.csv", "sha256": "0" * 64, "bytes": 1}],
    "names": {"input": {}, "output": {}},
    "params": {},
    "seed": 1,
    "code": {"digest": "0" * 64, "files": {}},
    "environment": {"python": "3.11.7", "distributions": {}},
    "seal": "0" * 64,
}
PLACE = "results/c/records/make_tables/c.a.json"


def record(**changes):
    return json.dumps({**RECORD, **changes})


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "C:/x", "a\\..\\x", "a\0b", "a\nb", "", "a/b\x7f"],
)
def test_paths_that_lead_outside_or_hide_something_are_refused(name):
    assert unsafe(name) is not None


@pytest.mark.parametrize("name", ["results/c/a.csv", "data/raw/c/cn01/患者.csv", "a..b/c", "results/c/.hidden"])
def test_ordinary_paths_are_not(name):
    assert unsafe(name) is None


@pytest.mark.parametrize("name", ["../escaped.txt", "paper/../../escaped.txt", "/tmp/escaped.txt", "a\\..\\b"])
def test_a_zip_with_a_path_outside_unpacks_nothing(tmp_path, name):
    bundle = zipped(tmp_path / "b.zip", [(PLACE, record()), (name, "x")])
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(BundleError, match="nothing was unpacked"):
        open_bundle(bundle, into)
    assert list(into.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"b.zip", "into"}


def test_a_zip_with_a_link_is_refused(tmp_path):
    info = zipfile.ZipInfo("results/c/tables/a.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    bundle = zipped(tmp_path / "b.zip", [(PLACE, record()), (info, "/etc/passwd")])
    (tmp_path / "into").mkdir()
    with pytest.raises(BundleError, match="link or a device"):
        open_bundle(bundle, tmp_path / "into")


def test_a_zip_with_a_name_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        bundle = zipped(tmp_path / "b.zip", [(PLACE, record()), ("results/x", "1"), ("results/x", "2")])
    (tmp_path / "into").mkdir()
    with pytest.raises(BundleError, match="twice"):
        open_bundle(bundle, tmp_path / "into")


def test_a_zip_larger_than_the_disk_is_refused(tmp_path, monkeypatch):
    from sorafenib_rfa.provenance import bundle as module

    bundle = zipped(tmp_path / "b.zip", [(PLACE, record()), ("results/c/big", "0" * 100_000)])
    (tmp_path / "into").mkdir()
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 50_000})())
    with pytest.raises(BundleError, match="fill the disk"):
        open_bundle(bundle, tmp_path / "into")


def test_a_folder_with_a_link_outside_is_refused(tmp_path):
    folder = tmp_path / "bundle"
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).write_text(record())
    (folder / "results/c/tables").mkdir()
    (folder / "results/c/tables/a.csv").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="leads outside"):
        open_bundle(folder, tmp_path / "into")


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": [{"path": "../../home/.bashrc", "sha256": "0" * 64, "bytes": 1}]},
        {"inputs": [{"path": "/dev/zero", "sha256": "0" * 64, "bytes": 1, "made_by": None}]},
        {"code": {"digest": "0" * 64, "files": {"src/x.py": {"identity": "0", "sha256": "../../../x"}}}},
        {"script": "/tmp/evil.py"},
    ],
)
def test_a_record_that_names_a_path_outside_is_refused_before_anything_is_read(tmp_path, change):
    bundle = zipped(tmp_path / "b.zip", [(PLACE, record(**change))])
    (tmp_path / "into").mkdir()
    with pytest.raises(BundleError, match="a record names a file"):
        open_bundle(bundle, tmp_path / "into")


@pytest.mark.parametrize("change", [{"inputs": "all"}, {"code": {}}, {"outputs": [1]}, {"seal": None}, {"params": []}])
def test_json_that_is_no_record_is_refused(tmp_path, change):
    assert well_formed(RECORD)
    assert not well_formed({**RECORD, **change})
    bundle = zipped(tmp_path / "b.zip", [(PLACE, record(**change))])
    (tmp_path / "into").mkdir()
    with pytest.raises(BundleError, match="no job record"):
        open_bundle(bundle, tmp_path / "into")


def test_what_is_no_zip_and_what_holds_no_results_is_said(tmp_path):
    (tmp_path / "b.zip").write_text("PK, but no")
    (tmp_path / "into").mkdir()
    with pytest.raises(BundleError, match="cannot be unpacked"):
        open_bundle(tmp_path / "b.zip", tmp_path / "into")
    bundle = zipped(tmp_path / "c.zip", [("readme.txt", "x")])
    with pytest.raises(BundleError, match="no results with records"):
        open_bundle(bundle, tmp_path / "into")
    with pytest.raises(BundleError, match="does not exist"):
        open_bundle(tmp_path / "none.zip", tmp_path / "into")


@pytest.mark.parametrize("prefix", ["", "data/", "paper/data/"])
def test_a_bag_and_a_plain_zip_are_found_at_any_depth(tmp_path, prefix):
    bundle = zipped(tmp_path / "b.zip", [(f"{prefix}{PLACE}", record()), (f"{prefix}results/c/tables/a.csv", "x")])
    (tmp_path / "into").mkdir()
    root = open_bundle(bundle, tmp_path / "into")
    assert (root / PLACE).is_file()
    assert (root / "results/c/tables/a.csv").read_text() == "x"


@pytest.mark.parametrize("given", ["", "results", "results/c"])
def test_a_folder_may_be_the_tree_its_results_or_one_cohort(tmp_path, given):
    folder = tmp_path / "tree"
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).write_text(record())
    root = open_bundle(folder / given, tmp_path / "into")
    assert (root / PLACE).is_file()
