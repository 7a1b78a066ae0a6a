"""Build one cohort's paper from what the earlier stages wrote: stage the files, expand, render."""

from __future__ import annotations

import csv
import platform
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
import yaml

from sorafenib_rfa.clinical.complications import SCALES
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.manuscript.checklists import (
    RECALLED_MARK,
    Checklist,
    checklist_report,
    checklist_table,
    load_checklist,
    unknown_anchors,
)
from sorafenib_rfa.manuscript.claims import load_claims
from sorafenib_rfa.manuscript.errors import ManuscriptError
from sorafenib_rfa.manuscript.expand import Shortened, expand_manuscript
from sorafenib_rfa.manuscript.lint import Rules, Words, unbound_in_print
from sorafenib_rfa.manuscript.render import render_manuscript
from sorafenib_rfa.manuscript.source import Sourced
from sorafenib_rfa.manuscript.traceability import (
    Traced,
    load_deviations,
    plan_report,
    plan_table,
    planned_words,
    trace_plan,
)
from sorafenib_rfa.manuscript.unbound import load_unbound_numbers, number_word, numbers_in
from sorafenib_rfa.manuscript.whereabouts import Whereabouts
from sorafenib_rfa.vocabulary import PRINTED_VERSIONS

_MARKS = ("", RECALLED_MARK)
AUDIT_HREF = "../audit/index.html#"
"""Where the numbers of the HTML paper lead: the audit site beside it, at the id of what was pressed."""


def context(
    cohort: CohortConfig,
    sites: Mapping[str, Mapping],
    plan: Plan,
    publication_date: str,
    inputs_seal: str,
    audit_href: str | None = AUDIT_HREF,
) -> dict[str, str]:
    """Return what ``{{< meta key >}}`` may print: facts of the configuration and of the environment."""
    return {
        "cohort_title": cohort.title,
        "publication_date": publication_date,
        "plan_version": plan.version,
        "landmark_day": str(plan.landmark_day),
        "grace_period_days": str(plan.grace_period_days),
        "n_sites": str(len(sites)),
        "results_seal": Shortened(inputs_seal[:16], inputs_seal),
        **({} if audit_href is None else {"audit-href": audit_href}),
        "version.python": platform.python_version(),
        **{f"version.{name}": metadata.version(name) for name in PRINTED_VERSIONS},
    }


def facts(sites: Mapping[str, Mapping], plan: Plan, checklists: Sequence[Checklist] = ()) -> dict[str, list[str]]:
    """Return what ``{name}`` in a pattern of the white-list may stand for: numbers of the configuration."""
    years = plan.rmst_horizon_months / 12
    specifications = plan.sensitivity.specifications if plan.sensitivity else None
    return {
        "confidence": [f"{100 * plan.confidence_level:g}%"],
        "horizons": [f"{month:g}" for month in plan.horizons_months],
        "horizon": [f"{plan.rmst_horizon_months:g}"],
        "adverse_event_months": [f"{month:g}" for month in plan.adverse_event_months],
        "albi_months": [f"{month:g}" for month in plan.liver.albi_months],
        "horizon_years": [number_word(int(years)) if years == int(years) else f"{years:g}"],
        "sites": [number_word(len(sites))],
        "landmark": [str(plan.landmark_day)],
        "treatment_emergent": [str(plan.treatment_emergent_days)],
        "rfa_complication": [str(plan.rfa_complication_days)],
        "rfa_complication_words": [number_word(plan.rfa_complication_days)],
        "duration_landmarks": [f"{month:g}" for month in plan.exposure.duration_landmarks_months],
        "duration_landmark_words": [number_word(int(month)) for month in plan.exposure.duration_landmarks_months],
        "full_dose": [f"{plan.exposure.full_dose_mg_per_day:g}"],
        "grace": [str(plan.grace_period_days)],
        "complication_grades": sorted({code for scale in SCALES.values() for code in scale.codes}),
        "treatment_emergent_words": [number_word(plan.treatment_emergent_days)],
        "small_group": [number_word(plan.small_group)],
        "subgroups": [number_word(len(plan.subgroups))],
        "grace_periods": [str(days) for days in specifications.grace_period_days] if specifications else [],
        "ctcae": [plan.ctcae_version],
        "checklist_items": [f"{item.item}{mark}" for each in checklists for item in each.items for mark in _MARKS],
        "estimands": sorted({name.partition("_")[0] for name in plan.estimands if numbers_in(name)}),
    }


