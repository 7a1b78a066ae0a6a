"""The rules of cleaning: small pure functions from tables to faults, run in the order of :data:`RULES`.

A rule looks at the tables as the rules before it left them, changes nothing, and returns faults. What a fault costs
is its scope: the cell (``value``), the row (``row``), or the patient (``patient``: who the patient is, which arm they
were in or when they had the outcome cannot be told, so analysing them would mean guessing). A ``flag`` costs nothing:
the record is usable and stays as it is, and the entry says what is odd and what the analysis makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.exposure import NO_RECURRENCE, first_exposure, index_rfa
from sorafenib_rfa.clean.identity import Roster
from sorafenib_rfa.clean.plausibility import COLUMN_BOUNDS, LAB_BOUNDS, OLDEST_YEARS
from sorafenib_rfa.clean.tumours import tumours_named
from sorafenib_rfa.clinical.ctcae import GRADED_BY_ULN
from sorafenib_rfa.coded import decoded
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.ingest.tables import DATE_COLUMNS, ORIGIN

Scope = Literal["value", "row", "patient", "flag"]

KEY_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ablations": ("ablation_date",),
    "drug_exposure": ("drug", "start_date"),
    "imaging": ("imaging_date", "finding"),
    "labs": ("sample_date",),
}
"""What a row cannot do without: lacking it, the row cannot be placed in time or says nothing."""


class Fault(NamedTuple):
    """One fault of one row; `row` is the label of the row in its table, `column` the canonical column or None."""

    table: str
    row: int
    column: str | None
    reason: str
    scope: Scope


@dataclass(frozen=True)
class Tables:
    """What a rule may look at.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        Canonical tables of all sites, text as categories, unique row labels; ``USUBJID`` is the patient's number in
        `roster`, whose order is that of USUBJIDs, and there is no ``subject_id``.
    roster : Roster
        Who the numbers are.
    seen : ndarray of int
        Numbers of every patient with a row in a ``patients`` export, usable or not, in order.
    lost : mapping of str to DataFrame
        Rows that earlier rules (or ingest) took, by table, with the rule in ``rule``; values as they were then, text as
        text.
    cohort : CohortConfig
    """

    tables: Mapping[str, pd.DataFrame]
    roster: Roster
    seen: np.ndarray
    cohort: CohortConfig
    lost: Mapping[str, pd.DataFrame]

    def name(self, number: int) -> str:
        """Return the USUBJID of a patient."""
        return str(self.roster.names[number])


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    id : str
        Rule id of the quarantine table.
    label : str
        Reason as the flow diagram prints it, for rules that can take patients.
    find : callable
        Tables to faults.
    takes_patients : bool
        Whether it can take patients: then it is a step of the attrition table.
    modules : tuple of str
        Modules that it needs, any of which suffices; without them it has nothing to look at and is no step.
    """

    id: str
    label: str
    find: Callable[[Tables], list[Fault]]
    takes_patients: bool = False
    modules: tuple[str, ...] = ()


def _origin(row: Mapping[str, Any]) -> str:
    sheet = "" if pd.isna(row["src_sheet"]) else f", sheet {row['src_sheet']}"
    return f"{row['src_file']}{sheet}, row {row['src_row']}"


def _day(date: pd.Timestamp) -> str:
    return date.date().isoformat()


def _costs(table: str, column: str) -> Scope:
    return "row" if column in KEY_COLUMNS.get(table, ()) else "value"


def _content(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in ORIGIN]


# --- duplicates and orphans ------------------------------------------------------------------------------------------


def exact_duplicates(t: Tables) -> list[Fault]:
    """Rows that say the same as an earlier row of the same site; the first stays.

    Ablations without a tumour number are left alone: two tumours of one size may have been treated in one session.
    """
    faults = []
    for table, frame in t.tables.items():
        content = ["site", *_content(frame)]
        twin = _repeated(frame, content)
        if table == "ablations":
            twin &= frame["tumour_no"].notna().to_numpy()
        if not twin.any():
            continue
        # only their patients' rows are looked through for the first
        own = frame[frame["USUBJID"].isin(frame.loc[twin, "USUBJID"]).to_numpy()]
        first = own[~own.duplicated(content)]
        origins = first.reset_index().merge(frame[twin].reset_index(), on=content, suffixes=("_first", ""), how="right")
        for row in origins.itertuples():
            faults.append(
                Fault(
                    table,
                    row.index,
                    None,
                    f"the row says the same as {row.src_file_first}, row {row.src_row_first}",
                    "row",
                )
            )
    return faults


