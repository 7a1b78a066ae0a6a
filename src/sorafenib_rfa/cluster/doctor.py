"""What would go wrong with a run on a cluster, found before anything is submitted.

Four questions: which settings count and which are lost; what the jobs will ask for, also when they are tried again;
does the cluster take that; how long will it last. What cannot be asked from here is said, not passed over.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.cluster.forecast import START_SECONDS, Forecast, forecast
from sorafenib_rfa.cluster.settings import COMMAND_LINE, DEFAULT, Setting, Settings, read_settings
from sorafenib_rfa.cluster.slurm import SECONDS, Cluster, Partition, Unanswered, here, read_cluster
from sorafenib_rfa.cluster.submissions import Submission, submissions
from sorafenib_rfa.provenance.plan import Asked, Option, PlannedJob, read_options, read_plan

STOPS, LOSES, UNCHECKED = "stops", "loses", "unchecked"
"""The run cannot be what is wanted; something is lost or repeated without a word; could not be looked at."""

NO_SHARED_FILES: Final = frozenset({"kubernetes", "aws-batch", "googlebatch"})
"""Executors whose plugin makes Snakemake take it that jobs share no file system."""
READS_NO_MEMORY: Final = {"htcondor": "htcondor_request_mem_mb", "googlebatch": "googlebatch_memory"}
"""Executors whose plugin does not read ``mem_mb``, and the resource it reads instead."""
COMMANDS: Final = {"lsf": "bsub", "sge": "qsub", "htcondor": "condor_submit"}
"""Executors about whose clusters nothing is asked, and the command without which nothing can be submitted."""
SHOWN: Final = ("jobs", "cores", "retries", "latency-wait", "max-jobs-per-timespan", "keep-going", "rerun-triggers")
"""Settings whose default matters on a cluster too."""
RESOURCES: Final = ("mem_mb", "runtime", "disk_mb")


@dataclass(frozen=True)
class Finding:
    """One thing to know before a run.

    Attributes
    ----------
    kind : str
        ``stops``, ``loses`` or ``unchecked``.
    text : str
        What it is.
    place : str
        Where it stands; empty if nowhere.
    hint : str
        What to do.
    """

    kind: str
    text: str
    place: str = ""
    hint: str = ""


@dataclass(frozen=True)
class RuleAsks:
    """What the jobs of a rule ask for.

    Attributes
    ----------
    rule : str
    jobs : int
    resources : dict
        Resource -> what it is at the first, second, ... attempt, at most over its jobs.
    origins : dict
        Resource -> file and line, or where else it comes from.
    """

    rule: str
    jobs: int
    resources: dict[str, list[Any]]
    origins: dict[str, str]


@dataclass
class Diagnosis:
    """The answer.

    Attributes
    ----------
    profile, executor : str
    targets : list of str
    settings : list of Setting
        Those of profiles, command line and config, then the defaults that matter.
    rules : list of RuleAsks
    findings : list of Finding
    cluster : Cluster or None
        None if it was not asked.
    partition : str
        Partition of the jobs.
    forecast : Forecast or None
        None if nothing is to be made.
    """

    profile: str
    executor: str
    targets: list[str]
    settings: list[Setting] = field(default_factory=list)
    rules: list[RuleAsks] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    cluster: Cluster | None = None
    partition: str = ""
    forecast: Forecast | None = None

    @property
    def good(self) -> bool:
        """Whether nothing stops the run and nothing is lost."""
        return all(finding.kind == UNCHECKED for finding in self.findings)

    def add(self, kind: str, text: str, place: str = "", hint: str = "") -> None:
        """Note something."""
        self.findings.append(Finding(kind, text, place, hint))

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        plain = asdict(self)
        if self.cluster is not None:
            for partition in plain["cluster"]["partitions"].values():
                partition["accounts"] = sorted(partition["accounts"]) if partition["accounts"] is not None else None
            accounts = self.cluster.accounts
            plain["cluster"]["accounts"] = sorted(accounts) if accounts is not None else None
        return {"good": self.good, **plain}


def diagnose(
    root: Path,
    profile: str,
    targets: Sequence[str] = (),
    arguments: str = "",
    *,
    seconds: float = SECONDS,
    user: str | None = None,
) -> Diagnosis:
    """Look at a run before it is started; nothing is submitted or written.

    Parameters
    ----------
    root : Path
        The repository.
    profile : str
        A folder of ``profiles/``.
    targets : sequence of str
        What is to be made; none: the paper.
    arguments : str
        What ``ARGS=`` of make would say.
    seconds : float
        Patience with each command of the cluster.
    user : str, optional
        Whose accounts are asked for; default: who asks.

    Raises
    ------
    UserError
        If there is no such profile.
    PlanError
        If Snakemake cannot make the graph.
    """
    options = read_options(root)
    settings = read_settings(root, profile, arguments, options)
    found = Diagnosis(profile, settings.executor, list(targets) or settings.targets)
    attempts = 1 + _whole(settings.value("retries"), 0)
    defaults = tuple(f"{name}={value}" for name, value in settings.resources("default-resources").items())
    config = {
        setting.key.removeprefix("config:"): _scalar(setting.value)
        for setting in settings.by_key.values()
        if setting.key.startswith("config:") and setting.origin == COMMAND_LINE
    }
    plan = read_plan(root, found.targets, config, Asked(attempts, defaults, settings.set_resources()))
    found.settings = _settings(settings, options)
    found.rules = _rules(root, plan, settings, attempts)
    _look_at_settings(found, settings, options)
    _look_at_retries(found, plan)
    planned = submissions(plan, settings)
    _look_at_executor(found, settings, planned, attempts)
    if settings.executor == "slurm" or (settings.executor == "cluster-generic" and here()):
        _look_at_slurm(found, settings, planned, attempts, seconds, user or getpass.getuser())
    if planned:
        start = 0.0 if settings.executor == "local" else START_SECONDS
        found.forecast = forecast(root, planned, _slots(found, settings, planned), start)
    order = (STOPS, LOSES, UNCHECKED)
    found.findings.sort(key=lambda finding: order.index(finding.kind))
    return found


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if str(value).isdigit() else otherwise


def _scalar(text: Any) -> Any:
    """Return a value of ``--config`` as Snakemake reads it."""
    import yaml

    return yaml.safe_load(text) if isinstance(text, str) else text


def _settings(settings: Settings, options: Mapping[str, Option]) -> list[Setting]:
    """Return the settings that count, then the defaults of the executor and of what else matters."""
    chosen = list(settings.by_key.values())
    own = sorted(name for name in options if name.startswith(f"{settings.executor}-"))
    silent = [name for name in (*SHOWN, *own) if name in options and name not in settings.by_key]
    return [*chosen, *(Setting(name, options[name].default, DEFAULT, DEFAULT) for name in silent)]


def _rules(root: Path, plan: Sequence[PlannedJob], settings: Settings, attempts: int) -> list[RuleAsks]:
    by_rule: dict[str, list[PlannedJob]] = {}
    for job in plan:
        if job.needs_run and job.record is not None:
            by_rule.setdefault(job.rule, []).append(job)
    overwritten = {tuple(entry.partition("=")[0].split(":", 1)) for entry in settings.set_resources()}
    defaults = settings.resources("default-resources")
    asks = []
    for rule, jobs in by_rule.items():
        stated = jobs[0].resources[0]
        names = [name for name in dict.fromkeys([*RESOURCES, *sorted(defaults)]) if name in stated]
        values = {name: [_most(jobs, name, attempt) for attempt in range(attempts)] for name in names}
        origins = {}
        for name in names:
            line = _line_of(root, jobs[0].source, name)
            if (rule, name) in overwritten:
                origins[name] = settings.place("set-resources")
            elif line is not None:
                origins[name] = line
            else:
                origins[name] = settings.place("default-resources") if name in defaults else DEFAULT
        asks.append(RuleAsks(rule, len(jobs), values, origins))
    return sorted(asks, key=lambda each: each.rule)


def _most(jobs: Sequence[PlannedJob], name: str, attempt: int) -> Any:
    values = [job.resources[attempt][name] for job in jobs if name in job.resources[attempt]]
    numbers = [value for value in values if isinstance(value, int | float)]
    return max(numbers) if numbers and len(numbers) == len(values) else next(iter(values), None)


def _line_of(root: Path, source: str, name: str) -> str | None:
    """Return file and line at which a rule states a resource; None if it does not."""
    file, _, line = source.rpartition(":")
    path = root / file
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    for number in range(int(line), len(lines)):
        text = lines[number].strip()
        if text.startswith(("rule ", "rule:", "checkpoint ", "script:")):
            return None
        if text.startswith(f"{name}="):
            return f"{file}:{number + 1}"
    return None


# --- settings ---------------------------------------------------------------------------------------------------------


def _look_at_settings(found: Diagnosis, settings: Settings, options: Mapping[str, Option]) -> None:
    for word in settings.unknown:
        found.add(STOPS, f"Snakemake has no option {word}", COMMAND_LINE)
    for setting in settings.by_key.values():
        if setting.key.startswith("config:"):
            continue
        if setting.key not in options and not (
            setting.key.startswith(f"{settings.executor}-") and _no_plugin(settings)
        ):
            found.add(STOPS, f"Snakemake has no option {setting.key}", setting.place)
        for lost in setting.lost:
            _look_at_lost(found, setting, lost.value, lost.place)
    if _no_plugin(settings):
        found.add(
            STOPS,
            f"the executor plugin {settings.executor} is not installed in this environment",
            settings.place("executor"),
            f"make paper PROFILE={settings.profile} installs it from envs/executors/{settings.profile}.lock",
        )
    if os.environ.get("SNAKEMAKE_PROFILE"):
        found.add(
            LOSES,
            f"SNAKEMAKE_PROFILE is set to {os.environ['SNAKEMAKE_PROFILE']}: it counts wherever --profile is not given",
            hint="unset it",
        )
    for key in ("profile", "workflow-profile"):
        if key in settings.by_key:
            found.add(LOSES, f"--{key} on the command line changes which profiles are read", COMMAND_LINE)
    site = Path(settings.files[-1]).parent / "site.example.yaml"
    if settings.executor in NO_SHARED_FILES and not any(name.endswith("site.yaml") for name in settings.files):
        found.add(
            STOPS,
            "what is the site's own is not said anywhere",
            site.with_name("site.yaml").as_posix(),
            f"copy {site.as_posix()} and say what is yours",
        )


def _no_plugin(settings: Settings) -> bool:
    module = f"snakemake_executor_plugin_{settings.executor.replace('-', '_')}"
    return settings.executor not in ("local", "dryrun", "touch") and importlib.util.find_spec(module) is None


def _look_at_lost(found: Diagnosis, setting: Setting, value: Any, place: str) -> None:
    """Say what a later file takes away: of a mapping only what is not said again."""
    if setting.key in ("default-resources", "set-resources", "groups", "group-components", "set-threads"):
        before, after = _names(value), _names(setting.value)
        gone = sorted(name for name in before if name not in after)
        if gone:
            found.add(
                LOSES,
                f"{setting.key} of {setting.place} takes the place of the whole key: {', '.join(gone)} is lost",
                place,
                f"say {', '.join(gone)} there too",
            )
        return
    if setting.origin == COMMAND_LINE or value == setting.value:
        return  # who gives an option means it
    if setting.origin == "profile" and place.startswith("profiles/default/"):
        return  # a cluster's profile is there to differ from this machine's; the setting shows both
    found.add(LOSES, f"{setting.key} is said twice: {setting.value} counts, {value} does not", place, setting.place)


def _names(value: Any) -> set[str]:
    entries = value if isinstance(value, dict | list | tuple) else [value]
    return {str(entry).partition("=")[0] for entry in entries}


def _look_at_retries(found: Diagnosis, plan: Sequence[PlannedJob]) -> None:
    said = {job.source: job for job in plan if job.retries}
    for source, job in sorted(said.items()):
        found.add(
            LOSES,
            f"rule {job.rule} says retries itself: the Snakemake inside each cluster job follows it too, in the memory "
            f"that was too little, so that it is tried up to {(job.retries + 1) ** 2} times",
            source,
            "retries belong into a profile",
        )


# --- what the executor makes of it ------------------------------------------------------------------------------------


def _look_at_executor(found: Diagnosis, settings: Settings, planned: Sequence[Submission], attempts: int) -> None:
    executor = settings.executor
    if executor in NO_SHARED_FILES:
        found.add(
            STOPS,
            f"jobs of the executor {executor} share no file system, and each job here reads the records of others",
            settings.place("executor"),
            "profiles/README.md says what works there today",
        )
    if executor in READS_NO_MEMORY:
        _look_at_read_memory(found, settings, planned, attempts, READS_NO_MEMORY[executor])
    if executor in COMMANDS and shutil.which(COMMANDS[executor]) is None:
        found.add(UNCHECKED, f"{COMMANDS[executor]} is not on this machine: nothing can be submitted from here")
    if executor in COMMANDS or executor in NO_SHARED_FILES:
        found.add(UNCHECKED, f"limits of the cluster: of {executor} nothing is asked, only Slurm is")
    if executor == "cluster-generic":
        for key, why in (
            ("cluster-generic-submit-cmd", "nothing can be submitted"),
            ("cluster-generic-status-cmd", "a job that the scheduler ends would be waited for for ever"),
        ):
            if key not in settings.by_key:
                found.add(STOPS, f"{key} is not said: {why}", f"profiles/{settings.profile}/site.yaml")
    if executor == "slurm" and settings.value("slurm-array-jobs"):
        silent = sorted({job.rule for each in planned for job in each.jobs if "mem_mb" not in job.resources[0]})
        if silent:
            found.add(
                STOPS, f"array jobs without mem_mb get 1 MB: {', '.join(silent)}", settings.place("slurm-array-jobs")
            )


def _look_at_read_memory(
    found: Diagnosis, settings: Settings, planned: Sequence[Submission], attempts: int, name: str
) -> None:
    for attempt in range(1, attempts + 1):
        for submission in planned:
            wanted, given = submission.asks("mem_mb", attempt), submission.asks(name, attempt)
            if wanted is not None and (given is None or given < wanted):
                said = "nothing" if given is None else f"{given:g} MB"
                found.add(
                    STOPS,
                    f"{submission.name} needs {wanted:g} MB at attempt {attempt}; the plugin reads {name}, which asks "
                    f"for {said}",
                    settings.place("default-resources"),
                )
                return


# --- Slurm ------------------------------------------------------------------------------------------------------------


def _look_at_slurm(
    found: Diagnosis, settings: Settings, planned: Sequence[Submission], attempts: int, seconds: float, user: str
) -> None:
    if not here():
        found.add(
            UNCHECKED,
            "partition, account and limits: sbatch, squeue and scontrol are not on this machine",
            hint="ask again on a login node",
        )
        return
    try:
        cluster = found.cluster = read_cluster(user, seconds)
    except Unanswered as error:
        found.add(STOPS, f"the Slurm controller does not answer: {error}", hint="is slurmctld up? `scontrol ping`")
        found.add(UNCHECKED, "partition, account and limits")
        return
    for text in cluster.unchecked:
        found.add(UNCHECKED, text)
    if settings.executor == "slurm":
        _look_at_slurm_settings(found, settings, cluster)
    defaults = settings.resources("default-resources")
    wanted = defaults.get("slurm_partition", "").strip("'\"")
    place = settings.place("default-resources")
    if wanted and wanted not in cluster.partitions:
        found.add(STOPS, f"there is no partition {wanted}", place, f"there are {', '.join(sorted(cluster.partitions))}")
        return
    partition = cluster.partitions[wanted] if wanted else cluster.default_partition
    if partition is None:
        found.add(
            STOPS, "no partition is named and the cluster has no default one", hint="slurm_partition in site.yaml"
        )
        return
    found.partition = partition.name
    if not partition.up:
        found.add(STOPS, f"partition {partition.name} is not up: jobs would wait until it is")
    elif not partition.cpus:
        found.add(STOPS, f"no node of partition {partition.name} is up: jobs would wait until one is")
    _look_at_account(found, defaults.get("slurm_account", "").strip("'\""), cluster, partition, place)
    _look_at_limits(found, planned, partition, cluster, attempts)


def _look_at_slurm_settings(found: Diagnosis, settings: Settings, cluster: Cluster) -> None:
    status = settings.value("slurm-status-command", "sacct")
    if status == "sacct":
        why = (
            "it does not recognise a cancelled job (plugin 2.8.0)"
            if cluster.keeps_accounts
            else "the cluster keeps no accounts"
        )
        found.add(
            LOSES if cluster.keeps_accounts else STOPS,
            f"states of jobs are asked of sacct, and {why}: the run would wait for ever",
            settings.place("slurm-status-command"),
            "slurm-status-command: squeue",
        )
    if cluster.starts_lost_jobs_again and not settings.value("slurm-no-requeue"):
        found.add(
            LOSES,
            "Slurm starts a job of a lost node again by itself (JobRequeue), while Snakemake does so too",
            settings.place("slurm-no-requeue"),
            "slurm-no-requeue: true",
        )
    if not cluster.enforces_limits:
        found.add(
            LOSES,
            "the cluster does not refuse what no node can meet (EnforcePartLimits=NO): such a job would wait for ever",
            hint="what is found below here is all the warning there is",
        )


def _look_at_account(found: Diagnosis, account: str, cluster: Cluster, partition: Partition, place: str) -> None:
    if account and cluster.accounts is not None and account not in cluster.accounts:
        has = ", ".join(sorted(cluster.accounts)) or "none"
        found.add(STOPS, f"you have no account {account}", place, f"you have {has}")
    if account and not cluster.keeps_accounts:
        found.add(UNCHECKED, f"account {account}: the cluster keeps no accounts")
    if partition.accounts is not None:
        allowed = ", ".join(sorted(partition.accounts))
        if account and account not in partition.accounts:
            found.add(STOPS, f"account {account} may not use partition {partition.name}", place, f"it takes {allowed}")
        elif not account:
            found.add(
                STOPS, f"partition {partition.name} takes only jobs of {allowed}", place, "slurm_account in site.yaml"
            )


def _look_at_limits(
    found: Diagnosis, planned: Sequence[Submission], partition: Partition, cluster: Cluster, attempts: int
) -> None:
    """Hold the largest submission against the partition, at the first attempt and at those after it."""
    limits = (
        ("mem_mb", partition.max_mem_mb, "MB of memory"),
        ("runtime", partition.max_minutes, "minutes"),
    )
    fate = "is refused" if cluster.enforces_limits else "waits for ever"
    for attempt in range(1, attempts + 1):
        for name, most, unit in limits:
            asked = [(submission.asks(name, attempt), submission) for submission in planned]
            over = [(amount, submission) for amount, submission in asked if amount is not None and amount > most]
            if not over:
                continue
            amount, submission = max(over, key=lambda each: each[0])
            more = f" and {len(over) - 1} more" if len(over) > 1 else ""
            if attempt > 1 and any(name in finding.text and finding.kind == STOPS for finding in found.findings):
                continue
            found.add(
                STOPS if attempt == 1 else LOSES,
                f"{submission.name}{more} asks for {amount:g} {unit} ({name}) at attempt {attempt}; partition "
                f"{partition.name} gives {most:g}: it {fate}",
                submission.jobs[0].source,
            )
    wide = [submission for submission in planned if submission.cpus > partition.max_cpus]
    if wide:
        widest = max(wide, key=lambda each: each.cpus)
        found.add(
            STOPS,
            f"{widest.name} asks for {widest.cpus} CPUs of one node; those of partition {partition.name} have "
            f"{partition.max_cpus:g}: it {fate}",
            hint="cores in the profile bounds a group",
        )


def _slots(found: Diagnosis, settings: Settings, planned: Sequence[Submission]) -> int:
    """Return how many submissions run at once: what the profile allows, and the partition can hold."""
    if settings.executor == "local":
        cores = settings.value("cores")
        return _whole(cores, os.cpu_count() or 1)
    slots = _whole(settings.value("jobs"), len(planned))
    if found.cluster is not None and found.partition:
        cpus = max(submission.cpus for submission in planned)
        slots = min(slots, max(found.cluster.partitions[found.partition].cpus // cpus, 1))
    return slots
