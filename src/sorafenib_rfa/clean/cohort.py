"""The clean stage as a whole: rules, eligibility, ledger, schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.eligibility import (
    ELIGIBILITY_RULES,
    Candidates,
    check_eligibility,
    index_rfa_complete,
)
from sorafenib_rfa.clean.exposure import assigned_arm, first_exposure, first_recurrence, index_rfa
from sorafenib_rfa.clean.identity import Roster, usubjid
from sorafenib_rfa.clean.ledger import Step, build_ledger
from sorafenib_rfa.clean.rules import RULES, Fault, Tables
from sorafenib_rfa.clean.schemas import CLEAN_ORIGIN, clean_columns, validate_clean
from sorafenib_rfa.coded import decoded, distinct, encoded, sorted_rows, stacked
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import ColumnMap, Plan, SiteConfig
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.ingest.site import Ingested
from sorafenib_rfa.ingest.tables import DATE_COLUMNS, TABLES, conform, quarantine_frame, table_columns

UNREADABLE_ROW = "unreadable_row"
UNREADABLE_LABEL = "Record unreadable"


@dataclass(frozen=True)
class Cleaned:
    """What cleaning leaves.

    Attributes
    ----------
    tables : dict of str to DataFrame
        Canonical tables of the analysed patients, with ``USUBJID`` first, sorted by it, then by date and origin.
    quarantine : DataFrame
        All quarantined values and rows, and the flags, those of ingest first.
    attrition, fates : DataFrame
        The ledger (:func:`sorafenib_rfa.clean.ledger.build_ledger`).
    incomplete_ablations : DataFrame
        Ablations, as in `tables`, of patients who left at a step of the rule ``index_rfa_complete``: they are not
        analysed, but how often ablation succeeds cannot be told without them.
    """

    tables: dict[str, pd.DataFrame]
    quarantine: pd.DataFrame
    attrition: pd.DataFrame
    fates: pd.DataFrame
    incomplete_ablations: pd.DataFrame


def clean_cohort(ingested: Mapping[str, Ingested], cohort: Cohort, plan: Plan) -> Cleaned:
    """Clean and select the patients of a cohort.

    Parameters
    ----------
    ingested : mapping of str to Ingested
        Site id -> what its export holds.
    cohort : Cohort
    plan : Plan
        Gives the baseline window and the grace period.

    Returns
    -------
    Cleaned

    Raises
    ------
    ConfigError
        If the cohort's ``eligibility`` names a rule or param that does not exist.
    AssertionError
        If patients are not conserved or a clean table breaks its schema: a defect of this repository.

    Notes
    -----
    A laboratory row without a result says nothing and is not carried into the clean table; where the result was
    quarantined, the quarantine table has it.
    """
    tables = {
        site: {name: encoded(conform(name, each.tables[name], cohort.config)) for name in TABLES}
        for site, each in ingested.items()
    }

    def source_cells(site: str, table: str, rows: np.ndarray) -> list[str]:
        return ingested[site].tables[table]["src_cells"].iloc[rows].tolist()

    done = clean_coded(
        {site: Ingested(tables[site], ingested[site].quarantine) for site in ingested}, source_cells, cohort, plan
    )
    return replace(
        done,
        tables={name: decoded(table) for name, table in done.tables.items()},
        incomplete_ablations=decoded(done.incomplete_ablations),
    )


SourceCells = Callable[[str, str, np.ndarray], list[str]]
"""Site, table and positions of rows in it -> their ``src_cells``."""


def clean_coded(ingested: Mapping[str, Ingested], source_cells: SourceCells, cohort: Cohort, plan: Plan) -> Cleaned:
    """Clean and select the patients of a cohort that is held as codes (:mod:`sorafenib_rfa.coded`).

    Parameters
    ----------
    ingested : mapping of str to Ingested
        Site id -> what its export holds, text of tables as categories; ``src_cells`` is not read.
    source_cells : callable
        Gives the source cells of the few rows that are quarantined.
    cohort, plan
        As :func:`clean_cohort`, with what it raises.

    Returns
    -------
    Cleaned
        Text of `tables` and `incomplete_ablations` as categories.
    """
    problems = check_eligibility(cohort.config, f"config/cohorts/{cohort.name}/cohort.yaml")
    if problems:
        raise ConfigError(problems)
    ingest_quarantine = pd.concat([ingested[site].quarantine for site in sorted(ingested)], ignore_index=True).astype(
        {"row": "Int64"}
    )
    roster = _roster(ingested, ingest_quarantine, cohort)
    tables, begins = _gather(ingested, roster, cohort)
    recorded = dict(tables)
    seen = _patients_seen(tables["patients"], ingest_quarantine, roster, cohort)
    everyone = np.sort(seen["USUBJID"].to_numpy())
    lost = _lost_at_ingest(ingest_quarantine, tables, roster, cohort)

    unusable = np.setdiff1d(everyone, tables["patients"]["USUBJID"].to_numpy())
    steps = [Step(UNREADABLE_ROW, UNREADABLE_LABEL, "clean", frozenset(unusable.tolist()))]
    found: list[tuple[str, Fault]] = []
    for rule in RULES:
        faults = rule.find(Tables(tables, roster, everyone, cohort.config, lost))
        leavers = {
            table: frame.loc[
                [fault.row for fault in faults if fault.scope == "patient" and fault.table == table], "USUBJID"
            ]
            for table, frame in tables.items()
        }
        taken = frozenset(pd.concat(list(leavers.values())).tolist())
        found.extend((rule.id, fault) for fault in faults)
        tables, lost = _apply(rule.id, faults, taken, tables, lost)
        if rule.takes_patients and (not rule.modules or any(map(cohort.config.offers, rule.modules))):
            steps.append(Step(rule.id, rule.label, "clean", taken))

    arms = _arms(tables, recorded["patients"], seen, cohort, plan)
    quarantined = frozenset().union(*(step.leavers for step in steps))
    patients = tables["patients"][~tables["patients"]["USUBJID"].isin(quarantined)]
    incomplete: frozenset[int] = frozenset()
    known: dict[str, pd.Series] = {}
    for step in cohort.config.eligibility:
        candidates = Candidates({**tables, "patients": patients}, plan, cohort.config, known)
        keep = ELIGIBILITY_RULES[step.rule](candidates, **step.params)
        leavers = frozenset(keep.index[~keep].tolist())
        steps.append(Step(step.id, step.label, "eligibility", leavers))
        if step.rule == index_rfa_complete.__name__:
            incomplete |= leavers
        patients = patients[~patients["USUBJID"].isin(leavers)]

    attrition, fates = build_ledger(seen, arms, steps)
    clean = {}
    for table in TABLES:
        frame = tables[table] if table != "patients" else patients
        clean[table] = _finished(table, frame, patients["USUBJID"].to_numpy(), roster, cohort)
    numbers = fates["USUBJID"].to_numpy(dtype=int)
    assert np.array_equal(np.sort(patients["USUBJID"]), numbers[(fates["fate"] == "analysed").to_numpy(dtype=bool)])
    validate_clean(clean, cohort.config)
    fates["USUBJID"] = pd.array(roster.names[numbers], dtype="string")
    entries = _entries(found, recorded, roster, begins, source_cells, cohort)
    quarantine = pd.concat([ingest_quarantine, entries], ignore_index=True)
    not_complete = _finished("ablations", tables["ablations"], np.array(sorted(incomplete), dtype=int), roster, cohort)
    return Cleaned(clean, quarantine.astype(quarantine_frame([]).dtypes.to_dict()), attrition, fates, not_complete)


def _roster(ingested: Mapping[str, Ingested], quarantine: pd.DataFrame, cohort: Cohort) -> Roster:
    """Return everybody who occurs in a table, or in a row that ingest could not use."""
    groups = [(site, distinct(each.tables, table, "subject_id")) for site, each in ingested.items() for table in TABLES]
    rows = quarantine[(quarantine["scope"] == "row").fillna(False).to_numpy(dtype=bool)]
    of_patients = rows[(rows["table"] == "patients").fillna(False).to_numpy(dtype=bool)]
    groups += zip(of_patients["site"], [[name] for name in _named(of_patients)], strict=True)
    known = rows[rows["subject_id"].notna()]
    groups += zip(known["site"], [[name] for name in known["subject_id"]], strict=True)
    return Roster.of(cohort.name, groups)


def _named(rows: pd.DataFrame) -> pd.Series:
    """Return the subject ids of quarantined rows; a row without one is a patient of its own, named by the row."""
    return rows["subject_id"].fillna("(row " + rows["row"].astype("string") + ")")


def _gather(
    ingested: Mapping[str, Ingested], roster: Roster, cohort: Cohort
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, int]]]:
    """Return the tables of all sites, one below the other, with patients as numbers and unique row labels.

    Beside them the label of the first row of each site, by table.
    """
    gathered, begins = {}, {}
    for table in TABLES:
        frames = []
        for site in sorted(ingested):
            frame = ingested[site].tables[table]
            columns = [*table_columns(table, cohort.config), *CLEAN_ORIGIN]
            missing = [name for name in columns if name not in frame.columns]
            if missing:
                raise ValueError(f"the table {table} lacks the columns {missing}")
            subjects = frame["subject_id"].cat
            numbers = roster.numbers([f"{cohort.name}-{site}-{name}" for name in subjects.categories])
            own = frame[[name for name in columns if name != "subject_id"]]
            frames.append(
                pd.DataFrame({"USUBJID": numbers[subjects.codes.to_numpy()], **dict(own.items())}, copy=False)
            )
        sizes = [len(frame) for frame in frames]
        begins[table] = dict(zip(sorted(ingested), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        gathered[table] = stacked(frames)
    return gathered, begins


def _patients_seen(patients: pd.DataFrame, quarantine: pd.DataFrame, roster: Roster, cohort: Cohort) -> pd.DataFrame:
    """Return one row for every patient in a ``patients`` export, also those whose row ingest could not use."""
    rows = quarantine[((quarantine["table"] == "patients") & (quarantine["scope"] == "row")).fillna(False)]
    unusable = pd.DataFrame(
        {
            "USUBJID": roster.numbers(usubjid(cohort.name, rows["site"], _named(rows))),
            "site": rows["site"],
            "subject_id": rows["subject_id"],
            "src_file": rows["file"],
            "src_sheet": rows["sheet"],
            "src_row": rows["row"],
        }
    )
    columns = ["USUBJID", "site", "subject_id", "src_file", "src_sheet", "src_row"]
    subjects = pd.array(roster.subject_ids[patients["USUBJID"].to_numpy()], dtype="string")
    usable = decoded(patients[[name for name in columns if name != "subject_id"]]).assign(subject_id=subjects)
    everyone = pd.concat([usable[columns], unusable[columns]], ignore_index=True)
    return everyone.drop_duplicates("USUBJID", ignore_index=True)


def _lost_at_ingest(
    quarantine: pd.DataFrame, tables: Mapping[str, pd.DataFrame], roster: Roster, cohort: Cohort
) -> dict[str, pd.DataFrame]:
    """Return the rows that ingest quarantined whole and whose patient is known, by table; their values are unknown."""
    lost = {}
    rows = quarantine[((quarantine["scope"] == "row") & quarantine["subject_id"].notna()).fillna(False)]
    for table, frame in tables.items():
        own = rows[(rows["table"] == table).to_numpy(dtype=bool)]
        origin = pd.DataFrame(
            {
                "USUBJID": roster.numbers(usubjid(cohort.name, own["site"], own["subject_id"])),
                "site": own["site"],
                "src_file": own["file"],
                "src_sheet": own["sheet"],
                "src_row": own["row"],
                "rule": own["rule"],
            }
        )
        dtypes = decoded(frame.iloc[:0]).dtypes.to_dict() | {"rule": "string"}
        lost[table] = origin.reindex(columns=list(dtypes)).astype(dtypes)
    return lost


def _apply(
    rule_id: str,
    faults: list[Fault],
    leavers: frozenset[int],
    tables: Mapping[str, pd.DataFrame],
    lost: Mapping[str, pd.DataFrame],
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the tables without what `faults` cost, and the rows lost so far.

    A patient of `leavers` loses their row in ``patients``; their rows in other tables stay until the end, because the
    ledger still asks which arm they would have had.
    """
    after, gone = dict(tables), dict(lost)
    for table, frame in tables.items():
        own = [fault for fault in faults if fault.table == table]
        cells = [fault for fault in own if fault.scope == "value"]
        if cells:
            frame = frame.copy()
            by_column: dict[str, list[int]] = {}
            for fault in cells:
                by_column.setdefault(str(fault.column), []).append(fault.row)
            for column, rows in by_column.items():
                empty = pd.NaT if column in DATE_COLUMNS[table] else pd.NA
                frame.loc[rows, column] = empty
        dropped = frame.index.isin([fault.row for fault in own if fault.scope == "row"])
        if dropped.any():
            gone[table] = pd.concat(
                [
                    lost[table],
                    decoded(frame[dropped]).assign(rule=pd.Series(rule_id, index=frame.index[dropped], dtype="string")),
                ],
                ignore_index=True,
            )
        if table == "patients" and leavers:
            dropped = dropped | frame["USUBJID"].isin(leavers).to_numpy(dtype=bool)
        after[table] = frame[~dropped] if dropped.any() else frame
    return after, gone


