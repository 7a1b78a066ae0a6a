"""Configuration, paths and code identity shared by all rules; no rules here."""

import calendar
import datetime
import json
import os
import platform
import sys
from pathlib import Path

from snakemake.persistence import PersistenceBase

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from sorafenib_rfa.config.load import load_study
from sorafenib_rfa.config.paths import (
    ADAM_DATASETS,
    adam_datasets,
    evidence_paths,
    missing_raw_files,
    raw_folder,
    raw_paths,
    require_patients,
    require_treatment,
)
from sorafenib_rfa.errors import NotOfferedError, Problem, UserError
from sorafenib_rfa.export.contents import repository_files
from sorafenib_rfa.estimates.parts import CURVES, EVIDENCE_PARTS, complication_scales, curve_names, estimate_parts
from sorafenib_rfa.manuscript import quarto
from sorafenib_rfa.notebooks.iri_grammar import leave_out_iri_grammar
from sorafenib_rfa.provenance.plan import PLANNING
from sorafenib_rfa.records.checkout import jobs_import_from
from sorafenib_rfa.records.code_identity import CACHE, CodeIdentity, combine
from sorafenib_rfa.records.digests import sha256_of
from sorafenib_rfa.records.environment import Installed
from sorafenib_rfa.records.job import RUN_ID, SUBMIT_HOST
from sorafenib_rfa.records.seals import refuse_broken_seals
from sorafenib_rfa.vocabulary import PRINTED_VERSIONS, RAW_TABLES

jobs_import_from(ROOT / "src")
leave_out_iri_grammar()


def serialise_param(persistence, value, ask=PersistenceBase._serialize_param_pandas):
    """Snakemake imports pandas to ask of each parameter whether it is a frame; where nobody has, it is none."""
    return ask(persistence, value) if "pandas" in sys.modules else persistence._serialize_param_builtin(value)


PersistenceBase._serialize_param_pandas = serialise_param


def stop(error):
    """End with what is wrong and nothing else: Snakemake would add lines of this file and the word traceback."""
    print(f"\n{error}\n", file=sys.stderr)
    sys.exit(1)


MADE_RAW = {"synthetic", "colon_adjuvant"}

try:
    STUDY = load_study(ROOT, config)
    missing_raw_files(STUDY, made_by_workflow=MADE_RAW)
    # jobs sent to a cluster read this file too, while others are being made; a plan may be asked of any tree
    if workflow.is_main_process and not os.environ.get(PLANNING):
        refuse_broken_seals(ROOT)
except UserError as error:
    stop(error)

COHORTS = STUDY.run.cohorts
CODE = CodeIdentity(ROOT, cache=ROOT / CACHE)
SIMULATION = "config/cohorts/synthetic/simulation.yaml"
RENDERER = STUDY.run.renderer  # which one `auto` is on this machine is tracked like any other parameter
if RENDERER == "auto":
    RENDERER = "quarto" if quarto.find() else "embedded"
INSTALLED = Installed(cache=ROOT / ".snakemake" / "requirements.json")
os.environ.setdefault(RUN_ID, f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.getpid()}")
os.environ.setdefault(SUBMIT_HOST, platform.node())
ENVIRONMENT = "../../envs/paper.yaml"
SOURCE_DATE_EPOCH = calendar.timegm(STUDY.run.publication_date.timetuple())


MANUSCRIPT_SOURCES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "manuscript").iterdir()
    if path.suffix in {".qmd", ".yaml", ".yml", ".bib", ".csl"}
)


# Of use with `--sdm apptainer` only: the image that you build from envs/paper.def (docs/environments.md).
container: "envs/paper.sif"


wildcard_constraints:
    cohort="|".join(STUDY.cohorts),
    site=r"[a-z][a-z0-9_]*",
    figure=r"[a-z][a-z0-9_]*",
    table=r"[a-z][a-z0-9_]*",
    notebook=r"[a-z][a-z0-9_]*",


# --- resources -----------------------------------------------------------------------------------------------------------


def grows(least):
    """Resource of a job that asks for as much again at each further attempt, which only a profile's `retries` grants.

    On a cluster the memory of a job includes Snakemake itself, which runs around the script (some 250 MB).
    """
    return lambda wildcards, attempt: least * attempt


