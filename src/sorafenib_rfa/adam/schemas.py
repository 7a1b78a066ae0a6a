"""The one specification of every ADaM variable; checks and data dictionary are both made from it.

What a variable is called, means, may hold and how it is derived is written here once: :func:`conform` gives
a frame these columns and types, :func:`validate` refuses a frame that departs from them,
:mod:`~sorafenib_rfa.adam.dictionary` prints them. Names follow CDISC ADaM IG 1.3 where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import pandas as pd

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.clinical.bclc import STAGES
from sorafenib_rfa.coded import ROW_GROUP, as_codes, decoded, sorted_rows
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.ingest.tables import TABLES
from sorafenib_rfa.vocabulary import (
    ARMS,
    DAYS_PER_MONTH,
    ENDPOINTS,
    EVENT_LABELS,
    LAB_TESTS,
    RECURRENCE_SITES,
)

if TYPE_CHECKING:
    import pandera.pandas as pa

Kind = Literal["text", "integer", "number", "date"]

DTYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"text": "string", "integer": "Int64", "number": "Float64", "date": "datetime64[s]"}
)
"""Kind of a variable -> dtype of its column."""

Y_N: Final = ("Y", "N")
SITE_NOT_RECORDED: Final = "not recorded"
RECURRENCE_PATTERNS: Final = (
    *RECURRENCE_SITES,
    *(f"{a}+{b}" for i, a in enumerate(RECURRENCE_SITES) for b in RECURRENCE_SITES[i + 1 :]),
    "+".join(RECURRENCE_SITES),
    SITE_NOT_RECORDED,
)
"""Values of ADSL.RECSITE: the kinds seen on the day of the first recurrence."""

REPEAT_RFA, DEATH, END_OF_FOLLOW_UP = "RFA session", "death", "end of follow-up"
RECURRENT_EVENTS: Final = (REPEAT_RFA, DEATH, END_OF_FOLLOW_UP)
"""Values of ADRECUR.EVTYPE."""

LTP_RECORDED, LTP_ONLY_TUMOUR, LTP_NOT_RECORDED = "recorded", "only tumour", "not recorded"
LTP_ALLOCATIONS: Final = (LTP_RECORDED, LTP_ONLY_TUMOUR, LTP_NOT_RECORDED)
"""Values of ADTUM.LTPALLOC."""

TUMOUR_CENSORED, TUMOUR_LTP, TUMOUR_DEATH = 0, 1, 2
TUMOUR_EVENTS: Final = MappingProxyType(
    {TUMOUR_CENSORED: "Censored", TUMOUR_LTP: "Local tumour progression of this tumour", TUMOUR_DEATH: "Death"}
)
"""ADTUM.EVNTCD and what it means; not the codes of ADTTE, whose first event is the patient's."""


@dataclass(frozen=True)
class Variable:
    """One column of one dataset.

    Attributes
    ----------
    name, label : str
    kind : {"text", "integer", "number", "date"}
    derivation : str
        How the value is obtained, in one or two sentences.
    source : str
        Tables and columns it comes from, ``<table>.<column>``; settings of the plan as ``plan.<key>``.
    unit : str or None
    codelist : tuple of str or int, or None
        The only values allowed.
    required : bool
        Whether a missing value is an error.
    """

    name: str
    label: str
    kind: Kind
    derivation: str
    source: str
    unit: str | None = None
    codelist: tuple[str, ...] | tuple[int, ...] | None = None
    required: bool = False