def _entries(
    found: list[tuple[str, Fault]],
    tables: Mapping[str, pd.DataFrame],
    roster: Roster,
    begins: Mapping[str, Mapping[str, int]],
    source_cells: SourceCells,
    cohort: Cohort,
) -> pd.DataFrame:
    """Return the quarantine entries of faults, with header and text as they stood in the export.

    `tables` are those that the labels of faults are positions in: as they were gathered, with where each site
    `begins` in them.
    """
    entries: list[dict] = [{} for _ in found]
    for table, frame in tables.items():
        own = [i for i, (_, fault) in enumerate(found) if fault.table == table]
        faulty = decoded(frame.iloc[[found[i][1].row for i in own]])
        asked: dict[str, list[int]] = {}
        for i, row in zip(own, faulty.itertuples(), strict=True):
            rule, fault = found[i]
            header = None if fault.column is None else source_header(cohort.sites[row.site], fault, row)
            if header is not None:
                asked.setdefault(row.site, []).append(i)
            entries[i] = {
                "site": row.site,
                "file": row.src_file,
                "sheet": row.src_sheet,
                "row": row.src_row,
                "column": header,
                "value": None,
                "table": table,
                "subject_id": roster.subject_ids[row.USUBJID],
                "rule": rule,
                "reason": fault.reason,
                "scope": "row" if fault.scope == "patient" else fault.scope,
            }
        for site, of_site in asked.items():
            rows = np.array([found[i][1].row for i in of_site]) - begins[table][site]
            for i, cells in zip(of_site, source_cells(site, table, rows), strict=True):
                entries[i]["value"] = json.loads(cells).get(entries[i]["column"])
    return quarantine_frame(entries)


