"""From a number to who it is about: the counts it rests on, their members, and the rows of raw files behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from sorafenib_rfa.clean.identity import usubjid
from sorafenib_rfa.estimates.ard import slug
from sorafenib_rfa.estimates.counted import MEMBER_COLUMNS, NOT_OF_PATIENTS, has_members
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS, RAW_TABLES

__all__ = [
    "MEMBER_COLUMNS",
    "NOT_OF_PATIENTS",
    "CountIndex",
    "counts_of",
    "has_members",
    "members_of",
    "raw_rows",
]

ROW_COLUMNS: Final = ("USUBJID", "table", "site", "src_file", "src_sheet", "src_row")
_ORIGIN: Final = ["src_file", "src_sheet", "src_row"]

# --- which counts a number rests on --------------------------------------------------------------------------------

QUOTED: Final = "As published"
"""Population of what others published: it rests on no count of ours."""
_SCORED: Final = "with all covariates of the adjustment set"
_N: Final = ("n", "patients", "pairs", "estimated")
"""Names under which an analysis states of how many it speaks, in the order in which they are looked for."""

_DENOMINATORS: Final = (
    (r"baseline\.(?:table1|landmark)", "", "{variable}", "n"),
    (r"repeat_rfa\.sessions", "", "", "n"),
    (r"ablation\.term_session", "ablation.session", "", "total"),
    (r"ablation\.mortality_\w+", "", "followed", "n"),
    (r"ablation\.efficacy_\w+", "", "recorded", "n"),
    (r"ablation\.(?:\w+_)?(?:session|patient)\w*", "", "", "total"),
    (r"exposure\.dosing", "", "with_dosing_records", "n"),
    (r"exposure\.dose_class", "", "", "n"),
    (r"safety\.(?:summary|term|soc|interest|events_per_patient|after_rfa)", "safety.population", "", "n"),
    (r"ablation\.related_event", "safety.population", "", "n"),
    (r"liver\.(?:lab|shift|edish\w*|hy\w*)", "", "{variable}", "total"),
)
"""Analysis -> where the denominators of its percentages stand: analysis ('' its own), variable, statistic."""

_BY_CAUSE: Final = r"\w+\.first_event|ablation\.ltp|exposure\.(?:stop_reason|first_reduction)"
"""Analyses of competing causes: an estimate's variable is the cause, of which the n are the events."""

_ELSEWHERE: Final = (
    (r"benefit_risk\.qtwist", "benefit_risk.partition"),
    (r"baseline\.(?:overlap|iptw|att|trimmed|propensity_model)", "baseline.propensity"),
    (r"efficacy\.(\w+)_(?:cox_overlap_bootstrap|km_overlap|rmst_overlap)", r"efficacy.\1_cox_overlap"),
    (r"efficacy\.(\w+)_(?:km|rmst|log_rank)", r"efficacy.\1"),
    (r"(efficacy|prognosis)\.first_event", r"\1.rfs"),
    (r"prognosis\.first_event_group", "prognosis.rfs_group"),
    (r"prognosis\.(\w+)_km", r"prognosis.\1"),
    (r"prognosis\.(\w+)_performance", r"prognosis.\1_multivariable"),
    (r"repeat_rfa\.(?:mcf|rate|mean)", "repeat_rfa.sessions"),
    # who has a propensity score and is followed beyond entry for sessions is who is so followed for death
    (r"repeat_rfa\.(?:mcf|rate|mean)_overlap", "efficacy.os_cox_overlap"),
    (r"sensitivity\.(?:benchmark|evalue|tipping_confounding|tipping_censoring)_(\w+)", r"efficacy.\1_cox_overlap"),
    (r"subgroups\.(rfs|os)", r"efficacy.\1_cox_overlap"),
    (r"target_trial\.(?:\w+_ccw_\w+|evalue_\w+)", "target_trial.cloning"),
    (r"time_to_event\.rfs_turnbull", "efficacy.rfs"),
)
"""Analysis without an n of its own -> the analysis of the same patients that states it."""


class _Row(NamedTuple):
    """What the id of a value is made of, as it stands in the id; `analysis` begins with the part."""

    analysis: str
    group: str
    variable: str
    level: str
    stat: str
    unit: str
    population: str


