"""The clean stage as a whole: rules, eligibility, ledger, schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sorafenib_rfa.clean.eligibility import (
    ELIGIBILITY_RULES,
    Candidates,
    check_eligibility,
    index_rfa_complete,
)
from sorafenib_rfa.clean.exposure import assigned_arm, first_exposure, first_recurrence, index_rfa
from sorafenib_rfa.clean.identity import usubjid
from sorafenib_rfa.clean.ledger import Step, build_ledger
from sorafenib_rfa.clean.rules import RULES, Fault, Tables
from sorafenib_rfa.clean.schemas import clean_columns, validate_clean
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import ColumnMap, Plan, SiteConfig
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.ingest.site import Ingested
from sorafenib_rfa.ingest.tables import DATE_COLUMNS, TABLES, conform, quarantine_frame

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
    problems = check_eligibility(cohort.config, f"config/cohorts/{cohort.name}/cohort.yaml")
    if problems:
        raise ConfigError(problems)
    tables = _gather(ingested, cohort)
    ingest_quarantine = pd.concat([ingested[site].quarantine for site in sorted(ingested)], ignore_index=True).astype(
        {"row": "Int64"}
    )
    recorded = tables["patients"]
    seen = _patients_seen(tables["patients"], ingest_quarantine, cohort)
    lost = _lost_at_ingest(ingest_quarantine, tables, cohort)

    steps = [
        Step(
            UNREADABLE_ROW,
            UNREADABLE_LABEL,
            "clean",
            frozenset(seen["USUBJID"]) - frozenset(tables["patients"]["USUBJID"]),
        )
    ]
    entries: list[dict] = []
    for rule in RULES:
        faults = rule.find(Tables(tables, frozenset(seen["USUBJID"]), cohort.config, lost))
        leavers = frozenset(
            tables[fault.table].at[fault.row, "USUBJID"] for fault in faults if fault.scope == "patient"
        )
        entries.extend(_entries(rule.id, faults, tables, cohort))
        tables, lost = _apply(rule.id, faults, tables, lost)
        if rule.takes_patients and (not rule.modules or any(map(cohort.config.offers, rule.modules))):
            steps.append(Step(rule.id, rule.label, "clean", leavers))

    arms = _arms(tables, recorded, seen, cohort, plan)
    quarantined = frozenset().union(*(step.leavers for step in steps))
    kept = _rows_of(tables, frozenset(seen["USUBJID"]) - quarantined)
    incomplete: frozenset[str] = frozenset()
    for step in cohort.config.eligibility:
        keep = ELIGIBILITY_RULES[step.rule](Candidates(kept, plan, cohort.config), **step.params)
        leavers = frozenset(keep.index[~keep])
        steps.append(Step(step.id, step.label, "eligibility", leavers))
        if step.rule == index_rfa_complete.__name__:
            incomplete |= leavers
        kept = _rows_of(kept, frozenset(keep.index[keep]))

    attrition, fates = build_ledger(seen, arms, steps)
    clean = {table: _finished(table, frame, cohort) for table, frame in kept.items()}
    assert set(clean["patients"]["USUBJID"]) == set(fates.loc[fates["fate"] == "analysed", "USUBJID"])
    validate_clean(clean, cohort.config)
    quarantine = pd.concat([ingest_quarantine, quarantine_frame(entries)], ignore_index=True)
    not_complete = _finished("ablations", _rows_of(tables, incomplete)["ablations"], cohort)
    return Cleaned(clean, quarantine.astype(quarantine_frame([]).dtypes.to_dict()), attrition, fates, not_complete)


def _gather(ingested: Mapping[str, Ingested], cohort: Cohort) -> dict[str, pd.DataFrame]:
    """Return the tables of all sites, one below the other, with USUBJID and unique row labels."""
    gathered = {}
    for table in TABLES:
        frame = pd.concat(
            [conform(table, ingested[site].tables[table], cohort.config) for site in sorted(ingested)],
            ignore_index=True,
        )
        frame.insert(0, "USUBJID", usubjid(cohort.name, frame["site"], frame["subject_id"]))
        gathered[table] = frame
    return gathered


def _patients_seen(patients: pd.DataFrame, quarantine: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return one row for every patient in a ``patients`` export, also those whose row ingest could not use.

    A row without a subject id is a patient of its own, named by the row.
    """
    rows = quarantine[((quarantine["table"] == "patients") & (quarantine["scope"] == "row")).fillna(False)]
    named = rows["subject_id"].fillna("(row " + rows["row"].astype("string") + ")")
    unusable = pd.DataFrame(
        {
            "USUBJID": usubjid(cohort.name, rows["site"], named),
            "site": rows["site"],
            "subject_id": rows["subject_id"],
            "src_file": rows["file"],
            "src_sheet": rows["sheet"],
            "src_row": rows["row"],
        }
    )
    columns = ["USUBJID", "site", "subject_id", "src_file", "src_sheet", "src_row"]
    everyone = pd.concat([patients[columns], unusable[columns]], ignore_index=True)
    return everyone.drop_duplicates("USUBJID", ignore_index=True)


