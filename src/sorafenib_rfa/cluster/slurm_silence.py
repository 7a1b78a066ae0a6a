"""A controller that does not answer for a while: the executor plugin would forget the jobs it asked about.

``snakemake-executor-plugin-slurm`` 2.8.0 keeps on its list the jobs whose state it was told. If every attempt to ask
fails (a controller that restarts, or is slow for ten seconds, after which the plugin tries sacct, which means nothing
without accounting), the list is empty, no job of the run is ever asked about again, and Snakemake waits for ever.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any, Final

DISTRIBUTION: Final = "snakemake-executor-plugin-slurm"
MENDED: Final = "2.8.0"
"""The release that was read and tried."""


def keep_jobs_without_answer(plugin: ModuleType) -> None:
    """Let the plugin take no answer for an answer that names no job: it then asks again later.

    Parameters
    ----------
    plugin : module
        ``snakemake_executor_plugin_slurm``, in which :func:`query_job_status` is looked up at each call.
    """
    ask = plugin.query_job_status
    if getattr(ask, "keeps_jobs", False):  # a Snakefile may be read twice in one process
        return
    found = version(DISTRIBUTION)
    if found != MENDED:
        sys.stderr.write(
            f"{DISTRIBUTION} is {found}, and {MENDED} is known to forget jobs while Slurm does not answer: "
        )
        sys.stderr.write("whether this one does is not known, and it is left as it is.\n")
        return

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await ask(command, logger)
        return ({}, 0.0) if states is None else (states, seconds)

    query_job_status.keeps_jobs = True  # type: ignore[attr-defined]
    plugin.query_job_status = query_job_status
