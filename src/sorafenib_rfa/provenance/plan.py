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
from dataclasses import MISSING, asdict, dataclass, field, fields
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
    source : str
        File and line of its rule.
    threads : int
    retries : int
        What its rule says of further attempts; that belongs into a profile.
    resources : list of dict
        What it asks for at the first, second, ... attempt; empty unless asked for.
    benchmark : str or None
        Where its time is measured.
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
    source: str = ""
    threads: int = 1
    retries: int = 0
    resources: list[dict[str, Any]] = field(default_factory=list)
    benchmark: str | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked about the resources of jobs.

    Attributes
    ----------
    attempts : int
        Of so many attempts.
    default_resources : tuple of str
        As ``--default-resources`` takes them: ``slurm_partition=main``.
    set_resources : tuple of str
        As ``--set-resources`` takes them: ``rule:mem_mb=4096 * attempt``.
    """

    attempts: int = 0
    default_resources: tuple[str, ...] = ()
    set_resources: tuple[str, ...] = ()


def read_plan(
    root: Path,
    targets: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    asked: Asked | None = None,
) -> list[PlannedJob]:
    """Return the jobs on which the targets rest, whether or not they need to run.

    Parameters
    ----------
    root : Path
        The repository.
    targets : sequence of str
        Targets or files; none: the default target.
    config : mapping, optional
        What ``--config`` would set.
    asked : Asked, optional
        Whether resources are wanted too.

    Raises
    ------
    PlanError
        If Snakemake cannot make the graph, with its message.
    """
    question = {"targets": list(targets), "config": dict(config or {}), "asked": asdict(asked or Asked())}
    return [PlannedJob(**job) for job in _answer(root, question)]


@dataclass(frozen=True)
class Option:
    """One option of Snakemake's command line.

    Attributes
    ----------
    spellings : tuple of str
        As they are typed: ``--jobs``, ``-j``.
    values : str or int or None
        How many values follow, as argparse has it; 0: none.
    default : object
    """

    spellings: tuple[str, ...]
    values: str | int | None
    default: Any = None


def read_options(root: Path) -> dict[str, Option]:
    """Return name -> option of Snakemake's command line, with those of the executor plugins installed here."""
    answer = _answer(root, {"options": True})
    return {name: Option(tuple(option.pop("spellings")), **option) for name, option in answer.items()}


def _answer(root: Path, question: Mapping[str, Any]) -> Any:
    environment = {
        **os.environ,
        PLANNING: "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH", "")])),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sorafenib_rfa.provenance.plan", json.dumps(question)],
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
    return answer


def _options() -> dict[str, Any]:
    from snakemake.cli import get_argument_parser
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    options = {}
    for action in get_argument_parser()._actions:  # argparse tells of its options nowhere else
        named = [spelling for spelling in action.option_strings if spelling.startswith("--")]
        if named:
            options[named[0].removeprefix("--")] = {
                "spellings": list(action.option_strings),
                "values": action.nargs,
                "default": action.default,
            }
    for plugin in ExecutorPluginRegistry().plugins.values():  # the parser has no defaults of plugins
        for each in fields(plugin.settings_cls) if plugin.settings_cls else ():
            default = each.default if each.default_factory is MISSING else each.default_factory()
            name = f"{plugin.cli_prefix}-{each.name.replace('_', '-')}"
            if name in options:
                options[name]["default"] = None if default is MISSING else default
    for option in options.values():
        if not isinstance(option["default"], str | int | float | None):
            option["default"] = str(option["default"])
    return options


def _plan(targets: Sequence[str], config: Mapping[str, Any], asked: Asked) -> list[PlannedJob]:
    """Return the plan of the repository in the working folder."""
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_set_resources
    from snakemake.resources import Resources
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    profile = Path("profiles/default/config.yaml")
    triggers = _profile(profile)["rerun-triggers"]
    defaults = Resources.parser_factory(defaults="full", allow_expressions=True)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(
                cores=1,
                **({"default_resources": defaults(list(asked.default_resources))} if asked.attempts else {}),
                overwrite_resources=parse_set_resources(list(asked.set_resources)),
            ),
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
                    source=_source(job.rule, workflow._workflow.linemaps),
                    threads=int(job.threads),
                    retries=int(job.restart_times or 0),
                    resources=[_resources(job, attempt) for attempt in range(1, asked.attempts + 1)],
                    benchmark=str(job.benchmark) if job.benchmark else None,
                )
            )
    return sorted(planned, key=lambda job: (job.rule, sorted(job.wildcards.items())))


def _source(rule: Any, linemaps: Mapping[str, Mapping[int, int]]) -> str:
    """Return file and line of a rule: what Snakemake keeps is the line of the Python that it made of the file."""
    line = linemaps.get(rule.snakefile, {}).get(rule.lineno, rule.lineno)
    return f"{os.path.relpath(rule.snakefile)}:{line}"


def _resources(job: Any, attempt: int) -> dict[str, Any]:
    """Return what a job asks for at an attempt; what depends on inputs that are not there yet is left out."""
    asked = job.rule.expand_resources(job.wildcards_dict, job.input, attempt, skip_evaluation={"tmpdir"})
    return {
        name: value
        for name, value in asked.items()
        if not name.startswith("_")
        and isinstance(value, str | int | float)
        and not type(value).__name__.startswith("TBD")
    }


def _profile(path: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    question = json.loads(sys.argv[1])
    try:
        if question.get("options"):
            said = _options()
        else:
            wanted = {
                name: tuple(value) if isinstance(value, list) else value for name, value in question["asked"].items()
            }
            said = [asdict(job) for job in _plan(question["targets"], question["config"], Asked(**wanted))]
    except Exception as error:  # Snakemake raises many kinds, each with a message for people
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(said))
