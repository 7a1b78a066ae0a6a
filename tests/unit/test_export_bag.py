"""The bag: valid for the bagit library, and refused by the checker inside it after any change, however covered up."""

import ast
import hashlib
import json
import random
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import yaml

from sorafenib_rfa.errors import SealError
from sorafenib_rfa.export import bag as bag_module
from sorafenib_rfa.export.bag import plan_bag, write_bag
from sorafenib_rfa.export.contents import read_contents
from sorafenib_rfa.provenance.bundle import open_bundle
from sorafenib_rfa.records.record import canonical, load_records, seal_of
from tests.unit.export_study import PAPER, Study, make_study

DATES = {"publication_date": "2026-11-21", "source_date_epoch": 1795219200}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study")).root


@pytest.fixture(scope="module")
def packed(root, tmp_path_factory):
    destination = tmp_path_factory.mktemp("bag") / "synthetic.zip"
    write_bag(read_contents(root, "synthetic", [PAPER]), destination, **DATES)
    return destination


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder / "synthetic"


@pytest.fixture
def bag(unpacked, tmp_path):
    return Path(shutil.copytree(unpacked, tmp_path / "synthetic"))


def check(folder):
    """Run the checker that lies in the bag, as a stranger would; return its exit code and report."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), "--json"], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def named(report):
    return {finding["path"] for finding in report["findings"]}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def mend_manifests(folder):
    """Write manifests that fit the files as they are, as somebody would who covers up a change."""
    for manifest, chosen in (
        ("manifest-sha256.txt", sorted((folder / "data").rglob("*"))),
        ("tagmanifest-sha256.txt", sorted(folder.glob("*"))),
    ):
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            for path in chosen
            if path.is_file() and path.name != "tagmanifest-sha256.txt"
        ]
        (folder / manifest).write_text("".join(lines), encoding="utf-8")


# --- valid -------------------------------------------------------------------------------------------


def test_the_bagit_library_accepts_it(unpacked):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library itself uses what setuptools deprecates
        import bagit
    bag = bagit.Bag(str(unpacked))
    assert bag.validate() is True
    assert bag.version_info == (1, 0)
    assert list(bag.algorithms) == ["sha256"]
    payload = list((unpacked / "data").rglob("*"))
    size = sum(path.stat().st_size for path in payload if path.is_file())
    assert bag.info["Payload-Oxum"] == f"{size}.{sum(path.is_file() for path in payload)}"
    assert "Synthetic data" in bag.info["External-Description"]


def test_the_checker_inside_finds_nothing_wrong(unpacked, root):
    code, report = check(unpacked)
    assert (code, report["verdict"], report["findings"]) == (0, "verified", [])
    records = load_records(root)
    assert report["counts"]["records"] == len(records)
    assert report["counts"]["failed jobs"] == 1
    paper = "results/synthetic/records/render_manuscript/synthetic.json"
    assert report["seals_of_last_jobs"][paper] == records[paper].seal


def test_the_checker_needs_nothing_but_python_3_9():
    source = bag_module.VERIFIER.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_it_holds_the_repository_with_results_raw_data_and_records(unpacked, root):
    for path in (
        PAPER,
        "data/raw/synthetic/cn01/患者.csv",
        "data/public/hcc_resection/hcc_resection.csv",
        "data/public/hcc_resection/README.md",
        "workflow/rules/export.smk",
        "config/cohorts/synthetic/simulation.yaml",
        "results/synthetic/manuscript/source/figures/flow.svg",
        "results/synthetic/records/run_log.jsonl",
    ):
        assert (unpacked / "data" / path).read_bytes() == (root / path).read_bytes(), path
    for kept in (root / "results/synthetic/records/code").iterdir():
        assert (unpacked / "data/results/synthetic/records/code" / kept.name).exists()


def test_what_no_record_names_and_other_cohorts_stay_behind(unpacked):
    names = {path.name for path in unpacked.rglob("*")}
    assert not names & {"old.svg", "notes.csv", "hospital", "__pycache__", ".snakemake"}


def test_results_can_be_taken_over_from_it(packed, tmp_path):
    found = open_bundle(packed, tmp_path)
    assert (found / PAPER).is_file()
    assert len(load_records(found)) == 8


def test_the_same_contents_give_the_same_bytes(root, packed, tmp_path):
    again = tmp_path / "again.zip"
    write_bag(read_contents(root, "synthetic", [PAPER]), again, **DATES)
    assert again.read_bytes() == packed.read_bytes()


def test_the_payload_is_a_crate_in_which_every_file_is_there(unpacked):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(unpacked / "data")
    assert not [entity.id for entity in crate.data_entities if entity.id.startswith("#")]
    for entity in crate.data_entities:
        assert (unpacked / "data" / entity.source.relative_to(unpacked / "data")).exists(), entity.id


# --- tampering ---------------------------------------------------------------------------------------


def test_a_flipped_byte_in_any_file_is_named(bag):
    files = [path for path in bag.rglob("*") if path.is_file()]
    kinds = {
        (path.relative_to(bag).parts[:2], path.suffix, "records" in path.parts, "code" in path.parts): path
        for path in files
    }
    chosen = [*kinds.values(), *random.Random(4).sample(files, 5)]
    for path in chosen:
        if path.name == "verify.py" and path.parent == bag:
            continue  # see the next test
        before = path.read_bytes()
        flip(path)
        code, report = check(bag)
        name = path.relative_to(bag).as_posix()
        assert code == 1, name
        tags = {"tagmanifest-sha256.txt", "manifest-sha256.txt"}
        assert name in named(report) or name in tags, name  # a flipped digest names the file that it was of
        assert named(report)
        path.write_bytes(before)
    assert check(bag)[0] == 0


def test_flipped_bytes_in_all_files_at_once_are_all_named(bag):
    files = [path for path in (bag / "data").rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        flip(path)
    code, report = check(bag)
    assert code == 1
    assert {path.relative_to(bag).as_posix() for path in files} <= named(report)


def test_a_changed_checker_is_seen_by_another_copy_of_it(bag):
    flip(bag / "verify.py")
    done = subprocess.run(
        [sys.executable, str(bag_module.VERIFIER), str(bag), "--json"], capture_output=True, text=True
    )
    assert (done.returncode, named(json.loads(done.stdout))) == (1, {"verify.py"})


def test_missing_and_added_files_are_named(bag):
    (bag / "data" / PAPER).unlink()
    (bag / "data/results/synthetic/added.csv").write_text("a\n")
    (bag / "beside.txt").write_text("a\n")
    _, report = check(bag)
    assert {f"data/{PAPER}", "data/results/synthetic/added.csv", "beside.txt"} <= named(report)


def test_a_changed_result_is_found_though_all_manifests_were_mended(bag):
    path = bag / "data/results/synthetic/figures/flow.csv"
    path.write_text("step,n\n1,13\n")
    mend_manifests(bag)
    code, report = check(bag)
    assert code == 1
    assert named(report) == {"data/results/synthetic/figures/flow.csv"}


def test_a_changed_member_of_a_folder_is_named_itself(bag):
    path = bag / "data/results/synthetic/manuscript/source/index.qmd"
    flip(path)
    mend_manifests(bag)
    assert "data/results/synthetic/manuscript/source/index.qmd" in named(check(bag)[1])


def test_a_forged_record_with_a_new_seal_is_found_by_the_run_log(bag):
    result, record = "results/synthetic/ard/ard.csv", "results/synthetic/records/collect_ard/synthetic.json"
    (bag / "data" / result).write_text("ard_id,value\nflow.patients.screened,99\n")
    path = bag / "data" / record
    content = json.loads(path.read_text(encoding="utf-8"))
    entry = next(each for each in content["outputs"] if each["path"] == result)
    entry["sha256"] = hashlib.sha256((bag / "data" / result).read_bytes()).hexdigest()
    content["seal"] = seal_of(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    mend_manifests(bag)
    _, report = check(bag)
    kinds = {finding["kind"] for finding in report["findings"] if finding["path"] == f"data/{record}"}
    assert kinds == {"changed"}  # the run log saw another record


@pytest.mark.parametrize("how", ["changed", "removed", "inserted", "cut"])
def test_a_mended_run_log_is_found(bag, how):
    path = bag / "data/results/synthetic/records/run_log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "changed":
        entry = json.loads(lines[1])
        entry["event"] = "adopted"
        lines[1] = canonical(entry) + b"\n"
    elif how == "removed":
        del lines[1]
    elif how == "inserted":
        lines.insert(1, lines[1])
    else:
        del lines[-1]  # the line that saw the paper being written
    path.write_bytes(b"".join(lines))
    mend_manifests(bag)
    assert check(bag)[0] == 1


def failed_record(bag):
    (path,) = (bag / "data/results/synthetic/records/failed").rglob("*.json")
    return path, path.relative_to(bag).as_posix()


def test_a_failed_job_that_was_taken_away_is_named(bag):
    path, name = failed_record(bag)
    path.unlink()
    mend_manifests(bag)
    code, report = check(bag)
    assert (code, named(report)) == (1, {name})
    assert "saw this job fail" in report["findings"][0]["message"]


def test_a_failed_job_told_otherwise_with_a_new_seal_is_named(bag):
    path, name = failed_record(bag)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["error"]["message"] = "the power went off"
    content["seal"] = seal_of(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    mend_manifests(bag)
    assert named(check(bag)[1]) == {name}


def test_a_failed_job_that_the_log_never_saw_is_named(bag):
    path, _ = failed_record(bag)
    invented = path.with_name("synthetic.another.20261121T175300.000000.json")
    invented.write_bytes(path.read_bytes())
    mend_manifests(bag)
    assert named(check(bag)[1]) == {invented.relative_to(bag).as_posix()}


def test_results_whose_record_was_taken_away_are_named(bag):
    record = bag / "data/results/synthetic/records/render_manuscript/synthetic.json"
    record.unlink()  # no other record names it: the paper is the last result
    mend_manifests(bag)
    code, report = check(bag)
    assert code == 1
    folder = "data/results/synthetic/manuscript"
    files = {path.relative_to(bag).as_posix() for path in (bag / folder).rglob("*") if path.is_file()}
    assert {f"data/{PAPER}", f"{folder}/source/index.qmd"} <= files == named(report)


def test_a_record_that_leads_out_of_the_bag_is_refused(bag):
    path = bag / "data/results/synthetic/records/make_tables_of_synthetic/synthetic.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["outputs"][0]["path"] = "../../../etc/passwd"
    content["seal"] = seal_of(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    mend_manifests(bag)
    _, report = check(bag)
    assert "no job record" in " ".join(each["message"] for each in report["findings"])
    assert not any("passwd" in name for name in named(report))


def test_what_people_read_names_files_and_never_steers_the_terminal(bag):
    evil = bag / "data/\x1b[31mred\u202etxt.csv"
    evil.write_text("a\n")
    flip(bag / "data" / PAPER)
    done = subprocess.run([sys.executable, str(bag / "verify.py")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "NOT VERIFIED" in done.stdout and f"data/{PAPER}" in done.stdout
    assert "\\u001b[31mred\\u202etxt.csv" in done.stdout
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_a_folder_that_is_no_bag(tmp_path):
    done = subprocess.run([sys.executable, str(bag_module.VERIFIER), str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no bag" in done.stderr


# --- what may not be given away, and what may not be packed ------------------------------------------


@pytest.fixture(params=["no licence", "a licence, and the files in the hospital's folder"])
def private(request, root, tmp_path):
    """Return the study with a real cohort whose data are nobody's to give away."""
    study = tmp_path / "study"
    shutil.copytree(root, study)
    path = study / "config/cohorts/hcc_resection/cohort.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if request.param == "no licence":
        config.pop("licence")
    else:  # "licence: agreement 12/2024" must not be taken for a licence to publish
        move_raw_data(study, config)
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return study, config["raw"]


