"""Canonical tables to the files six hospitals would send, with the errors such files contain.

Errors are planted after the tables are written out as cells, so that the list of what was planted (``dirt``) names the
file, sheet, row and column a person sees.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.ingest.units import LAB_UNITS
from sorafenib_rfa.simulate.dialects import DIALECTS, Dialect, ExportTable
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import stream
from sorafenib_rfa.vocabulary import LAB_TESTS

Cell = Any
MILLIMETRES = "(mm)"
DIRT_COLUMNS = ("site", "file", "sheet", "row", "column", "table", "subject_id", "kind", "value", "caught_by")
CAUGHT_BY: Mapping[str, str | None] = {
    "exact_duplicate": "exact_duplicate",
    "conflicting_patient": "conflicting_duplicate",
    "impossible_age": "impossible_value",
    "albumin_slip": "impossible_value",
    "negative_lab": "impossible_value",
    "diameter_slip": "impossible_value",
    "code_typo": "unknown_code",
    "impossible_date": "unparsable_date",
    "future_date": "future_date",
    "unknown_unit": "unknown_unit",
    "stray_space": None,
    "full_width_digits": None,
    "wrong_bclc": None,
    "orphan_row": "orphan_row",
    "lab_after_death": "after_death",
    "grade_6": "grade_out_of_range",
    "end_before_start": "end_before_start",
    "grade_0": "grade_out_of_range",
    "event_before_index": "event_before_index",
    "lab_minus_one": "impossible_value",
    "missing_uln": "missing_uln",
    "complication_before_session": "complication_before_session",
    "not_a_tumour_list": "not_a_tumour_list",
    "unknown_tumour": "unknown_tumour",
    "tumour_without_ltp": "unknown_tumour",
}
"""Kind of error -> rule that must catch it, by quarantine or flag; None: must be read (or, the stage, computed) without
harm."""


def canonical_uln() -> dict[str, dict[str, float]]:
    """Return site -> test -> upper limit of normal in the canonical unit."""
    return {
        site: {test: lab.uln * float(LAB_UNITS[test][lab.known_unit]) for test, lab in dialect.labs.items()}
        for site, dialect in DIALECTS.items()
    }


class Sheet:
    """One table of one hospital, written out.

    Attributes
    ----------
    site, table : str
    layout : ExportTable
    header : list of str
    rows : list of list
        Cells as they will stand in the file.
    """

    def __init__(self, site: str, table: str, layout: ExportTable, header: list[str], rows: list[list[Cell]]) -> None:
        self.site, self.table, self.layout = site, table, layout
        self.header = header
        self.rows = rows

    def column(self, canonical: str) -> int:
        """Return the position of a canonical column."""
        return next(i for i, column in enumerate(self.layout.columns) if column.name == canonical)

    def has(self, canonical: str) -> bool:
        """Say whether the hospital exports a canonical column."""
        return any(column.name == canonical for column in self.layout.columns)


def _number(value: float, decimals: int, dialect: Dialect) -> Cell:
    rounded = round(float(value), decimals)
    if not dialect.numbers_as_text:
        return int(rounded) if decimals == 0 else rounded
    return f"{rounded:.{decimals}f}".replace(".", dialect.decimal)


def _writer(name: str, header: str, codes: Mapping[str, str] | None, dialect: Dialect) -> Callable[[Any], Cell]:
    """Return what writes one recorded canonical value."""
    if codes is not None:
        return lambda value: codes[value]
    if name.endswith("_date"):
        if dialect.date is None:
            return lambda value: value
        return dialect.date
    if name.endswith("_cm"):
        factor, decimals = (10, 0) if MILLIMETRES in header else (1, 1)
        return lambda value: _number(value * factor, decimals, dialect)
    if name in ("age_years", "daily_dose_mg", "ecog", "tumour_count", "tumour_no", "complication_cirse", "grade"):
        return lambda value: _number(value, 0, dialect)
    return str


def _write_table(site: str, table: str, frame: pd.DataFrame, rng: np.random.Generator) -> Sheet:
    """Return a table as cells in the hospital's words; what is not recorded becomes one of its codes for that."""
    dialect = DIALECTS[site]
    layout = dialect.tables[table]
    columns = []
    for column in layout.columns:
        write = _writer(column.name, column.header, column.codes, dialect)
        values = frame[column.name]
        present = values.notna().to_numpy()
        if column.name.endswith("_date"):
            items = values.dt.date.tolist()
        else:
            items = values.tolist()
        memo: dict[Any, Cell] = {}
        cells: list[Cell] = []
        # what was added to the exports later draws nothing, so that all other cells keep theirs
        gaps = np.zeros(len(items), dtype=int)
        if column.name not in _DRAWS_NOTHING:
            gaps = rng.integers(len(dialect.missing), size=len(items))
        # only an empty cell is natural where an event simply has not happened
        token = "" if column.name in _OFTEN_EMPTY else None
        for item, is_present, gap in zip(items, present, gaps, strict=True):
            if not is_present:
                cells.append(dialect.missing[gap] if token is None else token)
                continue
            if item not in memo:
                memo[item] = write(item)
            cells.append(memo[item])
        columns.append(cells)
    return Sheet(
        site, table, layout, [c.header for c in layout.columns], [list(row) for row in zip(*columns, strict=True)]
    )


