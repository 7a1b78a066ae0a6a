"""A guard against undeclared reading: what a job opens inside the repository must be among its declared inputs.

A record is only worth something if its inputs are all there were. Snakemake lets a script open whatever it likes; here
an audit hook sees each file that Python opens below the folders of data, configuration, text and results, and a file
that the rule does not declare ends the job. Files that compiled readers open by themselves are not seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.records.record import FOLDER

WATCHED: Final = ("config", "data", "manuscript", "notebooks", "results", "validation")
"""Top-level folders whose files are inputs or outputs of jobs."""


class UndeclaredReadError(RuntimeError):
    """The code of a rule opened a file that the rule does not declare."""


class Declared:
    """The paths a job may open: its inputs, outputs and log, and what lies below those that are folders."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = {os.path.normpath(path) for path in paths}
        self.folders = tuple(f"{path}{os.sep}" for path in self.paths if not Path(path).is_file())

    def add(self, paths: Iterable[str]) -> None:
        """Let the job open more files: those that records behind its inputs name, or tracked parameters digest."""
        added = {os.path.normpath(path) for path in paths} - self.paths
        self.paths |= added
        self.folders += tuple(f"{path}{os.sep}" for path in sorted(added) if Path(path).is_dir())

    def holds(self, path: str) -> bool:
        """Return whether a path, relative to the repository, may be opened.

        Records, code as it ran and run logs may: they say where the declared inputs come from and are no data.
        """
        return path in self.paths or path.startswith(self.folders) or path.split(os.sep)[2:3] == [FOLDER]


_active: tuple[str, Declared] | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or _active is None or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    root, declared = _active
    name = os.fsdecode(arguments[0])
    path = os.path.normpath(name if os.path.isabs(name) else os.path.join(root, name))
    if not path.startswith(root + os.sep):
        return
    relative = path[len(root) + 1 :]
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    if relative.split(os.sep, 1)[0] in WATCHED and not writes and not declared.holds(relative):
        raise UndeclaredReadError(f"the rule does not declare {relative}, which its code opens")


@contextlib.contextmanager
def watch_undeclared_reading(root: Path, declared: Declared) -> Iterator[None]:
    """While the block runs, refuse to open a watched file of the repository that is not declared.

    Raises
    ------
    UndeclaredReadError
        In the block, where the file is opened.
    """
    global _active, _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # stays for the life of the process
        _hooked = True
    _active = (str(root), declared)
    try:
        yield
    finally:
        _active = None
