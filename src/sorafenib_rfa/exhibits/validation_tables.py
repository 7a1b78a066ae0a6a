"""Tables of the validation study: the primary analysis in all cells, all estimators in the main cell, failures."""

from __future__ import annotations

from typing import Final

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.exhibits.draft import Cell, Draft, Number, Source
from sorafenib_rfa.validation import cells as study_cells
from sorafenib_rfa.validation.cells import PRIMARY, Series, Study
from sorafenib_rfa.vocabulary import ENDPOINTS

_MEASURES: Final = {
    # measure: (in words, decimals)
    "rmst_difference": ("difference of restricted means, months", 2),
    "log_hr": ("log hazard ratio", 3),
}
_STATS: Final = {
    # stat: (header, decimals or None for those of the measure, with its Monte Carlo interval)
    "truth": ("Truth", None, False),
    "bias": ("Bias", None, True),
    "empirical_se": ("Empirical SE", None, True),
    "model_se": ("Model SE", None, False),
    "se_error": ("Error of model SE", 0, True),
    "coverage": ("Coverage", 1, True),
    "bias_eliminated_coverage": ("Coverage, bias left out", 1, False),
    "rejection": ("Power", 0, True),
}
_TERMS: Final = (
    "In brackets the 95% interval of Monte Carlo error. SE: standard error; empirical, the standard deviation of the "
    "estimates; the model's, the root mean square of those estimated; its error, by how much it exceeds the former. "
    "Coverage: {level} intervals that hold the truth; with bias left out, those that hold the mean of the estimates. "
    "Power: intervals that exclude no difference; where the truth is none, as that of overall survival without effect, "
    "the type I error. Recurrence is seen a little sooner on sorafenib even without effect, because patients are "
    "examined more often: there the type I errors are the intervals that miss the truth."
)


def study_primary_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the performance of the primary design in all cells, for both endpoints and measures."""
    study = Study(source.rows)
    draft = _draft("Scenario and patients analysed")
    if _not_run(draft, study):
        draft.notes.append(_terms(plan))
        return draft
    for endpoint in ("rfs", "os"):
        one = Series(endpoint, PRIMARY.estimator)
        for measure, (said, digits) in _MEASURES.items():
            if one not in study.series(measure):
                continue
            draft.head(f"{ENDPOINTS[endpoint.upper()]}: {said}")
            for cell in study.cells:
                _add(draft, source, study, one, cell, measure, digits, [f"{cell.title}, ", _patients(source, cell)])
    draft.notes += [_cohorts(source), _terms(plan)]
    return draft


def study_estimators_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the performance of all estimators in the main cell."""
    study = Study(source.rows)
    draft = _draft("Estimator")
    if _not_run(draft, study):
        draft.notes.append(_terms(plan))
        return draft
    cell = study.main
    for measure, (said, digits) in _MEASURES.items():
        draft.head(f"{said[0].upper()}{said[1:]}")
        for one in study.series(measure):
            _add(draft, source, study, one, cell, measure, digits, [one.label])
    draft.notes += [
        [f"{cell.title}, ", _patients(source, cell), " patients analysed on average. Of recurrence-free survival, but "
         "where overall survival is named."],
        _cohorts(source),
        "Each estimator is held against the truth of its own population, time zero and model.",
        _terms(plan),
    ]  # fmt: skip
    return draft


def study_failures_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return in how many cohorts each estimator gave no estimate, by cell."""
    study = Study(source.rows)
    # every estimator, by the measure that it surely has
    shown = study.series("log_hr")
    draft = Draft([["Scenario and patients analysed"], *([one.label] for one in shown)])
    if _not_run(draft, study):
        return draft
    for cell in study.cells:
        counts = [source.value(study.id_of(one, cell, "log_hr", "failed")) for one in shown]
        draft.rows.append([[f"{cell.title}, ", _patients(source, cell)], *counts])
    draft.notes += [
        _cohorts(source),
        "Counted: cohorts without an estimate of the log hazard ratio. Such a cohort is left out of the performance of "
        "that estimator only, so that estimators are not all judged by the same cohorts.",
    ]
    return draft


def _draft(first: str) -> Draft:
    return Draft([[first], *([header] for header, *_ in _STATS.values())])


def _terms(plan: Plan) -> str:
    return _TERMS.format(level=f"{100 * plan.confidence_level:g}%")


def _not_run(draft: Draft, study: Study) -> bool:
    """Say in a table that the study was not run; its note gives the reason, which the row has."""
    if not study.not_run:
        return False
    draft.rows.append([["All cells"], [Number(study.rows[study_cells.WHOLE])], *([] for _ in draft.header[2:])])
    return True


def _add(
    draft: Draft,
    source: Source,
    study: Study,
    one: Series,
    cell: study_cells.Cell,
    measure: str,
    digits: int,
    label: Cell,
) -> None:
    values: list[Cell] = []
    for stat, (_, decimals, with_interval) in _STATS.items():
        row = source.get(study.id_of(one, cell, measure, stat))
        places = digits if decimals is None else decimals
        values.append(source.with_interval(row, places) if with_interval else [Number(row, digits=places)])
    draft.rows.append([["\u00a0\u00a0\u00a0" + label[0], *label[1:]], *values])


def _patients(source: Source, cell: study_cells.Cell) -> Number:
    return Number(source.get("validation.study.patients", f"n{cell.screened}"), digits=0)


def _cohorts(source: Source) -> Cell:
    return [Number(source.get("validation.study.replicates")), " simulated cohorts of each scenario and size."]