@dataclass(frozen=True)
class Dataset:
    """One ADaM dataset: `keys` identify a row and give the order of rows."""

    name: str
    label: str
    keys: tuple[str, ...]
    variables: tuple[Variable, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return [variable.name for variable in self.variables]


def _flag(name: str, label: str, derivation: str, source: str, *, required: bool = False) -> Variable:
    return Variable(name, label, "text", derivation, source, codelist=Y_N, required=required)


def _copied(name: str, label: str, kind: Kind, source: str, **more: object) -> Variable:
    """Return a variable taken over unchanged; its codes are those that ingest allows in `source`."""
    table, column = source.split(".")
    codes = more.pop("codelist", TABLES[table][column].codes or None)
    return Variable(name, label, kind, str(more.pop("derivation", "As recorded")), source, codelist=codes, **more)  # type: ignore[arg-type]


def _graded(name: str, label: str, kind: Kind, source: str, **more: object) -> Variable:
    """Return the worst grade of a session's complications on one scale."""
    words = (
        "Worst grade on this scale of the complications within plan.rfa_complication_days, of later ones only "
        "where there is none within them; it may be another complication than COMPTERM"
    )
    return _copied(name, label, kind, source, derivation=words, **more)


# --- variables of several datasets ----------------------------------------------------------------------------------

_STUDYID = Variable("STUDYID", "Study identifier", "text", "Name of the cohort", "cohort", required=True)
_USUBJID = Variable(
    "USUBJID",
    "Unique subject identifier",
    "text",
    "STUDYID, SITEID and SUBJID joined by hyphens",
    "patients.subject_id",
    required=True,
)
_SITEID = Variable("SITEID", "Site identifier", "text", "Site the record came from", "patients.site", required=True)
_TRT01A = Variable(
    "TRT01A",
    "Arm: treatment received",
    "text",
    f"'{ARMS[0]}' when sorafenib began within plan.grace_period_days after the index RFA and before a recurrence, "
    f"otherwise '{ARMS[1]}'. Known only after the grace period: comparing these arms from time zero credits the "
    "first with immortal time (see LMTRT)",
    "drug_exposure.start_date, ablations.ablation_date, imaging, plan.grace_period_days",
    codelist=ARMS,
)
_EXPOSFL = _flag(
    "EXPOSFL",
    "Exposed to sorafenib",
    "Y when any sorafenib was taken before the first recurrence (EXSTDT earlier than RECDT, or no recurrence)",
    "drug_exposure, imaging",
)
_LMFL = _flag(
    "LMFL",
    "At risk at the landmark",
    "Y when on day plan.landmark_day after index RFA the patient is alive (no death on or before it), recurrence-free "
    "(no positive imaging on or before it) and under observation (LSTALVDT on or after it)",
    "plan.landmark_day, ADSL.DTHDT, ADSL.RECDT, ADSL.LSTALVDT",
)
_LMTRT = Variable(
    "LMTRT",
    "Arm at the landmark",
    "text",
    f"For LMFL = Y: '{ARMS[0]}' when sorafenib began on or before the landmark day, otherwise '{ARMS[1]}'",
    "ADSL.EXSTDT, plan.landmark_day",
    codelist=ARMS,
)
_SRCFILE = Variable("SRCFILE", "Source file", "text", "File of the raw record", "src_file")
_SRCSHEET = Variable("SRCSHEET", "Source sheet", "text", "Sheet of the raw record, of a workbook", "src_sheet")
_SRCROW = Variable("SRCROW", "Source row", "integer", "Row of the raw record in its file, counted from 1", "src_row")

_STUDY_DAY = "1 on the day of index RFA, 2 on the day after, -1 on the day before; there is no day 0"


def _study_day(name: str, label: str, date: str) -> Variable:
    return Variable(name, label, "integer", f"Study day of {date}: {_STUDY_DAY}", f"{date}, ADSL.TRTSDT", unit="days")


def _baseline(name: str, test: str) -> Variable:
    label, unit = LAB_TESTS[test]
    return Variable(
        name,
        f"{label} at baseline",
        "number",
        "Last value in the baseline window (plan.baseline_window_days) around index RFA",
        f"labs ({test}), plan.baseline_window_days",
        unit=unit,
    )


BASELINE_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ALB": "ALBBL",
        "BILI": "BILIBL",
        "INR": "INRBL",
        "ALT": "ALTBL",
        "AST": "ASTBL",
        "ALP": "ALPBL",
        "GGT": "GGTBL",
        "PLT": "PLTBL",
        "AFP": "AFPBL",
        "CREA": "CREABL",
    }
)
"""PARAMCD of a laboratory test -> its baseline column in ADSL."""

