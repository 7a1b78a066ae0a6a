#!/usr/bin/env python3
"""Check a bag of sorafenib-rfa: python3 verify.py [FOLDER] [--json].

Needs Python 3.9 or newer and nothing else: no installation, no network. FOLDER is the unpacked bag, by default the one
in which this file lies. What is checked:

1. the bag: every payload and tag file is there, is listed, and has the sha256 of its manifest;
2. the records of the jobs: each carries a seal over what it states, and each file that went into or came out of a job
   is the file that the record states;
3. the chain: each input names the record and the seal of the job that made it, and that job states the same;
4. the code: the bytes of every file of code that ran are kept under their own sha256;
5. the run log: each line holds the digest of the line before, each record, of failed jobs too, is the one the log saw
   being written, and no failed job that it saw is left out;
6. completeness: each result in the bag is the output of one of its records.

Exit code: 0 nothing wrong, 1 something is wrong and named, 2 this is no bag or the arguments are not understood.

This file is a tag file of the bag and is itself in tagmanifest-sha256.txt. Who does not trust a checker that comes with
the bag: `sha256sum -c manifest-sha256.txt` does the first step, and `sorafenib-rfa` of the repository does all of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import unicodedata
from typing import Any

MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
WITHHELD = "withheld.json"
NOT_RECORDS = ("code", "failed")
TIMESTAMP = ".snakemake_timestamp"
FORMAT = 2
SHOWN_FILES, SHOWN_FINDINGS = 50, 3
"""How much is printed; ``--json`` holds all."""


def canonical(content: Any) -> bytes:
    """Return JSON in its one canonical form."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(content: bytes) -> str:
    """Return the sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def shown(text: Any) -> str:
    """Return text without characters that would steer a terminal or turn the direction of writing."""
    return "".join(
        c if c == " " or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else "\\u%04x" % ord(c)  # noqa: UP031
        for c in str(text)
    )


def inside(path: Any) -> bool:
    """Say whether a path of a record stays inside the bag."""
    return isinstance(path, str) and path != "" and path[0] not in "/\\" and ".." not in path.split("/")


def well_formed(content: Any) -> bool:
    """Say whether JSON has the shape of a job record: what is read from it below is there and of its kind."""

    def file(entry: Any) -> bool:
        members = entry.get("members", [])
        made_by = entry.get("made_by")
        return (
            inside(entry["path"])
            and isinstance(entry["sha256"], str)
            and (made_by is None or (inside(made_by["record"]) and isinstance(made_by["seal"], str)))
            and all(inside(member["path"]) and isinstance(member["sha256"], str) for member in members)
        )

    try:
        return (
            content["format"] == FORMAT
            and content["status"] in ("finished", "failed")
            and inside(content["cohort"])
            and isinstance(content["seal"], str)
            and isinstance(content["code"]["digest"], str)
            and all(file(entry) for entry in [*content["inputs"], *content["outputs"]])
            and all(
                inside(entry["sha256"]) and isinstance(entry["identity"], str) and isinstance(name, str)
                for name, entry in content["code"]["files"].items()
            )
        )
    except (KeyError, TypeError, AttributeError):
        return False


class Bag:
    """An unpacked bag and what is wrong with it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.findings: list[dict[str, str]] = []
        self.digests: dict[str, str | None] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.failed: set[str] = set()
        self.logged: dict[str, set[str]] = {}
        self.withheld: dict[str, str] = {}
        self.counts = {"files": 0, "bytes": 0, "records": 0, "failed jobs": 0, "code files": 0, "log lines": 0}
        self.not_here: set[str] = set()

    def find(self, kind: str, path: str, message: str) -> None:
        """Note something that is wrong, once."""
        finding = {"kind": kind, "path": path, "message": message}
        if finding not in self.findings:
            self.findings.append(finding)

    def digest(self, path: str) -> str | None:
        """Return the sha256 of a file, or of a folder's listing; None if there is neither. Relative to the bag."""
        if path not in self.digests:
            absolute = os.path.join(self.folder, *path.split("/"))
            if os.path.isdir(absolute):
                names = sorted(self.below(path))
                listing = "".join(f"{name[len(path) + 1 :]}\0{self.digest(name)}\n" for name in names)
                self.digests[path] = digest_of(listing.encode(errors="surrogateescape"))
            elif os.path.isfile(absolute):
                whole = hashlib.sha256()
                with open(absolute, "rb") as stream:
                    for chunk in iter(lambda: stream.read(1 << 20), b""):
                        whole.update(chunk)
                self.digests[path] = whole.hexdigest()
            else:
                self.digests[path] = None
        return self.digests[path]

    def below(self, path: str) -> list[str]:
        """Return the files below a folder, relative to the bag."""
        found = []
        for folder, _, names in os.walk(os.path.join(self.folder, *path.split("/"))):
            inside = os.path.relpath(folder, self.folder).replace(os.sep, "/")
            found.extend(f"{inside}/{name}" for name in names if name != TIMESTAMP)
        return found

    def read_json(self, path: str) -> Any:
        """Return the content of a JSON file, None if it is none (which is noted)."""
        try:
            with open(os.path.join(self.folder, *path.split("/")), "rb") as stream:
                content = json.loads(stream.read())
        except (OSError, ValueError, RecursionError) as error:
            self.find("unreadable", path, f"is not readable as JSON: {error}")
            return None
        if content is None:
            self.find("unreadable", path, "holds nothing")
        return content

    # --- 1. the bag ---

    def check_manifest(self, name: str) -> set[str]:
        """Check the files that a manifest lists and return them."""
        listed = set()
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", newline="") as stream:
                lines = stream.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            self.find("missing", name, f"the manifest cannot be read: {error}")
            return listed
        for number, line in enumerate(lines, start=1):
            expected, _, path = line.partition("  ")
            path = path.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
            if len(expected) != 64 or not path or path.startswith("/") or ".." in path.split("/"):
                self.find("changed", name, f"line {number} is no line of a manifest")
                continue
            listed.add(path)
            found = self.digest(path)
            if found is None:
                self.find("missing", path, f"is listed in {name} and is not there")
            elif found != expected:
                self.find("changed", path, f"sha256 is {found}, {name} states {expected}")
        return listed

    def check_bag(self) -> None:
        """Check declaration, manifests and completeness."""
        try:
            with open(os.path.join(self.folder, "bagit.txt"), encoding="utf-8") as stream:
                declaration = stream.read().split()
        except (OSError, UnicodeDecodeError):
            declaration = []
        if declaration != ["BagIt-Version:", "1.0", "Tag-File-Character-Encoding:", "UTF-8"]:
            self.find("changed", "bagit.txt", "does not declare BagIt 1.0 in UTF-8")
        listed = self.check_manifest(MANIFEST)
        tags = self.check_manifest(TAG_MANIFEST)
        payload = set(self.below("data"))
        for path in sorted(payload - listed):
            self.find("unlisted", path, f"lies in the payload and is not listed in {MANIFEST}")
        others = {name for name in os.listdir(self.folder) if os.path.isfile(os.path.join(self.folder, name))}
        for name in sorted(others - tags - {TAG_MANIFEST}):
            if not name.startswith("."):
                self.find("unlisted", name, f"lies beside the payload and is not listed in {TAG_MANIFEST}")
        self.counts["files"] = len(payload)
        self.counts["bytes"] = sum(os.path.getsize(os.path.join(self.folder, *name.split("/"))) for name in payload)
        if WITHHELD in tags:
            content = self.read_json(WITHHELD)
            try:
                self.withheld = {entry["path"]: entry["sha256"] for entry in content["files"]}
            except (KeyError, TypeError):
                self.find("changed", WITHHELD, "does not list what was withheld")

    # --- 2. and 3. records and their chain ---

    def check_file(self, entry: dict[str, Any], record: str, role: str) -> None:
        """Check that a file is what a record states."""
        path, expected = entry["path"], entry["sha256"]
        found = self.digest("data/" + path)
        if found is None:
            if self.withheld.get(path) == expected:
                self.not_here.add(path)
            else:
                self.find("missing", "data/" + path, f"is an {role} of {record} and is not there")
        elif found != expected:
            for member in entry.get("members", []):
                there = self.digest(f"data/{path}/{member['path']}")
                if there != member["sha256"]:
                    what = f"sha256 is {there}" if there else "is not there"
                    self.find(
                        "changed" if there else "missing",
                        f"data/{path}/{member['path']}",
                        f"{what}; as part of an {role} of {record} the record states {member['sha256']}",
                    )
            self.find(
                "changed", "data/" + path, f"sha256 is {found}; as {role} of {record} the record states {expected}"
            )

    def read_records(self) -> None:
        """Read all records and check their seals."""
        for path in sorted(self.below("data/results")):
            parts = path.split("/")
            if len(parts) < 6 or parts[3] != "records" or parts[4] == "code" or not path.endswith(".json"):
                continue
            content = self.read_json(path)
            if content is None:
                continue
            if not well_formed(content):
                self.find("changed", path, f"is no job record of format {FORMAT}")
                continue
            sealed = {key: value for key, value in content.items() if key not in ("seal", "run")}
            if digest_of(canonical(sealed)) != content["seal"]:
                self.find("changed", path, "its seal does not fit what it states: the record was changed")
            if parts[4] == "failed":
                self.counts["failed jobs"] += 1
                self.failed.add(path[len("data/") :])
            else:
                self.records[path[len("data/") :]] = content
            self.check_code(path, content)
        self.counts["records"] = len(self.records)
        if not self.records:
            self.find("missing", "data/results", "there is no job record")

    def check_records(self) -> None:
        """Check files and upstream seals of every record."""
        for path, content in sorted(self.records.items()):
            for entry in content["outputs"]:
                self.check_file(entry, path, "output")
            for entry in content["inputs"]:
                self.check_file(entry, path, "input")
                made_by = entry.get("made_by")
                if made_by is None:
                    continue
                maker = self.records.get(made_by["record"])
                if maker is None:
                    self.find("missing", "data/" + made_by["record"], f"made {entry['path']}, an input of {path}")
                    continue
                # a maker that ran again is no harm if it made the same, and if the run that is named took place
                if maker["seal"] != made_by["seal"] and made_by["seal"] not in self.logged.get(made_by["record"], ()):
                    self.find(
                        "chain",
                        "data/" + made_by["record"],
                        f"has the seal {maker['seal']}; {path} was made from {made_by['seal']}",
                    )
                stated = {each["path"]: each["sha256"] for each in maker["outputs"]}
                if stated.get(entry["path"], entry["sha256"]) != entry["sha256"]:
                    self.find("chain", "data/" + path, f"read another {entry['path']} than {made_by['record']} made")

    # --- 4. code ---

    def check_code(self, path: str, content: dict[str, Any]) -> None:
        """Check that the code of a record is kept and is what the record states."""
        files = content["code"]["files"]
        if not files and content["status"] == "failed":  # it failed before any code of the study ran
            return
        joined = "\n".join(f"{name} {files[name]['identity']}" for name in sorted(files))
        if digest_of(joined.encode()) != content["code"]["digest"]:
            self.find("changed", path, "the digest of its code does not fit the files of code it names")
        for name, entry in sorted(files.items()):
            kept = f"data/results/{content['cohort']}/records/code/{entry['sha256']}"
            found = self.digest(kept)
            if found is None:
                self.find("missing", kept, f"is {name} as it ran for {path} and is not kept")
            elif found != entry["sha256"]:
                self.find("changed", kept, f"is {name} as it ran; its content has the sha256 {found}")

    # --- 5. run log ---

    def check_logs(self) -> None:
        """Check the chain of each run log, and that each record is the one the log saw."""
        for cohort in sorted({path.split("/")[1] for path in self.records}):
            path = f"data/results/{cohort}/records/run_log.jsonl"
            try:
                with open(os.path.join(self.folder, *path.split("/")), "rb") as stream:
                    lines = stream.read().split(b"\n")
            except OSError:
                self.find("missing", path, "there is no run log")
                continue
            if lines.pop() != b"":
                self.find("changed", path, "the last line has no end")
            previous, written, failed = "", {}, {}
            for number, line in enumerate(lines, start=1):
                try:
                    entry = json.loads(line)
                    rest = {key: value for key, value in entry.items() if key != "digest"}
                    sound = canonical(entry) == line and entry["digest"] == digest_of(canonical(rest))
                    chained = entry["previous"] == previous and entry["seq"] == number
                except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                    self.find("changed", path, f"line {number} is no line of a run log")
                    previous = digest_of(line)
                    continue
                if not sound:
                    self.find("changed", path, f"line {number} was changed after it was written")
                elif not chained:
                    self.find("chain", path, f"the line before line {number} was changed, removed or inserted")
                previous = entry["digest"]
                if entry.get("event") in ("finished", "adopted"):
                    written[entry.get("record")] = entry.get("record_sha256")
                    self.logged.setdefault(entry.get("record"), set()).add(entry.get("seal"))
                elif entry.get("event") == "failed":
                    failed[entry.get("record")] = entry.get("record_sha256")
            self.counts["log lines"] += len(lines)
            for record in sorted(self.records):
                if record.split("/")[1] != cohort:
                    continue
                if record not in written:
                    self.find("chain", "data/" + record, "the run log does not know this record")
                elif written[record] != self.digest("data/" + record):
                    self.find("changed", "data/" + record, "is not the record that the run log saw being written")
            for record in sorted(self.failed - set(failed)):
                if record.split("/")[1] == cohort:
                    self.find("chain", "data/" + record, "the run log knows of no such failed job")
            for record, expected in sorted(failed.items(), key=str):
                if not inside(record):
                    self.find("changed", path, "a failed job names no record")
                    continue
                found = self.digest("data/" + record)
                if found is None and expected is not None and self.withheld.get(record) == expected:
                    self.not_here.add(record)
                elif found is None:
                    self.find("missing", "data/" + record, "the run log saw this job fail, and its record is not there")
                elif found != expected:
                    self.find("changed", "data/" + record, "is not the record that the run log saw being written")

    # --- 6. completeness ---

    def check_results(self) -> None:
        """Check that each result is the output of a record: one whose record was taken away rests on nothing."""
        made = {entry["path"] for content in self.records.values() for entry in content["outputs"]}
        for name in sorted(self.below("data/results")):
            parts = name.split("/")[1:]
            if parts[2:3] == ["records"]:
                continue
            if not any("/".join(parts[:depth]) in made for depth in range(1, len(parts) + 1)):  # a file, or its folder
                self.find("unclaimed", name, "is a result, and no record says which job made it")

    def check(self) -> dict[str, Any]:
        """Check everything and return the report."""
        self.check_bag()
        self.read_records()
        self.check_logs()
        self.check_records()
        self.check_results()
        self.counts["code files"] = sum(
            1 for path in self.digests if len(path.split("/")) == 6 and path.split("/")[3:5] == ["records", "code"]
        )
        read = {entry["path"] for content in self.records.values() for entry in content["inputs"]}
        last = {
            path: content["seal"]
            for path, content in sorted(self.records.items())
            if content["outputs"] and not any(entry["path"] in read for entry in content["outputs"])
        }
        return {
            "verdict": "not verified" if self.findings else "verified",
            "counts": self.counts,
            "withheld": sorted(self.not_here),
            "findings": self.findings,
            "tagmanifest_sha256": self.digest(TAG_MANIFEST),
            "seals_of_last_jobs": last,
        }


