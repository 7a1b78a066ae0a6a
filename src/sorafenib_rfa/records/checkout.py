"""Which copy of the package a job imports."""

from __future__ import annotations

import os
from pathlib import Path


def jobs_import_from(source: Path) -> None:
    """Make jobs started from this process import the package from `source`, the checkout being run.

    The environment may be a virtual one, conda's or a cluster node's, and may hold another installed copy; the code
    that runs must be the code whose digest is recorded.
    """
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(source)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *others])
