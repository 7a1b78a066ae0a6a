"""The attestation: what in-toto's own library accepts, the verdict it carries, a signature that ssh-keygen checks."""

import functools
import hashlib
import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from google.protobuf.json_format import Parse
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from sorafenib_rfa.cli.attest import command
from sorafenib_rfa.errors import SealError
from sorafenib_rfa.export.contents import read_contents
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.export.in_toto import read_verification, result_of, write_statement
from sorafenib_rfa.provenance.compare import Comparison
from sorafenib_rfa.provenance.verify import CLASSIFICATIONS, ClaimChecked, Verdict, Verified, verify
from sorafenib_rfa.records.record import load_records
from sorafenib_rfa.records.seals import Breach
from tests.unit.export_study import PAPER, make_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study")).root


@pytest.fixture(scope="module")
def contents(root):
    return read_contents(root, "synthetic", [PAPER])


@pytest.fixture(scope="module")
def verdict(root):
    """Return what makes the output of the command verify for the study, by its own class."""
    return functools.partial(printed, root)


def printed(root, *, asked_for=None, **changes):
    records = load_records(root)
    wanted = {each.path for each in records.upstream(asked_for)} if asked_for else set(records)
    given = {
        "classification": CLASSIFICATIONS[0],
        "reasons": (),
        "claim": None,
        "records": 8,
        "breaches": (),
        "rerun": {"jobs": 8},
        "comparisons": (Comparison(PAPER, "identical"),),
        "environment": {"python": "3.11.7", "platform": "Linux"},
        "seconds": 12.0,
        "verified": tuple(
            Verified(entry["path"], entry["sha256"], path, records[path].seal, asked_for in (None, entry["path"]))
            for path in sorted(wanted)
            for entry in records[path].outputs
        ),
    } | changes
    return Verdict(**given).to_json()


def written(tmp_path, content):
    path = tmp_path / "verification.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_the_library_of_in_toto_accepts_it(contents, verdict, tmp_path):
    path = written(tmp_path, verdict())
    write_statement(contents, path, tmp_path / "statement.json")
    text = (tmp_path / "statement.json").read_text(encoding="utf-8")
    Statement.copy_from_pb(Parse(text, statement_pb2.Statement())).validate()
    predicate = json.dumps(json.loads(text)["predicate"])
    result = Parse(predicate, test_result_pb2.TestResult())  # an unknown key is an error
    assert result.result == "PASSED"
    assert list(result.passed_tests) == ["seals of 8 records", "1 outputs made again: identical"]