_DRAWS_NOTHING = ("complication_sir", "complication_date", "ltp_tumours")
_OFTEN_EMPTY = (
    "death_date", "end_date", "complication_term", "complication_clavien_dindo", "complication_cirse", *_DRAWS_NOTHING,
)  # fmt: skip


def _lab_cells(frame: pd.DataFrame, dialect: Dialect) -> list[Cell]:
    """Return each result in the hospital's unit, with its limits of detection."""
    cells: list[Cell] = []
    low, high = dialect.afp_limits
    factors = {test: float(LAB_UNITS[test][lab.known_unit]) for test, lab in dialect.labs.items()}
    for test, value in zip(frame["test"].tolist(), frame["value"].tolist(), strict=True):
        own = value / factors[test]
        if test == "AFP" and low is not None and own < low:
            cells.append(f"<{_plain(low, dialect)}")
        elif test == "AFP" and high is not None and own > high:
            cells.append(f">{_plain(high, dialect)}")
        else:
            cells.append(_number(own, dialect.labs[test].decimals, dialect))
    return cells


def _plain(limit: float, dialect: Dialect) -> str:
    return f"{limit:g}".replace(".", dialect.decimal)


def _write_labs(site: str, frame: pd.DataFrame, rng: np.random.Generator) -> Sheet:
    dialect = DIALECTS[site]
    layout = dialect.tables["labs"]
    frame = frame.assign(cell=_lab_cells(frame, dialect))
    if not dialect.wide_labs:
        labs = dialect.labs
        ulns = {test: _plain(lab.uln, dialect) for test, lab in labs.items()}
        date = dialect.date
        assert date is not None
        dates = {day: date(day) for day in sorted(set(frame["sample_date"].dt.date))}
        rows = [
            [subject, dates[day], labs[test].name, cell, labs[test].unit, ulns[test]]
            for subject, day, test, cell in zip(
                frame["subject_id"], frame["sample_date"].dt.date, frame["test"], frame["cell"], strict=True
            )
        ]
        return Sheet(site, "labs", layout, [c.header for c in layout.columns], rows)
    frame = frame.assign(date=frame["sample_date"].dt.date)
    wide: dict[tuple, dict[str, Cell]] = {}
    for subject, day, test, cell in zip(frame["subject_id"], frame["date"], frame["test"], frame["cell"], strict=True):
        wide.setdefault((subject, day), {})[test] = cell
    rows = []
    for (subject, day), results in wide.items():
        written = day if dialect.date is None else dialect.date(day)
        rows.append([subject, written, *(results.get(test, "") for test in LAB_TESTS)])
    header = [c.header for c in layout.columns] + [lab.name for lab in dialect.labs.values()]
    return Sheet(site, "labs", layout, header, rows)


