"""Digests of files and folders, as records state them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sorafenib_rfa.records.whole import write_whole

TIMESTAMP = ".snakemake_timestamp"
"""Snakemake leaves this file in every folder that is an output; it is not part of the folder's content."""


def members(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without Snakemake's time stamp."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != TIMESTAMP)


def _listing_digest(digests: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a folder: over its files' relative paths and digests, in the order of their paths."""
    listing = "".join(f"{name}\0{digest}\n" for name, digest in sorted(digests))
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()  # a name need not be UTF-8


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, or, for a folder, of its files' relative paths and digests."""
    if path.is_dir():
        return _listing_digest((m.relative_to(path).as_posix(), sha256_of(m)) for m in members(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Digests:
    """Digests of files, remembered while a file's size, times and inode stay what they were.

    The time of the last change of state (ctime) is among them: it moves with every write and cannot be set back, unlike
    the modification time. Without a cache every file is read.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache
        self._known: dict[str, list[Any]] = {}
        self._found: dict[str, list[Any]] = {}
        if cache is not None:
            try:
                content = json.loads(cache.read_bytes())
                self._known = content if isinstance(content, dict) else {}
            except (OSError, ValueError):
                self._known = {}

    def _file(self, path: Path, stat: os.stat_result) -> str:
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._known.get(str(path))
        digest = known[1] if known is not None and known[0] == state else sha256_of(path)
        self._found[str(path)] = [state, digest]
        return digest

    def _digest(self, path: Path) -> str | None:
        try:
            stat = path.stat()
            if not path.is_dir():
                return self._file(path, stat)
            inside = [(m.relative_to(path).as_posix(), self._file(m, m.stat())) for m in members(path)]
            return _listing_digest(inside)
        except FileNotFoundError:
            return None

    def of_each(self, root: Path, paths: Iterable[str]) -> dict[str, str | None]:
        """Return path -> digest, None for what does not exist; hashes on several threads, which hashlib allows."""
        unique = sorted(set(paths))
        with ThreadPoolExecutor() as pool:
            digests = dict(zip(unique, pool.map(lambda name: self._digest(root / name), unique), strict=True))
        if self.cache is not None and self._found != self._known:
            write_whole(self.cache, json.dumps(self._found).encode())
        return digests


def describe_files(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return path, sha256 and size in bytes of each file or folder, sorted by path; of a folder also its ``members``.

    A member is described like a file, its path relative to the folder.
    """
    return [_described(Path(name), name) for name in sorted(set(paths))]


def _described(path: Path, name: str) -> dict[str, Any]:
    if not path.is_dir():
        return {"path": name, "sha256": sha256_of(path), "bytes": path.stat().st_size}
    inside = [_described(member, member.relative_to(path).as_posix()) for member in members(path)]
    digest = _listing_digest((member["path"], member["sha256"]) for member in inside)
    return {"path": name, "sha256": digest, "bytes": sum(m["bytes"] for m in inside), "members": inside}
