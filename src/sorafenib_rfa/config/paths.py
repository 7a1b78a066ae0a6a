"""Where a cohort's files lie, and what it offers; used by the workflow and by the command line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sorafenib_rfa.config.load import Cohort, Study
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.errors import InputError, NotOfferedError, Problem

EVIDENCE_TABLES = (
    "sources",
    "studies",
    "effects",
    "survival_percentages",
    "event_counts",
    "field_status",
    "statements",
    "risk_of_bias",
    "certainty",
)
"""Tables of published studies, each a CSV file."""

ADAM_DATASETS = ("adsl", "adtte", "adae", "adlb", "adex", "adrecur", "adproc", "adtum")


def raw_folder(cohort: Cohort, site: str) -> str:
    """Return the folder of a site's exports, relative to the repository."""
    folder = cohort.sites[site].folder
    parts = [cohort.config.raw, site if folder is None else folder]
    return "/".join(part.rstrip("/") for part in parts if part not in (".", ""))


def raw_paths(cohort: Cohort, site: str) -> list[str]:
    """Return the raw files a site's configuration names, sorted, each once."""
    folder = raw_folder(cohort, site)
    return sorted({f"{folder}/{table.file}" for table in cohort.sites[site].tables.values()})


def evidence_paths(cohort: Cohort, root: Path) -> list[str]:
    """Return the tables of published studies and the digitised curves, relative to the repository at `root`."""
    folder = cohort.config.raw.rstrip("/")
    digitised = sorted(path.name for path in (root / folder / "digitised").glob("*.csv"))
    return [
        *(f"{folder}/{name}.csv" for name in EVIDENCE_TABLES),
        *(f"{folder}/digitised/{name}" for name in digitised),
    ]


def missing_raw_files(study: Study, made_by_workflow: Collection[str]) -> None:
    """Check that the raw files of every cohort exist, apart from cohorts that the workflow itself simulates.

    Raises
    ------
    InputError
        Naming every missing file, the configuration that asks for it and what lies in its folder instead.
    """
    problems = []
    for name, cohort in study.cohorts.items():
        if name in made_by_workflow:
            continue
        if cohort.config.offers("published_effects"):
            problems += [
                Problem(
                    "the file does not exist", file=path, expected="a table of published evidence: docs/evidence.md"
                )
                for path in evidence_paths(cohort, study.root)
                if not (study.root / path).is_file()
            ]
        for site in cohort.sites:
            folder = study.root / raw_folder(cohort, site)
            for path in raw_paths(cohort, site):
                if (study.root / path).is_file():
                    continue
                if (study.root / path).is_dir():
                    problems.append(
                        Problem(
                            "this is a folder, not a file",
                            file=path,
                            expected=f"the export named in config/cohorts/{name}/sites/{site}.yaml",
                        )
                    )
                    continue
                there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else None
                problems.append(
                    Problem(
                        "the file does not exist",
                        file=path,
                        found=f"in {raw_folder(cohort, site)}/: {', '.join(there)}"
                        if there
                        else f"no folder {raw_folder(cohort, site)}/"
                        if there is None
                        else "an empty folder",
                        expected=f"the export named in config/cohorts/{name}/sites/{site}.yaml",
                    )
                )
    if problems:
        raise InputError(problems)


def adam_datasets(cohort: CohortConfig) -> list[str]:
    """Return the names of the ADaM datasets that a cohort's modules allow."""
    needs = {"adae": "adverse_events", "adlb": "labs", "adex": "treatment"}
    needs |= dict.fromkeys(("adrecur", "adproc", "adtum"), "ablations")
    return [name for name in ADAM_DATASETS if name not in needs or cohort.offers(needs[name])]


def require_patients(cohort: Cohort) -> None:
    """Check that the rows of a cohort are patients, as in every cohort but published evidence.

    Raises
    ------
    NotOfferedError
        Saying which targets there are instead.
    """
    if cohort.config.offers("published_effects"):
        raise NotOfferedError(
            Problem(
                f"{cohort.name}: published studies are neither cleaned nor brought into ADaM",
                file=f"config/cohorts/{cohort.name}/cohort.yaml",
                found="modules: published_effects",
                hint=f"snakemake analysis --config cohort={cohort.name}",
            )
        )


def require_treatment(cohort: Cohort) -> None:
    """Check that a cohort compares arms formed by exposure to sorafenib, as the paper does.

    Raises
    ------
    NotOfferedError
        Saying which targets the cohort has instead.
    """
    if not cohort.config.offers("treatment"):
        instead = "has no treatment arm"
        if cohort.config.offers("assigned_treatment"):
            instead = "compares the arms of another trial"
        raise NotOfferedError(
            Problem(
                f"the paper compares sorafenib after RFA with RFA alone and the cohort {cohort.name!r} {instead}",
                file=f"config/cohorts/{cohort.name}/cohort.yaml",
                found="modules: " + ", ".join(cohort.config.modules),
                expected="modules to hold 'treatment'",
                hint="the targets data, analysis, notebooks and figures work for this cohort",
            )
        )
