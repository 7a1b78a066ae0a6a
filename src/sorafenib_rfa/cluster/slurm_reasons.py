"""Why Slurm ended jobs: what Snakemake's own report of a failed job leaves open.

Without accounting Snakemake says that a job FAILED and no more. What happened stands in Slurm's log of the job (a node
that kills it says why), and the controller tells what the job had been given, as long as it remembers it. Here both are
read for every job that Snakemake's log of a run reports as failed, also for those that a later attempt made good: what
needs two attempts each time asks for too little.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUBMITTED: Final = re.compile(r"Job \S+ has been submitted with SLURM jobid (?P<id>\d+) \(log: (?P<log>.+)\)\.")
FAILED: Final = re.compile(r"SLURM-job '(?P<id>\d+)' failed\b.*?SLURM status is: '(?P<status>\w+)'")
GROUP_FAILED: Final = re.compile(r"message: Error in group \S+\n\s+log: (?P<log>\S+/(?P<id>\d+)\.log)")
"""Of a group Snakemake 9.27 says only this, and leaves out what its plugin told it."""
INSIDE: Final = re.compile(r"^\s*log: (?P<log>[^,\s]+)[^\n]*\(check log file", re.MULTILINE)
"""Log of a rule that failed inside a Slurm job, as the Snakemake there names it."""
REFUSED: Final = re.compile(r"SLURM sbatch failed\. The error message was '(?P<message>[^']*)")
ADVICE: Final = {
    "memory": "killed because it took more memory than it had asked for",
    "time": "killed because its time was over",
    "node": "lost with its node",
    "cancelled": "cancelled (scancel, or by an administrator)",
    "disk": "a disk was full or over quota",
    "failed": "the job itself failed",
}
"""What each kind of end is called."""
_SIGNS: Final = (
    ("memory", re.compile(r"exceeded (?:job )?memory limit|oom[-_ ]kill|OUT[_ ]OF[_ ]MEMORY", re.IGNORECASE)),
    ("time", re.compile(r"DUE TO TIME LIMIT")),
    ("node", re.compile(r"DUE TO NODE FAILURE")),
    ("disk", re.compile(r"No space left on device|Disk quota exceeded|no space is left", re.IGNORECASE)),
    ("cancelled", re.compile(r"\*\*\* (?:JOB|STEP) \S+ ON \S+ CANCELLED AT")),
)
_STATES: Final = {
    "OUT_OF_MEMORY": "memory",
    "TIMEOUT": "time",
    "DEADLINE": "time",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "CANCELLED": "cancelled",
}
_SECONDS: Final = 20
"""A controller that does not answer keeps its commands waiting for minutes."""


@dataclass(frozen=True)
class Ended:
    """One Slurm job that did not end well.

    Attributes
    ----------
    slurm_id : str
        Slurm's number of the job.
    name : str
        Rule and wildcards as the plugin names the folder of the log.
    status : str
        Slurm's word for how the job ended, as Snakemake reported it.
    kind : str
        Key of :data:`ADVICE`.
    given : str
        What the job had been given, such as ``800M memory, 10:00 time, node n2``; empty if the controller forgot it.
    log : Path
        Slurm's log of the job.
    inside : tuple of str
        Logs of the rules that failed inside it.
    """

    slurm_id: str
    name: str
    status: str
    kind: str
    given: str
    log: Path
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what a person is told."""
        given = f" (it had {self.given})" if self.given else ""
        lines = [f"{self.name}, Slurm job {self.slurm_id}, {self.status}: {ADVICE[self.kind]}{given}"]
        return "\n".join([*lines, *(f"    log: {log}" for log in (self.log, *self.inside))])


def kind_of_end(status: str, log_text: str) -> str:
    """Return why a job ended: by Slurm's state where that says it, else by what stands in its log.

    Parameters
    ----------
    status : str
        State, such as ``FAILED``.
    log_text : str
        Slurm's log of the job.
    """
    if status in _STATES and status != "CANCELLED":
        return _STATES[status]
    found = next((kind for kind, sign in _SIGNS if sign.search(log_text)), None)
    return found or _STATES.get(status, "failed")


def _controller(slurm_id: str, log: Path) -> dict[str, str]:
    """Return what the controller knows of a job; nothing if it forgot it, gave its number away or does not answer."""
    command = ["scontrol", "--oneliner", "show", "job", slurm_id]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    known = dict(re.findall(r"(\S+?)=(\S*)", done.stdout)) if done.returncode == 0 else {}
    return known if known.get("StdOut") == str(log) else {}


def _given(known: dict[str, str]) -> str:
    parts = {"memory": "MinMemoryNode", "time": "TimeLimit", "node": "NodeList"}
    values = {label: known.get(key, "") for label, key in parts.items()}
    said = [f"{value} {label}" if label != "node" else f"node {value}" for label, value in values.items() if value]
    return ", ".join(said)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a job whose node was lost before it wrote anything
        return ""


def ended_badly(snakemake_log: str) -> list[Ended]:
    """Return the Slurm jobs that a log of Snakemake reports as failed, in the order of their numbers.

    Parameters
    ----------
    snakemake_log : str
        Text of one file of ``.snakemake/log/``.
    """
    logs = {match["id"]: Path(match["log"]) for match in SUBMITTED.finditer(snakemake_log)}
    statuses = {match["id"]: "FAILED" for match in GROUP_FAILED.finditer(snakemake_log)}
    statuses |= {match["id"]: match["status"] for match in FAILED.finditer(snakemake_log)}
    ended = []
    for slurm_id in sorted(statuses, key=int):
        log = logs.get(slurm_id, Path(f"{slurm_id}.log"))
        text = _text(log)
        known, status = _controller(slurm_id, log), statuses[slurm_id]
        status = known.get("JobState", status) if status == "FAILED" else status
        folders = log.parent.parts
        first = next((n for n, part in enumerate(folders) if part.startswith(("rule_", "group_"))), len(folders))
        name = " ".join(folders[first:]).removeprefix("rule_").replace("group_", "group ", 1) or f"job {slurm_id}"
        inside = tuple(dict.fromkeys(match["log"] for match in INSIDE.finditer(text)))
        ended.append(Ended(slurm_id, name, status, kind_of_end(status, text), _given(known), log, inside))
    return ended


def report(snakemake_log: Path) -> str:
    """Return what Slurm has to say of a run of Snakemake; empty if no job of it ended badly.

    Parameters
    ----------
    snakemake_log : Path
        The run's log in ``.snakemake/log/``.
    """
    text = _text(snakemake_log)
    parts = [str(job) for job in ended_badly(text)]
    parts += [f"not taken by Slurm: {message.strip()}" for message in sorted(set(REFUSED.findall(text)))]
    if not parts:
        return ""
    told = "\n".join(f"  {part}".replace("\n", "\n  ") for part in parts)
    return f"What Slurm says of jobs that did not end well, in any attempt:\n{told}\n"
