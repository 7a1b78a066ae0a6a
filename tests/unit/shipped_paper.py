"""The repository's own text with made-up patients: what expansion and lint of the shipped manuscript need."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from exhibit_cohorts import ROOT, Exhibits, with_arms, without_arms
from validation_study import WHERE, study_rows

from sorafenib_rfa.config.load import load_cohort, load_plan
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import as_ard
from sorafenib_rfa.estimates.evidence import estimate_evidence
from sorafenib_rfa.evidence.tables import read_evidence
from sorafenib_rfa.exhibits.tables import make_table
from sorafenib_rfa.manuscript.build import context, facts, printed_words, said_of_studies
from sorafenib_rfa.manuscript.checklists import checklist_table, load_checklist, unknown_anchors
from sorafenib_rfa.manuscript.claims import load_claims
from sorafenib_rfa.manuscript.lint import Rules, Words
from sorafenib_rfa.manuscript.traceability import load_deviations, plan_table, trace_plan
from sorafenib_rfa.manuscript.unbound import load_unbound_numbers
from sorafenib_rfa.simulate import load_parameters, true_benefit_risk, true_estimands
from sorafenib_rfa.validation.results import validation_ard
from sorafenib_rfa.vocabulary import TABLES

MANUSCRIPT = ROOT / "manuscript"
REAL = "hcc_resection"
STUDIES = "evidence"


@functools.cache
def truth() -> pd.DataFrame:
    parameters = load_parameters(ROOT / "config/cohorts/synthetic/simulation.yaml")
    return pd.concat([true_estimands(parameters, 1, 4_000), true_benefit_risk(parameters, 1, 1_000)], ignore_index=True)


@functools.cache
def published() -> tuple[pd.DataFrame, dict[str, pd.DataFrame], CohortConfig, Plan]:
    """Return ARD, curves, configuration and plan of the shipped published evidence."""
    config = load_cohort(ROOT, STUDIES).config
    plan, folder = load_plan(ROOT, STUDIES, config), ROOT / config.raw
    parts = estimate_evidence(
        read_evidence(folder), folder / "digitised", plan, cohort_name=STUDIES, record="records/e.json"
    )
    ard = as_ard(pd.concat([part.ard for part in parts.values()]))
    return ard, {name: frame for part in parts.values() for name, frame in part.curves.items()}, config, plan


@functools.cache
def sites() -> dict[str, Any]:
    """Return the sites of the synthetic cohort."""
    files = sorted((ROOT / "config/cohorts/synthetic/sites").glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}


@functools.cache
def _known(wrong: str, not_run: bool) -> pd.DataFrame:
    data = with_arms(wrong)
    known = [validation_ard(data.ard, truth(), data.plan, **WHERE), study_rows(not_run=not_run)]
    return pd.concat([data.ard, *known], ignore_index=True)


def everything(wrong: str = "", *, not_run: bool = False) -> pd.DataFrame:
    """Return the ARD of the paper's cohort with what is known to be true of it, and with the validation study."""
    return _known(wrong, not_run)


def tables_of(data: Exhibits, folder: Path) -> dict[str, Path]:
    """Write the tables of a cohort."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in data.cohort.config.tables:
        written[name] = folder / f"{name}.md"
        table = make_table(name, ard=data.ard, cohort=data.cohort.config, plan=data.plan)
        written[name].write_text(table.markdown, encoding="utf-8")
    return written


def write_tables(root: Path, wrong: str = "", *, not_run: bool = False) -> dict[str, Path]:
    """Write the tables of the paper below `root`, where the workflow would, and return them by name."""
    data, real = with_arms(wrong), without_arms()
    tables = tables_of(data, root / "results/synthetic/tables")
    tables |= {f"{REAL}:{name}": path for name, path in tables_of(real, root / f"results/{REAL}/tables").items()}
    ard, curves, config, plan = published()
    for name in config.tables:
        tables[f"{STUDIES}:{name}"] = path = root / f"results/{STUDIES}/tables/{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make_table(name, ard=ard, cohort=config, plan=plan, texts=curves).markdown, encoding="utf-8")
    for name in [name for name, part in TABLES.items() if part == "validation"]:
        tables[name] = path = root / f"results/synthetic/validation/tables/{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = everything(wrong, not_run=not_run)
        table = make_table(name, ard=rows, cohort=data.cohort.config, plan=data.plan)
        path.write_text(table.markdown, encoding="utf-8")
    return tables


def rules_of(root: Path, wrong: str = "", *, not_run: bool = False) -> Rules:
    """Return the rules for the text in ``root/manuscript``."""
    data, real = with_arms(wrong), without_arms()
    config = data.cohort.config
    studies, curves, evidence, _ = published()
    cohorts = {"synthetic": config, REAL: real.cohort.config, STUDIES: evidence}
    ards = {"synthetic": everything(wrong, not_run=not_run), REAL: real.ard, STUDIES: studies}
    words = printed_words(cohorts, data.plan, ards, said_of_studies(curves.values()))
    checklists = [load_checklist(path) for path in sorted((root / "manuscript/checklists").glob("*.yaml"))]
    known = facts(sites(), data.plan, checklists)
    unbound = load_unbound_numbers(
        root / "manuscript/unbound_numbers.yaml", known, shown="manuscript/unbound_numbers.yaml"
    )
    return Rules(unbound, Words(words), config.tables, config.figures, "config/cohorts/synthetic/cohort.yaml")


def expansion(root: Path, tables: dict[str, Path], wrong: str = "", *, not_run: bool = False) -> dict[str, Any]:
    """Return the arguments of ``expand_manuscript`` for the text in ``root/manuscript``, with rules and paperwork."""
    data, real = with_arms(wrong), without_arms()
    ards = {"synthetic": everything(wrong, not_run=not_run), REAL: real.ard, STUDIES: published()[0]}
    checklists = [
        load_checklist(path, shown=f"manuscript/checklists/{path.name}")
        for path in sorted((root / "manuscript/checklists").glob("*.yaml"))
    ]
    deviations = load_deviations(root / "manuscript/deviations.yaml", data.plan, shown="manuscript/deviations.yaml")

    def paperwork(where):
        traced, problems = trace_plan(data.plan, ards, deviations, where)
        problems += [problem for checklist in checklists for problem in unknown_anchors(checklist, where.labels)]
        made = {checklist.key: checklist_table(checklist) for checklist in checklists}
        return {**made, "plan": plan_table(traced)}, problems

    return {
        "source": root / "manuscript/index.qmd",
        "ards": ards,
        "claims": load_claims(root / "manuscript/claims.yaml", shown="manuscript/claims.yaml"),
        "tables": tables,
        "synthetic": {"synthetic": True, REAL: False, STUDIES: False},
        "cohort": "synthetic",
        "context": context(data.cohort.config, sites(), data.plan, "2026-01-01", "0" * 64),
        "rules": rules_of(root, wrong, not_run=not_run),
        "paperwork": paperwork,
    }