_ADSL = Dataset(
    "adsl",
    "Subject-level analysis dataset: one row an analysed patient",
    ("USUBJID",),
    (
        _STUDYID,
        _USUBJID,
        Variable(
            "SUBJID", "Subject identifier at the site", "text", "As recorded", "patients.subject_id", required=True
        ),
        _SITEID,
        Variable(
            "COUNTRY", "Country", "text", "ISO 3166-1 code of the site", "configuration of the site", required=True
        ),
        Variable("REGION", "Region", "text", "Region of the site", "configuration of the site", required=True),
        _TRT01A,
        _EXPOSFL,
        Variable(
            "TRTSDT", "Date of index RFA", "date", "First recorded RFA session: time zero", "ablations.ablation_date"
        ),
        Variable(
            "EXSTDT",
            "Date of first sorafenib",
            "date",
            "First day of the first dosing interval, whether before or after a recurrence (EXPOSFL tells)",
            "drug_exposure.start_date",
        ),
        Variable(
            "EXDELAY",
            "Delay from RFA to sorafenib",
            "integer",
            "EXSTDT minus TRTSDT: 0 on the day of RFA",
            "ADSL.EXSTDT, ADSL.TRTSDT",
            unit="days",
        ),
        Variable(
            "AGE",
            "Age",
            "integer",
            "Completed years on the day of index RFA from the date of birth, else the recorded age in completed years",
            "patients.birth_date, patients.age_years",
            unit="years",
        ),
        _copied("SEX", "Sex", "text", "patients.sex"),
        _copied("ETIOLOGY", "Aetiology", "text", "patients.etiology"),
        _flag("ANTIVFL", "Antiviral therapy", "As recorded", "patients.antiviral"),
        _flag("CIRRHFL", "Cirrhosis", "As recorded", "patients.cirrhosis"),
        _copied("ECOG", "ECOG performance status", "integer", "patients.ecog", codelist=(0, 1, 2, 3, 4)),
        _flag("RECURFL", "Recurrent HCC at entry", "As recorded", "patients.recurrent_hcc"),
        _copied("TUMCOUNT", "Number of tumours", "integer", "patients.tumour_count"),
        _copied("TUMSIZE", "Diameter of the largest tumour", "number", "patients.largest_tumour_cm", unit="cm"),
        Variable(
            "BCLC",
            "BCLC stage",
            "text",
            "Computed from tumour number and size, ECOG, vascular invasion, extrahepatic spread and CPSCORE; B split "
            "after Bolondi 2012 (clinical.bclc.stage_frame); missing when what is missing could change it",
            "patients, ADSL.CPSCORE",
            codelist=STAGES,
        ),
        Variable(
            "CPSCORE",
            "Child-Pugh score",
            "integer",
            "Points for BILIBL, ALBBL, INRBL, ascites, encephalopathy (clinical.liver.child_pugh_score)",
            "ADSL, patients.ascites, patients.encephalopathy",
        ),
        Variable(
            "CPCLASS", "Child-Pugh class", "text", "A 5-6, B 7-9, C 10-15", "ADSL.CPSCORE", codelist=("A", "B", "C")
        ),
        Variable(
            "ALBISC",
            "ALBI score",
            "number",
            "0.66 log10(BILIBL) - 0.085 ALBBL (Johnson 2015)",
            "ADSL.BILIBL, ADSL.ALBBL",
        ),
        Variable(
            "ALBIGR",
            "ALBI grade",
            "integer",
            "1 at most -2.60, 2 at most -1.39, 3 above",
            "ADSL.ALBISC",
            codelist=(1, 2, 3),
        ),
        *(_baseline(name, test) for test, name in BASELINE_VARIABLES.items()),
        _copied("RECBCLC", "BCLC stage as the site recorded it (never analysed)", "text", "patients.recorded_bclc"),
        _flag(
            "DTHFL",
            "Death",
            "Y when recorded as dead, otherwise N",
            "patients.vital_status, survival_times",
            required=True,
        ),
        Variable(
            "DTHDT",
            "Date of death",
            "date",
            "As recorded",
            "patients.death_date",
        ),
        Variable(
            "LSTALVDT",
            "Last date known alive",
            "date",
            "Latest of last contact, RFA, imaging, sample, first day of a dosing interval, and death",
            "patients.last_contact_date, patients.death_date, ablations, imaging, labs, drug_exposure",
        ),
        Variable(
            "RECDT",
            "Date of first recurrence",
            "date",
            "First positive imaging after the day of index RFA",
            "imaging.imaging_date, imaging.finding",
        ),
        Variable(
            "RECSITE",
            "Kinds of recurrence seen at the first",
            "text",
            "All kinds found by any examination on RECDT, most local first",
            "imaging.finding",
            codelist=RECURRENCE_PATTERNS,
        ),
        _LMFL,
        _LMTRT,
        Variable(
            "LASTIMDT",
            "Date of last recurrence-free imaging",
            "date",
            "Last clear imaging from index RFA on, before RECDT when there is a recurrence",
            "imaging.imaging_date, imaging.finding",
        ),
    ),
)

