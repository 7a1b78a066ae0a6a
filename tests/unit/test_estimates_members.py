"""From every count to the patients and raw rows behind it, in all cohorts, held against the raw files themselves."""

from __future__ import annotations

import datetime as dt
import inspect
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from source_oracle import as_number, expected, grid, text_of

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.load import Cohort, load_study
from sorafenib_rfa.config.paths import raw_folder
from sorafenib_rfa.estimates.agreement import estimate_agreement
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.collect import collect_ard, collect_members
from sorafenib_rfa.estimates.members import (
    MEMBER_COLUMNS,
    NOT_OF_PATIENTS,
    CountIndex,
    counts_of,
    has_members,
    members_of,
    raw_rows,
)
from sorafenib_rfa.estimates.parts import complication_scales, estimate_parts, write_estimates
from sorafenib_rfa.estimates.published import quote_published
from sorafenib_rfa.files import write_parquet
from sorafenib_rfa.ingest import ingest_site
from sorafenib_rfa.public_data import colon_export, load_colon
from sorafenib_rfa.simulate import load_parameters, simulate_raw

ROOT = Path(__file__).parents[2]
SIZE = 300
COHORTS = ("synthetic", "hcc_resection", "colon_adjuvant")


@dataclass(frozen=True)
class Built:
    """A cohort as the workflow leaves it under `root`."""

    root: Path
    cohort: Cohort
    ard: pd.DataFrame
    members: pd.DataFrame
    parts: dict[str, Estimates]

    @property
    def by_id(self) -> pd.Series:
        return self.ard.set_index("ard_id")["value"]

    def of(self, ard_id: str) -> pd.DataFrame:
        return members_of(self.root, self.cohort.name, ard_id)

    def who(self, ard_id: str) -> set[str]:
        return set(self.of(ard_id)["USUBJID"])

    def rows(self, of: object) -> pd.DataFrame:
        return raw_rows(self.root, self.cohort.name, of)

    def source(self, table: str, row: object) -> dict[str, object]:
        """Return the mapped cells of a raw row, read without the package: canonical column -> cell as it stands."""
        site = self.cohort.sites[row.site]
        mapping = site.tables[table]
        assert (mapping.sheet is None) == pd.isna(row.src_sheet)
        assert Path(row.src_file).name == mapping.file
        cells = grid(self.root / row.src_file, mapping.sheet, site.encoding, site.delimiter)
        headers = [text_of(cell) for cell in cells[mapping.header_row]]
        columns = {k: v if isinstance(v, str) else v.column for k, v in mapping.columns.items()}
        return {name: cells[row.src_row][headers.index(text_of(column))] for name, column in columns.items()}

    def read(self, table: str, column: str, kind: str, cell: object, site: str) -> object:
        """Return a cell's meaning as the oracle reads it; None when it has none."""
        try:
            mapped = self.cohort.sites[site].tables[table].columns[column]
            return expected(cell, mapped, kind, self.cohort.sites[site])
        except (KeyError, ValueError):
            return None


