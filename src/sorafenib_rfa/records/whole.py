"""Files that appear whole or not at all, whoever else writes or reads them at the same time."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final

_PARTIAL: Final = re.compile(r"\..+\.[a-z0-9_]{8}")


def is_partial(path: Path) -> bool:
    """Return whether a file is one that somebody still writes, or did when the machine went down."""
    return _PARTIAL.fullmatch(path.name) is not None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a name of its own beside `path`, then put it in its place.

    The name is unique also among machines that share the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, path)
    except BaseException:  # a full disk, above all: nothing is left behind
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