def _lost_at_ingest(
    quarantine: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cohort: Cohort
) -> dict[str, pd.DataFrame]:
    """Return the rows that ingest quarantined whole and whose patient is known, by table; their values are unknown."""
    lost = {}
    rows = quarantine[((quarantine["scope"] == "row") & quarantine["subject_id"].notna()).fillna(False)]
    for table, frame in tables.items():
        own = rows[(rows["table"] == table).to_numpy(dtype=bool)]
        origin = pd.DataFrame(
            {
                "USUBJID": usubjid(cohort.name, own["site"], own["subject_id"]),
                "subject_id": own["subject_id"],
                "site": own["site"],
                "src_file": own["file"],
                "src_sheet": own["sheet"],
                "src_row": own["row"],
                "rule": own["rule"],
            }
        )
        dtypes = frame.dtypes.to_dict() | {"rule": "string"}
        lost[table] = origin.reindex(columns=list(dtypes)).astype(dtypes)
    return lost


def _apply(
    rule_id: str, faults: list[Fault], tables: Mapping[str, pd.DataFrame], lost: Mapping[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the tables without what `faults` cost, and the rows lost so far.

    A patient who leaves loses their row in ``patients``; their rows in other tables stay until the end, because the
    ledger still asks which arm they would have had.
    """
    after, gone = dict(tables), dict(lost)
    leavers = {tables[f.table].at[f.row, "USUBJID"] for f in faults if f.scope == "patient"}
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
                    frame[dropped].assign(rule=pd.Series(rule_id, index=frame.index[dropped], dtype="string")),
                ],
                ignore_index=True,
            )
        if table == "patients":
            dropped = dropped | frame["USUBJID"].isin(leavers).to_numpy(dtype=bool)
        after[table] = frame[~dropped] if dropped.any() else frame
    return after, gone


def _entries(rule_id: str, faults: list[Fault], tables: Mapping[str, pd.DataFrame], cohort: Cohort) -> list[dict]:
    """Return the quarantine entries of `faults`, with header and text as they stood in the export."""
    entries = []
    for fault in faults:
        row = tables[fault.table].loc[fault.row]
        header = None if fault.column is None else source_header(cohort.sites[row["site"]], fault, row)
        cells = json.loads(row["src_cells"])
        entries.append(
            {
                "site": row["site"],
                "file": row["src_file"],
                "sheet": row["src_sheet"],
                "row": row["src_row"],
                "column": header,
                "value": cells.get(header) if header is not None else None,
                "table": fault.table,
                "subject_id": row["subject_id"],
                "rule": rule_id,
                "reason": fault.reason,
                "scope": "row" if fault.scope == "patient" else fault.scope,
            }
        )
    return entries


def source_header(site: SiteConfig, fault: Fault, row: pd.Series) -> str:
    """Return the header, in the site's export, of the canonical column of a fault; a constant keeps its own name."""
    mapping = site.tables[fault.table]  # type: ignore[index]
    name = str(fault.column)
    if fault.table == "labs" and name in ("value", "uln") and mapping.wide_tests is not None:
        return mapping.wide_tests[row["test"]].column
    if fault.table == "survival_times" and name in ("time_months", "event"):
        name = f"{row['endpoint'].lower()}_{'months' if name == 'time_months' else 'event'}"
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


def _rows_of(tables: Mapping[str, pd.DataFrame], patients: frozenset[str]) -> dict[str, pd.DataFrame]:
    return {table: frame[frame["USUBJID"].isin(patients)] for table, frame in tables.items()}


def _finished(table: str, frame: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return a clean table in its final order of columns and rows."""
    if table == "labs":
        frame = frame[frame["value"].notna()]
    dates = DATE_COLUMNS[table][:1] if table not in ("patients", "survival_times") else ()
    order = ["USUBJID", *dates, *(["endpoint"] if table == "survival_times" else []), "src_file", "src_row"]
    ordered = frame.sort_values(order, kind="stable", ignore_index=True)
    return ordered[clean_columns(table, cohort.config)]
