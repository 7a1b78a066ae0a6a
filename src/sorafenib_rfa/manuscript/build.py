"""Build one cohort's paper from what the earlier stages wrote: stage the files, expand, render."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
import yaml

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.manuscript.claims import load_claims
from sorafenib_rfa.manuscript.errors import ManuscriptError
from sorafenib_rfa.manuscript.expand import expand_manuscript
from sorafenib_rfa.manuscript.render import render_manuscript

SOFTWARE = ("snakemake", "pandas", "numpy", "scipy", "lifelines", "statsmodels", "matplotlib", "seaborn", "papermill")
"""Distributions whose versions the Methods section prints."""


def context(cohort: CohortConfig, sites: Mapping[str, Mapping], plan: Plan, publication_date: str) -> dict[str, str]:
    """Return what ``{{< meta key >}}`` may print: facts of the configuration and of the environment."""
    return {
        "cohort_title": cohort.title,
        "publication_date": publication_date,
        "plan_version": plan.version,
        "landmark_day": str(plan.landmark_day),
        "grace_period_days": str(plan.grace_period_days),
        "n_sites": str(len(sites)),
        "version.python": platform.python_version(),
        **{f"version.{name}": metadata.version(name) for name in SOFTWARE},
    }


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
    validation: Path | None = None,
    formats: Sequence[str] = ("html", "pdf", "docx"),
) -> None:
    """Write ``paper.<format>``, ``uses.csv`` and the expanded ``source/`` of one cohort's paper.

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
    validation : Path, optional
        Folder with ``ard``, ``tables`` and ``figures`` of what is known to be true of a simulated cohort; the paper
        shows them as its own.
    formats : sequence of str

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
    ards: dict[str, pd.DataFrame] = {}
    for name in cohorts:
        prefix = "" if name == cohort else f"{name}:"
        target = source / "figures" if name == cohort else source / "figures" / name
        target.mkdir(exist_ok=True)
        folders = [results / name, *([validation] if validation is not None and name == cohort else [])]
        ards[name] = pd.concat([pd.read_parquet(folder / "ard" / "ard.parquet") for folder in folders])
        for folder in folders:
            tables |= {f"{prefix}{path.stem}": path for path in sorted((folder / "tables").glob("*.md"))}
            for path in sorted((folder / "figures").glob("*")):
                if path.suffix in {".svg", ".png"}:
                    shutil.copyfile(path, target / path.name)
    for path in sorted(manuscript.iterdir()):
        if path.suffix in {".bib", ".csl"} or path.name == "_quarto.yml":
            shutil.copyfile(path, source / path.name)

    expanded = expand_manuscript(
        manuscript / "index.qmd",
        ards=ards,
        claims=load_claims(manuscript / "claims.yaml"),
        tables=tables,
        synthetic={name: config.synthetic for name, config in cohorts.items()},
        cohort=cohort,
        context=context(cohorts[cohort], sites, plan, publication_date),
    )
    expanded.write(source)
    expanded.uses.to_csv(destination / "uses.csv", index=False, lineterminator="\n")
    render_manuscript(
        source,
        {kind: destination / f"paper.{kind}" for kind in formats},
        engine=engine,
        source_date_epoch=source_date_epoch,
        synthetic=expanded.synthetic,
    )