class Planter:
    """Plants errors in one hospital's tables and remembers what it planted.

    A row gets one error at most, so that each can be found by its own rule.
    """

    def __init__(
        self, site: str, sheets: dict[str, Sheet], tables: Mapping[str, pd.DataFrame],
        parameters: SimulationParameters, rng: np.random.Generator, later_rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.site, self.sheets, self.tables = site, sheets, tables
        self.rng, self.later_rng = rng, later_rng
        # rows as the tables have them, whatever is put between them
        self.recorded = {table: list(sheet.rows) for table, sheet in sheets.items()}
        self.dialect = DIALECTS[site]
        self.rates = {name: getattr(parameters.dirt, name).value for name in type(parameters.dirt).model_fields}
        self.cutoff = parameters.accrual.data_cutoff.value
        self.planted: list[tuple[Sheet, list[Cell], str | None, str]] = []
        self.used: set[int] = set()
        self.fresh = 0

    # --- choosing ---------------------------------------------------------------------------------------------------

    def pick(
        self, table: str, kind: str, where: np.ndarray | None = None, rows: list[list[Cell]] | None = None
    ) -> list[int]:
        """Return rows of `table` for errors of `kind`, at its rate among the rows `where`, at least one a centre.

        The rows are those of the sheet, or `rows`.
        """
        rows = self.sheets[table].rows if rows is None else rows
        able = np.arange(len(rows)) if where is None else np.flatnonzero(where)
        able = np.array([i for i in able.tolist() if id(rows[i]) not in self.used], dtype=int)
        if not len(able) or self.rates[kind] == 0:
            return []
        number = min(max(1, int(self.rng.binomial(len(able), self.rates[kind]))), len(able))
        return sorted(int(i) for i in self.rng.choice(able, number, replace=False))

    def note(self, table: str, row: list[Cell], column: str | None, kind: str) -> None:
        """Remember an error; `column` is the header."""
        self.used.add(id(row))
        self.planted.append((self.sheets[table], row, column, kind))

    def change(self, table: str, i: int, position: int, cell: Cell, kind: str) -> None:
        """Replace one cell."""
        self.overwrite(table, self.sheets[table].rows[i], position, cell, kind)

    def overwrite(self, table: str, row: list[Cell], position: int, cell: Cell, kind: str) -> None:
        """Replace one cell of a row."""
        row[position] = cell
        self.note(table, row, self.sheets[table].header[position], kind)

    def written(self, value: float, decimals: int) -> Cell:
        """Return a number in the hospital's hand."""
        return _number(value, decimals, self.dialect)

    def date(self, day: Any) -> Cell:
        """Return a date in the hospital's hand."""
        return day if self.dialect.date is None else self.dialect.date(day)

    # --- kinds of error --------

    def plant(self) -> pd.DataFrame:
        """Plant all errors; return the list of what was planted."""
        self._patients()
        self._labs()
        self._dates()
        self._events()
        self._diameters()
        self._harmless()
        self._rows()
        # kinds that came later have a stream of their own and come last: the others stay where they were
        self.rng = self.later_rng
        self._odd_events()
        self._complications()
        self._tumour_lists()
        self._odd_labs()
        return self._listed()

    def _patients(self) -> None:
        frame, sheet = self.tables["patients"], self.sheets["patients"]
        stage, sex = sheet.column("recorded_bclc"), sheet.column("sex")
        codes = sheet.layout.columns[stage].codes
        stages = list("0ABCD")
        recorded = frame["recorded_bclc"]
        for i in self.pick("patients", "wrong_bclc", recorded.notna().to_numpy()):
            at = stages.index(recorded.iloc[i])
            wrong = stages[at + 1] if at < 4 and (at == 0 or self.rng.random() < 0.6) else stages[at - 1]
            self.change("patients", i, stage, codes[wrong] if codes else wrong, "wrong_bclc")
        known = np.array([row[sex] in self.dialect.typos for row in sheet.rows])
        for i in self.pick("patients", "code_typo", known):
            self.change("patients", i, sex, self.dialect.typos[sheet.rows[i][sex]], "code_typo")
        if sheet.has("age_years"):
            for i in self.pick("patients", "impossible_age"):
                self.change("patients", i, sheet.column("age_years"), self.written(212, 0), "impossible_age")
        else:
            for i in self.pick("patients", "impossible_age"):
                born = frame["birth_date"].iloc[i].date()
                wrong = born.replace(year=born.year - 130, day=min(born.day, 28))
                self.change("patients", i, sheet.column("birth_date"), self.date(wrong), "impossible_age")

    def _lab_position(self, i: int, test: str) -> int:
        return 2 + list(LAB_TESTS).index(test) if self.dialect.wide_labs else self.sheets["labs"].column("value")

    def _lab_rows(self, test: str) -> np.ndarray:
        """Return which rows hold a plain number of `test`."""
        sheet = self.sheets["labs"]
        if self.dialect.wide_labs:
            position = self._lab_position(0, test)
            return np.array([_is_number(row[position]) for row in sheet.rows])
        name, value = self.dialect.labs[test].name, sheet.column("value")
        column = sheet.column("test")
        return np.array([row[column] == name and _is_number(row[value]) for row in sheet.rows])

    def _labs(self) -> None:
        sheet, d = self.sheets["labs"], self.dialect
        decimals = d.labs["ALB"].decimals
        for i in self.pick("labs", "albumin_slip", self._lab_rows("ALB")):
            position = self._lab_position(i, "ALB")
            self.change(
                "labs", i, position, self.written(_read(sheet.rows[i][position]) * 10, decimals), "albumin_slip"
            )
        for i in self.pick("labs", "negative_lab", self._lab_rows("ALT")):
            position = self._lab_position(i, "ALT")
            self.change("labs", i, position, self.written(-_read(sheet.rows[i][position]), 0), "negative_lab")
        if not d.wide_labs and d.unknown_unit is not None:
            column, value = sheet.column("unit"), sheet.column("value")
            able = np.array([_is_number(row[value]) for row in sheet.rows])
            for i in self.pick("labs", "unknown_unit", able):
                self.change("labs", i, column, d.unknown_unit, "unknown_unit")

    def _dates(self) -> None:
        sheet = self.sheets["labs"]
        column = sheet.column("sample_date")
        for i in self.pick("labs", "future_date"):
            self.change("labs", i, column, self.date(self.cutoff.replace(year=2051, day=28)), "future_date")
        for i in self.pick("labs", "impossible_date"):
            self.change("labs", i, column, self._thirty_first_of_february(), "impossible_date")
        images = self.sheets["imaging"]
        clear = (self.tables["imaging"]["finding"] == "no_recurrence").to_numpy()
        for i in self.pick("imaging", "impossible_date", clear):
            self.change(
                "imaging", i, images.column("imaging_date"), self._thirty_first_of_february(), "impossible_date"
            )

    def _thirty_first_of_february(self) -> str:
        if self.dialect.date is None:
            return "2015-02-31"
        # the 28th of a February, with its day replaced in the hospital's own form
        return self.dialect.date(pd.Timestamp(2015, 2, 28).date()).replace("28", "31")

    def _events(self) -> None:
        if "adverse_events" not in self.sheets:
            return
        frame, sheet = self.tables["adverse_events"], self.sheets["adverse_events"]
        for i in self.pick("adverse_events", "grade_6"):
            self.change("adverse_events", i, sheet.column("grade"), self.written(6, 0), "grade_6")
        for i in self.pick("adverse_events", "end_before_start", frame["end_date"].notna().to_numpy()):
            start = frame["start_date"].iloc[i].date()
            wrong = (pd.Timestamp(start) - pd.Timedelta(days=int(self.rng.integers(2, 25)))).date()
            self.change("adverse_events", i, sheet.column("end_date"), self.date(wrong), "end_before_start")

    def _diameters(self) -> None:
        for table, name, places in (("patients", "largest_tumour_cm", 30), ("ablations", "tumour_diameter_cm", 15)):
            sheet = self.sheets[table]
            column = sheet.column(name)
            factor = 10 if MILLIMETRES in sheet.header[column] else 1
            values = self.tables[table][name].to_numpy(dtype=float)
            for i in self.pick(table, "diameter_slip", values * 100 > places):
                wrong = self.written(values[i] * 100 * factor, 0)
                self.change(table, i, column, wrong, "diameter_slip")

    def _harmless(self) -> None:
        sheet = self.sheets["imaging"]
        column = sheet.column("finding")
        for i in self.pick("imaging", "stray_space"):
            self.change("imaging", i, column, f"{sheet.rows[i][column]} ", "stray_space")
        if self.dialect.far_east:
            for test in ("ALT", "PLT"):
                for i in self.pick("labs", "full_width_digits", self._lab_rows(test)):
                    position = self._lab_position(i, test)
                    text = str(self.sheets["labs"].rows[i][position])
                    self.change("labs", i, position, text.translate(_FULL_WIDTH), "full_width_digits")

    # --- whole rows --------

    def _insert(self, table: str, i: int, row: list[Cell], column: str | None, kind: str) -> None:
        """Put `row` below row `i`."""
        self.sheets[table].rows.insert(i + 1, row)
        self.note(table, row, column, kind)

    def _rows(self) -> None:
        self._after_death()
        labs = self.sheets["labs"]
        subject = labs.column("subject_id")
        for i in reversed(self.pick("labs", "orphan_row")):
            row = list(labs.rows[i])
            self.fresh += 1
            row[subject] = self.dialect.subject(90_000 + self.fresh)
            self._insert("labs", i, row, labs.header[subject], "orphan_row")
        for table, sheet in self.sheets.items():
            for i in reversed(self.pick(table, "exact_duplicate")):
                self.used.add(id(sheet.rows[i]))
                self._insert(table, i, list(sheet.rows[i]), None, "exact_duplicate")
        sheet = self.sheets["patients"]
        count = sheet.column("tumour_count")
        for i in reversed(self.pick("patients", "conflicting_patient")):
            row = list(sheet.rows[i])
            row[count] = self.written(_read(row[count]) + 1, 0)
            self.used.add(id(sheet.rows[i]))
            self._insert("patients", i, row, sheet.header[count], "conflicting_patient")

    def _after_death(self) -> None:
        died = self.tables["patients"].set_index("subject_id")["death_date"].dropna()
        sheet = self.sheets["labs"]
        subject, column = sheet.column("subject_id"), sheet.column("sample_date")
        last = {row[subject]: i for i, row in enumerate(sheet.rows)}
        able = np.zeros(len(sheet.rows), dtype=bool)
        able[[i for name, i in last.items() if name in died.index]] = True
        cutoff = pd.Timestamp(self.cutoff)
        for i in reversed(self.pick("labs", "lab_after_death", able)):
            day = died[sheet.rows[i][subject]] + pd.Timedelta(days=int(self.rng.integers(5, 60)))
            if day > cutoff:
                continue
            row = list(sheet.rows[i])
            row[column] = self.date(day.date())
            self._insert("labs", i, row, sheet.header[column], "lab_after_death")

    # --- kinds with a stream of their own --------

    def _below(self, table: str, row: list[Cell], new: list[Cell], column: str, kind: str) -> None:
        """Put `new` below `row`."""
        rows = self.sheets[table].rows
        position = next(k for k, each in enumerate(rows) if each is row)
        self._insert(table, position, new, column, kind)

    def _odd_events(self) -> None:
        """Plant grades of 0, and events that began before the index RFA."""
        if "adverse_events" not in self.sheets:
            return
        sheet, rows = self.sheets["adverse_events"], self.recorded["adverse_events"]
        mild = (self.tables["adverse_events"]["grade"] == 1).to_numpy()
        for i in self.pick("adverse_events", "grade_0", mild, rows):
            self.overwrite("adverse_events", rows[i], sheet.column("grade"), self.written(0, 0), "grade_0")
        index_date = self.tables["ablations"].groupby("subject_id")["ablation_date"].min()
        zero = self.tables["adverse_events"]["subject_id"].map(index_date)
        plain = {"grade": self.written(1, 0), "serious": "N", "related_drug": "N", "related_rfa": "N",
                 "action": "none", "outcome": "recovered"}  # fmt: skip
        for i in self.pick("adverse_events", "event_before_index", zero.notna().to_numpy(), rows):
            start = zero.iloc[i] - pd.Timedelta(days=int(self.rng.integers(3, 60)))
            end = start + pd.Timedelta(days=int(self.rng.integers(1, 20)))
            row = list(rows[i])
            for name, code in plain.items():
                codes = sheet.layout.columns[sheet.column(name)].codes
                row[sheet.column(name)] = codes[code] if codes else code
            row[sheet.column("start_date")] = self.date(start.date())
            row[sheet.column("end_date")] = self.date(end.date())
            header = sheet.header[sheet.column("start_date")]
            self._below("adverse_events", rows[i], row, header, "event_before_index")

    def _complications(self) -> None:
        """Date complications before their session, where no date was recorded."""
        frame, rows = self.tables["ablations"], self.recorded["ablations"]
        column = self.sheets["ablations"].column("complication_date")
        undated = (frame["complication_term"].notna() & frame["complication_date"].isna()).to_numpy()
        for i in self.pick("ablations", "complication_before_session", undated, rows):
            day = frame["ablation_date"].iloc[i] - pd.Timedelta(days=int(self.rng.integers(2, 40)))
            self.overwrite("ablations", rows[i], column, self.date(day.date()), "complication_before_session")

    def _tumour_lists(self) -> None:
        """Name tumours in ways that cannot be used, where none was named."""
        frame, rows = self.tables["imaging"], self.recorded["imaging"]
        column = self.sheets["imaging"].column("ltp_tumours")
        ltp = frame["finding"].str.contains("LTP", regex=False)
        unnamed = (ltp & frame["ltp_tumours"].isna()).to_numpy()
        clear = (frame["finding"] == "no_recurrence").to_numpy()
        for kind, where, text in (
            ("not_a_tumour_list", unnamed, "S7"),
            ("unknown_tumour", unnamed, "9"),
            ("tumour_without_ltp", clear, "1"),
        ):
            for i in self.pick("imaging", kind, where, rows):
                self.overwrite("imaging", rows[i], column, text, kind)

    def _odd_labs(self) -> None:
        """Write -1 for a creatinine that was not measured, and leave out limits of normal."""
        sheet, d = self.sheets["labs"], self.dialect
        if d.wide_labs:
            position = self._lab_position(0, "CREA")
            unmeasured = np.array([row[position] == "" for row in sheet.rows])
            for i in self.pick("labs", "lab_minus_one", unmeasured):
                self.change("labs", i, position, self.written(-1, 0), "lab_minus_one")
            return
        for i in reversed(self.pick("labs", "lab_minus_one", ~self._lab_rows("CREA"))):
            row, crea = list(sheet.rows[i]), d.labs["CREA"]
            cells = {"test": crea.name, "value": self.written(-1, 0), "unit": crea.unit, "uln": _plain(crea.uln, d)}
            for name, cell in cells.items():
                row[sheet.column(name)] = cell
            self._insert("labs", i, row, sheet.header[sheet.column("value")], "lab_minus_one")
        for i in self.pick("labs", "missing_uln", self._lab_rows("ALP")):
            self.change("labs", i, sheet.column("uln"), "", "missing_uln")

    def _listed(self) -> pd.DataFrame:
        numbers = {id(row): k for sheet in self.sheets.values() for k, row in enumerate(sheet.rows)}
        entries = []
        for sheet, row, column, kind in self.planted:
            cell = None if column is None else row[sheet.header.index(column)]
            entries.append(
                {
                    "site": self.site,
                    "file": sheet.layout.file,
                    "sheet": sheet.layout.sheet,
                    "row": sheet.layout.header_row + 1 + numbers[id(row)],
                    "column": column,
                    "table": sheet.table,
                    "subject_id": row[sheet.column("subject_id")],
                    "kind": kind,
                    "value": None if cell is None else str(cell),
                    "caught_by": CAUGHT_BY[kind],
                }
            )
        frame = pd.DataFrame(entries, columns=list(DIRT_COLUMNS)).astype({"row": "int64"})
        return frame.sort_values(["file", "sheet", "row", "kind"], kind="stable", ignore_index=True)


_FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, int | float):
        return True
    return isinstance(cell, str) and cell.replace(",", ".").replace(".", "", 1).isdigit()