# --- tracked parameters --------------------------------------------------------------------------------------------------


def code(script):
    """Digest of all code that a rule's script may run."""
    return CODE.digest(f"workflow/scripts/{script}.py")


def environment(script, *notebooks, named=()):
    """Versions of Python and of every distribution on which a rule's code rests: an upgrade reruns what rests on it."""
    imports = CODE.imports(f"workflow/scripts/{script}.py", *notebooks).union(named)
    return {"python": ".".join(platform.python_version_tuple()[:2]), **INSTALLED.behind(imports)}


def content(paths):
    """Digest of source files, beside their times: a file put back with its old time is noticed too."""
    return combine((path, sha256_of(ROOT / path)) for path in paths)


def raw_content(wildcards):
    """Digest of one site's raw files, where they are sources and not made by the workflow."""
    return None if wildcards.cohort in MADE_RAW else content(site_raw_files(wildcards))


def cohort_config(wildcards):
    """The cohort's configuration without its sites, as plain data."""
    return STUDY.cohorts[wildcards.cohort].config.model_dump(mode="json")


def site_config(wildcards):
    """One site's configuration, as plain data."""
    return STUDY.cohorts[wildcards.cohort].sites[wildcards.site].model_dump(mode="json")


def site_configs(wildcards):
    """Configuration of each site of the cohort: cleaning names the export's own column in what it quarantines."""
    sites = STUDY.cohorts[wildcards.cohort].sites
    return {name: site.model_dump(mode="json") for name, site in sites.items()}


def site_titles(wildcards):
    """Title, country and region of each site of the cohort."""
    sites = STUDY.cohorts[wildcards.cohort].sites
    return {name: site.model_dump(mode="json", include={"title", "country", "region"}) for name, site in sites.items()}


def graded_complications(wildcards):
    """Sites of the cohort whose exports have each classification of complications of ablation."""
    return complication_scales(STUDY.cohorts[wildcards.cohort].sites)


def plan(wildcards):
    """The cohort's analysis plan, as plain data."""
    return STUDY.plans[wildcards.cohort].model_dump(mode="json")


# --- paths -----------------------------------------------------------------------------------------------------------------


def site_raw_files(wildcards):
    """Raw files of one site."""
    return raw_paths(STUDY.cohorts[wildcards.cohort], wildcards.site)


def all_raw_files(cohort):
    """Raw files of all sites of a cohort."""
    chosen = STUDY.cohorts[cohort]
    return [path for site in chosen.sites for path in raw_paths(chosen, site)]


def evidence_files(wildcards):
    """Tables of published studies."""
    return evidence_paths(STUDY.cohorts[wildcards.cohort], ROOT)


def has_patients(cohort):
    """Whether the rows of a cohort are patients: published studies are neither cleaned nor brought into ADaM."""
    return not STUDY.cohorts[cohort].config.offers("published_effects")


def of_patients(*names):
    """Files of the cohort below its results, none where its rows are no patients."""

    def paths(wildcards):
        cohort = wildcards.cohort
        return [f"results/{cohort}/{name}" for name in names] if has_patients(cohort) else []

    return paths


def ingested(kind):
    """Ingested tables of every site of the cohort."""

    def paths(wildcards):
        return expand(
            "results/{cohort}/ingest/{site}/{kind}.parquet",
            cohort=wildcards.cohort,
            site=STUDY.cohorts[wildcards.cohort].sites,
            kind=kind,
        )

    return paths


def ard_parts(kind):
    """The parts from which the cohort's ARD (kind parts) and who was counted in it (kind members) are collected."""

    def paths(wildcards):
        return expand(
            "results/{cohort}/ard/{kind}/{part}.parquet",
            cohort=wildcards.cohort,
            kind=kind,
            part=estimate_parts(STUDY.cohorts[wildcards.cohort].config),
        )

    return paths


def cohort_curves(wildcards):
    """Tidy curves of the cohort."""
    return expand(
        "results/{cohort}/curves/{name}.parquet",
        cohort=wildcards.cohort,
        name=curve_names(STUDY.cohorts[wildcards.cohort].config),
    )