def said_of_studies(frames: Iterable[pd.DataFrame]) -> set[str]:
    """Return the texts that tables of published studies print as they stand in the curves of that cohort."""
    words: set[str] = set()
    for frame in frames:
        texts = frame.select_dtypes("string")
        said = {word for column in texts for word in texts[column].dropna().unique()}
        words |= said | {word[:1].lower() + word[1:] for word in said}  # within a sentence
        if {"label", "year"} <= set(frame):
            named = frame[["label", "year"]].dropna().itertuples(index=False)
            words |= {f"{row.label} {row.year:.0f}" for row in named}
        if {"from_month", "to_month"} <= set(frame):
            words |= {f"{row.from_month:g} to {row.to_month:g}" for row in frame.itertuples(index=False)}
    return words


def printed_words(
    cohorts: Mapping[str, CohortConfig], plan: Plan, ards: Mapping[str, pd.DataFrame], said: Iterable[str] = ()
) -> list[str]:
    """Return the texts with numbers that tables print as the configuration, the ARD or `said` has them."""
    words: set[str] = {*planned_words(plan), *said}
    words |= {effect.label for effect in plan.benefit_risk.effects} if plan.benefit_risk else set()
    for covariate in plan.covariates.values():
        words |= {covariate.label, *(covariate.levels or ())}
    for config in cohorts.values():
        words |= {step.label for step in config.eligibility}
        for extra in config.extra_variables.values():
            words |= {extra.label, *(extra.levels or ())}
        for group in config.prognostic_groups:
            words |= {group.label, *group.levels}
    for ard in ards.values():
        for column in ("engine", "population"):
            words.update(ard[column].unique())
        words |= {name.partition("=")[2] for name in ard["variable"].unique() if name.startswith("site=")}
        # periods of which the mean dose is given
        spans = ard.loc[ard["analysis_id"] == "dose_by_period", "variable"].unique()
        words |= {"Months {} to {}".format(*name.removeprefix("m").split("_")) for name in spans}
        for said in ard["method"].unique():
            if said.startswith(("not estimable", "not tested")):
                words.add(said)
            elif said.startswith("patients who left at step "):
                words.add(said.partition(": ")[2])
            elif " against " in said:  # the label of a term of a model stands before how it was estimated
                words.add(said.partition("; ")[0])
    return sorted(words)


def written_for(index: Path, cohort: str) -> None:
    """Check that the text says it was written for the cohort it is built with.

    Numbers and claims follow the data, but prose does not: the text shipped here says that its patients are synthetic
    and come from six centres. Built with other data it would state falsehoods in print.

    Raises
    ------
    ManuscriptError
        If the front matter's ``written-for`` names another cohort or is missing.
    """
    front = index.read_text(encoding="utf-8").split("---")[1]
    found = (yaml.safe_load(re.sub(r"\{\{<.*?>\}\}", "", front)) or {}).get("written-for")
    if found != cohort:
        raise ManuscriptError(
            Problem(
                "the text was written for another cohort",
                file=f"manuscript/{index.name}",
                found=f"written-for: {found}" if found else "no key written-for in the front matter",
                expected=f"written-for: {cohort}",
                hint="revise what the text says of its data (title, abstract, Methods, limitations), then set the key",
            )
        )


def drawn_ids(cohort: str, drawn: Path) -> set[str]:
    """Return ``cohort:ard_id`` of what a figure drew, as the file beside it says."""
    with drawn.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        at = next(rows).index("ard_id")
        return {f"{cohort}:{row[at]}" for row in rows if row[at]}