def _put_raw(root: Path, name: str) -> None:
    """Put the raw files of a cohort where its configuration says they lie."""
    if name == "synthetic":
        parameters = load_parameters(ROOT / "config/cohorts/synthetic/simulation.yaml", size=SIZE)
        for site, files in simulate_raw(parameters, seed=7).exports.items():
            for file, content in files.items():
                path = root / "data/raw/synthetic" / site / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    elif name == "colon_adjuvant":
        (root / "data/raw/colon_adjuvant").mkdir(parents=True)
        (root / "data/raw/colon_adjuvant/colon.csv").write_bytes(colon_export(load_colon()))
    else:
        (root / "data").mkdir()
        (root / "data/public").symlink_to(ROOT / "data/public")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a cohort by name, built once."""
    return cache(lambda name: _build(name, tmp_path_factory.mktemp(name)))


def _build(name: str, root: Path) -> Built:
    _put_raw(root, name)
    study = load_study(ROOT, {"cohort": name, "seed": 1, "publication_date": "2024-01-01"})
    cohort = study.cohorts[name]
    plan = study.plans[name].model_copy(update={"bootstrap_resamples": 40})
    results = root / "results" / name
    ingested = {}
    for site, mapped in cohort.sites.items():
        shown = raw_folder(cohort, site)
        ingested[site] = ingest_site(root / shown, site, mapped, cohort.config, shown_folder=shown)
        for table, frame in ingested[site].tables.items():
            write_parquet(frame, results / f"ingest/{site}/{table}.parquet")
    cleaned = clean_cohort(ingested, cohort, plan)
    ledgers = {"attrition": cleaned.attrition, "fates": cleaned.fates, "quarantine": cleaned.quarantine}
    beside = {"incomplete_ablations": cleaned.incomplete_ablations}
    for table, frame in (cleaned.tables | ledgers | beside).items():
        write_parquet(frame, results / f"clean/{table}.parquet")
    given = build_adam(cleaned.tables, cohort, plan, **beside) | ledgers
    given |= {"plan": plan, "cohort": cohort.config, "cohort_name": name, "record": "r", "seed": 1}
    given["ablations"] = cleaned.tables["ablations"]
    given["complication_scales"] = complication_scales(cohort.sites)
    parts = {part: _estimate(part, given) for part in estimate_parts(cohort.config)}
    ard = collect_ard(part.ard for part in parts.values())
    members = collect_members((part.members for part in parts.values()), ard)
    write_parquet(members, results / "ard/members.parquet")
    return Built(root, cohort, ard, members, parts)


def _estimate(part: str, given: dict[str, object]) -> Estimates:
    if part == "agreement":
        stored = pd.read_csv(ROOT / "validation/agreement.csv", dtype=str, keep_default_na=False)
        return estimate_agreement(stored.astype({"values": int}), str(given["cohort_name"]), "r", shown_as="a.csv")
    if part == "published":
        return quote_published(given["cohort"], str(given["cohort_name"]), "r")
    function = getattr(import_module(f"sorafenib_rfa.estimates.{part}"), f"estimate_{part}")
    made = function(**{name: given[name] for name in inspect.signature(function).parameters})
    if part == "baseline":
        given["weights"] = made.curves.get("weights")
    return made


# --- every count ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "least"), [("synthetic", 1300), ("hcc_resection", 226), ("colon_adjuvant", 514)])
def test_every_count_of_patients_or_rows_has_the_members_it_counted(built, name, least):
    made = built(name)
    part = made.ard["ard_id"].str.partition(".")[0]
    counts = made.ard[
        [has_members(*row) for row in zip(part, made.ard["stat_name"], made.ard["unit"], strict=True)]
    ].dropna(subset=["value"])
    size = made.members.groupby("ard_id").size().reindex(counts["ard_id"], fill_value=0)
    assert size.tolist() == counts["value"].tolist()
    assert len(counts) >= least
    # what has none is listed, and nothing that is listed has any
    others = made.ard[(made.ard["unit"] == "count") & ~made.ard["ard_id"].isin(counts["ard_id"])].dropna(
        subset=["value"]
    )
    assert set(others["ard_id"].str.replace(r"^(\w+)\..*\.(\w+)$", r"\1.\2", regex=True)) <= NOT_OF_PATIENTS
    assert list(made.members.columns) == list(MEMBER_COLUMNS)
    assert made.members["ard_id"].is_monotonic_increasing


@pytest.mark.parametrize("name", COHORTS)
def test_every_member_is_a_patient_of_the_ledger_and_every_row_is_known(built, name):
    made = built(name)
    clean = made.root / "results" / name / "clean"
    fates = pd.read_parquet(clean / "fates.parquet").set_index("USUBJID")
    of_flow = made.members["ard_id"].str.startswith("flow.")
    of_efficacy = made.members["ard_id"].str.startswith("ablation.efficacy_")
    # everything but the flow speaks of analysed patients; of technique efficacy also those it excluded
    assert (fates["fate"].reindex(made.members.loc[~of_flow & ~of_efficacy, "USUBJID"]) == "analysed").all()
    others = fates.reindex(made.members.loc[of_efficacy, "USUBJID"])
    others = others[others["fate"] != "analysed"]
    assert set(others["fate"].dropna()) <= {"excluded"} and set(others["step_id"].dropna()) <= {"complete_rfa"}
    for ard_id in made.members.loc[made.members["src_row"].notna(), "ard_id"].drop_duplicates().iloc[::25]:
        rows = made.rows(ard_id)
        assert len(rows) > 0
        assert rows[["table", "site", "src_file", "src_row"]].notna().all().all()


def test_the_same_cohort_gives_the_same_bytes_whatever_order_its_rows_come_in(built, tmp_path):
    made = built("hcc_resection")
    part = made.parts["flow"]
    folder = made.root / "results/hcc_resection/clean"
    ledgers = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("attrition", "fates", "quarantine")}
    ledgers["fates"] = ledgers["fates"].sample(frac=1, random_state=1).reset_index(drop=True)
    flow = import_module("sorafenib_rfa.estimates.flow")
    again = flow.estimate_flow(**ledgers, cohort=made.cohort.config, cohort_name="hcc_resection", record="r")
    files = []
    for number, estimates in enumerate((part, again)):
        paths = [str(tmp_path / f"{kind}{number}.parquet") for kind in ("ard", "members")]
        write_estimates(estimates, *paths, [str(tmp_path / str(number) / "flow.parquet")])
        files.append([Path(path).read_bytes() for path in paths])
    assert files[0] == files[1]


# --- held against the raw files ------------------------------------------------------------------------------------


def test_patients_excluded_by_age_are_too_young_or_of_unknown_age_in_their_raw_rows(built):
    made = built("synthetic")
    rows = made.rows("flow.step.adult.excluded")
    ages = []
    for row in rows[rows["table"] == "patients"].itertuples():
        cells = made.source("patients", row)
        assert row.USUBJID == f"synthetic-{row.site}-{text_of(cells['subject_id'])}"
        if "age_years" in cells:
            age = made.read("patients", "age_years", "number", cells["age_years"], row.site)
        else:
            born = made.read("patients", "birth_date", "date", cells["birth_date"], row.site)
            dates = [
                made.read(
                    "ablations", "ablation_date", "date", made.source("ablations", own)["ablation_date"], own.site
                )
                for own in rows[(rows["table"] == "ablations") & (rows["USUBJID"] == row.USUBJID)].itertuples()
            ]
            first = min((date for date in dates if date is not None), default=None)
            impossible = born is None or first is None or born > first
            age = None if impossible else (first - born).days / 365.25
        ages.append(age)
    assert len(ages) == made.by_id["flow.step.adult.excluded"] > 0
    assert all(age is None or age < 18 or age > 110 for age in ages)


@pytest.mark.parametrize("name", ["synthetic", "hcc_resection"])
def test_the_dead_are_dead_in_their_raw_rows_and_the_others_are_not(built, name):
    made = built(name)
    counted = "efficacy.os_naive" if name == "synthetic" else "prognosis.os"
    groups = ("sorafenib.", "control.") if name == "synthetic" else ("",)
    dead = set().union(*(made.who(f"{counted}.{group}events") for group in groups))
    everyone = set().union(*(made.who(f"{counted}.{group}n") for group in groups))
    table, column = ("patients", "vital_status") if name == "synthetic" else ("survival_times", "os_event")
    rows = made.rows(everyone)
    seen = set()
    for row in rows[rows["table"] == table].itertuples():
        cells = made.source(table, row)
        assert row.USUBJID == f"{name}-{row.site}-{text_of(cells['subject_id'])}"
        assert (text_of(cells[column]) in ("1", *_words_for_dead(made, row.site))) == (row.USUBJID in dead)
        seen.add(row.USUBJID)
    assert seen == everyone
    assert 0 < len(dead) < len(everyone)


def _words_for_dead(made: Built, site: str) -> list[str]:
    entry = made.cohort.sites[site].tables["patients"].columns.get("vital_status")
    if entry is None or isinstance(entry, str):
        return ["dead"]
    return [text_of(word) for word, code in entry.values.items() if code == "dead"]


def test_events_of_grade_3_or_above_have_that_grade_in_their_raw_rows(built):
    made = built("synthetic")
    found = 0
    for group in ("exposed", "unexposed"):
        rows = made.rows(f"safety.summary.{group}.grade_3_5.events")
        for row in rows.itertuples():
            cells = made.source("adverse_events", row)
            assert row.USUBJID == f"synthetic-{row.site}-{text_of(cells['subject_id'])}"
            assert made.read("adverse_events", "grade", "integer", cells["grade"], row.site) in (3, 4, 5)
        found += len(rows)
        # the patients of the overview are those of the events
        assert made.who(f"safety.summary.{group}.grade_3_5.n") == set(rows["USUBJID"])
    assert found > 20
    assert rows["src_sheet"].notna().any(), "no workbook among the sources: sheets are not tested"


def test_quarantined_grades_stand_in_the_raw_cells_that_are_named(built):
    made = built("synthetic")
    rows = made.rows("flow.quarantine_rule.grade_out_of_range.values")
    assert len(rows) == made.by_id["flow.quarantine_rule.grade_out_of_range.values"] > 0
    for row in rows.itertuples():
        cell = made.source("adverse_events", row)["grade"]
        assert not 1 <= as_number(cell, made.cohort.sites[row.site]) <= 5


def test_sessions_and_tumours_are_the_rows_of_the_ablations(built):
    made = built("synthetic")
    sessions, tumours = (made.rows(f"repeat_rfa.sessions.{stat}") for stat in ("sessions", "tumours"))
    assert len(sessions) == made.by_id["repeat_rfa.sessions.sessions"]
    assert len(tumours) == made.by_id["repeat_rfa.sessions.tumours"] >= len(sessions)
    days = {}
    for kind, rows in (("sessions", sessions), ("tumours", tumours)):
        assert set(rows["table"]) == {"ablations"}
        days[kind] = {
            (row.USUBJID, made.read("ablations", "ablation_date", "date", cell, row.site))
            for row in rows.itertuples()
            for cell in [made.source("ablations", row)["ablation_date"]]
        }
    assert days["sessions"] == days["tumours"]
    assert all(isinstance(day, dt.date) for _, day in days["sessions"])
    assert len(days["sessions"]) == len(sessions)


def test_a_patient_who_was_not_analysed_still_has_all_rows_that_were_read(built):
    made = built("synthetic")
    rows = made.rows("flow.patients.quarantined")
    assert set(rows["USUBJID"]) == made.who("flow.patients.quarantined")
    # recorded twice with different content: both rows
    assert (rows[rows["table"] == "patients"].groupby("USUBJID").size() == 2).any()
    assert {"imaging", "labs"} <= set(rows["table"])
    assert made.rows([]).empty
    assert made.rows("sensitivity.imputation.imputations").empty


# --- what a number rests on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COHORTS)
def test_percentages_are_their_numerator_over_their_denominator(built, name):
    made = built(name)
    index, value = CountIndex(made.ard), made.by_id
    who = {ard_id: set(rows) for ard_id, rows in made.members.groupby("ard_id")["USUBJID"]}
    checked = 0
    for row in made.ard[(made.ard["stat_name"] == "percent") & made.ard["value"].notna()].itertuples():
        counts = index.of(row.ard_id)
        if "denominator" in counts and value[counts["numerator"]]:
            expected_percent = 100 * value[counts["numerator"]] / value[counts["denominator"]]
            assert row.value == pytest.approx(expected_percent), row.ard_id
            assert who[counts["numerator"]] <= who[counts["denominator"]], row.ard_id
            checked += 1
    assert checked >= 30


@pytest.mark.parametrize("name", COHORTS)
def test_what_an_estimate_rests_on_are_counts_of_the_ard(built, name):
    made = built(name)
    index = CountIndex(made.ard)
    unit = made.ard.set_index("ard_id")["unit"]
    silent = set()
    for row in made.ard.itertuples():
        counts = index.of(row.ard_id)
        assert all(unit[found] == "count" for found in counts.values())
        if not counts and row.population != "As published":
            silent.add(f"{row.ard_id.partition('.')[0]}.{row.analysis_id}")
    # comparisons with R; specifications have their patients in the curve; balance is of who enters, counted nowhere
    known = {"sensitivity.specification", "sensitivity.specifications", "sensitivity.imputation"}
    known |= {"subgroups.balance", "subgroups.multiplicity"}
    assert {name for name in silent if not name.startswith("agreement.")} <= known


@pytest.mark.parametrize(
    ("name", "ard_id", "counts"),
    [
        ("synthetic", "efficacy.rfs.control.n", {"count": "efficacy.rfs.control.n"}),
        (
            "synthetic",
            "efficacy.rfs_km.control.m12.survival",
            {"n": "efficacy.rfs.control.n", "events": "efficacy.rfs.control.events"},
        ),
        (
            "synthetic",
            "efficacy.rfs_rmst_overlap.contrast.m36.difference",
            {"n": "efficacy.rfs_cox_overlap.contrast.n", "events": "efficacy.rfs_cox_overlap.contrast.events"},
        ),
        ("synthetic", "target_trial.rfs_ccw_overlap.contrast.hr", {"n": "target_trial.cloning.patients"}),
        (
            "synthetic",
            "safety.summary.contrast.any.risk_difference",
            {
                "numerator_exposed": "safety.summary.exposed.any.n",
                "denominator_exposed": "safety.population.exposed.n",
                "numerator_unexposed": "safety.summary.unexposed.any.n",
                "denominator_unexposed": "safety.population.unexposed.n",
            },
        ),
        (
            "hcc_resection",
            "prognosis.first_event_group.above_the_median.cxcl17_p_group_death.m12.incidence",
            {
                "n": "prognosis.rfs_group.cxcl17_p_group_above_the_median.n",
                "events": "prognosis.first_event_group.above_the_median.cxcl17_p_group_death.n",
            },
        ),
        ("hcc_resection", "prognosis.os_univariable.age.hr",
         {"n": "prognosis.os_univariable.age.n", "events": "prognosis.os_univariable.age.events"}),
    ],
)  # fmt: skip
def test_counts_of(built, name, ard_id, counts):
    assert counts_of(ard_id, built(name).ard) == counts


def test_patients_named_for_another_analysis_are_the_same_patients(built):
    """counts_of sends weighted repeat sessions to the overlap-weighted model of death, and others likewise."""
    made = built("synthetic")
    scored = made.who("repeat_rfa.sessions.n") & made.who("baseline.propensity.n")
    assert made.who("efficacy.os_cox_overlap.contrast.n") == scored
    starters = made.who("target_trial.cloning.control.artificially_censored")
    assert starters < made.who("target_trial.cloning.patients")
    assert starters <= made.who("safety.population.exposed.n")
    groups = [made.who(f"repeat_rfa.sessions.{arm}.n") for arm in ("sorafenib", "control")]
    assert groups[0] | groups[1] == made.who("repeat_rfa.sessions.n")
    assert not groups[0] & groups[1]


def test_counts_of_an_unknown_value_is_an_error(built):
    with pytest.raises(KeyError, match="no value efficacy"):
        counts_of("efficacy.nothing", built("hcc_resection").ard)


# --- the builder's refusals ----------------------------------------------------------------------------------------

ROW = {"unit": "count", "method": "m", "engine": "e", "population": "p"}


def test_a_count_must_say_whom_it_counted():
    ard = ArdBuilder("c", "part", "r")
    people = pd.Series(["b", "a"], dtype="string")
    with pytest.raises(ValueError, match=r"part\.a\.n: 2 were counted, but not said who"):
        ard.add("a", "n", 2, **ROW)
    with pytest.raises(ValueError, match=r"part\.b\.n: the count is 3, its members are 2"):
        ard.add("b", "n", 3, members=people, **ROW)
    with pytest.raises(ValueError, match=r"part\.c\.n: a patient is counted twice"):
        ard.add("c", "n", 2, members=pd.Series(["a", "a"]), **ROW)


def test_counts_that_could_not_be_made_or_count_something_else_have_no_members():
    ard = ArdBuilder("c", "efficacy", "r")
    ard.add("a", "n", float("nan"), **(ROW | {"method": "not estimable: nobody"}))
    ard.add("a", "resamples", 200, **ROW)
    ard.add("a", "mean", 2.5, **(ROW | {"unit": "measure"}))
    made = ard.estimates({})
    assert made.members.empty
    assert made.members.dtypes.astype(str).to_dict() == MEMBER_COLUMNS


def test_members_are_written_in_order_with_the_origin_of_rows():
    ard = ArdBuilder("c", "part", "r")
    ard.add("b", "n", 2, members=pd.Index(["y", "x"]), **ROW)
    cells = pd.DataFrame({"USUBJID": ["z", pd.NA], "file": "f.xlsx", "sheet": ["S", "S"], "row": [9, 3]})
    ard.add("a", "n", 2, members=cells, **ROW)
    made = ard.estimates({}).members
    assert made.replace({np.nan: None}).astype(object).where(made.notna(), None).to_numpy().tolist() == [
        ["part.a.n", None, "f.xlsx", "S", 3],
        ["part.a.n", "z", "f.xlsx", "S", 9],
        ["part.b.n", "x", None, None, None],
        ["part.b.n", "y", None, None, None],
    ]


def test_members_that_do_not_fit_the_ard_are_refused_when_parts_are_put_together(built):
    made = built("hcc_resection")
    parts = [part.members for part in made.parts.values()]
    with pytest.raises(ValueError, match=r"not who was counted: \['prognosis"):
        collect_members([part.iloc[:-1] for part in parts[-1:]] + parts[:-1], made.ard)
    with pytest.raises(ValueError, match="not who was counted: \\['baseline"):
        collect_members(parts, made.ard[~made.ard["ard_id"].str.startswith("baseline")])


def test_members_of_files_are_those_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put together a row group at a time they are the same, and a member too many is noticed as well."""
    from sorafenib_rfa import coded
    from sorafenib_rfa.estimates.collect import member_files
    from sorafenib_rfa.estimates.counted import MEMBER_COLUMNS, member_blocks

    monkeypatch.setattr(coded, "ROW_GROUP", 2)
    rows = pd.DataFrame(
        {"USUBJID": ["p3", "p1", "p1"], "src_file": ["b", None, "a"], "src_sheet": None, "src_row": [2, 7, None]}
    )
    said = {"unit": "count", "method": "counted", "engine": "test", "population": "all"}
    parts = {}
    for name in ("flow", "baseline"):
        part = ArdBuilder("study", name, "record.json")
        part.add("rows", "n", 3, members=rows, **said)
        part.add("patients", "n", 2, members=pd.Series(["p2", "p1"]), **said)
        part.add("patients", "none", 0, members=pd.Series([], dtype="string"), **said)
        parts[name] = part.estimates({})
        blocks = member_blocks(parts[name].counts, parts[name].known)
        coded.write_blocks(blocks, MEMBER_COLUMNS, tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), parts[name].members)
    ard = collect_ard(part.ard for part in parts.values())
    paths = [str(tmp_path / f"{name}.parquet") for name in parts]
    found = pd.concat([coded.decoded(block) for block in member_files(paths, ard)], ignore_index=True)
    expected = collect_members((part.members for part in parts.values()), ard)
    pd.testing.assert_frame_equal(found, expected)
    assert found["USUBJID"].head(5).tolist() == ["p1", "p2", "p1", "p1", "p3"]
    wrong = ard.assign(value=ard["value"].where(ard["ard_id"] != "flow.rows.n", 4.0))
    with pytest.raises(ValueError, match=r"not who was counted: \['flow.rows.n'\]"):
        list(member_files(paths, wrong))
