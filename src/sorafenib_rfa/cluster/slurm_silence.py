"""A controller that does not answer for a while: the executor plugin would forget the jobs it asked about.

``snakemake-executor-plugin-slurm`` 2.8.0 keeps on its list the jobs whose state it was told. If every attempt to ask
fails (a controller that restarts, or is slow for ten seconds, after which the plugin tries sacct, which means nothing
without accounting), the list is empty, no job of the run is ever asked about again, and Snakemake waits for ever.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any


def keep_jobs_without_answer(plugin: ModuleType) -> None:
    """Let the plugin take no answer for an answer that names no job: it then asks again later.

    Parameters
    ----------
    plugin : module
        ``snakemake_executor_plugin_slurm``, in which :func:`query_job_status` is looked up at each call.
    """
    ask = plugin.query_job_status

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await ask(command, logger)
        return ({}, 0.0) if states is None else (states, seconds)

    plugin.query_job_status = query_job_status