def move_raw_data(study, config):
    """Put the raw files of the real cohort where a hospital's would lie, in the records too."""
    config["raw"] = "data/raw/hcc_resection"
    shutil.copytree(study / "data/public/hcc_resection", study / config["raw"])
    shutil.rmtree(study / "data/public/hcc_resection")
    again = Study(study)
    for record in load_records(study).values():
        again.makers.update((entry["path"], record.path) for entry in record.outputs)
        again.seals[record.path] = record.seal
    raw = f"{config['raw']}/hcc_resection.csv"
    results = "results/hcc_resection"
    datasets = {"datasets": [f"{results}/adam/adsl.csv"], "dictionary": f"{results}/adam/data_dictionary.md"}
    both = [f"{results}/ard/ard.{kind}" for kind in ("csv", "parquet")]
    again.job("build_adam", "hcc_resection", "hcc_resection", {"tables": [raw]}, datasets)
    again.job("collect_ard", "hcc_resection", "hcc_resection", {"parts": [datasets["datasets"][0]]}, {"ard": both})
    paper = load_records(study)["results/synthetic/records/render_manuscript/synthetic.json"].content["names"]
    again.job("render_manuscript", "synthetic", "synthetic", paper["input"], paper["output"])


def test_private_data_stay_behind_and_are_known_by_their_digest(private, tmp_path):
    study, raw = private
    destination = tmp_path / "synthetic.zip"
    plan = write_bag(read_contents(study, "synthetic", [PAPER]), destination, **DATES)
    withheld = {entry["path"] for entry in plan.withheld}
    assert withheld == {
        f"{raw}/hcc_resection.csv",
        "results/hcc_resection/adam/adsl.csv",
        "results/hcc_resection/adam/data_dictionary.md",
    }
    with zipfile.ZipFile(destination) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "out")
    assert not [name for name in names if f"data/{raw}" in name or "hcc_resection/adam" in name]
    assert "synthetic/data/results/hcc_resection/ard/ard.csv" in names  # results without patients stay
    code, report = check(tmp_path / "out/synthetic")
    assert (code, set(report["withheld"])) == (0, withheld)
    metadata = json.loads((tmp_path / "out/synthetic/data/ro-crate-metadata.json").read_text(encoding="utf-8"))
    entity = next(e for e in metadata["@graph"] if e.get("name") == f"{raw}/hcc_resection.csv")
    assert entity["@id"].startswith("#") and "Private" in entity["description"]


