"""Which counts are sums of others: found by the names of ARD rows, confirmed by who was counted.

An attacker knows that the levels of a variable make up the group, that worst grades make up any grade, that those who
remain are those before less those excluded. None of this is listed by hand: counts whose ids differ in one place are a
family, and a family of disjoint counts whose members are exactly those of another count is a sum of which the reader
of a table knows too. A table that is new tomorrow is protected without new code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from sorafenib_rfa.estimates.counted import has_members
from sorafenib_rfa.estimates.members import CountIndex

LARGEST_CHILDREN: Final = 40
"""A count whose id has more continuations than this heads a list of things, not the parts of a whole."""

SEARCH_STEPS: Final = 400
"""Steps of the search for sums within one family; parts that are disjoint as a whole are found without a search."""

MOST_COVERS: Final = 12
"""Ways to make up one count that are kept from one family."""


@dataclass(frozen=True)
class Relation:
    """One sum: the members of `total` are those of `parts`, each once.

    Attributes
    ----------
    total : int
        Class of the whole.
    parts : tuple of int
        Classes of the parts, sorted.
    """

    total: int
    parts: tuple[int, ...]


@dataclass
class Counts:
    """The counts of an ARD as the sets they are; counts of the same set are one class.

    Attributes
    ----------
    ids : list of list of str
        ARD ids of each class; empty for a complement that no row states.
    sizes : list of int
        Number of members of each class.
    class_of : dict of str to int
        ARD id -> class.
    relations : list of Relation
    nested : list of tuple of int
        Pairs (part, whole) of which an attacker knows that the one lies within the other.
    complements : dict of (int, int) to int
        (count, its denominator) -> class of those of the denominator who are not in the count.
    """

    ids: list[list[str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    class_of: dict[str, int] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    nested: list[tuple[int, int]] = field(default_factory=list)
    complements: dict[tuple[int, int], int] = field(default_factory=dict)


def find_counts(ard: pd.DataFrame, members: pd.DataFrame, *, threshold: int) -> Counts:
    """Return the counts of an ARD with the relations between them.

    Parameters
    ----------
    ard : DataFrame
        The ARD of a cohort.
    members : DataFrame
        Who or what was counted (``estimates.counted.MEMBER_COLUMNS``).
    threshold : int
        Counts of fewer members are taken to be the same only if their names say so: small sets are equal by chance.

    Returns
    -------
    Counts
        In the order of the ids; the same for the same input.
    """
    sets, of_rows = _sets(ard, members)
    counts = Counts()
    _classes(counts, sets, threshold)
    bits = [sets[ids[0]] for ids in counts.ids]
    _complements(counts, CountIndex(ard), ard, sets, bits)
    _sums(counts, sets, bits, threshold)
    _rows_of_patients(counts, of_rows, sets)
    return counts


def _sets(ard: pd.DataFrame, members: pd.DataFrame) -> tuple[dict[str, int], dict[str, int]]:
    """Return each count's members as bits of a number; of counts of rows also whose rows they are."""
    parts = ard["ard_id"].str.partition(".")[0]
    counting = [has_members(*row) for row in zip(parts, ard["stat_name"], ard["unit"], strict=True)]
    stated = ard.loc[counting & ard["value"].notna().to_numpy(), "ard_id"]
    subjects = members["USUBJID"].fillna("")
    where = members[["src_file", "src_sheet", "src_row"]].astype("string").fillna("")
    item = subjects + "\x00" + where["src_file"] + "\x00" + where["src_sheet"] + "\x00" + where["src_row"]
    sets: dict[str, int] = {str(name): 0 for name in stated}
    of_rows: dict[str, int] = {}
    bit: dict[str, int] = {}

    def as_bits(names: Iterable[str]) -> int:
        found = 0
        for name in names:
            found |= 1 << bit.setdefault(name, len(bit))
        return found

    frame = pd.DataFrame({"ard_id": members["ard_id"].astype(str), "who": subjects, "item": item})
    for name, group in frame.groupby("ard_id", sort=True):
        who = group["who"].tolist()
        patients = len(set(who)) == len(who) and all(who)
        sets[name] = as_bits(who if patients else group["item"].tolist())
        if not patients:
            of_rows[name] = as_bits(sorted({each for each in who if each}))
    return dict(sorted(sets.items())), of_rows


def _classes(counts: Counts, sets: dict[str, int], threshold: int) -> None:
    """Put counts of the same members together: large ones always, small ones if their names are alike."""
    same: dict[int, list[int]] = {}
    for name, bits in sets.items():
        for known in same.get(bits, []):
            if bits.bit_count() >= threshold or (bits and _alike(name, counts.ids[known][0])):
                counts.ids[known].append(name)
                counts.class_of[name] = known
                break
        else:
            counts.class_of[name] = len(counts.ids)
            same.setdefault(bits, []).append(len(counts.ids))
            counts.ids.append([name])
            counts.sizes.append(bits.bit_count())


def _alike(one: str, other: str) -> bool:
    """Say whether two ids name the same thing: they end alike, or differ in one place."""
    a, b = one.split("."), other.split(".")
    return a[-2:] == b[-2:] or (len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1)


