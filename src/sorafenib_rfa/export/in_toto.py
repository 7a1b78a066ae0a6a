"""A verification as an in-toto statement, which can be signed and passed on.

Statement v1 with the predicate test-result v0.1: the subjects are the last results of the paper, the configuration
lists what the test rested on as the materials of a link would (the verification itself, sources, raw data, records),
the tests are the steps of ``sorafenib-rfa verify``. https://github.com/in-toto/attestation

Signing needs no service: ``ssh-keygen -Y sign`` makes a detached signature with the SSH key a person already has.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, SealError
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.records.digests import sha256_of
from sorafenib_rfa.records.record import load_records

STATEMENT: Final = "https://in-toto.io/Statement/v1"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
NAMESPACE: Final = "sorafenib-rfa"
"""Namespace of the signature: one made for something else does not pass for it."""

PASSED, WARNED, FAILED = "PASSED", "WARNED", "FAILED"
RESULTS: Final = {
    "full reproduction": PASSED,
    "full reproduction with minor issues": WARNED,
    "partial reproduction": FAILED,
    "not able to reproduce most or all of the results": FAILED,
}
"""The verdict of a verification -> the result of a test."""

NEEDED: Final = (
    "classification",
    "claim",
    "exit_code",
    "reasons",
    "seals",
    "outputs",
    "not_identical",
    "environment",
    "seconds",
    "verified",
)


def read_verification(path: Path) -> dict[str, Any]:
    """Return what ``sorafenib-rfa verify --json`` printed into a file.

    Raises
    ------
    ExportError
        If the file is no such output.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(
            Problem("the verification cannot be read", file=str(path), found=str(error), hint=_HOW)
        ) from None
    missing = [key for key in NEEDED if not isinstance(content, dict) or key not in content]
    if missing or content["classification"] not in (None, *RESULTS):
        raise ExportError(
            Problem(
                "this is no output of sorafenib-rfa verify --json",
                file=str(path),
                found=f"no key {missing[0]}" if missing else str(content["classification"]),
                hint=_HOW,
            )
        )
    try:
        whole = all(isinstance(each[key], str) for each in content["verified"] for key in _DIGESTS)
        whole = whole and all(isinstance(each["asked_for"], bool) for each in content["verified"])
    except (KeyError, TypeError):
        whole = False
    if not whole or not content["verified"]:
        raise ExportError(
            Problem("the verification does not say by digest what it is about", file=str(path), hint=_HOW)
        )
    return content


_DIGESTS: Final = ("path", "sha256", "record", "seal")
_HOW: Final = "make it with: sorafenib-rfa verify --json > verification.json"


def _resource(name: str, sha256: str, **annotations: Any) -> dict[str, Any]:
    """Return a resource descriptor."""
    given = {key: value for key, value in annotations.items() if value is not None}
    return {"name": name, "digest": {"sha256": sha256}} | ({"annotations": given} if given else {})


def result_of(verification: Mapping[str, Any]) -> str:
    """Return PASSED, WARNED or FAILED; a broken seal fails, whatever was made again."""
    if verification["seals"]["broken"] or verification["exit_code"]:
        return FAILED
    if verification["classification"] is None:  # only seals were checked
        return WARNED if verification["seals"]["moved_on"] else PASSED
    return RESULTS[verification["classification"]]


def _subjects(contents: Contents, verification: Mapping[str, Any]) -> dict[str, str]:
    """Return path -> sha256 of what is attested: what was asked for, or the files of the paper that no job reads.

    Raises
    ------
    SealError
        If the verification is not about this tree, or a file is no longer what was verified.
    """
    records = load_records(contents.root)
    problems = []
    for each in verification["verified"]:
        record = records.get(each["record"])
        stated = {entry["path"]: entry["sha256"] for entry in record.outputs} if record is not None else {}
        if record is None or record.seal != each["seal"] or stated.get(each["path"]) != each["sha256"]:
            problems.append(
                Problem(
                    "it is no longer what was verified, or another tree was: its record here has another seal",
                    file=each["path"],
                    found=f"seal {record.seal}, sha256 {stated.get(each['path'])}" if record else "no record",
                    expected=f"seal {each['seal']}, sha256 {each['sha256']}",
                )
            )
    if problems:
        hidden = len(problems) - SHOWN
        more = [Problem(f"and {hidden} more outputs, verify this tree: {_HOW}")] if hidden > 0 else []
        raise SealError([*problems[:SHOWN], *more])
    verified = {each["path"]: each["sha256"] for each in verification["verified"]}
    if verification["claim"]:
        paths = sorted(each["path"] for each in verification["verified"] if each["asked_for"])
    else:
        paths = sorted(entry["path"] for record in contents.final for entry in record.outputs)
    problems = [Problem("it was not verified", file=path, hint=_HOW) for path in paths if path not in verified]
    for path in paths:
        found = sha256_of(contents.root / path) if (contents.root / path).exists() else None
        if path in verified and found != verified[path]:
            problems.append(
                Problem("it is no longer what was verified", file=path, found=found, expected=verified[path])
            )
    if problems or not paths:
        raise SealError(problems or [Problem("the verification names no file that was asked for", hint=_HOW)])
    return {path: verified[path] for path in paths}


