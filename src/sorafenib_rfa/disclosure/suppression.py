"""Which counts are not released: the small ones, and those from which a small one could be worked out.

Primary suppression hides counts from 1 to one below the threshold, and counts that lack so few of their denominator.
Whether a hidden count can be worked out is a question of linear programming: the least and the largest value that the
released (rounded) counts, the relations and what a hidden count says of itself leave possible. Where fewer whole
numbers than asked for remain, another count of a relation is hidden too (complementary suppression), until all are
protected (Fischetti and Salazar 2001 pose the problem and its audit by bounds; the choice here is their greedy form).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.relations import Counts
from sorafenib_rfa.errors import Problem, UserError

SLACK: Final = 1e-6
PROBES: Final = 6
"""Solutions in random directions with which the search for ranges that are wide enough begins."""

UNBOUNDED: Final = 1e7
"""Stands for a count of which nothing is known: more than any cohort has."""


class State(StrEnum):
    """What becomes of a count."""

    RELEASED = "released"
    SMALL = "small"
    """From 1 to one below the threshold: printed as ``<8``."""
    NEARLY_ALL = "nearly_all"
    """Few of its denominator are missing from it: who they are not would be known of them."""
    COMPLEMENTARY = "complementary"
    """Hidden so that no other hidden count can be worked out."""
    MASKED = "masked"
    """Small, and ``<8`` would already say too much: printed as if it were hidden for the sake of another."""
    UNSTATED = "unstated"
    """A complement that no row of the ARD states."""


HIDDEN: Final = (State.SMALL, State.NEARLY_ALL, State.COMPLEMENTARY, State.MASKED)


class DisclosureError(UserError):
    """Results cannot be released as they are."""

    title = "The release would disclose what it must not"


@dataclass(frozen=True)
class Range:
    """The values of a hidden count that the release leaves possible."""

    low: float
    high: float

    @property
    def values(self) -> float:
        """How many whole numbers these are."""
        return np.floor(self.high + SLACK) - np.ceil(self.low - SLACK) + 1


@dataclass
class Suppressed:
    """What became of each class of counts.

    Attributes
    ----------
    states : list of State
        In the order of the classes.
    because : dict of int to int
        Class hidden for the sake of another -> that other.
    ranges : dict of int to Range
        Of each hidden class and each small complement, what an attacker can work out. Of ranges that were found wide
        enough without looking for their ends, this is a part.
    """

    states: list[State]
    because: dict[int, int] = field(default_factory=dict)
    ranges: dict[int, Range] = field(default_factory=dict)


def round_count(count: float, base: int) -> int:
    """Return a count rounded to the nearest multiple of `base`, halves up."""
    return int(np.floor(count / base + 0.5) * base)


def rounds_to(rounded: int, base: int) -> tuple[int, int]:
    """Return the least and the largest count that :func:`round_count` turns into `rounded`."""
    return int(np.ceil(rounded - base / 2)), int(np.ceil(rounded + base / 2) - 1)


def is_small(count: float, threshold: int) -> bool:
    """Say whether a count is from 1 to one below the threshold."""
    return 1 <= count < threshold


def suppress(counts: Counts, rules: Disclosure, *, complementary: bool = True) -> Suppressed:
    """Decide which counts are not released.

    Parameters
    ----------
    counts : Counts
        With their relations.
    rules : Disclosure
    complementary : bool
        Whether to protect the small counts against being worked out; without it the result shows what an attacker
        would find.

    Returns
    -------
    Suppressed

    Raises
    ------
    DisclosureError
        If a count cannot be protected even with all others hidden: a defect of the rules.
    """
    result = Suppressed(_primary(counts, rules))
    audit = Audit(counts, rules)
    if not complementary:
        result.ranges = audit.ranges(result.states)
        return result
    unsafe = audit.unsafe(result.states)
    while unsafe:
        touched: set[int] = set()
        for target in unsafe:
            if audit.around(target) & touched:
                continue  # what was hidden just now may protect it
            victim = _victim(target, counts, audit, result.states)
            if victim is None:
                continue
            result.states[victim] = State.MASKED if result.states[victim] == State.SMALL else State.COMPLEMENTARY
            result.because[victim] = target
            touched.add(victim)
        if not touched:
            names = [counts.ids[number][0] for number in unsafe if counts.ids[number]]
            raise DisclosureError(
                Problem("counts cannot be protected", found=", ".join(names[:5]), hint="lower protection_width")
            )
        unsafe = audit.unsafe(result.states, {*unsafe, *touched})
    result.ranges = audit.seen
    return result


def _primary(counts: Counts, rules: Disclosure) -> list[State]:
    states = [
        State.UNSTATED if not ids else State.SMALL if is_small(size, rules.threshold) else State.RELEASED
        for ids, size in zip(counts.ids, counts.sizes, strict=True)
    ]
    for (count, _), rest in counts.complements.items():
        if is_small(counts.sizes[rest], rules.threshold) and states[count] == State.RELEASED:
            states[count] = State.NEARLY_ALL
    return states


def _victim(target: int, counts: Counts, audit: Audit, states: Sequence[State]) -> int | None:
    """Return the count to hide for the sake of `target`: the smallest of those that hold it in, a part before a whole.

    Which released counts hold a range in is what the solution of the linear program says (its dual values).
    """
    held = audit.held_by.get(target, set())
    released = [n for n in held if states[n] == State.RELEASED and counts.sizes[n] > 0]
    if released:
        return min(released, key=lambda n: (audit.heads[n] > 0, counts.sizes[n], counts.ids[n][0]))
    small = [n for n in held if states[n] == State.SMALL]
    return min(small, key=lambda n: (n != target, -counts.sizes[n], n), default=None)


class Audit:
    """The attacker's question: between which values each hidden count lies.

    Parameters
    ----------
    counts : Counts
    rules : Disclosure

    Attributes
    ----------
    heads : list of int
        Of how many relations each class is the whole.
    seen : dict of int to Range
        Widest range met so far of each class that must be protected.
    held_by : dict of int to set of int
        Of ranges that were found too narrow: the classes whose own bounds are why.
    """

    def __init__(self, counts: Counts, rules: Disclosure) -> None:
        self.counts, self.rules = counts, rules
        self.heads = [0] * len(counts.ids)
        self._near: list[set[int]] = [set() for _ in counts.ids]
        for relation in counts.relations:
            self.heads[relation.total] += 1
            together = {relation.total, *relation.parts}
            for each in together:
                self._near[each] |= together - {each}
        self._of: dict[int, list[int]] = {}
        for number, relation in enumerate(counts.relations):
            for each in (relation.total, *relation.parts):
                self._of.setdefault(each, []).append(number)
        self.seen: dict[int, Range] = {}
        self.held_by: dict[int, set[int]] = {}

    def around(self, number: int) -> set[int]:
        """Return the classes that stand in a relation with one."""
        return self._near[number]

    def bounds(self, number: int, state: State) -> tuple[float, float]:
        """Return what the release says of a count by itself.

        A count hidden for another's sake is known not to be small; that some small ones are printed alike is left out
        of account, which favours the attacker.
        """
        small, base = self.rules.threshold, self.rules.rounding_base
        if state == State.RELEASED:
            size = self.counts.sizes[number]
            if size == 0:
                return 0.0, 0.0
            low, high = rounds_to(round_count(size, base), base)
            return float(max(low, small)), float(high)
        if state == State.SMALL:
            return 1.0, small - 1.0
        if state == State.MASKED:
            return 1.0, UNBOUNDED
        return (0.0 if state == State.UNSTATED else float(small)), UNBOUNDED

    def sensitive(self, states: Sequence[State]) -> list[int]:
        """Return the classes that must be protected: all hidden ones, and small complements."""
        return [
            number
            for number, state in enumerate(states)
            if state in HIDDEN
            or (state == State.UNSTATED and is_small(self.counts.sizes[number], self.rules.threshold))
        ]

    def unsafe(self, states: Sequence[State], among: Iterable[int] | None = None) -> list[int]:
        """Return the classes of which too few values remain possible, the smallest first.

        Hiding another count only widens ranges: of `among`, if given, the others are known to be safe.
        """
        found = self.ranges(states, enough=self.rules.protection_width, among=among)
        wrong = [number for number, each in found.items() if each.values < self.rules.protection_width]
        return sorted(wrong, key=lambda number: (self.counts.sizes[number], number))

    def ranges(
        self, states: Sequence[State], *, enough: int | None = None, among: Iterable[int] | None = None
    ) -> dict[int, Range]:
        """Return the range of each class that must be protected.

        Parameters
        ----------
        states : sequence of State
        enough : int, optional
            Stop looking for the ends of a range that is known to hold so many values.
        among : iterable of int, optional
            Look at these classes only.
        """
        result: dict[int, Range] = {}
        self.held_by = {}
        wanted = set(self.sensitive(states) if among is None else among)
        for component in self._components(states, wanted):
            result |= self._solve(component, states, sorted(wanted & set(component)), enough)
        self.seen |= result
        return result

    def _components(self, states: Sequence[State], wanted: set[int]) -> list[list[int]]:
        """Return classes that hang together through classes whose value is not fixed, each with some of `wanted`."""
        fixed = {n for n, state in enumerate(states) if np.ptp(self.bounds(n, state)) == 0}
        components, done = [], set()
        for start in sorted(wanted):
            if start in done:
                continue
            reached, todo = {start}, [start]
            while todo:
                for other in self._near[todo.pop()]:
                    if other not in reached:
                        reached.add(other)
                        if other not in fixed:
                            todo.append(other)
            done |= reached - fixed
            components.append(sorted(reached))
        return components

    def _solve(
        self, component: Sequence[int], states: Sequence[State], wanted: Sequence[int], enough: int | None
    ) -> dict[int, Range]:
        from scipy.optimize import linprog
        from scipy.sparse import coo_array

        place = {number: j for j, number in enumerate(component)}
        limits = np.array([self.bounds(number, states[number]) for number in component])
        relations = sorted({number for each in component for number in self._of.get(each, [])})
        relations = [
            relation
            for relation in (self.counts.relations[number] for number in relations)
            if relation.total in place and all(part in place for part in relation.parts)
        ]
        if not relations:
            return {number: Range(*limits[place[number]]) for number in wanted}
        entries = [
            (row, place[number], factor)
            for row, relation in enumerate(relations)
            for number, factor in ((relation.total, -1.0), *((part, 1.0) for part in relation.parts))
        ]
        rows, columns, factors = zip(*entries, strict=True)
        equal = coo_array((factors, (rows, columns)), shape=(len(relations), len(component))).tocsr()
        pairs = [(part, whole) for part, whole in self.counts.nested if part in place and whole in place]
        less = None
        if pairs:
            entries = [
                (row, place[number], factor)
                for row, (part, whole) in enumerate(pairs)
                for number, factor in ((part, 1.0), (whole, -1.0))
            ]
            rows, columns, factors = zip(*entries, strict=True)
            less = coo_array((factors, (rows, columns)), shape=(len(pairs), len(component))).tocsr()
        low = np.full(len(component), np.inf)
        high = np.full(len(component), -np.inf)

        def solve(objective: np.ndarray) -> Any:
            nonlocal low, high
            solution = linprog(
                objective,
                A_ub=less,
                b_ub=None if less is None else np.zeros(len(pairs)),
                A_eq=equal,
                b_eq=np.zeros(len(relations)),
                bounds=limits,
                method="highs",
            )
            if solution.status != 0:
                raise ArithmeticError(f"the audit of a release has no solution: {solution.message}")
            low, high = np.minimum(low, solution.x), np.maximum(high, solution.x)
            return solution

        places = [place[number] for number in wanted]
        if enough is not None and len(wanted) > PROBES:
            # each solution is possible for all classes at once: a few far apart widen most ranges enough
            random = np.random.default_rng(len(component))
            for _ in range(PROBES):
                objective = np.zeros(len(component))
                objective[places] = random.choice([-1.0, 1.0], len(places))
                solve(objective)
        result = {}
        for number in wanted:
            j = place[number]
            for sign in (1.0, -1.0):
                if enough is not None and Range(low[j], high[j]).values >= enough:
                    break
                objective = np.zeros(len(component))
                objective[j] = sign
                solution = solve(objective)
                marginals = np.abs(solution.lower.marginals) + np.abs(solution.upper.marginals)
                self.held_by.setdefault(number, set()).update(component[k] for k in np.flatnonzero(marginals > SLACK))
            result[number] = Range(float(low[j]), float(high[j]))
        return result


def hidden_ids(counts: Counts, states: Iterable[State]) -> dict[str, State]:
    """Return ARD id -> state of every count that is not released."""
    return {name: state for ids, state in zip(counts.ids, states, strict=True) for name in ids if state in HIDDEN}
