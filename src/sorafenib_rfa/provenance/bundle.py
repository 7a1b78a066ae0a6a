"""Results that come from elsewhere: a bag, a zip, a results folder; opened without trusting them.

A bundle may be damaged or made to harm. Nothing is unpacked outside the folder that was given, links are refused, no
file of a bundle is ever run, and what its records name must lie within it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.records.record import FOLDER, record_paths, well_formed

MOST_MEMBERS: Final = 200_000
"""A bundle with more files than this is no bundle of a paper."""


class BundleError(UserError):
    """The bundle cannot be used."""

    title = "The bundle cannot be used"


def unsafe(name: str) -> str | None:
    """Return why a path from a bundle is refused; None if it lies within the repository wherever that is."""
    if not name or "\0" in name or any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "its name holds a control character" if name else "its name is empty"
    if "\\" in name:
        return "its name holds a backslash"
    path = PurePosixPath(name)
    if path.is_absolute() or ":" in path.parts[0]:
        return "it is an absolute path"
    if ".." in name.split("/"):
        return "it leads out of the bundle"
    return None


def open_bundle(bundle: Path, into: Path) -> Path:
    """Return a folder laid out like the repository that holds the bundle's ``results``.

    Parameters
    ----------
    bundle : Path
        A zip (a bag as `export` makes it, or any zip with a folder ``results`` inside), an unpacked bag, a repository
        with results, a folder ``results``, or one cohort's folder in it.
    into : Path
        An empty folder for what must be unpacked.

    Raises
    ------
    BundleError
        If it is none of these, or holds a path that leads outside, a link, or more than the disk does.
    """
    if not bundle.exists():
        raise BundleError(Problem("the file does not exist", file=str(bundle)))
    if bundle.is_file():
        _unzip(bundle, into)
        found = _layout(into)
    else:
        _refuse_links(bundle)
        # a folder of results before what lies in it: a crate among the results has records too
        if (bundle / FOLDER).is_dir():  # results/<cohort>
            found = into
            (into / "results").mkdir(parents=True)
            shutil.copytree(bundle, into / "results" / bundle.resolve().name)
        elif any(bundle.glob(f"*/{FOLDER}/*/*.json")):  # results
            found = into
            shutil.copytree(bundle, into / "results")
        else:
            found = _layout(bundle)
    if found is None:
        raise BundleError(
            Problem(
                "there are no results with records in it",
                file=str(bundle),
                expected="results/<cohort>/records/<rule>/<wildcards>.json somewhere inside",
            )
        )
    _refuse_records_that_lead_outside(found, bundle)
    return found


def _layout(folder: Path) -> Path | None:
    """Return the folder that holds ``results``: `folder` itself, or a folder or bag one or two levels inside."""
    for candidate in (folder, *sorted(folder.glob("*/")), *sorted(folder.glob("*/*/"))):
        if any((candidate / "results").glob(f"*/{FOLDER}/*/*.json")):
            return candidate
    return None


def _unzip(bundle: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(bundle) as archive:
            members = archive.infolist()
            problems = _member_problems(members, bundle)
            if problems:
                raise BundleError(problems)
            size = sum(member.file_size for member in members)
            free = shutil.disk_usage(into).free
            if size > 0.9 * free:
                raise BundleError(
                    Problem(
                        "it would fill the disk",
                        file=str(bundle),
                        found=f"{size:,} bytes unpacked",
                        expected=f"less than {free:,} bytes",
                    )
                )
            for member in members:
                target = into / member.filename
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("xb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise BundleError(Problem("it cannot be unpacked", file=str(bundle), found=str(error))) from None


def _member_problems(members: list[zipfile.ZipInfo], bundle: Path) -> list[Problem]:
    if len(members) > MOST_MEMBERS:
        return [Problem(f"it holds {len(members):,} files", file=str(bundle), expected=f"at most {MOST_MEMBERS:,}")]
    problems, seen = [], set()
    for member in members:
        name, why = member.filename, unsafe(member.filename.rstrip("/"))
        kind = stat.S_IFMT(member.external_attr >> 16)
        if why is None and kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            why = "it is a link or a device"
        if why is None and name in seen:
            why = "it is in there twice"
        seen.add(name)
        if why is not None:
            problems.append(Problem(f"{why}; nothing was unpacked", file=str(bundle), found=name))
    return problems[:10]


def _refuse_links(folder: Path) -> None:
    for here, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(here) / name
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                raise BundleError(Problem("a link in it leads outside", file=path.as_posix(), found=os.readlink(path)))


def _refuse_records_that_lead_outside(root: Path, bundle: Path) -> None:
    """Look at the paths that records name before anything of them is opened."""
    problems = []
    for path in record_paths(root):
        shown = path.relative_to(root).as_posix()
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue  # named by the seals
        for name in sorted(_named_paths(content)):
            why = unsafe(name)
            if why is not None:
                problems.append(Problem(f"a record names a file: {why}", file=f"{bundle}: {shown}", found=name))
        if not well_formed(content):
            problems.append(Problem("this is no job record", file=f"{bundle}: {shown}"))
    if problems:
        raise BundleError(problems[:10])


def _named_paths(content: Any) -> set[str]:
    if not isinstance(content, Mapping):
        return set()
    entries = [
        entry
        for key in ("inputs", "outputs")
        for entry in (content.get(key) if isinstance(content.get(key), list) else [])
        if isinstance(entry, Mapping)
    ]
    names = {str(entry.get("path")) for entry in entries}
    names |= {str(e["made_by"].get("record")) for e in entries if isinstance(e.get("made_by"), Mapping)}
    code = content.get("code")
    files = code.get("files") if isinstance(code, Mapping) else None
    if isinstance(files, Mapping):
        names |= {str(name) for name in files}
        names |= {str(file.get("sha256")) for file in files.values() if isinstance(file, Mapping)}
    names |= {str(content[key]) for key in ("script", "notebook") if content.get(key) is not None}
    return names