SHOWN: Final = 10
"""Outputs of another tree that are named; all others are counted."""


def statement(contents: Contents, verification: Mapping[str, Any], name: str, sha256: str) -> dict[str, Any]:
    """Return the statement about a verification.

    Parameters
    ----------
    contents : Contents
        What the records of the verified tree name.
    verification : mapping
        What ``sorafenib-rfa verify --json`` printed.
    name, sha256 : str
        Name and digest of the file with the verification.

    Returns
    -------
    dict
        Subjects are the files that no other job reads; of what was asked for by name, its own files; of a claim, the
        files of the results that hold its numbers.

    Raises
    ------
    SealError
        If the verification is about another tree, or a subject is no longer what was verified.
    """
    claim = verification["claim"]
    subjects = _subjects(contents, verification)
    seals, outputs = verification["seals"], verification["outputs"]
    passed, warned, failed = [], [], []
    checked = f"seals of {seals['records']} records"
    (failed if seals["broken"] else warned if seals["moved_on"] else passed).append(checked)
    failed += [f"seal: {breach['path']}: {breach['message']}" for breach in seals["broken"]]
    warned += [f"moved on: {breach['path']}: {breach['message']}" for breach in seals["moved_on"]]
    for level, found in (("identical", passed), ("equal", passed), ("different", failed), ("missing", failed)):
        if outputs.get(level):
            found.append(f"{outputs[level]} outputs made again: {level}")
    differing = [each for each in verification["not_identical"] if each["level"] in ("different", "missing")]
    failed += [f"output: {each['path']}: {each['level']}" for each in differing]
    warned += [f"{each['reason']}: {each['explanation']}" for each in verification["reasons"]]
    environment = verification["environment"]
    materials = [
        _resource(
            name,
            sha256,
            role="verification",
            classification=verification["classification"],
            claim=claim["id"] if claim else None,
            python=environment.get("python"),
            platform=environment.get("platform"),
            seconds=verification["seconds"],
        )
    ]
    materials += [_resource(path, sha256_of(contents.root / path), role="source") for path in contents.sources]
    materials += [
        _resource(fact.path, fact.sha256, role="data")
        for fact in contents.files.values()
        if any(fact.path.startswith(f"{config.raw.rstrip('/')}/") for config in contents.configs.values())
        and fact.path not in contents.sources
    ]
    materials += [
        _resource(path, sha256_of(contents.root / path), role="record", seal=record.seal)
        for path, record in contents.records.items()
    ]
    predicate: dict[str, Any] = {"result": result_of(verification), "configuration": materials}
    for key, tests in (("passedTests", passed), ("warnedTests", warned), ("failedTests", failed)):
        if tests:
            predicate[key] = tests
    return {
        "_type": STATEMENT,
        "subject": [_resource(path, digest) for path, digest in subjects.items()],
        "predicateType": TEST_RESULT,
        "predicate": predicate,
    }


def write_statement(contents: Contents, verification: Path, destination: Path) -> dict[str, Any]:
    """Write the statement about the verification in a file, and return it.

    Raises
    ------
    ExportError
        If the file holds no verification.
    """
    content = read_verification(verification)
    made = statement(contents, content, verification.name, hashlib.sha256(verification.read_bytes()).hexdigest())
    destination.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def sign(statement_file: Path, key: Path) -> Path:
    """Sign a statement with an SSH key and return the file with the detached signature, ``<statement>.sig``.

    Raises
    ------
    ExportError
        If ssh-keygen is not installed or refuses.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ExportError(Problem("ssh-keygen is not installed: nothing was signed", file=str(statement_file)))
    signature = statement_file.with_name(statement_file.name + ".sig")
    signature.unlink(missing_ok=True)  # ssh-keygen asks before it writes over a file
    done = subprocess.run(
        [program, "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(statement_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not signature.is_file():
        raise ExportError(Problem("ssh-keygen did not sign", file=str(key), found=done.stderr.strip()))
    return signature