def test_it_is_about_the_papers_files_and_rests_on_all_sources(contents, verdict, root, tmp_path):
    path = written(tmp_path, verdict())
    made = write_statement(contents, path, tmp_path / "statement.json")
    subjects = {each["name"]: each["digest"]["sha256"] for each in made["subject"]}
    assert subjects[PAPER] == hashlib.sha256((root / PAPER).read_bytes()).hexdigest()
    materials = {each["name"]: each for each in made["predicate"]["configuration"]}
    assert materials["verification.json"]["digest"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for name in ("requirements.lock", "config/plan.yaml", "data/raw/synthetic/cn01/患者.csv"):
        assert materials[name]["digest"]["sha256"] == hashlib.sha256((root / name).read_bytes()).hexdigest()
    records = [each for each in materials.values() if each.get("annotations", {}).get("role") == "record"]
    assert len(records) == len(contents.records)


@pytest.mark.parametrize(
    ("classification", "expected"),
    list(zip([*CLASSIFICATIONS, None], ["PASSED", "WARNED", "FAILED", "FAILED", "PASSED"], strict=True)),
)
def test_the_verdict_becomes_the_result(verdict, classification, expected):
    assert result_of(verdict(classification=classification)) == expected


def test_a_broken_seal_fails_whatever_was_reproduced(contents, verdict, tmp_path):
    breach = Breach("results/a.csv", "output_changed", "results/r.json", "0" * 64, "1" * 64, "it was changed")
    path = written(tmp_path, verdict(breaches=(breach,)))
    predicate = write_statement(contents, path, tmp_path / "statement.json")["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == ["seals of 8 records", "seal: results/a.csv: it was changed"]


def test_outputs_that_differ_are_named(contents, verdict, tmp_path):
    comparison = Comparison("results/synthetic/ard/ard.csv", "different")
    content = verdict(
        classification=CLASSIFICATIONS[2],
        reasons=(("Discrepancy in output", "one number differs"),),
        comparisons=(comparison,),
    )
    predicate = write_statement(contents, written(tmp_path, content), tmp_path / "s.json")["predicate"]
    assert "output: results/synthetic/ard/ard.csv: different" in predicate["failedTests"]
    assert predicate["warnedTests"] == ["Discrepancy in output: one number differs"]


def test_a_verification_of_another_tree_is_refused(contents, tmp_path):
    (tmp_path / "other").mkdir()
    other = make_study(tmp_path / "other")
    figure = other.put("results/synthetic/figures/flow.csv", "step,n\n1,13\n")
    images = [f"results/synthetic/figures/flow.{kind}" for kind in ("svg", "pdf", "png")]
    rows = "results/synthetic/ard/ard.parquet"
    other.job("draw_figures_of_synthetic", "synthetic", "synthetic", {"ard": rows}, {"images": images, "drawn": figure})
    with pytest.raises(SealError, match=r"flow\.csv[\s\S]*another tree") as refused:
        write_statement(contents, written(tmp_path, printed(other.root)), tmp_path / "s.json")
    assert "baseline" not in str(refused.value)  # what is the same in both is not named
    assert not (tmp_path / "s.json").exists()


def test_what_was_asked_for_by_name_is_the_subject(contents, verdict, root, tmp_path):
    asked = "results/synthetic/figures/flow.csv"
    content = verdict(asked_for=asked, claim=ClaimChecked("figure:synthetic:flow", "figure", (), ()))
    made = write_statement(contents, written(tmp_path, content), tmp_path / "s.json")
    digest = hashlib.sha256((root / asked).read_bytes()).hexdigest()
    assert made["subject"] == [{"name": asked, "digest": {"sha256": digest}}]


def test_verify_itself_says_by_digest_what_it_is_about(contents, root, tmp_path):
    content = verify(root, rerun=False).to_json()
    assert {each["path"]: each["sha256"] for each in content["verified"]} == {
        entry["path"]: entry["sha256"] for record in contents.records.values() for entry in record.outputs
    }
    made = write_statement(contents, written(tmp_path, content), tmp_path / "s.json")
    assert PAPER in {each["name"] for each in made["subject"]}


def test_a_verification_of_a_part_does_not_speak_for_the_paper(contents, verdict, tmp_path):
    content = verdict(asked_for="results/synthetic/figures/flow.csv")
    with pytest.raises(SealError, match="was not verified"):
        write_statement(contents, written(tmp_path, content), tmp_path / "s.json")


@pytest.mark.parametrize("verified", [[], [{}], ["a"], None])
def test_a_verification_without_digests_is_refused(verdict, tmp_path, verified):
    with pytest.raises(ExportError, match="by digest what it is about"):
        read_verification(written(tmp_path, verdict() | {"verified": verified}))


def test_a_result_changed_since_is_not_attested(verdict, root, tmp_path):
    study = shutil.copytree(root, tmp_path / "study")
    (study / PAPER).write_text("another paper")
    with pytest.raises(SealError, match="no longer what was verified"):
        write_statement(read_contents(study, "synthetic", [PAPER]), written(tmp_path, verdict()), tmp_path / "s.json")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"classification": "excellent"}'])
def test_what_verify_did_not_print_is_refused(tmp_path, content):
    path = tmp_path / "verification.json"
    path.write_text(content)
    with pytest.raises(ExportError, match="verify --json"):
        read_verification(path)


# --- the command -------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "thrown away", "-f", str(path)], check=True)
    return path


def test_a_signed_statement_is_checked_with_ssh_keygen(verdict, root, key, tmp_path):
    path, output = written(tmp_path, verdict()), tmp_path / "attestation.json"
    done = CliRunner().invoke(
        command, [str(path), "--root", str(root), "--output", str(output), "--sign", str(key), "--json"]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["result"], said["signature"]) == ("PASSED", f"{output}.sig")
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"reviewer@journal.example {key.with_suffix('.pub').read_text(encoding='utf-8')}")

    def checked(namespace="sorafenib-rfa"):
        asked = ["-f", str(allowed), "-I", "reviewer@journal.example", "-n", namespace, "-s", said["signature"]]
        return subprocess.run(
            ["ssh-keygen", "-Y", "verify", *asked], stdin=output.open("rb"), capture_output=True
        ).returncode

    assert checked() == 0
    assert checked(namespace="file") != 0
    output.write_text(output.read_text(encoding="utf-8").replace("PASSED", "FAILED"), encoding="utf-8")
    assert checked() != 0


def test_it_writes_a_certificate_with_the_verdict(verdict, root, tmp_path):
    path, draft = written(tmp_path, verdict()), tmp_path / "certificate.md"
    done = CliRunner().invoke(
        command,
        [str(path), "--root", str(root), "--output", str(tmp_path / "a.json"), "--certificate", str(draft)],
    )
    assert done.exit_code == 0, done.output
    assert "**full reproduction**" in draft.read_text(encoding="utf-8")


def test_a_failed_verification_ends_with_one_and_misuse_with_two(verdict, root, tmp_path):
    failed = written(tmp_path, verdict(classification=CLASSIFICATIONS[3]))
    arguments = ["--root", str(root), "--output", str(tmp_path / "a.json")]
    assert CliRunner().invoke(command, [str(failed), *arguments]).exit_code == 1
    missing = CliRunner().invoke(command, [str(tmp_path / "nothing.json"), *arguments])
    assert (missing.exit_code, "Traceback" in missing.output) == (2, False)
    no_key = CliRunner().invoke(command, [str(failed), *arguments, "--sign", str(tmp_path / "no key")])
    assert no_key.exit_code == 2