def test_a_site_with_private_patients_stays_behind_with_them(private, root):
    site = ["results/synthetic/audit", "results/synthetic/audit/data/members.js"]
    closed, opened = (read_contents(study, "synthetic", [PAPER]) for study in (private[0], root))
    assert [closed.is_private(path) for path in site] == [True, True]
    assert [opened.is_private(path) for path in site] == [False, False]


def test_a_failure_of_a_job_on_private_data_is_told_by_its_kind_alone(root, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(root, study)
    path = study / "config/cohorts/hcc_resection/cohort.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config.pop("licence")
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    error = {"type": "ValueError", "message": "no date: Zhang San, 1961", "traceback": "Zhang San"}
    raw = {"tables": [f"{config['raw']}/hcc_resection.csv"]}
    record = Study(study).job("build_adam", "hcc_resection", "hcc_resection", raw, {}, error=error)
    destination = tmp_path / "synthetic.zip"
    plan = write_bag(read_contents(study, "synthetic", [PAPER]), destination, **DATES)
    assert record in {entry["path"] for entry in plan.withheld}
    with zipfile.ZipFile(destination) as archive:
        assert not [name for name in archive.namelist() if b"Zhang San" in archive.read(name)]
        archive.extractall(tmp_path / "out")
    code, report = check(tmp_path / "out/synthetic")
    assert (code, report["findings"]) == (0, [])
    assert record in report["withheld"]
    metadata = json.loads((tmp_path / "out/synthetic/data/ro-crate-metadata.json").read_text(encoding="utf-8"))
    errors = {e["error"] for e in metadata["@graph"] if "error" in e}
    assert errors == {"ValueError", "KeyError: 'ALBI' <b>"}  # that of the synthetic cohort in full


def test_of_a_checkout_only_tracked_files_are_packed(root, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(root, study)
    subprocess.run(["git", "init", "-q", str(study)], check=True)
    subprocess.run(["git", "-C", str(study), "add", "-A"], check=True)
    scratch = ["src/notes on patients.txt", "docs/患者.md", "data/public/hcc_resection/linked.csv"]
    for name in scratch:
        (study / name).write_text("scratch\n", encoding="utf-8")
    packed = set(read_contents(study, "synthetic", [PAPER]).sources)
    assert packed == set(read_contents(root, "synthetic", [PAPER]).sources)
    (study / "docs/患者.md").rename(study / "docs/新.md")
    subprocess.run(["git", "-C", str(study), "add", "docs/新.md"], check=True)
    assert set(read_contents(study, "synthetic", [PAPER]).sources) == packed | {"docs/新.md"}


def test_without_git_all_files_of_the_folders_count(root, tmp_path, monkeypatch):
    study = tmp_path / "study"
    shutil.copytree(root, study)
    (study / ".git").mkdir()  # a checkout on a machine without git, or one that git refuses to read
    expected = set(read_contents(root, "synthetic", [PAPER]).sources)
    assert set(read_contents(study, "synthetic", [PAPER]).sources) == expected
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(read_contents(study, "synthetic", [PAPER]).sources) == expected


def test_a_tree_whose_results_were_changed_is_not_packed(root, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(root, study)
    (study / "results/synthetic/figures/flow.csv").write_text("step,n\n1,13\n")
    with pytest.raises(SealError, match=r"flow\.csv"):
        plan_bag(read_contents(study, "synthetic", [PAPER]))
