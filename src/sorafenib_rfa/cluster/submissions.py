"""What will be submitted: the jobs of a plan, put together into groups as Snakemake does, and what each asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sorafenib_rfa.cluster.settings import Settings
from sorafenib_rfa.provenance.plan import PlannedJob


@dataclass(frozen=True)
class Submission:
    """One job of the cluster: a job of the workflow, or a group of them.

    Attributes
    ----------
    jobs : tuple of PlannedJob
        In an order in which they can run.
    group : str
        Name of the group; empty: a job alone.
    lanes : int
        How many members run side by side.
    after : frozenset of int
        Submissions that must have ended, by their place in the list.
    """

    jobs: tuple[PlannedJob, ...]
    group: str
    lanes: int
    after: frozenset[int]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"group {self.group} of {len(self.jobs)}" if self.group else self.jobs[0].rule

    def asks(self, resource: str, attempt: int) -> float | None:
        """Return how much it asks for at an attempt (1, 2, ...): of a group, as Snakemake adds its members up.

        Memory and disk of as many members as run side by side, time of all of them one after the other in that many
        lanes; None if a member does not say.
        """
        each = [_number(job.resources[attempt - 1].get(resource)) for job in self.jobs if len(job.resources) >= attempt]
        if not each or None in each:
            return None
        amounts = sorted((value for value in each if value is not None), reverse=True)
        if resource == "runtime":
            return max(amounts[0], sum(amounts) / self.lanes)
        return sum(amounts[: self.lanes])

    @property
    def cpus(self) -> int:
        """CPUs that it asks for."""
        widest = sorted((job.threads for job in self.jobs), reverse=True)
        return max(widest[0], min(self.lanes, sum(widest))) if self.group else widest[0]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def submissions(plan: Sequence[PlannedJob], settings: Settings) -> list[Submission]:
    """Return what is submitted for the jobs of a plan that need to run, each after all that it rests on.

    Members of a group that rest on each other are one submission; of those that do not, as many as
    ``group-components`` says. A group that would have to wait for itself is left apart, as jobs alone.
    """
    jobs = [job for job in plan if job.needs_run and job.record is not None]
    makers = {path: place for place, job in enumerate(jobs) for path in job.outputs}
    before = [{makers[path] for path in job.inputs if path in makers} - {place} for place, job in enumerate(jobs)]
    order = _sorted(before)
    if order is None:  # Snakemake's graphs have no cycle
        order = list(range(len(jobs)))
    batches = _batches(jobs, before, order, settings)
    if _sorted(_between(batches, before)) is None:
        batches = [("", [place]) for place in order]
    links = _between(batches, before)
    sequence = _sorted(links) or []
    renamed = {old: new for new, old in enumerate(sequence)}
    lanes = _lanes(settings)
    return [
        Submission(
            jobs=tuple(jobs[place] for place in batches[old][1]),
            group=batches[old][0],
            lanes=lanes if batches[old][0] else 1,
            after=frozenset(renamed[other] for other in links[old]),
        )
        for old in sequence
    ]


def _lanes(settings: Settings) -> int:
    cores = settings.value("cores")
    return int(cores) if str(cores).isdigit() and int(cores) > 0 else 1


def _batches(
    jobs: list[PlannedJob], before: list[set[int]], order: list[int], settings: Settings
) -> list[tuple[str, list[int]]]:
    """Return group and members of each submission."""
    groups, components = settings.groups(), settings.group_components()
    batches: list[tuple[str, list[int]]] = []
    open_batch: dict[str, tuple[int, int]] = {}  # group -> its last batch, how many components that has
    home: dict[int, int] = {}
    connected = _connected(jobs, before, groups)
    for place in order:
        group = groups.get(jobs[place].rule, "")
        if place in home:
            continue
        if not group:
            batches.append(("", [place]))
            continue
        batch, held = open_batch.get(group, (-1, 0))
        if batch < 0 or held >= components.get(group, 1):
            batches.append((group, []))
            batch, held = len(batches) - 1, 0
        open_batch[group] = (batch, held + 1)
        for member in order:
            if connected[member] == connected[place]:
                home[member] = batch
                batches[batch][1].append(member)
    return batches


def _connected(jobs: list[PlannedJob], before: list[set[int]], groups: dict[str, str]) -> list[int]:
    """Return of each job the first of those of its group with which it is connected."""
    first = list(range(len(jobs)))

    def root(place: int) -> int:
        while first[place] != place:
            place = first[place]
        return place

    for place, others in enumerate(before):
        for other in others:
            group = groups.get(jobs[place].rule)
            if group and group == groups.get(jobs[other].rule):
                low, high = sorted((root(place), root(other)))
                first[high] = low
    return [root(place) for place in range(len(jobs))]


def _between(batches: list[tuple[str, list[int]]], before: list[set[int]]) -> list[set[int]]:
    """Return of each batch those on which it rests."""
    home = {member: number for number, (_, members) in enumerate(batches) for member in members}
    return [
        {home[other] for member in members for other in before[member]} - {number}
        for number, (_, members) in enumerate(batches)
    ]


def _sorted(before: list[set[int]]) -> list[int] | None:
    """Return an order in which each comes after what it rests on; None if there is a cycle."""
    waiting = [len(others) for others in before]
    after: list[list[int]] = [[] for _ in before]
    for place, others in enumerate(before):
        for other in others:
            after[other].append(place)
    ready, order = [place for place, count in enumerate(waiting) if not count], []
    while ready:
        place = ready.pop(0)
        order.append(place)
        for later in after[place]:
            waiting[later] -= 1
            if not waiting[later]:
                ready.append(later)
    return order if len(order) == len(before) else None