_ADTTE = Dataset(
    "adtte",
    "Time-to-event analysis dataset: one row a patient and parameter",
    ("USUBJID", "PARAMCD"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        Variable(
            "PARAMCD",
            "Parameter code",
            "text",
            "Endpoint",
            "cohort.endpoints",
            codelist=tuple(ENDPOINTS),
            required=True,
        ),
        Variable(
            "PARAM",
            "Parameter",
            "text",
            "Label of PARAMCD",
            "PARAMCD",
            codelist=tuple(ENDPOINTS.values()),
            required=True,
        ),
        _TRT01A,
        _LMFL,
        _LMTRT,
        Variable("STARTDT", "Time zero", "date", "TRTSDT", "ADSL.TRTSDT"),
        Variable(
            "ADT",
            "Date of event or censoring",
            "date",
            "Recurrence: RECDT (the day it was seen). Death without recurrence: DTHDT, however long after the last "
            "imaging. Otherwise LASTIMDT, or TRTSDT without any imaging. OS: DTHDT, otherwise LSTALVDT",
            "ADSL",
        ),
        _study_day("ADY", "Study day of ADT", "ADT"),
        Variable(
            "AVAL",
            "Time to event or censoring",
            "number",
            f"(ADT - STARTDT) / {DAYS_PER_MONTH}; with published times, that of the source (its days / "
            f"{DAYS_PER_MONTH}, or its months). A time of "
            "zero becomes half a unit of the source (half a day, or half a month), so that an event on the day of "
            "RFA is not lost",
            "ADTTE.ADT, ADTTE.STARTDT, survival_times.time_months",
            unit="months",
            required=True,
        ),
        Variable("AVALU", "Unit of AVAL", "text", "Constant", "AVAL", codelist=("months",), required=True),
        Variable(
            "CNSR",
            "Censored",
            "integer",
            "0 event, 1 censored. RFS: recurrence or death is an event. TTR: recurrence. LTP, IDR, EHS: a first "
            "recurrence of that kind. OS: death",
            "ADTTE.EVNTCD",
            codelist=(0, 1),
            required=True,
        ),
        Variable(
            "EVNTCD",
            "Code of the first event",
            "integer",
            "; ".join(f"{code} {label}" for code, label in EVENT_LABELS.items())
            + ". Several kinds on one day count as the most local (LTP before IDR before EHS). The same in all "
            "parameters but OS, where 4 is death from any cause",
            "ADSL.RECSITE, ADSL.DTHFL, survival_times",
            codelist=tuple(EVENT_LABELS),
            required=True,
        ),
        Variable("EVNTDESC", "Event", "text", "Meaning of EVNTCD", "ADTTE.EVNTCD", required=True),
        Variable("CNSDTDSC", "Reason of censoring", "text", "Missing for an event", "ADTTE", required=False),
        Variable("SRCDOM", "Source table", "text", "Raw table ADT came from", "ADTTE.ADT", required=True),
        Variable(
            "INTLO",
            "Recurrence not before",
            "number",
            "Time of the last clear imaging, 0 without one; for a death without recurrence in RFS the time of death. "
            "Missing in OS and for times published without dates",
            "ADSL.LASTIMDT, ADSL.DTHDT",
            unit="months",
        ),
        Variable(
            "INTHI",
            "Recurrence not after",
            "number",
            "Time of the first positive imaging; for a death without recurrence in RFS the time of death; missing "
            "when no recurrence was seen",
            "ADSL.RECDT, ADSL.DTHDT",
            unit="months",
        ),
    ),
)

_ADAE = Dataset(
    "adae",
    "Adverse event analysis dataset: one row an event",
    ("USUBJID", "AESEQ"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        _TRT01A,
        _EXPOSFL,
        Variable(
            "AESEQ", "Sequence", "integer", "By start date, term, grade and source row", "adverse_events", required=True
        ),
        _copied("AEDECOD", "Term (CTCAE v5.0)", "text", "adverse_events.term", required=True),
        Variable(
            "AEBODSYS",
            "System organ class (CTCAE v5.0)",
            "text",
            "As recorded; where missing, the class of the term in clinical/ctcae_terms.csv",
            "adverse_events.soc, adverse_events.term",
        ),
        _copied("ATOXGR", "Grade (CTCAE v5.0)", "integer", "adverse_events.grade", codelist=(1, 2, 3, 4, 5)),
        _flag("AESER", "Serious", "As recorded", "adverse_events.serious"),
        _flag("AREL", "Related to sorafenib", "As recorded", "adverse_events.related_drug"),
        _flag("ARELRFA", "Related to RFA", "As recorded", "adverse_events.related_rfa"),
        _copied(
            "AEACN",
            "Action taken with sorafenib",
            "text",
            "adverse_events.action",
        ),
        _copied(
            "AEOUT",
            "Outcome",
            "text",
            "adverse_events.outcome",
        ),
        _copied("ASTDT", "Start date", "date", "adverse_events.start_date"),
        _copied("AENDT", "End date", "date", "adverse_events.end_date"),
        _study_day("ASTDY", "Study day of start", "ASTDT"),
        _study_day("AENDY", "Study day of end", "AENDT"),
        _flag(
            "PREFL",
            "Began before the index RFA",
            "Y when ASTDT lies before TRTSDT or, without a start date, AENDT does. Such an event is history: never "
            "treatment-emergent, and flagged in clean/quarantine as event_before_index",
            "ADAE.ASTDT, ADAE.AENDT, ADSL.TRTSDT",
            required=True,
        ),
        _flag(
            "TRTEMFL",
            "Treatment-emergent",
            "Began from the first dose to plan.treatment_emergent_days after the last of the course (EXPOSFL = Y), or "
            "from index RFA on (others); in both no later than plan.treatment_emergent_days after recurrence, and "
            "before sorafenib given for it. Drug started again after a recurrence is of no course. A missing "
            "start date counts as emergent unless the event ended before that period. Never with PREFL = Y",
            "ADAE.ASTDT, drug_exposure, ADSL.RECDT, plan.treatment_emergent_days",
            required=True,
        ),
        _flag(
            "AEOIFL",
            "Event of interest",
            "Y when AEDECOD is a term of plan.events_of_interest",
            "plan.events_of_interest",
            required=True,
        ),
        Variable(
            "CQ01NAM",
            "Customized query: event of interest",
            "text",
            "Label of the event of interest that AEDECOD is a term of; missing for other events",
            "plan.events_of_interest",
        ),
        _SRCFILE,
        _SRCSHEET,
        _SRCROW,
    ),
)