class CountIndex:
    """The counts of an ARD, found by the names of what rests on them.

    Parameters
    ----------
    ard : DataFrame
        The ARD of a cohort.
    """

    def __init__(self, ard: pd.DataFrame) -> None:
        self._rows: dict[str, _Row] = {}
        self._placed: dict[tuple[str, str, str, str, str], str] = {}
        self._stated: dict[tuple[str, str], list[str]] = {}
        words: dict[str, str] = {}
        columns = ["ard_id", "analysis_id", "group", "variable", "stat_name", "unit", "population"]
        for identifier, name, group, place, stat, unit, population in ard[columns].itertuples(index=False):
            part = identifier.partition(".")[0]
            variable, _, level = place.partition("=")
            analysis, variable, level = (
                words.get(text) or words.setdefault(text, slug(text)) for text in (name, variable, level)
            )
            row = _Row(f"{part}.{analysis}", group, variable, level, stat, unit, population)
            self._rows[identifier] = row
            if unit == "count":
                self._placed[row.analysis, group, variable, level, stat] = identifier
                self._stated.setdefault((row.analysis, stat), []).append(identifier)

    def of(self, ard_id: str) -> dict[str, str]:
        """Return the counts on which a value rests; see :func:`counts_of`."""
        row = self._rows.get(ard_id)
        if row is None:
            raise KeyError(f"the ARD has no value {ard_id}")
        part, _, analysis = row.analysis.partition(".")
        if has_members(part, row.stat, row.unit):
            return {"count": ard_id}
        if part in EVIDENCE_PARTS:
            return self._rows_of_studies(row)
        if row.population == QUOTED:
            return {}
        if re.match(_BY_CAUSE, row.analysis):
            return self._first_event(row)
        if analysis == "follow_up":
            home = "baseline.table1" if row.group == "overall" else "baseline.landmark"
            return self._sizes(row._replace(variable=""), f"{part}.{row.variable}" if part == "prognosis" else home)
        if analysis == "cloning" and row.unit == "days":
            # whoever starts within the grace period leaves the other strategy
            left = self._stated.get((row.analysis, "artificially_censored"), [])
            started = [identifier for identifier in left if self._rows[identifier].group != row.group]
            return {"n": started[0]} if started else {}
        if analysis == "specifications" and row.unit == "count":
            return {}
        scored = part == "baseline" and row.group == "contrast" and row.population.endswith(_SCORED)
        denominators = [entry[1:] for entry in _DENOMINATORS if re.fullmatch(entry[0], row.analysis)]
        if denominators and row.variable and not scored:
            return self._fraction(row, *denominators[0])
        found = self._sizes(row, "baseline.propensity" if scored else row.analysis)
        if found:
            return found
        for pattern, template in _ELSEWHERE:
            match = re.fullmatch(pattern, row.analysis)
            if match:
                sizes = self._sizes(row, match.expand(template))
                # sessions are no deaths: only the patients are the same
                others = part == "repeat_rfa" and not template.startswith(part)
                return {role: i for role, i in sizes.items() if role.startswith("n") or not others}
        return {}

    def _rows_of_studies(self, row: _Row) -> dict[str, str]:
        """Return the count of studies, or of rows of their tables, that an estimate of published studies rests on."""
        known = (self._near(row, row.analysis, stat) for stat in ("k", "percentages", "n"))
        found = next((identifier for near in known for identifier in near), None)
        return {"n": found} if found else {}

    def _find(self, analysis: str, stat: str, group: str, variable: str = "", level: str = "") -> str | None:
        """Return the id of a count, if there is one."""
        return self._placed.get((analysis, group, variable, level, stat))

    def _sizes(self, row: _Row, analysis: str) -> dict[str, str]:
        """Return n and events of an analysis: as near as they are stated, for both arms together or for each."""
        found = {}
        for role, stats in (("n", _N), ("events", ("events", "sessions"))):
            for stat in stats:
                known = next(self._near(row, analysis, stat), None)
                if known:
                    found[role] = known
                elif row.variable or row.group == "contrast":
                    found |= {f"{role}_{rest}": i for rest, i in self._by_group(row, analysis, stat)}
                if any(key.startswith(role) for key in found):
                    break
        return found

    def _near(self, row: _Row, analysis: str, stat: str) -> Iterator[str]:
        """Yield counts of an analysis, that of the value's own level and group first."""
        for place in ((row.variable, row.level), (row.variable,), ()):
            for group in (row.group, "contrast", "overall"):
                known = self._find(analysis, stat, group, *place)
                if known:
                    yield known

    def _by_group(self, row: _Row, analysis: str, stat: str) -> Iterator[tuple[str, str]]:
        """Yield what tells counts of several groups or levels apart, and their ids."""
        if re.fullmatch(r"m\d+", row.variable):  # a horizon is no group
            row = row._replace(variable="")
        for identifier in self._stated.get((analysis, stat), []):
            own = self._rows[identifier]
            same_level = (own.variable, own.level) == (row.variable, row.level)
            level_of = own.variable == row.variable and not row.level
            grouped = row.variable and own.variable.startswith(f"{row.variable}_") and not own.level
            if same_level or level_of or grouped:
                yield identifier.removeprefix(f"{analysis}.").removesuffix(f".{stat}").replace(".", "_"), identifier

    def _fraction(self, row: _Row, where: str, variable: str, stat: str) -> dict[str, str]:
        """Return numerator and denominator; for other values, n and whom the value is about."""
        groups = [row.group]
        if row.group == "contrast":
            stated = self._stated.get((row.analysis, "n"), [])
            groups = sorted({self._rows[identifier].group for identifier in stated} - {"overall"})
        is_share = row.stat in ("percent", "risk_difference")
        found = {}
        for group in groups:
            suffix = f"_{group}" if row.group == "contrast" else ""
            own = self._find(row.analysis, "n", group, row.variable, row.level) if row.variable else None
            total = self._find(where or row.analysis, stat, group, variable.format(variable=row.variable))
            if own and own != total:
                found[f"numerator{suffix}" if is_share else f"events{suffix}"] = own
            if total:
                found[f"denominator{suffix}" if is_share else f"n{suffix}"] = total
        return found

    def _first_event(self, row: _Row) -> dict[str, str]:
        """Return who was at risk, and in whom the first event was of the kind the value is about."""
        home = next(m.expand(t) for p, t in (*_ELSEWHERE, (r"(.*)", r"\1")) if (m := re.fullmatch(p, row.analysis)))
        at_risk = row._replace(variable="", level="")
        if home.endswith("_group"):
            name = row.variable.rpartition("_")[0]
            own = "" if row.group == "contrast" else f"_{row.group}"
            at_risk = at_risk._replace(variable=name + own, group="overall")
        found = {key: i for key, i in self._sizes(at_risk, home).items() if key.startswith("n")}
        if not row.variable:
            return found
        events = self._find(row.analysis, "n", row.group, row.variable)
        if events:
            return found | {"events": events}
        kinds = self._by_group(row._replace(level=""), row.analysis, "n")
        return found | {f"events_{rest}": identifier for rest, identifier in kinds}