def texts_of_studies(wildcards):
    """Frames with what is said of the published studies that a paper shows: its tables print their texts."""
    shown = [cohort for cohort in paper_cohorts(wildcards) if not has_patients(cohort)]
    names = [name for part in EVIDENCE_PARTS for name in CURVES[part]]
    return expand("results/{cohort}/curves/{name}.parquet", cohort=shown, name=names)


def figures_of(cohort, kinds=("svg", "pdf", "png", "csv")):
    """Figure files of a cohort."""
    return expand(
        "results/{cohort}/figures/{name}.{kind}",
        cohort=cohort,
        name=STUDY.cohorts[cohort].config.figures,
        kind=kinds,
    )


def tables_of(cohort):
    """Table files of a cohort."""
    return expand(
        "results/{cohort}/tables/{name}.{kind}",
        cohort=cohort,
        name=STUDY.cohorts[cohort].config.tables,
        kind=["md", "csv"],
    )


def notebooks_of(cohort):
    """Executed notebooks of a cohort."""
    return expand(
        "results/{cohort}/notebooks/{name}.{kind}",
        cohort=cohort,
        name=STUDY.cohorts[cohort].config.notebooks,
        kind=["ipynb", "html"],
    )


def paper_cohorts(wildcards):
    """The paper's cohort and those of its supplement."""
    return list(dict.fromkeys([wildcards.cohort, *STUDY.run.supplement_cohorts]))


def last_results(wildcards):
    """The last results of a paper: all jobs behind them are exported."""
    return [
        f"results/{wildcards.cohort}/manuscript/paper.html",
        *(path for cohort in paper_cohorts(wildcards) for path in notebooks_of(cohort)),
    ]


def exported_sources(wildcards):
    """Digest of the repository's own files, which every export carries or cites: a changed one makes it again."""
    configs = {name: STUDY.cohorts[name].config for name in paper_cohorts(wildcards)}
    return content(repository_files(ROOT, configs))


def audited(*patterns, patients=False):
    """Files of the paper's cohort and of those it shows beside it; with patients, only of those that have any."""

    def paths(wildcards):
        cohorts = paper_cohorts(wildcards)
        return expand(list(patterns), cohort=[name for name in cohorts if has_patients(name) or not patients])

    return paths


# --- validation ------------------------------------------------------------------------------------------------------------


def study_code_changed(wildcards):
    """Files of code behind the stored study that are not as they were when it was run; the job judges the seal itself."""
    try:
        before = json.loads((ROOT / "validation/study.json").read_text(encoding="utf-8"))["code_files"]
    except (OSError, ValueError, KeyError):
        return 0
    now = CODE.files(*(f"workflow/scripts/study_{step}.py" for step in ("truth", "estimates", "performance")))
    return sum(now.get(path) != before.get(path) for path in {*now, *before})


def validation_files(folder, names, *endings):
    """Files of what is shown of the validation, in the results or in the release."""
    return expand(f"results/synthetic/{folder}/{{name}}{{ending}}", name=names, ending=endings)


def study_plan(wildcards):
    """The plan of the study that a job belongs to."""
    return VALIDATION.plans[wildcards.study]


def of_study(*keys):
    """Those parts of the plan on which a job's result depends: one more replicate or other chunks make nothing anew."""
    return lambda wildcards: study_plan(wildcards).model_dump(mode="json", include=set(keys))


def study_chunks(wildcards):
    """Estimates of all cohorts of a plan."""
    return [
        f"results/synthetic/validation/study/{wildcards.study}/estimates/{scenario}-{screened}-{chunk}.parquet"
        for scenario in study_plan(wildcards).scenarios
        for screened in study_plan(wildcards).sizes
        for chunk in range(study_plan(wildcards).chunks(screened))
    ]


def cohorts_of_chunk(wildcards):
    """First cohort of a job, and the first after its last."""
    return list(study_plan(wildcards).cohorts(int(wildcards.screened), int(wildcards.chunk)))


# --- release ---------------------------------------------------------------------------------------------------------------


def public(*patterns):
    """Files made for the release, of the cohort asked for and of those its paper's supplement shows."""

    def paths(wildcards):
        return expand([f"results/{{cohort}}/disclosure/{pattern}" for pattern in patterns], cohort=released(wildcards))

    return paths


