"""Digests of files and folders, as records state them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TIMESTAMP = ".snakemake_timestamp"
"""Snakemake leaves this file in every folder that is an output; it is not part of the folder's content."""


def members(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without Snakemake's time stamp."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != TIMESTAMP)


def _listing_digest(digests: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a folder: over its files' relative paths and digests, in the order of their paths."""
    return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in sorted(digests)).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, or, for a folder, of its files' relative paths and digests."""
    if path.is_dir():
        return _listing_digest((m.relative_to(path).as_posix(), sha256_of(m)) for m in members(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_each(root: Path, paths: Iterable[str]) -> dict[str, str | None]:
    """Return path -> digest, None for what does not exist; hashes on several threads, which hashlib allows."""
    unique = sorted(set(paths))

    def digest(name: str) -> str | None:
        try:
            return sha256_of(root / name)
        except FileNotFoundError:
            return None

    with ThreadPoolExecutor() as pool:
        return dict(zip(unique, pool.map(digest, unique), strict=True))


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