def counts_of(ard_id: str, ard: pd.DataFrame) -> dict[str, str]:
    """Return the counts on which a value rests, by naming: role -> id of the count.

    Parameters
    ----------
    ard_id : str
        Of any value of the ARD.
    ard : DataFrame
        The ARD of the cohort. For many values make one :class:`CountIndex` of it.

    Returns
    -------
    dict of str to str
        A count of patients or rows: ``count``, itself. A percentage: ``numerator`` and ``denominator`` (the latter is
        absent where the ARD does not state it). Any other estimate: ``n``, the count that states of how many patients
        (rows, pairs, specifications) it speaks, and ``events`` where they are counted. Where a comparison's counts are
        stated for each arm or level only, roles end in its name: ``n_sorafenib``; where an arm's own are not stated,
        they are the comparison's. Empty where no count states it, and for quoted values.

    Raises
    ------
    KeyError
        If the ARD has no such value.
    """
    return CountIndex(ard).of(ard_id)


# --- who was counted, and where they stand in the raw files --------------------------------------------------------


def _cohort_folder(root: Path, cohort: str) -> Path:
    return Path(root) / "results" / cohort


def members_of(root: Path, cohort: str, ard_id: str) -> pd.DataFrame:
    """Return the members of a count: the rows of ``ard/members.parquet`` of its id, none if it counts none.

    Parameters
    ----------
    root : Path
        Of the repository.
    cohort, ard_id : str
        Name of the cohort; id of the count.
    """
    path = _cohort_folder(root, cohort) / "ard/members.parquet"
    return pd.read_parquet(path, filters=[("ard_id", "==", ard_id)])