def _complements(counts: Counts, index: CountIndex, ard: pd.DataFrame, sets: dict[str, int], bits: list[int]) -> None:
    """Add who is in a denominator and not in the count: whoever reads a percentage knows how many they are."""
    by_bits: dict[int, int] = {}
    for number, each in enumerate(bits):
        by_bits.setdefault(each, number)
    for identifier in ard.loc[ard["unit"] != "count", "ard_id"]:
        roles = index.of(str(identifier))
        for part, whole in pairs_of(roles, str(identifier), sets):
            one, all_of_them = counts.class_of[part], counts.class_of[whole]
            rest = bits[all_of_them] & ~bits[one]
            if not rest or not bits[one] or bits[one] & ~bits[all_of_them] or (one, all_of_them) in counts.complements:
                continue
            known = by_bits.get(rest)
            if known is None:
                known = by_bits[rest] = len(counts.ids)
                counts.ids.append([])
                counts.sizes.append(rest.bit_count())
                bits.append(rest)
            counts.complements[one, all_of_them] = known
            counts.relations.append(Relation(all_of_them, tuple(sorted((one, known)))))


def pairs_of(roles: dict[str, str], identifier: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (part, whole) among the counts a value rests on: numerators of denominators, events among patients."""
    for one, whole in (("numerator", "denominator"), ("events", "n")):
        for role, part in roles.items():
            if role.partition("_")[0] == one:
                of = roles.get(role.replace(one, whole, 1)) or roles.get(whole)
                if of in known and part in known:
                    yield part, of
    own = f"{identifier.rpartition('.')[0]}.n"
    of = roles.get("denominator") or roles.get("n")
    if identifier.endswith(".percent") and own in known and of in known and own != of:
        yield own, of


# --- sums ------------------------------------------------------------------------------------------------------------


def _families(names: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """Return counts that belong together: ids that differ in one place, and the continuations of one id."""
    families: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        words = name.split(".")
        for place in range(1, len(words)):
            families.setdefault((str(len(words)), str(place), *words[:place], *words[place + 1 :]), []).append(name)
        for depth in (1, 2):
            if len(words) - depth >= 2:
                families.setdefault(("under", *words[:-depth]), []).append(name)
    return {
        key: found
        for key, found in sorted(families.items())
        if len(found) > 1 and not (key[0] == "under" and len(found) > LARGEST_CHILDREN)
    }


def _sums(counts: Counts, sets: dict[str, int], bits: list[int], threshold: int) -> None:
    """Add every count that is made up of a family, and who lies within whom."""
    named = {name: bits[number] for name, number in counts.class_of.items()}
    analyses: dict[str, set[int]] = {}
    for name, number in counts.class_of.items():
        analyses.setdefault(".".join(name.split(".")[:2]), set()).add(number)
    large = {number for number, each in enumerate(bits) if each.bit_count() >= threshold and counts.ids[number]}
    seen = {(relation.total, relation.parts) for relation in counts.relations}
    inside: set[tuple[int, int]] = set()
    for key, family in _families(named).items():
        classes = sorted({counts.class_of[name] for name in family if named[name]})
        if not classes:
            continue
        union = 0
        for number in classes:
            union |= bits[number]
        own = {number for name in family for number in analyses[".".join(name.split(".")[:2])]}
        for total in sorted(own | large):
            whole = bits[total]
            if not whole or whole & ~union:
                continue
            parts = [number for number in classes if number != total and not bits[number] & ~whole]
            for cover in _covers(whole, parts, bits):
                if len(cover) > 1 and (total, cover) not in seen:
                    seen.add((total, cover))
                    counts.relations.append(Relation(total, cover))
        if key[0] != "under":
            for one in classes:
                inside |= {(one, other) for other in classes if one != other and not bits[one] & ~bits[other]}
    counts.nested = sorted(inside)


def _covers(whole: int, parts: Sequence[int], bits: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield selections of `parts` that are disjoint and make up `whole`."""
    together = 0
    for part in parts:
        together |= bits[part]
    if together != whole:
        return
    if sum(bits[part].bit_count() for part in parts) == whole.bit_count():
        yield tuple(sorted(parts))
        return
    found, steps = 0, 0
    # the part that is tried first must hold the member whom the fewest parts hold
    stack: list[tuple[int, tuple[int, ...]]] = [(whole, ())]
    while stack and found < MOST_COVERS and steps < SEARCH_STEPS:
        left, chosen = stack.pop()
        steps += 1
        if not left:
            found += 1
            yield tuple(sorted(chosen))
            continue
        fitting = [part for part in parts if not bits[part] & ~left]
        reach = 0
        for part in fitting:
            reach |= bits[part]
        if reach != left:
            continue
        rarest = min(_pivots(left, fitting, bits), key=lambda holders: (len(holders), holders))
        stack.extend((left & ~bits[part], (*chosen, part)) for part in reversed(rarest))


def _pivots(left: int, fitting: Sequence[int], bits: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield, for members still to be covered, the parts that hold them: one member of each part is looked at."""
    for part in fitting:
        member = (bits[part] & left) & -(bits[part] & left)
        yield tuple(other for other in fitting if bits[other] & member)


def _rows_of_patients(counts: Counts, of_rows: dict[str, int], sets: dict[str, int]) -> None:
    """Note that those who had events are no more than the events, where both are counted under alike names."""
    patients = {name: bits for name, bits in sets.items() if name not in of_rows}
    by_bits: dict[int, list[str]] = {}
    for name, bits in patients.items():
        by_bits.setdefault(bits, []).append(name)
    extra = set()
    for name, bits in of_rows.items():
        for other in by_bits.get(bits, []):
            if name.split(".")[:2] == other.split(".")[:2]:
                extra.add((counts.class_of[other], counts.class_of[name]))
    counts.nested = sorted({*counts.nested, *extra})
