"""The study in one file that checks itself: BagIt 1.0 in a zip, an RO-Crate as payload and ``verify.py`` beside it.

RFC 8493. The payload ``<cohort>/data/`` has the layout of the repository, so that results can be adopted from it and
compared with it; ``data/ro-crate-metadata.json`` makes the payload a crate. Private data stay behind: ``withheld.json``
names them with their digests. The `bagit` library is not used to write: it comes as source only and copies the payload;
tests check the bag with it.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sorafenib_rfa.errors import Problem, SealError
from sorafenib_rfa.export.citation import read_citation
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.export.crate import describe
from sorafenib_rfa.export.prov_document import prov_document
from sorafenib_rfa.records.digests import members, sha256_of

CRATE = "ro-crate-metadata.json"
PROV = "prov.json"
CODECHECK = "codecheck.yml"
VERIFIER = Path(__file__).with_name("verify.py")


@dataclass(frozen=True)
class Packed:
    """What a bag holds.

    Attributes
    ----------
    carried : tuple of str
        Files of the repository in the payload, relative to it.
    withheld : tuple of dict
        ``path``, ``sha256``, ``bytes`` of recorded files that are private and stay behind.
    """

    carried: tuple[str, ...]
    withheld: tuple[dict, ...]


def plan_bag(contents: Contents) -> Packed:
    """Return what goes into the bag and what is withheld.

    Raises
    ------
    SealError
        If a recorded file is missing or is no longer what its record states; a bag of such a tree would be refused by
        its own checker.
    """
    carried = {*contents.sources, *contents.records, *contents.failed, *contents.run_logs, *contents.code}
    withheld, problems = [], []
    for fact in contents.files.values():
        path = contents.root / fact.path
        if contents.is_private(fact.path):
            withheld.append({"path": fact.path, "sha256": fact.sha256, "bytes": fact.bytes})
            continue
        found = sha256_of(path) if path.exists() else None
        if found != fact.sha256:
            problems.append(
                Problem(
                    "the file is not what the job records state" if found else "the file does not exist",
                    file=fact.path,
                    found=found,
                    expected=fact.sha256,
                    hint="run make paper; sorafenib-rfa status tells what is broken",
                )
            )
        elif path.is_dir():
            carried.update(member.relative_to(contents.root).as_posix() for member in members(path))
        else:
            carried.add(fact.path)
    for name in contents.failed:
        if contents.is_private(name):  # the run log tells of it
            content = (contents.root / name).read_bytes()
            withheld.append({"path": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})
    missing = [name for name in contents.code if not (contents.root / name).is_file()]
    problems.extend(Problem("code as it ran is not kept", file=name) for name in missing)
    if problems:
        raise SealError(problems)
    return Packed(tuple(sorted(name for name in carried if not contents.is_private(name))), tuple(withheld))


def _manifest(digests: dict[str, str]) -> bytes:
    """Return a BagIt manifest; line breaks and per cent signs in names are encoded as the standard asks."""
    lines = []
    for name in sorted(digests):
        encoded = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
        lines.append(f"{digests[name]}  {encoded}\n")
    return "".join(lines).encode()


def _read(contents: Contents, path: str) -> bytes:
    """Return the bytes of a file; of a run log, which other jobs append to, only whole lines."""
    content = (contents.root / path).read_bytes()
    return content[: content.rfind(b"\n") + 1] if path in contents.run_logs else content


def write_bag(contents: Contents, destination: Path, *, publication_date: str, source_date_epoch: int) -> Packed:
    """Write the bag of a paper as one zip file.

    Parameters
    ----------
    contents : Contents
        What the records of the paper name.
    destination : Path
        The zip file.
    publication_date : str
        ISO date; the date of bagging and of the crate, so that the same contents give the same bytes.
    source_date_epoch : int
        Seconds; the time stamp of every entry.

    Raises
    ------
    SealError
        If a file is missing or differs from its record.
    """
    plan = plan_bag(contents)
    citation = read_citation(contents.root)
    carried = set(plan.carried)
    folders = {path for path in contents.files if (contents.root / path).is_dir() and not contents.is_private(path)}
    crate = describe(contents, lambda path: path in carried or path in folders, publication_date)
    made = {
        CRATE: json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n",
        PROV: prov_document(contents).serialize(format="json", indent=1).encode() + b"\n",
    }
    codecheck = f"results/{contents.cohort}/paperwork/{CODECHECK}"
    if codecheck in contents.files:  # its specification wants it at the top of what is checked
        made[CODECHECK] = (contents.root / codecheck).read_bytes()
    stamp = time.gmtime(max(source_date_epoch, 315532800))[:6]  # a zip cannot state a time before 1980
    payload: dict[str, str] = {}
    size = 0
    destination.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

        def write(name: str, content: bytes, *, executable: bool = False) -> str:
            entry = zipfile.ZipInfo(f"{contents.cohort}/{name}", stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on any system: the mode below counts
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, content)
            return hashlib.sha256(content).hexdigest()

        for path in sorted([*plan.carried, *made]):
            content = made[path] if path in made else _read(contents, path)
            payload[f"data/{path}"] = write(f"data/{path}", content)
            size += len(content)
        private = [name for name in contents.cohorts if not contents.is_open(name)]
        tags = {
            "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bag-info.txt": _bag_info(contents, citation.title, publication_date, size, len(payload)),
            "manifest-sha256.txt": _manifest(payload),
            "verify.py": VERIFIER.read_bytes(),
            "withheld.json": json.dumps(
                {
                    "why": "Data of cohorts without a public licence are not given away; records hold their digests.",
                    "cohorts": private,
                    "files": list(plan.withheld),
                },
                indent=1,
                ensure_ascii=False,
            ).encode()
            + b"\n",
        }
        digests = {name: write(name, content, executable=name == "verify.py") for name, content in sorted(tags.items())}
        write("tagmanifest-sha256.txt", _manifest(digests))
    return plan


def _bag_info(contents: Contents, title: str, publication_date: str, size: int, files: int) -> bytes:
    """Return ``bag-info.txt``."""
    citation = read_citation(contents.root)
    synthetic = [name for name, config in contents.configs.items() if config.synthetic]
    rows = [
        *(("Source-Organization", author.name) for author in citation.authors),
        ("External-Identifier", f"{contents.cohort} of {title}"),
        (
            "External-Description",
            "The paper with everything it was made from: sources, raw data, results, job records, code as it ran. "
            + (f"Synthetic data: {', '.join(synthetic)}. " if synthetic else "")
            + "Check with: python3 verify.py",
        ),
        ("Bagging-Date", publication_date),
        ("Payload-Oxum", f"{size}.{files}"),
        ("Bag-Group-Identifier", f"{citation.version}"),
    ]
    return "".join(f"{key}: {value}\n" for key, value in rows).encode()
