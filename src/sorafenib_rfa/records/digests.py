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


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, or, for a folder, of its files' relative paths and digests."""
    if path.is_dir():
        listing = "".join(f"{m.relative_to(path).as_posix()}\0{sha256_of(m)}\n" for m in members(path))
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return sum(m.stat().st_size for m in members(path)) if path.is_dir() else path.stat().st_size


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
    """Return path, sha256 and size in bytes of each file or folder, sorted by path."""
    return [
        {"path": name, "sha256": sha256_of(Path(name)), "bytes": size_of(Path(name))} for name in sorted(set(paths))
    ]
