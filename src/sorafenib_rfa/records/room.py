"""A disk without room: recognised in whatever error it comes as, and said with the folder it concerns."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sorafenib_rfa.errors import Problem, UserError

_CODES: Final = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}
_TEXTS: Final = {
    errno.ENOSPC: re.compile(r"No space left on device|errno 28\b", re.IGNORECASE),
    errno.EDQUOT: re.compile(rf"Disk quota exceeded|errno {errno.EDQUOT}\b", re.IGNORECASE),
}
SCARCE_MB: Final = 1
"""Below this much free room, in MB, a folder is named as full."""


class NoRoomError(UserError):
    """A job could not write because a disk is full or a quota used up."""

    title = "There is no room to write"


def _chain(error: BaseException) -> Iterable[BaseException]:
    """Yield an error and what it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def _code(error: BaseException) -> tuple[int, str | None] | None:
    """Return what of a full disk an error speaks, and the file it names."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in _CODES:
            return one.errno, None if one.filename is None else str(one.filename)
        for code, text in _TEXTS.items():  # libraries that write for themselves raise errors of their own
            if text.search(str(one)):
                return code, None
    return None


def _free_mb(folder: Path) -> float | None:
    try:
        state = os.statvfs(folder)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize / 1e6


def no_room(error: BaseException, folders: Iterable[str | Path]) -> NoRoomError | None:
    """Return an error that says which disk is full, None if `error` is about something else.

    Parameters
    ----------
    error : BaseException
        As the job, or a library, raised it.
    folders : iterable of path
        Where the job writes.
    """
    told = _code(error)
    if told is None:
        return None
    code, file = told
    places = sorted({Path(file).parent if file else Path(folder) for folder in ([file] if file else folders)})
    free = {place: _free_mb(place) for place in places}
    full = [place for place in places if free[place] is not None and free[place] < SCARCE_MB]
    return NoRoomError(
        Problem(
            f"{_CODES[code]} (errno {code}, {os.strerror(code)})",
            file=str(place),
            found="unknown" if free[place] is None else f"{free[place]:.1f} MB free on its file system",
            hint="make room, or ask for more; then run it again: what was written in part is not taken for a result",
        )
        for place in (full or places)
    )
