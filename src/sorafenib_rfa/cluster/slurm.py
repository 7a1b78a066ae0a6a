"""What a Slurm cluster says of itself, asked in seconds.

Slurm's commands wait for minutes for a controller that does not answer, so each one here has a time limit, and after
the first that is not answered no other is asked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Final

SECONDS: Final = 8.0
"""So long is an answer waited for: a busy controller takes a second or two."""


class Unanswered(Exception):
    """The controller does not answer, or not in time."""


@dataclass(frozen=True)
class Partition:
    """A partition.

    Attributes
    ----------
    name : str
    default, up : bool
    max_minutes : float
        Longest time of a job; infinite without a limit.
    max_mem_mb : float
        Most memory of a job on one node, of its limits and of its largest node.
    max_cpus : float
        Most CPUs of a job on one node.
    cpus : int
        CPUs of all nodes that are up.
    accounts : frozenset of str or None
        Who may use it; None: everybody.
    """

    name: str
    default: bool
    up: bool
    max_minutes: float
    max_mem_mb: float
    max_cpus: float
    cpus: int
    accounts: frozenset[str] | None


@dataclass(frozen=True)
class Cluster:
    """What was said.

    Attributes
    ----------
    name, version : str
    partitions : dict of str to Partition
    enforces_limits : bool
        Whether what no node can meet is refused when it is submitted; else it waits for ever.
    keeps_accounts : bool
        Whether ended jobs are known to ``sacct``, and accounts to ``sacctmgr``.
    starts_lost_jobs_again : bool
        Whether Slurm starts a job of a lost node again by itself.
    accounts : frozenset of str or None
        Accounts of the user; None where no accounts are kept or they could not be read.
    unchecked : list of str
        What could not be asked.
    """

    name: str
    version: str
    partitions: dict[str, Partition]
    enforces_limits: bool
    keeps_accounts: bool
    starts_lost_jobs_again: bool
    accounts: frozenset[str] | None = None
    unchecked: list[str] = field(default_factory=list)

    @property
    def default_partition(self) -> Partition | None:
        """The partition of jobs that name none."""
        return next((partition for partition in self.partitions.values() if partition.default), None)


def here() -> bool:
    """Return whether this machine has Slurm's commands."""
    return all(shutil.which(command) for command in ("sbatch", "squeue", "scontrol"))


def ask(*command: str, seconds: float = SECONDS) -> str:
    """Return what a command prints.

    Raises
    ------
    Unanswered
        If it does not end in time, or fails; with what it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Unanswered(f"`{' '.join(command)}` was not answered within {seconds:g} s") from None
    except OSError as error:
        raise Unanswered(f"`{command[0]}` cannot be called: {error.strerror}") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise Unanswered(f"`{' '.join(command)}` failed: {said or f'exit code {done.returncode}'}")
    return done.stdout


def minutes(time: str) -> float:
    """Return a Slurm time as minutes: ``30``, ``01:30:00``, ``2-00:00:00``, ``UNLIMITED``."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", time):
        return float("inf")
    days, _, clock = time.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    if days:
        hours, rest, seconds = (*parts, 0.0, 0.0)[:3]
    elif len(parts) == 3:
        hours, rest, seconds = parts
    else:  # minutes, or minutes:seconds
        hours, rest, seconds = 0.0, parts[0], (*parts, 0.0)[1]
    return float(days or 0) * 1440 + hours * 60 + rest + seconds / 60


def pairs(line: str) -> dict[str, str]:
    """Return what one line of ``scontrol --oneliner`` says as name -> value."""
    return dict(re.findall(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)", line))


def _limit(text: str | None) -> float:
    """Return a limit: none is infinite."""
    return float(text) if text and text.isdigit() and int(text) > 0 else float("inf")


def read_cluster(user: str, seconds: float = SECONDS) -> Cluster:
    """Ask the cluster at hand.

    Parameters
    ----------
    user : str
        Whose accounts are asked for.
    seconds : float
        Patience with each command.

    Raises
    ------
    Unanswered
        If the controller does not answer.
    """
    settings = dict(
        (name.strip(), value.strip())
        for name, sign, value in (
            line.partition("=") for line in ask("scontrol", "show", "config", seconds=seconds).splitlines()
        )
        if sign
    )
    nodes = [pairs(line) for line in ask("scontrol", "show", "node", "--oneliner", seconds=seconds).splitlines()]
    said = ask("scontrol", "show", "partition", "--oneliner", seconds=seconds)
    partitions = [_partition(pairs(line), nodes) for line in said.splitlines() if "PartitionName=" in line]
    keeps_accounts = settings.get("AccountingStorageType", "") not in ("", "(null)", "accounting_storage/none")
    accounts, unchecked = None, []
    if keeps_accounts:
        command = ("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account")
        try:
            accounts = frozenset(ask(*command, seconds=seconds).split())
        except Unanswered as error:
            unchecked.append(f"accounts: {error}")
    return Cluster(
        name=settings.get("ClusterName", ""),
        version=settings.get("SLURM_VERSION", ""),
        partitions={partition.name: partition for partition in partitions},
        enforces_limits=settings.get("EnforcePartLimits", "NO") != "NO",
        keeps_accounts=keeps_accounts,
        starts_lost_jobs_again=settings.get("JobRequeue", "0") != "0",
        accounts=accounts,
        unchecked=unchecked,
    )


DOWN: Final = ("DOWN", "DRAIN", "FAIL", "NOT_RESPONDING", "FUTURE", "POWERED_DOWN")


def _partition(said: dict[str, str], nodes: list[dict[str, str]]) -> Partition:
    name = said["PartitionName"]
    own = [node for node in nodes if name in node.get("Partitions", "").split(",")]
    up = [node for node in own if not any(word in node.get("State", "") for word in DOWN)]
    largest = max((_limit(node.get("RealMemory")) for node in own), default=0.0)
    accounts = said.get("AllowAccounts", "ALL")
    return Partition(
        name=name,
        default=said.get("Default") == "YES",
        up=said.get("State") == "UP",
        max_minutes=minutes(said.get("MaxTime", "UNLIMITED")),
        max_mem_mb=min(largest, _limit(said.get("MaxMemPerNode"))),
        max_cpus=min(
            max((_limit(node.get("CPUTot")) for node in own), default=0.0), _limit(said.get("MaxCPUsPerNode"))
        ),
        cpus=int(sum(int(node.get("CPUTot", 0)) for node in up)),
        accounts=None if accounts in ("ALL", "(null)", "") else frozenset(accounts.split(",")),
    )