def _read(cell: Cell) -> float:
    return float(cell.replace(",", ".")) if isinstance(cell, str) else float(cell)


def delimited(sheet: Sheet, dialect: Dialect, *, header: bool = True) -> bytes:
    """Return a sheet as delimited text in the hospital's form; without `header`, to be put below an earlier part."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=dialect.delimiter, lineterminator="\r\n")
    if header:
        writer.writerows([[line] for line in sheet.layout.above])
        writer.writerow(sheet.header)
    writer.writerows(sheet.rows)
    # a byte order mark stands at the beginning of a file and nowhere else
    return text.getvalue().encode(dialect.encoding if header else dialect.encoding.removesuffix("-sig"))


def write_centre(
    site: str,
    tables: Mapping[str, pd.DataFrame],
    parameters: SimulationParameters,
    rng: np.random.Generator,
    later_rng: np.random.Generator,
) -> tuple[dict[str, Sheet], pd.DataFrame]:
    """Return one centre's tables as cells, with errors, and the list of the errors.

    Parameters
    ----------
    site : str
        A centre of :data:`.dialects.DIALECTS`.
    tables : mapping of str to DataFrame
        The centre's own rows of the tables that it exports.
    parameters : SimulationParameters
    rng, later_rng : Generator
        Streams of the export; the second one of kinds of errors that were added later.
    """
    sheets = {
        table: _write_labs(site, tables[table], rng)
        if table == "labs"
        else _write_table(site, table, tables[table], rng)
        for table in DIALECTS[site].tables
        if table in tables
    }
    return sheets, Planter(site, sheets, tables, parameters, rng, later_rng).plant()


def export_centres(
    tables: Mapping[str, pd.DataFrame], parameters: SimulationParameters, seed: int
) -> tuple[dict[str, dict[str, bytes]], pd.DataFrame]:
    """Return the files of every centre and the list of planted errors.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Canonical tables of all centres (:func:`.clinical_records.write_records`).
    parameters : SimulationParameters
    seed : int

    Returns
    -------
    exports : dict of str to dict of str to bytes
        Site -> file name -> content.
    dirt : DataFrame
        One row a planted error: ``site, file, sheet, row`` (as a person counts)``, column`` (header; None for a whole
        row)``, table, subject_id, kind, value`` (as it stands)``, caught_by`` (quarantine rule; None: harmless).
    """
    from sorafenib_rfa.simulate.workbook import workbook_bytes

    exports: dict[str, dict[str, bytes]] = {}
    planted = []
    for site in sorted(parameters.centres):
        rng = stream(seed, f"export {site}")
        dialect = DIALECTS[site]
        own = {table: frame[frame["site"] == site].reset_index(drop=True) for table, frame in tables.items()}
        sheets, errors = write_centre(site, own, parameters, rng, stream(seed, f"later errors {site}"))
        planted.append(errors)
        files: dict[str, bytes] = {}
        books: dict[str, list[Sheet]] = {}
        for sheet in sheets.values():
            if sheet.layout.sheet is None:
                files[sheet.layout.file] = delimited(sheet, dialect)
            else:
                books.setdefault(sheet.layout.file, []).append(sheet)
        for name, pages in books.items():
            files[name] = workbook_bytes(
                {
                    str(page.layout.sheet): [*([line] for line in page.layout.above), page.header, *page.rows]
                    for page in pages
                }
            )
        exports[site] = dict(sorted(files.items()))
    return exports, pd.concat(planted, ignore_index=True)
