"""Code as it ran: the bytes of every file a job may have executed, kept once under their digest beside the records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sorafenib_rfa.records.record import FOLDER
from sorafenib_rfa.records.whole import write_whole

NAME = "code"


def code_path(root: Path, cohort: str, sha256: str) -> Path:
    """Return where the file with this digest is kept."""
    return root / "results" / cohort / FOLDER / NAME / sha256


def code_bytes(root: Path, cohort: str, sha256: str) -> bytes:
    """Return the bytes of a file as it ran.

    Raises
    ------
    FileNotFoundError
        If the store does not hold it.
    """
    return code_path(root, cohort, sha256).read_bytes()


def keep_code(folder: Path, files: Iterable[Path]) -> dict[Path, str]:
    """Keep a copy of each file in `folder` under its sha256 and return the digests."""
    digests = {}
    for path in files:
        content = path.read_bytes()
        digests[path] = name = hashlib.sha256(content).hexdigest()
        if not (folder / name).exists():
            write_whole(folder / name, content)
    return digests
