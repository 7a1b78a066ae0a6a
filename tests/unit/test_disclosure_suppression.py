"""Small counts cannot be worked out of what is released: attacked on made-up cohorts, and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from disclosure_attacker import INDENT, Attack, attack_crosstab
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.relations import find_counts
from sorafenib_rfa.disclosure.results import public_results, public_words, small_text
from sorafenib_rfa.disclosure.suppression import State, is_small, round_count, rounds_to, suppress
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.stats.proportions import clopper_pearson

EXACT = Disclosure(threshold=8, rounding_base=1, protection_width=3)
ROUNDED = Disclosure()
HOW = {"method": "made up", "engine": "test", "population": "All analysed patients"}


def crosstab_ard(patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ARD of a Table 1: for each arm and overall, levels of each variable, those missing, and n."""
    builder = ArdBuilder("made_up", "baseline", "records/none.json")
    for arm in (*sorted(patients["arm"].unique()), "overall"):
        own = patients if arm == "overall" else patients[patients["arm"] == arm]
        add = dict(group=arm, **HOW)
        builder.add("table1", "n", len(own), unit="count", members=own["USUBJID"], **add)
        for name in [column for column in patients if column.startswith("v")]:
            known = own[own[name] != ""]
            builder.add("table1", "n", len(known), unit="count", variable=name, members=known["USUBJID"], **add)
            lost = own[own[name] == ""]
            builder.add("table1", "missing", len(lost), unit="count", variable=name, members=lost["USUBJID"], **add)
            for level in sorted(set(patients[name]) - {""}):
                there = known[known[name] == level]
                where = {"variable": name, "level": level}
                builder.add("table1", "n", len(there), unit="count", members=there["USUBJID"], **where, **add)
                share = clopper_pearson(len(there), len(known)) if len(known) else None
                percent = (
                    [100 * each for each in (share.estimate, share.ci_low, share.ci_high)] if share else [np.nan] * 3
                )
                method = HOW["method"] if share else "not estimable: nobody"
                builder.add(
                    "table1", "percent", percent[0], ci_low=percent[1], ci_high=percent[2], unit="percent", **where,
                    **{**add, "method": method},
                )  # fmt: skip
    made = builder.estimates({})
    return made.ard, made.members


def published(ard: pd.DataFrame) -> list[list[str]]:
    """Return the table of a public ARD as it is printed."""
    rows = {row["ard_id"]: row for row in ard.to_dict("records")}
    groups = list(dict.fromkeys(row["group"] for row in rows.values() if row["group"] != "overall"))
    prefix = {**{group: f"baseline.table1.{group}" for group in groups}, "overall": "baseline.table1"}
    titles = {**{group: group for group in groups}, "overall": "Overall"}
    table = [["", *(f"{titles[g]} (n\u00a0=\u00a0{format_value(rows[f'{p}.n'])})" for g, p in prefix.items())]]
    variables = sorted({row["variable"].partition("=")[0] for row in rows.values()} - {""})
    for name in variables:
        levels = sorted(
            {row["variable"].partition("=")[2] for row in rows.values() if row["variable"].startswith(f"{name}=")}
        )
        table.append([name, *("" for _ in prefix)])
        for level in levels:
            cells = []
            for group in prefix.values():
                count, percent = (rows[f"{group}.{name}.{level}.{stat}"] for stat in ("n", "percent"))
                text = format_value(count)
                cells.append(text if np.isnan(percent["value"]) else f"{text} ({format_value(percent)})")
            table.append([INDENT + level, *cells])
        missing = [format_value(rows[f"{group}.{name}.missing"]) for group in prefix.values()]
        table.append([INDENT + "Missing, n", *missing])
    return table


def attacked(ard: pd.DataFrame, members: pd.DataFrame, rules: Disclosure, *, complementary: bool) -> Attack:
    public = public_results(ard, members, rules, level=0.95, complementary=complementary).ard
    attack = Attack(rules.rounding_base, rules.threshold)
    attack_crosstab(attack, published(public))
    return attack


@st.composite
def cohorts(draw):
    size = draw(st.integers(20, 150))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"USUBJID": [f"p{number:04d}" for number in range(size)]})
    arms = draw(st.integers(2, 3))
    frame["arm"] = rng.choice([f"arm{j}" for j in range(arms)], size, p=rng.dirichlet(np.full(arms, 3)))
    for number in range(draw(st.integers(1, 3))):
        levels = [*(f"l{j}" for j in range(draw(st.integers(2, 4)))), ""]
        frame[f"v{number}"] = rng.choice(levels, size, p=rng.dirichlet(np.full(len(levels), 0.6)))
    return frame


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cohorts(), st.sampled_from([EXACT, ROUNDED]))
def test_no_hidden_count_of_a_random_cohort_can_be_recovered(patients, rules):
    ard, members = crosstab_ard(patients)
    attack = attacked(ard, members, rules, complementary=True)
    assert attack.narrow(rules.protection_width) == {}