def public_texts_of_studies(wildcards):
    """What is said of published studies, as it is released."""
    shown = [cohort for cohort in paper_cohorts(wildcards) if not has_patients(cohort)]
    return expand("results/{cohort}/disclosure/curves", cohort=shown)


def released(wildcards):
    """The cohorts of a release: with a paper also those of its supplement."""
    return paper_cohorts(wildcards) if has_paper(wildcards) else [wildcards.cohort]


def has_paper(wildcards):
    """Whether a paper is written about the cohort."""
    return STUDY.cohorts[wildcards.cohort].config.offers("treatment")


def released_members(wildcards):
    """Who was counted in what is released, where they are patients."""
    shown = [cohort for cohort in released(wildcards) if has_patients(cohort)]
    return expand("results/{cohort}/ard/members.parquet", cohort=shown)


def released_papers(wildcards):
    """The public paper, if one is written about the cohort."""
    if not has_paper(wildcards):
        return []
    return multiext(f"results/{wildcards.cohort}/disclosure/manuscript/paper", ".html", ".pdf", ".docx")


def released_validation(wildcards):
    """What is true of a simulated cohort, which its paper shows."""
    if wildcards.cohort != "synthetic":
        return []
    made = rules.publish_validation.output
    return [made.ard, *made.study, *made.figure, made.drawn]


# --- targets ---------------------------------------------------------------------------------------------------------------


def require_papers():
    """Stop unless each cohort asked for has treatment arms, about which a paper can be written."""
    try:
        for cohort in COHORTS:
            require_treatment(STUDY.cohorts[cohort])
    except UserError as error:
        stop(error)


def paper_targets():
    """Papers and notebooks; a cohort without treatment arms has none, which is said when it is asked for."""

    def paths(wildcards):
        require_papers()
        return [
            *expand("results/{cohort}/manuscript/paper.{kind}", cohort=COHORTS, kind=["html", "pdf", "docx"]),
            *figure_targets(),
            *(path for cohort in STUDY.cohorts for path in notebooks_of(cohort)),
        ]

    return paths


def audit_targets():
    """Audit site, crate, paperwork and bag of each paper; the site is made from the embedded renderer's page."""

    def paths(wildcards):
        require_papers()
        if RENDERER != "embedded":
            stop(
                NotOfferedError(
                    Problem(
                        "the audit reads the page of the embedded renderer",
                        file="config/config.yaml",
                        found=f"renderer: {STUDY.run.renderer}, which is {RENDERER} on this machine",
                        expected="renderer: embedded",
                        hint="or snakemake audit --config renderer=embedded",
                    )
                )
            )
        return expand(
            [
                "results/{cohort}/audit",
                "results/{cohort}/crate",
                "results/{cohort}/bag/{cohort}.zip",
                "results/{cohort}/paperwork/certificate.md",
                "results/{cohort}/paperwork/plan.md",
            ],
            cohort=COHORTS,
        )

    return paths


def data_targets():
    """Clean stage and ADaM of the cohorts asked for; published studies have none, which is said when it is asked for."""

    def paths(wildcards):
        try:
            for cohort in COHORTS:
                require_patients(STUDY.cohorts[cohort])
        except UserError as error:
            stop(error)
        return [
            path
            for cohort in COHORTS
            for path in [
                *expand("results/{cohort}/clean/{name}.csv", cohort=cohort, name=["quarantine", "attrition"]),
                *expand(
                    "results/{cohort}/adam/{name}.csv", cohort=cohort, name=adam_datasets(STUDY.cohorts[cohort].config)
                ),
                f"results/{cohort}/adam/data_dictionary.md",
            ]
        ]

    return paths


def analysis_targets():
    """ARD and notebooks of the cohorts asked for."""
    return [*expand("results/{cohort}/ard/ard.csv", cohort=COHORTS), *notebook_targets()]


def notebook_targets():
    """Notebooks of the cohorts asked for."""
    return [path for cohort in COHORTS for path in notebooks_of(cohort)]


def figure_targets():
    """Figures of the cohorts asked for."""
    return [path for cohort in COHORTS for path in figures_of(cohort)]