def source_header(site: SiteConfig, fault: Fault, row: Any) -> str:
    """Return the header, in the site's export, of the canonical column of a fault; a constant keeps its own name.

    `row` is the row of the table, its columns as attributes.
    """
    mapping = site.tables[fault.table]  # type: ignore[index]
    name = str(fault.column)
    if fault.table == "labs" and name in ("value", "uln") and mapping.wide_tests is not None:
        return mapping.wide_tests[row.test].column
    if fault.table == "survival_times" and name in ("time_months", "event"):
        name = f"{row.endpoint.lower()}_{'months' if name == 'time_months' else 'event'}"
    entry = mapping.columns.get(name, name)
    return entry.column if isinstance(entry, ColumnMap) else entry


def _arms(
    tables: Mapping[str, pd.DataFrame], recorded: pd.DataFrame, seen: pd.DataFrame, cohort: Cohort, plan: Plan
) -> pd.Series:
    """Return the arm of every patient seen, or the one they would have had; NA where it cannot be told.

    `recorded` is the table ``patients`` with the rows that cleaning took from `tables`.
    """
    if cohort.config.assigned_arms is not None:
        return _assigned_labels(recorded, cohort).reindex(seen["USUBJID"])
    if not cohort.config.offers("treatment"):
        return pd.Series("Overall", index=pd.Index(seen["USUBJID"]), dtype="string")
    index_date = index_rfa(tables["ablations"]).reindex(seen["USUBJID"])
    recurrence = first_recurrence(tables["imaging"], index_date)
    return assigned_arm(index_date, first_exposure(tables["drug_exposure"]), recurrence, plan.grace_period_days)