def _repeated(frame: pd.DataFrame, content: list[str]) -> np.ndarray:
    """Return which rows say the same as an earlier one.

    A number made of each row's content tells nearly all rows apart; those that share one are compared in full.
    """
    mixed = np.zeros(len(frame), dtype=np.uint64)
    for name in content:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            values = column.cat.codes.to_numpy().astype(np.int64)
        elif column.dtype.kind == "M":
            values = column.to_numpy().view(np.int64)
        elif column.dtype == "Float64":
            values = (column.to_numpy(dtype="float64", na_value=np.nan) + 0.0).view(np.int64)
        else:
            values = column.to_numpy(dtype="int64", na_value=-1)
        mixed = (mixed ^ values.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    shared = pd.Series(mixed).duplicated(keep=False).to_numpy()
    twin = np.zeros(len(frame), dtype=bool)
    twin[shared] = frame[shared].duplicated(content).to_numpy()
    return twin


def conflicting_duplicates(t: Tables) -> list[Fault]:
    """Patients who stand twice with different content: which row is right cannot be told."""
    faults = []
    for table, key in (("patients", ["USUBJID"]), ("survival_times", ["USUBJID", "endpoint"])):
        frame = t.tables[table]
        twice = decoded(frame[frame.duplicated(key, keep=False)])
        if twice.empty:
            continue
        twice = twice.sort_values(key, kind="stable")
        begins = np.flatnonzero(~twice.duplicated(key))
        differs = {}
        for name in _content(twice):
            values = pd.factorize(twice[name], use_na_sentinel=False)[0]
            differs[name] = np.maximum.reduceat(values, begins) != np.minimum.reduceat(values, begins)
        origins = [_origin(row) for row in twice[["src_file", "src_sheet", "src_row"]].to_dict("records")]
        for i, rows in enumerate(np.split(np.arange(len(twice)), begins[1:])):
            differing = [name for name, different in differs.items() if different[i]]
            where = " and ".join(origins[row] for row in rows)
            reason = f"the patient stands in {where} with different {', '.join(differing)}"
            faults.extend(Fault(table, int(twice.index[row]), None, reason, "patient") for row in rows)
    return faults


def orphan_rows(t: Tables) -> list[Fault]:
    """Rows of a patient whom no ``patients`` export of the site knows."""
    faults = []
    bare: dict[str, str] | None = None
    known = np.zeros(len(t.roster.names), dtype=bool)
    known[t.seen] = True
    for table, frame in t.tables.items():
        if table == "patients":
            continue
        orphans = frame[~known[frame["USUBJID"].to_numpy()]]
        if bare is None and len(orphans):
            # 12 for 0012: a spreadsheet ate the zeros; the hint helps to mend it, the row is not matched by guess
            bare = {_without_zeros(name): name for name in t.roster.names[t.seen]}
        for row, number in orphans["USUBJID"].items():
            near = (bare or {}).get(_without_zeros(t.name(number)))
            hint = f"; {near.split('-', 2)[2]!r} differs by leading zeros only" if near else ""
            subject = t.roster.subject_ids[number]
            faults.append(Fault(table, row, "subject_id", f"no patient {subject!r} in the patients table{hint}", "row"))
    return faults


def _without_zeros(name: str) -> str:
    study, site, subject = name.split("-", 2)
    return f"{study}-{site}-{subject.lstrip('0')}"


# --- what cannot be --------------------------------------------------------------------------------------------------


def impossible_values(t: Tables) -> list[Fault]:
    """Numbers outside :mod:`.plausibility`, and birth dates that make a patient older than anyone.

    Time zero of that age is the index RFA, for a patient without one the earliest date on record.
    """
    faults = []
    for (table, column), bounds in COLUMN_BOUNDS.items():
        frame = t.tables[table]
        outside = ((frame[column] < bounds.low) | (frame[column] > bounds.high)).fillna(False)
        faults.extend(
            Fault(table, row, column, f"{value:g} is outside what can be, {bounds} ({bounds.why})", "value")
            for row, value in frame.loc[outside, column].items()
        )
    labs = t.tables["labs"]
    for test, bounds in LAB_BOUNDS.items():
        chosen = labs[(labs["test"] == test).fillna(False)]
        outside = ((chosen["value"] < bounds.low) | (chosen["value"] > bounds.high)).fillna(False)
        for row in chosen[outside].itertuples():
            faults.append(
                Fault(
                    "labs",
                    row.Index,
                    "value",
                    f"{test} of {row.value:g} {row.unit} is outside what can be, {bounds} ({bounds.why})",
                    "value",
                )
            )
    patients = t.tables["patients"]
    reference = patients["USUBJID"].map(index_rfa(t.tables["ablations"]))
    without = patients.loc[reference.isna() & patients["birth_date"].notna(), "USUBJID"]
    reference = reference.fillna(patients["USUBJID"].map(_earliest(t, without)))
    age = (reference - patients["birth_date"]).dt.days / 365.25
    faults.extend(
        Fault("patients", row, "birth_date", f"the patient would be {years:.0f} years old at time zero", "value")
        for row, years in age[age > OLDEST_YEARS].items()
    )
    return faults


def grades_out_of_range(t: Tables) -> list[Fault]:
    """CTCAE grades other than 1 to 5."""
    events = t.tables["adverse_events"]
    outside = (~events["grade"].between(1, 5)).fillna(False)
    return [
        Fault("adverse_events", row, "grade", f"{value} is no CTCAE grade (1 to 5)", "value")
        for row, value in events.loc[outside, "grade"].items()
    ]


# --- time ------------------------------------------------------------------------------------------------------------


def future_dates(t: Tables) -> list[Fault]:
    """Dates after the cohort's data cut-off."""
    if t.cohort.data_cutoff is None:
        return []
    cutoff = pd.Timestamp(t.cohort.data_cutoff)
    faults = []
    for table, columns in DATE_COLUMNS.items():
        frame = t.tables[table]
        for column in columns:
            late = frame.loc[frame[column] > cutoff, column]
            faults.extend(
                Fault(
                    table,
                    row,
                    column,
                    f"{_day(date)} is after the data cut-off {_day(cutoff)}",
                    _costs(table, column),
                )
                for row, date in late.items()
            )
    return faults


def _earliest(t: Tables, patients: pd.Series) -> pd.Series:
    """Return the earliest date on record, but for the birth, of each of a few `patients`."""
    dates = [
        frame.loc[frame["USUBJID"].isin(patients), ["USUBJID", column]].rename(columns={column: "date"})
        for table, frame in t.tables.items()
        for column in DATE_COLUMNS[table]
        if column != "birth_date"
    ]
    return pd.concat(dates, ignore_index=True).groupby("USUBJID")["date"].min()


def _against_reference(
    t: Tables, reference: str, wrong: Callable[[np.ndarray, np.ndarray], np.ndarray], words: str
) -> list[Fault]:
    """Return faults of dates on the wrong side of a patient's own `reference` date.

    When more than half of a patient's dates contradict the one date, the one date is the wrong one.
    """
    patients = t.tables["patients"]
    own = np.full(len(t.roster.names), np.datetime64("NaT", "s"))
    own[patients["USUBJID"].to_numpy()] = patients[reference].to_numpy()
    dates, contradicting = (np.zeros(len(own), dtype=np.int64) for _ in range(2))
    bad: list[tuple[str, str, np.ndarray]] = []
    for table, columns in DATE_COLUMNS.items():
        frame = t.tables[table]
        number = frame["USUBJID"].to_numpy()
        due = own[number]
        for column in columns:
            if column in ("birth_date", reference):
                continue
            date = frame[column].to_numpy()
            dates += np.bincount(number[~np.isnat(date) & ~np.isnat(due)], minlength=len(own))
            rows = np.flatnonzero(wrong(date, due))  # a missing date is on neither side
            contradicting += np.bincount(number[rows], minlength=len(own))
            bad.append((table, column, rows))
    mistaken = 2 * contradicting > dates
    faults = []
    for table, column, rows in bad:
        for row, date, number in t.tables[table].iloc[rows][[column, "USUBJID"]].itertuples(name=None):
            if not mistaken[number]:
                reason = f"{_day(date)} is {words} on {_day(pd.Timestamp(own[number]))}"
                faults.append(Fault(table, row, column, reason, _costs(table, column)))
    for row, number in patients.loc[mistaken[patients["USUBJID"].to_numpy()], "USUBJID"].items():
        told = f"{contradicting[number]} of the patient's {dates[number]} other dates are {words}"
        reason = f"{told} on {_day(pd.Timestamp(own[number]))}: this date is the wrong one"
        faults.append(Fault("patients", row, reference, reason, "value"))
    return faults


def dates_before_birth(t: Tables) -> list[Fault]:
    """Dates before the patient's birth; if most are, the birth date."""
    return _against_reference(t, "birth_date", np.less, "before the birth")


def dates_after_death(t: Tables) -> list[Fault]:
    """Dates after the patient's death; if most are, the date of death."""
    return _against_reference(t, "death_date", np.greater, "after the death")


def ends_before_starts(t: Tables) -> list[Fault]:
    """Events whose end lies before their start (the end goes), and dosing intervals (the row goes).

    An interval without an end means 'ongoing', so losing only the end would invent exposure.
    """
    faults = []
    for table in ("drug_exposure", "adverse_events"):
        frame = t.tables[table]
        for row in frame[frame["end_date"] < frame["start_date"]].itertuples():
            faults.append(
                Fault(
                    table,
                    row.Index,
                    "end_date",
                    f"the end {_day(row.end_date)} lies before the start {_day(row.start_date)}",
                    "row" if table == "drug_exposure" else "value",
                )
            )
    return faults


def complications_before_session(t: Tables) -> list[Fault]:
    """Complications dated before the session they are recorded with; that there was one stays."""
    ablations = t.tables["ablations"]
    early = (ablations["complication_date"] < ablations["ablation_date"]).fillna(False)
    return [
        Fault(
            "ablations",
            row.Index,
            "complication_date",
            f"the complication on {_day(row.complication_date)} lies before its session on {_day(row.ablation_date)}",
            "value",
        )
        for row in ablations[early].itertuples()
    ]


# --- which tumour progressed -----------------------------------------------------------------------------------------


def unreadable_tumour_lists(t: Tables) -> list[Fault]:
    """Texts of ``ltp_tumours`` that are no list of tumour numbers."""
    texts = t.tables["imaging"]["ltp_tumours"]
    unreadable = [text for text in texts.cat.categories if tumours_named(text) is None]
    return [
        Fault("imaging", row, "ltp_tumours", f"{text!r} is no list of tumour numbers such as '2' or '1+3'", "value")
        for row, text in texts[texts.isin(unreadable)].items()
    ]


def unknown_tumours(t: Tables) -> list[Fault]:
    """Local progression at a tumour that the index session did not treat, or without local progression.

    The cell goes as a whole: with one number wrong it cannot be told which were meant. Where the number of any tumour
    of the index session is not recorded, no number can be called unknown.
    """
    imaging, ablations = t.tables["imaging"], t.tables["ablations"]
    named = imaging.loc[imaging["ltp_tumours"].notna(), ["USUBJID", "finding", "ltp_tumours"]]
    if named.empty:
        return []
    index_date = ablations["USUBJID"].map(index_rfa(ablations))
    session = ablations[(ablations["ablation_date"] == index_date).to_numpy(dtype=bool)]
    session = session[session["USUBJID"].isin(named["USUBJID"])]
    treated: dict[int, list] = {}
    for number, tumour in zip(session["USUBJID"].tolist(), session["tumour_no"].tolist(), strict=True):
        treated.setdefault(number, []).append(tumour)
    tumours_of = {text: tumours_named(text) for text in named["ltp_tumours"].unique()}
    faults = []
    for row, subject, finding, text in named.itertuples(name=None):
        numbers = tumours_of[text]
        if numbers is None:
            continue
        known = treated.get(subject, [])
        if pd.isna(finding) or "LTP" not in finding.split("+"):
            reason = f"tumours are named, yet the finding is {'missing' if pd.isna(finding) else finding!r}"
        elif known and all(number is not pd.NA for number in known) and not numbers <= set(known):
            strangers = ", ".join(str(number) for number in sorted(numbers - set(known)))
            reason = f"the index session treated no tumour {strangers}, only " + ", ".join(
                str(number) for number in sorted(set(known))
            )
        else:
            continue
        faults.append(Fault("imaging", row, "ltp_tumours", reason, "value"))
    return faults


# --- contradictions about life and death -----------------------------------------------------------------------------


def deaths_without_date(t: Tables) -> list[Fault]:
    """Patients recorded as dead whose date of death is missing or was quarantined: when they died is unknown."""
    patients = t.tables["patients"]
    unknown = ((patients["vital_status"] == "dead") & patients["death_date"].isna()).fillna(False)
    reason = "recorded as dead without a usable date of death: survival would have to be guessed"
    return [Fault("patients", row, "death_date", reason, "patient") for row in patients.index[unknown]]


def alive_with_death_date(t: Tables) -> list[Fault]:
    """Patients recorded as alive with a date of death."""
    patients = t.tables["patients"]
    both = ((patients["vital_status"] == "alive") & patients["death_date"].notna()).fillna(False)
    return [
        Fault("patients", row, "vital_status", f"recorded as alive and as having died on {_day(date)}", "patient")
        for row, date in patients.loc[both, "death_date"].items()
    ]


def survival_contradictions(t: Tables) -> list[Fault]:
    """Patients whose derived survival times contradict each other.

    Neither recurrence-free survival nor the time to recurrence can outlast overall survival, and a death at the time
    of RFS is an event of RFS.
    """
    times = t.tables["survival_times"]
    columns = ["USUBJID", "time_months", "event"]
    first = times.loc[times["endpoint"].isin(["RFS", "TTR"]), [*columns, "endpoint"]]
    pairs = first.reset_index().merge(
        times.loc[(times["endpoint"] == "OS").fillna(False), columns], on="USUBJID", suffixes=("", "_os")
    )
    faults = []
    longer = (pairs["time_months"] > pairs["time_months_os"]).fillna(False)
    for row in pairs[longer].itertuples():
        reason = f"{row.endpoint} of {row.time_months:g} months is longer than OS of {row.time_months_os:g} months"
        faults.append(Fault("survival_times", row.index, "time_months", reason, "patient"))
    uncounted = (
        ~longer
        & (pairs["endpoint"] == "RFS")
        & (pairs["time_months"] == pairs["time_months_os"])
        & (pairs["event"] == 0)
        & (pairs["event_os"] == 1)
    ).fillna(False)
    for row in pairs[uncounted].itertuples():
        reason = f"died at {row.time_months_os:g} months, yet RFS is censored at that time: death is an event of RFS"
        faults.append(Fault("survival_times", row.index, "event", reason, "patient"))
    return faults


# --- rows that cannot serve, and patients who cannot without them ----------------------------------------------------


def rows_without_key(t: Tables) -> list[Fault]:
    """Rows that lack what places them in time or what they are about."""
    faults = []
    for table, columns in KEY_COLUMNS.items():
        frame = t.tables[table]
        lacking = {name: frame[name].isna().to_numpy() for name in columns}
        for i in np.flatnonzero(np.logical_or.reduce(list(lacking.values()))):
            row = int(frame.index[i])
            names = [name for name in columns if lacking[name][i]]
            faults.append(Fault(table, row, names[0], f"the row cannot be used without {' and '.join(names)}", "row"))
    return faults


def decisive_rows_lost(t: Tables) -> list[Fault]:
    """Patients who lost a row that may have decided their time zero, arm or outcome.

    - An ablation: it may have been the index RFA.
    - A dosing interval of sorafenib, or of a drug that is not known, unless its start (or, as intervals of one drug
      do not overlap, its end) shows that it was not the first: it may have decided the arm.
    - An examination that showed recurrence: it may have been the first recurrence.
    """
    labels = pd.Series(t.tables["patients"].index, index=t.tables["patients"]["USUBJID"])
    reasons: dict[int, str] = {}

    def lose(rows: pd.DataFrame, what: str) -> None:
        for row in rows.to_dict("records"):
            reasons.setdefault(row["USUBJID"], f"{_origin(row)} was quarantined ({row['rule']}): {what}")

    lose(_lost(t, "ablations"), "it may have been the index RFA")
    intervals = _lost(t, "drug_exposure")
    if len(intervals):
        intervals = intervals[(intervals["drug"] == "sorafenib").fillna(True)]
        first = intervals["USUBJID"].map(first_exposure(t.tables["drug_exposure"]))
        evidence = intervals["start_date"].fillna(intervals["end_date"])
        lose(intervals[~(evidence > first).to_numpy(dtype=bool)], "it may have decided the arm")
    examinations = _lost(t, "imaging")
    if len(examinations):
        positive = (examinations["finding"] != NO_RECURRENCE) & examinations["finding"].notna()
        lose(examinations[positive.fillna(False).to_numpy(dtype=bool)], "it may have been the first recurrence")
    return [
        Fault("patients", int(labels[name]), None, reason, "patient")
        for name, reason in sorted(reasons.items())
        if name in labels.index
    ]


# --- odd, yet usable -------------------------------------------------------------------------------------------------


def events_before_index(t: Tables) -> list[Fault]:
    """Adverse events that began before the index RFA: kept, listed, never treatment-emergent.

    Without a start, those that were over before it.
    """
    events = t.tables["adverse_events"]
    index_date = events["USUBJID"].map(index_rfa(t.tables["ablations"]))
    faults = []
    for column, verb in (("start_date", "began"), ("end_date", "ended")):
        days = (index_date - events[column]).dt.days
        if column == "end_date":
            days = days[events["start_date"].isna()]
        for row, number in days[days > 0].items():
            span = f"{number:.0f} day{'' if number == 1 else 's'}"
            reason = f"the event {verb} {span} before the index RFA: it stays, and is never treatment-emergent"
            faults.append(Fault("adverse_events", row, column, reason, "flag"))
    return faults


def results_without_uln(t: Tables) -> list[Fault]:
    """Results of tests that are graded by the upper limit of normal (ULN), without one: kept, not graded.

    Where a site states no ULN of a test at all, its first result stands for all of them.
    """
    labs = t.tables["labs"]
    graded = labs.loc[labs["test"].isin(GRADED_BY_ULN) & labs["value"].notna(), ["site", "test", "uln"]]
    faults = []
    for (site, test), rows in graded.groupby(["site", "test"], sort=True, observed=True):
        lacking = rows.index[rows["uln"].isna()]
        if len(lacking) == len(rows) > 1:
            reason = f"{site} states no upper limit of normal with any of its {len(rows)} results of {test}"
            faults.append(Fault("labs", lacking[0], "uln", f"{reason}: they stay, and have no CTCAE grade", "flag"))
            continue
        reason = f"{test} without an upper limit of normal: the result stays, and has no CTCAE grade"
        faults.extend(Fault("labs", row, "uln", reason, "flag") for row in lacking)
    return faults


def _lost(t: Tables, table: str) -> pd.DataFrame:
    lost = t.lost[table]
    return lost[~lost["rule"].isin(["exact_duplicate", "orphan_row"])]


_DATED: Final = ("treatment", "ablations", "imaging")

RULES: Final = (
    Rule("exact_duplicate", "Row stands twice", exact_duplicates),
    Rule("conflicting_duplicate", "Recorded twice with different content", conflicting_duplicates, True),
    Rule("orphan_row", "Row of an unknown patient", orphan_rows),
    Rule("impossible_value", "Value that cannot be", impossible_values),
    Rule("grade_out_of_range", "No CTCAE grade", grades_out_of_range),
    Rule("future_date", "Date after the data cut-off", future_dates),
    Rule("before_birth", "Date before birth", dates_before_birth),
    Rule("after_death", "Date after death", dates_after_death),
    Rule("end_before_start", "End before start", ends_before_starts),
    Rule("complication_before_session", "Complication before its session", complications_before_session),
    Rule("not_a_tumour_list", "No list of tumour numbers", unreadable_tumour_lists),
    Rule("unknown_tumour", "Progression of a tumour that was not treated", unknown_tumours),
    Rule("death_without_date", "Dead without a usable date of death", deaths_without_date, True, _DATED),
    Rule("alive_with_death_date", "Recorded as alive with a date of death", alive_with_death_date, True, _DATED),
    Rule(
        "survival_contradiction",
        "Survival times contradict each other",
        survival_contradictions,
        True,
        ("survival_times",),
    ),
    Rule("missing_key", "Row without its date or subject", rows_without_key),
    Rule(
        "decisive_row_lost",
        "A record that decides time zero, arm or outcome is unusable",
        decisive_rows_lost,
        True,
        _DATED,
    ),
    Rule("event_before_index", "Adverse event that began before the index RFA", events_before_index),
    Rule("missing_uln", "Result that cannot be graded without its upper limit of normal", results_without_uln),
)
"""All rules, in the order in which they run."""
