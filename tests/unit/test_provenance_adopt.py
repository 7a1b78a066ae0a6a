"""Whether the code here is the code that ran, also under another Python."""

import hashlib

import pytest

from sorafenib_rfa.provenance.adopt import _code_mismatch
from sorafenib_rfa.records.code_identity import CodeIdentity, combine
from sorafenib_rfa.records.record import Record

SCRIPT, MODULE = "workflow/scripts/count.py", "src/sorafenib_rfa/counting.py"


@pytest.fixture
def root(tmp_path):
    for name, text in ((SCRIPT, "from sorafenib_rfa.counting import n\n"), (MODULE, "n = 1\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src/sorafenib_rfa/__init__.py").write_text("")
    return tmp_path


def record_of(root, python):
    """The record of a run of SCRIPT under a Python that writes syntax trees in its own way."""
    files = {
        path: {
            "identity": hashlib.sha256(f"{python}{identity}".encode()).hexdigest(),
            "sha256": hashlib.sha256((root / path).read_bytes()).hexdigest(),
        }
        for path, identity in CodeIdentity(root).files(SCRIPT).items()
    }
    digest = combine((path, file["identity"]) for path, file in files.items())
    content = {"script": SCRIPT, "notebook": None, "code": {"digest": digest, "files": files}}
    return Record("results/c/records/count/c.json", content)


def test_the_same_bytes_are_the_same_code_whatever_python_recorded_them(root):
    assert _code_mismatch(record_of(root, "3.13"), CodeIdentity(root)) == []


def test_other_bytes_are_named(root):
    record = record_of(root, "3.13")
    (root / MODULE).write_text("n = 2\n")
    assert _code_mismatch(record, CodeIdentity(root)) == [f"other code here than ran: {MODULE}"]


def test_a_digest_that_does_not_fit_its_own_files_is_named(root):
    record = record_of(root, "3.13")
    record.content["code"]["digest"] = "0" * 64
    assert _code_mismatch(record, CodeIdentity(root)) == ["its digest of code is wrong"]