def main() -> int:
    """Check the bag and print what was found."""
    parser = argparse.ArgumentParser(
        description="Check a bag of sorafenib-rfa; needs nothing but Python. Exit code 0: nothing wrong, 1: something "
        "is wrong and named, 2: no bag."
    )
    parser.add_argument("folder", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    if not os.path.isfile(os.path.join(arguments.folder, "bagit.txt")) or not os.path.isdir(
        os.path.join(arguments.folder, "data")
    ):
        print(f"{shown(arguments.folder)} is no bag: bagit.txt or data/ is missing", file=sys.stderr)
        return 2
    report = Bag(arguments.folder).check()
    if arguments.json:
        print(json.dumps(report, indent=1, ensure_ascii=True))
        return 1 if report["findings"] else 0
    counts = ", ".join(f"{value:,} {name}" for name, value in report["counts"].items())
    print(f"Checked: {counts}.")
    if report["withheld"]:
        print(f"Private and not in the bag, known by their digest: {len(report['withheld'])} files.")
    if report["findings"]:
        by_path: dict[str, list[dict[str, str]]] = {}
        for finding in report["findings"]:
            by_path.setdefault(finding["path"], []).append(finding)
        print(f"NOT VERIFIED: {len(by_path)} file{'s' if len(by_path) != 1 else ''}")
        for path, findings in list(by_path.items())[:SHOWN_FILES]:
            print(f"  {shown(path)}")
            for finding in findings[:SHOWN_FINDINGS]:
                print(f"    {finding['kind']}: {shown(finding['message'])}")
            if len(findings) > SHOWN_FINDINGS:
                print(f"    and {len(findings) - SHOWN_FINDINGS} more findings")
        if len(by_path) > SHOWN_FILES:
            print(f"  and {len(by_path) - SHOWN_FILES} more files; --json lists all")
        return 1
    print("VERIFIED: every file, record, seal and line of the run log fits.")
    print(f"To compare with a published value: sha256 of {TAG_MANIFEST} is {report['tagmanifest_sha256']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