_ADLB = Dataset(
    "adlb",
    "Laboratory analysis dataset: one row a result",
    ("USUBJID", "PARAMCD", "ADT", "SRCFILE", "SRCSHEET", "SRCROW"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        _TRT01A,
        Variable("PARAMCD", "Test", "text", "As recorded", "labs.test", codelist=tuple(LAB_TESTS), required=True),
        Variable("PARAM", "Test, in words", "text", "Label and unit of PARAMCD", "labs.test", required=True),
        _copied("ADT", "Date of sample", "date", "labs.sample_date"),
        _study_day("ADY", "Study day of sample", "ADT"),
        Variable("AVAL", "Result", "number", "In the unit of AVALU", "labs.value"),
        Variable("AVALU", "Unit of AVAL", "text", "Canonical unit of the test", "labs.test", required=True),
        Variable("ANRHI", "Upper limit of normal", "number", "In the unit of AVALU", "labs.uln"),
        Variable("BASE", "Baseline", "number", "The patient's baseline value of the test, as in ADSL", "ADSL"),
        Variable(
            "ABLFL",
            "Baseline record",
            "text",
            "Y on the row that BASE was taken from, otherwise missing",
            "labs, plan.baseline_window_days",
            codelist=("Y",),
        ),
        Variable(
            "CHG", "Change from baseline", "number", "AVAL - BASE after the day of index RFA", "ADLB.AVAL, ADLB.BASE"
        ),
        Variable(
            "ATOXGR",
            "Grade (CTCAE v5.0)",
            "integer",
            "After index RFA by multiples of BASE when BASE is above ANRHI, else of ANRHI (clinical.ctcae.grade); "
            "up to index RFA by ANRHI alone. Missing where it cannot be graded, and for AFP",
            "ADLB.AVAL, ADLB.ANRHI, ADLB.BASE",
            codelist=(0, 1, 2, 3, 4),
        ),
        Variable(
            "BTOXGR",
            "Grade at baseline (CTCAE v5.0)",
            "integer",
            "Grade of the baseline record by its own ANRHI",
            "ADLB.BASE, ADLB.ANRHI",
            codelist=(0, 1, 2, 3, 4),
        ),
        _flag(
            "PERIRFFL",
            "Shortly after RFA",
            "Y from the day after any RFA session (index or repeat) to plan.rfa_complication_days after it",
            "ablations.ablation_date, plan.rfa_complication_days",
            required=True,
        ),
        _SRCFILE,
        _SRCSHEET,
        _SRCROW,
    ),
)

_ADEX = Dataset(
    "adex",
    "Exposure analysis dataset: one row a dosing interval",
    ("USUBJID", "EXSEQ"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        Variable(
            "EXSEQ",
            "Sequence",
            "integer",
            "By start date, end date, dose and source row",
            "drug_exposure",
            required=True,
        ),
        _copied("EXTRT", "Drug", "text", "drug_exposure.drug", required=True),
        _copied("EXSTDT", "Start date", "date", "drug_exposure.start_date"),
        Variable(
            "EXENDT",
            "End date",
            "date",
            "As recorded; an interval still open ends at LSTALVDT",
            "drug_exposure.end_date, ADSL.LSTALVDT",
        ),
        _study_day("EXSTDY", "Study day of start", "EXSTDT"),
        _study_day("EXENDY", "Study day of end", "EXENDT"),
        _copied("EXDOSE", "Daily dose", "number", "drug_exposure.daily_dose_mg", unit="mg/day"),
        Variable("EXDURD", "Duration", "integer", "EXENDT - EXSTDT + 1", "ADEX.EXSTDT, ADEX.EXENDT", unit="days"),
        _copied(
            "EXADJ",
            "Reason of the change that ended the interval",
            "text",
            "drug_exposure.change_reason",
        ),
    ),
)

_ADRECUR = Dataset(
    "adrecur",
    "Repeated RFA: one row a session after the index one, and one for the end of observation",
    ("USUBJID", "RECSEQ"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        _TRT01A,
        Variable(
            "RECSEQ", "Sequence", "integer", "By date; the end of observation comes last", "ablations", required=True
        ),
        Variable(
            "ASTDT",
            "Date",
            "date",
            "Date of the session; of death; or LSTALVDT",
            "ablations.ablation_date, ADSL.DTHDT, ADSL.LSTALVDT",
            required=True,
        ),
        _study_day("ASTDY", "Study day of the event", "ASTDT"),
        Variable(
            "EVTYPE",
            "Event",
            "text",
            f"'{REPEAT_RFA}' for each day after index RFA on which RFA was done; last row '{DEATH}' or "
            f"'{END_OF_FOLLOW_UP}'",
            "ablations, ADSL",
            codelist=RECURRENT_EVENTS,
            required=True,
        ),
        Variable("TUMOURS", "Tumours treated", "integer", "Rows of the session; missing on the last row", "ablations"),
        Variable(
            "GAPDAYS",
            "Days since the session before",
            "integer",
            "From the index session for the first row",
            "ablations.ablation_date",
            unit="days",
            required=True,
        ),
    ),
)

