"""What Snakemake would run now, and with which parameters: the one module of this package that imports Snakemake.

A plan is made by a process of its own (``python -m sorafenib_rfa.provenance.plan``), since Snakemake keeps global
state and changes the import path; :func:`read_plan` starts it and reads what it says. Nothing is run or written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import UserError
from sorafenib_rfa.records.record import split_params

PLANNING: Final = "SORAFENIB_RFA_PLANNING"
"""Set in the environment of a plan: a broken seal does not stop it, or no question could be asked of such a tree."""


class PlanError(UserError):
    """Snakemake cannot plan: its own message is the error's."""

    title = "Snakemake cannot make a plan"

    def __init__(self, said: str) -> None:
        self.said = said.strip()
        super().__init__([])

    def __str__(self) -> str:
        """Return what Snakemake said."""
        return f"{self.title}:\n{self.said}"

    def __reduce__(self) -> tuple:
        """Survive a trip between processes."""
        return type(self), (self.said,)


@dataclass(frozen=True)
class PlannedJob:
    """One job of the graph.

    Attributes
    ----------
    rule : str
    wildcards : dict
    inputs, outputs : list of str
        Paths; the record is among the outputs.
    record : str or None
        Path of the job's record; None for targets, which run nothing.
    params : dict
        Tracked parameters as a record states them.
    code : dict
        Tracked digests of code.
    log : list of str
    needs_run : bool
        Whether Snakemake would run it.
    reasons : list of str
        Why, in Snakemake's words; empty if it need not run.
    """

    rule: str
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    record: str | None
    params: dict[str, Any]
    code: dict[str, str]
    log: list[str]
    needs_run: bool
    reasons: list[str]


def read_plan(root: Path, targets: Sequence[str] = (), config: Mapping[str, Any] | None = None) -> list[PlannedJob]:
    """Return the jobs on which the targets rest, whether or not they need to run.

    Parameters
    ----------
    root : Path
        The repository.
    targets : sequence of str
        Targets or files; none: the default target.
    config : mapping, optional
        What ``--config`` would set.

    Raises
    ------
    PlanError
        If Snakemake cannot make the graph, with its message.
    """
    environment = {
        **os.environ,
        PLANNING: "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH", "")])),
    }
    question = json.dumps({"targets": list(targets), "config": dict(config or {})})
    done = subprocess.run(
        [sys.executable, "-m", "sorafenib_rfa.provenance.plan", question],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise PlanError(done.stderr or done.stdout) from None
    if done.returncode:
        raise PlanError(done.stderr)
    return [PlannedJob(**job) for job in answer]


def _plan(targets: Sequence[str], config: Mapping[str, Any]) -> list[PlannedJob]:
    """Return the plan of the repository in the working folder."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    profile = Path("profiles/default/config.yaml")
    triggers = _profile(profile)["rerun-triggers"]
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config=dict(config)),
            snakefile=Path("Snakefile"),
            workdir=Path.cwd(),
        )
        graph = workflow.dag(
            DAGSettings(
                targets=set(targets),
                rerun_triggers=frozenset(RerunTrigger.parse_choice(name) for name in triggers),
                force_incomplete=True,  # profiles/default asks for rerun-incomplete
            )
        )
        graph.execute_workflow(executor="dryrun", updated_files=[])
        dag = workflow._workflow.dag  # the API tells nothing of the graph it made; Snakemake is pinned to one version
        planned = []
        for job in dag.jobs:
            params, code = split_params(job.params.items())
            needs_run = dag.needrun(job)
            planned.append(
                PlannedJob(
                    rule=job.rule.name,
                    wildcards=dict(job.wildcards.items()),
                    inputs=sorted(map(str, job.input)),
                    outputs=sorted(map(str, job.output)),
                    record=next((str(path) for name, path in job.output.items() if name == "record"), None),
                    params=params,
                    code={name: str(digest) for name, digest in code.items()},
                    log=[str(path) for path in job.log],
                    needs_run=needs_run,
                    reasons=[part for part in str(dag.reason(job)).split("; ") if part] if needs_run else [],
                )
            )
    return sorted(planned, key=lambda job: (job.rule, sorted(job.wildcards.items())))


def _profile(path: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    try:
        jobs = _plan(asked["targets"], asked["config"])
    except Exception as error:  # Snakemake raises many kinds, each with a message for people
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps([asdict(job) for job in jobs]))