def build_manuscript(
    cohort: str,
    *,
    manuscript: Path,
    results: Path,
    destination: Path,
    cohorts: Mapping[str, CohortConfig],
    sites: Mapping[str, Mapping],
    plan: Plan,
    publication_date: str,
    source_date_epoch: int,
    engine: str,
    inputs_seal: str,
    validation: Path | None = None,
    paperwork: Path | None = None,
    formats: Sequence[str] = ("html", "pdf", "docx"),
    folders: Mapping[str, Path] | None = None,
    audit_href: str | None = AUDIT_HREF,
) -> None:
    """Write ``paper.<format>``, ``uses.csv``, the expanded ``source/`` and the paperwork of one cohort's paper.

    Parameters
    ----------
    cohort : str
        The paper's cohort.
    manuscript : Path
        Folder of the author's sources.
    results : Path
        Folder that holds ``<cohort>/ard``, ``<cohort>/tables`` and ``<cohort>/figures``.
    destination : Path
        Where the paper goes.
    cohorts : mapping
        Configuration of the paper's cohort and of those its supplement shows.
    sites : mapping
        Sites of the paper's cohort.
    plan : Plan
    publication_date : str
        ISO date.
    source_date_epoch : int
        Time stamp written into PDF and DOCX, seconds.
    engine : {"auto", "quarto", "embedded"}
    inputs_seal : str
        Digest of what the paper is built from; the paper prints it.
    validation : Path, optional
        Folder with ``ard``, ``tables`` and ``figures`` of what is known to be true of a simulated cohort; the paper
        shows them as its own.
    paperwork : Path, optional
        Folder for the filled checklists and for what became of the plan (``strobe.md``, ``target.md``, ``plan.md``);
        default: beside `destination`.
    formats : sequence of str
    folders : mapping, optional
        Where the ARD, tables and figures of a cohort lie, if not in ``<results>/<cohort>``: those of a public release.
    audit_href : str, optional
        Where the numbers of the HTML paper lead; None: nowhere, as in a public release.

    Raises
    ------
    ManuscriptError
        With every problem of the sources, each at the author's file and line.
    """
    written_for(manuscript / "index.qmd", cohort)
    source = destination / "source"
    shutil.rmtree(source, ignore_errors=True)
    (source / "figures").mkdir(parents=True)
    tables: dict[str, Path] = {}
    drawn: dict[str, set[str]] = {}
    ards: dict[str, pd.DataFrame] = {}
    said: set[str] = set()
    for name in cohorts:
        prefix = "" if name == cohort else f"{name}:"
        inside = "figures" if name == cohort else f"figures/{name}"
        (source / inside).mkdir(exist_ok=True)
        known = {folder: cohorts[name].figures for folder in [(folders or {}).get(name, results / name)]}
        if validation is not None and name == cohort:
            known[validation] = sorted({path.stem for path in (validation / "figures").glob("*.svg")})
        if cohorts[name].offers("published_effects"):
            curves = sorted((next(iter(known)) / "curves").glob("*.parquet"))
            said |= said_of_studies(map(pd.read_parquet, curves))
        ards[name] = pd.concat([pd.read_parquet(folder / "ard" / "ard.parquet") for folder in known])
        for folder, figures in known.items():
            tables |= {f"{prefix}{path.stem}": path for path in sorted((folder / "tables").glob("*.md"))}
            for figure in figures:  # of the configuration: others may lie there from earlier
                drawn[f"{inside}/{figure}"] = drawn_ids(name, folder / "figures" / f"{figure}.csv")
                for kind in ("svg", "png"):
                    shutil.copyfile(folder / "figures" / f"{figure}.{kind}", source / inside / f"{figure}.{kind}")
    for path in sorted(manuscript.iterdir()):
        if path.suffix in {".bib", ".csl"} or path.name == "_quarto.yml":
            shutil.copyfile(path, source / path.name)

    config = cohorts[cohort]
    claims = load_claims(manuscript / "claims.yaml")
    checklists = [load_checklist(path) for path in sorted((manuscript / "checklists").glob("*.yaml"))]
    deviations = load_deviations(manuscript / "deviations.yaml", plan)
    traced: list[Traced] = []

    def fill(where: Whereabouts) -> tuple[dict[str, Sourced], list[Problem]]:
        """Return the tables of checklists and plan, now that it is known where things stand."""
        problems = [problem for checklist in checklists for problem in unknown_anchors(checklist, where.labels)]
        found, more = trace_plan(plan, ards, deviations, where)
        traced.extend(found)
        made = {checklist.key: checklist_table(checklist) for checklist in checklists}
        return {**made, "plan": plan_table(found)}, [*problems, *more]

    rules = Rules(
        load_unbound_numbers(manuscript / "unbound_numbers.yaml", facts(sites, plan, checklists)),
        Words(printed_words(cohorts, plan, ards, said)),
        tables=config.tables,
        figures=config.figures,
        config=f"config/cohorts/{cohort}/cohort.yaml",
    )
    expanded = expand_manuscript(
        manuscript / "index.qmd",
        ards=ards,
        claims=claims,
        tables=tables,
        synthetic={name: each.synthetic for name, each in cohorts.items()},
        cohort=cohort,
        context=context(config, sites, plan, publication_date, inputs_seal, audit_href),
        rules=rules,
        drawn=drawn,
        paperwork=fill,
    )
    expanded.write(source)
    expanded.uses.to_csv(destination / "uses.csv", index=False, lineterminator="\n")
    report = render_manuscript(
        source,
        {kind: destination / f"paper.{kind}" for kind in formats},
        engine=engine,
        source_date_epoch=source_date_epoch,
        synthetic=expanded.synthetic,
        check=lambda document: unbound_in_print(document, rules),
    )
    folder = destination.parent / "paperwork" if paperwork is None else paperwork
    folder.mkdir(parents=True, exist_ok=True)
    where = {"paper": report.title, "labels": report.labels, "pages": report.pages}
    for checklist in checklists:
        text = checklist_report(checklist, **where)
        (folder / f"{checklist.key}.md").write_text(text, encoding="utf-8", newline="\n")
    (folder / "plan.md").write_text(plan_report(traced, plan, **where), encoding="utf-8", newline="\n")