_SESSION = (
    Variable(
        "PROCSEQ", "Sequence of the session", "integer", "By date; 1 is the index session", "ablations", required=True
    ),
    _copied("PROCDT", "Date of RFA", "date", "ablations.ablation_date", required=True),
)
_INDEXFL = _flag(
    "INDEXFL", "Index session", "Y for the first session: time zero", "ablations.ablation_date", required=True
)

_ADPROC = Dataset(
    "adproc",
    "Ablation analysis dataset: one row a session of radiofrequency ablation",
    ("USUBJID", "PROCSEQ"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        _TRT01A,
        _EXPOSFL,
        *_SESSION,
        _study_day("PROCDY", "Study day of RFA", "PROCDT"),
        _INDEXFL,
        Variable("NTUM", "Tumours treated", "integer", "Rows of the session", "ablations", required=True),
        _flag(
            "COMPFL",
            "Complication recorded",
            "Y when any complication column of the session holds something; N also where a site records none",
            "ablations.complication_term, ablations.complication_clavien_dindo, ablations.complication_cirse, "
            "ablations.complication_sir, ablations.complication_date",
            required=True,
        ),
        Variable(
            "COMPTERM",
            "Complication",
            "text",
            "As recorded. Of several in a session the worst by Clavien-Dindo, then CIRSE, then SIR; one later than "
            "plan.rfa_complication_days only where there is none within them",
            "ablations.complication_term, plan.rfa_complication_days",
        ),
        _copied("COMPDT", "Date of the complication", "date", "ablations.complication_date"),
        Variable(
            "COMPDAY",
            "Days from RFA to the complication",
            "integer",
            "COMPDT - PROCDT: 0 on the day of the session; missing when the date is not recorded",
            "ADPROC.COMPDT, ADPROC.PROCDT",
            unit="days",
        ),
        _flag(
            "COMP30FL",
            "Complication within the plan's days",
            "Y when the complication came on day 0 to plan.rfa_complication_days, or without a date; N when later, or "
            "none",
            "ADPROC.COMPDAY, plan.rfa_complication_days",
            required=True,
        ),
        _graded("CLAVIEN", "Clavien-Dindo grade", "text", "ablations.complication_clavien_dindo"),
        _graded("CIRSE", "CIRSE grade", "integer", "ablations.complication_cirse", codelist=(1, 2, 3, 4, 5, 6)),
        _graded("SIR", "SIR 2017 severity", "text", "ablations.complication_sir"),
        _SRCFILE,
        _SRCSHEET,
        _SRCROW,
    ),
)

_FOLLOWED = "For INDEXFL = Y and ANLFL = Y"

_ADTUM = Dataset(
    "adtum",
    "Tumour analysis dataset: one row a tumour treated in a session",
    ("USUBJID", "PROCSEQ", "TUMNO", "SRCFILE", "SRCSHEET", "SRCROW"),
    (
        _STUDYID,
        _USUBJID,
        _SITEID,
        _TRT01A,
        _EXPOSFL,
        _flag(
            "ANLFL",
            "Patient analysed",
            "Y for patients of ADSL. N for those who left because the index RFA was not complete or its result not "
            "recorded (rule index_rfa_complete): they have no arm, and belong to technique efficacy only",
            "cohort.eligibility, ablations.complete_ablation",
            required=True,
        ),
        *_SESSION,
        _INDEXFL,
        _copied("TUMNO", "Number of the tumour in its session", "integer", "ablations.tumour_no"),
        _copied("DIAM", "Diameter", "number", "ablations.tumour_diameter_cm", unit="cm"),
        _copied("GUIDANCE", "Guidance of the electrode", "text", "ablations.guidance"),
        _flag(
            "TECHEFFL",
            "Technique efficacy",
            "Complete ablation on contrast imaging at one month, as recorded (Ahmed 2014)",
            "ablations.complete_ablation",
        ),
        _flag(
            "LTPFL",
            "Local tumour progression",
            f"{_FOLLOWED}: Y when an examination after the day of RFA named this tumour as the place of local "
            "progression, or LTPALLOC says why it is taken to be",
            "imaging.finding, imaging.ltp_tumours, ablations.tumour_no",
        ),
        Variable(
            "LTPDT",
            "Date of local tumour progression",
            "date",
            "First examination that showed it",
            "imaging.imaging_date, imaging.ltp_tumours",
        ),
        Variable(
            "LTPALLOC",
            "How the progression was allocated to the tumour",
            "text",
            f"'{LTP_RECORDED}': the examination names the tumour. Where none is named, before any further session and "
            f"earlier progression: '{LTP_ONLY_TUMOUR}' of one tumour treated; '{LTP_NOT_RECORDED}' of several, when "
            "LTPFL is Y for the largest of them. Missing without progression",
            "imaging.ltp_tumours, ablations.tumour_diameter_cm",
            codelist=LTP_ALLOCATIONS,
        ),
        Variable(
            "AVAL",
            "Time to local tumour progression, death or censoring",
            "number",
            f"{_FOLLOWED}: (LTPDT, DTHDT or last examination - PROCDT) / {DAYS_PER_MONTH}; 0 becomes half a day. "
            "Censored at the last examination that could show the progression; the examinations that could are those "
            "before a recurrence of unrecorded kind and before a progression that is not named after a further session",
            "ADTUM.LTPDT, ADSL.DTHDT, imaging.imaging_date, ablations.ablation_date",
            unit="months",
        ),
        Variable(
            "CNSR",
            "Censored",
            "integer",
            f"{_FOLLOWED}: 0 local progression of this tumour, 1 otherwise",
            "ADTUM.EVNTCD",
            codelist=(0, 1),
        ),
        Variable(
            "EVNTCD",
            "Code of the event",
            "integer",
            "; ".join(f"{code} {label}" for code, label in TUMOUR_EVENTS.items())
            + ". A death counts however long after the last examination, unless observation had ended before",
            "ADTUM.LTPFL, ADSL.DTHDT",
            codelist=tuple(TUMOUR_EVENTS),
        ),
        _SRCFILE,
        _SRCSHEET,
        _SRCROW,
    ),
)