def _assigned_labels(patients: pd.DataFrame, cohort: Cohort) -> pd.Series:
    """Return the assigned arm by USUBJID: the label of a compared arm, the arm as recorded for any other.

    NA for a patient who is recorded with two arms.
    """
    declared = cohort.config.assigned_arms
    assert declared is not None
    labels = {arm.value: arm.label for arm in (declared.treated, declared.control)}
    by_patient = patients.groupby("USUBJID")["assigned_arm"]
    arm = by_patient.first().astype("string").mask(by_patient.nunique() > 1)
    return arm.map(labels).astype("string").fillna(arm)


def _finished(table: str, frame: pd.DataFrame, patients: np.ndarray, roster: Roster, cohort: Cohort) -> pd.DataFrame:
    """Return the rows of `patients` of a clean table in its final order of columns and rows."""
    stays = np.zeros(len(roster.names), dtype=bool)
    stays[patients] = True
    keep = stays[frame["USUBJID"].to_numpy()]
    if table == "labs":
        keep &= frame["value"].notna().to_numpy()
    dates = DATE_COLUMNS[table][:1] if table not in ("patients", "survival_times") else ()
    order = ["USUBJID", *dates, *(["endpoint"] if table == "survival_times" else []), "src_file", "src_row"]
    rows = np.flatnonzero(keep)
    rows = rows[sorted_rows(frame[order].iloc[rows], order)]
    ordered = {name: frame[name].iloc[rows].array for name in frame.columns}
    numbers = np.asarray(ordered["USUBJID"])
    ordered |= {"USUBJID": roster.usubjid(numbers), "subject_id": roster.subject_id(numbers)}
    return pd.DataFrame({name: ordered[name] for name in clean_columns(table, cohort.config)}, copy=False)