def test_the_same_attacker_recovers_counts_where_complementary_suppression_is_off():
    rng = np.random.default_rng(5)
    exact, narrowed = 0, 0
    for rules in (EXACT, ROUNDED):
        for _ in range(12):
            patients = pd.DataFrame({"USUBJID": [f"p{number:04d}" for number in range(120)]})
            patients["arm"] = rng.choice(["arm0", "arm1"], 120)
            for name in ("v0", "v1"):
                patients[name] = rng.choice(["l0", "l1", "l2", ""], 120, p=[0.6, 0.3, 0.05, 0.05])
            ard, members = crosstab_ard(patients)
            attack = attacked(ard, members, rules, complementary=False)
            truth = {row["ard_id"]: row["value"] for row in ard.to_dict("records")}
            for name, (low, high) in attack.narrow(rules.protection_width).items():
                _, variable, level, group = name.split("|")
                group = "" if group == "Overall" else f"{group}."
                stat = f"{variable}.missing" if level.startswith("Missing") else f"{variable}.{level}.n"
                # and what the attacker says is right
                assert low - 1e-6 <= truth[f"baseline.table1.{group}{stat}"] <= high + 1e-6
                exact += rules is EXACT and high - low < 0.5
                narrowed += rules is ROUNDED
            protected = attacked(ard, members, rules, complementary=True)
            assert protected.hidden and protected.narrow(rules.protection_width) == {}
    assert exact > 20  # unrounded sums give everything away
    assert narrowed > 0  # rounding alone does not protect everything


def test_a_lone_small_level_takes_another_with_it():
    """100 = 60 + 37 + 3: without complementary suppression 3 = 100 - 60 - 37."""
    levels = ["a"] * 60 + ["b"] * 37 + ["c"] * 3
    patients = pd.DataFrame({"USUBJID": [f"p{j}" for j in range(100)], "arm": "x", "v0": levels})
    ard, members = crosstab_ard(patients)
    counts = find_counts(ard, members, threshold=8)
    states = dict(zip((ids[0] if ids else "" for ids in counts.ids), suppress(counts, EXACT).states, strict=True))
    assert states["baseline.table1.v0.c.n"] == State.SMALL
    assert State.COMPLEMENTARY in (states["baseline.table1.v0.b.n"], states["baseline.table1.v0.a.n"])
    bare = suppress(counts, EXACT, complementary=False)
    small = counts.class_of["baseline.table1.v0.c.n"]
    assert (bare.ranges[small].low, bare.ranges[small].high) == (3, 3)


def test_who_is_few_outside_of_a_group_is_as_protected_as_who_is_few_within():
    levels = ["a"] * 95 + ["b"] * 5
    patients = pd.DataFrame({"USUBJID": [f"p{j}" for j in range(100)], "arm": "x", "v0": levels})
    ard, members = crosstab_ard(patients)
    public = public_results(ard, members, ROUNDED, level=0.95).ard.set_index("ard_id")
    assert public.loc["baseline.table1.v0.b.n", "withheld"] == "<8"
    assert public.loc["baseline.table1.v0.a.n", "withheld"] == "[suppressed]"
    assert public.loc["baseline.table1.v0.a.percent", ["value", "ci_low", "ci_high"]].isna().all()


@pytest.mark.parametrize("base", [1, 2, 3, 5, 7, 10])
def test_rounding_and_what_it_leaves_open(base):
    for count in range(0, 200):
        low, high = rounds_to(round_count(count, base), base)
        assert low <= count <= high and high - low + 1 == base
    assert not is_small(0, 8) and is_small(1, 8) and is_small(7, 8) and not is_small(8, 8)


def test_a_percentage_and_its_exact_limits_tell_no_more_than_the_rounded_count():
    """Every count that rounds alike gives the same percentage and limits: neither percent x N nor the limits invert."""
    seen = {}
    for count, total in itertools.product(range(18, 23), range(98, 103)):
        levels = ["a"] * count + ["b"] * (total - count)
        patients = pd.DataFrame({"USUBJID": [f"p{j}" for j in range(total)], "arm": "x", "v0": levels})
        public = public_results(*crosstab_ard(patients), ROUNDED, level=0.95).ard.set_index("ard_id")
        row = public.loc["baseline.table1.v0.a.percent"]
        seen[count, total] = (row["value"], row["ci_low"], row["ci_high"])
    assert len(set(seen.values())) == 1
    expected = clopper_pearson(20, 100)  # of the rounded counts
    assert seen[18, 102] == pytest.approx(
        [100 * each for each in (expected.estimate, expected.ci_low, expected.ci_high)]
    )


def test_the_release_is_the_same_every_time():
    rng = np.random.default_rng(11)
    patients = pd.DataFrame({"USUBJID": [f"p{j}" for j in range(90)], "arm": rng.choice(["x", "y"], 90)})
    patients["v0"] = rng.choice(["a", "b", "c", ""], 90, p=[0.5, 0.4, 0.05, 0.05])
    ard, members = crosstab_ard(patients)
    once = public_results(ard, members, ROUNDED, level=0.95).ard
    again = public_results(
        ard.sample(frac=1, random_state=3), members.sample(frac=1, random_state=3), ROUNDED, level=0.95
    )
    pd.testing.assert_frame_equal(once, again.ard)


@pytest.mark.parametrize(
    ("said", "public"),
    [
        ("not estimable: 3 events in the arm", "not estimable: fewer than 8 events in the arm"),
        (
            "sessions with a complication, of 1046; exact interval",
            "sessions with a complication, of 1045; exact interval",
        ),
        ("standard error of 2000 bootstrap resamples", "standard error of 2000 bootstrap resamples"),
        ("events per 100 patient-years from RFA", "events per 100 patient-years from RFA"),
        ("mean number to month 12, death as terminal event", "mean number to month 12, death as terminal event"),
        ("worst grade 3 (CTCAE v5.0), 41 patients", "worst grade 3 (CTCAE v5.0), 40 patients"),
    ],
)
def test_numbers_of_patients_in_words_are_rounded_too(said, public):
    assert public_words(said, ROUNDED) == public
    assert small_text(ROUNDED) == "<8"