_DATASETS: Final[Mapping[str, Dataset]] = MappingProxyType(
    {dataset.name: dataset for dataset in (_ADSL, _ADTTE, _ADAE, _ADLB, _ADEX, _ADRECUR, _ADPROC, _ADTUM)}
)

_EXTRA_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"continuous": "number", "integer": "integer", "categorical": "text"}
)


def dataset(name: str, cohort: CohortConfig) -> Dataset:
    """Return the specification of one dataset; that of ADSL ends with the cohort's extra variables.

    Arms, and what is said of them, are those of the cohort.

    Raises
    ------
    ConfigError
        If an extra variable bears the name of a standard one, or two differ only in case.
    """
    spec = _with_assigned_arms(_DATASETS[name], cohort)
    if name != "adsl" or not cohort.extra_variables:
        return spec
    extra = []
    taken = {variable.name: "a variable of ADSL" for variable in spec.variables}
    for source, declared in cohort.extra_variables.items():
        if source.upper() in taken:
            raise ConfigError(
                Problem(
                    f"extra_variables.{source}: the name is taken",
                    file="cohort.yaml",
                    found=source,
                    expected=f"a name that is not {source.upper()}, {taken[source.upper()]}",
                    hint="rename the column in columns: of the sites and here",
                )
            )
        taken[source.upper()] = f"the extra variable {source}"
        split = declared.split
        if split is None:
            derivation = "As recorded"
        elif split.at is not None:
            derivation = f"Two groups of {split.of}; the upper one begins at {split.at:g}"
        else:
            derivation = (
                f"Two groups at the median of {split.of} among the analysed patients; the median itself is in the "
                f"{split.median_in} group"
            )
        extra.append(
            Variable(
                source.upper(),
                declared.label,
                _EXTRA_KINDS[declared.kind],
                f"{derivation}. {declared.note}" if declared.note else derivation,
                f"patients.{split.of if split else source}",
                unit=declared.unit,
                codelist=tuple(declared.levels) if declared.levels else None,
            )
        )
    return Dataset(spec.name, spec.label, spec.keys, (*spec.variables, *extra))


def _with_assigned_arms(spec: Dataset, cohort: CohortConfig) -> Dataset:
    """Return `spec` as it is for a cohort whose arms were assigned at time zero."""
    if cohort.assigned_arms is None:
        return spec
    arm = {
        "codelist": arms_of(cohort).labels,
        "derivation": "Arm assigned at time zero, under the label of the cohort's assigned_arms",
        "source": "patients.assigned_arm, cohort.assigned_arms",
    }
    changed = {
        "TRT01A": {"label": "Arm assigned", **arm},
        "LMFL": {
            "label": "At risk at time zero",
            "derivation": "Y: arms are assigned at time zero, so every analysed patient is at risk there",
            "source": "patients.assigned_arm",
        },
        "LMTRT": {"label": "Arm assigned", **arm},
    }
    variables = tuple(replace(each, **changed.get(each.name, {})) for each in spec.variables)
    return Dataset(spec.name, spec.label, spec.keys, variables)


def conform(name: str, frame: pd.DataFrame, cohort: CohortConfig) -> pd.DataFrame:
    """Return `frame` with exactly the dataset's columns, in order, typed, rows sorted by the dataset's keys.

    Raises
    ------
    KeyError
        If a column is missing.
    """
    spec = dataset(name, cohort)
    typed = pd.DataFrame(
        {variable.name: frame[variable.name].astype(DTYPES[variable.kind]) for variable in spec.variables},
        columns=spec.columns,
    )
    return typed.sort_values(list(spec.keys), kind="stable", ignore_index=True)


