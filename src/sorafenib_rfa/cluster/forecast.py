"""How long a run will take: its submissions played through on the slots that a profile and a cluster give.

The time of a job is what its benchmark file measured. A job that has none is given the mean of the other jobs of its
rule; where there is none either, it is taken at its time limit, the one bound that is known. Waiting in a queue behind
others is not foreseen.
"""

from __future__ import annotations

import csv
import glob
import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sorafenib_rfa.cluster.submissions import Submission
from sorafenib_rfa.provenance.plan import PlannedJob

START_SECONDS: Final = 5.0
"""Start of Snakemake in each job, twice on Slurm, with an idle core: what the Slurm of tests/cluster showed."""
MEASURED, RULE, LIMIT, UNKNOWN = "measured", "rule", "limit", "unknown"


@dataclass(frozen=True)
class Forecast:
    """What to expect.

    Attributes
    ----------
    submissions, jobs, slots : int
        Jobs of the cluster, jobs of the workflow in them, how many of the former run at once.
    wall_seconds : float
        From the first start to the last end; ``longest_seconds`` of it no slot can shorten.
    core_hours : float
        Cores reserved times time.
    measured, by_rule, at_limit, unknown : int
        Jobs by how their time is known.
    at_limit_rules : list of str
        Rules whose jobs are taken at their time limit.
    """

    submissions: int
    jobs: int
    slots: int
    wall_seconds: float
    longest_seconds: float
    core_hours: float
    measured: int
    by_rule: int
    at_limit: int
    unknown: int
    at_limit_rules: list[str]


def measured_seconds(path: Path) -> float | None:
    """Return the mean time in a benchmark file of Snakemake, None where there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            times = [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    except (OSError, KeyError, ValueError):
        return None
    return sum(times) / len(times) if times else None


def times_of_jobs(root: Path, jobs: Sequence[PlannedJob]) -> list[tuple[float, str]]:
    """Return seconds of each job and how they are known: measured, rule, limit or unknown (then 0)."""
    own = [measured_seconds(root / job.benchmark) if job.benchmark else None for job in jobs]
    files: dict[str, set[Path]] = {}
    for job in jobs:
        if job.benchmark:
            files.setdefault(job.rule, set()).update([root / job.benchmark, *root.glob(_of_rule(job))])
    by_rule = {
        rule: [seconds for seconds in map(measured_seconds, sorted(paths)) if seconds is not None]
        for rule, paths in files.items()
        if any(seconds is None for job, seconds in zip(jobs, own, strict=True) if job.rule == rule)
    }
    known = []
    for job, seconds in zip(jobs, own, strict=True):
        limit = job.resources[0].get("runtime") if job.resources else None
        if seconds is not None:
            known.append((seconds, MEASURED))
        elif by_rule.get(job.rule):
            known.append((sum(by_rule[job.rule]) / len(by_rule[job.rule]), RULE))
        elif isinstance(limit, int | float):
            known.append((60.0 * limit, LIMIT))
        else:
            known.append((0.0, UNKNOWN))
    return known


def _of_rule(job: PlannedJob) -> str:
    """Return the pattern of the benchmark files of a job's rule, whatever its wildcards were."""
    pattern = glob.escape(str(job.benchmark))
    for value in sorted(job.wildcards.values(), key=len, reverse=True):
        pattern = re.sub(rf"(?<![A-Za-z0-9]){re.escape(glob.escape(value))}(?![A-Za-z0-9])", "*", pattern)
    return pattern


def forecast(root: Path, planned: Sequence[Submission], slots: int, start_seconds: float) -> Forecast:
    """Play the submissions through on so many slots, those with the most work behind them first.

    Parameters
    ----------
    root : Path
        The repository, for its benchmark files.
    planned : sequence of Submission
        Each after those on which it rests.
    slots : int
        Submissions that run at once.
    start_seconds : float
        Added to each submission.
    """
    jobs = [job for submission in planned for job in submission.jobs]
    known = dict(zip(map(id, jobs), times_of_jobs(root, jobs), strict=True))
    length = [_length(submission, known, start_seconds) for submission in planned]
    behind = [0.0] * len(planned)
    later: list[list[int]] = [[] for _ in planned]
    for place, submission in enumerate(planned):
        for other in submission.after:
            later[other].append(place)
    for place in reversed(range(len(planned))):
        behind[place] = length[place] + max((behind[other] for other in later[place]), default=0.0)
    waiting = [len(submission.after) for submission in planned]
    ready = [(-behind[place], place) for place, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < max(slots, 1):
            _, place = heapq.heappop(ready)
            heapq.heappush(running, (now + length[place], place))
        now, ended = heapq.heappop(running)
        for other in later[ended]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, (-behind[other], other))
    how = [known[id(job)][1] for job in jobs]
    return Forecast(
        submissions=len(planned),
        jobs=len(jobs),
        slots=slots,
        wall_seconds=now,
        longest_seconds=max(behind, default=0.0),
        core_hours=sum(
            seconds * submission.cpus for seconds, submission in zip(length, planned, strict=True)
        ) / 3600,
        measured=how.count(MEASURED),
        by_rule=how.count(RULE),
        at_limit=how.count(LIMIT),
        unknown=how.count(UNKNOWN),
        at_limit_rules=sorted({job.rule for job, each in zip(jobs, how, strict=True) if each == LIMIT}),
    )  # fmt: skip


def _length(submission: Submission, known: dict[int, tuple[float, str]], start_seconds: float) -> float:
    """Return the seconds of a submission: members of a group in its lanes, each as soon as what it rests on is made."""
    if not submission.group:
        return known[id(submission.jobs[0])][0] + start_seconds
    free = [0.0] * submission.lanes
    made: dict[str, float] = {}
    for job in submission.jobs:
        earliest = max((made[path] for path in job.inputs if path in made), default=0.0)
        start = max(heapq.heappop(free), earliest)
        end = start + known[id(job)][0]
        heapq.heappush(free, end)
        made.update(dict.fromkeys(job.outputs, end))
    return max(free) + start_seconds