def raw_rows(root: Path, cohort: str, of: str | Iterable[str], *, places: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the rows of raw files behind a count, or behind patients.

    Parameters
    ----------
    root : Path
        Of the repository.
    cohort : str
        Its name.
    of : str or iterable of str
        The id of a count, or USUBJIDs.
    places : DataFrame, optional
        What :func:`places_of_rows` returns of the cohort, for who asks of many counts of rows.

    Returns
    -------
    DataFrame
        ``USUBJID, table, site, src_file, src_sheet, src_row``, sorted. Of a count of events, sessions or quarantined
        cells exactly the rows that were counted; of patients, all rows of theirs: in clean tables of the analysed, as
        ingest read them of the others, and of both the row in which the ledger first saw them. Of published studies the
        rows of their tables.
    """
    if isinstance(of, str):
        members = members_of(root, cohort, of)
        if of.partition(".")[0] in EVIDENCE_PARTS:
            return _of_studies(members)
        of_patients = of.startswith(("flow.patients.", "flow.step.")) or members["src_row"].isna().all()
        if not of_patients:
            known = places_of_rows(root, cohort) if places is None else places
            return _sorted(members.merge(known, on=_ORIGIN, how="left"))
        of = members["USUBJID"]
    if not (_cohort_folder(root, cohort) / "clean").is_dir():
        members = pd.read_parquet(_cohort_folder(root, cohort) / "ard/members.parquet")
        return _of_studies(members[members["USUBJID"].isin(set(of))])
    return _of_patients(root, cohort, set(of))


def _of_studies(members: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the tables of published studies: the file tells the table, and there is no site."""
    names = members["src_file"].str.rpartition("/")[2].str.removesuffix(".csv")
    return _sorted(members.assign(table=names, site=pd.NA))


def _of_patients(root: Path, cohort: str, subjects: set[str]) -> pd.DataFrame:
    """Return all rows of patients."""
    folder = _cohort_folder(root, cohort)
    fates = pd.read_parquet(folder / "clean/fates.parquet")
    fates = fates[fates["USUBJID"].isin(subjects)]
    found = [fates.assign(table="patients")]
    for table in RAW_TABLES:
        rows = pd.read_parquet(folder / f"clean/{table}.parquet", columns=["USUBJID", "site", *_ORIGIN])
        found.append(rows[rows["USUBJID"].isin(subjects)].assign(table=table))
    for site, others in fates[fates["fate"] != "analysed"].groupby("site"):
        for table in RAW_TABLES:
            path = folder / f"ingest/{site}/{table}.parquet"
            rows = pd.read_parquet(path, columns=["subject_id", "site", *_ORIGIN])
            rows = rows[rows["subject_id"].isin(others["subject_id"].dropna())]
            found.append(rows.assign(table=table, USUBJID=usubjid(cohort, rows["site"], rows["subject_id"])))
    return _sorted(pd.concat(found, ignore_index=True))


def places_of_rows(root: Path, cohort: str) -> pd.DataFrame:
    """Return table and site of each row of a raw file, which the quarantine and clean tables know.

    Returns
    -------
    DataFrame
        ``site, table, src_file, src_sheet, src_row``.
    """
    folder = _cohort_folder(root, cohort)
    columns = ["site", "table", "file", "sheet", "row"]
    known = [
        pd.read_parquet(folder / "clean/quarantine.parquet", columns=columns).set_axis(
            ["site", "table", *_ORIGIN], axis=1
        )
    ]
    # of patients who are not analysed, technique efficacy alone counts rows
    for table, file in (*((table, table) for table in RAW_TABLES), ("ablations", "incomplete_ablations")):
        rows = pd.read_parquet(folder / f"clean/{file}.parquet", columns=["site", *_ORIGIN])
        known.append(rows.assign(table=table))
    return pd.concat(known, ignore_index=True).drop_duplicates(["table", *_ORIGIN])


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    kinds = {name: "Int64" if name == "src_row" else "string" for name in ROW_COLUMNS}
    return rows[list(ROW_COLUMNS)].astype(kinds).drop_duplicates().sort_values(list(ROW_COLUMNS), ignore_index=True)