def coded(name: str, frame: pd.DataFrame, cohort: CohortConfig) -> pd.DataFrame:
    """Return what :func:`conform` returns, its text as categories (:mod:`sorafenib_rfa.coded`).

    ``USUBJID`` is, and stays, the number of each patient in the order of USUBJIDs.
    """
    spec = dataset(name, cohort)
    typed = {
        variable.name: frame[variable.name]
        if variable.name == "USUBJID"
        else as_codes(frame[variable.name])
        if variable.kind == "text"
        else frame[variable.name].astype(DTYPES[variable.kind])
        for variable in spec.variables
    }
    rows = sorted_rows(pd.DataFrame({key: typed[key] for key in spec.keys}, copy=False), spec.keys)
    return pd.DataFrame({column: values.iloc[rows].array for column, values in typed.items()}, copy=False)


def empty(name: str, cohort: CohortConfig) -> pd.DataFrame:
    """Return the dataset without rows, for a cohort that has none of its records."""
    return conform(name, pd.DataFrame(columns=dataset(name, cohort).columns), cohort)


def schema(name: str, cohort: CohortConfig) -> pa.DataFrameSchema:
    """Return the pandera schema of one dataset: columns, order, types, code lists, missing values, keys.

    Checks are of single rows: :func:`validate` looks at large datasets a part after the other, and over the whole only
    at the keys.
    """
    import pandera.pandas as pa

    spec = dataset(name, cohort)
    checks = {
        "adtte": [
            pa.Check(lambda df: df["AVAL"] > 0, name="AVAL above zero"),
            pa.Check(lambda df: df["CNSR"].eq(1) == df["CNSDTDSC"].notna(), name="CNSDTDSC if and only if censored"),
            pa.Check(
                lambda df: df["INTLO"].isna() | df["INTHI"].isna() | (df["INTLO"] <= df["INTHI"]),
                name="INTLO not above INTHI",
            ),
        ],
        "adae": [
            pa.Check(lambda df: df["PREFL"].eq("N") | df["TRTEMFL"].eq("N"), name="PREFL never with TRTEMFL"),
            pa.Check(lambda df: df["AEOIFL"].eq("Y") == df["CQ01NAM"].notna(), name="CQ01NAM if and only if AEOIFL"),
        ],
        "adex": [pa.Check(lambda df: (df["EXDURD"] >= 1).fillna(True), name="EXDURD at least one day")],
        "adproc": [
            pa.Check(lambda df: (df["COMPDAY"] >= 0).fillna(True), name="COMPDAY not before the session"),
            pa.Check(lambda df: df["COMP30FL"].eq("N") | df["COMPFL"].eq("Y"), name="COMP30FL only with COMPFL"),
        ],
        "adtum": [
            pa.Check(lambda df: (df["AVAL"] > 0).fillna(True), name="AVAL above zero"),
            pa.Check(
                lambda df: df[["LTPFL", "AVAL", "CNSR", "EVNTCD"]].notna().sum(axis="columns").isin([0, 4]),
                name="LTPFL, AVAL, CNSR and EVNTCD together",
            ),
            pa.Check(
                lambda df: (
                    df["LTPFL"].eq("Y").fillna(False)
                    == df["EVNTCD"].eq(TUMOUR_LTP).fillna(False) & df["LTPDT"].notna() & df["LTPALLOC"].notna()
                ),
                name="LTPFL = Y if and only if EVNTCD, LTPDT and LTPALLOC say so",
            ),
            pa.Check(
                lambda df: df["AVAL"].isna() | (df["ANLFL"].eq("Y") & df["INDEXFL"].eq("Y")),
                name="followed only from the index session of analysed patients",
            ),
        ],
    }
    return pa.DataFrameSchema(
        {
            variable.name: pa.Column(
                DTYPES[variable.kind],
                checks=pa.Check.isin(list(variable.codelist)) if variable.codelist else None,
                nullable=not variable.required,
            )
            for variable in spec.variables
        },
        checks=checks.get(name),
        strict=True,
        ordered=True,
        unique=list(spec.keys),
        name=name.upper(),
    )


def validate(name: str, frame: pd.DataFrame, cohort: CohortConfig) -> pd.DataFrame:
    """Return `frame` if it keeps to the specification; one of codes is looked at a part after the other.

    Raises
    ------
    pandera.errors.SchemaErrors
        With every departure found, not only the first.
    """
    wanted = schema(name, cohort)
    if len(frame) <= ROW_GROUP:
        wanted.validate(decoded(frame), lazy=True)
        return frame
    for start in range(0, len(frame), ROW_GROUP):
        wanted.validate(decoded(frame.iloc[start : start + ROW_GROUP]), lazy=True)
    keys = frame[list(dataset(name, cohort).keys)]
    if keys.duplicated().any():
        # the whole names the rows
        wanted.validate(decoded(frame[keys.duplicated(keep=False)]), lazy=True)
    return frame
